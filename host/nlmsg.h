/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nlmsg: messages of netlink sockets, read through a cursor
 *
 * Shared by whoever asks the kernel: nlmsg_next() takes a message from what
 * recv() gave, nlmsg_header() the fixed part of its body, nlmsg_attrs() the
 * attributes after it. Numbers are in the host's byte order.
 */
#ifndef HOST_NLMSG_H
#define HOST_NLMSG_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"

/** What the kernel sends at once: at most 32 KiB (netlink_dump()) */
#define NLMSG_BUFFER	(64 * 1024)

/**
 * struct nlmsg_attr - an attribute's value
 * @p:		first byte, NULL: not there
 * @len:	bytes
 */
struct nlmsg_attr {
	const uint8_t *p;
	size_t len;
};

bool nlmsg_next(struct cur *c, struct nlmsghdr *h, struct cur *body);
int nlmsg_code(const struct cur *body);
bool nlmsg_header(struct cur *c, void *to, size_t size);
void nlmsg_attrs(struct cur *c, struct nlmsg_attr *attr, unsigned count);
uint32_t nlmsg_u32(const struct nlmsg_attr *a);

#endif /* HOST_NLMSG_H */
