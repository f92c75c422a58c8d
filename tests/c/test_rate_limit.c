/* SPDX-License-Identifier: MIT */
/* Token buckets: what they let through, at the ends of time as well; and a
 * random run against a bucket that counts tokens. */
#include "engine/rate_limit.h"

#include <math.h>

#include "random.h"
#include "support.h"

#define NS_PER_S 1000000000ull

/* Takes tokens at |now_ns| until there is none, at most |max|. */
static uint32_t
drain(fq_rate_limit *limit, const fq_rate *rate, uint64_t now_ns, uint32_t max)
{
    uint32_t n = 0;
    while (n < max && fq_rate_limit_take(limit, rate, now_ns))
        n++;
    return n;
}

static void
test_rate_limit_lets_a_burst_through_and_then_the_rate(void **state)
{
    (void)state;
    fq_rate rate = fq_rate_make(10, 5);
    fq_rate_limit limit = {0};
    uint64_t now_ns = 77 * NS_PER_S;
    assert_int_equal(drain(&limit, &rate, now_ns, 100), 5);
    assert_int_equal(drain(&limit, &rate, now_ns + NS_PER_S / 10 - 1, 100), 0);
    assert_int_equal(drain(&limit, &rate, now_ns + NS_PER_S / 10, 100), 1);
    assert_int_equal(drain(&limit, &rate, now_ns + NS_PER_S / 2, 100), 4);
    assert_int_equal(drain(&limit, &rate, now_ns + 9 * NS_PER_S, 100), 5);
}

static void
test_rate_limit_without_a_rate_is_none(void **state)
{
    (void)state;
    fq_rate rate = fq_rate_make(0, 5);
    assert_false(fq_rate_is_limited(&rate));
    fq_rate_limit limit = {0};
    assert_int_equal(drain(&limit, &rate, 5, 1000), 1000);
    assert_int_equal(limit.full_at_ns, 5);
}

static void
test_rate_limit_settings_stay_in_range(void **state)
{
    (void)state;
    const struct {
        double per_s;
        uint32_t burst;
        uint64_t interval_ns, n_tokens;
    } cases[] = {
        {1, 0, NS_PER_S, 1},
        {100, 0, NS_PER_S / 100, 100},
        {0.5, 0, 2 * NS_PER_S, 1},
        {2.5, 0, 400000000, 2},
        {1e-9, 0, 1000 * NS_PER_S, 1},
        {-3, 7, 1000 * NS_PER_S, 7},
        {NAN, 7, 1000 * NS_PER_S, 7},
        {INFINITY, 3, 1, 3},
        {1e9, 0, 1, FQ_RATE_BURST_MAX},
        {0.001, UINT32_MAX, 1000 * NS_PER_S, FQ_RATE_BURST_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fq_rate rate = fq_rate_make(cases[i].per_s, cases[i].burst);
        assert_true(fq_rate_is_limited(&rate));
        assert_int_equal(rate.interval_ns, cases[i].interval_ns);
        assert_int_equal(rate.span_ns,
                         cases[i].interval_ns * cases[i].n_tokens);
        assert_true(rate.span_ns < 1ull << 62);
    }
}

static void
test_rate_limit_survives_clock_skew(void **state)
{
    (void)state;
    fq_rate rate = fq_rate_make(10, 5);
    fq_rate_limit limit = {0};
    uint64_t late_ns = 1000000 * NS_PER_S;
    assert_int_equal(drain(&limit, &rate, late_ns, 100), 5);
    /* Eleven days back: empty, and full again after half a second. */
    assert_int_equal(drain(&limit, &rate, NS_PER_S, 100), 0);
    assert_int_equal(drain(&limit, &rate, NS_PER_S + NS_PER_S / 10, 100), 1);
    assert_int_equal(drain(&limit, &rate, 2 * NS_PER_S, 100), 5);
    /* A little back costs a little. */
    assert_int_equal(drain(&limit, &rate, 2 * NS_PER_S - 1, 100), 0);
    assert_int_equal(drain(&limit, &rate, 3 * NS_PER_S, 100), 5);
    /* And forward gives no more than a bucket. */
    assert_int_equal(drain(&limit, &rate, late_ns * 2, 100), 5);
}

static void
test_rate_limit_survives_overflow(void **state)
{
    (void)state;
    fq_rate rate = fq_rate_make(FQ_RATE_MIN, FQ_RATE_BURST_MAX);
    fq_rate_limit limit = {0};
    assert_int_equal(drain(&limit, &rate, UINT64_MAX - 3, 10), 10);
    assert_int_equal(limit.full_at_ns, UINT64_MAX);
    assert_int_equal(drain(&limit, &rate, UINT64_MAX, 10), 10);
    assert_int_equal(drain(&limit, &rate, 0, 10), 0);
    assert_int_equal(drain(&limit, &rate, 1000 * NS_PER_S, 10), 1);
}

static void
test_rate_limit_debt_is_paid_and_bounded(void **state)
{
    (void)state;
    fq_rate rate = fq_rate_make(10, 5);
    fq_rate_limit limit = {0};
    for (int i = 0; i < 7; i++)
        fq_rate_limit_force(&limit, &rate, NS_PER_S);
    /* Two in debt: three tenths of a second to the first token. */
    assert_false(fq_rate_limit_has(&limit, &rate, NS_PER_S * 12 / 10));
    assert_true(fq_rate_limit_has(&limit, &rate, NS_PER_S * 13 / 10));
    for (int i = 0; i < 1000; i++)
        fq_rate_limit_force(&limit, &rate, NS_PER_S);
    assert_int_equal(fq_rate_limit_owed_ns(&limit, &rate, NS_PER_S), NS_PER_S);
    assert_int_equal(drain(&limit, &rate, 2 * NS_PER_S, 10), 5);
}

/* The rule said the other way: whole tokens of |interval_ns| each. */
typedef struct model {
    uint64_t at_ns;
    uint64_t grown_ns; /* 0 to span */
} model;

static bool
model_take(model *self, const fq_rate *rate, uint64_t now_ns)
{
    self->grown_ns += now_ns - self->at_ns;
    if (self->grown_ns > rate->span_ns)
        self->grown_ns = rate->span_ns;
    self->at_ns = now_ns;
    if (self->grown_ns < rate->interval_ns)
        return false;
    self->grown_ns -= rate->interval_ns;
    return true;
}

static void
run_against_model(uint64_t seed)
{
    fq_random random = {seed};
    fq_rate rate = fq_rate_make(1.0 + fq_random_below(&random, 1000),
                                1 + fq_random_below(&random, 50));
    fq_rate_limit limit = {0};
    uint64_t now_ns = fq_random_below(&random, 1000);
    model model = {.at_ns = now_ns, .grown_ns = rate.span_ns};
    for (int i = 0; i < 500; i++) {
        now_ns += fq_random_below(&random, 2 * (uint32_t)rate.interval_ns);
        assert_int_equal(fq_rate_limit_take(&limit, &rate, now_ns),
                         model_take(&model, &rate, now_ns));
    }
}

static void
test_rate_limit_equals_counted_tokens(void **state)
{
    (void)state;
    fq_random_runs(run_against_model, 200);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_rate_limit_lets_a_burst_through_and_then_the_rate),
        FQ_TEST(test_rate_limit_without_a_rate_is_none),
        FQ_TEST(test_rate_limit_settings_stay_in_range),
        FQ_TEST(test_rate_limit_survives_clock_skew),
        FQ_TEST(test_rate_limit_survives_overflow),
        FQ_TEST(test_rate_limit_debt_is_paid_and_bounded),
        FQ_TEST_RANDOM(test_rate_limit_equals_counted_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
