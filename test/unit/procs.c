// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * procs: processes of a test's own, see procs.h
 */
#include "test/unit/procs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/unit/hostns.h"

/*
 * Calls fn in a process of its own; returns its exit status, 128 and the signal
 * where one killed it. What it said, on either stream, is in text.
 */
int procs_run(void (*fn)(void), char *text, size_t size)
{
	size_t n = 0;
	int out[2], status = 0;
	ssize_t got;
	pid_t pid;

	fflush(NULL);
	if (pipe2(out, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		fn();
		fflush(NULL);
		_exit(0);
	}
	close(out[1]);
	while (n < size - 1 &&
	       (got = read(out[0], text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	waitpid(pid, &status, 0);
	close(out[0]);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
				     WEXITSTATUS(status);
}

/* A process in a user and network namespace of its own; negative: none */
pid_t procs_namespaces(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (hostns_enter() && write(ready[1], "", 1) == 1) {
			close(ready[1]);
			pause();
		}
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		procs_end(pid);
		pid = -1;
	}
	close(ready[0]);
	return pid;
}

/* Ends it, and waits until it has; none where it could not be made: -1 is all */
void procs_end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Whether a field of /proc/PID/status has this value */
bool procs_status(pid_t pid, const char *field, const char *value)
{
	char path[64], line[256];
	size_t len = strlen(field);
	bool same = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%i/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, field, len) || line[len] != ':')
			continue;
		line[strcspn(line, "\n")] = '\0';
		same = !strcmp(line + len + 1 + strspn(line + len + 1, "\t "),
			       value);
	}
	if (f)
		fclose(f);
	return same;
}

/* Whether we are in the same namespace of this kind as a process */
bool procs_same_ns(const char *which, pid_t pid)
{
	struct stat a, b;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%i/ns/%s", pid, which);
	if (stat(path, &a))
		return false;
	snprintf(path, sizeof(path), "/proc/self/ns/%s", which);
	return !stat(path, &b) && a.st_ino == b.st_ino;
}
