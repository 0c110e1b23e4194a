// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * command: a command in namespaces of its own
 *
 *	the daemon                      init, PID 1 of the new PID namespace
 *	    |--- clone() ------------------->|
 *	    | UID and GID maps               | waits
 *	    |--- MAPPED -------------------->| root, a /proc of its own
 *	    | sets up the network            | waits
 *	    |--- GO ------------------------>|--- fork() ----> the command
 *	    | signals sent to us ----------->|--------------------->|
 *	    |                                | reaps orphans        |
 *	    | pidfd: ended, status <---------| its status <---------| ends
 *
 * All are in one process group: what is typed at the terminal reaches the
 * command as it would without us, and the daemon and init take no notice. When
 * the command has stopped, and not before, the daemon does: a shell that waits
 * for us would else read from the terminal while the command still does. What
 * init says next, or its end, lets the daemon go on: by a SIGCONT of the kernel's
 * for our end of the socket (F_SETSIG), as a stopped process hears of nothing
 * else. The command runs with the signals, limits, umask and descriptors that we were
 * started with. When init ends the kernel ends all else in its PID namespace;
 * init is killed when the daemon dies. Without a PID namespace, what is cloned
 * becomes the command itself.
 *
 * State: the command's pidfd, our end of its socket, its terminal and our
 * process group.
 *
 * Sources: user_namespaces(7), pid_namespaces(7), pidfd_open(2), POSIX Shell
 * 2.8.2 (exit status).
 */
#include "host/command.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard/isolation.h"
#include "lib/log.h"
#include "lib/loop.h"

/* As a shell says it */
#define COMMAND_CANNOT_RUN	126
#define COMMAND_NOT_FOUND	127
#define COMMAND_SIGNALLED	128

/** When init says once more that the command goes on, seconds */
#define COMMAND_AGAIN		1

/**
 * struct command_origin - what the command starts with, as we did
 * @mask:	signal mask
 * @child:	what SIGCHLD did
 */
struct command_origin {
	sigset_t mask;
	struct sigaction child;
};

static int command_pidfd = -1;
static int command_go = -1;
static int command_tty = -1;
static pid_t command_group;
/* Our process group had the terminal */
static bool command_foreground;
/* We lead the session: if the terminal goes, the kernel tells nobody else */
static bool command_leads;
static struct watch command_end, command_stopped;
static void (*command_ended)(void);

/*
 * What we and init pass on where a process sent it: the kernel's are of the
 * terminal, and reach the command anyway, or wake a stopped daemon
 */
static const int command_passed[] = {
	SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2,
	SIGTSTP, SIGTTIN, SIGCONT,
};

#define COMMAND_PASSED	(sizeof(command_passed) / sizeof(command_passed[0]))

static bool command_passes(int signo, int code)
{
	for (unsigned i = 0; i < COMMAND_PASSED; i++) {
		if (command_passed[i] == signo)
			return code <= 0;
	}
	return false;
}

/* ---- in the new namespaces ---- */

/* Whether the search path leads to a file of that name, or the name has one */
static bool command_exists(const char *name)
{
	const char *dir = getenv("PATH");
	char path[4096];

	if (!*name)
		return false;
	if (strchr(name, '/'))
		return !access(name, F_OK);
	while (dir) {
		int len = (int)strcspn(dir, ":");

		snprintf(path, sizeof(path), "%.*s/%s", len, dir, name);
		if (!access(path, F_OK))
			return true;
		dir = dir[len] ? dir + len + 1 : NULL;
	}
	return false;
}

/*
 * Says why the command does not run; returns the status for it. A directory on
 * the search path that we may not look at is no reason (EACCES).
 */
static int command_refused(const char *name, int error)
{
	if (!command_exists(name) && (error == ENOENT || error == EACCES)) {
		err("%s: command not found", name);
		return COMMAND_NOT_FOUND;
	}
	err("%s: cannot be run: %s", name, strerror(error));
	return COMMAND_CANNOT_RUN;
}

static void command_exec(const struct command *c,
			 const struct command_origin *o)
{
	char *shell[] = { getenv("SHELL"), NULL };
	char *const *argv = c->argv;

	if (!argv) {
		if (!shell[0] || !*shell[0])
			shell[0] = (char *)(uintptr_t)"/bin/sh";
		argv = shell;
	}
	umask(c->umask);
	sigaction(SIGCHLD, &o->child, NULL);
	sigprocmask(SIG_SETMASK, &o->mask, NULL);
	execvp(argv[0], argv);
	_exit(command_refused(argv[0], errno));
}

/* Nobody waits in vain for the end of a pipe that we, too, have open */
static void command_streams(int last)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	for (int fd = STDIN_FILENO; fd <= last; fd++)
		dup2(null, fd);
	close(null);
}

/* What comes from the daemon is told of by SIGIO */
static void command_init_files(int fd)
{
	int keep = fd;

	command_streams(STDERR_FILENO);
	isolation_early(&keep, 1);
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK);
}

/* An exit status for what waitpid() says */
static int command_exit_status(int status)
{
	return WIFSIGNALED(status) ? COMMAND_SIGNALLED + WTERMSIG(status) :
				     WEXITSTATUS(status);
}

/*
 * Everything that ended; ends as the command did, and tells whether it has
 * stopped or goes on. Return: the last such word is that it goes on; @on: none
 */
static bool command_init_reap(pid_t command, int fd, bool on)
{
	const int how = WNOHANG | WUNTRACED | WCONTINUED;
	unsigned char stopped = !on;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, how)) > 0) {
		if (pid != command)
			continue;
		stopped = WIFSTOPPED(status);
		if (!stopped && !WIFCONTINUED(status))
			_exit(command_exit_status(status));
		send(fd, &stopped, 1, MSG_NOSIGNAL);
	}
	return !stopped;
}

/*
 * Signals that the daemon may not send itself, as it has become somebody else;
 * and its end, of which we are not told otherwise then
 */
static void command_init_told(pid_t command, int fd)
{
	unsigned char signo;
	ssize_t n;

	while ((n = read(fd, &signo, 1)) == 1)
		kill(command, signo);
	if (!n)
		_exit(EXIT_FAILURE);
}

/* What was typed before there was a command that the terminal could tell */
static void command_init_typed(pid_t command, const sigset_t *early)
{
	const struct timespec now = { 0 };

	for (unsigned i = 0; i < COMMAND_PASSED; i++) {
		int signo = command_passed[i];
		sigset_t one;

		if (!sigismember(early, signo))
			continue;
		sigemptyset(&one);
		sigaddset(&one, signo);
		sigtimedwait(&one, NULL, &now);
		kill(command, signo);
	}
}

/*
 * That the command goes on is said once more: the word may have come, and woken
 * nobody, when the daemon was just about to stop
 */
static void command_init(pid_t command, int fd, const sigset_t *early)
{
	static const struct timespec later = { .tv_sec = COMMAND_AGAIN };
	bool again = false;
	sigset_t all;
	siginfo_t info;

	sigfillset(&all);
	command_init_typed(command, early);
	command_init_files(fd);
	command_init_told(command, fd);
	for (;;) {
		int signo = sigtimedwait(&all, &info, again ? &later : NULL);

		if (signo == SIGCHLD)
			again = command_init_reap(command, fd, again);
		else if (signo < 0 && errno == EAGAIN)
			again = send(fd, "", 1, MSG_NOSIGNAL) < 0;
		else if (signo == SIGIO)
			command_init_told(command, fd);
		else if (signo > 0 && command_passes(signo, info.si_code))
			kill(command, signo);
	}
}

/* Whatever the daemon says; nothing once it has gone */
static void command_wait(int fd)
{
	char byte;
	ssize_t n;

	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(EXIT_FAILURE);
}

static void command_mount_proc(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  NULL))
		warn("The command sees the host's processes in /proc: %s",
		     strerror(errno));
}

/* Ping without privileges, for every group of the namespace */
static void command_allow_ping(void)
{
	int fd = open("/proc/sys/net/ipv4/ping_group_range",
		      O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "0 0", 3) != 3)
		debug("No ping sockets in the namespace: %s", strerror(errno));
	close(fd);
}

static bool command_has_name(const struct command *c)
{
	return c->hostname && *c->hostname;
}

static void command_set_name(const struct command *c)
{
	if (sethostname(c->hostname, strlen(c->hostname)))
		warn("The command's host name is not %s: %s", c->hostname,
		     strerror(errno));
}

/* What was cloned: init or, where it shares our PID namespace, the command */
static void command_cloned(const struct command *c,
			   const struct command_origin *o, int fd)
{
	sigset_t early;
	pid_t pid;

	command_wait(fd);
	if (!c->same_user && (setresgid(0, 0, 0) || setresuid(0, 0, 0)))
		_exit(EXIT_FAILURE);
	/* Changing the user clears it; if too late, the socket has closed */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!c->same_pids)
		command_mount_proc();
	if (command_has_name(c))
		command_set_name(c);
	command_allow_ping();
	command_wait(fd);

	sigpending(&early);
	pid = c->same_pids ? 0 : fork();
	if (!pid)
		command_exec(c, o);
	if (pid < 0) {
		err("Cannot make a process: %s", strerror(errno));
		_exit(COMMAND_CANNOT_RUN);
	}
	command_init(pid, fd, &early);
}

/* ---- in the daemon ---- */

static int command_write(pid_t pid, const char *name, const char *text)
{
	char path[64];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "/proc/%i/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* Whoever we are is root inside, and nobody else is there */
static int command_map(pid_t pid, uid_t uid, gid_t gid)
{
	char text[64];
	int rc;

	snprintf(text, sizeof(text), "0 %u 1\n", uid);
	rc = command_write(pid, "uid_map", text);
	if (rc)
		return rc;
	rc = command_write(pid, "setgroups", "deny");
	if (rc && rc != -ENOENT)
		return rc;
	snprintf(text, sizeof(text), "0 %u 1\n", gid);
	return command_write(pid, "gid_map", text);
}

static int command_open_ns(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%i/ns/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("Cannot open the command's namespaces: %s",
		    strerror(errno));
	return fd;
}

/* Our terminal, whichever stream it is, or none; -1 where there is none */
static int command_open_tty(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (tcgetpgrp(fd) >= 0)
			return fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	return open("/dev/tty", O_RDWR | O_CLOEXEC);
}

/* Our terminal, and whether we are in its foreground */
static void command_note_tty(void)
{
	command_group = getpgrp();
	command_leads = getsid(0) == getpid();
	command_tty = command_open_tty();
	command_foreground = command_tty >= 0 &&
			     tcgetpgrp(command_tty) == command_group;
}

/* As fork(), into new namespaces; or a negative error code */
static pid_t command_clone(const struct command *c, unsigned long flags)
{
	pid_t pid;

	flags |= SIGCHLD | CLONE_NEWNET;
	if (!c->same_user)
		flags |= CLONE_NEWUSER;
	if (!c->same_pids)
		flags |= CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC |
			 CLONE_NEWUTS;
	if (command_has_name(c))
		flags |= CLONE_NEWUTS;
	pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, 0);
	return pid < 0 ? -errno : pid;
}

/*
 * The same from within a user namespace, by a process that joins it for that:
 * its child is ours. Its PID comes through a pipe.
 */
static pid_t command_clone_in(const struct command *c, int userns)
{
	pid_t between, pid;
	int fd[2], status;

	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	between = fork();
	if (between < 0)
		return -errno;
	if (!between) {
		netns_enter_user(userns, c->userns);
		pid = command_clone(c, CLONE_PARENT);
		if (!pid)
			return 0;
		_exit(write(fd[1], &pid, sizeof(pid)) != sizeof(pid));
	}
	close(fd[1]);
	/* It has said why it cannot, if so */
	if (waitpid(between, &status, 0) < 0 || status ||
	    read(fd[0], &pid, sizeof(pid)) != sizeof(pid))
		exit(EXIT_FAILURE);
	close(fd[0]);
	return pid;
}

/* What may be behind it, where the error alone misleads */
static const char *command_hint(const struct command *c, int rc)
{
	return rc == -ENOSPC ? ", see the sysctls user.max_*_namespaces" :
	       rc == -EPERM && !c->same_user ?
	       ", this host may keep user namespaces from its users" : "";
}

static pid_t command_spawn(const struct command *c, int userns)
{
	struct command_origin o;
	sigset_t all;
	int fd[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		die("Cannot make a socket pair: %s", strerror(errno));
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &o.mask);
	sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = SIG_DFL },
		  &o.child);
	pid = userns < 0 ? command_clone(c, 0) : command_clone_in(c, userns);
	if (!pid) {
		close(fd[0]);
		command_cloned(c, &o, fd[1]);
	}
	sigprocmask(SIG_SETMASK, &o.mask, NULL);
	close(fd[1]);
	command_go = fd[0];
	if (pid < 0)
		die("Cannot make namespaces for the command: %s%s",
		    strerror(-pid), command_hint(c, pid));
	command_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (command_pidfd < 0)
		die("Cannot watch the command: %s", strerror(errno));
	return pid;
}

/**
 * command_start() - Make the namespaces, and in them what waits to run a command
 * @c:		what to run
 * @ns:		filled in: the new network namespace
 *
 * To be called before signals, limits and descriptors are changed; standard
 * input and output are the command's alone from now on. As the
 * machine's root the command runs as @c->uid, to whom the namespaces belong.
 * What waits ends when we do.
 */
void command_start(const struct command *c, struct netns *ns)
{
	int userns = *c->userns ? netns_open_user(c->userns) : -1;
	/* Whoever may join another one is root in it */
	bool lent = userns < 0 && isolation_lend(c->uid, c->gid);
	uid_t uid = geteuid();
	gid_t gid = getegid();
	pid_t pid;
	int rc;

	command_note_tty();
	pid = command_spawn(c, userns);
	if (lent)
		isolation_return();
	rc = c->same_user ? 0 : command_map(pid, uid, gid);
	if (rc)
		die("Cannot map user and group: %s%s", strerror(-rc),
		    command_hint(c, rc));
	*ns = (struct netns){
		.net = command_open_ns(pid, "net"),
		.user = c->same_user ? userns : command_open_ns(pid, "user"),
		.pid = -1,
		.name = "The command's network namespace",
	};
	command_release();
	command_streams(STDOUT_FILENO);
	/* Our writes to the terminal, and the last word on it, stop nobody */
	signal(SIGTTOU, SIG_IGN);
}

/**
 * command_fds() - What must stay open
 * @fds:	filled in, room for COMMAND_FDS; negative ones are none
 * Return: how many
 */
unsigned command_fds(int *fds)
{
	const int all[COMMAND_FDS] = { command_pidfd, command_go, command_tty };

	memcpy(fds, all, sizeof(all));
	return COMMAND_FDS;
}

/**
 * command_release() - Let the command begin: the network is ready
 */
void command_release(void)
{
	if (command_go < 0 || send(command_go, "", 1, MSG_NOSIGNAL) == 1)
		return;
	/* If it has gone its pidfd says so; else it would wait for ever */
	if (errno != EPIPE && errno != ECONNRESET)
		die("Cannot let the command begin: %s", strerror(errno));
	debug("The command has gone");
}

static void command_on_end(struct watch *w, uint32_t events, usec_t now)
{
	(void)events;
	(void)now;
	loop_del(w);
	command_ended();
}

/* At a terminal, whoever started us is to see that the command has stopped */
static void command_stop(void)
{
	if (command_tty >= 0)
		raise(SIGSTOP);
}

/* The last word counts; root inside can trace init, and say very many */
static void command_on_stop(struct watch *w, uint32_t events, usec_t now)
{
	unsigned char stopped[64];
	ssize_t n = recv(w->fd, stopped, sizeof(stopped), MSG_DONTWAIT);

	(void)events;
	(void)now;
	if (n <= 0)
		loop_del(w);
	else if (stopped[n - 1])
		command_stop();
}

/* A stopped process goes on when something comes, or the other end closes */
static void command_wake_by(int fd)
{
	/* not by SIGIO, which would end it */
	if (!fcntl(fd, F_SETOWN, getpid()) && !fcntl(fd, F_SETSIG, SIGCONT))
		fcntl(fd, F_SETFL, O_ASYNC);
}

/**
 * command_watch() - Tell of the command's end
 * @ended:	called once in the loop
 * Return: 0, or a negative error code; 0 as well where there is no command
 */
int command_watch(void (*ended)(void))
{
	int rc;

	if (command_pidfd < 0)
		return 0;
	command_ended = ended;
	command_end.fd = command_pidfd;
	command_end.fn = command_on_end;
	command_stopped.fd = command_go;
	command_stopped.fn = command_on_stop;
	command_wake_by(command_go);
	rc = loop_add(&command_end, EPOLLIN);
	return rc ? rc : loop_add(&command_stopped, EPOLLIN);
}

/**
 * command_signals() - Which signals command_signal() is to be told of
 * @set:	they are added to it
 * Return: whether there is a command
 */
bool command_signals(sigset_t *set)
{
	if (command_pidfd < 0)
		return false;
	for (unsigned i = 0; i < COMMAND_PASSED; i++)
		sigaddset(set, command_passed[i]);
	sigaddset(set, SIGCHLD);
	return true;
}

/* The command as our own child, without an init */
static void command_child(void)
{
	siginfo_t info = { 0 };

	if (!waitid((idtype_t)P_PIDFD, (id_t)command_pidfd, &info,
		    WSTOPPED | WNOHANG) && info.si_pid)
		command_stop();
}

/**
 * command_signal() - Pass a signal on to the command
 * @info:	signal that we got; one of the terminal's keys is left out, its
 *		hangup is not where we lead the session
 * Return: whether there is a command, which decides what comes of it
 */
bool command_signal(const struct signalfd_siginfo *info)
{
	int signo = (int)info->ssi_signo;
	unsigned char byte = (unsigned char)signo;
	bool hangup = signo == SIGHUP && command_leads;

	if (command_pidfd < 0)
		return false;
	if (signo == SIGCHLD)
		command_child();
	else if ((hangup || command_passes(signo, info->ssi_code)) &&
		 syscall(SYS_pidfd_send_signal, command_pidfd, signo, NULL, 0))
		send(command_go, &byte, 1, MSG_NOSIGNAL);
	return true;
}

/*
 * A shell that took the terminal gives it back to a process group that it
 * cannot name, where that is outside its PID namespace. Whoever else has it
 * meanwhile keeps it: a shell that put us into the background, say.
 */
static void command_take_terminal(void)
{
	pid_t group = -1;

	if (command_foreground && !ioctl(command_tty, TIOCGPGRP, &group) &&
	    (group <= 0 || (kill(-group, 0) && errno == ESRCH)))
		ioctl(command_tty, TIOCSPGRP, &command_group);
}

/**
 * command_status() - How the command ended
 *
 * Takes the terminal back, if need be.
 *
 * Return: its exit status; 128 and the signal's number where one killed it; 0
 * where there is no command
 */
int command_status(void)
{
	siginfo_t info = { 0 };

	if (command_pidfd < 0)
		return EXIT_SUCCESS;
	if (waitid((idtype_t)P_PIDFD, (id_t)command_pidfd, &info, WEXITED))
		return EXIT_FAILURE;
	command_take_terminal();
	return info.si_code == CLD_EXITED ? info.si_status :
					    COMMAND_SIGNALLED + info.si_status;
}
