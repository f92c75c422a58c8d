/* SPDX-License-Identifier: MIT */
/* Who a client is behind proxies. Plain data: any thread. */
#ifndef FQ_PROTOCOL_FORWARDED_H
#define FQ_PROTOCOL_FORWARDED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"

/* Hops of X-Forwarded-For that are looked at: nobody has as many proxies. */
#define FQ_FORWARDED_HOPS_MAX 32

/* Whose word is taken for where a request comes from. */
typedef struct fq_proxies {
    fq_network *networks;
    size_t n_networks;
    bool has_all;   /* everybody's */
    bool has_local; /* also that of a peer without an address, as over a
                     * Unix-domain socket */
} fq_proxies;

/* Whether |peer| (NULL: it has no address) is one of |proxies|. */
bool
fq_proxies_have(const fq_proxies *proxies, const fq_address *peer);

/* The client of a request that came from |peer|, one of |proxies|, with
 * |header|, its X-Forwarded-For (several joined by commas). Each proxy adds
 * whom it heard it from at the end, so it is read from there, up to the first
 * that is no proxy of ours: what stands before that anybody may have made up.
 * False: it is not known; an entry that cannot be read hides all before it. */
bool
fq_forwarded_client(const fq_proxies *proxies, fq_str header,
                    fq_address *pclient);

#endif
