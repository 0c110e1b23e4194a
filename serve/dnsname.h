/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dnsname: domain names and search lists as DHCP, DHCPv6 and RAs carry them
 */
#ifndef SERVE_DNSNAME_H
#define SERVE_DNSNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"

/** Longest name in wire form, root label included (RFC 1035 2.3.4) */
#define DNSNAME_MAX	255

/**
 * struct dnsname_list - a search list in wire form
 * @bytes:	the names, one after the other
 * @end:	where each name ends in @bytes: any first few of them are a list
 * @count:	how many names
 */
struct dnsname_list {
	uint8_t bytes[CONF_SEARCH_MAX * DNSNAME_MAX];
	uint16_t end[CONF_SEARCH_MAX];
	unsigned count;
};

size_t dnsname_encode(const char *text, uint8_t wire[DNSNAME_MAX]);
void dnsname_list_build(struct dnsname_list *l, const struct conf *c,
			bool compress);
size_t dnsname_list_fit(const struct dnsname_list *l, size_t room);

#endif /* SERVE_DNSNAME_H */
