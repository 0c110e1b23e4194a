// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_udp_splice: datagrams from socket to socket, on a loopback of our own
 *
 * The client sends to a forwarded port, the server's socket is in the
 * namespace, which is the same one here.
 */
#include "udp_splice.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fwd.h"
#include "fwd_listen.h"
#include "fwd_socket.h"
#include "guest.h"
#include "lib/loop.h"
#include "lib/slow.h"
#include "test/unit/fakens.h"
#include "test/unit/hostns.h"
#include "test/unit/unit.h"
#include "udp.h"
#include "udp_conv.h"

#define TURNS_MAX	1000

static struct conf conf;
static usec_t now = 1000 * USEC_PER_SEC;
static uint16_t port = 30000;	/* forwarded, the server's is the next one */
static int client = -1, server = -1;
static struct endpoint peer;	/* who the server has heard */
static unsigned fds;
static uint8_t data[70000], got[70000];

static struct addr addr(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		abort();
	return a;
}

static unsigned fd_count(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void setup_to(uint16_t to)
{
	static bool done;

	if (!done) {
		CHECK_EQ(loop_init(), 0);
		CHECK(timer_init(now) >= 0);
	}
	done = true;
	fakens_on = true;
	memset(&conf, 0, sizeof(conf));
	conf.family[CONF_V4].on = conf.family[CONF_V6].on = true;
	conf.host_lo_to_ns_lo = true;
	port += 2;
	conf.udp_ports = (struct portspec){ .given = true, .count = 1 };
	conf.udp_ports.rule[0] = (struct port_rule){
		.first = port, .last = port,
		.to = to ? to : (uint16_t)(port + 1),
	};
	flow_init();
	guest_init(&(struct guest_conf){ .addr4 = ADDR_ANY4 });
	fwd_init(&conf);
	fwd_socket_init(&conf);
	CHECK_EQ(udp_init(&conf, now), 0);
	fds = fd_count();
}

static void setup(void)
{
	setup_to(0);
}

static void drop_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void teardown(void)
{
	flow_stop(now);
	flow_reap();
	CHECK_EQ(flow_count(), 0);
	drop_fd(&client);
	drop_fd(&server);
	CHECK_EQ(fd_count(), fds);
}

static unsigned turns(void)
{
	unsigned count = 0;
	int n;

	while (count < TURNS_MAX && (n = loop_wait(count ? 1 : 10)) > 0) {
		loop_dispatch(n, now);
		flow_reap();
		count++;
	}
	CHECK(count < TURNS_MAX);
	return count;
}

static void later(usec_t sec)
{
	now += sec * USEC_PER_SEC + USEC_PER_MSEC;
	timer_run(now);
	flow_reap();
}

static socklen_t at(const char *where, uint16_t p, union sockaddr_any *sa)
{
	return addr_to_sockaddr(&(struct endpoint){ addr(where), p, 0 }, sa);
}

static int serve_at(const char *where, uint16_t p)
{
	union sockaddr_any sa;
	socklen_t len = at(where, p, &sa);
	int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	CHECK(!bind(fd, &sa.sa, len));
	return fd;
}

static void serve(const char *where)
{
	server = serve_at(where, (uint16_t)(port + 1));
}

/* Connected: hears nothing but what comes from where it sends to */
static int dial(const char *where)
{
	union sockaddr_any sa;
	socklen_t len = at(where, port, &sa);
	int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	CHECK(!connect(fd, &sa.sa, len));
	return fd;
}

static ssize_t server_hears(void)
{
	union sockaddr_any sa = { 0 };
	socklen_t len = sizeof(sa);
	ssize_t n = recvfrom(server, got, sizeof(got), 0, &sa.sa, &len);

	peer = addr_from_sockaddr(&sa);
	return n;
}

static ssize_t server_says(const void *what, size_t len)
{
	union sockaddr_any sa;
	socklen_t sa_len = addr_to_sockaddr(&peer, &sa);

	return sendto(server, what, len, 0, &sa.sa, sa_len);
}

static void exchange(const char *what)
{
	size_t len = strlen(what);

	CHECK_EQ(send(client, what, len, 0), len);
	turns();
	CHECK_EQ(server_hears(), len);
	CHECK(!memcmp(got, what, len));
	CHECK_EQ(server_says("answer", 6), 6);
	turns();
	CHECK_EQ(recv(client, got, sizeof(got), 0), 6);
	CHECK(!memcmp(got, "answer", 6));
}

static void talk(const char *to, const char *at_server)
{
	setup();
	serve(at_server);
	client = dial(to);
	exchange("one");
	exchange("another");
	CHECK_EQ(flow_count(), 1);
	/* one descriptor, besides the test's own two */
	CHECK_EQ(fd_count(), fds + 3);
	CHECK_EQ(turns(), 0);
	teardown();
}

TEST(both_families)
{
	talk("127.0.0.1", "127.0.0.1");
	talk("127.0.0.5", "127.0.0.5");
	talk("::1", "::1");
}

TEST(one_family_only)
{
	setup();
	conf.family[CONF_V6].on = false;
	port += 2;
	conf.udp_ports.rule[0].first = conf.udp_ports.rule[0].last = port;
	conf.udp_ports.rule[0].to = (uint16_t)(port + 1);
	fwd_init(&conf);
	CHECK_EQ(udp_init(&conf, now), 0);
	fds = fd_count();
	serve("127.0.0.7");
	client = dial("127.0.0.7");
	exchange("on an IPv4 socket");
	teardown();
}

TEST(clients_apart)
{
	struct endpoint first;
	int other;

	setup();
	serve("127.0.0.1");
	client = dial("127.0.0.1");
	exchange("first");
	first = peer;
	other = dial("127.0.0.1");
	CHECK_EQ(send(other, "second", 6, 0), 6);
	turns();
	CHECK_EQ(server_hears(), 6);
	CHECK(peer.port != first.port);
	CHECK_EQ(flow_count(), 2);
	peer = first;
	CHECK_EQ(server_says("late", 4), 4);
	turns();
	CHECK_EQ(recv(other, got, sizeof(got), 0), -1);
	CHECK_EQ(recv(client, got, sizeof(got), 0), 4);
	close(other);
	teardown();
}

/* More than a batch, of two clients in turn; the order of each is kept */
TEST(bursts)
{
	unsigned seen[2] = { 0 };
	int fd[2];

	setup();
	serve("127.0.0.1");
	fd[0] = dial("127.0.0.1");
	fd[1] = dial("127.0.0.1");
	for (unsigned i = 0; i < 150; i++) {
		data[0] = (uint8_t)(i & 1);
		data[1] = (uint8_t)(i / 2);
		CHECK_EQ(send(fd[i & 1], data, 100 + i, 0), 100 + i);
	}
	turns();
	for (unsigned i = 0; i < 150; i++) {
		ssize_t n = server_hears();

		CHECK_EQ(n, 100 + 2 * got[1] + got[0]);
		CHECK_EQ(got[1], seen[got[0]]);
		seen[got[0]]++;
	}
	for (unsigned i = 0; i < 100; i++) {
		data[0] = (uint8_t)i;
		CHECK_EQ(server_says(data, 10 + i), 10 + i);
	}
	turns();
	for (unsigned i = 0; i < 100; i++) {
		CHECK_EQ(recv(fd[1], got, sizeof(got), 0), 10 + i);
		CHECK_EQ(got[0], i);
	}
	close(fd[0]);
	close(fd[1]);
	teardown();
}

static void one_of_size(size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i ^ i >> 8 ^ len);
	CHECK_EQ(send(client, data, len, 0), len);
	turns();
	memset(got, 0, sizeof(got));
	CHECK_EQ(server_hears(), len);
	CHECK(!memcmp(got, data, len));
	CHECK_EQ(server_says(data, len), len);
	turns();
	memset(got, 0, sizeof(got));
	CHECK_EQ(recv(client, got, sizeof(got), 0), len);
	CHECK(!memcmp(got, data, len));
}

TEST(all_sizes)
{
	setup();
	serve("127.0.0.1");
	client = dial("127.0.0.1");
	one_of_size(0);
	one_of_size(1);
	one_of_size(1472);
	one_of_size(65507);
	teardown();
}

/* Nobody there: nothing turns, and the next datagram asks again */
TEST(refused)
{
	setup();
	client = dial("127.0.0.1");
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(send(client, "x", 1, 0), 1);
		turns();
		CHECK_EQ(turns(), 0);
	}
	CHECK_EQ(flow_count(), 1);
	serve("127.0.0.1");
	exchange("now");
	drop_fd(&server);
	CHECK_EQ(send(client, "y", 1, 0), 1);
	turns();
	CHECK_EQ(turns(), 0);
	teardown();
}

TEST(timeouts)
{
	setup();
	serve("127.0.0.1");
	client = dial("127.0.0.1");
	CHECK_EQ(send(client, "x", 1, 0), 1);
	turns();
	later(20);
	CHECK_EQ(send(client, "x", 1, 0), 1);
	turns();
	later(20);
	CHECK_EQ(flow_count(), 1);
	later(11);
	CHECK_EQ(flow_count(), 0);
	while (server_hears() > 0)
		;
	exchange("replied");
	later(31);
	CHECK_EQ(flow_count(), 1);
	exchange("again");
	later(179);
	CHECK_EQ(flow_count(), 1);
	later(2);
	CHECK_EQ(flow_count(), 0);
	teardown();
}

TEST(queries_end_early)
{
	setup_to(UDP_DNS_PORT);
	server = serve_at("127.0.0.1", UDP_DNS_PORT);
	client = dial("127.0.0.1");
	exchange("query");
	later(11);
	CHECK_EQ(flow_count(), 0);
	teardown();
}

/* No answer leaves from a port that is another's now */
TEST(listener_goes)
{
	struct fwd_listener *l;

	setup();
	serve("127.0.0.1");
	client = dial("127.0.0.1");
	exchange("hello");
	l = fwd_listen_on(IPPROTO_UDP, FWD_IN, port);
	CHECK(l);
	fwd_listen_close(l);
	CHECK_EQ(server_says("to nobody", 9), 9);
	turns();
	CHECK_EQ(flow_count(), 0);
	fds--;
	teardown();
}

/* The same port by a socket of another family is as good */
TEST(listener_comes_again)
{
	struct fwd_port p = { .proto = IPPROTO_UDP, .way = FWD_IN,
			      .families = FWD_V4 };

	setup();
	serve("127.0.0.1");
	client = dial("127.0.0.1");
	exchange("hello");
	fwd_listen_close(fwd_listen_on(IPPROTO_UDP, FWD_IN, port));
	p.port = port;
	p.rule = fwd_rule(IPPROTO_UDP, FWD_IN, 0);
	CHECK_EQ(fwd_listen_open(&p), 0);
	CHECK_EQ(server_says("answer", 6), 6);
	turns();
	CHECK_EQ(recv(client, got, sizeof(got), 0), 6);
	exchange("hello");
	teardown();
}

TEST(without_descriptors)
{
	struct rlimit was, low;

	setup();
	serve("127.0.0.1");
	client = dial("127.0.0.1");
	CHECK(!getrlimit(RLIMIT_NOFILE, &was));
	low = was;
	low.rlim_cur = 4;
	CHECK(!setrlimit(RLIMIT_NOFILE, &low));
	CHECK_EQ(send(client, "x", 1, 0), 1);
	turns();
	CHECK(!setrlimit(RLIMIT_NOFILE, &was));
	CHECK_EQ(flow_count(), 0);
	exchange("later");
	teardown();
}

/*
 * There may be one client: the first gives way to the second, and what it has said
 * in the same turn still goes
 */
TEST(clients_give_way)
{
	struct rlimit was, low;
	int second;

	setup();
	serve("127.0.0.1");
	CHECK(!getrlimit(RLIMIT_NOFILE, &was));
	low = was;
	/* what listens, what is left to others, see fwd_listen.c, and one */
	low.rlim_cur = fwd_listen_count() + 24 + 1;
	CHECK(!setrlimit(RLIMIT_NOFILE, &low));
	CHECK_EQ(udp_init(&conf, now), 0);
	client = dial("127.0.0.1");
	second = dial("127.0.0.1");
	CHECK_EQ(send(client, "one", 3, 0), 3);
	CHECK_EQ(send(second, "second", 6, 0), 6);
	turns();
	CHECK_EQ(server_hears(), 3);
	CHECK_EQ(server_hears(), 6);
	CHECK_EQ(flow_count(), 1);
	close(second);

	/* who goes on after an answer stays, and the next one is refused */
	exchange("hello");
	exchange("again");
	second = dial("127.0.0.1");
	CHECK_EQ(send(second, "second", 6, 0), 6);
	turns();
	CHECK_EQ(server_hears(), -1);
	close(second);
	exchange("still here");
	CHECK(!setrlimit(RLIMIT_NOFILE, &was));
	teardown();
}

static void moves(const char *to)
{
	const struct addr a = addr(to);

	CHECK(hostns_move(to));
	guest_learn_addr(&a);
}

/* The namespace has another address now: a client that goes on is heard there */
TEST(guest_moves)
{
	setup();
	conf.host_lo_to_ns_lo = false;
	moves("192.0.2.5");
	serve("0.0.0.0");
	client = dial("127.0.0.1");
	exchange("here");
	moves("192.0.2.6");
	CHECK_EQ(send(client, "lost", 4, 0), 4);
	turns();
	/* at once, not when it has been silent for long */
	later(0);
	CHECK_EQ(flow_count(), 0);
	exchange("there");
	CHECK_EQ(flow_count(), 1);
	teardown();
}

/* IPv6 sends to an address that is no more as well: it goes wherever routes lead */
TEST(guest_moves_and_nobody_answers)
{
	static const char *const guest[] = { "2001:db8:5::1", "2001:db8:5::2" };
	const struct addr a = addr(guest[0]), b = addr(guest[1]);

	CHECK(hostns_address(guest[0]) && hostns_address(guest[1]));
	setup();
	conf.host_lo_to_ns_lo = false;
	guest_learn_addr(&a);
	serve(guest[1]);
	client = dial("::1");
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(send(client, "x", 1, 0), 1);
		turns();
		CHECK_EQ(server_hears(), -1);
		guest_learn_addr(&b);
		later(10);
	}
	exchange("there");
	CHECK_EQ(flow_count(), 1);
	/* where somebody answers, the guest is there, too */
	guest_learn_addr(&a);
	for (unsigned i = 0; i < 60; i++) {
		exchange("still there");
		later(10);
	}
	CHECK_EQ(flow_count(), 1);
	teardown();
}

/* Enough for this turn: who comes anew waits for the next */
TEST(turn_is_over)
{
	setup();
	serve("127.0.0.1");
	client = dial("127.0.0.1");
	slow_call(now, SLOW_TURN + 1);
	CHECK_EQ(send(client, "x", 1, 0), 1);
	loop_dispatch(loop_wait(1000), now);
	CHECK_EQ(flow_count(), 0);
	now++;
	turns();
	CHECK_EQ(flow_count(), 1);
	CHECK_EQ(server_hears(), 1);
	teardown();
}

/* Where the bypass is off, and there is no link: to nobody */
TEST(not_for_others)
{
	setup();
	serve("127.0.0.1");
	conf.no_splice = true;
	client = dial("127.0.0.1");
	CHECK_EQ(send(client, "x", 1, 0), 1);
	turns();
	CHECK_EQ(flow_count(), 0);
	CHECK_EQ(server_hears(), -1);
	teardown();
}

/* Out of the namespace, which the listener is bound in */
TEST(out_to_the_host)
{
	unsigned opened;

	setup();
	conf.udp_ns_ports = conf.udp_ports;
	conf.udp_ports.count = 0;
	port += 2;
	conf.udp_ns_ports.rule[0].first = port;
	conf.udp_ns_ports.rule[0].last = port;
	conf.udp_ns_ports.rule[0].to = (uint16_t)(port + 1);
	fwd_init(&conf);
	CHECK_EQ(udp_init(&conf, now), 0);
	opened = fakens_opened;
	fds = fd_count();
	serve("127.0.0.1");
	client = dial("127.0.0.1");
	exchange("out");
	CHECK_EQ(fakens_opened, opened);
	CHECK_EQ(flow_count(), 1);
	teardown();
}

int main(int argc, char **argv)
{
	return hostns_enter() ? unit_main(argc, argv) : 1;
}
