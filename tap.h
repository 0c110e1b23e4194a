/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap: frames from the guest: check, sort a batch by protocol and flow, hand
 * over to whoever answers for it
 */
#ifndef TAP_H
#define TAP_H

#include "conf.h"
#include "link/link.h"

void tap_init(const struct conf *c);
const struct link_events *tap_events(void);

#endif /* TAP_H */
