/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcpinfo: what the kernel tells of a TCP socket beyond the C library's headers
 */
#ifndef HOST_TCPINFO_H
#define HOST_TCPINFO_H

#include <stdint.h>

int tcpinfo_segs_in(int fd, uint32_t *segs);

#endif /* HOST_TCPINFO_H */
