/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_err: errors of the host -> ICMP to the guest
 */
#ifndef UDP_ERR_H
#define UDP_ERR_H

#include "flow.h"
#include "icmp.h"
#include "lib/iov.h"

bool udp_err_drain(struct flow *f);
void udp_err_report(struct flow *f, struct icmp_error *e,
		    const struct slice *payload);

#endif /* UDP_ERR_H */
