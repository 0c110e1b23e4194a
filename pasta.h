/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pasta: the start-up of pasta, as far as it is not passt's as well
 *
 * In the order that main() calls them.
 */
#ifndef PASTA_H
#define PASTA_H

#include <sys/types.h>

#include "conf.h"
#include "host/command.h"
#include "host/netns.h"
#include "link/link.h"

unsigned pasta_open(const struct conf *c, mode_t mask, int fds[]);
void pasta_enter(const struct conf *c);
void pasta_guest(void);
const struct link_ops *pasta_link(void (*stop)(void));
void pasta_ports_start(usec_t now);
void pasta_watch(usec_t now);
void pasta_release(void);

/** Most descriptors that pasta_open() tells */
#define PASTA_FDS	(NETNS_FDS + COMMAND_FDS)

#endif /* PASTA_H */
