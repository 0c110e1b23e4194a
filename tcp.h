/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp: TCP connections between the guest and the host's sockets
 */
#ifndef TCP_H
#define TCP_H

#include "conf.h"
#include "lib/packet.h"
#include "lib/timer.h"

int tcp_init(const struct conf *c, usec_t now);
void tcp_input(const struct packet *run, usec_t now);
void tcp_rejected(const struct packet_quote *syn);
void tcp_link_writable(usec_t now);

#endif /* TCP_H */
