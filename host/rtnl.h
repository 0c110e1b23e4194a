/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rtnl: what rtnetlink(7) is asked, and told to do
 *
 * rtnl_dump() asks, with rtnl_read() for what comes back. rtnl_run() has the
 * kernel do things, many at once, whose requests are written by means of
 * rtnl_put() and its like. Numbers are in the host's byte order.
 */
#ifndef HOST_RTNL_H
#define HOST_RTNL_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include "host/nlmsg.h"
#include "lib/addr.h"
#include "lib/bytes.h"

/** Attributes that are looked at: type below this */
#define RTNL_ATTRS	32
/** How often a dump that changed under way is worth asking for */
#define RTNL_TRIES	8
/** Longest prefix of an address of a family */
#define RTNL_BITS(family)	((family) == AF_INET ? 32U : 128U)

/** Takes what follows a message's header */
typedef void (*rtnl_fn)(void *to, uint16_t type, struct cur *body);

/** Of a request: it has not been sent, or is to be sent again */
#define RTNL_PENDING	1

/**
 * struct rtnl_job - a request to the kernel
 * @write:	writes what follows the message's header
 * @type:	RTM_NEWLINK and the like
 * @flags:	NLM_F_*, besides those that every request has
 * @item:	what it is about, for @write
 * @what:	the caller's own
 * @rc:		the kernel's answer, 0 also for what is there already; or
 *		RTNL_PENDING
 */
struct rtnl_job {
	void (*write)(struct out *o, const void *item);
	uint16_t type;
	uint16_t flags;
	const void *item;
	const char *what;
	int rc;
};

struct addr rtnl_addr(const struct nlmsg_attr *a, int family);
int rtnl_read(const void *buf, size_t len, rtnl_fn fn, void *to);
int rtnl_dump(uint16_t type, int family, rtnl_fn fn, void *to, bool final);
void rtnl_put(struct out *o, uint16_t type, const void *p, size_t len);
void rtnl_put_u32(struct out *o, uint16_t type, uint32_t n);
void rtnl_put_addr(struct out *o, uint16_t type, const struct addr *a);
size_t rtnl_nest(struct out *o, uint16_t type);
void rtnl_nest_end(struct out *o, size_t at);
int rtnl_run(int fd, struct rtnl_job *job, unsigned jobs);

#endif /* HOST_RTNL_H */
