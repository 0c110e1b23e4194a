// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * log: messages to stderr, syslog or a bounded file
 *
 * State: where messages go, and from which level on.
 *
 * Everything is opened at the start; afterwards a message costs poll() and
 * write(), sendto() or, for the file, lseek() as well, and whenever the file is
 * full pread(), pwrite() and ftruncate(): the root directory is empty by then
 * and nothing can be opened or renamed. Control characters are replaced, so
 * that a message stays one line. A message that cannot be written is lost: a
 * pipe that is full, or a terminal that is held, has us wait once, for 100 ms.
 *
 * Lines in the file, and on stderr with --debug, begin with CLOCK_MONOTONIC,
 * seconds and microseconds.
 *
 * Source: syslog(3), RFC 3164 4.1 (what /dev/log takes, without host name).
 */
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/** Longest message, bytes; what is longer is cut */
#define LOG_BODY	1024
/** Room for the time before, and for a count behind, bytes */
#define LOG_PREFIX	40
#define LOG_SUFFIX	64
/** How long a message waits for who reads it, ms */
#define LOG_PATIENCE	100
/** syslog's facility "daemon", shifted to its place */
#define LOG_FACILITY	(3 << 3)

static enum log_level log_max = LOG_LEVEL_INFO;
static const char *log_ident = "";
static bool log_stderr = true;
static int log_file_fd = -1;
static size_t log_file_max;
static bool log_dying;
static int log_syslog_fd = -1;

/**
 * log_enabled() - Whether messages of a level are wanted
 * @level:	level
 * Return: true if so
 */
bool log_enabled(enum log_level level)
{
	return level <= log_max;
}

/**
 * log_init() - Set what is logged; it goes to stderr until more is set up
 * @ident:	name for syslog; must stay
 * @max:	least important level that is wanted
 */
void log_init(const char *ident, enum log_level max)
{
	log_ident = ident;
	log_max = max;
}

/**
 * log_file_open() - Log to a file, too
 * @path:	file; made with mode 0600 whatever the umask, or continued
 * @max_size:	bytes it may have, at least 1: the oldest lines make room. What
 *		has no size, like a pipe, is just written to.
 * Return: 0, or a negative error code of open(2)
 */
int log_file_open(const char *path, size_t max_size)
{
	mode_t mask = umask(0);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY |
			    O_NONBLOCK, 0600);
	int rc = fd < 0 ? -errno : 0;

	umask(mask);
	if (rc)
		return rc;
	log_file_max = max_size;
	if (log_file_fd >= 0)
		close(log_file_fd);
	log_file_fd = fd;
	return 0;
}

/**
 * log_to_syslog() - Log to syslog, too, where there is one
 *
 * Connects now, as /dev/log is out of reach later; without a system logger
 * nothing changes.
 */
void log_to_syslog(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
				   .sun_path = "/dev/log" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		close(fd);
		return;
	}
	/* Reads the time zone while it can: localtime_r() will not again */
	tzset();
	log_syslog_fd = fd;
}

/**
 * log_stderr_own() - Open a terminal that is stderr anew, so as not to wait there
 *
 * poll(2) calls a terminal ready that has room for a byte. Whoever else has it
 * open is to wait as ever. Nothing changes where it may not be opened.
 */
void log_stderr_own(void)
{
	int fd = isatty(STDERR_FILENO) ?
		 open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY |
					 O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/**
 * log_stderr_off() - Log to stderr no more
 */
void log_stderr_off(void)
{
	log_stderr = false;
}

/* Where the last @keep of @size bytes begin, at the begin of a line */
static size_t log_file_cut(size_t size, size_t keep)
{
	size_t at = size > keep ? size - keep : 0;
	char buf[256];

	while (at && at < size) {
		ssize_t n = pread(log_file_fd, buf, sizeof(buf),
				  (off_t)at - 1);
		const char *nl = n > 0 ? memchr(buf, '\n', (size_t)n) : NULL;

		if (nl)
			return at + (size_t)(nl - buf);
		at += n > 0 ? (size_t)n : size;
	}
	return at < size ? at : size;
}

/* Leaves the newest lines, @keep bytes at most, at the file's begin */
static void log_file_shrink(size_t size, size_t keep)
{
	size_t from = log_file_cut(size, keep), to = 0;
	char buf[4096];
	ssize_t n;

	while (from < size) {
		n = pread(log_file_fd, buf, sizeof(buf), (off_t)from);
		if (n <= 0 ||
		    pwrite(log_file_fd, buf, (size_t)n, (off_t)to) != n)
			break;
		from += (size_t)n;
		to += (size_t)n;
	}
	if (!ftruncate(log_file_fd, (off_t)to))
		lseek(log_file_fd, (off_t)to, SEEK_SET);
}

/* Writes, unless nobody has read for a while: the guest's network goes on */
static void log_write(int fd, const char *line, size_t len, bool *stuck)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	while (len) {
		int patience = log_dying ? -1 : *stuck ? 0 : LOG_PATIENCE;
		ssize_t n;

		*stuck = !poll(&p, 1, patience);
		n = *stuck ? 0 : write(fd, line, len);
		if (n <= 0)
			return;
		line += n;
		len -= (size_t)n;
	}
}

static void log_file_write(const char *line, size_t len)
{
	static bool stuck;
	off_t size = lseek(log_file_fd, 0, SEEK_END);

	if (size >= 0 && (size_t)size + len > log_file_max) {
		size_t keep = log_file_max / 2;

		if (len > log_file_max)
			len = log_file_max;
		if (keep > log_file_max - len)
			keep = log_file_max - len;
		log_file_shrink((size_t)size, keep);
	}
	log_write(log_file_fd, line, len, &stuck);
}

static void log_syslog_send(enum log_level level, const char *body, size_t len)
{
	/* enum log_level to syslog's severities */
	static const int severity[] = { 3, 4, 6, 7, 7 };
	char buf[LOG_BODY + LOG_SUFFIX + 128], when[32];
	time_t now = time(NULL);
	struct tm tm;
	int n;

	if (!localtime_r(&now, &tm) ||
	    !strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm))
		return;
	/* No PID: inside a PID namespace it says nothing to others */
	n = snprintf(buf, sizeof(buf), "<%d>%s %s: %.*s",
		     LOG_FACILITY | severity[level], when, log_ident,
		     (int)len, body);
	if (n > 0 && (size_t)n < sizeof(buf))
		send(log_syslog_fd, buf, (size_t)n,
		     MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Writes a message to wherever messages go */
static void log_out(enum log_level level, char *body, size_t len)
{
	char line[LOG_PREFIX + LOG_BODY + LOG_SUFFIX + 1];
	static bool stuck;
	struct timespec t;
	size_t pre;

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)body[i] < ' ' || body[i] == 0x7f)
			body[i] = '?';
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	pre = (size_t)snprintf(line, LOG_PREFIX, "%lld.%06ld ",
			       (long long)t.tv_sec, t.tv_nsec / 1000);
	memcpy(line + pre, body, len);
	line[pre + len] = '\n';

	if (log_file_fd >= 0)
		log_file_write(line, pre + len + 1);
	if (log_syslog_fd >= 0)
		log_syslog_send(level, body, len);
	if (log_enabled(LOG_LEVEL_DEBUG))
		len += pre, pre = 0;
	if (log_stderr)
		log_write(STDERR_FILENO, line + pre, len + 1, &stuck);
}

__attribute__((format(printf, 3, 0)))
static void log_format(enum log_level level, unsigned long suppressed,
		       const char *fmt, va_list ap)
{
	char body[LOG_BODY + LOG_SUFFIX];
	int n = vsnprintf(body, LOG_BODY, fmt, ap);
	size_t len = n < 0 ? 0 : (size_t)n;

	if (len >= LOG_BODY)
		len = LOG_BODY - 1;
	if (suppressed)
		len += (size_t)snprintf(body + len, LOG_SUFFIX,
					" (%lu similar messages suppressed)",
					suppressed);
	log_out(level, body, len);
}

/**
 * log_msg() - Log a message, whatever the level; see err() and the like
 * @level:	its level, for syslog
 * @fmt:	as of printf(3), without the newline
 */
void log_msg(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_format(level, 0, fmt, ap);
	va_end(ap);
}

/**
 * log_msg_limited() - Log a message, once a second at most
 * @lim:	state of this place
 * @level:	its level; nothing happens where it is not wanted
 * @fmt:	as of printf(3), without the newline
 *
 * What was held back is counted in the next message of the place.
 */
void log_msg_limited(struct log_limit *lim, enum log_level level,
		     const char *fmt, ...)
{
	struct timespec t;
	long sec;
	va_list ap;

	if (!log_enabled(level))
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	/* 0 stands for never */
	sec = (long)t.tv_sec + 1;
	if (sec == lim->last_sec) {
		lim->suppressed++;
		return;
	}
	va_start(ap, fmt);
	log_format(level, lim->suppressed, fmt, ap);
	va_end(ap);
	lim->last_sec = sec;
	lim->suppressed = 0;
}

/**
 * die() - Log an error and exit with status 1; legal only before the loop
 * @fmt:	as of printf(3), without the newline
 */
void die(const char *fmt, ...)
{
	va_list ap;

	log_dying = true;
	va_start(ap, fmt);
	log_format(LOG_LEVEL_ERR, 0, fmt, ap);
	va_end(ap);
	exit(EXIT_FAILURE);
}
