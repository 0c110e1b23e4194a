// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dhcp: the DHCP server (RFC 2131, 2132, 3397, 3442, 4039)
 *
 * One guest, one address, which the configuration fixes: there is no pool and
 * no lease to remember, so each message is judged by itself.
 *
 *	DISCOVER	OFFER; ACK where both want rapid commit (RFC 4039)
 *	REQUEST		ACK; NAK where it asks for another address; silence
 *			where it chose another server
 *	INFORM		ACK with parameters alone
 *	DECLINE		a warning
 *	RELEASE		nothing to do
 *	no option 53	BOOTP: reply (RFC 951, 1534)
 *
 * The lease is infinite: the address is the guest's as long as the daemon
 * runs, an end of it would only cause traffic, and a paused guest keeps it.
 * T1 and T2 (58, 59) have no meaning then (RFC 2131 3.3) and are not sent.
 *
 * A message is copied whole, its options are checked before anything is read
 * from them, and no byte of it is answered before that. State: configuration
 * and the search list in wire form.
 */
#include "serve/dhcp.h"

#include "frame_out.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/stats.h"
#include "serve/dhcp_request.h"
#include "serve/dnsname.h"

#define DHCP_SERVER_PORT	67
#define DHCP_CLIENT_PORT	68

/** Longest message that is looked at, and longest that is sent, bytes */
#define DHCP_IN_MAX		1500
#define DHCP_OUT_MAX		(1500 - IP4_HLEN - UDP_HLEN)
/** Shortest that is sent: what BOOTP clients expect (RFC 951 3) */
#define DHCP_OUT_MIN		300
/** IP datagram that every client can take (RFC 2131 2), bytes */
#define DHCP_DATAGRAM_MIN	576
#define DHCP_LEASE_INFINITE	0xffffffff
/** Smallest MTU that option 26 can say (RFC 2132 5.1) */
#define DHCP_MTU_MIN		68
#define DHCP_FLAG_BROADCAST	0x8000

/** Flags of option 81 (RFC 4702 2.1) */
#define DHCP_FQDN_S		0x01
#define DHCP_FQDN_O		0x02
#define DHCP_FQDN_E		0x04
#define DHCP_FQDN_N		0x08

static const struct conf *dhcp_conf;
static struct dnsname_list dhcp_search;
static uint8_t dhcp_fqdn[DNSNAME_MAX];
static size_t dhcp_fqdn_len;

static const struct conf_family *dhcp_family(void)
{
	return &dhcp_conf->family[CONF_V4];
}

/* Server identifier and source of what we send: the gateway, or a stand-in */
static struct addr dhcp_our_addr(void)
{
	static const uint8_t fallback[] = { 169, 254, 2, 2 };

	if (addr_is_unspecified(&dhcp_family()->gateway))
		return addr_from_v4(fallback);
	return dhcp_family()->gateway;
}

/* The router that the guest is told, false: none */
static bool dhcp_router(struct addr *out)
{
	const struct conf_family *f = dhcp_family();

	*out = dhcp_our_addr();
	return !f->no_gateway || !addr_is_unspecified(&f->gateway);
}

/* --- writing --- */

/*
 * An option whole, or, without enough room, not at all; what is longer than
 * 255 bytes in pieces (RFC 3396). Room for the end option is never used.
 */
static void dhcp_put(struct out *o, uint8_t code, const void *value, size_t len)
{
	const uint8_t *p = value;
	size_t pieces = len ? (len + 254) / 255 : 1;

	if (len + 2 * pieces > o->size - o->len)
		return;
	do {
		size_t n = len < 255 ? len : 255;

		out_u8(o, code);
		out_u8(o, (uint8_t)n);
		out_bytes(o, p, n);
		p += n;
		len -= n;
	} while (len);
}

static void dhcp_put_u8(struct out *o, uint8_t code, uint8_t v)
{
	dhcp_put(o, code, &v, sizeof(v));
}

static void dhcp_put_addr(struct out *o, uint8_t code, const struct addr *a)
{
	struct in_addr in = addr_to_v4(a);

	dhcp_put(o, code, &in, sizeof(in));
}

static void dhcp_put_mask(const struct dhcp_request *r, struct out *o)
{
	uint64_t ones = 0xffffffffULL << (32 - dhcp_family()->prefix);
	uint8_t mask[4];

	(void)r;
	put_be32(mask, (uint32_t)ones);
	dhcp_put(o, DHCP_OPT_MASK, mask, sizeof(mask));
}

/*
 * A gateway outside the subnet cannot be reached by option 3 alone: a route to
 * the gateway without a router, then the default one through it (RFC 3442).
 */
static void dhcp_put_routes(const struct dhcp_request *r, struct out *o)
{
	const struct conf_family *f = dhcp_family();
	struct in_addr router;
	struct out v;
	uint8_t buf[14];
	struct addr gw;

	(void)r;
	if (!dhcp_router(&gw) || addr_in_prefix(&gw, &f->addr, f->prefix))
		return;
	router = addr_to_v4(&gw);
	v = out_of(buf, sizeof(buf));
	out_u8(&v, 32);
	out_bytes(&v, &router, sizeof(router));
	out_be32(&v, 0);
	out_u8(&v, 0);
	out_bytes(&v, &router, sizeof(router));
	dhcp_put(o, DHCP_OPT_ROUTES, buf, v.len);
}

static void dhcp_put_router(const struct dhcp_request *r, struct out *o)
{
	struct addr gw;

	(void)r;
	if (dhcp_router(&gw))
		dhcp_put_addr(o, DHCP_OPT_ROUTER, &gw);
}

static void dhcp_put_mtu(const struct dhcp_request *r, struct out *o)
{
	uint8_t mtu[2];

	(void)r;
	if (dhcp_conf->mtu < DHCP_MTU_MIN)
		return;
	put_be16(mtu, (uint16_t)dhcp_conf->mtu);
	dhcp_put(o, DHCP_OPT_MTU, mtu, sizeof(mtu));
}

static void dhcp_put_dns(const struct dhcp_request *r, struct out *o)
{
	const struct conf_family *f = dhcp_family();
	struct in_addr dns[CONF_DNS_MAX];

	(void)r;
	if (!dhcp_conf->dhcp_dns || !f->dns_count)
		return;
	for (unsigned i = 0; i < f->dns_count; i++)
		dns[i] = addr_to_v4(&f->dns[i]);
	dhcp_put(o, DHCP_OPT_DNS, dns, f->dns_count * sizeof(dns[0]));
}

static void dhcp_put_hostname(const struct dhcp_request *r, struct out *o)
{
	size_t len = strlen(dhcp_conf->hostname);

	(void)r;
	if (len)
		dhcp_put(o, DHCP_OPT_HOSTNAME, dhcp_conf->hostname, len);
}

/*
 * The client's whole name. Whoever updates the DNS, it is not us (N); O where
 * the client had wished for it (S). Encoded as the client's own, or else as
 * the wire form (E); RCODEs are 255 (RFC 4702 2.1, 2.2, 4).
 */
static void dhcp_put_fqdn(const struct dhcp_request *r, struct out *o)
{
	uint8_t asked = r->fqdn.len ? r->fqdn.b[0] : DHCP_FQDN_E;
	uint8_t buf[3 + CONF_NAME_MAX];
	struct out v = out_of(buf, sizeof(buf));

	if (!dhcp_fqdn_len)
		return;
	out_u8(&v, (uint8_t)(DHCP_FQDN_N | (asked & DHCP_FQDN_E) |
			     (asked & DHCP_FQDN_S ? DHCP_FQDN_O : 0)));
	out_be16(&v, 0xffff);
	if (asked & DHCP_FQDN_E)
		out_bytes(&v, dhcp_fqdn, dhcp_fqdn_len);
	else
		out_bytes(&v, dhcp_conf->fqdn, strlen(dhcp_conf->fqdn));
	dhcp_put(o, DHCP_OPT_FQDN, buf, v.len);
}

/* As many domains as there is room for */
static void dhcp_put_search(const struct dhcp_request *r, struct out *o)
{
	size_t room = o->size - o->len;
	size_t pieces = (room + 256) / 257;
	size_t len;

	(void)r;
	if (!dhcp_conf->dhcp_search || room < 2)
		return;
	len = dnsname_list_fit(&dhcp_search, room - 2 * pieces);
	if (len)
		dhcp_put(o, DHCP_OPT_SEARCH, dhcp_search.bytes, len);
}

/** When a parameter is told */
enum dhcp_when {
	DHCP_FIRST,	/* asked for or not: without it, no working link */
	DHCP_ANYWAY,	/* asked for or not, behind all that is asked for */
	DHCP_IF_ASKED,
};

/**
 * struct dhcp_parameter - what the guest can be told
 * @code:	option
 * @when:	enum dhcp_when
 * @put:	appends the option, if there is something to say
 */
struct dhcp_parameter {
	uint8_t code;
	uint8_t when;
	void (*put)(const struct dhcp_request *r, struct out *o);
};

/*
 * The mask comes first (RFC 2132 3.3); what may be long comes last. Whoever has
 * a list of wishes is told the rest as well (RFC 2131 4.3.1), if there is room:
 * busybox's udhcpc asks for no search list, and uses it. But a whole name only
 * whoever knows the option (RFC 4702 4).
 */
static const struct dhcp_parameter dhcp_parameters[] = {
	{ DHCP_OPT_MASK, DHCP_FIRST, dhcp_put_mask },
	{ DHCP_OPT_ROUTES, DHCP_FIRST, dhcp_put_routes },
	{ DHCP_OPT_ROUTER, DHCP_FIRST, dhcp_put_router },
	{ DHCP_OPT_MTU, DHCP_FIRST, dhcp_put_mtu },
	{ DHCP_OPT_DNS, DHCP_ANYWAY, dhcp_put_dns },
	{ DHCP_OPT_HOSTNAME, DHCP_ANYWAY, dhcp_put_hostname },
	{ DHCP_OPT_FQDN, DHCP_IF_ASKED, dhcp_put_fqdn },
	{ DHCP_OPT_SEARCH, DHCP_ANYWAY, dhcp_put_search },
};

/* Whether the client asked for an option: by name, or for all it can get */
static bool dhcp_asked(const struct dhcp_request *r, uint8_t code)
{
	if (!r->parameters.len)
		return true;
	if (code == DHCP_OPT_FQDN && r->fqdn.len)
		return true;
	return memchr(r->parameters.b, code, r->parameters.len);
}

static void dhcp_put_parameters(const struct dhcp_request *r, struct out *o)
{
	size_t n = sizeof(dhcp_parameters) / sizeof(dhcp_parameters[0]);
	const struct dhcp_parameter *p;

	for (p = dhcp_parameters; p < dhcp_parameters + n; p++) {
		if (p->when == DHCP_FIRST || dhcp_asked(r, p->code))
			p->put(r, o);
	}
	for (p = dhcp_parameters; p < dhcp_parameters + n; p++) {
		if (p->when == DHCP_ANYWAY && !dhcp_asked(r, p->code))
			p->put(r, o);
	}
}

/* What a DHCP message has and a BOOTP one has not */
static void dhcp_put_head(const struct dhcp_request *r, uint8_t type,
			  struct out *o)
{
	struct addr our = dhcp_our_addr();
	uint8_t lease[4];

	dhcp_put_u8(o, DHCP_OPT_TYPE, type);
	dhcp_put_addr(o, DHCP_OPT_SERVER, &our);
	if (r->client_id.len) /* RFC 6842 3 */
		dhcp_put(o, DHCP_OPT_CLIENT_ID, r->client_id.b,
			 r->client_id.len);
	if (type == DHCP_NAK || r->type == DHCP_INFORM)
		return;
	put_be32(lease, DHCP_LEASE_INFINITE);
	dhcp_put(o, DHCP_OPT_LEASE, lease, sizeof(lease));
	if (type == DHCP_ACK && r->type == DHCP_DISCOVER)
		dhcp_put(o, DHCP_OPT_RAPID, "", 0);
}

/* The fixed part of a reply (RFC 2131 4.3.1, table 3) and the cookie */
static void dhcp_put_fixed(const struct dhcp_request *r, uint8_t type,
			   struct out *o)
{
	struct in_addr guest = addr_to_v4(&dhcp_family()->addr);
	bool keep = type == DHCP_ACK || type == DHCP_BOOTP;
	bool give = type != DHCP_NAK && r->type != DHCP_INFORM;

	out_u8(o, DHCP_BOOTREPLY);
	out_bytes(o, r->h + DHCP_HTYPE, 2);
	out_u8(o, 0);
	out_bytes(o, r->h + DHCP_XID, 4);
	out_be16(o, 0);
	out_bytes(o, r->h + DHCP_FLAGS, 2);
	out_be32(o, keep ? get_be32(r->h + DHCP_CIADDR) : 0);
	out_be32(o, give ? ntohl(guest.s_addr) : 0);
	out_zero(o, 8);
	out_bytes(o, r->h + DHCP_CHADDR, DHCP_CHADDR_LEN);
	out_zero(o, DHCP_SNAME_LEN + DHCP_FILE_LEN);
	if (type != DHCP_BOOTP || r->areas)
		out_be32(o, DHCP_COOKIE);
}

/* How long the reply may be: option 57, or what every client can take */
static size_t dhcp_limit(const struct dhcp_request *r)
{
	size_t max = r->max_size, mtu = frame_mtu();

	if (r->type == DHCP_BOOTP)
		return DHCP_OUT_MIN;
	if (max > mtu)
		max = mtu;
	if (max < DHCP_DATAGRAM_MIN)
		max = DHCP_DATAGRAM_MIN;
	max -= IP4_HLEN + UDP_HLEN;
	return max < DHCP_OUT_MAX ? max : DHCP_OUT_MAX;
}

/* Where a reply goes (RFC 2131 4.1) */
static struct packet_ends dhcp_ends(const struct dhcp_request *r, uint8_t type)
{
	static const uint8_t mac[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t all[4] = { 0xff, 0xff, 0xff, 0xff };
	bool flag = get_be16(r->h + DHCP_FLAGS) & DHCP_FLAG_BROADCAST;
	bool has_addr = !addr_is_unspecified(&r->ciaddr);
	struct addr src = dhcp_our_addr();
	struct packet_ends e;
	struct addr dst;

	if (type == DHCP_NAK || (flag && !has_addr)) {
		dst = addr_from_v4(all);
		e = guest_ends(&src, &dst);
		e.dmac = mac;
		return e;
	}
	dst = has_addr ? r->ciaddr : dhcp_family()->addr;
	e = guest_ends(&src, &dst);
	e.dmac = r->h + DHCP_CHADDR;
	return e;
}

static void dhcp_send(const struct dhcp_request *r, uint8_t type,
		      const struct out *o)
{
	struct iovec iov = { o->start, o->len };
	struct slice s = { .iov = &iov, .cnt = 1, .len = o->len };
	struct packet_ends e = dhcp_ends(r, type);
	uint8_t udp[UDP_HLEN] = { 0 };

	put_be16(udp, DHCP_SERVER_PORT);
	put_be16(udp + 2, DHCP_CLIENT_PORT);
	put_be16(udp + 4, (uint16_t)(UDP_HLEN + o->len));
	frame_send(&e, IPPROTO_UDP, udp, sizeof(udp), &s);
}

static bool dhcp_reply(const struct dhcp_request *r, uint8_t type)
{
	static const char why[] = "not your address here";
	uint8_t buf[DHCP_OUT_MAX];
	struct out o = out_of(buf, dhcp_limit(r) - 1);

	dhcp_put_fixed(r, type, &o);
	if (type != DHCP_BOOTP)
		dhcp_put_head(r, type, &o);
	if (type == DHCP_NAK)
		dhcp_put(&o, DHCP_OPT_MESSAGE, why, strlen(why));
	else if (type != DHCP_BOOTP || r->areas)
		dhcp_put_parameters(r, &o);
	o.size++;
	if (type != DHCP_BOOTP || r->areas)
		out_u8(&o, DHCP_OPT_END);
	if (o.len < DHCP_OUT_MIN)
		out_zero(&o, DHCP_OUT_MIN - o.len);
	dhcp_send(r, type, &o);
	return true;
}

/* --- messages --- */

static bool dhcp_handle_discover(const struct dhcp_request *r)
{
	return dhcp_reply(r, r->rapid ? DHCP_ACK : DHCP_OFFER);
}

/*
 * SELECTING has a server identifier, INIT-REBOOT a requested address without
 * one, RENEWING and REBINDING their address in ciaddr (RFC 2131 4.3.2). That some
 * clients name us there, too, is no reason to let them wait.
 */
static bool dhcp_handle_request(const struct dhcp_request *r)
{
	const struct addr *addr = &dhcp_family()->addr;
	const struct addr *claimed = &r->wanted;
	struct addr our = dhcp_our_addr();

	if (!addr_is_unspecified(&r->server) && !addr_equal(&r->server, &our))
		return true;
	if (addr_is_unspecified(claimed))
		claimed = &r->ciaddr;
	if (addr_is_unspecified(claimed))
		return drop(DROP_DHCP);
	return dhcp_reply(r, addr_equal(claimed, addr) ? DHCP_ACK : DHCP_NAK);
}

static bool dhcp_handle_inform(const struct dhcp_request *r)
{
	if (addr_is_unspecified(&r->ciaddr))
		return drop(DROP_DHCP);
	return dhcp_reply(r, DHCP_ACK);
}

static bool dhcp_handle_decline(const struct dhcp_request *r)
{
	char text[ADDR_STRLEN];

	warn_limited("dhcp: the guest declined %s: in use on its side?",
		     addr_format(&r->wanted, text, sizeof(text)));
	return true;
}

static bool dhcp_handle_release(const struct dhcp_request *r)
{
	char text[ADDR_STRLEN];

	debug("dhcp: the guest released %s",
	      addr_format(&r->ciaddr, text, sizeof(text)));
	return true;
}

static bool dhcp_handle_bootp(const struct dhcp_request *r)
{
	return dhcp_reply(r, DHCP_BOOTP);
}

static bool (*const dhcp_handlers[256])(const struct dhcp_request *) = {
	[DHCP_DISCOVER] = dhcp_handle_discover,
	[DHCP_REQUEST] = dhcp_handle_request,
	[DHCP_DECLINE] = dhcp_handle_decline,
	[DHCP_RELEASE] = dhcp_handle_release,
	[DHCP_INFORM] = dhcp_handle_inform,
	[DHCP_BOOTP] = dhcp_handle_bootp,
};

static bool dhcp_handle(const struct packet *p)
{
	const struct conf_family *f = dhcp_family();
	static uint8_t copy[DHCP_IN_MAX];
	struct dhcp_request r;
	struct cur c;

	if (dhcp_conf->no_dhcp || !f->on || addr_is_unspecified(&f->addr))
		return drop(DROP_DISABLED);
	if (p->payload.len > sizeof(copy))
		return drop(DROP_DHCP);
	c = cur_of(copy, slice_copy(&p->payload, 0, copy, p->payload.len));
	if (!dhcp_request_parse(&r, c) || !dhcp_handlers[r.type])
		return drop(DROP_DHCP);
	return dhcp_handlers[r.type](&r);
}

/**
 * dhcp_init() - Begin to serve
 * @c:		configuration, kept
 */
void dhcp_init(const struct conf *c)
{
	dhcp_conf = c;
	dnsname_list_build(&dhcp_search, c, true);
	dhcp_fqdn_len = *c->fqdn ? dnsname_encode(c->fqdn, dhcp_fqdn) : 0;
}

/**
 * dhcp_input() - A UDP packet from the guest
 * @p:		packet
 * Return: true if it was for the DHCP server, answered or not; false if it is
 *	something else
 */
bool dhcp_input(const struct packet *p)
{
	if (p->proto != IPPROTO_UDP || !addr_is_v4(&p->dst) ||
	    p->dport != DHCP_SERVER_PORT)
		return false;
	/* No rule says where from (RFC 2131 4.1), but relays send unicast */
	if (p->sport != DHCP_CLIENT_PORT && !addr_is_broadcast(&p->dst))
		return false;
	dhcp_handle(p);
	return true;
}
