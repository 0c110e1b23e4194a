// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcpinfo: what the kernel tells of a TCP socket beyond the C library's headers
 *
 * Apart from the tcp*.c files because linux/tcp.h claims names of theirs.
 */
#include "host/tcpinfo.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

/**
 * tcpinfo_segs_in() - How many segments the peer has sent, keepalives included
 * @fd:		TCP socket
 * @segs:	set to the number, modulo 2^32
 * Return: 0, or a negative error code; tcp(7) TCP_INFO, Linux 4.2
 */
int tcpinfo_segs_in(int fd, uint32_t *segs)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -errno;
	*segs = info.tcpi_segs_in;
	return 0;
}

/**
 * tcpinfo_is_self() - Whether a connected socket is its own peer
 * @fd:		TCP socket
 * @peer:	what it is connected to
 *
 * Where nobody listens on a port of this machine that the kernel may choose as a
 * source, a connect() to it from just that port succeeds (RFC 9293 3.5, figure
 * 7): it tries them in turn, so whoever waits for a server comes to it. It would
 * hear itself, and the server find its port taken.
 *
 * Return: true if so
 */
bool tcpinfo_is_self(int fd, const struct endpoint *peer)
{
	struct endpoint at;

	return !addr_of_socket(fd, &at) && at.port == peer->port &&
	       addr_equal(&at.addr, &peer->addr);
}
