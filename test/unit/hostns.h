/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostns: a host of the test's own: a user and network namespace with lo up,
 * where the test is root, so that it may set addresses, MTU and sysctls
 */
#ifndef HOSTNS_H
#define HOSTNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool hostns_enter(void);
bool hostns_address(const char *text);
int hostns_device(const char *text);
bool hostns_lose6(const char *text);
bool hostns_mtu(unsigned mtu);
bool hostns_net(const char *text);
bool hostns_move(const char *text);
bool hostns_icmp(const char *from, const char *to, const void *icmp,
		 size_t len);
bool hostns_write(const char *path, const char *text);

#endif /* HOSTNS_H */
