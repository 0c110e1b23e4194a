// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * arp: ARP for the gateway and everyone else on the guest's link (RFC 826,
 * 5227)
 *
 * Requests for any address that is not the guest's own are answered with our
 * MAC: whatever the guest believes to be on its link is reached through us.
 * Left in peace are announcements, and probes (RFC 5227 2.1.1) for whatever we
 * do not hold ourselves, or a guest could not take a static address; a probe
 * for the gateway is defended. Nothing is learned here, tap.c learns.
 * State: the configuration. One frame in, at most one out.
 */
#include "serve/arp.h"

#include <net/if_arp.h>
#include <netinet/if_ether.h>

#include "frame_out.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/stats.h"

/** An ARP packet for IPv4 on Ethernet */
#define ARP_LEN		28

static const struct conf *arp_conf;

/**
 * arp_init() - Begin to serve
 * @c:		configuration, kept
 */
void arp_init(const struct conf *c)
{
	arp_conf = c;
}

/**
 * struct arp_request - what a request asks
 * @smac:	sender's hardware address
 * @sender:	sender's protocol address
 * @target:	address looked for
 */
struct arp_request {
	uint8_t smac[6];
	struct addr sender;
	struct addr target;
};

/* Whether the packet is ARP for IPv4 on Ethernet; if so, its operation */
static bool arp_parse(const struct packet *p, struct arp_request *r,
		      uint16_t *op)
{
	uint8_t copy[ARP_LEN];
	struct cur c = cur_of(copy, slice_copy(&p->payload, 0, copy, ARP_LEN));
	const uint8_t *smac, *sender, *target;

	if (cur_be16(&c) != ARPHRD_ETHER || cur_be16(&c) != ETHERTYPE_IP)
		return false;
	/* NOLINTNEXTLINE(misc-redundant-expression): one byte, then the next */
	if (cur_u8(&c) != sizeof(r->smac) || cur_u8(&c) != 4)
		return false;
	*op = cur_be16(&c);
	smac = cur_take(&c, sizeof(r->smac));
	sender = cur_take(&c, 4);
	if (!cur_take(&c, sizeof(r->smac)))
		return false;
	target = cur_take(&c, 4);
	if (!target)
		return false;
	memcpy(r->smac, smac, sizeof(r->smac));
	r->sender = addr_from_v4(sender);
	r->target = addr_from_v4(target);
	return true;
}

static bool arp_answers(const struct arp_request *r)
{
	const struct conf_family *f = &arp_conf->family[CONF_V4];

	if (!addr_is_unicast(&r->target) || addr_is_loopback(&r->target))
		return false;
	if (addr_equal(&r->target, &f->addr) || guest_holds(&r->target))
		return false;
	if (addr_is_unspecified(&r->sender))
		return addr_equal(&r->target, &f->gateway);
	return !addr_equal(&r->sender, &r->target);
}

static void arp_answer(const struct arp_request *r)
{
	struct in_addr sender = addr_to_v4(&r->sender);
	struct in_addr target = addr_to_v4(&r->target);
	uint8_t frame[ETH_HLEN_ + ARP_LEN];
	struct out o = out_of(frame, sizeof(frame));

	out_bytes(&o, r->smac, sizeof(r->smac));
	out_bytes(&o, guest_our_mac(), sizeof(r->smac));
	out_be16(&o, ETHERTYPE_ARP);
	out_be16(&o, ARPHRD_ETHER);
	out_be16(&o, ETHERTYPE_IP);
	out_u8(&o, sizeof(r->smac));
	out_u8(&o, sizeof(target));
	out_be16(&o, ARPOP_REPLY);
	out_bytes(&o, guest_our_mac(), sizeof(r->smac));
	out_bytes(&o, &target, sizeof(target));
	out_bytes(&o, r->smac, sizeof(r->smac));
	out_bytes(&o, &sender, sizeof(sender));
	frame_send_raw(frame, o.len);
}

/**
 * arp_input() - An ARP packet from the guest
 * @p:		packet; the whole ARP packet is its payload
 */
void arp_input(const struct packet *p)
{
	struct arp_request r;
	uint16_t op;

	if (!arp_conf->family[CONF_V4].on) {
		drop(DROP_DISABLED);
		return;
	}
	if (!arp_parse(p, &r, &op) || r.smac[0] & 1 ||
	    (op != ARPOP_REQUEST && op != ARPOP_REPLY)) {
		drop(DROP_ARP);
		return;
	}
	if (op == ARPOP_REQUEST && arp_answers(&r))
		arp_answer(&r);
}
