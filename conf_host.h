/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf_host: what the command line leaves open is filled in from the host
 */
#ifndef CONF_HOST_H
#define CONF_HOST_H

#include "conf.h"

/**
 * struct conf_given - what the command line said, before the host is asked
 * @only:	--ipv4-only, --ipv6-only, per family
 * @addr:	--address, per family, or unset
 * @prefix:	its /LEN, or -1
 * @netmask:	--netmask as a prefix length, or -1
 * @gateway:	--gateway, per family, or unset
 * @ifname:	--interface, or ""
 * @dns:	--dns addresses
 * @dns_count:	how many
 * @dns_none:	--dns none
 * @search_given:	--search, also none: struct conf has it already
 * @no_map_gw:	--no-map-gw
 * @no_map:	--map-host-loopback none
 */
struct conf_given {
	bool only[CONF_FAMILIES];
	struct addr addr[CONF_FAMILIES];
	int prefix[CONF_FAMILIES];
	int netmask;
	struct addr gateway[CONF_FAMILIES];
	char ifname[IFNAMSIZ];
	struct addr dns[CONF_DNS_MAX];
	unsigned dns_count;
	bool dns_none;
	bool search_given;
	bool no_map_gw;
	bool no_map;
};

void conf_host_fill(struct conf *c, const struct conf_given *g);

#endif /* CONF_HOST_H */
