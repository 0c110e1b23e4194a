/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * icmp: echo over ping sockets, and the ICMP errors that we send
 */
#ifndef ICMP_H
#define ICMP_H

#include "conf.h"
#include "lib/packet.h"
#include "lib/timer.h"

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

int icmp_init(const struct conf *c, usec_t now);
void icmp_input(const struct packet *run, usec_t now);
bool icmp_error_send(const struct icmp_error *e);

#endif /* ICMP_H */
