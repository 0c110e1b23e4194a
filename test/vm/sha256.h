/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sha256.h - SHA-256 for the tests (FIPS 180-4), plain C, in one header.
 *
 * The guest runs under an emulated processor without SHA instructions and
 * has no library: this is what an optimising compiler makes fast there.
 */
#ifndef SHA256_H
#define SHA256_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct sha256 {
	uint32_t h[8];
	uint64_t len;
	uint8_t buf[64];
};

static const uint32_t sha256_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t sha256_ror(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static inline void sha256_block(uint32_t *h, const uint8_t *p)
{
	uint32_t w[64], s[8], i;

	for (i = 0; i < 16; i++, p += 4) {
		memcpy(&w[i], p, 4);
		w[i] = __builtin_bswap32(w[i]);
	}
	for (; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
		       (sha256_ror(w[i - 15], 7) ^ sha256_ror(w[i - 15], 18) ^
			w[i - 15] >> 3) +
		       (sha256_ror(w[i - 2], 17) ^ sha256_ror(w[i - 2], 19) ^
			w[i - 2] >> 10);
	memcpy(s, h, sizeof(s));
#pragma GCC unroll 8
	for (i = 0; i < 64; i++) {
		uint32_t *a = &s[(0 - i) & 7], *b = &s[(1 - i) & 7];
		uint32_t *c = &s[(2 - i) & 7], *d = &s[(3 - i) & 7];
		uint32_t e = s[(4 - i) & 7], f = s[(5 - i) & 7];
		uint32_t g = s[(6 - i) & 7], *l = &s[(7 - i) & 7], t;

		t = *l + sha256_k[i] + w[i] + ((e & f) ^ (~e & g)) +
		    (sha256_ror(e, 6) ^ sha256_ror(e, 11) ^ sha256_ror(e, 25));
		*d += t;
		*l = t + ((*a & *b) ^ (*a & *c) ^ (*b & *c)) +
		     (sha256_ror(*a, 2) ^ sha256_ror(*a, 13) ^
		      sha256_ror(*a, 22));
	}
	for (i = 0; i < 8; i++)
		h[i] += s[i];
}

static inline void sha256_init(struct sha256 *c)
{
	static const uint32_t first[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};

	memcpy(c->h, first, sizeof(first));
	c->len = 0;
}

static inline void sha256_add(struct sha256 *c, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t have = c->len % 64, n;

	c->len += len;
	if (have) {
		n = len < 64 - have ? len : 64 - have;
		memcpy(c->buf + have, p, n);
		p += n;
		len -= n;
		if (have + n < 64)
			return;
		sha256_block(c->h, c->buf);
	}
	for (; len >= 64; len -= 64, p += 64)
		sha256_block(c->h, p);
	memcpy(c->buf, p, len);
}

/* Returns the digest as text, in memory that the next call uses again */
static inline const char *sha256_end(struct sha256 *c)
{
	static const uint8_t pad[64] = { 0x80 };
	uint64_t bits = __builtin_bswap64(c->len * 8);
	static char text[65];
	int i;

	sha256_add(c, pad, (119 - c->len % 64) % 64 + 1);
	sha256_add(c, &bits, 8);
	for (i = 0; i < 8; i++)
		sprintf(text + i * 8, "%08x", c->h[i]);
	return text;
}

#endif
