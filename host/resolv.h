/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolv: name servers and search list of the host, resolv.conf(5)
 */
#ifndef HOST_RESOLV_H
#define HOST_RESOLV_H

#include <stddef.h>

#include "lib/addr.h"

#define RESOLV_SERVERS	8
#define RESOLV_SEARCH	32
#define RESOLV_NAME_MAX	256

/**
 * struct resolv - what resolv.conf says
 * @server:	name servers; the scope of link-local ones in @ifindex
 * @servers:	how many
 * @search:	search list, without trailing dots
 * @searches:	how many
 */
struct resolv {
	struct endpoint server[RESOLV_SERVERS];
	unsigned servers;
	char search[RESOLV_SEARCH][RESOLV_NAME_MAX];
	unsigned searches;
};

void resolv_parse(const char *text, size_t len, struct resolv *out);
int resolv_read(const char *path, struct resolv *out);

#endif /* HOST_RESOLV_H */
