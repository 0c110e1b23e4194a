// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_stream: any bytes of a hypervisor on the stream socket, in pieces of any
 * size, with frames both ways
 *
 * The input is a list of records, each begins with a byte:
 *
 *	0x00	bytes as they are: how many (2 bytes, big-endian), bytes
 *	0x01	a frame and its length before it: length (2 bytes), a byte of it
 *	0x02	frames to the guest: how many, room / 256
 *	0x03	the hypervisor reads: how many bytes / 4096
 *
 * After each record the loop turns. Frames received are read to their last byte;
 * what is sent is a row of whole frames, each behind its length. In the end the
 * hypervisor leaves: the guest must have left as often as it came. How many
 * frames there were, both ways, is said in the end.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "link/stream.h"
#include "test/fuzz/link_user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int peer;
/* Of what is sent: bytes of a length that came, bytes of its frame to come */
static unsigned prefix_bytes;
static uint32_t prefix, to_come;

static void on_readable(usec_t t)
{
	(void)t;
	while (read_batch(link_caps()->max_frame))
		continue;
}

static const struct link_events link_user = { on_readable, on_writable, on_up,
					      on_down };

static void check_sent(const uint8_t *p, size_t len)
{
	while (len) {
		if (to_come) {
			size_t n = len < to_come ? len : to_come;

			assert(p[0] == 1 || p[0] == 2);
			assert(p[n - 1] == 1 || p[n - 1] == 2);
			to_come -= (uint32_t)n;
			p += n;
			len -= n;
			continue;
		}
		prefix = prefix << 8 | *p++;
		len--;
		if (++prefix_bytes < 4)
			continue;
		prefix_bytes = 0;
		to_come = prefix;
		prefix = 0;
		assert(to_come >= HLEN && to_come <= link_caps()->max_frame);
	}
}

/* Up to so many bytes; all that there are by and by, where it is a lot */
static void read_some(size_t most)
{
	static uint8_t buf[65536];
	ssize_t n;

	while (most) {
		n = recv(peer, buf, most < sizeof(buf) ? most : sizeof(buf),
			 MSG_DONTWAIT);
		if (n <= 0)
			return;
		check_sent(buf, (size_t)n);
		most -= (size_t)n;
		turn();
	}
}

/* What does not fit into the socket is lost, and the lengths with it */
static void put(const void *p, size_t len)
{
	if (send(peer, p, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

static void put_frame(size_t len, uint8_t byte)
{
	static uint8_t buf[4 + 65536];

	put_be32(buf, (uint32_t)len);
	memset(buf + 4, byte, len);
	put(buf, 4 + len);
}

static void record(struct cur *c)
{
	uint8_t type = cur_u8(c), n;
	size_t len;

	switch (type) {
	case 0:
		len = cur_be16(c);
		len = len < c->left ? len : c->left;
		put(c->p, len);
		cur_take(c, len);
		break;
	case 1:
		len = cur_be16(c);
		put_frame(len, cur_u8(c));
		break;
	case 2:
		n = cur_u8(c);
		send_frames(n, cur_u8(c) * 256u);
		break;
	case 3:
		read_some(cur_u8(c) * 4096u);
		break;
	default:
		break;
	}
	turn();
}

static void setup(void)
{
	struct server_conf c = { -1, -1, false, on_stop };
	static bool done;
	int sv[2];

	if (!done && (loop_init() || timer_init(now) < 0))
		abort();
	if (!done)
		log_init("fuzz", LOG_LEVEL_ERR);
	done = true;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv))
		abort();
	peer = sv[1];
	c.fd = sv[0];
	ups = downs = stops = 0;
	prefix_bytes = prefix = to_come = 0;
	link_init(stream_init(&c), &link_user);
	if (server_start(now))
		abort();
}

/* The sanitizers' own way out does not come by here: there was a finding */
__attribute__((destructor)) static void tell_frames(void)
{
	fprintf(stderr, "%llu frames\n", frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cur c = cur_of(data, size);

	setup();
	while (c.left && !stops)
		record(&c);
	read_some(SIZE_MAX);
	assert(stops || (!prefix_bytes && !to_come));
	close(peer);
	for (unsigned i = 0; i < 3; i++)
		turn();
	assert(stops == 1 && ups == downs);
	link_close();
	return 0;
}
