/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * siphash: SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF")
 */
#ifndef LIB_SIPHASH_H
#define LIB_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct siphash_key - secret of the hash
 * @k:		128 random bits
 */
struct siphash_key {
	uint64_t k[2];
};

uint64_t siphash_24(const struct siphash_key *key, const void *data,
		    size_t len);

#endif /* LIB_SIPHASH_H */
