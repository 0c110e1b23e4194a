// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * unit: runs the tests of one file and counts
 */
#include "test/unit/unit.h"

#include <string.h>

#define UNIT_MAX 512

static struct {
	const char *name;
	unit_fn fn;
} unit_tests[UNIT_MAX];

static unsigned unit_count;
static bool unit_failed;

void unit_add(const char *name, unit_fn fn)
{
	if (unit_count == UNIT_MAX) {
		unit_fail(__FILE__, __LINE__, "too many tests");
		return;
	}
	unit_tests[unit_count].name = name;
	unit_tests[unit_count++].fn = fn;
}

void unit_fail(const char *file, int line, const char *what)
{
	printf("%s:%d: failed: %s\n", file, line, what);
	unit_failed = true;
}

static bool unit_wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], name))
			return true;
	}
	return argc < 2;
}

int unit_main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;

	for (unsigned i = 0; i < unit_count; i++) {
		if (!unit_wanted(unit_tests[i].name, argc, argv))
			continue;
		unit_failed = false;
		unit_tests[i].fn();
		if (unit_failed) {
			printf("FAILED %s\n", unit_tests[i].name);
			failed++;
		} else {
			passed++;
		}
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
