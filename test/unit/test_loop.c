// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of lib/loop.c
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/loop.h"
#include "test/unit/unit.h"

#define WATCHES	300

static unsigned waits;
/* The event that a look finds, as if it came then; -1: none does */
static int late_fd = -1;

/* Stands before the C library's: the module's calls are counted */
int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
	if (waits++ && late_fd >= 0)
		eventfd_write(late_fd, 1);
	return epoll_pwait(fd, events, n, timeout, NULL);
}

/* How long the turn before took, and what time it is after it */
static usec_t worked, after;

usec_t clock_now(void)
{
	return after;
}

static struct watch watches[WATCHES];
static unsigned calls[WATCHES];
static uint32_t last_events;
static usec_t last_now;

static unsigned index_of(const struct watch *w)
{
	return (unsigned)(w - watches);
}

static void on_event(struct watch *w, uint32_t events, usec_t now)
{
	calls[index_of(w)]++;
	last_events = events;
	last_now = now;
}

static void begin(unsigned n, watch_fn fn)
{
	CHECK_EQ(loop_init(), 0);
	memset(calls, 0, sizeof(calls));
	for (unsigned i = 0; i < n; i++) {
		watches[i].fn = fn;
		watches[i].fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
		CHECK_EQ(loop_add(&watches[i], EPOLLIN), 0);
	}
}

static void end(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(watches[i].fd);
}

static void turn(usec_t now)
{
	int n = loop_wait(0);

	CHECK(n >= 0);
	loop_dispatch(n, now);
}

TEST(add_mod_del)
{
	begin(1, on_event);
	turn(42);
	CHECK_EQ(calls[0], 1);
	CHECK_EQ(last_events, EPOLLIN);
	CHECK_EQ(last_now, 42);
	CHECK_EQ(loop_add(&watches[0], EPOLLIN), -EEXIST);
	CHECK_EQ(loop_mod(&watches[0], EPOLLOUT), 0);
	turn(43);
	CHECK_EQ(last_events, EPOLLOUT);
	loop_del(&watches[0]);
	CHECK(!watches[0].fn);
	turn(44);
	CHECK_EQ(calls[0], 2);
	CHECK_EQ(loop_mod(&watches[0], EPOLLIN), -ENOENT);
	end(1);
}

static void on_late(struct watch *w, uint32_t events, usec_t now)
{
	eventfd_t v;

	on_event(w, events, now);
	eventfd_read(w->fd, &v);
}

/* Turns that many usec apart: how often is looked before something is there */
static unsigned looks(usec_t *now, usec_t apart)
{
	waits = 0;
	after = *now + worked;
	*now += apart;
	loop_dispatch(loop_wait(1), *now);
	return waits;
}

TEST(looks_before_it_sleeps)
{
	usec_t now = 1000000;
	unsigned sleeps = 0;

	begin(1, on_late);
	/* Not unless asked to */
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(looks(&now, 10), 1);
	loop_look_first();
	looks(&now, 5000);
	/* Not before the first turn, nor after a long pause */
	looks(&now, 0);
	CHECK_EQ(waits, 1);
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(looks(&now, 5000), 1);

	/* In close turns without events: once in a while */
	looks(&now, 10);
	for (unsigned i = 0; i < 640; i++)
		sleeps += looks(&now, 10) == 1;
	CHECK_EQ(sleeps, 630);

	/* Events that come while it looks: always, and none of them is lost */
	late_fd = watches[0].fd;
	for (unsigned i = 0; i < 64; i++)
		looks(&now, 10);
	calls[0] = 0;
	for (unsigned i = 0; i < 100; i++)
		CHECK_EQ(looks(&now, 10), 2);
	CHECK_EQ(calls[0], 100);

	/* Not after a turn that moved much, whatever came before */
	worked = 20;
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(looks(&now, 30), 1);
	worked = 19;
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(looks(&now, 30), 2);
	worked = 0;

	/* A pause ends it, at once; so do events that do not come */
	late_fd = -1;
	CHECK_EQ(looks(&now, 5000), 201);
	CHECK_EQ(looks(&now, 10), 1);
	CHECK_EQ(looks(&now, 10), 201);
	CHECK_EQ(looks(&now, 10), 201);
	CHECK_EQ(looks(&now, 10), 201);
	CHECK_EQ(looks(&now, 10), 1);
	/* Who does not want to sleep does not look either */
	waits = 0;
	CHECK_EQ(loop_wait(0), 0);
	CHECK_EQ(waits, 1);
	end(1);
}

TEST(bad_descriptor)
{
	struct watch w = { .fn = on_event, .fd = -1 };

	CHECK_EQ(loop_init(), 0);
	CHECK_EQ(loop_add(&w, EPOLLIN), -EBADF);
}

static void delete_all_others(struct watch *w, uint32_t events, usec_t now)
{
	on_event(w, events, now);
	for (unsigned i = 0; i < 4; i++) {
		if (&watches[i] != w)
			loop_del(&watches[i]);
	}
}

TEST(deleted_in_turn_is_not_called)
{
	unsigned total = 0;

	begin(4, delete_all_others);
	turn(1);
	for (unsigned i = 0; i < 4; i++)
		total += calls[i];
	CHECK_EQ(total, 1);
	end(4);
}

static struct watch *reused;

static void replace_other(struct watch *w, uint32_t events, usec_t now)
{
	struct watch *other = &watches[!index_of(w)];

	on_event(w, events, now);
	if (reused)
		return;
	loop_del(other);
	reused = other;
	other->fn = on_event;
	CHECK_EQ(loop_add(other, EPOLLOUT), 0);
}

TEST(added_anew_in_turn_sees_its_own_events_only)
{
	begin(2, replace_other);
	turn(1);
	CHECK(reused);
	CHECK_EQ(calls[index_of(reused)], 0);
	loop_del(&watches[!index_of(reused)]);
	turn(2);
	CHECK_EQ(calls[index_of(reused)], 1);
	CHECK_EQ(last_events, EPOLLOUT);
	end(2);
}

static void delete_self(struct watch *w, uint32_t events, usec_t now)
{
	on_event(w, events, now);
	loop_del(w);
}

TEST(more_than_one_turn_holds)
{
	unsigned total = 0;

	begin(WATCHES, delete_self);
	turn(1);
	turn(2);
	for (unsigned i = 0; i < WATCHES; i++) {
		CHECK_EQ(calls[i], 1);
		total += calls[i];
	}
	CHECK_EQ(total, WATCHES);
	end(WATCHES);
}

static void on_alarm(int sig)
{
	(void)sig;
}

TEST(signal_is_no_event)
{
	struct itimerval t = { .it_value.tv_usec = 10000 };
	struct sigaction sa = { .sa_handler = on_alarm };

	CHECK_EQ(loop_init(), 0);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
	CHECK_EQ(loop_wait(5000), 0);
	CHECK_EQ(loop_wait(1), 0);
}

TEST(out_of_descriptors)
{
	struct rlimit was, none;

	CHECK(!getrlimit(RLIMIT_NOFILE, &was));
	none = (struct rlimit){ 0, was.rlim_max };
	CHECK(!setrlimit(RLIMIT_NOFILE, &none));
	CHECK_EQ(loop_init(), -EMFILE);
	CHECK(!setrlimit(RLIMIT_NOFILE, &was));
	CHECK(loop_init() >= 0);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
