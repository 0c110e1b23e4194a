// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_portspec: -t options of any content, several of them
 *
 * Options are separated by newlines; the first byte chooses the ephemeral range
 * and whether `auto` is legal. Whatever was taken, rules of one listener never
 * overlap, and what was refused changed nothing. How many options there were is
 * said in the end.
 */
#include "lib/portspec.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define FUZZ_INPUT 600

static unsigned long long options;

/* The sanitizers' own way out does not come by here: there was a finding */
__attribute__((destructor)) static void tell_options(void)
{
	fprintf(stderr, "%llu options\n", options);
}

static void check_rule(const struct port_rule *r)
{
	assert(r->first && r->first <= r->last && r->to);
	assert(r->to + (r->last - r->first) <= 65535);
	assert(memchr(r->ifname, '\0', sizeof(r->ifname)));
	assert(addr_is_unspecified(&r->listen) || addr_is_unicast(&r->listen));
	assert(!r->has_target || addr_is_unicast(&r->target));
}

static void check(const struct portspec *s)
{
	assert(s->count <= PORTSPEC_RULES);
	for (unsigned i = 0; i < s->count; i++) {
		const struct port_rule *a = &s->rule[i];

		check_rule(a);
		for (unsigned j = 0; j < i; j++) {
			const struct port_rule *b = &s->rule[j];

			assert(!addr_equal(&a->listen, &b->listen) ||
			       strcmp(a->ifname, b->ifname) ||
			       a->last < b->first || b->last < a->first);
			/* by number before `all` */
			assert(a->weak || !b->weak);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct portspec s, before;
	char text[FUZZ_INPUT + 1], why[40], *rest = text, *option;
	struct portspec_context ctx = { .ephemeral_first = 32768,
					.ephemeral_last = 60999 };

	if (!size || size > FUZZ_INPUT)
		return 0;
	ctx.allow_auto = data[0] & 1;
	if (data[0] & 2)
		ctx.ephemeral_first = 1;
	if (data[0] & 4)
		ctx.ephemeral_last = 65535;
	ctx.udp = data[0] & 8;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	memset(&s, 0, sizeof(s));
	while ((option = strsep(&rest, "\n"))) {
		options++;
		before = s;
		memset(why, 'x', sizeof(why));
		if (portspec_parse(&s, option, &ctx, why, sizeof(why))) {
			assert(*why && memchr(why, '\0', sizeof(why)));
			assert(!memcmp(&s, &before, sizeof(s)));
		}
	}
	check(&s);
	return 0;
}
