/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * isolation: namespaces, empty root, no capabilities, no new privileges
 */
#ifndef GUARD_ISOLATION_H
#define GUARD_ISOLATION_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * struct isolation - how far to go
 * @pid_namespace:	also a PID namespace (not in the foreground: PID stays)
 * @chroot_fallback:	chroot() where pivot_root() cannot work
 */
struct isolation {
	bool pid_namespace;
	bool chroot_fallback;
};

/**
 * struct isolation_end - what is left to a running daemon
 * @dirs:	descriptors of directories in which it removes files at its end;
 *		negative ones are none
 * @count:	how many
 * @signals:	it signals other processes
 */
struct isolation_end {
	const int *dirs;
	unsigned count;
	bool signals;
};

void isolation_early(int *keep, unsigned count);
void isolation_user(uid_t uid, gid_t gid);
bool isolation_lend(uid_t uid, gid_t gid);
void isolation_return(void);
bool isolation_enter(const struct isolation *how);
void isolation_helper(const struct isolation *how, uid_t uid, gid_t gid);
int isolation_late(const struct isolation_end *end);

#endif /* GUARD_ISOLATION_H */
