// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_udp_err: errors of the host, as the guest is told them
 */
#include "udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "fwd.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/loop.h"
#include "test/unit/hostns.h"
#include "test/unit/udpfix.h"
#include "test/unit/unit.h"

static uint8_t bytes[UDP_DATAGRAM_MAX];

/* type and code of the ICMP error in frame 0, and what it quotes */
static bool guest_told(unsigned type, unsigned code, unsigned mtu,
		       const char *dst, uint16_t dport)
{
	const struct addr a = addr(dst);
	size_t l3 = addr_is_v4(&a) ? IP4_HLEN : IP6_HLEN, len;
	const uint8_t *f, *icmp, *quote, *udp;
	struct packet p;

	if (!memlink_sent() || !parse(0, &p))
		return false;
	f = memlink_frame(0, &len, NULL);
	icmp = f + ETH_HLEN_ + l3;
	quote = icmp + ICMP_HLEN;
	udp = quote + l3;
	if (len < (size_t)(udp - f) + UDP_HLEN)
		return false;
	return icmp[0] == type && icmp[1] == code &&
	       get_be32(icmp + 4) == mtu &&
	       (addr_is_v4(&a) ? !memcmp(quote + 16, a.b + 12, 4) :
				 !memcmp(quote + 24, a.b, 16)) &&
	       get_be16(udp) == GUEST_PORT && get_be16(udp + 2) == dport;
}

TEST(refused_ports_are_told)
{
	setup();
	guest_sends("192.0.2.1", 9, "a", 1);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	CHECK(guest_told(3, 3, 0, "192.0.2.1", 9));
	memlink_clear();
	guest_sends("fe80::1", 9, "a", 1);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	CHECK(guest_told(1, 4, 0, "fe80::1", 9));
	teardown();
}

/* The error of one datagram costs no other: the next one still goes */
TEST(a_pending_error_loses_no_datagram)
{
	struct endpoint e;
	char data[16];
	int fd;

	setup();
	fd = host_socket("127.0.0.1", 0, &e);
	close(fd);
	guest_sends("192.0.2.1", e.port, "a", 1);
	fd = host_socket("127.0.0.1", e.port, &e);
	guest_sends("192.0.2.1", e.port, "b", 1);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 1);
	CHECK_EQ(data[0], 'b');
	CHECK(guest_told(3, 3, 0, "192.0.2.1", e.port));
	turns();
	CHECK_EQ(memlink_sent(), 1);
	teardown();
	close(fd);
}

TEST(no_route_is_told)
{
	setup();
	guest_sends("203.0.113.9", 80, "a", 1);
	CHECK(guest_told(3, 0, 0, "203.0.113.9", 80));
	CHECK_EQ(flow_count(), 0);
	memlink_clear();
	guest_sends("2001:db8:9::9", 80, "a", 1);
	CHECK(guest_told(1, 0, 0, "2001:db8:9::9", 80));
	CHECK_EQ(flow_count(), 0);
	teardown();
}

/* Datagrams of 100, 3000 and 200 bytes */
static void send_three(const char *dst, uint16_t port, bool df)
{
	struct iovec iov[3] = { { bytes, 100 }, { bytes, 3000 },
				{ bytes, 200 } };
	struct packet run[3];

	for (unsigned k = 0; k < 3; k++) {
		run[k] = packet_to(dst, port, &iov[k]);
		run[k].df = df;
		run[k].next = k < 2 ? &run[k + 1] : NULL;
	}
	udp_input(run, now);
	turns();
}

/* Only the second of a run is too large for the host's path. IPv6 has no
 * don't-fragment bit
 */
TEST(path_mtu_is_told)
{
	static char data[4000];
	struct endpoint e;
	int fd;

	setup();
	CHECK(hostns_mtu(1500));
	fd = host_socket("127.0.0.1", 0, &e);
	send_three("192.0.2.1", e.port, true);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 100);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 200);
	CHECK_EQ(memlink_sent(), 1);
	CHECK(guest_told(3, 4, 1500, "192.0.2.1", e.port));
	send_three("192.0.2.1", e.port, false);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 100);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 3000);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 200);
	close(fd);
	fd = host_socket("::1", 0, &e);
	send_three("fe80::1", e.port, true);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 100);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 3000);
	CHECK_EQ(host_receives(fd, data, sizeof(data), NULL), 200);
	CHECK_EQ(memlink_sent(), 1);
	teardown();
	close(fd);
	CHECK(hostns_mtu(65536));
}

/* A router says that a datagram of ours to a port went wrong */
static void router_says(uint8_t type, uint8_t code, uint16_t mtu,
			uint16_t sport, uint16_t dport)
{
	struct packet_ends ends = { .smac = bytes, .dmac = bytes,
				    .src = addr(CLIENTS), .dst = addr(CLIENTS),
				    .ttl = 1 };
	uint8_t frame[PACKET_HDR_OUT_MAX] = { 0 }, *icmp, *udp;

	packet_put_l2l3(frame, &ends, IPPROTO_UDP, UDP_HLEN + 1);
	icmp = frame + ETH_HLEN_ - ICMP_HLEN;
	memset(icmp, 0, ICMP_HLEN);
	icmp[0] = type;
	icmp[1] = code;
	put_be16(icmp + 6, mtu);
	udp = icmp + ICMP_HLEN + IP4_HLEN;
	put_be16(udp, sport);
	put_be16(udp + 2, dport);
	put_be16(udp + 4, UDP_HLEN + 1);
	CHECK(hostns_icmp(ROUTER, CLIENTS, icmp,
			  ICMP_HLEN + IP4_HLEN + UDP_HLEN + 1));
}

/* The error waits in the socket when the guest sends the next one */
TEST(path_mtu_of_a_router_loses_no_datagram)
{
	struct endpoint e, from;
	char data[16];
	int fd;

	setup();
	fd = host_socket(CLIENTS, 0, &e);
	guest_sends(CLIENTS, e.port, "a", 1);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
	router_says(3, 4, 1300, from.port, e.port);
	guest_sends(CLIENTS, e.port, "b", 1);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
	CHECK(guest_told(3, 4, 1300, CLIENTS, e.port));
	turns();
	CHECK_EQ(memlink_sent(), 1);
	teardown();
	close(fd);
}

/* What a router on the way says passes as it is, and names the router */
TEST(time_exceeded_is_told)
{
	const struct addr router = addr(ROUTER);
	struct endpoint e, from;
	struct packet p;
	char data[16];
	int fd;

	setup();
	fd = host_socket(CLIENTS, 0, &e);
	guest_sends(CLIENTS, e.port, "a", 1);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
	router_says(11, 0, 0, from.port, e.port);
	turns();
	CHECK_EQ(memlink_sent(), 1);
	CHECK(guest_told(11, 0, 0, CLIENTS, e.port));
	CHECK(parse(0, &p) && addr_equal(&p.src, &router));
	teardown();
	close(fd);
}

/* A port is unreachable where the guest sent to, whoever says so */
TEST(port_unreachable_is_of_the_destination)
{
	const struct addr dst = addr(CLIENTS);
	struct endpoint e, from;
	struct packet p;
	char data[16];
	int fd;

	setup();
	fd = host_socket(CLIENTS, 0, &e);
	guest_sends(CLIENTS, e.port, "a", 1);
	CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
	router_says(3, 3, 0, from.port, e.port);
	turns();
	CHECK(guest_told(3, 3, 0, CLIENTS, e.port));
	CHECK(parse(0, &p) && addr_equal(&p.src, &dst));
	teardown();
	close(fd);
}

/* The host's IPv6 is switched off while we run, as some VPN clients do */
TEST(no_family_is_told)
{
	static const char off[] = "/proc/sys/net/ipv6/conf/all/disable_ipv6";

	setup();
	CHECK(hostns_write(off, "1"));
	guest_sends("2001:db8:9::9", 80, "a", 1);
	CHECK(guest_told(1, 0, 0, "2001:db8:9::9", 80));
	CHECK_EQ(flow_count(), 0);
	CHECK(hostns_write(off, "0"));
	teardown();
}

int main(int argc, char **argv)
{
	return host_enter() ? unit_main(argc, argv) : 1;
}
