// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The vhost-user protocol over a socket: the set-up as QEMU does it, every
 * request, and everything that is not one
 */
#include "link/vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "lib/stats.h"
#include "link/vhost_net.h"
#include "test/unit/unit.h"
#include "test/unit/vdriver.h"

#define NUM		256u
#define A		VDRIVER_BUFFERS
#define NEED_REPLY	8u
#define PROTOCOL	(1u << 30)
#define LOG_ALL		(1u << 26)
#define REPLY_ACK	8u

enum request {
	GET_FEATURES = 1, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE,
	SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM, SET_VRING_ADDR,
	SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL,
	SET_VRING_ERR, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES,
	GET_QUEUE_NUM, SET_VRING_ENABLE, SEND_RARP, NET_SET_MTU,
	RESET_DEVICE = 34, GET_MAX_MEM_SLOTS = 36, ADD_MEM_REG, REM_MEM_REG
};

static struct vdriver d;
static unsigned ups, downs, stops, frames_in;
static const struct link_ops *ops;
/* Frames that come wait so long for others; 0: not */
static usec_t hold_for;
static usec_t turn_now;
static int peer = -1;
static struct watch clock_watch;

static void on_readable(usec_t now)
{
	struct frame f[LINK_BATCH];
	unsigned n;

	CHECK_EQ(now, turn_now);
	do {
		n = link_receive(f, LINK_BATCH);
		frames_in += n;
		link_release();
	} while (n);
	if (hold_for)
		ops->hold(now + hold_for);
}

static void on_writable(usec_t now)
{
	(void)now;
}

static void on_up(usec_t now)
{
	(void)now;
	ups++;
}

static void on_down(usec_t now)
{
	(void)now;
	downs++;
}

static void on_stop(void)
{
	stops++;
}

static const struct link_events events = { on_readable, on_writable, on_up,
					   on_down };

static void on_clock(struct watch *w, uint32_t what, usec_t now)
{
	(void)w;
	(void)what;
	(void)now;
}

static void turns(void)
{
	for (int i = 0; i < 8; i++) {
		usec_t now;
		int n;

		timer_sleep();
		n = loop_wait(0);
		now = turn_now = clock_now();
		timer_run(now);
		loop_dispatch(n, now);
		link_flush();
	}
}

static void setup(void)
{
	static bool made;
	int sv[2];

	if (!made) {
		CHECK(!loop_init());
		clock_watch = (struct watch){ on_clock, timer_init(1) };
		CHECK(!loop_add(&clock_watch, EPOLLIN | EPOLLET));
	}
	made = true;
	ups = downs = stops = frames_in = 0;
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv));
	peer = sv[1];
	vdriver_open(&d);
	hold_for = 0;
	ops = vhost_user_init(&(struct server_conf){ -1, sv[0], false,
						     on_stop });
	link_init(ops, &events);
	CHECK(!server_start(1));
}

static void teardown(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
	turns();
	CHECK_EQ(stops, 1);
	CHECK_EQ(ups, downs);
	vdriver_close(&d);
}

/* What @len bytes and descriptors are sent; all at once */
static void put(const void *p, size_t len, const int *fds, unsigned n)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(32 * sizeof(int))];
	struct iovec iov = { (void *)(uintptr_t)p, len };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	memset(control, 0, sizeof(control));
	if (n) {
		h.msg_control = control;
		h.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	CHECK_EQ(sendmsg(peer, &h, MSG_NOSIGNAL), len);
}

static size_t build(uint8_t *m, uint32_t request, uint32_t flags,
		    const void *payload, uint32_t len)
{
	uint32_t head[3] = { request, flags, len };

	memcpy(m, head, 12);
	if (len)
		memcpy(m + 12, payload, len);
	return 12 + len;
}

/* An answer's payload; false: there is none */
static bool get(uint32_t request, void *payload, uint32_t len)
{
	uint32_t head[3];

	if (recv(peer, head, 12, 0) != 12)
		return false;
	CHECK_EQ(head[0], request);
	CHECK_EQ(head[1], 5);
	CHECK_EQ(head[2], len);
	return recv(peer, payload, len, 0) == (ssize_t)len;
}

static void say_fds(uint32_t request, const void *payload, uint32_t len,
		    const int *fds, unsigned n)
{
	uint8_t m[600];

	put(m, build(m, request, 1, payload, len), fds, n);
	turns();
}

static void say(uint32_t request, const void *payload, uint32_t len)
{
	say_fds(request, payload, len, NULL, 0);
}

static void say_u64(uint32_t request, uint64_t v)
{
	say(request, &v, sizeof(v));
}

/* With a reply asked for: 0 is success; -1: there was none */
static int ask(uint32_t request, const void *payload, uint32_t len,
	       const int *fds, unsigned n)
{
	uint64_t v;
	uint8_t m[600];

	put(m, build(m, request, 1 | NEED_REPLY, payload, len), fds, n);
	turns();
	return get(request, &v, sizeof(v)) ? (int)v : -1;
}

static uint64_t ask_u64(uint32_t request)
{
	uint64_t v = 0;

	say(request, NULL, 0);
	CHECK(get(request, &v, sizeof(v)));
	return v;
}

static int ask_state(uint32_t request, uint32_t index, uint32_t num)
{
	uint32_t s[2] = { index, num };

	return ask(request, s, sizeof(s), NULL, 0);
}

static bool is_closed(void)
{
	char c;
	ssize_t n = recv(peer, &c, 1, 0);

	/* ECONNRESET: what we said last was not even read */
	return !n || (n < 0 && errno == ECONNRESET);
}

static void negotiate(uint64_t features)
{
	uint64_t all = ask_u64(GET_FEATURES);

	CHECK_EQ(all & features, features);
	CHECK(all & PROTOCOL);
	say_u64(SET_PROTOCOL_FEATURES, ask_u64(GET_PROTOCOL_FEATURES));
	say(SET_OWNER, NULL, 0);
	say_u64(SET_FEATURES, features);
}

static void set_memory(void)
{
	struct {
		uint32_t n[2];
		struct guestmem_region r;
	} m = { { 1, 0 }, vdriver_region() };

	CHECK_EQ(ask(SET_MEM_TABLE, &m, sizeof(m), &d.fd, 1), 0);
}

static int set_addr(unsigned q, uint32_t flags, uint64_t log)
{
	struct virtq_addr a = vdriver_addr(&d, q);
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} m = { q, flags, a.desc, a.used, a.avail, log };

	return ask(SET_VRING_ADDR, &m, sizeof(m), NULL, 0);
}

static int kick[2], call[2];

static int vring_fd(uint32_t request, uint64_t q, int fd)
{
	return ask(request, &q, sizeof(q), &fd, fd >= 0);
}

static void start(unsigned q, uint32_t base)
{
	CHECK_EQ(ask_state(SET_VRING_NUM, q, NUM), 0);
	CHECK_EQ(ask_state(SET_VRING_BASE, q, base), 0);
	CHECK_EQ(set_addr(q, 0, 0), 0);
	kick[q] = eventfd(0, EFD_NONBLOCK);
	call[q] = eventfd(0, EFD_NONBLOCK);
	CHECK_EQ(vring_fd(SET_VRING_KICK, q, kick[q]), 0);
	CHECK_EQ(vring_fd(SET_VRING_CALL, q, call[q]), 0);
	CHECK_EQ(ask_state(SET_VRING_ENABLE, q, 1), 0);
}

static void stop(unsigned q, uint32_t base)
{
	uint32_t s[2] = { q, 0 };

	say(GET_VRING_BASE, s, sizeof(s));
	CHECK(get(GET_VRING_BASE, s, sizeof(s)));
	CHECK_EQ(s[0], q);
	CHECK_EQ(s[1], base);
	close(kick[q]);
	close(call[q]);
}

static void up(uint64_t features)
{
	setup();
	negotiate(features | PROTOCOL);
	set_memory();
	for (unsigned q = 0; q < 2; q++) {
		vdriver_queue(&d, q, NUM);
		start(q, 0);
	}
}

static void notify(unsigned q)
{
	CHECK(!eventfd_write(kick[q], 1));
	turns();
}

static void send_frame(void)
{
	vdriver_chain(&d, 1, 0, &(struct vdriver_buf){ A, 72 }, 1);
	notify(1);
}

TEST(as_qemu_does)
{
	up(VHOST_NET_F_VERSION_1 | VHOST_NET_F_MRG_RXBUF);
	/* not multiqueue: some count pairs there, others queues */
	CHECK(!(ask_u64(GET_PROTOCOL_FEATURES) & 1));
	CHECK_EQ(ask_u64(GET_QUEUE_NUM), 2);
	CHECK(ask_u64(GET_MAX_MEM_SLOTS) >= 8);
	send_frame();
	CHECK_EQ(ups, 1);
	CHECK_EQ(frames_in, 1);
	stop(0, 0);
	stop(1, 1);
	/* once more, as after a reboot */
	for (unsigned q = 0; q < 2; q++) {
		vdriver_queue(&d, q, NUM);
		start(q, 0);
	}
	send_frame();
	CHECK_EQ(frames_in, 2);
	CHECK_EQ(downs, 0);
	close(kick[0]);
	close(kick[1]);
	close(call[0]);
	close(call[1]);
	teardown();
	CHECK_EQ(downs, 1);
}

static bool wants_kick(void)
{
	return !(d.ring[1].used->flags & VRING_USED_F_NO_NOTIFY);
}

/* A frame that no kick tells of, as the driver was told that none is needed */
static void held_frame(void)
{
	turns();
	vdriver_chain(&d, 1, 0, &(struct vdriver_buf){ A, 72 }, 1);
	CHECK(!wants_kick());
	turns();
}

/* What waits is read before the hypervisor says what becomes of the queue */
TEST(frames_that_wait)
{
	up(VHOST_NET_F_VERSION_1);
	hold_for = 100 * USEC_PER_SEC;
	send_frame();
	held_frame();
	CHECK_EQ(frames_in, 1);
	CHECK_EQ(ask_state(SET_VRING_ENABLE, 1, 0), 0);
	CHECK_EQ(frames_in, 2);
	CHECK(wants_kick());
	CHECK_EQ(ask_state(SET_VRING_ENABLE, 1, 1), 0);
	held_frame();
	stop(1, 3);
	CHECK_EQ(frames_in, 3);
	CHECK(wants_kick());
	start(1, 3);
	held_frame();
	CHECK_EQ(frames_in, 3);
	teardown();
	CHECK_EQ(frames_in, 4);
	for (unsigned q = 0; q < 2; q++) {
		close(kick[q]);
		close(call[q]);
	}
}

TEST(without_protocol_features)
{
	setup();
	say_u64(SET_FEATURES, VHOST_NET_F_VERSION_1);
	say_u64(SET_PROTOCOL_FEATURES, REPLY_ACK);
	set_memory();
	vdriver_queue(&d, 1, NUM);
	CHECK_EQ(ask_state(SET_VRING_NUM, 1, NUM), 0);
	CHECK_EQ(set_addr(1, 0, 0), 0);
	kick[1] = eventfd(0, EFD_NONBLOCK);
	CHECK_EQ(vring_fd(SET_VRING_KICK, 1, kick[1]), 0);
	send_frame();
	CHECK_EQ(frames_in, 1);
	close(kick[1]);
	teardown();
}

TEST(replies_where_asked_for)
{
	struct guestmem_region r = vdriver_region();
	uint32_t s[2] = { 9, NUM };
	uint64_t v;

	setup();
	/* not negotiated yet: no reply, and so no client */
	CHECK_EQ(ask_state(SET_VRING_NUM, 0, NUM), -1);
	say_u64(SET_PROTOCOL_FEATURES, REPLY_ACK);
	CHECK_EQ(ask_state(SET_VRING_NUM, 0, NUM), 0);
	CHECK_EQ(ask_state(SET_VRING_NUM, 0, 100), 1);
	CHECK_EQ(ask_state(SET_VRING_NUM, 2, NUM), 1);
	CHECK_EQ(ask_state(SET_VRING_ENABLE, 0, 2), 1);
	CHECK_EQ(ask(NET_SET_MTU, (uint64_t[]){ 67 }, 8, NULL, 0), 1);
	CHECK_EQ(ask(NET_SET_MTU, (uint64_t[]){ 9000 }, 8, NULL, 0), 0);
	CHECK_EQ(ask(SEND_RARP, (uint64_t[]){ 1 }, 8, NULL, 0), 0);
	CHECK_EQ(ask(RESET_OWNER, NULL, 0, NULL, 0), 0);
	CHECK_EQ(ask(SET_LOG_FD, NULL, 0, &d.fd, 1), 0);
	CHECK_EQ(ask(SET_FEATURES, (uint64_t[]){ 1ULL << 63 }, 8, NULL, 0), 1);
	CHECK_EQ(ask(99, NULL, 0, NULL, 0), 1);
	CHECK_EQ(ask(24, s, 8, NULL, 0), 1);
	CHECK_EQ(ask(REM_MEM_REG, (uint64_t[5]){ 0 }, 40, NULL, 0), 1);
	CHECK_EQ(vring_fd(SET_VRING_CALL, 0x100, -1), 0);
	CHECK_EQ(vring_fd(SET_VRING_CALL, 0x00, -1), 1);
	CHECK_EQ(vring_fd(SET_VRING_CALL, 0x100, d.fd), 1);
	CHECK_EQ(vring_fd(SET_VRING_KICK, 0x100, -1), 1);
	CHECK_EQ(vring_fd(SET_VRING_ERR, 0x1000, -1), 1);
	CHECK_EQ(vring_fd(SET_VRING_KICK, 0, d.fd), 1);
	/* what has an answer of its own has one, and no other */
	CHECK_EQ(ask(GET_QUEUE_NUM, NULL, 0, NULL, 0), 2);
	CHECK(!get(GET_QUEUE_NUM, &v, 8));
	/* nobody asked: what is not known does not matter */
	say(99, &r, sizeof(r));
	CHECK(!is_closed());
	teardown();
}

static void ends_the_client(uint32_t request, const void *payload,
			    uint32_t len, unsigned fds)
{
	int many[32];

	for (unsigned i = 0; i < 32; i++)
		many[i] = 0;
	setup();
	say_fds(request, payload, len, many, fds);
	CHECK(is_closed());
	teardown();
}

TEST(what_ends_the_client)
{
	static const uint8_t junk[512];
	uint64_t feature = 1ULL << 63;

	ends_the_client(SET_FEATURES, &feature, 8, 0);
	ends_the_client(SET_PROTOCOL_FEATURES, &feature, 8, 0);
	ends_the_client(SET_FEATURES, junk, 7, 0);
	ends_the_client(SET_VRING_ADDR, junk, 39, 0);
	ends_the_client(SET_VRING_NUM, junk, 8, 0);
	ends_the_client(GET_VRING_BASE, (uint32_t[]){ 2, 0 }, 8, 0);
	ends_the_client(SET_OWNER, NULL, 0, 1);
	ends_the_client(SET_MEM_TABLE, (uint32_t[]){ 1, 0 }, 8, 1);
	ends_the_client(SET_MEM_TABLE, (uint32_t[]){ 9, 0 }, 8, 0);
	ends_the_client(SET_MEM_TABLE, (uint32_t[72]){ 1, 0 }, 288, 2);
	ends_the_client(SET_MEM_TABLE, (uint32_t[10]){ 1, 0 }, 40, 0);
	ends_the_client(SET_MEM_TABLE, (uint32_t[10]){ ~0u, 0 }, 40, 0);
	ends_the_client(SET_MEM_TABLE, junk, 264, 9);
	ends_the_client(SET_MEM_TABLE, junk, 264, 32);
	ends_the_client(ADD_MEM_REG, junk, 40, 1);
	ends_the_client(ADD_MEM_REG, junk, 40, 0);
	ends_the_client(SET_LOG_BASE, junk, 16, 0);
	ends_the_client(SET_LOG_BASE, junk, 8, 1);
}

TEST(what_is_no_message)
{
	static const uint32_t heads[][3] = {
		{ GET_FEATURES, 0, 0 }, { GET_FEATURES, 2, 0 },
		{ GET_FEATURES, 5, 0 }, { GET_FEATURES, 1, 513 },
		{ GET_FEATURES, 1, ~0u },
	};

	for (unsigned i = 0; i < 5; i++) {
		setup();
		put(heads[i], 12, NULL, 0);
		turns();
		CHECK(is_closed());
		teardown();
	}
}

TEST(byte_by_byte_and_back_to_back)
{
	uint64_t features = PROTOCOL, v;
	uint8_t m[600];
	size_t len;

	setup();
	len = build(m, SET_FEATURES, 1, &features, 8);
	len += build(m + len, GET_FEATURES, 1, NULL, 0);
	for (size_t i = 0; i < len; i++) {
		put(m + i, 1, NULL, 0);
		turns();
	}
	CHECK(get(GET_FEATURES, &v, 8));
	for (unsigned i = 0; i < 100; i++)
		put(m, len, NULL, 0);
	turns();
	for (unsigned i = 0; i < 100; i++)
		CHECK(get(GET_FEATURES, &v, 8));
	/* cut short */
	put(m, 15, NULL, 0);
	turns();
	teardown();
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

TEST(descriptors_are_closed)
{
	int before, fds[8] = { 0 };

	/* those that are set aside are, from now on */
	setup();
	teardown();
	before = open_fds();
	up(VHOST_NET_F_VERSION_1);
	for (unsigned i = 0; i < 50; i++) {
		ask(99, NULL, 0, fds, 8);
		vring_fd(SET_VRING_CALL, 0, call[0]);
		vring_fd(SET_VRING_KICK, 1, kick[1]);
		vring_fd(SET_VRING_ERR, 1, kick[1]);
		set_memory();
	}
	for (unsigned i = 0; i < 2; i++) {
		close(kick[i]);
		close(call[i]);
	}
	teardown();
	CHECK_EQ(open_fds(), before);
}

/* Connections of the guest's have used up all: the hypervisor is heard even so */
TEST(no_descriptor_is_left)
{
	struct rlimit was, low;
	int fill[256];
	unsigned n = 0;

	up(VHOST_NET_F_VERSION_1);
	CHECK(!getrlimit(RLIMIT_NOFILE, &was));
	low = (struct rlimit){ 256, was.rlim_max };
	CHECK(!setrlimit(RLIMIT_NOFILE, &low));
	while (n < 256 && (fill[n] = dup(kick[0])) >= 0)
		n++;
	CHECK(n && n < 256);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(vring_fd(SET_VRING_CALL, 1, call[1]), 0);
	CHECK_EQ(dup(kick[0]), -1);
	send_frame();
	CHECK_EQ(frames_in, 1);
	while (n)
		close(fill[--n]);
	CHECK(!setrlimit(RLIMIT_NOFILE, &was));
	for (unsigned i = 0; i < 2; i++) {
		close(kick[i]);
		close(call[i]);
	}
	teardown();
}

TEST(regions_come_and_go)
{
	struct {
		uint64_t padding;
		struct guestmem_region r;
	} m = { 0, vdriver_region() };

	up(VHOST_NET_F_VERSION_1);
	send_frame();
	CHECK_EQ(frames_in, 1);
	CHECK_EQ(ask(REM_MEM_REG, &m, sizeof(m), NULL, 0), 0);
	send_frame();
	CHECK_EQ(frames_in, 1);
	CHECK_EQ(ask(ADD_MEM_REG, &m, sizeof(m), &d.fd, 1), 0);
	CHECK_EQ(frames_in, 2);
	CHECK_EQ(ask(ADD_MEM_REG, &m, sizeof(m), &d.fd, 1), 1);
	CHECK_EQ(ask(REM_MEM_REG, &m, sizeof(m), &d.fd, 1), 0);
	CHECK_EQ(downs, 0);
	for (unsigned i = 0; i < 2; i++) {
		close(kick[i]);
		close(call[i]);
	}
	teardown();
}

TEST(the_dirty_log)
{
	uint64_t log[2] = { 4096, VDRIVER_SIZE / 2 };
	uint8_t *bits;
	uint64_t v = 1;

	up(VHOST_NET_F_VERSION_1);
	bits = d.mem + VDRIVER_SIZE / 2;
	say_fds(SET_LOG_BASE, log, sizeof(log), &d.fd, 1);
	CHECK(get(SET_LOG_BASE, &v, 8));
	CHECK_EQ(v, 0);
	say_u64(SET_FEATURES, VHOST_NET_F_VERSION_1 | PROTOCOL | LOG_ALL);
	CHECK_EQ(set_addr(1, 1, 5 * 4096), 0);
	send_frame();
	CHECK_EQ(frames_in, 1);
	CHECK_EQ(bits[0], 1 << 5);
	bits[0] = 0;
	say_u64(SET_FEATURES, VHOST_NET_F_VERSION_1 | PROTOCOL);
	send_frame();
	CHECK_EQ(bits[0], 0);
	for (unsigned i = 0; i < 2; i++) {
		close(kick[i]);
		close(call[i]);
	}
	teardown();
}

TEST(device_reset)
{
	up(VHOST_NET_F_VERSION_1);
	send_frame();
	CHECK_EQ(ask(RESET_DEVICE, NULL, 0, NULL, 0), 0);
	send_frame();
	CHECK_EQ(frames_in, 1);
	for (unsigned q = 0; q < 2; q++) {
		close(kick[q]);
		close(call[q]);
		vdriver_queue(&d, q, NUM);
		start(q, 0);
	}
	send_frame();
	CHECK_EQ(frames_in, 2);
	for (unsigned i = 0; i < 2; i++) {
		close(kick[i]);
		close(call[i]);
	}
	teardown();
}

TEST(memory_cut_short_ends_the_client)
{
	up(VHOST_NET_F_VERSION_1);
	send_frame();
	CHECK(!ftruncate(d.fd, 0));
	notify(1);
	CHECK(is_closed());
	CHECK_EQ(downs, 1);
	CHECK_EQ(stops, 1);
	for (unsigned i = 0; i < 2; i++) {
		close(kick[i]);
		close(call[i]);
	}
	teardown();
}

int main(int argc, char **argv)
{
	log_init("test_vhost_user", LOG_LEVEL_ERR);
	return unit_main(argc, argv);
}
