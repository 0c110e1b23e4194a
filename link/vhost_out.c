// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vhost_out: frames to the guest's receive queue
 *
 * Chains of the queue are lent, as many as a frame's room needs; their number
 * is known when the frame's length is. Headers are private and copied at
 * commit. What a loan did not need stays in stock, for the next one. Chains are
 * used in the order they were made available, always: of a daemon that is killed
 * nothing is left but the used index, and a hypervisor has the next one begin
 * there (QEMU's virtio_queue_restore_last_avail_idx()). So a frame behind one that
 * was shorter than its room is moved down:
 *
 *	stock     |c0|c1|c2|c3|c4|c5|...           reserve(2 frames of 3 chains)
 *	used      |c0|c1|c2|                       commit: 2 chains and 1, which
 *	stock              |c3|c4|c5|...           was read into c3
 *
 * Whatever lies in stock goes back to the driver by the queue's base when it
 * stops.
 *
 * Where all of a queue's buffers cannot hold a frame, smaller ones are asked
 * for from then on (vhost_out_limit()).
 *
 * Copies of ours: headers, and what is moved; no system calls. State: the stock and
 * the loan.
 * Source: virtio 1.2, 5.1.6.3 and 5.1.6.4.
 */
#include "link/vhost_out.h"

#include <assert.h>
#include <string.h>

#include "link/guestmem.h"
#include "link/vnet.h"

/** Largest frame: the largest IPv4 packet, and Ethernet */
#define OUT_FRAME_MAX		(65535 + ETH_HLEN_)
/** What any queue must hold (virtio 1.2, 5.1.6.3.1) */
#define OUT_FRAME_MIN		(1500 + ETH_HLEN_)

/** The header before a frame: that of virtio 1.0 has num_buffers */
#define OUT_HLEN_MAX		(VNET_HLEN + 2)
/** Most bytes of headers of a loan */
#define OUT_HEADER_MAX		256
/** Chains in stock */
#define OUT_STOCK		1024
/** Buffers of one of them that are made use of */
#define OUT_PIECES		24
/** Buffers of all frames on loan */
#define OUT_IOV			2048
/** Chains taken at a time */
#define OUT_TAKE		64
/** Looks for more chains while lending: a driver may add them all the time */
#define OUT_TRIES		3

/**
 * struct out_chain - a chain for a frame to the guest
 * @head:	first descriptor
 * @cnt:	buffers
 * @generation:	of the memory table that @iov is good for
 * @len:	bytes of the buffers; 0: not looked at yet
 * @iov:	the buffers
 */
struct out_chain {
	uint16_t head;
	unsigned cnt;
	unsigned generation;
	size_t len;
	struct iovec iov[OUT_PIECES];
};

/**
 * struct vhost_out - the stock, and what of it is on loan
 * @chain:	chains, in stock from @begin on, around the end
 * @begin:	the first one
 * @count:	how many
 * @most:	most there ever were at a time
 * @next:	behind the last one on loan
 * @hlen:	header bytes of a frame on loan
 * @first:	first chain of each, and behind the last
 * @header:	headers, the virtio one before
 * @iov:	room for payload
 * @used:	buffers there
 * @limit:	largest frame that the queue holds at all
 * @wanted:	a loan was refused or cut since
 * @again:	and no kick will come: try again
 * @vnet_hlen:	bytes of the header before each frame
 * @merge:	a frame may lie in several chains (VIRTIO_NET_F_MRG_RXBUF)
 */
static struct vhost_out {
	struct out_chain chain[OUT_STOCK];
	unsigned begin;
	unsigned count;
	unsigned most;
	unsigned next;
	size_t hlen;
	unsigned first[LINK_BATCH + 1];
	uint8_t header[LINK_BATCH][OUT_HLEN_MAX + OUT_HEADER_MAX];
	struct iovec iov[OUT_IOV];
	unsigned used;
	size_t limit;
	bool wanted;
	bool again;
	size_t vnet_hlen;
	bool merge;
} out;

static struct out_chain *out_at(unsigned i)
{
	return &out.chain[(out.begin + i) % OUT_STOCK];
}

static void out_forget(void)
{
	out.begin = out.count = out.most = out.next = out.used = 0;
	out.limit = OUT_FRAME_MAX;
}

/* Chains from the available ring, behind those in stock; false: there is none */
static bool out_fetch(struct virtq *q)
{
	uint16_t heads[OUT_TAKE];
	unsigned room = OUT_STOCK - out.count, n;

	n = virtq_take(q, heads, room < OUT_TAKE ? room : OUT_TAKE);
	for (unsigned i = 0; i < n; i++) {
		struct out_chain *c = out_at(out.count++);

		c->head = heads[i];
		c->len = 0;
	}
	if (out.count > out.most)
		out.most = out.count;
	return n;
}

/* Find a chain's buffers, unless that was done before */
static bool out_walk(struct virtq *q, struct out_chain *c)
{
	struct virtq_bufs b = { .iov = c->iov, .max = OUT_PIECES };

	if (c->len && c->generation == guestmem_generation())
		return true;
	if (virtq_walk(q, c->head, true, &b) && !b.len)
		virtq_break(q, "an empty buffer to write to");
	if (q->broken)
		return false;
	c->cnt = b.cnt;
	c->len = b.len;
	c->generation = guestmem_generation();
	return true;
}

/**
 * struct out_fill - a loan being put together
 * @skip:	bytes of headers still to pass over
 * @room:	bytes of payload still to find
 * @found:	bytes of payload found
 * @l:		the loan
 */
struct out_fill {
	size_t skip;
	size_t room;
	size_t found;
	struct loan *l;
};

/* Lend a chain's buffers, as far as needed; false: they are too many */
static bool out_lend(struct out_fill *f, const struct out_chain *c)
{
	for (unsigned i = 0; i < c->cnt && f->skip + f->room; i++) {
		uint8_t *p = c->iov[i].iov_base;
		size_t n = c->iov[i].iov_len;
		size_t skip = f->skip < n ? f->skip : n;

		f->skip -= skip;
		n -= skip;
		n = n < f->room ? n : f->room;
		if (!n)
			continue;
		if (f->l->cnt == LINK_LOAN_IOV)
			return false;
		f->l->iov[f->l->cnt++] = (struct iovec){ p + skip, n };
		f->room -= n;
		f->found += n;
	}
	return true;
}

/*
 * The queue will never hold a frame of that size: smaller ones from now on, and
 * whoever waits may try again. Not while something is on loan (@begin), which is
 * counted with by its size.
 */
static bool out_too_small(struct virtq *q, unsigned begin,
			  const struct out_fill *f)
{
	size_t fits = f->skip ? 0 : out.hlen + f->found;

	if (begin)
		return false;
	out.again = true;
	if (fits < OUT_FRAME_MIN)
		return virtq_break(q, "receive buffers are too small");
	if (fits < out.limit)
		out.limit = fits;
	return false;
}

/*
 * Whether there may never be more than what is in stock: Linux's driver gives
 * buffers back once it has more than half of a ring (since 5.4: or 32)
 */
static bool out_is_all(const struct virtq *q, const struct out_fill *f)
{
	if (out.count >= q->num || out.count == OUT_STOCK)
		return true;
	return out.count >= q->num / 2 && !f->skip &&
	       out.hlen + f->found >= OUT_FRAME_MIN;
}

/* Put one loan together from the chains at out.next on */
static bool out_gather(struct virtq *q, struct out_fill *f)
{
	unsigned begin = out.next;

	do {
		struct out_chain *c;

		if (out.next == out.count && !out_fetch(q)) {
			if (out_is_all(q, f))
				out_too_small(q, begin, f);
			return false;
		}
		c = out_at(out.next++);
		if (!out_walk(q, c))
			return false;
		if (!out_lend(f, c) || (f->skip + f->room && !out.merge))
			return out_too_small(q, begin, f);
	} while (f->skip + f->room);
	return true;
}

/* Lend up to @n frames from the one on that is numbered @i. Return: behind the
 * last one lent
 */
static unsigned out_lend_some(struct virtq *q, struct loan *loans,
			      unsigned i, unsigned n, size_t room)
{
	for (; i < n && OUT_IOV - out.used >= LINK_LOAN_IOV; i++) {
		struct out_fill f = { .skip = out.vnet_hlen + out.hlen,
				      .room = room, .l = &loans[i] };

		loans[i] = (struct loan){
			.hdr = out.header[i] + OUT_HLEN_MAX,
			.iov = out.iov + out.used,
		};
		if (!out_gather(q, &f)) {
			out.next = out.first[i];
			break;
		}
		out.used += loans[i].cnt;
		out.first[i + 1] = out.next;
	}
	return i;
}

/*
 * How many chains are worth a kick: a quarter of what the driver is known to
 * have, where it has twice that many to give, or there is something to go on with
 */
static unsigned out_few(unsigned lent)
{
	unsigned few = out.most / 4, away = (out.most - out.count) / 2;

	if (!lent && away < few)
		few = away;
	return few ? few : 1;
}

/**
 * vhost_out_reserve() - Lend frames; see link_reserve()
 * @q:		queue, mapped; may be broken on return
 * @loans:	where to describe them
 * @n:		how many are wanted
 * @hlen:	header bytes of each
 * @room:	payload bytes of each
 *
 * Return: frames lent
 */
unsigned vhost_out_reserve(struct virtq *q, struct loan *loans, unsigned n,
			   size_t hlen, size_t room)
{
	unsigned lent = 0;

	out.next = out.used = 0;
	out.hlen = hlen;
	out.first[0] = 0;
	assert(hlen <= OUT_HEADER_MAX);
	for (unsigned tries = 0; tries < OUT_TRIES; tries++) {
		lent = out_lend_some(q, loans, lent, n, room);
		if (lent == n)
			return n;
		out.wanted = true;
		/* What is too large for the queue from now on is not lent */
		if (q->broken || hlen + room > out.limit ||
		    !virtq_kicks_on(q, out_few(lent)))
			return lent;
	}
	out.again = true;
	return lent;
}

/**
 * struct out_pos - where in the stock a frame is being written
 * @chain:	chain
 * @piece:	buffer of it
 * @off:	bytes of that written
 */
struct out_pos {
	unsigned chain;
	unsigned piece;
	size_t off;
};

/* What is moved down may lie partly where it goes to */
static void out_write(struct out_pos *to, const uint8_t *src, size_t len)
{
	while (len) {
		const struct out_chain *c = out_at(to->chain);
		const struct iovec *v = &c->iov[to->piece];
		size_t n = v->iov_len - to->off;

		n = n < len ? n : len;
		memmove((uint8_t *)v->iov_base + to->off, src, n);
		src += n;
		len -= n;
		to->off += n;
		if (to->off < v->iov_len)
			return;
		to->off = 0;
		if (++to->piece == c->cnt) {
			to->piece = 0;
			to->chain++;
		}
	}
}

static void out_mark(const struct out_chain *c, size_t len)
{
	for (unsigned i = 0; i < c->cnt && len; i++) {
		size_t n = c->iov[i].iov_len < len ? c->iov[i].iov_len : len;

		guestmem_mark(c->iov[i].iov_base, n);
		len -= n;
	}
}

/* Headers, and the payload where it does not lie behind their place already */
static void out_put(unsigned at, const struct loan *l, uint16_t buffers,
		    bool move)
{
	/* Where it ends the frame's headers begin, without a gap */
	uint8_t *h = l->hdr - out.vnet_hlen;
	struct out_pos to = { .chain = at };
	size_t left = move ? l->len : 0;

	vnet_put(h, l, out.hlen);
	if (out.vnet_hlen == OUT_HLEN_MAX)
		memcpy(h + VNET_HLEN, &buffers, sizeof(buffers));
	out_write(&to, h, out.vnet_hlen + out.hlen);
	for (unsigned i = 0; left; i++) {
		size_t n = l->iov[i].iov_len < left ? l->iov[i].iov_len : left;

		out_write(&to, l->iov[i].iov_base, n);
		left -= n;
	}
}

/* Send a frame in the chains from @at on. Return: how many that took */
static unsigned out_send(struct virtq *q, unsigned at, const struct loan *l,
			 bool move)
{
	size_t left = out.vnet_hlen + out.hlen + l->len;
	bool logs = guestmem_logs();
	unsigned n = 0;

	for (size_t len = 0; len < left; n++)
		len += out_at(at + n)->len;
	out_put(at, l, (uint16_t)n, move);
	for (unsigned j = 0; j < n; j++) {
		const struct out_chain *c = out_at(at + j);
		size_t len = c->len < left ? c->len : left;

		if (logs)
			out_mark(c, len);
		virtq_put(q, c->head, (uint32_t)len);
		left -= len;
	}
	return n;
}

/**
 * vhost_out_commit() - Send the first frames of the loan; see link_commit()
 * @q:		queue, mapped
 * @loans:	filled in
 * @n:		how many to send
 */
void vhost_out_commit(struct virtq *q, struct loan *loans, unsigned n)
{
	unsigned at = 0;

	for (unsigned i = 0; i < n; i++)
		at += out_send(q, at, &loans[i], at != out.first[i]);
	out.begin = (out.begin + at) % OUT_STOCK;
	out.count -= at;
}

/**
 * vhost_out_end() - Empty the stock: the queue is about to stop
 * @q:		queue
 *
 * What is in it was made available last, and can be taken again.
 */
void vhost_out_end(struct virtq *q)
{
	q->last_avail = (uint16_t)(q->last_avail - out.count);
	out_forget();
}

/**
 * vhost_out_begin() - Begin with an empty stock: the queue is about to run
 */
void vhost_out_begin(void)
{
	out_forget();
	out.again = false;
}

/**
 * vhost_out_set() - Take what was negotiated
 * @hlen:	bytes of the header before each frame: 10 or 12
 * @merge:	a frame may lie in several chains, its header is of 12 bytes
 */
void vhost_out_set(size_t hlen, bool merge)
{
	out.vnet_hlen = hlen;
	out.merge = merge;
}

/**
 * vhost_out_limit() - Largest frame that the queue holds, as far as known
 *
 * Return: bytes
 */
size_t vhost_out_limit(void)
{
	return out.limit;
}

/**
 * vhost_out_again() - Whether a try is worth while without a kick; once
 *
 * Return: true if so
 */
bool vhost_out_again(void)
{
	bool again = out.again;

	out.again = false;
	return again;
}

/**
 * vhost_out_wanted() - Whether somebody waits for room; forgotten by this
 *
 * Return: true if a loan was refused or cut
 */
bool vhost_out_wanted(void)
{
	bool wanted = out.wanted;

	out.wanted = false;
	return wanted;
}
