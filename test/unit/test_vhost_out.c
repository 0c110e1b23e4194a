// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frames to the guest's receive queue: merged buffers and large ones, loans
 * that are not used up, queues that hold little, what is left at the end
 */
#include "link/vhost_out.h"

#include <pthread.h>
#include <string.h>

#include "lib/log.h"
#include "test/unit/unit.h"
#include "test/unit/vdriver.h"

#define NUM	256u
#define A	VDRIVER_BUFFERS
#define HLEN	54u
#define REFILLS	20000u

static struct vdriver d;
static struct virtq q;
static struct loan loans[LINK_BATCH];

static void setup(unsigned num, size_t vnet_hlen, bool merge)
{
	vdriver_open(&d);
	vdriver_map(&d);
	vdriver_queue(&d, 0, num);
	q = (struct virtq){ .num = num, .call_fd = -1, .indirect = true };
	q.addr = vdriver_addr(&d, 0);
	CHECK(virtq_map(&q));
	virtq_begin(&q);
	vhost_out_set(vnet_hlen, merge);
	vhost_out_begin();
	vhost_out_wanted();
}

/* Buffers @from to @from + @n, each of @len bytes */
static void give(unsigned from, unsigned n, unsigned len)
{
	for (unsigned i = from; i < from + n; i++)
		vdriver_chain(&d, 0, i, &(struct vdriver_buf){
			A + i * 4096, len }, 1);
}

static uint8_t byte(unsigned n, size_t i)
{
	return (uint8_t)(n * 31 + i * 7 + 1);
}

static void write_loan(struct loan *l, unsigned n, size_t len)
{
	size_t at = HLEN;

	for (unsigned i = 0; i < HLEN; i++)
		l->hdr[i] = byte(n, i);
	for (unsigned i = 0; i < l->cnt; i++) {
		uint8_t *p = l->iov[i].iov_base;

		for (size_t j = 0; j < l->iov[i].iov_len; j++)
			p[j] = byte(n, at++);
	}
	l->len = len;
}

/* Frames of @len bytes of payload, in room for @room: all that was lent */
static unsigned out_frames(unsigned n, size_t room, size_t len)
{
	unsigned lent = vhost_out_reserve(&q, loans, n, HLEN, room);

	for (unsigned i = 0; i < lent; i++) {
		CHECK_EQ(iov_total(loans[i].iov, loans[i].cnt), room);
		write_loan(&loans[i], i, len);
	}
	vhost_out_commit(&q, loans, lent);
	virtq_publish(&q);
	return lent;
}

/* The next frame in the used ring. Return: chains it took */
static unsigned read_frame(unsigned n, size_t len, size_t vnet_hlen)
{
	struct vring_used_elem e;
	uint8_t got[70000];
	size_t have = 0;
	unsigned chains = 0;

	while (have < vnet_hlen + HLEN + len) {
		if (!vdriver_used(&d, 0, &e)) {
			CHECK(false);
			return chains;
		}
		memcpy(got + have, d.mem + A + e.id * 4096, e.len);
		have += e.len;
		chains++;
	}
	CHECK_EQ(have, vnet_hlen + HLEN + len);
	if (vnet_hlen == 12)
		CHECK_EQ(got[10] | got[11] << 8, chains);
	for (size_t i = 0; i < HLEN + len; i++) {
		if (got[vnet_hlen + i] != byte(n, i)) {
			CHECK_EQ(i, -1);
			break;
		}
	}
	return chains;
}

TEST(one_buffer_a_frame)
{
	setup(NUM, 12, true);
	give(0, 10, 1526);
	CHECK_EQ(out_frames(4, 1400, 1400), 4);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(read_frame(i, 1400, 12), 1);
	/* without payload */
	CHECK_EQ(out_frames(1, 0, 0), 1);
	CHECK_EQ(read_frame(0, 0, 12), 1);
	vdriver_close(&d);
}

TEST(merged_buffers)
{
	setup(NUM, 12, true);
	give(0, 100, 1526);
	CHECK_EQ(out_frames(2, 65000, 65000), 2);
	CHECK_EQ(read_frame(0, 65000, 12), 43);
	CHECK_EQ(read_frame(1, 65000, 12), 43);
	CHECK(!vhost_out_wanted());
	vdriver_close(&d);
}

TEST(headers_across_tiny_buffers)
{
	setup(NUM, 12, true);
	give(0, 200, 40);
	CHECK_EQ(out_frames(3, 1000, 1000), 3);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(read_frame(i, 1000, 12), 27);
	vdriver_close(&d);
}

/* What a short frame did not need goes to the next loan, and so on */
TEST(stock)
{
	setup(NUM, 12, true);
	give(0, 12, 1526);
	CHECK_EQ(out_frames(4, 4000, 100), 4);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(read_frame(i, 100, 12), 1);
	/* 8 left */
	CHECK_EQ(out_frames(9, 100, 100), 8);
	CHECK(vhost_out_wanted());
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(read_frame(i, 100, 12), 1);
	CHECK_EQ(out_frames(1, 100, 100), 0);
	give(20, 1, 1526);
	CHECK_EQ(out_frames(1, 100, 100), 1);
	CHECK_EQ(read_frame(0, 100, 12), 1);
	vdriver_close(&d);
}

TEST(part_of_a_loan)
{
	setup(NUM, 12, true);
	give(0, 40, 1526);
	CHECK_EQ(vhost_out_reserve(&q, loans, 8, HLEN, 4000), 8);
	write_loan(&loans[0], 0, 4000);
	write_loan(&loans[1], 1, 10);
	vhost_out_commit(&q, loans, 2);
	virtq_publish(&q);
	CHECK_EQ(read_frame(0, 4000, 12), 3);
	CHECK_EQ(read_frame(1, 10, 12), 1);
	CHECK_EQ(vhost_out_reserve(&q, loans, 100, HLEN, 1000), 36);
	vhost_out_commit(&q, loans, 0);
	CHECK_EQ(vhost_out_reserve(&q, loans, 100, HLEN, 1000), 36);
	vhost_out_commit(&q, loans, 0);
	vdriver_close(&d);
}

/*
 * In the order they were made available, whatever frames did not need of their
 * room: a successor that knows the used index alone knows what is left
 */
TEST(chains_are_used_in_order)
{
	static const size_t lens[] = { 100, 4000, 1, 1472, 1473, 0, 3999, 700 };
	struct vring_used_elem *used;
	unsigned chains = 0, lent;

	setup(NUM, 12, true);
	give(0, 100, 1526);
	used = d.ring[0].used->ring;
	lent = vhost_out_reserve(&q, loans, 8, HLEN, 4000);
	CHECK_EQ(lent, 8);
	for (unsigned i = 0; i < 8; i++)
		write_loan(&loans[i], i, lens[i]);
	vhost_out_commit(&q, loans, 8);
	virtq_publish(&q);
	for (unsigned i = 0; i < 8; i++)
		chains += read_frame(i, lens[i], 12);
	CHECK_EQ(chains, 14);
	CHECK_EQ(out_frames(3, 4000, 100), 3);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(read_frame(i, 100, 12), 1);
	for (unsigned i = 0; i < 17; i++)
		CHECK_EQ(used[i].id, i);
	vhost_out_end(&q);
	CHECK_EQ(q.last_avail, 17);
	vdriver_close(&d);
}

/* Frames that are moved down to where they lay in part, in buffers of all sizes */
TEST(moved_among_buffers_of_all_sizes)
{
	static const uint16_t sizes[] = { 3000, 40, 41, 200, 13, 1526, 70, 4000,
					  1, 66, 67, 1000, 2000, 333, 90, 4096 };
	unsigned n = sizeof(sizes) / sizeof(*sizes);

	setup(NUM, 12, true);
	for (unsigned i = 0; i < 4 * n; i++)
		give(i, 1, sizes[i * 5 % n]);
	for (unsigned round = 0; round < 4; round++) {
		unsigned lent = vhost_out_reserve(&q, loans, 5, HLEN, 2500);

		CHECK_EQ(lent, 5);
		for (unsigned i = 0; i < lent; i++)
			write_loan(&loans[i], i, 2500 - 600 * ((i + round) % 5));
		vhost_out_commit(&q, loans, lent);
		virtq_publish(&q);
		for (unsigned i = 0; i < lent; i++)
			read_frame(i, 2500 - 600 * ((i + round) % 5), 12);
	}
	for (unsigned i = 0; i < d.ring[0].used->idx; i++)
		CHECK_EQ(d.ring[0].used->ring[i].id, i);
	vdriver_close(&d);
}

/* The base covers all that is in stock */
TEST(end)
{
	struct vring_used_elem e;

	setup(NUM, 12, true);
	give(0, 9, 1526);
	CHECK_EQ(out_frames(2, 4000, 100), 2);
	CHECK_EQ(read_frame(0, 100, 12), 1);
	CHECK_EQ(read_frame(1, 100, 12), 1);
	vhost_out_end(&q);
	virtq_publish(&q);
	CHECK_EQ(q.last_avail, 2);
	CHECK(!vdriver_used(&d, 0, &e));
	CHECK_EQ(out_frames(10, 100, 100), 7);
	vdriver_close(&d);
}

TEST(large_buffers_not_merged)
{
	static struct vdriver_buf bufs[19];

	setup(NUM, 12, false);
	bufs[0] = (struct vdriver_buf){ A, 12 };
	for (unsigned i = 1; i < 19; i++)
		bufs[i] = (struct vdriver_buf){ A + 4096 * i, 4096 };
	vdriver_chain(&d, 0, 0, bufs, 19);
	vdriver_chain(&d, 0, 20, bufs, 19);
	CHECK_EQ(vhost_out_reserve(&q, loans, 3, HLEN, 65000), 2);
	CHECK_EQ(loans[0].cnt, 16);
	CHECK_EQ(loans[0].iov[0].iov_len, 4096 - HLEN);
	write_loan(&loans[0], 0, 20000);
	vhost_out_commit(&q, loans, 1);
	virtq_publish(&q);
	CHECK_EQ(d.ring[0].used->idx, 1);
	CHECK_EQ(d.ring[0].used->ring[0].len, 12 + HLEN + 20000);
	CHECK_EQ(d.mem[A + 10], 1);
	CHECK_EQ(d.mem[A + 4096], byte(0, 0));
	CHECK_EQ(d.mem[A + 8192], byte(0, 4096));
	vdriver_close(&d);
}

TEST(legacy_header)
{
	setup(NUM, 10, false);
	give(0, 2, 1526);
	CHECK_EQ(out_frames(1, 1400, 700), 1);
	CHECK_EQ(read_frame(0, 700, 10), 1);
	vdriver_close(&d);
}

/* Kicks are asked for when there is something to gain by one */
TEST(kicks)
{
	setup(NUM, 12, true);
	q.event_idx = true;
	give(0, NUM, 1526);
	CHECK_EQ(out_frames(100, 65000, 65000), 5);
	CHECK(vhost_out_wanted());
	CHECK_EQ(vring_avail_event(&d.ring[0]), NUM + NUM / 4 - 1);
	CHECK_EQ(out_frames(1, 65000, 65000), 0);
	CHECK_EQ(vring_avail_event(&d.ring[0]), NUM + NUM / 4 - 1);
	CHECK(!vhost_out_again());
	vdriver_close(&d);
	/* a small queue, of which the driver holds three */
	setup(4, 12, true);
	q.event_idx = true;
	give(0, 4, 1526);
	CHECK_EQ(out_frames(1, 4000, 4000), 1);
	CHECK_EQ(out_frames(1, 4000, 4000), 0);
	CHECK_EQ(vring_avail_event(&d.ring[0]), 4);
	vdriver_close(&d);
	/* a driver that never offers more than two */
	setup(NUM, 12, true);
	q.event_idx = true;
	give(0, 2, 1526);
	CHECK_EQ(out_frames(3, 100, 100), 2);
	CHECK_EQ(vring_avail_event(&d.ring[0]), 2);
	CHECK_EQ(out_frames(1, 100, 100), 0);
	CHECK_EQ(vring_avail_event(&d.ring[0]), 2);
	vdriver_close(&d);
}

/* A queue that can never hold a frame of that size makes them smaller */
TEST(a_small_queue)
{
	setup(4, 12, true);
	give(0, 4, 1526);
	CHECK_EQ(out_frames(1, 65000, 1), 0);
	CHECK(!q.broken);
	CHECK(vhost_out_again());
	CHECK(!vhost_out_again());
	CHECK_EQ(vhost_out_limit(), 4 * 1526 - 12);
	CHECK_EQ(out_frames(1, vhost_out_limit() - HLEN, 6000), 1);
	CHECK_EQ(read_frame(0, 6000, 12), 4);
	/* not all of it is here: wait */
	give(0, 1, 1526);
	CHECK_EQ(out_frames(1, vhost_out_limit() - HLEN, 6000), 0);
	CHECK(!vhost_out_again());
	CHECK(vhost_out_wanted());
	vdriver_close(&d);
}

/* Linux gives buffers back once it has more than half of a small ring */
TEST(a_small_queue_of_a_lazy_driver)
{
	setup(64, 12, true);
	give(0, 64, 1526);
	CHECK_EQ(out_frames(22, 100, 100), 22);
	CHECK_EQ(out_frames(1, 65000, 1), 0);
	CHECK(vhost_out_again());
	CHECK_EQ(vhost_out_limit(), 42 * 1526 - 12);
	CHECK_EQ(out_frames(10, 100, 100), 10);
	CHECK_EQ(out_frames(1, vhost_out_limit() - HLEN, 1), 0);
	CHECK(vhost_out_again());
	CHECK_EQ(vhost_out_limit(), 32 * 1526 - 12);
	CHECK_EQ(out_frames(1, vhost_out_limit() - HLEN, 40000), 1);
	/* it has 59 now, will give them back, and need not make do with less */
	CHECK_EQ(out_frames(1, vhost_out_limit() - HLEN, 1), 0);
	CHECK(!vhost_out_again());
	CHECK_EQ(vhost_out_limit(), 32 * 1526 - 12);
	vdriver_close(&d);
}

/* The driver's own processor: all of the ring is offered once it is asked to */
static void *refill(void *round)
{
	for (unsigned n = 1; n <= REFILLS; n++) {
		while (__atomic_load_n((unsigned *)round, __ATOMIC_ACQUIRE) < n)
			;
		for (volatile unsigned i = 0; i < n % 8192; i++)
			;
		__atomic_store_n(&d.ring[0].avail->idx, 64, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* A frame is not lent once it is known to be too large, whatever comes then */
TEST(a_small_queue_refilled_at_that_moment)
{
	unsigned round = 0;
	pthread_t driver;

	setup(64, 12, true);
	give(0, 64, 1526);
	CHECK(!pthread_create(&driver, NULL, refill, &round));
	while (round < REFILLS) {
		unsigned lent;

		d.ring[0].avail->idx = 33;
		d.ring[0].used->idx = 0;
		CHECK(virtq_map(&q));
		q.last_avail = 0;
		virtq_begin(&q);
		vhost_out_begin();
		__atomic_store_n(&round, round + 1, __ATOMIC_RELEASE);
		lent = vhost_out_reserve(&q, loans, 1, HLEN, 65000);
		if (lent && HLEN + 65000 > vhost_out_limit())
			CHECK_EQ(vhost_out_limit(), HLEN + 65000);
		vhost_out_commit(&q, loans, 0);
		while (__atomic_load_n(&d.ring[0].avail->idx,
				       __ATOMIC_ACQUIRE) != 64)
			;
	}
	pthread_join(driver, NULL);
	vdriver_close(&d);
}

/* However few there are, a frame of the least size has to fit */
TEST(a_small_queue_of_small_buffers)
{
	setup(4, 12, true);
	give(0, 3, 500);
	CHECK_EQ(out_frames(1, 1450, 1), 0);
	CHECK(!q.broken);
	CHECK(!vhost_out_again());
	give(3, 1, 500);
	CHECK_EQ(out_frames(1, 1450, 1450), 1);
	vdriver_close(&d);
}

TEST(more_buffers_than_a_loan_has)
{
	setup(NUM, 12, true);
	give(0, 250, 500);
	CHECK_EQ(out_frames(1, 65000, 1), 0);
	CHECK(!q.broken);
	CHECK(vhost_out_again());
	CHECK(vhost_out_limit() < 64 * 500);
	CHECK_EQ(out_frames(1, vhost_out_limit() - HLEN, 20000), 1);
	CHECK_EQ(read_frame(0, 20000, 12), 41);
	vdriver_close(&d);
}

/* Whoever has a loan counts with the size that it was asked for */
TEST(a_smaller_buffer_behind_a_loan)
{
	setup(NUM, 12, false);
	vdriver_chain(&d, 0, 0, &(struct vdriver_buf){ A, 65562 }, 1);
	vdriver_chain(&d, 0, 16, &(struct vdriver_buf){ A + 65536, 65562 }, 1);
	give(40, 10, 9000);
	CHECK_EQ(vhost_out_reserve(&q, loans, 3, HLEN, 65000), 2);
	CHECK_EQ(vhost_out_limit(), 65535 + 14);
	write_loan(&loans[0], 0, 65000);
	write_loan(&loans[1], 1, 100);
	vhost_out_commit(&q, loans, 2);
	CHECK_EQ(vhost_out_reserve(&q, loans, 1, HLEN, 65000), 0);
	CHECK(vhost_out_again());
	CHECK_EQ(vhost_out_limit(), 9000 - 12);
	CHECK_EQ(out_frames(2, 8000, 8000), 2);
	vdriver_close(&d);
}

TEST(a_queue_that_holds_nothing)
{
	setup(4, 12, true);
	give(0, 4, 100);
	CHECK_EQ(out_frames(1, 1400, 1), 0);
	CHECK(q.broken != NULL);
	vdriver_close(&d);
	setup(4, 12, false);
	give(0, 4, 1000);
	CHECK_EQ(out_frames(1, 1400, 1), 0);
	CHECK(q.broken != NULL);
	vdriver_close(&d);
}

TEST(buffers_that_are_wrong)
{
	setup(NUM, 12, true);
	give(0, 1, 1526);
	vdriver_desc(&d, 0, 1, &(struct vring_desc){ 0, 1526,
						     VRING_DESC_F_WRITE, 0 });
	vdriver_avail(&d, 0, 1);
	CHECK_EQ(out_frames(2, 1000, 1000), 1);
	CHECK(q.broken != NULL);
	CHECK_EQ(read_frame(0, 1000, 12), 1);
	vdriver_close(&d);
	setup(NUM, 12, true);
	vdriver_desc(&d, 0, 1, &(struct vring_desc){ VDRIVER_GUEST + A, 0,
						     VRING_DESC_F_WRITE, 0 });
	vdriver_avail(&d, 0, 1);
	CHECK_EQ(out_frames(1, 1000, 1000), 0);
	CHECK(q.broken != NULL);
	vdriver_close(&d);
}

/* Chains in stock are looked up anew after the memory table changed */
TEST(memory_changes_meanwhile)
{
	setup(NUM, 12, true);
	give(0, 3, 1526);
	CHECK_EQ(vhost_out_reserve(&q, loans, 1, HLEN, 3000), 1);
	vhost_out_commit(&q, loans, 0);
	vdriver_map(&d);
	CHECK(virtq_map(&q));
	CHECK_EQ(out_frames(1, 3000, 3000), 1);
	CHECK_EQ(read_frame(0, 3000, 12), 3);
	vdriver_close(&d);
}

TEST(what_is_written_is_logged)
{
	uint8_t *bits;

	setup(NUM, 12, true);
	bits = d.mem + VDRIVER_SIZE / 2;
	CHECK_EQ(guestmem_log_map(d.fd, VDRIVER_SIZE / 2,
				  VDRIVER_SIZE / 2), 0);
	guestmem_log_enable(true);
	give(0, 3, 1526);
	CHECK_EQ(out_frames(1, 4000, 2000), 1);
	bits += (VDRIVER_GUEST + A) / 4096 / 8;
	CHECK_EQ(bits[0], 3);
	guestmem_log_enable(false);
	guestmem_log_unmap();
	vdriver_close(&d);
}

int main(int argc, char **argv)
{
	log_init("test_vhost_out", LOG_LEVEL_ERR);
	return unit_main(argc, argv);
}
