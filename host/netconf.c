// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netconf: the host's addresses and routes, given to a network namespace
 */
#include "host/netconf.h"

#include <stdio.h>

/**
 * netconf_collect() - Remember the host's addresses and routes
 * @n:		what will be asked for
 * @why:	where to say what failed
 * Return: 0, or a negative error code with @why filled in
 */
int netconf_collect(const struct netconf *n, char why[NETCONF_WHY])
{
	(void)n;
	snprintf(why, NETCONF_WHY, "not there yet");
	return 0;
}

/**
 * netconf_apply() - Configure the namespace that we are in
 * @n:		what is asked for, as it was for netconf_collect()
 * @why:	where to say what failed
 * Return: 0, or a negative error code with @why filled in
 */
int netconf_apply(const struct netconf *n, char why[NETCONF_WHY])
{
	(void)n;
	snprintf(why, NETCONF_WHY, "not there yet");
	return 0;
}
