// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conf_host: what is set once a family, filled in from the host
 *
 * No state. Where the host has nothing:
 *
 *	                     IPv4                  IPv6
 *	no address           169.254.2.1/16        none
 *	no route at all      gateway 169.254.2.2   gateway fe80::1
 *	default route
 *	without a gateway    no gateway            gateway fe80::1
 *
 * Sources: RFC 3927 (169.254.0.0/16), RFC 791 3.2 (classes), RFC 4291 2.5.4.
 */
#include "conf_host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"

#define CONF_LINK_LOCAL4_LEN	16
#define CONF_PREFIX6		64

static const struct addr conf_guest4 = {
	{ [10] = 0xff, 0xff, 169, 254, 2, 1 } };
static const struct addr conf_gateway4 = {
	{ [10] = 0xff, 0xff, 169, 254, 2, 2 } };
static const struct addr conf_gateway6 = { { 0xfe, 0x80, [15] = 1 } };

static const char *const conf_host_name[] = { "IPv4", "IPv6" };

static bool conf_host_has_addr(const struct netlink_uplink *up)
{
	return !addr_is_unspecified(&up->addr);
}

/* Both, as the host has routes or options say; both where it has none at all */
static void conf_host_families(struct conf_family *fam,
			       const struct conf_host_wish *w,
			       const struct netlink_uplink *up)
{
	unsigned count = 0;

	for (unsigned i = 0; i < CONF_FAMILIES; i++) {
		fam[i].on = !w->only[!i] &&
			    (w->only[i] || up[i].has_route ||
			     conf_host_has_addr(&up[i]) ||
			     !addr_is_unspecified(&fam[i].addr) ||
			     !addr_is_unspecified(&fam[i].gateway));
		count += fam[i].on;
	}
	for (unsigned i = 0; !count && i < CONF_FAMILIES; i++)
		fam[i].on = true;
	for (unsigned i = 0; i < CONF_FAMILIES; i++)
		fam[i].local = fam[i].on || !w->only[!i];
}

/* Prefix length by the class of an IPv4 address */
static unsigned conf_host_class(const struct addr *a)
{
	unsigned first = a->b[12];

	return first < 128 ? 8 : first < 192 ? 16 : 24;
}

static unsigned conf_host_prefix(const struct conf_family *f,
				 const struct netlink_uplink *up)
{
	if (conf_host_has_addr(up) &&
	    addr_in_prefix(&f->addr, &up->addr, up->prefix))
		return up->prefix;
	return addr_is_v4(&f->addr) ? conf_host_class(&f->addr) : CONF_PREFIX6;
}

static void conf_host_address(struct conf_family *f,
			      const struct conf_host_wish *w,
			      const struct netlink_uplink *up, unsigned i)
{
	if (!addr_is_unspecified(&f->addr)) {
		if (!w->has_prefix[i])
			f->prefix = conf_host_prefix(f, up);
	} else if (conf_host_has_addr(up)) {
		f->addr = up->addr;
		f->prefix = up->prefix;
	} else if (i == CONF_V4) {
		f->addr = conf_guest4;
		f->prefix = CONF_LINK_LOCAL4_LEN;
	}
	if (i == CONF_V4 && w->has_netmask)
		f->prefix = w->netmask;
}

static void conf_host_gateway(struct conf_family *f,
			      const struct netlink_uplink *up, unsigned i)
{
	if (!addr_is_unspecified(&f->gateway))
		return;
	if (!addr_is_unspecified(&up->gateway))
		f->gateway = up->gateway;
	else if (i == CONF_V6)
		f->gateway = conf_gateway6;
	else if (up->default_route)
		f->no_gateway = true;
	else
		f->gateway = conf_gateway4;
}

/**
 * conf_host_fill() - Fill in addresses, gateways and interfaces
 * @fam:	both families, as the command line left them
 * @w:		what was asked for besides
 * @up:		how the host is connected, both families
 */
void conf_host_fill(struct conf_family *fam, const struct conf_host_wish *w,
		    const struct netlink_uplink *up)
{
	conf_host_families(fam, w, up);
	for (unsigned i = 0; i < CONF_FAMILIES; i++) {
		struct conf_family *f = &fam[i];

		if (!f->on)
			continue;
		memcpy(f->ifname, up[i].ifname, sizeof(f->ifname));
		f->ifindex = up[i].ifindex;
		f->host_mtu = up[i].mtu;
		conf_host_address(f, w, &up[i], i);
		conf_host_gateway(f, &up[i], i);
		if (!w->no_map_gw && addr_is_unspecified(&f->map_host_loopback))
			f->map_host_loopback = f->gateway;
	}
}

/* Whether the kernel lets a socket have the address; 0, or its error */
static int conf_host_try_bind(const struct endpoint *e, bool freebind)
{
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(e, &sa);
	int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool v4 = sa.sa.sa_family == AF_INET;
	int on = 1, rc = 0;

	if (fd < 0)
		return errno;
	if (freebind)
		setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
			   v4 ? IP_FREEBIND : IPV6_FREEBIND, &on, sizeof(on));
	/* The address is looked at first: it is the host's, and no port free */
	if (bind(fd, &sa.sa, len) && errno != EADDRINUSE)
		rc = errno;
	close(fd);
	return rc;
}

/* Not where IPv6 is switched off, or not built in */
static bool conf_host_has_loopback(unsigned i)
{
	const struct endpoint e = {
		.addr = i == CONF_V4 ? ADDR_LOOPBACK4 : ADDR_LOOPBACK6 };

	return !conf_host_try_bind(&e, false);
}

/**
 * conf_host_ask() - Fill in addresses, gateways and interfaces from the kernel
 * @fam:	both families, as the command line left them
 * @w:		what was asked for besides
 *
 * Ends the process where the kernel does not answer.
 */
void conf_host_ask(struct conf_family *fam, const struct conf_host_wish *w)
{
	struct netlink_uplink up[CONF_FAMILIES];

	for (unsigned i = 0; i < CONF_FAMILIES; i++) {
		int rc = netlink_uplink(i == CONF_V4 ? AF_INET : AF_INET6,
					*w->interface ? w->interface :
					fam[i].outbound_if, &up[i]);

		if (rc)
			die("Cannot learn the host's %s routes: %s",
			    conf_host_name[i], strerror(-rc));
	}
	conf_host_fill(fam, w, up);
	for (unsigned i = 0; i < CONF_FAMILIES; i++)
		fam[i].local &= fam[i].on || conf_host_has_loopback(i);
}

static void conf_host_servers(struct conf_family *f,
			      const struct resolv_view *v)
{
	f->dns_left_out = v->left_out;
	for (unsigned i = 0; i < v->count && i < CONF_DNS_MAX; i++)
		f->dns[f->dns_count++] = v->server[i];
}

/**
 * conf_host_names() - Fill in name servers
 * @fam:	both families, filled in by conf_host_fill()
 * @w:		what was asked for besides
 * @r:		what the host's resolv.conf says
 */
void conf_host_names(struct conf_family *fam, const struct conf_host_wish *w,
		     const struct resolv *r)
{
	for (unsigned i = 0; i < CONF_FAMILIES; i++) {
		struct conf_family *f = &fam[i];
		const struct resolv_family how = {
			.v4 = i == CONF_V4, .stand_in = f->map_host_loopback,
			.forward = f->dns_forward, .guest = f->addr,
			.ifname = f->ifname, .ifindex = f->ifindex };
		struct resolv_view v;

		if (!f->on)
			continue;
		resolv_view(r, &how, &v);
		if (!w->dns)
			conf_host_servers(f, &v);
		f->dns_to_host = v.behind;
		if (addr_is_unspecified(&f->dns_host))
			f->dns_host = v.first;
	}
}

/**
 * conf_host_cannot_bind() - Whether sockets can be bound to an address
 * @fam:	both families
 * @a:		address; any address can be bound to
 * @ifname:	interface, too, or ""
 * @freebind:	the address need not exist yet
 * @lo_to_lo:	loopback will do in a family that is off
 * Return: NULL, or what is wrong
 */
const char *conf_host_cannot_bind(const struct conf_family *fam,
				  const struct addr *a, const char *ifname,
				  bool freebind, bool lo_to_lo)
{
	unsigned i = addr_is_v4(a) ? CONF_V4 : CONF_V6;
	struct endpoint e = { .addr = *a };
	int rc;

	if (*ifname && !if_nametoindex(ifname))
		return "no such interface";
	if (addr_equal(a, &ADDR_ANY6))
		return NULL;
	if (!fam[i].on && !(lo_to_lo && fam[i].local && addr_is_loopback(a)))
		return i == CONF_V4 ? "there is no IPv4" : "there is no IPv6";
	if (addr_is_link_local6(a))
		e.ifindex = *ifname ? if_nametoindex(ifname) : fam[i].ifindex;
	rc = conf_host_try_bind(&e, freebind);
	if (rc == EADDRNOTAVAIL)
		return "not an address of this host";
	return rc ? strerror(rc) : NULL;
}

static void conf_host_describe_one(const struct conf_family *f,
				   const char *name, enum log_level level)
{
	char addr[ADDR_STRLEN + 5] = "none", gateway[ADDR_STRLEN] = "none";
	char text[ADDR_STRLEN];

	if (!addr_is_unspecified(&f->addr))
		snprintf(addr, sizeof(addr), "%s/%u",
			 addr_format(&f->addr, text, sizeof(text)), f->prefix);
	if (!f->no_gateway)
		addr_format(&f->gateway, gateway, sizeof(gateway));
	log_at(level,
	       "%s: address %s, gateway %s, interface %s, %u name servers",
	       name, addr, gateway, *f->ifname ? f->ifname : "none",
	       f->dns_count);
}

static void conf_host_warn(const struct conf_family *f, const char *name,
			   bool dns)
{
	if (dns && f->dns_left_out)
		warn("%s: %u name servers of %s mean nothing to the guest and "
		     "are left out (see --dns)", name, f->dns_left_out,
		     RESOLV_PATH);
	if (!addr_is_unspecified(&f->dns_forward) &&
	    addr_is_unspecified(&f->dns_host))
		warn("--dns-forward: no %s name server in %s (see --dns-host)",
		     name, RESOLV_PATH);
}

/**
 * conf_host_describe() - Say what the guest will be told, a line per family
 * @fam:	both families
 * @level:	how important that is
 * @dns:	it will be told name servers
 *
 * And what of it will not work. Called once the start has succeeded: a failure
 * is one line alone.
 */
void conf_host_describe(const struct conf_family *fam, enum log_level level,
			bool dns)
{
	for (unsigned i = 0; i < CONF_FAMILIES; i++) {
		if (!fam[i].on)
			continue;
		conf_host_describe_one(&fam[i], conf_host_name[i], level);
		conf_host_warn(&fam[i], conf_host_name[i], dns);
	}
}
