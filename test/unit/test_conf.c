// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_conf: every option, what it changes, and what is refused
 *
 * What ends the process is tried in a child; its status and what it says are
 * looked at. The host is one of the test's own, with lo alone.
 */
#include "conf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/unit/craft.h"
#include "test/unit/hostns.h"
#include "test/unit/unit.h"

#define WORDS	24

static char out[32768], err[8192];

static void slurp(int fd, char *to, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(fd, to + len, size - 1 - len)) > 0)
		len += (size_t)n;
	to[len] = '\0';
	close(fd);
}

static int count_words(char **argv)
{
	int n = 0;

	while (argv[n])
		n++;
	return n;
}

/* Exit status of conf_parse() with these words; 0 also where it returns */
static int run(const char *const *words)
{
	char *argv[WORDS] = { 0 };
	int o[2], e[2], status = -1;
	pid_t pid;

	for (int i = 0; words[i]; i++)
		argv[i] = (char *)words[i];
	if (pipe(o) || pipe(e))
		return -1;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(o[1], STDOUT_FILENO);
		dup2(e[1], STDERR_FILENO);
		conf_parse(count_words(argv), argv);
		exit(EXIT_SUCCESS);
	}
	close(o[1]);
	close(e[1]);
	slurp(e[0], err, sizeof(err));
	slurp(o[0], out, sizeof(out));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define RUN(...)	run((const char *const[]){ "passt", __VA_ARGS__, NULL })

static const struct conf *parse(const char *const *words)
{
	char *argv[WORDS] = { 0 };

	for (int i = 0; words[i]; i++)
		argv[i] = (char *)words[i];
	return conf_parse(count_words(argv), argv);
}

#define PARSE(...) \
	parse((const char *const[]){ "passt", __VA_ARGS__, NULL })

/* As pasta */
#define RUN_NS(...)	run((const char *const[]){ "pasta", __VA_ARGS__, NULL })
#define PARSE_NS(...) \
	parse((const char *const[]){ "/usr/bin/pasta", __VA_ARGS__, NULL })

static bool is(const struct addr *a, const char *text)
{
	struct addr b = craft_addr(text);

	return addr_equal(a, &b);
}

/* One line on stderr, nothing on stdout */
static bool one_line(void)
{
	const char *nl = strchr(err, '\n');

	return nl && !nl[1] && nl > err && !*out;
}

static const struct { const char *option, *value; } bad[] = {
	{ "--mtu", "abc" }, { "--mtu", "65522" }, { "--mtu", "-1" },
	{ "--mtu", "67" }, { "--mtu", "1500x" }, { "--mtu", " 1500" },
	{ "--mtu", "+1500" }, { "--mtu", "0x500" },
	{ "--mtu", "18446744073709553116" },
	{ "--address", "300.1.1.1" }, { "--address", "1.2.3" },
	{ "--address", "192.0.2.2/33" }, { "--address", "192.0.2.2/-1" },
	{ "--address", "2001:db8::1/129" }, { "--address", "192.0.2.2/" },
	{ "--address", "192.0.2.2/x" }, { "--address", "0.0.0.0" },
	{ "--address", "224.0.0.1" }, { "--address", "255.255.255.255" },
	{ "--address", "127.0.0.1" }, { "--address", "::1" },
	{ "--address", "ff02::1" }, { "--address", "fe80::1" },
	{ "--netmask", "255.0.255.0" }, { "--netmask", "33" },
	{ "--netmask", "" }, { "--netmask", "0.0.0.1" },
	{ "--netmask", "ffff::" },
	{ "--mac-addr", "52:54:00:12:34" }, { "--mac-addr", "x" },
	{ "--mac-addr", "01:00:5e:00:00:01" },
	{ "--mac-addr", "00:00:00:00:00:00" },
	{ "--gateway", "none.such" }, { "--gateway", "224.0.0.1" },
	{ "--gateway", "127.0.0.1" },
	{ "--interface", "nosuch0" },
	{ "--interface", "name-that-is-too-long" },
	{ "--outbound", "host" }, { "--outbound", "192.0.2.77" },
	{ "--outbound", "2001:db8::77" }, { "--outbound", "127.0.0.1" },
	{ "--outbound-if4", "nosuch0" }, { "--outbound-if6", "nosuch0" },
	{ "--dns", "8.8.8" }, { "--dns", "0.0.0.0" }, { "--dns", "None" },
	{ "--dns-forward", "x" }, { "--dns-forward", "127.0.0.1" },
	{ "--dns-host", "::g" }, { "--dns-host", "ff02::1" },
	{ "--search", "bad..dots" }, { "--search", ".example" },
	{ "--search", "a.example b..example" },
	{ "--map-host-loopback", "127.0.0.1" },
	{ "--map-host-loopback", "224.0.0.1" },
	{ "--map-guest-addr", "y" }, { "--map-guest-addr", "::1" },
	{ "--hostname", "a b" }, { "--fqdn", "a..b" },
	{ "--keepalive-interval", "1s" }, { "--keepalive-interval", "-1" },
	{ "--keepalive-interval", "2147483648" },
	{ "--inactivity-timeout", "-5" }, { "--stats", "x" },
	{ "--log-size", "0" }, { "--log-size", "1M" },
	{ "--fd", "x" }, { "--fd", "0" }, { "--fd", "2" }, { "--fd", "999" },
	{ "--fd", "4294967299" },
	{ "--runas", "no-such-user-here" }, { "--runas", "nobody:no-group-x" },
	{ "--runas", ":0" }, { "--runas", "0:" },
	{ "--runas", "4294967295" },
	{ "--tcp-ports", "0" }, { "--tcp-ports", "80," },
	{ "--tcp-ports", "auto" }, { "--tcp-ports", "%nosuch0/80" },
	{ "--tcp-ports", "192.0.2.77/8080" },
	{ "--tcp-ports", "192.0.2.77/all" },
	{ "--udp-ports", "90-80" }, { "--udp-ports", "2001:db8::77/8080" },
};

TEST(bad_values_are_named)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char want[200];

		snprintf(want, sizeof(want), "%s %s: ", bad[i].option,
			 bad[i].value);
		if (RUN(bad[i].option, bad[i].value) != 1 || !one_line() ||
		    strncmp(err, want, strlen(want)))
			unit_fail(__FILE__, __LINE__, want);
	}
}

TEST(empty_values)
{
	static const char *const takes[] = {
		"--mtu", "--address", "--netmask", "--mac-addr", "--gateway",
		"--interface", "--outbound", "--outbound-if4", "--dns",
		"--dns-forward", "--dns-host", "--search",
		"--map-host-loopback", "--map-guest-addr",
		"--stats", "--log-size", "--log-file", "--pcap", "--pid",
		"--socket", "--socket-path", "--fd", "--runas", "--tcp-ports",
		"--udp-ports", "--keepalive-interval", "--inactivity-timeout",
		"--repair-path",
	};

	for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++) {
		if (RUN(takes[i], "") != 1 || !one_line())
			unit_fail(__FILE__, __LINE__, takes[i]);
		if (RUN(takes[i]) != 1 || !one_line() ||
		    !strstr(err, "needs an argument"))
			unit_fail(__FILE__, __LINE__, takes[i]);
	}
}

/* A template leaves them out like that */
TEST(empty_names)
{
	CHECK_EQ(RUN("-H", "", "--fqdn", ""), 0);
	CHECK(!*err);
	CHECK(!*PARSE("-H", "guest", "-H", "")->hostname);
	CHECK(!*PARSE("--fqdn", "guest.example", "--fqdn=")->fqdn);
}

TEST(too_long)
{
	char text[5000];

	memset(text, 'a', sizeof(text));
	text[4999] = '\0';
	CHECK_EQ(RUN("--log-file", text), 1);
	CHECK_EQ(RUN("--pid", text), 1);
	CHECK_EQ(RUN("--pcap", text), 1);
	CHECK_EQ(RUN("--tcp-ports", text), 1);
	for (int i = 50; i < 255; i += 50)
		text[i] = '.';
	text[254] = '\0';
	CHECK_EQ(RUN("--fqdn", text), 1);
	text[253] = '\0';
	CHECK_EQ(RUN("--fqdn", text), 0);
	memset(text, 'a', sizeof(text));
	text[300] = '\0';
	CHECK_EQ(RUN("--hostname", text), 1);
	CHECK_EQ(RUN("--search", text), 1);
	CHECK_EQ(RUN("--address", text), 1);
	CHECK_EQ(RUN("--runas", text), 1);
	CHECK_EQ(RUN("--fqdn", text), 1);
	text[108] = '\0';
	CHECK_EQ(RUN("--socket", text), 1);
	CHECK(one_line() && strstr(err, text));
	text[107] = '\0';
	CHECK_EQ(RUN("--socket", text), 0);
}

TEST(bad_usage)
{
	CHECK_EQ(RUN("--no-such-option"), 1);
	CHECK(one_line() && strstr(err, "--no-such-option: no such option"));
	CHECK_EQ(RUN("-?"), 1);
	CHECK(one_line() && strstr(err, "-?: no such option"));
	CHECK_EQ(RUN("-dx"), 1);
	CHECK(one_line() && strstr(err, "-x: no such option"));
	CHECK_EQ(RUN("stray"), 1);
	CHECK(one_line() && strstr(err, "stray: not an option"));
	CHECK_EQ(RUN("-f", "1234"), 1);
	CHECK_EQ(RUN("--one-off=yes"), 1);
	CHECK(one_line() && strstr(err, "--one-off takes no argument"));
	CHECK_EQ(RUN("-m"), 1);
	CHECK(one_line() && strstr(err, "--mtu: needs an argument"));
	CHECK_EQ(RUN("--no-dhcp-d=1"), 1);
	CHECK_EQ(RUN("--config-net"), 1);
	CHECK(one_line() && strstr(err, "--config-net: not an option of passt"));
}

TEST(conflicts)
{
	CHECK_EQ(RUN("-a", "192.0.2.2/24", "-n", "24"), 1);
	CHECK(one_line() && strstr(err, "--netmask 24") &&
	      strstr(err, "--address 192.0.2.2/24"));
	CHECK_EQ(RUN("-6", "-m", "1279"), 1);
	CHECK(one_line() && strstr(err, "--mtu 1279"));
	CHECK_EQ(RUN("-6", "-m", "1280"), 0);
	CHECK_EQ(RUN("-m", "576"), 0);
	CHECK_EQ(RUN("-4", "-t", "::1/80"), 1);
	CHECK(one_line() && strstr(err, "--tcp-ports ::1/80"));
	CHECK_EQ(RUN("-t", "80", "-t", "80:81"), 1);
	CHECK(one_line() && strstr(err, "--tcp-ports 80:81"));
	/* none of these are conflicts */
	CHECK_EQ(RUN("-a", "192.0.2.2", "-n", "24"), 0);
	CHECK_EQ(RUN("-a", "192.0.2.2/24", "-a", "192.0.2.3", "-n", "24"), 0);
	CHECK_EQ(RUN("-a", "2001:db8::2/64", "-n", "24"), 0);
	CHECK_EQ(RUN("-4", "-D", "2001:db8::2"), 0);
}

TEST(defaults)
{
	const struct conf *c = PARSE("-f");

	CHECK_EQ(c->mode, MODE_PASST);
	CHECK_EQ(c->level, LOG_LEVEL_INFO);
	CHECK_EQ(c->stats_sec, 0);
	CHECK_EQ(c->log_size, 1 << 20);
	CHECK(!*c->log_file && !*c->pcap && !*c->pid_file && !*c->socket);
	CHECK_EQ(c->fd, -1);
	CHECK(!c->one_off);
	CHECK_EQ(c->mtu, 65520);
	CHECK(!memcmp(c->mac, "\x9a\x55\x9a\x55\x9a\x55", 6));
	CHECK(c->dhcp_dns && c->dhcp_search);
	CHECK(!c->no_tcp && !c->no_udp && !c->no_icmp && !c->no_dhcp &&
	      !c->no_dhcpv6 && !c->no_ndp && !c->no_ra);
	CHECK(!c->chroot_fallback && !c->freebind);
	CHECK_EQ(c->keepalive_sec, 300);
	CHECK_EQ(c->inactivity_sec, 7200);
	CHECK(!c->tcp_ports.given && !c->tcp_ports.count);
	CHECK(!c->udp_ports.given && !c->udp_ports.count);
	CHECK(c->uid && c->uid != (uid_t)-1);
	/* a host without any network */
	CHECK(c->family[CONF_V4].on && c->family[CONF_V6].on);
	CHECK(is(&c->family[CONF_V4].addr, "169.254.2.1"));
	CHECK_EQ(c->family[CONF_V4].prefix, 16);
	CHECK(is(&c->family[CONF_V4].gateway, "169.254.2.2"));
	CHECK(is(&c->family[CONF_V4].map_host_loopback, "169.254.2.2"));
	CHECK(addr_is_unspecified(&c->family[CONF_V6].addr));
	CHECK(is(&c->family[CONF_V6].gateway, "fe80::1"));
}

TEST(flags)
{
	static const struct { const char *option; size_t at; } flag[] = {
		{ "-f", offsetof(struct conf, foreground) },
		{ "--foreground", offsetof(struct conf, foreground) },
		{ "-1", offsetof(struct conf, one_off) },
		{ "--one-off", offsetof(struct conf, one_off) },
		{ "--no-tcp", offsetof(struct conf, no_tcp) },
		{ "--no-udp", offsetof(struct conf, no_udp) },
		{ "--no-icmp", offsetof(struct conf, no_icmp) },
		{ "--no-icmp", offsetof(struct conf, no_ndp) },
		{ "--no-dhcp", offsetof(struct conf, no_dhcp) },
		{ "--no-dhcpv6", offsetof(struct conf, no_dhcpv6) },
		{ "--no-ndp", offsetof(struct conf, no_ndp) },
		{ "--no-ra", offsetof(struct conf, no_ra) },
		{ "--chroot-fallback",
		  offsetof(struct conf, chroot_fallback) },
		{ "--freebind", offsetof(struct conf, freebind) },
		{ "--dhcp-dns", offsetof(struct conf, dhcp_dns) },
		{ "--dhcp-search", offsetof(struct conf, dhcp_search) },
		{ "--ipv6-only", offsetof(struct conf, no_dhcp) },
	};

	for (size_t i = 0; i < sizeof(flag) / sizeof(flag[0]); i++) {
		const char *c = (const void *)PARSE(flag[i].option);

		if (!*(const bool *)(c + flag[i].at))
			unit_fail(__FILE__, __LINE__, flag[i].option);
	}
	CHECK(!PARSE("--no-dhcp-dns")->dhcp_dns);
	CHECK(!PARSE("--no-dhcp-search")->dhcp_search);
	CHECK(PARSE("--no-dhcp-dns", "--dhcp-dns")->dhcp_dns);
	CHECK(!PARSE("--no-ndp")->no_icmp);
}

TEST(no_effect)
{
	CHECK_EQ(RUN("-e"), 0);
	CHECK_EQ(RUN("--stderr", "--migrate-exit", "--migrate-no-linger"), 0);
	CHECK_EQ(RUN("--repair-path", "/tmp/x.repair"), 0);
	CHECK(!*err && !*out);
}

TEST(levels)
{
	CHECK_EQ(PARSE("-d")->level, LOG_LEVEL_DEBUG);
	CHECK_EQ(PARSE("--debug")->level, LOG_LEVEL_DEBUG);
	CHECK_EQ(PARSE("--trace")->level, LOG_LEVEL_TRACE);
	CHECK_EQ(PARSE("-q")->level, LOG_LEVEL_WARN);
	CHECK_EQ(PARSE("--quiet", "-d")->level, LOG_LEVEL_DEBUG);
	CHECK_EQ(PARSE("-d", "-q")->level, LOG_LEVEL_WARN);
}

TEST(numbers_and_texts)
{
	const struct conf *c = PARSE("-m", "0", "--stats", "5", "--log-size",
				     "4096", "-l", "/l", "-p", "/p", "-P",
				     "/i", "-s", "/s");

	CHECK_EQ(c->mtu, 0);
	CHECK_EQ(c->stats_sec, 5);
	CHECK_EQ(c->log_size, 4096);
	CHECK(!strcmp(c->log_file, "/l") && !strcmp(c->pcap, "/p"));
	CHECK(!strcmp(c->pid_file, "/i") && !strcmp(c->socket, "/s"));
	c = PARSE("--mtu=68", "--keepalive-interval", "0",
		  "--inactivity-timeout", "1", "-H", "host", "--fqdn",
		  "host.example.org.", "-M", "02:00:00:00:00:01",
		  "--socket-path", "/t");
	CHECK_EQ(c->mtu, 68);
	CHECK_EQ(c->keepalive_sec, 0);
	CHECK_EQ(c->inactivity_sec, 1);
	CHECK(!strcmp(c->hostname, "host"));
	CHECK(!strcmp(c->fqdn, "host.example.org"));
	CHECK(!memcmp(c->mac, "\2\0\0\0\0\1", 6));
	CHECK(!strcmp(c->socket, "/t"));
}

TEST(the_last_wins)
{
	const struct conf *c = PARSE("-m", "1400", "-m", "1300", "-a",
				     "192.0.2.2/24", "-a", "192.0.2.3/25",
				     "-a", "2001:db8::3/60", "-s", "/a", "-s",
				     "/b");

	CHECK_EQ(c->mtu, 1300);
	CHECK(is(&c->family[CONF_V4].addr, "192.0.2.3"));
	CHECK_EQ(c->family[CONF_V4].prefix, 25);
	CHECK(is(&c->family[CONF_V6].addr, "2001:db8::3"));
	CHECK_EQ(c->family[CONF_V6].prefix, 60);
	CHECK(!strcmp(c->socket, "/b"));
	c = PARSE("-D", "192.0.2.53", "-D", "none");
	CHECK_EQ(c->family[CONF_V4].dns_count, 0);
	c = PARSE("-D", "none", "-D", "192.0.2.53", "-D", "2001:db8::53");
	CHECK_EQ(c->family[CONF_V4].dns_count, 1);
	CHECK(is(&c->family[CONF_V6].dns[0], "2001:db8::53"));
	c = PARSE("-S", "a.example", "-S", "b.example c.example");
	CHECK_EQ(c->search_count, 3);
	CHECK(!strcmp(c->search[0], "a.example"));
	CHECK(!strcmp(c->search[2], "c.example"));
	CHECK_EQ(PARSE("-S", "a.example", "-S", "none")->search_count, 0);
	c = PARSE("-S", "a.example", "-S", "none", "-S", "b.example");
	CHECK(c->search_count == 1 && !strcmp(c->search[0], "b.example"));
	CHECK_EQ(PARSE("-S", "a.example", "-S", ".")->search_count, 1);
	CHECK_EQ(PARSE("-S", ".")->search_count, 0);
	CHECK_EQ(PARSE("-S", "a.example . b.example")->search_count, 2);
	c = PARSE("-t", "22", "-t", "none");
	CHECK(c->tcp_ports.none && !c->tcp_ports.count);
}

TEST(netmask)
{
	const struct conf *c;

	CHECK_EQ(PARSE("-n", "255.255.255.128")->family[CONF_V4].prefix, 25);
	CHECK_EQ(PARSE("-n", "9")->family[CONF_V4].prefix, 9);
	/* by class */
	CHECK_EQ(PARSE("-a", "10.1.2.3")->family[CONF_V4].prefix, 8);
	CHECK_EQ(PARSE("-a", "172.16.2.3")->family[CONF_V4].prefix, 16);
	CHECK_EQ(PARSE("-a", "192.0.2.3")->family[CONF_V4].prefix, 24);
	CHECK_EQ(PARSE("-a", "2001:db8::3")->family[CONF_V6].prefix, 64);
	/* 0: as if there was none */
	c = PARSE("-a", "192.0.2.3/0", "-a", "2001:db8::3/0");
	CHECK_EQ(c->family[CONF_V4].prefix, 24);
	CHECK_EQ(c->family[CONF_V6].prefix, 64);
	c = PARSE("-a", "192.0.2.3/25", "-n", "0");
	CHECK_EQ(c->family[CONF_V4].prefix, 25);
	c = PARSE("-a", "192.0.2.3", "-n", "9", "-n", "0.0.0.0");
	CHECK_EQ(c->family[CONF_V4].prefix, 24);
}

/* More than there is room for: the first ones count */
TEST(many_names)
{
	char list[200] = "";
	const struct conf *c;

	for (int i = 0; i < 34; i++)
		sprintf(list + strlen(list), "d%d ", i);
	CHECK_EQ(RUN("-S", list), 0);
	CHECK(one_line() && strstr(err, "--search: 34 domains"));
	c = PARSE("-S", list);
	CHECK(c->search_count == 32 && !strcmp(c->search[31], "d31"));
	CHECK_EQ(RUN("-S", list, "-S", "more"), 0);
	CHECK(strstr(err, "--search: 33 domains"));
	c = PARSE("-S", list, "-S", "more");
	CHECK(c->search_count == 32 && !strcmp(c->search[31], "d31"));
	CHECK_EQ(RUN("-D", "192.0.2.1", "-D", "192.0.2.2", "-D", "192.0.2.3",
		     "-D", "192.0.2.4", "-D", "192.0.2.5", "-D", "192.0.2.6",
		     "-D", "192.0.2.7", "-D", "192.0.2.8", "-D", "192.0.2.9",
		     "-D", "2001:db8::1"), 0);
	CHECK(one_line() && strstr(err, "--dns 192.0.2.9: left out"));
}

TEST(mappings)
{
	const struct conf *c = PARSE("-g", "192.0.2.1");

	CHECK(is(&c->family[CONF_V4].map_host_loopback, "192.0.2.1"));
	CHECK(addr_is_unspecified(&c->family[CONF_V4].map_guest_addr));
	c = PARSE("-g", "192.0.2.1", "--no-map-gw");
	CHECK(addr_is_unspecified(&c->family[CONF_V4].map_host_loopback));
	c = PARSE("--map-host-loopback", "none");
	CHECK(addr_is_unspecified(&c->family[CONF_V4].map_host_loopback));
	CHECK(addr_is_unspecified(&c->family[CONF_V6].map_host_loopback));
	c = PARSE("--map-host-loopback", "192.0.2.9", "--no-map-gw");
	CHECK(is(&c->family[CONF_V4].map_host_loopback, "192.0.2.9"));
	CHECK(addr_is_unspecified(&c->family[CONF_V6].map_host_loopback));
	c = PARSE("--map-host-loopback", "none", "--map-host-loopback",
		  "2001:db8::9", "--map-guest-addr", "192.0.2.8",
		  "--map-guest-addr", "2001:db8::8");
	CHECK(is(&c->family[CONF_V6].map_host_loopback, "2001:db8::9"));
	CHECK(is(&c->family[CONF_V4].map_guest_addr, "192.0.2.8"));
	CHECK(is(&c->family[CONF_V6].map_guest_addr, "2001:db8::8"));
	c = PARSE("--map-guest-addr", "192.0.2.8", "--map-guest-addr", "none");
	CHECK(addr_is_unspecified(&c->family[CONF_V4].map_guest_addr));
}

TEST(dns_forward)
{
	const struct conf *c = PARSE("--dns-forward", "192.0.2.3",
				     "--dns-host", "127.0.0.53");

	CHECK(is(&c->family[CONF_V4].dns_forward, "192.0.2.3"));
	CHECK(is(&c->family[CONF_V4].dns_host, "127.0.0.53"));
	CHECK(addr_is_unspecified(&c->family[CONF_V6].dns_forward));
}

TEST(outbound)
{
	const struct conf *c = PARSE("-o", "192.0.2.2", "-o", "2001:db8::2",
				     "--outbound-if4", "lo", "--outbound-if6",
				     "lo");

	CHECK(is(&c->family[CONF_V4].outbound, "192.0.2.2"));
	CHECK(is(&c->family[CONF_V6].outbound, "2001:db8::2"));
	CHECK(!strcmp(c->family[CONF_V4].outbound_if, "lo"));
	CHECK(!strcmp(c->family[CONF_V6].outbound_if, "lo"));
	c = PARSE("--freebind", "-o", "192.0.2.77", "-t", "192.0.2.77/80");
	CHECK(is(&c->family[CONF_V4].outbound, "192.0.2.77"));
}

TEST(one_family)
{
	const struct conf *c = PARSE("-4");

	CHECK(c->family[CONF_V4].on && !c->family[CONF_V6].on);
	CHECK(!c->no_dhcp);
	c = PARSE("--ipv6-only");
	CHECK(!c->family[CONF_V4].on && c->family[CONF_V6].on);
	CHECK(c->no_dhcp);
	/* of both, the last one counts */
	c = PARSE("-4", "-6");
	CHECK(!c->family[CONF_V4].on && c->family[CONF_V6].on);
	c = PARSE("--ipv6-only", "--ipv4-only");
	CHECK(c->family[CONF_V4].on && !c->family[CONF_V6].on);
	/* an address asks for its family, where the host has no say */
	c = PARSE("-a", "192.0.2.2");
	CHECK(c->family[CONF_V4].on && !c->family[CONF_V6].on);
}

/* As an engine's settings and a user's options come together */
TEST(other_family)
{
	const struct conf *c;

	CHECK_EQ(RUN("-4", "-a", "2001:db8::2"), 0);
	CHECK(one_line() && strstr(err, "--address 2001:db8::2"));
	CHECK_EQ(RUN("-6", "-g", "192.0.2.1"), 0);
	CHECK(one_line() && strstr(err, "--gateway 192.0.2.1"));
	CHECK_EQ(RUN("-6", "-n", "24"), 0);
	CHECK(one_line() && strstr(err, "--netmask 24"));
	c = PARSE("-6", "-a", "192.0.2.2", "-n", "24", "-g", "192.0.2.1",
		  "-o", "192.0.2.2");
	CHECK(!c->family[CONF_V4].on && c->family[CONF_V6].on);
	CHECK(addr_is_unspecified(&c->family[CONF_V4].addr));
	CHECK(addr_is_unspecified(&c->family[CONF_V4].gateway));
	CHECK(addr_is_unspecified(&c->family[CONF_V4].outbound));
	c = PARSE("-4", "-o", "2001:db8::77", "-a", "192.0.2.2");
	CHECK(!c->family[CONF_V6].on && c->family[CONF_V4].on);
	CHECK(is(&c->family[CONF_V4].addr, "192.0.2.2"));
}

TEST(ports)
{
	const struct conf *c = PARSE("-t", "22:23", "-t", "192.0.2.2/80");

	CHECK_EQ(c->tcp_ports.count, 2);
	CHECK_EQ(c->tcp_ports.rule[0].to, 23);
	/* UDP goes with TCP, without translation */
	CHECK_EQ(c->udp_ports.count, 2);
	CHECK_EQ(c->udp_ports.rule[0].first, 22);
	CHECK_EQ(c->udp_ports.rule[0].to, 22);
	CHECK(c->udp_ports.rule[0].beside && !c->tcp_ports.rule[0].beside);
	CHECK(is(&c->udp_ports.rule[1].listen, "192.0.2.2"));
	c = PARSE("-t", "22", "-u", "none");
	CHECK_EQ(c->udp_ports.count, 0);
	c = PARSE("-u", "%lo/53");
	CHECK_EQ(c->tcp_ports.count, 0);
	CHECK(!strcmp(c->udp_ports.rule[0].ifname, "lo"));
}

TEST(descriptor)
{
	char text[16];
	int fd[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	snprintf(text, sizeof(text), "%i", fd[1]);
	CHECK_EQ(PARSE("-F", text)->fd, fd[1]);
	CHECK(PARSE("-F", text)->one_off);
	CHECK_EQ(PARSE("-F", text, "-s", "/s")->fd, -1);
	CHECK(!PARSE("-F", text, "-s", "/s")->one_off);
	CHECK_EQ(PARSE("-s", "/s", "--fd", text)->fd, fd[1]);
	/* not one that messages go to, even if it is such a socket */
	CHECK_EQ(dup2(fd[0], STDIN_FILENO), STDIN_FILENO);
	CHECK_EQ(RUN("-F", "0"), 1);
	CHECK(strstr(err, "a standard stream"));
	close(fd[0]);
	close(fd[1]);

	CHECK((fd[0] = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
	snprintf(text, sizeof(text), "%i", fd[0]);
	CHECK_EQ(RUN("-F", text), 1);
	CHECK(strstr(err, "not connected"));
	close(fd[0]);
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, fd));
	snprintf(text, sizeof(text), "%i", fd[0]);
	CHECK_EQ(RUN("-F", text), 1);
	CHECK(strstr(err, "not a stream socket"));
	close(fd[0]);
	close(fd[1]);
}

TEST(user)
{
	const struct conf *c = PARSE("--runas", "1234");

	CHECK_EQ(c->uid, 1234);
	CHECK_EQ(c->gid, 1234);
	c = PARSE("--runas", "1234:56");
	CHECK_EQ(c->uid, 1234);
	CHECK_EQ(c->gid, 56);
	c = PARSE("--runas", "root:56");
	CHECK_EQ(c->uid, 0);
	CHECK_EQ(c->gid, 56);
	c = PARSE("--runas", "1:root");
	CHECK_EQ(c->gid, 0);
}

TEST(help)
{
	static const char *const has[] = {
		"-s, --socket", "--socket-path", "-F, --fd", "-1, --one-off",
		"-t, --tcp-ports", "-u, --udp-ports", "-d, --debug",
		"--trace", "-q, --quiet", "--stats", "-f, --foreground",
		"-e, --stderr", "-l, --log-file", "--log-size", "--runas",
		"-p, --pcap", "-P, --pid", "-m, --mtu", "-a, --address",
		"-n, --netmask", "-M, --mac-addr", "-g, --gateway",
		"-i, --interface", "-o, --outbound ", "--outbound-if4",
		"--outbound-if6", "-D, --dns ", "--dns-forward", "--dns-host",
		"-S, --search", "--no-dhcp-dns", "--dhcp-dns",
		"--no-dhcp-search", "--dhcp-search", "--no-tcp", "--no-udp",
		"--no-icmp", "--no-dhcp ", "--no-ndp", "--no-dhcpv6",
		"--no-ra", "--chroot-fallback", "--freebind",
		"--map-host-loopback", "--no-map-gw", "--map-guest-addr",
		"-4, --ipv4-only", "-6, --ipv6-only", "-H, --hostname",
		"--fqdn", "--keepalive-interval", "--inactivity-timeout",
		"--repair-path", "--migrate-exit", "--migrate-no-linger",
		"-h, --help", "--version",
	};

	CHECK_EQ(RUN("--help"), 0);
	CHECK(!*err);
	for (size_t i = 0; i < sizeof(has) / sizeof(has[0]); i++) {
		if (!strstr(out, has[i]))
			unit_fail(__FILE__, __LINE__, has[i]);
	}
	for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n"))
		CHECK(strlen(line) < 80);
	CHECK_EQ(RUN("-h", "--mtu", "bad"), 0);
	CHECK_EQ(RUN("--version"), 0);
	CHECK(!strncmp(out, "passt ", 6) && !*err);
}

/* ---- pasta ---- */

TEST(ns_names)
{
	CHECK_EQ(parse((const char *const[]){ "pasta", NULL })->mode,
		 MODE_PASTA);
	CHECK_EQ(parse((const char *const[]){ "./pasta.avx2", NULL })->mode,
		 MODE_PASTA);
	CHECK_EQ(parse((const char *const[]){ "/pasta/passt", NULL })->mode,
		 MODE_PASST);
	CHECK_EQ(parse((const char *const[]){ "a/", NULL })->mode, MODE_PASST);
	CHECK_EQ(RUN_NS("--version"), 0);
	CHECK(!strncmp(out, "pasta ", 6));
}

TEST(ns_defaults)
{
	const struct conf *c = PARSE_NS("-4");

	CHECK_EQ(c->ns.form, CONF_NS_COMMAND);
	CHECK(!c->ns.command && c->foreground);
	CHECK(!*c->ns.netns && !*c->ns.userns && !c->ns.netns_only);
	CHECK(!c->ns.no_netns_quit && !c->ns.no_pidns && !c->ns.config_net);
	CHECK(!c->ns.no_tap && !c->ns.has_mac);
	CHECK(!c->no_splice && !c->host_lo_to_ns_lo);
	CHECK(!strcmp(c->ns.ifname, "tap0"));
	CHECK(!c->dhcp_dns && !c->dhcp_search);
	CHECK(!*c->netconf.ifname);
	CHECK(PARSE_NS("--dhcp-dns")->dhcp_dns);
	CHECK(PARSE_NS("--dhcp-search")->dhcp_search);
}

TEST(ns_flags)
{
	static const struct { const char *option; size_t at; } flag[] = {
		{ "--netns-only", offsetof(struct conf, ns.netns_only) },
		{ "--no-netns-quit", offsetof(struct conf, ns.no_netns_quit) },
		{ "--no-pidns", offsetof(struct conf, ns.no_pidns) },
		{ "--config-net", offsetof(struct conf, ns.config_net) },
		{ "--splice-only", offsetof(struct conf, ns.no_tap) },
		{ "--no-splice", offsetof(struct conf, no_splice) },
		{ "--host-lo-to-ns-lo",
		  offsetof(struct conf, host_lo_to_ns_lo) },
	};

	for (size_t i = 0; i < sizeof(flag) / sizeof(flag[0]); i++) {
		const char *c = (const void *)PARSE_NS(flag[i].option);

		if (!*(const bool *)(c + flag[i].at))
			unit_fail(__FILE__, __LINE__, flag[i].option);
	}
	CHECK(PARSE_NS("--config-net", "--no-copy-routes")->ns.no_copy_routes);
	CHECK(PARSE_NS("--config-net", "--no-copy-addrs")->ns.no_copy_addrs);
}

TEST(ns_command)
{
	const struct conf *c = PARSE_NS("-q", "sh", "-c", "exit 3", "-d");

	CHECK_EQ(c->ns.form, CONF_NS_COMMAND);
	CHECK(c->ns.command && !strcmp(c->ns.command[0], "sh"));
	CHECK(!strcmp(c->ns.command[3], "-d") && !c->ns.command[4]);
	CHECK_EQ(c->level, LOG_LEVEL_WARN);
	CHECK(c->foreground);
	/* digits, but with an argument; what is no number is a command */
	CHECK_EQ(PARSE_NS("123", "x")->ns.form, CONF_NS_COMMAND);
	CHECK_EQ(PARSE_NS("1a")->ns.form, CONF_NS_COMMAND);
	CHECK_EQ(PARSE_NS("--", "-1")->ns.form, CONF_NS_COMMAND);
}

TEST(ns_join)
{
	char pid[16];
	const struct conf *c;

	snprintf(pid, sizeof(pid), "%i", getpid());
	c = PARSE_NS(pid);
	CHECK_EQ(c->ns.form, CONF_NS_PID);
	CHECK_EQ(c->ns.pid, getpid());
	CHECK(!c->foreground && !c->ns.netns_only && !c->ns.command);
	CHECK(PARSE_NS("-f", pid)->foreground);
	CHECK(PARSE_NS("--netns-only", pid)->ns.netns_only);
	c = PARSE_NS("--userns", "/proc/self/ns/user", pid);
	CHECK(!strcmp(c->ns.userns, "/proc/self/ns/user"));
	CHECK_EQ(c->ns.form, CONF_NS_PID);

	c = PARSE_NS("--netns", "/proc/self/ns/net");
	CHECK_EQ(c->ns.form, CONF_NS_PATH);
	CHECK(!strcmp(c->ns.netns, "/proc/self/ns/net"));
	CHECK(c->ns.netns_only && !c->foreground);
	c = PARSE_NS("--userns", "/proc/self/ns/user", "ls");
	CHECK(c->ns.form == CONF_NS_COMMAND && c->foreground);
	c = PARSE_NS("--userns", "/proc/self/ns/user", "--netns",
		     "/proc/self/ns/net");
	CHECK(!c->ns.netns_only);

	CHECK_EQ(RUN_NS("0"), 1);
	CHECK(one_line() && strstr(err, "0: not a process ID"));
	CHECK_EQ(RUN_NS("99999999999999999999"), 1);
	CHECK(one_line());
	CHECK_EQ(RUN_NS("2147483647"), 1);
	CHECK(one_line() && strstr(err, "2147483647: no such process"));
	CHECK_EQ(RUN_NS("--userns", "no-such-file", pid), 1);
	CHECK(one_line() && strstr(err, "--userns no-such-file: No such"));
	CHECK_EQ(RUN_NS("--netns", "no-such-name"), 1);
	CHECK(one_line() && strstr(err, "--netns no-such-name: No such file"));
	CHECK_EQ(RUN_NS("--netns", "/no/such"), 1);
	CHECK_EQ(RUN_NS("--userns", "/no/such", "true"), 1);
	CHECK(one_line() && strstr(err, "--userns /no/such: No such file"));
}

TEST(ns_bad_values)
{
	static const struct { const char *option, *value; } wrong[] = {
		{ "--ns-mac-addr", "01:00:00:00:00:01" },
		{ "--ns-mac-addr", "x" }, { "--ns-mac-addr", "" },
		{ "--ns-mac-addr", "00:00:00:00:00:00" },
		{ "--ns-ifname", "" }, { "--ns-ifname", "lo" },
		{ "--ns-ifname", "a/b" }, { "--ns-ifname", "a b" },
		{ "--ns-ifname", "." }, { "--ns-ifname", ".." },
		{ "--ns-ifname", "a:1" }, { "--ns-ifname", "tap%d" },
		{ "--ns-ifname", "sixteen-letters-" },
		{ "--netns", "" }, { "--userns", "" },
		{ "--tcp-ports", "0" }, { "--tcp-ports", "auto," },
		{ "--tcp-ns", "x" }, { "--udp-ns", "90-80" },
		{ "--tcp-ns", "192.0.2.2/80" }, { "--udp-ns", "%eth0/80" },
		{ "--tcp-ns", "2001:db8::2/auto" },
		{ "--tcp-ports", "192.0.2.77/auto" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char want[200];

		snprintf(want, sizeof(want), "%s %s: ", wrong[i].option,
			 wrong[i].value);
		if (RUN_NS(wrong[i].option, wrong[i].value) != 1 ||
		    !one_line() || strncmp(err, want, strlen(want)))
			unit_fail(__FILE__, __LINE__, want);
	}
	CHECK(!strcmp(PARSE_NS("-I", "fifteen-letters")->ns.ifname,
		      "fifteen-letters"));
	CHECK(PARSE_NS("--ns-mac-addr", "02:00:00:00:00:01")->ns.has_mac);
}

TEST(ns_conflicts)
{
	static const struct {
		const char *words[4], *says[2];
	} clash[] = {
		{ { "--no-splice", "--splice-only" },
		  { "--no-splice", "--splice-only" } },
		{ { "--host-lo-to-ns-lo", "--no-splice" },
		  { "--no-splice", "--host-lo-to-ns-lo" } },
		{ { "--no-copy-routes" },
		  { "--no-copy-routes", "--config-net" } },
		{ { "--no-copy-addrs" },
		  { "--no-copy-addrs", "--config-net" } },
		{ { "--no-pidns", "1" }, { "--no-pidns", "PID 1" } },
		{ { "--no-pidns", "--netns", "/proc/self/ns/net" },
		  { "--no-pidns", "--netns /proc/self/ns/net" } },
		{ { "--netns", "/proc/self/ns/net", "ls" },
		  { "--netns /proc/self/ns/net", "(ls)" } },
		{ { "--netns", "/proc/self/ns/net", "1" },
		  { "--netns /proc/self/ns/net", "(1)" } },
		{ { "--netns-only", "--userns", "/proc/self/ns/user" },
		  { "--netns-only", "--userns" } },
		{ { "-4", "-T", "::1/80" }, { "--tcp-ns ::1/80", "IPv6" } },
		{ { "--socket", "/s" }, { "--socket", "pasta" } },
		{ { "--socket-path=/s" }, { "--socket", "pasta" } },
		{ { "-s", "/s" }, { "--socket", "pasta" } },
		{ { "-1" }, { "--one-off", "pasta" } },
		{ { "-F", "3" }, { "--fd", "pasta" } },
	};

	for (size_t i = 0; i < sizeof(clash) / sizeof(clash[0]); i++) {
		const char *words[6] = { "pasta" };

		memcpy(words + 1, clash[i].words, sizeof(clash[i].words));
		if (run(words) != 1 || !one_line() ||
		    !strstr(err, clash[i].says[0]) ||
		    !strstr(err, clash[i].says[1]))
			unit_fail(__FILE__, __LINE__, clash[i].words[0]);
	}
	CHECK_EQ(RUN("-T", "80"), 1);
	CHECK(one_line() && strstr(err, "--tcp-ns: not an option of passt"));
}

TEST(ns_ports)
{
	const struct conf *c = PARSE_NS("-4");
	const struct portspec *all[] = { &c->tcp_ports, &c->udp_ports,
					 &c->tcp_ns_ports, &c->udp_ns_ports };

	for (int i = 0; i < 4; i++) {
		CHECK(!all[i]->given && all[i]->count);
		CHECK(all[i]->rule[0].automatic && all[i]->rule[0].weak);
	}
	c = PARSE_NS("-t", "22", "-T", "none", "-U", "::1/auto");
	CHECK_EQ(c->tcp_ports.count, 1);
	CHECK(!c->tcp_ports.rule[0].automatic);
	/* UDP's is beside it, the others are followed */
	CHECK(c->udp_ports.rule[0].beside && c->udp_ports.rule[0].first == 22);
	CHECK(!c->udp_ports.rule[0].automatic);
	CHECK(c->udp_ports.rule[1].automatic && c->udp_ports.rule[1].weak);
	CHECK(!c->udp_ports.given);
	CHECK(c->tcp_ns_ports.given && !c->tcp_ns_ports.count);
	CHECK(is(&c->udp_ns_ports.rule[0].listen, "::1"));
	c = PARSE_NS("-T", "127.0.0.2/8000-8010,auto", "-U", "%lo/53");
	CHECK_EQ(c->tcp_ns_ports.count, 1);
	CHECK(c->tcp_ns_ports.rule[0].automatic);
	CHECK(!c->tcp_ns_ports.rule[0].weak);
	/* -T none leaves UDP as it is, and so does -t */
	CHECK(!PARSE_NS("-t", "none", "-u", "none", "-T", "none", "-U",
			"none")->udp_ns_ports.count);
}

TEST(ns_netconf)
{
	const struct conf *c = PARSE_NS("--config-net", "-m", "1400");
	const struct netconf_family *v4 = &c->netconf.family[CONF_V4];
	const struct netconf_family *v6 = &c->netconf.family[CONF_V6];

	CHECK(!strcmp(c->netconf.ifname, "tap0"));
	CHECK_EQ(c->netconf.mtu, 1400);
	CHECK(v4->on && v4->copy_addrs && v4->copy_routes && !v4->ifindex);
	CHECK(is(&v4->addr, "169.254.2.1"));
	CHECK_EQ(v4->prefix, 16);
	CHECK(is(&v4->gateway, "169.254.2.2"));
	CHECK(v6->on && addr_is_unspecified(&v6->addr));
	c = PARSE_NS("--config-net", "-a", "192.0.2.9", "-g", "2001:db8::1");
	CHECK(!v4->copy_addrs && v4->copy_routes);
	CHECK(v6->copy_addrs && !v6->copy_routes);
	CHECK(is(&v4->addr, "192.0.2.9"));
	c = PARSE_NS("--config-net", "-n", "25");
	CHECK(!v4->copy_addrs && v6->copy_addrs);
	c = PARSE_NS("--config-net", "--no-copy-addrs", "--no-copy-routes");
	CHECK(!v4->copy_addrs && !v6->copy_addrs);
	CHECK(!v4->copy_routes && !v6->copy_routes);
	c = PARSE_NS("--config-net", "-4");
	CHECK(v4->on && !v6->on);
	c = PARSE_NS("--config-net", "--splice-only");
	CHECK(!*c->netconf.ifname);
	/* lo is taken */
	c = PARSE_NS("--config-net", "-i", "lo");
	CHECK(!strcmp(c->netconf.ifname, "tap0"));
	CHECK_EQ(v4->ifindex, 1);
}

TEST(ns_help)
{
	static const char *const has[] = {
		"-I, --ns-ifname NAME", "-T, --tcp-ns SPEC",
		"-U, --udp-ns SPEC", "--userns PATH", "--netns PATH|NAME",
		"--netns-only", "--no-netns-quit", "--no-pidns",
		"--config-net", "--no-copy-routes", "--no-copy-addrs",
		"--ns-mac-addr MAC", "--no-splice", "--splice-only",
		"--host-lo-to-ns-lo", "-t, --tcp-ports", "-d, --debug",
		"pasta [OPTION]... [COMMAND [ARG]...]", "::1/auto",
	};
	static const char *const has_not[] = {
		"--socket", "--fd", "--one-off", "--repair-path",
		"passt [OPTION]",
	};

	CHECK_EQ(RUN_NS("--help"), 0);
	for (size_t i = 0; i < sizeof(has) / sizeof(has[0]); i++) {
		if (!strstr(out, has[i]))
			unit_fail(__FILE__, __LINE__, has[i]);
	}
	for (size_t i = 0; i < sizeof(has_not) / sizeof(has_not[0]); i++) {
		if (strstr(out, has_not[i]))
			unit_fail(__FILE__, __LINE__, has_not[i]);
	}
	for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n"))
		CHECK(strlen(line) < 80);
	CHECK_EQ(RUN("--help"), 0);
	CHECK(!strstr(out, "--config-net") && !strstr(out, "auto "));
}

int main(int argc, char **argv)
{
	if (!hostns_enter() || !hostns_address("192.0.2.2") ||
	    !hostns_address("2001:db8::2"))
		return 1;
	return unit_main(argc, argv);
}
