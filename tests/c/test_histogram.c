/* SPDX-License-Identifier: MIT */
/* Buckets and their bounds, quantiles, and many threads at once. */
#include "engine/histogram.h"

#include <pthread.h>

#include "support.h"

static fq_histogram_snapshot
read_one(uint64_t value_ns)
{
    fq_histogram histogram = {0};
    fq_histogram_add(&histogram, value_ns);
    fq_histogram_snapshot snapshot;
    fq_histogram_read(&histogram, &snapshot);
    return snapshot;
}

/* The bucket that |value_ns| goes to. */
static uint32_t
bucket_of(uint64_t value_ns)
{
    fq_histogram_snapshot snapshot = read_one(value_ns);
    uint32_t i = 0;
    while (snapshot.cumulative[i] == 0)
        i++;
    return i;
}

static void
test_histogram_bounds_are_inclusive(void **state)
{
    (void)state;
    assert_int_equal(bucket_of(0), 0);
    for (uint32_t i = 0; i < FQ_HISTOGRAM_BOUNDS; i++) {
        uint64_t bound = fq_histogram_bound_ns(i);
        assert_int_equal(bound, (uint64_t)FQ_HISTOGRAM_FIRST_NS << i);
        assert_int_equal(bucket_of(bound - 1), i);
        assert_int_equal(bucket_of(bound), i);
        assert_int_equal(bucket_of(bound + 1), i + 1);
    }
    assert_int_equal(bucket_of(UINT64_MAX), FQ_HISTOGRAM_BOUNDS);
}

static void
test_histogram_sums_up(void **state)
{
    (void)state;
    fq_histogram histogram = {0};
    for (uint64_t n = 1; n <= 1000; n++)
        fq_histogram_add(&histogram, n * 1000);
    fq_histogram_snapshot snapshot;
    fq_histogram_read(&histogram, &snapshot);
    assert_int_equal(snapshot.count, 1000);
    assert_int_equal(snapshot.sum_ns, 500500000);
    assert_int_equal(snapshot.cumulative[FQ_HISTOGRAM_BOUNDS], 1000);
    for (uint32_t i = 0; i < FQ_HISTOGRAM_BOUNDS; i++) {
        uint64_t bound = fq_histogram_bound_ns(i);
        uint64_t expected = bound / 1000 < 1000 ? bound / 1000 : 1000;
        assert_int_equal(snapshot.cumulative[i], expected);
    }
}

static void
test_histogram_quantiles_are_near(void **state)
{
    (void)state;
    fq_histogram histogram = {0};
    fq_histogram_snapshot snapshot;
    fq_histogram_read(&histogram, &snapshot);
    assert_true(fq_histogram_quantile_ns(&snapshot, 0.5) == 0.0);
    for (uint64_t n = 1; n <= 100000; n++)
        fq_histogram_add(&histogram, n * 100);
    fq_histogram_read(&histogram, &snapshot);
    /* Values spread evenly are met by straight lines. */
    for (int percent = 1; percent <= 100; percent++) {
        double expected = percent * 100000.0;
        double found = fq_histogram_quantile_ns(&snapshot, percent / 100.0);
        assert_true(found > expected * 0.95 && found < expected * 2.0);
    }
    assert_true(fq_histogram_quantile_ns(&snapshot, 0.0) <= 250.0);
    snapshot = read_one(UINT64_MAX);
    assert_true(fq_histogram_quantile_ns(&snapshot, 0.99)
                == (double)fq_histogram_bound_ns(FQ_HISTOGRAM_BOUNDS - 1));
}

#define N_THREADS 4
#define N_VALUES 20000

static void *
add_values(void *arg)
{
    for (uint64_t n = 0; n < N_VALUES; n++)
        fq_histogram_add(arg, n);
    return NULL;
}

static void
test_histogram_is_read_while_it_is_written(void **state)
{
    (void)state;
    fq_histogram histogram = {0};
    fq_histogram_snapshot snapshot;
    pthread_t threads[N_THREADS];
    for (size_t i = 0; i < N_THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, add_values, &histogram), 0);
    uint64_t last = 0;
    do {
        fq_histogram_read(&histogram, &snapshot);
        assert_true(snapshot.count >= last);
        last = snapshot.count;
    } while (last < N_THREADS * N_VALUES / 2);
    for (size_t i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    fq_histogram_read(&histogram, &snapshot);
    assert_int_equal(snapshot.count, N_THREADS * N_VALUES);
    assert_int_equal(snapshot.sum_ns,
                     (uint64_t)N_THREADS * N_VALUES * (N_VALUES - 1) / 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_histogram_bounds_are_inclusive),
        FQ_TEST(test_histogram_sums_up),
        FQ_TEST(test_histogram_quantiles_are_near),
        FQ_TEST(test_histogram_is_read_while_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
