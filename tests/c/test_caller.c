/* SPDX-License-Identifier: MIT */
/* How many calls are out at a time, and what becomes of those ahead. */
#include "engine/caller.h"

#include "engine_fixture.h"

#define QUERY "subscription { x }"
#define NEXT "next a {\"data\":{\"x\":1}}\n"
#define SECOND (UINT64_C(1000000000))

#define OK(expression) assert_int_equal(expression, FQ_OK)

static fq_sub *
start(fixture *fx)
{
    fq_sub *sub;
    OK(fixture_init(fx));
    fx->engine->limits.max_pending = 0;
    OK(fixture_subscribe_kind(fx, "a", QUERY, FQ_FIELD_RESOLVER,
                              FQ_RETURNS_FIELD, &sub));
    return sub;
}

static void
publish(fixture *fx, int n)
{
    while (n-- > 0)
        OK(fixture_publish(fx, "x", "{}"));
}

static void
answer_at(fixture *fx, fq_sub *sub, uint64_t now_ns)
{
    fq_engine_answer(fx->engine, sub->id, FQ_ANSWER_VALUE, FQ_STR_LIT("1"),
                     now_ns);
    fq_engine_check(fx->engine);
}

static void
test_caller_goes_ahead_of_quick_answers(void **state)
{
    (void)state;
    fixture fx;
    fq_sub *sub = start(&fx);
    publish(&fx, 5);
    fixture_assert_log(&fx, "call a 1\n");
    /* When the first call was made nobody looked at a clock. */
    answer_at(&fx, sub, SECOND);
    fixture_assert_log(&fx, NEXT "call a 2\n");
    answer_at(&fx, sub, SECOND + 1000);
    fixture_assert_log(&fx, NEXT "call a 3\ncall a 4\ncall a 5\n");
    assert_int_equal(sub->n_calls, 3);
    /* What comes now waits: for all who are ahead of it. */
    publish(&fx, 2);
    answer_at(&fx, sub, SECOND + 2000);
    answer_at(&fx, sub, SECOND + 2000);
    fixture_assert_log(&fx, NEXT NEXT);
    answer_at(&fx, sub, SECOND + 3000);
    fixture_assert_log(&fx, NEXT "call a 6\ncall a 7\n");
    fixture_fini(&fx);
}

static void
test_caller_waits_for_slow_answers(void **state)
{
    (void)state;
    fixture fx;
    fq_sub *sub = start(&fx);
    publish(&fx, 6);
    answer_at(&fx, sub, SECOND);
    answer_at(&fx, sub, SECOND + 1000);
    fixture_assert_log(&fx, "call a 1\n" NEXT "call a 2\n" NEXT
                            "call a 3\ncall a 4\ncall a 5\ncall a 6\n");
    publish(&fx, 2);
    for (int i = 0; i < 4; i++)
        answer_at(&fx, sub, 2 * SECOND);
    fixture_assert_log(&fx, NEXT NEXT NEXT NEXT "call a 7\n");
    fixture_fini(&fx);
}

static void
test_caller_has_a_maximum_of_calls(void **state)
{
    (void)state;
    fixture fx;
    fq_sub *sub = start(&fx);
    publish(&fx, 2 * FQ_CALLS_MAX + 3);
    answer_at(&fx, sub, SECOND);
    answer_at(&fx, sub, SECOND);
    assert_int_equal(sub->n_calls, FQ_CALLS_MAX);
    while (sub->n_calls > 0)
        answer_at(&fx, sub, SECOND);
    assert_int_equal(fx.n_next, 2 * FQ_CALLS_MAX + 3);
    assert_int_equal(fx.n_done, fx.n_events);
    fixture_fini(&fx);
}

/* Another call that cannot be made, in the place of the one it is for. */
static void
fail_third(fixture *fx, fq_sub *sub, fq_event *event)
{
    if (strcmp(event->id, "4") == 0)
        fq_engine_answer(fx->engine, sub->id, FQ_ANSWER_ERROR,
                         FQ_STR_LIT("out of memory"), SECOND);
}

static void
test_caller_keeps_the_order_when_a_call_fails(void **state)
{
    (void)state;
    fixture fx;
    fq_sub *sub = start(&fx);
    fx.call_hook = fail_third;
    publish(&fx, 5);
    answer_at(&fx, sub, SECOND);
    answer_at(&fx, sub, SECOND);
    fixture_assert_log(&fx, "call a 1\n" NEXT "call a 2\n" NEXT
                            "call a 3\ncall a 4\ncall a 5\n");
    assert_int_equal(sub->n_calls, 2);
    answer_at(&fx, sub, SECOND);
    fixture_assert_log(&fx, "next a {\"data\":{\"x\":1}} dropped 1\n");
    answer_at(&fx, sub, SECOND);
    fixture_assert_log(&fx, NEXT);
    assert_int_equal(FQ_METRIC_GET(&fx.metrics, deliveries_dropped), 1);
    fixture_fini(&fx);
}

static void
test_caller_lets_go_of_what_is_ahead(void **state)
{
    (void)state;
    fixture fx;
    fq_sub *sub = start(&fx);
    publish(&fx, 6);
    answer_at(&fx, sub, SECOND);
    answer_at(&fx, sub, SECOND);
    assert_int_equal(sub->n_calls, 4);
    fq_engine_unsubscribe(fx.engine, sub, FQ_END_COMPLETE);
    assert_int_equal(fx.n_done, fx.n_events);
    fixture_fini(&fx);
}

/* Tells |sub| of a gap as the owner does, once all events are dispatched. */
static void
tell_gap(fixture *fx, fq_sub *sub)
{
    fq_engine_tell_gap(fx->engine, sub);
    fq_engine_check(fx->engine);
}

#define GAP "next a {\"gap\":1}\n"

static void
test_caller_tells_of_a_gap_behind_what_waits(void **state)
{
    (void)state;
    fixture fx;
    fq_sub *sub = start(&fx);
    tell_gap(&fx, sub);
    fixture_assert_log(&fx, GAP);
    publish(&fx, 2);
    tell_gap(&fx, sub);
    /* The same gap, told once more. */
    tell_gap(&fx, sub);
    publish(&fx, 2);
    answer_at(&fx, sub, SECOND);
    fixture_assert_log(&fx, "call a 1\n" NEXT "call a 2\n");
    /* From here on more than one is called for. */
    answer_at(&fx, sub, SECOND + 1000);
    fixture_assert_log(&fx, NEXT GAP "call a 3\ncall a 4\n");
    /* One gap between two calls, and one behind both: the first is told, or
     * it would be told too late. */
    tell_gap(&fx, sub);
    answer_at(&fx, sub, SECOND + 2000);
    publish(&fx, 1);
    fixture_assert_log(&fx, NEXT);
    tell_gap(&fx, sub);
    fixture_assert_log(&fx, GAP);
    answer_at(&fx, sub, SECOND + 3000);
    fixture_assert_log(&fx, NEXT "call a 5\n");
    answer_at(&fx, sub, SECOND + 3000);
    fixture_assert_log(&fx, NEXT GAP);
    assert_int_equal(FQ_METRIC_GET(&fx.metrics, subscriptions_with_gaps), 4);
    fixture_fini(&fx);
}

static void
test_caller_tells_of_a_gap_when_what_waits_is_dropped(void **state)
{
    (void)state;
    fixture fx;
    fq_sub *sub = start(&fx);
    sub->overflow = FQ_OVERFLOW_DROP_OLDEST;
    fx.engine->limits.max_pending = 2;
    publish(&fx, 3);
    tell_gap(&fx, sub);
    publish(&fx, 2);
    answer_at(&fx, sub, SECOND);
    fixture_assert_log(&fx, "call a 1\n"
                            "next a {\"data\":{\"x\":1}} dropped 2\n" GAP
                            "call a 4\n");
    answer_at(&fx, sub, SECOND);
    answer_at(&fx, sub, SECOND);
    fixture_assert_log(&fx, NEXT "call a 5\n" NEXT);
    fixture_fini(&fx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_caller_goes_ahead_of_quick_answers),
        FQ_TEST(test_caller_waits_for_slow_answers),
        FQ_TEST(test_caller_has_a_maximum_of_calls),
        FQ_TEST(test_caller_keeps_the_order_when_a_call_fails),
        FQ_TEST(test_caller_lets_go_of_what_is_ahead),
        FQ_TEST(test_caller_tells_of_a_gap_behind_what_waits),
        FQ_TEST(test_caller_tells_of_a_gap_when_what_waits_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
