// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reassembly: in any order, with overlaps, contradictions, too many, too late
 */
#include "frag.h"

#include <linux/if_ether.h>
#include <stdlib.h>

#include "lib/bytes.h"
#include "lib/stats.h"
#include "test/unit/craft.h"
#include "test/unit/unit.h"

#define SEC USEC_PER_SEC

static unsigned drops[DROP_NUM];
static struct craft whole, piece;
static struct packet result;
static usec_t now = 1000 * SEC;

bool drop(enum drop_reason why)
{
	drops[why]++;
	return false;
}

static void setup(void)
{
	static bool made;

	if (!made)
		CHECK(timer_init(now) >= 0);
	made = true;
	frag_forget();
	frag_init();
	memset(drops, 0, sizeof(drops));
}

static void make(bool v4, size_t len)
{
	craft_ip(&whole, v4 ? "192.0.2.9" : "2001:db8::9",
		 v4 ? "198.51.100.7" : "2001:db8:1::7");
	craft_udp(&whole, 1000, 2000, len - 8);
	craft_end(&whole);
}

/* A frame as it is in piece; whether it completes a datagram */
static bool feed(void)
{
	uint8_t *copy = malloc(piece.len);
	struct iovec iov = { copy, piece.len };
	struct frame f = { .iov = &iov, .cnt = 1, .len = piece.len };
	struct packet p;
	bool ok;

	memcpy(copy, piece.b, piece.len);
	CHECK(packet_parse(&f, &p));
	CHECK(p.fragment);
	memset(&result, 0x5a, sizeof(result));
	ok = frag_input(&p, &result, now);
	free(copy);
	return ok;
}

static bool give(size_t off, size_t len, uint32_t id)
{
	craft_fragment(&whole, &piece, off, len, id);
	return feed();
}

static void check_result(void)
{
	static uint8_t data[65536];
	size_t n = slice_copy(&result.payload, 0, data, sizeof(data));

	CHECK_EQ(n, whole.len - whole.l4 - 8);
	CHECK(!memcmp(data, whole.b + whole.l4 + 8, n));
	CHECK(addr_equal(&result.src, &whole.src));
	CHECK(addr_equal(&result.dst, &whole.dst));
	CHECK_EQ(result.sport, 1000);
	CHECK_EQ(result.dport, 2000);
	CHECK_EQ(result.proto, IPPROTO_UDP);
	CHECK_EQ(result.ttl, 64);
	CHECK_EQ(result.tos, 0x1c);
	CHECK(!result.fragment && !result.df);
	CHECK(!memcmp(result.hdr, whole.b, 14 + 2));
	CHECK(!memcmp(result.hdr + result.l4_off, whole.b + whole.l4, 8));
	CHECK(!memcmp(result.smac, craft_guest_mac, 6));
	frag_release(&result);
}

static unsigned dropped(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < DROP_NUM; i++)
		n += drops[i];
	return n;
}

TEST(in_order_and_reversed)
{
	for (unsigned v4 = 0; v4 < 2; v4++) {
		setup();
		make(v4, 3001);
		CHECK(!give(0, 1400, 1));
		CHECK(!give(1400, 1400, 1));
		CHECK(give(2800, 201, 1));
		check_result();
		CHECK(!give(2800, 201, 2));
		CHECK(!give(1400, 1400, 2));
		CHECK(give(0, 1400, 2));
		check_result();
		CHECK_EQ(dropped(), 0);
	}
}

TEST(random_order_and_sizes)
{
	srandom(5);
	for (unsigned round = 0; round < 300; round++) {
		size_t offs[300], lens[300], n = 0, at = 0, total;
		bool v4 = random() & 1, done = false;

		setup();
		total = 9 + (size_t)random() % (round % 10 ? 4000 : 65000);
		make(v4, total);
		while (at < total) {
			size_t len = 8 * (1 + (size_t)random() %
					  (total / 300 + 20));

			if (!n && len < 8)
				len = 8;
			offs[n] = at;
			lens[n] = total - at < len ? total - at : len;
			at += lens[n++];
		}
		if (n < 2)
			continue;
		for (size_t i = n; i--;) {
			size_t j = (size_t)random() % (i + 1), o = offs[j],
			       l = lens[j];

			CHECK(!done);
			done = give(o, l, round);
			offs[j] = offs[i];
			lens[j] = lens[i];
		}
		CHECK(done);
		if (done)
			check_result();
		CHECK_EQ(dropped(), 0);
	}
}

TEST(largest)
{
	for (unsigned v4 = 0; v4 < 2; v4++) {
		setup();
		make(v4, v4 ? 65515 : 65535);
		CHECK(!give(0, 32768, 1));
		CHECK(give(32768, whole.len - whole.l4 - 32768, 1));
		check_result();
	}
}

/* Tiny last fragments whose offset leads beyond 65535 */
TEST(oversized)
{
	setup();
	for (size_t last = 3; last <= 4; last++) {
		make(true, 96 + last);
		craft_fragment(&whole, &piece, 96, last, (uint32_t)last);
		put_be16(piece.b + 20, 8189);
		craft_sum4(&piece);
		CHECK(!feed());
		CHECK_EQ(drops[DROP_FRAGMENT], last - 3);
	}
	make(false, 104);
	for (size_t last = 7; last <= 8; last++) {
		craft_fragment(&whole, &piece, 96, last, (uint32_t)last);
		put_be16(piece.b + 56, 65528);
		CHECK(!feed());
		CHECK_EQ(drops[DROP_FRAGMENT], last - 6);
	}
}

TEST(two_at_a_time)
{
	static struct craft other;

	setup();
	make(true, 200);
	other = whole;
	CHECK(!give(0, 104, 7));
	CHECK(!give(0, 104, 8));
	CHECK(give(104, 96, 8));
	check_result();
	craft_ip(&whole, "192.0.2.10", "198.51.100.7");
	craft_udp(&whole, 1000, 2000, 192);
	craft_end(&whole);
	CHECK(!give(104, 96, 7));
	whole = other;
	CHECK(give(104, 96, 7));
	check_result();
}

/* RFC 791: the protocol tells datagrams of one identification apart */
TEST(protocols_apart)
{
	static struct craft udp;

	setup();
	make(true, 200);
	udp = whole;
	CHECK(!give(0, 104, 7));
	craft_ip(&whole, "192.0.2.9", "198.51.100.7");
	craft_icmp(&whole, 8, 192);
	craft_end(&whole);
	CHECK(!give(104, 96, 7));
	CHECK(give(0, 104, 7));
	CHECK_EQ(result.proto, IPPROTO_ICMP);
	frag_release(&result);
	whole = udp;
	CHECK(give(104, 96, 7));
	check_result();
}

/* RFC 5722: what overlaps is gone, with what is still to come of it */
TEST(overlap)
{
	static const struct { size_t off, len; } bad[] = {
		{ 0, 16 }, { 8, 8 }, { 1392, 16 }, { 1400, 8 }, { 1200, 800 },
		{ 8, 2992 } };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		setup();
		make(i & 1, 3000);
		CHECK(!give(0, 1400, 1));
		CHECK(!give(1408, 1400, 1));
		whole.b[whole.l4 + 8]++;
		whole.b[whole.l4 + 1404]++;
		CHECK(!give(bad[i].off, bad[i].len, 1));
		if (bad[i].off == 1400) {
			CHECK_EQ(dropped(), 0);
			continue;
		}
		CHECK_EQ(drops[DROP_FRAGMENT], 1);
		CHECK(!give(1400, 8, 1));
		CHECK(!give(2808, 192, 1));
		CHECK(!give(0, 1400, 1));
		CHECK_EQ(drops[DROP_FRAGMENT], 4);
	}
}

TEST(exact_copy_is_passed_over)
{
	setup();
	make(true, 3000);
	CHECK(!give(0, 1400, 1));
	CHECK(!give(0, 1400, 1));
	CHECK(!give(8, 80, 1));
	CHECK_EQ(drops[DROP_FRAGMENT], 2);
	CHECK(give(1400, 1600, 1));
	check_result();
}

TEST(contradicting_ends)
{
	static struct craft shorter;

	for (unsigned i = 0; i < 3; i++) {
		setup();
		make(false, 3000);
		shorter = whole;
		shorter.len = shorter.l4 + 2000;
		if (i == 0)
			CHECK(!give(2400, 600, 1));
		else if (i == 1)
			CHECK(!give(2400, 400, 1));
		craft_fragment(&shorter, &piece, 800, 1200, 1);
		CHECK(!feed());
		if (i == 2) {
			CHECK_EQ(dropped(), 0);
			CHECK(!give(2000, 800, 1));
		}
		CHECK_EQ(drops[DROP_FRAGMENT], 1);
		CHECK(!give(0, 800, 1));
		CHECK_EQ(drops[DROP_FRAGMENT], 2);
	}
}

TEST(first_without_the_transport_header)
{
	setup();
	make(true, 100);
	craft_ip(&whole, "192.0.2.9", "198.51.100.7");
	craft_tcp(&whole, 1000, 2000, 20, 100);
	craft_end(&whole);
	CHECK(!give(0, 16, 1));
	CHECK(!give(0, 32, 1));
	CHECK_EQ(drops[DROP_FRAGMENT], 2);
	CHECK(!give(0, 40, 1));
	CHECK_EQ(drops[DROP_FRAGMENT], 2);
	CHECK(give(40, 100, 1));
	CHECK_EQ(result.tcp.seq, 0x01020304);
	CHECK_EQ(result.l4_len, 40);
	frag_release(&result);
}

TEST(odd_and_empty_fragments)
{
	setup();
	make(true, 3000);
	craft_fragment(&whole, &piece, 0, 1400, 1);
	piece.len--;
	put_be16(piece.b + 16, (uint16_t)(piece.len - 14));
	craft_sum4(&piece);
	CHECK(!feed());
	craft_fragment(&whole, &piece, 1400, 8, 1);
	piece.len -= 8;
	put_be16(piece.b + 16, (uint16_t)(piece.len - 14));
	craft_sum4(&piece);
	CHECK(!feed());
	CHECK_EQ(drops[DROP_FRAGMENT], 2);
}

TEST(bad_checksum_of_the_whole)
{
	setup();
	make(true, 3000);
	whole.b[whole.len - 1] ^= 1;
	CHECK(!give(0, 1400, 1));
	CHECK(!give(1400, 1600, 1));
	CHECK_EQ(drops[DROP_L4_CSUM], 1);
	/* its slot is free again */
	for (unsigned i = 0; i < 200; i++) {
		CHECK(!give(0, 1400, i));
		CHECK(!give(1400, 1600, i));
	}
	CHECK_EQ(drops[DROP_L4_CSUM], 201);
	CHECK_EQ(dropped(), 201);
}

TEST(oldest_makes_room)
{
	setup();
	make(true, 3000);
	for (unsigned i = 0; i < 64; i++)
		CHECK(!give(0, 1400, i));
	CHECK_EQ(dropped(), 0);
	CHECK(!give(0, 1400, 64));
	CHECK_EQ(drops[DROP_FRAGMENT_FULL], 1);
	CHECK(give(1400, 1600, 1));
	check_result();
	CHECK(!give(1400, 1600, 0));
	CHECK_EQ(dropped(), 1);
}

/* What was lent is not taken away */
TEST(all_lent)
{
	static struct packet held[64];

	setup();
	make(true, 3000);
	for (unsigned i = 0; i < 64; i++) {
		CHECK(!give(0, 1400, i));
		CHECK(give(1400, 1600, i));
		held[i] = result;
	}
	CHECK(!give(0, 1400, 99));
	CHECK(!give(1400, 1600, 99));
	CHECK_EQ(drops[DROP_FRAGMENT_FULL], 2);
	for (unsigned i = 0; i < 64; i++) {
		result = held[i];
		check_result();
	}
	CHECK(!give(0, 1400, 99));
	CHECK(give(1400, 1600, 99));
	check_result();
}

TEST(too_late)
{
	setup();
	make(true, 3000);
	CHECK(!give(0, 1400, 1));
	now += 59 * SEC;
	CHECK(!give(0, 1400, 2));
	now += 1 * SEC;
	CHECK(!give(1400, 1600, 1));
	CHECK_EQ(drops[DROP_FRAGMENT], 1);
	CHECK(give(1400, 1600, 2));
	check_result();
}

/* By the wheel, with no other fragment to come */
TEST(timer_ends_them)
{
	setup();
	timer_run(now);
	make(true, 3000);
	CHECK(!give(0, 1400, 1));
	now += 30 * SEC;
	timer_run(now);
	CHECK(!give(0, 1400, 2));
	CHECK_EQ(dropped(), 0);
	now += 31 * SEC;
	timer_run(now);
	CHECK_EQ(drops[DROP_FRAGMENT], 1);
	now += 31 * SEC;
	timer_run(now);
	CHECK_EQ(drops[DROP_FRAGMENT], 2);
}

TEST(forgotten_with_the_guest)
{
	setup();
	make(true, 3000);
	CHECK(!give(0, 1400, 1));
	frag_forget();
	CHECK(!give(1400, 1600, 1));
	CHECK_EQ(dropped(), 0);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
