// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_tcp_gso: frames that stand for many segments, both ways: how they are cut,
 * which flags they have, and what is sent again. The link's completed checksums
 * are checked with each frame.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flow.h"
#include "tcp.h"
#include "tcp_out.h"
#include "test/unit/tcpfix.h"

/* Most payload of a frame, in whole segments */
#define MOST	(65495 / MSS * MSS)

static void setup(unsigned mtu)
{
	tf_setup_mtu(mtu);
	*memlink_caps() = (struct link_caps){ .gso_tcp = true, .gso_udp = true,
					      .csum = true,
					      .max_frame = 65535 + 14 };
	g.mss = (uint16_t)(mtu - 40);
	g.ws = 8;
}

/* As many bytes as the guest got, in order, from @off on */
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

TEST(one_frame_for_many_segments)
{
	setup(1500);
	open_out();
	peer_sends(pattern(0), 10000);
	SAW(ACK, 0, 0, 10000);
	CHECK_EQ(s.gso, MSS);
	CHECK(s.psh);
	RIGHT();
	QUIET();
	sends(ACK, 0, 10000, NULL, 0);
	QUIET();
	/* one segment is just that */
	peer_sends(pattern(10000), MSS);
	SAW(ACK, 10000, 0, MSS);
	CHECK_EQ(s.gso, 0);
	sends(ACK, 0, 10000 + MSS, NULL, 0);
	peer_sends(pattern(10000 + MSS), MSS + 1);
	SAW(ACK, 10000 + MSS, 0, MSS + 1);
	CHECK_EQ(s.gso, MSS);
	tf_teardown();
}

TEST(largest_frames)
{
	setup(1500);
	open_out();
	peer_sends(pattern(0), 100000);
	SAW(ACK, 0, 0, MOST);
	CHECK_EQ(s.gso, MSS);
	CHECK(!s.psh);
	RIGHT();
	CHECK_EQ(received(MOST), 100000);
	CHECK(s.psh);
	tf_teardown();
}

TEST(by_ipv6)
{
	setup(1500);
	peer_listen("::1");
	g.mss = 1440;
	open_out();
	peer_sends(pattern(0), 100000);
	SAW(ACK, 0, 0, 65475 / 1440 * 1440);
	CHECK_EQ(s.gso, 1440);
	CHECK_EQ(received((int32_t)s.len), 100000);
	tf_teardown();
}

/* The frame is as large as a segment: nothing to cut */
TEST(at_a_large_mtu)
{
	setup(65520);
	open_out();
	peer_sends(pattern(0), 100000);
	SAW(ACK, 0, 0, 65480);
	CHECK_EQ(s.gso, 0);
	SAW(ACK, 65480, 0, 100000 - 65480);
	CHECK_EQ(s.gso, 0);
	RIGHT();
	tf_teardown();
}

/* The guest's own MSS is what it is cut by, however small */
TEST(mss_of_the_guest)
{
	static const uint16_t mss[] = { 48, 536, 1000, 1459, 9000, 40000 };

	for (unsigned i = 0; i < 6; i++) {
		setup(65520);
		g.mss = mss[i];
		open_out();
		peer_sends(pattern(0), 100000);
		next();
		CHECK_EQ(s.len, 65495 / mss[i] * mss[i]);
		CHECK_EQ(s.gso, s.len > mss[i] ? mss[i] : 0);
		RIGHT();
		CHECK_EQ(received((int32_t)s.len), 100000);
		tf_teardown();
	}
}

TEST(never_beyond_the_window)
{
	setup(1500);
	g.ws = 0;
	g.window = 5000;
	open_out();
	peer_sends(pattern(0), 20000);
	SAW(ACK, 0, 0, 5000);
	CHECK_EQ(s.gso, MSS);
	QUIET();
	sends(ACK, 0, 2 * MSS, NULL, 0);
	SAW(ACK, 5000, 0, 2 * MSS);
	QUIET();
	tf_teardown();
}

/* Lost: one segment of what was one frame is sent again, not all of it */
TEST(fast_retransmit_of_a_part)
{
	setup(1500);
	open_out();
	peer_sends(pattern(0), 40 * MSS);
	SAW(ACK, 0, 0, 40 * MSS);
	sends(ACK, 0, 7 * MSS, NULL, 0);
	for (int i = 0; i < 3; i++)
		sends(ACK, 0, 7 * MSS, NULL, 0);
	SAW(ACK, 7 * MSS, 0, MSS);
	CHECK_EQ(s.gso, 0);
	RIGHT();
	QUIET();
	/* a partial ACK: the next hole */
	sends(ACK, 0, 9 * MSS, NULL, 0);
	SAW(ACK, 9 * MSS, 0, MSS);
	CHECK_EQ(s.gso, 0);
	RIGHT();
	sends(ACK, 0, 40 * MSS, NULL, 0);
	QUIET();
	peer_sends(pattern(40 * MSS), 3 * MSS);
	SAW(ACK, 40 * MSS, 0, 3 * MSS);
	CHECK_EQ(s.gso, MSS);
	RIGHT();
	tf_teardown();
}

/* By time: one segment; then, where more was lost, some in one frame */
TEST(timeout)
{
	setup(1500);
	open_out();
	peer_sends(pattern(0), 30 * MSS);
	SAW(ACK, 0, 0, 30 * MSS);
	tf_later(1100 * USEC_PER_MSEC);
	SAW(ACK, 0, 0, MSS);
	CHECK_EQ(s.gso, 0);
	QUIET();
	sends(ACK, 0, MSS, NULL, 0);
	SAW(ACK, 29 * MSS, 0, MSS);
	CHECK_EQ(s.gso, 0);
	sends(ACK, 0, MSS, NULL, 0);
	SAW(ACK, MSS, 0, 3 * MSS);
	CHECK_EQ(s.gso, MSS);
	RIGHT();
	sends(ACK, 0, 30 * MSS, NULL, 0);
	QUIET();
	tf_teardown();
}

TEST(fin_ends_the_last_frame)
{
	setup(1500);
	open_out();
	CHECK_EQ(send(g.fd, pattern(0), 10000, 0), 10000);
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	while (waiting()) {
		next();
		CHECK_EQ(s.flags & FIN ? FIN : 0, waiting() ? 0 : FIN);
	}
	CHECK_EQ(s.seq + (int32_t)s.len, 10000);
	/* and again, alone or with data */
	tf_later(1100 * USEC_PER_MSEC);
	SAW(ACK, 0, 0, MSS);
	sends(ACK, 0, MSS, NULL, 0);
	while (waiting())
		next();
	CHECK(s.flags & FIN);
	sends(ACK, 0, 10001, NULL, 0);
	STATE(FIN_WAIT_2);
	tf_teardown();
}

TEST(zero_window_probe)
{
	setup(1500);
	g.ws = 0;
	g.window = 3 * MSS;
	open_out();
	peer_sends(pattern(0), 20 * MSS);
	SAW(ACK, 0, 0, 3 * MSS);
	g.window = 0;
	sends(ACK, 0, 3 * MSS, NULL, 0);
	QUIET();
	tf_later(1100 * USEC_PER_MSEC);
	SAW(ACK, 3 * MSS, 0, 1);
	CHECK_EQ(s.gso, 0);
	forget();
	g.window = 65535;
	sends(ACK, 0, 3 * MSS, NULL, 0);
	CHECK_EQ(received(3 * MSS), 20 * MSS);
	CHECK_EQ(s.gso, MSS);
	tf_teardown();
}

/* Each segment of a frame would have the pointer: only the one has it */
TEST(urgent_byte)
{
	setup(1500);
	open_out();
	CHECK_EQ(send(g.fd, pattern(0), 5000, 0), 5000);
	CHECK_EQ(send(g.fd, pattern(5000), 1, MSG_OOB), 1);
	CHECK_EQ(send(g.fd, pattern(5001), 20000, 0), 20000);
	tf_turns();
	for (int32_t off = 0; off < 25001; off += (int32_t)s.len) {
		CHECK(waiting());
		if (!waiting())
			break;
		next();
		CHECK_EQ(s.seq, off);
		if (s.flags & URG) {
			CHECK_EQ(s.urgent, 1);
			CHECK_EQ(s.seq, 5000);
			CHECK_EQ(s.gso, 0);
		}
	}
	QUIET();
	tf_teardown();
}

/* From the guest: many segments in one frame, to the socket as they are */
TEST(frames_of_the_guest)
{
	static uint8_t big[64 * 1024];
	uint8_t got[1000];

	setup(1500);
	memcpy(big, pattern(0), sizeof(big));
	open_out();
	sends(ACK, 0, 0, big, 40 * MSS);
	SAW(ACK, 0, 40 * MSS, 0);
	QUIET();
	/* the last part of it again, and more */
	sends(ACK, 30 * MSS, 0, pattern(30 * MSS), 14 * MSS);
	CHECK_EQ(next()->ack, 44 * MSS);
	/* a hole before it */
	sends(ACK, 50 * MSS, 0, big, 5 * MSS);
	SAW(ACK, 0, 44 * MSS, 0);
	QUIET();
	peer_drains(0);
	CHECK_EQ(peer_drains(44 * MSS), 44 * MSS);
	sends(ACK | FIN, 44 * MSS, 0, pattern(44 * MSS), 600);
	SAW(ACK, 0, 44 * MSS + 601, 0);
	CHECK_EQ(peer_reads(got, sizeof(got)), 600);
	CHECK(peer_eof());
	tf_teardown();
}

/* Checksums left to the link, and segments not: one frame each */
TEST(checksum_offload_only)
{
	setup(1500);
	memlink_caps()->gso_tcp = false;
	open_out();
	peer_sends(pattern(0), 5000);
	SAW(ACK, 0, 0, MSS);
	CHECK_EQ(s.gso, 0);
	CHECK_EQ(received(MSS), 5000);
	tf_teardown();
}

/* A link that has room for little at a time */
TEST(full_link)
{
	int32_t got = 0;

	setup(1500);
	open_out();
	memlink_set_room(1);
	peer_sends(pattern(0), 100000);
	for (int i = 0; i < 10 && got < 100000; i++) {
		got = received(got);
		tcp_link_writable(tf_now);
		tf_turns();
	}
	CHECK_EQ(received(got), 100000);
	tf_teardown();
}

int main(int argc, char **argv)
{
	return tf_enter() ? unit_main(argc, argv) : 1;
}
