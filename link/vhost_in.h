/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost_in: frames from the guest's transmit queue
 */
#ifndef LINK_VHOST_IN_H
#define LINK_VHOST_IN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/packet.h"
#include "link/virtio.h"

void vhost_in_set(size_t hlen);
unsigned vhost_in_receive(struct virtq *q, struct frame *frames, unsigned max);
void vhost_in_release(struct virtq *q);
void vhost_in_discard(struct virtq *q);
bool vhost_in_is_idle(void);

#endif /* LINK_VHOST_IN_H */
