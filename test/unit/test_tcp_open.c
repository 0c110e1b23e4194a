// SPDX-License-Identifier: GPL-2.0-or-tf_later
/*
 * test_tcp_open: how connections begin, in both directions, and how they do not
 */
#include "tcp_open.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "flow.h"
#include "fwd_listen.h"
#include "guest.h"
#include "lib/addr.h"
#include "lib/bytes.h"
#include "lib/slow.h"
#include "tcp.h"
#include "test/unit/hostns.h"
#include "test/unit/procs.h"
#include "test/unit/tcpfix.h"

static char text[64];

/* What connect() fails with the next time, 0: nothing */
static int connect_error;

/* In place of the C library's */
int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	int error = connect_error;

	connect_error = 0;
	if (!error)
		return (int)syscall(SYS_connect, fd, sa, len);
	errno = error;
	return -1;
}

/* Nothing is said before the host's connect() is through */
TEST(guest_opens)
{
	tf_setup();
	g.ws = 7;
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	STATE(CONNECTING);
	QUIET();
	tf_turns();
	STATE(SYN_RCVD);
	SAW(SYN | ACK, -1, 0, 0);
	CHECK_EQ(s.mss, 1460);
	CHECK_EQ(s.ws, 8);
	CHECK(s.window > 1460);
	QUIET();
	g.window = 512;
	sends(ACK, 0, 0, NULL, 0);
	STATE(ESTABLISHED);
	CHECK_EQ(conn()->snd_wnd, 512 << 7);
	CHECK(peer_accept() >= 0);
	tf_teardown();
}

/* Of a large MTU no more than a guest has one piece of memory for */
TEST(large_mtu_mss)
{
	static const struct {
		unsigned mtu;
		uint16_t mss;
	} c[] = { { 65520, 63 * 1024 }, { 60000, 59960 } };

	for (unsigned i = 0; i < 2; i++) {
		tf_setup_mtu(c[i].mtu);
		g.mss = 65480;
		peer_listen("127.0.0.1");
		sends(SYN, -1, 0, NULL, 0);
		tf_turns();
		SAW(SYN | ACK, -1, 0, 0);
		CHECK_EQ(s.mss, c[i].mss);
		/* what the guest takes is another matter */
		CHECK_EQ(conn()->mss, c[i].mtu - 40);
		tf_teardown();
	}
}

/* Options only where the guest's SYN had them (RFC 7323 2.2) */
TEST(options_as_offered)
{
	tf_setup();
	g.ws = -1;
	g.mss = 0;
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	CHECK_EQ(s.ws, -1);
	CHECK_EQ(s.mss, 1460);
	sends(ACK, 0, 0, "x", 1);
	tf_later(1000);
	SAW(ACK, 0, 1, 0);
	/* not scaled: what the header says is what there is */
	CHECK_EQ(conn()->rcv_adv - conn()->rcv_nxt, s.window);
	tf_teardown();
}

TEST(scale_beyond_the_limit)
{
	tf_setup();
	g.ws = 200;
	open_out();
	CHECK_EQ(conn()->ws_snd, 14);
	tf_teardown();
}

TEST(ipv6_has_its_own_mss)
{
	tf_setup();
	peer_listen("::1");
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	CHECK_EQ(s.mss, 1440);
	tf_teardown();
}

static void malformed(const uint8_t *opt, size_t len)
{
	static struct packet p;

	tf_setup();
	peer_listen("127.0.0.1");
	p = (struct packet){
		.src = g.src, .dst = g.dst, .sport = g.sport, .dport = g.dport,
		.proto = IPPROTO_TCP, .l4_len = (uint16_t)(TCP_HLEN + len),
		.tcp = { .seq = g.iss, .window = 100, .flags = SYN },
	};
	memcpy(p.hdr + TCP_HLEN, opt, len);
	tcp_input(&p, tf_now);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	tf_teardown();
}

/* Whatever the options are, the rest of the SYN is good */
TEST(malformed_options)
{
	malformed((uint8_t[]){ 2, 0, 5, 5 }, 4);
	malformed((uint8_t[]){ 2, 1, 5, 5 }, 4);
	malformed((uint8_t[]){ 2, 40, 5, 5 }, 4);
	malformed((uint8_t[]){ 3, 3 }, 2);
	malformed((uint8_t[]){ 1, 1, 1, 2 }, 4);
	malformed((uint8_t[]){ 254, 4, 0, 0, 2, 3, 1, 3 }, 8);
	malformed((uint8_t[]){ 0, 2, 4, 0 }, 4);
}

/* The same segment, the same number, with back-off; then given up */
TEST(syn_ack_is_repeated)
{
	uint32_t irs;
	unsigned n = 0;

	tf_setup();
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	irs = g.irs;
	/* the guest asks again */
	sends(SYN, -1, 0, NULL, 0);
	SAW(SYN | ACK, -1, 0, 0);
	CHECK_EQ(g.irs, irs);
	for (int i = 0; i < 300 && !gone(); i++) {
		tf_later(USEC_PER_SEC);
		for (; waiting(); n++) {
			next();
			CHECK_EQ(g.irs, irs);
		}
	}
	CHECK(gone());
	CHECK_EQ(n, 6 + 1);
	CHECK_EQ(s.flags & RST, RST);
	tf_teardown();
}

/*
 * A SYN may have data (RFC 9293 3.10.7.2, RFC 7413), which is not taken; with it
 * or without, sent again it is the same SYN
 */
TEST(syn_with_data_again)
{
	uint32_t irs;

	tf_setup();
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, "early", 5);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	irs = g.irs;
	sends(SYN, -1, 0, "early", 5);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	CHECK_EQ(g.irs, irs);
	QUIET();
	sends(ACK, 0, 0, "early", 5);
	STATE(ESTABLISHED);
	CHECK(peer_accept() >= 0);
	CHECK_EQ(peer_reads(text, sizeof(text)), 5);
	tf_teardown();
}

TEST(ack_of_another_number)
{
	tf_setup();
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	sends(ACK, 0, 1, NULL, 0);
	SAW(RST, 1, 0, 0);
	sends(ACK, 0, -1, NULL, 0);
	SAW(RST, -1, 0, 0);
	STATE(SYN_RCVD);
	sends(ACK, 0, 0, NULL, 0);
	STATE(ESTABLISHED);
	tf_teardown();
}

/* The last ACK of the handshake may have everything */
TEST(handshake_with_data_and_fin)
{
	tf_setup();
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	peer_accept();
	sends(ACK | FIN, 0, 0, "all", 3);
	STATE(CLOSE_WAIT);
	SAW(ACK, 0, 4, 0);
	CHECK_EQ(peer_reads(text, sizeof(text)), 3);
	CHECK(peer_eof());
	tf_teardown();
}

TEST(guest_thinks_better_of_it)
{
	tf_setup();
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	sends(RST, 50, 0, NULL, 0);
	STATE(CONNECTING);
	sends(RST, 0, 0, NULL, 0);
	CHECK(gone());
	QUIET();
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	sends(RST, 0, 0, NULL, 0);
	CHECK(gone());
	QUIET();
	tf_teardown();
}

/* A new SYN while the handshake is under way: the guest started over */
TEST(guest_starts_over)
{
	tf_setup();
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	g.iss += 5000;
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	g.iss += 5000;
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	sends(ACK, 0, 0, NULL, 0);
	STATE(ESTABLISHED);
	tf_teardown();
}

TEST(refused)
{
	tf_setup();
	peer_listen("127.0.0.1");
	close(g.listener);
	g.listener = -1;
	g.irs = (uint32_t)-1;
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	SAW(RST | ACK, 0, 0, 0);
	CHECK(gone());
	QUIET();
	tf_teardown();
}

/* Those that the host gives out to who binds none, first and last */
static void ports_are(const char *range)
{
	CHECK(hostns_write("/proc/sys/net/ipv4/ip_local_port_range", range));
}

static void ports_are_usual(void)
{
	ports_are("32768 60999");
}

/* The guest connects while there are no others */
static void refused_with_ports(const char *range)
{
	ports_are(range);
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	ports_are_usual();
	SAW(RST | ACK, 0, 0, 0);
	CHECK(gone());
	QUIET();
}

/*
 * Nobody listens, and the port that the kernel chooses is just that one: the
 * socket would be its own peer (RFC 9293 3.5, figure 7)
 */
TEST(refused_at_the_port_it_comes_from)
{
	tf_setup();
	g.dport = 50000;
	g.irs = (uint32_t)-1;
	refused_with_ports("50000 50000");
	tf_teardown();
}

/* The RST goes when there is room, although the guest never asks again */
TEST(refused_and_a_full_link)
{
	tf_setup();
	peer_listen("127.0.0.1");
	close(g.listener);
	g.listener = -1;
	g.irs = (uint32_t)-1;
	memlink_set_room(0);
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	flow_reap();
	SAW(RST | ACK, 0, 0, 0);
	CHECK(gone());
	tf_teardown();
}

/* Reset by its client before the guest has answered: over */
TEST(client_thinks_better_of_it)
{
	tf_setup();
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	peer_resets();
	SAW(RST, 0, 0, 0);
	CHECK(gone());
	tf_teardown();
}

TEST(nowhere)
{
	tf_setup();
	tf_conf.family[CONF_V6].on = false;
	g.src = tf_addr("2001:db8::2");
	g.dst = tf_addr("2001:db8:1::1");
	g.dport = 80;
	g.irs = (uint32_t)-1;
	sends(SYN, -1, 0, NULL, 0);
	SAW(RST | ACK, 0, 0, 0);
	CHECK(gone());
	tf_teardown();
}

/* No route there: ICMP, not RST */
TEST(unreachable)
{
	size_t len;
	const uint8_t *f;

	tf_setup();
	g.dst = tf_addr("198.51.100.1");
	g.dport = 80;
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	CHECK(gone());
	CHECK_EQ(waiting(), 1);
	f = memlink_frame(0, &len, NULL);
	CHECK_EQ(f[ETH_HLEN_ + 9], IPPROTO_ICMP);
	CHECK_EQ(f[ETH_HLEN_ + IP4_HLEN], 3);
	forget();
	tf_teardown();
}

/* No way there: as a router says, code 0 of either family */
static void cut_off(void)
{
	size_t len, l4 = addr_is_v4(&g.dst) ? IP4_HLEN : IP6_HLEN;
	const uint8_t *f;

	g.dport = 80;
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	CHECK(gone());
	CHECK_EQ(waiting(), 1);
	f = memlink_frame(0, &len, NULL) + ETH_HLEN_ + l4;
	CHECK_EQ(f[0], l4 == IP4_HLEN ? 3 : 1);
	CHECK_EQ(f[1], 0);
	/* of the guest's SYN */
	f += 8 + l4;
	CHECK_EQ(get_be16(f), g.sport);
	CHECK_EQ(get_be32(f + 4), g.iss);
	forget();
}

/* IPv6 is switched off while we run, as some VPN clients do */
TEST(no_family)
{
	static const char off[] = "/proc/sys/net/ipv6/conf/all/disable_ipv6";

	tf_setup();
	g.src = tf_addr("2001:db8::2");
	g.dst = tf_addr("2001:db8:9::9");
	CHECK(hostns_write(off, "1"));
	cut_off();
	CHECK(hostns_write(off, "0"));
	tf_teardown();
}

/* All ports that the host gives out are in use: refused, in either family */
static void out_of_ports(const char *from, const char *to)
{
	const struct endpoint any = { .addr = ADDR_ANY6, .port = 50001 };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&any, &sa);

	tf_setup();
	g.src = tf_addr(from);
	g.dst = tf_addr(to);
	g.dport = 80;
	g.irs = (uint32_t)-1;
	CHECK(!bind(fd, &sa.sa, len));
	CHECK(hostns_address(to));
	refused_with_ports("50001 50001");
	tf_teardown();
	close(fd);
}

TEST(no_ports)
{
	out_of_ports("192.0.2.2", "198.51.100.33");
	out_of_ports("2001:db8::2", "2001:db8:33::33");
}

/* The address that the guest's connections are to leave from is gone */
TEST(no_outbound_address)
{
	tf_conf.family[CONF_V4].outbound = tf_addr("203.0.113.5");
	tf_setup();
	g.dst = tf_addr("198.51.100.1");
	cut_off();
	tf_teardown();
}

TEST(no_descriptors)
{
	struct rlimit was, none;

	tf_setup();
	peer_listen("127.0.0.1");
	getrlimit(RLIMIT_NOFILE, &was);
	none = was;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	sends(SYN, -1, 0, NULL, 0);
	setrlimit(RLIMIT_NOFILE, &was);
	CHECK(gone());
	/* the guest asks again */
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	next();
	forget();
	STATE(SYN_RCVD);
	tf_teardown();
}

/* Nor memory in the kernel: that is of the moment, and the guest asks again */
TEST(no_memory_for_a_syn)
{
	tf_setup();
	peer_listen("127.0.0.1");
	connect_error = ENOBUFS;
	sends(SYN, -1, 0, NULL, 0);
	QUIET();
	CHECK(gone());
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	tf_teardown();
}

/* What the host's server says and does at once is not missed */
TEST(greeting_and_end_at_once)
{
	tf_setup();
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	peer_accept();
	CHECK_EQ(send(g.fd, "welcome", 7, 0), 7);
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	sends(ACK, 0, 0, NULL, 0);
	tf_turns();
	next();
	CHECK_EQ(s.len, 7);
	if (!(s.flags & FIN))
		SAW(ACK | FIN, 7, 0, 0);
	sends(ACK, 0, 8, NULL, 0);
	STATE(FIN_WAIT_2);
	tf_teardown();
}

TEST(host_opens)
{
	tf_setup();
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	CHECK_EQ(s.mss, 1460);
	CHECK_EQ(s.ws, 8);
	STATE(SYN_SENT);
	g.ws = 3;
	g.window = 1000;
	sends(SYN | ACK, -1, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	STATE(ESTABLISHED);
	/* a SYN's window is not scaled */
	CHECK_EQ(conn()->snd_wnd, 1000);
	sends(ACK, 0, 0, "hello", 5);
	CHECK_EQ(conn()->snd_wnd, 8000);
	CHECK_EQ(peer_reads(text, sizeof(text)), 5);
	peer_sends("world", 5);
	SAW(ACK, 0, 5, 5);
	tf_teardown();
}

TEST(host_opens_guest_scales_nothing)
{
	tf_setup();
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	g.ws = -1;
	sends(SYN | ACK, -1, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	CHECK_EQ(conn()->ws_rcv, 0);
	CHECK_EQ(conn()->rcv_adv - conn()->rcv_nxt, s.window);
	tf_teardown();
}

TEST(syn_is_repeated)
{
	uint32_t irs;
	unsigned n = 0;

	tf_setup();
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	irs = g.irs;
	tf_later(990 * USEC_PER_MSEC);
	QUIET();
	tf_later(20 * USEC_PER_MSEC);
	SAW(SYN, -1, 0, 0);
	tf_later(1900 * USEC_PER_MSEC);
	QUIET();
	for (int i = 0; i < 300 && !gone(); i++) {
		tf_later(USEC_PER_SEC);
		for (; waiting() && !(next()->flags & RST); n++)
			CHECK_EQ(g.irs, irs);
	}
	CHECK(gone());
	CHECK_EQ(n, 5);
	CHECK_EQ(peer_error(), ECONNRESET);
	tf_teardown();
}

/* What the link did not take does not count */
TEST(syn_and_a_full_link)
{
	tf_setup();
	memlink_set_room(0);
	peer_connect();
	tf_turns();
	for (int i = 0; i < 400; i++)
		tf_later(USEC_PER_SEC);
	STATE(SYN_SENT);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	SAW(SYN, -1, 0, 0);
	QUIET();
	tf_later(990 * USEC_PER_MSEC);
	QUIET();
	tf_later(20 * USEC_PER_MSEC);
	SAW(SYN, -1, 0, 0);
	tf_teardown();
}

/* It does not wait for the clock; nor does a SYN-ACK, whatever comes meanwhile */
TEST(syn_ack_and_a_full_link)
{
	tf_setup();
	peer_listen("127.0.0.1");
	memlink_set_room(0);
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	STATE(SYN_RCVD);
	peer_accept();
	peer_sends("hello", 5);
	tcp_link_writable(tf_now);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	SAW(SYN | ACK, -1, 0, 0);
	tcp_link_writable(tf_now);
	QUIET();
	sends(ACK, 0, 0, NULL, 0);
	SAW(ACK, 0, 0, 5);
	tf_teardown();
}

/* One that is over before there was room is told of by RST alone */
TEST(reset_before_a_syn_went)
{
	tf_setup();
	memlink_set_room(0);
	peer_connect();
	tf_turns();
	peer_resets();
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	flow_reap();
	CHECK_EQ(waiting(), 1);
	CHECK_EQ(next()->flags, RST);
	CHECK(gone());
	tf_teardown();
}

TEST(guest_refuses)
{
	tf_setup();
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	/* not of our SYN */
	sends(RST | ACK, -1, 5, NULL, 0);
	sends(RST, 0, 0, NULL, 0);
	STATE(SYN_SENT);
	QUIET();
	sends(RST | ACK, -1, 0, NULL, 0);
	CHECK(gone());
	CHECK_EQ(peer_error(), ECONNRESET);
	QUIET();
	tf_teardown();
}

TEST(answers_of_another_connection)
{
	tf_setup();
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	sends(SYN | ACK, -1, 9, NULL, 0);
	SAW(RST, 9, 0, 0);
	sends(ACK, 0, 9, NULL, 0);
	SAW(RST, 9, 0, 0);
	sends(ACK, 0, 0, NULL, 0);
	sends(FIN, 0, 0, NULL, 0);
	sends(0, 0, 0, "x", 1);
	QUIET();
	STATE(SYN_SENT);
	tf_teardown();
}

/* RFC 9293 3.5, figure 7 */
TEST(simultaneous_open)
{
	tf_setup();
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	sends(SYN, -1, 0, NULL, 0);
	SAW(SYN | ACK, -1, 0, 0);
	STATE(SYN_RCVD);
	sends(SYN | ACK, -1, 0, NULL, 0);
	forget();
	sends(ACK, 0, 0, "hello", 5);
	STATE(ESTABLISHED);
	CHECK_EQ(peer_reads(text, sizeof(text)), 5);
	tf_teardown();
}

/* ... nor does the SYN-ACK wait for the clock, where the link is full */
TEST(simultaneous_open_and_a_full_link)
{
	tf_setup();
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	memlink_set_room(0);
	sends(SYN, -1, 0, NULL, 0);
	STATE(SYN_RCVD);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	SAW(SYN | ACK, -1, 0, 0);
	/* as often as it is asked for */
	memlink_set_room(0);
	sends(SYN, -1, 0, NULL, 0);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	SAW(SYN | ACK, -1, 0, 0);
	QUIET();
	tf_teardown();
}

/* Its SYN-ACK again: our ACK was lost */
TEST(syn_ack_again)
{
	tf_setup();
	open_in();
	sends(SYN | ACK, -1, 0, NULL, 0);
	SAW(ACK, 0, 0, 0);
	STATE(ESTABLISHED);
	tf_teardown();
}

/* What the client sent, and that it has finished, before the guest answered */
TEST(client_is_quick)
{
	tf_setup();
	peer_connect();
	CHECK_EQ(send(g.fd, "request", 7, 0), 7);
	shutdown(g.fd, SHUT_WR);
	tf_turns();
	SAW(SYN, -1, 0, 0);
	QUIET();
	sends(SYN | ACK, -1, 0, NULL, 0);
	tf_turns();
	next();
	if (!s.len)
		next();
	CHECK_EQ(s.len, 7);
	if (!(s.flags & FIN))
		SAW(ACK | FIN, 7, 0, 0);
	sends(ACK, 0, 8, NULL, 0);
	STATE(FIN_WAIT_2);
	tf_teardown();
}

/* Many at once, each with its own tuple */
TEST(many_clients)
{
	int fd[200];

	tf_setup();
	for (int i = 0; i < 200; i++) {
		peer_connect();
		fd[i] = g.fd;
	}
	for (int i = 0; i < 10; i++)
		tf_turns();
	CHECK_EQ(flow_count(), 200);
	CHECK_EQ(waiting(), 200);
	forget();
	for (int i = 0; i < 200; i++)
		close(fd[i]);
	g.fd = -1;
	tf_teardown();
}

/* No descriptors left: accepted a moment later, without a busy loop */
TEST(accept_without_descriptors)
{
	struct rlimit was, none;

	tf_setup();
	peer_connect();
	getrlimit(RLIMIT_NOFILE, &was);
	none = was;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	CHECK(tf_turns() <= 2);
	CHECK(gone());
	setrlimit(RLIMIT_NOFILE, &was);
	CHECK_EQ(tf_turns(), 0);
	tf_later(110 * USEC_PER_MSEC);
	tf_turns();
	SAW(SYN, -1, 0, 0);
	tf_teardown();
}

/* Ended behind our back, as by `ss -K`: no busy loop, the port is free again */
TEST(listener_is_ended)
{
	struct fwd_port p = { .proto = IPPROTO_TCP, .way = FWD_IN,
			      .families = FWD_V4 | FWD_V6 };

	tf_setup();
	p.rule = fwd_rule(IPPROTO_TCP, FWD_IN, 0);
	p.port = p.rule->first;
	CHECK(!shutdown(fwd_listen_on(IPPROTO_TCP, FWD_IN, p.port)->watch.fd,
			SHUT_RDWR));
	CHECK_EQ(tf_turns(), 1);
	CHECK(!fwd_listen_on(IPPROTO_TCP, FWD_IN, p.port));
	CHECK_EQ(fwd_listen_open(&p), 0);
	peer_connect();
	tf_turns();
	SAW(SYN, -1, 0, 0);
	tf_teardown();
}

static void listener_is_ended_again(void)
{
	struct fwd_port p = { .proto = IPPROTO_TCP, .way = FWD_IN,
			      .families = FWD_V4 | FWD_V6 };

	tf_setup();
	p.rule = fwd_rule(IPPROTO_TCP, FWD_IN, 0);
	p.port = p.rule->first;
	for (int i = 0; i < 20; i++) {
		struct fwd_listener *l = fwd_listen_on(IPPROTO_TCP, FWD_IN,
						       p.port);

		CHECK(!shutdown(l->watch.fd, SHUT_RDWR));
		tf_turns();
		CHECK_EQ(fwd_listen_open(&p), 0);
	}
	tf_teardown();
}

/* A namespace that ends what follows its ports again and again fills no log */
TEST(listener_is_ended_for_ever)
{
	char said[4096], *at = said;
	unsigned n = 0;

	CHECK_EQ(procs_run(listener_is_ended_again, said, sizeof(said)), 0);
	CHECK(!strstr(said, "failed:"));
	for (; (at = strstr(at, "was ended")); at++)
		n++;
	CHECK(n < 10);
}

/* A server whose queue is full: it does not answer any more */
static void peer_is_deaf(void)
{
	struct endpoint e = { .addr = tf_addr("127.0.0.1") };
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&e, &sa);

	peer_listen("127.0.0.1");
	CHECK(!listen(g.listener, 0));
	CHECK(!getsockname(g.listener, &sa.sa, &len));
	g.fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(g.fd, &sa.sa, len));
}

/* Nobody answers the host: the guest's program finds out by itself */
TEST(time_out_is_silence)
{
	tf_setup();
	peer_is_deaf();
	sends(SYN, -1, 0, NULL, 0);
	CHECK_EQ(tf_turns(), 0);
	STATE(CONNECTING);
	CHECK(!setsockopt(conn()->watch.fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
			  &(int){ 1 }, sizeof(int)));
	for (int i = 0; i < 1000 && !gone(); i++)
		tf_turns();
	CHECK(gone());
	QUIET();
	tf_teardown();
}

/* Of the SYN that the host's kernel sent last: IP header and 8 bytes of TCP */
static bool sniff(int raw, uint8_t quote[IP4_HLEN + 8])
{
	uint8_t b[128];

	while (recv(raw, b, sizeof(b), MSG_DONTWAIT) > IP4_HLEN + TCP_HLEN) {
		if (get_be16(b + IP4_HLEN + 2) != g.dport ||
		    b[IP4_HLEN + 13] != SYN)
			continue;
		memcpy(quote, b, IP4_HLEN + 8);
		return true;
	}
	return false;
}

static void unreachable_after_all(uint8_t code)
{
	uint8_t icmp[8 + IP4_HLEN + 8] = { 3, code };
	const uint8_t *f;
	size_t len;
	int raw;

	tf_setup();
	peer_is_deaf();
	raw = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
	sends(SYN, -1, 0, NULL, 0);
	CHECK(sniff(raw, icmp + 8));
	close(raw);
	CHECK(hostns_icmp("127.0.0.1", "127.0.0.1", icmp, sizeof(icmp)));
	tf_turns();
	CHECK(gone());
	CHECK_EQ(waiting(), 1);
	f = memlink_frame(0, &len, NULL);
	CHECK_EQ(f[ETH_HLEN_ + 9], IPPROTO_ICMP);
	CHECK_EQ(f[ETH_HLEN_ + IP4_HLEN], 3);
	CHECK_EQ(f[ETH_HLEN_ + IP4_HLEN + 1], 1);
	/* of the guest's SYN */
	f += ETH_HLEN_ + IP4_HLEN + 8 + IP4_HLEN;
	CHECK_EQ(get_be16(f), g.sport);
	CHECK_EQ(get_be16(f + 2), g.dport);
	CHECK_EQ(get_be32(f + 4), g.iss);
	forget();
	tf_teardown();
}

/* A router says so, after a while: unreachable, unknown, or isolated */
TEST(unreachable_after_all)
{
	unreachable_after_all(1);
	unreachable_after_all(7);
	unreachable_after_all(8);
}

/* Enough for this turn: the guest sends its SYN again */
TEST(turn_is_over)
{
	tf_setup();
	peer_listen("127.0.0.1");
	slow_call(tf_now, SLOW_TURN + 1);
	sends(SYN, -1, 0, NULL, 0);
	CHECK(gone());
	QUIET();
	tf_later(1000);
	sends(SYN, -1, 0, NULL, 0);
	STATE(CONNECTING);
	tf_teardown();
}

/* No room for another: the guest asks again, a client is refused */
TEST(table_is_full)
{
	static struct flow *f[FLOW_MAX];
	unsigned n = 0;

	tf_setup();
	while (n < FLOW_MAX && (f[n] = flow_new(FLOW_UDP, IPPROTO_UDP)))
		n++;
	CHECK_EQ(n, FLOW_MAX);
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	QUIET();
	peer_connect();
	tf_turns();
	CHECK_EQ(peer_error(), ECONNRESET);
	QUIET();
	while (n)
		flow_end(f[--n]);
	tf_teardown();
}

/* Refused at once, and no room to say so: its SYN again changes nothing */
TEST(refused_twice_and_a_full_link)
{
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);
	char one[32];

	tf_setup();
	peer_is_deaf();
	CHECK(!getsockname(g.fd, &sa.sa, &len));
	snprintf(one, sizeof(one), "%u %u", ntohs(sa.sin.sin_port),
		 ntohs(sa.sin.sin_port));
	/* the only port, and it has been there already */
	ports_are(one);
	g.irs = (uint32_t)-1;
	memlink_set_room(0);
	queue(SYN, -1, 0, NULL, 0);
	queue(SYN, -1, 0, NULL, 0);
	flush();
	CHECK_EQ(flow_count(), 1);
	memlink_set_room(MEMLINK_FRAMES);
	tcp_link_writable(tf_now);
	flow_reap();
	SAW(RST | ACK, 0, 0, 0);
	QUIET();
	CHECK(gone());
	ports_are_usual();
	tf_teardown();
}

/* Reset before it was accepted: told of, and gone */
TEST(client_is_quicker)
{
	static const struct linger l = { .l_onoff = 1 };

	tf_setup();
	peer_connect();
	CHECK_EQ(send(g.fd, "x", 1, 0), 1);
	setsockopt(g.fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(g.fd);
	g.fd = -1;
	tf_turns();
	SAW(SYN, -1, 0, 0);
	SAW(RST, 0, 0, 0);
	CHECK(gone());
	tf_teardown();
}

/* The server resets while the guest's ACK is under way: what it said comes */
TEST(server_resets_at_once)
{
	tf_setup();
	peer_listen("127.0.0.1");
	sends(SYN, -1, 0, NULL, 0);
	tf_turns();
	SAW(SYN | ACK, -1, 0, 0);
	peer_accept();
	peer_sends("bye", 3);
	peer_resets();
	QUIET();
	STATE(SYN_RCVD);
	sends(ACK, 0, 0, NULL, 0);
	SAW(ACK, 0, 0, 3);
	SAW(RST | ACK, 3, 0, 0);
	CHECK(gone());
	tf_teardown();
}

/* There is no guest, or no address that it could answer to */
TEST(client_that_leads_nowhere)
{
	tf_setup();
	guest_forget();
	peer_connect();
	tf_turns();
	CHECK_EQ(peer_error(), ECONNRESET);
	QUIET();
	CHECK(gone());
	tf_teardown();
	tf_setup();
	tf_conf.family[CONF_V4].map_host_loopback = ADDR_ANY4;
	tf_conf.family[CONF_V4].gateway = ADDR_ANY4;
	peer_connect();
	tf_turns();
	CHECK_EQ(peer_error(), ECONNRESET);
	QUIET();
	CHECK(gone());
	tf_teardown();
}

/* A client at a port of its own, to one of the host's loopback addresses */
static int client(uint16_t port, const char *to)
{
	static const int on = 1;
	struct endpoint e = { .addr = tf_addr("127.0.0.1"), .port = port };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&e, &sa);

	CHECK(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	CHECK(!bind(fd, &sa.sa, len));
	e = (struct endpoint){ tf_addr(to), tf_conf.tcp_ports.rule[0].first, 0 };
	len = addr_to_sockaddr(&e, &sa);
	CHECK(!connect(fd, &sa.sa, len) || errno == EINPROGRESS);
	return fd;
}

/*
 * Two clients that the guest could not tell apart: the second one is refused,
 * until all that is left of the first is TIME-WAIT
 */
TEST(clients_that_look_the_same)
{
	int first;

	tf_setup();
	g.sport = 80;
	g.dport = 40123;
	first = client(g.dport, "127.0.0.1");
	tf_turns();
	SAW(SYN, -1, 0, 0);
	sends(SYN | ACK, -1, 0, NULL, 0);
	forget();
	g.fd = client(g.dport, "127.0.0.2");
	tf_turns();
	CHECK_EQ(peer_error(), ECONNRESET);
	QUIET();
	CHECK_EQ(flow_count(), 1);
	close(g.fd);
	shutdown(first, SHUT_WR);
	tf_turns();
	SAW(ACK | FIN, 0, 0, 0);
	sends(ACK | FIN, 0, 1, NULL, 0);
	SAW(ACK, 1, 1, 0);
	STATE(TIME_WAIT);
	g.fd = client(g.dport, "127.0.0.2");
	tf_turns();
	SAW(SYN, -1, 0, 0);
	CHECK_EQ(flow_count(), 1);
	STATE(SYN_SENT);
	close(first);
	tf_teardown();
}

/* The descriptor of the loop's epoll is another file for the moment */
static int epoll_hide(int *saved)
{
	char path[32], what[64];
	int fd, null = open("/dev/null", O_RDONLY);

	for (fd = 0; fd < 1024; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
		n = readlink(path, what, sizeof(what) - 1);
		what[n > 0 ? n : 0] = '\0';
		if (strstr(what, "eventpoll"))
			break;
	}
	*saved = dup(fd);
	CHECK_EQ(dup2(null, fd), fd);
	close(null);
	return fd;
}

static void epoll_show(int fd, int saved)
{
	CHECK_EQ(dup2(saved, fd), fd);
	close(saved);
}

/* Nothing more can be watched: as if the guest's SYN were lost; reset */
TEST(nothing_can_be_watched)
{
	struct fwd_listener *l;
	int fd, saved;

	tf_setup();
	l = fwd_listen_on(IPPROTO_TCP, FWD_IN, tf_conf.tcp_ports.rule[0].first);
	peer_listen("127.0.0.1");
	fd = epoll_hide(&saved);
	sends(SYN, -1, 0, NULL, 0);
	CHECK(gone());
	peer_connect();
	l->watch.fn(&l->watch, EPOLLIN, tf_now);
	flow_reap();
	epoll_show(fd, saved);
	CHECK(gone());
	QUIET();
	CHECK_EQ(peer_error(), ECONNRESET);
	tf_teardown();
}

/* RFC 6528: another connection's number tells nothing */
TEST(initial_numbers)
{
	uint32_t irs[8];

	tf_setup();
	peer_listen("127.0.0.1");
	for (int i = 0; i < 8; i++) {
		sends(SYN, -1, 0, NULL, 0);
		tf_turns();
		next();
		irs[i] = g.irs;
		g.sport++;
		sends(RST, 0, 0, NULL, 0);
		for (int j = 0; j < i; j++)
			CHECK(irs[i] - irs[j] + 100000 > 200000);
	}
	tf_teardown();
}

int main(int argc, char **argv)
{
	return tf_enter() ? unit_main(argc, argv) : 1;
}
