/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dhcp: the DHCP server (RFC 2131, 2132, 3397, 3442, 4039)
 */
#ifndef SERVE_DHCP_H
#define SERVE_DHCP_H

#include <stdbool.h>

#include "conf.h"
#include "lib/packet.h"
#include "lib/timer.h"

void dhcp_init(const struct conf *c);
bool dhcp_input(const struct packet *p);

#endif /* SERVE_DHCP_H */
