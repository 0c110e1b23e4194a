/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * serve_test: what the tests of serve/ share: a configuration, packets as tap.c
 * hands them over, and a checked view of what was sent
 */
#ifndef SERVE_TEST_H
#define SERVE_TEST_H

#include <stdlib.h>

#include "conf.h"
#include "frame_out.h"
#include "guest.h"
#include "lib/bytes.h"
#include "test/unit/memlink.h"
#include "test/unit/unit.h"

static struct conf test_conf;

static const uint8_t test_our_mac[6] = { 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 };
static const uint8_t test_guest_mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static const uint8_t test_broadcast[6] = { 255, 255, 255, 255, 255, 255 };

static inline struct addr test_addr(const char *text)
{
	struct addr a = ADDR_ANY6;

	CHECK(addr_parse(text, &a));
	return a;
}

/** Both families on, everything told; the tests change what they need */
static inline void test_setup(void)
{
	struct conf_family *f4 = &test_conf.family[CONF_V4];
	struct conf_family *f6 = &test_conf.family[CONF_V6];
	struct guest_conf g = { .our_mac = { 0 } };

	memset(&test_conf, 0, sizeof(test_conf));
	f4->on = f6->on = true;
	f4->addr = test_addr("192.0.2.10");
	f4->prefix = 24;
	f4->gateway = test_addr("192.0.2.1");
	f4->dns[0] = test_addr("192.0.2.53");
	f4->dns[1] = test_addr("198.51.100.53");
	f4->dns_count = 2;
	f6->addr = test_addr("2001:db8::10");
	f6->prefix = 64;
	f6->gateway = test_addr("fe80::1");
	f6->dns[0] = test_addr("2001:db8::53");
	f6->dns_count = 1;
	test_conf.mtu = 65520;
	test_conf.dhcp_dns = test_conf.dhcp_search = true;
	memcpy(test_conf.mac, test_our_mac, 6);
	memcpy(g.our_mac, test_our_mac, 6);
	g.addr4 = f4->addr;
	g.addr6 = f6->addr;
	g.our_ll = test_addr("fe80::9855:9aff:fe55:9a55");
	memlink_init(NULL);
	frame_out_init(test_conf.mtu);
	guest_init(&g);
}

static inline void test_search(const char *name)
{
	strcpy(test_conf.search[test_conf.search_count++], name);
}

/** A packet from the guest; @iov must live as long */
static inline struct packet test_packet(const char *src, const char *dst,
					uint8_t proto, const struct iovec *iov)
{
	struct packet p = {
		.src = test_addr(src),
		.dst = test_addr(dst),
		.proto = proto,
		.ttl = 255,
		.l3_off = ETH_HLEN_,
		.payload = { .iov = iov, .cnt = 1, .len = iov->iov_len },
	};

	memcpy(p.smac, test_guest_mac, 6);
	return p;
}

/**
 * struct test_sent - a frame to the guest
 * @dmac:	Ethernet destination
 * @src:	IP source
 * @dst:	IP destination
 * @ttl:	TTL or hop limit
 * @proto:	IPPROTO_*
 * @l4:		transport header
 * @l4_len:	bytes from there on
 */
struct test_sent {
	const uint8_t *dmac;
	struct addr src;
	struct addr dst;
	uint8_t ttl;
	uint8_t proto;
	const uint8_t *l4;
	size_t l4_len;
};

static inline uint32_t test_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline void test_ip4(struct test_sent *s, const uint8_t *ip, size_t len)
{
	CHECK_EQ(ip[0], 0x45);
	CHECK_EQ(get_be16(ip + 2), len);
	CHECK_EQ(test_sum(ip, 20, 0), 0xffff);
	s->ttl = ip[8];
	s->proto = ip[9];
	s->src = addr_from_v4(ip + 12);
	s->dst = addr_from_v4(ip + 16);
	s->l4 = ip + 20;
	s->l4_len = len - 20;
	CHECK_EQ(test_sum(ip + 12, 8,
			  test_sum(s->l4, s->l4_len,
				   s->proto + (uint32_t)s->l4_len)), 0xffff);
}

static inline void test_ip6(struct test_sent *s, const uint8_t *ip, size_t len)
{
	CHECK_EQ(ip[0], 0x60);
	CHECK_EQ(get_be16(ip + 4), len - 40);
	s->proto = ip[6];
	s->ttl = ip[7];
	s->src = addr_from_v6(ip + 8);
	s->dst = addr_from_v6(ip + 24);
	s->l4 = ip + 40;
	s->l4_len = len - 40;
	CHECK_EQ(test_sum(ip + 8, 32,
			  test_sum(s->l4, s->l4_len,
				   s->proto + (uint32_t)s->l4_len)), 0xffff);
}

/** The last frame sent, which must be the only one since the last call */
static inline bool test_take(struct test_sent *s)
{
	const uint8_t *f;
	size_t len;

	CHECK_EQ(memlink_sent(), 1);
	if (memlink_sent() != 1)
		return false;
	f = memlink_frame(0, &len, NULL);
	memlink_clear();
	s->dmac = f;
	CHECK(!memcmp(f + 6, test_our_mac, 6));
	if (get_be16(f + 12) == 0x0800)
		test_ip4(s, f + 14, len - 14);
	else
		test_ip6(s, f + 14, len - 14);
	if (s->proto == IPPROTO_UDP)
		CHECK_EQ(get_be16(s->l4 + 4), s->l4_len);
	return true;
}

static inline bool test_addr_is(const struct addr *a, const char *text)
{
	struct addr b = test_addr(text);

	return addr_equal(a, &b);
}

#endif /* SERVE_TEST_H */
