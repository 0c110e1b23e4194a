/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frag: reassembly of the guest's IPv4 and IPv6 fragments in a fixed pool
 * (RFC 791, 8200; overlaps drop the datagram, RFC 5722)
 */
#ifndef FRAG_H
#define FRAG_H

#include <stdbool.h>

#include "lib/packet.h"
#include "lib/timer.h"

void frag_init(void);
bool frag_input(const struct packet *p, struct packet *whole, usec_t now);
void frag_release(const struct packet *whole);
void frag_forget(void);

#endif /* FRAG_H */
