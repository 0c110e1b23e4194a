// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of lib/timer.c: a fake clock, but for those of the timerfd
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/timer.h"
#include "test/unit/unit.h"

#define TICK	128ULL
#define HOUR	(3600 * USEC_PER_SEC)
#define DAY	(24 * HOUR)
#define MANY	2000

static unsigned settime_calls;

/* Stands before the C library's: the module's calls are counted */
int timerfd_settime(int fd, int flags, const struct itimerspec *new,
		    struct itimerspec *old)
{
	settime_calls++;
	return (int)syscall(SYS_timerfd_settime, fd, flags, new, old);
}

struct probe {
	struct timer t;
	unsigned fired;
	usec_t armed_for;
	usec_t fired_at;
};

static usec_t last_due;
static unsigned fired_total;
static bool out_of_order;

static void on_fire(struct timer *t, usec_t now)
{
	struct probe *p = (struct probe *)t;

	CHECK(!timer_armed(t));
	CHECK(now >= p->armed_for);
	if (p->armed_for + TICK <= last_due)
		out_of_order = true;
	last_due = p->armed_for;
	p->fired++;
	p->fired_at = now;
	fired_total++;
}

static struct probe probes[MANY];

static void begin(usec_t now)
{
	memset(probes, 0, sizeof(probes));
	for (int i = 0; i < MANY; i++)
		probes[i].t.fn = on_fire;
	last_due = 0;
	fired_total = 0;
	out_of_order = false;
	CHECK(timer_init(now) >= 0);
}

static void arm(struct probe *p, usec_t due)
{
	p->armed_for = due;
	timer_arm(&p->t, due);
}

/* Runs exactly when timer_next() says, until there is nothing */
static unsigned run_all(usec_t now)
{
	unsigned wakes = 0;
	usec_t next;

	while ((next = timer_next()) != UINT64_MAX) {
		now = next > now ? next : now;
		timer_run(now);
		wakes++;
	}
	return wakes;
}

TEST(fires_once_not_early_and_a_tick_late_at_most)
{
	static const usec_t ahead[] = {
		1, 127, 128, 129, 1000, 32767, 32768, 32769, 8388607, 8388608,
		8388609, 2147483647, 2147483648, 2147483649, HOUR, DAY,
		(1ULL << 39) - 1, 1ULL << 39, (1ULL << 39) + 1,
		6 * DAY, 7 * DAY, 30 * DAY, 400 * DAY,
	};
	static const usec_t start[] = { 0, 1, 127, 128, 5555555, 123 * DAY };

	for (unsigned s = 0; s < sizeof(start) / sizeof(*start); s++) {
		for (unsigned i = 0; i < sizeof(ahead) / sizeof(*ahead); i++) {
			struct probe *p = &probes[0];

			begin(start[s]);
			arm(p, start[s] + ahead[i]);
			CHECK(timer_armed(&p->t));
			run_all(start[s]);
			CHECK_EQ(p->fired, 1);
			CHECK(p->fired_at >= p->armed_for);
			CHECK(p->fired_at < p->armed_for + TICK);
			timer_run(p->fired_at + DAY);
			CHECK_EQ(p->fired, 1);
		}
	}
}

TEST(wakes_for_timers_only)
{
	begin(77);
	arm(&probes[0], 300 * USEC_PER_SEC);
	arm(&probes[1], 7200 * USEC_PER_SEC);
	CHECK_EQ(run_all(77), 2);

	begin(77);
	arm(&probes[0], 100 * DAY);
	CHECK(run_all(77) < 20);
}

TEST(cancel_and_move)
{
	begin(0);
	timer_cancel(&probes[0].t);
	arm(&probes[0], 1000);
	timer_cancel(&probes[0].t);
	CHECK(!timer_armed(&probes[0].t));
	timer_run(DAY);
	CHECK_EQ(probes[0].fired, 0);
	CHECK(timer_next() == UINT64_MAX);

	begin(0);
	arm(&probes[0], 1000);
	arm(&probes[0], 5000);
	timer_run(4999);
	CHECK_EQ(probes[0].fired, 0);
	timer_run(5000 + TICK);
	CHECK_EQ(probes[0].fired, 1);
	arm(&probes[0], DAY);
	arm(&probes[0], 9000);
	timer_run(9000 + TICK);
	CHECK_EQ(probes[0].fired, 2);
	CHECK(timer_next() == UINT64_MAX);
}

TEST(past_fires_in_next_run)
{
	begin(1000000);
	arm(&probes[0], 5);
	arm(&probes[1], 1000000);
	CHECK(timer_next() <= 1000000);
	timer_run(1000000 + TICK);
	CHECK_EQ(probes[0].fired, 1);
	CHECK_EQ(probes[1].fired, 1);
	timer_run(2000000);
	arm(&probes[0], 3);
	/* a clock that stands still, or goes back */
	timer_run(1500000);
	CHECK_EQ(probes[0].fired, 2);
	CHECK(timer_next() == UINT64_MAX);
}

TEST(far_one_does_not_hide_a_nearer)
{
	begin(0);
	arm(&probes[0], 100 * DAY);
	timer_run(5 * DAY);
	arm(&probes[1], 6 * DAY + 12 * HOUR);
	while (!probes[1].fired && timer_next() < 99 * DAY)
		timer_run(timer_next());
	CHECK_EQ(probes[1].fired, 1);
	CHECK(probes[1].fired_at < probes[1].armed_for + TICK);
	CHECK_EQ(probes[0].fired, 0);
}

TEST(never_is_possible)
{
	begin(12345);
	arm(&probes[0], UINT64_MAX);
	CHECK(timer_next() > 5 * DAY);
	for (int i = 0; i < 1000; i++)
		timer_run(timer_next());
	CHECK_EQ(probes[0].fired, 0);
}

static usec_t random_ahead(void)
{
	usec_t span = 1ULL << rand() % 42;

	return ((usec_t)rand() << 20 ^ (usec_t)rand()) % span;
}

/* Against what must hold, whatever is done: due fires, not due does not */
TEST(random_against_model)
{
	usec_t now = 987654321;

	srand(1);
	begin(now);
	for (int round = 0; round < 3000; round++) {
		unsigned before = 0, due = 0;

		for (int i = 0; i < 40; i++) {
			struct probe *p = &probes[rand() % MANY];

			if (rand() % 4)
				arm(p, now + random_ahead());
			else
				timer_cancel(&p->t);
		}
		now += random_ahead() >> rand() % 20;
		for (int i = 0; i < MANY; i++) {
			if (!timer_armed(&probes[i].t))
				continue;
			CHECK(timer_next() <= probes[i].armed_for + TICK);
			due += probes[i].armed_for + TICK <= now;
			before += probes[i].armed_for <= now;
		}
		fired_total = 0;
		last_due = 0;
		timer_run(now);
		CHECK(fired_total >= due && fired_total <= before);
		CHECK(!out_of_order);
	}
}

static struct probe *victim;

static void cancel_other(struct timer *t, usec_t now)
{
	on_fire(t, now);
	timer_cancel(&victim->t);
}

static void rearm_now(struct timer *t, usec_t now)
{
	on_fire(t, now);
	timer_arm(t, now);
}

static void rearm_past(struct timer *t, usec_t now)
{
	on_fire(t, now);
	timer_arm(t, 0);
}

static void every_ms(struct timer *t, usec_t now)
{
	struct probe *p = (struct probe *)t;

	on_fire(t, now);
	if (p->fired < 100)
		arm(p, p->armed_for + 1000);
}

TEST(callbacks_cancel_and_arm)
{
	/* both in one slot: whichever comes first takes the other out */
	begin(0);
	probes[0].t.fn = probes[1].t.fn = cancel_other;
	arm(&probes[0], 1000);
	arm(&probes[1], 1000);
	victim = &probes[0];
	timer_run(2000);
	CHECK_EQ(probes[1].fired, 1);
	CHECK_EQ(probes[0].fired, 0);

	/* the same among the overdue */
	begin(5000);
	probes[0].t.fn = probes[1].t.fn = cancel_other;
	arm(&probes[0], 1000);
	arm(&probes[1], 1000);
	timer_run(5000);
	CHECK_EQ(probes[1].fired, 1);
	CHECK_EQ(probes[0].fired, 0);

	/* itself, for now and for the past: the run ends all the same */
	begin(0);
	probes[0].t.fn = rearm_now;
	probes[1].t.fn = rearm_past;
	arm(&probes[0], 1000);
	arm(&probes[1], 1000);
	timer_run(1024);
	CHECK_EQ(probes[0].fired, 1);
	CHECK_EQ(probes[1].fired, 1);
	CHECK(timer_armed(&probes[0].t) && timer_armed(&probes[1].t));
	probes[0].armed_for = probes[1].armed_for = 0;
	timer_run(1024);
	CHECK_EQ(probes[0].fired, 2);
	CHECK_EQ(probes[1].fired, 2);

	/* a later tick, past already */
	begin(0);
	probes[0].t.fn = every_ms;
	arm(&probes[0], 1000);
	timer_run(HOUR);
	CHECK_EQ(probes[0].fired, 100);
}

TEST(jumps_are_cheap)
{
	usec_t t = clock_now(), now = 0;

	begin(0);
	for (int i = 0; i < 200; i++) {
		arm(&probes[0], now + 10000 * DAY);
		now += 400 * DAY;
		timer_run(now);
	}
	CHECK_EQ(probes[0].fired, 0);
	/* tick by tick this would be a million million steps */
	CHECK(clock_now() - t < 2 * USEC_PER_SEC);
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

TEST(timerfd_wakes_and_is_set_no_more_than_needed)
{
	usec_t now = clock_now();
	struct itimerspec set;
	int fd;

	begin(now);
	fd = timer_init(now);
	settime_calls = 0;
	timer_sleep();
	CHECK_EQ(settime_calls, 0);

	arm(&probes[0], now + 20000);
	arm(&probes[1], now + HOUR);
	timer_sleep();
	timer_sleep();
	CHECK_EQ(settime_calls, 1);
	/* not before its time, which may have come where we had no processor */
	CHECK(!readable(fd, 0) || clock_now() >= probes[0].armed_for);
	CHECK(readable(fd, 10000));
	now = clock_now();
	CHECK(now >= probes[0].armed_for);
	timer_run(now);
	CHECK_EQ(probes[0].fired, 1);
	timer_sleep();
	CHECK_EQ(settime_calls, 2);
	CHECK(!readable(fd, 0));

	arm(&probes[0], now + 2 * HOUR);
	timer_sleep();
	CHECK_EQ(settime_calls, 2);

	timer_cancel(&probes[0].t);
	timer_cancel(&probes[1].t);
	timer_sleep();
	CHECK_EQ(settime_calls, 3);
	CHECK(!timerfd_gettime(fd, &set));
	CHECK(!set.it_value.tv_sec && !set.it_value.tv_nsec);

	arm(&probes[0], 0);
	timer_sleep();
	CHECK(readable(fd, 10000));
}

TEST(clock_runs)
{
	usec_t a = clock_now(), b;

	usleep(2000);
	b = clock_now();
	CHECK(b - a >= 2000 && b - a < 2 * USEC_PER_SEC);
}

TEST(out_of_descriptors)
{
	struct rlimit was, none;

	CHECK(!getrlimit(RLIMIT_NOFILE, &was));
	none = (struct rlimit){ 0, was.rlim_max };
	CHECK(!setrlimit(RLIMIT_NOFILE, &none));
	CHECK_EQ(timer_init(0), -EMFILE);
	CHECK(!setrlimit(RLIMIT_NOFILE, &was));
	CHECK(timer_init(0) >= 0);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
