// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of serve/ndp.c: advertisements byte by byte, who is answered and with
 * which flags, what is refused, and when unsolicited advertisements go out
 */
#include "serve/ndp.h"

#include <stdlib.h>

#include "test/unit/serve_test.h"

#define OUR_LL		"fe80::9855:9aff:fe55:9a55"
#define GUEST_LL	"fe80::5054:ff:fe12:3456"
#define RS		133
#define RA		134
#define NS		135
#define NA		136
#define START		(1000 * USEC_PER_SEC)

#define FLAG_R		0x80
#define FLAG_S		0x40
#define FLAG_O		0x20

static const uint8_t all_nodes_mac[] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t slla[] = { 1, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

static void ndp_setup(void)
{
	test_setup();
	timer_init(START);
	ndp_guest_left();
	ndp_init(&test_conf);
}

static unsigned sent_after(const struct packet *p)
{
	memlink_clear();
	CHECK(ndp_input(p, START));
	return memlink_sent();
}

/** A message with exactly @len readable bytes behind its ICMPv6 header */
static unsigned feed(uint8_t type, const char *src, const char *dst,
		     const void *body, size_t len)
{
	uint8_t *exact = malloc(len + !len);
	struct iovec iov = { exact, len };
	struct packet p = test_packet(src, dst, IPPROTO_ICMPV6, &iov);
	unsigned n;

	if (len)
		memcpy(exact, body, len);
	p.icmp.type = type;
	n = sent_after(&p);
	free(exact);
	return n;
}

static unsigned feed_rs(const char *src, const void *options, size_t len)
{
	return feed(RS, src, "ff02::2", options, len);
}

static unsigned feed_ns(const char *src, const char *dst, const char *target)
{
	struct addr t = test_addr(target);

	return feed(NS, src, dst, t.b, sizeof(t.b));
}

static void check_sent(const struct test_sent *s, const char *dst,
		       const uint8_t *dmac)
{
	CHECK_EQ(s->proto, IPPROTO_ICMPV6);
	CHECK_EQ(s->ttl, 255);
	CHECK(test_addr_is(&s->src, OUR_LL));
	CHECK(test_addr_is(&s->dst, dst));
	CHECK(!memcmp(s->dmac, dmac, 6));
}

/* An option of the RA, which must be the only one; whole lengths on the way */
static const uint8_t *ra_option(const struct test_sent *s, uint8_t type)
{
	const uint8_t *p = s->l4 + 16, *end = s->l4 + s->l4_len, *found = NULL;

	while (p < end) {
		CHECK(p + 2 <= end && p[1] && p + 8 * p[1] <= end);
		if (p + 2 > end || !p[1])
			return NULL;
		if (*p == type) {
			CHECK(!found);
			found = p;
		}
		p += 8 * p[1];
	}
	CHECK(p == end);
	return found;
}

static bool take_ra(struct test_sent *s)
{
	memset(s, 0, sizeof(*s));
	if (feed_rs(GUEST_LL, slla, sizeof(slla)) != 1 || !test_take(s))
		return false;
	CHECK(s->l4[0] == RA && s->l4[1] == 0);
	return true;
}

TEST(ra_exact_bytes)
{
	static const uint8_t want[] = {
		64, 0xc0, 0x23, 0x28, 0, 0, 0, 0, 0, 0, 0, 0,
		1, 1, 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55,
		5, 1, 0, 0, 0, 0, 0xff, 0xf0,
		3, 4, 64, 0xc0, 0, 0x27, 0x8d, 0, 0, 9, 0x3a, 0x80, 0, 0, 0, 0,
		0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		25, 3, 0, 0, 0, 0, 0x23, 0x28,
		0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53,
		31, 5, 0, 0, 0, 0, 0x23, 0x28,
		7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'o', 'r', 'g', 0,
		1, 'a', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'o', 'r', 'g',
		0, 0, 0, 0, 0,
	};
	struct test_sent s;

	ndp_setup();
	test_search("example.org");
	test_search("a.example.org");
	ndp_init(&test_conf);
	if (!take_ra(&s))
		return;
	check_sent(&s, GUEST_LL, test_guest_mac);
	CHECK_EQ(s.l4_len, 4 + sizeof(want));
	CHECK(!memcmp(s.l4 + 4, want, sizeof(want)));
}

TEST(rs_from_unspecified)
{
	struct test_sent s;

	ndp_setup();
	CHECK_EQ(feed_rs("::", NULL, 0), 1);
	if (test_take(&s))
		check_sent(&s, "ff02::1", all_nodes_mac);
	/* RFC 4861 6.1.1 */
	CHECK_EQ(feed_rs("::", slla, sizeof(slla)), 0);
}

TEST(rs_global_source)
{
	struct test_sent s;

	ndp_setup();
	CHECK_EQ(feed_rs("2001:db8::10", NULL, 0), 1);
	if (test_take(&s))
		check_sent(&s, "2001:db8::10", test_guest_mac);
}

TEST(ra_managed_flags)
{
	struct test_sent s;

	ndp_setup();
	test_conf.no_dhcpv6 = true;
	if (take_ra(&s))
		CHECK_EQ(s.l4[5], 0);
	test_conf.no_dhcpv6 = false;
	test_conf.family[CONF_V6].addr = ADDR_ANY6;
	if (take_ra(&s)) {
		CHECK_EQ(s.l4[5], 0x40);
		CHECK(!ra_option(&s, 3));
	}
}

TEST(ra_router_lifetime)
{
	struct conf_family *f = &test_conf.family[CONF_V6];
	struct test_sent s;

	ndp_setup();
	f->no_gateway = true;
	if (take_ra(&s))
		CHECK_EQ(get_be16(s.l4 + 6), 9000);
	f->gateway = ADDR_ANY6;
	if (take_ra(&s))
		CHECK_EQ(get_be16(s.l4 + 6), 0);
	f->no_gateway = false;
	if (take_ra(&s))
		CHECK_EQ(get_be16(s.l4 + 6), 9000);
}

/* As the host has it, be it one address alone: 64 bits to make addresses of */
TEST(ra_prefix_lengths)
{
	static const struct {
		unsigned len;
		const char *addr, *net;
	} t[] = {
		{ 64, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::" },
		{ 63, "2001:db8:1:3:3:4:5:6", "2001:db8:1:3::" },
		{ 48, "2001:db8:1:ff:3:4:5:6", "2001:db8:1:ff::" },
		{ 65, "2001:db8::ffff:1", "2001:db8::" },
		{ 128, "2001:db8::3", "2001:db8::" },
	};
	struct conf_family *f = &test_conf.family[CONF_V6];

	ndp_setup();
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct addr net = test_addr(t[i].net);
		const uint8_t *o;
		struct test_sent s;

		f->addr = test_addr(t[i].addr);
		f->prefix = t[i].len;
		o = take_ra(&s) ? ra_option(&s, 3) : NULL;
		CHECK(o);
		if (!o)
			return;
		CHECK_EQ(o[2], 64);
		CHECK_EQ(o[3], 0xc0);
		CHECK(!memcmp(o + 16, net.b, 16));
	}
	f->addr = test_addr("fe80::77");
	f->prefix = 64;
	{
		struct test_sent s;

		CHECK(take_ra(&s) && !ra_option(&s, 3));
	}
}

TEST(ra_mtu)
{
	const uint8_t *o;
	struct test_sent s;

	ndp_setup();
	test_conf.mtu = 0;
	CHECK(take_ra(&s) && !ra_option(&s, 5));
	test_conf.mtu = 1279;
	CHECK(take_ra(&s) && !ra_option(&s, 5));
	test_conf.mtu = 1280;
	o = take_ra(&s) ? ra_option(&s, 5) : NULL;
	CHECK(o && o[1] == 1 && get_be32(o + 4) == 1280);
}

TEST(ra_dns_and_search_apart)
{
	struct test_sent s;

	ndp_setup();
	test_search("example.org");
	ndp_init(&test_conf);
	test_conf.family[CONF_V6].dns_count = 0;
	CHECK(take_ra(&s) && !ra_option(&s, 25) && ra_option(&s, 31));
	test_conf.family[CONF_V6].dns_count = CONF_DNS_MAX;
	CHECK(take_ra(&s) && ra_option(&s, 25)[1] == 17);
	test_conf.dhcp_dns = false;
	CHECK(take_ra(&s) && !ra_option(&s, 25) && ra_option(&s, 31));
	test_conf.dhcp_search = false;
	CHECK(take_ra(&s) && !ra_option(&s, 25) && !ra_option(&s, 31));
	test_conf.dhcp_dns = true;
	CHECK(take_ra(&s) && ra_option(&s, 25) && !ra_option(&s, 31));
}

TEST(ra_search_cut_between_names)
{
	char name[200];
	const uint8_t *o;
	struct test_sent s;

	ndp_setup();
	memset(name, 'x', sizeof(name));
	name[60] = name[120] = name[180] = '.';
	name[198] = 0;
	for (int i = 0; i < CONF_SEARCH_MAX; i++)
		test_search(name);
	ndp_init(&test_conf);
	o = take_ra(&s) ? ra_option(&s, 31) : NULL;
	CHECK(s.l4_len <= 1240);
	/* 200 wire bytes each, five of them: 1000 is 125 units */
	CHECK(o && o[1] == 126);
	CHECK(o && !o[8 + 199] && o[8 + 200] == 60 && !o[8 + 999]);
}

TEST(ra_off)
{
	ndp_setup();
	test_conf.no_ra = true;
	CHECK_EQ(feed_rs(GUEST_LL, NULL, 0), 0);
	CHECK_EQ(feed_ns(GUEST_LL, "ff02::1:ff00:1", "fe80::1"), 1);
}

static unsigned feed_odd(uint8_t type, uint8_t code, uint8_t ttl)
{
	struct addr t = test_addr("fe80::1");
	struct iovec iov = { t.b, type == NS ? 16 : 0 };
	struct packet p = test_packet(GUEST_LL, "ff02::2", IPPROTO_ICMPV6,
				      &iov);

	p.icmp.type = type;
	p.icmp.code = code;
	p.ttl = ttl;
	return sent_after(&p);
}

TEST(hop_limit_and_code)
{
	ndp_setup();
	for (uint8_t type = RS; type <= NS; type += 2) {
		CHECK_EQ(feed_odd(type, 0, 255), 1);
		CHECK_EQ(feed_odd(type, 0, 254), 0);
		CHECK_EQ(feed_odd(type, 0, 1), 0);
		CHECK_EQ(feed_odd(type, 1, 255), 0);
	}
}

TEST(na_exact_bytes)
{
	static const uint8_t want[] = {
		FLAG_R | FLAG_S | FLAG_O, 0, 0, 0,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		2, 1, 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55,
	};
	struct test_sent s;

	ndp_setup();
	CHECK_EQ(feed_ns(GUEST_LL, "ff02::1:ff00:1", "fe80::1"), 1);
	if (!test_take(&s))
		return;
	check_sent(&s, GUEST_LL, test_guest_mac);
	CHECK(s.l4[0] == NA && s.l4[1] == 0);
	CHECK_EQ(s.l4_len, 4 + sizeof(want));
	CHECK(!memcmp(s.l4 + 4, want, sizeof(want)));
}

static int na_flags(const char *src, const char *dst, const char *target)
{
	struct test_sent s;

	if (feed_ns(src, dst, target) != 1 || !test_take(&s))
		return -1;
	return s.l4[4];
}

TEST(na_flags_by_role)
{
	ndp_setup();
	CHECK_EQ(na_flags(GUEST_LL, "ff02::1:ff55:9a55", OUR_LL),
		 FLAG_R | FLAG_S | FLAG_O);
	CHECK_EQ(na_flags("2001:db8::10", "ff02::1:ff00:99", "2001:db8::99"),
		 FLAG_R | FLAG_S);
	/* unreachability detection: unicast */
	CHECK_EQ(na_flags("2001:db8::10", "2001:db8::99", "2001:db8::99"),
		 FLAG_R | FLAG_S);
	CHECK_EQ(na_flags(GUEST_LL, OUR_LL, OUR_LL), FLAG_R | FLAG_S | FLAG_O);
}

TEST(guests_own_left_in_peace)
{
	struct addr learned = test_addr("2001:db8::abcd");

	ndp_setup();
	CHECK_EQ(feed_ns(GUEST_LL, "ff02::1:ff00:10", "2001:db8::10"), 0);
	CHECK_EQ(feed_ns(GUEST_LL, "ff02::1:ff12:3456", GUEST_LL), 0);
	CHECK_EQ(feed_ns(GUEST_LL, "ff02::1:ff00:abcd", "2001:db8::abcd"), 1);
	guest_learn_addr(&learned);
	CHECK_EQ(feed_ns(GUEST_LL, "ff02::1:ff00:abcd", "2001:db8::abcd"), 0);
}

TEST(dad_left_in_peace)
{
	ndp_setup();
	CHECK_EQ(feed_ns("::", "ff02::1:ff00:10", "2001:db8::10"), 0);
	CHECK_EQ(feed_ns("::", "ff02::1:ff12:3456", GUEST_LL), 0);
	CHECK_EQ(feed_ns("::", "ff02::1:ff00:99", "2001:db8::99"), 0);
}

TEST(dad_for_ours_is_defended)
{
	struct test_sent s;

	ndp_setup();
	CHECK_EQ(feed_ns("::", "ff02::1:ff55:9a55", OUR_LL), 1);
	if (test_take(&s)) {
		check_sent(&s, "ff02::1", all_nodes_mac);
		CHECK_EQ(s.l4[4], FLAG_R | FLAG_O);
	}
	CHECK_EQ(feed_ns("::", "ff02::1:ff00:1", "fe80::1"), 1);
	/* RFC 4861 7.1.1: to the solicited-node address only */
	CHECK_EQ(feed_ns("::", "ff02::1", "fe80::1"), 0);
	CHECK_EQ(feed_ns("::", "ff02::1:ff00:2", "fe80::1"), 0);
	CHECK_EQ(feed_ns("::", "fe80::1", "fe80::1"), 0);
}

TEST(dad_with_link_layer_option)
{
	uint8_t body[16 + sizeof(slla)];
	struct addr t = test_addr("fe80::1");

	ndp_setup();
	memcpy(body, t.b, 16);
	memcpy(body + 16, slla, sizeof(slla));
	CHECK_EQ(feed(NS, "::", "ff02::1:ff00:1", body, sizeof(body)), 0);
	CHECK_EQ(feed(NS, GUEST_LL, "ff02::1:ff00:1", body, sizeof(body)), 1);
}

TEST(ns_for_no_host)
{
	ndp_setup();
	CHECK_EQ(feed_ns(GUEST_LL, "ff02::1:ff00:1", "ff02::1"), 0);
	CHECK_EQ(feed_ns(GUEST_LL, "ff02::1:ff00:0", "::"), 0);
}

TEST(truncated_at_every_length)
{
	uint8_t body[16 + 16] = { 0 };
	struct addr t = test_addr("fe80::1");

	ndp_setup();
	memcpy(body, t.b, 16);
	memcpy(body + 16, slla, sizeof(slla));
	body[24] = 14; /* nonce, RFC 3971 */
	body[25] = 1;
	for (size_t n = 0; n <= sizeof(body); n++) {
		bool whole = n >= 16 && !(n % 8);

		CHECK_EQ(feed(NS, GUEST_LL, "ff02::1:ff00:1", body, n), whole);
		if (n <= 16)
			CHECK_EQ(feed_rs(GUEST_LL, body + 16, n), !(n % 8));
	}
}

TEST(option_lengths)
{
	uint8_t options[16] = { 1, 1, [8] = 200, 1 };

	ndp_setup();
	CHECK_EQ(feed_rs(GUEST_LL, options, 16), 1);
	options[9] = 0;
	CHECK_EQ(feed_rs(GUEST_LL, options, 16), 0);
	options[9] = 2;
	CHECK_EQ(feed_rs(GUEST_LL, options, 16), 0);
	options[9] = 255;
	CHECK_EQ(feed_rs(GUEST_LL, options, 16), 0);
	options[1] = 2;
	CHECK_EQ(feed_rs(GUEST_LL, options, 16), 1);
	options[1] = 0;
	CHECK_EQ(feed_rs(GUEST_LL, options, 16), 0);
}

TEST(overlong)
{
	static uint8_t body[1504];

	ndp_setup();
	for (size_t i = 0; i < sizeof(body); i += 8)
		body[i + 1] = 1;
	CHECK_EQ(feed_rs(GUEST_LL, body, 1496), 1);
	CHECK_EQ(feed_rs(GUEST_LL, body, 1504), 0);
}

TEST(whose_packet_is_it)
{
	static const uint8_t ours[] = { 130, 131, 132, 133, 134, 135, 136, 137,
					143 };
	uint8_t body[16] = { 0 };
	struct iovec iov = { body, sizeof(body) };
	struct packet p = test_packet(GUEST_LL, OUR_LL, IPPROTO_ICMPV6, &iov);

	ndp_setup();
	for (unsigned type = 0; type < 256; type++) {
		p.icmp.type = (uint8_t)type;
		CHECK_EQ(ndp_input(&p, START),
			 !!memchr(ours, (int)type, sizeof(ours)));
	}
	p.icmp.type = RS;
	p.proto = IPPROTO_ICMP;
	CHECK(!ndp_input(&p, START));
}

TEST(guests_own_messages_consumed)
{
	static const uint8_t types[] = { 130, 131, 132, 134, 136, 137, 143 };
	uint8_t body[32] = { 0 };

	ndp_setup();
	for (size_t i = 0; i < sizeof(types); i++)
		CHECK_EQ(feed(types[i], GUEST_LL, "ff02::2", body, 32), 0);
}

TEST(switched_off)
{
	ndp_setup();
	test_conf.no_ndp = true;
	CHECK_EQ(feed_rs(GUEST_LL, NULL, 0), 0);
	CHECK_EQ(feed_ns(GUEST_LL, "ff02::1:ff00:1", "fe80::1"), 0);
	test_conf.no_ndp = false;
	test_conf.no_icmp = true;
	CHECK_EQ(feed_rs(GUEST_LL, NULL, 0), 0);
	test_conf.no_icmp = false;
	test_conf.family[CONF_V6].on = false;
	CHECK_EQ(feed_rs(GUEST_LL, NULL, 0), 0);
	test_conf.family[CONF_V6].on = true;
	CHECK_EQ(feed_rs(GUEST_LL, NULL, 0), 1);
}

TEST(unsolicited)
{
	usec_t now = START, last = START;
	struct test_sent s;

	ndp_setup();
	ndp_guest_up(now);
	if (test_take(&s))
		check_sent(&s, "ff02::1", all_nodes_mac);
	for (unsigned i = 0; i < 12; i++) {
		usec_t wait;

		now = timer_next();
		timer_run(now);
		CHECK_EQ(memlink_sent(), 1);
		memlink_clear();
		wait = (now - last) / USEC_PER_SEC;
		if (i < 2)
			CHECK_EQ(wait, 16);
		else
			CHECK(wait >= 200 && wait <= 600);
		last = now;
	}
}

TEST(unsolicited_intervals_vary)
{
	usec_t now = START, least = UINT64_MAX, most = 0;

	ndp_setup();
	ndp_guest_up(now);
	for (unsigned i = 0; i < 60; i++) {
		usec_t next = timer_next();

		if (i >= 2 && next - now < least)
			least = next - now;
		if (next - now > most)
			most = next - now;
		now = next;
		timer_run(now);
	}
	CHECK(least < 280 * USEC_PER_SEC && most > 520 * USEC_PER_SEC);
}

TEST(unsolicited_stops_and_begins_anew)
{
	ndp_setup();
	ndp_guest_up(START);
	ndp_guest_left();
	memlink_clear();
	CHECK(timer_next() == UINT64_MAX);
	timer_run(START + 3600 * USEC_PER_SEC);
	CHECK_EQ(memlink_sent(), 0);
	ndp_guest_up(START + 3600 * USEC_PER_SEC);
	CHECK_EQ(memlink_sent(), 1);
	timer_run(START + 3616 * USEC_PER_SEC + 1000);
	CHECK_EQ(memlink_sent(), 2);
	ndp_guest_left();
}

TEST(unsolicited_switched_off)
{
	ndp_setup();
	test_conf.no_ra = true;
	ndp_guest_up(START);
	test_conf.no_ra = false;
	test_conf.no_ndp = true;
	ndp_guest_up(START);
	CHECK_EQ(memlink_sent(), 0);
	CHECK(timer_next() == UINT64_MAX);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
