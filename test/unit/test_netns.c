// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_netns: namespaces of other processes are found, joined and watched;
 * what cannot be joined is said in one line
 */
#include "host/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/loop.h"
#include "test/unit/hostns.h"
#include "test/unit/procs.h"
#include "test/unit/unit.h"

static pid_t target;
static char said[512];
static unsigned gone;

static void on_gone(void)
{
	gone++;
}

/* Turns of the loop until it has gone, or a while has passed */
static unsigned gone_after(int ms)
{
	for (int i = 0; !gone && i < ms / 10; i++)
		loop_dispatch(loop_wait(10), clock_now());
	return gone;
}

static void open_target(void)
{
	struct netns ns;

	netns_open_pid(&ns, target, false);
}

static void open_missing(void)
{
	struct netns ns;

	netns_open_path(&ns, "/nonexistent/netns", "");
}

static void open_name(void)
{
	struct netns ns;

	netns_open_path(&ns, "nonexistent", "");
}

static void open_file(void)
{
	struct netns ns;

	netns_open_path(&ns, "/etc/passwd", "");
}

static void open_other_kind(void)
{
	struct netns ns;

	netns_open_path(&ns, "/proc/self/ns/user", "");
}

static void open_userns(void)
{
	struct netns ns;

	netns_open_path(&ns, "/proc/self/ns/net", "/proc/self/ns/net");
}

static void open_ours(void)
{
	struct netns ns;

	netns_open_path(&ns, "/proc/self/ns/net", "");
	netns_refuse_ours(&ns);
}

static bool refuses(void (*fn)(void), const char *text)
{
	int status = procs_run(fn, said, sizeof(said));

	if (status == 1 && strstr(said, text) &&
	    strchr(said, '\n') == said + strlen(said) - 1)
		return true;
	printf("status %i, said: %s\n", status, said);
	return false;
}

TEST(refuses)
{
	siginfo_t info;

	target = fork();
	if (!target)
		_exit(0);
	/* Nobody has waited for it yet, as by a shell for what it has started */
	CHECK(!waitid(P_PID, (id_t)target, &info, WEXITED | WNOWAIT));
	CHECK(refuses(open_target, ": No such process"));
	waitpid(target, NULL, 0);
	CHECK(refuses(open_target, ": No such process"));
	CHECK(refuses(open_missing,
		      "--netns /nonexistent/netns: No such file"));
	CHECK(refuses(open_name, "--netns nonexistent: No such file"));
	CHECK(refuses(open_file, "--netns /etc/passwd: not a network "));
	CHECK(refuses(open_other_kind, ": not a network namespace"));
	CHECK(refuses(open_userns,
		      "--userns /proc/self/ns/net: not a user namespace"));
	CHECK(refuses(open_ours, "--netns /proc/self/ns/net: in the same "));
}

static void join(void)
{
	struct netns ns;

	netns_open_pid(&ns, target, false);
	netns_enter(&ns);
	netns_close(&ns);
	printf("%i%i%u\n", procs_same_ns("user", target),
	       procs_same_ns("net", target), geteuid());
}

static void join_path(void)
{
	char net[64], user[64];
	struct netns ns;

	snprintf(net, sizeof(net), "/proc/%i/ns/net", target);
	snprintf(user, sizeof(user), "/proc/%i/ns/user", target);
	netns_open_path(&ns, net, user);
	netns_enter(&ns);
	printf("%i%i%i\n", procs_same_ns("user", target),
	       procs_same_ns("net", target), ns.pid >= 0);
}

/* As somebody without privileges, whoever runs the test */
static void join_forbidden(void)
{
	struct netns ns;

	netns_open_path(&ns, "/proc/self/ns/net", "");
	if (!hostns_enter())
		exit(2);
	netns_enter(&ns);
}

/* In a container: as root of the user namespace that both are in */
static void join_sibling(void)
{
	struct netns ns;

	if (!hostns_enter())
		exit(2);
	target = fork();
	if (!target) {
		if (unshare(CLONE_NEWNET))
			_exit(1);
		pause();
	}
	while (procs_same_ns("net", target))
		usleep(1000);
	netns_open_pid(&ns, target, false);
	netns_enter(&ns);
	printf("%i%i%i\n", ns.user, procs_same_ns("user", target),
	       procs_same_ns("net", target));
	procs_end(target);
}

TEST(joins)
{
	target = procs_namespaces();
	CHECK(target > 0);
	CHECK_EQ(procs_run(join, said, sizeof(said)), 0);
	CHECK(!strcmp(said, "110\n"));
	CHECK_EQ(procs_run(join_path, said, sizeof(said)), 0);
	CHECK(!strcmp(said, "111\n"));
	CHECK_EQ(procs_run(join_sibling, said, sizeof(said)), 0);
	CHECK(!strcmp(said, "-111\n"));
	CHECK(refuses(join_forbidden, "cannot join the network namespace"));
	procs_end(target);
}

TEST(process_ends)
{
	struct netns ns;

	gone = 0;
	target = procs_namespaces();
	netns_open_pid(&ns, target, false);
	CHECK(ns.user >= 0 && ns.net >= 0);
	netns_close(&ns);
	CHECK_EQ(loop_init(), 0);
	CHECK_EQ(netns_watch(&ns, on_gone), 0);
	CHECK_EQ(gone_after(50), 0);
	procs_end(target);
	CHECK_EQ(gone_after(2000), 1);
	close(ns.pid);
}

/* A name of our network namespace, in a file system of our own */
static void path_make(void)
{
	struct netns ns;
	int fd;

	gone = 0;
	if (!hostns_enter() || unshare(CLONE_NEWNS) ||
	    mount("none", "/tmp", "tmpfs", 0, NULL) ||
	    mkdir("/tmp/run", 0700) || symlink("/tmp/run", "/tmp/link"))
		exit(2);
	fd = open("/tmp/run/ns", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || close(fd) ||
	    mount("/proc/self/ns/net", "/tmp/run/ns", NULL, MS_BIND, NULL))
		exit(3);
	netns_open_path(&ns, "/tmp/link/ns", "");
	netns_note_path(&ns, "/tmp/link/ns");
	netns_close(&ns);
	if (loop_init() || timer_init(clock_now()) < 0 ||
	    netns_watch(&ns, on_gone))
		exit(4);
}

static void path_stays(void)
{
	path_make();
	/* whatever else happens beside it */
	if (mkdir("/tmp/run/other", 0700) ||
	    mount("none", "/tmp/run/other", "tmpfs", 0, NULL) ||
	    umount("/tmp/run/other") || rmdir("/tmp/run/other"))
		exit(5);
	exit(gone_after(100) ? 6 : 0);
}

static void path_unmounted(void)
{
	path_make();
	if (umount("/tmp/run/ns"))
		exit(5);
	exit(gone_after(2000) ? 0 : 6);
}

static void path_removed(void)
{
	path_make();
	if (umount2("/tmp/run/ns", MNT_DETACH) || unlink("/tmp/run/ns"))
		exit(5);
	exit(gone_after(2000) ? 0 : 6);
}

TEST(path_goes)
{
	CHECK_EQ(procs_run(path_stays, said, sizeof(said)), 0);
	CHECK_EQ(procs_run(path_unmounted, said, sizeof(said)), 0);
	CHECK_EQ(procs_run(path_removed, said, sizeof(said)), 0);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
