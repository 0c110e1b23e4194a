// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_ndp: neighbour discovery of any content
 *
 * The input is two bytes, type and source (0: ::), and the
 * message behind its ICMPv6 header.
 * A frame sent in answer must be one that packet_parse() takes.
 */
#include "serve/ndp.h"

#include "frame_out.h"
#include "guest.h"
#include "test/unit/memlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf conf;

static void setup(void)
{
	struct guest_conf g = { .our_mac = { 0x9a, 0x55, 0x9a, 0x55, 0x9a, 1 } };

	g.addr6 = (struct addr){ { 0x20, 0x01, 0x0d, 0xb8, [15] = 0x10 } };
	conf.family[CONF_V6].on = true;
	conf.family[CONF_V6].addr = g.addr6;
	conf.family[CONF_V6].prefix = 64;
	conf.family[CONF_V6].gateway.b[0] = 0xfe;
	conf.family[CONF_V6].gateway.b[1] = 0x80;
	conf.family[CONF_V6].gateway.b[15] = 2;
	conf.dhcp_dns = conf.dhcp_search = true;
	conf.family[CONF_V6].dns_count = 1;
	conf.family[CONF_V6].dns[0] = conf.family[CONF_V6].gateway;
	strcpy(conf.search[conf.search_count++], "example.org");
	strcpy(conf.search[conf.search_count++], "a.example.org");
	g.our_ll.b[0] = 0xfe;
	g.our_ll.b[1] = 0x80;
	g.our_ll.b[15] = 1;
	memcpy(conf.mac, g.our_mac, sizeof(conf.mac));
	conf.mtu = 1500;
	memlink_init(NULL);
	frame_out_init(conf.mtu);
	guest_init(&g);
	ndp_init(&conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iovec iov = { (void *)data, size };
	struct packet p = {
		.proto = IPPROTO_ICMPV6,
		.ttl = 255,
		.dst = { { 0xff, 0x02, [11] = 1, 0xff, [15] = 1 } },
		.smac = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 },
		.payload = { .iov = &iov, .cnt = 1, .len = size },
	};

	if (!conf.mtu)
		setup();
	if (size < 2)
		return 0;
	p.icmp.type = data[0];
	p.payload = (struct slice){ &iov, 1, 2, size - 2 };
	if (data[1])
		p.src = (struct addr){ { 0xfe, 0x80, [15] = data[1] } };
	ndp_input(&p, 0);
	memlink_check_answer();
	return 0;
}
