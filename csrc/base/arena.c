/* SPDX-License-Identifier: MIT */
/* Bump allocation from chunks that double in size. One thread at a time.
 *
 * A request that does not fit starts a new chunk and wastes the rest of the
 * old one; where that would be much, it gets a chunk of its own. Chunks double from ARENA_CHUNK_FIRST to ARENA_CHUNK_MAX, so at most
 * about half of what is held is unused for small requests; a request larger
 * than the next chunk gets a chunk of its own size. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

/* A typical subscription document with its AST takes one to three KiB. */
#define ARENA_CHUNK_FIRST 1024
#define ARENA_CHUNK_MAX (64 * 1024)
/* A chunk with so much left is not given up for one large request. */
#define ARENA_CHUNK_KEPT (4 * 1024)

/* Nothing here holds a long double, and eight bytes a node add up. */
#define ARENA_ALIGN alignof(uint64_t)

struct fq_arena_chunk {
    alignas(uint64_t) fq_arena_chunk *older;
};

void
fq_arena_init(fq_arena *arena, size_t max_bytes)
{
    *arena = (fq_arena){.max_bytes = max_bytes};
}

void
fq_arena_fini(fq_arena *arena)
{
    fq_arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        fq_arena_chunk *older = chunk->older;
        fq_free(chunk);
        chunk = older;
    }
    fq_arena_init(arena, arena->max_bytes);
}

/* A block of |n_bytes| in a chunk of its own behind the newest one, which goes
 * on being used; NULL as fq_arena_alloc(). */
static void *
arena_alloc_large(fq_arena *arena, size_t n_bytes)
{
    size_t size = sizeof(fq_arena_chunk) + n_bytes;
    if (size > fq_arena_room(arena)) {
        arena->is_over = true;
        return NULL;
    }
    fq_arena_chunk *chunk = fq_alloc(size);
    if (chunk == NULL)
        return NULL;
    chunk->older = arena->chunks->older;
    arena->chunks->older = chunk;
    arena->n_bytes += size;
    return chunk + 1;
}

/* The size for a new chunk that holds |n_bytes|, or 0 when the maximum does
 * not allow one. Near the maximum the chunk is cut to what is left. */
static size_t
arena_chunk_size(const fq_arena *arena, size_t n_bytes)
{
    size_t needed = sizeof(fq_arena_chunk) + n_bytes;
    size_t size = ARENA_CHUNK_FIRST;
    while (size < ARENA_CHUNK_MAX && size <= arena->n_bytes)
        size *= 2;
    if (size < needed)
        size = needed;
    if (arena->max_bytes == 0)
        return size;
    if (arena->n_bytes >= arena->max_bytes)
        return 0;
    size_t n_left = arena->max_bytes - arena->n_bytes;
    if (needed > n_left)
        return 0;
    return size < n_left ? size : n_left;
}

void *
fq_arena_alloc(fq_arena *arena, size_t n_bytes)
{
    if (n_bytes > PTRDIFF_MAX / 2)
        return NULL;
    /* Sizes are multiples of the alignment, so |next| always is. */
    n_bytes = (n_bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (n_bytes == 0)
        n_bytes = ARENA_ALIGN;
    size_t n_left = (size_t)(arena->end - arena->next);
    if (n_bytes > n_left && n_left >= ARENA_CHUNK_KEPT)
        return arena_alloc_large(arena, n_bytes);
    if (n_bytes > n_left) {
        size_t size = arena_chunk_size(arena, n_bytes);
        if (size == 0)
            arena->is_over = true;
        fq_arena_chunk *chunk = size > 0 ? fq_alloc(size) : NULL;
        if (chunk == NULL)
            return NULL;
        chunk->older = arena->chunks;
        arena->chunks = chunk;
        arena->next = (char *)(chunk + 1);
        arena->end = (char *)chunk + size;
        arena->n_bytes += size;
    }
    void *block = arena->next;
    arena->next += n_bytes;
    return block;
}

void *
fq_arena_alloc_zero(fq_arena *arena, size_t n_bytes)
{
    void *block = fq_arena_alloc(arena, n_bytes);
    if (block != NULL)
        memset(block, 0, n_bytes);
    return block;
}

fq_str
fq_arena_copy(fq_arena *arena, fq_str s)
{
    char *copy = s.len < SIZE_MAX ? fq_arena_alloc(arena, s.len + 1) : NULL;
    if (copy == NULL)
        return fq_str_make(NULL, 0);
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return fq_str_make(copy, s.len);
}

fq_str
fq_arena_format_va(fq_arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    FQ_CHECK(len >= 0);
    char *text = fq_arena_alloc(arena, (size_t)len + 1);
    if (text == NULL)
        return fq_str_make(NULL, 0);
    vsnprintf(text, (size_t)len + 1, format, args);
    return fq_str_make(text, (size_t)len);
}

void *
fq_arena_alloc_array(fq_arena *arena, size_t item_size, size_t n)
{
    if (item_size > 0 && n > PTRDIFF_MAX / item_size)
        return NULL;
    return fq_arena_alloc_zero(arena, item_size * n);
}
