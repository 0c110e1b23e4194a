// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * timer: one timing wheel behind one timerfd
 *
 * State: the wheel, the tick it stands at, and what the timerfd is set to.
 *
 * A tick is 128 us. Four levels of 256 slots; a slot of level l spans 256^l
 * ticks, so the wheel reaches 2^32 ticks, six days; what is due later waits at
 * its end and is placed anew from there.
 *
 *	level 0   |.|.|x|.|.|x| ...   a slot is a tick: its timers fire together
 *	level 1   |   x   |   | ...   a slot is spread over level 0 when the
 *	level 2   |           | ...   wheel comes to its first tick, and so on
 *
 * Invariants: whatever is in the wheel is due after the tick it stands at; a
 * timer lies at the lowest level that reaches it from there when placed, 1 to
 * 256 slots ahead. A bit per slot says that it may hold timers (cancelling
 * does not clear it, looking does), so that empty time is jumped over: a run
 * costs what fires and what is spread, however long the time since the last.
 * Per slot the least due time of what was put there is kept, a lower bound
 * after a cancel: the timerfd wakes us for timers, not to turn the wheel.
 *
 * Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987),
 * scheme 7; timerfd_create(2).
 */
#include "lib/timer.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define TICK_SHIFT	7
#define LEVELS		4
#define SLOT_BITS	8
#define SLOTS		(1U << SLOT_BITS)
#define SLOT_MASK	(SLOTS - 1)
/** Ticks that the wheel reaches ahead */
#define RANGE		(1ULL << (LEVELS * SLOT_BITS))
#define NEVER		UINT64_MAX

struct wheel_slot {
	struct timer *head;
	usec_t least;
};

static struct wheel_slot wheel[LEVELS][SLOTS];
static uint64_t wheel_bits[LEVELS][SLOTS / 64];
/* The tick up to which everything has fired */
static uint64_t wheel_tick;
/* Armed for a time that is already past: fire in the next run */
static struct timer *wheel_overdue;
static int timer_fd = -1;
/* What the timerfd is set to; NEVER: not at all */
static usec_t timer_fd_set;

/**
 * clock_now() - Read the clock
 * Return: CLOCK_MONOTONIC, microseconds
 */
usec_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (usec_t)t.tv_sec * USEC_PER_SEC + (usec_t)t.tv_nsec / 1000;
}

/**
 * timer_init() - Empty the wheel and make the timerfd
 * @now:	now, microseconds
 *
 * The timerfd becomes readable when timer_run() has something to do. Watch it
 * for EPOLLIN; it need not be read, timer_sleep() takes the event back.
 *
 * Return: the timerfd, owned by this module, or a negative error code of
 *	   timerfd_create(2)
 */
int timer_init(usec_t now)
{
	memset(wheel, 0, sizeof(wheel));
	memset(wheel_bits, 0, sizeof(wheel_bits));
	wheel_overdue = NULL;
	wheel_tick = now >> TICK_SHIFT;
	timer_fd_set = NEVER;
	if (timer_fd >= 0)
		close(timer_fd);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer_fd < 0)
		return -errno;
	return timer_fd;
}

static void list_add(struct timer **head, struct timer *t)
{
	t->next = *head;
	if (t->next)
		t->next->pprev = &t->next;
	t->pprev = head;
	*head = t;
}

static void list_del(struct timer *t)
{
	*t->pprev = t->next;
	if (t->next)
		t->next->pprev = t->pprev;
	t->pprev = NULL;
}

static struct timer *list_take(struct timer **head)
{
	struct timer *t = *head;

	if (t)
		list_del(t);
	return t;
}

/* Moves a whole list to another, empty head */
static void list_move(struct timer **from, struct timer **to)
{
	*to = *from;
	if (*to)
		(*to)->pprev = to;
	*from = NULL;
}

/* First tick that is not before a time: timers never fire early */
static uint64_t tick_of(usec_t due)
{
	return (due >> TICK_SHIFT) + !!(due & ((1 << TICK_SHIFT) - 1));
}

static void wheel_place(struct timer *t)
{
	uint64_t tick = tick_of(t->due);
	struct wheel_slot *s;
	unsigned level = 0;
	unsigned i;
	usec_t at;

	if (tick <= wheel_tick) {
		list_add(&wheel_overdue, t);
		return;
	}
	if (tick - wheel_tick >= RANGE)
		tick = wheel_tick + RANGE - 1;
	while ((tick - wheel_tick) >> (SLOT_BITS * (level + 1)))
		level++;

	i = (tick >> (SLOT_BITS * level)) & SLOT_MASK;
	s = &wheel[level][i];
	/* Of one beyond the range, when it is to be placed anew */
	at = tick << TICK_SHIFT;
	if (!s->head || at < s->least)
		s->least = at;
	wheel_bits[level][i / 64] |= 1ULL << i % 64;
	list_add(&s->head, t);
}

/**
 * timer_arm() - Set a timer, or set it anew
 * @t:		timer, its @fn set
 * @due:	when it is to fire, microseconds; a time past means the next
 *		timer_run()
 */
void timer_arm(struct timer *t, usec_t due)
{
	timer_cancel(t);
	t->due = due;
	wheel_place(t);
}

/**
 * timer_cancel() - Take a timer out
 * @t:		timer, armed or not
 */
void timer_cancel(struct timer *t)
{
	if (timer_armed(t))
		list_del(t);
}

/* Distance to the next bit set behind @i, going round: 1 to SLOTS, 0: none */
static unsigned bits_next(const uint64_t *bits, unsigned i)
{
	for (unsigned n = 1; n <= SLOTS;) {
		unsigned at = (i + n) & SLOT_MASK;
		uint64_t word = bits[at / 64] >> at % 64;

		if (word)
			return n + (unsigned)__builtin_ctzll(word);
		n += 64 - at % 64;
	}
	return 0;
}

/* The next slot of a level that holds timers, and the tick it is come to */
static struct wheel_slot *level_next(unsigned level, uint64_t *tick)
{
	uint64_t at = wheel_tick >> (SLOT_BITS * level);
	unsigned n;

	while ((n = bits_next(wheel_bits[level], at & SLOT_MASK))) {
		unsigned i = (at + n) & SLOT_MASK;

		if (wheel[level][i].head) {
			*tick = (at + n) << (SLOT_BITS * level);
			return &wheel[level][i];
		}
		wheel_bits[level][i / 64] &= ~(1ULL << i % 64);
	}
	return NULL;
}

/* The next tick at which a slot fires or is spread */
static uint64_t wheel_next_tick(void)
{
	uint64_t next = NEVER, tick;

	for (unsigned level = 0; level < LEVELS; level++) {
		if (level_next(level, &tick) && tick < next)
			next = tick;
	}
	return next;
}

/* Spreads over the lower levels what they now reach */
static void wheel_spread(struct timer **due)
{
	for (unsigned level = LEVELS - 1; level; level--) {
		unsigned shift = SLOT_BITS * level;
		struct wheel_slot *s;
		struct timer *t, *list;

		if (wheel_tick & ((1ULL << shift) - 1))
			continue;
		s = &wheel[level][(wheel_tick >> shift) & SLOT_MASK];
		list_move(&s->head, &list);
		while ((t = list_take(&list))) {
			if (tick_of(t->due) <= wheel_tick)
				list_add(due, t);
			else
				wheel_place(t);
		}
	}
}

static void list_fire(struct timer **list, usec_t now)
{
	struct timer *t;

	/* One by one: a callback may cancel any other */
	while ((t = list_take(list)))
		t->fn(t, now);
}

/**
 * timer_run() - Fire all that is due
 * @now:	now, microseconds
 *
 * In the order they are due, tick by tick; callbacks may arm and cancel any
 * timer, their own too. What they arm for a later tick that is past already
 * fires in this run, what they arm for the tick under way or earlier in the
 * next.
 */
void timer_run(usec_t now)
{
	uint64_t end = now >> TICK_SHIFT, tick;
	struct timer *due;

	list_move(&wheel_overdue, &due);
	list_fire(&due, now);
	while ((tick = wheel_next_tick()) <= end) {
		wheel_tick = tick;
		list_move(&wheel[0][tick & SLOT_MASK].head, &due);
		wheel_spread(&due);
		list_fire(&due, now);
	}
	if (end > wheel_tick)
		wheel_tick = end;
}

/**
 * timer_next() - When there is something to do
 * Return: microseconds; no timer is due before. UINT64_MAX: nothing is armed.
 */
usec_t timer_next(void)
{
	usec_t next = NEVER;
	uint64_t tick;

	if (wheel_overdue)
		return wheel_tick << TICK_SHIFT;
	for (unsigned level = 0; level < LEVELS; level++) {
		const struct wheel_slot *s = level_next(level, &tick);

		if (s && s->least < next)
			next = s->least;
	}
	return next;
}

/**
 * timer_sleep() - Set the timerfd to timer_next(), if it is not yet
 *
 * To be called before each wait. No system call while the next time stays.
 */
void timer_sleep(void)
{
	usec_t next = timer_next();
	struct itimerspec set = { .it_value = { 0 } };

	/* For what is overdue always: an edge-triggered watch needs the edge */
	if (next == timer_fd_set && !wheel_overdue)
		return;
	if (next != NEVER) {
		set.it_value.tv_sec = (time_t)(next / USEC_PER_SEC);
		set.it_value.tv_nsec = (long)(next % USEC_PER_SEC) * 1000;
		/* All zero would stop it */
		set.it_value.tv_nsec += !next;
	}
	if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &set, NULL))
		assert(!"timerfd_settime() failed");
	timer_fd_set = next;
}
