/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_splice: TCP connections from socket to socket, past the link
 */
#ifndef TCP_SPLICE_H
#define TCP_SPLICE_H

#include "flow.h"
#include "lib/timer.h"

void tcp_splice_init(void);
void tcp_splice_open(int fd, const struct flow_side *from,
		     const struct flow_side *to, usec_t now);
void tcp_splice_inactivity(struct flow *f, usec_t now);

#endif /* TCP_SPLICE_H */
