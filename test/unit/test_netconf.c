// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_netconf: hosts of many kinds, and what a namespace is given of them
 *
 * The host is a namespace of the test's own, set up by ip(8); the guest is
 * another one, in a child. What ip(8) says of one is compared with what it says
 * of the other.
 */
#include "host/netconf.h"

#include <errno.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/netlink.h"
#include "lib/log.h"
#include "test/unit/hostns.h"
#include "test/unit/unit.h"

static struct netconf n;
static char why[NETCONF_WHY];
/* What is done in the guest's namespace before */
static const char *before = ":";
static char dir[] = "/tmp/test_netconf.XXXXXX";
/* Dumps say that things changed meanwhile */
static bool changing;

/* What ip(8) has to say of a family and an interface, to be compared */
#define DUMP								\
	"#!/bin/sh\n"							\
	"{ ip -$1 route show table main | grep -v '^fe80::' | sort\n"	\
	"ip -o -$1 addr show dev $2 | grep -v 'scope link' |\n"		\
	"sed 's/^[0-9]*: //; s/\\\\.*//; s/ nodad//; s/ *$//'\n"		\
	"} | sed \"s/$2/eth0/g; s/ *$//\"\n"

__attribute__((format(printf, 1, 2)))
static bool sh(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return !system(cmd);
}

static struct addr addr(const char *text)
{
	struct addr a = ADDR_ANY6;

	CHECK(addr_parse(text, &a));
	return a;
}

/* A host with eth0 and eth1, up, each with a neighbour; and lines of ip(8) */
static bool host(const char *lines)
{
	return sh("for i in 0 1; do ip link del eth$i 2>/dev/null; "
		  "ip link add eth$i type veth peer name peer$i && "
		  "ip link set peer$i up && ip link set eth$i up || exit 1; "
		  "while ! ip link show eth$i | grep -q 'state UP'; do "
		  "sleep 0.01; done; done") &&
	       sh("ip -batch - >&2 <<-END\n%s\nEND", lines);
}

/* All of an interface's, but for what is set afterwards */
static void setup(const char *if4, const char *if6)
{
	memset(&n, 0, sizeof(n));
	strcpy(n.ifname, "eth0");
	for (unsigned i = 0; i < NETCOPY_FAMILIES; i++) {
		struct netconf_family *f = &n.family[i];

		f->on = f->copy_addrs = f->copy_routes = true;
		f->ifindex = if_nametoindex(i == NETCOPY_V4 ? if4 : if6);
	}
	CHECK_EQ(netconf_collect(&n, why), 0);
}

/* In a child: a namespace with an interface, configured; then a command */
static bool guest(const char *cmd)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		int rc;

		if (unshare(CLONE_NEWNET) ||
		    !sh("ip link add eth0 type veth peer name peer0 && "
			"ip link set peer0 up && %s", before))
			_exit(2);
		rc = netconf_apply(&n, why);
		if (rc)
			fprintf(stderr, "%s: %s\n", why, strerror(-rc));
		_exit(rc ? 3 : sh("%s", cmd) ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

/* Guest and host say the same of a family */
static bool same(unsigned family, const char *ifname)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "%s/dump %u eth0 | diff %s/host - >&2", dir,
		 family, dir);
	return sh("%s/dump %u %s >%s/host", dir, family, ifname, dir) &&
	       guest(cmd);
}

/* In the place of the C library's */
ssize_t recv(int fd, void *buf, size_t size, int flags)
{
	ssize_t len = syscall(SYS_recvfrom, fd, buf, size, flags, NULL, NULL);
	struct nlmsghdr h;

	if (changing && len >= (ssize_t)sizeof(h)) {
		memcpy(&h, buf, sizeof(h));
		h.nlmsg_flags |= NLM_F_DUMP_INTR;
		memcpy(buf, &h, sizeof(h));
	}
	return len;
}

TEST(plain)
{
	CHECK(host("addr add 192.0.2.2/24 brd + dev eth0\n"
		   "route add default via 192.0.2.1\n"
		   "addr add 2001:db8::2/64 dev eth0 nodad\n"
		   "route add default via 2001:db8::1\n"));
	setup("eth0", "eth0");
	CHECK(same(4, "eth0"));
	CHECK(same(6, "eth0"));
}

/* As NetworkManager and others do: routes to prefixes are their own */
TEST(no_prefix_routes)
{
	CHECK(host("addr add 192.0.2.2/24 dev eth0 noprefixroute\n"
		   "route add 192.0.2.0/24 dev eth0 proto dhcp scope link "
		   "src 192.0.2.2 metric 1002\n"
		   "route add default via 192.0.2.1 proto dhcp metric 1002 "
		   "src 192.0.2.2\n"
		   "addr add 2001:db8::2/128 dev eth0 nodad noprefixroute\n"
		   "route add 2001:db8::/64 dev eth0 proto ra metric 100\n"
		   "route add default via fe80::99 dev eth0 proto ra "
		   "metric 100 pref high\n"));
	setup("eth0", "eth0");
	CHECK(same(4, "eth0"));
	CHECK(same(6, "eth0"));
}

TEST(many_addresses)
{
	CHECK(host("addr add 192.0.2.2/24 dev eth0\n"
		   "addr add 192.0.2.3/24 dev eth0\n"
		   "addr add 198.51.100.2/25 dev eth0 metric 77\n"
		   "addr add 203.0.113.5/32 dev eth0\n"
		   "addr add 10.8.0.2 peer 10.8.0.1/32 dev eth0\n"
		   "addr add 10.9.0.2/31 dev eth0 scope host\n"
		   "addr add 169.254.7.7/16 dev eth0 scope link\n"
		   "addr add 2001:db8::2/64 dev eth0 nodad\n"
		   "addr add 2001:db8::3/64 dev eth0 nodad preferred_lft 0\n"
		   "addr add 2001:db8:1::2/48 dev eth0 nodad metric 99\n"
		   "addr add 2001:db8:2::2 peer 2001:db8:2::1/128 dev eth0 "
		   "nodad\n"
		   "addr add fd00::2/128 dev eth0 nodad\n"));
	/* the kernel adds a peer's route a little later */
	CHECK(sh("until ip -6 route | grep -q ^2001:db8:2::1; do "
		 "sleep 0.01; done"));
	setup("eth0", "eth0");
	CHECK_EQ(netcopy_found()->addrs, 12);
	CHECK(same(4, "eth0"));
	CHECK(same(6, "eth0"));
	/* the link-local one is the guest's own, usable at once */
	CHECK(guest("! ip -6 addr show dev eth0 | grep tentative >&2 && "
		    "test $(ip -o -6 addr show dev eth0 scope link | wc -l) "
		    "-eq 1 && ip -6 route show | grep -q ^fe80::/64"));
}

TEST(routes_of_all_kinds)
{
	CHECK(host("addr add 192.0.2.2/24 dev eth0\n"
		   "addr add 192.0.2.3/24 dev eth0\n"
		   "route add 10.3.0.0/16 via 10.2.0.1 dev eth0 onlink\n"
		   "route add 10.1.0.0/16 via 192.0.2.9 metric 5 mtu 1400\n"
		   "route add 10.1.0.0/16 via 192.0.2.8 metric 6\n"
		   "route add 10.2.0.0/16 dev eth0\n"
		   "route add 10.4.0.0/16 via 192.0.2.7 src 192.0.2.3\n"
		   "route add 10.4.0.0/16 tos 0x10 via 192.0.2.6\n"
		   "route add 10.5.0.0/16 via inet6 fe80::5 dev eth0\n"
		   "route add 10.6.0.0/16 nexthop via 192.0.2.5 weight 3 "
		   "nexthop via 192.0.2.4 nexthop dev eth0\n"
		   "route append 10.7.0.0/16 via 192.0.2.5\n"
		   "route append 10.7.0.0/16 via 192.0.2.4\n"
		   "route add 10.8.0.0/16 via 192.0.2.5 mtu lock 1300 "
		   "advmss 1000 initcwnd 20 congctl reno\n"
		   "route add default nexthop via 192.0.2.1 nexthop via "
		   "10.99.0.1 dev eth0 onlink\n"
		   "route add blackhole 10.66.0.0/16\n"
		   "route add 10.67.0.0/16 via 192.0.2.1 table 67\n"));
	setup("eth0", "eth0");
	CHECK(sh("ip route del blackhole 10.66.0.0/16"));
	CHECK(same(4, "eth0"));
}

TEST(ipv6_routes_of_all_kinds)
{
	CHECK(host("addr add 2001:db8::2/64 dev eth0 nodad\n"
		   "addr add 2001:db8::3/64 dev eth0 nodad\n"
		   "route add 2001:db8:1::/48 via fe80::9 dev eth0 metric 5\n"
		   "route add 2001:db8:1::/48 via 2001:db8::9 metric 6 mtu "
		   "1400\n"
		   "route add 2001:db8:2::/48 dev eth0\n"
		   "route add 2001:db8:3::/48 via 2001:db8::7 src "
		   "2001:db8::3\n"
		   "route add 2001:db8:4::/48 nexthop via fe80::5 dev eth0 "
		   "weight 3 nexthop via 2001:db8::4\n"
		   "route add 2001:db8:5::/48 via 2001:db8:99::1 dev eth0 "
		   "onlink\n"
		   "route add default via fe80::1 dev eth0 expires 1000\n"));
	setup("eth0", "eth0");
	CHECK(sh("ip -6 route change default via fe80::1 dev eth0"));
	CHECK(same(6, "eth0"));
}

/* Of a route over several interfaces, what leaves by ours */
TEST(several_interfaces)
{
	CHECK(host("addr add 192.0.2.2/24 dev eth0\n"
		   "addr add 198.51.100.2/24 dev eth1\n"
		   "addr add 2001:db8::2/64 dev eth1 nodad\n"
		   "route add default nexthop via 192.0.2.1 nexthop via "
		   "198.51.100.1\n"
		   "route add default via 2001:db8::1\n"
		   "route add 10.0.0.0/8 via 198.51.100.9 src 192.0.2.2\n"));
	/* each family has its own */
	setup("eth0", "eth1");
	CHECK(guest("ip route | grep -q '^default via 192.0.2.1 dev eth0 $' && "
		    "test $(ip route | wc -l) -eq 2 && "
		    "! ip route | grep -e 198.51"));
	CHECK(same(6, "eth1"));
	/* an address that is not copied is nobody's source */
	setup("eth1", "eth1");
	CHECK(guest("ip route | grep -q '^10.0.0.0/8 via 198.51.100.9 dev "
		    "eth0 $'"));
}

/* The host's kernel has no such route, or somebody took it away */
TEST(prefix_route_removed)
{
	CHECK(host("addr add 192.0.2.2/24 dev eth0\n"
		   "addr add 2001:db8::2/64 dev eth0 nodad\n"
		   "route del 192.0.2.0/24 dev eth0\n"
		   "route del 2001:db8::/64 dev eth0\n"
		   "route add 192.0.2.1 dev eth0\n"
		   "route add default via 192.0.2.1\n"));
	setup("eth0", "eth0");
	CHECK(guest("test $(ip route | wc -l) -eq 2 && "
		    "! ip -6 route | grep 2001:db8"));
}

TEST(one_family)
{
	CHECK(host("addr add 192.0.2.2/24 dev eth0\n"
		   "addr add 2001:db8::2/64 dev eth0 nodad\n"
		   "route add default via 192.0.2.1\n"
		   "route add default via 2001:db8::1\n"));
	setup("eth0", "eth0");
	n.family[NETCOPY_V6].on = false;
	CHECK_EQ(netconf_collect(&n, why), 0);
	CHECK(guest("! ip -6 addr show dev eth0 | grep inet6 >&2"));
	CHECK(same(4, "eth0"));
	setup("eth0", "eth0");
	n.family[NETCOPY_V4].on = false;
	CHECK_EQ(netconf_collect(&n, why), 0);
	CHECK(guest("! ip -4 addr show dev eth0 | grep inet >&2"));
	CHECK(same(6, "eth0"));
}

/* IPv4 through IPv6 neighbours (RFC 5549): without IPv6 nobody would find them */
TEST(gateway_of_a_family_that_is_off)
{
	CHECK(host("addr add 192.0.2.2/32 dev eth0\n"
		   "route add 0.0.0.0/0 via inet6 fe80::1 dev eth0 onlink\n"
		   "route add 10.0.0.0/8 nexthop via inet6 fe80::1 dev eth0 "
		   "weight 3 nexthop via inet6 fe80::2 dev eth0 onlink\n"));
	setup("eth0", "eth0");
	CHECK(same(4, "eth0"));
	n.family[NETCOPY_V6].on = false;
	CHECK_EQ(netconf_collect(&n, why), 0);
	CHECK(guest("test \"$(ip route | tr -d '\\n\\t')\" = 'default dev eth0 "
		    "10.0.0.0/8 nexthop dev eth0 weight 3 nexthop dev eth0 "
		    "weight 1 '"));
}

/* No network at all: addresses that stand in for one */
TEST(no_network)
{
	CHECK(host(""));
	setup("nosuch", "nosuch");
	n.family[NETCOPY_V4].addr = addr("169.254.2.1");
	n.family[NETCOPY_V4].prefix = 16;
	n.family[NETCOPY_V4].gateway = addr("169.254.2.2");
	n.family[NETCOPY_V6].gateway = addr("fe80::1");
	CHECK(guest("ip route | grep -q '^default via 169.254.2.2 dev eth0 $' "
		    "&& ip addr | grep -q 'inet 169.254.2.1/16 brd "
		    "169.254.255.255' && ! ip -6 route | grep default"));
}

TEST(as_told)
{
	CHECK(host("addr add 192.0.2.2/24 dev eth0\n"
		   "addr add 192.0.2.3/24 dev eth0\n"
		   "addr add 2001:db8::2/64 dev eth0 nodad\n"
		   "addr add 2001:db8::3/64 dev eth0 nodad\n"
		   "route add default via 192.0.2.1 src 192.0.2.3\n"
		   "route add default via 2001:db8::1\n"
		   "route add 10.0.0.0/8 via 192.0.2.1\n"));
	setup("eth0", "eth0");
	n.mtu = 1300;
	for (unsigned i = 0; i < NETCOPY_FAMILIES; i++)
		n.family[i].copy_addrs = n.family[i].copy_routes = false;
	n.family[NETCOPY_V4].addr = addr("10.0.2.15");
	n.family[NETCOPY_V4].prefix = 24;
	n.family[NETCOPY_V4].gateway = addr("10.0.2.2");
	n.family[NETCOPY_V6].addr = addr("fd00::15");
	n.family[NETCOPY_V6].prefix = 64;
	n.family[NETCOPY_V6].gateway = addr("fe80::1");
	CHECK_EQ(netconf_collect(&n, why), 0);
	CHECK_EQ(netcopy_found()->addrs, 0);
	CHECK_EQ(netcopy_found()->routes, 0);
	CHECK(guest("ip route | grep -q '^default via 10.0.2.2 dev eth0 $' && "
		    "test $(ip route | wc -l) -eq 2 && "
		    "ip -6 route | grep -q '^default via fe80::1 dev eth0' && "
		    "ip addr | grep -q 'inet 10.0.2.15/24 brd 10.0.2.255' && "
		    "ip addr | grep -q 'inet6 fd00::15/64' && "
		    "ip link show eth0 | grep -q 'mtu 1300'"));
	/* gateways that are in no prefix, and none at all */
	n.family[NETCOPY_V4].gateway = addr("198.51.100.1");
	n.family[NETCOPY_V6].gateway = addr("2001:db8::1");
	CHECK(guest("ip route | grep -q '^default via 198.51.100.1 dev eth0 "
		    "onlink' && ip -6 route | grep -q '^default via "
		    "2001:db8::1 dev eth0.*onlink'"));
	n.family[NETCOPY_V4].gateway = ADDR_ANY6;
	CHECK(guest("ip route | grep -q '^default dev eth0 scope link'"));
	/* an address of ours, the host's routes: without its sources */
	n.family[NETCOPY_V4].copy_routes = true;
	CHECK_EQ(netconf_collect(&n, why), 0);
	CHECK(guest("ip route | grep -q '^default via 192.0.2.1 dev eth0 $' && "
		    "ip route | grep -q '^10.0.0.0/8 via 192.0.2.1' && "
		    "ip route | grep -q '^10.0.2.0/24'"));
	/* the host's addresses, a gateway of ours */
	n.family[NETCOPY_V4].copy_addrs = true;
	n.family[NETCOPY_V4].copy_routes = false;
	n.family[NETCOPY_V4].gateway = addr("192.0.2.9");
	CHECK_EQ(netconf_collect(&n, why), 0);
	CHECK(guest("ip route | grep -q '^default via 192.0.2.9 dev eth0 $' && "
		    "test $(ip route | wc -l) -eq 2 && "
		    "test $(ip -4 -o addr show dev eth0 | wc -l) -eq 2"));
}

/* Nothing of IPv6 on an interface that has no room for it, or forbids it */
TEST(ipv6_impossible)
{
	CHECK(host("addr add 192.0.2.2/24 dev eth0\n"
		   "addr add 2001:db8::2/64 dev eth0 nodad\n"
		   "route add default via 192.0.2.1\n"
		   "route add default via 2001:db8::1\n"));
	setup("eth0", "eth0");
	n.mtu = 1279;
	CHECK(guest("! ip -6 addr show dev eth0 | grep inet6 >&2 && "
		    "ip route | grep -q '^default via 192.0.2.1'"));
	setup("eth0", "eth0");
	before = "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6";
	CHECK(same(4, "eth0"));
	CHECK(guest("! ip -6 addr show dev eth0 | grep inet6 >&2"));
	before = "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6";
	CHECK(same(4, "eth0"));
	before = ":";
}

/* One with a thousand interfaces, some of which come and go at any time */
TEST(host_that_never_rests)
{
	struct netlink_uplink up;

	CHECK(host("addr add 192.0.2.2/24 dev eth0\n"
		   "addr add 192.0.2.3/24 dev eth0\n"
		   "route add default via 192.0.2.1\n"));
	changing = true;
	CHECK_EQ(netlink_uplink(AF_INET, "", &up), 0);
	setup("eth0", "eth0");
	changing = false;
	CHECK_EQ(up.ifindex, if_nametoindex("eth0"));
	CHECK(!strcmp(up.ifname, "eth0") && up.prefix == 24);
	CHECK(same(4, "eth0"));
}

/* What is configured stays as it is, and can be taken down and up again */
TEST(afterwards)
{
	CHECK(host("addr add 2001:db8::2/64 dev eth0 nodad\n"
		   "route add default via 2001:db8::1\n"));
	setup("eth0", "eth0");
	CHECK(guest("test $(cat /proc/sys/net/ipv6/conf/eth0/accept_ra) -eq 0 "
		    "&& ip link set eth0 down && ip link set eth0 up && "
		    "ip -6 addr show dev eth0 | grep -q fe80::"));
}

TEST(lo_only)
{
	setup("eth0", "eth0");
	*n.ifname = '\0';
	CHECK_EQ(netconf_collect(&n, why), 0);
	CHECK_EQ(netcopy_found()->routes + netcopy_found()->addrs, 0);
	CHECK(guest("ip link show lo | grep -q LOWER_UP && "
		    "ip -4 addr show lo | grep -q 127.0.0.1/8 && "
		    "! ip link show eth0 | grep LOWER_UP"));
}

static int apply_inside(void)
{
	int p[2], rc[2] = { 0 };
	pid_t pid;

	if (pipe(p))
		return 1;
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWNET) ||
		    !sh("ip link add eth0 type veth peer name peer0"))
			_exit(1);
		rc[0] = netconf_apply(&n, why);
		dprintf(p[1], "%s", why);
		_exit(-rc[0]);
	}
	close(p[1]);
	memset(why, 0, sizeof(why));
	if (read(p[0], why, sizeof(why) - 1) < 0)
		return 1;
	close(p[0]);
	waitpid(pid, &rc[1], 0);
	return -WEXITSTATUS(rc[1]);
}

TEST(failures)
{
	CHECK(host(""));
	setup("nosuch", "nosuch");
	n.family[NETCOPY_V4].addr = addr("192.0.2.2");
	n.family[NETCOPY_V4].prefix = 33;
	CHECK_EQ(apply_inside(), -EINVAL);
	CHECK(!strcmp(why, "eth0: address 192.0.2.2/33"));
	n.family[NETCOPY_V4].prefix = 24;
	n.family[NETCOPY_V4].gateway = addr("192.0.2.255");
	CHECK_EQ(apply_inside(), -EINVAL);
	CHECK(!strcmp(why, "eth0: IPv4 default route"));
	n.mtu = 100000;
	CHECK_EQ(apply_inside(), -EINVAL);
	CHECK(!strcmp(why, "its MTU"));
	n.mtu = 0;
	strcpy(n.ifname, "eth9");
	CHECK_EQ(apply_inside(), -ENODEV);
	CHECK(!strcmp(why, "eth9"));
}

/* A route that is not possible inside is passed over */
TEST(a_route_that_cannot_be)
{
	CHECK(host("addr add 192.0.2.2/24 dev eth0\n"
		   "route add 198.51.100.1 dev eth0\n"
		   "route add 10.0.0.0/8 via 198.51.100.1\n"
		   "route add default via 192.0.2.1\n"
		   "route del 198.51.100.1 dev eth0\n"));
	setup("eth0", "eth0");
	CHECK_EQ(netcopy_found()->routes, 3);
	CHECK(guest("! ip route | grep ^10 >&2 && ip route | grep -q ^192 && "
		    "ip route | grep -q '^default via 192.0.2.1'"));
}

TEST(many_routes)
{
	FILE *f;
	char path[64];

	snprintf(path, sizeof(path), "%s/many", dir);
	CHECK(host("addr add 192.0.2.2/24 dev eth0\n"
		   "route add default via 192.0.2.1\n"));
	f = fopen(path, "w");
	CHECK(f);
	for (unsigned i = 0; f && i < NETCOPY_ROUTES; i++)
		fprintf(f, "route add 10.%u.%u.0/24 via 192.0.2.1%s\n",
			i / 256, i % 256, i % 3 ? "" : " mtu 1400");
	if (f)
		fclose(f);
	CHECK(sh("head -n 5000 %s | ip -batch -", path));
	setup("eth0", "eth0");
	CHECK_EQ(netcopy_found()->routes, 5002);
	CHECK(same(4, "eth0"));
	/* more than there is room for: a default one, and the addresses */
	CHECK(sh("tail -n +5001 %s | ip -batch -", path));
	setup("eth0", "eth0");
	n.family[NETCOPY_V4].gateway = addr("192.0.2.1");
	CHECK(netcopy_found()->too_many[NETCOPY_V4]);
	CHECK(guest("test $(ip route | wc -l) -eq 2 && ip route | grep -q "
		    "'^default via 192.0.2.1 dev eth0 $'"));
}

int main(int argc, char **argv)
{
	int rc;

	char path[64];
	FILE *f;

	if (!hostns_enter() || !mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/dump", dir);
	f = fopen(path, "w");
	if (!f || fputs(DUMP, f) < 0 || fclose(f) || chmod(path, 0700))
		return 1;
	log_init("test", LOG_LEVEL_WARN);
	rc = unit_main(argc, argv);
	sh("rm -r %s", dir);
	return rc;
}
