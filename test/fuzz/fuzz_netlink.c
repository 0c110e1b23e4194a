// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_netlink: answers of the kernel of any content
 *
 * The first byte chooses the family and whether one interface is asked for; the
 * rest is what recv() gave.
 */
#include "host/netlink.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool is_of(const struct addr *a, int family)
{
	return addr_is_unspecified(a) || addr_is_v4(a) == (family == AF_INET);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct netlink_view v = { .family = AF_INET };
	uint8_t *copy;
	int rc;

	if (!size)
		return 0;
	if (data[0] & 1)
		v.family = AF_INET6;
	if (data[0] & 2)
		v.only = 2;
	/* of its own size: reading on is seen; aligned as the kernel's */
	copy = malloc(size);
	memcpy(copy, data + 1, size - 1);
	rc = netlink_parse(&v, copy, size - 1);
	free(copy);

	assert(rc <= 1 && rc > -4096);
	assert(!v.routes.found || v.routes.ifindex > 1);
	assert(!v.routes.found || v.routes.first);
	assert(is_of(&v.routes.gateway, v.family));
	assert(is_of(&v.routes.first_gateway, v.family));
	if (v.rank) {
		assert(is_of(&v.addr, v.family) && addr_is_unicast(&v.addr));
		assert(v.prefix <= (v.family == AF_INET ? 32 : 128));
	}
	assert(memchr(v.ifname, '\0', sizeof(v.ifname)));
	return 0;
}
