// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_udp: conversations between a link in memory and sockets of this process
 *
 * In a network namespace of its own. The guest is 192.0.2.2 and 2001:db8::2;
 * 192.0.2.1 and fe80::1 are its names for the host's loopback. The clock is
 * the variable now.
 */
#include "udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame_out.h"
#include "fwd.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/loop.h"
#include "lib/stats.h"
#include "link/link.h"
#include "test/unit/hostns.h"
#include "test/unit/memlink.h"
#include "test/unit/unit.h"
#include "udp_flow.h"

#define GUEST_PORT	4000
#define FORWARDED	5000
#define CLIENTS		"198.51.100.7"

static struct conf conf;
static usec_t now = 1000 * USEC_PER_SEC;
static uint8_t bytes[UDP_DATAGRAM_MAX];

static struct addr addr(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		abort();
	return a;
}

static void nothing(usec_t t)
{
	(void)t;
}

static const struct link_events events = { nothing, nothing, nothing, nothing };

static void setup_with(unsigned mtu, bool forward)
{
	const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

	memset(&conf, 0, sizeof(conf));
	for (unsigned i = 0; i < CONF_FAMILIES; i++)
		conf.family[i].on = true;
	conf.family[CONF_V4].addr = addr("192.0.2.2");
	conf.family[CONF_V4].map_host_loopback = addr("192.0.2.1");
	conf.family[CONF_V6].addr = addr("2001:db8::2");
	conf.family[CONF_V6].map_host_loopback = addr("fe80::1");
	conf.udp_ports.given = true;
	conf.udp_ports.count = forward;
	conf.udp_ports.rule[0] = (struct port_rule){
		.first = FORWARDED, .last = FORWARDED + 1, .to = FORWARDED,
	};
	CHECK_EQ(loop_init(), 0);
	CHECK(timer_init(now) >= 0);
	flow_init();
	memlink_init(&events);
	guest_init(&(struct guest_conf){ .our_mac = { 0x9a, 0x55 },
					 .addr4 = conf.family[CONF_V4].addr,
					 .addr6 = conf.family[CONF_V6].addr });
	guest_learn_mac(mac);
	frame_out_init(mtu);
	fwd_init(&conf);
	CHECK_EQ(udp_init(&conf, now), 0);
}

static void setup(void)
{
	setup_with(65520, false);
}

/* All flows end; the listening sockets stay in a loop that is thrown away */
static void teardown(void)
{
	flow_guest_left(now);
	flow_reap();
	CHECK_EQ(flow_count(), 0);
	memlink_clear();
}

/* Turns of the loop until nothing happens */
static unsigned turns(void)
{
	unsigned count = 0;
	int n;

	while (count < 200 && (n = loop_wait(count ? 0 : 20)) > 0) {
		loop_dispatch(n, now);
		flow_reap();
		count++;
	}
	return count;
}

static void later(usec_t sec)
{
	/* and a little more: timers may be a tick late */
	now += sec * USEC_PER_SEC + USEC_PER_MSEC;
	timer_run(now);
	flow_reap();
}

static struct packet packet_to(const char *dst, uint16_t port,
			       const struct iovec *data)
{
	struct packet p = {
		.dst = addr(dst),
		.sport = GUEST_PORT,
		.dport = port,
		.proto = IPPROTO_UDP,
		.ttl = 64,
		.df = true,
		.payload = { data, 1, 0, data->iov_len },
	};

	p.src = conf_family_of(&conf, &p.dst)->addr;
	return p;
}

static void guest_sends(const char *dst, uint16_t port, const void *data,
			size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct packet p = packet_to(dst, port, &iov);

	udp_input(&p, now);
}

/* A socket of the host's own; port 0: any */
static int host_socket(const char *at, uint16_t port, struct endpoint *e)
{
	union sockaddr_any sa;
	struct endpoint want = { .addr = addr(at), .port = port };
	socklen_t len = addr_to_sockaddr(&want, &sa);
	int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	CHECK(!bind(fd, &sa.sa, len));
	CHECK(!getsockname(fd, &sa.sa, &len));
	*e = addr_from_sockaddr(&sa);
	return fd;
}

static int host_connect(int fd, const char *to, uint16_t port)
{
	union sockaddr_any sa;
	struct endpoint e = { .addr = addr(to), .port = port };
	socklen_t len = addr_to_sockaddr(&e, &sa);

	return connect(fd, &sa.sa, len);
}

static ssize_t host_sends(int fd, const struct endpoint *to, const void *data,
			  size_t len)
{
	union sockaddr_any sa;
	socklen_t sa_len = addr_to_sockaddr(to, &sa);

	return sendto(fd, data, len, 0, &sa.sa, sa_len);
}

/* What came to a host socket, -1 for nothing */
static ssize_t host_receives(int fd, void *data, size_t len,
			     struct endpoint *from)
{
	union sockaddr_any sa;
	socklen_t sa_len = sizeof(sa);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	poll(&p, 1, 50);
	n = recvfrom(fd, data, len, MSG_DONTWAIT, &sa.sa, &sa_len);
	if (n >= 0 && from)
		*from = addr_from_sockaddr(&sa);
	return n;
}

static bool parse(unsigned i, struct packet *p)
{
	static struct iovec iov;
	struct frame f = { .iov = &iov, .cnt = 1 };
	size_t len;

	iov.iov_base = (void *)(uintptr_t)memlink_frame(i, &len, NULL);
	iov.iov_len = f.len = len;
	return packet_parse(&f, p);
}

/* The guest got this datagram, in frame @i of the link */
static bool guest_got(unsigned i, const char *from, uint16_t port,
		      const void *data, size_t len)
{
	static uint8_t got[UDP_DATAGRAM_MAX];
	const struct addr src = addr(from);
	struct packet p;

	if (i >= memlink_sent() || !parse(i, &p) || p.proto != IPPROTO_UDP)
		return false;
	slice_copy(&p.payload, 0, got, sizeof(got));
	return addr_equal(&p.src, &src) && p.sport == port &&
	       p.payload.len == len && !memcmp(got, data, len);
}

/* The one flow there is */
static struct flow *the_flow;

static void note_flow(struct flow *f, usec_t t)
{
	(void)t;
	the_flow = f;
}

static struct flow *only_flow(void)
{
	struct flow_cursor c = { 0 };

	CHECK_EQ(flow_count(), 1);
	CHECK(flow_sweep(&c, FLOW_UDP, 2, note_flow, now));
	return the_flow;
}

TEST(there_and_back)
{
	static const struct { const char *dst, *at; } way[] = {
		{ "192.0.2.1", "127.0.0.1" },
		{ "fe80::1", "::1" },
		{ CLIENTS, CLIENTS },
	};

	for (unsigned i = 0; i < 3; i++) {
		struct endpoint e, from;
		char data[16];
		int fd;

		setup();
		fd = host_socket(way[i].at, 0, &e);
		guest_sends(way[i].dst, e.port, "hello", 5);
		CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 5);
		CHECK(!memcmp(data, "hello", 5));
		CHECK_EQ(from.port, GUEST_PORT);
		CHECK_EQ(host_sends(fd, &from, "good day", 8), 8);
		turns();
		CHECK_EQ(memlink_sent(), 1);
		CHECK(guest_got(0, way[i].dst, e.port, "good day", 8));
		guest_sends(way[i].dst, e.port, "again", 5);
		CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 5);
		CHECK_EQ(flow_count(), 1);
		teardown();
		close(fd);
	}
}

TEST(frames_to_the_guest_are_whole)
{
	struct endpoint e, from;
	struct packet p;
	char data[16];
	int fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	guest_sends("192.0.2.1", e.port, "a", 1);
	host_receives(fd, data, sizeof(data), &from);
	host_sends(fd, &from, "b", 1);
	turns();
	CHECK(parse(0, &p));
	CHECK(!memcmp(p.dmac, guest_mac(), 6));
	CHECK(addr_equal(&p.dst, &conf.family[CONF_V4].addr));
	CHECK_EQ(p.dport, GUEST_PORT);
	CHECK(!p.df);
	teardown();
	close(fd);
}

TEST(a_port_in_use_is_replaced)
{
	struct endpoint e, from = { 0 }, taken;
	int other, fd;
	char data[16];

	setup();
	other = host_socket("0.0.0.0", GUEST_PORT, &taken);
	fd = host_socket("127.0.0.1", 0, &e);
	guest_sends("192.0.2.1", e.port, "a", 1);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
	CHECK(from.port != GUEST_PORT && from.port);
	teardown();
	close(fd);
	close(other);
}

/* Two servers see the same port: RFC 4787 REQ-1 */
TEST(one_port_for_all_destinations)
{
	struct endpoint e[2], from[2];
	int fd[2];
	char data[16];

	setup();
	for (unsigned i = 0; i < 2; i++) {
		fd[i] = host_socket("127.0.0.1", 0, &e[i]);
		guest_sends("192.0.2.1", e[i].port, "a", 1);
		CHECK_EQ(host_receives(fd[i], data, 16, &from[i]), 1);
		CHECK_EQ(from[i].port, GUEST_PORT);
	}
	host_sends(fd[1], &from[1], "1", 1);
	turns();
	host_sends(fd[0], &from[0], "0", 1);
	turns();
	CHECK_EQ(memlink_sent(), 2);
	CHECK(guest_got(0, "192.0.2.1", e[1].port, "1", 1));
	CHECK(guest_got(1, "192.0.2.1", e[0].port, "0", 1));
	teardown();
	close(fd[0]);
	close(fd[1]);
}

/* Two names of one server, one guest port: replies must not be mixed up */
TEST(two_names_of_one_server)
{
	struct endpoint e, from[2];
	char data[16];
	int fd;

	setup();
	fd = host_socket(CLIENTS, 0, &e);
	conf.family[CONF_V4].map_guest_addr = addr("192.0.2.3");
	conf.family[CONF_V4].addr = addr(CLIENTS);
	guest_init(&(struct guest_conf){ .our_mac = { 0x9a, 0x55 },
					 .addr4 = addr("192.0.2.2") });
	guest_learn_mac((const uint8_t[6]){ 0x52, 0x54 });
	guest_sends("192.0.2.3", e.port, "a", 1);
	host_receives(fd, data, sizeof(data), &from[0]);
	guest_sends(CLIENTS, e.port, "b", 1);
	host_receives(fd, data, sizeof(data), &from[1]);
	CHECK_EQ(flow_count(), 2);
	CHECK(from[0].port != from[1].port);
	host_sends(fd, &from[0], "A", 1);
	turns();
	host_sends(fd, &from[1], "B", 1);
	turns();
	CHECK(guest_got(0, "192.0.2.3", e.port, "A", 1));
	CHECK(guest_got(1, CLIENTS, e.port, "B", 1));
	teardown();
	close(fd);
}

TEST(strangers_are_not_heard)
{
	struct endpoint e, from, s;
	char data[16];
	int fd, stranger;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	stranger = host_socket("127.0.0.1", 0, &s);
	guest_sends("192.0.2.1", e.port, "a", 1);
	host_receives(fd, data, sizeof(data), &from);
	host_sends(stranger, &from, "boo", 3);
	turns();
	CHECK_EQ(memlink_sent(), 0);
	teardown();
	close(fd);
	close(stranger);
}

/* A socket may have heard strangers before it was connected */
TEST(strangers_in_the_queue_are_passed_over)
{
	struct endpoint e, from, s;
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	char data[16];
	int fd, stranger, flow_fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	stranger = host_socket("127.0.0.1", 0, &s);
	guest_sends("192.0.2.1", e.port, "a", 1);
	host_receives(fd, data, sizeof(data), &from);
	flow_fd = udp_of(only_flow())->watch.fd;
	CHECK(!connect(flow_fd, &none, sizeof(none)));
	host_sends(fd, &from, "one", 3);
	host_sends(stranger, &from, "boo", 3);
	host_sends(fd, &from, "two", 3);
	turns();
	CHECK_EQ(memlink_sent(), 2);
	CHECK(guest_got(0, "192.0.2.1", e.port, "one", 3));
	CHECK(guest_got(1, "192.0.2.1", e.port, "two", 3));
	teardown();
	close(fd);
	close(stranger);
}

static unsigned run_order_errors(int fd, unsigned n, const size_t *len)
{
	static uint8_t data[UDP_DATAGRAM_MAX];
	unsigned errors = 0;

	for (unsigned i = 0; i < n; i++) {
		ssize_t got = host_receives(fd, data, sizeof(data), NULL);

		errors += got != (ssize_t)len[i] ||
			  (got && data[0] != (uint8_t)i);
	}
	return errors + (host_receives(fd, data, sizeof(data), NULL) != -1);
}

/* Runs: all of one size, with a shorter last one, mixed, empty ones */
TEST(runs_arrive_whole_and_in_order)
{
	static uint8_t data[200][180];
	static struct iovec iov[200];
	static struct packet run[200];
	static size_t len[200];

	for (unsigned kind = 0; kind < 4; kind++) {
		struct endpoint e;
		unsigned n = 200;
		int fd;

		setup();
		fd = host_socket("127.0.0.1", 0, &e);
		for (unsigned i = 0; i < n; i++) {
			len[i] = 180;
			if (kind == 1 && i == n - 1)
				len[i] = 7;
			if (kind == 2)
				len[i] = 1 + i * 37 % 180;
			if (kind == 3 && i % 5 == 0)
				len[i] = 0;
			data[i][0] = (uint8_t)i;
			iov[i] = (struct iovec){ data[i], len[i] };
			run[i] = packet_to("192.0.2.1", e.port, &iov[i]);
			run[i].next = i + 1 < n ? &run[i + 1] : NULL;
			if (kind == 3 && i > 100)
				run[i].tos = 0x20;
		}
		udp_input(run, now);
		CHECK_EQ(run_order_errors(fd, n, len), 0);
		CHECK_EQ(flow_count(), 1);
		teardown();
		close(fd);
	}
}

/* A frame that stands for several datagrams, in one and in many pieces */
TEST(gso_frames_are_cut)
{
	struct endpoint e;
	struct iovec iov = { bytes, 50000 };
	struct packet p;
	size_t len[143];
	int fd;

	for (unsigned i = 0; i < 143; i++) {
		len[i] = i < 142 ? 350 : 300;
		bytes[i * 350] = (uint8_t)i;
	}
	for (unsigned gso_refused = 0; gso_refused < 2; gso_refused++) {
		setup();
		fd = host_socket("127.0.0.1", 0, &e);
		p = packet_to("192.0.2.1", e.port, &iov);
		p.gso_size = 350;
		if (gso_refused) {
			guest_sends("192.0.2.1", e.port, "", 0);
			CHECK_EQ(host_receives(fd, bytes, 1, NULL), 0);
			udp_of(only_flow())->no_gso = true;
		}
		udp_input(&p, now);
		CHECK_EQ(run_order_errors(fd, 143, len), 0);
		teardown();
		close(fd);
	}
}

TEST(ttl_and_tos_pass)
{
	struct endpoint e;
	struct iovec iov = { bytes, 1 };
	struct packet p;
	uint8_t control[256], data;
	struct iovec to = { &data, 1 };
	struct msghdr m = { .msg_iov = &to, .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int fd, on = 1, ttl = 0, tos = 0;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
	p = packet_to("192.0.2.1", e.port, &iov);
	p.ttl = 7;
	p.tos = 0xb9;
	udp_input(&p, now);
	CHECK_EQ(recvmsg(fd, &m, 0), 1);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_type == IP_TTL)
			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
		if (c->cmsg_type == IP_TOS)
			tos = *CMSG_DATA(c);
	}
	CHECK_EQ(ttl, 7);
	CHECK_EQ(tos, 0xb9);
	teardown();
	close(fd);
}

TEST(empty_datagrams)
{
	struct endpoint e, from;
	char data[16];
	int fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	guest_sends("192.0.2.1", e.port, "", 0);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 0);
	host_sends(fd, &from, "", 0);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	CHECK(guest_got(0, "192.0.2.1", e.port, "", 0));
	teardown();
	close(fd);
}

/* Fragments in order: payload bytes, from the transport header on */
static size_t reassemble(unsigned first, uint8_t *out)
{
	size_t len = 0;

	for (unsigned i = first; i < memlink_sent(); i++) {
		struct packet p;

		if (!parse(i, &p) || !p.fragment || p.frag_off != len)
			return 0;
		len += slice_copy(&p.payload, 0, out + len, 70000 - len);
		if (!p.more)
			return len;
	}
	return 0;
}

/* 64 KiB each way; the guest's, reassembled, says that it may be fragmented */
TEST(largest_datagrams_at_a_small_mtu)
{
	static const struct { const char *dst, *at; size_t len; } way[] = {
		{ "192.0.2.1", "127.0.0.1", 65507 },
		{ "fe80::1", "::1", 65527 },
	};
	static uint8_t got[70000];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	for (unsigned i = 0; i < 2; i++) {
		struct iovec iov = { bytes, way[i].len };
		struct endpoint e, from;
		struct packet p;
		ssize_t n;
		int fd;

		setup_with(1500, false);
		CHECK(hostns_mtu(1500));
		fd = host_socket(way[i].at, 0, &e);
		p = packet_to(way[i].dst, e.port, &iov);
		p.df = false;
		udp_input(&p, now);
		n = host_receives(fd, got, sizeof(got), &from);
		CHECK_EQ(n, way[i].len);
		CHECK(!memcmp(got, bytes, way[i].len));

		/* twice: read into frames first, then into buffers */
		for (unsigned k = 0; k < 2; k++) {
			memlink_clear();
			CHECK_EQ(host_sends(fd, &from, bytes, way[i].len),
				 way[i].len);
			turns();
			CHECK_EQ(reassemble(0, got), way[i].len + UDP_HLEN);
			CHECK(!memcmp(got + UDP_HLEN, bytes, way[i].len));
			CHECK_EQ(get_be16(got), e.port);
		}
		teardown();
		close(fd);
		CHECK(hostns_mtu(65536));
	}
}

/* Larger ones amid a batch keep their place */
TEST(batches_to_the_guest_keep_their_order)
{
	static const size_t size[] = { 10, 9000, 20, 0, 30000, 30, 2048, 2049 };
	struct endpoint e, from;
	char data[16];
	unsigned sent = 0;
	int fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	guest_sends("192.0.2.1", e.port, "a", 1);
	host_receives(fd, data, sizeof(data), &from);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 8; i++, sent++)
			host_sends(fd, &from, bytes + i, size[i]);
		turns();
	}
	CHECK_EQ(memlink_sent(), sent);
	for (unsigned i = 0; i < sent; i++)
		CHECK(guest_got(i, "192.0.2.1", e.port, bytes + i % 8,
				size[i % 8]));
	teardown();
	close(fd);
}

/* While the link is full the socket keeps what comes, and the loop sleeps */
TEST(a_full_link_loses_nothing_and_does_not_spin)
{
	struct endpoint e, from;
	char data[16];
	uint8_t n = 0;
	int fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	guest_sends("192.0.2.1", e.port, "a", 1);
	host_receives(fd, data, sizeof(data), &from);
	memlink_set_room(2);
	for (; n < 5; n++)
		host_sends(fd, &from, &n, 1);
	CHECK(turns() < 4);
	CHECK_EQ(memlink_sent(), 2);
	CHECK_EQ(loop_wait(20), 0);
	memlink_set_room(3);
	later(1);
	CHECK(turns() < 4);
	CHECK_EQ(memlink_sent(), 3);
	CHECK_EQ(loop_wait(20), 0);
	memlink_set_room(MEMLINK_FRAMES);
	udp_link_writable(now);
	turns();
	CHECK_EQ(memlink_sent(), 5);
	for (n = 0; n < 5; n++)
		CHECK(guest_got(n, "192.0.2.1", e.port, &n, 1));
	teardown();
	close(fd);
}

/* Several stalled flows, one of them ended while it is */
TEST(stalled_flows_may_end)
{
	struct endpoint e[3], from;
	char data[16];
	int fd[3];

	for (unsigned ends = 0; ends < 3; ends++) {
		setup();
		for (unsigned i = 0; i < 3; i++) {
			fd[i] = host_socket("127.0.0.1", 0, &e[i]);
			guest_sends("192.0.2.1", e[i].port, "a", 1);
			host_receives(fd[i], data, sizeof(data), &from);
			host_sends(fd[i], &from, "b", 1);
		}
		memlink_set_room(0);
		turns();
		now += 179 * USEC_PER_SEC;
		for (unsigned i = 0; i < 3; i++) {
			if (i != ends)
				guest_sends("192.0.2.1", e[i].port, "c", 1);
		}
		later(1);
		CHECK_EQ(flow_count(), 2);
		memlink_set_room(MEMLINK_FRAMES);
		udp_link_writable(now);
		turns();
		CHECK_EQ(memlink_sent(), 2);
		teardown();
		for (unsigned i = 0; i < 3; i++)
			close(fd[i]);
	}
}

TEST(timeouts)
{
	static const struct { uint16_t port; bool reply; unsigned sec; } t[] = {
		{ 9999, false, 30 },
		{ 9999, true, 180 },
		{ 53, false, 30 },
		{ 53, true, 10 },
	};

	for (unsigned i = 0; i < 4; i++) {
		struct endpoint e, from;
		char data[16];
		int fd;

		setup();
		fd = host_socket("127.0.0.1", t[i].port, &e);
		guest_sends("192.0.2.1", e.port, "a", 1);
		CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
		later(3);
		if (t[i].reply) {
			host_sends(fd, &from, "b", 1);
			turns();
			CHECK_EQ(memlink_sent(), 1);
		} else {
			guest_sends("192.0.2.1", e.port, "a", 1);
		}
		later(t[i].sec - 1);
		CHECK_EQ(flow_count(), 1);
		later(1);
		CHECK_EQ(flow_count(), 0);
		teardown();
		close(fd);
	}
}

/* type and code of the ICMP error in frame 0, and what it quotes */
static bool guest_told(unsigned type, unsigned code, unsigned mtu,
		       const char *dst, uint16_t dport)
{
	const struct addr a = addr(dst);
	size_t l3 = addr_is_v4(&a) ? IP4_HLEN : IP6_HLEN, len;
	const uint8_t *f, *icmp, *quote, *udp;
	struct packet p;

	if (!memlink_sent() || !parse(0, &p))
		return false;
	f = memlink_frame(0, &len, NULL);
	icmp = f + ETH_HLEN_ + l3;
	quote = icmp + ICMP_HLEN;
	udp = quote + l3;
	if (len < (size_t)(udp - f) + UDP_HLEN)
		return false;
	return icmp[0] == type && icmp[1] == code &&
	       get_be32(icmp + 4) == mtu &&
	       (addr_is_v4(&a) ? !memcmp(quote + 16, a.b + 12, 4) :
				 !memcmp(quote + 24, a.b, 16)) &&
	       get_be16(udp) == GUEST_PORT && get_be16(udp + 2) == dport;
}

TEST(refused_ports_are_told)
{
	setup();
	guest_sends("192.0.2.1", 9, "a", 1);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	CHECK(guest_told(3, 3, 0, "192.0.2.1", 9));
	memlink_clear();
	guest_sends("fe80::1", 9, "a", 1);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	CHECK(guest_told(1, 4, 0, "fe80::1", 9));
	teardown();
}

/* The error of one datagram costs no other: the next one still goes */
TEST(a_pending_error_loses_no_datagram)
{
	struct endpoint e;
	char data[16];
	int fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	close(fd);
	guest_sends("192.0.2.1", e.port, "a", 1);
	fd = host_socket("127.0.0.1", e.port, &e);
	guest_sends("192.0.2.1", e.port, "b", 1);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 1);
	CHECK_EQ(data[0], 'b');
	CHECK(guest_told(3, 3, 0, "192.0.2.1", e.port));
	turns();
	CHECK_EQ(memlink_sent(), 1);
	teardown();
	close(fd);
}

TEST(no_route_is_told)
{
	setup();
	guest_sends("203.0.113.9", 80, "a", 1);
	CHECK(guest_told(3, 0, 0, "203.0.113.9", 80));
	CHECK_EQ(flow_count(), 0);
	memlink_clear();
	guest_sends("2001:db8:9::9", 80, "a", 1);
	CHECK(guest_told(1, 0, 0, "2001:db8:9::9", 80));
	CHECK_EQ(flow_count(), 0);
	teardown();
}

/* A run of which only the second is too large for the host's path */
TEST(path_mtu_is_told)
{
	static const struct { const char *dst, *at; unsigned type, code; } w[] = {
		{ "192.0.2.1", "127.0.0.1", 3, 4 },
		{ "fe80::1", "::1", 2, 0 },
	};

	for (unsigned i = 0; i < 2; i++) {
		struct iovec iov[3] = { { bytes, 100 }, { bytes, 3000 },
					{ bytes, 200 } };
		struct packet run[3];
		struct endpoint e;
		static char data[4000];
		int fd;

		setup();
		CHECK(hostns_mtu(1500));
		fd = host_socket(w[i].at, 0, &e);
		for (unsigned k = 0; k < 3; k++) {
			run[k] = packet_to(w[i].dst, e.port, &iov[k]);
			run[k].next = k < 2 ? &run[k + 1] : NULL;
		}
		udp_input(run, now);
		turns();
		CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 100);
		CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 200);
		CHECK_EQ(memlink_sent(), 1);
		CHECK(guest_told(w[i].type, w[i].code, 1500, w[i].dst, e.port));
		/* the same without don't-fragment goes in fragments */
		run[1].df = false;
		run[1].next = NULL;
		udp_input(&run[1], now);
		CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 3000);
		CHECK_EQ(memlink_sent(), 1);
		teardown();
		close(fd);
		CHECK(hostns_mtu(65536));
	}
}

/* Equal sizes beyond the path's MTU: not by UDP_SEGMENT, but they do arrive */
TEST(segments_larger_than_the_path)
{
	static uint8_t data[8][3000];
	struct iovec iov[8];
	struct packet run[8];
	size_t len[8];
	struct endpoint e;
	int fd;

	setup();
	CHECK(hostns_mtu(1500));
	fd = host_socket("127.0.0.1", 0, &e);
	for (unsigned i = 0; i < 8; i++) {
		data[i][0] = (uint8_t)i;
		len[i] = 3000;
		iov[i] = (struct iovec){ data[i], 3000 };
		run[i] = packet_to("192.0.2.1", e.port, &iov[i]);
		run[i].df = false;
		run[i].next = i < 7 ? &run[i + 1] : NULL;
	}
	udp_input(run, now);
	CHECK_EQ(run_order_errors(fd, 8, len), 0);
	teardown();
	close(fd);
	CHECK(hostns_mtu(65536));
}

/* setup_with(..., true) binds the ports once a process: told apart by port */
static void setup_forward(void)
{
	static bool bound;

	setup_with(65520, !bound);
	CHECK(!bound);
	bound = true;
}

static void forward_from(const char *at, const char *to, const char *seen)
{
	struct endpoint c, from;
	char data[16];
	int fd = host_socket(at, 0, &c);
	const struct addr dst = addr(to);
	struct packet p;

	memlink_clear();
	CHECK(!host_connect(fd, to, FORWARDED));
	CHECK_EQ(send(fd, "hi", 2, 0), 2);
	CHECK_EQ(send(fd, "ho", 2, 0), 2);
	turns();
	CHECK_EQ(memlink_sent(), 2);
	CHECK(guest_got(0, seen, c.port, "hi", 2));
	CHECK(guest_got(1, seen, c.port, "ho", 2));
	CHECK(parse(0, &p) && p.dport == FORWARDED);
	CHECK_EQ(flow_count(), 1);

	/* a connected client hears only what comes from where it sent to */
	p = packet_to(seen, c.port, &(struct iovec){ (char[]){ "yes" }, 3 });
	p.sport = FORWARDED;
	udp_input(&p, now);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 3);
	CHECK(addr_equal(&from.addr, &dst) && from.port == FORWARDED);
	CHECK_EQ(flow_count(), 1);
	CHECK_EQ(send(fd, "more", 4, 0), 4);
	turns();
	CHECK(guest_got(2, seen, c.port, "more", 4));
	CHECK_EQ(flow_count(), 1);
	flow_guest_left(now);
	flow_reap();
	close(fd);
}

/* The guest speaks from a forwarded port, and others to that port */
static void forward_beside_outbound(void)
{
	struct endpoint e, from, c;
	char data[16];
	struct iovec iov = { (char[]){ "out" }, 3 };
	int fd = host_socket(CLIENTS, 0, &e), other = host_socket(CLIENTS, 0, &c);
	struct packet p = packet_to(CLIENTS, e.port, &iov);

	memlink_clear();
	p.sport = FORWARDED;
	udp_input(&p, now);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 3);
	CHECK_EQ(from.port, FORWARDED);
	host_sends(fd, &from, "back", 4);
	turns();
	CHECK_EQ(flow_count(), 1);
	CHECK(guest_got(0, CLIENTS, e.port, "back", 4));
	host_sends(other, &from, "new", 3);
	turns();
	CHECK_EQ(flow_count(), 2);
	CHECK(guest_got(1, CLIENTS, c.port, "new", 3));
	flow_guest_left(now);
	flow_reap();
	close(fd);
	close(other);
}

/* The guest's peer answers to a port that leads to the same guest port */
static void forward_of_a_known_peer(void)
{
	struct endpoint e, to = { .addr = addr(CLIENTS), .port = FORWARDED + 1 };
	char data[16];
	struct iovec iov = { (char[]){ "out" }, 3 };
	int fd = host_socket(CLIENTS, 0, &e), taken;
	struct packet p = packet_to(CLIENTS, e.port, &iov);
	struct endpoint t;

	memlink_clear();
	taken = host_socket(CLIENTS, 6001, &t);
	p.sport = 6001;
	udp_input(&p, now);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 3);
	host_sends(fd, &to, "in", 2);
	turns();
	CHECK_EQ(flow_count(), 1);
	CHECK(guest_got(0, CLIENTS, e.port, "in", 2));
	flow_guest_left(now);
	flow_reap();
	close(fd);
	close(taken);
}

/* No flow for what cannot be passed on, and what waits is taken */
static void forward_without_room(void)
{
	struct endpoint c;
	int fd = host_socket("127.0.0.1", 0, &c);

	memlink_clear();
	memlink_set_room(0);
	CHECK(!host_connect(fd, "127.0.0.1", FORWARDED));
	CHECK_EQ(send(fd, "hi", 2, 0), 2);
	turns();
	CHECK_EQ(loop_wait(20), 0);
	CHECK_EQ(flow_count(), 0);
	memlink_set_room(MEMLINK_FRAMES);
	close(fd);
}

TEST(forwarded_ports)
{
	setup_forward();
	forward_from("127.0.0.1", "127.0.0.1", "192.0.2.1");
	forward_from("127.0.0.1", "127.0.0.5", "192.0.2.1");
	forward_from("::1", "::1", "fe80::1");
	forward_from(CLIENTS, "127.0.0.1", CLIENTS);
	forward_from(CLIENTS, CLIENTS, CLIENTS);
	forward_from("2001:db8:7::7", "2001:db8:7::7", "2001:db8:7::7");
	forward_beside_outbound();
	conf.udp_ports.count = 1;
	conf.udp_ports.rule[0].to = 6000;
	fwd_init(&conf);
	forward_of_a_known_peer();
	forward_without_room();
	teardown();
}

TEST(switched_off_and_junk)
{
	struct endpoint e;
	char data[16];
	int fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	guest_sends("192.0.2.1", 0, "a", 1);
	guest_sends("127.0.0.1", e.port, "a", 1);
	guest_sends("224.0.0.1", e.port, "a", 1);
	conf.no_udp = true;
	CHECK_EQ(udp_init(&conf, now), 0);
	guest_sends("192.0.2.1", e.port, "a", 1);
	CHECK_EQ(flow_count(), 0);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), -1);
	teardown();
	close(fd);
}

int main(int argc, char **argv)
{
	if (!hostns_enter() || !hostns_address(CLIENTS) ||
	    !hostns_address("2001:db8:7::7"))
		return 1;
	return unit_main(argc, argv);
}
