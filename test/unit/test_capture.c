// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What passes the link is in the file, once, in order, whole
 */
#include "link/capture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/pcap.h"
#include "test/unit/unit.h"

static uint8_t in[2][300], out[4][300];
static struct iovec in_iov[2][2], out_iov[4][3];
static unsigned committed, flushed;

static unsigned fake_receive(struct frame *frames, unsigned max)
{
	CHECK_EQ(max, 7);
	for (unsigned i = 0; i < 2; i++) {
		in_iov[i][0] = (struct iovec){ in[i], 5 };
		in_iov[i][1] = (struct iovec){ in[i] + 5, 200 };
		frames[i] = (struct frame){ .iov = in_iov[i], .cnt = 2,
					    .len = 60 + i };
	}
	return 2;
}

static unsigned fake_reserve(struct loan *loans, unsigned n, size_t hlen,
			     size_t room)
{
	CHECK_EQ(n, 4);
	CHECK_EQ(hlen, 54);
	CHECK_EQ(room, 100);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned j = 0; j < 3; j++)
			out_iov[i][j] = (struct iovec){
				out[i] + 54 + 40 * j, j < 2 ? 40 : 20 };
		loans[i] = (struct loan){ .hdr = out[i], .iov = out_iov[i],
					  .cnt = 3 };
	}
	return 3;
}

static void fake_commit(struct loan *loans, unsigned n)
{
	CHECK_EQ(loans[0].len, 100);
	committed += n;
}

static void fake_flush(void)
{
	flushed++;
}

static const struct link_ops fake = {
	.name = "fake",
	.receive = fake_receive,
	.reserve = fake_reserve,
	.commit = fake_commit,
	.flush = fake_flush,
};

static uint8_t file[65536];
static size_t file_at, file_len;

static bool next_is(const uint8_t *frame, size_t len)
{
	uint32_t head[4];
	bool ok;

	if (file_at + 16 + len > file_len)
		return false;
	memcpy(head, file + file_at, 16);
	ok = head[2] == len && head[3] == len &&
	     !memcmp(file + file_at + 16, frame, len);
	file_at += 16 + head[2];
	return ok;
}

TEST(both_ways)
{
	char path[] = "/tmp/test_capture_XXXXXX";
	int made = mkstemp(path), fd = pcap_open(path);
	const struct link_ops *ops = capture_wrap(&fake, fd);
	struct frame frames[7];
	struct loan l[4];

	CHECK(fd >= 0);
	for (unsigned i = 0; i < 300; i++) {
		in[0][i] = (uint8_t)i;
		in[1][i] = (uint8_t)(i + 1);
		out[0][i] = (uint8_t)(i + 2);
		out[1][i] = (uint8_t)(i + 3);
	}
	CHECK_EQ(ops->receive(frames, 7), 2);
	CHECK_EQ(frames[1].len, 61);
	CHECK_EQ(ops->reserve(l, 4, 54, 100), 3);
	l[0].len = 100;
	l[1].len = 37;
	ops->commit(l, 2);
	ops->commit(l, 0);
	ops->flush();
	CHECK_EQ(committed, 2);
	CHECK_EQ(flushed, 1);
	file_len = (size_t)pread(made, file, sizeof(file), 0);
	file_at = 24;
	CHECK(next_is(in[0], 60));
	CHECK(next_is(in[1], 61));
	CHECK(next_is(out[0], 154));
	CHECK(next_is(out[1], 91));
	CHECK_EQ(file_at, file_len);
	close(made);
	close(fd);
	unlink(path);
}

/* A TCP segment of 21 bytes behind so many, and what its checksum is to be */
static unsigned segment_at;
#define SEGMENT_CSUM	(segment_at + 16)

static void partial(uint8_t *f, uint8_t *whole, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		f[i] = (uint8_t)(i * 7 + len);
	/* as if 0x1234 was the sum of the pseudo-header */
	f[SEGMENT_CSUM] = 0x12;
	f[SEGMENT_CSUM + 1] = 0x34;
	memcpy(whole, f, len);
	for (size_t i = segment_at; i < len; i++)
		sum += (i - segment_at) % 2 ? f[i] : f[i] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	whole[SEGMENT_CSUM] = (uint8_t)(~sum >> 8);
	whole[SEGMENT_CSUM + 1] = (uint8_t)~sum;
}

static unsigned partial_receive(struct frame *frames, unsigned max)
{
	(void)max;
	in_iov[0][0] = (struct iovec){ in[0], segment_at + 17 };
	in_iov[0][1] = (struct iovec){ in[0] + segment_at + 17, 100 };
	frames[0] = (struct frame){ .iov = in_iov[0], .cnt = 2,
				    .len = segment_at + 21, .csum_ok = true,
				    .csum_start = (uint16_t)segment_at,
				    .csum_off = 16 };
	return 1;
}

static void partial_at(unsigned at)
{
	char path[] = "/tmp/test_capture_XXXXXX";
	int made = mkstemp(path), fd = pcap_open(path);
	struct link_ops inner = fake;
	const struct link_ops *ops;
	uint8_t whole[2][300], before[300];
	struct frame frames[7];
	struct loan l[4];

	segment_at = at;
	inner.receive = partial_receive;
	ops = capture_wrap(&inner, fd);
	partial(in[0], whole[0], at + 21);
	partial(out[0], whole[1], 154);
	memcpy(before, out[0], sizeof(before));
	CHECK_EQ(ops->receive(frames, 7), 1);
	CHECK_EQ(in[0][SEGMENT_CSUM], 0x12);
	CHECK_EQ(ops->reserve(l, 4, 54, 100), 3);
	l[0].len = 100;
	l[0].csum_start = (uint16_t)at;
	l[0].csum_off = 16;
	ops->commit(l, 1);
	CHECK(!memcmp(before, out[0], sizeof(before)));
	file_len = (size_t)pread(made, file, sizeof(file), 0);
	file_at = 24;
	CHECK(next_is(whole[0], at + 21));
	CHECK(next_is(whole[1], 154));
	CHECK_EQ(file_at, file_len);
	close(made);
	close(fd);
	unlink(path);
}

/* Checksums left to the other side are in the file, not in the frames */
TEST(partial_checksums)
{
	partial_at(34);
	/* behind IPv6 extension headers */
	partial_at(102);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
