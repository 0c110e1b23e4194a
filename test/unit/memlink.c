// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memlink: a link in memory, for unit tests and fuzz targets
 */
#include "test/unit/memlink.h"

#include <assert.h>
#include <string.h>

#include "lib/checksum.h"

struct memlink_slot {
	uint8_t data[MEMLINK_FRAME_MAX];
	size_t len;
	uint16_t gso_size;
	uint16_t csum_start;
	struct iovec iov[LINK_LOAN_IOV];
};

static struct memlink_slot memlink_out[MEMLINK_FRAMES];
static struct memlink_slot memlink_in[MEMLINK_FRAMES];
static unsigned memlink_out_count;
static unsigned memlink_in_count;
static unsigned memlink_in_next;
static unsigned memlink_room;
static size_t memlink_buffer;
static size_t memlink_hlen;
static struct link_caps memlink_link_caps;
static uint16_t memlink_in_gso;

/* Describe memory as buffers of the size that the test wants */
static unsigned memlink_cut(struct memlink_slot *s, uint8_t *p, size_t len)
{
	unsigned cnt = 0;

	while (cnt + 1 < LINK_LOAN_IOV && len > memlink_buffer) {
		s->iov[cnt++] = (struct iovec){ p, memlink_buffer };
		p += memlink_buffer;
		len -= memlink_buffer;
	}
	s->iov[cnt++] = (struct iovec){ p, len };
	return cnt;
}

static unsigned memlink_receive(struct frame *frames, unsigned max)
{
	unsigned n = 0;

	while (n < max && memlink_in_next < memlink_in_count) {
		struct memlink_slot *s = &memlink_in[memlink_in_next++];

		frames[n++] = (struct frame){
			.iov = s->iov,
			.cnt = memlink_cut(s, s->data, s->len),
			.len = s->len,
			.gso_size = s->gso_size,
			.csum_ok = memlink_link_caps.csum,
		};
	}
	return n;
}

static void memlink_release(void)
{
	if (memlink_in_next == memlink_in_count)
		memlink_in_next = memlink_in_count = 0;
}

static unsigned memlink_reserve(struct loan *loans, unsigned n, size_t hlen,
				size_t room)
{
	unsigned i;

	assert(hlen + room <= MEMLINK_FRAME_MAX);
	for (i = 0; i < n && memlink_out_count + i < memlink_room; i++) {
		struct memlink_slot *s = &memlink_out[memlink_out_count + i];

		loans[i] = (struct loan){
			.hdr = s->data,
			.iov = s->iov,
			.cnt = memlink_cut(s, s->data + hlen, room),
		};
	}
	memlink_hlen = hlen;
	return i;
}

/* As the other side would: over all of a frame that stands for many, too */
static void memlink_complete(struct memlink_slot *s, const struct loan *l)
{
	uint8_t *l4 = s->data + l->csum_start;
	uint16_t csum = csum_fold(csum_add(l4, s->len - l->csum_start, 0));

	assert(memlink_link_caps.csum);
	assert(l->csum_start + l->csum_off + sizeof(csum) <= memlink_hlen);
	if (!csum)
		csum = UINT16_MAX;
	memcpy(l4 + l->csum_off, &csum, sizeof(csum));
}

static void memlink_commit(struct loan *loans, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct memlink_slot *s = &memlink_out[memlink_out_count++];
		const struct loan *l = &loans[i];

		s->len = memlink_hlen + l->len;
		s->gso_size = l->gso_size;
		s->csum_start = l->csum_start;
		/* what has segments has checksums to be completed */
		assert(!l->gso_size || (l->csum_start && l->gso_size < l->len));
		if (l->csum_start)
			memlink_complete(s, l);
	}
}

static void memlink_flush(void)
{
}

static const struct link_caps *memlink_get_caps(void)
{
	return &memlink_link_caps;
}

static const struct link_ops memlink_ops = {
	.name = "memory",
	.receive = memlink_receive,
	.release = memlink_release,
	.reserve = memlink_reserve,
	.commit = memlink_commit,
	.flush = memlink_flush,
	.caps = memlink_get_caps,
};

const struct link_ops *memlink_link(void)
{
	return &memlink_ops;
}

void memlink_init(const struct link_events *ev)
{
	memlink_clear();
	memlink_in_count = memlink_in_next = 0;
	memlink_link_caps = (struct link_caps){ .max_frame = 65535 + 14 };
	memlink_in_gso = 0;
	memlink_room = MEMLINK_FRAMES;
	memlink_buffer = MEMLINK_FRAME_MAX;
	link_init(&memlink_ops, ev);
}

void memlink_set_room(unsigned frames)
{
	memlink_room = frames;
}

void memlink_set_buffer(size_t bytes)
{
	memlink_buffer = bytes;
}

struct link_caps *memlink_caps(void)
{
	return &memlink_link_caps;
}

void memlink_queue(const void *frame, size_t len)
{
	struct memlink_slot *s = &memlink_in[memlink_in_count++];

	assert(memlink_in_count <= MEMLINK_FRAMES && len <= sizeof(s->data));
	memcpy(s->data, frame, len);
	s->len = len;
	s->gso_size = memlink_in_gso;
}

void memlink_set_gso(uint16_t size)
{
	memlink_in_gso = size;
}

bool memlink_was_partial(unsigned i)
{
	assert(i < memlink_out_count);
	return memlink_out[i].csum_start;
}

unsigned memlink_sent(void)
{
	return memlink_out_count;
}

const uint8_t *memlink_frame(unsigned i, size_t *len, uint16_t *gso_size)
{
	assert(i < memlink_out_count);
	*len = memlink_out[i].len;
	if (gso_size)
		*gso_size = memlink_out[i].gso_size;
	return memlink_out[i].data;
}

void memlink_clear(void)
{
	memlink_out_count = 0;
}

/* At most one frame was sent, and packet_parse() takes it; forget it */
void memlink_check_answer(void)
{
	struct iovec iov;
	struct frame f = { .iov = &iov, .cnt = 1 };
	struct packet p;

	assert(memlink_sent() <= 1);
	if (memlink_sent()) {
		iov.iov_base = (void *)memlink_frame(0, &f.len, NULL);
		iov.iov_len = f.len;
		assert(packet_parse(&f, &p));
	}
	memlink_clear();
}
