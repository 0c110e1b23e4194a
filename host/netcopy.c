// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netcopy: addresses and routes of the host's interfaces, for a namespace
 *
 * State: what was found, see struct netcopy.
 *
 *	addresses	all, but IPv6 link-local ones and those that are
 *			duplicates
 *	routes		unicast ones of the main table, but those that every
 *			interface has; of a route over several interfaces the
 *			next hops of the one that is asked for
 *
 * Sources: rtnetlink(7), Linux' include/uapi/linux/rtnetlink.h and if_addr.h.
 */
#include "host/netcopy.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "host/nlmsg.h"
#include "host/rtnl.h"

static struct netcopy netcopy_host;

static unsigned netcopy_index(int family)
{
	return family == AF_INET ? NETCOPY_V4 : NETCOPY_V6;
}

/**
 * netcopy_found() - What the host's interfaces have
 * Return: what netcopy_collect(), or netcopy_parse(), found so far
 */
const struct netcopy *netcopy_found(void)
{
	return &netcopy_host;
}

/**
 * netcopy_forget() - Begin anew
 */
void netcopy_forget(void)
{
	netcopy_host.addrs = netcopy_host.routes = netcopy_host.hops = 0;
	netcopy_host.metrics_len = 0;
	netcopy_host.more_addrs = false;
	memset(netcopy_host.too_many, 0, sizeof(netcopy_host.too_many));
}

static void netcopy_on_addr(const struct netcopy_want *w, struct cur *c)
{
	struct nlmsg_attr attr[RTNL_ATTRS];
	struct netcopy_addr a = { 0 };
	struct ifaddrmsg m;

	if (!nlmsg_header(c, &m, sizeof(m)) ||
	    (m.ifa_family != AF_INET && m.ifa_family != AF_INET6) ||
	    m.ifa_prefixlen > RTNL_BITS(m.ifa_family))
		return;
	nlmsg_attrs(c, attr, RTNL_ATTRS);
	a.peer = rtnl_addr(&attr[IFA_ADDRESS], m.ifa_family);
	a.addr = attr[IFA_LOCAL].p ? rtnl_addr(&attr[IFA_LOCAL], m.ifa_family) :
				     a.peer;
	a.broadcast = rtnl_addr(&attr[IFA_BROADCAST], m.ifa_family);
	a.prefix = m.ifa_prefixlen;
	a.scope = m.ifa_scope;
	a.flags = attr[IFA_FLAGS].p ? nlmsg_u32(&attr[IFA_FLAGS]) : m.ifa_flags;
	a.metric = nlmsg_u32(&attr[IFA_RT_PRIORITY]);
	if (addr_is_unspecified(&a.peer))
		a.peer = a.addr;
	if (!m.ifa_index ||
	    m.ifa_index != w->addrs[netcopy_index(m.ifa_family)] ||
	    a.flags & IFA_F_DADFAILED || !addr_is_unicast(&a.addr) ||
	    addr_is_link_local6(&a.addr) || addr_is_loopback(&a.addr))
		return;
	netcopy_host.more_addrs |= netcopy_host.addrs == NETCOPY_ADDRS;
	if (netcopy_host.more_addrs)
		return;
	a.flags &= IFA_F_DEPRECATED | IFA_F_NOPREFIXROUTE;
	netcopy_host.addr[netcopy_host.addrs++] = a;
}

/* Adds a next hop to the route that is being read */
static void netcopy_add_hop(struct netcopy_route *r, unsigned flags,
			    uint8_t weight, const struct nlmsg_attr *attr)
{
	const struct nlmsg_attr *via = &attr[RTA_VIA];
	struct netcopy_hop hop = { .weight = weight,
				   .onlink = flags & RTNH_F_ONLINK };
	int family = r->v4 ? AF_INET : AF_INET6;
	uint16_t via_family;

	hop.via = rtnl_addr(&attr[RTA_GATEWAY], family);
	if (via->len > sizeof(via_family)) {
		struct nlmsg_attr a = { via->p + sizeof(via_family),
					via->len - sizeof(via_family) };

		memcpy(&via_family, via->p, sizeof(via_family));
		hop.via = rtnl_addr(&a, via_family);
	}
	if (flags & RTNH_F_DEAD || netcopy_host.hops == NETCOPY_HOPS)
		return;
	netcopy_host.hop[netcopy_host.hops++] = hop;
	r->hops++;
}

/* Of a multipath route, the next hops on the interface */
static void netcopy_multipath(struct netcopy_route *r, unsigned ifindex,
			      const struct nlmsg_attr *multi)
{
	struct nlmsg_attr attr[RTNL_ATTRS];
	struct cur c = cur_of(multi->p, multi->len);
	struct rtnexthop h;

	while (c.left >= sizeof(h)) {
		struct cur hop;
		const uint8_t *p;

		memcpy(&h, c.p, sizeof(h));
		p = cur_take(&c, h.rtnh_len);
		if (!p || h.rtnh_len < sizeof(h))
			return;
		hop = cur_of(p + sizeof(h), h.rtnh_len - sizeof(h));
		nlmsg_attrs(&hop, attr, RTNL_ATTRS);
		if ((unsigned)h.rtnh_ifindex == ifindex)
			netcopy_add_hop(r, h.rtnh_flags, h.rtnh_hops, attr);
	}
}

/* Every interface has such routes */
static bool netcopy_is_trivial(const struct netcopy_route *r)
{
	return r->dst_len && !r->v4 &&
	       (addr_is_link_local6(&r->dst) || addr_is_multicast(&r->dst));
}

static bool netcopy_is_wanted(const struct netcopy_want *w, const struct rtmsg *m,
			      const struct nlmsg_attr *attr)
{
	unsigned table = attr[RTA_TABLE].p ? nlmsg_u32(&attr[RTA_TABLE]) :
					     m->rtm_table;

	if ((m->rtm_family != AF_INET && m->rtm_family != AF_INET6) ||
	    m->rtm_dst_len > RTNL_BITS(m->rtm_family) ||
	    m->rtm_src_len > RTNL_BITS(m->rtm_family))
		return false;
	return w->routes[netcopy_index(m->rtm_family)] &&
	       table == RT_TABLE_MAIN && m->rtm_type == RTN_UNICAST &&
	       !(m->rtm_flags & RTM_F_CLONED);
}

static struct netcopy_route netcopy_route_of(const struct rtmsg *m,
					     const struct nlmsg_attr *attr)
{
	struct netcopy_route r = {
		.dst = rtnl_addr(&attr[RTA_DST], m->rtm_family),
		.src = rtnl_addr(&attr[RTA_SRC], m->rtm_family),
		.prefsrc = rtnl_addr(&attr[RTA_PREFSRC], m->rtm_family),
		.v4 = m->rtm_family == AF_INET,
		.dst_len = m->rtm_dst_len, .src_len = m->rtm_src_len,
		.tos = m->rtm_tos, .protocol = m->rtm_protocol,
		.scope = m->rtm_scope,
		.metric = nlmsg_u32(&attr[RTA_PRIORITY]),
		.hop = (uint16_t)netcopy_host.hops,
		.metrics = netcopy_host.metrics_len,
	};

	if (attr[RTA_PREF].len)
		r.pref = attr[RTA_PREF].p[0];
	return r;
}

static void netcopy_keep_route(struct netcopy_route *r,
			       const struct nlmsg_attr *metrics)
{
	struct netcopy *h = &netcopy_host;

	if (h->routes == NETCOPY_ROUTES || h->hops == NETCOPY_HOPS ||
	    metrics->len > NETCOPY_METRICS - h->metrics_len) {
		h->too_many[r->v4 ? NETCOPY_V4 : NETCOPY_V6] = true;
		return;
	}
	if (metrics->len)
		memcpy(h->metrics + h->metrics_len, metrics->p, metrics->len);
	h->metrics_len += (unsigned)metrics->len;
	r->metrics_len = (uint16_t)metrics->len;
	h->route[h->routes++] = *r;
}

static void netcopy_on_route(const struct netcopy_want *w, struct cur *c)
{
	struct nlmsg_attr attr[RTNL_ATTRS];
	struct netcopy_route r;
	struct rtmsg m;
	unsigned ifindex;

	if (!nlmsg_header(c, &m, sizeof(m)))
		return;
	nlmsg_attrs(c, attr, RTNL_ATTRS);
	if (!netcopy_is_wanted(w, &m, attr))
		return;
	r = netcopy_route_of(&m, attr);
	if (netcopy_is_trivial(&r))
		return;
	ifindex = w->routes[netcopy_index(m.rtm_family)];
	if (attr[RTA_MULTIPATH].p)
		netcopy_multipath(&r, ifindex, &attr[RTA_MULTIPATH]);
	else if (nlmsg_u32(&attr[RTA_OIF]) == ifindex)
		netcopy_add_hop(&r, m.rtm_flags, 0, attr);
	if (r.hops || netcopy_host.hops == NETCOPY_HOPS)
		netcopy_keep_route(&r, &attr[RTA_METRICS]);
}

static void netcopy_dispatch(void *to, uint16_t type, struct cur *body)
{
	if (type == RTM_NEWADDR)
		netcopy_on_addr(to, body);
	if (type == RTM_NEWROUTE)
		netcopy_on_route(to, body);
}

/**
 * netcopy_parse() - Read messages of the kernel's
 * @w:		what is asked for
 * @buf:	messages, as received
 * @len:	bytes
 * Return: as rtnl_read(); netcopy_found() has what there was
 */
int netcopy_parse(const struct netcopy_want *w, const void *buf, size_t len)
{
	struct netcopy_want want = *w;

	return rtnl_read(buf, len, netcopy_dispatch, &want);
}

static int netcopy_collect_once(struct netcopy_want *w, bool final)
{
	int rc = 0;

	netcopy_forget();
	for (unsigned i = 0; i < NETCOPY_FAMILIES; i++) {
		int family = i == NETCOPY_V4 ? AF_INET : AF_INET6;

		if (!rc && w->addrs[i])
			rc = rtnl_dump(RTM_GETADDR, family, netcopy_dispatch,
				       w, final);
		if (!rc && w->routes[i])
			rc = rtnl_dump(RTM_GETROUTE, family, netcopy_dispatch,
				       w, final);
	}
	return rc;
}

/**
 * netcopy_collect() - Ask the kernel
 * @w:		what is asked for
 * Return: 0, or a negative error code
 */
int netcopy_collect(const struct netcopy_want *w)
{
	struct netcopy_want want = *w;
	int rc = -EINTR;

	for (int i = 0; i < RTNL_TRIES && rc == -EINTR; i++)
		rc = netcopy_collect_once(&want, i == RTNL_TRIES - 1);
	return rc;
}
