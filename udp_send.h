/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_send: datagrams out of the host's sockets, several a call
 */
#ifndef UDP_SEND_H
#define UDP_SEND_H

#include <stdbool.h>
#include <sys/socket.h>

#include "flow.h"
#include "fwd_listen.h"

int udp_send(int fd, struct mmsghdr *msg, unsigned count);
bool udp_send_is_there(const struct fwd_listener *l,
		       const struct flow_side *client);
bool udp_send_answer(const struct fwd_listener *l,
		     const struct flow_side *client, struct mmsghdr *msg,
		     unsigned count);

#endif /* UDP_SEND_H */
