// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * coalesce: how long frames from the guest may wait for each other
 *
 * A wake-up a datagram costs more than the datagram: ours, and that of whoever
 * sent it, who runs on a processor that the guest could have. A wait costs a
 * sender whose next datagram depends on an answer, so there is one only while
 * datagrams, and nothing else, come in a stream that nothing answers; the first
 * frame out, or in of another kind, ends it. A lone frame that comes in the
 * middle of a wait is at most COALESCE_MAX late, and a tick of the timer, once.
 *
 * State: what came since when.
 */
#include "link/coalesce.h"

/** How long a stream is watched before it is believed, and asked about again */
#define COALESCE_WINDOW	(4 * USEC_PER_MSEC)
/** Frames within that that make one: the fewest that save a wake-up of two */
#define COALESCE_STREAM	32
/** The longest wait */
#define COALESCE_MAX	500
/** No wait where the timer is coarser than that */
#define COALESCE_MIN	128
/**
 * Bytes that may wait, with what the kernel holds besides each frame: a third of
 * what a UNIX socket takes (net.core.wmem_default), so that nobody is held up
 */
#define COALESCE_BYTES	(64 * 1024)
#define COALESCE_FRAME	1024

/**
 * struct coalesce - the window under way
 * @since:	when it began
 * @frames:	what came in it
 * @bytes:	their size, overhead included
 * @wait:	what the window before has shown to be good; 0: nothing
 * @broken:	a frame went out
 */
static struct coalesce {
	usec_t since;
	uint64_t frames;
	uint64_t bytes;
	usec_t wait;
	bool broken;
} win;

/**
 * coalesce_received() - Frames came in
 * @frames:	how many
 * @bytes:	their size in all
 */
void coalesce_received(unsigned frames, uint64_t bytes)
{
	win.frames += frames;
	win.bytes += bytes + (uint64_t)frames * COALESCE_FRAME;
}

/**
 * coalesce_sent() - Frames went out: somebody may wait for what comes back
 */
void coalesce_sent(void)
{
	win.broken = true;
}

static usec_t coalesce_judge(usec_t took)
{
	usec_t wait;

	if (win.frames < COALESCE_STREAM)
		return 0;
	wait = took * COALESCE_BYTES / win.bytes;
	if (wait < COALESCE_MIN)
		return 0;
	return wait < COALESCE_MAX ? wait : COALESCE_MAX;
}

/**
 * coalesce_wait() - How long what comes next may wait
 * @datagrams:	whether all that came since the last call was UDP
 * @now:	microseconds
 *
 * Return: microseconds; 0: it may not
 */
usec_t coalesce_wait(bool datagrams, usec_t now)
{
	usec_t took = now - win.since;

	if (!datagrams || win.broken || took > 2 * COALESCE_WINDOW) {
		win = (struct coalesce){ .since = now };
	} else if (took >= COALESCE_WINDOW) {
		win = (struct coalesce){ .since = now,
					 .wait = coalesce_judge(took) };
	}
	return win.wait;
}
