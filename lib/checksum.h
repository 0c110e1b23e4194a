/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checksum: the Internet checksum (RFC 1071) over buffers and pseudo-headers
 *
 * Sums are carried unfolded in 64 bits, in the machine's byte order over the
 * bytes as they lie in memory; csum_fold() gives the 16 bits to store as they
 * are (no further byte swap).
 */
#ifndef LIB_CHECKSUM_H
#define LIB_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

uint64_t csum_add(const void *buf, size_t len, uint64_t sum);
uint16_t csum_fold(uint64_t sum);
uint64_t csum_pseudo(const struct addr *src, const struct addr *dst,
		     uint8_t proto, size_t len);

#endif /* LIB_CHECKSUM_H */
