// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * seccomp: the system calls that a running daemon may make
 *
 * One table a mode, put together from sets, from which a classic BPF program is
 * made (seccomp(2), Linux' Documentation/userspace-api/seccomp_filter): a binary
 * search by the call's number, then, where the table has them, checks of its
 * arguments. Anything else kills the process, and the kernel's audit log names
 * the call; with --debug our own log does, by a signal's handler, just before.
 *
 *	wrong architecture ------------------------------------> kill
 *	number: JGE middle --> upper half --> ... --> JEQ --> [arguments] allow
 *	             |                                   \-------------> kill
 *	             +-------> lower half --> ...
 *
 * Tables name calls; their numbers come from guard/syscalls.h, for either
 * architecture. Constants that arguments are compared with are the same on both.
 */
#include "guard/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "guard/sanitized.h"
#include "guard/syscalls.h"
#include "lib/log.h"

#if defined(__x86_64__)
#define SECCOMP_ARCH	AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SECCOMP_ARCH	AUDIT_ARCH_AARCH64
#else
#error "no system call table for this architecture"
#endif

#define SECCOMP_SETS		3
#define SECCOMP_CHECKS		3
#define SECCOMP_VALUES		5
#define SECCOMP_RULES		128
#define SECCOMP_CODE		1024

/**
 * struct seccomp_check - what an argument may be
 * @arg:	which argument, from 0
 * @mask:	bits looked at; 0: no check
 * @count:	how many values
 * @value:	what those bits may be
 */
struct seccomp_check {
	unsigned arg;
	uint32_t mask;
	unsigned count;
	uint32_t value[SECCOMP_VALUES];
};

#define CALL_NAME(name, x86_64, aarch64)	SC_##name,

/* Calls by name: SC_read and so on */
enum seccomp_call { SYSCALLS(CALL_NAME) SECCOMP_CALLS };

/**
 * struct seccomp_rule - a call that is allowed
 * @call:	which
 * @check:	checks of arguments; all must pass
 */
struct seccomp_rule {
	enum seccomp_call call;
	struct seccomp_check check[SECCOMP_CHECKS];
};

/**
 * struct seccomp_number - a call's numbers
 * @name:	its name
 * @x86_64:	its number there, or -1
 * @aarch64:	the same
 */
struct seccomp_number {
	const char *name;
	int x86_64;
	int aarch64;
};

#define CALL_NUMBER(name, x86_64, aarch64)				\
	[SC_##name] = { #name, x86_64, aarch64 },

static const struct seccomp_number seccomp_number[] = {
	SYSCALLS(CALL_NUMBER)
};

#define CALL(name)	{ .call = SC_##name }

/* No memory is ever executable that was not at start */
#define NO_EXEC		{ { .arg = 2, .mask = PROT_EXEC, .count = 1 } }

static const struct seccomp_rule seccomp_common[] = {
	CALL(read), CALL(readv), CALL(write), CALL(writev), CALL(close),
	CALL(pread64), CALL(pwrite64), CALL(lseek), CALL(ftruncate),
	CALL(recvfrom), CALL(recvmsg), CALL(recvmmsg),
	CALL(sendto), CALL(sendmsg), CALL(sendmmsg),
	CALL(connect), CALL(bind), CALL(listen), CALL(accept4), CALL(shutdown),
	CALL(setsockopt), CALL(getsockopt),
	CALL(getsockname), CALL(getpeername),
	CALL(epoll_ctl), CALL(epoll_pwait), CALL(epoll_wait),
	/* of what messages go to; the C library's poll() */
	CALL(poll), CALL(ppoll),
	CALL(timerfd_settime),
	/* time() and its like, without a vDSO */
	CALL(time), CALL(clock_gettime), CALL(gettimeofday), CALL(getrandom),
	CALL(dup3), CALL(exit), CALL(exit_group), CALL(rt_sigreturn),
	CALL(rt_sigprocmask), CALL(getpid), CALL(gettid),
	CALL(restart_syscall), CALL(futex), CALL(munmap), CALL(brk),
	/* to this process: seccomp_own_threads() */
	CALL(tgkill),
	{ SC_mmap, NO_EXEC },
	{ SC_mprotect, NO_EXEC },
	/* the socket and the PID file, not a directory */
	{ SC_unlinkat, { { .arg = 2, .mask = ~0u, .count = 1 } } },
	{ SC_socket, {
		{ .arg = 0, .mask = ~0u, .count = 2,
		  .value = { AF_INET, AF_INET6 } },
		{ .arg = 1, .mask = 0xf, .count = 2,
		  .value = { SOCK_STREAM, SOCK_DGRAM } },
		{ .arg = 2, .mask = ~0u, .count = 5,
		  .value = { 0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP,
			     IPPROTO_ICMPV6 } } } },
};

static const struct seccomp_rule seccomp_passt[] = {
	{ SC_ioctl, { { .arg = 1, .mask = ~0u, .count = 3,
			  .value = { SIOCOUTQ, SIOCINQ, SIOCATMARK } } } },
};

/*
 * The command is known by its pidfd, and no other process can be signalled or
 * waited for; at the end its terminal comes back to our process group. A path
 * is looked at again when something changed about it.
 */
static const struct seccomp_rule seccomp_pasta[] = {
	{ SC_ioctl, { { .arg = 1, .mask = ~0u, .count = 5,
			  .value = { SIOCOUTQ, SIOCINQ, SIOCATMARK,
				     TIOCGPGRP, TIOCSPGRP } } } },
	{ SC_waitid, { { .arg = 0, .mask = ~0u, .count = 1,
			   .value = { P_PIDFD } } } },
	CALL(pidfd_send_signal), CALL(newfstatat),
	/* local connections past the link, and their pipes */
	CALL(splice),
#if !GUARD_SANITIZED
	/* no signal: whether a process is there */
	{ SC_kill, { { .arg = 1, .mask = ~0u, .count = 1 } } },
	CALL(pipe2),
	{ SC_fcntl, { { .arg = 1, .mask = ~0u, .count = 2,
			  .value = { F_SETPIPE_SZ, F_GETPIPE_SZ } } } },
#endif
};

/* It opens sockets, binds them, and hands them over; sanitized, it needs more */
__attribute__((unused))
static const struct seccomp_rule seccomp_ns_helper[] = {
	CALL(recvmsg), CALL(sendmsg), CALL(bind), CALL(close),
	CALL(exit), CALL(exit_group), CALL(rt_sigreturn),
	/* where there is no memory for an answer */
	CALL(clock_nanosleep),
	{ SC_socket, {
		{ .arg = 0, .mask = ~0u, .count = 2,
		  .value = { AF_INET, AF_INET6 } },
		{ .arg = 1, .mask = 0xf, .count = 2,
		  .value = { SOCK_STREAM, SOCK_DGRAM } },
		{ .arg = 2, .mask = ~0u, .count = 2,
		  .value = { IPPROTO_TCP, IPPROTO_UDP } } } },
};

/*
 * Descriptors that a hypervisor hands over are looked at, and made not to block.
 * newfstatat() only of a descriptor, not of a path: the C library's fstat()
 */
__attribute__((unused))
static const struct seccomp_rule seccomp_vhost_user[] = {
	CALL(fstat),
	{ SC_newfstatat, { { .arg = 3, .mask = ~0u, .count = 1,
			       .value = { AT_EMPTY_PATH } } } },
	{ SC_ioctl, { { .arg = 1, .mask = ~0u, .count = 3,
			  .value = { SIOCOUTQ, SIOCINQ, SIOCATMARK } } } },
	{ SC_fcntl, { { .arg = 1, .mask = ~0u, .count = 2,
			  .value = { F_GETFL, F_SETFL } } } },
};

/* What the sanitizers' run time needs, to report and to look for leaks */
__attribute__((unused))
static const struct seccomp_rule seccomp_sanitizers[] = {
	CALL(clone), CALL(ptrace), CALL(wait4), CALL(openat), CALL(readlinkat),
	CALL(newfstatat), CALL(fstat), CALL(getdents64), CALL(madvise),
	CALL(mremap), CALL(sigaltstack), CALL(rt_sigaction), CALL(sched_yield),
	CALL(prctl), CALL(getrusage), CALL(getrlimit), CALL(prlimit64),
	CALL(process_vm_readv), CALL(getppid), CALL(kill), CALL(fcntl),
	CALL(sched_getaffinity), CALL(set_robust_list), CALL(getcwd),
	CALL(clock_nanosleep),
	CALL(pipe2), CALL(dup), CALL(uname),
	CALL(readlink), CALL(open), CALL(stat), CALL(access),
};

/**
 * struct seccomp_leaf - a rule for one architecture
 * @nr:		the call's number
 * @rule:	its rule
 */
struct seccomp_leaf {
	unsigned nr;
	const struct seccomp_rule *rule;
};

/**
 * struct seccomp_program - a BPF program being made
 * @code:	instructions
 * @len:	how many
 * @overflow:	too many
 * @deny:	what becomes of a call that is not allowed
 * @leaf:	rules, by number
 * @leaves:	how many
 */
struct seccomp_program {
	struct sock_filter code[SECCOMP_CODE];
	unsigned len;
	bool overflow;
	uint32_t deny;
	struct seccomp_leaf leaf[SECCOMP_RULES];
	unsigned leaves;
};

static struct seccomp_program seccomp_program;

static void emit(struct seccomp_program *p, uint16_t code, uint32_t k,
		 uint8_t jt, uint8_t jf)
{
	if (p->len == SECCOMP_CODE) {
		p->overflow = true;
		return;
	}
	p->code[p->len++] = (struct sock_filter){ code, jt, jf, k };
}

static void emit_load(struct seccomp_program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void emit_return(struct seccomp_program *p, uint32_t action)
{
	emit(p, BPF_RET | BPF_K, action, 0, 0);
}

/* Falls through where the argument passes, kills otherwise */
static void emit_check(struct seccomp_program *p, const struct seccomp_check *c)
{
	/* The arguments are 64 bits wide; the calls take int: the low half */
	emit_load(p, offsetof(struct seccomp_data, args) + c->arg * 8);
	emit(p, BPF_ALU | BPF_AND | BPF_K, c->mask, 0, 0);
	for (unsigned i = 0; i < c->count; i++)
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, c->value[i],
		     (uint8_t)(c->count - i), 0);
	emit_return(p, p->deny);
}

static void emit_leaf(struct seccomp_program *p, const struct seccomp_leaf *l)
{
	const struct seccomp_check *c = l->rule->check;

	emit(p, BPF_JMP | BPF_JEQ | BPF_K, l->nr, 1, 0);
	emit_return(p, p->deny);
	for (unsigned i = 0; i < SECCOMP_CHECKS && c[i].mask; i++)
		emit_check(p, &c[i]);
	emit_return(p, SECCOMP_RET_ALLOW);
}

/* Binary search over rules [lo, hi), the call's number is loaded */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as there are halvings */
static void emit_search(struct seccomp_program *p, unsigned lo, unsigned hi)
{
	unsigned middle = lo + (hi - lo) / 2, jump;

	if (hi - lo == 1) {
		emit_leaf(p, &p->leaf[lo]);
		return;
	}
	emit(p, BPF_JMP | BPF_JGE | BPF_K, p->leaf[middle].nr, 0, 1);
	jump = p->len;
	emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
	emit_search(p, lo, middle);
	if (!p->overflow)
		p->code[jump].k = p->len - jump - 1;
	emit_search(p, middle, hi);
}

static int seccomp_by_nr(const void *a, const void *b)
{
	const struct seccomp_leaf *x = a, *y = b;

	return (x->nr > y->nr) - (x->nr < y->nr);
}

static int seccomp_nr(enum seccomp_call call, uint32_t arch)
{
	return arch == AUDIT_ARCH_AARCH64 ? seccomp_number[call].aarch64 :
					    seccomp_number[call].x86_64;
}

#define SET(rules)	{ rules, sizeof(rules) / sizeof((rules)[0]) }

/**
 * struct seccomp_set - rules that belong together
 * @rule:	the rules
 * @count:	how many
 */
struct seccomp_set {
	const struct seccomp_rule *rule;
	size_t count;
};

/* What each table is put together from; no call comes twice */
static const struct seccomp_set seccomp_sets[SECCOMP_TABLES][SECCOMP_SETS] = {
#if GUARD_SANITIZED
	[SECCOMP_PASST] = { SET(seccomp_common), SET(seccomp_passt),
			    SET(seccomp_sanitizers) },
	[SECCOMP_VHOST_USER] = { SET(seccomp_common), SET(seccomp_passt),
				 SET(seccomp_sanitizers) },
	[SECCOMP_PASTA] = { SET(seccomp_common), SET(seccomp_pasta),
			    SET(seccomp_sanitizers) },
	[SECCOMP_NS_HELPER] = { SET(seccomp_common), SET(seccomp_sanitizers) },
#else
	[SECCOMP_PASST] = { SET(seccomp_common), SET(seccomp_passt) },
	[SECCOMP_VHOST_USER] = { SET(seccomp_common), SET(seccomp_vhost_user) },
	[SECCOMP_PASTA] = { SET(seccomp_common), SET(seccomp_pasta) },
	[SECCOMP_NS_HELPER] = { SET(seccomp_ns_helper) },
#endif
};

/* In the foreground we see the user's other processes: nothing to signal */
static const struct seccomp_rule *seccomp_own_threads(void)
{
	static struct seccomp_rule r = { SC_tgkill, {
		{ .arg = 0, .mask = ~0u, .count = 1 } } };

	r.check[0].value[0] = (uint32_t)getpid();
	return &r;
}

static void seccomp_add(struct seccomp_program *p, const struct seccomp_how *h,
			const struct seccomp_rule *r)
{
	int nr = seccomp_nr(r->call, h->arch);

	if (nr < 0 || (h->no_removal && r->call == SC_unlinkat))
		return;
	if (p->leaves == SECCOMP_RULES) {
		p->overflow = true;
		return;
	}
	if (r->call == SC_tgkill)
		r = seccomp_own_threads();
	p->leaf[p->leaves++] = (struct seccomp_leaf){ (unsigned)nr, r };
}

static void seccomp_rules(struct seccomp_program *p,
			  const struct seccomp_how *h)
{
	for (unsigned i = 0; i < SECCOMP_SETS; i++) {
		const struct seccomp_set *s = &seccomp_sets[h->table][i];

		for (size_t j = 0; j < s->count; j++)
			seccomp_add(p, h, &s->rule[j]);
	}
	qsort(p->leaf, p->leaves, sizeof(p->leaf[0]), seccomp_by_nr);
}

/**
 * seccomp_build() - Make the filter of a table
 * @how:	which one, and for what
 * @prog:	where to store it; points to static memory
 * Return: 0, or -E2BIG where it does not fit
 */
int seccomp_build(const struct seccomp_how *how, struct sock_fprog *prog)
{
	struct seccomp_program *p = &seccomp_program;
	struct seccomp_how h = *how;

	if (!h.arch)
		h.arch = SECCOMP_ARCH;
	p->len = p->leaves = 0;
	p->overflow = false;
	p->deny = h.tell ? SECCOMP_RET_TRAP : SECCOMP_RET_KILL_PROCESS;
	seccomp_rules(p, &h);
	emit_load(p, offsetof(struct seccomp_data, arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, h.arch, 1, 0);
	emit_return(p, SECCOMP_RET_KILL_PROCESS);
	/* x32 numbers have a high bit: past the table, so not in it */
	emit_load(p, offsetof(struct seccomp_data, nr));
	emit_search(p, 0, p->leaves);
	*prog = (struct sock_fprog){ .len = (unsigned short)p->len,
				     .filter = p->code };
	return p->overflow ? -E2BIG : 0;
}

static const char *seccomp_name(int nr)
{
	for (unsigned i = 0; i < SECCOMP_CALLS; i++) {
		if (seccomp_nr(i, SECCOMP_ARCH) == nr)
			return seccomp_number[i].name;
	}
	return "unknown";
}

/*
 * The call was not made. No return to who made it: the signal's action is the
 * default one again, and the process ends as it would have without us. In the
 * background we are the first process of a PID namespace, which its own signals
 * do not end (pid_namespaces(7)): the kernel's does, for a second such call.
 */
static void seccomp_on_denied(int signo, siginfo_t *info, void *context)
{
	(void)context;
	err("System call %i, %s(), is not allowed: ending", info->si_syscall,
	    seccomp_name(info->si_syscall));
	raise(signo);
	syscall(SYS_seccomp, ~0u, 0, NULL);
}

static int seccomp_tell(void)
{
	struct sigaction sa = {
		.sa_sigaction = seccomp_on_denied,
		.sa_flags = SA_SIGINFO | (int)SA_RESETHAND | SA_NODEFER };

	return sigaction(SIGSYS, &sa, NULL) ? -errno : 0;
}

/**
 * seccomp_apply() - From now on only the calls of a table are allowed
 * @how:	which one; @arch is ours
 *
 * PR_SET_NO_NEW_PRIVS must be set. Any other call kills the process, and is
 * named by its number in the kernel's audit log.
 *
 * Return: 0, or a negative error code, seccomp(2)
 */
int seccomp_apply(const struct seccomp_how *how)
{
	struct sock_fprog prog;
	int rc = seccomp_build(how, &prog);

	if (!rc && how->tell)
		rc = seccomp_tell();
	if (rc)
		return rc;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		    SECCOMP_FILTER_FLAG_LOG, &prog))
		return -errno;
	return 0;
}
