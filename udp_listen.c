// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * udp_listen: forwarded ports: datagrams of clients not known yet
 *
 * A client's first datagram comes to the listening socket of the port and
 * begins a flow; the flow's own socket is bound to the address that the client
 * sent to (IP_PKTINFO, ip(7)), so replies leave from there, and connected, so
 * the kernel hands it all that follows. What had come to the listening socket
 * before that goes to the flow, too. What the link has no room for is dropped.
 * Where a port has so many clients that a new one costs the kernel a long search,
 * datagrams are taken one by one, until the turn has taken long enough. Clients
 * that fwd.c leads past the link are udp_splice.c's.
 *
 * State: none, but the buffers of a batch.
 */
#include "udp_listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd.h"
#include "fwd_listen.h"
#include "lib/nomem.h"
#include "lib/slow.h"
#include "lib/stats.h"
#include "udp_conv.h"
#include "udp_flow.h"
#include "udp_out.h"
#include "udp_splice.h"

/** Datagrams taken from one a turn */
#define UDP_LISTEN_BATCH	16

union udp_listen_control {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
		  CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static struct {
	struct mmsghdr msg[UDP_LISTEN_BATCH];
	union sockaddr_any from[UDP_LISTEN_BATCH];
	union udp_listen_control control[UDP_LISTEN_BATCH];
	struct iovec iov[UDP_LISTEN_BATCH];
} batch;

/* What was sent to all of a network came to the one address that we have there */
static struct addr udp_listen_local4(const struct in_pktinfo *info)
{
	struct addr to = addr_from_v4(&info->ipi_addr);

	return addr_is_unicast(&to) && info->ipi_spec_dst.s_addr ?
	       addr_from_v4(&info->ipi_spec_dst) : to;
}

/*
 * Address that a datagram was sent to; of an IPv4 one, an IPv6 socket tells both
 * ways, and IPv6's first
 */
static bool udp_listen_local(struct msghdr *m, struct flow_side *host)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct in6_pktinfo info6;
		struct in_pktinfo info4;

		if (c->cmsg_level == IPPROTO_IPV6 &&
		    c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info6, CMSG_DATA(c), sizeof(info6));
			host->local = addr_from_v6(&info6.ipi6_addr);
			if (addr_is_link_local6(&host->local))
				host->ifindex = info6.ipi6_ifindex & 0x3fffffff;
		}
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info4, CMSG_DATA(c), sizeof(info4));
			host->local = udp_listen_local4(&info4);
		}
	}
	return addr_is_unicast(&host->local);
}

static bool udp_listen_host_side(const struct fwd_listener *l, unsigned i,
				 struct flow_side *host)
{
	struct endpoint from = addr_from_sockaddr(&batch.from[i]);

	*host = (struct flow_side){
		.remote = from.addr,
		.rport = from.port,
		.lport = l->port,
		.ifindex = from.ifindex & 0x3fffffff,
		.place = l->way == FWD_OUT ? FLOW_AT_NS : FLOW_AT_HOST,
	};
	return from.port && udp_listen_local(&batch.msg[i].msg_hdr, host);
}

/* Whether that is a flow of this client, as the guest knows it */
static bool udp_listen_is_of(const struct flow *f, unsigned guest_side,
			     const struct flow_side *client)
{
	const struct flow_side *known = &f->side[!guest_side];

	return known->rport == client->rport &&
	       addr_equal(&known->remote, &client->remote);
}

/* The flow of a client, else a new one. One that the guest takes for the same, but
 * whose answers come from elsewhere than the client speaks to now, is over.
 */
static struct flow *udp_listen_flow(const struct fwd_listener *l,
				    const struct flow_side *host, usec_t now)
{
	const struct port_rule *rule = fwd_listen_rule(l);
	struct flow_side guest;
	unsigned side;
	struct flow *f = flow_lookup(IPPROTO_UDP, host, &side);

	if (f)
		return f;
	if (!rule || !fwd_to_guest(rule, host, &guest)) {
		drop(DROP_NO_ROUTE);
		return NULL;
	}
	f = flow_lookup(IPPROTO_UDP, &guest, &side);
	/* two clients that would look the same to the guest */
	if (f && !udp_listen_is_of(f, side, host)) {
		drop(DROP_NO_ROUTE);
		return NULL;
	}
	if (!udp_out_has_room(&guest)) {
		drop(DROP_NO_ROOM);
		return NULL;
	}
	if (f)
		udp_flow_close(f, now);
	return udp_flow_open_inbound(host, &guest, l, now);
}

static void udp_listen_forward(const struct fwd_listener *l, unsigned i,
			       usec_t now)
{
	const struct iovec data = { udp_out_buffer(i), batch.msg[i].msg_len };
	struct flow_side host;
	struct flow *f;

	if (!udp_listen_host_side(l, i, &host)) {
		drop(DROP_NO_ROUTE);
		return;
	}
	if (udp_splice_take(l, &host, &data, now))
		return;
	f = udp_listen_flow(l, &host, now);
	if (!f)
		return;
	udp_flow_spoke(f, !udp_of(f)->guest, now);
	udp_out_send(udp_guest_side(f), data.iov_base, data.iov_len);
}

static int udp_listen_fetch(int fd, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		batch.iov[i] = (struct iovec){ udp_out_buffer(i),
					       UDP_DATAGRAM_MAX };
		batch.msg[i].msg_hdr = (struct msghdr){
			.msg_name = &batch.from[i],
			.msg_namelen = sizeof(batch.from[i]),
			.msg_iov = &batch.iov[i],
			.msg_iovlen = 1,
			.msg_control = &batch.control[i],
			.msg_controllen = sizeof(batch.control[i]),
		};
	}
	return recvmmsg(fd, batch.msg, n, MSG_DONTWAIT, NULL);
}

/*
 * Level-triggered: what is left when others have waited long enough comes in the
 * next turn
 */
static void udp_listen_on_event(struct watch *w, uint32_t events, usec_t now)
{
	const struct fwd_listener *l = (void *)w;
	unsigned step = slow_lately(now) ? 1 : UDP_LISTEN_BATCH;
	int n = (int)step;

	(void)events;
	for (unsigned done = 0; done < UDP_LISTEN_BATCH && n == (int)step &&
				!slow_held(now); done += step) {
		/* any other error is cleared by the call that returns it */
		n = udp_listen_fetch(w->fd, step);
		if (n < 0 && nomem(errno))
			fwd_listen_pause((void *)w, now);
		for (int i = 0; i < n; i++)
			udp_listen_forward(l, (unsigned)i, now);
		udp_splice_flush();
	}
}

/**
 * udp_listen_all() - Listen on all forwarded ports
 * Return: 0, or a negative error code; see fwd_listen_start()
 */
int udp_listen_all(void)
{
	return fwd_listen_start(IPPROTO_UDP, udp_listen_on_event);
}
