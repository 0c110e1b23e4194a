// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_conf_host: what stands in for what neither the user nor the host says
 */
#include "conf_host.h"

#include <string.h>
#include <sys/socket.h>

#include "test/unit/craft.h"
#include "test/unit/hostns.h"
#include "test/unit/unit.h"

static struct conf_family fam[CONF_FAMILIES];
static struct conf_host_wish wish;
static struct netlink_uplink up[CONF_FAMILIES];
static struct resolv resolv;

static bool is(const struct addr *a, const char *text)
{
	struct addr b = craft_addr(text);

	return addr_equal(a, &b);
}

/* A host with one interface and both families */
static void setup(void)
{
	memset(fam, 0, sizeof(fam));
	memset(&wish, 0, sizeof(wish));
	memset(&resolv, 0, sizeof(resolv));
	for (int i = 0; i < CONF_FAMILIES; i++)
		up[i] = (struct netlink_uplink){ .ifindex = 2, .mtu = 1500,
						 .ifname = "eth0",
						 .has_route = true,
						 .default_route = true };
	up[CONF_V4].addr = craft_addr("192.0.2.2");
	up[CONF_V4].prefix = 25;
	up[CONF_V4].gateway = craft_addr("192.0.2.1");
	up[CONF_V6].addr = craft_addr("2001:db8::2");
	up[CONF_V6].prefix = 60;
	up[CONF_V6].gateway = craft_addr("fe80::9");
}

static void fill(void)
{
	conf_host_fill(fam, &wish, up);
}

TEST(all_from_the_host)
{
	setup();
	fill();
	CHECK(fam[CONF_V4].on && fam[CONF_V6].on);
	CHECK(is(&fam[CONF_V4].addr, "192.0.2.2"));
	CHECK_EQ(fam[CONF_V4].prefix, 25);
	CHECK(is(&fam[CONF_V4].gateway, "192.0.2.1"));
	CHECK(is(&fam[CONF_V4].map_host_loopback, "192.0.2.1"));
	CHECK(!fam[CONF_V4].no_gateway);
	CHECK(!strcmp(fam[CONF_V4].ifname, "eth0"));
	CHECK_EQ(fam[CONF_V4].ifindex, 2);
	CHECK_EQ(fam[CONF_V4].host_mtu, 1500);
	CHECK(is(&fam[CONF_V6].addr, "2001:db8::2"));
	CHECK_EQ(fam[CONF_V6].prefix, 60);
	CHECK(is(&fam[CONF_V6].gateway, "fe80::9"));
}

TEST(what_was_given_stays)
{
	setup();
	fam[CONF_V4].addr = craft_addr("192.0.2.9");
	fam[CONF_V4].gateway = craft_addr("192.0.2.8");
	fam[CONF_V4].map_host_loopback = craft_addr("192.0.2.7");
	fam[CONF_V6].addr = craft_addr("2001:db8:9::9");
	fill();
	CHECK(is(&fam[CONF_V4].addr, "192.0.2.9"));
	/* within the host's prefix, so of its length */
	CHECK_EQ(fam[CONF_V4].prefix, 25);
	CHECK(is(&fam[CONF_V4].gateway, "192.0.2.8"));
	CHECK(is(&fam[CONF_V4].map_host_loopback, "192.0.2.7"));
	CHECK_EQ(fam[CONF_V6].prefix, 64);
	setup();
	fam[CONF_V4].addr = craft_addr("192.0.2.129");
	fill();
	CHECK_EQ(fam[CONF_V4].prefix, 24);
	setup();
	fam[CONF_V4].addr = craft_addr("192.0.2.9");
	fam[CONF_V4].prefix = 30;
	wish.has_prefix[CONF_V4] = true;
	fill();
	CHECK_EQ(fam[CONF_V4].prefix, 30);
	setup();
	wish.has_netmask = true;
	wish.netmask = 8;
	fill();
	CHECK_EQ(fam[CONF_V4].prefix, 8);
	CHECK_EQ(fam[CONF_V6].prefix, 60);
}

TEST(one_family)
{
	setup();
	up[CONF_V6] = (struct netlink_uplink){ .ifindex = 0 };
	fill();
	CHECK(fam[CONF_V4].on && !fam[CONF_V6].on);
	CHECK(fam[CONF_V4].local && fam[CONF_V6].local);
	setup();
	up[CONF_V4] = (struct netlink_uplink){ .ifindex = 0 };
	fill();
	CHECK(!fam[CONF_V4].on && fam[CONF_V6].on);
	/* asked for nevertheless */
	setup();
	up[CONF_V6] = (struct netlink_uplink){ .ifindex = 0 };
	fam[CONF_V6].addr = craft_addr("2001:db8::5");
	fill();
	CHECK(fam[CONF_V4].on && fam[CONF_V6].on);
	CHECK(is(&fam[CONF_V6].gateway, "fe80::1"));
	setup();
	wish.only[CONF_V4] = true;
	fill();
	CHECK(fam[CONF_V4].on && !fam[CONF_V6].on);
	CHECK(fam[CONF_V4].local && !fam[CONF_V6].local);
}

TEST(no_network)
{
	setup();
	memset(up, 0, sizeof(up));
	fill();
	CHECK(fam[CONF_V4].on && fam[CONF_V6].on);
	CHECK(is(&fam[CONF_V4].addr, "169.254.2.1"));
	CHECK_EQ(fam[CONF_V4].prefix, 16);
	CHECK(is(&fam[CONF_V4].gateway, "169.254.2.2"));
	CHECK(addr_is_unspecified(&fam[CONF_V6].addr));
	CHECK(is(&fam[CONF_V6].gateway, "fe80::1"));
	CHECK(!fam[CONF_V4].no_gateway);
}

/* A route, but no address: the family is there all the same */
TEST(no_address)
{
	setup();
	up[CONF_V4].addr = ADDR_ANY6;
	fill();
	CHECK(fam[CONF_V4].on && fam[CONF_V6].on);
	setup();
	up[CONF_V4].addr = up[CONF_V6].addr = ADDR_ANY6;
	fill();
	CHECK(fam[CONF_V4].on && fam[CONF_V6].on);
	CHECK(is(&fam[CONF_V4].addr, "169.254.2.1"));
	CHECK_EQ(fam[CONF_V4].prefix, 16);
	CHECK(is(&fam[CONF_V4].gateway, "192.0.2.1"));
	CHECK(addr_is_unspecified(&fam[CONF_V6].addr));
}

TEST(no_gateway)
{
	setup();
	up[CONF_V4].gateway = up[CONF_V6].gateway = ADDR_ANY6;
	fill();
	CHECK(fam[CONF_V4].no_gateway);
	CHECK(addr_is_unspecified(&fam[CONF_V4].map_host_loopback));
	CHECK(is(&fam[CONF_V6].gateway, "fe80::1"));
	/* an address on a link that leads nowhere else */
	setup();
	up[CONF_V4].gateway = ADDR_ANY6;
	up[CONF_V4].default_route = false;
	fill();
	CHECK(!fam[CONF_V4].no_gateway);
	CHECK(is(&fam[CONF_V4].gateway, "169.254.2.2"));
}

TEST(no_map)
{
	setup();
	wish.no_map_gw = true;
	fill();
	CHECK(addr_is_unspecified(&fam[CONF_V4].map_host_loopback));
	setup();
	wish.no_map_gw = true;
	fam[CONF_V4].map_host_loopback = craft_addr("192.0.2.7");
	fill();
	CHECK(is(&fam[CONF_V4].map_host_loopback, "192.0.2.7"));
}

static void server(const char *text)
{
	resolv.server[resolv.servers++].addr = craft_addr(text);
}

TEST(names)
{
	setup();
	server("127.0.0.53");
	server("192.0.2.53");
	server("2001:db8::53");
	fill();
	conf_host_names(fam, &wish, &resolv);
	CHECK_EQ(fam[CONF_V4].dns_count, 2);
	CHECK(is(&fam[CONF_V4].dns[0], "192.0.2.1"));
	CHECK(is(&fam[CONF_V4].dns[1], "192.0.2.53"));
	CHECK(is(&fam[CONF_V4].dns_to_host, "127.0.0.53"));
	CHECK(is(&fam[CONF_V4].dns_host, "127.0.0.53"));
	CHECK(is(&fam[CONF_V6].dns_host, "2001:db8::53"));
	CHECK_EQ(fam[CONF_V6].dns_count, 1);
}

TEST(name_server_at_the_shared_address)
{
	setup();
	server("192.0.2.2");
	fill();
	CHECK(is(&fam[CONF_V4].addr, "192.0.2.2"));
	conf_host_names(fam, &wish, &resolv);
	CHECK_EQ(fam[CONF_V4].dns_count, 1);
	CHECK(is(&fam[CONF_V4].dns[0], "192.0.2.1"));
	CHECK(is(&fam[CONF_V4].dns_to_host, "192.0.2.2"));
}

TEST(names_given)
{
	setup();
	server("127.0.0.53");
	wish.dns = true;
	fam[CONF_V4].dns[0] = craft_addr("192.0.2.99");
	fam[CONF_V4].dns_count = 1;
	fam[CONF_V4].dns_host = craft_addr("192.0.2.98");
	fill();
	conf_host_names(fam, &wish, &resolv);
	CHECK_EQ(fam[CONF_V4].dns_count, 1);
	CHECK(is(&fam[CONF_V4].dns[0], "192.0.2.99"));
	CHECK(is(&fam[CONF_V4].dns_host, "192.0.2.98"));
	CHECK(is(&fam[CONF_V4].dns_to_host, "127.0.0.53"));
}

TEST(names_out_of_reach)
{
	setup();
	server("127.0.0.53");
	wish.no_map_gw = true;
	fill();
	conf_host_names(fam, &wish, &resolv);
	CHECK_EQ(fam[CONF_V4].dns_count, 0);
	CHECK_EQ(fam[CONF_V4].dns_left_out, 1);
}

TEST(binding)
{
	struct addr mine, other = craft_addr("192.0.2.77"), any = ADDR_ANY6;
	struct addr other6 = craft_addr("2001:db8::77"), lo = ADDR_LOOPBACK4;

	setup();
	fill();
	mine = craft_addr("192.0.2.2");
	CHECK(!conf_host_cannot_bind(fam, &mine, "", false, false));
	CHECK(!conf_host_cannot_bind(fam, &any, "", false, false));
	CHECK(!conf_host_cannot_bind(fam, &any, "lo", false, false));
	CHECK(conf_host_cannot_bind(fam, &any, "nosuch0", false, false));
	CHECK(conf_host_cannot_bind(fam, &other, "", false, false));
	CHECK(!conf_host_cannot_bind(fam, &other, "", true, false));
	CHECK(conf_host_cannot_bind(fam, &other6, "", false, false));
	CHECK(!conf_host_cannot_bind(fam, &other6, "", true, false));
	fam[CONF_V4].on = false;
	CHECK(conf_host_cannot_bind(fam, &mine, "", false, false));
	CHECK(conf_host_cannot_bind(fam, &lo, "", false, false));
	fam[CONF_V4].local = true;
	CHECK(conf_host_cannot_bind(fam, &lo, "", false, false));
	CHECK(!conf_host_cannot_bind(fam, &lo, "", false, true));
	CHECK(conf_host_cannot_bind(fam, &mine, "", false, true));
	fam[CONF_V4].local = false;
	CHECK(conf_host_cannot_bind(fam, &lo, "", false, true));
}

int main(int argc, char **argv)
{
	if (!hostns_enter() || !hostns_address("192.0.2.2"))
		return 1;
	return unit_main(argc, argv);
}
