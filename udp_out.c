// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * udp_out: datagrams of a flow's socket, to the guest
 *
 * One recvmmsg() a batch, straight into frames that the link lends: no copy.
 * Since a datagram's length is not known before, a frame is asked for with
 * room for what the flow sent lately, and each message ends in a buffer of our
 * own for what is longer:
 *
 *	          loan, room bytes            buffer[i], behind its first room
 *	  +------+--------------------------+   +------------------------------+
 *	  | hdr  | payload                  |...|(room)| rest                  |
 *	  +------+--------------------------+   +------------------------------+
 *
 * From the first one on that did not fit, a batch goes the long way: it is
 * gathered in the buffers and sent by frame_send(), in fragments where it is
 * larger than the guest's MTU. Flows that send such datagrams read into the
 * buffers at once. The buffers are touched only then.
 *
 * Where a frame may stand for many datagrams of one size (caps.gso_udp), a flow
 * whose last ones were of one size has the next read back to back into one
 * frame; one that is shorter ends it, and the rest of the batch goes the long way:
 *
 *	  +------+---------+---------+---------+------+
 *	  | hdr  | segment | segment | segment | last |   each ends in a buffer, too
 *	  +------+---------+---------+---------+------+
 *
 * What the kernel hands over as one already (UDP_GRO, udp(7)) becomes one frame
 * as it is.
 *
 * A socket that shares its port with others can have received from anybody
 * before it was connected: such datagrams are passed over.
 *
 * State: the batch and the buffers; nothing lives from call to call.
 */
#include "udp_out.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "frame_out.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/nomem.h"
#include "lib/stats.h"
#include "link/link.h"
#include "udp_conv.h"

/** Most datagrams a call */
#define UDP_OUT_BATCH		64
/** and of those that are read into the buffers */
#define UDP_OUT_BATCH_BIG	16
/** and of those that stand for many */
#define UDP_OUT_BATCH_GRO	4
/** Datagrams of one size in a batch for which the next are taken for such */
#define UDP_OUT_RUN_MIN		4
/** Least room asked for, bytes */
#define UDP_OUT_EXPECT_MIN	2048

union udp_out_control {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(int))];
};

static struct {
	struct mmsghdr msg[UDP_OUT_BATCH];
	union udp_out_control control[UDP_OUT_BATCH];
	union sockaddr_any from[UDP_OUT_BATCH];
	struct iovec iov[UDP_OUT_BATCH][LINK_LOAN_IOV + 1];
	struct loan loan[UDP_OUT_BATCH];
} batch;

static uint8_t udp_out_buffers[UDP_OUT_BATCH][UDP_DATAGRAM_MAX];

/**
 * udp_out_buffer() - Room for a datagram, good until something is received
 * @i:		which one, 0 to 63
 * Return: UDP_DATAGRAM_MAX bytes
 */
uint8_t *udp_out_buffer(unsigned i)
{
	return udp_out_buffers[i];
}

static void udp_out_put_header(uint8_t *h, const struct flow_side *guest,
			       size_t len)
{
	put_be16(h, guest->lport);
	put_be16(h + 2, guest->rport);
	put_be16(h + 4, (uint16_t)(UDP_HLEN + len));
	put_be16(h + 6, 0);
}

static struct packet_ends udp_out_ends(const struct flow_side *guest)
{
	struct packet_ends e = guest_ends(&guest->local, &guest->remote);

	/* it may be on its way to something behind the guest */
	e.df = false;
	return e;
}

static size_t udp_out_hlen(const struct flow_side *guest)
{
	return packet_l2l3_len(&guest->remote) + UDP_HLEN;
}

/* Largest payload that needs no fragments */
static size_t udp_out_most(const struct flow_side *guest)
{
	return frame_mtu() - (udp_out_hlen(guest) - ETH_HLEN_);
}

/* and of a frame that stands for many datagrams: what IP can tell of */
static size_t udp_out_most_gso(const struct flow_side *guest)
{
	size_t ip = addr_is_v4(&guest->remote) ? UINT16_MAX - IP4_HLEN
					       : UINT16_MAX;
	size_t link = link_caps()->max_frame - packet_l2l3_len(&guest->remote);

	return (ip < link ? ip : link) - UDP_HLEN;
}

/**
 * udp_out_has_room() - Whether the link takes anything at all now
 * @guest:	the guest's side
 * Return: true if so; else the link's writable event will come
 */
bool udp_out_has_room(const struct flow_side *guest)
{
	unsigned n = link_reserve(batch.loan, 1, udp_out_hlen(guest),
				  udp_out_most(guest));

	link_commit(batch.loan, 0);
	return n;
}

/**
 * udp_out_send() - Send one datagram to the guest, copied
 * @guest:	the guest's side
 * @data:	payload
 * @len:	bytes of it
 * Return: true; false with the drop counted if the link has no room
 */
bool udp_out_send(const struct flow_side *guest, const void *data, size_t len)
{
	const struct iovec iov = { (void *)(uintptr_t)data, len };
	const struct slice payload = { &iov, 1, 0, len };
	const struct packet_ends e = udp_out_ends(guest);
	uint8_t h[UDP_HLEN];

	udp_out_put_header(h, guest, len);
	return frame_send(&e, IPPROTO_UDP, h, sizeof(h), &payload);
}

static bool udp_out_from_peer(const struct flow_side *host, unsigned i)
{
	struct endpoint e = addr_from_sockaddr(&batch.from[i]);

	return e.port == host->rport && addr_equal(&e.addr, &host->remote);
}

/* Size of the datagrams that message @i stands for; 0: it is one */
static size_t udp_out_gro_size(unsigned i)
{
	struct msghdr *m = &batch.msg[i].msg_hdr;
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int size = 0;

	if (c && c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
		memcpy(&size, CMSG_DATA(c), sizeof(size));
	return size > 0 && (unsigned)size < batch.msg[i].msg_len ?
	       (size_t)size : 0;
}

/* Message @i goes to @cnt buffers of the loan, and on in buffer @i from @off */
static void udp_out_aim(unsigned i, unsigned cnt, size_t off)
{
	batch.iov[i][cnt] = (struct iovec){
		udp_out_buffers[i] + off, UDP_DATAGRAM_MAX - off
	};
	batch.msg[i].msg_hdr = (struct msghdr){
		.msg_name = &batch.from[i],
		.msg_namelen = sizeof(batch.from[i]),
		.msg_iov = batch.iov[i],
		.msg_iovlen = cnt + 1,
		.msg_control = &batch.control[i],
		.msg_controllen = sizeof(batch.control[i]),
	};
}

/*
 * Return: datagrams received; 0, too, for an error: the event tells of those;
 * -ENOMEM: there was no memory, and the event would come again at once
 */
static int udp_out_fetch(int fd, unsigned n)
{
	int got = recvmmsg(fd, batch.msg, n, MSG_DONTWAIT, NULL);

	if (got >= 0)
		return got;
	return nomem(errno) ? -ENOMEM : 0;
}

/* Size of all of the batch, the last of which may be shorter; 0: of no one */
static size_t udp_out_one_size(unsigned got)
{
	size_t size = batch.msg[0].msg_len;

	if (got < UDP_OUT_RUN_MIN || batch.msg[got - 1].msg_len > size)
		return 0;
	for (unsigned i = 1; i + 1 < got; i++) {
		if (batch.msg[i].msg_len != size)
			return 0;
	}
	return size;
}

/*
 * Whether it is worth while to read datagrams of this size into one frame: as
 * many fit as tell that they are of one size no more
 */
static bool udp_out_may_run(const struct flow_side *guest, size_t size)
{
	return link_caps()->gso_udp && size <= udp_out_most(guest) &&
	       size * UDP_OUT_RUN_MIN <= udp_out_most_gso(guest);
}

/*
 * Room to ask for follows the largest datagram, at once up, slowly down; and how
 * to read the next batch, what this one was
 */
static void udp_out_learn(struct flow *f, unsigned got)
{
	struct udp_flow *u = udp_of(f);
	uint32_t most = u->expect - u->expect / 8;
	bool gro = false;
	size_t size;

	if (!got)
		return;
	for (unsigned i = 0; i < got; i++) {
		size = udp_out_gro_size(i);
		gro |= size;
		if (!size)
			size = batch.msg[i].msg_len;
		if (size > most)
			most = (uint32_t)size;
	}
	u->expect = most < UDP_OUT_EXPECT_MIN ? UDP_OUT_EXPECT_MIN : most;
	size = gro ? 0 : udp_out_one_size(got);
	u->gro = gro && link_caps()->gso_udp;
	u->segment = udp_out_may_run(udp_guest_side(f), size) ?
		     (uint16_t)size : 0;
}

/* The long way, for [i, got), in the buffers */
static void udp_out_send_buffers(struct flow *f, unsigned i, unsigned got)
{
	const struct flow_side *host = udp_host_side(f);

	for (; i < got; i++) {
		size_t left = batch.msg[i].msg_len, size = udp_out_gro_size(i);
		const uint8_t *p = udp_out_buffers[i];

		if (!udp_out_from_peer(host, i))
			continue;
		for (; size && left > size; p += size, left -= size)
			udp_out_send(udp_guest_side(f), p, size);
		udp_out_send(udp_guest_side(f), p, left);
	}
}

static int udp_out_recv_big(struct flow *f)
{
	int got;

	if (!udp_out_has_room(udp_guest_side(f)))
		return -ENOBUFS;
	for (unsigned i = 0; i < UDP_OUT_BATCH_BIG; i++)
		udp_out_aim(i, 0, 0);
	got = udp_out_fetch(udp_of(f)->watch.fd, UDP_OUT_BATCH_BIG);
	if (got <= 0)
		return got;
	udp_out_send_buffers(f, 0, (unsigned)got);
	udp_out_learn(f, (unsigned)got);
	return got;
}

/* The loans' parts of [i, got), to the begin of their buffers */
static void udp_out_gather(unsigned i, unsigned got)
{
	for (; i < got; i++) {
		const struct loan *l = &batch.loan[i];
		const struct slice s = { l->iov, l->cnt, 0,
					 iov_total(l->iov, l->cnt) };

		slice_copy(&s, 0, udp_out_buffers[i], batch.msg[i].msg_len);
	}
}

static void udp_out_aim_loans(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct loan *l = &batch.loan[i];

		memcpy(batch.iov[i], l->iov, l->cnt * sizeof(*l->iov));
		udp_out_aim(i, l->cnt, iov_total(l->iov, l->cnt));
	}
}

/* Whether message @i can go as a frame of at most @room bytes, or of several
 * segments
 */
static bool udp_out_fits(struct flow *f, unsigned i, size_t room)
{
	size_t most = udp_out_most(udp_guest_side(f)), len = batch.msg[i].msg_len;
	size_t size = udp_out_gro_size(i);

	if (len > room || !udp_out_from_peer(udp_host_side(f), i))
		return false;
	return size ? size <= most && link_caps()->gso_udp : len <= most;
}

/* Header and checksum of a frame whose payload is in place */
static void udp_out_fill(const struct flow_side *guest, struct loan *l,
			 const struct packet_ends *e)
{
	udp_out_put_header(frame_l4(l, &guest->remote), guest, l->len);
	frame_finish(l, e, IPPROTO_UDP, UDP_HLEN);
}

/* Completes frames in place. Return: how many, up to the first that did not
 * fit or is not the peer's
 */
static unsigned udp_out_finish(struct flow *f, unsigned got, size_t room)
{
	const struct flow_side *guest = udp_guest_side(f);
	const struct packet_ends e = udp_out_ends(guest);
	unsigned i;

	for (i = 0; i < got && udp_out_fits(f, i, room); i++) {
		struct loan *l = &batch.loan[i];

		l->len = batch.msg[i].msg_len;
		l->gso_size = (uint16_t)udp_out_gro_size(i);
		udp_out_fill(guest, l, &e);
	}
	return i;
}

/* Where in the frame of a run the datagrams are */
static struct slice udp_out_slot(unsigned i, size_t size)
{
	const struct loan *l = batch.loan;
	struct slice s = { l->iov, l->cnt, 0, iov_total(l->iov, l->cnt) };

	return slice_sub(&s, i * size, size);
}

static void udp_out_aim_run(unsigned n, size_t size)
{
	for (unsigned i = 0; i < n; i++) {
		struct slice s = udp_out_slot(i, size);

		udp_out_aim(i, slice_gather(&s, batch.iov[i], LINK_LOAN_IOV),
			    size);
	}
}

/* Completes the frame of a run. Return: how many datagrams of the batch it
 * stands for
 */
static unsigned udp_out_finish_run(struct flow *f, unsigned got, size_t size)
{
	const struct flow_side *guest = udp_guest_side(f);
	const struct packet_ends e = udp_out_ends(guest);
	struct loan *l = batch.loan;
	unsigned n = 0;

	l->len = 0;
	while (n < got && l->len == n * size && batch.msg[n].msg_len &&
	       !udp_out_gro_size(n) && udp_out_fits(f, n, size))
		l->len += batch.msg[n++].msg_len;
	if (!n)
		return 0;
	l->gso_size = n > 1 ? (uint16_t)size : 0;
	udp_out_fill(guest, l, &e);
	return n;
}

/* Datagrams that are expected to be of one size, in one frame */
static int udp_out_recv_run(struct flow *f)
{
	const struct flow_side *guest = udp_guest_side(f);
	size_t size = udp_of(f)->segment;
	size_t n = udp_out_most_gso(guest) / size;
	unsigned got, done;
	int rc;

	if (n > UDP_OUT_BATCH)
		n = UDP_OUT_BATCH;
	if (!link_reserve(batch.loan, 1, udp_out_hlen(guest), n * size))
		return -ENOBUFS;
	udp_out_aim_run((unsigned)n, size);
	rc = udp_out_fetch(udp_of(f)->watch.fd, (unsigned)n);
	got = rc < 0 ? 0 : (unsigned)rc;
	done = udp_out_finish_run(f, got, size);
	for (unsigned i = done; i < got; i++) {
		struct slice s = udp_out_slot(i, size);

		slice_copy(&s, 0, udp_out_buffers[i], batch.msg[i].msg_len);
	}
	link_commit(batch.loan, done > 0);
	udp_out_send_buffers(f, done, got);
	if (got >= UDP_OUT_RUN_MIN || done < got)
		udp_out_learn(f, got);
	return rc;
}

/**
 * udp_out_recv() - Pass a batch of datagrams from the flow's socket on
 * @f:		flow
 * Return: how many were received; where nothing was: -ENOBUFS: the link has no
 *	   room now, and its writable event will come; -ENOMEM: the host has no
 *	   memory now
 */
int udp_out_recv(struct flow *f)
{
	const struct flow_side *guest = udp_guest_side(f);
	struct udp_flow *u = udp_of(f);
	size_t room = u->expect, most = udp_out_most(guest);
	unsigned lent = UDP_OUT_BATCH, got, done;
	int rc;

	if (u->segment && udp_out_may_run(guest, u->segment))
		return udp_out_recv_run(f);
	if (u->gro) {
		room = udp_out_most_gso(guest);
		lent = UDP_OUT_BATCH_GRO;
	} else if (room > most) {
		if (room > UDP_OUT_EXPECT_MIN)
			return udp_out_recv_big(f);
		room = most;
	}
	lent = link_reserve(batch.loan, lent, udp_out_hlen(guest), room);
	if (!lent)
		return -ENOBUFS;
	udp_out_aim_loans(lent);
	rc = udp_out_fetch(u->watch.fd, lent);
	got = rc < 0 ? 0 : (unsigned)rc;
	done = udp_out_finish(f, got, room);
	udp_out_gather(done, got);
	link_commit(batch.loan, done);
	udp_out_send_buffers(f, done, got);
	udp_out_learn(f, got);
	return rc;
}
