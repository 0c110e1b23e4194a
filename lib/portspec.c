// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * portspec: the grammar of -t, -u, -T and -U, text to rules
 *
 * A text is read in two passes: exclusions first, into a bitmap that holds for
 * the whole text, then what is to be forwarded, cut around them. An address
 * before a slash holds for its entry and those after it without one. What is
 * asked for by number comes before what `all` covers, in the list of rules too:
 * it has to find its ports unbound.
 *
 * No state but the bitmap of the text being read. A failed text leaves the
 * rules as they were.
 */
#include "lib/portspec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/** Longest entry between commas, bytes */
#define PORTSPEC_ENTRY	160
#define PORT_LAST	65535U

/**
 * enum portspec_kind - what an entry of a list is
 * @PORTSPEC_RANGE:	ports by number
 * @PORTSPEC_EXCLUDE:	~ports
 * @PORTSPEC_ALL:	`all`
 * @PORTSPEC_AUTO:	`auto`
 */
enum portspec_kind {
	PORTSPEC_RANGE,
	PORTSPEC_EXCLUDE,
	PORTSPEC_ALL,
	PORTSPEC_AUTO,
};

/**
 * struct portspec_reader - a text being read
 * @ctx:	what the words depend on
 * @why:	where to say what is wrong
 * @why_size:	bytes there
 * @out:	rules so far
 * @rule:	the entry at hand; its listening address holds until the next
 * @kind:	what the entry is
 * @automatic:	`auto` is somewhere in the text
 * @ranges:	entries by number so far
 * @alls:	entries `all` so far
 */
struct portspec_reader {
	const struct portspec_context *ctx;
	char *why;
	size_t why_size;
	struct portspec *out;
	struct port_rule rule;
	enum portspec_kind kind;
	bool automatic;
	unsigned ranges;
	unsigned alls;
};

typedef int (*portspec_fn)(struct portspec_reader *r);

static uint64_t portspec_excluded[PORTSPEC_WORDS];
static struct portspec portspec_draft;

__attribute__((format(printf, 2, 3)))
static int portspec_wrong(struct portspec_reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, r->why_size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static bool portspec_is_excluded(unsigned port)
{
	return portspec_excluded[port / 64] >> port % 64 & 1;
}

/* 1 to 65535, moves on past the digits */
static bool portspec_port(const char **text, uint16_t *out)
{
	unsigned n = 0;
	const char *p = *text;

	for (; *p >= '0' && *p <= '9' && n <= PORT_LAST; p++)
		n = n * 10 + (unsigned)(*p - '0');
	if (p == *text || !n || n > PORT_LAST)
		return false;
	*text = p;
	*out = (uint16_t)n;
	return true;
}

/* PORT[-PORT], and nothing after it */
static bool portspec_range(const char *text, uint16_t *first, uint16_t *last)
{
	if (!portspec_port(&text, first))
		return false;
	*last = *first;
	if (*text == '-') {
		text++;
		if (!portspec_port(&text, last))
			return false;
	}
	return !*text && *first <= *last;
}

/* ADDR or [ADDR] */
static bool portspec_addr(const char *text, struct addr *out)
{
	char bare[INET6_ADDRSTRLEN];
	size_t len = strlen(text);

	if (len < 2 || text[0] != '[' || text[len - 1] != ']')
		return addr_parse(text, out);
	if (len - 2 >= sizeof(bare))
		return false;
	memcpy(bare, text + 1, len - 2);
	bare[len - 2] = '\0';
	return addr_parse(bare, out) && !addr_is_v4(out);
}

/* ADDR, ADDR%IF or %IF; the interface may be within the brackets, too */
static bool portspec_listen(const char *text, struct port_rule *rule)
{
	struct addr a = ADDR_ANY6;
	char copy[PORTSPEC_ENTRY];
	char *ifname;
	size_t len;

	snprintf(copy, sizeof(copy), "%s", text);
	ifname = strchr(copy, '%');
	if (ifname) {
		len = strlen(ifname);
		if (*copy == '[' && ifname[len - 1] == ']') {
			ifname[--len] = '\0';
			memmove(copy, copy + 1, (size_t)(ifname - copy) + len);
			ifname--;
		}
		*ifname++ = '\0';
		if (!*ifname || strlen(ifname) >= IFNAMSIZ)
			return false;
	}
	if ((*copy || !ifname) && !portspec_addr(copy, &a))
		return false;
	if (!addr_is_unspecified(&a) && !addr_is_unicast(&a))
		return false;
	rule->listen = a;
	snprintf(rule->ifname, IFNAMSIZ, "%s", ifname ? ifname : "");
	return true;
}

/* What follows the colon: [ADDR/]PORT[-PORT] or ADDR */
static int portspec_target(struct portspec_reader *r, char *text)
{
	char *slash = strchr(text, '/'), *ports = slash ? slash + 1 : text;
	struct port_rule *rule = &r->rule;
	uint16_t first, last;

	if (slash)
		*slash = '\0';
	rule->has_target = slash || strpbrk(text, ".:");
	if (rule->has_target && (!portspec_addr(text, &rule->target) ||
				 !addr_is_unicast(&rule->target)))
		return portspec_wrong(r, "bad target address '%s'", text);
	if (rule->has_target && !addr_equal(&rule->listen, &ADDR_ANY6) &&
	    addr_is_v4(&rule->listen) != addr_is_v4(&rule->target))
		return portspec_wrong(r, "target '%s' is of another family",
				      text);
	if (rule->has_target && !slash)
		return 0;
	if (r->kind != PORTSPEC_RANGE)
		return portspec_wrong(r, "'%s': no ports to choose here",
				      ports);
	if (!portspec_range(ports, &first, &last))
		return portspec_wrong(r, "bad target port '%s'", ports);
	if (last - first != rule->last - rule->first)
		return portspec_wrong(r, "'%s': ranges differ in size", ports);
	rule->to = first;
	return 0;
}

static int portspec_auto(struct portspec_reader *r)
{
	if (!r->ctx->allow_auto)
		return portspec_wrong(r, "'auto' is not for virtual machines");
	r->kind = PORTSPEC_AUTO;
	return 0;
}

/* What stands before the colon: a range, or a word */
static int portspec_what(struct portspec_reader *r, const char *text)
{
	struct port_rule *rule = &r->rule;

	r->kind = PORTSPEC_ALL;
	if (!strcmp(text, "all"))
		return 0;
	if (!strcmp(text, "auto"))
		return portspec_auto(r);
	r->kind = *text == '~' ? PORTSPEC_EXCLUDE : PORTSPEC_RANGE;
	if (*text == '~')
		text++;
	if (!portspec_range(text, &rule->first, &rule->last))
		return portspec_wrong(r, "bad port or range '%s'", text);
	rule->to = rule->first;
	return 0;
}

/*
 * The slash that ends a listening address, if there is one: that of a target
 * comes after a colon, as in 80:192.0.2.1/81. An address with colons, before
 * the first slash, is taken for one to listen on: 80:2001::1/81 needs brackets.
 */
static int portspec_prefix(struct portspec_reader *r, char **text)
{
	char *slash = strchr(*text, '/');
	char *colon = strchr(*text, ':');

	if (!slash)
		return 0;
	*slash = '\0';
	if (portspec_listen(*text, &r->rule)) {
		*text = slash + 1;
		return 0;
	}
	if (!colon || colon > slash || **text == '[' || strchr(*text, '%'))
		return portspec_wrong(r, "bad address or interface '%s'",
				      *text);
	*slash = '/';
	return 0;
}

/* One entry of the list; @text is written to */
static int portspec_entry(struct portspec_reader *r, char *text)
{
	char *colon;
	int rc;

	r->rule.has_target = false;
	r->rule.target = ADDR_ANY6;
	rc = portspec_prefix(r, &text);
	if (rc)
		return rc;
	colon = strchr(text, ':');
	if (colon)
		*colon = '\0';
	rc = portspec_what(r, text);
	if (rc || !colon)
		return rc;
	if (r->kind == PORTSPEC_EXCLUDE)
		return portspec_wrong(r, "'~%u' has no target", r->rule.first);
	return portspec_target(r, colon + 1);
}

/* Calls @fn for each entry of a list */
static int portspec_each(struct portspec_reader *r, const char *text,
			 portspec_fn fn)
{
	r->rule = (struct port_rule){ .listen = ADDR_ANY6 };
	for (;;) {
		size_t len = strcspn(text, ",");
		char entry[PORTSPEC_ENTRY];
		int rc;

		if (!len || len >= sizeof(entry))
			return portspec_wrong(r, len ? "entry too long" :
						       "empty entry");
		memcpy(entry, text, len);
		entry[len] = '\0';
		rc = portspec_entry(r, entry);
		if (!rc)
			rc = fn(r);
		if (rc || !text[len])
			return rc;
		text += len + 1;
	}
}

static bool portspec_same_listener(const struct port_rule *a,
				   const struct port_rule *b)
{
	return addr_equal(&a->listen, &b->listen) &&
	       !strcmp(a->ifname, b->ifname);
}

/* Whether both lead a port that both have to the same place */
static bool portspec_same_target(const struct port_rule *a,
				 const struct port_rule *b)
{
	return a->to - a->first == b->to - b->first &&
	       a->has_target == b->has_target &&
	       (!a->has_target || addr_equal(&a->target, &b->target));
}

static bool portspec_same_kind(const struct port_rule *a,
			       const struct port_rule *b)
{
	return a->weak == b->weak && a->automatic == b->automatic &&
	       a->beside == b->beside && portspec_same_listener(a, b) && portspec_same_target(a, b);
}

/* Adds a rule that overlaps no other; by number before `all` */
static int portspec_insert(struct portspec_reader *r,
			   const struct port_rule *rule)
{
	struct portspec *s = r->out;
	unsigned at = s->count;

	while (!rule->weak && at && s->rule[at - 1].weak)
		at--;
	if (at && portspec_same_kind(&s->rule[at - 1], rule) &&
	    s->rule[at - 1].last + 1 == rule->first) {
		s->rule[at - 1].last = rule->last;
		return 0;
	}
	if (s->count == PORTSPEC_RULES)
		return portspec_wrong(r, "more than %d ranges",
				      PORTSPEC_RULES);
	memmove(&s->rule[at + 1], &s->rule[at],
		(s->count - at) * sizeof(s->rule[0]));
	s->rule[at] = *rule;
	s->count++;
	return 0;
}

/* Part of a rule */
static struct port_rule portspec_part(const struct port_rule *rule,
				      unsigned first, unsigned last)
{
	struct port_rule part = *rule;

	part.first = (uint16_t)first;
	part.last = (uint16_t)last;
	part.to = (uint16_t)(rule->to + (first - rule->first));
	return part;
}

/* Takes ports from the weak rule that has them: they were asked for by number */
static int portspec_yield(struct portspec_reader *r, unsigned i, unsigned first,
			  unsigned last)
{
	struct port_rule *w = &r->out->rule[i];
	const struct port_rule was = *w, upper = portspec_part(&was, last + 1,
							       was.last);

	if (first > was.first) {
		*w = portspec_part(&was, was.first, first - 1);
		return last < was.last ? portspec_insert(r, &upper) : 0;
	}
	if (last < was.last)
		*w = upper;
	else
		memmove(w, w + 1, (--r->out->count - i) * sizeof(*w));
	return 0;
}

/* What holds of a port holds up to this one, as far as exclusions go */
static unsigned portspec_run(unsigned port)
{
	bool excluded = portspec_is_excluded(port);
	uint64_t alike = excluded ? UINT64_MAX : 0;

	while (port < PORT_LAST && portspec_is_excluded(port + 1) == excluded) {
		bool whole = !(port % 64) && portspec_excluded[port / 64] == alike;

		port += whole ? 63 : 1;
	}
	return port;
}

/*
 * 1: a port of the rule is to be added, 0: it is there, or excluded; or error.
 * The same holds for those after it up to @until.
 */
static int portspec_wanted(struct portspec_reader *r,
			   const struct port_rule *rule, unsigned port,
			   unsigned *until)
{
	*until = portspec_run(port);
	if (*until > rule->last)
		*until = rule->last;
	if (portspec_is_excluded(port))
		return 0;
	for (unsigned i = 0; i < r->out->count; i++) {
		struct port_rule *o = &r->out->rule[i];
		int rc;

		if (port > o->last || *until < o->first ||
		    !portspec_same_listener(o, rule))
			continue;
		if (port < o->first) {
			*until = o->first - 1U;
			continue;
		}
		if (*until > o->last)
			*until = o->last;
		if (rule->weak)
			return 0;
		if (o->weak) {
			rc = portspec_yield(r, i, port, *until);
			return rc ? rc : 1;
		}
		if (portspec_same_target(o, rule) &&
		    o->automatic == rule->automatic)
			return 0;
		return portspec_wrong(r, "port %u is forwarded already, to "
				      "another place", port);
	}
	return 1;
}

/* Adds what is neither excluded nor there already */
static int portspec_add(struct portspec_reader *r, const struct port_rule *rule)
{
	unsigned port = rule->first, until;

	while (port <= rule->last) {
		struct port_rule part;
		int rc = portspec_wanted(r, rule, port, &until);

		if (rc < 0)
			return rc;
		part = portspec_part(rule, port, until);
		rc = rc ? portspec_insert(r, &part) : 0;
		if (rc)
			return rc;
		port = until + 1;
	}
	return 0;
}

static void portspec_exclude(unsigned first, unsigned last)
{
	while (first <= last) {
		bool whole = !(first % 64) && last - first >= 63;

		portspec_excluded[first / 64] |= whole ? UINT64_MAX :
							 1ULL << first % 64;
		first += whole ? 64 : 1;
	}
}

/* First pass: what is in the text, and what it excludes */
static int portspec_survey(struct portspec_reader *r)
{
	r->ranges += r->kind == PORTSPEC_RANGE;
	r->alls += r->kind == PORTSPEC_ALL;
	r->automatic |= r->kind == PORTSPEC_AUTO;
	if (r->kind == PORTSPEC_EXCLUDE)
		portspec_exclude(r->rule.first, r->rule.last);
	return 0;
}

static int portspec_take_range(struct portspec_reader *r)
{
	if (r->kind != PORTSPEC_RANGE)
		return 0;
	r->rule.automatic = r->automatic;
	return portspec_add(r, &r->rule);
}

/* Part of a rule that is not there where @first is past @last */
static int portspec_add_part(struct portspec_reader *r,
			     const struct port_rule *rule, unsigned first,
			     unsigned last)
{
	struct port_rule part = portspec_part(rule, first, last);

	return first > last ? 0 : portspec_add(r, &part);
}

/*
 * All ports that are not ephemeral, on the address of the entry at hand. A TCP
 * socket that listens is a service, whatever its port, so `auto` alone is about
 * all; a UDP socket on an ephemeral port is a client's.
 */
static int portspec_add_all(struct portspec_reader *r)
{
	const struct portspec_context *c = r->ctx;
	unsigned below = c->ephemeral_first ? c->ephemeral_first - 1U : 0;
	bool all_auto = r->automatic && !r->alls;
	struct port_rule all = r->rule;
	int rc;

	all.first = all.to = 1;
	all.last = PORT_LAST;
	all.weak = true;
	all.automatic = r->automatic;
	if (c->ephemeral_first > c->ephemeral_last || (all_auto && !c->udp))
		return portspec_add(r, &all);
	rc = portspec_add_part(r, &all, 1, below);
	if (!rc)
		rc = portspec_add_part(r, &all, c->ephemeral_last + 1U,
				       PORT_LAST);
	all.beside = true;
	if (!rc && all_auto)
		rc = portspec_add_part(r, &all, below + 1, c->ephemeral_last);
	return rc;
}

/* `all`; or `auto` or exclusions, where nothing says which ports */
static int portspec_take_all(struct portspec_reader *r)
{
	bool alone = r->automatic ? r->kind == PORTSPEC_AUTO :
				    r->kind == PORTSPEC_EXCLUDE;
	bool implied = !r->ranges && !r->alls && alone;

	return r->kind == PORTSPEC_ALL || implied ? portspec_add_all(r) : 0;
}

static int portspec_read(struct portspec_reader *r, const char *text)
{
	int rc;

	memset(portspec_excluded, 0, sizeof(portspec_excluded));
	rc = portspec_each(r, text, portspec_survey);
	if (!rc)
		rc = portspec_each(r, text, portspec_take_range);
	if (!rc)
		rc = portspec_each(r, text, portspec_take_all);
	return rc;
}

/* No more than there is: most of it is never touched */
static void portspec_copy(struct portspec *to, const struct portspec *from)
{
	to->given = from->given;
	to->none = from->none;
	to->count = from->count;
	memcpy(to->rule, from->rule, from->count * sizeof(from->rule[0]));
}

/**
 * portspec_parse() - Read the argument of a port option
 * @s:		what the options of this kind add up to so far; zeroed at first
 * @text:	argument
 * @ctx:	what the grammar's words depend on
 * @why:	where to say what is wrong
 * @why_size:	bytes there
 *
 * The same port to the same place twice counts once; ports that `all` covers
 * and that are asked for by number, too, are taken out of the former.
 *
 * Return: 0, or -EINVAL with @why filled in and @s unchanged
 */
int portspec_parse(struct portspec *s, const char *text,
		   const struct portspec_context *ctx,
		   char *why, size_t why_size)
{
	struct portspec_reader r = { .ctx = ctx, .why = why,
				     .why_size = why_size,
				     .out = &portspec_draft };
	int rc;

	if (!strcmp(text, "none")) {
		s->given = s->none = true;
		s->count = 0;
		return 0;
	}
	portspec_copy(&portspec_draft, s);
	rc = portspec_read(&r, text);
	if (rc)
		return rc;
	portspec_copy(s, &portspec_draft);
	s->given = true;
	s->none = false;
	return 0;
}
