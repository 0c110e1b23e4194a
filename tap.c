// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tap: frames from the guest: check, sort a batch by protocol and flow, hand
 * over to whoever answers for it
 *
 *	link_receive() -> packet_parse() -> runs by flow -> tcp_input() ...
 *	                       |    ^
 *	                       v    | whole datagrams
 *	                     frag_input()
 *
 * A run is what one TCP or UDP flow sent within the batch, in order; anything
 * else is a run of one. Runs are handed over in the order they began. What is
 * asked once a flow (learning, switches, destinations) is asked once a run.
 *
 * State: the batch, valid from link_receive() to link_release(). Frames are not
 * copied but for their headers; no system call but the link's.
 */
#include "tap.h"

#include <linux/if_ether.h>
#include <string.h>

#include "flow.h"
#include "frag.h"
#include "guest.h"
#include "icmp.h"
#include "lib/bytes.h"
#include "lib/log.h"
#include "lib/packet.h"
#include "lib/stats.h"
#include "serve/arp.h"
#include "serve/dhcp.h"
#include "serve/dhcpv6.h"
#include "serve/ndp.h"
#include "tcp.h"
#include "udp.h"

/** Batches of a turn: so much before timers and sockets have their turn */
#define TAP_BATCHES	4
/** Buckets to find a run in; a power of 2, twice the runs there can be */
#define TAP_BUCKETS	256

#define DHCP_PORT	67
#define DHCPV6_PORT	547

_Static_assert(LINK_BATCH < UINT8_MAX && TAP_BUCKETS >= 2 * LINK_BATCH,
	       "buckets hold the number of a run in a byte");

/**
 * struct tap_run - packets of one flow
 * @head:	first one; the others follow by @next
 * @tail:	last one
 */
struct tap_run {
	struct packet *head;
	struct packet *tail;
};

static const struct conf *tap_conf;
static struct frame tap_frames[LINK_BATCH];
static struct packet tap_packets[LINK_BATCH];
static struct tap_run tap_runs[LINK_BATCH];
static unsigned tap_run_count;
/* Index of a run, plus 1; 0: empty */
static uint8_t tap_buckets[TAP_BUCKETS];

static bool tap_same_flow(const struct packet *a, const struct packet *b)
{
	return a->sport == b->sport && a->dport == b->dport &&
	       a->proto == b->proto && addr_equal(&a->src, &b->src) &&
	       addr_equal(&a->dst, &b->dst);
}

static bool tap_is_served(const struct packet *p)
{
	return p->proto == IPPROTO_UDP &&
	       p->dport == (p->ethertype == ETH_P_IP ? DHCP_PORT : DHCPV6_PORT);
}

/* Whether packets of this kind may wait for others of their flow */
static bool tap_has_flow(const struct packet *p)
{
	return p->proto == IPPROTO_TCP ||
	       (p->proto == IPPROTO_UDP && !tap_is_served(p));
}

/* Of no secret: a guest that makes them collide pays with its own batch */
static unsigned tap_hash(const struct packet *p)
{
	uint64_t a[2], b[2], h;

	memcpy(a, &p->src, sizeof(a));
	memcpy(b, &p->dst, sizeof(b));
	h = (a[0] ^ a[1]) * 0x9e3779b97f4a7c15ULL;
	h ^= (b[0] ^ b[1]) + ((uint64_t)p->sport << 16 | p->dport);
	h *= 0x9e3779b97f4a7c15ULL;
	return (unsigned)(h >> 32) % TAP_BUCKETS;
}

static void tap_new_run(struct packet *p)
{
	tap_runs[tap_run_count++] = (struct tap_run){ p, p };
}

static void tap_append(struct tap_run *r, struct packet *p)
{
	r->tail->next = p;
	r->tail = p;
}

/* A packet, its @next NULL, joins the run of its flow, or begins one */
static void tap_sort(struct packet *p)
{
	struct tap_run *last = tap_runs + tap_run_count;
	unsigned i;

	if (!tap_has_flow(p)) {
		tap_new_run(p);
		return;
	}
	if (tap_run_count && tap_same_flow(last[-1].head, p)) {
		tap_append(last - 1, p);
		return;
	}
	for (i = tap_hash(p); tap_buckets[i]; i = (i + 1) % TAP_BUCKETS) {
		struct tap_run *r = &tap_runs[tap_buckets[i] - 1];

		if (tap_same_flow(r->head, p)) {
			tap_append(r, p);
			return;
		}
	}
	tap_new_run(p);
	tap_buckets[i] = (uint8_t)tap_run_count;
}

static void tap_drop(const struct packet *run, enum drop_reason why)
{
	for (; run; run = run->next)
		drop(why);
}

/* Not for one host alone: only serve/ listens to that */
static bool tap_is_for_many(const struct packet *p)
{
	return addr_is_multicast(&p->dst) || addr_is_broadcast(&p->dst);
}

static void tap_tcp(const struct packet *run, usec_t now)
{
	if (tap_conf->no_tcp)
		tap_drop(run, DROP_DISABLED);
	else if (tap_is_for_many(run))
		tap_drop(run, DROP_IP_DEST);
	else
		tcp_input(run, now);
}

static void tap_udp(const struct packet *run, usec_t now)
{
	if (tap_is_served(run) &&
	    (run->ethertype == ETH_P_IP ? dhcp_input(run) : dhcpv6_input(run)))
		return;
	if (tap_conf->no_udp)
		tap_drop(run, DROP_DISABLED);
	else if (tap_is_for_many(run))
		tap_drop(run, DROP_IP_DEST);
	else
		udp_input(run, now);
}

static void tap_icmp(const struct packet *p, usec_t now)
{
	struct packet_quote q;

	if (ndp_input(p, now))
		return;
	if (tap_conf->no_icmp)
		drop(DROP_DISABLED);
	else if (tap_is_for_many(p))
		drop(DROP_IP_DEST);
	else if (!icmp_is_unreachable(p))
		icmp_input(p, now);
	else if (packet_parse_quote(p, &q))
		tcp_rejected(&q);
}

/*
 * The sender of a request, or of an announcement; not of a probe, which has
 * none (RFC 5227 2.1.1), nor of anything arp_input() would refuse
 */
static void tap_learn_arp(const struct packet *p)
{
	static const uint8_t ethernet_ip4[6] = { 0, 1, 8, 0, 6, 4 };
	const uint8_t *arp = p->hdr + p->l3_off;
	struct addr spa;

	if (p->payload.len < 28 || memcmp(arp, ethernet_ip4, 6))
		return;
	spa = addr_from_v4(arp + 14);
	guest_learn_addr(&spa);
}

static void tap_deliver(const struct packet *run, usec_t now)
{
	bool v6 = run->ethertype == ETH_P_IPV6;

	guest_learn_mac(run->smac);
	if (!tap_conf->family[v6 ? CONF_V6 : CONF_V4].on) {
		tap_drop(run, DROP_DISABLED);
		return;
	}
	if (run->ethertype == ETH_P_ARP) {
		tap_learn_arp(run);
		arp_input(run);
		return;
	}
	guest_learn_addr(&run->src);
	if (run->proto == IPPROTO_TCP)
		tap_tcp(run, now);
	else if (run->proto == IPPROTO_UDP)
		tap_udp(run, now);
	else
		tap_icmp(run, now);
}

static void tap_trace(const struct packet *p)
{
	char src[ADDR_STRLEN], dst[ADDR_STRLEN];

	trace("Guest: ethertype 0x%04x protocol %u, %s port %u to %s port %u, %zu bytes",
	      p->ethertype, p->proto,
	      addr_format(&p->src, src, sizeof(src)), p->sport,
	      addr_format(&p->dst, dst, sizeof(dst)), p->dport,
	      p->payload.len);
}

/* Return: whether all of it was UDP */
static bool tap_batch(unsigned n, usec_t now)
{
	const struct packet *whole[LINK_BATCH];
	unsigned whole_count = 0;
	bool tracing = log_enabled(LOG_LEVEL_TRACE);
	bool datagrams = true;

	tap_run_count = 0;
	memset(tap_buckets, 0, sizeof(tap_buckets));
	for (unsigned i = 0; i < n; i++) {
		struct packet *p = &tap_packets[i];

		if (!packet_parse(&tap_frames[i], p))
			continue;
		if (tracing)
			tap_trace(p);
		datagrams &= p->proto == IPPROTO_UDP;
		if (p->fragment) {
			if (!frag_input(p, p, now))
				continue;
			whole[whole_count++] = p;
		}
		tap_sort(p);
	}
	for (unsigned i = 0; i < tap_run_count; i++)
		tap_deliver(tap_runs[i].head, now);
	while (whole_count)
		frag_release(whole[--whole_count]);
	return datagrams;
}

static void tap_readable(usec_t now)
{
	bool datagrams = true;

	for (unsigned i = 0; i < TAP_BATCHES; i++) {
		unsigned n = link_receive(tap_frames, LINK_BATCH);

		if (!n)
			break;
		datagrams &= tap_batch(n, now);
		link_release();
	}
	link_coalesce(datagrams, now);
}

static void tap_writable(usec_t now)
{
	tcp_link_writable(now);
	udp_link_writable(now);
}

static void tap_up(usec_t now)
{
	guest_arrived();
	ndp_guest_up(now);
}

static void tap_down(usec_t now)
{
	ndp_guest_left();
	flow_guest_left(now);
	frag_forget();
	guest_forget();
}

/**
 * tap_init() - Get ready for frames
 * @c:		configuration, kept
 */
void tap_init(const struct conf *c)
{
	tap_conf = c;
	frag_init();
}

/**
 * tap_events() - What the link calls
 *
 * Return: the events, for link_init()
 */
const struct link_events *tap_events(void)
{
	static const struct link_events events = {
		.readable = tap_readable,
		.writable = tap_writable,
		.up = tap_up,
		.down = tap_down,
	};

	return &events;
}
