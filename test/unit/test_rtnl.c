// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_rtnl: requests as they are written, and a kernel that does them
 *
 * On a host of the test's own.
 */
#include "host/rtnl.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/unit/hostns.h"
#include "test/unit/unit.h"

#define JOBS	200

static _Alignas(4) uint8_t buf[128];

TEST(attributes)
{
	static const uint8_t want[] = {
		7, 0, 9, 0, 'a', 'b', 'c', 0,
		8, 0, 10, 0, 0x78, 0x56, 0x34, 0x12,
		24, 0, 11, 0, 5, 0, 1, 0, 'x', 0, 0, 0,
		8, 0, 2, 0, 192, 0, 2, 1, 4, 0, 3, 0,
	};
	struct out o = out_of(buf, sizeof(buf));
	struct addr a = ADDR_ANY6, b = ADDR_ANY6;
	size_t at;

	CHECK(addr_parse("192.0.2.1", &a) && addr_parse("2001:db8::1", &b));
	rtnl_put(&o, 9, "abc", 3);
	rtnl_put_u32(&o, 10, 0x12345678);
	at = rtnl_nest(&o, 11);
	rtnl_put(&o, 1, "x", 1);
	rtnl_put_addr(&o, 2, &a);
	rtnl_put(&o, 3, NULL, 0);
	rtnl_nest_end(&o, at);
	CHECK(!o.overflow);
	CHECK_EQ(o.len, sizeof(want));
	CHECK(!memcmp(buf, want, sizeof(want)));
	rtnl_put_addr(&o, 4, &b);
	CHECK_EQ(o.len, sizeof(want) + 20);
	CHECK(!memcmp(buf + sizeof(want) + 4, b.b, 16));
}

/* Nothing is patched where nothing was written */
TEST(no_room)
{
	struct out o = out_of(buf, 6);
	size_t at = rtnl_nest(&o, 1);

	memset(buf, 0xaa, sizeof(buf));
	rtnl_put_u32(&o, 2, 3);
	rtnl_nest_end(&o, at);
	CHECK(o.overflow);
	CHECK_EQ(buf[0], 0xaa);
	CHECK_EQ(buf[6], 0xaa);
}

TEST(addresses_of_a_family)
{
	static const uint8_t mapped[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
	static const uint8_t v6[16] = { 0x20, 1, [15] = 7 };
	struct addr a;

	a = rtnl_addr(&(struct nlmsg_attr){ mapped + 12, 4 }, AF_INET);
	CHECK(addr_is_v4(&a) && a.b[15] == 1);
	a = rtnl_addr(&(struct nlmsg_attr){ v6, 16 }, AF_INET6);
	CHECK(!addr_is_v4(&a) && a.b[15] == 7);
	a = rtnl_addr(&(struct nlmsg_attr){ v6, 16 }, AF_INET);
	CHECK(addr_is_unspecified(&a));
	a = rtnl_addr(&(struct nlmsg_attr){ v6, 4 }, AF_INET6);
	CHECK(addr_is_unspecified(&a));
	a = rtnl_addr(&(struct nlmsg_attr){ mapped, 16 }, AF_INET6);
	CHECK(addr_is_unspecified(&a));
	a = rtnl_addr(&(struct nlmsg_attr){ NULL, 0 }, AF_INET);
	CHECK(addr_is_unspecified(&a));
}

static void write_mtu(struct out *o, const void *item)
{
	const unsigned *mtu = item;
	struct ifinfomsg m = { .ifi_index = 1 };

	out_bytes(o, &m, sizeof(m));
	rtnl_put_u32(o, IFLA_MTU, *mtu);
}

static void write_addr(struct out *o, const void *item)
{
	const struct addr *a = item;
	struct ifaddrmsg m = { .ifa_family = AF_INET, .ifa_prefixlen = 32,
			       .ifa_index = 1 };

	out_bytes(o, &m, sizeof(m));
	rtnl_put_addr(o, IFA_LOCAL, a);
}

static unsigned lo_mtu(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK(!ioctl(fd, SIOCGIFMTU, &r));
	close(fd);
	return (unsigned)r.ifr_mtu;
}

/* In order, more than a batch of them, failures between */
TEST(jobs)
{
	static struct rtnl_job job[JOBS];
	static unsigned mtu[JOBS];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	for (unsigned i = 0; i < JOBS; i++) {
		mtu[i] = i % 3 ? 2000 + i : 0;
		job[i] = (struct rtnl_job){ .write = write_mtu,
					    .type = RTM_NEWLINK,
					    .item = &mtu[i],
					    .rc = RTNL_PENDING };
		if (i % 3 == 0)
			job[i].type = RTM_NEWADDR;	/* nonsense there */
	}
	job[7].rc = 42;		/* not asked for */
	CHECK_EQ(rtnl_run(fd, job, JOBS), 0);
	for (unsigned i = 0; i < JOBS; i++)
		CHECK(i == 7 ? job[i].rc == 42 : i % 3 ? !job[i].rc :
		      job[i].rc < 0 && job[i].rc != -EEXIST);
	CHECK_EQ(lo_mtu(), 2000 + JOBS - 1);
	close(fd);
}

TEST(what_is_there_already)
{
	struct addr a = ADDR_ANY6;
	struct rtnl_job job = { .write = write_addr, .type = RTM_NEWADDR,
				.flags = NLM_F_CREATE | NLM_F_EXCL,
				.item = &a, .rc = RTNL_PENDING };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	CHECK(addr_parse("192.0.2.77", &a));
	CHECK(!rtnl_run(fd, &job, 1) && !job.rc);
	job.rc = RTNL_PENDING;
	CHECK(!rtnl_run(fd, &job, 1) && !job.rc);
	CHECK(!rtnl_run(fd, &job, 0) && !rtnl_run(fd, NULL, 0));
	close(fd);
	job.rc = RTNL_PENDING;
	CHECK_EQ(rtnl_run(fd, &job, 1), -EBADF);
}

static void count(void *to, uint16_t type, struct cur *body)
{
	CHECK(body->left >= sizeof(struct ifinfomsg));
	*(unsigned *)to += type == RTM_NEWLINK;
}

TEST(dump)
{
	unsigned links = 0;

	CHECK_EQ(rtnl_dump(RTM_GETLINK, AF_UNSPEC, count, &links, false), 0);
	CHECK(links >= 1);
	CHECK(rtnl_dump(RTM_GETLINK + 1000, AF_UNSPEC, count, &links, false) < 0);
}

int main(int argc, char **argv)
{
	return hostns_enter() ? unit_main(argc, argv) : 1;
}
