// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guest memory: what may enter the table, lookups at its edges, the dirty log,
 * files that are cut short
 */
#include "link/guestmem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/log.h"
#include "test/unit/unit.h"

#define PAGE	4096u

static int file(size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	CHECK(!ftruncate(fd, (off_t)size));
	return fd;
}

static int add(uint64_t guest, uint64_t size, uint64_t user, uint64_t offset)
{
	struct guestmem_region r = { guest, size, user, offset };
	int fd = file(16 * PAGE), rc = guestmem_add(&r, fd);

	close(fd);
	return rc;
}

TEST(lookup_by_guest_address)
{
	size_t len;
	uint8_t *p;

	guestmem_clear();
	CHECK_EQ(add(0x10000, 2 * PAGE, 0x70000, PAGE), 0);
	CHECK_EQ(add(0x10000 + 2 * PAGE, PAGE, 0x90000, 0), 0);
	len = 100;
	p = guestmem_at(0x10000, &len);
	CHECK(p && len == 100);
	len = PAGE;
	CHECK(guestmem_at(0x10000 + 2 * PAGE - 1, &len) == p + 2 * PAGE - 1);
	CHECK_EQ(len, 1);
	len = 2 * PAGE;
	CHECK(guestmem_at(0x10000 + 2 * PAGE, &len) != NULL);
	CHECK_EQ(len, PAGE);
	len = 1;
	CHECK(!guestmem_at(0xffff, &len));
	CHECK(!guestmem_at(0x10000 + 3 * PAGE, &len));
	CHECK(!guestmem_at(UINT64_MAX, &len));
	guestmem_clear();
	CHECK(!guestmem_at(0x10000, &len));
}

TEST(lookup_by_hypervisor_address)
{
	guestmem_clear();
	CHECK_EQ(add(0, 2 * PAGE, 0x70000, 0), 0);
	CHECK(guestmem_user(0x70000, 2 * PAGE) != NULL);
	CHECK(guestmem_user(0x70000 + 2 * PAGE - 1, 1) != NULL);
	CHECK(!guestmem_user(0x70000, 2 * PAGE + 1));
	CHECK(!guestmem_user(0x70001, 2 * PAGE));
	CHECK(!guestmem_user(0x6ffff, 1));
	CHECK(!guestmem_user(0x70000 + 2 * PAGE, 1));
	CHECK(!guestmem_user(0x70000, SIZE_MAX));
	guestmem_clear();
}

TEST(offset_into_the_file)
{
	struct guestmem_region r = { 0, PAGE, 0, 100 };
	int fd = file(2 * PAGE);
	size_t len = 1;
	uint8_t *p;

	guestmem_clear();
	CHECK_EQ(pwrite(fd, "x", 1, 100), 1);
	CHECK_EQ(guestmem_add(&r, fd), 0);
	p = guestmem_at(0, &len);
	CHECK(p && *p == 'x');
	guestmem_clear();
	close(fd);
}

TEST(regions_that_cannot_be)
{
	struct guestmem_region r = { 0, PAGE, 0, 0 };
	int sv[2], fd;

	guestmem_clear();
	CHECK_EQ(add(0, 0, 0, 0), -EINVAL);
	CHECK_EQ(add(UINT64_MAX - 100, PAGE, 0, 0), -EINVAL);
	CHECK_EQ(add(0, PAGE, UINT64_MAX - 100, 0), -EINVAL);
	CHECK_EQ(add(0, PAGE, 0, UINT64_MAX - 100), -EINVAL);
	CHECK_EQ(add(0, PAGE, 0, INT64_MAX - 100), -EINVAL);
	CHECK_EQ(add(0, UINT64_MAX, 0, 0), -EINVAL);
	CHECK_EQ(add(0, 16 * PAGE + 1, 0, 0), -EINVAL);
	CHECK_EQ(add(0, 16 * PAGE, 0, 1), -EINVAL);
	CHECK(!pipe(sv));
	CHECK_EQ(guestmem_add(&r, sv[0]), -EINVAL);
	close(sv[0]);
	close(sv[1]);
	CHECK_EQ(guestmem_add(&r, -1), -EBADF);
	fd = open("/dev/zero", O_RDWR);
	CHECK_EQ(guestmem_add(&r, fd), -EINVAL);
	close(fd);
	fd = open("/proc/self/exe", O_RDONLY);
	CHECK_EQ(guestmem_add(&r, fd), -EACCES);
	close(fd);
}

TEST(overlaps_and_too_many)
{
	guestmem_clear();
	CHECK_EQ(add(4 * PAGE, 4 * PAGE, 0, 0), 0);
	CHECK_EQ(add(4 * PAGE, PAGE, 0, 0), -EEXIST);
	CHECK_EQ(add(0, 4 * PAGE + 1, 0, 0), -EEXIST);
	CHECK_EQ(add(8 * PAGE - 1, PAGE, 0, 0), -EEXIST);
	CHECK_EQ(add(0, 16 * PAGE, 0, 0), -EEXIST);
	CHECK_EQ(add(0, 4 * PAGE, 0, 0), 0);
	for (uint64_t i = 2; i < GUESTMEM_REGIONS; i++)
		CHECK_EQ(add(i << 32, PAGE, i << 32, 0), 0);
	CHECK_EQ(add(1ULL << 60, PAGE, 0, 0), -ENOSPC);
	guestmem_clear();
}

TEST(remove_tells_by_the_generation)
{
	struct guestmem_region r = { PAGE, PAGE, 3 * PAGE, 77 };
	unsigned before;
	size_t len = 1;

	guestmem_clear();
	CHECK_EQ(add(0, PAGE, 0, 0), 0);
	CHECK_EQ(add(PAGE, PAGE, 3 * PAGE, 0), 0);
	before = guestmem_generation();
	r.user++;
	CHECK_EQ(guestmem_remove(&r), -ENOENT);
	CHECK_EQ(guestmem_generation(), before);
	r.user--;
	CHECK_EQ(guestmem_remove(&r), 0);
	CHECK(guestmem_generation() != before);
	CHECK_EQ(guestmem_remove(&r), -ENOENT);
	CHECK(!guestmem_at(PAGE, &len));
	CHECK(guestmem_at(0, &len) != NULL);
	guestmem_clear();
}

TEST(dirty_log)
{
	int fd = file(PAGE);
	uint8_t bits[16];
	size_t len = 1;
	uint8_t *p;

	guestmem_clear();
	CHECK_EQ(add(16 * PAGE, 16 * PAGE, 0, 0), 0);
	CHECK_EQ(guestmem_log_map(fd, 4, 8), 0);
	CHECK(!guestmem_logs());
	guestmem_mark_guest(0, 1);
	guestmem_log_enable(true);
	CHECK(guestmem_logs());
	guestmem_mark_guest(PAGE, 1);
	guestmem_mark_guest(3 * PAGE - 1, 2);
	guestmem_mark_guest(31 * PAGE, PAGE);
	/* beyond the log, and addresses that cannot be */
	guestmem_mark_guest(32 * PAGE, PAGE);
	guestmem_mark_guest(UINT64_MAX - 1, 100);
	guestmem_mark_guest(1ULL << 60, 1);
	p = guestmem_at(17 * PAGE, &len);
	guestmem_mark(p, 1);
	CHECK_EQ(pread(fd, bits, 16, 0), 16);
	CHECK(!memcmp(bits, (uint8_t[16]){ [8] = 0x0e, 0, 0x02, 0x80 }, 16));
	CHECK_EQ(guestmem_log_map(fd, PAGE, 8), -EINVAL);
	CHECK(guestmem_logs());
	guestmem_log_unmap();
	CHECK(!guestmem_logs());
	guestmem_mark_guest(0, 1);
	guestmem_log_enable(false);
	guestmem_clear();
	close(fd);
}

TEST(a_file_cut_short)
{
	struct guestmem_region r = { 0, 4 * PAGE, 0, 0 };
	int fd = file(4 * PAGE), log = file(PAGE);
	volatile uint8_t *p;
	size_t len = 1;

	guestmem_clear();
	CHECK_EQ(guestmem_init(), 0);
	CHECK_EQ(guestmem_add(&r, fd), 0);
	p = guestmem_at(0, &len);
	p[2 * PAGE] = 1;
	CHECK(!guestmem_is_lost());
	CHECK(!ftruncate(fd, PAGE));
	p[0] = 2;
	CHECK(!guestmem_is_lost());
	p[3 * PAGE] = 3;
	CHECK(guestmem_is_lost());
	CHECK_EQ(p[3 * PAGE], 3);
	CHECK_EQ(p[0], 0);
	guestmem_clear();
	CHECK(!guestmem_is_lost());
	/* the log, too */
	CHECK_EQ(guestmem_log_map(log, PAGE, 0), 0);
	guestmem_log_enable(true);
	CHECK(!ftruncate(log, 0));
	guestmem_mark_guest(0, 1);
	CHECK(guestmem_is_lost());
	guestmem_log_unmap();
	guestmem_log_enable(false);
	guestmem_clear();
	close(fd);
	close(log);
}

int main(int argc, char **argv)
{
	log_init("test_guestmem", LOG_LEVEL_ERR);
	return unit_main(argc, argv);
}
