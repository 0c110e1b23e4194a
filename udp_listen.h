/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_listen: forwarded ports: datagrams of clients not known yet
 */
#ifndef UDP_LISTEN_H
#define UDP_LISTEN_H

int udp_listen_all(void);

#endif /* UDP_LISTEN_H */
