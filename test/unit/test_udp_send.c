// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_udp_send: datagrams out of a socket, and answers out of a listening one
 */
#include "udp_send.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "fwd.h"
#include "test/unit/udpfix.h"
#include "test/unit/unit.h"
#include "udp.h"

#define MESSAGES	3

static struct mmsghdr msg[MESSAGES];
static struct iovec iov[MESSAGES];

/* "0", "1", "2" */
static void fill(void)
{
	static char data[MESSAGES];

	for (unsigned i = 0; i < MESSAGES; i++) {
		data[i] = (char)('0' + i);
		iov[i] = (struct iovec){ &data[i], 1 };
		msg[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i],
						  .msg_iovlen = 1 };
	}
}

/* All messages are here, from @at; or from anywhere, if that is NULL */
static void hears_all(int fd, const char *at)
{
	struct endpoint from = { 0 };
	char data[4];

	for (unsigned i = 0; i < MESSAGES; i++) {
		CHECK_EQ(host_receives(fd, data, sizeof(data), &from), 1);
		CHECK_EQ(data[0], (char)('0' + i));
		if (at) {
			const struct addr src = addr(at);

			CHECK(addr_equal(&from.addr, &src));
			CHECK_EQ(from.port, FORWARDED);
		}
	}
}

TEST(what_is_not_taken_is_dropped)
{
	struct endpoint e;
	int fd = host_socket(CLIENTS, 0, &e), to;
	char data[4];

	fill();
	to = host_socket(CLIENTS, 0, &e);
	CHECK(!host_connect(fd, CLIENTS, e.port));
	CHECK_EQ(udp_send(fd, msg, MESSAGES), 0);
	hears_all(to, NULL);
	/* the one in the middle is larger than there can be */
	iov[1].iov_len = 65536;
	CHECK_EQ(udp_send(fd, msg, MESSAGES), EMSGSIZE);
	CHECK_EQ(host_receives(to, data, sizeof(data), NULL), 1);
	CHECK_EQ(data[0], '0');
	CHECK_EQ(host_receives(to, data, sizeof(data), NULL), 1);
	CHECK_EQ(data[0], '2');
	/* an error of what was sent before costs nothing */
	close(to);
	fill();
	CHECK_EQ(udp_send(fd, msg, 1), 0);
	CHECK_EQ(udp_send(fd, msg, 1), 0);
	close(fd);
}

static struct flow_side client_at(const char *at, const char *spoke_to, int *fd)
{
	struct endpoint e;

	*fd = host_socket(at, 0, &e);
	return (struct flow_side){
		.remote = e.addr, .rport = e.port, .local = addr(spoke_to),
		.lport = FORWARDED, .place = FLOW_AT_HOST,
	};
}

/* From the address that was spoken to, of which the host has several */
static void answers(const char *at, const char *spoke_to)
{
	int fd;
	struct flow_side client = client_at(at, spoke_to, &fd);
	const struct fwd_listener *l = fwd_listen_on(IPPROTO_UDP, FWD_IN,
						     FORWARDED);

	fill();
	CHECK(udp_send_is_there(l, &client));
	CHECK(udp_send_answer(l, &client, msg, MESSAGES));
	hears_all(fd, spoke_to);
	close(fd);
}

TEST(answers_come_from_where_it_was_spoken_to)
{
	setup_with(65520, true);
	CHECK(fwd_listen_on(IPPROTO_UDP, FWD_IN, FORWARDED)->v6);
	answers("127.0.0.1", "127.0.0.1");
	answers("127.0.0.1", "127.0.0.5");
	answers(CLIENTS, ROUTER);
	answers("::1", "::1");
	answers("2001:db8:7::7", "::1");
	teardown();
	setup_at4();
	CHECK(!fwd_listen_on(IPPROTO_UDP, FWD_IN, FORWARDED)->v6);
	answers("127.0.0.1", "127.0.0.5");
	answers(CLIENTS, ROUTER);
	teardown();
}

TEST(no_listener_no_answer)
{
	const struct fwd_listener *l;
	struct flow_side client, other;
	int fd;

	setup_with(65520, true);
	client = client_at(CLIENTS, CLIENTS, &fd);
	l = fwd_listen_on(IPPROTO_UDP, FWD_IN, FORWARDED);
	other = client;
	other.lport++;
	CHECK(!udp_send_is_there(l, &other));
	other = client;
	other.place = FLOW_AT_NS;
	CHECK(!udp_send_is_there(l, &other));
	fwd_listen_close((void *)(uintptr_t)l);
	fill();
	CHECK(!udp_send_is_there(l, &client));
	CHECK(!udp_send_answer(l, &client, msg, MESSAGES));
	CHECK_EQ(host_receives(fd, &other, 1, NULL), -1);
	close(fd);
	teardown();
}

int main(int argc, char **argv)
{
	return host_enter() ? unit_main(argc, argv) : 1;
}
