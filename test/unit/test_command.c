// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_command: a command in namespaces of its own, from its start to its
 * exit status; each in a process of its own, which is the daemon
 */
#include "host/command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "test/unit/procs.h"
#include "test/unit/unit.h"

static char said[1024];
static const char *script;
static bool same_pids, ended;
static char userns[64];
static const char *hostname;
static int signo;

static void on_end(void)
{
	ended = true;
}

static void wait_for_end(void)
{
	if (loop_init() || command_watch(on_end))
		exit(100);
	while (!ended)
		loop_dispatch(loop_wait(-1), clock_now());
	exit(command_status());
}

static struct netns start(char *const *argv)
{
	struct netns ns;

	/* nobody, where the test is root */
	command_start(&(struct command){ .argv = argv, .umask = 027,
					 .userns = userns, .uid = 65534,
					 .hostname = hostname,
					 .same_user = *userns, .gid = 65534,
					 .same_pids = same_pids }, &ns);
	return ns;
}

static void run_script(void)
{
	char sh[] = "/bin/sh", c[] = "-c", text[512];
	char *const argv[] = { sh, c, text, NULL };

	snprintf(text, sizeof(text), "%s", script);
	start(argv);
	command_release();
	wait_for_end();
}

/* Its output is closed while it goes on, which nobody else keeps open */
static void run_closing(void)
{
	char sh[] = "/bin/sh", c[] = "-c";
	char text[] = "exec sleep 0.5 >/dev/null";
	char *const argv[] = { sh, c, text, NULL };
	int out[2], real = dup(STDOUT_FILENO);
	char byte;

	if (pipe2(out, O_CLOEXEC) || dup2(out[1], STDOUT_FILENO) < 0)
		exit(103);
	close(out[1]);
	start(argv);
	command_release();
	if (read(out[0], &byte, 1) || loop_init() || command_watch(on_end))
		exit(104);
	loop_dispatch(loop_wait(0), clock_now());
	exit(ended || dup2(real, STDOUT_FILENO) < 0 ? 105 : 0);
}

static int run(const char *text)
{
	script = text;
	same_pids = false;
	return procs_run(run_script, said, sizeof(said));
}

static int run_here(const char *text)
{
	script = text;
	same_pids = true;
	return procs_run(run_script, said, sizeof(said));
}

static bool answers(const char *text, const char *answer)
{
	int status = run(text);

	if (!status && !strcmp(said, answer))
		return true;
	printf("%s: %i, %s\n", text, status, said);
	return false;
}

TEST(exit_status)
{
	CHECK_EQ(run("exit 0"), 0);
	CHECK_EQ(run("exit 7"), 7);
	CHECK_EQ(run("kill -9 $$"), 128 + SIGKILL);
	CHECK_EQ(run("kill -SEGV $$"), 128 + SIGSEGV);
	CHECK_EQ(run_here("exit 7"), 7);
	CHECK_EQ(run_here("kill -9 $$"), 128 + SIGKILL);
}

TEST(is_root_in_its_own_place)
{
	CHECK(answers("id -u; id -g", "0\n0\n"));
	CHECK(answers("echo $$", "2\n"));
	CHECK(answers("ls /sys/class/net /proc/net/dev >/dev/null; grep -c : "
		      "/proc/net/dev", "1\n"));
	CHECK(answers("set -- /proc/[0-9]*; echo $#", "2\n"));
	CHECK(answers("cat /proc/sys/net/ipv4/ping_group_range", "0\t0\n"));
	CHECK_EQ(run_here("id -u; test -d /proc/$$ && echo $(($$ > 2))"), 0);
	CHECK(!strcmp(said, "0\n1\n"));
}

/* Nobody else has it: not we, and not who shares our PID namespace */
TEST(host_name)
{
	char before[80] = "", after[80] = "-";
	char long_name[80] = "";

	CHECK(!gethostname(before, sizeof(before) - 1));
	hostname = "inside.example";
	CHECK(answers("uname -n", "inside.example\n"));
	CHECK_EQ(run_here("uname -n"), 0);
	CHECK(!strcmp(said, "inside.example\n"));
	memset(long_name, 'x', 65);
	hostname = long_name;
	CHECK_EQ(run("test $(uname -n) = $(cat /proc/sys/kernel/hostname)"), 0);
	CHECK(strstr(said, "host name is not xxx"));
	hostname = "";
	CHECK_EQ(run("uname -n"), 0);
	CHECK(!strncmp(said, before, strlen(before)));
	hostname = NULL;
	CHECK(!gethostname(after, sizeof(after) - 1));
	CHECK(!strcmp(before, after));
}

/* Signals of ours, as the command should say its are */
static void signals_of_ours(char *text, size_t size)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	size_t n = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "SigBlk:", 7) || !strncmp(line, "SigIgn:", 7))
			n += (size_t)snprintf(text + n, size - n, "%s", line);
	}
	if (f)
		fclose(f);
}

/*
 * What it is started with is ours, not what the daemon makes of itself. make
 * starts us with signals ignored that the C library has for itself.
 */
TEST(inherits)
{
	char expected[256] = "";

	signals_of_ours(expected, sizeof(expected));
	CHECK(strstr(expected, "SigIgn:"));
	CHECK(answers("umask", "0027\n"));
	CHECK(answers("grep -h -e SigBlk -e SigIgn /proc/self/status",
		      expected));
}

TEST(output_is_its_own)
{
	same_pids = false;
	CHECK_EQ(procs_run(run_closing, said, sizeof(said)), 0);
	same_pids = true;
	CHECK_EQ(procs_run(run_closing, said, sizeof(said)), 0);
}

static void run_missing(void)
{
	char name[] = "no-such-command";
	char *const argv[] = { name, NULL };

	setenv("PATH", "/usr/bin:/root/secret:/bin", 1);
	start(argv);
	command_release();
	wait_for_end();
}

static void run_file(void)
{
	char name[] = "/etc/passwd";
	char *const argv[] = { name, NULL };

	start(argv);
	command_release();
	wait_for_end();
}

static void run_shell(void)
{
	setenv("SHELL", "/bin/pwd", 1);
	if (chdir("/usr"))
		exit(101);
	start(NULL);
	command_release();
	wait_for_end();
}

TEST(cannot_run)
{
	CHECK_EQ(procs_run(run_missing, said, sizeof(said)), 127);
	CHECK(!strcmp(said, "no-such-command: command not found\n"));
	CHECK_EQ(procs_run(run_file, said, sizeof(said)), 126);
	CHECK(!strcmp(said, "/etc/passwd: cannot be run: Permission denied\n"));
}

TEST(users_shell)
{
	CHECK_EQ(procs_run(run_shell, said, sizeof(said)), 0);
	CHECK(!strcmp(said, "/usr\n"));
}

/* Its namespaces are there before it runs, and can be joined */
static void look_before(void)
{
	char t[] = "/bin/true";
	char *const argv[] = { t, NULL };
	struct netns ns = start(argv);

	if (fork()) {
		int status = 0;

		wait(&status);
		command_release();
		if (status)
			exit(102);
		wait_for_end();
	}
	netns_enter(&ns);
	_exit(geteuid() ? 1 : 0);
}

TEST(waits_for_the_network)
{
	same_pids = false;
	CHECK_EQ(procs_run(look_before, said, sizeof(said)), 0);
	same_pids = true;
	CHECK_EQ(procs_run(look_before, said, sizeof(said)), 0);
}

static void never_release(void)
{
	char sh[] = "/bin/echo", text[] = "ran";
	char *const argv[] = { sh, text, NULL };

	start(argv);
	exit(0);
}

/* Reads until all that could write has ended, so nothing is left */
TEST(ends_with_us)
{
	same_pids = false;
	CHECK_EQ(procs_run(never_release, said, sizeof(said)), 0);
	CHECK(!strcmp(said, ""));
	same_pids = true;
	CHECK_EQ(procs_run(never_release, said, sizeof(said)), 0);
	CHECK(!strcmp(said, ""));
}

/* A signal that the daemon was sent, once the command is ready for it */
static void pass_signal(void)
{
	char sh[] = "/bin/sh", c[] = "-c";
	char text[] = "trap 'exit 5' TERM HUP INT QUIT USR1 USR2; echo; "
		      "while :; do sleep 0.01; done";
	char *const argv[] = { sh, c, text, NULL };
	int out[2], real = dup(STDOUT_FILENO);
	sigset_t set;
	char byte;

	if (pipe(out))
		exit(103);
	dup2(out[1], STDOUT_FILENO);
	start(argv);
	close(out[1]);
	dup2(real, STDOUT_FILENO);
	command_release();
	sigemptyset(&set);
	if (!command_signals(&set) || !sigismember(&set, signo) ||
	    read(out[0], &byte, 1) != 1)
		exit(104);
	/* the terminal's come to the command by themselves */
	command_signal(&(struct signalfd_siginfo){
		.ssi_signo = SIGINT, .ssi_code = SI_KERNEL });
	usleep(30000);
	if (loop_init() || command_watch(on_end))
		exit(105);
	loop_dispatch(loop_wait(0), clock_now());
	if (ended)
		exit(106);
	loop_init();
	command_signal(&(struct signalfd_siginfo){
		.ssi_signo = (uint32_t)signo, .ssi_code = SI_USER });
	wait_for_end();
}

TEST(signals)
{
	const int signals[] = { SIGTERM, SIGHUP, SIGINT, SIGUSR1 };

	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		signo = signals[i];
		same_pids = i % 2;
		CHECK_EQ(procs_run(pass_signal, said, sizeof(said)), 5);
	}
}

/* Orphans are reaped, and do not outlive the command */
TEST(orphans)
{
	CHECK(answers("(sleep 0.01 & ) ; sleep 0.2; grep -l zombie "
		      "/proc/[0-9]*/status; echo .", ".\n"));
	CHECK(answers("(sleep 1000 & ) ; echo .", ".\n"));
}

/* In a user namespace that somebody else made; the network is its own */
TEST(joins_user_namespace)
{
	char inside[128], text[256];
	pid_t target = procs_namespaces();
	ssize_t n;

	snprintf(userns, sizeof(userns), "/proc/%i/ns/user", target);
	n = readlink(userns, inside, sizeof(inside) - 1);
	CHECK(n > 0);
	inside[n > 0 ? n : 0] = '\0';
	snprintf(text, sizeof(text), "test $(readlink /proc/self/ns/user) = "
		 "'%s' || exit 1; id -u; grep -c : /proc/net/dev; exit 4",
		 inside);
	CHECK_EQ(run(text), 4);
	CHECK(!strcmp(said, "0\n1\n"));
	CHECK_EQ(run_here(text), 4);
	CHECK(!strcmp(said, "0\n1\n"));
	snprintf(userns, sizeof(userns), "/proc/%i/ns/net", target);
	CHECK_EQ(run(text), 1);
	CHECK(strstr(said, ": not a user namespace\n"));
	userns[0] = '\0';
	procs_end(target);
}

TEST(without_a_command)
{
	sigset_t set;

	sigemptyset(&set);
	CHECK(!command_signals(&set));
	CHECK(!sigismember(&set, SIGHUP));
	CHECK(!command_signal(&(struct signalfd_siginfo){
		.ssi_signo = SIGTERM }));
	CHECK_EQ(command_watch(on_end), 0);
	CHECK_EQ(command_status(), 0);
	command_release();
}

int main(int argc, char **argv)
{
	log_init("test", LOG_LEVEL_WARN);
	return unit_main(argc, argv);
}
