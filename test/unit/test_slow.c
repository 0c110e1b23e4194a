// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of lib/slow.c */
#include <time.h>

#include "lib/slow.h"
#include "test/unit/unit.h"

TEST(fast_calls_do_not_count)
{
	for (int i = 0; i < 100000; i++)
		slow_call(1, SLOW_CALL);
	CHECK(!slow_held(1));
}

TEST(slow_ones_hold_up_the_turn)
{
	for (int i = 0; i < 10; i++) {
		CHECK(!slow_held(2));
		slow_call(2, SLOW_TURN / 10);
	}
	CHECK(!slow_held(2));
	slow_call(2, SLOW_CALL + 1);
	CHECK(slow_held(2));
}

TEST(the_next_turn_begins_anew)
{
	slow_call(3, SLOW_TURN + 1);
	CHECK(slow_held(3));
	CHECK(!slow_held(4));
	slow_call(4, SLOW_TURN / 2);
	CHECK(!slow_held(4));
	slow_call(4, SLOW_TURN);
	CHECK(slow_held(4));
}

TEST(too_much_is_remembered_for_a_second)
{
	const usec_t t = 100 * USEC_PER_SEC;

	slow_call(t, SLOW_TURN);
	CHECK(!slow_lately(t + 1));
	slow_call(t, SLOW_CALL + 1);
	CHECK(slow_lately(t + 1));
	slow_call(t + 2, SLOW_CALL + 1);
	CHECK(slow_lately(t + USEC_PER_SEC - 1));
	CHECK(!slow_lately(t + USEC_PER_SEC));
}

TEST(sleep_is_no_work)
{
	const struct timespec t = { .tv_nsec = 20 * 1000 * 1000 };
	usec_t start = slow_clock();

	nanosleep(&t, NULL);
	CHECK(slow_clock() - start < 10 * USEC_PER_MSEC);
	while (slow_clock() - start < 10 * USEC_PER_MSEC)
		;
}

TEST(calls_count_by_their_work)
{
	const struct timespec t = { .tv_nsec = 20 * 1000 * 1000 };
	usec_t start = slow_clock();

	nanosleep(&t, NULL);
	slow_done(5, start);
	CHECK(!slow_held(5));
	start = slow_clock();
	while (slow_clock() - start <= SLOW_TURN)
		;
	slow_done(5, start);
	CHECK(slow_held(5));
	CHECK(!slow_held(6));
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
