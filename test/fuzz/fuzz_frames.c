// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_frames: any sequence of frames from the guest, through all that answers
 * them, with real sockets in an empty network namespace
 *
 * The input is a list of records, each a byte of flags, a length (2 bytes, big-
 * endian) and a frame:
 *
 *	0x80	more frames come before they are received
 *	0x40	leave the IPv4 header's checksum as it is (else it is put right)
 *	0x20	leave TCP's acknowledgement number as it is (else it counts from
 *		what was sent to that port last)
 *	0x1f	time that passes before: 2^n microseconds
 *
 * Transport checksums count as right, or nothing would pass. Behind the
 * gateway's address, port 7, TCP listens. A frame sent in answer must be one
 * that packet_parse() takes, and no flow may be left once the guest is gone.
 */
#include <assert.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flow.h"
#include "frame_out.h"
#include "fwd.h"
#include "guest.h"
#include "icmp.h"
#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "serve/arp.h"
#include "serve/dhcp.h"
#include "serve/dhcpv6.h"
#include "serve/ndp.h"
#include "tap.h"
#include "tcp.h"
#include "test/unit/memlink.h"
#include "udp.h"

#define MORE		0x80
#define KEEP_CSUM	0x40
#define KEEP_ACK	0x20

static struct conf conf;
static usec_t now;
static uint32_t next_seq[16];
static int listener;

static struct addr addr(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		abort();
	return a;
}

static void listen_on_loopback(void)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6,
				     .sin6_port = __builtin_bswap16(7) };

	listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(listener, (struct sockaddr *)&sin6, sizeof(sin6)) ||
	    listen(listener, 128))
		abort();
}

/* A namespace of our own: whatever the frames ask for stays in here */
static void leave_the_host(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		abort();
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) || close(fd))
		abort();
	listen_on_loopback();
}

static void configure(void)
{
	struct conf_family *v4 = &conf.family[CONF_V4];
	struct conf_family *v6 = &conf.family[CONF_V6];

	v4->on = v6->on = true;
	v4->addr = addr("192.0.2.2");
	v4->prefix = 24;
	v4->gateway = v4->map_host_loopback = addr("192.0.2.1");
	v6->addr = addr("2001:db8::2");
	v6->prefix = 64;
	v6->gateway = v6->map_host_loopback = addr("fe80::1");
	memcpy(conf.mac, "\x9a\x55\x9a\x55\x9a\x55", 6);
	conf.mtu = 1500;
	conf.keepalive_sec = 300;
	conf.inactivity_sec = 7200;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct guest_conf g = { .our_ll = addr("fe80::1") };

	(void)argc;
	(void)argv;
	log_init("fuzz_frames", LOG_LEVEL_ERR);
	leave_the_host();
	configure();
	g.addr4 = conf.family[CONF_V4].addr;
	g.addr6 = conf.family[CONF_V6].addr;
	memcpy(g.our_mac, conf.mac, 6);
	now = clock_now();
	if (loop_init() || timer_init(now) < 0)
		abort();
	guest_init(&g);
	flow_init();
	frame_out_init(conf.mtu);
	fwd_init(&conf);
	memlink_init(tap_events());
	tap_init(&conf);
	arp_init(&conf);
	dhcp_init(&conf);
	dhcpv6_init(&conf);
	ndp_init(&conf);
	if (tcp_init(&conf, now) || udp_init(&conf, now) ||
	    icmp_init(&conf, now))
		abort();
	return 0;
}

static bool parse(const void *frame, size_t len, struct packet *p)
{
	static struct iovec iov;
	struct frame f = { &iov, 1, len, 0, true };

	iov = (struct iovec){ (void *)(uintptr_t)frame, len };
	return packet_parse(&f, p);
}

static void check_sent(void)
{
	struct packet p;
	size_t len;

	for (unsigned i = 0; i < memlink_sent(); i++) {
		const uint8_t *frame = memlink_frame(i, &len, NULL);

		if (!parse(frame, len, &p))
			abort();
		if (p.proto == IPPROTO_TCP && !p.fragment)
			next_seq[p.dport & 15] = p.tcp.seq +
				(uint32_t)p.payload.len +
				!!(p.tcp.flags & TCP_FLAG_SYN) +
				!!(p.tcp.flags & TCP_FLAG_FIN);
	}
	memlink_clear();
}

static void turn(void)
{
	timer_run(now);
	link_events()->readable(now);
	loop_dispatch(loop_wait(0), now);
	link_flush();
	flow_reap();
	check_sent();
}

static void queue(uint8_t flags, const uint8_t *data, size_t len)
{
	static uint8_t frame[65536];
	struct packet p;

	memcpy(frame, data, len);
	if (!(flags & KEEP_CSUM) && len >= 34 && frame[14] == 0x45)
		packet_put_ip4_frag(frame + 14, get_be16(frame + 18),
				    (get_be16(frame + 20) & 0x1fff) * 8u,
				    frame[20] & 0x20);
	if (!(flags & KEEP_ACK) && parse(frame, len, &p) &&
	    p.proto == IPPROTO_TCP && p.l4_len)
		put_be32(frame + p.l4_off + 8,
			 p.tcp.ack + next_seq[p.sport & 15]);
	memlink_queue(frame, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cur c = cur_of(data, size);
	unsigned queued = 0;
	int fd;

	memlink_caps()->csum = true;
	link_events()->up(now);
	while (c.left >= 3) {
		uint8_t flags = cur_u8(&c);
		size_t len = cur_be16(&c);
		const uint8_t *frame;

		len = len < c.left ? len : c.left;
		frame = cur_take(&c, len);
		now += 1ULL << (flags & 0x1f);
		queue(flags, frame, len);
		if (flags & MORE && ++queued < 64)
			continue;
		queued = 0;
		turn();
	}
	turn();
	link_events()->down(now);
	flow_reap();
	assert(!flow_count());
	memlink_clear();
	while ((fd = accept(listener, NULL, NULL)) >= 0)
		close(fd);
	return 0;
}
