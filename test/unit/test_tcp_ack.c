// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_tcp_ack: when the guest's data is acknowledged: at once, with an answer,
 * after a while
 */
#include "tcp_ack.h"

#include <string.h>
#include <sys/socket.h>

#include "test/unit/tcpfix.h"

/* One system call, one ACK for what came in a batch; not before it is due */
TEST(run_is_acknowledged_once)
{
	tf_setup();
	open_out();
	for (int i = 0; i < 10; i++)
		queue(ACK, i * 1000, 0, pattern((size_t)i * 1000), 1000);
	flush();
	SAW(ACK, 0, 10000, 0);
	QUIET();
	peer_drains(0);
	CHECK_EQ(peer_drains(20000), 10000);
	tf_teardown();
}

TEST(ack_is_delayed)
{
	tf_setup();
	open_out();
	sends(ACK, 0, 0, "x", 1);
	QUIET();
	tf_later(100);
	QUIET();
	tf_later(500);
	SAW(ACK, 0, 1, 0);
	tf_later(USEC_PER_SEC);
	QUIET();
	tf_teardown();
}

/* The answer takes the acknowledgement along */
TEST(ack_rides_on_data)
{
	tf_setup();
	open_out();
	sends(ACK, 0, 0, "ping", 4);
	peer_sends("pong", 4);
	SAW(ACK, 0, 4, 4);
	CHECK(!memcmp(s.data, "pong", 4));
	sends(ACK, 4, 4, NULL, 0);
	tf_later(USEC_PER_SEC);
	QUIET();
	tf_teardown();
}

/* A guest that scales its window, so that ours is no limit */
static void open_wide(void)
{
	tf_setup();
	g.ws = 8;
	open_out();
	peer_drains(0);
}

/* Segments of a stream, one a batch; the peer reads; how many ACKs came */
static unsigned streams(int32_t *seq, unsigned n)
{
	unsigned acks = 0;

	for (; n--; *seq += 1460) {
		sends(ACK, *seq, 0, pattern((size_t)*seq), 1460);
		peer_drains(1460);
		acks += waiting();
		forget();
	}
	return acks;
}

/* A segment whose ACK waits for a second one, in vain */
static void waits(int32_t *seq)
{
	sends(ACK, *seq, 0, pattern((size_t)*seq), 1460);
	QUIET();
	tf_later(3600);
	QUIET();
	tf_later(300);
	SAW(ACK, 0, *seq + 1460, 0);
	*seq += 1460;
	peer_drains(1460);
}

/* One by one at first; once it will not end, an ACK stands for two segments */
TEST(ack_in_a_stream)
{
	int32_t seq = 0;

	open_wide();
	CHECK_EQ(streams(&seq, 7), 7);
	CHECK_EQ(streams(&seq, 100), 50);
	/* the last one is not waited for longer than this */
	waits(&seq);
	/* the guest was not waiting for it, it seems */
	tf_later(1000);
	CHECK_EQ(streams(&seq, 10), 5);
	/* what is lost is asked for, and so on at once */
	sends(ACK, seq + 1460, 0, pattern((size_t)seq + 1460), 1460);
	SAW(ACK, 0, seq, 0);
	CHECK_EQ(streams(&seq, 1), 1);
	/* that one was kept */
	peer_drains(1460);
	seq += 1460;
	CHECK_EQ(streams(&seq, 7), 7);
	CHECK_EQ(streams(&seq, 10), 5);
	tf_teardown();
}

/* A guest that was waiting for such an ACK is not kept so again soon */
TEST(ack_in_a_stream_awaited)
{
	int32_t seq = 0;

	open_wide();
	CHECK_EQ(streams(&seq, 7), 7);
	waits(&seq);
	CHECK_EQ(streams(&seq, 40), 40);
	waits(&seq);
	tf_teardown();
}

/* A FIN right behind such an ACK ends the stream: no timer is left to spin */
TEST(ack_in_a_stream_awaited_at_the_end)
{
	int32_t seq = 0;

	open_wide();
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(FIN | ACK, 0, 0, 0);
	sends(ACK, 0, 1, NULL, 0);
	STATE(FIN_WAIT_2);
	for (unsigned i = 0; i < 7; i++, seq += 1460) {
		sends(ACK, seq, 1, pattern((size_t)seq), 1460);
		peer_drains(1460);
	}
	forget();
	sends(ACK, seq, 1, pattern((size_t)seq), 1460);
	QUIET();
	tf_later(3900);
	SAW(ACK, 1, seq + 1460, 0);
	sends(FIN | ACK, seq + 1460, 1, NULL, 0);
	SAW(ACK, 1, seq + 1461, 0);
	STATE(TIME_WAIT);
	tf_later(1000);
	CHECK(timer_next() > tf_now + USEC_PER_SEC);
	tf_later(2 * USEC_PER_SEC);
	CHECK(gone());
	QUIET();
	tf_teardown();
}

/* Not when the guest has little left that it may send */
TEST(ack_in_a_stream_small_window)
{
	int32_t seq = 0;

	open_wide();
	streams(&seq, 100);
	conn()->rcv_adv = conn()->rcv_nxt + 3000;
	sends(ACK, seq, 0, pattern((size_t)seq), 1460);
	SAW(ACK, 0, seq + 1460, 0);
	tf_teardown();
}

/* What is owed: nothing after an ACK, and one that rode is counted */
TEST(what_is_owed)
{
	struct tcp_conn *c;

	tf_setup();
	open_out();
	sends(ACK, 0, 0, "x", 1);
	c = conn();
	CHECK_EQ(c->rcv_nxt - c->rcv_acked, 1);
	CHECK(c->ack_at > tf_now);
	CHECK(!tcp_ack_wanted(c, tf_now));
	CHECK(tcp_ack_wanted(c, c->ack_at));
	tcp_ack_rode(c);
	CHECK_EQ(c->rides, 1);
	CHECK_EQ(c->rcv_acked, c->rcv_nxt);
	CHECK_EQ(c->ack_at, 0);
	CHECK(!c->ack_now);
	/* nothing rides where nothing is owed; nor without data */
	tcp_ack_rode(c);
	CHECK_EQ(c->rides, 1);
	c->rcv_nxt++;
	tcp_ack_sent(c);
	CHECK_EQ(c->rides, 1);
	CHECK_EQ(c->rcv_acked, c->rcv_nxt);
	tf_teardown();
}

int main(int argc, char **argv)
{
	return tf_enter() ? unit_main(argc, argv) : 1;
}
