// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * udpfix: a guest and a host for the tests of UDP, see udpfix.h
 */
#include "test/unit/udpfix.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame_out.h"
#include "fwd.h"
#include "fwd_socket.h"
#include "guest.h"
#include "lib/loop.h"
#include "test/unit/hostns.h"
#include "test/unit/unit.h"
#include "udp.h"

struct conf conf;
usec_t now = 1000 * USEC_PER_SEC;

struct addr addr(const char *text)
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

void setup_with(unsigned mtu, bool forward)
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
	fwd_socket_init(&conf);
	CHECK_EQ(udp_init(&conf, now), 0);
}

void setup(void)
{
	setup_with(65520, false);
}

/* Ports are forwarded by sockets of IPv4 alone */
void setup_at4(void)
{
	setup_with(65520, false);
	conf.udp_ports.count = 1;
	conf.udp_ports.rule[0].listen = ADDR_ANY4;
	fwd_init(&conf);
	CHECK_EQ(udp_init(&conf, now), 0);
}

/* All flows end; the listening sockets stay in a loop that is thrown away */
void teardown(void)
{
	flow_guest_left(now);
	flow_reap();
	CHECK_EQ(flow_count(), 0);
	memlink_clear();
}

/* Turns of the loop until nothing happens */
unsigned turns(void)
{
	unsigned count = 0;
	int n;

	while (count < 200 && (n = loop_wait(count ? 1 : 100)) > 0) {
		loop_dispatch(n, now);
		flow_reap();
		count++;
	}
	return count;
}

void later(usec_t sec)
{
	/* and a little more: timers may be a tick late */
	now += sec * USEC_PER_SEC + USEC_PER_MSEC;
	timer_run(now);
	flow_reap();
}

struct packet packet_to(const char *dst, uint16_t port,
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

void guest_sends(const char *dst, uint16_t port, const void *data,
			size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct packet p = packet_to(dst, port, &iov);

	udp_input(&p, now);
}

/* A socket of the host's own; port 0: any */
int host_socket(const char *at, uint16_t port, struct endpoint *e)
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

int host_connect(int fd, const char *to, uint16_t port)
{
	union sockaddr_any sa;
	struct endpoint e = { .addr = addr(to), .port = port };
	socklen_t len = addr_to_sockaddr(&e, &sa);

	return connect(fd, &sa.sa, len);
}

ssize_t host_sends(int fd, const struct endpoint *to, const void *data,
			  size_t len)
{
	union sockaddr_any sa;
	socklen_t sa_len = addr_to_sockaddr(to, &sa);

	return sendto(fd, data, len, 0, &sa.sa, sa_len);
}

/* What came to a host socket, -1 for nothing */
ssize_t host_receives(int fd, void *data, size_t len,
			     struct endpoint *from)
{
	union sockaddr_any sa;
	socklen_t sa_len = sizeof(sa);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	poll(&p, 1, 100);
	n = recvfrom(fd, data, len, MSG_DONTWAIT, &sa.sa, &sa_len);
	if (n >= 0 && from)
		*from = addr_from_sockaddr(&sa);
	return n;
}

bool parse(unsigned i, struct packet *p)
{
	static struct iovec iov;
	struct frame f = { .iov = &iov, .cnt = 1 };
	size_t len;

	if (i >= memlink_sent())
		return false;
	iov.iov_base = (void *)(uintptr_t)memlink_frame(i, &len, NULL);
	iov.iov_len = f.len = len;
	return packet_parse(&f, p);
}

/* The guest got this datagram, in frame @i of the link */
bool guest_got(unsigned i, const char *from, uint16_t port,
		      const void *data, size_t len)
{
	static uint8_t got[UDP_DATAGRAM_MAX];
	const struct addr src = addr(from);
	struct packet p;

	if (!parse(i, &p) || p.proto != IPPROTO_UDP)
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

struct flow *only_flow(void)
{
	struct flow_cursor c = { 0 };

	CHECK_EQ(flow_count(), 1);
	CHECK(flow_sweep(&c, FLOW_UDP, 2, note_flow, now));
	return the_flow;
}

/* Into a namespace of our own, with some addresses that are not loopback's */
bool host_enter(void)
{
	return hostns_enter() && hostns_address(CLIENTS) &&
	       hostns_address(ROUTER) && hostns_address("2001:db8:7::7");
}
