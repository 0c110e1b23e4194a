/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guestmem: the guest's memory, as a hypervisor shares it
 *
 * A table of regions, each a file of the hypervisor's mapped here. Whatever a
 * guest's address stands for is looked up in it; what lies outside is NULL. The
 * owner of the files may change the bytes at any time, and even take them away:
 * an access then reads zeroes, and guestmem_is_lost() tells of it.
 */
#ifndef LINK_GUESTMEM_H
#define LINK_GUESTMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most regions */
#define GUESTMEM_REGIONS	64
/** Bytes that a bit of the log stands for */
#define GUESTMEM_LOG_PAGE	4096

/**
 * struct guestmem_region - a region, as vhost-user describes it
 * @guest:	guest-physical address of its begin
 * @size:	bytes
 * @user:	its address in the hypervisor
 * @offset:	where it begins in the file
 */
struct guestmem_region {
	uint64_t guest;
	uint64_t size;
	uint64_t user;
	uint64_t offset;
};

int guestmem_init(void);
int guestmem_add(const struct guestmem_region *r, int fd);
int guestmem_remove(const struct guestmem_region *r);
void guestmem_clear(void);
unsigned guestmem_generation(void);
void *guestmem_at(uint64_t guest, size_t *len);
void *guestmem_user(uint64_t user, size_t len);
bool guestmem_is_lost(void);
int guestmem_log_map(int fd, uint64_t size, uint64_t offset);
void guestmem_log_unmap(void);
void guestmem_log_enable(bool on);
bool guestmem_logs(void);
void guestmem_mark(const void *p, size_t len);
void guestmem_mark_guest(uint64_t guest, size_t len);

#endif /* LINK_GUESTMEM_H */
