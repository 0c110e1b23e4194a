/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netlink: what the host's kernel knows of interfaces, addresses and routes
 */
#ifndef HOST_NETLINK_H
#define HOST_NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

/**
 * struct netlink_family - what the host has of one family
 * @ifindex:	interface: the one asked for, else that of the default route
 *		with the lowest metric, else the first one with any route; 0:
 *		there is none
 * @ifname:	its name
 * @mtu:	its MTU, bytes
 * @has_route:	it has a route of this family, link-local ones apart
 * @has_gateway:	it has a default route with a gateway
 * @gateway:	that gateway (the first one of a multipath route)
 * @has_addr:	it has an address of global scope (IPv4: else of any other
 *		scope but host)
 * @addr:	the address; not deprecated, not temporary where there is a choice
 * @prefix:	its prefix length
 */
struct netlink_family {
	unsigned ifindex;
	char ifname[IFNAMSIZ];
	unsigned mtu;
	bool has_route;
	bool has_gateway;
	struct addr gateway;
	bool has_addr;
	struct addr addr;
	unsigned prefix;
};

/**
 * struct netlink_routes - what a dump of routes has shown so far
 * @family:	AF_INET or AF_INET6
 * @only:	look at routes of this interface only, 0: all
 * @any:	interface of the first route, 0: none yet
 * @best:	interface of the best default route, 0: none yet
 * @metric:	its metric
 * @has_gateway:	it has a gateway
 * @gateway:	that
 */
struct netlink_routes {
	int family;
	unsigned only;
	unsigned any;
	unsigned best;
	uint32_t metric;
	bool has_gateway;
	struct addr gateway;
};

/**
 * struct netlink_addrs - what a dump of addresses has shown so far
 * @family:	AF_INET or AF_INET6
 * @ifindex:	interface whose addresses count
 * @rank:	how good the best one is, 0: none yet
 * @addr:	the best one
 * @prefix:	its prefix length
 */
struct netlink_addrs {
	int family;
	unsigned ifindex;
	unsigned rank;
	struct addr addr;
	unsigned prefix;
};

int netlink_parse_routes(const void *buf, size_t len, struct netlink_routes *r);
int netlink_parse_addrs(const void *buf, size_t len, struct netlink_addrs *a);
int netlink_family_read(int family, const char *ifname,
			struct netlink_family *out);

#endif /* HOST_NETLINK_H */
