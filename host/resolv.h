/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolv: the host's name servers and search list, resolv.conf(5)
 */
#ifndef HOST_RESOLV_H
#define HOST_RESOLV_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/addr.h"

#define RESOLV_PATH	"/etc/resolv.conf"
/** Most name servers and domains that are kept */
#define RESOLV_SERVERS	16
#define RESOLV_DOMAINS	32
/** Room for a domain with its NUL, bytes */
#define RESOLV_NAME	256

/**
 * struct resolv_server - a name server
 * @addr:	its address
 * @scope:	interface of a link-local address as it was written, or ""
 */
struct resolv_server {
	struct addr addr;
	char scope[IFNAMSIZ];
};

/**
 * struct resolv - what resolv.conf says
 * @server:	name servers, in order
 * @servers:	how many
 * @domain:	search list, in order
 * @domains:	how many
 */
struct resolv {
	struct resolv_server server[RESOLV_SERVERS];
	unsigned servers;
	char domain[RESOLV_DOMAINS][RESOLV_NAME];
	unsigned domains;
};

/**
 * struct resolv_view - how the guest reaches one family's name servers
 * @server:	addresses to tell the guest, in order
 * @count:	how many
 * @first:	the host's first name server of the family, or unset
 * @behind:	name server that stands behind @stand_in, or unset
 * @left_out:	name servers that the guest has no address for
 */
struct resolv_view {
	struct addr server[RESOLV_SERVERS];
	unsigned count;
	struct addr first;
	struct addr behind;
	unsigned left_out;
};

/**
 * struct resolv_family - what a view of the name servers depends on
 * @v4:		IPv4, not IPv6
 * @stand_in:	guest's name of the host's loopback, or unset
 * @forward:	guest's name of the host's resolver, or unset
 * @guest:	address that the guest has, or unset
 * @ifname:	interface that link-local name servers are reached by
 * @ifindex:	its index
 */
struct resolv_family {
	bool v4;
	struct addr stand_in;
	struct addr forward;
	struct addr guest;
	const char *ifname;
	unsigned ifindex;
};

void resolv_parse(struct resolv *r, const char *text, size_t len);
int resolv_read(struct resolv *r, const char *path);
void resolv_view(const struct resolv *r, const struct resolv_family *f,
		 struct resolv_view *v);

#endif /* HOST_RESOLV_H */
