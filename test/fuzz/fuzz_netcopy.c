// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_netcopy: addresses and routes of any content
 *
 * The first byte chooses which interface is asked for, per family; the rest is
 * what recv() gave. Whatever is kept lies within what there is room for.
 */
#include "host/netcopy.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void check_addr(const struct netcopy_addr *a)
{
	assert(addr_is_unicast(&a->addr) && !addr_is_loopback(&a->addr));
	assert(!addr_is_link_local6(&a->addr));
	assert(a->prefix <= (addr_is_v4(&a->addr) ? 32 : 128));
}

static void check_route(const struct netcopy *f, const struct netcopy_route *r)
{
	unsigned max = r->v4 ? 32 : 128;

	assert(r->dst_len <= max && r->src_len <= max);
	assert(addr_is_unspecified(&r->dst) || addr_is_v4(&r->dst) == r->v4);
	assert(addr_is_unspecified(&r->prefsrc) ||
	       addr_is_v4(&r->prefsrc) == r->v4);
	assert(r->hops && (unsigned)r->hop + r->hops <= f->hops);
	assert(r->metrics + r->metrics_len <= f->metrics_len);
	for (unsigned i = 0; i < r->hops; i++) {
		const struct addr *via = &f->hop[r->hop + i].via;

		assert(addr_is_unspecified(via) || r->v4 || !addr_is_v4(via));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct netcopy *f = netcopy_found();
	struct netcopy_want w;
	uint8_t *copy;
	int rc;

	if (!size)
		return 0;
	w.addrs[NETCOPY_V4] = data[0] & 3;
	w.addrs[NETCOPY_V6] = data[0] >> 2 & 3;
	w.routes[NETCOPY_V4] = data[0] >> 4 & 3;
	w.routes[NETCOPY_V6] = data[0] >> 6 & 3;
	netcopy_forget();
	/* of its own size: reading on is seen; aligned as the kernel's */
	copy = malloc(size);
	memcpy(copy, data + 1, size - 1);
	rc = netcopy_parse(&w, copy, size - 1);
	free(copy);

	assert(rc <= 1 && rc > -4096);
	assert(f->addrs <= NETCOPY_ADDRS && f->routes <= NETCOPY_ROUTES);
	assert(f->hops <= NETCOPY_HOPS && f->metrics_len <= NETCOPY_METRICS);
	for (unsigned i = 0; i < f->addrs; i++)
		check_addr(&f->addr[i]);
	for (unsigned i = 0; i < f->routes; i++)
		check_route(f, &f->route[i]);
	return 0;
}
