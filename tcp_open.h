/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_open: how connections begin: the guest's SYN, the host's accept()
 */
#ifndef TCP_OPEN_H
#define TCP_OPEN_H

#include "lib/packet.h"
#include "lib/timer.h"

int tcp_open_listen(void);
struct tcp_conn *tcp_open_out(const struct packet *syn, usec_t now);
void tcp_open_connected(struct tcp_conn *c, usec_t now);

#endif /* TCP_OPEN_H */
