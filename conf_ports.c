// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conf_ports: what port options add up to
 *
 * No state. What is wrong ends the process with one line that names the option
 * and its argument.
 */
#include "conf_ports.h"

#include <string.h>

#include "host/sysctl.h"

/** Room for what is wrong, bytes */
#define CONF_PORTS_WHY	128

static struct portspec_context conf_ports_context(bool allow_auto)
{
	struct portspec_context ctx = { .allow_auto = allow_auto };

	sysctl_port_range(&ctx.ephemeral_first, &ctx.ephemeral_last);
	return ctx;
}

static int conf_ports_parse(struct portspec *s, const char *text,
			    struct portspec_context ctx, bool udp,
			    char why[CONF_PORTS_WHY])
{
	ctx.udp = udp;
	return portspec_parse(s, text, &ctx, why, CONF_PORTS_WHY);
}

/**
 * conf_ports_note() - Remember a port option for conf_ports_read()
 * @w:		options so far
 * @o:		option; @o->to is its struct portspec, @o->max enum conf_ports_kind
 * @value:	its argument
 */
void conf_ports_note(struct conf_ports_wish *w, const struct option_def *o,
		     const char *value)
{
	if (w->count == CONF_PORT_OPTIONS)
		option_bad(o, value, "too many options of this kind");
	w->option[w->count++] = (struct option_choice){ o, value };
}

/* There is no namespace yet: it has a loopback, and no other address for sure */
static const char *conf_ports_cannot_ns(const struct conf_ports_how *how,
					const struct port_rule *r)
{
	const struct addr *a = &r->listen;

	if (*r->ifname && strcmp(r->ifname, "lo"))
		return "not the loopback interface";
	if (addr_is_unspecified(a))
		return NULL;
	if (!addr_is_loopback(a))
		return "not a loopback address";
	if (!how->family[addr_is_v4(a) ? CONF_V4 : CONF_V6].local)
		return addr_is_v4(a) ? "there is no IPv4" : "there is no IPv6";
	return NULL;
}

static const char *conf_ports_cannot(const struct conf_ports_how *how,
				     const struct option_def *o,
				     const struct port_rule *r)
{
	if (o->max & CONF_PORTS_NS)
		return conf_ports_cannot_ns(how, r);
	return conf_host_cannot_bind(how->family, &r->listen, r->ifname,
				     how->freebind, how->lo_to_lo);
}

/* As most often: what was said of the one before holds */
static bool conf_ports_same(const struct port_rule *a,
			    const struct port_rule *b)
{
	return addr_equal(&a->listen, &b->listen) &&
	       !strcmp(a->ifname, b->ifname);
}

/* What an option adds is looked at, not once more what was there before it */
static void conf_ports_check(const struct option_choice *choice,
			     const struct portspec_context *ctx,
			     const struct conf_ports_how *how)
{
	const struct option_def *o = choice->o;
	static struct portspec one;
	char why[CONF_PORTS_WHY];

	one.given = one.none = false;
	one.count = 0;
	if (conf_ports_parse(&one, choice->text, *ctx, o->max & CONF_PORTS_UDP,
			     why))
		option_bad(o, choice->text, why);
	for (unsigned i = 0; i < one.count; i++) {
		if (i && conf_ports_same(&one.rule[i - 1], &one.rule[i]))
			continue;
		option_check(o, choice->text,
			     conf_ports_cannot(how, o, &one.rule[i]));
	}
}

static void conf_ports_read_one(const struct option_choice *choice,
				const struct portspec_context *ctx,
				const struct conf_ports_how *how)
{
	const struct option_def *o = choice->o;
	char why[CONF_PORTS_WHY];

	conf_ports_check(choice, ctx, how);
	if (conf_ports_parse(o->to, choice->text, *ctx,
			     o->max & CONF_PORTS_UDP, why))
		option_bad(o, choice->text, why);
}

/**
 * conf_ports_read() - Read all port options
 * @w:		options; what they add up to goes where their rows say
 * @how:	what else counts
 */
void conf_ports_read(const struct conf_ports_wish *w,
		     const struct conf_ports_how *how)
{
	struct portspec_context ctx = conf_ports_context(how->allow_auto);

	for (unsigned i = 0; i < w->count; i++)
		conf_ports_read_one(&w->option[i], &ctx, how);
}

/**
 * conf_ports_beside() - UDP's ports are TCP's, each to the same port, if unset
 * @udp:	UDP's ports
 * @tcp:	TCP's; those that are found by `auto` are followed at run time
 */
void conf_ports_beside(struct portspec *udp, const struct portspec *tcp)
{
	if (udp->given)
		return;
	udp->none = false;
	udp->count = 0;
	for (unsigned i = 0; i < tcp->count; i++) {
		struct port_rule *r = &udp->rule[udp->count];

		if (tcp->rule[i].automatic)
			continue;
		*r = tcp->rule[i];
		r->to = r->first;
		r->beside = true;
		udp->count++;
	}
}

static void conf_ports_auto_one(struct portspec *s, bool udp)
{
	char why[CONF_PORTS_WHY];

	if (s->given)
		return;
	/* At worst it adds nothing */
	conf_ports_parse(s, "auto", conf_ports_context(true), udp, why);
	s->given = false;
}

/**
 * conf_ports_auto() - What `auto` means, where no option was given
 * @tcp:	TCP's ports
 * @udp:	UDP's
 */
void conf_ports_auto(struct portspec *tcp, struct portspec *udp)
{
	conf_ports_auto_one(tcp, false);
	conf_ports_auto_one(udp, true);
}
