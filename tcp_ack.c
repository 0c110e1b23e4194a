// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcp_ack: when what the guest has sent is acknowledged
 *
 * What the socket took is acknowledged at the end of the batch that brought it;
 * a few bytes wait for an answer to ride on, and in a stream every second
 * segment takes the ACK of the first along.
 *
 *	owed = rcv_nxt - rcv_acked
 *
 *	an answer goes out                 ACK rides on it      tcp_ack_rode()
 *	junk, a gap, old data, a FIN       now                  ack_now
 *	the window opens, or much is owed  now                  tcp_ack_wanted()
 *	a little is owed                   at ack_at, at last
 *
 * Nothing is sent from here: tcp_out.c asks, and tells what went out. The state
 * is the connection's: @ack_at, @ack_now, @rides, @stream, @late.
 *
 * Sources: RFC 9293 3.8.6.3 (delayed acknowledgements), RFC 5681 3.2 and 4.2.
 */
#include "tcp_ack.h"

#include "tcp_sack.h"
#include "tcp_window.h"

/* An ACK for a few bytes waits this long for an answer to ride on */
#define TCP_ACK_DELAY		400
/*
 * After so many in a row that found one there is a dialogue, and an ACK may wait
 * longer. It will not, but the timer then stands for many of them, where 400 us
 * would mean two timerfd_settime() and a wake-up for each.
 */
#define TCP_ACK_RIDES		8
#define TCP_ACK_DELAY_DIALOGUE	(4 * USEC_PER_MSEC)
/* More unacknowledged bytes than this are acknowledged at once ... */
#define TCP_ACK_DELAY_BYTES	1448
/*
 * ... until that was done so many times in a row: data will keep coming, so one
 * ACK stands for two segments (RFC 9293 3.8.6.3). Each costs the guest, and what
 * lies between, as much as a segment of 64 KB. It waits TCP_ACK_DELAY_DIALOGUE
 * at most. If data follows right behind one that did, the guest had waited for
 * it (a small send buffer, a congestion window of one segment), and counting
 * begins anew from further back: that must not happen often.
 */
#define TCP_ACK_STREAM		8
#define TCP_ACK_STREAM_LATE	(-32)

/**
 * tcp_ack_sent() - A segment with ACK went out: nothing is owed any more
 * @c:		connection
 */
void tcp_ack_sent(struct tcp_conn *c)
{
	c->rcv_acked = c->rcv_nxt;
	c->ack_now = false;
	c->ack_at = 0;
}

/**
 * tcp_ack_rode() - Data went out, and took the ACK along
 * @c:		connection
 */
void tcp_ack_rode(struct tcp_conn *c)
{
	c->rides += c->rcv_nxt != c->rcv_acked && c->rides < TCP_ACK_RIDES;
	tcp_ack_sent(c);
}

/*
 * Bytes that may wait for their ACK. In a stream less than two segments, and
 * never more than half of what the guest may still send.
 */
static uint32_t tcp_ack_least(const struct tcp_conn *c)
{
	uint16_t mss = tcp_window_mss(c);
	uint32_t two = 2u * (c->mss < mss ? c->mss : mss) - 1;
	uint32_t half = (c->rcv_adv - c->rcv_nxt) / 2;

	if (c->stream < TCP_ACK_STREAM || half < TCP_ACK_DELAY_BYTES)
		return TCP_ACK_DELAY_BYTES;
	return two < half ? two : half;
}

/* How long an ACK that is owed may wait */
static usec_t tcp_ack_delay(const struct tcp_conn *c)
{
	return c->rides < TCP_ACK_RIDES && c->stream < TCP_ACK_STREAM ?
	       TCP_ACK_DELAY : TCP_ACK_DELAY_DIALOGUE;
}

/* Whether data streams in, and what it did after an ACK that had waited */
static void tcp_ack_count(struct tcp_conn *c, uint32_t owed, usec_t now)
{
	bool due = c->ack_at && c->ack_at <= now;

	if (c->late && owed)
		c->stream = TCP_ACK_STREAM_LATE;
	else if (c->ack_now || c->acks_due)
		c->stream = c->stream < 0 ? c->stream : 0;
	else if (owed > TCP_ACK_DELAY_BYTES && c->stream < TCP_ACK_STREAM)
		c->stream++;
	c->late = due && owed && c->stream == TCP_ACK_STREAM;
	if (due) {
		c->ack_at = 0;
		c->ack_now |= owed != 0;
		c->rides = 0;
	}
}

/**
 * tcp_ack_wanted() - Whether an ACK goes out now, at the end of an event
 * @c:		synchronized connection with a host socket
 * @now:	turn's time, usec
 *
 * Else it may wait for data to ride on, until @ack_at. Where data had bounced
 * that was not kept, and would now be taken, duplicates are owed besides: the
 * guest resends at once.
 *
 * Return: true where one is to be sent
 */
bool tcp_ack_wanted(struct tcp_conn *c, usec_t now)
{
	bool update = tcp_window_update(c);
	uint32_t owed = c->rcv_nxt - c->rcv_acked;
	usec_t wait;

	if (update && c->bounced) {
		/* What waits is offered again when the socket tells of room */
		update = !tcp_sack_waits(c, c->rcv_nxt);
		c->bounced = !update;
		if (update)
			c->acks_due = TCP_ACK_DUPLICATES;
	}
	tcp_ack_count(c, owed, now);
	if (c->ack_now || update || owed > tcp_ack_least(c))
		return true;
	if (owed)
		wait = tcp_ack_delay(c);
	else
		wait = c->ack_at ? 0 : tcp_window_look_at(c);
	if (wait && (!c->ack_at || c->ack_at > now + wait))
		c->ack_at = now + wait;
	return false;
}

/**
 * tcp_ack_watch() - What to look for behind an ACK
 * @c:		synchronized connection
 * @now:	turn's time, usec
 *
 * Of one that had waited in vain, what comes within TCP_ACK_DELAY: it was held
 * back by that. Of one that left a small window, room that no event tells of.
 */
void tcp_ack_watch(struct tcp_conn *c, usec_t now)
{
	usec_t wait = 0;

	if (c->ack_at || c->watch.fd < 0)
		return;
	if (c->late)
		wait = TCP_ACK_DELAY;
	else if (c->rcv_nxt == c->rcv_acked)
		wait = tcp_window_look_at(c);
	if (wait)
		c->ack_at = now + wait;
}
