/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf: the command line, and what the host says where it is silent
 *
 * conf_parse() fills a struct conf that nobody changes after start. An address
 * that is not set is ADDR_ANY6 (all zero), for both families.
 */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf_host.h"
#include "conf_ns.h"
#include "lib/addr.h"
#include "lib/log.h"
#include "lib/portspec.h"

#define CONF_SEARCH_MAX	32
#define CONF_NAME_MAX	256

/**
 * enum conf_mode - what the binary was called as
 * @MODE_PASST:	a virtual machine
 * @MODE_PASTA:	a network namespace
 */
enum conf_mode { MODE_PASST, MODE_PASTA };

/**
 * struct conf - the whole configuration
 * @mode:	enum conf_mode; looked at by conf.c and passt.c only
 * @level:	what is logged
 * @stats_sec:	--stats, seconds, 0: off
 * @foreground:	stay in the foreground
 * @log_file:	--log-file or ""
 * @log_size:	--log-size, bytes
 * @uid:	user to become when started as root
 * @gid:	group to become
 * @pcap:	--pcap or ""
 * @pid_file:	--pid or ""
 * @socket:	--socket or "": first free default name
 * @fd:		--fd, or -1
 * @one_off:	--one-off
 * @vhost_user:	--vhost-user: --socket and --fd speak that
 * @migration:	an option of live migration was given, which there is not yet
 * @mtu:	MTU announced to the guest; 0: none
 * @mac:	source MAC of what we send
 * @family:	per family, [CONF_V4] and [CONF_V6]
 * @search:	DNS search list
 * @search_count:	how many
 * @dhcp_dns:	tell the guest name servers
 * @dhcp_search:	tell the guest the search list
 * @hostname:	DHCP option 12, or ""
 * @fqdn:	DHCP option 81 and DHCPv6 option 39, or ""
 * @no_tcp:	and the following: a part is switched off
 * @no_udp:	UDP off
 * @no_icmp:	ICMP and NDP off
 * @no_dhcp:	DHCP off
 * @no_dhcpv6:	DHCPv6 off
 * @no_ndp:	NDP off
 * @no_ra:	router advertisements off
 * @chroot_fallback:	chroot() where pivot_root() cannot work
 * @freebind:	listening addresses need not exist yet
 * @keepalive_sec:	--keepalive-interval, 0: none
 * @inactivity_sec:	--inactivity-timeout, 0: never
 * @tcp_ports:	-t
 * @udp_ports:	-u
 * @tcp_ns_ports:	-T; listening addresses are any or loopback
 * @udp_ns_ports:	-U, the same
 * @no_splice:	no bypass from the host's loopback to the namespace's sockets
 * @host_lo_to_ns_lo:	the bypass leads to loopback inside
 * @ns:		pasta's namespace
 * @netconf:	what is set up in it
 */
struct conf {
	enum conf_mode mode;
	enum log_level level;
	unsigned stats_sec;
	bool foreground;
	char log_file[CONF_PATH_MAX];
	size_t log_size;
	uid_t uid;
	gid_t gid;
	char pcap[CONF_PATH_MAX];
	char pid_file[CONF_PATH_MAX];
	char socket[108];
	int fd;
	bool one_off;
	bool vhost_user;
	bool migration;
	unsigned mtu;
	uint8_t mac[6];
	struct conf_family family[CONF_FAMILIES];
	char search[CONF_SEARCH_MAX][CONF_NAME_MAX];
	unsigned search_count;
	bool dhcp_dns;
	bool dhcp_search;
	char hostname[CONF_NAME_MAX];
	char fqdn[CONF_NAME_MAX];
	bool no_tcp;
	bool no_udp;
	bool no_icmp;
	bool no_dhcp;
	bool no_dhcpv6;
	bool no_ndp;
	bool no_ra;
	bool chroot_fallback;
	bool freebind;
	unsigned keepalive_sec;
	unsigned inactivity_sec;
	struct portspec tcp_ports;
	struct portspec udp_ports;
	struct portspec tcp_ns_ports;
	struct portspec udp_ns_ports;
	bool no_splice;
	bool host_lo_to_ns_lo;
	struct conf_ns ns;
	struct netconf netconf;
};

/**
 * conf_family_of() - The settings of an address's family
 * @c:		configuration
 * @a:		address
 * Return: &c->family[...]
 */
static inline const struct conf_family *conf_family_of(const struct conf *c,
						       const struct addr *a)
{
	return &c->family[addr_is_v4(a) ? CONF_V4 : CONF_V6];
}

const struct conf *conf_parse(int argc, char **argv);

#endif /* CONF_H */
