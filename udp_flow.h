/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_flow: life and death of a conversation, its events and timers
 */
#ifndef UDP_FLOW_H
#define UDP_FLOW_H

#include "flow.h"
#include "fwd_listen.h"
#include "lib/timer.h"

void udp_flow_init(void);
int udp_flow_open_outbound(const struct flow_side *guest, uint16_t port,
			   usec_t now, struct flow **flow);
struct flow *udp_flow_open_inbound(const struct flow_side *host,
				   const struct flow_side *guest,
				   const struct fwd_listener *l, usec_t now);
void udp_flow_spoke(struct flow *f, unsigned side, usec_t now);
void udp_flow_resume_all(void);
void udp_flow_close(struct flow *f, usec_t now);

#endif /* UDP_FLOW_H */
