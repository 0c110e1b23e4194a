// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * udp_in: datagrams of the guest, to the flow's connected socket
 *
 * A run of datagrams costs one system call: one sendmsg() with UDP_SEGMENT
 * (udp(7), Linux 4.18) where they are of one size, else one sendmmsg(). The
 * payload is not copied: the kernel reads it where the link put it. TTL, TOS
 * and IPv4's don't-fragment bit are socket options, set when they change, so a
 * run is cut where they do. What the socket has no room for is dropped.
 *
 * State: the batch being sent; empty between calls.
 */
#include "udp_in.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "fwd_socket.h"
#include "lib/nomem.h"
#include "lib/stats.h"
#include "udp_conv.h"
#include "udp_err.h"
#include "udp_send.h"

/** Most datagrams a call */
#define UDP_IN_BATCH	128
/** Most buffers a call: the kernel's limit for one message (UIO_MAXIOV) */
#define UDP_IN_IOV	1024
/** UDP_SEGMENT: segments of one message that every kernel takes */
#define UDP_IN_GSO_MAX	64
/** and the fewest for which it is worth while */
#define UDP_IN_GSO_MIN	3
/** Most bytes of one message: IPv4's limit less its headers */
#define UDP_IN_GSO_BYTES	(65535 - IP4_HLEN - UDP_HLEN)

/**
 * struct udp_in_cursor - what of a run is still to be sent
 * @p:		packet, NULL at the end
 * @off:	bytes of it that are done: one that stands for several datagrams
 *		(gso_size) may be cut anywhere between them
 */
struct udp_in_cursor {
	const struct packet *p;
	size_t off;
};

/* Datagrams of one flow and one set of options, ready to be sent */
static struct {
	struct mmsghdr msg[UDP_IN_BATCH];
	struct iovec iov[UDP_IN_IOV];
	struct slice data[UDP_IN_BATCH];
	unsigned count;
	unsigned iov_count;
} batch;

/* IPv6 has no don't-fragment bit: the kernel fragments as it does for any
 * program of the host (RFC 8200 5), what came in fragments again, too
 */
static int udp_in_pmtudisc(const struct packet *p)
{
	if (!addr_is_v4(&p->src))
		return IPV6_PMTUDISC_WANT;
	return p->df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
}

static void udp_in_option(int fd, const struct packet *p, int v4, int v6,
			  int value)
{
	bool is_v4 = addr_is_v4(&p->src);

	/* one that fails leaves the kernel's default: nothing to be done */
	setsockopt(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? v4 : v6,
		   &value, sizeof(value));
}

static void udp_in_set_options(struct udp_flow *u, const struct packet *p)
{
	int pmtudisc = udp_in_pmtudisc(p), fd = u->watch.fd;

	if (u->pmtudisc != pmtudisc + 1) {
		udp_in_option(fd, p, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER,
			      pmtudisc);
		u->pmtudisc = (uint8_t)(pmtudisc + 1);
	}
	if (u->ttl != p->ttl) {
		udp_in_option(fd, p, IP_TTL, IPV6_UNICAST_HOPS, p->ttl);
		u->ttl = p->ttl;
	}
	if (u->tos != p->tos) {
		udp_in_option(fd, p, IP_TOS, IPV6_TCLASS, p->tos);
		u->tos = p->tos;
	}
}

static bool udp_in_same_options(const struct packet *a, const struct packet *b)
{
	return udp_in_pmtudisc(a) == udp_in_pmtudisc(b) && a->ttl == b->ttl &&
	       a->tos == b->tos;
}

/* Adds a datagram; false: the batch is full */
static bool udp_in_add(const struct slice *data)
{
	struct iovec *iov = batch.iov + batch.iov_count;
	unsigned n;

	if (batch.count == UDP_IN_BATCH)
		return false;
	n = slice_gather(data, iov, UDP_IN_IOV - batch.iov_count);
	if (iov_total(iov, n) < data->len)
		return false;
	batch.msg[batch.count].msg_hdr = (struct msghdr){ .msg_iov = iov,
							  .msg_iovlen = n };
	batch.data[batch.count++] = *data;
	batch.iov_count += n;
	return true;
}

/* Datagram at the cursor; moves it on */
static struct slice udp_in_next(struct udp_in_cursor *c)
{
	const struct packet *p = c->p;
	size_t len = p->gso_size ? p->gso_size : p->payload.len;
	struct slice data = slice_sub(&p->payload, c->off, len);

	c->off += len;
	if (c->off >= p->payload.len) {
		c->p = p->next;
		c->off = 0;
	}
	return data;
}

/* Fills the batch with datagrams of the same options as the first */
static void udp_in_fill(struct udp_in_cursor *c)
{
	const struct packet *first = c->p;

	batch.count = batch.iov_count = 0;
	while (c->p && udp_in_same_options(first, c->p)) {
		struct udp_in_cursor before = *c;
		struct slice data = udp_in_next(c);

		if (udp_in_add(&data))
			continue;
		if (batch.count) {
			*c = before;
			return;
		}
		/* in more pieces than the kernel takes in one message */
		drop(DROP_NO_ROOM);
	}
}

/* Datagrams from @i on that one message with UDP_SEGMENT can carry: all of one
 * size, but the last may be shorter
 */
static unsigned udp_in_gso_span(unsigned i)
{
	size_t size = batch.data[i].len, total = 0;
	unsigned n;

	for (n = 0; i + n < batch.count && n < UDP_IN_GSO_MAX; n++) {
		size_t len = batch.data[i + n].len;

		if (!len || len > size || total + len > UDP_IN_GSO_BYTES)
			break;
		total += len;
		if (len < size)
			return n + 1;
	}
	return n;
}

static bool udp_in_gso_send(int fd, unsigned i, unsigned n)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
	uint16_t size = (uint16_t)batch.data[i].len;
	struct msghdr *first = &batch.msg[i].msg_hdr;
	struct msghdr *last = &batch.msg[i + n - 1].msg_hdr;
	struct msghdr msg = {
		.msg_iov = first->msg_iov,
		.msg_iovlen = (size_t)(last->msg_iov - first->msg_iov) +
			      last->msg_iovlen,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	memset(control, 0, sizeof(control));
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* Sends from @i on. Return: datagrams sent, or a negative error code of the
 * first
 */
static int udp_in_try(struct udp_flow *u, unsigned i)
{
	unsigned n = u->no_gso ? 0 : udp_in_gso_span(i);
	int sent;

	if (n >= UDP_IN_GSO_MIN) {
		if (udp_in_gso_send(u->watch.fd, i, n))
			return (int)n;
		/* one by one: larger than the path's MTU (EINVAL before
		 * Linux 6.9), or for good: no checksum offload on the way
		 */
		if (errno == EIO || errno == EINVAL)
			u->no_gso = true;
		else if (errno != EMSGSIZE)
			return -errno;
	}
	sent = sendmmsg(u->watch.fd, batch.msg + i, batch.count - i,
			MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent;
}

static unsigned udp_in_mtu(struct flow *f)
{
	bool v4 = addr_is_v4(&udp_host_side(f)->remote);
	int mtu = 0;
	socklen_t len = sizeof(mtu);

	if (getsockopt(udp_of(f)->watch.fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
		       v4 ? IP_MTU : IPV6_MTU, &mtu, &len))
		return 0;
	return (unsigned)mtu;
}

static void udp_in_failed(struct flow *f, int rc, const struct slice *data)
{
	struct icmp_error e = { .host_errno = -rc };

	if (rc == -EMSGSIZE) {
		e.mtu = udp_in_mtu(f);
		if (!e.mtu)
			return;
	}
	udp_err_report(f, &e, data);
}

static bool udp_in_full(int rc)
{
	return rc == -EAGAIN || nomem(-rc);
}

/* Return: false: see fwd_socket_is_stranded() */
static bool udp_in_send_batch(struct flow *f)
{
	bool again = false;
	unsigned i = 0;

	while (i < batch.count) {
		int rc = udp_in_try(udp_of(f), i);

		if (rc > 0) {
			i += (unsigned)rc;
			again = false;
		} else if (udp_in_full(rc)) {
			for (; i < batch.count; i++)
				drop(DROP_NO_ROOM);
		} else if (!again) {
			/* most likely an error of a datagram sent before */
			udp_err_drain(f);
			again = true;
		} else if (fwd_socket_is_stranded(rc)) {
			return false;
		} else {
			udp_in_failed(f, rc, &batch.data[i++]);
			again = false;
		}
	}
	return true;
}

/* To a client that is answered from the socket that it spoke to */
static void udp_in_answer(struct flow *f, const struct packet *run)
{
	struct udp_in_cursor c = { run, 0 };

	while (c.p) {
		udp_in_fill(&c);
		if (udp_send_answer(udp_of(f)->listener, udp_host_side(f),
				    batch.msg, batch.count))
			continue;
		for (unsigned i = 0; i < batch.count; i++)
			drop(DROP_NO_SOCKET);
	}
}

/**
 * udp_in_send() - Send a run of the guest's datagrams
 * @f:		the flow of all of them
 * @run:	linked by @next, in order
 * Return: NULL; or the first packet that has to be sent again by another flow:
 *	   this one's is stranded, see fwd_socket_is_stranded()
 */
const struct packet *udp_in_send(struct flow *f, const struct packet *run)
{
	struct udp_in_cursor c = { run, 0 };

	if (udp_of(f)->listener) {
		udp_in_answer(f, run);
		return NULL;
	}
	while (c.p) {
		const struct packet *first = c.p;

		udp_in_set_options(udp_of(f), first);
		udp_in_fill(&c);
		if (!udp_in_send_batch(f))
			return first;
	}
	return NULL;
}
