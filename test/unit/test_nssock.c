// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_nssock: sockets of another network namespace, from a helper that can do
 * nothing else; each test in a process of its own, which is the daemon
 */
#include "host/nssock.c"	/* not the one that stands in for it */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/loop.h"
#include "test/unit/hostns.h"
#include "test/unit/procs.h"
#include "test/unit/unit.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71	/* Linux 5.14 */
#endif

static pid_t target;
static char said[1024];

/* Which namespace a socket is of; 0 before Linux 5.14 */
static uint64_t cookie(int fd)
{
	uint64_t c = 0;
	socklen_t len = sizeof(c);

	getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &c, &len);
	return c;
}

/* Three are told of, the second is not open */
static unsigned setup(int fds[NSHELPER_FDS])
{
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fds[1] = -1;
	fds[2] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return 3;
}

static unsigned setup_fails(int fds[NSHELPER_FDS])
{
	(void)fds;
	fprintf(stderr, "no use\n");
	exit(1);
}

static unsigned setup_killed(int fds[NSHELPER_FDS])
{
	(void)fds;
	kill(getpid(), SIGKILL);
	return 0;
}

static int start(nshelper_setup_fn fn, int *fds)
{
	struct netns ns;

	netns_open_pid(&ns, target, false);
	return nssock_start(&(struct nshelper){ .ns = &ns, .setup = fn,
						.uid = 65534, .gid = 65534 },
			    fds);
}

/* As the daemon does, without privileges towards the namespace any more */
static void begin(void)
{
	int fds[NSHELPER_FDS];

	if (start(setup, fds) != 3 || loop_init() || nssock_watch() ||
	    nssock_ready() || unshare(CLONE_NEWUSER))
		exit(100);
}

/* The one child of this process */
static pid_t helper(void)
{
	char path[64];
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%i/children", getpid());
	f = fopen(path, "re");
	if (!f || fscanf(f, "%d", &pid) != 1 || pid <= 1)
		exit(101);
	fclose(f);
	return pid;
}

static void set_up(void)
{
	int fds[NSHELPER_FDS], mine = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(!nssock_available());
	CHECK_EQ(nssock_open(IPPROTO_TCP, AF_INET), -ENODEV);
	CHECK_EQ(start(setup, fds), 3);
	CHECK(fds[0] >= 0 && fds[1] == -1 && fds[2] >= 0);
	CHECK(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	CHECK(cookie(fds[0]) == cookie(fds[2]));
	CHECK(!cookie(mine) || cookie(fds[0]) != cookie(mine));
	CHECK(nssock_available());
	CHECK_EQ(nssock_ready(), 0);
}

static void set_up_fails(void)
{
	int fds[NSHELPER_FDS];

	CHECK_EQ(start(setup_fails, fds), -ECONNRESET);
	CHECK(!nssock_available());
}

static void set_up_killed(void)
{
	int fds[NSHELPER_FDS];

	CHECK_EQ(start(setup_killed, fds), -ECONNRESET);
	CHECK(!nssock_available());
}

static void check_socket(uint8_t proto, int family, uint64_t there)
{
	int fd = nssock_open(proto, family), value = 0;
	socklen_t len = sizeof(value);

	CHECK(fd >= 0);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK(!getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &len));
	CHECK_EQ(value, proto);
	CHECK(!getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &len));
	CHECK_EQ(value, family);
	CHECK(cookie(fd) == there);
	close(fd);
}

static void opens(void)
{
	int fds[NSHELPER_FDS];

	CHECK_EQ(start(setup, fds), 3);
	CHECK_EQ(loop_init(), 0);
	CHECK_EQ(nssock_watch(), 0);
	for (unsigned i = 0; i < 100; i++) {
		check_socket(IPPROTO_TCP, AF_INET, cookie(fds[0]));
		check_socket(IPPROTO_TCP, AF_INET6, cookie(fds[0]));
		check_socket(IPPROTO_UDP, AF_INET, cookie(fds[0]));
		check_socket(IPPROTO_UDP, AF_INET6, cookie(fds[0]));
		if (i % 10 == 0)
			loop_dispatch(loop_wait(10), clock_now());
	}
	CHECK_EQ(nssock_open(IPPROTO_ICMP, AF_INET), -EPROTONOSUPPORT);
}

static void binds(void)
{
	struct endpoint e = { .addr = ADDR_LOOPBACK4, .port = 80 };
	int a, b, c;

	begin();
	a = nssock_open(IPPROTO_TCP, AF_INET);
	b = nssock_open(IPPROTO_TCP, AF_INET);
	c = nssock_open(IPPROTO_UDP, AF_INET6);
	CHECK_EQ(nssock_bind(a, &e), 0);
	CHECK_EQ(nssock_bind(b, &e), -EADDRINUSE);
	CHECK_EQ(listen(a, 1), 0);
	e.port = 8080;
	CHECK_EQ(nssock_bind(b, &e), 0);
	e = (struct endpoint){ .addr = ADDR_LOOPBACK6, .port = 53 };
	CHECK_EQ(nssock_bind(c, &e), 0);
	e.addr = (struct addr){ { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } };
	c = nssock_open(IPPROTO_UDP, AF_INET6);
	CHECK_EQ(nssock_bind(c, &e), -EADDRNOTAVAIL);
}

/* And goes on although it was told to end */
static void is_locked(void)
{
	pid_t h;

	begin();
	h = helper();
	CHECK(procs_status(h, "NoNewPrivs", "1"));
	CHECK(procs_status(h, "Seccomp", "2"));
	CHECK(procs_status(h, "CapEff", "0000000000000400"));
	CHECK(procs_status(h, "CapPrm", "0000000000000400"));
	CHECK(procs_status(h, "CapBnd", "0000000000000400"));
	CHECK(procs_status(h, "CapInh", "0000000000000000"));
	CHECK(procs_status(h, "CapAmb", "0000000000000000"));
	CHECK(!kill(h, SIGTERM) && !kill(h, SIGINT) && !kill(h, SIGHUP));
	CHECK(nssock_open(IPPROTO_TCP, AF_INET) >= 0);
	nssock_stop();
	CHECK(kill(h, 0) && errno == ESRCH);
}

/* What is there is used up, then there is an error, and no waiting */
static void helper_dies(void)
{
	int fd, n = 0;
	pid_t h;

	begin();
	check_socket(IPPROTO_TCP, AF_INET, cookie(nssock_open(IPPROTO_TCP,
							      AF_INET)));
	h = helper();
	kill(h, SIGKILL);
	waitpid(h, NULL, 0);
	while ((fd = nssock_open(IPPROTO_TCP, AF_INET)) >= 0 && n < 1000)
		n++;
	CHECK(n > 0 && n <= NSHELPER_FDS);
	CHECK(!nssock_available());
	CHECK_EQ(nssock_open(IPPROTO_TCP, AF_INET), -ENODEV);
	CHECK_EQ(nssock_bind(fd, &(struct endpoint){ .port = 80 }), -EBADF);
}

/* An answer that comes too late is not taken for that to another question */
static void helper_is_late(void)
{
	struct endpoint e = { .addr = ADDR_LOOPBACK4, .port = 81 };
	usec_t before;
	int a, b;

	begin();
	a = nssock_open(IPPROTO_TCP, AF_INET);
	b = nssock_open(IPPROTO_TCP, AF_INET);
	kill(helper(), SIGSTOP);
	CHECK_EQ(nssock_bind(a, &e), -ETIMEDOUT);
	/* it is waited for once */
	before = clock_now();
	CHECK_EQ(nssock_bind(a, &e), -ETIMEDOUT);
	CHECK(clock_now() - before < USEC_PER_SEC / 2);
	/* however often, no queue of requests fills up that stops us */
	alarm(10);
	for (unsigned i = 0; i < 10000; i++)
		CHECK_EQ(nssock_bind(a, &e), -ETIMEDOUT);
	alarm(0);
	kill(helper(), SIGCONT);
	loop_dispatch(loop_wait(1000), clock_now());
	CHECK_EQ(nssock_bind(b, &e), -EADDRINUSE);
	e.port = 82;
	CHECK_EQ(nssock_bind(b, &e), 0);
}

/*
 * How many descriptors of the user's may be on their way is limited (unix(7),
 * ETOOMANYREFS): that is no end, and there are sockets again after it
 */
static void descriptors_under_way(void)
{
	struct nshelper_message m = { .op = NSHELPER_READY };
	int fds[NSHELPER_FDS], s[2], fd, n = 0;
	struct rlimit few, before;

	begin();
	CHECK(!prlimit(helper(), RLIMIT_NOFILE, NULL, &before));
	few = (struct rlimit){ NSHELPER_FDS + 8, before.rlim_max };
	CHECK(!prlimit(helper(), RLIMIT_NOFILE, &few, NULL));
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s));
	for (unsigned i = 0; i < NSHELPER_FDS; i++)
		fds[i] = s[0];
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(nshelper_send(s[0], &m, fds, NSHELPER_FDS), 0);
	while ((fd = nssock_open(IPPROTO_TCP, AF_INET)) >= 0 && n < 1000)
		n++;
	CHECK_EQ(fd, -ETOOMANYREFS);
	CHECK(!prlimit(helper(), RLIMIT_NOFILE, &before, NULL));
	CHECK(nssock_open(IPPROTO_TCP, AF_INET) >= 0);
	close(s[0]);
	close(s[1]);
}

/* Where there are few descriptors most are left for what they are there for */
static void few_descriptors(void)
{
	const struct rlimit few = { 64, 64 };
	unsigned left = 0;

	CHECK(!setrlimit(RLIMIT_NOFILE, &few));
	begin();
	for (unsigned i = 0; i < 20; i++) {
		close(nssock_open(IPPROTO_TCP, AF_INET));
		close(nssock_open(IPPROTO_TCP, AF_INET6));
		close(nssock_open(IPPROTO_UDP, AF_INET));
		close(nssock_open(IPPROTO_UDP, AF_INET6));
		loop_dispatch(loop_wait(10), clock_now());
	}
	while (dup(STDERR_FILENO) >= 0)
		left++;
	CHECK(left > 32);
	/* and these can be had even now */
	CHECK(nssock_open(IPPROTO_TCP, AF_INET) >= 0);
}

static bool passes(void (*fn)(void))
{
	int status = procs_run(fn, said, sizeof(said));

	if (!status && !strstr(said, "failed:"))
		return true;
	printf("status %i: %s\n", status, said);
	return false;
}

TEST(start_target)
{
	target = procs_namespaces();
	CHECK(target > 0);
}

TEST(helper)
{
	CHECK(passes(set_up));
	CHECK(passes(set_up_fails));
	CHECK(!strcmp(said, "no use\n"));
	CHECK(passes(set_up_killed));
	CHECK(strstr(said, "signal 9"));
	CHECK(passes(opens));
	CHECK(passes(binds));
	CHECK(passes(is_locked));
}

TEST(trouble)
{
	CHECK(passes(helper_dies));
	CHECK(passes(helper_is_late));
	CHECK(passes(descriptors_under_way));
	CHECK(passes(few_descriptors));
}

TEST(end_target)
{
	procs_end(target);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
