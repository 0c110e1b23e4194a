/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log: messages to stderr, syslog or a bounded file
 *
 * die() is legal only before the loop starts. Per-packet messages are trace()
 * only. What can repeat without bound uses the _limited forms.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>
#include <stddef.h>

/**
 * enum log_level - how much is said
 * @LOG_LEVEL_ERR:	what went wrong
 * @LOG_LEVEL_WARN:	and what may (--quiet stops here)
 * @LOG_LEVEL_INFO:	default
 * @LOG_LEVEL_DEBUG:	events of flows
 * @LOG_LEVEL_TRACE:	packets
 */
enum log_level {
	LOG_LEVEL_ERR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_TRACE,
};

/**
 * struct log_limit - state of a rate-limited message; static, zeroed
 * @last_sec:	second (CLOCK_MONOTONIC) of the last message let through
 * @suppressed:	messages suppressed since
 */
struct log_limit {
	long last_sec;
	unsigned long suppressed;
};

bool log_enabled(enum log_level level);
void log_init(const char *ident, enum log_level max);
int log_file_open(const char *path, size_t max_size);
void log_to_syslog(void);
void log_stderr_own(void);
void log_stderr_off(void);
void log_msg(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void log_msg_limited(struct log_limit *lim, enum log_level level,
		     const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));

#define log_at(level, ...)						\
	do {								\
		if (log_enabled(level))					\
			log_msg(level, __VA_ARGS__);			\
	} while (0)

#define err(...)	log_at(LOG_LEVEL_ERR, __VA_ARGS__)
#define warn(...)	log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define info(...)	log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define debug(...)	log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define trace(...)	log_at(LOG_LEVEL_TRACE, __VA_ARGS__)

/* At most one message of this place a second, with a count of the others */
#define warn_limited(...)						\
	do {								\
		static struct log_limit lim_;				\
		log_msg_limited(&lim_, LOG_LEVEL_WARN, __VA_ARGS__);	\
	} while (0)

#endif /* LIB_LOG_H */
