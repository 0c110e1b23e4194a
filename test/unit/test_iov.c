// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of lib/iov.c
 */
#include <stdlib.h>
#include <string.h>

#include "lib/checksum.h"
#include "lib/iov.h"
#include "test/unit/unit.h"

#define BUFS	6

/* "0123456789abcdef" in buffers of 3, 0, 5, 1, 7 and 0 bytes */
static char text[] = "0123456789abcdef";
static struct iovec bufs[BUFS] = {
	{ text, 3 }, { NULL, 0 }, { text + 3, 5 }, { text + 8, 1 },
	{ text + 9, 7 }, { NULL, 0 },
};

TEST(total)
{
	CHECK_EQ(iov_total(bufs, BUFS), 16);
	CHECK_EQ(iov_total(bufs, 0), 0);
}

TEST(copy_every_range)
{
	for (size_t off = 0; off <= 16; off++) {
		for (size_t len = 0; off + len <= 16; len++) {
			struct slice s = { bufs, BUFS, off, len };

			for (size_t at = 0; at <= len + 1; at++) {
				char got[17] = "";
				size_t want = at > len ? 0 : len - at;

				CHECK_EQ(slice_copy(&s, at, got, 16), want);
				CHECK(!memcmp(got, text + off + at, want));
				CHECK(!got[want]);
			}
		}
	}
}

TEST(copy_stops_at_wanted)
{
	struct slice s = { bufs, BUFS, 1, 15 };
	char got[4] = "xxx";

	CHECK_EQ(slice_copy(&s, 1, got, 2), 2);
	CHECK(!strcmp(got, "23x"));
}

TEST(gather)
{
	struct slice s = { bufs, BUFS, 2, 8 };
	struct iovec out[BUFS];

	CHECK_EQ(slice_gather(&s, out, BUFS), 4);
	CHECK(out[0].iov_base == text + 2 && out[0].iov_len == 1);
	CHECK(out[1].iov_base == text + 3 && out[1].iov_len == 5);
	CHECK(out[2].iov_base == text + 8 && out[2].iov_len == 1);
	CHECK(out[3].iov_base == text + 9 && out[3].iov_len == 1);
	CHECK_EQ(slice_gather(&s, out, 2), 2);
	CHECK_EQ(iov_total(out, 2), 6);
	s.len = 0;
	CHECK_EQ(slice_gather(&s, out, BUFS), 0);
	s = (struct slice){ 0 };
	CHECK_EQ(slice_gather(&s, out, BUFS), 0);
}

TEST(sub)
{
	struct slice s = { bufs, BUFS, 2, 10 }, t;
	char got[17] = "";

	t = slice_sub(&s, 3, 4);
	CHECK_EQ(t.len, 4);
	CHECK_EQ(slice_copy(&t, 0, got, 16), 4);
	CHECK(!strcmp(got, "5678"));
	t = slice_sub(&s, 0, 100);
	CHECK_EQ(t.len, 10);
	t = slice_sub(&s, 8, SIZE_MAX);
	CHECK_EQ(t.len, 2);
	t = slice_sub(&s, 10, 1);
	CHECK_EQ(t.len, 0);
	t = slice_sub(&s, 11, 1);
	CHECK_EQ(t.len, 0);
	CHECK_EQ(slice_copy(&t, 0, got, 16), 0);

	/* buffers that are passed over are let go */
	t = slice_sub(&s, 6, 2);
	CHECK(t.iov == &bufs[3] && t.cnt == 3 && t.off == 0);
}

TEST(csum_of_odd_pieces)
{
	uint8_t b[500];

	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)rand();
	for (int round = 0; round < 2000; round++) {
		struct iovec iov[40];
		struct slice s = { .iov = iov };
		size_t at = 0, seed = (size_t)rand() & 0xffff;

		for (s.cnt = 0; s.cnt < 40; s.cnt++) {
			size_t n = (size_t)rand() % 9;

			iov[s.cnt] = (struct iovec){ b + at, n };
			at += n;
		}
		s.off = (size_t)rand() % 10;
		s.len = at < s.off ? 0 : at - s.off;
		s.len -= s.len ? (size_t)rand() % s.len : 0;
		CHECK_EQ(csum_fold(slice_csum(&s, seed)),
			 csum_fold(csum_add(b + s.off, s.len, seed)));
	}
}

TEST(trim)
{
	struct iovec v[BUFS];

	memcpy(v, bufs, sizeof(v));
	CHECK_EQ(iov_trim(v, BUFS, 20), 16);
	CHECK(!memcmp(v, bufs, sizeof(v)));
	CHECK_EQ(iov_trim(v, BUFS, 5), 5);
	CHECK_EQ(v[0].iov_len, 3);
	CHECK_EQ(v[2].iov_len, 2);
	CHECK_EQ(v[3].iov_len, 0);
	CHECK_EQ(v[4].iov_len, 0);
	CHECK_EQ(iov_total(v, BUFS), 5);
	CHECK_EQ(iov_trim(v, BUFS, 0), 0);
	CHECK_EQ(iov_total(v, BUFS), 0);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
