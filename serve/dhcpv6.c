// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dhcpv6: the DHCPv6 server (RFC 8415)
 *
 * One guest, one address, which the configuration fixes: there are no bindings
 * to remember, so each message is judged by itself. The first IA_NA of a
 * message gets the address, others and temporary ones get NoAddrsAvail, and
 * prefixes are not delegated. Lifetimes are infinite, as DHCP's lease is, and
 * so are T1 and T2 (RFC 8415 21.4).
 *
 *	SOLICIT			ADVERTISE; REPLY with rapid commit
 *	REQUEST			REPLY; NotOnLink for an IA with a wrong address
 *	RENEW, REBIND		REPLY; wrong addresses get lifetimes of zero
 *	CONFIRM			REPLY, Success or NotOnLink
 *	RELEASE, DECLINE	REPLY, Success
 *	INFORMATION-REQUEST	REPLY with parameters alone
 *
 * A message is copied whole; its options, the ones inside IAs too, are checked
 * before any handler sees it, and what section 16 says of each message type
 * stands in a table. State: configuration, our DUID (DUID-LL of our MAC, so
 * that it outlives the daemon), names in wire form.
 */
#include "serve/dhcpv6.h"

#include <net/if_arp.h>

#include "frame_out.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/stats.h"
#include "serve/dhcpv6_request.h"
#include "serve/dnsname.h"

#define DHCPV6_CLIENT_PORT	546
#define DHCPV6_SERVER_PORT	547

/** Longest message that is looked at, bytes */
#define DHCPV6_IN_MAX		1500
/** Longest that is sent: no IPv6 link needs to fragment it (RFC 8200 5) */
#define DHCPV6_OUT_MAX		(1280 - IP6_HLEN - UDP_HLEN)
#define DHCPV6_INFINITE		0xffffffff
/** Chosen at once, without waiting for other servers (RFC 8415 18.2.1) */
#define DHCPV6_PREFERENCE	255

#define DHCPV6_DUID_LL		3
#define DHCPV6_DUID_LL_LEN	10

/** RFC 8415 21.13 */
enum dhcpv6_status {
	DHCPV6_SUCCESS = 0,
	DHCPV6_NO_ADDRS_AVAIL = 2,
	DHCPV6_NO_BINDING = 3,
	DHCPV6_NOT_ON_LINK = 4,
	DHCPV6_USE_MULTICAST = 5,
	DHCPV6_NO_PREFIX_AVAIL = 6,
};

/** Flags of option 39 (RFC 4704 4.1) */
#define DHCPV6_FQDN_S		0x01
#define DHCPV6_FQDN_O		0x02
#define DHCPV6_FQDN_N		0x04

/**
 * struct dhcpv6_reply - a message to the guest, in the making
 * @type:	enum dhcpv6_type
 * @given:	an IA has got the address
 * @o:		what was written
 * @buf:	where
 */
struct dhcpv6_reply {
	uint8_t type;
	bool given;
	struct out o;
	uint8_t buf[DHCPV6_OUT_MAX];
};

static const struct conf *dhcpv6_conf;
static struct dnsname_list dhcpv6_search;
static uint8_t dhcpv6_fqdn[DNSNAME_MAX];
static size_t dhcpv6_fqdn_len;
static uint8_t dhcpv6_duid[DHCPV6_DUID_LL_LEN];

static const struct conf_family *dhcpv6_family(void)
{
	return &dhcpv6_conf->family[CONF_V6];
}

static bool dhcpv6_has_addr(void)
{
	return !addr_is_unspecified(&dhcpv6_family()->addr);
}

/* --- writing --- */

/* Begin an option; what follows is its value until dhcpv6_close() */
static size_t dhcpv6_open(struct out *o, uint16_t code)
{
	out_be16(o, code);
	out_be16(o, 0);
	return o->len;
}

static void dhcpv6_close(struct out *o, size_t begin)
{
	if (!o->overflow)
		put_be16(o->start + begin - 2, (uint16_t)(o->len - begin));
}

static void dhcpv6_put(struct out *o, uint16_t code, const void *value,
		       size_t len)
{
	size_t begin = dhcpv6_open(o, code);

	out_bytes(o, value, len);
	dhcpv6_close(o, begin);
}

static void dhcpv6_put_status(struct out *o, enum dhcpv6_status status)
{
	static const char *const text[] = {
		[DHCPV6_SUCCESS] = "all well",
		[DHCPV6_NO_ADDRS_AVAIL] = "no address to give",
		[DHCPV6_NO_BINDING] = "not given by this server",
		[DHCPV6_NOT_ON_LINK] = "not your address here",
		[DHCPV6_USE_MULTICAST] = "send to ff02::1:2",
		[DHCPV6_NO_PREFIX_AVAIL] = "no prefix to delegate",
	};
	size_t begin = dhcpv6_open(o, DHCPV6_OPT_STATUS);

	out_be16(o, status);
	out_bytes(o, text[status], strlen(text[status]));
	dhcpv6_close(o, begin);
}

static void dhcpv6_put_addr(struct out *o, const uint8_t *addr,
			    uint32_t lifetime)
{
	size_t begin = dhcpv6_open(o, DHCPV6_OPT_IA_ADDR);

	out_bytes(o, addr, sizeof(struct addr));
	out_be32(o, lifetime);
	out_be32(o, lifetime);
	dhcpv6_close(o, begin);
}

static size_t dhcpv6_open_ia(struct out *o, const struct dhcpv6_ia *ia,
			     uint32_t t)
{
	size_t begin = dhcpv6_open(o, ia->code);

	out_be32(o, ia->iaid);
	if (ia->code != DHCPV6_OPT_IA_TA) {
		out_be32(o, t);
		out_be32(o, t);
	}
	return begin;
}

static void dhcpv6_put_ia_status(struct out *o, const struct dhcpv6_ia *ia,
				 enum dhcpv6_status status)
{
	size_t begin = dhcpv6_open_ia(o, ia, 0);

	dhcpv6_put_status(o, status);
	dhcpv6_close(o, begin);
}

/* Whether the client asked for an option: by name, or for all it can get */
static bool dhcpv6_asked(const struct dhcpv6_request *r, uint16_t code)
{
	struct cur c = r->oro;

	if (!c.p || (code == DHCPV6_OPT_FQDN && r->fqdn.p))
		return true;
	while (c.left) {
		if (cur_be16(&c) == code)
			return true;
	}
	return false;
}

static void dhcpv6_put_dns(const struct dhcpv6_request *r, struct out *o)
{
	const struct conf_family *f = dhcpv6_family();

	if (!dhcpv6_conf->dhcp_dns || !f->dns_count ||
	    !dhcpv6_asked(r, DHCPV6_OPT_DNS))
		return;
	dhcpv6_put(o, DHCPV6_OPT_DNS, f->dns, f->dns_count * sizeof(f->dns[0]));
}

/* Whoever updates the DNS, it is not us (RFC 4704 4.1, 6) */
static void dhcpv6_put_fqdn(const struct dhcpv6_request *r, struct out *o)
{
	bool s = r->fqdn.p && r->fqdn.p[0] & DHCPV6_FQDN_S;
	size_t begin;

	if (!dhcpv6_fqdn_len || !dhcpv6_asked(r, DHCPV6_OPT_FQDN))
		return;
	begin = dhcpv6_open(o, DHCPV6_OPT_FQDN);
	out_u8(o, (uint8_t)(DHCPV6_FQDN_N | (s ? DHCPV6_FQDN_O : 0)));
	out_bytes(o, dhcpv6_fqdn, dhcpv6_fqdn_len);
	dhcpv6_close(o, begin);
}

/* The last option: as many domains as there is room for */
static void dhcpv6_put_search(const struct dhcpv6_request *r, struct out *o)
{
	size_t room = o->size - o->len;
	size_t len = 0;

	if (!dhcpv6_conf->dhcp_search || !dhcpv6_asked(r, DHCPV6_OPT_SEARCH))
		return;
	if (room > 4)
		len = dnsname_list_fit(&dhcpv6_search, room - 4);
	if (len)
		dhcpv6_put(o, DHCPV6_OPT_SEARCH, dhcpv6_search.bytes, len);
}

static void dhcpv6_put_parameters(const struct dhcpv6_request *r,
				  struct dhcpv6_reply *reply)
{
	dhcpv6_put_dns(r, &reply->o);
	dhcpv6_put_fqdn(r, &reply->o);
	dhcpv6_put_search(r, &reply->o);
}

static void dhcpv6_begin(const struct dhcpv6_request *r,
			 struct dhcpv6_reply *reply, uint8_t type)
{
	struct out *o = &reply->o;

	reply->type = type;
	reply->given = false;
	*o = out_of(reply->buf, sizeof(reply->buf));
	out_u8(o, type);
	out_bytes(o, r->head + 1, 3);
	dhcpv6_put(o, DHCPV6_OPT_SERVER_ID, dhcpv6_duid, sizeof(dhcpv6_duid));
	if (r->client_id.p)
		dhcpv6_put(o, DHCPV6_OPT_CLIENT_ID, r->client_id.p,
			   r->client_id.left);
}

static bool dhcpv6_send(const struct dhcpv6_request *r,
			const struct dhcpv6_reply *reply)
{
	struct iovec iov = { (void *)reply->buf, reply->o.len };
	struct slice s = { .iov = &iov, .cnt = 1, .len = reply->o.len };
	struct packet_ends e = guest_ends(guest_our_ll(), &r->p->src);
	uint8_t udp[UDP_HLEN] = { 0 };

	if (reply->o.overflow)
		return drop(DROP_DHCPV6);
	e.dmac = r->p->smac;
	put_be16(udp, DHCPV6_SERVER_PORT);
	put_be16(udp + 2, DHCPV6_CLIENT_PORT);
	put_be16(udp + 4, (uint16_t)(UDP_HLEN + reply->o.len));
	return frame_send(&e, IPPROTO_UDP, udp, sizeof(udp), &s);
}

/* --- messages --- */

/** What becomes of an IA in a reply */
typedef void (*dhcpv6_ia_fn)(const struct dhcpv6_ia *ia,
			     struct dhcpv6_reply *reply);

static void dhcpv6_each_ia(const struct dhcpv6_request *r,
			   struct dhcpv6_reply *reply, dhcpv6_ia_fn fn)
{
	struct cur c = r->options;
	struct dhcpv6_option o;
	struct dhcpv6_ia ia;

	while (dhcpv6_option_next(&c, &o)) {
		if (dhcpv6_option_is_ia(o.code) &&
		    dhcpv6_ia_read(&ia, o, &r->addr))
			fn(&ia, reply);
	}
}

/* RFC 8415 18.3.9, 18.3.1: our address, whatever was asked for */
static void dhcpv6_ia_assign(const struct dhcpv6_ia *ia,
			     struct dhcpv6_reply *reply)
{
	struct out *o = &reply->o;
	size_t begin;

	if (ia->code == DHCPV6_OPT_IA_PD) {
		dhcpv6_put_ia_status(o, ia, DHCPV6_NO_PREFIX_AVAIL);
		return;
	}
	if (ia->code != DHCPV6_OPT_IA_NA || !dhcpv6_has_addr() ||
	    reply->given) {
		dhcpv6_put_ia_status(o, ia, DHCPV6_NO_ADDRS_AVAIL);
		return;
	}
	begin = dhcpv6_open_ia(o, ia, DHCPV6_INFINITE);
	dhcpv6_put_addr(o, dhcpv6_family()->addr.b, DHCPV6_INFINITE);
	dhcpv6_close(o, begin);
	reply->given = true;
}

/* RFC 8415 18.3.2: as promised, or nothing */
static void dhcpv6_ia_request(const struct dhcpv6_ia *ia,
			      struct dhcpv6_reply *reply)
{
	if (ia->code == DHCPV6_OPT_IA_NA && ia->other && dhcpv6_has_addr())
		dhcpv6_put_ia_status(&reply->o, ia, DHCPV6_NOT_ON_LINK);
	else
		dhcpv6_ia_assign(ia, reply);
}

/* RFC 8415 18.3.4, 18.3.5: our address lives, any other is to die */
static void dhcpv6_ia_extend(const struct dhcpv6_ia *ia,
			     struct dhcpv6_reply *reply)
{
	const struct addr *our = &dhcpv6_family()->addr;
	struct cur c = ia->options;
	struct out *o = &reply->o;
	struct dhcpv6_option opt;
	size_t begin;

	if (ia->code != DHCPV6_OPT_IA_NA || !dhcpv6_has_addr() ||
	    reply->given) {
		dhcpv6_put_ia_status(o, ia, DHCPV6_NO_BINDING);
		return;
	}
	begin = dhcpv6_open_ia(o, ia, DHCPV6_INFINITE);
	dhcpv6_put_addr(o, our->b, DHCPV6_INFINITE);
	while (dhcpv6_option_next(&c, &opt)) {
		if (opt.code == DHCPV6_OPT_IA_ADDR &&
		    memcmp(opt.value.p, our->b, sizeof(our->b)))
			dhcpv6_put_addr(o, opt.value.p, 0);
	}
	dhcpv6_close(o, begin);
	reply->given = true;
}

/* RFC 8415 18.3.7, 18.3.8: only what we have not given is mentioned */
static void dhcpv6_ia_end(const struct dhcpv6_ia *ia,
			  struct dhcpv6_reply *reply)
{
	if (ia->code != DHCPV6_OPT_IA_NA || !ia->ours)
		dhcpv6_put_ia_status(&reply->o, ia, DHCPV6_NO_BINDING);
}

static bool dhcpv6_handle_solicit(const struct dhcpv6_request *r,
				  struct dhcpv6_reply *reply)
{
	static const uint8_t preference = DHCPV6_PREFERENCE;

	dhcpv6_begin(r, reply, r->rapid ? DHCPV6_REPLY : DHCPV6_ADVERTISE);
	if (r->rapid)
		dhcpv6_put(&reply->o, DHCPV6_OPT_RAPID, NULL, 0);
	else
		dhcpv6_put(&reply->o, DHCPV6_OPT_PREFERENCE, &preference, 1);
	dhcpv6_each_ia(r, reply, dhcpv6_ia_assign);
	dhcpv6_put_parameters(r, reply);
	return true;
}

static bool dhcpv6_handle_request(const struct dhcpv6_request *r,
				  struct dhcpv6_reply *reply)
{
	dhcpv6_begin(r, reply, DHCPV6_REPLY);
	dhcpv6_each_ia(r, reply, dhcpv6_ia_request);
	dhcpv6_put_parameters(r, reply);
	return true;
}

static bool dhcpv6_handle_extend(const struct dhcpv6_request *r,
				 struct dhcpv6_reply *reply)
{
	dhcpv6_begin(r, reply, DHCPV6_REPLY);
	dhcpv6_each_ia(r, reply, dhcpv6_ia_extend);
	dhcpv6_put_parameters(r, reply);
	return true;
}

/* RFC 8415 18.3.3: no addresses, no answer */
static bool dhcpv6_handle_confirm(const struct dhcpv6_request *r,
				  struct dhcpv6_reply *reply)
{
	if (!r->ours && !r->other)
		return false;
	dhcpv6_begin(r, reply, DHCPV6_REPLY);
	dhcpv6_put_status(&reply->o,
			  r->other ? DHCPV6_NOT_ON_LINK : DHCPV6_SUCCESS);
	return true;
}

static bool dhcpv6_handle_release(const struct dhcpv6_request *r,
				  struct dhcpv6_reply *reply)
{
	dhcpv6_begin(r, reply, DHCPV6_REPLY);
	dhcpv6_put_status(&reply->o, DHCPV6_SUCCESS);
	dhcpv6_each_ia(r, reply, dhcpv6_ia_end);
	return true;
}

static bool dhcpv6_handle_decline(const struct dhcpv6_request *r,
				  struct dhcpv6_reply *reply)
{
	if (r->ours)
		warn_limited("dhcpv6: the guest declined its address: in use "
			     "on its side?");
	return dhcpv6_handle_release(r, reply);
}

static bool dhcpv6_handle_information(const struct dhcpv6_request *r,
				      struct dhcpv6_reply *reply)
{
	dhcpv6_begin(r, reply, DHCPV6_REPLY);
	dhcpv6_put_parameters(r, reply);
	return true;
}

/** Whether an option stands in a message */
enum dhcpv6_need { DHCPV6_MAY, DHCPV6_MUST, DHCPV6_MUST_NOT };

/**
 * struct dhcpv6_message - a message type and its rules (RFC 8415 16)
 * @client_id:	enum dhcpv6_need of a client identifier
 * @server_id:	enum dhcpv6_need of a server identifier; if there, it is ours
 * @ia:		enum dhcpv6_need of IAs
 * @redirect:	if sent to our address: told to use multicast (18.3.2, 18.3.4,
 *		18.3.7, 18.3.8), not dropped
 * @handle:	makes the reply; false: no reply
 */
struct dhcpv6_message {
	uint8_t client_id;
	uint8_t server_id;
	uint8_t ia;
	bool redirect;
	bool (*handle)(const struct dhcpv6_request *r,
		       struct dhcpv6_reply *reply);
};

static const struct dhcpv6_message dhcpv6_messages[DHCPV6_TYPES] = {
	[DHCPV6_SOLICIT] = { DHCPV6_MUST, DHCPV6_MUST_NOT, DHCPV6_MAY, false,
			     dhcpv6_handle_solicit },
	[DHCPV6_REQUEST] = { DHCPV6_MUST, DHCPV6_MUST, DHCPV6_MAY, true,
			     dhcpv6_handle_request },
	[DHCPV6_CONFIRM] = { DHCPV6_MUST, DHCPV6_MUST_NOT, DHCPV6_MAY, false,
			     dhcpv6_handle_confirm },
	[DHCPV6_RENEW] = { DHCPV6_MUST, DHCPV6_MUST, DHCPV6_MAY, true,
			   dhcpv6_handle_extend },
	[DHCPV6_REBIND] = { DHCPV6_MUST, DHCPV6_MUST_NOT, DHCPV6_MAY, false,
			    dhcpv6_handle_extend },
	[DHCPV6_RELEASE] = { DHCPV6_MUST, DHCPV6_MUST, DHCPV6_MAY, true,
			     dhcpv6_handle_release },
	[DHCPV6_DECLINE] = { DHCPV6_MUST, DHCPV6_MUST, DHCPV6_MAY, true,
			     dhcpv6_handle_decline },
	[DHCPV6_INFORMATION_REQUEST] = { DHCPV6_MAY, DHCPV6_MAY,
					 DHCPV6_MUST_NOT, false,
					 dhcpv6_handle_information },
};

static bool dhcpv6_need_ok(uint8_t need, bool there)
{
	return need == DHCPV6_MAY || (need == DHCPV6_MUST) == there;
}

/* RFC 8415 16: whether a message of this type may be answered at all */
static bool dhcpv6_valid(const struct dhcpv6_request *r,
			 const struct dhcpv6_message *m)
{
	const struct cur *sid = &r->server_id;

	if (!m->handle || !dhcpv6_need_ok(m->client_id, r->client_id.p) ||
	    !dhcpv6_need_ok(m->server_id, sid->p) ||
	    !dhcpv6_need_ok(m->ia, r->ia))
		return false;
	return !sid->p || (sid->left == sizeof(dhcpv6_duid) &&
			   !memcmp(sid->p, dhcpv6_duid, sid->left));
}

static bool dhcpv6_answer(const struct dhcpv6_request *r)
{
	static const struct dhcpv6_message none;
	const struct dhcpv6_message *m = &none;
	struct dhcpv6_reply reply;

	if (r->head[0] < DHCPV6_TYPES)
		m = &dhcpv6_messages[r->head[0]];
	if (!dhcpv6_valid(r, m))
		return drop(DROP_DHCPV6);
	if (addr_is_multicast(&r->p->dst))
		return m->handle(r, &reply) && dhcpv6_send(r, &reply);
	if (!m->redirect)
		return drop(DROP_DHCPV6);
	dhcpv6_begin(r, &reply, DHCPV6_REPLY);
	dhcpv6_put_status(&reply.o, DHCPV6_USE_MULTICAST);
	return dhcpv6_send(r, &reply);
}

/*
 * A client on this link has a link-local source (RFC 8415 13.1): another one
 * is a client elsewhere that was allowed to use unicast, and we allow nobody.
 */
static bool dhcpv6_handle(const struct packet *p)
{
	static uint8_t copy[DHCPV6_IN_MAX];
	struct dhcpv6_request r = { .p = p, .addr = dhcpv6_family()->addr };
	size_t len;

	if (dhcpv6_conf->no_dhcpv6 || !dhcpv6_family()->on)
		return drop(DROP_DISABLED);
	if (p->payload.len > sizeof(copy) || !addr_is_link_local6(&p->src))
		return drop(DROP_DHCPV6);
	len = slice_copy(&p->payload, 0, copy, p->payload.len);
	if (!dhcpv6_request_parse(&r, cur_of(copy, len)))
		return drop(DROP_DHCPV6);
	return dhcpv6_answer(&r);
}

/**
 * dhcpv6_init() - Begin to serve
 * @c:		configuration, kept
 */
void dhcpv6_init(const struct conf *c)
{
	struct out o = out_of(dhcpv6_duid, sizeof(dhcpv6_duid));

	dhcpv6_conf = c;
	out_be16(&o, DHCPV6_DUID_LL);
	out_be16(&o, ARPHRD_ETHER);
	out_bytes(&o, c->mac, sizeof(c->mac));
	dnsname_list_build(&dhcpv6_search, c, false);
	dhcpv6_fqdn_len = *c->fqdn ? dnsname_encode(c->fqdn, dhcpv6_fqdn) : 0;
}

/**
 * dhcpv6_input() - A UDP packet from the guest
 * @p:		packet
 * Return: true if it was for the DHCPv6 server, answered or not; false if it is
 *	something else
 */
bool dhcpv6_input(const struct packet *p)
{
	/* ff02::1:2 (RFC 8415 7.1) */
	static const struct addr servers = {
		{ [0] = 0xff, [1] = 0x02, [13] = 0x01, [15] = 0x02 }
	};

	if (p->proto != IPPROTO_UDP || p->dport != DHCPV6_SERVER_PORT)
		return false;
	if (!addr_equal(&p->dst, &servers) &&
	    !addr_equal(&p->dst, guest_our_ll()))
		return false;
	dhcpv6_handle(p);
	return true;
}
