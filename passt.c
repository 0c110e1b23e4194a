// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * passt: main(): the start-up order, and the one epoll loop
 *
 *	what the user wants	conf_parse()
 *	pasta: the namespace	found, or made with a command that waits in it
 *	open what is needed	log, capture, PID file; then root is somebody else
 *	the modules, bottom up	loop, guest, flow, forwarding, link, TCP, ...
 *	no root any more	all is made that a failed start would have to remove
 *	leave the host		namespaces, empty root, no capabilities
 *	background		the foreground process ends when all is ready
 *	last			no new privileges, no files, system call filter; the loop
 *
 * A turn of the loop:
 *
 *	+-> sleep -> due timers -> dispatch events -> flush link -> reap flows -+
 *	+-----------------------------------------------------------------------+
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "conf_host.h"
#include "flow.h"
#include "frame_out.h"
#include "fwd.h"
#include "fwd_socket.h"
#include "fwd_listen.h"
#include "guard/isolation.h"
#include "guard/seccomp.h"
#include "guest.h"
#include "host/command.h"
#include "host/nssock.h"
#include "icmp.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/pcap.h"
#include "lib/stats.h"
#include "link/capture.h"
#include "link/link.h"
#include "link/server.h"
#include "link/stream.h"
#include "link/vhost_user.h"
#include "pasta.h"
#include "serve/arp.h"
#include "serve/dhcp.h"
#include "serve/dhcpv6.h"
#include "serve/ndp.h"
#include "tap.h"
#include "tcp.h"
#include "udp.h"

/** How often a pipe is tried that nobody reads yet, nanoseconds */
#define PASST_READER_POLL	(10 * 1000 * 1000)

/**
 * struct passt_file - a file that we made and remove at the end
 * @dir:	descriptor of its directory; -1: there is no such file
 * @ours:	it is there, and made or written by us
 * @name:	its name in the directory
 */
struct passt_file {
	int dir;
	bool ours;
	char name[CONF_PATH_MAX];
};

static struct passt_file passt_socket = { .dir = -1 };
static struct passt_file passt_pid = { .dir = -1 };
/* These stay, unless the start fails */
static struct passt_file passt_log = { .dir = -1 };
static struct passt_file passt_pcap = { .dir = -1 };
/* We are root, and act as somebody else for now */
static bool passt_lent;
static int passt_pid_fd = -1;
static char passt_path[sizeof(((struct conf *)0)->socket)];
static struct watch passt_signals;
static struct watch passt_clock;
static struct timer passt_stats;
static usec_t passt_stats_interval;
static bool passt_ending;

/*
 * Remember how to remove a file once the root is empty; one of ours that could
 * not be removed then is removed now
 */
static void passt_file_note(struct passt_file *f, const char *path, bool ours)
{
	const char *slash = strrchr(path, '/');
	char dir[CONF_PATH_MAX] = ".";
	int dir_error;

	if (slash)
		snprintf(dir, sizeof(dir), "%.*s",
			 slash == path ? 1 : (int)(slash - path), path);
	snprintf(f->name, sizeof(f->name), "%s", slash ? slash + 1 : path);
	f->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	f->ours = ours;
	if (f->dir >= 0)
		return;
	dir_error = errno;
	if (ours)
		unlink(path);
	die("%s: %s", path, strerror(dir_error));
}

/* Where there is no such file, an empty one: opening it says what is wrong */
static void passt_file_make(struct passt_file *f, const char *path)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	close(fd);
	passt_file_note(f, path, true);
}

static void passt_file_keep(struct passt_file *f)
{
	if (f->dir >= 0)
		close(f->dir);
	f->dir = -1;
}

static void passt_file_remove(struct passt_file *f)
{
	if (f->dir >= 0 && f->ours)
		unlinkat(f->dir, f->name, 0);
	f->dir = -1;
}

/* Root's way to make what its user may not; otherwise nothing changes */
static void passt_unlend(void)
{
	if (passt_lent)
		isolation_return();
	passt_lent = false;
}

/* Nothing half-made is left behind by a start that failed */
static void passt_cleanup(void)
{
	passt_unlend();
	passt_file_remove(&passt_socket);
	passt_file_remove(&passt_pid);
	passt_file_remove(&passt_pcap);
	passt_file_remove(&passt_log);
}

static void passt_end(void)
{
	passt_ending = true;
}

static void passt_on_signal(struct watch *w, uint32_t events, usec_t now)
{
	struct signalfd_siginfo info;

	(void)events;
	(void)now;
	if (read(w->fd, &info, sizeof(info)) != sizeof(info) ||
	    command_signal(&info))
		return;
	debug("Signal %u, ending", info.ssi_signo);
	passt_end();
}

/* Only wakes the loop: due timers have run when this is called */
static void passt_on_clock(struct watch *w, uint32_t events, usec_t now)
{
	(void)w;
	(void)events;
	(void)now;
}

static void passt_on_stats(struct timer *t, usec_t now)
{
	stats_print();
	timer_arm(t, now + passt_stats_interval);
}

static void passt_rlimit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

/*
 * What ends us. Two of the terminal's are left out where whoever starts us has
 * them ignored: nohup(1), a shell that puts us into the background.
 */
static sigset_t passt_signals_end(void)
{
	static const int terminal[] = { SIGHUP, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	for (unsigned i = 0; i < 2; i++) {
		struct sigaction sa = { .sa_handler = SIG_DFL };

		if (!sigaction(terminal[i], NULL, &sa) &&
		    sa.sa_handler != SIG_IGN)
			sigaddset(&set, terminal[i]);
	}
	return set;
}

/* From before anything is made that a signal's default action would leave */
static sigset_t passt_signals_block(void)
{
	sigset_t set = passt_signals_end();

	command_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* Log and capture end at RLIMIT_FSIZE, not we */
	signal(SIGXFSZ, SIG_IGN);
	return set;
}

/*
 * After fork() only: a signalfd tells the epoll instance of the signals of the
 * process that added it. In the background there is no terminal to hang up.
 */
static void passt_signals_init(const struct conf *c)
{
	sigset_t set = passt_signals_block();

	if (!c->foreground)
		sigdelset(&set, SIGHUP);
	passt_signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	passt_signals.fn = passt_on_signal;
	if (passt_signals.fd < 0 || loop_add(&passt_signals, EPOLLIN) < 0)
		die("Cannot watch for signals: %s", strerror(errno));
}

static void passt_loop_init(const struct conf *c, usec_t now)
{
	int rc;

	rc = loop_init();
	if (rc < 0)
		die("Cannot create an epoll instance: %s", strerror(-rc));
	passt_clock.fd = timer_init(now);
	passt_clock.fn = passt_on_clock;
	if (passt_clock.fd < 0)
		die("Cannot create a timer: %s", strerror(-passt_clock.fd));
	/* Edge-triggered: each expiry wakes once, and nothing need be read */
	rc = loop_add(&passt_clock, EPOLLIN | EPOLLET);
	if (rc < 0)
		die("Cannot watch the timer: %s", strerror(-rc));

	passt_stats_interval = c->stats_sec * USEC_PER_SEC;
	passt_stats.fn = passt_on_stats;
	if (c->stats_sec)
		timer_arm(&passt_stats, now + passt_stats_interval);
}

/*
 * Our link-local address, which is the guest's router: the gateway's where that
 * is one, else EUI-64 of our MAC (RFC 4291 appendix A)
 */
static struct addr passt_link_local(const struct conf *c)
{
	const struct addr *gateway = &c->family[CONF_V6].gateway;
	const uint8_t *mac = c->mac;

	if (addr_is_link_local6(gateway))
		return *gateway;
	return (struct addr){ { 0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2],
				0xff, 0xfe, mac[3], mac[4], mac[5] } };
}

static void passt_guest_init(const struct conf *c)
{
	struct guest_conf g = { .addr4 = c->family[CONF_V4].addr,
				.addr6 = c->family[CONF_V6].addr,
				.our_ll = passt_link_local(c) };

	memcpy(g.our_mac, c->mac, sizeof(g.our_mac));
	guest_init(&g);
	if (c->mode == MODE_PASTA)
		pasta_guest();
}

/*
 * In a directory that only root may write to, root makes the socket, for a
 * hypervisor that is root's
 */
static int passt_listen(const struct conf *c)
{
	int fd = server_listen(c->socket, passt_path, sizeof(passt_path));

	if (fd == -EACCES && passt_lent) {
		passt_unlend();
		fd = server_listen(c->socket, passt_path, sizeof(passt_path));
		passt_lent = isolation_lend(c->uid, c->gid);
	}
	if (fd < 0)
		die("--socket %s: %s", *c->socket ? c->socket : "(default)",
		    strerror(-fd));
	passt_file_note(&passt_socket, passt_path, true);
	return fd;
}

static const struct link_ops *passt_link(const struct conf *c)
{
	struct server_conf s = { .listen_fd = -1, .fd = c->fd,
				 .one_off = c->one_off, .stop = passt_end };

	if (c->fd < 0)
		s.listen_fd = passt_listen(c);
	return c->vhost_user ? vhost_user_init(&s) : stream_init(&s);
}

static void passt_link_init(const struct conf *c, int pcap_fd)
{
	const struct link_ops *ops = c->mode == MODE_PASTA ?
				     pasta_link(passt_end) : passt_link(c);

	if (pcap_fd >= 0)
		ops = capture_wrap(ops, pcap_fd);
	link_init(ops, tap_events());
}

static void passt_link_start(const struct conf *c, usec_t now)
{
	int rc = 0;

	if (c->mode == MODE_PASTA)
		pasta_watch(now);
	else
		rc = server_start(now);
	if (rc)
		die("Cannot wait for clients: %s", strerror(-rc));
	/* What a guest that is there already is told */
	link_flush();
}

/* Each module from the floor up; the socket and the ports are bound here */
static void passt_modules_init(const struct conf *c, int pcap_fd, usec_t now)
{
	passt_loop_init(c, now);
	passt_guest_init(c);
	flow_init();
	frame_out_init(c->mtu);
	fwd_init(c);
	fwd_socket_init(c);
	passt_link_init(c, pcap_fd);
	tap_init(c);
	arp_init(c);
	dhcp_init(c);
	dhcpv6_init(c);
	ndp_init(c);
	/* Each has said what failed; one clear line is enough */
	if (tcp_init(c, now) < 0 || udp_init(c, now) < 0 ||
	    icmp_init(c, now) < 0)
		exit(EXIT_FAILURE);
	if (c->mode == MODE_PASTA)
		pasta_ports_start(now);
}

/*
 * A pipe that somebody reads by now, to be held until it is opened by whoever
 * writes to it; -1: no pipe. It is waited for until we are told to end.
 */
static int passt_await_reader(const char *option, const char *path)
{
	static const struct timespec wait = { .tv_nsec = PASST_READER_POLL };
	const sigset_t end = passt_signals_end();
	struct stat st;
	int fd;

	if (stat(path, &st) || !S_ISFIFO(st.st_mode))
		return -1;
	while ((fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0 &&
	       errno == ENXIO) {
		if (sigtimedwait(&end, NULL, &wait) > 0)
			die("%s %s: nobody reads it", option, path);
	}
	return fd;
}

/*
 * Opened while we may, written once ready: what stands in it until then may be
 * another daemon's, and stays if we fail
 */
static void passt_pid_open(const char *path)
{
	struct stat st;
	int fd, reader;
	bool made;

	if (!*path)
		return;
	reader = passt_await_reader("--pid", path);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	made = fd >= 0;
	if (!made && errno == EEXIST)
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		die("--pid %s: %s", path, strerror(errno));
	if (reader >= 0)
		close(reader);
	if (made || (!fstat(fd, &st) && S_ISREG(st.st_mode)))
		passt_file_note(&passt_pid, path, made);
	passt_pid_fd = fd;
}

/*
 * A daemon that was told to end, and not waited for, may have removed the file
 * since we opened it: it was its own
 */
static void passt_pid_renew(void)
{
	struct stat st;
	int fd;

	if (passt_pid.dir < 0 || fstat(passt_pid_fd, &st) || st.st_nlink)
		return;
	fd = openat(passt_pid.dir, passt_pid.name,
		    O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	close(passt_pid_fd);
	passt_pid_fd = fd;
}

/* 0, or a negative error code */
static int passt_pid_write(pid_t pid)
{
	if (passt_pid_fd < 0)
		return 0;
	passt_pid_renew();
	/* Pipes and devices cannot be cut short, nor need to be */
	if (ftruncate(passt_pid_fd, 0) && errno != EINVAL)
		return -errno;
	if (dprintf(passt_pid_fd, "%i\n", pid) < 0)
		return -errno;
	passt_pid.ours = true;
	close(passt_pid_fd);
	return 0;
}

static void passt_pid_write_own(const struct conf *c)
{
	int rc = passt_pid_write(getpid());

	if (rc)
		die("--pid %s: %s", c->pid_file, strerror(-rc));
}

/*
 * Only now: a start that fails says why, and nothing else. Around a command
 * there is nothing to say.
 */
static void passt_tell(const struct conf *c)
{
	bool quiet = c->mode == MODE_PASTA && c->ns.form == CONF_NS_COMMAND;

	conf_host_describe(c->family,
			   quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
			   c->dhcp_dns);
	if (c->migration)
		info("Live migration is not there yet: --repair-path, "
		     "--migrate-exit and --migrate-no-linger have no effect");
	if (*passt_path)
		info("UNIX domain socket bound at %s", passt_path);
}

static int passt_pcap_open(const struct conf *c)
{
	int fd, reader;

	if (!*c->pcap)
		return -1;
	passt_file_make(&passt_pcap, c->pcap);
	reader = passt_await_reader("--pcap", c->pcap);
	fd = pcap_open(c->pcap);
	if (fd < 0)
		die("--pcap %s: %s", c->pcap, strerror(-fd));
	if (reader >= 0)
		close(reader);
	return fd;
}

static void passt_log_open(const struct conf *c)
{
	int rc;

	log_stderr_own();
	if (!*c->log_file)
		return;
	passt_file_make(&passt_log, c->log_file);
	rc = log_file_open(c->log_file, c->log_size);
	if (rc < 0)
		die("--log-file %s: %s", c->log_file, strerror(-rc));
}

/* What was to end us while the daemon started is to end that, too */
static void passt_foreground_ended(pid_t pid)
{
	const sigset_t end = passt_signals_end();
	sigset_t early;

	sigpending(&early);
	sigandset(&early, &early, &end);
	if (sigisemptyset(&early))
		return;
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	sigprocmask(SIG_UNBLOCK, &early, NULL);
	_exit(EXIT_FAILURE);
}

/*
 * What is left of the foreground process: it ends with 0 once the child says
 * that it is ready, or with 1 where the child ends before that. It writes the
 * PID, which it knows as the host does.
 */
static void passt_foreground(const struct conf *c, int ready_fd, pid_t pid)
{
	ssize_t n;
	char byte;
	int rc;

	n = read(ready_fd, &byte, 1);
	rc = n < 0 ? -errno : n ? passt_pid_write(pid) : 0;
	if (n > 0 && !rc) {
		passt_foreground_ended(pid);
		_exit(EXIT_SUCCESS);
	}
	if (!n)
		exit(EXIT_FAILURE);
	kill(pid, SIGTERM);
	if (n < 0)
		die("Cannot wait for the daemon: %s", strerror(-rc));
	die("--pid %s: %s", c->pid_file, strerror(-rc));
}

/* Go on in the background; returns where to say that all is ready */
static int passt_background(const struct conf *c)
{
	int ready[2];
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		die("Cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("Cannot go to the background: %s", strerror(errno));
	close(ready[pid ? 1 : 0]);
	if (pid)
		passt_foreground(c, ready[0], pid);
	setsid();
	return ready[1];
}

/*
 * Whoever starts us may have closed them: what we open must not take the place
 * of the standard streams
 */
static void passt_streams_open(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

static void passt_streams_to_null(int null)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup3(null, fd, 0);
}

/* No error may be left unsaid, but around a command there is nothing to say */
static void passt_say_files(const struct conf *c, bool own_root, int rc)
{
	if (!own_root)
		warn("No Landlock (%s): the socket and the PID file will stay "
		     "behind", strerror(-rc));
	else if (c->mode == MODE_PASTA && c->ns.form == CONF_NS_COMMAND)
		debug("No Landlock: %s", strerror(-rc));
	else
		info("No Landlock (%s): the empty root and the system call "
		     "filter alone keep files away", strerror(-rc));
}

/*
 * From here on the daemon can do what its table says, and no more. Where nothing
 * but the filter stands between it and the user's files, it removes none.
 */
static void passt_lock(const struct conf *c, bool own_root)
{
	const int dirs[] = { passt_socket.dir, passt_pid.dir };
	struct seccomp_how filter = {
		.table = c->mode == MODE_PASTA ? SECCOMP_PASTA :
			 c->vhost_user ? SECCOMP_VHOST_USER : SECCOMP_PASST,
		.tell = log_enabled(LOG_LEVEL_DEBUG) };
	int rc = isolation_late(&(struct isolation_end){
		.dirs = dirs, .count = 2, .signals = c->mode == MODE_PASTA });

	if (rc)
		passt_say_files(c, own_root, rc);
	filter.no_removal = rc && !own_root;
	if (filter.no_removal) {
		passt_file_keep(&passt_socket);
		passt_file_keep(&passt_pid);
	}
	rc = seccomp_apply(&filter);
	if (rc)
		die("Cannot apply the system call filter: %s", strerror(-rc));
}

/* All went well: the foreground process may end; nobody reads stderr now */
static void passt_ready(int ready_fd, int null)
{
	passt_file_keep(&passt_log);
	passt_file_keep(&passt_pcap);
	if (ready_fd >= 0) {
		passt_pid.ours = true;
		close(passt_pid_fd);
		/* EPIPE: the foreground process has ended, and said why */
		if (write(ready_fd, "", 1) != 1) {
			if (errno != EPIPE)
				err("Cannot say that all is ready: %s",
				    strerror(errno));
			passt_end();
		}
		log_stderr_off();
		close(ready_fd);
		passt_streams_to_null(null);
	}
	close(null);
}

static void passt_run(void)
{
	while (!passt_ending) {
		usec_t now;
		int n;

		timer_sleep();
		n = loop_wait(-1);
		now = clock_now();
		timer_run(now);
		loop_dispatch(n, now);
		link_flush();
		flow_reap();
	}
}

/* What was inherited and is not passed on; pasta's command has it all */
static void passt_inherit(const struct conf *c, mode_t mask)
{
	int keep[PASTA_FDS + 1] = { c->fd };
	unsigned n = 1;

	if (c->mode == MODE_PASTA)
		n += pasta_open(c, mask, keep + 1);
	isolation_early(keep, n);
}

/**
 * main() - Entry point
 * @argc:	number of arguments
 * @argv:	arguments
 * Return: 0 after a signal that ends us, the one client's or the namespace's
 * end; the exit status of pasta's command; 1 where it cannot start, said on
 * stderr
 */
int main(int argc, char **argv)
{
	int pcap_fd, null, ready = -1;
	const struct conf *c;
	bool own_root;
	mode_t mask;
	usec_t now;

	mask = umask(0077);
	passt_streams_open();
	c = conf_parse(argc, argv);
	passt_inherit(c, mask);
	atexit(passt_cleanup);
	passt_signals_block();
	passt_rlimit();

	passt_log_open(c);
	passt_pid_open(c->pid_file);
	pcap_fd = passt_pcap_open(c);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (c->mode == MODE_PASTA)
		pasta_enter(c);

	now = clock_now();
	passt_lent = isolation_lend(c->uid, c->gid);
	passt_modules_init(c, pcap_fd, now);
	passt_unlend();
	isolation_user(c->uid, c->gid);
	if (!c->foreground && !*c->log_file)
		log_to_syslog();
	passt_tell(c);

	own_root = isolation_enter(&(struct isolation){
		.pid_namespace = !c->foreground,
		.chroot_fallback = c->chroot_fallback });
	if (c->foreground)
		passt_pid_write_own(c);
	else
		ready = passt_background(c);
	passt_signals_init(c);
	passt_link_start(c, now);
	passt_lock(c, own_root);
	if (c->mode == MODE_PASTA)
		pasta_release();
	passt_ready(ready, null);
	passt_run();
	/* What the next one wants, before what takes its time */
	fwd_listen_stop();
	passt_cleanup();
	flow_stop(clock_now());
	link_close();
	nssock_stop();
	return command_status();
}
