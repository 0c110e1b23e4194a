// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tun: the link over a tap device in the guest's network namespace
 *
 * Each frame has a virtio_net header (IFF_VNET_HDR): checksums are never
 * computed here, and one frame of up to 64 KiB stands for many segments, both
 * ways, as far as the kernel takes the offloads (TUNSETOFFLOAD).
 *
 * In: a read() a frame, back to back in one buffer, as many as it holds; small
 * frames make large batches, large ones stay within the cache:
 *
 *	 | vnet|frame ....| vnet|frame| vnet|frame .....|      room for one?
 *	 |<------------------- TUN_RX_SIZE ----------------------------->|
 *
 * Out: a write() a frame, at once when it is committed: its payload is still in
 * the cache, and the kernel's other half works on it within the call. Memory is
 * cut from an arena, the header right before the payload:
 *
 *	 ^ tx.end
 *	 |     | vnet | hdr | payload, room bytes |     | vnet | hdr | ...
 *	       ^ slot                             ^ next slot, aligned
 *
 * What the device does not take (TUNSETSNDBUF) stays in the arena until it can
 * be written (EPOLLOUT). While the interface is down frames are dropped.
 *
 * Copies of ours: none. State: the device's watch, both buffers.
 *
 * Source: Documentation/networking/tuntap.rst, Linux 5.10 and later.
 */
#include "link/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/rtnl.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/stats.h"
#include "link/vnet.h"

#define TUN_DEVICE		"/dev/net/tun"
/** Frames that wait in the device for us. Linux has 500, and drops what is more:
 * the SYNs of some thousand connections opened at once, each of which then
 * waits for a second or more. One sender of many cannot fill it, its socket's
 * buffer is the limit.
 */
#define TUN_QUEUE_LEN		10000

/* Linux 6.2 */
#ifndef TUN_F_USO4
#define TUN_F_USO4		0x20
#define TUN_F_USO6		0x40
#endif

/** Largest frame: the largest IPv4 packet, and Ethernet */
#define TUN_FRAME_MAX		(65535 + ETH_HLEN_)
#define TUN_ALIGN		64
#define TUN_ROOM		(64 * 1024 + 4 * TUN_ALIGN)
/**
 * Ten of them: one sendmsg() and one acknowledgement for all where they are of
 * one flow. With many more, what is read first has left the core's cache when
 * it is sent
 */
#define TUN_RX_SIZE		(10 * TUN_ROOM)
/** Written one by one: four, which with what the kernel touches stay there */
#define TUN_TX_SIZE		(4 * TUN_ROOM)
/** Frames that may wait for the device */
#define TUN_TX_FRAMES		256

/* Payload of TCP over IPv4 is aligned where the frame is: we agree no options */
_Static_assert(VNET_HLEN + ETH_HLEN_ + IP4_HLEN + TCP_HLEN == TUN_ALIGN,
	       "most of what is copied is aligned");

static struct tun_conf tun_conf;
static struct watch tun_watch = { .fd = -1 };
static struct link_caps tun_link_caps;

/**
 * struct tun_rx - frames received
 * @dry:	nothing more waits, as far as this wake-up knows
 * @lost:	the device is gone: to be told by the handler
 * @iov:	one a frame
 * @buf:	the frames
 */
static struct tun_rx {
	bool dry;
	bool lost;
	struct iovec iov[LINK_BATCH];
	_Alignas(4096) uint8_t buf[TUN_RX_SIZE];
} rx;

/**
 * struct tun_tx - frames to send
 * @wait:	what the device did not take yet: [first, count)
 * @first:	first one waiting
 * @count:	behind the last one; equal: nothing waits
 * @end:	where the next loan begins
 * @stride:	bytes from a frame on loan to the next
 * @hlen:	its header's
 * @wanted:	a loan was refused or cut since
 * @armed:	EPOLLOUT is
 * @loan:	payload of the frames on loan
 * @arena:	their memory
 */
static struct tun_tx {
	struct iovec wait[TUN_TX_FRAMES];
	unsigned first;
	unsigned count;
	size_t end;
	size_t stride;
	size_t hlen;
	bool wanted;
	bool armed;
	struct iovec loan[LINK_BATCH];
	_Alignas(4096) uint8_t arena[TUN_TX_SIZE];
} tx;

/* How many bytes, or a negative error code */
static ssize_t tun_read(uint8_t *buf)
{
	ssize_t n;

	do
		n = read(tun_watch.fd, buf, VNET_HLEN + TUN_FRAME_MAX);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Junk counts as a frame, or a guest could keep us here */
static unsigned tun_receive(struct frame *frames, unsigned max)
{
	size_t end = 0;
	unsigned n = 0;

	for (unsigned reads = 0; reads < max && !rx.dry; reads++) {
		uint8_t *p = rx.buf + end;
		ssize_t got;

		if (sizeof(rx.buf) - end < VNET_HLEN + TUN_FRAME_MAX)
			break;
		got = tun_read(p);
		/*
		 * A frame that the kernel had no header for ("unexpected GSO
		 * type" in its log), and has dropped
		 */
		if (got == -EINVAL) {
			drop(DROP_VNET);
			continue;
		}
		if (got <= 0) {
			rx.dry = true;
			rx.lost = got != -EAGAIN;
			break;
		}
		if (got < VNET_HLEN + ETH_HLEN_) {
			drop(DROP_SHORT);
			continue;
		}
		rx.iov[n] = (struct iovec){ p + VNET_HLEN,
					    (size_t)got - VNET_HLEN };
		frames[n] = (struct frame){ .iov = &rx.iov[n], .cnt = 1,
					    .len = rx.iov[n].iov_len };
		if (!vnet_read(p, &frames[n]))
			continue;
		n++;
		end += ((size_t)got + TUN_ALIGN - 1) / TUN_ALIGN * TUN_ALIGN;
	}
	return n;
}

/* Frames stay where they are until the next receive */
static void tun_release(void)
{
}

/* Write one frame. Return: false: the device takes none now */
static bool tun_write(const void *p, size_t len)
{
	ssize_t n;

	do
		n = write(tun_watch.fd, p, len);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return false;
	/* EIO: the interface is down; EINVAL: refused; ENOBUFS, ENOMEM */
	if (n < 0)
		drop(DROP_NO_ROOM);
	return true;
}

static bool tun_is_blocked(void)
{
	return tx.first < tx.count;
}

/* Write what waits, as far as the device takes it */
static void tun_push(void)
{
	while (tun_is_blocked()) {
		const struct iovec *v = &tx.wait[tx.first];

		if (!tun_write(v->iov_base, v->iov_len))
			return;
		tx.first++;
	}
	tx.first = tx.count = 0;
	tx.end = 0;
}

/* How many of @n frames fit */
static unsigned tun_fit(unsigned n)
{
	size_t fit = (sizeof(tx.arena) - tx.end) / tx.stride;

	if (fit > TUN_TX_FRAMES - tx.count)
		fit = TUN_TX_FRAMES - tx.count;
	return fit < n ? (unsigned)fit : n;
}

/* Bytes before the payload, so that it is aligned */
static size_t tun_lead(size_t hlen)
{
	return (VNET_HLEN + hlen + TUN_ALIGN - 1) / TUN_ALIGN * TUN_ALIGN;
}

static unsigned tun_reserve(struct loan *loans, unsigned n, size_t hlen,
			    size_t room)
{
	size_t lead = tun_lead(hlen);
	unsigned lent;

	if (tun_watch.fd < 0)
		return 0;
	tx.hlen = hlen;
	tx.stride = lead + (room + TUN_ALIGN - 1) / TUN_ALIGN * TUN_ALIGN;
	lent = tun_fit(n);
	tx.wanted |= lent < n && tun_is_blocked();
	for (unsigned i = 0; i < lent; i++) {
		uint8_t *p = tx.arena + tx.end + i * tx.stride + lead;

		tx.loan[i] = (struct iovec){ p, room };
		loans[i] = (struct loan){ .hdr = p - hlen, .iov = &tx.loan[i],
					  .cnt = 1 };
	}
	return lent;
}

static void tun_commit(struct loan *loans, unsigned n)
{
	size_t begin = tx.end;

	for (unsigned i = 0; i < n; i++) {
		uint8_t *p = loans[i].hdr - VNET_HLEN;
		size_t len = VNET_HLEN + tx.hlen + loans[i].len;

		vnet_put(p, &loans[i], tx.hlen);
		if (!tun_is_blocked() && tun_write(p, len))
			continue;
		tx.wait[tx.count++] = (struct iovec){ p, len };
		tx.end = begin + (i + 1) * tx.stride;
	}
}

static void tun_flush(void)
{
	bool arm = tun_is_blocked() || tx.wanted;

	if (arm == tx.armed || tun_watch.fd < 0)
		return;
	tx.armed = arm;
	if (loop_mod(&tun_watch, EPOLLIN | (arm ? EPOLLOUT : 0)))
		rx.lost = true;
}

static const struct link_caps *tun_caps(void)
{
	return &tun_link_caps;
}

static void tun_close(void)
{
	if (tun_watch.fd >= 0)
		close(tun_watch.fd);
	tun_watch.fd = -1;
}

static const struct link_ops tun_ops = {
	.name = "tap",
	.receive = tun_receive,
	.release = tun_release,
	.reserve = tun_reserve,
	.commit = tun_commit,
	.flush = tun_flush,
	.caps = tun_caps,
	.close = tun_close,
};

/* The device was deleted */
static void tun_leave(usec_t now)
{
	loop_del(&tun_watch);
	tun_close();
	tx.first = tx.count = 0;
	tx.end = 0;
	link_events()->down(now);
	if (tun_conf.gone)
		tun_conf.gone();
}

static void tun_on_event(struct watch *w, uint32_t events, usec_t now)
{
	(void)w;
	if (events & EPOLLOUT)
		tun_push();
	if (!tun_is_blocked() && tx.wanted) {
		tx.wanted = false;
		link_events()->writable(now);
	}
	if (events & EPOLLIN) {
		rx.dry = false;
		link_events()->readable(now);
	}
	if (rx.lost || events & (EPOLLERR | EPOLLHUP))
		tun_leave(now);
}

static void tun_write_queue(struct out *o, const void *item)
{
	const struct ifinfomsg m = { .ifi_family = AF_UNSPEC };
	const char *ifname = item;

	out_bytes(o, &m, sizeof(m));
	rtnl_put(o, IFLA_IFNAME, ifname, strlen(ifname) + 1);
	rtnl_put_u32(o, IFLA_TXQLEN, TUN_QUEUE_LEN);
}

/* By rtnetlink: SIOCSIFTXQLEN takes privileges outside the namespace */
static int tun_lengthen(const char *ifname)
{
	struct rtnl_job job = { .write = tun_write_queue, .type = RTM_NEWLINK,
				.item = ifname, .rc = RTNL_PENDING };
	int rc, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	rc = rtnl_run(fd, &job, 1);
	close(fd);
	return rc ? rc : job.rc;
}

/**
 * tun_open() - Make the tap device, in the network namespace we are in
 * @ifname:	its name
 * @mac:	its address, 6 bytes, or NULL: the kernel chooses
 *
 * The kernel's default for what waits in it would lose bursts of datagrams; to
 * ask for more may fail.
 *
 * Return: descriptor for struct tun_conf, or a negative error code: -ENOENT,
 * -EACCES, -ENODEV: no device node, -EPERM: no right to, -EBUSY: the name is
 * taken, -EINVAL: it is none, or a tap device of another kind
 */
int tun_open(const char *ifname, const uint8_t *mac)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd, rc = 0;

	if (strlen(ifname) >= sizeof(ifr.ifr_name))
		return -EINVAL;
	fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	strcpy(ifr.ifr_name, ifname);
	if (ioctl(fd, TUNSETIFF, &ifr))
		rc = -errno;
	if (!rc && mac) {
		ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
		if (ioctl(fd, SIOCSIFHWADDR, &ifr))
			rc = -errno;
	}
	if (rc) {
		close(fd);
		return rc;
	}
	rc = tun_lengthen(ifr.ifr_name);
	if (rc)
		debug("%s: queue as the kernel has it: %s", ifr.ifr_name,
		      strerror(-rc));
	return fd;
}

/* Ask for all offloads, or for as many as the kernel grants */
static void tun_offload(int fd)
{
	static const unsigned steps[] = {
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN |
			TUN_F_USO4 | TUN_F_USO6,
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
		TUN_F_CSUM,
		0,
	};
	unsigned i = 0;

	while (steps[i] && ioctl(fd, TUNSETOFFLOAD, (unsigned long)steps[i]))
		i++;
	tun_link_caps = (struct link_caps){
		.gso_tcp = steps[i] & TUN_F_TSO4,
		.gso_udp = steps[i] & TUN_F_USO4,
		.csum = steps[i] & TUN_F_CSUM,
		.max_frame = TUN_FRAME_MAX,
	};
	debug("Tap device: checksum offload %s, TCP segments %s, UDP %s",
	      tun_link_caps.csum ? "yes" : "no",
	      tun_link_caps.gso_tcp ? "yes" : "no",
	      tun_link_caps.gso_udp ? "yes" : "no");
}

/**
 * tun_init() - Set the link up; nothing happens until tun_start()
 * @c:		configuration, copied
 *
 * To be called before the system call filter: asks for the offloads.
 *
 * Return: the transport, for link_init()
 */
const struct link_ops *tun_init(const struct tun_conf *c)
{
	int le = 1, hlen = VNET_HLEN;

	tun_conf = *c;
	tun_watch = (struct watch){ .fn = tun_on_event, .fd = c->fd };
	rx.dry = rx.lost = false;
	tx.first = tx.count = 0;
	tx.end = 0;
	tx.wanted = tx.armed = false;
	/* Else the machine's byte order; those it fails on have no other */
	ioctl(c->fd, TUNSETVNETLE, &le);
	/* A device that was there before has what was asked of it last */
	ioctl(c->fd, TUNSETVNETHDRSZ, &hlen);
	tun_offload(c->fd);
	return &tun_ops;
}

/**
 * tun_start() - Serve the guest
 * @now:	time
 *
 * The loop, the link and its user are initialised before.
 *
 * Return: 0, or a negative error code
 */
int tun_start(usec_t now)
{
	int rc = loop_add(&tun_watch, EPOLLIN);

	if (!rc)
		link_events()->up(now);
	return rc;
}
