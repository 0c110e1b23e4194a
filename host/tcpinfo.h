/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcpinfo: what the kernel tells of a TCP socket beyond the C library's headers
 */
#ifndef HOST_TCPINFO_H
#define HOST_TCPINFO_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"

int tcpinfo_segs_in(int fd, uint32_t *segs);
bool tcpinfo_is_self(int fd, const struct endpoint *peer);

#endif /* HOST_TCPINFO_H */
