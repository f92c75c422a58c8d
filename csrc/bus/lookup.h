/* SPDX-License-Identifier: MIT */
/* The addresses of a host name. The system's look-up blocks, for as long as a
 * name server takes, and cannot be called off; so each runs on a thread of its
 * own that nobody waits for, and what it finds is handed over if somebody is
 * still interested. Thread: that of the loop. */
#ifndef FQ_BUS_LOOKUP_H
#define FQ_BUS_LOOKUP_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include <uv.h>

#include "base/error.h"
#include "base/status.h"

/* Addresses of one name that are looked at: more are spread by name servers
 * for load, and one of eight that answers is found. */
#define FQ_LOOKUP_ADDRESSES_MAX 8
/* A name has at most 253 bytes (RFC 1035 2.3.4). */
#define FQ_LOOKUP_HOST_MAX 256

typedef struct fq_lookup_address {
    struct sockaddr_storage address; /* with the port */
    socklen_t len;
    char text[INET6_ADDRSTRLEN]; /* as numbers */
} fq_lookup_address;

typedef struct fq_lookup fq_lookup;

/* The answer: FQ_OK and at least one address, borrowed; or FQ_ERR_SYSTEM and
 * in |error| what the system says. */
typedef void (*fq_lookup_cb)(void *arg, fq_status status,
                             const fq_lookup_address *addresses,
                             size_t n_addresses, const fq_error *error);

/* Looks |host| (a name, or an address as numbers) up; |done_cb| is called
 * once, later, unless fq_lookup_cancel() comes first. Errors: FQ_ERR_NOMEM,
 * FQ_ERR_SYSTEM (no thread), FQ_ERR_LIMIT (a name too long). */
fq_status
fq_lookup_start(uv_loop_t *loop, const char *host, uint16_t port,
                fq_lookup_cb done_cb, void *arg, fq_lookup **plookup);

/* Forgets one that has not been answered. NULL is allowed. Its handle on the
 * loop closes soon. */
void
fq_lookup_cancel(fq_lookup *lookup);

#endif
