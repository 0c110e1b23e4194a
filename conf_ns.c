// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conf_ns: which network namespace is to be served (pasta)
 *
 * No state. What is named must exist, or the process ends with one line; it is
 * opened later, by host/netns.c.
 *
 * Sources: ip-netns(8) (names), proc(5) (paths of namespaces).
 */
#include "conf_ns.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/value.h"

/** Where ip-netns(8) keeps names */
#define CONF_NS_DIR	"/run/netns/"
/** Name of the interface where the host has none to take it from */
#define CONF_NS_IFNAME	"tap0"

static void conf_ns_set_file(const struct option_def *o, const char *dir,
			     const char *value)
{
	int n;

	if (!*value)
		option_bad(o, value, "empty");
	n = snprintf(o->to, o->max, "%s%s", dir, value);
	if (n < 0 || (uint64_t)n >= o->max)
		option_bad(o, value, "too long");
	if (access(o->to, F_OK))
		option_bad(o, value, strerror(errno));
}

/**
 * conf_ns_set_path() - Handler: a namespace's path
 * @o:		option; @o->to has room for @o->max bytes
 * @value:	path of a file
 */
void conf_ns_set_path(const struct option_def *o, const char *value)
{
	conf_ns_set_file(o, "", value);
}

/**
 * conf_ns_set_name() - Handler: a network namespace's path, or its name
 * @o:		option; @o->to has room for @o->max bytes
 * @value:	path of a file; without a slash, a name below /run/netns
 */
void conf_ns_set_name(const struct option_def *o, const char *value)
{
	conf_ns_set_file(o, strchr(value, '/') ? "" : CONF_NS_DIR, value);
}

static void conf_ns_process(struct conf_ns *ns, const char *text)
{
	uint64_t pid = 0;

	if (value_number(text, INT32_MAX, &pid) || !pid)
		die("%s: not a process ID", text);
	ns->form = CONF_NS_PID;
	ns->pid = (pid_t)pid;
	if (kill(ns->pid, 0) && errno == ESRCH)
		die("%s: no such process", text);
}

/* What is done with the namespace of others, where that is not possible */
static void conf_ns_check(const struct conf_ns *ns, const char *netns)
{
	if (ns->netns_only && *ns->userns)
		die("--netns-only and --userns: not together");
	if (!ns->no_pidns || ns->form == CONF_NS_COMMAND)
		return;
	if (netns)
		die("--no-pidns and --netns %s: not together", netns);
	die("--no-pidns and PID %i: not together", ns->pid);
}

/**
 * conf_ns_target() - Find out what is to be joined or made
 * @ns:		what the options said, filled in
 * @netns:	argument of --netns, or NULL
 * @rest:	what follows the options, NULL after the last
 */
void conf_ns_target(struct conf_ns *ns, const char *netns, char **rest)
{
	const char *word = rest[0];

	if (netns && word)
		die("--netns %s: not together with a command or PID (%s)",
		    netns, word);
	if (netns)
		ns->form = CONF_NS_PATH;
	else if (word && !rest[1] && *word &&
		 !word[strspn(word, "0123456789")])
		conf_ns_process(ns, word);
	else
		ns->command = word ? rest : NULL;
	conf_ns_check(ns, netns);
	if (netns && !*ns->userns)
		ns->netns_only = true;
}

/**
 * conf_ns_settle() - Fill in what no option said
 * @ns:		namespace
 * @fam:	both families, filled in from the host
 */
void conf_ns_settle(struct conf_ns *ns, const struct conf_family *fam)
{
	static const uint8_t none[sizeof(ns->mac)];

	ns->has_mac = memcmp(ns->mac, none, sizeof(none));
	for (unsigned i = 0; i < CONF_FAMILIES && !*ns->ifname; i++) {
		/* lo is there already */
		if (strcmp(fam[i].ifname, "lo"))
			memcpy(ns->ifname, fam[i].ifname, IFNAMSIZ);
	}
	if (!*ns->ifname)
		memcpy(ns->ifname, CONF_NS_IFNAME, sizeof(CONF_NS_IFNAME));
}

/**
 * conf_ns_netconf() - Say what is to be set up inside
 * @ns:		namespace, settled
 * @fam:	both families, filled in from the host
 * @n:		filled in, but for the MTU, and for what is copied
 */
void conf_ns_netconf(const struct conf_ns *ns, const struct conf_family *fam,
		     struct netconf *n)
{
	if (!ns->config_net || ns->no_tap)
		return;
	memcpy(n->ifname, ns->ifname, IFNAMSIZ);
	for (unsigned i = 0; i < CONF_FAMILIES; i++) {
		n->family[i].on = fam[i].on;
		n->family[i].ifindex = fam[i].ifindex;
		n->family[i].addr = fam[i].addr;
		n->family[i].prefix = fam[i].prefix;
		if (!fam[i].no_gateway)
			n->family[i].gateway = fam[i].gateway;
	}
}
