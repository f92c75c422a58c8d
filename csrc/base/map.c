/* SPDX-License-Identifier: MIT */
/* The hash map from byte strings to pointers. One thread at a time; the hash
 * functions any thread.
 *
 * The table is one array of slots, a power of two. An item belongs at its
 * home, hash mod cap; if that is taken, it sits in the first free slot after
 * it, wrapping around.
 *
 * Invariants:
 * - There is no free slot between the home of an item and the item, so a
 *   search may stop at the first free slot.
 * - At least a quarter of the slots is free, so every search stops. At that
 *   load linear probing looks at 2.5 slots on a hit and 8.5 on a miss, next to
 *   each other in memory; the hash is kept in the slot, so keys are compared
 *   only when they are almost certainly equal.
 *
 * Removal leaves no tombstone: it walks on from the hole it makes and moves
 * back each item that would no longer be reached, until a free slot. It costs
 * as much as a miss.
 *
 * Growth doubles at three quarters, shrinking halves below one quarter: after
 * either the load is far from both edges, so a map that breathes around a
 * size does not rehash each time. A rehash uses the kept hashes and reads no
 * key. Shrinking is a favour: if memory for it is out, the map stays large. */
#include "base/map.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"

/* Slots of the first table; it never shrinks below that. */
#define MAP_CAP_FIRST 8

static uint64_t process_key[2];
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;

static uint64_t
hash_rotate(uint64_t x, int n_bits)
{
    return (x << n_bits) | (x >> (64 - n_bits));
}

/* SipRound of Aumasson and Bernstein, "SipHash: a fast short-input PRF",
 * figure 2.1. */
static void
hash_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = hash_rotate(v[1], 13) ^ v[0];
    v[3] = hash_rotate(v[3], 16) ^ v[2];
    v[0] = hash_rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = hash_rotate(v[1], 17) ^ v[2];
    v[3] = hash_rotate(v[3], 21) ^ v[0];
    v[2] = hash_rotate(v[2], 32);
}

/* Eight bytes as a little-endian number, whatever the machine; compilers make
 * one load of it. */
static uint64_t
hash_load(const unsigned char *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16
           | (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40
           | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

/* The last |n_left| bytes, at most seven, below the length of the whole. */
static uint64_t
hash_load_last(const unsigned char *p, size_t n_left, size_t len)
{
    uint64_t word = (uint64_t)(len & 0xff) << 56;
    for (size_t i = 0; i < n_left; i++)
        word |= (uint64_t)p[i] << (8 * i);
    return word;
}

uint64_t
fq_hash_bytes_keyed(const uint64_t key[2], const void *bytes, size_t len)
{
    uint64_t v[4] = {
        key[0] ^ UINT64_C(0x736f6d6570736575),
        key[1] ^ UINT64_C(0x646f72616e646f6d),
        key[0] ^ UINT64_C(0x6c7967656e657261),
        key[1] ^ UINT64_C(0x7465646279746573),
    };
    const unsigned char *p = bytes;
    size_t n_left = len;
    for (; n_left >= 8; n_left -= 8, p += 8) {
        uint64_t word = hash_load(p);
        v[3] ^= word;
        hash_round(v);
        v[0] ^= word;
    }
    uint64_t last = hash_load_last(p, n_left, len);
    v[3] ^= last;
    hash_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    hash_round(v);
    hash_round(v);
    hash_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void
process_key_make(void)
{
    if (getentropy(process_key, sizeof(process_key)) == 0)
        return;
    /* A sandbox may forbid the call. The time, the process and the layout of
     * its memory are not secret, but still not the same for each process. */
    const uint64_t seed[4] = {
        fq_clock_wall_ns(),
        fq_clock_now_ns(),
        (uint64_t)getpid(),
        (uint64_t)(uintptr_t)&seed,
    };
    const uint64_t zero[2] = {0, 0};
    const uint64_t one[2] = {0, 1};
    process_key[0] = fq_hash_bytes_keyed(zero, seed, sizeof(seed));
    process_key[1] = fq_hash_bytes_keyed(one, seed, sizeof(seed));
}

uint64_t
fq_hash_bytes(const void *bytes, size_t len)
{
    pthread_once(&process_key_once, process_key_make);
    return fq_hash_bytes_keyed(process_key, bytes, len);
}

void
fq_map_init(fq_map *map)
{
    *map = (fq_map){0};
}

void
fq_map_fini(fq_map *map)
{
    fq_free(map->slots);
    fq_map_init(map);
}

/* The slot of |key| (whose hash is |hash|), or the free one where it would
 * go. The table exists. */
static fq_map_slot *
map_find(const fq_map *map, uint64_t hash, fq_str key)
{
    size_t mask = map->cap - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        fq_map_slot *slot = &map->slots[i];
        if (slot->value == NULL
            || (slot->hash == hash && fq_str_eq(slot->key, key)))
            return slot;
    }
}

/* Moves every item to a table of |cap| slots. */
static fq_status
map_rehash(fq_map *map, size_t cap)
{
    if (cap > PTRDIFF_MAX / sizeof(fq_map_slot))
        return FQ_ERR_NOMEM;
    fq_map_slot *slots = fq_alloc_zero(cap * sizeof(*slots));
    if (slots == NULL)
        return FQ_ERR_NOMEM;
    for (size_t i = 0; i < map->cap; i++) {
        if (map->slots[i].value == NULL)
            continue;
        size_t to = map->slots[i].hash & (cap - 1);
        while (slots[to].value != NULL)
            to = (to + 1) & (cap - 1);
        slots[to] = map->slots[i];
    }
    fq_free(map->slots);
    map->slots = slots;
    map->cap = cap;
    return FQ_OK;
}

void *
fq_map_get(const fq_map *map, fq_str key)
{
    if (map->n_items == 0)
        return NULL;
    return map_find(map, fq_hash_bytes(key.ptr, key.len), key)->value;
}

fq_status
fq_map_add(fq_map *map, fq_str key, void *value)
{
    FQ_CHECK(value != NULL);
    uint64_t hash = fq_hash_bytes(key.ptr, key.len);
    if (map->n_items > 0 && map_find(map, hash, key)->value != NULL)
        return FQ_ERR_EXISTS;
    if (map->n_items >= map->cap / 4 * 3) {
        fq_status status = map_rehash(map, map->cap > 0 ? map->cap * 2
                                                        : MAP_CAP_FIRST);
        if (status != FQ_OK)
            return status;
    }
    *map_find(map, hash,
              key) = (fq_map_slot){.hash = hash, .key = key, .value = value};
    map->n_items++;
    return FQ_OK;
}

/* Frees |hole| and moves back what would no longer be reached across it. */
static void
map_close_hole(fq_map *map, size_t hole)
{
    size_t mask = map->cap - 1;
    for (size_t i = (hole + 1) & mask; map->slots[i].value != NULL;
         i = (i + 1) & mask) {
        /* Distances are taken backwards from |i|: the item may move if its
         * home is at the hole or before it. */
        size_t home = map->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        map->slots[hole] = map->slots[i];
        hole = i;
    }
    map->slots[hole] = (fq_map_slot){0};
}

void *
fq_map_remove(fq_map *map, fq_str key)
{
    if (map->n_items == 0)
        return NULL;
    fq_map_slot *slot = map_find(map, fq_hash_bytes(key.ptr, key.len), key);
    void *value = slot->value;
    if (value == NULL)
        return NULL;
    map_close_hole(map, (size_t)(slot - map->slots));
    map->n_items--;
    if (map->cap > MAP_CAP_FIRST && map->n_items < map->cap / 4)
        (void)map_rehash(map, map->cap / 2);
    return value;
}

bool
fq_map_next(const fq_map *map, size_t *piter, fq_str *pkey, void **pvalue)
{
    for (; *piter < map->cap; (*piter)++) {
        const fq_map_slot *slot = &map->slots[*piter];
        if (slot->value == NULL)
            continue;
        *pkey = slot->key;
        *pvalue = slot->value;
        (*piter)++;
        return true;
    }
    *pkey = fq_str_make(NULL, 0);
    *pvalue = NULL;
    return false;
}

void
fq_map_check(const fq_map *map)
{
#ifndef NDEBUG
    FQ_CHECK((map->cap & (map->cap - 1)) == 0);
    FQ_CHECK(map->n_items <= map->cap / 4 * 3);
    size_t n_items = 0;
    for (size_t i = 0; i < map->cap; i++) {
        const fq_map_slot *slot = &map->slots[i];
        if (slot->value == NULL)
            continue;
        n_items++;
        FQ_CHECK(slot->hash == fq_hash_bytes(slot->key.ptr, slot->key.len));
        FQ_CHECK(map_find(map, slot->hash, slot->key) == slot);
    }
    FQ_CHECK(n_items == map->n_items);
#else
    (void)map;
#endif
}
