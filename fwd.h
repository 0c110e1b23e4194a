/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwd: given a new flow's one side, what is the other
 *
 * Address translation (--map-host-loopback, --map-guest-addr, --dns-forward,
 * loopback and shared addresses) and port forwarding rules. Rules are held
 * here, so that they can come and go at run time; fwd_socket.h opens sockets by
 * them, fwd_listen.h holds those that listen, fwd_auto.h lets some follow the
 * other side.
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
	FWD_WAYS
};

/** Families of struct fwd_port, bits */
#define FWD_V4	1U
#define FWD_V6	2U

/**
 * struct fwd_port - one port to listen on
 * @rule:	its rule
 * @index:	index of the rule, for fwd_rule()
 * @port:	the port, host order
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @way:	enum fwd_way
 * @families:	FWD_V4, FWD_V6, or both; of a rule that listens on any address,
 *		those that are served; means nothing for others
 * @shared:	UDP: beside sockets that are bound to the port and share it
 */
struct fwd_port {
	const struct port_rule *rule;
	unsigned index;
	uint16_t port;
	uint8_t proto;
	uint8_t way;
	uint8_t families;
	bool shared;
};

void fwd_init(const struct conf *c);
const struct port_rule *fwd_rule(uint8_t proto, enum fwd_way way,
				 unsigned index);
unsigned fwd_families(const struct fwd_port *p);
bool fwd_to_host(uint8_t proto, const struct flow_side *guest,
		 struct flow_side *host);
bool fwd_to_guest(const struct port_rule *r, const struct flow_side *host,
		  struct flow_side *guest);
bool fwd_splice(enum fwd_way way, const struct port_rule *r,
		const struct flow_side *from, struct flow_side *to);

#endif /* FWD_H */
