// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dnsname: domain names and search lists as DHCP, DHCPv6 and RAs carry them
 *
 * Text to the labels of RFC 1035 3.1. Lists are built once, at start, and cut
 * between names where a message has no room for all. Only DHCP's option 119 is
 * compressed (RFC 3397 2; RFC 1035 4.1.4): DHCPv6 (RFC 8415 10) and router
 * advertisements (RFC 8106 5.2) forbid it. No state of its own.
 */
#include "serve/dnsname.h"

#include <string.h>

#include "lib/bytes.h"
#include "lib/log.h"

#define DNSNAME_LABEL_MAX	63
#define DNSNAME_POINTER		0xc000

_Static_assert(CONF_SEARCH_MAX * DNSNAME_MAX < 0x4000,
	       "a pointer reaches every name of a list");

/**
 * dnsname_encode() - A name's wire form, uncompressed
 * @text:	the name, with or without the final dot
 * @wire:	where it goes
 * Return: bytes written, root label included; 0 if the name is not valid:
 *	an empty label or one over 63 bytes, or more than 255 bytes in all
 */
size_t dnsname_encode(const char *text, uint8_t wire[DNSNAME_MAX])
{
	struct out o = out_of(wire, DNSNAME_MAX);

	do {
		size_t n = strcspn(text, ".");

		if (!n || n > DNSNAME_LABEL_MAX)
			return 0;
		out_u8(&o, (uint8_t)n);
		out_bytes(&o, text, n);
		text += n;
		text += *text == '.';
	} while (*text);
	out_u8(&o, 0);
	return o.overflow ? 0 : o.len;
}

/* Whether the name at @at, pointers followed, is @name; bytes are our own */
static bool dnsname_list_name_is(const uint8_t *bytes, size_t at,
				 const uint8_t *name)
{
	for (;;) {
		while (bytes[at] >= DNSNAME_POINTER >> 8)
			at = get_be16(bytes + at) & ~DNSNAME_POINTER;
		if (memcmp(bytes + at, name, 1U + *name))
			return false;
		if (!*name)
			return true;
		at += 1U + *name;
		name += 1U + *name;
	}
}

/* Where in @len bytes @name stands, as the tail of a name; @len: nowhere */
static size_t dnsname_list_find(const uint8_t *bytes, size_t len,
				const uint8_t *name)
{
	size_t at = 0;

	while (at < len) {
		if (bytes[at] >= DNSNAME_POINTER >> 8) {
			at += 2;
			continue;
		}
		if (bytes[at] && dnsname_list_name_is(bytes, at, name))
			return at;
		at += 1U + bytes[at];
	}
	return len;
}

/* Append a name, its longest known tail replaced by a pointer */
static void dnsname_list_compress(struct out *o, const uint8_t *name)
{
	size_t len = o->len;

	for (; *name; name += 1U + *name) {
		size_t at = dnsname_list_find(o->start, len, name);

		if (at < len) {
			out_be16(o, (uint16_t)(DNSNAME_POINTER | at));
			return;
		}
		out_bytes(o, name, 1U + *name);
	}
	out_u8(o, 0);
}

/**
 * dnsname_list_build() - The configured search list in wire form
 * @l:		filled in
 * @c:		configuration
 * @compress:	with the pointers of RFC 1035 4.1.4
 *
 * Names that are not valid are skipped with a warning.
 */
void dnsname_list_build(struct dnsname_list *l, const struct conf *c,
			bool compress)
{
	struct out o = out_of(l->bytes, sizeof(l->bytes));

	l->count = 0;
	for (unsigned i = 0; i < c->search_count; i++) {
		uint8_t name[DNSNAME_MAX];
		size_t n = dnsname_encode(c->search[i], name);

		if (!n) {
			warn("search list: not a domain name, skipped: %s",
			     c->search[i]);
			continue;
		}
		if (compress)
			dnsname_list_compress(&o, name);
		else
			out_bytes(&o, name, n);
		l->end[l->count++] = (uint16_t)o.len;
	}
}

/**
 * dnsname_list_fit() - How much of a list fits
 * @l:		list
 * @room:	bytes there are
 * Return: length of as many whole names, from the first on, as fit
 */
size_t dnsname_list_fit(const struct dnsname_list *l, size_t room)
{
	size_t len = 0;

	for (unsigned i = 0; i < l->count && l->end[i] <= room; i++)
		len = l->end[i];
	return len;
}
