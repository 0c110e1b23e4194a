/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netlink: which interface, address and gateway the host itself uses
 *
 * netlink_uplink() asks the kernel. What reads its answers is netlink_parse(),
 * bytes in, struct out, for tests as well.
 */
#ifndef HOST_NETLINK_H
#define HOST_NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

/**
 * struct netlink_routes - what the routes of a family come down to
 * @found:	a default route was seen
 * @ifindex:	its interface, of the one with the lowest metric
 * @gateway:	its gateway, or unset
 * @source:	its preferred source address, or unset
 * @metric:	its metric
 * @first:	interface of the first route of all, or 0
 * @several:	other interfaces have routes, too
 * @first_gateway:	gateway of the first route through one on @first
 */
struct netlink_routes {
	bool found;
	unsigned ifindex;
	struct addr gateway;
	struct addr source;
	uint32_t metric;
	unsigned first;
	bool several;
	struct addr first_gateway;
};

/**
 * struct netlink_view - what was asked for, and what messages said
 * @family:	AF_INET or AF_INET6
 * @only:	look at this interface alone; 0: at all
 * @routes:	from RTM_NEWROUTE
 * @addr:	best address from RTM_NEWADDR, or unset
 * @prefix:	its prefix length
 * @rank:	how good it is, 0: none seen
 * @ifname:	from RTM_NEWLINK, or ""
 * @mtu:	the same, bytes, or 0
 */
struct netlink_view {
	int family;
	unsigned only;
	struct netlink_routes routes;
	struct addr addr;
	unsigned prefix;
	unsigned rank;
	char ifname[IFNAMSIZ];
	unsigned mtu;
};

/**
 * struct netlink_uplink - how the host is connected, in one family
 * @ifindex:	interface, 0: it is not
 * @ifname:	its name
 * @mtu:	its MTU, bytes
 * @addr:	its address, or unset
 * @prefix:	prefix length of @addr
 * @has_route:	it has routes, besides those that every interface has
 * @default_route:	there is a default route
 * @gateway:	that of the default route, or of the only interface; or unset
 */
struct netlink_uplink {
	unsigned ifindex;
	char ifname[IFNAMSIZ];
	unsigned mtu;
	struct addr addr;
	unsigned prefix;
	bool has_route;
	bool default_route;
	struct addr gateway;
};

int netlink_parse(struct netlink_view *v, const void *buf, size_t len);
int netlink_uplink(int family, const char *ifname, struct netlink_uplink *up);

#endif /* HOST_NETLINK_H */
