// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_nlmsg: messages and attributes, whole, cut off, and with wrong lengths
 */
#include "host/nlmsg.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/unit.h"

static uint8_t *copy;

/* A block of its own size: reading on is seen */
static struct cur block(const void *p, size_t len)
{
	free(copy);
	copy = malloc(len ? len : 1);
	memcpy(copy, p, len);
	return cur_of(copy, len);
}

static void done(void)
{
	free(copy);
	copy = NULL;
}

TEST(messages_one_by_one)
{
	struct {
		struct nlmsghdr a;
		uint8_t body[8];
		struct nlmsghdr b;
	} m = { .a = { .nlmsg_len = sizeof(m.a) + 5, .nlmsg_type = 20 },
		.b = { .nlmsg_len = sizeof(m.b), .nlmsg_type = 21 } };
	struct cur c = block(&m, sizeof(m)), body;
	struct nlmsghdr h;

	CHECK(nlmsg_next(&c, &h, &body));
	CHECK(h.nlmsg_type == 20 && body.left == 5);
	CHECK(nlmsg_next(&c, &h, &body));
	CHECK(h.nlmsg_type == 21 && !body.left && !c.left);
	CHECK(!nlmsg_next(&c, &h, &body));
	done();
}

TEST(messages_that_do_not_fit)
{
	struct {
		struct nlmsghdr h;
		uint8_t body[7];
	} m = { .h = { .nlmsg_len = sizeof(m.h) + 7 } };
	struct cur c, body;
	struct nlmsghdr h;

	/* the last one's padding may be missing */
	c = block(&m, sizeof(m.h) + 7);
	CHECK(nlmsg_next(&c, &h, &body) && body.left == 7 && !c.left);
	c = block(&m, sizeof(m.h) + 6);
	CHECK(!nlmsg_next(&c, &h, &body));
	c = block(&m, sizeof(m.h) - 1);
	CHECK(!nlmsg_next(&c, &h, &body));
	m.h.nlmsg_len = sizeof(m.h) - 1;
	c = block(&m, sizeof(m));
	CHECK(!nlmsg_next(&c, &h, &body));
	m.h.nlmsg_len = 0xffffffff;
	c = block(&m, sizeof(m));
	CHECK(!nlmsg_next(&c, &h, &body));
	done();
}

static int code_of(int32_t n, size_t len)
{
	struct cur c = block(&n, len);

	return nlmsg_code(&c);
}

TEST(codes)
{
	CHECK_EQ(code_of(-2, 4), -2);
	CHECK_EQ(code_of(0, 4), 0);
	CHECK_EQ(code_of(5, 4), 0);
	CHECK_EQ(code_of(-5000, 4), 0);
	CHECK_EQ(code_of(-2, 3), 0);
	done();
}

TEST(headers)
{
	const uint8_t b[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	uint8_t to[7] = { 0 };
	struct cur c = block(b, 8);

	CHECK(nlmsg_header(&c, to, 5));
	CHECK(!memcmp(to, b, 5) && !to[5] && !c.left);
	c = block(b, 7);
	CHECK(!nlmsg_header(&c, to, 5));
	done();
}

TEST(attributes)
{
	struct {
		struct rtattr a;
		uint32_t n;
		struct rtattr b;
		uint8_t text[4];
		struct rtattr c;
	} m = { .a = { sizeof(m.a) + 4, 1 | NLA_F_NESTED }, .n = 77,
		.b = { sizeof(m.b) + 2, 2 }, .text = "ab",
		.c = { sizeof(m.c) + 1, 3 } };
	struct nlmsg_attr attr[4];
	struct cur c = block(&m, sizeof(m));

	nlmsg_attrs(&c, attr, 4);
	CHECK(!attr[0].p && attr[1].p && attr[2].p);
	CHECK_EQ(nlmsg_u32(&attr[1]), 77);
	CHECK(attr[2].len == 2 && !memcmp(attr[2].p, "ab", 2));
	CHECK_EQ(nlmsg_u32(&attr[2]), 0);
	CHECK(!attr[3].p);
	/* types at and beyond the end of the array are passed over */
	c = block(&m, sizeof(m));
	nlmsg_attrs(&c, attr, 2);
	CHECK_EQ(nlmsg_u32(&attr[1]), 77);
	m.a.rta_len = 3;
	c = block(&m, sizeof(m));
	nlmsg_attrs(&c, attr, 4);
	CHECK(!attr[1].p && !attr[2].p);
	done();
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
