// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_udp_listen: forwarded UDP ports: clients of the host begin conversations
 */
#include "udp.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fwd.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/loop.h"
#include "lib/slow.h"
#include "test/unit/hostns.h"
#include "test/unit/udpfix.h"
#include "test/unit/unit.h"

static void forward_from(const char *at, const char *to, const char *seen)
{
	struct endpoint c, from;
	char data[16];
	int fd = host_socket(at, 0, &c);
	const struct addr dst = addr(to);
	struct packet p;

	memlink_clear();
	CHECK(!host_connect(fd, to, FORWARDED));
	CHECK_EQ(send(fd, "hi", 2, 0), 2);
	CHECK_EQ(send(fd, "ho", 2, 0), 2);
	turns();
	CHECK_EQ(memlink_sent(), 2);
	CHECK(guest_got(0, seen, c.port, "hi", 2));
	CHECK(guest_got(1, seen, c.port, "ho", 2));
	CHECK(parse(0, &p) && p.dport == FORWARDED);
	CHECK_EQ(flow_count(), 1);

	/* a connected client hears only what comes from where it sent to */
	p = packet_to(seen, c.port, &(struct iovec){ (char[]){ "yes" }, 3 });
	p.sport = FORWARDED;
	udp_input(&p, now);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 3);
	CHECK(addr_equal(&from.addr, &dst) && from.port == FORWARDED);
	CHECK_EQ(flow_count(), 1);
	CHECK_EQ(send(fd, "more", 4, 0), 4);
	turns();
	CHECK(guest_got(2, seen, c.port, "more", 4));
	CHECK_EQ(flow_count(), 1);
	flow_guest_left(now);
	flow_reap();
	close(fd);
}

/* The guest speaks from a forwarded port, and others to that port */
static void forward_beside_outbound(void)
{
	struct endpoint e, from, c;
	char data[16];
	struct iovec iov = { (char[]){ "out" }, 3 };
	int fd = host_socket(CLIENTS, 0, &e);
	int other = host_socket(CLIENTS, 0, &c);
	struct packet p = packet_to(CLIENTS, e.port, &iov);

	memlink_clear();
	p.sport = FORWARDED;
	udp_input(&p, now);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 3);
	CHECK_EQ(from.port, FORWARDED);
	host_sends(fd, &from, "back", 4);
	turns();
	CHECK_EQ(flow_count(), 1);
	CHECK(guest_got(0, CLIENTS, e.port, "back", 4));
	host_sends(other, &from, "new", 3);
	turns();
	CHECK_EQ(flow_count(), 2);
	CHECK(guest_got(1, CLIENTS, c.port, "new", 3));
	flow_guest_left(now);
	flow_reap();
	close(fd);
	close(other);
}

/* The guest's peer speaks to a port that leads to the same guest port: it is
 * answered from there
 */
static void forward_of_a_known_peer(void)
{
	struct endpoint to = { .addr = addr(CLIENTS), .port = FORWARDED + 1 };
	struct endpoint e;
	char data[16];
	struct iovec iov = { (char[]){ "out" }, 3 };
	int fd = host_socket(CLIENTS, 0, &e), taken;
	struct packet p = packet_to(CLIENTS, e.port, &iov);
	struct endpoint t;

	memlink_clear();
	taken = host_socket(CLIENTS, 6001, &t);
	p.sport = 6001;
	udp_input(&p, now);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 3);
	host_sends(fd, &to, "in", 2);
	turns();
	CHECK_EQ(flow_count(), 1);
	CHECK(guest_got(0, CLIENTS, e.port, "in", 2));
	udp_input(&p, now);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &t), 3);
	CHECK_EQ(t.port, FORWARDED + 1);
	CHECK_EQ(flow_count(), 1);
	flow_guest_left(now);
	flow_reap();
	close(fd);
	close(taken);
}

/* No flow for what cannot be passed on, and what waits is taken */
static void forward_without_room(void)
{
	struct endpoint c;
	int fd = host_socket("127.0.0.1", 0, &c);

	memlink_clear();
	memlink_set_room(0);
	CHECK(!host_connect(fd, "127.0.0.1", FORWARDED));
	CHECK_EQ(send(fd, "hi", 2, 0), 2);
	turns();
	CHECK_EQ(loop_wait(20), 0);
	CHECK_EQ(flow_count(), 0);
	memlink_set_room(MEMLINK_FRAMES);
	close(fd);
}

/* More than a turn takes, and between two turns the guest changes its address:
 * what still waits is of the client's flow all the same
 */
static void forward_a_burst(void)
{
	struct addr a = addr("192.0.2.77");
	struct endpoint c, to = { .addr = addr(CLIENTS), .port = FORWARDED };
	int fd = host_socket(CLIENTS, 0, &c);

	memlink_clear();
	for (uint8_t i = 0; i < 20; i++)
		host_sends(fd, &to, &i, 1);
	loop_dispatch(loop_wait(50), now);
	CHECK_EQ(flow_count(), 1);
	guest_learn_addr(&a);
	turns();
	CHECK_EQ(memlink_sent(), 20);
	for (uint8_t i = 0; i < 20; i++)
		CHECK(guest_got(i, CLIENTS, c.port, &i, 1));
	CHECK_EQ(flow_count(), 1);
	flow_guest_left(now);
	flow_reap();
	close(fd);
}

/* A client that has a link-local address alone speaks to a global one */
static void forward_from_link_local(void)
{
	static const char at[] = "fe80::7", to[] = "2001:db8:7::7";
	const struct endpoint dst = { .addr = addr(to), .port = FORWARDED };
	struct endpoint c = { .addr = addr(at), .ifindex = 1 }, from = { 0 };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&c, &sa);
	struct packet p;
	char data[16];

	memlink_clear();
	CHECK(hostns_address(at));
	CHECK(!bind(fd, &sa.sa, len));
	CHECK(!getsockname(fd, &sa.sa, &len));
	c = addr_from_sockaddr(&sa);
	CHECK_EQ(host_sends(fd, &dst, "hi", 2), 2);
	turns();
	CHECK(guest_got(0, at, c.port, "hi", 2));
	p = packet_to(at, c.port, &(struct iovec){ (char[]){ "yes" }, 3 });
	p.sport = FORWARDED;
	udp_input(&p, now);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 3);
	CHECK(addr_equal(&from.addr, &dst.addr) && from.port == FORWARDED);
	CHECK_EQ(flow_count(), 1);
	flow_guest_left(now);
	flow_reap();
	close(fd);
}

/* What has taken long enough is gone on with in the next turn, and nothing is
 * lost: thousands of clients of one port make each new one slow
 */
static void forward_in_turns(void)
{
	struct endpoint c[20], to = { .addr = addr(CLIENTS), .port = FORWARDED };
	int fd[20];

	memlink_clear();
	for (uint8_t i = 0; i < 20; i++) {
		fd[i] = host_socket(CLIENTS, 0, &c[i]);
		host_sends(fd[i], &to, &i, 1);
	}
	slow_call(now, 2 * SLOW_TURN);
	loop_dispatch(loop_wait(50), now);
	CHECK_EQ(flow_count(), 0);
	now++;
	loop_dispatch(loop_wait(50), now);
	CHECK_EQ(flow_count(), 16);
	slow_call(now, 2 * SLOW_TURN);
	loop_dispatch(loop_wait(50), now);
	CHECK_EQ(flow_count(), 16);
	now++;
	turns();
	CHECK_EQ(memlink_sent(), 20);
	for (uint8_t i = 0; i < 20; i++) {
		CHECK(guest_got(i, CLIENTS, c[i].port, &i, 1));
		close(fd[i]);
	}
	flow_guest_left(now);
	flow_reap();
}

/*
 * To all hosts of a network: each comes once, and who asks that way is answered
 * from the address that this one has there
 */
static void forward_a_broadcast(uint16_t port)
{
	struct endpoint c, from = { 0 }, to = { .addr = addr("127.255.255.255"),
						.port = port };
	const struct addr own = addr("127.0.0.1");
	struct iovec iov = { (char[]){ "yes" }, 3 };
	int fd = host_socket("127.0.0.1", 0, &c), on = 1;
	struct packet p;
	char data[16];

	memlink_clear();
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)));
	for (uint8_t i = 0; i < 3; i++) {
		CHECK_EQ(host_sends(fd, &to, &i, 1), 1);
		turns();
		CHECK_EQ(memlink_sent(), i + 1U);
		CHECK(guest_got(i, "192.0.2.1", c.port, &i, 1));
	}
	p = packet_to("192.0.2.1", c.port, &iov);
	p.sport = port;
	udp_input(&p, now);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 3);
	CHECK(addr_equal(&from.addr, &own) && from.port == port);
	CHECK_EQ(flow_count(), 1);
	flow_guest_left(now);
	flow_reap();
	close(fd);
}

TEST(broadcasts)
{
	setup_with(65520, true);
	forward_a_broadcast(FORWARDED);
	teardown();
	setup_at4();
	forward_a_broadcast(FORWARDED + 1);
	teardown();
}

/* As `ss -K`. Return: false where the kernel cannot */
static bool end_socket(int fd)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} req = {
		.h = { .nlmsg_len = sizeof(req), .nlmsg_type = SOCK_DESTROY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.r = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_UDP,
		       .idiag_states = ~0U,
		       .id.idiag_cookie = { INET_DIAG_NOCOOKIE,
					    INET_DIAG_NOCOOKIE } },
	};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} answer = { .e.error = 1 };
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);
	int diag = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);

	CHECK(!getsockname(fd, &sa.sa, &len));
	req.r.id.idiag_src[0] = sa.sin.sin_addr.s_addr;
	req.r.id.idiag_sport = sa.sin.sin_port;
	len = sizeof(sa);
	CHECK(!getpeername(fd, &sa.sa, &len));
	req.r.id.idiag_dst[0] = sa.sin.sin_addr.s_addr;
	req.r.id.idiag_dport = sa.sin.sin_port;
	CHECK_EQ(send(diag, &req, sizeof(req), 0), sizeof(req));
	CHECK(recv(diag, &answer, sizeof(answer), 0) > 0);
	close(diag);
	return !answer.e.error;
}

/*
 * An administrator has ended the socket of a client's flow. It is still bound to
 * the port, and hears what others send there: they are clients of the port, too
 */
TEST(a_port_outlives_the_socket_of_a_client)
{
	struct endpoint c, other;
	int fd = host_socket(CLIENTS, 0, &c);
	int late = host_socket(CLIENTS, 0, &other);
	struct endpoint to = { .addr = addr(CLIENTS), .port = FORWARDED };

	setup_with(65520, true);
	host_sends(fd, &to, "hi", 2);
	turns();
	CHECK(guest_got(0, CLIENTS, c.port, "hi", 2));
	if (!end_socket(udp_of(only_flow())->watch.fd)) {
		fprintf(stderr, "no SOCK_DESTROY here\n");
		goto out;
	}
	turns();
	host_sends(late, &to, "ho", 2);
	turns();
	CHECK(guest_got(1, CLIENTS, other.port, "ho", 2));
	host_sends(fd, &to, "more", 4);
	turns();
	CHECK(guest_got(2, CLIENTS, c.port, "more", 4));
	CHECK_EQ(flow_count(), 2);
out:
	close(fd);
	close(late);
	teardown();
}

/* A client knows the port that it spoke to, and no other: the guest's differs */
TEST(an_answer_outlives_its_socket)
{
	static const struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct endpoint c, from = { 0 };
	struct iovec iov = { (char[]){ "yes" }, 3 };
	int fd = host_socket(CLIENTS, 0, &c);
	struct packet p;
	char data[16];

	setup_with(65520, true);
	conf.udp_ports.rule[0].to = 6000;
	fwd_init(&conf);
	CHECK(!host_connect(fd, CLIENTS, FORWARDED));
	p = packet_to(CLIENTS, c.port, &iov);
	p.sport = 6000;
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(send(fd, "hi", 2, 0), 2);
		turns();
		CHECK(guest_got(i, CLIENTS, c.port, "hi", 2));
		CHECK(!connect(udp_of(only_flow())->watch.fd, &none,
			       sizeof(none)));
		udp_input(&p, now);
		CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 3);
		CHECK_EQ(from.port, FORWARDED);
	}
	close(fd);
	teardown();
}

/* Whether a datagram of a client comes to the guest at this address */
static bool comes_to(int fd, const char *to)
{
	const struct endpoint e = { .addr = addr(CLIENTS), .port = FORWARDED };
	const struct addr dst = addr(to);
	struct packet p;

	memlink_clear();
	host_sends(fd, &e, "x", 1);
	turns();
	return memlink_sent() == 1 && parse(0, &p) && addr_equal(&p.dst, &dst);
}

/* The guest answers a client from this address of its own */
static void answers_from(const struct addr *own, uint16_t sport, uint16_t port)
{
	struct iovec iov = { (char[]){ "yes" }, 3 };
	struct packet p = packet_to(CLIENTS, port, &iov);

	p.src = *own;
	p.sport = sport;
	udp_input(&p, now);
}

/*
 * A client that speaks without a pause, and is not answered: it is still heard
 * when the guest has another address
 */
TEST(a_client_finds_the_guest_that_moved)
{
	const struct addr a = addr("192.0.2.77"), b = addr("192.0.2.78");
	struct endpoint c;
	int fd = host_socket(CLIENTS, 0, &c);

	setup_with(65520, true);
	CHECK(comes_to(fd, "192.0.2.2"));
	guest_learn_addr(&a);
	for (unsigned i = 0; i < 4; i++) {
		later(10);
		comes_to(fd, "192.0.2.2");
	}
	CHECK(comes_to(fd, "192.0.2.77"));
	CHECK_EQ(flow_count(), 1);
	/* Who answers is there, whatever else the guest speaks from */
	guest_learn_addr(&b);
	for (unsigned i = 0; i < 60; i++) {
		later(10);
		CHECK(comes_to(fd, "192.0.2.77"));
		answers_from(&a, FORWARDED, c.port);
	}
	CHECK_EQ(flow_count(), 1);
	close(fd);
	teardown();
}

/* A link that was full for a moment does not make an answer count for less */
TEST(a_client_is_held_up_and_not_moved)
{
	const struct addr a = addr("192.0.2.77"), b = addr("192.0.2.78");
	struct endpoint c;
	int fd = host_socket(CLIENTS, 0, &c);

	setup_with(65520, true);
	guest_learn_addr(&a);
	CHECK(comes_to(fd, "192.0.2.77"));
	later(25);
	answers_from(&a, FORWARDED, c.port);
	guest_learn_addr(&b);
	/* The timer is due for the first time */
	later(6);
	memlink_set_room(0);
	CHECK(!comes_to(fd, "192.0.2.77"));
	memlink_set_room(MEMLINK_FRAMES);
	udp_link_writable(now);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	later(2);
	CHECK(comes_to(fd, "192.0.2.77"));
	close(fd);
	teardown();
}

/* A client finds the host by another of its addresses, or of its ports, from the
 * same port of its own: it is answered from where it spoke to last
 */
TEST(a_client_speaks_to_another_address)
{
	static const struct { const char *at; uint16_t port; } to[] = {
		{ "127.0.0.1", FORWARDED }, { "127.0.0.5", FORWARDED },
		{ "127.0.0.5", FORWARDED + 1 }, { "127.0.0.1", FORWARDED },
	};
	struct iovec iov = { (char[]){ "yes" }, 3 };
	struct endpoint c, from;
	struct packet p;
	char data[16];
	int fd = host_socket("127.0.0.1", 0, &c);

	setup_with(65520, true);
	conf.udp_ports.rule[0].last = FORWARDED;
	conf.udp_ports.rule[1] = conf.udp_ports.rule[0];
	conf.udp_ports.rule[1].first = conf.udp_ports.rule[1].last =
		FORWARDED + 1;
	conf.udp_ports.count = 2;
	fwd_init(&conf);
	CHECK_EQ(udp_init(&conf, now), 0);
	p = packet_to("192.0.2.1", c.port, &iov);
	p.sport = FORWARDED;
	for (unsigned i = 0; i < 8; i++) {
		const struct addr at = addr(to[i / 2].at);
		const struct endpoint e = { .addr = at, .port = to[i / 2].port };

		memlink_clear();
		CHECK_EQ(host_sends(fd, &e, "hi", 2), 2);
		turns();
		CHECK(guest_got(0, "192.0.2.1", c.port, "hi", 2));
		CHECK_EQ(flow_count(), 1);
		udp_input(&p, now);
		CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 3);
		CHECK(addr_equal(&from.addr, &at) && from.port == e.port);
	}
	close(fd);
	teardown();
}

/* Where a port takes a privilege, all of a client's datagrams come to its listening
 * socket: a burst waits there as it does in a flow's, and is not lost
 */
TEST(a_burst_waits_in_the_listening_socket)
{
	const struct endpoint to = { .addr = addr(CLIENTS), .port = FORWARDED };
	static uint8_t data[1400];
	struct endpoint c;
	int fd = host_socket(CLIENTS, 0, &c);

	setup_with(65520, true);
	memlink_clear();
	for (unsigned i = 0; i < 150; i++)
		CHECK_EQ(host_sends(fd, &to, data, sizeof(data)), 1400);
	turns();
	CHECK_EQ(memlink_sent(), 150);
	close(fd);
	teardown();
}

/* The clients of a name server in the guest are many, and ask once from a port */
TEST(queries_of_clients_end_early)
{
	const struct addr guest = addr("192.0.2.2");
	struct endpoint c;
	int fd = host_socket(CLIENTS, 0, &c);

	setup_with(65520, true);
	conf.udp_ports.rule[0].to = 53;
	fwd_init(&conf);
	CHECK(comes_to(fd, "192.0.2.2"));
	later(3);
	answers_from(&guest, 53, c.port);
	later(9);
	CHECK_EQ(flow_count(), 1);
	later(1);
	CHECK_EQ(flow_count(), 0);
	/* An answer does not wait for longer where the link was full */
	CHECK(comes_to(fd, "192.0.2.2"));
	memlink_set_room(0);
	CHECK(!comes_to(fd, "192.0.2.2"));
	answers_from(&guest, 53, c.port);
	memlink_set_room(MEMLINK_FRAMES);
	later(1);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	close(fd);
	teardown();
}

/* A client that nobody has heard of says something, and is gone */
static void stranger(void)
{
	const struct endpoint to = { .addr = addr(CLIENTS), .port = FORWARDED };
	struct endpoint c;
	int fd = host_socket(CLIENTS, 0, &c);

	memlink_clear();
	CHECK_EQ(host_sends(fd, &to, "?", 1), 1);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	close(fd);
}

static void answer(struct endpoint c)
{
	struct iovec iov = { (char[]){ "yes" }, 3 };
	struct packet p = packet_to(CLIENTS, c.port, &iov);

	p.sport = FORWARDED;
	udp_input(&p, now);
	flow_reap();
}

/* The descriptors that the clients of a port may have, and more of them */
static void flood(void)
{
	for (unsigned i = 0; i < 150; i++)
		stranger();
}

/*
 * Clients whose addresses are lies leave the guest what it needs, and give way to
 * each other: not the guest's own flows, nor a client that is there
 */
TEST(strangers_give_way)
{
	const struct endpoint to = { .addr = addr(CLIENTS), .port = FORWARDED };
	struct rlimit was, low;
	struct endpoint known, e;
	int server = host_socket(CLIENTS, 0, &e), fd;
	struct flow *own, *of_known;
	unsigned most;

	CHECK(!getrlimit(RLIMIT_NOFILE, &was));
	low = was;
	low.rlim_cur = 150;
	CHECK(!setrlimit(RLIMIT_NOFILE, &low));
	setup_with(65520, true);
	guest_sends(CLIENTS, e.port, "mine", 4);
	own = only_flow();
	fd = host_socket(CLIENTS, 0, &known);
	host_sends(fd, &to, "hi", 2);
	turns();
	answer(known);
	host_sends(fd, &to, "ho", 2);
	turns();
	CHECK_EQ(flow_count(), 2);
	of_known = flow_at(!flow_index(own));
	flood();
	most = flow_count();
	CHECK(most > 70 && most < 100);
	CHECK_EQ(own->state, FLOW_LIVE);
	CHECK_EQ(of_known->state, FLOW_LIVE);
	CHECK_EQ(of_known->side[INI].rport, known.port);

	/* answered, but no more: the last one to give way, and then it does */
	host_sends(server, &to, "?", 1);
	turns();
	for (unsigned i = 0; i < 60; i++)
		stranger();
	answer(e);
	CHECK_EQ(flow_count(), most);
	for (unsigned i = 0; i < 60; i++)
		stranger();
	answer(e);
	CHECK_EQ(flow_count(), most);
	flood();
	answer(e);
	CHECK_EQ(flow_count(), most + 1);
	close(fd);
	close(server);
	teardown();
	CHECK(!setrlimit(RLIMIT_NOFILE, &was));
}

TEST(forwarded_ports)
{
	setup_with(65520, true);
	forward_from("127.0.0.1", "127.0.0.1", "192.0.2.1");
	forward_from("127.0.0.1", "127.0.0.5", "192.0.2.1");
	forward_from("::1", "::1", "fe80::1");
	forward_from(CLIENTS, "127.0.0.1", CLIENTS);
	forward_from(CLIENTS, CLIENTS, CLIENTS);
	forward_from("2001:db8:7::7", "2001:db8:7::7", "2001:db8:7::7");
	forward_from_link_local();
	forward_beside_outbound();
	conf.udp_ports.count = 1;
	conf.udp_ports.rule[0].to = 6000;
	fwd_init(&conf);
	forward_of_a_known_peer();
	forward_without_room();
	forward_a_burst();
	forward_in_turns();
	teardown();
}

static void may_bind_low_ports(bool may)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];
	uint32_t bit = 1U << CAP_NET_BIND_SERVICE;

	CHECK(!syscall(SYS_capget, &h, d));
	d[0].effective = may ? d[0].effective | bit : d[0].effective & ~bit;
	CHECK(!syscall(SYS_capset, &h, d));
}

/* The port took a privilege that was given up since, as after setcap(8) */
TEST(privileged_port)
{
	static const char start[] =
		"/proc/sys/net/ipv4/ip_unprivileged_port_start";

	CHECK(hostns_write(start, "6000"));
	setup_with(65520, true);
	may_bind_low_ports(false);
	forward_from("127.0.0.1", "127.0.0.5", "192.0.2.1");
	forward_from("::1", "::1", "fe80::1");
	forward_from(CLIENTS, CLIENTS, CLIENTS);
	forward_from("2001:db8:7::7", "2001:db8:7::7", "2001:db8:7::7");
	forward_a_broadcast(FORWARDED);
	forward_a_burst();
	forward_in_turns();
	may_bind_low_ports(true);
	CHECK(hostns_write(start, "1024"));
	teardown();
}

/* An IPv4 datagram that comes in by a device */
static void device_hears(int device, const char *from, uint16_t port)
{
	struct packet_ends ends = { .smac = (uint8_t[6]){ 0 },
				    .dmac = (uint8_t[6]){ 0 },
				    .src = addr(from),
				    .dst = addr("203.0.113.1") };
	uint8_t b[PACKET_HDR_OUT_MAX], *udp = b + ETH_HLEN_ + IP4_HLEN;

	packet_put_l2l3(b, &ends, IPPROTO_UDP, UDP_HLEN);
	put_be16(udp, port);
	put_be16(udp + 2, FORWARDED);
	put_be16(udp + 4, UDP_HLEN);
	packet_put_csum(udp, UDP_HLEN, NULL, &ends, IPPROTO_UDP);
	CHECK_EQ(write(device, b + ETH_HLEN_, IP4_HLEN + UDP_HLEN),
		 IP4_HLEN + UDP_HLEN);
}

static bool device_sent(int device, const char *to, uint16_t port)
{
	const struct addr dst = addr(to);
	uint8_t b[2048];
	ssize_t len;

	while ((len = read(device, b, sizeof(b))) > 0) {
		if (b[0] == 0x45 && b[9] == IPPROTO_UDP &&
		    !memcmp(b + 16, dst.b + 12, 4) && get_be16(b + 22) == port)
			return true;
	}
	return false;
}

/* Answers leave by the interface that a rule names, as TCP's do, wherever routes
 * lead: here nowhere
 */
TEST(answers_by_the_interface_of_the_rule)
{
	static const char client[] = "198.18.0.9";
	struct iovec iov = { (char[]){ "yes" }, 3 };
	int device = hostns_device("203.0.113.1");
	struct packet p;

	setup_with(65520, false);
	conf.udp_ports.count = 1;
	strcpy(conf.udp_ports.rule[0].ifname, "x0");
	fwd_init(&conf);
	CHECK_EQ(udp_init(&conf, now), 0);
	device_hears(device, client, 777);
	turns();
	CHECK(guest_got(0, client, 777, "", 0));
	p = packet_to(client, 777, &iov);
	p.sport = FORWARDED;
	udp_input(&p, now);
	CHECK(device_sent(device, client, 777));
	teardown();
	close(device);
}

int main(int argc, char **argv)
{
	return host_enter() ? unit_main(argc, argv) : 1;
}
