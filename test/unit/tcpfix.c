// SPDX-License-Identifier: GPL-2.0-or-tf_later
/*
 * tcpfix: a guest that chooses every segment, and a host, see tcpfix.h
 */
#include "test/unit/tcpfix.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flow.h"
#include "frame_out.h"
#include "fwd.h"
#include "fwd_socket.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/loop.h"
#include "tcp.h"
#include "test/unit/hostns.h"

#define QUEUE_MAX	512
#define FOREVER		100000000

struct conf tf_conf;
usec_t tf_now = 1000 * USEC_PER_SEC;
struct guest g;
struct seg s;

static struct packet queued[QUEUE_MAX];
static struct iovec queued_iov[QUEUE_MAX];
static unsigned queued_count;
static unsigned seen;
static unsigned fds;
static uint16_t forwarded = 20000;

struct addr tf_addr(const char *text)
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

static unsigned fd_count(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void guest_reset(void)
{
	static uint16_t port = 30000;

	g = (struct guest){ .src = tf_addr("192.0.2.2"), .dst = tf_addr("192.0.2.1"),
			    .sport = port++, .iss = 1000, .window = 65535,
			    .mss = 1460, .ws = -1, .fd = -1, .listener = -1 };
}

/* Loop and timers are made once: listening sockets stay */
static void setup_once(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	CHECK_EQ(loop_init(), 0);
	CHECK(timer_init(tf_now) >= 0);
}

static void setup_conf(void)
{
	if (!tf_conf.keepalive_sec)
		tf_conf.keepalive_sec = FOREVER;
	if (!tf_conf.inactivity_sec)
		tf_conf.inactivity_sec = FOREVER;
	for (unsigned i = 0; i < CONF_FAMILIES; i++)
		tf_conf.family[i].on = true;
	tf_conf.family[CONF_V4].addr = tf_addr("192.0.2.2");
	tf_conf.family[CONF_V4].map_host_loopback = tf_addr("192.0.2.1");
	tf_conf.family[CONF_V6].addr = tf_addr("2001:db8::2");
	tf_conf.family[CONF_V6].map_host_loopback = tf_addr("fe80::1");
	forwarded++;
	tf_conf.tcp_ports.given = true;
	tf_conf.tcp_ports.count = 1;
	tf_conf.tcp_ports.rule[0] = (struct port_rule){
		.first = forwarded, .last = forwarded, .to = 80,
	};
}

void tf_setup_mtu(unsigned mtu)
{
	const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

	setup_once();
	setup_conf();
	flow_init();
	memlink_init(&events);
	guest_init(&(struct guest_conf){ .our_mac = { 0x9a, 0x55 },
					 .addr4 = tf_conf.family[CONF_V4].addr,
					 .addr6 = tf_conf.family[CONF_V6].addr });
	guest_arrived();
	guest_learn_mac(mac);
	frame_out_init(mtu);
	fwd_init(&tf_conf);
	fwd_socket_init(&tf_conf);
	CHECK_EQ(tcp_init(&tf_conf, tf_now), 0);
	seen = queued_count = 0;
	fds = fd_count();
	guest_reset();
}

void tf_setup(void)
{
	tf_setup_mtu(1500);
}

/* All flows end, and leave nothing behind */
void tf_teardown(void)
{
	flow_guest_left(tf_now);
	flow_reap();
	CHECK_EQ(flow_count(), 0);
	CHECK(!tcp_conn_unblock());
	if (g.fd >= 0)
		close(g.fd);
	if (g.listener >= 0)
		close(g.listener);
	CHECK_EQ(fd_count(), fds);
	memlink_clear();
	memset(&tf_conf, 0, sizeof(tf_conf));
}

/* Turns of the loop until nothing happens; returns how many had an event */
unsigned tf_turns(void)
{
	unsigned count = 0;
	int n;

	while (count < 200 && (n = loop_wait(count ? 1 : 5)) > 0) {
		loop_dispatch(n, tf_now);
		flow_reap();
		count++;
	}
	return count;
}

/* Time passes: what is due meanwhile happens at its time, as far as it can */
void tf_later(usec_t usec)
{
	/* and a little more: timers may be a tick late */
	usec_t end = tf_now + usec + 256;

	while (timer_next() <= end) {
		usec_t at = timer_next();

		if (at > tf_now)
			tf_now = at;
		else
			tf_now += 128;
		if (tf_now > end)
			break;
		timer_run(tf_now);
		flow_reap();
	}
	tf_now = end;
	timer_run(tf_now);
	flow_reap();
}

static size_t options(uint8_t *h)
{
	size_t n = 0;

	if (g.mss) {
		h[n++] = 2;
		h[n++] = 4;
		put_be16(h + n, g.mss);
		n += 2;
	}
	if (g.ws >= 0) {
		memcpy(h + n, (uint8_t[]){ 1, 3, 3, (uint8_t)g.ws }, 4);
		n += 4;
	}
	if (g.sack) {
		memcpy(h + n, (uint8_t[]){ 4, 2, 1, 1 }, 4);
		n += 4;
	}
	return n;
}

void queue(uint8_t flags, int32_t seq, int32_t ack, const void *data,
	   size_t len)
{
	struct packet *p = &queued[queued_count];

	if (queued_count == QUEUE_MAX)
		abort();
	queued_iov[queued_count] = (struct iovec){ (void *)(uintptr_t)data,
						   len };
	*p = (struct packet){
		.src = g.src, .dst = g.dst, .sport = g.sport, .dport = g.dport,
		.proto = IPPROTO_TCP, .ttl = 64, .df = true, .l4_len = TCP_HLEN,
		.tcp = { .seq = g.iss + 1 + (uint32_t)seq,
			 .ack = flags & ACK ? g.irs + 1 + (uint32_t)ack : 0,
			 .window = g.window, .urgent = g.urgent,
			 .flags = flags },
		.payload = { &queued_iov[queued_count], 1, 0, len },
	};
	if (flags & SYN)
		p->l4_len += (uint16_t)options(p->hdr + TCP_HLEN);
	if (queued_count)
		queued[queued_count - 1].next = p;
	queued_count++;
}

void flush(void)
{
	if (queued_count)
		tcp_input(queued, tf_now);
	queued_count = 0;
	flow_reap();
}

void sends(uint8_t flags, int32_t seq, int32_t ack, const void *data,
	   size_t len)
{
	queue(flags, seq, ack, data, len);
	flush();
}

static void read_options(const uint8_t *o, size_t len)
{
	for (size_t i = 0; i < len; i += o[i] > 1 ? o[i + 1] : 1) {
		if (o[i] == 2)
			s.mss = get_be16(o + i + 2);
		if (o[i] == 3)
			s.ws = o[i + 2];
		s.sack |= o[i] == 4;
		if (o[i] != 5)
			continue;
		s.cnt = o[i + 1] / 8;
		for (unsigned b = 0; b < 2 * s.cnt; b++)
			s.blocks[b] = (int32_t)(get_be32(o + i + 2 + 4 * b) -
						g.iss - 1);
	}
}

unsigned waiting(void)
{
	return memlink_sent() - seen;
}

/* All that was sent is of no interest */
void forget(void)
{
	seen = 0;
	memlink_clear();
}

struct seg *next(void)
{
	struct iovec iov;
	struct frame f = { .iov = &iov, .cnt = 1 };
	struct packet p;
	size_t len;

	memset(&s, 0, offsetof(struct seg, data));
	s.flags = NOTHING;
	s.ws = -1;
	if (!waiting())
		return &s;
	iov.iov_base = (void *)(uintptr_t)memlink_frame(seen++, &len, &s.gso);
	iov.iov_len = f.len = len;
	if (!packet_parse(&f, &p) || p.proto != IPPROTO_TCP ||
	    p.sport != g.dport || p.dport != g.sport ||
	    !addr_equal(&p.src, &g.dst) || !addr_equal(&p.dst, &g.src)) {
		unit_fail(__FILE__, __LINE__, "frame not of this connection");
		return &s;
	}
	if (p.tcp.flags & SYN)
		g.irs = p.tcp.seq;
	s.seq = (int32_t)(p.tcp.seq - g.irs - 1);
	s.ack = p.tcp.flags & ACK ? (int32_t)(p.tcp.ack - g.iss - 1) : 0;
	s.window = p.tcp.window;
	s.urgent = p.tcp.urgent;
	s.flags = p.tcp.flags & ~TCP_FLAG_PSH;
	s.psh = p.tcp.flags & TCP_FLAG_PSH;
	read_options(p.hdr + p.l4_off + TCP_HLEN, p.l4_len - TCP_HLEN);
	s.len = slice_copy(&p.payload, 0, s.data, sizeof(s.data));
	if (seen == memlink_sent())
		forget();
	return &s;
}

static struct tcp_conn *found;

static void note(struct flow *f, usec_t t)
{
	(void)t;
	found = flow_as(f, struct tcp_conn);
}

/* The one connection that there is */
struct tcp_conn *conn(void)
{
	struct flow_cursor c = { 0 };

	found = NULL;
	flow_sweep(&c, FLOW_TCP, FLOW_MAX, note, tf_now);
	return found;
}

bool gone(void)
{
	return !flow_count();
}

/* The host's peer listens, the guest will speak to it */
int peer_listen(const char *at)
{
	struct endpoint e = { .addr = tf_addr(at) };
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int fd = socket(sa.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	CHECK(!bind(fd, &sa.sa, len));
	CHECK(!listen(fd, 8));
	CHECK(!getsockname(fd, &sa.sa, &len));
	e = addr_from_sockaddr(&sa);
	g.dport = e.port;
	if (!addr_is_v4(&e.addr)) {
		g.src = tf_addr("2001:db8::2");
		g.dst = tf_addr("fe80::1");
	}
	g.listener = fd;
	return fd;
}

int peer_accept(void)
{
	struct pollfd p = { .fd = g.listener, .events = POLLIN };

	poll(&p, 1, 100);
	g.fd = accept4(g.listener, NULL, NULL, SOCK_NONBLOCK);
	return g.fd;
}

/* A client of the host's connects to the forwarded port */
int peer_connect(void)
{
	struct endpoint e = { .addr = tf_addr("127.0.0.1"), .port = forwarded };
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&e, &sa);

	g.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connect(g.fd, &sa.sa, len) && errno != EINPROGRESS)
		unit_fail(__FILE__, __LINE__, strerror(errno));
	CHECK(!getsockname(g.fd, &sa.sa, &len));
	e = addr_from_sockaddr(&sa);
	g.sport = 80;
	g.dport = e.port;
	return g.fd;
}

/* The number that the connection will begin with */
static void set_irs(struct tcp_conn *c)
{
	if (g.set_irs && c)
		c->snd_una = c->snd_nxt = c->snd_max = g.irs;
}

/* The guest opens a connection: ESTABLISHED, all is quiet */
void open_out(void)
{
	if (g.listener < 0)
		peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	set_irs(conn());
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	CHECK(peer_accept() >= 0);
	sends(ACK, 0, 0, NULL, 0);
	tf_turns();
	STATE(ESTABLISHED);
	/* the window may have been told */
	forget();
}

/* A client of the host's opens one: ESTABLISHED, all is quiet */
void open_in(void)
{
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	sends(SYN | ACK, -1, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	tf_turns();
	STATE(ESTABLISHED);
	/* the window may have been told */
	forget();
}

/* The peer sends, and the daemon hears of it */
ssize_t peer_sends(const void *data, size_t len)
{
	ssize_t n = send(g.fd, data, len, MSG_NOSIGNAL);

	tf_turns();
	return n;
}

ssize_t peer_reads(void *data, size_t len)
{
	struct pollfd p = { .fd = g.fd, .events = POLLIN };

	poll(&p, 1, 50);
	return recv(g.fd, data, len, MSG_DONTWAIT);
}

bool peer_eof(void)
{
	char byte;

	return !peer_reads(&byte, 1);
}

/* How the peer's connection failed, 0: not */
int peer_error(void)
{
	struct pollfd p = { .fd = g.fd, .events = 0 };
	socklen_t len = sizeof(int);
	int error = 0;

	poll(&p, 1, 50);
	getsockopt(g.fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}

void peer_resets(void)
{
	static const struct linger l = { .l_onoff = 1 };

	setsockopt(g.fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(g.fd);
	g.fd = -1;
	tf_turns();
}

/* Bytes of a stream, told apart by where they stand */
const uint8_t *pattern(size_t off)
{
	static uint8_t data[2][256 * 1024];
	static bool filled;

	for (size_t i = 0; !filled && i < sizeof(data); i++)
		((uint8_t *)data)[i] = (uint8_t)((i % 65521) * 7 >> 3);
	filled = true;
	return data[0] + off % 65521;
}

/* Reads up to max bytes of the pattern; returns how many were right */
size_t peer_drains(size_t max)
{
	static uint8_t buf[65536];
	static size_t off;
	size_t sum = 0;
	ssize_t n;

	if (!max)
		off = 0;
	while (sum < max &&
	       (n = peer_reads(buf, max - sum < sizeof(buf) ? max - sum :
			       sizeof(buf))) > 0) {
		if (memcmp(buf, pattern(off), (size_t)n))
			return 0;
		off += (size_t)n;
		sum += (size_t)n;
	}
	return sum;
}

bool tf_enter(void)
{
	/* what was said before an assertion fails is not lost */
	setvbuf(stdout, NULL, _IOLBF, 0);
	return hostns_enter();
}
