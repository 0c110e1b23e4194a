// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * isolation: namespaces, empty root, no capabilities, no new privileges
 *
 * In the order that main() calls them:
 *
 *	isolation_early()	nothing inherited but standard streams
 *	isolation_user()	from root to somebody else
 *	isolation_enter()	new user, mount, IPC, UTS (and PID) namespaces; an
 *				empty read-only root; no capabilities
 *	isolation_late()	limits, no new privileges, not dumpable, no files
 *				(guard/landlock.c); seccomp follows
 *
 * isolation_helper() takes the place of isolation_user() and isolation_enter()
 * in pasta's helper process; isolation_lend() lets root make a user namespace
 * that belongs to somebody else.
 *
 * What has to be opened was opened before isolation_enter(). The network
 * namespace stays the host's: that is the point of it all.
 *
 * Sources: namespaces(7), user_namespaces(7), pivot_root(2), capabilities(7).
 */
#include "guard/isolation.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guard/landlock.h"
#include "guard/sanitized.h"
#include "lib/log.h"

/* Where the new root can be mounted: any directory that surely exists */
static const char *const isolation_mount_points[] = { "/tmp", "/proc", "/" };

static void isolation_close_range(unsigned first, unsigned last)
{
	if (first > last || !syscall(SYS_close_range, first, last, 0))
		return;
	/* Before Linux 5.9 */
	for (unsigned fd = first; fd <= last && fd < 65536; fd++)
		close((int)fd);
}

static int isolation_by_number(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/**
 * isolation_early() - Close what was inherited, standard streams apart
 * @keep:	descriptors to keep besides, sorted in place; negative: none
 * @count:	how many
 */
void isolation_early(int *keep, unsigned count)
{
	unsigned next = STDERR_FILENO + 1;

	qsort(keep, count, sizeof(*keep), isolation_by_number);
	for (unsigned i = 0; i < count; i++) {
		if (keep[i] < (int)next)
			continue;
		if (keep[i] > (int)next)
			isolation_close_range(next, (unsigned)keep[i] - 1);
		next = (unsigned)keep[i] + 1;
	}
	isolation_close_range(next, ~0U);
}

/* Whether UID 0 here is the machine's: the map of the initial namespace */
static bool isolation_initial_user_ns(void)
{
	char map[128] = "";
	unsigned inside, outside, count;
	int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return true;
	n = read(fd, map, sizeof(map) - 1);
	close(fd);
	if (n <= 0)
		return true;
	return sscanf(map, "%u %u %u", &inside, &outside, &count) == 3 &&
	       !inside && !outside && count == ~0U;
}

/* Whether we are root, and not merely that of a container */
static bool isolation_machine_root(void)
{
	return !geteuid() && isolation_initial_user_ns();
}

/*
 * 0, or -1. Who is that user already and may not drop groups, as in a container
 * that gives root no capabilities, keeps them
 */
static int isolation_drop_groups(uid_t uid, gid_t gid)
{
	if (!setgroups(0, NULL))
		return 0;
	return errno == EPERM && uid == geteuid() && gid == getegid() ? 0 : -1;
}

/**
 * isolation_user() - Started as the machine's root: become somebody else
 * @uid:	user to become
 * @gid:	group to become
 *
 * UID 0 of another user namespace is kept: engines run us so.
 */
void isolation_user(uid_t uid, gid_t gid)
{
	if (!isolation_machine_root())
		return;
	if (isolation_drop_groups(uid, gid))
		die("--runas: cannot drop groups: %s", strerror(errno));
	if (setresgid(gid, gid, gid))
		die("--runas: cannot become group %u: %s", gid,
		    strerror(errno));
	if (setresuid(uid, uid, uid))
		die("--runas: cannot become user %u: %s", uid, strerror(errno));
	/* Changing the user cleared it; /proc/self must be ours once more */
	prctl(PR_SET_DUMPABLE, 1);
}

/*
 * Where our file has capabilities, /proc/self is root's, and nobody else may
 * write the maps of a user namespace. Not for the helper: who is root in the
 * guest's could trace it.
 */
static void isolation_own_proc(void)
{
	prctl(PR_SET_DUMPABLE, 1);
}

/**
 * isolation_lend() - The machine's root acts as somebody else for a while
 * @uid:	user to act as
 * @gid:	group to act as
 *
 * The namespaces that are made meanwhile belong to that user. Supplementary
 * groups are dropped for good.
 *
 * Return: true where anything was changed, and is to be undone
 */
bool isolation_lend(uid_t uid, gid_t gid)
{
	isolation_own_proc();
	if (!isolation_machine_root())
		return false;
	if (isolation_drop_groups(uid, gid) || setegid(gid) || seteuid(uid))
		die("--runas: cannot act as user %u, group %u: %s", uid, gid,
		    strerror(errno));
	prctl(PR_SET_DUMPABLE, 1);
	return true;
}

/**
 * isolation_return() - The end of isolation_lend(), where that changed anything
 */
void isolation_return(void)
{
	if (seteuid(0) || setegid(0))
		die("--runas: cannot act as root again: %s", strerror(errno));
	prctl(PR_SET_DUMPABLE, 1);
}

static int isolation_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* The same user and group inside as outside, and nobody else */
static int isolation_map(uid_t uid, gid_t gid)
{
	char text[64];
	int rc;

	snprintf(text, sizeof(text), "%u %u 1\n", uid, uid);
	rc = isolation_write("/proc/self/uid_map", text);
	if (rc)
		return rc;
	rc = isolation_write("/proc/self/setgroups", "deny");
	if (rc && rc != -ENOENT)
		return rc;
	snprintf(text, sizeof(text), "%u %u 1\n", gid, gid);
	return isolation_write("/proc/self/gid_map", text);
}

static int isolation_mount_root(void)
{
	size_t n = sizeof(isolation_mount_points) /
		   sizeof(isolation_mount_points[0]);

	for (size_t i = 0; i < n; i++) {
		if (mount("tmpfs", isolation_mount_points[i], "tmpfs",
			  MS_NODEV | MS_NOEXEC | MS_NOSUID,
			  "nr_inodes=2,nr_blocks=1,mode=0555"))
			continue;
		if (!chdir(isolation_mount_points[i]))
			return 0;
	}
	return -errno;
}

/* 0, or a negative error code: others would see what is mounted */
static int isolation_keep_mounts(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ? -errno : 0;
}

/* An empty root that cannot be written to; the old one is gone */
static void isolation_root(bool chroot_fallback)
{
	int rc = isolation_keep_mounts();

	if (rc)
		die("Cannot make mounts private: %s", strerror(-rc));
	rc = isolation_mount_root();
	if (rc)
		die("Cannot mount an empty root: %s", strerror(-rc));
	if (!syscall(SYS_pivot_root, ".", ".")) {
		if (umount2(".", MNT_DETACH))
			die("Cannot leave the old root: %s", strerror(errno));
	} else if (!chroot_fallback) {
		die("Cannot change to an empty root: %s (see "
		    "--chroot-fallback)", strerror(errno));
	} else if (chroot(".")) {
		die("--chroot-fallback: chroot() failed: %s", strerror(errno));
	}
	if (chdir("/") ||
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV |
		  MS_NOEXEC | MS_NOSUID, NULL))
		die("Cannot make the empty root read-only: %s",
		    strerror(errno));
}

/* What is kept has to be in the permitted set; it is effective from now on */
static int isolation_set_caps(uint64_t keep)
{
	struct __user_cap_header_struct h = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d))
		return -errno;
	for (unsigned i = 0; i < 2; i++) {
		d[i].permitted &= (uint32_t)(keep >> i * 32);
		d[i].effective = d[i].permitted;
		d[i].inheritable = 0;
	}
	return syscall(SYS_capset, &h, d) ? -errno : 0;
}

static void isolation_drop_caps(uint64_t keep)
{
	int rc;

	/* Past the last one, or without the right to: EINVAL, EPERM */
	for (int cap = 0; cap < 64; cap++) {
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			break;
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	rc = isolation_set_caps(keep);
	if (rc)
		die("Cannot drop capabilities: %s", strerror(-rc));
}

/*
 * 0, or a negative error code where the host does not let us. Some let anybody
 * make a user namespace, but without capabilities in it (AppArmor's
 * apparmor_restrict_unprivileged_userns): then what comes next is refused.
 */
static int isolation_namespaces(bool pid_namespace)
{
	int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
		    (pid_namespace ? CLONE_NEWPID : 0);
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int rc;

	isolation_own_proc();
	if (unshare(CLONE_NEWUSER))
		return -errno;
	rc = isolation_map(uid, gid);
	if (!rc && unshare(flags))
		rc = -errno;
	return rc;
}

/**
 * isolation_enter() - Leave the host's file system, users and processes behind
 * @how:	how far to go
 *
 * With a PID namespace, the next fork() makes its first process. Where the host
 * forbids user namespaces, this is said, and what can be had without is done.
 *
 * Return: whether the root is empty now
 */
bool isolation_enter(const struct isolation *how)
{
	int rc = isolation_namespaces(how->pid_namespace);

	if (rc) {
		warn("No user namespace (%s): going on without namespaces of "
		     "our own", strerror(-rc));
	} else {
		unshare(CLONE_NEWCGROUP);	/* nice to have */
		isolation_root(how->chroot_fallback);
	}
	isolation_drop_caps(0);
	return !rc;
}

/**
 * isolation_helper() - The same for the helper that joined the guest's
 * namespaces
 * @how:	how far to go; @pid_namespace is not looked at
 * @uid:	user to become where we are the machine's root
 * @gid:	group, the same
 *
 * Its user namespace stays, or CAP_NET_BIND_SERVICE, all that it keeps, would
 * be worth nothing there.
 */
void isolation_helper(const struct isolation *how, uid_t uid, gid_t gid)
{
	int rc;

	prctl(PR_SET_KEEPCAPS, 1);
	isolation_user(uid, gid);
	rc = isolation_set_caps(~0ULL);
	if (!rc && unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS))
		rc = -errno;
	/* Not in a chroot */
	if (!rc)
		rc = isolation_keep_mounts();
	if (rc) {
		warn("The helper has no mount namespace of its own: %s",
		     strerror(-rc));
	} else {
		unshare(CLONE_NEWCGROUP);	/* nice to have */
		isolation_root(how->chroot_fallback);
	}
	isolation_drop_caps(1ULL << CAP_NET_BIND_SERVICE);
}

/*
 * What a daemon never needs, nor who took it over should have: processes, dumps
 * of its memory, queues and locks that outlive it, a higher priority. Not the
 * size of memory, of which a virtual machine's may be mapped, nor of files: log
 * and capture grow.
 */
static void isolation_limits(void)
{
	static const int none[] = {
		RLIMIT_CORE, RLIMIT_MSGQUEUE, RLIMIT_LOCKS, RLIMIT_RTPRIO,
		RLIMIT_NICE, RLIMIT_MEMLOCK,
#if !GUARD_SANITIZED
		RLIMIT_NPROC,
#endif
	};
	const struct rlimit zero = { 0, 0 };

	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		setrlimit((__rlimit_resource_t)none[i], &zero);
}

/* The sanitizers' run time opens files of /proc */
static int isolation_files(const struct isolation_end *end)
{
	if (GUARD_SANITIZED)
		return 0;
	return landlock_apply(end->dirs, end->count, end->signals);
}

/**
 * isolation_late() - The last step before the system call filter
 * @end:	what is left
 *
 * Return: 0, or a negative error code: the kernel has no Landlock, and only the
 * empty root and the filter keep files out of reach
 */
int isolation_late(const struct isolation_end *end)
{
	isolation_limits();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("Cannot give up new privileges: %s", strerror(errno));
	prctl(PR_SET_DUMPABLE, 0);
	return isolation_files(end);
}
