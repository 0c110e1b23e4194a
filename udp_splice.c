// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * udp_splice: UDP conversations from socket to socket, past the link
 *
 *	client --> listening socket --> lookup --> flow's socket --> server
 *	client <-- listening socket <------------- flow's socket <-- server
 *	           (from the address that
 *	           the client sent to)
 *
 * A client is known by its address and port, and what it sent to. Its flow has
 * one socket, connected to the server. All clients of a port speak to the
 * listening socket, and are answered from it: so a port that is listened on no
 * more is free at once, and no port is bound that takes privileges. Where the
 * listener is gone, the flow ends with the next answer.
 *
 *	first datagram --> LIVE -- none for the timeout, guest left --> end
 *
 * Timeouts are those of udp_flow.c, and clients on the host give way as there. A
 * server that refuses is asked again with the next datagram; the client cannot be
 * told, as it is by the kernel where no daemon is between. What does not fit a
 * socket is dropped, and counted.
 *
 * State: the datagrams of one flow that wait to be sent; none between events.
 */
#include "udp_splice.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd.h"
#include "fwd_socket.h"
#include "fwd_udp.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/nomem.h"
#include "lib/slow.h"
#include "lib/stats.h"
#include "udp_conv.h"
#include "udp_out.h"
#include "udp_send.h"

/** Datagrams a call */
#define UDP_SPLICE_BATCH	64

/**
 * struct udp_splice - what is kept of a conversation, in flow.room
 * @watch:	socket connected to the server
 * @timer:	its end; armed lazily: looks at @last when it fires
 * @last:	when a datagram last went either way
 * @listener:	what the client sent to; see udp_send_is_there()
 * @replied:	the server has spoken, too
 * @heard:	and since the timer was last due
 * @paused:	the socket is not watched until the timer fires
 * @stranded:	nothing can be sent any more: ends when the timer fires
 */
struct udp_splice {
	struct watch watch;
	struct timer timer;
	usec_t last;
	const struct fwd_listener *listener;
	bool replied;
	bool heard;
	bool paused;
	bool stranded;
};

static_assert(sizeof(struct udp_splice) <= FLOW_ROOM, "fits an entry");

/* Datagrams to be sent */
static struct {
	struct mmsghdr msg[UDP_SPLICE_BATCH];
	struct iovec iov[UDP_SPLICE_BATCH];
	unsigned count;
	struct flow *flow;
} batch;

/* Where answers are received, set up once */
static struct {
	struct mmsghdr msg[UDP_SPLICE_BATCH];
	struct iovec iov[UDP_SPLICE_BATCH];
} answers;

static struct udp_splice *udp_splice_of(struct flow *f)
{
	return flow_as(f, struct udp_splice);
}

static usec_t udp_splice_timeout(struct flow *f)
{
	if (!udp_splice_of(f)->replied)
		return UDP_UNREPLIED;
	return f->side[TGT].rport == UDP_DNS_PORT ? UDP_DNS : UDP_STREAM;
}

/*
 * The address that the socket speaks from is gone, and with it most likely the
 * server's, the namespace's as well: what comes next goes by another flow
 */
static void udp_splice_strand(struct udp_splice *u)
{
	u->stranded = true;
	timer_arm(&u->timer, 0);
}

/**
 * udp_splice_flush() - Send what udp_splice_take() took
 *
 * To be called before the buffers are used again.
 */
void udp_splice_flush(void)
{
	if (batch.count) {
		struct udp_splice *u = udp_splice_of(batch.flow);
		int error = udp_send(u->watch.fd, batch.msg, batch.count);

		if (fwd_socket_is_stranded(-error))
			udp_splice_strand(u);
	}
	batch.count = 0;
	batch.flow = NULL;
}

static void udp_splice_queue(struct flow *f, const struct iovec *data)
{
	if (batch.flow != f || batch.count == UDP_SPLICE_BATCH)
		udp_splice_flush();
	batch.flow = f;
	batch.iov[batch.count] = *data;
	batch.msg[batch.count].msg_hdr = (struct msghdr){
		.msg_iov = &batch.iov[batch.count], .msg_iovlen = 1,
	};
	batch.count++;
}

static void udp_splice_close(struct flow *f, usec_t now)
{
	struct udp_splice *u = udp_splice_of(f);

	(void)now;
	timer_cancel(&u->timer);
	loop_del(&u->watch);
	close(u->watch.fd);
	fwd_udp_lead_end(&f->side[TGT]);
	flow_end(f);
}

/* Nobody answers where it leads, and the rule leads elsewhere by now: udp_flow.c */
static bool udp_splice_is_astray(struct flow *f)
{
	const struct udp_splice *u = udp_splice_of(f);
	const struct flow_side *from = &f->side[INI];
	const struct fwd_listener *l = u->listener;
	struct flow_side to;

	if (u->heard || u->paused || !udp_send_is_there(l, from))
		return false;
	return !fwd_splice(l->way, fwd_listen_rule(l), from, &to) ||
	       !addr_equal(&to.remote, &f->side[TGT].remote);
}

static void udp_splice_on_timer(struct timer *t, usec_t now)
{
	struct udp_splice *u = (struct udp_splice *)
		((uint8_t *)t - offsetof(struct udp_splice, timer));
	usec_t due = u->last + udp_splice_timeout(flow_of(u));

	if (now >= due || u->stranded || udp_splice_is_astray(flow_of(u))) {
		udp_splice_close(flow_of(u), now);
		return;
	}
	u->heard &= u->paused;
	if (u->paused)
		u->paused = loop_mod(&u->watch, EPOLLIN);
	timer_arm(t, u->paused ? now + NOMEM_PAUSE : due);
}

/* A level-triggered socket would spin */
static void udp_splice_pause(struct udp_splice *u, usec_t now)
{
	u->paused = !loop_mod(&u->watch, 0);
	if (u->paused)
		timer_arm(&u->timer, now + NOMEM_PAUSE);
}

/* The first @count of the answers, to the client */
static void udp_splice_pass(struct flow *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		batch.iov[i] = (struct iovec){ answers.iov[i].iov_base,
					       answers.msg[i].msg_len };
		batch.msg[i].msg_hdr = (struct msghdr){
			.msg_iov = &batch.iov[i], .msg_iovlen = 1,
		};
	}
	udp_send_answer(udp_splice_of(f)->listener, &f->side[INI], batch.msg,
			count);
}

static void udp_splice_replied(struct flow *f, usec_t now)
{
	struct udp_splice *u = udp_splice_of(f);

	u->last = now;
	u->heard = true;
	if (flow_trust(f))
		flow_doubt(f);
	if (u->replied)
		return;
	u->replied = true;
	/* the one time-out that comes before the one that is set */
	if (udp_splice_timeout(f) < UDP_UNREPLIED)
		timer_arm(&u->timer, now + udp_splice_timeout(f));
}

/* From the server's socket, level-triggered: a batch, then others' turn */
static void udp_splice_on_event(struct watch *w, uint32_t events, usec_t now)
{
	struct flow *f = flow_of((struct udp_splice *)(void *)w);
	int n;

	(void)events;
	if (!udp_send_is_there(udp_splice_of(f)->listener, &f->side[INI])) {
		udp_splice_close(f, now);
		return;
	}
	/* an error, refused that is, is cleared by the call that returns it */
	n = recvmmsg(w->fd, answers.msg, UDP_SPLICE_BATCH, MSG_DONTWAIT, NULL);
	if (n < 0 && nomem(errno))
		udp_splice_pause(udp_splice_of(f), now);
	if (n <= 0)
		return;
	udp_splice_replied(f, now);
	udp_splice_pass(f, (unsigned)n);
}

/* A socket connected to the server, or a negative error code */
static int udp_splice_connect(const struct flow_side *server)
{
	const struct endpoint e = { server->remote, server->rport,
				    server->ifindex };
	const int rcvbuf = FWD_SOCKET_RCVBUF;
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&e, &sa);
	int fd = fwd_socket_open(IPPROTO_UDP, server), error;

	if (fd < 0)
		return fd;
	/* cut to what is allowed */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	if (!connect(fd, &sa.sa, len))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

static int udp_splice_start(struct flow *f, usec_t now)
{
	struct udp_splice *u = udp_splice_of(f);
	usec_t start = slow_clock();
	int fd = udp_splice_connect(&f->side[TGT]), rc;

	/* Searches for a port, where few are free */
	slow_done(now, start);
	if (fd < 0)
		return fd;
	*u = (struct udp_splice){
		.watch = { .fn = udp_splice_on_event, .fd = fd },
		.timer = { .fn = udp_splice_on_timer },
	};
	rc = loop_add(&u->watch, EPOLLIN);
	if (rc) {
		close(fd);
		return rc;
	}
	timer_arm(&u->timer, now + UDP_UNREPLIED);
	flow_hash(f, INI);
	fwd_listen_note(f, fd);
	fwd_udp_lead(&f->side[TGT]);
	stat_add(STAT_UDP_FLOWS, 1);
	return 0;
}

static struct flow *udp_splice_open(const struct fwd_listener *l,
				    const struct flow_side *from,
				    const struct flow_side *to, usec_t now)
{
	char text[5 * ADDR_STRLEN];
	struct flow *f = NULL;
	int rc;

	/* Whose datagrams wait might be the one that gives way */
	udp_splice_flush();
	if (fwd_listen_admit(l, now))
		f = flow_new(FLOW_UDP_SPLICE, IPPROTO_UDP);
	if (!f) {
		drop(DROP_TABLE_FULL);
		return NULL;
	}
	f->side[INI] = *from;
	f->side[TGT] = *to;
	rc = udp_splice_start(f, now);
	if (log_enabled(LOG_LEVEL_DEBUG))
		debug("%s: %s", flow_text(f, text, sizeof(text)),
		      rc ? strerror(-rc) : "new");
	if (!rc) {
		if (l->way == FWD_IN)
			flow_doubt(f);
		return f;
	}
	if (rc == -EMFILE || rc == -ENFILE)
		warn_limited("Out of file descriptors: new UDP flows refused");
	drop(DROP_NO_SOCKET);
	flow_end(f);
	return NULL;
}

/**
 * udp_splice_take() - Take a client's datagram if it bypasses the link
 * @l:		listener that it came to
 * @from:	the client's side
 * @data:	the datagram; to be kept until udp_splice_flush()
 * @now:	time
 * Return: true: taken, or dropped and counted; false: it goes by the link
 */
bool udp_splice_take(const struct fwd_listener *l, const struct flow_side *from,
		     const struct iovec *data, usec_t now)
{
	struct flow *f = flow_lookup(IPPROTO_UDP, from, NULL);
	const struct port_rule *r = fwd_listen_rule(l);
	struct udp_splice *u;
	struct flow_side to;

	if (f && f->type != FLOW_UDP_SPLICE)
		return false;
	if (!f) {
		if (!r || !fwd_splice(l->way, r, from, &to))
			return false;
		if (fwd_listen_is_circle(IPPROTO_UDP, from)) {
			drop(DROP_NO_ROUTE);
			return true;
		}
		f = udp_splice_open(l, from, &to, now);
		if (!f)
			return true;
	}
	u = udp_splice_of(f);
	if (u->replied)
		flow_trust(f);
	u->listener = l;
	u->last = now;
	udp_splice_queue(f, data);
	return true;
}

/**
 * udp_splice_init() - Answer for the flows of this type
 */
void udp_splice_init(void)
{
	static const struct flow_ops ops = {
		.name = "UDP (spliced)",
		.guest_left = udp_splice_close,
		.stop = udp_splice_close,
	};

	flow_register(FLOW_UDP_SPLICE, &ops);
	for (unsigned i = 0; i < UDP_SPLICE_BATCH; i++) {
		answers.iov[i] = (struct iovec){ udp_out_buffer(i),
						 UDP_DATAGRAM_MAX };
		answers.msg[i].msg_hdr = (struct msghdr){
			.msg_iov = &answers.iov[i], .msg_iovlen = 1,
		};
	}
}
