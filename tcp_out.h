/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_out: segments to the guest: data from the host's socket, retransmission
 */
#ifndef TCP_OUT_H
#define TCP_OUT_H

#include "lib/packet.h"
#include "tcp_conn.h"

/**
 * struct tcp_limits - how long a silent guest is waited for
 * @retries:		retransmissions of data (net.ipv4.tcp_retries2)
 * @syn_retries:	retransmissions of SYN (net.ipv4.tcp_syn_retries)
 */
struct tcp_limits {
	unsigned retries;
	unsigned syn_retries;
};

void tcp_out_init(const struct tcp_limits *limits);
bool tcp_out_syn(struct tcp_conn *c, usec_t now);
void tcp_out_open(struct tcp_conn *c, usec_t now);
void tcp_out_data(struct tcp_conn *c, usec_t now);
void tcp_out_keepalive(struct tcp_conn *c);
void tcp_out_urgent(struct tcp_conn *c);
void tcp_out_abort(struct tcp_conn *c);
void tcp_out_reset_unknown(const struct packet *p);
void tcp_out_timeout(struct tcp_conn *c, usec_t now);
void tcp_out_settle(struct tcp_conn *c, usec_t now);

#endif /* TCP_OUT_H */
