/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * coalesce: how long frames from the guest may wait for each other
 *
 * What a network card does with its interrupts (ethtool(8), --coalesce): where a
 * guest sends datagram after datagram and hears no answer, it is read less often,
 * and more at once.
 */
#ifndef LINK_COALESCE_H
#define LINK_COALESCE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/timer.h"

void coalesce_received(unsigned frames, uint64_t bytes);
void coalesce_sent(void);
usec_t coalesce_wait(bool datagrams, usec_t now);

#endif /* LINK_COALESCE_H */
