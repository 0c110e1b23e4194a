// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_fwd_listen: listening sockets that come and go, on a host of the test's
 * own
 */
#include "fwd_listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd_socket.h"
#include "test/unit/craft.h"
#include "test/unit/hostns.h"
#include "test/unit/unit.h"

static struct conf conf;
static struct fwd_listener *heard;
static unsigned events;

static void on_event(struct watch *w, uint32_t ev, usec_t now)
{
	(void)ev;
	(void)now;
	heard = (void *)w;
	events++;
}

static void setup(void)
{
	memset(&conf, 0, sizeof(conf));
	conf.family[CONF_V4].on = conf.family[CONF_V6].on = true;
	CHECK_EQ(loop_init(), 0);
	events = 0;
	heard = NULL;
}

static void rule(struct portspec *s, const char *at, unsigned first,
		 unsigned last)
{
	s->given = true;
	s->rule[s->count++] = (struct port_rule){
		.listen = craft_addr(at), .first = (uint16_t)first,
		.last = (uint16_t)last, .to = (uint16_t)first };
}

static int start(void)
{
	int rc;

	fwd_init(&conf);
	fwd_socket_init(&conf);
	rc = fwd_listen_start(IPPROTO_TCP, on_event);
	return rc ? rc : fwd_listen_start(IPPROTO_UDP, on_event);
}

static void teardown(void)
{
	conf.tcp_ports.count = conf.udp_ports.count = 0;
	CHECK_EQ(start(), 0);
}

static struct fwd_port tcp_port(unsigned index, uint16_t port)
{
	return (struct fwd_port){
		.rule = fwd_rule(IPPROTO_TCP, FWD_IN, index), .index = index,
		.port = port, .proto = IPPROTO_TCP, .way = FWD_IN,
		.families = FWD_V4 | FWD_V6 };
}

static struct fwd_listener *tcp_on(uint16_t port)
{
	return fwd_listen_on(IPPROTO_TCP, FWD_IN, port);
}

static struct fwd_listener *udp_on(uint16_t port)
{
	return fwd_listen_on(IPPROTO_UDP, FWD_IN, port);
}

static unsigned listeners(uint8_t proto)
{
	const uint64_t *bit = fwd_listen_ports(proto, FWD_IN);
	unsigned n = 0;

	for (unsigned port = 0; port <= 65535; port++) {
		struct fwd_listener *l = fwd_listen_on(proto, FWD_IN,
						       (uint16_t)port);

		CHECK_EQ(bit[port / 64] >> port % 64 & 1, l != NULL);
		for (; l; l = fwd_listen_next(l))
			n++;
	}
	return n;
}

static int connect_to(int type, const char *to, uint16_t port)
{
	union sockaddr_any sa;
	const struct endpoint e = { craft_addr(to), port, 0 };
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int fd = socket(sa.sa.sa_family, type | SOCK_CLOEXEC, 0);

	if (!connect(fd, &sa.sa, len))
		return fd;
	close(fd);
	return -errno;
}

static void reaches(const char *to, uint16_t port, bool expect)
{
	int fd = connect_to(SOCK_STREAM, to, port);

	CHECK_EQ(fd >= 0, expect);
	if (fd >= 0)
		close(fd);
}

static int holder(int type, const char *at, uint16_t port)
{
	union sockaddr_any sa;
	const struct endpoint e = { craft_addr(at), port, 0 };
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int fd = socket(sa.sa.sa_family, type | SOCK_CLOEXEC, 0);

	CHECK(!bind(fd, &sa.sa, len));
	if (type == SOCK_STREAM)
		CHECK(!listen(fd, 1));
	return fd;
}

TEST(all_ports_of_all_rules)
{
	setup();
	rule(&conf.tcp_ports, "::", 2000, 2010);
	rule(&conf.tcp_ports, "127.0.0.1", 22, 22);
	rule(&conf.udp_ports, "::", 2000, 2001);
	CHECK_EQ(start(), 0);
	CHECK_EQ(listeners(IPPROTO_TCP), 12);
	CHECK_EQ(listeners(IPPROTO_UDP), 2);
	CHECK_EQ(tcp_on(22)->rule, 1);
	CHECK(fwd_listen_rule(tcp_on(22)) == fwd_rule(IPPROTO_TCP, FWD_IN, 1));
	reaches("127.0.0.1", 2010, true);
	reaches("::1", 2010, true);
	reaches("127.0.0.1", 22, true);
	reaches("::1", 22, false);
	teardown();
	CHECK_EQ(listeners(IPPROTO_TCP), 0);
	reaches("127.0.0.1", 2010, false);
}

TEST(ports_asked_for_by_number_must_be_bound)
{
	int fd = holder(SOCK_STREAM, "127.0.0.1", 2005);

	setup();
	rule(&conf.tcp_ports, "::", 2000, 2010);
	CHECK_EQ(start(), -EADDRINUSE);
	teardown();
	close(fd);
}

TEST(weak_ports_may_fail_but_not_all)
{
	int fd = holder(SOCK_STREAM, "127.0.0.1", 2005);
	struct rlimit was, none;

	setup();
	rule(&conf.tcp_ports, "::", 2000, 2010);
	conf.tcp_ports.rule[0].weak = true;
	CHECK_EQ(start(), 0);
	CHECK_EQ(listeners(IPPROTO_TCP), 10);
	CHECK(!tcp_on(2005));
	conf.tcp_ports.rule[0].first = conf.tcp_ports.rule[0].last = 2005;
	CHECK_EQ(start(), -EADDRINUSE);
	/* one that follows the other side may have no port at all, so far */
	rule(&conf.tcp_ports, "::", 3000, 3010);
	conf.tcp_ports.rule[1].automatic = true;
	CHECK_EQ(start(), 0);
	CHECK_EQ(listeners(IPPROTO_TCP), 0);
	close(fd);

	conf.tcp_ports.count = 1;
	getrlimit(RLIMIT_NOFILE, &was);
	none = was;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	CHECK_EQ(start(), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &was);
	teardown();
}

static unsigned families(uint16_t port, unsigned index)
{
	const struct fwd_port p = tcp_port(index, port);
	const struct fwd_listener *l = fwd_listen_find(&p);

	return l ? l->families : 0;
}

static void any_of_each(unsigned v4, unsigned any)
{
	CHECK_EQ(start(), 0);
	CHECK_EQ(families(2000, v4), FWD_V4);
	CHECK_EQ(families(2000, any), FWD_V6);
	CHECK_EQ(families(2001, any), FWD_V4 | FWD_V6);
	reaches("127.0.0.1", 2000, true);
	reaches("::1", 2000, true);
	reaches("127.0.0.1", 2001, true);
	CHECK_EQ(udp_on(2000) && fwd_listen_next(udp_on(2000)), true);
}

/* 0.0.0.0 and :: both, as Podman asks for: a socket each, whatever the order */
TEST(any_address_of_each_family)
{
	setup();
	rule(&conf.tcp_ports, "0.0.0.0", 2000, 2000);
	rule(&conf.tcp_ports, "::", 2000, 2001);
	conf.udp_ports = conf.tcp_ports;
	any_of_each(0, 1);
	conf.tcp_ports.count = 0;
	rule(&conf.tcp_ports, "::", 2000, 2001);
	rule(&conf.tcp_ports, "0.0.0.0", 2000, 2000);
	any_of_each(1, 0);

	/* nothing is left for the other one */
	conf.family[CONF_V6].on = false;
	CHECK_EQ(start(), 0);
	CHECK_EQ(listeners(IPPROTO_TCP), 2);
	CHECK_EQ(families(2000, 1), FWD_V4);
	CHECK_EQ(families(2001, 0), FWD_V4);
	conf.family[CONF_V6].on = true;

	/* what is asked for by number does not stand back for what is not */
	conf.tcp_ports.rule[1].weak = true;
	CHECK_EQ(start(), 0);
	CHECK_EQ(families(2000, 0), FWD_V4 | FWD_V6);
	conf.tcp_ports.rule[1].automatic = true;
	CHECK_EQ(start(), 0);
	CHECK_EQ(families(2000, 0), FWD_V4 | FWD_V6);
	teardown();
}

/* Each has to be bound for all that */
TEST(any_address_of_each_family_in_use)
{
	int fd = holder(SOCK_STREAM, "::1", 2000);

	setup();
	rule(&conf.tcp_ports, "0.0.0.0", 2000, 2000);
	rule(&conf.tcp_ports, "::", 2000, 2000);
	CHECK_EQ(start(), -EADDRINUSE);
	close(fd);
	conf.tcp_ports.count = 0;
	CHECK_EQ(start(), 0);
	fd = holder(SOCK_STREAM, "127.0.0.1", 2000);
	rule(&conf.tcp_ports, "::", 2000, 2000);
	rule(&conf.tcp_ports, "0.0.0.0", 2000, 2000);
	CHECK_EQ(start(), -EADDRINUSE);
	close(fd);
	teardown();
}

/* It was TCP's number that was asked for */
TEST(udp_beside_tcp_may_fail)
{
	int fd = holder(SOCK_DGRAM, "127.0.0.1", 2005);

	setup();
	rule(&conf.udp_ports, "::", 2005, 2005);
	CHECK_EQ(start(), -EADDRINUSE);
	conf.udp_ports.rule[0].beside = true;
	CHECK_EQ(start(), 0);
	CHECK_EQ(listeners(IPPROTO_UDP), 0);
	close(fd);
	teardown();
}

TEST(come_and_go)
{
	struct fwd_port p;
	struct fwd_listener *l;
	int fd;

	setup();
	rule(&conf.tcp_ports, "::", 2000, 2010);
	conf.tcp_ports.rule[0].automatic = true;
	CHECK_EQ(start(), 0);
	p = tcp_port(0, 2003);
	CHECK(!fwd_listen_find(&p));
	CHECK_EQ(fwd_listen_open(&p), 0);
	l = fwd_listen_find(&p);
	CHECK(l && l == tcp_on(2003) && l->families == (FWD_V4 | FWD_V6));
	CHECK_EQ(fwd_listen_open(&p), -EADDRINUSE);
	fd = connect_to(SOCK_STREAM, "127.0.0.1", 2003);
	CHECK(fd >= 0);
	loop_dispatch(loop_wait(100), 0);
	CHECK(heard == l && events == 1);
	fwd_listen_close(l);
	CHECK(!tcp_on(2003));
	close(fd);
	reaches("127.0.0.1", 2003, false);
	/* its slot is used again */
	for (unsigned i = 0; i < 1000; i++) {
		p.families = i & 1 ? FWD_V4 : FWD_V6;
		CHECK_EQ(fwd_listen_open(&p), 0);
		CHECK(tcp_on(2003) == l);
		reaches("127.0.0.1", 2003, i & 1);
		reaches("::1", 2003, !(i & 1));
		fwd_listen_close(l);
	}
	teardown();
}

/* Whoever starts in the place of a daemon that ends finds its ports free */
TEST(stop)
{
	setup();
	rule(&conf.tcp_ports, "::", 2000, 2010);
	rule(&conf.tcp_ports, "127.0.0.1", 2020, 2020);
	rule(&conf.udp_ports, "::", 2000, 2000);
	CHECK_EQ(start(), 0);
	CHECK_EQ(listeners(IPPROTO_TCP), 12);
	CHECK_EQ(listeners(IPPROTO_UDP), 1);
	fwd_listen_stop();
	CHECK_EQ(listeners(IPPROTO_TCP), 0);
	CHECK_EQ(listeners(IPPROTO_UDP), 0);
	reaches("127.0.0.1", 2005, false);
	reaches("127.0.0.1", 2020, false);
	fwd_listen_stop();
	teardown();
}

/* One port at several addresses: each has its listener */
TEST(one_port_several_rules)
{
	struct fwd_port a, b, c;

	setup();
	rule(&conf.tcp_ports, "127.0.0.1", 2000, 2000);
	rule(&conf.tcp_ports, "127.0.0.2", 2000, 2000);
	rule(&conf.tcp_ports, "::1", 2000, 2000);
	CHECK_EQ(start(), 0);
	CHECK_EQ(listeners(IPPROTO_TCP), 3);
	a = tcp_port(0, 2000);
	b = tcp_port(1, 2000);
	c = tcp_port(2, 2000);
	fwd_listen_close(fwd_listen_find(&b));
	CHECK(fwd_listen_find(&a) && !fwd_listen_find(&b) &&
	      fwd_listen_find(&c));
	reaches("127.0.0.2", 2000, false);
	reaches("127.0.0.1", 2000, true);
	fwd_listen_close(fwd_listen_find(&c));
	CHECK(fwd_listen_find(&a) && !fwd_listen_find(&c));
	fwd_listen_close(fwd_listen_find(&a));
	CHECK_EQ(listeners(IPPROTO_TCP), 0);
	CHECK_EQ(fwd_listen_open(&b), 0);
	CHECK_EQ(listeners(IPPROTO_TCP), 1);
	teardown();
}

/* An event that is pending is not told of the next one in the same place */
TEST(closed_with_an_event_pending)
{
	struct fwd_port p;
	struct fwd_listener *l;
	int fd, n;

	setup();
	rule(&conf.tcp_ports, "::", 2000, 2010);
	conf.tcp_ports.rule[0].automatic = true;
	CHECK_EQ(start(), 0);
	p = tcp_port(0, 2000);
	CHECK_EQ(fwd_listen_open(&p), 0);
	l = fwd_listen_find(&p);
	fd = connect_to(SOCK_STREAM, "127.0.0.1", 2000);
	n = loop_wait(100);
	CHECK_EQ(n, 1);
	/* as a timer does, which runs before events are dispatched */
	fwd_listen_close(l);
	p.port = 2001;
	CHECK_EQ(fwd_listen_open(&p), 0);
	CHECK(fwd_listen_find(&p) == l);
	loop_dispatch(n, 0);
	CHECK_EQ(events, 0);
	close(fd);
	teardown();
}

TEST(pause_and_resume)
{
	int fd;

	setup();
	rule(&conf.tcp_ports, "::", 2000, 2001);
	rule(&conf.udp_ports, "::", 2000, 2000);
	CHECK_EQ(start(), 0);
	CHECK(timer_init(0) >= 0);
	fwd_listen_pause(tcp_on(2000), 0);
	fwd_listen_pause(tcp_on(2000), 50 * USEC_PER_MSEC);
	fwd_listen_pause(tcp_on(2001), 0);
	fwd_listen_pause(udp_on(2000), 60 * USEC_PER_MSEC);
	fd = connect_to(SOCK_STREAM, "127.0.0.1", 2000);
	CHECK_EQ(loop_wait(20), 0);
	fwd_listen_close(tcp_on(2001));
	timer_run(99 * USEC_PER_MSEC);
	CHECK(tcp_on(2000)->paused && udp_on(2000)->paused);
	timer_run(101 * USEC_PER_MSEC);
	CHECK(!tcp_on(2000)->paused && !udp_on(2000)->paused);
	loop_dispatch(loop_wait(100), 0);
	CHECK(heard == tcp_on(2000));
	close(fd);
	teardown();
}

/* A flow's socket is older than the listener of its port */
TEST(udp_port_shared_with_flows)
{
	struct flow_side h = { .remote = craft_addr("127.0.0.1"),
			       .local = craft_addr("127.0.0.1"), .rport = 9,
			       .lport = 2000, .place = FLOW_AT_HOST };
	struct fwd_port p;
	int fd;

	setup();
	rule(&conf.udp_ports, "::", 2000, 2000);
	conf.udp_ports.rule[0].automatic = true;
	CHECK_EQ(start(), 0);
	fd = fwd_socket_open(IPPROTO_UDP, &h);
	CHECK(fd >= 0);
	p = (struct fwd_port){ .rule = fwd_rule(IPPROTO_UDP, FWD_IN, 0),
			       .port = 2000, .proto = IPPROTO_UDP,
			       .families = FWD_V4 | FWD_V6 };
	CHECK_EQ(fwd_listen_open(&p), -EADDRINUSE);
	p.shared = true;
	CHECK_EQ(fwd_listen_open(&p), 0);
	CHECK_EQ(listeners(IPPROTO_UDP), 1);
	close(fd);
	teardown();
	/* one that does not share is in the way all the same */
	fd = holder(SOCK_DGRAM, "127.0.0.1", 2000);
	rule(&conf.udp_ports, "::", 2000, 2000);
	fwd_init(&conf);
	CHECK_EQ(fwd_listen_open(&p), -EADDRINUSE);
	close(fd);
	teardown();
}

static struct flow_side side_of(int fd, bool accepted)
{
	union sockaddr_any at, peer;
	socklen_t len = sizeof(at);
	struct endpoint a, p;

	CHECK(!getsockname(fd, &at.sa, &len));
	len = sizeof(peer);
	CHECK(!getpeername(fd, &peer.sa, &len));
	a = addr_from_sockaddr(&at);
	p = addr_from_sockaddr(&peer);
	if (accepted)
		return (struct flow_side){
			.remote = p.addr, .rport = p.port, .local = a.addr,
			.lport = a.port, .place = FLOW_AT_HOST };
	return (struct flow_side){
		.remote = p.addr, .rport = p.port, .local = ADDR_ANY4,
		.place = FLOW_AT_HOST };
}

/* A flow of a client that @from is, with @fd to the next server */
static struct flow *flow_from(const struct flow_side *from, int fd)
{
	struct flow *f = flow_new(FLOW_TCP_SPLICE, IPPROTO_TCP);

	f->side[INI] = *from;
	f->side[TGT] = side_of(fd, false);
	flow_hash(f, INI);
	fwd_listen_note(f, fd);
	return f;
}

/* From 2000 to 2001 is none, but from there to 2000 again is one */
TEST(circles)
{
	int out[3], in[3], server;
	struct flow_side from[3];
	struct flow *a, *b, *c;

	setup();
	flow_init();
	rule(&conf.tcp_ports, "::", 2000, 2001);
	CHECK_EQ(start(), 0);
	server = holder(SOCK_STREAM, "127.0.0.1", 2002);
	for (unsigned i = 0; i < 3; i++) {
		uint16_t port = i == 1 ? 2001 : 2000;

		out[i] = connect_to(SOCK_STREAM, "127.0.0.1", port);
		in[i] = accept(tcp_on(port)->watch.fd, NULL, NULL);
		from[i] = side_of(in[i], true);
	}
	CHECK(!fwd_listen_is_circle(IPPROTO_TCP, &from[0]));
	a = flow_from(&from[0], out[1]);
	CHECK_EQ(a->hashed, 3);
	CHECK(!fwd_listen_is_circle(IPPROTO_TCP, &from[1]));
	b = flow_from(&from[1], out[2]);
	CHECK(fwd_listen_is_circle(IPPROTO_TCP, &from[2]));
	CHECK(!fwd_listen_is_circle(IPPROTO_UDP, &from[2]));
	CHECK(fwd_listen_origin(IPPROTO_TCP, &from[2]) == a);
	CHECK(!fwd_listen_origin(IPPROTO_TCP, &from[0]));
	/* another address of that port may lead elsewhere */
	a->side[INI].local = craft_addr("127.0.0.2");
	CHECK(!fwd_listen_is_circle(IPPROTO_TCP, &from[2]));
	a->side[INI].local = from[0].local;
	flow_end(a);
	CHECK(!fwd_listen_is_circle(IPPROTO_TCP, &from[2]));
	flow_end(b);
	/* where nobody of ours listens, nothing is kept */
	close(out[0]);
	out[0] = connect_to(SOCK_STREAM, "127.0.0.1", 2002);
	c = flow_from(&from[0], out[0]);
	CHECK_EQ(c->hashed, 1);
	CHECK_EQ(c->side[TGT].lport, 0);
	flow_end(c);
	flow_reap();
	for (unsigned i = 0; i < 3; i++) {
		close(out[i]);
		close(in[i]);
	}
	close(server);
	teardown();
}

/* Without a namespace nothing listens in it */
TEST(no_namespace)
{
	setup();
	rule(&conf.tcp_ns_ports, "::", 2000, 2000);
	CHECK_EQ(start(), -ENODEV);
	conf.tcp_ns_ports.count = 0;
	teardown();
}

int main(int argc, char **argv)
{
	return hostns_enter() ? unit_main(argc, argv) : 1;
}
