// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_sysctl: settings of the kernel, there or not
 */
#include "host/sysctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/unit/hostns.h"
#include "test/unit/unit.h"

#define RANGE "/proc/sys/net/ipv4/ip_local_port_range"

static uint16_t first, last;

TEST(numbers)
{
	char path[] = "/tmp/test_sysctl.XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK_EQ(sysctl_number("/nonexistent", 7), 7);
	CHECK_EQ(sysctl_number("/tmp", 7), 7);
	CHECK_EQ(sysctl_number(path, 7), 7);
	CHECK(write(fd, "15\n", 3) == 3);
	CHECK_EQ(sysctl_number(path, 7), 15);
	close(fd);
	unlink(path);
}

TEST(last_of_several)
{
	char path[] = "/tmp/test_sysctl.XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK_EQ(sysctl_last("/nonexistent", 7), 7);
	CHECK_EQ(sysctl_last(path, 7), 7);
	CHECK(write(fd, "4096\t16384\t65536\n", 17) == 17);
	CHECK_EQ(sysctl_last(path, 7), 65536);
	CHECK(!ftruncate(fd, 4));
	CHECK_EQ(sysctl_last(path, 7), 4096);
	close(fd);
	unlink(path);
}

TEST(port_range)
{
	CHECK(hostns_write(RANGE, "2000 3000"));
	sysctl_port_range(&first, &last);
	CHECK_EQ(first, 2000);
	CHECK_EQ(last, 3000);
	CHECK(hostns_write(RANGE, "1024 65535"));
	sysctl_port_range(&first, &last);
	CHECK_EQ(first, 1024);
	CHECK_EQ(last, 65535);
}

int main(int argc, char **argv)
{
	if (!hostns_enter())
		return 1;
	return unit_main(argc, argv);
}
