/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * addr: one 16-byte address for both families
 *
 * An IPv4 address is held v4-mapped (::ffff:a.b.c.d, RFC 4291 2.5.5.2), so that
 * above the headers there is one function for both families, not two.
 * Ports are in host order everywhere but in sockaddrs and on the wire.
 */
#ifndef LIB_ADDR_H
#define LIB_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>

/** Room for a formatted address, with scope, brackets and port */
#define ADDR_STRLEN 80

/**
 * struct addr - an IPv6 address, or an IPv4 one in its v4-mapped form
 * @b:		the 16 bytes, in network order
 */
struct addr {
	uint8_t b[16];
};

/**
 * struct endpoint - an address with a port
 * @addr:	address
 * @port:	port, host order
 * @ifindex:	scope of a link-local IPv6 address, else 0
 */
struct endpoint {
	struct addr addr;
	uint16_t port;
	unsigned ifindex;
};

/**
 * union sockaddr_any - storage for an IPv4 or IPv6 socket address
 * @sa:		generic view
 * @sin:	IPv4 view
 * @sin6:	IPv6 view
 */
union sockaddr_any {
	struct sockaddr sa;
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;
};

/** :: */
#define ADDR_ANY6	((struct addr){ { 0 } })
/** 0.0.0.0 */
#define ADDR_ANY4	((struct addr){ { [10] = 0xff, [11] = 0xff } })
/** ::1 */
#define ADDR_LOOPBACK6	((struct addr){ { [15] = 1 } })
/** 127.0.0.1 */
#define ADDR_LOOPBACK4	\
	((struct addr){ { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } })

/**
 * addr_equal() - Whether two addresses are the same
 * @a:		an address
 * @b:		another
 * Return: true if so
 */
static inline bool addr_equal(const struct addr *a, const struct addr *b)
{
	return !memcmp(a->b, b->b, sizeof(a->b));
}

/**
 * addr_is_v4() - Whether this is an IPv4 address
 * @a:		address
 * Return: true for ::ffff:0:0/96
 */
static inline bool addr_is_v4(const struct addr *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(a->b, prefix, sizeof(prefix));
}

/**
 * addr_family() - The address family
 * @a:		address
 * Return: AF_INET or AF_INET6
 */
static inline int addr_family(const struct addr *a)
{
	return addr_is_v4(a) ? AF_INET : AF_INET6;
}

struct addr addr_from_v4(const void *v4);
struct addr addr_from_v6(const void *v6);
struct in_addr addr_to_v4(const struct addr *a);
struct in6_addr addr_to_v6(const struct addr *a);

bool addr_is_unspecified(const struct addr *a);
bool addr_is_loopback(const struct addr *a);
bool addr_is_multicast(const struct addr *a);
bool addr_is_broadcast(const struct addr *a);
bool addr_is_link_local6(const struct addr *a);
bool addr_is_unicast(const struct addr *a);
bool addr_in_prefix(const struct addr *a, const struct addr *net, unsigned len);
struct addr addr_prefix(const struct addr *a, unsigned len);

bool addr_parse(const char *text, struct addr *out);
const char *addr_format(const struct addr *a, char *buf, size_t size);
const char *addr_format_port(const struct endpoint *e, char *buf, size_t size);

socklen_t addr_to_sockaddr(const struct endpoint *e, union sockaddr_any *sa);
struct endpoint addr_from_sockaddr(const union sockaddr_any *sa);
int addr_of_socket(int fd, struct endpoint *e);

bool mac_parse(const char *text, uint8_t mac[6]);
const char *mac_format(const uint8_t mac[6], char *buf, size_t size);

#endif /* LIB_ADDR_H */
