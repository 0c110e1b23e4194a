// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netlink: what the host's kernel knows of interfaces, addresses and routes
 *
 * Dumps are asked for and read message by message, each attribute checked
 * against what is left; parsing is apart from asking, so that tests can feed it
 * bytes. A dump that the kernel says was interrupted by a change is asked for
 * again.
 *
 * Sources: rtnetlink(7), netlink(7), Linux' include/uapi/linux/rtnetlink.h.
 */
#include "host/netlink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NETLINK_TRIES	5

/** Takes what one message of a dump says */
typedef void (*netlink_fn)(const struct nlmsghdr *nh, void *to);

/* An attribute's payload where it is of the family's address size */
static bool netlink_addr(const struct rtattr *rta, int family, struct addr *a)
{
	if (family == AF_INET && RTA_PAYLOAD(rta) == 4) {
		*a = addr_from_v4(RTA_DATA(rta));
		return true;
	}
	if (family == AF_INET6 && RTA_PAYLOAD(rta) == 16) {
		*a = addr_from_v6(RTA_DATA(rta));
		return true;
	}
	return false;
}

static uint32_t netlink_u32(const struct rtattr *rta)
{
	uint32_t v = 0;

	if (RTA_PAYLOAD(rta) >= sizeof(v))
		memcpy(&v, RTA_DATA(rta), sizeof(v));
	return v;
}

/**
 * struct netlink_route - a route as far as it matters here
 * @table:	routing table
 * @oif:	interface
 * @metric:	metric
 * @has_dst:	it has a destination: no default route
 * @dst:	destination
 * @has_gateway:	it has a gateway
 * @gateway:	gateway, the first one of a multipath route
 */
struct netlink_route {
	uint32_t table;
	uint32_t oif;
	uint32_t metric;
	bool has_dst;
	struct addr dst;
	bool has_gateway;
	struct addr gateway;
};

static void netlink_route_attrs(const struct rtattr *rta, int len,
				int family, struct netlink_route *r);

/* The first next hop of a multipath route stands for the route */
static void netlink_multipath(const struct rtattr *rta, int family,
			      struct netlink_route *r)
{
	const struct rtnexthop *nh = RTA_DATA(rta);
	size_t len = RTA_PAYLOAD(rta);

	if (len < sizeof(*nh) || nh->rtnh_len < sizeof(*nh) ||
	    nh->rtnh_len > len)
		return;
	r->oif = (uint32_t)nh->rtnh_ifindex;
	netlink_route_attrs(RTNH_DATA(nh), nh->rtnh_len - (int)sizeof(*nh),
			    family, r);
}

static void netlink_route_attrs(const struct rtattr *rta, int len,
				int family, struct netlink_route *r)
{
	for (; RTA_OK(rta, len); rta = RTA_NEXT(rta, len)) {
		switch (rta->rta_type) {
		case RTA_DST:
			r->has_dst = netlink_addr(rta, family, &r->dst);
			break;
		case RTA_GATEWAY:
			r->has_gateway = netlink_addr(rta, family,
						      &r->gateway);
			break;
		case RTA_OIF:
			r->oif = netlink_u32(rta);
			break;
		case RTA_PRIORITY:
			r->metric = netlink_u32(rta);
			break;
		case RTA_TABLE:
			r->table = netlink_u32(rta);
			break;
		case RTA_MULTIPATH:
			netlink_multipath(rta, family, r);
			break;
		}
	}
}

static void netlink_on_route(const struct nlmsghdr *nh, void *to)
{
	const struct rtmsg *m = NLMSG_DATA(nh);
	struct netlink_routes *all = to;
	struct netlink_route r = { 0 };

	if (nh->nlmsg_type != RTM_NEWROUTE ||
	    nh->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
	    m->rtm_family != all->family || m->rtm_type != RTN_UNICAST ||
	    m->rtm_flags & RTM_F_CLONED)
		return;
	r.table = m->rtm_table;
	netlink_route_attrs(RTM_RTA(m), (int)NLMSG_PAYLOAD(nh, sizeof(*m)),
			    all->family, &r);
	if (r.table != RT_TABLE_MAIN || !r.oif ||
	    (all->only && r.oif != all->only) ||
	    (r.has_dst && (addr_is_link_local6(&r.dst) ||
			   addr_is_loopback(&r.dst) ||
			   addr_is_multicast(&r.dst))))
		return;
	if (!all->any)
		all->any = r.oif;
	if (m->rtm_dst_len || (all->best && all->metric <= r.metric))
		return;
	all->best = r.oif;
	all->metric = r.metric;
	all->has_gateway = r.has_gateway;
	all->gateway = r.gateway;
}

/* How good an address is to give to a guest; 0: not at all */
static unsigned netlink_rank(const struct ifaddrmsg *m, uint32_t flags)
{
	unsigned rank = 1;

	if (m->ifa_scope == RT_SCOPE_HOST ||
	    (m->ifa_family == AF_INET6 && m->ifa_scope != RT_SCOPE_UNIVERSE))
		return 0;
	if (m->ifa_scope == RT_SCOPE_UNIVERSE)
		rank += 8;
	if (!(flags & (IFA_F_DEPRECATED | IFA_F_DADFAILED)))
		rank += 4;
	/* IFA_F_SECONDARY and IFA_F_TEMPORARY are the same bit */
	if (!(flags & IFA_F_SECONDARY))
		rank += 2;
	return rank;
}

static void netlink_on_addr(const struct nlmsghdr *nh, void *to)
{
	const struct ifaddrmsg *m = NLMSG_DATA(nh);
	struct netlink_addrs *best = to;
	const struct rtattr *rta;
	struct addr local, peer;
	bool has_local = false, has_peer = false;
	unsigned rank;
	uint32_t flags;
	int len;	/* signed: RTA_NEXT may go below 0 */

	if (nh->nlmsg_type != RTM_NEWADDR ||
	    nh->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
	    m->ifa_family != best->family || m->ifa_index != best->ifindex)
		return;
	flags = m->ifa_flags;
	len = (int)NLMSG_PAYLOAD(nh, sizeof(*m));
	for (rta = IFA_RTA(m); RTA_OK(rta, len); rta = RTA_NEXT(rta, len)) {
		if (rta->rta_type == IFA_LOCAL)
			has_local = netlink_addr(rta, best->family, &local);
		else if (rta->rta_type == IFA_ADDRESS)
			has_peer = netlink_addr(rta, best->family, &peer);
		else if (rta->rta_type == IFA_FLAGS)
			flags = netlink_u32(rta);
	}
	rank = netlink_rank(m, flags);
	if (rank <= best->rank || (!has_local && !has_peer))
		return;
	best->rank = rank;
	best->addr = has_local ? local : peer;
	best->prefix = m->ifa_prefixlen;
}

/* 1: more to come, 0: done, or a negative error code */
static int netlink_parse(const void *buf, size_t len, netlink_fn fn, void *to)
{
	const struct nlmsghdr *nh = buf;
	int left = (int)len;

	for (; NLMSG_OK(nh, left); nh = NLMSG_NEXT(nh, left)) {
		const struct nlmsgerr *e = NLMSG_DATA(nh);

		if (nh->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (nh->nlmsg_type == NLMSG_DONE)
			return 0;
		if (nh->nlmsg_type == NLMSG_ERROR)
			return nh->nlmsg_len < NLMSG_LENGTH(sizeof(*e)) ?
			       -EBADMSG : e->error;
		fn(nh, to);
	}
	return 1;
}

/**
 * netlink_parse_routes() - Read messages of a dump of routes
 * @buf:	messages, aligned as netlink(7) has them
 * @len:	bytes
 * @r:		what was shown so far
 * Return: 1 where more messages follow, 0 at the end, a negative error code as
 * the kernel told; -EINTR: ask again
 */
int netlink_parse_routes(const void *buf, size_t len, struct netlink_routes *r)
{
	return netlink_parse(buf, len, netlink_on_route, r);
}

/**
 * netlink_parse_addrs() - Read messages of a dump of addresses
 * @buf:	messages, aligned as netlink(7) has them
 * @len:	bytes
 * @a:		what was shown so far
 * Return: as netlink_parse_routes()
 */
int netlink_parse_addrs(const void *buf, size_t len, struct netlink_addrs *a)
{
	return netlink_parse(buf, len, netlink_on_addr, a);
}

static int netlink_ask(int fd, uint16_t type, int family)
{
	struct {
		struct nlmsghdr nh;
		struct rtmsg m;		/* as long as ifaddrmsg, or longer */
	} ask = { .nh = { .nlmsg_len = sizeof(ask), .nlmsg_type = type,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		  .m = { .rtm_family = (unsigned char)family } };

	return send(fd, &ask, sizeof(ask), 0) < 0 ? -errno : 0;
}

static int netlink_dump_once(uint16_t type, int family, netlink_fn fn, void *to)
{
	static _Alignas(NLMSG_ALIGNTO) char buf[128 * 1024];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t n;
	int rc;

	if (fd < 0)
		return -errno;
	rc = netlink_ask(fd, type, family);
	while (!rc) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EINTR)
			continue;
		rc = n < 0 ? -errno : netlink_parse(buf, (size_t)n, fn, to);
		if (rc <= 0)
			break;
		rc = 0;
	}
	close(fd);
	return rc;
}

static int netlink_routes(struct netlink_routes *r)
{
	const struct netlink_routes none = *r;
	int rc = -EINTR;

	for (int i = 0; rc == -EINTR && i < NETLINK_TRIES; i++) {
		*r = none;
		rc = netlink_dump_once(RTM_GETROUTE, r->family,
				       netlink_on_route, r);
	}
	return rc;
}

static int netlink_addrs(struct netlink_addrs *a)
{
	const struct netlink_addrs none = *a;
	int rc = -EINTR;

	for (int i = 0; rc == -EINTR && i < NETLINK_TRIES; i++) {
		*a = none;
		rc = netlink_dump_once(RTM_GETADDR, a->family, netlink_on_addr,
				       a);
	}
	return rc;
}

/* netdevice(7): SIOCGIFMTU; 0 where it cannot be told */
static unsigned netlink_mtu(const char *ifname)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), mtu = 0;

	if (fd < 0)
		return 0;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (!ioctl(fd, SIOCGIFMTU, &ifr))
		mtu = ifr.ifr_mtu;
	close(fd);
	return mtu > 0 ? (unsigned)mtu : 0;
}

/**
 * netlink_family_read() - Ask the kernel what it has of a family
 * @family:	AF_INET or AF_INET6
 * @ifname:	interface to look at, "": the one with the best routes
 * @out:	filled in
 * Return: 0, or a negative error code; a kernel without the family has nothing
 */
int netlink_family_read(int family, const char *ifname,
			struct netlink_family *out)
{
	struct netlink_routes r = { .family = family };
	struct netlink_addrs a = { .family = family };
	int rc;

	*out = (struct netlink_family){ .ifindex = 0 };
	r.only = *ifname ? if_nametoindex(ifname) : 0;
	rc = netlink_routes(&r);
	if (rc == -EOPNOTSUPP || rc == -EAFNOSUPPORT)
		return 0;
	if (rc)
		return rc;
	out->has_route = r.any;
	out->has_gateway = r.best && r.has_gateway;
	out->gateway = r.gateway;
	out->ifindex = r.only ? r.only : r.best ? r.best : r.any;
	if (!out->ifindex || !if_indextoname(out->ifindex, out->ifname))
		return 0;
	out->mtu = netlink_mtu(out->ifname);

	a.ifindex = out->ifindex;
	rc = netlink_addrs(&a);
	out->has_addr = a.rank;
	out->addr = a.addr;
	out->prefix = a.prefix;
	return rc;
}
