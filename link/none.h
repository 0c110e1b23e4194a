/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * none: a link that leads nowhere, for a guest that has no interface
 */
#ifndef LINK_NONE_H
#define LINK_NONE_H

#include "link/link.h"

const struct link_ops *none_init(void);

#endif /* LINK_NONE_H */
