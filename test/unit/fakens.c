// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fakens: sockets of the guest's namespace, see fakens.h
 */
#include "test/unit/fakens.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "host/nssock.h"

bool fakens_on;
unsigned fakens_opened;

bool nssock_available(void)
{
	return fakens_on;
}

int nssock_open(uint8_t proto, int family)
{
	int type = proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, fd;

	if (!fakens_on)
		return -ENODEV;
	fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);
	fakens_opened += fd >= 0;
	return fd < 0 ? -errno : fd;
}

int nssock_bind(int fd, const struct endpoint *e)
{
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(e, &sa);

	return bind(fd, &sa.sa, len) ? -errno : 0;
}
