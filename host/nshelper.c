// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nshelper: the process in the guest's network namespace
 *
 * A process that joined the guest's user and network namespaces cannot come
 * back, so this is a fork of the daemon, at its start:
 *
 *	join --> set up (tap device, addresses, routes) --> SETUP to the daemon
 *	     --> empty root, CAP_NET_BIND_SERVICE alone, system call filter
 *	     --> READY to the daemon --> serve: sockets, and bind() to ports
 *
 * It keeps no descriptor but its socket, whose end is its own end, so that it
 * never outlives the daemon; signals do not reach it.
 *
 * Sources: setns(2), unix(7) (SCM_RIGHTS), ip(7) (CAP_NET_BIND_SERVICE).
 */
#include "host/nshelper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "guard/isolation.h"
#include "guard/seccomp.h"
#include "lib/log.h"

/** How long to wait for memory, nanoseconds */
#define NSHELPER_RETRY	(10 * 1000 * 1000)

/**
 * union nshelper_control - room for descriptors beside a message
 * @align:	as it has to be
 * @bytes:	the room
 */
union nshelper_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(NSHELPER_FDS * sizeof(int))];
};

/**
 * nshelper_send() - Send a message with descriptors
 * @sock:	socket
 * @m:		message
 * @fds:	descriptors; they stay open here
 * @count:	how many
 * Return: 0, or a negative error code
 */
int nshelper_send(int sock, const struct nshelper_message *m, const int *fds,
		  unsigned count)
{
	union nshelper_control c = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)m, sizeof(*m) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (count) {
		h.msg_control = c.bytes;
		h.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c.align.cmsg_level = SOL_SOCKET;
		c.align.cmsg_type = SCM_RIGHTS;
		c.align.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&c.align), fds, count * sizeof(int));
	}
	return sendmsg(sock, &h, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/**
 * nshelper_receive() - Receive a message with descriptors
 * @sock:	socket
 * @m:		filled in
 * @fds:	filled in, close-on-exec; the receiver closes them
 * @flags:	MSG_DONTWAIT or 0
 *
 * Return: how many descriptors came; -ECONNRESET where the other end has gone,
 * or another negative error code
 */
int nshelper_receive(int sock, struct nshelper_message *m,
		     int fds[NSHELPER_FDS], int flags)
{
	union nshelper_control c;
	struct iovec iov = { m, sizeof(*m) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = c.bytes,
			    .msg_controllen = sizeof(c) };
	const struct cmsghdr *cm;
	unsigned n = 0;
	ssize_t len;

	do {
		len = recvmsg(sock, &h, flags | MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	if (len != sizeof(*m))
		return -ECONNRESET;
	cm = CMSG_FIRSTHDR(&h);
	if (cm && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS) {
		n = (unsigned)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(cm), n * sizeof(int));
	}
	return (int)n;
}

/* True, after a while: there was no memory, or room; there will be */
static bool nshelper_passes(int rc)
{
	static const struct timespec wait = { .tv_nsec = NSHELPER_RETRY };

	if (rc != -ENOMEM && rc != -ENOBUFS && rc != -EAGAIN && rc != -EINTR)
		return false;
	clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
	return true;
}

/* An answer that is lost would be waited for: it is sent, or the daemon ends */
static int nshelper_answer(int sock, const struct nshelper_message *m)
{
	int rc;

	do
		rc = nshelper_send(sock, m, NULL, 0);
	while (nshelper_passes(rc));
	return rc;
}

/* A socket as the daemon wants it, or a negative error code */
static int nshelper_socket(const struct nshelper_message *m)
{
	int type = m->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
	int fd = socket(m->family, type | SOCK_NONBLOCK | SOCK_CLOEXEC,
			m->proto);

	return fd < 0 ? -errno : fd;
}

static int nshelper_open(int sock, struct nshelper_message *m)
{
	int fds[NSHELPER_FDS], rc;
	unsigned n = 0;

	for (m->rc = 0; n < m->count && n < NSHELPER_FDS; n++) {
		fds[n] = nshelper_socket(m);
		if (fds[n] < 0) {
			m->rc = fds[n];
			break;
		}
	}
	m->count = n;
	rc = nshelper_send(sock, m, fds, n);
	if (rc) {	/* ETOOMANYREFS, ENOBUFS: they cannot go now */
		m->rc = rc;
		m->count = 0;
		rc = nshelper_answer(sock, m);
	}
	while (n)
		close(fds[--n]);
	return rc;
}

static int nshelper_bind(int sock, struct nshelper_message *m, int fd)
{
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&m->endpoint, &sa);

	m->rc = bind(fd, &sa.sa, len) ? -errno : 0;
	close(fd);
	return nshelper_answer(sock, m);
}

/* Until the daemon has gone, or says what it never would */
__attribute__((noreturn))
static void nshelper_serve(int sock)
{
	struct nshelper_message m = { .op = NSHELPER_READY };
	int fds[NSHELPER_FDS], n, rc;

	rc = nshelper_answer(sock, &m);
	while (!rc) {
		n = nshelper_receive(sock, &m, fds, 0);
		if (nshelper_passes(n))
			continue;
		if (m.op == NSHELPER_OPEN && n == 0)
			rc = nshelper_open(sock, &m);
		else if (m.op == NSHELPER_BIND && n == 1)
			rc = nshelper_bind(sock, &m, fds[0]);
		else
			rc = -EPROTO;
	}
	_exit(EXIT_SUCCESS);
}

/* What the set-up opened goes to the daemon, and is closed here */
static void nshelper_hand_over(int sock, const int *fds, unsigned count)
{
	struct nshelper_message m = { .op = NSHELPER_SETUP, .count = count };
	int open[NSHELPER_FDS];
	unsigned n = 0;
	int rc;

	for (unsigned i = 0; i < count; i++) {
		if (fds[i] < 0)
			continue;
		m.open |= 1U << i;
		open[n++] = fds[i];
	}
	rc = nshelper_send(sock, &m, open, n);
	if (rc)
		die("The helper cannot reach the daemon: %s", strerror(-rc));
}

/* Nothing but the socket is left open; nobody reads our streams */
static void nshelper_lock(const struct nshelper *h, int sock)
{
	const struct isolation how = { .chroot_fallback = h->chroot_fallback };
	const struct seccomp_how filter = { .table = SECCOMP_NS_HELPER };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), rc;

	isolation_helper(&how, h->uid, h->gid);
	isolation_late(&(struct isolation_end){ .count = 0 });
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup3(null, fd, 0);
	isolation_early(&sock, 1);
	rc = seccomp_apply(&filter);
	if (rc)		/* the daemon says that we are gone */
		_exit(EXIT_FAILURE);
}

/**
 * nshelper_run() - Be the helper
 * @h:		how it is set up
 * @sock:	the helper's end of the socket pair
 *
 * In a fork of the daemon. What cannot be done is said, and the process ends.
 */
void nshelper_run(const struct nshelper *h, int sock)
{
	int fds[NSHELPER_FDS];
	unsigned count;
	sigset_t all;

	/* Neither the terminal's keys nor root inside get hold of it */
	setsid();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_DUMPABLE, 0);

	netns_enter(h->ns);
	count = h->setup(fds);
	nshelper_hand_over(sock, fds, count);
	nshelper_lock(h, sock);
	nshelper_serve(sock);
}
