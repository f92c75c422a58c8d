/* SPDX-License-Identifier: MIT */
/* Whether the process still has memory for new work. What counts is what the
 * operating system counts: its resident set, Python and all. Thread:
 * reactor. */
#ifndef FQ_REACTOR_MEMORY_GUARD_H
#define FQ_REACTOR_MEMORY_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Asking takes some 10 µs, so an answer holds that long: at 10,000 new
 * subscriptions of 1 KiB a second half a megabyte. */
#define FQ_MEMORY_GUARD_NS 50000000

typedef struct fq_memory_guard {
    size_t limit;      /* bytes */
    size_t n_bytes;    /* resident when last asked */
    uint64_t asked_ns; /* when; 0: never */
} fq_memory_guard;

/* |limit| bytes, or, for 0, four fifths of what the machine has, or the
 * container where that is less. */
void
fq_memory_guard_init(fq_memory_guard *guard, size_t limit);

/* True below the limit, and where it cannot be told. */
bool
fq_memory_guard_allows(fq_memory_guard *guard, uint64_t now_ns);

#endif
