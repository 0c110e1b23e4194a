// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pcap: frames written to a capture file that tcpdump and others read
 *
 * The file holds whole records only: one that does not fit on the disk is taken
 * back. One system call a frame, no copy. A pipe is not waited for, the guest's
 * frames would wait with us: what it has had the begin of is copied, and
 * completed before the next record. State: that rest.
 *
 * Source: pcap-savefile(5), format 2.4 in the machine's byte order, times in
 * microseconds, LINKTYPE_ETHERNET.
 */
#include "lib/pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"

#define PCAP_MAGIC	0xa1b2c3d4
#define PCAP_ETHERNET	1
/** Larger than any frame */
#define PCAP_SNAPLEN	262144
/** Most buffers of a frame that are written; further bytes count as cut off */
#define PCAP_IOV	64
/** Room for the record that a pipe has had the begin of, bytes */
#define PCAP_REST	(128 * 1024)

struct pcap_file_header {
	uint32_t magic;
	uint16_t major;
	uint16_t minor;
	uint32_t zone;
	uint32_t accuracy;
	uint32_t snaplen;
	uint32_t linktype;
};

struct pcap_record {
	uint32_t sec;
	uint32_t usec;
	uint32_t captured;
	uint32_t length;
};

static uint8_t pcap_rest[PCAP_REST];
static size_t pcap_rest_at, pcap_rest_end;

static void pcap_do_not_wait(int fd)
{
	struct stat st;

	if (!fstat(fd, &st) && S_ISFIFO(st.st_mode))
		fcntl(fd, F_SETFL, O_NONBLOCK);
}

/**
 * pcap_open() - Begin a capture file
 * @path:	file; made with mode 0600 whatever the umask, or overwritten; a
 *		pipe is waited for until somebody reads it
 * Return: descriptor, owned by the caller, or a negative error code of
 *	   open(2) or write(2)
 */
int pcap_open(const char *path)
{
	static const struct pcap_file_header h = {
		.magic = PCAP_MAGIC,
		.major = 2,
		.minor = 4,
		.snaplen = PCAP_SNAPLEN,
		.linktype = PCAP_ETHERNET,
	};
	mode_t mask = umask(0);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY,
		      0600);
	int rc = fd < 0 ? -errno : fd;
	ssize_t n;

	umask(mask);
	if (rc < 0)
		return rc;
	pcap_rest_at = pcap_rest_end = 0;
	n = write(fd, &h, sizeof(h));
	pcap_do_not_wait(fd);
	if (n == sizeof(h))
		return fd;
	rc = n < 0 ? -errno : -ENOSPC;
	close(fd);
	return rc;
}

/**
 * pcap_now() - Time stamp for a record
 * Return: CLOCK_REALTIME, microseconds since 1970
 */
uint64_t pcap_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Takes back what was written of a record; a pipe cannot, and need not */
static void pcap_take_back(int fd, size_t written)
{
	off_t at = lseek(fd, 0, SEEK_CUR);

	if (at < 0 || !written)
		return;
	at -= (off_t)written;
	if (!ftruncate(fd, at))
		lseek(fd, at, SEEK_SET);
}

/* Nothing can be taken back from a pipe: the rest is to follow */
static bool pcap_keep_rest(int fd, const struct pcap_record *r,
			   const struct slice *frame, size_t written)
{
	if (lseek(fd, 0, SEEK_CUR) >= 0 ||
	    sizeof(*r) + r->captured > sizeof(pcap_rest))
		return false;
	memcpy(pcap_rest, r, sizeof(*r));
	slice_copy(frame, 0, pcap_rest + sizeof(*r), r->captured);
	pcap_rest_at = written;
	pcap_rest_end = sizeof(*r) + r->captured;
	return true;
}

static bool pcap_complete(int fd)
{
	while (pcap_rest_at < pcap_rest_end) {
		ssize_t n = write(fd, pcap_rest + pcap_rest_at,
				  pcap_rest_end - pcap_rest_at);

		if (n <= 0)
			return false;
		pcap_rest_at += (size_t)n;
	}
	return true;
}

/**
 * pcap_write() - Add a frame to a capture file
 * @fd:			of pcap_open()
 * @frame:		the frame, from the Ethernet header on
 * @realtime_usec:	when, see pcap_now()
 *
 * A frame that cannot be written is left out, with a rate-limited warning.
 */
void pcap_write(int fd, const struct slice *frame, uint64_t realtime_usec)
{
	struct iovec iov[1 + PCAP_IOV];
	unsigned cnt = 1 + slice_gather(frame, iov + 1, PCAP_IOV);
	struct pcap_record r = {
		.sec = (uint32_t)(realtime_usec / 1000000),
		.usec = (uint32_t)(realtime_usec % 1000000),
		.captured = (uint32_t)iov_total(iov + 1, cnt - 1),
		.length = (uint32_t)frame->len,
	};
	ssize_t n = -1;

	iov[0] = (struct iovec){ &r, sizeof(r) };
	if (pcap_complete(fd))
		n = writev(fd, iov, (int)cnt);
	if (n == (ssize_t)(sizeof(r) + r.captured) ||
	    (n > 0 && pcap_keep_rest(fd, &r, frame, (size_t)n)))
		return;
	warn_limited("pcap: a frame is left out: %s",
		     n < 0 ? strerror(errno) : "no space left");
	pcap_take_back(fd, n < 0 ? 0 : (size_t)n);
}
