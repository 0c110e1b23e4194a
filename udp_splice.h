/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_splice: UDP conversations from socket to socket, past the link
 */
#ifndef UDP_SPLICE_H
#define UDP_SPLICE_H

#include <stdbool.h>
#include <sys/uio.h>

#include "flow.h"
#include "fwd_listen.h"
#include "lib/timer.h"

void udp_splice_init(void);
bool udp_splice_take(const struct fwd_listener *l, const struct flow_side *from,
		     const struct iovec *data, usec_t now);
void udp_splice_flush(void);

#endif /* UDP_SPLICE_H */
