// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frames to the guest: read back by packet_parse(), put together by frag.c
 */
#include "frame_out.h"

#include "frag.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/checksum.h"
#include "lib/stats.h"
#include "test/unit/craft.h"
#include "test/unit/memlink.h"
#include "test/unit/unit.h"

static unsigned drops;
static enum drop_reason drop_last;
static uint64_t stats[STAT_NUM];
static uint8_t data[66000], back[66000];
static struct packet p;

bool drop(enum drop_reason why)
{
	drops++;
	drop_last = why;
	return false;
}

void stat_add(enum stat_counter what, uint64_t n)
{
	stats[what] += n;
}

static void setup(unsigned mtu)
{
	static const struct link_events none;

	memlink_init(&none);
	frame_out_init(mtu);
	frag_init();
	drops = 0;
	memset(stats, 0, sizeof(stats));
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 11 + i / 256);
}

static struct packet_ends ends(bool v4)
{
	struct addr src = craft_addr(v4 ? "198.51.100.7" : "2001:db8:1::7");
	struct addr dst = craft_addr(v4 ? "192.0.2.9" : "2001:db8::9");

	return (struct packet_ends){ craft_our_mac, craft_guest_mac, src, dst,
				     64, 0x1c, true };
}

static bool parse(unsigned i)
{
	static struct iovec iov;
	struct frame f = { .iov = &iov, .cnt = 1 };

	iov.iov_base = (void *)(uintptr_t)memlink_frame(i, &f.len, NULL);
	iov.iov_len = f.len;
	return packet_parse(&f, &p);
}

static bool send_udp(bool v4, size_t len)
{
	struct packet_ends e = ends(v4);
	struct iovec iov = { data, len };
	struct slice s = { &iov, 1, 0, len };
	uint8_t h[8] = { 1, 2, 3, 4 };

	put_be16(h + 4, (uint16_t)(8 + len));
	return frame_send(&e, IPPROTO_UDP, h, 8, &s);
}

static void check_payload(size_t len)
{
	CHECK_EQ(p.payload.len, len);
	CHECK_EQ(slice_copy(&p.payload, 0, back, sizeof(back)), len);
	CHECK(!memcmp(back, data, len));
	CHECK_EQ(p.sport, 0x0102);
	CHECK_EQ(p.dport, 0x0304);
	CHECK_EQ(p.ttl, 64);
	CHECK_EQ(p.tos, 0x1c);
	CHECK(!memcmp(p.smac, craft_our_mac, 6));
	CHECK(!memcmp(p.dmac, craft_guest_mac, 6));
}

TEST(fits)
{
	for (unsigned v4 = 0; v4 < 2; v4++) {
		size_t most = v4 ? 1472 : 1452;

		setup(1500);
		CHECK(send_udp(v4, 0));
		CHECK(send_udp(v4, 33));
		CHECK(send_udp(v4, most));
		CHECK_EQ(memlink_sent(), 3);
		CHECK(parse(0));
		check_payload(0);
		CHECK(parse(1));
		check_payload(33);
		CHECK(parse(2));
		check_payload(most);
		CHECK(p.df && (!v4 || !p.frag_id));
		CHECK_EQ(stats[STAT_FRAMES_OUT], 3);
		CHECK_EQ(stats[STAT_BYTES_OUT],
			 33 + most + 3 * (v4 ? 42 : 62));
	}
}

/* Put together again, at every MTU, in buffers of any size */
static void round_trip(bool v4, unsigned mtu, size_t len, size_t buffer)
{
	bool whole = false;

	setup(mtu);
	memlink_set_buffer(buffer);
	CHECK(send_udp(v4, len));
	for (unsigned i = 0; i < memlink_sent(); i++) {
		size_t size;

		memlink_frame(i, &size, NULL);
		CHECK(size <= 14 + mtu);
		CHECK(parse(i));
		CHECK(p.fragment || memlink_sent() == 1);
		CHECK(!v4 || memlink_sent() == 1 || !p.df);
		if (!p.fragment)
			continue;
		CHECK(!whole);
		whole = frag_input(&p, &p, 1);
	}
	CHECK(whole || memlink_sent() == 1);
	check_payload(len);
	if (whole)
		frag_release(&p);
	CHECK_EQ(drops, 0);
}

TEST(fragments)
{
	static const size_t lens[] = { 1453, 1473, 1480, 2952, 3000, 9000,
				       65487, 65507 };
	static const unsigned mtus[] = { 1280, 1500, 1501, 4000, 65520 };

	CHECK(timer_init(1) >= 0);
	for (unsigned i = 0; i < 8; i++) {
		for (unsigned j = 0; j < 5; j++) {
			round_trip(true, mtus[j], lens[i], 70000);
			round_trip(false, mtus[j], lens[i], 70000);
			round_trip(i & 1, mtus[j], lens[i], 3700);
		}
	}
	round_trip(true, 576, 65507, 70000);
	round_trip(true, 1500, 3000, 3);
}

TEST(fragments_have_identifications_of_their_own)
{
	uint32_t id;

	for (unsigned v4 = 0; v4 < 2; v4++) {
		setup(1500);
		CHECK(send_udp(v4, 2000));
		CHECK(send_udp(v4, 2000));
		CHECK_EQ(memlink_sent(), 4);
		CHECK(parse(0));
		id = p.frag_id;
		CHECK(parse(1));
		CHECK_EQ(p.frag_id, id);
		CHECK(parse(2));
		CHECK(p.frag_id != id);
	}
}

/* Not half a datagram, whatever room there is */
TEST(all_or_nothing)
{
	setup(1500);
	for (unsigned room = 0; room < 3; room++) {
		memlink_set_room(room);
		CHECK(!send_udp(true, 3000));
		CHECK_EQ(drop_last, DROP_NO_ROOM);
		CHECK_EQ(drops, room + 1);
		CHECK_EQ(memlink_sent(), 0);
	}
	memlink_set_room(3);
	CHECK(send_udp(true, 3000));
	CHECK_EQ(memlink_sent(), 3);
	CHECK(!send_udp(true, 10));
	CHECK(!frame_send_raw(data, 42));
	CHECK_EQ(drops, 5);
	CHECK_EQ(stats[STAT_FRAMES_OUT], 3);
}

TEST(too_long_for_ip)
{
	setup(1500);
	CHECK(!send_udp(true, 65508));
	CHECK(!send_udp(false, 65528));
	CHECK_EQ(drops, 2);
	CHECK(send_udp(true, 65507));
	CHECK(send_udp(false, 65527));
	setup(68);
	CHECK(!send_udp(true, 65507));
	CHECK_EQ(drop_last, DROP_NO_ROOM);
}

TEST(without_payload)
{
	struct packet_ends e = ends(false);
	uint8_t h[16] = { 134, 0, 0, 0, 64 };

	setup(1500);
	e.ttl = 0;
	CHECK(frame_send(&e, IPPROTO_ICMPV6, h, sizeof(h), NULL));
	CHECK(parse(0));
	CHECK_EQ(p.ttl, 255);
	CHECK_EQ(p.icmp.type, 134);
	CHECK_EQ(p.payload.len, 8);
}

TEST(raw)
{
	size_t len;

	setup(1500);
	CHECK(frame_send_raw(data, 42));
	CHECK(!memcmp(memlink_frame(0, &len, NULL), data, 42));
	CHECK_EQ(len, 42);
}

/* The fast path, as tcp_out.c and udp_out.c use it */
static void finish(bool v4, bool df, size_t len)
{
	struct packet_ends e = ends(v4);
	struct loan l;
	uint8_t *h;

	e.df = df;
	CHECK(link_reserve(&l, 1, packet_l2l3_len(&e.dst) + 24, 2000) == 1);
	memcpy(l.iov[0].iov_base, data, len);
	l.len = len;
	h = frame_l4(&l, &e.dst);
	CHECK_EQ(h - l.hdr, v4 ? 34 : 54);
	packet_put_tcp(h, 0x0102, 0x0304,
		       &(struct tcp_fields){ .seq = 9, .flags = TCP_FLAG_ACK },
		       24);
	memcpy(h + 20, "\x02\x04\x05\xb4", 4);
	frame_finish(&l, &e, IPPROTO_TCP, 24);
	link_commit(&l, 1);
}

TEST(fast_path)
{
	for (unsigned v4 = 0; v4 < 2; v4++) {
		setup(1500);
		finish(v4, true, 1001);
		finish(v4, false, 0);
		finish(v4, false, 1);
		CHECK(parse(0));
		check_payload(1001);
		CHECK_EQ(p.l4_len, 24);
		CHECK_EQ(p.tcp.seq, 9);
		CHECK(p.df);
		CHECK_EQ(p.frag_id, 0);
		CHECK(parse(1));
		check_payload(0);
		CHECK_EQ(p.df, !v4);
		if (v4) {
			uint32_t id = p.frag_id;

			CHECK(parse(2));
			CHECK_EQ(p.frag_id, (id + 1) & 0xffff);
		}
	}
}

/* What the other side adds to the partial sum makes it right */
TEST(partial_checksum)
{
	setup(1500);
	memlink_caps()->csum = true;
	for (unsigned v4 = 0; v4 < 2; v4++) {
		/* what a DHCP client would see in a raw socket is whole */
		CHECK(send_udp(v4, 100));
		CHECK(!memlink_was_partial(0));
		CHECK(parse(0));
		memlink_clear();
		finish(v4, true, 1001);
		CHECK(memlink_was_partial(0));
		CHECK(parse(0));
		memlink_clear();
	}
	/* fragments are whole: nobody could complete them */
	CHECK(send_udp(false, 3000));
	drops = 0;
	for (unsigned i = 0; i < memlink_sent(); i++) {
		CHECK(!memlink_was_partial(i));
		CHECK(parse(i));
		CHECK_EQ(frag_input(&p, &p, 1), i + 1 == memlink_sent());
	}
	CHECK_EQ(drops, 0);
	frag_release(&p);
}

TEST(mtu)
{
	setup(0);
	CHECK_EQ(frame_mtu(), 1500);
	setup(65520);
	CHECK_EQ(frame_mtu(), 65520);
	memlink_caps()->max_frame = 9014;
	CHECK_EQ(frame_mtu(), 9000);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
