// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conf: the command line, from one table
 *
 * The table conf_options[] is the only place that knows which options there
 * are: getopt_long(3) gets its arrays, --help its text, and each value its
 * check from there. What the command line leaves open is asked of the host by
 * conf_host.c. Everything wrong is one line that names option and value, and
 * exit status 1, before anything was created.
 *
 * State: the one struct conf, read-only once conf_parse() has returned.
 */
#include "conf.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf_host.h"
#include "host/sysctl.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

#define CONF_OPTIONS_MAX	128
/* getopt_long() values of options without a letter: index + this */
#define CONF_LONG_BASE		1000
/* Where the help text of an option begins, and where a line ends */
#define CONF_HELP_COLUMN	30
#define CONF_HELP_WIDTH		80

static struct conf conf = {
	.level = LOG_LEVEL_INFO,
	.log_size = 1024 * 1024,
	.fd = -1,
	.mtu = 65520,
	.mac = { 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 },
	.keepalive_sec = 300,
	.inactivity_sec = 7200,
};

static struct conf_given given = { .prefix = { -1, -1 }, .netmask = -1 };

struct conf_option;

/** Takes an option's value (NULL where it has none) into conf or given */
typedef void (*conf_set_fn)(const struct conf_option *o, const char *value);

/**
 * struct conf_option - an option
 * @name:	long name
 * @letter:	short name, or 0
 * @arg:	name of its argument for the help, NULL: it takes none
 * @set:	takes the value
 * @to:		what @set fills, for those that fill just one thing
 * @help:	text; NULL: another name of the option before, not listed
 */
struct conf_option {
	const char *name;
	char letter;
	const char *arg;
	conf_set_fn set;
	void *to;
	const char *help;
};

static void conf_bad(const struct conf_option *o, const char *value,
		     const char *why)
{
	die("--%s %s: %s", o->name, value, why);
}

static void set_flag(const struct conf_option *o, const char *value)
{
	(void)value;
	*(bool *)o->to = true;
}

static void set_not_flag(const struct conf_option *o, const char *value)
{
	(void)value;
	*(bool *)o->to = false;
}

static void set_nothing(const struct conf_option *o, const char *value)
{
	(void)o;
	(void)value;
}

static unsigned long conf_number(const struct conf_option *o, const char *value,
				 unsigned long min, unsigned long max)
{
	char why[80], *end;
	unsigned long n;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || errno || n < min ||
	    n > max) {
		snprintf(why, sizeof(why), "not a number from %lu to %lu", min,
			 max);
		conf_bad(o, value, why);
	}
	return n;
}

static void set_seconds(const struct conf_option *o, const char *value)
{
	*(unsigned *)o->to = (unsigned)conf_number(o, value, 0, INT_MAX);
}

static void set_stats(const struct conf_option *o, const char *value)
{
	conf.stats_sec = (unsigned)conf_number(o, value, 1, INT_MAX);
}

static void set_log_size(const struct conf_option *o, const char *value)
{
	conf.log_size = conf_number(o, value, 4096, INT_MAX);
}

static void set_mtu(const struct conf_option *o, const char *value)
{
	conf.mtu = (unsigned)conf_number(o, value, 0, 65520);
	/* RFC 791: every link carries 68 bytes */
	if (conf.mtu && conf.mtu < 68)
		conf_bad(o, value, "not 0, nor from 68 to 65520");
}

static void set_fd(const struct conf_option *o, const char *value)
{
	int fd = (int)conf_number(o, value, 3, INT_MAX), type, on = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) ||
	    type != SOCK_STREAM)
		conf_bad(o, value, "not an open stream socket");
	len = sizeof(on);
	if (!getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) && on)
		conf_bad(o, value, "a listening socket, not a connected one");
	conf.fd = fd;
	conf.one_off = true;
}

static void conf_copy(const struct conf_option *o, char *to, size_t size,
		      const char *value)
{
	if (!*value)
		conf_bad(o, "\"\"", "empty");
	if (strlen(value) >= size)
		conf_bad(o, value, "too long");
	snprintf(to, size, "%s", value);
}

static void set_path(const struct conf_option *o, const char *value)
{
	conf_copy(o, o->to, CONF_PATH_MAX, value);
}

static void set_socket(const struct conf_option *o, const char *value)
{
	conf_copy(o, conf.socket, sizeof(conf.socket), value);
}

static void set_interface(const struct conf_option *o, const char *value)
{
	conf_copy(o, o->to, IFNAMSIZ, value);
	if (!if_nametoindex(value))
		conf_bad(o, value, "no such interface");
}

/* RFC 1123 2.1 and RFC 1035 2.3.4: labels of 1 to 63, 253 in all */
static bool conf_is_name(const char *name)
{
	size_t label = 0, len = strlen(name);

	if (len && name[len - 1] == '.')
		len--;
	if (!len || len > 253)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)name[i];

		if (ch == '.') {
			if (!label)
				return false;
			label = 0;
		} else if (!(isalnum(ch) || ch == '-' || ch == '_') ||
			   ++label > 63) {
			return false;
		}
	}
	return label;
}

static void set_name(const struct conf_option *o, const char *value)
{
	if (!conf_is_name(value))
		conf_bad(o, value, "not a host name");
	conf_copy(o, o->to, CONF_NAME_MAX, value);
}

static void set_search(const struct conf_option *o, const char *value)
{
	char list[4096], *save = NULL;

	given.search_given = true;
	if (!strcmp(value, "none")) {
		conf.search_count = 0;
		return;
	}
	conf_copy(o, list, sizeof(list), value);
	for (char *name = strtok_r(list, " ,", &save); name;
	     name = strtok_r(NULL, " ,", &save)) {
		if (!conf_is_name(name))
			conf_bad(o, name, "not a domain name");
		if (conf.search_count == CONF_SEARCH_MAX)
			conf_bad(o, value, "too many domains");
		conf_copy(o, conf.search[conf.search_count++], CONF_NAME_MAX,
			  name);
	}
}

static struct addr conf_unicast(const struct conf_option *o, const char *value)
{
	struct addr a;

	if (!addr_parse(value, &a))
		conf_bad(o, value, "not an IPv4 or IPv6 address");
	if (!addr_is_unicast(&a) || addr_is_unspecified(&a))
		conf_bad(o, value, "not a unicast address");
	return a;
}

static enum conf_family_index conf_index(const struct addr *a)
{
	return addr_is_v4(a) ? CONF_V4 : CONF_V6;
}

static void set_address(const struct conf_option *o, const char *value)
{
	const char *slash = strchr(value, '/');
	char text[ADDR_STRLEN];
	struct addr a;
	int i;

	snprintf(text, sizeof(text), "%.*s",
		 slash ? (int)(slash - value) : (int)strlen(value), value);
	a = conf_unicast(o, text);
	if (addr_is_loopback(&a))
		conf_bad(o, value, "a loopback address");
	i = conf_index(&a);
	given.addr[i] = a;
	given.prefix[i] = -1;
	if (slash)
		given.prefix[i] = (int)conf_number(o, slash + 1, 1,
						   i == CONF_V4 ? 32 : 128);
}

static void set_netmask(const struct conf_option *o, const char *value)
{
	struct addr a;
	uint32_t mask;

	if (!strchr(value, '.')) {
		given.netmask = (int)conf_number(o, value, 1, 32);
		return;
	}
	if (!addr_parse(value, &a))
		conf_bad(o, value, "not a netmask or prefix length");
	mask = ntohl(addr_to_v4(&a).s_addr);
	if (!mask || (~mask & (~mask + 1)))
		conf_bad(o, value, "not a contiguous netmask");
	given.netmask = __builtin_popcount(mask);
}

static void set_gateway(const struct conf_option *o, const char *value)
{
	struct addr a = conf_unicast(o, value);

	if (addr_is_loopback(&a))
		conf_bad(o, value, "a loopback address");
	given.gateway[conf_index(&a)] = a;
}

static void set_outbound(const struct conf_option *o, const char *value)
{
	struct addr a = conf_unicast(o, value);

	conf.family[conf_index(&a)].outbound = a;
}

static void set_dns(const struct conf_option *o, const char *value)
{
	if (!strcmp(value, "none")) {
		given.dns_none = true;
		given.dns_count = 0;
		return;
	}
	if (given.dns_count == CONF_DNS_MAX)
		conf_bad(o, value, "too many name servers");
	given.dns[given.dns_count++] = conf_unicast(o, value);
	given.dns_none = false;
}

static void set_dns_forward(const struct conf_option *o, const char *value)
{
	struct addr a = conf_unicast(o, value);

	conf.family[conf_index(&a)].dns_forward = a;
}

static void set_dns_host(const struct conf_option *o, const char *value)
{
	struct addr a = conf_unicast(o, value);

	conf.family[conf_index(&a)].dns_host = a;
}

static void set_map_host_loopback(const struct conf_option *o,
				  const char *value)
{
	struct addr a;

	given.no_map = !strcmp(value, "none");
	if (given.no_map) {
		conf.family[CONF_V4].map_host_loopback = ADDR_ANY6;
		conf.family[CONF_V6].map_host_loopback = ADDR_ANY6;
		return;
	}
	a = conf_unicast(o, value);
	conf.family[conf_index(&a)].map_host_loopback = a;
}

static void set_map_guest_addr(const struct conf_option *o, const char *value)
{
	struct addr a;

	if (!strcmp(value, "none")) {
		conf.family[CONF_V4].map_guest_addr = ADDR_ANY6;
		conf.family[CONF_V6].map_guest_addr = ADDR_ANY6;
		return;
	}
	a = conf_unicast(o, value);
	conf.family[conf_index(&a)].map_guest_addr = a;
}

static void set_mac(const struct conf_option *o, const char *value)
{
	if (!mac_parse(value, conf.mac))
		conf_bad(o, value, "not a MAC address");
	if (conf.mac[0] & 1 || !memcmp(conf.mac, (uint8_t[6]){ 0 }, 6))
		conf_bad(o, value, "not a unicast MAC address");
}

static void set_level(const struct conf_option *o, const char *value)
{
	(void)value;
	conf.level = *o->name == 'q' ? LOG_LEVEL_WARN :
		     *o->name == 'd' ? LOG_LEVEL_DEBUG : LOG_LEVEL_TRACE;
}

static bool conf_id(const char *text, unsigned *id)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	*id = (unsigned)n;
	return isdigit((unsigned char)*text) && !*end && !errno &&
	       n < UINT_MAX;
}

static void set_runas(const struct conf_option *o, const char *value)
{
	const char *colon = strchr(value, ':');
	const struct passwd *pw;
	const struct group *gr;
	char user[256];

	snprintf(user, sizeof(user), "%.*s",
		 colon ? (int)(colon - value) : (int)strlen(value), value);
	if (conf_id(user, &conf.uid)) {
		conf.gid = conf.uid;
	} else {
		pw = getpwnam(user);
		if (!pw)
			conf_bad(o, value, "no such user");
		conf.uid = pw->pw_uid;
		conf.gid = pw->pw_gid;
	}
	if (!colon || conf_id(colon + 1, &conf.gid))
		return;
	gr = getgrnam(colon + 1);
	if (!gr)
		conf_bad(o, value, "no such group");
	conf.gid = gr->gr_gid;
}

static void set_ports(const struct conf_option *o, const char *value)
{
	struct portspec_context ctx = { .allow_auto = false };
	char why[160];

	sysctl_port_range(&ctx.ephemeral_first, &ctx.ephemeral_last);
	if (portspec_parse(o->to, value, &ctx, why, sizeof(why)))
		conf_bad(o, value, why);
}

static void show_help(const struct conf_option *o, const char *value);

static void show_version(const struct conf_option *o, const char *value)
{
	(void)o;
	(void)value;
	printf("passt " VERSION "\n"
	       "GNU General Public License, version 2 or later\n"
	       "There is no warranty, to the extent permitted by law.\n");
	exit(EXIT_SUCCESS);
}

/** A row that begins a group in the help */
#define GROUP(title)	{ .help = title }
#define F4		conf.family[CONF_V4]
#define F6		conf.family[CONF_V6]

static const struct conf_option conf_options[] = {
	GROUP("Running"),
	{ "socket", 's', "PATH", set_socket, NULL,
	  "UNIX socket for the hypervisor; default: first free of "
	  "/tmp/passt_1.socket to _64" },
	{ "socket-path", 0, "PATH", set_socket, NULL, NULL },
	{ "fd", 'F', "N", set_fd, NULL,
	  "serve this connected socket; implies --one-off" },
	{ "one-off", '1', NULL, set_flag, &conf.one_off,
	  "end when the one client leaves; default: serve the next" },
	{ "foreground", 'f', NULL, set_flag, &conf.foreground,
	  "stay in the foreground; default: background once ready" },
	{ "pid", 'P', "FILE", set_path, conf.pid_file,
	  "write the daemon's PID to FILE once ready" },
	{ "runas", 0, "USER[:GROUP]", set_runas, NULL,
	  "names or IDs to become when started as root; default: nobody" },
	{ "chroot-fallback", 0, NULL, set_flag, &conf.chroot_fallback,
	  "chroot() where pivot_root() cannot work (root on initramfs)" },
	{ "help", 'h', NULL, show_help, NULL, "show this and end" },
	{ "version", 0, NULL, show_version, NULL, "show the version and end" },

	GROUP("Messages"),
	{ "debug", 'd', NULL, set_level, NULL, "events of connections" },
	{ "trace", 0, NULL, set_level, NULL, "packets, too" },
	{ "quiet", 'q', NULL, set_level, NULL, "warnings and errors only" },
	{ "stderr", 'e', NULL, set_nothing, NULL,
	  "no effect, for compatibility" },
	{ "log-file", 'l', "PATH", set_path, conf.log_file,
	  "log to PATH; default: stderr, in the background syslog" },
	{ "log-size", 0, "BYTES", set_log_size, NULL,
	  "bound of the log file, oldest lines go; default: 1048576" },
	{ "stats", 0, "SECONDS", set_stats, NULL,
	  "show counters every SECONDS; default: off" },
	{ "pcap", 'p', "FILE", set_path, conf.pcap,
	  "capture the guest's frames to FILE" },

	GROUP("What the guest is given"),
	{ "address", 'a', "ADDR[/LEN]", set_address, NULL,
	  "guest's address, one per family; default: the host's" },
	{ "netmask", 'n', "MASK", set_netmask, NULL,
	  "IPv4 netmask or prefix length; default: the host's, else by "
	  "class" },
	{ "gateway", 'g', "ADDR", set_gateway, NULL,
	  "guest's gateway, one per family; default: the host's" },
	{ "mtu", 'm', "N", set_mtu, NULL,
	  "MTU told by DHCP and RA, 0: none; default: 65520" },
	{ "dns", 'D', "ADDR", set_dns, NULL,
	  "name server told to the guest, repeatable, or none; default: the "
	  "host's" },
	{ "search", 'S', "LIST", set_search, NULL,
	  "DNS search list told to the guest, or none; default: the host's" },
	{ "dhcp-dns", 0, NULL, set_flag, &conf.dhcp_dns,
	  "tell name servers by DHCP, DHCPv6, RA (default)" },
	{ "no-dhcp-dns", 0, NULL, set_not_flag, &conf.dhcp_dns,
	  "do not tell name servers" },
	{ "dhcp-search", 0, NULL, set_flag, &conf.dhcp_search,
	  "tell the search list likewise (default)" },
	{ "no-dhcp-search", 0, NULL, set_not_flag, &conf.dhcp_search,
	  "do not tell the search list" },
	{ "hostname", 'H', "NAME", set_name, conf.hostname,
	  "host name told by DHCP; default: none" },
	{ "fqdn", 0, "NAME", set_name, conf.fqdn,
	  "full name told by DHCP and DHCPv6; default: none" },
	{ "mac-addr", 'M', "MAC", set_mac, NULL,
	  "source MAC of what we send; default: 9a:55:9a:55:9a:55" },

	GROUP("How the host is used"),
	{ "interface", 'i', "NAME", set_interface, given.ifname,
	  "take addresses and routes from NAME; default: the one with the "
	  "default route" },
	{ "outbound", 'o', "ADDR", set_outbound, NULL,
	  "source address on the host, one per family; default: routing "
	  "decides" },
	{ "outbound-if4", 0, "NAME", set_interface, F4.outbound_if,
	  "bind IPv4 sockets to this interface" },
	{ "outbound-if6", 0, "NAME", set_interface, F6.outbound_if,
	  "bind IPv6 sockets to this interface" },
	{ "ipv4-only", '4', NULL, set_flag, &given.only[CONF_V4],
	  "IPv4 only; default: both, as the host has routes" },
	{ "ipv6-only", '6', NULL, set_flag, &given.only[CONF_V6],
	  "IPv6 only" },
	{ "map-host-loopback", 0, "ADDR", set_map_host_loopback, NULL,
	  "ADDR leads to the host's loopback, or none; default: the gateway's "
	  "address" },
	{ "no-map-gw", 0, NULL, set_flag, &given.no_map_gw,
	  "do not lead the gateway's address to the host's loopback" },
	{ "map-guest-addr", 0, "ADDR", set_map_guest_addr, NULL,
	  "ADDR leads to the address that the guest shares, on the host, or "
	  "none; default: none" },
	{ "dns-forward", 0, "ADDR", set_dns_forward, NULL,
	  "DNS to ADDR goes to --dns-host, one per family" },
	{ "dns-host", 0, "ADDR", set_dns_host, NULL,
	  "resolver for --dns-forward; default: first of the host's" },

	GROUP("Ports forwarded to the guest"),
	{ "tcp-ports", 't', "SPEC", set_ports, &conf.tcp_ports,
	  "none, all, or a list: 22 22:23 22,25 22-80 22-80:32-90 "
	  "192.0.2.1/22 192.0.2.1%eth0/22 [2001:db8::1]/22 2000-5000,~3000 "
	  "22:192.0.2.5/22; default: none" },
	{ "udp-ports", 'u', "SPEC", set_ports, &conf.udp_ports,
	  "the same for UDP; default: the numbers of --tcp-ports" },
	{ "freebind", 0, NULL, set_flag, &conf.freebind,
	  "listening addresses need not exist yet" },

	GROUP("Switching off"),
	{ "no-tcp", 0, NULL, set_flag, &conf.no_tcp, "TCP" },
	{ "no-udp", 0, NULL, set_flag, &conf.no_udp, "UDP" },
	{ "no-icmp", 0, NULL, set_flag, &conf.no_icmp,
	  "ICMP and ICMPv6; implies --no-ndp" },
	{ "no-dhcp", 0, NULL, set_flag, &conf.no_dhcp, "the DHCP server" },
	{ "no-dhcpv6", 0, NULL, set_flag, &conf.no_dhcpv6,
	  "the DHCPv6 server" },
	{ "no-ndp", 0, NULL, set_flag, &conf.no_ndp,
	  "neighbour and router discovery" },
	{ "no-ra", 0, NULL, set_flag, &conf.no_ra, "router advertisements" },

	GROUP("TCP connections"),
	{ "keepalive-interval", 0, "SECONDS", set_seconds, &conf.keepalive_sec,
	  "ask a silent guest after 1 to 2 of these; 0: never; default: 300" },
	{ "inactivity-timeout", 0, "SECONDS", set_seconds,
	  &conf.inactivity_sec,
	  "reset connections idle on both sides after 1 to 2 of these; 0: "
	  "never; default: 7200" },
};

#define CONF_ROWS	(sizeof(conf_options) / sizeof(conf_options[0]))

_Static_assert(CONF_ROWS < CONF_OPTIONS_MAX, "room for getopt's array");

/* Text from a column on, broken at spaces */
static void help_wrap(const char *text, int column)
{
	while (*text) {
		int room = CONF_HELP_WIDTH - 1 - CONF_HELP_COLUMN, n;

		n = (int)strlen(text);
		if (n > room) {
			for (n = room; n && text[n] != ' '; n--)
				;
		}
		printf("%*s%.*s\n", CONF_HELP_COLUMN - column, "", n, text);
		text += n;
		while (*text == ' ')
			text++;
		column = 0;
	}
}

static void help_option(const struct conf_option *o)
{
	int column = 0;

	column = o->letter ? printf("  -%c, --%s", o->letter, o->name)
			   : printf("      --%s", o->name);
	if (o->arg)
		column += printf(" %s", o->arg);
	if (column >= CONF_HELP_COLUMN) {
		printf("\n");
		column = 0;
	}
	help_wrap(o->help, column);
}

static void show_help(const struct conf_option *o, const char *value)
{
	(void)o;
	(void)value;
	printf("Usage: passt [OPTION]...\n"
	       "The host's network for a virtual machine, without "
	       "privileges.\n");
	for (size_t i = 0; i < CONF_ROWS; i++) {
		if (!conf_options[i].name)
			printf("\n%s\n", conf_options[i].help);
		else if (conf_options[i].help)
			help_option(&conf_options[i]);
	}
	exit(EXIT_SUCCESS);
}

static const struct conf_option *conf_by_value(int value)
{
	if (value >= CONF_LONG_BASE)
		return &conf_options[value - CONF_LONG_BASE];
	for (size_t i = 0; i < CONF_ROWS; i++) {
		if (conf_options[i].letter == value)
			return &conf_options[i];
	}
	return NULL;
}

/* getopt_long(3)'s arrays from the table; each long option by its row */
static void conf_getopt_arrays(struct option *longs, char *shorts)
{
	*shorts++ = ':';
	for (size_t i = 0; i < CONF_ROWS; i++) {
		const struct conf_option *o = &conf_options[i];

		if (!o->name)
			continue;
		*longs++ = (struct option){ o->name, o->arg ? required_argument
							    : no_argument,
					    NULL, CONF_LONG_BASE + (int)i };
		if (!o->letter)
			continue;
		*shorts++ = o->letter;
		if (o->arg)
			*shorts++ = ':';
	}
	*longs = (struct option){ 0 };
	*shorts = '\0';
}

static void conf_getopt_failed(int rc, char **argv)
{
	const char *word = argv[optind - 1];

	if (optopt && optopt < CONF_LONG_BASE && rc == '?')
		die("-%c: no such option (see --help)", optopt);
	if (rc == ':')
		die("%s: needs an argument (see --help)", word);
	if (optopt)
		die("%s: takes no argument (see --help)", word);
	die("%s: no such option (see --help)", word);
}

static void conf_options_read(int argc, char **argv)
{
	static struct option longs[CONF_OPTIONS_MAX];
	static char shorts[2 * CONF_OPTIONS_MAX];
	int value;

	conf_getopt_arrays(longs, shorts);
	opterr = 0;
	while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct conf_option *o;

		if (value == '?' || value == ':')
			conf_getopt_failed(value, argv);
		o = conf_by_value(value);
		o->set(o, optarg);
	}
	if (optind < argc)
		die("%s: not an option, and passt takes no other arguments",
		    argv[optind]);
}

static void conf_check_family(int i, const char *only)
{
	const struct conf_family *f = &conf.family[i];
	const struct { const char *name; const struct addr *a; } set[] = {
		{ "address", &given.addr[i] },
		{ "gateway", &given.gateway[i] },
		{ "outbound", &f->outbound },
		{ "dns-forward", &f->dns_forward },
		{ "dns-host", &f->dns_host },
		{ "map-host-loopback", &f->map_host_loopback },
		{ "map-guest-addr", &f->map_guest_addr },
	};
	char text[ADDR_STRLEN];

	for (size_t j = 0; j < sizeof(set) / sizeof(set[0]); j++) {
		if (!addr_is_unspecified(set[j].a))
			die("--%s %s: clashes with %s", set[j].name,
			    addr_format(set[j].a, text, sizeof(text)), only);
	}
	if (*f->outbound_if)
		die("--outbound-if%c %s: clashes with %s",
		    i == CONF_V4 ? '4' : '6', f->outbound_if, only);
}

/* What is right for itself but not together */
static void conf_check(void)
{
	if (given.only[CONF_V4] && given.only[CONF_V6])
		die("--ipv4-only: clashes with --ipv6-only");
	if (given.only[CONF_V4])
		conf_check_family(CONF_V6, "--ipv4-only");
	if (given.only[CONF_V6])
		conf_check_family(CONF_V4, "--ipv6-only");
	if (given.netmask >= 0 && given.prefix[CONF_V4] >= 0)
		die("--netmask %i: clashes with --address .../%i",
		    given.netmask, given.prefix[CONF_V4]);
	if (conf.fd >= 0 && *conf.socket)
		die("--fd %i: clashes with --socket %s", conf.fd, conf.socket);
	/* RFC 8200 5: IPv6 needs links of 1280 */
	if (conf.mtu && conf.mtu < 1280 && given.only[CONF_V6])
		die("--mtu %u: too small for --ipv6-only, at least 1280",
		    conf.mtu);
}

/* UDP forwards the port numbers that TCP does, unless -u says otherwise */
static void conf_udp_like_tcp(void)
{
	if (conf.udp_ports.given)
		return;
	conf.udp_ports = conf.tcp_ports;
	for (unsigned i = 0; i < conf.udp_ports.count; i++)
		conf.udp_ports.rule[i].to = conf.udp_ports.rule[i].first;
}

static void conf_nobody(void)
{
	const struct passwd *pw = getpwnam("nobody");

	conf.uid = pw ? pw->pw_uid : 65534;
	conf.gid = pw ? pw->pw_gid : 65534;
}

/**
 * conf_parse() - Read the command line and ask the host for the rest
 * @argc:	number of arguments
 * @argv:	arguments; the name that we were called by is in the first
 *
 * Ends the process for --help and --version (0), and for anything wrong (1).
 *
 * Return: the configuration
 */
const struct conf *conf_parse(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc ? argv[0] : "";

	conf.mode = !strncmp(name, "pasta", 5) ? MODE_PASTA : MODE_PASST;
	log_init(conf.mode == MODE_PASTA ? "pasta" : "passt", LOG_LEVEL_INFO);
	if (conf.mode == MODE_PASTA)
		die("%s: namespaces are not served by this version", name);
	conf.dhcp_dns = conf.dhcp_search = true;
	conf_nobody();
	conf_options_read(argc, argv);
	conf_check();
	log_init("passt", conf.level);
	conf_udp_like_tcp();
	conf.no_ndp |= conf.no_icmp;
	conf_host_fill(&conf, &given);
	return &conf;
}
