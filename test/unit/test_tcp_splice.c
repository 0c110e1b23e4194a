// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_tcp_splice: connections from socket to socket, on a loopback of our own
 *
 * The client connects to a forwarded port, the server listens in the
 * namespace, which is the same one here. Nothing of what either sees may
 * differ from a connection without the daemon between them.
 */
#include "tcp_splice.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fwd.h"
#include "fwd_socket.h"
#include "guest.h"
#include "host/tcpinfo.h"
#include "lib/loop.h"
#include "lib/pipes.h"
#include "lib/slow.h"
#include "tcp.h"
#include "test/unit/fakens.h"
#include "test/unit/hostns.h"
#include "test/unit/unit.h"

#define TURNS_MAX	20000
#define INTERVAL	7200

static struct conf conf;
static usec_t now = 1000 * USEC_PER_SEC;
static uint16_t port = 20000;	/* forwarded, the server's is the next one */
static int listener = -1, client = -1, server = -1;
static unsigned fds;

/* What send() fails with the next time, 0: nothing */
static int send_error;

/* In place of the C library's */
ssize_t send(int fd, const void *b, size_t len, int flags)
{
	int error = send_error;

	send_error = 0;
	if (!error)
		return syscall(SYS_sendto, fd, b, len, flags, NULL, 0);
	errno = error;
	return -1;
}

static struct addr addr(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		abort();
	return a;
}

static unsigned fd_count(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void setup_once(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	signal(SIGPIPE, SIG_IGN);
	fakens_on = true;
	CHECK_EQ(loop_init(), 0);
	CHECK(timer_init(now) >= 0);
}

/* A pipe each way is there already: descriptors are counted */
static void setup_pipes(void)
{
	struct pipe_ends p[2];

	CHECK(pipes_take(&p[0]));
	CHECK(pipes_take(&p[1]));
	pipes_give(&p[0]);
	pipes_give(&p[1]);
}

/* Forwarded ports of former tests stay, and nobody connects to them any more */
static void setup(void)
{
	setup_once();
	memset(&conf, 0, sizeof(conf));
	conf.family[CONF_V4].on = conf.family[CONF_V6].on = true;
	conf.host_lo_to_ns_lo = true;
	conf.inactivity_sec = INTERVAL;
	port += 2;
	conf.tcp_ports = (struct portspec){ .given = true, .count = 1 };
	conf.tcp_ports.rule[0] = (struct port_rule){
		.first = port, .last = port, .to = (uint16_t)(port + 1),
	};
	flow_init();
	guest_init(&(struct guest_conf){ .addr4 = ADDR_ANY4 });
	fwd_init(&conf);
	fwd_socket_init(&conf);
	CHECK_EQ(tcp_init(&conf, now), 0);
	setup_pipes();
	fds = fd_count();
}

static void drop_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* All is over, and nothing is left behind */
static void teardown(void)
{
	flow_stop(now);
	flow_reap();
	CHECK_EQ(flow_count(), 0);
	drop_fd(&client);
	drop_fd(&server);
	drop_fd(&listener);
	/* pipes that were not empty are not kept */
	CHECK(fd_count() <= fds);
}

/* Turns of the loop until nothing happens */
static unsigned turns(void)
{
	unsigned count = 0;
	int n;

	while (count < TURNS_MAX && (n = loop_wait(count ? 1 : 10)) > 0) {
		loop_dispatch(n, now++);
		flow_reap();
		count++;
	}
	CHECK(count < TURNS_MAX);
	return count;
}

static void later(usec_t sec)
{
	usec_t end = now + sec * USEC_PER_SEC + USEC_PER_MSEC;

	while (now < end) {
		now += USEC_PER_SEC * 60 < end - now ? USEC_PER_SEC * 60 :
						       end - now;
		timer_run(now);
		flow_reap();
	}
}

static socklen_t at(const char *where, uint16_t p, union sockaddr_any *sa)
{
	return addr_to_sockaddr(&(struct endpoint){ addr(where), p, 0 }, sa);
}

static void serve(const char *where, int backlog)
{
	union sockaddr_any sa;
	socklen_t len = at(where, (uint16_t)(port + 1), &sa);
	const int on = 1;

	listener = socket(sa.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	CHECK(!bind(listener, &sa.sa, len) && !listen(listener, backlog));
}

static int dial(const char *where)
{
	union sockaddr_any sa;
	socklen_t len = at(where, port, &sa);
	const int on = 1;
	int fd = socket(sa.sa.sa_family, SOCK_STREAM, 0);

	CHECK(!connect(fd, &sa.sa, len));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void join(const char *where)
{
	serve(where, 10);
	client = dial(where);
	turns();
	server = accept(listener, NULL, NULL);
	CHECK(server >= 0);
	CHECK_EQ(flow_count(), 1);
}

/* Bytes of a stream that tells where it is */
static uint8_t byte_at(size_t off)
{
	return (uint8_t)(off ^ off >> 8 ^ off >> 16);
}

static void fill(uint8_t *b, size_t off, size_t len)
{
	for (size_t i = 0; i < len; i++)
		b[i] = byte_at(off + i);
}

static bool right(const uint8_t *b, size_t off, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (b[i] != byte_at(off + i))
			return false;
	}
	return true;
}

static uint8_t buffer[256 * 1024];

/* Sends what is taken of stream bytes [*off, end) */
static bool push(int fd, size_t *off, size_t end, size_t chunk)
{
	size_t len = end - *off < chunk ? end - *off : chunk;
	ssize_t n;

	fill(buffer, *off, len);
	n = send(fd, buffer, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		*off += (size_t)n;
	return n > 0;
}

/* Reads what there is of it, checked. Return: what the last recv() did */
static ssize_t pull(int fd, size_t *off, size_t chunk)
{
	ssize_t n = recv(fd, buffer, chunk, MSG_DONTWAIT);

	if (n > 0) {
		CHECK(right(buffer, *off, (size_t)n));
		*off += (size_t)n;
	}
	return n;
}

static void says(int fd, const char *text)
{
	CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	turns();
}

/* Waits until there is something to be read, or told: that the kernel moves what
 * was sent at once holds as long as it has nothing else to do */
static void comes(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (int i = 0; i < 500 && !poll(&p, 1, 10); i++)
		turns();
}

static void hears(int fd, const char *text)
{
	char got[64];
	ssize_t n;

	comes(fd);
	n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
	CHECK_EQ(n, strlen(text));
	CHECK(n < 0 || !memcmp(got, text, (size_t)n));
}

static bool ended(int fd)
{
	char c;

	comes(fd);
	return !recv(fd, &c, 1, MSG_DONTWAIT);
}

/* What recv() has to say: 0 for an end, or an error */
static int trouble(int fd)
{
	ssize_t n;
	char c;

	comes(fd);
	n = recv(fd, &c, 1, MSG_DONTWAIT);

	return n < 0 ? errno : n ? -1 : 0;
}

static void resets(int *fd)
{
	const struct linger l = { .l_onoff = 1 };

	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	drop_fd(fd);
	turns();
}

static void talk(const char *where, const char *server_at)
{
	setup();
	serve(server_at, 10);
	client = dial(where);
	turns();
	server = accept(listener, NULL, NULL);
	says(client, "question");
	hears(server, "question");
	says(server, "answer");
	hears(client, "answer");
	/* an idle connection: two descriptors, besides the test's own three */
	CHECK_EQ(fd_count(), fds + 5);
	CHECK_EQ(turns(), 0);
	drop_fd(&client);
	turns();
	CHECK(ended(server));
	CHECK_EQ(flow_count(), 1);
	drop_fd(&server);
	turns();
	CHECK_EQ(flow_count(), 0);
	teardown();
}

TEST(both_families)
{
	talk("127.0.0.1", "127.0.0.1");
	talk("127.0.0.9", "127.0.0.9");
	talk("::1", "::1");
}

/* The port takes both families; the server only knows the other one */
TEST(refused_is_refused)
{
	setup();
	client = dial("127.0.0.1");
	turns();
	CHECK_EQ(trouble(client), ECONNRESET);
	CHECK_EQ(flow_count(), 0);
	drop_fd(&client);
	serve("127.0.0.1", 10);
	client = dial("::1");
	turns();
	CHECK_EQ(trouble(client), ECONNRESET);
	CHECK_EQ(flow_count(), 0);
	teardown();
}

static void half_close(int *first, int *second)
{
	says(*first, "all I have");
	CHECK(!shutdown(*first, SHUT_WR));
	turns();
	hears(*second, "all I have");
	CHECK(ended(*second));
	for (unsigned i = 0; i < 3; i++) {
		says(*second, "some more");
		hears(*first, "some more");
	}
	CHECK_EQ(flow_count(), 1);
	CHECK_EQ(turns(), 0);
	says(*second, "the last");
	drop_fd(second);
	turns();
	CHECK_EQ(flow_count(), 0);
	hears(*first, "the last");
	CHECK(ended(*first));
}

/* ... and not answered by itself, from the port that the kernel chose for it */
TEST(refused_at_the_port_it_comes_from)
{
	static const char *const range =
		"/proc/sys/net/ipv4/ip_local_port_range";
	char one[32];

	setup();
	client = dial("127.0.0.1");
	snprintf(one, sizeof(one), "%u %u", port + 1u, port + 1u);
	CHECK(hostns_write(range, one));
	turns();
	CHECK(hostns_write(range, "32768 60999"));
	CHECK_EQ(trouble(client), ECONNRESET);
	CHECK_EQ(flow_count(), 0);
	teardown();
}

TEST(half_close_by_the_client)
{
	setup();
	join("127.0.0.1");
	half_close(&client, &server);
	teardown();
}

TEST(half_close_by_the_server)
{
	setup();
	join("::1");
	half_close(&server, &client);
	teardown();
}

/* Data and its end come at once, before the server has even accepted */
TEST(early_data_and_end)
{
	setup();
	serve("127.0.0.1", 10);
	client = dial("127.0.0.1");
	CHECK_EQ(send(client, "early", 5, 0), 5);
	CHECK(!shutdown(client, SHUT_WR));
	turns();
	server = accept(listener, NULL, NULL);
	hears(server, "early");
	CHECK(ended(server));
	says(server, "late");
	drop_fd(&server);
	turns();
	hears(client, "late");
	CHECK(ended(client));
	CHECK_EQ(flow_count(), 0);
	teardown();
}

TEST(reset_by_the_client)
{
	setup();
	join("127.0.0.1");
	says(client, "abc");
	resets(&client);
	CHECK_EQ(flow_count(), 0);
	hears(server, "abc");
	CHECK_EQ(trouble(server), ECONNRESET);
	teardown();
}

/*
 * Two ports lead to each other, and the client has left before it could be told
 * that nobody is there: each connection ends behind the next one's back
 */
TEST(reset_in_a_circle)
{
	setup();
	conf.tcp_ns_ports = conf.tcp_ports;
	conf.tcp_ns_ports.rule[0] = (struct port_rule){
		.listen = ADDR_LOOPBACK4, .first = (uint16_t)(port + 1),
		.last = (uint16_t)(port + 1), .to = port,
	};
	fwd_init(&conf);
	CHECK_EQ(tcp_init(&conf, now), 0);
	fds = fd_count();
	client = dial("127.0.0.1");
	resets(&client);
	CHECK_EQ(flow_count(), 0);
	client = dial("127.0.0.1");
	turns();
	CHECK_EQ(trouble(client), ECONNRESET);
	teardown();
}

TEST(reset_by_the_server)
{
	setup();
	join("::1");
	CHECK_EQ(send(server, "abc", 3, 0), 3);
	resets(&server);
	CHECK_EQ(flow_count(), 0);
	hears(client, "abc");
	CHECK_EQ(trouble(client), ECONNRESET);
	teardown();
}

/* The failure is met by a write before its event is seen: what came before it
 * is passed on all the same
 */
TEST(reset_that_crosses_data)
{
	setup();
	join("127.0.0.1");
	CHECK_EQ(send(client, "question", 8, 0), 8);
	CHECK_EQ(send(server, "abc", 3, 0), 3);
	resets(&server);
	CHECK_EQ(flow_count(), 0);
	hears(client, "abc");
	CHECK_EQ(trouble(client), ECONNRESET);
	teardown();
}

/* After its end was passed on, a side can still be reset */
TEST(reset_when_half_closed)
{
	setup();
	join("127.0.0.1");
	CHECK(!shutdown(client, SHUT_WR));
	turns();
	CHECK(ended(server));
	resets(&client);
	CHECK_EQ(flow_count(), 0);
	CHECK_EQ(send(server, "x", 1, MSG_NOSIGNAL), -1);
	teardown();
}

/* A server that closes with something unread resets: the client is told */
TEST(close_with_unread_data_is_a_reset)
{
	setup();
	join("127.0.0.1");
	says(client, "never read");
	drop_fd(&server);
	turns();
	CHECK_EQ(trouble(client), ECONNRESET);
	CHECK_EQ(flow_count(), 0);
	teardown();
}

/* What does not go through stays where it is, and nothing turns in vain */
static size_t stall(int from)
{
	size_t off = 0, before;

	do {
		before = off;
		while (push(from, &off, SIZE_MAX, 100000))
			;
		turns();
	} while (off > before);
	CHECK(off > 100000);
	/* what probes and late ACKs wake up apart, nothing happens */
	for (unsigned i = 0; turns() + turns() + turns() >= 10; i++)
		CHECK(i < 20);
	return off;
}

static void slow_reader(int *from, int *to)
{
	size_t sent = stall(*from), got = 0, before;

	drop_fd(from);
	turns();
	do {
		before = got;
		while (pull(*to, &got, 30000) > 0)
			;
		turns();
	} while (got > before);
	CHECK_EQ(got, sent);
	CHECK(ended(*to));
	drop_fd(to);
	turns();
	CHECK_EQ(flow_count(), 0);
}

TEST(slow_server)
{
	setup();
	join("127.0.0.1");
	slow_reader(&client, &server);
	teardown();
}

/*
 * No memory for what comes behind data that waits for a slow reader: it was not
 * full, so the kernel does not tell when that has gone
 */
TEST(slow_server_and_no_memory)
{
	size_t off = 0, got = 0, end = 3000000;

	setup();
	serve("127.0.0.1", 10);
	CHECK(!setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &(int){ 8192 },
			  sizeof(int)));
	client = dial("127.0.0.1");
	turns();
	server = accept(listener, NULL, NULL);
	for (int i = 0; i < 20; i++) {
		push(client, &off, end, 10000);
		turns();
	}
	end = off + 1;
	fill(buffer, off, 1);
	send_error = ENOBUFS;
	CHECK_EQ(write(client, buffer, 1), 1);
	turns();
	CHECK(!send_error);
	for (int i = 0; i < 500 && got < end; i++) {
		turns();
		pull(server, &got, 30000);
		now += 20 * USEC_PER_MSEC;
		timer_run(now);
	}
	CHECK_EQ(got, end);
	teardown();
}

TEST(slow_client)
{
	setup();
	join("127.0.0.1");
	slow_reader(&server, &client);
	teardown();
}

TEST(reset_with_data_under_way)
{
	size_t sent, got = 0;

	setup();
	join("127.0.0.1");
	sent = stall(client);
	resets(&client);
	CHECK_EQ(flow_count(), 0);
	while (pull(server, &got, sizeof(buffer)) > 0)
		;
	CHECK_EQ(errno, ECONNRESET);
	CHECK(got && got < sent);
	drop_fd(&server);
	drop_fd(&listener);

	join("127.0.0.1");
	stall(client);
	resets(&server);
	CHECK_EQ(flow_count(), 0);
	CHECK_EQ(trouble(client), ECONNRESET);
	teardown();
}

static size_t chunk(void)
{
	size_t most = rand() % 4 ? 3000 : sizeof(buffer);

	return 1 + (size_t)rand() % most;
}

/* Both directions at once, in pieces of all sizes */
static void bulk(size_t total)
{
	size_t up = 0, down = 0, up_got = 0, down_got = 0;

	while (up_got < total || down_got < total) {
		if (up < total)
			push(client, &up, total, chunk());
		if (down < total)
			push(server, &down, total, chunk());
		loop_dispatch(loop_wait(0), now);
		flow_reap();
		pull(server, &up_got, chunk());
		pull(client, &down_got, chunk());
	}
	CHECK_EQ(up_got, total);
	CHECK_EQ(down_got, total);
	CHECK_EQ(turns(), 0);
}

TEST(large_data)
{
	setup();
	join("127.0.0.1");
	bulk(32 * 1024 * 1024);
	CHECK_EQ(fd_count(), fds + 5);
	drop_fd(&client);
	drop_fd(&server);
	turns();
	CHECK_EQ(flow_count(), 0);
	teardown();
}

static struct pipe_ends taken[PIPES_LENT];

/* All pipes are lent: data is peeked at, and consumed as it is sent */
TEST(without_pipes)
{
	unsigned n = 0;
	size_t sent, got = 0;

	setup();
	while (n < PIPES_LENT && pipes_take(&taken[n]))
		n++;
	fds = fd_count();
	join("127.0.0.1");
	bulk(4 * 1024 * 1024);
	sent = stall(server);
	drop_fd(&server);
	turns();
	while (pull(client, &got, sizeof(buffer)) > 0)
		turns();
	CHECK_EQ(got, sent);
	drop_fd(&client);
	turns();
	CHECK_EQ(flow_count(), 0);
	teardown();
	while (n)
		pipes_give(&taken[--n]);
}

/* A stalled direction gives its pipe back when the connection ends */
TEST(pipes_come_back)
{
	setup();
	for (unsigned i = 0; i < 3; i++) {
		join("127.0.0.1");
		stall(client);
		stall(server);
		flow_stop(now);
		flow_reap();
		CHECK_EQ(flow_count(), 0);
		drop_fd(&client);
		drop_fd(&server);
		drop_fd(&listener);
	}
	teardown();
}

/* No descriptor for the server's side: the client hears it, and the next one
 * is served
 */
TEST(without_descriptors)
{
	struct rlimit was, low;
	int next;

	setup();
	serve("127.0.0.1", 10);
	client = dial("127.0.0.1");
	CHECK(!getrlimit(RLIMIT_NOFILE, &was));
	low = was;
	/* one is left, for the accepted connection */
	next = dup(client);
	close(next);
	low.rlim_cur = (rlim_t)next + 1;
	CHECK(!setrlimit(RLIMIT_NOFILE, &low));
	turns();
	CHECK(!setrlimit(RLIMIT_NOFILE, &was));
	CHECK_EQ(trouble(client), ECONNRESET);
	CHECK_EQ(flow_count(), 0);
	drop_fd(&client);
	client = dial("127.0.0.1");
	turns();
	CHECK_EQ(flow_count(), 1);
	teardown();
}

static void stop_when_idle(void)
{
	join("127.0.0.1");
	says(client, "abc");
	flow_stop(now);
	flow_reap();
	CHECK_EQ(flow_count(), 0);
	hears(server, "abc");
	CHECK_EQ(trouble(server), ECONNRESET);
	CHECK_EQ(trouble(client), ECONNRESET);
	teardown();
}

TEST(stop_resets_what_goes_on)
{
	setup();
	stop_when_idle();
}

/* What was finished is delivered, even when the server has not read it */
TEST(stop_delivers_what_is_finished)
{
	size_t off = 0, got = 0;

	setup();
	join("127.0.0.1");
	while (off < 50000)
		push(client, &off, 50000, 50000);
	CHECK(!shutdown(client, SHUT_WR));
	CHECK_EQ(send(server, "unread", 6, 0), 6);
	flow_guest_left(now);
	flow_reap();
	CHECK_EQ(flow_count(), 0);
	while (pull(server, &got, sizeof(buffer)) > 0)
		;
	CHECK_EQ(got, off);
	CHECK(ended(server));
	hears(client, "unread");
	CHECK_EQ(trouble(client), ECONNRESET);
	teardown();
}

TEST(inactivity_is_ended)
{
	setup();
	join("127.0.0.1");
	later(INTERVAL);
	says(client, "still here");
	hears(server, "still here");
	later(INTERVAL);
	CHECK_EQ(flow_count(), 1);
	/* the last acknowledgement may come after the sweep */
	later(2 * INTERVAL);
	CHECK_EQ(flow_count(), 0);
	CHECK_EQ(trouble(client), ECONNRESET);
	CHECK_EQ(trouble(server), ECONNRESET);
	teardown();
}

/* Until a keepalive of its has been answered */
static void keepalive(int fd)
{
	const int one = 1, off = 0;
	uint32_t before = 0, segs = 0;

	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof(one));
	CHECK_EQ(tcpinfo_segs_in(fd, &before), 0);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	for (int i = 0; i < 1000 && (!segs || segs == before); i++) {
		poll(NULL, 0, 10);
		CHECK_EQ(tcpinfo_segs_in(fd, &segs), 0);
	}
	CHECK(segs != before);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &off, sizeof(off));
}

/* Either end may ask the other to keep the connection, as past the link */
TEST(keepalives_are_activity)
{
	setup();
	join("127.0.0.1");
	later(INTERVAL);
	keepalive(client);
	later(INTERVAL);
	CHECK_EQ(flow_count(), 1);
	keepalive(server);
	later(INTERVAL);
	CHECK_EQ(flow_count(), 1);
	later(2 * INTERVAL);
	CHECK_EQ(flow_count(), 0);
	CHECK_EQ(trouble(client), ECONNRESET);
	teardown();
}

TEST(urgent_data_is_data)
{
	size_t off = 0, got = 0;

	setup();
	join("127.0.0.1");
	for (unsigned i = 0; i < 3; i++) {
		/* while splicing, too */
		while (off < (i + 1) * 1000000u) {
			push(client, &off, (i + 1) * 1000000u, 200000);
			turns();
			pull(server, &got, sizeof(buffer));
		}
		buffer[0] = byte_at(off++);
		CHECK_EQ(send(client, buffer, 1, MSG_OOB), 1);
		push(client, &off, off + 1, 1);
	}
	turns();
	while (pull(server, &got, sizeof(buffer)) > 0)
		turns();
	/* the urgent bytes are inline on our side; none is lost */
	CHECK_EQ(got, off);
	teardown();
}

/* splice(2) stops at an urgent byte; that is no end of the data, come what may */
TEST(urgent_data_before_the_end)
{
	size_t off = 0, got = 0;

	setup();
	join("127.0.0.1");
	while (off < 1000000) {
		push(client, &off, 1000000, 200000);
		turns();
		pull(server, &got, sizeof(buffer));
	}
	/* the next of it comes to us at once, and bulk data goes by splice(2) */
	while (pull(server, &got, sizeof(buffer)) > 0)
		turns();
	CHECK_EQ(got, off);
	CHECK(push(client, &off, off + 100000, 100000));
	buffer[0] = byte_at(off++);
	CHECK_EQ(send(client, buffer, 1, MSG_OOB), 1);
	CHECK(push(client, &off, off + 5, 5));
	CHECK(!shutdown(client, SHUT_WR));
	turns();
	while (pull(server, &got, sizeof(buffer)) > 0)
		turns();
	CHECK_EQ(got, off);
	CHECK(ended(server));
	teardown();
}

/* A server that does not answer: the client may give up meanwhile */
TEST(connect_takes_long)
{
	int filler[2];
	union sockaddr_any sa;
	socklen_t len;
	char c;

	setup();
	serve("127.0.0.1", 0);
	len = at("127.0.0.1", (uint16_t)(port + 1), &sa);
	for (unsigned i = 0; i < 2; i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(filler[i], &sa.sa, len);
	}
	client = dial("127.0.0.1");
	says(client, "are you there");
	CHECK_EQ(flow_count(), 1);
	CHECK_EQ(turns(), 0);
	CHECK_EQ(recv(client, &c, 1, MSG_DONTWAIT), -1);
	CHECK_EQ(errno, EAGAIN);
	resets(&client);
	CHECK_EQ(flow_count(), 0);
	close(filler[0]);
	close(filler[1]);
	teardown();
}

/* Enough for this turn: who waits to be accepted waits for the next */
TEST(turn_is_over)
{
	setup();
	serve("127.0.0.1", 10);
	client = dial("127.0.0.1");
	slow_call(now, SLOW_TURN + 1);
	loop_dispatch(loop_wait(1000), now);
	CHECK_EQ(flow_count(), 0);
	now++;
	turns();
	CHECK_EQ(flow_count(), 1);
	teardown();
}

/* By the link instead, where there is none: reset */
TEST(not_for_others)
{
	setup();
	serve("127.0.0.1", 10);
	conf.no_splice = true;
	client = dial("127.0.0.1");
	turns();
	CHECK_EQ(trouble(client), ECONNRESET);
	CHECK_EQ(accept(listener, NULL, NULL), -1);
	teardown();
}

/* Out of the namespace: the same with the places exchanged */
static void join_out(const struct port_rule *r)
{
	struct flow_side from = { .remote = ADDR_LOOPBACK4, .rport = 9,
				  .local = ADDR_LOOPBACK4, .lport = 700,
				  .place = FLOW_AT_NS }, to;
	unsigned opened;
	int pair[2];
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);

	/* the accepted connection, without a listener in a namespace */
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	len = at("127.0.0.1", 0, &sa);
	CHECK(!bind(pair[0], &sa.sa, len) && !listen(pair[0], 1));
	CHECK(!getsockname(pair[0], &sa.sa, &len));
	client = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(client, &sa.sa, len));
	pair[1] = accept4(pair[0], NULL, NULL, SOCK_NONBLOCK);
	opened = fakens_opened;
	CHECK(fwd_splice(FWD_OUT, r, &from, &to));
	tcp_splice_open(pair[1], &from, &to, now);
	CHECK_EQ(fakens_opened, opened);
	close(pair[0]);
	turns();
	server = accept(listener, NULL, NULL);
	CHECK(server >= 0);
}

TEST(out_to_the_host)
{
	setup();
	serve("127.0.0.1", 10);
	join_out(&(struct port_rule){ .first = 700, .last = 700,
				      .to = (uint16_t)(port + 1) });
	says(client, "hi");
	hears(server, "hi");
	says(server, "ho");
	hears(client, "ho");
	teardown();
}

/* The daemon's end of the connection to the server: does it send keepalives? */
static bool asks_the_server(void)
{
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);
	uint16_t to;
	int on = -1;

	CHECK(!getsockname(server, &sa.sa, &len));
	to = addr_from_sockaddr(&sa).port;
	for (int fd = 0; fd < 256; fd++) {
		len = sizeof(sa);
		if (getpeername(fd, &sa.sa, &len) ||
		    addr_from_sockaddr(&sa).port != to)
			continue;
		len = sizeof(on);
		getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len);
	}
	CHECK(on >= 0);
	return on == 1;
}

/* Who asks for the server hears of it, not of us */
TEST(keepalives_ask_a_server_elsewhere)
{
	struct port_rule r = { .first = 700, .last = 700,
			       .target = addr("192.0.2.77"),
			       .has_target = true };

	setup();
	r.to = (uint16_t)(port + 1);
	CHECK(hostns_address("192.0.2.77"));
	serve("192.0.2.77", 10);
	join_out(&r);
	later(INTERVAL);
	CHECK(!asks_the_server());
	keepalive(client);
	later(INTERVAL);
	CHECK(asks_the_server());
	CHECK_EQ(flow_count(), 1);
	teardown();
}

int main(int argc, char **argv)
{
	return hostns_enter() ? unit_main(argc, argv) : 1;
}
