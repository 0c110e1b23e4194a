// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_icmp: pings through ping sockets of this process, and errors we send
 *
 * In a network namespace of its own, where the sysctl forbids ping sockets
 * until the first test allows them.
 */
#include "icmp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flow.h"
#include "frame_out.h"
#include "fwd.h"
#include "fwd_socket.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/checksum.h"
#include "lib/loop.h"
#include "link/link.h"
#include "test/unit/hostns.h"
#include "test/unit/memlink.h"
#include "test/unit/unit.h"

#define PING_RANGE	"/proc/sys/net/ipv4/ping_group_range"

static struct conf conf;
static usec_t now = 1000 * USEC_PER_SEC;

static struct addr addr(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		abort();
	return a;
}

static void nothing(usec_t t)
{
	(void)t;
}

static const struct link_events events = { nothing, nothing, nothing, nothing };

static void setup_forbidden(unsigned mtu)
{
	const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

	memset(&conf, 0, sizeof(conf));
	for (unsigned i = 0; i < CONF_FAMILIES; i++)
		conf.family[i].on = true;
	conf.family[CONF_V4].addr = addr("192.0.2.2");
	conf.family[CONF_V4].map_host_loopback = addr("192.0.2.1");
	conf.family[CONF_V6].addr = addr("2001:db8::2");
	conf.family[CONF_V6].map_host_loopback = addr("fe80::1");
	CHECK_EQ(loop_init(), 0);
	CHECK(timer_init(now) >= 0);
	flow_init();
	memlink_init(&events);
	guest_init(&(struct guest_conf){ .our_mac = { 0x9a, 0x55 },
					 .addr4 = conf.family[CONF_V4].addr,
					 .addr6 = conf.family[CONF_V6].addr });
	guest_learn_mac(mac);
	frame_out_init(mtu);
	fwd_init(&conf);
	fwd_socket_init(&conf);
	CHECK_EQ(icmp_init(&conf, now), 0);
}

/* Also lets ping sockets be made: a new namespace has none */
static void setup(unsigned mtu)
{
	setup_forbidden(mtu);
	CHECK(hostns_write(PING_RANGE, "0 0"));
}

static void teardown(void)
{
	flow_guest_left(now);
	flow_reap();
	CHECK_EQ(flow_count(), 0);
}

static void turns(void)
{
	unsigned count = 0;
	int n;

	while (count++ < 100 && (n = loop_wait(count > 1 ? 1 : 100)) > 0) {
		loop_dispatch(n, now);
		flow_reap();
	}
	CHECK(count < 100);
}

static struct packet ping_of(const char *dst, uint16_t id, uint16_t seq,
			     const struct iovec *data)
{
	struct packet p = {
		.dst = addr(dst),
		.ttl = 64,
		.payload = { data, 1, 0, data->iov_len },
	};
	bool v4 = addr_is_v4(&p.dst);

	p.src = conf_family_of(&conf, &p.dst)->addr;
	p.proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	p.icmp.type = v4 ? 8 : 128;
	p.icmp.id = id;
	p.icmp.seq = seq;
	return p;
}

static void ping(const char *dst, uint16_t id, uint16_t seq, const void *data,
		 size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct packet p = ping_of(dst, id, seq, &iov);

	icmp_input(&p, now);
}

/* ICMP header and data of frame @i, its checksums good; NULL if not */
static const uint8_t *icmp_at(unsigned i, const char *from, size_t *len)
{
	const struct addr src = addr(from);
	struct iovec iov;
	struct frame f = { .iov = &iov, .cnt = 1 };
	struct packet p;
	size_t l3;

	if (i >= memlink_sent())
		return NULL;
	iov.iov_base = (void *)(uintptr_t)memlink_frame(i, &f.len, NULL);
	iov.iov_len = f.len;
	if (!packet_parse(&f, &p) || !addr_equal(&p.src, &src))
		return NULL;
	l3 = ETH_HLEN_ + (addr_is_v4(&src) ? IP4_HLEN : IP6_HLEN);
	*len = f.len - l3;
	return (uint8_t *)iov.iov_base + l3;
}

static bool guest_got(unsigned i, const char *from, uint16_t id, uint16_t seq,
		      const void *data, size_t data_len)
{
	const struct addr src = addr(from);
	size_t len;
	const uint8_t *h = icmp_at(i, from, &len);

	return h && len == ICMP_HLEN + data_len &&
	       h[0] == (addr_is_v4(&src) ? 0 : 129) && !h[1] &&
	       get_be16(h + 4) == id && get_be16(h + 6) == seq &&
	       !memcmp(h + ICMP_HLEN, data, data_len);
}

/* What a broadcast ping makes us say on a host that allows pings, in a process
 * that has said nothing yet
 */
static void broadcast_in_a_host_of_its_own(int said)
{
	dup2(said, STDERR_FILENO);
	if (!hostns_enter() || !hostns_net("203.0.113.1"))
		_exit(1);
	setup(1500);
	ping("192.0.2.1", 6, 1, "a", 1);
	CHECK_EQ(flow_count(), 1);
	ping("203.0.113.255", 6, 1, "a", 1);
	CHECK_EQ(flow_count(), 1);
	_exit(0);
}

/* Refused, but not by the sysctl. Before all others: each process warns once */
TEST(a_broadcast_is_not_forbidden_by_the_sysctl)
{
	int said[2], status = -1;
	char text[256];
	pid_t pid;

	CHECK(!pipe2(said, O_CLOEXEC));
	pid = fork();
	if (!pid)
		broadcast_in_a_host_of_its_own(said[1]);
	close(said[1]);
	CHECK_EQ(read(said[0], text, sizeof(text)), 0);
	close(said[0]);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

/* First of those of this host: the range cannot be taken back */
TEST(forbidden_by_the_sysctl)
{
	setup_forbidden(1500);
	ping("192.0.2.1", 6, 1, "a", 1);
	ping("192.0.2.1", 6, 2, "a", 1);
	CHECK_EQ(flow_count(), 0);
	CHECK(hostns_write(PING_RANGE, "0 0"));
	ping("192.0.2.1", 6, 3, "a", 1);
	CHECK_EQ(flow_count(), 1);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	teardown();
}

TEST(echo_keeps_identifier_sequence_and_data)
{
	static const char *const dst[] = { "192.0.2.1", "fe80::1",
					   "198.51.100.7" };

	for (unsigned i = 0; i < 3; i++) {
		setup(1500);
		ping(dst[i], 77, 1, "ping data", 9);
		ping(dst[i], 77, 2, "", 0);
		turns();
		CHECK_EQ(memlink_sent(), 2);
		CHECK(guest_got(0, dst[i], 77, 1, "ping data", 9));
		CHECK(guest_got(1, dst[i], 77, 2, "", 0));
		CHECK_EQ(flow_count(), 1);
		teardown();
	}
}

/* One identifier, several destinations: the host's identifiers differ, the
 * guest sees its own; identifier 0 is one, too
 */
TEST(identifiers_are_the_guests)
{
	setup(1500);
	ping("192.0.2.1", 5, 1, "a", 1);
	ping("198.51.100.7", 5, 1, "b", 1);
	ping("198.51.100.7", 0, 1, "c", 1);
	ping("198.51.100.7", 0xffff, 1, "d", 1);
	CHECK_EQ(flow_count(), 4);
	turns();
	CHECK_EQ(memlink_sent(), 4);
	for (unsigned i = 0; i < 4; i++)
		CHECK(guest_got(i, "192.0.2.1", 5, 1, "a", 1) ||
		      guest_got(i, "198.51.100.7", 5, 1, "b", 1) ||
		      guest_got(i, "198.51.100.7", 0, 1, "c", 1) ||
		      guest_got(i, "198.51.100.7", 0xffff, 1, "d", 1));
	teardown();
}

/* The same from one source address: the kernel tells sockets apart by nothing
 * but source and identifier
 */
TEST(one_identifier_for_several_destinations)
{
	setup(1500);
	conf.family[CONF_V4].outbound = addr("198.51.100.7");
	ping("198.51.100.7", 5, 1, "a", 1);
	ping("198.51.100.8", 5, 1, "b", 1);
	turns();
	CHECK_EQ(memlink_sent(), 2);
	CHECK(guest_got(0, "198.51.100.7", 5, 1, "a", 1) ||
	      guest_got(1, "198.51.100.7", 5, 1, "a", 1));
	CHECK(guest_got(0, "198.51.100.8", 5, 1, "b", 1) ||
	      guest_got(1, "198.51.100.8", 5, 1, "b", 1));
	teardown();
}

/* The host's identifier is the guest's where it is free */
TEST(identifier_on_the_host)
{
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_port = htons(4321) };
	int fd;

	setup(1500);
	fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	ping("192.0.2.1", 4321, 1, "a", 1);
	CHECK(bind(fd, (void *)&any, sizeof(any)) && errno == EADDRINUSE);
	teardown();
	CHECK(!bind(fd, (void *)&any, sizeof(any)));
	setup(1500);
	ping("192.0.2.1", 4321, 1, "a", 1);
	turns();
	CHECK(guest_got(0, "192.0.2.1", 4321, 1, "a", 1));
	teardown();
	close(fd);
}

/* The kernel looks at the identifier alone: replies of others are not ours */
TEST(replies_of_others_are_passed_over)
{
	static struct flow *f;
	const struct sockaddr_in other = {
		.sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK + 8) },
	};
	uint8_t echo[8] = { 8 };
	struct watch *w;

	setup(1500);
	ping("192.0.2.1", 9, 1, "a", 1);
	f = flow_at(0);
	w = flow_as(f, struct watch);
	CHECK(sendto(w->fd, echo, sizeof(echo), 0, (const void *)&other,
		     sizeof(other)) == sizeof(echo));
	turns();
	CHECK_EQ(memlink_sent(), 1);
	teardown();
}

/* The host moves to another network while the guest goes on pinging */
TEST(pings_outlive_the_hosts_address)
{
	static const char *const host[] = { "203.0.113.1", "203.0.113.2" };

	setup(1500);
	for (uint16_t i = 0; i < 2; i++) {
		conf.family[CONF_V4].outbound = addr(host[i]);
		CHECK(hostns_move(host[i]));
		ping("198.51.100.7", 9, i, "a", 1);
		turns();
		CHECK_EQ(memlink_sent(), i + 1);
		CHECK(guest_got(i, "198.51.100.7", 9, i, "a", 1));
	}
	CHECK_EQ(flow_count(), 1);
	teardown();
}

/* The host gets another network while it keeps the one that is pinged from, by
 * which no answer comes any more
 */
TEST(pings_without_answers_follow_the_host)
{
	static const char *const host[] = { "203.0.113.11", "203.0.113.12" };
	const struct addr to = addr(host[1]);

	setup(1500);
	CHECK(hostns_address(host[0]) && hostns_address(host[1]));
	for (uint16_t i = 0; i < 20; i++) {
		conf.family[CONF_V4].outbound = addr(host[i > 0]);
		ping("198.51.100.7", 9, i, "a", 1);
		/* while there are answers it needs no other way */
		if (i < 10) {
			turns();
			CHECK(!addr_equal(&flow_at(0)->side[TGT].local, &to));
		}
		now += 25 * USEC_PER_SEC;
		timer_run(now);
		flow_reap();
	}
	CHECK(addr_equal(&flow_at(0)->side[TGT].local, &to));
	CHECK_EQ(flow_count(), 1);
	teardown();
}

/* Where there is no other way the flow waits for this one */
TEST(pings_outlive_an_outage)
{
	static const char at[] = "203.0.113.1", peer[] = "203.0.113.9";
	unsigned sent;
	uint8_t b[256];
	int device;

	setup(1500);
	for (uint16_t i = 0; i < 2; i++) {
		device = hostns_device(at);
		ping(peer, 9, i, "a", 1);
		CHECK_EQ(memlink_sent(), i);
		for (sent = 0; read(device, b, sizeof(b)) > 0;)
			sent += b[0] == 0x45 && b[9] == IPPROTO_ICMP;
		CHECK_EQ(sent, 1);
		close(device);
		ping(peer, 9, i, "b", 1);
		CHECK_EQ(memlink_sent(), i + 1);
		CHECK_EQ(flow_count(), 1);
	}
	teardown();
}

/* IPv6 goes on to send from what is no more: noticed within a minute */
TEST(pings_outlive_the_hosts_ipv6_address)
{
	static const char *const host[] = { "2001:db8:1::1", "2001:db8:1::2",
					    "2001:db8:1::3" };
	const struct addr peer = addr("2001:db8:7::7");

	setup(1500);
	CHECK(hostns_address("2001:db8:7::7"));
	ping("2001:db8:7::7", 9, 0, "a", 1);
	CHECK(addr_equal(&flow_at(0)->side[TGT].local, &peer));
	teardown();
	setup(1500);
	CHECK(hostns_address(host[0]));
	for (uint16_t i = 0; i < 2; i++) {
		conf.family[CONF_V6].outbound = addr(host[i]);
		ping("2001:db8:7::7", 9, i, "a", 1);
		turns();
		CHECK_EQ(memlink_sent(), i + 1);
		CHECK(guest_got(i, "2001:db8:7::7", 9, i, "a", 1));
		CHECK(hostns_lose6(host[i]));
		CHECK(hostns_address(host[i + 1]));
		conf.family[CONF_V6].outbound = addr(host[i + 1]);
		now += 30 * USEC_PER_SEC;
		ping("2001:db8:7::7", 9, i, "a", 1);
		now += 30 * USEC_PER_SEC + USEC_PER_MSEC;
		timer_run(now);
		flow_reap();
		CHECK_EQ(flow_count(), 0);
	}
	teardown();
}

TEST(large_pings_come_back_in_fragments)
{
	static uint8_t data[60000];
	size_t total = 0;

	setup(1500);
	memset(data, 0x5a, sizeof(data));
	ping("192.0.2.1", 6, 1, data, sizeof(data));
	turns();
	for (unsigned i = 0; i < memlink_sent(); i++) {
		size_t len;

		memlink_frame(i, &len, NULL);
		total += len - ETH_HLEN_ - IP4_HLEN;
	}
	CHECK_EQ(total, sizeof(data) + ICMP_HLEN);
	teardown();
}

TEST(flows_end_after_a_minute)
{
	setup(1500);
	ping("192.0.2.1", 6, 1, "a", 1);
	turns();
	now += 59 * USEC_PER_SEC;
	timer_run(now);
	ping("192.0.2.1", 6, 2, "a", 1);
	now += 59 * USEC_PER_SEC;
	timer_run(now);
	flow_reap();
	CHECK_EQ(flow_count(), 1);
	turns();
	now += 59 * USEC_PER_SEC;
	timer_run(now);
	CHECK_EQ(flow_count(), 1);
	now += USEC_PER_SEC + USEC_PER_MSEC;
	timer_run(now);
	flow_reap();
	CHECK_EQ(flow_count(), 0);
	teardown();
}

TEST(only_echo_requests_go_on)
{
	struct iovec iov = { (char[]){ "x" }, 1 };
	struct packet p;

	setup(1500);
	p = ping_of("192.0.2.1", 6, 1, &iov);
	p.icmp.type = 0;
	icmp_input(&p, now);
	p.icmp.type = 128;
	icmp_input(&p, now);
	p.icmp.type = 8;
	p.icmp.code = 1;
	icmp_input(&p, now);
	p = ping_of("fe80::1", 6, 1, &iov);
	p.icmp.type = 8;
	icmp_input(&p, now);
	ping("127.0.0.1", 6, 1, "a", 1);
	conf.no_icmp = true;
	icmp_init(&conf, now);
	ping("192.0.2.1", 6, 1, "a", 1);
	CHECK_EQ(flow_count(), 0);
	turns();
	CHECK_EQ(memlink_sent(), 0);
	teardown();
}

TEST(no_route_is_told)
{
	static const char off[] = "/proc/sys/net/ipv6/conf/all/disable_ipv6";
	static const struct { const char *dst; uint8_t type, code; } w[] = {
		{ "203.0.113.9", 3, 0 },
		{ "2001:db8:9::9", 1, 0 },
		{ "2001:db8:9::9", 1, 0 },
	};

	for (unsigned i = 0; i < 3; i++) {
		size_t len, l3 = i ? IP6_HLEN : IP4_HLEN;
		const uint8_t *h, *quoted;

		setup(1500);
		/* at last with IPv6 switched off, as some VPN clients do */
		CHECK(hostns_write(off, i == 2 ? "1" : "0"));
		ping(w[i].dst, 6, 3, "data", 4);
		CHECK_EQ(memlink_sent(), 1);
		h = icmp_at(0, w[i].dst, &len);
		CHECK(h && h[0] == w[i].type && h[1] == w[i].code);
		if (h) {
			quoted = h + ICMP_HLEN + l3;
			CHECK_EQ(len, ICMP_HLEN + l3 + ICMP_HLEN + 4);
			CHECK_EQ(quoted[0], i ? 128 : 8);
			CHECK_EQ(get_be16(quoted + 4), 6);
			CHECK_EQ(get_be16(quoted + 6), 3);
			CHECK(!memcmp(quoted + ICMP_HLEN, "data", 4));
		}
		CHECK_EQ(flow_count(), 0);
		teardown();
	}
	CHECK(hostns_write(off, "0"));
}

/* A router on the way speaks: the quote has the guest's identifier again, that
 * the host had another for
 */
TEST(time_exceeded_is_told)
{
	static const uint8_t mac[6];
	struct packet_ends ends = { .smac = mac, .dmac = mac,
				    .src = addr("198.51.100.7"),
				    .dst = addr("198.51.100.8"), .ttl = 1 };
	uint8_t frame[PACKET_HDR_OUT_MAX] = { 0 }, *icmp, *echo;
	const uint8_t *h;
	struct sockaddr_in us;
	socklen_t us_len = sizeof(us);
	size_t len = 0;

	setup(1500);
	conf.family[CONF_V4].outbound = addr("198.51.100.7");
	ping("198.51.100.8", 0, 9, "a", 1);
	turns();
	memlink_clear();
	CHECK(!getsockname(flow_as(flow_at(0), struct watch)->fd, (void *)&us,
			   &us_len));
	CHECK(us.sin_port);

	packet_put_l2l3(frame, &ends, IPPROTO_ICMP, ICMP_HLEN + 1);
	icmp = frame + ETH_HLEN_ - ICMP_HLEN;
	memset(icmp, 0, ICMP_HLEN);
	icmp[0] = 11;
	echo = icmp + ICMP_HLEN + IP4_HLEN;
	echo[0] = 8;
	memcpy(echo + 4, &us.sin_port, 2);
	put_be16(echo + 6, 9);
	CHECK(hostns_icmp("198.51.100.9", "198.51.100.7", icmp,
			  ICMP_HLEN + IP4_HLEN + ICMP_HLEN + 1));
	turns();
	CHECK_EQ(memlink_sent(), 1);
	h = icmp_at(0, "198.51.100.9", &len);
	CHECK(h && h[0] == 11 && h[1] == 0);
	CHECK_EQ(len, ICMP_HLEN + IP4_HLEN + ICMP_HLEN + 1);
	if (h) {
		h += ICMP_HLEN;
		CHECK(!memcmp(h + 16, ends.dst.b + 12, 4));
		CHECK_EQ(h[IP4_HLEN], 8);
		CHECK_EQ(get_be16(h + IP4_HLEN + 4), 0);
		CHECK_EQ(get_be16(h + IP4_HLEN + 6), 9);
	}
	teardown();
}

static const uint8_t quoted_bytes[2000] = { 0x45, 1, 2, 3 };

static struct icmp_error error_of(bool v4, int host_errno)
{
	return (struct icmp_error){
		.from = addr(v4 ? "198.51.100.1" : "2001:db8:5::1"),
		.to = addr(v4 ? "192.0.2.2" : "2001:db8::2"),
		.host_errno = host_errno,
		.mtu = 1400,
		.quoted = quoted_bytes,
		.quoted_len = sizeof(quoted_bytes),
	};
}

TEST(errors_map_to_types_and_codes)
{
	static const struct {
		int host_errno;
		uint8_t type[2], code[2];
		uint32_t rest[2];
	} w[] = {
		{ ECONNREFUSED, { 3, 1 }, { 3, 4 }, { 0, 0 } },
		{ ENETUNREACH, { 3, 1 }, { 0, 0 }, { 0, 0 } },
		{ EHOSTUNREACH, { 3, 1 }, { 1, 3 }, { 0, 0 } },
		{ EACCES, { 3, 1 }, { 13, 1 }, { 0, 0 } },
		{ EPERM, { 3, 1 }, { 13, 1 }, { 0, 0 } },
		{ EMSGSIZE, { 3, 2 }, { 4, 0 }, { 1400, 1400 } },
		{ ETIMEDOUT, { 3, 1 }, { 1, 3 }, { 0, 0 } },
	};

	setup(1500);
	for (unsigned i = 0; i < sizeof(w) / sizeof(w[0]); i++) {
		for (unsigned v6 = 0; v6 < 2; v6++) {
			struct icmp_error e = error_of(!v6, w[i].host_errno);
			const uint8_t *h;
			size_t len;

			memlink_clear();
			CHECK(icmp_error_send(&e));
			h = icmp_at(0, v6 ? "2001:db8:5::1" : "198.51.100.1",
				    &len);
			CHECK(h && h[0] == w[i].type[v6] &&
			      h[1] == w[i].code[v6] &&
			      get_be32(h + 4) == w[i].rest[v6]);
			/* 576 and 1280 bytes of IP packet at most */
			CHECK_EQ(len, v6 ? 1280 - IP6_HLEN : 576 - IP4_HLEN);
			CHECK(h && !memcmp(h + ICMP_HLEN, quoted_bytes, 500));
		}
	}
	teardown();
}

TEST(errors_that_the_host_was_told_pass_as_they_are)
{
	struct icmp_error e;
	const uint8_t *h;
	size_t len;

	setup(1500);
	e = error_of(true, EHOSTUNREACH);
	e.type = 11;
	e.quoted_len = 28;
	CHECK(icmp_error_send(&e));
	h = icmp_at(0, "198.51.100.1", &len);
	CHECK(h && h[0] == 11 && h[1] == 0 && len == ICMP_HLEN + 28);
	e.type = 5;
	CHECK(!icmp_error_send(&e));
	e = error_of(false, EHOSTUNREACH);
	e.type = 137;
	CHECK(!icmp_error_send(&e));
	CHECK_EQ(memlink_sent(), 1);
	teardown();
}

int main(int argc, char **argv)
{
	if (!hostns_enter() || !hostns_address("198.51.100.7") ||
	    !hostns_address("198.51.100.8") || !hostns_address("198.51.100.9"))
		return 1;
	return unit_main(argc, argv);
}
