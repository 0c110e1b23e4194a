// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * peer.c - a guest that costs nothing, to find the daemon's own limits.
 *
 * Connects to the daemon's stream socket in QEMU's place (to vhost:SOCKET over
 * vhost-user, with all that Linux' driver leaves to the device) and speaks just
 * enough ARP, NDP, IPv4, IPv6, TCP and UDP for one job:
 *
 *	peer [OPTION]... SOCKET up ADDR PORT	TCP, as fast as the window allows
 *	peer [OPTION]... SOCKET down ADDR PORT	TCP, acknowledged once a read
 *	peer [OPTION]... SOCKET rr ADDR PORT	one byte there and back
 *	peer [OPTION]... SOCKET crr ADDR PORT	the same, a connection each
 *	peer [OPTION]... SOCKET many ADDR PORT	-n connections, a byte echoed on
 *						each, held open until stdin ends
 *	peer [OPTION]... SOCKET udp-up ADDR PORT
 *	peer [OPTION]... SOCKET udp-down ADDR PORT
 *
 *	-m MTU   (65520)       -d SECONDS (3)      -n NUMBER of connections
 *	-l BYTES of a datagram (what fits the MTU) -g GATEWAY  -a own ADDRESS
 *	-s datagrams of one size leave as one frame, where the link takes them so
 *
 * Payload is all zeros, so that a checksum costs a header's. No congestion
 * control: a window is an order. Lost segments are sent again from the
 * first one not acknowledged, on three duplicate ACKs or after 200 ms, what
 * Linux would wait at least. Prints one line `name=value ...`.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vport.h"

#define IN_SIZE		(8 << 20)
#define OUT_SIZE	(4 << 20)
#define BATCH		(1 << 20)	/* bytes built before a write */
#define HEAD_MAX	96	/* length, Ethernet, IP and L4 header */
#define CONNS_MAX	20000
#define PORT_FIRST	20000
#define RTO_USEC	200000
#define WSCALE		10

enum state { CLOSED, SYN_SENT, OPEN, FIN_SENT, DONE };

struct conn {
	enum state state;
	uint32_t una, nxt, high, rcv;	/* high: furthest nxt ever */
	uint32_t wnd;
	uint8_t wscale;
	uint8_t dups;
	uint16_t mss;
	bool ack;			/* owed */
};

static int sock, family = AF_INET, mtu = 65520, opt_n = 2000, opt_len;
static double opt_seconds = 3;
static uint8_t me[16], gw[16], dst[16], gw_mac[6];
static const uint8_t mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static uint16_t dst_port;
static bool gw_known, vhost, opt_segment;

static uint8_t in[IN_SIZE], out[OUT_SIZE];
static size_t in_len, out_len, out_off;
static size_t heads[OUT_SIZE / 46], n_heads;	/* where out is not zeros */
static struct conn conns[CONNS_MAX];
static uint64_t resent, udp_bytes, frames;
static int answered, opened, conns_first;	/* first: the oldest in use */

static uint64_t usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

static void fail(const char *what)
{
	fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Ones' complement sum, in host order of the words as they lie in memory */
static uint32_t sum(const void *buf, size_t len, uint32_t s)
{
	const uint8_t *p = buf;
	uint16_t w;

	for (; len > 1; len -= 2, p += 2) {
		memcpy(&w, p, 2);
		s += w;
	}
	return len ? s + *p : s;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s;
}

/* Where the next frame goes; its head is made zeros again later */
static uint8_t *out_head(void)
{
	heads[n_heads++] = out_len;
	return out + out_len;
}

static size_t ip_len(void)
{
	return family == AF_INET ? 20 : 40;
}

static size_t addr_len(void)
{
	return family == AF_INET ? 4 : 16;
}

/*
 * Append a frame: the L4 header given, and n bytes of zeros. csum_at is where
 * the checksum lies in the header. out is all zeros but for what heads names.
 */
static void emit(int proto, void *l4, size_t l4_len, int csum_at, size_t n)
{
	size_t len = l4_len + n, al = addr_len();
	uint8_t *p = out_head();
	uint32_t s;
	uint16_t c;

	*(uint32_t *)p = htonl(14 + ip_len() + len);
	memcpy(p + 4, gw_mac, 6);
	memcpy(p + 10, mac, 6);
	p += 18;
	if (family == AF_INET) {
		struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64,
				    .tot_len = htons(20 + len),
				    .frag_off = htons(0x4000),
				    .protocol = proto };

		memcpy(&ip.saddr, me, 4);
		memcpy(&ip.daddr, dst, 4);
		ip.check = fold(sum(&ip, 20, 0));
		memcpy(p, &ip, 20);
		memcpy(p - 2, "\x08\x00", 2);
	} else {
		struct ip6_hdr ip = { .ip6_plen = htons(len),
				      .ip6_nxt = proto, .ip6_hlim = 255 };

		ip.ip6_vfc = 0x60;
		memcpy(&ip.ip6_src, me, 16);
		memcpy(&ip.ip6_dst, dst, 16);
		memcpy(p, &ip, 40);
		memcpy(p - 2, "\x86\xdd", 2);
	}
	s = sum(me, al, htons(proto) + htons(len));
	s = sum(l4, l4_len, sum(dst, al, s));
	c = fold(s);
	memcpy((uint8_t *)l4 + csum_at, &c, 2);
	memcpy(p + ip_len(), l4, l4_len);
	out_len += 18 + ip_len() + len;
	frames++;
}

/* A frame over vhost-user: its checksum, and its segments, are not ours to do */
static bool out_frame(size_t at, size_t end)
{
	const uint8_t *p = out + at + 4;
	size_t ip = ip_len();
	int proto = p[family == AF_INET ? 23 : 20];
	struct vport_frame f = { .head = p, .len = end - at - 4 };

	f.hlen = f.len < HEAD_MAX - 4 ? f.len : HEAD_MAX - 4;
	if (p[13] != 6 && (proto == IPPROTO_TCP || proto == IPPROTO_UDP)) {
		f.csum_start = 14 + ip;
		f.csum_off = proto == IPPROTO_TCP ? 16 : 6;
	}
	if (proto == IPPROTO_TCP && f.len > 14u + mtu) {
		f.gso_type = family == AF_INET ? 1 : 4;
		f.gso_size = mtu - ip - 20;
	}
	if (proto == IPPROTO_UDP && opt_segment &&
	    f.len > 14 + ip + 8 + opt_len) {
		f.gso_type = 5;
		f.gso_size = opt_len;
	}
	return vport_send(&f);
}

static void vhost_flush(void)
{
	static size_t next;	/* of heads */

	for (; next < n_heads; next++) {
		if (!out_frame(heads[next], next + 1 < n_heads ?
			       heads[next + 1] : out_len))
			break;
	}
	vport_kick();
	out_off = next < n_heads ? heads[next] : out_len;
	if (next < n_heads)
		return;
	while (n_heads)
		memset(out + heads[--n_heads], 0, HEAD_MAX);
	out_len = out_off = next = 0;
}

static void out_flush(void)
{
	if (vhost) {
		vhost_flush();
		return;
	}
	while (out_off < out_len) {
		ssize_t n = send(sock, out + out_off, out_len - out_off,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			fail("send");
		out_off += n;
	}
	while (n_heads)
		memset(out + heads[--n_heads], 0, HEAD_MAX);
	out_len = out_off = 0;
}

static struct conn *conn_of(uint16_t port)
{
	return port >= PORT_FIRST && port < PORT_FIRST + CONNS_MAX ?
	       conns + port - PORT_FIRST : NULL;
}

static void segment(struct conn *c, uint8_t flags, uint32_t seq, size_t n)
{
	struct {
		struct tcphdr h;
		uint8_t opt[8];
	} t = { .h = { .source = htons(PORT_FIRST + (c - conns)),
		       .dest = htons(dst_port), .seq = htonl(seq), .doff = 5,
		       .window = htons(65535) } };
	size_t len = 20;

	t.h.th_flags = flags;
	if (flags & TH_ACK)
		t.h.ack_seq = htonl(c->rcv);
	if (flags & TH_SYN) {
		uint16_t mss = htons(mtu - ip_len() - 20);

		memcpy(t.opt, "\x02\x04\0\0\x01\x03\x03", 7);
		memcpy(t.opt + 2, &mss, 2);
		t.opt[7] = WSCALE;
		t.h.doff = 7;
		len = 28;
	}
	c->ack = false;
	emit(IPPROTO_TCP, &t, len, 16, n);
}

static void conn_open(struct conn *c)
{
	c->state = SYN_SENT;
	c->una = 1000000;
	c->nxt = c->high = c->una + 1;
	segment(c, TH_SYN, c->una, 0);
}

static void conn_options(struct conn *c, const uint8_t *o, size_t len)
{
	size_t i = 0;

	c->mss = 536;
	while (i < len && o[i]) {
		if (o[i] == 1) {
			i++;
			continue;
		}
		if (i + 1 >= len || o[i + 1] < 2 || i + o[i + 1] > len)
			return;
		if (o[i] == 2)
			c->mss = o[i + 2] << 8 | o[i + 3];
		if (o[i] == 3)
			c->wscale = o[i + 2];
		i += o[i + 1];
	}
}

static void conn_ack(struct conn *c, const struct tcphdr *t, size_t len)
{
	uint32_t ack = ntohl(t->ack_seq), wnd = ntohs(t->window) << c->wscale;

	if (ack == c->una && !len && wnd == c->wnd && c->nxt != c->una &&
	    ++c->dups == 3) {
		resent += c->nxt - c->una;
		c->nxt = c->una;
	}
	if ((int32_t)(ack - c->una) > 0 && (int32_t)(ack - c->high) <= 0) {
		c->una = ack;
		c->dups = 0;
		if ((int32_t)(c->nxt - ack) < 0)
			c->nxt = ack;
	}
	c->wnd = wnd;
}

static void tcp_in(const uint8_t *p, size_t len)
{
	const struct tcphdr *t = (const void *)p;
	struct conn *c = conn_of(ntohs(t->dest));
	size_t hl = t->doff * 4;
	uint32_t seq = ntohl(t->seq);

	if (!c || c->state == CLOSED)
		return;
	if (t->rst) {
		fprintf(stderr, "peer: connection %ld reset\n",
			(long)(c - conns));
		c->state = DONE;
		return;
	}
	len -= hl;
	if (t->syn && c->state == SYN_SENT) {
		conn_options(c, p + 20, hl - 20);
		c->rcv = seq + 1;
		c->una = ntohl(t->ack_seq);
		c->wnd = ntohs(t->window);
		c->state = OPEN;
		c->ack = true;
		opened++;
		return;
	}
	if (t->ack)
		conn_ack(c, t, len);
	if (seq != c->rcv) {
		c->ack = true;
		return;
	}
	answered += !!len;
	c->rcv += len + t->fin;
	c->ack |= len || t->fin;
	if (t->fin)
		c->state = DONE;
}

static void arp_in(const uint8_t *p, size_t len)
{
	uint8_t *o;

	if (len >= 28 && p[7] == 2 && !memcmp(p + 14, gw, 4)) {
		memcpy(gw_mac, p + 8, 6);
		gw_known = true;
	}
	if (len < 28 || p[7] != 1 || memcmp(p + 24, me, 4))
		return;
	o = out_head();
	*(uint32_t *)o = htonl(42);
	memcpy(o + 4, p + 8, 6);
	memcpy(o + 10, mac, 6);
	memcpy(o + 16, "\x08\x06\0\x01\x08\0\x06\x04\0\x02", 10);
	memcpy(o + 26, mac, 6);
	memcpy(o + 32, me, 4);
	memcpy(o + 36, p + 8, 10);
	out_len += 46;
}

/* An ICMPv6 neighbour message: type, flags, target, our link-layer address */
static void neighbour(int type, uint8_t flags, const uint8_t *target, int opt)
{
	uint8_t m[32] = { type, 0, 0, 0, flags };

	memcpy(m + 8, target, 16);
	m[24] = opt;
	m[25] = 1;
	memcpy(m + 26, mac, 6);
	emit(IPPROTO_ICMPV6, m, 32, 2, 0);
}

static void icmp6_in(const uint8_t *p, size_t len, const uint8_t *from)
{
	uint8_t keep[16];

	if (len >= 32 && p[0] == 136 && !memcmp(p + 8, gw, 16)) {
		memcpy(gw_mac, p + 26, 6);
		gw_known = true;
	}
	if (len < 24 || p[0] != 135 || memcmp(p + 8, me, 16))
		return;
	memcpy(keep, dst, 16);
	memcpy(dst, from, 16);
	neighbour(136, 0x60, me, 2);
	memcpy(dst, keep, 16);
}

static void frame_in(const uint8_t *p, size_t len)
{
	size_t hl = ip_len();
	int proto;

	if (len < 14)
		return;
	if (p[12] == 8 && p[13] == 6 && family == AF_INET)
		arp_in(p + 14, len - 14);
	if (p[12] != (family == AF_INET ? 0x08 : 0x86) ||
	    p[13] != (family == AF_INET ? 0x00 : 0xdd) || len < 14 + hl + 8)
		return;
	p += 14;
	proto = family == AF_INET ? p[9] : p[6];
	len = family == AF_INET ? (p[2] << 8 | p[3]) - 20 : p[4] << 8 | p[5];
	if (proto == IPPROTO_TCP)
		tcp_in(p + hl, len);
	else if (proto == IPPROTO_UDP)
		udp_bytes += len - 8;
	else if (proto == IPPROTO_ICMPV6)
		icmp6_in(p + hl, len, p + 8);
}

static void in_read(void)
{
	size_t off = 0, len;
	ssize_t n;

	if (vhost) {
		vport_receive(frame_in);
		return;
	}
	n = recv(sock, in + in_len, IN_SIZE - in_len, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		fail("the daemon went away");
	in_len += n;
	while (in_len - off >= 4) {
		len = ntohl(*(uint32_t *)(in + off));
		if (in_len - off < 4 + len)
			break;
		/* A reply needs room: replies are small, and wait their turn */
		if (out_len > OUT_SIZE - 65536)
			break;
		frame_in(in + off + 4, len);
		off += 4 + len;
	}
	memmove(in, in + off, in_len - off);
	in_len -= off;
}

/* One turn: write what is left, read what is there, and acknowledge */
static void turn(int ms, int n_conns)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int i;

	if (out_off < out_len)
		p.events |= POLLOUT;
	if (vhost) {
		vport_wait(ms, out_off < out_len);
		p.revents = POLLIN;
	} else if (poll(&p, 1, ms) < 0) {
		fail("poll");
	}
	if (p.revents & (POLLIN | POLLHUP))
		in_read();
	for (i = conns_first; i < n_conns && out_len < OUT_SIZE - 65536; i++)
		if (conns[i].ack)
			segment(conns + i, TH_ACK, conns[i].nxt, 0);
	out_flush();
}

static void resolve_gw(void)
{
	uint64_t end = usec() + 5000000;
	uint8_t keep[16];
	int i;

	for (i = 0; !gw_known && usec() < end; i++) {
		if (i % 10) {
			turn(20, 0);
			continue;
		}
		if (family == AF_INET) {
			uint8_t *o = out_head();

			*(uint32_t *)o = htonl(42);
			memset(o + 4, 0xff, 6);
			memcpy(o + 10, mac, 6);
			memcpy(o + 16, "\x08\x06\0\x01\x08\0\x06\x04\0\x01", 10);
			memcpy(o + 26, mac, 6);
			memcpy(o + 32, me, 4);
			memcpy(o + 42, gw, 4);
			out_len += 46;
		} else {
			/* To the solicited-node address (RFC 4861 7.2.2) */
			memcpy(keep, dst, 16);
			inet_pton(AF_INET6, "ff02::1:ff00:0", dst);
			memcpy(dst + 13, gw + 13, 3);
			memcpy(gw_mac, "\x33\x33", 2);
			memcpy(gw_mac + 2, dst + 12, 4);
			neighbour(135, 0, gw, 1);
			memcpy(dst, keep, 16);
		}
		turn(20, 0);
	}
	if (!gw_known) {
		fprintf(stderr, "peer: no answer for the gateway's address\n");
		exit(1);
	}
}

/* Fill out with what the window takes */
static void push(struct conn *c)
{
	size_t mss = mtu - ip_len() - 20, room, n, was = out_len;

	if (c->mss < mss)
		mss = c->mss;
	/* Segments are cut by the other side */
	if (vhost && mss < 32000)
		mss *= (65535 - 100) / mss;
	while (out_len - was < BATCH) {
		room = c->una + c->wnd - c->nxt;
		if ((int32_t)room <= 0)
			break;
		n = room < mss ? room : mss;
		if (n < mss && c->nxt != c->una)
			break;
		segment(c, TH_ACK | (room < 2 * mss ? TH_PUSH : 0), c->nxt, n);
		c->nxt += n;
		if ((int32_t)(c->nxt - c->high) > 0)
			c->high = c->nxt;
	}
}

static void dial_one(struct conn *c, int n_conns)
{
	uint64_t end = usec() + 5000000;

	conn_open(c);
	while (c->state == SYN_SENT && usec() < end)
		turn(100, n_conns);
	if (c->state != OPEN) {
		fprintf(stderr, "peer: not connected\n");
		exit(1);
	}
}

static void print_rate(uint64_t bytes, uint64_t start)
{
	double t = (usec() - start) / 1e6;

	printf("bytes=%lu seconds=%.3f mbps=%.0f resent=%lu frames=%lu\n",
	       bytes, t, bytes * 8 / t / 1e6, resent, frames);
}

static void tcp_up(void)
{
	uint64_t start, end, moved, done = 0;
	struct conn *c = conns;
	uint32_t una;

	dial_one(c, 1);
	una = c->una;
	start = moved = usec();
	end = start + opt_seconds * 1e6;
	while (usec() < end && c->state == OPEN) {
		if (!out_len)
			push(c);
		turn(out_len || c->ack ? 0 : 20, 1);
		if (c->una != una) {
			done += c->una - una;
			una = c->una;
			moved = usec();
		} else if (c->nxt != c->una && usec() - moved > RTO_USEC) {
			resent += c->nxt - c->una;
			c->nxt = c->una;
			moved = usec();
		}
		if (out_off < out_len)
			turn(20, 1);
	}
	print_rate(done, start);
}

static void tcp_down(void)
{
	uint64_t start, end, done = 0;
	struct conn *c = conns;
	uint32_t rcv;

	dial_one(c, 1);
	rcv = c->rcv;
	start = usec();
	end = start + opt_seconds * 1e6;
	while (usec() < end && c->state == OPEN) {
		turn(20, 1);
		done += c->rcv - rcv;
		rcv = c->rcv;
	}
	print_rate(done, start);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void request(bool each)
{
	static uint32_t took[CONNS_MAX];
	uint64_t t, end = usec() + opt_seconds * 1e6;
	struct conn *c = conns;
	int i, n = 0;

	for (i = 0; n < CONNS_MAX - 1 && usec() < end; i++) {
		uint32_t rcv;

		t = usec();
		if (!i || each) {
			c = conns + (each ? i : 0);
			conns_first = each && i > 64 ? i - 64 : 0;
			dial_one(c, i + 1);
			segment(c, TH_ACK | TH_PUSH, c->nxt, 1);
		} else {
			segment(c, TH_ACK | TH_PUSH, c->nxt, 1);
		}
		c->nxt++;
		c->high = c->nxt;
		rcv = c->rcv;
		while (c->rcv == rcv && c->state == OPEN &&
		       usec() < end + 1000000)
			turn(100, each ? i + 1 : 1);
		took[n++] = usec() - t;
		if (each) {
			segment(c, TH_ACK | TH_FIN, c->nxt++, 0);
			c->high = c->nxt;
		}
	}
	qsort(took, n, sizeof(*took), compare);
	printf("count=%d median_us=%u p99_us=%u\n", n, took[n / 2],
	       took[n * 99 / 100]);
}

static void many(void)
{
	uint64_t end = usec() + 30000000;
	int i, next = 0;
	struct pollfd p = { .fd = 0, .events = POLLIN };

	while (answered < opt_n && usec() < end) {
		for (i = 0; next < opt_n && i < 50 && next - opened < 100; i++)
			conn_open(conns + next++);
		for (i = 0; i < next; i++)
			if (conns[i].state == OPEN &&
			    conns[i].nxt == 1000001) {
				segment(conns + i, TH_ACK | TH_PUSH, 1000001,
					1);
				conns[i].high = ++conns[i].nxt;
			}
		turn(10, next);
	}
	printf("open=%d answered=%d\n", opened, answered);
	fflush(stdout);
	while (!poll(&p, 1, 0))
		turn(50, next);
}

static void udp(bool up)
{
	size_t n = opt_len ? (size_t)opt_len : mtu - ip_len() - 8;
	size_t many = vhost && opt_segment ? 64000 / n : 1;
	struct udphdr u = { .source = htons(PORT_FIRST),
			    .dest = htons(dst_port),
			    .len = htons(8 + n * many) };
	uint64_t start, end, count = 0;
	int i;

	for (i = 0; i < 20 && !udp_bytes; i++) {
		u.check = 0;
		emit(IPPROTO_UDP, &u, 8, 6, n * many);
		turn(up ? 0 : 200, 0);
		if (up)
			break;
	}
	start = usec();
	end = start + opt_seconds * 1e6;
	while (usec() < end) {
		while (up && !out_off && out_len < BATCH) {
			u.check = 0;
			emit(IPPROTO_UDP, &u, 8, 6, n * many);
			count += many;
		}
		turn(up && !out_len ? 0 : 20, 0);
	}
	if (up)
		printf("sent=%lu sent_bytes=%lu\n", count, count * n);
	else
		print_rate(udp_bytes, start);
}

static void connect_to(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int size = 4 << 20;

	if (!strncmp(path, "vhost:", 6)) {
		vhost = true;
		sock = vport_open(path + 6);
		return;
	}
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(sock, (void *)&un, sizeof(un)))
		fail(path);
}

static int usage(void)
{
	fprintf(stderr, "peer: see the head of peer.c\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *own = NULL, *gateway = NULL, *job;
	int c;

	while ((c = getopt(argc, argv, "m:d:n:l:g:a:s")) >= 0) {
		if (c == 'm')
			mtu = atoi(optarg);
		else if (c == 'd')
			opt_seconds = atof(optarg);
		else if (c == 'n')
			opt_n = atoi(optarg);
		else if (c == 'l')
			opt_len = atoi(optarg);
		else if (c == 'g')
			gateway = optarg;
		else if (c == 'a')
			own = optarg;
		else if (c == 's')
			opt_segment = true;
		else
			return usage();
	}
	if (argc - optind != 4 || !own || !gateway || opt_n > CONNS_MAX)
		return usage();
	argv += optind;
	job = argv[1];
	family = strchr(argv[2], ':') ? AF_INET6 : AF_INET;
	if (inet_pton(family, argv[2], dst) != 1 ||
	    inet_pton(family, own, me) != 1 ||
	    inet_pton(family, gateway, gw) != 1)
		return usage();
	dst_port = atoi(argv[3]);
	connect_to(argv[0]);
	resolve_gw();
	if (!strcmp(job, "up"))
		tcp_up();
	else if (!strcmp(job, "down"))
		tcp_down();
	else if (!strcmp(job, "rr") || !strcmp(job, "crr"))
		request(job[0] == 'c');
	else if (!strcmp(job, "many"))
		many();
	else if (!strcmp(job, "udp-up") || !strcmp(job, "udp-down"))
		udp(job[4] == 'u');
	else
		return usage();
	return 0;
}
