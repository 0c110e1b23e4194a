/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * server: the UNIX stream socket that hypervisors connect to, one at a time
 */
#ifndef LINK_SERVER_H
#define LINK_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/timer.h"

/**
 * struct server_conf - where clients come from
 * @listen_fd:	bound UNIX socket, or -1
 * @fd:		connected socket handed to us (--fd), or -1
 * @one_off:	stop when the one client leaves
 * @stop:	what to call then
 */
struct server_conf {
	int listen_fd;
	int fd;
	bool one_off;
	void (*stop)(void);
};

/**
 * Begin to serve a client: 0, the descriptor then is the link's; or a negative
 * error code, and it is closed
 */
typedef int (*server_fn)(int fd, usec_t now);

int server_listen(const char *path, char *used, size_t size);
void server_init(const struct server_conf *c, server_fn serve);
int server_start(usec_t now);
void server_client_leaving(void);
void server_client_left(void);
void server_close(void);

#endif /* LINK_SERVER_H */
