// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * udp_err: errors that the host meets become ICMP messages to the guest
 *
 * Two ways in: a send that fails is reported by its caller with the payload at
 * hand; what the network says later waits in the socket's error queue
 * (IP_RECVERR, ip(7)) with the start of the datagram that it is about. The
 * headers quoted to the guest are those of its own datagram, written anew from
 * the flow. No state.
 */
#include "udp_err.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "guest.h"
#include "lib/bytes.h"
#include "udp_conv.h"

/** Payload that fits a quote with its headers (RFC 4443 2.4 (c)) */
#define UDP_ERR_QUOTE		(1280 - IP6_HLEN - ICMP_HLEN)
/** Most errors taken in one go */
#define UDP_ERR_BATCH		32

/**
 * udp_err_report() - Tell the guest what became of its datagram
 * @f:		flow it belongs to
 * @e:		the error; all but @to and @quoted filled in; @from may be left
 *		unspecified: its destination answers
 * @payload:	begin of the datagram's payload
 */
void udp_err_report(struct flow *f, struct icmp_error *e,
		    const struct slice *payload)
{
	static const uint8_t mac[6];
	const struct flow_side *g = udp_guest_side(f);
	const struct packet_ends ends = {
		.smac = mac, .dmac = mac, .src = g->remote, .dst = g->local,
		.ttl = 64, .df = true,
	};
	uint8_t buf[PACKET_HDR_OUT_MAX + UDP_ERR_QUOTE];
	size_t l3_end = packet_put_l2l3(buf, &ends, IPPROTO_UDP,
					UDP_HLEN + payload->len);
	uint8_t *udp = buf + l3_end;

	put_be16(udp, g->rport);
	put_be16(udp + 2, g->lport);
	put_be16(udp + 4, (uint16_t)(UDP_HLEN + payload->len));
	put_be16(udp + 6, 0);
	e->quoted = buf + ETH_HLEN_;
	e->quoted_len = l3_end - ETH_HLEN_ + UDP_HLEN +
			slice_copy(payload, 0, udp + UDP_HLEN, UDP_ERR_QUOTE);
	e->to = g->remote;
	if (addr_is_unspecified(&e->from) || addr_is_loopback(&e->from) ||
	    guest_holds(&e->from))
		e->from = g->local;
	icmp_error_send(e);
}

static const struct sock_extended_err *udp_err_find(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		if ((c->cmsg_level == IPPROTO_IP &&
		     c->cmsg_type == IP_RECVERR) ||
		    (c->cmsg_level == IPPROTO_IPV6 &&
		     c->cmsg_type == IPV6_RECVERR))
			return (void *)CMSG_DATA(c);
	}
	return NULL;
}

/* Port and protocol unreachable are for the destination itself to say: from
 * the address the guest knows it by, whichever the host heard it from
 */
static bool udp_err_of_destination(const struct sock_extended_err *ee)
{
	return ee->ee_errno == ECONNREFUSED || ee->ee_errno == ENOPROTOOPT;
}

/* What was found in the queue; local errors were told when the send failed */
static void udp_err_queued(struct flow *f, const struct sock_extended_err *ee,
			   const void *data, size_t len)
{
	const struct iovec iov = { (void *)(uintptr_t)data, len };
	const struct slice payload = { &iov, 1, 0, len };
	union sockaddr_any from;
	struct icmp_error e = {
		.host_errno = (int)ee->ee_errno,
		.type = ee->ee_type,
		.code = ee->ee_code,
		.mtu = ee->ee_info,
	};

	if (ee->ee_origin != SO_EE_ORIGIN_ICMP &&
	    ee->ee_origin != SO_EE_ORIGIN_ICMP6)
		return;
	memcpy(&from, SO_EE_OFFENDER(ee),
	       ee->ee_origin == SO_EE_ORIGIN_ICMP ? sizeof(from.sin) :
						    sizeof(from.sin6));
	if (from.sa.sa_family != AF_UNSPEC && !udp_err_of_destination(ee))
		e.from = addr_from_sockaddr(&from).addr;
	udp_err_report(f, &e, &payload);
}

/**
 * udp_err_drain() - Pass on the errors that wait in a flow's socket
 * @f:		flow
 *
 * Also takes the pending error off the socket: the next call on it meets none.
 *
 * Return: true where that says that somebody has ended the socket (ss -K): it is
 *	   connected no more, and hears whoever sends to its port
 */
bool udp_err_drain(struct flow *f)
{
	int fd = udp_of(f)->watch.fd, pending = 0;
	socklen_t pending_len = sizeof(pending);

	for (unsigned i = 0; i < UDP_ERR_BATCH; i++) {
		_Alignas(struct cmsghdr) uint8_t control[512];
		uint8_t data[UDP_ERR_QUOTE];
		struct iovec iov = { data, sizeof(data) };
		struct msghdr msg = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		const struct sock_extended_err *ee;
		ssize_t n = recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT);

		if (n < 0)
			break;
		ee = udp_err_find(&msg);
		if (ee)
			udp_err_queued(f, ee, data, (size_t)n);
	}
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &pending_len);
	return pending == ECONNABORTED;
}
