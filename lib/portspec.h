/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * portspec: the grammar of -t, -u, -T and -U, text to rules
 *
 *	none | all | auto | list of  [ADDR[%IF]/]PORT[-PORT][:[ADDR/]PORT[-PORT]]
 *	                             [ADDR[%IF]/]PORT[-PORT]:ADDR   ~PORT[-PORT]
 *
 * Several options add up in one struct portspec; the rules never overlap
 * within one listening address.
 */
#ifndef LIB_PORTSPEC_H
#define LIB_PORTSPEC_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

/** An option each: engines give one for each port that is published */
#define PORTSPEC_RULES	1024

/** The grammar, for help */
#define PORTSPEC_HELP							\
	"  none, all, or a list, separated by commas, of\n"		\
	"  22  22-80  22:23  22-80:32-90    host ports : guest ports\n"	\
	"  192.0.2.1/22  %eth0/22  [2001:db8::1]/22  on an address, an "	\
	"interface\n"							\
	"  22:192.0.2.5  22:192.0.2.5/23    to another address\n"	\
	"  ~25  ~25-30                      not these; alone: all others\n" \
	"  all means the ports that are unbound and not ephemeral"
#define PORTSPEC_HELP_AUTO						\
	"  auto  ::1/auto  8000-8010,auto   those that something listens on\n" \
	"                                   at the other side, as it changes"
#define PORTSPEC_WORDS	(65536 / 64)

/**
 * struct port_rule - a range of ports to listen on and where it leads
 * @listen:	address to listen on; ADDR_ANY6: any, both families
 * @ifname:	interface to bind to, or ""
 * @first:	first port of the range
 * @last:	last port of the range
 * @to:		port at the other side that @first leads to
 * @target:	address at the other side, where @has_target
 * @has_target:	a target address was given
 * @weak:	from `all` or from exclusions alone: ports that cannot be bound
 *		are passed over, unless that is all of them
 * @automatic:	from `auto`: follow what listens on the other side
 * @beside:	UDP, for being TCP's port: passed over if it cannot be bound;
 *		with @automatic, what listens on it itself is not followed
 */
struct port_rule {
	struct addr listen;
	char ifname[IFNAMSIZ];
	uint16_t first;
	uint16_t last;
	uint16_t to;
	struct addr target;
	bool has_target;
	bool weak;
	bool automatic;
	bool beside;
};

/**
 * struct portspec - what one kind of port option (-t, say) adds up to
 * @given:	the option was given at all
 * @none:	`none` was given last
 * @rule:	rules
 * @count:	how many
 */
struct portspec {
	bool given;
	bool none;
	struct port_rule rule[PORTSPEC_RULES];
	unsigned count;
};

/**
 * struct portspec_context - what the grammar's words depend on
 * @ephemeral_first:	first port of net.ipv4.ip_local_port_range
 * @ephemeral_last:	last one
 * @allow_auto:		`auto` is legal
 * @udp:		the ports are UDP's
 */
struct portspec_context {
	uint16_t ephemeral_first;
	uint16_t ephemeral_last;
	bool allow_auto;
	bool udp;
};

int portspec_parse(struct portspec *s, const char *text,
		   const struct portspec_context *ctx,
		   char *why, size_t why_size);

#endif /* LIB_PORTSPEC_H */
