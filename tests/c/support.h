/* SPDX-License-Identifier: MIT */
/* What every C test shares: cmocka with the headers it wants before it, a
 * case wrapper that looks for leaks, and the loop that runs a body under
 * failing allocations. Header only; one thread at a time.
 *
 *     static fq_status
 *     body_thing(void *arg)           // its own set-up, work and clean-up
 *     {
 *         fq_thing *thing = NULL;
 *         fq_status status = fq_thing_new(arg, &thing);
 *         if (status == FQ_OK) {
 *             status = fq_thing_use(thing);
 *             assert_true(status != FQ_OK || fq_thing_is_used(thing));
 *         }
 *         fq_thing_free(thing);
 *         return status;
 *     }
 *
 *     static void
 *     test_thing_does_it(void **state)
 *     {
 *         (void)state;
 *         fq_test_body(body_thing, NULL);
 *     }
 *
 *     int
 *     main(void)
 *     {
 *         const struct CMUnitTest tests[] = {FQ_TEST(test_thing_does_it)};
 *         return cmocka_run_group_tests(tests, NULL, NULL);
 *     }
 *
 * By itself the binary runs each body once. With FQ_TEST_FAIL_ALLOC=1 in the
 * environment it runs each body with the first request for memory refused,
 * then with all from the second on refused, and so on, until the body needs
 * no request that is refused. */
#ifndef FQ_TESTS_SUPPORT_H
#define FQ_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/str.h"

/* A body that still asks for more after this many requests is in a loop. */
#define FQ_TEST_REQUESTS_MAX 100000

/* Sets up what it needs, works, cleans up. Returns FQ_OK, or FQ_ERR_NOMEM
 * when it met a refused request; it may be run many times. */
typedef fq_status (*fq_test_body_cb)(void *arg);

static inline bool
fq_test_is_failing_alloc(void)
{
    const char *value = getenv("FQ_TEST_FAIL_ALLOC");
    return value != NULL && strcmp(value, "1") == 0;
}

/* Runs |body| with every request after the |n|-th refused; true when none had
 * to be. FQ_OK in spite of a refusal is fine: the request was dispensable,
 * as when a table would like to shrink. */
static inline bool
fq_test_body_at(fq_test_body_cb body, void *arg, long n)
{
    long n_live = fq_alloc_n_live();
    fq_alloc_fail_after(n);
    fq_status status = body(arg);
    long n_refused = fq_alloc_n_refused();
    fq_alloc_fail_after(-1);
    if (n_refused == 0)
        assert_int_equal(status, FQ_OK);
    else if (status != FQ_OK)
        assert_int_equal(status, FQ_ERR_NOMEM);
    assert_int_equal(fq_alloc_n_live(), n_live);
    return n_refused == 0;
}

/* Runs |body| once, or under failing allocations (see above). */
static inline void
fq_test_body(fq_test_body_cb body, void *arg)
{
    if (!fq_test_is_failing_alloc()) {
        assert_true(fq_test_body_at(body, arg, -1));
        return;
    }
    long n = 0;
    while (!fq_test_body_at(body, arg, n)) {
        n++;
        assert_true(n < FQ_TEST_REQUESTS_MAX);
    }
}

/* Around each FQ_TEST: the live blocks before it are remembered in *state
 * and must be what is left after it. */
static inline int
fq_test_setup(void **state)
{
    fq_alloc_fail_after(-1);
    *state = (void *)(intptr_t)fq_alloc_n_live();
    return 0;
}

static inline int
fq_test_teardown(void **state)
{
    fq_alloc_fail_after(-1);
    long n_before = (long)(intptr_t)*state;
    if (fq_alloc_n_live() == n_before)
        return 0;
    print_error("%ld blocks leaked\n", fq_alloc_n_live() - n_before);
    return -1;
}

/* Waits until no more than |n_blocks| are live, as they were before: the thread
 * of an errand (bus/errand.h) lets go of its block after it has woken the loop,
 * which may be at its end by then. */
static inline void
fq_test_await_errands(long n_blocks)
{
    uint64_t until_ns = fq_clock_now_ns() + 60ull * FQ_NS_PER_S;
    while (fq_alloc_n_live() > n_blocks && fq_clock_now_ns() < until_ns)
        usleep(1000);
}

/* A case for cmocka_run_group_tests; *state is spoken for. */
#define FQ_TEST(function)                                                     \
    cmocka_unit_test_setup_teardown((function), fq_test_setup,                \
                                    fq_test_teardown)

/* |actual| (fq_str) holds exactly the bytes of string |expected|. */
static inline void
fq_test_assert_str(fq_str actual, const char *expected)
{
    size_t len = strlen(expected);
    if (!fq_str_eq(actual, fq_str_make(expected, len)))
        fail_msg("got %.*s, expected %s", FQ_STR_FMT(actual), expected);
}

#endif
