// SPDX-License-Identifier: GPL-2.0-or-tf_later
/*
 * test_tcp: segments of no connection, the two sweeps, a guest that leaves
 */
#include "tcp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flow.h"
#include "test/unit/tcpfix.h"

static char text[100000];

/* RFC 9293 3.5.2, group 1 */
TEST(no_such_connection)
{
	tf_setup();
	g.dport = 9;
	sends(ACK, 10, 20, "abc", 3);
	SAW(RST, 20, 0, 0);
	sends(ACK | FIN, 10, 21, NULL, 0);
	SAW(RST, 21, 0, 0);
	sends(SYN | ACK, 10, 22, NULL, 0);
	SAW(RST, 22, 0, 0);
	g.irs = (uint32_t)-1;
	sends(0, 10, 0, "abc", 3);
	SAW(RST | ACK, 0, 13, 0);
	sends(FIN, 10, 0, "abc", 3);
	SAW(RST | ACK, 0, 14, 0);
	sends(SYN | FIN, 10, 0, NULL, 0);
	SAW(RST | ACK, 0, 12, 0);
	sends(RST, 10, 0, NULL, 0);
	sends(RST | ACK, 10, 5, NULL, 0);
	sends(RST | SYN, 10, 5, NULL, 0);
	QUIET();
	CHECK(gone());
	tf_teardown();
}

static void sweeps(unsigned keepalive, unsigned inactivity)
{
	tf_conf.keepalive_sec = keepalive;
	tf_conf.inactivity_sec = inactivity;
	tf_setup();
}

/* How long until a frame comes, in ms */
static unsigned wait_frame(unsigned ms)
{
	unsigned waited = 0;

	for (; !waiting() && waited < ms; waited += 10)
		tf_later(10 * USEC_PER_MSEC - 256);
	return waited;
}

/* Between one and two intervals of silence */
TEST(keepalive_when)
{
	for (unsigned off = 50; off < 1000; off += 150) {
		unsigned waited;

		sweeps(1, 0);
		open_out();
		tf_later(off * USEC_PER_MSEC);
		sends(ACK, 0, 0, NULL, 0);
		forget();
		waited = wait_frame(3000);
		CHECK(waited >= 990 && waited <= 2010);
		SAW(ACK, -1, 0, 0);
		QUIET();
		tf_teardown();
	}
}

/* Answered: it lives, no retransmission follows, the next probe comes */
TEST(keepalive_answered)
{
	sweeps(1, 0);
	open_out();
	for (int i = 0; i < 5; i++) {
		wait_frame(3000);
		SAW(ACK, -1, 0, 0);
		sends(ACK, 0, 0, NULL, 0);
		QUIET();
	}
	CHECK_EQ(conn()->dupacks, 0);
	peer_sends(pattern(0), 100);
	SAW(ACK, 0, 0, 100);
	tf_teardown();
}

/* Data right behind the probe: the reply is no duplicate ACK */
TEST(keepalive_and_data)
{
	sweeps(1, 0);
	open_out();
	wait_frame(3000);
	SAW(ACK, -1, 0, 0);
	peer_sends(pattern(0), 3000);
	forget();
	sends(ACK, 0, 0, NULL, 0);
	CHECK_EQ(conn()->dupacks, 0);
	/* two true ones are not yet three */
	sends(ACK, 0, 0, NULL, 0);
	sends(ACK, 0, 0, NULL, 0);
	QUIET();
	sends(ACK, 0, 0, NULL, 0);
	SAW(ACK, 0, 0, 1460);
	tf_teardown();
}

/* The guest has forgotten */
TEST(keepalive_is_reset)
{
	sweeps(1, 0);
	open_out();
	wait_frame(3000);
	SAW(ACK, -1, 0, 0);
	sends(RST, 0, 0, NULL, 0);
	CHECK(gone());
	CHECK_EQ(peer_error(), ECONNRESET);
	QUIET();
	tf_teardown();
}

/* A paused guest keeps its connections */
TEST(keepalive_unanswered)
{
	sweeps(1, 0);
	open_out();
	for (int i = 0; i < 100; i++) {
		CHECK(wait_frame(3000) <= 2010);
		SAW(ACK, -1, 0, 0);
	}
	STATE(ESTABLISHED);
	sends(ACK, 0, 0, "back", 4);
	CHECK_EQ(peer_reads(text, sizeof(text)), 4);
	tf_teardown();
}

/* Any segment of the guest's is a sign of life, the host's are none */
TEST(keepalive_and_activity)
{
	sweeps(1, 0);
	open_out();
	for (int i = 0; i < 20; i++) {
		tf_later(500 * USEC_PER_MSEC);
		sends(ACK, i, 0, "x", 1);
		tf_later(1000);
		while (waiting())
			CHECK_EQ(next()->seq, 0);
	}
	peer_sends("y", 1);
	forget();
	sends(ACK, 20, 1, NULL, 0);
	CHECK(wait_frame(3000) <= 2010);
	SAW(ACK, 0, 20, 0);
	tf_teardown();
}

/* Data in flight is a probe of its own */
TEST(keepalive_not_in_flight)
{
	sweeps(1, 0);
	open_out();
	peer_sends("data", 4);
	forget();
	for (int i = 0; i < 20; i++) {
		tf_later(USEC_PER_SEC);
		while (waiting()) {
			SAW(ACK, 0, 0, 4);
		}
	}
	tf_teardown();
}

/* Half-closed either way, yes; not before the handshake, nor in TIME-WAIT */
TEST(keepalive_by_state)
{
	sweeps(1, 0);
	open_out();
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	sends(ACK, 0, 1, NULL, 0);
	forget();
	STATE(FIN_WAIT_2);
	CHECK(wait_frame(3000) <= 2010);
	SAW(ACK, 0, 0, 0);
	sends(ACK | FIN, 0, 1, NULL, 0);
	forget();
	STATE(TIME_WAIT);
	wait_frame(1900);
	QUIET();
	tf_teardown();

	sweeps(1, 0);
	open_out();
	sends(ACK | FIN, 0, 0, NULL, 0);
	forget();
	STATE(CLOSE_WAIT);
	CHECK(wait_frame(3000) <= 2010);
	SAW(ACK, -1, 1, 0);
	tf_teardown();

	sweeps(1, 0);
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	for (int i = 0; i < 50; i++) {
		tf_later(100 * USEC_PER_MSEC);
		while (waiting())
			SAW(SYN, -1, 0, 0);
	}
	tf_teardown();
}

TEST(keepalive_never)
{
	sweeps(100000, 0);
	open_out();
	tf_later(1000 * USEC_PER_SEC);
	QUIET();
	tf_teardown();
}

/* The link is full just then: the probe goes as soon as there is room */
TEST(keepalive_and_a_full_link)
{
	sweeps(1, 0);
	open_out();
	memlink_set_room(0);
	tf_later(2100 * USEC_PER_MSEC);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	SAW(ACK, -1, 0, 0);
	tf_teardown();
}

/* Answers every probe until it is over or time is up; returns how many */
static int answers(unsigned ms)
{
	int n = 0;

	for (; ms && !gone(); ms -= 100) {
		tf_later(100 * USEC_PER_MSEC);
		for (; waiting() && !(next()->flags & RST); n += s.seq == -1)
			sends(ACK, 1, 0, NULL, 0);
	}
	return n;
}

/* Idle on both sides: ends, although every probe was answered */
TEST(inactivity)
{
	int n;

	sweeps(1, 3);
	open_out();
	sends(ACK, 0, 0, "x", 1);
	n = answers(7000);
	CHECK(n >= 2 && n <= 3);
	CHECK(gone());
	CHECK_EQ(s.flags & RST, RST);
	CHECK_EQ(peer_error(), ECONNRESET);
	tf_teardown();
}

/* Activity of either side counts */
TEST(inactivity_and_activity)
{
	sweeps(100, 1);
	open_out();
	for (int i = 0; i < 10; i++) {
		tf_later(900 * USEC_PER_MSEC);
		sends(ACK, i, 0, "x", 1);
	}
	STATE(ESTABLISHED);
	for (int i = 0; i < 10; i++) {
		tf_later(900 * USEC_PER_MSEC);
		peer_sends("y", 1);
	}
	STATE(ESTABLISHED);
	tf_teardown();
}

/* The remote keeps alive: that does not reach us, but the kernel knows */
TEST(inactivity_and_remote_keepalives)
{
	static const int one = 1;

	sweeps(100, 1);
	open_out();
	CHECK(!setsockopt(g.fd, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof(one)));
	CHECK(!setsockopt(g.fd, IPPROTO_TCP, TCP_KEEPINTVL, &one, sizeof(one)));
	CHECK(!setsockopt(g.fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	tf_later(USEC_PER_SEC + USEC_PER_MSEC);
	usleep(1300000);
	tf_later(USEC_PER_SEC);
	usleep(1300000);
	tf_later(USEC_PER_SEC);
	STATE(ESTABLISHED);
	tf_teardown();
}

/* The guest has sent its FIN and left: the kernel delivers the rest */
TEST(guest_leaves_after_its_fin)
{
	size_t sum = 0, n;

	tf_setup();
	peer_listen("127.0.0.1");
	CHECK(!setsockopt(g.listener, SOL_SOCKET, SO_RCVBUF, &(int){ 4096 },
			  sizeof(int)));
	open_out();
	for (int i = 0; i < 40; i++)
		queue(ACK, i * 1000, 0, pattern((size_t)i * 1000), 1000);
	queue(ACK | FIN, 40000, 0, NULL, 0);
	flush();
	STATE(CLOSE_WAIT);
	flow_guest_left(tf_now);
	flow_reap();
	CHECK(gone());
	peer_drains(0);
	while ((n = peer_drains(10000)) > 0)
		sum += n;
	CHECK_EQ(sum, 40000);
	CHECK_EQ(peer_error(), 0);
	tf_teardown();
}

TEST(guest_leaves_before)
{
	tf_setup();
	open_out();
	sends(ACK, 0, 0, "some", 4);
	flow_guest_left(tf_now);
	flow_reap();
	CHECK(gone());
	CHECK_EQ(peer_error(), ECONNRESET);
	tf_teardown();
}

/* In every state that there is */
TEST(guest_leaves_whenever)
{
	tf_setup();
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	flow_guest_left(tf_now);
	flow_reap();
	CHECK(gone());
	CHECK_EQ(peer_error(), ECONNRESET);
	tf_teardown();

	tf_setup();
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	STATE(CONNECTING);
	flow_guest_left(tf_now);
	flow_reap();
	CHECK(gone());
	tf_teardown();

	tf_setup();
	open_out();
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	sends(ACK | FIN, 0, 1, NULL, 0);
	STATE(TIME_WAIT);
	flow_guest_left(tf_now);
	flow_reap();
	CHECK(gone());
	tf_teardown();
}

/* A connection that waits costs no turn of the loop */
TEST(no_wakeups)
{
	tf_setup();
	open_out();
	g.window = 0;
	sends(ACK, 0, 0, NULL, 0);
	peer_sends(pattern(0), 100000);
	CHECK_EQ(tf_turns(), 0);
	shutdown(g.fd, SHUT_WR);
	CHECK(tf_turns() <= 1);
	CHECK_EQ(tf_turns(), 0);
	g.window = 65535;
	sends(ACK, 0, 0, NULL, 0);
	CHECK_EQ(tf_turns(), 0);
	tf_teardown();
}

int main(int argc, char **argv)
{
	return tf_enter() ? unit_main(argc, argv) : 1;
}
