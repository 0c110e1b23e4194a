// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netlink: which interface, address and gateway the host itself uses
 *
 * Three questions to rtnetlink(7), each about what the one before chose:
 *
 *	RTM_GETROUTE dump	interface of the default route with the lowest
 *				metric; else the first one with any route
 *	RTM_GETADDR dump	its best address
 *	RTM_GETLINK dump	its name and MTU
 *
 * Only the main table counts, unicast routes of it, and no interface but lo is
 * left out. Tables of any size are read: nothing is kept but the best so far.
 * A dump that changed under way (NLM_F_DUMP_INTR) is asked for again, a few
 * times; the last one counts as it is.
 *
 * Sources: rtnetlink(7), netlink(7), Linux' include/uapi/linux/rtnetlink.h.
 */
#include "host/netlink.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "host/nlmsg.h"
#include "host/rtnl.h"
#include "lib/bytes.h"

/** lo has this index in every network namespace */
#define NETLINK_LOOPBACK	1
/**
 * struct netlink_hop - where a route leads
 * @ifindex:	interface, 0: nowhere
 * @gateway:	gateway, or unset
 * @source:	preferred source address, or unset
 * @metric:	the lower the better
 */
struct netlink_hop {
	unsigned ifindex;
	struct addr gateway;
	struct addr source;
	uint32_t metric;
};

/* Of the next hops of a multipath route the heaviest; the first of equals */
static struct netlink_hop netlink_multipath(const struct netlink_view *v,
					    const struct nlmsg_attr *multi)
{
	struct nlmsg_attr attr[RTNL_ATTRS];
	struct cur c = cur_of(multi->p, multi->len);
	struct netlink_hop best = { .ifindex = 0 };
	struct rtnexthop h;
	int weight = -1;

	while (c.left >= sizeof(h)) {
		struct cur hop;
		const uint8_t *p;

		memcpy(&h, c.p, sizeof(h));
		p = cur_take(&c, h.rtnh_len);
		if (!p || h.rtnh_len < sizeof(h))
			break;
		hop = cur_of(p + sizeof(h), h.rtnh_len - sizeof(h));
		nlmsg_attrs(&hop, attr, RTNL_ATTRS);
		if (h.rtnh_hops > weight && h.rtnh_ifindex > 0 &&
		    !(h.rtnh_flags & RTNH_F_DEAD) &&
		    (!v->only || v->only == (unsigned)h.rtnh_ifindex)) {
			weight = h.rtnh_hops;
			best.ifindex = (unsigned)h.rtnh_ifindex;
			best.gateway = rtnl_addr(&attr[RTA_GATEWAY],
						    v->family);
		}
	}
	return best;
}

static struct netlink_hop netlink_next_hop(const struct netlink_view *v,
					   const struct nlmsg_attr *attr)
{
	struct netlink_hop hop = { .ifindex = nlmsg_u32(&attr[RTA_OIF]) };

	hop.gateway = rtnl_addr(&attr[RTA_GATEWAY], v->family);
	if (attr[RTA_MULTIPATH].p)
		hop = netlink_multipath(v, &attr[RTA_MULTIPATH]);
	hop.source = rtnl_addr(&attr[RTA_PREFSRC], v->family);
	hop.metric = nlmsg_u32(&attr[RTA_PRIORITY]);
	return hop;
}

/* Every interface has such routes */
static bool netlink_is_trivial(const struct netlink_view *v,
			       const struct rtmsg *m,
			       const struct nlmsg_attr *attr)
{
	struct addr dst = rtnl_addr(&attr[RTA_DST], v->family);

	return m->rtm_dst_len &&
	       (addr_is_link_local6(&dst) || addr_is_multicast(&dst));
}

static void netlink_default_route(struct netlink_routes *r,
				  const struct netlink_hop *hop)
{
	if (r->found && hop->metric >= r->metric)
		return;
	r->found = true;
	r->ifindex = hop->ifindex;
	r->gateway = hop->gateway;
	r->source = hop->source;
	r->metric = hop->metric;
}

static void netlink_any_route(struct netlink_routes *r,
			      const struct netlink_hop *hop)
{
	if (!r->first)
		r->first = hop->ifindex;
	if (r->first != hop->ifindex)
		r->several = true;
	else if (addr_is_unspecified(&r->first_gateway))
		r->first_gateway = hop->gateway;
}

static void netlink_on_route(struct netlink_view *v, struct cur *c)
{
	struct nlmsg_attr attr[RTNL_ATTRS];
	struct netlink_hop hop;
	struct rtmsg m;
	unsigned table;

	if (!nlmsg_header(c, &m, sizeof(m)) || m.rtm_family != v->family)
		return;
	nlmsg_attrs(c, attr, RTNL_ATTRS);
	table = attr[RTA_TABLE].p ? nlmsg_u32(&attr[RTA_TABLE]) :
				    m.rtm_table;
	if (table != RT_TABLE_MAIN || m.rtm_type != RTN_UNICAST ||
	    m.rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD))
		return;
	hop = netlink_next_hop(v, attr);
	if (!hop.ifindex || hop.ifindex == NETLINK_LOOPBACK ||
	    (v->only && v->only != hop.ifindex) ||
	    netlink_is_trivial(v, &m, attr))
		return;
	netlink_any_route(&v->routes, &hop);
	if (!m.rtm_dst_len)
		netlink_default_route(&v->routes, &hop);
}

/* 0: not to be used; above, the more the better */
static unsigned netlink_rank(const struct ifaddrmsg *m, uint32_t flags,
			     const struct addr *a)
{
	if (flags & IFA_F_DADFAILED || m->ifa_scope >= RT_SCOPE_HOST || !addr_is_unicast(a) ||
	    addr_is_loopback(a) || addr_is_link_local6(a))
		return 0;
	/* IFA_F_SECONDARY is IPv6's IFA_F_TEMPORARY */
	return 1 + (m->ifa_scope < RT_SCOPE_LINK ? 8U : 0U) +
	       (flags & IFA_F_DEPRECATED ? 0U : 4U) +
	       (flags & IFA_F_TENTATIVE ? 0U : 2U) +
	       (flags & IFA_F_SECONDARY ? 0U : 1U);
}

static void netlink_on_addr(struct netlink_view *v, struct cur *c)
{
	struct nlmsg_attr attr[RTNL_ATTRS];
	struct ifaddrmsg m;
	struct addr a;
	uint32_t flags;
	unsigned rank;

	if (!nlmsg_header(c, &m, sizeof(m)) || m.ifa_family != v->family ||
	    m.ifa_index != v->only ||
	    m.ifa_prefixlen > RTNL_BITS(v->family))
		return;
	nlmsg_attrs(c, attr, RTNL_ATTRS);
	/* Of a point-to-point interface IFA_ADDRESS is the peer's */
	a = rtnl_addr(attr[IFA_LOCAL].p ? &attr[IFA_LOCAL] :
			 &attr[IFA_ADDRESS], v->family);
	flags = attr[IFA_FLAGS].p ? nlmsg_u32(&attr[IFA_FLAGS]) :
				    m.ifa_flags;
	rank = netlink_rank(&m, flags, &a);
	if (rank <= v->rank)
		return;
	v->rank = rank;
	v->addr = a;
	v->prefix = m.ifa_prefixlen;
}

static void netlink_on_link(struct netlink_view *v, struct cur *c)
{
	struct nlmsg_attr attr[RTNL_ATTRS];
	const struct nlmsg_attr *name = &attr[IFLA_IFNAME];
	struct ifinfomsg m;

	if (!nlmsg_header(c, &m, sizeof(m)) ||
	    (unsigned)m.ifi_index != v->only)
		return;
	nlmsg_attrs(c, attr, RTNL_ATTRS);
	if (!name->len || name->len > IFNAMSIZ || name->p[name->len - 1])
		return;
	memcpy(v->ifname, name->p, name->len);
	v->mtu = nlmsg_u32(&attr[IFLA_MTU]);
}

static const struct {
	uint16_t type;
	void (*fn)(struct netlink_view *v, struct cur *c);
} netlink_handlers[] = {
	{ RTM_NEWROUTE, netlink_on_route },
	{ RTM_NEWADDR, netlink_on_addr },
	{ RTM_NEWLINK, netlink_on_link },
};

static void netlink_dispatch(void *view, uint16_t type, struct cur *c)
{
	size_t n = sizeof(netlink_handlers) / sizeof(netlink_handlers[0]);

	for (size_t i = 0; i < n; i++) {
		if (netlink_handlers[i].type == type)
			netlink_handlers[i].fn(view, c);
	}
}

/**
 * netlink_parse() - Read messages of the kernel's
 * @v:		what to look for, and what was found so far
 * @buf:	messages, as received
 * @len:	bytes
 * Return: as rtnl_read()
 */
int netlink_parse(struct netlink_view *v, const void *buf, size_t len)
{
	return rtnl_read(buf, len, netlink_dispatch, v);
}

static int netlink_dump(struct netlink_view *v, uint16_t type)
{
	const struct netlink_view before = *v;
	int family = type == RTM_GETLINK ? AF_UNSPEC : v->family;
	int rc = -EINTR;

	for (int i = 0; i < RTNL_TRIES && rc == -EINTR; i++) {
		*v = before;
		rc = rtnl_dump(type, family, netlink_dispatch, v,
			       i == RTNL_TRIES - 1);
	}
	return rc;
}

static void netlink_choose(const struct netlink_view *v,
			   struct netlink_uplink *up)
{
	const struct netlink_routes *r = &v->routes;

	up->ifindex = r->found ? r->ifindex : r->first ? r->first : v->only;
	up->has_route = r->first;
	up->default_route = r->found;
	if (r->found)
		up->gateway = r->gateway;
	else if (!r->several)
		up->gateway = r->first_gateway;
}

/**
 * netlink_uplink() - How the host is connected, in one family
 * @family:	AF_INET or AF_INET6
 * @ifname:	interface to look at, or "": that of the default route, else the
 *		first one with any route
 * @up:		filled in; @up->ifindex is 0 where the host is not connected
 * Return: 0, or a negative error code of socket(2), send(2), recv(2), of the
 *	   kernel's answer, or of if_nametoindex(3)
 */
int netlink_uplink(int family, const char *ifname, struct netlink_uplink *up)
{
	struct netlink_view v = { .family = family };
	int rc;

	memset(up, 0, sizeof(*up));
	if (*ifname) {
		v.only = if_nametoindex(ifname);
		if (!v.only)
			return -errno;
	}
	rc = netlink_dump(&v, RTM_GETROUTE);
	/* A kernel without the family */
	if (rc == -EOPNOTSUPP || rc == -EAFNOSUPPORT)
		return 0;
	if (rc)
		return rc;
	netlink_choose(&v, up);
	if (!up->ifindex)
		return 0;
	v.only = up->ifindex;
	rc = netlink_dump(&v, RTM_GETADDR);
	if (!rc)
		rc = netlink_dump(&v, RTM_GETLINK);
	if (rc)
		return rc;
	memcpy(up->ifname, v.ifname, sizeof(up->ifname));
	up->mtu = v.mtu;
	up->addr = v.addr;
	up->prefix = v.prefix;
	if (addr_is_unspecified(&up->addr) && v.routes.found &&
	    !addr_is_unspecified(&v.routes.source)) {
		/* An interface without an address of its own */
		up->addr = v.routes.source;
		up->prefix = RTNL_BITS(family);
	}
	return 0;
}
