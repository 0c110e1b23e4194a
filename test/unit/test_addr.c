// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of lib/addr.c
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/addr.h"
#include "test/unit/unit.h"

static struct addr addr_of(const char *text)
{
	struct addr a = ADDR_ANY6;

	if (!addr_parse(text, &a))
		unit_fail(__FILE__, __LINE__, text);
	return a;
}

#define IS(fn, text) fn(&(struct addr[]){ addr_of(text) }[0])

TEST(parse_and_format)
{
	static const char *const good[] = {
		"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1",
		"2001:db8::1", "fe80::1", "2001:db8:1:2:3:4:5:6",
	};
	char buf[ADDR_STRLEN];

	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct addr a = addr_of(good[i]);

		CHECK(!strcmp(addr_format(&a, buf, sizeof(buf)), good[i]));
		CHECK_EQ(addr_is_v4(&a), !strchr(good[i], ':'));
	}
	CHECK(IS(addr_is_v4, "10.1.2.3"));
	CHECK_EQ(IS(addr_family, "10.1.2.3"), AF_INET);
	CHECK_EQ(IS(addr_family, "2001:db8::"), AF_INET6);
}

TEST(parse_refuses)
{
	static const char *const bad[] = {
		"", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ",
		" 1.2.3.4", "0x1.2.3.4", "01.2.3.4", "1.2.3.-4", ":", ":::",
		"1::2::3", "fe80::1%lo", "[::1]", "::ffff:1.2.3.4",
		"::ffff:102:304", "12345::", "1:2:3:4:5:6:7:8:9", "a.b.c.d",
	};
	struct addr a = ADDR_LOOPBACK4;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (addr_parse(bad[i], &a))
			unit_fail(__FILE__, __LINE__, bad[i]);
	}
	CHECK(addr_equal(&a, &ADDR_LOOPBACK4));
}

TEST(format_short_buffer)
{
	struct addr a = addr_of("192.0.2.111");
	struct endpoint e = { .addr = a, .port = 65535 };
	char buf[8] = "xxxxxxx";

	CHECK(!*addr_format(&a, buf, sizeof(buf)));
	CHECK(!strcmp(addr_format_port(&e, buf, sizeof(buf)), "192.0.2"));
}

TEST(kinds)
{
	CHECK(IS(addr_is_unspecified, "0.0.0.0"));
	CHECK(IS(addr_is_unspecified, "::"));
	CHECK(!IS(addr_is_unspecified, "0.0.0.1"));
	CHECK(!IS(addr_is_unspecified, "::1"));

	CHECK(IS(addr_is_loopback, "127.0.0.1"));
	CHECK(IS(addr_is_loopback, "127.255.255.255"));
	CHECK(!IS(addr_is_loopback, "126.0.0.1"));
	CHECK(!IS(addr_is_loopback, "128.0.0.1"));
	CHECK(IS(addr_is_loopback, "::1"));
	CHECK(!IS(addr_is_loopback, "::2"));

	CHECK(IS(addr_is_multicast, "224.0.0.1"));
	CHECK(IS(addr_is_multicast, "239.255.255.255"));
	CHECK(!IS(addr_is_multicast, "223.255.255.255"));
	CHECK(!IS(addr_is_multicast, "240.0.0.1"));
	CHECK(IS(addr_is_multicast, "ff02::1"));
	CHECK(!IS(addr_is_multicast, "fe80::1"));

	CHECK(IS(addr_is_broadcast, "255.255.255.255"));
	CHECK(!IS(addr_is_broadcast, "255.255.255.254"));
	CHECK(!IS(addr_is_broadcast, "::ffff:ffff"));

	CHECK(IS(addr_is_link_local6, "fe80::1"));
	CHECK(IS(addr_is_link_local6, "febf::1"));
	CHECK(!IS(addr_is_link_local6, "fec0::1"));
	CHECK(!IS(addr_is_link_local6, "169.254.1.1"));
}

TEST(unicast)
{
	CHECK(IS(addr_is_unicast, "192.0.2.1"));
	CHECK(IS(addr_is_unicast, "127.0.0.1"));
	CHECK(IS(addr_is_unicast, "2001:db8::1"));
	CHECK(IS(addr_is_unicast, "fe80::1"));
	CHECK(!IS(addr_is_unicast, "0.0.0.0"));
	CHECK(!IS(addr_is_unicast, "0.1.2.3"));
	CHECK(IS(addr_is_unicast, "1.0.0.0"));
	CHECK(!IS(addr_is_unicast, "::"));
	CHECK(!IS(addr_is_unicast, "224.0.0.5"));
	CHECK(!IS(addr_is_unicast, "255.255.255.255"));
	CHECK(!IS(addr_is_unicast, "ff02::2"));
}

static bool in(const char *a, const char *net, unsigned len)
{
	struct addr x = addr_of(a), y = addr_of(net);

	return addr_in_prefix(&x, &y, len);
}

TEST(prefixes)
{
	struct addr a = addr_of("192.0.2.255"), z;

	CHECK(in("192.0.2.200", "192.0.2.1", 24));
	CHECK(!in("192.0.3.200", "192.0.2.1", 24));
	CHECK(in("192.0.3.200", "192.0.2.1", 23));
	CHECK(in("192.0.2.129", "192.0.2.128", 25));
	CHECK(!in("192.0.2.127", "192.0.2.128", 25));
	CHECK(in("1.2.3.4", "5.6.7.8", 0));
	CHECK(in("1.2.3.4", "1.2.3.4", 32));
	CHECK(!in("1.2.3.4", "1.2.3.5", 32));
	CHECK(!in("1.2.3.4", "1.2.3.5", 33));
	CHECK(in("2001:db8::1", "2001:db8::", 64));
	CHECK(!in("2001:db8:0:1::1", "2001:db8::", 64));
	CHECK(!in("2001:db8::1", "2001:db8::", 128));
	CHECK(in("2001:db8::1", "::", 0));
	CHECK(!in("1.2.3.4", "::", 0));
	CHECK(!in("::1", "1.2.3.4", 0));

	z = addr_prefix(&a, 0);
	CHECK(addr_equal(&z, &ADDR_ANY4));
	z = addr_prefix(&a, 25);
	CHECK_EQ(z.b[15], 0x80);
	z = addr_prefix(&a, 32);
	CHECK(addr_equal(&z, &a));
	z = addr_prefix(&a, 200);
	CHECK(addr_equal(&z, &a));
	a = addr_of("2001:db8:ffff::1");
	z = addr_prefix(&a, 33);
	a = addr_of("2001:db8:8000::");
	CHECK(addr_equal(&z, &a));
}

TEST(sockaddr)
{
	struct endpoint e = { .addr = addr_of("192.0.2.1"), .port = 258 }, f;
	union sockaddr_any sa;
	char buf[ADDR_STRLEN];

	CHECK_EQ(addr_to_sockaddr(&e, &sa), sizeof(struct sockaddr_in));
	CHECK_EQ(sa.sin.sin_port, htons(258));
	CHECK_EQ(sa.sin.sin_addr.s_addr, htonl(0xc0000201));
	f = addr_from_sockaddr(&sa);
	CHECK(addr_equal(&e.addr, &f.addr) && f.port == 258 && !f.ifindex);
	CHECK(!strcmp(addr_format_port(&f, buf, sizeof(buf)),
		      "192.0.2.1:258"));

	e = (struct endpoint){ addr_of("fe80::1"), 80, 7 };
	CHECK_EQ(addr_to_sockaddr(&e, &sa), sizeof(struct sockaddr_in6));
	CHECK_EQ(sa.sin6.sin6_scope_id, 7);
	f = addr_from_sockaddr(&sa);
	CHECK(addr_equal(&e.addr, &f.addr) && f.port == 80 && f.ifindex == 7);
	CHECK(!strcmp(addr_format_port(&f, buf, sizeof(buf)),
		      "[fe80::1%7]:80"));

	e.addr = addr_of("2001:db8::1");
	addr_to_sockaddr(&e, &sa);
	CHECK_EQ(addr_from_sockaddr(&sa).ifindex, 0);

	/* what a dual-stack socket says of an IPv4 peer */
	memset(&sa, 0, sizeof(sa));
	sa.sin6.sin6_family = AF_INET6;
	inet_pton(AF_INET6, "::ffff:192.0.2.1", &sa.sin6.sin6_addr);
	f = addr_from_sockaddr(&sa);
	CHECK(addr_is_v4(&f.addr));

	sa.sa.sa_family = AF_UNIX;
	f = addr_from_sockaddr(&sa);
	CHECK(addr_is_unspecified(&f.addr) && !f.port);
}

TEST(of_a_socket)
{
	struct endpoint e = { .addr = ADDR_LOOPBACK4 }, at = { .port = 7 };
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	CHECK(!bind(fd, &sa.sa, len));
	CHECK_EQ(addr_of_socket(fd, &at), 0);
	CHECK(addr_equal(&at.addr, &e.addr) && at.port && at.port != 7);
	close(fd);
	at.port = 7;
	CHECK_EQ(addr_of_socket(fd, &at), -EBADF);
	CHECK_EQ(at.port, 7);
}

TEST(mac)
{
	static const char *const bad[] = {
		"", "9a:55:9a:55:9a", "9a:55:9a:55:9a:55:", "9a:55:9a:55:9a:5",
		"9a:55:9a:55:9a:5g", "9a-55-9a-55-9a-55", "9a:55:9a:55:9a:555",
		"9:a55:9a:55:9a:55",
	};
	uint8_t m[6] = { 0 }, was[6] = { 0x9a, 0x55, 0x0a, 0xf5, 0x9a, 0xff };
	char buf[18];

	CHECK(mac_parse("9a:55:0A:f5:9a:Ff", m));
	CHECK(!memcmp(m, was, 6));
	CHECK(!strcmp(mac_format(m, buf, sizeof(buf)), "9a:55:0a:f5:9a:ff"));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (mac_parse(bad[i], m))
			unit_fail(__FILE__, __LINE__, bad[i]);
	}
	CHECK(!memcmp(m, was, 6));
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
