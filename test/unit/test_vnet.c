// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The virtio_net header: what a guest may say of a frame, and what it may not
 */
#include "link/vnet.h"

#include <linux/virtio_net.h>
#include <netinet/in.h>

#include "lib/bytes.h"
#include "lib/checksum.h"
#include "lib/stats.h"
#include "test/unit/unit.h"

#define GSO_UDP_L4	5

static unsigned drops;
static uint8_t data[2000];
static struct iovec iov[2];

bool drop(enum drop_reason why)
{
	CHECK_EQ(why, DROP_VNET);
	drops++;
	return false;
}

/* A frame of @len bytes whose headers are Ethernet, IP and @proto's */
static struct frame frame_of(bool v4, uint8_t proto, size_t len)
{
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	put_be16(data + 12, v4 ? 0x0800 : 0x86dd);
	data[14] = v4 ? 0x45 : 0x60;
	data[v4 ? 23 : 20] = proto;
	iov[0] = (struct iovec){ data, len };
	drops = 0;
	return (struct frame){ .iov = iov, .cnt = 1, .len = len };
}

static bool read_hdr(const struct virtio_net_hdr *v, struct frame *f)
{
	uint8_t h[VNET_HLEN];

	_Static_assert(sizeof(*v) == VNET_HLEN, "the same header");
	memcpy(h, v, sizeof(h));
	return vnet_read(h, f);
}

TEST(read_plain)
{
	struct virtio_net_hdr v = { 0 };
	struct frame f = frame_of(true, IPPROTO_TCP, 60);

	CHECK(read_hdr(&v, &f));
	CHECK(!f.csum_ok && !f.gso_size && !f.csum_start);
	v.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	/* means nothing without a type */
	v.gso_size = 1448;
	v.hdr_len = 0xffff;
	CHECK(read_hdr(&v, &f));
	CHECK(f.csum_ok && !f.gso_size);
	CHECK_EQ(drops, 0);
}

TEST(read_partial)
{
	struct virtio_net_hdr v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };
	struct frame f = frame_of(true, IPPROTO_TCP, 100);

	v.csum_start = 34;
	v.csum_offset = 16;
	CHECK(read_hdr(&v, &f));
	CHECK(f.csum_ok);
	CHECK_EQ(f.csum_start, 34);
	CHECK_EQ(f.csum_off, 16);
	f = frame_of(true, IPPROTO_UDP, 100);
	v.csum_offset = 6;
	CHECK(read_hdr(&v, &f));
	CHECK(f.csum_ok);
	f = frame_of(false, IPPROTO_UDP, 100);
	v.csum_start = 54;
	CHECK(read_hdr(&v, &f));
	CHECK(f.csum_ok);
	/* IPv4 options */
	f = frame_of(true, IPPROTO_TCP, 100);
	data[14] = 0x46;
	v.csum_start = 38;
	v.csum_offset = 16;
	CHECK(read_hdr(&v, &f));
	CHECK(f.csum_ok);
	CHECK_EQ(drops, 0);
}

TEST(read_partial_beyond)
{
	struct virtio_net_hdr v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };
	static const uint16_t bad[][2] = {
		{ 83, 16 }, { 99, 0 }, { 100, 0 }, { 0, 99 }, { 0xffff, 0 },
		{ 0xffff, 0xffff }, { 34, 0xffff }, { 34, 65 },
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct frame f = frame_of(true, IPPROTO_TCP, 100);

		v.csum_start = bad[i][0];
		v.csum_offset = bad[i][1];
		CHECK(!read_hdr(&v, &f));
		CHECK_EQ(drops, 1);
	}
}

/* Of a header further inside: completed, and ours is to be checked */
TEST(read_partial_inside)
{
	struct virtio_net_hdr v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				    .csum_start = 50, .csum_offset = 7 };
	struct frame f = frame_of(true, IPPROTO_UDP, 101);

	CHECK(read_hdr(&v, &f));
	CHECK(!f.csum_ok);
	CHECK_EQ(drops, 0);
	/* UDP's offset in a TCP header, and the other way round */
	f = frame_of(true, IPPROTO_TCP, 100);
	v.csum_start = 34;
	v.csum_offset = 6;
	CHECK(read_hdr(&v, &f));
	CHECK(!f.csum_ok);
	/* the sum over the region is now a right one */
	f = frame_of(true, IPPROTO_UDP, 100);
	v.csum_start = 60;
	v.csum_offset = 6;
	put_be16(data + 66, 0);
	CHECK(read_hdr(&v, &f));
	CHECK_EQ(csum_fold(csum_add(data + 60, 40, 0)), 0);
	/* in pieces, or with segments: nobody needs that */
	iov[0].iov_len = 40;
	iov[1] = (struct iovec){ data + 40, 60 };
	f.cnt = 2;
	CHECK(!read_hdr(&v, &f));
	CHECK_EQ(drops, 1);
	f = frame_of(true, IPPROTO_UDP, 100);
	v.gso_type = GSO_UDP_L4;
	v.gso_size = 10;
	CHECK(!read_hdr(&v, &f));
	CHECK_EQ(drops, 1);
}

/* Behind IPv6 extension headers, as Linux sends what has some, in segments too */
TEST(read_partial_behind_extensions)
{
	struct virtio_net_hdr v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				    .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
				    .gso_size = 1432, .csum_offset = 16 };
	struct frame f = frame_of(false, IPPROTO_HOPOPTS, 2000);

	memcpy(data + 54, (uint8_t[]){ IPPROTO_DSTOPTS, 0 }, 2);
	memcpy(data + 62, (uint8_t[]){ IPPROTO_ROUTING, 1 }, 2);
	memcpy(data + 78, (uint8_t[]){ IPPROTO_TCP, 0 }, 2);
	v.csum_start = 86;
	CHECK(read_hdr(&v, &f));
	CHECK(f.csum_ok);
	CHECK_EQ(f.csum_start, 86);
	CHECK_EQ(f.gso_size, 1432);
	/* in any pieces */
	iov[0].iov_len = 57;
	iov[1] = (struct iovec){ data + 57, 2000 - 57 };
	f.cnt = 2;
	CHECK(read_hdr(&v, &f));
	CHECK(f.csum_ok);
	/* that of one of them, or of the options' own */
	for (v.csum_start = 54; v.csum_start < 300; v.csum_start++) {
		drops = 0;
		CHECK_EQ(read_hdr(&v, &f), v.csum_start == 86);
		CHECK_EQ(drops, v.csum_start != 86);
	}
	/* so many are not looked at, nor is a fragment's */
	data[55] = 255;
	v.csum_start = 54 + 2048;
	CHECK(!read_hdr(&v, &f));
	data[55] = 0;
	data[78] = IPPROTO_UDP;
	v.csum_start = 86;
	CHECK(!read_hdr(&v, &f));
	data[78] = IPPROTO_TCP;
	data[20] = IPPROTO_FRAGMENT;
	CHECK(!read_hdr(&v, &f));
}

TEST(read_partial_short_frame)
{
	struct virtio_net_hdr v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };

	for (size_t len = 14; len < 60; len++) {
		struct frame f = frame_of(len & 1, IPPROTO_TCP, len);

		v.csum_start = 12;
		CHECK(read_hdr(&v, &f));
		CHECK(!f.csum_ok);
	}
}

TEST(read_gso)
{
	static const uint8_t good[] = { 1, 4, 5, 0x81, 0x84 };
	static const uint8_t bad[] = { 2, 3, 6, 7, 0x40, 0x7f, 0xff, 0x83 };
	struct virtio_net_hdr v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				    .csum_start = 34, .csum_offset = 16,
				    .gso_size = 1448 };
	struct frame f = frame_of(true, IPPROTO_TCP, 2000);

	for (unsigned i = 0; i < sizeof(good); i++) {
		v.gso_type = good[i];
		CHECK(read_hdr(&v, &f));
		CHECK(f.csum_ok);
		CHECK_EQ(f.gso_size, 1448);
	}
	for (unsigned i = 0; i < sizeof(bad); i++) {
		v.gso_type = bad[i];
		CHECK(!read_hdr(&v, &f));
		CHECK_EQ(drops, i + 1);
	}
	v.gso_type = 1;
	v.gso_size = 0;
	CHECK(!read_hdr(&v, &f));
	/* no checksum left to us: it is checked as any other */
	v.gso_size = 1;
	v.flags = 0;
	CHECK(read_hdr(&v, &f));
	CHECK(!f.csum_ok);
}

static struct virtio_net_hdr put(uint8_t *hdr, const struct loan *l)
{
	struct loan with = *l;
	struct virtio_net_hdr v;
	uint8_t h[VNET_HLEN];

	memset(h, 0xff, sizeof(h));
	with.hdr = hdr;
	vnet_put(h, &with, 54);
	memcpy(&v, h, sizeof(h));
	CHECK_EQ(v.hdr_len, 54);
	return v;
}

TEST(put_plain_and_partial)
{
	struct virtio_net_hdr v;

	frame_of(true, IPPROTO_TCP, 60);
	v = put(data, &(struct loan){ .len = 9 });
	CHECK(!v.flags && !v.gso_type && !v.gso_size && !v.csum_start);
	v = put(data, &(struct loan){ .csum_start = 34, .csum_off = 16 });
	CHECK_EQ(v.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	CHECK_EQ(v.csum_start, 34);
	CHECK_EQ(v.csum_offset, 16);
	CHECK(!v.gso_type && !v.gso_size);
}

TEST(put_gso)
{
	struct loan l = { .csum_start = 34, .csum_off = 16, .gso_size = 1448 };
	struct virtio_net_hdr v;

	frame_of(true, IPPROTO_TCP, 60);
	v = put(data, &l);
	CHECK_EQ(v.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	CHECK_EQ(v.gso_size, 1448);
	l.csum_off = 6;
	CHECK_EQ(put(data, &l).gso_type, GSO_UDP_L4);
	frame_of(false, IPPROTO_TCP, 60);
	CHECK_EQ(put(data, &l).gso_type, GSO_UDP_L4);
	l.csum_off = 16;
	CHECK_EQ(put(data, &l).gso_type, VIRTIO_NET_HDR_GSO_TCPV6);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
