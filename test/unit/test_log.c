// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of lib/log.c: stderr is a file here
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "test/unit/unit.h"

static char dir[] = "/tmp/test_log.XXXXXX";
static char said_path[64];
static char file_path[64];

static char *content(const char *path)
{
	static char buf[1 << 18];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);

	buf[n < 0 ? 0 : n] = '\0';
	close(fd);
	return buf;
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

/* What fn() says on stderr; runs it in a child, whose status is left here */
static int status;

static char *said(void (*fn)(void))
{
	pid_t pid;

	fflush(stdout);
	unlink(said_path);
	pid = fork();
	if (!pid) {
		int fd = open(said_path, O_CREAT | O_WRONLY | O_APPEND, 0600);

		dup2(fd, STDERR_FILENO);
		fn();
		_exit(7);
	}
	waitpid(pid, &status, 0);
	return content(said_path);
}

static void say_all(void)
{
	err("an error %d", 1);
	warn("a warning");
	info("a hint");
	debug("an event");
	trace("a packet");
}

static void say_default(void)
{
	say_all();
}

static void say_quiet(void)
{
	log_init("x", LOG_LEVEL_WARN);
	say_all();
}

static void say_trace(void)
{
	log_init("x", LOG_LEVEL_TRACE);
	say_all();
}

TEST(levels)
{
	CHECK(!strcmp(said(say_default), "an error 1\na warning\na hint\n"));
	CHECK(!strcmp(said(say_quiet), "an error 1\na warning\n"));
}

TEST(debug_has_the_time)
{
	char *text = said(say_trace), *line;
	unsigned lines = 0;
	long sec;
	int usec, n;

	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		n = 0;
		CHECK_EQ(sscanf(line, "%ld.%6d %n", &sec, &usec, &n), 2);
		CHECK(n && (strstr(line, "a packet") || lines < 4));
		lines++;
	}
	CHECK_EQ(lines, 5);
}

static void say_dirty(void)
{
	info("one\ntwo\t\x7f\x1b[1m");
}

static int width;

static void say_long(void)
{
	info("%0*d", width, 1);
}

TEST(always_one_line)
{
	char *text = said(say_dirty);

	CHECK(!strcmp(text, "one?two???[1m\n"));
	for (width = 1020; width < 1030; width++) {
		size_t len = width < 1023 ? (size_t)width : 1023;

		text = said(say_long);
		CHECK_EQ(strlen(text), len + 1);
		CHECK(strchr(text, '\n') == text + len);
		CHECK_EQ(size_of(said_path), len + 1);
	}
}

static void say_many(void)
{
	struct timespec t;

	/* begin behind a full second, so that all fall into one */
	clock_gettime(CLOCK_MONOTONIC, &t);
	usleep((useconds_t)(1010000 - t.tv_nsec / 1000));
	for (int i = 0; i < 10; i++) {
		if (i == 8)
			usleep(1000000);
		warn_limited("trouble %d", i);
	}
}

static void say_many_quiet(void)
{
	log_init("x", LOG_LEVEL_ERR);
	warn_limited("trouble");
}

TEST(limited)
{
	CHECK(!strcmp(said(say_many),
		      "trouble 0\n"
		      "trouble 8 (7 similar messages suppressed)\n"));
	CHECK(!*said(say_many_quiet));
}

static void say_and_die(void)
{
	die("--mtu: %s", "12x");
}

TEST(die_exits_1)
{
	CHECK(!strcmp(said(say_and_die), "--mtu: 12x\n"));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

/* A pipe that is full; what is said meanwhile is lost */
static void say_to_nobody(void)
{
	char buf[4096] = "";
	int fd[2];

	if (pipe(fd) || dup2(fd[1], STDERR_FILENO) < 0 ||
	    fcntl(fd[1], F_SETFL, O_NONBLOCK))
		_exit(1);
	while (write(fd[1], buf, sizeof(buf)) > 0)
		;
	fcntl(fd[1], F_SETFL, 0);
	alarm(10);
	for (unsigned i = 0; i < 1000; i++)
		warn("lost");
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	while (read(fd[0], buf, sizeof(buf)) > 0)
		;
	warn("said");
	if (read(fd[0], buf, sizeof(buf)) != 5 || memcmp(buf, "said\n", 5))
		_exit(2);
}

TEST(nobody_reads)
{
	said(say_to_nobody);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* As of a connection that is down; poll(2) would have us write there */
static void say_to_dead_terminal(void)
{
	int pty = posix_openpt(O_RDWR | O_NOCTTY), fd;

	if (pty < 0 || grantpt(pty) || unlockpt(pty))
		_exit(1);
	fd = open(ptsname(pty), O_RDWR | O_NOCTTY);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		_exit(1);
	log_stderr_own();
	alarm(10);
	for (unsigned i = 0; i < 10000; i++)
		warn("a line that is as long as those of a daemon often are");
	/* Others who write there, or read, wait as ever */
	if (fcntl(fd, F_GETFL) & O_NONBLOCK)
		_exit(2);
}

TEST(nobody_reads_the_terminal)
{
	said(say_to_dead_terminal);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void say_to_file(void)
{
	umask(0777);
	if (log_file_open(file_path, 4096))
		_exit(1);
	info("on both");
	log_stderr_off();
	info("in the file");
}

TEST(file)
{
	struct stat st;
	char *text;

	unlink(file_path);
	CHECK(!strcmp(said(say_to_file), "on both\n"));
	CHECK_EQ(WEXITSTATUS(status), 7);
	CHECK(!stat(file_path, &st));
	CHECK_EQ(st.st_mode & 07777, 0600);
	text = content(file_path);
	CHECK(strstr(text, " on both\n") && strstr(text, " in the file\n"));
	/* and goes on where it was */
	said(say_to_file);
	CHECK_EQ(size_of(file_path), 2 * st.st_size);
}

static size_t file_max;

static void say_much(void)
{
	log_stderr_off();
	if (log_file_open(file_path, file_max))
		_exit(1);
	for (int i = 0; i < 5000; i++) {
		size_t was = (size_t)size_of(file_path), is;

		/* up to 80 bytes with the time, and some of 400 */
		info("line %d %0*d", i, i % 50 ? i % 60 : 400, 0);
		is = (size_t)size_of(file_path);
		if (is > file_max)
			_exit(2);
		/* half goes, not more than a line beyond it, and not early */
		if (is < was && (is + 450 < file_max / 2 ||
				 was + 450 < file_max))
			_exit(3);
	}
}

/* Lines of 25 bytes, 40 of which fit exactly; then the oldest 20 make room */
static void say_exactly(void)
{
	struct timespec t;
	int pre;

	log_stderr_off();
	if (log_file_open(file_path, 1000))
		_exit(1);
	clock_gettime(CLOCK_MONOTONIC, &t);
	pre = snprintf(NULL, 0, "%ld.000000 ", (long)t.tv_sec);
	for (int i = 0; i < 40; i++)
		info("%0*d", 24 - pre, i);
	if (size_of(file_path) != 1000)
		_exit(2);
	info("%0*d", 24 - pre, 40);
	if (size_of(file_path) != 21 * 25)
		_exit(3);
}

TEST(file_is_filled_and_cut_to_the_byte)
{
	char *text;
	int i = 0, got;

	unlink(file_path);
	said(say_exactly);
	CHECK_EQ(WEXITSTATUS(status), 7);
	text = content(file_path);
	for (char *l = strtok(text, "\n"); l; l = strtok(NULL, "\n"), i++) {
		CHECK_EQ(sscanf(l, "%*d.%*d %d", &got), 1);
		CHECK_EQ(got, 20 + i);
	}
	CHECK_EQ(i, 21);
}

/* Whole lines, the newest ones, without a gap */
static void check_lines(char *text, int from_max)
{
	int want = -1, got = 0;

	for (char *l = strtok(text, "\n"); l; l = strtok(NULL, "\n")) {
		CHECK_EQ(sscanf(l, "%*d.%*d line %d", &got), 1);
		CHECK(want < 0 ? got <= from_max : got == want);
		want = got + 1;
	}
	CHECK_EQ(got, 4999);
}

TEST(file_is_bounded_and_keeps_the_newest)
{
	static const size_t max[] = { 2000, 4096, 5000, 100000 };

	for (unsigned i = 0; i < sizeof(max) / sizeof(*max); i++) {
		unlink(file_path);
		file_max = max[i];
		said(say_much);
		CHECK_EQ(WEXITSTATUS(status), 7);
		check_lines(content(file_path), 5000 - (int)max[i] / 250);
	}
}

static void say_little(void)
{
	log_stderr_off();
	log_file_open(file_path, file_max);
	info("short");
	info("the last");
}

TEST(file_odd_sizes)
{
	/* existing file far too large, without a line end */
	static char big[20000];
	int fd = open(file_path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	memset(big, 'x', sizeof(big));
	CHECK_EQ(write(fd, big, sizeof(big)), sizeof(big));
	close(fd);
	file_max = 1000;
	said(say_little);
	CHECK(strstr(content(file_path), " the last\n"));
	CHECK(size_of(file_path) < 200);

	/* room for less than a line */
	file_max = 10;
	said(say_little);
	CHECK_EQ(size_of(file_path), 10);
}

TEST(file_errors)
{
	CHECK_EQ(log_file_open("/nonexistent/x", 1000), -ENOENT);
	CHECK_EQ(log_file_open(dir, 1000), -EISDIR);
}

static void say_to_null(void)
{
	if (log_file_open("/dev/null", 100))
		_exit(1);
	for (int i = 0; i < 20; i++)
		info("nothing is kept");
}

TEST(file_that_is_a_device)
{
	said(say_to_null);
	CHECK_EQ(WEXITSTATUS(status), 7);
}

static void say_without_logger(void)
{
	log_to_syslog();
	info("still said");
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return ok;
}

static bool own_dev(void)
{
	char uid[32], gid[32];

	snprintf(uid, sizeof(uid), "0 %u 1", (unsigned)geteuid());
	snprintf(gid, sizeof(gid), "0 %u 1", (unsigned)getegid());
	return !unshare(CLONE_NEWUSER | CLONE_NEWNS) &&
	       put("/proc/self/uid_map", uid) &&
	       put("/proc/self/setgroups", "deny") &&
	       put("/proc/self/gid_map", gid) &&
	       !mount("none", "/dev", "tmpfs", 0, NULL);
}

/* A mount namespace with a /dev of our own, in which we are the logger */
static void say_to_syslog(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
				   .sun_path = "/dev/log" };
	struct timeval limit = { .tv_sec = 2 };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char buf[2048], want[64];
	time_t now;

	if (!own_dev())
		_exit(77);
	say_without_logger();
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)))
		_exit(1);
	log_init("tester", LOG_LEVEL_DEBUG);
	log_to_syslog();
	log_stderr_off();
	if (chroot("/dev"))
		_exit(2);
	warn("careful\nnow");
	buf[recv(fd, buf, sizeof(buf) - 1, 0)] = '\0';
	now = time(NULL);
	strftime(want, sizeof(want), "<28>%b %e %H:%M", localtime(&now));
	if (strncmp(buf, want, strlen(want)) ||
	    !strstr(buf, " tester: careful?now") || strchr(buf, '\n'))
		_exit(3);
	debug("%05000d", 1);
	buf[recv(fd, buf, sizeof(buf) - 1, 0)] = '\0';
	if (strncmp(buf, "<31>", 4))
		_exit(4);
	/* a logger that does not read must not stop us */
	for (int i = 0; i < 10000; i++)
		warn("flood");
	close(fd);
	warn("nobody there");
	_exit(7);
}

TEST(syslog)
{
	char *text = said(say_to_syslog);

	if (WEXITSTATUS(status) == 77) {
		puts("skipped: no user namespaces here");
		return;
	}
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 7);
	CHECK(!strcmp(text, "still said\n"));
}

int main(int argc, char **argv)
{
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(said_path, sizeof(said_path), "%s/said", dir);
	snprintf(file_path, sizeof(file_path), "%s/log", dir);
	rc = unit_main(argc, argv);
	unlink(said_path);
	unlink(file_path);
	rmdir(dir);
	return rc;
}
