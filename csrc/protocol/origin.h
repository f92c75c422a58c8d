/* SPDX-License-Identifier: MIT */
/* Which pages may connect: the Origin that a browser sends (RFC 6454, RFC 6455
 * 10.2) against a list, and against the host that was asked. Programs send
 * none, and are let in: nobody's cookies are with them. Plain data: any
 * thread. */
#ifndef FQ_PROTOCOL_ORIGIN_H
#define FQ_PROTOCOL_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

/* No host name is longer (RFC 1035 2.3.4), nor any port or scheme in use. */
#define FQ_ORIGIN_TEXT_MAX 300

typedef struct fq_origin {
    fq_str scheme; /* borrowed; compared without case, as the host is */
    fq_str host;   /* borrowed, with brackets around IPv6 */
    uint16_t port; /* that of the scheme where none is named; 0: it has none */
} fq_origin;

/* Who may connect. */
typedef struct fq_origins {
    fq_origin *items; /* their texts are the maker's */
    size_t n_items;
    bool allows_all;
    bool allows_same;   /* a page from the host that is asked */
    bool allows_opaque; /* "null": a file, a sandbox, after a redirect */
} fq_origins;

/* Reads "https://example.com" or "https://example.com:8443": a scheme and a
 * host, no path. Errors: FQ_ERR_INVALID. */
fq_status
fq_origin_parse(fq_str text, fq_origin *porigin);

/* Whether |origin|, the header's text, may connect to |host|, the Host
 * header's ("" where there is none), over |scheme|, "http" or "https". */
bool
fq_origins_allow(const fq_origins *origins, fq_str origin, fq_str scheme,
                 fq_str host);

#endif
