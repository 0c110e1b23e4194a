/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_out: socket -> guest
 */
#ifndef UDP_OUT_H
#define UDP_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow.h"

int udp_out_recv(struct flow *f);
bool udp_out_has_room(const struct flow_side *guest);
bool udp_out_send(const struct flow_side *guest, const void *data, size_t len);
uint8_t *udp_out_buffer(unsigned i);

#endif /* UDP_OUT_H */
