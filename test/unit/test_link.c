// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rules of the loan are held, and what passes is counted
 */
#include "link/link.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/stats.h"
#include "test/unit/memlink.h"
#include "test/unit/unit.h"

static uint64_t stats[STAT_NUM];

void stat_add(enum stat_counter what, uint64_t n)
{
	stats[what] += n;
}

bool drop(enum drop_reason why)
{
	(void)why;
	return false;
}

static const struct link_events events;
static struct loan l[LINK_BATCH];

/* Whether our own mistake ends the process */
static bool aborts(void (*mistake)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		mistake();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void correct(void)
{
	link_reserve(l, 2, 14, 100);
	l[0].len = 100;
	link_commit(l, 1);
}

static void two_loans(void)
{
	link_reserve(l, 2, 14, 100);
	link_reserve(l, 2, 14, 100);
}

static void commit_more(void)
{
	link_commit(l, link_reserve(l, 2, 14, 100) + 1);
}

static void commit_twice(void)
{
	correct();
	link_commit(l, 1);
}

static void payload_beyond_room(void)
{
	link_reserve(l, 1, 14, 100);
	l[0].len = 101;
	link_commit(l, 1);
}

static void frame_too_large(void)
{
	link_reserve(l, 1, 14, 65536);
}

static void batch_too_large(void)
{
	link_reserve(l, LINK_BATCH + 1, 14, 100);
}

TEST(mistakes_end_it)
{
	memlink_init(&events);
	CHECK(!aborts(correct));
	CHECK(aborts(two_loans));
	CHECK(aborts(commit_more));
	CHECK(aborts(commit_twice));
	CHECK(aborts(payload_beyond_room));
	CHECK(aborts(frame_too_large));
	CHECK(aborts(batch_too_large));
}

static usec_t held_until;

static unsigned holds_ended;

static void note_hold(usec_t until)
{
	held_until = until;
	holds_ended += !until;
}

/* @n datagrams, one each 50 usec, from @now on; how long the next is held */
static usec_t stream(unsigned n, usec_t now)
{
	struct frame f[LINK_BATCH];
	uint8_t frame[1400] = { 0 };

	for (; n--; now += 50) {
		held_until = 0;
		memlink_queue(frame, sizeof(frame));
		CHECK_EQ(link_receive(f, LINK_BATCH), 1);
		link_release();
		link_coalesce(true, now);
	}
	return held_until ? held_until - (now - 50) : 0;
}

/* What comes in is counted, what goes out ends it; a link need not be able to */
TEST(streams_of_datagrams_are_held)
{
	struct link_ops holds;

	memlink_init(&events);
	CHECK_EQ(stream(200, 1000000), 0);
	holds = *memlink_link();
	holds.hold = note_hold;
	link_init(&holds, &events);
	CHECK_EQ(stream(200, 2000000), 500);
	holds_ended = 0;
	correct();
	correct();
	CHECK_EQ(holds_ended, 1);
	CHECK_EQ(stream(10, 2010000), 0);
	CHECK_EQ(stream(200, 2010500), 500);
	link_coalesce(false, 2020500);
	CHECK_EQ(stream(10, 2020550), 0);
}

TEST(refused_loan_needs_no_commit)
{
	memlink_init(&events);
	memlink_set_room(0);
	CHECK_EQ(link_reserve(l, 1, 14, 1), 0);
	memlink_set_room(1);
	CHECK_EQ(link_reserve(l, 1, 14, 1), 1);
	link_commit(l, 0);
	CHECK_EQ(link_reserve(l, 1, 14, 1), 1);
	link_commit(l, 0);
}

TEST(counted)
{
	struct frame f[8];

	memlink_init(&events);
	CHECK(link_events() == &events);
	memset(stats, 0, sizeof(stats));
	memlink_queue("0123456789abcdef", 16);
	memlink_queue("0123456789abcdef", 15);
	CHECK_EQ(link_receive(f, 8), 2);
	link_release();
	CHECK_EQ(link_receive(f, 8), 0);
	correct();
	CHECK_EQ(stats[STAT_FRAMES_IN], 2);
	CHECK_EQ(stats[STAT_BYTES_IN], 31);
	CHECK_EQ(stats[STAT_FRAMES_OUT], 1);
	CHECK_EQ(stats[STAT_BYTES_OUT], 114);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
