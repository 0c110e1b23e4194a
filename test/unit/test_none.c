// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_none: nothing comes, and nothing can be sent
 */
#include "link/none.h"

#include "test/unit/unit.h"

TEST(leads_nowhere)
{
	static const struct link_events events;
	static struct frame frames[4];
	static struct loan loans[4];

	link_init(none_init(), &events);
	CHECK_EQ(link_receive(frames, 4), 0);
	link_release();
	CHECK_EQ(link_reserve(loans, 4, 54, 1000), 0);
	link_commit(loans, 0);
	link_flush();
	CHECK(!link_caps()->gso_tcp && !link_caps()->gso_udp);
	CHECK(link_caps()->max_frame >= 1514);
	link_close();
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
