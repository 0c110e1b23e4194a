/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_loss: what is sent to the guest again, and when
 */
#ifndef TCP_LOSS_H
#define TCP_LOSS_H

#include "tcp_conn.h"

/**
 * enum tcp_loss - what is known of what was sent and is not acknowledged
 * @TCP_LOSS_NONE:	nothing speaks for a loss
 * @TCP_LOSS_FAST:	three duplicate ACKs: each ACK before @recover asks for
 *			the next segment
 * @TCP_LOSS_TIMEOUT:	silence: the first segment was sent again, alone
 * @TCP_LOSS_PROBE:	an ACK came then; one more tells what was lost
 * @TCP_LOSS_RESEND:	all since @snd_una is sent again, slowly at first
 * @TCP_LOSS_OVER:	the silence is over; duplicate ACKs at @recover are of
 *			what was sent again
 *
 * In @loss of struct tcp_conn.
 */
enum tcp_loss {
	TCP_LOSS_NONE,
	TCP_LOSS_FAST,
	TCP_LOSS_TIMEOUT,
	TCP_LOSS_PROBE,
	TCP_LOSS_RESEND,
	TCP_LOSS_OVER,
};

/**
 * enum tcp_again - what is to be sent again at the end of an event
 * @TCP_AGAIN_NOTHING:	nothing
 * @TCP_AGAIN_FIRST:	the first segment that was not acknowledged
 * @TCP_AGAIN_LAST:	the last one, where nothing new can be sent
 *
 * In @again of struct tcp_conn.
 */
enum tcp_again {
	TCP_AGAIN_NOTHING,
	TCP_AGAIN_FIRST,
	TCP_AGAIN_LAST,
};

usec_t tcp_loss_rto(const struct tcp_conn *c);
void tcp_loss_sent(struct tcp_conn *c, uint32_t end, usec_t now);
void tcp_loss_opened(struct tcp_conn *c, uint32_t ack);
void tcp_loss_timeout(struct tcp_conn *c);
void tcp_loss_acked(struct tcp_conn *c, uint32_t ack, usec_t now);
void tcp_loss_duplicate(struct tcp_conn *c);
void tcp_loss_reopened(struct tcp_conn *c);
uint32_t tcp_loss_window(const struct tcp_conn *c);

#endif /* TCP_LOSS_H */
