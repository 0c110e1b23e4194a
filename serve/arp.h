/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arp: ARP for the gateway and everyone else on the guest's link (RFC 826,
 * 5227)
 */
#ifndef SERVE_ARP_H
#define SERVE_ARP_H

#include <stdbool.h>

#include "conf.h"
#include "lib/packet.h"
#include "lib/timer.h"

void arp_init(const struct conf *c);
void arp_input(const struct packet *p);

#endif /* SERVE_ARP_H */
