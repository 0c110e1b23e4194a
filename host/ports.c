// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ports: which ports are listened on in a network namespace
 *
 * One dump a family and protocol, of sockets in the state in question only, so
 * its cost does not grow with the connections that are open:
 *
 *	TCP	LISTEN
 *	UDP	CLOSE: what is not connected; unbound ones are not in the tables
 *
 * The answer is whole in the socket's queue whenever recv() returns: the kernel
 * fills it when asked and at each recv(), and none of these calls waits. What
 * is left of a dump that was given up is told by its sequence number.
 *
 * Without sock_diag, the same is read from /proc/net, where all sockets are
 * listed, and neither the interface nor IPV6_V6ONLY is said: both are taken to
 * be unset.
 *
 * State: the sequence number. Sources: sock_diag(7), Linux'
 * include/uapi/linux/inet_diag.h, proc(5) on /proc/net/tcp.
 */
#include "host/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/nlmsg.h"
#include "lib/addr.h"

/** lo has this index in every network namespace */
#define PORTS_LOOPBACK	1
/** How often a dump that changed under way is asked for */
#define PORTS_TRIES	8
/** Attributes that are looked at: type below this */
#define PORTS_ATTRS	(INET_DIAG_SKV6ONLY + 1)
/** Hexadecimal digits of an address word in /proc/net */
#define PORTS_HEX	8

static const char *const ports_files[PORTS_FDS] = {
	"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6",
	"/proc/thread-self/net/udp", "/proc/thread-self/net/udp6",
};

static uint32_t ports_seq;

/**
 * struct ports_kind - the sockets that are asked about
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @state:	their state
 */
struct ports_kind {
	uint8_t proto;
	unsigned state;
};

/**
 * struct ports_socket - what is said of a socket
 * @addr:	address it is bound to
 * @port:	port, host order
 * @ifindex:	interface it is bound to, or 0
 * @v6only:	IPv6, and does not take IPv4
 */
struct ports_socket {
	struct addr addr;
	uint16_t port;
	unsigned ifindex;
	bool v6only;
};

static void ports_set(struct ports_map *m, enum ports_reach reach,
		      uint16_t port)
{
	m->bit[reach][port / 64] |= 1ULL << port % 64;
}

static void ports_add_any(struct ports_map *m, const struct ports_socket *s,
			  bool v4)
{
	if (!s->ifindex || s->ifindex == PORTS_LOOPBACK)
		ports_set(m, v4 ? PORTS_LO4 : PORTS_LO6, s->port);
	if (s->ifindex != PORTS_LOOPBACK)
		ports_set(m, v4 ? PORTS_OUT4 : PORTS_OUT6, s->port);
}

static void ports_add(struct ports_map *m, const struct ports_socket *s)
{
	bool v4 = addr_is_v4(&s->addr);

	if (!s->port)
		return;
	if (addr_is_unspecified(&s->addr)) {
		ports_add_any(m, s, v4);
		if (!v4 && !s->v6only)
			ports_add_any(m, s, true);
	} else if (addr_is_loopback(&s->addr)) {
		ports_set(m, v4 ? PORTS_LO4 : PORTS_LO6, s->port);
	} else if (addr_is_unicast(&s->addr)) {
		ports_set(m, v4 ? PORTS_OUT4 : PORTS_OUT6, s->port);
	}
}

static void ports_on_socket(struct ports_map *m, struct cur *c)
{
	struct nlmsg_attr attr[PORTS_ATTRS];
	const struct nlmsg_attr *v6only = &attr[INET_DIAG_SKV6ONLY];
	struct inet_diag_msg d;
	struct ports_socket s;

	if (!nlmsg_header(c, &d, sizeof(d)) ||
	    (d.idiag_family != AF_INET && d.idiag_family != AF_INET6))
		return;
	nlmsg_attrs(c, attr, PORTS_ATTRS);
	s = (struct ports_socket){
		.addr = d.idiag_family == AF_INET ?
			addr_from_v4(d.id.idiag_src) :
			addr_from_v6(d.id.idiag_src),
		.port = ntohs(d.id.idiag_sport),
		.ifindex = d.id.idiag_if,
		.v6only = v6only->len && v6only->p[0],
	};
	ports_add(m, &s);
}

/**
 * ports_parse() - Read messages of sock_diag
 * @map:	ports are added to it
 * @seq:	sequence number of the request; what answers others is ignored
 * @buf:	messages, as received
 * @len:	bytes
 *
 * Return: 0 where more is to come, 1 at the end of the dump, -EINTR where the
 *	   dump is inconsistent and is to be asked for again, another negative
 *	   error code where the kernel refused, -EBADMSG for what is no message
 */
int ports_parse(struct ports_map *map, uint32_t seq, const void *buf,
		size_t len)
{
	struct cur c = cur_of(buf, len), body;
	struct nlmsghdr h;
	int rc;

	while (c.left) {
		if (!nlmsg_next(&c, &h, &body))
			return -EBADMSG;
		if (h.nlmsg_seq != seq)
			continue;
		if (h.nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		rc = nlmsg_code(&body);
		if (h.nlmsg_type == NLMSG_ERROR)
			return rc ? rc : -EBADMSG;
		if (h.nlmsg_type == NLMSG_DONE)
			return rc ? rc : 1;
		if (h.nlmsg_type == SOCK_DIAG_BY_FAMILY)
			ports_on_socket(map, &body);
	}
	return 0;
}

static int ports_send(int fd, const struct ports_kind *k, int family)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} req = {
		.h = { .nlmsg_len = sizeof(req), .nlmsg_seq = ++ports_seq,
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.r = { .sdiag_family = (uint8_t)family,
		       .sdiag_protocol = k->proto,
		       .idiag_states = 1U << k->state },
	};

	return send(fd, &req, sizeof(req), MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int ports_receive(int fd, struct ports_map *map)
{
	static uint8_t buf[NLMSG_BUFFER];
	ssize_t n;
	int rc;

	do {
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);
		if (n <= 0)
			return n ? -errno : -EBADMSG;
		if ((size_t)n > sizeof(buf))
			return -EMSGSIZE;
		rc = ports_parse(map, ports_seq, buf, (size_t)n);
	} while (!rc);
	return rc < 0 ? rc : 0;
}

/* What is left of a dump ends here: the next one is refused until then */
static void ports_drain(int fd)
{
	static uint8_t buf[NLMSG_BUFFER];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

static int ports_dump(int fd, const struct ports_kind *k, int family,
		      struct ports_map *map)
{
	int rc = ports_send(fd, k, family);

	if (!rc)
		rc = ports_receive(fd, map);
	if (rc)
		ports_drain(fd);
	return rc;
}

static int ports_scan_diag(int fd, const struct ports_kind *k,
			   struct ports_map *map)
{
	int rc = -EINTR;

	/* -EBUSY: the rest of another dump was there, and is gone now */
	for (int i = 0; i < PORTS_TRIES && (rc == -EINTR || rc == -EBUSY);
	     i++) {
		memset(map, 0, sizeof(*map));
		rc = ports_dump(fd, k, AF_INET, map);
		if (!rc)
			rc = ports_dump(fd, k, AF_INET6, map);
	}
	return rc;
}

/* Hexadecimal digits */
static bool ports_hex(struct cur *c, unsigned digits, uint32_t *out)
{
	const uint8_t *p = cur_take(c, digits);

	*out = 0;
	for (unsigned i = 0; p && i < digits; i++) {
		unsigned d = p[i] - (unsigned)'0';

		if (d > 9)
			d = (p[i] | 0x20U) - (unsigned)'a' + 10;
		if (d > 15 || (d > 9 && p[i] < 'A'))
			return false;
		*out = *out << 4 | d;
	}
	return p;
}

static bool ports_byte(struct cur *c, char byte)
{
	const uint8_t *p = c->left ? c->p : NULL;

	return p && *p == (uint8_t)byte && cur_take(c, 1);
}

/* ADDRESS:PORT; the address in words as the machine holds them */
static bool ports_proc_end(struct cur *c, struct ports_socket *s)
{
	uint32_t word[4], port;
	unsigned n = 0;

	while (n < 4 && ports_hex(c, PORTS_HEX, &word[n]))
		if (++n != 2 && ports_byte(c, ':'))
			break;
	if (n != 1 && n != 4)
		return false;
	s->addr = n == 1 ? addr_from_v4(word) : addr_from_v6(word);
	if (!ports_hex(c, 4, &port))
		return false;
	s->port = (uint16_t)port;
	return true;
}

/* NUMBER: LOCAL REMOTE STATE ...; the first line is none of these */
static bool ports_proc_line(struct cur *c, struct ports_socket *s)
{
	struct ports_socket remote;
	uint32_t state;

	while (c->left && *c->p != ':')
		cur_take(c, 1);
	return ports_byte(c, ':') && ports_byte(c, ' ') &&
	       ports_proc_end(c, s) && ports_byte(c, ' ') &&
	       ports_proc_end(c, &remote) && ports_byte(c, ' ') &&
	       ports_hex(c, 2, &state) &&
	       (state == TCP_LISTEN || state == TCP_CLOSE);
}

/**
 * ports_parse_proc() - Read lines of /proc/net/tcp, tcp6, udp or udp6
 * @map:	ports are added to it
 * @text:	lines, of which the last may be cut off
 * @len:	bytes
 * Return: bytes read; what is left is the beginning of a line
 */
size_t ports_parse_proc(struct ports_map *map, const char *text, size_t len)
{
	const char *end;
	size_t done = 0;

	while ((end = memchr(text + done, '\n', len - done))) {
		size_t n = (size_t)(end - (text + done));
		struct cur c = cur_of(text + done, n);
		struct ports_socket s = { 0 };

		if (ports_proc_line(&c, &s))
			ports_add(map, &s);
		done += n + 1;
	}
	return done;
}

static int ports_read_proc(int fd, struct ports_map *map)
{
	static char text[NLMSG_BUFFER];
	size_t have = 0, done;
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, text + have, sizeof(text) - have, at)) > 0) {
		at += n;
		have += (size_t)n;
		done = ports_parse_proc(map, text, have);
		have -= done;
		if (have == sizeof(text))
			return -EBADMSG;
		memmove(text, text + done, have);
	}
	return n < 0 ? -errno : 0;
}

static int ports_scan_proc(const int *fd, struct ports_map *map)
{
	int rc = 0;

	memset(map, 0, sizeof(*map));
	for (int i = 0; i < 2 && !rc; i++)
		rc = ports_read_proc(fd[i], map);
	return rc;
}

/**
 * ports_scan() - Which ports are listened on
 * @s:		from ports_open(), or a copy of it
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @map:	filled in; undefined after an error
 *
 * Does not wait. System calls: two a family, and one more for each 300 or so
 * sockets.
 *
 * Return: 0, or a negative error code of send(2), recv(2), pread(2), or of the
 *	   kernel's answer
 */
int ports_scan(const struct ports_source *s, uint8_t proto,
	       struct ports_map *map)
{
	const struct ports_kind k = {
		proto, proto == IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE
	};

	if (s->count == 1)
		return ports_scan_diag(s->fd[0], &k, map);
	return ports_scan_proc(s->fd + (proto == IPPROTO_TCP ? 0 : 2), map);
}

/**
 * ports_scan_connected() - Which ports connected UDP sockets have
 * @s:		from ports_open(), or a copy of it
 * @map:	filled in; undefined after an error
 *
 * Costs more the more there are, unlike ports_scan().
 *
 * Return: as of ports_scan(); -EOPNOTSUPP: from files, that is not told
 */
int ports_scan_connected(const struct ports_source *s, struct ports_map *map)
{
	static const struct ports_kind k = { IPPROTO_UDP, TCP_ESTABLISHED };

	return s->count == 1 ? ports_scan_diag(s->fd[0], &k, map) :
			       -EOPNOTSUPP;
}

static void ports_close(struct ports_source *s)
{
	while (s->count)
		close(s->fd[--s->count]);
}

/* Without IPv6 its files are missing: an empty one in their place */
static int ports_open_proc(struct ports_source *s)
{
	for (s->count = 0; s->count < PORTS_FDS; s->count++) {
		int fd = open(ports_files[s->count], O_RDONLY | O_CLOEXEC);

		if (fd < 0 && errno == ENOENT && s->count % 2)
			fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			int rc = -errno;

			ports_close(s);
			return rc;
		}
		s->fd[s->count] = fd;
	}
	return 0;
}

/*
 * Asks for both protocols: their modules are loaded by that. Connected, as a
 * hostile root of the namespace could otherwise send to the socket, too: an
 * answer, or so much that we would read for ever.
 */
static int ports_open_diag(struct ports_source *s)
{
	static const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	static struct ports_map map;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int rc;

	if (fd < 0)
		return -errno;
	*s = (struct ports_source){ .fd = { fd, -1, -1, -1 }, .count = 1 };
	rc = connect(fd, (const struct sockaddr *)&kernel, sizeof(kernel)) ?
	     -errno : 0;
	if (!rc)
		rc = ports_scan(s, IPPROTO_TCP, &map);
	if (!rc)
		rc = ports_scan(s, IPPROTO_UDP, &map);
	if (rc)
		ports_close(s);
	return rc;
}

/**
 * ports_open() - A source that tells of the current network namespace
 * @s:		filled in
 * Return: 0, or a negative error code where neither sock_diag nor /proc/net
 *	   can be read
 */
int ports_open(struct ports_source *s)
{
	return ports_open_diag(s) ? ports_open_proc(s) : 0;
}
