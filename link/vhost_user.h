/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost_user: the link over virtqueues in the guest's memory, set up by a
 * hypervisor over a UNIX stream socket
 */
#ifndef LINK_VHOST_USER_H
#define LINK_VHOST_USER_H

#include "link/link.h"
#include "link/server.h"

const struct link_ops *vhost_user_init(const struct server_conf *c);

#endif /* LINK_VHOST_USER_H */
