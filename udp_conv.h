/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_conv: what UDP keeps of a conversation, for the udp*.c files only
 *
 *	udp.c         entry points
 *	udp_listen.c  forwarded ports: datagrams of clients not known yet
 *	udp_in.c      guest -> socket
 *	udp_flow.c    life and death, events, timers
 *	udp_splice.c  past the link, socket to socket
 *	udp_send.c    out of sockets; answers out of a listening one
 *	udp_out.c     socket -> guest
 *	udp_err.c     errors of the host -> ICMP to the guest
 *
 * Calls go from the top of this list down only.
 */
#ifndef UDP_CONV_H
#define UDP_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow.h"
#include "fwd_listen.h"
#include "lib/loop.h"
#include "lib/timer.h"

/** Room for the largest UDP payload of all (65535 bytes less headers) */
#define UDP_DATAGRAM_MAX	65535
/** How long a conversation lasts: before there was a reply, and after it */
#define UDP_UNREPLIED		(30 * USEC_PER_SEC)
#define UDP_STREAM		(180 * USEC_PER_SEC)
/** After the reply of a DNS server */
#define UDP_DNS			(10 * USEC_PER_SEC)
#define UDP_DNS_PORT		53

/**
 * struct udp_flow - what UDP keeps of a conversation, in flow.room
 * @watch:	the connected socket
 * @timer:	its end; armed lazily: looks at @last when it fires
 * @last:	when a datagram last went either way
 * @listener:	what answers a client whose port @watch could not have; else NULL
 * @stalled_next:	list of flows the link had no room for, index + 1
 * @stalled_prev:	the same
 * @expect:	largest datagram to expect from the socket, bytes
 * @segment:	size of all datagrams lately, several at a time; 0: of no one size
 * @gro:	the kernel hands over several of one size as one (UDP_GRO)
 * @guest:	the guest's side, INI or TGT
 * @stalled:	on the list; the socket is not watched for input
 * @replied:	the side that did not begin has spoken, too
 * @heard:	and has so since the timer was last due
 * @dns:	a query to a DNS server
 * @no_gso:	the kernel refused UDP_SEGMENT here
 * @pmtudisc:	what IP_MTU_DISCOVER is set to, plus 1; 0: the kernel's default
 * @ttl:	what IP_TTL is set to; 64: the kernel's default, too
 * @tos:	what IP_TOS is set to
 */
struct udp_flow {
	struct watch watch;
	struct timer timer;
	usec_t last;
	const struct fwd_listener *listener;
	uint32_t stalled_next;
	uint32_t stalled_prev;
	uint32_t expect;
	uint16_t segment;
	bool gro;
	uint8_t guest;
	bool stalled;
	bool replied;
	bool heard;
	bool dns;
	bool no_gso;
	uint8_t pmtudisc;
	uint8_t ttl;
	uint8_t tos;
};

/**
 * udp_of() - UDP's part of a flow
 * @f:		flow of type FLOW_UDP
 * Return: its room
 */
static inline struct udp_flow *udp_of(struct flow *f)
{
	return flow_as(f, struct udp_flow);
}

/**
 * udp_guest_side() - The guest's side of a flow
 * @f:		flow of type FLOW_UDP
 * Return: the side
 */
static inline struct flow_side *udp_guest_side(struct flow *f)
{
	return &f->side[udp_of(f)->guest];
}

/**
 * udp_host_side() - The host's side of a flow
 * @f:		flow of type FLOW_UDP
 * Return: the side
 */
static inline struct flow_side *udp_host_side(struct flow *f)
{
	return &f->side[!udp_of(f)->guest];
}

#endif /* UDP_CONV_H */
