// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pasta: the start-up of pasta, as far as it is not passt's as well
 *
 *	pasta_open()		the namespace is found; or it is made, and a
 *				command waits in it
 *	pasta_enter()		the helper joins it: interface, addresses, routes
 *	pasta_guest()		the addresses that were copied are the guest's
 *	pasta_link()		the tap device is the link
 *	pasta_ports_start()	ports follow what listens on the other side
 *	pasta_watch()		the loop is told of what ends us
 *	pasta_release()		all is ready: the command begins
 *
 * State: the namespace, and the descriptors that came out of it.
 */
#include "pasta.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fwd_auto.h"
#include "guest.h"
#include "host/netconf.h"
#include "host/netcopy.h"
#include "host/nssock.h"
#include "host/ports.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "link/none.h"
#include "link/tun.h"

#define PASTA_TUN	"/dev/net/tun"

/* Which descriptor of the helper's set-up is which */
enum pasta_fd {
	PASTA_TAP,
	PASTA_PORTS,
	PASTA_SETUP_FDS = PASTA_PORTS + PORTS_FDS
};

_Static_assert(PASTA_SETUP_FDS <= NSHELPER_FDS, "one message carries them");

static const struct conf *pasta_conf;
static struct netns pasta_ns;
static int pasta_tap = -1;
static struct ports_source pasta_ports;
static void (*pasta_stop)(void);

/* Its user namespace, or another one */
static void pasta_open_pid(const struct conf_ns *n)
{
	char path[64];

	if (!*n->userns) {
		netns_open_pid(&pasta_ns, n->pid, n->netns_only);
		return;
	}
	snprintf(path, sizeof(path), "/proc/%i/ns/net", n->pid);
	netns_open_path(&pasta_ns, path, n->userns);
}

/**
 * pasta_open() - Find the namespace; or make it, and in it a command that waits
 * @c:		configuration
 * @mask:	file mode creation mask for the command
 * @fds:	filled in, room for PASTA_FDS: what must stay open
 * Return: how many
 */
unsigned pasta_open(const struct conf *c, mode_t mask, int fds[])
{
	const struct conf_ns *n = &c->ns;
	unsigned count;

	pasta_conf = c;
	switch (n->form) {
	case CONF_NS_COMMAND:
		command_start(&(struct command){
			.argv = n->command, .same_pids = n->no_pidns,
			.same_user = n->netns_only || *n->userns,
			.userns = n->userns, .umask = mask,
			.hostname = c->hostname, .uid = c->uid,
			.gid = c->gid }, &pasta_ns);
		break;
	case CONF_NS_PID:
		pasta_open_pid(n);
		break;
	case CONF_NS_PATH:
		netns_open_path(&pasta_ns, n->netns, n->userns);
		netns_note_path(&pasta_ns, n->netns);
		break;
	}
	if (n->form != CONF_NS_COMMAND)
		netns_refuse_ours(&pasta_ns);
	count = netns_fds(&pasta_ns, fds);
	return count + command_fds(fds + count);
}

static int pasta_tap_open(const struct conf_ns *n)
{
	int fd = tun_open(n->ifname, n->has_mac ? n->mac : NULL);

	if (fd < 0 && access(PASTA_TUN, R_OK | W_OK))
		die("%s: %s", PASTA_TUN, strerror(errno));
	/* -EBUSY for another tap device, -EINVAL for one of other kinds */
	if (fd < 0 && if_nametoindex(n->ifname))
		die("--ns-ifname %s: there is such an interface already",
		    n->ifname);
	if (fd < 0)
		die("Cannot make interface %s in the namespace: %s",
		    n->ifname, strerror(-fd));
	return fd;
}

/* In the helper, in the guest's namespace */
static unsigned pasta_setup(int fds[NSHELPER_FDS])
{
	const struct conf_ns *n = &pasta_conf->ns;
	struct ports_source ports = { .count = 0 };
	char why[NETCONF_WHY] = "";
	int rc;

	fds[PASTA_TAP] = n->no_tap ? -1 : pasta_tap_open(n);
	rc = netconf_apply(&pasta_conf->netconf, why);
	if (rc)
		die("Cannot set up the namespace: %s: %s", why, strerror(-rc));
	rc = ports_open(&ports);
	if (rc)
		debug("Cannot ask the namespace for its ports: %s",
		      strerror(-rc));
	memcpy(&fds[PASTA_PORTS], ports.fd, ports.count * sizeof(fds[0]));
	return PASTA_PORTS + ports.count;
}

/**
 * pasta_enter() - Set the namespace up, by the helper which stays in it
 * @c:		configuration
 *
 * While we have the privileges that we were started with.
 */
void pasta_enter(const struct conf *c)
{
	const struct nshelper h = { .ns = &pasta_ns, .setup = pasta_setup,
				    .chroot_fallback = c->chroot_fallback,
				    .uid = c->uid, .gid = c->gid };
	char why[NETCONF_WHY] = "";
	int fds[NSHELPER_FDS];
	int n = netconf_collect(&c->netconf, why);

	if (n)
		die("Cannot copy the host's network: %s: %s", why,
		    strerror(-n));
	n = nssock_start(&h, fds);
	if (n == -ECONNRESET)	/* the helper has said why */
		exit(EXIT_FAILURE);
	if (n < 0)
		die("Cannot make the helper process: %s", strerror(-n));
	netns_close(&pasta_ns);
	pasta_tap = fds[PASTA_TAP];
	pasta_ports.count = (unsigned)n - PASTA_PORTS;
	memcpy(pasta_ports.fd, &fds[PASTA_PORTS],
	       pasta_ports.count * sizeof(fds[0]));
}

/**
 * pasta_guest() - The guest has all addresses that it was given a copy of
 *
 * After guest_init().
 */
void pasta_guest(void)
{
	const struct netcopy *found = netcopy_found();

	for (unsigned i = 0; i < found->addrs; i++)
		guest_give_addr(&found->addr[i].addr);
}

/* A command goes on, and what is sent to us is passed on until its end */
static void pasta_on_tap_gone(void)
{
	warn("The namespace's interface %s has gone", pasta_conf->ns.ifname);
	if (pasta_conf->ns.form != CONF_NS_COMMAND)
		pasta_stop();
}

/**
 * pasta_link() - The tap device as the link, or none with --splice-only
 * @stop:	called in the loop where we have to end
 * Return: the link's operations
 */
const struct link_ops *pasta_link(void (*stop)(void))
{
	int rc = nssock_watch();

	if (rc)
		die("Cannot watch the helper process: %s", strerror(-rc));
	pasta_stop = stop;
	if (pasta_conf->ns.no_tap)
		return none_init();
	return tun_init(&(struct tun_conf){ .fd = pasta_tap,
					   .gone = pasta_on_tap_gone });
}

/**
 * pasta_ports_start() - Let forwarded ports follow what listens on either side
 * @now:	the time
 *
 * After the protocols listen on the ports that were asked for by number.
 */
void pasta_ports_start(usec_t now)
{
	struct fwd_auto_conf f = { .conf = pasta_conf, .ns = pasta_ports };
	int rc = ports_open(&f.host);

	if (rc)
		debug("Cannot ask the host for its ports: %s", strerror(-rc));
	fwd_auto_start(&f, now);
}

/**
 * pasta_watch() - Serve the link, and be told when the guest has gone
 * @now:	the time
 *
 * After the last fork().
 */
void pasta_watch(usec_t now)
{
	int rc = pasta_conf->ns.no_tap ? 0 : tun_start(now);

	loop_look_first();
	if (!rc)
		rc = command_watch(pasta_stop);
	if (!rc && pasta_conf->ns.form != CONF_NS_COMMAND &&
	    !pasta_conf->ns.no_netns_quit)
		rc = netns_watch(&pasta_ns, pasta_stop);
	if (rc)
		die("Cannot watch the namespace: %s", strerror(-rc));
}

/**
 * pasta_release() - All is ready: the command, where there is one, may begin
 */
void pasta_release(void)
{
	/* Which was said. A command that waits ends with us, unheard of */
	if (nssock_ready())
		exit(EXIT_FAILURE);
	command_release();
}
