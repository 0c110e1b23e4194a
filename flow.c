// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * flow: the table of everything that is under way
 *
 * Owns the entries, the lookup table and the bitmaps, all static and touched
 * only as they fill: the lowest free entry is taken first, so that a daemon
 * with few flows stays in few pages.
 *
 *	flow_slots[]     0  5  0  0  12  13  3  0 ...   (index << 1 | side) + 1
 *	                    |        |
 *	                    v        v
 *	flow_table[]     entry 2,   entry 5, side TGT
 *	                 side INI
 *
 * Lookup is by open addressing with linear probing. Removal shifts back what
 * follows in the same cluster (Knuth, TAOCP 3, 6.4, algorithm R), so there are
 * no tombstones and a probe ends at the first empty slot. There are twice as
 * many slots as sides, hence always an empty one. The hash is SipHash-2-4 with
 * a random key: a guest or a remote that picks addresses and ports cannot pick
 * long clusters.
 *
 * Who begins flows at the host may be anybody. They have a share of the table and
 * of the descriptors, and no more, so that the guest can always begin its own. A
 * client of UDP proves nothing by its first datagram, whose source may be a lie:
 * until it has spoken again after an answer, its flow stands in a queue, ordered
 * by the last answer, or else by the beginning. Where the share is used up, the
 * first in the queue gives way to what is new; where nobody stands there, what is
 * new is refused.
 *
 *	flow_queue[]     0: first, last   n: next, previous of entry n - 1
 *
 * Invariants: a side's bit in flow.hashed is set exactly while its slot is in
 * flow_slots[]; an entry's bit in flow_live[type] is set exactly while its
 * state is FLOW_LIVE, in flow_used[] while it is not FLOW_FREE.
 */
#include "flow.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "lib/log.h"
#include "lib/siphash.h"

#define FLOW_WORD_BITS	64
#define FLOW_WORDS	(FLOW_MAX / FLOW_WORD_BITS)
#define FLOW_SUMMARY	(FLOW_WORDS / FLOW_WORD_BITS)
#define FLOW_SLOTS	(4 * FLOW_MAX)
/** What flows that began at the host may have of @n: three quarters */
#define FLOW_SHARE(n)	((n) - (n) / 4)

static_assert(sizeof(struct flow_side) == 40, "no padding in a side");
static_assert(sizeof(struct flow) == 256, "an entry is four cache lines");
static_assert(FLOW_SUMMARY * FLOW_WORD_BITS * FLOW_WORD_BITS == FLOW_MAX,
	      "the bitmaps cover the table");
static_assert(!(FLOW_SLOTS & (FLOW_SLOTS - 1)), "slots are masked");

/**
 * struct flow_key - what is hashed: no padding, every byte set
 * @remote:	see struct flow_side, as are the following
 * @local:	our address
 * @rport:	remote's port
 * @lport:	our port
 * @proto:	IPPROTO_*
 * @place:	enum flow_place
 */
struct flow_key {
	struct addr remote;
	struct addr local;
	uint16_t rport;
	uint16_t lport;
	uint8_t proto;
	uint8_t place;
};

static_assert(sizeof(struct flow_key) == 38, "no padding in the hashed key");

/**
 * struct flow_queue - a link of the queue: a ring, which begins and ends at [0]
 * @next:	index + 1 of the next one; 0: the last one, or not in the queue
 * @prev:	the same of the one before
 */
struct flow_queue {
	uint32_t next;
	uint32_t prev;
};

static struct flow flow_table[FLOW_MAX];
static uint32_t flow_slots[FLOW_SLOTS];
static uint64_t flow_live[FLOW_TYPES][FLOW_WORDS];
static uint64_t flow_used[FLOW_WORDS];
/* a bit per word of flow_used: all of it is in use */
static uint64_t flow_full[FLOW_SUMMARY];
static uint32_t flow_ended_head;
static unsigned flow_running;
/* Flows that began at the host, and the descriptors that they have */
static unsigned flow_from_host, flow_from_host_fds;
static struct flow_queue flow_queue[FLOW_MAX + 1];
static struct siphash_key flow_hash_key;
static const struct flow_ops *flow_type_ops[FLOW_TYPES];

/**
 * flow_init() - Draw the hash key; the table must be empty
 *
 * Dies where the kernel has no random numbers.
 */
void flow_init(void)
{
	assert(!flow_running && !flow_ended_head);
	if (getrandom(&flow_hash_key, sizeof(flow_hash_key), 0) !=
	    sizeof(flow_hash_key))
		die("No random numbers for the flow table: %m");
}

/**
 * flow_register() - Say who answers for a type of flow
 * @type:	the type
 * @ops:	its operations, kept
 */
void flow_register(enum flow_type type, const struct flow_ops *ops)
{
	assert(type > FLOW_NONE && type < FLOW_TYPES);
	flow_type_ops[type] = ops;
}

static bool flow_take(uint32_t *index)
{
	for (unsigned s = 0; s < FLOW_SUMMARY; s++) {
		unsigned w, bit;

		if (!~flow_full[s])
			continue;
		w = s * FLOW_WORD_BITS +
		    (unsigned)__builtin_ctzll(~flow_full[s]);
		bit = (unsigned)__builtin_ctzll(~flow_used[w]);
		flow_used[w] |= 1ULL << bit;
		if (!~flow_used[w])
			flow_full[s] |= 1ULL << w % FLOW_WORD_BITS;
		*index = w * FLOW_WORD_BITS + bit;
		return true;
	}
	return false;
}

static void flow_give_back(uint32_t index)
{
	unsigned w = index / FLOW_WORD_BITS;

	flow_used[w] &= ~(1ULL << index % FLOW_WORD_BITS);
	flow_full[w / FLOW_WORD_BITS] &= ~(1ULL << w % FLOW_WORD_BITS);
}

/**
 * flow_new() - Take an entry
 * @type:	type of the flow
 * @proto:	IPPROTO_*, part of the key it is looked up by
 * Return: the entry, all else zero, state FLOW_NEW; NULL when the table is full
 *	   (said in the log, at most once a second; the caller counts the drop)
 */
struct flow *flow_new(enum flow_type type, uint8_t proto)
{
	struct flow *f;
	uint32_t index;

	assert(type > FLOW_NONE && type < FLOW_TYPES);
	if (!flow_take(&index)) {
		warn_limited("Flow table full (%d entries): new flows refused",
			     FLOW_MAX);
		return NULL;
	}
	f = &flow_table[index];
	memset(f, 0, sizeof(*f));
	f->type = (uint8_t)type;
	f->proto = proto;
	f->state = FLOW_NEW;
	flow_running++;
	return f;
}

static uint32_t flow_slot_of(uint8_t proto, const struct flow_side *s)
{
	struct flow_key key = {
		.remote = s->remote,
		.local = s->local,
		.rport = s->rport,
		.lport = s->lport,
		.proto = proto,
		.place = (uint8_t)s->place,
	};

	return (uint32_t)siphash_24(&flow_hash_key, &key, sizeof(key)) &
	       (FLOW_SLOTS - 1);
}

static uint32_t flow_next_slot(uint32_t slot)
{
	return (slot + 1) & (FLOW_SLOTS - 1);
}

/* A flow from the host begins (1) or ends (-1) */
static void flow_count_from_host(const struct flow *f, int n)
{
	if (f->side[INI].place != FLOW_AT_HOST)
		return;
	flow_from_host += (unsigned)n;
	/* From socket to socket takes two */
	flow_from_host_fds += (unsigned)(f->type == FLOW_TCP_SPLICE ? 2 * n : n);
}

/**
 * flow_hash() - Make a flow found by one of its sides; it is live from now on
 * @f:		flow, new or live, this side not hashed yet
 * @side:	INI or TGT, filled in and not to be changed any more
 *
 * The caller has made sure by flow_lookup() that no other flow has this key.
 */
void flow_hash(struct flow *f, unsigned side)
{
	uint32_t slot = flow_slot_of(f->proto, &f->side[side]);
	uint32_t index = flow_index(f);

	assert(f->state == FLOW_NEW || f->state == FLOW_LIVE);
	assert(!(f->hashed & 1 << side));
	while (flow_slots[slot])
		slot = flow_next_slot(slot);
	flow_slots[slot] = (index << 1 | side) + 1;
	f->hashed |= (uint8_t)(1 << side);
	if (f->state == FLOW_NEW)
		flow_count_from_host(f, 1);
	f->state = FLOW_LIVE;
	flow_live[f->type][index / FLOW_WORD_BITS] |=
		1ULL << index % FLOW_WORD_BITS;
}

static struct flow *flow_in_slot(uint32_t slot, unsigned *side)
{
	uint32_t v = flow_slots[slot] - 1;

	*side = v & 1;
	return &flow_table[v >> 1];
}

/* Fills the hole left at @slot from behind, until the cluster ends */
static void flow_close_gap(uint32_t slot)
{
	uint32_t hole = slot;

	for (slot = flow_next_slot(slot); flow_slots[slot];
	     slot = flow_next_slot(slot)) {
		unsigned side;
		struct flow *f = flow_in_slot(slot, &side);
		uint32_t home = flow_slot_of(f->proto, &f->side[side]);

		/* distances are modulo the table: it wraps around */
		if (((slot - home) & (FLOW_SLOTS - 1)) <
		    ((slot - hole) & (FLOW_SLOTS - 1)))
			continue;
		flow_slots[hole] = flow_slots[slot];
		hole = slot;
	}
	flow_slots[hole] = 0;
}

static void flow_unhash(struct flow *f, unsigned side)
{
	uint32_t slot = flow_slot_of(f->proto, &f->side[side]);
	uint32_t v = (flow_index(f) << 1 | side) + 1;

	while (flow_slots[slot] != v) {
		assert(flow_slots[slot]);
		slot = flow_next_slot(slot);
	}
	flow_close_gap(slot);
	f->hashed &= (uint8_t)~(1 << side);
}

static bool flow_side_equal(const struct flow_side *a,
			    const struct flow_side *b)
{
	return a->rport == b->rport && a->lport == b->lport &&
	       a->place == b->place && addr_equal(&a->remote, &b->remote) &&
	       addr_equal(&a->local, &b->local);
}

/**
 * flow_lookup() - Find a live flow by one of its sides
 * @proto:	IPPROTO_*
 * @key:	the side; @key->ifindex is not looked at
 * @side:	set to the side that matches, INI or TGT; may be NULL
 * Return: the flow, or NULL
 */
struct flow *flow_lookup(uint8_t proto, const struct flow_side *key,
			 unsigned *side)
{
	uint32_t slot = flow_slot_of(proto, key);

	for (; flow_slots[slot]; slot = flow_next_slot(slot)) {
		unsigned which;
		struct flow *f = flow_in_slot(slot, &which);

		if (f->proto != proto || !flow_side_equal(&f->side[which], key))
			continue;
		if (side)
			*side = which;
		return f;
	}
	return NULL;
}

/**
 * flow_trust() - A flow gives way to none any more
 * @f:		flow, in the queue or not
 * Return: true if it stood there until now
 */
bool flow_trust(struct flow *f)
{
	uint32_t n = flow_index(f) + 1;
	struct flow_queue *q = &flow_queue[n];

	if (!q->next && flow_queue[0].prev != n)
		return false;
	flow_queue[q->next].prev = q->prev;
	flow_queue[q->prev].next = q->next;
	*q = (struct flow_queue){ 0 };
	return true;
}

/**
 * flow_doubt() - A flow from the host gives way to new ones, the last to do so
 * @f:		live flow; one that stands in the queue goes to its end
 */
void flow_doubt(struct flow *f)
{
	uint32_t n = flow_index(f) + 1, last;

	assert(f->state == FLOW_LIVE);
	flow_trust(f);
	last = flow_queue[0].prev;
	flow_queue[n] = (struct flow_queue){ .prev = last };
	flow_queue[last].next = n;
	flow_queue[0].prev = n;
}

/**
 * flow_admit() - Whether another flow may begin at the host
 * @fds:	descriptors that there are for flows
 * @now:	time
 *
 * May end any flow that flow_doubt() was told of: nothing of it may be under way.
 *
 * Return: true if so; false (said in the log, at most once a second; the caller
 *	   counts the drop) where they have their share, and none gives way
 */
bool flow_admit(unsigned fds, usec_t now)
{
	uint32_t first = flow_queue[0].next;

	if (flow_from_host < FLOW_SHARE(FLOW_MAX) &&
	    flow_from_host_fds < FLOW_SHARE(fds))
		return true;
	if (!first) {
		warn_limited("Clients of forwarded ports have their share (%u "
			     "flows): new ones refused", flow_from_host);
		return false;
	}
	flow_type_ops[flow_at(first - 1)->type]->stop(flow_at(first - 1), now);
	return true;
}

/**
 * flow_end() - End a flow: found by no lookup and no sweep any more
 * @f:		flow, new or live; its memory stays as it is until flow_reap()
 */
void flow_end(struct flow *f)
{
	uint32_t index = flow_index(f);

	assert(f->state == FLOW_NEW || f->state == FLOW_LIVE);
	for (unsigned side = INI; side <= TGT; side++) {
		if (f->hashed & 1 << side)
			flow_unhash(f, side);
	}
	flow_live[f->type][index / FLOW_WORD_BITS] &=
		~(1ULL << index % FLOW_WORD_BITS);
	flow_trust(f);
	if (f->state == FLOW_LIVE)
		flow_count_from_host(f, -1);
	f->state = FLOW_ENDED;
	f->next = flow_ended_head;
	flow_ended_head = index + 1;
	flow_running--;
}

/**
 * flow_reap() - At the end of a turn, free what ended in it
 */
void flow_reap(void)
{
	while (flow_ended_head) {
		uint32_t index = flow_ended_head - 1;
		struct flow *f = &flow_table[index];

		flow_ended_head = f->next;
		f->state = FLOW_FREE;
		f->type = FLOW_NONE;
		flow_give_back(index);
	}
}

/* Index of the first live entry of a type from @from on; FLOW_MAX if none */
static uint32_t flow_next_live(enum flow_type type, uint32_t from)
{
	uint32_t w = from / FLOW_WORD_BITS;
	uint64_t mask = ~0ULL << from % FLOW_WORD_BITS;

	for (; w < FLOW_WORDS; w++, mask = ~0ULL) {
		uint64_t bits = flow_live[type][w] & mask;

		if (bits)
			return w * FLOW_WORD_BITS +
			       (uint32_t)__builtin_ctzll(bits);
	}
	return FLOW_MAX;
}

/**
 * flow_sweep() - Go on with a walk over the live flows of a type
 * @c:		where it stopped; zeroed: starts
 * @type:	type of flow
 * @max:	flows to visit at most in this call
 * @fn:		called for each; may end this flow or any other
 * @now:	time, handed to @fn
 *
 * Each flow that is live all through the walk is visited exactly once; one
 * that begins or ends meanwhile at most once.
 *
 * Return: true if the walk is complete (@c is ready for the next one), false
 *	   if it is to be gone on with
 */
bool flow_sweep(struct flow_cursor *c, enum flow_type type, unsigned max,
		flow_fn fn, usec_t now)
{
	uint32_t index = c->active ? c->index : 0;

	for (index = flow_next_live(type, index); index < FLOW_MAX;
	     index = flow_next_live(type, index)) {
		if (!max--) {
			*c = (struct flow_cursor){ index, true };
			return false;
		}
		fn(&flow_table[index], now);
		if (++index == FLOW_MAX)
			break;
	}
	*c = (struct flow_cursor){ 0 };
	return true;
}

/**
 * flow_guest_left() - The guest went away: tell each live flow
 * @now:	time
 */
void flow_guest_left(usec_t now)
{
	for (unsigned t = FLOW_NONE + 1; t < FLOW_TYPES; t++) {
		struct flow_cursor c = { 0 };

		if (flow_type_ops[t])
			flow_sweep(&c, t, FLOW_MAX,
				   flow_type_ops[t]->guest_left, now);
	}
}

/**
 * flow_stop() - The daemon ends: tell each live flow
 * @now:	time
 */
void flow_stop(usec_t now)
{
	for (unsigned t = FLOW_NONE + 1; t < FLOW_TYPES; t++) {
		struct flow_cursor c = { 0 };

		if (flow_type_ops[t])
			flow_sweep(&c, t, FLOW_MAX, flow_type_ops[t]->stop,
				   now);
	}
}

/**
 * flow_count() - How many flows there are
 * Return: entries taken and not ended
 */
unsigned flow_count(void)
{
	return flow_running;
}

/**
 * flow_index() - The number of an entry
 * @f:		entry
 * Return: 0 to FLOW_MAX - 1
 */
uint32_t flow_index(const struct flow *f)
{
	return (uint32_t)(f - flow_table);
}

/**
 * flow_at() - The entry of a number
 * @index:	0 to FLOW_MAX - 1
 * Return: the entry, in whatever state
 */
struct flow *flow_at(uint32_t index)
{
	assert(index < FLOW_MAX);
	return &flow_table[index];
}

static const char *flow_name(const struct flow *f)
{
	const struct flow_ops *ops = flow_type_ops[f->type];

	return ops ? ops->name : "flow";
}

/**
 * flow_text() - Describe a flow for the log
 * @f:		flow
 * @buf:	room for the text, 5 * ADDR_STRLEN is enough
 * @size:	bytes of it
 *
 * "TCP 192.0.2.2:1234 -> 198.51.100.1:80 (0.0.0.0:0 -> 198.51.100.1:80)": as
 * the side that began it sees it and, in parentheses, as the other one does.
 *
 * Return: @buf
 */
const char *flow_text(const struct flow *f, char *buf, size_t size)
{
	const struct flow_side *i = &f->side[INI], *t = &f->side[TGT];
	const struct endpoint ends[] = {
		{ i->remote, i->rport, i->ifindex },
		{ i->local, i->lport, i->ifindex },
		{ t->local, t->lport, t->ifindex },
		{ t->remote, t->rport, t->ifindex },
	};
	char text[4][ADDR_STRLEN];

	for (unsigned n = 0; n < 4; n++)
		addr_format_port(&ends[n], text[n], sizeof(text[n]));
	snprintf(buf, size, "%s %s -> %s (%s -> %s)", flow_name(f), text[0],
		 text[1], text[2], text[3]);
	return buf;
}

/**
 * flow_secret() - A keyed hash, for numbers that must not be guessed
 * @data:	what to hash
 * @len:	bytes of it
 * Return: SipHash-2-4 under this process's key
 */
uint64_t flow_secret(const void *data, size_t len)
{
	return siphash_24(&flow_hash_key, data, len);
}
