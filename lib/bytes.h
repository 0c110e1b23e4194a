/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bytes: bounds-checked reading and writing of wire formats
 *
 * A struct cur reads; taking more than there is returns NULL (or 0 with .bad
 * set) and leaves the cursor where it was. A struct out writes; writing more
 * than fits sets .overflow and writes nothing, to be checked once at the end.
 */
#ifndef LIB_BYTES_H
#define LIB_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t get_be16(const void *p)
{
	const uint8_t *b = p;

	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t get_be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline void put_be16(void *p, uint16_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static inline void put_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

/**
 * struct cur - what is left to read
 * @p:		next byte
 * @left:	bytes left
 * @bad:	a cur_be*() read past the end
 */
struct cur {
	const uint8_t *p;
	size_t left;
	bool bad;
};

/**
 * cur_of() - A cursor over a buffer
 * @p:		first byte
 * @len:	bytes
 * Return: the cursor
 */
static inline struct cur cur_of(const void *p, size_t len)
{
	return (struct cur){ .p = p, .left = len };
}

/**
 * cur_take() - Take bytes
 * @c:		cursor
 * @n:		number of bytes
 * Return: n readable bytes, or NULL with the cursor unchanged
 */
static inline const uint8_t *cur_take(struct cur *c, size_t n)
{
	const uint8_t *p = c->p;

	if (n > c->left)
		return NULL;
	c->p += n;
	c->left -= n;
	return p;
}

/**
 * cur_u8() - Take one byte
 * @c:		cursor
 * Return: its value; 0 with c->bad set past the end
 */
static inline uint8_t cur_u8(struct cur *c)
{
	const uint8_t *p = cur_take(c, 1);

	if (!p)
		c->bad = true;
	return p ? *p : 0;
}

/**
 * cur_be16() - Take a 16-bit number in network order
 * @c:		cursor
 * Return: its value; 0 with c->bad set past the end
 */
static inline uint16_t cur_be16(struct cur *c)
{
	const uint8_t *p = cur_take(c, 2);

	if (!p)
		c->bad = true;
	return p ? get_be16(p) : 0;
}

/**
 * cur_be32() - Take a 32-bit number in network order
 * @c:		cursor
 * Return: its value; 0 with c->bad set past the end
 */
static inline uint32_t cur_be32(struct cur *c)
{
	const uint8_t *p = cur_take(c, 4);

	if (!p)
		c->bad = true;
	return p ? get_be32(p) : 0;
}

/**
 * struct out - where to write
 * @start:	first byte of the buffer
 * @len:	bytes written
 * @size:	bytes of room
 * @overflow:	something did not fit
 */
struct out {
	uint8_t *start;
	size_t len;
	size_t size;
	bool overflow;
};

/**
 * out_of() - A writer into a buffer
 * @p:		first byte
 * @size:	bytes of room
 * Return: the writer
 */
static inline struct out out_of(void *p, size_t size)
{
	return (struct out){ .start = p, .size = size };
}

/**
 * out_room() - Claim room
 * @o:		writer
 * @n:		bytes
 * Return: where to write n bytes, or NULL with o->overflow set
 */
static inline uint8_t *out_room(struct out *o, size_t n)
{
	uint8_t *p = o->start + o->len;

	if (n > o->size - o->len) {
		o->overflow = true;
		return NULL;
	}
	o->len += n;
	return p;
}

/**
 * out_bytes() - Append bytes
 * @o:		writer
 * @src:	bytes
 * @n:		how many
 */
static inline void out_bytes(struct out *o, const void *src, size_t n)
{
	uint8_t *p = out_room(o, n);

	if (p && n)
		memcpy(p, src, n);
}

/**
 * out_u8() - Append a byte
 * @o:		writer
 * @v:		value
 */
static inline void out_u8(struct out *o, uint8_t v)
{
	out_bytes(o, &v, 1);
}

/**
 * out_be16() - Append a 16-bit number in network order
 * @o:		writer
 * @v:		value
 */
static inline void out_be16(struct out *o, uint16_t v)
{
	uint8_t *p = out_room(o, 2);

	if (p)
		put_be16(p, v);
}

/**
 * out_be32() - Append a 32-bit number in network order
 * @o:		writer
 * @v:		value
 */
static inline void out_be32(struct out *o, uint32_t v)
{
	uint8_t *p = out_room(o, 4);

	if (p)
		put_be32(p, v);
}

/**
 * out_zero() - Append zeroes
 * @o:		writer
 * @n:		how many
 */
static inline void out_zero(struct out *o, size_t n)
{
	uint8_t *p = out_room(o, n);

	if (p)
		memset(p, 0, n);
}

#endif /* LIB_BYTES_H */
