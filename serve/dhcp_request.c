// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dhcp_request: a DHCP or BOOTP message from the guest, read and checked
 *
 * Options lie in up to three areas (RFC 2131 4.1): behind the cookie and, where
 * option 52 says so, in the file and sname fields. Several instances of one
 * are joined (RFC 3396). No state.
 */
#include "serve/dhcp_request.h"

#include <net/if_arp.h>

/**
 * struct dhcp_option - an option as it stands in a message
 * @code:	enum dhcp_code
 * @len:	bytes in @value
 * @value:	value
 */
struct dhcp_option {
	uint8_t code;
	uint8_t len;
	const uint8_t *value;
};

/* The next option; false at the end, with c->bad set if it is cut off */
static bool dhcp_request_next(struct cur *c, struct dhcp_option *o)
{
	o->code = DHCP_OPT_PAD;
	while (c->left && o->code == DHCP_OPT_PAD)
		o->code = cur_u8(c);
	if (o->code == DHCP_OPT_PAD || o->code == DHCP_OPT_END)
		return false;
	o->len = cur_u8(c);
	o->value = cur_take(c, o->len);
	c->bad |= !o->value;
	return !c->bad;
}

static bool dhcp_request_area_ok(struct cur c)
{
	struct dhcp_option o;

	while (dhcp_request_next(&c, &o))
		;
	return !c.bad;
}

/* All instances of an option, joined; false: none, or longer than @v holds */
static bool dhcp_request_get(const struct dhcp_request *r, uint8_t code,
			     struct dhcp_value *v)
{
	struct out out = out_of(v->b, sizeof(v->b));
	struct dhcp_option o;
	bool found = false;

	for (unsigned i = 0; i < r->areas; i++) {
		struct cur c = r->area[i];

		while (dhcp_request_next(&c, &o)) {
			if (o.code != code)
				continue;
			out_bytes(&out, o.value, o.len);
			found = true;
		}
	}
	v->len = out.overflow ? 0 : out.len;
	return found && !out.overflow;
}

/* An option of fixed length into @to if it is there; false: wrong length */
static bool dhcp_request_get_fixed(const struct dhcp_request *r, uint8_t code,
				   void *to, size_t len)
{
	struct dhcp_value v;

	if (!dhcp_request_get(r, code, &v))
		return true;
	if (v.len != len)
		return false;
	memcpy(to, v.b, len);
	return true;
}

/* Options, and where option 52 says so, file and sname */
static bool dhcp_request_find_areas(struct dhcp_request *r,
				    const uint8_t *options, size_t len)
{
	uint8_t overload = 0;

	r->area[r->areas++] = cur_of(options, len);
	if (!dhcp_request_area_ok(r->area[0]))
		return false;
	if (!dhcp_request_get_fixed(r, DHCP_OPT_OVERLOAD, &overload, 1) ||
	    overload > 3)
		return false;
	if (overload & 1)
		r->area[r->areas++] = cur_of(r->h + DHCP_FILE, DHCP_FILE_LEN);
	if (overload & 2)
		r->area[r->areas++] = cur_of(r->h + DHCP_SNAME, DHCP_SNAME_LEN);
	for (unsigned i = 1; i < r->areas; i++) {
		if (!dhcp_request_area_ok(r->area[i]))
			return false;
	}
	return true;
}

static bool dhcp_request_read_options(struct dhcp_request *r)
{
	uint8_t wanted[4] = { 0 }, server[4] = { 0 }, size[2] = { 0 };
	struct dhcp_value v;

	if (!dhcp_request_get_fixed(r, DHCP_OPT_TYPE, &r->type, 1) ||
	    !dhcp_request_get_fixed(r, DHCP_OPT_REQUESTED, wanted,
				    sizeof(wanted)) ||
	    !dhcp_request_get_fixed(r, DHCP_OPT_SERVER, server,
				    sizeof(server)) ||
	    !dhcp_request_get_fixed(r, DHCP_OPT_MAX_SIZE, size, sizeof(size)))
		return false;
	r->wanted = addr_from_v4(wanted);
	r->server = addr_from_v4(server);
	r->max_size = get_be16(size);
	if (r->type == DHCP_BOOTP && dhcp_request_get(r, DHCP_OPT_TYPE, &v))
		return false;
	r->rapid = dhcp_request_get(r, DHCP_OPT_RAPID, &v);
	if (r->rapid && v.len)
		return false;
	dhcp_request_get(r, DHCP_OPT_PARAMETERS, &r->parameters);
	dhcp_request_get(r, DHCP_OPT_CLIENT_ID, &r->client_id);
	dhcp_request_get(r, DHCP_OPT_FQDN, &r->fqdn);
	return true;
}

/* What must hold of the fixed part: a client on this link, on Ethernet */
static bool dhcp_request_fixed_ok(const struct dhcp_request *r)
{
	const uint8_t *h = r->h;

	if (h[DHCP_OP] != DHCP_BOOTREQUEST || h[DHCP_HTYPE] != ARPHRD_ETHER ||
	    h[DHCP_HLEN] != 6 || h[DHCP_CHADDR] & 1)
		return false;
	if (get_be32(h + DHCP_GIADDR))
		return false;
	if (addr_is_unspecified(&r->ciaddr))
		return true;
	return addr_is_unicast(&r->ciaddr) && !addr_is_loopback(&r->ciaddr);
}

/**
 * dhcp_request_parse() - Read a message
 * @r:		filled in; points into the message
 * @c:		the message, in private memory
 *
 * All options are checked before any is believed: one that is cut off, or of
 * the wrong length, spoils the message. BOOTP is what has no option 53.
 *
 * Return: true if the message is whole, from a client on this link
 */
bool dhcp_request_parse(struct dhcp_request *r, struct cur c)
{
	bool dhcp;

	memset(r, 0, sizeof(*r));
	r->type = DHCP_BOOTP;
	r->h = cur_take(&c, DHCP_FIXED_LEN);
	dhcp = cur_be32(&c) == DHCP_COOKIE;
	if (!r->h || c.bad)
		return false;
	r->ciaddr = addr_from_v4(r->h + DHCP_CIADDR);
	if (!dhcp_request_fixed_ok(r))
		return false;
	if (!dhcp)
		return true;
	return dhcp_request_find_areas(r, c.p, c.left) &&
	       dhcp_request_read_options(r);
}
