/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * landlock: no file is opened, made or changed any more, whatever is in reach
 */
#ifndef GUARD_LANDLOCK_H
#define GUARD_LANDLOCK_H

#include <stdbool.h>

int landlock_apply(const int *dirs, unsigned count, bool signals);

#endif /* GUARD_LANDLOCK_H */
