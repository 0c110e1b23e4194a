/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nshelper: the process in the guest's network namespace
 *
 * What it is asked and answers, over a SOCK_SEQPACKET socket pair: a request a
 * message, and an answer to each, in order. Descriptors travel beside.
 */
#ifndef HOST_NSHELPER_H
#define HOST_NSHELPER_H

#include <stdint.h>
#include <sys/types.h>

#include "host/netns.h"
#include "lib/addr.h"

/** Most descriptors in one message */
#define NSHELPER_FDS	32

/**
 * enum nshelper_op - what a message is about
 * @NSHELPER_SETUP:	answer only, the first: what the set-up opened
 * @NSHELPER_READY:	answer only, the second: it is locked down and serves
 * @NSHELPER_OPEN:	sockets, unbound
 * @NSHELPER_BIND:	bind the socket that comes along
 */
enum nshelper_op {
	NSHELPER_SETUP,
	NSHELPER_READY,
	NSHELPER_OPEN,
	NSHELPER_BIND,
};

/**
 * struct nshelper_message - a request or an answer
 * @op:		enum nshelper_op
 * @pool:	NSHELPER_OPEN: the caller's, sent back
 * @proto:	NSHELPER_OPEN: IPPROTO_TCP or IPPROTO_UDP
 * @family:	NSHELPER_OPEN: AF_INET or AF_INET6
 * @count:	NSHELPER_OPEN: how many are wanted, how many came; NSHELPER_SETUP:
 *		how many descriptors the set-up tells of, whether open or not
 * @open:	NSHELPER_SETUP: a bit for each of those that came
 * @seq:	NSHELPER_BIND: the caller's, sent back
 * @rc:		answer: 0, or a negative error code
 * @endpoint:	NSHELPER_BIND: address and port
 */
struct nshelper_message {
	uint8_t op;
	uint8_t pool;
	uint8_t proto;
	int family;
	unsigned count;
	uint32_t open;
	uint32_t seq;
	int rc;
	struct endpoint endpoint;
};

/** Opens descriptors for the daemon, -1: none; returns how many it tells of */
typedef unsigned (*nshelper_setup_fn)(int fds[NSHELPER_FDS]);

/**
 * struct nshelper - how the helper is set up
 * @ns:		the namespace to join
 * @setup:	called there, with all capabilities in it; ends the process
 *		where that is no use
 * @chroot_fallback:	chroot() where pivot_root() cannot work
 * @uid:	user to become where we are the machine's root
 * @gid:	group, the same
 */
struct nshelper {
	const struct netns *ns;
	nshelper_setup_fn setup;
	bool chroot_fallback;
	uid_t uid;
	gid_t gid;
};

int nshelper_send(int sock, const struct nshelper_message *m, const int *fds,
		  unsigned count);
int nshelper_receive(int sock, struct nshelper_message *m,
		     int fds[NSHELPER_FDS], int flags);
void nshelper_run(const struct nshelper *h, int sock)
	__attribute__((noreturn));

#endif /* HOST_NSHELPER_H */
