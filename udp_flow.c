// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * udp_flow: UDP conversations: life and death, events, timers
 *
 * One flow per guest address and port, and destination (or client): a host
 * socket of its own, connected, so that only that peer is heard (RFC 4787
 * REQ-8: address and port dependent filtering).
 *
 *	                 open: both sides in the table, socket watched
 *	 the guest's or  |
 *	 a client's  --> LIVE --- none for the timeout, or guest left --> end
 *	 first datagram  | ^
 *	                 v | link writable, or some time has passed
 *	               stalled: the link was full, or the host had no memory;
 *	               the socket keeps what comes
 *
 * Where the host moves to another network, and a flow's socket speaks from an
 * address that is no more, the flow ends with what the guest sends next and finds
 * another way, or, of IPv6, when the timer fires, and the guest begins another.
 *
 * So does one that nobody answers for a while, where it would go another way by
 * then: a client's, to another address of the guest's, or the guest's, from
 * another one of the host's. Who speaks may go on for ever.
 *
 * A client's first datagram proves nothing, not even that it is there: its flow may
 * give way to others until it has spoken after an answer, see flow_admit().
 *
 * Timeout: 30 s until both sides spoke, then 180 s (RFC 4787 REQ-5: at least
 * two minutes), 10 s where it was a query to a DNS server (REQ-5 lets
 * well-known ports have less). Timers are armed when a flow begins and when
 * they fire too early; a datagram only notes the time.
 *
 * The guest's source port is the host's, where it is free (REQ-1, 3): sockets
 * share ports by SO_REUSEADDR, with the listener of a forwarded port and among
 * the guest's conversations from one port. The kernel gives a datagram to the
 * socket that matches best: connected ones come first. It does not refuse two
 * that match alike, so that is looked up here. Nor does it, where all have
 * SO_REUSEADDR, refuse those of another daemon, whose guest may speak from the
 * same port to the same server: so the first of ours to take a port is bound
 * without, and what others hold counts as in use. Where it is not free another
 * one stands for it, the same for all destinations.
 *
 * A forwarded port below 1024 may take a privilege that was given up by now: the
 * flow's socket is then one of any port, which nobody speaks to, and the client
 * goes on to be heard and answered by the listening socket (udp_send.c).
 *
 * Sockets are watched level-triggered: a batch a turn, then the next flow.
 *
 * State: the list of stalled flows, and the ports that stand for the guest's.
 */
#include "udp_flow.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd.h"
#include "fwd_listen.h"
#include "fwd_socket.h"
#include "fwd_udp.h"
#include "lib/log.h"
#include "lib/nomem.h"
#include "lib/slow.h"
#include "lib/stats.h"
#include "link/link.h"
#include "udp_conv.h"
#include "udp_err.h"
#include "udp_out.h"

/** A stalled flow tries again even if no writable event came */
#define UDP_RETRY	(1 * USEC_PER_SEC)

#define UDP_TTL		64
#define UDP_EXPECT	2048

static_assert(sizeof(struct udp_flow) <= FLOW_ROOM, "fits an entry");

/* Index + 1 of the first stalled flow, 0: none */
static uint32_t udp_stalled;
/* What a port of the guest's was replaced by last, of IPv4, of IPv6; 0: never */
static uint16_t udp_instead[2][65536];

static usec_t udp_flow_timeout(const struct udp_flow *u)
{
	if (!u->replied)
		return UDP_UNREPLIED;
	return u->dns ? UDP_DNS : UDP_STREAM;
}

static struct udp_flow *udp_flow_at(uint32_t link)
{
	return udp_of(flow_at(link - 1));
}

static void udp_flow_stall(struct flow *f, usec_t until)
{
	struct udp_flow *u = udp_of(f);

	if (u->stalled)
		return;
	u->stalled = true;
	u->stalled_prev = 0;
	u->stalled_next = udp_stalled;
	udp_stalled = flow_index(f) + 1;
	if (u->stalled_next)
		udp_flow_at(u->stalled_next)->stalled_prev = udp_stalled;
	loop_mod(&u->watch, 0);
	timer_arm(&u->timer, until);
}

static void udp_flow_unlist(struct udp_flow *u)
{
	if (u->stalled_prev)
		udp_flow_at(u->stalled_prev)->stalled_next = u->stalled_next;
	else
		udp_stalled = u->stalled_next;
	if (u->stalled_next)
		udp_flow_at(u->stalled_next)->stalled_prev = u->stalled_prev;
	u->stalled = false;
}

static void udp_flow_resume(struct udp_flow *u)
{
	udp_flow_unlist(u);
	loop_mod(&u->watch, EPOLLIN);
	timer_arm(&u->timer, u->last + udp_flow_timeout(u));
}

/**
 * udp_flow_resume_all() - The link has room again: watch stalled sockets
 */
void udp_flow_resume_all(void)
{
	while (udp_stalled)
		udp_flow_resume(udp_flow_at(udp_stalled));
}

/**
 * udp_flow_close() - End a conversation
 * @f:		flow
 * @now:	time
 */
void udp_flow_close(struct flow *f, usec_t now)
{
	struct udp_flow *u = udp_of(f);

	(void)now;
	if (u->stalled)
		udp_flow_unlist(u);
	timer_cancel(&u->timer);
	loop_del(&u->watch);
	close(u->watch.fd);
	fwd_udp_let_go(udp_host_side(f));
	flow_end(f);
}

/* IPv6 sends from what is no more, and there is something else to send from */
static bool udp_flow_is_outdated(struct flow *f, usec_t now)
{
	return !udp_of(f)->stalled &&
	       fwd_socket_has_lost(udp_host_side(f), now) &&
	       fwd_socket_has_way(IPPROTO_UDP, udp_guest_side(f));
}

/* A client goes to where its rule leads no more: the guest has another address */
static bool udp_flow_is_misled(struct flow *f)
{
	const struct flow_side *host = udp_host_side(f);
	const struct fwd_listener *l =
		fwd_listen_on(IPPROTO_UDP, FWD_IN, host->lport);
	struct flow_side guest;

	if (!l)
		return false;
	for (; l; l = fwd_listen_next(l)) {
		if (fwd_to_guest(fwd_listen_rule(l), host, &guest) &&
		    addr_equal(&guest.remote, &udp_guest_side(f)->remote))
			return false;
	}
	return true;
}

/* Nobody answers, and another flow would go another way */
static bool udp_flow_is_astray(struct flow *f, usec_t now)
{
	const struct udp_flow *u = udp_of(f);

	if (u->heard || u->stalled)
		return false;
	if (u->guest == TGT)
		return udp_flow_is_misled(f);
	return fwd_socket_has_moved(IPPROTO_UDP, udp_guest_side(f),
				    &udp_host_side(f)->local, now);
}

static void udp_flow_on_timer(struct timer *t, usec_t now)
{
	struct udp_flow *u = (struct udp_flow *)
		((uint8_t *)t - offsetof(struct udp_flow, timer));
	usec_t due = u->last + udp_flow_timeout(u);

	if (now >= due || udp_flow_is_outdated(flow_of(u), now) ||
	    udp_flow_is_astray(flow_of(u), now)) {
		udp_flow_close(flow_of(u), now);
		return;
	}
	u->heard &= u->stalled;
	if (u->stalled)
		udp_flow_resume(u);
	else
		timer_arm(t, due);
}

/**
 * udp_flow_spoke() - A datagram went: the flow lives on
 * @f:		flow
 * @side:	INI or TGT, where it came from
 * @now:	time
 */
void udp_flow_spoke(struct flow *f, unsigned side, usec_t now)
{
	struct udp_flow *u = udp_of(f);

	u->last = now;
	if (side == INI) {
		if (u->replied)
			flow_trust(f);
		return;
	}
	u->heard = true;
	/* the last one to give way, as long as it is in doubt */
	if (flow_trust(f))
		flow_doubt(f);
	if (u->replied)
		return;
	u->replied = true;
	/* One that is stalled tries again before */
	if (u->dns && !u->stalled)
		timer_arm(&u->timer, now + UDP_DNS);
}

static void udp_flow_on_event(struct watch *w, uint32_t events, usec_t now)
{
	struct udp_flow *u = (struct udp_flow *)
		((uint8_t *)w - offsetof(struct udp_flow, watch));
	struct flow *f = flow_of(u);
	int rc;

	if (events & EPOLLERR && udp_err_drain(f)) {
		udp_flow_close(f, now);
		return;
	}
	if (!(events & EPOLLIN))
		return;
	rc = udp_out_recv(f);
	/* No event tells that the host has memory again */
	if (rc < 0)
		udp_flow_stall(f, now + (rc == -ENOMEM ? NOMEM_PAUSE :
							 UDP_RETRY));
	else if (rc)
		udp_flow_spoke(f, !u->guest, now);
}

static int udp_flow_setup(int fd, const struct flow_side *host,
			  const char *ifname)
{
	bool v4 = addr_is_v4(&host->remote);
	const int rcvbuf = FWD_SOCKET_RCVBUF, sndbuf = FWD_SOCKET_SNDBUF;
	const int on = 1;
	int rc = fwd_socket_set_device(fd, ifname);

	/* speaking from --outbound's address, it is bound to --outbound-if */
	if (rc == -EPERM)
		rc = 0;
	/* bursts wait there while the guest is slow: a wish, no need; or the host
	 * is, and the guest, which is not held up as a program of it would be
	 */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	/* several of one size as one, where the link takes them so (Linux 5.0) */
	if (link_caps()->gso_udp)
		setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
	if (!rc && setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
			      v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof(on)))
		rc = -errno;
	return rc;
}

/* From this port the socket would hear itself */
static bool udp_flow_is_own_peer(const struct flow_side *host)
{
	return host->lport == host->rport &&
	       addr_equal(&host->local, &host->remote);
}

/* The address and port that the kernel chose. Return: -EADDRINUSE where there
 * is such a flow already, or its peer is the socket itself
 */
static int udp_flow_learn_local(int fd, struct flow_side *host)
{
	struct endpoint e;
	unsigned side;
	int rc = addr_of_socket(fd, &e);

	if (rc)
		return rc;
	host->local = e.addr;
	host->lport = e.port;
	if (udp_flow_is_own_peer(host))
		return -EADDRINUSE;
	return flow_lookup(IPPROTO_UDP, host, &side) ? -EADDRINUSE : 0;
}

/* Bound, to a port of its own or to one that is ours already */
static int udp_flow_socket(const struct flow_side *host)
{
	unsigned family = addr_is_v4(&host->remote) ? FWD_V4 : FWD_V6;

	if (!host->lport || fwd_udp_held(family, host->lport) ||
	    fwd_listen_on(IPPROTO_UDP, FWD_IN, host->lport))
		return fwd_socket_open(IPPROTO_UDP, host);
	return fwd_socket_open_alone(host);
}

/* A connected socket, @host completed, bound to @ifname unless that is "" */
static int udp_flow_connect(struct flow_side *host, const char *ifname)
{
	const struct endpoint peer = { host->remote, host->rport,
				       host->ifindex };
	int fd = udp_flow_socket(host), rc;
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&peer, &sa);

	if (fd < 0)
		return fd;
	rc = udp_flow_setup(fd, host, ifname);
	if (!rc && connect(fd, &sa.sa, len))
		rc = -errno;
	if (!rc)
		rc = udp_flow_learn_local(fd, host);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/* The same, from this port; 0: from any, which others may share from here on */
static int udp_flow_connect_at(struct flow_side *host, uint16_t port)
{
	const struct flow_side keep = *host;
	const int on = 1;
	int fd;

	host->lport = port;
	fd = udp_flow_connect(host, "");
	if (fd < 0)
		*host = keep;
	else if (!port)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return fd;
}

static bool udp_flow_has_no_port(int fd)
{
	return fd == -EADDRINUSE || fd == -EACCES;
}

/* The same, from this port where that can be had, else from its stand-in */
static int udp_flow_connect_from(struct flow_side *host, uint16_t port)
{
	uint16_t *instead = &udp_instead[!addr_is_v4(&host->remote)][port];
	int fd = -EADDRINUSE;

	if (port)
		fd = udp_flow_connect_at(host, port);
	if (udp_flow_has_no_port(fd) && *instead)
		fd = udp_flow_connect_at(host, *instead);
	if (!udp_flow_has_no_port(fd))
		return fd;
	fd = udp_flow_connect_at(host, 0);
	if (fd >= 0 && port)
		*instead = host->lport;
	return fd;
}

/*
 * From the port that the client spoke to; or from any, and by the listening
 * socket, where that one takes a privilege
 */
static int udp_flow_connect_inbound(struct flow *f, const struct fwd_listener *l)
{
	const char *ifname = fwd_listen_rule(l)->ifname;
	struct flow_side *host = &f->side[INI], any = *host;
	int fd = udp_flow_connect(host, ifname);

	if (fd != -EACCES)
		return fd;
	udp_of(f)->listener = l;
	any.lport = 0;
	return udp_flow_connect(&any, ifname);
}

static int udp_flow_watch(struct flow *f, int fd, usec_t now)
{
	struct udp_flow *u = udp_of(f);
	int rc;

	u->watch = (struct watch){ .fn = udp_flow_on_event, .fd = fd };
	rc = loop_add(&u->watch, EPOLLIN);
	if (rc)
		return rc;
	u->timer.fn = udp_flow_on_timer;
	u->last = now;
	u->expect = UDP_EXPECT;
	u->ttl = UDP_TTL;
	u->dns = f->side[TGT].rport == UDP_DNS_PORT;
	timer_arm(&u->timer, now + UDP_UNREPLIED);
	fwd_udp_hold(udp_host_side(f));
	flow_hash(f, INI);
	flow_hash(f, TGT);
	stat_add(STAT_UDP_FLOWS, 1);
	return 0;
}

static int udp_flow_start(struct flow *f, int fd, usec_t now)
{
	char text[5 * ADDR_STRLEN];
	int rc = fd < 0 ? fd : udp_flow_watch(f, fd, now);

	if (rc) {
		if (fd >= 0)
			close(fd);
		flow_end(f);
		if (rc == -EMFILE || rc == -ENFILE)
			warn_limited("Out of file descriptors: new UDP flows "
				     "refused");
		return rc;
	}
	if (log_enabled(LOG_LEVEL_DEBUG))
		debug("%s: new", flow_text(f, text, sizeof(text)));
	return 0;
}

/**
 * udp_flow_open_outbound() - Begin a conversation of the guest
 * @guest:	the guest's side, not in the table yet
 * @port:	to speak from, where it can be had
 * @now:	time
 * @flow:	set to the flow
 * Return: 0; -ENOENT: its destination leads nowhere, -ENOSPC: the table is
 *	   full, -EAGAIN: the turn has taken long enough; or what the host says
 *	   against the destination
 */
int udp_flow_open_outbound(const struct flow_side *guest, uint16_t port,
			   usec_t now, struct flow **flow)
{
	struct flow_side host;
	struct flow *f;
	usec_t start;
	int fd;

	if (slow_held(now))
		return -EAGAIN;
	if (!fwd_to_host(IPPROTO_UDP, guest, &host))
		return -ENOENT;
	f = flow_new(FLOW_UDP, IPPROTO_UDP);
	if (!f)
		return -ENOSPC;
	f->side[INI] = *guest;
	f->side[TGT] = host;
	udp_of(f)->guest = INI;
	*flow = f;
	/* Looks through all sockets that share the port */
	start = slow_clock();
	fd = udp_flow_connect_from(&f->side[TGT], port);
	slow_done(now, start);
	return udp_flow_start(f, fd, now);
}

/**
 * udp_flow_open_inbound() - Begin a conversation of a client on the host
 * @host:	the host's side: the client, and what it sent to; not in the
 *		table yet
 * @guest:	the guest's side, not in the table yet
 * @l:		listener that it came to; answers leave by the interface of its
 *		rule
 * @now:	time
 * Return: the flow, or NULL with the drop counted
 */
struct flow *udp_flow_open_inbound(const struct flow_side *host,
				   const struct flow_side *guest,
				   const struct fwd_listener *l, usec_t now)
{
	struct flow *f = NULL;
	usec_t start;
	int fd;

	if (fwd_listen_admit(l, now))
		f = flow_new(FLOW_UDP, IPPROTO_UDP);
	if (!f) {
		drop(DROP_TABLE_FULL);
		return NULL;
	}
	f->side[INI] = *host;
	f->side[TGT] = *guest;
	udp_of(f)->guest = TGT;
	/* Looks through all sockets that share the port */
	start = slow_clock();
	fd = udp_flow_connect_inbound(f, l);
	slow_done(now, start);
	if (udp_flow_start(f, fd, now)) {
		drop(DROP_NO_SOCKET);
		return NULL;
	}
	flow_doubt(f);
	return f;
}

/**
 * udp_flow_init() - Answer for the flows of this type
 */
void udp_flow_init(void)
{
	static const struct flow_ops ops = {
		.name = "UDP",
		.guest_left = udp_flow_close,
		.stop = udp_flow_close,
	};

	flow_register(FLOW_UDP, &ops);
}
