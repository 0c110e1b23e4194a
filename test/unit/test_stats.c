// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of lib/stats.c
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/stats.h"
#include "test/unit/unit.h"

/* What stats_print() writes to stderr */
static const char *printed(void)
{
	static char buf[8192];
	int fd = memfd_create("stderr", MFD_CLOEXEC);
	int was = dup(STDERR_FILENO);
	ssize_t n;

	dup2(fd, STDERR_FILENO);
	stats_print();
	dup2(was, STDERR_FILENO);
	n = pread(fd, buf, sizeof(buf) - 1, 0);
	buf[n < 0 ? 0 : n] = '\0';
	close(was);
	close(fd);
	return buf;
}

TEST(counts_and_prints)
{
	CHECK(!*printed());
	CHECK(!drop(DROP_SHORT));
	CHECK(!drop(DROP_LENGTH));
	CHECK(!drop(DROP_LENGTH));
	stat_add(STAT_BYTES_IN, 5000000000);
	stat_add(STAT_BYTES_IN, 1);
	stat_add(STAT_FRAMES_IN, 3);
	log_init("x", LOG_LEVEL_ERR);
	CHECK(!strcmp(printed(), "stats: 3 frames from the guest\n"
				 "stats: 5000000001 bytes from the guest\n"
				 "stats: dropped 1: truncated header\n"
				 "stats: dropped 2: bad frame length prefix\n"));
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
