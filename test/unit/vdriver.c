// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vdriver: the driver's side of split virtqueues, in memory that a device maps
 */
#include "test/unit/vdriver.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/unit/unit.h"

void vdriver_open(struct vdriver *d)
{
	d->fd = memfd_create("guest", MFD_CLOEXEC);
	CHECK(!ftruncate(d->fd, VDRIVER_SIZE));
	d->mem = mmap(NULL, VDRIVER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      d->fd, 0);
	CHECK(d->mem != MAP_FAILED);
}

void vdriver_close(struct vdriver *d)
{
	munmap(d->mem, VDRIVER_SIZE);
	close(d->fd);
	guestmem_clear();
}

struct guestmem_region vdriver_region(void)
{
	return (struct guestmem_region){ VDRIVER_GUEST, VDRIVER_SIZE,
					 VDRIVER_USER, 0 };
}

void vdriver_map(struct vdriver *d)
{
	struct guestmem_region r = vdriver_region();

	guestmem_clear();
	CHECK_EQ(guestmem_add(&r, d->fd), 0);
}

void vdriver_queue(struct vdriver *d, unsigned q, unsigned num)
{
	uint8_t *p = d->mem + q * VDRIVER_QUEUE;

	memset(p, 0, VDRIVER_QUEUE);
	vring_init(&d->ring[q], num, p, 4096);
	d->seen[q] = 0;
}

static uint64_t vdriver_user(const struct vdriver *d, const void *p)
{
	return VDRIVER_USER + (uint64_t)((const uint8_t *)p - d->mem);
}

struct virtq_addr vdriver_addr(const struct vdriver *d, unsigned q)
{
	return (struct virtq_addr){
		.desc = vdriver_user(d, d->ring[q].desc),
		.avail = vdriver_user(d, d->ring[q].avail),
		.used = vdriver_user(d, d->ring[q].used),
	};
}

void vdriver_desc(struct vdriver *d, unsigned q, unsigned i,
		  const struct vring_desc *desc)
{
	d->ring[q].desc[i] = *desc;
}

void vdriver_avail(struct vdriver *d, unsigned q, uint16_t head)
{
	struct vring *r = &d->ring[q];

	r->avail->ring[r->avail->idx % r->num] = head;
	__atomic_store_n(&r->avail->idx, (uint16_t)(r->avail->idx + 1),
			 __ATOMIC_RELEASE);
}

/* Descriptors i, i + 1, ...: the device's to write in queue 0, else to read */
void vdriver_chain(struct vdriver *d, unsigned q, unsigned i,
		   const struct vdriver_buf *bufs, unsigned n)
{
	for (unsigned j = 0; j < n; j++) {
		uint16_t flags = (q ? 0 : VRING_DESC_F_WRITE) |
				 (j + 1 < n ? VRING_DESC_F_NEXT : 0);

		vdriver_desc(d, q, i + j, &(struct vring_desc){
			VDRIVER_GUEST + bufs[j].off, bufs[j].len, flags,
			(uint16_t)(i + j + 1) });
	}
	vdriver_avail(d, q, (uint16_t)i);
}

bool vdriver_used(struct vdriver *d, unsigned q, struct vring_used_elem *e)
{
	struct vring *r = &d->ring[q];

	if (__atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) == d->seen[q])
		return false;
	*e = r->used->ring[d->seen[q]++ % r->num];
	return true;
}
