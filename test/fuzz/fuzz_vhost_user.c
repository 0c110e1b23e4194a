// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_vhost_user: any messages of a hypervisor, any bytes in the rings and in
 * the descriptors of a guest, with frames both ways
 *
 * The input is a list of records, each begins with a byte:
 *
 *	0x00	message: request, flags (0x80: reply wanted; 0x70: how many
 *		descriptors; 0x03: what they are), length, payload
 *	0x01	write to memory: offset / 16 (2 bytes, big-endian), length, bytes
 *	0x02	kick: queue
 *	0x03	frames to the guest: how many, room / 256
 *	0x04	set up as a good driver does: features (8 bytes)
 *	0x05	the memory file's length / 4096 (2 bytes)
 *	0x06	offer a chain: queue, first descriptor
 *	0x07	message in two parts: where it is cut; then as 0x00
 *	0x08	offer a chain as a good driver does: queue, buffers, bytes of
 *		each (2 bytes), length, bytes for the first
 *
 * of which what is left of a division by 9 counts, so that any byte is one.
 * After each record the loop turns. Frames received are read, loans written, to
 * their last byte. In the end the hypervisor leaves: the guest must have left as
 * often as it came, and no descriptor may be left open. How many records and
 * frames, both ways, there were is said in the end.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "link/vhost_net.h"
#include "link/vhost_user.h"
#include "test/fuzz/link_user.h"
#include "test/unit/vdriver.h"

#define NUM	16u
#define RECORDS	9u
#define CHAIN	4u
#define BUFFER	(64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vdriver d;
static int peer, null_fd, events[2];
static unsigned long long records;

static void on_readable(usec_t t)
{
	(void)t;
	for (unsigned batch = 0; batch < 4; batch++) {
		if (!read_batch(65549))
			return;
	}
}

static const struct link_events link_user = { on_readable, on_writable, on_up,
					      on_down };

/* The sanitizers' own way out does not come by here: there was a finding */
__attribute__((destructor)) static void tell_frames(void)
{
	fprintf(stderr, "%llu records, %llu frames\n", records, frames);
}

/* A message of @len bytes, in two parts if @cut is within */
static void put(const uint8_t *m, size_t len, uint8_t flags, size_t cut)
{
	int fds[8];
	const int kinds[4] = { d.fd, events[0], events[1], null_fd };
	unsigned n = flags >> 4 & 7;
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(fds))];
	struct iovec iov = { (void *)(uintptr_t)m, len };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	memset(control, 0, sizeof(control));
	for (unsigned i = 0; i < n; i++)
		fds[i] = kinds[flags & 3];
	if (n) {
		h.msg_control = control;
		h.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	if (cut && cut < len) {
		iov.iov_len = cut;
		if (sendmsg(peer, &h, MSG_NOSIGNAL) < 0)
			return;
		turn();
		iov = (struct iovec){ (void *)(uintptr_t)(m + cut), len - cut };
		h.msg_control = NULL;
		h.msg_controllen = 0;
	}
	if (sendmsg(peer, &h, MSG_NOSIGNAL) < 0)
		return;
	turn();
}

static void message(uint32_t request, uint8_t flags, const void *payload,
		    uint32_t len, size_t cut)
{
	uint32_t head[3] = { request, flags & 0x80 ? 9 : 1, len };
	uint8_t m[12 + 256], reply[512];

	memcpy(m, head, sizeof(head));
	if (len)
		memcpy(m + 12, payload, len);
	put(m, 12 + len, flags, cut);
	while (recv(peer, reply, sizeof(reply), MSG_DONTWAIT) > 0)
		continue;
}

static void good_setup(const uint8_t *features)
{
	struct guestmem_region r = vdriver_region();
	uint64_t v, f;

	memcpy(&f, features, 8);
	f = (f & VHOST_NET_FEATURES) | 1ULL << 30;
	message(2, 0, &f, 8, 0);
	memcpy(d.mem + VDRIVER_BUFFERS, (uint32_t[2]){ 1, 0 }, 8);
	memcpy(d.mem + VDRIVER_BUFFERS + 8, &r, sizeof(r));
	message(5, 0x10, d.mem + VDRIVER_BUFFERS, 8 + sizeof(r), 0);
	for (uint32_t q = 0; q < 2; q++) {
		struct virtq_addr a = vdriver_addr(&d, q);
		uint64_t addr[5] = { q, a.desc, a.used, a.avail, 0 };

		message(8, 0, (uint32_t[2]){ q, NUM }, 8, 0);
		message(9, 0, addr, sizeof(addr), 0);
		v = q;
		message(12, (uint8_t)(0x10 | (1 + q)), &v, 8, 0);
		message(18, 0, (uint32_t[2]){ q, 1 }, 8, 0);
		eventfd_write(events[q], 1);
	}
	turn();
}

static void offer(unsigned q, uint16_t head)
{
	vdriver_avail(&d, q & 1, head);
}

static void good_chain(struct cur *c)
{
	unsigned q = cur_u8(c) & 1, n = 1 + cur_u8(c) % CHAIN;
	unsigned i = d.ring[q].avail->idx % (NUM / CHAIN) * CHAIN;
	struct vdriver_buf bufs[CHAIN];
	uint32_t each = cur_be16(c);
	size_t len = cur_u8(c);
	const uint8_t *p;

	len = len < c->left ? len : c->left;
	p = cur_take(c, len);
	for (unsigned j = 0; j < n; j++) {
		bufs[j] = (struct vdriver_buf){
			VDRIVER_BUFFERS + (q * NUM + i + j) * BUFFER, each };
	}
	if (p)
		memcpy(d.mem + bufs[0].off, p, len);
	vdriver_chain(&d, q, i, bufs, n);
	eventfd_write(events[q], 1);
}

static void write_memory(struct cur *c)
{
	size_t off = cur_be16(c) * 16u, len = cur_u8(c);
	const uint8_t *p;

	len = len < c->left ? len : c->left;
	p = cur_take(c, len);
	if (p)
		memcpy(d.mem + off, p, len);
}

static void record(struct cur *c)
{
	uint8_t type = cur_u8(c) % RECORDS, request, flags, len;
	const uint8_t *p;
	size_t cut = 0;

	records++;
	switch (type) {
	case 7:
		cut = cur_u8(c);
		/* fall through */
	case 0:
		request = cur_u8(c);
		flags = cur_u8(c);
		len = cur_u8(c);
		len = len < c->left ? len : (uint8_t)c->left;
		p = cur_take(c, len);
		message(request, flags, p, len, cut);
		break;
	case 1:
		write_memory(c);
		break;
	case 2:
		eventfd_write(events[cur_u8(c) & 1], 1);
		break;
	case 3:
		flags = cur_u8(c);
		send_frames(flags, cur_u8(c) * 256u);
		break;
	case 4:
		p = cur_take(c, 8);
		if (p)
			good_setup(p);
		break;
	case 5:
		if (ftruncate(d.fd, cur_be16(c) * 4096L))
			abort();
		break;
	case 6:
		flags = cur_u8(c);
		offer(flags, cur_u8(c));
		break;
	case 8:
		good_chain(c);
		break;
	}
	turn();
}

static void setup(void)
{
	static const struct server_conf conf = { -1, -1, false, on_stop };
	struct server_conf c = conf;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv))
		abort();
	peer = sv[1];
	c.fd = sv[0];
	ups = downs = stops = 0;
	link_init(vhost_user_init(&c), &link_user);
	if (server_start(now))
		abort();
}

static void setup_once(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	log_init("fuzz", LOG_LEVEL_ERR);
	if (loop_init() || timer_init(now) < 0)
		abort();
	null_fd = open("/dev/null", O_RDWR);
	for (unsigned i = 0; i < 2; i++)
		events[i] = eventfd(0, EFD_NONBLOCK);
	d.fd = memfd_create("guest", MFD_CLOEXEC);
}

/* The file may have been cut: another mapping of a whole one for each input */
static void memory_new(void)
{
	if (ftruncate(d.fd, 0) || ftruncate(d.fd, VDRIVER_SIZE))
		abort();
	d.mem = mmap(NULL, VDRIVER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		     d.fd, 0);
	if (d.mem == MAP_FAILED)
		abort();
	vdriver_queue(&d, 0, NUM);
	vdriver_queue(&d, 1, NUM);
}

/* Not the lowest free one: which descriptors are set aside changes */
static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cur c = cur_of(data, size);
	int before, after;

	setup_once();
	memory_new();
	setup();
	/* but for both ends of the connection */
	before = open_fds() - 2;
	while (c.left && !stops) {
		/* Our own accesses are not to fail */
		if (c.p[0] % RECORDS != 5 && ftruncate(d.fd, VDRIVER_SIZE))
			abort();
		record(&c);
	}
	close(peer);
	for (unsigned i = 0; i < 3; i++)
		turn();
	assert(stops == 1 && ups == downs);
	link_close();
	after = open_fds();
	assert(before == after);
	munmap(d.mem, VDRIVER_SIZE);
	return 0;
}
