// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vhost_net: frames over virtqueues in the guest's memory
 *
 * The device: its queues, when they run, and how it ends. vhost_in.c takes
 * frames from the one queue of a pair, vhost_out.c puts them into the other.
 *
 * A queue runs once it is set up and has a descriptor for kicks, until it is
 * stopped, or set up anew. No kick need begin it, as older versions of the
 * interoperability document say: a driver that kicked before, or waits for
 * frames, does not know that its hypervisor was resumed. A guest that breaks a
 * queue's rules halts the device: one message, the error descriptors tell the
 * hypervisor, the guest has left (down) until its driver starts anew. That, and
 * whatever else cannot be done within the link's functions, is done by a timer
 * that is due at once.
 *
 * System calls: one write() a turn and queue at most, where the driver asks for
 * it. State: the queues and what was negotiated.
 *
 * Source: virtio 1.2, 2.7 and 5.1.6; QEMU's docs/interop/vhost-user.rst.
 */
#include "link/vhost_net.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "link/guestmem.h"
#include "link/vhost_in.h"
#include "link/vhost_out.h"
#include "link/vnet.h"

/** Queues of the one pair that is served now */
#define NET_RX			0
#define NET_TX			1

/** Bytes of the header before a frame: that of virtio 1.0 has num_buffers */
#define NET_HLEN		(VNET_HLEN + 2)

/** Largest frame: the largest IPv4 packet, and Ethernet */
#define NET_FRAME_MAX		(65535 + ETH_HLEN_)
/** and where buffers need hold no more (virtio 1.2, 5.1.6.3.1) */
#define NET_FRAME_SMALL		(1500 + ETH_HLEN_)

/**
 * Smallest queue whose frames may wait for each other: with one that is full
 * before the wait is over, whoever sends is held up, and then seems to be slow
 */
#define NET_HOLD_NUM		256

/** Reads of 64 kicks each, at a time: as many as a pipe holds */
#define NET_PIPE_READS		128

/**
 * struct net_queue - a queue, and what the hypervisor says of it
 * @vq:		queue
 * @kick:	what the driver kicks, .fd -1: nothing
 * @drains:	that is a pipe, which fills up
 * @err_fd:	to tell of errors, or -1
 * @running:	it runs
 * @enabled:	and may have effects
 * @halted:	it broke, and does not run until it is stopped and started
 */
struct net_queue {
	struct virtq vq;
	struct watch kick;
	bool drains;
	int err_fd;
	bool running;
	bool enabled;
	bool halted;
};

static struct net_queue net_queues[VHOST_NET_QUEUES];
static struct link_caps net_caps;
static vhost_net_lost_fn net_lost;
static struct timer net_timer;
/* Until then frames from the guest wait for each other, while armed */
static struct timer net_held;
/* The guest is there, as the link's user knows it */
static bool net_up;
/* A loan was refused since the queue does not run: told of when one does */
static bool net_refused;
/* Something is new about the receive queue, too, when the timer fires */
static bool net_rx_due;

static void net_tx_soon(void)
{
	if (!timer_armed(&net_timer))
		timer_arm(&net_timer, 0);
}

/* Have the timer look at the queues in the next turn */
static void net_soon(void)
{
	net_rx_due = true;
	net_tx_soon();
}

/* Whether a queue can be used now */
static bool net_usable(struct net_queue *q)
{
	return q->running && !q->vq.broken && virtq_map(&q->vq);
}

static unsigned net_receive(struct frame *frames, unsigned max)
{
	struct net_queue *q = &net_queues[NET_TX];
	unsigned n;

	if (!net_usable(q) || !q->enabled)
		return 0;
	n = vhost_in_receive(&q->vq, frames, max);
	if (q->vq.broken)
		net_soon();
	return n;
}

static void net_release(void)
{
	vhost_in_release(&net_queues[NET_TX].vq);
}

static void net_hold(usec_t until)
{
	struct virtq *vq = &net_queues[NET_TX].vq;

	if (!until) {
		if (timer_armed(&net_held))
			timer_arm(&net_held, 0);
		return;
	}
	if (vq->num < NET_HOLD_NUM || !vhost_in_is_idle())
		return;
	virtq_kicks_cancel(vq);
	timer_arm(&net_held, until);
}

static unsigned net_reserve(struct loan *loans, unsigned n, size_t hlen,
			    size_t room)
{
	struct net_queue *q = &net_queues[NET_RX];
	unsigned lent;

	if (!net_usable(q) || !q->enabled) {
		net_refused = true;
		return 0;
	}
	lent = vhost_out_reserve(&q->vq, loans, n, hlen, room);
	if (q->vq.broken || vhost_out_again())
		net_soon();
	return lent;
}

static void net_commit(struct loan *loans, unsigned n)
{
	vhost_out_commit(&net_queues[NET_RX].vq, loans, n);
}

static void net_flush(void)
{
	for (unsigned i = 0; i < VHOST_NET_QUEUES; i++) {
		struct net_queue *q = &net_queues[i];

		if (!net_usable(q))
			continue;
		virtq_publish(&q->vq);
		virtq_signal(&q->vq);
	}
	if (guestmem_is_lost())
		net_soon();
}

static const struct link_caps *net_caps_now(void)
{
	static struct link_caps now;

	now = net_caps;
	if (vhost_out_limit() < now.max_frame)
		now.max_frame = vhost_out_limit();
	return &now;
}

/* ---- what happens to the device ---- */

/* The guest is there once anything can be exchanged with it */
static void net_rise(usec_t now)
{
	if (net_up)
		return;
	net_up = true;
	link_events()->up(now);
}

/* At once, there may be no other kick: as many as there can be */
static void net_discard(struct net_queue *q)
{
	unsigned n = 0;

	do {
		vhost_in_discard(&q->vq);
		n += LINK_BATCH;
	} while (!vhost_in_is_idle() && n <= q->vq.num);
}

static void net_run_tx(struct net_queue *q, usec_t now)
{
	if (!net_usable(q))
		return;
	virtq_kicks_off(&q->vq);
	if (q->enabled) {
		net_rise(now);
		link_events()->readable(now);
	} else {
		net_discard(q);
	}
	/* So much a turn; the others have theirs first */
	if (!vhost_in_is_idle())
		net_tx_soon();
}

static void net_run_rx(struct net_queue *q, usec_t now)
{
	if (!net_usable(q) || !q->enabled)
		return;
	/* Buffers are looked for when they are needed; one not found asks */
	virtq_kicks_off(&q->vq);
	net_rise(now);
	if (vhost_out_wanted() || net_refused) {
		net_refused = false;
		link_events()->writable(now);
	}
}

/*
 * A queue that has a descriptor for kicks runs once it is set up. It begins where
 * the used ring ends, as DPDK's device does: both are used in order here, and not
 * all front-ends know the base of a queue that somebody else served before.
 */
static void net_try_start(struct net_queue *q)
{
	if (q->running || q->kick.fd < 0 || q->halted || !virtq_map(&q->vq))
		return;
	virtq_begin(&q->vq);
	if (q->vq.last_avail != q->vq.next_used)
		debug("Queue %td: begins at %u, not at %u", q - net_queues,
		      q->vq.next_used, q->vq.last_avail);
	q->vq.last_avail = q->vq.next_used;
	q->running = true;
	if (q == &net_queues[NET_RX])
		vhost_out_begin();
}

/* The guest has left, as far as the link's user is concerned */
static void net_down(usec_t now)
{
	if (net_up)
		link_events()->down(now);
	net_up = false;
}

static void net_halt(const struct net_queue *broken, usec_t now)
{
	static const uint64_t one = 1;

	warn_limited("Guest's queue %td: %s: device stopped",
		     broken - net_queues, broken->vq.broken);
	for (unsigned i = 0; i < VHOST_NET_QUEUES; i++) {
		struct net_queue *q = &net_queues[i];

		q->running = false;
		q->halted = true;
		if (q->err_fd >= 0 &&
		    write(q->err_fd, &one, sizeof(one)) < 0)
			debug("Error descriptor: %s", strerror(errno));
	}
	net_down(now);
}

static void net_look(usec_t now)
{
	if (guestmem_is_lost()) {
		net_lost(now);
		return;
	}
	for (unsigned i = 0; i < VHOST_NET_QUEUES; i++) {
		struct net_queue *q = &net_queues[i];

		if (q->running && q->vq.broken) {
			net_halt(q, now);
			return;
		}
	}
	for (unsigned i = 0; i < VHOST_NET_QUEUES; i++)
		net_try_start(&net_queues[i]);
	if (net_rx_due) {
		net_rx_due = false;
		net_run_rx(&net_queues[NET_RX], now);
	}
	if (net_queues[NET_TX].enabled)
		net_run_tx(&net_queues[NET_TX], now);
}

static void net_on_timer(struct timer *t, usec_t now)
{
	(void)t;
	net_look(now);
}

static void net_on_held(struct timer *t, usec_t now)
{
	(void)t;
	/* It may be another by now, which nobody has enabled */
	if (net_queues[NET_TX].enabled)
		net_run_tx(&net_queues[NET_TX], now);
}

/* Edge-triggered: each kick wakes once, and none need be read from an eventfd */
static void net_on_kick(struct watch *w, uint32_t events, usec_t now)
{
	struct net_queue *q = (struct net_queue *)
		((char *)w - offsetof(struct net_queue, kick));
	uint64_t kicks[64];

	(void)events;
	for (unsigned i = 0; q->drains && i < NET_PIPE_READS; i++) {
		if (read(w->fd, kicks, sizeof(kicks)) <= 0)
			break;
	}
	net_try_start(q);
	if (q == &net_queues[NET_RX])
		net_run_rx(q, now);
	else
		net_run_tx(q, now);
}

/* ---- what the hypervisor asks for ---- */

/**
 * vhost_net_features() - Take the features that were negotiated
 * @features:	VHOST_NET_F_*
 */
void vhost_net_features(uint64_t features)
{
	const uint64_t tso = VHOST_NET_F_GUEST_TSO4 | VHOST_NET_F_GUEST_TSO6;
	const uint64_t uso = VHOST_NET_F_GUEST_USO4 | VHOST_NET_F_GUEST_USO6;
	bool csum = features & VHOST_NET_F_GUEST_CSUM;
	bool merge = features & VHOST_NET_F_MRG_RXBUF;
	size_t hlen;

	net_caps = (struct link_caps){
		.gso_tcp = csum && (features & tso) == tso,
		.gso_udp = csum && (features & uso) == uso,
		.csum = csum,
		/* Buffers for any segmented frame hold the largest one */
		.max_frame = merge || features & (tso | uso) ?
			     NET_FRAME_MAX : NET_FRAME_SMALL,
	};
	hlen = merge || features & VHOST_NET_F_VERSION_1 ? NET_HLEN : VNET_HLEN;
	vhost_in_set(hlen);
	vhost_out_set(hlen, merge);
	for (unsigned i = 0; i < VHOST_NET_QUEUES; i++) {
		struct virtq *vq = &net_queues[i].vq;

		vq->event_idx = features & VHOST_NET_F_EVENT_IDX;
		vq->indirect = features & VHOST_NET_F_INDIRECT_DESC;
	}
}

static void net_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void net_unwatch(struct net_queue *q)
{
	uint64_t kicks;

	if (q->kick.fd < 0)
		return;
	loop_del(&q->kick);
	/* Whoever watches it next is not to find ours */
	if (read(q->kick.fd, &kicks, sizeof(kicks)) < 0)
		kicks = 0;
	net_close_fd(&q->kick.fd);
}

/*
 * What notifications go through: an eventfd, whose kind has no type bits
 * (anonymous inode), or a pipe. It must not block us.
 */
static int net_check_fd(int fd)
{
	struct stat st;
	int flags;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_mode & S_IFMT && !S_ISFIFO(st.st_mode))
		return -EINVAL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	return 0;
}

static struct net_queue *net_queue_at(unsigned i)
{
	return i < VHOST_NET_QUEUES ? &net_queues[i] : NULL;
}

/* Nothing is kept, and the ring is as whoever comes next may need it */
static void net_put_down(struct net_queue *q)
{
	if (!net_usable(q) || !q->enabled)
		return;
	virtq_kicks_on(&q->vq, 1);
	if (q == &net_queues[NET_RX])
		vhost_out_end(&q->vq);
	virtq_publish(&q->vq);
	virtq_signal(&q->vq);
}

static void net_stop(struct net_queue *q)
{
	net_put_down(q);
	net_unwatch(q);
	q->running = q->halted = false;
}

/**
 * vhost_net_end_hold() - The hypervisor is about to say something: what waits was
 * sent before, and no kick will tell of it
 * @now:	time
 */
void vhost_net_end_hold(usec_t now)
{
	if (!timer_armed(&net_held))
		return;
	net_on_held(&net_held, now);
	/* perhaps armed anew: if the queue still runs then, ask for kicks */
	timer_cancel(&net_held);
	net_tx_soon();
}

/**
 * vhost_net_set_num() - Set a queue's size
 * @i:		queue
 * @num:	descriptors
 *
 * Of one that runs it is the end, without a look at its rings: some hypervisors
 * only disable the queues of a guest that has reset its device, and then set up
 * others.
 *
 * Return: 0; -EINVAL: no such queue or size
 */
int vhost_net_set_num(unsigned i, uint32_t num)
{
	struct net_queue *q = net_queue_at(i);

	if (!q || !num || num > VIRTQ_NUM_MAX || num & (num - 1))
		return -EINVAL;
	if (q->running || q->halted) {
		net_unwatch(q);
		q->running = q->halted = false;
	}
	q->vq.num = num;
	q->vq.desc = NULL;
	return 0;
}

/**
 * vhost_net_set_addr() - Say where a queue is, which may run
 * @i:		queue, its size set
 * @a:		addresses
 *
 * Return: 0; -EINVAL: no such queue; -EFAULT: it is not in memory
 */
int vhost_net_set_addr(unsigned i, const struct virtq_addr *a)
{
	struct net_queue *q = net_queue_at(i);

	if (!q)
		return -EINVAL;
	if (q->running && virtq_map(&q->vq))
		virtq_publish(&q->vq);
	q->vq.addr = *a;
	q->vq.desc = NULL;
	net_soon();
	return virtq_map(&q->vq) ? 0 : -EFAULT;
}

/**
 * vhost_net_set_base() - Say which chain of the available ring is next
 * @i:		queue
 * @base:	its index; where the queue begins the used ring has the last word
 *
 * Return: 0; -EINVAL: no such queue or index; -EBUSY: it runs
 */
int vhost_net_set_base(unsigned i, uint32_t base)
{
	struct net_queue *q = net_queue_at(i);

	if (!q || base > UINT16_MAX)
		return -EINVAL;
	if (q->running)
		return -EBUSY;
	q->vq.last_avail = (uint16_t)base;
	return 0;
}

/**
 * vhost_net_stop() - Stop a queue
 * @i:		queue
 * @base:	where to store the index of the next chain
 *
 * All that was taken was given back, and the driver told. It runs again once it
 * is given a descriptor for kicks.
 *
 * Return: 0; -EINVAL: no such queue
 */
int vhost_net_stop(unsigned i, uint32_t *base)
{
	struct net_queue *q = net_queue_at(i);

	if (!q)
		return -EINVAL;
	net_stop(q);
	*base = q->vq.last_avail;
	return 0;
}

/**
 * vhost_net_set_kick() - Say what the driver kicks
 * @i:		queue
 * @fd:		descriptor, ours if all went well; -1: none, we are to poll
 *
 * Return: 0, or a negative error code: -EINVAL: no such queue, not of that
 * kind; -EOPNOTSUPP: nobody polls here
 */
int vhost_net_set_kick(unsigned i, int fd)
{
	struct net_queue *q = net_queue_at(i);
	struct stat st;
	int rc;

	if (!q)
		return -EINVAL;
	if (fd < 0)
		return -EOPNOTSUPP;
	rc = net_check_fd(fd);
	if (rc)
		return rc;
	net_unwatch(q);
	q->drains = !fstat(fd, &st) && S_ISFIFO(st.st_mode);
	q->kick = (struct watch){ .fn = net_on_kick, .fd = fd };
	rc = loop_add(&q->kick, EPOLLIN | EPOLLET);
	if (rc)
		q->kick.fd = -1;
	net_soon();
	return rc;
}

static int net_set_fd(int *at, int fd)
{
	int rc = fd < 0 ? 0 : net_check_fd(fd);

	if (rc)
		return rc;
	net_close_fd(at);
	*at = fd;
	return 0;
}

/**
 * vhost_net_set_call() - Say where the driver is told of what was used
 * @i:		queue
 * @fd:		descriptor, ours if all went well; -1: it looks by itself
 *
 * It is told at once: whoever served the queue before may have been killed
 * before it told the driver, which is not told of the same twice.
 *
 * Return: 0, or a negative error code as vhost_net_set_kick()
 */
int vhost_net_set_call(unsigned i, int fd)
{
	static const uint64_t one = 1;
	struct net_queue *q = net_queue_at(i);
	int rc = q ? net_set_fd(&q->vq.call_fd, fd) : -EINVAL;

	if (!rc && fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		debug("Call descriptor: %s", strerror(errno));
	return rc;
}

/**
 * vhost_net_set_err() - Say where the hypervisor is told of errors
 * @i:		queue
 * @fd:		descriptor, ours if all went well; -1: nowhere
 *
 * Return: 0, or a negative error code as vhost_net_set_kick()
 */
int vhost_net_set_err(unsigned i, int fd)
{
	struct net_queue *q = net_queue_at(i);

	return q ? net_set_fd(&q->err_fd, fd) : -EINVAL;
}

/**
 * vhost_net_enable() - Let a queue have effects, or none
 * @i:		queue; while disabled, frames that it is kicked for are dropped,
 *		and none are sent
 * @on:		which
 *
 * A disabled one is not written to but after a kick: its memory may be the
 * guest's again, for anything.
 *
 * Return: 0; -EINVAL: no such queue
 */
int vhost_net_enable(unsigned i, bool on)
{
	struct net_queue *q = net_queue_at(i);

	if (!q)
		return -EINVAL;
	if (!on)
		net_put_down(q);
	q->enabled = on;
	net_soon();
	return 0;
}

/**
 * vhost_net_settle() - Before and after changes of the memory table: nothing is
 * under way, and queues are looked at anew
 */
void vhost_net_settle(void)
{
	net_flush();
	net_soon();
}

/**
 * vhost_net_reset() - Back to the state before anything was set up
 */
void vhost_net_reset(void)
{
	for (unsigned i = 0; i < VHOST_NET_QUEUES; i++) {
		struct net_queue *q = &net_queues[i];

		net_stop(q);
		net_close_fd(&q->vq.call_fd);
		net_close_fd(&q->err_fd);
		*q = (struct net_queue){ .vq.call_fd = -1, .kick.fd = -1,
					 .err_fd = -1 };
	}
	vhost_out_begin();
	vhost_net_features(0);
}

static const struct link_ops net_ops = {
	.name = "vhost-user",
	.receive = net_receive,
	.release = net_release,
	.hold = net_hold,
	.reserve = net_reserve,
	.commit = net_commit,
	.flush = net_flush,
	.caps = net_caps_now,
	/*
	 * The driver outlives us, and goes on with who comes next: what it sees
	 * of its queues is what it sees after a stop that was asked for
	 */
	.close = vhost_net_reset,
};

/**
 * vhost_net_leave() - The hypervisor is gone
 * @now:	time
 */
void vhost_net_leave(usec_t now)
{
	vhost_net_reset();
	timer_cancel(&net_timer);
	timer_cancel(&net_held);
	net_down(now);
}

/**
 * vhost_net_init() - Set the link up
 * @lost:	what to call when the guest's memory was taken away
 *
 * Return: the transport, for link_init()
 */
const struct link_ops *vhost_net_init(vhost_net_lost_fn lost)
{
	net_lost = lost;
	net_timer.fn = net_on_timer;
	net_held.fn = net_on_held;
	net_up = net_refused = false;
	for (unsigned i = 0; i < VHOST_NET_QUEUES; i++)
		net_queues[i] = (struct net_queue){ .vq.call_fd = -1,
						    .kick.fd = -1,
						    .err_fd = -1 };
	vhost_net_reset();
	return &net_ops;
}
