/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tun: the link over a tap device in the guest's network namespace
 */
#ifndef LINK_TUN_H
#define LINK_TUN_H

#include "link/link.h"

/**
 * struct tun_conf - how the tap link is set up
 * @fd:		what tun_open() returned, non-blocking; the link's from now on
 * @gone:	what to call, in the loop, when the device was deleted, after the
 *		down event; NULL: nothing
 */
struct tun_conf {
	int fd;
	void (*gone)(void);
};

int tun_open(const char *ifname, const uint8_t *mac);
const struct link_ops *tun_init(const struct tun_conf *c);
int tun_start(usec_t now);

#endif /* LINK_TUN_H */
