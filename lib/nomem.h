/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nomem: the kernel has no memory for a socket just now
 *
 * What waits there stays, and a level-triggered watch would be told of it again
 * at once, for ever: whoever meets this lets the socket alone for a while.
 */
#ifndef LIB_NOMEM_H
#define LIB_NOMEM_H

#include <errno.h>
#include <stdbool.h>

#include "lib/timer.h"

/** For how long */
#define NOMEM_PAUSE	(100 * USEC_PER_MSEC)

/**
 * nomem() - Whether a system call failed for want of memory
 * @error:	its errno
 *
 * Return: true if so (recvmsg(2), sendmsg(2): ENOBUFS, ENOMEM)
 */
static inline bool nomem(int error)
{
	return error == ENOMEM || error == ENOBUFS;
}

#endif /* LIB_NOMEM_H */
