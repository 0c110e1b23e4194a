// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * seccomp: the system calls that a running daemon may make
 *
 * One table a mode, put together from sets, from which a classic BPF program is made (seccomp(2),
 * Linux' Documentation/userspace-api/seccomp_filter): a binary search by the
 * call's number, then, where the table has them, checks of its arguments.
 * Anything else kills the process.
 *
 *	wrong architecture ------------------------------------> kill
 *	number: JGE middle --> upper half --> ... --> JEQ --> [arguments] allow
 *	             |                                   \-------------> kill
 *	             +-------> lower half --> ...
 */
#include "guard/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
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

#if defined(__x86_64__)
#define SECCOMP_ARCH	AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SECCOMP_ARCH	AUDIT_ARCH_AARCH64
#else
#error "no system call table for this architecture"
#endif

/* A test builds the table of the product even where it is sanitized itself */
#ifndef SECCOMP_SANITIZED
#if defined(__SANITIZE_ADDRESS__)
#define SECCOMP_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SECCOMP_SANITIZED 1
#endif
#endif
#endif
#ifndef SECCOMP_SANITIZED
#define SECCOMP_SANITIZED 0
#endif

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

/**
 * struct seccomp_rule - a call that is allowed
 * @nr:		its number
 * @check:	checks of arguments; all must pass
 */
struct seccomp_rule {
	unsigned nr;
	struct seccomp_check check[SECCOMP_CHECKS];
};

#define CALL(name)	{ .nr = __NR_##name }

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
	CALL(epoll_ctl), CALL(epoll_pwait), CALL(timerfd_settime),
#ifdef __NR_epoll_wait
	CALL(epoll_wait),
#endif
#ifdef __NR_time	/* time(), without a vDSO */
	CALL(time),
#endif
	CALL(clock_gettime), CALL(gettimeofday), CALL(getrandom),
	CALL(unlinkat), CALL(dup3), CALL(exit), CALL(exit_group), CALL(rt_sigreturn),
	CALL(rt_sigprocmask), CALL(getpid), CALL(gettid),
	CALL(restart_syscall), CALL(futex), CALL(munmap), CALL(brk),
	/* seccomp_own_threads() says which process: this one */
	{ __NR_tgkill, { { .arg = 0, .mask = ~0u, .count = 1 } } },
	{ __NR_mmap, NO_EXEC },
	{ __NR_mprotect, NO_EXEC },
	{ __NR_socket, {
		{ .arg = 0, .mask = ~0u, .count = 2,
		  .value = { AF_INET, AF_INET6 } },
		{ .arg = 1, .mask = 0xf, .count = 2,
		  .value = { SOCK_STREAM, SOCK_DGRAM } },
		{ .arg = 2, .mask = ~0u, .count = 5,
		  .value = { 0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP,
			     IPPROTO_ICMPV6 } } } },
};

static const struct seccomp_rule seccomp_passt[] = {
	{ __NR_ioctl, { { .arg = 1, .mask = ~0u, .count = 3,
			  .value = { SIOCOUTQ, SIOCINQ, SIOCATMARK } } } },
};

/*
 * The command is known by its pidfd, and no other process can be signalled or
 * waited for; at the end its terminal comes back to our process group. A path
 * is looked at again when something changed about it.
 */
static const struct seccomp_rule seccomp_pasta[] = {
	{ __NR_ioctl, { { .arg = 1, .mask = ~0u, .count = 5,
			  .value = { SIOCOUTQ, SIOCINQ, SIOCATMARK,
				     TIOCGPGRP, TIOCSPGRP } } } },
	{ __NR_waitid, { { .arg = 0, .mask = ~0u, .count = 1,
			   .value = { P_PIDFD } } } },
	CALL(pidfd_send_signal), CALL(newfstatat),
	/* local connections past the link, and their pipes */
	CALL(splice),
#if !SECCOMP_SANITIZED
	/* no signal: whether a process is there */
	{ __NR_kill, { { .arg = 1, .mask = ~0u, .count = 1 } } },
	CALL(pipe2),
	{ __NR_fcntl, { { .arg = 1, .mask = ~0u, .count = 2,
			  .value = { F_SETPIPE_SZ, F_GETPIPE_SZ } } } },
#endif
};

/* It opens sockets, binds them, and hands them over; sanitized, it needs more */
__attribute__((unused))
static const struct seccomp_rule seccomp_ns_helper[] = {
	CALL(recvmsg), CALL(sendmsg), CALL(bind), CALL(close),
	CALL(exit), CALL(exit_group), CALL(rt_sigreturn),
	{ __NR_socket, {
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
	{ __NR_newfstatat, { { .arg = 3, .mask = ~0u, .count = 1,
			       .value = { AT_EMPTY_PATH } } } },
	{ __NR_ioctl, { { .arg = 1, .mask = ~0u, .count = 3,
			  .value = { SIOCOUTQ, SIOCINQ, SIOCATMARK } } } },
	{ __NR_fcntl, { { .arg = 1, .mask = ~0u, .count = 2,
			  .value = { F_GETFL, F_SETFL } } } },
};

/* What the sanitizers' run time needs, to report and to look for leaks */
static const struct seccomp_rule seccomp_sanitizers[] = {
	CALL(clone), CALL(ptrace), CALL(wait4), CALL(openat), CALL(readlinkat),
	CALL(newfstatat), CALL(fstat), CALL(getdents64), CALL(madvise),
	CALL(mremap), CALL(sigaltstack), CALL(rt_sigaction), CALL(sched_yield),
	CALL(prctl), CALL(getrusage), CALL(getrlimit), CALL(prlimit64),
	CALL(process_vm_readv), CALL(getppid), CALL(kill), CALL(fcntl),
	CALL(sched_getaffinity), CALL(set_robust_list), CALL(getcwd),
	CALL(pipe2), CALL(dup), CALL(uname),
#ifdef __NR_readlink
	CALL(readlink), CALL(open), CALL(stat), CALL(access),
#endif
};

/**
 * struct seccomp_program - a BPF program being made
 * @code:	instructions
 * @len:	how many
 * @overflow:	too many
 */
struct seccomp_program {
	struct sock_filter code[SECCOMP_CODE];
	unsigned len;
	bool overflow;
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
	emit_load(p, offsetof(struct seccomp_data, args) + c->arg * 8 +
		     (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0));
	emit(p, BPF_ALU | BPF_AND | BPF_K, c->mask, 0, 0);
	for (unsigned i = 0; i < c->count; i++)
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, c->value[i],
		     (uint8_t)(c->count - i), 0);
	emit_return(p, SECCOMP_RET_KILL_PROCESS);
}

static void emit_rule(struct seccomp_program *p, const struct seccomp_rule *r)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, r->nr, 1, 0);
	emit_return(p, SECCOMP_RET_KILL_PROCESS);
	for (unsigned i = 0; i < SECCOMP_CHECKS && r->check[i].mask; i++)
		emit_check(p, &r->check[i]);
	emit_return(p, SECCOMP_RET_ALLOW);
}

/* Binary search over rules [lo, hi), the call's number is loaded */
static void emit_search(struct seccomp_program *p, const struct seccomp_rule *r,
			unsigned lo, unsigned hi)
{
	unsigned middle = lo + (hi - lo) / 2, jump;

	if (hi - lo == 1) {
		emit_rule(p, &r[lo]);
		return;
	}
	emit(p, BPF_JMP | BPF_JGE | BPF_K, r[middle].nr, 0, 1);
	jump = p->len;
	emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
	emit_search(p, r, lo, middle);
	if (!p->overflow)
		p->code[jump].k = p->len - jump - 1;
	emit_search(p, r, middle, hi);
}

static int seccomp_by_nr(const void *a, const void *b)
{
	const struct seccomp_rule *x = a, *y = b;

	return (x->nr > y->nr) - (x->nr < y->nr);
}

static unsigned seccomp_add(struct seccomp_rule *to, unsigned n,
			    const struct seccomp_rule *from, size_t count)
{
	for (size_t i = 0; i < count && n < SECCOMP_RULES; i++)
		to[n++] = from[i];
	return n;
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

/* What each table is put together from; no number comes twice */
static const struct seccomp_set seccomp_sets[SECCOMP_TABLES][2] = {
	[SECCOMP_PASST] = { SET(seccomp_common), SET(seccomp_passt) },
	[SECCOMP_PASTA] = { SET(seccomp_common), SET(seccomp_pasta) },
#if SECCOMP_SANITIZED
	[SECCOMP_VHOST_USER] = { SET(seccomp_common), SET(seccomp_passt) },
	[SECCOMP_NS_HELPER] = { SET(seccomp_common) },
#else
	[SECCOMP_VHOST_USER] = { SET(seccomp_common), SET(seccomp_vhost_user) },
	[SECCOMP_NS_HELPER] = { SET(seccomp_ns_helper) },
#endif
};

/* In the foreground we see the user's other processes: nothing to signal */
static void seccomp_own_threads(struct seccomp_rule *rules, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (rules[i].nr == __NR_tgkill)
			rules[i].check[0].value[0] = (uint32_t)getpid();
	}
}

static unsigned seccomp_rules(enum seccomp_table table,
			      struct seccomp_rule *rules)
{
	const struct seccomp_set *set = seccomp_sets[table];
	unsigned n = 0;

	for (unsigned i = 0; i < 2; i++)
		n = seccomp_add(rules, n, set[i].rule, set[i].count);
	if (SECCOMP_SANITIZED)
		n = seccomp_add(rules, n, seccomp_sanitizers,
				sizeof(seccomp_sanitizers) /
				sizeof(seccomp_sanitizers[0]));
	seccomp_own_threads(rules, n);
	qsort(rules, n, sizeof(rules[0]), seccomp_by_nr);
	return n;
}

/**
 * seccomp_build() - Make the filter of a table
 * @table:	which one
 * @prog:	where to store it; points to static memory
 * Return: 0, or -E2BIG where it does not fit
 */
int seccomp_build(enum seccomp_table table, struct sock_fprog *prog)
{
	static struct seccomp_rule rules[SECCOMP_RULES];
	struct seccomp_program *p = &seccomp_program;
	unsigned n = seccomp_rules(table, rules);

	*p = (struct seccomp_program){ .len = 0 };
	emit_load(p, offsetof(struct seccomp_data, arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, SECCOMP_ARCH, 1, 0);
	emit_return(p, SECCOMP_RET_KILL_PROCESS);
	/* x32 numbers have a high bit: past the table, so not in it */
	emit_load(p, offsetof(struct seccomp_data, nr));
	emit_search(p, rules, 0, n);
	*prog = (struct sock_fprog){ .len = (unsigned short)p->len,
				     .filter = p->code };
	return p->overflow || n == SECCOMP_RULES ? -E2BIG : 0;
}

/**
 * seccomp_apply() - From now on only the calls of a table are allowed
 * @table:	which one
 *
 * PR_SET_NO_NEW_PRIVS must be set. Any other call kills the process, and is
 * named by its number in the kernel's audit log.
 *
 * Return: 0, or a negative error code, seccomp(2)
 */
int seccomp_apply(enum seccomp_table table)
{
	struct sock_fprog prog;
	int rc = seccomp_build(table, &prog);

	if (rc)
		return rc;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		    SECCOMP_FILTER_FLAG_LOG, &prog))
		return -errno;
	return 0;
}
