/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udpfix: a guest and a host for the tests of UDP
 *
 * The host is a network namespace of the test's own. The guest, behind a link
 * in memory, is 192.0.2.2 and 2001:db8::2 and speaks from GUEST_PORT; 192.0.2.1
 * and fe80::1 are its names for the host's loopback. The clock is the variable
 * now.
 */
#ifndef UDPFIX_H
#define UDPFIX_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "conf.h"
#include "lib/packet.h"
#include "test/unit/memlink.h"
#include "udp_conv.h"
#include "udp_err.h"
#include "udp_flow.h"
#include "udp_in.h"
#include "udp_listen.h"
#include "udp_out.h"

#define GUEST_PORT	4000
#define FORWARDED	5000
/* Addresses of the host's that are not loopback's */
#define CLIENTS		"198.51.100.7"
#define ROUTER		"198.51.100.9"

extern struct conf conf;
extern usec_t now;

struct addr addr(const char *text);
void setup_with(unsigned mtu, bool forward);
void setup(void);
void setup_at4(void);
void teardown(void);
unsigned turns(void);
void later(usec_t sec);
struct packet packet_to(const char *dst, uint16_t port,
		const struct iovec *data);
void guest_sends(const char *dst, uint16_t port, const void *data,
		size_t len);
int host_socket(const char *at, uint16_t port, struct endpoint *e);
int host_connect(int fd, const char *to, uint16_t port);
ssize_t host_sends(int fd, const struct endpoint *to, const void *data,
		size_t len);
ssize_t host_receives(int fd, void *data, size_t len,
			     struct endpoint *from);
bool parse(unsigned i, struct packet *p);
bool guest_got(unsigned i, const char *from, uint16_t port,
		const void *data, size_t len);
struct flow *only_flow(void);
bool host_enter(void);

#endif /* UDPFIX_H */
