// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Datagrams of one size as one frame towards the guest: when, how they are cut
 * again, and that nothing is lost or out of order where sizes change
 */
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bytes.h"
#include "test/unit/udpfix.h"
#include "test/unit/unit.h"
#include "udp.h"

static uint8_t bytes[UDP_DATAGRAM_MAX];
static struct endpoint server, guest;
static int fd;
/* Datagrams that were sent and that the guest got */
static unsigned sent, got;
static unsigned frames_with_many;

static void setup_gso(unsigned mtu, const char *at)
{
	char data[16];

	setup_with(mtu, false);
	*memlink_caps() = (struct link_caps){ .gso_tcp = true, .gso_udp = true,
					      .csum = true,
					      .max_frame = 65535 + 14 };
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 13 >> 3);
	sent = got = frames_with_many = 0;
	fd = host_socket(strchr(at, ':') ? "::1" : "127.0.0.1", 0, &server);
	guest_sends(at, server.port, "a", 1);
	host_receives(fd, data, sizeof(data), &guest);
}

static void teardown_gso(void)
{
	teardown();
	close(fd);
}

/* The first bytes tell which one it is */
static void send_one(size_t len)
{
	static uint8_t b[UDP_DATAGRAM_MAX];

	memcpy(b, &sent, sizeof(sent));
	memcpy(b + sizeof(sent), bytes, len - sizeof(sent));
	CHECK_EQ(host_sends(fd, &guest, b, len), len);
	sent++;
}

static void see_datagram(const struct packet *p, size_t off, size_t len)
{
	static uint8_t b[UDP_DATAGRAM_MAX];
	unsigned number = 0;

	CHECK_EQ(slice_copy(&p->payload, off, b, len), len);
	memcpy(&number, b, sizeof(number));
	CHECK_EQ(number, got);
	CHECK(!memcmp(b + sizeof(number), bytes, len - sizeof(number)));
	got++;
}

/* What the guest makes of the frames it was sent */
static void see(void)
{
	for (unsigned i = 0; i < memlink_sent(); i++) {
		uint16_t gso;
		struct packet p;
		size_t len, off = 0;

		memlink_frame(i, &len, &gso);
		CHECK(parse(i, &p));
		CHECK_EQ(p.sport, server.port);
		frames_with_many += gso != 0;
		for (; gso && p.payload.len - off > gso; off += gso)
			see_datagram(&p, off, gso);
		see_datagram(&p, off, p.payload.len - off);
	}
	memlink_clear();
}

static void send_many(unsigned n, size_t len)
{
	while (n--)
		send_one(len);
	turns();
	see();
}

TEST(one_size)
{
	static const char *at[] = { "192.0.2.1", "fe80::1" };

	for (unsigned i = 0; i < 2; i++) {
		setup_gso(65520, at[i]);
		send_many(10, 1372);
		CHECK_EQ(frames_with_many, 0);
		for (unsigned k = 1; k < 100; k += 7)
			send_many(k, 1372);
		CHECK(frames_with_many > 10);
		CHECK_EQ(got, sent);
		teardown_gso();
	}
}

/* So large that few fit a frame: a batch is more, and so are smaller ones later */
TEST(large_ones_of_one_size)
{
	static const size_t large[] = { 40000, 30000, 20000, 16000 };

	setup_gso(65520, "192.0.2.1");
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned k = 0; k < 3; k++)
			send_many(4, large[i]);
		for (unsigned k = 0; k < 60; k++)
			send_one(100);
		CHECK(turns() < 8);
		see();
		CHECK_EQ(got, sent);
	}
	teardown_gso();
}

/* The last one may be shorter; but then it is the last */
TEST(shorter_ones)
{
	setup_gso(65520, "192.0.2.1");
	for (unsigned i = 0; i < 10; i++) {
		for (unsigned k = 0; k < 20; k++)
			send_one(1000);
		send_many(1, 500);
		CHECK_EQ(got, sent);
	}
	CHECK(frames_with_many >= 9);
	for (unsigned k = 0; k < 20; k++)
		send_one(k == 7 ? 500 : 1000);
	turns();
	see();
	CHECK_EQ(got, sent);
	teardown_gso();
}

/* Any sizes, one after the other */
TEST(sizes_change)
{
	unsigned seed = 1;

	setup_gso(65520, "192.0.2.1");
	for (unsigned i = 0; i < 300; i++) {
		size_t len, n;

		seed = seed * 1103515245 + 12345;
		len = 4 + (seed >> 16) % (seed & 0x8000 ? 8000 : 1400);
		n = 1 + (seed >> 8) % 40;
		if (n * len > 50000)
			n = 50000 / len;
		while (n--)
			send_one(len);
		/* alone, or with what follows */
		if (seed & 0x10000 && i < 299)
			continue;
		turns();
		see();
		CHECK_EQ(got, sent);
		send_many(20, 1200);
		CHECK_EQ(got, sent);
	}
	CHECK(frames_with_many);
	teardown_gso();
}

/* Empty ones, and one of another size than all before */
TEST(amid_a_run)
{
	static const size_t other[] = { 4, 1999, 2000, 2001, 2049, 8000 };

	setup_gso(65520, "192.0.2.1");
	send_many(10, 2000);
	for (unsigned i = 0; i < 6; i++) {
		for (unsigned k = 0; k < 20; k++)
			send_one(k == 10 ? other[i] : 2000);
		turns();
		see();
		CHECK_EQ(got, sent);
		send_many(10, 2000);
		send_many(10, 2000);
		CHECK_EQ(got, sent);
	}
	CHECK(frames_with_many);
	for (unsigned k = 0; k < 5; k++)
		send_one(2000);
	CHECK_EQ(host_sends(fd, &guest, bytes, 0), 0);
	turns();
	CHECK(guest_got(memlink_sent() - 1, "192.0.2.1", server.port, "", 0));
	teardown_gso();
}

/* The kernel hands over what was sent as one message as one */
TEST(sent_as_one)
{
	int size = 1200;

	setup_gso(65520, "192.0.2.1");
	setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size));
	for (unsigned i = 0; i < 10; i++) {
		uint8_t b[20 * 1200 + 100];

		for (unsigned k = 0; k < 21; k++, sent++) {
			memcpy(b + k * 1200, &sent, sizeof(sent));
			memcpy(b + k * 1200 + sizeof(sent), bytes,
			       (k < 20 ? 1200 : 100) - sizeof(sent));
		}
		CHECK_EQ(host_sends(fd, &guest, b, sizeof(b)), sizeof(b));
		if (i != 4)
			turns();
		see();
	}
	CHECK(frames_with_many >= 8);
	CHECK_EQ(got, sent);
	size = 0;
	setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size));
	send_many(3, 100);
	send_many(10, 100);
	CHECK_EQ(got, sent);
	teardown_gso();
}

/* Too large for the guest's MTU: fragments, each datagram for itself */
TEST(larger_than_the_mtu)
{
	struct packet p;

	setup_gso(1500, "192.0.2.1");
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < 10; k++)
			send_one(2000);
		turns();
		CHECK_EQ(memlink_sent(), 20);
		for (unsigned k = 0; k < 20; k++) {
			uint16_t gso;
			size_t len;

			memlink_frame(k, &len, &gso);
			CHECK(!gso && len <= 1514 && parse(k, &p));
			CHECK(p.fragment);
		}
		memlink_clear();
	}
	teardown_gso();
}

/* Lent in pieces, as memory of a guest's is */
TEST(in_small_buffers)
{
	setup_gso(65520, "192.0.2.1");
	memlink_set_buffer(4001);
	for (unsigned i = 0; i < 10; i++)
		send_many(30, 1372);
	send_many(1, 100);
	for (unsigned k = 0; k < 20; k++)
		send_one(k % 3 ? 1372 : 1000);
	turns();
	see();
	CHECK(frames_with_many);
	CHECK_EQ(got, sent);
	teardown_gso();
}

TEST(a_full_link)
{
	setup_gso(65520, "192.0.2.1");
	send_many(10, 1372);
	memlink_set_room(0);
	for (unsigned k = 0; k < 30; k++)
		send_one(1372);
	turns();
	CHECK_EQ(memlink_sent(), 0);
	memlink_set_room(MEMLINK_FRAMES);
	udp_link_writable(now);
	turns();
	see();
	CHECK_EQ(got, sent);
	CHECK(frames_with_many);
	teardown_gso();
}

/* A link that has lost the ability keeps the datagrams apart */
TEST(no_more)
{
	int size = 1200;

	setup_gso(65520, "192.0.2.1");
	send_many(10, 1200);
	send_many(10, 1200);
	memlink_caps()->gso_udp = false;
	frames_with_many = 0;
	send_many(10, 1200);
	setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size));
	for (unsigned k = 0; k < 3; k++) {
		uint8_t b[2400];

		for (unsigned i = 0; i < 2; i++, sent++) {
			memcpy(b + i * 1200, &sent, sizeof(sent));
			memcpy(b + i * 1200 + 4, bytes, 1196);
		}
		CHECK_EQ(host_sends(fd, &guest, b, sizeof(b)), sizeof(b));
		turns();
		see();
	}
	CHECK_EQ(frames_with_many, 0);
	CHECK_EQ(got, sent);
	teardown_gso();
}

/* Each of a frame's datagrams will have an identification of its own */
TEST(identifications)
{
	uint16_t id[2], gso;
	struct packet p;
	size_t len;

	setup_gso(65520, "192.0.2.1");
	send_many(10, 1372);
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned k = 0; k < 10; k++)
			send_one(1372);
		turns();
		CHECK_EQ(memlink_sent(), 1);
		id[i] = get_be16(memlink_frame(0, &len, &gso) + 14 + 4);
		CHECK(parse(0, &p));
		CHECK_EQ((p.payload.len + gso - 1) / gso, 10);
		memlink_clear();
	}
	CHECK_EQ((uint16_t)(id[1] - id[0]), 10);
	teardown_gso();
}

/* A link whose frames have become too small for even one of the datagrams */
TEST(smaller_frames)
{
	setup_gso(65520, "192.0.2.1");
	send_many(10, 8000);
	send_many(10, 8000);
	CHECK(frames_with_many);
	memlink_caps()->max_frame = 4000;
	frames_with_many = 0;
	send_one(8000);
	turns();
	/* in fragments */
	CHECK_EQ(memlink_sent(), 3);
	CHECK_EQ(turns(), 0);
	teardown_gso();
}

int main(int argc, char **argv)
{
	return host_enter() ? unit_main(argc, argv) : 1;
}
