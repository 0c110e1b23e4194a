// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_arp: ARP packets of any content
 *
 * The input is the ARP packet.
 * A frame sent in answer must be one that packet_parse() takes.
 */
#include "serve/arp.h"

#include "frame_out.h"
#include "guest.h"
#include "test/unit/memlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf conf;

static void setup(void)
{
	static const uint8_t guest[] = { 192, 0, 2, 10 };
	static const uint8_t gateway[] = { 192, 0, 2, 1 };
	struct guest_conf g = { .our_mac = { 0x9a, 0x55, 0x9a, 0x55, 0x9a, 1 } };

	g.addr4 = addr_from_v4(guest);
	conf.family[CONF_V4].on = true;
	conf.family[CONF_V4].addr = g.addr4;
	conf.family[CONF_V4].prefix = 24;
	conf.family[CONF_V4].gateway = addr_from_v4(gateway);
	g.our_ll.b[0] = 0xfe;
	g.our_ll.b[1] = 0x80;
	g.our_ll.b[15] = 1;
	memcpy(conf.mac, g.our_mac, sizeof(conf.mac));
	conf.mtu = 1500;
	memlink_init(NULL);
	frame_out_init(conf.mtu);
	guest_init(&g);
	arp_init(&conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iovec iov = { (void *)data, size };
	struct packet p = {
		.ethertype = 0x0806,
		.smac = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 },
		.payload = { .iov = &iov, .cnt = 1, .len = size },
	};

	if (!conf.mtu)
		setup();
	arp_input(&p);
	memlink_check_answer();
	return 0;
}
