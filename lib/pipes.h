/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pipes: a pool of pipes for splice(2)
 *
 * A pipe is lent while there is data in it and comes back empty, so there are
 * as many as there is data under way, not as many as there are connections.
 * They are made as they are needed, up to a limit, and some are kept then.
 */
#ifndef LIB_PIPES_H
#define LIB_PIPES_H

#include <stdbool.h>

/** Bytes that any pipe of the pool takes by write(2) while it is empty */
#define PIPES_BYTES	(64 * 1024)
/** Most pipes lent at a time: two descriptors each */
#define PIPES_LENT	512

/**
 * struct pipe_ends - a pipe
 * @rd:		descriptor to read from, non-blocking
 * @wr:		descriptor to write to, non-blocking
 */
struct pipe_ends {
	int rd;
	int wr;
};

void pipes_init(void);
bool pipes_ready(void);
bool pipes_take(struct pipe_ends *p);
void pipes_give(const struct pipe_ends *p);
void pipes_drop(const struct pipe_ends *p);

#endif /* LIB_PIPES_H */
