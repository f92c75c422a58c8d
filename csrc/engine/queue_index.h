/* SPDX-License-Identifier: MIT */
/* Which slots of a queue's ring hold the deliveries of which subscription,
 * and which of them holds a key. A queue has one from the first time it must
 * drop something of the middle, or conflates; what keeps up pays nothing for
 * it. Plain data: the owner guards it, with its queue. */
#ifndef FQ_ENGINE_QUEUE_INDEX_H
#define FQ_ENGINE_QUEUE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rcbuf.h"
#include "base/status.h"
#include "engine/overflow.h"

/* No slot. */
#define FQ_QUEUE_NO_SLOT UINT32_MAX

/* One subscription's deliveries in order, by slot. */
typedef struct fq_queue_chain {
    uint64_t sub_id; /* 0: this entry of the table is free */
    uint32_t oldest; /* while n_items > 0 */
    uint32_t newest; /* likewise */
    uint32_t n_items;
    uint32_t n_carried; /* lost, and to be told by the next one pushed */
    size_t n_bytes;
    fq_overflow overflow;
} fq_queue_chain;

/* What belongs to a slot that holds a delivery. */
typedef struct fq_queue_link {
    fq_rcbuf *key;     /* one reference; NULL: never conflated */
    uint64_t sub_id;   /* whose delivery it is */
    uint32_t older;    /* in its chain, or FQ_QUEUE_NO_SLOT */
    uint32_t newer;    /* likewise */
    uint32_t hash;     /* of subscription and key */
    uint32_t collides; /* the next slot of the same bucket, likewise */
} fq_queue_link;

typedef struct fq_queue_index {
    fq_queue_link *links;   /* by slot; NULL while n_slots is 0 */
    uint32_t *buckets;      /* by hash, behind the links; first slot of each */
    uint32_t n_slots;       /* as the ring; a power of two, or 0 */
    fq_queue_chain *chains; /* a table by sub_id, open addressing */
    uint32_t n_chains;      /* its size: a power of two, or 0 */
    uint32_t n_used;        /* entries that are not free */
    uint32_t greedy;        /* see fq_queue_index_greedy */
    size_t greedy_floor;    /* it stays that while it holds as much; 0: not
                             * known */
    bool greedy_by_items;   /* what that counts */
} fq_queue_index;

/* An index over a ring of |n_slots|. Errors: FQ_ERR_NOMEM. */
fq_status
fq_queue_index_new(uint32_t n_slots, fq_queue_index **pindex);
/* NULL is allowed. */
void
fq_queue_index_free(fq_queue_index *index);

/* Makes links for a ring of |n_slots|; they are to replace the index's own
 * when the ring changes. Errors: FQ_ERR_NOMEM. */
fq_status
fq_queue_index_new_links(uint32_t n_slots, fq_queue_link **plinks);
/* Forgets all slots, whose keys have been moved or let go, and goes on with
 * |links| (stolen; may be its own) for |n_slots|. What chains carry stays. */
void
fq_queue_index_reset(fq_queue_index *index, fq_queue_link *links,
                     uint32_t n_slots);

/* Sees that there is a chain of |sub_id|, so that an add cannot fail. Chains
 * move. Errors: FQ_ERR_NOMEM. */
fq_status
fq_queue_index_reserve(fq_queue_index *index, uint64_t sub_id,
                       fq_overflow overflow);
/* The chain of |sub_id|, or NULL. O(1). */
fq_queue_chain *
fq_queue_index_chain(const fq_queue_index *index, uint64_t sub_id);

/* |slot| holds the newest delivery of |sub_id|, which has a chain; |key|
 * (stolen) may be NULL. O(1). */
void
fq_queue_index_add(fq_queue_index *index, uint32_t slot, uint64_t sub_id,
                   size_t n_bytes, fq_rcbuf *key);
/* |slot| holds it no longer; the key is let go. O(1). */
void
fq_queue_index_remove(fq_queue_index *index, uint32_t slot, size_t n_bytes);

/* The slot that holds |key| of |chain|, or FQ_QUEUE_NO_SLOT. Keys are compared
 * by content. O(1). */
uint32_t
fq_queue_index_find(const fq_queue_index *index, const fq_queue_chain *chain,
                    fq_str key);

/* The chain that may lose deliveries and holds most, counted in items or in
 * bytes: one that holds at least half of the most, so that it need not be
 * looked for at each drop. NULL: none holds any. Cost: O(1) amortised over the
 * drops from chains much longer than there are chains, O(chains) at worst. */
fq_queue_chain *
fq_queue_index_greedy(fq_queue_index *index, bool by_items);

/* True while a chain carries a loss. O(chains). */
bool
fq_queue_index_carries(const fq_queue_index *index);

#endif
