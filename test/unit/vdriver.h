/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vdriver: the driver's side of split virtqueues, in memory that a device maps
 *
 * One memfd is the guest's memory. Queues lie at its begin, VDRIVER_QUEUE bytes
 * each; buffers are the test's to place, from VDRIVER_BUFFERS on.
 */
#ifndef VDRIVER_H
#define VDRIVER_H

#include <linux/virtio_ring.h>
#include <stdint.h>

#include "link/guestmem.h"
#include "link/virtio.h"

#define VDRIVER_SIZE	(8u << 20)
#define VDRIVER_QUEUE	(64u << 10)
#define VDRIVER_BUFFERS	(1u << 20)
#define VDRIVER_GUEST	0x40000000ULL
#define VDRIVER_USER	0x7e0000000000ULL

struct vdriver {
	int fd;
	uint8_t *mem;
	struct vring ring[2];
	uint16_t seen[2];
};

struct vdriver_buf {
	uint32_t off;
	uint32_t len;
};

void vdriver_open(struct vdriver *d);
void vdriver_close(struct vdriver *d);
struct guestmem_region vdriver_region(void);
void vdriver_map(struct vdriver *d);
void vdriver_queue(struct vdriver *d, unsigned q, unsigned num);
struct virtq_addr vdriver_addr(const struct vdriver *d, unsigned q);
void vdriver_desc(struct vdriver *d, unsigned q, unsigned i,
		  const struct vring_desc *desc);
void vdriver_avail(struct vdriver *d, unsigned q, uint16_t head);
void vdriver_chain(struct vdriver *d, unsigned q, unsigned i,
		   const struct vdriver_buf *bufs, unsigned n);
bool vdriver_used(struct vdriver *d, unsigned q, struct vring_used_elem *e);

#endif /* VDRIVER_H */
