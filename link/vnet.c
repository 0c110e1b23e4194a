// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vnet: the header before each frame of a virtual network device: what is left
 * to the other side to do, checksums and segments
 *
 *	0      1         2          4           6             8
 *	+------+---------+----------+-----------+-------------+------------+
 *	| flags| gso_type| hdr_len  | gso_size  | csum_start  | csum_offset|
 *	+------+---------+----------+-----------+-------------+------------+
 *
 * Numbers are little-endian, as virtio 1.0 has them; a tap device is told so.
 * A guest may write anything here: nothing is believed that the frame itself
 * does not bear out. hdr_len from it is not used at all. No state.
 *
 * Source: virtio 1.2, 5.1.6; Linux 6.2 for GSO_UDP_L4.
 */
#include "link/vnet.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include "lib/bytes.h"
#include "lib/checksum.h"
#include "lib/stats.h"

#define VNET_NEEDS_CSUM		1
#define VNET_DATA_VALID		2

#define VNET_GSO_NONE		0
#define VNET_GSO_TCPV4		1
#define VNET_GSO_TCPV6		4
#define VNET_GSO_UDP_L4		5
#define VNET_GSO_ECN		0x80

/** Where TCP and UDP have their checksums */
#define VNET_CSUM_TCP		16
#define VNET_CSUM_UDP		6

/** Headers that tell where the transport header of most frames begins */
#define VNET_LOOK		(ETH_HLEN_ + IP6_HLEN)

static uint16_t vnet_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static void vnet_put_le16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static bool vnet_is_ext(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING ||
	       proto == IPPROTO_DSTOPTS;
}

/*
 * What begins at @start behind extension headers, first one @proto. Linux leaves
 * segments to us there, too, where a socket has IPV6_DSTOPTS or the like.
 */
static uint8_t vnet_behind_exts(const struct slice *f, uint8_t proto,
				size_t start)
{
	size_t at = VNET_LOOK;
	uint8_t h[8];

	while (at < start && start < PACKET_HDR_MAX && vnet_is_ext(proto) &&
	       slice_copy(f, at, h, sizeof(h)) == sizeof(h)) {
		proto = h[0];
		at += (h[1] + 1u) * 8;
	}
	return at == start ? proto : IPPROTO_NONE;
}

/* Whether that is the checksum of the frame's own TCP or UDP header */
static bool vnet_is_l4(const struct frame *f, size_t start, size_t off)
{
	struct slice s = { f->iov, f->cnt, 0, f->len };
	uint8_t h[VNET_LOOK] = { 0 };
	size_t n = slice_copy(&s, 0, h, sizeof(h));
	const uint8_t *ip = h + ETH_HLEN_;
	uint8_t proto;

	if (n < ETH_HLEN_ + IP4_HLEN)
		return false;
	if (get_be16(h + 12) == ETH_P_IP) {
		proto = ip[9];
		if (start != ETH_HLEN_ + (ip[0] & 0xf) * 4u)
			return false;
	} else {
		if (get_be16(h + 12) != ETH_P_IPV6)
			return false;
		proto = vnet_behind_exts(&s, ip[6], start);
	}
	return proto == IPPROTO_TCP ? off == VNET_CSUM_TCP :
	       proto == IPPROTO_UDP && off == VNET_CSUM_UDP;
}

/*
 * The checksum is that of a header further inside (a tunnel's): completed, as
 * nobody will. In one buffer only, which is the link's own then.
 */
static bool vnet_complete(const struct frame *f, size_t start, size_t off)
{
	uint8_t *p = f->iov->iov_base;
	uint16_t csum;

	if (f->cnt != 1)
		return drop(DROP_VNET);
	csum = csum_fold(csum_add(p + start, f->len - start, 0));
	if (!csum)
		csum = UINT16_MAX;
	memcpy(p + start + off, &csum, sizeof(csum));
	return true;
}

static bool vnet_read_csum(const uint8_t *h, struct frame *f)
{
	size_t start = vnet_le16(h + 6), off = vnet_le16(h + 8);

	if (!(h[0] & VNET_NEEDS_CSUM)) {
		f->csum_ok = h[0] & VNET_DATA_VALID;
		return true;
	}
	if (start + off + sizeof(uint16_t) > f->len)
		return drop(DROP_VNET);
	f->csum_ok = vnet_is_l4(f, start, off);
	if (f->csum_ok) {
		f->csum_start = (uint16_t)start;
		f->csum_off = (uint16_t)off;
		return true;
	}
	return f->gso_size ? drop(DROP_VNET) : vnet_complete(f, start, off);
}

/**
 * vnet_writes() - Whether vnet_read() would write to the frame
 * @h:		VNET_HLEN bytes, private
 * @f:		the frame behind it: @f->iov, @f->cnt and @f->len set
 *
 * Return: true if so, or if it would drop it: in memory that is not the link's
 * a frame has to be copied before
 */
bool vnet_writes(const uint8_t *h, const struct frame *f)
{
	return h[0] & VNET_NEEDS_CSUM &&
	       !vnet_is_l4(f, vnet_le16(h + 6), vnet_le16(h + 8));
}

/**
 * vnet_read() - What the guest says of a frame
 * @h:		VNET_HLEN bytes, private
 * @f:		the frame behind it: @f->iov, @f->cnt and @f->len set; the other
 *		fields are filled in. A checksum that is not the frame's own TCP
 *		or UDP one is completed in place.
 *
 * Return: true; false for junk: dropped, and counted once
 */
bool vnet_read(const uint8_t *h, struct frame *f)
{
	f->gso_size = vnet_le16(h + 4);
	f->csum_start = f->csum_off = 0;
	switch (h[1] & ~VNET_GSO_ECN) {
	case VNET_GSO_NONE:
		f->gso_size = 0;
		break;
	case VNET_GSO_TCPV4:
	case VNET_GSO_TCPV6:
	case VNET_GSO_UDP_L4:
		if (f->gso_size)
			break;
		/* fall through */
	default:
		return drop(DROP_VNET);
	}
	return vnet_read_csum(h, f);
}

/**
 * vnet_put() - Write the header of a frame to the guest
 * @h:		room for VNET_HLEN bytes
 * @l:		loan, filled in and finished
 * @hlen:	bytes of its headers
 */
void vnet_put(uint8_t *h, const struct loan *l, size_t hlen)
{
	bool v4;

	memset(h, 0, VNET_HLEN);
	/* Linux takes it for the part that its buffer's head must hold */
	vnet_put_le16(h + 2, hlen);
	if (!l->csum_start)
		return;
	h[0] = VNET_NEEDS_CSUM;
	vnet_put_le16(h + 6, l->csum_start);
	vnet_put_le16(h + 8, l->csum_off);
	if (!l->gso_size)
		return;
	v4 = get_be16(l->hdr + 12) == ETH_P_IP;
	h[1] = l->csum_off == VNET_CSUM_UDP ? VNET_GSO_UDP_L4 :
	       v4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
	vnet_put_le16(h + 4, l->gso_size);
}
