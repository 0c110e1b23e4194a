// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dhcpv6_request: a DHCPv6 message from the guest, read and checked
 *
 * Options and options inside options (RFC 8415 21), every length checked; which
 * of them a message of which type may have is for dhcpv6.c. No state.
 */
#include "serve/dhcpv6_request.h"

/** Longest that an option can be, bytes */
#define DHCPV6_OPTION_MAX	UINT16_MAX
/** DUID: type and 1 to 128 bytes (RFC 8415 11.1) */
#define DHCPV6_DUID_MIN		3
#define DHCPV6_DUID_MAX		130

/**
 * dhcpv6_option_next() - Take the next option
 * @c:		options
 * @o:		filled in
 * Return: false at the end, with c->bad set if the last one is cut off
 */
bool dhcpv6_option_next(struct cur *c, struct dhcpv6_option *o)
{
	const uint8_t *value;
	uint16_t len;

	if (!c->left)
		return false;
	o->code = cur_be16(c);
	len = cur_be16(c);
	value = cur_take(c, len);
	c->bad |= !value;
	o->value = cur_of(value, len);
	return !c->bad;
}

/* An address in an IA: ours, or another */
static bool dhcpv6_ia_read_addr(struct dhcpv6_ia *ia, struct cur c,
				const struct addr *our)
{
	const uint8_t *raw = cur_take(&c, sizeof(struct addr));
	struct dhcpv6_option o;
	struct addr a;

	cur_be32(&c);
	cur_be32(&c);
	if (!raw || c.bad)
		return false;
	while (dhcpv6_option_next(&c, &o))
		;
	a = addr_from_v6(raw);
	if (!addr_is_unspecified(our) && addr_equal(&a, our))
		ia->ours = true;
	else
		ia->other = true;
	return !c.bad;
}

/**
 * dhcpv6_option_is_ia() - Whether an option is an identity association
 * @code:	enum dhcpv6_code
 * Return: true for IA_NA, IA_TA and IA_PD
 */
bool dhcpv6_option_is_ia(uint16_t code)
{
	return code == DHCPV6_OPT_IA_NA || code == DHCPV6_OPT_IA_TA ||
	       code == DHCPV6_OPT_IA_PD;
}

/**
 * dhcpv6_ia_read() - Read an identity association, check all that is in it
 * @ia:		filled in
 * @o:		the option; only IA_TA has no T1 and T2
 * @our:	our address for the guest, or ::
 * Return: false if anything in it is cut off
 */
bool dhcpv6_ia_read(struct dhcpv6_ia *ia, struct dhcpv6_option o,
		    const struct addr *our)
{
	struct cur c;

	*ia = (struct dhcpv6_ia){ .code = o.code };
	ia->iaid = cur_be32(&o.value);
	if (o.code != DHCPV6_OPT_IA_TA) {
		cur_be32(&o.value);
		cur_be32(&o.value);
	}
	ia->options = c = o.value;
	while (dhcpv6_option_next(&c, &o)) {
		if (o.code == DHCPV6_OPT_IA_ADDR &&
		    !dhcpv6_ia_read_addr(ia, o.value, our))
			return false;
	}
	return !c.bad;
}

/* Keep an option that may be there once, of a length in a range */
static bool dhcpv6_request_keep(struct cur *to, const struct cur *value,
				size_t min, size_t max)
{
	if (to->p || value->left < min || value->left > max)
		return false;
	*to = *value;
	return true;
}

static bool dhcpv6_request_read(struct dhcpv6_request *r,
				const struct dhcpv6_option *o)
{
	const struct cur *v = &o->value;
	struct dhcpv6_ia ia;

	switch (o->code) {
	case DHCPV6_OPT_CLIENT_ID:
		return dhcpv6_request_keep(&r->client_id, v, DHCPV6_DUID_MIN,
					   DHCPV6_DUID_MAX);
	case DHCPV6_OPT_SERVER_ID:
		return dhcpv6_request_keep(&r->server_id, v, DHCPV6_DUID_MIN,
					   DHCPV6_DUID_MAX);
	case DHCPV6_OPT_ORO:
		return !(v->left % 2) &&
		       dhcpv6_request_keep(&r->oro, v, 0, DHCPV6_OPTION_MAX);
	case DHCPV6_OPT_FQDN:
		return dhcpv6_request_keep(&r->fqdn, v, 1, DHCPV6_OPTION_MAX);
	case DHCPV6_OPT_RAPID:
		r->rapid = true;
		return !v->left;
	default:
		if (!dhcpv6_option_is_ia(o->code))
			return true;
		if (!dhcpv6_ia_read(&ia, *o, &r->addr))
			return false;
		r->ia = true;
		r->ours |= ia.ours;
		r->other |= ia.other;
		return true;
	}
}

/**
 * dhcpv6_request_parse() - Read a message
 * @r:		filled in, its @p and @addr set before; points into the message
 * @c:		the message, in private memory
 *
 * All options are checked before any is believed, those inside others too; one
 * that is cut off, or repeated where that is not allowed, spoils the message.
 *
 * Return: true if the message is whole
 */
bool dhcpv6_request_parse(struct dhcpv6_request *r, struct cur c)
{
	struct dhcpv6_option o;

	r->head = cur_take(&c, 4);
	r->options = c;
	if (!r->head)
		return false;
	while (dhcpv6_option_next(&c, &o)) {
		if (!dhcpv6_request_read(r, &o))
			return false;
	}
	return !c.bad;
}
