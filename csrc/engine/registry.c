/* SPDX-License-Identifier: MIT */
/* The table of subscriptions by id. Thread: reactor.
 *
 * An id is generation << 32 | slot. A slot that becomes free gets the next
 * generation and goes to the front of the free list, where it is still warm;
 * one that has had all 2^32 - 1 of them is retired: it is never used again.
 *
 * The generations have to be remembered, but the table of a server that had a
 * million clients should not stay that large: once no subscription is left
 * it is given back, and slots made later start at a generation above all that
 * were ever given. */
#include "engine/registry.h"

#include <stdbool.h>

#include "base/alloc.h"
#include "base/check.h"

/* Slots of the first table. */
#define REGISTRY_CAP_FIRST 64
/* The largest table an empty registry keeps: 16 KiB. */
#define REGISTRY_CAP_KEPT 1024

void
fq_registry_init(fq_registry *registry)
{
    *registry = (fq_registry){.first_generation = 1, .max_generation = 1};
}

void
fq_registry_fini(fq_registry *registry)
{
    FQ_CHECK(registry->n_subs == 0);
    fq_free(registry->slots);
    fq_registry_init(registry);
}

/* Appends a slot to the table and to the empty free list. */
static fq_status
registry_add_slot(fq_registry *registry)
{
    if (registry->n_slots >= UINT32_MAX - 1)
        return FQ_ERR_NOMEM;
    fq_registry_slot *slots = fq_alloc_grow(
        registry->slots, sizeof(*slots), registry->n_slots + 1,
        REGISTRY_CAP_FIRST, &registry->cap);
    if (slots == NULL)
        return FQ_ERR_NOMEM;
    registry->slots = slots;
    slots[registry->n_slots++] = (fq_registry_slot){
        .generation = registry->first_generation};
    registry->first_free = (uint32_t)registry->n_slots;
    return FQ_OK;
}

fq_status
fq_registry_add(fq_registry *registry, fq_sub *sub, fq_sub_id *pid)
{
    *pid = 0;
    FQ_CHECK(sub != NULL);
    if (registry->first_free == 0) {
        fq_status status = registry_add_slot(registry);
        if (status != FQ_OK)
            return status;
    }
    uint32_t index = registry->first_free - 1;
    fq_registry_slot *slot = &registry->slots[index];
    registry->first_free = slot->next_free;
    slot->next_free = 0;
    slot->sub = sub;
    registry->n_subs++;
    *pid = (uint64_t)slot->generation << 32 | index;
    return FQ_OK;
}

/* The slot that |id| names a living subscription by, or NULL. */
static fq_registry_slot *
registry_slot(const fq_registry *registry, fq_sub_id id)
{
    size_t index = (uint32_t)id;
    if (index >= registry->n_slots)
        return NULL;
    fq_registry_slot *slot = &registry->slots[index];
    bool is_same = slot->sub != NULL && slot->generation == id >> 32;
    return is_same ? slot : NULL;
}

/* Gives a large table back once nobody is in it. */
static void
registry_trim(fq_registry *registry)
{
    if (registry->n_subs > 0 || registry->cap <= REGISTRY_CAP_KEPT
        || registry->max_generation == UINT32_MAX)
        return;
    fq_free(registry->slots);
    registry->slots = NULL;
    registry->cap = 0;
    registry->n_slots = 0;
    registry->first_free = 0;
    registry->first_generation = registry->max_generation;
}

void
fq_registry_remove(fq_registry *registry, fq_sub_id id)
{
    fq_registry_slot *slot = registry_slot(registry, id);
    FQ_CHECK(slot != NULL);
    slot->sub = NULL;
    registry->n_subs--;
    if (slot->generation < UINT32_MAX) {
        slot->generation++;
        if (slot->generation > registry->max_generation)
            registry->max_generation = slot->generation;
        slot->next_free = registry->first_free;
        registry->first_free = (uint32_t)id + 1;
    }
    registry_trim(registry);
}

fq_sub *
fq_registry_find(const fq_registry *registry, fq_sub_id id)
{
    fq_registry_slot *slot = registry_slot(registry, id);
    return slot != NULL ? slot->sub : NULL;
}

fq_sub *
fq_registry_next(const fq_registry *registry, size_t *piter)
{
    while (*piter < registry->n_slots) {
        fq_sub *sub = registry->slots[(*piter)++].sub;
        if (sub != NULL)
            return sub;
    }
    return NULL;
}

void
fq_registry_check(const fq_registry *registry)
{
#ifndef NDEBUG
    FQ_CHECK(registry->n_slots <= registry->cap);
    size_t n_subs = 0;
    for (size_t i = 0; i < registry->n_slots; i++) {
        const fq_registry_slot *slot = &registry->slots[i];
        FQ_CHECK(slot->generation >= registry->first_generation);
        FQ_CHECK(slot->generation <= registry->max_generation);
        FQ_CHECK(slot->sub == NULL || slot->next_free == 0);
        n_subs += slot->sub != NULL;
    }
    FQ_CHECK(n_subs == registry->n_subs);
    size_t n_free = 0;
    for (uint32_t i = registry->first_free; i != 0;
         i = registry->slots[i - 1].next_free) {
        FQ_CHECK(i <= registry->n_slots);
        FQ_CHECK(registry->slots[i - 1].sub == NULL);
        n_free++;
        FQ_CHECK(n_free <= registry->n_slots - n_subs);
    }
#else
    (void)registry;
#endif
}
