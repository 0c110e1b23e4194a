// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_tcp_open: how connections begin, in both directions, and how they do not
 */
#include "tcp_open.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flow.h"
#include "test/unit/tcpfix.h"

TEST(guest_opens)
{
	setup();
	g.ws = 7;
	open_out();
	teardown();
}

int main(int argc, char **argv)
{
	return host_enter() ? unit_main(argc, argv) : 1;
}
