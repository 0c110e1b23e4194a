/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_ack: when what the guest has sent is acknowledged
 */
#ifndef TCP_ACK_H
#define TCP_ACK_H

#include "tcp_conn.h"

/** What sets off a fast retransmit (RFC 5681 3.2) */
#define TCP_ACK_DUPLICATES	3

void tcp_ack_sent(struct tcp_conn *c);
void tcp_ack_rode(struct tcp_conn *c);
bool tcp_ack_wanted(struct tcp_conn *c, usec_t now);
void tcp_ack_watch(struct tcp_conn *c, usec_t now);

#endif /* TCP_ACK_H */
