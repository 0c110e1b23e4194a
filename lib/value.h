/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * value: what stands behind an option, from text to a checked value
 *
 * Each reader returns NULL, or a few words on what is wrong, for a message that
 * names the option and its text. On failure nothing is stored.
 */
#ifndef LIB_VALUE_H
#define LIB_VALUE_H

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/addr.h"

/** Longest domain name in text form (RFC 1035 2.3.4) */
#define VALUE_DOMAIN_MAX	253
/** Room for each name of a list, bytes */
#define VALUE_DOMAIN_ROOM	256

const char *value_number(const char *text, uint64_t max, uint64_t *out);
const char *value_text(const char *text, char *out, size_t size);
const char *value_host_addr(const char *text, struct addr *out);
const char *value_prefix(const char *text, unsigned max, unsigned *out);
const char *value_netmask(const char *text, unsigned *out);
const char *value_addr_prefix(const char *text, struct addr *out,
			      unsigned *prefix);
const char *value_mac(const char *text, uint8_t out[6]);
const char *value_domain(const char *text, char *out, size_t size);
const char *value_domains(const char *text, char out[][VALUE_DOMAIN_ROOM],
			  unsigned max, unsigned *count);
const char *value_interface(const char *text, char out[IFNAMSIZ]);
const char *value_ifname(const char *text, char out[IFNAMSIZ]);
const char *value_user(const char *text, uid_t *uid, gid_t *gid);
const char *value_connected_socket(const char *text, int *out);

#endif /* LIB_VALUE_H */
