// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stream: the link over QEMU's UNIX stream socket
 *
 * Each frame is preceded by its length, 4 bytes, big-endian (QEMU's -netdev
 * stream). One client at a time.
 *
 * In: one recv() a wake-up, as much as the socket holds; frames are used where
 * they land, only the part of a frame that ends a batch is ever moved. A length
 * that no frame can have (0 to 13, or more than the caps say) costs that frame
 * alone: count and skip. Beyond STREAM_LENGTH_MAX we cannot be reading lengths
 * any more: the client is closed.
 *
 * Out: one sendmsg() a turn. Loans are cut from an arena, length, header and
 * payload back to back:
 *
 *	  sent     waiting (iovecs)         on loan            free
 *	|------|=====|==|============|----+----+----+----|-------------------|
 *	       ^ tx.iov[first]       ^ tx.end
 *
 * Full frames lie back to back and make one iovec; a frame shorter than its
 * room leaves a gap: a new iovec, or, where the gap is larger than the frame,
 * the frame is moved down. Once all went, the arena is used again from its
 * start, which the cache still holds. What the socket does not take stays;
 * EPOLLOUT is armed only until it went, or to tell the writable event.
 *
 * The client's end is told to the user (down) only from the watch's handler,
 * never inside receive, reserve or flush, whose callers are busy with flows. One
 * that takes no more may have sent something before: that is read first.
 *
 * Copies of ours: none in, none out. State: the client, buffers.
 */
#include "link/stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/nomem.h"
#include "lib/stats.h"

#define STREAM_PREFIX		4
/** Largest frame of ours: the largest IPv4 packet, and Ethernet */
#define STREAM_FRAME_MAX	(65535 + ETH_HLEN_)
/** What QEMU sends at most: its NET_BUFSIZE */
#define STREAM_LENGTH_MAX	(4096 + 65536)

#define STREAM_RX_SIZE		(512 * 1024)
#define STREAM_TX_SIZE		(1024 * 1024)
/** UIO_MAXIOV: what sendmsg() takes */
#define STREAM_TX_IOV		1024
/**
 * Asked for; the kernel doubles it, and cuts it to net.core.wmem_max. More would
 * hold so much for a guest that pauses that TCP takes it for lost.
 */
#define STREAM_SNDBUF		(256 * 1024)
/** Out of memory: how long until the socket is tried again */
#define STREAM_PAUSE		(10 * USEC_PER_MSEC)

_Static_assert(STREAM_RX_SIZE / 2 >= STREAM_PREFIX + STREAM_LENGTH_MAX,
	       "a frame must fit behind what need not be moved");

/**
 * struct stream_client - the client being served
 * @watch:	its watch; .fd -1: there is none
 * @events:	what the watch is armed for
 * @lost:	nothing more can come: to be closed by the handler
 * @deaf:	it takes nothing more
 * @again:	the end of a pause, armed during one: the kernel had no memory
 *		for the socket, and would say so for ever
 * @held:	until then frames wait for each other, while armed
 */
static struct stream_client {
	struct watch watch;
	uint32_t events;
	bool lost;
	bool deaf;
	struct timer again;
	struct timer held;
} client = { .watch.fd = -1 };

/**
 * struct stream_rx - bytes received
 * @start:	first byte not yet handed out
 * @end:	behind the last byte
 * @may_recv:	this wake-up's recv() is still to come
 * @iov:	one per frame of the batch
 * @buf:	the bytes
 */
static struct stream_rx {
	size_t start;
	size_t end;
	bool may_recv;
	struct iovec iov[LINK_BATCH];
	_Alignas(64) uint8_t buf[STREAM_RX_SIZE];
} rx;

/**
 * struct stream_tx - frames to send
 * @iov:	what waits, [first, count)
 * @first:	first one that was not sent wholly
 * @count:	behind the last one; 0: nothing waits
 * @end:	where the next loan begins
 * @stride:	bytes of a frame on loan, prefix included
 * @hlen:	its header's
 * @blocked:	the socket did not take all
 * @wanted:	a loan was refused or cut since
 * @loan:	payload of the frames on loan
 * @arena:	their memory
 */
static struct stream_tx {
	struct iovec iov[STREAM_TX_IOV];
	unsigned first;
	unsigned count;
	size_t end;
	size_t stride;
	size_t hlen;
	bool blocked;
	bool wanted;
	struct iovec loan[LINK_BATCH];
	_Alignas(64) uint8_t arena[STREAM_TX_SIZE];
} tx;

/* Have the handler called, which closes the client */
static void stream_give_up(void)
{
	client.lost = true;
	shutdown(client.watch.fd, SHUT_RDWR);
}

/* Have the handler called, which reads what is left and closes the client */
static void stream_hang_up(void)
{
	client.deaf = true;
	shutdown(client.watch.fd, SHUT_RDWR);
	tx.first = tx.count = 0;
	tx.end = 0;
	tx.blocked = tx.wanted = false;
}

static void stream_arm(void)
{
	uint32_t events = EPOLLRDHUP;

	if (!timer_armed(&client.held))
		events |= EPOLLIN;
	if (tx.blocked || tx.wanted)
		events |= EPOLLOUT;
	if (timer_armed(&client.again))
		events = 0;
	if (events == client.events || client.watch.fd < 0)
		return;
	client.events = events;
	if (loop_mod(&client.watch, events))
		stream_give_up();
}

static void stream_go_on(struct timer *t, usec_t now)
{
	(void)t;
	(void)now;
	stream_arm();
}

/* The kernel has no memory just now: nothing was received or sent */
static bool stream_pause(int error)
{
	if (!nomem(error))
		return false;
	warn_limited("The client's socket has to wait: %s", strerror(error));
	timer_arm(&client.again, clock_now() + STREAM_PAUSE);
	return true;
}

/* Whole frames that were received */
static unsigned stream_take(struct frame *frames, unsigned max)
{
	unsigned n = 0;

	while (n < max && rx.end - rx.start >= STREAM_PREFIX) {
		uint8_t *p = rx.buf + rx.start + STREAM_PREFIX;
		size_t len = get_be32(rx.buf + rx.start);

		if (len > STREAM_LENGTH_MAX) {
			drop(DROP_LENGTH);
			warn("Client sent an impossible frame length: closed");
			stream_give_up();
			break;
		}
		if (rx.end - rx.start - STREAM_PREFIX < len)
			break;
		rx.start += STREAM_PREFIX + len;
		if (len < ETH_HLEN_ || len > STREAM_FRAME_MAX) {
			drop(DROP_LENGTH);
			continue;
		}
		rx.iov[n] = (struct iovec){ p, len };
		/* csum_ok true would save 30 ms of CPU a GiB (AVX2) */
		frames[n] = (struct frame){ .iov = &rx.iov[n], .cnt = 1,
					    .len = len, .csum_ok = false };
		n++;
	}
	return n;
}

/* Room for the next recv(); the batch before was released */
static void stream_make_room(void)
{
	size_t left = rx.end - rx.start;

	if (left && STREAM_RX_SIZE - rx.end >= STREAM_RX_SIZE / 2)
		return;
	memmove(rx.buf, rx.buf + rx.start, left);
	rx.start = 0;
	rx.end = left;
}

static unsigned stream_receive(struct frame *frames, unsigned max)
{
	unsigned n;
	ssize_t got;

	if (client.lost)
		return 0;
	n = stream_take(frames, max < LINK_BATCH ? max : LINK_BATCH);
	if (n || !rx.may_recv || client.lost)
		return n;
	rx.may_recv = false;
	stream_make_room();
	got = recv(client.watch.fd, rx.buf + rx.end, STREAM_RX_SIZE - rx.end,
		   MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR ||
			stream_pause(errno)))
		return 0;
	if (got <= 0) {
		client.lost = true;
		return 0;
	}
	rx.end += (size_t)got;
	return stream_take(frames, max < LINK_BATCH ? max : LINK_BATCH);
}

/* Frames stay where they are until the next recv() */
static void stream_release(void)
{
}

/* The turn's stream_flush() sees to it that frames are told of again */
static void stream_hold(usec_t until)
{
	if (until)
		timer_arm(&client.held, until);
	else
		timer_cancel(&client.held);
}

static bool stream_has_frame(void)
{
	size_t left = rx.end - rx.start;

	return left >= STREAM_PREFIX &&
	       left - STREAM_PREFIX >= get_be32(rx.buf + rx.start);
}

/* How many of @n frames fit */
static unsigned stream_fit(unsigned n)
{
	size_t fit = (STREAM_TX_SIZE - tx.end) / tx.stride;

	if (fit > STREAM_TX_IOV - tx.count)
		fit = STREAM_TX_IOV - tx.count;
	return fit < n ? (unsigned)fit : n;
}

/* Forget what went out of what waits */
static void stream_sent(size_t len)
{
	while (len) {
		struct iovec *v = &tx.iov[tx.first];

		if (len < v->iov_len) {
			v->iov_base = (uint8_t *)v->iov_base + len;
			v->iov_len -= len;
			return;
		}
		len -= v->iov_len;
		tx.first++;
	}
	if (tx.first == tx.count)
		tx.first = tx.count = tx.end = 0;
}

/* One sendmsg() of all that waits, if the socket may take some */
static void stream_push(void)
{
	struct msghdr msg = { .msg_iov = tx.iov + tx.first,
			      .msg_iovlen = tx.count - tx.first };
	ssize_t n;

	if (!tx.count || tx.blocked || client.lost)
		return;
	do {
		n = sendmsg(client.watch.fd, &msg,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN && !stream_pause(errno)) {
		stream_hang_up();
		return;
	}
	if (n > 0)
		stream_sent((size_t)n);
	tx.blocked = tx.count;
}

static void stream_flush(void)
{
	if (client.watch.fd < 0)
		return;
	stream_push();
	stream_arm();
}

static unsigned stream_reserve(struct loan *loans, unsigned n, size_t hlen,
			       size_t room)
{
	unsigned lent;

	if (client.watch.fd < 0 || client.lost || client.deaf)
		return 0;
	tx.hlen = hlen;
	tx.stride = STREAM_PREFIX + hlen + room;
	lent = stream_fit(n);
	if (lent < n) {
		stream_push();
		if (client.deaf)
			return 0;
		lent = stream_fit(n);
		tx.wanted |= lent < n;
	}
	for (unsigned i = 0; i < lent; i++) {
		uint8_t *p = tx.arena + tx.end + i * tx.stride + STREAM_PREFIX;

		tx.loan[i] = (struct iovec){ p + hlen, room };
		loans[i] = (struct loan){ .hdr = p, .iov = &tx.loan[i],
					  .cnt = 1 };
	}
	return lent;
}

/* Whether bytes at @p go on where the last iovec ends */
static bool stream_adjoins(const uint8_t *p)
{
	const struct iovec *v = tx.iov + tx.count;

	return tx.count > tx.first &&
	       (uint8_t *)v[-1].iov_base + v[-1].iov_len == p;
}

static void stream_queue(uint8_t *p, size_t len)
{
	if (stream_adjoins(p))
		tx.iov[tx.count - 1].iov_len += len;
	else
		tx.iov[tx.count++] = (struct iovec){ p, len };
	tx.end = (size_t)(p - tx.arena) + len;
}

static void stream_commit(struct loan *loans, unsigned n)
{
	uint8_t *p = tx.arena + tx.end;

	for (unsigned i = 0; i < n; i++, p += tx.stride) {
		size_t len = tx.hlen + loans[i].len;
		size_t gap = (size_t)(p - (tx.arena + tx.end));
		uint8_t *to = p;

		put_be32(p, (uint32_t)len);
		len += STREAM_PREFIX;
		if (gap >= len)
			to = memcpy(p - gap, p, len);
		stream_queue(to, len);
	}
}

static const struct link_caps *stream_caps(void)
{
	static const struct link_caps caps = { .max_frame = STREAM_FRAME_MAX };

	return &caps;
}

static void stream_close(void)
{
	if (client.watch.fd >= 0)
		close(client.watch.fd);
	client.watch.fd = -1;
	timer_cancel(&client.again);
	timer_cancel(&client.held);
	server_close();
}

static const struct link_ops stream_ops = {
	.name = "stream",
	.receive = stream_receive,
	.release = stream_release,
	.hold = stream_hold,
	.reserve = stream_reserve,
	.commit = stream_commit,
	.flush = stream_flush,
	.caps = stream_caps,
	.close = stream_close,
};

static void stream_forget(void)
{
	rx.start = rx.end = 0;
	tx.first = tx.count = 0;
	tx.end = 0;
	tx.blocked = tx.wanted = false;
	client.lost = client.deaf = false;
	timer_cancel(&client.again);
	timer_cancel(&client.held);
}

static void stream_leave(usec_t now)
{
	loop_del(&client.watch);
	close(client.watch.fd);
	client.watch.fd = -1;
	stream_forget();
	link_events()->down(now);
	server_client_left();
}

static void stream_on_client(struct watch *w, uint32_t events, usec_t now)
{
	(void)w;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		server_client_leaving();
	if (events & EPOLLOUT) {
		tx.blocked = false;
		stream_push();
	}
	if (!tx.blocked && tx.wanted && !client.lost) {
		tx.wanted = false;
		link_events()->writable(now);
	}
	if (events & ~(uint32_t)EPOLLOUT) {
		rx.may_recv = true;
		do {
			link_events()->readable(now);
		} while (!client.lost && stream_has_frame());
	}
	if (client.lost)
		stream_leave(now);
	else
		stream_arm();
}

static int stream_serve(int fd, usec_t now)
{
	int size = STREAM_SNDBUF, rc;

	/* has no bearing on what works: may fail */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	stream_forget();
	client.watch = (struct watch){ .fn = stream_on_client, .fd = fd };
	client.again.fn = client.held.fn = stream_go_on;
	client.events = EPOLLIN | EPOLLRDHUP;
	rc = loop_add(&client.watch, client.events);
	if (rc) {
		client.watch.fd = -1;
		return rc;
	}
	info("Client connected");
	link_events()->up(now);
	return 0;
}

/**
 * stream_init() - Set the link up; nothing happens until server_start()
 * @c:		where clients come from, copied
 *
 * Return: the transport, for link_init()
 */
const struct link_ops *stream_init(const struct server_conf *c)
{
	client.watch.fd = -1;
	stream_forget();
	server_init(c, stream_serve);
	return &stream_ops;
}
