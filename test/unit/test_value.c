// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of lib/value.c
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/value.h"
#include "test/unit/unit.h"

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))

TEST(numbers)
{
	static const char *const bad[] = { "", " 1", "1 ", "+1", "-1", "0x1",
		"1s", "1.0", "101", "18446744073709551616",
		"99999999999999999999999" };
	uint64_t n = 7;

	CHECK(!value_number("0", 100, &n) && n == 0);
	CHECK(!value_number("100", 100, &n) && n == 100);
	CHECK(!value_number("007", 100, &n) && n == 7);
	CHECK(!value_number("18446744073709551615", UINT64_MAX, &n) &&
	      n == UINT64_MAX);
	n = 7;
	for (unsigned i = 0; i < COUNT(bad); i++) {
		if (!value_number(bad[i], 100, &n))
			unit_fail(__FILE__, __LINE__, bad[i]);
	}
	CHECK(value_number("18446744073709551616", UINT64_MAX, &n));
	CHECK_EQ(n, 7);
}

TEST(texts)
{
	char out[4] = "";

	CHECK(!value_text("abc", out, sizeof(out)) && !strcmp(out, "abc"));
	CHECK(value_text("", out, sizeof(out)));
	CHECK(value_text("abcd", out, sizeof(out)));
	CHECK(!strcmp(out, "abc"));
}

TEST(host_addresses)
{
	static const char *const bad[] = { "", "x", "1.2.3", "127.0.0.1",
		"::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1",
		"255.255.255.255", "0.1.2.3", "192.0.2.1/24" };
	struct addr a = ADDR_LOOPBACK6;

	CHECK(!value_host_addr("192.0.2.1", &a) && addr_is_v4(&a));
	CHECK(!value_host_addr("fe80::1", &a) && addr_is_link_local6(&a));
	a = ADDR_LOOPBACK6;
	for (unsigned i = 0; i < COUNT(bad); i++) {
		if (!value_host_addr(bad[i], &a))
			unit_fail(__FILE__, __LINE__, bad[i]);
	}
	CHECK(addr_equal(&a, &ADDR_LOOPBACK6));
}

TEST(addresses_with_prefix)
{
	static const char *const bad[] = { "", "/", "/24", "192.0.2.1/",
		"192.0.2.1/33", "192.0.2.1/x", "192.0.2.1/-1",
		"2001:db8::1/129", "fe80::1", "fe80::1/64", "127.0.0.1/8",
		"192.0.2.1/24/24", "192.0.2.1 /24",
		"2001:0db8:0000:0000:0000:0000:0000:0000000000001/64" };
	struct addr a;
	unsigned prefix = 7;

	CHECK(!value_addr_prefix("192.0.2.1", &a, &prefix));
	CHECK_EQ(prefix, 0);
	prefix = 7;
	CHECK(!value_addr_prefix("192.0.2.1/0", &a, &prefix));
	CHECK_EQ(prefix, 0);
	CHECK(!value_addr_prefix("192.0.2.1/1", &a, &prefix));
	CHECK_EQ(prefix, 1);
	CHECK(!value_addr_prefix("192.0.2.1/32", &a, &prefix));
	CHECK_EQ(prefix, 32);
	CHECK(!value_addr_prefix("2001:db8::1/128", &a, &prefix));
	CHECK_EQ(prefix, 128);
	for (unsigned i = 0; i < COUNT(bad); i++) {
		if (!value_addr_prefix(bad[i], &a, &prefix))
			unit_fail(__FILE__, __LINE__, bad[i]);
	}
	CHECK_EQ(prefix, 128);
}

TEST(netmasks)
{
	static const struct {
		const char *text;
		unsigned len;
	} good[] = { { "1", 1 }, { "24", 24 }, { "32", 32 }, { "255.0.0.0", 8 }, { "255.255.255.0", 24 },
		     { "255.255.255.254", 31 }, { "255.255.255.255", 32 },
		     { "0", 0 }, { "0.0.0.0", 0 }, { "128.0.0.0", 1 } };
	static const char *const bad[] = { "", "33", "x", "255.0.255.0",
		"0.255.255.255", "255.255.255", "255.255.255.1", "ffff::",
		"0.0.0.1", "24.", "-1" };
	unsigned len;

	for (unsigned i = 0; i < COUNT(good); i++) {
		len = 99;
		CHECK(!value_netmask(good[i].text, &len));
		CHECK_EQ(len, good[i].len);
	}
	for (unsigned i = 0; i < COUNT(bad); i++) {
		if (!value_netmask(bad[i], &len))
			unit_fail(__FILE__, __LINE__, bad[i]);
	}
	CHECK_EQ(len, 1);
}

TEST(macs)
{
	uint8_t mac[6] = { 0 };

	CHECK(!value_mac("52:54:00:12:34:56", mac) && mac[5] == 0x56);
	CHECK(value_mac("53:54:00:12:34:57", mac));
	CHECK(value_mac("ff:ff:ff:ff:ff:ff", mac));
	CHECK(value_mac("00:00:00:00:00:00", mac));
	CHECK(value_mac("52:54:00:12:34", mac));
	CHECK_EQ(mac[5], 0x56);
}

TEST(domains)
{
	static const char *const bad[] = { "", ".", "..", "a..", "a..b", ".a", "a b",
		"a\tb", "a\n", "caf\xc3\xa9.org" };
	char out[256] = "", name[300];

	CHECK(!value_domain("a-b.example.org", out, sizeof(out)) &&
	      !strcmp(out, "a-b.example.org"));
	CHECK(!value_domain("example.org.", out, sizeof(out)) &&
	      !strcmp(out, "example.org"));
	CHECK(!value_domain("_x", out, sizeof(out)));
	for (unsigned i = 0; i < COUNT(bad); i++) {
		if (!value_domain(bad[i], out, sizeof(out)))
			unit_fail(__FILE__, __LINE__, bad[i]);
	}
	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	CHECK(!value_domain(name, out, sizeof(out)));
	name[63] = 'a';
	name[64] = '\0';
	CHECK(value_domain(name, out, sizeof(out)));
	memset(name, 'a', sizeof(name));
	name[60] = name[120] = name[180] = name[240] = '.';
	name[253] = '\0';
	CHECK(!value_domain(name, out, sizeof(out)));
	name[253] = 'a';
	name[254] = '\0';
	CHECK(value_domain(name, out, sizeof(out)));
	name[253] = '\0';
	CHECK(value_domain(name, out, 253));
	CHECK(!value_domain(name, out, 254));
}

TEST(domain_lists)
{
	char out[3][VALUE_DOMAIN_ROOM];
	char longer[400];
	unsigned n = 9;

	CHECK(!value_domains("  a.org   b.org. ", out, 3, &n));
	CHECK(n == 2 && !strcmp(out[0], "a.org") && !strcmp(out[1], "b.org"));
	CHECK(!value_domains("a b c", out, 3, &n) && n == 3);
	CHECK(!value_domains("\ta \tb c d e", out, 3, &n) && n == 5);
	CHECK(!strcmp(out[0], "a") && !strcmp(out[2], "c"));
	CHECK(value_domains("a b c d e..f", out, 3, &n));
	CHECK(value_domains("", out, 3, &n));
	CHECK(value_domains("   ", out, 3, &n));
	CHECK(value_domains("a b..c", out, 3, &n));
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	CHECK(value_domains(longer, out, 3, &n));
	CHECK_EQ(n, 5);
}

TEST(interfaces)
{
	char out[IFNAMSIZ] = "";

	CHECK(!value_interface("lo", out) && !strcmp(out, "lo"));
	CHECK(value_interface("", out));
	CHECK(value_interface("none-such", out));
	CHECK(value_interface("name-that-is-too-long", out));
	CHECK(!strcmp(out, "lo"));
}

TEST(users)
{
	static const char *const bad[] = { "", ":", ":0", "0:", "no-such-one",
		"0:no-such-group", "4294967295", "0:4294967295", "0:0:0",
		"-1" };
	uid_t uid = 7;
	gid_t gid = 7;
	char longer[400];

	CHECK(!value_user("root", &uid, &gid) && !uid && !gid);
	CHECK(!value_user("1234567", &uid, &gid) && uid == 1234567 &&
	      gid == 1234567);
	CHECK(!value_user("0", &uid, &gid) && !uid && !gid);
	CHECK(!value_user("12:34", &uid, &gid) && uid == 12 && gid == 34);
	CHECK(!value_user("4294967294:5", &uid, &gid) && uid == 4294967294);
	CHECK(!value_user("root:root", &uid, &gid) && !gid);
	uid = gid = 7;
	for (unsigned i = 0; i < COUNT(bad); i++) {
		if (!value_user(bad[i], &uid, &gid))
			unit_fail(__FILE__, __LINE__, bad[i]);
	}
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	CHECK(value_user(longer, &uid, &gid));
	CHECK(uid == 7 && gid == 7);
}

TEST(new_interfaces)
{
	static const char *const bad[] = { "", ".", "..", "lo", "a/b", "a b",
		"a\t", "eth0:1", "tap%d", "sixteen-letters-", "\n" };
	char name[IFNAMSIZ] = "as it was";

	for (unsigned i = 0; i < COUNT(bad); i++) {
		if (!value_ifname(bad[i], name))
			unit_fail(__FILE__, __LINE__, bad[i]);
	}
	CHECK(!strcmp(name, "as it was"));
	CHECK(!value_ifname("fifteen-letters", name));
	CHECK(!strcmp(name, "fifteen-letters"));
	CHECK(!value_ifname("...", name) && !value_ifname("lo0", name));
}

TEST(sockets)
{
	int pair[2], dgram[2], alone, p[2], fd = -7;
	char text[16];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, dgram));
	CHECK(!pipe(p));
	alone = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(text, sizeof(text), "%d", alone);
	CHECK(value_connected_socket(text, &fd));
	snprintf(text, sizeof(text), "%d", dgram[0]);
	CHECK(value_connected_socket(text, &fd));
	snprintf(text, sizeof(text), "%d", p[0]);
	CHECK(value_connected_socket(text, &fd));
	CHECK(value_connected_socket("999", &fd));
	CHECK(value_connected_socket("-1", &fd));
	CHECK(value_connected_socket("", &fd));
	CHECK(value_connected_socket("99999999999", &fd));
	/* A standard stream, although it is one */
	CHECK(dup2(pair[0], STDIN_FILENO) == 0);
	CHECK(value_connected_socket("0", &fd));
	CHECK_EQ(fd, -7);
	snprintf(text, sizeof(text), "%d", pair[0]);
	CHECK(!value_connected_socket(text, &fd) && fd == pair[0]);
	close(alone);
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(dgram[i]);
		close(p[i]);
	}
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
