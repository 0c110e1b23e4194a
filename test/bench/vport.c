// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vport: a vhost-user front-end and virtio driver of the least kind, for peer.c
 *
 * What Linux' driver negotiates and does: merged receive buffers of a page,
 * event indices, checksums and segments left to the other side. No copy: what
 * is received is looked at where it lies, what is sent is a header and zeros of
 * each slot's own. A small frame is one buffer, as the linear skb of a datagram
 * is there; of a larger one the payload is another.
 */
#define _GNU_SOURCE
#include "vport.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NUM		256
#define RX_SIZE		(4096 - 64)
#define RX_STRIDE	4096
#define HEAD		4096
#define ZEROS		65536
#define GUEST		0x40000000ull
#define RINGS		(1u << 20)
#define SIZE		(RINGS + NUM * RX_STRIDE + NUM * (ZEROS + HEAD))
#define HLEN		sizeof(struct virtio_net_hdr_v1)

#define RX		0
#define TX		1

static struct vring ring[2];
static int sock, kick[2], call[2];
static uint8_t *mem;
static uint16_t seen[2], avail[2], told[2];
static uint16_t slots[NUM];
static unsigned n_slots;

static uint8_t *rx_buf(unsigned i)
{
	return mem + RINGS + i * RX_STRIDE;
}

static uint8_t *tx_head(unsigned i)
{
	return mem + RINGS + NUM * RX_STRIDE + i * (ZEROS + HEAD);
}

static uint64_t address(const void *p)
{
	return GUEST + (uint64_t)((const uint8_t *)p - mem);
}

static void die(const char *what)
{
	fprintf(stderr, "vport: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void say(uint32_t request, const void *payload, uint32_t len, int fd)
{
	struct {
		uint32_t request, flags, size;
		uint8_t payload[512];
	} m = { .request = request, .flags = 1, .size = len };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct iovec iov = { &m, 12 + len };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	memcpy(m.payload, payload, len);
	if (fd >= 0) {
		h.msg_control = control;
		h.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(sock, &h, MSG_NOSIGNAL) != 12 + (ssize_t)len)
		die("message");
}

static uint64_t ask(uint32_t request)
{
	struct {
		uint32_t head[3];
		uint64_t v;
	} __attribute__((packed)) m;

	say(request, "", 0, -1);
	if (recv(sock, &m, sizeof(m), MSG_WAITALL) != sizeof(m))
		die("reply");
	return m.v;
}

static void offer(int q, uint16_t head)
{
	ring[q].avail->ring[avail[q]++ % NUM] = head;
}

static void start(uint32_t q)
{
	uint64_t addr[5] = { q, address(ring[q].desc) - GUEST,
			     address(ring[q].used) - GUEST,
			     address(ring[q].avail) - GUEST, 0 }, v = q;

	say(8, (uint32_t[2]){ q, NUM }, 8, -1);
	say(10, (uint32_t[2]){ q, 0 }, 8, -1);
	say(9, addr, sizeof(addr), -1);
	say(12, &v, 8, kick[q]);
	say(13, &v, 8, call[q]);
	say(18, (uint32_t[2]){ q, 1 }, 8, -1);
}

static void set_up(int fd)
{
	const uint64_t want = 1ull << 32 | 1 << 15 | 1 << 30 | 1 << 29 |
			      1 << 28 | 3 | 3 << 7 | 3 << 11 | 7ull << 54;
	uint64_t features = ask(1) & want;
	struct {
		uint32_t n[2];
		uint64_t region[4];
	} table = { { 1, 0 }, { GUEST, SIZE, 0, 0 } };

	say(2, &features, 8, -1);
	say(3, "", 0, -1);
	say(5, &table, sizeof(table), fd);
	for (int q = 0; q < 2; q++) {
		vring_init(&ring[q], NUM, mem + q * (RINGS / 2), 4096);
		kick[q] = eventfd(0, EFD_NONBLOCK);
		call[q] = eventfd(0, EFD_NONBLOCK);
		start(q);
	}
}

/* Where connected, what poll() tells the end of */
int vport_open(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = memfd_create("peer", MFD_CLOEXEC);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(sock, (void *)&un, sizeof(un)) || ftruncate(fd, SIZE))
		die(path);
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_POPULATE, fd, 0);
	if (mem == MAP_FAILED)
		die("memory");
	set_up(fd);
	for (uint16_t i = 0; i < NUM; i++) {
		ring[RX].desc[i] = (struct vring_desc){
			address(rx_buf(i)), RX_SIZE, VRING_DESC_F_WRITE, 0 };
		offer(RX, i);
		if (i % 2)
			continue;
		slots[n_slots++] = i;
	}
	eventfd_write(kick[TX], 1);
	vport_kick();
	return sock;
}

static void kick_one(int q)
{
	uint16_t old = told[q];

	if (old == avail[q])
		return;
	__atomic_store_n(&ring[q].avail->idx, avail[q], __ATOMIC_RELEASE);
	told[q] = avail[q];
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vring_need_event(vring_avail_event(&ring[q]), avail[q], old))
		eventfd_write(kick[q], 1);
}

/* Let the device see what was sent, and the buffers that were given back */
void vport_kick(void)
{
	kick_one(TX);
	kick_one(RX);
}

static bool has_used(int q)
{
	return __atomic_load_n(&ring[q].used->idx, __ATOMIC_ACQUIRE) != seen[q];
}

static void reap(void)
{
	while (has_used(TX))
		slots[n_slots++] = (uint16_t)
			ring[TX].used->ring[seen[TX]++ % NUM].id;
}

/* False: the ring is full */
bool vport_send(const struct vport_frame *f)
{
	struct virtio_net_hdr_v1 h = {
		.flags = f->csum_start ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0,
		.gso_type = f->gso_type, .gso_size = f->gso_size,
		.csum_start = f->csum_start, .csum_offset = f->csum_off,
		.hdr_len = f->hlen,
	};
	struct vring_desc *d;
	uint8_t *p;
	uint16_t i;

	if (!n_slots)
		reap();
	if (!n_slots)
		return false;
	i = slots[--n_slots];
	p = tx_head(i);
	memcpy(p, &h, HLEN);
	memcpy(p + HLEN, f->head, f->hlen);
	d = &ring[TX].desc[i];
	d[0] = (struct vring_desc){ address(p), HLEN + f->len, 0, 0 };
	if (HLEN + f->len > HEAD) {
		d[0].len = HLEN + f->hlen;
		d[0].flags = VRING_DESC_F_NEXT;
		d[0].next = i + 1;
		d[1] = (struct vring_desc){ address(p + HEAD), f->len - f->hlen,
					    0, 0 };
	}
	offer(TX, i);
	return true;
}

/* Hand each frame to @fn, as far as it lies in one buffer. Return: frames */
unsigned vport_receive(void (*fn)(const uint8_t *frame, size_t len))
{
	unsigned n = 0;

	while (has_used(RX)) {
		struct vring_used_elem e =
			ring[RX].used->ring[seen[RX]++ % NUM];
		struct virtio_net_hdr_v1 h;
		size_t len = e.len - HLEN;

		memcpy(&h, rx_buf(e.id), HLEN);
		fn(rx_buf(e.id) + HLEN, len);
		offer(RX, (uint16_t)e.id);
		for (unsigned i = 1; i < h.num_buffers; i++) {
			while (!has_used(RX))
				continue;
			offer(RX, (uint16_t)
			      ring[RX].used->ring[seen[RX]++ % NUM].id);
		}
		n++;
	}
	return n;
}

/* Sleep until something was received, or (@room) may be sent */
void vport_wait(int ms, bool room)
{
	struct pollfd p[3] = { { .fd = call[RX], .events = POLLIN },
			       { .fd = call[TX], .events = POLLIN },
			       { .fd = sock, .events = POLLIN } };
	eventfd_t n;

	vring_used_event(&ring[RX]) = seen[RX];
	vring_used_event(&ring[TX]) = room ? seen[TX] :
				      (uint16_t)(seen[TX] + 0x8000);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (has_used(RX) || (room && has_used(TX)) || !ms)
		return;
	if (poll(p, 3, ms) < 0)
		die("poll");
	if (p[2].revents) {
		errno = ECONNRESET;
		die("the daemon went away");
	}
	if (p[0].revents)
		eventfd_read(call[RX], &n);
	if (p[1].revents)
		eventfd_read(call[TX], &n);
}
