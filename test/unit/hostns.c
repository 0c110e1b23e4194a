// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostns: a host of the test's own, see hostns.h
 */
#include "test/unit/hostns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/addr.h"
#include "lib/checksum.h"

static int hostns_ioctl(int family, unsigned long request, void *arg)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	rc = ioctl(fd, request, arg) ? -errno : 0;
	close(fd);
	return rc;
}

/* Writes a file; says so if it cannot */
bool hostns_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (n < 0)
		perror(path);
	if (fd >= 0)
		close(fd);
	return n >= 0;
}

static bool hostns_map(const char *path, unsigned id)
{
	char text[32];

	snprintf(text, sizeof(text), "0 %u 1", id);
	return hostns_write(path, text);
}

/* Goes there, for the life of the process */
bool hostns_enter(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	unsigned uid = getuid(), gid = getgid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		perror("unshare");
		return false;
	}
	return hostns_write("/proc/self/setgroups", "deny") &&
	       hostns_map("/proc/self/uid_map", uid) &&
	       hostns_map("/proc/self/gid_map", gid) &&
	       !hostns_ioctl(AF_INET, SIOCSIFFLAGS, &ifr);
}

/* A new IPv6 address is tentative for a moment */
static bool hostns_usable(const struct addr *a)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), tries = 1000;
	struct endpoint e = { .addr = *a, .ifindex = if_nametoindex("lo") };
	union sockaddr_any sa;
	socklen_t len = addr_to_sockaddr(&e, &sa);

	while (bind(fd, &sa.sa, len) && errno == EADDRNOTAVAIL && tries--)
		usleep(1000);
	close(fd);
	return tries >= 0;
}

/* Sets the IPv4 address of an interface, or of one of its labels */
static bool hostns_alias(const char *label, const struct addr *a, uint32_t mask)
{
	struct ifreq ifr = { 0 };
	union sockaddr_any sa;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", label);
	addr_to_sockaddr(&(struct endpoint){ .addr = *a }, &sa);
	memcpy(&ifr.ifr_addr, &sa.sin, sizeof(sa.sin));
	if (hostns_ioctl(AF_INET, SIOCSIFADDR, &ifr))
		return false;
	sa.sin.sin_addr.s_addr = htonl(mask);
	memcpy(&ifr.ifr_netmask, &sa.sin, sizeof(sa.sin));
	return !hostns_ioctl(AF_INET, SIOCSIFNETMASK, &ifr);
}

/* Gives lo another address */
bool hostns_address(const char *text)
{
	static unsigned alias;
	struct in6_ifreq ifr6 = { .ifr6_prefixlen = 128 };
	char label[IFNAMSIZ];
	struct addr a;

	if (!addr_parse(text, &a))
		return false;
	ifr6.ifr6_ifindex = (int)if_nametoindex("lo");
	ifr6.ifr6_addr = addr_to_v6(&a);
	if (!addr_is_v4(&a))
		return !hostns_ioctl(AF_INET6, SIOCSIFADDR, &ifr6) &&
		       hostns_usable(&a);
	snprintf(label, sizeof(label), "lo:%u", alias++);
	return hostns_alias(label, &a, ~0u);
}

/* A network interface x0 with an IPv4 address and its /24, which is there until
 * the descriptor is closed. Return: it, what is sent there can be read; or -1
 */
int hostns_device(const char *text)
{
	struct ifreq tun = { .ifr_name = "x0", .ifr_flags = IFF_TUN | IFF_NO_PI };
	struct ifreq up = { .ifr_name = "x0", .ifr_flags = IFF_UP };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct addr a;

	if (fd >= 0 && addr_parse(text, &a) && !ioctl(fd, TUNSETIFF, &tun) &&
	    hostns_alias("x0", &a, 0xffffff00) &&
	    !hostns_ioctl(AF_INET, SIOCSIFFLAGS, &up))
		return fd;
	perror("x0");
	close(fd);
	return -1;
}

/* Takes an IPv6 address away from lo */
bool hostns_lose6(const char *text)
{
	struct in6_ifreq ifr6 = { .ifr6_prefixlen = 128 };
	struct addr a;

	ifr6.ifr6_ifindex = (int)if_nametoindex("lo");
	if (!addr_parse(text, &a))
		return false;
	ifr6.ifr6_addr = addr_to_v6(&a);
	return !hostns_ioctl(AF_INET6, SIOCDIFADDR, &ifr6);
}

/* Gives lo an IPv4 address with its /24, which has a broadcast address, too */
bool hostns_net(const char *text)
{
	struct addr a;

	return addr_parse(text, &a) && hostns_alias("lo:net", &a, 0xffffff00);
}

/* Gives lo an IPv4 address, and takes away the one that this gave before */
bool hostns_move(const char *text)
{
	struct addr a;

	return addr_parse(text, &a) && hostns_alias("lo:moves", &a, ~0u);
}

/* Sets lo's MTU */
bool hostns_mtu(unsigned mtu)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_mtu = (int)mtu };

	return !hostns_ioctl(AF_INET, SIOCSIFMTU, &ifr);
}

/* Sends an ICMP message, its checksum filled in, from an address of lo's */
bool hostns_icmp(const char *from, const char *to, const void *icmp, size_t len)
{
	uint8_t b[256];
	union sockaddr_any sa[2];
	struct endpoint e = { 0 };
	socklen_t sa_len = 0;
	uint16_t sum;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	bool ok;

	for (unsigned i = 0; i < 2; i++) {
		if (!addr_parse(i ? to : from, &e.addr))
			return false;
		sa_len = addr_to_sockaddr(&e, &sa[i]);
	}
	if (fd < 0 || len > sizeof(b))
		return false;
	memcpy(b, icmp, len);
	memset(b + 2, 0, 2);
	sum = csum_fold(csum_add(b, len, 0));
	memcpy(b + 2, &sum, sizeof(sum));
	ok = !bind(fd, &sa[0].sa, sa_len) &&
	     sendto(fd, b, len, 0, &sa[1].sa, sa_len) == (ssize_t)len;
	close(fd);
	return ok;
}
