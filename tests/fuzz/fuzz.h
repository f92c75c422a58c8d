/* SPDX-License-Identifier: MIT */
/* What every fuzz target shares: the entry libFuzzer calls, around which the
 * core's blocks are counted, and inputs of two parts. Header only; one
 * target per program. */
#ifndef FQ_TESTS_FUZZ_H
#define FQ_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"

/* Stops the run where an input shows that a promise does not hold. */
#define FUZZ_REQUIRE(condition)                                               \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,  \
                    #condition);                                              \
            abort();                                                          \
        }                                                                     \
    } while (0)

/* Makes what a target keeps over all inputs. Each target has its own. */
static void
fuzz_start(void);

/* Shows one input to the code under test. Each target has its own. */
static void
fuzz_input(fq_str input);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_started;
    if (!is_started)
        fuzz_start();
    is_started = true;
    long n_live = fq_alloc_n_live();
    fuzz_input(fq_str_make((const char *)data, size));
    FUZZ_REQUIRE(fq_alloc_n_live() == n_live);
    return 0;
}

/* The part of |input| before its first NUL byte, and the part behind it
 * (empty where there is none). */
static inline fq_str
fuzz_split(fq_str input, fq_str *prest)
{
    const char *nul = input.len > 0 ? memchr(input.ptr, '\0', input.len)
                                    : NULL;
    if (nul == NULL) {
        *prest = fq_str_make(NULL, 0);
        return input;
    }
    size_t len = (size_t)(nul - input.ptr);
    *prest = fq_str_make(nul + 1, input.len - len - 1);
    return fq_str_make(input.ptr, len);
}

#endif
