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
		frames[i] = (struct frame){ in_iov[i], 2, 60 + i, 0, false };
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

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
