// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of serve/dnsname.c: wire form, limits, compression, cuts
 */
#include "serve/dnsname.h"

#include "test/unit/serve_test.h"

static struct dnsname_list list;

static bool encodes(const char *text, const char *want, size_t len)
{
	uint8_t wire[DNSNAME_MAX];

	return dnsname_encode(text, wire) == len && !memcmp(wire, want, len);
}

#define ENCODES(text, want)	CHECK(encodes(text, want, sizeof(want)))

TEST(encode)
{
	ENCODES("a", "\1a");
	ENCODES("example.org", "\7example\3org");
	ENCODES("example.org.", "\7example\3org");
}

TEST(encode_refuses)
{
	static const char *const bad[] = {
		"", ".", "..", ".a", "a..b", "a..", "a.b..",
	};
	uint8_t wire[DNSNAME_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(dnsname_encode(bad[i], wire), 0);
}

TEST(encode_limits)
{
	uint8_t wire[DNSNAME_MAX];
	char text[260];

	memset(text, 'x', sizeof(text));
	text[63] = 0;
	CHECK_EQ(dnsname_encode(text, wire), 65);
	text[63] = 'x';
	text[64] = 0;
	CHECK_EQ(dnsname_encode(text, wire), 0);
	/* 64 + 64 + 64 + 62 + 1 bytes are 255 */
	memset(text, 'x', sizeof(text));
	text[63] = text[127] = text[191] = '.';
	text[253] = 0;
	CHECK_EQ(dnsname_encode(text, wire), 255);
	text[253] = 'x';
	text[254] = 0;
	CHECK_EQ(dnsname_encode(text, wire), 0);
}

static bool list_is(const char *want, size_t len)
{
	return list.count && list.end[list.count - 1] == len &&
	       !memcmp(list.bytes, want, len);
}

TEST(list_plain)
{
	static const char want[] = "\7example\3org\0\1a\7example\3org";

	test_setup();
	test_search("example.org");
	test_search("a.example.org");
	dnsname_list_build(&list, &test_conf, false);
	CHECK_EQ(list.count, 2);
	CHECK(list_is(want, sizeof(want)));
}

TEST(list_compressed)
{
	/* at 0, 13, 17, 21, 26, 30: each tail the longest that is known */
	static const char want[] = "\7example\3org\0" "\1a\xc0\x00"
				   "\1b\xc0\x0d" "\3net\0"
				   "\1c\xc0\x08" "\xc0";

	test_setup();
	test_search("example.org");
	test_search("a.example.org");
	test_search("b.a.example.org");
	test_search("net");
	test_search("c.org");
	test_search("a.example.org");
	dnsname_list_build(&list, &test_conf, true);
	CHECK_EQ(list.count, 6);
	CHECK_EQ(list.end[0], 13);
	CHECK_EQ(list.end[1], 17);
	CHECK_EQ(list.end[2], 21);
	CHECK_EQ(list.end[3], 26);
	CHECK_EQ(list.end[4], 30);
	CHECK_EQ(list.bytes[31], 0x0d);
	list.bytes[31] = 0;
	CHECK(list_is(want, sizeof(want)));
}

TEST(list_compressed_past_pointer)
{
	static const char want[] = "\3net\0" "\1b\3org\0" "\1a\xc0\x05"
				   "\1c\xc0\x0c";

	/* c.a.b.org is found by following a.b.org's own pointer */
	test_setup();
	test_search("net");
	test_search("b.org");
	test_search("a.b.org");
	test_search("c.a.b.org");
	dnsname_list_build(&list, &test_conf, true);
	CHECK_EQ(list.count, 4);
	list.bytes[list.end[3]] = 0;
	CHECK(!memcmp(list.bytes, want, sizeof(want)));
}

TEST(list_skips_invalid)
{
	test_setup();
	test_search("a..b");
	test_search("ok");
	test_search(".");
	dnsname_list_build(&list, &test_conf, false);
	CHECK_EQ(list.count, 1);
	CHECK(list_is("\2ok", 4));
}

TEST(list_full)
{
	char text[DNSNAME_MAX];

	test_setup();
	for (int i = 0; i < CONF_SEARCH_MAX; i++) {
		memset(text, 'a' + i % 26, 253);
		text[0] = (char)('A' + i);
		text[63] = text[127] = text[191] = '.';
		text[253] = 0;
		test_search(text);
	}
	dnsname_list_build(&list, &test_conf, false);
	CHECK_EQ(list.count, CONF_SEARCH_MAX);
	CHECK_EQ(list.end[CONF_SEARCH_MAX - 1], sizeof(list.bytes));
	dnsname_list_build(&list, &test_conf, true);
	CHECK_EQ(list.count, CONF_SEARCH_MAX);
}

TEST(list_fit)
{
	test_setup();
	test_search("example.org");
	test_search("example.net");
	dnsname_list_build(&list, &test_conf, false);
	CHECK_EQ(dnsname_list_fit(&list, 0), 0);
	CHECK_EQ(dnsname_list_fit(&list, 12), 0);
	CHECK_EQ(dnsname_list_fit(&list, 13), 13);
	CHECK_EQ(dnsname_list_fit(&list, 25), 13);
	CHECK_EQ(dnsname_list_fit(&list, 26), 26);
	CHECK_EQ(dnsname_list_fit(&list, 1000), 26);
	test_conf.search_count = 0;
	dnsname_list_build(&list, &test_conf, false);
	CHECK_EQ(dnsname_list_fit(&list, 1000), 0);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
