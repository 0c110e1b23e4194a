/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * uapi: what the kernel knows and the headers that we are built with may not
 *
 * Names of our own, so that they get along with headers that do.
 *
 * Source: Linux' include/uapi/linux/landlock.h, landlock(7). The system calls
 * have the same numbers everywhere.
 */
#ifndef GUARD_UAPI_H
#define GUARD_UAPI_H

#include <stdint.h>

#define UAPI_NR_LANDLOCK_CREATE_RULESET		444
#define UAPI_NR_LANDLOCK_ADD_RULE		445
#define UAPI_NR_LANDLOCK_RESTRICT_SELF		446

/* Flag of the first: tell the version of the interface instead */
#define UAPI_LANDLOCK_VERSION			1U
#define UAPI_LANDLOCK_RULE_PATH_BENEATH		1

/* Rights, by the version that brought them */
#define UAPI_LANDLOCK_FS_REMOVE_FILE		(1ULL << 5)
#define UAPI_LANDLOCK_FS_V1			((1ULL << 13) - 1)
#define UAPI_LANDLOCK_FS_V2			((1ULL << 14) - 1)
#define UAPI_LANDLOCK_FS_V3			((1ULL << 15) - 1)
#define UAPI_LANDLOCK_FS_V5			((1ULL << 16) - 1)
/* Version 6: what is kept inside */
#define UAPI_LANDLOCK_SCOPE_ABSTRACT_UNIX	(1ULL << 0)
#define UAPI_LANDLOCK_SCOPE_SIGNAL		(1ULL << 1)

/**
 * struct uapi_landlock_ruleset - what is ruled over
 * @fs:		rights to files
 * @net:	rights to sockets, version 4
 * @scoped:	what is kept inside, version 6
 */
struct uapi_landlock_ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

/**
 * struct uapi_landlock_beneath - what is allowed in a directory
 * @allowed:	rights
 * @dir:	its descriptor
 */
struct uapi_landlock_beneath {
	uint64_t allowed;
	int32_t dir;
} __attribute__((packed));

#endif /* GUARD_UAPI_H */
