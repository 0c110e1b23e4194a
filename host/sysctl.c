// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sysctl: settings of the host's kernel, read from /proc/sys
 *
 * Only at start: a running daemon has an empty root.
 */
#include "host/sysctl.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ip(7): the default of ip_local_port_range */
#define SYSCTL_PORT_FIRST	32768
#define SYSCTL_PORT_LAST	60999

/* 0, or -1 where it cannot be read */
static int sysctl_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, size - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return 0;
}

/**
 * sysctl_number() - A setting that is a number
 * @path:	its file under /proc/sys
 * @otherwise:	what to return where it cannot be read
 * Return: the number
 */
unsigned sysctl_number(const char *path, unsigned otherwise)
{
	char text[32];

	if (sysctl_read(path, text, sizeof(text)))
		return otherwise;
	return (unsigned)strtoul(text, NULL, 10);
}

/**
 * sysctl_last() - The last number of a setting that has several
 * @path:	its file under /proc/sys
 * @otherwise:	what to return where it cannot be read
 * Return: the number
 */
unsigned sysctl_last(const char *path, unsigned otherwise)
{
	unsigned long n = otherwise;
	char text[64], *at = text, *end;

	if (sysctl_read(path, text, sizeof(text)))
		return otherwise;
	for (;; at = end) {
		unsigned long next = strtoul(at, &end, 10);

		if (end == at)
			return (unsigned)n;
		n = next;
	}
}

/**
 * sysctl_port_range() - Ports that the kernel gives out by itself, ip(7)
 * @first:	set to the first one
 * @last:	set to the last one
 */
void sysctl_port_range(uint16_t *first, uint16_t *last)
{
	unsigned a = SYSCTL_PORT_FIRST, b = SYSCTL_PORT_LAST;
	char text[32];

	if (sysctl_read("/proc/sys/net/ipv4/ip_local_port_range", text,
			sizeof(text)) ||
	    sscanf(text, "%u %u", &a, &b) != 2 || a > b || b > UINT16_MAX) {
		a = SYSCTL_PORT_FIRST;
		b = SYSCTL_PORT_LAST;
	}
	*first = (uint16_t)a;
	*last = (uint16_t)b;
}
