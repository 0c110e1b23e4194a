/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link: how frames travel to and from the guest
 *
 * One interface, several transports; TCP, UDP, ICMP and serve/ never know which
 * one they talk to. There is one link a process; it is chosen at start.
 *
 * From the guest, a batch at a time, in place:
 *
 *	n = link_receive(frames, max);     frames[] point into the link's memory
 *	... use them ...
 *	link_release();                    all of the batch goes back
 *
 * To the guest, the loan of frames:
 *
 *	k = link_reserve(loans, n, hlen, room);   lent: k <= n frames of hlen
 *	                                          header and room payload bytes
 *	... read socket data straight into loans[i].iov, write loans[i].hdr,
 *	    set loans[i].len (and .gso_size) ...
 *	link_commit(loans, j);                    the first j are sent, in order;
 *	                                          the rest of the loan goes back
 *	link_flush();                             once a turn: one system call
 *
 *	   reserve          commit(2)            flush
 *	 +----+----+----+   +====+===+-------+
 *	 | h..| h..| h..| > | h..|h..|  free | > socket, tap device, used ring
 *	 +----+----+----+   +====+===+-------+
 *
 * Between a reserve and its commit nothing else may be reserved: there is one
 * loan at a time. reserve lends fewer than asked for when they are large, so
 * that a batch stays in the cache, and fewer or none when the link is full; the
 * caller then leaves data where it is, and is told by the writable event when
 * there is room again. A frame once committed is delivered
 * to the transport, unless the guest leaves.
 */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/packet.h"
#include "lib/timer.h"

/** Most frames in one batch, either way */
#define LINK_BATCH	128
/** Most payload buffers of one loan: 64 KiB in the smallest buffers guests have */
#define LINK_LOAN_IOV	64

/**
 * struct loan - a frame lent by the link, to be filled
 * @hdr:	private room for the headers asked for, contiguous
 * @iov:	room for the payload, in order
 * @cnt:	buffers in @iov
 * @len:	payload bytes filled in, set by the borrower before commit
 * @gso_size:	payload bytes a segment, where one frame stands for several
 *		(links with gso only), else 0; set by the borrower
 * @csum_start:	where in @hdr the bytes begin that the other side completes the
 *		checksum of (links with csum only), 0: the frame is whole
 * @csum_off:	and where behind that the checksum stands; both are set by
 *		frame_finish()
 *
 * The last three are 0 when lent.
 */
struct loan {
	uint8_t *hdr;
	struct iovec *iov;
	unsigned cnt;
	size_t len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_off;
};

/**
 * struct link_caps - what a link can do
 * @gso_tcp:	one frame may stand for many TCP segments (virtio_net_hdr)
 * @gso_udp:	the same for UDP (USO)
 * @csum:	transport checksums may be left to the other side
 * @max_frame:	largest frame, Ethernet header included, bytes
 */
struct link_caps {
	bool gso_tcp;
	bool gso_udp;
	bool csum;
	size_t max_frame;
};

/**
 * struct link_events - what a link tells its user (tap.c); called in the loop
 * @readable:	frames are waiting: call link_receive() until it returns 0 or
 *		enough was done in this turn (readable is level-triggered)
 * @writable:	after a full link made a reserve lend less: there is room again
 * @up:		a guest is there
 * @down:	the guest left; nothing can be sent any more
 */
struct link_events {
	void (*readable)(usec_t now);
	void (*writable)(usec_t now);
	void (*up)(usec_t now);
	void (*down)(usec_t now);
};

/**
 * struct link_ops - a transport
 * @name:	for messages
 * @receive:	see link_receive()
 * @release:	see link_release()
 * @hold:	tell no readable event before a time, called within one; 0, at
 *		any time: tell them again. NULL: it cannot
 * @reserve:	see link_reserve()
 * @commit:	see link_commit()
 * @flush:	see link_flush()
 * @caps:	what it can do now (vhost-user negotiates it)
 * @close:	end, release what must be released
 */
struct link_ops {
	const char *name;
	unsigned (*receive)(struct frame *frames, unsigned max);
	void (*release)(void);
	void (*hold)(usec_t until);
	unsigned (*reserve)(struct loan *loans, unsigned n, size_t hlen,
			    size_t room);
	void (*commit)(struct loan *loans, unsigned n);
	void (*flush)(void);
	const struct link_caps *(*caps)(void);
	void (*close)(void);
};

void link_init(const struct link_ops *ops, const struct link_events *ev);
unsigned link_receive(struct frame *frames, unsigned max);
void link_release(void);
void link_coalesce(bool datagrams, usec_t now);
unsigned link_reserve(struct loan *loans, unsigned n, size_t hlen, size_t room);
void link_commit(struct loan *loans, unsigned n);
void link_flush(void);
const struct link_caps *link_caps(void);
void link_close(void);
const struct link_events *link_events(void);

#endif /* LINK_LINK_H */
