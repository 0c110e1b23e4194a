// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_ports: sockets as the kernel tells of them, by sock_diag and /proc/net
 *
 * Real sockets on a host of the test's own, looked at in both ways; then
 * messages and lines built by hand.
 */
#include "host/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/nlmsg.h"
#include "lib/addr.h"
#include "test/unit/hostns.h"
#include "test/unit/unit.h"

#define PORT	4001

static struct ports_map map;

static struct ports_source diag(void)
{
	struct ports_source s = { .count = 0 };

	CHECK_EQ(ports_open(&s), 0);
	CHECK_EQ(s.count, 1);
	return s;
}

static struct ports_source proc(void)
{
	return (struct ports_source){ .count = 4, .fd = {
		open("/proc/self/net/tcp", O_RDONLY | O_CLOEXEC),
		open("/proc/self/net/tcp6", O_RDONLY | O_CLOEXEC),
		open("/proc/self/net/udp", O_RDONLY | O_CLOEXEC),
		open("/proc/self/net/udp6", O_RDONLY | O_CLOEXEC) } };
}

static void sources_close(struct ports_source *s)
{
	while (s->count)
		close(s->fd[--s->count]);
}

static int bound(int type, const char *at, uint16_t port, bool v6only)
{
	struct endpoint e = { .port = port };
	const int one = 1;
	union sockaddr_any sa;
	socklen_t len;
	int fd;

	CHECK(addr_parse(at, &e.addr));
	len = addr_to_sockaddr(&e, &sa);
	fd = socket(addr_family(&e.addr), type | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (v6only)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	CHECK(!bind(fd, &sa.sa, len));
	return fd;
}

static int listening(const char *at, uint16_t port, bool v6only)
{
	int fd = bound(SOCK_STREAM, at, port, v6only);

	CHECK(!listen(fd, 8));
	return fd;
}

/* "4": loopback, IPv4, "o": another address, IPv6, ... in this order: 46oO */
static const char *reach(uint16_t port)
{
	static char text[PORTS_REACHES + 1];
	unsigned n = 0;

	for (unsigned i = 0; i < PORTS_REACHES; i++) {
		if (ports_has(&map, i, port))
			text[n++] = "46oO"[i];
	}
	text[n] = '\0';
	return text;
}

static unsigned count(void)
{
	unsigned n = 0;

	for (unsigned port = 0; port <= 65535; port++)
		n += *reach((uint16_t)port) != '\0';
	return n;
}

#define SCAN(proto, port, expect)					\
	do {								\
		CHECK_EQ(ports_scan(&s, IPPROTO_##proto, &map), 0);	\
		CHECK(!strcmp(reach(port), expect));			\
	} while (0)

static void listens(struct ports_source s, const char *at, bool v6only,
		    const char *expect)
{
	int fd = listening(at, PORT, v6only);

	SCAN(TCP, PORT, expect);
	CHECK_EQ(count(), 1);
	SCAN(UDP, PORT, "");
	close(fd);
	SCAN(TCP, PORT, "");
	sources_close(&s);
}

TEST(tcp_by_address)
{
	listens(diag(), "0.0.0.0", false, "4o");
	listens(diag(), "::", false, "46oO");
	listens(diag(), "::", true, "6O");
	listens(diag(), "127.0.0.1", false, "4");
	listens(diag(), "127.0.0.53", false, "4");
	listens(diag(), "::1", false, "6");
	listens(diag(), "198.51.100.1", false, "o");
	listens(diag(), "2001:db8::1", false, "O");
}

TEST(tcp_by_address_from_files)
{
	listens(proc(), "0.0.0.0", false, "4o");
	listens(proc(), "::", false, "46oO");
	listens(proc(), "127.0.0.1", false, "4");
	listens(proc(), "::1", false, "6");
	listens(proc(), "198.51.100.1", false, "o");
	listens(proc(), "2001:db8::1", false, "O");
}

TEST(interface)
{
	struct ports_source s = diag();
	int fd = bound(SOCK_DGRAM, "0.0.0.0", PORT, false);

	CHECK(!setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
	SCAN(UDP, PORT, "4");
	close(fd);
	fd = bound(SOCK_DGRAM, "::", PORT, false);
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
	SCAN(UDP, PORT, "46");
	close(fd);
	sources_close(&s);
}

/* Bound is not listening, and what was accepted is not, either */
static void tcp_states(struct ports_source s)
{
	union sockaddr_any sa;
	const struct endpoint e = { ADDR_LOOPBACK4, PORT, 0 };
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int only = bound(SOCK_STREAM, "127.0.0.1", PORT + 1, false);
	int fd = listening("127.0.0.1", PORT, false);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;

	CHECK(!connect(client, &sa.sa, len));
	peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	CHECK(peer >= 0);
	SCAN(TCP, PORT, "4");
	CHECK_EQ(count(), 1);
	close(fd);
	SCAN(TCP, PORT, "");
	CHECK_EQ(count(), 0);
	close(client);
	close(peer);
	close(only);
	sources_close(&s);
}

TEST(tcp_listening_only)
{
	tcp_states(diag());
	tcp_states(proc());
}

static void udp_states(struct ports_source s)
{
	union sockaddr_any sa;
	const struct endpoint e = { ADDR_LOOPBACK4, 9, 0 };
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int fd = bound(SOCK_DGRAM, "0.0.0.0", PORT, false);
	int six = bound(SOCK_DGRAM, "::1", PORT, false);

	SCAN(UDP, PORT, "46o");
	SCAN(TCP, PORT, "");
	CHECK(!connect(fd, &sa.sa, len));
	SCAN(UDP, PORT, "6");
	if (s.count == 1) {
		CHECK_EQ(ports_scan_connected(&s, &map), 0);
		CHECK(!strcmp(reach(PORT), "4"));
		CHECK_EQ(count(), 1);
	} else {
		CHECK_EQ(ports_scan_connected(&s, &map), -EOPNOTSUPP);
	}
	close(fd);
	close(six);
	SCAN(UDP, PORT, "");
	CHECK_EQ(count(), 0);
	sources_close(&s);
}

TEST(udp_unconnected_only)
{
	udp_states(diag());
	udp_states(proc());
}

/* More than one message, more than one receive, and all of them seen */
static void many(struct ports_source s)
{
	static int fd[1500];
	unsigned n = sizeof(fd) / sizeof(fd[0]);

	for (unsigned i = 0; i < n; i++)
		fd[i] = listening("::", (uint16_t)(10000 + i), false);
	CHECK_EQ(ports_scan(&s, IPPROTO_TCP, &map), 0);
	CHECK_EQ(count(), n);
	CHECK(!strcmp(reach(10000), "46oO"));
	CHECK(!strcmp(reach((uint16_t)(10000 + n - 1)), "46oO"));
	for (unsigned i = 0; i < n; i++)
		close(fd[i]);
	SCAN(TCP, 10000, "");
	sources_close(&s);
}

TEST(many_sockets)
{
	struct rlimit r = { 2048, 2048 };

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	many(diag());
	many(proc());
}

/* The namespace is that of the one who opened it */
TEST(from_another_namespace)
{
	struct ports_source s = diag();
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	fd = listening("127.0.0.1", PORT, false);
	CHECK(!unshare(CLONE_NEWNET));
	SCAN(TCP, PORT, "4");
	close(fd);
	SCAN(TCP, PORT, "");
	CHECK(!setns(here, CLONE_NEWNET));
	close(here);
	sources_close(&s);
}

/* What another dump left in the queue is not taken for an answer */
TEST(rest_of_another_dump)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} req = { { sizeof(req), SOCK_DIAG_BY_FAMILY,
		    NLM_F_REQUEST | NLM_F_DUMP, 12345678, 0 },
		  { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_UDP,
		    .idiag_states = 0xfff } };
	struct ports_source s = diag();
	int fd = bound(SOCK_DGRAM, "127.0.0.1", PORT, false);

	CHECK_EQ(send(s.fd[0], &req, sizeof(req), 0), sizeof(req));
	SCAN(TCP, PORT, "");
	SCAN(UDP, PORT, "4");
	close(fd);
	sources_close(&s);
}

/* Root in the namespace may send to any socket of netlink's there */
TEST(strangers_are_refused)
{
	struct ports_source s = diag();
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	struct nlmsghdr h = { .nlmsg_len = sizeof(h) };
	struct sockaddr_nl to;
	socklen_t len = sizeof(to);

	CHECK(!getsockname(s.fd[0], (struct sockaddr *)&to, &len));
	CHECK_EQ(sendto(fd, &h, sizeof(h), 0, (struct sockaddr *)&to, len), -1);
	CHECK_EQ(errno, ECONNREFUSED);
	SCAN(TCP, PORT, "");
	close(fd);
	sources_close(&s);
}

TEST(errors)
{
	struct ports_source s = { .fd = { -1, -1, -1, -1 }, .count = 1 };

	CHECK_EQ(ports_scan(&s, IPPROTO_TCP, &map), -EBADF);
	s.count = 4;
	CHECK_EQ(ports_scan(&s, IPPROTO_TCP, &map), -EBADF);
	s = diag();
	CHECK_EQ(ports_scan(&s, 77, &map), -ENOENT);
	CHECK_EQ(ports_scan(&s, IPPROTO_TCP, &map), 0);
	sources_close(&s);
}

static struct {
	struct nlmsghdr h;
	struct inet_diag_msg d;
	struct nlattr a;
	uint8_t v6only;
	uint8_t pad[3];
} m;

static void message(int family, const char *at, uint16_t port)
{
	struct addr a;

	CHECK(addr_parse(at, &a));
	memset(&m, 0, sizeof(m));
	memset(&map, 0, sizeof(map));
	m.h = (struct nlmsghdr){ sizeof(m), SOCK_DIAG_BY_FAMILY, NLM_F_MULTI,
				 5, 0 };
	m.d.idiag_family = (uint8_t)family;
	m.d.id.idiag_sport = htons(port);
	if (addr_is_v4(&a))
		memcpy(m.d.id.idiag_src, a.b + 12, 4);
	else
		memcpy(m.d.id.idiag_src, a.b, 16);
	m.a = (struct nlattr){ sizeof(m.a) + 1, INET_DIAG_SKV6ONLY };
}

static int parse(size_t len)
{
	void *copy = malloc(len);
	int rc;

	memcpy(copy, &m, len);
	rc = ports_parse(&map, 5, copy, len);
	free(copy);
	return rc;
}

TEST(messages)
{
	message(AF_INET6, "::", 80);
	CHECK_EQ(parse(sizeof(m)), 0);
	CHECK(!strcmp(reach(80), "46oO"));
	message(AF_INET6, "::", 80);
	m.v6only = 1;
	CHECK_EQ(parse(sizeof(m)), 0);
	CHECK(!strcmp(reach(80), "6O"));
	message(AF_INET, "0.0.0.0", 80);
	m.d.id.idiag_if = 7;
	CHECK_EQ(parse(sizeof(m)), 0);
	CHECK(!strcmp(reach(80), "o"));
	/* a v4-mapped address is one of IPv4 */
	message(AF_INET6, "::", 80);
	memcpy(m.d.id.idiag_src, ADDR_LOOPBACK4.b, 16);
	CHECK_EQ(parse(sizeof(m)), 0);
	CHECK(!strcmp(reach(80), "4"));
	message(AF_INET, "224.0.0.1", 80);
	CHECK_EQ(parse(sizeof(m)), 0);
	CHECK(!strcmp(reach(80), ""));
	message(AF_UNIX, "127.0.0.1", 80);
	CHECK_EQ(parse(sizeof(m)), 0);
	CHECK_EQ(count(), 0);
	message(AF_INET, "127.0.0.1", 0);
	CHECK_EQ(parse(sizeof(m)), 0);
	CHECK_EQ(count(), 0);
}

TEST(messages_that_end_it)
{
	message(AF_INET, "127.0.0.1", 80);
	CHECK_EQ(parse(sizeof(m) - 4), -EBADMSG);
	message(AF_INET, "127.0.0.1", 80);
	m.h.nlmsg_len = sizeof(m.h) + sizeof(m.d) - 4;
	CHECK_EQ(parse(m.h.nlmsg_len), 0);
	CHECK_EQ(count(), 0);
	message(AF_INET, "127.0.0.1", 80);
	m.h.nlmsg_flags |= NLM_F_DUMP_INTR;
	CHECK_EQ(parse(sizeof(m)), -EINTR);
	m.h.nlmsg_seq = 4;
	CHECK_EQ(parse(sizeof(m)), 0);
	CHECK_EQ(count(), 0);
	message(AF_INET, "127.0.0.1", 80);
	m.h.nlmsg_type = NLMSG_DONE;
	memset(&m.d, 0, sizeof(m.d));
	CHECK_EQ(parse(sizeof(m)), 1);
	m.h.nlmsg_type = NLMSG_ERROR;
	CHECK_EQ(parse(sizeof(m)), -EBADMSG);
	memcpy(&m.d, &(int){ -ENOENT }, sizeof(int));
	CHECK_EQ(parse(sizeof(m)), -ENOENT);
}

static void lines(const char *text, unsigned n)
{
	size_t len = strlen(text);
	char *copy = malloc(len);

	memcpy(copy, text, len);
	memset(&map, 0, sizeof(map));
	/* a line that is cut off is left */
	CHECK_EQ(ports_parse_proc(&map, copy, len),
		 text[len - 1] == '\n' ? len : 0);
	CHECK_EQ(count(), n);
	free(copy);
}

TEST(lines_of_files)
{
	lines("  sl  local_address rem_address   st\n", 0);
	lines("   0: 0100007F:1F90 00000000:0000 0A 0\n", 1);
	CHECK(!strcmp(reach(0x1f90), "4"));
	lines("   0: 0100007f:1f90 00000000:0000 0a\n", 1);
	lines("   0: 0100007F:1F90 0100007F:0000 01 0\n", 0);
	lines("   0: 0100007F:1F90 00000000:0000 0A 0", 0);
	lines("   0: 0100007F:1F9G 00000000:0000 0A 0\n", 0);
	lines("   0: 0100007F:1F90 00000000:0000\n", 0);
	lines("   0: 0100007F00000000:1F90 00000000:0000 0A\n", 0);
	lines("   0: 0100007F\n", 0);
	lines("\n:\n: \n", 0);
	lines("12345: 00000000000000000000000001000000:0035 "
	      "00000000000000000000000000000000:0000 07 0\n", 1);
	CHECK(!strcmp(reach(0x35), "6"));
}

int main(int argc, char **argv)
{
	if (!hostns_enter() || !hostns_address("198.51.100.1") ||
	    !hostns_address("2001:db8::1"))
		return 1;
	return unit_main(argc, argv);
}
