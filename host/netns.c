// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netns: the guest's network namespace: found, joined, watched
 *
 * State: what tells that the namespace goes, opened before the root is empty:
 *
 *	known by a process	its pidfd, readable at its end
 *	known by a path		inotify on the directory: the file is removed;
 *				/proc/self/mountinfo, which polls with an error
 *				when mounts change (proc(5)): the bind mount
 *				goes. Then the file is looked at once more.
 *	neither (no inotify)	the file is looked at, once a second
 *
 * Whoever cannot start because of a namespace ends here, with one line.
 *
 * Sources: namespaces(7), setns(2), ioctl_ns(2), pidfd_open(2), inotify(7).
 */
#include "host/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "lib/timer.h"

/* Where names of network namespaces lead, ip-netns(8) */
#define NETNS_RUN	"/run/netns"
#define NETNS_POLL	(1 * USEC_PER_SEC)

/**
 * struct netns_place - where a namespace is to be found
 * @dir:	its directory, or -1
 * @inotify:	events of that directory, or -1
 * @mounts:	our mount table as it was at start, or -1
 * @dev:	the namespace's device
 * @ino:	and inode
 * @name:	name in the directory
 */
struct netns_place {
	int dir;
	int inotify;
	int mounts;
	dev_t dev;
	ino_t ino;
	char name[PATH_MAX];
};

static struct netns_place netns_place = { .dir = -1, .inotify = -1,
					  .mounts = -1 };
static struct watch netns_pid_watch, netns_dir_watch, netns_mount_watch;
static struct timer netns_timer;
static void (*netns_gone)(void);

static int netns_open(const char *name, const char *path, int type)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		die("%s: %s", name, strerror(errno));
	if (ioctl(fd, NS_GET_NSTYPE) != type)
		die("%s: not a %s namespace", name,
		    type == CLONE_NEWNET ? "network" : "user");
	return fd;
}

static bool netns_is_ours(int fd, const char *ours)
{
	struct stat a, b;

	return !fstat(fd, &a) && !stat(ours, &b) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* A user namespace that we are in already cannot be joined, nor need be */
static int netns_unless_ours(int fd)
{
	if (!netns_is_ours(fd, "/proc/self/ns/user"))
		return fd;
	close(fd);
	return -1;
}

static int netns_open_of(const struct netns *ns, pid_t pid, const char *which,
			 int type)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%i/ns/%s", pid, which);
	return netns_open(ns->name, path, type);
}

/* Also where nobody has waited for it yet: its namespaces have gone by then */
static void netns_refuse_ended(const struct netns *ns)
{
	struct pollfd end = { .fd = ns->pid, .events = POLLIN };

	if (poll(&end, 1, 0) > 0)
		die("%s: %s", ns->name, strerror(ESRCH));
}

/**
 * netns_open_pid() - Find the namespaces of a process
 * @ns:		filled in
 * @pid:	the process
 * @netns_only:	its user namespace is not joined
 *
 * Ends the process where there are none, or they may not be looked at.
 */
void netns_open_pid(struct netns *ns, pid_t pid, bool netns_only)
{
	*ns = (struct netns){ .net = -1, .user = -1 };
	snprintf(ns->name, sizeof(ns->name), "PID %i", pid);
	ns->pid = (int)syscall(SYS_pidfd_open, pid, 0);
	if (ns->pid < 0)
		die("%s: %s", ns->name, strerror(errno));
	netns_refuse_ended(ns);
	ns->net = netns_open_of(ns, pid, "net", CLONE_NEWNET);
	if (!netns_only)
		ns->user = netns_unless_ours(netns_open_of(ns, pid, "user",
							   CLONE_NEWUSER));
	/* The number may have been another process's by then */
	netns_refuse_ended(ns);
}

/* Both stay inside the room; a name is one under /run/netns */
static void netns_path(char *path, size_t size, const char *netns)
{
	const char *dir = strchr(netns, '/') ? "" : NETNS_RUN "/";

	if ((size_t)snprintf(path, size, "%s%s", dir, netns) >= size)
		die("--netns %s: %s", netns, strerror(ENAMETOOLONG));
}

/* The process that a path in /proc, or a link to it, belongs to, as a pidfd */
static int netns_pid_of(const char *path)
{
	char to[PATH_MAX];
	ssize_t n = readlink(path, to, sizeof(to) - 1);
	int pid;

	to[n < 0 ? 0 : n] = '\0';
	if (sscanf(path, "/proc/%d/", &pid) != 1 &&
	    sscanf(to, "/proc/%d/", &pid) != 1)
		return -1;
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/**
 * netns_open_user() - Open a user namespace that is to be joined
 * @userns:	its path
 *
 * Ends the process where it is none, or may not be opened.
 *
 * Return: descriptor, or -1: we are in it
 */
int netns_open_user(const char *userns)
{
	char name[NETNS_NAME];

	snprintf(name, sizeof(name), "--userns %s", userns);
	return netns_unless_ours(netns_open(name, userns, CLONE_NEWUSER));
}

/**
 * netns_open_path() - Find a network namespace by its path or name
 * @ns:		filled in
 * @netns:	path, or name under /run/netns
 * @userns:	path of the user namespace to join before, or ""
 *
 * Ends the process where it is none, or may not be opened.
 */
void netns_open_path(struct netns *ns, const char *netns, const char *userns)
{
	char path[PATH_MAX];

	*ns = (struct netns){ .net = -1, .user = -1, .pid = -1 };
	netns_path(path, sizeof(path), netns);
	snprintf(ns->name, sizeof(ns->name), "--netns %s", netns);
	ns->net = netns_open(ns->name, path, CLONE_NEWNET);
	ns->pid = netns_pid_of(path);
	if (*userns)
		ns->user = netns_open_user(userns);
}

/**
 * netns_refuse_ours() - End the process where the namespace is the one we are in
 * @ns:		which one
 *
 * A process that is to have one of its own may not have got it yet (unshare -n
 * COMMAND & pasta $!). Who may set interfaces up here would be given the host's
 * addresses and default route twice.
 */
void netns_refuse_ours(const struct netns *ns)
{
	if (netns_is_ours(ns->net, "/proc/self/ns/net"))
		die("%s: in the same network namespace as we are", ns->name);
}

/**
 * netns_enter_user() - Join a user namespace, for good, as its root if it has one
 * @user:	descriptor of it, negative: none
 * @name:	what messages call it
 *
 * Ends the process where that is not permitted.
 */
void netns_enter_user(int user, const char *name)
{
	if (user < 0)
		return;
	if (setns(user, CLONE_NEWUSER))
		die("%s: cannot join the user namespace: %s", name,
		    strerror(errno));
	/* The machine's root is nobody there; others may be already */
	if (setresgid(0, 0, 0) || setresuid(0, 0, 0))
		debug("%s: no root in it: %s", name, strerror(errno));
}

/**
 * netns_enter() - Join the namespace, for good
 * @ns:		which one
 *
 * In the helper. Ends the process where that is not permitted.
 */
void netns_enter(const struct netns *ns)
{
	netns_enter_user(ns->user, ns->name);
	if (setns(ns->net, CLONE_NEWNET))
		die("%s: cannot join the network namespace: %s", ns->name,
		    strerror(errno));
}

/**
 * netns_close() - Let go of the namespaces: we keep neither them nor a mount
 * @ns:		which; it can still be watched
 */
void netns_close(struct netns *ns)
{
	if (ns->net >= 0)
		close(ns->net);
	if (ns->user >= 0)
		close(ns->user);
	ns->net = ns->user = -1;
}

/* ---- until it goes ---- */

/* The directory, after symbolic links: that is where a file is removed */
static void netns_split(struct netns_place *p, const char *path)
{
	char real[PATH_MAX];
	char *slash;

	if (!realpath(path, real))
		snprintf(real, sizeof(real), "%s", path);
	slash = strrchr(real, '/');
	snprintf(p->name, sizeof(p->name), "%s", slash ? slash + 1 : real);
	if (slash)
		slash[slash == real] = '\0';
	p->dir = open(slash ? real : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/*
 * /proc/self, or a link to it: goes when we do, and no events tell of it. Nor
 * could it be looked at from the empty root.
 */
static bool netns_is_in_proc(const struct netns_place *p)
{
	struct statfs fs;
	struct stat st;

	return (!fstatfs(p->dir, &fs) && fs.f_type == PROC_SUPER_MAGIC) ||
	       (!fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW) &&
		S_ISLNK(st.st_mode));
}

static void netns_notify(struct netns_place *p)
{
	char path[64];

	p->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%i", p->dir);
	if (p->inotify < 0 ||
	    inotify_add_watch(p->inotify, path, IN_DELETE | IN_MOVED_FROM |
			      IN_DELETE_SELF | IN_MOVE_SELF) >= 0)
		return;
	close(p->inotify);
	p->inotify = -1;
}

/**
 * netns_note_path() - Open what tells of the end of a namespace with a path
 * @ns:		from netns_open_path()
 * @netns:	the same path or name
 *
 * While we see the file system, before netns_watch().
 */
void netns_note_path(const struct netns *ns, const char *netns)
{
	struct netns_place *p = &netns_place;
	char path[PATH_MAX];
	struct stat st;

	if (ns->pid >= 0 || fstat(ns->net, &st))
		return;
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	netns_path(path, sizeof(path), netns);
	netns_split(p, path);
	if (p->dir >= 0 && netns_is_in_proc(p)) {
		close(p->dir);
		p->dir = -1;
	}
	if (p->dir < 0)
		return;
	netns_notify(p);
	p->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
}

static bool netns_is_there(const struct netns_place *p)
{
	struct stat st;

	if (fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW))
		return errno != ENOENT && errno != ENOTDIR && errno != ESTALE;
	return st.st_dev == p->dev && st.st_ino == p->ino;
}

static void netns_look(void)
{
	if (!netns_is_there(&netns_place))
		netns_gone();
}

static void netns_on_pid(struct watch *w, uint32_t events, usec_t now)
{
	(void)events;
	(void)now;
	loop_del(w);
	netns_gone();
}

static void netns_on_dir(struct watch *w, uint32_t events, usec_t now)
{
	char buf[sizeof(struct inotify_event) + NAME_MAX + 1];

	(void)events;
	(void)now;
	while (read(w->fd, buf, sizeof(buf)) > 0)
		;
	netns_look();
}

static void netns_on_mounts(struct watch *w, uint32_t events, usec_t now)
{
	(void)w;
	(void)events;
	(void)now;
	netns_look();
}

static void netns_on_timer(struct timer *t, usec_t now)
{
	timer_arm(t, now + NETNS_POLL);
	netns_look();
}

static int netns_watch_fd(struct watch *w, int fd, watch_fn fn, uint32_t events)
{
	w->fd = fd;
	w->fn = fn;
	return fd < 0 ? 0 : loop_add(w, events);
}

/**
 * netns_watch() - Tell when the namespace goes
 * @ns:		which one
 * @gone:	called in the loop, perhaps more than once
 * Return: 0, or a negative error code of epoll_ctl(2)
 */
int netns_watch(const struct netns *ns, void (*gone)(void))
{
	struct netns_place *p = &netns_place;
	int rc;

	netns_gone = gone;
	if (ns->pid >= 0)
		return netns_watch_fd(&netns_pid_watch, ns->pid, netns_on_pid,
				      EPOLLIN);
	if (p->dir < 0)
		return 0;
	/* The mount table polls with EPOLLERR | EPOLLPRI, for each change once */
	rc = netns_watch_fd(&netns_dir_watch, p->inotify, netns_on_dir,
			    EPOLLIN);
	if (!rc)
		rc = netns_watch_fd(&netns_mount_watch, p->mounts,
				    netns_on_mounts, EPOLLPRI | EPOLLET);
	if (!rc && (p->inotify < 0 || p->mounts < 0)) {
		netns_timer.fn = netns_on_timer;
		timer_arm(&netns_timer, clock_now() + NETNS_POLL);
	}
	return rc;
}

/**
 * netns_fds() - What must stay open
 * @ns:		the namespace
 * @fds:	filled in, room for NETNS_FDS; negative ones are none
 * Return: how many
 */
unsigned netns_fds(const struct netns *ns, int *fds)
{
	const int all[NETNS_FDS] = { ns->net, ns->user, ns->pid,
				     netns_place.dir, netns_place.inotify,
				     netns_place.mounts };

	memcpy(fds, all, sizeof(all));
	return NETNS_FDS;
}
