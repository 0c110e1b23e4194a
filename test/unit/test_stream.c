// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The stream link over real sockets: framing both ways in any portions,
 * back-pressure, clients that come and go
 */
#include "link/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/stats.h"
#include "test/unit/unit.h"

#define MAX_FRAME (65535 + 14)

static unsigned drops, ups, downs, writables, stops;
static unsigned got_frames;
static uint8_t got[4 * 1024 * 1024];
static size_t got_len;
static unsigned batches_per_turn;
static const struct link_ops *ops;
/* Asked for while frames are read; 0: not */
static usec_t hold_until;
static int peer = -1;
static uint8_t wire[4 * 1024 * 1024];
static size_t wire_len;

bool drop(enum drop_reason why)
{
	CHECK_EQ(why, DROP_LENGTH);
	drops++;
	return false;
}

void stat_add(enum stat_counter what, uint64_t n)
{
	(void)what;
	(void)n;
}

/* Keeps frames as they were on the wire */
static void on_readable(usec_t now)
{
	struct frame f[LINK_BATCH];

	(void)now;
	if (hold_until)
		ops->hold(hold_until);
	for (unsigned b = 0; b < batches_per_turn; b++) {
		unsigned n = link_receive(f, LINK_BATCH);

		for (unsigned i = 0; i < n; i++) {
			CHECK_EQ(f[i].cnt, 1);
			CHECK_EQ(f[i].iov[0].iov_len, f[i].len);
			put_be32(got + got_len, (uint32_t)f[i].len);
			memcpy(got + got_len + 4, f[i].iov[0].iov_base,
			       f[i].len);
			got_len += 4 + f[i].len;
		}
		got_frames += n;
		link_release();
		if (!n)
			return;
	}
}

static void on_writable(usec_t now)
{
	(void)now;
	writables++;
}

static void on_up(usec_t now)
{
	(void)now;
	ups++;
}

static void on_down(usec_t now)
{
	struct loan l;

	(void)now;
	downs++;
	CHECK(!link_reserve(&l, 1, 14, 40));
}

static void on_stop(void)
{
	stops++;
}

static const struct link_events events = { on_readable, on_writable, on_up,
					   on_down };

static void loop_once(void)
{
	static bool made;

	if (made)
		return;
	CHECK(!loop_init());
	CHECK(timer_init(1) >= 0);
	made = true;
}

static void setup(int listen_fd, int fd, bool one_off)
{
	struct server_conf c = { listen_fd, fd, one_off, on_stop };

	loop_once();
	drops = ups = downs = writables = stops = got_frames = 0;
	got_len = wire_len = 0;
	batches_per_turn = 1000;
	hold_until = 0;
	ops = stream_init(&c);
	link_init(ops, &events);
	CHECK(!server_start(1));
}

static void setup_pair(void)
{
	int sv[2];

	loop_once();
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv));
	peer = sv[1];
	setup(-1, sv[0], false);
	CHECK_EQ(ups, 1);
}

static void teardown(void)
{
	link_close();
	if (peer >= 0)
		close(peer);
	peer = -1;
}

static int turn(void)
{
	int n = loop_wait(0);

	loop_dispatch(n, 1);
	link_flush();
	return n;
}

static void turns(void)
{
	for (int i = 0; i < 20; i++)
		turn();
}

/* A frame that tells its number and length, on the wire */
static void wire_frame(size_t len)
{
	put_be32(wire + wire_len, (uint32_t)len);
	wire_len += 4;
	for (size_t i = 0; i < len; i++)
		wire[wire_len + i] = (uint8_t)(i * 5 + len + wire_len);
	wire_len += len;
}

static void wire_prefix(uint32_t len)
{
	put_be32(wire + wire_len, len);
	wire_len += 4;
}

static void wire_check(void)
{
	CHECK_EQ(got_len, wire_len);
	CHECK(!memcmp(got, wire, wire_len));
}

/* Write all of it, in portions, with turns where the socket is full */
static void wire_write(size_t portion)
{
	for (size_t at = 0; at < wire_len;) {
		size_t n = wire_len - at < portion ? wire_len - at : portion;
		ssize_t w = send(peer, wire + at, n, MSG_NOSIGNAL);

		if (w > 0)
			at += (size_t)w;
		turn();
	}
	turns();
}

TEST(in_byte_by_byte)
{
	setup_pair();
	wire_frame(60);
	wire_frame(14);
	wire_frame(300);
	wire_write(1);
	CHECK_EQ(got_frames, 3);
	wire_check();
	teardown();
}

TEST(in_any_portion)
{
	static const size_t portions[] = { 3, 17, 1000, 4096, 100000, 1 << 20 };

	for (unsigned i = 0; i < 6; i++) {
		setup_pair();
		for (size_t n = 0; n < 400; n++)
			wire_frame(14 + n * 3);
		for (size_t n = 0; n < 20 && i > 1; n++)
			wire_frame(MAX_FRAME - n * 1111);
		wire_write(portions[i]);
		wire_check();
		CHECK_EQ(drops, 0);
		teardown();
	}
}

/* What a turn leaves in our buffer is not forgotten, though nothing comes */
TEST(in_more_than_a_turn_takes)
{
	setup_pair();
	batches_per_turn = 1;
	for (int i = 0; i < 1000; i++)
		wire_frame(60);
	CHECK_EQ(write(peer, wire, wire_len), wire_len);
	turn();
	CHECK_EQ(got_frames, 1000);
	wire_check();
	teardown();
}

TEST(in_one_recv_a_turn)
{
	setup_pair();
	wire_frame(60);
	CHECK_EQ(write(peer, wire, wire_len), wire_len);
	CHECK_EQ(turn(), 1);
	CHECK_EQ(got_frames, 1);
	CHECK_EQ(turn(), 0);
	teardown();
}

/* Nothing is read, and nobody is woken, until then */
TEST(in_held)
{
	const usec_t until = 5000;

	setup_pair();
	hold_until = until;
	wire_frame(60);
	wire_write(1000);
	CHECK_EQ(got_frames, 1);
	wire_frame(300);
	wire_write(1000);
	wire_frame(14);
	CHECK_EQ(write(peer, wire + wire_len - 18, 18), 18);
	CHECK_EQ(turn(), 0);
	CHECK_EQ(got_frames, 1);
	hold_until = 0;
	timer_run(until + USEC_PER_MSEC);
	turns();
	CHECK_EQ(got_frames, 4);
	teardown();
}

/* Somebody may answer what was sent */
TEST(in_held_no_more)
{
	setup_pair();
	hold_until = 5000;
	wire_frame(60);
	wire_write(1000);
	hold_until = 0;
	CHECK_EQ(write(peer, wire, wire_len), wire_len);
	turns();
	CHECK_EQ(got_frames, 1);
	ops->hold(0);
	turns();
	CHECK_EQ(got_frames, 2);
	ops->hold(0);
	teardown();
}

TEST(in_lengths_no_frame_has)
{
	static uint8_t junk[70000];

	setup_pair();
	wire_prefix(0);
	wire_prefix(13);
	wire_len += 13;
	wire_frame(14);
	CHECK_EQ(write(peer, wire, wire_len), wire_len);
	wire_len = 0;
	wire_prefix(MAX_FRAME + 1);
	CHECK_EQ(write(peer, wire, wire_len), wire_len);
	CHECK_EQ(write(peer, junk, MAX_FRAME + 1), MAX_FRAME + 1);
	wire_len = 0;
	wire_frame(14);
	CHECK_EQ(write(peer, wire, wire_len), wire_len);
	turns();
	CHECK_EQ(got_frames, 2);
	CHECK_EQ(drops, 3);
	CHECK_EQ(downs, 0);
	teardown();
}

TEST(in_impossible_length_ends_the_client)
{
	static const uint32_t lengths[] = { 4096 + 65536 + 1, 0x80000000,
					    0xffffffff };
	char b;

	for (unsigned i = 0; i < 3; i++) {
		setup_pair();
		wire_frame(60);
		wire_prefix(lengths[i]);
		wire_frame(60);
		CHECK_EQ(write(peer, wire, wire_len), wire_len);
		turns();
		CHECK_EQ(got_frames, 1);
		CHECK_EQ(drops, 1);
		CHECK_EQ(downs, 1);
		CHECK_EQ(stops, 1);
		CHECK(read(peer, &b, 1) <= 0 && errno != EAGAIN);
		teardown();
	}
}

TEST(in_what_came_before_the_end_is_read)
{
	setup_pair();
	batches_per_turn = 1;
	for (int i = 0; i < 300; i++)
		wire_frame(100);
	CHECK_EQ(write(peer, wire, wire_len), wire_len);
	CHECK_EQ(write(peer, "\0\0\0\x20half", 8), 8);
	close(peer);
	peer = -1;
	turns();
	wire_check();
	CHECK_EQ(downs, 1);
	CHECK_EQ(stops, 1);
	teardown();
}

static size_t out_len;

/* Send frames of the lengths given; how many were lent */
static unsigned out(unsigned n, size_t hlen, size_t room, size_t step)
{
	struct loan l[LINK_BATCH];
	unsigned lent = link_reserve(l, n, hlen, room);

	for (unsigned i = 0; i < lent; i++) {
		size_t at = wire_len + 4;

		l[i].len = room - (i * step < room ? i * step : 0);
		CHECK_EQ(l[i].cnt, 1);
		CHECK_EQ(l[i].iov[0].iov_len, room);
		wire_frame(hlen + l[i].len);
		memcpy(l[i].hdr, wire + at, hlen);
		memcpy(l[i].iov[0].iov_base, wire + at + hlen, l[i].len);
	}
	link_commit(l, lent);
	out_len = wire_len;
	return lent;
}

static size_t peer_read(size_t max)
{
	ssize_t n = read(peer, got + got_len, max);

	if (n > 0)
		got_len += (size_t)n;
	return n > 0 ? (size_t)n : 0;
}

static void peer_read_all(void)
{
	do {
		turn();
	} while (peer_read(sizeof(got) - got_len));
}

TEST(out_full_frames)
{
	setup_pair();
	CHECK_EQ(out(50, 54, 1446, 0), 50);
	CHECK_EQ(out(3, 42, 0, 0), 3);
	peer_read_all();
	wire_check();
	CHECK_EQ(writables, 0);
	teardown();
}

TEST(out_frames_shorter_than_their_room)
{
	static const size_t steps[] = { 1, 10, 500, 701, 1400 };

	for (unsigned i = 0; i < 5; i++) {
		setup_pair();
		for (int j = 0; j < 10; j++) {
			CHECK_EQ(out(3, 54, 1446, steps[i]), 3);
			CHECK_EQ(out(1, 42, 9, 0), 1);
		}
		peer_read_all();
		wire_check();
		teardown();
	}
}

TEST(out_largest_frames)
{
	setup_pair();
	CHECK_EQ(out(2, 54, MAX_FRAME - 54, 1), 2);
	peer_read_all();
	wire_check();
	teardown();
}

TEST(out_part_of_a_loan)
{
	struct loan l[4];

	setup_pair();
	CHECK_EQ(link_reserve(l, 4, 14, 100), 4);
	link_commit(l, 0);
	CHECK_EQ(out(1, 14, 100, 0), 1);
	CHECK_EQ(link_reserve(l, 4, 14, 100), 4);
	link_commit(l, 0);
	peer_read_all();
	wire_check();
	teardown();
}

static int set_sndbuf(int size)
{
	/* ours is the lowest descriptor beside the peer's */
	return setsockopt(peer - 1, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* The guest reads slowly: nothing is lost, nothing doubled, and once all went
 * the user is told
 */
TEST(out_blocked)
{
	unsigned lent, total = 0;

	setup_pair();
	CHECK(!set_sndbuf(1));
	do {
		lent = out(20, 54, 1446, 0);
		total += lent;
		link_flush();
	} while (lent == 20);
	CHECK(total > 600);
	CHECK_EQ(writables, 0);
	CHECK_EQ(out(1, 54, 60000, 0), 0);
	while (peer_read(777))
		turn();
	peer_read_all();
	wire_check();
	CHECK_EQ(writables, 1);
	CHECK_EQ(out(20, 54, 1446, 0), 20);
	peer_read_all();
	wire_check();
	CHECK_EQ(writables, 1);
	CHECK_EQ(turn(), 0);
	teardown();
}

/* A blocked link wakes nobody while the guest does not read */
TEST(out_blocked_is_quiet)
{
	setup_pair();
	CHECK(!set_sndbuf(1));
	while (out(20, 54, 1446, 0) == 20)
		link_flush();
	turn();
	for (int i = 0; i < 5; i++)
		CHECK_EQ(turn(), 0);
	teardown();
}

/* What waits goes out when the guest reads, with nothing else to wake us */
TEST(out_blocked_wakes_up)
{
	setup_pair();
	CHECK(!set_sndbuf(1));
	CHECK_EQ(out(100, 54, 1446, 0), 100);
	link_flush();
	CHECK_EQ(turn(), 0);
	for (int i = 0; i < 1000; i++) {
		peer_read(sizeof(got) - got_len);
		if (got_len == wire_len)
			break;
		CHECK_EQ(turn(), 1);
	}
	wire_check();
	CHECK_EQ(writables, 0);
	teardown();
}

/* Cut short only by our own arena: room again at once, and told so */
TEST(out_loan_larger_than_the_arena)
{
	unsigned lent;

	setup_pair();
	lent = out(LINK_BATCH, 54, 60000, 0);
	CHECK(lent >= 8 && lent < LINK_BATCH);
	peer_read_all();
	peer_read_all();
	wire_check();
	CHECK_EQ(writables, 1);
	teardown();
}

TEST(out_many_gaps)
{
	setup_pair();
	CHECK(!set_sndbuf(1));
	for (int i = 0; i < 3000; i++) {
		out(4, 14, 32, 7);
		if (i % 16 == 15)
			peer_read(5000);
		turn();
	}
	peer_read_all();
	wire_check();
	teardown();
}

TEST(out_random)
{
	srandom(3);
	setup_pair();
	CHECK(!set_sndbuf(1));
	for (int i = 0; i < 500 && wire_len < sizeof(wire) / 2; i++) {
		size_t room = (size_t)random() % 4000;

		out((unsigned)random() % 20, 14 + (size_t)random() % 60, room,
		    (size_t)random() % 300);
		if (random() % 2)
			turn();
		peer_read((size_t)random() % 30000);
	}
	peer_read_all();
	wire_check();
	teardown();
}

TEST(out_to_a_guest_that_left)
{
	setup_pair();
	close(peer);
	peer = -1;
	CHECK_EQ(out(3, 54, 100, 0), 3);
	link_flush();
	CHECK_EQ(out(3, 54, 100, 0), 0);
	CHECK_EQ(downs, 0);
	turns();
	CHECK_EQ(downs, 1);
	CHECK_EQ(stops, 1);
	teardown();
}

TEST(out_to_a_guest_that_does_not_listen)
{
	setup_pair();
	CHECK(!shutdown(peer, SHUT_RD));
	CHECK_EQ(out(3, 54, 100, 0), 3);
	link_flush();
	turns();
	CHECK_EQ(downs, 1);
	CHECK_EQ(stops, 1);
	teardown();
}

/* What it sent last is read all the same: nobody else has it any more */
static void left_with_last_words(bool blocked)
{
	size_t last;

	setup_pair();
	while (blocked && out(20, 54, 1446, 0) == 20)
		link_flush();
	wire_len = 0;
	for (int i = 0; i < 300; i++)
		wire_frame(100);
	last = wire_len;
	CHECK_EQ(write(peer, wire, last), last);
	close(peer);
	peer = -1;
	out(3, 54, 100, 0);
	wire_len = last;
	link_flush();
	CHECK_EQ(out(3, 54, 100, 0), 0);
	turns();
	wire_check();
	CHECK_EQ(downs, 1);
	CHECK_EQ(stops, 1);
	teardown();
}

TEST(what_a_guest_that_left_sent_is_read)
{
	left_with_last_words(false);
	left_with_last_words(true);
}

static char dir[] = "/tmp/test_stream_XXXXXX";
static char path[64];

static void make_path(void)
{
	if (strchr(dir, 'X'))
		CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/s", dir);
}

static int listen_at(const char *at)
{
	char used[108];
	int fd = server_listen(at, used, sizeof(used));

	if (fd >= 0 && *at)
		CHECK(!strcmp(used, at));
	return fd;
}

static int client_connect(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(sun.sun_path, path);
	CHECK(!connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	return fd;
}

static void cleanup(void)
{
	unlink(path);
	rmdir(dir);
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
}

static bool is_closed(int fd)
{
	char b;

	return !read(fd, &b, 1);
}

TEST(clients_come_and_go)
{
	int a, b;

	make_path();
	setup(listen_at(path), -1, false);
	CHECK_EQ(ups, 0);
	CHECK_EQ(out(1, 14, 46, 0), 0);
	a = client_connect();
	turns();
	CHECK_EQ(ups, 1);
	CHECK_EQ(write(a, "\0\0\0\x40part", 8), 8);
	turns();
	close(a);
	turns();
	CHECK_EQ(downs, 1);
	CHECK_EQ(stops, 0);
	peer = b = client_connect();
	turns();
	CHECK_EQ(ups, 2);
	wire_frame(60);
	wire_write(1000);
	wire_check();
	CHECK_EQ(drops, 0);
	teardown();
	cleanup();
}

TEST(second_client_is_closed)
{
	int a, b;

	make_path();
	setup(listen_at(path), -1, false);
	a = client_connect();
	turns();
	b = client_connect();
	turns();
	CHECK(is_closed(b));
	CHECK(!is_closed(a));
	CHECK_EQ(ups, 1);
	CHECK_EQ(downs, 0);
	peer = a;
	wire_frame(60);
	wire_write(1000);
	wire_check();
	close(b);
	teardown();
	cleanup();
}

/* Both happen between two turns: the second is the next client, once all that
 * the first had to say was read
 */
static void next_client(bool connects_first)
{
	int a, size = 4 * 1024 * 1024;

	make_path();
	setup(listen_at(path), -1, false);
	a = client_connect();
	CHECK(!setsockopt(a, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	turns();
	do {
		wire_frame(50000);
	} while (wire_len < 3000000 &&
		 write(a, wire + wire_len - 50004, 50004) == 50004);
	if (connects_first)
		peer = client_connect();
	close(a);
	if (!connects_first)
		peer = client_connect();
	turns();
	CHECK_EQ(got_frames, wire_len / 50004 - 1);
	CHECK_EQ(downs, 1);
	CHECK_EQ(ups, 2);
	CHECK(!is_closed(peer));
	teardown();
	cleanup();
}

TEST(next_client_before_we_saw_the_end)
{
	next_client(false);
}

TEST(next_client_just_before_the_end)
{
	next_client(true);
}

/* Its end is heard of nevertheless, and the next one begins afresh */
TEST(held_client_leaves)
{
	make_path();
	setup(listen_at(path), -1, false);
	peer = client_connect();
	turns();
	hold_until = 5000;
	wire_frame(60);
	wire_write(1000);
	hold_until = 0;
	CHECK_EQ(write(peer, wire, wire_len), wire_len);
	close(peer);
	turns();
	CHECK_EQ(got_frames, 2);
	CHECK_EQ(downs, 1);
	peer = client_connect();
	turns();
	wire_write(1000);
	wire_write(1000);
	CHECK_EQ(got_frames, 4);
	teardown();
	cleanup();
}

TEST(one_off)
{
	int a;

	make_path();
	setup(listen_at(path), -1, true);
	a = client_connect();
	turns();
	close(a);
	turns();
	CHECK_EQ(downs, 1);
	CHECK_EQ(stops, 1);
	teardown();
	cleanup();
}

int main(int argc, char **argv)
{
	log_init("test_stream", LOG_LEVEL_ERR);
	return unit_main(argc, argv);
}
