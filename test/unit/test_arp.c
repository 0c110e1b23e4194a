// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of serve/arp.c: who is answered, who is left in peace, exact bytes
 */
#include "serve/arp.h"

#include "test/unit/serve_test.h"

#define ARP_LEN 28

static void arp_make(uint8_t b[ARP_LEN], const char *sender, const char *target)
{
	static const uint8_t head[] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	struct addr s = test_addr(sender), t = test_addr(target);

	memcpy(b, head, sizeof(head));
	memcpy(b + 8, test_guest_mac, 6);
	memcpy(b + 14, s.b + 12, 4);
	memset(b + 18, 0, 6);
	memcpy(b + 24, t.b + 12, 4);
}

static unsigned arp_feed(const void *bytes, size_t len)
{
	struct iovec iov = { (void *)bytes, len };
	struct packet p = test_packet("0.0.0.0", "0.0.0.0", 0, &iov);

	p.ethertype = 0x0806;
	memlink_clear();
	arp_input(&p);
	return memlink_sent();
}

static unsigned arp_ask(const char *sender, const char *target)
{
	uint8_t b[ARP_LEN];

	arp_make(b, sender, target);
	return arp_feed(b, sizeof(b));
}

static void arp_setup(void)
{
	test_setup();
	arp_init(&test_conf);
}

TEST(gateway_exact_bytes)
{
	static const uint8_t want[] = {
		0x52, 0x54, 0, 0x12, 0x34, 0x56,
		0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55, 0x08, 0x06,
		0, 1, 8, 0, 6, 4, 0, 2,
		0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55, 192, 0, 2, 1,
		0x52, 0x54, 0, 0x12, 0x34, 0x56, 192, 0, 2, 10,
	};
	const uint8_t *f;
	size_t len;

	arp_setup();
	CHECK_EQ(arp_ask("192.0.2.10", "192.0.2.1"), 1);
	f = memlink_frame(0, &len, NULL);
	CHECK_EQ(len, sizeof(want));
	CHECK(!memcmp(f, want, sizeof(want)));
}

TEST(everyone_else_is_us)
{
	arp_setup();
	CHECK_EQ(arp_ask("192.0.2.10", "192.0.2.77"), 1);
	CHECK_EQ(arp_ask("192.0.2.10", "10.1.2.3"), 1);
	CHECK_EQ(arp_ask("10.0.0.9", "192.0.2.1"), 1);
}

TEST(guests_own_left_in_peace)
{
	struct addr learned = test_addr("192.0.2.99");

	arp_setup();
	CHECK_EQ(arp_ask("192.0.2.77", "192.0.2.10"), 0);
	CHECK_EQ(arp_ask("192.0.2.10", "192.0.2.99"), 1);
	guest_learn_addr(&learned);
	CHECK_EQ(arp_ask("192.0.2.10", "192.0.2.99"), 0);
	CHECK_EQ(arp_ask("192.0.2.99", "192.0.2.10"), 0);
}

TEST(probes_and_announcements)
{
	arp_setup();
	CHECK_EQ(arp_ask("0.0.0.0", "192.0.2.10"), 0);
	CHECK_EQ(arp_ask("0.0.0.0", "192.0.2.77"), 0);
	CHECK_EQ(arp_ask("192.0.2.77", "192.0.2.77"), 0);
	CHECK_EQ(arp_ask("192.0.2.1", "192.0.2.1"), 0);
	/* Ours: defended (RFC 5227 2.1.1) */
	CHECK_EQ(arp_ask("0.0.0.0", "192.0.2.1"), 1);
}

TEST(not_a_host)
{
	arp_setup();
	CHECK_EQ(arp_ask("192.0.2.10", "0.0.0.0"), 0);
	CHECK_EQ(arp_ask("0.0.0.0", "0.0.0.0"), 0);
	CHECK_EQ(arp_ask("192.0.2.10", "255.255.255.255"), 0);
	CHECK_EQ(arp_ask("192.0.2.10", "224.0.0.1"), 0);
	CHECK_EQ(arp_ask("192.0.2.10", "127.0.0.1"), 0);
}

TEST(no_gateway_nothing_to_defend)
{
	arp_setup();
	test_conf.family[CONF_V4].gateway = ADDR_ANY6;
	CHECK_EQ(arp_ask("0.0.0.0", "192.0.2.1"), 0);
	CHECK_EQ(arp_ask("192.0.2.10", "192.0.2.1"), 1);
}

TEST(switched_off)
{
	arp_setup();
	test_conf.family[CONF_V4].on = false;
	CHECK_EQ(arp_ask("192.0.2.10", "192.0.2.1"), 0);
}

TEST(truncated_at_every_length)
{
	uint8_t b[ARP_LEN + 18] = { 0 };

	arp_setup();
	arp_make(b, "192.0.2.10", "192.0.2.1");
	for (size_t n = 0; n < ARP_LEN; n++) {
		uint8_t *exact = malloc(n + !n);

		memcpy(exact, b, n);
		CHECK_EQ(arp_feed(exact, n), 0);
		free(exact);
	}
	/* Ethernet padding does no harm */
	CHECK_EQ(arp_feed(b, sizeof(b)), 1);
}

TEST(wrong_header_fields)
{
	/* byte, value */
	static const uint8_t bad[][2] = {
		{ 0, 1 }, { 1, 6 }, { 2, 0 }, { 3, 6 }, { 4, 8 }, { 5, 16 },
		{ 6, 1 }, { 7, 0 }, { 7, 2 }, { 7, 3 }, { 8, 0x53 },
	};
	uint8_t b[ARP_LEN];

	arp_setup();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		arp_make(b, "192.0.2.10", "192.0.2.1");
		b[bad[i][0]] = bad[i][1];
		CHECK_EQ(arp_feed(b, sizeof(b)), 0);
	}
}

TEST(link_full)
{
	arp_setup();
	memlink_set_room(0);
	CHECK_EQ(arp_ask("192.0.2.10", "192.0.2.1"), 0);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
