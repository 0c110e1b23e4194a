// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is learned of the guest, and where frames to it go
 */
#include "guest.h"

#include "test/unit/craft.h"
#include "test/unit/unit.h"

static void setup(const char *addr4, const char *addr6)
{
	struct guest_conf c = { .addr4 = craft_addr(addr4),
				.addr6 = craft_addr(addr6),
				.our_ll = craft_addr("fe80::1") };

	memcpy(c.our_mac, craft_our_mac, 6);
	guest_init(&c);
}

static void learn(const char *text)
{
	struct addr a = craft_addr(text);

	guest_learn_addr(&a);
}

static bool goes_to(int family, bool link_local, const char *text)
{
	struct addr a = craft_addr(text), b;

	return guest_addr(family, link_local, &b) && addr_equal(&a, &b);
}

static bool no_link_local(void)
{
	struct addr a;

	return !guest_addr(AF_INET6, true, &a);
}

static bool holds(const char *text)
{
	struct addr a = craft_addr(text);

	return guest_holds(&a);
}

TEST(configured_until_seen)
{
	setup("192.0.2.9", "2001:db8::9");
	CHECK(goes_to(AF_INET, false, "192.0.2.9"));
	CHECK(goes_to(AF_INET, true, "192.0.2.9"));
	CHECK(goes_to(AF_INET6, false, "2001:db8::9"));
	CHECK(no_link_local());
	CHECK(holds("192.0.2.9") && holds("2001:db8::9"));
	CHECK(!holds("192.0.2.8") && !holds("0.0.0.0") && !holds("::"));
	learn("192.0.2.20");
	learn("fe80::20");
	CHECK(goes_to(AF_INET, false, "192.0.2.20"));
	CHECK(goes_to(AF_INET6, false, "2001:db8::9"));
	CHECK(goes_to(AF_INET6, true, "fe80::20"));
	learn("2001:db8::20");
	CHECK(goes_to(AF_INET6, false, "2001:db8::20"));
	CHECK(goes_to(AF_INET6, true, "fe80::20"));
	CHECK(holds("192.0.2.9") && holds("192.0.2.20"));
	guest_forget();
	CHECK(goes_to(AF_INET, false, "192.0.2.9"));
	CHECK(!holds("192.0.2.20"));
}

TEST(nothing_configured)
{
	struct addr a;

	setup("0.0.0.0", "::");
	CHECK(!guest_addr(AF_INET, false, &a));
	CHECK(!guest_addr(AF_INET6, false, &a));
	CHECK(!guest_addr(AF_INET6, true, &a));
	CHECK(!holds("0.0.0.0") && !holds("::"));
}

TEST(nobodys_addresses_are_not_learned)
{
	struct addr a;

	setup("0.0.0.0", "::");
	learn("0.0.0.0");
	learn("127.0.0.1");
	learn("224.0.0.1");
	learn("255.255.255.255");
	learn("::");
	learn("::1");
	learn("ff02::1");
	CHECK(!guest_addr(AF_INET, false, &a));
	CHECK(!guest_addr(AF_INET6, false, &a));
	CHECK(!guest_addr(AF_INET6, true, &a));
	learn("192.0.2.1");
	learn("0.0.0.0");
	CHECK(goes_to(AF_INET, false, "192.0.2.1"));
}

TEST(last_few_are_held)
{
	setup("0.0.0.0", "::");
	learn("2001:db8::1");
	learn("192.0.2.1");
	learn("192.0.2.2");
	learn("192.0.2.3");
	learn("192.0.2.4");
	CHECK(holds("192.0.2.1"));
	learn("192.0.2.1");
	CHECK(goes_to(AF_INET, false, "192.0.2.1"));
	learn("192.0.2.5");
	CHECK(goes_to(AF_INET, false, "192.0.2.5"));
	CHECK(!holds("192.0.2.2"));
	CHECK(holds("192.0.2.1") && holds("192.0.2.3") && holds("192.0.2.4"));
	learn("192.0.2.3");
	CHECK(goes_to(AF_INET, false, "192.0.2.3"));
	CHECK(holds("192.0.2.5") && holds("192.0.2.1") && holds("192.0.2.4"));
	CHECK(goes_to(AF_INET6, false, "2001:db8::1"));
}

/* Of several that it was given, all are its own before it spoke from them */
TEST(given_addresses)
{
	struct addr a = craft_addr("192.0.2.10");

	setup("192.0.2.9", "::");
	CHECK(!holds("192.0.2.10"));
	guest_give_addr(&a);
	a = craft_addr("2001:db8::10");
	guest_give_addr(&a);
	CHECK(holds("192.0.2.9") && holds("192.0.2.10"));
	CHECK(holds("2001:db8::10") && !holds("192.0.2.11"));
	CHECK(goes_to(AF_INET, false, "192.0.2.9"));
	guest_forget();
	CHECK(holds("192.0.2.10"));
	for (unsigned i = 0; i < 1000; i++)
		guest_give_addr(&a);
	CHECK(holds("192.0.2.10"));
	setup("192.0.2.9", "::");
	CHECK(!holds("192.0.2.10"));
}

static bool mac_to(const char *dst, const char *mac)
{
	struct addr s = craft_addr("192.0.2.1"), d = craft_addr(dst);
	struct packet_ends e = guest_ends(&s, &d);

	CHECK(!memcmp(e.smac, craft_our_mac, 6));
	CHECK(addr_equal(&e.src, &s) && addr_equal(&e.dst, &d));
	CHECK_EQ(e.ttl, 64);
	CHECK(e.df);
	return !memcmp(e.dmac, mac, 6);
}

TEST(where_frames_go)
{
	setup("192.0.2.9", "::");
	CHECK(mac_to("192.0.2.9", "\xff\xff\xff\xff\xff\xff"));
	guest_learn_mac(craft_guest_mac);
	CHECK(mac_to("192.0.2.9", (const char *)craft_guest_mac));
	CHECK(!memcmp(guest_mac(), craft_guest_mac, 6));
	CHECK(mac_to("255.255.255.255", "\xff\xff\xff\xff\xff\xff"));
	CHECK(mac_to("239.129.2.3", "\x01\x00\x5e\x01\x02\x03"));
	CHECK(mac_to("ff02::1:ff00:1234", "\x33\x33\xff\x00\x12\x34"));
	guest_forget();
	CHECK(mac_to("192.0.2.9", "\xff\xff\xff\xff\xff\xff"));
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
