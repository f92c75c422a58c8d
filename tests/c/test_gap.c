/* SPDX-License-Identifier: MIT */
/* Events that nobody can read: everybody on their channel, and nobody else, is
 * told of a gap in their place. What is told behind resolvers is tested with
 * those, see test_caller.c and test_shared.c. */
#include "engine/gap.h"

#include "engine/engine.h"
#include "engine_fixture.h"

#define GAP(name) "next " name " {\"gap\":1}\n"
#define USERS(name, n) "next " name " {\"data\":{\"users\":{\"id\":" #n "}}}\n"

static void
subscribe(fixture *fx, const char *name, const char *query)
{
    fq_sub *sub;
    assert_int_equal(fixture_subscribe(fx, name, query, &sub), FQ_OK);
}

static void
publish(fixture *fx, const char *channel, const char *data)
{
    assert_int_equal(fixture_publish(fx, channel, data), FQ_OK);
    while (fq_engine_run(fx->engine, 12))
        fq_engine_check(fx->engine);
    fq_engine_check(fx->engine);
}

/* A field of channel "users" whose subscriptions are found by the event's id. */
static void
add_filtered(fixture *fx)
{
    fq_str text = FQ_STR("[\"==\",{\"event\":[\"id\"]},{\"arg\":[\"id\"]}]");
    yyjson_doc *ir = yyjson_read(text.ptr, text.len, 0);
    fq_filter *where;
    assert_int_equal(fq_filter_compile(yyjson_doc_get_root(ir), &where, NULL),
                     FQ_OK);
    yyjson_doc_free(ir);
    fq_field field = {.name = FQ_STR("user"),
                      .kind = FQ_FIELD_EVENT,
                      .channels = (fq_str[]){FQ_STR("users")},
                      .n_channels = 1,
                      .where = where};
    assert_int_equal(fq_engine_field_add(fx->engine, &field), FQ_OK);
    fq_filter_unref(where);
}

static void
check_told(size_t slice)
{
    fixture fx;
    assert_int_equal(fixture_init(&fx), FQ_OK);
    fx.engine->dispatch.slice = slice;
    subscribe(&fx, "a", "subscription { users { id } }");
    subscribe(&fx, "b", "subscription { posts { id } }");
    publish(&fx, "users", "{\"id\":1}");
    fixture_assert_log(&fx, USERS("a", 1));
    publish(&fx, "users", NULL);
    publish(&fx, "nobody", NULL);
    fixture_assert_log(&fx, GAP("a"));
    /* Whom an event would find by a value only: that could have been theirs. */
    add_filtered(&fx);
    subscribe(&fx, "c", "subscription { user(id: 7) { id } }");
    subscribe(&fx, "d", "subscription { user(id: 8) { id } }");
    publish(&fx, "users", NULL);
    fixture_assert_log(&fx, GAP("a") GAP("c") GAP("d"));
    publish(&fx, "users", "{\"id\":7}");
    fixture_assert_log(
        &fx, USERS("a", 7) "next c {\"data\":{\"user\":{\"id\":7}}}\n");
    assert_int_equal(FQ_METRIC_GET(&fx.metrics, subscriptions_with_gaps), 4);
    assert_int_equal(fx.n_done, fx.n_events);
    fixture_fini(&fx);
}

static void
test_gap_stands_in_place_of_what_nobody_can_read(void **state)
{
    (void)state;
    check_told(1);
    check_told(100);
}

/* Ends the other one of two. */
static void
end_b(fixture *fx, fq_sub *sub)
{
    (void)sub;
    fq_sub *other = fx->hook_arg;
    fq_engine_unsubscribe(fx->engine, other, FQ_END_COMPLETE);
}

static void
test_gap_may_end_who_would_be_told_next(void **state)
{
    (void)state;
    fixture fx;
    assert_int_equal(fixture_init(&fx), FQ_OK);
    add_filtered(&fx);
    fq_sub *last;
    subscribe(&fx, "a", "subscription { user(id: 7) { id } }");
    assert_int_equal(fixture_subscribe(&fx, "b",
                                       "subscription { user(id: 7) { id } }",
                                       &last),
                     FQ_OK);
    fx.next_hook = end_b;
    fx.hook_arg = last;
    fx.n_hooks_left = 1;
    publish(&fx, "users", NULL);
    fixture_assert_log(&fx, GAP("a"));
    fixture_fini(&fx);
}

static void
test_gap_comes_behind_what_waits_for_a_resolver(void **state)
{
    (void)state;
    fixture fx;
    assert_int_equal(fixture_init(&fx), FQ_OK);
    fq_sub *sub;
    assert_int_equal(
        fixture_subscribe_kind(&fx, "a", "subscription { users { id } }",
                               FQ_FIELD_RESOLVER, FQ_RETURNS_FIELD, &sub),
        FQ_OK);
    publish(&fx, "users", "{\"id\":1}");
    publish(&fx, "users", NULL);
    publish(&fx, "users", "{\"id\":3}");
    fixture_assert_log(&fx, "call a 1\n");
    fq_engine_answer(fx.engine, sub->id, FQ_ANSWER_VALUE,
                     FQ_STR_LIT("{\"id\":10}"), 13);
    fixture_assert_log(&fx, USERS("a", 10) GAP("a") "call a 3\n");
    fixture_fini(&fx);
}

static fq_status
body_lost(void *arg)
{
    (void)arg;
    fixture fx;
    fq_sub *sub;
    fq_status status = fixture_init(&fx);
    fx.is_quiet = true;
    if (status == FQ_OK)
        status = fixture_subscribe(&fx, "a", "subscription { users { id } }",
                                   &sub);
    if (status == FQ_OK)
        status = fixture_publish(&fx, "users", NULL);
    /* Told, or else counted, for the next message to say so. */
    if (status == FQ_OK)
        assert_int_equal((uint32_t)fx.n_next + sub->n_carried, 1);
    fixture_fini(&fx);
    return status;
}

static void
test_gap_without_memory_is_a_loss(void **state)
{
    (void)state;
    fq_test_body(body_lost, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_gap_stands_in_place_of_what_nobody_can_read),
        FQ_TEST(test_gap_may_end_who_would_be_told_next),
        FQ_TEST(test_gap_comes_behind_what_waits_for_a_resolver),
        FQ_TEST(test_gap_without_memory_is_a_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
