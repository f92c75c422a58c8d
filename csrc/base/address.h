/* SPDX-License-Identifier: MIT */
/* IP addresses and networks as values, read from text. Plain data: any
 * thread. */
#ifndef FQ_BASE_ADDRESS_H
#define FQ_BASE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

/* The longest text of one, with its zero (INET6_ADDRSTRLEN). */
#define FQ_ADDRESS_TEXT_MAX 46

typedef struct fq_address {
    uint8_t bytes[16]; /* IPv6; IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so
                        * that one client is one value whichever way it came */
} fq_address;

typedef struct fq_network {
    fq_address address; /* zero behind the prefix */
    uint8_t n_bits;     /* of the prefix, of 128 */
} fq_network;

/* Reads an address as servers and proxies write it: with a port or without
 * ("192.0.2.1:80", "[2001:db8::1]:80"), with a zone ("fe80::1%eth0"), which is
 * left out. Errors: FQ_ERR_INVALID. */
fq_status
fq_address_parse(fq_str text, fq_address *paddress);

/* Reads "10.0.0.0/8", "2001:db8::/32", or an address, which is a network of
 * one. Bits behind the prefix are not looked at. Errors: FQ_ERR_INVALID. */
fq_status
fq_network_parse(fq_str text, fq_network *pnetwork);

bool
fq_network_has(const fq_network *network, const fq_address *address);

bool
fq_address_is_v4(const fq_address *address);

/* What one subscriber of a provider has as a rule: an IPv4 address, or an
 * IPv6 network of 64 bits (RFC 6177, RFC 7421), whose address is given. */
fq_address
fq_address_site(const fq_address *address);

static inline bool
fq_address_eq(const fq_address *a, const fq_address *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* Writes |address| as it is usually written, with a zero. */
void
fq_address_write(const fq_address *address, char text[FQ_ADDRESS_TEXT_MAX]);

#endif
