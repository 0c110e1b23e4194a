/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream: the link over QEMU's UNIX stream socket
 */
#ifndef LINK_STREAM_H
#define LINK_STREAM_H

#include "link/link.h"
#include "link/server.h"

const struct link_ops *stream_init(const struct server_conf *c);

#endif /* LINK_STREAM_H */
