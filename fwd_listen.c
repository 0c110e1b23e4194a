// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fwd_listen: the sockets that listen on forwarded ports
 *
 *	protocol, way, port --> first listener --> next --> ...
 *	                        (a port may be listened on at several addresses)
 *
 * Opening, closing and finding cost a look at the listeners of one port. A slot
 * may be used again at once: the loop has forgotten the events of a watch that
 * was deleted. Connections that were accepted live on without their listener.
 *
 * A port that is listened on both ways, each leading to the other, is a circle:
 * a client that has come by the same port before is none.
 *
 * State: the table of listeners, of which no more is touched than was ever in
 * use at once, and how many are; the first listener of each port, and the ports
 * that have one; the timer of those that are paused; how many descriptors the
 * process may have.
 */
#include "fwd_listen.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd_socket.h"
#include "lib/log.h"

/** How long a listener is paused */
#define FWD_LISTEN_PAUSE	(100 * USEC_PER_MSEC)
/** Descriptors that are neither a listener's nor a flow's, about as many */
#define FWD_LISTEN_BESIDE	24
/** As many as two ways, two protocols can have ports */
#define FWD_LISTENERS	(256 * 1024)

/**
 * struct fwd_listen_ports - the ports of a protocol that one way listens on
 * @first:	first listener of each port: index + 1, 0: none
 * @bit:	a bit per port: it has a listener
 */
struct fwd_listen_ports {
	uint32_t first[65536];
	uint64_t bit[FWD_PORT_WORDS];
};

static struct fwd_listener fwd_listeners[FWD_LISTENERS];
static struct fwd_listen_ports fwd_ports_tcp[FWD_WAYS], fwd_ports_udp[FWD_WAYS];
/* Slots that were ever used; first free one among them: index + 1 */
static uint32_t fwd_listen_used;
static uint32_t fwd_listen_free;
static unsigned fwd_listen_now;
static unsigned fwd_listen_paused;
static rlim_t fwd_listen_fds;
static struct timer fwd_listen_timer;
static watch_fn fwd_listen_tcp, fwd_listen_udp;

static struct fwd_listen_ports *fwd_listen_ports_of(uint8_t proto,
						    enum fwd_way way)
{
	return proto == IPPROTO_TCP ? &fwd_ports_tcp[way] :
				      &fwd_ports_udp[way];
}

static watch_fn *fwd_listen_fn_of(uint8_t proto)
{
	return proto == IPPROTO_TCP ? &fwd_listen_tcp : &fwd_listen_udp;
}

static struct fwd_listener *fwd_listen_at(uint32_t link)
{
	return link ? &fwd_listeners[link - 1] : NULL;
}

static uint32_t fwd_listen_link(const struct fwd_listener *l)
{
	return (uint32_t)(l - fwd_listeners) + 1;
}

/**
 * fwd_listen_ports() - The ports that have a listener
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @way:	which way
 * Return: a bit per port, FWD_PORT_WORDS words; changes as they come and go
 */
const uint64_t *fwd_listen_ports(uint8_t proto, enum fwd_way way)
{
	return fwd_listen_ports_of(proto, way)->bit;
}

/**
 * fwd_listen_on() - The first listener of a port
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @way:	which way
 * @port:	the port, host order
 * Return: the listener, or NULL
 */
struct fwd_listener *fwd_listen_on(uint8_t proto, enum fwd_way way,
				   uint16_t port)
{
	return fwd_listen_at(fwd_listen_ports_of(proto, way)->first[port]);
}

/**
 * fwd_listen_next() - The next listener of the same port
 * @l:		listener
 * Return: the next one, or NULL
 */
struct fwd_listener *fwd_listen_next(const struct fwd_listener *l)
{
	return fwd_listen_at(l->next);
}

/**
 * fwd_listen_find() - The listener of a port of a rule
 * @p:		rule, port, protocol and way
 * Return: the listener, or NULL
 */
struct fwd_listener *fwd_listen_find(const struct fwd_port *p)
{
	struct fwd_listener *l = fwd_listen_on(p->proto, p->way, p->port);

	while (l && l->rule != p->index)
		l = fwd_listen_next(l);
	return l;
}

/**
 * fwd_listen_rule() - The rule that a listener is there for
 * @l:		listener
 * Return: the rule
 */
const struct port_rule *fwd_listen_rule(const struct fwd_listener *l)
{
	return fwd_rule(l->proto, l->way, l->rule);
}

static struct fwd_listener *fwd_listen_slot(void)
{
	struct fwd_listener *l = fwd_listen_at(fwd_listen_free);

	if (l)
		fwd_listen_free = l->next;
	else if (fwd_listen_used < FWD_LISTENERS)
		l = &fwd_listeners[fwd_listen_used++];
	return l;
}

static void fwd_listen_release(struct fwd_listener *l)
{
	l->watch.fn = NULL;
	l->next = fwd_listen_free;
	fwd_listen_free = fwd_listen_link(l);
}

static bool fwd_listen_is_v6(int fd)
{
	int family = AF_UNSPEC;
	socklen_t len = sizeof(family);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	return family == AF_INET6;
}

static int fwd_listen_watch(struct fwd_listener *l)
{
	int rc = loop_add(&l->watch, EPOLLIN);

	if (rc)
		close(l->watch.fd);
	return rc;
}

/**
 * fwd_listen_open() - Listen on a port, from now on
 * @p:		the port, which has no listener of the same rule
 * Return: 0, or a negative error code of socket(2), bind(2), listen(2)
 */
int fwd_listen_open(const struct fwd_port *p)
{
	struct fwd_listen_ports *ports = fwd_listen_ports_of(p->proto, p->way);
	struct fwd_listener *l;
	int fd = fwd_socket_listen(p), rc;

	if (fd < 0)
		return fd;
	l = fwd_listen_slot();
	if (!l) {
		close(fd);
		return -ENOSPC;
	}
	*l = (struct fwd_listener){
		.watch = { .fn = *fwd_listen_fn_of(p->proto), .fd = fd },
		.next = ports->first[p->port],
		.port = p->port,
		.rule = (uint16_t)p->index,
		.proto = p->proto,
		.way = p->way,
		.families = (uint8_t)fwd_families(p),
		.v6 = fwd_listen_is_v6(fd),
	};
	rc = fwd_listen_watch(l);
	if (rc) {
		fwd_listen_release(l);
		return rc;
	}
	ports->first[p->port] = fwd_listen_link(l);
	ports->bit[p->port / 64] |= 1ULL << p->port % 64;
	fwd_listen_now++;
	return 0;
}

/**
 * fwd_listen_close() - Listen no more
 * @l:		listener; not to be used any more
 */
void fwd_listen_close(struct fwd_listener *l)
{
	struct fwd_listen_ports *ports = fwd_listen_ports_of(l->proto, l->way);
	uint32_t *link = &ports->first[l->port];

	while (*link != fwd_listen_link(l))
		link = &fwd_listen_at(*link)->next;
	*link = l->next;
	if (!ports->first[l->port])
		ports->bit[l->port / 64] &= ~(1ULL << l->port % 64);
	fwd_listen_now--;
	fwd_listen_paused -= l->paused;
	loop_del(&l->watch);
	close(l->watch.fd);
	fwd_listen_release(l);
}

/**
 * fwd_listen_count() - How many listeners there are
 * Return: of both protocols, both ways; each has a descriptor
 */
unsigned fwd_listen_count(void)
{
	return fwd_listen_now;
}

/* Hear of those that were paused */
static void fwd_listen_resume(struct timer *t, usec_t now)
{
	for (uint32_t i = 0; i < fwd_listen_used && fwd_listen_paused; i++) {
		struct fwd_listener *l = &fwd_listeners[i];

		if (!l->watch.fn || !l->paused ||
		    loop_mod(&l->watch, EPOLLIN))
			continue;
		l->paused = false;
		fwd_listen_paused--;
	}
	if (fwd_listen_paused)
		timer_arm(t, now + FWD_LISTEN_PAUSE);
}

/**
 * fwd_listen_admit() - Whether a new client may be served
 * @l:		listener that it came to
 * @now:	time
 *
 * Those from the host may have a share of what there is, see flow_admit(). Others
 * are the guest.
 *
 * Return: true if so
 */
bool fwd_listen_admit(const struct fwd_listener *l, usec_t now)
{
	unsigned others = fwd_listen_now + FWD_LISTEN_BESIDE;

	if (l->way != FWD_IN)
		return true;
	return flow_admit(fwd_listen_fds > others ?
			  (unsigned)fwd_listen_fds - others : 0, now);
}

/**
 * fwd_listen_pause() - Hear nothing of a listener for a tenth of a second
 * @l:		listener; what comes waits in its queue
 * @now:	time, usec
 *
 * For where nothing can be taken from the queue, no descriptor or memory being
 * there: level-triggered, it would be told of again and again.
 */
void fwd_listen_pause(struct fwd_listener *l, usec_t now)
{
	if (l->paused || loop_mod(&l->watch, 0))
		return;
	l->paused = true;
	fwd_listen_paused++;
	fwd_listen_timer.fn = fwd_listen_resume;
	if (!timer_armed(&fwd_listen_timer))
		timer_arm(&fwd_listen_timer, now + FWD_LISTEN_PAUSE);
}

/**
 * fwd_listen_leads_on() - Whether a server may be a listener of ours
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @to:		its side of a flow past the link
 * Return: true if its port is listened on
 */
bool fwd_listen_leads_on(uint8_t proto, const struct flow_side *to)
{
	return fwd_listen_on(proto, to->place == FLOW_AT_NS ? FWD_OUT : FWD_IN,
			     to->rport);
}

/**
 * fwd_listen_note() - A flow past the link has a socket that leads to its server
 * @f:		flow, in the table by its client's side alone
 * @fd:		the socket, bound to an address and port by connect(2)
 *
 * Where that may be a listener of ours, the flow is found by this side, too: what
 * the listener is to know as its client, see fwd_listen_is_circle().
 */
void fwd_listen_note(struct flow *f, int fd)
{
	struct flow_side *to = &f->side[TGT];
	struct endpoint e;

	if (!fwd_listen_leads_on(f->proto, to) || addr_of_socket(fd, &e))
		return;
	to->local = e.addr;
	to->lport = e.port;
	flow_hash(f, TGT);
}

/* The flow whose socket a client is, seen from the other end */
static struct flow *fwd_listen_before(uint8_t proto, const struct flow_side *s)
{
	const struct flow_side end = {
		.remote = s->local, .rport = s->lport,
		.local = s->remote, .lport = s->rport, .place = s->place,
	};
	unsigned side;
	struct flow *f = flow_lookup(proto, &end, &side);

	return f && side == TGT ? f : NULL;
}

/**
 * fwd_listen_is_circle() - Whether a client has come by the same port before
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @client:	its side, as accepted or received from
 *
 * A port listened on both ways, each leading to the other one: nobody is there,
 * and it would go on until there are no descriptors.
 *
 * Return: true if so: to be refused
 */
bool fwd_listen_is_circle(uint8_t proto, const struct flow_side *client)
{
	const struct flow *f = fwd_listen_before(proto, client);

	for (; f; f = fwd_listen_before(proto, &f->side[INI])) {
		const struct flow_side *at = &f->side[INI];

		if (at->place == client->place && at->lport == client->lport &&
		    addr_equal(&at->local, &client->local))
			return true;
	}
	return false;
}

/**
 * fwd_listen_origin() - The first of the flows that a client has come by
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @client:	its side, as accepted or received from
 * Return: the flow, past the link too, whose own client is not ours; NULL: nor
 *	   is this one
 */
struct flow *fwd_listen_origin(uint8_t proto, const struct flow_side *client)
{
	struct flow *f = fwd_listen_before(proto, client), *first = f;

	for (; f; f = fwd_listen_before(proto, &f->side[INI]))
		first = f;
	return first;
}

static const char *fwd_option(uint8_t proto, enum fwd_way way)
{
	static const char *const name[2][FWD_WAYS] = {
		{ "--tcp-ports", "--tcp-ns" },
		{ "--udp-ports", "--udp-ns" },
	};

	return name[proto != IPPROTO_TCP][way];
}

/* Whether it is us who have it: at one address, and at all of its family */
static bool fwd_listen_is_ours(const struct fwd_port *p)
{
	const struct fwd_listener *l = fwd_listen_on(p->proto, p->way, p->port);
	bool all = addr_is_unspecified(&p->rule->listen);

	for (; l; l = fwd_listen_next(l)) {
		if (l->families & fwd_families(p) &&
		    (all || addr_is_unspecified(&fwd_listen_rule(l)->listen)))
			return true;
	}
	return false;
}

/* What whoever starts us can do about it */
static const char *fwd_listen_hint(const struct fwd_port *p, int rc)
{
	return rc == -EADDRINUSE && fwd_listen_is_ours(p) ?
	       ", by another address of this option" :
	       rc == -EMFILE ? ", raise RLIMIT_NOFILE (ulimit -Hn)" :
	       rc == -EACCES ? ", see the sysctl "
			       "net.ipv4.ip_unprivileged_port_start" : "";
}

/* The port as options write it: ADDR%IF/PORT */
static void fwd_listen_failed(const struct fwd_port *p, int rc)
{
	const struct addr *a = &p->rule->listen;
	const char *ifname = p->rule->ifname;
	bool any = addr_equal(a, &ADDR_ANY6);
	char text[ADDR_STRLEN] = "";

	if (!any)
		addr_format(a, text, sizeof(text));
	err("%s %s%s%s%s%u: %s%s", fwd_option(p->proto, p->way), text,
	    *ifname ? "%" : "", ifname, any && !*ifname ? "" : "/", p->port,
	    strerror(-rc), fwd_listen_hint(p, rc));
}

/* Out of descriptors is no property of the port: pass over nothing then */
static bool fwd_may_pass_over(const struct port_rule *r, int rc)
{
	return (r->weak || r->beside) && rc != -EMFILE && rc != -ENFILE;
}

/* The ports of a rule; @last is the error of the last one passed over */
static int fwd_listen_by_rule(const struct fwd_port *rule, unsigned *bound,
			      int *last)
{
	struct fwd_port p = *rule;

	for (unsigned port = p.rule->first; port <= p.rule->last; port++) {
		int rc;

		p.port = (uint16_t)port;
		/* Another rule has it, of the one family that there is */
		if (!fwd_families(&p))
			continue;
		rc = fwd_listen_open(&p);
		if (!rc) {
			(*bound)++;
			continue;
		}
		if (!p.rule->beside)
			*last = rc;
		if (!fwd_may_pass_over(p.rule, rc)) {
			fwd_listen_failed(&p, rc);
			return rc;
		}
	}
	return 0;
}

static int fwd_listen_way(uint8_t proto, enum fwd_way way)
{
	struct fwd_port p = { .proto = proto, .way = way,
			      .families = FWD_V4 | FWD_V6 };
	unsigned bound = 0;
	int last = 0, rc = 0;

	for (; !rc && (p.rule = fwd_rule(proto, way, p.index)); p.index++) {
		if (p.rule->automatic)
			bound++;
		else
			rc = fwd_listen_by_rule(&p, &bound, &last);
	}
	if (rc || bound || !last)
		return rc;
	err("%s: no port at all could be bound: %s", fwd_option(proto, way),
	    strerror(-last));
	return last;
}

/**
 * fwd_listen_start() - Listen on each port of each rule of a protocol
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @fn:		called with the struct fwd_listener when there is something to
 *		accept or to receive, also of those opened later
 *
 * Rules with `auto` are left to fwd_auto.h. Listeners of an earlier call are
 * closed.
 *
 * Return: 0, or the first error (said in the log) of a port that was asked for
 *	   by number; or, where only weak rules had ports and none could be
 *	   bound, the last error
 */
int fwd_listen_start(uint8_t proto, watch_fn fn)
{
	struct rlimit r;
	int rc = 0;

	fwd_listen_fds = getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur > INT_MAX ?
			 INT_MAX : r.rlim_cur;
	*fwd_listen_fn_of(proto) = fn;
	for (uint32_t i = 0; i < fwd_listen_used; i++) {
		if (fwd_listeners[i].watch.fn && fwd_listeners[i].proto == proto)
			fwd_listen_close(&fwd_listeners[i]);
	}
	for (unsigned way = 0; way < FWD_WAYS && !rc; way++)
		rc = fwd_listen_way(proto, way);
	return rc;
}

/**
 * fwd_listen_stop() - The daemon ends: listen on no port any more
 *
 * Before what takes its time, as the end of a tap device does: whoever is
 * started in our place (podman restart) wants the same ports.
 */
void fwd_listen_stop(void)
{
	for (uint32_t i = 0; i < fwd_listen_used; i++) {
		if (fwd_listeners[i].watch.fn)
			fwd_listen_close(&fwd_listeners[i]);
	}
}
