// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_tcp_sack: ranges against a plain model, and what is told of them
 */
#include "tcp_sack.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "test/unit/unit.h"

#define SPAN	(2u << 20)	/* of the buffer */
#define PLACES	8
#define RANGES	32

/* Owners are told apart by address */
static char owner[PLACES + 2];

static uint8_t opt[TCP_SACK_OPTION_MAX];

/* The byte that stands at a sequence number */
static uint8_t byte_at(uint32_t seq)
{
	return (uint8_t)(seq * 167 >> 3 ^ seq);
}

static void keep(const void *o, uint32_t nxt, uint32_t seq, size_t len, bool fin,
		 usec_t now)
{
	uint8_t *b = malloc(len + 1);
	struct iovec iov[2] = { { b, len / 3 }, { b + len / 3, len - len / 3 } };
	struct tcp_sack_seg s = { seq, { iov, 2, 0, len }, fin };

	for (size_t i = 0; i < len; i++)
		b[i] = byte_at(seq + (uint32_t)i);
	tcp_sack_keep(o, nxt, &s, now);
	free(b);
}

/* What follows nxt, taken; its bytes are right. Return: how many */
static size_t take(const void *o, uint32_t nxt, bool *fin)
{
	struct iovec iov[2];
	unsigned n = tcp_sack_next(o, nxt, iov, fin);
	size_t len = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *b = iov[i].iov_base;

		CHECK(iov[i].iov_len);
		for (size_t j = 0; j < iov[i].iov_len; j++, len++) {
			if (b[j] != byte_at(nxt + (uint32_t)len)) {
				CHECK(!"another byte");
				return len;
			}
		}
	}
	tcp_sack_taken(o, nxt + (uint32_t)len);
	if (*fin)
		tcp_sack_forget(o);
	return len;
}

/* The option's blocks; from and to of the first n are as told */
static void told(const void *o, unsigned n, const uint32_t *edges)
{
	memset(opt, 0xee, sizeof(opt));
	CHECK_EQ(tcp_sack_option(o, 0, opt), n ? 4 + 8 * n : 0);
	if (!n)
		return;
	CHECK_EQ(get_be32(opt), 0x01010500 + 2 + 8 * n);
	for (unsigned i = 0; i < 2 * n; i++)
		CHECK_EQ(get_be32(opt + 4 + 4 * i), edges[i]);
}

#define TOLD(o, ...)							\
	do {								\
		uint32_t e_[] = { __VA_ARGS__ };			\
									\
		told(o, sizeof(e_) / sizeof(e_[0]) / 2, e_);		\
	} while (0)

static void forget_all(void)
{
	for (unsigned i = 0; i < sizeof(owner); i++)
		tcp_sack_forget(owner + i);
}

TEST(one_gap)
{
	bool fin;

	CHECK(!tcp_sack_any(owner));
	told(owner, 0, NULL);
	keep(owner, 100, 200, 50, false, 0);
	CHECK(tcp_sack_any(owner));
	CHECK(!tcp_sack_any(owner + 1));
	TOLD(owner, 200, 250);
	CHECK_EQ(take(owner, 100, &fin), 0);
	TOLD(owner, 200, 250);
	/* what fills the gap reaches into what is kept */
	CHECK_EQ(take(owner, 210, &fin), 40);
	CHECK(!fin);
	CHECK(!tcp_sack_any(owner));
	told(owner, 0, NULL);
}

/* RFC 2018 4: the one changed last stands first, up to four of them */
TEST(order_of_blocks)
{
	for (uint32_t i = 0; i < 5; i++)
		keep(owner, 0, 100 + 100 * i, 10, false, 0);
	TOLD(owner, 500, 510, 400, 410, 300, 310, 200, 210);
	keep(owner, 0, 210, 5, false, 0);
	TOLD(owner, 200, 215, 500, 510, 400, 410, 300, 310);
	/* from before one into another: one of three */
	keep(owner, 0, 290, 120, false, 0);
	TOLD(owner, 290, 410, 200, 215, 500, 510, 100, 110);
	/* all of it was there already */
	keep(owner, 0, 502, 3, false, 0);
	TOLD(owner, 500, 510, 290, 410, 200, 215, 100, 110);
	/* what is next was refused: it is kept, but there is no gap before it */
	keep(owner, 0, 700, 1, false, 0);
	tcp_sack_taken(owner, 200);
	CHECK(tcp_sack_waits(owner, 200));
	CHECK(!tcp_sack_waits(owner, 199));
	CHECK_EQ(tcp_sack_option(owner, 200, opt), 4 + 8 * 3);
	CHECK_EQ(get_be32(opt + 4), 700);
	CHECK_EQ(get_be32(opt + 12), 500);
	CHECK_EQ(get_be32(opt + 20), 290);
	tcp_sack_taken(owner, 505);
	CHECK(tcp_sack_waits(owner, 505));
	CHECK_EQ(tcp_sack_option(owner, 505, opt), 4 + 8);
	TOLD(owner, 700, 701, 505, 510);
	tcp_sack_taken(owner, 510);
	TOLD(owner, 700, 701);
	tcp_sack_taken(owner, 700);
	CHECK_EQ(tcp_sack_option(owner, 700, opt), 0);
	tcp_sack_taken(owner, 701);
	CHECK(!tcp_sack_any(owner));
}

TEST(bounds)
{
	bool fin;

	/* beyond what is kept, and across its end */
	keep(owner, 0, SPAN, 10, false, 0);
	CHECK(!tcp_sack_any(owner));
	keep(owner, 0, SPAN - 5, 10, true, 0);
	TOLD(owner, SPAN - 5, SPAN - 1);
	CHECK_EQ(take(owner, SPAN - 5, &fin), 4);
	CHECK(!fin);
	keep(owner, 0, SPAN - 1, 1, true, 0);
	CHECK(!tcp_sack_any(owner));
	/* nothing at all */
	keep(owner, 0, 10, 0, false, 0);
	CHECK(!tcp_sack_any(owner));
	/* too many ranges: those that there are stay, and still grow */
	for (uint32_t i = 0; i < RANGES + 3; i++)
		keep(owner, 0, 10 + 10 * i, 1, false, 0);
	for (uint32_t i = 0; i < RANGES + 3; i++)
		keep(owner, 0, 11 + 10 * i, 1, false, 0);
	for (uint32_t i = 0; i < RANGES; i++)
		CHECK_EQ(take(owner, 10 + 10 * i, &fin), 2);
	CHECK(!tcp_sack_any(owner));
	/* what is one too many is not there: nor is its FIN */
	for (uint32_t i = 0; i < RANGES; i++)
		keep(owner, 0, 10 + 10 * i, 1, false, 0);
	keep(owner, 0, 5, 1, true, 0);
	keep(owner, 0, 6, 5, false, 0);
	CHECK_EQ(take(owner, 6, &fin), 5);
	CHECK(!fin);
	forget_all();
}

TEST(fin_is_last)
{
	bool fin;

	/* alone */
	keep(owner, 0, 10, 0, true, 0);
	TOLD(owner, 10, 11);
	CHECK_EQ(take(owner, 10, &fin), 0);
	CHECK(fin);
	CHECK(!tcp_sack_any(owner));
	/* behind data, before which there is a gap; then data across both */
	keep(owner, 0, 20, 10, true, 0);
	TOLD(owner, 20, 31);
	CHECK_EQ(take(owner, 0, &fin), 0);
	CHECK(!fin);
	keep(owner, 0, 10, 12, false, 0);
	TOLD(owner, 10, 31);
	CHECK_EQ(take(owner, 10, &fin), 20);
	CHECK(fin);
	CHECK(!tcp_sack_any(owner));
	/* data behind a FIN is nobody's; and gone with it */
	keep(owner, 0, 20, 10, true, 0);
	keep(owner, 0, 31, 10, false, 0);
	CHECK_EQ(take(owner, 20, &fin), 10);
	CHECK(fin);
	CHECK(!tcp_sack_any(owner));
	/* a FIN that was passed over is none of what comes after */
	keep(owner, 0, 20, 0, true, 0);
	keep(owner, 0, 50, 10, false, 0);
	tcp_sack_taken(owner, 30);
	keep(owner, 30, 40, 10, false, 0);
	CHECK_EQ(take(owner, 40, &fin), 20);
	CHECK(!fin);
	keep(owner, 0, 20, 0, true, 0);
	keep(owner, 0, 60, 1, false, 0);
	tcp_sack_taken(owner, 30);
	keep(owner, 30, 50, 0, true, 0);
	CHECK_EQ(take(owner, 50, &fin), 0);
	CHECK(fin);
	forget_all();
}

/* Of two in different places the first counts: where one is, no byte was had */
TEST(second_fin_is_none)
{
	bool fin;

	keep(owner, 0, 20, 20, true, 0);
	keep(owner, 0, 41, 9, true, 0);
	TOLD(owner, 20, 50);
	CHECK_EQ(take(owner, 20, &fin), 20);
	CHECK(fin);
	keep(owner, 0, 41, 9, true, 0);
	keep(owner, 0, 20, 20, true, 0);
	keep(owner, 0, 60, 0, true, 0);
	TOLD(owner, 20, 40, 41, 51);
	keep(owner, 0, 40, 1, false, 0);
	CHECK_EQ(take(owner, 20, &fin), 30);
	CHECK(fin);
	/* the same again is the same */
	keep(owner, 0, 20, 10, true, 0);
	keep(owner, 0, 40, 5, false, 0);
	keep(owner, 0, 30, 0, true, 0);
	TOLD(owner, 20, 31, 40, 45);
	keep(owner, 0, 25, 5, true, 0);
	CHECK_EQ(take(owner, 20, &fin), 10);
	CHECK(fin);
}

/* All places are taken: the one that has stood still longest is given away */
TEST(places)
{
	bool fin;

	for (unsigned i = 0; i < PLACES; i++)
		keep(owner + i, 0, 10, 1, i == 1, 1000 + i);
	keep(owner + PLACES, 0, 10, 1, false, USEC_PER_SEC);
	CHECK(!tcp_sack_any(owner + PLACES));
	/* what moves keeps its own */
	keep(owner, 0, 12, 1, false, USEC_PER_SEC);
	keep(owner + PLACES, 0, 20, 1, false, USEC_PER_SEC + 1001);
	CHECK(tcp_sack_any(owner + PLACES));
	CHECK(!tcp_sack_any(owner + 1));
	CHECK(tcp_sack_any(owner));
	/* and nothing of the one before is there */
	TOLD(owner + PLACES, 20, 21);
	keep(owner + PLACES, 0, 10, 10, false, USEC_PER_SEC + 1001);
	CHECK_EQ(take(owner + PLACES, 10, &fin), 11);
	CHECK(!fin);
	keep(owner + PLACES, 0, 10, 1, false, USEC_PER_SEC + 1001);
	/* no other has stood still for so long yet */
	keep(owner + 1, 0, 10, 1, false, USEC_PER_SEC + 1001);
	CHECK(!tcp_sack_any(owner + 1));
	/* a free one is taken first */
	tcp_sack_forget(owner + 5);
	keep(owner + 1, 0, 10, 1, false, USEC_PER_SEC + 1001);
	for (unsigned i = 0; i <= PLACES; i++)
		CHECK_EQ(tcp_sack_any(owner + i), i != 5);
	forget_all();
	CHECK(!tcp_sack_any(owner));
}

/* Whatever comes, in whatever order, around the wrap of both numbers */
static void random_stream(unsigned seed)
{
	static bool have[SPAN];
	uint32_t base = 0u - SPAN / 2 - seed * 977, nxt = base, end = base + SPAN;
	unsigned kept = 0;

	srandom(seed);
	memset(have, 0, sizeof(have));
	while (nxt != end) {
		uint32_t at = nxt + 1 + (uint32_t)random() % (SPAN / 8);
		uint32_t len = 1 + (uint32_t)random() % (SPAN / 64), n = 0;
		bool fin;

		if (random() % 8 && at - base + len <= end - base) {
			keep(owner, nxt, at, len, false, 0);
			kept++;
			if (tcp_sack_option(owner, nxt, opt) &&
			    get_be32(opt + 4) - base <= at - base &&
			    get_be32(opt + 8) - base >= at + len - base)
				memset(have + (at - base), 1, len);
			continue;
		}
		/* some comes in order, and what follows it was there */
		nxt += len < end - nxt ? len : end - nxt;
		while (nxt + n != end && have[nxt + n - base])
			n++;
		CHECK_EQ(take(owner, nxt, &fin), n);
		nxt += n;
	}
	CHECK(kept);
	CHECK(!tcp_sack_any(owner));
}

TEST(model)
{
	for (unsigned seed = 0; seed < 6; seed++)
		random_stream(seed);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
