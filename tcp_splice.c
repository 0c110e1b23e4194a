// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcp_splice: TCP connections from socket to socket, past the link
 *
 *	client                    daemon                    server
 *	connect() --> accept() --> CONNECTING -- connect() -->
 *	                               |  refused: RST to the client
 *	                               v
 *	       <--- RST ------------ OPEN -- RST either way: RST the other way --->
 *	       <--- FIN ---            |   --- FIN, each way for itself --->
 *	                               v
 *	                     FIN passed on both ways: close()
 *
 * Two ways for data through the daemon, each direction for itself:
 *
 *	copy	recv() and send(): least latency for short messages. What send()
 *		does not take waits in a pipe. Without a pipe it is peeked at, and
 *		consumed as far as it was sent.
 *	splice	splice(2) to a pipe and on from there, no copies, from the first
 *		full buffer on until there is less to move.
 *
 * A direction holds a pipe only while there is something in it, and reads
 * nothing more until that is empty; so one that is stalled by a slow reader
 * holds back its sender by the kernel's own windows. What a socket has taken
 * is the kernel's to deliver: connections whose data is finished are closed,
 * all others reset.
 *
 * Sockets are watched edge-triggered, both directions' state is kept here: a
 * side is readable until a read finds nothing, writable until a write does. A
 * socket that takes nothing although all it had has arrived lacks memory: no
 * acknowledgement will make room and be the next edge, so it is tried again
 * after a while.
 *
 * State: the buffer for copies; empty between calls.
 */
#include "tcp_splice.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd.h"
#include "fwd_listen.h"
#include "fwd_socket.h"
#include "host/nssock.h"
#include "host/tcpinfo.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/nomem.h"
#include "lib/pipes.h"
#include "lib/slow.h"
#include "lib/stats.h"
#include "lib/timer.h"

#define SPLICE_EVENTS	(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET)
/** Events after which there may be more to read than a short read tells */
#define SPLICE_LASTING	(EPOLLRDHUP | EPOLLPRI | EPOLLHUP | EPOLLERR)
/** Copied at a time, bytes; a pipe takes what of it is left over */
#define SPLICE_COPY	(32 * 1024)
/** Moved at a time by splice(2), bytes; the pipe may take less */
#define SPLICE_MOST	(1024 * 1024)
/** Less than that at a time is copied from then on */
#define SPLICE_LEAST	(16 * 1024)
/**
 * Buffers of a socket whose peer is on this machine, once there is bulk data,
 * bytes as setsockopt() counts. What waits in larger ones falls out of the
 * caches: at what the kernel grows them to, the reader takes nearly twice as
 * long for a byte. More is not allowed by default (net.core.rmem_max).
 */
#define SPLICE_BUFFER	(208 * 1024)
/** Reads that throw data away before a peer that sends for ever is reset */
#define SPLICE_DISCARDS	8
/** Moved in one direction before others get their turn, bytes */
#define SPLICE_TURN	(2 * 1024 * 1024)
/** How long a socket is let alone for which there was no memory */
#define SPLICE_RETRY	(20 * USEC_PER_MSEC)

/**
 * struct tcp_splice_side - a socket, and the direction that begins at it
 * @watch:	the socket
 * @pipe:	what holds @pending
 * @pending:	bytes read here and not written at the other side yet
 * @segs_in:	segments that had come from the peer by the last inactivity sweep
 * @readable:	may have something to read, or an end of data
 * @writable:	may take something
 * @lasting:	a short read does not mean that there is no more
 * @local:	the peer is on this machine
 * @bulk:	splice(2) rather than copy
 * @sized:	buffers were set for bulk data
 * @eof:	the peer's data has ended
 * @shut:	and the other side was told
 * @lost:	something read here could not be passed on, so nothing more is
 * @starved:	no memory for what was to be written here
 */
struct tcp_splice_side {
	struct watch watch;
	struct pipe_ends pipe;
	uint32_t pending;
	uint32_t segs_in;
	bool readable;
	bool writable;
	bool lasting;
	bool local;
	bool bulk;
	bool sized;
	bool eof;
	bool shut;
	bool lost;
	bool starved;
};

/**
 * struct tcp_splice - a connection; lives in its flow's room
 * @side:	the client's [INI] and the server's [TGT]
 * @timer:	tries again to write to sides that are starved
 * @connecting:	connect() to the server is under way
 * @broken:	one socket has failed, the other will be reset
 * @inactive:	no byte has moved since the last inactivity sweep
 */
struct tcp_splice {
	struct tcp_splice_side side[2];
	struct timer timer;
	bool connecting;
	bool broken;
	bool inactive;
};

static_assert(sizeof(struct tcp_splice) <= FLOW_ROOM, "fits a flow");
static_assert(SPLICE_COPY <= PIPES_BYTES, "what was copied fits a pipe");

static uint8_t tcp_splice_buffer[SPLICE_COPY];

static void tcp_splice_close(int fd, bool reset)
{
	static const struct linger now = { .l_onoff = 1 };

	if (reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* close() with unread data would reset, and what was sent be lost */
static void tcp_splice_discard(int fd)
{
	for (unsigned i = 0; i < SPLICE_DISCARDS; i++) {
		if (recv(fd, NULL, 1 << 30, MSG_TRUNC) <= 0)
			return;
	}
}

/* A side whose data, coming from the other one, has all been told */
static bool tcp_splice_done(const struct tcp_splice *s, unsigned side)
{
	return s->side[!side].shut;
}

/*
 * The connection is over: sockets that have all there was are closed, and the
 * kernel delivers the rest; others are reset
 */
static void tcp_splice_end(struct tcp_splice *s, const char *why)
{
	char text[5 * ADDR_STRLEN];

	if (log_enabled(LOG_LEVEL_DEBUG))
		debug("%s: %s",
		      flow_text(flow_of(s), text, sizeof(text)), why);
	timer_cancel(&s->timer);
	for (unsigned i = INI; i <= TGT; i++) {
		struct tcp_splice_side *side = &s->side[i];

		if (side->pending)
			pipes_drop(&side->pipe);
		side->pending = 0;
		loop_del(&side->watch);
		if (tcp_splice_done(s, i) && !side->eof)
			tcp_splice_discard(side->watch.fd);
		tcp_splice_close(side->watch.fd, !tcp_splice_done(s, i));
		side->watch.fd = -1;
	}
	flow_end(flow_of(s));
}

static void tcp_splice_reset(struct tcp_splice *s, const char *why)
{
	s->side[INI].shut = s->side[TGT].shut = false;
	tcp_splice_end(s, why);
}

/* What a read has told of its socket. Return: @n, or 0 where nothing came */
static ssize_t tcp_splice_was_read(struct tcp_splice_side *from, ssize_t n)
{
	if (!n)
		from->eof = true;
	if (n > 0)
		return n;
	if (n < 0 && errno == EINTR)
		return 0;
	if (n < 0 && errno != EAGAIN)
		return -errno;
	from->readable = false;
	return 0;
}

/* Errors of a write, or of splice(2), that are of the moment */
static bool tcp_splice_passes(int error)
{
	return error == EAGAIN || error == EINTR || nomem(error);
}

/* Not all was taken, or nothing */
static void tcp_splice_was_full(struct tcp_splice_side *to, int error)
{
	int queued = 1;

	to->writable = false;
	/* Else there are acknowledgements to come, of a socket that was full */
	ioctl(to->watch.fd, SIOCOUTQ, &queued);
	to->starved = !queued || nomem(error);
}

/* From the pipe to the socket. Return: bytes, or a negative error code */
static ssize_t tcp_splice_drain(struct tcp_splice_side *from,
				struct tcp_splice_side *to)
{
	ssize_t n = splice(from->pipe.rd, NULL, to->watch.fd, NULL,
			   from->pending, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n <= 0) {
		if (n < 0 && !tcp_splice_passes(errno))
			return -errno;
		tcp_splice_was_full(to, n < 0 ? errno : 0);
		return 0;
	}
	from->pending -= (uint32_t)n;
	if (!from->pending)
		pipes_give(&from->pipe);
	return n;
}

/*
 * From the socket to an empty pipe. Return: 0, or a negative error code; bytes
 * count as they leave the pipe
 */
static ssize_t tcp_splice_fill(struct tcp_splice_side *from, bool *dry)
{
	ssize_t n;

	if (!pipes_take(&from->pipe)) {
		from->bulk = false;
		return 0;
	}
	n = splice(from->watch.fd, NULL, from->pipe.wr, NULL, SPLICE_MOST,
		   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		from->pending = (uint32_t)n;
		from->bulk = n >= SPLICE_LEAST;
		return 0;
	}
	pipes_give(&from->pipe);
	/*
	 * An urgent byte stops splice(2), and want of memory, but not recv():
	 * it alone tells an end of data from these
	 */
	*dry = !n || tcp_splice_passes(errno);
	return *dry ? 0 : tcp_splice_was_read(from, n);
}

/* What send() left over. Return: 0, or a negative error code */
static int tcp_splice_spill(struct tcp_splice_side *from, size_t off, size_t n)
{
	ssize_t written;

	if (!pipes_take(&from->pipe))
		return -ENOBUFS;
	written = write(from->pipe.wr, tcp_splice_buffer + off, n - off);
	if (written != (ssize_t)(n - off)) {
		pipes_drop(&from->pipe);
		return -ENOBUFS;
	}
	from->pending = (uint32_t)written;
	return 0;
}

/* As much as one copy takes: there is likely more */
static void tcp_splice_bulk(struct tcp_splice_side *from,
			    struct tcp_splice_side *to)
{
	static const int size = SPLICE_BUFFER;

	from->bulk = true;
	if (from->sized)
		return;
	from->sized = true;
	/* For speed only */
	if (from->local)
		setsockopt(from->watch.fd, SOL_SOCKET, SO_RCVBUF, &size,
			   sizeof(size));
	if (to->local)
		setsockopt(to->watch.fd, SOL_SOCKET, SO_SNDBUF, &size,
			   sizeof(size));
}

/*
 * What was read or, without a pipe at hand, peeked at.
 * Return: bytes sent, or a negative error code: it is out of step
 */
static ssize_t tcp_splice_pass(struct tcp_splice_side *from,
			       struct tcp_splice_side *to, size_t n, bool spare)
{
	ssize_t sent = send(to->watch.fd, tcp_splice_buffer, n, MSG_NOSIGNAL);
	int rc = 0;

	if (sent < 0 && !tcp_splice_passes(errno))
		return -errno;
	if (sent < (ssize_t)n)
		tcp_splice_was_full(to, sent < 0 ? errno : 0);
	else if (n < SPLICE_COPY && !from->lasting)
		from->readable = false;
	if (sent < 0)
		sent = 0;
	if (spare && sent < (ssize_t)n)
		rc = tcp_splice_spill(from, (size_t)sent, n);
	else if (!spare && recv(from->watch.fd, NULL, (size_t)sent,
				MSG_TRUNC) != sent)
		rc = -EIO;
	return rc ? rc : sent;
}

/* Return: bytes sent, or a negative error code */
static ssize_t tcp_splice_copy(struct tcp_splice_side *from,
			       struct tcp_splice_side *to)
{
	bool spare = pipes_ready();
	ssize_t n = recv(from->watch.fd, tcp_splice_buffer, SPLICE_COPY,
			 spare ? 0 : MSG_PEEK);

	n = tcp_splice_was_read(from, n);
	if (n <= 0)
		return n;
	if (spare && n == SPLICE_COPY)
		tcp_splice_bulk(from, to);
	n = tcp_splice_pass(from, to, (size_t)n, spare);
	from->lost = n < 0;
	return n;
}

/* Something is left for later: the edge of the socket that takes it comes anew */
static void tcp_splice_postpone(struct tcp_splice_side *to)
{
	loop_mod(&to->watch, SPLICE_EVENTS);
}

/*
 * Move what there is from one side to the other.
 * Return: 0, or a negative error code: the connection is broken
 */
static int tcp_splice_move(struct tcp_splice *s, unsigned side)
{
	struct tcp_splice_side *from = &s->side[side], *to = &s->side[!side];
	size_t moved = 0;
	bool dry = false;

	while (to->writable && !from->lost &&
	       (from->pending || (from->readable && !from->eof))) {
		ssize_t n;

		if (moved >= SPLICE_TURN) {
			tcp_splice_postpone(to);
			break;
		}
		if (from->pending)
			n = tcp_splice_drain(from, to);
		else if (from->bulk && !dry)
			n = tcp_splice_fill(from, &dry);
		else
			n = tcp_splice_copy(from, to);
		if (n < 0)
			return (int)n;
		moved += (size_t)n;
	}
	if (moved)
		s->inactive = false;
	if (!from->eof || from->pending || from->shut || s->broken)
		return 0;
	from->shut = true;
	return shutdown(to->watch.fd, SHUT_WR) ? -errno : 0;
}

/*
 * What had come before the failure is passed on as far as it is taken at once,
 * then the other side is reset, too. An error is told once, and a read after it
 * looks like an end of data: that is not passed on any more.
 */
static void tcp_splice_fail(struct tcp_splice *s)
{
	s->broken = true;
	/* the failure may be here before the event of the data is */
	s->side[INI].readable = s->side[TGT].readable = true;
	tcp_splice_move(s, INI);
	tcp_splice_move(s, TGT);
	tcp_splice_reset(s, "reset");
}

/* Move both ways, and see what is left of the connection */
static void tcp_splice_settle(struct tcp_splice *s, usec_t now)
{
	if (tcp_splice_move(s, INI) < 0 || tcp_splice_move(s, TGT) < 0)
		tcp_splice_fail(s);
	else if (s->side[INI].shut && s->side[TGT].shut)
		tcp_splice_end(s, "closed");
	else if ((s->side[INI].starved || s->side[TGT].starved) &&
		 !timer_armed(&s->timer))
		timer_arm(&s->timer, now + SPLICE_RETRY);
}

static void tcp_splice_on_timer(struct timer *t, usec_t now)
{
	struct tcp_splice *s = (struct tcp_splice *)
		((uint8_t *)t - offsetof(struct tcp_splice, timer));

	for (unsigned i = INI; i <= TGT; i++) {
		s->side[i].writable |= s->side[i].starved;
		s->side[i].starved = false;
	}
	tcp_splice_settle(s, now);
}

/* The server has answered, unless that was the socket itself */
static void tcp_splice_connected(struct tcp_splice *s)
{
	const struct flow_side *to = &flow_of(s)->side[TGT];
	const struct endpoint peer = { to->remote, to->rport, to->ifindex };

	s->connecting = false;
	if (tcpinfo_is_self(s->side[TGT].watch.fd, &peer))
		tcp_splice_reset(s, "nobody listens there");
}

static void tcp_splice_event(struct tcp_splice *s, unsigned side,
			     uint32_t events, usec_t now)
{
	struct tcp_splice_side *at = &s->side[side];

	if (events & (EPOLLIN | SPLICE_LASTING))
		at->readable = true;
	if (events & SPLICE_LASTING)
		at->lasting = true;
	if (events & EPOLLOUT)
		at->writable = true;
	if (events & EPOLLERR) {
		if (s->connecting)
			tcp_splice_reset(s, side == TGT ? "connect() failed" :
							  "client left");
		else
			tcp_splice_fail(s);
		return;
	}
	if (s->connecting && side == TGT && events & EPOLLOUT)
		tcp_splice_connected(s);
	if (!s->connecting && at->watch.fd >= 0)
		tcp_splice_settle(s, now);
}

static void tcp_splice_at_ini(struct watch *w, uint32_t events, usec_t now)
{
	uint8_t *side = (uint8_t *)w - offsetof(struct tcp_splice_side, watch);

	tcp_splice_event((void *)(side - offsetof(struct tcp_splice, side)),
			 INI, events, now);
}

static void tcp_splice_at_tgt(struct watch *w, uint32_t events, usec_t now)
{
	uint8_t *side = (uint8_t *)w - offsetof(struct tcp_splice_side, watch) -
			sizeof(struct tcp_splice_side);

	tcp_splice_event((void *)(side - offsetof(struct tcp_splice, side)),
			 TGT, events, now);
}

static void tcp_splice_options(int fd)
{
	static const int on = 1;

	/* Neither can fail on a TCP socket; an urgent byte is one of the data */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

/* A socket with connect() under way, or a negative error code */
static int tcp_splice_connect(const struct flow_side *to, usec_t now)
{
	const struct endpoint e = { to->remote, to->rport, to->ifindex };
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int fd = fwd_socket_open(IPPROTO_TCP, to), error;
	usec_t start;

	if (fd < 0) {
		warn_limited("no socket for a connection past the link: %s",
			     strerror(-fd));
		return fd;
	}
	tcp_splice_options(fd);
	/* Searches for a port where most lead to that server already */
	start = slow_clock();
	error = connect(fd, &sa.sa, len) ? errno : 0;
	slow_done(now, start);
	if (!error || error == EINPROGRESS)
		return fd;
	close(fd);
	return -error;
}

/* Return: 0, or a negative error code, and neither is watched */
static int tcp_splice_watch(struct tcp_splice *s)
{
	int rc = loop_add(&s->side[INI].watch, SPLICE_EVENTS);

	if (rc)
		return rc;
	rc = loop_add(&s->side[TGT].watch, SPLICE_EVENTS);
	if (rc)
		loop_del(&s->side[INI].watch);
	return rc;
}

static int tcp_splice_start(int client, const struct flow_side *from,
			    const struct flow_side *to, usec_t now)
{
	struct flow *f;
	struct tcp_splice *s;
	int server = tcp_splice_connect(to, now), rc;

	if (server < 0)
		return server;
	f = flow_new(FLOW_TCP_SPLICE, IPPROTO_TCP);
	if (!f) {
		close(server);
		return -ENOSPC;
	}
	f->side[INI] = *from;
	f->side[TGT] = *to;
	s = flow_as(f, struct tcp_splice);
	s->timer.fn = tcp_splice_on_timer;
	s->connecting = true;
	s->side[INI].local = true;
	s->side[TGT].local = to->place == FLOW_AT_NS ||
			     addr_is_loopback(&to->remote);
	s->side[INI].watch = (struct watch){ tcp_splice_at_ini, client };
	s->side[TGT].watch = (struct watch){ tcp_splice_at_tgt, server };
	rc = tcp_splice_watch(s);
	if (rc) {
		close(server);
		flow_end(f);
		return rc;
	}
	flow_hash(f, INI);
	fwd_listen_note(f, server);
	stat_add(STAT_TCP_OPENED, 1);
	return 0;
}

/*
 * Whether a client has been reset already: as is one of our own that stands for
 * another, when that has left. On the way to another port of ours, it would be
 * forgotten before it came by there again, and chase itself round a circle.
 */
static bool tcp_splice_has_left(int fd, const struct flow_side *from,
				const struct flow_side *to)
{
	uint8_t state = TCP_ESTABLISHED;
	socklen_t len = sizeof(state);
	struct flow *f;

	if (!fwd_listen_leads_on(IPPROTO_TCP, to))
		return false;
	f = fwd_listen_origin(IPPROTO_TCP, from);
	if (f)
		fd = flow_as(f, struct tcp_splice)->side[INI].watch.fd;
	/* The first byte of struct tcp_info, tcp(7) */
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len);
	return state == TCP_CLOSE;
}

/**
 * tcp_splice_open() - Join an accepted connection with one to a server
 * @fd:		the client's connection, owned from here on
 * @from:	the client's side
 * @to:		the server's, from fwd_splice()
 * @now:	turn's time, usec
 *
 * Where that cannot be, now or later, the client is reset.
 */
void tcp_splice_open(int fd, const struct flow_side *from,
		     const struct flow_side *to, usec_t now)
{
	int rc;

	tcp_splice_options(fd);
	if (fwd_listen_is_circle(IPPROTO_TCP, from) ||
	    tcp_splice_has_left(fd, from, to))
		rc = -ECONNREFUSED;
	else
		rc = tcp_splice_start(fd, from, to, now);
	if (!rc)
		return;
	drop(rc == -ENOSPC ? DROP_TABLE_FULL : DROP_NO_SOCKET);
	debug("connection past the link: %s", strerror(-rc));
	tcp_splice_close(fd, true);
}

/* Whether a peer was heard of since the sweep before: by keepalives, say */
static bool tcp_splice_heard(struct tcp_splice_side *side)
{
	uint32_t before = side->segs_in;

	return !tcpinfo_segs_in(side->watch.fd, &side->segs_in) &&
	       side->segs_in != before;
}

/*
 * Whether either peer was. A client that asks is to hear of its server, which we
 * answer for: we ask it, too, unless it is on this machine, and cannot be lost.
 */
static bool tcp_splice_kept(struct tcp_splice *s)
{
	static const int on = 1;
	bool client = tcp_splice_heard(&s->side[INI]);
	bool server = tcp_splice_heard(&s->side[TGT]);

	if (client && s->inactive && !s->side[TGT].local)
		setsockopt(s->side[TGT].watch.fd, SOL_SOCKET, SO_KEEPALIVE, &on,
			   sizeof(on));
	return client || server;
}

/**
 * tcp_splice_inactivity() - One step of the inactivity sweep
 * @f:		flow of type FLOW_TCP_SPLICE
 * @now:	turn's time, usec
 *
 * Reset where no byte has moved since the sweep before, nor anything been heard
 * of either peer.
 */
void tcp_splice_inactivity(struct flow *f, usec_t now)
{
	struct tcp_splice *s = flow_as(f, struct tcp_splice);

	(void)now;
	if (!tcp_splice_kept(s) && s->inactive)
		tcp_splice_reset(s, "no activity, reset");
	else
		s->inactive = true;
}

/* The guest went away, or the daemon does: what is here is passed on first */
static void tcp_splice_stop(struct flow *f, usec_t now)
{
	struct tcp_splice *s = flow_as(f, struct tcp_splice);

	(void)now;
	s->side[INI].readable = s->side[TGT].readable = true;
	if (!s->connecting &&
	    (tcp_splice_move(s, INI) < 0 || tcp_splice_move(s, TGT) < 0))
		tcp_splice_fail(s);
	else
		tcp_splice_end(s, "ended");
}

/**
 * tcp_splice_init() - Answer for the flows of this type
 */
void tcp_splice_init(void)
{
	static const struct flow_ops ops = {
		.name = "TCP (spliced)",
		.guest_left = tcp_splice_stop,
		.stop = tcp_splice_stop,
	};

	flow_register(FLOW_TCP_SPLICE, &ops);
	if (nssock_available())
		pipes_init();
}
