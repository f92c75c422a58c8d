/* SPDX-License-Identifier: MIT */
/* Delays between attempts: they grow, have a maximum, differ, and begin anew
 * after a connection that lasted. */
#include "bus/backoff.h"

#include "base/clock.h"
#include "support.h"

static void
expect_next(fq_backoff *self, uint64_t now_ns, uint64_t most_ms)
{
    uint64_t ms = fq_backoff_next_ms(self, now_ns);
    assert_in_range(ms, most_ms / 2, most_ms);
}

static void
test_backoff_doubles_up_to_its_maximum(void **state)
{
    (void)state;
    static const uint64_t most_ms[] = {50, 100, 200, 400, 800, 900, 900};
    fq_backoff backoff;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        fq_backoff_init(&backoff, seed);
        for (int i = 0; i < 7; i++)
            expect_next(&backoff, 1, most_ms[i]);
        backoff.n_failures = UINT32_MAX;
        expect_next(&backoff, 1, 900);
        assert_int_equal(backoff.n_failures, UINT32_MAX);
    }
}

static void
test_backoff_begins_anew_after_a_connection_that_lasted(void **state)
{
    (void)state;
    const uint64_t s = FQ_NS_PER_S;
    fq_backoff backoff;
    fq_backoff_init(&backoff, 7);
    for (int i = 0; i < 8; i++)
        (void)fq_backoff_next_ms(&backoff, s);
    /* One that breaks at once counts as a failure. */
    fq_backoff_note_up(&backoff, 10 * s);
    expect_next(&backoff, 14 * s, 900);
    /* Nor is one made of two halves, or of a clock that went back. */
    expect_next(&backoff, 16 * s, 900);
    fq_backoff_note_up(&backoff, 20 * s);
    expect_next(&backoff, 3 * s, 900);
    fq_backoff_note_up(&backoff, 20 * s);
    expect_next(&backoff, 25 * s, 50);
    expect_next(&backoff, 25 * s, 100);
}

static void
test_backoff_differs_from_process_to_process(void **state)
{
    (void)state;
    bool seen[FQ_BACKOFF_MAX_MS + 1] = {false};
    unsigned n_different = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        fq_backoff backoff;
        fq_backoff_init(&backoff, seed);
        backoff.n_failures = 10;
        uint64_t ms = fq_backoff_next_ms(&backoff, 1);
        n_different += !seen[ms];
        seen[ms] = true;
    }
    assert_true(n_different > 50);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_backoff_doubles_up_to_its_maximum),
        FQ_TEST(test_backoff_begins_anew_after_a_connection_that_lasted),
        FQ_TEST(test_backoff_differs_from_process_to_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
