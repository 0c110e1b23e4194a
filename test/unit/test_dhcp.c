// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of serve/dhcp.c: every message, every option, where replies go, and
 * what is refused
 */
#include "serve/dhcp.h"

#include <stdlib.h>

#include "test/unit/serve_test.h"

enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };

#define COOKIE	0x63825363
#define ADDR	"192.0.2.10"
#define SERVER	"192.0.2.1"

static uint8_t msg[2048];
static struct out m;

/** What the last reply was */
static struct test_sent sent;
static const uint8_t *reply;
static size_t reply_len;

static void dhcp_setup(void)
{
	test_setup();
	dhcp_init(&test_conf);
}

static void put(uint8_t code, const void *value, size_t len)
{
	out_u8(&m, code);
	out_u8(&m, (uint8_t)len);
	out_bytes(&m, value, len);
}

static void put_u8(uint8_t code, uint8_t v)
{
	put(code, &v, 1);
}

static void put_addr(uint8_t code, const char *text)
{
	struct addr a = test_addr(text);

	put(code, a.b + 12, 4);
}

/** Fixed part and cookie; type 0: no option 53 */
static void begin(uint8_t type)
{
	static const uint8_t head[] = { 1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef };

	m = out_of(msg, sizeof(msg));
	out_bytes(&m, head, sizeof(head));
	out_zero(&m, 236 - sizeof(head));
	memcpy(msg + 28, test_guest_mac, 6);
	out_be32(&m, COOKIE);
	if (type)
		put_u8(53, type);
}

static void set_addr(size_t off, const char *text)
{
	struct addr a = test_addr(text);

	memcpy(msg + off, a.b + 12, 4);
}

static unsigned feed(const void *bytes, size_t len)
{
	uint8_t *exact = malloc(len + !len);
	struct iovec iov = { exact, len };
	struct packet p = test_packet("0.0.0.0", "255.255.255.255",
				      IPPROTO_UDP, &iov);

	memcpy(exact, bytes, len);
	p.sport = 68;
	p.dport = 67;
	memlink_clear();
	CHECK(dhcp_input(&p));
	free(exact);
	return memlink_sent();
}

/** End the message, feed it; true: a reply came, and is looked at */
static bool ask(void)
{
	out_u8(&m, 255);
	reply = NULL;
	if (!feed(msg, m.len) || !test_take(&sent))
		return false;
	CHECK_EQ(sent.proto, IPPROTO_UDP);
	CHECK_EQ(get_be16(sent.l4), 67);
	CHECK_EQ(get_be16(sent.l4 + 2), 68);
	reply = sent.l4 + 8;
	reply_len = sent.l4_len - 8;
	CHECK(reply_len >= 300);
	CHECK(reply[0] == 2 && reply[1] == 1 && reply[2] == 6 && !reply[3]);
	CHECK_EQ(get_be32(reply + 4), 0xdeadbeef);
	CHECK(!memcmp(reply + 28, msg + 28, 16));
	return true;
}

/** The reply's option, instances joined, or NULL; checks that they are whole */
static const uint8_t *option(uint8_t code, size_t *len)
{
	static uint8_t joined[2048];
	size_t at = 240, n = 0;
	bool found = false;

	while (reply && at < reply_len && reply[at] != 255) {
		CHECK(reply[at] && at + 2 + reply[at + 1] < reply_len);
		if (!reply[at] || at + 2 + reply[at + 1] >= reply_len)
			return NULL;
		if (reply[at] == code) {
			memcpy(joined + n, reply + at + 2, reply[at + 1]);
			n += reply[at + 1];
			found = true;
		}
		at += 2 + reply[at + 1];
	}
	CHECK(at < reply_len);
	*len = n;
	return found ? joined : NULL;
}

static bool has(uint8_t code)
{
	size_t len;

	return option(code, &len);
}

static bool option_is(uint8_t code, const void *want, size_t want_len)
{
	size_t len;
	const uint8_t *v = option(code, &len);

	return v && len == want_len && !memcmp(v, want, len);
}

static bool option_is_addr(uint8_t code, const char *text)
{
	struct addr a = test_addr(text);

	return option_is(code, a.b + 12, 4);
}

static int type(void)
{
	size_t len;
	const uint8_t *v = option(53, &len);

	return v && len == 1 ? *v : -1;
}

static bool field_is(size_t off, const char *text)
{
	struct addr a = test_addr(text);

	return !memcmp(reply + off, a.b + 12, 4);
}

TEST(discover_exact_bytes)
{
	static const uint8_t want[] = {
		0x63, 0x82, 0x53, 0x63, 53, 1, OFFER, 54, 4, 192, 0, 2, 1,
		51, 4, 255, 255, 255, 255, 1, 4, 255, 255, 255, 0,
		3, 4, 192, 0, 2, 1, 26, 2, 0xff, 0xf0,
		6, 8, 192, 0, 2, 53, 198, 51, 100, 53,
		119, 19, 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'o', 'r', 'g',
		0, 3, 's', 'u', 'b', 0xc0, 0, 255,
	};

	dhcp_setup();
	test_search("example.org");
	test_search("sub.example.org");
	dhcp_init(&test_conf);
	begin(DISCOVER);
	CHECK(ask());
	CHECK(test_addr_is(&sent.src, SERVER) && test_addr_is(&sent.dst, ADDR));
	CHECK(!memcmp(sent.dmac, test_guest_mac, 6));
	CHECK_EQ(reply_len, 300 + (236 + sizeof(want) > 300 ?
				   236 + sizeof(want) - 300 : 0));
	CHECK(field_is(12, "0.0.0.0") && field_is(16, ADDR));
	CHECK(field_is(20, "0.0.0.0") && field_is(24, "0.0.0.0"));
	CHECK(!memcmp(reply + 236, want, sizeof(want)));
}

TEST(padded_to_300)
{
	static const uint8_t prl = 1;

	dhcp_setup();
	begin(DISCOVER);
	put(55, &prl, 1);
	CHECK(ask());
	CHECK_EQ(reply_len, 300);
	CHECK(!reply[299]);
}

TEST(broadcast_flag)
{
	dhcp_setup();
	begin(DISCOVER);
	msg[10] = 0x80;
	CHECK(ask());
	CHECK(test_addr_is(&sent.dst, "255.255.255.255"));
	CHECK(!memcmp(sent.dmac, test_broadcast, 6));
	CHECK(reply[10] == 0x80 && field_is(16, ADDR));
}

TEST(selecting)
{
	dhcp_setup();
	begin(REQUEST);
	put_addr(50, ADDR);
	put_addr(54, SERVER);
	CHECK(ask());
	CHECK_EQ(type(), ACK);
	CHECK(field_is(16, ADDR) && option_is_addr(54, SERVER));
	CHECK(option_is(51, "\xff\xff\xff\xff", 4));
	CHECK(!has(58) && !has(59) && !has(80));
}

TEST(selecting_another_server)
{
	dhcp_setup();
	begin(REQUEST);
	put_addr(50, ADDR);
	put_addr(54, "192.0.2.2");
	CHECK(!ask());
}

static void check_nak(void)
{
	CHECK_EQ(type(), NAK);
	CHECK(test_addr_is(&sent.dst, "255.255.255.255"));
	CHECK(!memcmp(sent.dmac, test_broadcast, 6));
	CHECK(field_is(12, "0.0.0.0") && field_is(16, "0.0.0.0"));
	CHECK(option_is_addr(54, SERVER) && has(56));
	CHECK(!has(51) && !has(1) && !has(3) && !has(6) && !has(26));
}

TEST(selecting_wrong_address)
{
	dhcp_setup();
	begin(REQUEST);
	put_addr(50, "192.0.2.11");
	put_addr(54, SERVER);
	put(61, "\1abc", 4);
	CHECK(ask());
	check_nak();
	CHECK(option_is(61, "\1abc", 4));
}

TEST(selecting_without_address)
{
	dhcp_setup();
	begin(REQUEST);
	put_addr(54, SERVER);
	CHECK(!ask());
}

TEST(renewing_with_server)
{
	dhcp_setup();
	begin(REQUEST);
	set_addr(12, ADDR);
	put_addr(54, SERVER);
	CHECK(ask());
	CHECK_EQ(type(), ACK);
	CHECK(field_is(12, ADDR) && field_is(16, ADDR));
}

TEST(init_reboot)
{
	dhcp_setup();
	begin(REQUEST);
	put_addr(50, ADDR);
	CHECK(ask());
	CHECK_EQ(type(), ACK);
	CHECK(test_addr_is(&sent.dst, ADDR));
	begin(REQUEST);
	put_addr(50, "10.0.0.1");
	CHECK(ask());
	check_nak();
}

TEST(renewing)
{
	dhcp_setup();
	begin(REQUEST);
	set_addr(12, ADDR);
	msg[10] = 0x80; /* means nothing to a client that has an address */
	CHECK(ask());
	CHECK_EQ(type(), ACK);
	CHECK(test_addr_is(&sent.dst, ADDR));
	CHECK(!memcmp(sent.dmac, test_guest_mac, 6));
	CHECK(field_is(12, ADDR) && field_is(16, ADDR));
	begin(REQUEST);
	set_addr(12, "192.0.2.99");
	CHECK(ask());
	check_nak();
	begin(REQUEST);
	CHECK(!ask());
}

TEST(inform)
{
	dhcp_setup();
	begin(INFORM);
	set_addr(12, "192.0.2.77");
	CHECK(ask());
	CHECK_EQ(type(), ACK);
	CHECK(test_addr_is(&sent.dst, "192.0.2.77"));
	CHECK(field_is(12, "192.0.2.77") && field_is(16, "0.0.0.0"));
	CHECK(!has(51) && has(6) && has(1));
	begin(INFORM);
	CHECK(!ask());
}

TEST(decline_and_release)
{
	dhcp_setup();
	begin(DECLINE);
	put_addr(50, ADDR);
	put_addr(54, SERVER);
	CHECK(!ask());
	begin(RELEASE);
	set_addr(12, ADDR);
	put_addr(54, SERVER);
	CHECK(!ask());
}

TEST(rapid_commit)
{
	dhcp_setup();
	begin(DISCOVER);
	put(80, NULL, 0);
	CHECK(ask());
	CHECK_EQ(type(), ACK);
	CHECK(option_is(80, "", 0) && has(51));
	begin(DISCOVER);
	put(80, "x", 1);
	CHECK(!ask());
}

TEST(bootp)
{
	dhcp_setup();
	begin(0);
	CHECK(ask());
	CHECK_EQ(reply_len, 300);
	CHECK(field_is(16, ADDR));
	CHECK(get_be32(reply + 236) == COOKIE);
	CHECK(!has(53) && !has(54) && !has(51));
	CHECK(option_is_addr(3, SERVER) && has(1) && has(6));
}

TEST(bootp_without_cookie)
{
	dhcp_setup();
	begin(0);
	put_be32(msg + 236, 0);
	CHECK(ask());
	CHECK_EQ(reply_len, 300);
	CHECK(field_is(16, ADDR));
	for (size_t i = 236; i < 300; i++)
		CHECK(!reply[i]);
}

TEST(client_id_echoed)
{
	uint8_t id[255];

	dhcp_setup();
	memset(id, 7, sizeof(id));
	begin(DISCOVER);
	put(61, id, 19);
	CHECK(ask() && option_is(61, id, 19));
	begin(DISCOVER);
	put(61, id, 255);
	CHECK(ask() && option_is(61, id, 255));
	CHECK_EQ(type(), OFFER);
	CHECK(reply_len <= 548);
	begin(DISCOVER);
	CHECK(ask() && !has(61));
}

TEST(parameter_list)
{
	static const uint8_t prl[] = { 6, 12, 200 };

	dhcp_setup();
	strcpy(test_conf.hostname, "guest");
	strcpy(test_conf.fqdn, "guest.example.org");
	test_search("example.org");
	dhcp_init(&test_conf);
	begin(DISCOVER);
	put(55, prl, sizeof(prl));
	CHECK(ask());
	CHECK(has(1) && has(3) && has(6) && has(26));
	CHECK(option_is(12, "guest", 5));
	/* not asked for, and told nevertheless, but for 81 */
	CHECK(has(119) && !has(81));
	begin(DISCOVER);
	put(55, "\x77", 1);
	CHECK(ask() && has(119) && has(6) && option_is(12, "guest", 5));
}

/* What is asked for has the room first */
TEST(parameters_without_room)
{
	static const uint8_t prl[] = { 6, 12 };
	char name[CONF_NAME_MAX];
	size_t len;

	dhcp_setup();
	memset(test_conf.hostname, 'h', 60);
	for (int i = 0; i < 4; i++) {
		memset(name, 'a' + i, 62);
		strcpy(name + 62, ".example");
		test_search(name);
	}
	dhcp_init(&test_conf);
	begin(DISCOVER);
	put(55, "\x77", 1);
	CHECK(ask() && option(119, &len) && len == 72 + 3 * 65);
	CHECK(!has(12) && !has(6));
	begin(DISCOVER);
	put(55, prl, sizeof(prl));
	CHECK(ask() && option(119, &len) && len == 72 + 2 * 65);
	CHECK(has(12) && has(6));
}

TEST(mtu)
{
	dhcp_setup();
	test_conf.mtu = 0;
	begin(DISCOVER);
	CHECK(ask() && !has(26));
	test_conf.mtu = 67;
	begin(DISCOVER);
	CHECK(ask() && !has(26));
	test_conf.mtu = 68;
	begin(DISCOVER);
	CHECK(ask() && option_is(26, "\0\x44", 2));
}

TEST(masks)
{
	static const struct {
		unsigned len;
		uint8_t mask[4];
	} t[] = {
		{ 0, { 0, 0, 0, 0 } },	       { 1, { 128, 0, 0, 0 } },
		{ 8, { 255, 0, 0, 0 } },       { 20, { 255, 255, 240, 0 } },
		{ 31, { 255, 255, 255, 254 } }, { 32, { 255, 255, 255, 255 } },
	};

	dhcp_setup();
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		test_conf.family[CONF_V4].prefix = t[i].len;
		begin(DISCOVER);
		CHECK(ask() && option_is(1, t[i].mask, 4));
	}
}

TEST(gateway_outside)
{
	static const uint8_t want[] = { 32, 10, 9, 8, 7, 0, 0, 0, 0,
					0, 10, 9, 8, 7 };

	dhcp_setup();
	test_conf.family[CONF_V4].gateway = test_addr("10.9.8.7");
	begin(DISCOVER);
	CHECK(ask());
	CHECK(option_is(121, want, sizeof(want)));
	CHECK(option_is_addr(3, "10.9.8.7") && option_is_addr(54, "10.9.8.7"));
	test_conf.family[CONF_V4].gateway = test_addr(SERVER);
	test_conf.family[CONF_V4].prefix = 32;
	begin(DISCOVER);
	CHECK(ask() && has(121));
	test_conf.family[CONF_V4].prefix = 24;
	begin(DISCOVER);
	CHECK(ask() && !has(121));
}

TEST(no_gateway)
{
	struct conf_family *f = &test_conf.family[CONF_V4];

	dhcp_setup();
	f->gateway = ADDR_ANY6;
	f->no_gateway = true;
	begin(DISCOVER);
	CHECK(ask());
	CHECK(!has(3) && !has(121) && option_is_addr(54, "169.254.2.2"));
	CHECK(test_addr_is(&sent.src, "169.254.2.2"));
	f->no_gateway = false;
	begin(DISCOVER);
	CHECK(ask() && option_is_addr(3, "169.254.2.2") && has(121));
	f->no_gateway = true;
	f->gateway = test_addr(SERVER);
	begin(DISCOVER);
	CHECK(ask() && option_is_addr(3, SERVER));
}

TEST(dns)
{
	struct conf_family *f = &test_conf.family[CONF_V4];

	dhcp_setup();
	f->dns_count = 0;
	begin(DISCOVER);
	CHECK(ask() && !has(6));
	f->dns_count = 1;
	begin(DISCOVER);
	CHECK(ask() && option_is_addr(6, "192.0.2.53"));
	test_conf.dhcp_dns = false;
	begin(DISCOVER);
	CHECK(ask() && !has(6));
}

TEST(search_switched_off)
{
	dhcp_setup();
	begin(DISCOVER);
	CHECK(ask() && !has(119));
	test_search("example.org");
	dhcp_init(&test_conf);
	test_conf.family[CONF_V4].dns_count = 0;
	begin(DISCOVER);
	CHECK(ask() && has(119) && !has(6));
	test_conf.dhcp_search = false;
	begin(DISCOVER);
	CHECK(ask() && !has(119));
}

/** @n names, each of @wire bytes */
static void search_long(int n, size_t wire)
{
	char name[CONF_NAME_MAX];

	for (int i = 0; i < n; i++) {
		memset(name, 'a' + i, sizeof(name));
		name[49] = '.';
		name[wire - 2] = 0;
		test_search(name);
	}
	dhcp_init(&test_conf);
}

TEST(search_split)
{
	size_t len;
	const uint8_t *v;

	/* 100 bytes each, in pieces of 255 (RFC 3396) */
	dhcp_setup();
	search_long(6, 100);
	begin(DISCOVER);
	put(57, "\5\xdc", 2);
	CHECK(ask());
	v = option(119, &len);
	CHECK(v && len == 600);
	for (unsigned i = 0; v && i < 6; i++)
		CHECK(v[100 * i] == 49 && v[100 * i + 1] == 'a' + (int)i);
}

TEST(search_cut_between_names)
{
	size_t len;
	const uint8_t *v;

	/* 548 bytes without option 57: two names of 100 bytes, not a third */
	dhcp_setup();
	search_long(6, 100);
	begin(DISCOVER);
	CHECK(ask());
	v = option(119, &len);
	CHECK(v && len == 200 && !v[199]);
	CHECK(reply_len <= 548);
}

TEST(search_fits_exactly)
{
	size_t len;

	/* 281 bytes come before, the end after: five names are 510 bytes in
	 * two pieces, which are 514
	 */
	dhcp_setup();
	search_long(6, 102);
	begin(DISCOVER);
	put(57, "\3\x38", 2); /* 28 + 281 + 514 + 1 */
	CHECK(ask() && option(119, &len) && len == 510);
	CHECK_EQ(reply_len, 796);
	begin(DISCOVER);
	put(57, "\3\x37", 2);
	CHECK(ask() && option(119, &len) && len == 408);
}

TEST(max_size)
{
	size_t len;

	dhcp_setup();
	search_long(20, 100);
	begin(DISCOVER);
	put(57, "\2\x58", 2);
	CHECK(ask() && reply_len <= 600 - 28 && reply_len > 600 - 28 - 100);
	begin(DISCOVER);
	put(57, "\0\1", 2); /* below the least there is */
	CHECK(ask() && reply_len <= 548 && option(119, &len) && len == 200);
	begin(DISCOVER);
	put(57, "\xff\xff", 2);
	CHECK(ask() && reply_len <= 1472 && reply_len > 1372);
	frame_out_init(1300);
	begin(DISCOVER);
	put(57, "\xff\xff", 2);
	CHECK(ask() && reply_len <= 1272 && reply_len > 1172);
	begin(DISCOVER);
	put(57, "\xff", 1);
	CHECK(!ask());
}

TEST(fqdn)
{
	static const char wire[] = "\5guest\7example\3org";
	uint8_t want[64] = { 0x0c, 255, 255 };

	dhcp_setup();
	strcpy(test_conf.fqdn, "guest.example.org");
	dhcp_init(&test_conf);
	memcpy(want + 3, wire, sizeof(wire));
	begin(DISCOVER);
	CHECK(ask() && option_is(81, want, 3 + sizeof(wire)));
	/* sent by the client, not in its list; S asked for, wire form */
	begin(DISCOVER);
	put(55, "\1", 1);
	put(81, "\5\0\0", 3);
	want[0] = 0x0e;
	CHECK(ask() && option_is(81, want, 3 + sizeof(wire)));
	/* ASCII, as the client's */
	begin(DISCOVER);
	put(81, "\1\0\0guest", 8);
	CHECK(ask() && option_is(81, "\x0a\xff\xffguest.example.org", 20));
	begin(DISCOVER);
	put(55, "\1", 1);
	CHECK(ask() && !has(81));
}

TEST(no_names_no_options)
{
	dhcp_setup();
	begin(DISCOVER);
	put(81, "\5\0\0", 3);
	CHECK(ask() && !has(81) && !has(12));
}

TEST(overload)
{
	static const struct {
		uint8_t value, file, sname;
	} t[] = { { 1, 1, 0 }, { 2, 0, 1 }, { 3, 1, 1 }, { 0, 0, 0 } };

	dhcp_setup();
	for (size_t i = 0; i < 4; i++) {
		begin(REQUEST);
		put_addr(54, SERVER);
		put_u8(52, t[i].value);
		memcpy(msg + 108, "\62\4\300\0\2\12\377", 7);
		memcpy(msg + 44, "\75\3xyz\377", 6);
		CHECK_EQ(ask(), t[i].file);
		if (t[i].file)
			CHECK_EQ(type(), ACK);
		if (t[i].file && t[i].sname)
			CHECK(option_is(61, "xyz", 3));
		if (t[i].file && !t[i].sname)
			CHECK(!has(61));
	}
}

TEST(overload_malformed)
{
	dhcp_setup();
	begin(DISCOVER);
	put_u8(52, 4);
	CHECK(!ask());
	begin(DISCOVER);
	put(52, "\1\1", 2);
	CHECK(!ask());
	begin(DISCOVER);
	put_u8(52, 1);
	msg[108 + 126] = 12;
	msg[108 + 127] = 1; /* one byte past the field */
	CHECK(!ask());
	begin(DISCOVER);
	put_u8(52, 2);
	memset(msg + 44, 0, 64);
	msg[44 + 63] = 12;
	CHECK(!ask());
}

TEST(options_joined)
{
	/* RFC 3396: an identifier in two instances */
	dhcp_setup();
	begin(DISCOVER);
	put(61, "\1ab", 3);
	put(12, "x", 1);
	put(61, "cd", 2);
	CHECK(ask() && option_is(61, "\1abcd", 5));
}

TEST(pad_and_missing_end)
{
	dhcp_setup();
	begin(0);
	out_zero(&m, 5);
	put_u8(53, DISCOVER);
	out_zero(&m, 5);
	CHECK_EQ(feed(msg, m.len), 1);
}

TEST(fixed_part_refused)
{
	/* offset, value */
	static const uint8_t bad[][2] = {
		{ 0, 2 }, { 0, 0 }, { 1, 6 }, { 1, 0 }, { 2, 0 }, { 2, 16 },
		{ 24, 10 }, { 27, 1 }, { 28, 0x53 }, { 28, 0xff }, { 12, 224 },
		{ 12, 127 },
		{ 12, 255 },
	};

	dhcp_setup();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(REQUEST);
		put_addr(50, ADDR);
		if (bad[i][1] == 255)
			memset(msg + 12, 255, 4);
		else
			msg[bad[i][0]] = bad[i][1];
		CHECK(!ask());
	}
}

TEST(types_refused)
{
	dhcp_setup();
	for (unsigned t = 0; t < 256; t++) {
		begin(0);
		put_u8(53, (uint8_t)t);
		set_addr(12, ADDR);
		CHECK_EQ(ask(), t == DISCOVER || t == REQUEST || t == INFORM);
	}
}

TEST(option_lengths_refused)
{
	static const uint8_t codes[] = { 50, 53, 54, 57 };

	dhcp_setup();
	for (size_t i = 0; i < sizeof(codes); i++) {
		for (size_t len = 0; len < 6; len++) {
			begin(codes[i] == 53 ? 0 : DISCOVER);
			put(codes[i], "\1\1\1\1\1\1", len);
			CHECK_EQ(ask(), len == (codes[i] == 53 ? 1U :
						codes[i] == 57 ? 2U : 4U));
		}
	}
}

TEST(truncated_at_every_length)
{
	size_t whole;

	dhcp_setup();
	begin(REQUEST);
	put_addr(50, ADDR);
	put_addr(54, SERVER);
	put(61, "\1abc", 4);
	whole = m.len;
	for (size_t n = 0; n < 240; n++)
		CHECK_EQ(feed(msg, n), 0);
	for (size_t n = 240; n <= whole; n++) {
		/* Cut inside an option; between two a message is another one:
		 * BOOTP, then nothing asked for, then a reboot, then a choice
		 */
		bool between = n == 240 || n == 249 || n == 255 || n == 261;

		CHECK_EQ(feed(msg, n), between);
	}
}

TEST(length_overrun)
{
	dhcp_setup();
	for (unsigned len = 0; len < 256; len++) {
		begin(DISCOVER);
		out_u8(&m, 12);
		out_u8(&m, (uint8_t)len);
		out_zero(&m, 100);
		CHECK_EQ(feed(msg, m.len), len <= 100);
	}
}

TEST(overlong)
{
	dhcp_setup();
	begin(DISCOVER);
	out_u8(&m, 255);
	out_zero(&m, 1500 - m.len);
	CHECK_EQ(feed(msg, 1500), 1);
	out_zero(&m, 1);
	CHECK_EQ(feed(msg, 1501), 0);
}

TEST(whose_packet_is_it)
{
	static uint8_t b[300];
	struct iovec iov = { b, sizeof(b) };
	struct packet p = test_packet("0.0.0.0", "255.255.255.255",
				      IPPROTO_UDP, &iov);

	dhcp_setup();
	p.sport = 68;
	p.dport = 67;
	CHECK(dhcp_input(&p));
	p.sport = 50000;
	CHECK(dhcp_input(&p));
	p.dst = test_addr("192.0.2.1");
	CHECK(!dhcp_input(&p));
	p.sport = 68;
	CHECK(dhcp_input(&p));
	p.sport = p.dport = 68;
	CHECK(!dhcp_input(&p));
	p.dport = 67;
	p.proto = IPPROTO_TCP;
	CHECK(!dhcp_input(&p));
	p.proto = IPPROTO_UDP;
	p.dst = test_addr("ff02::1");
	CHECK(!dhcp_input(&p));
	CHECK_EQ(memlink_sent(), 0);
}

TEST(switched_off)
{
	dhcp_setup();
	test_conf.no_dhcp = true;
	begin(DISCOVER);
	CHECK(!ask());
	test_conf.no_dhcp = false;
	test_conf.family[CONF_V4].on = false;
	begin(DISCOVER);
	CHECK(!ask());
	test_conf.family[CONF_V4].on = true;
	test_conf.family[CONF_V4].addr = ADDR_ANY6;
	begin(DISCOVER);
	CHECK(!ask());
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
