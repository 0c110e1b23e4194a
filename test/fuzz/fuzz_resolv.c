// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_resolv: resolv.conf of any content
 *
 * What is kept is well-formed, and so is what the guest is told of it.
 */
#include "host/resolv.h"

#include <assert.h>
#include <string.h>

static void check_view(const struct resolv *r, bool v4, bool mapped)
{
	struct resolv_family f = { .v4 = v4, .ifname = "eth0" };
	struct resolv_view v;

	if (mapped)
		f.stand_in = v4 ? (struct addr){ { [10] = 0xff, 0xff, 192, 0,
						   2, 1 } } :
				  (struct addr){ { 0xfe, 0x80, [15] = 1 } };
	resolv_view(r, &f, &v);
	assert(v.count + v.left_out <= r->servers);
	for (unsigned i = 0; i < v.count; i++) {
		assert(addr_is_v4(&v.server[i]) == v4);
		assert(addr_is_unicast(&v.server[i]));
		assert(!addr_is_loopback(&v.server[i]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct resolv r;

	resolv_parse(&r, (const char *)data, size);
	assert(r.servers <= RESOLV_SERVERS && r.domains <= RESOLV_DOMAINS);
	for (unsigned i = 0; i < r.servers; i++) {
		assert(addr_is_unicast(&r.server[i].addr));
		assert(memchr(r.server[i].scope, '\0', IFNAMSIZ));
	}
	for (unsigned i = 0; i < r.domains; i++) {
		assert(memchr(r.domain[i], '\0', RESOLV_NAME));
		assert(*r.domain[i] && *r.domain[i] != '.');
		assert(!strstr(r.domain[i], ".."));
	}
	for (int i = 0; i < 4; i++)
		check_view(&r, i & 1, i & 2);
	return 0;
}
