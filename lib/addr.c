// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * addr: one 16-byte address for both families
 *
 * No state. What an IPv4 address is, is decided by its v4-mapped form alone:
 * code that reads IPv6 headers must refuse ::ffff:0:0/96 there, or a guest
 * could write IPv4 addresses into them.
 *
 * Sources: RFC 4291 (IPv6 addressing), RFC 1122 3.2.1.3 (IPv4 addressing).
 */
#include "lib/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

/** Bits before the IPv4 part of a mapped address */
#define V4_BITS	96

/**
 * addr_from_v4() - Make an address of an IPv4 one
 * @v4:		4 bytes, network order, any alignment
 * Return: the mapped address
 */
struct addr addr_from_v4(const void *v4)
{
	struct addr a = ADDR_ANY4;

	memcpy(a.b + 12, v4, 4);
	return a;
}

/**
 * addr_from_v6() - Make an address of an IPv6 one
 * @v6:		16 bytes, network order, any alignment
 * Return: the address; one in ::ffff:0:0/96 is IPv4 from here on
 */
struct addr addr_from_v6(const void *v6)
{
	struct addr a;

	memcpy(a.b, v6, sizeof(a.b));
	return a;
}

/**
 * addr_to_v4() - The IPv4 part of an address
 * @a:		an IPv4 address
 * Return: its 4 bytes, network order
 */
struct in_addr addr_to_v4(const struct addr *a)
{
	struct in_addr v4;

	memcpy(&v4, a->b + 12, sizeof(v4));
	return v4;
}

/**
 * addr_to_v6() - An address as the kernel wants it
 * @a:		address; IPv4 comes out v4-mapped
 * Return: its 16 bytes, network order
 */
struct in6_addr addr_to_v6(const struct addr *a)
{
	struct in6_addr v6;

	memcpy(&v6, a->b, sizeof(v6));
	return v6;
}

/**
 * addr_is_unspecified() - Whether this is :: or 0.0.0.0
 * @a:		address
 * Return: true if so
 */
bool addr_is_unspecified(const struct addr *a)
{
	return addr_equal(a, &ADDR_ANY6) || addr_equal(a, &ADDR_ANY4);
}

/**
 * addr_is_loopback() - Whether this is in 127.0.0.0/8, or ::1
 * @a:		address
 * Return: true if so
 */
bool addr_is_loopback(const struct addr *a)
{
	if (addr_is_v4(a))
		return a->b[12] == 127;
	return addr_equal(a, &ADDR_LOOPBACK6);
}

/**
 * addr_is_multicast() - Whether this is in 224.0.0.0/4 or ff00::/8
 * @a:		address
 * Return: true if so
 */
bool addr_is_multicast(const struct addr *a)
{
	if (addr_is_v4(a))
		return a->b[12] >> 4 == 0xe;
	return a->b[0] == 0xff;
}

/**
 * addr_is_broadcast() - Whether this is 255.255.255.255
 * @a:		address
 * Return: true if so
 */
bool addr_is_broadcast(const struct addr *a)
{
	static const uint8_t ones[4] = { 0xff, 0xff, 0xff, 0xff };

	return addr_is_v4(a) && !memcmp(a->b + 12, ones, sizeof(ones));
}

/**
 * addr_is_link_local6() - Whether this is in fe80::/10
 * @a:		address
 * Return: true if so; never for IPv4
 */
bool addr_is_link_local6(const struct addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/**
 * addr_is_unicast() - Whether one host can have this address
 * @a:		address
 *
 * Return: false for unspecified, multicast and broadcast addresses and all of
 *	   0.0.0.0/8 ("this network", RFC 1122 3.2.1.3); true else, loopback
 *	   included
 */
bool addr_is_unicast(const struct addr *a)
{
	if (addr_is_v4(a) && !a->b[12])
		return false;
	return !addr_is_unspecified(a) && !addr_is_multicast(a) &&
	       !addr_is_broadcast(a);
}

/* Length of a prefix in the 128 bits of the mapped form */
static unsigned prefix_bits(const struct addr *a, unsigned len)
{
	unsigned max = addr_is_v4(a) ? 32 : 128;

	return (len < max ? len : max) + (addr_is_v4(a) ? V4_BITS : 0);
}

/**
 * addr_prefix() - Zero the host bits
 * @a:		address
 * @len:	prefix length, bits, in the address's own family: 0 to 32 or
 *		0 to 128; more counts as the whole address
 * Return: the prefix, of the same family
 */
struct addr addr_prefix(const struct addr *a, unsigned len)
{
	unsigned bits = prefix_bits(a, len);
	struct addr r = *a;

	if (bits % 8)
		r.b[bits / 8] &= (uint8_t)(0xff00 >> bits % 8);
	for (unsigned i = (bits + 7) / 8; i < sizeof(r.b); i++)
		r.b[i] = 0;
	return r;
}

/**
 * addr_in_prefix() - Whether an address is within a prefix
 * @a:		address
 * @net:	any address of the prefix
 * @len:	prefix length, bits, in the family of @net (see addr_prefix())
 * Return: true if so; false if the families differ
 */
bool addr_in_prefix(const struct addr *a, const struct addr *net, unsigned len)
{
	struct addr pa, pn;

	if (addr_is_v4(a) != addr_is_v4(net))
		return false;
	pa = addr_prefix(a, len);
	pn = addr_prefix(net, len);
	return addr_equal(&pa, &pn);
}

/**
 * addr_parse() - Read an address
 * @text:	strict dotted quad, or IPv6 text without scope and brackets;
 *		v4-mapped text is refused: IPv4 has one way to be written
 * @out:	where to put it, untouched on failure
 * Return: false if @text is not an address
 */
bool addr_parse(const char *text, struct addr *out)
{
	struct addr a;
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) == 1) {
		*out = addr_from_v4(v4);
		return true;
	}
	if (inet_pton(AF_INET6, text, a.b) != 1 || addr_is_v4(&a))
		return false;
	*out = a;
	return true;
}

/**
 * addr_format() - Write an address
 * @a:		address
 * @buf:	where to; ADDR_STRLEN is room enough
 * @size:	bytes at @buf
 * Return: @buf, holding the empty string if it was too small
 */
const char *addr_format(const struct addr *a, char *buf, size_t size)
{
	const void *p = addr_is_v4(a) ? a->b + 12 : a->b;

	if (!inet_ntop(addr_family(a), p, buf, (socklen_t)size) && size)
		*buf = '\0';
	return buf;
}

/**
 * addr_format_port() - Write an address with its scope and port
 * @e:		address, port, scope
 * @buf:	where to; ADDR_STRLEN is room enough
 * @size:	bytes at @buf, at least one; what is too long is cut
 * Return: @buf: 192.0.2.1:80, [2001:db8::1]:80, [fe80::1%2]:80
 */
const char *addr_format_port(const struct endpoint *e, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN], scope[12] = "";

	addr_format(&e->addr, text, sizeof(text));
	if (e->ifindex)
		snprintf(scope, sizeof(scope), "%%%u", e->ifindex);
	if (addr_is_v4(&e->addr))
		snprintf(buf, size, "%s:%u", text, (unsigned)e->port);
	else
		snprintf(buf, size, "[%s%s]:%u", text, scope,
			 (unsigned)e->port);
	return buf;
}

/**
 * addr_to_sockaddr() - A socket address, as the kernel wants it
 * @e:		address, port, scope
 * @sa:		where to put it
 * Return: bytes of it: that of a struct sockaddr_in, or sockaddr_in6
 */
socklen_t addr_to_sockaddr(const struct endpoint *e, union sockaddr_any *sa)
{
	memset(sa, 0, sizeof(*sa));
	if (addr_is_v4(&e->addr)) {
		sa->sin.sin_family = AF_INET;
		sa->sin.sin_port = htons(e->port);
		sa->sin.sin_addr = addr_to_v4(&e->addr);
		return sizeof(sa->sin);
	}
	sa->sin6.sin6_family = AF_INET6;
	sa->sin6.sin6_port = htons(e->port);
	sa->sin6.sin6_addr = addr_to_v6(&e->addr);
	sa->sin6.sin6_scope_id = e->ifindex;
	return sizeof(sa->sin6);
}

/**
 * addr_from_sockaddr() - An address of the kernel's, as we want it
 * @sa:		socket address; v4-mapped ones (of a dual-stack socket) become
 *		IPv4
 * Return: address, port, and the scope if link-local; all zero if @sa is of
 *	   another family
 */
struct endpoint addr_from_sockaddr(const union sockaddr_any *sa)
{
	struct endpoint e = { .addr = ADDR_ANY6 };

	if (sa->sa.sa_family == AF_INET) {
		e.addr = addr_from_v4(&sa->sin.sin_addr);
		e.port = ntohs(sa->sin.sin_port);
	} else if (sa->sa.sa_family == AF_INET6) {
		e.addr = addr_from_v6(&sa->sin6.sin6_addr);
		e.port = ntohs(sa->sin6.sin6_port);
		if (addr_is_link_local6(&e.addr))
			e.ifindex = sa->sin6.sin6_scope_id;
	}
	return e;
}

/**
 * addr_of_socket() - What a socket speaks from
 * @fd:		socket
 * @e:		filled in, as by addr_from_sockaddr()
 * Return: 0, or a negative error code of getsockname(2), @e untouched
 */
int addr_of_socket(int fd, struct endpoint *e)
{
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, &sa.sa, &len))
		return -errno;
	*e = addr_from_sockaddr(&sa);
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/**
 * mac_parse() - Read a MAC address
 * @text:	six pairs of hexadecimal digits, colons between them
 * @mac:	where to put it, untouched on failure
 * Return: false if @text is something else
 */
bool mac_parse(const char *text, uint8_t mac[6])
{
	uint8_t m[6];

	for (int i = 0; i < 6; i++, text += 3) {
		int hi = hex_digit(text[0]);
		int lo = hi < 0 ? -1 : hex_digit(text[1]);

		if (lo < 0 || text[2] != (i < 5 ? ':' : '\0'))
			return false;
		m[i] = (uint8_t)(hi << 4 | lo);
	}
	memcpy(mac, m, sizeof(m));
	return true;
}

/**
 * mac_format() - Write a MAC address
 * @mac:	MAC address
 * @buf:	where to; 18 bytes are room enough
 * @size:	bytes at @buf, at least one
 * Return: @buf
 */
const char *mac_format(const uint8_t mac[6], char *buf, size_t size)
{
	snprintf(buf, size, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
		 mac[2], mac[3], mac[4], mac[5]);
	return buf;
}
