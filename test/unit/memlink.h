/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memlink: a link in memory, for unit tests and fuzz targets
 *
 * What the code under test commits is kept, in order, to be looked at; what
 * the test queues is received. Room, capabilities and the size of the buffers
 * that frames lie in are the test's to set. With checksums left to the other
 * side (caps), those of what is received count as right, too; those of what is
 * sent are completed, so that a test can check them.
 */
#ifndef MEMLINK_H
#define MEMLINK_H

#include "link/link.h"

#define MEMLINK_FRAMES		256
#define MEMLINK_FRAME_MAX	(66 * 1024)

void memlink_init(const struct link_events *ev);
/* To be wrapped */
const struct link_ops *memlink_link(void);
void memlink_set_room(unsigned frames);
void memlink_set_buffer(size_t bytes);
struct link_caps *memlink_caps(void);
void memlink_queue(const void *frame, size_t len);
/* Of frames queued from now on */
void memlink_set_gso(uint16_t size);
unsigned memlink_sent(void);
const uint8_t *memlink_frame(unsigned i, size_t *len, uint16_t *gso_size);
bool memlink_was_partial(unsigned i);
void memlink_check_answer(void);
void memlink_clear(void);

#endif /* MEMLINK_H */
