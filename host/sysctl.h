/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sysctl: settings of the host's kernel, read from /proc/sys
 */
#ifndef HOST_SYSCTL_H
#define HOST_SYSCTL_H

#include <stdint.h>

unsigned sysctl_number(const char *path, unsigned otherwise);
unsigned sysctl_last(const char *path, unsigned otherwise);
void sysctl_port_range(uint16_t *first, uint16_t *last);

#endif /* HOST_SYSCTL_H */
