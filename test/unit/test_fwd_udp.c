// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_fwd_udp: ports are in use from the first flow to the last
 */
#include "fwd_udp.h"

#include "test/unit/unit.h"

#define PORT 2000

TEST(a_port_is_held_until_the_last_flow_ends)
{
	const struct flow_side a = { .remote = ADDR_LOOPBACK4, .lport = PORT };

	CHECK(!fwd_udp_held(FWD_V4 | FWD_V6, PORT));
	fwd_udp_hold(&a);
	fwd_udp_hold(&a);
	CHECK(fwd_udp_held(FWD_V4, PORT));
	fwd_udp_let_go(&a);
	CHECK(fwd_udp_held(FWD_V4, PORT));
	CHECK(!fwd_udp_held(FWD_V4, PORT + 1));
	fwd_udp_let_go(&a);
	CHECK(!fwd_udp_held(FWD_V4 | FWD_V6, PORT));
}

TEST(each_family_has_its_own_holders)
{
	const struct flow_side a = { .remote = ADDR_LOOPBACK6, .lport = PORT };

	fwd_udp_hold(&a);
	CHECK(!fwd_udp_held(FWD_V4, PORT));
	CHECK(fwd_udp_held(FWD_V6, PORT));
	CHECK(fwd_udp_held(FWD_V4 | FWD_V6, PORT));
	CHECK(!fwd_udp_held(0, PORT));
	fwd_udp_let_go(&a);
	CHECK(!fwd_udp_held(FWD_V6, PORT));
}

/* By the server's port, whatever its client's is */
TEST(a_port_is_led_to_by_its_way)
{
	const struct flow_side in = { .remote = ADDR_LOOPBACK4, .rport = PORT,
				      .lport = PORT + 1, .place = FLOW_AT_NS };
	const struct flow_side out = { .remote = ADDR_LOOPBACK6, .rport = PORT,
				       .place = FLOW_AT_HOST };

	fwd_udp_lead(&in);
	CHECK(fwd_udp_led(FWD_IN, PORT));
	CHECK(!fwd_udp_led(FWD_IN, PORT + 1));
	CHECK(!fwd_udp_led(FWD_OUT, PORT));
	fwd_udp_lead(&out);
	fwd_udp_lead_end(&in);
	CHECK(!fwd_udp_led(FWD_IN, PORT));
	CHECK(fwd_udp_led(FWD_OUT, PORT));
	fwd_udp_lead_end(&out);
	CHECK(!fwd_udp_led(FWD_OUT, PORT));
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
