// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_ports: what the kernel says of sockets, of any content
 *
 * The first byte chooses between messages of sock_diag, with sequence number 1,
 * and lines of /proc/net; the rest is what recv() or pread() gave.
 */
#include "host/ports.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ports_map map;
	uint8_t *copy;

	if (!size)
		return 0;
	/* of its own size: reading on is seen; aligned as the kernel's */
	copy = malloc(size);
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 1) {
		size_t n = ports_parse_proc(&map, (char *)copy, size - 1);

		assert(n <= size - 1);
		assert(!memchr(copy + n, '\n', size - 1 - n));
	} else {
		int rc = ports_parse(&map, 1, copy, size - 1);

		assert(rc <= 1 && rc > -4096);
	}
	free(copy);
	for (unsigned i = 0; i < PORTS_REACHES; i++)
		assert(!ports_has(&map, i, 0));
	return 0;
}
