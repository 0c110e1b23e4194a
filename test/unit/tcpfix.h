/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcpfix: a guest that chooses every segment, and a host, for the tests of TCP
 *
 * The host is a network namespace of the test's own. The guest, behind a link
 * in memory, is 192.0.2.2 and 2001:db8::2; 192.0.2.1 and fe80::1 are its names
 * for the host's loopback. The clock is the variable tf_now, and stands still
 * but for tf_later(). There is one connection at a time, in g; sequence numbers
 * are relative: 0 is the first byte of data of either side, SYN stands at -1.
 */
#ifndef TCPFIX_H
#define TCPFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "lib/packet.h"
#include "tcp_conn.h"
#include "test/unit/memlink.h"
#include "test/unit/unit.h"

#define FIN	TCP_FLAG_FIN
#define SYN	TCP_FLAG_SYN
#define RST	TCP_FLAG_RST
#define ACK	TCP_FLAG_ACK
#define URG	TCP_FLAG_URG
/** No segment came */
#define NOTHING	0x80

#define SEG_MAX	(64 * 1024)

/**
 * struct guest - the guest's end of the connection
 * @src:	guest's address
 * @dst:	its peer's, as the guest names it
 * @sport:	guest's port
 * @dport:	its peer's
 * @iss:	the guest's initial sequence number
 * @irs:	ours
 * @set_irs:	ours is to be @irs
 * @window:	header's window field of what the guest sends
 * @urgent:	urgent pointer of what the guest sends
 * @mss:	MSS option of its SYN, 0: none
 * @ws:		window scale option of its SYN, -1: none
 * @sack:	its SYN has SACK-permitted
 * @fd:		the host peer's socket
 * @listener:	where the host's peer listens, -1 if nowhere
 */
struct guest {
	struct addr src;
	struct addr dst;
	uint16_t sport;
	uint16_t dport;
	uint32_t iss;
	uint32_t irs;
	bool set_irs;
	uint16_t window;
	uint16_t urgent;
	uint16_t mss;
	int ws;
	bool sack;
	int fd;
	int listener;
};

/**
 * struct seg - a segment that the guest was sent
 * @seq:	relative
 * @ack:	relative
 * @window:	header's field
 * @urgent:	urgent pointer
 * @flags:	without PSH; NOTHING: there was none
 * @mss:	its option, 0: none
 * @ws:		its option, -1: none
 * @sack:	it had SACK-permitted
 * @blocks:	edges of its SACK option's blocks, relative
 * @cnt:	how many blocks
 * @gso:	bytes of each segment that it stands for, 0: of itself only
 * @psh:	it had PSH
 * @len:	bytes of payload
 * @data:	payload
 */
struct seg {
	int32_t seq;
	int32_t ack;
	uint16_t window;
	uint16_t urgent;
	uint8_t flags;
	uint16_t mss;
	int ws;
	bool sack;
	int32_t blocks[8];
	unsigned cnt;
	uint16_t gso;
	bool psh;
	size_t len;
	uint8_t data[SEG_MAX];
};

extern struct conf tf_conf;
extern usec_t tf_now;
extern struct guest g;
/* The segment last looked at */
extern struct seg s;

struct addr tf_addr(const char *text);
void tf_setup(void);
void tf_setup_mtu(unsigned mtu);
void tf_teardown(void);
unsigned tf_turns(void);
void tf_later(usec_t usec);

/* The guest sends: one segment, or some that come in one batch */
void queue(uint8_t flags, int32_t seq, int32_t ack, const void *data,
	   size_t len);
void flush(void);
void sends(uint8_t flags, int32_t seq, int32_t ack, const void *data,
	   size_t len);

/* What the guest gets, in order */
struct seg *next(void);
unsigned waiting(void);
void forget(void);

/* Connections */
int peer_listen(const char *at);
int peer_accept(void);
int peer_connect(void);
void open_out(void);
void open_in(void);
struct tcp_conn *conn(void);
bool gone(void);

/* The host's peer */
ssize_t peer_sends(const void *data, size_t len);
ssize_t peer_reads(void *data, size_t len);
bool peer_eof(void);
int peer_error(void);
void peer_resets(void);
size_t peer_drains(size_t max);
const uint8_t *pattern(size_t off);

/** Of an MTU of 1500 */
#define MSS	1460

/** The segment last looked at carries the stream's bytes of its place */
#define RIGHT()								\
	CHECK(!memcmp(s.data, pattern((size_t)s.seq), s.len))

/** The next segment has these flags, relative sequence numbers and length */
#define SAW(f, sq, ak, n)						\
	do {								\
		next();							\
		CHECK_EQ(s.flags, f);					\
		CHECK_EQ(s.seq, sq);					\
		CHECK_EQ(s.ack, ak);					\
		CHECK_EQ(s.len, n);					\
	} while (0)
/** Nothing else was sent */
#define QUIET()								\
	CHECK_EQ(waiting(), 0)
/** The connection is there, and in this state */
#define STATE(st)							\
	do {								\
		CHECK(conn());						\
		if (conn())						\
			CHECK_EQ(conn()->state, TCPS_##st);		\
	} while (0)

bool tf_enter(void);

#endif /* TCPFIX_H */
