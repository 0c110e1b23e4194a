// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * frag: reassembly of the guest's IPv4 and IPv6 fragments in a fixed pool
 *
 * Life of a slot:
 *
 *	        first seen         complete              frag_release()
 *	 FREE ------------> FILLING ---------> LENT ------------------> FREE
 *	                       | overlap, contradiction
 *	                       v
 *	                    REFUSED: later fragments are dropped too (RFC 5722)
 *
 * FILLING and REFUSED slots end after FRAG_TIMEOUT, or as the oldest when
 * another one is needed; LENT ones are the caller's. Slots are used again last
 * in, first out, so that the pool's pages stay few. Invariant: frag_order holds
 * the FILLING and REFUSED ones, oldest first, which is the order of their end.
 *
 * A payload is copied once, to its place. Sources: RFC 791 3.2, RFC 1122 3.3.2
 * (60 s), RFC 8200 4.5, RFC 5722 (overlaps), RFC 1858, 3128, 7112 (the first
 * fragment holds the whole transport header).
 */
#include "frag.h"

#include <assert.h>
#include <linux/if_ether.h>
#include <string.h>

#include "lib/stats.h"

#define FRAG_SLOTS	64
#define FRAG_SIZE	65536
#define FRAG_TIMEOUT	(60 * USEC_PER_SEC)
/** Offsets are counted in units of 8 bytes */
#define FRAG_UNIT	8
#define FRAG_WORDS	(FRAG_SIZE / FRAG_UNIT / 64)

/**
 * struct frag_slot - a datagram that is being put together
 * @src:	IP source
 * @dst:	IP destination
 * @id:		identification
 * @ethertype:	family
 * @proto:	IPPROTO_*, of the first fragment for IPv6
 * @ttl:	of the first fragment, as what follows
 * @tos:	TOS or traffic class
 * @smac:	Ethernet source
 * @dmac:	Ethernet destination
 * @refused:	it overlaps or contradicts itself: no more of it
 * @complete_len:	bytes of all of it, 0: not known yet
 * @seen_len:	end of the fragment that reaches furthest
 * @got:	bytes received
 * @due:	when it ends
 * @iov:	what was lent
 * @map:	a bit per unit received
 */
struct frag_slot {
	struct addr src;
	struct addr dst;
	uint32_t id;
	uint16_t ethertype;
	uint8_t proto;
	uint8_t ttl;
	uint8_t tos;
	uint8_t smac[6];
	uint8_t dmac[6];
	bool refused;
	size_t complete_len;
	size_t seen_len;
	size_t got;
	usec_t due;
	struct iovec iov;
	uint64_t map[FRAG_WORDS];
};

static struct frag_slot frag_slots[FRAG_SLOTS];
static uint8_t frag_data[FRAG_SLOTS][FRAG_SIZE];
static struct frag_slot *frag_free[FRAG_SLOTS];
static unsigned frag_free_count;
static struct frag_slot *frag_order[FRAG_SLOTS];
static unsigned frag_order_count;
static struct timer frag_timer;

static uint8_t *frag_bytes(const struct frag_slot *s)
{
	return frag_data[s - frag_slots];
}

static void frag_unlink(struct frag_slot *s)
{
	unsigned i = 0;

	while (frag_order[i] != s)
		i++;
	frag_order_count--;
	memmove(&frag_order[i], &frag_order[i + 1],
		/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
		(frag_order_count - i) * sizeof(*frag_order));
}

static void frag_put_back(struct frag_slot *s)
{
	assert(frag_free_count < FRAG_SLOTS);
	frag_free[frag_free_count++] = s;
}

static void frag_end(struct frag_slot *s)
{
	frag_unlink(s);
	frag_put_back(s);
}

static void frag_expire(usec_t now)
{
	while (frag_order_count && frag_order[0]->due <= now) {
		drop(DROP_FRAGMENT);
		frag_end(frag_order[0]);
	}
}

static void frag_on_timer(struct timer *t, usec_t now)
{
	frag_expire(now);
	if (frag_order_count)
		timer_arm(t, frag_order[0]->due);
}

/**
 * frag_init() - Make the pool empty
 */
void frag_init(void)
{
	frag_timer.fn = frag_on_timer;
	frag_free_count = frag_order_count = 0;
	for (unsigned i = FRAG_SLOTS; i--;)
		frag_put_back(&frag_slots[i]);
}

/* RFC 791: protocol belongs to the key; RFC 8200: the first one's counts */
static bool frag_matches(const struct frag_slot *s, const struct packet *p)
{
	return s->id == p->frag_id && s->ethertype == p->ethertype &&
	       (s->proto == p->proto || s->ethertype == ETH_P_IPV6) &&
	       addr_equal(&s->src, &p->src) && addr_equal(&s->dst, &p->dst);
}

static struct frag_slot *frag_find(const struct packet *p)
{
	for (unsigned i = frag_order_count; i--;) {
		if (frag_matches(frag_order[i], p))
			return frag_order[i];
	}
	return NULL;
}

static struct frag_slot *frag_begin(const struct packet *p, usec_t now)
{
	struct frag_slot *s;

	if (!frag_free_count) {
		drop(DROP_FRAGMENT_FULL);
		if (!frag_order_count)
			return NULL;
		frag_end(frag_order[0]);
	}
	s = frag_free[--frag_free_count];
	*s = (struct frag_slot){
		.src = p->src,
		.dst = p->dst,
		.id = p->frag_id,
		.ethertype = p->ethertype,
		.proto = p->proto,
		.due = now + FRAG_TIMEOUT,
	};
	frag_order[frag_order_count++] = s;
	if (!timer_armed(&frag_timer))
		timer_arm(&frag_timer, s->due);
	return s;
}

/* The first fragment must hold the transport header, that nobody rewrites it */
static bool frag_has_l4(const struct packet *p)
{
	uint8_t h[TCP_HLEN];
	size_t n = slice_copy(&p->payload, 0, h, sizeof(h));

	switch (p->proto) {
	case IPPROTO_TCP:
		return n == TCP_HLEN && p->payload.len >= (h[12] >> 4) * 4u;
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return n >= UDP_HLEN;
	default:
		return false;
	}
}

static bool frag_is_sane(const struct packet *p)
{
	size_t most = UINT16_MAX - (p->ethertype == ETH_P_IP ? IP4_HLEN : 0);

	if (!p->payload.len || p->frag_off + p->payload.len > most)
		return false;
	if (p->more && p->payload.len % FRAG_UNIT)
		return false;
	return p->frag_off || frag_has_l4(p);
}

/* Bits [from, to) that lie in a word of the map */
static uint64_t frag_mask(size_t word, size_t from, size_t to)
{
	uint64_t mask = ~0ULL;

	if (word == from / 64)
		mask <<= from % 64;
	if (word == to / 64)
		mask &= (1ULL << to % 64) - 1;
	return mask;
}

/* Mark units [from, to); how many were marked before */
static size_t frag_mark(struct frag_slot *s, size_t from, size_t to)
{
	size_t before = 0;

	for (size_t w = from / 64; w <= (to - 1) / 64; w++) {
		uint64_t mask = frag_mask(w, from, to);

		before += (size_t)__builtin_popcountll(s->map[w] & mask);
		s->map[w] |= mask;
	}
	return before;
}

static bool frag_is_copy(const struct frag_slot *s, const struct packet *p)
{
	static uint8_t copy[FRAG_SIZE];
	size_t n = slice_copy(&p->payload, 0, copy, sizeof(copy));

	return !memcmp(frag_bytes(s) + p->frag_off, copy, n);
}

/* Whether the datagram's length agrees with what is known of it */
static bool frag_length_agrees(struct frag_slot *s, const struct packet *p)
{
	size_t end = p->frag_off + p->payload.len;

	if (s->complete_len && end > s->complete_len)
		return false;
	if (!p->more && s->seen_len > end)
		return false;
	if (!p->more)
		s->complete_len = end;
	if (end > s->seen_len)
		s->seen_len = end;
	return true;
}

/* Put a fragment in its place; false: dropped and counted */
static bool frag_add(struct frag_slot *s, const struct packet *p)
{
	size_t len = p->payload.len;
	size_t from = p->frag_off / FRAG_UNIT;
	size_t to = (p->frag_off + len + FRAG_UNIT - 1) / FRAG_UNIT;
	size_t before;

	if (s->refused || !frag_length_agrees(s, p)) {
		s->refused = true;
		return drop(DROP_FRAGMENT);
	}
	before = frag_mark(s, from, to);
	if (before) {
		s->refused = before != to - from || !frag_is_copy(s, p);
		return drop(DROP_FRAGMENT);
	}
	slice_copy(&p->payload, 0, frag_bytes(s) + p->frag_off, len);
	s->got += len;
	if (!p->frag_off) {
		s->proto = p->proto;
		s->ttl = p->ttl;
		s->tos = p->tos;
		memcpy(s->smac, p->smac, sizeof(s->smac));
		memcpy(s->dmac, p->dmac, sizeof(s->dmac));
	}
	return true;
}

/*
 * The datagram as if it had come in one frame, without options; df is false for
 * IPv6, too: who sent fragments lets us send fragments
 */
static bool frag_finish(struct frag_slot *s, struct packet *whole)
{
	struct packet_ends e = {
		.smac = s->smac,
		.dmac = s->dmac,
		.src = s->src,
		.dst = s->dst,
		.ttl = s->ttl,
		.tos = s->tos,
	};

	*whole = (struct packet){
		.src = s->src,
		.dst = s->dst,
		.ethertype = s->ethertype,
		.proto = s->proto,
		.ttl = s->ttl,
		.tos = s->tos,
		.frag_id = s->id,
		.l3_off = ETH_HLEN_,
		.payload = { &s->iov, 1, 0, s->got },
	};
	memcpy(whole->smac, s->smac, sizeof(whole->smac));
	memcpy(whole->dmac, s->dmac, sizeof(whole->dmac));
	whole->l4_off = (uint16_t)packet_put_l2l3(whole->hdr, &e, s->proto,
						  s->got);
	s->iov = (struct iovec){ frag_bytes(s), s->got };
	frag_unlink(s);
	if (packet_parse_l4(whole, false))
		return true;
	frag_put_back(s);
	return false;
}

/**
 * frag_input() - A fragment from the guest
 * @p:		fragment, as packet_parse() left it
 * @whole:	where to store the datagram once it is complete; may be @p
 * @now:	time
 *
 * Return: true: @whole holds the datagram, its payload in the pool until
 * frag_release(); false: more is to come, or it was dropped and counted
 */
bool frag_input(const struct packet *p, struct packet *whole, usec_t now)
{
	struct frag_slot *s;

	frag_expire(now);
	if (!frag_is_sane(p))
		return drop(DROP_FRAGMENT);
	s = frag_find(p);
	if (!s)
		s = frag_begin(p, now);
	if (!s || !frag_add(s, p))
		return false;
	return s->got == s->complete_len && frag_finish(s, whole);
}

/**
 * frag_release() - Give a datagram's memory back
 * @whole:	as frag_input() stored it
 */
void frag_release(const struct packet *whole)
{
	uintptr_t at = (uintptr_t)whole->payload.iov;

	assert(at >= (uintptr_t)frag_slots &&
	       at < (uintptr_t)(frag_slots + FRAG_SLOTS));
	frag_put_back(&frag_slots[(at - (uintptr_t)frag_slots) /
				  sizeof(*frag_slots)]);
}

/**
 * frag_forget() - The guest is gone: so are its fragments
 */
void frag_forget(void)
{
	while (frag_order_count)
		frag_end(frag_order[0]);
	timer_cancel(&frag_timer);
}
