// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frames from the guest's transmit queue: any layout, what is dropped, batches
 */
#include "link/vhost_in.h"

#include <string.h>

#include "lib/log.h"
#include "lib/stats.h"
#include "link/link.h"
#include "test/unit/unit.h"
#include "test/unit/vdriver.h"

#define NUM	256u
#define A	VDRIVER_BUFFERS
#define HLEN	12u

static struct vdriver d;
static struct virtq q;
static struct frame frames[LINK_BATCH];
static unsigned drops;

bool drop(enum drop_reason why)
{
	CHECK(why == DROP_LENGTH || why == DROP_VNET);
	drops++;
	return false;
}

static void setup(unsigned num)
{
	vdriver_open(&d);
	vdriver_map(&d);
	vdriver_queue(&d, 1, num);
	q = (struct virtq){ .num = num, .call_fd = -1, .indirect = true };
	q.addr = vdriver_addr(&d, 1);
	CHECK(virtq_map(&q));
	virtq_begin(&q);
	vhost_in_set(HLEN);
	drops = 0;
}

static unsigned used(void)
{
	struct vring_used_elem e;
	unsigned n = 0;

	while (vdriver_used(&d, 1, &e)) {
		CHECK_EQ(e.len, 0);
		n++;
	}
	return n;
}

/* Byte @i of the frame numbered @n */
static uint8_t byte(unsigned n, unsigned i)
{
	return (uint8_t)(n * 31 + i * 7 + 1);
}

static void fill(uint32_t off, unsigned n, unsigned len)
{
	memset(d.mem + off, 0, HLEN);
	for (unsigned i = 0; i < len; i++)
		d.mem[off + HLEN + i] = byte(n, i);
}

static bool is_frame(const struct frame *f, unsigned n, unsigned len)
{
	struct slice s = { f->iov, f->cnt, 0, f->len };
	uint8_t copy[65536 + 64];

	if (f->len != len || slice_copy(&s, 0, copy, len) != len)
		return false;
	for (unsigned i = 0; i < len; i++) {
		if (copy[i] != byte(n, i))
			return false;
	}
	return true;
}

TEST(any_layout)
{
	/* header and frame, 12 + 100 bytes, in pieces of these sizes */
	static const unsigned cuts[][4] = {
		{ 112 }, { 12, 100 }, { 1, 111 }, { 11, 1, 100 },
		{ 13, 99 }, { 50, 62 }, { 4, 4, 4, 100 }, { 12, 14, 86 },
		{ 111, 1 },
	};
	unsigned n = sizeof(cuts) / sizeof(cuts[0]), desc = 0;

	setup(NUM);
	for (unsigned i = 0; i < n; i++) {
		struct vdriver_buf bufs[4];
		unsigned k = 0, off = A + i * 4096;

		fill(off, i, 100);
		for (; k < 4 && cuts[i][k]; k++) {
			bufs[k] = (struct vdriver_buf){ off, cuts[i][k] };
			off += cuts[i][k];
		}
		vdriver_chain(&d, 1, desc, bufs, k);
		desc += k;
	}
	CHECK_EQ(vhost_in_receive(&q, frames, LINK_BATCH), n);
	for (unsigned i = 0; i < n; i++)
		CHECK(is_frame(&frames[i], i, 100));
	CHECK_EQ(used(), 0);
	vhost_in_release(&q);
	CHECK_EQ(used(), n);
	CHECK_EQ(vhost_in_receive(&q, frames, LINK_BATCH), 0);
	CHECK(vhost_in_is_idle());
	vdriver_close(&d);
}

TEST(lengths_no_frame_has)
{
	static const unsigned lens[] = { 1, 11, 12, 12 + 13, 12 + 65535 + 15 };

	setup(NUM);
	for (unsigned i = 0; i < 5; i++)
		vdriver_chain(&d, 1, i, &(struct vdriver_buf){ A, lens[i] }, 1);
	vdriver_chain(&d, 1, 5, &(struct vdriver_buf){ A, 12 + 14 }, 1);
	vdriver_chain(&d, 1, 6, &(struct vdriver_buf){ A, 12 + 65549 }, 1);
	CHECK_EQ(vhost_in_receive(&q, frames, LINK_BATCH), 2);
	CHECK_EQ(frames[0].len, 14);
	CHECK_EQ(frames[1].len, 65549);
	CHECK_EQ(drops, 5);
	vhost_in_release(&q);
	CHECK_EQ(used(), 7);
	vdriver_close(&d);
}

TEST(legacy_header)
{
	setup(NUM);
	vhost_in_set(10);
	fill(A - 2, 3, 60);
	memset(d.mem + A - 2, 0, 12);
	vdriver_chain(&d, 1, 0, &(struct vdriver_buf){ A, 70 }, 1);
	CHECK_EQ(vhost_in_receive(&q, frames, 1), 1);
	CHECK(is_frame(&frames[0], 3, 60));
	vhost_in_release(&q);
	vdriver_close(&d);
}

TEST(offloads)
{
	static const uint8_t junk[HLEN] = { 0, 77 };
	static const uint8_t tso[HLEN] = { 2, 1, 0, 0, 0xa8, 5 };

	setup(NUM);
	fill(A, 0, 100);
	fill(A + 4096, 1, 100);
	memcpy(d.mem + A, junk, HLEN);
	memcpy(d.mem + A + 4096, tso, HLEN);
	vdriver_chain(&d, 1, 0, &(struct vdriver_buf){ A, 112 }, 1);
	vdriver_chain(&d, 1, 1, &(struct vdriver_buf){ A + 4096, 112 }, 1);
	CHECK_EQ(vhost_in_receive(&q, frames, LINK_BATCH), 1);
	CHECK_EQ(drops, 1);
	CHECK_EQ(frames[0].gso_size, 1448);
	CHECK(frames[0].csum_ok);
	vhost_in_release(&q);
	CHECK_EQ(used(), 2);
	vdriver_close(&d);
}

/* A checksum further inside is completed, not in the guest's buffer */
TEST(checksum_of_a_tunnel)
{
	static const uint8_t h[HLEN] = { 1, 0, 0, 0, 0, 0, 60, 0, 16, 0 };
	uint8_t before[200];

	setup(NUM);
	for (unsigned i = 0; i < 2; i++) {
		fill(A + i * 4096, i, 150);
		memcpy(d.mem + A + i * 4096, h, HLEN);
		vdriver_chain(&d, 1, i, &(struct vdriver_buf){
			A + i * 4096, 162 }, 1);
	}
	memcpy(before, d.mem + A, 162);
	CHECK_EQ(vhost_in_receive(&q, frames, LINK_BATCH), 1);
	CHECK_EQ(frames[0].cnt, 1);
	CHECK(!memcmp(d.mem + A, before, 162));
	CHECK(memcmp((uint8_t *)frames[0].iov->iov_base, before + HLEN, 150));
	CHECK(!memcmp((uint8_t *)frames[0].iov->iov_base, before + HLEN, 76));
	vhost_in_release(&q);
	CHECK_EQ(vhost_in_receive(&q, frames, LINK_BATCH), 1);
	vhost_in_release(&q);
	CHECK_EQ(drops, 0);
	CHECK_EQ(used(), 2);
	vdriver_close(&d);
}

/* More buffers than a batch holds: the next one goes on */
TEST(batches_by_buffers)
{
	static struct vdriver_buf bufs[1000];
	unsigned got = 0;

	setup(8192);
	fill(A, 5, 1000);
	for (unsigned i = 0; i < 999; i++)
		bufs[i] = (struct vdriver_buf){ A + i, 1 };
	bufs[999] = (struct vdriver_buf){ A + 999, 13 };
	for (unsigned i = 0; i < 5; i++)
		vdriver_chain(&d, 1, i * 1000, bufs, 1000);
	while (got < 5) {
		unsigned n = vhost_in_receive(&q, frames, LINK_BATCH);

		CHECK(n == 2 || got + n == 5);
		if (!n)
			break;
		for (unsigned i = 0; i < n; i++)
			CHECK(is_frame(&frames[i], 5, 1000));
		got += n;
		vhost_in_release(&q);
		CHECK_EQ(used(), n);
	}
	/* one that no batch holds is dropped */
	vdriver_chain(&d, 1, 0, bufs, 1000);
	for (unsigned i = 0; i < 30; i++) {
		vdriver_desc(&d, 1, 999 + i, &(struct vring_desc){
			VDRIVER_GUEST + A, 1, VRING_DESC_F_NEXT,
			(uint16_t)(1000 + i) });
	}
	vdriver_desc(&d, 1, 1029, &(struct vring_desc){ VDRIVER_GUEST + A, 1,
							0, 0 });
	CHECK_EQ(vhost_in_receive(&q, frames, LINK_BATCH), 0);
	CHECK_EQ(drops, 1);
	CHECK(!vhost_in_is_idle());
	CHECK_EQ(used(), 1);
	vhost_in_release(&q);
	CHECK_EQ(used(), 0);
	vdriver_close(&d);
}

TEST(batches_by_frames_and_kicks)
{
	setup(NUM);
	for (unsigned i = 0; i < 200; i++)
		vdriver_chain(&d, 1, i, &(struct vdriver_buf){ A, 72 }, 1);
	CHECK_EQ(vhost_in_receive(&q, frames, LINK_BATCH), LINK_BATCH);
	CHECK(!vhost_in_is_idle());
	vhost_in_release(&q);
	CHECK_EQ(vhost_in_receive(&q, frames, 10), 10);
	vhost_in_release(&q);
	vhost_in_discard(&q);
	CHECK_EQ(used(), 200);
	vhost_in_discard(&q);
	CHECK(vhost_in_is_idle());
	vdriver_close(&d);
}

TEST(a_broken_chain_behind_good_ones)
{
	setup(NUM);
	fill(A, 0, 60);
	vdriver_chain(&d, 1, 0, &(struct vdriver_buf){ A, 72 }, 1);
	vdriver_chain(&d, 1, 1, &(struct vdriver_buf){ VDRIVER_SIZE, 72 }, 1);
	vdriver_chain(&d, 1, 2, &(struct vdriver_buf){ A, 72 }, 1);
	CHECK_EQ(vhost_in_receive(&q, frames, LINK_BATCH), 1);
	CHECK(q.broken != NULL);
	vhost_in_release(&q);
	CHECK_EQ(used(), 1);
	CHECK_EQ(q.last_avail, 1);
	vdriver_close(&d);
}

int main(int argc, char **argv)
{
	log_init("test_vhost_in", LOG_LEVEL_ERR);
	return unit_main(argc, argv);
}
