/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seq: TCP's sequence numbers, compared modulo 2^32 (RFC 9293 3.4)
 */
#ifndef LIB_SEQ_H
#define LIB_SEQ_H

#include <stdbool.h>
#include <stdint.h>

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

#endif /* LIB_SEQ_H */
