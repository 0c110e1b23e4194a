// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * resolv: the host's name servers and search list, resolv.conf(5)
 *
 * No state. The file is the administrator's, not hostile, but of any content:
 * lines that make no sense are passed over, as the C library does, and what is
 * more than the tables hold is left out.
 *
 * A name server on the host's loopback, or at the address that the guest shares
 * with the host, cannot be told to the guest, which would ask itself. It is told
 * --dns-forward's address instead, or one that leads to the host's loopback.
 */
#include "host/resolv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "lib/value.h"

/** Most of a file that is read, bytes */
#define RESOLV_FILE	(64 * 1024)
#define RESOLV_BLANK	" \t\r\v\f"

/**
 * struct resolv_line - what is left of a line
 * @p:		next byte
 * @end:	behind the last
 */
struct resolv_line {
	const char *p;
	const char *end;
};

static bool resolv_is_blank(char c)
{
	return !c || strchr(RESOLV_BLANK, c);
}

/* The next word; false at the end of the line, or where a comment begins */
static bool resolv_word(struct resolv_line *l, char *out, size_t size)
{
	const char *from;
	size_t len;

	while (l->p < l->end && resolv_is_blank(*l->p))
		l->p++;
	from = l->p;
	if (from == l->end || *from == '#' || *from == ';')
		return false;
	while (l->p < l->end && !resolv_is_blank(*l->p))
		l->p++;
	len = (size_t)(l->p - from);
	/* Too long for anything that we look for: keep it wrong */
	if (len >= size)
		len = 0;
	memcpy(out, from, len);
	out[len] = '\0';
	return true;
}

static void resolv_nameserver(struct resolv *r, struct resolv_line *l)
{
	struct resolv_server *s = &r->server[r->servers];
	char text[INET6_ADDRSTRLEN + IFNAMSIZ], *scope;

	if (r->servers == RESOLV_SERVERS || !resolv_word(l, text, sizeof(text)))
		return;
	*s = (struct resolv_server){ .addr = ADDR_ANY6 };
	scope = strchr(text, '%');
	if (scope) {
		*scope++ = '\0';
		if (strlen(scope) >= sizeof(s->scope))
			return;
		strcpy(s->scope, scope);
	}
	if (!addr_parse(text, &s->addr))
		return;
	/* resolv.conf(5): "the name server on the local host" */
	if (addr_is_unspecified(&s->addr))
		s->addr = addr_is_v4(&s->addr) ? ADDR_LOOPBACK4 :
						 ADDR_LOOPBACK6;
	if (!addr_is_unicast(&s->addr))
		return;
	r->servers++;
}

/* search and domain: the last line of the two counts that says anything */
static void resolv_search(struct resolv *r, struct resolv_line *l)
{
	char name[RESOLV_NAME];

	if (!resolv_word(l, name, sizeof(name)))
		return;
	r->domains = 0;
	do {
		if (!value_domain(name, r->domain[r->domains], RESOLV_NAME))
			r->domains++;
	} while (r->domains < RESOLV_DOMAINS &&
		 resolv_word(l, name, sizeof(name)));
}

static void resolv_domain(struct resolv *r, struct resolv_line *l)
{
	char name[RESOLV_NAME];

	if (resolv_word(l, name, sizeof(name)))
		r->domains = !value_domain(name, r->domain[0], RESOLV_NAME);
}

static const struct {
	const char *keyword;
	void (*fn)(struct resolv *r, struct resolv_line *l);
} resolv_keywords[] = {
	{ "nameserver", resolv_nameserver },
	{ "search", resolv_search },
	{ "domain", resolv_domain },
};

static void resolv_one_line(struct resolv *r, struct resolv_line *l)
{
	size_t n = sizeof(resolv_keywords) / sizeof(resolv_keywords[0]);
	char keyword[16];

	if (l->p == l->end || resolv_is_blank(*l->p) ||
	    !resolv_word(l, keyword, sizeof(keyword)))
		return;
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(keyword, resolv_keywords[i].keyword))
			resolv_keywords[i].fn(r, l);
	}
}

/**
 * resolv_parse() - Read the text of a resolv.conf
 * @r:		where to put what it says; all of it is set
 * @text:	any bytes
 * @len:	how many
 */
void resolv_parse(struct resolv *r, const char *text, size_t len)
{
	const char *end = text + len;

	memset(r, 0, sizeof(*r));
	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		struct resolv_line l = { text, nl ? nl : end };

		resolv_one_line(r, &l);
		text = l.end + 1;
		if (!nl)
			break;
	}
}

/**
 * resolv_read() - Read a resolv.conf
 * @r:		where to put what it says; empty on failure
 * @path:	file; of more than 64 KiB only whole lines of that are read
 * Return: 0, or a negative error code of open(2), read(2)
 */
int resolv_read(struct resolv *r, const char *path)
{
	static char text[RESOLV_FILE];
	size_t len = 0;
	ssize_t n = 1;
	int fd, rc = 0;

	memset(r, 0, sizeof(*r));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len < sizeof(text) && n > 0) {
		n = read(fd, text + len, sizeof(text) - len);
		if (n < 0)
			rc = -errno;
		else
			len += (size_t)n;
	}
	close(fd);
	if (rc)
		return rc;
	if (len == sizeof(text)) {
		while (len && text[len - 1] != '\n')
			len--;
	}
	resolv_parse(r, text, len);
	return 0;
}

/* By its name, or its index, as getaddrinfo(3) reads it; or left out */
static bool resolv_is_on(const char *scope, const struct resolv_family *f)
{
	uint64_t n;

	return !*scope || !strcmp(scope, f->ifname) ||
	       (!value_number(scope, UINT32_MAX, &n) && n == f->ifindex);
}

/* What the guest calls a name server; unset: it cannot reach it */
static struct addr resolv_guest_name(const struct resolv_server *s,
				     const struct resolv_family *f,
				     struct resolv_view *v)
{
	bool mapped = !addr_is_unspecified(&f->stand_in);
	/* Whoever asks there asks itself */
	bool self = addr_is_loopback(&s->addr) ||
		    addr_equal(&s->addr, &f->guest);

	if (mapped && (self || addr_equal(&s->addr, &f->stand_in))) {
		if (addr_is_unspecified(&v->behind))
			v->behind = s->addr;
		return addr_is_unspecified(&f->forward) ? f->stand_in :
							  f->forward;
	}
	if (self)
		return f->forward;
	/* Outbound, a link-local address is taken to be on that interface */
	if (!resolv_is_on(s->scope, f))
		return ADDR_ANY6;
	return s->addr;
}

static bool resolv_view_has(const struct resolv_view *v, const struct addr *a)
{
	for (unsigned i = 0; i < v->count; i++) {
		if (addr_equal(&v->server[i], a))
			return true;
	}
	return false;
}

/**
 * resolv_view() - How the guest reaches the host's name servers of a family
 * @r:		the host's
 * @f:		what is known of the family
 * @v:		filled in
 *
 * Only the first name server on the host itself stands behind
 * @f->stand_in; the guest cannot reach others there.
 */
void resolv_view(const struct resolv *r, const struct resolv_family *f,
		 struct resolv_view *v)
{
	memset(v, 0, sizeof(*v));
	for (unsigned i = 0; i < r->servers; i++) {
		const struct resolv_server *s = &r->server[i];
		struct addr a;

		if (addr_is_v4(&s->addr) != f->v4)
			continue;
		if (addr_is_unspecified(&v->first))
			v->first = s->addr;
		a = resolv_guest_name(s, f, v);
		if (addr_is_unspecified(&a))
			v->left_out++;
		else if (!resolv_view_has(v, &a))
			v->server[v->count++] = a;
	}
}
