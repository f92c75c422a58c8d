/* SPDX-License-Identifier: MIT */
/* The index of a queue. Plain data: the owner guards it.
 *
 * Chains are doubly linked lists through the links, by slot numbers, as
 * deliveries leave a chain at both ends (taken or dropped as the oldest,
 * dropped as the newest) and in the middle (conflated). Keys are in buckets
 * of singly linked slots, as many as the ring has slots, so that a bucket has
 * one or two.
 *
 * The table of chains never deletes; when it is half full it is made anew
 * with those that hold or carry something. */
#include "engine/queue_index.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"

#define INDEX_CHAINS_FIRST 8

fq_status
fq_queue_index_new_links(uint32_t n_slots, fq_queue_link **plinks)
{
    size_t size = sizeof(fq_queue_link) + sizeof(uint32_t);
    *plinks = fq_alloc_zero(n_slots * size);
    return *plinks != NULL ? FQ_OK : FQ_ERR_NOMEM;
}

fq_status
fq_queue_index_new(uint32_t n_slots, fq_queue_index **pindex)
{
    *pindex = NULL;
    fq_queue_index *index = fq_alloc_zero(sizeof(*index));
    if (index == NULL)
        return FQ_ERR_NOMEM;
    fq_queue_link *links = NULL;
    if (n_slots > 0 && fq_queue_index_new_links(n_slots, &links) != FQ_OK) {
        fq_free(index);
        return FQ_ERR_NOMEM;
    }
    fq_queue_index_reset(index, links, n_slots);
    *pindex = index;
    return FQ_OK;
}

void
fq_queue_index_free(fq_queue_index *index)
{
    if (index == NULL)
        return;
    for (uint32_t i = 0; i < index->n_slots; i++)
        fq_rcbuf_unref(index->links[i].key);
    fq_free(index->links);
    fq_free(index->chains);
    fq_free(index);
}

void
fq_queue_index_reset(fq_queue_index *index, fq_queue_link *links,
                     uint32_t n_slots)
{
    FQ_CHECK((n_slots & (n_slots - 1)) == 0);
    if (links != index->links)
        fq_free(index->links);
    index->links = links;
    index->n_slots = n_slots;
    index->buckets = links != NULL ? (uint32_t *)(links + n_slots) : NULL;
    for (uint32_t i = 0; i < n_slots; i++)
        index->buckets[i] = FQ_QUEUE_NO_SLOT;
    for (uint32_t i = 0; i < index->n_chains; i++) {
        index->chains[i].n_items = 0;
        index->chains[i].n_bytes = 0;
    }
    index->greedy_floor = 0;
}

/* Ids hold slot and generation of the registry: mix them. */
static uint32_t
mix_id(uint64_t sub_id)
{
    return (uint32_t)(sub_id * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

/* The entry of |sub_id|, or the free one where it would be. */
static fq_queue_chain *
probe(fq_queue_chain *chains, uint32_t n_chains, uint64_t sub_id)
{
    uint32_t i = mix_id(sub_id) & (n_chains - 1);
    while (chains[i].sub_id != 0 && chains[i].sub_id != sub_id)
        i = (i + 1) & (n_chains - 1);
    return &chains[i];
}

fq_queue_chain *
fq_queue_index_chain(const fq_queue_index *index, uint64_t sub_id)
{
    if (index->n_chains == 0)
        return NULL;
    fq_queue_chain *chain = probe(index->chains, index->n_chains, sub_id);
    return chain->sub_id != 0 ? chain : NULL;
}

static bool
is_in_use(const fq_queue_chain *chain)
{
    return chain->n_items > 0 || chain->n_carried > 0;
}

/* A larger table, or the same size without what is not in use any more. */
static fq_status
index_rehash(fq_queue_index *index)
{
    uint32_t n_in_use = 0;
    for (uint32_t i = 0; i < index->n_chains; i++)
        n_in_use += is_in_use(&index->chains[i]);
    uint32_t n_chains = INDEX_CHAINS_FIRST;
    while (n_chains < 4 * (n_in_use + 1))
        n_chains *= 2;
    fq_queue_chain *chains = fq_alloc_zero(n_chains * sizeof(*chains));
    if (chains == NULL)
        return FQ_ERR_NOMEM;
    for (uint32_t i = 0; i < index->n_chains; i++) {
        const fq_queue_chain *chain = &index->chains[i];
        if (is_in_use(chain))
            *probe(chains, n_chains, chain->sub_id) = *chain;
    }
    fq_free(index->chains);
    index->chains = chains;
    index->n_chains = n_chains;
    index->n_used = n_in_use;
    index->greedy_floor = 0;
    return FQ_OK;
}

fq_status
fq_queue_index_reserve(fq_queue_index *index, uint64_t sub_id,
                       fq_overflow overflow)
{
    FQ_CHECK(sub_id != 0);
    if (fq_queue_index_chain(index, sub_id) != NULL)
        return FQ_OK;
    if (2 * (index->n_used + 1) > index->n_chains) {
        fq_status status = index_rehash(index);
        if (status != FQ_OK)
            return status;
    }
    *probe(index->chains, index->n_chains,
           sub_id) = (fq_queue_chain){.sub_id = sub_id, .overflow = overflow};
    index->n_used++;
    return FQ_OK;
}

static uint32_t
hash_key(uint64_t sub_id, fq_str key)
{
    return (uint32_t)fq_hash_bytes(key.ptr, key.len) ^ mix_id(sub_id);
}

void
fq_queue_index_add(fq_queue_index *index, uint32_t slot, uint64_t sub_id,
                   size_t n_bytes, fq_rcbuf *key)
{
    fq_queue_chain *chain = fq_queue_index_chain(index, sub_id);
    FQ_CHECK(chain != NULL && slot < index->n_slots);
    fq_queue_link *link = &index->links[slot];
    *link = (fq_queue_link){.key = key,
                            .sub_id = sub_id,
                            .older = FQ_QUEUE_NO_SLOT,
                            .newer = FQ_QUEUE_NO_SLOT};
    if (chain->n_items > 0) {
        link->older = chain->newest;
        index->links[chain->newest].newer = slot;
    } else {
        chain->oldest = slot;
    }
    chain->newest = slot;
    chain->n_items++;
    chain->n_bytes += n_bytes;
    if (key == NULL)
        return;
    link->hash = hash_key(sub_id, fq_rcbuf_str(key));
    uint32_t *bucket = &index->buckets[link->hash & (index->n_slots - 1)];
    link->collides = *bucket;
    *bucket = slot;
}

/* Takes |slot|, which has a key, out of its bucket. */
static void
index_forget_key(fq_queue_index *index, uint32_t slot)
{
    fq_queue_link *link = &index->links[slot];
    uint32_t *at = &index->buckets[link->hash & (index->n_slots - 1)];
    while (*at != slot)
        at = &index->links[*at].collides;
    *at = link->collides;
    fq_rcbuf_unref(link->key);
    link->key = NULL;
}

void
fq_queue_index_remove(fq_queue_index *index, uint32_t slot, size_t n_bytes)
{
    fq_queue_link *link = &index->links[slot];
    fq_queue_chain *chain = fq_queue_index_chain(index, link->sub_id);
    FQ_CHECK(chain != NULL && chain->n_items > 0);
    if (link->older != FQ_QUEUE_NO_SLOT)
        index->links[link->older].newer = link->newer;
    else
        chain->oldest = link->newer;
    if (link->newer != FQ_QUEUE_NO_SLOT)
        index->links[link->newer].older = link->older;
    else
        chain->newest = link->older;
    chain->n_items--;
    chain->n_bytes -= n_bytes;
    if (link->key != NULL)
        index_forget_key(index, slot);
}

uint32_t
fq_queue_index_find(const fq_queue_index *index, const fq_queue_chain *chain,
                    fq_str key)
{
    if (chain->n_items == 0)
        return FQ_QUEUE_NO_SLOT;
    uint32_t hash = hash_key(chain->sub_id, key);
    uint32_t slot = index->buckets[hash & (index->n_slots - 1)];
    while (slot != FQ_QUEUE_NO_SLOT) {
        const fq_queue_link *link = &index->links[slot];
        if (link->hash == hash && link->sub_id == chain->sub_id
            && fq_str_eq(fq_rcbuf_str(link->key), key))
            break;
        slot = link->collides;
    }
    return slot;
}

static size_t
measure(const fq_queue_chain *chain, bool by_items)
{
    return by_items ? chain->n_items : chain->n_bytes;
}

fq_queue_chain *
fq_queue_index_greedy(fq_queue_index *index, bool by_items)
{
    if (index->greedy_floor > 0 && index->greedy_by_items == by_items) {
        fq_queue_chain *chain = &index->chains[index->greedy];
        if (measure(chain, by_items) >= index->greedy_floor)
            return chain;
    }
    fq_queue_chain *most = NULL;
    for (uint32_t i = 0; i < index->n_chains; i++) {
        fq_queue_chain *chain = &index->chains[i];
        if (chain->n_items > 0 && chain->overflow != FQ_OVERFLOW_DISCONNECT
            && (most == NULL
                || measure(chain, by_items) > measure(most, by_items)))
            most = chain;
    }
    index->greedy_floor = 0;
    if (most == NULL)
        return NULL;
    index->greedy = (uint32_t)(most - index->chains);
    index->greedy_by_items = by_items;
    index->greedy_floor = (measure(most, by_items) + 1) / 2;
    return most;
}

bool
fq_queue_index_carries(const fq_queue_index *index)
{
    for (uint32_t i = 0; i < index->n_chains; i++) {
        if (index->chains[i].n_carried > 0)
            return true;
    }
    return false;
}
