// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of link/coalesce.c */
#include "link/coalesce.h"

#include "test/unit/unit.h"

#define MTU	1400

static usec_t now = 1000000;

/* Frames of @len bytes, @gap usec apart, for @ms: how long the next may wait */
static usec_t stream(unsigned len, usec_t gap, unsigned ms)
{
	usec_t wait = 0;

	for (usec_t end = now + ms * USEC_PER_MSEC; now < end; now += gap) {
		coalesce_received(1, len);
		wait = coalesce_wait(true, now);
	}
	return wait;
}

static void setup(void)
{
	coalesce_sent();
	CHECK_EQ(coalesce_wait(true, now), 0);
}

TEST(a_stream_waits)
{
	setup();
	CHECK_EQ(stream(MTU, 50, 3), 0);
	CHECK_EQ(stream(MTU, 50, 20), 500);
}

/* Though what waits comes at once, and is told of that much later */
TEST(a_stream_that_waits_goes_on_waiting)
{
	setup();
	CHECK_EQ(stream(MTU, 50, 20), 500);
	for (unsigned i = 0; i < 1000; i++) {
		now += 600;
		coalesce_received(12, 12 * MTU);
		CHECK_EQ(coalesce_wait(true, now), 500);
	}
}

TEST(a_few_do_not)
{
	setup();
	CHECK_EQ(stream(MTU, 140, 100), 0);
	CHECK_EQ(stream(60, 1000, 100), 0);
}

/* A socket that fills up would hold up whoever sends */
TEST(large_or_many_wait_less)
{
	setup();
	CHECK_EQ(stream(MTU, 10, 20) / 10, 27);
	CHECK_EQ(stream(15360, 40, 20) / 10, 16);
	/* less than the timer can tell */
	CHECK_EQ(stream(MTU, 2, 20), 0);
	CHECK_EQ(stream(65507, 100, 20), 0);
}

TEST(an_answer_ends_it)
{
	setup();
	CHECK_EQ(stream(MTU, 50, 20), 500);
	coalesce_sent();
	CHECK_EQ(stream(MTU, 50, 3), 0);
	CHECK_EQ(stream(MTU, 50, 3), 500);
}

TEST(another_kind_ends_it)
{
	setup();
	CHECK_EQ(stream(MTU, 50, 20), 500);
	coalesce_received(2, MTU + 66);
	CHECK_EQ(coalesce_wait(false, now), 0);
	CHECK_EQ(stream(MTU, 50, 3), 0);
	CHECK_EQ(stream(MTU, 50, 3), 500);
}

TEST(a_pause_ends_it)
{
	setup();
	CHECK_EQ(stream(MTU, 50, 20), 500);
	now += 9 * USEC_PER_MSEC;
	CHECK_EQ(stream(MTU, 50, 1), 0);
	CHECK_EQ(stream(MTU, 50, 4), 500);
}

/* Fewer than pay for it, though they never pause */
TEST(a_stream_that_slows_down_waits_no_more)
{
	setup();
	CHECK_EQ(stream(MTU, 50, 20), 500);
	CHECK_EQ(stream(MTU, 500, 20), 0);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
