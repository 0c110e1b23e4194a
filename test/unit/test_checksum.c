// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of lib/checksum.c
 *
 * Named `speed` as an argument, it measures instead: GB/s over 64 KiB.
 */
#include <string.h>
#include <stdlib.h>
#include <time.h>

#include "lib/checksum.h"
#include "test/unit/unit.h"

/* RFC 1071, word by word, in network order */
static uint16_t reference(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

static uint16_t stored(const void *p, size_t len)
{
	uint16_t c = csum_fold(csum_add(p, len, 0));
	uint8_t b[2];

	memcpy(b, &c, 2);
	return (uint16_t)(b[0] << 8 | b[1]);
}

/* An IPv4 header whose checksum is known: b861 */
TEST(known_header)
{
	uint8_t h[20] = { 0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40,
			  0x11, 0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8,
			  0x00, 0xc7 };
	uint16_t c = csum_fold(csum_add(h, sizeof(h), 0));

	CHECK_EQ(stored(h, sizeof(h)), 0xb861);
	memcpy(h + 10, &c, 2);
	CHECK_EQ(csum_fold(csum_add(h, sizeof(h), 0)), 0);
}

TEST(all_lengths_and_alignments)
{
	for (size_t len = 0; len < 700; len++) {
		for (size_t off = 0; off < 5; off++) {
			/* exact size: the sanitizer sees a byte too many */
			uint8_t *p = malloc(off + len + !(off + len));

			for (size_t i = 0; i < off + len; i++)
				p[i] = (uint8_t)rand();
			if (stored(p + off, len) != reference(p + off, len)) {
				CHECK_EQ(len, (size_t)-1);
				CHECK_EQ(off, (size_t)-1);
			}
			free(p);
		}
	}
}

TEST(large_and_extreme)
{
	static uint8_t b[1 << 20];

	CHECK_EQ(stored(b, sizeof(b)), 0xffff);
	memset(b, 0xff, sizeof(b));
	CHECK_EQ(stored(b, sizeof(b)), reference(b, sizeof(b)));
	CHECK_EQ(stored(b, sizeof(b) - 1), reference(b, sizeof(b) - 1));
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)rand();
	CHECK_EQ(stored(b, sizeof(b)), reference(b, sizeof(b)));
}

TEST(continued)
{
	uint8_t b[1000];
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)rand();
	for (size_t at = 0, n = 0; at < sizeof(b); at += n) {
		n = 2 * (1 + (size_t)rand() % 40);
		n = n > sizeof(b) - at ? sizeof(b) - at : n;
		sum = csum_add(b + at, n, sum);
	}
	CHECK_EQ(csum_fold(sum), csum_fold(csum_add(b, sizeof(b), 0)));
	CHECK_EQ(csum_fold(UINT64_MAX), 0);
}

static uint16_t pseudo(const char *src, const char *dst, uint8_t proto,
		       const uint8_t *l4, size_t len)
{
	struct addr s, d;

	CHECK(addr_parse(src, &s) && addr_parse(dst, &d));
	return csum_fold(csum_add(l4, len, csum_pseudo(&s, &d, proto, len)));
}

TEST(pseudo_headers)
{
	/* UDP 1000 -> 2000, length 12, "abcd", summed over the RFCs' layouts */
	uint8_t l4[12] = { 0x03, 0xe8, 0x07, 0xd0, 0, 12, 0, 0,
			   'a', 'b', 'c', 'd' };
	uint8_t v4[24] = { 192, 0, 2, 1, 198, 51, 100, 2, 0, 17, 0, 12 };
	uint8_t v6[52] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1,
			   [16] = 0xfe, 0x80, [31] = 2,
			   [35] = 12, [39] = 17 };
	uint16_t c;

	memcpy(v4 + 12, l4, sizeof(l4));
	memcpy(v6 + 40, l4, sizeof(l4));
	c = pseudo("192.0.2.1", "198.51.100.2", 17, l4, sizeof(l4));
	CHECK_EQ(c, csum_fold(csum_add(v4, sizeof(v4), 0)));
	memcpy(l4 + 6, &c, 2);
	CHECK_EQ(pseudo("192.0.2.1", "198.51.100.2", 17, l4, sizeof(l4)), 0);
	memset(l4 + 6, 0, 2);
	c = pseudo("2001:db8::1", "fe80::2", 17, l4, sizeof(l4));
	CHECK_EQ(c, csum_fold(csum_add(v6, sizeof(v6), 0)));
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void speed(size_t len)
{
	static uint8_t b[64 * 1024];
	unsigned rounds = (unsigned)((4ULL << 30) / len);
	uint64_t sum = 0;
	double t = seconds();

	for (unsigned i = 0; i < rounds; i++)
		sum = csum_add(b, len, sum & 0xff);
	t = seconds() - t;
	printf("%zu bytes: %.1f GB/s (%u)\n", len,
	       (double)rounds * (double)len / t / 1e9, csum_fold(sum));
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "speed")) {
		speed(64);
		speed(1460);
		speed(64 * 1024);
		return 0;
	}
	return unit_main(argc, argv);
}
