/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet: Ethernet, IP and transport headers, read into a checked view and
 * written from one
 *
 * packet_parse() is the one place where a frame's lengths, versions, options
 * and checksums are checked. What it fills in is private: headers are copied
 * before they are looked at, since a guest may change shared memory meanwhile;
 * only the payload stays where it is.
 */
#ifndef LIB_PACKET_H
#define LIB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/iov.h"

#define ETH_HLEN_		14
#define IP4_HLEN		20
#define IP6_HLEN		40
#define TCP_HLEN		20
#define UDP_HLEN		8
#define ICMP_HLEN		8

/** Most bytes of headers that we look at, Ethernet to TCP options */
#define PACKET_HDR_MAX		256
/** Most bytes of headers that we write: Ethernet, IPv6, fragment, TCP + opts */
#define PACKET_HDR_OUT_MAX	(14 + 40 + 8 + 60)

#define TCP_FLAG_FIN		0x01
#define TCP_FLAG_SYN		0x02
#define TCP_FLAG_RST		0x04
#define TCP_FLAG_PSH		0x08
#define TCP_FLAG_ACK		0x10
#define TCP_FLAG_URG		0x20

/**
 * struct frame - a frame as the link received it
 * @iov:	where its bytes lie; owned by the link until it is released
 * @cnt:	buffers in @iov
 * @len:	bytes of the frame
 * @gso_size:	payload bytes a segment if this stands for several, else 0
 * @csum_ok:	checksum of the transport header need not be (or cannot be)
 *		checked: the link says so
 * @csum_start:	where the bytes begin that the guest left the checksum of to
 *		whom they reach at last, 0: the frame is whole
 * @csum_off:	and where behind that the checksum stands
 */
struct frame {
	const struct iovec *iov;
	unsigned cnt;
	size_t len;
	uint16_t gso_size;
	bool csum_ok;
	uint16_t csum_start;
	uint16_t csum_off;
};

/**
 * struct tcp_fields - the fixed TCP header, host order (RFC 9293 3.1)
 * @seq:	sequence number
 * @ack:	acknowledgement number
 * @window:	unscaled window
 * @urgent:	urgent pointer
 * @flags:	TCP_FLAG_*
 */
struct tcp_fields {
	uint32_t seq;
	uint32_t ack;
	uint16_t window;
	uint16_t urgent;
	uint8_t flags;
};

/**
 * struct icmp_fields - an ICMP or ICMPv6 header, host order
 * @type:	type
 * @code:	code
 * @id:		identifier (echo)
 * @seq:	sequence number (echo)
 */
struct icmp_fields {
	uint8_t type;
	uint8_t code;
	uint16_t id;
	uint16_t seq;
};

/**
 * struct packet - checked view of a frame from the guest
 * @next:	next packet of the same run (same flow, in order), set by tap.c
 * @src:	IP source
 * @dst:	IP destination
 * @sport:	source port, host order (TCP, UDP; 0 else)
 * @dport:	destination port, host order (TCP, UDP; 0 else)
 * @ethertype:	ETH_P_*, host order
 * @proto:	IPPROTO_* after extension headers
 * @ttl:	TTL or hop limit
 * @tos:	TOS or traffic class
 * @df:		IPv4 don't-fragment bit (true for IPv6, but for what frag.c put
 *		together)
 * @fragment:	this is a fragment: @l4_len is 0, @payload the fragment's data
 * @more:	more fragments follow
 * @frag_off:	fragment offset in bytes
 * @frag_id:	fragment identification
 * @smac:	Ethernet source
 * @dmac:	Ethernet destination
 * @gso_size:	see struct frame
 * @l3_off:	offset of the IP header (of the ARP packet) in @hdr
 * @l4_off:	offset of the transport header in @hdr
 * @l4_len:	its length with TCP options; 8 for UDP and ICMP
 * @tcp:	TCP's fields
 * @icmp:	ICMP's and ICMPv6's fields
 * @payload:	what follows the transport header, still in the link's memory
 * @hdr:	private copy of the headers
 */
struct packet {
	struct packet *next;
	struct addr src;
	struct addr dst;
	uint16_t sport;
	uint16_t dport;
	uint16_t ethertype;
	uint8_t proto;
	uint8_t ttl;
	uint8_t tos;
	bool df;
	bool fragment;
	bool more;
	uint16_t frag_off;
	uint32_t frag_id;
	uint8_t smac[6];
	uint8_t dmac[6];
	uint16_t gso_size;
	uint16_t l3_off;
	uint16_t l4_off;
	uint16_t l4_len;
	union {
		struct tcp_fields tcp;
		struct icmp_fields icmp;
	};
	struct slice payload;
	uint8_t hdr[PACKET_HDR_MAX];
};

/**
 * struct packet_quote - the TCP segment that an ICMP error is about
 * @src:	who had sent it: where the error goes, too
 * @dst:	whom it was for
 * @sport:	source port, host order
 * @dport:	destination port, host order
 * @seq:	sequence number
 */
struct packet_quote {
	struct addr src;
	struct addr dst;
	uint16_t sport;
	uint16_t dport;
	uint32_t seq;
};

/**
 * struct packet_ends - the addresses of a packet to build
 * @smac:	Ethernet source
 * @dmac:	Ethernet destination
 * @src:	IP source
 * @dst:	IP destination
 * @ttl:	TTL or hop limit, 0: 255
 * @tos:	TOS or traffic class
 * @df:		IPv4: set don't-fragment
 */
struct packet_ends {
	const uint8_t *smac;
	const uint8_t *dmac;
	struct addr src;
	struct addr dst;
	uint8_t ttl;
	uint8_t tos;
	bool df;
};

bool packet_parse(const struct frame *f, struct packet *p);
bool packet_parse_l4(struct packet *p, bool csum_ok);
bool packet_parse_quote(const struct packet *p, struct packet_quote *q);
size_t packet_l2l3_len(const struct addr *dst);
size_t packet_put_l2l3(uint8_t *h, const struct packet_ends *e, uint8_t proto,
		       size_t l4_len);
void packet_put_ip4_frag(uint8_t *ip, uint16_t id, size_t off, bool more);
void packet_put_tcp(uint8_t *h, uint16_t sport, uint16_t dport,
		    const struct tcp_fields *f, size_t hlen);
void packet_put_csum(uint8_t *l4, size_t l4_hlen, const struct slice *payload,
		     const struct packet_ends *e, uint8_t proto);
size_t packet_put_partial_csum(uint8_t *l4, size_t len,
			       const struct packet_ends *e, uint8_t proto);

#endif /* LIB_PACKET_H */
