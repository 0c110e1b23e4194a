/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dhcpv6: the DHCPv6 server (RFC 8415)
 */
#ifndef SERVE_DHCPV6_H
#define SERVE_DHCPV6_H

#include <stdbool.h>

#include "conf.h"
#include "lib/packet.h"
#include "lib/timer.h"

void dhcpv6_init(const struct conf *c);
bool dhcpv6_input(const struct packet *p);

#endif /* SERVE_DHCPV6_H */
