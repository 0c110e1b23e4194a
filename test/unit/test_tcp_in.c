// SPDX-License-Identifier: GPL-2.0-or-tf_later
/*
 * test_tcp_in: segments from the guest, by the letter of RFC 9293 3.10.7 and
 * RFC 5961: each kind of segment in each place
 */
#include "tcp_in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "flow.h"
#include "lib/stats.h"
#include "tcp.h"
#include "tcp_sack.h"
#include "test/unit/tcpfix.h"

static char text[65536];

/* Bytes that the host's socket takes the next time, -1: what there is */
static ssize_t takes = -1;

/* In place of the C library's */
ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	ssize_t most = takes;

	takes = -1;
	if (most < 0)
		return syscall(SYS_sendmsg, fd, m, flags);
	if (!most) {
		errno = EAGAIN;
		return -1;
	}
	if ((size_t)most > m->msg_iov->iov_len)
		most = (ssize_t)m->msg_iov->iov_len;
	return syscall(SYS_sendto, fd, m->msg_iov->iov_base, most, flags, NULL,
		       0);
}

/* What the peer reads is this */
#define HOST_GOT(what)							\
	do {								\
		ssize_t n_ = peer_reads(text, sizeof(text));		\
									\
		CHECK_EQ(n_, (ssize_t)strlen(what));			\
		CHECK(!memcmp(text, what, strlen(what)));		\
	} while (0)
#define HOST_GOT_NOTHING()						\
	CHECK(peer_reads(text, sizeof(text)) < 0 && errno == EAGAIN)

TEST(data_in_order)
{
	tf_setup();
	open_out();
	sends(ACK, 0, 0, "hello", 5);
	tf_later(1000);
	SAW(ACK, 0, 5, 0);
	QUIET();
	HOST_GOT("hello");
	sends(ACK, 5, 0, " world", 6);
	tf_later(1000);
	SAW(ACK, 0, 11, 0);
	HOST_GOT(" world");
	tf_teardown();
}

TEST(out_of_order_asks_again)
{
	tf_setup();
	open_out();
	sends(ACK, 5, 0, "world", 5);
	SAW(ACK, 0, 0, 0);
	QUIET();
	HOST_GOT_NOTHING();
	queue(ACK, 0, 0, "hello", 5);
	queue(ACK, 5, 0, "world", 5);
	flush();
	tf_later(1000);
	SAW(ACK, 0, 10, 0);
	QUIET();
	HOST_GOT("helloworld");
	tf_teardown();
}

/* What came behind a gap is told, if the guest understands, and not lost */
static void gap_is_kept(bool sack)
{
	tf_setup();
	g.sack = sack;
	open_out();
	sends(ACK, 5, 0, "world", 5);
	SAW(ACK, 0, 0, 0);
	CHECK_EQ(s.cnt, sack);
	CHECK(!sack || (s.blocks[0] == 5 && s.blocks[1] == 10));
	sends(ACK, 12, 0, "there", 5);
	SAW(ACK, 0, 0, 0);
	CHECK_EQ(s.cnt, sack ? 2 : 0);
	CHECK(!sack || (s.blocks[0] == 12 && s.blocks[1] == 17));
	QUIET();
	HOST_GOT_NOTHING();
	/* a part of the first gap, then the rest, across what is there */
	sends(ACK, 0, 0, "he", 2);
	SAW(ACK, 0, 2, 0);
	CHECK_EQ(s.cnt, sack ? 2 : 0);
	sends(ACK, 2, 0, "llowo", 5);
	SAW(ACK, 0, 10, 0);
	CHECK_EQ(s.cnt, sack);
	HOST_GOT("helloworld");
	/* and the last one within a run, which goes on */
	queue(ACK, 10, 0, ", ", 2);
	queue(ACK, 17, 0, "!", 1);
	flush();
	SAW(ACK, 0, 18, 0);
	CHECK_EQ(s.cnt, 0);
	QUIET();
	HOST_GOT(", there!");
	tf_teardown();
}

TEST(gap_is_kept)
{
	gap_is_kept(false);
	gap_is_kept(true);
}

/* RFC 2018 2: who opens offers it, who answers has it where it was offered */
TEST(sack_permitted)
{
	for (int offered = 0; offered < 2; offered++) {
		tf_setup();
		g.sack = offered;
		peer_listen("127.0.0.1");
		sends(SYN, -1, 0, NULL, 0);
		tf_turns();
		SAW(SYN | ACK, -1, 0, 0);
		CHECK_EQ(s.sack, offered);
		tf_teardown();

		tf_setup();
		g.sack = offered;
		peer_connect();
		tf_turns();
		SAW(SYN, -1, 0, 0);
		CHECK(s.sack);
		sends(SYN | ACK, -1, 0, NULL, 0);
		SAW(ACK, 0, 0, 0);
		tf_turns();
		forget();
		sends(ACK, 5, 0, "world", 5);
		SAW(ACK, 0, 0, 0);
		CHECK_EQ(s.cnt, offered);
		tf_teardown();
	}
}

/* What is urgent, or beyond the window, is not kept; nor is a FIN there */
TEST(gap_and_what_is_not_kept)
{
	int32_t edge;

	tf_setup();
	g.sack = true;
	open_out();
	g.urgent = 1;
	sends(ACK | URG, 5, 0, "world", 5);
	SAW(ACK, 0, 0, 0);
	CHECK_EQ(s.cnt, 0);
	edge = (int32_t)(conn()->rcv_adv - g.iss - 1);
	sends(ACK | FIN, edge - 3, 0, "abcd", 4);
	SAW(ACK, 0, 0, 0);
	CHECK_EQ(s.cnt, 1);
	CHECK_EQ(s.blocks[0], edge - 3);
	CHECK_EQ(s.blocks[1], edge);
	/* the end of the connection is the end of it */
	CHECK(tcp_sack_any(conn()));
	sends(RST, 0, 0, NULL, 0);
	CHECK(gone());
	close(g.fd);
	open_out();
	CHECK(!tcp_sack_any(conn()));
	tf_teardown();
}

/* A FIN that was kept counts once all before it has come */
TEST(gap_before_the_fin)
{
	tf_setup();
	g.sack = true;
	open_out();
	sends(ACK | FIN, 1, 0, "bc", 2);
	SAW(ACK, 0, 0, 0);
	CHECK_EQ(s.blocks[0], 1);
	CHECK_EQ(s.blocks[1], 4);
	STATE(ESTABLISHED);
	sends(ACK, 0, 0, "a", 1);
	SAW(ACK, 0, 4, 0);
	STATE(CLOSE_WAIT);
	CHECK(!tcp_sack_any(conn()));
	HOST_GOT("abc");
	CHECK(peer_eof());
	tf_teardown();
}

/* What is kept goes to the socket as what is not: a failed one takes nothing */
TEST(gap_and_a_failed_socket)
{
	tf_setup();
	open_out();
	sends(ACK, 5, 0, "world", 5);
	SAW(ACK, 0, 0, 0);
	CHECK(!shutdown(conn()->watch.fd, SHUT_WR));
	sends(ACK, 0, 0, "hello", 5);
	SAW(RST | ACK, 0, 0, 0);
	CHECK(gone());
	HOST_GOT("");
	tf_teardown();
}

/* A packet whose every byte lies for itself, before that in a batch or alone */
static struct packet in_bytes(struct iovec *iov, int32_t seq, unsigned len,
			      struct packet *next)
{
	for (unsigned i = 0; i < len; i++)
		iov[i] = (struct iovec){
			(void *)(uintptr_t)pattern((size_t)seq + i), 1
		};
	return (struct packet){
		.src = g.src, .dst = g.dst, .sport = g.sport, .dport = g.dport,
		.proto = IPPROTO_TCP, .ttl = 64, .df = true, .l4_len = TCP_HLEN,
		.tcp = { .seq = g.iss + 1 + (uint32_t)seq, .ack = g.irs + 1,
			 .window = g.window, .flags = ACK },
		.payload = { iov, len, 0, len }, .next = next,
	};
}

/*
 * More buffers than go to the socket at once: where it takes a part of the first
 * lot, the rest of that follows and nothing else
 */
TEST(socket_takes_a_part_of_many)
{
	static struct iovec iov[2][1024];
	struct packet p[2];

	for (int kept = 0; kept < 2; kept++) {
		tf_setup();
		open_out();
		if (kept)
			sends(ACK, 1024, 0, pattern(1024), 500);
		p[1] = in_bytes(iov[1], 1024, 500, NULL);
		p[0] = in_bytes(iov[0], 0, 1024, kept ? NULL : &p[1]);
		takes = 1;
		forget();
		tcp_input(p, tf_now);
		CHECK_EQ(conn()->rcv_nxt, g.iss + 1 + (kept ? 1 : 1024));
		CHECK_EQ(conn()->bounced, kept);
		sends(ACK, 1, 0, pattern(1), 1523);
		CHECK_EQ(conn()->rcv_nxt, g.iss + 1 + 1524);
		CHECK_EQ(peer_reads(text, sizeof(text)), 1524);
		CHECK(!memcmp(text, pattern(0), 1524));
		tf_teardown();
	}
}

/* Nor does urgent data, before which there is a part not taken */
TEST(socket_takes_a_part_before_the_urgent)
{
	tf_setup();
	open_out();
	queue(ACK, 0, 0, "hello", 5);
	g.urgent = 2;
	queue(ACK | URG, 5, 0, "world", 5);
	g.urgent = 0;
	takes = 2;
	flush();
	CHECK_EQ(conn()->rcv_nxt, g.iss + 1 + 6);
	HOST_GOT("hellow");
	sends(ACK, 2, 0, "lloworld", 8);
	HOST_GOT("orld");
	tf_teardown();
}

/* What the socket refused goes when it has room; and then the FIN behind it */
TEST(socket_takes_a_part_before_the_fin)
{
	for (int cut = 0; cut < 5; cut++) {
		tf_setup();
		open_out();
		queue(ACK, 0, 0, "hello", 5);
		queue(ACK | FIN, 5, 0, NULL, 0);
		takes = cut;
		flush();
		SAW(ACK, 0, cut, 0);
		STATE(ESTABLISHED);
		/* still no room: nothing to tell */
		takes = 0;
		tcp_in_again(conn(), tf_now);
		CHECK(conn()->bounced && !conn()->ack_now);
		tcp_in_again(conn(), tf_now);
		CHECK(!conn()->bounced && conn()->ack_now);
		STATE(CLOSE_WAIT);
		HOST_GOT("hello");
		CHECK(peer_eof());
		tf_teardown();
	}
}

/* ... which ends a connection whose peer has finished: nothing of it is left */
TEST(socket_takes_the_fin_later_and_the_peer_has_finished)
{
	tf_setup();
	open_out();
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(ACK | FIN, 0, 0, 0);
	sends(ACK, 0, 1, NULL, 0);
	STATE(FIN_WAIT_2);
	queue(ACK, 0, 1, "hello", 5);
	queue(ACK | FIN, 5, 1, NULL, 0);
	takes = 2;
	flush();
	SAW(ACK, 1, 2, 0);
	STATE(FIN_WAIT_2);
	/* the socket tells of room */
	loop_mod(&conn()->watch, EPOLLOUT | EPOLLET);
	tf_turns();
	SAW(ACK, 1, 6, 0);
	STATE(TIME_WAIT);
	CHECK(conn()->watch.fd < 0);
	HOST_GOT("hello");
	CHECK(peer_eof());
	tf_later(3 * USEC_PER_SEC);
	QUIET();
	CHECK(gone());
	tf_teardown();
}

/*
 * A socket that failed takes nothing of what waits for room: a guest that has no
 * window is told by RST at once, whoever finds out first
 */
TEST(waiting_for_a_socket_that_fails)
{
	for (int told = 0; told < 2; told++) {
		tf_setup();
		open_out();
		g.window = 0;
		takes = 2;
		sends(ACK, 0, 0, "hello", 5);
		SAW(ACK, 0, 2, 0);
		CHECK(conn()->bounced);
		CHECK(!setsockopt(g.fd, SOL_SOCKET, SO_LINGER,
				  &(struct linger){ .l_onoff = 1 },
				  sizeof(struct linger)));
		close(g.fd);
		g.fd = -1;
		if (!told)
			sends(ACK, 2, 0, "llo", 3);
		tf_turns();
		while (waiting() > 1)
			next();
		SAW(RST | ACK, 0, 2, 0);
		CHECK(gone());
		tf_teardown();
	}
}

/* What was kept behind a FIN goes with it */
TEST(gap_behind_the_fin)
{
	tf_setup();
	g.sack = true;
	open_out();
	sends(ACK, 5, 0, "world", 5);
	SAW(ACK, 0, 0, 0);
	CHECK_EQ(s.cnt, 1);
	sends(ACK | FIN, 0, 0, "ab", 2);
	SAW(ACK, 0, 3, 0);
	CHECK_EQ(s.cnt, 0);
	CHECK(!tcp_sack_any(conn()));
	HOST_GOT("ab");
	CHECK(peer_eof());
	tf_teardown();
}

/* SACK-permitted has no value, and each SYN speaks for itself */
TEST(sack_permitted_is_two_bytes)
{
	struct packet p = { .l4_len = TCP_HLEN + 4 };

	tf_setup();
	open_out();
	memcpy(p.hdr + TCP_HLEN, (uint8_t[]){ 4, 2, 1, 1 }, 4);
	tcp_in_options(conn(), &p);
	CHECK(conn()->sack_on);
	memcpy(p.hdr + TCP_HLEN, (uint8_t[]){ 4, 3, 0, 1 }, 4);
	tcp_in_options(conn(), &p);
	CHECK(!conn()->sack_on);
	tf_teardown();
}

#define ANY_TOTAL	300000u

/* RFC 2018 3 and 4: blocks are beyond the ACK, and apart from each other */
static void blocks_are_legal(void)
{
	while (waiting()) {
		next();
		CHECK_EQ(s.flags, ACK);
		for (unsigned i = 0; i < s.cnt; i++) {
			int32_t *b = s.blocks + 2 * i;

			CHECK(s.ack < b[0] && b[0] < b[1]);
			CHECK((uint32_t)b[1] <= ANY_TOTAL + 1);
			for (unsigned j = 0; j < i; j++)
				CHECK(b[1] < s.blocks[2 * j] ||
				      s.blocks[2 * j + 1] < b[0]);
		}
	}
}

/* One segment of the stream, somewhere around what is due next */
static void queue_any(uint32_t nxt)
{
	uint32_t from = nxt > 4000 ? nxt - 4000 : 0;
	uint32_t seq = from + (uint32_t)random() % 20000;
	uint32_t len = (uint32_t)random() % 3000;

	if (!(random() % 8))
		seq = nxt;
	if (seq > ANY_TOTAL)
		seq = ANY_TOTAL;
	if (len > ANY_TOTAL - seq)
		len = ANY_TOTAL - seq;
	queue(seq + len == ANY_TOTAL ? ACK | FIN : ACK, (int32_t)seq, 0,
	      pattern(seq), len);
}

/*
 * Whatever comes, in whatever order, twice, and lost again by us, while the
 * socket takes now and then a part, or nothing: the peer has it all, once
 */
TEST(any_order)
{
	for (unsigned seed = 0; seed < 4; seed++) {
		size_t got = 0;

		srandom(seed);
		tf_setup();
		g.iss = 0u - 1000 - seed * 50000;
		g.ws = 7;
		g.sack = true;
		open_out();
		peer_drains(0);
		for (int i = 0; i < 5000 && !conn()->fin_in; i++) {
			for (long n = 1 + random() % 20; n; n--)
				queue_any(conn()->rcv_nxt - g.iss - 1);
			if (!(random() % 4))
				takes = random() % 2 ? random() % 3000 : 0;
			flush();
			if (!(random() % 16))
				tcp_sack_forget(conn());
			tf_later(1000);
			blocks_are_legal();
			if (conn()->rcv_nxt - g.iss - 1 > got + 20000)
				got += peer_drains(20000);
			tf_turns();
		}
		takes = -1;
		CHECK(conn()->fin_in);
		CHECK(!tcp_sack_any(conn()));
		CHECK_EQ(got + peer_drains(ANY_TOTAL - got), ANY_TOTAL);
		CHECK(peer_eof());
		tf_teardown();
	}
}

/* Three at most, whatever came: enough for a fast retransmit */
TEST(gap_in_a_run)
{
	tf_setup();
	open_out();
	queue(ACK, 0, 0, "a", 1);
	for (int i = 2; i < 40; i++)
		queue(ACK, i, 0, "b", 1);
	flush();
	for (int i = 0; i < 4 && waiting(); i++)
		SAW(ACK, 0, 1, 0);
	QUIET();
	HOST_GOT("a");
	tf_teardown();
}

/* Where the gap is filled within the run, there is nothing to ask for again */
TEST(gap_filled_in_a_run)
{
	tf_setup();
	open_out();
	for (int i = 5; i < 10; i++)
		queue(ACK, i, 0, &"world"[i - 5], 1);
	queue(ACK, 0, 0, "hello", 5);
	flush();
	SAW(ACK, 0, 10, 0);
	QUIET();
	/* one of two */
	queue(ACK, 11, 0, "!", 1);
	queue(ACK, 13, 0, "!", 1);
	queue(ACK, 10, 0, "?", 1);
	flush();
	for (int i = 0; i < 3; i++)
		SAW(ACK, 0, 12, 0);
	QUIET();
	HOST_GOT("helloworld?!");
	tf_teardown();
}

TEST(overlaps_and_old_data)
{
	tf_setup();
	open_out();
	sends(ACK, 0, 0, "abcd", 4);
	tf_later(1000);
	SAW(ACK, 0, 4, 0);
	/* wholly old */
	sends(ACK, 0, 0, "abcd", 4);
	SAW(ACK, 0, 4, 0);
	sends(ACK, 1, 0, "bc", 2);
	SAW(ACK, 0, 4, 0);
	/* its end is new */
	sends(ACK, 2, 0, "cdef", 4);
	SAW(ACK, 0, 6, 0);
	HOST_GOT("abcdef");
	/* within one run */
	queue(ACK, 6, 0, "gh", 2);
	queue(ACK, 6, 0, "gh", 2);
	queue(ACK, 7, 0, "hij", 3);
	queue(ACK, 4, 0, "efghijkl", 8);
	flush();
	SAW(ACK, 0, 12, 0);
	QUIET();
	HOST_GOT("ghijkl");
	tf_teardown();
}

/* Every place of the wrap: before, in, at the end of a segment */
TEST(guest_numbers_wrap)
{
	for (uint32_t before = 0; before < 12; before++) {
		tf_setup();
		g.iss = (uint32_t)-1 - before;
		open_out();
		queue(ACK, 0, 0, "abcd", 4);
		queue(ACK, 4, 0, "efg", 3);
		flush();
		tf_later(1000);
		SAW(ACK, 0, 7, 0);
		/* old, overlapping, ahead */
		sends(ACK, 0, 0, "abcd", 4);
		SAW(ACK, 0, 7, 0);
		sends(ACK, 10, 0, "z", 1);
		SAW(ACK, 0, 7, 0);
		sends(ACK, 5, 0, "fghi", 4);
		SAW(ACK, 0, 9, 0);
		HOST_GOT("abcdefghi");
		sends(ACK | FIN, 9, 0, NULL, 0);
		SAW(ACK, 0, 10, 0);
		STATE(CLOSE_WAIT);
		CHECK(peer_eof());
		tf_teardown();
	}
}

/* Beyond the window nothing is taken, up to its edge all */
TEST(window_is_kept)
{
	uint32_t wnd;

	tf_setup();
	open_out();
	wnd = conn()->rcv_adv - conn()->rcv_nxt;
	CHECK(wnd > 10000 && wnd <= 65535);
	sends(ACK, (int32_t)wnd, 0, "x", 1);
	SAW(ACK, 0, 0, 0);
	queue(ACK, 0, 0, pattern(0), wnd - 1);
	queue(ACK, (int32_t)wnd - 1, 0, "yz", 2);
	flush();
	SAW(ACK, 0, (int32_t)wnd, 0);
	tf_teardown();
}

/* A pure ACK at the window's right edge still counts: all that fits was sent */
TEST(ack_at_the_right_edge)
{
	uint32_t wnd;

	tf_setup();
	open_out();
	peer_sends("hello", 5);
	SAW(ACK, 0, 0, 5);
	wnd = conn()->rcv_adv - conn()->rcv_nxt;
	sends(ACK, (int32_t)wnd, 5, NULL, 0);
	QUIET();
	CHECK_EQ(conn()->snd_una, conn()->snd_max);
	tf_teardown();
}

TEST(zero_length_out_of_window)
{
	tf_setup();
	open_out();
	sends(ACK, -2, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	sends(ACK, 100000, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	sends(ACK, -100000, 0, "old", 3);
	SAW(ACK, 0, 0, 0);
	QUIET();
	STATE(ESTABLISHED);
	tf_teardown();
}

TEST(keepalive_of_the_guest)
{
	socklen_t len = sizeof(int);
	int on = 1;

	tf_setup();
	open_out();
	CHECK(!getsockopt(conn()->watch.fd, SOL_SOCKET, SO_KEEPALIVE, &on,
			  &len));
	CHECK_EQ(on, 0);
	sends(ACK, -1, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	CHECK(!getsockopt(conn()->watch.fd, SOL_SOCKET, SO_KEEPALIVE, &on,
			  &len));
	CHECK_EQ(on, 1);
	/* with a byte of garbage, RFC 1122 4.2.3.6 */
	sends(ACK, -1, 0, "g", 1);
	SAW(ACK, 0, 0, 0);
	QUIET();
	HOST_GOT_NOTHING();
	tf_teardown();
}

TEST(ack_of_what_was_never_sent)
{
	tf_setup();
	open_out();
	peer_sends("hello", 5);
	SAW(ACK, 0, 0, 5);
	sends(ACK, 0, 6, "x", 1);
	SAW(ACK, 5, 0, 0);
	sends(ACK, 0, 0x40000000, NULL, 0);
	SAW(ACK, 5, 0, 0);
	CHECK_EQ(conn()->snd_max - conn()->snd_una, 5);
	/* too old: before any window that the guest can have had */
	sends(ACK, 0, -70000, "x", 1);
	SAW(ACK, 5, 0, 0);
	HOST_GOT_NOTHING();
	/* old, but possible: text counts */
	sends(ACK, 0, -10, "x", 1);
	HOST_GOT("x");
	tf_teardown();
}

TEST(no_ack_no_text)
{
	tf_setup();
	open_out();
	sends(0, 0, 0, "x", 1);
	sends(FIN, 0, 0, NULL, 0);
	sends(URG, 0, 0, "x", 1);
	QUIET();
	HOST_GOT_NOTHING();
	STATE(ESTABLISHED);
	tf_teardown();
}

/* RST closes at RCV.NXT only (RFC 5961 3.2) */
TEST(reset_of_the_guest)
{
	tf_setup();
	open_out();
	sends(RST, 1, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	sends(RST, 1000, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	sends(RST, -1, 0, NULL, 0);
	sends(RST, 100000, 0, NULL, 0);
	QUIET();
	STATE(ESTABLISHED);
	sends(RST, 0, 0, NULL, 0);
	QUIET();
	CHECK(gone());
	CHECK_EQ(peer_error(), ECONNRESET);
	tf_teardown();
}

/* What came before it in the run is delivered, what comes behind is unknown */
TEST(reset_within_a_run)
{
	tf_setup();
	open_out();
	queue(ACK, 0, 0, "last", 4);
	queue(RST, 4, 0, NULL, 0);
	queue(ACK, 4, 0, "more", 4);
	queue(RST, 4, 0, NULL, 0);
	flush();
	CHECK(gone());
	SAW(RST, 0, 0, 0);
	QUIET();
	tf_teardown();
}

/* SYN in a synchronized state (RFC 5961 4.2) */
TEST(syn_in_a_connection)
{
	tf_setup();
	open_out();
	sends(SYN, 0, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	sends(SYN, 500, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	sends(SYN, -1, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	sends(SYN | ACK, -1, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	sends(SYN, 1000000, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	QUIET();
	STATE(ESTABLISHED);
	tf_teardown();
}

TEST(guest_closes_first)
{
	tf_setup();
	open_out();
	sends(ACK | FIN, 0, 0, "bye", 3);
	SAW(ACK, 0, 4, 0);
	STATE(CLOSE_WAIT);
	HOST_GOT("bye");
	CHECK(peer_eof());
	/* again: acknowledged again, and nothing more */
	sends(ACK | FIN, 0, 0, "bye", 3);
	SAW(ACK, 0, 4, 0);
	sends(ACK | FIN, 3, 0, NULL, 0);
	SAW(ACK, 0, 4, 0);
	/* the other direction still works */
	peer_sends("more", 4);
	SAW(ACK, 0, 4, 4);
	sends(ACK, 4, 4, NULL, 0);
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(ACK | FIN, 4, 4, 0);
	STATE(LAST_ACK);
	sends(ACK, 4, 5, NULL, 0);
	QUIET();
	CHECK(gone());
	tf_teardown();
}

TEST(host_closes_first)
{
	tf_setup();
	open_out();
	peer_sends("bye", 3);
	SAW(ACK, 0, 0, 3);
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(ACK | FIN, 3, 0, 0);
	STATE(FIN_WAIT_1);
	sends(ACK, 0, 3, NULL, 0);
	STATE(FIN_WAIT_1);
	sends(ACK, 0, 4, NULL, 0);
	STATE(FIN_WAIT_2);
	sends(ACK, 0, 4, "more", 4);
	HOST_GOT("more");
	tf_later(1000);
	SAW(ACK, 4, 4, 0);
	sends(ACK | FIN, 4, 4, NULL, 0);
	SAW(ACK, 4, 5, 0);
	STATE(TIME_WAIT);
	CHECK(peer_eof());
	/* a FIN repeated starts the wait over */
	tf_later(1500 * USEC_PER_MSEC);
	sends(ACK | FIN, 4, 4, NULL, 0);
	SAW(ACK, 4, 5, 0);
	tf_later(1500 * USEC_PER_MSEC);
	STATE(TIME_WAIT);
	tf_later(USEC_PER_SEC);
	CHECK(gone());
	QUIET();
	tf_teardown();
}

/* What opens the guest's window does not prolong the wait, nor for ever */
TEST(window_opens_in_time_wait)
{
	tf_setup();
	open_out();
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(ACK | FIN, 0, 0, 0);
	g.window = 0;
	sends(ACK | FIN, 0, 1, NULL, 0);
	STATE(TIME_WAIT);
	g.window = 65535;
	sends(ACK, 1, 1, NULL, 0);
	STATE(TIME_WAIT);
	tf_later(3 * USEC_PER_SEC);
	CHECK(gone());
	tf_teardown();
}

/* Both at once: FIN_WAIT_1, CLOSING, TIME_WAIT */
TEST(simultaneous_close)
{
	tf_setup();
	open_out();
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(ACK | FIN, 0, 0, 0);
	sends(ACK | FIN, 0, 0, NULL, 0);
	STATE(CLOSING);
	SAW(ACK, 1, 1, 0);
	sends(ACK, 1, 1, NULL, 0);
	STATE(TIME_WAIT);
	CHECK(conn()->watch.fd < 0);
	QUIET();
	tf_later(3 * USEC_PER_SEC);
	CHECK(gone());
	tf_teardown();
}

/* FIN acknowledged by the segment that has one itself */
TEST(fin_with_the_ack_of_ours)
{
	tf_setup();
	open_out();
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(ACK | FIN, 0, 0, 0);
	sends(ACK | FIN, 0, 1, "bye", 3);
	STATE(TIME_WAIT);
	SAW(ACK, 1, 4, 0);
	HOST_GOT("bye");
	tf_teardown();
}

/* A FIN ahead of what is missing waits */
TEST(fin_out_of_order)
{
	tf_setup();
	open_out();
	sends(ACK | FIN, 3, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	sends(ACK | FIN, 1, 0, "bc", 2);
	SAW(ACK, 0, 0, 0);
	STATE(ESTABLISHED);
	queue(ACK, 0, 0, "a", 1);
	queue(ACK | FIN, 1, 0, "bc", 2);
	flush();
	SAW(ACK, 0, 4, 0);
	STATE(CLOSE_WAIT);
	HOST_GOT("abc");
	tf_teardown();
}

/* ... and one beyond the window, too, although its data begins within */
TEST(fin_beyond_the_window)
{
	uint32_t wnd;

	tf_setup();
	open_out();
	wnd = conn()->rcv_adv - conn()->rcv_nxt;
	queue(ACK, 0, 0, pattern(0), wnd - 2);
	queue(ACK | FIN, (int32_t)wnd - 2, 0, "abcd", 4);
	flush();
	SAW(ACK, 0, (int32_t)wnd, 0);
	STATE(ESTABLISHED);
	sends(ACK | FIN, (int32_t)wnd, 0, "cd", 2);
	SAW(ACK, 0, (int32_t)wnd + 3, 0);
	STATE(CLOSE_WAIT);
	tf_teardown();
}

TEST(data_behind_a_fin)
{
	tf_setup();
	open_out();
	queue(ACK | FIN, 0, 0, "a", 1);
	queue(ACK, 2, 0, "b", 1);
	queue(ACK | FIN, 2, 0, NULL, 0);
	flush();
	next();
	CHECK_EQ(s.ack, 2);
	STATE(CLOSE_WAIT);
	HOST_GOT("a");
	CHECK(peer_eof());
	tf_teardown();
}

/* A new SYN beyond what TIME-WAIT has seen opens a connection */
TEST(reopen_in_time_wait)
{
	tf_setup();
	open_out();
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(ACK | FIN, 0, 0, 0);
	sends(ACK | FIN, 0, 1, NULL, 0);
	STATE(TIME_WAIT);
	forget();
	close(g.fd);
	/* not from before */
	sends(SYN, -100, 0, NULL, 0);
	SAW(ACK, 1, 1, 0);
	STATE(TIME_WAIT);
	g.iss += 100000;
	open_out();
	sends(ACK, 0, 0, "again", 5);
	HOST_GOT("again");
	tf_teardown();
}

/* Junk that is answered is answered so many times a second only */
TEST(storm_of_junk)
{
	unsigned n = 0;

	tf_setup();
	open_out();
	for (int i = 0; i < 5000; i++) {
		sends(ACK, 0, 1000000, NULL, 0);
		n += waiting();
		forget();
	}
	CHECK(n > 0 && n <= 5000);
	STATE(ESTABLISHED);
	sends(ACK, 0, 0, "x", 1);
	HOST_GOT("x");
	tf_teardown();
}

/* The urgent byte is the one before the pointer (tcp(7), RFC 6093) */
TEST(urgent_data)
{
	int mark = 0;

	tf_setup();
	open_out();
	g.urgent = 3;
	sends(ACK | URG, 0, 0, "abcdef", 6);
	g.urgent = 0;
	CHECK_EQ(recv(g.fd, text, 1, MSG_OOB), 1);
	CHECK_EQ(text[0], 'c');
	HOST_GOT("ab");
	HOST_GOT("def");
	(void)mark;
	tf_teardown();
}

/* ... also when it lies beyond this segment, and when there is none */
TEST(urgent_pointer_elsewhere)
{
	tf_setup();
	open_out();
	g.urgent = 100;
	sends(ACK | URG, 0, 0, "abc", 3);
	g.urgent = 0;
	sends(ACK | URG, 3, 0, "def", 3);
	CHECK(recv(g.fd, text, 1, MSG_OOB) < 0);
	HOST_GOT("abcdef");
	tf_teardown();
}

/* An urgent byte that was had already marks nothing else */
TEST(urgent_again)
{
	tf_setup();
	open_out();
	queue(ACK, 0, 0, "abc", 3);
	g.urgent = 2;
	queue(ACK | URG, 0, 0, "abcdef", 6);
	g.urgent = 0;
	flush();
	CHECK(recv(g.fd, text, 1, MSG_OOB) < 0);
	HOST_GOT("abcdef");
	tf_teardown();
}

/* The host's RST comes while the guest still sends, our FIN being out */
TEST(reset_after_our_fin)
{
	tf_setup();
	open_out();
	close(g.fd);
	g.fd = -1;
	tf_turns();
	SAW(ACK | FIN, 0, 0, 0);
	sends(ACK, 0, 1, NULL, 0);
	STATE(FIN_WAIT_2);
	sends(ACK, 0, 1, "anybody there?", 14);
	tf_turns();
	sends(ACK, 14, 1, "hello?", 6);
	tf_turns();
	tf_later(USEC_PER_SEC);
	while (waiting() && !(next()->flags & RST))
		;
	CHECK(s.flags & RST);
	CHECK(gone());
	tf_teardown();
}

/* Three duplicates, then all acknowledged, in one batch: nothing is resent */
TEST(duplicates_and_all_in_one_run)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 3000);
	forget();
	for (int i = 0; i < 3; i++)
		queue(ACK, 0, 0, NULL, 0);
	queue(ACK, 0, 3000, NULL, 0);
	flush();
	QUIET();
	STATE(ESTABLISHED);
	peer_sends("more", 4);
	SAW(ACK, 3000, 0, 4);
	tf_teardown();
}

/* ... the same with our FIN: it is acknowledged once */
TEST(duplicates_and_our_fin_in_one_run)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 3000);
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	forget();
	for (int i = 0; i < 3; i++)
		queue(ACK, 0, 0, NULL, 0);
	queue(ACK, 0, 3001, NULL, 0);
	flush();
	QUIET();
	STATE(FIN_WAIT_2);
	sends(ACK, 0, 3002, NULL, 0);
	STATE(FIN_WAIT_2);
	tf_teardown();
}

int main(int argc, char **argv)
{
	return tf_enter() ? unit_main(argc, argv) : 1;
}
