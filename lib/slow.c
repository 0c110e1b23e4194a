// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slow: a bound on what slow system calls take of a turn
 *
 * State: the last turn in which a call was slow, and what such calls took then;
 * the last one in which that was too much. Fast ones do not count, however many
 * they are.
 */
#include "lib/slow.h"

#include <time.h>

static usec_t slow_turn;
static usec_t slow_spent;
static usec_t slow_over;

/**
 * slow_held() - Whether enough of a turn has gone into slow calls
 * @now:	turn's time, usec
 * Return: true if others have waited long enough for those already
 */
bool slow_held(usec_t now)
{
	return slow_turn == now && slow_spent > SLOW_TURN;
}

/**
 * slow_lately() - Whether enough of a turn has gone into slow calls lately
 * @now:	turn's time, usec
 * Return: true if so, within the last second: who cannot stop amid what was
 *	   begun begins with little
 */
bool slow_lately(usec_t now)
{
	return slow_over && now < slow_over + USEC_PER_SEC;
}

/**
 * slow_clock() - Time that this thread has worked
 *
 * On a busy machine a call may take long because others had the processor.
 *
 * Return: microseconds
 */
usec_t slow_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (usec_t)t.tv_sec * USEC_PER_SEC + (usec_t)t.tv_nsec / 1000;
}

/**
 * slow_call() - Count a call that took so long
 * @now:	turn's time, usec
 * @took:	how long it took by slow_clock(), usec
 */
void slow_call(usec_t now, usec_t took)
{
	if (took <= SLOW_CALL)
		return;
	if (slow_turn != now)
		slow_spent = 0;
	slow_turn = now;
	slow_spent += took;
	if (slow_spent > SLOW_TURN)
		slow_over = now;
}

/**
 * slow_done() - Count a call that ends now
 * @now:	turn's time, usec
 * @start:	slow_clock() before it
 */
void slow_done(usec_t now, usec_t start)
{
	slow_call(now, slow_clock() - start);
}
