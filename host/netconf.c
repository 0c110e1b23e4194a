// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netconf: the host's addresses and routes, given to a network namespace
 *
 * State: what is being done, struct netconf_task; nothing once it is.
 *
 *	links and addresses	lo up; then the interface: no address of the
 *				kernel's own making, MTU, up, addresses
 *	routes			the host's, or a default one
 *
 * IPv6 addresses are added with IFA_F_NODAD, the link-local one as well: the
 * kernel is kept from making it itself, which it would then detect duplicates
 * of for a second. Router advertisements are not taken.
 *
 * A route is possible once its gateway can be reached: those that the kernel
 * refuses are tried again after the others, as long as that gets on.
 *
 * Sources: rtnetlink(7), Linux' include/uapi/linux/rtnetlink.h, if_addr.h and
 * if_link.h, Documentation/networking/ip-sysctl.rst; RFC 4291 appendix A.
 */
#include "host/netconf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/rtnl.h"
#include "lib/log.h"

/** lo has this index in every network namespace */
#define NETCONF_LO		1
/** Least MTU of IPv6 (RFC 8200 5): with less, an interface has none */
#define NETCONF_MTU_MIN6	1280

/**
 * netconf_collect() - Remember the host's addresses and routes
 * @n:		what will be asked for
 * @why:	where to say what failed, a few words
 * Return: 0, or a negative error code with @why filled in
 */
int netconf_collect(const struct netconf *n, char why[NETCONF_WHY])
{
	struct netcopy_want w = { 0 };
	int rc;

	for (unsigned i = 0; i < NETCOPY_FAMILIES && *n->ifname; i++) {
		const struct netconf_family *f = &n->family[i];

		w.addrs[i] = f->on && f->copy_addrs ? f->ifindex : 0;
		w.routes[i] = f->on && f->copy_routes ? f->ifindex : 0;
	}
	rc = netcopy_collect(&w);
	if (rc)
		snprintf(why, NETCONF_WHY, "its addresses and routes");
	return rc;
}

/* ---- what is to be there ---- */

/**
 * struct netconf_link - what to do with an interface
 * @ifindex:	interface
 * @up:		bring it up
 * @mtu:	MTU to set, or 0
 * @gen_mode:	how the kernel is to make an IPv6 link-local address,
 *		enum in6_addr_gen_mode; -1: leave that
 */
struct netconf_link {
	unsigned ifindex;
	bool up;
	unsigned mtu;
	int gen_mode;
};

/**
 * struct netconf_task - what a namespace is being given
 * @n:		what was asked for
 * @host:	what was found on the host
 * @ifindex:	the interface inside
 * @no_v6:	there is no IPv6 on it
 * @addr:	its addresses
 * @addrs:	how many
 * @own_route:	default routes where none are copied
 * @own_hop:	and their next hops
 * @job:	requests at hand
 * @jobs:	how many
 */
static struct netconf_task {
	const struct netconf *n;
	const struct netcopy *host;
	unsigned ifindex;
	bool no_v6;
	struct netcopy_addr addr[NETCOPY_ADDRS + NETCOPY_FAMILIES + 1];
	unsigned addrs;
	struct netcopy_route own_route[NETCOPY_FAMILIES];
	struct netcopy_hop own_hop[NETCOPY_FAMILIES];
	struct rtnl_job job[NETCOPY_ROUTES + NETCOPY_FAMILIES];
	unsigned jobs;
} netconf_task;

static bool netconf_served(unsigned i)
{
	const struct netconf *n = netconf_task.n;

	return n->family[i].on && (i == NETCOPY_V4 || !netconf_task.no_v6);
}

/* Whether the host's routes are copied, as they are */
static bool netconf_copies_routes(unsigned i)
{
	const struct netconf_family *f = &netconf_task.n->family[i];

	return f->copy_routes && f->ifindex && !netconf_task.host->too_many[i];
}

/* Whether the host has the route that its kernel adds with an address */
static bool netconf_has_prefix_route(const struct netcopy_addr *a)
{
	struct addr net = addr_prefix(&a->peer, a->prefix);

	for (unsigned i = 0; i < netconf_task.host->routes; i++) {
		const struct netcopy_route *r = &netconf_task.host->route[i];

		if (r->protocol == RTPROT_KERNEL && r->dst_len == a->prefix &&
		    addr_equal(&r->dst, &net))
			return true;
	}
	return false;
}

static void netconf_add_addr(const struct netcopy_addr *a)
{
	netconf_task.addr[netconf_task.addrs++] = *a;
}

/* The kernel adds none with such an address */
static bool netconf_is_single(const struct netcopy_addr *a)
{
	return addr_is_v4(&a->addr) && a->prefix == 32;
}

/*
 * Routes to prefixes are copied with the others, or else made by the kernel,
 * which has the IPv6 addresses added last first
 */
static bool netconf_copy_addrs(unsigned i)
{
	unsigned before = netconf_task.addrs, count = netconf_task.host->addrs;

	for (unsigned k = 0; k < count; k++) {
		unsigned at = i == NETCOPY_V4 ? k : count - 1 - k;
		struct netcopy_addr a = netconf_task.host->addr[at];

		if (addr_is_v4(&a.addr) != (i == NETCOPY_V4))
			continue;
		if (!netconf_copies_routes(i))
			a.flags &= ~(uint32_t)IFA_F_NOPREFIXROUTE;
		else if (!netconf_is_single(&a) && !netconf_has_prefix_route(&a))
			a.flags |= IFA_F_NOPREFIXROUTE;
		netconf_add_addr(&a);
	}
	return netconf_task.addrs > before;
}

/* The last address of an IPv4 prefix that has one for this */
static struct addr netconf_broadcast(const struct addr *a, unsigned prefix)
{
	uint32_t host = prefix < 31 ? UINT32_MAX >> prefix : 0;
	struct addr b = *a;

	if (!host)
		return ADDR_ANY6;
	put_be32(b.b + 12, get_be32(b.b + 12) | host);
	return b;
}

static void netconf_own_addr(unsigned i)
{
	const struct netconf_family *f = &netconf_task.n->family[i];
	struct netcopy_addr a = { .addr = f->addr, .peer = f->addr,
				  .prefix = (uint8_t)f->prefix };

	if (addr_is_unspecified(&f->addr))
		return;
	if (i == NETCOPY_V4)
		a.broadcast = netconf_broadcast(&a.addr, a.prefix);
	netconf_add_addr(&a);
}

/* What the kernel would take by itself: EUI-64 of the MAC address */
static void netconf_link_local(const uint8_t *mac)
{
	struct netcopy_addr a = { .prefix = 64, .scope = RT_SCOPE_LINK };

	a.addr = (struct addr){ { 0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2],
				  0xff, 0xfe, mac[3], mac[4], mac[5] } };
	a.peer = a.addr;
	netconf_add_addr(&a);
}

static void netconf_choose_addrs(const uint8_t *mac)
{
	netconf_task.addrs = 0;
	if (netconf_task.host->more_addrs)
		warn("Of the host's addresses, %u are copied", NETCOPY_ADDRS);
	for (unsigned i = 0; i < NETCOPY_FAMILIES; i++) {
		if (!netconf_served(i))
			continue;
		if (i == NETCOPY_V6)
			netconf_link_local(mac);
		if (!netconf_copy_addrs(i))
			netconf_own_addr(i);
	}
}

static bool netconf_is_ours(const struct addr *a)
{
	for (unsigned i = 0; i < netconf_task.addrs; i++) {
		if (addr_equal(&netconf_task.addr[i].addr, a))
			return true;
	}
	return false;
}

static bool netconf_is_neighbour(const struct addr *a)
{
	for (unsigned i = 0; i < netconf_task.addrs; i++) {
		const struct netcopy_addr *o = &netconf_task.addr[i];

		if (addr_is_v4(&o->addr) == addr_is_v4(a) &&
		    addr_in_prefix(a, &o->peer, o->prefix))
			return true;
	}
	return addr_is_link_local6(a);
}

/* ---- requests ---- */

static void netconf_write_link(struct out *o, const void *item)
{
	const struct netconf_link *l = item;
	struct ifinfomsg m = { .ifi_index = (int)l->ifindex,
			       .ifi_flags = l->up ? IFF_UP : 0,
			       .ifi_change = l->up ? IFF_UP : 0 };
	uint8_t mode = (uint8_t)l->gen_mode;
	size_t spec, inet6;

	out_bytes(o, &m, sizeof(m));
	if (l->mtu)
		rtnl_put_u32(o, IFLA_MTU, l->mtu);
	if (l->gen_mode < 0)
		return;
	spec = rtnl_nest(o, IFLA_AF_SPEC);
	inet6 = rtnl_nest(o, AF_INET6);
	rtnl_put(o, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	rtnl_nest_end(o, inet6);
	rtnl_nest_end(o, spec);
}

static void netconf_write_addr(struct out *o, const void *item)
{
	const struct netcopy_addr *a = item;
	bool v4 = addr_is_v4(&a->addr);
	struct ifaddrmsg m = { .ifa_family = v4 ? AF_INET : AF_INET6,
			       .ifa_prefixlen = a->prefix,
			       .ifa_scope = a->scope,
			       .ifa_index = netconf_task.ifindex };
	struct ifa_cacheinfo old = { .ifa_valid = UINT32_MAX };

	out_bytes(o, &m, sizeof(m));
	rtnl_put_addr(o, IFA_LOCAL, &a->addr);
	rtnl_put_addr(o, IFA_ADDRESS, &a->peer);
	if (!addr_is_unspecified(&a->broadcast))
		rtnl_put_addr(o, IFA_BROADCAST, &a->broadcast);
	rtnl_put_u32(o, IFA_FLAGS, (a->flags & IFA_F_NOPREFIXROUTE) |
				   (v4 ? 0 : IFA_F_NODAD));
	if (a->metric)
		rtnl_put_u32(o, IFA_RT_PRIORITY, a->metric);
	if (a->flags & IFA_F_DEPRECATED)
		rtnl_put(o, IFA_CACHEINFO, &old, sizeof(old));
}

/* A gateway may be of the other family (RFC 5549) */
static void netconf_write_via(struct out *o, const struct netcopy_route *r,
			      const struct addr *via)
{
	static const uint16_t family = AF_INET6;
	uint8_t other[sizeof(family) + sizeof(via->b)];

	memcpy(other, &family, sizeof(family));
	memcpy(other + sizeof(family), via->b, sizeof(via->b));
	if (addr_is_unspecified(via))
		return;
	if (r->v4 && !addr_is_v4(via))
		rtnl_put(o, RTA_VIA, other, sizeof(other));
	else
		rtnl_put_addr(o, RTA_GATEWAY, via);
}

/* Where there is no IPv6 to find a gateway by: anybody is found on our link */
static struct netcopy_hop netconf_hop(const struct netcopy_route *r,
				      const struct netcopy_hop *hop)
{
	if (r->v4 && !addr_is_v4(&hop->via) && !netconf_served(NETCOPY_V6))
		return (struct netcopy_hop){ .weight = hop->weight };
	return *hop;
}

static void netconf_write_multipath(struct out *o,
				    const struct netcopy_route *r,
				    const struct netcopy_hop *hop)
{
	size_t multi = rtnl_nest(o, RTA_MULTIPATH);

	for (unsigned i = 0; i < r->hops; i++) {
		const struct netcopy_hop to = netconf_hop(r, &hop[i]);
		struct rtnexthop h = {
			.rtnh_flags = to.onlink ? RTNH_F_ONLINK : 0,
			.rtnh_hops = to.weight,
			.rtnh_ifindex = (int)netconf_task.ifindex };
		size_t at = o->len;

		out_bytes(o, &h, sizeof(h));
		netconf_write_via(o, r, &to.via);
		rtnl_nest_end(o, at);
	}
	rtnl_nest_end(o, multi);
}

static const struct netcopy_hop *netconf_hops(const struct netcopy_route *r)
{
	if (r == &netconf_task.own_route[NETCOPY_V4])
		return &netconf_task.own_hop[NETCOPY_V4];
	if (r == &netconf_task.own_route[NETCOPY_V6])
		return &netconf_task.own_hop[NETCOPY_V6];
	return &netconf_task.host->hop[r->hop];
}

static void netconf_write_route(struct out *o, const void *item)
{
	const struct netcopy_route *r = item;
	const struct netcopy_hop *hop = netconf_hops(r);
	const struct netcopy_hop first = netconf_hop(r, hop);
	struct rtmsg m = { .rtm_family = r->v4 ? AF_INET : AF_INET6,
			   .rtm_dst_len = r->dst_len, .rtm_src_len = r->src_len,
			   .rtm_tos = r->tos, .rtm_table = RT_TABLE_MAIN,
			   .rtm_protocol = r->protocol, .rtm_scope = r->scope,
			   .rtm_type = RTN_UNICAST };

	if (r->hops == 1 && first.onlink)
		m.rtm_flags = RTNH_F_ONLINK;
	out_bytes(o, &m, sizeof(m));
	if (r->dst_len)
		rtnl_put_addr(o, RTA_DST, &r->dst);
	if (r->src_len)
		rtnl_put_addr(o, RTA_SRC, &r->src);
	if (netconf_is_ours(&r->prefsrc))
		rtnl_put_addr(o, RTA_PREFSRC, &r->prefsrc);
	if (r->metric)
		rtnl_put_u32(o, RTA_PRIORITY, r->metric);
	if (!r->v4 && r->pref)
		rtnl_put(o, RTA_PREF, &r->pref, sizeof(r->pref));
	if (r->metrics_len)
		rtnl_put(o, RTA_METRICS, netconf_task.host->metrics + r->metrics,
			 r->metrics_len);
	if (r->hops == 1) {
		netconf_write_via(o, r, &first.via);
		rtnl_put_u32(o, RTA_OIF, netconf_task.ifindex);
	} else {
		netconf_write_multipath(o, r, hop);
	}
}

static void netconf_add_job(const struct rtnl_job *j)
{
	struct rtnl_job *job = &netconf_task.job[netconf_task.jobs++];

	*job = *j;
	job->rc = RTNL_PENDING;
}

static void netconf_add_link_job(const struct netconf_link *l, const char *what)
{
	netconf_add_job(&(struct rtnl_job){
		.write = netconf_write_link, .type = RTM_NEWLINK, .item = l,
		.what = what });
}

/* Two of a metric differ by their gateways in IPv4; not so in IPv6 */
static void netconf_add_route_job(const struct netcopy_route *r)
{
	netconf_add_job(&(struct rtnl_job){
		.write = netconf_write_route, .type = RTM_NEWROUTE,
		.flags = NLM_F_CREATE | (r->v4 ? NLM_F_APPEND : NLM_F_EXCL),
		.item = r });
}

/* ---- what became of them ---- */

/* Refused because IPv6 is switched off in this namespace, or not built in */
static bool netconf_is_v6_off(const struct rtnl_job *j)
{
	const struct netcopy_addr *a = j->item;

	return j->write == netconf_write_addr && !addr_is_v4(&a->addr) &&
	       (j->rc == -EACCES || j->rc == -EAFNOSUPPORT ||
		j->rc == -EOPNOTSUPP);
}

static bool netconf_failed(const struct rtnl_job *j)
{
	if (j->write == netconf_write_link && !j->what)
		return false;
	return j->rc && !netconf_is_v6_off(j);
}

static void netconf_describe(const struct rtnl_job *j, char *to, size_t size)
{
	const char *ifname = netconf_task.n->ifname;
	const struct netcopy_addr *a = j->item;
	const struct netcopy_route *r = j->item;
	char text[ADDR_STRLEN];

	if (j->write == netconf_write_addr)
		snprintf(to, size, "%s: address %s/%u", ifname,
			 addr_format(&a->addr, text, sizeof(text)), a->prefix);
	else if (j->write == netconf_write_link)
		snprintf(to, size, "%s", j->what);
	else if (r->dst_len)
		snprintf(to, size, "%s: route to %s/%u", ifname,
			 addr_format(&r->dst, text, sizeof(text)), r->dst_len);
	else
		snprintf(to, size, "%s: %s default route", ifname,
			 r->v4 ? "IPv4" : "IPv6");
}

/* The first request that failed, or 0 */
static int netconf_outcome(char why[NETCONF_WHY])
{
	for (unsigned i = 0; i < netconf_task.jobs; i++) {
		const struct rtnl_job *j = &netconf_task.job[i];

		netconf_task.no_v6 |= netconf_is_v6_off(j);
		if (!netconf_failed(j))
			continue;
		netconf_describe(j, why, NETCONF_WHY);
		return j->rc;
	}
	return 0;
}

/* Links up and addresses; 0, or an error code with @why filled in */
static int netconf_apply_addrs(int fd, char why[NETCONF_WHY])
{
	const struct netconf *n = netconf_task.n;
	unsigned ifindex = netconf_task.ifindex;
	const struct netconf_link lo = { NETCONF_LO, true, 0, -1 },
		ours = { ifindex, false, 0, IN6_ADDR_GEN_MODE_NONE },
		mtu = { ifindex, false, n->mtu, -1 },
		up = { ifindex, true, 0, -1 },
		theirs = { ifindex, false, 0, IN6_ADDR_GEN_MODE_EUI64 };

	netconf_task.jobs = 0;
	netconf_add_link_job(&lo, "lo: up");
	if (ifindex) {
		netconf_add_link_job(&ours, NULL);
		if (n->mtu)
			netconf_add_link_job(&mtu, "its MTU");
		netconf_add_link_job(&up, "its interface: up");
	}
	for (unsigned i = 0; i < netconf_task.addrs; i++)
		netconf_add_job(&(struct rtnl_job){
			.write = netconf_write_addr, .type = RTM_NEWADDR,
			.flags = NLM_F_CREATE | NLM_F_EXCL,
			.item = &netconf_task.addr[i] });
	/* For when it is taken down and up again */
	if (ifindex && netconf_served(NETCOPY_V6))
		netconf_add_link_job(&theirs, NULL);
	snprintf(why, NETCONF_WHY, "rtnetlink");
	return rtnl_run(fd, netconf_task.job, netconf_task.jobs) ?: netconf_outcome(why);
}

/* One to the gateway, or to anywhere */
static void netconf_own_route(unsigned i)
{
	const struct netconf_family *f = &netconf_task.n->family[i];
	struct netcopy_route *r = &netconf_task.own_route[i];
	struct netcopy_hop *hop = &netconf_task.own_hop[i];
	bool direct = addr_is_unspecified(&f->gateway);

	*hop = (struct netcopy_hop){ .via = f->gateway };
	hop->onlink = !direct && !netconf_is_neighbour(&f->gateway);
	*r = (struct netcopy_route){ .v4 = i == NETCOPY_V4, .hops = 1,
				     .protocol = RTPROT_BOOT };
	if (direct && r->v4)
		r->scope = RT_SCOPE_LINK;
	/* A link-local address alone leads nowhere */
	if (r->v4 || !addr_is_unspecified(&f->addr))
		netconf_add_route_job(r);
}

static void netconf_choose_routes(void)
{
	for (unsigned i = 0; i < NETCOPY_FAMILIES; i++) {
		if (!netconf_served(i))
			continue;
		if (!netconf_copies_routes(i))
			netconf_own_route(i);
		if (netconf_task.host->too_many[i])
			warn("The host has too many %s routes to copy: there "
			     "is a default one instead",
			     i == NETCOPY_V4 ? "IPv4" : "IPv6");
	}
	for (unsigned k = 0; k < netconf_task.host->routes; k++) {
		const struct netcopy_route *r = &netconf_task.host->route[k];
		unsigned i = r->v4 ? NETCOPY_V4 : NETCOPY_V6;

		if (netconf_served(i) && netconf_copies_routes(i))
			netconf_add_route_job(r);
	}
}

/* What was refused is to be tried again; how many */
static unsigned netconf_retry(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < netconf_task.jobs; i++) {
		if (netconf_failed(&netconf_task.job[i])) {
			netconf_task.job[i].rc = RTNL_PENDING;
			count++;
		}
	}
	return count;
}

/* A route of the host's that is not possible inside is no reason to fail */
static void netconf_pass_over(void)
{
	for (unsigned i = 0; i < netconf_task.jobs; i++) {
		struct rtnl_job *j = &netconf_task.job[i];
		char text[NETCONF_WHY];

		if (!netconf_failed(j) ||
		    j->item == &netconf_task.own_route[NETCOPY_V4] ||
		    j->item == &netconf_task.own_route[NETCOPY_V6])
			continue;
		netconf_describe(j, text, sizeof(text));
		warn("%s: not copied: %s", text, strerror(-j->rc));
		j->rc = 0;
	}
}

static int netconf_apply_routes(int fd, char why[NETCONF_WHY])
{
	unsigned left = UINT32_MAX, before;
	int rc;

	netconf_task.jobs = 0;
	netconf_choose_routes();
	do {
		before = left;
		rc = rtnl_run(fd, netconf_task.job, netconf_task.jobs);
		if (rc)
			return rc;
		left = netconf_retry();
	} while (left && left < before);
	if (left)
		rc = rtnl_run(fd, netconf_task.job, netconf_task.jobs);
	if (rc)
		return rc;
	netconf_pass_over();
	return netconf_outcome(why);
}

/* No address and no route is added to what we configure */
static void netconf_refuse_ra(const char *ifname)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra",
		 ifname);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		debug("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* Finds the interface, and decides on its addresses */
static int netconf_prepare(int fd, const struct netconf *n,
			   char why[NETCONF_WHY])
{
	struct ifreq ifr = { 0 };

	netconf_task.n = n;
	netconf_task.host = netcopy_found();
	netconf_task.ifindex = 0;
	netconf_task.addrs = 0;
	netconf_task.no_v6 = n->mtu && n->mtu < NETCONF_MTU_MIN6;
	if (!*n->ifname)
		return 0;
	snprintf(why, NETCONF_WHY, "%s", n->ifname);
	memcpy(ifr.ifr_name, n->ifname, IFNAMSIZ);
	netconf_task.ifindex = if_nametoindex(n->ifname);
	if (!netconf_task.ifindex || ioctl(fd, SIOCGIFHWADDR, &ifr))
		return -errno;
	netconf_refuse_ra(n->ifname);
	netconf_choose_addrs((const uint8_t *)ifr.ifr_hwaddr.sa_data);
	return 0;
}

/**
 * netconf_apply() - Configure the namespace that we are in
 * @n:		what is asked for, as it was for netconf_collect()
 * @why:	where to say what failed, a few words
 *
 * A route of the host's that cannot be had inside is passed over, with a
 * warning.
 *
 * Return: 0, or a negative error code with @why filled in
 */
int netconf_apply(const struct netconf *n, char why[NETCONF_WHY])
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int rc;

	snprintf(why, NETCONF_WHY, "rtnetlink");
	if (fd < 0)
		return -errno;
	rc = netconf_prepare(fd, n, why);
	if (!rc)
		rc = netconf_apply_addrs(fd, why);
	if (!rc && netconf_task.ifindex)
		rc = netconf_apply_routes(fd, why);
	close(fd);
	return rc;
}
