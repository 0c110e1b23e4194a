// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_tcp_loss: a guest that is silent for longer than the timeout, with
 * nothing lost, with all lost, and what lies between
 */
#include "tcp_loss.h"

#include <string.h>
#include <sys/socket.h>

#include "tcp.h"
#include "test/unit/tcpfix.h"

/* How far the guest was sent data, in order, from segment n on */
static unsigned sent_from(unsigned n)
{
	while (waiting()) {
		next();
		CHECK_EQ(s.seq, (int)n * MSS);
		CHECK_EQ(s.len, MSS);
		RIGHT();
		n++;
	}
	return n;
}

/* So many segments are under way */
static void under_way(unsigned n)
{
	peer_sends(pattern(0), n * MSS);
	CHECK_EQ(sent_from(0), n);
}

static void guest_acks(unsigned n)
{
	sends(ACK, 0, (int32_t)n * MSS, NULL, 0);
}

/* The guest says nothing, until segment n is sent again; alone */
static void silence(unsigned n)
{
	for (int i = 0; i < 10000 && !waiting(); i++)
		tf_later(10 * USEC_PER_MSEC);
	SAW(ACK, (int)n * MSS, 0, MSS);
	RIGHT();
	QUIET();
}

/* More is sent, and what answers to what was sent twice begins no recovery */
static void duplicates_are_ours(void)
{
	peer_sends(pattern(20 * MSS), 4 * MSS);
	CHECK_EQ(sent_from(20), 24);
	for (int i = 0; i < 5; i++)
		guest_acks(20);
	QUIET();
}

static void nothing_lost(void)
{
	under_way(20);
	silence(0);
	guest_acks(1);
	SAW(ACK, 19 * MSS, 0, MSS);
	RIGHT();
	for (unsigned i = 2; i <= 20; i++) {
		QUIET();
		guest_acks(i);
	}
	QUIET();
	duplicates_are_ours();
	/* ... but later duplicates do */
	guest_acks(22);
	for (int i = 0; i < 3; i++)
		guest_acks(22);
	CHECK_EQ(sent_from(22), 23);
	guest_acks(24);
	QUIET();
}

/* The guest had all: two segments are sent again, and it acknowledges all */
TEST(silence_with_nothing_lost)
{
	tf_setup();
	open_out();
	nothing_lost();
	tf_teardown();
}

/* New data in the place of the last segment: two, until it was heard */
TEST(silence_with_more_to_send)
{
	tf_setup();
	g.window = 20 * MSS;
	open_out();
	peer_sends(pattern(0), 30 * MSS);
	CHECK_EQ(sent_from(0), 20);
	silence(0);
	guest_acks(4);
	CHECK_EQ(sent_from(20), 22);
	guest_acks(5);
	CHECK_EQ(sent_from(22), 25);
	guest_acks(25);
	CHECK_EQ(sent_from(25), 30);
	guest_acks(30);
	tf_later(10 * USEC_PER_SEC);
	QUIET();
	tf_teardown();
}

/* What the host sends meanwhile waits for the guest's first word */
TEST(silence_and_new_data)
{
	tf_setup();
	open_out();
	under_way(5);
	silence(0);
	peer_sends(pattern(5 * MSS), 4 * MSS);
	QUIET();
	guest_acks(1);
	CHECK_EQ(sent_from(5), 7);
	guest_acks(2);
	CHECK_EQ(sent_from(7), 9);
	guest_acks(9);
	QUIET();
	tf_teardown();
}

/* Again and again, for long: the same segment each time */
TEST(silence_for_long)
{
	tf_setup();
	open_out();
	under_way(20);
	for (int i = 0; i < 5; i++)
		silence(0);
	for (unsigned i = 1; i <= 20; i++)
		queue(ACK, 0, (int32_t)i * MSS, NULL, 0);
	flush();
	QUIET();
	duplicates_are_ours();
	tf_teardown();
}

/* Silent twice within one window */
TEST(silence_again)
{
	tf_setup();
	open_out();
	under_way(20);
	silence(0);
	guest_acks(1);
	SAW(ACK, 19 * MSS, 0, MSS);
	guest_acks(5);
	QUIET();
	silence(5);
	guest_acks(6);
	SAW(ACK, 19 * MSS, 0, MSS);
	guest_acks(7);
	guest_acks(20);
	QUIET();
	tf_teardown();
}

/* All lost: the last one finds no place, and slow start sends all again */
static void all_lost(void)
{
	unsigned most = 3, end;

	under_way(20);
	silence(0);
	guest_acks(1);
	SAW(ACK, 19 * MSS, 0, MSS);
	guest_acks(1);
	end = sent_from(1);
	CHECK_EQ(end, 4);
	for (unsigned n = 2; n < 20; n++) {
		guest_acks(n);
		end = sent_from(end);
		most++;
		CHECK_EQ(end, n + most < 20 ? n + most : 20);
	}
	guest_acks(20);
	QUIET();
	peer_sends(pattern(20 * MSS), 10 * MSS);
	CHECK_EQ(sent_from(20), 30);
	guest_acks(30);
	tf_later(10 * USEC_PER_SEC);
	QUIET();
}

TEST(silence_with_all_lost)
{
	tf_setup();
	open_out();
	all_lost();
	tf_teardown();
}

/* The same wherever our numbers wrap */
TEST(silence_where_numbers_wrap)
{
	for (unsigned i = 0; i < 2 * 26; i++) {
		tf_setup();
		g.set_irs = true;
		g.irs = (uint32_t)-1 - i / 2 * MSS - i % 3;
		open_out();
		if (i % 2)
			nothing_lost();
		else
			all_lost();
		tf_teardown();
	}
}

/* Only the first was lost: its ACK is of all */
TEST(silence_with_the_first_lost)
{
	tf_setup();
	open_out();
	under_way(20);
	silence(0);
	guest_acks(20);
	QUIET();
	peer_sends(pattern(20 * MSS), 2 * MSS);
	CHECK_EQ(sent_from(20), 22);
	tf_teardown();
}

/* Some: from one to the next that is missing, and no others */
TEST(silence_with_some_lost)
{
	tf_setup();
	open_out();
	under_way(20);
	silence(0);
	guest_acks(7);
	SAW(ACK, 19 * MSS, 0, MSS);
	guest_acks(7);
	CHECK_EQ(sent_from(7), 10);
	guest_acks(15);
	SAW(ACK, 19 * MSS, 0, MSS);
	guest_acks(15);
	CHECK_EQ(sent_from(15), 18);
	guest_acks(20);
	QUIET();
	tf_teardown();
}

/* No answer to the last one either: all again, as slowly as can be */
TEST(silence_after_the_probe)
{
	tf_setup();
	open_out();
	under_way(20);
	silence(0);
	guest_acks(1);
	SAW(ACK, 19 * MSS, 0, MSS);
	silence(1);
	guest_acks(2);
	CHECK_EQ(sent_from(2), 4);
	guest_acks(4);
	CHECK_EQ(sent_from(4), 7);
	silence(4);
	guest_acks(5);
	CHECK_EQ(sent_from(5), 7);
	/* ... until the guest tells of more than was sent again */
	guest_acks(9);
	SAW(ACK, 19 * MSS, 0, MSS);
	guest_acks(20);
	QUIET();
	tf_teardown();
}

/* A duplicate as the first word: something else was lost than its ACKs */
TEST(silence_and_a_duplicate)
{
	tf_setup();
	open_out();
	under_way(20);
	silence(0);
	guest_acks(0);
	QUIET();
	guest_acks(1);
	CHECK_EQ(sent_from(1), 3);
	tf_teardown();
}

/* An ACK of a part of what was sent again */
TEST(silence_and_less)
{
	tf_setup();
	open_out();
	under_way(20);
	silence(0);
	sends(ACK, 0, 700, NULL, 0);
	SAW(ACK, MSS, 0, MSS);
	SAW(ACK, 2 * MSS, 0, 700);
	QUIET();
	tf_teardown();
}

/* After a fast retransmit it was a loss: no second thought */
TEST(silence_in_recovery)
{
	tf_setup();
	open_out();
	under_way(20);
	for (int i = 0; i < 3; i++)
		guest_acks(0);
	CHECK_EQ(sent_from(0), 1);
	silence(0);
	guest_acks(1);
	CHECK_EQ(sent_from(1), 3);
	tf_teardown();
}

/* What is sent again fits a window that shrank */
TEST(recovery_in_a_smaller_window)
{
	tf_setup();
	open_out();
	under_way(20);
	g.window = 700;
	for (int i = 0; i < 4; i++)
		guest_acks(0);
	SAW(ACK, 0, 0, 700);
	QUIET();
	tf_teardown();
}

/* A guest that delays an ACK for 200 ms beyond the usual round trip is waited for */
TEST(delayed_ack_is_no_loss)
{
	unsigned n = 0;

	tf_setup();
	open_out();
	for (; n < 40; n++) {
		peer_sends(pattern(n * MSS), MSS);
		SAW(ACK, n * MSS, 0, MSS);
		tf_later(50 * USEC_PER_MSEC);
		guest_acks(n + 1);
	}
	peer_sends(pattern(n * MSS), MSS);
	SAW(ACK, n * MSS, 0, MSS);
	tf_later(240 * USEC_PER_MSEC);
	QUIET();
	tf_later(100 * USEC_PER_MSEC);
	SAW(ACK, n * MSS, 0, MSS);
	tf_teardown();
}

/* A SYN that went out twice: 3 s for data, until there is a sample */
TEST(timeout_after_a_second_syn)
{
	tf_setup();
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	tf_later(1100 * USEC_PER_MSEC);
	SAW(SYN, -1, 0, 0);
	sends(SYN | ACK, -1, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	tf_turns();
	forget();
	under_way(1);
	tf_later(2900 * USEC_PER_MSEC);
	QUIET();
	tf_later(200 * USEC_PER_MSEC);
	SAW(ACK, 0, 0, MSS);
	guest_acks(1);
	peer_sends(pattern(MSS), MSS);
	SAW(ACK, MSS, 0, MSS);
	guest_acks(2);
	CHECK(tcp_loss_rto(conn()) < USEC_PER_SEC);
	tf_teardown();
}

/* The last segment is a FIN */
TEST(silence_with_a_fin)
{
	for (int lost = 0; lost < 2; lost++) {
		tf_setup();
		open_out();
		under_way(5);
		shutdown(g.fd, SHUT_WR);
		tf_turns();
		SAW(ACK | FIN, 5 * MSS, 0, 0);
		silence(0);
		guest_acks(1);
		SAW(ACK | FIN, 5 * MSS, 0, 0);
		if (lost) {
			guest_acks(1);
			CHECK_EQ(sent_from(1), 4);
			guest_acks(4);
			SAW(ACK, 4 * MSS, 0, MSS);
			SAW(ACK | FIN, 5 * MSS, 0, 0);
		}
		guest_acks(5);
		QUIET();
		STATE(FIN_WAIT_1);
		sends(ACK, 0, 5 * MSS + 1, NULL, 0);
		STATE(FIN_WAIT_2);
		QUIET();
		tf_teardown();
	}
}

/* The window closes upon what is under way: all of it anew, once it opens */
TEST(silence_and_a_closed_window)
{
	tf_setup();
	g.window = 20 * MSS;
	open_out();
	under_way(20);
	silence(0);
	g.window = 0;
	guest_acks(0);
	for (int i = 0; i < 10000 && !waiting(); i++)
		tf_later(10 * USEC_PER_MSEC);
	SAW(ACK, 0, 0, 1);
	g.window = 20 * MSS;
	guest_acks(0);
	CHECK_EQ(sent_from(0), 20);
	guest_acks(20);
	QUIET();
	tf_teardown();
}

/* A window that shrank: nothing beyond it, and so no probe */
TEST(silence_and_a_smaller_window)
{
	tf_setup();
	open_out();
	under_way(20);
	silence(0);
	g.window = 2 * MSS;
	guest_acks(1);
	QUIET();
	silence(1);
	guest_acks(2);
	CHECK_EQ(sent_from(2), 4);
	tf_teardown();
}

/* The link has no room for it: it goes once there is, and does not count */
TEST(silence_and_a_full_link)
{
	tf_setup();
	open_out();
	under_way(5);
	memlink_set_room(0);
	tf_later(1200 * USEC_PER_MSEC);
	CHECK_EQ(conn()->retries, 0);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	silence(0);
	CHECK_EQ(conn()->retries, 1);
	guest_acks(1);
	SAW(ACK, 4 * MSS, 0, MSS);
	guest_acks(5);
	QUIET();
	tf_teardown();
}

/* Neither do duplicates come to nothing */
TEST(recovery_and_a_full_link)
{
	tf_setup();
	open_out();
	under_way(5);
	memlink_set_room(0);
	for (int i = 0; i < 3; i++)
		guest_acks(0);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	CHECK_EQ(sent_from(0), 1);
	memlink_set_room(0);
	guest_acks(2);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	CHECK_EQ(sent_from(2), 3);
	/* what was acknowledged meanwhile needs it no more */
	memlink_set_room(0);
	guest_acks(3);
	guest_acks(5);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	QUIET();
	tf_teardown();
}

/* Nor the last segment, as a probe */
TEST(probe_and_a_full_link)
{
	tf_setup();
	open_out();
	under_way(5);
	silence(0);
	memlink_set_room(0);
	guest_acks(1);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	CHECK_EQ(sent_from(4), 5);
	tf_teardown();
}

/*
 * A guest that puts together what it gets; of which so many in 16 are lost. It
 * acknowledges each segment, at once or all of them later.
 */
static struct {
	int32_t next;
	unsigned lost;
	bool had[600 * 1000];
} r;

static unsigned rnd(unsigned n)
{
	static unsigned seed = 1;

	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static void guest_takes(void)
{
	tcp_link_writable(tf_now);
	while (waiting()) {
		next();
		RIGHT();
		if (!s.len || rnd(16) < r.lost)
			continue;
		CHECK(s.seq + s.len <= sizeof(r.had));
		memset(r.had + s.seq, true, s.len);
		while (r.next < (int32_t)sizeof(r.had) && r.had[r.next])
			r.next++;
		queue(ACK, 0, r.next, NULL, 0);
		if (!rnd(4))
			flush();
	}
}

/* Losses and silence of all lengths: every byte arrives, and is right */
TEST(whatever_happens)
{
	static const unsigned losses[] = { 0, 0, 1, 4, 16 };
	size_t sent = 0;
	unsigned turns = 0;

	tf_setup();
	g.ws = 1;
	open_out();
	for (; r.next < (int32_t)sizeof(r.had) && turns < 60000; turns++) {
		size_t n = rnd(20000);

		if (n > sizeof(r.had) - sent)
			n = sizeof(r.had) - sent;
		if (n && sent - (size_t)r.next < 200000) {
			ssize_t rc = peer_sends(pattern(sent), n);

			sent += rc > 0 ? (size_t)rc : 0;
		}
		/* what the kernel held back comes as room is made for it */
		if (conn() && conn()->snd_una == conn()->snd_max)
			tf_turns();
		r.lost = losses[turns / 16 % 5];
		guest_takes();
		if (rnd(8))
			flush();
		if (!rnd(8))
			tf_later(rnd(1000) * USEC_PER_MSEC);
		if (!rnd(4))
			flush();
	}
	CHECK_EQ(r.next, sizeof(r.had));
	CHECK(turns > 5 * 16);
	tf_teardown();
}

int main(int argc, char **argv)
{
	return tf_enter() ? unit_main(argc, argv) : 1;
}
