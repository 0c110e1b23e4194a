// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * agent.c - run shell commands in the test guest, on request of the host.
 *
 * Speaks over a virtio-serial port, in both directions in messages of a 4-byte
 * big-endian length of what follows, a 4-byte big-endian command number, one
 * type byte, and a body:
 *
 *	x  host to guest   run the body by `sh -c`, several at a time
 *	k  host to guest   kill that command's process group
 *	h  guest to host   the agent has just started (number 0)
 *	o  guest to host   a piece of the command's output, stdout and stderr
 *	e  guest to host   the command ended: 4-byte exit code, 128+N by signal
 *
 * It is the guest's init as well (PID 1), so it reaps whatever dies.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX	64
#define BODY_MAX	65536

struct job {
	uint32_t id;
	pid_t pid;	/* 0: this place is free */
	int fd;		/* read end of its output, -1 after EOF */
	int status;	/* from waitpid(), -1 while it runs */
};

static struct job jobs[JOBS_MAX];
static int port;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void port_write(const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(port, p, len);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			die("agent: write");
		if (n > 0) {
			p += n;
			len -= n;
		}
	}
}

static void send_msg(uint32_t id, char type, const void *body, size_t len)
{
	static char buf[9 + BODY_MAX];
	uint32_t be[2] = { htonl(5 + len), htonl(id) };

	memcpy(buf, be, 8);
	buf[8] = type;
	if (len)
		memcpy(buf + 9, body, len);
	port_write(buf, 9 + len);
}

static int port_read(void *buf, size_t len)
{
	char *p = buf;

	while (len) {
		ssize_t n = read(port, p, len);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			die("agent: read");
		if (n == 0)
			usleep(10000);	/* nobody at the other end yet */
		if (n > 0) {
			p += n;
			len -= n;
		}
	}
	return 0;
}

static void send_exit(uint32_t id, uint32_t code)
{
	code = htonl(code);
	send_msg(id, 'e', &code, sizeof(code));
}

static void job_start(uint32_t id, const char *cmd)
{
	struct job *j = jobs;
	sigset_t none;
	int fds[2];

	while (j < jobs + JOBS_MAX && j->pid)
		j++;
	if (j == jobs + JOBS_MAX || pipe2(fds, O_CLOEXEC)) {
		send_exit(id, 255);
		return;
	}
	j->pid = fork();
	if (j->pid < 0)
		die("agent: fork");
	if (!j->pid) {
		setsid();
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		execl("/bin/sh", "sh", "-c", cmd, NULL);
		_exit(127);
	}
	close(fds[1]);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	j->id = id;
	j->fd = fds[0];
	j->status = -1;
}

static void port_event(void)
{
	static char body[BODY_MAX + 1];
	uint32_t be[2], len, id;
	struct job *j;
	char type;

	port_read(be, sizeof(be));
	port_read(&type, 1);
	len = ntohl(be[0]) - 5;
	id = ntohl(be[1]);
	if (len > BODY_MAX)
		die("agent: message too long");
	port_read(body, len);
	body[len] = 0;
	if (type == 'x')
		job_start(id, body);
	for (j = jobs; type == 'k' && j < jobs + JOBS_MAX; j++)
		if (j->pid && j->id == id)
			kill(-j->pid, SIGKILL);
}

/* A command has ended when it exited; what its background children write
 * later is nobody's */
static void job_event(struct job *j)
{
	char buf[16384];
	ssize_t n;

	while (j->fd >= 0 && (n = read(j->fd, buf, sizeof(buf))) >= 0) {
		if (n)
			send_msg(j->id, 'o', buf, n);
		else
			close(j->fd);
		if (!n)
			j->fd = -1;
	}
	if (j->status < 0)
		return;
	if (j->fd >= 0)
		close(j->fd);
	send_exit(j->id, WIFSIGNALED(j->status) ? 128 + WTERMSIG(j->status) :
						  WEXITSTATUS(j->status));
	j->pid = 0;
}

static void reap(void)
{
	struct job *j;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (j = jobs; j < jobs + JOBS_MAX; j++)
			if (j->pid == pid)
				j->status = status;
}

static void on_child(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	struct pollfd fds[JOBS_MAX + 1];
	struct sigaction sa = { .sa_handler = on_child };
	sigset_t none, chld;
	int i, n;

	port = open(argc > 1 ? argv[1] : "/dev/vport0p1", O_RDWR | O_CLOEXEC);
	if (port < 0)
		die("agent: open");
	sigemptyset(&none);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	sigaction(SIGCHLD, &sa, NULL);
	send_msg(0, 'h', NULL, 0);
	for (;;) {
		fds[0] = (struct pollfd){ .fd = port, .events = POLLIN };
		for (i = 0, n = 1; i < JOBS_MAX; i++, n++)
			fds[n] = (struct pollfd){
				.fd = jobs[i].pid ? jobs[i].fd : -1,
				.events = POLLIN,
			};
		ppoll(fds, n, NULL, &none);
		reap();
		if (fds[0].revents & POLLIN)
			port_event();
		for (i = 0; i < JOBS_MAX; i++)
			if (jobs[i].pid)
				job_event(&jobs[i]);
		if (fds[0].revents & POLLHUP)
			usleep(10000);
	}
}
