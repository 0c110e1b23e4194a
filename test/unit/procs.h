/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * procs: processes of a test's own: one that does something and is looked at,
 * one that stays in namespaces of its own
 */
#ifndef PROCS_H
#define PROCS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

int procs_run(void (*fn)(void), char *text, size_t size);
pid_t procs_namespaces(void);
void procs_end(pid_t pid);
bool procs_status(pid_t pid, const char *field, const char *value);
bool procs_same_ns(const char *which, pid_t pid);

#endif /* PROCS_H */
