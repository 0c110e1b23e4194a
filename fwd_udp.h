/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwd_udp: which UDP ports are in use by flows of ours
 *
 * Held: a port of the host's that a flow's socket has. Led to: one of a server's,
 * in the namespace or on the host, past the link. Whoever opens such a flow says
 * so, and when it is over.
 */
#ifndef FWD_UDP_H
#define FWD_UDP_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "fwd.h"

void fwd_udp_hold(const struct flow_side *host);
void fwd_udp_let_go(const struct flow_side *host);
bool fwd_udp_held(unsigned families, uint16_t port);
void fwd_udp_lead(const struct flow_side *to);
void fwd_udp_lead_end(const struct flow_side *to);
bool fwd_udp_led(enum fwd_way way, uint16_t port);

#endif /* FWD_UDP_H */
