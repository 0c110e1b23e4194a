/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link_user: who uses the link in a fuzz target: reads frames to their last
 * byte, sends some, and counts how often the guest came and left
 */
#ifndef TEST_FUZZ_LINK_USER_H
#define TEST_FUZZ_LINK_USER_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/iov.h"
#include "lib/loop.h"
#include "link/link.h"

/** Bytes of the header of each frame that is sent */
#define HLEN	54u

static int ups, downs, stops;
static usec_t now = 1;
static unsigned long long frames;

/* One batch from the guest, none of it longer than that. Return: how many */
static inline unsigned read_batch(size_t longest)
{
	struct frame f[LINK_BATCH];
	static uint8_t copy[65536 + 64];
	unsigned n = link_receive(f, LINK_BATCH);

	for (unsigned i = 0; i < n; i++) {
		struct slice s = { f[i].iov, f[i].cnt, 0, f[i].len };

		assert(f[i].len >= 14 && f[i].len <= longest);
		if (slice_copy(&s, 0, copy, sizeof(copy)) != f[i].len)
			abort();
		frames++;
	}
	if (n)
		link_release();
	return n;
}

static inline void on_writable(usec_t t)
{
	(void)t;
}

static inline void on_up(usec_t t)
{
	(void)t;
	ups++;
}

static inline void on_down(usec_t t)
{
	(void)t;
	downs++;
}

static inline void on_stop(void)
{
	stops++;
}

static inline void turn(void)
{
	now += 1000;
	timer_run(now);
	loop_dispatch(loop_wait(0), now);
	link_flush();
}

static inline void send_frames(unsigned n, size_t room)
{
	struct loan l[LINK_BATCH];
	size_t most = link_caps()->max_frame - HLEN;
	unsigned lent;

	room = room < most ? room : most;
	lent = link_reserve(l, n % (LINK_BATCH + 1), HLEN, room);
	for (unsigned i = 0; i < lent; i++) {
		memset(l[i].hdr, 1, HLEN);
		for (unsigned j = 0; j < l[i].cnt; j++)
			memset(l[i].iov[j].iov_base, 2, l[i].iov[j].iov_len);
		l[i].len = i % 2 ? room : room / 3;
	}
	link_commit(l, lent - lent / 4);
	frames += lent;
}

#endif /* TEST_FUZZ_LINK_USER_H */
