/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unit: the least a unit test needs
 *
 *	TEST(adds) { CHECK(1 + 1 == 2); }
 *	int main(int argc, char **argv) { return unit_main(argc, argv); }
 *
 * unit_main() runs all TESTs of the file (or those named), each in the order
 * they stand, and ends with one line `N passed, N failed`.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdbool.h>
#include <stdio.h>

typedef void (*unit_fn)(void);

void unit_add(const char *name, unit_fn fn);
void unit_fail(const char *file, int line, const char *what);
int unit_main(int argc, char **argv);

#define TEST(name)							\
	static void test_##name(void);					\
	__attribute__((constructor)) static void add_##name(void)	\
	{								\
		unit_add(#name, test_##name);				\
	}								\
	static void test_##name(void)

#define CHECK(cond)							\
	do {								\
		if (!(cond))						\
			unit_fail(__FILE__, __LINE__, #cond);		\
	} while (0)

#define CHECK_EQ(a, b)							\
	do {								\
		long long a_ = (long long)(a), b_ = (long long)(b);	\
		char msg_[256];						\
									\
		if (a_ != b_) {						\
			snprintf(msg_, sizeof(msg_),			\
				 "%s == %s: %lld, %lld", #a, #b, a_, b_);	\
			unit_fail(__FILE__, __LINE__, msg_);		\
		}							\
	} while (0)

#endif /* UNIT_H */
