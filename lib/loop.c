// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop: an epoll set with watches embedded in their owners
 *
 * Who sleeps is woken late: on a virtual machine, and on a processor that saves
 * power, that takes longer than all our work for a request and its answer. So,
 * if asked to, where one turn follows another closely we look for events a while
 * before we sleep, as long as that finds some; where it does not, it costs a look
 * in a while (as KVM's halt polling, Documentation/virt/kvm/halt-polling.rst).
 * After a turn that took long none does: see LOOP_SHORT.
 *
 * State: the epoll descriptor, whether looking pays, and the events of the turn
 * under way. An event is forgotten when its watch is deleted, so a watch that is
 * deleted and added anew within a turn (the next client in the place of the
 * last), or by a timer before the events are dispatched, never sees what was
 * meant for its predecessor.
 *
 * Sources: epoll(7), epoll_ctl(2).
 */
#include "lib/loop.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

/** Most events of one turn */
#define LOOP_EVENTS 256

/** Turns further apart are not worth looking for, usec */
#define LOOP_CLOSE	60
/**
 * A turn that takes longer moves bulk data, usec: the guest, which makes that
 * data or takes it, needs the processor
 */
#define LOOP_SHORT	20
/** Looks before sleep: as long as a few wake-ups take */
#define LOOP_LOOKS	200
/** Confidence in looking: what finds adds 1, what does not takes 2 */
#define LOOP_TRUST_MAX	8
#define LOOP_TRUST_LOSS	2
/** Without any, one sleep of so many begins with a look */
#define LOOP_TRIAL	64

static int loop_fd = -1;
static struct epoll_event loop_events[LOOP_EVENTS];
/* The events not yet dispatched: [loop_next, loop_count) */
static int loop_next;
static int loop_count;
static usec_t loop_last;
static bool loop_looks;
static bool loop_is_close;
static unsigned loop_trust;
static unsigned loop_sleeps;

/**
 * loop_init() - Make the epoll set
 * Return: 0, or a negative error code of epoll_create1(2)
 */
int loop_init(void)
{
	if (loop_fd >= 0)
		close(loop_fd);
	loop_next = loop_count = 0;
	loop_looks = loop_is_close = false;
	loop_trust = loop_sleeps = 0;
	loop_fd = epoll_create1(EPOLL_CLOEXEC);
	return loop_fd < 0 ? -errno : 0;
}

static int loop_ctl(int op, struct watch *w, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	return epoll_ctl(loop_fd, op, w->fd, &e) ? -errno : 0;
}

/**
 * loop_add() - Watch a descriptor
 * @w:		watch, its @fd and @fn set; stays in place until deleted
 * @events:	EPOLL* bits
 * Return: 0, or a negative error code of epoll_ctl(2)
 */
int loop_add(struct watch *w, uint32_t events)
{
	return loop_ctl(EPOLL_CTL_ADD, w, events);
}

/**
 * loop_mod() - Watch for other events; an edge that stands is told again
 * @w:		watch that was added
 * @events:	EPOLL* bits
 * Return: 0, or a negative error code of epoll_ctl(2)
 */
int loop_mod(struct watch *w, uint32_t events)
{
	return loop_ctl(EPOLL_CTL_MOD, w, events);
}

/**
 * loop_del() - Watch no more; to be called before the descriptor is closed
 * @w:		watch; its @fn is NULL from here on, and it is not called any
 *		more, in this turn neither
 */
void loop_del(struct watch *w)
{
	loop_ctl(EPOLL_CTL_DEL, w, 0);
	w->fn = NULL;
	for (int i = loop_next; i < loop_count; i++) {
		if (loop_events[i].data.ptr == w)
			loop_events[i].data.ptr = NULL;
	}
}

/**
 * loop_look_first() - From here on, look for events a while before sleep
 *
 * For who is woken by other processes of this machine that then wait for us, and
 * not where an emulator needs every processor there is.
 */
void loop_look_first(void)
{
	loop_looks = true;
}

static bool loop_may_look(void)
{
	return loop_looks && loop_is_close &&
	       clock_now() - loop_last < LOOP_SHORT &&
	       (loop_trust || !(loop_sleeps++ % LOOP_TRIAL));
}

/* Return: as epoll_wait(2) */
static int loop_look(void)
{
	int n = 0;

	for (unsigned i = 0; i < LOOP_LOOKS && !n; i++)
		n = epoll_wait(loop_fd, loop_events, LOOP_EVENTS, 0);
	if (!n)
		loop_trust -= loop_trust < LOOP_TRUST_LOSS ? loop_trust :
							     LOOP_TRUST_LOSS;
	else if (loop_trust < LOOP_TRUST_MAX)
		loop_trust++;
	return n;
}

/**
 * loop_wait() - Sleep until something happens
 * @timeout_ms:	milliseconds at most; 0: do not sleep, -1: no limit
 * Return: number of events, for loop_dispatch(); 0 after a signal, too; or a
 *	   negative error code of epoll_wait(2)
 */
int loop_wait(int timeout_ms)
{
	int n = 0;

	if (timeout_ms && loop_may_look())
		n = loop_look();
	if (!n)
		n = epoll_wait(loop_fd, loop_events, LOOP_EVENTS, timeout_ms);
	loop_next = 0;
	loop_count = n < 0 ? 0 : n;
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n;
}

/**
 * loop_dispatch() - Call the handlers of a turn
 * @n:		what loop_wait() returned
 * @now:	the turn's time, microseconds, handed to each
 */
void loop_dispatch(int n, usec_t now)
{
	loop_is_close = now - loop_last < LOOP_CLOSE;
	loop_last = now;
	loop_count = n;
	for (loop_next = 0; loop_next < loop_count;) {
		const struct epoll_event *e = &loop_events[loop_next++];
		struct watch *w = e->data.ptr;

		if (w && w->fn)
			w->fn(w, e->events, now);
	}
	loop_next = loop_count = 0;
}
