/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netcopy: addresses and routes of the host's interfaces, for a namespace
 *
 * netcopy_collect() asks the kernel. What reads its answers is netcopy_parse(),
 * bytes in, struct out, for tests as well.
 */
#ifndef HOST_NETCOPY_H
#define HOST_NETCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

/** Most of what is copied; with more routes, none of the family's is */
#define NETCOPY_ADDRS	256
#define NETCOPY_ROUTES	8192
#define NETCOPY_HOPS	16384
#define NETCOPY_METRICS	65536

/** Index of a family; as in struct conf */
enum netcopy_family { NETCOPY_V4, NETCOPY_V6, NETCOPY_FAMILIES };

/**
 * struct netcopy_want - what is asked for
 * @addrs:	interface whose addresses are wanted, per family; 0: none
 * @routes:	interface whose routes are, the same
 */
struct netcopy_want {
	unsigned addrs[NETCOPY_FAMILIES];
	unsigned routes[NETCOPY_FAMILIES];
};

/**
 * struct netcopy_addr - an address of an interface
 * @addr:	address
 * @peer:	the other end's, of a point-to-point interface; else @addr
 * @broadcast:	broadcast address, or unset
 * @prefix:	prefix length of @peer
 * @scope:	enum rt_scope_t
 * @flags:	IFA_F_DEPRECATED and IFA_F_NOPREFIXROUTE
 * @metric:	of the route to its prefix, 0: the kernel's choice
 */
struct netcopy_addr {
	struct addr addr;
	struct addr peer;
	struct addr broadcast;
	uint8_t prefix;
	uint8_t scope;
	uint32_t flags;
	uint32_t metric;
};

/**
 * struct netcopy_hop - a next hop of a route
 * @via:	gateway, perhaps of the other family; unset: there is none
 * @weight:	as in struct rtnexthop
 * @onlink:	the gateway is taken to be a neighbour
 */
struct netcopy_hop {
	struct addr via;
	uint8_t weight;
	bool onlink;
};

/**
 * struct netcopy_route - a route
 * @dst:	destination
 * @src:	source, of an IPv6 route that has one
 * @prefsrc:	preferred source address, or unset
 * @v4:		of IPv4
 * @dst_len:	prefix length of @dst
 * @src_len:	prefix length of @src
 * @tos:	type of service
 * @protocol:	who made it, RTPROT_*
 * @scope:	enum rt_scope_t
 * @pref:	RFC 4191, of IPv6
 * @metric:	the lower the better
 * @hop:	first next hop
 * @hops:	how many
 * @metrics:	where its metrics (MTU and the like) begin
 * @metrics_len:	their bytes
 */
struct netcopy_route {
	struct addr dst;
	struct addr src;
	struct addr prefsrc;
	bool v4;
	uint8_t dst_len;
	uint8_t src_len;
	uint8_t tos;
	uint8_t protocol;
	uint8_t scope;
	uint8_t pref;
	uint32_t metric;
	uint16_t hop;
	uint16_t hops;
	uint32_t metrics;
	uint16_t metrics_len;
};

/**
 * struct netcopy - what the host's interfaces have
 * @addr:	addresses
 * @addrs:	how many
 * @route:	routes
 * @routes:	how many
 * @hop:	next hops of the routes
 * @hops:	how many
 * @metrics:	attributes RTAX_* of the routes
 * @metrics_len:	their bytes
 * @too_many:	there are more routes, per family
 * @more_addrs:	there are more addresses
 */
struct netcopy {
	struct netcopy_addr addr[NETCOPY_ADDRS];
	unsigned addrs;
	struct netcopy_route route[NETCOPY_ROUTES];
	unsigned routes;
	struct netcopy_hop hop[NETCOPY_HOPS];
	unsigned hops;
	uint8_t metrics[NETCOPY_METRICS];
	unsigned metrics_len;
	bool too_many[NETCOPY_FAMILIES];
	bool more_addrs;
};

const struct netcopy *netcopy_found(void);
void netcopy_forget(void);
int netcopy_parse(const struct netcopy_want *w, const void *buf, size_t len);
int netcopy_collect(const struct netcopy_want *w);

#endif /* HOST_NETCOPY_H */
