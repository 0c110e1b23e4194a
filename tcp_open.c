// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcp_open: how connections begin: the guest's SYN, the host's accept()
 *
 *	guest            daemon             host's peer
 *	SYN ------------> connect() -------> SYN
 *	                  EPOLLOUT <-------- SYN-ACK     the guest hears nothing
 *	SYN-ACK <--------                                before the peer has spoken
 *
 *	                  accept() <-------- SYN, ACK
 *	SYN <------------                                again and again, with
 *	SYN-ACK --------> ESTABLISHED                    back-off, until it answers
 *
 * Accepted ones that fwd.c leads past the link are tcp_splice.c's.
 *
 * State: none. Sources: RFC 9293 3.5, 3.10.7; RFC 6528
 * (initial sequence numbers); RFC 5461 4.1, RFC 1122 4.2.3.9 (unreachable
 * destinations: the guest gets the ICMP error that the host got).
 */
#include "tcp_open.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd.h"
#include "fwd_listen.h"
#include "fwd_socket.h"
#include "guest.h"
#include "host/tcpinfo.h"
#include "icmp.h"
#include "lib/log.h"
#include "lib/slow.h"
#include "lib/stats.h"
#include "tcp_conn.h"
#include "tcp_in.h"
#include "tcp_out.h"
#include "tcp_splice.h"
#include "tcp_window.h"

/* Connections accepted from one socket before others get their turn */
#define TCP_ACCEPT_TURN		64

static struct tcp_conn *tcp_conn_of(struct flow *f)
{
	return flow_as(f, struct tcp_conn);
}

static void tcp_socket_options(int fd)
{
	static const int on = 1;
	static const uint32_t any = UINT32_MAX;

	/* None can fail on a TCP socket; they are for speed and order only */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	/* The window is the room in the send queue: it is to be taken, then */
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &any, sizeof(any));
}

/* RFC 6528 3: a clock of 4 us plus a keyed hash of the connection */
static uint32_t tcp_isn(const struct flow_side *g, usec_t now)
{
	struct {
		struct addr remote, local;
		uint16_t rport, lport;
	} tuple = { g->remote, g->local, g->rport, g->lport };

	return (uint32_t)(now / 4) +
	       (uint32_t)flow_secret(&tuple, sizeof(tuple));
}

/* Headers of the guest's SYN, as far as an ICMP error quotes them */
static size_t tcp_quote(const struct flow_side *g, uint32_t seq, uint8_t *h)
{
	struct packet_ends e = guest_ends(&g->remote, &g->local);
	struct tcp_fields f = { .seq = seq, .flags = TCP_FLAG_SYN };
	size_t l4 = packet_put_l2l3(h, &e, IPPROTO_TCP, TCP_HLEN);

	packet_put_tcp(h + l4, g->rport, g->lport, &f, TCP_HLEN);
	return l4 + TCP_HLEN;
}

/* The guest is told what the host was, of a SYN with this number */
static void tcp_unreachable(const struct flow_side *g, uint32_t seq, int error)
{
	uint8_t quote[PACKET_HDR_OUT_MAX];
	size_t len = tcp_quote(g, seq, quote);

	icmp_error_send(&(struct icmp_error){
		.from = g->local, .to = g->remote, .host_errno = error,
		.quoted = quote + ETH_HLEN_, .quoted_len = len - ETH_HLEN_ });
}

/*
 * EADDRNOTAVAIL of connect() tells of ports that are used up; or, of IPv6, that
 * there is no address: then UDP finds no way either
 */
static bool tcp_is_out_of_ports(const struct flow_side *g, int error)
{
	return error == EADDRNOTAVAIL &&
	       (addr_is_v4(&g->local) || fwd_socket_has_way(IPPROTO_UDP, g));
}

/*
 * connect() failed: refused is RST; unreachable is told as the host was told,
 * so that the guest's program sees the same error; a time-out is silence, which
 * the guest measures itself, and so is want of memory: it asks again.
 */
static void tcp_connect_failed(struct tcp_conn *c, int error)
{
	const struct flow_side *g = tcp_guest_side(c);

	debug("connect(): error %i", error);
	if (fwd_socket_is_cut_off(-error) && !tcp_is_out_of_ports(g, error))
		error = ENETUNREACH;
	switch (error) {
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENONET:
	case ENETUNREACH:
	case EACCES:
	case EPERM:
		tcp_unreachable(g, c->rcv_nxt - 1, error);
		break;
	case ETIMEDOUT:
	case ENOBUFS:
	case ENOMEM:
		break;
	default:
		tcp_conn_host_reset(c);
		tcp_out_abort(c);
		return;
	}
	tcp_conn_host_reset(c);
	tcp_conn_end(c);
}

/**
 * tcp_open_connected() - The host's connect() has come to an end
 * @c:		connection in CONNECTING; may have ended on return
 * @now:	turn's time, usec
 */
void tcp_open_connected(struct tcp_conn *c, usec_t now)
{
	const struct flow_side *h = tcp_host_side(c);
	const struct endpoint peer = { h->remote, h->rport, h->ifindex };
	socklen_t len = sizeof(int);
	int error = EIO;

	getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (!error && tcpinfo_is_self(c->watch.fd, &peer))
		error = ECONNREFUSED;
	if (error) {
		tcp_connect_failed(c, error);
		return;
	}
	tcp_window_start(c);
	tcp_conn_move(c, TCPM_CONNECTED);
	tcp_out_open(c, now);
}

static bool tcp_connect(struct tcp_conn *c, int fd, usec_t now)
{
	const struct flow_side *h = tcp_host_side(c);
	struct endpoint e = { h->remote, h->rport, h->ifindex };
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&e, &sa);
	usec_t start;
	int rc;

	tcp_socket_options(fd);
	/* Searches for a port where most lead to that destination already */
	start = slow_clock();
	rc = connect(fd, &sa.sa, len) ? -errno : 0;
	slow_done(now, start);
	if (!rc || rc == -EINPROGRESS)
		return true;
	tcp_connect_failed(c, -rc);
	return false;
}

/*
 * A new flow with the guest's side in place, hashed. NULL: the table is full,
 * or the tuple is taken by a connection that lives.
 */
static struct tcp_conn *tcp_new(const struct flow_side *guest,
				const struct flow_side *host, bool inbound)
{
	struct flow *f = flow_lookup(IPPROTO_TCP, guest, NULL);
	struct tcp_conn *c;

	if (f) {
		c = tcp_conn_of(f);
		if (c->state != TCPS_TIME_WAIT)
			return NULL;
		tcp_conn_end(c);
	}
	f = flow_new(FLOW_TCP, IPPROTO_TCP);
	if (!f) {
		drop(DROP_TABLE_FULL);
		return NULL;
	}
	f->side[INI] = inbound ? *host : *guest;
	f->side[TGT] = inbound ? *guest : *host;
	flow_hash(f, inbound ? TGT : INI);
	stat_add(STAT_TCP_OPENED, 1);
	c = tcp_conn_of(f);
	memset(c, 0, sizeof(*c));
	c->watch.fd = -1;
	return c;
}

/**
 * tcp_open_out() - The guest opens a connection
 * @syn:	its SYN, which belongs to no connection
 * @now:	turn's time, usec
 *
 * Return: the new connection, NULL where there is none: refused, or failed at
 * once and answered
 */
struct tcp_conn *tcp_open_out(const struct packet *syn, usec_t now)
{
	struct flow_side g = { .remote = syn->src, .local = syn->dst,
			       .rport = syn->sport, .lport = syn->dport,
			       .place = FLOW_AT_GUEST };
	struct flow_side h = { 0 };
	struct tcp_conn *c;
	int fd;

	if (!syn->dport || !syn->sport ||
	    !fwd_to_host(IPPROTO_TCP, &g, &h)) {
		drop(DROP_NO_ROUTE);
		tcp_out_reset_unknown(syn);
		return NULL;
	}
	/* The guest sends it again */
	if (slow_held(now)) {
		drop(DROP_NO_SOCKET);
		return NULL;
	}
	fd = fwd_socket_open(IPPROTO_TCP, &h);
	if (fd < 0) {
		drop(DROP_NO_SOCKET);
		warn_limited("no socket for a connection of the guest: %s",
			     strerror(-fd));
		if (fwd_socket_is_cut_off(fd))
			tcp_unreachable(&g, syn->tcp.seq, ENETUNREACH);
		return NULL;
	}
	c = tcp_new(&g, &h, false);
	if (!c) {
		close(fd);
		return NULL;
	}
	c->snd_una = c->snd_nxt = c->snd_max = tcp_isn(&g, now);
	c->rcv_nxt = syn->tcp.seq + 1;
	c->snd_wnd = syn->tcp.window;
	tcp_in_options(c, syn);
	if (!tcp_connect(c, fd, now)) {
		close(fd);
		return NULL;
	}
	if (tcp_conn_attach(c, fd, TCPS_CONNECTING) < 0) {
		tcp_conn_end(c);
		return NULL;
	}
	return c;
}

static void tcp_open_refuse(int fd)
{
	static const struct linger reset = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

/* A connection was accepted: SYN to the guest */
static void tcp_open_in(int fd, const struct port_rule *r,
			const struct flow_side *h, usec_t now)
{
	struct flow_side g = { 0 };
	struct tcp_conn *c = NULL;

	if (guest_present()) {
		if (fwd_to_guest(r, h, &g))
			c = tcp_new(&g, h, true);
		else
			drop(DROP_NO_ROUTE);
	}
	if (!c) {
		tcp_open_refuse(fd);
		return;
	}
	tcp_socket_options(fd);
	if (tcp_conn_attach(c, fd, TCPS_SYN_SENT) < 0) {
		tcp_conn_end(c);
		return;
	}
	c->snd_una = c->snd_nxt = c->snd_max = tcp_isn(&g, now);
	c->ws_rcv = TCP_WINDOW_SHIFT;
	tcp_window_start(c);
	tcp_out_open(c, now);
}

/* A connection was accepted: to the guest, or past the link */
static void tcp_open_accepted(const struct fwd_listener *l, int fd,
			      const union sockaddr_any *peer, usec_t now)
{
	const struct port_rule *r = fwd_listen_rule(l);
	struct endpoint from = addr_from_sockaddr(peer), at;
	struct flow_side client, server;

	if (!fwd_listen_admit(l, now)) {
		drop(DROP_TABLE_FULL);
		tcp_open_refuse(fd);
		return;
	}
	if (addr_of_socket(fd, &at)) {
		tcp_open_refuse(fd);
		return;
	}
	client = (struct flow_side){
		.remote = from.addr,
		.local = at.addr,
		.rport = from.port,
		.lport = at.port,
		.ifindex = from.ifindex,
		.place = l->way == FWD_IN ? FLOW_AT_HOST : FLOW_AT_NS,
	};
	if (fwd_splice(l->way, r, &client, &server))
		tcp_splice_open(fd, &client, &server, now);
	else
		tcp_open_in(fd, r, &client, now);
}

static void tcp_accept(struct watch *w, uint32_t events, usec_t now)
{
	struct fwd_listener *l = (void *)w;

	(void)events;
	/* Who leads past the link is connected at once: the rest can wait */
	for (unsigned i = 0; i < TCP_ACCEPT_TURN && !slow_held(now); i++) {
		union sockaddr_any peer = { 0 };
		socklen_t len = sizeof(peer);
		int fd = accept4(w->fd, &peer.sa, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			tcp_open_accepted(l, fd, &peer, now);
			continue;
		}
		/* Of one connection that is gone, accept(2) */
		if (errno == ECONNABORTED || errno == EINTR)
			continue;
		/* Not of one connection: it would be told of for ever */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM || errno == EPERM || errno == EACCES) {
			warn_limited("cannot accept a connection: %s",
				     strerror(errno));
			fwd_listen_pause(l, now);
		} else if (errno == EINVAL) {
			/* It listens no more, and tells so for ever: ss(8) -K */
			warn_limited("port %u: the listening socket was ended",
				     l->port);
			fwd_listen_close(l);
		}
		return;
	}
}

/**
 * tcp_open_listen() - Listen on the ports that are forwarded
 * Return: 0, or a negative error code, told by a message already
 */
int tcp_open_listen(void)
{
	return fwd_listen_start(IPPROTO_TCP, tcp_accept);
}
