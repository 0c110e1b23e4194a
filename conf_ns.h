/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf_ns: which network namespace is to be served (pasta)
 *
 * What is joined or made is decided by what follows the options: nothing or a
 * command, a process ID, or nothing with --netns.
 */
#ifndef CONF_NS_H
#define CONF_NS_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf_host.h"
#include "host/netconf.h"
#include "lib/option.h"

#define CONF_PATH_MAX	4096

/**
 * enum conf_ns_form - which network namespace is served (pasta)
 * @CONF_NS_COMMAND:	a new one, for a command or a shell
 * @CONF_NS_PID:	that of a process
 * @CONF_NS_PATH:	one that a path stands for
 */
enum conf_ns_form { CONF_NS_COMMAND, CONF_NS_PID, CONF_NS_PATH };

/**
 * struct conf_ns - the namespace and what is done inside (pasta)
 * @form:	enum conf_ns_form
 * @command:	arguments, NULL after the last; NULL: the user's shell
 * @pid:	process whose namespaces are joined
 * @netns:	network namespace, a path; or ""
 * @userns:	user namespace to join, a path; or "": with @pid, that of the
 *		process; never with @command
 * @netns_only:	no user namespace is joined, or made
 * @no_netns_quit:	stay when the namespace goes
 * @no_pidns:	@command stays in our PID namespace
 * @config_net:	configure the interface inside, and not just lo
 * @no_copy_routes:	of the routes, only the default one
 * @no_copy_addrs:	of the addresses, only the first one
 * @no_tap:	--splice-only: there is no interface but lo
 * @ifname:	name of the interface inside; never ""
 * @mac:	its MAC address, where @has_mac
 * @has_mac:	--ns-mac-addr was given
 */
struct conf_ns {
	enum conf_ns_form form;
	char *const *command;
	pid_t pid;
	char netns[CONF_PATH_MAX];
	char userns[CONF_PATH_MAX];
	bool netns_only;
	bool no_netns_quit;
	bool no_pidns;
	bool config_net;
	bool no_copy_routes;
	bool no_copy_addrs;
	bool no_tap;
	char ifname[IFNAMSIZ];
	uint8_t mac[6];
	bool has_mac;
};

void conf_ns_set_name(const struct option_def *o, const char *value);
void conf_ns_set_path(const struct option_def *o, const char *value);
void conf_ns_target(struct conf_ns *ns, const char *netns, char **rest);
void conf_ns_settle(struct conf_ns *ns, const struct conf_family *fam);
void conf_ns_netconf(const struct conf_ns *ns, const struct conf_family *fam,
		     struct netconf *n);

#endif /* CONF_NS_H */
