/* SPDX-License-Identifier: MIT */
/* Messages per second: when to stop reading, when to go on, when to close. */
#include "reactor/message_rate.h"

#include "base/clock.h"
#include "support.h"

static void
test_message_rate_stops_with_the_last_of_a_burst(void **state)
{
    (void)state;
    fq_message_rate rate;
    fq_message_rate_init(&rate, 10, 4);
    uint64_t now_ns = 5 * (uint64_t)FQ_NS_PER_S;
    for (int i = 0; i < 3; i++)
        assert_false(fq_message_rate_note(&rate, now_ns));
    assert_true(fq_message_rate_note(&rate, now_ns));
    /* One of four tokens has grown after a tenth of a second. */
    assert_int_equal(fq_message_rate_go_on_ns(&rate, now_ns),
                     now_ns + FQ_NS_PER_S / 10);
    now_ns += FQ_NS_PER_S / 10;
    assert_int_equal(fq_message_rate_go_on_ns(&rate, now_ns), now_ns);
    /* What comes although nothing should is owed. */
    for (int i = 0; i < 3; i++)
        assert_true(fq_message_rate_note(&rate, now_ns));
    assert_int_equal(fq_message_rate_go_on_ns(&rate, now_ns),
                     now_ns + 3 * (FQ_NS_PER_S / 10));
}

static void
test_message_rate_closes_who_never_stops(void **state)
{
    (void)state;
    fq_message_rate rate;
    fq_message_rate_init(&rate, 10, 4);
    uint64_t now_ns = FQ_NS_PER_S;
    int n = 0;
    while (!fq_message_rate_is_flood(&rate) && n < 1000) {
        n++;
        if (fq_message_rate_note(&rate, now_ns))
            now_ns = fq_message_rate_go_on_ns(&rate, now_ns);
    }
    /* Three before the bucket was empty, ten bursts, and one too many. */
    assert_int_equal(n, 3 + 41);
}

static void
test_message_rate_forgives_who_stops(void **state)
{
    (void)state;
    fq_message_rate rate;
    fq_message_rate_init(&rate, 10, 4);
    uint64_t now_ns = FQ_NS_PER_S;
    for (int i = 0; i < 1000; i++) {
        if (fq_message_rate_note(&rate, now_ns))
            now_ns += FQ_NS_PER_S;
        assert_false(fq_message_rate_is_flood(&rate));
    }
}

static void
test_message_rate_is_off_without_a_rate(void **state)
{
    (void)state;
    fq_message_rate rate;
    fq_message_rate_init(&rate, 0, 4);
    for (int i = 0; i < 1000; i++)
        assert_false(fq_message_rate_note(&rate, 7));
    assert_false(fq_message_rate_is_flood(&rate));
}

static void
test_message_rate_of_one_message_goes_on(void **state)
{
    (void)state;
    fq_message_rate rate;
    fq_message_rate_init(&rate, 1, 1);
    assert_true(fq_message_rate_note(&rate, FQ_NS_PER_S));
    assert_int_equal(fq_message_rate_go_on_ns(&rate, FQ_NS_PER_S),
                     2 * (uint64_t)FQ_NS_PER_S);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_message_rate_stops_with_the_last_of_a_burst),
        FQ_TEST(test_message_rate_closes_who_never_stops),
        FQ_TEST(test_message_rate_forgives_who_stops),
        FQ_TEST(test_message_rate_is_off_without_a_rate),
        FQ_TEST(test_message_rate_of_one_message_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
