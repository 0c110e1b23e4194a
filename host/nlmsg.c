// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nlmsg: messages of netlink sockets, read through a cursor
 *
 * No state. Each length is checked against what there is; what does not fit
 * ends the reading, and nothing behind it is looked at.
 *
 * Sources: netlink(7), Linux' include/uapi/linux/netlink.h.
 */
#include "host/nlmsg.h"

#include <linux/rtnetlink.h>
#include <string.h>

/* The last message, or attribute, may lack its padding */
static void nlmsg_pad(struct cur *c, size_t len)
{
	size_t pad = NLMSG_ALIGN(len) - len;

	cur_take(c, pad < c->left ? pad : c->left);
}

/**
 * nlmsg_next() - The next message
 * @c:		what was received; moved past the message and its padding
 * @h:		filled in: its header
 * @body:	filled in: what follows that
 * Return: false where no whole message follows
 */
bool nlmsg_next(struct cur *c, struct nlmsghdr *h, struct cur *body)
{
	const uint8_t *p = cur_take(c, sizeof(*h));
	size_t len;

	if (!p)
		return false;
	memcpy(h, p, sizeof(*h));
	if (h->nlmsg_len < sizeof(*h))
		return false;
	len = h->nlmsg_len - sizeof(*h);
	p = cur_take(c, len);
	if (!p)
		return false;
	*body = cur_of(p, len);
	nlmsg_pad(c, len);
	return true;
}

/**
 * nlmsg_code() - The code of NLMSG_ERROR and NLMSG_DONE
 * @body:	the message's body, not moved
 * Return: 0, or a negative error code
 */
int nlmsg_code(const struct cur *body)
{
	int32_t code = 0;

	if (body->left >= sizeof(code))
		memcpy(&code, body->p, sizeof(code));
	return code < 0 && code > -4096 ? code : 0;
}

/**
 * nlmsg_header() - The fixed part of a body
 * @c:		body, moved past that part and its padding
 * @to:		where to copy it
 * @size:	its bytes
 * Return: false where there is less
 */
bool nlmsg_header(struct cur *c, void *to, size_t size)
{
	const uint8_t *p = cur_take(c, NLMSG_ALIGN(size));

	if (!p)
		return false;
	memcpy(to, p, size);
	return true;
}

/**
 * nlmsg_attrs() - Attributes by their type, until something does not fit
 * @c:		body behind its fixed part, moved
 * @attr:	filled in; the last of a type counts
 * @count:	types looked at are those below this
 */
void nlmsg_attrs(struct cur *c, struct nlmsg_attr *attr, unsigned count)
{
	struct rtattr h;
	const uint8_t *p;
	size_t len;

	memset(attr, 0, count * sizeof(*attr));
	while ((p = cur_take(c, sizeof(h)))) {
		memcpy(&h, p, sizeof(h));
		if (h.rta_len < sizeof(h))
			return;
		len = h.rta_len - sizeof(h);
		p = cur_take(c, len);
		if (!p)
			return;
		h.rta_type &= NLA_TYPE_MASK;
		if (h.rta_type < count)
			attr[h.rta_type] = (struct nlmsg_attr){ p, len };
		nlmsg_pad(c, len);
	}
}

/**
 * nlmsg_u32() - An attribute's number
 * @a:		attribute
 * Return: the number, 0 where it is not there, or too short
 */
uint32_t nlmsg_u32(const struct nlmsg_attr *a)
{
	uint32_t n = 0;

	if (a->len >= sizeof(n))
		memcpy(&n, a->p, sizeof(n));
	return n;
}
