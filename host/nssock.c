// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nssock: sockets in the guest's network namespace
 *
 * State: the helper's pidfd, the socket pair with it, and a pool of sockets for
 * each protocol and family. When half of one is used up more are asked for, and
 * come in through the loop; only where none is left, or a port is privileged,
 * is an answer waited for: one round trip, NSSOCK_WAIT at most, and no more at
 * all until the helper has answered.
 *
 *	open: pool [s s s s . . . .] --> s      half empty: OPEN to the helper
 *	loop: helper's answer --> pool [s s s s s s s s]
 *
 * Answers say what they are the answer to, so that one which comes after all,
 * too late, still fills its pool.
 */
#include "host/nssock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"

/** Longest wait for an answer, seconds */
#define NSSOCK_WAIT	1

#define NSSOCK_POOL	NSHELPER_FDS
/** Of the descriptors that we may have, a pool holds at most one in so many */
#define NSSOCK_SHARE	32
/** So that nobody waits for long at the start */
#define NSSOCK_FIRST	4

/**
 * struct nssock_pool - unused sockets of a kind
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @family:	AF_INET or AF_INET6
 * @count:	how many
 * @asked:	more are on their way
 * @rc:		why the last answer brought fewer, or 0
 * @fd:		descriptors
 */
struct nssock_pool {
	uint8_t proto;
	int family;
	unsigned count;
	bool asked;
	int rc;
	int fd[NSSOCK_POOL];
};

static struct nssock_pool nssock_pools[] = {
	{ .proto = IPPROTO_TCP, .family = AF_INET },
	{ .proto = IPPROTO_TCP, .family = AF_INET6 },
	{ .proto = IPPROTO_UDP, .family = AF_INET },
	{ .proto = IPPROTO_UDP, .family = AF_INET6 },
};

#define NSSOCK_POOLS	(sizeof(nssock_pools) / sizeof(nssock_pools[0]))

static struct watch nssock_sock = { .fd = -1 };
static int nssock_helper = -1;
/* How many a pool is filled up to */
static unsigned nssock_full = NSSOCK_POOL;
static bool nssock_is_ready;
/* An answer did not come in time: nobody waits until one does */
static bool nssock_is_late;
/* bind() requests, and the last answer to one */
static uint32_t nssock_asked, nssock_answered;
static int nssock_bind_rc;

static struct nssock_pool *nssock_pool_of(uint8_t proto, int family)
{
	for (unsigned i = 0; i < NSSOCK_POOLS; i++) {
		struct nssock_pool *p = &nssock_pools[i];

		if (p->proto == proto && p->family == family)
			return p;
	}
	return NULL;
}

/* The helper has gone: what it gave us goes on, no more will come */
static void nssock_lost(void)
{
	if (nssock_sock.fd < 0)
		return;
	err("The helper in the namespace has gone, and new sockets with it");
	if (nssock_sock.fn)
		loop_del(&nssock_sock);
	close(nssock_sock.fd);
	nssock_sock.fd = -1;
}

static void nssock_fill(const struct nshelper_message *m, const int *fds,
			unsigned n)
{
	struct nssock_pool *p = m->pool < NSSOCK_POOLS ?
				&nssock_pools[m->pool] : NULL;

	for (unsigned i = 0; i < n; i++) {
		if (p && p->count < NSSOCK_POOL)
			p->fd[p->count++] = fds[i];
		else
			close(fds[i]);
	}
	if (p) {
		p->asked = false;
		p->rc = m->rc;
	}
}

static void nssock_close(const int *fds, unsigned n)
{
	while (n)
		close(fds[--n]);
}

/* Takes in one message: 0, or a negative error code, -EAGAIN: there is none */
static int nssock_take(int flags)
{
	struct nshelper_message m = { 0 };
	int fds[NSHELPER_FDS], n;

	if (nssock_sock.fd < 0)
		return -ENODEV;
	n = nshelper_receive(nssock_sock.fd, &m, fds, flags);
	if (n < 0) {
		if (n == -ECONNRESET)
			nssock_lost();
		return n;
	}
	nssock_is_late = false;
	if (m.op == NSHELPER_OPEN)
		nssock_fill(&m, fds, (unsigned)n);
	else
		nssock_close(fds, (unsigned)n);
	if (m.op == NSHELPER_BIND) {
		nssock_answered = m.seq;
		nssock_bind_rc = m.rc;
	} else if (m.op == NSHELPER_READY) {
		nssock_is_ready = true;
	}
	return 0;
}

static void nssock_on_answer(struct watch *w, uint32_t events, usec_t now)
{
	(void)w;
	(void)events;
	(void)now;
	while (!nssock_take(MSG_DONTWAIT))
		;
}

/* An answer that comes within NSSOCK_WAIT: 0, or a negative error code */
static int nssock_wait(void)
{
	int rc = nssock_take(nssock_is_late ? MSG_DONTWAIT : 0);

	if (rc != -EAGAIN)
		return rc;
	nssock_is_late = true;
	warn_limited("The helper in the namespace does not answer");
	return -ETIMEDOUT;
}

static int nssock_request(const struct nshelper_message *m, const int *fd)
{
	int rc;

	if (nssock_sock.fd < 0)
		return -ENODEV;
	rc = nshelper_send(nssock_sock.fd, m, fd, fd ? 1 : 0);
	if (rc == -EPIPE || rc == -ECONNRESET)
		nssock_lost();
	return rc;
}

/* Ask for so many that it holds @fill, once there is room for half of it */
static int nssock_ask(struct nssock_pool *p, unsigned fill)
{
	const struct nshelper_message m = {
		.op = NSHELPER_OPEN,
		.pool = (uint8_t)(p - nssock_pools),
		.proto = p->proto,
		.family = p->family,
		.count = fill - p->count,
	};
	int rc;

	if (p->asked || p->count > fill / 2)
		return 0;
	rc = nssock_request(&m, NULL);
	p->asked = !rc;
	return rc;
}

/* The set-up's descriptors, which the daemon waits for at its start */
static int nssock_setup_answer(int sock, int fds[NSHELPER_FDS])
{
	struct nshelper_message m = { 0 };
	int come[NSHELPER_FDS];
	int n = nshelper_receive(sock, &m, come, 0);

	if (n < 0)
		return n;
	if (m.op != NSHELPER_SETUP || m.count > NSHELPER_FDS ||
	    n != __builtin_popcount(m.open)) {
		nssock_close(come, (unsigned)n);
		return -EPROTO;
	}
	n = 0;
	for (unsigned i = 0; i < m.count; i++)
		fds[i] = m.open >> i & 1 ? come[n++] : -1;
	return (int)m.count;
}

/* It has gone: what is wrong it has said, if it could */
static void nssock_post_mortem(pid_t pid)
{
	siginfo_t info = { .si_code = CLD_EXITED };

	if (!waitid(P_PID, (id_t)pid, &info, WEXITED) &&
	    info.si_code != CLD_EXITED)
		err("The helper in the namespace was ended by signal %d",
		    info.si_status);
}

/**
 * nssock_start() - Fork the helper, which joins the namespace and sets it up
 * @h:		how
 * @fds:	what the set-up opened there, -1: what it did not
 *
 * Before there is a loop.
 *
 * Return: how many the set-up tells of; or a negative error code, -ECONNRESET:
 * the helper has gone, and what is wrong was said
 */
int nssock_start(const struct nshelper *h, int fds[NSHELPER_FDS])
{
	int sock[2], rc;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		return -errno;
	pid = fork();
	rc = pid < 0 ? -errno : 0;
	if (!pid) {
		close(sock[0]);
		nshelper_run(h, sock[1]);
	}
	close(sock[1]);
	if (!rc)
		rc = nssock_setup_answer(sock[0], fds);
	if (rc < 0) {
		close(sock[0]);
		if (rc == -ECONNRESET)
			nssock_post_mortem(pid);
		return rc;
	}
	nssock_sock.fd = sock[0];
	nssock_helper = (int)syscall(SYS_pidfd_open, pid, 0);
	return rc;
}

/**
 * nssock_stop() - End the helper, and wait for its end where it is our child
 *
 * It would end by itself, but after us.
 */
void nssock_stop(void)
{
	siginfo_t info;

	if (nssock_helper < 0)
		return;
	if (!syscall(SYS_pidfd_send_signal, nssock_helper, SIGKILL, NULL, 0))
		waitid((idtype_t)P_PIDFD, (id_t)nssock_helper, &info, WEXITED);
	close(nssock_helper);
	nssock_helper = -1;
}

/* They are for connections: where there are few, pools are small */
static void nssock_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) ||
	    r.rlim_cur / NSSOCK_SHARE >= NSSOCK_POOL)
		return;
	nssock_full = (unsigned)(r.rlim_cur / NSSOCK_SHARE);
	if (!nssock_full)
		nssock_full = 1;
}

/**
 * nssock_watch() - Begin to fill the pools, and go on as they are used
 * Return: 0, or a negative error code
 */
int nssock_watch(void)
{
	int rc;

	nssock_limit();
	nssock_sock.fn = nssock_on_answer;
	rc = loop_add(&nssock_sock, EPOLLIN);
	for (unsigned i = 0; !rc && i < NSSOCK_POOLS; i++)
		rc = nssock_ask(&nssock_pools[i], nssock_full < NSSOCK_FIRST ?
						  nssock_full : NSSOCK_FIRST);
	return rc;
}

/**
 * nssock_ready() - Wait until the helper is locked down
 *
 * From then on no answer is waited for without end.
 *
 * Return: 0, or a negative error code: it is not, which was said
 */
int nssock_ready(void)
{
	const struct timeval wait = { .tv_sec = NSSOCK_WAIT };
	int rc = 0;

	while (!rc && !nssock_is_ready)
		rc = nssock_wait();
	if (rc && rc != -ECONNRESET)
		err("No word of the helper in the namespace: %s",
		    strerror(-rc));
	if (!rc)
		setsockopt(nssock_sock.fd, SOL_SOCKET, SO_RCVTIMEO, &wait,
			   sizeof(wait));
	return rc;
}

/**
 * nssock_available() - Whether there is a namespace of the guest's to reach
 * Return: true if so; false for virtual machines
 */
bool nssock_available(void)
{
	return nssock_sock.fd >= 0;
}

/**
 * nssock_open() - A socket in the guest's network namespace
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @family:	AF_INET or AF_INET6
 *
 * Taken from a pool that is refilled behind the scenes: no waiting, but for a
 * burst of more than it holds.
 *
 * Return: a non-blocking, close-on-exec descriptor, neither bound nor
 * connected; or a negative error code, -ENODEV: there is no namespace
 */
int nssock_open(uint8_t proto, int family)
{
	struct nssock_pool *p = nssock_pool_of(proto, family);
	int rc = p ? 0 : -EPROTONOSUPPORT;

	if (!rc && !p->count)
		rc = nssock_ask(p, nssock_full);
	while (!rc && p->asked && !p->count)
		rc = nssock_wait();
	if (rc)
		return rc;
	if (!p->count)
		return p->rc ? p->rc : -EMFILE;
	rc = p->fd[--p->count];
	nssock_ask(p, nssock_full);
	return rc;
}

static int nssock_bind_there(int fd, const struct endpoint *e)
{
	const struct nshelper_message m = { .op = NSHELPER_BIND,
					    .seq = ++nssock_asked,
					    .endpoint = *e };
	/* What is not answered would fill the queue, and sending then wait */
	int rc = nssock_is_late ? nssock_wait() : 0;

	if (!rc)
		rc = nssock_request(&m, &fd);
	while (!rc && nssock_answered != m.seq)
		rc = nssock_wait();
	return rc ? rc : nssock_bind_rc;
}

/**
 * nssock_bind() - Bind such a socket, to a privileged port as well
 * @fd:		from nssock_open()
 * @e:		address, port (0: any), and scope in the namespace
 *
 * Privileged ports cost a round trip to the helper, which may bind to them.
 *
 * Return: 0, or a negative error code of bind(2)
 */
int nssock_bind(int fd, const struct endpoint *e)
{
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(e, &sa);
	int rc = bind(fd, &sa.sa, len) ? -errno : 0;

	return rc == -EACCES ? nssock_bind_there(fd, e) : rc;
}
