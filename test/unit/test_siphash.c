// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of lib/siphash.c: the vector of the paper's appendix A, and others of
 * the same series (key 00..0f, message 00 01 02 ...)
 */
#include <string.h>

#include "lib/siphash.h"
#include "test/unit/unit.h"

static const struct siphash_key key = { { 0x0706050403020100,
					  0x0f0e0d0c0b0a0908 } };

static uint64_t hash_of_first(size_t n)
{
	uint8_t b[64] = { 0 };

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)i;
	return siphash_24(&key, b, n);
}

TEST(paper)
{
	CHECK(hash_of_first(15) == 0xa129ca6149be45e5);
}

TEST(series)
{
	CHECK(hash_of_first(0) == 0x726fdb47dd0e0e31);
	CHECK(hash_of_first(1) == 0x74f839c593dc67fd);
	CHECK(hash_of_first(2) == 0x0d6c8009d9a94f5a);
	CHECK(hash_of_first(3) == 0x85676696d7fb7e2d);
	CHECK(hash_of_first(7) == 0xab0200f58b01d137);
	CHECK(hash_of_first(8) == 0x93f5f5799a932462);
	CHECK(hash_of_first(63) == 0x958a324ceb064572);
}

TEST(depends_on_all_of_key_and_length)
{
	struct siphash_key k = key;
	uint8_t zero[300] = { 0 };
	uint64_t h = siphash_24(&k, zero, 9);

	k.k[0] ^= 1;
	CHECK(siphash_24(&k, zero, 9) != h);
	k = key;
	k.k[1] ^= 1ULL << 63;
	CHECK(siphash_24(&k, zero, 9) != h);
	CHECK(siphash_24(&key, zero, 10) != h);
}

TEST(any_alignment)
{
	uint8_t b[40];

	for (size_t off = 0; off < 8; off++) {
		for (uint8_t i = 0; i < 31; i++)
			b[off + i] = i;
		CHECK(siphash_24(&key, b + off, 31) == hash_of_first(31));
	}
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
