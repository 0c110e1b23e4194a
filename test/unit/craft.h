/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * craft: frames made by hand, for unit tests
 *
 * A frame is built front to back: craft_ip4() or craft_ip6() begins it,
 * craft_bytes() and craft_ext6() append, craft_tcp() and the like append a
 * transport header with payload, craft_end() puts lengths and checksums right.
 * A test then breaks what it wants broken, and calls craft_sum4() if the IPv4
 * header's checksum shall be right all the same.
 */
#ifndef CRAFT_H
#define CRAFT_H

#include "lib/packet.h"

#define CRAFT_MAX	(66 * 1024)

/**
 * struct craft - a frame being made
 * @b:		bytes
 * @len:	how many
 * @l4:		offset of the transport header
 * @proto:	its protocol
 * @src:	IP source
 * @dst:	IP destination
 */
struct craft {
	uint8_t b[CRAFT_MAX];
	size_t len;
	size_t l4;
	uint8_t proto;
	struct addr src;
	struct addr dst;
};

extern const uint8_t craft_guest_mac[6];
extern const uint8_t craft_our_mac[6];

struct addr craft_addr(const char *text);
void craft_ip(struct craft *c, const char *src, const char *dst);
void craft_ip4_options(struct craft *c, const void *opt, size_t len);
void craft_ext6(struct craft *c, uint8_t kind, const void *h, size_t len);
void craft_bytes(struct craft *c, const void *p, size_t len);
void craft_fill(struct craft *c, size_t len);
void craft_tcp(struct craft *c, uint16_t sport, uint16_t dport, size_t optlen,
	       size_t len);
void craft_udp(struct craft *c, uint16_t sport, uint16_t dport, size_t len);
void craft_icmp(struct craft *c, uint8_t type, size_t len);
void craft_end(struct craft *c);
void craft_sum4(struct craft *c);
void craft_fragment(const struct craft *whole, struct craft *out, size_t off,
		    size_t len, uint32_t id);
void craft_arp(struct craft *c, const char *spa, const char *tpa);

#endif /* CRAFT_H */
