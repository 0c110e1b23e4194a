// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vhost_user: how a hypervisor sets up virtqueues in the guest's memory
 *
 * We are the back-end, and listen. The front-end sends requests, each a header
 * and a payload, some with descriptors; a few are answered:
 *
 *	0         4       8       12
 *	+---------+-------+-------+---------
 *	| request | flags | size  | payload      numbers as the machine has them
 *	+---------+-------+-------+---------
 *
 * A request is one function and a line of the table below. What fails is told
 * where an answer is asked for (REPLY_ACK); where not, or where a message can
 * not be one, there is no telling what the front-end takes for granted: it is
 * closed, with one message. Frames never pass here: vhost_net.c.
 *
 * A descriptor that there is no room for when it comes is lost, and a guest may
 * use up all others: as many as a message can have are set aside for them.
 *
 * State: the client and what of its message has come; what was negotiated; the
 * descriptors set aside.
 * Source: QEMU's docs/interop/vhost-user.rst.
 */
#include "link/vhost_user.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "link/guestmem.h"
#include "link/vhost_net.h"

#define VU_VERSION		1
#define VU_VERSION_MASK		3
#define VU_REPLY		(1u << 2)
#define VU_NEED_REPLY		(1u << 3)

/** Most descriptors of a message, and regions of SET_MEM_TABLE */
#define VU_FDS			8
/** Longest payload of a message that is looked at */
#define VU_PAYLOAD		512
/** Messages of a turn */
#define VU_MESSAGES		64

#define VU_F_LOG_ALL		((uint64_t)1 << 26)
#define VU_F_PROTOCOL		((uint64_t)1 << 30)
#define VU_FEATURES		(VHOST_NET_FEATURES | VU_F_LOG_ALL | \
				 VU_F_PROTOCOL)

#define VU_PROTOCOL_LOG_SHMFD	((uint64_t)1 << 1)
#define VU_PROTOCOL_RARP	((uint64_t)1 << 2)
#define VU_PROTOCOL_REPLY_ACK	((uint64_t)1 << 3)
#define VU_PROTOCOL_NET_MTU	((uint64_t)1 << 4)
#define VU_PROTOCOL_RESET	((uint64_t)1 << 13)
#define VU_PROTOCOL_MEM_SLOTS	((uint64_t)1 << 15)
/**
 * Not multiqueue: there is one pair, as each front-end takes for granted then.
 * What GET_QUEUE_NUM says means pairs for QEMU, queues for others and by the
 * document: one would be too few for those, two too many for QEMU.
 */
#define VU_PROTOCOL_FEATURES	(VU_PROTOCOL_LOG_SHMFD | VU_PROTOCOL_RARP | \
				 VU_PROTOCOL_REPLY_ACK | \
				 VU_PROTOCOL_NET_MTU | VU_PROTOCOL_RESET | \
				 VU_PROTOCOL_MEM_SLOTS)

/** SET_VRING_KICK, CALL and ERR: the queue, and that there is no descriptor */
#define VU_VRING_INDEX		0xff
#define VU_VRING_NO_FD		0x100
/** SET_VRING_ADDR: writes to the used ring are logged */
#define VU_VRING_LOG		1

/** Least MTU, RFC 791 */
#define VU_MTU_MIN		68

/**
 * struct vu_state - payload: a queue's number and something of it
 * @index:	queue
 * @num:	size, base, or whether enabled
 */
struct vu_state {
	uint32_t index;
	uint32_t num;
};

/**
 * struct vu_addr - payload: where a queue is
 * @index:	queue
 * @flags:	VU_VRING_LOG
 * @desc:	addresses of the front-end
 * @used:	see @desc
 * @avail:	see @desc
 * @log:	guest address that writes to the used ring are logged at
 */
struct vu_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

/**
 * struct vu_memory - payload: the whole memory table
 * @count:	regions
 * @padding:	unused
 * @region:	the regions, a descriptor each
 */
struct vu_memory {
	uint32_t count;
	uint32_t padding;
	struct guestmem_region region[VU_FDS];
};

/**
 * struct vu_region - payload: one region of memory
 * @padding:	unused
 * @region:	region
 */
struct vu_region {
	uint64_t padding;
	struct guestmem_region region;
};

/**
 * struct vu_log - payload: the dirty log
 * @size:	bytes
 * @offset:	where it begins in the file
 */
struct vu_log {
	uint64_t size;
	uint64_t offset;
};

/**
 * struct vu_message - a message
 * @request:	what is asked
 * @flags:	version, VU_REPLY, VU_NEED_REPLY
 * @size:	bytes of payload
 * @u64:	payload: a number
 * @state:	payload
 * @addr:	payload
 * @memory:	payload
 * @region:	payload
 * @log:	payload
 * @bytes:	payload
 */
struct vu_message {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	union {
		uint64_t u64;
		struct vu_state state;
		struct vu_addr addr;
		struct vu_memory memory;
		struct vu_region region;
		struct vu_log log;
		uint8_t bytes[VU_PAYLOAD];
	} __attribute__((packed, aligned(4)));
};

#define VU_HEADER		offsetof(struct vu_message, bytes)

_Static_assert(VU_HEADER == 12, "the payload follows the header");

/**
 * struct vu_client - the front-end
 * @watch:	its watch; .fd -1: there is none
 * @lost:	nothing more can come: to be closed by the handler
 * @msg:	message, as far as it has come
 * @have:	bytes of it
 * @fds:	descriptors that came with it; -1: taken
 * @fd_count:	how many
 * @features:	what was negotiated
 * @protocol:	of the protocol's
 */
static struct vu_client {
	struct watch watch;
	bool lost;
	struct vu_message msg;
	size_t have;
	int fds[VU_FDS];
	unsigned fd_count;
	uint64_t features;
	uint64_t protocol;
} client = { .watch.fd = -1 };

/* They stand for those that messages bring; -1: there is none */
static int vu_spare[VU_FDS] = { [0 ... VU_FDS - 1] = -1 };

static void vu_spare_take(void)
{
	for (unsigned i = 0; i < VU_FDS; i++) {
		if (vu_spare[i] < 0)
			vu_spare[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC,
					     0);
	}
}

static void vu_spare_give(void)
{
	for (unsigned i = 0; i < VU_FDS; i++) {
		if (vu_spare[i] >= 0)
			close(vu_spare[i]);
		vu_spare[i] = -1;
	}
}

/* What a handler returns besides 0 and negative error codes: @msg is a reply */
#define VU_ANSWER		1

static int vu_answer(struct vu_message *m, uint64_t value)
{
	m->u64 = value;
	m->size = sizeof(m->u64);
	return VU_ANSWER;
}

/* The descriptor of a message; it is the caller's to close from now on */
static int vu_take_fd(unsigned i)
{
	int fd = client.fds[i];

	client.fds[i] = -1;
	return fd;
}

/* ---- requests ---- */

static int vu_get_features(struct vu_message *m)
{
	return vu_answer(m, VU_FEATURES);
}

/* Without the protocol's features queues need not be enabled */
static int vu_set_features(struct vu_message *m)
{
	if (m->u64 & ~VU_FEATURES)
		return -EINVAL;
	client.features = m->u64;
	vhost_net_features(m->u64);
	guestmem_log_enable(m->u64 & VU_F_LOG_ALL);
	for (unsigned i = 0; i < VHOST_NET_QUEUES; i++) {
		if (!(m->u64 & VU_F_PROTOCOL))
			vhost_net_enable(i, true);
	}
	return 0;
}

static int vu_get_protocol_features(struct vu_message *m)
{
	return vu_answer(m, VU_PROTOCOL_FEATURES);
}

static int vu_set_protocol_features(struct vu_message *m)
{
	if (m->u64 & ~VU_PROTOCOL_FEATURES)
		return -EINVAL;
	client.protocol = m->u64;
	return 0;
}

static int vu_set_owner(struct vu_message *m)
{
	(void)m;
	return 0;
}

/* Not used any more; back-ends are to disable the queues, or ignore it */
static int vu_reset_owner(struct vu_message *m)
{
	(void)m;
	for (unsigned i = 0; i < VHOST_NET_QUEUES; i++)
		vhost_net_enable(i, false);
	return 0;
}

static int vu_reset_device(struct vu_message *m)
{
	(void)m;
	vhost_net_reset();
	client.features = 0;
	guestmem_log_enable(false);
	return 0;
}

static int vu_set_mem_table(struct vu_message *m)
{
	unsigned n = m->memory.count;
	int rc = 0;

	if (n > VU_FDS || n != client.fd_count ||
	    m->size < offsetof(struct vu_memory, region[n]))
		return -EINVAL;
	vhost_net_settle();
	guestmem_clear();
	for (unsigned i = 0; i < n && !rc; i++) {
		struct guestmem_region r = m->memory.region[i];

		rc = guestmem_add(&r, client.fds[i]);
	}
	vhost_net_settle();
	return rc;
}

static int vu_get_max_mem_slots(struct vu_message *m)
{
	return vu_answer(m, GUESTMEM_REGIONS);
}

static int vu_add_mem_reg(struct vu_message *m)
{
	struct guestmem_region r = m->region.region;
	int rc;

	if (client.fd_count != 1)
		return -EINVAL;
	vhost_net_settle();
	rc = guestmem_add(&r, client.fds[0]);
	vhost_net_settle();
	return rc;
}

static int vu_rem_mem_reg(struct vu_message *m)
{
	struct guestmem_region r = m->region.region;
	int rc;

	vhost_net_settle();
	rc = guestmem_remove(&r);
	vhost_net_settle();
	return rc;
}

/* With LOG_SHMFD there is an answer, always */
static int vu_set_log_base(struct vu_message *m)
{
	int rc;

	if (client.fd_count != 1 || m->size < sizeof(m->log))
		return -EINVAL;
	rc = guestmem_log_map(client.fds[0], m->log.size, m->log.offset);
	return rc ? rc : vu_answer(m, 0);
}

/* Nobody need be told that there are marks: QEMU looks when it needs them */
static int vu_set_log_fd(struct vu_message *m)
{
	(void)m;
	return 0;
}

static int vu_set_vring_num(struct vu_message *m)
{
	return vhost_net_set_num(m->state.index, m->state.num);
}

static int vu_set_vring_addr(struct vu_message *m)
{
	struct virtq_addr a = {
		.desc = m->addr.desc,
		.avail = m->addr.avail,
		.used = m->addr.used,
		.log = m->addr.log,
		.logged = m->addr.flags & VU_VRING_LOG,
	};

	return vhost_net_set_addr(m->addr.index, &a);
}

static int vu_set_vring_base(struct vu_message *m)
{
	return vhost_net_set_base(m->state.index, m->state.num);
}

static int vu_get_vring_base(struct vu_message *m)
{
	uint32_t base = 0;
	int rc = vhost_net_stop(m->state.index, &base);

	m->state.num = base;
	m->size = sizeof(m->state);
	return rc ? rc : VU_ANSWER;
}

/* Give the descriptor of a message to a queue */
static int vu_vring_fd(const struct vu_message *m, int (*set)(unsigned, int))
{
	bool none = m->u64 & VU_VRING_NO_FD;
	int fd, rc;

	if (client.fd_count != !none ||
	    m->u64 & ~(uint64_t)(VU_VRING_INDEX | VU_VRING_NO_FD))
		return -EINVAL;
	fd = none ? -1 : vu_take_fd(0);
	rc = set(m->u64 & VU_VRING_INDEX, fd);
	if (rc && fd >= 0)
		close(fd);
	return rc;
}

static int vu_set_vring_kick(struct vu_message *m)
{
	return vu_vring_fd(m, vhost_net_set_kick);
}

static int vu_set_vring_call(struct vu_message *m)
{
	return vu_vring_fd(m, vhost_net_set_call);
}

static int vu_set_vring_err(struct vu_message *m)
{
	return vu_vring_fd(m, vhost_net_set_err);
}

static int vu_get_queue_num(struct vu_message *m)
{
	return vu_answer(m, VHOST_NET_QUEUES);
}

static int vu_set_vring_enable(struct vu_message *m)
{
	if (m->state.num > 1)
		return -EINVAL;
	return vhost_net_enable(m->state.index, m->state.num);
}

/* The guest's first frame tells us where it is: nobody else need know */
static int vu_send_rarp(struct vu_message *m)
{
	(void)m;
	return 0;
}

/* The guest tells peers what segments it takes: nothing to do but to agree */
static int vu_net_set_mtu(struct vu_message *m)
{
	return m->u64 < VU_MTU_MIN || m->u64 > UINT16_MAX ? -EINVAL : 0;
}

/* ---- the table ---- */

/**
 * struct vu_request - a request
 * @name:	for messages
 * @fn:		its function: 0, VU_ANSWER, or a negative error code
 * @size:	least bytes of payload
 * @fds:	most descriptors
 */
struct vu_request {
	const char *name;
	int (*fn)(struct vu_message *m);
	uint32_t size;
	unsigned fds;
};

#define U64	sizeof(uint64_t)
#define STATE	sizeof(struct vu_state)
#define REGION	sizeof(struct vu_region)

static const struct vu_request vu_requests[] = {
	[1] = { "GET_FEATURES", vu_get_features, 0, 0 },
	[2] = { "SET_FEATURES", vu_set_features, U64, 0 },
	[3] = { "SET_OWNER", vu_set_owner, 0, 0 },
	[4] = { "RESET_OWNER", vu_reset_owner, 0, 0 },
	[5] = { "SET_MEM_TABLE", vu_set_mem_table, 8, VU_FDS },
	[6] = { "SET_LOG_BASE", vu_set_log_base, U64, 1 },
	[7] = { "SET_LOG_FD", vu_set_log_fd, 0, 1 },
	[8] = { "SET_VRING_NUM", vu_set_vring_num, STATE, 0 },
	[9] = { "SET_VRING_ADDR", vu_set_vring_addr, sizeof(struct vu_addr),
		0 },
	[10] = { "SET_VRING_BASE", vu_set_vring_base, STATE, 0 },
	[11] = { "GET_VRING_BASE", vu_get_vring_base, STATE, 0 },
	[12] = { "SET_VRING_KICK", vu_set_vring_kick, U64, 1 },
	[13] = { "SET_VRING_CALL", vu_set_vring_call, U64, 1 },
	[14] = { "SET_VRING_ERR", vu_set_vring_err, U64, 1 },
	[15] = { "GET_PROTOCOL_FEATURES", vu_get_protocol_features, 0, 0 },
	[16] = { "SET_PROTOCOL_FEATURES", vu_set_protocol_features, U64, 0 },
	[17] = { "GET_QUEUE_NUM", vu_get_queue_num, 0, 0 },
	[18] = { "SET_VRING_ENABLE", vu_set_vring_enable, STATE, 0 },
	[19] = { "SEND_RARP", vu_send_rarp, U64, 0 },
	[20] = { "NET_SET_MTU", vu_net_set_mtu, U64, 0 },
	[34] = { "RESET_DEVICE", vu_reset_device, 0, 0 },
	[36] = { "GET_MAX_MEM_SLOTS", vu_get_max_mem_slots, 0, 0 },
	[37] = { "ADD_MEM_REG", vu_add_mem_reg, REGION, 1 },
	[38] = { "REM_MEM_REG", vu_rem_mem_reg, REGION, 1 },
};

/* ---- the connection ---- */

static void vu_forget_message(void)
{
	for (unsigned i = 0; i < client.fd_count; i++) {
		if (client.fds[i] >= 0)
			close(client.fds[i]);
	}
	client.fd_count = 0;
	client.have = 0;
}

static void vu_give_up(const char *what, const char *why)
{
	if (!client.lost)
		warn("vhost-user: %s: %s: client closed", what, why);
	client.lost = true;
}

static void vu_reply(struct vu_message *m)
{
	size_t len = VU_HEADER + m->size;

	m->flags = VU_VERSION | VU_REPLY;
	if (send(client.watch.fd, m, len, MSG_DONTWAIT | MSG_NOSIGNAL) !=
	    (ssize_t)len)
		vu_give_up("reply", "not taken");
}

/* Whether a result is to be told where the request has no answer of its own */
static bool vu_wants_ack(const struct vu_message *m)
{
	return m->flags & VU_NEED_REPLY &&
	       client.protocol & VU_PROTOCOL_REPLY_ACK;
}

static void vu_handle(struct vu_message *m)
{
	const struct vu_request *r = NULL;
	bool ack = vu_wants_ack(m);
	int rc = -ENOSYS;

	if (m->request < sizeof(vu_requests) / sizeof(vu_requests[0]) &&
	    vu_requests[m->request].fn)
		r = &vu_requests[m->request];
	if (r && (m->size < r->size || client.fd_count > r->fds)) {
		vu_give_up(r->name, "malformed");
		return;
	}
	if (r)
		rc = r->fn(m);
	debug("vhost-user: %s (%u): %s", r ? r->name : "unknown request",
	      m->request, rc < 0 ? strerror(-rc) : "done");
	if (rc == VU_ANSWER) {
		vu_reply(m);
	} else if (ack) {
		vu_answer(m, rc < 0);
		vu_reply(m);
	} else if (rc < 0 && r) {
		vu_give_up(r->name, strerror(-rc));
	}
}

/* Take descriptors over; false: there were more than any message has */
static bool vu_take_fds(struct msghdr *h)
{
	bool fit = !(h->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (client.fd_count < VU_FDS) {
				client.fds[client.fd_count++] = fd;
			} else {
				close(fd);
				fit = false;
			}
		}
	}
	return fit;
}

/* Read up to @want bytes of the message; false: they have not all come */
static bool vu_read(size_t want)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(VU_FDS *
							   sizeof(int))];
	struct iovec iov = { (uint8_t *)&client.msg + client.have,
			     want - client.have };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t n;

	if (client.have >= want)
		return true;
	n = recvmsg(client.watch.fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		client.lost = true;
		return false;
	}
	if (!vu_take_fds(&h)) {
		vu_give_up("message", "no room for its descriptors");
		return false;
	}
	client.have += (size_t)n;
	return client.have == want;
}

/* Read a message and handle it; false: none is complete */
static bool vu_message(void)
{
	struct vu_message *m = &client.msg;

	if (client.lost || !vu_read(VU_HEADER))
		return false;
	if ((m->flags & VU_VERSION_MASK) != VU_VERSION ||
	    m->flags & VU_REPLY || m->size > VU_PAYLOAD) {
		vu_give_up("message", "not one of vhost-user");
		return false;
	}
	if (!vu_read(VU_HEADER + m->size))
		return false;
	vu_handle(m);
	vu_forget_message();
	return true;
}

static void vu_leave(usec_t now)
{
	loop_del(&client.watch);
	close(client.watch.fd);
	client.watch.fd = -1;
	vu_forget_message();
	vhost_net_leave(now);
	guestmem_clear();
	guestmem_log_unmap();
	guestmem_log_enable(false);
	server_client_left();
}

static void vu_on_client(struct watch *w, uint32_t events, usec_t now)
{
	(void)w;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		server_client_leaving();
	vhost_net_end_hold(now);
	vu_spare_give();
	for (unsigned i = 0; i < VU_MESSAGES && vu_message(); i++)
		continue;
	vu_spare_take();
	if (client.lost)
		vu_leave(now);
}

/* The guest's memory was taken away under us */
static void vu_on_lost(usec_t now)
{
	vu_give_up("memory", "cut short while in use");
	vu_leave(now);
}

static int vu_serve(int fd, usec_t now)
{
	int rc;

	(void)now;
	client = (struct vu_client){
		.watch = { .fn = vu_on_client, .fd = fd },
	};
	rc = loop_add(&client.watch, EPOLLIN | EPOLLRDHUP);
	if (rc) {
		client.watch.fd = -1;
		return rc;
	}
	info("Client connected");
	return 0;
}

/**
 * vhost_user_init() - Set the link up; nothing happens until server_start()
 * @c:		where clients come from, copied
 *
 * Return: the transport, for link_init()
 */
const struct link_ops *vhost_user_init(const struct server_conf *c)
{
	int rc = guestmem_init();

	if (rc)
		die("Cannot handle SIGBUS: %s", strerror(-rc));
	client.watch.fd = -1;
	vu_spare_take();
	server_init(c, vu_serve);
	return vhost_net_init(vu_on_lost);
}
