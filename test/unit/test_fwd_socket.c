// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_fwd_socket: what sockets are like, on loopback
 */
#include "fwd_socket.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"
#include "lib/slow.h"
#include "test/unit/craft.h"
#include "test/unit/fakens.h"
#include "test/unit/unit.h"

#define PORT 40961

static struct conf conf;

/* The guest finds the host's loopback at 192.0.2.1 */
static void setup(void)
{
	memset(&conf, 0, sizeof(conf));
	conf.family[CONF_V4].on = conf.family[CONF_V6].on = true;
	conf.family[CONF_V4].map_host_loopback = craft_addr("192.0.2.1");
	guest_init(&(struct guest_conf){ .addr4 = ADDR_ANY4 });
	fwd_init(&conf);
	fwd_socket_init(&conf);
}

static struct endpoint local_of(int fd)
{
	struct endpoint e = { 0 };

	CHECK(!addr_of_socket(fd, &e));
	return e;
}

static int opt(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	CHECK(!getsockopt(fd, level, name, &v, &len));
	return v;
}

static int listen_at(uint8_t proto, const char *at)
{
	static struct port_rule r;
	const struct fwd_port p = { .rule = &r, .port = PORT, .proto = proto,
				    .families = FWD_V4 | FWD_V6 };

	r = (struct port_rule){ .listen = craft_addr(at), .first = PORT,
				.last = PORT, .to = PORT };
	return fwd_socket_listen(&p);
}

static int connect_to(int type, const char *to)
{
	union sockaddr_any sa;
	const struct endpoint e = { craft_addr(to), PORT, 0 };
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int fd = socket(sa.sa.sa_family, type, 0);
	int rc = connect(fd, &sa.sa, len) ? -errno : 0;

	close(fd);
	return rc;
}

TEST(listening_sockets_by_family)
{
	int fd;

	setup();
	fd = listen_at(IPPROTO_TCP, "::");
	CHECK(fd >= 0);
	CHECK_EQ(connect_to(SOCK_STREAM, "127.0.0.1"), 0);
	CHECK_EQ(connect_to(SOCK_STREAM, "::1"), 0);
	CHECK_EQ(listen_at(IPPROTO_TCP, "127.0.0.1"), -EADDRINUSE);
	close(fd);
	fd = listen_at(IPPROTO_TCP, "0.0.0.0");
	CHECK_EQ(connect_to(SOCK_STREAM, "127.0.0.1"), 0);
	CHECK_EQ(connect_to(SOCK_STREAM, "::1"), -ECONNREFUSED);
	close(fd);
	fd = listen_at(IPPROTO_TCP, "::1");
	CHECK_EQ(connect_to(SOCK_STREAM, "127.0.0.1"), -ECONNREFUSED);
	CHECK_EQ(connect_to(SOCK_STREAM, "::1"), 0);
	close(fd);
	conf.family[CONF_V4].on = false;
	fd = listen_at(IPPROTO_TCP, "::");
	CHECK_EQ(connect_to(SOCK_STREAM, "127.0.0.1"), -ECONNREFUSED);
	CHECK_EQ(connect_to(SOCK_STREAM, "::1"), 0);
	close(fd);
	CHECK_EQ(listen_at(IPPROTO_TCP, "127.0.0.1"), -EAFNOSUPPORT);
	conf.family[CONF_V4].on = true;
	conf.family[CONF_V6].on = false;
	fd = listen_at(IPPROTO_TCP, "::");
	CHECK_EQ(connect_to(SOCK_STREAM, "127.0.0.1"), 0);
	CHECK_EQ(connect_to(SOCK_STREAM, "::1"), -ECONNREFUSED);
	close(fd);
}

TEST(listening_socket_options)
{
	static struct port_rule r = { .first = PORT, .last = PORT };
	const struct fwd_port p = { .rule = &r, .port = PORT,
				    .proto = IPPROTO_UDP,
				    .families = FWD_V4 | FWD_V6 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), usual;

	usual = opt(fd, SOL_SOCKET, SO_SNDBUF);
	close(fd);
	setup();
	CHECK_EQ(listen_at(IPPROTO_TCP, "203.0.113.5"), -EADDRNOTAVAIL);
	conf.freebind = true;
	fd = listen_at(IPPROTO_TCP, "203.0.113.5");
	CHECK(fd >= 0);
	close(fd);
	fd = listen_at(IPPROTO_UDP, "2001:db8:77::5");
	CHECK(fd >= 0);
	close(fd);
	strcpy(r.ifname, "lo");
	fd = fwd_socket_listen(&p);
	CHECK(fd >= 0 && opt(fd, SOL_SOCKET, SO_REUSEADDR) == 1);
	/* it may answer all clients */
	CHECK(opt(fd, SOL_SOCKET, SO_SNDBUF) > usual);
	close(fd);
	strcpy(r.ifname, "nosuchif0");
	CHECK_EQ(fwd_socket_listen(&p), -ENODEV);
}

TEST(udp_port_in_use_is_refused)
{
	int fd;

	setup();
	fd = listen_at(IPPROTO_UDP, "::");
	CHECK(fd >= 0);
	CHECK_EQ(listen_at(IPPROTO_UDP, "::"), -EADDRINUSE);
	CHECK_EQ(listen_at(IPPROTO_UDP, "127.0.0.1"), -EADDRINUSE);
	close(fd);
}

TEST(sockets_are_bound_as_told)
{
	struct flow_side h = { .remote = ADDR_LOOPBACK4,
			       .local = craft_addr("127.0.0.5"), .rport = 9,
			       .lport = PORT };
	struct endpoint e;
	int fd, listener;

	setup();
	listener = listen_at(IPPROTO_UDP, "::");
	fd = fwd_socket_open(IPPROTO_UDP, &h);
	CHECK(fd >= 0);
	e = local_of(fd);
	CHECK(addr_equal(&e.addr, &h.local) && e.port == PORT);
	close(fd);
	close(listener);

	h.lport = 0;
	fd = fwd_socket_open(IPPROTO_TCP, &h);
	e = local_of(fd);
	CHECK(addr_equal(&e.addr, &h.local) && !e.port);
	close(fd);

	h.local = craft_addr("203.0.113.5");
	CHECK_EQ(fwd_socket_open(IPPROTO_TCP, &h), -EADDRNOTAVAIL);
	conf.freebind = true;
	fd = fwd_socket_open(IPPROTO_TCP, &h);
	CHECK(fd >= 0);
	close(fd);
}

TEST(sockets_in_the_namespace)
{
	struct flow_side s = { .remote = ADDR_LOOPBACK4, .local = ADDR_ANY4,
			       .place = FLOW_AT_NS };
	unsigned opened = fakens_opened;
	char name[IFNAMSIZ] = "";
	socklen_t len = IFNAMSIZ;
	int fd;

	setup();
	CHECK_EQ(fwd_socket_open(IPPROTO_TCP, &s), -ENODEV);
	fakens_on = true;
	strcpy(conf.family[CONF_V4].outbound_if, "lo");
	s.remote = craft_addr("192.0.2.2");
	fd = fwd_socket_open(IPPROTO_TCP, &s);
	CHECK(fd >= 0);
	CHECK_EQ(fakens_opened, opened + 1);
	CHECK(!getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	CHECK(!strcmp(name, ""));
	close(fd);
	s.local = craft_addr("127.0.0.5");
	s.lport = PORT;
	fd = fwd_socket_open(IPPROTO_UDP, &s);
	CHECK_EQ(local_of(fd).port, PORT);
	close(fd);
	fakens_on = false;
}

static bool has_congestion_control(int fd, const char *name)
{
	char is[16] = "";
	socklen_t len = sizeof(is);

	CHECK(!getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, is, &len));
	return !strcmp(is, name);
}

/* A remote peer's is the host's choice: Reno only where the host has that */
TEST(what_stays_on_this_machine_is_not_paced)
{
	static const struct port_rule rule = { .first = PORT, .last = PORT,
					       .to = PORT };
	const struct fwd_port in_ns = { .rule = &rule, .port = PORT,
					.proto = IPPROTO_TCP, .way = FWD_OUT,
					.families = FWD_V4 | FWD_V6 };
	struct flow_side h = { .remote = ADDR_LOOPBACK4, .local = ADDR_ANY4 };
	char usual[16] = "";
	socklen_t len = sizeof(usual);
	int fd;

	setup();
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, usual, &len));
	close(fd);

	fd = fwd_socket_open(IPPROTO_TCP, &h);
	CHECK(has_congestion_control(fd, "reno"));
	close(fd);
	h.remote = craft_addr("198.51.100.1");
	fd = fwd_socket_open(IPPROTO_TCP, &h);
	CHECK(has_congestion_control(fd, usual));
	close(fd);

	fakens_on = true;
	h.place = FLOW_AT_NS;
	fd = fwd_socket_open(IPPROTO_TCP, &h);
	CHECK(has_congestion_control(fd, "reno"));
	close(fd);
	fd = fwd_socket_listen(&in_ns);
	CHECK(has_congestion_control(fd, "reno"));
	close(fd);
	fakens_on = false;
	fd = listen_at(IPPROTO_TCP, "127.0.0.1");
	CHECK(has_congestion_control(fd, usual));
	close(fd);
}

TEST(ipv6_sockets_take_no_ipv4)
{
	struct flow_side h = { .remote = ADDR_LOOPBACK6,
			       .local = ADDR_LOOPBACK6, .rport = 9 };
	int fd;

	setup();
	fd = fwd_socket_open(IPPROTO_TCP, &h);
	CHECK(fd >= 0 && opt(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 1);
	close(fd);
	h.local = ADDR_ANY6;
	fd = fwd_socket_open(IPPROTO_UDP, &h);
	CHECK(fd >= 0 && opt(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 1);
	close(fd);
}

static void device_of(const struct flow_side *h, char *name)
{
	socklen_t len = IFNAMSIZ;
	int fd = fwd_socket_open(IPPROTO_UDP, h);

	CHECK(fd >= 0);
	memset(name, 0, IFNAMSIZ);
	CHECK(!getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	close(fd);
}

TEST(outbound_interface)
{
	struct flow_side h = { .remote = craft_addr("198.51.100.1"),
			       .local = ADDR_ANY4, .rport = 9 };
	char name[IFNAMSIZ];

	setup();
	strcpy(conf.family[CONF_V4].outbound_if, "lo");
	device_of(&h, name);
	CHECK(!strcmp(name, "lo"));
	/* an answer to a client leaves the way it came */
	h.local = ADDR_LOOPBACK4;
	device_of(&h, name);
	CHECK(!strcmp(name, ""));
	conf.family[CONF_V4].outbound = ADDR_LOOPBACK4;
	device_of(&h, name);
	CHECK(!strcmp(name, "lo"));
	h = (struct flow_side){ .remote = ADDR_LOOPBACK4, .local = ADDR_ANY4 };
	device_of(&h, name);
	CHECK(!strcmp(name, ""));
}

/* Where ports are few a look for one takes long, and flows are many */
TEST(another_address_is_not_looked_for_all_the_time)
{
	const struct flow_side lost = { .remote = craft_addr("2001:db8:77::7"),
					.local = craft_addr("2001:db8:77::5") };
	const struct addr other = craft_addr("127.0.0.2");
	const struct addr same = ADDR_LOOPBACK4;
	struct flow_side g = { .local = craft_addr("192.0.2.1"), .lport = 9 };
	const usec_t now = 1000 * USEC_PER_SEC;

	setup();
	CHECK(!fwd_socket_has_moved(IPPROTO_UDP, &g, &same, now));
	CHECK(fwd_socket_has_moved(IPPROTO_UDP, &g, &other, now));
	CHECK(fwd_socket_has_lost(&lost, now));
	slow_call(now, SLOW_TURN + 1);
	CHECK(!fwd_socket_has_lost(&lost, now));
	CHECK(!fwd_socket_has_moved(IPPROTO_UDP, &g, &other, now));
	CHECK(fwd_socket_has_moved(IPPROTO_UDP, &g, &other, now + 1));
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
