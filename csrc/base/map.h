/* SPDX-License-Identifier: MIT */
/* A hash map from byte strings to pointers: open addressing with linear
 * probing and backward-shift deletion, so a table with churn keeps no
 * tombstones; it halves when three quarters empty. Keys come from clients, so
 * the hash is SipHash-1-3 under a random per-process key. Keys are borrowed:
 * they live in the value or longer. One thread at a time. */
#ifndef FQ_BASE_MAP_H
#define FQ_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

typedef struct fq_map_slot {
    uint64_t hash; /* of key; meaningless while value is NULL */
    fq_str key;    /* borrowed */
    void *value;   /* NULL: the slot is free */
} fq_map_slot;

typedef struct fq_map {
    fq_map_slot *slots; /* NULL while cap is 0 */
    size_t cap;         /* a power of two, or 0 */
    size_t n_items;
} fq_map;

void
fq_map_init(fq_map *map);

/* Frees the table, not the values. */
void
fq_map_fini(fq_map *map);

/* The value of |key|, or NULL. */
void *
fq_map_get(const fq_map *map, fq_str key);

/* Adds |value| (not NULL) under |key|. Errors: FQ_ERR_EXISTS, FQ_ERR_NOMEM;
 * on failure the map is unchanged. */
fq_status
fq_map_add(fq_map *map, fq_str key, void *value);

/* Takes |key| out and returns its value, or NULL. Never fails. */
void *
fq_map_remove(fq_map *map, fq_str key);

/* Walks the map: start with *piter = 0; false at the end. The map must not
 * change meanwhile. */
_Bool
fq_map_next(const fq_map *map, size_t *piter, fq_str *pkey, void **pvalue);

/* SipHash-1-3 of |bytes| under the process key; for other tables. */
uint64_t
fq_hash_bytes(const void *bytes, size_t len);

/* The same under |key|, so that tests can compare with known vectors. */
uint64_t
fq_hash_bytes_keyed(const uint64_t key[2], const void *bytes, size_t len);

/* Debug builds: asserts that every item can be reached from its home slot
 * and that the counts hold. Cost: O(cap). */
void
fq_map_check(const fq_map *map);

#endif
