/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flow: the table of everything that is under way
 *
 * An entry has a head (type, both sides' addresses) that this table knows, and
 * fixed room for what the protocol keeps. Life of an entry:
 *
 *	           flow_new()          flow_hash()            flow_end()
 *	   FREE --------------> NEW ---------------> LIVE -----------------+
 *	    ^                    | flow_end()          (found by lookup)   |
 *	    |                    v                                         v
 *	    +------------- flow_reap(), end of the turn ------------ ENDED
 *
 * flow_end() takes the entry out of lookups and sweeps at once; its memory is
 * used again only after the turn, so events still queued for it find it ended.
 *
 * What began at the host may take no more than a share of all: who begins it asks
 * flow_admit() before.
 */
#ifndef FLOW_H
#define FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/timer.h"

#ifndef FLOW_MAX	/* a test has fewer */
#define FLOW_MAX	(128 * 1024)
#endif
/** Room for the protocol's own state, bytes */
#define FLOW_ROOM	168

/**
 * enum flow_type - what an entry is
 */
enum flow_type {
	FLOW_NONE,
	FLOW_TCP,
	FLOW_TCP_SPLICE,
	FLOW_UDP,
	FLOW_UDP_SPLICE,
	FLOW_ICMP,
	FLOW_TYPES
};

/**
 * enum flow_place - where a side's peer is
 * @FLOW_AT_GUEST:	past the link
 * @FLOW_AT_HOST:	behind a socket in the host's network namespace
 * @FLOW_AT_NS:		behind a socket in the guest's network namespace
 */
enum flow_place {
	FLOW_AT_GUEST,
	FLOW_AT_HOST,
	FLOW_AT_NS,
};

/**
 * enum flow_state - life of an entry, see the top of this file
 */
enum flow_state {
	FLOW_FREE,
	FLOW_NEW,
	FLOW_LIVE,
	FLOW_ENDED,
};

/** The side that began the flow, and the other */
#define INI	0
#define TGT	1

/**
 * struct flow_side - one side of a flow, as this daemon stands to it
 * @remote:	who is there: on the guest's side the guest itself, on the
 *		host's side the server or client
 * @local:	the address that we speak from, towards @remote
 * @rport:	@remote's port (ICMP: identifier)
 * @lport:	@local's port (ICMP: 0)
 * @ifindex:	scope of link-local addresses, else 0
 * @place:	enum flow_place
 */
struct flow_side {
	struct addr remote;
	struct addr local;
	uint16_t rport;
	uint16_t lport;
	uint32_t ifindex:30;
	uint32_t place:2;
};

/**
 * struct flow - an entry
 * @side:	both sides, [INI] and [TGT]
 * @next:	ended list (index + 1), private to flow.c
 * @type:	enum flow_type
 * @state:	enum flow_state
 * @proto:	IPPROTO_* part of the lookup key
 * @hashed:	bit per side: in the lookup table
 * @room:	the protocol's own
 */
struct flow {
	struct flow_side side[2];
	uint32_t next;
	uint8_t type;
	uint8_t state;
	uint8_t proto;
	uint8_t hashed;
	_Alignas(8) uint8_t room[FLOW_ROOM];
};

/**
 * struct flow_ops - what the table asks of a protocol
 * @name:	for messages
 * @guest_left:	the guest went away: end the flow, delivering or resetting as
 *		the protocol's rules say
 * @stop:	the daemon ends, or this one gives way to another, as of
 *		flow_doubt(): the same, without waiting for anything
 */
struct flow_ops {
	const char *name;
	void (*guest_left)(struct flow *f, usec_t now);
	void (*stop)(struct flow *f, usec_t now);
};

/** Called by flow_sweep() for a live flow */
typedef void (*flow_fn)(struct flow *f, usec_t now);

/**
 * struct flow_cursor - where a sweep stopped; zeroed: not under way
 * @index:	entry to go on with
 * @active:	sweep under way
 */
struct flow_cursor {
	uint32_t index;
	bool active;
};

void flow_init(void);
void flow_register(enum flow_type type, const struct flow_ops *ops);
struct flow *flow_new(enum flow_type type, uint8_t proto);
void flow_hash(struct flow *f, unsigned side);
struct flow *flow_lookup(uint8_t proto, const struct flow_side *key,
			 unsigned *side);
bool flow_admit(unsigned fds, usec_t now);
void flow_doubt(struct flow *f);
bool flow_trust(struct flow *f);
void flow_end(struct flow *f);
void flow_reap(void);
bool flow_sweep(struct flow_cursor *c, enum flow_type type, unsigned max,
		flow_fn fn, usec_t now);
void flow_guest_left(usec_t now);
void flow_stop(usec_t now);
unsigned flow_count(void);
uint32_t flow_index(const struct flow *f);
struct flow *flow_at(uint32_t index);
const char *flow_text(const struct flow *f, char *buf, size_t size);
uint64_t flow_secret(const void *data, size_t len);

/** The flow that holds a protocol's state */
#define flow_of(state)							\
	((struct flow *)(void *)((uint8_t *)(state) -			\
				 offsetof(struct flow, room)))
/** A flow's protocol state, as a type */
#define flow_as(f, type)	((type *)(void *)(f)->room)

#endif /* FLOW_H */
