// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_landlock: what is left of the file system, tried out by a child; and the
 * rules by version, without a kernel that has it
 */
#include "guard/landlock.c"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "test/unit/unit.h"

static char place[] = "/tmp/test_landlock.XXXXXX";
static int dir, other;

static void setup(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	if (!mkdtemp(place))
		abort();
	dir = open(place, O_PATH | O_DIRECTORY);
	if (mkdirat(dir, "other", 0755) || mkdirat(dir, "own", 0755))
		abort();
	other = openat(dir, "other", O_PATH | O_DIRECTORY);
	dir = openat(dir, "own", O_PATH | O_DIRECTORY);
}

static void cleanup(void)
{
	char cmd[100];

	snprintf(cmd, sizeof(cmd), "rm -r %s", place);
	CHECK_EQ(system(cmd), 0);
}

static void file(int at)
{
	int fd = openat(at, "file", O_CREAT | O_WRONLY, 0600);

	CHECK(fd >= 0 && !close(fd));
}

/* 0 where all is as it should be, else the number of what is not */
static int inside(int kept)
{
	int fds[2] = { -1, dir };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    landlock_apply(fds, 2, false))
		return 1;
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 2;
	if (openat(dir, "file", O_RDONLY) >= 0 || errno != EACCES)
		return 3;
	if (openat(dir, "new", O_CREAT | O_WRONLY, 0600) >= 0 ||
	    errno != EACCES)
		return 4;
	if (!mkdirat(dir, "new", 0700) || errno != EACCES)
		return 5;
	if (!unlinkat(other, "file", 0) || errno != EACCES)
		return 6;
	if (!unlinkat(dir, "../other/file", 0) || errno != EACCES)
		return 7;
	if (open("/", O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES)
		return 8;
	if (write(kept, "x", 1) != 1 || ftruncate(kept, 0))
		return 9;
	if (unlinkat(dir, "file", 0))
		return 10;
	execl("/bin/true", "true", (char *)NULL);
	return errno == EACCES ? 0 : 11;
}

TEST(nothing_but_removal)
{
	int status = 0, kept;
	pid_t pid;

	setup();
	if (landlock_version() < 0) {
		puts("no Landlock here: left out");
		return;
	}
	file(dir);
	file(other);
	kept = openat(dir, "file", O_WRONLY);
	pid = fork();
	if (!pid)
		_exit(inside(kept));
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
	CHECK(faccessat(dir, "file", F_OK, 0) && errno == ENOENT);
	CHECK(!faccessat(other, "file", F_OK, 0));
	close(kept);
}

/* 1: the parent could be signalled, 0: not, other: trouble */
static int signals(bool allowed)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		    landlock_apply(NULL, 0, allowed))
			_exit(2);
		_exit(!kill(getppid(), 0));
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

TEST(no_signals)
{
	if (landlock_version() < 6) {
		puts("no Landlock of version 6 here: left out");
		return;
	}
	CHECK_EQ(signals(false), 0);
	CHECK_EQ(signals(true), 1);
}

/* Version by version more is ruled over, and nothing of a later one */
TEST(versions)
{
	CHECK_EQ(landlock_rules(1, false).fs, 0x1fff);
	CHECK_EQ(landlock_rules(2, false).fs, 0x3fff);
	CHECK_EQ(landlock_rules(3, false).fs, 0x7fff);
	CHECK_EQ(landlock_rules(4, false).fs, 0x7fff);
	CHECK_EQ(landlock_rules(5, false).fs, 0xffff);
	CHECK_EQ(landlock_rules(5, false).scoped, 0);
	CHECK_EQ(landlock_rules(6, false).scoped, 3);
	CHECK_EQ(landlock_rules(99, true).scoped, 1);
	CHECK_EQ(landlock_rules(99, true).fs, 0xffff);
	for (int v = 1; v < 9; v++)
		CHECK_EQ(landlock_rules(v, false).net, 0);
}

/* A kernel without: the call is answered as there */
static int without(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			 UAPI_NR_LANDLOCK_CREATE_RULESET, 0, 1),
		BPF_STMT(BPF_RET | BPF_K,
			 SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { 4, code };
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p))
			_exit(255);
		_exit(-landlock_apply(NULL, 0, false));
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

TEST(old_kernels)
{
	CHECK_EQ(without(ENOSYS), ENOSYS);
	CHECK_EQ(without(EOPNOTSUPP), EOPNOTSUPP);
}

TEST(not_a_directory)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		if (landlock_version() < 0)
			_exit(EBADF);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		_exit(-landlock_apply((int[]){ 999 }, 1, false));
	}
	waitpid(pid, &status, 0);
	CHECK_EQ(WEXITSTATUS(status), EBADF);
}

int main(int argc, char **argv)
{
	int rc = unit_main(argc, argv);

	if (dir)
		cleanup();
	return rc;
}
