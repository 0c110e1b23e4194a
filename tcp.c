// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcp: TCP connections between the guest and the host's sockets
 *
 * There is no TCP stack here. On one side the guest's TCP, on the other the
 * host kernel's, and between them a translation that keeps no data
 * but what is ahead of its turn:
 *
 *	guest's TCP                                           host's socket
 *	  segments ---> tcp_in.c: in order? ----- sendmsg() ----> send queue
 *	       ACK <--- what the socket took, window = its room (tcp_window.c)
 *	  segments <--- tcp_out.c: into frames <- recvmsg(PEEK) - receive queue
 *	       ACK ---> consumed from the queue - recv(TRUNC) -->
 *
 * Guest data that the socket has not taken is not acknowledged; socket data
 * that the guest has not acknowledged stays in the socket. So both sides' flow
 * control, retransmission and congestion control meet here, and no byte
 * acknowledged is ever in our hands alone.
 *
 *	tcp.c		this: events, timers, sweeps, dispatch
 *	tcp_open.c	how connections begin
 *	tcp_in.c	guest -> socket
 *	tcp_out.c	socket -> guest
 *	tcp_sack.c	what the guest sent behind a gap, and telling it so
 *	tcp_window.c	the window offered to the guest
 *	tcp_ack.c	when it is acknowledged
 *	tcp_loss.c	what is sent to the guest again
 *	tcp_conn.c	a connection's state, timer and end
 *	tcp_splice.c	connections that need none of this: socket to socket
 *
 * A guest may forget connections without a word: it reboots, or FIN_WAIT_2
 * times out. Two sweeps, a one-bit clock each, find them without a timer each;
 * tcp_timer() runs both, see tcp_keepalive() and tcp_inactivity().
 */
#include "tcp.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "flow.h"
#include "host/sysctl.h"
#include "host/tcpinfo.h"
#include "lib/log.h"
#include "lib/stats.h"
#include "tcp_conn.h"
#include "tcp_in.h"
#include "tcp_open.h"
#include "tcp_out.h"
#include "tcp_splice.h"
#include "tcp_window.h"

/* Flows a sweep visits in a turn, and the pause until it goes on */
#define TCP_SWEEP_FLOWS		1024
#define TCP_SWEEP_PAUSE		(1 * USEC_PER_MSEC)

#define TCP_SYSCTL		"/proc/sys/net/ipv4/tcp_"
#define TCP_SYSCTL_CORE		"/proc/sys/net/core/"
/* Linux defaults of the sysctls, tcp(7), where /proc does not tell */
#define TCP_RETRIES2		15
#define TCP_SYN_RETRIES		6
#define TCP_WMEM_MAX		(4 << 20)

/**
 * struct tcp_sweep - a periodic walk over all connections
 * @timer:	next step
 * @cursor:	where it stands
 * @interval:	from one walk's begin to the next's, usec; 0: never
 * @began:	when the walk under way began
 * @type:	of the flows that it visits
 * @visit:	what it does with a connection
 */
struct tcp_sweep {
	struct timer timer;
	struct flow_cursor cursor;
	usec_t interval;
	usec_t began;
	enum flow_type type;
	flow_fn visit;
};

/**
 * tcp_keepalive_visit() - One step of the keepalive sweep
 * @f:		flow
 * @now:	turn's time, usec
 *
 * Any segment from the guest clears tap_inactive. Where it is still set from
 * the sweep before, the guest was silent for one to two intervals: ask. A guest
 * that has forgotten answers RST, which ends the flow; no answer changes
 * nothing, a paused guest keeps its connections. Data in flight is a probe of
 * its own.
 */
static void tcp_keepalive_visit(struct flow *f, usec_t now);

/**
 * tcp_inactivity_visit() - One step of the inactivity sweep
 * @f:		flow
 * @now:	turn's time, usec
 *
 * Activity on either side clears inactive, replies to our own probes apart.
 * Where it is still set from the sweep before, and the kernel has not heard of
 * the peer either (its keepalives never reach us): reset both sides.
 */
static void tcp_inactivity_visit(struct flow *f, usec_t now);

static struct tcp_sweep tcp_keepalive = {
	.type = FLOW_TCP, .visit = tcp_keepalive_visit,
};
static struct tcp_sweep tcp_inactivity = {
	.type = FLOW_TCP, .visit = tcp_inactivity_visit,
};
static struct tcp_sweep tcp_inactivity_spliced = {
	.type = FLOW_TCP_SPLICE, .visit = tcp_splice_inactivity,
};

static void tcp_keepalive_visit(struct flow *f, usec_t now)
{
	struct tcp_conn *c = flow_as(f, struct tcp_conn);

	if (!tcp_conn_synchronized(c) || c->watch.fd < 0)
		return;
	if (c->tap_inactive && c->snd_una == c->snd_max) {
		debug("No tap activity for at least %us, send keepalive",
		      (unsigned)(tcp_keepalive.interval / USEC_PER_SEC));
		tcp_out_keepalive(c);
		tcp_out_settle(c, now);
	}
	c->tap_inactive = true;
}

/*
 * Whether the kernel has heard of the host's peer since the sweep before. Not by
 * tcpi_last_ack_recv: that is not touched by a peer's keepalives (Linux 6.18).
 */
static bool tcp_peer_heard(struct tcp_conn *c)
{
	uint32_t before = c->segs_in;

	return !tcpinfo_segs_in(c->watch.fd, &c->segs_in) &&
	       c->segs_in != before;
}

static void tcp_inactivity_visit(struct flow *f, usec_t now)
{
	struct tcp_conn *c = flow_as(f, struct tcp_conn);

	(void)now;
	if (!tcp_conn_synchronized(c) || c->watch.fd < 0)
		return;
	if (!tcp_peer_heard(c) && c->inactive) {
		debug("No activity for at least %us, reset",
		      (unsigned)(tcp_inactivity.interval / USEC_PER_SEC));
		tcp_conn_host_reset(c);
		tcp_out_abort(c);
		return;
	}
	c->inactive = true;
}

/**
 * tcp_timer() - Run the sweep whose timer this is
 * @t:		its timer
 * @now:	turn's time, usec
 *
 * A bounded number of flows a turn: a hundred thousand probes at once would
 * stall the loop.
 */
static void tcp_timer(struct timer *t, usec_t now)
{
	struct tcp_sweep *s = (void *)t;

	if (!s->cursor.active)
		s->began = now;
	if (!flow_sweep(&s->cursor, s->type, TCP_SWEEP_FLOWS, s->visit, now))
		timer_arm(t, now + TCP_SWEEP_PAUSE);
	else
		timer_arm(t, s->began + s->interval);
}

static void tcp_sweep_start(struct tcp_sweep *s, unsigned seconds, usec_t now)
{
	s->interval = seconds * USEC_PER_SEC;
	s->timer.fn = tcp_timer;
	if (seconds)
		timer_arm(&s->timer, now + s->interval);
}

/* A connection's timer: what is due is told by its times */
static void tcp_conn_timer(struct timer *t, usec_t now)
{
	struct tcp_conn *c = (void *)((uint8_t *)t -
				      offsetof(struct tcp_conn, timer));

	if (c->rtx_at && c->rtx_at <= now) {
		if (c->state != TCPS_TIME_WAIT) {
			tcp_out_timeout(c, now);
		} else if (c->ack_now && c->blocked.pprev) {
			/* The guest, which has not heard of it, will ask again */
			c->rtx_at = now + USEC_PER_SEC;
		} else {
			tcp_conn_end(c);
			return;
		}
	}
	tcp_in_again(c, now);
	if (c->more || c->host_error)
		tcp_out_data(c, now);
	tcp_out_settle(c, now);
}

/* Whether the guest was sent all that the socket has received */
static bool tcp_all_read(const struct tcp_conn *c)
{
	bool syn = !tcp_conn_synchronized(c);
	int queued = 0;

	return !ioctl(c->watch.fd, SIOCINQ, &queued) &&
	       (uint32_t)queued == c->snd_max - c->snd_una - c->fin_out - syn;
}

/* The host's socket; edge-triggered, so each event is told once */
static void tcp_conn_host(struct watch *w, uint32_t events, usec_t now)
{
	struct tcp_conn *c = (void *)w;

	if (c->state == TCPS_CONNECTING) {
		if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
			return;
		tcp_open_connected(c, now);
		if (c->watch.fd < 0)
			return;
	}
	c->inactive = false;
	if (events & EPOLLERR)
		c->host_error = true;
	if (events & (EPOLLIN | EPOLLERR))
		c->drained = c->host_error && tcp_all_read(c);
	if (events & EPOLLPRI)
		tcp_out_urgent(c);
	if (events & EPOLLRDHUP)
		c->host_eof = true;
	if (events & EPOLLOUT)
		c->polled = false;
	if (c->host_error && c->state == TCPS_SYN_SENT) {
		tcp_conn_host_reset(c);
		tcp_out_abort(c);
		return;
	}
	tcp_in_again(c, now);
	tcp_out_data(c, now);
	tcp_out_settle(c, now);
}

/* The guest went away, or the daemon does */
static void tcp_guest_left(struct flow *f, usec_t now)
{
	struct tcp_conn *c = flow_as(f, struct tcp_conn);

	(void)now;
	if (c->fin_in)
		tcp_conn_host_close(c);
	else
		tcp_conn_host_reset(c);
	tcp_conn_end(c);
}

static const struct flow_ops tcp_flow_ops = {
	.name = "TCP",
	.guest_left = tcp_guest_left,
	.stop = tcp_guest_left,
};

static const struct packet *tcp_rest_of_run(const struct packet *p, usec_t now)
{
	uint8_t flags = p->tcp.flags & (TCP_FLAG_SYN | TCP_FLAG_ACK |
					TCP_FLAG_RST | TCP_FLAG_FIN);
	struct tcp_conn *c;

	if (flags & TCP_FLAG_RST)
		return p->next;
	if (flags != TCP_FLAG_SYN) {
		tcp_out_reset_unknown(p);
		return p->next;
	}
	c = tcp_open_out(p, now);
	return c && p->next ? tcp_in_run(c, p->next, now) : p->next;
}

/**
 * tcp_input() - Segments of one connection, from the guest
 * @run:	checked packets of one tuple, in order, linked by next
 * @now:	turn's time, usec
 */
void tcp_input(const struct packet *run, usec_t now)
{
	struct flow_side key = { .remote = run->src, .local = run->dst,
				 .rport = run->sport, .lport = run->dport,
				 .place = FLOW_AT_GUEST };
	struct flow *f = flow_lookup(IPPROTO_TCP, &key, NULL);

	if (f)
		run = tcp_in_run(flow_as(f, struct tcp_conn), run, now);
	while (run)
		run = tcp_rest_of_run(run, now);
}

/**
 * tcp_rejected() - The guest says that a segment of ours cannot reach its port
 * @syn:	the segment, as it is quoted
 *
 * A SYN is refused so by a firewall that rejects: as in Linux, the connection
 * ends as if RST had come (RFC 9293 3.9.2.2, RFC 5461 4). In every other state,
 * and of any other number, it changes nothing: a passing failure is for
 * retransmission to overcome (RFC 5461), and who guesses addresses and ports
 * must not end what works (blind attacks: RFC 5927 5).
 */
void tcp_rejected(const struct packet_quote *syn)
{
	struct flow_side key = { .remote = syn->dst, .local = syn->src,
				 .rport = syn->dport, .lport = syn->sport,
				 .place = FLOW_AT_GUEST };
	struct flow *f = flow_lookup(IPPROTO_TCP, &key, NULL);
	struct tcp_conn *c = f ? flow_as(f, struct tcp_conn) : NULL;

	if (!c || c->state != TCPS_SYN_SENT || syn->seq != c->snd_una) {
		drop(DROP_PROTOCOL);
		return;
	}
	tcp_conn_host_reset(c);
	tcp_conn_end(c);
}

/**
 * tcp_link_writable() - The link takes frames again
 * @now:	turn's time, usec
 */
void tcp_link_writable(usec_t now)
{
	struct tcp_conn *c;

	while ((c = tcp_conn_unblock())) {
		/* What would have been sent again was not: it waits anew */
		if (c->rtx_at <= now && c->state != TCPS_TIME_WAIT)
			c->rtx_at = 0;
		tcp_out_data(c, now);
		tcp_out_settle(c, now);
		/* Full again: the others keep their place before it */
		if (c->blocked.pprev)
			return;
	}
}

/* How large a socket's send buffer may get, by itself and by SO_SNDBUF */
static unsigned tcp_wmem_max(void)
{
	unsigned grown = sysctl_last(TCP_SYSCTL "wmem", TCP_WMEM_MAX);
	unsigned set = sysctl_number(TCP_SYSCTL_CORE "wmem_max", TCP_WMEM_MAX);

	return grown / 2 < set ? grown : 2 * set;
}

/**
 * tcp_init() - Get ready for connections, listen on forwarded ports
 * @c:		configuration, kept
 * @now:	time, usec
 * Return: 0, or a negative error code, told by a message already
 */
int tcp_init(const struct conf *c, usec_t now)
{
	tcp_conn_init(&(struct tcp_handlers){ .host = tcp_conn_host,
					      .timer = tcp_conn_timer });
	tcp_out_init(&(struct tcp_limits){
		.retries = sysctl_number(TCP_SYSCTL "retries2", TCP_RETRIES2),
		.syn_retries = sysctl_number(TCP_SYSCTL "syn_retries",
					     TCP_SYN_RETRIES) });
	tcp_window_init(tcp_wmem_max());
	flow_register(FLOW_TCP, &tcp_flow_ops);
	if (c->no_tcp)
		return 0;
	tcp_splice_init();
	tcp_sweep_start(&tcp_keepalive, c->keepalive_sec, now);
	tcp_sweep_start(&tcp_inactivity, c->inactivity_sec, now);
	tcp_sweep_start(&tcp_inactivity_spliced, c->inactivity_sec, now);
	return tcp_open_listen();
}
