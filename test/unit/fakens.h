/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fakens: sockets of the guest's namespace, which is the test's own
 *
 * In the place of host/nssock.c, once a test names fakens_on.
 */
#ifndef FAKENS_H
#define FAKENS_H

#include <stdbool.h>

extern bool fakens_on;
extern unsigned fakens_opened;

#endif /* FAKENS_H */
