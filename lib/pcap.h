/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap: frames written to a capture file that tcpdump and others read
 */
#ifndef LIB_PCAP_H
#define LIB_PCAP_H

#include <stdint.h>

#include "lib/iov.h"

int pcap_open(const char *path);
uint64_t pcap_now(void);
void pcap_write(int fd, const struct slice *frame, uint64_t realtime_usec);

#endif /* LIB_PCAP_H */
