// SPDX-License-Identifier: GPL-2.0-or-tf_later
/*
 * test_tcp_out: segments to the guest: windows, retransmission, the end of the
 * data, a link that is full
 */
#include "tcp_out.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "flow.h"
#include "tcp.h"
#include "tcp_loss.h"
#include "test/unit/tcpfix.h"

/* The kernel has no IPv6 (ipv6.disable=1, or built without) */
static bool without_v6;

/* In place of the C library's */
int socket(int family, int type, int proto)
{
	if (without_v6 && family == AF_INET6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return (int)syscall(SYS_socket, family, type, proto);
}

/* As many bytes as the guest got, in order, from off on */
static int32_t received(int32_t off)
{
	while (waiting()) {
		next();
		if (!s.len)
			continue;
		CHECK_EQ(s.seq, off);
		RIGHT();
		off += (int32_t)s.len;
	}
	return off;
}

TEST(data_in_segments)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 4000);
	SAW(ACK, 0, 0, MSS);
	RIGHT();
	SAW(ACK, MSS, 0, MSS);
	RIGHT();
	SAW(ACK, 2 * MSS, 0, 4000 - 2 * MSS);
	RIGHT();
	QUIET();
	sends(ACK, 0, 4000, NULL, 0);
	QUIET();
	tf_later(10 * USEC_PER_SEC);
	QUIET();
	tf_teardown();
}

/* The guest's MSS is kept to, and has a floor */
TEST(segments_of_the_guests_size)
{
	static const struct {
		uint16_t mss;
		size_t len;
	} c[] = { { 1000, 1000 }, { 0, 536 }, { 1, 48 }, { 65535, 1460 } };

	for (unsigned i = 0; i < 4; i++) {
		tf_setup();
		g.mss = c[i].mss;
		open_out();
		peer_sends(pattern(0), 5000);
		SAW(ACK, 0, 0, c[i].len);
		CHECK_EQ(received((int32_t)c[i].len), 5000);
		tf_teardown();
	}
}

/* ... for IPv6, too */
TEST(segments_by_ipv6)
{
	tf_setup();
	peer_listen("::1");
	g.mss = 0;
	open_out();
	peer_sends(pattern(0), 3000);
	SAW(ACK, 0, 0, 1220);
	CHECK_EQ(received(1220), 3000);
	sends(ACK, 0, 3000, "answer", 6);
	CHECK_EQ(peer_reads((uint8_t[10]){ 0 }, 10), 6);
	tf_teardown();
}

/* Never beyond the window; its scale is counted; as it opens, data follows */
TEST(window_of_the_guest)
{
	tf_setup();
	g.window = 2000;
	open_out();
	peer_sends(pattern(0), 10000);
	CHECK_EQ(received(0), 2000);
	tf_later(1000);
	QUIET();
	sends(ACK, 0, 2000, NULL, 0);
	CHECK_EQ(received(2000), 4000);
	/* a part acknowledged, the right edge stands */
	g.window = 1500;
	sends(ACK, 0, 2500, NULL, 0);
	QUIET();
	g.window = 65535;
	sends(ACK, 0, 4000, NULL, 0);
	CHECK_EQ(received(4000), 10000);
	tf_teardown();
}

TEST(window_is_scaled)
{
	tf_setup();
	g.window = 10;
	g.ws = 8;
	open_out();
	peer_sends(pattern(0), 10000);
	CHECK_EQ(received(0), 2560);
	tf_teardown();
}

/* Only the newest segment tells the window (RFC 9293 3.10.7.4) */
TEST(window_of_an_old_segment)
{
	tf_setup();
	open_out();
	sends(ACK, 0, 0, "abc", 3);
	tf_later(1000);
	forget();
	g.window = 5;
	sends(ACK, 0, 0, "abc", 3);
	forget();
	CHECK_EQ(conn()->snd_wnd, 65535);
	tf_teardown();
}

/* One that acknowledges more is no old one: it was sent later */
TEST(window_of_data_sent_again)
{
	tf_setup();
	open_out();
	sends(ACK, 0, 0, "abc", 3);
	tf_later(1000);
	peer_sends(pattern(0), 10000);
	forget();
	g.window = 1000;
	sends(ACK, 0, 10000, "abc", 3);
	forget();
	CHECK_EQ(conn()->snd_wnd, 1000);
	peer_sends(pattern(10000), 10000);
	CHECK_EQ(received(10000), 11000);
	/* of which only the rest is new, too */
	g.window = 0;
	sends(ACK, 0, 11000, "abcd", 4);
	tf_later(1000);
	SAW(ACK, 11000, 4, 0);
	QUIET();
	g.window = 65535;
	sends(ACK, 0, 11000, "abcd", 4);
	CHECK_EQ(conn()->snd_wnd, 0);
	sends(ACK, 4, 11000, NULL, 0);
	CHECK_EQ(received(11000), 20000);
	tf_teardown();
}

/* Silly windows: a few bytes are not sent while others are under way */
TEST(silly_window)
{
	tf_setup();
	g.window = 4000;
	open_out();
	peer_sends(pattern(0), 3900);
	CHECK_EQ(received(0), 3900);
	peer_sends(pattern(3900), 1000);
	QUIET();
	sends(ACK, 0, 3900, NULL, 0);
	CHECK_EQ(received(3900), 4900);
	tf_teardown();
}

/* Our numbers wrap, wherever it is */
TEST(our_numbers_wrap)
{
	static const uint32_t before[] = { 0, 1, 2, 1459, 1460, 1461, 2920,
					   3999, 4000, 4001 };

	for (unsigned i = 0; i < 10; i++) {
		tf_setup();
		g.set_irs = true;
		g.irs = (uint32_t)-1 - before[i];
		open_out();
		peer_sends(pattern(0), 4000);
		CHECK_EQ(received(0), 4000);
		/* lost: the first, by three duplicates; then all by time */
		for (int n = 0; n < 3; n++)
			sends(ACK, 0, 0, NULL, 0);
		SAW(ACK, 0, 0, MSS);
		RIGHT();
		tf_later(USEC_PER_SEC);
		CHECK(next()->seq == 0);
		forget();
		sends(ACK, 0, MSS, NULL, 0);
		CHECK_EQ(received(MSS), 4000);
		sends(ACK, 0, 4000, NULL, 0);
		peer_sends(pattern(4000), 10);
		CHECK_EQ(received(4000), 4010);
		shutdown(g.fd, SHUT_WR);
		sends(ACK, 0, 4010, NULL, 0);
		tf_turns();
		SAW(ACK | FIN, 4010, 0, 0);
		sends(ACK, 0, 4011, NULL, 0);
		STATE(FIN_WAIT_2);
		tf_teardown();
	}
}

/* RFC 6298: 1 s before any sample, doubled each time, one segment each */
TEST(timeout_backs_off)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 3000);
	CHECK_EQ(received(0), 3000);
	tf_later(990 * USEC_PER_MSEC);
	QUIET();
	tf_later(20 * USEC_PER_MSEC);
	SAW(ACK, 0, 0, MSS);
	QUIET();
	tf_later(1980 * USEC_PER_MSEC);
	QUIET();
	tf_later(30 * USEC_PER_MSEC);
	SAW(ACK, 0, 0, MSS);
	RIGHT();
	QUIET();
	tf_later(3950 * USEC_PER_MSEC);
	QUIET();
	tf_later(60 * USEC_PER_MSEC);
	SAW(ACK, 0, 0, MSS);
	/* what was acknowledged counts; the last one tells of the rest */
	sends(ACK, 0, MSS, NULL, 0);
	SAW(ACK, 3000 - MSS, 0, MSS);
	QUIET();
	sends(ACK, 0, 3000, NULL, 0);
	tf_later(200 * USEC_PER_SEC);
	QUIET();
	tf_teardown();
}

/* With a sample of a fast guest: 200 ms and that; none of a retransmitted segment */
TEST(timeout_by_round_trip)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 100);
	tf_later(50 * USEC_PER_MSEC);
	sends(ACK, 0, 100, NULL, 0);
	CHECK(conn()->srtt >= 50000 && conn()->srtt < 52000);
	forget();
	peer_sends(pattern(100), 100);
	CHECK_EQ(received(100), 200);
	tf_later(240 * USEC_PER_MSEC);
	QUIET();
	tf_later(70 * USEC_PER_MSEC);
	CHECK_EQ(received(100), 200);
	tf_later(2 * USEC_PER_SEC);
	forget();
	/* Karn: this may answer any of them */
	sends(ACK, 0, 200, NULL, 0);
	CHECK(conn()->srtt < 60000);
	tf_teardown();
}

/* ... of a fast retransmission neither */
TEST(no_round_trip_of_what_was_resent)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 4 * MSS);
	forget();
	tf_later(50 * USEC_PER_MSEC);
	for (int i = 0; i < 3; i++)
		sends(ACK, 0, 0, NULL, 0);
	SAW(ACK, 0, 0, MSS);
	tf_later(500 * USEC_PER_MSEC);
	sends(ACK, 0, 4 * MSS, NULL, 0);
	CHECK_EQ(conn()->srtt, 0);
	tf_teardown();
}

/* A silent guest is given up after tcp_retries2, and told */
TEST(giving_up)
{
	unsigned n = 0;

	tf_setup();
	open_out();
	peer_sends(pattern(0), 100);
	forget();
	for (int i = 0; i < 3000 && !gone(); i++) {
		tf_later(USEC_PER_SEC);
		for (; waiting(); n++)
			next();
	}
	CHECK(gone());
	CHECK_EQ(n, 15 + 1);
	CHECK_EQ(s.flags & RST, RST);
	CHECK_EQ(peer_error(), ECONNRESET);
	tf_teardown();
}

/* Its FIN was taken: the kernel delivers the rest to a slow reader */
TEST(giving_up_on_a_guest_that_had_finished)
{
	tf_setup();
	open_out();
	sends(ACK | FIN, 0, 0, "all", 3);
	forget();
	peer_sends(pattern(0), 100);
	for (int i = 0; i < 3000 && !gone(); i++)
		tf_later(USEC_PER_SEC);
	CHECK(gone());
	CHECK_EQ(peer_reads((uint8_t[10]){ 0 }, 10), 3);
	tf_teardown();
}

/* Duplicates as RFC 5681 2 defines them, and nothing else */
TEST(fast_retransmit)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 4 * MSS);
	CHECK_EQ(received(0), 4 * MSS);
	sends(ACK, 0, 0, NULL, 0);
	sends(ACK, 0, 0, NULL, 0);
	QUIET();
	sends(ACK, 0, 0, NULL, 0);
	SAW(ACK, 0, 0, MSS);
	RIGHT();
	QUIET();
	/* once for a loss, however many follow */
	for (int i = 0; i < 300; i++)
		sends(ACK, 0, 0, NULL, 0);
	QUIET();
	/* partial: the next one was lost, too (RFC 6582 3.2) */
	sends(ACK, 0, 2 * MSS, NULL, 0);
	SAW(ACK, 2 * MSS, 0, MSS);
	RIGHT();
	QUIET();
	sends(ACK, 0, 4 * MSS, NULL, 0);
	QUIET();
	CHECK_EQ(conn()->loss, TCP_LOSS_NONE);
	tf_teardown();
}

TEST(not_duplicates)
{
	tf_setup();
	open_out();
	/* nothing outstanding */
	for (int i = 0; i < 5; i++)
		sends(ACK, 0, 0, NULL, 0);
	QUIET();
	peer_sends(pattern(0), 4 * MSS);
	CHECK_EQ(received(0), 4 * MSS);
	/* payload */
	for (int i = 0; i < 5; i++)
		sends(ACK, i, 0, "x", 1);
	tf_later(1000);
	SAW(ACK, 4 * MSS, 5, 0);
	QUIET();
	/* another window */
	for (int i = 0; i < 5; i++) {
		g.window--;
		sends(ACK, 5, 0, NULL, 0);
	}
	QUIET();
	/* FIN */
	sends(ACK | FIN, 5, 0, NULL, 0);
	SAW(ACK, 4 * MSS, 6, 0);
	for (int i = 0; i < 3; i++)
		sends(ACK | FIN, 5, 0, NULL, 0);
	while (waiting())
		CHECK_EQ(next()->len, 0);
	/* older than what is acknowledged */
	sends(ACK, 6, MSS, NULL, 0);
	for (int i = 0; i < 5; i++)
		sends(ACK, 6, 0, NULL, 0);
	QUIET();
	tf_teardown();
}

/* New data goes on during recovery; that of a second loss begins anew */
TEST(two_losses)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 4 * MSS);
	forget();
	for (int i = 0; i < 3; i++)
		sends(ACK, 0, 0, NULL, 0);
	SAW(ACK, 0, 0, MSS);
	peer_sends(pattern(4 * MSS), 4 * MSS);
	CHECK_EQ(received(4 * MSS), 8 * MSS);
	sends(ACK, 0, 4 * MSS, NULL, 0);
	QUIET();
	for (int i = 0; i < 3; i++)
		sends(ACK, 0, 4 * MSS, NULL, 0);
	SAW(ACK, 4 * MSS, 0, MSS);
	RIGHT();
	sends(ACK, 0, 8 * MSS, NULL, 0);
	peer_sends(pattern(8 * MSS), 10);
	CHECK_EQ(received(8 * MSS), 8 * MSS + 10);
	tf_teardown();
}

/* RFC 9293 3.8.6.1: one byte, backing off, for as long as it is answered */
TEST(zero_window_probe)
{
	tf_setup();
	open_out();
	g.window = 0;
	sends(ACK, 0, 0, NULL, 0);
	peer_sends(pattern(0), 3000);
	QUIET();
	for (usec_t t = USEC_PER_SEC; t < 100 * USEC_PER_SEC; t *= 2) {
		tf_later(t * 9 / 10);
		QUIET();
		tf_later(t / 5);
		SAW(ACK, 0, 0, 1);
		RIGHT();
		sends(ACK, 0, 0, NULL, 0);
		QUIET();
	}
	for (int i = 0; i < 30; i++) {
		tf_later(125 * USEC_PER_SEC);
		while (waiting())
			CHECK_EQ(next()->len, 1);
		sends(ACK, 0, 0, NULL, 0);
	}
	STATE(ESTABLISHED);
	g.window = 65535;
	sends(ACK, 0, 0, NULL, 0);
	CHECK_EQ(received(0), 3000);
	sends(ACK, 0, 3000, NULL, 0);
	tf_later(10 * USEC_PER_SEC);
	QUIET();
	tf_teardown();
}

/* A probe's byte may be taken */
TEST(probe_is_taken)
{
	tf_setup();
	open_out();
	g.window = 0;
	sends(ACK, 0, 0, NULL, 0);
	peer_sends(pattern(0), 3000);
	for (int i = 0; i < 5; i++) {
		tf_later(1100 * USEC_PER_MSEC);
		SAW(ACK, i, 0, 1);
		RIGHT();
		sends(ACK, 0, i + 1, NULL, 0);
		QUIET();
	}
	g.window = 65535;
	sends(ACK, 0, 5, NULL, 0);
	CHECK_EQ(received(5), 3000);
	tf_teardown();
}

/*
 * A guest that does not read may still write. It takes an ACK for none that is
 * beyond its window, as the byte of a probe is, and Linux drops those.
 */
TEST(ack_behind_a_closed_window)
{
	tf_setup();
	open_out();
	g.window = 0;
	sends(ACK, 0, 0, NULL, 0);
	peer_sends(pattern(0), 3000);
	tf_later(1100 * USEC_PER_MSEC);
	SAW(ACK, 0, 0, 1);
	sends(ACK, 0, 0, NULL, 0);
	QUIET();
	sends(ACK, 0, 0, "x", 1);
	tf_later(1000);
	SAW(ACK, 0, 1, 0);
	/* the byte was taken after all */
	sends(ACK, 1, 1, "y", 1);
	tf_later(1000);
	SAW(ACK, 1, 2, 0);
	tf_teardown();
}

/* ... and the same of a window that shrank */
TEST(ack_beyond_a_smaller_window)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 4 * MSS);
	forget();
	g.window = 1000;
	sends(ACK, 0, MSS, "x", 1);
	tf_later(1000);
	SAW(ACK, MSS + 1000, 1, 0);
	g.window = 5 * MSS;
	sends(ACK, 1, MSS, "y", 1);
	tf_later(1000);
	SAW(ACK, 4 * MSS, 2, 0);
	tf_teardown();
}

/* No answer at all: given up */
TEST(probe_without_answer)
{
	tf_setup();
	open_out();
	g.window = 0;
	sends(ACK, 0, 0, NULL, 0);
	peer_sends(pattern(0), 3000);
	for (int i = 0; i < 4000 && !gone(); i++) {
		tf_later(USEC_PER_SEC);
		forget();
	}
	CHECK(gone());
	tf_teardown();
}

/* Idle with a closed window: nothing to probe for */
TEST(closed_window_and_no_data)
{
	tf_setup();
	open_out();
	g.window = 0;
	sends(ACK, 0, 0, NULL, 0);
	tf_later(300 * USEC_PER_SEC);
	QUIET();
	tf_teardown();
}

/* The end of the data waits behind the data, whatever the window */
TEST(end_behind_a_closed_window)
{
	tf_setup();
	open_out();
	g.window = 0;
	sends(ACK, 0, 0, NULL, 0);
	peer_sends(pattern(0), 3000);
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	QUIET();
	for (int i = 0; i < 3; i++) {
		tf_later(5 * USEC_PER_SEC);
		while (waiting()) {
			next();
			CHECK_EQ(s.flags, ACK);
			CHECK_EQ(s.len, 1);
		}
		sends(ACK, 0, 0, NULL, 0);
	}
	STATE(ESTABLISHED);
	g.window = 65535;
	sends(ACK, 0, 0, NULL, 0);
	CHECK_EQ(received(0), 3000);
	if (!(s.flags & FIN))
		sends(ACK, 0, 3000, NULL, 0);
	if (waiting())
		SAW(ACK | FIN, 3000, 0, 0);
	sends(ACK, 0, 3001, NULL, 0);
	STATE(FIN_WAIT_2);
	tf_teardown();
}

/* Only the FIN is left, and the window closed */
TEST(fin_behind_a_closed_window)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 100);
	CHECK_EQ(received(0), 100);
	g.window = 0;
	sends(ACK, 0, 100, NULL, 0);
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	tf_later(1500 * USEC_PER_MSEC);
	forget();
	g.window = 1000;
	sends(ACK, 0, 100, NULL, 0);
	SAW(ACK | FIN, 100, 0, 0);
	sends(ACK, 0, 101, NULL, 0);
	STATE(FIN_WAIT_2);
	tf_later(10 * USEC_PER_SEC);
	QUIET();
	tf_teardown();
}

/* FIN along with the last data; lost, it comes again */
TEST(fin_with_data_is_resent)
{
	tf_setup();
	open_out();
	CHECK_EQ(send(g.fd, pattern(0), 2000, 0), 2000);
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(ACK, 0, 0, MSS);
	SAW(ACK | FIN, MSS, 0, 2000 - MSS);
	STATE(FIN_WAIT_1);
	QUIET();
	sends(ACK, 0, MSS, NULL, 0);
	tf_later(1100 * USEC_PER_MSEC);
	next();
	CHECK_EQ(s.seq, MSS);
	CHECK_EQ(s.len, 2000 - MSS);
	RIGHT();
	forget();
	sends(ACK, 0, 2000, NULL, 0);
	STATE(FIN_WAIT_1);
	if (!waiting())
		tf_later(5 * USEC_PER_SEC);
	SAW(ACK | FIN, 2000, 0, 0);
	sends(ACK, 0, 2001, NULL, 0);
	STATE(FIN_WAIT_2);
	tf_teardown();
}

/* The guest may acknowledge the FIN alone much later, and in any order */
TEST(fin_alone_is_resent)
{
	tf_setup();
	open_out();
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(ACK | FIN, 0, 0, 0);
	tf_later(1100 * USEC_PER_MSEC);
	SAW(ACK | FIN, 0, 0, 0);
	tf_later(2100 * USEC_PER_MSEC);
	SAW(ACK | FIN, 0, 0, 0);
	sends(ACK, 0, 1, NULL, 0);
	STATE(FIN_WAIT_2);
	QUIET();
	tf_teardown();
}

/* Reset by the host's peer: what it had sent comes first, then RST */
TEST(reset_with_data_pending)
{
	tf_setup();
	g.window = 2000;
	open_out();
	peer_sends(pattern(0), 3000);
	CHECK_EQ(received(0), 2000);
	peer_resets();
	QUIET();
	CHECK(!gone());
	sends(ACK, 0, 2000, NULL, 0);
	SAW(ACK, 2000, 0, 1000);
	RIGHT();
	next();
	CHECK_EQ(s.flags & RST, RST);
	CHECK_EQ(s.seq, 3000);
	CHECK(gone());
	tf_teardown();
}

/* ... and a byte that came before the guest has answered the SYN-ACK */
TEST(reset_of_a_guest_that_has_not_answered)
{
	for (int n = 0; n < 3; n++) {
		tf_setup();
		peer_listen("127.0.0.1");
		sends(SYN, -1, 0, NULL, 0);
		tf_turns();
		SAW(SYN | ACK, -1, 0, 0);
		CHECK(peer_accept() >= 0);
		peer_sends(pattern(0), (size_t)n);
		peer_resets();
		QUIET();
		sends(ACK, 0, 0, NULL, 0);
		if (n)
			SAW(ACK, 0, 0, n);
		next();
		CHECK_EQ(s.flags & RST, RST);
		CHECK_EQ(s.seq, n);
		CHECK(gone());
		tf_teardown();
	}
}

/* What was not acknowledged is sent again before RST, to one that answers */
TEST(reset_of_a_guest_that_is_silent)
{
	for (int before = 0; before < 2; before++) {
		tf_setup();
		open_out();
		peer_sends(pattern(0), 3 * MSS);
		CHECK_EQ(received(0), 3 * MSS);
		for (int i = 0; i < (before ? 5 : 1); i++) {
			while (!waiting())
				tf_later(10 * USEC_PER_MSEC);
			SAW(ACK, 0, 0, MSS);
		}
		peer_resets();
		for (int i = 1; i < 3 && !before; i++) {
			QUIET();
			CHECK(!gone());
			while (!waiting())
				tf_later(10 * USEC_PER_MSEC);
			SAW(ACK, 0, 0, MSS);
		}
		for (int i = 0; i < 1000 && !waiting(); i++)
			tf_later(10 * USEC_PER_MSEC);
		next();
		CHECK_EQ(s.flags & RST, RST);
		CHECK_EQ(s.seq, 3 * MSS);
		CHECK(gone());
		tf_teardown();
	}
}

TEST(reset_of_a_guest_that_answers)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 3 * MSS);
	forget();
	while (!waiting())
		tf_later(10 * USEC_PER_MSEC);
	SAW(ACK, 0, 0, MSS);
	peer_resets();
	QUIET();
	/* the first was lost, and all behind it */
	sends(ACK, 0, 0, NULL, 0);
	QUIET();
	sends(ACK, 0, MSS, NULL, 0);
	SAW(ACK, MSS, 0, MSS);
	SAW(ACK, 2 * MSS, 0, MSS);
	next();
	CHECK_EQ(s.flags & RST, RST);
	CHECK(gone());
	tf_teardown();
}

TEST(reset_when_idle)
{
	tf_setup();
	open_out();
	peer_resets();
	SAW(RST | ACK, 0, 0, 0);
	CHECK(gone());
	QUIET();
	tf_teardown();
}

/* RST needs no window: it comes at once, or instead of the first probe */
TEST(reset_behind_a_closed_window)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 100);
	forget();
	g.window = 0;
	sends(ACK, 0, 100, NULL, 0);
	peer_resets();
	tf_later(1100 * USEC_PER_MSEC);
	next();
	CHECK_EQ(s.flags & RST, RST);
	CHECK(gone());
	tf_teardown();
}

/* ... and a RST, where a window shrank: beyond it, it were not heard */
TEST(reset_beyond_a_smaller_window)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 4 * MSS);
	forget();
	g.window = 1000;
	sends(ACK, 0, MSS, NULL, 0);
	peer_resets();
	SAW(RST | ACK, MSS + 1000, 0, 0);
	CHECK(gone());
	tf_teardown();
}

/* A guest whose SYN had no window may have opened all the same */
TEST(giving_up_on_a_syn_without_window)
{
	tf_setup();
	g.window = 0;
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	for (int i = 0; i < 300 && !gone(); i++) {
		tf_later(USEC_PER_SEC);
		while (waiting())
			next();
	}
	CHECK(gone());
	CHECK_EQ(s.flags, RST | ACK);
	CHECK_EQ(s.seq, 0);
	tf_teardown();
}

/* Full: data stays where it is, and goes on when there is room */
TEST(link_is_full)
{
	tf_setup();
	open_out();
	memlink_set_room(2);
	peer_sends(pattern(0), 6000);
	CHECK_EQ(waiting(), 2);
	CHECK_EQ(received(0), 2 * MSS);
	tcp_link_writable(tf_now);
	CHECK_EQ(received(2 * MSS), 4 * MSS);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	CHECK_EQ(received(4 * MSS), 6000);
	tcp_link_writable(tf_now);
	QUIET();
	sends(ACK, 0, 6000, NULL, 0);
	QUIET();
	tf_teardown();
}

/* FIN, RST and ACK, too */
TEST(link_is_full_for_a_fin)
{
	tf_setup();
	open_out();
	memlink_set_room(0);
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	STATE(ESTABLISHED);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	SAW(ACK | FIN, 0, 0, 0);
	STATE(FIN_WAIT_1);
	tf_teardown();
}

TEST(link_is_full_for_a_reset)
{
	tf_setup();
	open_out();
	memlink_set_room(0);
	peer_resets();
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	next();
	CHECK_EQ(s.flags & RST, RST);
	flow_reap();
	CHECK(gone());
	tf_teardown();
}

/* ... and is not lost by what the guest says meanwhile */
TEST(link_is_full_for_a_reset_and_the_guest_speaks)
{
	tf_setup();
	open_out();
	peer_sends("last words", 10);
	SAW(ACK, 0, 0, 10);
	memlink_set_room(0);
	peer_resets();
	queue(ACK, 0, 5, NULL, 0);
	queue(ACK, 0, 10, NULL, 0);
	flush();
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	next();
	CHECK_EQ(s.flags & RST, RST);
	CHECK_EQ(s.seq, 10);
	QUIET();
	flow_reap();
	CHECK(gone());
	tf_teardown();
	/* what has room, is answered; who resets, too, or begins anew, is not */
	for (unsigned i = 0; i < 3; i++) {
		tf_setup();
		open_out();
		memlink_set_room(0);
		peer_resets();
		if (!i)
			memlink_set_room(MEMLINK_FRAMES);
		sends(i == 1 ? RST : i ? SYN : ACK, 0, 0, NULL, 0);
		next();
		CHECK_EQ(s.flags & RST, i ? 0 : RST);
		CHECK_EQ(gone(), i != 2);
		memlink_set_room(MEMLINK_FRAMES);
		tcp_link_writable(tf_now);
		tf_turns();
		tf_teardown();
	}
}

/* ... of a guest that is given up, too */
TEST(link_is_full_when_given_up)
{
	tf_setup();
	open_out();
	peer_sends(pattern(0), 100);
	forget();
	for (int i = 0; i < 14; i++) {
		tf_later(USEC_PER_SEC << (i < 7 ? i : 7));
		forget();
	}
	for (int i = 0; i < 3000 && conn() && conn()->watch.fd >= 0; i++) {
		tf_later(USEC_PER_SEC);
		if (conn() && conn()->unanswered == 15)
			memlink_set_room(memlink_sent());
		else
			forget();
	}
	CHECK_EQ(peer_error(), ECONNRESET);
	forget();
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	next();
	CHECK_EQ(s.flags & RST, RST);
	flow_reap();
	CHECK(gone());
	tf_teardown();
}

/* ... and for the ACK of the guest's FIN, which asks again: that is no RST */
TEST(link_is_full_in_time_wait)
{
	tf_setup();
	open_out();
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(ACK | FIN, 0, 0, 0);
	memlink_set_room(0);
	sends(ACK | FIN, 0, 1, NULL, 0);
	STATE(TIME_WAIT);
	tf_later(10 * USEC_PER_SEC);
	STATE(TIME_WAIT);
	CHECK(timer_next() > tf_now);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	SAW(ACK, 1, 1, 0);
	sends(ACK | FIN, 0, 1, NULL, 0);
	SAW(ACK, 1, 1, 0);
	tf_later(3 * USEC_PER_SEC);
	CHECK(gone());
	tf_teardown();
}

/* An ACK that cannot go waits for the link, not for the clock */
TEST(link_is_full_for_an_ack)
{
	tf_setup();
	open_out();
	memlink_set_room(0);
	sends(ACK, 0, 0, "x", 1);
	tf_later(10 * USEC_PER_MSEC);
	/* no timer is due at once, turn after turn */
	timer_run(tf_now);
	CHECK(timer_next() > tf_now);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	SAW(ACK, 0, 1, 0);
	tf_teardown();
}

/* What the link cannot take does not count, and is not sent twice */
TEST(link_is_full_for_long)
{
	tf_setup();
	open_out();
	memlink_set_room(2);
	peer_sends(pattern(0), 3 * MSS);
	CHECK_EQ(waiting(), 2);
	for (int i = 0; i < 3000; i++)
		tf_later(USEC_PER_SEC);
	STATE(ESTABLISHED);
	CHECK_EQ(received(0), 2 * MSS);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	CHECK_EQ(received(2 * MSS), 3 * MSS);
	tf_teardown();
}

/* A guest that takes nothing, for hours, wakes nobody; what it lost comes then */
TEST(link_is_full_and_all_sleep)
{
	tf_setup();
	open_out();
	memlink_set_room(2);
	peer_sends(pattern(0), 3 * MSS);
	tf_later(USEC_PER_SEC);
	CHECK(timer_next() > tf_now + 3600 * USEC_PER_SEC);
	tf_later(3600 * USEC_PER_SEC);
	CHECK_EQ(received(0), 2 * MSS);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	CHECK_EQ(received(2 * MSS), 3 * MSS);
	tf_later(100 * USEC_PER_MSEC);
	QUIET();
	tf_later(USEC_PER_SEC);
	CHECK(waiting());
	SAW(ACK, 0, 0, MSS);
	tf_teardown();
}

/* Many connections wait for the link: first come, first served */
TEST(link_is_full_for_many)
{
	struct guest a, b;

	tf_setup();
	open_out();
	a = g;
	g.sport++;
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	next();
	peer_accept();
	sends(ACK, 0, 0, NULL, 0);
	forget();
	b = g;
	memlink_set_room(0);
	g = a;
	peer_sends(pattern(0), 2 * MSS);
	g = b;
	peer_sends(pattern(0), 2 * MSS);
	memlink_set_room(1);
	g = a;
	tcp_link_writable(tf_now);
	SAW(ACK, 0, 0, MSS);
	tcp_link_writable(tf_now);
	g = b;
	SAW(ACK, 0, 0, MSS);
	tcp_link_writable(tf_now);
	g = a;
	SAW(ACK, MSS, 0, MSS);
	tcp_link_writable(tf_now);
	g = b;
	SAW(ACK, MSS, 0, MSS);
	tcp_link_writable(tf_now);
	QUIET();
	close(a.fd);
	tf_teardown();
}

/* The urgent byte alone, and with others before it */
TEST(urgent_data)
{
	tf_setup();
	open_out();
	CHECK_EQ(send(g.fd, "u", 1, MSG_OOB), 1);
	tf_turns();
	SAW(ACK | URG, 0, 0, 1);
	CHECK_EQ(s.urgent, 1);
	peer_sends("more", 4);
	SAW(ACK, 1, 0, 4);
	sends(ACK, 0, 5, NULL, 0);
	CHECK_EQ(send(g.fd, "abcU", 4, MSG_OOB), 4);
	tf_turns();
	SAW(ACK, 5, 0, 3);
	SAW(ACK | URG, 8, 0, 1);
	CHECK_EQ(s.data[0], 'U');
	peer_sends("more", 4);
	SAW(ACK, 9, 0, 4);
	sends(ACK, 0, 13, NULL, 0);
	QUIET();
	tf_teardown();
}

/* Sent again, up to the urgent byte at first, then as such; the end waits */
TEST(urgent_data_is_resent)
{
	tf_setup();
	open_out();
	g.window = 4;
	sends(ACK, 0, 0, NULL, 0);
	CHECK_EQ(send(g.fd, "aU", 2, MSG_OOB), 2);
	peer_sends("xy", 2);
	SAW(ACK, 0, 0, 1);
	SAW(ACK | URG, 1, 0, 3);
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	QUIET();
	tf_later(1100 * USEC_PER_MSEC);
	SAW(ACK, 0, 0, 1);
	sends(ACK, 0, 1, NULL, 0);
	SAW(ACK | URG, 1, 0, 3);
	CHECK(!memcmp(s.data, "Uxy", 3));
	sends(ACK, 0, 4, NULL, 0);
	SAW(ACK | FIN, 4, 0, 0);
	tf_teardown();
}

static void open_out_without_peek_off(void)
{
	struct rlimit was, none;

	tf_setup();
	getrlimit(RLIMIT_NOFILE, &was);
	none = (struct rlimit){ 0, was.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	tcp_out_init(&(struct tcp_limits){ 15, 6 });
	setrlimit(RLIMIT_NOFILE, &was);
	open_out();
}

/* A peek from the queue's head, where there is no other, stops at the byte */
TEST(urgent_data_without_peek_off)
{
	open_out_without_peek_off();
	CHECK_EQ(send(g.fd, "abcU", 4, MSG_OOB), 4);
	tf_turns();
	peer_sends("more", 4);
	SAW(ACK, 0, 0, 3);
	sends(ACK, 0, 3, NULL, 0);
	SAW(ACK | URG, 3, 0, 5);
	CHECK(!memcmp(s.data, "Umore", 5));
	peer_sends("again", 5);
	sends(ACK, 0, 8, NULL, 0);
	SAW(ACK, 8, 0, 5);
	CHECK_EQ(send(g.fd, "xY", 2, MSG_OOB), 2);
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(ACK, 13, 0, 1);
	QUIET();
	sends(ACK, 0, 14, NULL, 0);
	SAW(ACK | URG | FIN, 14, 0, 1);
	CHECK_EQ(s.data[0], 'Y');
	tf_teardown();
}

/* ... and the peer's reset waits for what is behind that */
TEST(urgent_data_and_reset_without_peek_off)
{
	open_out_without_peek_off();
	CHECK_EQ(send(g.fd, "abcU", 4, MSG_OOB), 4);
	tf_turns();
	SAW(ACK, 0, 0, 3);
	peer_resets();
	QUIET();
	sends(ACK, 0, 3, NULL, 0);
	SAW(ACK | URG, 3, 0, 1);
	next();
	CHECK_EQ(s.flags & RST, RST);
	CHECK_EQ(s.seq, 4);
	CHECK(gone());
	tf_teardown();
}

/* Urgent data that is there before the guest has answered */
TEST(urgent_data_at_once)
{
	tf_setup();
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	CHECK_EQ(send(g.fd, "abcU", 4, MSG_OOB), 4);
	tf_turns();
	peer_sends("more", 4);
	sends(SYN | ACK, -1, 0, NULL, 0);
	SAW(ACK, 0, 0, 3);
	SAW(ACK | URG, 3, 0, 5);
	CHECK(!memcmp(s.data, "Umore", 5));
	tf_teardown();
}

/* A second urgent byte while the first waits for the window: all is sent */
TEST(urgent_data_twice)
{
	int32_t seq = 0;

	tf_setup();
	open_out();
	g.window = 0;
	sends(ACK, 0, 0, NULL, 0);
	CHECK_EQ(send(g.fd, "abcU", 4, MSG_OOB), 4);
	tf_turns();
	CHECK_EQ(send(g.fd, "defV", 4, MSG_OOB), 4);
	tf_turns();
	peer_sends("ghi", 3);
	QUIET();
	g.window = 1000;
	sends(ACK, 0, 0, NULL, 0);
	for (unsigned i = 0; i < 4 && seq < 11; i++) {
		while (waiting()) {
			next();
			CHECK_EQ(s.seq, seq);
			CHECK(!memcmp(s.data, &"abcUdefVghi"[seq], s.len));
			seq += (int32_t)s.len;
		}
		sends(ACK, 0, seq, NULL, 0);
	}
	CHECK_EQ(seq, 11);
	tf_teardown();
}

/* A host without IPv6 reads no byte twice where it need not */
TEST(peek_off_without_ipv6)
{
	uint32_t peek[2];

	for (int i = 0; i < 2; i++) {
		tf_setup();
		without_v6 = i;
		tcp_out_init(&(struct tcp_limits){ 15, 6 });
		without_v6 = false;
		open_out();
		peer_sends(pattern(0), 1000);
		CHECK_EQ(received(0), 1000);
		peek[i] = conn()->peek;
		tf_teardown();
	}
	CHECK_EQ(peek[1], peek[0]);
}

/*
 * The loop is told of an urgent byte, and hears before that the guest has it
 * already: no other byte is marked
 */
TEST(urgent_data_is_acknowledged_meanwhile)
{
	int n;

	tf_setup();
	open_out();
	CHECK_EQ(send(g.fd, "abU", 3, MSG_OOB), 3);
	tf_turns();
	SAW(ACK, 0, 0, 2);
	SAW(ACK | URG, 2, 0, 1);
	CHECK_EQ(send(g.fd, "cd", 2, 0), 2);
	n = loop_wait(100);
	CHECK_EQ(n, 1);
	sends(ACK, 0, 3, NULL, 0);
	loop_dispatch(n, tf_now);
	SAW(ACK, 3, 0, 2);
	peer_sends("ef", 2);
	SAW(ACK, 5, 0, 2);
	QUIET();
	tf_teardown();
}

/* A connection peeks at all that is in flight, and consumes what is not */
TEST(nothing_is_lost_or_twice)
{
	int32_t sent = 0, got = 0, acked = 0;
	unsigned seed = 1;

	tf_setup();
	g.ws = 4;
	open_out();
	for (int i = 0; i < 1500; i++) {
		seed = seed * 1103515245 + 12345;
		if (seed >> 16 & 1 && sent < 2000000) {
			size_t n = seed >> 8 & 0x1fff;
			ssize_t rc = peer_sends(pattern((size_t)sent), n);

			sent += rc > 0 ? (int32_t)rc : 0;
		}
		tcp_link_writable(tf_now);
		while (waiting()) {
			next();
			RIGHT();
			/* one in 16 is lost */
			seed = seed * 1103515245 + 12345;
			if (s.seq == got && (seed >> 16) % 16)
				got += (int32_t)s.len;
			else if (s.len)
				queue(ACK, 0, got, NULL, 0);
		}
		flush();
		if (seed >> 20 & 1 && got > acked) {
			acked += (got - acked + 1) / 2;
			sends(ACK, 0, acked, NULL, 0);
		}
		if (!(i % 16)) {
			acked = got;
			sends(ACK, 0, got, NULL, 0);
			tf_later(300 * USEC_PER_MSEC);
		}
	}
	for (int i = 0; i < 100 && got < sent; i++) {
		while (waiting()) {
			next();
			RIGHT();
			if (s.seq <= got && s.seq + (int32_t)s.len > got)
				got = s.seq + (int32_t)s.len;
		}
		tcp_link_writable(tf_now);
		sends(ACK, 0, got, NULL, 0);
		tf_turns();
		tf_later(300 * USEC_PER_MSEC);
	}
	CHECK(sent > 500000);
	CHECK_EQ(got, sent);
	tf_teardown();
}

int main(int argc, char **argv)
{
	return tf_enter() ? unit_main(argc, argv) : 1;
}
