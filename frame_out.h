/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame_out: frames to the guest: addresses, lengths, checksums, fragments
 *
 * The fast paths (TCP, UDP) borrow frames from the link, read the payload into
 * them, write their transport header at frame_l4() and call frame_finish().
 * Everything else builds a small payload of its own and calls frame_send().
 */
#ifndef FRAME_OUT_H
#define FRAME_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/packet.h"
#include "link/link.h"

void frame_out_init(unsigned mtu);
unsigned frame_mtu(void);
uint8_t *frame_l4(const struct loan *l, const struct addr *dst);
void frame_finish(struct loan *l, const struct packet_ends *e, uint8_t proto,
		  size_t l4_hlen);
bool frame_send(const struct packet_ends *e, uint8_t proto, const void *l4_hdr,
		size_t l4_hlen, const struct slice *payload);
bool frame_send_raw(const void *frame, size_t len);

#endif /* FRAME_OUT_H */
