// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_conf_ports: port options, what they add up to, and what stands in for
 * those that were not given
 *
 * What is refused is test_conf's. On a host of the test's own.
 */
#include "conf_ports.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/slow.h"
#include "test/unit/hostns.h"
#include "test/unit/unit.h"

static struct portspec tcp, udp, tcp_ns;
static struct conf_ports_wish wish;
static struct conf_family fam[CONF_FAMILIES];

static const struct option_def t = { .name = "tcp-ports", .to = &tcp };
static const struct option_def u = { .name = "udp-ports", .to = &udp,
				     .max = CONF_PORTS_UDP };
static const struct option_def ns = { .name = "tcp-ns", .to = &tcp_ns,
				      .max = CONF_PORTS_NS };

static void setup(void)
{
	memset(&tcp, 0, sizeof(tcp));
	memset(&udp, 0, sizeof(udp));
	memset(&tcp_ns, 0, sizeof(tcp_ns));
	memset(&wish, 0, sizeof(wish));
	fam[CONF_V4].on = fam[CONF_V6].on = true;
	/* what a namespace's loopback takes */
	fam[CONF_V4].local = fam[CONF_V6].local = true;
}

static void read_all(bool allow_auto)
{
	conf_ports_read(&wish, &(struct conf_ports_how){
		.family = fam, .allow_auto = allow_auto });
}

TEST(each_goes_to_its_own)
{
	setup();
	conf_ports_note(&wish, &t, "22");
	conf_ports_note(&wish, &u, "53:54");
	conf_ports_note(&wish, &t, "127.0.0.1/80");
	conf_ports_note(&wish, &ns, "127.0.0.9/443,::1/443,%lo/444");
	CHECK_EQ(wish.count, 4);
	CHECK(!tcp.given && !udp.given);
	read_all(false);
	CHECK_EQ(tcp.count, 2);
	CHECK_EQ(udp.count, 1);
	CHECK_EQ(udp.rule[0].to, 54);
	/* an address of the namespace's loopback need not be the host's */
	CHECK_EQ(tcp_ns.count, 3);
	CHECK(tcp.given && udp.given && tcp_ns.given);
}

/* An engine gives an option for each port that is published */
TEST(very_many)
{
	static char text[CONF_PORT_OPTIONS][32];
	usec_t start = slow_clock();

	setup();
	for (unsigned i = 0; i < CONF_PORT_OPTIONS; i++) {
		snprintf(text[i], sizeof(text[i]), "127.0.0.%u/%u:%u",
			 1 + i % 100, 2000 + 2 * i, 3000 + 3 * i);
		conf_ports_note(&wish, &t, text[i]);
	}
	read_all(false);
	CHECK_EQ(tcp.count, CONF_PORT_OPTIONS);
	conf_ports_beside(&udp, &tcp);
	CHECK_EQ(udp.count, CONF_PORT_OPTIONS);
	/* no search of the address for each port once more for each option */
	CHECK(slow_clock() - start < USEC_PER_SEC / 2);
}

TEST(the_last_none)
{
	setup();
	conf_ports_note(&wish, &t, "22");
	conf_ports_note(&wish, &t, "none");
	conf_ports_note(&wish, &t, "23");
	read_all(false);
	CHECK_EQ(tcp.count, 1);
	CHECK_EQ(tcp.rule[0].first, 23);
}

TEST(udp_beside_tcp)
{
	setup();
	conf_ports_note(&wish, &t, "22:23,30-40:130-140");
	read_all(true);
	conf_ports_beside(&udp, &tcp);
	CHECK_EQ(udp.count, 2);
	CHECK(!udp.given && udp.rule[0].beside);
	CHECK_EQ(udp.rule[0].to, 22);
	CHECK_EQ(udp.rule[1].to, 30);
	/* what is followed by itself is not beside anything */
	setup();
	conf_ports_note(&wish, &t, "auto");
	read_all(true);
	conf_ports_beside(&udp, &tcp);
	CHECK(tcp.count && !udp.count);
	/* and not where it was said */
	setup();
	conf_ports_note(&wish, &t, "22");
	conf_ports_note(&wish, &u, "none");
	read_all(true);
	conf_ports_beside(&udp, &tcp);
	CHECK(udp.given && !udp.count);
}

TEST(auto_where_nothing_is_said)
{
	setup();
	conf_ports_note(&wish, &t, "none");
	read_all(true);
	conf_ports_auto(&tcp, &udp);
	CHECK(tcp.given && !tcp.count);
	CHECK(!udp.given && udp.count && udp.rule[0].automatic);
	/* beside a port by number, which comes first */
	setup();
	conf_ports_note(&wish, &t, "8000:80");
	read_all(true);
	conf_ports_beside(&udp, &tcp);
	conf_ports_auto(&tcp, &udp);
	CHECK_EQ(tcp.count, 1);
	CHECK(udp.count > 1 && !udp.rule[0].automatic);
	CHECK(udp.rule[0].first == 8000 && udp.rule[1].automatic);
}

TEST(families_that_are_off)
{
	setup();
	fam[CONF_V6].on = false;
	conf_ports_note(&wish, &ns, "127.0.0.1/80,::/81,%lo/82");
	read_all(true);
	CHECK_EQ(tcp_ns.count, 3);
}

/* A family that the host has no routes of, where loopback leads to loopback */
TEST(loopback_of_a_family_that_is_off)
{
	setup();
	fam[CONF_V6].on = false;
	conf_ports_note(&wish, &t, "::1/81,::1%lo/80");
	conf_ports_read(&wish, &(struct conf_ports_how){
		.family = fam, .allow_auto = true, .lo_to_lo = true });
	CHECK_EQ(tcp.count, 2);
}

/* On a host whose ephemeral ports are all in use, an address is still its own */
TEST(no_port_is_free)
{
	static const char range[] = "/proc/sys/net/ipv4/ip_local_port_range";
	const struct endpoint e = { .addr = ADDR_ANY4, .port = 60000 };
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	setup();
	CHECK(!bind(fd, &sa.sa, len));
	CHECK(hostns_write(range, "60000 60000"));
	conf_ports_note(&wish, &t, "127.0.0.1/80");
	read_all(false);
	CHECK_EQ(tcp.count, 1);
	CHECK(hostns_write(range, "32768 60999"));
	close(fd);
}

int main(int argc, char **argv)
{
	return hostns_enter() ? unit_main(argc, argv) : 1;
}
