/* SPDX-License-Identifier: MIT */
/* Which subscription an id names. Ids cross the door and come back late, so
 * an id must never name a second subscription: it holds the slot in the table
 * and the slot's generation. Thread: reactor. */
#ifndef FQ_ENGINE_REGISTRY_H
#define FQ_ENGINE_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/engine.h"

typedef struct fq_registry_slot {
    fq_sub *sub;         /* NULL: free, or retired */
    uint32_t generation; /* of sub, or of the next one here; from 1 */
    uint32_t next_free;  /* index + 1 of the next free slot; 0: the last */
} fq_registry_slot;

typedef struct fq_registry {
    fq_registry_slot *slots;
    size_t cap;
    size_t n_slots; /* used at least once */
    size_t n_subs;
    uint32_t first_free;       /* as next_free */
    uint32_t first_generation; /* of a slot not used yet */
    uint32_t max_generation;   /* of any slot */
} fq_registry;

void
fq_registry_init(fq_registry *registry);
/* No subscription may be left. */
void
fq_registry_fini(fq_registry *registry);

/* Gives |sub| an id that no subscription of this registry had. Errors:
 * FQ_ERR_NOMEM. Cost: O(1) amortised. */
fq_status
fq_registry_add(fq_registry *registry, fq_sub *sub, fq_sub_id *pid);
/* Forgets |id|, which is in the registry. Never fails. */
void
fq_registry_remove(fq_registry *registry, fq_sub_id id);

/* The subscription |id| names, or NULL when it has ended. O(1). */
fq_sub *
fq_registry_find(const fq_registry *registry, fq_sub_id id);

/* Walks the subscriptions: start with *piter = 0; NULL at the end. None may
 * be added or removed meanwhile. */
fq_sub *
fq_registry_next(const fq_registry *registry, size_t *piter);

/* Debug builds: asserts that slots, free list and counts hold. O(slots). */
void
fq_registry_check(const fq_registry *registry);

#endif
