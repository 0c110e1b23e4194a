/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost_net: frames over virtqueues in the guest's memory: a virtio network
 * device without its control queue
 *
 * Queues come in pairs, as virtio numbers them: 2 * i is the guest's receive
 * queue (frames out), 2 * i + 1 its transmit queue (frames in). Who knows how a
 * hypervisor sets a device up (vhost_user.c) calls these functions, in the
 * loop, never from within the link's.
 */
#ifndef LINK_VHOST_NET_H
#define LINK_VHOST_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "link/link.h"
#include "link/virtio.h"

/** Pairs of queues */
#define VHOST_NET_PAIRS		1
#define VHOST_NET_QUEUES	(2 * VHOST_NET_PAIRS)

/** Feature bits (virtio 1.2, 5.1.3 and 6; Linux 6.2 for USO) */
#define VHOST_NET_F_CSUM		((uint64_t)1 << 0)
#define VHOST_NET_F_GUEST_CSUM		((uint64_t)1 << 1)
#define VHOST_NET_F_MTU			((uint64_t)1 << 3)
#define VHOST_NET_F_GUEST_TSO4		((uint64_t)1 << 7)
#define VHOST_NET_F_GUEST_TSO6		((uint64_t)1 << 8)
#define VHOST_NET_F_HOST_TSO4		((uint64_t)1 << 11)
#define VHOST_NET_F_HOST_TSO6		((uint64_t)1 << 12)
#define VHOST_NET_F_MRG_RXBUF		((uint64_t)1 << 15)
#define VHOST_NET_F_GUEST_ANNOUNCE	((uint64_t)1 << 21)
#define VHOST_NET_F_ANY_LAYOUT		((uint64_t)1 << 27)
#define VHOST_NET_F_INDIRECT_DESC	((uint64_t)1 << 28)
#define VHOST_NET_F_EVENT_IDX		((uint64_t)1 << 29)
#define VHOST_NET_F_VERSION_1		((uint64_t)1 << 32)
#define VHOST_NET_F_GUEST_USO4		((uint64_t)1 << 54)
#define VHOST_NET_F_GUEST_USO6		((uint64_t)1 << 55)
#define VHOST_NET_F_HOST_USO		((uint64_t)1 << 56)

/** All of these, which the device can do */
#define VHOST_NET_FEATURES						\
	(VHOST_NET_F_CSUM | VHOST_NET_F_GUEST_CSUM | VHOST_NET_F_MTU |	\
	 VHOST_NET_F_GUEST_TSO4 | VHOST_NET_F_GUEST_TSO6 |		\
	 VHOST_NET_F_HOST_TSO4 | VHOST_NET_F_HOST_TSO6 |		\
	 VHOST_NET_F_MRG_RXBUF | VHOST_NET_F_GUEST_ANNOUNCE |		\
	 VHOST_NET_F_ANY_LAYOUT | VHOST_NET_F_INDIRECT_DESC |		\
	 VHOST_NET_F_EVENT_IDX | VHOST_NET_F_VERSION_1 |		\
	 VHOST_NET_F_GUEST_USO4 | VHOST_NET_F_GUEST_USO6 |		\
	 VHOST_NET_F_HOST_USO)

/** Called in the loop when the guest's memory was taken away */
typedef void (*vhost_net_lost_fn)(usec_t now);

const struct link_ops *vhost_net_init(vhost_net_lost_fn lost);
void vhost_net_features(uint64_t features);
void vhost_net_end_hold(usec_t now);
int vhost_net_set_num(unsigned i, uint32_t num);
int vhost_net_set_addr(unsigned i, const struct virtq_addr *a);
int vhost_net_set_base(unsigned i, uint32_t base);
int vhost_net_stop(unsigned i, uint32_t *base);
int vhost_net_set_kick(unsigned i, int fd);
int vhost_net_set_call(unsigned i, int fd);
int vhost_net_set_err(unsigned i, int fd);
int vhost_net_enable(unsigned i, bool on);
void vhost_net_settle(void);
void vhost_net_reset(void);
void vhost_net_leave(usec_t now);

#endif /* LINK_VHOST_NET_H */
