/* SPDX-License-Identifier: MIT */
/* Initial values: first, whatever comes meanwhile. */
#include "engine/engine.h"

#include "engine_fixture.h"

#define QUERY "subscription { users { id } }"

static void
declare(fixture *fx, fq_field_kind kind)
{
    fq_field field = {
        .name = FQ_STR("users"),
        .kind = kind,
        .returns = FQ_RETURNS_FIELD,
        .token = kind == FQ_FIELD_RESOLVER ? 3 : 0,
        .initial_token = 4,
    };
    assert_int_equal(fq_engine_field_add(fx->engine, &field), FQ_OK);
}

static fixture *
fixture_start(fq_field_kind kind)
{
    static fixture fixture;
    assert_int_equal(fixture_init(&fixture), FQ_OK);
    declare(&fixture, kind);
    return &fixture;
}

static void
test_start_delivers_what_came_behind_it(void **state)
{
    (void)state;
    fixture *fx = fixture_start(FQ_FIELD_EVENT);
    fq_sub *a, *b;
    assert_int_equal(fixture_subscribe(fx, "a", QUERY, &a), FQ_OK);
    assert_int_equal(fixture_subscribe(fx, "b", QUERY, &b), FQ_OK);
    assert_int_equal(a->start->token, 4);
    fixture_publish(fx, "users", "{\"id\":1}");
    fixture_answer(fx, b, FQ_ANSWER_SKIP, "");
    fixture_publish(fx, "users", "{\"id\":2}");
    fq_engine_check(fx->engine);
    /* Both events are projected once, for both. */
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, projections), 2);
    fixture_answer(fx, a, FQ_ANSWER_VALUE, "{\"id\":0}");
    fixture_publish(fx, "users", "{\"id\":3}");
    fixture_assert_log(fx, "call a -\ncall b -\n"
                           "next b {\"data\":{\"users\":{\"id\":1}}}\n"
                           "next b {\"data\":{\"users\":{\"id\":2}}}\n"
                           "next a {\"data\":{\"users\":{\"id\":0}}}\n"
                           "next a {\"data\":{\"users\":{\"id\":1}}}\n"
                           "next a {\"data\":{\"users\":{\"id\":2}}}\n"
                           "next a {\"data\":{\"users\":{\"id\":3}}}\n"
                           "next b {\"data\":{\"users\":{\"id\":3}}}\n");
    assert_null(a->start);
    fq_engine_check(fx->engine);
    fixture_fini(fx);
}

static void
test_start_lets_resolvers_wait(void **state)
{
    (void)state;
    fixture *fx = fixture_start(FQ_FIELD_RESOLVER);
    fq_sub *a;
    assert_int_equal(fixture_subscribe(fx, "a", QUERY, &a), FQ_OK);
    fixture_publish(fx, "users", "{\"id\":1}");
    fq_engine_check(fx->engine);
    fixture_answer(fx, a, FQ_ANSWER_ERROR, "no");
    fixture_answer(fx, a, FQ_ANSWER_VALUE, "{\"id\":10}");
    fixture_assert_log(
        fx, "call a -\n"
            "next a {\"data\":{\"users\":null},\"errors\":[{\"message\":"
            "\"no\",\"locations\":[{\"line\":1,\"column\":16}],\"path\":["
            "\"users\"],\"extensions\":{\"code\":\"RESOLVER_ERROR\"}}]}\n"
            "call a 1\nnext a {\"data\":{\"users\":{\"id\":10}}}\n");
    fq_engine_check(fx->engine);
    fixture_fini(fx);
}

static void
test_start_is_bounded(void **state)
{
    (void)state;
    fixture *fx = fixture_start(FQ_FIELD_EVENT);
    fq_sub *a;
    fx->overflow_drops = true;
    assert_int_equal(fixture_subscribe(fx, "a", QUERY, &a), FQ_OK);
    for (int i = 0; i < 5; i++)
        fixture_publish(fx, "users", "{\"id\":1}");
    assert_int_equal(a->n_carried, 2);
    assert_int_equal(a->start->n_held, 3);
    fx->overflow_drops = false;
    fixture_publish(fx, "users", "{\"id\":1}");
    fixture_assert_log(fx, "call a -\noverflow a\noverflow a\noverflow a\n");
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, subscriptions_active), 0);
    fixture_fini(fx);
}

static void
publish_again(fixture *fx, fq_sub *sub)
{
    (void)sub;
    fixture_publish(fx, "users", "{\"id\":9}");
}

static void
end_it(fixture *fx, fq_sub *sub)
{
    fq_engine_unsubscribe(fx->engine, sub, FQ_END_COMPLETE);
}

static void
test_start_survives_its_callbacks(void **state)
{
    (void)state;
    fixture *fx = fixture_start(FQ_FIELD_EVENT);
    fq_sub *a;
    assert_int_equal(fixture_subscribe(fx, "a", QUERY, &a), FQ_OK);
    fixture_publish(fx, "users", "{\"id\":1}");
    fx->next_hook = publish_again;
    fx->n_hooks_left = 2;
    fixture_answer(fx, a, FQ_ANSWER_VALUE, "{\"id\":0}");
    fixture_assert_log(fx, "call a -\n"
                           "next a {\"data\":{\"users\":{\"id\":0}}}\n"
                           "next a {\"data\":{\"users\":{\"id\":1}}}\n"
                           "next a {\"data\":{\"users\":{\"id\":9}}}\n"
                           "next a {\"data\":{\"users\":{\"id\":9}}}\n");
    fq_engine_check(fx->engine);
    assert_int_equal(fixture_subscribe(fx, "b", QUERY, &a), FQ_OK);
    fixture_publish(fx, "users", "{\"id\":1}");
    fx->next_hook = end_it;
    fx->n_hooks_left = 1;
    fixture_answer(fx, a, FQ_ANSWER_VALUE, "{\"id\":0}");
    fq_engine_check(fx->engine);
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, subscriptions_active), 1);
    fixture_fini(fx);
}

static fq_status
body_start(void *arg)
{
    (void)arg;
    fixture fx;
    fq_sub *a = NULL;
    fq_field field = {
        .name = FQ_STR("users"),
        .kind = FQ_FIELD_EVENT,
        .initial_token = 4,
    };
    fq_status status = fixture_init(&fx);
    fx.overflow_drops = true;
    if (status == FQ_OK)
        status = fq_engine_field_add(fx.engine, &field);
    if (status == FQ_OK)
        status = fixture_subscribe(&fx, "a", QUERY, &a);
    for (int i = 0; i < 5 && status == FQ_OK; i++)
        status = fixture_publish(&fx, "users", "{\"id\":1}");
    if (status == FQ_OK) {
        fixture_answer(&fx, a, FQ_ANSWER_VALUE, "{\"id\":0}");
        assert_null(a->start);
    }
    /* Whatever was lost for want of memory is told later. */
    fixture_fini(&fx);
    return status;
}

static void
test_start_survives_without_memory(void **state)
{
    (void)state;
    fq_test_body(body_start, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_start_delivers_what_came_behind_it),
        FQ_TEST(test_start_lets_resolvers_wait),
        FQ_TEST(test_start_is_bounded),
        FQ_TEST(test_start_survives_its_callbacks),
        FQ_TEST(test_start_survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
