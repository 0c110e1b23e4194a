/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf_host: what is set once a family, filled in from the host
 *
 * What the command line said of a family stays; the rest comes from the host's
 * routes, addresses and name servers, or from what stands in for them. An
 * address that is not set is ADDR_ANY6 (all zero), for both families.
 */
#ifndef CONF_HOST_H
#define CONF_HOST_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/netlink.h"
#include "host/resolv.h"
#include "lib/addr.h"
#include "lib/log.h"

#define CONF_DNS_MAX	8

/** Index of a family in struct conf */
enum conf_family_index { CONF_V4, CONF_V6, CONF_FAMILIES };

/**
 * struct conf_family - settings that exist once a family
 * @on:		the family is served
 * @local:	loopback is, past the link: so, too, where the host has no more of
 *		the family than that
 * @addr:	the guest's address
 * @prefix:	its prefix length
 * @gateway:	the guest's gateway
 * @no_gateway:	the host has none and none was given: announce none
 * @ifname:	host interface that addresses and routes come from, or ""
 * @ifindex:	its index, or 0
 * @host_mtu:	its MTU, or 0
 * @outbound:	source address of outbound sockets, or unset
 * @outbound_if:	interface outbound sockets are bound to, or ""
 * @dns:	name servers told to the guest
 * @dns_count:	how many
 * @dns_left_out:	name servers of the host that the guest cannot reach
 * @dns_forward:	--dns-forward, or unset
 * @dns_host:	resolver on the host that --dns-forward leads to
 * @dns_to_host:	the resolver that stands behind @map_host_loopback on
 *		port 53: one on the host's loopback, or of that very address;
 *		or unset
 * @map_host_loopback:	guest's name of the host's loopback, or unset
 * @map_guest_addr:	guest's name of the address it shares, or unset
 */
struct conf_family {
	bool on;
	bool local;
	struct addr addr;
	unsigned prefix;
	struct addr gateway;
	bool no_gateway;
	char ifname[IFNAMSIZ];
	unsigned ifindex;
	unsigned host_mtu;
	struct addr outbound;
	char outbound_if[IFNAMSIZ];
	struct addr dns[CONF_DNS_MAX];
	unsigned dns_count;
	unsigned dns_left_out;
	struct addr dns_forward;
	struct addr dns_host;
	struct addr dns_to_host;
	struct addr map_host_loopback;
	struct addr map_guest_addr;
};

/**
 * struct conf_host_wish - what was asked for besides
 * @interface:	--interface, or ""
 * @only:	this family alone, per family
 * @has_prefix:	an address came with a prefix length, per family
 * @has_netmask:	--netmask was given
 * @netmask:	its prefix length
 * @no_map_gw:	the gateway's address does not stand for the host's loopback
 * @dns:	--dns was given
 */
struct conf_host_wish {
	char interface[IFNAMSIZ];
	bool only[CONF_FAMILIES];
	bool has_prefix[CONF_FAMILIES];
	bool has_netmask;
	unsigned netmask;
	bool no_map_gw;
	bool dns;
};

void conf_host_fill(struct conf_family *fam, const struct conf_host_wish *w,
		    const struct netlink_uplink *up);
void conf_host_ask(struct conf_family *fam, const struct conf_host_wish *w);
void conf_host_names(struct conf_family *fam, const struct conf_host_wish *w,
		     const struct resolv *r);
const char *conf_host_cannot_bind(const struct conf_family *fam,
				  const struct addr *a, const char *ifname,
				  bool freebind, bool lo_to_lo);
void conf_host_describe(const struct conf_family *fam, enum log_level level,
			bool dns);

#endif /* CONF_HOST_H */
