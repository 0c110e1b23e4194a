/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seccomp: the system calls that a running daemon may make
 */
#ifndef GUARD_SECCOMP_H
#define GUARD_SECCOMP_H

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

struct sock_fprog;

int seccomp_build(enum seccomp_table table, struct sock_fprog *prog);
int seccomp_apply(enum seccomp_table table);

#endif /* GUARD_SECCOMP_H */
