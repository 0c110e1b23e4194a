// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pipes: a pool of pipes for splice(2)
 *
 * State: the pipes at hand, and how many are lent. A user without privileges
 * has room for some 16384 pages in all pipes together (pipe(7),
 * pipe-user-pages-soft); past that, new pipes have two pages and cannot grow.
 * Such a pipe is of no use here: it counts as none. And other programs are to
 * have theirs: no pipe is made before it is needed.
 *
 * Invariant: pipes at hand are empty, and take PIPES_BYTES.
 */
#include "lib/pipes.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

/** Pipes kept at hand, once they were made */
#define PIPES_KEPT	16
/** Of the descriptors that we may have, at most one in so many is for these */
#define PIPES_SHARE	32
/** Size asked for these, bytes; others are left at the default, PIPES_BYTES */
#define PIPES_WANTED	(512 * 1024)

static struct pipe_ends pipes_kept[PIPES_KEPT];
static unsigned pipes_count;
static unsigned pipes_lent;
/* How many are kept */
static unsigned pipes_most = PIPES_KEPT;

static void pipes_close(const struct pipe_ends *p)
{
	close(p->rd);
	close(p->wr);
}

static bool pipes_make(struct pipe_ends *p)
{
	bool large = pipes_lent + pipes_count < pipes_most;
	int fd[2];

	if (pipe2(fd, O_NONBLOCK | O_CLOEXEC))
		return false;
	*p = (struct pipe_ends){ fd[0], fd[1] };
	if ((large && fcntl(p->wr, F_SETPIPE_SZ, PIPES_WANTED) > 0) ||
	    fcntl(p->wr, F_GETPIPE_SZ) >= PIPES_BYTES)
		return true;
	pipes_close(p);
	return false;
}

/**
 * pipes_init() - Find out how many pipes may be kept at hand
 */
void pipes_init(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) ||
	    r.rlim_cur / PIPES_SHARE / 2 >= PIPES_KEPT)
		return;
	pipes_most = (unsigned)(r.rlim_cur / PIPES_SHARE / 2);
	if (!pipes_most)
		pipes_most = 1;
}

/**
 * pipes_ready() - Whether a pipe can be had now
 * Return: true: pipes_take() is sure to succeed
 */
bool pipes_ready(void)
{
	if (pipes_lent == PIPES_LENT)
		return false;
	if (!pipes_count && pipes_make(&pipes_kept[0]))
		pipes_count = 1;
	return pipes_count;
}

/**
 * pipes_take() - Borrow an empty pipe
 * @p:		set to the pipe
 * Return: false if there is none: too many lent, no descriptors, no memory
 */
bool pipes_take(struct pipe_ends *p)
{
	if (!pipes_ready())
		return false;
	*p = pipes_kept[--pipes_count];
	pipes_lent++;
	return true;
}

/**
 * pipes_give() - Give a pipe back
 * @p:		from pipes_take(), empty
 */
void pipes_give(const struct pipe_ends *p)
{
	assert(pipes_lent);
	pipes_lent--;
	if (pipes_count < pipes_most)
		pipes_kept[pipes_count++] = *p;
	else
		pipes_close(p);
}

/**
 * pipes_drop() - Give a pipe back that may have something in it
 * @p:		from pipes_take(); its contents are lost
 */
void pipes_drop(const struct pipe_ends *p)
{
	assert(pipes_lent);
	pipes_lent--;
	pipes_close(p);
}
