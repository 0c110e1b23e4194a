// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio: split virtqueues, the device's side
 *
 *	desc[num]   addr, len, flags, next       a chain: NEXT, or INDIRECT: a
 *	avail       flags, idx, ring[num], used_event     table of its own
 *	used        flags, idx, ring[num], avail_event
 *
 * Indices run freely, modulo 65536; between the index that the driver has
 * published and the one that was taken last lie at most num chains. Chains may
 * be put back in any order.
 *
 * The driver runs at the same time. Its index is read before what it covers
 * (acquire), ours is written after (release); asking to be told of more, or
 * whether to tell, is a write, a full barrier, then a read (virtio 1.2, 2.7.7
 * and 2.7.10). Guest's numbers are little-endian, as both machines we run on.
 *
 * No state but in struct virtq. Cost: no system call but for virtq_signal()
 * where the driver wants it. Source: virtio 1.2, 2.7.
 */
#include "link/virtio.h"

#include <linux/virtio_ring.h>
#include <stddef.h>
#include <unistd.h>

#include "link/guestmem.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "virtio 1.0 is little-endian, and nothing here converts");

#define load(p)		__atomic_load_n(p, __ATOMIC_RELAXED)
#define store(p, v)	__atomic_store_n(p, v, __ATOMIC_RELAXED)

/**
 * struct virtq_cursor - where in a chain we are
 * @table:	descriptors: the queue's, or an indirect table
 * @num:	how many there are
 * @left:	how many may still come, or the chain is a loop
 */
struct virtq_cursor {
	const struct vring_desc *table;
	unsigned num;
	unsigned left;
};

/**
 * virtq_break() - Give a queue up
 * @q:		queue
 * @why:	what the guest did
 *
 * Return: false, for the caller to return
 */
bool virtq_break(struct virtq *q, const char *why)
{
	if (!q->broken)
		q->broken = why;
	return false;
}

/* The index after the used ring's entries: when we want to be kicked */
static uint16_t *virtq_avail_event(const struct virtq *q)
{
	return (uint16_t *)&q->used->ring[q->num];
}

/**
 * virtq_map() - Find the queue's parts in memory, if that has changed
 * @q:		queue, with its size and addresses set
 *
 * Return: true if all of them are there
 */
bool virtq_map(struct virtq *q)
{
	const struct virtq_addr *a = &q->addr;

	if (q->desc && q->generation == guestmem_generation())
		return true;
	q->desc = NULL;
	if (!q->num || a->desc % VRING_DESC_ALIGN_SIZE ||
	    a->avail % VRING_AVAIL_ALIGN_SIZE ||
	    a->used % VRING_USED_ALIGN_SIZE)
		return false;
	q->avail = guestmem_user(a->avail, sizeof(*q->avail) +
				 (q->num + 1) * sizeof(q->avail->ring[0]));
	q->used = guestmem_user(a->used, sizeof(*q->used) +
				q->num * sizeof(q->used->ring[0]) +
				sizeof(uint16_t));
	if (!q->avail || !q->used)
		return false;
	q->desc = guestmem_user(a->desc, q->num * sizeof(*q->desc));
	q->generation = guestmem_generation();
	/* A region may begin anywhere in the hypervisor's addresses */
	if ((uintptr_t)q->desc % _Alignof(struct vring_desc) ||
	    (uintptr_t)q->avail % _Alignof(struct vring_avail) ||
	    (uintptr_t)q->used % _Alignof(struct vring_used))
		q->desc = NULL;
	return q->desc;
}

/**
 * virtq_begin() - Start with what the used ring says
 * @q:		mapped queue, its last_avail set
 */
void virtq_begin(struct virtq *q)
{
	q->broken = NULL;
	q->next_used = q->published = q->signalled = load(&q->used->idx);
}

/**
 * virtq_take() - Take chains from the available ring
 * @q:		mapped queue
 * @heads:	where to store their first descriptors
 * @max:	room there
 *
 * Return: how many; 0: none is there, or the queue is broken
 */
unsigned virtq_take(struct virtq *q, uint16_t *heads, unsigned max)
{
	uint16_t n;

	if (q->broken)
		return 0;
	n = (uint16_t)(__atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE) -
		       q->last_avail);
	if (n > q->num)
		return virtq_break(q, "the available index jumps");
	if (n > max)
		n = (uint16_t)max;
	for (unsigned i = 0; i < n; i++) {
		unsigned at = (uint16_t)(q->last_avail + i) % q->num;

		heads[i] = load(&q->avail->ring[at]);
		if (heads[i] >= q->num)
			return virtq_break(q, "no such descriptor");
	}
	q->last_avail = (uint16_t)(q->last_avail + n);
	return n;
}

static struct vring_desc virtq_read(const struct vring_desc *d)
{
	return (struct vring_desc){ .addr = load(&d->addr),
				    .len = load(&d->len),
				    .flags = load(&d->flags),
				    .next = load(&d->next) };
}

/* A buffer, which may lie in more than one region; false: some of it in none */
static bool virtq_buffer(struct virtq_bufs *b, uint64_t addr, size_t len)
{
	while (len) {
		size_t n = len;
		void *p = guestmem_at(addr, &n);

		if (!p)
			return false;
		if (b->cnt == b->max) {
			b->cut = true;
			return true;
		}
		b->iov[b->cnt++] = (struct iovec){ p, n };
		b->len += n;
		addr += n;
		len -= n;
	}
	return true;
}

/* Go on in an indirect table, where the chain must end (virtio 1.2, 2.7.5.3) */
static bool virtq_indirect(struct virtq *q, const struct vring_desc *d,
			   struct virtq_cursor *c)
{
	size_t len = d->len;

	if (!q->indirect)
		return virtq_break(q, "indirect descriptors, not negotiated");
	if (c->table != q->desc)
		return virtq_break(q, "an indirect table in an indirect table");
	if (d->flags & VRING_DESC_F_NEXT)
		return virtq_break(q, "an indirect table with more behind it");
	if (!len || len % sizeof(*d) ||
	    len / sizeof(*d) > VIRTQ_NUM_MAX)
		return virtq_break(q, "bad length of an indirect table");
	c->table = guestmem_at(d->addr, &len);
	if (!c->table || len != d->len ||
	    (uintptr_t)c->table % _Alignof(struct vring_desc))
		return virtq_break(q, "indirect table outside of memory");
	c->num = (unsigned)(len / sizeof(*d));
	c->left = c->num;
	return true;
}

/**
 * virtq_walk() - Look at all buffers of a chain
 * @q:		mapped queue
 * @head:	first descriptor, as virtq_take() returned it
 * @writable:	they must be the device's to write, else to read
 * @b:		@b->iov and @b->max set: what to fill in. Where there are more
 *		buffers than that (@b->cut) the others are not looked at.
 *
 * Return: true; false: the queue is broken
 */
bool virtq_walk(struct virtq *q, uint16_t head, bool writable,
		struct virtq_bufs *b)
{
	struct virtq_cursor c = { q->desc, q->num, q->num };
	struct vring_desc d;
	unsigned i = head;

	b->cnt = 0;
	b->len = 0;
	b->cut = false;
	do {
		if (i >= c.num)
			return virtq_break(q, "no such descriptor");
		if (!c.left--)
			return virtq_break(q, "a chain without end");
		d = virtq_read(&c.table[i]);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (!virtq_indirect(q, &d, &c))
				return false;
			i = 0;
			d.flags = VRING_DESC_F_NEXT;
			continue;
		}
		if (!(d.flags & VRING_DESC_F_WRITE) == writable)
			return virtq_break(q, writable ?
				"a buffer for us that we may not write" :
				"a frame in a buffer for us to write");
		if (!virtq_buffer(b, d.addr, d.len))
			return virtq_break(q, "a buffer outside of memory");
		i = d.next;
	} while (d.flags & VRING_DESC_F_NEXT && !b->cut);
	return true;
}

static void virtq_mark_used(const struct virtq *q, const void *p, size_t len)
{
	if (q->addr.logged)
		guestmem_mark_guest(q->addr.log + (uint64_t)((const uint8_t *)p -
				    (const uint8_t *)q->used), len);
}

/**
 * virtq_put() - Give a chain back; the driver sees it after virtq_publish()
 * @q:		mapped queue
 * @head:	first descriptor
 * @len:	bytes written to its buffers
 */
void virtq_put(struct virtq *q, uint16_t head, uint32_t len)
{
	struct vring_used_elem *e = &q->used->ring[q->next_used % q->num];

	store(&e->id, head);
	store(&e->len, len);
	virtq_mark_used(q, e, sizeof(*e));
	q->next_used++;
}

/**
 * virtq_publish() - Let the driver see what was put back
 * @q:		mapped queue
 */
void virtq_publish(struct virtq *q)
{
	if (q->published == q->next_used)
		return;
	__atomic_store_n(&q->used->idx, q->next_used, __ATOMIC_RELEASE);
	virtq_mark_used(q, &q->used->idx, sizeof(q->used->idx));
	q->published = q->next_used;
}

static bool virtq_wants_signal(const struct virtq *q)
{
	if (!q->event_idx)
		return !(load(&q->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(load(&q->avail->ring[q->num]), q->published,
				q->signalled);
}

/**
 * virtq_signal() - Tell the driver of what was published, where it asks for it
 * @q:		mapped queue
 */
void virtq_signal(struct virtq *q)
{
	static const uint64_t one = 1;

	if (q->signalled == q->published)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (virtq_wants_signal(q) && q->call_fd >= 0 &&
	    write(q->call_fd, &one, sizeof(one)) < 0) {
		/* EAGAIN: it was told often enough; else nobody listens */
	}
	q->signalled = q->published;
}

/**
 * virtq_kicks_on() - Ask to be kicked when there is more
 * @q:		mapped queue
 * @chains:	how much more, 1 at least; without event indices any is told of
 *
 * Return: true: there is already, and no kick need follow
 */
bool virtq_kicks_on(struct virtq *q, unsigned chains)
{
	if (q->event_idx) {
		store(virtq_avail_event(q),
		      (uint16_t)(q->last_avail + chains - 1));
		virtq_mark_used(q, virtq_avail_event(q), sizeof(uint16_t));
	} else {
		store(&q->used->flags, 0);
		virtq_mark_used(q, &q->used->flags, sizeof(q->used->flags));
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (uint16_t)(load(&q->avail->idx) - q->last_avail) >=
	       (q->event_idx ? chains : 1);
}

/**
 * virtq_kicks_off() - Kicks are not needed for now, we look by ourselves
 * @q:		mapped queue
 *
 * With event indices that is so until virtq_kicks_on().
 */
void virtq_kicks_off(struct virtq *q)
{
	if (q->event_idx || load(&q->used->flags) & VRING_USED_F_NO_NOTIFY)
		return;
	store(&q->used->flags, VRING_USED_F_NO_NOTIFY);
	virtq_mark_used(q, &q->used->flags, sizeof(q->used->flags));
}

/**
 * virtq_kicks_cancel() - Take virtq_kicks_on() back; a kick may be under way
 * @q:		mapped queue, looked at again before long
 */
void virtq_kicks_cancel(struct virtq *q)
{
	if (!q->event_idx) {
		virtq_kicks_off(q);
		return;
	}
	/* What was taken last: the driver is past that */
	store(virtq_avail_event(q), (uint16_t)(q->last_avail - 1));
	virtq_mark_used(q, virtq_avail_event(q), sizeof(uint16_t));
}
