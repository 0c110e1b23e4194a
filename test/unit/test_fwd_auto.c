// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_fwd_auto: what comes and goes on either side is forwarded from the other
 *
 * Two network namespaces of the test's own: one stands for the host, the other
 * for the guest's. In the place of host/nssock.c are the functions below.
 */
#include "fwd_auto.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd_listen.h"
#include "fwd_socket.h"
#include "fwd_udp.h"
#include "host/nssock.h"
#include "test/unit/craft.h"
#include "test/unit/hostns.h"
#include "test/unit/unit.h"

#define PORT	4001

enum side { HOST, GUEST, SIDES };

static int netns[SIDES];
static struct ports_source source[SIDES];
static struct conf conf;
static usec_t now = 1000 * USEC_PER_SEC;

static void enter(enum side side)
{
	CHECK(!setns(netns[side], CLONE_NEWNET));
}

bool nssock_available(void)
{
	return true;
}

int nssock_open(uint8_t proto, int family)
{
	int type = proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, fd;

	enter(GUEST);
	fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	enter(HOST);
	return fd < 0 ? -errno : fd;
}

int nssock_bind(int fd, const struct endpoint *e)
{
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(e, &sa);

	return bind(fd, &sa.sa, len) ? -errno : 0;
}

static void on_event(struct watch *w, uint32_t events, usec_t at)
{
	(void)w;
	(void)events;
	(void)at;
}

static struct port_rule *rule(struct portspec *s, const char *at,
			      unsigned first, unsigned last)
{
	struct port_rule *r = &s->rule[s->count++];

	s->given = true;
	*r = (struct port_rule){
		.listen = craft_addr(at), .first = (uint16_t)first,
		.last = (uint16_t)last, .to = (uint16_t)first,
		.weak = true, .automatic = true };
	return r;
}

static void listen_anew(void)
{
	fwd_init(&conf);
	fwd_socket_init(&conf);
	CHECK_EQ(fwd_listen_start(IPPROTO_TCP, on_event), 0);
	CHECK_EQ(fwd_listen_start(IPPROTO_UDP, on_event), 0);
}

static void start(void)
{
	struct fwd_auto_conf c = { .conf = &conf, .host = source[HOST],
				   .ns = source[GUEST] };

	listen_anew();
	fwd_auto_start(&c, now);
}

static void setup(void)
{
	memset(&conf, 0, sizeof(conf));
	conf.family[CONF_V4].on = conf.family[CONF_V6].on = true;
	CHECK_EQ(loop_init(), 0);
}

/* As the default is: everything, both ways */
static void setup_all(void)
{
	setup();
	rule(&conf.tcp_ports, "::", 1, 32767);
	rule(&conf.tcp_ns_ports, "::", 1, 32767);
	rule(&conf.udp_ports, "::", 1, 32767);
	rule(&conf.udp_ns_ports, "::", 1, 32767);
	start();
}

/* No listener is left once what they stood for is gone */
static void teardown(void)
{
	memset(&conf, 0, sizeof(conf));
	listen_anew();
}

/* Less than a second passes */
static void later(void)
{
	for (unsigned i = 0; i < 9; i++) {
		now += 100 * USEC_PER_MSEC;
		timer_run(now);
	}
}

static int bound(enum side side, int type, const char *at, uint16_t port)
{
	struct endpoint e = { .addr = craft_addr(at), .port = port };
	const int one = 1;
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int fd;

	enter(side);
	fd = socket(sa.sa.sa_family, type | SOCK_CLOEXEC, 0);
	enter(HOST);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, type == SOCK_STREAM ?
		   sizeof(one) : 0);
	CHECK(!bind(fd, &sa.sa, len));
	if (type == SOCK_STREAM)
		CHECK(!listen(fd, 8));
	return fd;
}

static int tcp(enum side side, const char *at, uint16_t port)
{
	return bound(side, SOCK_STREAM, at, port);
}

static int udp(enum side side, const char *at, uint16_t port)
{
	return bound(side, SOCK_DGRAM, at, port);
}

/* "tcp" or "udp", "<" in or ">" out, families: "tcp<46 udp>4" */
static const char *on(uint16_t port)
{
	static char text[64];
	static const uint8_t proto[2] = { IPPROTO_TCP, IPPROTO_UDP };

	*text = '\0';
	for (unsigned i = 0; i < 4; i++) {
		struct fwd_listener *l = fwd_listen_on(proto[i / 2], i % 2,
						       port);

		for (; l; l = fwd_listen_next(l)) {
			strcat(text, *text ? " " : "");
			strcat(text, i / 2 ? "udp" : "tcp");
			strcat(text, l->way == FWD_IN ? "<" : ">");
			strcat(text, l->families & FWD_V4 ? "4" : "");
			strcat(text, l->families & FWD_V6 ? "6" : "");
		}
	}
	return text;
}

#define ON(port, expect)						\
	do {								\
		const char *on_ = on(port);				\
									\
		if (strcmp(on_, expect)) {				\
			fprintf(stderr, "port %u: %s, not %s\n",	\
				(unsigned)(port), on_, expect);		\
			CHECK(!"as expected");				\
		}							\
	} while (0)

static unsigned listeners(void)
{
	unsigned n = 0;

	for (unsigned port = 0; port <= 65535; port++)
		n += *on((uint16_t)port) != '\0';
	return n;
}

static int connect_to(enum side side, const char *to, uint16_t port)
{
	union sockaddr_any sa;
	const struct endpoint e = { craft_addr(to), port, 0 };
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int fd;

	enter(side);
	fd = socket(sa.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	enter(HOST);
	if (!connect(fd, &sa.sa, len))
		return fd;
	close(fd);
	return -1;
}

static bool reaches(enum side side, const char *to, uint16_t port)
{
	int fd = connect_to(side, to, port);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void one_tcp(enum side side, const char *at, const char *expect)
{
	int fd = tcp(side, at, PORT);

	later();
	ON(PORT, expect);
	CHECK_EQ(listeners(), *expect ? 1 : 0);
	close(fd);
	later();
	ON(PORT, "");
}

TEST(tcp_comes_and_goes)
{
	setup_all();
	CHECK_EQ(listeners(), 0);
	one_tcp(GUEST, "::", "tcp<46 udp<46");
	one_tcp(GUEST, "0.0.0.0", "tcp<4 udp<4");
	one_tcp(GUEST, "2001:db8::2", "tcp<6 udp<6");
	one_tcp(HOST, "::", "tcp>46 udp>46");
	one_tcp(HOST, "127.0.0.1", "tcp>4 udp>4");
	one_tcp(HOST, "::1", "tcp>6 udp>6");
	teardown();
}

/* What cannot be reached is not forwarded */
TEST(what_is_out_of_reach)
{
	setup_all();
	one_tcp(GUEST, "127.0.0.1", "");
	one_tcp(HOST, "198.51.100.1", "");
	conf.host_lo_to_ns_lo = true;
	one_tcp(GUEST, "127.0.0.1", "tcp<4 udp<4");
	one_tcp(GUEST, "2001:db8::2", "tcp<6 udp<6");
	conf.host_lo_to_ns_lo = false;
	conf.ns.no_tap = true;
	one_tcp(GUEST, "127.0.0.1", "tcp<4 udp<4");
	one_tcp(GUEST, "2001:db8::2", "");
	teardown();
}

/* A host without IPv6 but at loopback: that is all there is to reach */
TEST(family_without_routes)
{
	setup_all();
	conf.family[CONF_V6].on = false;
	one_tcp(HOST, "::1", "");
	conf.family[CONF_V6].local = true;
	one_tcp(HOST, "::1", "tcp>6 udp>6");
	one_tcp(HOST, "::", "tcp>46 udp>46");
	one_tcp(GUEST, "::", "tcp<4 udp<4");
	one_tcp(GUEST, "::1", "");
	conf.host_lo_to_ns_lo = true;
	one_tcp(GUEST, "::1", "tcp<6 udp<6");
	teardown();
}

TEST(it_can_be_connected_to)
{
	int in = tcp(GUEST, "0.0.0.0", PORT), out = tcp(HOST, "::1", PORT + 1);

	setup_all();
	CHECK(reaches(HOST, "127.0.0.1", PORT));
	CHECK(!reaches(HOST, "::1", PORT));
	CHECK(reaches(GUEST, "::1", PORT + 1));
	CHECK(!reaches(GUEST, "127.0.0.1", PORT + 1));
	/* from inside, by loopback only */
	CHECK(!reaches(GUEST, "192.0.2.2", PORT + 1));
	close(in);
	close(out);
	later();
	CHECK(!reaches(HOST, "127.0.0.1", PORT));
	CHECK(!reaches(GUEST, "::1", PORT + 1));
	teardown();
}

/* Our own listeners are not followed by those of the other way */
TEST(no_circle)
{
	int in, out;

	setup_all();
	in = tcp(GUEST, "::", PORT);
	out = tcp(HOST, "::", PORT + 1);
	for (unsigned i = 0; i < 10; i++)
		later();
	CHECK_EQ(listeners(), 2);
	ON(PORT, "tcp<46 udp<46");
	ON(PORT + 1, "tcp>46 udp>46");
	close(in);
	close(out);
	later();
	CHECK_EQ(listeners(), 0);
	teardown();
}

/* The same port on both sides: neither is in the other's way */
TEST(both_sides_have_it)
{
	int in = tcp(GUEST, "::", PORT), out = tcp(HOST, "::", PORT);

	setup_all();
	ON(PORT, "");
	close(out);
	later();
	ON(PORT, "tcp<46 udp<46");
	out = tcp(HOST, "127.0.0.1", PORT + 1);
	close(in);
	later();
	ON(PORT, "");
	ON(PORT + 1, "tcp>4 udp>4");
	close(out);
	later();
	CHECK_EQ(listeners(), 0);
	teardown();
}

/* Beside a listener of ours at another address */
TEST(another_address_of_our_port)
{
	int fd;

	setup_all();
	conf.tcp_ports.count = 0;
	rule(&conf.tcp_ports, "198.51.100.1", PORT, PORT)->automatic = false;
	start();
	fd = tcp(HOST, "127.0.0.1", PORT);
	later();
	ON(PORT, "tcp<4 tcp>4 udp>4");
	close(fd);
	later();
	ON(PORT, "tcp<4");
	teardown();
}

TEST(families_change)
{
	int four = tcp(GUEST, "0.0.0.0", PORT), six;

	setup_all();
	ON(PORT, "tcp<4 udp<4");
	six = tcp(GUEST, "2001:db8::2", PORT);
	later();
	ON(PORT, "tcp<46 udp<46");
	CHECK(reaches(HOST, "::1", PORT) && reaches(HOST, "127.0.0.1", PORT));
	close(four);
	later();
	ON(PORT, "tcp<6 udp<6");
	close(six);
	later();
	ON(PORT, "");
	conf.family[CONF_V6].on = false;
	six = tcp(GUEST, "::", PORT);
	later();
	ON(PORT, "tcp<4 udp<4");
	close(six);
	teardown();
}

TEST(udp_comes_and_goes)
{
	union sockaddr_any sa;
	const struct endpoint e = { craft_addr("127.0.0.1"), 9, 0 };
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int in, out;

	setup_all();
	in = udp(GUEST, "::", PORT);
	out = udp(HOST, "127.0.0.1", PORT + 1);
	later();
	ON(PORT, "udp<46");
	ON(PORT + 1, "udp>4");
	CHECK_EQ(listeners(), 2);
	CHECK(!connect(out, &sa.sa, len));
	close(in);
	later();
	CHECK_EQ(listeners(), 0);
	close(out);
	teardown();
}

/* To what comes past the link: its client goes on to speak to the port */
TEST(udp_server_that_connects)
{
	const struct endpoint e = { craft_addr("127.0.0.1"), 9, 0 };
	struct flow_side to = { .rport = PORT, .place = FLOW_AT_HOST };
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int fd, other;

	setup_all();
	fd = udp(HOST, "127.0.0.1", PORT);
	other = udp(HOST, "127.0.0.1", PORT + 1);
	later();
	ON(PORT, "udp>4");
	fwd_udp_lead(&to);
	CHECK(!connect(fd, &sa.sa, len));
	CHECK(!connect(other, &sa.sa, len));
	later();
	ON(PORT, "udp>4");
	ON(PORT + 1, "");
	/* the client has gone */
	fwd_udp_lead_end(&to);
	later();
	ON(PORT, "");
	close(fd);
	/* and the same where the server goes */
	fd = udp(HOST, "127.0.0.1", PORT);
	later();
	ON(PORT, "udp>4");
	fwd_udp_lead(&to);
	CHECK(!connect(fd, &sa.sa, len));
	later();
	ON(PORT, "udp>4");
	close(fd);
	later();
	ON(PORT, "");
	fwd_udp_lead_end(&to);
	close(other);
	teardown();
}

/* A client inside would find its port in use */
TEST(dhcp_is_left_alone)
{
	int a = udp(HOST, "0.0.0.0", 68), b = udp(GUEST, "::", 547);
	int c = udp(HOST, "0.0.0.0", 69), d = tcp(HOST, "::", 67);

	setup_all();
	ON(68, "");
	ON(547, "");
	ON(69, "udp>4");
	ON(67, "tcp>46");
	close(a);
	close(b);
	close(c);
	close(d);
	teardown();
}

/* The listener comes back while flows of the port are still there */
TEST(udp_port_of_flows)
{
	struct flow_side h = { .remote = craft_addr("127.0.0.1"),
			       .local = craft_addr("127.0.0.1"), .rport = 9,
			       .lport = PORT, .place = FLOW_AT_HOST };
	int flow, in, other;
	union sockaddr_any sa;
	const struct endpoint e = { h.remote, h.rport, 0 };
	socklen_t len = addr_to_sockaddr(&e, &sa);

	setup_all();
	flow = fwd_socket_open(IPPROTO_UDP, &h);
	CHECK(!connect(flow, &sa.sa, len));
	in = udp(GUEST, "::", PORT);
	later();
	/* not beside another daemon's flow */
	ON(PORT, "");
	fwd_udp_hold(&h);
	later();
	ON(PORT, "udp<46");
	close(in);
	later();
	/* but not beside another's socket, that shares or not */
	other = fwd_socket_open(IPPROTO_UDP, &h);
	in = udp(GUEST, "::", PORT);
	later();
	ON(PORT, "");
	close(other);
	later();
	ON(PORT, "udp<46");
	close(in);
	close(flow);
	fwd_udp_let_go(&h);
	teardown();
}

/* UDP beside TCP: from the same address only, and only where -u is auto */
TEST(udp_beside_tcp)
{
	int in = tcp(GUEST, "::", PORT);

	setup();
	rule(&conf.tcp_ports, "127.0.0.1", 1, 32767);
	rule(&conf.tcp_ports, "198.51.100.1", 1, 32767);
	rule(&conf.udp_ports, "198.51.100.1", 1, 32767);
	rule(&conf.udp_ports, "::1", 1, 32767);
	start();
	ON(PORT, "tcp<4 tcp<4 udp<4");
	CHECK(fwd_listen_on(IPPROTO_UDP, FWD_IN, PORT)->rule == 0);
	conf.udp_ports.count = 0;
	start();
	ON(PORT, "tcp<4 tcp<4");
	/* asked for by number, it is forwarded all the same */
	conf.tcp_ports.count = 0;
	rule(&conf.tcp_ports, "::", PORT + 1, PORT + 1)->automatic = false;
	rule(&conf.udp_ports, "::", 1, 32767);
	start();
	ON(PORT + 1, "tcp<46 udp<46");
	close(in);
	teardown();
}

/* A UDP client's port is not followed, but one beside TCP's is there */
TEST(udp_only_beside_tcp)
{
	int u = udp(GUEST, "::", PORT), t = tcp(GUEST, "::", PORT + 1);

	setup();
	rule(&conf.tcp_ports, "::", 1, 32767);
	rule(&conf.udp_ports, "::", 1, 32767)->beside = true;
	start();
	ON(PORT, "");
	ON(PORT + 1, "tcp<46 udp<46");
	close(u);
	close(t);
	teardown();
}

TEST(within_a_range)
{
	int a = tcp(GUEST, "::", 5000), b = tcp(GUEST, "::", 5010);
	int c = tcp(GUEST, "::", 4999), d = tcp(GUEST, "::", 5011);

	setup();
	rule(&conf.tcp_ports, "::", 6000, 6010)->to = 5000;
	start();
	CHECK_EQ(listeners(), 2);
	ON(6000, "tcp<46");
	ON(6010, "tcp<46");
	close(a);
	close(c);
	later();
	CHECK_EQ(listeners(), 1);
	ON(6010, "tcp<46");
	close(b);
	close(d);
	later();
	CHECK_EQ(listeners(), 0);
	teardown();
}

TEST(to_a_target)
{
	struct port_rule *r;
	int a = tcp(GUEST, "192.0.2.2", PORT), b = tcp(GUEST, "::1", PORT + 1);

	setup();
	r = rule(&conf.tcp_ports, "::", PORT, PORT);
	r->has_target = true;
	r->target = craft_addr("192.0.2.2");
	r = rule(&conf.tcp_ports, "::", PORT + 1, PORT + 1);
	r->has_target = true;
	r->target = craft_addr("::1");
	start();
	ON(PORT, "tcp<4");
	ON(PORT + 1, "tcp<6");
	close(a);
	close(b);
	teardown();
}

TEST(at_an_address)
{
	int a = tcp(GUEST, "0.0.0.0", PORT), b = tcp(GUEST, "::", PORT + 1);

	setup();
	rule(&conf.tcp_ports, "::1", 1, 32767);
	start();
	ON(PORT, "");
	ON(PORT + 1, "tcp<6");
	CHECK(reaches(HOST, "::1", PORT + 1));
	CHECK(!reaches(HOST, "127.0.0.1", PORT + 1));
	close(a);
	close(b);
	teardown();
}

/* Both ends have been put through: the listener may go */
TEST(connections_live_on)
{
	int in = tcp(GUEST, "::", PORT), client, peer;
	char c = 0;

	setup_all();
	client = connect_to(HOST, "127.0.0.1", PORT);
	peer = accept4(fwd_listen_on(IPPROTO_TCP, FWD_IN, PORT)->watch.fd,
		       NULL, NULL, SOCK_CLOEXEC);
	close(in);
	later();
	ON(PORT, "");
	CHECK_EQ(send(client, "x", 1, 0), 1);
	CHECK(recv(peer, &c, 1, 0) == 1 && c == 'x');
	close(client);
	close(peer);
	teardown();
}

/* Nothing changes while nothing can be known */
TEST(scan_that_fails)
{
	struct fwd_auto_conf c = { .conf = &conf, .host = source[HOST],
				   .ns = source[GUEST] };
	int in = tcp(GUEST, "::", PORT);

	setup_all();
	ON(PORT, "tcp<46 udp<46");
	c.ns = (struct ports_source){ .fd = { -1 }, .count = 1 };
	fwd_auto_start(&c, now);
	close(in);
	later();
	ON(PORT, "tcp<46 udp<46");
	c.ns = source[GUEST];
	fwd_auto_start(&c, now);
	ON(PORT, "");
	teardown();
}

/* As with a kernel that lacks sock_diag */
static struct ports_source files(enum side side)
{
	static const char *const name[] = {
		"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6",
		"/proc/thread-self/net/udp", "/proc/thread-self/net/udp6",
	};
	struct ports_source s = { .count = PORTS_FDS };

	enter(side);
	for (unsigned i = 0; i < PORTS_FDS; i++) {
		s.fd[i] = open(name[i], O_RDONLY | O_CLOEXEC);
		CHECK(s.fd[i] >= 0);
	}
	enter(HOST);
	return s;
}

/*
 * They do not say that a listener of ours is reached at loopback alone. It is not
 * followed the other way, and a service that starts anew finds its port free
 */
TEST(no_circle_by_files)
{
	struct fwd_auto_conf c = { .conf = &conf, .host = files(HOST),
				   .ns = files(GUEST) };
	int out;

	setup_all();
	out = tcp(HOST, "127.0.0.1", PORT);
	fwd_auto_start(&c, now);
	ON(PORT, "tcp>4 udp>4");
	later();
	ON(PORT, "tcp>4 udp>4");
	close(out);
	fwd_auto_start(&c, now);
	ON(PORT, "");
	fwd_auto_start(&c, now);
	CHECK_EQ(listeners(), 0);
	for (unsigned i = 0; i < PORTS_FDS; i++) {
		close(c.host.fd[i]);
		close(c.ns.fd[i]);
	}
	teardown();
}

/* Servers in the namespace, and then no more descriptors than that. Return: how
 * many there could be before
 */
static struct rlimit serve_with(unsigned n, int *fd, rlim_t may_have)
{
	struct rlimit before, few;

	CHECK(!getrlimit(RLIMIT_NOFILE, &before));
	few = before;
	few.rlim_cur = may_have;
	for (unsigned i = 0; i < n; i++)
		fd[i] = tcp(GUEST, "::", (uint16_t)(PORT + i));
	CHECK(!setrlimit(RLIMIT_NOFILE, &few));
	return before;
}

/* Flows want descriptors, too: no more than half of them are for listeners */
TEST(leaves_descriptors)
{
	enum { SERVERS = 40, MAY_HAVE = 140 };
	int fd[SERVERS];
	struct rlimit before = serve_with(SERVERS, fd, MAY_HAVE);

	setup_all();
	CHECK_EQ(fwd_listen_count(), MAY_HAVE / 2);
	CHECK_EQ(listeners(), SERVERS);
	/* There is room for what comes once something has gone */
	for (unsigned i = 1; i < SERVERS; i++)
		close(fd[i]);
	later();
	ON(PORT, "tcp<46 udp<46");
	CHECK_EQ(fwd_listen_count(), 2);
	close(fd[0]);
	teardown();
	CHECK_EQ(fwd_listen_count(), 0);
	CHECK(!setrlimit(RLIMIT_NOFILE, &before));
}

/* Ports by number, of which there may be more, leave it what flows leave it */
TEST(descriptors_beside_ports_by_number)
{
	enum { SERVERS = 30, MAY_HAVE = 210, BY_NUMBER = 110 };
	int fd[SERVERS];
	struct rlimit before = serve_with(SERVERS, fd, MAY_HAVE);

	setup();
	rule(&conf.tcp_ports, "::", 1000, 999 + BY_NUMBER)->automatic = false;
	rule(&conf.tcp_ports, "::", PORT, PORT + SERVERS - 1);
	start();
	CHECK_EQ(fwd_listen_count(), BY_NUMBER + SERVERS);
	for (unsigned i = 0; i < SERVERS; i++)
		close(fd[i]);
	teardown();
	CHECK(!setrlimit(RLIMIT_NOFILE, &before));
}

/* A part that is switched off listens on nothing */
TEST(switched_off)
{
	int in = tcp(GUEST, "::", PORT), u = udp(GUEST, "::", PORT + 1);

	setup_all();
	ON(PORT + 1, "udp<46");
	conf.no_udp = true;
	start();
	ON(PORT, "tcp<46");
	ON(PORT + 1, "");
	conf.no_udp = false;
	conf.no_tcp = true;
	start();
	ON(PORT, "");
	ON(PORT + 1, "udp<46");
	close(in);
	close(u);
	teardown();
}

static bool lo_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = !ioctl(fd, SIOCSIFFLAGS, &ifr);

	close(fd);
	return ok;
}

static int netns_here(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static bool sides_make(void)
{
	if (!hostns_enter() || !hostns_address("198.51.100.1"))
		return false;
	netns[HOST] = netns_here();
	if (ports_open(&source[HOST]) || unshare(CLONE_NEWNET) || !lo_up() ||
	    !hostns_address("192.0.2.2") || !hostns_address("2001:db8::2"))
		return false;
	netns[GUEST] = netns_here();
	return !ports_open(&source[GUEST]) && !setns(netns[HOST], CLONE_NEWNET);
}

int main(int argc, char **argv)
{
	if (!sides_make()) {
		perror("namespaces");
		return 1;
	}
	if (timer_init(now) < 0)
		return 1;
	return unit_main(argc, argv);
}
