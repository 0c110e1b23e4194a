// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conf_host: what the command line leaves open is filled in from the host
 *
 *	                 given    else of the interface   else
 *	family           -4 -6    that has routes         both
 *	address          -a       its address             169.254.2.1, no IPv6
 *	prefix length    /LEN -n  that of the address     by class, 64
 *	gateway          -g       its default route's     169.254.2.2, fe80::1
 *	name servers     -D       resolv.conf
 *
 * The interface is --outbound-if4/6, else --interface, else that of the default
 * route, else the first one with any route.
 */
#include "conf_host.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "host/netlink.h"
#include "host/resolv.h"

#define CONF_RESOLV	"/etc/resolv.conf"

/* RFC 3927: link-local, for hosts without any network */
#define CONF_FALLBACK_ADDR4	"169.254.2.1"
#define CONF_FALLBACK_GATEWAY4	"169.254.2.2"
#define CONF_FALLBACK_PREFIX4	16
#define CONF_FALLBACK_GATEWAY6	"fe80::1"
#define CONF_PREFIX6		64

static struct netlink_family conf_host[CONF_FAMILIES];

static const int conf_af[CONF_FAMILIES] = { AF_INET, AF_INET6 };

static struct addr conf_addr(const char *text)
{
	struct addr a = ADDR_ANY6;

	addr_parse(text, &a);
	return a;
}

static void conf_read_family(struct conf *c, const struct conf_given *g, int i)
{
	struct conf_family *f = &c->family[i];
	const char *ifname = *f->outbound_if ? f->outbound_if : g->ifname;
	int rc = netlink_family_read(conf_af[i], ifname, &conf_host[i]);

	if (rc < 0)
		die("Cannot ask the kernel for routes: %s", strerror(-rc));
	f->ifindex = conf_host[i].ifindex;
	f->host_mtu = conf_host[i].mtu;
	snprintf(f->ifname, sizeof(f->ifname), "%s", conf_host[i].ifname);
}

/* Both families, as the host has routes, or as the user says */
static void conf_families(struct conf *c, const struct conf_given *g)
{
	bool any = false;

	for (int i = 0; i < CONF_FAMILIES; i++) {
		struct conf_family *f = &c->family[i];

		f->on = conf_host[i].has_route ||
			!addr_is_unspecified(&g->addr[i]) || g->only[i];
		any |= f->on;
	}
	if (!any)
		c->family[CONF_V4].on = c->family[CONF_V6].on = true;
	if (g->only[CONF_V4])
		c->family[CONF_V6].on = false;
	if (g->only[CONF_V6])
		c->family[CONF_V4].on = false;
}

/* RFC 791 3.2: the network part by class */
static unsigned conf_class_prefix(const struct addr *a)
{
	uint8_t first = a->b[12];

	return first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 32;
}

static unsigned conf_prefix(const struct conf_given *g, int i,
			    const struct addr *a)
{
	const struct netlink_family *h = &conf_host[i];

	if (g->prefix[i] >= 0)
		return (unsigned)g->prefix[i];
	if (i == CONF_V4 && g->netmask >= 0)
		return (unsigned)g->netmask;
	if (h->has_addr && (addr_is_unspecified(&g->addr[i]) ||
			    addr_in_prefix(a, &h->addr, h->prefix)))
		return h->prefix;
	return i == CONF_V6 ? CONF_PREFIX6 : conf_class_prefix(a);
}

static void conf_address(struct conf *c, const struct conf_given *g, int i)
{
	struct conf_family *f = &c->family[i];

	f->addr = g->addr[i];
	if (addr_is_unspecified(&f->addr) && conf_host[i].has_addr)
		f->addr = conf_host[i].addr;
	if (addr_is_unspecified(&f->addr) && i == CONF_V4) {
		f->addr = conf_addr(CONF_FALLBACK_ADDR4);
		f->prefix = g->netmask >= 0 ? (unsigned)g->netmask :
			    CONF_FALLBACK_PREFIX4;
		return;
	}
	if (!addr_is_unspecified(&f->addr))
		f->prefix = conf_prefix(g, i, &f->addr);
}

/* A host with routes but no gateway has none to hand on */
static void conf_gateway(struct conf *c, const struct conf_given *g, int i)
{
	struct conf_family *f = &c->family[i];

	f->gateway = g->gateway[i];
	if (!addr_is_unspecified(&f->gateway))
		return;
	if (conf_host[i].has_gateway)
		f->gateway = conf_host[i].gateway;
	else if (conf_host[i].has_route)
		f->no_gateway = true;
	else
		f->gateway = conf_addr(i == CONF_V4 ? CONF_FALLBACK_GATEWAY4
						    : CONF_FALLBACK_GATEWAY6);
}

static void conf_mapping(struct conf *c, const struct conf_given *g, int i)
{
	struct conf_family *f = &c->family[i];

	if (addr_is_unspecified(&f->map_host_loopback) && !g->no_map_gw &&
	    !g->no_map)
		f->map_host_loopback = f->gateway;
}

static void conf_add_dns(struct conf_family *f, const struct addr *a)
{
	if (f->dns_count < CONF_DNS_MAX)
		f->dns[f->dns_count++] = *a;
}

/* A name server on the host's loopback is reached by the mapping's address */
static void conf_host_dns(struct conf *c, const struct addr *a)
{
	struct conf_family *f = &c->family[addr_is_v4(a) ? CONF_V4 : CONF_V6];
	char text[ADDR_STRLEN];

	if (!f->on)
		return;
	/* The mapping would lead away from a server of the same address */
	if (addr_equal(a, &f->map_host_loopback) &&
	    addr_is_unspecified(&f->dns_to_host))
		f->dns_to_host = *a;
	if (!addr_is_loopback(a)) {
		conf_add_dns(f, a);
		return;
	}
	if (!addr_is_unspecified(&f->dns_to_host))
		return;
	if (addr_is_unspecified(&f->map_host_loopback)) {
		if (addr_is_unspecified(&f->dns_forward))
			warn("Name server %s is out of the guest's reach: no "
			     "--map-host-loopback",
			     addr_format(a, text, sizeof(text)));
		return;
	}
	f->dns_to_host = *a;
	conf_add_dns(f, &f->map_host_loopback);
}

static void conf_dns(struct conf *c, const struct conf_given *g,
		     const struct resolv *r)
{
	for (unsigned i = 0; i < r->servers; i++) {
		const struct addr *a = &r->server[i].addr;
		struct conf_family *f =
			&c->family[addr_is_v4(a) ? CONF_V4 : CONF_V6];

		if (addr_is_unspecified(&f->dns_host))
			f->dns_host = *a;
		if (!g->dns_none && !g->dns_count)
			conf_host_dns(c, a);
	}
	for (unsigned i = 0; i < g->dns_count; i++) {
		const struct addr *a = &g->dns[i];

		conf_add_dns(&c->family[addr_is_v4(a) ? CONF_V4 : CONF_V6], a);
	}
	/* The guest asks --dns-forward, where no server was named for it */
	for (int i = 0; i < CONF_FAMILIES && !g->dns_none; i++) {
		struct conf_family *f = &c->family[i];

		if (!g->dns_count && f->on &&
		    !addr_is_unspecified(&f->dns_forward)) {
			f->dns_count = 0;
			conf_add_dns(f, &f->dns_forward);
		}
	}
}

static void conf_search(struct conf *c, const struct conf_given *g,
			const struct resolv *r)
{
	if (g->search_given)
		return;
	for (unsigned i = 0; i < r->searches && i < CONF_SEARCH_MAX; i++)
		snprintf(c->search[c->search_count++], CONF_NAME_MAX, "%s",
			 r->search[i]);
}

static void conf_tell(const struct conf *c, int i)
{
	const struct conf_family *f = &c->family[i];
	char addr[ADDR_STRLEN], gateway[ADDR_STRLEN];

	if (!f->on)
		return;
	info("%s: address %s/%u, gateway %s, interface %s, %u name servers",
	     i == CONF_V4 ? "IPv4" : "IPv6",
	     addr_is_unspecified(&f->addr) ? "none" :
	     addr_format(&f->addr, addr, sizeof(addr)), f->prefix,
	     f->no_gateway ? "none" :
	     addr_format(&f->gateway, gateway, sizeof(gateway)),
	     *f->ifname ? f->ifname : "none", f->dns_count);
}

/**
 * conf_host_fill() - Fill in from the host what the command line leaves open
 * @c:		configuration, with what the command line said
 * @g:		what it said of things that the host has a say in
 *
 * Ends the process where the kernel cannot be asked.
 */
void conf_host_fill(struct conf *c, const struct conf_given *g)
{
	static struct resolv r;

	for (int i = 0; i < CONF_FAMILIES; i++)
		conf_read_family(c, g, i);
	conf_families(c, g);
	for (int i = 0; i < CONF_FAMILIES; i++) {
		if (!c->family[i].on)
			continue;
		conf_address(c, g, i);
		conf_gateway(c, g, i);
		conf_mapping(c, g, i);
	}
	if (resolv_read(CONF_RESOLV, &r) < 0)
		debug("%s cannot be read", CONF_RESOLV);
	conf_dns(c, g, &r);
	conf_search(c, g, &r);
	if (!c->family[CONF_V4].on || c->family[CONF_V4].no_gateway)
		c->no_dhcp = true;
	for (int i = 0; i < CONF_FAMILIES; i++)
		conf_tell(c, i);
}
