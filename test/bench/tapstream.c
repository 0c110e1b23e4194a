// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tapstream.c - a kernel tap on the daemon's stream socket
 *
 *	tapstream SOCKET IFNAME
 *
 * What testpmd is for a vhost-user socket: makes a tap device in its namespace
 * and passes frames both ways, as many as there are with one system call on the
 * socket. Prints `ready` once it does; ends with the daemon.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FRAME	70000
#define BUF	(512 * 1024)

static uint8_t up[BUF], down[BUF];
static size_t down_len;

static void fail(const char *what)
{
	fprintf(stderr, "tapstream: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int tap_open(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r))
		fail(name);
	return fd;
}

static int stream_open(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (connect(fd, (void *)&un, sizeof(un)))
		fail(path);
	return fd;
}

/* What the tap has; the daemon never stops to read */
static void tap_to_stream(int tap, int sock)
{
	size_t len = 0, off = 0;
	ssize_t n;

	while (len + 4 + FRAME <= BUF) {
		uint32_t prefix;

		n = read(tap, up + len + 4, FRAME);
		if (n <= 0)
			break;
		prefix = htonl(n);
		memcpy(up + len, &prefix, 4);
		len += 4 + n;
	}
	for (; off < len; off += n) {
		n = send(sock, up + off, len - off, MSG_NOSIGNAL);
		if (n < 0)
			fail("the daemon went away");
	}
}

static void stream_to_tap(int tap, int sock)
{
	ssize_t n = recv(sock, down + down_len, BUF - down_len, MSG_DONTWAIT);
	size_t off = 0, len;
	uint32_t prefix;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		exit(0);
	down_len += n;
	while (down_len - off >= 4) {
		memcpy(&prefix, down + off, 4);
		len = ntohl(prefix);
		if (down_len - off < 4 + len)
			break;
		/* One that the device does not take is lost, as on a wire */
		if (write(tap, down + off + 4, len) < 0 && errno == EBADF)
			fail("tap");
		off += 4 + len;
	}
	memmove(down, down + off, down_len - off);
	down_len -= off;
}

int main(int argc, char **argv)
{
	struct pollfd p[2] = { { .events = POLLIN }, { .events = POLLIN } };

	if (argc != 3) {
		fprintf(stderr, "tapstream: see the head of tapstream.c\n");
		return 2;
	}
	p[0].fd = tap_open(argv[2]);
	p[1].fd = stream_open(argv[1]);
	puts("ready");
	fflush(stdout);
	while (poll(p, 2, -1) >= 0) {
		if (p[0].revents)
			tap_to_stream(p[0].fd, p[1].fd);
		if (p[1].revents)
			stream_to_tap(p[0].fd, p[1].fd);
	}
	fail("poll");
}
