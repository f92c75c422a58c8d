/* SPDX-License-Identifier: MIT */
/* Timers against a model that looks at all of them. */
#include "base/timers.h"

#include "random.h"
#include "support.h"

#define N_TIMERS 64

static void
test_timers_come_in_order(void **state)
{
    (void)state;
    static const uint64_t at_ns[] = {5, 3, 9, 1, 7, 3, 8, 2};
    static const uint64_t sorted[] = {1, 2, 3, 3, 5, 7, 8, 9};
    fq_timers timers;
    fq_timer items[8];
    fq_timers_init(&timers);
    assert_null(fq_timers_first(&timers));
    for (int i = 0; i < 8; i++) {
        fq_timer_init(&items[i]);
        assert_false(fq_timer_is_set(&items[i]));
        fq_timers_set(&timers, &items[i], at_ns[i]);
        assert_true(fq_timer_is_set(&items[i]));
    }
    for (int i = 0; i < 8; i++) {
        fq_timer *first = fq_timers_first(&timers);
        assert_int_equal(first->at_ns, sorted[i]);
        fq_timers_clear(&timers, first);
        assert_false(fq_timer_is_set(first));
    }
    assert_null(fq_timers_first(&timers));
}

static void
test_timers_clear_twice_is_harmless(void **state)
{
    (void)state;
    fq_timers timers;
    fq_timer timer;
    fq_timers_init(&timers);
    fq_timer_init(&timer);
    fq_timers_clear(&timers, &timer);
    fq_timers_set(&timers, &timer, 1);
    fq_timers_set(&timers, &timer, 2);
    assert_int_equal(fq_timers_first(&timers)->at_ns, 2);
    fq_timers_clear(&timers, &timer);
    fq_timers_clear(&timers, &timer);
    assert_null(fq_timers_first(&timers));
}

static uint64_t
model_first(const fq_timer *items)
{
    uint64_t first = UINT64_MAX;
    for (int i = 0; i < N_TIMERS; i++) {
        if (fq_timer_is_set(&items[i]) && items[i].at_ns < first)
            first = items[i].at_ns;
    }
    return first;
}

static void
test_timers_agree_with_model(void **state)
{
    (void)state;
    fq_random random = {.state = 20};
    fq_timers timers;
    fq_timer items[N_TIMERS];
    fq_timers_init(&timers);
    for (int i = 0; i < N_TIMERS; i++)
        fq_timer_init(&items[i]);
    for (int step = 0; step < 100000; step++) {
        fq_timer *item = &items[fq_random_below(&random, N_TIMERS)];
        fq_timer *first = fq_timers_first(&timers);
        if (fq_random_chance(&random, 50))
            fq_timers_set(&timers, item, fq_random_below(&random, 1000));
        else if (fq_random_chance(&random, 50) && first != NULL)
            fq_timers_clear(&timers, first);
        else
            fq_timers_clear(&timers, item);
        first = fq_timers_first(&timers);
        assert_int_equal(first == NULL ? UINT64_MAX : first->at_ns,
                         model_first(items));
    }
}

/* A heap that is a list a million long must not be walked by recursion. */
static void
test_timers_take_a_million(void **state)
{
    (void)state;
    enum { N = 1000000 };
    fq_timers timers;
    fq_timer *items = malloc(N * sizeof(*items));
    assert_non_null(items);
    fq_timers_init(&timers);
    for (uint64_t i = 0; i < N; i++) {
        fq_timer_init(&items[i]);
        fq_timers_set(&timers, &items[i], N - i);
    }
    for (uint64_t i = 1; i <= N; i++) {
        fq_timer *first = fq_timers_first(&timers);
        assert_int_equal(first->at_ns, i);
        fq_timers_clear(&timers, first);
    }
    free(items);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_timers_come_in_order),
        FQ_TEST(test_timers_clear_twice_is_harmless),
        FQ_TEST(test_timers_agree_with_model),
        FQ_TEST(test_timers_take_a_million),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
