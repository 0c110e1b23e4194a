// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * iov: a run of bytes inside an array of buffers
 *
 * No state, nothing owned. Offsets into a slice that lie beyond its end are
 * legal and mean its end, so callers need no case of their own for it.
 */
#include "lib/iov.h"

#include <stdbool.h>
#include <string.h>

#include "lib/checksum.h"

/* Walks the pieces of a slice, buffer by buffer, empty ones left out */
struct piece {
	const struct slice *s;
	unsigned i;
	size_t skip;
	size_t left;
	const uint8_t *p;
	size_t len;
};

static struct piece pieces_of(const struct slice *s)
{
	return (struct piece){ .s = s, .skip = s->off, .left = s->len };
}

static bool piece_next(struct piece *w)
{
	while (w->left && w->i < w->s->cnt) {
		const struct iovec *v = &w->s->iov[w->i++];
		size_t n = v->iov_len;

		if (w->skip >= n) {
			w->skip -= n;
			continue;
		}
		n -= w->skip;
		w->p = (const uint8_t *)v->iov_base + w->skip;
		w->len = n < w->left ? n : w->left;
		w->left -= w->len;
		w->skip = 0;
		return true;
	}
	return false;
}

/**
 * iov_total() - Bytes in an array of buffers
 * @iov:	buffers
 * @cnt:	how many
 * Return: the sum of their lengths
 */
size_t iov_total(const struct iovec *iov, unsigned cnt)
{
	size_t total = 0;

	for (unsigned i = 0; i < cnt; i++)
		total += iov[i].iov_len;
	return total;
}

/**
 * slice_sub() - Part of a slice
 * @s:		slice
 * @off:	where the part begins, bytes from the slice's begin
 * @len:	bytes wanted
 * Return: the part, shorter than @len where the slice ends before
 */
struct slice slice_sub(const struct slice *s, size_t off, size_t len)
{
	struct slice r = *s;

	if (off > s->len)
		off = s->len;
	r.off += off;
	r.len = len < s->len - off ? len : s->len - off;
	while (r.cnt && r.off >= r.iov->iov_len) {
		r.off -= r.iov->iov_len;
		r.iov++;
		r.cnt--;
	}
	return r;
}

/**
 * slice_copy() - Copy bytes out of a slice
 * @s:		slice
 * @off:	where to begin, bytes from the slice's begin
 * @dst:	where to
 * @len:	bytes wanted
 * Return: bytes copied, fewer than @len where the slice ends before
 */
size_t slice_copy(const struct slice *s, size_t off, void *dst, size_t len)
{
	struct slice part = slice_sub(s, off, len);
	struct piece w = pieces_of(&part);
	uint8_t *to = dst;

	while (piece_next(&w)) {
		memcpy(to, w.p, w.len);
		to += w.len;
	}
	return (size_t)(to - (uint8_t *)dst);
}

/**
 * slice_gather() - The buffers of a slice, for writev() or sendmsg()
 * @s:		slice
 * @out:	where to put them; none is empty
 * @max:	room at @out
 * Return: buffers put there. Where @max is too few they cover the slice's
 *	   begin only: iov_total() tells.
 */
unsigned slice_gather(const struct slice *s, struct iovec *out, unsigned max)
{
	struct piece w = pieces_of(s);
	unsigned n;

	for (n = 0; n < max && piece_next(&w); n++) {
		out[n].iov_base = (void *)(uintptr_t)w.p;
		out[n].iov_len = w.len;
	}
	return n;
}

/**
 * slice_csum() - Add a slice to a checksum
 * @s:		slice; its buffers may be of odd length
 * @sum:	sum so far, unfolded, over an even number of bytes
 * Return: the sum, unfolded
 */
uint64_t slice_csum(const struct slice *s, uint64_t sum)
{
	struct piece w = pieces_of(s);
	bool odd = false;

	while (piece_next(&w)) {
		/* A piece at an odd offset adds its sum with the bytes
		 * exchanged (RFC 1071 2 (B))
		 */
		uint16_t part = 0;

		if (odd)
			part = (uint16_t)~csum_fold(csum_add(w.p, w.len, 0));
		else
			sum = csum_add(w.p, w.len, sum);
		sum += __builtin_bswap16(part);
		odd ^= w.len & 1;
	}
	return sum;
}

/**
 * iov_trim() - Cut buffers to a number of bytes
 * @iov:	buffers; those beyond @len are left with length 0
 * @cnt:	how many
 * @len:	bytes to leave
 * Return: bytes left: @len, or fewer where there were not as many
 */
size_t iov_trim(struct iovec *iov, unsigned cnt, size_t len)
{
	size_t left = len;

	for (unsigned i = 0; i < cnt; i++) {
		if (iov[i].iov_len > left)
			iov[i].iov_len = left;
		left -= iov[i].iov_len;
	}
	return len - left;
}
