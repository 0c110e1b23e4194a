// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ndp: router and neighbour discovery (RFC 4861, 4862, 8106)
 *
 * The router of a link that has one host on it, the guest. Solicitations are
 * answered at once: the random delays and the rate limit of RFC 4861 6.2.6
 * spread the load of many hosts and routers, and here one frame of the guest
 * causes one frame to the guest. Advertisements nobody asked for go out when
 * the guest appears, twice more soon after, then every 200 to 600 s (6.2.1).
 *
 * Neighbour solicitations are answered for every address but the guest's own.
 * Duplicate address detection is left in peace, except for the addresses we
 * hold: our link-local one and the gateway. For these two we speak as their
 * owner (override flag set); for all others as a proxy does (7.2.4: clear).
 *
 * State: configuration, search list in wire form, the advertisement timer.
 */
#include "serve/ndp.h"

#include <netinet/icmp6.h>

#include "frame_out.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/stats.h"
#include "serve/dnsname.h"

/** Longest solicitation that is looked at, after the ICMPv6 header, bytes */
#define NDP_IN_MAX		1500
/** Longest advertisement: no IPv6 link needs to fragment it (RFC 8200 5) */
#define NDP_RA_MAX		(1280 - IP6_HLEN)
#define NDP_NA_MAX		(ICMP_HLEN + 16 + 8)
#define NDP_HOP_LIMIT		255

#define NDP_OPT_SLLA		1
#define NDP_OPT_TLLA		2
#define NDP_OPT_PREFIX		3
#define NDP_OPT_MTU		5
#define NDP_OPT_RDNSS		25
#define NDP_OPT_DNSSL		31

/** MLDv2 report (RFC 3810 5.2) */
#define NDP_MLD2_REPORT		143

/** Hop limit that the guest is to use (RFC 1700's default) */
#define NDP_RA_HOP_LIMIT	64
/** Most that RFC 4861 6.2.1 allows: 15 advertisements may be lost, seconds */
#define NDP_ROUTER_LIFETIME	9000
/** AdvValidLifetime and AdvPreferredLifetime of RFC 4861 6.2.1, seconds */
#define NDP_PREFIX_VALID	2592000
#define NDP_PREFIX_PREFERRED	604800
/** Of a prefix of another length, no addresses can be made (RFC 2464 4) */
#define NDP_PREFIX_LEN		64
#define NDP_IPV6_MTU_MIN	1280

#define NDP_INITIAL_COUNT	3
#define NDP_INITIAL_INTERVAL	(16 * USEC_PER_SEC)
#define NDP_INTERVAL_MIN	(200 * USEC_PER_SEC)
#define NDP_INTERVAL_MAX	(600 * USEC_PER_SEC)

static const struct conf *ndp_conf;
static struct dnsname_list ndp_search;
static struct timer ndp_timer;
static unsigned ndp_unsolicited;

/* ff02::1 and the Ethernet address of this group (RFC 2464 7) */
static const struct addr ndp_all_nodes = {
	{ [0] = 0xff, [1] = 0x02, [15] = 0x01 }
};
static const uint8_t ndp_all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };

/**
 * struct ndp_message - a message from the guest, options checked
 * @p:		packet
 * @body:	private copy of what follows the ICMPv6 header
 * @slla:	a source link-layer address option is there
 */
struct ndp_message {
	const struct packet *p;
	struct cur body;
	bool slla;
};

/* Where a reply goes; NULL: all nodes */
static struct packet_ends ndp_ends(const struct packet *to)
{
	struct packet_ends e;

	if (to && !addr_is_unspecified(&to->src)) {
		e = guest_ends(guest_our_ll(), &to->src);
		e.dmac = to->smac;
	} else {
		e = guest_ends(guest_our_ll(), &ndp_all_nodes);
		e.dmac = ndp_all_nodes_mac;
	}
	e.ttl = NDP_HOP_LIMIT;
	return e;
}

static void ndp_send(const struct packet *to, const struct out *o)
{
	struct packet_ends e = ndp_ends(to);
	struct iovec iov = { o->start + ICMP_HLEN, o->len - ICMP_HLEN };
	struct slice s = { .iov = &iov, .cnt = 1, .len = iov.iov_len };

	frame_send(&e, IPPROTO_ICMPV6, o->start, ICMP_HLEN, &s);
}

/* Source or target link-layer address: ours */
static void ndp_put_mac(struct out *o, uint8_t type)
{
	out_u8(o, type);
	out_u8(o, 1);
	out_bytes(o, guest_our_mac(), 6);
}

static void ndp_put_mtu(struct out *o)
{
	if (ndp_conf->mtu < NDP_IPV6_MTU_MIN)
		return;
	out_u8(o, NDP_OPT_MTU);
	out_u8(o, 1);
	out_be16(o, 0);
	out_be32(o, ndp_conf->mtu);
}

/*
 * 64 bits of the address, however many the host has: prefix and interface
 * identifier, 64 bits on Ethernet, must add up to 128, or no address is made
 * (RFC 4862 5.5.3 d), and a guest without DHCPv6 has none. Which it takes is
 * nobody's business but ours, and on-link is everyone: we answer for them all.
 */
static void ndp_put_prefix(struct out *o)
{
	const struct conf_family *f = &ndp_conf->family[CONF_V6];
	struct addr net = addr_prefix(&f->addr, NDP_PREFIX_LEN);

	if (addr_is_unspecified(&f->addr) || addr_is_link_local6(&f->addr))
		return;
	out_u8(o, NDP_OPT_PREFIX);
	out_u8(o, 4);
	out_u8(o, NDP_PREFIX_LEN);
	out_u8(o, ND_OPT_PI_FLAG_ONLINK | ND_OPT_PI_FLAG_AUTO);
	out_be32(o, NDP_PREFIX_VALID);
	out_be32(o, NDP_PREFIX_PREFERRED);
	out_be32(o, 0);
	out_bytes(o, net.b, sizeof(net.b));
}

static void ndp_put_rdnss(struct out *o)
{
	const struct conf_family *f = &ndp_conf->family[CONF_V6];

	if (!ndp_conf->dhcp_dns || !f->dns_count)
		return;
	out_u8(o, NDP_OPT_RDNSS);
	out_u8(o, (uint8_t)(1 + 2 * f->dns_count));
	out_be16(o, 0);
	out_be32(o, NDP_ROUTER_LIFETIME);
	for (unsigned i = 0; i < f->dns_count; i++)
		out_bytes(o, f->dns[i].b, sizeof(f->dns[i].b));
}

/* The last option: as many domains as there is room for */
static void ndp_put_dnssl(struct out *o)
{
	size_t room = (o->size - o->len) & ~(size_t)7;
	size_t len = 0, padded;

	if (ndp_conf->dhcp_search && room > 8)
		len = dnsname_list_fit(&ndp_search, room - 8);
	if (!len)
		return;
	padded = (len + 7) & ~(size_t)7;
	out_u8(o, NDP_OPT_DNSSL);
	out_u8(o, (uint8_t)(1 + padded / 8));
	out_be16(o, 0);
	out_be32(o, NDP_ROUTER_LIFETIME);
	out_bytes(o, ndp_search.bytes, len);
	out_zero(o, padded - len);
}

static uint8_t ndp_ra_flags(void)
{
	if (ndp_conf->no_dhcpv6)
		return 0;
	if (addr_is_unspecified(&ndp_conf->family[CONF_V6].addr))
		return ND_RA_FLAG_OTHER;
	return ND_RA_FLAG_MANAGED | ND_RA_FLAG_OTHER;
}

/* Advertise ourselves to the sender of @to, or to all nodes */
static bool ndp_send_ra(const struct packet *to)
{
	const struct conf_family *f = &ndp_conf->family[CONF_V6];
	bool router = !f->no_gateway || !addr_is_unspecified(&f->gateway);
	uint8_t buf[NDP_RA_MAX];
	struct out o = out_of(buf, sizeof(buf));

	out_u8(&o, ND_ROUTER_ADVERT);
	out_zero(&o, 3);
	out_u8(&o, NDP_RA_HOP_LIMIT);
	out_u8(&o, ndp_ra_flags());
	out_be16(&o, router ? NDP_ROUTER_LIFETIME : 0);
	out_be32(&o, 0);
	out_be32(&o, 0);
	ndp_put_mac(&o, NDP_OPT_SLLA);
	ndp_put_mtu(&o);
	ndp_put_prefix(&o);
	ndp_put_rdnss(&o);
	ndp_put_dnssl(&o);
	ndp_send(to, &o);
	return true;
}

/* Walk the options: every length non-zero and within the packet (6.1.1) */
static bool ndp_check_options(struct ndp_message *m)
{
	struct cur c = m->body;

	while (c.left) {
		uint8_t type = cur_u8(&c);
		size_t len = cur_u8(&c) * 8U;

		if (!len || !cur_take(&c, len - 2))
			return false;
		m->slla |= type == NDP_OPT_SLLA;
	}
	return true;
}

/* RFC 4861 6.1.1, 6.2.6 */
static bool ndp_handle_rs(struct ndp_message *m)
{
	if (ndp_conf->no_ra)
		return drop(DROP_DISABLED);
	if (!ndp_check_options(m))
		return drop(DROP_NDP);
	if (m->slla && addr_is_unspecified(&m->p->src))
		return drop(DROP_NDP);
	return ndp_send_ra(m->p);
}

/* Whether we are the owner, not a proxy */
static bool ndp_is_ours(const struct addr *a)
{
	return addr_equal(a, guest_our_ll()) ||
	       addr_equal(a, &ndp_conf->family[CONF_V6].gateway);
}

static bool ndp_is_guests(const struct addr *a)
{
	return addr_equal(a, &ndp_conf->family[CONF_V6].addr) || guest_holds(a);
}

/* RFC 4861 7.2.4 */
static bool ndp_send_na(const struct packet *to, const struct addr *target)
{
	uint8_t flags = 0x80; /* router */
	uint8_t buf[NDP_NA_MAX];
	struct out o = out_of(buf, sizeof(buf));

	if (!addr_is_unspecified(&to->src))
		flags |= 0x40; /* solicited */
	if (ndp_is_ours(target))
		flags |= 0x20; /* override */
	out_u8(&o, ND_NEIGHBOR_ADVERT);
	out_zero(&o, 3);
	out_u8(&o, flags);
	out_zero(&o, 3);
	out_bytes(&o, target->b, sizeof(target->b));
	ndp_put_mac(&o, NDP_OPT_TLLA);
	ndp_send(to, &o);
	return true;
}

/* ff02::1:ffXX:XXXX of the address (RFC 4291 2.7.1) */
static bool ndp_is_solicited_node(const struct addr *group,
				  const struct addr *a)
{
	struct addr want = { { 0xff, 0x02, [11] = 0x01, 0xff, a->b[13],
			       a->b[14], a->b[15] } };

	return addr_equal(group, &want);
}

/* RFC 4861 7.1.1, 7.2.3; RFC 4862 5.4.3 */
static bool ndp_handle_ns(struct ndp_message *m)
{
	const uint8_t *raw = cur_take(&m->body, sizeof(struct addr));
	bool dad = addr_is_unspecified(&m->p->src);
	struct addr target;

	if (!raw || !ndp_check_options(m))
		return drop(DROP_NDP);
	target = addr_from_v6(raw);
	if (!addr_is_unicast(&target))
		return drop(DROP_NDP);
	if (dad && (m->slla || !ndp_is_solicited_node(&m->p->dst, &target)))
		return drop(DROP_NDP);
	if (ndp_is_guests(&target) || addr_equal(&target, &m->p->src))
		return true;
	if (dad && !ndp_is_ours(&target))
		return true;
	return ndp_send_na(m->p, &target);
}

/* What hosts tell each other and routers: nothing that we need to know */
static bool ndp_handle_nothing(struct ndp_message *m)
{
	(void)m;
	return true;
}

/* By ICMPv6 type; what is not here is not ours */
static bool (*const ndp_handlers[256])(struct ndp_message *) = {
	[ND_ROUTER_SOLICIT] = ndp_handle_rs,
	[ND_NEIGHBOR_SOLICIT] = ndp_handle_ns,
	[ND_ROUTER_ADVERT] = ndp_handle_nothing,
	[ND_NEIGHBOR_ADVERT] = ndp_handle_nothing,
	[ND_REDIRECT] = ndp_handle_nothing,
	[MLD_LISTENER_QUERY] = ndp_handle_nothing,
	[MLD_LISTENER_REPORT] = ndp_handle_nothing,
	[MLD_LISTENER_REDUCTION] = ndp_handle_nothing,
	[NDP_MLD2_REPORT] = ndp_handle_nothing,
};

static bool ndp_on(void)
{
	return ndp_conf->family[CONF_V6].on && !ndp_conf->no_ndp &&
	       !ndp_conf->no_icmp;
}

/* Checks that all messages have in common, then what each one has */
static bool ndp_handle(const struct packet *p)
{
	static uint8_t copy[NDP_IN_MAX];
	struct ndp_message m = { .p = p };

	if (!ndp_on())
		return drop(DROP_DISABLED);
	if (ndp_handlers[p->icmp.type] == ndp_handle_nothing)
		return true;
	if (p->ttl != NDP_HOP_LIMIT || p->icmp.code)
		return drop(DROP_NDP);
	if (p->payload.len > sizeof(copy))
		return drop(DROP_NDP);
	m.body = cur_of(copy, slice_copy(&p->payload, 0, copy, p->payload.len));
	return ndp_handlers[p->icmp.type](&m);
}

/**
 * ndp_input() - An ICMPv6 packet from the guest
 * @p:		packet
 * @now:	current time
 * Return: true if it was neighbour discovery or multicast listener discovery,
 *	answered or not; false if it is something else
 */
bool ndp_input(const struct packet *p, usec_t now)
{
	(void)now;
	if (p->proto != IPPROTO_ICMPV6 || !ndp_handlers[p->icmp.type])
		return false;
	ndp_handle(p);
	return true;
}

/* Spread over the interval by the time itself: no state, and repeatable */
static usec_t ndp_interval(usec_t now)
{
	uint64_t mixed = now * 0x9e3779b97f4a7c15ULL >> 32;

	if (ndp_unsolicited < NDP_INITIAL_COUNT)
		return NDP_INITIAL_INTERVAL;
	return NDP_INTERVAL_MIN + mixed % (NDP_INTERVAL_MAX - NDP_INTERVAL_MIN);
}

static void ndp_advertise(struct timer *t, usec_t now)
{
	ndp_send_ra(NULL);
	if (ndp_unsolicited < NDP_INITIAL_COUNT)
		ndp_unsolicited++;
	timer_arm(t, now + ndp_interval(now));
}

/**
 * ndp_init() - Begin to serve
 * @c:		configuration, kept
 */
void ndp_init(const struct conf *c)
{
	ndp_conf = c;
	ndp_timer.fn = ndp_advertise;
	dnsname_list_build(&ndp_search, c, false);
}

/**
 * ndp_guest_up() - A guest is there: advertise, now and from now on
 * @now:	current time
 */
void ndp_guest_up(usec_t now)
{
	ndp_guest_left();
	if (ndp_on() && !ndp_conf->no_ra)
		ndp_advertise(&ndp_timer, now);
}

/**
 * ndp_guest_left() - No guest any more: stop advertising
 */
void ndp_guest_left(void)
{
	timer_cancel(&ndp_timer);
	ndp_unsolicited = 0;
}
