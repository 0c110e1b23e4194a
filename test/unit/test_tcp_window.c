// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_tcp_window: what the guest is offered, against what the socket takes
 */
#include "tcp_window.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "flow.h"
#include "tcp_sack.h"
#include "tcp.h"
#include "test/unit/hostns.h"
#include "test/unit/tcpfix.h"

#define WMEM		"/proc/sys/net/ipv4/tcp_wmem"
#define WMEM_SMALL	"4096 16384 120000"

/* Where the guest's window ends, by what it was told last */
static uint32_t edge;

/* The guest hears all there is; the right edge never moves left */
static void hears(void)
{
	while (waiting()) {
		uint32_t e;

		next();
		e = (uint32_t)s.ack +
		    ((uint32_t)s.window << (s.flags & SYN ? 0 :
					    conn()->ws_rcv));
		CHECK(!seq_lt(e, edge));
		edge = e;
	}
}

/* A peer that reads slowly: its buffer is small */
static void open_slow_mtu(int ws, unsigned mtu)
{
	tf_setup_mtu(mtu);
	peer_listen("127.0.0.1");
	CHECK(!setsockopt(g.listener, SOL_SOCKET, SO_RCVBUF,
			  &(int){ 8192 }, sizeof(int)));
	g.ws = ws;
	open_out();
	sends(ACK, 0, 0, "0", 1);
	tf_later(1000);
	edge = 0;
	hears();
	peer_drains(0);
}

static void open_slow(int ws)
{
	open_slow_mtu(ws, 1500);
}

/* Sends the pattern up to the edge, some segments a batch; how far that is */
static int32_t fill(int32_t seq, size_t mss, unsigned batch)
{
	unsigned n = 0;

	while ((uint32_t)seq < edge) {
		size_t len = edge - (uint32_t)seq;

		if (len > mss)
			len = mss;
		queue(ACK, seq, 0, pattern((size_t)seq), len);
		seq += (int32_t)len;
		if (++n % batch && (uint32_t)seq < edge)
			continue;
		flush();
		tf_turns();
		hears();
	}
	return seq;
}

static uint32_t queued(uint32_t *sndbuf)
{
	uint32_t mem[SK_MEMINFO_VARS];
	socklen_t len = sizeof(mem);

	CHECK(!getsockopt(conn()->watch.fd, SOL_SOCKET, SO_MEMINFO, mem,
			  &len));
	*sndbuf = mem[SK_MEMINFO_SNDBUF];
	return mem[SK_MEMINFO_WMEM_QUEUED];
}

/*
 * Until the window is closed, and what the kernel still moves to its peer makes no
 * room. Return: behind the last byte
 */
static int32_t fill_window(void)
{
	int32_t end;

	for (end = 1; (uint32_t)end < edge;) {
		end = fill(end, 1460, 10);
		usleep(20000);
		tf_later(USEC_PER_SEC);
		hears();
	}
	return end;
}

/* It closes before the socket is full: nothing bounces, all is acknowledged */
TEST(closes_in_time)
{
	uint32_t sndbuf;
	int32_t end;

	open_slow(8);
	end = fill_window();
	CHECK(end > 30000);
	CHECK_EQ(conn()->rcv_nxt - g.iss - 1, end);
	CHECK(queued(&sndbuf) <= sndbuf + 65536);
	CHECK(!conn()->bounced);
	CHECK_EQ(edge, (uint32_t)end);
	/* stays closed, and is quiet: no wake-ups */
	tf_later(10 * USEC_PER_SEC);
	CHECK_EQ(tf_turns(), 0);
	QUIET();
	/* the peer reads: told unasked, though the socket was never found full */
	for (int i = 0; i < 30 && !waiting(); i++) {
		peer_drains(5000);
		tf_turns();
	}
	hears();
	CHECK(edge > (uint32_t)end);
	tf_teardown();
}

/*
 * Nor where the host is told to keep little that is not sent yet, which a socket
 * that has room then takes no more of (tcp(7), TCP_NOTSENT_LOWAT)
 */
TEST(host_that_keeps_little_unsent)
{
	static const char *const path = "/proc/sys/net/ipv4/tcp_notsent_lowat";
	int32_t end = 1;

	CHECK(hostns_write(path, "4096"));
	open_slow(8);
	for (int i = 0; i < 10; i++) {
		end = fill(end, 1460, 10);
		CHECK(!conn()->bounced);
		usleep(20000);
		tf_later(USEC_PER_SEC);
		hears();
	}
	CHECK(end > 30000);
	CHECK_EQ(conn()->rcv_nxt - g.iss - 1, end);
	tf_teardown();
	CHECK(hostns_write(path, "4294967295"));
}

/* The peer reads: the window opens by itself, and so on to the last byte */
TEST(opens_again)
{
	for (int ws = -1; ws <= 8; ws += 9) {
		int32_t seq, got = 0;
		int idle = 0;

		open_slow(ws);
		CHECK_EQ(peer_reads((uint8_t[1]){ 0 }, 1), 1);
		while (got < 1000000 && idle < 3) {
			uint32_t was = edge;
			size_t n;

			/* what was not taken is sent again */
			seq = (int32_t)(conn()->rcv_nxt - g.iss - 1);
			fill(seq, 1460, 10);
			n = 0;
			/* the pattern begins at 0, our text was one byte */
			for (size_t k; n < 30000; n += k) {
				static uint8_t buf[4096];
				ssize_t r = peer_reads(buf, sizeof(buf));

				if (r <= 0)
					break;
				k = (size_t)r;
				CHECK(!memcmp(buf, pattern((size_t)got + 1),
					      k));
				got += (int32_t)k;
			}
			tf_turns();
			hears();
			idle = edge == was && !n ? idle + 1 : 0;
		}
		CHECK(got >= 1000000);
		tf_teardown();
	}
}

/* A guest that sends more than it may, or lost in the crowd: it bounces. Return:
 * what it would send next; 500 bytes from there on have come already */
static int32_t bounce(void)
{
	uint32_t nxt;
	int32_t seq;

	open_slow(8);
	CHECK_EQ(setsockopt(conn()->watch.fd, SOL_SOCKET, SO_SNDBUF,
			    &(int){ 20000 }, sizeof(int)), 0);
	/* the kernel shrank the buffer behind our back: as the edge stands */
	seq = (int32_t)(conn()->rcv_nxt - g.iss - 1);
	while (!conn()->bounced && (uint32_t)seq < edge) {
		sends(ACK, seq, 0, pattern((size_t)seq), 1400);
		seq += 1400;
		tf_turns();
		hears();
	}
	CHECK(conn()->bounced);
	nxt = conn()->rcv_nxt;
	/* what follows is out of order, and draws no storm */
	forget();
	for (int i = 0; i < 5; i++)
		sends(ACK, seq + i * 100, 0, pattern(0), 100);
	CHECK(waiting() <= 5);
	forget();
	CHECK_EQ(conn()->rcv_nxt, nxt);
	return seq;
}

/* Then, once there is room, it is taken as it was, and acknowledged */
TEST(bounced_data_waits_for_room)
{
	int32_t behind = bounce();
	size_t got = 0;

	for (int i = 0; i < 200 && conn()->bounced; i++) {
		got += peer_drains(4096);
		tf_turns();
	}
	CHECK(!conn()->bounced);
	CHECK_EQ(conn()->rcv_nxt - g.iss - 1, (uint32_t)behind + 500);
	/* by one ACK, not by duplicates, which would ask for more */
	SAW(ACK, 0, behind + 500, 0);
	QUIET();
	CHECK(got);
	tf_teardown();
}

/*
 * Where others have the memory for that, the guest is told: by the window and
 * three duplicate ACKs
 */
TEST(bounced_data_is_asked_for)
{
	static char other[8];
	struct iovec iov = { other, 1 };
	struct tcp_sack_seg seg = { 10, { &iov, 1, 0, 1 }, false };
	int32_t nxt, behind;
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(other); i++)
		tcp_sack_keep(other + i, 0, &seg, tf_now);
	behind = bounce();
	for (unsigned i = 0; i < sizeof(other); i++)
		tcp_sack_forget(other + i);
	nxt = (int32_t)(conn()->rcv_nxt - g.iss - 1);
	for (int i = 0; i < 200 && !waiting(); i++) {
		static uint8_t buf[4096];

		peer_reads(buf, sizeof(buf));
		tf_turns();
	}
	for (; waiting(); n++)
		SAW(ACK, 0, nxt, 0);
	CHECK_EQ(n, 4);
	CHECK(!conn()->bounced);
	/* it is taken now, and nothing behind it */
	sends(ACK, nxt, 0, pattern((size_t)nxt), (size_t)(behind - nxt));
	tf_later(1000);
	CHECK_EQ(conn()->rcv_nxt - g.iss - 1, (uint32_t)behind);
	tf_teardown();
}

/* The peer reads all that was acknowledged, and finds it right */
static void peer_has(int32_t end)
{
	static uint8_t buf[200000];
	int32_t got = 0;
	ssize_t n;

	while (got < end &&
	       (n = peer_reads(buf + got, (size_t)(end - got))) > 0)
		got += (int32_t)n;
	CHECK_EQ(got, end);
	/* its first byte was none of the pattern */
	CHECK(!memcmp(buf + 1, pattern(1), (size_t)end - 1));
}

/* The socket takes a part of it only, whatever the window had said */
static void shrink(void)
{
	CHECK(!setsockopt(conn()->watch.fd, SOL_SOCKET, SO_SNDBUF,
			  &(int){ 8000 }, sizeof(int)));
}

/* A part that ends before the urgent byte has none, whoever cut it off */
TEST(urgent_byte_that_is_cut_off)
{
	for (unsigned by_window = 0; by_window < 2; by_window++) {
		open_slow(8);
		if (by_window)
			conn()->rcv_adv = conn()->rcv_nxt + 10000;
		else
			shrink();
		g.urgent = 50000;
		sends(ACK | URG, 1, 0, pattern(1), 60000);
		CHECK(conn()->rcv_nxt - g.iss - 1 < 50000);
		peer_has((int32_t)(conn()->rcv_nxt - g.iss - 1));
		tf_teardown();
	}
}

/* A guest's probe of a closed window is answered with what there is */
TEST(probe_of_a_closed_window)
{
	int32_t end;

	open_slow(8);
	end = fill(1, 1460, 10);
	sends(ACK, end - 1, 0, NULL, 0);
	SAW(ACK, 0, end, 0);
	/* what the peer's buffer took meanwhile is room again */
	edge = (uint32_t)s.ack + ((uint32_t)s.window << conn()->ws_rcv);
	end = fill(end, 1460, 10);
	sends(ACK, end, 0, pattern((size_t)end), 1);
	SAW(ACK, 0, end, 0);
	CHECK_EQ(s.window, 0);
	/* ACK, RST and FIN are still heard */
	peer_sends("hello", 5);
	SAW(ACK, 0, end, 5);
	sends(ACK, end, 5, NULL, 0);
	CHECK_EQ(conn()->snd_una, conn()->snd_max);
	sends(ACK | FIN, end, 5, NULL, 0);
	/* the window may have opened meanwhile */
	while (waiting())
		next();
	CHECK_EQ(s.ack, end + 1);
	STATE(CLOSE_WAIT);
	tf_teardown();
}

/*
 * A guest that probes by a byte, as lwIP does, stands behind it from then on:
 * what it acknowledges there, and the window that it opens, is heard
 */
TEST(ack_of_a_guest_that_probes_by_a_byte)
{
	int32_t end;

	open_slow(8);
	end = fill(1, 1460, 10);
	sends(ACK, end, 0, pattern((size_t)end), 1);
	forget();
	peer_sends("hello", 5);
	SAW(ACK, 0, end, 5);
	conn()->rcv_adv = conn()->rcv_nxt;
	g.window = 77;
	sends(ACK, end + 1, 5, NULL, 0);
	CHECK_EQ(conn()->snd_una, conn()->snd_max);
	CHECK_EQ(conn()->snd_wnd, 77u << conn()->ws_snd);
	/* but no further, and no RST */
	conn()->rcv_adv = conn()->rcv_nxt;
	g.window = 78;
	sends(ACK, end + 2, 5, NULL, 0);
	sends(RST, end + 1, 0, NULL, 0);
	CHECK_EQ(conn()->snd_wnd, 77u << conn()->ws_snd);
	tf_teardown();
}

TEST(reset_with_a_closed_window)
{
	int32_t end;

	open_slow(8);
	end = fill(1, 1460, 10);
	sends(RST, end, 0, NULL, 0);
	CHECK(gone());
	tf_teardown();
}

/* A SYN's window is not scaled; no more is told than there is room */
TEST(field_of_a_syn)
{
	struct tcp_conn *c;
	uint32_t told, unit;

	tf_setup();
	g.ws = 8;
	open_out();
	c = conn();
	unit = 1u << c->ws_rcv;
	c->rcv_adv = c->rcv_nxt;
	c->room = 40000;
	told = tcp_window_field(c, true);
	CHECK(told > 20000 && told < 40000);
	CHECK_EQ(c->rcv_adv - c->rcv_nxt, told);
	/* scaled: nothing taken back, no more than rounding added */
	CHECK(tcp_window_field(c, false) >= told / unit);
	CHECK(c->rcv_adv - c->rcv_nxt >= told);
	CHECK(c->rcv_adv - c->rcv_nxt < told + unit);
	c->room = 0;
	CHECK(tcp_window_field(c, false) >= told / unit);
	CHECK(c->rcv_adv - c->rcv_nxt < told + unit);
	tf_teardown();
}

/* Never left, wherever the numbers wrap */
TEST(edge_never_moves_left)
{
	struct tcp_conn *c;
	unsigned seed = 7;

	tf_setup();
	g.ws = 8;
	g.iss = (uint32_t)-200000;
	open_out();
	c = conn();
	for (int i = 0; i < 10000; i++) {
		uint32_t was = c->rcv_adv, n;

		seed = seed * 1103515245 + 12345;
		c->room = seed >> 8 & 0xfffff;
		c->room = seed & 1 << 30 ? c->room : c->room >> 10;
		tcp_window_field(c, false);
		CHECK(!seq_lt(c->rcv_adv, was));
		CHECK(!seq_lt(c->rcv_adv, c->rcv_nxt));
		n = c->rcv_adv - c->rcv_nxt;
		if (n && seed & 2)
			c->rcv_nxt += seed % n + 1;
	}
	/* it has wrapped */
	CHECK(c->rcv_nxt < g.iss);
	tf_teardown();
}

/* Where there is no scaling, a window is told before the guest must wait */
TEST(update_without_scaling)
{
	struct tcp_conn *c;

	tf_setup_mtu(65520);
	g.ws = -1;
	g.mss = 65480;
	open_out();
	sends(ACK, 0, 0, "0", 1);
	tf_later(1000);
	forget();
	c = conn();
	CHECK(!setsockopt(c->watch.fd, SOL_SOCKET, SO_SNDBUF, &(int){ 200000 },
			  sizeof(int)));
	/* less than half is left, the socket is empty */
	c->rcv_adv = c->rcv_nxt + 20000;
	CHECK(tcp_window_update(c));
	tf_teardown();
}

/* Or the guest does not count them (RFC 5681 2), though there is more room */
TEST(duplicate_acks_have_the_same_window)
{
	struct tcp_conn *c;
	uint32_t was;

	tf_setup();
	g.ws = -1;
	open_out();
	sends(ACK, 0, 0, "0", 1);
	tf_later(1000);
	forget();
	c = conn();
	/* too much to say by itself that it could be more */
	was = (c->sndbuf < 0xffff ? c->sndbuf : 0xffff) / 16 * 9;
	c->rcv_adv = c->rcv_nxt + was;
	for (int i = 0; i < 5; i++) {
		sends(ACK, 3 + i, 0, &"345678"[i], 1);
		SAW(ACK, 0, 1, 0);
		CHECK_EQ(s.window, was);
		QUIET();
	}
	/* what fills the gap has it open again */
	CHECK(tcp_window_field(c, false) > was);
	tf_teardown();
}

static void open_large(unsigned mtu, int ws)
{
	g.ws = ws;
	g.mss = (uint16_t)(mtu - 40);
	open_out();
}

static bool is_locked(void)
{
	int locked = 1;
	socklen_t len = sizeof(locked);

	return getsockopt(conn()->watch.fd, SOL_SOCKET, SO_BUF_LOCK, &locked,
			  &len) || locked;
}

/*
 * A guest that sends much in large segments is offered room for several, before
 * the kernel has found out; which goes on from there
 */
TEST(wide_for_large_segments)
{
	CHECK(hostns_write(WMEM, "4096 16384 4194304"));
	tf_setup_mtu(65520);
	/* the kernel does not make it so large from the start */
	CHECK(hostns_write(WMEM, WMEM_SMALL));
	open_large(65520, 8);
	sends(ACK, 0, 0, pattern(0), 16383);
	next();
	CHECK(s.window << 8 < 4 * 65480);
	CHECK(!conn()->widened);
	sends(ACK, 16383, 0, pattern(16383), 16384);
	SAW(ACK, 0, 32767, 0);
	CHECK(s.window << 8 > 4 * 65480);
	CHECK(conn()->widened);
	CHECK(!is_locked());
	tf_teardown();
}

/*
 * Not beyond what the kernel grows a buffer to: it would make it that small again,
 * and a guest that has seen more waits for a window of a whole segment
 */
TEST(wide_as_the_kernel_allows)
{
	tf_setup_mtu(65520);
	open_large(65520, 8);
	sends(ACK, 0, 0, pattern(0), 16383);
	next();
	sends(ACK, 16383, 0, pattern(16383), 16384);
	SAW(ACK, 0, 32767, 0);
	CHECK(conn()->widened);
	CHECK_EQ(conn()->sndbuf, 120000);
	CHECK(!is_locked());
	tf_teardown();
}

/* Not where the window is no matter of the buffer, or wide enough as it is */
TEST(wide_for_nobody_else)
{
	tf_setup_mtu(65520);
	open_large(65520, -1);
	sends(ACK, 0, 0, pattern(0), 20000);
	CHECK(!conn()->widened);
	tf_teardown();
	tf_setup_mtu(1500);
	open_large(1500, 8);
	sends(ACK, 0, 0, pattern(0), 20000);
	CHECK(!conn()->widened);
	tf_teardown();
}

/* A look for room that is to come later does not put off an ACK */
TEST(look_and_delayed_ack)
{
	tf_setup();
	open_out();
	conn()->looks = 7;
	conn()->ack_at = tf_now + 100 * USEC_PER_MSEC;
	tcp_conn_arm(conn());
	sends(ACK, 0, 0, "x", 1);
	tf_later(1000);
	SAW(ACK, 0, 1, 0);
	tf_teardown();
}

/*
 * Nor is an ACK the end of it: where it left less than the guest would send at
 * once, and the queue is too short for an event, the room is found all the same
 */
TEST(look_behind_an_ack)
{
	static uint8_t buf[4096];
	uint32_t sndbuf, was;

	open_slow_mtu(8, 65520);
	CHECK(!setsockopt(conn()->watch.fd, SOL_SOCKET, SO_SNDBUF,
			  &(int){ 10000 }, sizeof(int)));
	for (int32_t end = 1; queued(&sndbuf) < 9000; end += 500) {
		conn()->rcv_adv = conn()->rcv_nxt + 500;
		sends(ACK, end, 0, pattern((size_t)end), 500);
		tf_turns();
		tf_later(5 * USEC_PER_MSEC);
	}
	conn()->rcv_adv = conn()->rcv_nxt;
	conn()->looks = 0;
	conn()->ack_now = true;
	sends(ACK, (int32_t)(conn()->rcv_nxt - g.iss - 1), 0, NULL, 0);
	forget();
	was = conn()->rcv_adv;
	CHECK(!conn()->polled);
	CHECK(was - conn()->rcv_nxt < sndbuf / 2);
	while (peer_reads(buf, sizeof(buf)) > 0)
		continue;
	tf_turns();
	tf_later(300 * USEC_PER_MSEC);
	CHECK(waiting());
	CHECK(conn()->rcv_adv - was > sndbuf / 4);
	tf_teardown();
}

/* From here on, for this process: as before Linux 4.12 */
static bool forbid_meminfo(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOL_SOCKET, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SO_MEMINFO, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { sizeof(f) / sizeof(f[0]), f };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p);
}

/*
 * The last tests: a kernel that does not count the room tells of none either, but
 * the guest's probes find it
 */
TEST(without_meminfo)
{
	static uint8_t buf[4096];
	size_t got = 0;
	int32_t end;
	ssize_t n;

	CHECK(forbid_meminfo());
	open_slow(8);
	CHECK_EQ(peer_reads((uint8_t[1]){ 0 }, 1), 1);
	for (int i = 0; i < 200 && got < 200000; i++) {
		end = (int32_t)(conn()->rcv_nxt - g.iss - 1);
		sends(ACK, end - 1, 0, NULL, 0);
		hears();
		fill(end, 1460, 10);
		while ((n = recv(g.fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
			CHECK(!memcmp(buf, pattern(got + 1), (size_t)n));
			got += (size_t)n;
		}
		tf_turns();
	}
	CHECK(got >= 200000);
	/* the peer does not read: closed, nothing is lost or goes in circles */
	for (int i = 0; i < 20; i++) {
		end = (int32_t)(conn()->rcv_nxt - g.iss - 1);
		CHECK_EQ(fill(end, 1460, 10), conn()->rcv_nxt - g.iss - 1);
		tf_later(USEC_PER_SEC);
		hears();
	}
	CHECK_EQ(edge, conn()->rcv_nxt - g.iss - 1);
	CHECK_EQ(tf_turns(), 0);
	QUIET();
	tf_teardown();
}

/* What is refused there is offered again a few times, not for ever */
TEST(without_meminfo_no_circles)
{
	int32_t end;

	open_slow(8);
	end = fill_window();
	CHECK(!setsockopt(conn()->watch.fd, SOL_SOCKET, SO_SNDBUF, &(int){ 1 },
			  sizeof(int)));
	for (int i = 0; i < 100 && !conn()->bounced; i++, end += 1000) {
		conn()->rcv_adv = conn()->rcv_nxt + 1000;
		sends(ACK, end, 0, pattern((size_t)end), 1000);
	}
	CHECK(conn()->bounced);
	CHECK(conn()->ack_at);
	tf_later(USEC_PER_SEC);
	CHECK(conn()->bounced);
	CHECK(!conn()->ack_at);
	tf_teardown();
}

/* Small send buffers, that grow no further than this */
int main(int argc, char **argv)
{
	return tf_enter() &&
	       hostns_write(WMEM, WMEM_SMALL) ?
	       unit_main(argc, argv) : 1;
}
