// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who is handed what, in what order and in what runs; who is learned
 */
#include "tap.h"

#include <linux/if_ether.h>
#include <stdio.h>

#include "flow.h"
#include "guest.h"
#include "icmp.h"
#include "lib/stats.h"
#include "link/coalesce.h"
#include "serve/arp.h"
#include "serve/dhcp.h"
#include "serve/dhcpv6.h"
#include "serve/ndp.h"
#include "tcp.h"
#include "test/unit/craft.h"
#include "test/unit/memlink.h"
#include "test/unit/unit.h"
#include "udp.h"

static unsigned drops[DROP_NUM];
static char said[8192];
static bool serve_takes;
static bool datagrams_alone;
static struct conf conf;
static struct craft c, piece;

bool drop(enum drop_reason why)
{
	drops[why]++;
	return false;
}

void stat_add(enum stat_counter what, uint64_t n)
{
	(void)what;
	(void)n;
}

void coalesce_received(unsigned frames, uint64_t bytes)
{
	(void)frames;
	(void)bytes;
}

void coalesce_sent(void)
{
}

usec_t coalesce_wait(bool datagrams, usec_t now)
{
	CHECK_EQ(now, 5);
	datagrams_alone = datagrams;
	return 0;
}

static void say(const char *what)
{
	strncat(said, what, sizeof(said) - strlen(said) - 1);
}

/* What a handler was given: its name, and sport.payload length of each */
static void note(const char *who, const struct packet *run)
{
	char text[64];

	say(who);
	for (; run; run = run->next) {
		uint8_t got[2048], want[2048];
		size_t n = slice_copy(&run->payload, 0, got, sizeof(got));

		for (size_t i = 0; i < n; i++)
			want[i] = (uint8_t)(i * 7 + i / 251);
		if (run->ethertype != ETH_P_ARP)
			CHECK(!memcmp(got, want, n));
		snprintf(text, sizeof(text), " %u.%zu", run->sport,
			 run->payload.len);
		say(text);
	}
	say(";");
}

void tcp_input(const struct packet *run, usec_t now)
{
	CHECK_EQ(now, 5);
	note("tcp", run);
}

void tcp_rejected(const struct packet_quote *syn)
{
	char text[64], src[ADDR_STRLEN];

	snprintf(text, sizeof(text), "rejected %s %u %u %u;",
		 addr_format(&syn->src, src, sizeof(src)), syn->sport,
		 syn->dport, syn->seq);
	say(text);
}

void udp_input(const struct packet *run, usec_t now)
{
	CHECK_EQ(now, 5);
	note("udp", run);
}

void icmp_input(const struct packet *run, usec_t now)
{
	CHECK_EQ(now, 5);
	note("icmp", run);
}

void arp_input(const struct packet *p)
{
	note("arp", p);
}

bool dhcp_input(const struct packet *p)
{
	note("dhcp", p);
	return serve_takes;
}

bool dhcpv6_input(const struct packet *p)
{
	note("dhcpv6", p);
	return serve_takes;
}

bool ndp_input(const struct packet *p, usec_t now)
{
	CHECK_EQ(now, 5);
	if (p->icmp.type < 130)
		return false;
	note("ndp", p);
	return true;
}

void ndp_guest_up(usec_t now)
{
	(void)now;
	say("ndp up;");
}

void ndp_guest_left(void)
{
	say("ndp left;");
}

void flow_guest_left(usec_t now)
{
	(void)now;
	say("flow left;");
}

void tcp_link_writable(usec_t now)
{
	(void)now;
	say("tcp writable;");
}

void udp_link_writable(usec_t now)
{
	(void)now;
	say("udp writable;");
}

static void setup(void)
{
	static bool made;
	struct guest_conf g = { .addr4 = craft_addr("192.0.2.9"),
				.addr6 = craft_addr("2001:db8::9") };

	if (!made)
		CHECK(timer_init(1) >= 0);
	made = true;
	memset(drops, 0, sizeof(drops));
	*said = 0;
	serve_takes = true;
	conf = (struct conf){ .family = { { .on = true }, { .on = true } } };
	guest_init(&g);
	memlink_init(tap_events());
	tap_init(&conf);
}

static void queue(void)
{
	craft_end(&c);
	memlink_queue(c.b, c.len);
}

static void tcp(const char *src, uint16_t sport, size_t len)
{
	craft_ip(&c, src, strchr(src, ':') ? "2001:db8:1::7" : "198.51.100.7");
	craft_tcp(&c, sport, 80, 0, len);
	queue();
}

static void udp(const char *src, const char *dst, uint16_t sport,
		uint16_t dport, size_t len)
{
	craft_ip(&c, src, dst);
	craft_udp(&c, sport, dport, len);
	queue();
}

static void icmp_code(const char *src, const char *dst, uint8_t type,
		      uint8_t code)
{
	craft_ip(&c, src, dst);
	craft_icmp(&c, type, 10);
	c.b[c.l4 + 1] = code;
	queue();
}

static void icmp(const char *src, const char *dst, uint8_t type)
{
	icmp_code(src, dst, type, 0);
}

static void expect(const char *what)
{
	*said = 0;
	link_events()->readable(5);
	if (strcmp(said, what)) {
		printf("said %s\n", said);
		unit_fail(__FILE__, __LINE__, what);
	}
}

static bool learned(int family, bool link_local, const char *text)
{
	struct addr a = craft_addr(text), b;

	return guest_addr(family, link_local, &b) && addr_equal(&a, &b);
}

TEST(nothing)
{
	setup();
	expect("");
}

/* Runs in the order they began, each in the order it was sent */
TEST(runs)
{
	setup();
	tcp("192.0.2.9", 1, 10);
	tcp("192.0.2.9", 2, 20);
	tcp("192.0.2.9", 1, 11);
	udp("192.0.2.9", "198.51.100.7", 1, 80, 5);
	tcp("192.0.2.10", 1, 12);
	tcp("192.0.2.9", 1, 0);
	udp("192.0.2.9", "198.51.100.7", 1, 80, 6);
	udp("192.0.2.9", "198.51.100.8", 1, 80, 7);
	udp("192.0.2.9", "198.51.100.7", 1, 81, 8);
	tcp("2001:db8::9", 1, 13);
	tcp("192.0.2.9", 2, 21);
	tcp("2001:db8::9", 1, 14);
	expect("tcp 1.10 1.11 1.0;tcp 2.20 2.21;udp 1.5 1.6;tcp 1.12;"
	       "udp 1.7;udp 1.8;tcp 1.13 1.14;");
}

TEST(singles)
{
	setup();
	icmp("192.0.2.9", "198.51.100.7", 8);
	icmp("192.0.2.9", "198.51.100.7", 8);
	icmp("2001:db8::9", "2001:db8:1::7", 128);
	icmp("fe80::9", "ff02::1", 135);
	expect("icmp 0.10;icmp 0.10;icmp 0.10;ndp 0.10;");
}

/* As many as a batch can hold with two packets each: buckets collide */
TEST(many_flows)
{
	char want[8192] = "";

	setup();
	for (int round = 0; round < 2; round++) {
		for (uint16_t i = 0; i < LINK_BATCH / 2; i++)
			tcp("192.0.2.9", 1 + i, (size_t)round);
	}
	for (int i = 0; i < LINK_BATCH / 2; i++)
		snprintf(want + strlen(want), sizeof(want) - strlen(want),
			 "tcp %d.0 %d.1;", 1 + i, 1 + i);
	expect(want);
}

/* Where UDP alone came in, what comes next may wait, if the link can */
TEST(datagrams_may_wait)
{
	setup();
	udp("192.0.2.9", "198.51.100.7", 1, 80, 5);
	udp("2001:db8::9", "2001:db8:1::7", 1, 80, 5);
	expect("udp 1.5;udp 1.5;");
	CHECK(datagrams_alone);
	udp("192.0.2.9", "198.51.100.7", 1, 80, 5);
	tcp("192.0.2.9", 1, 0);
	expect("udp 1.5;tcp 1.0;");
	CHECK(!datagrams_alone);
	icmp("192.0.2.9", "198.51.100.7", 8);
	for (int i = 0; i < LINK_BATCH; i++)
		udp("192.0.2.9", "198.51.100.7", 1, 80, 5);
	link_events()->readable(5);
	CHECK(!datagrams_alone);
}

TEST(more_than_a_batch)
{
	setup();
	for (int i = 0; i < LINK_BATCH + 3; i++)
		tcp("192.0.2.9", 1, 0);
	link_events()->readable(5);
	CHECK_EQ(strlen(said), 2 * 4 + (LINK_BATCH + 3) * 4);
	CHECK(!strcmp(said + strlen(said) - 16, "tcp 1.0 1.0 1.0;"));
}

TEST(served_here)
{
	setup();
	udp("192.0.2.9", "192.0.2.1", 68, 67, 240);
	udp("192.0.2.9", "192.0.2.1", 68, 67, 241);
	udp("0.0.0.0", "255.255.255.255", 68, 67, 242);
	udp("fe80::9", "ff02::1:2", 546, 547, 10);
	udp("192.0.2.9", "198.51.100.7", 546, 547, 10);
	udp("2001:db8::9", "2001:db8:1::7", 68, 67, 10);
	expect("dhcp 68.240;dhcp 68.241;dhcp 68.242;dhcpv6 546.10;"
	       "udp 546.10;udp 68.10;");
	serve_takes = false;
	udp("192.0.2.9", "192.0.2.1", 68, 67, 240);
	udp("fe80::9", "fe80::1", 546, 547, 10);
	udp("0.0.0.0", "255.255.255.255", 68, 67, 242);
	expect("dhcp 68.240;udp 68.240;dhcpv6 546.10;udp 546.10;dhcp 68.242;");
	CHECK_EQ(drops[DROP_IP_DEST], 1);
}

TEST(for_many)
{
	setup();
	udp("192.0.2.9", "224.0.0.251", 5353, 5353, 1);
	udp("192.0.2.9", "255.255.255.255", 1, 2, 1);
	udp("fe80::9", "ff02::fb", 5353, 5353, 1);
	icmp("192.0.2.9", "224.0.0.1", 8);
	icmp("fe80::9", "ff02::1", 128);
	craft_ip(&c, "192.0.2.9", "224.0.0.1");
	craft_tcp(&c, 1, 2, 0, 0);
	queue();
	memlink_queue(c.b, c.len);
	expect("");
	CHECK_EQ(drops[DROP_IP_DEST], 7);
}

TEST(switches)
{
	setup();
	conf.no_tcp = conf.no_udp = conf.no_icmp = true;
	tcp("192.0.2.9", 1, 1);
	tcp("192.0.2.9", 1, 2);
	udp("192.0.2.9", "198.51.100.7", 1, 2, 1);
	udp("0.0.0.0", "255.255.255.255", 68, 67, 242);
	icmp("192.0.2.9", "198.51.100.7", 8);
	expect("dhcp 68.242;");
	CHECK_EQ(drops[DROP_DISABLED], 4);
}

TEST(families)
{
	setup();
	conf.family[CONF_V6].on = false;
	tcp("192.0.2.9", 1, 1);
	tcp("2001:db8::9", 1, 1);
	icmp("fe80::9", "ff02::1", 135);
	craft_arp(&c, "192.0.2.9", "192.0.2.1");
	memlink_queue(c.b, c.len);
	expect("tcp 1.1;arp 0.28;");
	CHECK_EQ(drops[DROP_DISABLED], 2);
	conf.family[CONF_V6].on = true;
	conf.family[CONF_V4].on = false;
	memlink_queue(c.b, c.len);
	tcp("192.0.2.9", 1, 1);
	tcp("2001:db8::9", 1, 1);
	expect("tcp 1.1;");
	CHECK_EQ(drops[DROP_DISABLED], 4);
}

TEST(learning)
{
	setup();
	tcp("192.0.2.20", 1, 0);
	tcp("2001:db8::20", 1, 0);
	icmp("fe80::20", "ff02::1", 135);
	icmp("::", "ff02::1", 135);
	udp("0.0.0.0", "255.255.255.255", 68, 67, 242);
	link_events()->readable(5);
	CHECK(!memcmp(guest_mac(), craft_guest_mac, 6));
	CHECK(learned(AF_INET, false, "192.0.2.20"));
	CHECK(learned(AF_INET6, false, "2001:db8::20"));
	CHECK(learned(AF_INET6, true, "fe80::20"));
}

static void arp(const char *spa, const char *tpa)
{
	craft_arp(&c, spa, tpa);
	memlink_queue(c.b, c.len);
}

TEST(learning_from_arp)
{
	setup();
	arp("192.0.2.30", "192.0.2.1");
	expect("arp 0.28;");
	CHECK(learned(AF_INET, false, "192.0.2.30"));
	arp("0.0.0.0", "192.0.2.31");
	arp("127.0.0.1", "192.0.2.1");
	expect("arp 0.28;arp 0.28;");
	CHECK(learned(AF_INET, false, "192.0.2.30"));
	craft_arp(&c, "192.0.2.32", "192.0.2.1");
	memlink_queue(c.b, c.len - 1);
	c.b[15] = 6;
	memlink_queue(c.b, c.len);
	expect("arp 0.27;arp 0.28;");
	CHECK(learned(AF_INET, false, "192.0.2.30"));
	arp("192.0.2.33", "192.0.2.33");
	expect("arp 0.28;");
	CHECK(learned(AF_INET, false, "192.0.2.33"));
}

TEST(junk_is_dropped_and_nothing_else)
{
	setup();
	tcp("192.0.2.9", 1, 1);
	memlink_queue("junk", 4);
	craft_ip(&c, "192.0.2.44", "198.51.100.7");
	craft_tcp(&c, 1, 80, 0, 9);
	craft_end(&c);
	c.b[c.len - 1]++;
	c.b[7]++;
	memlink_queue(c.b, c.len);
	tcp("192.0.2.9", 1, 2);
	expect("tcp 1.1 1.2;");
	CHECK_EQ(drops[DROP_SHORT], 1);
	CHECK_EQ(drops[DROP_L4_CSUM], 1);
	CHECK(learned(AF_INET, false, "192.0.2.9"));
	CHECK(!memcmp(guest_mac(), craft_guest_mac, 6));
}

/* The guest's refusal of a segment that came to its port 80, all of it quoted
 * but for the last bytes
 */
static void icmp_refusal(bool v4, uint8_t code, size_t less)
{
	const char *us = v4 ? "198.51.100.7" : "2001:db8:1::7";
	const char *it = v4 ? "192.0.2.9" : "2001:db8::9";

	craft_ip(&piece, us, it);
	craft_tcp(&piece, 1000, 80, 0, 0);
	craft_end(&piece);
	craft_ip(&c, it, us);
	craft_icmp(&c, v4 ? 3 : 1, 0);
	c.b[c.l4 + 1] = code;
	craft_bytes(&c, piece.b + 14, piece.len - 14 - less);
	queue();
}

/* It is TCP's, whatever the code */
TEST(unreachable)
{
	setup();
	for (unsigned code = 0; code < 256; code++) {
		if (code != 4) {
			icmp_refusal(true, (uint8_t)code, 0);
			expect("rejected 198.51.100.7 1000 80 16909060;");
		}
		icmp_refusal(false, (uint8_t)code, 12);
		expect("rejected 2001:db8:1::7 1000 80 16909060;");
	}
	icmp_refusal(true, 1, 13);
	icmp_refusal(false, 1, 13);
	expect("");
	CHECK_EQ(drops[DROP_L4_HEADER], 2);
	conf.no_icmp = true;
	icmp_refusal(true, 1, 0);
	icmp_refusal(false, 1, 0);
	expect("");
	CHECK_EQ(drops[DROP_DISABLED], 2);
}

/* A size, a lifetime, or what has the other family's number is no refusal */
TEST(other_errors)
{
	setup();
	icmp_code("192.0.2.9", "198.51.100.7", 3, 4);
	icmp_code("192.0.2.9", "198.51.100.7", 1, 3);
	icmp_code("192.0.2.9", "198.51.100.7", 11, 0);
	icmp_code("2001:db8::9", "2001:db8:1::7", 2, 0);
	icmp_code("2001:db8::9", "2001:db8:1::7", 3, 3);
	expect("icmp 0.10;icmp 0.10;icmp 0.10;icmp 0.10;icmp 0.10;");
}

/* A datagram in pieces has the place of its last piece, and its run */
TEST(fragments)
{
	setup();
	udp("192.0.2.9", "198.51.100.7", 1, 80, 5);
	craft_ip(&c, "192.0.2.9", "198.51.100.7");
	craft_udp(&c, 1, 80, 1000);
	craft_end(&c);
	craft_fragment(&c, &piece, 0, 800, 1);
	memlink_queue(piece.b, piece.len);
	tcp("192.0.2.9", 1, 3);
	craft_ip(&c, "192.0.2.9", "198.51.100.7");
	craft_udp(&c, 1, 80, 1000);
	craft_end(&c);
	craft_fragment(&c, &piece, 800, 208, 1);
	memlink_queue(piece.b, piece.len);
	udp("192.0.2.9", "198.51.100.7", 1, 80, 6);
	expect("udp 1.5 1.1000 1.6;tcp 1.3;");
	/* the pool has it back, batch after batch */
	for (unsigned i = 0; i < 200; i++) {
		craft_ip(&c, "192.0.2.9", "198.51.100.7");
		craft_udp(&c, 1, 80, 1000);
		craft_end(&c);
		craft_fragment(&c, &piece, 0, 800, i);
		memlink_queue(piece.b, piece.len);
		craft_fragment(&c, &piece, 800, 208, i);
		memlink_queue(piece.b, piece.len);
		expect("udp 1.1000;");
	}
	CHECK_EQ(drops[DROP_FRAGMENT_FULL], 0);
}

TEST(events)
{
	setup();
	link_events()->up(5);
	link_events()->writable(5);
	tcp("192.0.2.20", 1, 0);
	link_events()->readable(5);
	link_events()->down(5);
	CHECK(!strcmp(said, "ndp up;tcp writable;udp writable;tcp 1.0;"
			    "ndp left;flow left;"));
	CHECK(learned(AF_INET, false, "192.0.2.9"));
	CHECK(!memcmp(guest_mac(), "\xff\xff\xff\xff\xff\xff", 6));
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
