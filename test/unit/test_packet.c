// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frames of every kind, whole, cut short, and broken in each field
 */
#include "lib/packet.h"

#include <linux/if_ether.h>
#include <stdlib.h>

#include "lib/bytes.h"
#include "lib/checksum.h"
#include "lib/stats.h"
#include "test/unit/craft.h"
#include "test/unit/unit.h"

#define V4 "192.0.2.9", "198.51.100.7"
#define V6 "2001:db8::9", "2001:db8:1::7"

static unsigned drops;
static enum drop_reason drop_last;
static struct craft c;
static struct packet p;
/* of the frames to be parsed */
static uint16_t gso_size;

bool drop(enum drop_reason why)
{
	drops++;
	drop_last = why;
	return false;
}

/* Parse a private copy of just that size, so that ASan sees one byte more */
static bool parse(const void *b, size_t len, bool csum_ok)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct iovec iov = { copy, len };
	struct frame f = { .iov = &iov, .cnt = 1, .len = len,
			   .gso_size = gso_size, .csum_ok = csum_ok };
	bool ok;

	memcpy(copy, b, len);
	drops = 0;
	ok = packet_parse(&f, &p);
	CHECK_EQ(drops, ok ? 0 : 1);
	if (ok)
		CHECK(p.payload.off + p.payload.len <= len);
	free(copy);
	return ok;
}

static bool parse_c(void)
{
	return parse(c.b, c.len, false);
}

/* Dropped for that reason, and counted once */
static void refuse(const char *what, enum drop_reason why)
{
	if (parse_c() || drop_last != why) {
		printf("%s: expected %d, last %d\n", what, why, drop_last);
		unit_fail(__FILE__, __LINE__, what);
	}
}

static const uint8_t hopopts[8] = { 0, 0, 5, 2, 0, 0, 1, 0 };
static const uint8_t dstopts[8] = { 0, 0, 1, 4 };
static const uint8_t routing[8] = { 0, 0, 4, 0 };
static const uint8_t atomic[8] = { 0, 0, 0, 0, 1, 2, 3, 4 };

static void make_kind(unsigned kind)
{
	switch (kind) {
	case 0:
		craft_ip(&c, V4);
		craft_tcp(&c, 1000, 80, 12, 33);
		break;
	case 1:
		craft_ip(&c, V4);
		craft_ip4_options(&c, "\x01\x94\x04\0\0\0\0\0", 8);
		craft_udp(&c, 1000, 53, 21);
		break;
	case 2:
		craft_ip(&c, V4);
		craft_icmp(&c, 8, 57);
		break;
	case 3:
		craft_ip(&c, V6);
		craft_tcp(&c, 1000, 80, 40, 1);
		break;
	case 4:
		craft_ip(&c, V6);
		craft_ext6(&c, IPPROTO_HOPOPTS, hopopts, 8);
		craft_ext6(&c, IPPROTO_ROUTING, routing, 8);
		craft_ext6(&c, IPPROTO_DSTOPTS, dstopts, 8);
		craft_ext6(&c, IPPROTO_FRAGMENT, atomic, 8);
		craft_udp(&c, 1000, 53, 0);
		break;
	default:
		craft_ip(&c, V6);
		craft_icmp(&c, 128, 8);
		break;
	}
	craft_end(&c);
}

#define KINDS 6

/* As RFC 768 and 791 draw it, summed with pen and paper */
TEST(literal_udp4)
{
	static const uint8_t frame[] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
		0x45, 0, 0, 30, 0, 0, 0x40, 0, 64, 17, 0xb9, 0x7b,
		192, 168, 0, 1, 192, 168, 0, 2,
		0, 7, 0, 9, 0, 10, 0x16, 0x0d, 'h', 'i',
	};
	CHECK(parse(frame, sizeof(frame), false));
	CHECK_EQ(p.ethertype, ETH_P_IP);
	CHECK_EQ(p.proto, IPPROTO_UDP);
	CHECK_EQ(p.sport, 7);
	CHECK_EQ(p.dport, 9);
	CHECK_EQ(p.payload.len, 2);
	CHECK_EQ(p.payload.off, 42);
	CHECK_EQ(p.ttl, 64);
	CHECK(p.df && !p.fragment);
}

TEST(fields_tcp6)
{
	struct addr src = craft_addr("2001:db8::9");
	struct addr dst = craft_addr("2001:db8:1::7");

	make_kind(3);
	CHECK(parse_c());
	CHECK_EQ(p.ethertype, ETH_P_IPV6);
	CHECK(addr_equal(&p.src, &src) && addr_equal(&p.dst, &dst));
	CHECK(!memcmp(p.smac, craft_guest_mac, 6));
	CHECK(!memcmp(p.dmac, craft_our_mac, 6));
	CHECK_EQ(p.tos, 0x1c);
	CHECK_EQ(p.ttl, 64);
	CHECK_EQ(p.sport, 1000);
	CHECK_EQ(p.dport, 80);
	CHECK_EQ(p.tcp.seq, 0x01020304);
	CHECK_EQ(p.tcp.ack, 0x05060708);
	CHECK_EQ(p.tcp.window, 0x1234);
	CHECK_EQ(p.tcp.urgent, 0x55);
	CHECK_EQ(p.tcp.flags, TCP_FLAG_ACK);
	CHECK_EQ(p.l3_off, 14);
	CHECK_EQ(p.l4_off, 54);
	CHECK_EQ(p.l4_len, 60);
	CHECK_EQ(p.hdr[p.l4_off + 20], 1);
	CHECK_EQ(p.payload.len, 1);
}

TEST(fields_behind_extension_headers)
{
	make_kind(4);
	CHECK(parse_c());
	CHECK_EQ(p.proto, IPPROTO_UDP);
	CHECK_EQ(p.l4_off, 54 + 32);
	CHECK_EQ(p.dport, 53);
	CHECK_EQ(p.payload.len, 0);
	CHECK(!p.fragment);
}

TEST(fields_icmp)
{
	make_kind(2);
	CHECK(parse_c());
	CHECK_EQ(p.icmp.type, 8);
	CHECK_EQ(p.icmp.id, 0x1122);
	CHECK_EQ(p.icmp.seq, 0x3344);
	CHECK_EQ(p.payload.len, 57);
	CHECK_EQ(p.sport, 0);
}

TEST(arp)
{
	craft_arp(&c, "192.0.2.9", "192.0.2.1");
	CHECK(parse_c());
	CHECK_EQ(p.ethertype, ETH_P_ARP);
	CHECK_EQ(p.payload.len, 28);
	CHECK_EQ(p.payload.off, 14);
	CHECK_EQ(p.hdr[p.l3_off + 1], 1);
}

TEST(cut_at_every_byte)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		make_kind(kind);
		CHECK(parse_c());
		for (size_t len = 0; len < c.len; len++)
			CHECK(!parse(c.b, len, false));
	}
}

/* The same with lengths that agree with the cut */
TEST(headers_cut_inside_the_packet)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		make_kind(kind);
		for (size_t len = 15; len < c.len; len++) {
			uint8_t b[512];

			memcpy(b, c.b, c.len);
			if (addr_is_v4(&c.dst))
				put_be16(b + 16, (uint16_t)(len - 14));
			else if (len >= 54)
				put_be16(b + 18, (uint16_t)(len - 54));
			parse(b, len, true);
			parse(b, c.len, true);
		}
	}
}

/* Any bit of an IPv4 header, and any summed bit behind the IP header */
TEST(every_bit_flipped)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		bool v4;
		size_t from;

		make_kind(kind);
		v4 = addr_is_v4(&c.dst);
		from = v4 ? 14 : c.l4;
		for (size_t bit = 0; bit < c.len * 8; bit++) {
			bool ok;

			c.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
			ok = parse_c();
			if (bit / 8 >= from)
				CHECK(!ok);
			c.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

TEST(any_way_to_buffer_it)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		make_kind(kind);
		for (size_t a = 0; a <= c.len; a += 3) {
			for (size_t b = a; b <= c.len; b += 7) {
				struct iovec iov[3] = {
					{ c.b, a }, { c.b + a, b - a },
					{ c.b + b, c.len - b } };
				struct frame f = { .iov = iov, .cnt = 3,
						   .len = c.len };

				CHECK(packet_parse(&f, &p));
			}
		}
	}
}

TEST(random_junk)
{
	srandom(1);
	for (unsigned i = 0; i < 200000; i++) {
		unsigned n = 1 + (unsigned)random() % 4;

		make_kind(i % KINDS);
		while (n--)
			c.b[12 + (size_t)random() % (c.len - 12)] =
				(uint8_t)random();
		if (i & 1 && addr_is_v4(&c.dst))
			craft_sum4(&c);
		parse(c.b, (size_t)random() % 4 ? c.len :
		      (size_t)random() % c.len, random() & 1);
	}
}

TEST(padding_is_cut_off)
{
	craft_ip(&c, V4);
	craft_udp(&c, 1, 2, 3);
	craft_end(&c);
	memset(c.b + c.len, 0xee, 15);
	c.len += 15;
	CHECK(parse_c());
	CHECK_EQ(p.payload.len, 3);
	craft_ip(&c, V6);
	craft_udp(&c, 1, 2, 3);
	craft_end(&c);
	memset(c.b + c.len, 0xee, 15);
	c.len += 15;
	CHECK(parse_c());
	CHECK_EQ(p.payload.len, 3);
}

/* RFC 768: the datagram may be shorter than the packet */
TEST(udp_length_rules)
{
	craft_ip(&c, V4);
	craft_udp(&c, 1, 2, 10);
	craft_end(&c);
	put_be16(c.b + c.l4 + 4, 12);
	put_be16(c.b + c.l4 + 6, 0);
	CHECK(parse_c());
	CHECK_EQ(p.payload.len, 4);
	put_be16(c.b + c.l4 + 4, 19);
	refuse("longer than the packet", DROP_L4_HEADER);
	put_be16(c.b + c.l4 + 4, 7);
	refuse("shorter than its header", DROP_L4_HEADER);
	put_be16(c.b + c.l4 + 4, 0);
	refuse("none", DROP_L4_HEADER);
}

/* One frame does not become thousands of datagrams; a fragment has no pieces */
TEST(segments_of_a_frame)
{
	craft_ip(&c, V4);
	craft_udp(&c, 1, 2, 1280);
	craft_end(&c);
	gso_size = 10;
	CHECK(parse_c());
	CHECK_EQ(p.gso_size, 10);
	gso_size = 9;
	refuse("too many", DROP_L4_HEADER);
	gso_size = 1;
	refuse("far too many", DROP_L4_HEADER);
	craft_ip(&c, V4);
	craft_tcp(&c, 1000, 80, 0, 1400);
	craft_end(&c);
	CHECK(parse_c());
	craft_ip(&c, V4);
	craft_udp(&c, 1, 2, 1280);
	craft_end(&c);
	put_be16(c.b + 20, 0x2000);
	craft_sum4(&c);
	CHECK(parse_c());
	CHECK(p.fragment);
	CHECK_EQ(p.gso_size, 0);
	gso_size = 0;
}

TEST(udp_ports_and_checksum)
{
	craft_ip(&c, V4);
	craft_udp(&c, 0, 2, 10);
	craft_end(&c);
	CHECK(parse_c());
	craft_ip(&c, V4);
	craft_udp(&c, 1, 0, 10);
	craft_end(&c);
	refuse("port 0", DROP_L4_HEADER);
	craft_ip(&c, V6);
	craft_udp(&c, 1, 2, 10);
	craft_end(&c);
	put_be16(c.b + c.l4 + 6, 0);
	refuse("no checksum", DROP_L4_CSUM);
	CHECK(parse(c.b, c.len, true));
}

TEST(tcp_header_rules)
{
	craft_ip(&c, V4);
	craft_tcp(&c, 1, 2, 0, 10);
	craft_end(&c);
	c.b[c.l4 + 12] = 0x40;
	refuse("offset below 5", DROP_L4_HEADER);
	c.b[c.l4 + 12] = 0x80;
	refuse("offset beyond the packet", DROP_L4_HEADER);
	c.b[c.l4 + 12] = 0x50;
	CHECK(parse_c());
	c.b[c.l4 + 16] ^= 1;
	refuse("checksum", DROP_L4_CSUM);
	CHECK(parse(c.b, c.len, true));
	put_be16(c.b + c.l4, 0);
	refuse("port 0", DROP_L4_HEADER);
}

TEST(ethernet_rules)
{
	make_kind(0);
	c.b[6] |= 1;
	refuse("multicast MAC", DROP_MAC);
	memset(c.b + 6, 0, 6);
	refuse("no MAC", DROP_MAC);
	make_kind(0);
	put_be16(c.b + 12, ETH_P_8021Q);
	refuse("VLAN", DROP_ETHERTYPE);
	c.len = 13;
	refuse("short", DROP_SHORT);
	make_kind(3);
	c.len = 53;
	refuse("short", DROP_SHORT);
}

TEST(ip4_header_rules)
{
	make_kind(0);
	c.b[14] = 0x55;
	refuse("version", DROP_IP_HEADER);
	c.b[14] = 0x44;
	refuse("header length", DROP_IP_HEADER);
	make_kind(0);
	c.b[14 + 8]--;
	refuse("checksum", DROP_IP_CSUM);
	make_kind(0);
	put_be16(c.b + 16, (uint16_t)(c.len - 13));
	craft_sum4(&c);
	refuse("length", DROP_IP_LENGTH);
	put_be16(c.b + 16, 19);
	craft_sum4(&c);
	refuse("length", DROP_IP_LENGTH);
	make_kind(0);
	c.b[14 + 9] = IPPROTO_ICMPV6;
	craft_sum4(&c);
	refuse("ICMPv6 in IPv4", DROP_PROTOCOL);
	c.b[14 + 9] = 132;
	craft_sum4(&c);
	refuse("SCTP", DROP_PROTOCOL);
}

static void with_options(const char *opt, bool good)
{
	craft_ip(&c, V4);
	craft_ip4_options(&c, opt, 8);
	craft_udp(&c, 1, 2, 3);
	craft_end(&c);
	if (good)
		CHECK(parse_c());
	else
		refuse("options", DROP_IP_OPTIONS);
}

TEST(ip4_options)
{
	with_options("\x01\x01\x94\x04\0\0\0\0", true);
	with_options("\0\x83\x03\x04\0\0\0\0", true);
	with_options("\x83\x07\x04\x01\x02\x03\x04\0", false);
	with_options("\x01\x89\x07\x04\x01\x02\x03\x04", false);
	with_options("\x44\x01\0\0\0\0\0\0", false);
	with_options("\x44\x09\0\0\0\0\0\0", false);
	with_options("\x01\x01\x01\x01\x01\x01\x01\x44", false);
}

static void from_to(const char *src, const char *dst, int why)
{
	craft_ip(&c, src, dst);
	craft_udp(&c, 1000, 2000, 3);
	craft_end(&c);
	if (why < 0 && !parse_c())
		unit_fail(__FILE__, __LINE__, src);
	else if (why >= 0)
		refuse(src, (enum drop_reason)why);
}

TEST(addresses4)
{
	from_to("240.0.0.1", "192.0.2.1", -1);
	from_to("192.0.2.9", "224.0.0.251", -1);
	from_to("192.0.2.9", "255.255.255.255", -1);
	from_to("169.254.2.1", "192.0.2.1", -1);
	from_to("0.0.0.0", "192.0.2.1", DROP_IP_SOURCE);
	from_to("0.0.0.1", "192.0.2.1", DROP_IP_SOURCE);
	from_to("127.0.0.1", "192.0.2.1", DROP_IP_SOURCE);
	from_to("127.255.255.255", "192.0.2.1", DROP_IP_SOURCE);
	from_to("224.0.0.1", "192.0.2.1", DROP_IP_SOURCE);
	from_to("239.255.255.255", "192.0.2.1", DROP_IP_SOURCE);
	from_to("255.255.255.255", "192.0.2.1", DROP_IP_SOURCE);
	from_to("192.0.2.9", "127.0.0.1", DROP_IP_DEST);
	from_to("192.0.2.9", "0.0.0.0", DROP_IP_DEST);
}

static void from_to_raw6(unsigned at, const char *text, int why)
{
	struct addr a = craft_addr(text);

	craft_ip(&c, V6);
	craft_udp(&c, 1000, 2000, 3);
	if (at)
		c.dst = a;
	else
		c.src = a;
	memcpy(c.b + 14 + (at ? 24 : 8), a.b, 16);
	put_be16(c.b + 18, (uint16_t)(c.len - 54));
	refuse(text, (enum drop_reason)why);
}

TEST(addresses6)
{
	from_to("fe80::1", "ff02::1", -1);
	from_to("fd00::1", "2001:db8::1", -1);
	from_to("ff02::1", "2001:db8::1", DROP_IP_SOURCE);
	from_to("::1", "2001:db8::1", DROP_IP_SOURCE);
	from_to("::", "2001:db8::1", DROP_IP_SOURCE);
	from_to("2001:db8::1", "::1", DROP_IP_DEST);
	from_to("2001:db8::1", "::", DROP_IP_DEST);
	from_to("2001:db8::1", "ff01::1", DROP_IP_DEST);
	from_to("2001:db8::1", "ff10::1", DROP_IP_DEST);
	from_to_raw6(0, "192.0.2.1", DROP_IP_SOURCE);
	from_to_raw6(1, "127.0.0.1", DROP_IP_DEST);
}

TEST(unspecified_source)
{
	static const uint8_t icmp6_ok[] = { 133, 135, 131, 132, 143 };

	craft_ip(&c, "0.0.0.0", "255.255.255.255");
	craft_udp(&c, 68, 67, 240);
	craft_end(&c);
	CHECK(parse_c());
	craft_ip(&c, "0.0.0.0", "255.255.255.255");
	craft_udp(&c, 67, 68, 240);
	craft_end(&c);
	refuse("not DHCP", DROP_IP_SOURCE);
	craft_ip(&c, "0.0.0.0", "255.255.255.255");
	craft_udp(&c, 50000, 67, 240);
	craft_end(&c);
	CHECK(parse_c());
	craft_ip(&c, "0.0.0.0", "192.0.2.1");
	craft_udp(&c, 50000, 67, 240);
	craft_end(&c);
	refuse("to one host, not from a DHCP client", DROP_IP_SOURCE);
	for (unsigned i = 0; i < sizeof(icmp6_ok); i++) {
		craft_ip(&c, "::", "ff02::2");
		craft_icmp(&c, icmp6_ok[i], 16);
		craft_end(&c);
		CHECK(parse_c());
	}
	craft_ip(&c, "::", "ff02::2");
	craft_icmp(&c, 128, 16);
	craft_end(&c);
	refuse("echo", DROP_IP_SOURCE);
	craft_ip(&c, "::", "2001:db8::1");
	craft_udp(&c, 68, 67, 16);
	craft_end(&c);
	refuse("UDP", DROP_IP_SOURCE);
}

static void with_ext(unsigned n, uint8_t kind, const void *h, size_t len)
{
	craft_ip(&c, V6);
	while (n--)
		craft_ext6(&c, kind, h, len);
	craft_udp(&c, 1, 2, 3);
	craft_end(&c);
}

TEST(extension_headers)
{
	with_ext(8, IPPROTO_DSTOPTS, dstopts, 8);
	CHECK(parse_c());
	with_ext(9, IPPROTO_DSTOPTS, dstopts, 8);
	refuse("nine", DROP_EXT_HEADER);
	with_ext(2, IPPROTO_HOPOPTS, hopopts, 8);
	refuse("hop-by-hop not first", DROP_EXT_HEADER);
	with_ext(2, IPPROTO_FRAGMENT, atomic, 8);
	refuse("two fragment headers", DROP_EXT_HEADER);
	with_ext(1, IPPROTO_ROUTING, "\0\0\0\0\0\0\0\0", 8);
	refuse("routing type 0", DROP_EXT_HEADER);
	with_ext(1, IPPROTO_ROUTING, "\0\0\x04\x01\0\0\0\0", 8);
	refuse("segments left", DROP_EXT_HEADER);
	with_ext(1, IPPROTO_DSTOPTS, "\0\0\xc9\x04\0\0\0\0", 8);
	refuse("option to be understood", DROP_EXT_HEADER);
	with_ext(1, IPPROTO_DSTOPTS, "\0\0\x01\x05\0\0\0\0", 8);
	refuse("option too long", DROP_EXT_HEADER);
	with_ext(1, IPPROTO_DSTOPTS, "\0\0\0\0\0\0\0\x01", 8);
	refuse("option without a length", DROP_EXT_HEADER);
	with_ext(1, IPPROTO_DSTOPTS, "\0\x03\x01\x04\0\0\0\0", 8);
	refuse("beyond the packet", DROP_EXT_HEADER);
	with_ext(1, 51, dstopts, 8);
	refuse("AH", DROP_PROTOCOL);
}

/* What does not fit the private copy is refused, not read elsewhere */
TEST(extension_headers_too_long)
{
	uint8_t big[248] = { 0, 30, 1, 244 };

	craft_ip(&c, V6);
	craft_ext6(&c, IPPROTO_DSTOPTS, big, sizeof(big));
	craft_udp(&c, 1, 2, 300);
	craft_end(&c);
	refuse("headers beyond the copy", DROP_EXT_HEADER);
	big[1] = 22;
	big[3] = 180;
	craft_ip(&c, V6);
	craft_ext6(&c, IPPROTO_DSTOPTS, big, 184);
	craft_udp(&c, 1, 2, 300);
	craft_end(&c);
	CHECK(parse_c());
}

TEST(fragments)
{
	static struct craft f;

	craft_ip(&c, V4);
	craft_udp(&c, 1, 2, 100);
	craft_end(&c);
	craft_fragment(&c, &f, 0, 56, 7);
	CHECK(parse(f.b, f.len, false));
	CHECK(p.fragment && p.more && !p.frag_off && p.frag_id == 7);
	CHECK_EQ(p.payload.len, 56);
	CHECK_EQ(p.l4_len, 0);
	craft_fragment(&c, &f, 56, 52, 7);
	CHECK(parse(f.b, f.len, false));
	CHECK(p.fragment && !p.more && p.frag_off == 56);
	craft_ip(&c, V6);
	craft_ext6(&c, IPPROTO_DSTOPTS, dstopts, 8);
	craft_udp(&c, 1, 2, 100);
	craft_end(&c);
	craft_fragment(&c, &f, 56, 52, 0x12345678);
	CHECK(parse(f.b, f.len, false));
	CHECK(p.fragment && !p.more && p.frag_off == 56);
	CHECK_EQ(p.frag_id, 0x12345678);
	CHECK_EQ(p.proto, IPPROTO_UDP);
	CHECK_EQ(p.payload.off, 14 + 40 + 8 + 8);
	f.b[14 + 40 + 8] = IPPROTO_DSTOPTS;
	CHECK(parse(f.b, f.len, false));
	CHECK_EQ(p.proto, IPPROTO_DSTOPTS);
	CHECK_EQ(p.payload.off, 14 + 40 + 8 + 8);
	memset(f.b + 22, 0, 16);
	CHECK(!parse(f.b, f.len, false) && drop_last == DROP_IP_SOURCE);
}

/* What we write is what the slow sums of the test's own say */
TEST(written_headers)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct iovec iov;
		struct slice s = { &iov, 1, 0, 0 };
		struct packet_ends e = { .ttl = 0 };
		uint16_t good;
		size_t at, hlen;

		make_kind(kind);
		CHECK(parse_c());
		at = c.l4 + (p.proto == IPPROTO_TCP ? 16 :
			     p.proto == IPPROTO_UDP ? 6 : 2);
		good = get_be16(c.b + at);
		hlen = p.l4_len;
		iov = (struct iovec){ c.b + c.l4 + hlen, c.len - c.l4 - hlen };
		s.len = iov.iov_len;
		e.src = p.src;
		e.dst = p.dst;
		put_be16(c.b + at, 0x9999);
		packet_put_csum(c.b + c.l4, hlen, s.len ? &s : NULL, &e,
				p.proto);
		CHECK_EQ(get_be16(c.b + at), good);
	}
}

TEST(partial_checksum_completes)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct packet_ends e = { .ttl = 0 };
		uint16_t good, sum;
		size_t at, len;

		make_kind(kind);
		CHECK(parse_c());
		if (p.proto != IPPROTO_TCP && p.proto != IPPROTO_UDP)
			continue;
		at = c.l4 + (p.proto == IPPROTO_TCP ? 16 : 6);
		len = c.len - c.l4;
		good = get_be16(c.b + at);
		e.src = p.src;
		e.dst = p.dst;
		packet_put_partial_csum(c.b + c.l4, len, &e, p.proto);
		sum = csum_fold(csum_add(c.b + c.l4, len, 0));
		memcpy(c.b + at, &sum, sizeof(sum));
		CHECK_EQ(get_be16(c.b + at), good);
	}
}

/* A UDP checksum that comes out 0 is sent as 0xffff */
TEST(udp_checksum_is_never_zero)
{
	uint8_t body[2] = { 0 };
	struct iovec iov = { body, 2 };
	struct slice s = { &iov, 1, 0, 2 };
	struct packet_ends e = { .src = craft_addr("192.0.2.9"),
				 .dst = craft_addr("192.0.2.1") };
	uint8_t h[8] = { 0, 1, 0, 2, 0, 10 };

	packet_put_csum(h, 8, &s, &e, IPPROTO_UDP);
	memcpy(body, h + 6, 2);
	packet_put_csum(h, 8, &s, &e, IPPROTO_UDP);
	CHECK_EQ(get_be16(h + 6), 0xffff);
}

TEST(fragment_fields)
{
	craft_ip(&c, V4);
	packet_put_ip4_frag(c.b + 14, 0x1234, 0, false);
	CHECK_EQ(get_be16(c.b + 18), 0x1234);
	CHECK_EQ(get_be16(c.b + 20), 0x4000);
	packet_put_ip4_frag(c.b + 14, 0x1234, 1480, true);
	CHECK_EQ(get_be16(c.b + 20), 0x2000 + 185);
	packet_put_ip4_frag(c.b + 14, 0x1234, 65528, false);
	CHECK_EQ(get_be16(c.b + 20), 8191);
	CHECK_EQ(csum_fold(csum_add(c.b + 14, 20, 0)), 0);
}

TEST(reassembled)
{
	static struct packet q;
	struct iovec iov = { c.b, 0 };

	make_kind(0);
	CHECK(parse_c());
	q = p;
	memset(q.hdr + q.l4_off, 0xaa, 60);
	q.payload = (struct slice){ &iov, 1, c.l4, c.len - c.l4 };
	iov.iov_len = c.len;
	drops = 0;
	CHECK(packet_parse_l4(&q, false));
	CHECK_EQ(q.dport, 80);
	CHECK_EQ(q.payload.len, 33);
	CHECK_EQ(q.hdr[q.l4_off + 20], 1);
	q.payload = (struct slice){ &iov, 1, c.l4, 19 };
	CHECK(!packet_parse_l4(&q, false) && drops == 1);
}

/* An ICMP error for us that quotes the first bytes of a packet, put together
 * out of two buffers; the quoted packet's protocol and length are in pkt
 */
static bool quote(const struct craft *pkt, size_t len, struct packet_quote *q)
{
	uint8_t *copy = malloc(len + 1);
	struct iovec iov[2] = { { copy, len / 2 },
				{ copy + len / 2, len - len / 2 } };
	struct packet icmp = {
		.src = craft_addr("2001:db8::9"), .dst = pkt->src,
		.ethertype = addr_is_v4(&pkt->src) ? ETH_P_IP : ETH_P_IPV6,
		.proto = addr_is_v4(&pkt->src) ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		.payload = { iov, 2, 0, len },
	};
	bool ok;

	memcpy(copy, pkt->b + 14, len);
	drops = 0;
	ok = packet_parse_quote(&icmp, q);
	CHECK_EQ(drops, ok ? 0 : 1);
	free(copy);
	return ok;
}

/* What it reads, and that it needs the headers and 8 bytes of TCP */
static void quote_whole_and_short(size_t ip)
{
	struct packet_quote q = { 0 };

	for (size_t len = 0; len < ip + 8; len++) {
		CHECK(!quote(&c, len, &q));
		CHECK_EQ(drop_last, DROP_L4_HEADER);
	}
	for (size_t len = ip + 8; len <= c.len - 14; len++) {
		memset(&q, 0, sizeof(q));
		CHECK(quote(&c, len, &q));
		CHECK(addr_equal(&q.src, &c.src));
		CHECK(addr_equal(&q.dst, &c.dst));
		CHECK_EQ(q.sport, 1000);
		CHECK_EQ(q.dport, 80);
		CHECK_EQ(q.seq, 0x01020304);
	}
}

TEST(quoted)
{
	static const uint8_t options[40] = { 1, 1, 1, 1 };

	craft_ip(&c, V4);
	craft_tcp(&c, 1000, 80, 12, 33);
	craft_end(&c);
	quote_whole_and_short(20);
	craft_ip(&c, V6);
	craft_tcp(&c, 1000, 80, 12, 33);
	craft_end(&c);
	quote_whole_and_short(40);
	for (size_t len = 4; len <= 40; len += 4) {
		craft_ip(&c, V4);
		craft_ip4_options(&c, options, len);
		craft_tcp(&c, 1000, 80, 0, 0);
		craft_end(&c);
		quote_whole_and_short(20 + len);
	}
}

/* One byte of the quoted packet is another */
static void quote_broken(size_t at, uint8_t value, enum drop_reason why)
{
	struct packet_quote q;
	uint8_t before = c.b[14 + at];

	c.b[14 + at] = value;
	CHECK(!quote(&c, c.len - 14, &q));
	CHECK_EQ(drop_last, why);
	c.b[14 + at] = before;
	CHECK(quote(&c, c.len - 14, &q));
}

TEST(quoted_of_another_kind)
{
	struct packet_quote q;

	craft_ip(&c, V4);
	craft_tcp(&c, 1000, 80, 0, 0);
	craft_end(&c);
	for (uint8_t hlen = 0; hlen < 5; hlen++)
		quote_broken(0, 0x40 | hlen, DROP_L4_HEADER);
	quote_broken(0, 0x4f, DROP_L4_HEADER);
	quote_broken(0, 0x65, DROP_L4_HEADER);
	quote_broken(6, 0x10, DROP_L4_HEADER);
	quote_broken(7, 0x01, DROP_L4_HEADER);
	quote_broken(9, IPPROTO_UDP, DROP_PROTOCOL);
	/* not from whom the error goes to */
	c.src = craft_addr("192.0.2.10");
	CHECK(!quote(&c, c.len - 14, &q));
	CHECK_EQ(drop_last, DROP_PROTOCOL);
	/* the more-fragments bit is another matter, and so is don't-fragment */
	c.src = craft_addr("192.0.2.9");
	c.b[14 + 6] = 0x20;
	CHECK(quote(&c, c.len - 14, &q));
	craft_ip(&c, V6);
	craft_tcp(&c, 1000, 80, 0, 0);
	craft_end(&c);
	quote_broken(0, 0x45, DROP_L4_HEADER);
	quote_broken(6, IPPROTO_UDP, DROP_PROTOCOL);
	quote_broken(6, IPPROTO_FRAGMENT, DROP_PROTOCOL);
	quote_broken(8, 0x30, DROP_PROTOCOL);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
