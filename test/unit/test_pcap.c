// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of lib/pcap.c
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/pcap.h"
#include "test/unit/unit.h"

static char path[] = "/tmp/test_pcap.XXXXXX";
static uint8_t file[4096];

static size_t load(void)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, file, sizeof(file));

	close(fd);
	return n < 0 ? 0 : (size_t)n;
}

static uint32_t word(size_t at)
{
	uint32_t v;

	memcpy(&v, file + at, sizeof(v));
	return v;
}

static const struct iovec iov[] = { { (char[]){ "xxHead" }, 6 },
				    { NULL, 0 },
				    { (char[]){ "Payload" }, 7 } };
static const struct slice frame = { iov, 3, 2, 10 };

TEST(file_header_and_mode)
{
	mode_t mask = umask(0777);
	struct stat st;
	int fd;

	unlink(path);
	fd = pcap_open(path);
	CHECK_EQ(umask(mask), 0777);
	CHECK(fd >= 0);
	CHECK(!fstat(fd, &st));
	CHECK_EQ(st.st_mode & 07777, 0600);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	CHECK_EQ(load(), 24);
	CHECK_EQ(word(0), 0xa1b2c3d4);
	CHECK_EQ(word(4), 4 << 16 | 2);
	CHECK(word(16) >= 65535 + 14);
	CHECK_EQ(word(20), 1);
}

TEST(records)
{
	int fd = pcap_open(path);

	pcap_write(fd, &frame, 1700000000123456);
	pcap_write(fd, &frame, 1700000001000001);
	close(fd);
	CHECK_EQ(load(), 24 + 2 * (16 + 10));
	CHECK_EQ(word(24), 1700000000);
	CHECK_EQ(word(28), 123456);
	CHECK_EQ(word(32), 10);
	CHECK_EQ(word(36), 10);
	CHECK(!memcmp(file + 40, "HeadPayloa", 10));
	CHECK_EQ(word(50), 1700000001);
	CHECK_EQ(word(54), 1);
	CHECK(!memcmp(file + 66, "HeadPayloa", 10));
}

TEST(too_many_buffers_are_cut_and_said_so)
{
	struct iovec many[100];
	struct slice s = { many, 100, 0, 100 };
	int fd = pcap_open(path);

	for (int i = 0; i < 100; i++)
		many[i] = (struct iovec){ file, 1 };
	pcap_write(fd, &s, 0);
	close(fd);
	CHECK_EQ(load(), 24 + 16 + 64);
	CHECK_EQ(word(32), 64);
	CHECK_EQ(word(36), 100);
}

/* A file size limit stands for the full disk: a write is short, then fails */
TEST(full_disk_leaves_whole_records)
{
	struct rlimit was, low = { 24 + 26 + 26 + 20, RLIM_INFINITY };
	int fd = pcap_open(path);

	log_init("x", LOG_LEVEL_ERR);
	signal(SIGXFSZ, SIG_IGN);
	CHECK(!getrlimit(RLIMIT_FSIZE, &was));
	low.rlim_max = was.rlim_max;
	CHECK(!setrlimit(RLIMIT_FSIZE, &low));
	for (int i = 0; i < 5; i++)
		pcap_write(fd, &frame, 1);
	CHECK_EQ(load(), 24 + 26 + 26);
	low.rlim_cur = 24 + 26 + 26;
	CHECK(!setrlimit(RLIMIT_FSIZE, &low));
	pcap_write(fd, &frame, 1);
	CHECK_EQ(load(), 24 + 26 + 26);
	/* and goes on when there is room again */
	CHECK(!setrlimit(RLIMIT_FSIZE, &was));
	pcap_write(fd, &frame, 2);
	CHECK_EQ(load(), 24 + 26 + 26 + 26);
	CHECK_EQ(word(24 + 26 + 26 + 4), 2);
	close(fd);
}

TEST(refuses)
{
	CHECK_EQ(pcap_open("/nonexistent/x"), -ENOENT);
	CHECK_EQ(pcap_open("/tmp"), -EISDIR);
	CHECK_EQ(pcap_open("/dev/full"), -ENOSPC);
}

TEST(now)
{
	time_t t = time(NULL);
	uint64_t now = pcap_now();

	CHECK(now / 1000000 >= (uint64_t)t && now / 1000000 <= (uint64_t)t + 2);
}

int main(int argc, char **argv)
{
	int fd = mkstemp(path), rc;

	if (fd < 0)
		return 1;
	close(fd);
	rc = unit_main(argc, argv);
	unlink(path);
	return rc;
}
