// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * option: a command line read by a table, and help printed from the same
 *
 * State: what getopt_long(3) wants, made from the table. A long option's value
 * there is OPTION_LONG and its index in the table.
 */
#include "lib/option.h"

#include <assert.h>
#include <getopt.h>
#include <stdbool.h>
#include <string.h>

#include "lib/log.h"
#include "lib/value.h"

#define OPTION_LONG	256
/** Columns of the help: where descriptions begin, and where lines end */
#define OPTION_COLUMN	26
#define OPTION_WIDTH	79

static struct option option_long[2 * OPTION_MAX + 1];
/* "+:", then a letter and perhaps a colon each */
static char option_short[2 + 2 * OPTION_MAX + 1];

static void option_prepare(const struct option_table *t)
{
	struct option *l = option_long;
	char *s = option_short;

	assert(t->count <= OPTION_MAX);
	*s++ = '+';
	*s++ = ':';
	for (unsigned i = 0; i < t->count; i++) {
		const struct option_def *o = &t->def[i];
		int has = o->arg ? required_argument : no_argument;

		if (!(o->of & t->of))
			continue;
		*l++ = (struct option){ o->name, has, NULL,
					OPTION_LONG + (int)i };
		if (o->alias)
			*l++ = (struct option){ o->alias, has, NULL,
						OPTION_LONG + (int)i };
		if (o->letter)
			*s++ = o->letter;
		if (o->letter && o->arg)
			*s++ = ':';
	}
	*l = (struct option){ 0 };
	*s = '\0';
}

static const struct option_def *option_find(const struct option_table *t,
					    int val)
{
	if (val >= OPTION_LONG)
		return &t->def[val - OPTION_LONG];
	for (unsigned i = 0; i < t->count; i++) {
		if (t->def[i].letter == val && t->def[i].of & t->of)
			return &t->def[i];
	}
	return NULL;
}

/* Whether a word is a long option's name, alone or with an argument */
static bool option_is(const char *name, const char *word)
{
	size_t len = name ? strlen(name) : 0;

	return len && !strncmp(word, name, len) &&
	       (!word[len] || word[len] == '=');
}

/* No option of this program's, but of another one's? */
static void option_refuse_other(const struct option_table *t, const char *word)
{
	bool is_long = !strncmp(word, "--", 2);

	for (unsigned i = 0; i < t->count; i++) {
		const struct option_def *o = &t->def[i];

		if (is_long ? option_is(o->name, word + 2) ||
			      option_is(o->alias, word + 2) :
			      o->letter && o->letter == optopt)
			die("--%s: not an option of %s (see --help)", o->name,
			    t->program);
	}
}

/* What getopt_long() found wrong, in one line */
__attribute__((noreturn))
static void option_refuse(const struct option_table *t, int val, char **argv)
{
	const struct option_def *o = optopt ? option_find(t, optopt) : NULL;

	if (val == ':' && o)
		die("--%s: needs an argument, %s (see --help)", o->name,
		    o->arg);
	if (o)
		die("%s: --%s takes no argument (see --help)",
		    argv[optind - 1], o->name);
	option_refuse_other(t, optopt ? "" : argv[optind - 1]);
	if (optopt)
		die("-%c: no such option (see --help)", optopt);
	die("%s: no such option (see --help)", argv[optind - 1]);
}

/**
 * option_run() - Read a command line
 * @t:		table of options
 * @argc:	number of arguments
 * @argv:	arguments, the program's name first
 *
 * Calls the handler of each option in the order given, up to the first
 * argument that is none. An option that is not in the table, or lacks its
 * argument, ends the process with a message.
 *
 * Return: index of the first argument that is no option, or @argc
 */
int option_run(const struct option_table *t, int argc, char **argv)
{
	int val;

	option_prepare(t);
	opterr = 0;
	optind = 0;	/* start anew, see getopt(3) */
	while ((val = getopt_long(argc, argv, option_short, option_long,
				  NULL)) != -1) {
		const struct option_def *o;

		if (val == '?' || val == ':')
			option_refuse(t, val, argv);
		o = option_find(t, val);
		assert(o);	/* all that getopt_long() knows is the table's */
		o->fn(o, o->arg ? optarg : NULL);
	}
	return optind;
}

/**
 * option_bad() - Name an option whose argument is wrong, and exit
 * @o:		option
 * @value:	its argument
 * @why:	a few words
 */
void option_bad(const struct option_def *o, const char *value, const char *why)
{
	die("--%s %s: %s", o->name, value, why);
}

/**
 * option_check() - Name an option whose argument is wrong, and exit, if it is
 * @o:		option
 * @value:	its argument
 * @wrong:	a few words, or NULL
 */
void option_check(const struct option_def *o, const char *value,
		  const char *wrong)
{
	if (wrong)
		option_bad(o, value, wrong);
}

/**
 * option_set_flag() - Handler: no argument, @o->max into a bool
 * @o:		option
 * @value:	NULL
 */
void option_set_flag(const struct option_def *o, const char *value)
{
	(void)value;
	*(bool *)o->to = o->max;
}

/**
 * option_set_number() - Handler: a number up to @o->max into an unsigned
 * @o:		option
 * @value:	its argument
 */
void option_set_number(const struct option_def *o, const char *value)
{
	uint64_t n = 0;

	option_check(o, value, value_number(value, o->max, &n));
	*(unsigned *)o->to = (unsigned)n;
}

/**
 * option_set_text() - Handler: a text into @o->max bytes
 * @o:		option
 * @value:	its argument
 */
void option_set_text(const struct option_def *o, const char *value)
{
	option_check(o, value, value_text(value, o->to, o->max));
}

/**
 * option_set_domain() - Handler: a domain or host name into @o->max bytes
 * @o:		option
 * @value:	its argument; an empty one says that there is no name
 */
void option_set_domain(const struct option_def *o, const char *value)
{
	if (*value)
		option_check(o, value, value_domain(value, o->to, o->max));
	else
		*(char *)o->to = '\0';
}

/**
 * option_set_mac() - Handler: a MAC address into 6 bytes
 * @o:		option
 * @value:	its argument
 */
void option_set_mac(const struct option_def *o, const char *value)
{
	option_check(o, value, value_mac(value, o->to));
}

/**
 * option_set_interface() - Handler: an interface's name into IFNAMSIZ bytes
 * @o:		option
 * @value:	its argument
 */
void option_set_interface(const struct option_def *o, const char *value)
{
	option_check(o, value, value_interface(value, o->to));
}

/**
 * option_set_ifname() - Handler: a new interface's name into IFNAMSIZ bytes
 * @o:		option
 * @value:	its argument
 */
void option_set_ifname(const struct option_def *o, const char *value)
{
	option_check(o, value, value_ifname(value, o->to));
}

/* The next word of a text and its length; 0 at the end */
static size_t option_word(const char **text)
{
	*text += strspn(*text, " ");
	return strcspn(*text, " ");
}

/* Words from column @at on, wrapped */
static void option_wrap(FILE *to, size_t at, const char *text)
{
	bool first = true;
	size_t n;

	while ((n = option_word(&text))) {
		if (!first && at + 1 + n > OPTION_WIDTH) {
			fprintf(to, "\n%*s", OPTION_COLUMN, "");
			at = OPTION_COLUMN;
		} else if (!first) {
			fputc(' ', to);
			at++;
		}
		fprintf(to, "%.*s", (int)n, text);
		at += n;
		text += n;
		first = false;
	}
	fputc('\n', to);
}

static void option_help_one(const struct option_def *o, FILE *to)
{
	char names[128], letter[] = "    ";
	int n;

	if (o->letter) {
		letter[0] = '-';
		letter[1] = o->letter;
		letter[2] = ',';
	}
	n = snprintf(names, sizeof(names), "  %s--%s%s%s%s%s", letter, o->name,
		     o->alias ? ", --" : "", o->alias ? o->alias : "",
		     o->arg ? " " : "", o->arg ? o->arg : "");
	fputs(names, to);
	if (n > OPTION_COLUMN - 2) {
		fputc('\n', to);
		n = 0;
	}
	fprintf(to, "%*s", OPTION_COLUMN - n, "");
	option_wrap(to, OPTION_COLUMN, o->help);
}

/**
 * option_help() - Print what all options of the program that runs do
 * @t:		table of options
 * @to:		stream
 *
 * Grouped as in the table, at most 79 columns wide.
 */
void option_help(const struct option_table *t, FILE *to)
{
	const char *group = NULL;

	for (unsigned i = 0; i < t->count; i++) {
		if (t->def[i].group)
			group = t->def[i].group;
		if (!(t->def[i].of & t->of))
			continue;
		if (group)
			fprintf(to, "\n%s:\n", group);
		group = NULL;
		option_help_one(&t->def[i], to);
	}
}
