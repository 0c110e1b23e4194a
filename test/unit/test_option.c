// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_option: a table of two programs' options, read and printed
 *
 * What ends the process is tried in a child.
 */
#include "lib/option.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/unit/unit.h"

enum { CAT = 1, DOG = 2, BOTH = CAT | DOG };

static bool flag;
static unsigned number;
static char text[8];

static void set_cat(const struct option_def *o, const char *value)
{
	(void)value;
	number += (unsigned)o->max;
}

static const struct option_def options[] = {
	{ "flag", NULL, 'f', NULL, BOTH, "One", "A flag",
	  option_set_flag, &flag, true },
	{ "number", "count", 'n', "N", CAT, NULL, "The cat's number",
	  option_set_number, &number, 10 },
	{ "number", NULL, 'n', "N", DOG, NULL, "The dog's number",
	  option_set_number, &number, 20 },
	{ "purr", NULL, 'p', NULL, CAT, "Two", "Cats do",
	  set_cat, NULL, 100 },
	{ "bark", NULL, 'b', "TEXT", DOG, NULL, "Dogs do",
	  option_set_text, &text, sizeof(text) },
	{ "both", NULL, 0, NULL, BOTH, "Three", "Both do",
	  option_set_flag, &flag, true },
};

static struct option_table cat = { options, 6, "cat", CAT };
static struct option_table dog = { options, 6, "dog", DOG };
static char said[512];

static int run(const struct option_table *t, ...)
{
	char *argv[10] = { (char *)"x" };
	int argc = 1;
	va_list ap;

	va_start(ap, t);
	while (argc < 9 && (argv[argc] = va_arg(ap, char *)))
		argc++;
	va_end(ap);
	flag = false;
	number = 0;
	return option_run(t, argc, argv);
}

/* Ends with 1, and says this alone */
#define DIES(want, ...)							\
	do {								\
		int p_[2], status_;					\
		ssize_t n_;						\
									\
		CHECK(!pipe(p_));					\
		fflush(stdout);						\
		if (!fork()) {						\
			dup2(p_[1], STDERR_FILENO);			\
			run(__VA_ARGS__, NULL);				\
			_exit(0);					\
		}							\
		close(p_[1]);						\
		n_ = read(p_[0], said, sizeof(said) - 1);		\
		said[n_ > 0 ? n_ : 0] = '\0';				\
		close(p_[0]);						\
		CHECK(wait(&status_) > 0);				\
		CHECK_EQ(WEXITSTATUS(status_), 1);			\
		if (strcmp(said, want "\n"))				\
			unit_fail(__FILE__, __LINE__, said);		\
	} while (0)

TEST(both_have_it)
{
	CHECK_EQ(run(&cat, "-f", NULL), 2);
	CHECK(flag);
	CHECK_EQ(run(&dog, "--flag", "--both", NULL), 3);
	CHECK(flag);
}

TEST(each_has_its_own)
{
	CHECK_EQ(run(&cat, "-n", "10", "-p", NULL), 4);
	CHECK_EQ(number, 110);
	CHECK_EQ(run(&cat, "--count=7", NULL), 2);
	CHECK_EQ(number, 7);
	CHECK_EQ(run(&dog, "-n20", "-b", "woof", NULL), 4);
	CHECK_EQ(number, 20);
	CHECK(!strcmp(text, "woof"));
	/* what is short for one alone */
	CHECK_EQ(run(&cat, "--p", NULL), 2);
	CHECK_EQ(number, 100);
	DIES("--number 11: too large", &cat, "-n", "11");
	DIES("--number 21: too large", &dog, "--number", "21");
}

TEST(another_program)
{
	DIES("--bark: not an option of cat (see --help)", &cat, "-b", "x");
	DIES("--bark: not an option of cat (see --help)", &cat, "--bark", "x");
	DIES("--bark: not an option of cat (see --help)", &cat, "--bark=x");
	DIES("--purr: not an option of dog (see --help)", &dog, "-fp");
	DIES("--purr: not an option of dog (see --help)", &dog, "--purr");
	DIES("--number: not an option of dog (see --help)", &dog,
	     "--count", "1");
}

TEST(none_has_it)
{
	DIES("-x: no such option (see --help)", &cat, "-x");
	DIES("--barks: no such option (see --help)", &cat, "--barks");
	DIES("--bar: no such option (see --help)", &cat, "--bar");
	DIES("--none: no such option (see --help)", &cat, "--none");
}

TEST(the_rest)
{
	CHECK_EQ(run(&dog, "-f", "ls", "-p", "--purr", NULL), 2);
	CHECK_EQ(run(&dog, "--", "-f", NULL), 2);
	CHECK(!flag);
	CHECK_EQ(run(&dog, NULL), 1);
	DIES("--bark: needs an argument, TEXT (see --help)", &dog, "-b");
}

static const char *help(const struct option_table *t)
{
	static char out[1024];
	FILE *to = fmemopen(out, sizeof(out), "w");

	option_help(t, to);
	fclose(to);
	return out;
}

/* Headings of groups that have something to show */
TEST(help_of_each)
{
	CHECK(!strcmp(help(&cat),
		      "\nOne:\n"
		      "  -f, --flag              A flag\n"
		      "  -n, --number, --count N\n"
		      "                          The cat's number\n"
		      "\nTwo:\n"
		      "  -p, --purr              Cats do\n"
		      "\nThree:\n"
		      "      --both              Both do\n"));
	CHECK(!strcmp(help(&dog),
		      "\nOne:\n"
		      "  -f, --flag              A flag\n"
		      "  -n, --number N          The dog's number\n"
		      "\nTwo:\n"
		      "  -b, --bark TEXT         Dogs do\n"
		      "\nThree:\n"
		      "      --both              Both do\n"));
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
