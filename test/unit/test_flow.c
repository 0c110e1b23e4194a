// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_flow: lookups, removal, deferred reuse and sweeps of the flow table
 *
 * The table is included, so that the tests see slots and bitmaps. Each test
 * leaves it empty: flow_init() of the next one asserts that.
 */
#include "flow.c"

#include <stdlib.h>

#include "test/unit/unit.h"

static unsigned visits[FLOW_MAX];
static unsigned ops_left, ops_stopped;

static struct flow_side side_of(uint32_t n, enum flow_place place)
{
	struct flow_side s = {
		.remote = { { 0x20, 1, [12] = (uint8_t)(n >> 24),
			      (uint8_t)(n >> 16), (uint8_t)(n >> 8),
			      (uint8_t)n } },
		.local = ADDR_LOOPBACK4,
		.rport = (uint16_t)n,
		.lport = 80,
		.place = place,
	};

	return s;
}

/* From one of guest and host to the other */
static struct flow *flow_make_from(enum flow_place place, enum flow_type type,
				   uint32_t n)
{
	struct flow *f = flow_new(type, IPPROTO_UDP);

	if (!f)
		return NULL;
	f->side[INI] = side_of(n, place);
	f->side[TGT] = side_of(n, place == FLOW_AT_GUEST ? FLOW_AT_HOST :
							   FLOW_AT_GUEST);
	flow_hash(f, INI);
	flow_hash(f, TGT);
	return f;
}

static struct flow *flow_make(enum flow_type type, uint32_t n)
{
	return flow_make_from(FLOW_AT_GUEST, type, n);
}

static struct flow *flow_find(uint32_t n, enum flow_place place, unsigned *side)
{
	struct flow_side key = side_of(n, place);

	return flow_lookup(IPPROTO_UDP, &key, side);
}

static void end_one(struct flow *f, usec_t now)
{
	(void)now;
	flow_end(f);
}

static void visit(struct flow *f, usec_t now)
{
	(void)now;
	visits[flow_index(f)]++;
}

static void end_all(void)
{
	for (unsigned t = FLOW_NONE + 1; t < FLOW_TYPES; t++) {
		struct flow_cursor c = { 0 };

		CHECK(flow_sweep(&c, t, FLOW_MAX, end_one, 0));
	}
	flow_reap();
	CHECK_EQ(flow_count(), 0);
}

static bool slots_empty(void)
{
	for (unsigned i = 0; i < FLOW_SLOTS; i++) {
		if (flow_slots[i])
			return false;
	}
	return true;
}

TEST(found_by_both_sides)
{
	struct flow_side key;
	struct flow *f;
	unsigned side = 7;

	flow_init();
	f = flow_make(FLOW_UDP, 1);
	CHECK(flow_find(1, FLOW_AT_GUEST, &side) == f && side == INI);
	CHECK(flow_find(1, FLOW_AT_HOST, &side) == f && side == TGT);
	CHECK(!flow_find(1, FLOW_AT_NS, &side));
	CHECK(!flow_find(2, FLOW_AT_GUEST, &side));
	key = side_of(1, FLOW_AT_GUEST);
	CHECK(!flow_lookup(IPPROTO_TCP, &key, &side));
	key.lport++;
	CHECK(!flow_lookup(IPPROTO_UDP, &key, &side));
	key = side_of(1, FLOW_AT_GUEST);
	key.rport++;
	CHECK(!flow_lookup(IPPROTO_UDP, &key, &side));
	key = side_of(1, FLOW_AT_GUEST);
	key.local.b[15]++;
	CHECK(!flow_lookup(IPPROTO_UDP, &key, &side));
	end_all();
}

/* The hash alone does not tell keys apart: each field is compared */
TEST(keys_of_one_slot_are_told_apart)
{
	const struct flow_side a = side_of(1, FLOW_AT_GUEST);
	struct flow_side b = a;
	unsigned side;
	uint32_t n = 0;

	flow_init();
	CHECK(flow_side_equal(&a, &b));
	b.ifindex = 3;
	CHECK(flow_side_equal(&a, &b));
	b.lport++;
	CHECK(!flow_side_equal(&a, &b));
	b = a, b.rport++;
	CHECK(!flow_side_equal(&a, &b));
	b = a, b.place = FLOW_AT_NS;
	CHECK(!flow_side_equal(&a, &b));
	b = a, b.local.b[15]++;
	CHECK(!flow_side_equal(&a, &b));
	b = a, b.remote.b[15]++;
	CHECK(!flow_side_equal(&a, &b));

	do {
		b = side_of(++n, FLOW_AT_GUEST);
	} while (flow_slot_of(IPPROTO_UDP, &b) !=
		 flow_slot_of(IPPROTO_TCP, &b));
	flow_make(FLOW_UDP, n);
	CHECK(flow_lookup(IPPROTO_UDP, &b, &side));
	CHECK(!flow_lookup(IPPROTO_TCP, &b, &side));
	end_all();
}

TEST(ended_is_gone_at_once_and_reused_after_the_turn)
{
	struct flow *f, *g;
	unsigned side;

	flow_init();
	f = flow_make(FLOW_UDP, 1);
	f->room[0] = 42;
	flow_end(f);
	CHECK(!flow_find(1, FLOW_AT_GUEST, &side));
	CHECK(!flow_find(1, FLOW_AT_HOST, &side));
	CHECK_EQ(f->state, FLOW_ENDED);
	CHECK_EQ(f->room[0], 42);
	CHECK_EQ(flow_count(), 0);
	g = flow_make(FLOW_UDP, 1);
	CHECK(g != f);
	flow_reap();
	CHECK_EQ(f->state, FLOW_FREE);
	g = flow_make(FLOW_TCP, 2);
	CHECK(g == f);
	CHECK_EQ(g->room[0], 0);
	end_all();
}

TEST(a_new_flow_that_never_lived_can_end)
{
	struct flow *f;

	flow_init();
	f = flow_new(FLOW_TCP, IPPROTO_TCP);
	CHECK_EQ(f->state, FLOW_NEW);
	CHECK_EQ(flow_count(), 1);
	flow_end(f);
	flow_reap();
	CHECK_EQ(flow_count(), 0);
	CHECK_EQ(f->state, FLOW_FREE);
}

TEST(lowest_entry_first)
{
	struct flow *f[200];

	flow_init();
	for (unsigned i = 0; i < 200; i++) {
		f[i] = flow_make(FLOW_UDP, i);
		CHECK_EQ(flow_index(f[i]), i);
	}
	flow_end(f[150]);
	flow_end(f[3]);
	flow_end(f[63]);
	flow_reap();
	CHECK_EQ(flow_index(flow_make(FLOW_UDP, 1003)), 3);
	CHECK_EQ(flow_index(flow_make(FLOW_UDP, 1063)), 63);
	CHECK_EQ(flow_index(flow_make(FLOW_UDP, 1150)), 150);
	CHECK_EQ(flow_index(flow_make(FLOW_UDP, 1200)), 200);
	end_all();
}

/* Fill it, find all, take random ones out, find exactly the others */
TEST(full_table)
{
	unsigned side, missing = 0, stale = 0;

	flow_init();
	for (uint32_t n = 0; n < FLOW_MAX; n++)
		CHECK(flow_make(FLOW_UDP, n));
	CHECK_EQ(flow_count(), FLOW_MAX);
	CHECK(!flow_new(FLOW_TCP, IPPROTO_TCP));
	srand(1);
	for (uint32_t n = 0; n < FLOW_MAX; n++) {
		if (rand() & 1)
			flow_end(flow_find(n, FLOW_AT_HOST, &side));
	}
	for (uint32_t n = 0; n < FLOW_MAX; n++) {
		bool live = flow_at(n)->state == FLOW_LIVE;
		struct flow *f = flow_find(n, FLOW_AT_GUEST, &side);

		missing += live && f != flow_at(n);
		stale += !live && f;
	}
	CHECK_EQ(missing, 0);
	CHECK_EQ(stale, 0);
	CHECK(!flow_new(FLOW_TCP, IPPROTO_TCP));
	flow_reap();
	CHECK(flow_make(FLOW_TCP, FLOW_MAX));
	end_all();
	CHECK(slots_empty());
}

/*
 * Long clusters, around the end of the table too: flows are picked for the
 * slots their sides hash to, then ended in each order.
 */
TEST(clusters_close_their_gaps)
{
	enum { N = 6 };
	static const uint32_t home[N] = { FLOW_SLOTS - 2, FLOW_SLOTS - 2,
					  FLOW_SLOTS - 1, FLOW_SLOTS - 2,
					  FLOW_SLOTS - 1, 0 };
	uint32_t n[N], next = 0;

	flow_init();
	for (unsigned i = 0; i < N; i++) {
		struct flow_side s;

		do {
			s = side_of(++next, FLOW_AT_GUEST);
		} while (flow_slot_of(IPPROTO_UDP, &s) != home[i]);
		n[i] = next;
	}
	for (unsigned order = 0; order < 720; order++) {
		struct flow *f[N];
		unsigned left = N, o = order, side;

		for (unsigned i = 0; i < N; i++) {
			f[i] = flow_new(FLOW_UDP, IPPROTO_UDP);
			f[i]->side[INI] = side_of(n[i], FLOW_AT_GUEST);
			flow_hash(f[i], INI);
		}
		for (; left; o /= left, left--) {
			unsigned pick = o % left, i = 0;

			while (!f[i] || pick--)
				i++;
			flow_end(f[i]);
			f[i] = NULL;
			for (i = 0; i < N; i++)
				CHECK(flow_find(n[i], FLOW_AT_GUEST, &side) ==
				      f[i]);
		}
		flow_reap();
	}
	CHECK(slots_empty());
}

TEST(sweep_goes_on_where_it_stopped)
{
	struct flow_cursor c = { 0 };
	unsigned calls = 0;

	flow_init();
	memset(visits, 0, sizeof(visits));
	for (uint32_t n = 0; n < 1000; n++)
		flow_make(n % 2 ? FLOW_TCP : FLOW_UDP, n);
	while (!flow_sweep(&c, FLOW_TCP, 64, visit, 0)) {
		CHECK(c.active);
		calls++;
	}
	CHECK_EQ(calls, 500 / 64);
	CHECK(!c.active);
	for (unsigned i = 0; i < 1000; i++)
		CHECK_EQ(visits[i], i % 2);
	CHECK(!flow_sweep(&c, FLOW_TCP, 499, visit, 0));
	CHECK(flow_sweep(&c, FLOW_TCP, 1, visit, 0));
	CHECK(flow_sweep(&c, FLOW_ICMP, 0, visit, 0));
	end_all();
}

static void visit_and_end_next(struct flow *f, usec_t now)
{
	uint32_t next = flow_index(f) + 1;

	visit(f, now);
	flow_end(f);
	if (next < FLOW_MAX && flow_at(next)->state == FLOW_LIVE)
		flow_end(flow_at(next));
}

TEST(sweep_may_end_flows)
{
	struct flow_cursor c = { 0 };

	flow_init();
	memset(visits, 0, sizeof(visits));
	for (uint32_t n = 0; n < 200; n++)
		flow_make(FLOW_TCP, n);
	while (!flow_sweep(&c, FLOW_TCP, 1, visit_and_end_next, 0))
		flow_reap();
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(visits[i], !(i % 2));
	flow_reap();
	CHECK_EQ(flow_count(), 0);
	CHECK(slots_empty());
}

TEST(sweep_visits_the_last_entry)
{
	struct flow_cursor c = { 0 };

	flow_init();
	memset(visits, 0, sizeof(visits));
	for (uint32_t n = 0; n < FLOW_MAX; n++)
		CHECK(flow_make(FLOW_TCP, n));
	while (!flow_sweep(&c, FLOW_TCP, 4096, visit, 0))
		;
	for (uint32_t n = 0; n < FLOW_MAX; n++)
		CHECK_EQ(visits[n], 1);
	end_all();
}

static void ops_guest_left(struct flow *f, usec_t now)
{
	CHECK_EQ(now, 11);
	ops_left++;
	flow_end(f);
}

static void ops_stop(struct flow *f, usec_t now)
{
	CHECK_EQ(now, 12);
	ops_stopped++;
	flow_end(f);
}

TEST(guest_left_and_stop_reach_every_live_flow)
{
	static const struct flow_ops ops = { "TCP", ops_guest_left, ops_stop };

	flow_init();
	flow_register(FLOW_TCP, &ops);
	flow_register(FLOW_UDP, &ops);
	flow_make(FLOW_TCP, 1);
	flow_make(FLOW_UDP, 2);
	flow_guest_left(11);
	CHECK_EQ(ops_left, 2);
	flow_make(FLOW_TCP, 3);
	flow_stop(12);
	CHECK_EQ(ops_stopped, 1);
	flow_reap();
	CHECK_EQ(flow_count(), 0);
	flow_type_ops[FLOW_TCP] = flow_type_ops[FLOW_UDP] = NULL;
}

/* A client's flow, or NULL where it is refused */
static struct flow *client_make(enum flow_type type, uint32_t n, unsigned fds)
{
	return flow_admit(fds, 0) ? flow_make_from(FLOW_AT_HOST, type, n) : NULL;
}

static unsigned clients_make(enum flow_type type, unsigned fds)
{
	uint32_t n = 0;

	while (n <= FLOW_MAX && client_make(type, n, fds))
		n++;
	return n;
}

/* Who is outside never has so much that the guest has nothing left */
TEST(clients_have_a_share)
{
	struct flow *f;

	flow_init();
	CHECK_EQ(clients_make(FLOW_TCP, FLOW_MAX * 2), FLOW_MAX / 4 * 3);
	for (uint32_t n = 0; n < FLOW_MAX / 4; n++)
		CHECK(flow_make(FLOW_UDP, FLOW_MAX + n));
	CHECK(!flow_new(FLOW_TCP, IPPROTO_TCP));
	flow_end(flow_at(7));
	flow_reap();
	CHECK(client_make(FLOW_TCP, 7, FLOW_MAX * 2));
	CHECK(!client_make(FLOW_TCP, FLOW_MAX, FLOW_MAX * 2));
	end_all();

	/* of the descriptors, too */
	CHECK_EQ(clients_make(FLOW_UDP, 100), 75);
	end_all();
	CHECK_EQ(clients_make(FLOW_TCP_SPLICE, 100), 38);
	end_all();
	CHECK_EQ(clients_make(FLOW_TCP, 0), 0);

	/* one that never lived counts for nothing */
	f = flow_new(FLOW_UDP, IPPROTO_UDP);
	f->side[INI].place = FLOW_AT_HOST;
	flow_end(f);
	flow_reap();
	CHECK_EQ(clients_make(FLOW_UDP, 100), 75);
	end_all();
	flow_make(FLOW_UDP, 1);
	CHECK_EQ(clients_make(FLOW_UDP, 4), 0 + 3);
	end_all();
}

static void gives_way(struct flow *f)
{
	CHECK(client_make(FLOW_UDP, flow_index(f) + 1000, 8));
	CHECK_EQ(f->state, FLOW_ENDED);
	flow_reap();
}

/* The one that was in doubt for longest gives way, and the guest's never do */
TEST(who_is_in_doubt_gives_way)
{
	static const struct flow_ops ops = { "test", end_one, end_one };
	struct flow *f[6];

	flow_init();
	flow_register(FLOW_UDP, &ops);
	for (unsigned i = 0; i < 6; i++) {
		f[i] = client_make(FLOW_UDP, i, 8);
		CHECK(!flow_trust(f[i]));
		flow_doubt(f[i]);
	}
	CHECK(flow_trust(f[2]));
	CHECK(!flow_trust(f[2]));
	CHECK(flow_trust(f[5]));
	flow_doubt(f[5]);
	flow_doubt(f[0]);
	gives_way(f[1]);
	flow_end(f[3]);
	flow_reap();
	CHECK(client_make(FLOW_UDP, 100, 8));
	gives_way(f[4]);
	gives_way(f[5]);
	gives_way(f[0]);
	CHECK(!client_make(FLOW_UDP, 101, 8));
	CHECK_EQ(f[2]->state, FLOW_LIVE);
	/* alone in the queue */
	flow_doubt(f[2]);
	CHECK(flow_trust(f[2]));
	flow_doubt(f[2]);
	gives_way(f[2]);
	end_all();
}

TEST(text_names_both_sides)
{
	static const struct flow_ops ops = { "TCP", ops_guest_left, ops_stop };
	char buf[5 * ADDR_STRLEN];
	struct flow *f;

	flow_init();
	flow_register(FLOW_TCP, &ops);
	f = flow_make(FLOW_TCP, 1);
	addr_parse("192.0.2.2", &f->side[INI].remote);
	f->side[INI].rport = 1234;
	flow_text(f, buf, sizeof(buf));
	CHECK(!strcmp(buf, "TCP 192.0.2.2:1234 -> 127.0.0.1:80 "
			   "(127.0.0.1:80 -> [2001::1]:1)"));
	f->side[INI] = side_of(1, FLOW_AT_GUEST);
	end_all();
	flow_type_ops[FLOW_TCP] = NULL;
}

TEST(secret_differs_with_the_data_and_the_key)
{
	uint64_t a, b;

	flow_init();
	a = flow_secret("a", 1);
	CHECK(a == flow_secret("a", 1));
	CHECK(a != flow_secret("b", 1));
	b = a;
	flow_init();
	CHECK(b != flow_secret("a", 1));
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
