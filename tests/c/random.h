/* SPDX-License-Identifier: MIT */
/* Repeatable chance for tests against a model: the same seed, the same run,
 * on every machine. FQ_TEST_SEED chooses the first seed, FQ_TEST_RUNS how
 * many are tried. Header only. */
#ifndef FQ_TESTS_RANDOM_H
#define FQ_TESTS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

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

#endif
