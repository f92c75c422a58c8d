/* SPDX-License-Identifier: MIT */
/* Shared fields: one call for a class, in order, for whoever is left. */
#include "engine/shared.h"

#include "engine/internal.h"
#include "engine_fixture.h"

#define QUERY "subscription { users { id } }"
#define NEXT(name, n) "next " name " {\"data\":{\"users\":{\"id\":" #n "}}}\n"

static const fq_field shared_field = {
    .name = FQ_STR("users"),
    .kind = FQ_FIELD_RESOLVER,
    .token = 3,
    .is_shared = true,
};

static fixture *
fixture_start(void)
{
    static fixture fixture;
    assert_int_equal(fixture_init(&fixture), FQ_OK);
    fixture_share(&fixture);
    assert_int_equal(fq_engine_field_add(fixture.engine, &shared_field),
                     FQ_OK);
    return &fixture;
}

static fq_sub *
subscribe_as(fixture *fx, const char *name, const char *query,
             fq_security_context *context)
{
    fq_sub *sub;
    fq_subscribe_args args = {
        .query = fq_str_of(query),
        .handle = (void *)name,
        .context = context,
        .now_ns = 5,
    };
    assert_int_equal(fixture_subscribe_args(fx, &args, &sub), FQ_OK);
    return sub;
}

static fq_sub *
subscribe(fixture *fx, const char *name)
{
    return subscribe_as(fx, name, QUERY, NULL);
}

static void
publish(fixture *fx, const char *data)
{
    assert_int_equal(fixture_publish(fx, "users", data), FQ_OK);
}

static void
test_shared_calls_once_in_order(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *a = subscribe(fx, "a");
    fq_sub *b = subscribe(fx, "b");
    assert_ptr_equal(a->shared, b->shared);
    publish(fx, "{\"id\":1}");
    publish(fx, "{\"id\":2}");
    publish(fx, "{\"id\":3}");
    fq_sub *c = subscribe(fx, "c");
    assert_ptr_equal(a->shared, c->shared);
    fq_engine_check(fx->engine);
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":10}");
    assert_int_equal(fx->n_done, 1);
    publish(fx, "{\"id\":4}");
    fixture_answer_shared(fx, 1, FQ_ANSWER_SKIP, "");
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":30}");
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":40}");
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":50}");
    fixture_assert_log(
        fx, "shared 1 1\n" NEXT("a", 10)
                NEXT("b", 10) "shared 1 2\nshared 1 3\n" NEXT("a", 30)
                    NEXT("b", 30) "shared 1 4\n" NEXT("a", 40) NEXT("b", 40)
                        NEXT("c", 40));
    assert_int_equal(fx->n_done, 4);
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, projections), 3);
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, resolver_calls), 4);
    fixture_fini(fx);
}

static void
test_shared_tells_of_a_gap_behind_what_waits(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *subs[] = {subscribe(fx, "a"), subscribe(fx, "b")};
    publish(fx, "{\"id\":1}");
    publish(fx, "{\"id\":2}");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++)
            fq_engine_tell_gap(fx->engine, subs[i]);
    }
    publish(fx, "{\"id\":3}");
    fq_engine_check(fx->engine);
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":10}");
    fixture_assert_log(fx, "shared 1 1\n" NEXT("a", 10)
                               NEXT("b", 10) "shared 1 2\n");
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":20}");
    fixture_assert_log(
        fx,
        NEXT("a", 20) NEXT(
            "b", 20) "next a {\"gap\":1}\nnext b {\"gap\":1}\nshared 1 3\n");
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":30}");
    fixture_assert_log(fx, NEXT("a", 30) NEXT("b", 30));
    fq_engine_tell_gap(fx->engine, subs[0]);
    fixture_assert_log(fx, "next a {\"gap\":1}\n");
    fixture_fini(fx);
}

static fq_security_context *
context_of(const char *user, const char *tenant, const char *role)
{
    fq_str roles[] = {fq_str_of(role)};
    fq_security_context_args args = {
        .user_id = fq_str_of(user),
        .tenant_id = fq_str_of(tenant),
        .roles = roles,
        .n_roles = 1,
    };
    fq_security_context *context;
    assert_int_equal(fq_security_context_new(&args, &context), FQ_OK);
    return context;
}

static void
test_shared_keeps_classes_apart(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_security_context *contexts[] = {
        context_of("u1", "t1", "r"), context_of("u2", "t1", "r"),
        context_of("u1", "t2", "r"), context_of("u1", "t1", "q"),
        context_of("u1", "t1r", ""),
    };
    fq_sub *subs[5];
    for (int i = 0; i < 5; i++)
        subs[i] = subscribe_as(fx, "a", QUERY, contexts[i]);
    assert_ptr_equal(subs[0]->shared, subs[1]->shared);
    for (int i = 1; i < 5; i++) {
        for (int j = i + 1; j < 5; j++)
            assert_ptr_not_equal(subs[i]->shared, subs[j]->shared);
    }
    fq_sub *nobody = subscribe(fx, "b");
    fq_sub *other = subscribe_as(fx, "c", "subscription { users { id x } }",
                                 contexts[0]);
    assert_ptr_not_equal(nobody->shared, subs[0]->shared);
    assert_ptr_not_equal(other->shared, subs[0]->shared);
    publish(fx, "{\"id\":1}");
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, resolver_calls), 6);
    for (int i = 0; i < 5; i++)
        fq_security_context_unref(contexts[i]);
    fixture_fini(fx);
}

static void
test_shared_follows_a_new_context(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_security_context *one = context_of("u1", "t1", "r");
    fq_security_context *same = context_of("u2", "t1", "r");
    fq_security_context *other = context_of("u1", "t1", "q");
    fq_sub *a = subscribe_as(fx, "a", QUERY, one);
    fq_sub *b = subscribe_as(fx, "b", QUERY, one);
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    publish(fx, "{\"id\":1}");
    publish(fx, "{\"id\":2}");
    assert_int_equal(fq_engine_renew(fx->engine, a, same, 1, 1, &errors),
                     FQ_OK);
    assert_ptr_equal(a->shared, b->shared);
    assert_int_equal(fq_engine_renew(fx->engine, b, other, 1, 1, &errors),
                     FQ_OK);
    assert_ptr_not_equal(a->shared, b->shared);
    assert_int_equal(b->n_carried, 2);
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":10}");
    fixture_assert_log(fx, "shared 1 1\n" NEXT("a", 10) "shared 1 2\n");
    fq_engine_check(fx->engine);
    fq_gql_errors_fini(&errors);
    fq_security_context_unref(one);
    fq_security_context_unref(same);
    fq_security_context_unref(other);
    fixture_fini(fx);
}

static void
test_shared_gives_nothing_lost_to_who_comes_back(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_security_context *one = context_of("u1", "t1", "r");
    fq_security_context *other = context_of("u1", "t1", "q");
    fq_sub *a = subscribe_as(fx, "a", QUERY, one);
    subscribe_as(fx, "b", QUERY, one);
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    publish(fx, "{\"id\":1}");
    publish(fx, "{\"id\":2}");
    fq_security_context *const turns[] = {other, one, other, one};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(
            fq_engine_renew(fx->engine, a, turns[i], 1, 1, &errors), FQ_OK);
        assert_int_equal(a->n_carried, 2);
    }
    publish(fx, "{\"id\":3}");
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":10}");
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":20}");
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":30}");
    fixture_assert_log(
        fx,
        "shared 1 1\nclose 2\nclose 3\n" NEXT("b", 10) "shared 1 2\n" NEXT(
            "b", 20) "shared 1 3\n" NEXT("b", 30) "next a "
                                                  "{\"data\":{\"users\":{"
                                                  "\"id\":30}}} dropped 2\n");
    fq_engine_check(fx->engine);
    fq_gql_errors_fini(&errors);
    fq_security_context_unref(one);
    fq_security_context_unref(other);
    fixture_fini(fx);
}

/* The context is replaced while an event is between two listeners. */
static void
test_shared_counts_what_is_lost_within_an_event(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_security_context *one = context_of("u1", "t1", "r");
    fq_security_context *other = context_of("u1", "t1", "q");
    fq_sub *a = subscribe_as(fx, "a", QUERY, one);
    subscribe_as(fx, "b", QUERY, one);
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fx->engine->dispatch.slice = 1;
    publish(fx, "{\"id\":1}");
    assert_int_equal(fq_engine_renew(fx->engine, a, other, 1, 1, &errors),
                     FQ_OK);
    assert_int_equal(a->n_carried, 1);
    while (fq_engine_run(fx->engine, 1))
        ;
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":10}");
    fixture_assert_log(fx, "shared 1 1\n" NEXT("b", 10));
    fq_gql_errors_fini(&errors);
    fq_security_context_unref(one);
    fq_security_context_unref(other);
    fixture_fini(fx);
}

static void
test_shared_skips_who_has_left(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *a = subscribe(fx, "a");
    fq_sub *b = subscribe(fx, "b");
    publish(fx, "{\"id\":1}");
    publish(fx, "{\"id\":2}");
    fq_engine_unsubscribe(fx->engine, a, FQ_END_COMPLETE);
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":10}");
    fixture_assert_log(fx, "shared 1 1\n" NEXT("b", 10) "shared 1 2\n");
    fq_engine_unsubscribe(fx->engine, b, FQ_END_COMPLETE);
    assert_int_equal(fx->n_done, 2);
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":20}");
    subscribe(fx, "c");
    publish(fx, "{\"id\":3}");
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":0}");
    fixture_assert_log(fx, "close 1 called\nshared 2 3\n");
    fixture_fini(fx);
}

static void
end_all(fixture *fx, fq_sub *sub)
{
    (void)sub;
    fixture_end_all(fx, &fx->sinks[0].sink);
}

static void
publish_again(fixture *fx, fq_sub *sub)
{
    (void)sub;
    publish(fx, "{\"id\":9}");
}

static void
answer_at_once(fixture *fx, fq_shared *shared)
{
    fixture_answer_shared(fx, shared->id, FQ_ANSWER_VALUE, "{\"id\":7}");
}

static void
test_shared_survives_its_callbacks(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    subscribe(fx, "a");
    subscribe(fx, "b");
    /* An event from a callback comes to each behind the present one. */
    fx->shared_hook = answer_at_once;
    fx->next_hook = publish_again;
    fx->n_hooks_left = 1;
    publish(fx, "{\"id\":1}");
    fixture_assert_log(fx, "shared 1 1\n" NEXT("a", 7)
                               NEXT("b", 7) "shared 1 2\n" NEXT("a", 7)
                                   NEXT("b", 7));
    fx->next_hook = end_all;
    fx->n_hooks_left = 1;
    publish(fx, "{\"id\":1}");
    fixture_assert_log(fx, "shared 1 3\n" NEXT("a", 7) "close 1\n");
    fq_engine_check(fx->engine);
    assert_int_equal(fx->n_done, 3);
    fixture_fini(fx);
}

static void
test_shared_line_is_bounded(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *a = subscribe(fx, "a");
    fq_sub *b = subscribe(fx, "b");
    fx->overflow_drops = true;
    for (int i = 0; i < 5; i++)
        publish(fx, "{\"id\":1}");
    assert_int_equal(a->n_carried, 1);
    assert_int_equal(b->n_carried, 1);
    assert_int_equal(a->shared->n_waiting, 3);
    fx->overflow_drops = false;
    publish(fx, "{\"id\":1}");
    fixture_assert_log(fx, "shared 1 1\noverflow a\noverflow b\n"
                           "overflow a\noverflow b\nclose 1 called\n");
    assert_int_equal(fx->n_done, 6);
    fixture_fini(fx);
}

static void
test_shared_is_not_without_a_route(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fx->sinks[0].sink.route = NULL;
    fq_sub *a = subscribe(fx, "a");
    assert_null(a->shared);
    publish(fx, "{\"id\":1}");
    fixture_answer(fx, a, FQ_ANSWER_VALUE, "{\"id\":7}");
    fixture_assert_log(fx, "call a 1\n" NEXT("a", 7));
    fixture_fini(fx);
}

/* Whatever is not delivered for want of memory, is told. */
static fq_status
body_shared(void *arg)
{
    (void)arg;
    fixture fx;
    fq_sub *subs[3] = {0};
    fq_status status = fixture_init(&fx);
    fx.is_quiet = true;
    if (status == FQ_OK) {
        fixture_share(&fx);
        status = fq_engine_field_add(fx.engine, &shared_field);
    }
    for (int i = 0; i < 3 && status == FQ_OK; i++)
        status = fixture_subscribe(&fx, "a", QUERY, &subs[i]);
    size_t n_published = 0;
    for (int i = 0; i < 3 && status == FQ_OK; i++) {
        status = fixture_publish(&fx, "users", "{\"id\":1}");
        n_published += status == FQ_OK;
        fq_engine_check(fx.engine);
    }
    for (int i = 0; i < 3 && subs[2] != NULL; i++)
        fixture_answer_shared(&fx, 1, FQ_ANSWER_VALUE, "{\"id\":7}");
    if (subs[2] != NULL)
        assert_true(fx.n_next <= 3 * n_published);
    fixture_fini(&fx);
    return status;
}

static void
test_shared_survives_without_memory(void **state)
{
    (void)state;
    fq_test_body(body_shared, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_shared_calls_once_in_order),
        FQ_TEST(test_shared_keeps_classes_apart),
        FQ_TEST(test_shared_follows_a_new_context),
        FQ_TEST(test_shared_gives_nothing_lost_to_who_comes_back),
        FQ_TEST(test_shared_counts_what_is_lost_within_an_event),
        FQ_TEST(test_shared_skips_who_has_left),
        FQ_TEST(test_shared_survives_its_callbacks),
        FQ_TEST(test_shared_line_is_bounded),
        FQ_TEST(test_shared_is_not_without_a_route),
        FQ_TEST(test_shared_survives_without_memory),
        FQ_TEST(test_shared_tells_of_a_gap_behind_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
