// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * capture: a link wrapped around the link that writes what passes to a pcap
 * file, so that no other file knows of captures
 *
 * Frames from the guest are written as they are received, frames to it as they
 * are committed, all of a batch with one time. Checksums that either side left
 * to the other are completed in the file, and there alone. State: the link
 * inside, the file, and the header length of the loan that is out.
 */
#include "link/capture.h"

#include <string.h>

#include "lib/checksum.h"
#include "lib/pcap.h"

/** Most bytes before the end of a checksum that is completed: as much as anyone
 * looks at
 */
#define CAPTURE_HDR	PACKET_HDR_MAX

static const struct link_ops *capture_inner;
static struct link_ops capture_ops;
static int capture_fd;
static size_t capture_hlen;

/*
 * Write a frame, with its checksum over what begins at @start completed where
 * it stands, @off behind that: what is there is the pseudo-header's already.
 * One copy of the headers.
 */
static void capture_write(const struct slice *f, size_t start, size_t off,
			  uint64_t now)
{
	size_t n = start + off + sizeof(uint16_t);
	struct iovec iov[2 + LINK_LOAN_IOV];
	uint8_t hdr[CAPTURE_HDR];
	struct slice s, rest;
	uint16_t csum;

	if (!start || n > sizeof(hdr) || n > f->len ||
	    f->cnt > 1 + LINK_LOAN_IOV) {
		pcap_write(capture_fd, f, now);
		return;
	}
	slice_copy(f, 0, hdr, n);
	s = slice_sub(f, start, f->len - start);
	csum = csum_fold(slice_csum(&s, 0));
	/* as good for TCP, and RFC 768 has no 0 */
	if (!csum)
		csum = UINT16_MAX;
	memcpy(hdr + start + off, &csum, sizeof(csum));
	rest = slice_sub(f, n, f->len - n);
	iov[0] = (struct iovec){ hdr, n };
	s = (struct slice){ iov, 1, 0, f->len };
	s.cnt += slice_gather(&rest, iov + 1, 1 + LINK_LOAN_IOV);
	pcap_write(capture_fd, &s, now);
}

static unsigned capture_receive(struct frame *frames, unsigned max)
{
	unsigned n = capture_inner->receive(frames, max);
	uint64_t now = n ? pcap_now() : 0;

	for (unsigned i = 0; i < n; i++) {
		const struct frame *f = &frames[i];
		struct slice s = { f->iov, f->cnt, 0, f->len };

		capture_write(&s, f->csum_start, f->csum_off, now);
	}
	return n;
}

static unsigned capture_reserve(struct loan *loans, unsigned n, size_t hlen,
				size_t room)
{
	capture_hlen = hlen;
	return capture_inner->reserve(loans, n, hlen, room);
}

static void capture_write_loan(const struct loan *l, uint64_t now)
{
	struct iovec iov[1 + LINK_LOAN_IOV] = { { l->hdr, capture_hlen } };
	struct slice payload = { l->iov, l->cnt, 0, l->len };
	struct slice s = { iov, 1, 0, capture_hlen + l->len };

	s.cnt += slice_gather(&payload, iov + 1, LINK_LOAN_IOV);
	capture_write(&s, l->csum_start, l->csum_off, now);
}

static void capture_commit(struct loan *loans, unsigned n)
{
	uint64_t now = n ? pcap_now() : 0;

	for (unsigned i = 0; i < n; i++)
		capture_write_loan(&loans[i], now);
	capture_inner->commit(loans, n);
}

/**
 * capture_wrap() - Put a capture around a link
 * @inner:	the link
 * @pcap_fd:	file, as pcap_open() made it
 *
 * Return: the wrapped link, for link_init()
 */
const struct link_ops *capture_wrap(const struct link_ops *inner, int pcap_fd)
{
	capture_inner = inner;
	capture_fd = pcap_fd;
	capture_ops = *inner;
	capture_ops.receive = capture_receive;
	capture_ops.reserve = capture_reserve;
	capture_ops.commit = capture_commit;
	return &capture_ops;
}
