/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwd_auto: forwarding that follows what listens on the other side
 *
 * For rules with `auto`: what starts listening in the guest's namespace is
 * listened on by the host, and the other way round, within a second.
 */
#ifndef FWD_AUTO_H
#define FWD_AUTO_H

#include "conf.h"
#include "host/ports.h"
#include "lib/timer.h"

/**
 * struct fwd_auto_conf - what it works with
 * @conf:	configuration, kept
 * @host:	tells what listens on the host
 * @ns:		tells what listens in the guest's namespace
 */
struct fwd_auto_conf {
	const struct conf *conf;
	struct ports_source host;
	struct ports_source ns;
};

void fwd_auto_start(const struct fwd_auto_conf *c, usec_t now);

#endif /* FWD_AUTO_H */
