// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * resolv: name servers and search list of the host, resolv.conf(5)
 *
 * Line by line: `nameserver ADDR[%IF]`, `search NAME...`, `domain NAME` (the
 * last of search and domain wins). Comments begin with # or ; in front of a
 * line; unknown lines are passed over.
 */
#include "host/resolv.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RESOLV_FILE_MAX		(64 * 1024)
#define RESOLV_LINE_MAX		4096

/* The next word, cut off with a NUL; NULL at the end of the line */
static char *resolv_word(char **line)
{
	char *word = *line + strspn(*line, " \t\r");
	size_t len = strcspn(word, " \t\r");

	if (!len)
		return NULL;
	*line = word + len;
	if (**line)
		*(*line)++ = '\0';
	return word;
}

static void resolv_server(struct resolv *r, char *line)
{
	char *word = resolv_word(&line), *scope;
	struct endpoint e = { .port = 53 };

	if (!word || r->servers == RESOLV_SERVERS)
		return;
	scope = strchr(word, '%');
	if (scope) {
		*scope++ = '\0';
		e.ifindex = if_nametoindex(scope);
	}
	if (addr_parse(word, &e.addr) && addr_is_unicast(&e.addr))
		r->server[r->servers++] = e;
}

static void resolv_search(struct resolv *r, char *line)
{
	char *word;

	r->searches = 0;
	while ((word = resolv_word(&line)) && r->searches < RESOLV_SEARCH) {
		size_t len = strlen(word);

		if (len && word[len - 1] == '.')
			word[--len] = '\0';
		if (!len || len >= RESOLV_NAME_MAX)
			continue;
		memcpy(r->search[r->searches++], word, len + 1);
	}
}

static void resolv_line(struct resolv *r, char *line)
{
	char *word;

	if (*line == '#' || *line == ';')
		return;
	word = resolv_word(&line);
	if (!word)
		return;
	if (!strcmp(word, "nameserver"))
		resolv_server(r, line);
	else if (!strcmp(word, "search") || !strcmp(word, "domain"))
		resolv_search(r, line);
}

/**
 * resolv_parse() - Read the text of a resolv.conf
 * @text:	text, not necessarily terminated
 * @len:	bytes of it
 * @out:	filled in
 *
 * Lines longer than resolv.conf(5) could mean are passed over.
 */
void resolv_parse(const char *text, size_t len, struct resolv *out)
{
	char line[RESOLV_LINE_MAX];

	*out = (struct resolv){ .servers = 0 };
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		if (n < sizeof(line)) {
			memcpy(line, text, n);
			line[n] = '\0';
			resolv_line(out, line);
		}
		n += end ? 1 : 0;
		text += n;
		len -= n;
	}
}

/**
 * resolv_read() - Read a resolv.conf
 * @path:	the file
 * @out:	filled in; empty where it cannot be read
 * Return: 0, or a negative error code
 */
int resolv_read(const char *path, struct resolv *out)
{
	static char text[RESOLV_FILE_MAX];
	size_t len = 0;
	ssize_t n;
	int fd;

	*out = (struct resolv){ .servers = 0 };
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len < sizeof(text) &&
	       (n = read(fd, text + len, sizeof(text) - len)) > 0)
		len += (size_t)n;
	close(fd);
	resolv_parse(text, len, out);
	return 0;
}
