/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio: split virtqueues, the device's side
 *
 *	driver                        guest memory                   device
 *	virtq_take()  <- chains ----- descriptors, available ring
 *	virtq_walk()                  a chain's buffers, checked
 *	virtq_put(), virtq_publish() -----------------> used ring
 *	virtq_signal()                call descriptor, where the driver waits
 *
 * The rings are written by a guest that may mean harm: each number is read once
 * and checked before it is used. What cannot be breaks the queue: @broken says
 * why, nothing is taken from it any more, and its owner stops it.
 */
#ifndef LINK_VIRTIO_H
#define LINK_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/** Most descriptors of a queue (virtio 1.2, 2.7) */
#define VIRTQ_NUM_MAX		32768

/**
 * struct virtq_addr - where the parts of a queue are, hypervisor's addresses
 * @desc:	descriptor table
 * @avail:	available ring
 * @used:	used ring
 * @log:	guest address that writes to the used ring are logged at
 * @logged:	they are
 */
struct virtq_addr {
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	uint64_t log;
	bool logged;
};

/**
 * struct virtq - a queue
 * @addr:	where it is
 * @num:	descriptors, a power of 2; 0: not set
 * @event_idx:	VIRTIO_RING_F_EVENT_IDX was negotiated
 * @indirect:	VIRTIO_RING_F_INDIRECT_DESC was
 * @desc:	descriptor table; NULL: not mapped, as the others
 * @avail:	available ring
 * @used:	used ring
 * @generation:	of the memory table that these pointers are good for
 * @last_avail:	next place of the available ring to take from
 * @next_used:	next place of the used ring to fill
 * @published:	used index that the driver sees
 * @signalled:	used index when the driver was told last
 * @call_fd:	to tell it, or -1
 * @broken:	why it is not used any more, NULL: it works
 */
struct virtq {
	struct virtq_addr addr;
	unsigned num;
	bool event_idx;
	bool indirect;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	unsigned generation;
	uint16_t last_avail;
	uint16_t next_used;
	uint16_t published;
	uint16_t signalled;
	int call_fd;
	const char *broken;
};

/**
 * struct virtq_bufs - the buffers of a chain
 * @iov:	where to store them
 * @max:	room there
 * @cnt:	stored
 * @len:	bytes of them
 * @cut:	there were more
 */
struct virtq_bufs {
	struct iovec *iov;
	unsigned max;
	unsigned cnt;
	size_t len;
	bool cut;
};

bool virtq_map(struct virtq *q);
void virtq_begin(struct virtq *q);
bool virtq_break(struct virtq *q, const char *why);
unsigned virtq_take(struct virtq *q, uint16_t *heads, unsigned max);
bool virtq_walk(struct virtq *q, uint16_t head, bool writable,
		struct virtq_bufs *b);
void virtq_put(struct virtq *q, uint16_t head, uint32_t len);
void virtq_publish(struct virtq *q);
void virtq_signal(struct virtq *q);
bool virtq_kicks_on(struct virtq *q, unsigned chains);
void virtq_kicks_off(struct virtq *q);
void virtq_kicks_cancel(struct virtq *q);

#endif /* LINK_VIRTIO_H */
