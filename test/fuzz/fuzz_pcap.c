// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_pcap: a capture is played back, the guest's frames of it, through all that
 * answers them, while what passes the link is captured
 *
 * The input is a capture as --pcap makes it (or tcpdump -w). What is between two
 * frames is the time between their stamps. The capture that is made has each
 * frame that was played and each that was sent, whole and once.
 *
 * The world is that of fuzz_frames.
 */
#define LLVMFuzzerInitialize frames_initialize
#define LLVMFuzzerTestOneInput frames_input
#include "test/fuzz/fuzz_frames.c"
#undef LLVMFuzzerInitialize
#undef LLVMFuzzerTestOneInput

#include <sys/mman.h>

#include "lib/pcap.h"
#include "link/capture.h"

#define FILE_HEADER	24
#define MOST_TIME	(300 * USEC_PER_SEC)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file = -1;
static unsigned long long frames_before;

/* The last word of all, so that frames_before is what is told */
__attribute__((destructor)) static void tell_all(void)
{
	frames = frames_before;
}

/* Records behind one another; those of the daemon's have its MAC as source */
static size_t records(const uint8_t *p, size_t left, bool play)
{
	uint64_t last = 0;
	size_t whole = 0;

	for (uint32_t h[4]; left >= sizeof(h); whole++) {
		uint64_t t;

		memcpy(h, p, sizeof(h));
		p += sizeof(h);
		left -= sizeof(h);
		if (h[2] > left || h[2] > 65536)
			break;
		t = h[0] * USEC_PER_SEC + h[1];
		if (play && (h[2] < 12 || memcmp(p + 6, conf.mac, 6))) {
			now += t > last && last ? (t - last) % MOST_TIME : 1;
			queue(0, p, h[2]);
			turn();
		} else if (!play) {
			assert(h[2] == h[3]);
		}
		last = t;
		p += h[2];
		left -= h[2];
	}
	assert(play || !left);
	return whole;
}

static void check_capture(void)
{
	static uint8_t made[8 << 20];
	ssize_t n = pread(file, made, sizeof(made), 0);

	if (n < 0)
		abort();
	if ((size_t)n < sizeof(made))
		assert(records(made, (size_t)n, false) == frames + answers);
	frames_before += frames;
	frames = answers = 0;
	if (ftruncate(file, 0) || lseek(file, 0, SEEK_SET))
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int rc = frames_initialize(argc, argv);

	file = memfd_create("capture", MFD_CLOEXEC);
	link_init(capture_wrap(memlink_link(), file), tap_events());
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memlink_caps()->csum = true;
	memlink_caps()->gso_tcp = memlink_caps()->gso_udp = true;
	link_events()->up(now);
	if (size > FILE_HEADER)
		records(data + FILE_HEADER, size - FILE_HEADER, true);
	turn();
	link_events()->down(now);
	flow_reap();
	assert(!flow_count());
	answers += memlink_sent();
	memlink_clear();
	serve();
	check_capture();
	return 0;
}
