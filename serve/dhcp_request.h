/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dhcp_request: a DHCP or BOOTP message from the guest, read and checked
 */
#ifndef SERVE_DHCP_REQUEST_H
#define SERVE_DHCP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/bytes.h"

/** Begins the options (RFC 2131 3) */
#define DHCP_COOKIE		0x63825363

/** The fixed part of a message: where its fields are (RFC 2131 2) */
enum dhcp_offset {
	DHCP_OP = 0,
	DHCP_HTYPE = 1,
	DHCP_HLEN = 2,
	DHCP_XID = 4,
	DHCP_FLAGS = 10,
	DHCP_CIADDR = 12,
	DHCP_GIADDR = 24,
	DHCP_CHADDR = 28,
	DHCP_SNAME = 44,
	DHCP_FILE = 108,
	DHCP_FIXED_LEN = 236,
};

#define DHCP_CHADDR_LEN		16
#define DHCP_SNAME_LEN		64
#define DHCP_FILE_LEN		128

enum dhcp_op { DHCP_BOOTREQUEST = 1, DHCP_BOOTREPLY = 2 };

/** Values of option 53 (RFC 2132 9.6), and what has none */
enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_DECLINE = 4,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
	DHCP_RELEASE = 7,
	DHCP_INFORM = 8,
	DHCP_BOOTP = 255,
};

enum dhcp_code {
	DHCP_OPT_PAD = 0,
	DHCP_OPT_MASK = 1,
	DHCP_OPT_ROUTER = 3,
	DHCP_OPT_DNS = 6,
	DHCP_OPT_HOSTNAME = 12,
	DHCP_OPT_MTU = 26,
	DHCP_OPT_REQUESTED = 50,
	DHCP_OPT_LEASE = 51,
	DHCP_OPT_OVERLOAD = 52,
	DHCP_OPT_TYPE = 53,
	DHCP_OPT_SERVER = 54,
	DHCP_OPT_PARAMETERS = 55,
	DHCP_OPT_MESSAGE = 56,
	DHCP_OPT_MAX_SIZE = 57,
	DHCP_OPT_CLIENT_ID = 61,
	DHCP_OPT_RAPID = 80,
	DHCP_OPT_FQDN = 81,
	DHCP_OPT_SEARCH = 119,
	DHCP_OPT_ROUTES = 121,
	DHCP_OPT_END = 255,
};

/**
 * struct dhcp_value - an option, its instances joined (RFC 3396)
 * @len:	bytes in @b
 * @b:		value
 */
struct dhcp_value {
	size_t len;
	uint8_t b[255];
};

/**
 * struct dhcp_request - a message from the guest, checked
 * @h:		fixed part, DHCP_FIXED_LEN bytes of the private copy
 * @area:	where options are, in the order of RFC 2131 4.1
 * @areas:	how many areas
 * @type:	enum dhcp_type
 * @ciaddr:	address the client says it has, or 0.0.0.0
 * @wanted:	option 50, or 0.0.0.0
 * @server:	option 54, or 0.0.0.0
 * @max_size:	option 57, or 0
 * @rapid:	option 80 is there
 * @parameters:	option 55
 * @client_id:	option 61
 * @fqdn:	option 81
 */
struct dhcp_request {
	const uint8_t *h;
	struct cur area[3];
	unsigned areas;
	uint8_t type;
	struct addr ciaddr;
	struct addr wanted;
	struct addr server;
	uint16_t max_size;
	bool rapid;
	struct dhcp_value parameters;
	struct dhcp_value client_id;
	struct dhcp_value fqdn;
};

bool dhcp_request_parse(struct dhcp_request *r, struct cur c);

#endif /* SERVE_DHCP_REQUEST_H */
