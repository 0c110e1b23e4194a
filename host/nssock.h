/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nssock: sockets in the guest's network namespace
 *
 * The daemon's side of the helper process (nshelper.h). Sockets come unbound
 * from a pool; all that needs no privilege is then done by the caller, as with
 * a socket of its own: options, bind() to a port that anybody may have,
 * listen(), connect(). Names of interfaces and their indices: SO_BINDTODEVICE
 * takes names of the guest's namespace, if_nametoindex() does not.
 *
 *	fd = nssock_open(IPPROTO_TCP, AF_INET6);
 *	setsockopt(fd, ...);
 *	rc = nssock_bind(fd, &endpoint);
 *	listen(fd, SOMAXCONN);
 */
#ifndef HOST_NSSOCK_H
#define HOST_NSSOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "host/nshelper.h"
#include "lib/addr.h"

int nssock_start(const struct nshelper *h, int fds[NSHELPER_FDS]);
int nssock_watch(void);
int nssock_ready(void);
void nssock_stop(void);
bool nssock_available(void);
int nssock_open(uint8_t proto, int family);
int nssock_bind(int fd, const struct endpoint *e);

#endif /* HOST_NSSOCK_H */
