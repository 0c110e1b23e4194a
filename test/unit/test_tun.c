// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tap link: over a pair of sockets that keep message boundaries, as the
 * device does, where it is to be full, or gone; and over a real device in a
 * namespace of the test's own, against the kernel's stack
 */
#include "link/tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/stats.h"
#include "link/vnet.h"
#include "test/unit/hostns.h"
#include "test/unit/unit.h"

#define MAX_FRAME	(65535 + 14)
#define TAP		"tap7"
/* The namespace's address on the device, and the one that is not there */
#define NS_ADDR		"192.0.2.2"
#define OUR_ADDR	"192.0.2.1"

static unsigned drops, ups, downs, writables, gones;
static enum drop_reason last_drop;
static unsigned got_frames;
static struct frame got[LINK_BATCH];
static struct iovec got_iov[LINK_BATCH];
static uint8_t got_data[LINK_BATCH][MAX_FRAME];
static unsigned batches_per_turn;
static int peer = -1;

bool drop(enum drop_reason why)
{
	last_drop = why;
	drops++;
	return false;
}

void stat_add(enum stat_counter what, uint64_t n)
{
	(void)what;
	(void)n;
}

/* Keeps frames, copied */
static void on_readable(usec_t now)
{
	struct frame f[LINK_BATCH];

	(void)now;
	for (unsigned b = 0; b < batches_per_turn; b++) {
		unsigned n = link_receive(f, LINK_BATCH);

		if (!n)
			return;
		for (unsigned i = 0; i < n && got_frames < LINK_BATCH; i++) {
			unsigned k = got_frames++;

			CHECK_EQ(f[i].cnt, 1);
			CHECK_EQ(f[i].iov[0].iov_len, f[i].len);
			memcpy(got_data[k], f[i].iov[0].iov_base, f[i].len);
			got[k] = f[i];
			got_iov[k] = (struct iovec){ got_data[k], f[i].len };
			got[k].iov = &got_iov[k];
		}
		link_release();
	}
}

static void on_writable(usec_t now)
{
	(void)now;
	writables++;
}

static void on_up(usec_t now)
{
	(void)now;
	ups++;
}

static void on_down(usec_t now)
{
	struct loan l;

	(void)now;
	downs++;
	CHECK(!link_reserve(&l, 1, 14, 40));
}

static void on_gone(void)
{
	CHECK_EQ(downs, 1);
	gones++;
}

static const struct link_events events = { on_readable, on_writable, on_up,
					   on_down };

static void setup(int fd)
{
	static bool loop_made;
	struct tun_conf c = { fd, on_gone };

	if (!loop_made)
		CHECK(!loop_init());
	loop_made = true;
	drops = ups = downs = writables = gones = got_frames = 0;
	batches_per_turn = 1000;
	link_init(tun_init(&c), &events);
	CHECK(!tun_start(1));
	CHECK_EQ(ups, 1);
}

static void setup_pair(void)
{
	int sv[2];

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv));
	peer = sv[1];
	setup(sv[0]);
}

static void teardown(void)
{
	link_close();
	if (peer >= 0)
		close(peer);
	peer = -1;
}

static int turn(void)
{
	int n = loop_wait(0);

	loop_dispatch(n, 1);
	link_flush();
	return n;
}

/* What the device would hand us: header and frame of @len bytes */
static void feed(const struct virtio_net_hdr *v, size_t len)
{
	static uint8_t b[VNET_HLEN + MAX_FRAME + 100];

	memset(b, 0, sizeof(b));
	if (v)
		memcpy(b, v, VNET_HLEN);
	for (size_t i = 0; i < len; i++)
		b[VNET_HLEN + i] = (uint8_t)(i + len);
	CHECK_EQ(send(peer, b, VNET_HLEN + len, 0), VNET_HLEN + len);
}

static bool is_fed(unsigned i, size_t len)
{
	if (i >= got_frames || got[i].len != len)
		return false;
	for (size_t k = 0; k < len; k++) {
		if (got_data[i][k] != (uint8_t)(k + len))
			return false;
	}
	return true;
}

TEST(no_offload_without_a_device)
{
	setup_pair();
	CHECK(!link_caps()->csum && !link_caps()->gso_tcp &&
	      !link_caps()->gso_udp);
	CHECK_EQ(link_caps()->max_frame, MAX_FRAME);
	teardown();
}

TEST(receive)
{
	static const size_t len[] = { 14, 60, 1514, 65549, 15, 64, 54 };

	setup_pair();
	for (unsigned i = 0; i < 7; i++)
		feed(NULL, len[i]);
	turn();
	CHECK_EQ(got_frames, 7);
	for (unsigned i = 0; i < 7; i++)
		CHECK(is_fed(i, len[i]));
	CHECK_EQ(drops, 0);
	teardown();
}

TEST(receive_in_small_bites)
{
	setup_pair();
	batches_per_turn = 1;
	for (unsigned i = 0; i < 3; i++)
		feed(NULL, 60000);
	turn();
	CHECK(got_frames >= 1);
	turn();
	turn();
	CHECK_EQ(got_frames, 3);
	CHECK(is_fed(2, 60000));
	CHECK_EQ(turn(), 0);
	teardown();
}

TEST(receive_junk)
{
	struct virtio_net_hdr v = { .gso_type = 77, .gso_size = 1 };
	uint8_t b[VNET_HLEN + 13] = { 0 };

	setup_pair();
	CHECK_EQ(send(peer, b, sizeof(b), 0), sizeof(b));
	CHECK_EQ(send(peer, b, 1, 0), 1);
	feed(&v, 60);
	feed(NULL, 61);
	turn();
	CHECK_EQ(drops, 3);
	CHECK_EQ(last_drop, DROP_VNET);
	CHECK_EQ(got_frames, 1);
	CHECK(is_fed(0, 61));
	teardown();
}

/* A flood of it does not keep us from the rest of the loop */
TEST(receive_junk_only)
{
	unsigned sent = 0;
	uint8_t b = 0;

	setup_pair();
	while (send(peer, &b, 1, MSG_DONTWAIT) == 1)
		sent++;
	batches_per_turn = 1;
	turn();
	CHECK_EQ(got_frames, 0);
	CHECK(drops && drops <= LINK_BATCH);
	for (unsigned i = 0; i < sent; i++)
		turn();
	CHECK_EQ(drops, sent);
	teardown();
}

/* One frame of @hlen header and @len payload bytes; each byte is @mark */
static unsigned commit(unsigned n, size_t hlen, size_t len, uint8_t mark)
{
	struct loan l[LINK_BATCH];
	unsigned lent = link_reserve(l, n, hlen, len);

	for (unsigned i = 0; i < lent; i++) {
		CHECK_EQ(l[i].cnt, 1);
		CHECK(l[i].iov[0].iov_len >= len);
		CHECK(!l[i].gso_size && !l[i].csum_start && !l[i].csum_off);
		memset(l[i].hdr, mark + i, hlen);
		memset(l[i].iov[0].iov_base, mark + i, len);
		l[i].len = len;
	}
	link_commit(l, lent);
	return lent;
}

static bool take(size_t len, uint8_t mark)
{
	static uint8_t b[VNET_HLEN + MAX_FRAME + 1];
	ssize_t n = recv(peer, b, sizeof(b), MSG_DONTWAIT);

	if (n != (ssize_t)(VNET_HLEN + len))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (b[VNET_HLEN + i] != mark)
			return false;
	}
	return !b[0] && !b[1];
}

TEST(send_at_once)
{
	setup_pair();
	CHECK_EQ(commit(3, 54, 1000, 1), 3);
	CHECK_EQ(commit(1, 42, 0, 9), 1);
	for (uint8_t i = 1; i < 4; i++)
		CHECK(take(1054, i));
	CHECK(take(42, 9));
	CHECK_EQ(commit(1, 60, 65489, 10), 1);
	CHECK(take(65549, 10));
	teardown();
}

TEST(commit_fewer)
{
	struct loan l[4];

	setup_pair();
	CHECK_EQ(link_reserve(l, 4, 54, 100), 4);
	memset(l[0].hdr, 5, 54);
	memset(l[0].iov[0].iov_base, 5, 100);
	l[0].len = 30;
	link_commit(l, 1);
	CHECK(take(84, 5));
	CHECK_EQ(link_reserve(l, 4, 54, 100), 4);
	link_commit(l, 0);
	CHECK_EQ(recv(peer, &l, 1, MSG_DONTWAIT), -1);
	teardown();
}

TEST(full_device)
{
	unsigned sent = 0, n, taken = 0;

	setup_pair();
	while ((n = commit(1, 54, 20000, (uint8_t)sent)))
		sent += n;
	CHECK(sent > 20);
	CHECK_EQ(drops, 0);
	link_flush();
	CHECK_EQ(turn(), 0);
	CHECK_EQ(writables, 0);
	for (unsigned tries = 0; tries < 2000 && taken < sent; tries++) {
		if (take(20054, (uint8_t)taken))
			taken++;
		else
			turn();
	}
	CHECK_EQ(taken, sent);
	CHECK(writables >= 1);
	turn();
	CHECK_EQ(turn(), 0);
	CHECK_EQ(commit(1, 54, 1, 1), 1);
	CHECK(take(55, 1));
	CHECK_EQ(drops, 0);
	teardown();
}

TEST(gone)
{
	setup_pair();
	close(peer);
	peer = -1;
	turn();
	CHECK_EQ(gones, 1);
	CHECK_EQ(commit(1, 54, 100, 0), 0);
	link_flush();
	CHECK_EQ(turn(), 0);
	teardown();
}

/* The real device */

static bool tap_missing;

static int if_ioctl(unsigned long request, const char *addr, short flags)
{
	struct ifreq r = { .ifr_name = TAP };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), rc;

	if (addr) {
		inet_pton(AF_INET, addr, &sin.sin_addr);
		memcpy(&r.ifr_addr, &sin, sizeof(sin));
	} else {
		r.ifr_flags = flags;
	}
	rc = ioctl(fd, request, &r) ? -errno : 0;
	close(fd);
	return rc;
}

static const uint8_t ns_mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

static bool setup_tap(void)
{
	static bool entered;
	int fd;

	if (!entered) {
		CHECK(hostns_enter());
		/* where there is none at all, there is nothing to be tested */
		tap_missing = access("/dev/net/tun", R_OK | W_OK);
		hostns_write("/proc/sys/net/ipv6/conf/default/disable_ipv6",
			     "1");
	}
	entered = true;
	if (tap_missing)
		return false;
	fd = tun_open(TAP, ns_mac);
	CHECK(fd >= 0);
	setup(fd);
	CHECK(!if_ioctl(SIOCSIFADDR, NS_ADDR, 0));
	CHECK(!if_ioctl(SIOCSIFFLAGS, NULL, IFF_UP));
	return true;
}

TEST(open_errors)
{
	int a, b;

	if (!setup_tap())
		return;
	teardown();
	CHECK_EQ(tun_open("a-name-that-is-too-long", NULL), -EINVAL);
	CHECK_EQ(tun_open("a/b", NULL), -EINVAL);
	a = tun_open(TAP, NULL);
	CHECK(a >= 0);
	b = tun_open(TAP, NULL);
	CHECK_EQ(b, -EBUSY);
	close(a);
}

TEST(device)
{
	struct ifreq r = { .ifr_name = TAP };
	int fd;

	if (!setup_tap())
		return;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(!ioctl(fd, SIOCGIFHWADDR, &r));
	CHECK(!memcmp(r.ifr_hwaddr.sa_data, ns_mac, 6));
	close(fd);
	CHECK(link_caps()->csum);
	CHECK(link_caps()->gso_tcp);
	teardown();
}

/* A device that somebody has made to last, and used with longer headers */
TEST(device_that_was_there)
{
	struct ifreq r = { .ifr_name = TAP,
			   .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd, len = VNET_HLEN + 2;

	if (!setup_tap())
		return;
	teardown();
	fd = open("/dev/net/tun", O_RDWR);
	CHECK(!ioctl(fd, TUNSETIFF, &r));
	CHECK(!ioctl(fd, TUNSETVNETHDRSZ, &len));
	CHECK(!ioctl(fd, TUNSETPERSIST, 1));
	close(fd);
	fd = tun_open(TAP, NULL);
	CHECK(fd >= 0);
	CHECK(!ioctl(fd, TUNSETPERSIST, 0));
	setup(fd);
	CHECK(!ioctl(fd, TUNGETVNETHDRSZ, &len));
	CHECK_EQ(len, VNET_HLEN);
	teardown();
}

/* What the namespace sends has no checksum yet, and says so */
TEST(device_receive)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(7000) };
	int on = 1, fd;

	if (!setup_tap())
		return;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	inet_pton(AF_INET, "192.0.2.255", &to.sin_addr);
	CHECK_EQ(sendto(fd, "hello", 5, 0, (void *)&to, sizeof(to)), 5);
	turn();
	CHECK_EQ(got_frames, 1);
	CHECK_EQ(got[0].len, 14 + 20 + 8 + 5);
	CHECK(got[0].csum_ok && !got[0].gso_size);
	CHECK(!memcmp(got_data[0] + 42, "hello", 5));
	close(fd);
	teardown();
}

/*
 * A UDP packet to the namespace; its checksum is the pseudo-header's, that of
 * the rest is left to the other side
 */
static void send_udp(size_t len, uint16_t gso_size, uint16_t break_csum)
{
	struct packet_ends e = { .smac = (const uint8_t *)"\2\0\0\0\0\1",
				 .dmac = ns_mac, .ttl = 64, .df = true };
	struct loan l;

	CHECK(addr_parse(OUR_ADDR, &e.src) && addr_parse(NS_ADDR, &e.dst));
	CHECK_EQ(link_reserve(&l, 1, 42, len), 1);
	packet_put_l2l3(l.hdr, &e, IPPROTO_UDP, 8 + len);
	put_be16(l.hdr + 34, 6000);
	put_be16(l.hdr + 36, 7000);
	put_be16(l.hdr + 38, (uint16_t)(8 + len));
	packet_put_partial_csum(l.hdr + 34, 8 + len, &e, IPPROTO_UDP);
	memset(l.iov[0].iov_base, 'x', len);
	l.csum_start = 34;
	l.csum_off = 6;
	if (break_csum)
		l.csum_start = l.csum_off = 0;
	l.gso_size = gso_size;
	l.len = len;
	link_commit(&l, 1);
	link_flush();
}

static int udp_server(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(7000) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	CHECK(!bind(fd, (void *)&at, sizeof(at)));
	return fd;
}

TEST(device_send)
{
	char b[3000];
	int fd;

	if (!setup_tap())
		return;
	fd = udp_server();
	send_udp(1000, 0, 0);
	CHECK_EQ(recv(fd, b, sizeof(b), 0), 1000);
	CHECK(b[0] == 'x' && b[999] == 'x');
	/* without the flag it is a wrong checksum */
	send_udp(1000, 0, 1);
	CHECK_EQ(recv(fd, b, sizeof(b), 0), -1);
	CHECK_EQ(drops, 0);
	if (link_caps()->gso_udp) {
		send_udp(2500, 1000, 0);
		CHECK_EQ(recv(fd, b, sizeof(b), 0), 1000);
		CHECK_EQ(recv(fd, b, sizeof(b), 0), 1000);
		CHECK_EQ(recv(fd, b, sizeof(b), 0), 500);
		CHECK_EQ(recv(fd, b, sizeof(b), 0), -1);
	}
	close(fd);
	teardown();
}

/* Down: what we send is lost and counted, and nothing spins */
TEST(device_down_and_up)
{
	char b[100];
	int fd;

	if (!setup_tap())
		return;
	fd = udp_server();
	CHECK(!if_ioctl(SIOCSIFFLAGS, NULL, 0));
	send_udp(10, 0, 0);
	CHECK_EQ(drops, 1);
	turn();
	CHECK_EQ(turn(), 0);
	CHECK_EQ(gones, 0);
	CHECK(!if_ioctl(SIOCSIFFLAGS, NULL, IFF_UP));
	turn();
	send_udp(10, 0, 0);
	CHECK_EQ(recv(fd, b, sizeof(b), 0), 10);
	close(fd);
	teardown();
}

TEST(device_deleted)
{
	if (!setup_tap())
		return;
	CHECK(!system("exec ip link del " TAP));
	for (int i = 0; i < 10000 && !gones; i++) {
		turn();
		usleep(1000);
	}
	CHECK_EQ(gones, 1);
	CHECK_EQ(downs, 1);
	CHECK_EQ(turn(), 0);
	teardown();
}

int main(int argc, char **argv)
{
	log_init("test_tun", LOG_LEVEL_ERR);
	return unit_main(argc, argv);
}
