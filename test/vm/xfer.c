// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xfer.c - what the tests send and receive by, in the guest and on the host.
 *
 *	xfer sink PORT [HASH]		accept one connection, read it to its end
 *	xfer source PORT BYTES SEED [HASH]	accept one connection, send BYTES
 *	xfer put HOST PORT BYTES SEED [HASH]	connect, send BYTES, shut down,
 *					and wait for the peer's end
 *	xfer get HOST PORT [HASH]	connect, read to the end
 *	xfer echo PORT			TCP echo for any number of connections,
 *					and UDP echo, until killed
 *	xfer many HOST PORT N [HOLD]	N connections at once, an answer by each,
 *					held open HOLD seconds, and asked again
 *	xfer rr HOST PORT N		N request-responses of one byte
 *	xfer crr HOST PORT N		the same, a connection each
 *	xfer udp HOST PORT N SIZE	N datagrams, one after the other, each echoed
 *	xfer usink PORT			count datagrams from the first one until
 *					none comes for a second
 *	xfer ublast PORT SIZE		wait for a datagram, then send as fast as
 *					possible to where it came from
 *	xfer uput HOST PORT SIZE	send to a usink as fast as possible
 *	xfer uget HOST PORT		have a ublast send, and count like usink
 *
 * HASH is `sha256` (of every byte; the default), `none`, or `check:SEED`, which
 * compares each byte received with what SEED gives. With `none`, what is sent is
 * the same block over and over. Options before the command:
 * -b ADDR local address, -w MS pause before each read (a slow reader), -r BYTES
 * receive buffer, -d SECONDS send for so long rather than BYTES, -k SECONDS keep
 * the connection open so long after the peer's end, -c NAME congestion control,
 * -s send as many datagrams in one system call as UDP_SEGMENT takes (udp(7)).
 * Results are printed as one line `name=value ...`; exit 0 means that all of it
 * succeeded.
 *
 * A listening command prints `ready` first.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sha256.h"

#define CHUNK	(256 * 1024)

static const char *opt_bind, *opt_cc;
static int opt_wait_ms, opt_rcvbuf;
static double opt_seconds, opt_keep;
static bool opt_segment;

static uint64_t chunk[CHUNK / 8], expected[CHUNK / 8];

static void fail(const char *what)
{
	fprintf(stderr, "xfer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* The stream that belongs to a seed: splitmix64 of the word's number */
static void stream_fill(uint64_t *buf, uint64_t seed, uint64_t word, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		uint64_t z = (seed << 40) + (word + i) * 0x9e3779b97f4a7c15;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		buf[i] = z ^ (z >> 31);
	}
}

struct check {
	enum { HASH_SHA256, HASH_NONE, HASH_SEED } how;
	uint64_t seed, bytes;
	bool bad;
	struct sha256 sha;
};

static void check_init(struct check *c, const char *how)
{
	memset(c, 0, sizeof(*c));
	sha256_init(&c->sha);
	if (how && !strcmp(how, "none"))
		c->how = HASH_NONE;
	if (how && sscanf(how, "check:%lu", &c->seed) == 1)
		c->how = HASH_SEED;
}

static void check_add(struct check *c, const void *buf, size_t len)
{
	size_t off = c->bytes % CHUNK, done, n;

	if (c->how == HASH_SHA256)
		sha256_add(&c->sha, buf, len);
	for (done = 0; c->how == HASH_SEED && done < len; done += n) {
		off = (c->bytes + done) % CHUNK;
		if (!off)
			stream_fill(expected, c->seed,
				    (c->bytes + done) / 8, CHUNK / 8);
		n = len - done < CHUNK - off ? len - done : CHUNK - off;
		if (memcmp((const char *)buf + done, (char *)expected + off, n))
			c->bad = true;
	}
	c->bytes += len;
}

static int check_print(struct check *c, double start, const char *end)
{
	double t = now() - start;

	printf("bytes=%lu seconds=%.3f mbps=%.0f end=%s", c->bytes, t,
	       c->bytes * 8 / t / 1e6, end);
	if (c->how == HASH_SHA256)
		printf(" sha256=%s", sha256_end(&c->sha));
	if (c->how == HASH_SEED)
		printf(" match=%s", c->bad ? "no" : "yes");
	printf("\n");
	fflush(stdout);
	return c->bad;
}

struct peer {
	struct sockaddr_storage sa;
	socklen_t len;
	int type;
};

/* An address as text, IPv6 with %INTERFACE where it is link-local */
static struct peer resolve(const char *host, const char *port, int type)
{
	struct peer p = { .type = type };
	struct sockaddr_in *a4 = (void *)&p.sa;
	struct sockaddr_in6 *a6 = (void *)&p.sa;
	char text[64], *zone;

	snprintf(text, sizeof(text), "%s", host);
	zone = strchr(text, '%');
	if (zone)
		*zone++ = 0;
	if (inet_pton(AF_INET6, text, &a6->sin6_addr) == 1) {
		a6->sin6_family = AF_INET6;
		a6->sin6_port = htons(atoi(port));
		a6->sin6_scope_id = zone ? if_nametoindex(zone) : 0;
		p.len = sizeof(*a6);
	} else if (inet_pton(AF_INET, text, &a4->sin_addr) == 1) {
		a4->sin_family = AF_INET;
		a4->sin_port = htons(atoi(port));
		p.len = sizeof(*a4);
	} else {
		fprintf(stderr, "xfer: bad address %s\n", host);
		exit(1);
	}
	return p;
}

static void sock_options(int fd)
{
	if (opt_rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &opt_rcvbuf, sizeof(int));
	if (opt_cc && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, opt_cc,
				 strlen(opt_cc)))
		fail(opt_cc);
}

static int dial(const struct peer *p, bool wait)
{
	int fd = socket(p->sa.ss_family,
			p->type | (wait ? 0 : SOCK_NONBLOCK), 0);

	if (fd < 0)
		fail("socket");
	if (p->type == SOCK_STREAM)
		sock_options(fd);
	if (connect(fd, (void *)&p->sa, p->len) && errno != EINPROGRESS)
		fail("connect");
	return fd;
}

static int listen_on(const char *port, int type)
{
	struct peer p = resolve(opt_bind ? opt_bind : "::", port, type);
	int fd = socket(p.sa.ss_family, type, 0), one = 1, zero = 0;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (p.sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (type == SOCK_STREAM)
		sock_options(fd);
	if (bind(fd, (void *)&p.sa, p.len))
		fail("bind");
	if (type == SOCK_STREAM && listen(fd, 4096))
		fail("listen");
	return fd;
}

static int accept_one(const char *port)
{
	int l = listen_on(port, SOCK_STREAM), fd;

	printf("ready\n");
	fflush(stdout);
	fd = accept(l, NULL, NULL);
	if (fd < 0)
		fail("accept");
	close(l);
	return fd;
}

static int drain(int fd, const char *how)
{
	double start = now();
	struct check c;
	ssize_t n;

	check_init(&c, how);
	for (;;) {
		if (opt_wait_ms)
			usleep(opt_wait_ms * 1000);
		n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			break;
		check_add(&c, chunk, n);
	}
	n = check_print(&c, start, n ? strerrorname_np(errno) : "eof") |
	    (n < 0);
	usleep(opt_keep * 1e6);
	return n;
}

static int fill(int fd, uint64_t bytes, uint64_t seed, const char *how)
{
	double start = now(), until = start + opt_seconds;
	struct check c;
	char end;

	check_init(&c, how);
	if (c.how == HASH_NONE)
		stream_fill(chunk, seed, 0, CHUNK / 8);
	while (opt_seconds ? now() < until : c.bytes < bytes) {
		size_t len = CHUNK, off = 0;

		if (!opt_seconds && bytes - c.bytes < len)
			len = bytes - c.bytes;
		if (c.how != HASH_NONE)
			stream_fill(chunk, seed, c.bytes / 8, CHUNK / 8);
		check_add(&c, chunk, len);
		while (off < len) {
			ssize_t n = send(fd, (char *)chunk + off, len - off,
					 MSG_NOSIGNAL);

			if (n < 0)
				fail("send");
			off += n;
		}
	}
	shutdown(fd, SHUT_WR);
	if (read(fd, &end, 1) < 0)
		fail("read");
	return check_print(&c, start, "eof");
}

static void files_unlimit(void)
{
	struct rlimit r = { 1 << 16, 1 << 16 };

	setrlimit(RLIMIT_NOFILE, &r);
}

static void echo_udp(int fd)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, chunk, sizeof(chunk), 0, (void *)&from, &len);

	if (n >= 0)
		sendto(fd, chunk, n, 0, (void *)&from, len);
}

static void echo_tcp(int fd)
{
	ssize_t n = read(fd, chunk, 65536), off = 0, k;

	if (n <= 0) {
		close(fd);
		return;
	}
	for (; off < n; off += k)
		if ((k = send(fd, (char *)chunk + off, n - off,
			      MSG_NOSIGNAL)) < 0)
			return;
}

static _Noreturn void echo(const char *port)
{
	int ep = epoll_create1(0), tcp = listen_on(port, SOCK_STREAM);
	int udp = listen_on(port, SOCK_DGRAM), one = 1;
	struct epoll_event ev = { .events = EPOLLIN }, evs[64];

	files_unlimit();
	ev.data.fd = tcp;
	epoll_ctl(ep, EPOLL_CTL_ADD, tcp, &ev);
	ev.data.fd = udp;
	epoll_ctl(ep, EPOLL_CTL_ADD, udp, &ev);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int i, n = epoll_wait(ep, evs, 64, -1);

		for (i = 0; i < n; i++) {
			int fd = evs[i].data.fd;

			if (fd == udp) {
				echo_udp(fd);
			} else if (fd != tcp) {
				echo_tcp(fd);
			} else if ((fd = accept(tcp, NULL, NULL)) >= 0) {
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
					   sizeof(one));
				ev.data.fd = fd;
				epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
			}
		}
	}
}

/* Ask on each connection that is not yet at an end; count what answered */
static int ask_all(int ep, int *fds, int n)
{
	struct epoll_event ev = { EPOLLOUT, {} }, evs[64];
	int answered = 0, failed = 0, i, k, m;
	double start = now();

	for (i = 0; i < n; i++) {
		ev.data.u32 = i;
		epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &ev);
	}
	ev.events = EPOLLIN;
	while (answered + failed < n && now() - start < 60) {
		m = epoll_wait(ep, evs, 64, 1000);
		for (k = 0; k < m; k++) {
			uint32_t id = ev.data.u32 = evs[k].data.u32, got = ~0;

			if (evs[k].events == EPOLLOUT &&
			    send(fds[id], &id, 4, MSG_NOSIGNAL) == 4) {
				epoll_ctl(ep, EPOLL_CTL_MOD, fds[id], &ev);
				continue;
			}
			if (recv(fds[id], &got, 4, 0) == 4 && got == id)
				answered++;
			else
				failed++;
			epoll_ctl(ep, EPOLL_CTL_DEL, fds[id], NULL);
		}
	}
	return answered;
}

/* Each connection sends its number and must get it back */
static int many(const struct peer *to, int n, double hold)
{
	int ep = epoll_create1(0), answered, again, i, *fds;
	double start = now();

	files_unlimit();
	fds = calloc(n, sizeof(*fds));
	for (i = 0; i < n; i++)
		fds[i] = dial(to, false);
	answered = again = ask_all(ep, fds, n);
	printf("answered=%d seconds=%.3f\n", answered, now() - start);
	fflush(stdout);
	if (hold) {
		usleep(hold * 1e6);
		again = ask_all(ep, fds, n);
		printf("again=%d\n", again);
	}
	return answered != n || again != n;
}

static int compare(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return d < 0 ? -1 : d > 0;
}

static int latency(const struct peer *to, int n, bool each)
{
	int i, fd = -1, one = 1;
	double *t = calloc(n, sizeof(*t));
	char c = 'x';

	for (i = 0; i < n; i++) {
		double start = now();

		if (each || fd < 0) {
			fd = dial(to, true);
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
				   sizeof(one));
		}
		if (send(fd, &c, 1, MSG_NOSIGNAL) != 1 ||
		    recv(fd, &c, 1, 0) != 1)
			fail("request");
		if (each)
			close(fd);
		t[i] = now() - start;
	}
	qsort(t, n, sizeof(*t), compare);
	printf("median_us=%.1f p99_us=%.1f\n", t[n / 2] * 1e6,
	       t[n * 99 / 100] * 1e6);
	return 0;
}

static int udp_ping(const struct peer *to, int n, int size)
{
	struct timeval tv = { .tv_sec = 3 };
	int fd = dial(to, true), i, ok = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	for (i = 0; i < n; i++) {
		stream_fill(chunk, i + 1, 0, size / 8 + 1);
		if (send(fd, chunk, size, 0) == size &&
		    recv(fd, expected, sizeof(expected), 0) == size &&
		    !memcmp(chunk, expected, size))
			ok++;
	}
	printf("echoed=%d\n", ok);
	return ok != n;
}

/* Datagrams a system call, so that it is not what is measured */
#define UDP_BATCH 64
/* Bytes that one with UDP_SEGMENT takes, and not more than 64 datagrams */
#define UDP_SEGMENT_MAX 64000

static struct mmsghdr *udp_batch(size_t size)
{
	static struct mmsghdr m[UDP_BATCH];
	static struct iovec iov[UDP_BATCH];
	static uint8_t buf[UDP_BATCH][UINT16_MAX];
	int i;

	for (i = 0; i < UDP_BATCH; i++) {
		iov[i] = (struct iovec){ buf[i], size };
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i],
						.msg_iovlen = 1 };
	}
	return m;
}

static int udp_count(int fd)
{
	struct mmsghdr *m = udp_batch(UINT16_MAX);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t bytes = 0, count = 0;
	double first = 0, last = 0;
	int i, n, size = 16 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	while (poll(&p, 1, count ? 1000 : 20000) == 1) {
		while ((n = recvmmsg(fd, m, UDP_BATCH, MSG_DONTWAIT,
				     NULL)) > 0) {
			for (i = 0; i < n; i++)
				bytes += m[i].msg_len;
			count += n;
		}
		last = now();
		first = first ? first : last;
	}
	printf("bytes=%lu count=%lu seconds=%.3f mbps=%.0f\n", bytes, count,
	       last - first, bytes * 8 / (last - first) / 1e6);
	return !count;
}

static int udp_sink(const char *port)
{
	int fd = listen_on(port, SOCK_DGRAM);

	printf("ready\n");
	fflush(stdout);
	return udp_count(fd);
}

static int udp_flood(int fd, int size)
{
	struct mmsghdr *m = udp_batch(size);
	double until = now() + opt_seconds;
	int n, many = 1;
	uint64_t count = 0;

	if (opt_segment) {
		many = UDP_SEGMENT_MAX / size;
		m = udp_batch(many * size);
		if (setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)))
			fail("UDP_SEGMENT");
	}
	while (now() < until) {
		n = sendmmsg(fd, m, UDP_BATCH / many + 1, 0);
		count += n > 0 ? n * many : 0;
	}
	printf("sent=%lu sent_bytes=%lu\n", count, count * size);
	return 0;
}

static int udp_blast(const char *port, int size)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int fd = listen_on(port, SOCK_DGRAM);

	printf("ready\n");
	fflush(stdout);
	recvfrom(fd, chunk, CHUNK, 0, (void *)&from, &len);
	if (connect(fd, (void *)&from, len))
		fail("connect");
	return udp_flood(fd, size);
}

static int udp_get(int fd)
{
	if (send(fd, "x", 1, 0) != 1)
		fail("send");
	return udp_count(fd);
}

static int usage(void)
{
	fprintf(stderr, "xfer: see the head of xfer.c\n");
	return 2;
}

static int run(int argc, char **a)
{
	const char *cmd = argc ? a[0] : "";
	struct peer to;

	if (argc >= 2 && !strcmp(cmd, "sink"))
		return drain(accept_one(a[1]), a[2]);
	if (argc >= 4 && !strcmp(cmd, "source"))
		return fill(accept_one(a[1]), strtoull(a[2], NULL, 0),
			    atoi(a[3]), argc > 4 ? a[4] : NULL);
	if (argc == 2 && !strcmp(cmd, "usink"))
		return udp_sink(a[1]);
	if (argc == 3 && !strcmp(cmd, "ublast"))
		return udp_blast(a[1], atoi(a[2]));
	if (argc == 2 && !strcmp(cmd, "echo"))
		echo(a[1]);
	if (argc < 3)
		return usage();
	to = resolve(a[1], a[2], cmd[0] == 'u' ? SOCK_DGRAM : SOCK_STREAM);
	if (!strcmp(cmd, "uget"))
		return udp_get(dial(&to, true));
	if (argc == 4 && !strcmp(cmd, "uput"))
		return udp_flood(dial(&to, true), atoi(a[3]));
	if (!strcmp(cmd, "get"))
		return drain(dial(&to, true), a[3]);
	if (argc >= 5 && !strcmp(cmd, "put"))
		return fill(dial(&to, true), strtoull(a[3], NULL, 0),
			    atoi(a[4]), a[5]);
	if (argc >= 4 && !strcmp(cmd, "many"))
		return many(&to, atoi(a[3]), argc > 4 ? atof(a[4]) : 0);
	if (argc == 4 && !strcmp(cmd, "rr"))
		return latency(&to, atoi(a[3]), false);
	if (argc == 4 && !strcmp(cmd, "crr"))
		return latency(&to, atoi(a[3]), true);
	if (argc == 5 && !strcmp(cmd, "udp"))
		return udp_ping(&to, atoi(a[3]), atoi(a[4]));
	return usage();
}

int main(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "+b:w:r:d:c:k:s")) >= 0) {
		if (c == 'b')
			opt_bind = optarg;
		else if (c == 'w')
			opt_wait_ms = atoi(optarg);
		else if (c == 'r')
			opt_rcvbuf = atoi(optarg);
		else if (c == 'd')
			opt_seconds = atof(optarg);
		else if (c == 's')
			opt_segment = true;
		else if (c == 'k')
			opt_keep = atof(optarg);
		else if (c == 'c')
			opt_cc = optarg;
		else
			return usage();
	}
	signal(SIGPIPE, SIG_IGN);
	return run(argc - optind, argv + optind);
}
