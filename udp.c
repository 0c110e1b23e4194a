// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * udp: UDP conversations between the guest and the host's sockets
 *
 * Entry points; udp_conv.h says which file does what. State: whether UDP is
 * switched off.
 */
#include "udp.h"

#include <errno.h>
#include <netinet/in.h>

#include "fwd_socket.h"
#include "lib/stats.h"
#include "udp_conv.h"
#include "udp_err.h"
#include "udp_flow.h"
#include "udp_in.h"
#include "udp_listen.h"
#include "udp_splice.h"

static bool udp_off;

/**
 * udp_init() - Get ready, listen on forwarded ports
 * @c:		configuration; fwd_init() and fwd_socket_init() have been called
 * @now:	time
 * Return: 0, or a negative error code of a port that was asked for and cannot
 *	   be had (said in the log)
 */
int udp_init(const struct conf *c, usec_t now)
{
	(void)now;
	udp_off = c->no_udp;
	udp_flow_init();
	udp_splice_init();
	return udp_off ? 0 : udp_listen_all();
}

static void udp_drop_run(const struct packet *run, enum drop_reason why)
{
	for (; run; run = run->next)
		drop(why);
}

/* No flow for a run: count it, and say so to the guest where a router would */
static void udp_refuse(const struct flow_side *guest, const struct packet *run,
		       int rc)
{
	struct flow fake = { .side = { [INI] = *guest } };
	struct icmp_error e = { 0 };

	if (rc == -ENOENT) {
		udp_drop_run(run, DROP_NO_ROUTE);
		return;
	}
	if (rc == -ENOSPC) {
		udp_drop_run(run, DROP_TABLE_FULL);
		return;
	}
	if (fwd_socket_is_cut_off(rc))
		rc = -ENETUNREACH;
	e.host_errno = -rc;
	if (rc == -ENETUNREACH || rc == -EHOSTUNREACH)
		udp_err_report(&fake, &e, &run->payload);
	udp_drop_run(run, DROP_NO_SOCKET);
}

/**
 * udp_input() - Datagrams from the guest
 * @run:	one or more of the same addresses and ports, linked by @next
 * @now:	time
 */
void udp_input(const struct packet *run, usec_t now)
{
	const struct flow_side guest = {
		.remote = run->src,
		.local = run->dst,
		.rport = run->sport,
		.lport = run->dport,
		.place = FLOW_AT_GUEST,
	};
	uint16_t port = guest.rport;
	struct flow *f;
	unsigned side;
	int rc;

	if (udp_off) {
		udp_drop_run(run, DROP_DISABLED);
		return;
	}
	if (!run->dport) {
		udp_drop_run(run, DROP_L4_HEADER);
		return;
	}
	f = flow_lookup(IPPROTO_UDP, &guest, &side);
	if (f) {
		udp_flow_spoke(f, side, now);
		run = udp_in_send(f, run);
		if (!run)
			return;
		if (!fwd_socket_has_way(IPPROTO_UDP, &guest)) {
			udp_refuse(&guest, run, -ENETUNREACH);
			return;
		}
		/* The one that its peer knows */
		port = udp_host_side(f)->lport;
		udp_flow_close(f, now);
	}
	rc = udp_flow_open_outbound(&guest, port, now, &f);
	if (!rc && (run = udp_in_send(f, run)))
		rc = -ENETUNREACH;
	if (rc)
		udp_refuse(&guest, run, rc);
}

/**
 * udp_link_writable() - The link has room again
 * @now:	time
 */
void udp_link_writable(usec_t now)
{
	(void)now;
	udp_flow_resume_all();
}
