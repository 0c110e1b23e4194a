/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_conn: one TCP connection: its state, its timer, its end
 *
 * Included by the tcp*.c files only.
 */
#ifndef TCP_CONN_H
#define TCP_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "lib/loop.h"
#include "lib/seq.h"
#include "lib/timer.h"

/**
 * enum tcp_state - RFC 9293 3.3.2, as this end of the guest's connection
 * @TCPS_CONNECTING:	the guest's SYN is here, the host's connect() under way
 *			(LISTEN, to the guest)
 *
 * The others are the RFC's. CLOSED has no entry: the flow has ended.
 */
enum tcp_state {
	TCPS_CONNECTING,
	TCPS_SYN_SENT,
	TCPS_SYN_RCVD,
	TCPS_ESTABLISHED,
	TCPS_FIN_WAIT_1,
	TCPS_FIN_WAIT_2,
	TCPS_CLOSE_WAIT,
	TCPS_CLOSING,
	TCPS_LAST_ACK,
	TCPS_TIME_WAIT,
	TCPS_CLOSED,
	TCPS_NUM
};

/**
 * enum tcp_move - what changes the state
 * @TCPM_CONNECTED:	the host's connect() succeeded, SYN-ACK goes out
 * @TCPM_SYN:		SYN without ACK in answer to ours (simultaneous open)
 * @TCPM_OPEN:		our SYN was acknowledged and theirs seen
 * @TCPM_FIN_OUT:	our FIN was sent
 * @TCPM_FIN_IN:	the guest's FIN was taken
 * @TCPM_FIN_ACKED:	our FIN was acknowledged
 */
enum tcp_move {
	TCPM_CONNECTED,
	TCPM_SYN,
	TCPM_OPEN,
	TCPM_FIN_OUT,
	TCPM_FIN_IN,
	TCPM_FIN_ACKED,
	TCPM_NUM
};

/**
 * struct tcp_conn - a connection; lives in its flow's room
 * @watch:		the host's socket; fd -1 once closed (TIME-WAIT)
 * @timer:		the one timer, due at or before the earliest of @rtx_at,
 *			@ack_at, at once where @more
 * @blocked:		links of the list of connections waiting for the link
 * @rtx_at:		when to retransmit, to probe a zero window, to leave
 *			TIME-WAIT; 0: nothing outstanding
 * @ack_at:		when the delayed ACK, or a look for room, is due; 0: none
 * @rtt_at:		when the segment being timed was sent, usec modulo 2^32
 * @rtt_seq:		its end
 * @srtt:		smoothed round trip, usec; 0: no sample yet (RFC 6298)
 * @rttvar:		its variation, usec
 * @snd_una:		oldest unacknowledged
 * @snd_nxt:		next to send; moves back when retransmitting
 * @snd_max:		highest ever sent
 * @snd_wnd:		the guest's window, bytes
 * @snd_wl1:		SEG.SEQ of the last window update
 * @snd_wl2:		SEG.ACK of it
 * @recover:		@snd_max when loss recovery began (RFC 6582), with @loss
 * @rcv_nxt:		next expected, all before it taken by the host's socket
 * @rcv_adv:		right edge of the window we advertised
 * @rcv_acked:		last acknowledgement sent
 * @room:		bytes the host's send queue takes, lower bound
 * @sndbuf:		SO_SNDBUF as last seen, bytes
 * @peek:		where the kernel's SO_PEEK_OFF stands, bytes; UINT32_MAX: not set
 * @urgent_seq:		the host's urgent byte, where @urgent
 * @segs_in:		segments from the host's peer at the last inactivity sweep
 * @mss:		largest payload the guest takes, bytes
 * @state:		enum tcp_state; only tcp_conn_move() changes it
 * @loss:		enum tcp_loss: what is known of what is outstanding
 * @cwnd:		segments that may be under way while all is sent again
 * @retries:		retransmissions since @snd_una last moved: the back-off
 * @unanswered:		the same since the guest last sent anything
 * @acks_due:		duplicate ACKs owed for out-of-order segments
 * @dupacks:		duplicate ACKs from the guest in a row, 3 at most
 * @looks:		looks for room in the socket since it last took data
 * @ws_snd:		shift of the windows we receive
 * @ws_rcv:		shift of the windows we send; 0 but on our own SYN: the
 *			guest's SYN had no window scale option
 * @sack_on:		the guest's SYN had SACK-permitted
 * @more:		reading the socket was interrupted for others' sake
 * @rtt_on:		a segment is being timed
 * @ack_now:		an ACK is owed at the end of this event
 * @fin_out:		our FIN was sent, it stands before @snd_max
 * @fin_in:		the guest's FIN was taken
 * @host_eof:		the host's peer has ended its data
 * @host_error:		the host's socket failed: RST follows the data
 * @drained:		the socket had no more data: wait for EPOLLIN
 * @urgent:		the byte at @urgent_seq is urgent, and not acknowledged
 * @polled:		re-polled while more than 2/3 full, EPOLLOUT will come
 * @bounced:		data of the guest bounced off the full socket
 * @again:		enum tcp_again: what is sent again at the end of the event
 * @reset_due:		over, but the link had no room for the RST
 * @probe_due:		a keepalive is to be sent, the link had no room
 * @tap_inactive:	no segment from the guest since the last keepalive sweep
 * @inactive:		nothing from either side since the last inactivity sweep
 * @probe_sent:		a keepalive went out, its reply is expected
 * @keepalive:		the guest sends keepalives: SO_KEEPALIVE is on
 * @widened:		the socket's send buffer was enlarged for large segments
 * @rides:		ACKs in a row that rode on data in time; at most 15
 * @stream:		ACKs in a row of more than a few bytes, -32 to 31
 * @late:		an ACK just sent had waited in vain for a second segment
 */
struct tcp_conn {
	struct watch watch;
	struct timer timer;
	struct {
		struct tcp_conn *next;
		struct tcp_conn **pprev;
	} blocked;
	usec_t rtx_at;
	usec_t ack_at;
	uint32_t rtt_at;
	uint32_t rtt_seq;
	uint32_t srtt;
	uint32_t rttvar;
	uint32_t snd_una;
	uint32_t snd_nxt;
	uint32_t snd_max;
	uint32_t snd_wnd;
	uint32_t snd_wl1;
	uint32_t snd_wl2;
	uint32_t recover;
	uint32_t rcv_nxt;
	uint32_t rcv_adv;
	uint32_t rcv_acked;
	uint32_t room;
	uint32_t sndbuf;
	uint32_t peek;
	uint32_t urgent_seq;
	uint32_t segs_in;
	uint16_t mss;
	uint8_t state:4;
	uint8_t loss:4;
	uint8_t cwnd;
	uint8_t retries;
	uint8_t unanswered;
	uint8_t acks_due:2;
	uint8_t dupacks:2;
	uint8_t looks:4;
	uint8_t ws_snd:4;
	uint8_t ws_rcv:4;
	uint32_t sack_on:1;
	uint32_t more:1;
	uint32_t rtt_on:1;
	uint32_t ack_now:1;
	uint32_t fin_out:1;
	uint32_t fin_in:1;
	uint32_t host_eof:1;
	uint32_t host_error:1;
	uint32_t drained:1;
	uint32_t urgent:1;
	uint32_t polled:1;
	uint32_t bounced:1;
	uint32_t again:2;
	uint32_t reset_due:1;
	uint32_t probe_due:1;
	uint32_t tap_inactive:1;
	uint32_t inactive:1;
	uint32_t probe_sent:1;
	uint32_t keepalive:1;
	uint32_t widened:1;
	uint32_t rides:4;
	int32_t stream:6;
	uint32_t late:1;
};

_Static_assert(sizeof(struct tcp_conn) <= FLOW_ROOM, "fits a flow");

/**
 * struct tcp_handlers - what the loop calls for a connection
 * @host:	the host's socket
 * @timer:	the connection's timer
 */
struct tcp_handlers {
	watch_fn host;
	timer_fn timer;
};

/** The guest's side of a connection's flow */
static inline struct flow_side *tcp_guest_side(const struct tcp_conn *c)
{
	struct flow *f = flow_of(c);

	return &f->side[f->side[INI].place == FLOW_AT_GUEST ? INI : TGT];
}

/** The host's side of a connection's flow */
static inline struct flow_side *tcp_host_side(const struct tcp_conn *c)
{
	struct flow *f = flow_of(c);

	return &f->side[f->side[INI].place == FLOW_AT_GUEST ? TGT : INI];
}

void tcp_conn_init(const struct tcp_handlers *h);
int tcp_conn_attach(struct tcp_conn *c, int fd, enum tcp_state state);
void tcp_conn_move(struct tcp_conn *c, enum tcp_move m);
bool tcp_conn_synchronized(const struct tcp_conn *c);
const char *tcp_conn_state_name(const struct tcp_conn *c);
uint16_t tcp_conn_mss(const struct tcp_conn *c);
void tcp_conn_arm(struct tcp_conn *c);
void tcp_conn_block(struct tcp_conn *c);
struct tcp_conn *tcp_conn_unblock(void);
void tcp_conn_host_close(struct tcp_conn *c);
void tcp_conn_host_reset(struct tcp_conn *c);
void tcp_conn_host_leave(struct tcp_conn *c);
void tcp_conn_end(struct tcp_conn *c);

#endif /* TCP_CONN_H */
