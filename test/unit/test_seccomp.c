// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_seccomp: the filter's program, run by a small machine here, then by the
 * kernel: a child that does what it may not is killed
 *
 * The tables are the product's, also where the test is sanitized; those of the
 * other architecture are run by the small machine, too.
 */
#define GUARD_SANITIZED 0
#include "guard/seccomp.c"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "test/unit/unit.h"

static struct sock_fprog prog;
static unsigned steps;

static int build(enum seccomp_table table)
{
	return seccomp_build(&(struct seccomp_how){ .table = table }, &prog);
}

/* Runs the program; ~0 where it does what the kernel's checker would refuse */
static uint32_t machine(const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (unsigned pc = 0; pc < prog.len; pc++) {
		const struct sock_filter *i = &prog.filter[pc];

		steps++;
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k % 4 || i->k > sizeof(*d) - 4)
				return ~0u;
			memcpy(&a, (const uint8_t *)d + i->k, sizeof(a));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			return ~0u;
		}
	}
	return ~0u;
}

static uint32_t verdict(uint32_t arch, uint32_t nr, uint64_t a, uint64_t b,
			uint64_t c)
{
	struct seccomp_data d = { .nr = (int)nr, .arch = arch,
				  .args = { a, b, c } };

	return machine(&d);
}

static bool allowed(uint32_t nr, uint64_t a, uint64_t b, uint64_t c)
{
	return verdict(SECCOMP_ARCH, nr, a, b, c) == SECCOMP_RET_ALLOW;
}

static bool killed(uint32_t nr, uint64_t a, uint64_t b, uint64_t c)
{
	return verdict(SECCOMP_ARCH, nr, a, b, c) == SECCOMP_RET_KILL_PROCESS;
}

TEST(builds)
{
	for (unsigned t = 0; t < SECCOMP_TABLES; t++) {
		CHECK_EQ(build(t), 0);
		CHECK(prog.len > 10 && prog.len < SECCOMP_CODE);
	}
}

static const uint32_t arches[] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64 };

#define ARCHES	(sizeof(arches) / sizeof(arches[0]))

/* The rule of a table for a number, or NULL; how many there are */
static const struct seccomp_rule *rule_of(const struct seccomp_how *how, int nr,
					  unsigned *count)
{
	const struct seccomp_rule *r = NULL;

	*count = 0;
	for (unsigned s = 0; s < SECCOMP_SETS; s++) {
		const struct seccomp_set *set = &seccomp_sets[how->table][s];

		for (size_t i = 0; i < set->count; i++) {
			if (seccomp_nr(set->rule[i].call, how->arch) != nr)
				continue;
			r = &set->rule[i];
			++*count;
		}
	}
	return r;
}

/* Each number, in the table or not, gets the verdict of the table */
static void every_number(const struct seccomp_how *how)
{
	uint32_t deny = how->tell ? SECCOMP_RET_TRAP : SECCOMP_RET_KILL_PROCESS;

	CHECK_EQ(seccomp_build(how, &prog), 0);
	for (int nr = 0; nr < 1100; nr++) {
		unsigned count;
		const struct seccomp_rule *r = rule_of(how, nr, &count);

		if (count > 1)
			CHECK_EQ(nr, -2);
		if (r && (r->check[0].mask || r->call == SC_tgkill))
			continue;
		if (verdict(how->arch, (uint32_t)nr, 1, 2, 3) !=
		    (r ? SECCOMP_RET_ALLOW : deny))
			CHECK_EQ(nr, -1);
	}
	CHECK_EQ(verdict(how->arch, 0xffffffff, 0, 0, 0), deny);
	/* x32 */
	CHECK_EQ(verdict(how->arch, 0x40000000 | __NR_read, 0, 0, 0), deny);
}

TEST(every_number_once)
{
	for (unsigned t = 0; t < SECCOMP_TABLES; t++) {
		for (unsigned a = 0; a < ARCHES; a++) {
			every_number(&(struct seccomp_how){
				.table = t, .arch = arches[a] });
			every_number(&(struct seccomp_how){
				.table = t, .arch = arches[a], .tell = true });
		}
	}
}

/* aarch64's numbers mean something else on x86_64, and the other way round */
TEST(numbers_of_aarch64)
{
	struct seccomp_how how = { .table = SECCOMP_PASST,
				   .arch = AUDIT_ARCH_AARCH64 };
	const uint32_t arm = AUDIT_ARCH_AARCH64;

	CHECK_EQ(seccomp_build(&how, &prog), 0);
	/* read, socket, mmap, unlinkat */
	CHECK_EQ(verdict(arm, 63, 1, 2, 3), SECCOMP_RET_ALLOW);
	CHECK_EQ(verdict(arm, 198, AF_INET, SOCK_STREAM, 0), SECCOMP_RET_ALLOW);
	CHECK_EQ(verdict(arm, 198, AF_INET, SOCK_RAW, 0),
		 SECCOMP_RET_KILL_PROCESS);
	CHECK_EQ(verdict(arm, 198, AF_PACKET, SOCK_DGRAM, 0),
		 SECCOMP_RET_KILL_PROCESS);
	CHECK_EQ(verdict(arm, 222, 0, 4096, PROT_READ), SECCOMP_RET_ALLOW);
	CHECK_EQ(verdict(arm, 222, 0, 4096, PROT_EXEC),
		 SECCOMP_RET_KILL_PROCESS);
	CHECK_EQ(verdict(arm, 35, 5, 0, 0), SECCOMP_RET_ALLOW);
	/* openat, execve, clone, clone3, ptrace, bpf */
	for (unsigned i = 0; i < 6; i++)
		CHECK_EQ(verdict(arm, (uint32_t[]){ 56, 221, 220, 435, 117,
						    280 }[i], 1, 2, 3),
			 SECCOMP_RET_KILL_PROCESS);
	/* the other one's calls are none here, whatever the number */
	CHECK_EQ(verdict(AUDIT_ARCH_X86_64, 63, 1, 2, 3),
		 SECCOMP_RET_KILL_PROCESS);
	CHECK_EQ(verdict(AUDIT_ARCH_I386, 63, 1, 2, 3),
		 SECCOMP_RET_KILL_PROCESS);
}

/* No more than a binary search and the checks of one rule */
TEST(log_time)
{
	CHECK_EQ(build(SECCOMP_PASTA), 0);
	for (uint32_t nr = 0; nr < 1100; nr++) {
		struct seccomp_data d = { .nr = (int)nr, .arch = SECCOMP_ARCH };

		steps = 0;
		machine(&d);
		/* 6 halvings of up to 64 rules, 2 steps each */
		CHECK(steps <= 4 + 6 * 2 + 3 * 8);
	}
}

/* What would be said, and that a wrong architecture is not worth a word */
TEST(told)
{
	struct seccomp_how how = { .table = SECCOMP_VHOST_USER, .tell = true };

	CHECK_EQ(seccomp_build(&how, &prog), 0);
	CHECK_EQ(verdict(SECCOMP_ARCH, __NR_openat, 0, 0, 0), SECCOMP_RET_TRAP);
	CHECK_EQ(verdict(AUDIT_ARCH_I386, __NR_read, 0, 0, 0),
		 SECCOMP_RET_KILL_PROCESS);
	CHECK(!strcmp(seccomp_name(__NR_openat), "openat"));
	CHECK(!strcmp(seccomp_name(__NR_io_uring_setup), "io_uring_setup"));
	CHECK(!strcmp(seccomp_name(1099), "unknown"));
}

/* Files are removed, no directories; or nothing at all */
TEST(removal)
{
	struct seccomp_how how = { .table = SECCOMP_PASST };

	CHECK_EQ(seccomp_build(&how, &prog), 0);
	CHECK(allowed(__NR_unlinkat, 5, 1, 0));
	CHECK(killed(__NR_unlinkat, 5, 1, AT_REMOVEDIR));
	how.no_removal = true;
	CHECK_EQ(seccomp_build(&how, &prog), 0);
	CHECK(killed(__NR_unlinkat, 5, 1, 0));
}

TEST(other_architectures)
{
	CHECK_EQ(build(SECCOMP_PASST), 0);
	CHECK_EQ(verdict(AUDIT_ARCH_I386, __NR_read, 0, 0, 0),
		 SECCOMP_RET_KILL_PROCESS);
	CHECK_EQ(verdict(0, __NR_read, 0, 0, 0), SECCOMP_RET_KILL_PROCESS);
	CHECK_EQ(verdict(AUDIT_ARCH_AARCH64 ^ AUDIT_ARCH_X86_64 ^ SECCOMP_ARCH,
			 __NR_read, 0, 0, 0), SECCOMP_RET_KILL_PROCESS);
}

TEST(sockets)
{
	CHECK_EQ(build(SECCOMP_PASST), 0);
	CHECK(allowed(__NR_socket, AF_INET, SOCK_STREAM, 0));
	CHECK(allowed(__NR_socket, AF_INET6,
		      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
	CHECK(allowed(__NR_socket, AF_INET, SOCK_DGRAM, IPPROTO_UDP));
	CHECK(allowed(__NR_socket, AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	CHECK(allowed(__NR_socket, AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6));
	/* the upper half of an int argument is not looked at by the kernel */
	CHECK(allowed(__NR_socket, AF_INET | 1ULL << 32, SOCK_DGRAM, 0));
	CHECK(killed(__NR_socket, AF_UNIX, SOCK_STREAM, 0));
	CHECK(killed(__NR_socket, AF_NETLINK, SOCK_RAW, 0));
	CHECK(killed(__NR_socket, AF_PACKET, SOCK_RAW, 0));
	CHECK(killed(__NR_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP));
	CHECK(killed(__NR_socket, AF_INET6, SOCK_RAW, IPPROTO_RAW));
	CHECK(killed(__NR_socket, AF_INET, SOCK_SEQPACKET, 0));
	CHECK(killed(__NR_socket, AF_INET, SOCK_STREAM, IPPROTO_SCTP));
	CHECK(killed(__NR_socket, AF_UNIX | 1ULL << 33, SOCK_STREAM, 0));
}

TEST(memory)
{
	CHECK_EQ(build(SECCOMP_PASST), 0);
	CHECK(allowed(__NR_mmap, 0, 4096, PROT_READ | PROT_WRITE));
	CHECK(killed(__NR_mmap, 0, 4096, PROT_READ | PROT_EXEC));
	CHECK(killed(__NR_mmap, 0, 4096, PROT_EXEC));
	CHECK(allowed(__NR_mprotect, 0, 4096, PROT_NONE));
	CHECK(killed(__NR_mprotect, 0, 4096, PROT_READ | PROT_EXEC));
}

TEST(ioctls)
{
	CHECK_EQ(build(SECCOMP_PASST), 0);
	CHECK(allowed(__NR_ioctl, 5, SIOCOUTQ, 0));
	CHECK(allowed(__NR_ioctl, 5, SIOCINQ, 0));
	CHECK(killed(__NR_ioctl, 5, 0x5412 /* TIOCSTI */, 0));
	CHECK(killed(__NR_ioctl, 5, SIOCGIFCONF, 0));
	CHECK(killed(__NR_ioctl, 5, 0, 0));
}

TEST(never)
{
	static const uint32_t nr[] = {
		__NR_openat, __NR_execve, __NR_execveat, __NR_clone,
		__NR_ptrace, __NR_setns, __NR_unshare, __NR_mount, __NR_kill,
		__NR_prctl, __NR_seccomp, __NR_socketpair, __NR_setuid,
		__NR_process_vm_readv, __NR_fcntl, __NR_bpf, __NR_io_uring_setup,
#ifdef __NR_open
		__NR_open, __NR_fork, __NR_vfork,
#endif
	};

	for (unsigned t = 0; t < SECCOMP_TABLES; t++) {
		CHECK_EQ(build(t), 0);
		for (size_t i = 0; i < sizeof(nr) / sizeof(nr[0]); i++)
			CHECK(killed(nr[i], 1, 1, 1));
	}
}

/* All that the C library may ask where the kernel maps it no vDSO */
TEST(clocks)
{
	CHECK_EQ(build(SECCOMP_PASTA), 0);
	CHECK(allowed(__NR_clock_gettime, 0, 0, 0));
	CHECK(allowed(__NR_gettimeofday, 0, 0, 0));
#ifdef __NR_time
	CHECK(allowed(__NR_time, 0, 0, 0));
#endif
}

/* raise() and abort(), and no signal to others */
TEST(signals)
{
	for (unsigned t = 0; t < SECCOMP_NS_HELPER; t++) {
		CHECK_EQ(build(t), 0);
		CHECK(allowed(__NR_tgkill, (uint64_t)getpid(), 5, SIGSTOP));
		CHECK(killed(__NR_tgkill, (uint64_t)getpid() + 1, 5, SIGKILL));
		CHECK(killed(__NR_tgkill, (uint64_t)getppid(), 5, SIGTERM));
	}
}

/* Only what a pidfd names is waited for and signalled */
TEST(pasta)
{
	CHECK_EQ(build(SECCOMP_PASTA), 0);
	CHECK(allowed(__NR_waitid, P_PIDFD, 5, 0));
	CHECK(killed(__NR_waitid, P_PID, 5, 0));
	CHECK(killed(__NR_waitid, P_ALL, 0, 0));
	CHECK(killed(__NR_wait4, 5, 0, 0));
	CHECK(allowed(__NR_pidfd_send_signal, 5, SIGTERM, 0));
	CHECK(allowed(__NR_kill, 5, 0, 0));
	CHECK(killed(__NR_kill, 5, SIGKILL, 0));
	CHECK(killed(__NR_pidfd_open, 5, 0, 0));
	CHECK(killed(__NR_tkill, 5, SIGTERM, 0));
	CHECK(allowed(__NR_ioctl, 5, TIOCSPGRP, 0));
	CHECK(killed(__NR_ioctl, 5, 0x5412 /* TIOCSTI */, 0));
	CHECK(allowed(__NR_socket, AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6));
	CHECK(killed(__NR_socket, AF_NETLINK, SOCK_RAW, 0));

	CHECK_EQ(build(SECCOMP_PASST), 0);
	CHECK(killed(__NR_waitid, P_PIDFD, 5, 0));
	CHECK(killed(__NR_pidfd_send_signal, 5, SIGTERM, 0));
	CHECK(killed(__NR_ioctl, 5, TIOCSPGRP, 0));
}

TEST(helper)
{
	CHECK_EQ(build(SECCOMP_NS_HELPER), 0);
	CHECK(allowed(__NR_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC,
		      IPPROTO_TCP));
	CHECK(allowed(__NR_socket, AF_INET6, SOCK_DGRAM, IPPROTO_UDP));
	CHECK(killed(__NR_socket, AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	CHECK(killed(__NR_socket, AF_INET, SOCK_RAW, IPPROTO_UDP));
	CHECK(killed(__NR_socket, AF_UNIX, SOCK_STREAM, 0));
	CHECK(killed(__NR_connect, 5, 0, 0));
	CHECK(killed(__NR_sendto, 5, 0, 0));
	CHECK(killed(__NR_write, 5, 0, 0));
	CHECK(killed(__NR_ioctl, 5, SIOCOUTQ, 0));
	CHECK(killed(__NR_mmap, 0, 4096, PROT_READ));
}

static const struct seccomp_how passt = { .table = SECCOMP_PASST };

/* The signal that a child under the filter dies of; 0: it ends by itself */
static int child(long nr, long a, long b, long c)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		    seccomp_apply(&passt))
			syscall(SYS_exit_group, 3);
		syscall(nr, a, b, c, 34 /* anonymous, private */, -1, 0);
		syscall(SYS_exit_group, 0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

TEST(kernel)
{
	CHECK_EQ(child(__NR_openat, AT_FDCWD, (long)"/", O_RDONLY), SIGSYS);
	CHECK_EQ(child(__NR_execve, (long)"/bin/true", 0, 0), SIGSYS);
	CHECK_EQ(child(__NR_socket, AF_UNIX, SOCK_STREAM, 0), SIGSYS);
	CHECK_EQ(child(__NR_mmap, 0, 4096, PROT_READ | PROT_EXEC), SIGSYS);
	CHECK_EQ(child(__NR_mprotect, 0, 4096, PROT_EXEC), SIGSYS);
	CHECK_EQ(child(__NR_ioctl, 0, FIONBIO, 0), SIGSYS);
	CHECK_EQ(child(__NR_clone, 0, 0, 0), SIGSYS);
	CHECK_EQ(child(__NR_socket, AF_INET, SOCK_DGRAM, 0), 0);
	CHECK_EQ(child(__NR_mmap, 0, 4096, PROT_READ), 0);
	CHECK_EQ(child(__NR_getpid, 0, 0, 0), 0);
	CHECK_EQ(child(__NR_ioctl, 0, SIOCINQ, 0), 0);
}

/* In a child: a denied call where it is to be told; 0 if that is survived */
static void told_child(int err_fd)
{
	struct seccomp_how how = { .table = SECCOMP_PASST, .tell = true };

	dup2(err_fd, STDERR_FILENO);
	log_init("test", LOG_LEVEL_ERR);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || seccomp_apply(&how))
		syscall(SYS_exit_group, 3);
	syscall(__NR_openat, AT_FDCWD, "/", O_RDONLY);
	syscall(SYS_exit_group, 0);
}

static void check_told(int fd)
{
	char text[200] = "";

	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	CHECK(strstr(text, "openat(), is not allowed"));
	close(fd);
}

/* With --debug the call is named, and the end is the same */
TEST(kernel_told)
{
	int status = 0, out[2];
	pid_t pid;

	CHECK_EQ(pipe(out), 0);
	pid = fork();
	if (!pid)
		told_child(out[1]);
	close(out[1]);
	waitpid(pid, &status, 0);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGSYS);
	check_told(out[0]);
}

/*
 * So it is with a daemon in the background: it is the first process of its PID
 * namespace, which a signal from within does not end
 */
TEST(kernel_told_first_process)
{
	int status = 0, out[2];
	pid_t pid, first;

	CHECK_EQ(pipe(out), 0);
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWPID))
			syscall(SYS_exit_group, 9);
		first = fork();
		if (!first)
			told_child(out[1]);
		waitpid(first, &status, 0);
		syscall(SYS_exit_group, WIFSIGNALED(status) ?
				WTERMSIG(status) : WEXITSTATUS(status));
	}
	close(out[1]);
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status));
	if (WEXITSTATUS(status) == 9) {
		puts("no user namespaces here: left out");
		close(out[0]);
		return;
	}
	CHECK_EQ(WEXITSTATUS(status), SIGSYS);
	check_told(out[0]);
}

TEST(without_no_new_privs)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		/* root may, others may not */
		if (!geteuid())
			syscall(SYS_setresuid, 65534, 65534, 65534);
		syscall(SYS_exit_group, -seccomp_apply(&passt));
	}
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), EACCES);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
