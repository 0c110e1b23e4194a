/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture: a link wrapped around the link that writes what passes to a pcap
 * file, so that no other file knows of captures
 */
#ifndef LINK_CAPTURE_H
#define LINK_CAPTURE_H

#include "link/link.h"

const struct link_ops *capture_wrap(const struct link_ops *inner, int pcap_fd);

#endif /* LINK_CAPTURE_H */
