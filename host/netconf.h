/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netconf: the host's addresses and routes, given to a network namespace
 *
 * netconf_collect() runs in the host's namespace and keeps what it finds in
 * static memory (see netcopy.h); netconf_apply() then runs in the guest's, in a
 * process that may change its network, and shares that memory (a fork).
 */
#ifndef HOST_NETCONF_H
#define HOST_NETCONF_H

#include <net/if.h>
#include <stdbool.h>

#include "host/netcopy.h"
#include "lib/addr.h"

/** Room for what went wrong, bytes */
#define NETCONF_WHY	128
/**
 * struct netconf_family - what is asked for of a family
 * @on:		the family is served
 * @ifindex:	the host's interface to copy from, or 0
 * @addr:	the guest's address, or unset
 * @prefix:	its prefix length
 * @gateway:	the guest's gateway, or unset: a default route without one
 * @copy_addrs:	all addresses of the host's interface instead of @addr alone
 * @copy_routes:	all its routes instead of one to @gateway
 */
struct netconf_family {
	bool on;
	unsigned ifindex;
	struct addr addr;
	unsigned prefix;
	struct addr gateway;
	bool copy_addrs;
	bool copy_routes;
};

/**
 * struct netconf - what is to be done inside
 * @ifname:	interface inside, or "": lo only
 * @mtu:	its MTU; 0: leave it
 * @family:	[NETCOPY_V4] and [NETCOPY_V6]
 */
struct netconf {
	char ifname[IFNAMSIZ];
	unsigned mtu;
	struct netconf_family family[NETCOPY_FAMILIES];
};

int netconf_collect(const struct netconf *n, char why[NETCONF_WHY]);
int netconf_apply(const struct netconf *n, char why[NETCONF_WHY]);

#endif /* HOST_NETCONF_H */
