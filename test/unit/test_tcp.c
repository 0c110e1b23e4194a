// SPDX-License-Identifier: GPL-2.0-or-tf_later
/*
 * test_tcp: segments of no connection, the two sweeps, a guest that leaves, and
 * one that does what it may
 */
#include "tcp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
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

/* The guest says that what we sent with that number cannot reach its port */
static void rejects(int32_t seq)
{
	tcp_rejected(&(struct packet_quote){
		.src = g.dst, .dst = g.src, .sport = g.dport, .dport = g.sport,
		.seq = g.irs + 1 + (uint32_t)seq });
	flow_reap();
}

/* The client of a port that the guest rejects hears so at once */
TEST(syn_is_rejected)
{
	tf_setup();
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	rejects(-2);
	rejects(0);
	g.dport++;
	rejects(-1);
	g.dport--;
	g.sport++;
	rejects(-1);
	g.sport--;
	STATE(SYN_SENT);
	CHECK_EQ(peer_error(), 0);
	/* when it was sent again, it is the same */
	tf_later(2 * USEC_PER_SEC);
	SAW(SYN, -1, 0, 0);
	forget();
	rejects(-1);
	CHECK(gone());
	CHECK_EQ(peer_error(), ECONNRESET);
	rejects(-1);
	tf_later(5 * USEC_PER_SEC);
	QUIET();
	tf_teardown();
}

/* Every number that was, is or will be used, and nothing comes of it */
static void rejects_in_vain(void)
{
	struct tcp_conn *c = conn();
	unsigned state = c->state;

	g.irs = c->snd_una;
	for (int32_t seq = -3; seq < 3; seq++)
		rejects(seq);
	CHECK(conn() == c && c->state == state);
	CHECK_EQ(peer_error(), 0);
	QUIET();
}

TEST(nothing_else_is_rejected)
{
	tf_setup();
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	sends(SYN, -1, 0, NULL, 0);
	forget();
	STATE(SYN_RCVD);
	rejects_in_vain();
	tf_teardown();

	tf_setup();
	open_in();
	rejects_in_vain();
	peer_sends("data", 4);
	forget();
	rejects_in_vain();
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	forget();
	STATE(FIN_WAIT_1);
	rejects_in_vain();
	tf_teardown();

	tf_setup();
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	STATE(CONNECTING);
	rejects_in_vain();
	tf_turns();
	forget();
	CHECK(peer_accept() >= 0);
	STATE(SYN_RCVD);
	rejects_in_vain();
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

/*
 * A guest that does what it may, in any order: old data again, what is not
 * acknowledged, windows that open and close, an end whenever; to a peer that
 * does the same. @edge and @guest_edge are the right edges of the windows.
 */
#define ANY_MOST	200000
static struct {
	int32_t una, sent, total, edge;
	int32_t next, their_total, their_sent, guest_edge;
	bool fin, their_fin, fin_acked;
	int32_t read;
} any;

static int32_t below(int32_t n)
{
	return n > 0 ? (int32_t)(random() % n) : 0;
}

static int32_t least(int32_t a, int32_t b)
{
	return a < b ? a : b;
}

/* The segments that came: right, within the window, of what was sent */
static void any_takes(void)
{
	while (waiting()) {
		int32_t end, edge;

		next();
		CHECK(!(s.flags & (SYN | RST)));
		RIGHT();
		end = s.seq + (int32_t)s.len;
		CHECK(end <= any.guest_edge + 1 && end <= any.their_sent + 1);
		CHECK(s.ack <= any.sent + any.fin);
		edge = s.ack + (s.window << 8);
		CHECK(edge >= any.edge || s.ack > any.total);
		any.edge = edge;
		any.fin_acked |= s.ack > any.total;
		any.una = least(s.ack > any.una ? s.ack : any.una, any.total);
		end = least(end, any.guest_edge);
		if (s.seq <= any.next && end > any.next)
			any.next = end;
		if (s.flags & FIN && any.next == any.their_total &&
		    any.next < any.guest_edge) {
			CHECK_EQ(s.seq + (int32_t)s.len, any.their_total);
			any.their_fin = true;
		}
	}
}

static void any_sends(int32_t seq, int32_t len, int32_t window)
{
	int32_t ack = any.next + any.their_fin;
	bool fin;

	seq = any.fin_acked ? any.total + 1 : least(seq, any.total);
	len = least(least(len, any.edge - seq), any.total - seq);
	len = len < 0 ? 0 : len;
	fin = seq + len == any.total && (any.fin || !below(4));
	any.fin |= fin;
	any.sent = seq + len > any.sent ? seq + len : any.sent;
	if (ack + window > any.guest_edge)
		any.guest_edge = ack + window;
	g.window = (uint16_t)(any.guest_edge - ack);
	queue(fin ? ACK | FIN : ACK, seq, ack, pattern((size_t)seq),
	      (size_t)len);
	flush();
}

static void any_peer_sends(void)
{
	int32_t left = any.their_total - any.their_sent;
	ssize_t n;

	if (!left)
		return;
	n = peer_sends(pattern((size_t)any.their_sent),
		       (size_t)below(left) + 1);
	any.their_sent += n > 0 ? (int32_t)n : 0;
	if (any.their_sent == any.their_total)
		shutdown(g.fd, SHUT_WR);
}

static void any_peer_reads(int32_t most)
{
	ssize_t n;

	while (most > 0 && (n = recv(g.fd, text, (size_t)least(most, 50000),
				     MSG_DONTWAIT)) > 0) {
		CHECK(!memcmp(text, pattern((size_t)any.read), (size_t)n));
		any.read += (int32_t)n;
		most -= (int32_t)n;
	}
}

static void any_step(void)
{
	static const int32_t windows[] = { 0, 1, 5, 1000, 60000 };
	int32_t old = below(any.sent + 1), at = below(2) ? any.sent : old;

	switch (below(8)) {
	case 0:
	case 1:
		any_sends(at, below(1461), windows[below(5)]);
		break;
	case 2:
		any_sends(any.sent + any.fin, 0, windows[below(5)]);
		break;
	case 3:
	case 4:
		any_peer_sends();
		break;
	case 5:
		any_peer_reads(below(20000));
		break;
	case 6:
		tf_later((usec_t)below(500) * USEC_PER_MSEC);
		break;
	case 7:
		memlink_set_room(below(2) ? MEMLINK_FRAMES : memlink_sent());
		break;
	}
}

static bool any_done(void)
{
	return any.fin_acked && any.their_fin && any.read == any.total;
}

/* Whatever both do, all arrives both ways, and nothing is left behind */
TEST(any_order_both_ways)
{
	for (unsigned seed = 0; seed < 10; seed++) {
		srandom(seed);
		memset(&any, 0, sizeof(any));
		any.total = below(ANY_MOST);
		any.their_total = 1 + below(ANY_MOST);
		any.guest_edge = 65535;
		tf_setup();
		g.ws = 0;
		g.iss = 0u - 1000 - seed * 1000;
		open_out();
		any.edge = (int32_t)(conn()->rcv_adv - g.iss - 1);
		for (int i = 0; i < 200; i++) {
			any_step();
			tcp_link_writable(tf_now);
			any_takes();
		}
		memlink_set_room(MEMLINK_FRAMES);
		for (int i = 0; i < 300 && !any_done(); i++) {
			tcp_link_writable(tf_now);
			any_takes();
			any_sends(any.una, 1460, 60000);
			tf_later(300 * USEC_PER_MSEC);
			any_takes();
			any_peer_reads(ANY_MOST);
			any_peer_sends();
			tf_turns();
		}
		CHECK(any_done());
		any_sends(any.una, 0, 60000);
		tf_later(3 * USEC_PER_SEC);
		CHECK(gone());
		tf_teardown();
	}
}

int main(int argc, char **argv)
{
	return tf_enter() ? unit_main(argc, argv) : 1;
}
