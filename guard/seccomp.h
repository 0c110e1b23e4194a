/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seccomp: the system calls that a running daemon may make
 */
#ifndef GUARD_SECCOMP_H
#define GUARD_SECCOMP_H

#include <stdbool.h>
#include <stdint.h>

/**
 * enum seccomp_table - an allow-list
 * @SECCOMP_PASST:	passt over the stream socket
 * @SECCOMP_VHOST_USER:	passt over vhost-user
 * @SECCOMP_PASTA:	pasta over the tap device
 * @SECCOMP_NS_HELPER:	the helper in the guest's network namespace
 */
enum seccomp_table {
	SECCOMP_PASST,
	SECCOMP_VHOST_USER,
	SECCOMP_PASTA,
	SECCOMP_NS_HELPER,
	SECCOMP_TABLES
};

/**
 * struct seccomp_how - which filter
 * @table:	what is allowed
 * @arch:	an AUDIT_ARCH_ of linux/audit.h; 0: the one we run on
 * @tell:	a call that is not allowed is named in our log before the end
 * @no_removal:	nor may files be removed
 */
struct seccomp_how {
	enum seccomp_table table;
	uint32_t arch;
	bool tell;
	bool no_removal;
};

struct sock_fprog;

int seccomp_build(const struct seccomp_how *how, struct sock_fprog *prog);
int seccomp_apply(const struct seccomp_how *how);

#endif /* GUARD_SECCOMP_H */
