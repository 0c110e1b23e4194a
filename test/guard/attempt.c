// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attempt: the daemon as somebody has it who took it over: from inside the loop,
 * or from where the helper waits for requests, it tries one thing that must fail
 *
 * The product's objects, with five functions wrapped by the linker. What to try
 * is said by the environment:
 *
 *	GUARD_TRY	a name of the table below
 *	GUARD_WHERE	daemon (else: helper)
 *	GUARD_OFF	seccomp: without the filter, to see what holds then;
 *			landlock: as on a kernel that has none
 *
 * Where the filter does not end the process it does so itself, with the error's
 * number as its status, or 99 where the thing could be done. In the helper, whose
 * end only the daemon sees, the daemon says so on stderr.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard/landlock.h"
#include "guard/seccomp.h"
#include "lib/log.h"
#include "lib/loop.h"

#define DONE	99

int __real_seccomp_apply(const struct seccomp_how *how);
int __wrap_seccomp_apply(const struct seccomp_how *how);
int __real_landlock_apply(const int *dirs, unsigned count, bool signals);
int __wrap_landlock_apply(const int *dirs, unsigned count, bool signals);
int __real_loop_wait(int timeout);
int __wrap_loop_wait(int timeout);
ssize_t __real_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);
int __real_waitid(idtype_t type, id_t id, siginfo_t *info, int options);
int __wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options);

static bool locked, helper;
/*
 * Shared by both: the daemon is in its loop, and would outlive the helper; and the
 * helper is at it, which the daemon waits for, whose command may end any time
 */
static volatile bool *running, *tried;

/* Descriptor of a directory of the old root that was left open */
static int old_dir(void)
{
	struct stat st;

	for (int fd = 3; fd < 64; fd++) {
		if (!fstat(fd, &st) && S_ISDIR(st.st_mode))
			return fd;
	}
	return -1;
}

static long try_open(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static long try_open_root(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
}

static long try_create(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/tmp/new", O_CREAT | O_WRONLY,
		       0600);
}

static long try_create_beside(void)
{
	return syscall(SYS_openat, old_dir(), "new", O_CREAT | O_WRONLY, 0600);
}

static long try_open_above(void)
{
	return syscall(SYS_openat, old_dir(), "../../../etc/passwd", O_RDONLY);
}

static long try_remove_above(void)
{
	return syscall(SYS_unlinkat, old_dir(), "../guard-victim", 0);
}

static long try_remove_dir(void)
{
	return syscall(SYS_unlinkat, AT_FDCWD, "/x", AT_REMOVEDIR);
}

static long try_mkdir(void)
{
	return syscall(SYS_mkdirat, AT_FDCWD, "/new", 0700);
}

static long try_exec(void)
{
	char *const argv[] = { (char *)(uintptr_t)"sh", NULL };

	return syscall(SYS_execve, "/bin/sh", argv, NULL);
}

static long try_fexec(void)
{
	char *const argv[] = { (char *)(uintptr_t)"sh", NULL };

	return syscall(SYS_execveat, old_dir(), "../../../bin/sh", argv, NULL, 0);
}

/* A child must not come back here */
static long forked(long pid)
{
	if (!pid)
		syscall(SYS_exit_group, 0);
	return pid;
}

static long try_fork(void)
{
	return forked(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static long try_clone3(void)
{
	uint64_t args[8] = { [4] = SIGCHLD };

	return forked(syscall(SYS_clone3, args, sizeof(args)));
}

static long try_thread(void)
{
	return forked(syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0,
			      0, 0));
}

static long try_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static long try_read_process(void)
{
	char buf[8];
	struct iovec here = { buf, 8 }, there = { buf, 8 };

	return syscall(SYS_process_vm_readv, getppid(), &here, 1, &there, 1, 0);
}

static long try_kill(void)
{
	return kill(getppid(), SIGTERM);
}

static long try_tgkill(void)
{
	return syscall(SYS_tgkill, getppid(), getppid(), SIGTERM);
}

static long try_raw(void)
{
	return socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
}

static long try_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static long try_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
}

static long try_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

/* Of what the test listens on, in the network namespace that we are left in */
static long try_abstract(void)
{
	const struct sockaddr_un sun = { AF_UNIX, "\0guard-victim" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return connect(fd, (const struct sockaddr *)&sun,
		       sizeof(sun.sun_family) + 13);
}

static long try_exec_memory(void)
{
	return (long)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long try_make_executable(void)
{
	static char page[8192];

	return mprotect((void *)(((uintptr_t)page + 4095) & ~4095UL), 4096,
			PROT_READ | PROT_EXEC);
}

static long try_memfd(void)
{
	return memfd_create("x", 0);
}

static long try_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

static long try_setns(void)
{
	return setns(old_dir(), 0);
}

static long try_mount(void)
{
	return mount("tmpfs", "/", "tmpfs", 0, NULL);
}

static long try_remount(void)
{
	return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL);
}

static long try_chroot(void)
{
	return syscall(SYS_chroot, "/");
}

static long try_setuid(void)
{
	return syscall(SYS_setresuid, getuid() + 1, getuid() + 1, getuid() + 1);
}

static long try_capability(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = {
		{ .effective = 1U << CAP_NET_ADMIN,
		  .permitted = 1U << CAP_NET_ADMIN } };

	return syscall(SYS_capset, &h, d);
}

static long try_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1);
}

static long try_filter(void)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL);
}

static long try_bpf(void)
{
	union bpf_attr a = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
			     .value_size = 4, .max_entries = 1 };

	return syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof(a));
}

static long try_io_uring(void)
{
	char params[120] = "";

	return syscall(SYS_io_uring_setup, 1, params);
}

static long try_key(void)
{
	return syscall(SYS_add_key, "user", "x", "x", 1, -3);
}

static long try_perf(void)
{
	return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
}

static long try_userfault(void)
{
	return syscall(SYS_userfaultfd, 0);
}

static long try_terminal(void)
{
	return ioctl(STDIN_FILENO, TIOCSTI, "x");
}

static long try_interface(void)
{
	struct ifreq r = { .ifr_name = "lo" };

	return ioctl(STDIN_FILENO, SIOCSIFFLAGS, &r);
}

static long try_dup(void)
{
	return fcntl(STDIN_FILENO, F_DUPFD, 100);
}

static long try_pidfd(void)
{
	return syscall(SYS_pidfd_open, getppid(), 0);
}

static long try_hostname(void)
{
	return sethostname("x", 1);
}

static long try_limit(void)
{
	return syscall(SYS_prlimit64, 0, 6, NULL, NULL);
}

static long try_reboot(void)
{
	return syscall(SYS_reboot, 0, 0, 0, NULL);
}

static long try_module(void)
{
	return syscall(SYS_init_module, NULL, 0, "");
}

/* The machine's other ways in */
static long try_x32(void)
{
	return syscall(0x40000000 | SYS_getpid);
}

static long try_i386(void)
{
#ifdef __x86_64__
	long rc;

	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(20L) : "memory");
	return rc;
#else
	raise(SIGSYS);
	return 0;
#endif
}

static const struct {
	const char *name;
	long (*fn)(void);
} attempts[] = {
	{ "open", try_open }, { "open_root", try_open_root },
	{ "create", try_create }, { "create_beside", try_create_beside },
	{ "open_above", try_open_above }, { "remove_above", try_remove_above },
	{ "remove_dir", try_remove_dir }, { "mkdir", try_mkdir },
	{ "exec", try_exec }, { "fexec", try_fexec }, { "fork", try_fork },
	{ "clone3", try_clone3 }, { "thread", try_thread },
	{ "ptrace", try_ptrace }, { "read_process", try_read_process },
	{ "kill", try_kill }, { "tgkill", try_tgkill }, { "raw", try_raw },
	{ "packet", try_packet }, { "netlink", try_netlink },
	{ "unix", try_unix }, { "abstract", try_abstract },
	{ "exec_memory", try_exec_memory },
	{ "make_executable", try_make_executable }, { "memfd", try_memfd },
	{ "namespace", try_namespace }, { "setns", try_setns },
	{ "mount", try_mount }, { "remount", try_remount },
	{ "chroot", try_chroot }, { "setuid", try_setuid },
	{ "capability", try_capability }, { "dumpable", try_dumpable },
	{ "filter", try_filter }, { "bpf", try_bpf },
	{ "io_uring", try_io_uring }, { "key", try_key }, { "perf", try_perf },
	{ "userfault", try_userfault }, { "terminal", try_terminal },
	{ "interface", try_interface }, { "dup", try_dup },
	{ "pidfd", try_pidfd }, { "hostname", try_hostname },
	{ "limit", try_limit }, { "reboot", try_reboot },
	{ "module", try_module }, { "x32", try_x32 }, { "i386", try_i386 },
};

#define ATTEMPTS	(sizeof(attempts) / sizeof(attempts[0]))

static bool is(const char *variable, const char *word)
{
	const char *s = getenv(variable);

	return s && !strcmp(s, word);
}

static void attempt(void)
{
	*tried = true;
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		if (is("GUARD_TRY", attempts[i].name))
			_exit(attempts[i].fn() < 0 && errno ? errno : DONE);
	}
}

__attribute__((constructor)) static void begin(void)
{
	running = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	tried = running + 1;
	if (!is("GUARD_TRY", "list"))
		return;
	for (unsigned i = 0; i < ATTEMPTS; i++)
		puts(attempts[i].name);
	exit(0);
}

int __wrap_seccomp_apply(const struct seccomp_how *how)
{
	locked = true;
	helper = how->table == SECCOMP_NS_HELPER;
	if (is("GUARD_OFF", "seccomp") && is("GUARD_WHERE", "daemon") != helper)
		return 0;
	return __real_seccomp_apply(how);
}

int __wrap_landlock_apply(const int *dirs, unsigned count, bool signals)
{
	return is("GUARD_OFF", "landlock") ? -ENOSYS :
	       __real_landlock_apply(dirs, count, signals);
}

int __wrap_loop_wait(int timeout)
{
	if (locked && is("GUARD_WHERE", "daemon"))
		attempt();
	*running = *running || locked;
	while (locked && is("GUARD_WHERE", "helper") && !*tried)
		;
	return __real_loop_wait(timeout);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t n;

	if (!locked || !helper || is("GUARD_WHERE", "daemon"))
		return __real_recvmsg(fd, m, flags);
	do {
		n = __real_recvmsg(fd, m, flags | MSG_DONTWAIT);
	} while (n < 0 && errno == EAGAIN && !*running);
	if (n < 0 && errno == EAGAIN)
		attempt();
	return n;
}

/* First of the helper in the end, then of the command */
int __wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	int rc = __real_waitid(type, id, info, options);

	if (!rc && options == WEXITED && !is("GUARD_WHERE", "daemon"))
		err("ended: %s %i", info->si_code == CLD_EXITED ? "status" :
		    "signal", info->si_status);
	return rc;
}
