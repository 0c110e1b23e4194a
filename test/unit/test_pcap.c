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

/* Whole records, one after the other; how many, or -1 */
static int records_in(const uint8_t *p, size_t len)
{
	int n = 0;

	while (len >= 16) {
		uint32_t captured;

		memcpy(&captured, p + 8, sizeof(captured));
		if (captured != 3001 || len < 16 + captured ||
		    p[16] != 'x' || p[16 + 3000] != 'y')
			return -1;
		p += 16 + captured;
		len -= 16 + captured;
		n++;
	}
	return len ? -1 : n;
}

/* Frames are left out, the guest does not wait, what arrives is whole */
TEST(pipe_that_is_not_read)
{
	static uint8_t got[1 << 18], data[3001];
	struct iovec one = { data, sizeof(data) };
	struct slice s = { &one, 1, 0, sizeof(data) };
	char fifo[sizeof(path) + 5];
	size_t len = 0;
	ssize_t n;
	int in, fd, rounds;

	snprintf(fifo, sizeof(fifo), "%s.fifo", path);
	memset(data, 'x', sizeof(data));
	data[3000] = 'y';
	CHECK(!mkfifo(fifo, 0600));
	in = open(fifo, O_RDONLY | O_NONBLOCK);
	fd = pcap_open(fifo);
	CHECK(in >= 0 && fd >= 0);
	log_init("x", LOG_LEVEL_ERR);
	alarm(20);
	for (rounds = 0; rounds < 2; rounds++) {
		for (int i = 0; i < 100; i++)
			pcap_write(fd, &s, 1);
		while ((n = read(in, got + len, sizeof(got) - len)) > 0)
			len += (size_t)n;
	}
	pcap_write(fd, &s, 1);
	close(fd);
	while ((n = read(in, got + len, sizeof(got) - len)) > 0)
		len += (size_t)n;
	alarm(0);
	CHECK(len > 24 && records_in(got + 24, len - 24) >= 3);
	CHECK(len < (size_t)200 * 3017);
	close(in);
	unlink(fifo);
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
