/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * command: a command in namespaces of its own
 *
 *	command_start()		it is there, in its namespaces, and waits
 *	command_release()	the network is ready: it begins
 *	command_watch()		tells of its end
 *	command_status()	how it ended, as a shell would say
 */
#ifndef HOST_COMMAND_H
#define HOST_COMMAND_H

#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include "host/netns.h"

/**
 * struct command - what is run, and how
 * @argv:	arguments, NULL after the last; NULL: the user's shell
 * @same_pids:	in our PID namespace, without an init of its own
 * @same_user:	in our user namespace, or in @userns
 * @userns:	path of a user namespace to join before, or ""
 * @hostname:	its host name, in a UTS namespace of its own; NULL or "": ours
 * @umask:	file mode creation mask to run with
 * @uid:	user to run as where we are the machine's root
 * @gid:	group, the same
 */
struct command {
	char *const *argv;
	bool same_pids;
	bool same_user;
	const char *userns;
	const char *hostname;
	mode_t umask;
	uid_t uid;
	gid_t gid;
};

void command_start(const struct command *c, struct netns *ns);
void command_release(void);
int command_watch(void (*ended)(void));
bool command_signal(const struct signalfd_siginfo *info);
bool command_signals(sigset_t *set);
int command_status(void);
unsigned command_fds(int *fds);

/** How many descriptors command_fds() tells */
#define COMMAND_FDS	3

#endif /* HOST_COMMAND_H */
