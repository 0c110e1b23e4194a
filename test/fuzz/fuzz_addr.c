// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_addr: whatever text is taken for an address is written and read again
 * as the same one
 */
#include <assert.h>
#include <string.h>

#include "lib/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_addr(const char *text)
{
	struct addr a, b;
	char buf[ADDR_STRLEN];

	if (!addr_parse(text, &a))
		return;
	assert(addr_parse(addr_format(&a, buf, sizeof(buf)), &b));
	assert(addr_equal(&a, &b));
}

static void try_mac(const char *text)
{
	uint8_t a[6], b[6];
	char buf[18];

	if (!mac_parse(text, a))
		return;
	assert(mac_parse(mac_format(a, buf, sizeof(buf)), b));
	assert(!memcmp(a, b, sizeof(a)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[128];

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	try_addr(text);
	try_mac(text);
	return 0;
}
