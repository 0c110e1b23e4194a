// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conf: the command line, and what the host says where it is silent
 *
 *	options		the table below: names, help, handler; values are
 *			checked one by one
 *	families	which are on: those with a route on the host
 *	host		interface, address, gateway, name servers (host/)
 *	ports		last (conf_ports): whether an address can be bound to
 *			depends on --freebind, and on what families are on
 *	namespace	pasta's (conf_ns): which one, and what is set up in it
 *
 * State: struct conf, constant once conf_parse() returns, and what was wished
 * for on the way there. A value that is wrong ends the process, before
 * anything was created, with one line that names the option and the value.
 */
#include "conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_host.h"
#include "conf_ns.h"
#include "conf_ports.h"
#include "host/resolv.h"
#include "lib/option.h"
#include "lib/value.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

#define CONF_MTU		65520
/** Most: what a tap device takes, whose frames have 65535 bytes */
#define CONF_MTU_MAX		(65535 - 14)
/** Least MTUs: RFC 791 3.2, RFC 8200 5 */
#define CONF_MTU_MIN4		68
#define CONF_MTU_MIN6		1280
#define CONF_LOG_SIZE		(1024 * 1024)
#define CONF_KEEPALIVE		300
#define CONF_INACTIVITY		7200

_Static_assert(RESOLV_DOMAINS <= CONF_SEARCH_MAX &&
	       RESOLV_NAME == CONF_NAME_MAX, "resolv.conf fits");

/** Whose an option is, the table's third column */
enum {
	PASST = 1 << MODE_PASST,
	PASTA = 1 << MODE_PASTA,
	BOTH = PASST | PASTA,
};

/**
 * struct conf_wish - what was asked for, as far as struct conf does not say
 * @host:	where the host is asked as well
 * @search:	--search was given
 * @ignored:	an option without effect was given
 * @user:	--runas was given
 * @netmask:	--netmask
 * @address:	IPv4 --address
 * @family:	--address, --gateway or --outbound, the last of each family
 * @ports:	--tcp-ports, --udp-ports, --tcp-ns and --udp-ns
 * @netns:	--netns as it was given
 */
struct conf_wish {
	struct conf_host_wish host;
	bool search;
	bool ignored;
	bool user;
	struct option_choice netmask;
	struct option_choice address;
	struct option_choice family[CONF_FAMILIES];
	struct conf_ports_wish ports;
	struct option_choice netns;
};

static struct conf conf;
static struct conf_wish wish;
static struct option_table conf_table;

/* Places of the table */
#define V4(member)	(&conf.family[CONF_V4].member)
#define V6(member)	(&conf.family[CONF_V6].member)

/* An option's place in a family, known that of IPv4 */
static struct addr *conf_at_family(const struct option_def *o, unsigned i)
{
	return (void *)((char *)o->to + i * sizeof(conf.family[0]));
}

static unsigned conf_index_of(const struct addr *a)
{
	return addr_is_v4(a) ? CONF_V4 : CONF_V6;
}

/* ---- handlers of options, by the type of their value ---- */

static void conf_set_level(const struct option_def *o, const char *value)
{
	(void)value;
	conf.level = (enum log_level)o->max;
}

/* The last one counts, as if both were one option */
static void conf_set_only(const struct option_def *o, const char *value)
{
	(void)value;
	for (unsigned i = 0; i < CONF_FAMILIES; i++)
		wish.host.only[i] = i == o->max;
}

static void conf_set_log_size(const struct option_def *o, const char *value)
{
	uint64_t n = 0;

	option_check(o, value, value_number(value, o->max, &n));
	option_check(o, value, n ? NULL : "too small");
	conf.log_size = (size_t)n;
}

static void conf_set_mtu(const struct option_def *o, const char *value)
{
	option_set_number(o, value);
	if (conf.mtu && conf.mtu < CONF_MTU_MIN4)
		option_bad(o, value, "too small");
}

static void conf_set_socket(const struct option_def *o, const char *value)
{
	option_set_text(o, value);
	conf.fd = -1;
}

static void conf_set_repair(const struct option_def *o, const char *value)
{
	static char path[CONF_PATH_MAX];

	option_check(o, value, value_text(value, path, o->max));
	conf.migration = true;
}

static void conf_set_fd(const struct option_def *o, const char *value)
{
	option_check(o, value, value_connected_socket(value, &conf.fd));
}

static void conf_set_user(const struct option_def *o, const char *value)
{
	option_check(o, value, value_user(value, &conf.uid, &conf.gid));
	wish.user = true;
}

static void conf_set_address(const struct option_def *o, const char *value)
{
	struct addr a = ADDR_ANY6;
	unsigned prefix = 0;
	unsigned i;

	option_check(o, value, value_addr_prefix(value, &a, &prefix));
	i = conf_index_of(&a);
	conf.family[i].addr = a;
	conf.family[i].prefix = prefix;
	wish.host.has_prefix[i] = prefix;
	wish.family[i] = (struct option_choice){ o, value };
	if (i == CONF_V4)
		wish.address = wish.family[i];
}

static void conf_set_netmask(const struct option_def *o, const char *value)
{
	option_check(o, value, value_netmask(value, &wish.host.netmask));
	wish.host.has_netmask = wish.host.netmask;
	wish.netmask = (struct option_choice){
		wish.host.has_netmask ? o : NULL, value };
}

/* An address of each family; where @o->max, one that the family is on for */
static void conf_set_addr(const struct option_def *o, const char *value)
{
	struct addr a = ADDR_ANY6;
	unsigned i;

	option_check(o, value, value_host_addr(value, &a));
	i = conf_index_of(&a);
	*conf_at_family(o, i) = a;
	if (o->max)
		wish.family[i] = (struct option_choice){ o, value };
}

static void conf_set_map(const struct option_def *o, const char *value)
{
	if (strcmp(value, "none")) {
		conf_set_addr(o, value);
		return;
	}
	*conf_at_family(o, CONF_V4) = *conf_at_family(o, CONF_V6) = ADDR_ANY6;
	if (o->to == V4(map_host_loopback))
		wish.host.no_map_gw = true;
}

/* A name server may be on the loopback of whoever asks it */
static struct addr conf_server(const struct option_def *o, const char *value)
{
	struct addr a;

	if (!addr_parse(value, &a))
		option_bad(o, value, "not an address");
	if (!addr_is_unicast(&a))
		option_bad(o, value, "not a unicast address");
	return a;
}

static void conf_set_dns_host(const struct option_def *o, const char *value)
{
	struct addr a = conf_server(o, value);

	conf.family[conf_index_of(&a)].dns_host = a;
}

static void conf_set_dns(const struct option_def *o, const char *value)
{
	struct conf_family *fam;
	struct addr a;

	wish.host.dns = true;
	if (!strcmp(value, "none")) {
		conf.family[CONF_V4].dns_count = 0;
		conf.family[CONF_V6].dns_count = 0;
		return;
	}
	a = conf_server(o, value);
	fam = &conf.family[conf_index_of(&a)];
	if (fam->dns_count < CONF_DNS_MAX)
		fam->dns[fam->dns_count++] = a;
	else
		warn("--dns %s: left out, there are %d before", value,
		     CONF_DNS_MAX);
}

/* Behind those of a --search before, as name servers are */
static void conf_set_search(const struct option_def *o, const char *value)
{
	unsigned n = 0;

	wish.search = true;
	if (!strcmp(value, "none")) {
		conf.search_count = 0;
		return;
	}
	option_check(o, value,
		     value_domains(value, conf.search + conf.search_count,
				   CONF_SEARCH_MAX - conf.search_count, &n));
	n += conf.search_count;
	if (n > CONF_SEARCH_MAX)
		warn("--search: %u domains, the first %d are told", n,
		     CONF_SEARCH_MAX);
	conf.search_count = n < CONF_SEARCH_MAX ? n : CONF_SEARCH_MAX;
}

static void conf_set_ports(const struct option_def *o, const char *value)
{
	conf_ports_note(&wish.ports, o, value);
}

static void conf_set_netns(const struct option_def *o, const char *value)
{
	conf_ns_set_name(o, value);
	wish.netns = (struct option_choice){ o, value };
}

static void conf_show_version(const struct option_def *o, const char *value)
{
	(void)o;
	(void)value;
	printf("%s " VERSION "\n"
	       "GPL-2.0-or-later; there is no warranty, as far as the law "
	       "permits.\n", conf_table.program);
	exit(EXIT_SUCCESS);
}

/* QEMU's docs/interop/vhost-user.rst, Backend program conventions */
static void conf_show_capabilities(const struct option_def *o,
				   const char *value)
{
	(void)o;
	(void)value;
	puts("{\n  \"type\": \"net\"\n}");
	exit(EXIT_SUCCESS);
}

/* Whatever else is asked for, right or wrong */
static void conf_find_capabilities(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[i], "--print-capabilities"))
			conf_show_capabilities(NULL, NULL);
	}
}

static void conf_show_help(const struct option_def *o, const char *value);

/* ---- the table: names, argument, whose, heading, help, handler, where to */

static const struct option_def conf_options[] = {
	{ "help", NULL, 'h', NULL, BOTH, "General",
	  "Print this and exit", conf_show_help, NULL, 0 },
	{ "version", NULL, 0, NULL, BOTH, NULL,
	  "Print name and version and exit", conf_show_version, NULL, 0 },
	{ "foreground", NULL, 'f', NULL, PASST, NULL,
	  "Stay in the foreground, PID unchanged; default: go to the "
	  "background once ready", option_set_flag, &conf.foreground, true },
	{ "foreground", NULL, 'f', NULL, PASTA, NULL,
	  "Stay in the foreground, PID unchanged; default with COMMAND, or a "
	  "shell; else: go to the background once ready",
	  option_set_flag, &conf.foreground, true },
	{ "runas", NULL, 0, "USER", BOTH, NULL,
	  "User to become when started as root: UID[:GID] or LOGIN[:GROUP]; "
	  "default: nobody", conf_set_user, NULL, 0 },
	{ "pid", NULL, 'P', "FILE", BOTH, NULL,
	  "Write own PID to FILE once ready; default: none",
	  option_set_text, &conf.pid_file, CONF_PATH_MAX },
	{ "chroot-fallback", NULL, 0, NULL, BOTH, NULL,
	  "Use chroot() where pivot_root() cannot work; default: that is an "
	  "error", option_set_flag, &conf.chroot_fallback, true },

	{ "debug", NULL, 'd', NULL, BOTH, "Messages",
	  "Say more; default: informational messages",
	  conf_set_level, NULL, LOG_LEVEL_DEBUG },
	{ "trace", NULL, 0, NULL, BOTH, NULL,
	  "Say something of each packet; implies --debug",
	  conf_set_level, NULL, LOG_LEVEL_TRACE },
	{ "quiet", NULL, 'q', NULL, BOTH, NULL, "Warnings and errors only",
	  conf_set_level, NULL, LOG_LEVEL_WARN },
	{ "stderr", NULL, 'e', NULL, BOTH, NULL,
	  "No effect, accepted for compatibility", option_set_flag,
	  &wish.ignored, true },
	{ "log-file", NULL, 'l', "PATH", BOTH, NULL,
	  "Log to PATH; default: standard error in the foreground, the system "
	  "log in the background",
	  option_set_text, &conf.log_file, CONF_PATH_MAX },
	{ "log-size", NULL, 0, "BYTES", BOTH, NULL,
	  "Largest size of the log file, the oldest lines make room; default: "
	  "1048576", conf_set_log_size, NULL, SIZE_MAX / 2 },
	{ "stats", NULL, 0, "SECONDS", BOTH, NULL,
	  "Log statistics at most every SECONDS; default: 0, never",
	  option_set_number, &conf.stats_sec, INT32_MAX },
	{ "pcap", NULL, 'p', "FILE", BOTH, NULL,
	  "Capture the frames from and to the guest; default: off",
	  option_set_text, &conf.pcap, CONF_PATH_MAX },

	{ "socket", "socket-path", 's', "PATH", PASST, "Hypervisor",
	  "UNIX domain socket to listen on; default: first free of "
	  "/tmp/passt_1.socket to /tmp/passt_64.socket",
	  conf_set_socket, &conf.socket, sizeof(conf.socket) },
	{ "fd", NULL, 'F', "N", PASST, NULL,
	  "Serve the connected stream socket N; implies --one-off",
	  conf_set_fd, NULL, 0 },
	{ "one-off", NULL, '1', NULL, PASST, NULL,
	  "Exit when the client leaves; default: serve the next one",
	  option_set_flag, &conf.one_off, true },
	{ "vhost-user", NULL, 0, NULL, PASST, NULL,
	  "Frames in the guest's own memory, set up by vhost-user over the "
	  "socket; default: frames through the socket",
	  option_set_flag, &conf.vhost_user, true },
	{ "print-capabilities", NULL, 0, NULL, PASST, NULL,
	  "Print as JSON what kind of vhost-user back-end this is and exit; "
	  "other options do not matter", conf_show_capabilities, NULL, 0 },
	{ "repair-path", NULL, 0, "PATH", PASST, NULL,
	  "No effect: this version does not migrate", conf_set_repair, NULL,
	  CONF_PATH_MAX },
	{ "migrate-exit", NULL, 0, NULL, PASST, NULL,
	  "No effect: this version does not migrate", option_set_flag,
	  &conf.migration, true },
	{ "migrate-no-linger", NULL, 0, NULL, PASST, NULL,
	  "No effect: this version does not migrate", option_set_flag,
	  &conf.migration, true },

	{ "config-net", NULL, 0, NULL, PASTA, "The namespace",
	  "Configure the interface inside: addresses, routes, MTU; default: "
	  "only bring up lo", option_set_flag, &conf.ns.config_net, true },
	{ "ns-ifname", NULL, 'I', "NAME", PASTA, NULL,
	  "Name of the interface inside; default: that of the host's "
	  "interface, else tap0", option_set_ifname, &conf.ns.ifname, 0 },
	{ "ns-mac-addr", NULL, 0, "MAC", PASTA, NULL,
	  "MAC address of the interface inside; default: random",
	  option_set_mac, &conf.ns.mac, 0 },
	{ "netns", NULL, 0, "PATH|NAME", PASTA, NULL,
	  "Network namespace to join: its path, or its name below /run/netns; "
	  "implies --netns-only, without --userns",
	  conf_set_netns, &conf.ns.netns, CONF_PATH_MAX },
	{ "userns", NULL, 0, "PATH", PASTA, NULL,
	  "User namespace to join; default: that of PID, a new one for COMMAND",
	  conf_ns_set_path, &conf.ns.userns, CONF_PATH_MAX },
	{ "netns-only", NULL, 0, NULL, PASTA, NULL,
	  "Join, or make, no user namespace",
	  option_set_flag, &conf.ns.netns_only, true },
	{ "no-netns-quit", NULL, 0, NULL, PASTA, NULL,
	  "Stay when the namespace goes; default: end then",
	  option_set_flag, &conf.ns.no_netns_quit, true },
	{ "no-pidns", NULL, 0, NULL, PASTA, NULL,
	  "COMMAND stays in our PID namespace; default: one of its own, and "
	  "all that it left running ends with it",
	  option_set_flag, &conf.ns.no_pidns, true },
	{ "no-copy-routes", NULL, 0, NULL, PASTA, NULL,
	  "With --config-net: of the routes, only the default one; default: "
	  "all of the host's interface, but with --gateway",
	  option_set_flag, &conf.ns.no_copy_routes, true },
	{ "no-copy-addrs", NULL, 0, NULL, PASTA, NULL,
	  "With --config-net: of the addresses, only one of each family; "
	  "default: all of the host's interface, but with --address",
	  option_set_flag, &conf.ns.no_copy_addrs, true },

	{ "address", NULL, 'a', "ADDR[/LEN]", BOTH, "Addresses of the guest",
	  "Address for the guest, one for each of IPv4 and IPv6; default: the "
	  "host's, of the interface with the default route, or with any; else "
	  "169.254.2.1, and no IPv6 address", conf_set_address, NULL, 0 },
	{ "netmask", NULL, 'n', "MASK", BOTH, NULL,
	  "IPv4 netmask, also as a length; not with an IPv4 --address ADDR/LEN; "
	  "default: the host's, else by class", conf_set_netmask, NULL, 0 },
	{ "gateway", NULL, 'g', "ADDR", BOTH, NULL,
	  "Gateway for the guest, one for each of IPv4 and IPv6; default: the "
	  "host's, else 169.254.2.2 and fe80::1",
	  conf_set_addr, V4(gateway), true },
	{ "mac-addr", NULL, 'M', "MAC", BOTH, NULL,
	  "Source MAC address of what the guest gets; default: "
	  "9a:55:9a:55:9a:55", option_set_mac, &conf.mac, 0 },
	{ "mtu", NULL, 'm', "N", BOTH, NULL,
	  "MTU announced by DHCP and router advertisements, 0: none; default: "
	  "65520", conf_set_mtu, &conf.mtu, CONF_MTU_MAX },
	{ "ipv4-only", NULL, '4', NULL, BOTH, NULL,
	  "No IPv6; default: both, as the host has routes",
	  conf_set_only, NULL, CONF_V4 },
	{ "ipv6-only", NULL, '6', NULL, BOTH, NULL,
	  "No IPv4; default: both, as the host has routes",
	  conf_set_only, NULL, CONF_V6 },
	{ "hostname", NULL, 'H', "NAME", BOTH, NULL,
	  "Host name told by DHCP; default: none",
	  option_set_domain, &conf.hostname, CONF_NAME_MAX },
	{ "fqdn", NULL, 0, "NAME", BOTH, NULL,
	  "Full name told by DHCP and DHCPv6; default: none",
	  option_set_domain, &conf.fqdn, CONF_NAME_MAX },

	{ "interface", NULL, 'i', "NAME", BOTH, "The host's side",
	  "Interface that addresses and routes are taken from; default: see "
	  "--outbound-if4 and --outbound-if6, else that of the default route",
	  option_set_interface, &wish.host.interface, 0 },
	{ "outbound", NULL, 'o', "ADDR", BOTH, NULL,
	  "Source address of outbound sockets, one for each of IPv4 and IPv6; "
	  "default: routing decides",
	  conf_set_addr, V4(outbound), true },
	{ "outbound-if4", NULL, 0, "NAME", BOTH, NULL,
	  "Bind outbound IPv4 sockets to an interface; default: routing "
	  "decides", option_set_interface, V4(outbound_if), 0 },
	{ "outbound-if6", NULL, 0, "NAME", BOTH, NULL,
	  "Bind outbound IPv6 sockets to an interface; default: routing "
	  "decides", option_set_interface, V6(outbound_if), 0 },
	{ "map-host-loopback", NULL, 0, "ADDR", BOTH, NULL,
	  "The guest reaches the host's loopback as ADDR; none: not at all; "
	  "default: the gateway's address",
	  conf_set_map, V4(map_host_loopback), 0 },
	{ "no-map-gw", NULL, 0, NULL, BOTH, NULL,
	  "The gateway's address does not lead to the host's loopback",
	  option_set_flag, &wish.host.no_map_gw, true },
	{ "map-guest-addr", NULL, 0, "ADDR", BOTH, NULL,
	  "The guest reaches the host under the address that both share as "
	  "ADDR; default: none", conf_set_map, V4(map_guest_addr), 0 },

	{ "dns", NULL, 'D', "ADDR", BOTH, "Names",
	  "Name server told to the guest, may be repeated; none: tell none; "
	  "default: those of " RESOLV_PATH ", with loopback ones remapped",
	  conf_set_dns, NULL, 0 },
	{ "search", NULL, 'S', "LIST", BOTH, NULL,
	  "Search list told to the guest, spaces between domains, may be "
	  "repeated; none: tell none; default: that of " RESOLV_PATH,
	  conf_set_search, NULL, 0 },
	{ "dns-forward", NULL, 0, "ADDR", BOTH, NULL,
	  "DNS that the guest sends to ADDR goes to --dns-host; one for each "
	  "of IPv4 and IPv6; default: off",
	  conf_set_addr, V4(dns_forward), false },
	{ "dns-host", NULL, 0, "ADDR", BOTH, NULL,
	  "Name server for --dns-forward; default: the first of the same "
	  "family in " RESOLV_PATH, conf_set_dns_host, NULL, 0 },
	{ "dhcp-dns", NULL, 0, NULL, PASST, NULL,
	  "Tell name servers by DHCP, DHCPv6 and router advertisements; this "
	  "is the default", option_set_flag, &conf.dhcp_dns, true },
	{ "no-dhcp-dns", NULL, 0, NULL, PASST, NULL,
	  "Do not tell name servers",
	  option_set_flag, &conf.dhcp_dns, false },
	{ "dhcp-search", NULL, 0, NULL, PASST, NULL,
	  "Tell the search list the same ways; this is the default",
	  option_set_flag, &conf.dhcp_search, true },
	{ "no-dhcp-search", NULL, 0, NULL, PASST, NULL,
	  "Do not tell the search list",
	  option_set_flag, &conf.dhcp_search, false },
	{ "dhcp-dns", NULL, 0, NULL, PASTA, NULL,
	  "Tell name servers by DHCP, DHCPv6 and router advertisements",
	  option_set_flag, &conf.dhcp_dns, true },
	{ "no-dhcp-dns", NULL, 0, NULL, PASTA, NULL,
	  "Do not tell name servers; this is the default",
	  option_set_flag, &conf.dhcp_dns, false },
	{ "dhcp-search", NULL, 0, NULL, PASTA, NULL,
	  "Tell the search list the same ways",
	  option_set_flag, &conf.dhcp_search, true },
	{ "no-dhcp-search", NULL, 0, NULL, PASTA, NULL,
	  "Do not tell the search list; this is the default",
	  option_set_flag, &conf.dhcp_search, false },

	{ "tcp-ports", NULL, 't', "SPEC", PASST, "Forwarded ports",
	  "TCP ports, see below; may be repeated; default: none",
	  conf_set_ports, &conf.tcp_ports, 0 },
	{ "udp-ports", NULL, 'u', "SPEC", PASST, NULL,
	  "UDP ports, see below; may be repeated; default: the same ports as "
	  "--tcp-ports", conf_set_ports, &conf.udp_ports, CONF_PORTS_UDP },
	{ "tcp-ports", NULL, 't', "SPEC", PASTA, NULL,
	  "TCP ports of the host that lead into the namespace, see below; may "
	  "be repeated; default: auto",
	  conf_set_ports, &conf.tcp_ports, 0 },
	{ "udp-ports", NULL, 'u', "SPEC", PASTA, NULL,
	  "The same of UDP; default: auto, and --tcp-ports' own by number",
	  conf_set_ports, &conf.udp_ports, CONF_PORTS_UDP },
	{ "tcp-ns", NULL, 'T', "SPEC", PASTA, NULL,
	  "TCP ports of the namespace's loopback that lead to the host's; "
	  "default: auto",
	  conf_set_ports, &conf.tcp_ns_ports, CONF_PORTS_NS },
	{ "udp-ns", NULL, 'U', "SPEC", PASTA, NULL,
	  "The same of UDP; default: auto, and --tcp-ns' own by number",
	  conf_set_ports, &conf.udp_ns_ports,
	  CONF_PORTS_NS | CONF_PORTS_UDP },
	{ "host-lo-to-ns-lo", NULL, 0, NULL, PASTA, NULL,
	  "Connections from the host's loopback come to the namespace's; "
	  "default: to its public address",
	  option_set_flag, &conf.host_lo_to_ns_lo, true },
	{ "no-splice", NULL, 0, NULL, PASTA, NULL,
	  "Connections from the host's loopback come through the interface, "
	  "too; default: from socket to socket",
	  option_set_flag, &conf.no_splice, true },
	{ "splice-only", NULL, 0, NULL, PASTA, NULL,
	  "Only connections between both loopbacks: no interface inside",
	  option_set_flag, &conf.ns.no_tap, true },
	{ "freebind", NULL, 0, NULL, BOTH, NULL,
	  "Addresses to listen on need not exist yet; default: that is an "
	  "error", option_set_flag, &conf.freebind, true },

	{ "no-tcp", NULL, 0, NULL, BOTH,
	  "Parts to switch off (default: all on)",
	  "Drop TCP", option_set_flag, &conf.no_tcp, true },
	{ "no-udp", NULL, 0, NULL, BOTH, NULL, "Drop UDP",
	  option_set_flag, &conf.no_udp, true },
	{ "no-icmp", NULL, 0, NULL, BOTH, NULL, "Drop ICMP and ICMPv6; implies "
	  "--no-ndp", option_set_flag, &conf.no_icmp, true },
	{ "no-dhcp", NULL, 0, NULL, BOTH, NULL,
	  "No DHCP server; implied where there is no IPv4 gateway",
	  option_set_flag, &conf.no_dhcp, true },
	{ "no-dhcpv6", NULL, 0, NULL, BOTH, NULL, "No DHCPv6 server",
	  option_set_flag, &conf.no_dhcpv6, true },
	{ "no-ndp", NULL, 0, NULL, BOTH, NULL, "No neighbour discovery",
	  option_set_flag, &conf.no_ndp, true },
	{ "no-ra", NULL, 0, NULL, BOTH, NULL, "No router advertisements",
	  option_set_flag, &conf.no_ra, true },

	{ "keepalive-interval", NULL, 0, "SECONDS", BOTH, "TCP connections",
	  "Probe connections that the guest is silent on for 1 to 2 intervals; "
	  "0: never; default: 300",
	  option_set_number, &conf.keepalive_sec, INT32_MAX },
	{ "inactivity-timeout", NULL, 0, "SECONDS", BOTH, NULL,
	  "Reset connections idle on both sides for 1 to 2 of these; 0: never; "
	  "default: 7200", option_set_number, &conf.inactivity_sec, INT32_MAX },
};

static struct option_table conf_table = {
	.def = conf_options,
	.count = sizeof(conf_options) / sizeof(conf_options[0]),
};

static const char *const conf_usage[] = {
	[MODE_PASST] =
	"Usage: passt [OPTION]...\n\n"
	"Connects a virtual machine to the host's network, over a UNIX domain "
	"socket.",
	[MODE_PASTA] =
	"Usage: pasta [OPTION]... [COMMAND [ARG]...]\n"
	"       pasta [OPTION]... PID\n"
	"       pasta [OPTION]... --netns PATH|NAME\n\n"
	"Connects a network namespace to the host's network: a new one, for "
	"COMMAND or\na shell; that of a process; or one with a name.",
};

static void conf_show_help(const struct option_def *o, const char *value)
{
	(void)o;
	(void)value;
	puts(conf_usage[conf.mode]);
	option_help(&conf_table, stdout);
	puts("\nPort specifications:\n" PORTSPEC_HELP);
	if (conf.mode == MODE_PASTA)
		puts(PORTSPEC_HELP_AUTO);
	exit(EXIT_SUCCESS);
}

/* ---- what options have to do with each other, and with the host ---- */

/* What we were called as: the one place that asks */
static enum conf_mode conf_mode_of(const char *argv0)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
	const char *name = slash ? slash + 1 : argv0;

	return name && !strncmp(name, "pasta", 5) ? MODE_PASTA : MODE_PASST;
}

static void conf_defaults(void)
{
	static const uint8_t mac[] = { 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 };

	conf.level = LOG_LEVEL_INFO;
	conf.log_size = CONF_LOG_SIZE;
	conf.fd = -1;
	conf.mtu = CONF_MTU;
	memcpy(conf.mac, mac, sizeof(mac));
	conf.dhcp_dns = conf.dhcp_search = conf.mode == MODE_PASST;
	conf.keepalive_sec = CONF_KEEPALIVE;
	conf.inactivity_sec = CONF_INACTIVITY;
}

static void conf_say_family(const struct option_choice *choice)
{
	if (choice->o)
		warn("--%s %s: no effect, its family is switched off by "
		     "--ipv4-only or --ipv6-only", choice->o->name,
		     choice->text);
}

/*
 * What there is of a family that is switched off is as if it had not been given:
 * an engine's settings and a user's wish come together so
 */
static void conf_drop_family(unsigned i)
{
	struct conf_family *f = &conf.family[i];

	f->addr = f->gateway = f->outbound = ADDR_ANY6;
	conf_say_family(&wish.family[i]);
	if (i == CONF_V4 && !wish.family[i].o)
		conf_say_family(&wish.netmask);
}

/** Flags that contradict each other, and those that need another one */
static const struct {
	const bool *one, *other;
	bool needs;
	const char *text;
} conf_clashes[] = {
	{ &conf.no_splice, &conf.ns.no_tap, false,
	  "--no-splice and --splice-only: not together" },
	{ &conf.no_splice, &conf.host_lo_to_ns_lo, false,
	  "--no-splice and --host-lo-to-ns-lo: not together" },
	{ &conf.ns.no_copy_routes, &conf.ns.config_net, true,
	  "--no-copy-routes: needs --config-net" },
	{ &conf.ns.no_copy_addrs, &conf.ns.config_net, true,
	  "--no-copy-addrs: needs --config-net" },
};

static void conf_check_clashes(void)
{
	size_t n = sizeof(conf_clashes) / sizeof(conf_clashes[0]);

	for (size_t i = 0; i < n; i++) {
		if (*conf_clashes[i].one &&
		    *conf_clashes[i].other != conf_clashes[i].needs)
			die("%s", conf_clashes[i].text);
	}
}

static void conf_check_conflicts(void)
{
	const struct conf_host_wish *w = &wish.host;

	conf_check_clashes();
	if (w->has_prefix[CONF_V4] && wish.netmask.o)
		die("--netmask %s: not together with --address %s",
		    wish.netmask.text, wish.address.text);
	if (w->only[CONF_V4])
		conf_drop_family(CONF_V6);
	if (w->only[CONF_V6] && conf.mtu && conf.mtu < CONF_MTU_MIN6)
		die("--mtu %u: --ipv6-only needs %u at least", conf.mtu,
		    CONF_MTU_MIN6);
	if (w->only[CONF_V6])
		conf_drop_family(CONF_V4);
}

static void conf_from_host(void)
{
	static struct resolv resolv;
	int rc = resolv_read(&resolv, RESOLV_PATH);

	if (rc)
		debug("%s: %s", RESOLV_PATH, strerror(-rc));
	conf_host_ask(conf.family, &wish.host);
	conf_host_names(conf.family, &wish.host, &resolv);
	if (wish.search)
		return;
	memcpy(conf.search, resolv.domain, sizeof(resolv.domain));
	conf.search_count = resolv.domains;
}

static void conf_check_outbound(const struct addr *a)
{
	const char *wrong = conf_host_cannot_bind(conf.family, a, "",
						  conf.freebind, false);
	char text[ADDR_STRLEN];

	if (wrong)
		die("--outbound %s: %s", addr_format(a, text, sizeof(text)),
		    wrong);
}

/* What depends on the families that are on, and on each other */
static void conf_settle(void)
{
	const struct conf_family *v4 = &conf.family[CONF_V4];

	conf.one_off |= conf.fd >= 0;
	conf.no_ndp |= conf.no_icmp;
	conf.no_dhcp |= !v4->on || v4->no_gateway;
	/* Nobody else has a name on every system */
	if (!wish.user && value_user("nobody", &conf.uid, &conf.gid))
		conf.uid = conf.gid = 65534;
	for (unsigned i = 0; i < CONF_FAMILIES; i++)
		conf_check_outbound(&conf.family[i].outbound);
}

static void conf_ports(void)
{
	struct conf_ports_how how = { .family = conf.family,
				      .freebind = conf.freebind,
				      .allow_auto = conf.mode == MODE_PASTA,
				      .lo_to_lo = conf.host_lo_to_ns_lo ||
						  conf.ns.no_tap };

	conf_ports_read(&wish.ports, &how);
	conf_ports_beside(&conf.udp_ports, &conf.tcp_ports);
	conf_ports_beside(&conf.udp_ns_ports, &conf.tcp_ns_ports);
	if (conf.mode == MODE_PASST)
		return;
	conf_ports_auto(&conf.tcp_ports, &conf.udp_ports);
	conf_ports_auto(&conf.tcp_ns_ports, &conf.udp_ns_ports);
}

/* What is set up in the namespace; before the host fills in what is missing */
static void conf_netconf_wish(void)
{
	for (unsigned i = 0; i < CONF_FAMILIES; i++) {
		const struct conf_family *f = &conf.family[i];
		struct netconf_family *n = &conf.netconf.family[i];

		n->copy_addrs = !conf.ns.no_copy_addrs &&
				addr_is_unspecified(&f->addr) &&
				!(i == CONF_V4 && wish.host.has_netmask);
		n->copy_routes = !conf.ns.no_copy_routes &&
				 addr_is_unspecified(&f->gateway);
	}
}

/* pasta's part: which namespace, and the process that serves it */
static void conf_namespace(void)
{
	conf_ns_settle(&conf.ns, conf.family);
	conf.foreground |= conf.ns.form == CONF_NS_COMMAND;
	conf_ns_netconf(&conf.ns, conf.family, &conf.netconf);
	conf.netconf.mtu = conf.mtu;
}

/**
 * conf_parse() - Read the command line, ask the host for the rest
 * @argc:	number of arguments
 * @argv:	arguments
 *
 * Ends the process for --help and --version, and for anything that is wrong.
 *
 * Return: the configuration, which does not change any more
 */
const struct conf *conf_parse(int argc, char **argv)
{
	int rest;

	if (conf_mode_of(argv[0]) == MODE_PASST)
		conf_find_capabilities(argc, argv);
	memset(&conf, 0, sizeof(conf));
	memset(&wish, 0, sizeof(wish));
	conf.mode = conf_mode_of(argv[0]);
	conf_table.program = conf.mode == MODE_PASTA ? "pasta" : "passt";
	conf_table.of = 1U << conf.mode;
	conf_defaults();
	log_init(conf_table.program, conf.level);
	rest = option_run(&conf_table, argc, argv);
	if (conf.mode == MODE_PASTA)
		conf_ns_target(&conf.ns, wish.netns.text, argv + rest);
	else if (rest < argc)
		die("%s: not an option (see --help)", argv[rest]);
	log_init(conf_table.program, conf.level);
	conf_check_conflicts();
	conf_netconf_wish();
	conf_from_host();
	conf_settle();
	conf_ports();
	if (conf.mode == MODE_PASTA)
		conf_namespace();
	return &conf;
}
