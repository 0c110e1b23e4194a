// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vhost_in: frames from the guest's transmit queue
 *
 * A batch of chains is taken, its frames are used where they lie, behind their
 * virtio headers, which are copied before they are looked at; all of the batch
 * is given back at once:
 *
 *	chain     | vnet | frame ...      |        ( any layout: | v|ne|t fr|ame )
 *	frames[]         ^ iov
 *
 * What does not fit this batch's buffers is put back and taken by the next. All
 * chains are found before the first frame is looked at: the guest wrote them on
 * another processor, and what begins each then comes into the cache at once, not
 * one after the other.
 *
 * Copies of ours: none; no system calls. State: the batch. Source: virtio 1.2,
 * 5.1.6.2.
 */
#include "link/vhost_in.h"

#include "lib/stats.h"
#include "link/link.h"
#include "link/vnet.h"

/** Largest frame: the largest IPv4 packet, and Ethernet */
#define IN_FRAME_MAX		(65535 + ETH_HLEN_)
/** The header before a frame: that of virtio 1.0 has two bytes more */
#define IN_HLEN_MAX		(VNET_HLEN + 2)
/** Bytes of a cache line */
#define IN_LINE			64
/** Buffers of a batch, and of one frame */
#define IN_IOV			2048
#define IN_PIECES		1024

/**
 * struct vhost_in - the batch from the guest
 * @heads:	chains to give back
 * @count:	how many
 * @bufs:	what each consists of
 * @iov:	buffers of the frames
 * @used:	how many
 * @hlen:	bytes of the header before a frame
 * @copied:	@copy is in use
 * @copy_iov:	of it
 * @copy:	a frame that has to be written to
 * @idle:	the queue was empty, a kick will come
 */
static struct vhost_in {
	uint16_t heads[LINK_BATCH];
	unsigned count;
	struct virtq_bufs bufs[LINK_BATCH];
	struct iovec iov[IN_IOV];
	unsigned used;
	size_t hlen;
	bool copied;
	struct iovec copy_iov;
	uint8_t copy[IN_FRAME_MAX];
	bool idle;
} in;

/* What becomes of a frame: IN_WAITS, for the next batch */
enum in_verdict { IN_DROPPED, IN_TAKEN, IN_WAITS };

/**
 * vhost_in_set() - Take what was negotiated
 * @hlen:	bytes of the header before each frame: 10 or 12
 */
void vhost_in_set(size_t hlen)
{
	in.hlen = hlen;
}

/*
 * A checksum that has to be completed in the frame: that is done in a copy, the
 * guest's buffers are not ours to write. Such frames are of tunnels, and rare:
 * there is one a batch.
 */
static void in_copy(struct frame *f)
{
	struct slice s = { f->iov, f->cnt, 0, f->len };

	slice_copy(&s, 0, in.copy, f->len);
	in.copied = true;
	in.copy_iov = (struct iovec){ in.copy, f->len };
	f->iov = &in.copy_iov;
	f->cnt = 1;
}

/* Frames that have too many buffers, too few bytes or too many are dropped */
static enum in_verdict in_frame(const struct virtq_bufs *b, struct frame *f)
{
	struct slice all = { b->iov, b->cnt, 0, b->len };
	size_t skip = in.hlen;
	uint8_t h[IN_HLEN_MAX];

	if (b->cut || b->len < skip + ETH_HLEN_ ||
	    b->len > skip + IN_FRAME_MAX) {
		drop(DROP_LENGTH);
		return IN_DROPPED;
	}
	slice_copy(&all, 0, h, skip);
	all = slice_sub(&all, skip, b->len - skip);
	in.iov[all.iov - in.iov].iov_base =
		(uint8_t *)all.iov->iov_base + all.off;
	in.iov[all.iov - in.iov].iov_len -= all.off;
	*f = (struct frame){ .iov = all.iov, .cnt = all.cnt, .len = all.len };
	if (vnet_writes(h, f)) {
		if (in.copied)
			return IN_WAITS;
		in_copy(f);
	}
	return vnet_read(h, f) ? IN_TAKEN : IN_DROPPED;
}

/* Buffers of the next chain; false: it must wait, or the queue is broken */
static bool in_walk(struct virtq *q, uint16_t head, struct virtq_bufs *b)
{
	unsigned left = IN_IOV - in.used;

	b->iov = in.iov + in.used;
	b->max = left < IN_PIECES ? left : IN_PIECES;
	if (!virtq_walk(q, head, false, b) || (b->cut && b->max < IN_PIECES))
		return false;
	in.used += b->cnt;
	return true;
}

/* Headers of a frame will be needed soon */
static void in_prefetch(const struct virtq_bufs *b)
{
	const uint8_t *p = b->cnt ? b->iov->iov_base : NULL;

	if (!p)
		return;
	__builtin_prefetch(p);
	if (b->iov->iov_len > IN_LINE)
		__builtin_prefetch(p + IN_LINE);
}

/* Buffers of up to @n chains. Return: how many could be found */
static unsigned in_find(struct virtq *q, unsigned n)
{
	unsigned i;

	in.used = 0;
	for (i = 0; i < n && in_walk(q, in.heads[i], &in.bufs[i]); i++)
		in_prefetch(&in.bufs[i]);
	return i;
}

static unsigned in_take(struct virtq *q, unsigned max)
{
	unsigned n = virtq_take(q, in.heads, max);

	in.idle = false;
	if (!n && !q->broken) {
		in.idle = !virtq_kicks_on(q, 1);
		if (!in.idle)
			n = virtq_take(q, in.heads, max);
	}
	return n;
}

/**
 * vhost_in_receive() - Take a batch of frames
 * @q:		queue, mapped; may be broken on return
 * @frames:	where to describe them
 * @max:	room there
 *
 * Return: frames stored; 0: none are waiting, or none was any good
 */
unsigned vhost_in_receive(struct virtq *q, struct frame *frames, unsigned max)
{
	unsigned n, found, got = 0;
	enum in_verdict verdict;

	n = in_take(q, max < LINK_BATCH ? max : LINK_BATCH);
	found = in_find(q, n);
	in.copied = false;
	for (in.count = 0; in.count < found; in.count++) {
		verdict = in_frame(&in.bufs[in.count], &frames[got]);
		if (verdict == IN_WAITS)
			break;
		got += verdict == IN_TAKEN;
	}
	q->last_avail = (uint16_t)(q->last_avail - (n - in.count));
	/* Nothing to be used, so nobody will release it */
	if (!got)
		vhost_in_release(q);
	return got;
}

/**
 * vhost_in_release() - Give the batch back to the driver
 * @q:		queue, mapped
 */
void vhost_in_release(struct virtq *q)
{
	for (unsigned i = 0; i < in.count; i++)
		virtq_put(q, in.heads[i], 0);
	if (in.count)
		virtq_publish(q);
	in.count = 0;
}

/**
 * vhost_in_discard() - Take a batch and give it back as it is
 * @q:		queue, mapped
 */
void vhost_in_discard(struct virtq *q)
{
	in.count = in_take(q, LINK_BATCH);
	vhost_in_release(q);
}

/**
 * vhost_in_is_idle() - Whether there was nothing more
 *
 * Return: true: a kick will come when there is; false: look again
 */
bool vhost_in_is_idle(void)
{
	return in.idle;
}
