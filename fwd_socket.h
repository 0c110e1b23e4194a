/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwd_socket: sockets on the host, and past the link in the namespace
 *
 * Those that listen on a rule's port (fwd_listen.h holds them), and those that a
 * flow speaks from; and whether such a one is still of use, or another would do
 * better.
 */
#ifndef FWD_SOCKET_H
#define FWD_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "flow.h"
#include "fwd.h"
#include "lib/addr.h"
#include "lib/timer.h"

/** Receive buffer asked for of UDP sockets; cut to net.core.rmem_max, which still
 * doubles the default
 */
#define FWD_SOCKET_RCVBUF	(4 * 1024 * 1024)
/** Send buffer asked for, cut to net.core.wmem_max in the same way: as much as
 * waits in a router, for a network device's queue of 1000 packets
 */
#define FWD_SOCKET_SNDBUF	(1024 * 1024)

void fwd_socket_init(const struct conf *c);
int fwd_socket_listen(const struct fwd_port *p);
int fwd_socket_open(uint8_t proto, const struct flow_side *host);
int fwd_socket_open_alone(const struct flow_side *host);
int fwd_socket_set_device(int fd, const char *ifname);
bool fwd_socket_has_lost(const struct flow_side *host, usec_t now);
bool fwd_socket_has_way(uint8_t proto, const struct flow_side *guest);
bool fwd_socket_has_moved(uint8_t proto, const struct flow_side *guest,
			  const struct addr *from, usec_t now);
bool fwd_socket_is_stranded(int rc);
bool fwd_socket_is_cut_off(int rc);

#endif /* FWD_SOCKET_H */
