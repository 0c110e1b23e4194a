/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost_out: frames to the guest's receive queue
 */
#ifndef LINK_VHOST_OUT_H
#define LINK_VHOST_OUT_H

#include <stdbool.h>
#include <stddef.h>

#include "link/link.h"
#include "link/virtio.h"

void vhost_out_set(size_t hlen, bool merge);
void vhost_out_begin(void);
unsigned vhost_out_reserve(struct virtq *q, struct loan *loans, unsigned n,
			   size_t hlen, size_t room);
void vhost_out_commit(struct virtq *q, struct loan *loans, unsigned n);
void vhost_out_end(struct virtq *q);
size_t vhost_out_limit(void);
bool vhost_out_again(void);
bool vhost_out_wanted(void);

#endif /* LINK_VHOST_OUT_H */
