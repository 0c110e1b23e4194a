// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_frames: any sequence of frames from the guest, through all that answers
 * them, with real sockets in an empty network namespace
 *
 * The input is a list of records, each a byte of flags, a length (2 bytes, big-
 * endian; the highest bit: the link has room for two frames and no more) and a
 * frame:
 *
 *	0x80	more frames come before they are received
 *	0x40	leave the IPv4 header's checksum as it is (else it is put right)
 *	0x20	leave TCP's acknowledgement number as it is (else it counts from
 *		what was sent to that port last)
 *	0x1f	time that passes before: 2^n microseconds
 *
 * Transport checksums count as right, or nothing would pass. Behind the
 * gateway's address, TCP on port 7 sends some data and its FIN at once, UDP on
 * port 7 echoes, and pings are answered. A frame sent in answer must be one that
 * packet_parse() takes, and no flow may be left once the guest is gone. How many
 * frames there were is said in the end.
 */
#include <assert.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flow.h"
#include "frame_out.h"
#include "fwd.h"
#include "fwd_socket.h"
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
#define FULL		0x8000

static struct conf conf;
static usec_t now;
static uint32_t next_seq[16];
static int tcp_server, udp_server;
static int accepted[4];
static unsigned long long frames, answers;

static struct addr addr(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		abort();
	return a;
}

static int server(int type)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6,
				     .sin6_port = __builtin_bswap16(7) };
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)))
		abort();
	return fd;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || dprintf(fd, "%s", text) < 0 || close(fd))
		abort();
}

/* A namespace of our own: whatever the frames ask for stays in here */
static void leave_the_host(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	char uid[32], gid[32];
	int fd;

	snprintf(uid, sizeof(uid), "0 %u 1", getuid());
	snprintf(gid, sizeof(gid), "0 %u 1", getgid());

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		abort();
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", uid);
	put("/proc/self/gid_map", gid);
	put("/proc/sys/net/ipv4/ping_group_range", "0 0");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) || close(fd))
		abort();
	tcp_server = server(SOCK_STREAM);
	udp_server = server(SOCK_DGRAM);
	if (listen(tcp_server, 128))
		abort();
}

/* The host's side of what the frames began */
static void serve(void)
{
	static unsigned next;
	static char data[3000];
	struct sockaddr_in6 from;
	socklen_t size = sizeof(from);
	ssize_t n;
	int fd;

	while ((fd = accept4(tcp_server, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (write(fd, data, sizeof(data)) > 0)
			shutdown(fd, SHUT_WR);
		if (accepted[next % 4])
			close(accepted[next % 4]);
		accepted[next++ % 4] = fd;
	}
	while ((n = recvfrom(udp_server, data, sizeof(data), 0,
			     (struct sockaddr *)&from, &size)) >= 0)
		sendto(udp_server, data, (size_t)n, 0,
		       (struct sockaddr *)&from, size);
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
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	fwd_socket_init(&conf);
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
	struct frame f = { .iov = &iov, .cnt = 1, .len = len, .csum_ok = true };

	iov = (struct iovec){ (void *)(uintptr_t)frame, len };
	return packet_parse(&f, p);
}

static void check_sent(void)
{
	struct packet p;
	size_t len;

	for (unsigned i = 0; i < memlink_sent(); i++) {
		const uint8_t *frame = memlink_frame(i, &len, NULL);

		/* who sends from port 0 is answered there (RFC 768) */
		if (!parse(frame, len, &p) &&
		    (p.proto != IPPROTO_UDP || p.dport))
			abort();
		if (p.proto == IPPROTO_TCP && !p.fragment)
			next_seq[p.dport & 15] = p.tcp.seq +
				(uint32_t)p.payload.len +
				!!(p.tcp.flags & TCP_FLAG_SYN) +
				!!(p.tcp.flags & TCP_FLAG_FIN);
	}
	answers += memlink_sent();
	memlink_clear();
}

static void turn(void)
{
	timer_run(now);
	link_events()->readable(now);
	for (int i = 0; i < 2; i++) {
		loop_dispatch(loop_wait(0), now);
		link_flush();
		flow_reap();
		check_sent();
		serve();
	}
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
	/* nobody looks at the destination's MAC: it says what to make of it */
	memlink_set_gso(len > 100 ? frame[5] : 0);
	memlink_queue(frame, len);
	frames++;
}

/* The sanitizers' own way out does not come by here: there was a finding */
__attribute__((destructor)) static void tell_frames(void)
{
	fprintf(stderr, "%llu frames\n", frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cur c = cur_of(data, size);
	unsigned queued = 0;

	memlink_caps()->csum = true;
	memlink_caps()->gso_tcp = memlink_caps()->gso_udp = true;
	link_events()->up(now);
	while (c.left >= 3) {
		uint8_t flags = cur_u8(&c);
		uint16_t len_flags = cur_be16(&c);
		size_t len = len_flags & 0x7fff;
		const uint8_t *frame;

		len = len < c.left ? len : c.left;
		frame = cur_take(&c, len);
		now += 1ULL << (flags & 0x1f);
		queue(flags, frame, len);
		if (flags & MORE && ++queued < 64)
			continue;
		queued = 0;
		memlink_set_room(len_flags & FULL ? 2 : MEMLINK_FRAMES);
		turn();
		memlink_set_room(MEMLINK_FRAMES);
		if (len_flags & FULL)
			link_events()->writable(now);
	}
	turn();
	link_events()->down(now);
	flow_reap();
	assert(!flow_count());
	memlink_clear();
	serve();
	return 0;
}
