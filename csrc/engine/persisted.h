/* SPDX-License-Identifier: MIT */
/* Persisted operations: the documents an application has registered, by the
 * SHA-256 of their text, and what a client's `extensions.persistedQuery` asks
 * for. Hashes are checked by whoever fills the list. Filled by one thread
 * before anybody looks; read-only from then on. */
#ifndef FQ_ENGINE_PERSISTED_H
#define FQ_ENGINE_PERSISTED_H

#include <stdbool.h>
#include <stddef.h>

#include <yyjson.h>

#include "base/map.h"
#include "base/status.h"
#include "base/str.h"
#include "graphql/errors.h"

/* Hexadecimal digits of a SHA-256. */
#define FQ_PERSISTED_HASH_LEN 64

typedef struct fq_persisted {
    fq_map entries; /* hash in lower case -> entry */
    bool is_only;   /* nothing else may be sent */
} fq_persisted;

/* An empty list. Errors: FQ_ERR_NOMEM. */
fq_status
fq_persisted_new(bool is_only, fq_persisted **ppersisted);
/* NULL is allowed. */
void
fq_persisted_free(fq_persisted *persisted);

/* Adds a copy of |document| under |hash|, hexadecimal digits in either case.
 * Errors: FQ_ERR_INVALID (|hash| is none), FQ_ERR_EXISTS, FQ_ERR_NOMEM. */
fq_status
fq_persisted_add(fq_persisted *persisted, fq_str hash, fq_str document);

/* What is to be executed for |query| sent with |extensions| (an object, or
 * NULL): |query| itself or a stored document, which lives as long as the list.
 * |persisted| NULL: there is no list. Errors: FQ_ERR_INVALID (one entry in
 * |errors|), FQ_ERR_NOMEM. Cost: O(length of |query|). */
fq_status
fq_persisted_resolve(const fq_persisted *persisted, fq_str query,
                     yyjson_val *extensions, fq_str *pdocument,
                     fq_gql_errors *errors);

#endif
