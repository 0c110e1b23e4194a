/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest: what is known of the guest: its MAC and the addresses it uses
 *
 * Learned by tap.c from valid unicast sources; before that the broadcast MAC
 * and the configured addresses. Everything above asks here.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/packet.h"

/**
 * struct guest_conf - what is configured before anything was learned
 * @our_mac:	source MAC of what we send
 * @addr4:	IPv4 address given to the guest, ADDR_ANY4: none
 * @addr6:	IPv6 address given to the guest, ADDR_ANY6: none
 * @our_ll:	our own IPv6 link-local address (router), EUI-64 of @our_mac
 */
struct guest_conf {
	uint8_t our_mac[6];
	struct addr addr4;
	struct addr addr6;
	struct addr our_ll;
};

void guest_init(const struct guest_conf *c);
void guest_give_addr(const struct addr *a);
void guest_learn_mac(const uint8_t mac[6]);
void guest_learn_addr(const struct addr *a);
void guest_forget(void);
void guest_arrived(void);
bool guest_present(void);
const uint8_t *guest_mac(void);
const uint8_t *guest_our_mac(void);
const struct addr *guest_our_ll(void);
bool guest_addr(int family, bool link_local, struct addr *out);
bool guest_holds(const struct addr *a);
struct packet_ends guest_ends(const struct addr *src, const struct addr *dst);

#endif /* GUEST_H */
