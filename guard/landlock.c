// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * landlock: no file is opened, made or changed any more, whatever is in reach
 *
 * The root is empty by then; this holds for what is reached otherwise: by a
 * descriptor of a directory of the old root, or where there was no namespace to
 * empty the root in. What is open stays open. In the directories of files that
 * we made, files may be removed, and nothing else.
 *
 * Two rules besides, where the kernel has them: no connection to an abstract
 * UNIX socket, and no signal, to a process that is not ours.
 *
 * Source: landlock(7), Linux 5.13 and later.
 */
#include "guard/landlock.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guard/uapi.h"

static int landlock_version(void)
{
	long v = syscall(UAPI_NR_LANDLOCK_CREATE_RULESET, NULL, 0,
			 UAPI_LANDLOCK_VERSION);

	return v < 0 ? -errno : (int)v;
}

/* All that a version rules over */
static struct uapi_landlock_ruleset landlock_rules(int version, bool signals)
{
	struct uapi_landlock_ruleset r = {
		.fs = version >= 5 ? UAPI_LANDLOCK_FS_V5 :
		      version >= 3 ? UAPI_LANDLOCK_FS_V3 :
		      version >= 2 ? UAPI_LANDLOCK_FS_V2 : UAPI_LANDLOCK_FS_V1,
	};

	if (version >= 6)
		r.scoped = UAPI_LANDLOCK_SCOPE_ABSTRACT_UNIX |
			   (signals ? 0 : UAPI_LANDLOCK_SCOPE_SIGNAL);
	return r;
}

static int landlock_allow_removal(int ruleset, int dir)
{
	const struct uapi_landlock_beneath b = {
		.allowed = UAPI_LANDLOCK_FS_REMOVE_FILE, .dir = dir };

	return syscall(UAPI_NR_LANDLOCK_ADD_RULE, ruleset,
		       UAPI_LANDLOCK_RULE_PATH_BENEATH, &b, 0) ? -errno : 0;
}

/**
 * landlock_apply() - Give up all access to files
 * @dirs:	descriptors of directories in which files may be removed;
 *		negative ones are none
 * @count:	how many
 * @signals:	processes outside may still be signalled
 *
 * PR_SET_NO_NEW_PRIVS must be set.
 *
 * Return: 0, or a negative error code: -ENOSYS, -EOPNOTSUPP where the kernel
 * does not have it
 */
int landlock_apply(const int *dirs, unsigned count, bool signals)
{
	struct uapi_landlock_ruleset r;
	int version = landlock_version(), fd, rc = 0;

	if (version < 0)
		return version;
	r = landlock_rules(version, signals);
	fd = (int)syscall(UAPI_NR_LANDLOCK_CREATE_RULESET, &r, sizeof(r), 0);
	if (fd < 0)
		return -errno;
	for (unsigned i = 0; !rc && i < count; i++) {
		if (dirs[i] >= 0)
			rc = landlock_allow_removal(fd, dirs[i]);
	}
	if (!rc && syscall(UAPI_NR_LANDLOCK_RESTRICT_SELF, fd, 0))
		rc = -errno;
	close(fd);
	return rc;
}
