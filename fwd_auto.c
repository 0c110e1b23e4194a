// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fwd_auto: forwarding that follows what listens on the other side
 *
 * More than twice a second both sides are asked what listens there
 * (host/ports.h). What each of our own listeners stands for is taken out of the
 * answer, so nothing is forwarded in a circle. Of the rest, with the side that
 * a rule leads to:
 *
 *	listened on there, in the rule, not yet here	open a listener
 *	no longer, or in another family			close it
 *	no longer, but connected to a flow		leave it
 *	cannot be bound: in use, privileged		tried again next time
 *
 * Only what can be reached counts: from inside, that is what the host listens
 * on at loopback; from the host, what the guest listens on at its addresses, or
 * at loopback where the bypass leads there. A listener is of the families that
 * were found, so that a client of the other one is refused at once, and tries
 * the next address.
 *
 * UDP ports of the same numbers as TCP ports are forwarded, too, where their
 * rule has `auto`: some programs bind them for a moment only, after they have
 * spoken by TCP. Sockets of UDP clients on ephemeral ports are left alone by
 * the rules themselves (lib/portspec.h), those that are connected by ports.h; and
 * DHCP's ports here: they are about a link, and in use on either side's own.
 *
 * Of the descriptors that all other ports leave, half is left to flows: who listens
 * on very many ports is not to end the network, nor the start of it.
 *
 * State: what was seen last, and the ports that could not be bound, so that it
 * is said once.
 */
#include "fwd_auto.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "fwd_listen.h"
#include "fwd_udp.h"
#include "lib/log.h"

/** Within a second, on a machine that is busy as well */
#define FWD_AUTO_INTERVAL	(400 * USEC_PER_MSEC)
/** On a host with very many sockets: not more than a twentieth of a CPU */
#define FWD_AUTO_SHARE		20
#define FWD_AUTO_INTERVAL_MAX	(700 * USEC_PER_MSEC)

/** Of the descriptors that are left, listeners have at most one in so many */
#define FWD_AUTO_PART		2

/* NOLINTNEXTLINE(misc-redundant-expression): so it has to be */
static_assert(FWD_PORT_WORDS == PORTS_WORDS, "a bit per port, both");

/** Index of a protocol in what is kept for both */
enum fwd_auto_proto { AUTO_TCP, AUTO_UDP, AUTO_PROTOS };

/**
 * struct fwd_auto_view - what is known of one protocol, one way
 * @seen:	what listens on the side that the way leads to
 * @known:	@seen is from this scan
 * @failed:	a bit per port: could not be bound
 */
struct fwd_auto_view {
	struct ports_map seen;
	bool known;
	uint64_t failed[PORTS_WORDS];
};

/**
 * struct fwd_auto_connected - UDP servers that have connected to a client
 * @map:	ports of connected sockets, on the side that the way leads to
 * @asked:	@map was asked for in this scan, of this way
 * @known:	and is there
 */
struct fwd_auto_connected {
	struct ports_map map;
	bool asked;
	bool known;
};

static const struct conf *fwd_auto_conf;
/* By way: the side that it leads to */
static struct ports_source fwd_auto_source[FWD_WAYS];
static struct fwd_auto_view fwd_auto_views[AUTO_PROTOS][FWD_WAYS];
static struct fwd_auto_connected fwd_auto_connected;
static struct timer fwd_auto_timer;
/* So many listeners there may be, and that there are has been said */
static rlim_t fwd_auto_most;
static bool fwd_auto_said_full;

static uint8_t fwd_auto_number(enum fwd_auto_proto proto)
{
	return proto == AUTO_TCP ? IPPROTO_TCP : IPPROTO_UDP;
}

static bool fwd_auto_is_off(enum fwd_auto_proto proto)
{
	return proto == AUTO_TCP ? fwd_auto_conf->no_tcp :
				   fwd_auto_conf->no_udp;
}

static bool fwd_auto_has_rules(enum fwd_auto_proto proto, enum fwd_way way)
{
	const struct port_rule *r;

	if (fwd_auto_is_off(proto))
		return false;
	for (unsigned i = 0; (r = fwd_rule(fwd_auto_number(proto), way, i)); i++)
		if (r->automatic)
			return true;
	return false;
}

static enum fwd_way fwd_auto_other(enum fwd_way way)
{
	return way == FWD_IN ? FWD_OUT : FWD_IN;
}

/* Where files tell, they do not tell which interface a socket is bound to */
static bool fwd_auto_is_exact(const struct fwd_listener *l)
{
	return fwd_auto_source[fwd_auto_other(l->way)].count == 1;
}

/* Takes a listener of ours out of what listens on its side */
static void fwd_auto_forget(struct ports_map *m, const struct fwd_listener *l)
{
	const struct port_rule *r = fwd_listen_rule(l);
	const uint64_t keep = ~(1ULL << l->port % 64);
	unsigned w = l->port / 64;
	bool any = addr_is_unspecified(&r->listen);
	bool lo = any || addr_is_loopback(&r->listen);
	bool out = (l->way == FWD_IN || !fwd_auto_is_exact(l)) &&
		   (any || !lo);

	if (l->families & FWD_V4) {
		m->bit[PORTS_LO4][w] &= lo ? keep : ~0ULL;
		m->bit[PORTS_OUT4][w] &= out ? keep : ~0ULL;
	}
	if (l->families & FWD_V6) {
		m->bit[PORTS_LO6][w] &= lo ? keep : ~0ULL;
		m->bit[PORTS_OUT6][w] &= out ? keep : ~0ULL;
	}
}

static uint64_t fwd_auto_seen_word(const struct ports_map *m, unsigned w)
{
	return m->bit[PORTS_LO4][w] | m->bit[PORTS_LO6][w] |
	       m->bit[PORTS_OUT4][w] | m->bit[PORTS_OUT6][w];
}

/* The lowest port of a word, taken out of it */
static uint16_t fwd_auto_take(uint64_t *bits, unsigned w)
{
	unsigned n = (unsigned)__builtin_ctzll(*bits);

	*bits &= *bits - 1;
	return (uint16_t)(w * 64 + n);
}

/* Whoever leads the other way listens on the side that this way leads to */
static void fwd_auto_forget_own(struct ports_map *m, enum fwd_auto_proto proto,
				enum fwd_way way)
{
	enum fwd_way own = fwd_auto_other(way);
	uint8_t number = fwd_auto_number(proto);
	const uint64_t *ports = fwd_listen_ports(number, own);

	for (unsigned w = 0; w < PORTS_WORDS; w++) {
		uint64_t bits = ports[w] & fwd_auto_seen_word(m, w);

		while (bits) {
			const struct fwd_listener *l =
				fwd_listen_on(number, own,
					      fwd_auto_take(&bits, w));

			for (; l; l = fwd_listen_next(l))
				fwd_auto_forget(m, l);
		}
	}
}

/* UDP is asked for on both sides: who opens a port looks whether it is held */
static void fwd_auto_scan(enum fwd_auto_proto proto, enum fwd_way way)
{
	struct fwd_auto_view *v = &fwd_auto_views[proto][way];
	int rc;

	v->known = false;
	if (!fwd_auto_has_rules(proto, way) &&
	    (proto == AUTO_TCP ||
	     !fwd_auto_has_rules(proto, fwd_auto_other(way))))
		return;
	rc = !fwd_auto_source[way].count ? -ENODEV :
	     ports_scan(&fwd_auto_source[way], fwd_auto_number(proto),
			&v->seen);
	if (rc) {
		warn_limited("cannot see which ports are listened on: %s",
			     strerror(-rc));
		return;
	}
	v->known = true;
	fwd_auto_forget_own(&v->seen, proto, way);
}

/* Whether listening at @target's kind of address is of use to a rule */
static bool fwd_auto_reaches(const struct fwd_port *p, bool loopback)
{
	const struct port_rule *r = p->rule;
	bool bypass_only = fwd_auto_conf->ns.no_tap;

	if (r->has_target)
		return loopback == addr_is_loopback(&r->target);
	if (p->way == FWD_OUT)
		return loopback;
	return loopback ? bypass_only || fwd_auto_conf->host_lo_to_ns_lo :
			  !bypass_only;
}

/* Families in which what a port leads to is listened on */
static unsigned fwd_auto_seen(const struct ports_map *m,
			      const struct fwd_port *p)
{
	const struct port_rule *r = p->rule;
	uint16_t to = (uint16_t)(r->to + (p->port - r->first));
	bool lo = fwd_auto_reaches(p, true), out = fwd_auto_reaches(p, false);
	unsigned f = 0;

	if (r->beside)
		return 0;
	if ((lo && ports_has(m, PORTS_LO4, to)) ||
	    (out && ports_has(m, PORTS_OUT4, to)))
		f |= FWD_V4;
	if ((lo && ports_has(m, PORTS_LO6, to)) ||
	    (out && ports_has(m, PORTS_OUT6, to)))
		f |= FWD_V6;
	if (r->has_target)
		f &= addr_is_v4(&r->target) ? FWD_V4 : FWD_V6;
	return f;
}

/* Where the TCP port of the same number is forwarded from the same address */
static unsigned fwd_auto_beside_tcp(const struct fwd_port *p)
{
	const struct port_rule *r = p->rule;
	const struct fwd_listener *l;
	unsigned f = 0;

	if (p->proto == IPPROTO_TCP || r->to != r->first)
		return 0;
	l = fwd_listen_on(IPPROTO_TCP, p->way, p->port);
	for (; l; l = fwd_listen_next(l)) {
		const struct port_rule *tcp = fwd_listen_rule(l);

		if (addr_equal(&tcp->listen, &r->listen) &&
		    !strcmp(tcp->ifname, r->ifname))
			f |= l->families;
	}
	return f;
}

/* RFC 2131 4.1, RFC 8415 7.2 */
static bool fwd_auto_is_dhcp(const struct fwd_port *p)
{
	return p->proto == IPPROTO_UDP && (p->port == 67 || p->port == 68 ||
					   p->port == 546 || p->port == 547);
}

/* The families that a port of a rule is to be listened on now, 0: it is not */
static unsigned fwd_auto_wanted(const struct fwd_auto_view *v,
				const struct fwd_port *p)
{
	struct fwd_port all = *p;

	if (fwd_auto_is_dhcp(p))
		return 0;
	all.families = FWD_V4 | FWD_V6;
	return fwd_families(&all) &
	       (fwd_auto_seen(&v->seen, p) | fwd_auto_beside_tcp(p));
}

static struct fwd_port fwd_auto_port(const struct fwd_listener *l)
{
	return (struct fwd_port){
		.rule = fwd_listen_rule(l), .index = l->rule,
		.port = l->port, .proto = l->proto, .way = l->way,
	};
}

/*
 * A UDP server that has connected to its client, as nc -l does to the first, is
 * listened for as long as it has the port: its client knows no other
 */
static bool fwd_auto_is_connected(const struct fwd_port *p)
{
	struct fwd_auto_connected *c = &fwd_auto_connected;
	const struct port_rule *r = p->rule;

	if (p->proto != IPPROTO_UDP ||
	    !fwd_udp_led(p->way, (uint16_t)(r->to + (p->port - r->first))))
		return false;
	if (!c->asked)
		c->known = !ports_scan_connected(&fwd_auto_source[p->way],
						 &c->map);
	c->asked = true;
	return c->known && fwd_auto_seen(&c->map, p);
}

/* Whether a listener is what is wanted now */
static bool fwd_auto_is_right(const struct fwd_auto_view *v,
			      const struct fwd_listener *l,
			      const struct fwd_port *p)
{
	unsigned wanted = fwd_auto_wanted(v, p);

	return wanted == l->families || (!wanted && fwd_auto_is_connected(p));
}

/* Closes those of a port that are of no use any more */
static void fwd_auto_check(const struct fwd_auto_view *v,
			   struct fwd_listener *l)
{
	while (l) {
		struct fwd_listener *next = fwd_listen_next(l);
		const struct fwd_port p = fwd_auto_port(l);

		if (p.rule->automatic && !fwd_auto_is_right(v, l, &p)) {
			debug("%s port %u is not forwarded any more",
			      p.proto == IPPROTO_TCP ? "TCP" : "UDP", p.port);
			fwd_listen_close(l);
		}
		l = next;
	}
}

static void fwd_auto_close(enum fwd_auto_proto proto, enum fwd_way way)
{
	const struct fwd_auto_view *v = &fwd_auto_views[proto][way];
	uint8_t number = fwd_auto_number(proto);
	const uint64_t *ports = fwd_listen_ports(number, way);

	fwd_auto_connected.asked = false;
	for (unsigned w = 0; w < PORTS_WORDS; w++) {
		uint64_t bits = ports[w];

		while (bits)
			fwd_auto_check(v, fwd_listen_on(number, way,
						fwd_auto_take(&bits, w)));
	}
}

/*
 * A UDP port that flows of ours hold: no other daemon's do then. Who listens there
 * may share it, too.
 */
static bool fwd_auto_is_ours(const struct fwd_port *p)
{
	const struct fwd_auto_view *here =
		&fwd_auto_views[AUTO_UDP][fwd_auto_other(p->way)];

	return p->proto == IPPROTO_UDP && p->way == FWD_IN &&
	       fwd_udp_held(p->families, p->port) && here->known &&
	       !(fwd_auto_seen_word(&here->seen, p->port / 64) >>
		 p->port % 64 & 1);
}

static void fwd_auto_failed(struct fwd_auto_view *v, const struct fwd_port *p,
			    int rc)
{
	uint64_t bit = 1ULL << p->port % 64;

	if (rc == -EMFILE || rc == -ENFILE)
		warn_limited("no descriptor for a port to forward: %s",
			     strerror(-rc));
	else if (!(v->failed[p->port / 64] & bit))
		debug("%s port %u cannot be forwarded for now: %s",
		      p->proto == IPPROTO_TCP ? "TCP" : "UDP", p->port,
		      strerror(-rc));
	v->failed[p->port / 64] |= bit;
}

static bool fwd_auto_is_full(void)
{
	bool full = fwd_listen_count() >= fwd_auto_most;

	if (full && !fwd_auto_said_full)
		warn("Not all ports that are listened on are forwarded: raise "
		     "RLIMIT_NOFILE (ulimit -Hn)");
	fwd_auto_said_full |= full;
	return full;
}

static void fwd_auto_open(struct fwd_auto_view *v, struct fwd_port *p)
{
	int rc;

	if (fwd_listen_find(p))
		return;
	p->families = (uint8_t)fwd_auto_wanted(v, p);
	if (!p->families || fwd_auto_is_full())
		return;
	p->shared = fwd_auto_is_ours(p);
	rc = fwd_listen_open(p);
	if (rc) {
		fwd_auto_failed(v, p, rc);
		return;
	}
	v->failed[p->port / 64] &= ~(1ULL << p->port % 64);
	debug("%s port %u is forwarded to the %s",
	      p->proto == IPPROTO_TCP ? "TCP" : "UDP", p->port,
	      p->way == FWD_IN ? "guest" : "host");
}

/* Ports, on the side that the rule leads to, that it may have to follow */
static uint64_t fwd_auto_candidates(const struct fwd_auto_view *v,
				    const struct fwd_port *p, unsigned w)
{
	uint64_t bits = fwd_auto_seen_word(&v->seen, w);

	if (p->proto == IPPROTO_UDP && p->rule->to == p->rule->first)
		bits |= fwd_listen_ports(IPPROTO_TCP, p->way)[w];
	return bits;
}

static void fwd_auto_follow(struct fwd_auto_view *v, struct fwd_port *p)
{
	const struct port_rule *r = p->rule;
	unsigned last = r->to + (unsigned)(r->last - r->first);

	for (unsigned w = r->to / 64; w <= last / 64; w++) {
		uint64_t bits = fwd_auto_candidates(v, p, w);

		while (bits) {
			uint16_t at = fwd_auto_take(&bits, w);

			if (at < r->to || at > last)
				continue;
			p->port = (uint16_t)(r->first + (at - r->to));
			fwd_auto_open(v, p);
		}
	}
}

static void fwd_auto_apply(enum fwd_auto_proto proto, enum fwd_way way)
{
	struct fwd_auto_view *v = &fwd_auto_views[proto][way];
	struct fwd_port p = { .proto = fwd_auto_number(proto), .way = way };

	if (!v->known || !fwd_auto_has_rules(proto, way))
		return;
	fwd_auto_close(proto, way);
	for (; (p.rule = fwd_rule(p.proto, way, p.index)); p.index++) {
		if (p.rule->automatic)
			fwd_auto_follow(v, &p);
	}
}

static void fwd_auto_each(void (*fn)(enum fwd_auto_proto proto,
				     enum fwd_way way))
{
	for (unsigned proto = 0; proto < AUTO_PROTOS; proto++) {
		for (unsigned way = 0; way < FWD_WAYS; way++)
			fn(proto, way);
	}
}

static usec_t fwd_auto_cpu(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (usec_t)t.tv_sec * USEC_PER_SEC + (usec_t)t.tv_nsec / 1000;
}

static void fwd_auto_run(struct timer *t, usec_t now)
{
	usec_t began = fwd_auto_cpu(), pause;

	fwd_auto_each(fwd_auto_scan);
	fwd_auto_each(fwd_auto_apply);
	pause = (fwd_auto_cpu() - began) * FWD_AUTO_SHARE;
	if (pause < FWD_AUTO_INTERVAL)
		pause = FWD_AUTO_INTERVAL;
	if (pause > FWD_AUTO_INTERVAL_MAX)
		pause = FWD_AUTO_INTERVAL_MAX;
	timer_arm(t, now + pause);
}

/**
 * fwd_auto_start() - Follow what listens, from now on
 * @c:		what to work with
 * @now:	time, usec
 *
 * What listens already is forwarded on return. To be called after both
 * protocols listen on the ports that were asked for by number. Does nothing
 * where no rule has `auto`.
 */
void fwd_auto_start(const struct fwd_auto_conf *c, usec_t now)
{
	unsigned others = fwd_listen_count();
	struct rlimit r;
	bool rules = false;

	fwd_auto_most = getrlimit(RLIMIT_NOFILE, &r) ? RLIM_INFINITY :
			others + (r.rlim_cur - others) / FWD_AUTO_PART;
	fwd_auto_conf = c->conf;
	fwd_auto_source[FWD_IN] = c->ns;
	fwd_auto_source[FWD_OUT] = c->host;
	fwd_auto_timer.fn = fwd_auto_run;
	for (unsigned way = 0; way < FWD_WAYS; way++)
		rules |= fwd_auto_has_rules(AUTO_TCP, way) ||
			 fwd_auto_has_rules(AUTO_UDP, way);
	if (rules)
		fwd_auto_run(&fwd_auto_timer, now);
}
