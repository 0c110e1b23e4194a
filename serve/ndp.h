/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ndp: router and neighbour discovery (RFC 4861, 4862, 8106)
 */
#ifndef SERVE_NDP_H
#define SERVE_NDP_H

#include <stdbool.h>

#include "conf.h"
#include "lib/packet.h"
#include "lib/timer.h"

void ndp_init(const struct conf *c);
bool ndp_input(const struct packet *p, usec_t now);
void ndp_guest_up(usec_t now);
void ndp_guest_left(void);

#endif /* SERVE_NDP_H */
