/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_window: the window we offer the guest, from what the host's send queue
 * takes
 */
#ifndef TCP_WINDOW_H
#define TCP_WINDOW_H

#include "tcp_conn.h"

/** Shift of the windows that we send: up to 16 MiB (RFC 7323 2.2) */
#define TCP_WINDOW_SHIFT	8

void tcp_window_init(unsigned wmem_max);
uint16_t tcp_window_mss(const struct tcp_conn *c);
void tcp_window_start(struct tcp_conn *c);
void tcp_window_took(struct tcp_conn *c, size_t len);
bool tcp_window_update(struct tcp_conn *c);
usec_t tcp_window_look_at(struct tcp_conn *c);
uint16_t tcp_window_field(struct tcp_conn *c, bool syn);
uint16_t tcp_window_same(struct tcp_conn *c);

#endif /* TCP_WINDOW_H */
