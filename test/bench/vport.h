/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vport: a vhost-user front-end and virtio driver of the least kind, for peer.c
 */
#ifndef VPORT_H
#define VPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct vport_frame - a frame to send: headers, then zeros
 * @head:	its first bytes
 * @hlen:	how many
 * @len:	bytes of the frame
 * @gso_type:	VIRTIO_NET_HDR_GSO_*
 * @gso_size:	payload bytes a segment, or 0
 * @csum_start:	where the transport header is; 0: its checksum is whole
 * @csum_off:	where its checksum is in that
 */
struct vport_frame {
	const uint8_t *head;
	size_t hlen;
	size_t len;
	uint8_t gso_type;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_off;
};

int vport_open(const char *path);
bool vport_send(const struct vport_frame *f);
void vport_kick(void);
unsigned vport_receive(void (*fn)(const uint8_t *frame, size_t len));
void vport_wait(int ms, bool room);

#endif /* VPORT_H */
