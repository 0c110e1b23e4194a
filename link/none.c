// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * none: a link that leads nowhere, for a guest that has no interface
 *
 * No state. It is never up, so nobody sends by it; should anybody, nothing is
 * lent, as by a link that is full.
 */
#include "link/none.h"

#include <assert.h>

static unsigned none_receive(struct frame *frames, unsigned max)
{
	(void)frames;
	(void)max;
	return 0;
}

static unsigned none_reserve(struct loan *loans, unsigned n, size_t hlen,
			     size_t room)
{
	(void)loans;
	(void)n;
	(void)hlen;
	(void)room;
	return 0;
}

static void none_commit(struct loan *loans, unsigned n)
{
	(void)loans;
	assert(!n);
}

static void none_nothing(void)
{
}

static const struct link_caps *none_caps(void)
{
	static const struct link_caps caps = { .max_frame = 1514 };

	return &caps;
}

/**
 * none_init() - The link that leads nowhere
 * Return: its operations
 */
const struct link_ops *none_init(void)
{
	static const struct link_ops ops = {
		.name = "none", .receive = none_receive,
		.release = none_nothing, .reserve = none_reserve,
		.commit = none_commit, .flush = none_nothing,
		.caps = none_caps, .close = none_nothing,
	};

	return &ops;
}
