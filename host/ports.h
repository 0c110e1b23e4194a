/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ports: which ports are listened on in a network namespace
 *
 * ports_open() is called in the namespace in question, while files can still be
 * opened; the descriptors work from anywhere, so another process can be handed
 * them. ports_scan() then asks, as often as wanted: listening TCP sockets, and
 * UDP sockets that are bound and not connected. What reads the answers are
 * ports_parse() and ports_parse_proc(): bytes in, map out, for tests as well.
 */
#ifndef HOST_PORTS_H
#define HOST_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORTS_WORDS	(65536 / 64)
/** Descriptors of a namespace, at most */
#define PORTS_FDS	4

/**
 * enum ports_reach - from where a socket can be reached
 * @PORTS_LO4:	at a loopback address, IPv4
 * @PORTS_LO6:	the same, IPv6
 * @PORTS_OUT4:	at another address, IPv4
 * @PORTS_OUT6:	the same, IPv6
 */
enum ports_reach {
	PORTS_LO4,
	PORTS_LO6,
	PORTS_OUT4,
	PORTS_OUT6,
	PORTS_REACHES
};

/**
 * struct ports_map - the ports that are listened on
 * @bit:	a bit per port, once for each enum ports_reach; a socket bound
 *		to any address is in several
 */
struct ports_map {
	uint64_t bit[PORTS_REACHES][PORTS_WORDS];
};

/**
 * struct ports_source - where to ask about a namespace
 * @fd:		one sock_diag socket; or, with a kernel that lacks that, the
 *		files of /proc/net
 * @count:	how many
 */
struct ports_source {
	int fd[PORTS_FDS];
	unsigned count;
};

/**
 * ports_has() - Whether a port is listened on
 * @m:		map
 * @reach:	from where
 * @port:	port, host order
 * Return: true if so
 */
static inline bool ports_has(const struct ports_map *m, enum ports_reach reach,
			     uint16_t port)
{
	return m->bit[reach][port / 64] >> port % 64 & 1;
}

int ports_open(struct ports_source *s);
int ports_scan(const struct ports_source *s, uint8_t proto,
	       struct ports_map *map);
int ports_scan_connected(const struct ports_source *s, struct ports_map *map);
int ports_parse(struct ports_map *map, uint32_t seq, const void *buf,
		size_t len);
size_t ports_parse_proc(struct ports_map *map, const char *text, size_t len);

#endif /* HOST_PORTS_H */
