/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iov: a run of bytes inside an array of buffers
 */
#ifndef LIB_IOV_H
#define LIB_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/**
 * struct slice - bytes that lie in one or more buffers, not owned
 * @iov:	the buffers
 * @cnt:	how many
 * @off:	where the bytes begin, counted from the first buffer's start
 * @len:	how many bytes; off + len never exceeds the buffers' total
 */
struct slice {
	const struct iovec *iov;
	unsigned cnt;
	size_t off;
	size_t len;
};

size_t iov_total(const struct iovec *iov, unsigned cnt);
size_t slice_copy(const struct slice *s, size_t off, void *dst, size_t len);
unsigned slice_gather(const struct slice *s, struct iovec *out, unsigned max);
struct slice slice_sub(const struct slice *s, size_t off, size_t len);
uint64_t slice_csum(const struct slice *s, uint64_t sum);
size_t iov_trim(struct iovec *iov, unsigned cnt, size_t len);

#endif /* LIB_IOV_H */
