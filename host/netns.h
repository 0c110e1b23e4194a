/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netns: the guest's network namespace: found, joined, watched
 */
#ifndef HOST_NETNS_H
#define HOST_NETNS_H

#include <stdbool.h>
#include <sys/types.h>

/** Room for what messages call it */
#define NETNS_NAME	(4096 + 16)

/**
 * struct netns - a network namespace, and how to get there
 * @net:	descriptor of it
 * @user:	descriptor of the user namespace to join before; -1: our own
 * @pid:	pidfd of the process that it is known by, or -1
 * @name:	what messages call it
 */
struct netns {
	int net;
	int user;
	int pid;
	char name[NETNS_NAME];
};

void netns_open_pid(struct netns *ns, pid_t pid, bool netns_only);
void netns_open_path(struct netns *ns, const char *netns, const char *userns);
int netns_open_user(const char *userns);
void netns_enter_user(int user, const char *name);
void netns_refuse_ours(const struct netns *ns);
void netns_enter(const struct netns *ns);
void netns_close(struct netns *ns);
void netns_note_path(const struct netns *ns, const char *netns);
int netns_watch(const struct netns *ns, void (*gone)(void));
unsigned netns_fds(const struct netns *ns, int *fds);

/** Most descriptors that netns_fds() tells */
#define NETNS_FDS	6

#endif /* HOST_NETNS_H */
