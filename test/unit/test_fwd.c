// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_fwd: each rule of address translation
 */
#include "fwd.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "guest.h"
#include "test/unit/craft.h"
#include "test/unit/fakens.h"
#include "test/unit/unit.h"

static struct conf conf;

static void setup_rules(struct conf *c)
{
	c->tcp_ports = (struct portspec){ .given = true };
	c->tcp_ports.count = 2;
	c->tcp_ports.rule[0] = (struct port_rule){
		.first = 2000, .last = 2010, .to = 3000,
	};
	c->tcp_ports.rule[1] = (struct port_rule){
		.first = 22, .last = 22, .to = 22,
		.has_target = true, .target = craft_addr("192.0.2.9"),
	};
}

/* The guest shares 192.0.2.2 and 2001:db8::2; the gateways map to loopback */
static void setup(void)
{
	struct conf_family *v4 = &conf.family[CONF_V4];
	struct conf_family *v6 = &conf.family[CONF_V6];

	memset(&conf, 0, sizeof(conf));
	v4->on = v6->on = true;
	v4->addr = craft_addr("192.0.2.2");
	v4->map_host_loopback = craft_addr("192.0.2.1");
	v6->addr = craft_addr("2001:db8::2");
	v6->map_host_loopback = craft_addr("fe80::1");
	v6->ifindex = 7;
	setup_rules(&conf);
	guest_init(&(struct guest_conf){ .addr4 = v4->addr,
					 .addr6 = v6->addr,
					 .our_ll = craft_addr("fe80::aa55") });
	fwd_init(&conf);
}

/* Where what the guest sends arrives: "" if nowhere */
static const char *to_host(uint8_t proto, const char *dst, uint16_t port)
{
	static char text[ADDR_STRLEN];
	struct flow_side g = { .local = craft_addr(dst), .lport = port }, h;
	struct endpoint e;

	g.remote = conf_family_of(&conf, &g.local)->addr;
	g.rport = 1234;
	memset(&h, 0xff, sizeof(h));
	if (!fwd_to_host(proto, &g, &h))
		return "";
	CHECK_EQ(h.place, FLOW_AT_HOST);
	CHECK_EQ(h.lport, 0);
	CHECK_EQ(addr_family(&h.local), addr_family(&h.remote));
	e = (struct endpoint){ h.remote, h.rport, 0 };
	return addr_format_port(&e, text, sizeof(text));
}

#define CHECK_TO(proto, dst, port, expect)				\
	CHECK(!strcmp(to_host(IPPROTO_##proto, dst, port), expect))

TEST(destinations_are_kept)
{
	setup();
	CHECK_TO(TCP, "198.51.100.1", 80, "198.51.100.1:80");
	CHECK_TO(UDP, "2001:db8:1::1", 53, "[2001:db8:1::1]:53");
	CHECK_TO(ICMP, "198.51.100.1", 0, "198.51.100.1:0");
}

TEST(nowhere_to_go)
{
	setup();
	CHECK_TO(TCP, "127.0.0.1", 80, "");
	CHECK_TO(UDP, "127.1.2.3", 80, "");
	CHECK_TO(TCP, "::1", 80, "");
	CHECK_TO(UDP, "224.0.0.251", 5353, "");
	CHECK_TO(UDP, "ff02::fb", 5353, "");
	CHECK_TO(UDP, "255.255.255.255", 67, "");
	CHECK_TO(TCP, "0.0.0.0", 80, "");
	CHECK_TO(TCP, "::", 80, "");
	conf.family[CONF_V6].on = false;
	CHECK_TO(TCP, "2001:db8:1::1", 80, "");
	CHECK_TO(TCP, "198.51.100.1", 80, "198.51.100.1:80");
}

TEST(host_loopback_is_mapped)
{
	setup();
	CHECK_TO(TCP, "192.0.2.1", 80, "127.0.0.1:80");
	CHECK_TO(TCP, "fe80::1", 80, "[::1]:80");
	CHECK_TO(ICMP, "192.0.2.1", 0, "127.0.0.1:0");
	conf.family[CONF_V4].map_host_loopback = ADDR_ANY6;
	CHECK_TO(TCP, "192.0.2.1", 80, "192.0.2.1:80");
	conf.family[CONF_V4].map_host_loopback = ADDR_ANY4;
	CHECK_TO(TCP, "0.0.0.0", 80, "");
}

/* By our link-local address the guest's routes know the gateway */
TEST(our_own_address_is_the_gateways)
{
	setup();
	CHECK_TO(TCP, "fe80::aa55", 80, "[fe80::aa55]:80");
	conf.family[CONF_V6].gateway = craft_addr("fe80::1");
	CHECK_TO(TCP, "fe80::aa55", 80, "[::1]:80");
	CHECK_TO(TCP, "fe80::aa56", 80, "[fe80::aa56]:80");
	conf.family[CONF_V6].map_host_loopback = craft_addr("2001:db8::77");
	CHECK_TO(TCP, "fe80::aa55", 80, "[fe80::aa55]:80");
	conf.family[CONF_V6].map_host_loopback = ADDR_ANY6;
	conf.family[CONF_V6].gateway = ADDR_ANY6;
	CHECK_TO(TCP, "fe80::aa55", 80, "[fe80::aa55]:80");
}

TEST(resolver_behind_host_loopback)
{
	setup();
	conf.family[CONF_V4].dns_to_host = craft_addr("127.0.0.53");
	CHECK_TO(UDP, "192.0.2.1", 53, "127.0.0.53:53");
	CHECK_TO(TCP, "192.0.2.1", 53, "127.0.0.53:53");
	CHECK_TO(UDP, "192.0.2.1", 853, "127.0.0.1:853");
	CHECK_TO(UDP, "192.0.2.1", 54, "127.0.0.1:54");
	CHECK_TO(ICMP, "192.0.2.1", 53, "127.0.0.1:53");
	CHECK_TO(UDP, "fe80::1", 53, "[::1]:53");
}

TEST(dns_forward)
{
	setup();
	conf.family[CONF_V4].dns_forward = craft_addr("192.0.2.1");
	conf.family[CONF_V4].dns_host = craft_addr("9.9.9.9");
	conf.family[CONF_V6].dns_forward = craft_addr("2001:db8::53");
	conf.family[CONF_V6].dns_host = craft_addr("::1");
	CHECK_TO(UDP, "192.0.2.1", 53, "9.9.9.9:53");
	CHECK_TO(TCP, "192.0.2.1", 853, "9.9.9.9:853");
	CHECK_TO(TCP, "192.0.2.1", 80, "127.0.0.1:80");
	CHECK_TO(UDP, "2001:db8::53", 53, "[::1]:53");
	CHECK_TO(UDP, "2001:db8::53", 54, "[2001:db8::53]:54");
	conf.family[CONF_V4].dns_host = ADDR_ANY6;
	CHECK_TO(UDP, "192.0.2.1", 53, "");
}

TEST(guest_address_on_the_host)
{
	setup();
	conf.family[CONF_V4].map_guest_addr = craft_addr("192.0.2.3");
	CHECK_TO(TCP, "192.0.2.3", 80, "192.0.2.2:80");
	CHECK_TO(UDP, "192.0.2.4", 80, "192.0.2.4:80");
}

TEST(scope_and_source_of_outbound)
{
	struct flow_side g = { .local = craft_addr("fe80::99"),
			       .lport = 80 }, h;

	setup();
	conf.family[CONF_V4].outbound = craft_addr("192.0.2.7");
	conf.family[CONF_V6].outbound = craft_addr("2001:db8::7");
	CHECK(fwd_to_host(IPPROTO_TCP, &g, &h));
	CHECK_EQ(h.ifindex, 7);
	g.local = craft_addr("2001:db8::99");
	CHECK(fwd_to_host(IPPROTO_TCP, &g, &h));
	CHECK_EQ(h.ifindex, 0);
	CHECK(addr_equal(&h.local, &conf.family[CONF_V6].outbound));
	g.local = craft_addr("198.51.100.1");
	CHECK(fwd_to_host(IPPROTO_TCP, &g, &h));
	CHECK(addr_equal(&h.local, &conf.family[CONF_V4].outbound));
	g.local = craft_addr("192.0.2.1");
	CHECK(fwd_to_host(IPPROTO_TCP, &g, &h));
	CHECK(addr_equal(&h.local, &ADDR_ANY4));
}

/* "source as the guest sees it > guest", "" if refused */
static const char *to_guest(unsigned rule, const char *client, uint16_t port)
{
	static char text[3 * ADDR_STRLEN];
	struct flow_side h = { .remote = craft_addr(client), .rport = 5555,
			       .local = craft_addr("192.0.2.2"),
				.lport = port }, g;
	struct endpoint l, r;
	char a[ADDR_STRLEN], b[ADDR_STRLEN];

	memset(&g, 0xff, sizeof(g));
	if (!fwd_to_guest(fwd_rule(IPPROTO_TCP, FWD_IN, rule), &h, &g))
		return "";
	CHECK_EQ(g.place, FLOW_AT_GUEST);
	CHECK_EQ(g.ifindex, 0);
	l = (struct endpoint){ g.local, g.lport, 0 };
	r = (struct endpoint){ g.remote, g.rport, 0 };
	addr_format_port(&l, a, sizeof(a));
	addr_format_port(&r, b, sizeof(b));
	snprintf(text, sizeof(text), "%s > %s", a, b);
	return text;
}

#define CHECK_FROM(rule, client, port, expect)				\
	CHECK(!strcmp(to_guest(rule, client, port), expect))

TEST(inbound_keeps_the_client)
{
	setup();
	CHECK_FROM(0, "198.51.100.1", 2000,
		   "198.51.100.1:5555 > 192.0.2.2:3000");
	CHECK_FROM(0, "198.51.100.1", 2010,
		   "198.51.100.1:5555 > 192.0.2.2:3010");
	CHECK_FROM(0, "2001:db8:9::1", 2001,
		   "[2001:db8:9::1]:5555 > [2001:db8::2]:3001");
	CHECK_FROM(0, "224.0.0.1", 2000, "");
}

TEST(inbound_goes_to_the_address_last_seen)
{
	struct addr a = craft_addr("192.0.2.77");

	setup();
	guest_learn_addr(&a);
	CHECK_FROM(0, "198.51.100.1", 2000,
		   "198.51.100.1:5555 > 192.0.2.77:3000");
	/* both the one in use and the one given are the guest's */
	CHECK_FROM(0, "192.0.2.77", 2000, "192.0.2.1:5555 > 192.0.2.77:3000");
	CHECK_FROM(0, "192.0.2.2", 2000, "192.0.2.1:5555 > 192.0.2.77:3000");
}

TEST(inbound_from_loopback_is_mapped)
{
	struct addr ll = craft_addr("fe80::aa");

	setup();
	CHECK_FROM(0, "127.0.0.1", 2000, "192.0.2.1:5555 > 192.0.2.2:3000");
	CHECK_FROM(0, "127.9.9.9", 2000, "192.0.2.1:5555 > 192.0.2.2:3000");
	CHECK_FROM(0, "::1", 2000, "[fe80::1]:5555 > [2001:db8::2]:3000");
	guest_learn_addr(&ll);
	CHECK_FROM(0, "::1", 2000, "[fe80::1]:5555 > [fe80::aa]:3000");
	conf.family[CONF_V4].map_host_loopback = craft_addr("192.0.2.8");
	CHECK_FROM(0, "127.0.0.1", 2000, "192.0.2.8:5555 > 192.0.2.2:3000");
	CHECK_FROM(0, "192.0.2.2", 2000, "192.0.2.8:5555 > 192.0.2.2:3000");
	/* the host has no name, but can be answered */
	conf.family[CONF_V4].gateway = craft_addr("192.0.2.1");
	conf.family[CONF_V4].map_host_loopback = ADDR_ANY6;
	CHECK_FROM(0, "127.0.0.1", 2000, "192.0.2.1:5555 > 192.0.2.2:3000");
	CHECK_FROM(0, "192.0.2.2", 2000, "192.0.2.1:5555 > 192.0.2.2:3000");
	conf.family[CONF_V4].gateway = ADDR_ANY6;
	CHECK_FROM(0, "127.0.0.1", 2000, "");
	CHECK_FROM(0, "192.0.2.2", 2000, "");
	CHECK_FROM(0, "198.51.100.1", 2000,
		   "198.51.100.1:5555 > 192.0.2.2:3000");
}

/* The address that both share is told apart by the guest's name for the host's */
TEST(inbound_from_shared_address_is_mapped)
{
	setup();
	conf.family[CONF_V4].gateway = craft_addr("192.0.2.1");
	conf.family[CONF_V4].map_guest_addr = craft_addr("169.254.1.2");
	CHECK_FROM(0, "192.0.2.2", 2000, "169.254.1.2:5555 > 192.0.2.2:3000");
	CHECK_FROM(0, "127.0.0.1", 2000, "192.0.2.1:5555 > 192.0.2.2:3000");
	conf.family[CONF_V4].map_host_loopback = ADDR_ANY6;
	CHECK_FROM(0, "192.0.2.2", 2000, "169.254.1.2:5555 > 192.0.2.2:3000");
	CHECK_FROM(0, "127.0.0.1", 2000, "192.0.2.1:5555 > 192.0.2.2:3000");
	conf.family[CONF_V4].map_guest_addr = ADDR_ANY6;
	CHECK_FROM(0, "192.0.2.2", 2000, "192.0.2.1:5555 > 192.0.2.2:3000");
}

TEST(inbound_link_local)
{
	struct addr ll = craft_addr("fe80::aa");

	setup();
	CHECK_FROM(0, "fe80::5", 2000, "[fe80::5]:5555 > [2001:db8::2]:3000");
	guest_learn_addr(&ll);
	CHECK_FROM(0, "fe80::5", 2000, "[fe80::5]:5555 > [fe80::aa]:3000");
	CHECK_FROM(0, "2001:db8:9::1", 2000,
		   "[2001:db8:9::1]:5555 > [2001:db8::2]:3000");
	CHECK_FROM(0, "fe80::aa", 2000, "[fe80::1]:5555 > [fe80::aa]:3000");
}

TEST(inbound_to_a_target)
{
	setup();
	CHECK_FROM(1, "198.51.100.1", 22, "198.51.100.1:5555 > 192.0.2.9:22");
	CHECK_FROM(1, "192.0.2.9", 22, "192.0.2.1:5555 > 192.0.2.9:22");
	CHECK_FROM(1, "2001:db8:9::1", 22, "");
}

TEST(inbound_without_an_address_of_the_family)
{
	setup();
	guest_init(&(struct guest_conf){ .addr4 = conf.family[CONF_V4].addr,
					 .addr6 = ADDR_ANY6 });
	CHECK_FROM(0, "2001:db8:9::1", 2000, "");
}

TEST(rules_of_each_protocol)
{
	setup();
	CHECK(fwd_rule(IPPROTO_TCP, FWD_IN, 1));
	CHECK(!fwd_rule(IPPROTO_TCP, FWD_IN, 2));
	CHECK(!fwd_rule(IPPROTO_TCP, FWD_OUT, 0));
	CHECK_EQ(fwd_rule(IPPROTO_TCP, FWD_IN, 0)->to, 3000);
	CHECK(!fwd_rule(IPPROTO_UDP, FWD_IN, 0));
	conf.udp_ports = (struct portspec){ .given = true, .count = 1 };
	conf.udp_ports.rule[0] = (struct port_rule){ .first = 9, .last = 9,
						     .to = 10 };
	fwd_init(&conf);
	CHECK_EQ(fwd_rule(IPPROTO_UDP, FWD_IN, 0)->to, 10);
	CHECK(!fwd_rule(IPPROTO_UDP, FWD_IN, 1));
	conf.udp_ports.none = true;
	fwd_init(&conf);
	CHECK(!fwd_rule(IPPROTO_UDP, FWD_IN, 0));
}

/* Where past the link a client of port 2005 is led, "" if by the link */
static const char *spliced(enum fwd_way way, unsigned rule, const char *client)
{
	static char text[ADDR_STRLEN];
	const struct port_rule *r = fwd_rule(IPPROTO_TCP, FWD_IN, rule);
	struct flow_side from = { .remote = craft_addr(client), .rport = 5555,
				  .local = craft_addr(client),
				  .lport = (uint16_t)(r->first + (rule ? 0 : 5)),
				  .place = way == FWD_IN ? FLOW_AT_HOST :
							   FLOW_AT_NS }, to;
	struct endpoint e;

	memset(&to, 0xff, sizeof(to));
	if (!fwd_splice(way, r, &from, &to))
		return "";
	CHECK_EQ(to.place, way == FWD_IN ? FLOW_AT_NS : FLOW_AT_HOST);
	CHECK(addr_is_unspecified(&to.local) && !to.lport && !to.ifindex);
	CHECK_EQ(addr_family(&to.local), addr_family(&to.remote));
	e = (struct endpoint){ to.remote, to.rport, 0 };
	return addr_format_port(&e, text, sizeof(text));
}

#define CHECK_SPLICE(way, rule, client, expect)				\
	CHECK(!strcmp(spliced(way, rule, client), expect))

TEST(past_the_link_to_the_namespace)
{
	struct addr seen = craft_addr("192.0.2.77");

	setup();
	CHECK_SPLICE(FWD_IN, 0, "127.0.0.1", "");
	fakens_on = true;
	CHECK_SPLICE(FWD_IN, 0, "127.0.0.1", "192.0.2.2:3005");
	CHECK_SPLICE(FWD_IN, 0, "127.9.9.9", "192.0.2.2:3005");
	CHECK_SPLICE(FWD_IN, 0, "::1", "[2001:db8::2]:3005");
	CHECK_SPLICE(FWD_IN, 1, "127.0.0.1", "192.0.2.9:22");
	CHECK_SPLICE(FWD_IN, 1, "::1", "192.0.2.9:22");
	CHECK_SPLICE(FWD_IN, 0, "192.0.2.2", "");
	CHECK_SPLICE(FWD_IN, 0, "198.51.100.1", "");
	CHECK_SPLICE(FWD_IN, 0, "fe80::1", "");
	guest_learn_addr(&seen);
	CHECK_SPLICE(FWD_IN, 0, "127.0.0.1", "192.0.2.77:3005");
	conf.no_splice = true;
	CHECK_SPLICE(FWD_IN, 0, "127.0.0.1", "");
	conf.no_splice = false;
	conf.host_lo_to_ns_lo = true;
	CHECK_SPLICE(FWD_IN, 0, "127.9.9.9", "127.9.9.9:3005");
	CHECK_SPLICE(FWD_IN, 0, "::1", "[::1]:3005");
	CHECK_SPLICE(FWD_IN, 1, "127.0.0.1", "192.0.2.9:22");
	fakens_on = false;
}

/* A guest without an address of the family is reached by the link, if at all */
TEST(past_the_link_to_no_address)
{
	setup();
	fakens_on = true;
	guest_init(&(struct guest_conf){ .addr4 = conf.family[CONF_V4].addr,
					 .addr6 = ADDR_ANY6 });
	CHECK_SPLICE(FWD_IN, 0, "::1", "");
	fakens_on = false;
}

TEST(nothing_but_past_the_link)
{
	setup();
	fakens_on = true;
	conf.ns.no_tap = true;
	CHECK_SPLICE(FWD_IN, 0, "127.0.0.1", "127.0.0.1:3005");
	CHECK_SPLICE(FWD_IN, 0, "::1", "[::1]:3005");
	CHECK_SPLICE(FWD_IN, 0, "198.51.100.1", "");
	CHECK_FROM(0, "198.51.100.1", 2000, "");
	fakens_on = false;
}

TEST(past_the_link_to_the_host)
{
	setup();
	conf.no_splice = true;
	CHECK_SPLICE(FWD_OUT, 0, "127.0.0.1", "127.0.0.1:3005");
	CHECK_SPLICE(FWD_OUT, 0, "::1", "[::1]:3005");
	CHECK_SPLICE(FWD_OUT, 0, "127.0.0.53", "127.0.0.53:3005");
	CHECK_SPLICE(FWD_OUT, 0, "192.0.2.2", "127.0.0.1:3005");
	CHECK_SPLICE(FWD_OUT, 1, "::1", "192.0.2.9:22");
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
