// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcp_conn: one TCP connection: its state, its timer, its end
 *
 * States are those of RFC 9293 3.3.2, as this end of the guest's connection
 * goes through them, with one in front: an outbound connection stays LISTEN to
 * the guest, here CONNECTING, until the host's connect() is answered.
 *
 *	 guest's SYN                        accept() on the host
 *	      v                                     v
 *	 CONNECTING                             SYN_SENT
 *	      | CONNECTED   +-----------------------+ |
 *	      v             v          SYN            | OPEN
 *	   SYN_RCVD ------------> ESTABLISHED <-------+
 *	             OPEN          |       |
 *	                   FIN_OUT |       | FIN_IN
 *	                           v       v
 *	                  FIN_WAIT_1       CLOSE_WAIT
 *	         FIN_ACKED |      | FIN_IN      | FIN_OUT
 *	                   v      v             v
 *	          FIN_WAIT_2   CLOSING       LAST_ACK
 *	            FIN_IN |      | FIN_ACKED   | FIN_ACKED
 *	                   v      v             v
 *	                   TIME_WAIT          CLOSED
 *
 * A connection owns its host socket. How that ends is decided here:
 *
 *	close	the kernel goes on delivering what it accepted, then FIN; the
 *		receive queue is drained first, since close() with unread data
 *		resets (RFC 1122 4.2.2.13; tcp(7))
 *	reset	RST now: SO_LINGER with a zero timeout (socket(7))
 *	leave	the guest is gone: close where it had sent its FIN and all was
 *		taken, reset otherwise
 */
#include "tcp_conn.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame_out.h"
#include "lib/log.h"
#include "tcp_sack.h"

/* The moves that exist; every other one is a bug of ours */
static const uint8_t tcp_moves[TCPS_NUM][TCPM_NUM] = {
	[TCPS_CONNECTING] = { [TCPM_CONNECTED] = TCPS_SYN_RCVD },
	[TCPS_SYN_SENT] = { [TCPM_SYN] = TCPS_SYN_RCVD,
			    [TCPM_OPEN] = TCPS_ESTABLISHED },
	[TCPS_SYN_RCVD] = { [TCPM_OPEN] = TCPS_ESTABLISHED },
	[TCPS_ESTABLISHED] = { [TCPM_FIN_OUT] = TCPS_FIN_WAIT_1,
			       [TCPM_FIN_IN] = TCPS_CLOSE_WAIT },
	[TCPS_FIN_WAIT_1] = { [TCPM_FIN_IN] = TCPS_CLOSING,
			      [TCPM_FIN_ACKED] = TCPS_FIN_WAIT_2 },
	[TCPS_FIN_WAIT_2] = { [TCPM_FIN_IN] = TCPS_TIME_WAIT },
	[TCPS_CLOSE_WAIT] = { [TCPM_FIN_OUT] = TCPS_LAST_ACK },
	[TCPS_CLOSING] = { [TCPM_FIN_ACKED] = TCPS_TIME_WAIT },
	[TCPS_LAST_ACK] = { [TCPM_FIN_ACKED] = TCPS_CLOSED },
};

static const char *const tcp_state_names[] = {
	[TCPS_CONNECTING] = "CONNECTING",
	[TCPS_SYN_SENT] = "SYN_SENT",
	[TCPS_SYN_RCVD] = "SYN_RCVD",
	[TCPS_ESTABLISHED] = "ESTABLISHED",
	[TCPS_FIN_WAIT_1] = "FIN_WAIT_1",
	[TCPS_FIN_WAIT_2] = "FIN_WAIT_2",
	[TCPS_CLOSE_WAIT] = "CLOSE_WAIT",
	[TCPS_CLOSING] = "CLOSING",
	[TCPS_LAST_ACK] = "LAST_ACK",
	[TCPS_TIME_WAIT] = "TIME_WAIT",
	[TCPS_CLOSED] = "CLOSED",
};

_Static_assert(sizeof(tcp_state_names) / sizeof(tcp_state_names[0]) == TCPS_NUM,
	       "a name for each state");

static struct tcp_handlers tcp_handlers;

/* Connections that wait for the link, first and where to append */
static struct tcp_conn *tcp_blocked;
static struct tcp_conn **tcp_blocked_tail = &tcp_blocked;

/**
 * tcp_conn_init() - Set what the loop calls for connections
 * @h:		handlers, for all connections
 */
void tcp_conn_init(const struct tcp_handlers *h)
{
	tcp_handlers = *h;
}

/**
 * tcp_conn_move() - Change the state
 * @c:		connection
 * @m:		what happened
 */
void tcp_conn_move(struct tcp_conn *c, enum tcp_move m)
{
	uint8_t to = tcp_moves[c->state][m];
	char text[256];

	assert(to);
	if (log_enabled(LOG_LEVEL_DEBUG))
		debug("%s: %s -> %s", flow_text(flow_of(c), text, sizeof(text)),
		      tcp_state_names[c->state], tcp_state_names[to]);
	c->state = to;
}

/**
 * tcp_conn_synchronized() - Whether both sides know each other's sequence
 * @c:		connection
 * Return: true from ESTABLISHED on (RFC 9293 3.3.2)
 */
bool tcp_conn_synchronized(const struct tcp_conn *c)
{
	return c->state >= TCPS_ESTABLISHED && c->state < TCPS_CLOSED;
}

/**
 * tcp_conn_state_name() - The state, for messages
 * @c:		connection
 * Return: the RFC's name
 */
const char *tcp_conn_state_name(const struct tcp_conn *c)
{
	return tcp_state_names[c->state];
}

/**
 * tcp_conn_mss() - The largest segment that fits the guest's MTU
 * @c:		connection
 * Return: bytes of payload
 */
uint16_t tcp_conn_mss(const struct tcp_conn *c)
{
	bool v4 = addr_is_v4(&tcp_guest_side(c)->remote);
	unsigned ip = v4 ? IP4_HLEN : IP6_HLEN;

	return (uint16_t)(frame_mtu() - ip - TCP_HLEN);
}

/**
 * tcp_conn_arm() - Let the timer fire when the next thing is due
 * @c:		connection
 *
 * A timer that stands earlier than needed is left there: when it fires, what
 * is due is looked at anew. So the usual restart of the retransmission timer
 * with each ACK moves nothing. While the link is full, all waits for it, not for
 * the clock; but for the end of TIME-WAIT.
 */
void tcp_conn_arm(struct tcp_conn *c)
{
	bool blocked = c->blocked.pprev;
	usec_t due = c->more && !blocked ? 1 : 0;

	if (c->ack_at && !blocked && (!due || c->ack_at < due))
		due = c->ack_at;
	if (c->rtx_at && (!blocked || c->state == TCPS_TIME_WAIT) &&
	    (!due || c->rtx_at < due))
		due = c->rtx_at;
	if (due && (!timer_armed(&c->timer) || c->timer.due > due))
		timer_arm(&c->timer, due);
}

/**
 * tcp_conn_block() - Note that a connection waits for the link
 * @c:		connection
 */
void tcp_conn_block(struct tcp_conn *c)
{
	if (c->blocked.pprev)
		return;
	c->blocked.next = NULL;
	c->blocked.pprev = tcp_blocked_tail;
	*tcp_blocked_tail = c;
	tcp_blocked_tail = &c->blocked.next;
}

static void tcp_conn_unlink(struct tcp_conn *c)
{
	if (!c->blocked.pprev)
		return;
	*c->blocked.pprev = c->blocked.next;
	if (c->blocked.next)
		c->blocked.next->blocked.pprev = c->blocked.pprev;
	else
		tcp_blocked_tail = c->blocked.pprev;
	c->blocked.pprev = NULL;
}

/**
 * tcp_conn_unblock() - Take the connection that has waited longest
 * Return: connection, NULL where none waits for the link
 */
struct tcp_conn *tcp_conn_unblock(void)
{
	struct tcp_conn *c = tcp_blocked;

	if (c)
		tcp_conn_unlink(c);
	return c;
}

static void tcp_conn_detach(struct tcp_conn *c)
{
	int fd = c->watch.fd;

	loop_del(&c->watch);
	close(fd);
	c->watch.fd = -1;
	/* No data is taken any more that an ACK could wait for */
	tcp_sack_forget(c);
	c->ack_at = 0;
	c->late = false;
}

/**
 * tcp_conn_host_close() - Close the host's socket, the kernel delivers the rest
 * @c:		connection
 */
void tcp_conn_host_close(struct tcp_conn *c)
{
	if (c->watch.fd < 0)
		return;
	/* Bounded: a peer that sends for ever is reset after all */
	for (int i = 0; i < 8; i++) {
		if (recv(c->watch.fd, NULL, 1 << 30,
			 MSG_TRUNC | MSG_DONTWAIT) <= 0)
			break;
	}
	tcp_conn_detach(c);
}

/**
 * tcp_conn_host_reset() - Reset the host's side: its peer sees RST
 * @c:		connection
 */
void tcp_conn_host_reset(struct tcp_conn *c)
{
	static const struct linger now = { .l_onoff = 1 };

	if (c->watch.fd < 0)
		return;
	setsockopt(c->watch.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	tcp_conn_detach(c);
}

/**
 * tcp_conn_attach() - Start a connection on a host socket
 * @c:		connection, zeroed
 * @fd:		its socket, from now on owned by the connection
 * @state:	where it starts: TCPS_CONNECTING or TCPS_SYN_SENT
 *
 * The socket is registered once and for all, edge-triggered: what was peeked
 * stays in its queue, and level-triggered events would spin.
 *
 * Return: 0, or a negative error code with the socket reset
 */
int tcp_conn_attach(struct tcp_conn *c, int fd, enum tcp_state state)
{
	int rc;

	c->watch.fd = fd;
	c->watch.fn = tcp_handlers.host;
	c->timer.fn = tcp_handlers.timer;
	c->peek = UINT32_MAX;
	c->state = state;
	rc = loop_add(&c->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI |
				 EPOLLET);
	if (rc < 0) {
		warn_limited("Cannot watch a connection: %s", strerror(-rc));
		tcp_conn_host_reset(c);
	}
	return rc;
}

/**
 * tcp_conn_host_leave() - End the host's side for a guest that is gone
 * @c:		connection
 *
 * What the guest had finished is delivered. Where all of that has arrived
 * already, the peer is told by RST, as it would be by a host that forgot.
 */
void tcp_conn_host_leave(struct tcp_conn *c)
{
	int unsent = 0;

	if (c->watch.fd < 0)
		return;
	if (c->fin_in &&
	    (ioctl(c->watch.fd, SIOCOUTQ, &unsent) < 0 || unsent))
		tcp_conn_host_close(c);
	else
		tcp_conn_host_reset(c);
}

/**
 * tcp_conn_end() - The connection is over; its socket was dealt with
 * @c:		connection
 */
void tcp_conn_end(struct tcp_conn *c)
{
	char text[256];

	assert(c->watch.fd < 0);
	if (log_enabled(LOG_LEVEL_DEBUG))
		debug("%s: ended in %s",
		      flow_text(flow_of(c), text, sizeof(text)),
		      tcp_state_names[c->state]);
	c->state = TCPS_CLOSED;
	c->reset_due = false;
	c->rtx_at = c->ack_at = 0;
	timer_cancel(&c->timer);
	tcp_conn_unlink(c);
	flow_end(flow_of(c));
}
