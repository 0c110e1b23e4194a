// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * portspec: the grammar of -t, -u, -T and -U, text to rules
 *
 * One option's text is read into rules of its own, item by item; then its
 * exclusions are cut out of them; then they are added to those of the options
 * before, where what was asked for by number goes before `all`.
 *
 *	text   192.0.2.1/20-30,~25,80:8080
 *	items  192.0.2.1/20-30        ~25       80:8080   (same address)
 *	rules  [20..24] [26..30]                [80 -> 8080]
 */
#include "lib/portspec.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAX	65535

/**
 * struct spec - an option's text while it is read
 * @ctx:	what the words depend on
 * @listen:	address of the items, as last given
 * @ifname:	interface of the items, as last given
 * @fresh:	rules of this option
 * @cut:	ranges to exclude
 * @cuts:	how many
 * @automatic:	`auto` is among the items
 * @why:	where to say what is wrong
 * @why_size:	bytes there
 */
struct spec {
	const struct portspec_context *ctx;
	struct addr listen;
	char ifname[IFNAMSIZ];
	struct portspec *fresh;
	struct { uint16_t first, last; } cut[PORTSPEC_RULES];
	unsigned cuts;
	bool automatic;
	char *why;
	size_t why_size;
};

static int spec_fail(struct spec *s, const char *why, const char *what)
{
	snprintf(s->why, s->why_size, "%s \"%s\"", why, what);
	return -EINVAL;
}

static int spec_push(struct portspec *to, const struct port_rule *r)
{
	if (to->count == PORTSPEC_RULES)
		return -ENOSPC;
	to->rule[to->count++] = *r;
	return 0;
}

/* PORT or PORT-PORT, all of the text */
static bool spec_range(const char *text, uint16_t *first, uint16_t *last)
{
	unsigned long a, b;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	a = b = strtoul(text, &end, 10);
	if (*end == '-') {
		if (!isdigit((unsigned char)end[1]))
			return false;
		b = strtoul(end + 1, &end, 10);
	}
	if (*end || !a || a > b || b > PORT_MAX)
		return false;
	*first = (uint16_t)a;
	*last = (uint16_t)b;
	return true;
}

/* An address, in brackets or not */
static bool spec_addr(const char *text, struct addr *a)
{
	char inner[ADDR_STRLEN];
	size_t len = strlen(text);

	if (*text != '[')
		return addr_parse(text, a);
	if (len < 2 || text[len - 1] != ']' || len - 2 >= sizeof(inner))
		return false;
	snprintf(inner, sizeof(inner), "%.*s", (int)len - 2, text + 1);
	return addr_parse(inner, a);
}

/* ADDR[%IF] or %IF; false: the text is none of these */
static bool spec_listen(struct spec *s, const char *text)
{
	char addr[ADDR_STRLEN];
	const char *percent = strchr(text, '%');
	int len = percent ? (int)(percent - text) : (int)strlen(text);

	if (percent && (!percent[1] || strlen(percent + 1) >= IFNAMSIZ))
		return false;
	snprintf(addr, sizeof(addr), "%.*s", len, text);
	s->listen = ADDR_ANY6;
	if (len && !spec_addr(addr, &s->listen))
		return false;
	snprintf(s->ifname, sizeof(s->ifname), "%s",
		 percent ? percent + 1 : "");
	return len || percent;
}

/* PORT[-PORT], ADDR/PORT[-PORT] or ADDR: where a rule leads */
static int spec_target(struct spec *s, const char *text, struct port_rule *r)
{
	char addr[ADDR_STRLEN];
	const char *slash = strchr(text, '/');
	const char *ports = slash ? slash + 1 : text;
	uint16_t last;
	int len = slash ? (int)(slash - text) : (int)strlen(text);

	snprintf(addr, sizeof(addr), "%.*s", len, text);
	r->has_target = spec_addr(addr, &r->target);
	if (slash && !r->has_target)
		return spec_fail(s, "no such target address:", addr);
	if (r->has_target && !slash)
		return 0;
	if (!spec_range(ports, &r->to, &last))
		return spec_fail(s, "no port or range:", ports);
	if (last - r->to != r->last - r->first)
		return spec_fail(s, "ranges of different size:", text);
	return 0;
}

/* All ports but those the kernel gives out by itself */
static int spec_all(struct spec *s, const struct port_rule *like)
{
	struct port_rule r = *like;
	int rc = 0;

	r.weak = true;
	r.first = r.to = 1;
	r.last = s->ctx->ephemeral_first - 1;
	if (r.last >= r.first)
		rc = spec_push(s->fresh, &r);
	r.first = r.to = s->ctx->ephemeral_last + 1;
	r.last = PORT_MAX;
	if (!rc && r.first)
		rc = spec_push(s->fresh, &r);
	return rc;
}

static int spec_auto(struct spec *s)
{
	if (!s->ctx->allow_auto)
		return spec_fail(s, "only a namespace can have", "auto");
	s->automatic = true;
	return 0;
}

static int spec_exclude(struct spec *s, const char *text)
{
	if (s->cuts == PORTSPEC_RULES)
		return spec_fail(s, "too many exclusions:", text);
	if (!spec_range(text, &s->cut[s->cuts].first, &s->cut[s->cuts].last))
		return spec_fail(s, "no port or range:", text);
	s->cuts++;
	return 0;
}

/* One item of the list; it is written to */
static int spec_item(struct spec *s, char *text)
{
	char *slash = strchr(text, '/'), *colon;
	struct port_rule r = { 0 };
	int rc;

	if (slash) {
		*slash = '\0';
		if (spec_listen(s, text))
			text = slash + 1;
		else
			*slash = '/';
	}
	if (*text == '~')
		return spec_exclude(s, text + 1);
	r.listen = s->listen;
	snprintf(r.ifname, sizeof(r.ifname), "%s", s->ifname);
	colon = strchr(text, ':');
	if (colon)
		*colon++ = '\0';
	if (!strcmp(text, "auto"))
		return colon ? spec_fail(s, "no target with", "auto")
			     : spec_auto(s);
	if (!strcmp(text, "all")) {
		rc = colon ? spec_target(s, colon, &r) : 0;
		if (!rc && colon && !r.has_target)
			return spec_fail(s, "no target ports with", "all");
		return rc ? rc : spec_all(s, &r);
	}
	if (!spec_range(text, &r.first, &r.last))
		return spec_fail(s, "no port, range or address/port:", text);
	r.to = r.first;
	rc = colon ? spec_target(s, colon, &r) : 0;
	if (!rc && spec_push(s->fresh, &r))
		return spec_fail(s, "too many rules, at", text);
	return rc;
}

static bool spec_overlap(const struct port_rule *r, uint16_t first,
			 uint16_t last)
{
	return r->first <= last && first <= r->last;
}

/* Take [first, last] out of rule i; what is left may be two rules, or none */
static int spec_cut(struct portspec *p, unsigned i, uint16_t first,
		    uint16_t last)
{
	struct port_rule low = p->rule[i], high = low;

	p->rule[i] = p->rule[--p->count];
	if (low.first < first) {
		low.last = first - 1;
		if (spec_push(p, &low))
			return -ENOSPC;
	}
	if (high.last > last) {
		high.to = (uint16_t)(high.to + (last + 1 - high.first));
		high.first = last + 1;
		return spec_push(p, &high);
	}
	return 0;
}

/* Take [first, last] out of all rules of this option */
static int spec_cut_all(struct portspec *p, uint16_t first, uint16_t last)
{
	for (unsigned i = 0; i < p->count;) {
		if (!spec_overlap(&p->rule[i], first, last)) {
			i++;
			continue;
		}
		if (spec_cut(p, i, first, last))
			return -ENOSPC;
		i = 0;
	}
	return 0;
}

/* Exclusions; alone they mean all other ports */
static int spec_apply_cuts(struct spec *s)
{
	struct port_rule like = { .listen = s->listen };

	snprintf(like.ifname, sizeof(like.ifname), "%s", s->ifname);
	if (s->automatic && !s->fresh->count) {
		like.first = like.to = 1;
		like.last = PORT_MAX;
		spec_push(s->fresh, &like);
	} else if (!s->fresh->count && s->cuts && spec_all(s, &like)) {
		return spec_fail(s, "too many rules with", "all");
	}
	for (unsigned i = 0; i < s->fresh->count; i++)
		s->fresh->rule[i].automatic = s->automatic;
	for (unsigned i = 0; i < s->cuts; i++) {
		if (spec_cut_all(s->fresh, s->cut[i].first, s->cut[i].last))
			return spec_fail(s, "too many rules with", "~");
	}
	return 0;
}

static bool spec_same_place(const struct port_rule *a,
			    const struct port_rule *b)
{
	return addr_equal(&a->listen, &b->listen) &&
	       !strcmp(a->ifname, b->ifname);
}

static bool spec_same_target(const struct port_rule *a,
			     const struct port_rule *b)
{
	return (uint16_t)(a->to - a->first) == (uint16_t)(b->to - b->first) &&
	       a->has_target == b->has_target &&
	       (!a->has_target || addr_equal(&a->target, &b->target));
}

/*
 * Resolve the overlap of an older rule with a new one: what was asked for by
 * number stands before `all`, the same thing twice stands once.
 */
static int spec_resolve(struct spec *s, struct portspec *p, unsigned old,
			unsigned fresh)
{
	struct port_rule *o = &p->rule[old], *f = &s->fresh->rule[fresh];
	uint16_t first = o->first > f->first ? o->first : f->first;
	uint16_t last = o->last < f->last ? o->last : f->last;
	char text[16];

	if (f->weak || f->automatic || spec_same_target(o, f))
		return spec_cut(s->fresh, fresh, first, last);
	if (o->weak || o->automatic)
		return spec_cut(p, old, first, last);
	snprintf(text, sizeof(text), "%u", first);
	return spec_fail(s, "forwarded to two places: port", text);
}

/* The first overlap of a rule of this option with an older one */
static bool spec_find_overlap(const struct spec *s, const struct portspec *p,
			      unsigned *old, unsigned *fresh)
{
	for (unsigned i = 0; i < s->fresh->count; i++) {
		const struct port_rule *f = &s->fresh->rule[i];

		for (unsigned j = 0; j < p->count; j++) {
			const struct port_rule *o = &p->rule[j];

			if (spec_same_place(o, f) &&
			    spec_overlap(o, f->first, f->last)) {
				*old = j;
				*fresh = i;
				return true;
			}
		}
	}
	return false;
}

static int spec_add(struct spec *s, struct portspec *p)
{
	unsigned old, fresh;

	while (spec_find_overlap(s, p, &old, &fresh)) {
		int rc = spec_resolve(s, p, old, fresh);

		if (rc == -ENOSPC)
			return spec_fail(s, "too many rules with", "all");
		if (rc)
			return rc;
	}
	for (unsigned i = 0; i < s->fresh->count; i++) {
		if (spec_push(p, &s->fresh->rule[i]))
			return spec_fail(s, "too many", "rules");
	}
	return 0;
}

/* The items of one option may overlap each other, too: add them one by one */
static int spec_add_each(struct spec *s, struct portspec *p)
{
	static struct portspec all;
	int rc = 0;

	all = *s->fresh;
	for (unsigned i = 0; !rc && i < all.count; i++) {
		s->fresh->count = 1;
		s->fresh->rule[0] = all.rule[i];
		rc = spec_add(s, p);
	}
	return rc;
}

/**
 * portspec_parse() - Add what one option's argument says
 * @s:		what the options before it have added up to
 * @text:	the argument
 * @ctx:	what the words depend on
 * @why:	set to what is wrong, one line
 * @why_size:	bytes there
 *
 * `none` takes back what came before; the last of `none` and others wins.
 *
 * Return: 0, or -EINVAL with @why set
 */
int portspec_parse(struct portspec *s, const char *text,
		   const struct portspec_context *ctx,
		   char *why, size_t why_size)
{
	static struct portspec fresh;
	static struct spec spec;
	char list[4096], *rest = list, *item;
	int rc = 0;

	fresh.count = 0;
	spec = (struct spec){ .ctx = ctx, .listen = ADDR_ANY6, .fresh = &fresh,
			      .why = why, .why_size = why_size };
	s->given = true;
	if (!strcmp(text, "none")) {
		s->none = true;
		s->count = 0;
		return 0;
	}
	if (strlen(text) >= sizeof(list))
		return spec_fail(&spec, "too long:", "list");
	snprintf(list, sizeof(list), "%s", text);
	while (!rc && (item = strsep(&rest, ",")))
		rc = spec_item(&spec, item);
	if (!rc)
		rc = spec_apply_cuts(&spec);
	if (!rc)
		rc = spec_add_each(&spec, s);
	s->none = rc ? s->none : false;
	return rc;
}
