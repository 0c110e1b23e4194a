// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * value: what stands behind an option, from text to a checked value
 *
 * No state. Users, groups, interfaces and descriptors are looked up as they are
 * at the time of the call.
 *
 * Sources: RFC 1035 2.3.4 and RFC 2181 11 (names), RFC 950 (masks),
 * getpwnam(3), getgrnam(3).
 */
#include "lib/value.h"

#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/** Longest label of a domain name (RFC 1035 2.3.4) */
#define VALUE_LABEL_MAX	63
/** (uid_t)-1 and (gid_t)-1 mean "leave as it is", see setresuid(2) */
#define VALUE_ID_MAX	(UINT32_MAX - 1)

/**
 * value_number() - Read a decimal number
 * @text:	digits, nothing else
 * @max:	largest that is legal
 * @out:	where to put it
 * Return: NULL, or what is wrong
 */
const char *value_number(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!*text)
		return "not a number";
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text))
			return "not a number";
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n) ||
		    n > max)
			return "too large";
	}
	*out = n;
	return NULL;
}

/**
 * value_text() - Take a text as it is
 * @text:	anything but nothing
 * @out:	where to copy it
 * @size:	bytes there
 * Return: NULL, or what is wrong
 */
const char *value_text(const char *text, char *out, size_t size)
{
	size_t len = strlen(text);

	if (!len)
		return "empty";
	if (len >= size)
		return "too long";
	memcpy(out, text, len + 1);
	return NULL;
}

/**
 * value_host_addr() - Read an address that a host on a network can have
 * @text:	IPv4 or IPv6 address
 * @out:	where to put it
 * Return: NULL, or what is wrong: unspecified, multicast, broadcast and
 *	   loopback addresses are refused
 */
const char *value_host_addr(const char *text, struct addr *out)
{
	struct addr a;

	if (!addr_parse(text, &a))
		return "not an address";
	if (addr_is_loopback(&a))
		return "a loopback address";
	if (!addr_is_unicast(&a))
		return "not a unicast address";
	*out = a;
	return NULL;
}

/**
 * value_prefix() - Read a prefix length
 * @text:	number; 0: as if there was none
 * @max:	32 or 128
 * @out:	where to put it
 * Return: NULL, or what is wrong
 */
const char *value_prefix(const char *text, unsigned max, unsigned *out)
{
	uint64_t n;

	if (value_number(text, max, &n))
		return "not a prefix length";
	*out = (unsigned)n;
	return NULL;
}

/**
 * value_addr_prefix() - Read an address that a host can have, and its prefix
 * @text:	ADDR or ADDR/LEN; link-local IPv6 addresses are refused
 * @out:	where to put the address
 * @prefix:	where to put the prefix length; 0: there was none, or it is that
 * Return: NULL, or what is wrong
 */
const char *value_addr_prefix(const char *text, struct addr *out,
			      unsigned *prefix)
{
	const char *slash = strchr(text, '/'), *wrong;
	char copy[INET6_ADDRSTRLEN];
	unsigned len = 0;
	struct addr a;

	if (snprintf(copy, sizeof(copy), "%.*s",
		     slash ? (int)(slash - text) : -1, text) >=
	    (int)sizeof(copy))
		return "not an address";
	wrong = value_host_addr(copy, &a);
	if (!wrong && addr_is_link_local6(&a))
		wrong = "a link-local address";
	if (!wrong && slash)
		wrong = value_prefix(slash + 1, addr_is_v4(&a) ? 32 : 128,
				     &len);
	if (wrong)
		return wrong;
	*out = a;
	*prefix = len;
	return NULL;
}

/**
 * value_netmask() - Read an IPv4 netmask
 * @text:	dotted quad with contiguous ones, or the number of ones
 * @out:	where to put the number of ones; 0: as if there was none
 * Return: NULL, or what is wrong
 */
const char *value_netmask(const char *text, unsigned *out)
{
	struct addr a;
	uint32_t mask;

	if (!strchr(text, '.'))
		return value_prefix(text, 32, out);
	if (!addr_parse(text, &a) || !addr_is_v4(&a))
		return "not a netmask";
	mask = ntohl(addr_to_v4(&a).s_addr);
	if (~mask & (~mask + 1))
		return "not a contiguous netmask";
	*out = (unsigned)__builtin_popcount(mask);
	return NULL;
}

/**
 * value_mac() - Read a MAC address that one interface can have
 * @text:	six pairs of hexadecimal digits with colons
 * @out:	where to put it
 * Return: NULL, or what is wrong
 */
const char *value_mac(const char *text, uint8_t out[6])
{
	static const uint8_t zero[6];
	uint8_t mac[6];

	if (!mac_parse(text, mac))
		return "not a MAC address";
	if (mac[0] & 1 || !memcmp(mac, zero, sizeof(zero)))
		return "not a unicast MAC address";
	memcpy(out, mac, sizeof(mac));
	return NULL;
}

/**
 * value_domain() - Check a domain name, or a host's
 * @text:	labels of 1 to 63 printable bytes, dots between them, and
 *		perhaps one at the end, which is left out
 * @out:	where to copy it
 * @size:	bytes there
 * Return: NULL, or what is wrong
 */
const char *value_domain(const char *text, char *out, size_t size)
{
	size_t len = strlen(text), label = 0;

	if (len && text[len - 1] == '.')
		len--;
	if (!len)
		return "empty";
	if (len > VALUE_DOMAIN_MAX || len >= size)
		return "too long";
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '.' ? !label : !isgraph((unsigned char)text[i]))
			return "not a domain name";
		label = text[i] == '.' ? 0 : label + 1;
		if (label > VALUE_LABEL_MAX)
			return "a label is longer than 63 bytes";
	}
	if (!label)
		return "not a domain name";
	memcpy(out, text, len);
	out[len] = '\0';
	return NULL;
}

/**
 * value_domains() - Check a list of domain names
 * @text:	names, with spaces or tabs between them; at least one. "." alone,
 *		as resolv.conf has it, adds none.
 * @out:	where to copy them
 * @max:	most that fit there; what is more is checked, and left out
 * @count:	where to put how many there are, left out or not
 * Return: NULL, or what is wrong; some may be copied then
 */
const char *value_domains(const char *text, char out[][VALUE_DOMAIN_ROOM],
			  unsigned max, unsigned *count)
{
	static const char blank[] = " \t";
	bool root = false;
	unsigned n = 0;

	for (text += strspn(text, blank); *text; text += strspn(text, blank)) {
		char name[VALUE_DOMAIN_ROOM], left_out[VALUE_DOMAIN_ROOM];
		size_t len = strcspn(text, blank);
		const char *wrong;

		if (len == 1 && *text == '.') {
			root = true;
			text++;
			continue;
		}
		if (len >= sizeof(name))
			return "too long";
		memcpy(name, text, len);
		name[len] = '\0';
		wrong = value_domain(name, n < max ? out[n] : left_out,
				     VALUE_DOMAIN_ROOM);
		n++;
		if (wrong)
			return wrong;
		text += len;
	}
	if (!n && !root)
		return "no domain";
	*count = n;
	return NULL;
}

/**
 * value_interface() - Check the name of an interface
 * @text:	name
 * @out:	where to copy it
 * Return: NULL, or what is wrong: it has to exist
 */
const char *value_interface(const char *text, char out[IFNAMSIZ])
{
	char name[IFNAMSIZ];
	const char *wrong = value_text(text, name, sizeof(name));

	if (wrong)
		return wrong;
	if (!if_nametoindex(name))
		return "no such interface";
	memcpy(out, name, sizeof(name));
	return NULL;
}

/**
 * value_ifname() - Check a name that a new interface can have
 * @text:	name; not that of the loopback interface
 * @out:	where to copy it
 * Return: NULL, or what is wrong
 */
const char *value_ifname(const char *text, char out[IFNAMSIZ])
{
	char name[IFNAMSIZ];
	const char *wrong = value_text(text, name, sizeof(name));

	if (wrong)
		return wrong;
	/* As dev_valid_name() has it; the kernel fills in a number for %d */
	for (const char *p = name; *p; p++) {
		if (strchr("/:%", *p) || isspace((unsigned char)*p))
			return "not a name for an interface";
	}
	if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "lo"))
		return "not a name for an interface";
	memcpy(out, name, sizeof(name));
	return NULL;
}

/* A UID, whose group is that of its account if there is one, or a login */
static bool value_login(const char *text, uid_t *uid, gid_t *gid)
{
	const struct passwd *pw;
	uint64_t n;

	if (!value_number(text, VALUE_ID_MAX, &n)) {
		pw = getpwuid((uid_t)n);
		*uid = (uid_t)n;
		*gid = pw ? pw->pw_gid : (gid_t)n;
		return true;
	}
	pw = getpwnam(text);
	if (!pw)
		return false;
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return true;
}

static bool value_group(const char *text, gid_t *gid)
{
	const struct group *gr;
	uint64_t n;

	if (!value_number(text, VALUE_ID_MAX, &n)) {
		*gid = (gid_t)n;
		return true;
	}
	gr = getgrnam(text);
	if (!gr)
		return false;
	*gid = gr->gr_gid;
	return true;
}

/**
 * value_user() - Read a user, perhaps with a group
 * @text:	UID, UID:GID, LOGIN or LOGIN:GROUP
 * @uid:	where to put the user
 * @gid:	where to put the group; without one: that of the user's account
 * Return: NULL, or what is wrong
 */
const char *value_user(const char *text, uid_t *uid, gid_t *gid)
{
	const char *colon = strchr(text, ':');
	char login[256];
	uid_t u;
	gid_t g;

	if (!*text || text == colon)
		return "no user";
	if (snprintf(login, sizeof(login), "%.*s",
		     colon ? (int)(colon - text) : -1, text) >=
	    (int)sizeof(login))
		return "too long";
	if (!value_login(login, &u, &g))
		return "no such user";
	if (colon && !value_group(colon + 1, &g))
		return "no such group";
	*uid = u;
	*gid = g;
	return NULL;
}

/**
 * value_connected_socket() - Check a descriptor that was handed to us
 * @text:	number of a connected stream socket; standard streams are refused
 * @out:	where to put the number
 * Return: NULL, or what is wrong
 */
const char *value_connected_socket(const char *text, int *out)
{
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);
	uint64_t n;
	int type;

	if (value_number(text, INT32_MAX, &n))
		return "not a descriptor";
	if (n <= STDERR_FILENO)
		return "a standard stream";
	len = sizeof(type);
	if (getsockopt((int)n, SOL_SOCKET, SO_TYPE, &type, &len))
		return "not a socket that was handed over";
	if (type != SOCK_STREAM)
		return "not a stream socket";
	len = sizeof(sa);
	if (getpeername((int)n, &sa.sa, &len))
		return "not connected";
	*out = (int)n;
	return NULL;
}
