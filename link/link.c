// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * link: the one link of the process, its rules held and its frames counted
 *
 * State: the transport's ops, the user's events, and the loan that is out.
 * Everything is per batch, nothing per frame but the sums of its lengths.
 */
#include "link/link.h"

#include <assert.h>

#include "lib/stats.h"
#include "link/coalesce.h"

static const struct link_ops *link_ops;
static const struct link_events *link_user;

/* The one loan that may be out: frames, and bytes of each */
static unsigned link_lent;
static size_t link_lent_hlen;
static size_t link_lent_room;
/* Frames from the guest were let wait, perhaps not any more */
static bool link_held;

/**
 * link_init() - Choose the link
 * @ops:	transport, for the life of the process
 * @ev:		what it tells its user
 */
void link_init(const struct link_ops *ops, const struct link_events *ev)
{
	link_ops = ops;
	link_user = ev;
	link_lent = 0;
	link_held = false;
}

/**
 * link_receive() - Fetch a batch of frames from the guest
 * @frames:	where to describe them; what they point to is the link's until
 *		link_release()
 * @max:	room in @frames, at most LINK_BATCH
 *
 * Return: frames stored; 0: none are waiting, or the guest is gone
 */
unsigned link_receive(struct frame *frames, unsigned max)
{
	unsigned n = link_ops->receive(frames, max);
	uint64_t bytes = 0;

	if (!n)
		return 0;
	for (unsigned i = 0; i < n; i++)
		bytes += frames[i].len;
	stat_add(STAT_FRAMES_IN, n);
	stat_add(STAT_BYTES_IN, bytes);
	coalesce_received(n, bytes);
	return n;
}

/**
 * link_release() - Give the batch of the last link_receive() back
 */
void link_release(void)
{
	link_ops->release();
}

/**
 * link_coalesce() - Let frames from the guest wait for each other, if they may
 * @datagrams:	whether all that was received since the last call was UDP
 * @now:	microseconds
 */
void link_coalesce(bool datagrams, usec_t now)
{
	usec_t wait = coalesce_wait(datagrams, now);

	if (!wait || !link_ops->hold)
		return;
	link_held = true;
	link_ops->hold(now + wait);
}

/**
 * link_reserve() - Borrow frames to fill
 * @loans:	where to describe them
 * @n:		how many are wanted, at most LINK_BATCH
 * @hlen:	header bytes of each
 * @room:	payload bytes of each, at most
 *
 * Return: frames lent, which link_commit() must follow; 0, with nothing to
 * commit: the link is full, the writable event follows. Fewer than @n are no
 * sign of that, but batches of less than 200 KiB are not cut by their size.
 */
unsigned link_reserve(struct loan *loans, unsigned n, size_t hlen, size_t room)
{
	assert(!link_lent && n <= LINK_BATCH);
	assert(hlen + room <= link_ops->caps()->max_frame);
	link_lent = link_ops->reserve(loans, n, hlen, room);
	assert(link_lent <= n);
	link_lent_hlen = hlen;
	link_lent_room = room;
	return link_lent;
}

/**
 * link_commit() - Send the first frames of the loan, give the others back
 * @loans:	as link_reserve() filled them in, with headers and lengths
 * @n:		how many to send, in order; may be 0
 */
void link_commit(struct loan *loans, unsigned n)
{
	uint64_t bytes = 0;

	assert(n <= link_lent);
	for (unsigned i = 0; i < n; i++) {
		assert(loans[i].len <= link_lent_room);
		bytes += link_lent_hlen + loans[i].len;
	}
	if (link_lent)
		link_ops->commit(loans, n);
	link_lent = 0;
	if (!n)
		return;
	stat_add(STAT_FRAMES_OUT, n);
	stat_add(STAT_BYTES_OUT, bytes);
	coalesce_sent();
	if (link_held)
		link_ops->hold(0);
	link_held = false;
}

/**
 * link_flush() - Hand what was committed to the transport; once a turn
 */
void link_flush(void)
{
	link_ops->flush();
}

/**
 * link_caps() - What the link can do at this time
 *
 * Return: its capabilities
 */
const struct link_caps *link_caps(void)
{
	return link_ops->caps();
}

/**
 * link_close() - End the link, in the daemon's last turn
 */
void link_close(void)
{
	link_ops->close();
}

/**
 * link_events() - What the transport calls
 *
 * Return: the user's events
 */
const struct link_events *link_events(void)
{
	return link_user;
}
