/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slow: a bound on what slow system calls take of a turn
 *
 * Some take microseconds but, where the guest has seen to it that the kernel
 * has long lists to search, milliseconds: connect() without a port, bind() to
 * one that thousands share. Whoever could do without asks slow_held() first.
 */
#ifndef LIB_SLOW_H
#define LIB_SLOW_H

#include <stdbool.h>

#include "lib/timer.h"

/**
 * A call that takes longer is slow, usec. A connection to this machine is made
 * within connect(), the peer's part of it too, and may take a quarter of that on
 * a busy one: a burst of them is what a guest may want.
 */
#define SLOW_CALL	400
/** So much of a turn may go into slow ones, usec */
#define SLOW_TURN	(5 * USEC_PER_MSEC)

bool slow_held(usec_t now);
bool slow_lately(usec_t now);
usec_t slow_clock(void);
void slow_call(usec_t now, usec_t took);
void slow_done(usec_t now, usec_t start);

#endif /* LIB_SLOW_H */
