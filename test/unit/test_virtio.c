// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Split virtqueues: chains of all kinds, every rule that a guest can break, the
 * used ring, and who tells whom when
 */
#include "link/virtio.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/log.h"
#include "test/unit/unit.h"
#include "test/unit/vdriver.h"

#define NUM	8u
#define A	VDRIVER_BUFFERS
#define NEXT	VRING_DESC_F_NEXT
#define WRITE	VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

static struct vdriver d;
static struct virtq q;
static struct iovec iov[64];
static struct virtq_bufs b;
static int call_fd;

static void setup(void)
{
	vdriver_open(&d);
	vdriver_map(&d);
	vdriver_queue(&d, 1, NUM);
	call_fd = eventfd(0, EFD_NONBLOCK);
	q = (struct virtq){ .num = NUM, .call_fd = call_fd, .indirect = true };
	q.addr = vdriver_addr(&d, 1);
	CHECK(virtq_map(&q));
	virtq_begin(&q);
	b = (struct virtq_bufs){ .iov = iov, .max = 64 };
}

static void teardown(void)
{
	close(call_fd);
	vdriver_close(&d);
}

static void desc(unsigned i, uint64_t addr, uint32_t len, unsigned flags,
		 unsigned next)
{
	vdriver_desc(&d, 1, i, &(struct vring_desc){ addr, len, (uint16_t)flags,
						     (uint16_t)next });
}

static uint64_t at(uint32_t off)
{
	return VDRIVER_GUEST + off;
}

/* The chain at @head breaks the queue */
static void breaks(unsigned head, bool writable)
{
	CHECK(!virtq_walk(&q, (uint16_t)head, writable, &b));
	CHECK(q.broken != NULL);
	q.broken = NULL;
}

static bool called(void)
{
	uint64_t n;

	return read(call_fd, &n, sizeof(n)) == sizeof(n);
}

TEST(a_chain_and_back)
{
	static const struct vdriver_buf bufs[] = { { A, 10 }, { A + 100, 20 } };
	struct vring_used_elem e;
	uint16_t heads[4];

	setup();
	CHECK_EQ(virtq_take(&q, heads, 4), 0);
	vdriver_chain(&d, 1, 3, bufs, 2);
	vdriver_chain(&d, 1, 6, bufs, 1);
	CHECK_EQ(virtq_take(&q, heads, 4), 2);
	CHECK_EQ(heads[0], 3);
	CHECK_EQ(heads[1], 6);
	CHECK_EQ(virtq_take(&q, heads, 4), 0);
	CHECK(virtq_walk(&q, 3, false, &b));
	CHECK_EQ(b.cnt, 2);
	CHECK_EQ(b.len, 30);
	CHECK_EQ(iov[0].iov_len, 10);
	CHECK_EQ((uint8_t *)iov[1].iov_base - (uint8_t *)iov[0].iov_base, 100);
	virtq_put(&q, 6, 0);
	virtq_put(&q, 3, 5);
	CHECK(!vdriver_used(&d, 1, &e));
	virtq_publish(&q);
	CHECK(vdriver_used(&d, 1, &e));
	CHECK_EQ(e.id, 6);
	CHECK(vdriver_used(&d, 1, &e));
	CHECK_EQ(e.id, 3);
	CHECK_EQ(e.len, 5);
	teardown();
}

TEST(indices_wrap)
{
	static const struct vdriver_buf buf = { A, 10 };
	struct vring_used_elem e;
	uint16_t head;

	setup();
	for (unsigned i = 0; i < 70000; i++) {
		vdriver_chain(&d, 1, i % NUM, &buf, 1);
		CHECK_EQ(virtq_take(&q, &head, 1), 1);
		CHECK_EQ(head, i % NUM);
		virtq_put(&q, head, 0);
		virtq_publish(&q);
		CHECK(vdriver_used(&d, 1, &e));
		CHECK_EQ(e.id, head);
	}
	teardown();
}

TEST(begins_where_the_used_ring_stands)
{
	setup();
	d.ring[1].used->idx = 7;
	q.last_avail = 65535;
	d.ring[1].avail->idx = 65535;
	virtq_begin(&q);
	vdriver_avail(&d, 1, 2);
	virtq_put(&q, 2, 0);
	virtq_publish(&q);
	CHECK_EQ(d.ring[1].used->idx, 8);
	CHECK_EQ(d.ring[1].used->ring[7].id, 2);
	teardown();
}

TEST(indirect_tables)
{
	struct vring_desc t[3] = {
		{ at(A + 200), 5, NEXT, 2 },
		{ 0, 0, 0, 0 },
		{ at(A + 300), 7, 0, 9 },
	};

	setup();
	memcpy(d.mem + A, t, sizeof(t));
	desc(0, at(A), sizeof(t), INDIRECT, 0);
	CHECK(virtq_walk(&q, 0, false, &b));
	CHECK_EQ(b.cnt, 2);
	CHECK_EQ(b.len, 12);
	/* behind a buffer of the queue's own; WRITE there means nothing */
	desc(1, at(A + 100), 3, NEXT, 2);
	desc(2, at(A), sizeof(t), INDIRECT | WRITE, 0);
	CHECK(virtq_walk(&q, 1, false, &b));
	CHECK_EQ(b.cnt, 3);
	CHECK_EQ(b.len, 15);
	teardown();
}

TEST(indirect_tables_that_are_wrong)
{
	struct vring_desc t[2] = { { at(A + 200), 5, NEXT, 1 },
				   { at(A + 300), 7, 0, 0 } };
	struct vring_desc *g;

	setup();
	memcpy(d.mem + A, t, sizeof(t));
	g = (struct vring_desc *)(d.mem + A);
	desc(0, at(A), 0, INDIRECT, 0);
	breaks(0, false);
	desc(0, at(A), 17, INDIRECT, 0);
	breaks(0, false);
	desc(0, at(A), 0xfffffff0u, INDIRECT, 0);
	breaks(0, false);
	desc(0, at(VDRIVER_SIZE - 16), 32, INDIRECT, 0);
	breaks(0, false);
	desc(0, at(A + 1), 32, INDIRECT, 0);
	breaks(0, false);
	desc(0, at(A), 32, INDIRECT | NEXT, 1);
	breaks(0, false);
	desc(0, at(A), 32, INDIRECT, 0);
	q.indirect = false;
	breaks(0, false);
	q.indirect = true;
	CHECK(virtq_walk(&q, 0, false, &b));
	g[0].next = 2;
	breaks(0, false);
	g[0].next = 0;
	breaks(0, false);
	g[0] = (struct vring_desc){ at(A), 32, INDIRECT, 0 };
	breaks(0, false);
	teardown();
}

TEST(chains_that_are_wrong)
{
	uint16_t head;

	setup();
	desc(0, at(A), 10, NEXT, 0);
	breaks(0, false);
	desc(0, at(A), 10, NEXT, NUM);
	breaks(0, false);
	desc(0, at(A), 10, NEXT, 65535);
	breaks(0, false);
	desc(0, at(A), 0, NEXT, 1);
	desc(1, at(A), 0, NEXT, 0);
	breaks(0, false);
	desc(0, at(A), 10, WRITE, 0);
	breaks(0, false);
	desc(0, at(A), 10, 0, 0);
	breaks(0, true);
	desc(0, at(A), 10, WRITE | NEXT, 1);
	desc(1, at(A), 10, 0, 0);
	breaks(0, true);
	desc(0, at(VDRIVER_SIZE - 9), 10, 0, 0);
	breaks(0, false);
	desc(0, VDRIVER_GUEST - 1, 10, 0, 0);
	breaks(0, false);
	desc(0, UINT64_MAX - 3, 10, 0, 0);
	breaks(0, false);
	desc(0, at(A), UINT32_MAX, 0, 0);
	breaks(0, false);
	d.ring[1].avail->ring[0] = NUM;
	d.ring[1].avail->idx = 1;
	CHECK_EQ(virtq_take(&q, &head, 1), 0);
	CHECK(q.broken != NULL);
	teardown();
}

TEST(index_that_jumps)
{
	uint16_t heads[16];

	setup();
	d.ring[1].avail->idx = NUM;
	CHECK_EQ(virtq_take(&q, heads, 16), NUM);
	d.ring[1].avail->idx = (uint16_t)(2 * NUM + 1);
	CHECK_EQ(virtq_take(&q, heads, 16), 0);
	CHECK(q.broken != NULL);
	/* and that goes back */
	q.broken = NULL;
	d.ring[1].avail->idx = NUM - 1;
	CHECK_EQ(virtq_take(&q, heads, 16), 0);
	CHECK(q.broken != NULL);
	/* nothing is taken from a broken queue */
	d.ring[1].avail->idx = NUM + 1;
	CHECK_EQ(virtq_take(&q, heads, 16), 0);
	teardown();
}

TEST(empty_buffers_and_too_many)
{
	setup();
	desc(0, 0, 0, NEXT, 1);
	desc(1, at(A), 4, NEXT, 2);
	desc(2, at(A + 8), 4, 0, 0);
	CHECK(virtq_walk(&q, 0, false, &b));
	CHECK_EQ(b.cnt, 2);
	CHECK(!b.cut);
	b.max = 1;
	CHECK(virtq_walk(&q, 0, false, &b));
	CHECK_EQ(b.cnt, 1);
	CHECK(b.cut);
	teardown();
}

TEST(a_buffer_across_regions)
{
	struct guestmem_region r = vdriver_region();

	setup();
	guestmem_clear();
	r.size = VDRIVER_SIZE / 2;
	CHECK_EQ(guestmem_add(&r, d.fd), 0);
	CHECK(virtq_map(&q));
	desc(0, at(VDRIVER_SIZE / 2 - 10), 30, 0, 0);
	breaks(0, false);
	r.guest += r.size;
	r.user += r.size + 4096;
	r.offset += r.size;
	CHECK_EQ(guestmem_add(&r, d.fd), 0);
	CHECK(virtq_map(&q));
	CHECK(virtq_walk(&q, 0, false, &b));
	CHECK_EQ(b.cnt, 2);
	CHECK_EQ(iov[0].iov_len, 10);
	CHECK_EQ(iov[1].iov_len, 20);
	teardown();
}

TEST(rings_that_are_not_in_memory)
{
	struct virtq_addr good;

	setup();
	good = q.addr;
	q.desc = NULL;
	q.addr.desc++;
	CHECK(!virtq_map(&q));
	q.addr = good;
	q.addr.avail++;
	CHECK(!virtq_map(&q));
	q.addr = good;
	q.addr.used += 2;
	CHECK(!virtq_map(&q));
	q.addr = good;
	q.addr.used = VDRIVER_USER + VDRIVER_SIZE - 4 - 8 * NUM;
	CHECK(!virtq_map(&q));
	q.addr.used -= 4;
	CHECK(virtq_map(&q));
	q.desc = NULL;
	q.addr = good;
	q.addr.desc = 0;
	CHECK(!virtq_map(&q));
	q.addr = good;
	q.num = 0;
	CHECK(!virtq_map(&q));
	q.num = NUM;
	CHECK(virtq_map(&q));
	guestmem_clear();
	CHECK(!virtq_map(&q));
	vdriver_map(&d);
	CHECK(virtq_map(&q));
	teardown();
}

static void use_one(void)
{
	virtq_put(&q, 0, 0);
	virtq_publish(&q);
	virtq_signal(&q);
}

TEST(signals_by_flag)
{
	setup();
	virtq_signal(&q);
	CHECK(!called());
	use_one();
	CHECK(called());
	d.ring[1].avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	use_one();
	CHECK(!called());
	/* one for many */
	d.ring[1].avail->flags = 0;
	virtq_put(&q, 0, 0);
	virtq_put(&q, 1, 0);
	virtq_publish(&q);
	virtq_signal(&q);
	CHECK(called());
	virtq_signal(&q);
	CHECK(!called());
	q.call_fd = -1;
	use_one();
	teardown();
}

TEST(signals_by_event_index)
{
	setup();
	q.event_idx = true;
	vring_used_event(&d.ring[1]) = 2;
	use_one();
	use_one();
	CHECK(!called());
	use_one();
	CHECK(called());
	use_one();
	CHECK(!called());
	/* asked for within a batch */
	vring_used_event(&d.ring[1]) = 5;
	for (unsigned i = 0; i < 4; i++)
		virtq_put(&q, 0, 0);
	virtq_publish(&q);
	virtq_signal(&q);
	CHECK(called());
	teardown();
}

TEST(kicks)
{
	setup();
	virtq_kicks_off(&q);
	CHECK_EQ(d.ring[1].used->flags, VRING_USED_F_NO_NOTIFY);
	CHECK(!virtq_kicks_on(&q, 4));
	CHECK_EQ(d.ring[1].used->flags, 0);
	vdriver_avail(&d, 1, 0);
	CHECK(virtq_kicks_on(&q, 4));
	q.event_idx = true;
	q.last_avail = 1;
	virtq_kicks_off(&q);
	CHECK_EQ(d.ring[1].used->flags, 0);
	CHECK(!virtq_kicks_on(&q, 1));
	CHECK_EQ(vring_avail_event(&d.ring[1]), 1);
	/* when the second of two is there */
	CHECK(!virtq_kicks_on(&q, 2));
	CHECK_EQ(vring_avail_event(&d.ring[1]), 2);
	vdriver_avail(&d, 1, 0);
	CHECK(virtq_kicks_on(&q, 1));
	CHECK(!virtq_kicks_on(&q, 2));
	vdriver_avail(&d, 1, 0);
	CHECK(virtq_kicks_on(&q, 2));
	teardown();
}

/* As the driver decides: vring_need_event() of what it adds */
TEST(kicks_taken_back)
{
	setup();
	virtq_kicks_on(&q, 1);
	virtq_kicks_cancel(&q);
	CHECK_EQ(d.ring[1].used->flags, VRING_USED_F_NO_NOTIFY);
	q.event_idx = true;
	for (unsigned at = 0; at <= UINT16_MAX; at++) {
		q.last_avail = (uint16_t)at;
		virtq_kicks_on(&q, 1);
		CHECK(vring_need_event(vring_avail_event(&d.ring[1]),
				       (uint16_t)(at + 1), (uint16_t)at));
		virtq_kicks_cancel(&q);
		for (unsigned n = 1; n <= 1000; n++)
			CHECK(!vring_need_event(vring_avail_event(&d.ring[1]),
						(uint16_t)(at + n),
						(uint16_t)(at + n - 1)));
	}
	teardown();
}

TEST(writes_to_the_used_ring_are_logged)
{
	uint8_t *bits;

	setup();
	CHECK_EQ(guestmem_log_map(d.fd, 64, A), 0);
	guestmem_log_enable(true);
	bits = d.mem + A;
	use_one();
	CHECK(!bits[0] && !bits[1]);
	q.addr.log = 9 * 4096;
	q.addr.logged = true;
	use_one();
	CHECK_EQ(bits[1], 2);
	guestmem_log_enable(false);
	guestmem_log_unmap();
	teardown();
}

int main(int argc, char **argv)
{
	log_init("test_virtio", LOG_LEVEL_ERR);
	return unit_main(argc, argv);
}
