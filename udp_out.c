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
 * A socket that shares its port with others can have received from anybody
 * before it was connected: such datagrams are passed over.
 *
 * State: the batch and the buffers; nothing lives from call to call.
 */
#include "udp_out.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "frame_out.h"
#include "guest.h"
#include "lib/bytes.h"
#include "lib/stats.h"
#include "link/link.h"
#include "udp_conv.h"

/** Most datagrams a call */
#define UDP_OUT_BATCH		64
/** and of those that are read into the buffers */
#define UDP_OUT_BATCH_BIG	16
/** Least room asked for, bytes */
#define UDP_OUT_EXPECT_MIN	2048

static struct {
	struct mmsghdr msg[UDP_OUT_BATCH];
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
	};
}

/* Return: datagrams received; 0, too, for an error: the event tells of those */
static unsigned udp_out_fetch(int fd, unsigned n)
{
	int got = recvmmsg(fd, batch.msg, n, MSG_DONTWAIT, NULL);

	return got < 0 ? 0 : (unsigned)got;
}

/* Room to ask for follows the largest datagram, at once up, slowly down */
static void udp_out_learn(struct udp_flow *u, unsigned got)
{
	uint32_t most = u->expect - u->expect / 8;

	for (unsigned i = 0; i < got; i++) {
		if (batch.msg[i].msg_len > most)
			most = batch.msg[i].msg_len;
	}
	u->expect = most < UDP_OUT_EXPECT_MIN ? UDP_OUT_EXPECT_MIN : most;
}

/* The long way, for [i, got), in the buffers */
static void udp_out_send_buffers(struct flow *f, unsigned i, unsigned got)
{
	const struct flow_side *host = udp_host_side(f);

	for (; i < got; i++) {
		if (udp_out_from_peer(host, i))
			udp_out_send(udp_guest_side(f), udp_out_buffers[i],
				     batch.msg[i].msg_len);
	}
}

static int udp_out_recv_big(struct flow *f)
{
	unsigned got;

	if (!udp_out_has_room(udp_guest_side(f)))
		return -ENOBUFS;
	for (unsigned i = 0; i < UDP_OUT_BATCH_BIG; i++)
		udp_out_aim(i, 0, 0);
	got = udp_out_fetch(udp_of(f)->watch.fd, UDP_OUT_BATCH_BIG);
	udp_out_send_buffers(f, 0, got);
	udp_out_learn(udp_of(f), got);
	return (int)got;
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

/* Completes frames in place. Return: how many, up to the first that did not
 * fit or is not the peer's
 */
static unsigned udp_out_finish(struct flow *f, unsigned got, size_t room)
{
	const struct flow_side *guest = udp_guest_side(f);
	const struct packet_ends e = udp_out_ends(guest);
	unsigned i;

	for (i = 0; i < got; i++) {
		struct loan *l = &batch.loan[i];

		l->len = batch.msg[i].msg_len;
		if (l->len > room || !udp_out_from_peer(udp_host_side(f), i))
			break;
		udp_out_put_header(frame_l4(l, &guest->remote), guest, l->len);
		frame_finish(l, &e, IPPROTO_UDP, UDP_HLEN);
	}
	return i;
}

/**
 * udp_out_recv() - Pass a batch of datagrams from the flow's socket on
 * @f:		flow
 * Return: how many were received; -ENOBUFS: the link has no room now, nothing
 *	   was received, and its writable event will come
 */
int udp_out_recv(struct flow *f)
{
	const struct flow_side *guest = udp_guest_side(f);
	struct udp_flow *u = udp_of(f);
	size_t room = u->expect;
	unsigned lent, got, done;

	if (room > udp_out_most(guest)) {
		if (room > UDP_OUT_EXPECT_MIN)
			return udp_out_recv_big(f);
		room = udp_out_most(guest);
	}
	lent = link_reserve(batch.loan, UDP_OUT_BATCH, udp_out_hlen(guest),
			    room);
	if (!lent)
		return -ENOBUFS;
	udp_out_aim_loans(lent);
	got = udp_out_fetch(u->watch.fd, lent);
	done = udp_out_finish(f, got, room);
	udp_out_gather(done, got);
	link_commit(batch.loan, done);
	udp_out_send_buffers(f, done, got);
	udp_out_learn(u, got);
	return (int)got;
}
