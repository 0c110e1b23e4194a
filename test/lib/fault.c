// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fault: makes chosen system calls of the daemon fail, as a test asks
 *
 * Preloaded into the daemon (LD_PRELOAD). The page that it shares with the test
 * (test/lib/rig/fault.py), the file $RIG_FAULT, is mapped once, before the
 * daemon gives anything up; afterwards a call costs no system call of ours, so
 * no filter minds. The test says which call is to fail, from which time on,
 * how often and how; here calls are counted.
 *
 *	     0  which	index of the call; ~0: none fails
 *	     4  from	the first call to fail, counted from 1 since the test
 *			set seen[] to zero
 *	     8  times	how many fail, one after the other
 *	    12  error	errno
 *	    16  forks	count and fail: 0: in the process itself, 1: in forked ones,
 *			too, 2: in forked ones only
 *	    20  hits	how many have failed
 *	    24  calls	how many names there are
 *	    28  inet	count and fail on sockets of the Internet only
 *	    32  shift	seconds that CLOCK_REALTIME is wrong by, signed
 *	   128  seen[]	calls so far, 4 bytes each
 *	  1024  names	of the calls, in the order of their index, a line each
 *
 * What the C library calls by itself is not seen. Only `passt` and `pasta` are
 * touched, not what starts them or what they run.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PAGE		8192
#define NAMES_AT	1024
#define SEEN_AT		128

struct fault_page {
	uint32_t which;
	uint32_t from;
	uint32_t times;
	uint32_t error;
	uint32_t forks;
	uint32_t hits;
	uint32_t calls;
	uint32_t inet;
	int32_t shift;
};

static struct fault_page *page;
static uint32_t *seen;
static bool forked;

static bool is_inet(long fd);

/* True, with errno set: this one fails; fd: the call's first argument */
static bool fails(unsigned call, long fd)
{
	uint32_t n;

	if (!page || (forked ? !page->forks : page->forks == 2) ||
	    (page->inet && !is_inet(fd)))
		return false;
	n = __atomic_add_fetch(&seen[call], 1, __ATOMIC_RELAXED);
	if (page->which != call || n < page->from ||
	    n - page->from >= page->times)
		return false;
	page->hits++;
	errno = (int)page->error;
	return true;
}

/*
 * F(type, name, failure value, parameters, arguments): one a call. `real' is
 * looked up by the constructor, or by the first call before that.
 */
#define PLAIN(F) \
	F(int, socket, -1, (int a, int b, int c), (a, b, c)) \
	F(int, connect, -1, (int a, const struct sockaddr *b, socklen_t c), \
	  (a, b, c)) \
	F(int, bind, -1, (int a, const struct sockaddr *b, socklen_t c), \
	  (a, b, c)) \
	F(int, listen, -1, (int a, int b), (a, b)) \
	F(int, accept4, -1, (int a, struct sockaddr *b, socklen_t *c, int d), \
	  (a, b, c, d)) \
	F(int, getsockopt, -1, (int a, int b, int c, void *d, socklen_t *e), \
	  (a, b, c, d, e)) \
	F(int, setsockopt, -1, \
	  (int a, int b, int c, const void *d, socklen_t e), \
	  (a, b, c, d, e)) \
	F(int, getsockname, -1, (int a, struct sockaddr *b, socklen_t *c), \
	  (a, b, c)) \
	F(int, getpeername, -1, (int a, struct sockaddr *b, socklen_t *c), \
	  (a, b, c)) \
	F(ssize_t, send, -1, (int a, const void *b, size_t c, int d), \
	  (a, b, c, d)) \
	F(ssize_t, sendmsg, -1, (int a, const struct msghdr *b, int c), \
	  (a, b, c)) \
	F(int, sendmmsg, -1, \
	  (int a, struct mmsghdr *b, unsigned c, int d), (a, b, c, d)) \
	F(ssize_t, recv, -1, (int a, void *b, size_t c, int d), (a, b, c, d)) \
	F(ssize_t, recvfrom, -1, \
	  (int a, void *b, size_t c, int d, struct sockaddr *e, \
	   socklen_t *f), (a, b, c, d, e, f)) \
	F(ssize_t, recvmsg, -1, (int a, struct msghdr *b, int c), (a, b, c)) \
	F(int, recvmmsg, -1, \
	  (int a, struct mmsghdr *b, unsigned c, int d, \
	   struct timespec *e), (a, b, c, d, e)) \
	F(ssize_t, read, -1, (int a, void *b, size_t c), (a, b, c)) \
	F(ssize_t, write, -1, (int a, const void *b, size_t c), (a, b, c)) \
	F(ssize_t, writev, -1, (int a, const struct iovec *b, int c), \
	  (a, b, c)) \
	F(ssize_t, pread, -1, (int a, void *b, size_t c, off_t d), \
	  (a, b, c, d)) \
	F(ssize_t, pwrite, -1, (int a, const void *b, size_t c, off_t d), \
	  (a, b, c, d)) \
	F(int, ftruncate, -1, (int a, off_t b), (a, b)) \
	F(off_t, lseek, -1, (int a, off_t b, int c), (a, b, c)) \
	F(ssize_t, splice, -1, \
	  (int a, off64_t *b, int c, off64_t *d, size_t e, unsigned f), \
	  (a, b, c, d, e, f)) \
	F(int, shutdown, -1, (int a, int b), (a, b)) \
	F(int, epoll_create1, -1, (int a), (a)) \
	F(int, epoll_ctl, -1, (int a, int b, int c, struct epoll_event *d), \
	  (a, b, c, d)) \
	F(int, epoll_wait, -1, (int a, struct epoll_event *b, int c, int d), \
	  (a, b, c, d)) \
	F(int, timerfd_create, -1, (int a, int b), (a, b)) \
	F(int, signalfd, -1, (int a, const sigset_t *b, int c), (a, b, c)) \
	F(int, pipe2, -1, (int *a, int b), (a, b)) \
	F(int, socketpair, -1, (int a, int b, int c, int *d), (a, b, c, d)) \
	F(int, dup3, -1, (int a, int b, int c), (a, b, c)) \
	F(int, unlinkat, -1, (int a, const char *b, int c), (a, b, c)) \
	F(int, unshare, -1, (int a), (a)) \
	F(int, setns, -1, (int a, int b), (a, b)) \
	F(int, mount, -1, \
	  (const char *a, const char *b, const char *c, unsigned long d, \
	   const void *e), (a, b, c, d, e)) \
	F(int, umount2, -1, (const char *a, int b), (a, b)) \
	F(int, chdir, -1, (const char *a), (a)) \
	F(int, inotify_init1, -1, (int a), (a)) \
	F(int, inotify_add_watch, -1, (int a, const char *b, uint32_t c), \
	  (a, b, c)) \
	F(ssize_t, getrandom, -1, (void *a, size_t b, unsigned c), (a, b, c)) \
	F(int, open, -1, (const char *a, int b, mode_t c), (a, b, c)) \
	F(int, ioctl, -1, (int a, unsigned long b, void *c), (a, b, c)) \
	F(int, fcntl, -1, (int a, int b, long c), (a, b, c)) \
	F(int, fstat, -1, (int a, struct stat *b), (a, b)) \
	F(int, fstatat, -1, (int a, const char *b, struct stat *c, int d), \
	  (a, b, c, d)) \
	F(int, waitid, -1, (int a, id_t b, siginfo_t *c, int d), \
	  (a, b, c, d)) \
	F(int, kill, -1, (pid_t a, int b), (a, b)) \
	F(void *, mmap, MAP_FAILED, \
	  (void *a, size_t b, int c, int d, int e, off_t f), \
	  (a, b, c, d, e, f)) \
	F(int, prctl, -1, \
	  (int a, unsigned long b, unsigned long c, unsigned long d, \
	   unsigned long e), (a, b, c, d, e))

/* Which do more than that */
#define SPECIAL(F) \
	F(long, syscall, -1, \
	  (long a, long b, long c, long d, long e, long f, long g), \
	  (a, b, c, d, e, f, g)) \
	F(int, clock_gettime, -1, (clockid_t a, struct timespec *b), (a, b)) \
	F(pid_t, fork, -1, (void), ())

#define CALLS(F)	PLAIN(F) SPECIAL(F)

enum {
#define F(type, name, fail, par, arg) CALL_##name,
	CALLS(F)
#undef F
	CALL_MAX
};

/* The library's own functions; prototypes, as some are no C of a header */
#define F(type, name, fail, par, arg) static type (*real_##name)par;
CALLS(F)
#undef F

static bool is_inet(long fd)
{
	socklen_t len = sizeof(int);
	int domain = 0, was = errno;

	real_getsockopt((int)fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	errno = was;
	return domain == AF_INET || domain == AF_INET6;
}

static void lookup(void)
{
#define F(type, name, fail, par, arg) \
	*(void **)&real_##name = dlsym(RTLD_NEXT, #name);
	CALLS(F)
#undef F
}

static bool is_daemon(void)
{
	char exe[256];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	const char *name;

	if (n <= 0)
		return false;
	exe[n] = '\0';
	name = strrchr(exe, '/');
	return name && (!strcmp(name, "/passt") || !strcmp(name, "/pasta"));
}

__attribute__((constructor))
static void fault_init(void)
{
	const char *path = getenv("RIG_FAULT");
	char *names;
	int fd;

	lookup();
	if (!path || !is_daemon())
		return;
	fd = real_open(path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		abort();
	names = real_mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (names == MAP_FAILED)
		abort();
	close(fd);
	page = (void *)names;
	seen = (void *)(names + SEEN_AT);
	page->calls = CALL_MAX;
	names += NAMES_AT;
#define F(type, name, fail, par, arg) names = stpcpy(names, #name "\n");
	CALLS(F)
#undef F
}

#define real_of(name) (real_##name ? real_##name : (lookup(), real_##name))

#define F(type, name, fail, par, arg) \
	type fault_##name par __asm__(#name); \
	__attribute__((visibility("default"))) \
	type fault_##name par \
	{ \
		if (fails(CALL_##name, (long)(uintptr_t)a)) \
			return fail; \
		return real_of(name)arg; \
	}
PLAIN(F)
#undef F

/* As a build with _FORTIFY_SOURCE calls them */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t room);
ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
	if (len > room)
		abort();
	return fault_read(fd, buf, len);
}

ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags)
{
	if (len > room)
		abort();
	return fault_recv(fd, buf, len, flags);
}

ssize_t __pread_chk(int fd, void *buf, size_t len, off_t at, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t len, off_t at, size_t room)
{
	if (len > room)
		abort();
	return fault_pread(fd, buf, len, at);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	int rc = real_of(clock_gettime)(clock, t);

	if (page && clock == CLOCK_REALTIME)
		t->tv_sec += page->shift;
	return rc;
}

time_t time(time_t *t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (t)
		*t = now.tv_sec;
	return now.tv_sec;
}

pid_t fork(void)
{
	pid_t pid = fails(CALL_fork, -1) ? -1 : real_of(fork)();

	forked |= !pid;
	return pid;
}

/* Prototyped here, as it has no more arguments than these */
long fault_syscall(long nr, long a, long b, long c, long d, long e, long f)
	__asm__("syscall");
long fault_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	long rc = fails(CALL_syscall, -1) ? -1 :
		  real_of(syscall)(nr, a, b, c, d, e, f);

	forked |= nr == SYS_clone && !rc;
	return rc;
}
