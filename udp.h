/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp: UDP conversations between the guest and the host's sockets
 */
#ifndef UDP_H
#define UDP_H

#include "conf.h"
#include "lib/packet.h"
#include "lib/timer.h"

int udp_init(const struct conf *c, usec_t now);
void udp_input(const struct packet *run, usec_t now);
void udp_link_writable(usec_t now);

#endif /* UDP_H */
