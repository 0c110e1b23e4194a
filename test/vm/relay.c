// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * relay.c - a bad cable between QEMU's stream socket and the daemon's.
 *
 *	relay LISTEN CONNECT LOSS REORDER SEED
 *
 * Takes one connection on the UNIX socket LISTEN, connects to CONNECT, and
 * passes frames (4-byte big-endian length, frame) both ways. Of those with IP
 * in them, LOSS per mille are dropped, and REORDER per mille are held back
 * behind the next three. Prints `ready` first, and at the end, when either side
 * is gone, `frames=N lost=N reordered=N`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BUF	(4 << 20)
#define BEHIND	3

struct way {
	int from, to;
	size_t in_len, out_len, held_len;
	int held_for;			/* frames to pass before it, or 0 */
	uint8_t in[BUF], out[BUF], held[70000];
};

static struct way ways[2];
static unsigned loss, reorder;
static unsigned long frames, lost, reordered;
static uint64_t state;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static unsigned per_mille(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % 1000;
}

static void put(struct way *w, const uint8_t *p, size_t len)
{
	memcpy(w->out + w->out_len, p, len);
	w->out_len += len;
}

static void release(struct way *w)
{
	put(w, w->held, w->held_len);
	w->held_for = 0;
}

static void frame(struct way *w, const uint8_t *p, size_t len)
{
	int ip = len > 18 && ((p[16] == 8 && !p[17]) || p[16] == 0x86);
	unsigned dice = per_mille();

	frames++;
	if (ip && dice < loss) {
		lost++;
		return;
	}
	if (ip && dice < loss + reorder && !w->held_for &&
	    len <= sizeof(w->held)) {
		memcpy(w->held, p, len);
		w->held_len = len;
		w->held_for = BEHIND + 1;
		reordered++;
	} else {
		put(w, p, len);
	}
	if (w->held_for && !--w->held_for)
		release(w);
}

static int way_read(struct way *w)
{
	ssize_t n = recv(w->from, w->in + w->in_len, BUF / 4 - w->in_len,
			 MSG_DONTWAIT);
	size_t off = 0, len;

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -1;
	w->in_len += n;
	while (w->in_len - off >= 4) {
		len = 4 + ntohl(*(uint32_t *)(w->in + off));
		if (w->in_len - off < len)
			break;
		frame(w, w->in + off, len);
		off += len;
	}
	memmove(w->in, w->in + off, w->in_len - off);
	w->in_len -= off;
	return 0;
}

static int way_write(struct way *w)
{
	ssize_t n = send(w->to, w->out, w->out_len,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	memmove(w->out, w->out + n, w->out_len - n);
	w->out_len -= n;
	return 0;
}

/* A frame held back goes out at the latest when nothing else moves */
static int turn(void)
{
	struct pollfd p[2] = { { .fd = ways[0].from }, { .fd = ways[1].from } };
	int i, n;

	for (i = 0; i < 2; i++) {
		if (ways[i].out_len < BUF / 2)
			p[i].events |= POLLIN;
		if (ways[i].out_len)
			p[!i].events |= POLLOUT;
	}
	n = poll(p, 2, 20);
	for (i = 0; i < 2; i++) {
		if (!n && ways[i].held_for)
			release(&ways[i]);
		if (p[i].revents & (POLLIN | POLLHUP) && way_read(&ways[i]))
			return -1;
		if (ways[i].out_len && way_write(&ways[i]))
			return -1;
	}
	return 0;
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	return un;
}

int main(int argc, char **argv)
{
	struct sockaddr_un here, there;
	int l, a, b;

	if (argc != 6)
		return 2;
	here = address(argv[1]);
	there = address(argv[2]);
	loss = atoi(argv[3]);
	reorder = atoi(argv[4]);
	state = strtoull(argv[5], NULL, 0) | 1;
	l = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(l, (void *)&here, sizeof(here)) || listen(l, 1))
		fail(argv[1]);
	printf("ready\n");
	fflush(stdout);
	a = accept(l, NULL, NULL);
	b = socket(AF_UNIX, SOCK_STREAM, 0);
	if (a < 0 || connect(b, (void *)&there, sizeof(there)))
		fail(argv[2]);
	ways[0].from = ways[1].to = a;
	ways[0].to = ways[1].from = b;
	while (!turn())
		;
	printf("frames=%lu lost=%lu reordered=%lu\n", frames, lost, reordered);
	return 0;
}
