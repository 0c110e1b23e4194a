// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fwd_socket: sockets on the host, and past the link in the namespace
 *
 *	socket for                on the host    in the namespace
 *	clients of a rule's port  FWD_IN         FWD_OUT
 *	the peer of a flow        FLOW_AT_HOST   FLOW_AT_NS
 *
 * Bound as the command line and the flow say, and not connected: that is up to
 * the caller. One that cannot be had as told is closed; only what is for speed
 * may fail.
 *
 * A UDP port that others hold is refused to a listener, and is shared with the
 * flows' sockets afterwards, as SO_REUSEADDR counts at the time of each bind.
 *
 * State: the configuration; descriptors are whose they were opened for.
 *
 * Sources: socket(7), ip(7), ipv6(7), tcp(7)
 */
#include "fwd_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/nssock.h"
#include "lib/slow.h"

static const struct conf *fwd_socket_conf;

/**
 * fwd_socket_init() - Take over what sockets are to be like
 * @c:		configuration, kept
 */
void fwd_socket_init(const struct conf *c)
{
	fwd_socket_conf = c;
}

static int fwd_socket_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno :
								      0;
}

/**
 * fwd_socket_set_device() - Bind a socket to an interface
 * @fd:		socket, not bound to one yet
 * @ifname:	interface of the host's; "": none
 * Return: 0, or a negative error code
 */
int fwd_socket_set_device(int fd, const char *ifname)
{
	if (!*ifname)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname,
			  (socklen_t)strlen(ifname)) ? -errno : 0;
}

static int fwd_socket_set_freebind(int fd, const struct addr *a)
{
	if (!fwd_socket_conf->freebind || addr_is_unspecified(a))
		return 0;
	if (addr_is_v4(a))
		return fwd_socket_set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	return fwd_socket_set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
}

/*
 * The address that a datagram was sent to comes with it; that of IPv4, where an
 * IPv6 socket takes it, too, as IPv4 sockets are told
 */
static int fwd_socket_set_pktinfo(int fd, const struct addr *a)
{
	int rc = fwd_socket_set(fd, IPPROTO_IP, IP_PKTINFO, 1);

	if (rc || addr_is_v4(a))
		return rc;
	return fwd_socket_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

/*
 * To a peer on this machine nothing needs pacing. A congestion control that does
 * that (BBR) sends by a timer: a fifth of our time where data is spliced. Reno is
 * there in each kernel, for everybody. For speed only: it may fail. To be called
 * before connect() or listen(): a socket that has paced once goes on to do so.
 */
static void fwd_socket_set_unpaced(int fd)
{
	static const char name[] = "reno";

	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, sizeof(name) - 1);
}

static int fwd_socket_bind(int fd, const struct endpoint *e)
{
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(e, &sa);

	return bind(fd, &sa.sa, len) ? -errno : 0;
}

static int fwd_socket_new(uint8_t proto, int family)
{
	int type = proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);

	return fd < 0 ? -errno : fd;
}

static int fwd_socket_done(int fd, int rc)
{
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

/* :: takes IPv4, too, unless told otherwise */
static struct addr fwd_socket_listen_addr(const struct fwd_port *p,
					  unsigned families)
{
	if (addr_equal(&p->rule->listen, &ADDR_ANY6) && !(families & FWD_V6))
		return ADDR_ANY4;
	return p->rule->listen;
}

/* From inside, the namespace's own loopback interface is listened on */
static const char *fwd_socket_listen_device(const struct fwd_port *p)
{
	return p->way == FWD_OUT && !*p->rule->ifname ? "lo" : p->rule->ifname;
}

static int fwd_socket_listen_setup(int fd, const struct fwd_port *p,
				   const struct endpoint *e)
{
	bool both = fwd_families(p) == (FWD_V4 | FWD_V6);
	int rc;

	rc = addr_is_v4(&e->addr) ? 0 :
	     fwd_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both);
	if (!rc)
		rc = fwd_socket_set_device(fd, fwd_socket_listen_device(p));
	if (!rc)
		rc = fwd_socket_set_freebind(fd, &e->addr);
	if (rc)
		return rc;
	return p->way == FWD_OUT ? nssock_bind(fd, e) : fwd_socket_bind(fd, e);
}

static int fwd_socket_listen_tcp(int fd, const struct fwd_port *p,
				 const struct endpoint *e)
{
	int rc = fwd_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (p->way == FWD_OUT)
		fwd_socket_set_unpaced(fd);
	if (!rc)
		rc = fwd_socket_listen_setup(fd, p, e);
	if (!rc && listen(fd, SOMAXCONN))
		rc = -errno;
	return rc;
}

/*
 * A UDP port is shared only with the flows' own sockets: SO_REUSEADDR takes
 * effect after the bind, so that a port that others hold is refused. Where
 * nobody else can hold it, flows that are older than the listener may.
 */
static int fwd_socket_listen_udp(int fd, const struct fwd_port *p,
				 const struct endpoint *e)
{
	int rc = 0;

	if (p->shared)
		rc = fwd_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!rc)
		rc = fwd_socket_listen_setup(fd, p, e);
	if (!rc)
		rc = fwd_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	/* bursts wait there: a wish, no need */
	fwd_socket_set(fd, SOL_SOCKET, SO_RCVBUF, FWD_SOCKET_RCVBUF);
	fwd_socket_set(fd, SOL_SOCKET, SO_SNDBUF, FWD_SOCKET_SNDBUF);
	return rc ? rc : fwd_socket_set_pktinfo(fd, &e->addr);
}

static unsigned fwd_socket_listen_scope(const struct fwd_port *p,
					const struct addr *a)
{
	/*
	 * By a name it is bound to the device, and that is enough. The name's
	 * index would be a call that is not allowed in the loop.
	 */
	if (!addr_is_link_local6(a) || p->way == FWD_OUT || *p->rule->ifname)
		return 0;
	return conf_family_of(fwd_socket_conf, a)->ifindex;
}

static int fwd_socket_listen_one(const struct fwd_port *p)
{
	unsigned families = fwd_families(p);
	struct endpoint e = { .addr = fwd_socket_listen_addr(p, families),
			      .port = p->port };
	int fd, rc;

	if (!families)
		return -EAFNOSUPPORT;
	e.ifindex = fwd_socket_listen_scope(p, &e.addr);
	if (p->way == FWD_OUT)
		fd = nssock_open(p->proto, addr_family(&e.addr));
	else
		fd = fwd_socket_new(p->proto, addr_family(&e.addr));
	if (fd < 0)
		return fd;
	rc = p->proto == IPPROTO_TCP ? fwd_socket_listen_tcp(fd, p, &e) :
				       fwd_socket_listen_udp(fd, p, &e);
	return fwd_socket_done(fd, rc);
}

/**
 * fwd_socket_listen() - A socket that listens on a port of a rule
 * @p:		the port
 *
 * One dual-stack socket for any address, unless one family is off. TCP sockets
 * listen; UDP sockets are bound, tell where to a datagram was sent, and let
 * others with SO_REUSEADDR bind to the same port: a connected one is preferred
 * by the kernel.
 *
 * Return: a non-blocking, close-on-exec descriptor, or a negative error code
 */
int fwd_socket_listen(const struct fwd_port *p)
{
	struct fwd_port only = *p;
	int fd = fwd_socket_listen_one(p);

	/* a host without IPv6 */
	if (fd == -EAFNOSUPPORT && fwd_families(p) == (FWD_V4 | FWD_V6)) {
		only.families = FWD_V4;
		return fwd_socket_listen_one(&only);
	}
	return fd;
}

/* The namespace's own sockets are reached without any link, too */
static bool fwd_socket_is_local(const struct flow_side *host)
{
	return host->place == FLOW_AT_NS || addr_is_loopback(&host->remote);
}

/*
 * Sockets that answer a client are bound to what it connected to, and leave by
 * whatever way it came; the others follow --outbound-if.
 */
static int fwd_socket_set_outbound(int fd, const struct flow_side *host)
{
	const struct conf_family *fam = conf_family_of(fwd_socket_conf,
						       &host->remote);

	if (fwd_socket_is_local(host))
		return 0;
	if (!addr_is_unspecified(&host->local) &&
	    !addr_equal(&host->local, &fam->outbound))
		return 0;
	return fwd_socket_set_device(fd, fam->outbound_if);
}

static int fwd_socket_setup(int fd, uint8_t proto,
			    const struct flow_side *host, bool alone)
{
	const struct endpoint e = { host->local, host->lport, host->ifindex };
	int rc = 0;

	if (proto == IPPROTO_TCP && fwd_socket_is_local(host))
		fwd_socket_set_unpaced(fd);
	if (!addr_is_v4(&host->remote))
		rc = fwd_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!rc)
		rc = fwd_socket_set_outbound(fd, host);
	if (!rc)
		rc = fwd_socket_set_freebind(fd, &host->local);
	if (rc || (addr_is_unspecified(&host->local) && !host->lport))
		return rc;

	/* share a forwarded port, and a port among flows to several peers */
	if (proto == IPPROTO_UDP && host->lport)
		rc = fwd_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, !alone);
	/* the port is chosen by connect(): a port can serve several peers */
	else if (proto == IPPROTO_TCP && !host->lport)
		rc = fwd_socket_set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	/* on by default for ping sockets, but replies go to any that share */
	else if (proto != IPPROTO_UDP && proto != IPPROTO_TCP)
		rc = fwd_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	if (rc)
		return rc;
	return host->place == FLOW_AT_NS ? nssock_bind(fd, &e) :
					   fwd_socket_bind(fd, &e);
}

static int fwd_socket_open_as(uint8_t proto, const struct flow_side *host,
			      bool alone)
{
	int family = addr_family(&host->remote);
	int fd = host->place == FLOW_AT_NS ? nssock_open(proto, family) :
					     fwd_socket_new(proto, family);

	if (fd < 0)
		return fd;
	return fwd_socket_done(fd, fwd_socket_setup(fd, proto, host, alone));
}

/**
 * fwd_socket_open() - A socket for a side of a flow, here or in the namespace
 * @proto:	IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP or IPPROTO_ICMPV6 (ping
 *		sockets)
 * @host:	the side, its place is FLOW_AT_HOST or FLOW_AT_NS; bound to its
 *		@local and @lport as far as they are set (ICMP: the identifier)
 *
 * Not connected. UDP sockets with a port share it with others that have
 * SO_REUSEADDR: until connect(), and for what was queued before it, they can
 * receive from anybody.
 *
 * Return: a non-blocking, close-on-exec descriptor, or a negative error code
 */
int fwd_socket_open(uint8_t proto, const struct flow_side *host)
{
	return fwd_socket_open_as(proto, host, false);
}

/**
 * fwd_socket_open_alone() - A UDP socket with a port that nobody has yet
 * @host:	the side, its @lport set
 *
 * As fwd_socket_open(), but the port is shared only from here on: one that
 * others hold is refused, though they would share it, and so it is to them.
 *
 * Return: a descriptor, or a negative error code; -EADDRINUSE: somebody has it
 */
int fwd_socket_open_alone(const struct flow_side *host)
{
	int fd = fwd_socket_open_as(IPPROTO_UDP, host, true);

	if (fd < 0)
		return fd;
	return fwd_socket_done(fd, fwd_socket_set(fd, SOL_SOCKET, SO_REUSEADDR,
						  1));
}

/**
 * fwd_socket_is_stranded() - Whether a connected one will hardly send any more
 * @rc:		negative error code of its last try
 *
 * The host has lost the address that it speaks from (EINVAL or ENETUNREACH, as
 * the kernel's age is), the interface that it is bound to (ENODEV), or the way;
 * or somebody has ended the socket (EDESTADDRREQ, ss -K). Another one may have
 * all of them: see fwd_socket_has_way().
 *
 * Return: true if so
 */
bool fwd_socket_is_stranded(int rc)
{
	return rc == -ENETUNREACH || rc == -EINVAL || rc == -ENODEV ||
	       rc == -EDESTADDRREQ;
}

/**
 * fwd_socket_has_lost() - Whether the host has lost an IPv6 address of ours
 * @host:	the side whose socket speaks from there
 * @now:	time
 *
 * The kernel goes on to send from it, temporary ones for one (RFC 8981), and no
 * answer finds the way back. Of IPv4 a send tells: fwd_socket_is_stranded().
 *
 * Return: true if so; false, too, where the turn has taken long enough
 */
bool fwd_socket_has_lost(const struct flow_side *host, usec_t now)
{
	struct flow_side any = *host;
	usec_t start;
	int fd;

	if (addr_is_v4(&host->local) || slow_held(now))
		return false;
	any.lport = 0;
	/* Searches for a port, where few are free */
	start = slow_clock();
	fd = fwd_socket_open(IPPROTO_UDP, &any);
	slow_done(now, start);
	if (fd >= 0)
		close(fd);
	return fd == -EADDRNOTAVAIL;
}

/* A connected UDP socket, as another one of a flow would be; or below 0 */
static int fwd_socket_connect_like(uint8_t proto,
				   const struct flow_side *guest)
{
	struct flow_side host;
	union sockaddr_any sa;
	struct endpoint e;
	socklen_t len;
	int fd;

	if (!fwd_to_host(proto, guest, &host))
		return -ENOENT;
	e = (struct endpoint){ host.remote, host.rport, host.ifindex };
	len = addr_to_sockaddr(&e, &sa);
	fd = fwd_socket_open(IPPROTO_UDP, &host);
	if (fd < 0)
		return fd;
	return fwd_socket_done(fd, connect(fd, &sa.sa, len) ? -errno : 0);
}

/**
 * fwd_socket_has_way() - Whether a stranded socket's flow has a way to go
 * @proto:	IPPROTO_UDP, IPPROTO_ICMP or IPPROTO_ICMPV6
 * @guest:	the guest's side
 *
 * While there is none the flow may as well keep its socket: when its network is
 * back, what comes first may be an answer.
 *
 * Return: true if another socket would find it; or if there is no descriptor, or
 *	   no port, to look by: the stranded one has both
 */
bool fwd_socket_has_way(uint8_t proto, const struct flow_side *guest)
{
	int fd = fwd_socket_connect_like(proto, guest);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EMFILE || fd == -ENFILE || fd == -EAGAIN;
}

/**
 * fwd_socket_has_moved() - Whether another one would speak from elsewhere
 * @proto:	IPPROTO_UDP, IPPROTO_ICMP or IPPROTO_ICMPV6
 * @guest:	the guest's side
 * @from:	address that the flow's socket speaks from
 * @now:	time
 *
 * The host has come to another network, while it still has what it had in the
 * last one. A socket keeps its address then, and the peer's answers may find no
 * way to that.
 *
 * Return: true if so; false, too, where the turn has taken long enough
 */
bool fwd_socket_has_moved(uint8_t proto, const struct flow_side *guest,
			  const struct addr *from, usec_t now)
{
	struct endpoint e = { .addr = *from };
	usec_t start;
	int fd;

	if (slow_held(now))
		return false;
	/* Searches for a port, where few are free */
	start = slow_clock();
	fd = fwd_socket_connect_like(proto, guest);
	slow_done(now, start);
	if (fd < 0)
		return false;
	addr_of_socket(fd, &e);
	close(fd);
	return !addr_equal(&e.addr, from);
}

/**
 * fwd_socket_is_cut_off() - Whether there is no way to a destination
 * @rc:		negative error code of fwd_socket_open() or of connect(2)
 *
 * No route, or no address of that family (ENETUNREACH; EADDRNOTAVAIL where IPv6
 * was switched off), or not the interface that sockets are bound to (ENODEV).
 *
 * Return: true if so: a router would say that the network is unreachable
 */
bool fwd_socket_is_cut_off(int rc)
{
	return rc == -ENETUNREACH || rc == -EADDRNOTAVAIL || rc == -ENODEV;
}
