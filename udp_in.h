/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_in: guest -> socket
 */
#ifndef UDP_IN_H
#define UDP_IN_H

#include "flow.h"
#include "lib/packet.h"

const struct packet *udp_in_send(struct flow *f, const struct packet *run);

#endif /* UDP_IN_H */
