/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timer: one timing wheel behind one timerfd
 *
 * Arming and cancelling cost O(1) and no system call; the timerfd (absolute,
 * CLOCK_MONOTONIC) is set at most once a turn of the loop, by timer_sleep().
 * A timer is embedded in its owner and fires once. Resolution: 128 us; never
 * early, at most one tick late plus scheduling.
 */
#ifndef LIB_TIMER_H
#define LIB_TIMER_H

#include <stdbool.h>
#include <stdint.h>

/** Microseconds of CLOCK_MONOTONIC: a point in time, or a length of it */
typedef uint64_t usec_t;

#define USEC_PER_SEC	1000000ULL
#define USEC_PER_MSEC	1000ULL

struct timer;

/** Called once when due, with the timer already disarmed */
typedef void (*timer_fn)(struct timer *t, usec_t now);

/**
 * struct timer - embedded in its owner; zeroed is disarmed
 * @next:	next in the wheel's slot
 * @pprev:	what points to us; NULL while not armed
 * @due:	when it fires
 * @fn:		what it calls, set by the owner
 */
struct timer {
	struct timer *next;
	struct timer **pprev;
	usec_t due;
	timer_fn fn;
};

usec_t clock_now(void);
int timer_init(usec_t now);
void timer_arm(struct timer *t, usec_t due);
void timer_cancel(struct timer *t);
void timer_run(usec_t now);
usec_t timer_next(void);
void timer_sleep(void);

static inline bool timer_armed(const struct timer *t)
{
	return t->pprev;
}

#endif /* LIB_TIMER_H */
