// SPDX-License-Identifier: GPL-2.0-or-tf_later
/*
 * test_tcp_conn: the table of states, the timer, the list of those that wait
 * for the link, the ways in which a host's socket ends
 */
#include "tcp_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flow.h"
#include "test/unit/tcpfix.h"

/* Where each move leads, 0: nowhere; RFC 9293 3.3.2, figure 5 */
static const uint8_t moves[TCPS_NUM][TCPM_NUM] = {
	/* CONNECTED, SYN, OPEN, FIN_OUT, FIN_IN, FIN_ACKED */
	[TCPS_CONNECTING] = { TCPS_SYN_RCVD },
	[TCPS_SYN_SENT] = { 0, TCPS_SYN_RCVD, TCPS_ESTABLISHED },
	[TCPS_SYN_RCVD] = { 0, 0, TCPS_ESTABLISHED },
	[TCPS_ESTABLISHED] = { 0, 0, 0, TCPS_FIN_WAIT_1, TCPS_CLOSE_WAIT },
	[TCPS_FIN_WAIT_1] = { 0, 0, 0, 0, TCPS_CLOSING, TCPS_FIN_WAIT_2 },
	[TCPS_FIN_WAIT_2] = { 0, 0, 0, 0, TCPS_TIME_WAIT },
	[TCPS_CLOSE_WAIT] = { 0, 0, 0, TCPS_LAST_ACK },
	[TCPS_CLOSING] = { 0, 0, 0, 0, 0, TCPS_TIME_WAIT },
	[TCPS_LAST_ACK] = { 0, 0, 0, 0, 0, TCPS_CLOSED },
};

static struct tcp_conn *new_conn(void)
{
	struct flow *f = flow_new(FLOW_TCP, IPPROTO_TCP);
	struct tcp_conn *c = flow_as(f, struct tcp_conn);

	c->watch.fd = -1;
	return c;
}

/* Whether it asserts: in a process of its own */
static bool asserts(struct tcp_conn *c, enum tcp_move m)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		close(STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		tcp_conn_move(c, m);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST(every_move)
{
	struct tcp_conn *c;

	tf_setup();
	c = new_conn();
	for (int state = 0; state < TCPS_NUM; state++) {
		for (int m = 0; m < TCPM_NUM; m++) {
			c->state = (uint8_t)state;
			if (!moves[state][m]) {
				CHECK(asserts(c, m));
				continue;
			}
			tcp_conn_move(c, m);
			CHECK_EQ(c->state, moves[state][m]);
		}
	}
	tcp_conn_end(c);
	tf_teardown();
}

TEST(synchronized_states)
{
	struct tcp_conn *c;

	tf_setup();
	c = new_conn();
	for (int state = 0; state < TCPS_NUM; state++) {
		c->state = (uint8_t)state;
		CHECK_EQ(tcp_conn_synchronized(c),
			 state != TCPS_CONNECTING && state != TCPS_SYN_SENT &&
			 state != TCPS_SYN_RCVD && state != TCPS_CLOSED);
		CHECK(strlen(tcp_conn_state_name(c)) > 3);
	}
	tcp_conn_end(c);
	tf_teardown();
}

TEST(comparisons_wrap)
{
	static const uint32_t at[] = { 0, 1, 0x7fffffff, 0x80000000,
				       0xfffffffe, 0xffffffff };

	for (unsigned i = 0; i < 6; i++) {
		CHECK(!seq_lt(at[i], at[i]));
		CHECK(seq_le(at[i], at[i]));
		CHECK(seq_lt(at[i], at[i] + 1));
		CHECK(seq_lt(at[i] - 1, at[i]));
		CHECK(seq_lt(at[i], at[i] + 0x7fffffff));
		CHECK(!seq_lt(at[i] + 0x7fffffff, at[i]));
		CHECK(!seq_le(at[i] + 1, at[i]));
	}
}

/* The earliest of what is due, and never later than it stands */
TEST(timer_is_the_earliest)
{
	struct tcp_conn *c;

	tf_setup();
	c = new_conn();
	c->timer.fn = (timer_fn)NULL;
	tcp_conn_arm(c);
	CHECK(!timer_armed(&c->timer));
	c->rtx_at = tf_now + 5000;
	tcp_conn_arm(c);
	CHECK_EQ(c->timer.due, tf_now + 5000);
	c->ack_at = tf_now + 400;
	tcp_conn_arm(c);
	CHECK_EQ(c->timer.due, tf_now + 400);
	c->ack_at = 0;
	tcp_conn_arm(c);
	CHECK_EQ(c->timer.due, tf_now + 400);
	c->more = true;
	tcp_conn_arm(c);
	CHECK(c->timer.due <= tf_now);
	c->state = TCPS_TIME_WAIT;
	tcp_conn_end(c);
	CHECK(!timer_armed(&c->timer));
	tf_teardown();
}

TEST(waiting_for_the_link)
{
	struct tcp_conn *c[4];

	tf_setup();
	for (int i = 0; i < 4; i++) {
		c[i] = new_conn();
		c[i]->state = TCPS_TIME_WAIT;
		tcp_conn_block(c[i]);
		tcp_conn_block(c[i]);
	}
	CHECK(tcp_conn_unblock() == c[0]);
	/* again: behind the others */
	tcp_conn_block(c[0]);
	/* ends meanwhile: in the middle, at the end */
	tcp_conn_end(c[2]);
	tcp_conn_end(c[0]);
	CHECK(tcp_conn_unblock() == c[1]);
	CHECK(tcp_conn_unblock() == c[3]);
	CHECK(!tcp_conn_unblock());
	tcp_conn_block(c[1]);
	CHECK(tcp_conn_unblock() == c[1]);
	CHECK(!tcp_conn_unblock());
	tcp_conn_end(c[1]);
	tcp_conn_end(c[3]);
	tf_teardown();
}

/* close: unread data does not make it a reset */
TEST(close_drains_first)
{
	char byte;

	tf_setup();
	open_out();
	sends(ACK | FIN, 0, 0, "all", 3);
	CHECK_EQ(send(g.fd, pattern(0), 5000, 0), 5000);
	tcp_conn_host_close(conn());
	CHECK_EQ(conn()->watch.fd, -1);
	tcp_conn_end(conn());
	flow_reap();
	CHECK_EQ(peer_reads(&byte, 1), 1);
	CHECK_EQ(peer_reads(&byte, 1), 1);
	CHECK_EQ(peer_reads(&byte, 1), 1);
	CHECK_EQ(peer_reads(&byte, 1), 0);
	CHECK_EQ(peer_error(), 0);
	tf_teardown();
}

TEST(reset_is_a_reset)
{
	tf_setup();
	open_out();
	tcp_conn_host_reset(conn());
	tcp_conn_end(conn());
	flow_reap();
	CHECK_EQ(peer_error(), ECONNRESET);
	/* and once more is nothing */
	tf_teardown();
}

/* The guest is gone: FIN seen, but not all has arrived: delivered */
TEST(leave_delivers_what_was_finished)
{
	size_t sum = 0, taken;
	int32_t seq = 0;

	tf_setup();
	peer_listen("127.0.0.1");
	CHECK(!setsockopt(g.listener, SOL_SOCKET, SO_RCVBUF,
			  &(int){ 4096 }, sizeof(int)));
	open_out();
	for (int i = 0; i < 40; i++) {
		sends(ACK, seq, 0, pattern((size_t)seq), 1000);
		forget();
		taken = conn()->rcv_nxt - g.iss - 1;
		CHECK_EQ(taken, (size_t)seq + 1000);
		seq += 1000;
	}
	sends(ACK | FIN, seq, 0, NULL, 0);
	STATE(CLOSE_WAIT);
	tcp_conn_host_leave(conn());
	tcp_conn_end(conn());
	flow_reap();
	peer_drains(0);
	while ((taken = peer_drains(10000)) > 0)
		sum += taken;
	CHECK_EQ(sum, (size_t)seq);
	CHECK_EQ(peer_error(), 0);
	tf_teardown();
}

TEST(leave_resets_what_was_not_finished)
{
	tf_setup();
	open_out();
	sends(ACK, 0, 0, "some", 4);
	tcp_conn_host_leave(conn());
	tcp_conn_end(conn());
	flow_reap();
	CHECK_EQ(peer_error(), ECONNRESET);
	tf_teardown();
}

int main(int argc, char **argv)
{
	return tf_enter() ? unit_main(argc, argv) : 1;
}
