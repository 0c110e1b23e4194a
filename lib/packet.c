// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * packet: Ethernet, IP and transport headers, read into a checked view and
 * written from one
 *
 * Reading is one pass over a private copy of the first PACKET_HDR_MAX bytes,
 * through a cursor that never leaves what the IP length covers; the payload
 * stays where the link put it. What is refused is counted exactly once. No
 * state. Sources: RFC 791, 8200, 6946 (atomic fragments), 9293, 768, 792,
 * 4443; RFC 1122 3.2.1.3 for sources and destinations that cannot be.
 */
#include "lib/packet.h"

#include <assert.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>

#include "lib/bytes.h"
#include "lib/checksum.h"
#include "lib/stats.h"

/** Most IPv6 extension headers of one packet */
#define PACKET_EXT_MAX		8

/** Datagrams that one frame stands for: Linux's UDP_MAX_SEGMENTS */
#define PACKET_UDP_SEGMENTS	128

/** What an ICMP error quotes of TCP at least (RFC 792), and IPv4 before it */
#define PACKET_QUOTE_TCP	8
#define PACKET_QUOTE_MAX	(60 + PACKET_QUOTE_TCP)

#define IP4_DF			0x4000
#define IP4_MF			0x2000
#define IP4_OFFSET		0x1fff
#define IP6_MORE		0x0001
#define IP6_OFFSET		0xfff8

/* ICMPv6 types that may come from :: (RFC 4861, 3590, 3810) */
#define ICMP6_MLD_REPORT	131
#define ICMP6_MLD_DONE		132
#define ICMP6_RS		133
#define ICMP6_NS		135
#define ICMP6_MLD2_REPORT	143

#define DHCP_SERVER_PORT	67
#define DHCP_CLIENT_PORT	68

/* Cut the packet to what its IP or UDP length says */
static void packet_set_end(struct packet *p, struct cur *c, size_t left)
{
	p->payload.len = left;
	if (c->left > left)
		c->left = left;
}

static bool packet_end_l4(struct packet *p, size_t hlen, bool csum_ok)
{
	uint64_t sum = 0;

	if (!csum_ok) {
		if (p->proto != IPPROTO_ICMP)
			sum = csum_pseudo(&p->src, &p->dst, p->proto,
					  p->payload.len);
		if (csum_fold(slice_csum(&p->payload, sum)))
			return drop(DROP_L4_CSUM);
	}
	p->l4_len = (uint16_t)hlen;
	p->payload.off += hlen;
	p->payload.len -= hlen;
	return true;
}

static bool packet_parse_tcp(struct packet *p, struct cur *c, bool csum_ok)
{
	const uint8_t *h = cur_take(c, TCP_HLEN);
	size_t hlen;

	if (!h)
		return drop(DROP_L4_HEADER);
	hlen = (h[12] >> 4) * 4;
	if (hlen < TCP_HLEN || !cur_take(c, hlen - TCP_HLEN))
		return drop(DROP_L4_HEADER);
	p->sport = get_be16(h);
	p->dport = get_be16(h + 2);
	if (!p->sport || !p->dport)
		return drop(DROP_L4_HEADER);
	p->tcp = (struct tcp_fields){
		.seq = get_be32(h + 4),
		.ack = get_be32(h + 8),
		.flags = h[13],
		.window = get_be16(h + 14),
		.urgent = get_be16(h + 18),
	};
	return packet_end_l4(p, hlen, csum_ok);
}

static bool packet_parse_udp(struct packet *p, struct cur *c, bool csum_ok)
{
	const uint8_t *h = cur_take(c, UDP_HLEN);
	size_t len;

	if (!h)
		return drop(DROP_L4_HEADER);
	len = get_be16(h + 4);
	p->sport = get_be16(h);
	p->dport = get_be16(h + 2);
	if (len < UDP_HLEN || len > p->payload.len || !p->dport)
		return drop(DROP_L4_HEADER);
	packet_set_end(p, c, len);
	if (!csum_ok && !get_be16(h + 6)) {
		/* none: RFC 768 allows it, RFC 8200 8.1 does not */
		if (p->ethertype != ETH_P_IP)
			return drop(DROP_L4_CSUM);
		csum_ok = true;
	}
	/* so many pieces no kernel makes: a flood from one frame */
	if (p->gso_size && len / p->gso_size > PACKET_UDP_SEGMENTS)
		return drop(DROP_L4_HEADER);
	return packet_end_l4(p, UDP_HLEN, csum_ok);
}

static bool packet_parse_icmp(struct packet *p, struct cur *c, bool csum_ok)
{
	const uint8_t *h = cur_take(c, ICMP_HLEN);

	if (!h)
		return drop(DROP_L4_HEADER);
	p->icmp = (struct icmp_fields){
		.type = h[0],
		.code = h[1],
		.id = get_be16(h + 4),
		.seq = get_be16(h + 6),
	};
	return packet_end_l4(p, ICMP_HLEN, csum_ok);
}

static bool packet_read_l4(struct packet *p, struct cur *c, bool csum_ok)
{
	switch (p->proto) {
	case IPPROTO_TCP:
		return packet_parse_tcp(p, c, csum_ok);
	case IPPROTO_UDP:
		return packet_parse_udp(p, c, csum_ok);
	case IPPROTO_ICMP:
		if (p->ethertype != ETH_P_IP)
			return drop(DROP_PROTOCOL);
		return packet_parse_icmp(p, c, csum_ok);
	case IPPROTO_ICMPV6:
		if (p->ethertype != ETH_P_IPV6)
			return drop(DROP_PROTOCOL);
		return packet_parse_icmp(p, c, csum_ok);
	default:
		return drop(DROP_PROTOCOL);
	}
}

/* Whether a packet may come from the unspecified address: DHCP, see dhcp.c */
static bool packet_may_lack_source(const struct packet *p)
{
	if (p->fragment)
		return false;
	if (p->proto == IPPROTO_UDP)
		return p->ethertype == ETH_P_IP &&
		       p->dport == DHCP_SERVER_PORT &&
		       (p->sport == DHCP_CLIENT_PORT ||
			addr_is_broadcast(&p->dst));
	if (p->proto != IPPROTO_ICMPV6)
		return false;
	switch (p->icmp.type) {
	case ICMP6_RS:
	case ICMP6_NS:
	case ICMP6_MLD_REPORT:
	case ICMP6_MLD_DONE:
	case ICMP6_MLD2_REPORT:
		return true;
	default:
		return false;
	}
}

/* What follows the IP headers: a fragment's data, or the transport header */
static bool packet_end_l3(struct packet *p, struct cur *c, bool unset_source,
			  bool csum_ok)
{
	p->l4_off = (uint16_t)p->payload.off;
	/* of what is put together the pieces are forgotten */
	if (p->fragment)
		p->gso_size = 0;
	if (!p->fragment && !packet_read_l4(p, c, csum_ok))
		return false;
	if (unset_source && !packet_may_lack_source(p))
		return drop(DROP_IP_SOURCE);
	return true;
}

static bool packet_ip4_csum_ok(const uint8_t *ip, size_t hlen)
{
	uint64_t sum = 0;
	uint32_t word;

	for (size_t i = 0; i < hlen; i += sizeof(word)) {
		memcpy(&word, ip + i, sizeof(word));
		sum += word;
	}
	return !csum_fold(sum);
}

/* RFC 791 3.1: well-formed, and no source route */
static bool packet_ip4_options_ok(const uint8_t *opt, size_t len)
{
	struct cur c = cur_of(opt, len);

	while (c.left) {
		uint8_t type = cur_u8(&c), size;

		if (type == IPOPT_EOL)
			return true;
		if (type == IPOPT_NOP)
			continue;
		size = cur_u8(&c);
		if (type == IPOPT_LSRR || type == IPOPT_SSRR || size < 2 ||
		    !cur_take(&c, size - 2u))
			return false;
	}
	return true;
}

/* Multicast and broadcast destinations are for tap.c to judge */
static bool packet_ip4_addrs_ok(const uint8_t *src, const uint8_t *dst,
				bool *unset_source)
{
	*unset_source = !get_be32(src);
	if ((!src[0] && !*unset_source) || src[0] == 127 ||
	    (src[0] >= 224 && src[0] < 240) || get_be32(src) == ~0u)
		return drop(DROP_IP_SOURCE);
	if (!dst[0] || dst[0] == 127)
		return drop(DROP_IP_DEST);
	return true;
}

static bool packet_parse_ip4(struct packet *p, struct cur *c, bool csum_ok)
{
	const uint8_t *ip = cur_take(c, IP4_HLEN);
	size_t hlen, total;
	uint16_t frag;
	bool unset;

	if (!ip)
		return drop(DROP_SHORT);
	hlen = (ip[0] & 0xf) * 4;
	if (ip[0] >> 4 != 4 || hlen < IP4_HLEN)
		return drop(DROP_IP_HEADER);
	total = get_be16(ip + 2);
	if (total < hlen || total > p->payload.len ||
	    !cur_take(c, hlen - IP4_HLEN))
		return drop(DROP_IP_LENGTH);
	if (!packet_ip4_csum_ok(ip, hlen))
		return drop(DROP_IP_CSUM);
	if (!packet_ip4_options_ok(ip + IP4_HLEN, hlen - IP4_HLEN))
		return drop(DROP_IP_OPTIONS);
	if (!packet_ip4_addrs_ok(ip + 12, ip + 16, &unset))
		return false;
	p->src = addr_from_v4(ip + 12);
	p->dst = addr_from_v4(ip + 16);
	p->tos = ip[1];
	p->ttl = ip[8];
	p->proto = ip[9];
	frag = get_be16(ip + 6);
	p->df = frag & IP4_DF;
	p->more = frag & IP4_MF;
	p->frag_off = (uint16_t)((frag & IP4_OFFSET) * 8);
	p->frag_id = get_be16(ip + 4);
	p->fragment = p->more || p->frag_off;
	p->payload.off += hlen;
	packet_set_end(p, c, total - hlen);
	return packet_end_l3(p, c, unset, csum_ok);
}

/*
 * Loopback, and v4-mapped, which is for sockets alone: here it would pass for
 * IPv4. The deprecated v4-compatible ones are left to the host's routing.
 */
static bool packet_ip6_is_internal(const uint8_t *a)
{
	uint64_t high, low;

	memcpy(&high, a, sizeof(high));
	if (high)
		return false;
	low = (uint64_t)get_be32(a + 8) << 32 | get_be32(a + 12);
	return low == 1 || low >> 32 == 0xffff;
}

static bool packet_ip6_is_unset(const uint8_t *a)
{
	uint64_t half[2];

	memcpy(half, a, sizeof(half));
	return !(half[0] | half[1]);
}

static bool packet_ip6_addrs_ok(const uint8_t *src, const uint8_t *dst,
				bool *unset_source)
{
	*unset_source = packet_ip6_is_unset(src);
	if (src[0] == 0xff || packet_ip6_is_internal(src))
		return drop(DROP_IP_SOURCE);
	/* ff00::/16 is reserved, ff01::/16 never leaves a node (RFC 4291) */
	if ((dst[0] == 0xff && (dst[1] & 0xf) < 2) ||
	    packet_ip6_is_unset(dst) || packet_ip6_is_internal(dst))
		return drop(DROP_IP_DEST);
	return true;
}

/* RFC 8200 4.2: options that one may skip, nothing that must be understood */
static bool packet_ip6_options_ok(const uint8_t *h, size_t len)
{
	struct cur c = cur_of(h + 2, len - 2);

	while (c.left) {
		uint8_t type = cur_u8(&c);

		if (!type)
			continue;
		if (type >> 6 || !c.left || !cur_take(&c, cur_u8(&c)))
			return false;
	}
	return true;
}

static void packet_read_frag6(struct packet *p, const uint8_t *h)
{
	uint16_t v = get_be16(h + 2);

	p->more = v & IP6_MORE;
	p->frag_off = v & IP6_OFFSET;
	p->frag_id = get_be32(h + 4);
	/* else an atomic fragment: a whole packet (RFC 6946) */
	p->fragment = p->more || p->frag_off;
}

/* One extension header; false: not a good one */
static bool packet_read_ext(struct packet *p, struct cur *c, unsigned index)
{
	const uint8_t *h = cur_take(c, 8);
	uint8_t kind = p->proto;
	size_t len;

	if (!h)
		return false;
	p->proto = h[0];
	len = kind == IPPROTO_FRAGMENT ? 8 : (h[1] + 1u) * 8;
	if (!cur_take(c, len - 8))
		return false;
	p->payload.off += len;
	p->payload.len -= len;
	switch (kind) {
	case IPPROTO_FRAGMENT:
		packet_read_frag6(p, h);
		return true;
	case IPPROTO_ROUTING:
		/* type 0: RFC 5095; others we do not know: RFC 8200 4.4 */
		return h[2] && !h[3];
	case IPPROTO_HOPOPTS:
		return !index && packet_ip6_options_ok(h, len);
	default:
		return packet_ip6_options_ok(h, len);
	}
}

static bool packet_is_ext(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING ||
	       proto == IPPROTO_DSTOPTS || proto == IPPROTO_FRAGMENT;
}

static bool packet_read_exts(struct packet *p, struct cur *c)
{
	bool seen_fragment = false;

	for (unsigned i = 0; packet_is_ext(p->proto); i++) {
		bool is_fragment = p->proto == IPPROTO_FRAGMENT;

		if (i == PACKET_EXT_MAX || (is_fragment && seen_fragment) ||
		    !packet_read_ext(p, c, i))
			return drop(DROP_EXT_HEADER);
		seen_fragment |= is_fragment;
		if (p->fragment)
			return true;
	}
	return true;
}

static bool packet_parse_ip6(struct packet *p, struct cur *c, bool csum_ok)
{
	const uint8_t *ip = cur_take(c, IP6_HLEN);
	size_t len;
	bool unset;

	if (!ip)
		return drop(DROP_SHORT);
	if (ip[0] >> 4 != 6)
		return drop(DROP_IP_HEADER);
	len = get_be16(ip + 4);
	if (len > p->payload.len - IP6_HLEN)
		return drop(DROP_IP_LENGTH);
	if (!packet_ip6_addrs_ok(ip + 8, ip + 24, &unset))
		return false;
	p->src = addr_from_v6(ip + 8);
	p->dst = addr_from_v6(ip + 24);
	p->tos = (uint8_t)(get_be16(ip) >> 4);
	p->proto = ip[6];
	p->ttl = ip[7];
	p->df = true;
	p->payload.off += IP6_HLEN;
	packet_set_end(p, c, len);
	if (!packet_read_exts(p, c))
		return false;
	return packet_end_l3(p, c, unset, csum_ok);
}

static size_t packet_copy_headers(const struct frame *f, struct packet *p)
{
	struct slice all = { f->iov, f->cnt, 0, f->len };

	/* the compiler makes moves of this one */
	if (f->cnt && f->iov[0].iov_len >= sizeof(p->hdr) &&
	    f->len >= sizeof(p->hdr)) {
		memcpy(p->hdr, f->iov[0].iov_base, sizeof(p->hdr));
		return sizeof(p->hdr);
	}
	return slice_copy(&all, 0, p->hdr, sizeof(p->hdr));
}

/**
 * packet_parse() - Read and check all headers of a frame
 * @f:		frame from the link
 * @p:		where to store the view; of ARP only @l3_off, @ethertype, the
 *		MACs and @payload (the whole ARP packet) mean something
 *
 * Multicast and broadcast destinations pass. Trailing padding is cut off. @next
 * is NULL.
 *
 * Return: true if all is well; false: dropped, and counted once
 */
bool packet_parse(const struct frame *f, struct packet *p)
{
	struct cur c = cur_of(p->hdr, packet_copy_headers(f, p));
	const uint8_t *eth = cur_take(&c, ETH_HLEN_);

	if (!eth)
		return drop(DROP_SHORT);
	/* everything before hdr, none of it costs a cache miss of its own */
	memset(p, 0, offsetof(struct packet, payload));
	memcpy(p->dmac, eth, 6);
	memcpy(p->smac, eth + 6, 6);
	p->ethertype = get_be16(eth + 12);
	p->gso_size = f->gso_size;
	p->l3_off = p->l4_off = ETH_HLEN_;
	p->payload = (struct slice){ f->iov, f->cnt, ETH_HLEN_,
				     f->len - ETH_HLEN_ };
	if (p->smac[0] & 1 || !(get_be32(eth + 6) | get_be16(eth + 10)))
		return drop(DROP_MAC);
	switch (p->ethertype) {
	case ETH_P_IP:
		return packet_parse_ip4(p, &c, f->csum_ok);
	case ETH_P_IPV6:
		return packet_parse_ip6(p, &c, f->csum_ok);
	case ETH_P_ARP:
		return true;
	default:
		return drop(DROP_ETHERTYPE);
	}
}

/**
 * packet_parse_l4() - Read the transport header of a reassembled datagram
 * @p:		view with the IP fields, @ethertype, @proto and @l4_off set and
 *		@payload beginning at the transport header
 * @csum_ok:	do not verify the checksum
 *
 * The transport header is copied to @p->hdr at @p->l4_off, and @payload then
 * begins behind it, as after packet_parse().
 *
 * Return: true if all is well; false: dropped, and counted once
 */
bool packet_parse_l4(struct packet *p, bool csum_ok)
{
	uint8_t *h = p->hdr + p->l4_off;
	size_t n;

	assert(p->l4_off < sizeof(p->hdr));
	n = slice_copy(&p->payload, 0, h, sizeof(p->hdr) - p->l4_off);
	p->fragment = p->more = false;
	p->frag_off = 0;
	return packet_read_l4(p, &(struct cur){ .p = h, .left = n }, csum_ok);
}

/* Return: where the protocol stands; NULL: malformed, or TCP does not follow */
static const uint8_t *packet_quote_ip4(struct cur *c, struct packet_quote *q)
{
	const uint8_t *ip = cur_take(c, IP4_HLEN);
	size_t hlen = ip ? (ip[0] & 0xf) * 4u : 0;

	if (hlen < IP4_HLEN || ip[0] >> 4 != 4 ||
	    get_be16(ip + 6) & IP4_OFFSET || !cur_take(c, hlen - IP4_HLEN))
		return NULL;
	q->src = addr_from_v4(ip + 12);
	q->dst = addr_from_v4(ip + 16);
	return ip + 9;
}

static const uint8_t *packet_quote_ip6(struct cur *c, struct packet_quote *q)
{
	const uint8_t *ip = cur_take(c, IP6_HLEN);

	if (!ip || ip[0] >> 4 != 6)
		return NULL;
	q->src = addr_from_v6(ip + 8);
	q->dst = addr_from_v6(ip + 24);
	return ip + 6;
}

/**
 * packet_parse_quote() - Read and check what an ICMP error quotes of TCP
 * @p:		the error, as after packet_parse()
 * @q:		where to store the segment's fields
 *
 * The error must be for who sent the segment (RFC 1122 3.2.2). IPv6 extension
 * headers before TCP are none of ours.
 *
 * Return: true if all is well; false: dropped, and counted once
 */
bool packet_parse_quote(const struct packet *p, struct packet_quote *q)
{
	uint8_t h[PACKET_QUOTE_MAX];
	struct cur c = cur_of(h, slice_copy(&p->payload, 0, h, sizeof(h)));
	const uint8_t *proto = p->ethertype == ETH_P_IP ?
			       packet_quote_ip4(&c, q) : packet_quote_ip6(&c, q);
	const uint8_t *tcp;

	if (!proto)
		return drop(DROP_L4_HEADER);
	if (*proto != IPPROTO_TCP || !addr_equal(&q->src, &p->dst))
		return drop(DROP_PROTOCOL);
	tcp = cur_take(&c, PACKET_QUOTE_TCP);
	if (!tcp)
		return drop(DROP_L4_HEADER);
	q->sport = get_be16(tcp);
	q->dport = get_be16(tcp + 2);
	q->seq = get_be32(tcp + 4);
	return true;
}

/**
 * packet_l2l3_len() - Room for Ethernet and IP headers towards an address
 * @dst:	IP destination
 *
 * Return: bytes
 */
size_t packet_l2l3_len(const struct addr *dst)
{
	return ETH_HLEN_ + (addr_is_v4(dst) ? IP4_HLEN : IP6_HLEN);
}

static void packet_put_ip4(uint8_t *ip, const struct packet_ends *e,
			   uint8_t proto, size_t l4_len)
{
	struct in_addr src = addr_to_v4(&e->src), dst = addr_to_v4(&e->dst);
	uint16_t csum;

	assert(l4_len <= UINT16_MAX - IP4_HLEN);
	ip[0] = 0x45;
	ip[1] = e->tos;
	put_be16(ip + 2, (uint16_t)(IP4_HLEN + l4_len));
	put_be16(ip + 4, 0);
	put_be16(ip + 6, e->df ? IP4_DF : 0);
	ip[8] = e->ttl ? e->ttl : 255;
	ip[9] = proto;
	put_be16(ip + 10, 0);
	memcpy(ip + 12, &src, 4);
	memcpy(ip + 16, &dst, 4);
	csum = csum_fold(csum_add(ip, IP4_HLEN, 0));
	memcpy(ip + 10, &csum, sizeof(csum));
}

static void packet_put_ip6(uint8_t *ip, const struct packet_ends *e,
			   uint8_t proto, size_t l4_len)
{
	assert(l4_len <= UINT16_MAX);
	put_be32(ip, 6u << 28 | (uint32_t)e->tos << 20);
	put_be16(ip + 4, (uint16_t)l4_len);
	ip[6] = proto;
	ip[7] = e->ttl ? e->ttl : 255;
	memcpy(ip + 8, e->src.b, sizeof(e->src.b));
	memcpy(ip + 24, e->dst.b, sizeof(e->dst.b));
}

/**
 * packet_put_l2l3() - Write Ethernet and IP headers, checksum included
 * @h:		room for packet_l2l3_len() bytes
 * @e:		addresses; @e->src and @e->dst of one family
 * @proto:	IPPROTO_*
 * @l4_len:	bytes that follow the IP header
 *
 * The IPv4 identification is 0, as suits packets that are never fragmented
 * (RFC 6864 4.1); see packet_put_ip4_frag() for the others.
 *
 * Return: bytes written
 */
size_t packet_put_l2l3(uint8_t *h, const struct packet_ends *e, uint8_t proto,
		       size_t l4_len)
{
	bool v4 = addr_is_v4(&e->dst);

	assert(v4 == addr_is_v4(&e->src));
	memcpy(h, e->dmac, 6);
	memcpy(h + 6, e->smac, 6);
	put_be16(h + 12, v4 ? ETH_P_IP : ETH_P_IPV6);
	if (v4)
		packet_put_ip4(h + ETH_HLEN_, e, proto, l4_len);
	else
		packet_put_ip6(h + ETH_HLEN_, e, proto, l4_len);
	return ETH_HLEN_ + (v4 ? IP4_HLEN : IP6_HLEN);
}

/**
 * packet_put_ip4_frag() - Give a written IPv4 header its fragment fields
 * @ip:		IPv4 header without options, complete but for these
 * @id:		identification
 * @off:	offset of this fragment, bytes, a multiple of 8
 * @more:	more fragments follow
 *
 * Clears don't-fragment unless this is a whole packet (@off 0, @more false),
 * and renews the header's checksum.
 */
void packet_put_ip4_frag(uint8_t *ip, uint16_t id, size_t off, bool more)
{
	uint16_t df = off || more ? 0 : get_be16(ip + 6) & IP4_DF, csum;

	assert(!(off % 8) && off <= IP4_OFFSET * 8);
	put_be16(ip + 4, id);
	put_be16(ip + 6, (uint16_t)(df | (more ? IP4_MF : 0) | off / 8));
	put_be16(ip + 10, 0);
	csum = csum_fold(csum_add(ip, IP4_HLEN, 0));
	memcpy(ip + 10, &csum, sizeof(csum));
}

/**
 * packet_put_tcp() - Write the fixed TCP header
 * @h:		room for TCP_HLEN bytes
 * @sport:	source port, host order
 * @dport:	destination port, host order
 * @f:		the other fields
 * @hlen:	header length with options, a multiple of 4
 *
 * Options and the checksum are left to the caller, see packet_put_csum().
 */
void packet_put_tcp(uint8_t *h, uint16_t sport, uint16_t dport,
		    const struct tcp_fields *f, size_t hlen)
{
	assert(hlen >= TCP_HLEN && hlen <= 60 && !(hlen % 4));
	put_be16(h, sport);
	put_be16(h + 2, dport);
	put_be32(h + 4, f->seq);
	put_be32(h + 8, f->ack);
	h[12] = (uint8_t)(hlen / 4 << 4);
	h[13] = f->flags;
	put_be16(h + 14, f->window);
	put_be16(h + 16, 0);
	put_be16(h + 18, f->urgent);
}

static uint8_t *packet_csum_field(uint8_t *l4, uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return l4 + 16;
	case IPPROTO_UDP:
		return l4 + 6;
	default:
		assert(proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6);
		return l4 + 2;
	}
}

/**
 * packet_put_csum() - Compute and store the whole transport checksum
 * @l4:		transport header
 * @l4_hlen:	its length, even
 * @payload:	what follows it, or NULL
 * @e:		addresses
 * @proto:	IPPROTO_TCP, UDP, ICMP or ICMPV6
 */
void packet_put_csum(uint8_t *l4, size_t l4_hlen, const struct slice *payload,
		     const struct packet_ends *e, uint8_t proto)
{
	uint8_t *field = packet_csum_field(l4, proto);
	size_t len = l4_hlen + (payload ? payload->len : 0);
	uint64_t sum = 0;
	uint16_t csum;

	assert(!(l4_hlen % 2));
	put_be16(field, 0);
	if (proto != IPPROTO_ICMP)
		sum = csum_pseudo(&e->src, &e->dst, proto, len);
	sum = csum_add(l4, l4_hlen, sum);
	if (payload)
		sum = slice_csum(payload, sum);
	csum = csum_fold(sum);
	/* RFC 768: 0 on the wire means that there is none */
	if (!csum && proto == IPPROTO_UDP)
		csum = UINT16_MAX;
	memcpy(field, &csum, sizeof(csum));
}

/**
 * packet_put_partial_csum() - Store what a link with checksum offload completes
 * @l4:		transport header
 * @len:	bytes of header and payload
 * @e:		addresses
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 *
 * The sum of the pseudo-header, not complemented, as VIRTIO_NET_HDR_F_NEEDS_CSUM
 * wants it (virtio 1.2, 5.1.6.2).
 *
 * Return: where in the header it stands
 */
size_t packet_put_partial_csum(uint8_t *l4, size_t len,
			       const struct packet_ends *e, uint8_t proto)
{
	uint16_t csum = ~csum_fold(csum_pseudo(&e->src, &e->dst, proto, len));
	uint8_t *field = packet_csum_field(l4, proto);

	memcpy(field, &csum, sizeof(csum));
	return (size_t)(field - l4);
}
