// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stats: counters of what was dropped and why, and of what was done
 *
 * State: the counters, since start.
 */
#include "lib/stats.h"

#include <inttypes.h>
#include <stddef.h>

#include "lib/log.h"

static const char *const drop_text[DROP_NUM] = {
#define X(name, text) [DROP_##name] = text,
	DROP_REASONS(X)
#undef X
};

static const char *const stat_text[STAT_NUM] = {
#define X(name, text) [STAT_##name] = text,
	STAT_COUNTERS(X)
#undef X
};

static uint64_t drop_count[DROP_NUM];
static uint64_t stat_count[STAT_NUM];

/**
 * drop() - Count a drop
 * @why:	reason
 * Return: false, for `return drop(...)` where true means taken
 */
bool drop(enum drop_reason why)
{
	drop_count[why]++;
	return false;
}

/**
 * stat_add() - Count something done
 * @what:	counter
 * @n:		how much
 */
void stat_add(enum stat_counter what, uint64_t n)
{
	stat_count[what] += n;
}

/**
 * stats_print() - Log all counters that are not zero, whatever the log level
 *
 * One line each: `stats: 12 frames from the guest`,
 * `stats: dropped 3: truncated header`.
 */
void stats_print(void)
{
	for (size_t i = 0; i < STAT_NUM; i++) {
		if (stat_count[i])
			log_msg(LOG_LEVEL_INFO, "stats: %" PRIu64 " %s",
				stat_count[i], stat_text[i]);
	}
	for (size_t i = 0; i < DROP_NUM; i++) {
		if (drop_count[i])
			log_msg(LOG_LEVEL_INFO, "stats: dropped %" PRIu64
				": %s", drop_count[i], drop_text[i]);
	}
}
