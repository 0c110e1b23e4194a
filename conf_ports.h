/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf_ports: what port options add up to
 *
 * They are noted while the command line is read, and looked at after it: what
 * can be listened on depends on other options.
 */
#ifndef CONF_PORTS_H
#define CONF_PORTS_H

#include <stdbool.h>

#include "conf_host.h"
#include "lib/option.h"
#include "lib/portspec.h"

/** Most port options of a command line */
#define CONF_PORT_OPTIONS	1024

/**
 * enum conf_ports_kind - what ports an option is about, bits, @max of its row
 * @CONF_PORTS_NS:	of the namespace, on its loopback; else of the host
 * @CONF_PORTS_UDP:	of UDP; else of TCP
 */
enum conf_ports_kind { CONF_PORTS_NS = 1, CONF_PORTS_UDP = 2 };

/**
 * struct conf_ports_wish - port options, in the order given
 * @option:	each; its row says which struct portspec it goes to
 * @count:	how many
 */
struct conf_ports_wish {
	struct option_choice option[CONF_PORT_OPTIONS];
	unsigned count;
};

/**
 * struct conf_ports_how - what else counts
 * @family:	both families
 * @freebind:	addresses need not exist yet
 * @allow_auto:	`auto` is legal
 * @lo_to_lo:	the host's loopback leads to the namespace's
 */
struct conf_ports_how {
	const struct conf_family *family;
	bool freebind;
	bool allow_auto;
	bool lo_to_lo;
};

void conf_ports_note(struct conf_ports_wish *w, const struct option_def *o,
		     const char *value);
void conf_ports_read(const struct conf_ports_wish *w,
		     const struct conf_ports_how *how);
void conf_ports_beside(struct portspec *udp, const struct portspec *tcp);
void conf_ports_auto(struct portspec *tcp, struct portspec *udp);

#endif /* CONF_PORTS_H */
