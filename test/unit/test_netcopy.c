// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_netcopy: dumps of addresses and routes, as the kernel writes them
 *
 * Messages are built by hand; hosts of many kinds are test_netconf's.
 */
#include "host/netcopy.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host/rtnl.h"
#include "test/unit/unit.h"

/* Of both families, of interface 2 */
static const struct netcopy_want all = { { 2, 2 }, { 2, 2 } };
static _Alignas(4) uint8_t buf[2 << 20];
static struct out o;
static size_t begun;
static const struct netcopy *f;

static void setup(void)
{
	netcopy_forget();
	f = netcopy_found();
	o = out_of(buf, sizeof(buf));
}

static struct addr addr(const char *text)
{
	struct addr a = ADDR_ANY6;

	CHECK(addr_parse(text, &a));
	return a;
}

static bool is(const struct addr *a, const char *text)
{
	struct addr b = addr(text);

	return addr_equal(a, &b);
}

static void begin(uint16_t type, const void *body, size_t len)
{
	struct nlmsghdr h = { .nlmsg_type = type };

	begun = o.len;
	out_bytes(&o, &h, sizeof(h));
	out_bytes(&o, body, len);
}

static void end(void)
{
	uint32_t len = (uint32_t)(o.len - begun);

	memcpy(buf + begun, &len, sizeof(len));
}

static void put_addr(uint16_t type, const char *text)
{
	struct addr a = addr(text);

	rtnl_put_addr(&o, type, &a);
}

static struct ifaddrmsg ifa(const char *text, unsigned prefix)
{
	struct addr a = addr(text);

	return (struct ifaddrmsg){
		.ifa_family = (unsigned char)addr_family(&a),
		.ifa_prefixlen = (unsigned char)prefix, .ifa_index = 2 };
}

static void address(const char *text, const struct ifaddrmsg *m, uint32_t flags)
{
	begin(RTM_NEWADDR, m, sizeof(*m));
	put_addr(IFA_ADDRESS, text);
	if (flags)
		rtnl_put_u32(&o, IFA_FLAGS, flags);
	end();
}

static struct rtmsg rtm(int family, unsigned dst_len)
{
	return (struct rtmsg){ .rtm_family = (unsigned char)family,
			       .rtm_dst_len = (unsigned char)dst_len,
			       .rtm_table = RT_TABLE_MAIN,
			       .rtm_type = RTN_UNICAST };
}

static void route(const struct rtmsg *m, const char *dst, const char *via,
		  uint32_t oif)
{
	begin(RTM_NEWROUTE, m, sizeof(*m));
	if (dst)
		put_addr(RTA_DST, dst);
	if (via)
		put_addr(RTA_GATEWAY, via);
	rtnl_put_u32(&o, RTA_OIF, oif);
	end();
}

/* From a block of its own size: reading on is seen */
static int parse(const struct netcopy_want *w)
{
	void *copy = malloc(o.len ? o.len : 1);
	int rc;

	CHECK(!o.overflow);
	memcpy(copy, buf, o.len);
	rc = netcopy_parse(w, copy, o.len);
	free(copy);
	o.len = 0;
	return rc;
}

TEST(addresses)
{
	struct ifaddrmsg m = ifa("192.0.2.2", 24);

	setup();
	m.ifa_scope = RT_SCOPE_LINK;
	begin(RTM_NEWADDR, &m, sizeof(m));
	put_addr(IFA_LOCAL, "192.0.2.2");
	put_addr(IFA_ADDRESS, "192.0.2.9");
	put_addr(IFA_BROADCAST, "192.0.2.255");
	rtnl_put_u32(&o, IFA_FLAGS, IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE);
	rtnl_put_u32(&o, IFA_RT_PRIORITY, 77);
	end();
	CHECK_EQ(parse(&all), 0);
	CHECK_EQ(f->addrs, 1);
	CHECK(is(&f->addr[0].addr, "192.0.2.2"));
	CHECK(is(&f->addr[0].peer, "192.0.2.9"));
	CHECK(is(&f->addr[0].broadcast, "192.0.2.255"));
	CHECK_EQ(f->addr[0].prefix, 24);
	CHECK_EQ(f->addr[0].scope, RT_SCOPE_LINK);
	CHECK_EQ(f->addr[0].flags, IFA_F_NOPREFIXROUTE);
	CHECK_EQ(f->addr[0].metric, 77);

	/* without a peer, and old kernels' flags */
	m = ifa("2001:db8::2", 64);
	m.ifa_flags = IFA_F_DEPRECATED | IFA_F_TEMPORARY;
	address("2001:db8::2", &m, 0);
	CHECK_EQ(parse(&all), 0);
	CHECK_EQ(f->addrs, 2);
	CHECK(addr_equal(&f->addr[1].peer, &f->addr[1].addr));
	CHECK_EQ(f->addr[1].flags, IFA_F_DEPRECATED);
}

TEST(addresses_that_are_not_copied)
{
	static const char *const not[] = { "fe80::2", "127.0.0.1", "::1",
		"0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255" };
	static const struct netcopy_want none, four = { { 2, 0 }, { 2, 2 } };
	struct ifaddrmsg m;

	setup();
	for (unsigned i = 0; i < sizeof(not) / sizeof(not[0]); i++) {
		m = ifa(not[i], 8);
		address(not[i], &m, 0);
	}
	m = ifa("192.0.2.2", 33);
	address("192.0.2.2", &m, 0);
	m = ifa("2001:db8::2", 129);
	address("2001:db8::2", &m, 0);
	m = ifa("2001:db8::2", 64);
	address("2001:db8::2", &m, IFA_F_DADFAILED);
	m.ifa_index = 3;
	address("2001:db8::3", &m, 0);
	m.ifa_index = 0;
	address("2001:db8::4", &m, 0);
	m.ifa_family = AF_UNIX;
	address("2001:db8::5", &m, 0);
	CHECK_EQ(parse(&all), 0);
	CHECK_EQ(f->addrs, 0);
	m = ifa("2001:db8::2", 64);
	address("2001:db8::2", &m, 0);
	CHECK_EQ(parse(&four), 0);
	m.ifa_index = 0;
	address("2001:db8::2", &m, 0);
	CHECK_EQ(parse(&none), 0);
	CHECK_EQ(f->addrs, 0);
}

TEST(too_many_addresses)
{
	struct ifaddrmsg m = ifa("192.0.2.2", 24);

	setup();
	for (unsigned i = 0; i < NETCOPY_ADDRS; i++)
		address("192.0.2.2", &m, 0);
	CHECK_EQ(parse(&all), 0);
	CHECK(f->addrs == NETCOPY_ADDRS && !f->more_addrs);
	address("192.0.2.2", &m, 0);
	CHECK_EQ(parse(&all), 0);
	CHECK(f->addrs == NETCOPY_ADDRS && f->more_addrs);
	netcopy_forget();
	CHECK(!f->addrs && !f->more_addrs);
}

TEST(routes)
{
	struct rtmsg m = rtm(AF_INET6, 48);
	size_t metrics;
	uint8_t pref = 1;

	setup();
	m.rtm_src_len = 64;
	m.rtm_tos = 4;
	m.rtm_protocol = RTPROT_DHCP;
	m.rtm_scope = RT_SCOPE_SITE;
	m.rtm_flags = RTNH_F_ONLINK;
	begin(RTM_NEWROUTE, &m, sizeof(m));
	put_addr(RTA_DST, "2001:db8:1::");
	put_addr(RTA_SRC, "2001:db8:2::");
	put_addr(RTA_PREFSRC, "2001:db8::2");
	put_addr(RTA_GATEWAY, "fe80::9");
	rtnl_put_u32(&o, RTA_OIF, 2);
	rtnl_put_u32(&o, RTA_PRIORITY, 99);
	rtnl_put(&o, RTA_PREF, &pref, 1);
	metrics = rtnl_nest(&o, RTA_METRICS);
	rtnl_put_u32(&o, RTAX_MTU, 1400);
	rtnl_nest_end(&o, metrics);
	end();
	CHECK_EQ(parse(&all), 0);
	CHECK_EQ(f->routes, 1);
	CHECK(is(&f->route[0].dst, "2001:db8:1::"));
	CHECK(is(&f->route[0].src, "2001:db8:2::"));
	CHECK(is(&f->route[0].prefsrc, "2001:db8::2"));
	CHECK_EQ(f->route[0].dst_len, 48);
	CHECK_EQ(f->route[0].src_len, 64);
	CHECK_EQ(f->route[0].tos, 4);
	CHECK_EQ(f->route[0].protocol, RTPROT_DHCP);
	CHECK_EQ(f->route[0].scope, RT_SCOPE_SITE);
	CHECK_EQ(f->route[0].pref, 1);
	CHECK_EQ(f->route[0].metric, 99);
	CHECK_EQ(f->route[0].metrics_len, 8);
	CHECK_EQ(f->route[0].hops, 1);
	CHECK(is(&f->hop[0].via, "fe80::9") && f->hop[0].onlink);
}

TEST(routes_that_are_not_copied)
{
	struct rtmsg m = rtm(AF_INET, 24);

	setup();
	route(&m, "192.0.2.0", NULL, 3);	/* another interface's */
	route(&m, "192.0.2.0", NULL, 0);
	m.rtm_table = RT_TABLE_LOCAL;
	route(&m, "192.0.2.0", NULL, 2);
	m = rtm(AF_INET, 24);
	m.rtm_type = RTN_BLACKHOLE;
	route(&m, "192.0.2.0", NULL, 2);
	m = rtm(AF_INET, 24);
	m.rtm_flags = RTM_F_CLONED;
	route(&m, "192.0.2.0", NULL, 2);
	m = rtm(AF_INET, 24);
	m.rtm_flags = RTNH_F_DEAD;
	route(&m, "192.0.2.0", NULL, 2);
	m = rtm(AF_INET, 33);
	route(&m, "192.0.2.0", NULL, 2);
	m = rtm(AF_INET6, 64);
	route(&m, "fe80::", NULL, 2);
	m = rtm(AF_INET6, 8);
	route(&m, "ff00::", NULL, 2);
	m = rtm(AF_INET, 24);
	begin(RTM_NEWROUTE, &m, sizeof(m));
	rtnl_put_u32(&o, RTA_OIF, 2);
	rtnl_put_u32(&o, RTA_TABLE, 1000);
	end();
	CHECK_EQ(parse(&all), 0);
	CHECK_EQ(f->routes, 0);
	CHECK(!f->too_many[NETCOPY_V4] && !f->too_many[NETCOPY_V6]);
}

static void hop(int ifindex, unsigned char weight, unsigned char flags,
		const char *via)
{
	struct rtnexthop h = { .rtnh_ifindex = ifindex, .rtnh_hops = weight,
			       .rtnh_flags = flags };
	size_t at = o.len;

	out_bytes(&o, &h, sizeof(h));
	if (via)
		put_addr(RTA_GATEWAY, via);
	rtnl_nest_end(&o, at);
}

TEST(multipath)
{
	struct rtmsg m = rtm(AF_INET, 0);
	uint8_t via[18] = { AF_INET6, 0, 0xfe, 0x80, [17] = 5 };
	size_t at;

	setup();
	begin(RTM_NEWROUTE, &m, sizeof(m));
	at = rtnl_nest(&o, RTA_MULTIPATH);
	hop(3, 0, 0, "198.51.100.1");
	hop(2, 7, RTNH_F_ONLINK, "192.0.2.1");
	hop(2, 0, RTNH_F_DEAD, "192.0.2.3");
	hop(2, 9, 0, NULL);
	rtnl_nest_end(&o, at);
	end();
	/* a gateway of IPv6 */
	begin(RTM_NEWROUTE, &m, sizeof(m));
	rtnl_put_u32(&o, RTA_OIF, 2);
	rtnl_put(&o, RTA_VIA, via, sizeof(via));
	end();
	CHECK_EQ(parse(&all), 0);
	CHECK_EQ(f->routes, 2);
	CHECK_EQ(f->route[0].hops, 2);
	CHECK(is(&f->hop[0].via, "192.0.2.1") && f->hop[0].onlink);
	CHECK_EQ(f->hop[0].weight, 7);
	CHECK(addr_is_unspecified(&f->hop[1].via) && !f->hop[1].onlink);
	CHECK_EQ(f->route[1].hop, 2);
	CHECK(is(&f->hop[2].via, "fe80::5"));

	/* lengths of next hops, and of gateways, that lie */
	for (unsigned n = 0; n < 40; n++) {
		setup();
		begin(RTM_NEWROUTE, &m, sizeof(m));
		at = rtnl_nest(&o, RTA_MULTIPATH);
		hop(2, 7, 0, "192.0.2.1");
		buf[at + 4] = (uint8_t)n;
		rtnl_nest_end(&o, at);
		end();
		begin(RTM_NEWROUTE, &m, sizeof(m));
		rtnl_put_u32(&o, RTA_OIF, 2);
		rtnl_put(&o, RTA_VIA, via, n < 18 ? n : 18);
		end();
		CHECK_EQ(parse(&all), 0);
		CHECK(f->routes >= 1);
	}
}

TEST(too_many_routes)
{
	struct rtmsg m = rtm(AF_INET6, 64);

	setup();
	for (unsigned i = 0; i < NETCOPY_ROUTES; i++)
		route(&m, "2001:db8::", NULL, 2);
	CHECK_EQ(parse(&all), 0);
	CHECK_EQ(f->routes, NETCOPY_ROUTES);
	CHECK(!f->too_many[NETCOPY_V6]);
	route(&m, "2001:db8::", NULL, 2);
	CHECK_EQ(parse(&all), 0);
	CHECK_EQ(f->routes, NETCOPY_ROUTES);
	CHECK(f->too_many[NETCOPY_V6] && !f->too_many[NETCOPY_V4]);
}

TEST(too_many_next_hops_and_metrics)
{
	static uint8_t zero[30000];
	struct rtmsg m = rtm(AF_INET, 0);
	size_t at;

	setup();
	for (unsigned i = 0; i < 5; i++) {
		begin(RTM_NEWROUTE, &m, sizeof(m));
		at = rtnl_nest(&o, RTA_MULTIPATH);
		for (unsigned k = 0; k < 4000; k++)
			hop(2, 0, 0, NULL);
		rtnl_nest_end(&o, at);
		end();
	}
	CHECK_EQ(parse(&all), 0);
	CHECK(f->hops <= NETCOPY_HOPS && f->too_many[NETCOPY_V4]);
	CHECK_EQ(f->routes, 4);

	setup();
	for (unsigned i = 0; i < 3; i++) {
		begin(RTM_NEWROUTE, &m, sizeof(m));
		rtnl_put_u32(&o, RTA_OIF, 2);
		rtnl_put(&o, RTA_METRICS, zero, sizeof(zero));
		end();
	}
	CHECK_EQ(parse(&all), 0);
	CHECK_EQ(f->routes, 2);
	CHECK(f->too_many[NETCOPY_V4]);
	netcopy_forget();
	CHECK(!f->too_many[NETCOPY_V4] && !f->routes && !f->metrics_len);
}

TEST(what_is_no_dump)
{
	uint8_t junk[3] = { 0 };
	int32_t code = -EPERM;

	setup();
	begin(NLMSG_ERROR, &code, sizeof(code));
	end();
	CHECK_EQ(parse(&all), -EPERM);
	begin(NLMSG_DONE, NULL, 0);
	end();
	CHECK_EQ(parse(&all), 1);
	out_bytes(&o, junk, sizeof(junk));
	CHECK_EQ(parse(&all), -EBADMSG);
	begin(RTM_NEWADDR, junk, sizeof(junk));
	end();
	begin(RTM_NEWROUTE, junk, sizeof(junk));
	end();
	CHECK(parse(&all) <= 0);
	CHECK(!f->routes && !f->addrs);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
