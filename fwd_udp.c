// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fwd_udp: which UDP ports are in use by flows of ours
 *
 * The kernel tells that a port is taken, not by whom. One that flows of ours hold
 * may be shared by more of them, and by its listener; and a server that seems
 * gone, as it has connected to its client, may still have flows that lead to it.
 *
 * State: two tables of counts. What a flow adds as it begins it takes back, by
 * the same side, as it ends.
 */
#include "fwd_udp.h"

/* Flows whose socket has a port of the host's: of IPv4, of IPv6 */
static uint32_t fwd_udp_holds[2][65536];
/* Flows past the link that lead to a port: of the namespace, of the host */
static uint32_t fwd_udp_leads[FWD_WAYS][65536];

static uint32_t *fwd_udp_holds_of(const struct flow_side *host)
{
	return &fwd_udp_holds[!addr_is_v4(&host->remote)][host->lport];
}

/**
 * fwd_udp_hold() - A flow's UDP socket has a port of the host's from here on
 * @host:	the flow's side, its @lport set
 */
void fwd_udp_hold(const struct flow_side *host)
{
	++*fwd_udp_holds_of(host);
}

/**
 * fwd_udp_let_go() - It has it no more
 * @host:	as for fwd_udp_hold()
 */
void fwd_udp_let_go(const struct flow_side *host)
{
	--*fwd_udp_holds_of(host);
}

/**
 * fwd_udp_held() - Whether flows of ours hold a UDP port
 * @families:	FWD_V4, FWD_V6, or both: either will do
 * @port:	the port, host order
 * Return: true if so: it is not other daemons', and may be shared
 */
bool fwd_udp_held(unsigned families, uint16_t port)
{
	return (families & FWD_V4 && fwd_udp_holds[0][port]) ||
	       (families & FWD_V6 && fwd_udp_holds[1][port]);
}

static uint32_t *fwd_udp_leads_of(const struct flow_side *to)
{
	enum fwd_way way = to->place == FLOW_AT_NS ? FWD_IN : FWD_OUT;

	return &fwd_udp_leads[way][to->rport];
}

/**
 * fwd_udp_lead() - A flow past the link leads to a UDP port from here on
 * @to:		the server's side
 */
void fwd_udp_lead(const struct flow_side *to)
{
	++*fwd_udp_leads_of(to);
}

/**
 * fwd_udp_lead_end() - It is over
 * @to:		as for fwd_udp_lead()
 */
void fwd_udp_lead_end(const struct flow_side *to)
{
	--*fwd_udp_leads_of(to);
}

/**
 * fwd_udp_led() - Whether flows past the link lead to a UDP port
 * @way:	which way
 * @port:	the server's, host order
 * Return: true if so
 */
bool fwd_udp_led(enum fwd_way way, uint16_t port)
{
	return fwd_udp_leads[way][port];
}
