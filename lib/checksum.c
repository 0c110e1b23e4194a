// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * checksum: the Internet checksum (RFC 1071) over buffers and pseudo-headers
 *
 * State: which loop this machine runs best, chosen before main(). Sums are of
 * 32-bit words in 64 bits: one's complement sums of 16-bit words come out the
 * same, as 2^16 is 1 modulo 2^16-1, and 2^32 words pass before a carry is
 * lost. All loops read each byte once and write nothing.
 */
#include "lib/checksum.h"

#include <endian.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/** Bytes below which the wide loop is not worth its set-up */
#define WIDE_MIN	256

typedef uint64_t (*csum_fn)(const uint8_t *p, size_t len, uint64_t sum);

/* Any machine: eight words a round */
static uint64_t csum_plain(const uint8_t *p, size_t len, uint64_t sum)
{
	uint32_t w[8], tail = 0;

	for (; len >= sizeof(w); p += sizeof(w), len -= sizeof(w)) {
		memcpy(w, p, sizeof(w));
		sum += ((uint64_t)w[0] + w[1]) + ((uint64_t)w[2] + w[3]) +
		       ((uint64_t)w[4] + w[5]) + ((uint64_t)w[6] + w[7]);
	}
	for (; len >= sizeof(*w); p += sizeof(*w), len -= sizeof(*w)) {
		memcpy(w, p, sizeof(*w));
		sum += *w;
	}
	memcpy(&tail, p, len);
	return sum + tail;
}

#if defined(__x86_64__)
/* The low and the high word of each of four 64-bit lanes */
#define LANES(v, low)							\
	_mm256_add_epi64(_mm256_and_si256(v, low), _mm256_srli_epi64(v, 32))

__attribute__((target("avx2")))
static uint64_t csum_avx2(const uint8_t *p, size_t len, uint64_t sum)
{
	const __m256i low = _mm256_set1_epi64x(0xffffffff);
	__m256i acc[4] = { _mm256_setzero_si256(), _mm256_setzero_si256(),
			   _mm256_setzero_si256(), _mm256_setzero_si256() };
	uint64_t lane[4];

	for (; len >= 128; p += 128, len -= 128) {
		for (int i = 0; i < 4; i++) {
			const __m256i *at = (const __m256i *)(p + 32 * i);
			__m256i v = _mm256_loadu_si256(at);

			acc[i] = _mm256_add_epi64(acc[i], LANES(v, low));
		}
	}
	acc[0] = _mm256_add_epi64(_mm256_add_epi64(acc[0], acc[1]),
				  _mm256_add_epi64(acc[2], acc[3]));
	_mm256_storeu_si256((__m256i *)lane, acc[0]);
	sum += lane[0] + lane[1] + lane[2] + lane[3];
	return csum_plain(p, len, sum);
}
#endif

static csum_fn csum_wide = csum_plain;

__attribute__((constructor)) static void csum_choose(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2"))
		csum_wide = csum_avx2;
#endif
}

/**
 * csum_add() - Add bytes to a sum
 * @buf:	bytes, any alignment
 * @len:	how many; if odd, a zero byte is taken to follow, so only the
 *		last piece may be odd (else see slice_csum())
 * @sum:	sum so far, unfolded; 0 at first
 * Return: the sum, unfolded
 */
uint64_t csum_add(const void *buf, size_t len, uint64_t sum)
{
	if (len < WIDE_MIN)
		return csum_plain(buf, len, sum);
	return csum_wide(buf, len, sum);
}

/**
 * csum_fold() - Finish a sum
 * @sum:	unfolded sum
 * Return: the checksum, to be stored as it is. Over bytes that hold a right
 *	   checksum it is 0. UDP sends 0xffff in place of 0 (RFC 768): the
 *	   caller does that.
 */
uint16_t csum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/**
 * csum_pseudo() - Sum of a pseudo-header (RFC 9293 3.1, RFC 8200 8.1)
 * @src:	source
 * @dst:	destination, of the same family
 * @proto:	IPPROTO_*
 * @len:	bytes of transport header and payload
 * Return: the sum, unfolded
 */
uint64_t csum_pseudo(const struct addr *src, const struct addr *dst,
		     uint8_t proto, size_t len)
{
	size_t skip = addr_is_v4(src) ? 12 : 0;
	uint64_t sum = (uint64_t)htobe32((uint32_t)len) + htobe32(proto);

	sum = csum_plain(src->b + skip, sizeof(src->b) - skip, sum);
	return csum_plain(dst->b + skip, sizeof(dst->b) - skip, sum);
}
