// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fwd: given a new flow's one side, what is the other
 *
 * Owns the forwarding rules, one list a protocol and way, copied from the
 * command line so that they can come and go later; and knows how many flows hold
 * each UDP port of the host's, or lead to one past the link. Translation, the
 * first that applies:
 *
 *	guest sends to                          the host's socket speaks to
 *	--dns-forward, port 53 or 853           --dns-host, same port
 *	--map-host-loopback, port 53            the resolver behind it, if any
 *	--map-host-loopback                     127.0.0.1 or ::1
 *	--map-guest-addr                        the address the guest shares
 *	loopback, multicast, unspecified        (refused)
 *	anything else                           the same address
 *
 *	the host's socket is reached from       the guest is reached from
 *	the address the guest shares            --map-guest-addr, if any
 *	loopback, or an address of the guest    --map-host-loopback; or the
 *	                                        gateway; or refused
 *	anything else                           the same address
 *
 *	past the link, from                     the other socket speaks to
 *	the namespace                           the rule's target; or loopback,
 *	                                        the same address as here
 *	the host's loopback                     the rule's target; loopback with
 *	                                        --host-lo-to-ns-lo or without a
 *	                                        link; or the guest's address
 */
#include "fwd.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"
#include "host/nssock.h"
#include "lib/slow.h"

#define PORT_DNS	53
#define PORT_DNS_TLS	853

/**
 * struct fwd_rules - the forwarding rules of one protocol and way
 * @rule:	rules; their index is what listeners remember
 * @count:	how many
 */
struct fwd_rules {
	struct port_rule rule[PORTSPEC_RULES];
	unsigned count;
};

static const struct conf *fwd_conf;
static struct fwd_rules fwd_tcp[FWD_WAYS], fwd_udp[FWD_WAYS];
/* Flows whose UDP socket has a port of the host's: of IPv4, of IPv6 */
static uint32_t fwd_held[2][65536];
/* Flows past the link that lead to a UDP port: of the namespace, of the host */
static uint32_t fwd_led[FWD_WAYS][65536];

static struct fwd_rules *fwd_rules_of(uint8_t proto, enum fwd_way way)
{
	return proto == IPPROTO_TCP ? &fwd_tcp[way] : &fwd_udp[way];
}

static void fwd_rules_set(struct fwd_rules *r, const struct portspec *s)
{
	r->count = s->none ? 0 : s->count;
	memcpy(r->rule, s->rule, r->count * sizeof(r->rule[0]));
}

/**
 * fwd_init() - Take over the rules and mappings of the command line
 * @c:		configuration, kept
 */
void fwd_init(const struct conf *c)
{
	fwd_conf = c;
	fwd_rules_set(&fwd_tcp[FWD_IN], &c->tcp_ports);
	fwd_rules_set(&fwd_tcp[FWD_OUT], &c->tcp_ns_ports);
	fwd_rules_set(&fwd_udp[FWD_IN], &c->udp_ports);
	fwd_rules_set(&fwd_udp[FWD_OUT], &c->udp_ns_ports);
}

/**
 * fwd_rule() - A forwarding rule by its index
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @way:	which way it leads
 * @index:	from 0; as listeners remember it
 * Return: the rule, or NULL where there is none of that index
 */
const struct port_rule *fwd_rule(uint8_t proto, enum fwd_way way,
				 unsigned index)
{
	const struct fwd_rules *r = fwd_rules_of(proto, way);

	return index < r->count ? &r->rule[index] : NULL;
}

static int fwd_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno :
								      0;
}

/**
 * fwd_set_device() - Bind a socket to an interface
 * @fd:		socket, not bound to one yet
 * @ifname:	interface of the host's; "": none
 * Return: 0, or a negative error code
 */
int fwd_set_device(int fd, const char *ifname)
{
	if (!*ifname)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname,
			  (socklen_t)strlen(ifname)) ? -errno : 0;
}

static int fwd_set_freebind(int fd, const struct addr *a)
{
	if (!fwd_conf->freebind || addr_is_unspecified(a))
		return 0;
	if (addr_is_v4(a))
		return fwd_set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	return fwd_set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
}

/*
 * The address that a datagram was sent to comes with it; that of IPv4, where an
 * IPv6 socket takes it, too, as IPv4 sockets are told
 */
static int fwd_set_pktinfo(int fd, const struct addr *a)
{
	int rc = fwd_set(fd, IPPROTO_IP, IP_PKTINFO, 1);

	if (rc || addr_is_v4(a))
		return rc;
	return fwd_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

/*
 * To a peer on this machine nothing needs pacing. A congestion control that does
 * that (BBR) sends by a timer: a fifth of our time where data is spliced. Reno is
 * there in each kernel, for everybody. For speed only: it may fail. To be called
 * before connect() or listen(): a socket that has paced once goes on to do so.
 */
static void fwd_set_unpaced(int fd)
{
	static const char name[] = "reno";

	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, sizeof(name) - 1);
}

static int fwd_bind(int fd, const struct endpoint *e)
{
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(e, &sa);

	return bind(fd, &sa.sa, len) ? -errno : 0;
}

static int fwd_open(uint8_t proto, int family)
{
	int type = proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);

	return fd < 0 ? -errno : fd;
}

static int fwd_done(int fd, int rc)
{
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

/*
 * Whether a rule for 0.0.0.0 has a port's IPv4: one socket of :: for both could
 * not be bound beside that one's. What is asked for by number does not stand
 * back for `all` or `auto`.
 */
static bool fwd_leaves_v4(const struct fwd_port *p)
{
	const struct fwd_rules *rules = fwd_rules_of(p->proto, p->way);

	for (unsigned i = 0; i < rules->count; i++) {
		const struct port_rule *r = &rules->rule[i];

		if (addr_equal(&r->listen, &ADDR_ANY4) &&
		    p->port >= r->first && p->port <= r->last &&
		    !strcmp(r->ifname, p->rule->ifname) &&
		    r->weak <= p->rule->weak &&
		    r->automatic <= p->rule->automatic)
			return true;
	}
	return false;
}

/*
 * A family that the host has no routes of is not the guest's; but loopback leads
 * to loopback past the link
 */
static bool fwd_is_served(const struct fwd_port *p, unsigned i)
{
	const struct conf_family *f = &fwd_conf->family[i];

	return f->on || (f->local && (p->way == FWD_OUT ||
				      fwd_conf->host_lo_to_ns_lo ||
				      fwd_conf->ns.no_tap));
}

/**
 * fwd_families() - The families that a port is listened on
 * @p:		the port
 *
 * Without an address, both that are served; but IPv6 alone where another rule
 * is for any IPv4 address.
 *
 * Return: FWD_V4, FWD_V6, both, or 0 where none that it asks for is served
 */
unsigned fwd_families(const struct fwd_port *p)
{
	const struct addr *a = &p->rule->listen;
	unsigned on = (fwd_is_served(p, CONF_V4) ? FWD_V4 : 0) |
		      (fwd_is_served(p, CONF_V6) ? FWD_V6 : 0);

	if (addr_equal(a, &ADDR_ANY6))
		return on & p->families & ~(fwd_leaves_v4(p) ? FWD_V4 : 0);
	return on & (addr_is_v4(a) ? FWD_V4 : FWD_V6);
}

/* :: takes IPv4, too, unless told otherwise */
static struct addr fwd_listen_addr(const struct fwd_port *p, unsigned families)
{
	if (addr_equal(&p->rule->listen, &ADDR_ANY6) && !(families & FWD_V6))
		return ADDR_ANY4;
	return p->rule->listen;
}

/* From inside, the namespace's own loopback interface is listened on */
static const char *fwd_listen_device(const struct fwd_port *p)
{
	return p->way == FWD_OUT && !*p->rule->ifname ? "lo" : p->rule->ifname;
}

static int fwd_listen_setup(int fd, const struct fwd_port *p,
			    const struct endpoint *e)
{
	bool both = fwd_families(p) == (FWD_V4 | FWD_V6);
	int rc;

	rc = addr_is_v4(&e->addr) ? 0 :
	     fwd_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both);
	if (!rc)
		rc = fwd_set_device(fd, fwd_listen_device(p));
	if (!rc)
		rc = fwd_set_freebind(fd, &e->addr);
	if (rc)
		return rc;
	return p->way == FWD_OUT ? nssock_bind(fd, e) : fwd_bind(fd, e);
}

static int fwd_listen_tcp(int fd, const struct fwd_port *p,
			  const struct endpoint *e)
{
	int rc = fwd_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (p->way == FWD_OUT)
		fwd_set_unpaced(fd);
	if (!rc)
		rc = fwd_listen_setup(fd, p, e);
	if (!rc && listen(fd, SOMAXCONN))
		rc = -errno;
	return rc;
}

/*
 * A UDP port is shared only with the flows' own sockets: SO_REUSEADDR takes
 * effect after the bind, so that a port that others hold is refused. Where
 * nobody else can hold it, flows that are older than the listener may.
 */
static int fwd_listen_udp(int fd, const struct fwd_port *p,
			  const struct endpoint *e)
{
	int rc = p->shared ? fwd_set(fd, SOL_SOCKET, SO_REUSEADDR, 1) : 0;

	if (!rc)
		rc = fwd_listen_setup(fd, p, e);
	if (!rc)
		rc = fwd_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	/* bursts wait there: a wish, no need */
	fwd_set(fd, SOL_SOCKET, SO_RCVBUF, FWD_UDP_RCVBUF);
	fwd_set(fd, SOL_SOCKET, SO_SNDBUF, FWD_UDP_SNDBUF);
	return rc ? rc : fwd_set_pktinfo(fd, &e->addr);
}

static unsigned fwd_listen_scope(const struct fwd_port *p,
				 const struct addr *a)
{
	/*
	 * By a name it is bound to the device, and that is enough. The name's
	 * index would be a call that is not allowed in the loop.
	 */
	if (!addr_is_link_local6(a) || p->way == FWD_OUT || *p->rule->ifname)
		return 0;
	return conf_family_of(fwd_conf, a)->ifindex;
}

static int fwd_listen_socket_of(const struct fwd_port *p)
{
	unsigned families = fwd_families(p);
	struct endpoint e = { .addr = fwd_listen_addr(p, families),
			      .port = p->port };
	int fd, rc;

	if (!families)
		return -EAFNOSUPPORT;
	e.ifindex = fwd_listen_scope(p, &e.addr);
	if (p->way == FWD_OUT)
		fd = nssock_open(p->proto, addr_family(&e.addr));
	else
		fd = fwd_open(p->proto, addr_family(&e.addr));
	if (fd < 0)
		return fd;
	rc = p->proto == IPPROTO_TCP ? fwd_listen_tcp(fd, p, &e) :
				       fwd_listen_udp(fd, p, &e);
	return fwd_done(fd, rc);
}

/**
 * fwd_listen_socket() - A socket that listens on a port of a rule
 * @p:		the port
 *
 * One dual-stack socket for any address, unless one family is off. TCP sockets
 * listen; UDP sockets are bound, tell where to a datagram was sent, and let
 * others with SO_REUSEADDR bind to the same port: a connected one is preferred
 * by the kernel.
 *
 * Return: a non-blocking, close-on-exec descriptor, or a negative error code
 */
int fwd_listen_socket(const struct fwd_port *p)
{
	struct fwd_port only = *p;
	int fd = fwd_listen_socket_of(p);

	/* a host without IPv6 */
	if (fd == -EAFNOSUPPORT && fwd_families(p) == (FWD_V4 | FWD_V6)) {
		only.families = FWD_V4;
		return fwd_listen_socket_of(&only);
	}
	return fd;
}

/* An option that holds an address and is set */
static bool fwd_matches(const struct addr *option, const struct addr *a)
{
	return !addr_is_unspecified(option) && addr_equal(option, a);
}

static struct addr fwd_loopback(const struct addr *like)
{
	return addr_is_v4(like) ? ADDR_LOOPBACK4 : ADDR_LOOPBACK6;
}

static bool fwd_is_dns(uint8_t proto, uint16_t port)
{
	return (proto == IPPROTO_UDP || proto == IPPROTO_TCP) &&
	       (port == PORT_DNS || port == PORT_DNS_TLS);
}

/*
 * Where the gateway is mapped, so is our link-local address: by it the guest's
 * routes know the gateway (RFC 4861 6.3.4)
 */
static bool fwd_is_host_loopback(const struct conf_family *fam,
				 const struct addr *dst)
{
	return fwd_matches(&fam->map_host_loopback, dst) ||
	       (fwd_matches(&fam->map_host_loopback, &fam->gateway) &&
		addr_equal(dst, guest_our_ll()));
}

/* Where on the host what the guest sends to @dst goes; unspecified: nowhere */
static struct addr fwd_host_remote(uint8_t proto, const struct addr *dst,
				   uint16_t port)
{
	const struct conf_family *fam = conf_family_of(fwd_conf, dst);

	if (fwd_is_dns(proto, port) && fwd_matches(&fam->dns_forward, dst))
		return fam->dns_host;
	if (fwd_is_host_loopback(fam, dst)) {
		if (fwd_is_dns(proto, port) && port == PORT_DNS &&
		    !addr_is_unspecified(&fam->dns_to_host))
			return fam->dns_to_host;
		return fwd_loopback(dst);
	}
	if (fwd_matches(&fam->map_guest_addr, dst))
		return fam->addr;
	if (addr_is_loopback(dst) || !addr_is_unicast(dst))
		return ADDR_ANY6;
	return *dst;
}

/**
 * fwd_to_host() - The host's side of a flow that the guest begins
 * @proto:	IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP or IPPROTO_ICMPV6
 * @guest:	the guest's side: @remote is the guest, @local its destination
 * @host:	filled in: @remote to connect to, @local to bind to with @lport
 *		0 (unspecified: routing decides)
 * Return: false where the destination leads nowhere
 */
bool fwd_to_host(uint8_t proto, const struct flow_side *guest,
		 struct flow_side *host)
{
	const struct conf_family *fam;
	struct addr to;

	if (!conf_family_of(fwd_conf, &guest->local)->on)
		return false;
	to = fwd_host_remote(proto, &guest->local, guest->lport);
	if (addr_is_unspecified(&to))
		return false;

	fam = conf_family_of(fwd_conf, &to);
	*host = (struct flow_side){
		.remote = to,
		.local = addr_is_v4(&to) ? ADDR_ANY4 : ADDR_ANY6,
		.rport = guest->lport,
		.ifindex = addr_is_link_local6(&to) ? fam->ifindex : 0,
		.place = FLOW_AT_HOST,
	};
	if (!addr_is_loopback(&to) && !addr_is_unspecified(&fam->outbound))
		host->local = fam->outbound;
	return true;
}

/*
 * The source that the guest sees for a client of the host. The gateway stands in
 * for one that the guest could not answer, also where it is no name of the host:
 * a guest without such a name is still to be reached from its host.
 */
static bool fwd_guest_local(const struct port_rule *r,
			    const struct addr *client, struct addr *local)
{
	const struct conf_family *fam = conf_family_of(fwd_conf, client);

	*local = *client;
	if (!addr_is_loopback(client) && !guest_holds(client) &&
	    !(r->has_target && addr_equal(&r->target, client)))
		return addr_is_unicast(client);
	if (addr_equal(client, &fam->addr) &&
	    !addr_is_unspecified(&fam->map_guest_addr))
		*local = fam->map_guest_addr;
	else if (!addr_is_unspecified(&fam->map_host_loopback))
		*local = fam->map_host_loopback;
	else
		*local = fam->gateway;
	return !addr_is_unspecified(local);
}

/* Port at the other side of a rule, for a client of the port @at */
static uint16_t fwd_rule_port(const struct port_rule *r, uint16_t at)
{
	return (uint16_t)(r->to + (at - r->first));
}

static bool fwd_guest_remote(const struct port_rule *r,
			     const struct addr *local, struct addr *remote)
{
	int family = addr_family(local);

	if (r->has_target) {
		*remote = r->target;
		return addr_family(remote) == family;
	}
	if (addr_is_link_local6(local) && guest_addr(family, true, remote))
		return true;
	return guest_addr(family, false, remote);
}

/**
 * fwd_to_guest() - The guest's side of a flow that a client on the host begins
 * @r:		forwarding rule of the port that was connected to
 * @host:	the host's side: @remote is the client, @local what it spoke to
 * @guest:	filled in: @remote is the guest, @local the client as it sees it
 * Return: false where there is no such guest, or no address to speak from
 */
bool fwd_to_guest(const struct port_rule *r, const struct flow_side *host,
		  struct flow_side *guest)
{
	*guest = (struct flow_side){
		.rport = fwd_rule_port(r, host->lport),
		.lport = host->rport,
		.place = FLOW_AT_GUEST,
	};
	if (fwd_conf->ns.no_tap)
		return false;
	return fwd_guest_local(r, &host->remote, &guest->local) &&
	       fwd_guest_remote(r, &guest->local, &guest->remote);
}

/*
 * The same of the loopback addresses as here, where it is one: a resolver may
 * be at 127.0.0.53, and nothing at 127.0.0.1
 */
static struct addr fwd_same_loopback(const struct flow_side *from)
{
	return addr_is_loopback(&from->local) ? from->local :
						fwd_loopback(&from->remote);
}

static bool fwd_splice_remote(enum fwd_way way, const struct port_rule *r,
			      const struct flow_side *from,
			      struct addr *remote)
{
	if (r->has_target) {
		*remote = r->target;
		return true;
	}
	if (way == FWD_IN && !fwd_conf->host_lo_to_ns_lo &&
	    !fwd_conf->ns.no_tap)
		return guest_addr(addr_family(&from->remote), false, remote);
	*remote = fwd_same_loopback(from);
	return true;
}

/**
 * fwd_splice() - Whether a client's traffic bypasses the link, and where to
 * @way:	which way the rule leads
 * @r:		forwarding rule of the port that the client speaks to
 * @from:	its side: @remote is the client, @local what it speaks to
 * @to:		filled in: @remote is the server, @local unspecified, @lport 0
 * Return: true if so; false: by the link, see fwd_to_guest()
 */
bool fwd_splice(enum fwd_way way, const struct port_rule *r,
		const struct flow_side *from, struct flow_side *to)
{
	*to = (struct flow_side){
		.rport = fwd_rule_port(r, from->lport),
		.place = way == FWD_IN ? FLOW_AT_NS : FLOW_AT_HOST,
	};
	if (way == FWD_IN &&
	    (fwd_conf->no_splice || !nssock_available() ||
	     !addr_is_loopback(&from->remote)))
		return false;
	if (!fwd_splice_remote(way, r, from, &to->remote))
		return false;
	to->local = addr_is_v4(&to->remote) ? ADDR_ANY4 : ADDR_ANY6;
	return true;
}

/* The namespace's own sockets are reached without any link, too */
static bool fwd_is_local(const struct flow_side *host)
{
	return host->place == FLOW_AT_NS || addr_is_loopback(&host->remote);
}

/*
 * Sockets that answer a client are bound to what it connected to, and leave by
 * whatever way it came; the others follow --outbound-if.
 */
static int fwd_set_outbound(int fd, const struct flow_side *host)
{
	const struct conf_family *fam = conf_family_of(fwd_conf, &host->remote);

	if (fwd_is_local(host))
		return 0;
	if (!addr_is_unspecified(&host->local) &&
	    !addr_equal(&host->local, &fam->outbound))
		return 0;
	return fwd_set_device(fd, fam->outbound_if);
}

static int fwd_socket_setup(int fd, uint8_t proto,
			    const struct flow_side *host, bool alone)
{
	const struct endpoint e = { host->local, host->lport, host->ifindex };
	int rc = 0;

	if (proto == IPPROTO_TCP && fwd_is_local(host))
		fwd_set_unpaced(fd);
	if (!addr_is_v4(&host->remote))
		rc = fwd_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!rc)
		rc = fwd_set_outbound(fd, host);
	if (!rc)
		rc = fwd_set_freebind(fd, &host->local);
	if (rc || (addr_is_unspecified(&host->local) && !host->lport))
		return rc;

	/* share a forwarded port, and a port among flows to several peers */
	if (proto == IPPROTO_UDP && host->lport)
		rc = fwd_set(fd, SOL_SOCKET, SO_REUSEADDR, !alone);
	/* the port is chosen by connect(): a port can serve several peers */
	else if (proto == IPPROTO_TCP && !host->lport)
		rc = fwd_set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	/* on by default for ping sockets, but replies go to any that share */
	else if (proto != IPPROTO_UDP && proto != IPPROTO_TCP)
		rc = fwd_set(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	if (rc)
		return rc;
	return host->place == FLOW_AT_NS ? nssock_bind(fd, &e) :
					   fwd_bind(fd, &e);
}

static int fwd_socket_of(uint8_t proto, const struct flow_side *host,
			 bool alone)
{
	int family = addr_family(&host->remote);
	int fd = host->place == FLOW_AT_NS ? nssock_open(proto, family) :
					     fwd_open(proto, family);

	if (fd < 0)
		return fd;
	return fwd_done(fd, fwd_socket_setup(fd, proto, host, alone));
}

/**
 * fwd_socket() - A socket for a side of a flow, on the host or in the namespace
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
int fwd_socket(uint8_t proto, const struct flow_side *host)
{
	return fwd_socket_of(proto, host, false);
}

/**
 * fwd_socket_alone() - A UDP socket with a port that nobody has yet
 * @host:	the side, its @lport set
 *
 * As fwd_socket(), but the port is shared only from here on: one that others
 * hold is refused, though they would share it, and so it is to them.
 *
 * Return: a descriptor, or a negative error code; -EADDRINUSE: somebody has it
 */
int fwd_socket_alone(const struct flow_side *host)
{
	int fd = fwd_socket_of(IPPROTO_UDP, host, true);

	if (fd < 0)
		return fd;
	return fwd_done(fd, fwd_set(fd, SOL_SOCKET, SO_REUSEADDR, 1));
}

/**
 * fwd_is_stranded() - Whether a connected socket will hardly send any more
 * @rc:		negative error code of its last try
 *
 * The host has lost the address that it speaks from (EINVAL or ENETUNREACH, as
 * the kernel's age is), the interface that it is bound to (ENODEV), or the way;
 * or somebody has ended the socket (EDESTADDRREQ, ss -K). Another one may have all
 * of them: see fwd_has_way().
 *
 * Return: true if so
 */
bool fwd_is_stranded(int rc)
{
	return rc == -ENETUNREACH || rc == -EINVAL || rc == -ENODEV ||
	       rc == -EDESTADDRREQ;
}

static uint32_t *fwd_held_of(const struct flow_side *host)
{
	return &fwd_held[!addr_is_v4(&host->remote)][host->lport];
}

/**
 * fwd_udp_hold() - A flow's UDP socket has a port of the host's from here on
 * @host:	the flow's side, its @lport set
 */
void fwd_udp_hold(const struct flow_side *host)
{
	++*fwd_held_of(host);
}

/**
 * fwd_udp_let_go() - It has it no more
 * @host:	as for fwd_udp_hold()
 */
void fwd_udp_let_go(const struct flow_side *host)
{
	--*fwd_held_of(host);
}

/**
 * fwd_udp_held() - Whether flows of ours hold a UDP port
 * @families:	FWD_V4, FWD_V6, or both: either will do
 * @port:	the port, host order
 * Return: true if so: it is not other daemons', and may be shared
 */
bool fwd_udp_held(unsigned families, uint16_t port)
{
	return (families & FWD_V4 && fwd_held[0][port]) ||
	       (families & FWD_V6 && fwd_held[1][port]);
}

static uint32_t *fwd_led_of(const struct flow_side *to)
{
	return &fwd_led[to->place == FLOW_AT_NS ? FWD_IN : FWD_OUT][to->rport];
}

/**
 * fwd_udp_lead() - A flow past the link leads to a UDP port from here on
 * @to:		the server's side
 */
void fwd_udp_lead(const struct flow_side *to)
{
	++*fwd_led_of(to);
}

/**
 * fwd_udp_lead_end() - It is over
 * @to:		as for fwd_udp_lead()
 */
void fwd_udp_lead_end(const struct flow_side *to)
{
	--*fwd_led_of(to);
}

/**
 * fwd_udp_led() - Whether flows past the link lead to a UDP port
 * @way:	which way
 * @port:	the server's, host order
 * Return: true if so
 */
bool fwd_udp_led(enum fwd_way way, uint16_t port)
{
	return fwd_led[way][port];
}

/**
 * fwd_has_lost() - Whether the host has lost an IPv6 address of ours
 * @host:	the side whose socket speaks from there
 * @now:	time
 *
 * The kernel goes on to send from it, temporary ones for one (RFC 8981), and no
 * answer finds the way back. Of IPv4 a send tells, see fwd_is_stranded().
 *
 * Return: true if so; false, too, where the turn has taken long enough
 */
bool fwd_has_lost(const struct flow_side *host, usec_t now)
{
	struct flow_side any = *host;
	usec_t start;
	int fd;

	if (addr_is_v4(&host->local) || slow_held(now))
		return false;
	any.lport = 0;
	/* Searches for a port, where few are free */
	start = slow_clock();
	fd = fwd_socket(IPPROTO_UDP, &any);
	slow_call(now, slow_clock() - start);
	if (fd >= 0)
		close(fd);
	return fd == -EADDRNOTAVAIL;
}

/* A connected UDP socket, as another one of a flow would be; or below 0 */
static int fwd_connect_like(uint8_t proto, const struct flow_side *guest)
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
	fd = fwd_socket(IPPROTO_UDP, &host);
	if (fd < 0)
		return fd;
	return fwd_done(fd, connect(fd, &sa.sa, len) ? -errno : 0);
}

/**
 * fwd_has_way() - Whether there is a way where a stranded socket's flow leads
 * @proto:	IPPROTO_UDP, IPPROTO_ICMP or IPPROTO_ICMPV6
 * @guest:	the guest's side
 *
 * While there is none the flow may as well keep its socket: when its network is
 * back, what comes first may be an answer.
 *
 * Return: true if another socket would find it; or if there is no descriptor, or
 *	   no port, to look by: the stranded one has both
 */
bool fwd_has_way(uint8_t proto, const struct flow_side *guest)
{
	int fd = fwd_connect_like(proto, guest);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EMFILE || fd == -ENFILE || fd == -EAGAIN;
}

/**
 * fwd_has_moved() - Whether another socket would speak from another address
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
bool fwd_has_moved(uint8_t proto, const struct flow_side *guest,
		   const struct addr *from, usec_t now)
{
	struct endpoint e = { .addr = *from };
	usec_t start;
	int fd;

	if (slow_held(now))
		return false;
	/* Searches for a port, where few are free */
	start = slow_clock();
	fd = fwd_connect_like(proto, guest);
	slow_call(now, slow_clock() - start);
	if (fd < 0)
		return false;
	addr_of_socket(fd, &e);
	close(fd);
	return !addr_equal(&e.addr, from);
}

/**
 * fwd_is_cut_off() - Whether there is no way to a destination
 * @rc:		negative error code of fwd_socket() or of connect(2)
 *
 * No route, or no address of that family (ENETUNREACH; EADDRNOTAVAIL where IPv6
 * was switched off), or not the interface that sockets are bound to (ENODEV).
 *
 * Return: true if so: a router would say that the network is unreachable
 */
bool fwd_is_cut_off(int rc)
{
	return rc == -ENETUNREACH || rc == -EADDRNOTAVAIL || rc == -ENODEV;
}
