/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwd_listen: the sockets that listen on forwarded ports
 *
 * Of both protocols and both ways, in one table. They come and go at any time:
 * by rules at start, by what listens on the other side at run time. Whoever
 * serves a protocol says what is to be done with their events.
 */
#ifndef FWD_LISTEN_H
#define FWD_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "fwd.h"
#include "lib/loop.h"
#include "lib/timer.h"

#define FWD_PORT_WORDS	(65536 / 64)

/**
 * struct fwd_listener - a listening socket
 * @watch:	the socket; comes first, so that a handler finds the rest
 * @next:	next one on this port, or next free one (index + 1), private
 * @port:	the port, host order
 * @rule:	index of its rule
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @way:	enum fwd_way
 * @families:	of fwd_families()
 * @paused:	not watched for the moment
 * @v6:		an IPv6 socket, maybe of both families
 */
struct fwd_listener {
	struct watch watch;
	uint32_t next;
	uint16_t port;
	uint16_t rule;
	uint8_t proto;
	uint8_t way;
	uint8_t families;
	bool paused;
	bool v6;
};

int fwd_listen_start(uint8_t proto, watch_fn fn);
void fwd_listen_stop(void);
int fwd_listen_open(const struct fwd_port *p);
void fwd_listen_close(struct fwd_listener *l);
unsigned fwd_listen_count(void);
struct fwd_listener *fwd_listen_find(const struct fwd_port *p);
struct fwd_listener *fwd_listen_on(uint8_t proto, enum fwd_way way,
				   uint16_t port);
struct fwd_listener *fwd_listen_next(const struct fwd_listener *l);
const uint64_t *fwd_listen_ports(uint8_t proto, enum fwd_way way);
const struct port_rule *fwd_listen_rule(const struct fwd_listener *l);
bool fwd_listen_admit(const struct fwd_listener *l, usec_t now);
void fwd_listen_pause(struct fwd_listener *l, usec_t now);
bool fwd_listen_leads_on(uint8_t proto, const struct flow_side *to);
void fwd_listen_note(struct flow *f, int fd);
bool fwd_listen_is_circle(uint8_t proto, const struct flow_side *client);
struct flow *fwd_listen_origin(uint8_t proto, const struct flow_side *client);

#endif /* FWD_LISTEN_H */
