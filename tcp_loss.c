// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcp_loss: what is sent to the guest again, and when
 *
 * The link takes only what it can deliver, so little is lost: on the guest's
 * side, where a queue is full. Silence for longer than the timeout is more often
 * a guest that has no processor, whose acknowledgements are still to come: then
 * nothing but one segment should go out twice. What it says to that one, and to
 * what is sent next, tells the two apart (F-RTO, RFC 5682 2.1).
 *
 *	  3 duplicates                      timeout
 *	FAST <--------- NONE, OVER, TIMEOUT --------> TIMEOUT
 *	                                                 |
 *	        more           what was sent again       | first ACK:
 *	OVER <------- PROBE <----------------------------+
 *	                | ^                              |
 *	    a duplicate | | more than what               | a duplicate,
 *	     or timeout v | was sent again               v or less
 *	                RESEND <-------------------------+
 *
 *	FAST	the first segment is sent again, with each ACK (RFC 6582)
 *	TIMEOUT	the first was sent again, and nothing else until an ACK
 *	PROBE	two new segments, or else the last one again: where those between
 *		were lost, that is out of order, and makes a duplicate ACK
 *	RESEND	all from snd_una on, twice as much each round trip (slow start from
 *		the loss window, RFC 5681 3.1)
 *	OVER	duplicates at @recover answer what need not have been sent again,
 *		and begin no recovery (RFC 6582 3.2, step 1)
 *
 * An ACK of @recover ends each of them: FAST in NONE, the others in OVER, which
 * the next ACK ends. While the window is closed there are probes instead of all
 * this; when it opens, what they carried is sent anew.
 *
 * Nothing is sent from here: tcp_in.c tells what came, tcp_out.c asks what to
 * send. The state is the connection's: @loss, @again, @recover, @cwnd,
 * @dupacks, @retries and what measures round trips.
 *
 * Sources: RFC 5682; RFC 6298 (timeout); RFC 5681 and 6582 (recovery); RFC 8985
 * 7.3 (the last segment as a probe).
 */
#include "tcp_loss.h"

#include "lib/stats.h"

/* First retransmission timeout, before any sample (RFC 6298 2.1) */
#define TCP_RTO_INITIAL		(1 * USEC_PER_SEC)
/* What makes that 3 s where a SYN had been sent again (RFC 6298 5.7) */
#define TCP_RTTVAR_SYN		(500 * USEC_PER_MSEC)
/*
 * Least part of the variance, as Linux has it: a guest that delays its ACKs for as
 * long (Windows, BSD) is waited for beyond its round trip. RFC 6298 2.4 asks for
 * 1 s where clocks were coarse.
 */
#define TCP_RTO_MIN		(200 * USEC_PER_MSEC)
/* RFC 6298 2.5 */
#define TCP_RTO_MAX		(120 * USEC_PER_SEC)
/* A longer round trip says more of the guest's clock than of the link */
#define TCP_RTT_MAX		(60 * USEC_PER_SEC)
/* Duplicate ACKs that stand for a loss (RFC 5681 3.2) */
#define TCP_DUPACKS		3
/* New segments that put a timeout to the test (RFC 5682 2.1, step 2b) */
#define TCP_PROBES		2
/* Segments under way once it has failed (RFC 5682 2.1, step 3a) */
#define TCP_CWND_PROBED		3
/* Loss window, in segments (RFC 5681 3.1) */
#define TCP_CWND_LOSS		1

/**
 * tcp_loss_rto() - The retransmission timeout, backed off
 * @c:		connection
 * Return: usec
 */
usec_t tcp_loss_rto(const struct tcp_conn *c)
{
	usec_t var = 4ULL * c->rttvar, rto = TCP_RTO_INITIAL + var;

	if (c->srtt)
		rto = c->srtt + (var < TCP_RTO_MIN ? TCP_RTO_MIN : var);
	rto <<= c->retries < 12 ? c->retries : 12;
	return rto < TCP_RTO_MAX ? rto : TCP_RTO_MAX;
}

/**
 * tcp_loss_sent() - Something went out: note how far, and time a round trip
 * @c:		connection
 * @end:	sequence number behind it
 * @now:	turn's time, usec
 *
 * One segment at a time is timed, and none that was sent again (RFC 6298 3).
 */
void tcp_loss_sent(struct tcp_conn *c, uint32_t end, usec_t now)
{
	c->snd_nxt = end;
	if (seq_le(end, c->snd_max)) {
		c->rtt_on = false;
		stat_add(STAT_TCP_RETRANS, 1);
		return;
	}
	c->snd_max = end;
	if (!c->rtt_on) {
		c->rtt_on = true;
		c->rtt_at = (uint32_t)now;
		c->rtt_seq = end;
	}
}

/* Round trip of the segment timed, RFC 6298 2.2 and 2.3 */
static void tcp_rtt(struct tcp_conn *c, uint32_t ack, usec_t now)
{
	uint32_t rtt = (uint32_t)now - c->rtt_at, diff;

	if (!c->rtt_on || seq_lt(ack, c->rtt_seq))
		return;
	c->rtt_on = false;
	if (rtt > TCP_RTT_MAX)
		return;
	if (!rtt)
		rtt = 1;
	if (!c->srtt) {
		c->srtt = rtt;
		c->rttvar = rtt / 2;
		return;
	}
	diff = c->srtt > rtt ? c->srtt - rtt : rtt - c->srtt;
	c->rttvar = c->rttvar - c->rttvar / 4 + diff / 4;
	c->srtt = c->srtt - c->srtt / 8 + rtt / 8 + 1;
}

/**
 * tcp_loss_opened() - Our SYN was acknowledged
 * @c:		connection; @snd_una moves
 * @ack:	what its segment acknowledges
 */
void tcp_loss_opened(struct tcp_conn *c, uint32_t ack)
{
	if (c->retries)
		c->rttvar = TCP_RTTVAR_SYN;
	c->snd_una = c->snd_nxt = ack;
	c->retries = 0;
	c->rtx_at = 0;
}

/* It was lost: all again from snd_nxt on, so many segments at first */
static void tcp_loss_resend(struct tcp_conn *c, uint8_t cwnd)
{
	c->loss = TCP_LOSS_RESEND;
	c->recover = c->snd_max;
	c->cwnd = cwnd;
}

/**
 * tcp_loss_timeout() - The timer has run out: the first segment is sent again
 * @c:		connection with something outstanding
 *
 * From @snd_nxt on, which goes back. A guest that is silent for long times out
 * again and again: where RFC 5682 2.1, step 1, then takes all for lost, we go on
 * to test, and test anew one that has passed before. Only where an answer to that
 * did not come in time, or a loss was known, all is sent again.
 */
void tcp_loss_timeout(struct tcp_conn *c)
{
	c->rtt_on = false;
	c->dupacks = 0;
	c->again = TCP_AGAIN_NOTHING;
	c->snd_nxt = c->snd_una;
	if (!c->snd_wnd)
		return;
	if (c->loss == TCP_LOSS_FAST || c->loss == TCP_LOSS_PROBE ||
	    c->loss == TCP_LOSS_RESEND) {
		tcp_loss_resend(c, TCP_CWND_LOSS);
		return;
	}
	c->loss = TCP_LOSS_TIMEOUT;
	c->recover = c->snd_max;
}

/* The rest may have arrived: new data, or the last segment, tells */
static void tcp_loss_probe(struct tcp_conn *c)
{
	c->loss = TCP_LOSS_PROBE;
	c->snd_nxt = c->snd_max;
	c->again = TCP_AGAIN_LAST;
}

/* An ACK before recover, of so many bytes more than were sent again */
static void tcp_loss_partial(struct tcp_conn *c, int32_t more)
{
	switch (c->loss) {
	case TCP_LOSS_FAST:
		/* RFC 6582 3.2, step 3 */
		c->again = TCP_AGAIN_FIRST;
		break;
	case TCP_LOSS_TIMEOUT:
		if (more < 0)
			tcp_loss_resend(c, TCP_CWND_LOSS + 1);
		else
			tcp_loss_probe(c);
		break;
	case TCP_LOSS_PROBE:
		c->loss = TCP_LOSS_OVER;
		break;
	case TCP_LOSS_RESEND:
		c->cwnd += c->cwnd < UINT8_MAX;
		if (more > 0)
			tcp_loss_probe(c);
		break;
	}
}

/**
 * tcp_loss_acked() - The guest has acknowledged something new
 * @c:		connection; @snd_una moves
 * @ack:	what its segment acknowledges, up to @snd_max
 * @now:	turn's time, usec
 */
void tcp_loss_acked(struct tcp_conn *c, uint32_t ack, usec_t now)
{
	int32_t more = (int32_t)(ack - c->snd_nxt);

	tcp_rtt(c, ack, now);
	c->snd_una = ack;
	if (more > 0)
		c->snd_nxt = ack;
	c->dupacks = 0;
	c->retries = 0;
	c->rtx_at = 0;
	c->again = TCP_AGAIN_NOTHING;
	if (c->loss == TCP_LOSS_NONE)
		return;
	if (seq_lt(ack, c->recover))
		tcp_loss_partial(c, more);
	else if (seq_lt(c->recover, ack) || c->loss == TCP_LOSS_FAST)
		c->loss = TCP_LOSS_NONE;
	else
		c->loss = TCP_LOSS_OVER;
}

/**
 * tcp_loss_duplicate() - A duplicate ACK has come (RFC 5681 2)
 * @c:		connection with something outstanding
 */
void tcp_loss_duplicate(struct tcp_conn *c)
{
	switch (c->loss) {
	case TCP_LOSS_TIMEOUT:
		tcp_loss_resend(c, TCP_CWND_LOSS);
		return;
	case TCP_LOSS_PROBE:
		c->snd_nxt = c->snd_una;
		c->again = TCP_AGAIN_NOTHING;
		tcp_loss_resend(c, TCP_CWND_PROBED);
		return;
	case TCP_LOSS_OVER:
		if (c->snd_una == c->recover)
			return;
		break;
	}
	if (c->dupacks == TCP_DUPACKS || ++c->dupacks < TCP_DUPACKS)
		return;
	if (c->loss == TCP_LOSS_NONE || c->loss == TCP_LOSS_OVER) {
		c->loss = TCP_LOSS_FAST;
		c->recover = c->snd_max;
		c->again = TCP_AGAIN_FIRST;
	}
}

/**
 * tcp_loss_reopened() - The window was closed, and is open
 * @c:		connection
 *
 * What probed the closed window was not taken, nor what it closed upon.
 */
void tcp_loss_reopened(struct tcp_conn *c)
{
	c->snd_nxt = c->snd_una;
	c->loss = TCP_LOSS_NONE;
	c->retries = 0;
	c->rtx_at = 0;
}

/**
 * tcp_loss_window() - How much may be under way, whatever the guest's window
 * @c:		connection
 * Return: bytes from snd_una on
 */
uint32_t tcp_loss_window(const struct tcp_conn *c)
{
	switch (c->loss) {
	case TCP_LOSS_TIMEOUT:
		return 0;
	case TCP_LOSS_PROBE:
		return c->recover - c->snd_una + TCP_PROBES * c->mss;
	case TCP_LOSS_RESEND:
		return (uint32_t)c->cwnd * c->mss;
	default:
		return UINT32_MAX;
	}
}
