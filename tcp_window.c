// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcp_window: the window we offer the guest, from what the host's send queue
 * takes
 *
 * There is no buffer of ours: what the guest sends goes straight into the
 * host socket's send queue, and the window is the room in there. A larger one
 * would make the guest's data bounce, and only its retransmission timer would
 * bring it back.
 *
 *	sndbuf            what SO_SNDBUF is now, the kernel grows it
 *	|<---- queued ---->|<----------- room ----------->|
 *	                   rcv_nxt ............... rcv_adv (never moves left)
 *
 * The room is counted by SO_MEMINFO (socket(7), Linux 4.12) as the kernel
 * counts it, buffer overhead included. The kernel grows the buffer, and tells
 * by EPOLLOUT that there is room again, only for sockets found full by poll or
 * write. So once the queue passes two thirds - that is when poll finds it not
 * writable - it is polled again, by EPOLL_CTL_MOD.
 *
 * It grows from a size that was chosen for segments of 1500 bytes. Where the
 * guest's are of 64 KB, less than four would fit: a sender that saw no larger
 * window makes segments of half of it, and a new buffer takes long to grow where
 * the path is so fast that it is never full. A guest that sends much has it
 * enlarged once, for the kernel to grow on from there; not beyond what it grows
 * one to by itself (net.ipv4.tcp_wmem), or it would come back to that when it does:
 * a guest that has seen a window of several segments waits for its timer where
 * there is less than one.
 *
 * Sources: RFC 9293 3.8.6 (the right edge never moves left), 3.8.6.2.2
 * (receiver's silly window avoidance); RFC 7323 2.4 (scaling must not shrink);
 * socket(7) SO_SNDBUF, and SO_BUF_LOCK (Linux 5.14).
 */
#include "tcp_window.h"

#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "frame_out.h"

/* Kernel overhead of queued data, as a share of the room: up to 1 / 4 */
#define TCP_WINDOW_OVERHEAD_SHIFT	2
/* First look for room that no event tells of, usec; and how many */
#define TCP_WINDOW_LOOK			USEC_PER_MSEC
#define TCP_WINDOW_LOOKS		8
/* A guest sends much that sends so many bytes at once */
#define TCP_WINDOW_MUCH			(16 * 1024)
/* Segments that the window has room for, then; and SO_SNDBUF, doubled */
#define TCP_WINDOW_SEGMENTS		4
#define TCP_WINDOW_SNDBUF		(256 * 1024)

/*
 * Largest MSS that we announce. Of a segment and its headers Linux, and other
 * guests, make one piece of memory where their network card cannot gather: what
 * is beyond 64 KB with their own overhead takes twice that, which is slower to
 * have and may not be had at all.
 */
#define TCP_WINDOW_MSS_MAX		(63 * 1024)

/* SO_SNDBUF where the kernel does not tell: the least that it starts with */
#define TCP_WINDOW_UNKNOWN		(16 * 1024)

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK			-1	/* refused by the kernel */
#endif

/*
 * A kernel that does not tell by SO_MEMINFO: the payload, and half of the buffer
 * for it, as socket(7) has it of SO_SNDBUF. No event is asked for by that: when
 * it comes is the kernel's own count. Nothing told: what a new socket has, so
 * that the guest goes on.
 */
static void tcp_window_guess(struct tcp_conn *c)
{
	int size = 0, queued = 0;
	socklen_t len = sizeof(size);

	if (!getsockopt(c->watch.fd, SOL_SOCKET, SO_SNDBUF, &size, &len) &&
	    !ioctl(c->watch.fd, SIOCOUTQ, &queued)) {
		c->sndbuf = (uint32_t)size / 2;
		c->room = c->sndbuf > (uint32_t)queued ?
			  c->sndbuf - (uint32_t)queued : 0;
	} else if (!c->sndbuf) {
		c->sndbuf = c->room = TCP_WINDOW_UNKNOWN;
	}
}

static int tcp_window_sndbuf = TCP_WINDOW_SNDBUF;

/**
 * tcp_window_init() - Set how far a send buffer may be enlarged
 * @wmem_max:	bytes that the kernel lets it have, overhead included
 */
void tcp_window_init(unsigned wmem_max)
{
	/* SO_SNDBUF is doubled, socket(7) */
	tcp_window_sndbuf = wmem_max / 2 < TCP_WINDOW_SNDBUF ?
			    (int)(wmem_max / 2) : TCP_WINDOW_SNDBUF;
}

static void tcp_window_look(struct tcp_conn *c)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);
	uint32_t queued;

	if (getsockopt(c->watch.fd, SOL_SOCKET, SO_MEMINFO, mem, &len) < 0) {
		tcp_window_guess(c);
		return;
	}
	c->sndbuf = mem[SK_MEMINFO_SNDBUF];
	queued = mem[SK_MEMINFO_WMEM_QUEUED];
	c->room = c->sndbuf > queued ? c->sndbuf - queued : 0;
	if (c->room < queued / 2 && !c->polled) {
		/* An error leaves the retransmission timer of the guest */
		c->polled = !loop_mod(&c->watch, EPOLLIN | EPOLLOUT |
				      EPOLLRDHUP | EPOLLPRI | EPOLLET);
	}
}

static uint32_t tcp_min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The largest window there can be: buffer or header field */
static uint32_t tcp_window_full(const struct tcp_conn *c)
{
	return tcp_min(c->sndbuf, 0xffffu << c->ws_rcv);
}

static uint32_t tcp_window_segment(void)
{
	return frame_mtu() - IP4_HLEN - TCP_HLEN;
}

/*
 * The least worth telling. RFC 9293 3.8.6.2.2 has min(half the buffer, MSS);
 * but the event that tells of room comes at a third of the buffer, so waiting
 * for half of it could be for ever: a quarter.
 */
static uint32_t tcp_window_least(const struct tcp_conn *c)
{
	return tcp_min(tcp_window_full(c) / 4, tcp_window_segment());
}

/* Where the right edge may stand now */
static uint32_t tcp_window_edge(const struct tcp_conn *c)
{
	uint32_t wnd = c->room - (c->room >> TCP_WINDOW_OVERHEAD_SHIFT);

	if (wnd < tcp_window_least(c))
		return c->rcv_adv;
	wnd = tcp_min(wnd, 0xffffu << c->ws_rcv);
	return seq_lt(c->rcv_adv, c->rcv_nxt + wnd) ? c->rcv_nxt + wnd
						    : c->rcv_adv;
}

static bool tcp_window_is_narrow(const struct tcp_conn *c)
{
	uint32_t wnd = c->sndbuf - (c->sndbuf >> TCP_WINDOW_OVERHEAD_SHIFT);

	return c->ws_rcv && wnd < TCP_WINDOW_SEGMENTS * tcp_window_segment();
}

/* SO_SNDBUF stops the kernel from growing the buffer until it is unlocked */
static void tcp_window_widen(struct tcp_conn *c)
{
	int fd = c->watch.fd, size = tcp_window_sndbuf, unlocked = 0;

	c->widened = true;
	if (c->sndbuf / 2 >= (uint32_t)size)
		return;
	if (setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &unlocked,
		       sizeof(unlocked)))
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &unlocked, sizeof(unlocked));
	tcp_window_look(c);
}

/**
 * tcp_window_mss() - The MSS that we announce
 * @c:		connection
 * Return: bytes of payload that a segment of the guest may have
 */
uint16_t tcp_window_mss(const struct tcp_conn *c)
{
	return (uint16_t)tcp_min(tcp_conn_mss(c), TCP_WINDOW_MSS_MAX);
}

/**
 * tcp_window_start() - Look at a new connection's socket
 * @c:		connection whose host socket is connected, rcv_nxt known
 */
void tcp_window_start(struct tcp_conn *c)
{
	c->rcv_adv = c->rcv_acked = c->rcv_nxt;
	tcp_window_look(c);
}

/**
 * tcp_window_took() - The host's socket took data of the guest
 * @c:		connection
 * @len:	bytes; rcv_nxt has moved by them already
 */
void tcp_window_took(struct tcp_conn *c, size_t len)
{
	uint32_t cost = (uint32_t)len + (uint32_t)(len >> 3) + 2048;

	if (len)
		c->looks = 0;
	c->room = c->room > cost ? c->room - cost : 0;
	if (len >= TCP_WINDOW_MUCH && !c->widened && tcp_window_is_narrow(c))
		tcp_window_widen(c);
}

/**
 * tcp_window_update() - Look at the send queue again where it matters
 * @c:		connection with a host socket
 *
 * One getsockopt(), and only when an eighth of the buffer was used since.
 *
 * Return: true if the window can open by enough to tell the guest unasked, or
 * if what bounced would now be taken
 */
bool tcp_window_update(struct tcp_conn *c)
{
	uint32_t wnd = c->rcv_adv - c->rcv_nxt;
	uint32_t full = tcp_window_full(c);

	if (c->fin_in)
		return false;
	if (seq_lt(c->rcv_adv, c->rcv_nxt))
		wnd = 0;
	/* The largest window offered is three quarters of the buffer */
	if (wnd < full / 8 * 5 || c->bounced)
		tcp_window_look(c);
	if (c->bounced)
		return c->room >= full / 4;
	return tcp_window_edge(c) - c->rcv_adv >= tcp_window_least(c) &&
	       wnd < full / 2;
}

/**
 * tcp_window_look_at() - Whether to look again soon, unasked
 * @c:		connection, after tcp_window_update()
 *
 * A queue filled to less than two thirds tells nothing when it drains; but the
 * window left may be less than a segment of what the guest makes of a small
 * window (half of it, RFC 9293 3.8.6.2.1), so that it waits, too. A few looks,
 * further and further apart, find the room; after that the guest probes.
 *
 * Return: in how many microseconds, 0: no need
 */
usec_t tcp_window_look_at(struct tcp_conn *c)
{
	uint32_t one = tcp_min(tcp_window_full(c) / 2, tcp_window_segment());

	if (c->polled || c->fin_in || c->looks >= TCP_WINDOW_LOOKS ||
	    seq_le(c->rcv_nxt + one, c->rcv_adv))
		return 0;
	return TCP_WINDOW_LOOK << c->looks++;
}

/* The field for a right edge, which is remembered as the header has it */
static uint16_t tcp_window_tell(struct tcp_conn *c, uint32_t edge,
				unsigned shift)
{
	uint32_t wnd = edge - c->rcv_nxt;

	if (seq_lt(edge, c->rcv_nxt))
		wnd = 0;
	/* Down, unless that moves the edge left */
	if (seq_lt(c->rcv_nxt + (wnd >> shift << shift), c->rcv_adv))
		wnd += (1u << shift) - 1;
	wnd >>= shift;
	if (wnd > 0xffff)
		wnd = 0xffff;
	c->rcv_adv = c->rcv_nxt + (wnd << shift);
	return (uint16_t)wnd;
}

/**
 * tcp_window_field() - The window to write into a segment
 * @c:		connection
 * @syn:	the segment has SYN: its window is not scaled (RFC 7323 2.2)
 *
 * Moves the right edge as far as there is room, and remembers it.
 *
 * Return: the header's window field, host order
 */
uint16_t tcp_window_field(struct tcp_conn *c, bool syn)
{
	return tcp_window_tell(c, tcp_window_edge(c), syn ? 0 : c->ws_rcv);
}

/**
 * tcp_window_same() - The window of a duplicate ACK: the right edge stays
 * @c:		synchronized connection
 *
 * Return: the header's window field, host order
 */
uint16_t tcp_window_same(struct tcp_conn *c)
{
	return tcp_window_tell(c, c->rcv_adv, c->ws_rcv);
}
