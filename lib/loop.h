/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop: an epoll set with watches embedded in their owners
 *
 * The loop knows nothing of guests. Whoever owns a descriptor embeds a struct
 * watch and is called back. A watch deleted during a turn is not called any
 * more in that turn; its memory must stay until the turn is over.
 */
#ifndef LIB_LOOP_H
#define LIB_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

#include "lib/timer.h"

struct watch;

/** Called with EPOLL* events and the turn's time */
typedef void (*watch_fn)(struct watch *w, uint32_t events, usec_t now);

/**
 * struct watch - a descriptor in the loop, embedded in its owner
 * @fn:		handler, set by the owner; NULL once deleted
 * @fd:		descriptor, owned and closed by the owner
 */
struct watch {
	watch_fn fn;
	int fd;
};

int loop_init(void);
int loop_add(struct watch *w, uint32_t events);
int loop_mod(struct watch *w, uint32_t events);
void loop_del(struct watch *w);
void loop_look_first(void);
int loop_wait(int timeout_ms);
void loop_dispatch(int n, usec_t now);

#endif /* LIB_LOOP_H */
