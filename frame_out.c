// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * frame_out: frames to the guest: addresses, lengths, checksums, fragments
 *
 * State: the MTU and the next IPv4 identification. The fast path (frame_l4(),
 * frame_finish()) copies no payload and reads it once, where the link wants a
 * whole checksum; frame_send() copies once. Sources: RFC 791, 8200 4.5 (fragments),
 * RFC 6864 (identification), virtio 1.2, 5.1.6.2 (partial checksums).
 */
#include "frame_out.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/stats.h"

#define IP6_FRAG_HLEN		8
/** MTU where none is announced: Ethernet's, what the guest will assume */
#define FRAME_MTU_DEFAULT	1500
#define FRAME_L4_HLEN_MAX	60

static unsigned frame_mtu_conf;
static uint32_t frame_next_id;

/**
 * struct datagram - what is cut into fragments
 * @ends:	addresses
 * @proto:	IPPROTO_*
 * @l4_hlen:	bytes in @l4
 * @payload:	what follows the transport header
 * @len:	bytes of both
 * @id:		identification
 * @l4:		transport header, checksum filled in
 */
struct datagram {
	const struct packet_ends *ends;
	uint8_t proto;
	size_t l4_hlen;
	const struct slice *payload;
	size_t len;
	uint32_t id;
	uint8_t l4[FRAME_L4_HLEN_MAX];
};

/**
 * frame_out_init() - Set the MTU, choose the first identification
 * @mtu:	the guest's MTU, 0: none announced
 */
void frame_out_init(unsigned mtu)
{
	frame_mtu_conf = mtu ? mtu : FRAME_MTU_DEFAULT;
	if (getrandom(&frame_next_id, sizeof(frame_next_id), 0) < 0)
		die("getrandom: %s", strerror(errno));
}

/**
 * frame_mtu() - Largest IP packet towards the guest
 *
 * Return: bytes, Ethernet header not counted
 */
unsigned frame_mtu(void)
{
	size_t most = link_caps()->max_frame - ETH_HLEN_;

	return frame_mtu_conf < most ? frame_mtu_conf : (unsigned)most;
}

/**
 * frame_l4() - Where the transport header goes
 * @l:		loan, its hlen packet_l2l3_len() and the transport header's
 * @dst:	IP destination
 *
 * Return: pointer into @l->hdr
 */
uint8_t *frame_l4(const struct loan *l, const struct addr *dst)
{
	return l->hdr + packet_l2l3_len(dst);
}

/* Ethernet and IP headers. Return: bytes of them */
static size_t frame_put_l2l3(struct loan *l, const struct packet_ends *e,
			     uint8_t proto, size_t l4_len)
{
	size_t len = packet_put_l2l3(l->hdr, e, proto, l4_len);

	if (!e->df && addr_is_v4(&e->dst))
		packet_put_ip4_frag(l->hdr + ETH_HLEN_,
				    (uint16_t)frame_next_id++, 0, false);
	/* Segments are numbered from the frame's on by who makes them */
	if (l->gso_size && l->len)
		frame_next_id += (uint32_t)((l->len - 1) / l->gso_size);
	return len;
}

/* The same, and the checksum as a whole */
static void frame_finish_whole(struct loan *l, const struct packet_ends *e,
			       uint8_t proto, size_t l4_hlen)
{
	size_t l3_len = frame_put_l2l3(l, e, proto, l4_hlen + l->len);
	struct slice payload = { l->iov, l->cnt, 0, l->len };

	packet_put_csum(l->hdr + l3_len, l4_hlen, &payload, e, proto);
}

/**
 * frame_finish() - Complete a frame before link_commit()
 * @l:		loan with its payload and @l->len in place, and the transport
 *		header but for the checksum
 * @e:		addresses
 * @proto:	IPPROTO_*
 * @l4_hlen:	length of the transport header, even
 *
 * Writes Ethernet and IP headers and the transport checksum, of TCP and UDP a
 * partial one where the link allows. What may be fragmented on its way (@e->df
 * false) gets an identification of its own.
 */
void frame_finish(struct loan *l, const struct packet_ends *e, uint8_t proto,
		  size_t l4_hlen)
{
	size_t l3_len;

	if (!link_caps()->csum ||
	    (proto != IPPROTO_TCP && proto != IPPROTO_UDP)) {
		frame_finish_whole(l, e, proto, l4_hlen);
		return;
	}
	l3_len = frame_put_l2l3(l, e, proto, l4_hlen + l->len);
	l->csum_start = (uint16_t)l3_len;
	l->csum_off = (uint16_t)packet_put_partial_csum(
		l->hdr + l3_len, l4_hlen + l->len, e, proto);
}

/* Copy part of a slice into a loan's payload, behind what is there */
static void frame_append(struct loan *l, const struct slice *s, size_t off,
			 size_t len)
{
	size_t skip = l->len;

	for (unsigned i = 0; i < l->cnt && len; i++) {
		size_t n = l->iov[i].iov_len;

		if (skip >= n) {
			skip -= n;
			continue;
		}
		n = n - skip < len ? n - skip : len;
		slice_copy(s, off, (uint8_t *)l->iov[i].iov_base + skip, n);
		skip = 0;
		off += n;
		len -= n;
		l->len += n;
	}
	assert(!len);
}

/* Bytes [off, off + len) of the datagram, transport header included */
static void frame_append_part(struct loan *l, const struct datagram *d,
			      size_t off, size_t len)
{
	struct iovec head = { (void *)d->l4, d->l4_hlen };
	struct slice l4 = { &head, 1, 0, d->l4_hlen };
	size_t n = 0;

	l->len = 0;
	if (off < d->l4_hlen) {
		n = d->l4_hlen - off < len ? d->l4_hlen - off : len;
		frame_append(l, &l4, off, n);
	}
	if (len > n)
		frame_append(l, d->payload, off + n - d->l4_hlen, len - n);
}

static void frame_put_fragment(struct loan *l, const struct datagram *d,
			       size_t off, size_t len)
{
	bool v4 = addr_is_v4(&d->ends->dst), more = off + len < d->len;
	uint8_t *frag;

	frame_append_part(l, d, off, len);
	if (v4) {
		packet_put_l2l3(l->hdr, d->ends, d->proto, len);
		packet_put_ip4_frag(l->hdr + ETH_HLEN_, (uint16_t)d->id, off,
				    more);
		return;
	}
	frag = l->hdr + packet_put_l2l3(l->hdr, d->ends, IPPROTO_FRAGMENT,
					IP6_FRAG_HLEN + len);
	frag[0] = d->proto;
	frag[1] = 0;
	put_be16(frag + 2, (uint16_t)(off | more));
	put_be32(frag + 4, d->id);
}

/* All of a datagram's fragments, or none */
static bool frame_send_fragments(struct datagram *d)
{
	static struct loan loans[LINK_BATCH];
	bool v4 = addr_is_v4(&d->ends->dst);
	size_t hlen = packet_l2l3_len(&d->ends->dst) +
		      (v4 ? 0 : IP6_FRAG_HLEN);
	size_t room = (frame_mtu() - (hlen - ETH_HLEN_)) & ~(size_t)7;
	size_t n = (d->len + room - 1) / room;
	unsigned lent;

	if (n > LINK_BATCH)
		return drop(DROP_NO_ROOM);
	lent = link_reserve(loans, (unsigned)n, hlen, room);
	if (lent < n) {
		link_commit(loans, 0);
		return drop(DROP_NO_ROOM);
	}
	d->id = frame_next_id++;
	packet_put_csum(d->l4, d->l4_hlen, d->payload, d->ends, d->proto);
	for (size_t i = 0, off = 0; i < n; i++, off += room)
		frame_put_fragment(&loans[i], d, off,
				   d->len - off < room ? d->len - off : room);
	link_commit(loans, (unsigned)n);
	return true;
}

/**
 * frame_send() - Send one packet, in fragments where the MTU asks for it
 * @e:		addresses
 * @proto:	IPPROTO_TCP, UDP, ICMP or ICMPV6
 * @l4_hdr:	transport header but for its checksum
 * @l4_hlen:	its length, even, at most 60
 * @payload:	what follows, copied; NULL: nothing
 *
 * The checksum is always whole: DHCP clients read from raw sockets, and some take
 * a partial one for wrong.
 *
 * Return: true; false with the drop counted if the link has no room for all of
 * it, or it is longer than IP allows
 */
bool frame_send(const struct packet_ends *e, uint8_t proto, const void *l4_hdr,
		size_t l4_hlen, const struct slice *payload)
{
	size_t l2l3 = packet_l2l3_len(&e->dst);
	static const struct slice nothing;
	struct datagram d = {
		.ends = e,
		.proto = proto,
		.l4_hlen = l4_hlen,
		.payload = payload ? payload : &nothing,
	};
	struct loan l;

	assert(l4_hlen <= sizeof(d.l4));
	memcpy(d.l4, l4_hdr, l4_hlen);
	d.len = l4_hlen + d.payload->len;
	if (d.len > (addr_is_v4(&e->dst) ? UINT16_MAX - IP4_HLEN : UINT16_MAX))
		return drop(DROP_NO_ROOM);
	if (l2l3 - ETH_HLEN_ + d.len > frame_mtu())
		return frame_send_fragments(&d);
	if (!link_reserve(&l, 1, l2l3 + l4_hlen, d.payload->len))
		return drop(DROP_NO_ROOM);
	memcpy(frame_l4(&l, &e->dst), l4_hdr, l4_hlen);
	l.len = 0;
	frame_append(&l, d.payload, 0, d.payload->len);
	frame_finish_whole(&l, e, proto, l4_hlen);
	link_commit(&l, 1);
	return true;
}

/**
 * frame_send_raw() - Send a whole frame as it is (ARP)
 * @frame:	from the Ethernet header on
 * @len:	bytes
 *
 * Return: true; false with the drop counted if the link has no room
 */
bool frame_send_raw(const void *frame, size_t len)
{
	struct loan l;

	if (!link_reserve(&l, 1, len, 0))
		return drop(DROP_NO_ROOM);
	memcpy(l.hdr, frame, len);
	l.len = 0;
	link_commit(&l, 1);
	return true;
}
