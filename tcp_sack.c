// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcp_sack: what the guest sent and the host's socket cannot have yet: kept; what
 * is behind a gap is told by SACK
 *
 * Segments get lost on the way to us where the guest's own queue towards the
 * link is full. What follows the gap waits here for what is missing, and the
 * guest is told of it, so that it sends again only that (RFC 9293 3.10.7.4,
 * SHLD-31; RFC 2018).
 *
 * What a full socket refused waits here as well, for room: it is offered again,
 * and need not be sent again.
 *
 * There is no buffer per connection: a few places serve those that have a gap
 * just now. What is kept is not acknowledged, so it may be dropped at any time
 * (RFC 2018 8): where no place is free, one is taken from a connection whose
 * gap has stood still; else nothing is kept, and the guest sends it all again.
 *
 *	rcv_nxt                                          + TCP_SACK_SPAN
 *	| gap   | range       | gap  | range | ...       |
 *
 * A byte lies in its place's buffer where its sequence number, modulo the
 * buffer's size, says. The FIN counts as one behind the last range's data.
 * Memory is touched as it is needed. Owners are told apart by address only.
 */
#include "tcp_sack.h"

#include <string.h>

#include "lib/bytes.h"
#include "lib/seq.h"

#define TCP_SACK_PLACES		8
/* Bytes from rcv_nxt on; a power of two */
#define TCP_SACK_SPAN		(2u << 20)
#define TCP_SACK_RANGES		32
/* Blocks of one option, where there is no other (RFC 2018 3) */
#define TCP_SACK_BLOCKS		4
/* A gap that nothing came behind for so long makes room for another's */
#define TCP_SACK_STALE		USEC_PER_SEC

/**
 * struct range - sequence numbers that have come
 * @start:	first
 * @end:	behind the last
 */
struct range {
	uint32_t start;
	uint32_t end;
};

/**
 * struct place - what is kept for one connection
 * @owner:	connection, NULL: the place is free
 * @touched:	when something was kept last, usec
 * @fin:	the FIN has come, too
 * @fin_seq:	its sequence number
 * @cnt:	ranges
 * @ranges:	neither overlapping nor touching, changed last first
 * @buf:	bytes
 */
struct place {
	const void *owner;
	usec_t touched;
	bool fin;
	uint32_t fin_seq;
	unsigned cnt;
	struct range ranges[TCP_SACK_RANGES];
	uint8_t buf[TCP_SACK_SPAN];
};

static struct place places[TCP_SACK_PLACES];
static unsigned places_used;

static struct place *place_of(const void *owner)
{
	if (!places_used)
		return NULL;
	for (unsigned i = 0; i < TCP_SACK_PLACES; i++) {
		if (places[i].owner == owner)
			return &places[i];
	}
	return NULL;
}

static void place_free(struct place *p)
{
	p->owner = NULL;
	p->cnt = 0;
	p->fin = false;
	places_used--;
}

/* A place for a new owner: free, or one that has stood still; or NULL */
static struct place *place_take(const void *owner, usec_t now)
{
	struct place *p = &places[0];

	for (unsigned i = 0; i < TCP_SACK_PLACES && p->owner; i++) {
		if (!places[i].owner || places[i].touched < p->touched)
			p = &places[i];
	}
	if (p->owner) {
		if (now - p->touched < TCP_SACK_STALE)
			return NULL;
		place_free(p);
	}
	p->owner = owner;
	places_used++;
	return p;
}

/**
 * tcp_sack_any() - Whether something is kept
 * @owner:	connection
 * Return: true if there is
 */
bool tcp_sack_any(const void *owner)
{
	return place_of(owner);
}

/* Add a range: one with those it touches, first of all. False: too many */
static bool place_add(struct place *p, struct range r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->cnt; i++) {
		struct range o = p->ranges[i];

		if (seq_lt(o.end, r.start) || seq_lt(r.end, o.start)) {
			p->ranges[n++] = o;
			continue;
		}
		r.start = seq_lt(o.start, r.start) ? o.start : r.start;
		r.end = seq_lt(r.end, o.end) ? o.end : r.end;
	}
	if (n == TCP_SACK_RANGES)
		return false;
	memmove(p->ranges + 1, p->ranges, n * sizeof(r));
	p->ranges[0] = r;
	p->cnt = n + 1;
	return true;
}

static void place_copy(struct place *p, uint32_t seq, const struct slice *data,
		       size_t len)
{
	size_t at = seq % TCP_SACK_SPAN;
	size_t n = len < TCP_SACK_SPAN - at ? len : TCP_SACK_SPAN - at;

	slice_copy(data, 0, p->buf + at, n);
	if (n < len)
		slice_copy(data, n, p->buf, len - n);
}

/**
 * tcp_sack_keep() - Keep a segment whose turn has not come
 * @owner:	connection
 * @nxt:	its RCV.NXT
 * @s:		the segment, copied
 * @now:	turn's time, usec
 *
 * As much of it as there is room for, which may be nothing.
 */
void tcp_sack_keep(const void *owner, uint32_t nxt,
		   const struct tcp_sack_seg *s, usec_t now)
{
	struct place *p = place_of(owner);
	struct range r = { s->seq, s->seq + (uint32_t)s->data.len };
	bool fin = s->fin;

	if (s->seq - nxt >= TCP_SACK_SPAN)
		return;
	if (r.end - nxt >= TCP_SACK_SPAN) {
		r.end = nxt + TCP_SACK_SPAN - 1;
		fin = false;
	}
	/* At its number nothing was written: there is one, the first */
	if (p && p->fin && p->fin_seq != r.end)
		fin = false;
	if (r.end + fin == r.start)
		return;
	if (!p)
		p = place_take(owner, now);
	if (!p || !place_add(p, (struct range){ r.start, r.end + fin }))
		return;
	place_copy(p, s->seq, &s->data, r.end - r.start);
	p->touched = now;
	if (fin) {
		p->fin = true;
		p->fin_seq = r.end;
	}
}

/* The range that a sequence number lies in */
static const struct range *place_find(const struct place *p, uint32_t seq)
{
	for (unsigned i = 0; p && i < p->cnt; i++) {
		const struct range *r = &p->ranges[i];

		if (seq_le(r->start, seq) && seq_lt(seq, r->end))
			return r;
	}
	return NULL;
}

/**
 * tcp_sack_waits() - Whether what comes next is kept: a socket refused it
 * @owner:	connection
 * @nxt:	its RCV.NXT
 * Return: true if it is
 */
bool tcp_sack_waits(const void *owner, uint32_t nxt)
{
	return place_find(place_of(owner), nxt);
}

/**
 * tcp_sack_next() - What is kept from a sequence number on, without a gap
 * @owner:	connection
 * @nxt:	sequence number
 * @iov:	where the bytes lie is set there; valid until tcp_sack_keep()
 * @fin:	whether the FIN follows them is set there
 *
 * Return: how many of @iov were set
 */
unsigned tcp_sack_next(const void *owner, uint32_t nxt, struct iovec iov[2],
		       bool *fin)
{
	struct place *p = place_of(owner);
	const struct range *r = place_find(p, nxt);
	size_t at = nxt % TCP_SACK_SPAN, len;

	*fin = false;
	if (!r)
		return 0;
	len = r->end - nxt;
	if (p->fin && p->fin_seq - nxt < len) {
		*fin = true;
		len = p->fin_seq - nxt;
	}
	iov[0].iov_base = p->buf + at;
	iov[0].iov_len = len < TCP_SACK_SPAN - at ? len : TCP_SACK_SPAN - at;
	iov[1].iov_base = p->buf;
	iov[1].iov_len = len - iov[0].iov_len;
	return !!iov[0].iov_len + !!iov[1].iov_len;
}

/**
 * tcp_sack_taken() - RCV.NXT has moved
 * @owner:	connection
 * @nxt:	its RCV.NXT
 *
 * What lies before @nxt is not kept any longer.
 */
void tcp_sack_taken(const void *owner, uint32_t nxt)
{
	struct place *p = place_of(owner);
	unsigned n = 0;

	if (!p)
		return;
	for (unsigned i = 0; i < p->cnt; i++) {
		struct range r = p->ranges[i];

		if (seq_le(r.end, nxt))
			continue;
		r.start = seq_lt(r.start, nxt) ? nxt : r.start;
		p->ranges[n++] = r;
	}
	p->cnt = n;
	p->fin = p->fin && place_find(p, p->fin_seq);
	if (!n)
		place_free(p);
}

/**
 * tcp_sack_forget() - Nothing is to be kept any longer
 * @owner:	connection
 */
void tcp_sack_forget(const void *owner)
{
	struct place *p = place_of(owner);

	if (p)
		place_free(p);
}

/**
 * tcp_sack_option() - Write the option that tells what is kept behind a gap
 * @owner:	connection
 * @nxt:	its RCV.NXT
 * @opt:	where to, TCP_SACK_OPTION_MAX bytes
 *
 * The range changed last comes first (RFC 2018 4).
 *
 * Return: bytes, padding included, a multiple of four; 0: there is no gap
 */
size_t tcp_sack_option(const void *owner, uint32_t nxt, uint8_t *opt)
{
	const struct place *p = place_of(owner);
	uint8_t *block = opt + 4;
	unsigned n = 0;

	for (unsigned i = 0; p && i < p->cnt && n < TCP_SACK_BLOCKS; i++) {
		if (p->ranges[i].start == nxt)
			continue;
		put_be32(block, p->ranges[i].start);
		put_be32(block + 4, p->ranges[i].end);
		block += 8;
		n++;
	}
	if (!n)
		return 0;
	opt[0] = opt[1] = 1;
	opt[2] = 5;
	opt[3] = (uint8_t)(2 + 8 * n);
	return 4 + 8 * n;
}
