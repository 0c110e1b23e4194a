// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcp_out: segments to the guest: data from the host's socket, retransmission
 *
 * The host socket's receive queue is the retransmission queue: data is peeked
 * straight into frames lent by the link, and consumed only when the guest has
 * acknowledged it.
 *
 *	receive queue of the host's socket
 *	|<------ sent, not acknowledged ------>|<---- not sent yet ---->|
 *	snd_una                             snd_nxt == snd_max
 *	         SO_PEEK_OFF = snd_nxt - snd_una
 *
 * snd_nxt stands below snd_max only while what was lost is sent again; what that
 * is, and when, tcp_loss.c tells.
 * Where the kernel has no SO_PEEK_OFF for TCP (before Linux 6.9), what was sent
 * before is read into a bin.
 *
 * Copies: one, socket to frame. System calls for a batch: recvmsg() here, and
 * the link's flush; setsockopt() only to go back.
 *
 * Sources: RFC 9293 3.8, RFC 6298 (timeout),
 * socket(7) SO_PEEK_OFF, tcp(7).
 */
#include "tcp_out.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame_out.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/stats.h"
#include "link/link.h"
#include "tcp_ack.h"
#include "tcp_loss.h"
#include "tcp_sack.h"
#include "tcp_window.h"

/* Bytes read for one connection before the others get their turn */
#define TCP_TURN_BYTES		(1024 * 1024)
#define TCP_IOV_MAX		1024
/* Times in a row that the guest did not say what it had, of what is its last */
#define TCP_FAILED_RETRIES	3
#define TCP_BIN_SIZE		(64 * 1024)

static struct tcp_limits tcp_limits;
static bool tcp_has_peek_off;
static uint8_t tcp_bin[TCP_BIN_SIZE];
static struct loan tcp_loans[LINK_BATCH];
static struct iovec tcp_iov[TCP_IOV_MAX];

static bool tcp_probe_peek_off(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), zero = 0;
	bool has;

	/* Of a family that the kernel does not have there are no sockets */
	if (fd < 0)
		return errno == EAFNOSUPPORT;
	has = !setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero));
	close(fd);
	return has;
}

/**
 * tcp_out_init() - Find out what the kernel has, note limits
 * @limits:	how long a silent guest is waited for
 */
void tcp_out_init(const struct tcp_limits *limits)
{
	tcp_limits = *limits;
	/* Of either family may be the socket behind a dual-stack listener */
	tcp_has_peek_off = tcp_probe_peek_off(AF_INET6) &&
			   tcp_probe_peek_off(AF_INET);
}

static size_t tcp_l2l3(const struct tcp_conn *c)
{
	return packet_l2l3_len(&tcp_guest_side(c)->remote);
}

static struct packet_ends tcp_ends(const struct tcp_conn *c)
{
	const struct flow_side *g = tcp_guest_side(c);
	struct packet_ends e = guest_ends(&g->local, &g->remote);

	e.df = true;
	return e;
}

/* Header and checksum of a segment whose payload is in place */
static void tcp_fill(struct tcp_conn *c, struct loan *l,
		     const struct packet_ends *e, const struct tcp_fields *want,
		     size_t hlen)
{
	const struct flow_side *g = tcp_guest_side(c);
	struct tcp_fields f = *want;

	if (f.flags & TCP_FLAG_ACK)
		f.ack = c->rcv_nxt;
	if (f.flags & TCP_FLAG_URG)
		f.urgent = 1;
	packet_put_tcp(frame_l4(l, &g->remote), g->lport, g->rport, &f, hlen);
	frame_finish(l, e, IPPROTO_TCP, hlen);
}

/*
 * A segment without payload, which tells what is kept behind a gap; false: the
 * link has no room. A duplicate ACK has the window of the one before, with
 * another it were none (RFC 5681 2).
 */
static bool tcp_bare_as(struct tcp_conn *c, struct tcp_fields *f,
			bool duplicate)
{
	bool ack = f->flags & TCP_FLAG_ACK, rst = f->flags & TCP_FLAG_RST;
	struct packet_ends e = tcp_ends(c);
	uint8_t sack[TCP_SACK_OPTION_MAX];
	size_t hlen = TCP_HLEN;
	struct loan l;

	if (c->sack_on && !rst)
		hlen += tcp_sack_option(c, c->rcv_nxt, sack);
	if (!link_reserve(&l, 1, tcp_l2l3(c) + hlen, 0)) {
		tcp_conn_block(c);
		return false;
	}
	l.len = 0;
	if (!rst)
		f->window = duplicate ? tcp_window_same(c) :
					tcp_window_field(c, false);
	memcpy(frame_l4(&l, &e.dst) + TCP_HLEN, sack, hlen - TCP_HLEN);
	tcp_fill(c, &l, &e, f, hlen);
	link_commit(&l, 1);
	if (ack)
		tcp_ack_sent(c);
	return true;
}

/*
 * Where ACK and RST stand: behind all that was sent, but not beyond the window.
 * The guest would drop it (RFC 9293 3.4), and with it what opens our own window:
 * two ends that both wait for room would do so for ever.
 */
static uint32_t tcp_bare_seq(const struct tcp_conn *c)
{
	uint32_t flight = c->snd_max - c->snd_una;

	return c->snd_una + (flight < c->snd_wnd ? flight : c->snd_wnd);
}

static bool tcp_bare(struct tcp_conn *c, uint32_t seq, uint8_t flags)
{
	struct tcp_fields f = { .seq = seq, .flags = flags };

	return tcp_bare_as(c, &f, false);
}

static bool tcp_dupack(struct tcp_conn *c)
{
	struct tcp_fields f = { .seq = tcp_bare_seq(c),
				.flags = TCP_FLAG_ACK };

	return tcp_bare_as(c, &f, true);
}

/**
 * tcp_out_syn() - Send SYN (SYN_SENT) or SYN-ACK (SYN_RCVD), again if need be
 * @c:		connection; snd_una is the initial sequence number
 * @now:	turn's time, usec
 *
 * Options: MSS always, window scale and SACK-permitted where the guest's SYN
 * had them or we begin (RFC 7323 2.2, RFC 2018 2). The same segment each time.
 *
 * Return: false where the link had no room; the timer tries again
 */
bool tcp_out_syn(struct tcp_conn *c, usec_t now)
{
	const struct flow_side *g = tcp_guest_side(c);
	struct packet_ends e = tcp_ends(c);
	struct tcp_fields f = { .seq = c->snd_una, .flags = TCP_FLAG_SYN };
	bool sack = c->sack_on || c->state == TCPS_SYN_SENT;
	size_t hlen = TCP_HLEN + 4 + (sack ? 4 : 0) + (c->ws_rcv ? 4 : 0);
	uint8_t *opt;
	struct loan l;

	c->rtx_at = now + tcp_loss_rto(c);
	c->snd_nxt = c->snd_max = c->snd_una + 1;
	tcp_conn_arm(c);
	if (!link_reserve(&l, 1, tcp_l2l3(c) + hlen, 0))
		return false;
	l.len = 0;
	if (c->state == TCPS_SYN_RCVD) {
		f.flags |= TCP_FLAG_ACK;
		f.ack = c->rcv_nxt;
		tcp_ack_sent(c);
	}
	f.window = tcp_window_field(c, true);
	opt = frame_l4(&l, &g->remote) + TCP_HLEN;
	opt[0] = 2;
	opt[1] = 4;
	put_be16(opt + 2, tcp_window_mss(c));
	if (sack)
		memcpy(opt + 4, (uint8_t[]){ 1, 1, 4, 2 }, 4);
	if (c->ws_rcv)
		memcpy(opt + hlen - TCP_HLEN - 4,
		       (uint8_t[]){ 1, 3, 3, TCP_WINDOW_SHIFT }, 4);
	packet_put_tcp(opt - TCP_HLEN, g->lport, g->rport, &f, hlen);
	frame_finish(&l, &e, IPPROTO_TCP, hlen);
	link_commit(&l, 1);
	return true;
}

/* The FIN alone; it takes a place in the window as data does */
static void tcp_fin(struct tcp_conn *c, usec_t now)
{
	if (!tcp_bare(c, c->snd_nxt, TCP_FLAG_FIN | TCP_FLAG_ACK))
		return;
	tcp_loss_sent(c, c->snd_nxt + 1, now);
	if (!c->fin_out) {
		c->fin_out = true;
		tcp_conn_move(c, TCPM_FIN_OUT);
	}
}

/* The next peek begins at an offset. False: it would begin somewhere else */
static bool tcp_peek_at(struct tcp_conn *c, uint32_t offset)
{
	int off = (int)offset;

	if (c->peek == offset)
		return true;
	if (setsockopt(c->watch.fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)))
		return false;
	c->peek = offset;
	return true;
}

/* Buffers to peek into: what was sent before goes into the bin */
static unsigned tcp_peek_iov(struct tcp_conn *c, unsigned loans, size_t *len)
{
	size_t skip = c->snd_nxt - c->snd_una, left = *len;
	unsigned n = 0;

	if (tcp_has_peek_off)
		skip = 0;
	for (; skip && n < TCP_IOV_MAX / 2; n++) {
		size_t part = skip < TCP_BIN_SIZE ? skip : TCP_BIN_SIZE;

		tcp_iov[n] = (struct iovec){ tcp_bin, part };
		skip -= part;
	}
	for (unsigned i = 0; i < loans && left; i++) {
		if (n + tcp_loans[i].cnt > TCP_IOV_MAX)
			break;
		for (unsigned j = 0; j < tcp_loans[i].cnt && left; j++, n++) {
			tcp_iov[n] = tcp_loans[i].iov[j];
			if (tcp_iov[n].iov_len > left)
				tcp_iov[n].iov_len = left;
			left -= tcp_iov[n].iov_len;
		}
	}
	*len -= left;
	return n;
}

/*
 * Without SO_PEEK_OFF, a peek past what is in flight stops at an urgent byte in
 * there: what follows has to wait until the guest has acknowledged up to it
 */
static bool tcp_peek_stopped(const struct tcp_conn *c)
{
	uint32_t flight = c->snd_nxt - c->snd_una;
	int queued = 0;

	return !tcp_has_peek_off && flight &&
	       !ioctl(c->watch.fd, SIOCINQ, &queued) &&
	       (uint32_t)queued > flight;
}

/*
 * Peek up to len bytes, less where buffers are many, at snd_nxt into loans.
 * Returns bytes, 0 where nothing new is there, -ECONNRESET where nothing ever
 * will be and the socket failed.
 */
static ssize_t tcp_peek(struct tcp_conn *c, unsigned loans, size_t *len)
{
	bool off = tcp_has_peek_off;
	size_t skip = off ? 0 : c->snd_nxt - c->snd_una;
	struct msghdr m = { .msg_iov = tcp_iov };
	ssize_t n;

	if (off && !tcp_peek_at(c, c->snd_nxt - c->snd_una)) {
		c->host_error = true;
		return -ECONNRESET;
	}
	m.msg_iovlen = tcp_peek_iov(c, loans, len);
	do
		n = recvmsg(c->watch.fd, &m, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);

	if (n < 0 && errno != EAGAIN)
		c->host_error = true;
	if (n < 0)
		return c->host_error ? -ECONNRESET : 0;
	if (off)
		c->peek += (uint32_t)n;
	if (!n)
		c->host_eof = true;
	n = (size_t)n > skip ? n - (ssize_t)skip : 0;
	return !n && c->host_error && !tcp_peek_stopped(c) ? -ECONNRESET : n;
}

/* The socket's data has ended: FIN, or RST where it ended by an error */
static void tcp_ended(struct tcp_conn *c, usec_t now)
{
	if (c->host_error) {
		tcp_conn_host_reset(c);
		tcp_out_abort(c);
	} else if (!c->fin_out || c->snd_nxt != c->snd_max) {
		tcp_fin(c, now);
	}
}

/* Largest payload of a frame: a segment, or many where the link can split */
static size_t tcp_frame_payload(const struct tcp_conn *c)
{
	size_t most = link_caps()->max_frame - tcp_l2l3(c) - TCP_HLEN;

	if (!link_caps()->gso_tcp || most < c->mss)
		return most < c->mss ? most : c->mss;
	return most - most % c->mss;
}

/* Headers for what was peeked; fin: the last one carries it */
static void tcp_fill_batch(struct tcp_conn *c, unsigned n, size_t len, bool fin)
{
	struct packet_ends e = tcp_ends(c);
	size_t most = tcp_frame_payload(c);
	uint32_t seq = c->snd_nxt;

	for (unsigned i = 0; i < n; i++) {
		struct tcp_fields f = { .seq = seq, .flags = TCP_FLAG_ACK,
					.window = tcp_window_field(c, false) };
		struct loan *l = &tcp_loans[i];

		l->len = len < most ? len : most;
		l->gso_size = l->len > c->mss ? c->mss : 0;
		len -= l->len;
		if (c->urgent && seq == c->urgent_seq)
			f.flags |= TCP_FLAG_URG;
		if (!len)
			f.flags |= TCP_FLAG_PSH | (fin ? TCP_FLAG_FIN : 0);
		tcp_fill(c, l, &e, &f, TCP_HLEN);
		seq += (uint32_t)l->len;
	}
	tcp_ack_rode(c);
}

/*
 * Send up to len bytes from snd_nxt on. Returns bytes sent, 0 where the link,
 * the socket or the connection had no more.
 */
static size_t tcp_batch(struct tcp_conn *c, size_t len, usec_t now)
{
	size_t most = tcp_frame_payload(c);
	unsigned n;
	bool fin = false, old = c->snd_nxt != c->snd_max;
	ssize_t got;

	if (seq_lt(c->urgent_seq, c->snd_una))
		c->urgent = false;
	/*
	 * A batch ends before the urgent byte, or begins with it; then it is one
	 * segment, as each segment of a frame gets the frame's flags
	 */
	if (c->urgent && seq_lt(c->snd_nxt, c->urgent_seq) &&
	    c->urgent_seq - c->snd_nxt < len)
		len = c->urgent_seq - c->snd_nxt;
	else if (c->urgent && c->snd_nxt == c->urgent_seq && len > c->mss)
		len = c->mss;

	n = len / most < LINK_BATCH ? (unsigned)((len + most - 1) / most)
				    : LINK_BATCH;
	n = link_reserve(tcp_loans, n, tcp_l2l3(c) + TCP_HLEN, most);
	if (!n) {
		tcp_conn_block(c);
		return 0;
	}
	if (len > n * most)
		len = n * most;
	got = tcp_peek(c, n, &len);
	if (got <= 0) {
		link_commit(tcp_loans, 0);
		if (!got && tcp_peek_stopped(c))
			return 0;
		c->drained |= !old;
		if (got < 0 || (c->host_eof && !old))
			tcp_ended(c, now);
		return 0;
	}
	fin = c->host_eof && !c->host_error && !c->fin_out && !old &&
	      (size_t)got < len;
	n = (unsigned)(((size_t)got + most - 1) / most);
	tcp_fill_batch(c, n, (size_t)got, fin);
	link_commit(tcp_loans, n);
	tcp_loss_sent(c, c->snd_nxt + (uint32_t)got + fin, now);
	if (fin) {
		c->fin_out = true;
		tcp_conn_move(c, TCPM_FIN_OUT);
	}
	if ((size_t)got < len && c->snd_nxt == c->snd_max)
		c->drained = true;
	return (size_t)got;
}

/* Bytes that the guest's window, and what was lost, leave room for now */
static size_t tcp_usable(const struct tcp_conn *c)
{
	uint32_t flight = c->snd_nxt - c->snd_una, wnd = tcp_loss_window(c);

	if (wnd > c->snd_wnd)
		wnd = c->snd_wnd;
	if (!tcp_has_peek_off && wnd > TCP_IOV_MAX / 2 * TCP_BIN_SIZE)
		wnd = TCP_IOV_MAX / 2 * TCP_BIN_SIZE;
	return wnd > flight ? wnd - flight : 0;
}

/* Bytes between snd_nxt and the end of what was ever sent, FIN apart */
static size_t tcp_unresent(const struct tcp_conn *c)
{
	uint32_t end = c->snd_max - c->fin_out;

	return seq_lt(c->snd_nxt, end) ? end - c->snd_nxt : 0;
}

/*
 * The socket has failed and the guest has been sent all that came before: it is
 * told by RST, for which no window is needed. What is sent again goes first, but
 * a guest that is silent is not waited for. Where both FINs have passed, nothing
 * is lost by the error.
 */
static bool tcp_failed(const struct tcp_conn *c)
{
	bool silent = c->snd_wnd && c->retries >= TCP_FAILED_RETRIES;

	return c->host_error && (silent || c->snd_nxt == c->snd_max) &&
	       (c->drained || c->fin_out) && !(c->fin_in && c->fin_out);
}

/* Whether the socket may have something that the guest has not been sent */
static bool tcp_has_more(const struct tcp_conn *c)
{
	return !c->fin_out && (!c->drained || c->host_eof || c->host_error);
}

/* What was not sent yet, or is sent again, as far as it may go */
static void tcp_send(struct tcp_conn *c, usec_t now)
{
	size_t budget = TCP_TURN_BYTES;

	c->more = false;
	while (tcp_conn_synchronized(c) && c->watch.fd >= 0) {
		size_t len = tcp_usable(c), old = tcp_unresent(c);

		if (tcp_failed(c)) {
			tcp_ended(c, now);
			return;
		}
		/* Sender's silly window avoidance (RFC 9293 3.8.6.2.1) */
		if (!len || (len < c->mss && len < c->snd_wnd / 2 &&
			     c->snd_nxt != c->snd_una))
			return;
		if (c->snd_nxt != c->snd_max) {
			if (!old) {
				tcp_fin(c, now);
				return;
			}
			len = len < old ? len : old;
		} else if (!tcp_has_more(c)) {
			return;
		} else if (c->drained) {
			tcp_ended(c, now);
			return;
		}
		if (!budget) {
			c->more = true;
			return;
		}
		len = tcp_batch(c, len < budget ? len : budget, now);
		if (!len)
			return;
		budget -= len;
	}
}

/*
 * The segment from seq on again, no more of it than a window that shrank takes;
 * snd_nxt stays where it is. False: there was no room
 */
static bool tcp_send_again(struct tcp_conn *c, uint32_t seq, usec_t now)
{
	uint32_t nxt = c->snd_nxt;
	size_t most = c->snd_wnd && c->snd_wnd < c->mss ? c->snd_wnd : c->mss;
	size_t len;
	bool sent;

	c->snd_nxt = seq;
	len = tcp_unresent(c);
	if (len)
		tcp_batch(c, len < most ? len : most, now);
	else
		tcp_fin(c, now);
	sent = c->snd_nxt != seq;
	if (c->state != TCPS_CLOSED && seq_lt(c->snd_nxt, nxt))
		c->snd_nxt = nxt;
	return sent;
}

/* Where the last segment begins, a FIN being one of its own */
static uint32_t tcp_last(const struct tcp_conn *c)
{
	uint32_t flight = c->snd_max - c->snd_una;

	if (c->fin_out)
		return c->snd_max - 1;
	return c->snd_max - (flight < c->mss ? flight : c->mss);
}

/**
 * tcp_out_open() - Begin by SYN or SYN-ACK; on a full link, once there is room
 * @c:		connection in SYN_SENT or SYN_RCVD
 * @now:	turn's time, usec
 */
void tcp_out_open(struct tcp_conn *c, usec_t now)
{
	c->again = TCP_AGAIN_NOTHING;
	if (tcp_out_syn(c, now))
		return;
	c->again = TCP_AGAIN_FIRST;
	tcp_conn_block(c);
}

/**
 * tcp_out_data() - Send what the socket has and the guest's window takes
 * @c:		connection, in any state
 * @now:	turn's time, usec
 *
 * Before it the first segment, or after it the last, where either is to be sent
 * again; a SYN that had no room. What has none on a full link goes once there is.
 * The connection may have ended on return (TCPS_CLOSED).
 */
void tcp_out_data(struct tcp_conn *c, usec_t now)
{
	enum tcp_again again = c->again;
	uint32_t max = c->snd_max;

	if (!tcp_conn_synchronized(c)) {
		if (again && c->watch.fd >= 0 && !c->blocked.pprev)
			tcp_out_open(c, now);
		return;
	}
	c->again = TCP_AGAIN_NOTHING;
	if (c->watch.fd < 0 || c->snd_una == max)
		again = TCP_AGAIN_NOTHING;
	if (again == TCP_AGAIN_FIRST && !tcp_send_again(c, c->snd_una, now))
		c->again = again;
	tcp_send(c, now);
	if (again == TCP_AGAIN_LAST && c->state != TCPS_CLOSED &&
	    c->snd_max == max && max - c->snd_una <= c->snd_wnd &&
	    !tcp_send_again(c, tcp_last(c), now))
		c->again = again;
}

/**
 * tcp_out_keepalive() - Ask the guest whether it knows the connection still
 * @c:		synchronized connection with nothing outstanding
 *
 * SEQ = SND.NXT - 1, no data (RFC 9293 3.8.4). Nothing changes but that a reply
 * is expected. Where the link is full, it goes once there is room.
 */
void tcp_out_keepalive(struct tcp_conn *c)
{
	c->probe_due = !tcp_bare(c, c->snd_nxt - 1, TCP_FLAG_ACK);
	if (c->probe_due)
		return;
	c->probe_sent = true;
	stat_add(STAT_TCP_KEEPALIVE, 1);
}

/**
 * tcp_out_urgent() - The socket has urgent data: find the byte
 * @c:		connection
 *
 * A peek from the queue's head stops at the mark (tcp(7)), unless it begins
 * there. A mark that was passed already stays untold, unless it is sent again.
 */
void tcp_out_urgent(struct tcp_conn *c)
{
	int at = 0, zero = 0, queued = 0;
	ssize_t n = 0;

	if (ioctl(c->watch.fd, SIOCATMARK, &at) < 0 ||
	    ioctl(c->watch.fd, SIOCINQ, &queued) < 0)
		return;
	if (!at) {
		/* Else peeks begin at the head, and are to go on doing so */
		if (tcp_has_peek_off &&
		    setsockopt(c->watch.fd, SOL_SOCKET, SO_PEEK_OFF, &zero,
			       sizeof(zero)))
			return;
		c->peek = UINT32_MAX;
		n = recv(c->watch.fd, NULL, 1 << 30,
			 MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
		/* Acknowledged and consumed since we were told: no mark */
		if (n >= queued)
			return;
	}
	/* Until our SYN is acknowledged, the queue begins behind it */
	c->urgent_seq = c->snd_una + !tcp_conn_synchronized(c) +
			(uint32_t)(n < 0 ? 0 : n);
	c->urgent = n >= 0;
}

/**
 * tcp_out_abort() - Tell the guest by RST that the connection is gone, end it
 * @c:		connection whose host socket is closed already
 *
 * In SYN_SENT nothing of the guest is known: no ACK. Before our SYN-ACK the
 * RST answers the guest's SYN (RFC 9293 3.5.2). Where the link is full, the
 * connection stays until there is room, and does nothing else.
 */
void tcp_out_abort(struct tcp_conn *c)
{
	bool ack = c->state != TCPS_SYN_SENT;
	uint32_t seq = tcp_conn_synchronized(c) ? tcp_bare_seq(c) : c->snd_max;

	if (c->state == TCPS_CONNECTING)
		seq = 0;
	c->reset_due = !tcp_bare(c, seq, TCP_FLAG_RST |
					 (ack ? TCP_FLAG_ACK : 0));
	if (c->reset_due)
		timer_cancel(&c->timer);
	else
		tcp_conn_end(c);
}

/**
 * tcp_out_reset_unknown() - Answer a segment of no connection
 * @p:		TCP packet without RST
 *
 * RFC 9293 3.5.2, group 1.
 */
void tcp_out_reset_unknown(const struct packet *p)
{
	struct packet_ends e = guest_ends(&p->dst, &p->src);
	struct tcp_fields f = { .flags = TCP_FLAG_RST };
	uint8_t h[TCP_HLEN];

	if (p->tcp.flags & TCP_FLAG_ACK) {
		f.seq = p->tcp.ack;
	} else {
		f.flags |= TCP_FLAG_ACK;
		f.ack = p->tcp.seq + (uint32_t)p->payload.len +
			!!(p->tcp.flags & TCP_FLAG_SYN) +
			!!(p->tcp.flags & TCP_FLAG_FIN);
	}
	packet_put_tcp(h, p->dport, p->sport, &f, sizeof(h));
	frame_send(&e, IPPROTO_TCP, h, sizeof(h), &(struct slice){ 0 });
}

static void tcp_give_up(struct tcp_conn *c)
{
	tcp_conn_host_leave(c);
	tcp_out_abort(c);
}

static void tcp_syn_timeout(struct tcp_conn *c, usec_t now)
{
	if (c->retries >= tcp_limits.syn_retries) {
		tcp_give_up(c);
		return;
	}
	if (!tcp_out_syn(c, now))
		return;
	c->retries++;
	stat_add(STAT_TCP_RETRANS, 1);
	c->rtx_at = now + tcp_loss_rto(c);
}

/* One segment from snd_una on, whatever the window: it is a probe, too */
static bool tcp_resend_first(struct tcp_conn *c, usec_t now)
{
	size_t len = tcp_unresent(c), wnd = c->snd_wnd ? c->snd_wnd : 1;
	uint32_t nxt = c->snd_nxt;

	if (len > wnd)
		len = wnd;
	if (len > c->mss)
		len = c->mss;
	if (len)
		tcp_batch(c, len, now);
	else if (c->snd_nxt != c->snd_max || (c->host_eof && c->drained))
		tcp_fin(c, now);
	else
		tcp_batch(c, 1, now);
	return c->state == TCPS_CLOSED || c->snd_nxt != nxt;
}

/**
 * tcp_out_timeout() - The retransmission timer has run out
 * @c:		connection; may have ended on return
 * @now:	turn's time, usec
 *
 * Of what was not acknowledged one segment is sent again (RFC 6298 5.4 to 5.6),
 * or the closed window probed with one byte (RFC 9293 3.8.6.1). A segment
 * that the link could not take does not count.
 */
void tcp_out_timeout(struct tcp_conn *c, usec_t now)
{
	c->rtx_at = 0;
	if (c->blocked.pprev)
		return;
	if (c->state == TCPS_SYN_SENT || c->state == TCPS_SYN_RCVD) {
		tcp_syn_timeout(c, now);
		return;
	}
	if (c->unanswered >= tcp_limits.retries ||
	    (c->retries >= tcp_limits.retries && c->snd_wnd)) {
		tcp_give_up(c);
		return;
	}
	if (tcp_failed(c)) {
		tcp_ended(c, now);
		return;
	}
	c->rtt_on = false;
	if (c->snd_una != c->snd_max)
		tcp_loss_timeout(c);
	if (tcp_resend_first(c, now) && c->state != TCPS_CLOSED) {
		c->rtt_on = false;
		c->retries += c->retries < UINT8_MAX;
		c->unanswered += c->unanswered < UINT8_MAX;
	}
}

/* Something is outstanding, or waits behind a closed window */
static bool tcp_needs_timer(const struct tcp_conn *c)
{
	if (c->snd_una != c->snd_max)
		return true;
	return tcp_conn_synchronized(c) && !c->snd_wnd && tcp_has_more(c);
}

/* Duplicate ACKs that make the guest resend at once (RFC 5681 3.2) */
static void tcp_send_dupacks(struct tcp_conn *c)
{
	while (c->acks_due && tcp_dupack(c))
		c->acks_due--;
}

/**
 * tcp_out_settle() - End of an event: acknowledge, set the timer
 * @c:		connection; may be CLOSED
 * @now:	turn's time, usec
 *
 * What is owed is derived from the connection, here only.
 */
void tcp_out_settle(struct tcp_conn *c, usec_t now)
{
	if (c->reset_due) {
		tcp_out_abort(c);
		return;
	}
	if (c->state == TCPS_CLOSED || c->state == TCPS_CONNECTING)
		return;
	if (tcp_conn_synchronized(c)) {
		if (c->probe_due && c->snd_una == c->snd_max)
			tcp_out_keepalive(c);
		if (c->watch.fd < 0 ? c->ack_now : tcp_ack_wanted(c, now))
			tcp_bare(c, tcp_bare_seq(c), TCP_FLAG_ACK);
		tcp_ack_watch(c, now);
		tcp_send_dupacks(c);
	}
	if (c->state != TCPS_TIME_WAIT) {
		if (!tcp_needs_timer(c))
			c->rtx_at = 0;
		else if (!c->rtx_at)
			c->rtx_at = now + tcp_loss_rto(c);
	}
	tcp_conn_arm(c);
}
