// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_dhcp: DHCP messages of any content
 *
 * The input is the UDP payload.
 * A frame sent in answer must be one that packet_parse() takes.
 */
#include "serve/dhcp.h"

#include <assert.h>

#include "frame_out.h"
#include "guest.h"
#include "test/unit/memlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf conf;

static void setup(void)
{
	static const uint8_t guest[] = { 192, 0, 2, 10 };
	static const uint8_t gateway[] = { 192, 0, 2, 1 };
	struct guest_conf g = { .our_mac = { 0x9a, 0x55, 0x9a, 0x55, 0x9a, 1 } };

	g.addr4 = addr_from_v4(guest);
	conf.family[CONF_V4].on = true;
	conf.family[CONF_V4].addr = g.addr4;
	conf.family[CONF_V4].prefix = 24;
	conf.family[CONF_V4].gateway = addr_from_v4(gateway);
	conf.dhcp_dns = conf.dhcp_search = true;
	conf.family[CONF_V4].dns_count = 1;
	conf.family[CONF_V4].dns[0] = conf.family[CONF_V4].gateway;
	strcpy(conf.search[conf.search_count++], "example.org");
	strcpy(conf.search[conf.search_count++], "a.example.org");
	strcpy(conf.fqdn, "guest.example.org");
	g.our_ll.b[0] = 0xfe;
	g.our_ll.b[1] = 0x80;
	g.our_ll.b[15] = 1;
	memcpy(conf.mac, g.our_mac, sizeof(conf.mac));
	conf.mtu = 1500;
	memlink_init(NULL);
	frame_out_init(conf.mtu);
	guest_init(&g);
	dhcp_init(&conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iovec iov = { (void *)data, size };
	struct packet p = {
		.proto = IPPROTO_UDP,
		.src = ADDR_ANY4,
		.dst = ADDR_ANY4,
		.sport = 68,
		.dport = 67,
		.smac = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 },
		.payload = { .iov = &iov, .cnt = 1, .len = size },
	};

	if (!conf.mtu)
		setup();
	assert(dhcp_input(&p));
	memlink_check_answer();
	return 0;
}
