// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of serve/dhcpv6.c: every message and its rules (RFC 8415 16, 18.3),
 * every option, and what is refused
 */
#include "serve/dhcpv6.h"

#include <stdlib.h>

#include "test/unit/serve_test.h"

enum {
	SOLICIT = 1, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE,
	DECLINE, RECONFIGURE, INFORMATION, RELAY_FORW,
};

enum { SUCCESS = 0, NO_ADDRS = 2, NO_BINDING, NOT_ON_LINK, MULTICAST,
       NO_PREFIX };

enum { CLIENT_ID = 1, SERVER_ID, IA_NA, IA_TA, IA_ADDR, ORO, PREFERENCE,
       STATUS = 13, RAPID, DNS = 23, SEARCH, IA_PD, FQDN = 39 };

#define ADDR		"2001:db8::10"
#define WRONG		"2001:db8::11"
#define OUR_LL		"fe80::9855:9aff:fe55:9a55"
#define GUEST_LL	"fe80::5054:ff:fe12:3456"
#define SERVERS		"ff02::1:2"

static const uint8_t duid[] = { 0, 3, 0, 1, 0x9a, 0x55, 0x9a, 0x55, 0x9a,
				0x55 };
static const uint8_t client[] = { 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
				  13, 14, 15, 16 };

static uint8_t msg[2048];
static struct out m;
static size_t ia_begin;

static struct test_sent sent;
static struct cur reply;
static int reply_type;

static void v6_setup(void)
{
	test_setup();
	dhcpv6_init(&test_conf);
}

static void put(uint16_t code, const void *value, size_t len)
{
	out_be16(&m, code);
	out_be16(&m, (uint16_t)len);
	out_bytes(&m, value, len);
}

static void begin_bare(uint8_t type)
{
	m = out_of(msg, sizeof(msg));
	out_u8(&m, type);
	out_bytes(&m, "\xab\xcd\xef", 3);
}

/** With the identifiers that a message of this type has */
static void begin(uint8_t type)
{
	begin_bare(type);
	put(CLIENT_ID, client, sizeof(client));
	if (type == REQUEST || type == RENEW || type == RELEASE ||
	    type == DECLINE)
		put(SERVER_ID, duid, sizeof(duid));
}

static void ia(uint16_t code, uint32_t iaid)
{
	ia_begin = m.len;
	out_be16(&m, code);
	out_be16(&m, code == IA_TA ? 4 : 12);
	out_be32(&m, iaid);
	if (code != IA_TA)
		out_zero(&m, 8);
}

static void ia_addr(const char *text)
{
	struct addr a = test_addr(text);

	put(IA_ADDR, a.b, 16);
	put_be16(msg + m.len - 18, 24);
	out_be32(&m, 1);
	out_be32(&m, 2);
	put_be16(msg + ia_begin + 2, (uint16_t)(m.len - ia_begin - 4));
}

static unsigned feed(const void *bytes, size_t len, const char *src,
		     const char *dst)
{
	uint8_t *exact = malloc(len + !len);
	struct iovec iov = { exact, len };
	struct packet p = test_packet(src, dst, IPPROTO_UDP, &iov);

	memcpy(exact, bytes, len);
	p.sport = 546;
	p.dport = 547;
	memlink_clear();
	CHECK(dhcpv6_input(&p));
	free(exact);
	return memlink_sent();
}

static bool ask_at(const char *src, const char *dst)
{
	reply = (struct cur){ .left = 0 };
	reply_type = -1;
	if (!feed(msg, m.len, src, dst) || !test_take(&sent))
		return false;
	CHECK_EQ(sent.proto, IPPROTO_UDP);
	CHECK(test_addr_is(&sent.src, OUR_LL));
	CHECK(test_addr_is(&sent.dst, src));
	CHECK(!memcmp(sent.dmac, test_guest_mac, 6));
	CHECK_EQ(get_be16(sent.l4), 547);
	CHECK_EQ(get_be16(sent.l4 + 2), 546);
	CHECK(sent.l4_len <= 1240);
	reply_type = sent.l4[8];
	CHECK(!memcmp(sent.l4 + 9, "\xab\xcd\xef", 3));
	reply = cur_of(sent.l4 + 12, sent.l4_len - 12);
	return true;
}

static bool ask(void)
{
	return ask_at(GUEST_LL, SERVERS);
}

/** The nth option of a code among options; .p NULL: none */
static struct cur nth(struct cur c, uint16_t code, unsigned n)
{
	while (c.left) {
		uint16_t found = cur_be16(&c), len = cur_be16(&c);
		const uint8_t *p = cur_take(&c, len);

		CHECK(p && !c.bad);
		if (!p)
			break;
		if (found == code && !n--)
			return cur_of(p, len);
	}
	return (struct cur){ .p = NULL };
}

static bool has(uint16_t code)
{
	return nth(reply, code, 0).p;
}

static bool option_is(uint16_t code, const void *want, size_t len)
{
	struct cur v = nth(reply, code, 0);

	return v.p && v.left == len && !memcmp(v.p, want, len);
}

static int status_in(struct cur options)
{
	struct cur v = nth(options, STATUS, 0);

	return v.p && v.left > 2 ? get_be16(v.p) : -1;
}

/** Options inside the reply's nth IA, past IAID, T1, T2; those are checked */
static struct cur in_ia(uint16_t code, unsigned n, uint32_t iaid, uint32_t t)
{
	struct cur c = nth(reply, code, n);

	CHECK(c.p);
	CHECK_EQ(cur_be32(&c), iaid);
	if (code != IA_TA) {
		CHECK_EQ(cur_be32(&c), t);
		CHECK_EQ(cur_be32(&c), t);
	}
	return c;
}

static bool addr_is(struct cur options, unsigned n, const char *text,
		    uint32_t lifetime)
{
	struct addr a = test_addr(text);
	struct cur v = nth(options, IA_ADDR, n);

	return v.p && v.left == 24 && !memcmp(v.p, a.b, 16) &&
	       get_be32(v.p + 16) == lifetime && get_be32(v.p + 20) == lifetime;
}

static void check_ids(void)
{
	CHECK(option_is(SERVER_ID, duid, sizeof(duid)));
	CHECK(option_is(CLIENT_ID, client, sizeof(client)));
}

static void check_given(uint32_t iaid)
{
	struct cur c = in_ia(IA_NA, 0, iaid, 0xffffffff);

	CHECK(addr_is(c, 0, ADDR, 0xffffffff));
	CHECK(!nth(c, IA_ADDR, 1).p);
	CHECK_EQ(status_in(c), -1);
}

TEST(solicit_exact_bytes)
{
	static const uint8_t want[] = {
		ADVERTISE, 0xab, 0xcd, 0xef,
		0, 2, 0, 10, 0, 3, 0, 1, 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55,
		0, 1, 0, 18, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
		14, 15, 16,
		0, 7, 0, 1, 255,
		0, 3, 0, 40, 0, 0, 0, 7, 255, 255, 255, 255, 255, 255, 255, 255,
		0, 5, 0, 24, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0x10, 255, 255, 255, 255, 255, 255, 255, 255,
		0, 23, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0x53,
		0, 39, 0, 8, 4, 1, 'g', 3, 'o', 'r', 'g', 0,
		0, 24, 0, 12, 3, 'o', 'r', 'g', 0, 1, 'a', 3, 'o', 'r', 'g', 0,
	};

	v6_setup();
	strcpy(test_conf.fqdn, "g.org");
	test_search("org");
	test_search("a.org");
	dhcpv6_init(&test_conf);
	begin(SOLICIT);
	ia(IA_NA, 7);
	CHECK(ask());
	/* "\3org\0" is 5, "\1a\3org\0" 7 bytes */
	CHECK_EQ(sent.l4_len - 8, sizeof(want));
	CHECK(!memcmp(sent.l4 + 8, want, sizeof(want)));
}

TEST(solicit_hint_ignored)
{
	v6_setup();
	begin(SOLICIT);
	ia(IA_NA, 1);
	ia_addr(WRONG);
	CHECK(ask());
	CHECK_EQ(reply_type, ADVERTISE);
	check_ids();
	check_given(1);
}

TEST(solicit_rapid)
{
	v6_setup();
	begin(SOLICIT);
	put(RAPID, NULL, 0);
	ia(IA_NA, 1);
	CHECK(ask());
	CHECK_EQ(reply_type, REPLY);
	CHECK(option_is(RAPID, "", 0) && !has(PREFERENCE));
	check_given(1);
	begin(SOLICIT);
	put(RAPID, "x", 1);
	CHECK(!ask());
}

TEST(other_associations)
{
	v6_setup();
	for (uint8_t type = SOLICIT; type <= REQUEST; type += 2) {
		begin(type);
		ia(IA_TA, 5);
		ia(IA_PD, 6);
		ia(IA_NA, 7);
		ia(IA_NA, 8);
		CHECK(ask());
		CHECK_EQ(status_in(in_ia(IA_TA, 0, 5, 0)), NO_ADDRS);
		CHECK_EQ(status_in(in_ia(IA_PD, 0, 6, 0)), NO_PREFIX);
		check_given(7);
		CHECK_EQ(status_in(in_ia(IA_NA, 1, 8, 0)), NO_ADDRS);
	}
}

TEST(no_address_to_give)
{
	v6_setup();
	test_conf.family[CONF_V6].addr = ADDR_ANY6;
	begin(SOLICIT);
	ia(IA_NA, 1);
	CHECK(ask());
	CHECK_EQ(reply_type, ADVERTISE);
	CHECK_EQ(status_in(in_ia(IA_NA, 0, 1, 0)), NO_ADDRS);
	CHECK(!nth(in_ia(IA_NA, 0, 1, 0), IA_ADDR, 0).p && has(DNS));
	begin(REQUEST);
	ia(IA_NA, 1);
	ia_addr(ADDR);
	CHECK(ask());
	CHECK_EQ(status_in(in_ia(IA_NA, 0, 1, 0)), NO_ADDRS);
	begin(RENEW);
	ia(IA_NA, 1);
	ia_addr(ADDR);
	CHECK(ask());
	CHECK_EQ(status_in(in_ia(IA_NA, 0, 1, 0)), NO_BINDING);
	begin(CONFIRM);
	ia(IA_NA, 1);
	ia_addr(ADDR);
	CHECK(ask());
	CHECK_EQ(status_in(reply), NOT_ON_LINK);
}

TEST(request)
{
	v6_setup();
	begin(REQUEST);
	ia(IA_NA, 3);
	ia_addr(ADDR);
	CHECK(ask());
	CHECK_EQ(reply_type, REPLY);
	check_ids();
	check_given(3);
	CHECK_EQ(status_in(reply), -1);
	begin(REQUEST);
	ia(IA_NA, 3);
	CHECK(ask());
	check_given(3);
}

TEST(request_not_on_link)
{
	struct cur c;

	v6_setup();
	begin(REQUEST);
	ia(IA_NA, 3);
	ia_addr(WRONG);
	CHECK(ask());
	c = in_ia(IA_NA, 0, 3, 0);
	CHECK_EQ(status_in(c), NOT_ON_LINK);
	CHECK(!nth(c, IA_ADDR, 0).p);
	begin(REQUEST);
	ia(IA_NA, 3);
	ia_addr(ADDR);
	ia_addr(WRONG);
	CHECK(ask());
	CHECK_EQ(status_in(in_ia(IA_NA, 0, 3, 0)), NOT_ON_LINK);
}

TEST(renew_and_rebind)
{
	struct cur c;

	v6_setup();
	for (uint8_t type = RENEW; type <= REBIND; type++) {
		begin(type);
		ia(IA_NA, 3);
		ia_addr(ADDR);
		CHECK(ask());
		CHECK_EQ(reply_type, REPLY);
		check_ids();
		check_given(3);
		CHECK(has(DNS));
		begin(type);
		ia(IA_NA, 3);
		ia_addr(WRONG);
		ia_addr(ADDR);
		ia_addr("2001:db8::12");
		ia(IA_TA, 4);
		ia(IA_PD, 5);
		ia(IA_NA, 6);
		CHECK(ask());
		c = in_ia(IA_NA, 0, 3, 0xffffffff);
		CHECK(addr_is(c, 0, ADDR, 0xffffffff));
		CHECK(addr_is(c, 1, WRONG, 0));
		CHECK(addr_is(c, 2, "2001:db8::12", 0));
		CHECK(!nth(c, IA_ADDR, 3).p);
		CHECK_EQ(status_in(in_ia(IA_TA, 0, 4, 0)), NO_BINDING);
		CHECK_EQ(status_in(in_ia(IA_PD, 0, 5, 0)), NO_BINDING);
		CHECK_EQ(status_in(in_ia(IA_NA, 1, 6, 0)), NO_BINDING);
	}
}

TEST(confirm)
{
	v6_setup();
	begin(CONFIRM);
	ia(IA_NA, 3);
	ia_addr(ADDR);
	CHECK(ask());
	CHECK_EQ(reply_type, REPLY);
	check_ids();
	CHECK_EQ(status_in(reply), SUCCESS);
	CHECK(!has(IA_NA) && !has(DNS));
	begin(CONFIRM);
	ia(IA_NA, 3);
	ia_addr(WRONG);
	CHECK(ask());
	CHECK_EQ(status_in(reply), NOT_ON_LINK);
	begin(CONFIRM);
	ia(IA_NA, 3);
	ia_addr(ADDR);
	ia(IA_TA, 4);
	ia_addr(WRONG);
	CHECK(ask());
	CHECK_EQ(status_in(reply), NOT_ON_LINK);
	begin(CONFIRM);
	ia(IA_NA, 3);
	CHECK(!ask());
}

TEST(release_and_decline)
{
	v6_setup();
	for (uint8_t type = RELEASE; type <= DECLINE; type++) {
		begin(type);
		ia(IA_NA, 3);
		ia_addr(ADDR);
		CHECK(ask());
		CHECK_EQ(reply_type, REPLY);
		check_ids();
		CHECK_EQ(status_in(reply), SUCCESS);
		CHECK(!has(IA_NA) && !has(DNS));
		begin(type);
		ia(IA_NA, 3);
		ia_addr(WRONG);
		ia(IA_PD, 4);
		CHECK(ask());
		CHECK_EQ(status_in(reply), SUCCESS);
		CHECK_EQ(status_in(in_ia(IA_NA, 0, 3, 0)), NO_BINDING);
		CHECK_EQ(status_in(in_ia(IA_PD, 0, 4, 0)), NO_BINDING);
	}
}

TEST(information_request)
{
	v6_setup();
	begin_bare(INFORMATION);
	CHECK(ask());
	CHECK_EQ(reply_type, REPLY);
	CHECK(option_is(SERVER_ID, duid, sizeof(duid)) && !has(CLIENT_ID));
	CHECK(has(DNS) && !has(IA_NA));
	begin(INFORMATION);
	put(SERVER_ID, duid, sizeof(duid));
	CHECK(ask());
	check_ids();
	begin(INFORMATION);
	ia(IA_NA, 1);
	CHECK(!ask());
	begin(INFORMATION);
	ia(IA_PD, 1);
	CHECK(!ask());
}

/* RFC 8415 16: per type, whether it is answered with these identifiers */
TEST(identifiers_by_type)
{
	static const struct {
		uint8_t type;
		bool none, client, server, both, wrong;
	} t[] = {
		{ SOLICIT, false, true, false, false, false },
		{ REQUEST, false, false, false, true, false },
		{ CONFIRM, false, true, false, false, false },
		{ RENEW, false, false, false, true, false },
		{ REBIND, false, true, false, false, false },
		{ RELEASE, false, false, false, true, false },
		{ DECLINE, false, false, false, true, false },
		{ INFORMATION, true, true, true, true, false },
	};

	v6_setup();
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const bool want[] = { t[i].none, t[i].client, t[i].server,
				      t[i].both, t[i].wrong };

		for (unsigned ids = 0; ids < 5; ids++) {
			begin_bare(t[i].type);
			if (ids & 1 || ids == 4)
				put(CLIENT_ID, client, sizeof(client));
			if (ids & 2)
				put(SERVER_ID, duid, sizeof(duid));
			if (ids == 4)
				put(SERVER_ID, client, sizeof(duid));
			if (t[i].type != INFORMATION) {
				ia(IA_NA, 1);
				ia_addr(ADDR);
			}
			CHECK_EQ(ask(), want[ids]);
		}
	}
}

TEST(server_id_length)
{
	v6_setup();
	begin_bare(INFORMATION);
	put(SERVER_ID, duid, sizeof(duid) - 1);
	CHECK(!ask());
	begin_bare(INFORMATION);
	put(SERVER_ID, "\0\3\0\1\x9a\x55\x9a\x55\x9a\x55", 11);
	CHECK(!ask());
}

TEST(types_refused)
{
	v6_setup();
	for (unsigned type = 0; type < 256; type++) {
		if (type == INFORMATION || (type && type <= DECLINE &&
					    type != ADVERTISE && type != REPLY))
			continue;
		begin((uint8_t)type);
		CHECK(!ask());
	}
}

TEST(unicast)
{
	/* told to use multicast, or dropped (RFC 8415 16, 18.3) */
	v6_setup();
	for (uint8_t type = SOLICIT; type <= INFORMATION; type++) {
		bool told = type == REQUEST || type == RENEW ||
			    type == RELEASE || type == DECLINE;

		begin(type);
		if (type != INFORMATION) {
			ia(IA_NA, 1);
			ia_addr(ADDR);
		}
		CHECK_EQ(ask_at(GUEST_LL, OUR_LL), told);
		if (!told)
			continue;
		CHECK_EQ(reply_type, REPLY);
		check_ids();
		CHECK_EQ(status_in(reply), MULTICAST);
		CHECK(!has(IA_NA) && !has(DNS));
	}
}

TEST(source_not_link_local)
{
	v6_setup();
	begin(SOLICIT);
	ia(IA_NA, 1);
	CHECK(!ask_at(ADDR, SERVERS));
	CHECK(!ask_at("::", SERVERS));
	CHECK(ask());
}

TEST(option_request)
{
	v6_setup();
	strcpy(test_conf.fqdn, "g.org");
	test_search("org");
	dhcpv6_init(&test_conf);
	begin(SOLICIT);
	CHECK(ask() && has(DNS) && has(SEARCH) && has(FQDN));
	begin(SOLICIT);
	put(ORO, NULL, 0);
	CHECK(ask() && !has(DNS) && !has(SEARCH) && !has(FQDN));
	begin(SOLICIT);
	put(ORO, "\0\x17\0\x52", 4);
	CHECK(ask() && has(DNS) && !has(SEARCH) && !has(FQDN));
	begin(SOLICIT);
	put(ORO, "\0\x18", 2);
	CHECK(ask() && !has(DNS) && has(SEARCH) && !has(FQDN));
	begin(SOLICIT);
	put(ORO, "\0\x18\0\x27", 4);
	CHECK(ask() && !has(DNS) && has(SEARCH) && has(FQDN));
	begin(SOLICIT);
	put(ORO, "\0\x17\0", 3);
	CHECK(!ask());
}

TEST(fqdn)
{
	v6_setup();
	strcpy(test_conf.fqdn, "g.org");
	dhcpv6_init(&test_conf);
	begin(SOLICIT);
	put(ORO, NULL, 0);
	put(FQDN, "\1\1h", 3);
	CHECK(ask() && option_is(FQDN, "\6\1g\3org", 8));
	begin(SOLICIT);
	put(ORO, NULL, 0);
	put(FQDN, "\0", 1);
	CHECK(ask() && option_is(FQDN, "\4\1g\3org", 8));
	begin(SOLICIT);
	put(FQDN, NULL, 0);
	CHECK(!ask());
	*test_conf.fqdn = 0;
	dhcpv6_init(&test_conf);
	begin(SOLICIT);
	put(FQDN, "\0", 1);
	CHECK(ask() && !has(FQDN));
}

TEST(dns_and_search_apart)
{
	v6_setup();
	test_search("org");
	dhcpv6_init(&test_conf);
	test_conf.family[CONF_V6].dns_count = 0;
	begin(SOLICIT);
	CHECK(ask() && !has(DNS) && option_is(SEARCH, "\3org", 5));
	test_conf.family[CONF_V6].dns_count = CONF_DNS_MAX;
	test_conf.dhcp_search = false;
	begin(SOLICIT);
	CHECK(ask() && !has(SEARCH));
	CHECK_EQ(nth(reply, DNS, 0).left, 16 * CONF_DNS_MAX);
	test_conf.dhcp_dns = false;
	begin(SOLICIT);
	CHECK(ask() && !has(DNS));
}

TEST(search_cut_between_names)
{
	char name[CONF_NAME_MAX];

	v6_setup();
	for (int i = 0; i < CONF_SEARCH_MAX; i++) {
		memset(name, 'a', sizeof(name));
		name[49] = '.';
		name[98] = 0;
		test_search(name);
	}
	dhcpv6_init(&test_conf);
	begin(SOLICIT);
	CHECK(ask());
	CHECK_EQ(nth(reply, SEARCH, 0).left, 1100);
}

TEST(reply_too_long)
{
	v6_setup();
	begin(SOLICIT);
	for (uint32_t i = 0; i < 60; i++)
		ia(IA_TA, i);
	CHECK(!ask());
	begin(SOLICIT);
	for (uint32_t i = 0; i < 30; i++)
		ia(IA_TA, i);
	CHECK(ask());
}

TEST(client_id_lengths)
{
	uint8_t id[140] = { 0, 2 };

	v6_setup();
	for (size_t len = 0; len <= sizeof(id); len++) {
		begin_bare(SOLICIT);
		put(CLIENT_ID, id, len);
		CHECK_EQ(ask(), len >= 3 && len <= 130);
	}
}

TEST(repeated_options)
{
	v6_setup();
	begin(SOLICIT);
	put(CLIENT_ID, client, sizeof(client));
	CHECK(!ask());
	begin(REQUEST);
	put(SERVER_ID, duid, sizeof(duid));
	CHECK(!ask());
	begin(SOLICIT);
	put(ORO, "\0\x17", 2);
	put(ORO, "\0\x17", 2);
	CHECK(!ask());
}

TEST(truncated_at_every_length)
{
	size_t head, whole;

	v6_setup();
	begin(REQUEST);
	head = m.len;
	ia(IA_NA, 3);
	ia_addr(ADDR);
	whole = m.len;
	for (size_t n = 0; n <= whole; n++)
		CHECK_EQ(feed(msg, n, GUEST_LL, SERVERS),
			 n == head || n == whole);
}

TEST(lengths_inside_ia)
{
	size_t at;

	v6_setup();
	for (unsigned len = 0; len < 80; len++) {
		begin(REQUEST);
		at = m.len;
		ia(IA_NA, 3);
		ia_addr(ADDR);
		put_be16(msg + at + 2, (uint16_t)len);
		/* 12: the address stands outside, where it means nothing */
		CHECK_EQ(feed(msg, m.len, GUEST_LL, SERVERS),
			 len == 12 || len == 40);
		begin(REQUEST);
		ia(IA_NA, 3);
		at = m.len;
		ia_addr(ADDR);
		put_be16(msg + at + 2, (uint16_t)len);
		CHECK_EQ(feed(msg, m.len, GUEST_LL, SERVERS), len == 24);
	}
}

TEST(short_associations)
{
	static const uint16_t codes[] = { IA_NA, IA_TA, IA_PD };
	uint8_t zero[16] = { 0 };

	v6_setup();
	for (size_t i = 0; i < 3; i++) {
		size_t least = codes[i] == IA_TA ? 4 : 12;

		for (size_t len = 0; len <= least; len++) {
			begin(SOLICIT);
			put(codes[i], zero, len);
			CHECK_EQ(ask(), len == least);
		}
	}
}

TEST(overlong)
{
	v6_setup();
	begin(SOLICIT);
	put(999, NULL, 0);
	put_be16(msg + m.len - 2, (uint16_t)(1500 - m.len));
	out_zero(&m, 1500 - m.len);
	CHECK(ask());
	out_zero(&m, 4);
	CHECK(!ask());
}

TEST(whose_packet_is_it)
{
	static uint8_t b[8] = { SOLICIT };
	struct iovec iov = { b, 4 };
	struct packet p = test_packet(GUEST_LL, SERVERS, IPPROTO_UDP, &iov);

	v6_setup();
	p.sport = 12345;
	p.dport = 547;
	CHECK(dhcpv6_input(&p));
	p.dport = 546;
	CHECK(!dhcpv6_input(&p));
	p.dport = 547;
	p.proto = IPPROTO_TCP;
	CHECK(!dhcpv6_input(&p));
	p.proto = IPPROTO_UDP;
	p.dst = test_addr(OUR_LL);
	CHECK(dhcpv6_input(&p));
	p.dst = test_addr("2001:db8::1");
	CHECK(!dhcpv6_input(&p));
	p.dst = test_addr("192.0.2.1");
	CHECK(!dhcpv6_input(&p));
	CHECK_EQ(memlink_sent(), 0);
}

TEST(switched_off)
{
	v6_setup();
	test_conf.no_dhcpv6 = true;
	begin(SOLICIT);
	CHECK(!ask());
	test_conf.no_dhcpv6 = false;
	test_conf.family[CONF_V6].on = false;
	CHECK(!ask());
	test_conf.family[CONF_V6].on = true;
	CHECK(ask());
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
