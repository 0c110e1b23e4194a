// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcp_in: segments from the guest: data to the host's socket, acknowledgements
 *
 * A run is what one batch brought for one connection. Data that is in order is
 * gathered over the run and goes to the socket in one sendmsg(); only what the
 * socket took is acknowledged, so an acknowledged byte is never ours to lose.
 * What follows a gap is kept (tcp_sack.c), and a duplicate ACK asks for what is
 * missing.
 *
 *	rcv_nxt     + len                      rcv_adv
 *	| gathered  | next in order ...        | beyond the window
 *
 * Segments are looked at in the order of RFC 9293 3.10.7.4: sequence, RST, SYN,
 * ACK, URG, text, FIN; with the answers of RFC 5961 3 to 5 (challenge ACK).
 *
 * Copies: of what follows a gap. System calls for a run: sendmsg(), recv() to
 * consume what was acknowledged.
 */
#include "tcp_in.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "frame_out.h"
#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/nomem.h"
#include "lib/stats.h"
#include "tcp_ack.h"
#include "tcp_loss.h"
#include "tcp_out.h"
#include "tcp_sack.h"
#include "tcp_window.h"

#define TCP_IN_IOV		1024
/* RFC 9293 3.7.1: default where the SYN has no MSS option */
#define TCP_MSS_DEFAULT4	536
#define TCP_MSS_DEFAULT6	1220
/* Less would be more header than data: as net.ipv4.tcp_min_snd_mss */
#define TCP_MSS_FLOOR		48
/* RFC 7323 2.3 */
#define TCP_SHIFT_MAX		14
/* RFC 9293 3.4.1 has 2 MSL of two minutes; the guest's link keeps nothing */
#define TCP_TIME_WAIT		(2 * USEC_PER_SEC)
/* Challenge ACKs a second, all connections (RFC 5961 7) */
#define TCP_CHALLENGES		1000

/**
 * struct tcp_in - a run under way
 * @now:	turn's time, usec
 * @cnt:	buffers gathered
 * @len:	bytes gathered, at rcv_nxt
 * @segments:	segments gathered
 * @consumed:	bytes that the guest acknowledged, not yet consumed
 * @oob:	the last gathered byte is urgent
 * @iov:	what was gathered
 */
static struct tcp_in {
	usec_t now;
	unsigned cnt;
	size_t len;
	unsigned segments;
	size_t consumed;
	bool oob;
	struct iovec iov[TCP_IN_IOV];
} in;

/* What a segment has led to */
enum tcp_verdict {
	TCP_NEXT,	/* go on with the next segment */
	TCP_ENDED,	/* the connection is gone */
	TCP_REOPEN,	/* gone, and this SYN opens a new one */
};

static void tcp_in_begin(usec_t now)
{
	in.now = now;
	in.cnt = in.segments = 0;
	in.len = in.consumed = 0;
	in.oob = false;
}

/* Whether one more answer to junk may go out: so many a second */
static bool tcp_challenge_allowed(void)
{
	static usec_t since;
	static unsigned sent;

	if (in.now - since >= USEC_PER_SEC) {
		since = in.now;
		sent = 0;
	}
	return sent++ < TCP_CHALLENGES;
}

static void tcp_challenge(struct tcp_conn *c)
{
	if (tcp_challenge_allowed())
		c->ack_now = true;
}

static uint16_t tcp_mss_clamp(const struct tcp_conn *c, uint16_t mss)
{
	if (mss < TCP_MSS_FLOOR)
		mss = TCP_MSS_FLOOR;
	return mss < tcp_conn_mss(c) ? mss : tcp_conn_mss(c);
}

static void tcp_option(struct tcp_conn *c, uint8_t kind, const uint8_t *value,
		       uint8_t len)
{
	if (kind == 2 && len == 2)
		c->mss = tcp_mss_clamp(c, get_be16(value));
	if (kind == 3 && len == 1) {
		c->ws_snd = *value < TCP_SHIFT_MAX ? *value : TCP_SHIFT_MAX;
		c->ws_rcv = TCP_WINDOW_SHIFT;
	}
	if (kind == 4 && !len)
		c->sack_on = true;
}

/**
 * tcp_in_options() - Take over the options of the guest's SYN
 * @c:		connection
 * @p:		packet with SYN
 *
 * MSS, window scale and SACK-permitted (RFC 9293 3.1, RFC 7323 2.2, RFC 2018
 * 2); others are passed over. From a malformed one on, the rest is not believed.
 */
void tcp_in_options(struct tcp_conn *c, const struct packet *p)
{
	struct cur o = cur_of(p->hdr + p->l4_off + TCP_HLEN,
			      p->l4_len - TCP_HLEN);
	bool v4 = addr_is_v4(&p->src);

	c->mss = tcp_mss_clamp(c, v4 ? TCP_MSS_DEFAULT4 : TCP_MSS_DEFAULT6);
	c->sack_on = false;
	c->ws_snd = c->ws_rcv = 0;
	while (o.left) {
		uint8_t kind = cur_u8(&o), len;
		const uint8_t *value;

		if (kind == 0)
			return;
		if (kind == 1)
			continue;
		len = cur_u8(&o);
		value = len >= 2 ? cur_take(&o, len - 2) : NULL;
		if (!value) {
			drop(DROP_TCP_OPTIONS);
			return;
		}
		tcp_option(c, kind, value, len - 2);
	}
}

/* The socket has taken so much of what was gathered; the rest is kept */
static void tcp_refused(struct tcp_conn *c, size_t taken)
{
	struct slice all = { in.iov, in.cnt, 0, in.len };
	struct tcp_sack_seg rest = {
		.seq = c->rcv_nxt,
		.data = slice_sub(&all, taken, in.len - taken),
	};

	c->bounced = true;
	c->ack_now = true;
	stat_add(STAT_TCP_BOUNCED, in.segments);
	/* Of what is urgent the mark would be lost */
	if (!in.oob)
		tcp_sack_keep(c, c->rcv_nxt, &rest, in.now);
}

/*
 * Give the socket what was gathered. What it does not take bounces: it is offered
 * again once there is room, or the guest is told then. A socket that failed takes
 * nothing more; what it had received is still delivered before the guest hears
 * of that.
 */
static void tcp_flush(struct tcp_conn *c)
{
	struct msghdr m = { .msg_iov = in.iov, .msg_iovlen = in.cnt };
	bool gap = tcp_sack_any(c);
	ssize_t n;

	if (!in.len)
		return;
	do
		n = sendmsg(c->watch.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL |
					     (in.oob ? MSG_OOB : 0));
	while (n < 0 && errno == EINTR);

	if (n < 0 && errno != EAGAIN && !nomem(errno)) {
		c->host_error = true;
		c->drained = false;
	}
	if (n < 0)
		n = 0;
	c->rcv_nxt += (uint32_t)n;
	tcp_window_took(c, (size_t)n);
	tcp_sack_taken(c, c->rcv_nxt);
	/* Filled: now they would ask for what was not lost */
	if (gap && !tcp_sack_any(c))
		c->acks_due = 0;
	if ((size_t)n == in.len)
		c->bounced = false;
	else if (!c->host_error)
		tcp_refused(c, (size_t)n);
	in.len = in.cnt = in.segments = 0;
	in.oob = false;
}

/*
 * Consume what the guest has acknowledged, so that the queue begins at una.
 * Return: false: it does not, and nothing of it can be told from what was sent
 */
static bool tcp_consume(struct tcp_conn *c)
{
	while (in.consumed) {
		ssize_t n = recv(c->watch.fd, NULL, in.consumed,
				 MSG_TRUNC | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			in.consumed = 0;
			return false;
		}
		in.consumed -= (size_t)n;
		if (c->peek != UINT32_MAX)
			c->peek -= n < c->peek ? (uint32_t)n : c->peek;
	}
	return true;
}

/*
 * A duplicate as RFC 5681 2 defines it: data outstanding, no payload, neither
 * SYN nor FIN, same acknowledgement, same window. The reply to a keepalive of
 * ours looks like one and is not; neither is one to a probe of a closed window.
 */
static void tcp_ack_duplicate(struct tcp_conn *c, const struct packet *p)
{
	if (c->snd_una == c->snd_max || p->payload.len || !c->snd_wnd ||
	    p->tcp.flags & TCP_FLAG_FIN ||
	    (uint32_t)p->tcp.window << c->ws_snd != c->snd_wnd)
		return;
	if (c->probe_sent) {
		c->probe_sent = false;
		return;
	}
	tcp_loss_duplicate(c);
}

/* Window, RFC 9293 3.10.7.4: only from the newest segment */
static void tcp_ack_window(struct tcp_conn *c, const struct packet *p)
{
	bool closed = !c->snd_wnd;

	if (!seq_lt(c->snd_wl1, p->tcp.seq) &&
	    !(c->snd_wl1 == p->tcp.seq && seq_le(c->snd_wl2, p->tcp.ack)))
		return;
	c->snd_wnd = (uint32_t)p->tcp.window << c->ws_snd;
	c->snd_wl1 = p->tcp.seq;
	c->snd_wl2 = p->tcp.ack;
	/* In TIME-WAIT the timer is for its end */
	if (closed && c->snd_wnd && c->state != TCPS_TIME_WAIT)
		tcp_loss_reopened(c);
}

/*
 * Something new was acknowledged: by a segment that was sent after all others,
 * so its window counts even where data is in it that was sent before
 */
static void tcp_ack_advance(struct tcp_conn *c, const struct packet *p)
{
	uint32_t ack = p->tcp.ack, n = ack - c->snd_una;
	bool fin = c->fin_out && ack == c->snd_max;

	in.consumed += n - fin;
	c->probe_sent = false;
	tcp_loss_acked(c, ack, in.now);
	c->snd_wl1 = p->tcp.seq;
	tcp_ack_window(c, p);
	if (fin)
		tcp_conn_move(c, TCPM_FIN_ACKED);
}

/* Fifth, check the ACK field; false: the segment goes no further */
static bool tcp_ack(struct tcp_conn *c, const struct packet *p)
{
	uint32_t ack = p->tcp.ack;

	/* Too old, or of data never sent (RFC 5961 5.2) */
	if (seq_lt(c->snd_max, ack) ||
	    seq_lt(ack, c->snd_una - (0xffffu << c->ws_snd))) {
		tcp_challenge(c);
		return false;
	}
	if (seq_lt(c->snd_una, ack)) {
		tcp_ack_advance(c, p);
	} else if (ack == c->snd_una) {
		tcp_ack_duplicate(c, p);
		tcp_ack_window(c, p);
	}
	return true;
}

/* The guest's FIN has been reached: the socket takes the shutdown */
static void tcp_fin_arrived(struct tcp_conn *c)
{
	/* ENOTCONN: the peer has reset, there is nobody to tell */
	shutdown(c->watch.fd, SHUT_WR);
	c->fin_in = true;
	c->rcv_nxt++;
	tcp_sack_forget(c);
	c->ack_now = true;
	tcp_conn_move(c, TCPM_FIN_IN);
}

/* Room for more buffers. False: what they were to follow was not all taken */
static bool tcp_gather_room(struct tcp_conn *c, unsigned cnt)
{
	uint32_t nxt = c->rcv_nxt + (uint32_t)in.len;

	if (in.cnt + cnt > TCP_IN_IOV)
		tcp_flush(c);
	return c->rcv_nxt + (uint32_t)in.len == nxt;
}

/*
 * Gather text that is in order, or was before a flush; trimmed left and right to
 * the window
 */
static void tcp_text(struct tcp_conn *c, const struct packet *p)
{
	uint32_t nxt = c->rcv_nxt + (uint32_t)in.len;
	size_t off = seq_lt(p->tcp.seq, nxt) ? nxt - p->tcp.seq : 0;
	size_t room = seq_lt(nxt, c->rcv_adv) ? c->rcv_adv - nxt : 0;
	struct slice s;

	if (off >= p->payload.len || c->host_error || seq_lt(nxt, p->tcp.seq))
		return;
	s = slice_sub(&p->payload, off, p->payload.len - off);
	if (s.len > room) {
		s.len = room;
		c->ack_now = true;
	}
	if (!tcp_gather_room(c, s.cnt))
		return;
	in.cnt += slice_gather(&s, in.iov + in.cnt, TCP_IN_IOV - in.cnt);
	in.len += s.len;
	in.segments++;
}

/* The first bytes of a segment go to the socket. False: not all have arrived */
static bool tcp_text_up_to(struct tcp_conn *c, const struct packet *p,
			   size_t len, bool oob)
{
	struct packet part = *p;

	part.payload = slice_sub(&p->payload, 0, len);
	tcp_text(c, &part);
	in.oob = oob && in.len;
	tcp_flush(c);
	return !seq_lt(c->rcv_nxt, p->tcp.seq + (uint32_t)len);
}

/*
 * Text with an urgent byte goes out up to that byte, then it alone, marked, then
 * the rest: of a part that the socket or the window takes, the last byte would
 * be marked
 */
static void tcp_text_urgent(struct tcp_conn *c, const struct packet *p)
{
	size_t len = p->tcp.urgent;

	if (!len || len > p->payload.len ||
	    (tcp_text_up_to(c, p, len - 1, false) &&
	     tcp_text_up_to(c, p, len, true)))
		tcp_text(c, p);
}

/* What was kept and is in order now is gathered, too. True: up to the FIN */
static bool tcp_text_kept(struct tcp_conn *c)
{
	struct iovec iov[2];
	unsigned cnt;
	bool fin;

	cnt = tcp_sack_next(c, c->rcv_nxt + (uint32_t)in.len, iov, &fin);
	if (!tcp_gather_room(c, cnt))
		return false;
	for (unsigned i = 0; i < cnt; i++) {
		in.iov[in.cnt++] = iov[i];
		in.len += iov[i].iov_len;
	}
	in.segments += cnt;
	return fin;
}

/* A segment behind a gap, which the guest is asked to fill */
static void tcp_text_ahead(struct tcp_conn *c, const struct packet *p)
{
	size_t room = c->rcv_adv - p->tcp.seq, len = p->payload.len;
	struct tcp_sack_seg s = {
		.seq = p->tcp.seq,
		.data = slice_sub(&p->payload, 0, len < room ? len : room),
		.fin = p->tcp.flags & TCP_FLAG_FIN && len <= room,
	};

	/* While the socket is full, asking again helps nobody */
	if (!c->bounced && c->acks_due < TCP_ACK_DUPLICATES)
		c->acks_due++;
	if (!c->host_error && !(p->tcp.flags & TCP_FLAG_URG))
		tcp_sack_keep(c, c->rcv_nxt, &s, in.now);
}

/* A FIN in order, once the socket has taken what comes before it */
static void tcp_fin_at(struct tcp_conn *c, uint32_t end)
{
	struct tcp_sack_seg s = { .seq = end, .fin = true };

	tcp_flush(c);
	if (c->rcv_nxt == end)
		tcp_fin_arrived(c);
	else if (tcp_sack_waits(c, end - 1))
		tcp_sack_keep(c, c->rcv_nxt, &s, in.now);
}

/* Seventh and eighth: text and FIN, where the guest may still send them */
static void tcp_text_and_fin(struct tcp_conn *c, const struct packet *p)
{
	uint32_t end = p->tcp.seq + (uint32_t)p->payload.len;
	bool fin = p->tcp.flags & TCP_FLAG_FIN;

	if (c->fin_in || (!p->payload.len && !fin))
		return;
	if (seq_lt(c->rcv_nxt + (uint32_t)in.len, p->tcp.seq)) {
		tcp_text_ahead(c, p);
		return;
	}
	if (seq_lt(p->tcp.seq, c->rcv_nxt + (uint32_t)in.len))
		c->ack_now = true;
	if (p->tcp.flags & TCP_FLAG_URG)
		tcp_text_urgent(c, p);
	else
		tcp_text(c, p);
	if (!fin && tcp_sack_any(c)) {
		/* RFC 5681 4.2: all or part of a gap was filled */
		c->ack_now = true;
		fin = tcp_text_kept(c);
		end = c->rcv_nxt + (uint32_t)in.len;
	}
	if (fin)
		tcp_fin_at(c, end);
}

/* First, check the sequence number: does any of it lie in the window? */
static bool tcp_acceptable(const struct tcp_conn *c, const struct packet *p)
{
	uint32_t nxt = c->rcv_nxt + (uint32_t)in.len;
	uint32_t wnd = seq_lt(nxt, c->rcv_adv) ? c->rcv_adv - nxt : 0;
	uint32_t seq = p->tcp.seq, len = (uint32_t)p->payload.len +
		!!(p->tcp.flags & TCP_FLAG_SYN) +
		!!(p->tcp.flags & TCP_FLAG_FIN);

	/*
	 * A sender that has filled the window stands at its edge, as Linux; or
	 * behind the byte that it has probed a closed one with, as lwIP
	 */
	if (!len)
		return seq_le(nxt, seq) && seq_le(seq, nxt + (wnd ? wnd : 1));
	/* A closed window still lets ACK and FIN of the next segment in */
	if (!wnd)
		return seq == nxt;
	return seq_lt(seq, nxt + wnd) && seq_lt(nxt, seq + len);
}

/* Our SYN or SYN-ACK was acknowledged: both sides know each other */
static void tcp_opened(struct tcp_conn *c, const struct packet *p)
{
	tcp_loss_opened(c, p->tcp.ack);
	c->snd_wl1 = p->tcp.seq;
	c->snd_wl2 = p->tcp.ack;
	c->snd_wnd = p->tcp.window;
	if (!(p->tcp.flags & TCP_FLAG_SYN))
		c->snd_wnd <<= c->ws_snd;
	tcp_conn_move(c, TCPM_OPEN);
}

/*
 * A segment just before the window is a keepalive (RFC 9293 3.8.4), and asks us
 * to keep the host's side alive as well; or it probes a closed window.
 */
static bool tcp_is_keepalive(struct tcp_conn *c, const struct packet *p)
{
	static const int on = 1;

	if (p->tcp.seq != c->rcv_nxt - 1 || p->payload.len > 1 ||
	    p->tcp.flags & (TCP_FLAG_SYN | TCP_FLAG_FIN))
		return false;
	if (!c->keepalive && c->watch.fd >= 0 && c->rcv_adv != c->rcv_nxt)
		c->keepalive = !setsockopt(c->watch.fd, SOL_SOCKET,
					   SO_KEEPALIVE, &on, sizeof(on));
	return true;
}

/* The peer's SYN again, before our SYN-ACK was acknowledged */
static void tcp_syn_again(struct tcp_conn *c, const struct packet *p)
{
	if (p->tcp.flags & TCP_FLAG_ACK && p->tcp.ack == c->snd_max) {
		tcp_opened(c, p);	/* both opened at once */
		c->ack_now = true;
	} else {
		tcp_out_open(c, in.now);
	}
}

/*
 * Out of the window: acknowledge, unless it is RST. What an old segment
 * acknowledges may still be new: data sent again carries the newest ACK.
 */
static void tcp_unacceptable(struct tcp_conn *c, const struct packet *p)
{
	if (p->tcp.flags & TCP_FLAG_RST)
		return;
	if (c->state == TCPS_SYN_RCVD && p->tcp.flags & TCP_FLAG_SYN) {
		tcp_syn_again(c, p);
		return;
	}
	if (p->tcp.flags & TCP_FLAG_ACK && !(p->tcp.flags & TCP_FLAG_SYN) &&
	    tcp_conn_synchronized(c) && seq_lt(p->tcp.seq, c->rcv_nxt) &&
	    seq_lt(c->snd_una, p->tcp.ack) && seq_le(p->tcp.ack, c->snd_max))
		tcp_ack_advance(c, p);
	if (p->payload.len || p->tcp.flags & TCP_FLAG_FIN ||
	    tcp_is_keepalive(c, p))
		c->ack_now = true;
	else
		tcp_challenge(c);
}

/* Second, check the RST bit (RFC 9293 3.10.7.4, RFC 5961 3.2) */
static enum tcp_verdict tcp_rst_arrived(struct tcp_conn *c,
					const struct packet *p)
{
	tcp_flush(c);
	if (p->tcp.seq != c->rcv_nxt) {
		tcp_challenge(c);
		return TCP_NEXT;
	}
	tcp_conn_host_leave(c);
	tcp_conn_end(c);
	return TCP_ENDED;
}

/*
 * Fourth, check the SYN bit: challenge ACK (RFC 5961 4.2). A new SYN beyond
 * what a connection in TIME-WAIT has seen opens a new one (RFC 9293 3.6.1); one
 * in the window of a passive open not completed means that the guest has
 * started over.
 */
static enum tcp_verdict tcp_syn_arrived(struct tcp_conn *c,
					const struct packet *p)
{
	bool fresh = !(p->tcp.flags & TCP_FLAG_ACK);

	tcp_flush(c);
	/* The same again, in the window by its data only */
	if (c->state == TCPS_SYN_RCVD && p->tcp.seq == c->rcv_nxt - 1) {
		tcp_syn_again(c, p);
		return TCP_NEXT;
	}
	if (fresh && ((c->state == TCPS_TIME_WAIT &&
		       seq_lt(c->rcv_nxt, p->tcp.seq)) ||
		      c->state == TCPS_SYN_RCVD)) {
		tcp_conn_host_reset(c);
		tcp_conn_end(c);
		return TCP_REOPEN;
	}
	tcp_challenge(c);
	return TCP_NEXT;
}

/* In SYN_RCVD the ACK must be of our SYN-ACK, else RST */
static bool tcp_syn_acked(struct tcp_conn *c, const struct packet *p)
{
	if (c->state != TCPS_SYN_RCVD)
		return true;
	if (p->tcp.ack != c->snd_max) {
		tcp_out_reset_unknown(p);
		return false;
	}
	tcp_opened(c, p);
	return true;
}

/* Where the last FIN or its ACK has come, the host's socket has done its work */
static enum tcp_verdict tcp_after_ack(struct tcp_conn *c)
{
	if (c->state == TCPS_CLOSED) {
		tcp_consume(c);
		tcp_conn_host_close(c);
		tcp_conn_end(c);
		return TCP_ENDED;
	}
	if (c->state == TCPS_TIME_WAIT && c->watch.fd >= 0) {
		tcp_consume(c);
		tcp_conn_host_close(c);
		c->rtx_at = in.now + TCP_TIME_WAIT;
	}
	return TCP_NEXT;
}

/**
 * tcp_in_again() - Offer the socket once more what it had refused
 * @c:		connection, in any state
 * @now:	turn's time, usec
 */
void tcp_in_again(struct tcp_conn *c, usec_t now)
{
	bool ack_now = c->ack_now, fin;
	uint32_t nxt = c->rcv_nxt;

	if (!c->bounced || c->host_error || c->watch.fd < 0 ||
	    !tcp_sack_waits(c, nxt))
		return;
	tcp_in_begin(now);
	fin = tcp_text_kept(c);
	if (fin)
		tcp_fin_at(c, nxt + (uint32_t)in.len);
	else
		tcp_flush(c);
	c->ack_now = ack_now || c->rcv_nxt != nxt;
	tcp_after_ack(c);
}

/* RFC 9293 3.10.7.4: SYN_RCVD and all synchronized states */
static enum tcp_verdict tcp_arrives(struct tcp_conn *c, const struct packet *p)
{
	if (c->state == TCPS_TIME_WAIT &&
	    p->tcp.flags & (TCP_FLAG_FIN | TCP_FLAG_SYN)) {
		if (p->tcp.flags & TCP_FLAG_SYN)
			return tcp_syn_arrived(c, p);
		c->rtx_at = in.now + TCP_TIME_WAIT;
	}
	if (!tcp_acceptable(c, p)) {
		tcp_unacceptable(c, p);
		return tcp_after_ack(c);
	}
	if (p->tcp.flags & TCP_FLAG_RST)
		return tcp_rst_arrived(c, p);
	if (p->tcp.flags & TCP_FLAG_SYN)
		return tcp_syn_arrived(c, p);
	if (!(p->tcp.flags & TCP_FLAG_ACK)) {
		drop(DROP_TCP_FLAGS);
		return TCP_NEXT;
	}
	if (!tcp_syn_acked(c, p) || !tcp_ack(c, p))
		return TCP_NEXT;
	if (c->state != TCPS_CLOSED)
		tcp_text_and_fin(c, p);
	return tcp_after_ack(c);
}

/* RFC 9293 3.10.7.3 */
static enum tcp_verdict tcp_syn_sent(struct tcp_conn *c, const struct packet *p)
{
	bool ack = p->tcp.flags & TCP_FLAG_ACK;

	if (ack && p->tcp.ack != c->snd_max) {
		if (!(p->tcp.flags & TCP_FLAG_RST))
			tcp_out_reset_unknown(p);
		return TCP_NEXT;
	}
	if (p->tcp.flags & TCP_FLAG_RST) {
		if (!ack)
			return TCP_NEXT;
		tcp_conn_host_reset(c);
		tcp_conn_end(c);
		return TCP_ENDED;
	}
	if (!(p->tcp.flags & TCP_FLAG_SYN))
		return TCP_NEXT;
	c->rcv_nxt = p->tcp.seq + 1;
	tcp_in_options(c, p);
	tcp_window_start(c);
	if (ack) {
		tcp_opened(c, p);
		c->ack_now = true;
	} else {
		tcp_conn_move(c, TCPM_SYN);
		tcp_out_open(c, in.now);
	}
	return TCP_NEXT;
}

/*
 * The host's connect() is under way and the guest has heard nothing yet: only
 * its SYN, again or anew, and its RST mean something.
 */
static enum tcp_verdict tcp_connecting(struct tcp_conn *c,
				       const struct packet *p)
{
	if (p->tcp.flags & TCP_FLAG_RST) {
		if (p->tcp.seq != c->rcv_nxt && p->tcp.seq != c->rcv_nxt - 1)
			return TCP_NEXT;
		tcp_conn_host_reset(c);
		tcp_conn_end(c);
		return TCP_ENDED;
	}
	if (p->tcp.flags & TCP_FLAG_ACK) {
		tcp_out_reset_unknown(p);
	} else if (p->tcp.flags & TCP_FLAG_SYN) {
		c->rcv_nxt = p->tcp.seq + 1;
		c->snd_wnd = p->tcp.window;
		tcp_in_options(c, p);
	}
	return TCP_NEXT;
}

/* Activity, for both sweeps; the reply to our own probe is none */
static void tcp_note_activity(struct tcp_conn *c, const struct packet *p)
{
	bool reply = c->probe_sent && !p->payload.len &&
		     p->tcp.flags == TCP_FLAG_ACK &&
		     p->tcp.ack == c->snd_una && p->tcp.seq == c->rcv_nxt;

	c->tap_inactive = false;
	c->unanswered = 0;
	if (!reply)
		c->inactive = false;
	else if (c->snd_una == c->snd_max)
		c->probe_sent = false;
}

static enum tcp_verdict tcp_segment(struct tcp_conn *c, const struct packet *p)
{
	tcp_note_activity(c, p);
	if (c->state == TCPS_CONNECTING)
		return tcp_connecting(c, p);
	if (c->state == TCPS_SYN_SENT)
		return tcp_syn_sent(c, p);
	return tcp_arrives(c, p);
}

/*
 * The connection is over, but the link had no room for the RST. It is sent now if
 * there is, or waits on and is where the guest stands; unless the guest ends the
 * connection itself, or begins anew.
 */
static const struct packet *tcp_over(struct tcp_conn *c,
				     const struct packet *run)
{
	for (; run; run = run->next) {
		uint8_t flags = run->tcp.flags;
		uint32_t ack = run->tcp.ack;

		if (flags & TCP_FLAG_RST ||
		    (flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN) {
			tcp_conn_end(c);
			return run;
		}
		if (flags & TCP_FLAG_ACK && seq_le(c->snd_una, ack) &&
		    seq_le(ack, c->snd_max)) {
			c->snd_una = ack;
			c->snd_wnd = (uint32_t)run->tcp.window << c->ws_snd;
		}
	}
	tcp_out_abort(c);
	return NULL;
}

/**
 * tcp_in_run() - Take a run of segments of one connection
 * @c:		connection; may have ended on return
 * @run:	the segments, linked by their next pointers
 * @now:	turn's time, usec
 *
 * Return: the segment that @c has nothing to do with any more, because the
 * connection ended before it: it and those behind it belong to a new one, or
 * to none; NULL where all were taken
 */
const struct packet *tcp_in_run(struct tcp_conn *c, const struct packet *run,
				usec_t now)
{
	tcp_in_begin(now);
	if (c->reset_due)
		return tcp_over(c, run);
	for (; run; run = run->next) {
		switch (tcp_segment(c, run)) {
		case TCP_NEXT:
			break;
		case TCP_ENDED:
			return run->next;
		case TCP_REOPEN:
			return run;
		}
	}
	if (c->watch.fd >= 0) {
		tcp_flush(c);
		if (!tcp_consume(c)) {
			tcp_conn_host_reset(c);
			tcp_out_abort(c);
			return NULL;
		}
	}
	tcp_out_data(c, now);
	tcp_out_settle(c, now);
	return NULL;
}
