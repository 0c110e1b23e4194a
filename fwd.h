/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwd: given a new flow's one side, what is the other
 *
 * Address translation (--map-host-loopback, --map-guest-addr, --dns-forward,
 * loopback and shared addresses) and port forwarding rules. Rules are held
 * here, so that they can come and go at run time; who listens asks for them.
 */
#ifndef FWD_H
#define FWD_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "flow.h"
#include "lib/portspec.h"

/**
 * enum fwd_way - which way a forwarding rule leads
 * @FWD_IN:	listens on the host, leads to the guest (-t, -u)
 * @FWD_OUT:	listens in the guest's namespace, leads to the host's loopback
 *		(-T, -U)
 */
enum fwd_way {
	FWD_IN,
	FWD_OUT,
};

/**
 * struct fwd_port - one port to listen on
 * @rule:	its rule
 * @index:	index of the rule, for fwd_rule()
 * @port:	the port, host order
 */
struct fwd_port {
	const struct port_rule *rule;
	unsigned index;
	uint16_t port;
};

/** Listens on a port: 0, or a negative error code */
typedef int (*fwd_listen_fn)(const struct fwd_port *p);

void fwd_init(const struct conf *c);
int fwd_listen(uint8_t proto, fwd_listen_fn fn);
const struct port_rule *fwd_rule(uint8_t proto, unsigned index);
int fwd_listen_socket(uint8_t proto, const struct fwd_port *p);
bool fwd_to_host(uint8_t proto, const struct flow_side *guest,
		 struct flow_side *host);
bool fwd_to_guest(const struct port_rule *r, const struct flow_side *host,
		  struct flow_side *guest);
bool fwd_splice(enum fwd_way way, const struct port_rule *r,
		const struct flow_side *from, struct flow_side *to);
int fwd_socket(uint8_t proto, const struct flow_side *host);

#endif /* FWD_H */
