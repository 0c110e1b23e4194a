// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fwd: given a new flow's one side, what is the other
 *
 * Owns the forwarding rules, one list a protocol and way, copied from the
 * command line so that they can come and go later. Translation, the first that
 * applies:
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

#include <netinet/in.h>
#include <string.h>

#include "guest.h"
#include "host/nssock.h"

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
