// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_resolv: files of all kinds, and what of them the guest is told
 */
#include "host/resolv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/unit/unit.h"

static struct resolv r;
static struct resolv_view v;

static struct addr addr(const char *text)
{
	struct addr a = ADDR_ANY6;

	CHECK(addr_parse(text, &a));
	return a;
}

static bool is(const struct addr *a, const char *text)
{
	struct addr b = addr(text);

	return addr_equal(a, &b);
}

static void parse(const char *text)
{
	/* a block of its own: reading on is seen */
	size_t len = strlen(text);
	char *copy = malloc(len ? len : 1);

	memcpy(copy, text, len);
	resolv_parse(&r, copy, len);
	free(copy);
}

TEST(plain)
{
	parse("nameserver 192.0.2.53\nnameserver\t2001:db8::53 \n"
	      "search example.org  a.example.org.\noptions ndots:2\n");
	CHECK_EQ(r.servers, 2);
	CHECK(is(&r.server[0].addr, "192.0.2.53"));
	CHECK(is(&r.server[1].addr, "2001:db8::53"));
	CHECK_EQ(r.domains, 2);
	CHECK(!strcmp(r.domain[0], "example.org"));
	CHECK(!strcmp(r.domain[1], "a.example.org"));
}

TEST(odd)
{
	parse("");
	CHECK(!r.servers && !r.domains);
	parse("\n\n\n");
	CHECK(!r.servers);
	parse("nameserver 192.0.2.53");
	CHECK_EQ(r.servers, 1);
	parse("# nameserver 192.0.2.1\n;nameserver 192.0.2.1\n"
	      "nameserver 192.0.2.53 # why\r\nnameserver 192.0.2.54;x\n"
	      " nameserver 192.0.2.55\nnameserverx 192.0.2.56\n"
	      "nameserver\nnameserver resolver\nnameserver 224.0.0.1\n"
	      "nameserver 255.255.255.255\nnameserver 1.2.3\n"
	      "nameserver 0.0.35.0\n");
	CHECK_EQ(r.servers, 1);
	CHECK(is(&r.server[0].addr, "192.0.2.53"));
	/* resolv.conf(5): the local host */
	parse("nameserver 0.0.0.0\nnameserver ::\n");
	CHECK_EQ(r.servers, 2);
	CHECK(is(&r.server[0].addr, "127.0.0.1"));
	CHECK(is(&r.server[1].addr, "::1"));
}

TEST(search_and_domain)
{
	parse("domain example.net\n");
	CHECK_EQ(r.domains, 1);
	parse("domain example.net\nsearch a.example b.example\n");
	CHECK_EQ(r.domains, 2);
	CHECK(!strcmp(r.domain[0], "a.example"));
	parse("search a.example b.example\ndomain example.net x\n");
	CHECK_EQ(r.domains, 1);
	CHECK(!strcmp(r.domain[0], "example.net"));
	parse("search a.example\nsearch .\n");
	CHECK_EQ(r.domains, 0);
	/* a line that says nothing counts for nothing */
	parse("domain example.net\nsearch \n");
	CHECK_EQ(r.domains, 1);
	parse("search a.example b.example\ndomain\n");
	CHECK_EQ(r.domains, 2);
	parse("search a..b ok.example .c\n");
	CHECK_EQ(r.domains, 1);
	CHECK(!strcmp(r.domain[0], "ok.example"));
}

TEST(more_than_fits)
{
	char text[8192];
	size_t at = 0;

	for (int i = 0; i < 40; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "nameserver 192.0.2.%d\n", i);
	at += (size_t)snprintf(text + at, sizeof(text) - at, "search");
	for (int i = 0; i < 80; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       " d%d.example", i);
	parse(text);
	CHECK_EQ(r.servers, RESOLV_SERVERS);
	CHECK(is(&r.server[RESOLV_SERVERS - 1].addr, "192.0.2.15"));
	CHECK_EQ(r.domains, RESOLV_DOMAINS);
	memset(text, 'a', sizeof(text));
	text[8191] = '\0';
	memcpy(text, "search ", 7);
	parse(text);
	CHECK_EQ(r.domains, 0);
	memcpy(text, "nameserver ", 11);
	parse(text);
	CHECK_EQ(r.servers, 0);
}

TEST(scopes)
{
	parse("nameserver fe80::53%eth0\nnameserver fe80::54\n"
	      "nameserver fe80::55%a-name-of-16-byt\n");
	CHECK_EQ(r.servers, 2);
	CHECK(!strcmp(r.server[0].scope, "eth0"));
	CHECK(!*r.server[1].scope);
}

static void view(bool v4, const char *stand_in, const char *forward,
		 const char *ifname)
{
	const struct resolv_family f = {
		.v4 = v4,
		.stand_in = *stand_in ? addr(stand_in) : ADDR_ANY6,
		.forward = *forward ? addr(forward) : ADDR_ANY6,
		.guest = addr(v4 ? "192.0.2.2" : "2001:db8::2"),
		.ifname = ifname,
		.ifindex = 7,
	};

	resolv_view(&r, &f, &v);
}

TEST(view_by_family)
{
	parse("nameserver 2001:db8::53\nnameserver 192.0.2.53\n"
	      "nameserver 192.0.2.54\nnameserver 192.0.2.53\n");
	view(true, "192.0.2.1", "", "eth0");
	CHECK_EQ(v.count, 2);
	CHECK(is(&v.server[0], "192.0.2.53") && is(&v.first, "192.0.2.53"));
	CHECK(is(&v.server[1], "192.0.2.54"));
	CHECK(addr_is_unspecified(&v.behind) && !v.left_out);
	view(false, "", "", "eth0");
	CHECK_EQ(v.count, 1);
	CHECK(is(&v.server[0], "2001:db8::53"));
}

TEST(view_of_loopback)
{
	parse("nameserver 127.0.0.53\nnameserver 127.0.0.1\n");
	view(true, "192.0.2.1", "", "eth0");
	CHECK_EQ(v.count, 1);
	CHECK(is(&v.server[0], "192.0.2.1"));
	CHECK(is(&v.behind, "127.0.0.53") && is(&v.first, "127.0.0.53"));
	/* --dns-forward was asked for: it may lead to another one */
	view(true, "192.0.2.1", "192.0.2.3", "eth0");
	CHECK_EQ(v.count, 1);
	CHECK(is(&v.server[0], "192.0.2.3"));
	CHECK(is(&v.behind, "127.0.0.53"));
	/* not mapped: by --dns-forward, or not at all */
	view(true, "", "192.0.2.3", "eth0");
	CHECK_EQ(v.count, 1);
	CHECK(is(&v.server[0], "192.0.2.3"));
	CHECK(addr_is_unspecified(&v.behind));
	view(true, "", "", "eth0");
	CHECK_EQ(v.count, 0);
	CHECK_EQ(v.left_out, 2);
}

/* The router is the resolver, and its address stands for the loopback */
TEST(view_of_the_gateway)
{
	parse("nameserver 192.0.2.1\n");
	view(true, "192.0.2.1", "", "eth0");
	CHECK_EQ(v.count, 1);
	CHECK(is(&v.server[0], "192.0.2.1") && is(&v.behind, "192.0.2.1"));
	view(true, "192.0.2.1", "192.0.2.3", "eth0");
	CHECK_EQ(v.count, 1);
	CHECK(is(&v.server[0], "192.0.2.3") && is(&v.behind, "192.0.2.1"));
}

/* At the address that the guest has, too, which would ask itself */
TEST(view_of_the_shared_address)
{
	parse("nameserver 192.0.2.2\nnameserver 192.0.2.53\n");
	view(true, "192.0.2.1", "", "eth0");
	CHECK_EQ(v.count, 2);
	CHECK(is(&v.server[0], "192.0.2.1") && is(&v.behind, "192.0.2.2"));
	CHECK(is(&v.server[1], "192.0.2.53") && is(&v.first, "192.0.2.2"));
	view(true, "", "192.0.2.3", "eth0");
	CHECK(is(&v.server[0], "192.0.2.3"));
	view(true, "", "", "eth0");
	CHECK_EQ(v.count, 1);
	CHECK_EQ(v.left_out, 1);
	parse("nameserver 2001:db8::2\n");
	view(false, "fe80::1", "", "eth0");
	CHECK(is(&v.server[0], "fe80::1") && is(&v.behind, "2001:db8::2"));
}

TEST(view_of_scopes)
{
	parse("nameserver fe80::53%eth0\nnameserver fe80::54%eth1\n");
	view(false, "", "", "eth0");
	CHECK_EQ(v.count, 1);
	CHECK(is(&v.server[0], "fe80::53"));
	CHECK_EQ(v.left_out, 1);
	/* as systemd-resolved writes them */
	parse("nameserver fe80::53%7\nnameserver fe80::54%8\n"
	      "nameserver fe80::55%7x\n");
	view(false, "", "", "eth0");
	CHECK_EQ(v.count, 1);
	CHECK(is(&v.server[0], "fe80::53"));
	CHECK_EQ(v.left_out, 2);
}

TEST(files)
{
	char path[] = "/tmp/test_resolv.XXXXXX";
	static char big[80 * 1024];
	int fd = mkstemp(path);

	CHECK_EQ(resolv_read(&r, "/nonexistent"), -ENOENT);
	CHECK_EQ(resolv_read(&r, "/tmp"), -EISDIR);
	CHECK_EQ(resolv_read(&r, path), 0);
	CHECK(!r.servers);
	/* what is past 64 KiB is not read, a line across that neither */
	memset(big, '\n', sizeof(big));
	memcpy(big, "nameserver 192.0.2.1\n", 21);
	memcpy(big + 65536 - 22, "nameserver 192.0.2.199\n", 23);
	memcpy(big + 70000, "nameserver 192.0.2.3\n", 21);
	CHECK(write(fd, big, sizeof(big)) == sizeof(big));
	CHECK_EQ(resolv_read(&r, path), 0);
	CHECK_EQ(r.servers, 1);
	close(fd);
	unlink(path);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
