/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * icmp: echo over ping sockets, and the ICMP errors that we send
 */
#ifndef ICMP_H
#define ICMP_H

#include "conf.h"
#include "lib/packet.h"
#include "lib/timer.h"

/** Destination unreachable, and its code of IPv4 for what is too large */
#define ICMP4_UNREACH		3
#define ICMP4_FRAG_NEEDED	4
#define ICMP6_UNREACH		1

/**
 * struct icmp_error - an error to tell the guest
 * @from:	who reports it (source of the ICMP packet)
 * @to:		the guest's address
 * @host_errno:	errno of the socket: ECONNREFUSED, EHOSTUNREACH, ENETUNREACH,
 *		EACCES, EMSGSIZE, ...; mapped to type and code (RFC 792, 4443)
 * @type:	type that the host was told, passed on with @code instead of
 *		what @host_errno stands for; 0: none (no error has type 0)
 * @code:	code that belongs to @type
 * @mtu:	next-hop MTU for EMSGSIZE, bytes
 * @quoted:	the offending packet from its IP header on
 * @quoted_len:	bytes of it; cut to what may be quoted
 */
struct icmp_error {
	struct addr from;
	struct addr to;
	int host_errno;
	uint8_t type;
	uint8_t code;
	unsigned mtu;
	const uint8_t *quoted;
	size_t quoted_len;
};

/**
 * icmp_is_unreachable() - Whether something refuses what the packet quotes
 * @p:		ICMP or ICMPv6 packet
 *
 * That a fragment is needed is a hint, not a refusal (RFC 792, RFC 4443 3.1).
 *
 * Return: true if so
 */
static inline bool icmp_is_unreachable(const struct packet *p)
{
	if (!addr_is_v4(&p->dst))
		return p->icmp.type == ICMP6_UNREACH;
	return p->icmp.type == ICMP4_UNREACH &&
	       p->icmp.code != ICMP4_FRAG_NEEDED;
}

int icmp_init(const struct conf *c, usec_t now);
void icmp_input(const struct packet *run, usec_t now);
bool icmp_error_send(const struct icmp_error *e);

#endif /* ICMP_H */
