// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guestmem: the guest's memory, as a hypervisor shares it
 *
 * Each region of the table is one mapping, from the first page of the region
 * in its file on:
 *
 *	file      |        |offset                     |offset + size
 *	          |        |<-------- region --------->|
 *	mapping        |<-- lead -->|                  |<- to a page's end ->|
 *
 * Addresses are 64 bits of a stranger's: all sums are checked where a region
 * enters, a lookup only subtracts. The file must be a regular one (memfd,
 * hugetlbfs, tmpfs), as large as it is said to be.
 *
 * A file cut short makes an access to what is missing raise SIGBUS. The handler
 * puts anonymous memory in the place of the whole mapping and returns: the
 * access is done again and finds zeroes, nobody jumps out of the middle of
 * anything, and the owner, told by guestmem_is_lost(), gives the device up.
 * System calls on such memory fail with EFAULT, and raise nothing.
 *
 * The log has a bit a page, set when the page was written to, for migration. It
 * is marked after the write: pages are sent again that were marked since.
 *
 * State: table, log, loss; one process serves one guest. Source: QEMU's
 * docs/interop/vhost-user.rst, Memory access and Migration; mmap(2).
 */
#include "link/guestmem.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"

/** Most bytes of a region: what addresses of a process leave room for */
#define GUESTMEM_SIZE_MAX	((uint64_t)1 << 46)

/**
 * struct guestmem_map - a mapped region
 * @r:		what it was said to be
 * @map:	mapping
 * @len:	its bytes
 * @base:	where the region begins in it
 */
struct guestmem_map {
	struct guestmem_region r;
	uint8_t *map;
	size_t len;
	uint8_t *base;
};

/* In any order; [0, count). Found last, most often found next */
static struct guestmem_map guestmem_maps[GUESTMEM_REGIONS];
static unsigned guestmem_count;
static unsigned guestmem_last;
static unsigned guestmem_changes;
static volatile sig_atomic_t guestmem_lost;

/**
 * struct guestmem_log - the dirty log
 * @map:	mapping, NULL: none
 * @len:	its bytes
 * @bits:	where the bit of address 0 is
 * @size:	bytes of bits
 * @on:		what is written is to be marked
 */
static struct guestmem_log {
	uint8_t *map;
	size_t len;
	uint8_t *bits;
	size_t size;
	bool on;
} guestmem_log;

/* Whether @p lies in a mapping; if so zeroes take its place */
static bool guestmem_replace(const uint8_t *p, uint8_t *map, size_t len)
{
	if (!map || p < map || p >= map + len)
		return false;
	return mmap(map, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		    -1, 0) != MAP_FAILED;
}

/* Raised by an access, so none of our own state is half-changed */
static void guestmem_on_sigbus(int sig, siginfo_t *info, void *context)
{
	const uint8_t *p = info->si_addr;
	int saved = errno;
	bool ours;

	(void)sig;
	(void)context;
	ours = guestmem_replace(p, guestmem_log.map, guestmem_log.len);
	for (unsigned i = 0; !ours && i < guestmem_count; i++)
		ours = guestmem_replace(p, guestmem_maps[i].map,
					guestmem_maps[i].len);
	if (!ours)
		__builtin_trap();
	guestmem_lost = true;
	errno = saved;
}

/**
 * guestmem_init() - Be ready for memory that goes away; before the filter
 *
 * Return: 0, or a negative error code
 */
int guestmem_init(void)
{
	struct sigaction a = { .sa_sigaction = guestmem_on_sigbus,
			       .sa_flags = SA_SIGINFO };

	sigemptyset(&a.sa_mask);
	return sigaction(SIGBUS, &a, NULL) ? -errno : 0;
}

/*
 * Map bytes [offset, offset + size) of a file. Mappings of huge pages begin and
 * end at those, which st_blksize tells.
 */
static int guestmem_mmap(int fd, struct guestmem_map *m)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), lead, len;
	const struct guestmem_region *r = &m->r;
	struct stat st;

	if (!r->size || r->size > GUESTMEM_SIZE_MAX ||
	    r->offset > INT64_MAX - r->size)
		return -EINVAL;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size < r->offset + r->size)
		return -EINVAL;
	if ((uint64_t)st.st_blksize > page &&
	    !(st.st_blksize & (st.st_blksize - 1)))
		page = (uint64_t)st.st_blksize;
	lead = r->offset & (page - 1);
	len = (lead + r->size + page - 1) & ~(page - 1);
	m->map = mmap(NULL, len, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_NORESERVE, fd,
		      (off_t)(r->offset - lead));
	if (m->map == MAP_FAILED)
		return -errno;
	m->len = len;
	m->base = m->map + lead;
	return 0;
}

static bool guestmem_overlaps(const struct guestmem_region *r)
{
	for (unsigned i = 0; i < guestmem_count; i++) {
		const struct guestmem_region *o = &guestmem_maps[i].r;

		if (r->guest < o->guest + o->size &&
		    o->guest < r->guest + r->size)
			return true;
	}
	return false;
}

/**
 * guestmem_add() - Map one more region
 * @r:		region
 * @fd:		its file; stays the caller's
 *
 * Return: 0, or a negative error code: -EINVAL: not what it is said to be, or
 * addresses that cannot be; -EEXIST: overlaps another; -ENOSPC: too many;
 * others of fstat(2) and mmap(2)
 */
int guestmem_add(const struct guestmem_region *r, int fd)
{
	struct guestmem_map *m = &guestmem_maps[guestmem_count];
	int rc;

	if (guestmem_count == GUESTMEM_REGIONS)
		return -ENOSPC;
	if (r->guest > UINT64_MAX - r->size || r->user > UINT64_MAX - r->size)
		return -EINVAL;
	if (guestmem_overlaps(r))
		return -EEXIST;
	m->r = *r;
	rc = guestmem_mmap(fd, m);
	if (rc)
		return rc;
	guestmem_count++;
	guestmem_changes++;
	return 0;
}

/**
 * guestmem_remove() - Unmap a region
 * @r:		region; its offset does not matter
 *
 * Return: 0, or -ENOENT: there is none such
 */
int guestmem_remove(const struct guestmem_region *r)
{
	for (unsigned i = 0; i < guestmem_count; i++) {
		struct guestmem_map *m = &guestmem_maps[i];

		if (m->r.guest != r->guest || m->r.user != r->user ||
		    m->r.size != r->size)
			continue;
		munmap(m->map, m->len);
		*m = guestmem_maps[--guestmem_count];
		guestmem_last = 0;
		guestmem_changes++;
		return 0;
	}
	return -ENOENT;
}

/**
 * guestmem_clear() - Unmap all regions, forget a loss
 */
void guestmem_clear(void)
{
	while (guestmem_count) {
		const struct guestmem_map *m = &guestmem_maps[--guestmem_count];

		munmap(m->map, m->len);
	}
	guestmem_last = 0;
	guestmem_changes++;
	guestmem_lost = false;
}

/**
 * guestmem_generation() - Tell whether pointers are still good
 *
 * Return: a number that is another one after any change of the table
 */
unsigned guestmem_generation(void)
{
	return guestmem_changes;
}

static uint8_t *guestmem_in(const struct guestmem_map *m, uint64_t guest,
			    size_t *len)
{
	uint64_t off = guest - m->r.guest;

	if (off >= m->r.size)
		return NULL;
	if (*len > m->r.size - off)
		*len = m->r.size - off;
	return m->base + off;
}

/**
 * guestmem_at() - What a guest-physical address stands for
 * @guest:	address
 * @len:	bytes wanted; less on return where the region ends before
 *
 * Return: pointer to *@len bytes, or NULL: there is no memory
 */
void *guestmem_at(uint64_t guest, size_t *len)
{
	uint8_t *p;

	if (!guestmem_count)
		return NULL;
	p = guestmem_in(&guestmem_maps[guestmem_last], guest, len);
	for (unsigned i = 0; !p && i < guestmem_count; i++) {
		p = guestmem_in(&guestmem_maps[i], guest, len);
		if (p)
			guestmem_last = i;
	}
	return p;
}

/**
 * guestmem_user() - What an address of the hypervisor's stands for
 * @user:	address
 * @len:	bytes, all of them in one region
 *
 * Return: pointer to them, or NULL: there is no such memory
 */
void *guestmem_user(uint64_t user, size_t len)
{
	for (unsigned i = 0; i < guestmem_count; i++) {
		const struct guestmem_map *m = &guestmem_maps[i];
		uint64_t off = user - m->r.user;

		if (off < m->r.size && len <= m->r.size - off)
			return m->base + off;
	}
	return NULL;
}

/**
 * guestmem_is_lost() - Whether memory was taken away under us
 *
 * Return: true from then on until guestmem_clear()
 */
bool guestmem_is_lost(void)
{
	return guestmem_lost;
}

/**
 * guestmem_log_map() - Take a file for the log
 * @fd:		the file; stays the caller's
 * @size:	bytes of log
 * @offset:	where it begins in the file
 *
 * Return: 0, or a negative error code as guestmem_add(); the log before stays
 */
int guestmem_log_map(int fd, uint64_t size, uint64_t offset)
{
	struct guestmem_map m = { .r = { .size = size, .offset = offset } };
	int rc = guestmem_mmap(fd, &m);

	if (rc)
		return rc;
	guestmem_log_unmap();
	guestmem_log.map = m.map;
	guestmem_log.len = m.len;
	guestmem_log.bits = m.base;
	guestmem_log.size = size;
	return 0;
}

/**
 * guestmem_log_unmap() - No log any more
 */
void guestmem_log_unmap(void)
{
	if (guestmem_log.map)
		munmap(guestmem_log.map, guestmem_log.len);
	guestmem_log.map = NULL;
}

/**
 * guestmem_log_enable() - Mark what is written, or do not
 * @on:		which
 */
void guestmem_log_enable(bool on)
{
	guestmem_log.on = on;
}

/**
 * guestmem_logs() - Whether marks are kept
 *
 * Return: true: what is written must be marked
 */
bool guestmem_logs(void)
{
	return guestmem_log.on && guestmem_log.map;
}

/**
 * guestmem_mark_guest() - Mark memory as written, by its guest-physical address
 * @guest:	address
 * @len:	bytes; what lies beyond the log is not marked
 */
void guestmem_mark_guest(uint64_t guest, size_t len)
{
	uint64_t page = guest / GUESTMEM_LOG_PAGE, last;

	if (!guestmem_logs() || !len || guest > UINT64_MAX - len)
		return;
	last = (guest + len - 1) / GUESTMEM_LOG_PAGE;
	for (; page <= last && page / 8 < guestmem_log.size; page++)
		__atomic_fetch_or(guestmem_log.bits + page / 8,
				  (uint8_t)(1 << page % 8), __ATOMIC_RELEASE);
}

/**
 * guestmem_mark() - Mark memory as written
 * @p:		pointer that guestmem_at() returned, or into what it points to
 * @len:	bytes, of the same region
 */
void guestmem_mark(const void *p, size_t len)
{
	const uint8_t *at = p;

	for (unsigned i = 0; i < guestmem_count; i++) {
		const struct guestmem_map *m = &guestmem_maps[i];

		if (at < m->base || at >= m->base + m->r.size)
			continue;
		guestmem_mark_guest(m->r.guest + (uint64_t)(at - m->base), len);
		return;
	}
}
