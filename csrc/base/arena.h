/* SPDX-License-Identifier: MIT */
/* Memory that dies together: a parsed document, its AST, its strings. Blocks
 * are carved from chunks and never freed singly. One thread at a time. */
#ifndef FQ_BASE_ARENA_H
#define FQ_BASE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

typedef struct fq_arena_chunk fq_arena_chunk;

typedef struct fq_arena {
    fq_arena_chunk *chunks; /* newest first; NULL while empty */
    char *next;             /* first free byte of the newest chunk */
    char *end;              /* one past its last byte */
    size_t n_bytes;         /* held from the allocator, for metrics */
    size_t max_bytes;       /* requests beyond it fail; 0: no maximum */
    bool is_over;           /* one has failed for that reason */
} fq_arena;

/* Takes no memory until the first request. */
void
fq_arena_init(fq_arena *arena, size_t max_bytes);
void
fq_arena_fini(fq_arena *arena);

/* Bytes still to be had from the allocator; SIZE_MAX without a maximum. */
static inline size_t
fq_arena_room(const fq_arena *arena)
{
    if (arena->max_bytes == 0)
        return SIZE_MAX;
    return arena->max_bytes > arena->n_bytes
               ? arena->max_bytes - arena->n_bytes
               : 0;
}

/* |n_bytes| aligned for pointers and 64-bit numbers, uninitialised or zeroed;
 * NULL when memory or the maximum is used up (what was carved before stays
 * valid). */
void *
fq_arena_alloc(fq_arena *arena, size_t n_bytes);
void *
fq_arena_alloc_zero(fq_arena *arena, size_t n_bytes);

/* A copy of |s| in the arena (terminated, for debuggers). pstr->ptr is NULL
 * when memory is out. */
fq_str
fq_arena_copy(fq_arena *arena, fq_str s);

/* A text as vsnprintf makes it of |format| and |args|, in the arena and
 * terminated. ptr is NULL when memory is out. */
__attribute__((format(printf, 2, 0))) fq_str
fq_arena_format_va(fq_arena *arena, const char *format, va_list args);

#define FQ_ARENA_NEW(arena, type)                                             \
    ((type *)fq_arena_alloc_zero((arena), sizeof(type)))
#define FQ_ARENA_NEW_N(arena, type, n)                                        \
    ((type *)fq_arena_alloc_array((arena), sizeof(type), (n)))

/* |n| zeroed items; NULL also when the size overflows. */
void *
fq_arena_alloc_array(fq_arena *arena, size_t item_size, size_t n);

#endif
