/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * option: a command line read by a table, and help printed from the same
 *
 * A table of struct option_def is all there is to an option: its names, what
 * its argument is called, its help and what handles it. A binary that is
 * several programs has one table for them all: each row says whose it is.
 */
#ifndef LIB_OPTION_H
#define LIB_OPTION_H

#include <stdint.h>
#include <stdio.h>

/** Most options of a table */
#define OPTION_MAX	128

struct option_def;

/** Takes an option's argument; NULL for options without one */
typedef void (*option_fn)(const struct option_def *o, const char *value);

/**
 * struct option_def - an option
 * @name:	long name
 * @alias:	another long name, or NULL
 * @letter:	short name, or 0
 * @arg:	what its argument is called, NULL: takes none
 * @of:		programs that have it, bits
 * @group:	heading; set where a new group begins
 * @help:	what it does, and what holds without it
 * @fn:		handler
 * @to:		handler's own: where the value goes
 * @max:	handler's own: largest value, size, or the value itself
 */
struct option_def {
	const char *name;
	const char *alias;
	char letter;
	const char *arg;
	unsigned of;
	const char *group;
	const char *help;
	option_fn fn;
	void *to;
	uint64_t max;
};

/**
 * struct option_table - the options of a binary
 * @def:	options; one name may have several rows, of different programs
 * @count:	how many, OPTION_MAX at most
 * @program:	name of the one that runs
 * @of:		its bit
 */
struct option_table {
	const struct option_def *def;
	unsigned count;
	const char *program;
	unsigned of;
};

/**
 * struct option_choice - an option as it was given
 * @o:		option, NULL: was not
 * @text:	its argument
 */
struct option_choice {
	const struct option_def *o;
	const char *text;
};

int option_run(const struct option_table *t, int argc, char **argv);
void option_help(const struct option_table *t, FILE *to);
void option_set_flag(const struct option_def *o, const char *value);
void option_set_number(const struct option_def *o, const char *value);
void option_set_text(const struct option_def *o, const char *value);
void option_set_domain(const struct option_def *o, const char *value);
void option_set_mac(const struct option_def *o, const char *value);
void option_set_interface(const struct option_def *o, const char *value);
void option_set_ifname(const struct option_def *o, const char *value);
void option_check(const struct option_def *o, const char *value,
		  const char *wrong);
void option_bad(const struct option_def *o, const char *value, const char *why)
	__attribute__((noreturn));

#endif /* LIB_OPTION_H */
