// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * siphash: SipHash-2-4 of a buffer
 *
 * No state. Two rounds per 8 bytes, four at the end; the last word holds the
 * bytes left over and, at its top, the length modulo 256.
 *
 * Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF" (2012), 2.
 */
#include "lib/siphash.h"

#include <endian.h>
#include <string.h>

struct sip {
	uint64_t v[4];
};

static inline uint64_t rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_round(struct sip *s)
{
	uint64_t *v = s->v;

	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] = rotl(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] = rotl(v[2], 32);
}

static inline void sip_word(struct sip *s, uint64_t m)
{
	s->v[3] ^= m;
	sip_round(s);
	sip_round(s);
	s->v[0] ^= m;
}

/**
 * siphash_24() - SipHash-2-4
 * @key:	secret; as bytes, little-endian words
 * @data:	bytes, any alignment
 * @len:	how many
 * Return: the 64-bit hash
 */
uint64_t siphash_24(const struct siphash_key *key, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t k0 = key->k[0], k1 = key->k[1], m = 0;
	/* "somepseudorandomlygeneratedbytes" */
	struct sip s = { { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
			   k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573 } };

	for (size_t left = len / 8; left; left--, p += 8) {
		memcpy(&m, p, 8);
		sip_word(&s, le64toh(m));
	}
	m = 0;
	if (len % 8)
		memcpy(&m, p, len % 8);
	sip_word(&s, le64toh(m) | (uint64_t)len << 56);
	s.v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}
