// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_pipes: the pool of pipes: what is lent comes back, and there is an end
 */
#include "lib/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test/unit/procs.h"
#include "test/unit/unit.h"

static struct pipe_ends p[PIPES_LENT + 1];
static char data[PIPES_BYTES];

static unsigned descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Where there are few descriptors, few are kept once there were many pipes */
static void few(void)
{
	const struct rlimit low = { 128, 128 };
	unsigned before = descriptors(), n = 0;

	CHECK(!setrlimit(RLIMIT_NOFILE, &low));
	pipes_init();
	while (n < 32 && pipes_take(&p[n]))
		n++;
	CHECK_EQ(n, 32);
	while (n)
		pipes_give(&p[--n]);
	CHECK(descriptors() <= before + 4);
}

TEST(with_few_descriptors)
{
	char said[1024];

	CHECK_EQ(procs_run(few, said, sizeof(said)), 0);
	fputs(said, stdout);
	CHECK(!strstr(said, "failed:"));
}

/* Of what a user has for all pipes, one that needs none takes nothing */
TEST(none_before_it_is_needed)
{
	unsigned before = descriptors();

	pipes_init();
	CHECK_EQ(descriptors(), before);
	CHECK(pipes_ready());
	CHECK_EQ(descriptors(), before + 2);
}

TEST(a_pipe_takes_what_was_promised)
{
	ssize_t n = 0;

	pipes_init();
	CHECK(pipes_ready());
	CHECK(pipes_take(&p[0]));
	CHECK(fcntl(p[0].rd, F_GETFL) & O_NONBLOCK);
	CHECK(fcntl(p[0].wr, F_GETFL) & O_NONBLOCK);
	CHECK_EQ(write(p[0].wr, data, sizeof(data)), sizeof(data));
	while (n < PIPES_BYTES)
		n += read(p[0].rd, data, sizeof(data));
	CHECK_EQ(read(p[0].rd, data, 1), -1);
	pipes_give(&p[0]);
	/* the one given back last is the first to be lent again */
	CHECK(pipes_take(&p[1]));
	CHECK_EQ(p[1].rd, p[0].rd);
	CHECK_EQ(write(p[1].wr, "x", 1), 1);
	pipes_drop(&p[1]);
	CHECK_EQ(fcntl(p[1].rd, F_GETFL), -1);
}

TEST(as_many_as_there_are)
{
	unsigned n = 0;

	while (n <= PIPES_LENT && pipes_take(&p[n]))
		n++;
	CHECK(n > 16 && n <= PIPES_LENT);
	CHECK(!pipes_ready());
	pipes_give(&p[--n]);
	CHECK(pipes_ready());
	while (n)
		pipes_give(&p[--n]);
}

TEST(without_descriptors)
{
	struct rlimit was, low = { 3, 3 };
	unsigned n = 0;

	CHECK(!getrlimit(RLIMIT_NOFILE, &was));
	low.rlim_max = was.rlim_max;
	CHECK(!setrlimit(RLIMIT_NOFILE, &low));
	while (n < PIPES_LENT && pipes_take(&p[n]))
		n++;
	CHECK(n && n < PIPES_LENT);
	CHECK(!pipes_ready());
	CHECK(!setrlimit(RLIMIT_NOFILE, &was));
	CHECK(pipes_ready());
	while (n)
		pipes_give(&p[--n]);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
