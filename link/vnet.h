/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vnet: the header before each frame of a virtual network device: what is left
 * to the other side to do, checksums and segments
 */
#ifndef LINK_VNET_H
#define LINK_VNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/packet.h"
#include "link/link.h"

/** Bytes of the header, without num_buffers */
#define VNET_HLEN	10

bool vnet_writes(const uint8_t *h, const struct frame *f);
bool vnet_read(const uint8_t *h, struct frame *f);
void vnet_put(uint8_t *h, const struct loan *l, size_t hlen);

#endif /* LINK_VNET_H */
