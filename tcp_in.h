/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_in: segments from the guest: data to the host's socket, acknowledgements
 */
#ifndef TCP_IN_H
#define TCP_IN_H

#include "lib/packet.h"
#include "tcp_conn.h"

void tcp_in_again(struct tcp_conn *c, usec_t now);
void tcp_in_options(struct tcp_conn *c, const struct packet *p);
const struct packet *tcp_in_run(struct tcp_conn *c, const struct packet *run,
				usec_t now);

#endif /* TCP_IN_H */
