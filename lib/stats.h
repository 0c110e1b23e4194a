/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stats: counters of what was dropped and why, and of what was done
 *
 * Junk from the guest is counted and dropped, never logged per packet.
 */
#ifndef LIB_STATS_H
#define LIB_STATS_H

#include <stdbool.h>
#include <stdint.h>

/* name, text for --stats */
#define DROP_REASONS(X)							\
	X(SHORT,	"truncated header")				\
	X(ETHERTYPE,	"unknown EtherType")				\
	X(MAC,		"bad source MAC")				\
	X(IP_HEADER,	"malformed IP header")				\
	X(IP_CSUM,	"bad IPv4 header checksum")			\
	X(IP_LENGTH,	"IP length beyond the frame")			\
	X(IP_SOURCE,	"invalid source address")			\
	X(IP_DEST,	"destination not served")			\
	X(IP_OPTIONS,	"source-routed or malformed options")		\
	X(EXT_HEADER,	"bad IPv6 extension headers")			\
	X(PROTOCOL,	"protocol not served")				\
	X(FRAGMENT,	"bad, overlapping or late fragment")		\
	X(FRAGMENT_FULL, "no room to reassemble")			\
	X(L4_HEADER,	"malformed TCP, UDP or ICMP header")		\
	X(L4_CSUM,	"bad TCP, UDP or ICMP checksum")		\
	X(ARP,		"malformed ARP")				\
	X(DHCP,		"malformed or unexpected DHCP")			\
	X(DHCPV6,	"malformed or unexpected DHCPv6")		\
	X(NDP,		"malformed or unexpected NDP")			\
	X(TCP_FLAGS,	"impossible TCP flags")				\
	X(TCP_OPTIONS,	"malformed TCP options")			\
	X(TABLE_FULL,	"flow table full")				\
	X(NO_SOCKET,	"host refused a socket")			\
	X(NO_ROOM,	"link or socket full (UDP, ICMP)")		\
	X(DISABLED,	"protocol switched off")			\
	X(NO_ROUTE,	"no mapping for the address")			\
	X(LENGTH,	"bad frame length prefix")			\
	X(VNET,		"malformed virtio_net header")

/**
 * enum drop_reason - why a frame was dropped
 */
enum drop_reason {
#define X(name, text) DROP_##name,
	DROP_REASONS(X)
#undef X
	DROP_NUM
};

/* name, text for --stats */
#define STAT_COUNTERS(X)						\
	X(FRAMES_IN,	"frames from the guest")			\
	X(FRAMES_OUT,	"frames to the guest")				\
	X(BYTES_IN,	"bytes from the guest")				\
	X(BYTES_OUT,	"bytes to the guest")				\
	X(TCP_OPENED,	"TCP connections opened")			\
	X(TCP_RETRANS,	"TCP retransmissions")				\
	X(TCP_BOUNCED,	"TCP segments a full socket refused")		\
	X(TCP_KEEPALIVE, "TCP keepalives sent")				\
	X(UDP_FLOWS,	"UDP flows opened")				\
	X(ICMP_FLOWS,	"echo flows opened")

/**
 * enum stat_counter - what is counted besides drops
 */
enum stat_counter {
#define X(name, text) STAT_##name,
	STAT_COUNTERS(X)
#undef X
	STAT_NUM
};

bool drop(enum drop_reason why);
void stat_add(enum stat_counter what, uint64_t n);
void stats_print(void);

#endif /* LIB_STATS_H */
