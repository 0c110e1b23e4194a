/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_sack: what the guest sent and the host's socket cannot have yet: kept; what
 * is behind a gap is told by SACK
 */
#ifndef TCP_SACK_H
#define TCP_SACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/iov.h"
#include "lib/timer.h"

/** Most bytes of a SACK option, two of padding included (RFC 2018 3) */
#define TCP_SACK_OPTION_MAX	36

/**
 * struct tcp_sack_seg - a segment whose turn has not come
 * @seq:	first sequence number, RCV.NXT or beyond
 * @data:	what is in the window of its text
 * @fin:	a FIN follows @data
 */
struct tcp_sack_seg {
	uint32_t seq;
	struct slice data;
	bool fin;
};

bool tcp_sack_any(const void *owner);
bool tcp_sack_waits(const void *owner, uint32_t nxt);
void tcp_sack_keep(const void *owner, uint32_t nxt,
		   const struct tcp_sack_seg *s, usec_t now);
unsigned tcp_sack_next(const void *owner, uint32_t nxt, struct iovec iov[2],
		       bool *fin);
void tcp_sack_taken(const void *owner, uint32_t nxt);
void tcp_sack_forget(const void *owner);
size_t tcp_sack_option(const void *owner, uint32_t nxt, uint8_t *opt);

#endif /* TCP_SACK_H */
