// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_netlink: dumps of routes, addresses and links, as the kernel writes them
 *
 * Messages are built by hand, so that every choice has its case; then the
 * kernel itself is asked, on a host of the test's own.
 */
#include "host/netlink.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "test/unit/hostns.h"
#include "test/unit/unit.h"

static _Alignas(4) uint8_t buf[4096];
static size_t len;
static struct netlink_view v;

static void setup(int family)
{
	memset(&v, 0, sizeof(v));
	v.family = family;
	len = 0;
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

static struct nlmsghdr *message(uint16_t type, const void *body, size_t n)
{
	struct nlmsghdr *h = (void *)(buf + len);

	memset(h, 0, NLMSG_SPACE(n));
	h->nlmsg_type = type;
	h->nlmsg_len = NLMSG_LENGTH(n);
	memcpy(NLMSG_DATA(h), body, n);
	len += NLMSG_SPACE(n);
	return h;
}

static void attr(struct nlmsghdr *h, uint16_t type, const void *p, size_t n)
{
	struct rtattr *a = (void *)(buf + len);

	memset(a, 0, RTA_SPACE(n));
	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(n);
	memcpy(RTA_DATA(a), p, n);
	h->nlmsg_len += RTA_SPACE(n);
	len += RTA_SPACE(n);
}

static void attr_u32(struct nlmsghdr *h, uint16_t type, uint32_t n)
{
	attr(h, type, &n, sizeof(n));
}

static void attr_addr(struct nlmsghdr *h, uint16_t type, const char *text)
{
	struct addr a = addr(text);

	attr(h, type, addr_is_v4(&a) ? a.b + 12 : a.b,
	     addr_is_v4(&a) ? 4 : 16);
}

/* A route: destination or NULL, gateway or NULL */
static struct nlmsghdr *route(const char *dst, unsigned dst_len,
			      const char *gateway, uint32_t oif)
{
	struct rtmsg m = { .rtm_family = (unsigned char)v.family,
			   .rtm_dst_len = (unsigned char)dst_len,
			   .rtm_table = RT_TABLE_MAIN,
			   .rtm_type = RTN_UNICAST };
	struct nlmsghdr *h = message(RTM_NEWROUTE, &m, sizeof(m));

	if (dst)
		attr_addr(h, RTA_DST, dst);
	if (gateway)
		attr_addr(h, RTA_GATEWAY, gateway);
	if (oif)
		attr_u32(h, RTA_OIF, oif);
	return h;
}

static struct rtmsg *rtm(struct nlmsghdr *h)
{
	return NLMSG_DATA(h);
}

/* From a block of its own size: reading on is seen */
static int parse(void)
{
	void *copy = malloc(len ? len : 1);
	int rc;

	memcpy(copy, buf, len);
	rc = netlink_parse(&v, copy, len);
	free(copy);
	len = 0;
	return rc;
}

TEST(default_route)
{
	setup(AF_INET);
	route("192.0.2.0", 24, NULL, 2);
	route(NULL, 0, "192.0.2.1", 3);
	CHECK_EQ(parse(), 0);
	CHECK(v.routes.found);
	CHECK_EQ(v.routes.ifindex, 3);
	CHECK(is(&v.routes.gateway, "192.0.2.1"));
	CHECK_EQ(v.routes.first, 2);
	CHECK(v.routes.several);

	setup(AF_INET6);
	route(NULL, 0, "fe80::5", 4);
	CHECK_EQ(parse(), 0);
	CHECK(is(&v.routes.gateway, "fe80::5"));
	CHECK(!v.routes.several);
}

TEST(lowest_metric)
{
	setup(AF_INET);
	attr_u32(route(NULL, 0, "192.0.2.1", 2), RTA_PRIORITY, 200);
	attr_u32(route(NULL, 0, "192.0.2.2", 3), RTA_PRIORITY, 100);
	attr_u32(route(NULL, 0, "192.0.2.3", 4), RTA_PRIORITY, 100);
	attr_u32(route(NULL, 0, "192.0.2.4", 5), RTA_PRIORITY, 4000000000);
	CHECK_EQ(parse(), 0);
	CHECK_EQ(v.routes.ifindex, 3);
	/* no metric is the best one */
	route(NULL, 0, NULL, 6);
	CHECK_EQ(parse(), 0);
	CHECK_EQ(v.routes.ifindex, 6);
	CHECK(addr_is_unspecified(&v.routes.gateway));
}

TEST(routes_that_do_not_count)
{
	setup(AF_INET);
	rtm(route(NULL, 0, "192.0.2.1", 2))->rtm_table = RT_TABLE_LOCAL;
	rtm(route(NULL, 0, "192.0.2.1", 2))->rtm_type = RTN_UNREACHABLE;
	rtm(route(NULL, 0, "192.0.2.1", 2))->rtm_family = AF_INET6;
	rtm(route(NULL, 0, "192.0.2.1", 2))->rtm_flags = RTM_F_CLONED;
	rtm(route(NULL, 0, "192.0.2.1", 2))->rtm_flags = RTNH_F_DEAD;
	attr_u32(route(NULL, 0, "192.0.2.1", 2), RTA_TABLE, 1000);
	route(NULL, 0, "192.0.2.1", 0);
	/* lo */
	route("127.0.0.0", 8, NULL, 1);
	route("224.0.0.0", 4, NULL, 2);
	route(NULL, 0, "192.0.2.1", 2)->nlmsg_type = RTM_DELROUTE;
	CHECK_EQ(parse(), 0);
	CHECK(!v.routes.found && !v.routes.first);

	setup(AF_INET6);
	route("fe80::", 64, NULL, 2);
	route("ff00::", 8, NULL, 2);
	CHECK_EQ(parse(), 0);
	CHECK(!v.routes.first);
	/* the table's number may be in the attribute alone */
	rtm(route(NULL, 0, "fe80::1", 2))->rtm_table = RT_TABLE_COMPAT;
	attr_u32((void *)buf, RTA_TABLE, RT_TABLE_MAIN);
	CHECK_EQ(parse(), 0);
	CHECK(v.routes.found);
}

TEST(one_interface_only)
{
	setup(AF_INET);
	v.only = 3;
	route(NULL, 0, "192.0.2.1", 2);
	attr_u32(route(NULL, 0, "198.51.100.1", 3), RTA_PRIORITY, 900);
	CHECK_EQ(parse(), 0);
	CHECK_EQ(v.routes.ifindex, 3);
	CHECK(is(&v.routes.gateway, "198.51.100.1"));
}

TEST(gateway_without_default_route)
{
	setup(AF_INET);
	route("192.0.2.0", 24, NULL, 2);
	route("198.51.100.0", 24, "192.0.2.9", 2);
	route("203.0.113.0", 24, "192.0.2.8", 2);
	CHECK_EQ(parse(), 0);
	CHECK(!v.routes.found && !v.routes.several);
	CHECK(is(&v.routes.first_gateway, "192.0.2.9"));
}

TEST(multipath)
{
	struct { struct rtnexthop nh; struct rtattr a; uint8_t gw[4]; } hop[4];
	struct nlmsghdr *h;

	memset(hop, 0, sizeof(hop));
	for (int i = 0; i < 4; i++) {
		hop[i].nh = (struct rtnexthop){ .rtnh_len = sizeof(hop[i]),
						.rtnh_ifindex = 2 + i };
		hop[i].a = (struct rtattr){ RTA_LENGTH(4), RTA_GATEWAY };
		memcpy(hop[i].gw, (uint8_t[]){ 192, 0, 2, (uint8_t)i }, 4);
	}
	hop[0].nh.rtnh_flags = RTNH_F_DEAD;
	hop[0].nh.rtnh_hops = 200;
	hop[2].nh.rtnh_hops = 7;
	hop[3].nh.rtnh_hops = 7;
	setup(AF_INET);
	h = route(NULL, 0, NULL, 0);
	attr(h, RTA_MULTIPATH, hop, sizeof(hop));
	CHECK_EQ(parse(), 0);
	CHECK_EQ(v.routes.ifindex, 4);
	CHECK(is(&v.routes.gateway, "192.0.2.2"));

	setup(AF_INET);
	v.only = 3;
	h = route(NULL, 0, NULL, 0);
	attr(h, RTA_MULTIPATH, hop, sizeof(hop));
	CHECK_EQ(parse(), 0);
	CHECK(is(&v.routes.gateway, "192.0.2.1"));

	/* lengths of next hops that lie */
	for (unsigned n = 0; n < 40; n++) {
		setup(AF_INET);
		hop[0].nh.rtnh_len = (unsigned short)(n < 36 ? n : 65535);
		h = route(NULL, 0, NULL, 0);
		attr(h, RTA_MULTIPATH, hop, n);
		CHECK_EQ(parse(), 0);
	}
}

/* An address: scope and flags */
static struct nlmsghdr *address(const char *text, unsigned prefix,
				unsigned char scope, uint32_t flags)
{
	struct ifaddrmsg m = { .ifa_family = (unsigned char)v.family,
			       .ifa_prefixlen = (unsigned char)prefix,
			       .ifa_flags = (unsigned char)flags,
			       .ifa_scope = scope, .ifa_index = 2 };
	struct nlmsghdr *h = message(RTM_NEWADDR, &m, sizeof(m));

	attr_addr(h, IFA_ADDRESS, text);
	attr_u32(h, IFA_FLAGS, flags);
	return h;
}

TEST(best_address)
{
	setup(AF_INET6);
	v.only = 2;
	address("fe80::2", 64, RT_SCOPE_LINK, IFA_F_PERMANENT);
	address("::1", 128, RT_SCOPE_HOST, IFA_F_PERMANENT);
	address("2001:db8::bad", 64, 0, IFA_F_DADFAILED);
	CHECK_EQ(parse(), 0);
	CHECK_EQ(v.rank, 0);
	address("2001:db8::de", 64, 0, IFA_F_DEPRECATED);
	CHECK_EQ(parse(), 0);
	CHECK(is(&v.addr, "2001:db8::de"));
	/* in order, each better than the one before */
	address("2001:db8::7e17", 64, 0, IFA_F_TENTATIVE | IFA_F_TEMPORARY);
	CHECK_EQ(parse(), 0);
	CHECK(is(&v.addr, "2001:db8::7e17"));
	address("2001:db8::7e", 64, 0, IFA_F_TEMPORARY);
	CHECK_EQ(parse(), 0);
	CHECK(is(&v.addr, "2001:db8::7e"));
	address("2001:db8::2", 60, 0, IFA_F_PERMANENT);
	address("2001:db8::3", 64, 0, IFA_F_PERMANENT);
	address("2001:db8::de", 64, 0, IFA_F_DEPRECATED);
	CHECK_EQ(parse(), 0);
	CHECK(is(&v.addr, "2001:db8::2"));
	CHECK_EQ(v.prefix, 60);
}

TEST(best_ipv4_address)
{
	struct nlmsghdr *h;

	setup(AF_INET);
	v.only = 2;
	address("169.254.1.1", 16, RT_SCOPE_LINK, IFA_F_PERMANENT);
	CHECK_EQ(parse(), 0);
	CHECK(is(&v.addr, "169.254.1.1"));
	address("192.0.2.3", 24, 0, IFA_F_PERMANENT | IFA_F_SECONDARY);
	CHECK_EQ(parse(), 0);
	CHECK(is(&v.addr, "192.0.2.3"));
	/* point to point: IFA_ADDRESS is the peer's */
	h = address("192.0.2.9", 32, 0, IFA_F_PERMANENT);
	attr_addr(h, IFA_LOCAL, "192.0.2.2");
	CHECK_EQ(parse(), 0);
	CHECK(is(&v.addr, "192.0.2.2"));
	CHECK_EQ(v.prefix, 32);
}

/* A mapped IPv4 address is no IPv6 address */
TEST(mapped_addresses)
{
	static const uint8_t mapped[16] = { [10] = 0xff, 0xff, 192, 0, 2, 2 };
	struct nlmsghdr *h;

	setup(AF_INET6);
	v.only = 2;
	h = address("2001:db8::2", 64, 0, 0);
	attr(h, IFA_LOCAL, mapped, sizeof(mapped));
	CHECK_EQ(parse(), 0);
	CHECK_EQ(v.rank, 0);
	h = route(NULL, 0, NULL, 2);
	attr(h, RTA_GATEWAY, mapped, sizeof(mapped));
	CHECK_EQ(parse(), 0);
	CHECK(v.routes.found && addr_is_unspecified(&v.routes.gateway));
}

TEST(addresses_that_do_not_count)
{
	struct ifaddrmsg *m;

	setup(AF_INET);
	v.only = 2;
	m = NLMSG_DATA(address("192.0.2.2", 24, 0, 0));
	m->ifa_index = 3;
	m = NLMSG_DATA(address("192.0.2.2", 24, 0, 0));
	m->ifa_family = AF_INET6;
	address("192.0.2.2", 33, 0, 0);
	address("127.0.0.2", 8, 0, 0);
	address("2001:db8::1", 24, 0, 0);
	CHECK_EQ(parse(), 0);
	CHECK_EQ(v.rank, 0);
}

static void link_named(const char *name, size_t n, uint32_t mtu)
{
	struct ifinfomsg m = { .ifi_index = 2 };
	struct nlmsghdr *h = message(RTM_NEWLINK, &m, sizeof(m));

	attr(h, IFLA_IFNAME, name, n);
	attr_u32(h, IFLA_MTU, mtu);
}

TEST(link_name)
{
	setup(AF_INET);
	v.only = 2;
	link_named("eth0", 5, 1400);
	CHECK_EQ(parse(), 0);
	CHECK(!strcmp(v.ifname, "eth0"));
	CHECK_EQ(v.mtu, 1400);
	/* not terminated, too long, empty: left as it is */
	link_named("eth1", 4, 1);
	link_named("a-name-of-16-byt", 17, 1);
	link_named("", 0, 1);
	v.only = 3;
	link_named("eth1", 5, 1);
	CHECK_EQ(parse(), 0);
	CHECK(!strcmp(v.ifname, "eth0"));
}

TEST(ends_and_errors)
{
	int32_t code = 0;
	struct nlmsghdr *h;

	setup(AF_INET);
	CHECK_EQ(parse(), 0);
	message(NLMSG_DONE, &code, sizeof(code));
	CHECK_EQ(parse(), 1);
	code = -EPERM;
	message(NLMSG_ERROR, &code, sizeof(code));
	CHECK_EQ(parse(), -EPERM);
	message(NLMSG_DONE, &code, sizeof(code));
	CHECK_EQ(parse(), -EPERM);
	/* what is no error code, and one that is cut off */
	code = 5;
	message(NLMSG_ERROR, &code, sizeof(code));
	CHECK_EQ(parse(), -EBADMSG);
	message(NLMSG_ERROR, &code, 2);
	CHECK_EQ(parse(), -EBADMSG);
	h = route(NULL, 0, "192.0.2.1", 2);
	h->nlmsg_flags = NLM_F_DUMP_INTR;
	CHECK_EQ(parse(), -EINTR);
	CHECK(!v.routes.found);
}

TEST(lengths_that_lie)
{
	static const uint32_t bad[] = { 0, 1, 15, 61, 4096, 0xffffffff };
	struct nlmsghdr *h;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setup(AF_INET);
		h = route(NULL, 0, "192.0.2.1", 2);
		h->nlmsg_len = bad[i];
		CHECK_EQ(parse(), -EBADMSG);
	}
	/* any cut: no more than what is there is read */
	setup(AF_INET);
	route(NULL, 0, "192.0.2.1", 2);
	for (size_t n = len - 1; n; n--)
		CHECK_EQ(netlink_parse(&v, buf, n), -EBADMSG);
	for (unsigned n = 0; n < 256; n++) {
		setup(AF_INET);
		h = route(NULL, 0, "192.0.2.1", 2);
		*((uint8_t *)h + NLMSG_LENGTH(sizeof(struct rtmsg))) =
			(uint8_t)n;
		CHECK_EQ(parse(), 0);
	}
}

/* On a host of ours: nothing but lo, which is not looked at unless asked for */
TEST(kernel)
{
	struct netlink_uplink up;

	CHECK(hostns_enter());
	CHECK_EQ(netlink_uplink(AF_INET, "", &up), 0);
	CHECK(!up.ifindex && !up.has_route && addr_is_unspecified(&up.addr));
	CHECK_EQ(netlink_uplink(AF_INET6, "", &up), 0);
	CHECK(!up.ifindex);
	CHECK_EQ(netlink_uplink(AF_INET, "nosuch0", &up), -ENODEV);
	CHECK(hostns_address("192.0.2.2") && hostns_address("2001:db8::2"));
	CHECK_EQ(netlink_uplink(AF_INET, "lo", &up), 0);
	CHECK_EQ(up.ifindex, 1);
	CHECK(!strcmp(up.ifname, "lo"));
	CHECK_EQ(up.mtu, 65536);
	CHECK(is(&up.addr, "192.0.2.2"));
	CHECK_EQ(up.prefix, 32);
	CHECK(!up.has_route && !up.default_route);
	CHECK_EQ(netlink_uplink(AF_INET6, "lo", &up), 0);
	CHECK(is(&up.addr, "2001:db8::2"));
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
