/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream: the link over QEMU's UNIX stream socket
 */
#ifndef LINK_STREAM_H
#define LINK_STREAM_H

#include "link/link.h"

/**
 * struct stream_conf - how the stream link is set up
 * @listen_fd:	bound and listening UNIX socket, or -1
 * @fd:		connected socket handed to us (--fd), or -1
 * @one_off:	stop when the one client leaves
 * @stop:	what to call then
 */
struct stream_conf {
	int listen_fd;
	int fd;
	bool one_off;
	void (*stop)(void);
};

int stream_listen(const char *path, char *used, size_t size);
const struct link_ops *stream_init(const struct stream_conf *c);
int stream_start(usec_t now);

#endif /* LINK_STREAM_H */
