// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * udp_send: datagrams out of the host's sockets, several a call
 *
 * And answers out of a listening socket: to clients whose flows have no socket of
 * the client's port (udp_splice.c, and udp_flow.c where the port takes a
 * privilege). They leave from the address that the client spoke to (IP_PKTINFO,
 * ip(7)). No state.
 */
#include "udp_send.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/stats.h"

union udp_send_control {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/**
 * udp_send() - Send messages, several a call
 * @fd:		socket
 * @msg:	messages; what the socket does not take is dropped, and counted
 * @count:	how many
 * Return: 0, or the last error of these
 */
int udp_send(int fd, struct mmsghdr *msg, unsigned count)
{
	unsigned i = 0;
	bool again = false;
	int error = 0;

	while (i < count) {
		int n = sendmmsg(fd, msg + i, count - i,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			i += (unsigned)n;
			again = false;
		} else if (!again) {
			/* most likely an error of what was sent before */
			again = true;
		} else {
			error = errno;
			drop(error == EAGAIN || error == ENOBUFS ?
			     DROP_NO_ROOM : DROP_NO_SOCKET);
			i++;
			again = false;
		}
	}
	return error;
}

/**
 * udp_send_is_there() - Whether a client's listening socket is still there
 * @l:		listener that the client has spoken to
 * @client:	the client's side
 *
 * A slot of the table may have been used again since: for the same port, it is as
 * good.
 *
 * Return: true if so
 */
bool udp_send_is_there(const struct fwd_listener *l,
		       const struct flow_side *client)
{
	enum fwd_way way = client->place == FLOW_AT_NS ? FWD_OUT : FWD_IN;

	return l->watch.fn && l->proto == IPPROTO_UDP && l->way == way &&
	       l->port == client->lport;
}

/* Address that an answer leaves from; an IPv6 socket takes IPv4 ones mapped */
static void udp_send_from(struct msghdr *m, union udp_send_control *control,
			  const struct flow_side *client, bool v6)
{
	struct in_pktinfo info4 = { .ipi_spec_dst = addr_to_v4(&client->local) };
	struct in6_pktinfo info6 = { .ipi6_addr = addr_to_v6(&client->local),
				     .ipi6_ifindex = client->ifindex };
	size_t len = v6 ? sizeof(info6) : sizeof(info4);
	struct cmsghdr *c = &control->align;

	memset(control, 0, sizeof(*control));
	c->cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	c->cmsg_type = v6 ? IPV6_PKTINFO : IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), v6 ? (void *)&info6 : (void *)&info4, len);
	m->msg_control = control;
	m->msg_controllen = CMSG_SPACE(len);
}

static socklen_t udp_send_client(const struct flow_side *client, bool v6,
				 union sockaddr_any *sa)
{
	const struct endpoint e = { client->remote, client->rport,
				    client->ifindex };

	if (!v6 || !addr_is_v4(&client->remote))
		return addr_to_sockaddr(&e, sa);
	*sa = (union sockaddr_any){ .sin6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(client->rport),
		.sin6_addr = addr_to_v6(&client->remote),
	} };
	return sizeof(sa->sin6);
}

/**
 * udp_send_answer() - Answer a client from the socket that it spoke to
 * @l:		listener that it was
 * @client:	the client's side
 * @msg:	messages with their data alone; what does not fit is dropped
 * @count:	how many
 * Return: true; false where the listener is gone
 */
bool udp_send_answer(const struct fwd_listener *l,
		     const struct flow_side *client, struct mmsghdr *msg,
		     unsigned count)
{
	union udp_send_control control;
	struct msghdr m = { 0 };
	union sockaddr_any sa;

	if (!udp_send_is_there(l, client))
		return false;
	m.msg_name = &sa;
	m.msg_namelen = udp_send_client(client, l->v6, &sa);
	udp_send_from(&m, &control, client, l->v6);
	for (unsigned i = 0; i < count; i++) {
		m.msg_iov = msg[i].msg_hdr.msg_iov;
		m.msg_iovlen = msg[i].msg_hdr.msg_iovlen;
		msg[i].msg_hdr = m;
	}
	udp_send(l->watch.fd, msg, count);
	return true;
}
