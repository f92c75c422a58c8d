/* SPDX-License-Identifier: MIT */
/* Counting, refusing and growing. */
#include "base/alloc.h"

#include <pthread.h>

#include "support.h"

static void
test_alloc_counts_live_blocks(void **state)
{
    (void)state;
    long n_before = fq_alloc_n_live();
    void *a = fq_alloc(10);
    void *b = fq_alloc_zero(10);
    void *c = fq_realloc(NULL, 10);
    assert_int_equal(fq_alloc_n_live(), n_before + 3);
    c = fq_realloc(c, 1000);
    assert_int_equal(fq_alloc_n_live(), n_before + 3);
    fq_free(a);
    fq_free(b);
    fq_free(c);
    fq_free(NULL);
    assert_int_equal(fq_alloc_n_live(), n_before);
}

static void
test_alloc_zero_bytes_is_a_block(void **state)
{
    (void)state;
    void *a = fq_alloc(0);
    void *b = fq_alloc_zero(0);
    void *c = fq_realloc(fq_alloc(5), 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    fq_free(a);
    fq_free(b);
    fq_free(c);
}

static void
test_alloc_zero_clears(void **state)
{
    (void)state;
    const unsigned char zeros[500] = {0};
    unsigned char *block = fq_alloc_zero(sizeof(zeros));
    assert_non_null(block);
    assert_memory_equal(block, zeros, sizeof(zeros));
    fq_free(block);
}

static void
test_alloc_fail_after_refuses_until_the_next_call(void **state)
{
    (void)state;
    fq_alloc_fail_after(2);
    void *a = fq_alloc(1);
    void *b = fq_alloc_zero(1);
    void *c = fq_alloc(1);
    void *d = fq_alloc_zero(1);
    void *e = fq_realloc(NULL, 1);
    void *f = fq_realloc(a, 100);
    long n_refused = fq_alloc_n_refused();
    fq_alloc_fail_after(-1);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(c);
    assert_null(d);
    assert_null(e);
    assert_null(f);
    assert_int_equal(n_refused, 4);
    assert_int_equal(fq_alloc_n_refused(), 0);
    fq_free(a);
    fq_free(b);
    c = fq_alloc(1);
    assert_non_null(c);
    fq_free(c);
}

static void
test_alloc_grow_doubles_from_the_first_size(void **state)
{
    (void)state;
    size_t cap = 0;
    int *items = fq_alloc_grow(NULL, sizeof(int), 1, 8, &cap);
    assert_non_null(items);
    assert_int_equal(cap, 8);
    items[7] = 77;
    assert_ptr_equal(fq_alloc_grow(items, sizeof(int), 8, 8, &cap), items);
    items = fq_alloc_grow(items, sizeof(int), 9, 8, &cap);
    assert_int_equal(cap, 16);
    assert_int_equal(items[7], 77);
    items = fq_alloc_grow(items, sizeof(int), 100, 8, &cap);
    assert_int_equal(cap, 128);
    fq_free(items);
}

static void
test_alloc_grow_fails_without_a_trace(void **state)
{
    (void)state;
    size_t cap = 0;
    int *items = fq_alloc_grow(NULL, sizeof(int), 4, 4, &cap);
    items[0] = 5;
    fq_alloc_fail_after(0);
    void *grown = fq_alloc_grow(items, sizeof(int), 5, 4, &cap);
    fq_alloc_fail_after(-1);
    assert_null(grown);
    assert_int_equal(cap, 4);
    assert_int_equal(items[0], 5);
    fq_free(items);
}

static void
test_alloc_grow_checks_overflow(void **state)
{
    (void)state;
    size_t cap = 0;
    assert_null(fq_alloc_grow(NULL, 16, SIZE_MAX / 16 + 1, 1, &cap));
    assert_null(fq_alloc_grow(NULL, 1, SIZE_MAX, 1, &cap));
    assert_null(fq_alloc_grow(NULL, SIZE_MAX, 2, 1, &cap));
    assert_int_equal(cap, 0);
}

static void *
alloc_and_free(void *arg)
{
    for (int i = 0; i < 20000; i++)
        fq_free(fq_realloc(fq_alloc(16), 64));
    return arg;
}

static void
test_alloc_counts_across_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, alloc_and_free, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    /* FQ_TEST compares the live blocks. */
}

static void *
alloc_while_possible(void *arg)
{
    long *pn_done = arg;
    void *block;
    while ((block = fq_alloc(1)) != NULL) {
        ++*pn_done;
        fq_free(block);
    }
    return NULL;
}

static void
test_alloc_budget_is_exact_across_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    long n_done[4] = {0};
    fq_alloc_fail_after(10000);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, alloc_while_possible, &n_done[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    long n_refused = fq_alloc_n_refused();
    fq_alloc_fail_after(-1);
    assert_int_equal(n_done[0] + n_done[1] + n_done[2] + n_done[3], 10000);
    assert_int_equal(n_refused, 4);
}

static void
test_alloc_measures_the_peak(void **state)
{
    (void)state;
    char *before = fq_alloc(5000);
    fq_alloc_measure(true);
    char *block = fq_alloc(1000);
    block = fq_realloc(block, 4000);
    char *other = fq_alloc_zero(2000);
    fq_free(block);
    fq_free(fq_alloc(1000));
    fq_free(other);
    long peak = fq_alloc_n_bytes_peak();
    fq_free(before);
    assert_in_range(peak, 6000, 6100);
    fq_alloc_measure(false);
    fq_free(fq_alloc(1000));
    assert_int_equal(fq_alloc_n_bytes_peak(), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_alloc_counts_live_blocks),
        FQ_TEST(test_alloc_zero_bytes_is_a_block),
        FQ_TEST(test_alloc_zero_clears),
        FQ_TEST(test_alloc_fail_after_refuses_until_the_next_call),
        FQ_TEST(test_alloc_grow_doubles_from_the_first_size),
        FQ_TEST(test_alloc_grow_fails_without_a_trace),
        FQ_TEST(test_alloc_grow_checks_overflow),
        FQ_TEST(test_alloc_measures_the_peak),
        FQ_TEST(test_alloc_counts_across_threads),
        FQ_TEST(test_alloc_budget_is_exact_across_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
