// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_conf_ns: what follows the options, and what is set up inside
 *
 * What is refused is test_conf's.
 */
#include "conf_ns.h"

#include <string.h>
#include <unistd.h>

#include "test/unit/unit.h"

static struct conf_ns ns;
static struct conf_family fam[CONF_FAMILIES];

static void setup(void)
{
	memset(&ns, 0, sizeof(ns));
	memset(fam, 0, sizeof(fam));
}

TEST(paths_and_names)
{
	static const struct option_def o = { .name = "netns", .to = ns.netns,
					     .max = sizeof(ns.netns) };

	setup();
	conf_ns_set_name(&o, "/proc/self/ns/net");
	CHECK(!strcmp(ns.netns, "/proc/self/ns/net"));
	conf_ns_set_name(&o, "./.");
	CHECK(!strcmp(ns.netns, "./."));
	/* names are those of network namespaces */
	conf_ns_set_path(&o, ".");
	CHECK(!strcmp(ns.netns, "."));
}

TEST(targets)
{
	char pid[16], *with_args[] = { pid, pid, NULL }, *none[] = { NULL };
	char *one[] = { pid, NULL }, empty[] = "", *nothing[] = { empty, NULL };

	snprintf(pid, sizeof(pid), "%i", getpid());
	setup();
	conf_ns_target(&ns, NULL, none);
	CHECK(ns.form == CONF_NS_COMMAND && !ns.command);
	conf_ns_target(&ns, NULL, with_args);
	CHECK(ns.form == CONF_NS_COMMAND && ns.command == with_args);
	setup();
	conf_ns_target(&ns, NULL, nothing);
	CHECK(ns.form == CONF_NS_COMMAND && ns.command == nothing);
	setup();
	conf_ns_target(&ns, NULL, one);
	CHECK(ns.form == CONF_NS_PID && ns.pid == getpid());
	CHECK(!ns.netns_only && !ns.command);
	setup();
	conf_ns_target(&ns, "blue", none);
	CHECK(ns.form == CONF_NS_PATH && ns.netns_only);
	setup();
	strcpy(ns.userns, "/u");
	conf_ns_target(&ns, "blue", none);
	CHECK(ns.form == CONF_NS_PATH && !ns.netns_only);
}

TEST(interface_names)
{
	setup();
	conf_ns_settle(&ns, fam);
	CHECK(!strcmp(ns.ifname, "tap0") && !ns.has_mac);
	setup();
	strcpy(fam[CONF_V6].ifname, "wlan0");
	conf_ns_settle(&ns, fam);
	CHECK(!strcmp(ns.ifname, "wlan0"));
	setup();
	strcpy(fam[CONF_V4].ifname, "lo");
	strcpy(fam[CONF_V6].ifname, "wlan0");
	ns.mac[5] = 1;
	conf_ns_settle(&ns, fam);
	CHECK(!strcmp(ns.ifname, "wlan0") && ns.has_mac);
	strcpy(ns.ifname, "mine");
	conf_ns_settle(&ns, fam);
	CHECK(!strcmp(ns.ifname, "mine"));
}

TEST(what_is_set_up)
{
	struct netconf n = { .mtu = 0 };

	setup();
	conf_ns_netconf(&ns, fam, &n);
	CHECK(!*n.ifname);
	ns.config_net = ns.no_tap = true;
	conf_ns_netconf(&ns, fam, &n);
	CHECK(!*n.ifname);
	ns.no_tap = false;
	fam[CONF_V4].on = true;
	fam[CONF_V4].ifindex = 7;
	fam[CONF_V4].prefix = 24;
	fam[CONF_V4].no_gateway = true;
	fam[CONF_V4].gateway.b[0] = 1;
	fam[CONF_V6].gateway.b[0] = 2;
	conf_ns_settle(&ns, fam);
	conf_ns_netconf(&ns, fam, &n);
	CHECK(!strcmp(n.ifname, "tap0"));
	CHECK(n.family[CONF_V4].on && !n.family[CONF_V6].on);
	CHECK_EQ(n.family[CONF_V4].ifindex, 7);
	CHECK_EQ(n.family[CONF_V4].prefix, 24);
	CHECK_EQ(n.family[CONF_V4].gateway.b[0], 0);
	CHECK_EQ(n.family[CONF_V6].gateway.b[0], 2);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
