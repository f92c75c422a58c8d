/* SPDX-License-Identifier: MIT */
/* The one allocator behind every allocation of the core, so that tests can
 * count blocks and make the n-th request fail. Any thread. */
#ifndef FQ_BASE_ALLOC_H
#define FQ_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* As malloc, calloc, realloc and free; |n| = 0 asks for one byte. NULL when
 * memory is out or fq_alloc_fail_after() says so. */
void *
fq_alloc(size_t n_bytes) __attribute__((malloc, warn_unused_result));
void *
fq_alloc_zero(size_t n_bytes) __attribute__((malloc, warn_unused_result));
void *
fq_realloc(void *block, size_t n_bytes) __attribute__((warn_unused_result));
void
fq_free(void *block);

/* Grows |block| of items of |item_size| so that at least |n_needed| fit:
 * *pcap is the capacity in items before and after, doubled from |n_first|.
 * Returns the block (maybe moved), or NULL with everything unchanged when
 * memory is out or the size would overflow. */
void *
fq_alloc_grow(void *block, size_t item_size, size_t n_needed, size_t n_first,
              size_t *pcap) __attribute__((warn_unused_result));

/* For tests: after |n| more successful requests every request fails until
 * the next call; a negative |n| means never. Process-wide. */
void
fq_alloc_fail_after(long n);

/* For tests: requests refused by fq_alloc_fail_after() since its last call,
 * and blocks now live in the process. */
long
fq_alloc_n_refused(void);
long
fq_alloc_n_live(void);

/* For tests: counts the bytes of all blocks from now on, or no longer; then
 * the most that were live at a time, less what was live at the start. Blocks
 * count with what malloc gives, which may be some bytes more than was asked
 * for. Process-wide. */
void
fq_alloc_measure(bool is_on);
long
fq_alloc_n_bytes_peak(void);

#endif
