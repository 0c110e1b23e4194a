// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nssock: sockets in the guest's network namespace
 *
 * State: none yet, there is no helper.
 */
#include "host/nssock.h"

#include <errno.h>

/**
 * nssock_available() - Whether there is a namespace of the guest's to reach
 * Return: true if so; false for virtual machines
 */
bool nssock_available(void)
{
	return false;
}

/**
 * nssock_open() - A socket in the guest's network namespace
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @family:	AF_INET or AF_INET6
 *
 * Taken from a pool that is refilled behind the scenes: no waiting, but for a
 * burst of more than it holds.
 *
 * Return: a non-blocking, close-on-exec descriptor, neither bound nor
 * connected; or a negative error code, -ENODEV: there is no namespace
 */
int nssock_open(uint8_t proto, int family)
{
	(void)proto;
	(void)family;
	return -ENODEV;
}

/**
 * nssock_bind() - Bind such a socket, to a privileged port as well
 * @fd:		from nssock_open()
 * @e:		address, port (0: any), and scope in the namespace
 *
 * Privileged ports cost a round trip to the helper, which may bind to them.
 *
 * Return: 0, or a negative error code of bind(2)
 */
int nssock_bind(int fd, const struct endpoint *e)
{
	(void)fd;
	(void)e;
	return -ENODEV;
}
