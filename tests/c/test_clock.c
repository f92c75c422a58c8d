/* SPDX-License-Identifier: MIT */
/* The clocks count the right unit in the right direction. */
#include "base/clock.h"

#include <time.h>

#include "support.h"

static void
test_clock_now_never_goes_back(void **state)
{
    (void)state;
    uint64_t before = fq_clock_now_ns();
    for (int i = 0; i < 10000; i++) {
        uint64_t now = fq_clock_now_ns();
        assert_true(now >= before);
        before = now;
    }
}

static void
test_clock_now_counts_nanoseconds(void **state)
{
    (void)state;
    const struct timespec nap = {0, 20 * FQ_NS_PER_MS};
    uint64_t before = fq_clock_now_ns();
    nanosleep(&nap, NULL);
    uint64_t n_elapsed = fq_clock_now_ns() - before;
    assert_true(n_elapsed >= 20 * FQ_NS_PER_MS);
    assert_true(n_elapsed < 60u * (uint64_t)FQ_NS_PER_S);
}

static void
test_clock_wall_agrees_with_time(void **state)
{
    (void)state;
    uint64_t wall_s = fq_clock_wall_ns() / FQ_NS_PER_S;
    uint64_t time_s = (uint64_t)time(NULL);
    assert_true(time_s + 1 >= wall_s && time_s <= wall_s + 60);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_clock_now_never_goes_back),
        FQ_TEST(test_clock_now_counts_nanoseconds),
        FQ_TEST(test_clock_wall_agrees_with_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
