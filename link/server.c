// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * server: the UNIX stream socket that hypervisors connect to, one at a time
 *
 * What the links over a UNIX socket share: the path and its socket, accepting a
 * client, turning a second one away. What is said on the connection, and when
 * it ends, is the link's business.
 *
 * With a client here, a second one waits for a turn: if the first hung up
 * before, the kernel reports both in one go, in any order.
 *
 * State: the listening watch, the timer of its pause, and whether a client is
 * here.
 */
#include "link/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"

#define SERVER_DEFAULT_PATH	"/tmp/passt_%d.socket"
#define SERVER_DEFAULT_PATHS	64
/** No descriptor, memory or right to: how long until a client is tried again */
#define SERVER_PAUSE		(100 * USEC_PER_MSEC)

static struct server_conf server_conf;
static server_fn server_serve;
static struct watch server_listener = { .fd = -1 };
static struct timer server_again;
/* A client is here; it hung up; another one waits, put off for a turn */
static bool server_busy;
static bool server_leaving;
static bool server_rival;

static int server_take(int fd, usec_t now)
{
	int rc;

	server_busy = true;
	server_leaving = server_rival = false;
	rc = server_serve(fd, now);
	if (rc)
		server_busy = false;
	return rc;
}

static void server_accept_again(struct timer *t, usec_t now)
{
	if (loop_mod(&server_listener, EPOLLIN))
		timer_arm(t, now + SERVER_PAUSE);
}

/* Level-triggered: a client that cannot be accepted would wake us for ever */
static void server_pause(int error, usec_t now)
{
	if (error != EMFILE && error != ENFILE && error != ENOBUFS &&
	    error != ENOMEM && error != EPERM && error != EACCES)
		return;
	warn_limited("Cannot accept a client: %s", strerror(error));
	if (!loop_mod(&server_listener, 0))
		timer_arm(&server_again, now + SERVER_PAUSE);
}

static void server_on_listener(struct watch *w, uint32_t events, usec_t now)
{
	int fd, rc;

	(void)events;
	if (server_busy && (server_leaving || !server_rival)) {
		server_rival = true;
		return;
	}
	fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	server_rival = false;
	if (fd < 0) {
		server_pause(errno, now);
		return;
	}
	if (server_busy) {
		warn_limited("A second client was turned away");
		close(fd);
		return;
	}
	rc = server_take(fd, now);
	if (rc) {
		warn_limited("Cannot serve a client: %s", strerror(-rc));
		close(fd);
	}
}

/**
 * server_init() - Set up; nothing happens until server_start()
 * @c:		configuration, copied
 * @serve:	what begins to serve a client
 */
void server_init(const struct server_conf *c, server_fn serve)
{
	server_conf = *c;
	server_serve = serve;
	server_listener = (struct watch){ .fn = server_on_listener,
					  .fd = c->listen_fd };
	server_again.fn = server_accept_again;
	server_busy = server_leaving = server_rival = false;
}

/**
 * server_start() - Wait for clients, or serve the one that was handed to us
 * @now:	time
 *
 * The loop, the link and its user are initialised before.
 *
 * Return: 0, or a negative error code
 */
int server_start(usec_t now)
{
	if (server_conf.fd >= 0)
		return server_take(server_conf.fd, now);
	if (listen(server_listener.fd, SOMAXCONN))
		return -errno;
	return loop_add(&server_listener, EPOLLIN);
}

/**
 * server_client_leaving() - The client hung up, what it sent is still read
 */
void server_client_leaving(void)
{
	server_leaving = true;
}

/**
 * server_client_left() - The client is gone: the next one may come
 */
void server_client_left(void)
{
	server_busy = server_leaving = server_rival = false;
	info("Client left");
	if (server_conf.one_off || server_conf.listen_fd < 0)
		server_conf.stop();
}

/**
 * server_close() - Listen no more
 */
void server_close(void)
{
	if (server_listener.fd >= 0)
		close(server_listener.fd);
	server_listener.fd = -1;
	timer_cancel(&server_again);
}

/*
 * Remove a socket that nobody listens on, or an empty file, as mktemp(1) leaves.
 * A datagram socket asks: connecting it fails with ECONNREFUSED where nobody is,
 * with EPROTOTYPE where somebody listens for streams, who then does not notice
 * (unix(7)).
 */
static int server_remove_stale(const struct sockaddr_un *sun)
{
	struct stat st;
	int probe, rc;

	if (lstat(sun->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (S_ISREG(st.st_mode) && !st.st_size)
		return unlink(sun->sun_path) ? -errno : 0;
	if (!S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return -errno;
	rc = connect(probe, (const struct sockaddr *)sun, sizeof(*sun)) ?
	     -errno : -EADDRINUSE;
	close(probe);
	if (rc == -ECONNREFUSED)
		return unlink(sun->sun_path) ? -errno : 0;
	return rc == -EPROTOTYPE ? -EADDRINUSE : rc;
}

static int server_bind(int fd, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	mode_t umask_was;
	int rc;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(sun.sun_path, path);
	rc = server_remove_stale(&sun);
	if (rc)
		return rc;
	umask_was = umask(0177);
	rc = bind(fd, (struct sockaddr *)&sun, sizeof(sun)) ? -errno : 0;
	umask(umask_was);
	return rc;
}

static int server_bind_default(int fd, char *used, size_t size)
{
	int rc = -EADDRINUSE;

	for (int i = 1; rc && i <= SERVER_DEFAULT_PATHS; i++) {
		snprintf(used, size, SERVER_DEFAULT_PATH, i);
		rc = server_bind(fd, used);
	}
	return rc;
}

/**
 * server_listen() - Make the socket that the hypervisor connects to
 * @path:	where, or "": the first free default name
 * @used:	where to store the path that was taken
 * @size:	bytes there, at least those of sun_path
 *
 * Its mode is 0600 whatever the umask. A stale socket of that name is replaced,
 * and so is an empty file.
 * Clients are refused until server_start().
 *
 * Return: descriptor, or a negative error code, -EADDRINUSE for a path that is
 * in use, by a socket or anything else
 */
int server_listen(const char *path, char *used, size_t size)
{
	int fd, rc;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (*path) {
		rc = snprintf(used, size, "%s", path) >= (int)size ?
		     -ENAMETOOLONG : server_bind(fd, path);
	} else {
		rc = server_bind_default(fd, used, size);
	}
	if (!rc)
		return fd;
	close(fd);
	return rc;
}
