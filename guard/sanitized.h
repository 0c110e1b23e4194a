/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sanitized: whether this is a sanitizers' build, whose run time does what the
 * product never does: it makes threads, opens files, and traces us
 *
 * A test that wants the product's rules, though sanitized itself, defines
 * GUARD_SANITIZED to 0 before.
 */
#ifndef GUARD_SANITIZED_H
#define GUARD_SANITIZED_H

#ifndef GUARD_SANITIZED
#if defined(__SANITIZE_ADDRESS__)
#define GUARD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GUARD_SANITIZED 1
#endif
#endif
#endif
#ifndef GUARD_SANITIZED
#define GUARD_SANITIZED 0
#endif

#endif /* GUARD_SANITIZED_H */
