// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest: what is known of the guest: its MAC and the addresses it uses
 *
 * State: the MAC, the addresses that it was given, and for each class of address
 * (IPv4, IPv6 link-local, other IPv6) the last few seen, latest first. Nothing
 * is learned twice: what was just seen costs one comparison.
 */
#include "guest.h"

#include <string.h>

#include "lib/bytes.h"

/** Addresses remembered of each class */
#define GUEST_ADDRS	4

/** Addresses that the guest was given besides the first of each family */
#define GUEST_GIVEN	256

/** TTL of what we send on behalf of others: the usual default (RFC 1700) */
#define GUEST_TTL	64

/**
 * enum guest_class - kinds of address that are learned apart
 * @GUEST_V4:	IPv4
 * @GUEST_V6:	IPv6, but
 * @GUEST_LL6:	IPv6 link-local
 */
enum guest_class { GUEST_V4, GUEST_V6, GUEST_LL6, GUEST_CLASSES };

static const uint8_t guest_broadcast[6] = { 0xff, 0xff, 0xff,
					    0xff, 0xff, 0xff };

static struct guest_conf guest_conf;
static struct addr guest_given[GUEST_GIVEN];
static unsigned guest_given_count;
static bool guest_is_there;
static uint8_t guest_mac_now[6];
static uint8_t guest_mac_multicast[6];
static struct addr guest_seen[GUEST_CLASSES][GUEST_ADDRS];
static unsigned guest_seen_count[GUEST_CLASSES];

/**
 * guest_init() - Set what is configured, forget what was learned
 * @c:		configuration, copied
 */
void guest_init(const struct guest_conf *c)
{
	guest_conf = *c;
	guest_given_count = 0;
	guest_forget();
}

/**
 * guest_give_addr() - The guest is configured to have another address, too
 * @a:		address; beyond the first 256 it has to be seen to be known
 */
void guest_give_addr(const struct addr *a)
{
	if (guest_given_count < GUEST_GIVEN)
		guest_given[guest_given_count++] = *a;
}

static enum guest_class guest_class_of(const struct addr *a)
{
	if (addr_is_v4(a))
		return GUEST_V4;
	return addr_is_link_local6(a) ? GUEST_LL6 : GUEST_V6;
}

/**
 * guest_learn_mac() - The guest spoke from this MAC
 * @mac:	unicast MAC
 */
void guest_learn_mac(const uint8_t mac[6])
{
	memcpy(guest_mac_now, mac, sizeof(guest_mac_now));
}

/**
 * guest_learn_addr() - The guest spoke from this address
 * @a:		address; ignored unless it can be a guest's (unicast)
 */
void guest_learn_addr(const struct addr *a)
{
	enum guest_class class = guest_class_of(a);
	struct addr *seen = guest_seen[class];
	unsigned n = guest_seen_count[class], i;

	if (n && addr_equal(&seen[0], a))
		return;
	if (addr_is_unspecified(a) || addr_is_loopback(a) ||
	    addr_is_multicast(a) || addr_is_broadcast(a))
		return;
	for (i = 0; i < n && !addr_equal(&seen[i], a); i++)
		;
	if (i == n && n < GUEST_ADDRS)
		guest_seen_count[class]++;
	else if (i == n)
		i--;
	memmove(seen + 1, seen, i * sizeof(*seen));
	seen[0] = *a;
}

/**
 * guest_arrived() - A guest has come to the link
 */
void guest_arrived(void)
{
	guest_is_there = true;
}

/**
 * guest_present() - Whether anybody is there to open connections to
 * Return: true between guest_arrived() and guest_forget()
 */
bool guest_present(void)
{
	return guest_is_there;
}

/**
 * guest_forget() - The guest is gone: back to what is configured
 */
void guest_forget(void)
{
	guest_is_there = false;
	memcpy(guest_mac_now, guest_broadcast, sizeof(guest_mac_now));
	memset(guest_seen_count, 0, sizeof(guest_seen_count));
}

/**
 * guest_mac() - Where to send frames
 *
 * Return: the guest's MAC, broadcast before it was learned
 */
const uint8_t *guest_mac(void)
{
	return guest_mac_now;
}

/**
 * guest_our_mac() - Where our frames come from
 *
 * Return: our MAC
 */
const uint8_t *guest_our_mac(void)
{
	return guest_conf.our_mac;
}

/**
 * guest_our_ll() - Our link-local address, the router's
 *
 * Return: the address
 */
const struct addr *guest_our_ll(void)
{
	return &guest_conf.our_ll;
}

/**
 * guest_addr() - Where inbound flows go: the address last seen
 * @family:	AF_INET or AF_INET6
 * @link_local:	the IPv6 link-local one; means nothing for IPv4
 * @out:	where to store it
 *
 * Return: true, or false if none was seen and none is configured
 */
bool guest_addr(int family, bool link_local, struct addr *out)
{
	enum guest_class class = GUEST_V4;

	if (family == AF_INET6)
		class = link_local ? GUEST_LL6 : GUEST_V6;
	if (guest_seen_count[class])
		*out = guest_seen[class][0];
	else if (class == GUEST_LL6)
		return false;
	else
		*out = class == GUEST_V4 ? guest_conf.addr4 : guest_conf.addr6;
	return !addr_is_unspecified(out);
}

/**
 * guest_holds() - Whether an address is the guest's own
 * @a:		address
 *
 * Return: true if it is configured, or was seen lately
 */
bool guest_holds(const struct addr *a)
{
	enum guest_class class = guest_class_of(a);

	if (addr_is_unspecified(a))
		return false;
	for (unsigned i = 0; i < guest_seen_count[class]; i++) {
		if (addr_equal(&guest_seen[class][i], a))
			return true;
	}
	for (unsigned i = 0; i < guest_given_count; i++) {
		if (addr_equal(&guest_given[i], a))
			return true;
	}
	return addr_equal(a, &guest_conf.addr4) ||
	       addr_equal(a, &guest_conf.addr6);
}

/* RFC 1112 6.4, RFC 2464 7 */
static const uint8_t *guest_mac_for(const struct addr *dst)
{
	uint8_t *m = guest_mac_multicast;

	if (addr_is_broadcast(dst))
		return guest_broadcast;
	if (!addr_is_multicast(dst))
		return guest_mac_now;
	if (addr_is_v4(dst)) {
		put_be32(m, 0x01005e00);
		m[3] = dst->b[13] & 0x7f;
	} else {
		put_be16(m, 0x3333);
		memcpy(m + 2, dst->b + 12, 2);
	}
	memcpy(m + 4, dst->b + 14, 2);
	return m;
}

/**
 * guest_ends() - Addresses of a packet to the guest
 * @src:	IP source
 * @dst:	IP destination: the guest, multicast, or broadcast
 *
 * With TTL 64 and don't-fragment set, for the caller to change. The MAC of a
 * multicast destination is good until the next call.
 *
 * Return: the addresses
 */
struct packet_ends guest_ends(const struct addr *src, const struct addr *dst)
{
	return (struct packet_ends){
		.smac = guest_conf.our_mac,
		.dmac = guest_mac_for(dst),
		.src = *src,
		.dst = *dst,
		.ttl = GUEST_TTL,
		.df = true,
	};
}
