// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * craft: frames made by hand, for unit tests
 */
#include "test/unit/craft.h"

#include <assert.h>
#include <linux/if_ether.h>
#include <string.h>

#include "lib/bytes.h"

const uint8_t craft_guest_mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
const uint8_t craft_our_mac[6] = { 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 };

struct addr craft_addr(const char *text)
{
	struct addr a = ADDR_ANY6;
	bool ok = addr_parse(text, &a);

	assert(ok);
	return a;
}

static bool craft_is_v4(const struct craft *c)
{
	return addr_is_v4(&c->dst);
}

void craft_bytes(struct craft *c, const void *p, size_t len)
{
	assert(c->len + len <= sizeof(c->b));
	memcpy(c->b + c->len, p, len);
	c->len += len;
}

/* Bytes that tell where they are */
void craft_fill(struct craft *c, size_t len)
{
	assert(c->len + len <= sizeof(c->b));
	for (size_t i = 0; i < len; i++)
		c->b[c->len++] = (uint8_t)(i * 7 + i / 251);
}

void craft_ip(struct craft *c, const char *src, const char *dst)
{
	c->src = craft_addr(src);
	c->dst = craft_addr(dst);
	c->proto = 0;
	c->len = packet_put_l2l3(c->b,
				 &(struct packet_ends){
					.smac = craft_guest_mac,
					.dmac = craft_our_mac,
					.src = c->src, .dst = c->dst,
					.ttl = 64, .tos = 0x1c, .df = true },
				 0, 0);
	c->l4 = c->len;
}

void craft_ip4_options(struct craft *c, const void *opt, size_t len)
{
	assert(craft_is_v4(c) && !(len % 4) && len <= 40);
	craft_bytes(c, opt, len);
	c->b[14] = (uint8_t)(0x45 + len / 4);
	c->l4 = c->len;
}

/* Chains: the next-header field before points here, ours is filled in later */
static void craft_chain6(struct craft *c, uint8_t kind)
{
	size_t at = 14 + 6, next = 14 + 40;

	while (next < c->l4) {
		uint8_t what = c->b[at];

		at = next;
		next += what == IPPROTO_FRAGMENT ? 8 : (c->b[at + 1] + 1u) * 8;
	}
	c->b[at] = kind;
}

void craft_ext6(struct craft *c, uint8_t kind, const void *h, size_t len)
{
	craft_chain6(c, kind);
	craft_bytes(c, h, len);
	c->l4 = c->len;
}

static void craft_proto(struct craft *c, uint8_t proto)
{
	c->proto = proto;
	if (craft_is_v4(c))
		c->b[14 + 9] = proto;
	else
		craft_chain6(c, proto);
}

void craft_tcp(struct craft *c, uint16_t sport, uint16_t dport, size_t optlen,
	       size_t len)
{
	uint8_t h[60] = { 0 };

	memset(h + 20, 1, optlen);
	packet_put_tcp(h, sport, dport,
		       &(struct tcp_fields){ .seq = 0x01020304,
					     .ack = 0x05060708,
					     .window = 0x1234,
					     .urgent = 0x55,
					     .flags = TCP_FLAG_ACK },
		       20 + optlen);
	craft_proto(c, IPPROTO_TCP);
	craft_bytes(c, h, 20 + optlen);
	craft_fill(c, len);
}

void craft_udp(struct craft *c, uint16_t sport, uint16_t dport, size_t len)
{
	uint8_t h[8] = { 0 };

	put_be16(h, sport);
	put_be16(h + 2, dport);
	put_be16(h + 4, (uint16_t)(8 + len));
	craft_proto(c, IPPROTO_UDP);
	craft_bytes(c, h, sizeof(h));
	craft_fill(c, len);
}

void craft_icmp(struct craft *c, uint8_t type, size_t len)
{
	uint8_t h[8] = { type, 0, 0, 0, 0x11, 0x22, 0x33, 0x44 };

	craft_proto(c, craft_is_v4(c) ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	craft_bytes(c, h, sizeof(h));
	craft_fill(c, len);
}

/* Sums the slow way, so that the tests do not lean on what they test */
static uint32_t craft_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return (sum & 0xffff) + (sum >> 16);
}

void craft_sum4(struct craft *c)
{
	uint8_t *ip = c->b + 14;
	size_t hlen = (ip[0] & 0xf) * 4u;
	uint32_t sum;

	put_be16(ip + 10, 0);
	sum = craft_sum(ip, hlen, 0);
	put_be16(ip + 10, (uint16_t)~((sum & 0xffff) + (sum >> 16)));
}

static void craft_sum_l4(struct craft *c)
{
	size_t len = c->len - c->l4, skip = craft_is_v4(c) ? 12 : 0, at = 2;
	uint32_t sum = 0;

	if (c->proto == IPPROTO_TCP)
		at = 16;
	else if (c->proto == IPPROTO_UDP)
		at = 6;
	put_be16(c->b + c->l4 + at, 0);
	if (c->proto != IPPROTO_ICMP) {
		sum = craft_sum(c->src.b + skip, 16 - skip, sum);
		sum = craft_sum(c->dst.b + skip, 16 - skip, sum);
		sum += (uint32_t)len + c->proto;
	}
	for (size_t i = 0; i < len; i += 2)
		sum = craft_sum(c->b + c->l4 + i, len - i < 2 ? 1 : 2, sum);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	if (sum == 0xffff && c->proto == IPPROTO_UDP)
		sum = 0;
	put_be16(c->b + c->l4 + at, (uint16_t)~sum);
}

void craft_end(struct craft *c)
{
	if (craft_is_v4(c)) {
		put_be16(c->b + 14 + 2, (uint16_t)(c->len - 14));
		craft_sum4(c);
	} else {
		put_be16(c->b + 14 + 4, (uint16_t)(c->len - 14 - 40));
	}
	if (c->proto)
		craft_sum_l4(c);
}

/* Bytes [off, off + len) of a finished datagram, as a fragment of it */
void craft_fragment(const struct craft *whole, struct craft *out, size_t off,
		    size_t len, uint32_t id)
{
	size_t total = whole->len - whole->l4;
	bool more = off + len < total;

	assert(!(off % 8) && off + len <= total);
	memcpy(out->b, whole->b, whole->l4);
	out->len = out->l4 = whole->l4;
	out->src = whole->src;
	out->dst = whole->dst;
	out->proto = 0;
	if (craft_is_v4(whole)) {
		put_be16(out->b + 14 + 4, (uint16_t)id);
		put_be16(out->b + 14 + 6,
			 (uint16_t)(off / 8 | (more ? 0x2000 : 0)));
	} else {
		uint8_t h[8] = { whole->proto };

		put_be16(h + 2, (uint16_t)(off | more));
		put_be32(h + 4, id);
		craft_ext6(out, IPPROTO_FRAGMENT, h, sizeof(h));
	}
	craft_bytes(out, whole->b + whole->l4 + off, len);
	craft_end(out);
}

void craft_arp(struct craft *c, const char *spa, const char *tpa)
{
	static const uint8_t head[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	struct addr s = craft_addr(spa), t = craft_addr(tpa);

	c->len = 0;
	craft_bytes(c, "\xff\xff\xff\xff\xff\xff", 6);
	craft_bytes(c, craft_guest_mac, 6);
	craft_bytes(c, "\x08\x06", 2);
	craft_bytes(c, head, sizeof(head));
	craft_bytes(c, craft_guest_mac, 6);
	craft_bytes(c, s.b + 12, 4);
	craft_bytes(c, "\0\0\0\0\0\0", 6);
	craft_bytes(c, t.b + 12, 4);
}
