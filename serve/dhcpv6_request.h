/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dhcpv6_request: a DHCPv6 message from the guest, read and checked
 */
#ifndef SERVE_DHCPV6_REQUEST_H
#define SERVE_DHCPV6_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"
#include "lib/packet.h"

/** RFC 8415 7.3 */
enum dhcpv6_type {
	DHCPV6_SOLICIT = 1,
	DHCPV6_ADVERTISE = 2,
	DHCPV6_REQUEST = 3,
	DHCPV6_CONFIRM = 4,
	DHCPV6_RENEW = 5,
	DHCPV6_REBIND = 6,
	DHCPV6_REPLY = 7,
	DHCPV6_RELEASE = 8,
	DHCPV6_DECLINE = 9,
	DHCPV6_INFORMATION_REQUEST = 11,
	DHCPV6_TYPES,
};

/** RFC 8415 21, 3646, 4704 */
enum dhcpv6_code {
	DHCPV6_OPT_CLIENT_ID = 1,
	DHCPV6_OPT_SERVER_ID = 2,
	DHCPV6_OPT_IA_NA = 3,
	DHCPV6_OPT_IA_TA = 4,
	DHCPV6_OPT_IA_ADDR = 5,
	DHCPV6_OPT_ORO = 6,
	DHCPV6_OPT_PREFERENCE = 7,
	DHCPV6_OPT_STATUS = 13,
	DHCPV6_OPT_RAPID = 14,
	DHCPV6_OPT_DNS = 23,
	DHCPV6_OPT_SEARCH = 24,
	DHCPV6_OPT_IA_PD = 25,
	DHCPV6_OPT_FQDN = 39,
};

/**
 * struct dhcpv6_option - an option as it stands in a message
 * @code:	enum dhcpv6_code
 * @value:	its bytes
 */
struct dhcpv6_option {
	uint16_t code;
	struct cur value;
};

/**
 * struct dhcpv6_ia - an identity association of the client
 * @code:	DHCPV6_OPT_IA_NA, _IA_TA or _IA_PD
 * @iaid:	its identifier
 * @options:	options in it
 * @ours:	our address is among them
 * @other:	another address is
 */
struct dhcpv6_ia {
	uint16_t code;
	uint32_t iaid;
	struct cur options;
	bool ours;
	bool other;
};

/**
 * struct dhcpv6_request - a message from the guest, checked
 * @p:		packet
 * @addr:	our address for the guest, or ::
 * @head:	type and transaction identifier, 4 bytes
 * @options:	all of its options
 * @client_id:	option 1, .p NULL: none
 * @server_id:	option 2, .p NULL: none
 * @oro:	option 6, .p NULL: none
 * @fqdn:	option 39, .p NULL: none
 * @rapid:	option 14 is there
 * @ia:		an IA is there
 * @ours:	our address is in one of them
 * @other:	another address is
 */
struct dhcpv6_request {
	const struct packet *p;
	struct addr addr;
	const uint8_t *head;
	struct cur options;
	struct cur client_id;
	struct cur server_id;
	struct cur oro;
	struct cur fqdn;
	bool rapid;
	bool ia;
	bool ours;
	bool other;
};

bool dhcpv6_option_next(struct cur *c, struct dhcpv6_option *o);
bool dhcpv6_option_is_ia(uint16_t code);
bool dhcpv6_ia_read(struct dhcpv6_ia *ia, struct dhcpv6_option o,
		    const struct addr *our);
bool dhcpv6_request_parse(struct dhcpv6_request *r, struct cur c);

#endif /* SERVE_DHCPV6_REQUEST_H */
