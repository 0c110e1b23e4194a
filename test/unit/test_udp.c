// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_udp: conversations between a link in memory and sockets of this process
 */
#include "udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fwd.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/loop.h"
#include "test/unit/hostns.h"
#include "test/unit/udpfix.h"
#include "test/unit/unit.h"

static uint8_t bytes[UDP_DATAGRAM_MAX];

TEST(there_and_back)
{
	static const struct { const char *dst, *at; } way[] = {
		{ "192.0.2.1", "127.0.0.1" },
		{ "fe80::1", "::1" },
		{ CLIENTS, CLIENTS },
	};

	for (unsigned i = 0; i < 3; i++) {
		struct endpoint e, from;
		char data[16];
		int fd;

		setup();
		fd = host_socket(way[i].at, 0, &e);
		guest_sends(way[i].dst, e.port, "hello", 5);
		CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 5);
		CHECK(!memcmp(data, "hello", 5));
		CHECK_EQ(from.port, GUEST_PORT);
		CHECK_EQ(host_sends(fd, &from, "good day", 8), 8);
		turns();
		CHECK_EQ(memlink_sent(), 1);
		CHECK(guest_got(0, way[i].dst, e.port, "good day", 8));
		guest_sends(way[i].dst, e.port, "again", 5);
		CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 5);
		CHECK_EQ(flow_count(), 1);
		teardown();
		close(fd);
	}
}

TEST(frames_to_the_guest_are_whole)
{
	struct endpoint e, from;
	struct packet p;
	char data[16];
	int fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	guest_sends("192.0.2.1", e.port, "a", 1);
	host_receives(fd, data, sizeof(data), &from);
	host_sends(fd, &from, "b", 1);
	turns();
	CHECK(parse(0, &p));
	CHECK(!memcmp(p.dmac, guest_mac(), 6));
	CHECK(addr_equal(&p.dst, &conf.family[CONF_V4].addr));
	CHECK_EQ(p.dport, GUEST_PORT);
	CHECK(!p.df);
	teardown();
	close(fd);
}

TEST(a_port_in_use_is_replaced)
{
	struct endpoint e, from = { 0 }, taken;
	int other, fd;
	char data[16];

	setup();
	other = host_socket("0.0.0.0", GUEST_PORT, &taken);
	fd = host_socket("127.0.0.1", 0, &e);
	guest_sends("192.0.2.1", e.port, "a", 1);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
	CHECK(from.port != GUEST_PORT && from.port);
	teardown();
	close(fd);
	close(other);
}

/* By one for all destinations, or nobody finds the guest by the port that a STUN
 * server was told (RFC 4787 REQ-1)
 */
TEST(a_port_in_use_is_replaced_by_one)
{
	static const char *const at[] = { "192.0.2.1", CLIENTS, ROUTER, CLIENTS };
	struct endpoint e, from = { 0 }, taken;
	int other = host_socket("0.0.0.0", GUEST_PORT, &taken), fd;
	uint16_t port = 0;
	char data[16];

	setup();
	for (unsigned i = 0; i < 4; i++) {
		fd = host_socket(i ? at[i] : "127.0.0.1", 0, &e);
		guest_sends(at[i], e.port, "a", 1);
		CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
		CHECK(from.port != GUEST_PORT && (!port || from.port == port));
		port = from.port;
		host_sends(fd, &from, "b", 1);
		turns();
		CHECK(guest_got(i, at[i], e.port, "b", 1));
		/* also when the last one is over */
		if (i == 2)
			later(200);
		CHECK_EQ(flow_count(), i == 2 ? 0 : i % 3 + 1);
		close(fd);
	}
	/* unless that is in use, too */
	later(200);
	fd = host_socket("0.0.0.0", port, &taken);
	close(other);
	other = host_socket("0.0.0.0", GUEST_PORT, &taken);
	guest_sends(CLIENTS, port, "a", 1);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
	CHECK(from.port != GUEST_PORT && from.port != port);
	teardown();
	close(fd);
	close(other);
}

/* Another daemon's guest speaks from the same port, to the same server: the
 * kernel would give the answers for both to one
 */
TEST(a_port_that_another_daemon_shares_is_replaced)
{
	struct endpoint e, from = { 0 }, taken;
	int other, fd, on = 1;
	char data[16];

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	other = host_socket("0.0.0.0", GUEST_PORT, &taken);
	CHECK(!setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	CHECK(!host_connect(other, "127.0.0.1", e.port));
	guest_sends("192.0.2.1", e.port, "a", 1);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
	CHECK(from.port != GUEST_PORT && from.port);
	host_sends(fd, &from, "b", 1);
	turns();
	CHECK(guest_got(0, "192.0.2.1", e.port, "b", 1));
	from.port = GUEST_PORT;
	host_sends(fd, &from, "c", 1);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	CHECK_EQ(host_receives(other, data, sizeof(data), NULL), 1);
	teardown();
	close(fd);
	close(other);
}

/* The port is held by us alone from the first flow to the last */
TEST(a_port_is_held_against_other_daemons)
{
	struct endpoint e[2], want = { .addr = addr("0.0.0.0"),
				       .port = GUEST_PORT };
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&want, &sa);
	int other = socket(AF_INET, SOCK_DGRAM, 0), fd[2];

	setup();
	for (unsigned i = 0; i < 2; i++) {
		fd[i] = host_socket("127.0.0.1", 0, &e[i]);
		guest_sends("192.0.2.1", e[i].port, "a", 1);
		later(10);
	}
	CHECK_EQ(flow_count(), 2);
	CHECK(bind(other, &sa.sa, len));
	later(10);
	CHECK_EQ(flow_count(), 1);
	CHECK(bind(other, &sa.sa, len));
	later(10);
	CHECK_EQ(flow_count(), 0);
	CHECK(!bind(other, &sa.sa, len));
	guest_sends("192.0.2.1", e[0].port, "a", 1);
	CHECK(only_flow()->side[TGT].lport != GUEST_PORT);
	teardown();
	close(fd[0]);
	close(fd[1]);
	close(other);
}

/* From a port to the same one of the host's, where nobody listens: the socket
 * would be its own peer
 */
TEST(a_guest_does_not_hear_itself)
{
	const uint8_t *f;
	size_t len;

	setup();
	guest_sends("192.0.2.1", GUEST_PORT, "a", 1);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	f = memlink_frame(0, &len, NULL);
	CHECK_EQ(f[ETH_HLEN_ + 9], IPPROTO_ICMP);
	CHECK_EQ(f[ETH_HLEN_ + IP4_HLEN], 3);
	CHECK_EQ(f[ETH_HLEN_ + IP4_HLEN + 1], 3);
	teardown();
}

/* The host moves to another network while the guest goes on speaking */
TEST(a_flow_outlives_the_hosts_address)
{
	static const char *const host[] = { "203.0.113.1", "203.0.113.2" };
	struct endpoint e, from = { 0 };
	char data[16];
	int fd;

	setup();
	fd = host_socket(CLIENTS, 0, &e);
	for (unsigned i = 0; i < 2; i++) {
		conf.family[CONF_V4].outbound = addr(host[i]);
		CHECK(hostns_move(host[i]));
		for (char n = 0; n < 3; n++)
			guest_sends(CLIENTS, e.port, &n, 1);
		for (char n = 0; n < 3; n++) {
			CHECK_EQ(host_receives(fd, data, 16, &from), 1);
			CHECK_EQ(data[0], n);
			CHECK(addr_equal(&from.addr,
					 &conf.family[CONF_V4].outbound));
			CHECK_EQ(from.port, GUEST_PORT);
		}
		turns();
		CHECK_EQ(flow_count(), 1);
		CHECK_EQ(memlink_sent(), 0);
	}
	teardown();
	close(fd);
}

/* So it does where flows have used up all descriptors: its own is enough */
TEST(a_flow_outlives_the_hosts_address_without_descriptors)
{
	struct rlimit before, none;
	struct endpoint e, from = { 0 };
	char data[16];
	int fd;

	setup();
	fd = host_socket(CLIENTS, 0, &e);
	conf.family[CONF_V4].outbound = addr("203.0.113.1");
	CHECK(hostns_move("203.0.113.1"));
	guest_sends(CLIENTS, e.port, "a", 1);
	CHECK_EQ(host_receives(fd, data, 16, NULL), 1);
	conf.family[CONF_V4].outbound = addr("203.0.113.2");
	CHECK(hostns_move("203.0.113.2"));
	CHECK(!getrlimit(RLIMIT_NOFILE, &before));
	none = before;
	none.rlim_cur = (rlim_t)dup(fd);
	close((int)none.rlim_cur);
	CHECK(!setrlimit(RLIMIT_NOFILE, &none));
	guest_sends(CLIENTS, e.port, "b", 1);
	CHECK(!setrlimit(RLIMIT_NOFILE, &before));
	CHECK_EQ(host_receives(fd, data, 16, &from), 1);
	CHECK(addr_equal(&from.addr, &conf.family[CONF_V4].outbound));
	teardown();
	close(fd);
}

/* Datagrams of the guest's that left by a device */
static unsigned device_sent(int device)
{
	uint8_t b[2048];
	unsigned n = 0;
	ssize_t len;

	while ((len = read(device, b, sizeof(b))) > 0)
		n += b[0] == 0x45 && b[9] == IPPROTO_UDP;
	return n;
}

/* The interface that sockets are bound to, a VPN's, is made anew: while it is not
 * there the guest is told, afterwards it can go on
 */
TEST(a_flow_outlives_the_hosts_interface)
{
	static const char at[] = "203.0.113.1", peer[] = "203.0.113.9";
	const uint8_t *f;
	size_t len;
	int device;

	setup();
	strcpy(conf.family[CONF_V4].outbound_if, "x0");
	for (unsigned quiet = 0; quiet < 2; quiet++) {
		device = hostns_device(at);
		guest_sends(peer, 9, "a", 1);
		guest_sends(peer, 9, "b", 1);
		CHECK_EQ(device_sent(device), 2);
		close(device);
		for (unsigned i = 0; i < 2 && !quiet; i++) {
			memlink_clear();
			guest_sends(peer, 9, "c", 1);
			CHECK_EQ(memlink_sent(), 1);
			if (!memlink_sent())
				continue;
			f = memlink_frame(0, &len, NULL) + ETH_HLEN_;
			CHECK_EQ(f[9], IPPROTO_ICMP);
			CHECK_EQ(f[IP4_HLEN] << 8 | f[IP4_HLEN + 1], 0x300);
			/* what comes first when it is back may be an answer */
			CHECK_EQ(flow_count(), 1);
		}
		device = hostns_device(at);
		guest_sends(peer, 9, "d", 1);
		CHECK_EQ(device_sent(device), 1);
		close(device);
		flow_guest_left(now);
		flow_reap();
	}
	teardown();
}

/* The host's IPv6 address is lost, and the kernel goes on to send from it:
 * noticed when the flow's timer looks
 */
TEST(a_flow_outlives_the_hosts_ipv6_address)
{
	static const char *const host[] = { "2001:db8:1::1", "2001:db8:1::2",
					    "2001:db8:1::3" };
	static const char peer[] = "2001:db8:7::7";
	struct endpoint e, from = { 0 };
	char data[16];
	int fd;

	setup();
	fd = host_socket(peer, 0, &e);
	CHECK(hostns_address(host[0]));
	for (unsigned i = 0; i < 2; i++) {
		const struct addr a = addr(host[i]);

		conf.family[CONF_V6].outbound = a;
		guest_sends(peer, e.port, "a", 1);
		CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
		CHECK(addr_equal(&from.addr, &a));
		later(20);
		guest_sends(peer, e.port, "b", 1);
		CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
		later(20);
		CHECK_EQ(flow_count(), 1);
		CHECK(hostns_lose6(host[i]));
		later(5);
		guest_sends(peer, e.port, "c", 1);
		later(6);
		/* nor is there another, until then */
		CHECK_EQ(flow_count(), 1);
		CHECK(hostns_address(host[i + 1]));
		conf.family[CONF_V6].outbound = addr(host[i + 1]);
		later(20);
		guest_sends(peer, e.port, "d", 1);
		later(5);
		CHECK_EQ(flow_count(), 0);
		while (host_receives(fd, data, sizeof(data), &from) > 0)
			;
	}
	teardown();
	close(fd);
}

/* The host gets another network while it keeps the one that a flow speaks from,
 * which leads nowhere any more: a laptop is docked, a VPN comes up
 */
TEST(a_flow_without_answers_follows_the_host)
{
	static const char *const host[] = { "203.0.113.11", "203.0.113.12" };
	struct endpoint e, from = { 0 };
	struct addr before;
	char data[16];
	int fd;

	setup();
	CHECK(hostns_address(host[0]) && hostns_address(host[1]));
	before = conf.family[CONF_V4].outbound = addr(host[0]);
	fd = host_socket(CLIENTS, 0, &e);
	for (unsigned i = 0; i < 26; i++) {
		guest_sends(CLIENTS, e.port, "a", 1);
		CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
		CHECK_EQ(from.port, GUEST_PORT);
		conf.family[CONF_V4].outbound = addr(host[1]);
		/* while there are answers it needs no other way */
		if (i < 10) {
			CHECK(addr_equal(&from.addr, &before));
			CHECK_EQ(host_sends(fd, &from, "b", 1), 1);
			turns();
		}
		later(25);
	}
	CHECK(addr_equal(&from.addr, &conf.family[CONF_V4].outbound));
	CHECK_EQ(flow_count(), 1);
	teardown();
	close(fd);
}

/* An administrator has ended it, and the guest goes on speaking */
TEST(a_flow_outlives_its_socket)
{
	static const struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct endpoint e, from = { 0 };
	char data[16];
	int fd;

	setup();
	fd = host_socket(CLIENTS, 0, &e);
	guest_sends(CLIENTS, e.port, "a", 1);
	CHECK_EQ(host_receives(fd, data, 16, &from), 1);
	/* what ss -K does to it */
	CHECK(!connect(udp_of(only_flow())->watch.fd, &none, sizeof(none)));
	guest_sends(CLIENTS, e.port, "b", 1);
	CHECK_EQ(host_receives(fd, data, 16, &from), 1);
	CHECK_EQ(data[0], 'b');
	CHECK_EQ(from.port, GUEST_PORT);
	CHECK_EQ(host_sends(fd, &from, "c", 1), 1);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	CHECK(guest_got(0, CLIENTS, e.port, "c", 1));
	CHECK_EQ(flow_count(), 1);
	close(fd);
	teardown();
}

/* Two servers see the same port: RFC 4787 REQ-1 */
TEST(one_port_for_all_destinations)
{
	struct endpoint e[2], from[2];
	int fd[2];
	char data[16];

	setup();
	for (unsigned i = 0; i < 2; i++) {
		fd[i] = host_socket("127.0.0.1", 0, &e[i]);
		guest_sends("192.0.2.1", e[i].port, "a", 1);
		CHECK_EQ(host_receives(fd[i], data, 16, &from[i]), 1);
		CHECK_EQ(from[i].port, GUEST_PORT);
	}
	host_sends(fd[1], &from[1], "1", 1);
	turns();
	host_sends(fd[0], &from[0], "0", 1);
	turns();
	CHECK_EQ(memlink_sent(), 2);
	CHECK(guest_got(0, "192.0.2.1", e[1].port, "1", 1));
	CHECK(guest_got(1, "192.0.2.1", e[0].port, "0", 1));
	teardown();
	close(fd[0]);
	close(fd[1]);
}

/* Two names of one server, one guest port: replies must not be mixed up */
TEST(two_names_of_one_server)
{
	struct endpoint e, from[2];
	char data[16];
	int fd;

	setup();
	fd = host_socket(CLIENTS, 0, &e);
	conf.family[CONF_V4].map_guest_addr = addr("192.0.2.3");
	conf.family[CONF_V4].addr = addr(CLIENTS);
	guest_init(&(struct guest_conf){ .our_mac = { 0x9a, 0x55 },
					 .addr4 = addr("192.0.2.2") });
	guest_learn_mac((const uint8_t[6]){ 0x52, 0x54 });
	guest_sends("192.0.2.3", e.port, "a", 1);
	host_receives(fd, data, sizeof(data), &from[0]);
	guest_sends(CLIENTS, e.port, "b", 1);
	host_receives(fd, data, sizeof(data), &from[1]);
	CHECK_EQ(flow_count(), 2);
	CHECK(from[0].port != from[1].port);
	host_sends(fd, &from[0], "A", 1);
	turns();
	host_sends(fd, &from[1], "B", 1);
	turns();
	CHECK(guest_got(0, "192.0.2.3", e.port, "A", 1));
	CHECK(guest_got(1, CLIENTS, e.port, "B", 1));
	teardown();
	close(fd);
}

TEST(strangers_are_not_heard)
{
	struct endpoint e, from, s;
	char data[16];
	int fd, stranger;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	stranger = host_socket("127.0.0.1", 0, &s);
	guest_sends("192.0.2.1", e.port, "a", 1);
	host_receives(fd, data, sizeof(data), &from);
	host_sends(stranger, &from, "boo", 3);
	turns();
	CHECK_EQ(memlink_sent(), 0);
	teardown();
	close(fd);
	close(stranger);
}

/* A socket may have heard strangers before it was connected */
TEST(strangers_in_the_queue_are_passed_over)
{
	struct endpoint e, from, s;
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	char data[16];
	int fd, stranger, flow_fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	stranger = host_socket("127.0.0.1", 0, &s);
	guest_sends("192.0.2.1", e.port, "a", 1);
	host_receives(fd, data, sizeof(data), &from);
	flow_fd = udp_of(only_flow())->watch.fd;
	CHECK(!connect(flow_fd, &none, sizeof(none)));
	host_sends(fd, &from, "one", 3);
	host_sends(stranger, &from, "boo", 3);
	host_sends(fd, &from, "two", 3);
	turns();
	CHECK_EQ(memlink_sent(), 2);
	CHECK(guest_got(0, "192.0.2.1", e.port, "one", 3));
	CHECK(guest_got(1, "192.0.2.1", e.port, "two", 3));
	teardown();
	close(fd);
	close(stranger);
}

static unsigned run_order_errors(int fd, unsigned n, const size_t *len)
{
	static uint8_t data[UDP_DATAGRAM_MAX];
	unsigned errors = 0;

	for (unsigned i = 0; i < n; i++) {
		ssize_t got = host_receives(fd, data, sizeof(data), NULL);

		errors += got != (ssize_t)len[i] ||
			  (got && data[0] != (uint8_t)i);
	}
	return errors + (host_receives(fd, data, sizeof(data), NULL) != -1);
}

/* Runs: all of one size, with a shorter last one, mixed, empty ones */
TEST(runs_arrive_whole_and_in_order)
{
	static uint8_t data[200][180];
	static struct iovec iov[200];
	static struct packet run[200];
	static size_t len[200];

	for (unsigned kind = 0; kind < 4; kind++) {
		struct endpoint e;
		unsigned n = 200;
		int fd;

		setup();
		fd = host_socket("127.0.0.1", 0, &e);
		for (unsigned i = 0; i < n; i++) {
			len[i] = 180;
			if (kind == 1 && i == n - 1)
				len[i] = 7;
			if (kind == 2)
				len[i] = 1 + i * 37 % 180;
			if (kind == 3 && i % 5 == 0)
				len[i] = 0;
			data[i][0] = (uint8_t)i;
			iov[i] = (struct iovec){ data[i], len[i] };
			run[i] = packet_to("192.0.2.1", e.port, &iov[i]);
			run[i].next = i + 1 < n ? &run[i + 1] : NULL;
			if (kind == 3 && i > 100)
				run[i].tos = 0x20;
		}
		udp_input(run, now);
		CHECK_EQ(run_order_errors(fd, n, len), 0);
		CHECK_EQ(flow_count(), 1);
		teardown();
		close(fd);
	}
}

/* A frame that stands for several datagrams, in one and in many pieces */
TEST(gso_frames_are_cut)
{
	struct endpoint e;
	struct iovec iov = { bytes, 50000 };
	struct packet p;
	size_t len[143];
	int fd;

	for (unsigned i = 0; i < 143; i++) {
		len[i] = i < 142 ? 350 : 300;
		bytes[i * 350] = (uint8_t)i;
	}
	for (unsigned gso_refused = 0; gso_refused < 2; gso_refused++) {
		setup();
		fd = host_socket("127.0.0.1", 0, &e);
		p = packet_to("192.0.2.1", e.port, &iov);
		p.gso_size = 350;
		if (gso_refused) {
			guest_sends("192.0.2.1", e.port, "", 0);
			CHECK_EQ(host_receives(fd, bytes, 1, NULL), 0);
			udp_of(only_flow())->no_gso = true;
		}
		udp_input(&p, now);
		CHECK_EQ(run_order_errors(fd, 143, len), 0);
		teardown();
		close(fd);
	}
}

/* Bytes of each message that a socket with UDP_GRO gets, 0 at the end: what
 * was sent as one is received as one
 */
static void gro_lengths(int fd, size_t *len, unsigned max)
{
	for (unsigned i = 0; i < max; i++) {
		ssize_t n = host_receives(fd, bytes, sizeof(bytes), NULL);

		len[i] = n < 0 ? 0 : (size_t)n;
	}
}

/* What goes as one message: equal sizes and a shorter last one, within the
 * kernel's limits
 */
TEST(segments_go_as_one)
{
	static const struct {
		unsigned n;
		uint16_t size;
		unsigned short_at;
		size_t expect[4];
	} w[] = {
		{ 10, 100, 9, { 950, 0 } },
		{ 10, 100, 10, { 1000, 0 } },
		{ 10, 100, 4, { 450, 500, 0 } },
		{ 100, 100, 99, { 6400, 3550, 0 } },
		{ 10, 9000, 10, { 63000, 27000, 0 } },
		{ 2, 100, 2, { 100, 100, 0 } },
	};
	static struct iovec iov[100];
	static struct packet run[100];

	for (unsigned i = 0; i < sizeof(w) / sizeof(w[0]); i++) {
		struct endpoint e;
		size_t len[4];
		int fd, on = 1;

		setup();
		fd = host_socket("127.0.0.1", 0, &e);
		setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
		for (unsigned k = 0; k < w[i].n; k++) {
			iov[k] = (struct iovec){ bytes, w[i].size };
			if (k == w[i].short_at)
				iov[k].iov_len = w[i].size / 2;
			run[k] = packet_to("192.0.2.1", e.port, &iov[k]);
			run[k].next = k + 1 < w[i].n ? &run[k + 1] : NULL;
		}
		udp_input(run, now);
		gro_lengths(fd, len, 4);
		for (unsigned k = 0; k < 4 && (!k || len[k - 1]); k++)
			CHECK_EQ(len[k], w[i].expect[k]);
		CHECK(!udp_of(only_flow())->no_gso);
		teardown();
		close(fd);
	}
}

static void ttl_and_tos(int fd, int *ttl, int *tos)
{
	uint8_t control[256], data;
	struct iovec to = { &data, 1 };
	struct msghdr m = { .msg_iov = &to, .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };

	*ttl = *tos = -1;
	if (recvmsg(fd, &m, 0) != 1)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_type == IP_TTL)
			memcpy(ttl, CMSG_DATA(c), sizeof(*ttl));
		if (c->cmsg_type == IP_TOS)
			*tos = *CMSG_DATA(c);
	}
}

/* Of each datagram, in the middle of a run too */
TEST(ttl_and_tos_pass)
{
	static const uint8_t tos[] = { 0, 0xb9, 0xb9, 0, 0x20 };
	struct iovec iov = { bytes, 1 };
	struct packet run[5];
	struct endpoint e;
	int fd, on = 1, got_ttl, got_tos;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
	for (unsigned i = 0; i < 5; i++) {
		run[i] = packet_to("192.0.2.1", e.port, &iov);
		run[i].ttl = i < 3 ? 64 : 7;
		run[i].tos = tos[i];
		run[i].next = i < 4 ? &run[i + 1] : NULL;
	}
	udp_input(run, now);
	for (unsigned i = 0; i < 5; i++) {
		ttl_and_tos(fd, &got_ttl, &got_tos);
		CHECK_EQ(got_ttl, run[i].ttl);
		CHECK_EQ(got_tos, tos[i]);
	}
	teardown();
	close(fd);
}

TEST(empty_datagrams)
{
	struct endpoint e, from;
	char data[16];
	int fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	guest_sends("192.0.2.1", e.port, "", 0);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 0);
	host_sends(fd, &from, "", 0);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	CHECK(guest_got(0, "192.0.2.1", e.port, "", 0));
	teardown();
	close(fd);
}

/* Fragments in order: payload bytes, from the transport header on */
static size_t reassemble(unsigned first, uint8_t *out)
{
	size_t len = 0;

	for (unsigned i = first; i < memlink_sent(); i++) {
		struct packet p;

		if (!parse(i, &p) || !p.fragment || p.frag_off != len)
			return 0;
		len += slice_copy(&p.payload, 0, out + len, 70000 - len);
		if (!p.more)
			return len;
	}
	return 0;
}

/* 64 KiB each way; the guest's, reassembled, says that it may be fragmented */
TEST(largest_datagrams_at_a_small_mtu)
{
	static const struct { const char *dst, *at; size_t len; } way[] = {
		{ "192.0.2.1", "127.0.0.1", 65507 },
		{ "fe80::1", "::1", 65527 },
	};
	static uint8_t got[70000];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	for (unsigned i = 0; i < 2; i++) {
		struct iovec iov = { bytes, way[i].len };
		struct endpoint e, from;
		struct packet p;
		ssize_t n;
		int fd;

		setup_with(1500, false);
		CHECK(hostns_mtu(1500));
		fd = host_socket(way[i].at, 0, &e);
		p = packet_to(way[i].dst, e.port, &iov);
		p.df = false;
		udp_input(&p, now);
		n = host_receives(fd, got, sizeof(got), &from);
		CHECK_EQ(n, way[i].len);
		CHECK(!memcmp(got, bytes, way[i].len));

		/* twice: read into frames first, then into buffers */
		for (unsigned k = 0; k < 2; k++) {
			memlink_clear();
			CHECK_EQ(host_sends(fd, &from, bytes, way[i].len),
				 way[i].len);
			turns();
			CHECK_EQ(reassemble(0, got), way[i].len + UDP_HLEN);
			CHECK(!memcmp(got + UDP_HLEN, bytes, way[i].len));
			CHECK_EQ(get_be16(got), e.port);
		}
		teardown();
		close(fd);
		CHECK(hostns_mtu(65536));
	}
}

/* Larger ones amid a batch keep their place */
TEST(batches_to_the_guest_keep_their_order)
{
	static const size_t size[] = { 10, 9000, 20, 0, 30000, 30, 2048, 2049 };
	struct endpoint e, from;
	char data[16];
	unsigned sent = 0;
	int fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	guest_sends("192.0.2.1", e.port, "a", 1);
	host_receives(fd, data, sizeof(data), &from);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 8; i++, sent++)
			host_sends(fd, &from, bytes + i, size[i]);
		turns();
	}
	CHECK_EQ(memlink_sent(), sent);
	for (unsigned i = 0; i < sent; i++)
		CHECK(guest_got(i, "192.0.2.1", e.port, bytes + i % 8,
				size[i % 8]));
	teardown();
	close(fd);
}

/* While the link is full the socket keeps what comes, and the loop sleeps */
TEST(a_full_link_loses_nothing_and_does_not_spin)
{
	struct endpoint e, from;
	char data[16];
	uint8_t n = 0;
	int fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	guest_sends("192.0.2.1", e.port, "a", 1);
	host_receives(fd, data, sizeof(data), &from);
	memlink_set_room(2);
	for (; n < 5; n++)
		host_sends(fd, &from, &n, 1);
	CHECK(turns() < 4);
	CHECK_EQ(memlink_sent(), 2);
	CHECK_EQ(loop_wait(20), 0);
	memlink_set_room(3);
	later(1);
	CHECK(turns() < 4);
	CHECK_EQ(memlink_sent(), 3);
	CHECK_EQ(loop_wait(20), 0);
	memlink_set_room(MEMLINK_FRAMES);
	udp_link_writable(now);
	turns();
	CHECK_EQ(memlink_sent(), 5);
	for (n = 0; n < 5; n++)
		CHECK(guest_got(n, "192.0.2.1", e.port, &n, 1));
	teardown();
	close(fd);
}

/* Several stalled flows, one of them ended while it is */
TEST(stalled_flows_may_end)
{
	struct endpoint e[3], from;
	char data[16];
	int fd[3];

	for (unsigned ends = 0; ends < 3; ends++) {
		setup();
		for (unsigned i = 0; i < 3; i++) {
			fd[i] = host_socket("127.0.0.1", 0, &e[i]);
			guest_sends("192.0.2.1", e[i].port, "a", 1);
			host_receives(fd[i], data, sizeof(data), &from);
			host_sends(fd[i], &from, "b", 1);
		}
		memlink_set_room(0);
		turns();
		now += 179 * USEC_PER_SEC;
		for (unsigned i = 0; i < 3; i++) {
			if (i != ends)
				guest_sends("192.0.2.1", e[i].port, "c", 1);
		}
		later(1);
		CHECK_EQ(flow_count(), 2);
		memlink_set_room(MEMLINK_FRAMES);
		udp_link_writable(now);
		turns();
		CHECK_EQ(memlink_sent(), 2);
		teardown();
		for (unsigned i = 0; i < 3; i++)
			close(fd[i]);
	}
}

/* More than a socket holds by default arrives while the guest is not served */
TEST(a_burst_waits_in_the_socket)
{
	struct endpoint e, from;
	char data[16];
	uint16_t n;
	int fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	guest_sends("192.0.2.1", e.port, "a", 1);
	host_receives(fd, data, sizeof(data), &from);
	for (n = 0; n < 400; n++)
		host_sends(fd, &from, &n, sizeof(n));
	for (n = 0; n < 400; n++) {
		if (n % 200 == 0) {
			memlink_clear();
			memlink_set_room(200);
			udp_link_writable(now);
			turns();
			CHECK_EQ(memlink_sent(), 200);
		}
		CHECK(guest_got(n % 200, "192.0.2.1", e.port, &n, sizeof(n)));
	}
	memlink_set_room(MEMLINK_FRAMES);
	teardown();
	close(fd);
}

TEST(timeouts)
{
	static const struct { uint16_t port; bool reply; unsigned sec; } t[] = {
		{ 9999, false, 30 },
		{ 9999, true, 180 },
		{ 53, false, 30 },
		{ 53, true, 10 },
	};

	for (unsigned i = 0; i < 4; i++) {
		struct endpoint e, from;
		char data[16];
		int fd;

		setup();
		fd = host_socket("127.0.0.1", t[i].port, &e);
		guest_sends("192.0.2.1", e.port, "a", 1);
		CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
		later(3);
		if (t[i].reply) {
			host_sends(fd, &from, "b", 1);
			turns();
			CHECK_EQ(memlink_sent(), 1);
		} else {
			guest_sends("192.0.2.1", e.port, "a", 1);
		}
		later(t[i].sec - 1);
		CHECK_EQ(flow_count(), 1);
		later(1);
		CHECK_EQ(flow_count(), 0);
		teardown();
		close(fd);
	}
}

/* Equal sizes beyond the path's MTU: not by UDP_SEGMENT, but they do arrive */
TEST(segments_larger_than_the_path)
{
	static uint8_t data[8][3000];
	struct iovec iov[8];
	struct packet run[8];
	size_t len[8];
	struct endpoint e;
	int fd;

	setup();
	CHECK(hostns_mtu(1500));
	fd = host_socket("127.0.0.1", 0, &e);
	for (unsigned i = 0; i < 8; i++) {
		data[i][0] = (uint8_t)i;
		len[i] = 3000;
		iov[i] = (struct iovec){ data[i], 3000 };
		run[i] = packet_to("192.0.2.1", e.port, &iov[i]);
		run[i].df = false;
		run[i].next = i < 7 ? &run[i + 1] : NULL;
	}
	udp_input(run, now);
	CHECK_EQ(run_order_errors(fd, 8, len), 0);
	teardown();
	close(fd);
	CHECK(hostns_mtu(65536));
}

TEST(switched_off_and_junk)
{
	struct endpoint e;
	char data[16];
	int fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	guest_sends("192.0.2.1", 0, "a", 1);
	guest_sends("127.0.0.1", e.port, "a", 1);
	guest_sends("224.0.0.1", e.port, "a", 1);
	conf.no_udp = true;
	CHECK_EQ(udp_init(&conf, now), 0);
	guest_sends("192.0.2.1", e.port, "a", 1);
	CHECK_EQ(flow_count(), 0);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), -1);
	teardown();
	close(fd);
}

int main(int argc, char **argv)
{
	return host_enter() ? unit_main(argc, argv) : 1;
}
