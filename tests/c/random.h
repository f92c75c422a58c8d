/* SPDX-License-Identifier: MIT */
/* Repeatable chance for tests against a model: the same seed, the same run,
 * on every machine. FQ_TEST_SEED chooses the first seed, FQ_TEST_RUNS how
 * many are tried; a case that fails names its seed. Header only. */
#ifndef FQ_TESTS_RANDOM_H
#define FQ_TESTS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "support.h"

typedef struct fq_random {
    uint64_t state;
} fq_random;

/* SplitMix64 of Steele, Lea and Flood. */
static inline uint64_t
fq_random_next(fq_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* From 0 to |n| - 1. */
static inline uint32_t
fq_random_below(fq_random *random, uint32_t n)
{
    return (uint32_t)(fq_random_next(random) % n);
}

/* True in |percent| of 100. */
static inline bool
fq_random_chance(fq_random *random, uint32_t percent)
{
    return fq_random_below(random, 100) < percent;
}

/* The number in environment variable |name|, or |otherwise|. */
static inline uint64_t
fq_random_setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* The seed under way; 0 when the case has passed. */
static uint64_t fq_random_seed;

/* Calls |run| with one seed after the other. */
static inline void
fq_random_runs(void (*run)(uint64_t seed), uint64_t n_runs)
{
    uint64_t first = fq_random_setting("FQ_TEST_SEED", 1);
    n_runs = fq_random_setting("FQ_TEST_RUNS", n_runs);
    for (uint64_t i = 0; i < n_runs; i++) {
        fq_random_seed = first + i;
        run(first + i);
    }
    fq_random_seed = 0;
}

static inline int
fq_random_teardown(void **state)
{
    if (fq_random_seed != 0)
        print_error("it was FQ_TEST_SEED=%llu\n",
                    (unsigned long long)fq_random_seed);
    return fq_test_teardown(state);
}

/* A case that calls fq_random_runs. */
#define FQ_TEST_RANDOM(function)                                              \
    cmocka_unit_test_setup_teardown((function), fq_test_setup,                \
                                    fq_random_teardown)

#endif
