// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rtnl: what rtnetlink(7) is asked, and told to do
 *
 * No state but a buffer. Lengths of what is written are filled in at the end
 * of each part; what does not fit shows in the writer, and is never sent.
 *
 * Sources: netlink(7), rtnetlink(7), Linux' include/uapi/linux/netlink.h.
 */
#include "host/rtnl.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/nlmsg.h"

/** Requests of a batch: as many answers fit into a receive queue */
#define RTNL_BATCH	64

static _Alignas(NLMSG_ALIGNTO) uint8_t rtnl_buffer[NLMSG_BUFFER];

/**
 * rtnl_addr() - Read an address
 * @a:		attribute
 * @family:	AF_INET or AF_INET6
 * Return: the address, unset where it is none of the family: a mapped IPv4
 *	   address is not of IPv6
 */
struct addr rtnl_addr(const struct nlmsg_attr *a, int family)
{
	struct addr v6;

	if (family == AF_INET && a->len == 4)
		return addr_from_v4(a->p);
	if (family != AF_INET6 || a->len != 16)
		return ADDR_ANY6;
	v6 = addr_from_v6(a->p);
	return addr_is_v4(&v6) ? ADDR_ANY6 : v6;
}

/* As rtnl_read(); an inconsistent dump, too, where it is @final */
static int rtnl_read_dump(const void *buf, size_t len, rtnl_fn fn, void *to,
			  bool final)
{
	struct cur c = cur_of(buf, len), body;
	struct nlmsghdr h;
	int rc;

	while (c.left) {
		if (!nlmsg_next(&c, &h, &body))
			return -EBADMSG;
		if (h.nlmsg_flags & NLM_F_DUMP_INTR && !final)
			return -EINTR;
		rc = nlmsg_code(&body);
		if (h.nlmsg_type == NLMSG_ERROR)
			return rc ? rc : -EBADMSG;
		if (h.nlmsg_type == NLMSG_DONE)
			return rc ? rc : 1;
		fn(to, h.nlmsg_type, &body);
	}
	return 0;
}

/**
 * rtnl_read() - Read messages of a dump
 * @buf:	messages, as received
 * @len:	bytes
 * @fn:		called for each
 * @to:		handed to it
 *
 * Return: 0 where more is to come, 1 at the end of the dump, -EINTR where the
 *	   dump is inconsistent and is to be asked for again, another negative
 *	   error code where the kernel refused, -EBADMSG for what is no message
 */
int rtnl_read(const void *buf, size_t len, rtnl_fn fn, void *to)
{
	return rtnl_read_dump(buf, len, fn, to, false);
}

static int rtnl_send_dump(int fd, uint16_t type, int family)
{
	struct {
		struct nlmsghdr h;
		/* As long as the longest header: all begin with the family */
		struct ifinfomsg m;
	} req = {
		.h = { .nlmsg_len = sizeof(req), .nlmsg_type = type,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.m = { .ifi_family = (unsigned char)family },
	};

	return send(fd, &req, sizeof(req), 0) < 0 ? -errno : 0;
}

/* Into the buffer; bytes, or a negative error code */
static ssize_t rtnl_receive(int fd)
{
	ssize_t n = recv(fd, rtnl_buffer, sizeof(rtnl_buffer), MSG_TRUNC);

	if (n < 0)
		return -errno;
	return (size_t)n > sizeof(rtnl_buffer) ? -EMSGSIZE : n;
}

/**
 * rtnl_dump() - Ask for all there is of a kind
 * @type:	RTM_GETROUTE and the like
 * @family:	AF_INET, AF_INET6 or AF_UNSPEC
 * @fn:		called for each message
 * @to:		handed to it
 * @final:	it will not be asked for again: a host that never rests has no
 *		better answer
 *
 * On a socket of its own: no rest of another dump can be in it.
 *
 * Return: 0, -EINTR where things changed meanwhile and what was read is to be
 *	   forgotten, or another negative error code
 */
int rtnl_dump(uint16_t type, int family, rtnl_fn fn, void *to, bool final)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t n = 0;
	int rc;

	if (fd < 0)
		return -errno;
	rc = rtnl_send_dump(fd, type, family);
	while (!rc) {
		n = rtnl_receive(fd);
		if (n <= 0)
			break;
		rc = rtnl_read_dump(rtnl_buffer, (size_t)n, fn, to, final);
	}
	close(fd);
	if (n < 0)
		return (int)n;
	return rc < 0 ? rc : 0;
}

/* Writes a length that was left open */
static void rtnl_patch(struct out *o, size_t at, const void *len, size_t size)
{
	if (!o->overflow)
		memcpy(o->start + at, len, size);
}

static void rtnl_pad(struct out *o)
{
	out_zero(o, NLMSG_ALIGN(o->len) - o->len);
}

/**
 * rtnl_put() - Append an attribute
 * @o:		writer
 * @type:	its type
 * @p:		its value
 * @len:	bytes
 */
void rtnl_put(struct out *o, uint16_t type, const void *p, size_t len)
{
	struct rtattr h = { .rta_type = type,
			    .rta_len = (unsigned short)RTA_LENGTH(len) };

	out_bytes(o, &h, sizeof(h));
	out_bytes(o, p, len);
	rtnl_pad(o);
}

/**
 * rtnl_put_u32() - Append a number
 * @o:		writer
 * @type:	attribute
 * @n:		value
 */
void rtnl_put_u32(struct out *o, uint16_t type, uint32_t n)
{
	rtnl_put(o, type, &n, sizeof(n));
}

/**
 * rtnl_put_addr() - Append an address
 * @o:		writer
 * @type:	attribute
 * @a:		address, 4 or 16 bytes by its family
 */
void rtnl_put_addr(struct out *o, uint16_t type, const struct addr *a)
{
	struct in_addr v4 = addr_to_v4(a);
	struct in6_addr v6 = addr_to_v6(a);

	if (addr_is_v4(a))
		rtnl_put(o, type, &v4, sizeof(v4));
	else
		rtnl_put(o, type, &v6, sizeof(v6));
}

/**
 * rtnl_nest() - Begin an attribute that holds others
 * @o:		writer
 * @type:	its type
 * Return: what rtnl_nest_end() wants
 */
size_t rtnl_nest(struct out *o, uint16_t type)
{
	size_t at = o->len;

	rtnl_put(o, type, NULL, 0);
	return at;
}

/**
 * rtnl_nest_end() - End an attribute that holds others, or a struct rtnexthop
 * @o:		writer
 * @at:		from rtnl_nest(), or where the rtnexthop begins
 *
 * Both begin with their length, in 16 bits.
 */
void rtnl_nest_end(struct out *o, size_t at)
{
	uint16_t len = (uint16_t)(o->len - at);

	rtnl_patch(o, at, &len, sizeof(len));
}

static void rtnl_write(struct out *o, const struct rtnl_job *j, unsigned seq)
{
	struct nlmsghdr h = { .nlmsg_type = j->type, .nlmsg_seq = seq,
			      .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK |
					     j->flags };
	size_t at = o->len;
	uint32_t len;

	out_bytes(o, &h, sizeof(h));
	j->write(o, j->item);
	len = (uint32_t)(o->len - at);
	rtnl_patch(o, at + offsetof(struct nlmsghdr, nlmsg_len), &len,
		   sizeof(len));
}

/* Answers go where their sequence numbers say; how many */
static unsigned rtnl_answers(size_t len, struct rtnl_job **sent, unsigned count)
{
	struct cur c = cur_of(rtnl_buffer, len), body;
	struct nlmsghdr h;
	unsigned n = 0;

	while (nlmsg_next(&c, &h, &body)) {
		int rc = nlmsg_code(&body);

		if (h.nlmsg_type != NLMSG_ERROR || h.nlmsg_seq >= count)
			continue;
		sent[h.nlmsg_seq]->rc = rc == -EEXIST ? 0 : rc;
		n++;
	}
	return n;
}

static int rtnl_exchange(int fd, const struct out *o, struct rtnl_job **sent,
			 unsigned count)
{
	unsigned answered = 0;

	if (o->overflow)
		return -EMSGSIZE;
	if (send(fd, o->start, o->len, 0) < 0)
		return -errno;
	while (answered < count) {
		ssize_t n = rtnl_receive(fd);

		if (n <= 0)
			return n ? (int)n : -EBADMSG;
		answered += rtnl_answers((size_t)n, sent, count);
	}
	return 0;
}

/* Pending requests from the first on; how many, or a negative error code */
static int rtnl_batch(int fd, struct rtnl_job *job, unsigned jobs)
{
	static _Alignas(NLMSG_ALIGNTO) uint8_t buf[NLMSG_BUFFER];
	struct out o = out_of(buf, sizeof(buf));
	struct rtnl_job *sent[RTNL_BATCH];
	unsigned count = 0;
	int rc = 0;

	for (unsigned i = 0; i < jobs && count < RTNL_BATCH &&
			     o.len < sizeof(buf) / 2; i++) {
		if (job[i].rc != RTNL_PENDING)
			continue;
		rtnl_write(&o, &job[i], count);
		sent[count++] = &job[i];
	}
	if (count)
		rc = rtnl_exchange(fd, &o, sent, count);
	return rc ? rc : (int)count;
}

/**
 * rtnl_run() - Have the kernel do what is pending, in order
 * @fd:		rtnetlink socket
 * @job:	requests; @job[].rc is filled in
 * @jobs:	how many
 * Return: 0, or a negative error code where that is not possible at all
 */
int rtnl_run(int fd, struct rtnl_job *job, unsigned jobs)
{
	int rc;

	do {
		rc = rtnl_batch(fd, job, jobs);
	} while (rc > 0);
	return rc;
}
