// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * icmp: echo over ping sockets, and the ICMP errors that we send
 *
 * A flow per guest address, echo identifier and destination: a ping socket
 * (icmp(7), Linux 3.0; IPv6 3.11) that needs no capability where
 * net.ipv4.ping_group_range has our group. Its kernel owns the identifier: we
 * ask for the guest's by bind(), and put the guest's back into replies in any
 * case. Sequence and data pass unchanged; so does the TTL, by a control message
 * with each request, and errors of the way come back from the error queue:
 * traceroute works. Flows end 60 s after the last packet.
 *
 * Errors: RFC 792, 1122 3.2.2, 1191, 1812 4.3.2.3 for IPv4, RFC 4443 for IPv6.
 *
 * State: whether echo is switched off, and one datagram being received.
 */
#include "icmp.h"

#include <assert.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flow.h"
#include "frame_out.h"
#include "fwd.h"
#include "fwd_socket.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/nomem.h"
#include "lib/stats.h"

#define ICMP_TIMEOUT		(60 * USEC_PER_SEC)
/** Packets taken from a socket a turn */
#define ICMP_BATCH		16
#define ICMP_TTL		64

#define ICMP4_ECHO_REPLY	0
#define ICMP4_ECHO		8
#define ICMP4_TIME_EXCEEDED	11
#define ICMP6_TOO_BIG		2
#define ICMP6_TIME_EXCEEDED	3
#define ICMP6_ECHO		128
#define ICMP6_ECHO_REPLY	129

/** Most of an offending packet that is quoted (RFC 1812, RFC 4443 2.4 (c)) */
#define ICMP4_QUOTE		(576 - IP4_HLEN - ICMP_HLEN)
#define ICMP6_QUOTE		(1280 - IP6_HLEN - ICMP_HLEN)

/**
 * struct icmp_flow - what is kept of a sequence of pings
 * @watch:	the ping socket, connected
 * @timer:	its end, armed lazily
 * @last:	when a packet last went either way
 * @heard:	a reply has come since the timer was last due
 * @paused:	the socket is not watched until the timer fires
 */
struct icmp_flow {
	struct watch watch;
	struct timer timer;
	usec_t last;
	bool heard;
	bool paused;
};

static_assert(sizeof(struct icmp_flow) <= FLOW_ROOM, "fits an entry");

/**
 * struct icmp_code - what an error of the host stands for
 * @host_errno:	the error
 * @type4:	ICMP type
 * @code4:	ICMP code
 * @type6:	ICMPv6 type
 * @code6:	ICMPv6 code
 */
struct icmp_code {
	int host_errno;
	uint8_t type4, code4;
	uint8_t type6, code6;
};

/* The inverse of what the kernel makes of them (ip(7), RFC 1122 4.2.3.9); what
 * is not in the list is an unreachable host or address
 */
static const struct icmp_code icmp_codes[] = {
	{ ECONNREFUSED, ICMP4_UNREACH, 3, ICMP6_UNREACH, 4 },
	{ ENOPROTOOPT, ICMP4_UNREACH, 2, ICMP6_UNREACH, 4 },
	{ ENETUNREACH, ICMP4_UNREACH, 0, ICMP6_UNREACH, 0 },
	{ EACCES, ICMP4_UNREACH, 13, ICMP6_UNREACH, 1 },
	{ EPERM, ICMP4_UNREACH, 13, ICMP6_UNREACH, 1 },
	{ EMSGSIZE, ICMP4_UNREACH, ICMP4_FRAG_NEEDED, ICMP6_TOO_BIG, 0 },
	{ 0, ICMP4_UNREACH, 1, ICMP6_UNREACH, 3 },
};

static bool icmp_off;
static uint8_t icmp_buffer[65536];

static const struct icmp_code *icmp_code_of(int host_errno)
{
	const struct icmp_code *c = icmp_codes;

	while (c->host_errno && c->host_errno != host_errno)
		c++;
	return c;
}

/* Errors that may be passed on: the others ask for more than a quote */
static bool icmp_is_error(bool v4, uint8_t type)
{
	if (v4)
		return type == ICMP4_UNREACH || type == ICMP4_TIME_EXCEEDED;
	return type == ICMP6_UNREACH || type == ICMP6_TOO_BIG ||
	       type == ICMP6_TIME_EXCEEDED;
}

/**
 * icmp_error_send() - Send the guest an ICMP error
 * @e:		the error
 *
 * How often is the caller's matter.
 *
 * Return: true; false with the drop counted if there is no such error or the
 *	   link has no room
 */
bool icmp_error_send(const struct icmp_error *e)
{
	const struct packet_ends ends = guest_ends(&e->from, &e->to);
	const struct icmp_code *c = icmp_code_of(e->host_errno);
	bool v4 = addr_is_v4(&e->to);
	size_t most = v4 ? ICMP4_QUOTE : ICMP6_QUOTE;
	struct iovec iov = { (void *)(uintptr_t)e->quoted, e->quoted_len };
	struct slice quote = { &iov, 1, 0,
			       e->quoted_len < most ? e->quoted_len : most };
	uint8_t h[ICMP_HLEN] = { v4 ? c->type4 : c->type6,
				 v4 ? c->code4 : c->code6 };

	if (e->type) {
		h[0] = e->type;
		h[1] = e->code;
	}
	if (!icmp_is_error(v4, h[0]) || addr_is_v4(&e->from) != v4)
		return drop(DROP_PROTOCOL);
	if (v4 && h[0] == ICMP4_UNREACH && h[1] == ICMP4_FRAG_NEEDED)
		put_be16(h + 6, (uint16_t)(e->mtu < UINT16_MAX ? e->mtu :
							UINT16_MAX));
	else if (!v4 && h[0] == ICMP6_TOO_BIG)
		put_be32(h + 4, e->mtu);
	return frame_send(&ends, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, h,
			  sizeof(h), &quote);
}

static struct icmp_flow *icmp_of(struct flow *f)
{
	return flow_as(f, struct icmp_flow);
}

static bool icmp_is_v4(const struct flow *f)
{
	return f->proto == IPPROTO_ICMP;
}

static void icmp_flow_close(struct flow *f, usec_t now)
{
	struct icmp_flow *i = icmp_of(f);

	(void)now;
	timer_cancel(&i->timer);
	loop_del(&i->watch);
	close(i->watch.fd);
	flow_end(f);
}

/* See udp_flow.c */
static bool icmp_is_outdated(struct flow *f, usec_t now)
{
	const struct icmp_flow *i = icmp_of(f);
	const struct flow_side *g = &f->side[INI], *host = &f->side[TGT];

	if (i->paused)
		return false;
	if (!i->heard && fwd_socket_has_moved(f->proto, g, &host->local, now))
		return true;
	return fwd_socket_has_lost(host, now) &&
	       fwd_socket_has_way(f->proto, g);
}

static void icmp_on_timer(struct timer *t, usec_t now)
{
	struct icmp_flow *i = (struct icmp_flow *)
		((uint8_t *)t - offsetof(struct icmp_flow, timer));

	if (now >= i->last + ICMP_TIMEOUT ||
	    icmp_is_outdated(flow_of(i), now)) {
		icmp_flow_close(flow_of(i), now);
		return;
	}
	i->heard &= i->paused;
	if (i->paused)
		i->paused = loop_mod(&i->watch, EPOLLIN);
	timer_arm(t, i->paused ? now + NOMEM_PAUSE : i->last + ICMP_TIMEOUT);
}

/* A level-triggered socket would spin */
static void icmp_pause(struct icmp_flow *i, usec_t now)
{
	i->paused = !loop_mod(&i->watch, 0);
	if (i->paused)
		timer_arm(&i->timer, now + NOMEM_PAUSE);
}

/* One reply in icmp_buffer, if it is one of the flow's peer: the kernel looks
 * at the identifier only
 */
static void icmp_reply(struct flow *f, const union sockaddr_any *from,
		       size_t len)
{
	const struct flow_side *g = &f->side[INI];
	const struct packet_ends e = guest_ends(&g->local, &g->remote);
	const struct addr peer = addr_from_sockaddr(from).addr;
	struct cur c = cur_of(icmp_buffer, len);
	const uint8_t *h = cur_take(&c, ICMP_HLEN);
	const struct iovec iov = { icmp_buffer + ICMP_HLEN, c.left };
	const struct slice payload = { &iov, 1, 0, c.left };
	uint8_t out[ICMP_HLEN];

	if (!h || !addr_equal(&peer, &f->side[TGT].remote) ||
	    h[0] != (icmp_is_v4(f) ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY))
		return;
	memcpy(out, h, sizeof(out));
	put_be16(out + 2, 0);
	put_be16(out + 4, g->rport);
	frame_send(&e, f->proto, out, sizeof(out), &payload);
}

static void icmp_receive(struct flow *f, usec_t now)
{
	for (unsigned n = 0; n < ICMP_BATCH; n++) {
		union sockaddr_any from = { .sa.sa_family = AF_UNSPEC };
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(icmp_of(f)->watch.fd, icmp_buffer,
				       sizeof(icmp_buffer), MSG_DONTWAIT,
				       &from.sa, &from_len);

		if (len < 0 && nomem(errno))
			icmp_pause(icmp_of(f), now);
		if (len < 0)
			return;
		icmp_of(f)->last = now;
		icmp_of(f)->heard = true;
		icmp_reply(f, &from, (size_t)len);
	}
}

/* The IP and ICMP headers as the guest sent them, before what was quoted of
 * its request to us; its checksum is that of the host's identifier
 */
static void icmp_tell(struct flow *f, struct icmp_error *e, const uint8_t *icmp,
		      size_t len)
{
	static const uint8_t mac[6];
	const struct flow_side *g = &f->side[INI];
	const struct packet_ends ends = {
		.smac = mac, .dmac = mac, .src = g->remote, .dst = g->local,
		.ttl = ICMP_TTL,
	};
	uint8_t buf[PACKET_HDR_OUT_MAX + ICMP6_QUOTE];
	struct out o = out_of(buf, sizeof(buf));
	uint8_t *h;

	if (len < ICMP_HLEN)
		return;
	len = len < ICMP6_QUOTE ? len : ICMP6_QUOTE;
	o.len = packet_put_l2l3(buf, &ends, f->proto, len);
	h = out_room(&o, len);
	assert(h);
	memcpy(h, icmp, len);
	put_be16(h + 4, g->rport);
	e->to = g->remote;
	if (addr_is_unspecified(&e->from) || addr_is_loopback(&e->from) ||
	    guest_holds(&e->from))
		e->from = g->local;
	e->quoted = buf + ETH_HLEN_;
	e->quoted_len = o.len - ETH_HLEN_;
	icmp_error_send(e);
}

static void icmp_tell_queued(struct flow *f, struct msghdr *m, size_t len)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	const struct sock_extended_err *ee;
	struct icmp_error e = { 0 };
	union sockaddr_any from;

	if (!c || c->cmsg_type != (icmp_is_v4(f) ? IP_RECVERR : IPV6_RECVERR))
		return;
	ee = (const void *)CMSG_DATA(c);
	if (ee->ee_origin != SO_EE_ORIGIN_ICMP &&
	    ee->ee_origin != SO_EE_ORIGIN_ICMP6)
		return;
	e.host_errno = (int)ee->ee_errno;
	e.type = ee->ee_type;
	e.code = ee->ee_code;
	e.mtu = ee->ee_info;
	memcpy(&from, SO_EE_OFFENDER(ee),
	       icmp_is_v4(f) ? sizeof(from.sin) : sizeof(from.sin6));
	if (from.sa.sa_family != AF_UNSPEC)
		e.from = addr_from_sockaddr(&from).addr;
	icmp_tell(f, &e, icmp_buffer, len);
}

/* Passes on what the error queue holds, takes the error off the socket */
static void icmp_drain_errors(struct flow *f)
{
	int fd = icmp_of(f)->watch.fd, pending;
	socklen_t pending_len = sizeof(pending);

	for (unsigned n = 0; n < ICMP_BATCH; n++) {
		_Alignas(struct cmsghdr) uint8_t control[512];
		struct iovec iov = { icmp_buffer, sizeof(icmp_buffer) };
		struct msghdr m = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t len = recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);

		if (len < 0)
			break;
		icmp_tell_queued(f, &m, (size_t)len);
	}
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &pending_len);
}

static void icmp_on_event(struct watch *w, uint32_t events, usec_t now)
{
	struct icmp_flow *i = (struct icmp_flow *)
		((uint8_t *)w - offsetof(struct icmp_flow, watch));

	if (events & EPOLLERR)
		icmp_drain_errors(flow_of(i));
	if (events & EPOLLIN)
		icmp_receive(flow_of(i), now);
}

static void icmp_warn_forbidden(void)
{
	static bool warned;

	if (!warned)
		warn("Pings of the guest go unanswered: the sysctl "
		     "net.ipv4.ping_group_range does not include our group");
	warned = true;
}

static int icmp_socket(uint8_t proto, const struct flow_side *host)
{
	const struct endpoint peer = { host->remote, 0, host->ifindex };
	bool v4 = addr_is_v4(&host->remote);
	int fd = fwd_socket_open(proto, host), rc = 0;
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&peer, &sa);
	const int on = 1;

	/* of a broadcast, or of a route that forbids, connect() says so, too */
	if (fd == -EACCES)
		icmp_warn_forbidden();
	if (fd < 0)
		return fd;
	if (setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
		       v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof(on)) ||
	    connect(fd, &sa.sa, len))
		rc = -errno;
	if (rc)
		close(fd);
	return rc ? rc : fd;
}

/* With the guest's identifier where it is free, else with any */
static int icmp_socket_from(uint8_t proto, struct flow_side *host, uint16_t id)
{
	int fd;

	host->lport = id;
	fd = icmp_socket(proto, host);
	if (fd != -EADDRINUSE)
		return fd;
	host->lport = 0;
	return icmp_socket(proto, host);
}

/* What the kernel chose to speak from, for fwd_socket_has_lost() */
static void icmp_learn_local(int fd, struct flow_side *host)
{
	struct endpoint e;

	if (!addr_of_socket(fd, &e))
		host->local = e.addr;
}

static int icmp_flow_start(struct flow *f, usec_t now)
{
	struct flow_side *g = &f->side[INI], *host = &f->side[TGT];
	struct icmp_flow *i = icmp_of(f);
	int rc;

	i->watch.fn = icmp_on_event;
	i->watch.fd = icmp_socket_from(f->proto, host, g->rport);
	if (i->watch.fd < 0)
		return i->watch.fd;
	rc = loop_add(&i->watch, EPOLLIN);
	if (rc) {
		close(i->watch.fd);
		return rc;
	}
	icmp_learn_local(i->watch.fd, host);
	i->last = now;
	i->timer.fn = icmp_on_timer;
	timer_arm(&i->timer, now + ICMP_TIMEOUT);
	flow_hash(f, INI);
	stat_add(STAT_ICMP_FLOWS, 1);
	return 0;
}

static void icmp_refused(struct flow *f, const struct packet *p, int rc);

static struct flow *icmp_flow_open(const struct packet *p,
				   const struct flow_side *guest, usec_t now)
{
	struct flow_side host;
	struct flow *f;
	int rc;

	if (!fwd_to_host(p->proto, guest, &host)) {
		drop(DROP_NO_ROUTE);
		return NULL;
	}
	f = flow_new(FLOW_ICMP, p->proto);
	if (!f) {
		drop(DROP_TABLE_FULL);
		return NULL;
	}
	f->side[INI] = *guest;
	f->side[TGT] = host;
	rc = icmp_flow_start(f, now);
	if (!rc)
		return f;
	icmp_refused(f, p, rc);
	flow_end(f);
	return NULL;
}

static void icmp_put_header(uint8_t h[ICMP_HLEN], const struct packet *p)
{
	memset(h, 0, ICMP_HLEN);
	h[0] = p->icmp.type;
	put_be16(h + 4, p->icmp.id);
	put_be16(h + 6, p->icmp.seq);
}

/* A request that the host did not take: told where a router would tell */
static void icmp_refused(struct flow *f, const struct packet *p, int rc)
{
	struct icmp_error e = { 0 };
	uint8_t quote[ICMP6_QUOTE];

	if (fwd_socket_is_cut_off(rc))
		rc = -ENETUNREACH;
	e.host_errno = -rc;
	if (rc == -ENETUNREACH || rc == -EHOSTUNREACH) {
		icmp_put_header(quote, p);
		icmp_tell(f, &e, quote, ICMP_HLEN +
			  slice_copy(&p->payload, 0, quote + ICMP_HLEN,
				     sizeof(quote) - ICMP_HLEN));
	}
	drop(DROP_NO_SOCKET);
}

static int icmp_send(struct flow *f, const struct packet *p)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
	uint8_t h[ICMP_HLEN];
	struct iovec iov[64] = { { h, sizeof(h) } };
	struct msghdr m = {
		.msg_iov = iov,
		.msg_iovlen = 1 + slice_gather(&p->payload, iov + 1, 63),
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int ttl = p->ttl;

	memset(control, 0, sizeof(control));
	c->cmsg_level = icmp_is_v4(f) ? IPPROTO_IP : IPPROTO_IPV6;
	c->cmsg_type = icmp_is_v4(f) ? IP_TTL : IPV6_HOPLIMIT;
	c->cmsg_len = CMSG_LEN(sizeof(ttl));
	memcpy(CMSG_DATA(c), &ttl, sizeof(ttl));
	icmp_put_header(h, p);
	return sendmsg(icmp_of(f)->watch.fd, &m, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* Return: 0, or a negative error code of this request, of no earlier one */
static int icmp_try(struct flow *f, const struct packet *p)
{
	int rc = icmp_send(f, p);

	if (!rc || rc == -EAGAIN || rc == -ENOBUFS)
		return rc;
	icmp_drain_errors(f);
	return icmp_send(f, p);
}

static void icmp_echo(const struct packet *p, usec_t now)
{
	const struct flow_side guest = {
		.remote = p->src,
		.local = p->dst,
		.rport = p->icmp.id,
		.place = FLOW_AT_GUEST,
	};
	struct flow *f = flow_lookup(p->proto, &guest, NULL);
	int rc = 0;

	if (f) {
		icmp_of(f)->last = now;
		rc = icmp_try(f, p);
	}
	if (fwd_socket_is_stranded(rc)) {
		rc = -ENETUNREACH;
		if (fwd_socket_has_way(p->proto, &guest)) {
			icmp_flow_close(f, now);
			f = NULL;
		}
	}
	if (!f) {
		f = icmp_flow_open(p, &guest, now);
		if (!f)
			return;
		rc = icmp_try(f, p);
	}
	if (rc == -EAGAIN || rc == -ENOBUFS)
		drop(DROP_NO_ROOM);
	else if (rc)
		icmp_refused(f, p, rc);
}

/**
 * icmp_input() - ICMP or ICMPv6 from the guest, but for neighbour discovery and
 *		  what concerns TCP
 * @run:	one or more packets, linked by @next
 * @now:	time
 *
 * Only echo requests go on; errors and anything else are counted and dropped.
 */
void icmp_input(const struct packet *run, usec_t now)
{
	for (; run; run = run->next) {
		uint8_t echo = run->proto == IPPROTO_ICMP ? ICMP4_ECHO :
							    ICMP6_ECHO;

		if (icmp_off)
			drop(DROP_DISABLED);
		else if (run->icmp.type != echo || run->icmp.code)
			drop(DROP_PROTOCOL);
		else
			icmp_echo(run, now);
	}
}

/**
 * icmp_init() - Get ready
 * @c:		configuration
 * @now:	time
 * Return: 0: sockets are opened when the guest pings, and refused then
 */
int icmp_init(const struct conf *c, usec_t now)
{
	static const struct flow_ops ops = {
		.name = "ICMP",
		.guest_left = icmp_flow_close,
		.stop = icmp_flow_close,
	};

	(void)now;
	icmp_off = c->no_icmp;
	flow_register(FLOW_ICMP, &ops);
	return 0;
}
