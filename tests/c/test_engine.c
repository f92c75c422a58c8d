/* SPDX-License-Identifier: MIT */
/* The engine by scenario: who gets what in which order, and what callbacks
 * may do. The random run against a model is in test_engine_model.c. */
#include "engine/engine.h"

#include <inttypes.h>

#include "engine_fixture.h"

#define OK(call) assert_int_equal((call), FQ_OK)

static fixture *
fixture_start(void)
{
    static fixture fixture;
    OK(fixture_init(&fixture));
    return &fixture;
}

/* ── what a subscription is ── */

static void
test_engine_delivers_the_projection(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *sub;
    OK(fixture_subscribe(fx, "a", "subscription { users { id n: name } }",
                         &sub));
    assert_int_equal(sub->created_at_ns, 5);
    assert_int_equal(sub->last_event_at_ns, 0);
    OK(fixture_publish(fx, "users", "{\"id\":\"1\",\"name\":\"A\",\"x\":0}"));
    OK(fixture_publish(fx, "others", "{\"id\":\"2\"}"));
    OK(fixture_publish(fx, "users", "{\"id\":\"3\"}"));
    fixture_assert_log(
        fx, "next a {\"data\":{\"users\":{\"id\":\"1\",\"n\":\"A\"}}}\n"
            "next a {\"data\":{\"users\":{\"id\":\"3\",\"n\":null}}}\n");
    assert_int_equal(sub->last_event_at_ns, 11);
    assert_int_equal(fx->n_done, 3);
    fixture_fini(fx);
}

static void
test_engine_shares_one_payload(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *sub;
    fx->is_quiet = false;
    OK(fixture_subscribe(fx, "a", "subscription { x { n } }", &sub));
    OK(fixture_subscribe(fx, "b", "subscription { x { n } }", &sub));
    OK(fixture_subscribe_kind(fx, "c", "subscription { x { n } }",
                              FQ_FIELD_EVENT, FQ_RETURNS_DATA, &sub));
    OK(fixture_subscribe(fx, "d", "subscription { x { n } }", &sub));
    OK(fixture_subscribe(fx, "e", "subscription { y: x { n } }", &sub));
    OK(fixture_publish(fx, "x", "{\"n\":1,\"x\":{\"n\":2}}"));
    fixture_assert_log(fx, "next a {\"data\":{\"x\":{\"n\":1}}}\n"
                           "next b {\"data\":{\"x\":{\"n\":1}}}\n"
                           "next c {\"data\":{\"x\":{\"n\":2}}}\n"
                           "next d {\"data\":{\"x\":{\"n\":1}}}\n"
                           "next e {\"data\":{\"y\":{\"n\":1}}}\n");
    /* a and b share; c takes the share over and d makes it anew. */
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, projections), 4);
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, events_matched), 5);
    /* Nobody holds the last payload but the fixture. */
    assert_int_equal(atomic_load(&fx->last_payload->n_refs), 1);
    fixture_fini(fx);
}

static void
test_engine_channel_is_the_name_not_the_alias(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *sub;
    OK(fixture_subscribe(fx, "a", "subscription { alias: field }", &sub));
    assert_int_equal(fq_engine_n_listening(fx->engine, FQ_STR_LIT("field")),
                     1);
    assert_int_equal(fq_engine_n_listening(fx->engine, FQ_STR_LIT("alias")),
                     0);
    fixture_fini(fx);
}

static void
test_engine_uses_declared_channels_and_overrides(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    const fq_str channels[] = {FQ_STR("c1"), FQ_STR("c2"), FQ_STR("c1")};
    const fq_field fields[] = {
        {.name = FQ_STR("x"), .channels = channels, .n_channels = 3},
        {.name = FQ_STR("y")},
    };
    OK(fq_engine_field_add(fx->engine, &fields[0]));
    OK(fq_engine_field_add(fx->engine, &fields[1]));
    assert_int_equal(fq_engine_field_add(fx->engine, &fields[0]),
                     FQ_ERR_EXISTS);
    fq_sub *sub;
    OK(fixture_subscribe(fx, "a", "subscription { x }", &sub));
    OK(fixture_subscribe(fx, "b", "subscription { y }", &sub));
    const fq_str other[] = {FQ_STR("c2"), FQ_STR("c3"), FQ_STR("c2")};
    fq_subscribe_args args = {
        .query = FQ_STR("subscription { y }"),
        .has_override = true,
        .channels = other,
        .n_channels = 3,
        .handle = "c",
    };
    OK(fixture_subscribe_args(fx, &args, &sub));
    args.channels = NULL;
    args.query = FQ_STR_LIT("subscription { undeclared }");
    args.handle = "d";
    OK(fixture_subscribe_args(fx, &args, &sub));
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, channels_active), 5);
    const char *published[] = {"c1", "c2", "c3", "x", "y", "undeclared"};
    for (size_t i = 0; i < 6; i++)
        OK(fixture_publish(fx, published[i], "{}"));
    /* A channel named twice brings an event once. */
    fixture_assert_log(fx, "next a {\"data\":{\"x\":{}}}\n"
                           "next a {\"data\":{\"x\":{}}}\n"
                           "next c {\"data\":{\"y\":{}}}\n"
                           "next c {\"data\":{\"y\":{}}}\n"
                           "next b {\"data\":{\"y\":{}}}\n"
                           "next d {\"data\":{\"undeclared\":{}}}\n");
    fixture_fini(fx);
}

/* Subscribes and compares the outcome with status and errors. */
static void
assert_refused(fixture *fx, const fq_subscribe_args *args, fq_status status,
               bool is_request_error, const char *errors_text)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_sub *sub;
    bool was_request_error;
    assert_int_equal(fq_engine_subscribe(fx->engine, &fx->sinks[0].sink, args,
                                         &sub, &errors, &was_request_error),
                     status);
    assert_null(sub);
    assert_int_equal(was_request_error, is_request_error);
    fq_buf buf = FQ_BUF_INIT;
    fq_gql_errors_write(&errors, &buf);
    if (errors_text != NULL)
        fq_test_assert_str(fq_buf_str(&buf), errors_text);
    assert_int_not_equal(errors.n_items, 0);
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
    fq_engine_check(fx->engine);
}

static void
test_engine_refuses(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_subscribe_args args = {.query = FQ_STR("subscription {")};
    assert_refused(fx, &args, FQ_ERR_SYNTAX, false, NULL);
    args.query = FQ_STR_LIT("query { x }");
    assert_refused(fx, &args, FQ_ERR_INVALID, false,
                   "[{\"message\":\"Only subscriptions are served here, but "
                   "the operation is a query.\",\"extensions\":{\"code\":"
                   "\"VALIDATION_ERROR\"}}]");
    args.query = FQ_STR_LIT("mutation { x }");
    assert_refused(fx, &args, FQ_ERR_INVALID, false, NULL);
    args.query = FQ_STR_LIT("subscription ($n: Int!) { x(n: $n) }");
    assert_refused(fx, &args, FQ_ERR_INVALID, true, NULL);
    fq_str channels[FQ_FIELD_CHANNELS_MAX + 1] = {{0}};
    args.query = FQ_STR_LIT("subscription { x }");
    args.has_override = true;
    args.channels = channels;
    args.n_channels = FQ_FIELD_CHANNELS_MAX + 1;
    assert_refused(fx, &args, FQ_ERR_LIMIT, false, NULL);
    const fq_field field = {.name = FQ_STR("y")};
    OK(fq_engine_field_add(fx->engine, &field));
    args.has_override = false;
    assert_refused(
        fx, &args, FQ_ERR_INVALID, false,
        "[{\"message\":\"Cannot query field 'x' on type "
        "'Subscription'.\",\"locations\":[{\"line\":1,\"column\":16}]"
        ",\"extensions\":{\"code\":\"VALIDATION_ERROR\"}}]");
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, subscriptions_total), 0);
    fixture_fini(fx);
}

static void
test_engine_finds_and_counts_subscriptions(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *a, *b;
    OK(fixture_subscribe(fx, "a", "subscription { x }", &a));
    OK(fixture_subscribe(fx, "b", "subscription { x }", &b));
    fq_sub_id id = a->id;
    assert_ptr_equal(fq_engine_find(fx->engine, id), a);
    assert_int_equal(fq_engine_n_listening(fx->engine, FQ_STR_LIT("x")), 2);
    size_t iter = 0;
    assert_ptr_equal(fq_engine_next_sub(fx->engine, &iter), a);
    assert_ptr_equal(fq_engine_next_sub(fx->engine, &iter), b);
    assert_null(fq_engine_next_sub(fx->engine, &iter));
    fq_engine_unsubscribe(fx->engine, a, FQ_END_COMPLETE);
    assert_null(fq_engine_find(fx->engine, id));
    assert_null(fq_engine_find(fx->engine, 0));
    assert_int_equal(fq_engine_n_listening(fx->engine, FQ_STR_LIT("x")), 1);
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, subscriptions_total), 2);
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, subscriptions_active), 1);
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, subscriptions_completed), 1);
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, plans_cached), 1);
    fixture_fini(fx);
}

/* ── resolvers ── */

static void
test_engine_calls_a_resolver_once_at_a_time(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *a;
    OK(fixture_subscribe_kind(fx, "a", "subscription { k: x { n } }",
                              FQ_FIELD_RESOLVER, FQ_RETURNS_FIELD, &a));
    assert_int_equal(a->token, 9);
    OK(fixture_publish(fx, "x", "{}"));
    OK(fixture_publish(fx, "x", "{}"));
    OK(fixture_publish(fx, "x", "{}"));
    fixture_assert_log(fx, "call a 1\n");
    assert_true(a->n_calls > 0);
    fq_engine_check(fx->engine);
    fixture_answer(fx, a, FQ_ANSWER_VALUE, "{\"n\":[1,2]}");
    fixture_assert_log(fx,
                       "next a {\"data\":{\"k\":{\"n\":[1,2]}}}\ncall a 2\n");
    fixture_answer(fx, a, FQ_ANSWER_SKIP, "");
    fixture_assert_log(fx, "call a 3\n");
    fixture_answer(fx, a, FQ_ANSWER_ERROR, "no \"x\"");
    fixture_assert_log(
        fx, "next a {\"data\":{\"k\":null},\"errors\":[{\"message\":\"no "
            "\\\"x\\\"\",\"locations\":[{\"line\":1,\"column\":16}],\"path\":"
            "[\"k\"],\"extensions\":{\"code\":\"RESOLVER_ERROR\"}}]}\n");
    assert_int_equal(a->n_calls, 0);
    /* Nobody asked. */
    fixture_answer(fx, a, FQ_ANSWER_VALUE, "{}");
    fq_engine_answer(fx->engine, 12345, FQ_ANSWER_VALUE, FQ_STR_LIT("{}"), 0);
    fixture_assert_log(fx, "");
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, resolver_calls), 3);
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, resolver_errors), 1);
    fixture_fini(fx);
}

static void
test_engine_takes_the_whole_data_object(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *a;
    OK(fixture_subscribe_kind(fx, "a", "subscription { k: x { n } }",
                              FQ_FIELD_RESOLVER, FQ_RETURNS_DATA, &a));
    const char *values[] = {"{\"x\":{\"n\":1},\"k\":0}", "{\"k\":1}", "3"};
    for (size_t i = 0; i < 3; i++) {
        OK(fixture_publish(fx, "x", "{}"));
        fixture_answer(fx, a, FQ_ANSWER_VALUE, values[i]);
    }
    fixture_assert_log(fx, "call a 1\nnext a {\"data\":{\"k\":{\"n\":1}}}\n"
                           "call a 2\nnext a {\"data\":{\"k\":null}}\n"
                           "call a 3\nnext a {\"data\":{\"k\":null}}\n");
    fixture_fini(fx);
}

static void
test_engine_answers_garbage_with_an_error(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *a;
    OK(fixture_subscribe_kind(fx, "a", "subscription { x }", FQ_FIELD_RESOLVER,
                              FQ_RETURNS_FIELD, &a));
    const char *values[] = {"", "{", "NaN"};
    for (size_t i = 0; i < 3; i++) {
        OK(fixture_publish(fx, "x", "{}"));
        fq_buf_clear(&fx->log);
        fixture_answer(fx, a, FQ_ANSWER_VALUE, values[i]);
        fixture_assert_log(
            fx, "next a {\"data\":{\"x\":null},\"errors\":[{\"message\":\"The "
                "value of this field could not be made.\",\"locations\":[{"
                "\"line\":1,\"column\":16}],\"path\":[\"x\"],\"extensions\":{"
                "\"code\":\"RESOLVER_ERROR\"}}]}\n");
    }
    /* No garbage: a text that a client may have said. */
    OK(fixture_publish(fx, "x", "{}"));
    fq_buf_clear(&fx->log);
    fixture_answer(fx, a, FQ_ANSWER_VALUE, "\"\\ud800\"");
    fixture_assert_log(fx, "next a {\"data\":{\"x\":\"\\ud800\"}}\n");
    fixture_fini(fx);
}

static void
test_engine_event_is_done_after_its_resolvers(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *a, *b;
    OK(fixture_subscribe_kind(fx, "a", "subscription { x }", FQ_FIELD_RESOLVER,
                              FQ_RETURNS_FIELD, &a));
    OK(fixture_subscribe_kind(fx, "b", "subscription { x }", FQ_FIELD_RESOLVER,
                              FQ_RETURNS_FIELD, &b));
    OK(fixture_publish(fx, "x", "{}"));
    OK(fixture_publish(fx, "x", "{}"));
    assert_int_equal(fx->n_done, 0);
    fixture_answer(fx, a, FQ_ANSWER_VALUE, "1");
    fixture_answer(fx, a, FQ_ANSWER_VALUE, "2");
    assert_int_equal(fx->n_done, 0);
    fixture_answer(fx, b, FQ_ANSWER_VALUE, "1");
    assert_int_equal(fx->n_done, 1);
    /* Who leaves is not waited for. */
    fq_engine_unsubscribe(fx->engine, b, FQ_END_COMPLETE);
    assert_int_equal(fx->n_done, 2);
    fixture_fini(fx);
}

static void
fill_pending(fixture *fx, int n)
{
    for (int i = 0; i < n; i++)
        OK(fixture_publish(fx, "x", "{}"));
}

static void
test_engine_overflow_drops_the_oldest_waiting(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fx->overflow_drops = true;
    fq_sub *a;
    OK(fixture_subscribe_kind(fx, "a", "subscription { x }", FQ_FIELD_RESOLVER,
                              FQ_RETURNS_FIELD, &a));
    /* One is called for, three wait, two are too many. */
    fill_pending(fx, 6);
    fixture_assert_log(fx, "call a 1\noverflow a\noverflow a\n");
    assert_int_equal(fx->n_done, 2);
    assert_int_equal(a->n_carried, 2);
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, deliveries_dropped), 2);
    fixture_answer(fx, a, FQ_ANSWER_VALUE, "1");
    fixture_assert_log(fx, "next a {\"data\":{\"x\":1}} dropped 2\n"
                           "call a 4\n");
    fixture_fini(fx);
}

static void
test_engine_overflow_may_end_the_subscription(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *a;
    OK(fixture_subscribe_kind(fx, "a", "subscription { x }", FQ_FIELD_RESOLVER,
                              FQ_RETURNS_FIELD, &a));
    fill_pending(fx, 6);
    fixture_assert_log(fx, "call a 1\noverflow a\n");
    assert_int_equal(fx->n_done, 6);
    fixture_fini(fx);
}

static void
answer_at_once(fixture *fx, fq_sub *sub, fq_event *event)
{
    (void)event;
    fixture_answer(fx, sub, FQ_ANSWER_VALUE, "1");
}

static void
test_engine_answers_from_within_the_call_do_not_nest(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    enum { N_EVENTS = 200000 };
    fx->is_quiet = true;
    fx->engine->limits.max_pending = 0;
    fq_sub *a;
    OK(fixture_subscribe_kind(fx, "a", "subscription { x }", FQ_FIELD_RESOLVER,
                              FQ_RETURNS_FIELD, &a));
    fq_event *event;
    OK(fixture_event(fx, "x", "{}", &event));
    for (int i = 0; i < N_EVENTS; i++)
        fq_engine_dispatch(fx->engine, event, 0);
    assert_int_equal(event->n_refs, N_EVENTS + 1);
    fx->call_hook = answer_at_once;
    fixture_answer(fx, a, FQ_ANSWER_VALUE, "1");
    assert_int_equal(fx->n_next, N_EVENTS);
    assert_int_equal(event->n_refs, 1);
    fq_event_unref(event);
    fixture_fini(fx);
}

/* ── sources ── */

static void
test_engine_asks_a_source_while_there_is_room(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fx->has_room = false;
    fq_sub *a;
    OK(fixture_subscribe_kind(fx, "a", "subscription { x }", FQ_FIELD_SOURCE,
                              FQ_RETURNS_FIELD, &a));
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, channels_active), 0);
    /* The first value is asked for in any case. */
    fixture_assert_log(fx, "call a -\n");
    fixture_answer(fx, a, FQ_ANSWER_VALUE, "1");
    fixture_assert_log(fx, "next a {\"data\":{\"x\":1}}\n");
    assert_true(a->is_stalled);
    assert_int_equal(a->last_event_at_ns, 12);
    fq_engine_check(fx->engine);
    fx->has_room = true;
    fq_engine_resume(fx->engine, a->id);
    fq_engine_resume(fx->engine, a->id);
    fixture_assert_log(fx, "call a -\n");
    assert_false(a->is_stalled);
    fixture_answer(fx, a, FQ_ANSWER_SKIP, "");
    fixture_assert_log(fx, "call a -\n");
    fixture_answer(fx, a, FQ_ANSWER_END, "");
    fixture_assert_log(fx, "end a\n");
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, subscriptions_active), 0);
    fixture_fini(fx);
}

static void
test_engine_source_that_fails_ends(void **state)
{
    (void)state;
    const fq_answer_kind kinds[] = {FQ_ANSWER_FAIL, FQ_ANSWER_ERROR};
    for (size_t i = 0; i < 2; i++) {
        fixture *fx = fixture_start();
        const fq_field field = {.name = FQ_STR("x"), .kind = FQ_FIELD_SOURCE};
        OK(fq_engine_field_add(fx->engine, &field));
        fq_sub *a;
        OK(fixture_subscribe(fx, "a", "subscription { x }", &a));
        fixture_answer(fx, a, kinds[i], "gone");
        fixture_assert_log(
            fx,
            "call a -\nnext a {\"data\":{\"x\":null},\"errors\":[{"
            "\"message\":\"gone\",\"locations\":[{\"line\":1,\"column\":16}],"
            "\"path\":[\"x\"],\"extensions\":{\"code\":\"RESOLVER_ERROR\"}}]}"
            "\nend a\n");
        assert_int_equal(FQ_METRIC_GET(&fx->metrics, resolver_errors), 1);
        fixture_fini(fx);
    }
}

static void
end_from_call(fixture *fx, fq_sub *sub, fq_event *event)
{
    (void)event;
    fixture_answer(fx, sub, FQ_ANSWER_END, "");
}

static void
test_engine_source_may_end_before_subscribe_returns(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fx->call_hook = end_from_call;
    fq_sub *a = (fq_sub *)1;
    OK(fixture_subscribe_kind(fx, "a", "subscription { x }", FQ_FIELD_SOURCE,
                              FQ_RETURNS_FIELD, &a));
    assert_null(a);
    fixture_assert_log(fx, "call a -\nend a\n");
    fixture_fini(fx);
}

static void
stop_after_many(fixture *fx, fq_sub *sub, fq_event *event)
{
    (void)event;
    fx->has_room = ++fx->n_hooks_left < 100000;
    fixture_answer(fx, sub, FQ_ANSWER_VALUE, "1");
}

static void
test_engine_source_that_answers_at_once_does_not_nest(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fx->is_quiet = true;
    fx->call_hook = stop_after_many;
    fq_sub *a;
    OK(fixture_subscribe_kind(fx, "a", "subscription { x }", FQ_FIELD_SOURCE,
                              FQ_RETURNS_FIELD, &a));
    assert_int_equal(fx->n_next, 100000);
    assert_true(a->is_stalled);
    fixture_fini(fx);
}

static void
unsubscribe_in_end(fixture *fx, fq_sub *sub)
{
    fq_engine_unsubscribe(fx->engine, sub, FQ_END_COMPLETE);
}

static void
test_engine_end_callback_may_unsubscribe(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fx->end_hook = unsubscribe_in_end;
    fq_sub *a;
    OK(fixture_subscribe_kind(fx, "a", "subscription { x }", FQ_FIELD_SOURCE,
                              FQ_RETURNS_FIELD, &a));
    fixture_answer(fx, a, FQ_ANSWER_END, "");
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, subscriptions_completed), 1);
    fixture_fini(fx);
}

/* ── what callbacks may do ── */

/* Four subscriptions a to d; |hook| runs in the first |n_hooks| next's. */
static void
with_four(void (*hook)(fixture *fx, fq_sub *sub), int n_hooks,
          const char *expected)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    fq_sub *subs[4];
    fixture *fx = fixture_start();
    for (int i = 0; i < 4; i++)
        OK(fixture_subscribe(fx, names[i], "subscription { x }", &subs[i]));
    fx->next_hook = hook;
    fx->hook_arg = subs;
    fx->n_hooks_left = n_hooks;
    OK(fixture_publish(fx, "x", "{}"));
    fq_engine_check(fx->engine);
    char names_met[64] = "";
    size_t n = 0;
    for (const char *line = fx->log.len > 0 ? fx->log.ptr : NULL;
         line != NULL && line < fx->log.ptr + fx->log.len;
         line = (char *)memchr(line, '\n', fx->log.len) + 1)
        names_met[n++] = line[5];
    assert_string_equal(names_met, expected);
    assert_int_equal(fx->n_done, fx->n_events);
    fixture_fini(fx);
}

static void
end_self(fixture *fx, fq_sub *sub)
{
    fq_engine_unsubscribe(fx->engine, sub, FQ_END_COMPLETE);
}

static void
end_other(fixture *fx, int i)
{
    fq_engine_unsubscribe(fx->engine, ((fq_sub **)fx->hook_arg)[i],
                          FQ_END_COMPLETE);
}

static void
end_first(fixture *fx, fq_sub *sub)
{
    (void)sub;
    end_other(fx, 0);
}

static void
end_second(fixture *fx, fq_sub *sub)
{
    (void)sub;
    end_other(fx, 1);
}

static void
end_last(fixture *fx, fq_sub *sub)
{
    (void)sub;
    end_other(fx, 3);
}

static void
end_sink(fixture *fx, fq_sub *sub)
{
    fq_sink *sink = sub->sink;
    fixture_end_all(fx, sink);
    /* The engine must not touch the sink any more. */
    const fq_sink_ops *ops = sink->ops;
    memset(sink, 0xff, sizeof(*sink));
    sink->ops = ops;
    fq_list_init(&sink->subs);
}

static void
subscribe_new(fixture *fx, fq_sub *sub)
{
    (void)sub;
    fq_sub *added;
    OK(fixture_subscribe(fx, "e", "subscription { x }", &added));
}

static void
replace_all(fixture *fx, fq_sub *sub)
{
    end_sink(fx, sub);
    subscribe_new(fx, NULL);
}

static void
publish_inside(fixture *fx, fq_sub *sub)
{
    (void)sub;
    OK(fixture_publish(fx, "x", "{}"));
}

static void
test_engine_callbacks_may_change_everything(void **state)
{
    (void)state;
    with_four(end_self, 4, "abcd");
    with_four(end_first, 1, "abcd");
    with_four(end_second, 1, "acd");
    with_four(end_last, 1, "abc");
    with_four(end_sink, 1, "a");
    with_four(subscribe_new, 1, "abcd");
    with_four(replace_all, 1, "a");
    with_four(publish_inside, 1, "abcdabcd");
    with_four(publish_inside, 2, "abcdabcdabcd");
}

static void
publish_and_subscribe(fixture *fx, fq_sub *sub)
{
    publish_inside(fx, sub);
    subscribe_new(fx, sub);
    publish_inside(fx, sub);
}

static void
test_engine_new_subscription_misses_what_waits(void **state)
{
    (void)state;
    /* The event in hand and the one that waits came before it. */
    with_four(publish_and_subscribe, 1, "abcdabcdabcde");
}

static void
unsubscribe_in_done(fq_event *event, void *arg)
{
    (void)event;
    fixture *fx = arg;
    fixture_end_all(fx, &fx->sinks[0].sink);
}

static void
test_engine_done_callback_may_end_subscriptions(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        fixture *fx = fixture_start();
        fx->overflow_drops = true;
        fq_sub *a;
        OK(fixture_subscribe_kind(fx, "a", "subscription { x }",
                                  FQ_FIELD_RESOLVER, FQ_RETURNS_FIELD, &a));
        fill_pending(fx, 1);
        fq_event *event;
        OK(fixture_event(fx, "x", "{}", &event));
        event->done_cb = unsubscribe_in_done;
        fq_engine_dispatch(fx->engine, event, 0);
        fq_event_unref(event);
        if (i == 0) {
            fixture_answer(fx, a, FQ_ANSWER_SKIP, "");
            fixture_answer(fx, a, FQ_ANSWER_SKIP, "");
        } else {
            fill_pending(fx, 3);
        }
        assert_int_equal(FQ_METRIC_GET(&fx->metrics, subscriptions_active), 0);
        fixture_fini(fx);
    }
}

/* ── slices ── */

static void
test_engine_dispatches_in_slices(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    enum { N_SUBS = FQ_DISPATCH_SLICE * 2 + 100 };
    fx->is_quiet = true;
    fq_sub *sub, *first = NULL;
    for (int i = 0; i < N_SUBS; i++) {
        OK(fixture_subscribe(fx, "", "subscription { x }", &sub));
        if (first == NULL)
            first = sub;
    }
    fq_event *event;
    OK(fixture_event(fx, "x", "{}", &event));
    assert_true(fq_engine_dispatch(fx->engine, event, 0));
    assert_true(fx->n_next <= FQ_DISPATCH_SLICE);
    assert_true(fx->n_next > FQ_DISPATCH_SLICE - 10);
    assert_true(fq_engine_dispatch(fx->engine, event, 0));
    fq_event_unref(event);
    assert_int_equal(fq_engine_n_events_waiting(fx->engine), 2);
    /* Between slices: one comes, one that got it goes, one that did not. */
    OK(fixture_subscribe(fx, "", "subscription { x }", &sub));
    fq_engine_unsubscribe(fx->engine, first, FQ_END_COMPLETE);
    sub = FQ_CONTAINER_OF(fx->sinks[0].sink.subs.prev->prev, fq_sub,
                          sink_node);
    fq_engine_unsubscribe(fx->engine, sub, FQ_END_COMPLETE);
    fq_engine_check(fx->engine);
    assert_int_equal(fx->n_done, 0);
    int n_slices = 0;
    while (fq_engine_run(fx->engine, 0))
        n_slices++;
    assert_in_range(n_slices, 2, 4);
    assert_int_equal(fx->n_next, (N_SUBS - 1) + (N_SUBS - 2));
    assert_int_equal(fx->n_done, 1);
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, events_matched), fx->n_next);
    assert_false(fq_engine_run(fx->engine, 0));
    fixture_fini(fx);
}

static void
test_engine_free_lets_waiting_events_go(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fx->engine->dispatch.slice = 2;
    fq_sub *sub;
    for (int i = 0; i < 10; i++)
        OK(fixture_subscribe(fx, "a", "subscription { x }", &sub));
    fill_pending(fx, 3);
    assert_int_equal(fx->n_done, 0);
    fixture_fini(fx);
    assert_int_equal(fx->n_done, 3);
}

/* ── memory out ── */

static void
test_engine_lost_events_are_counted_and_told(void **state)
{
    (void)state;
    fixture *fx = fixture_start();
    fq_sub *sub;
    OK(fixture_subscribe(fx, "a", "subscription { x }", &sub));
    OK(fixture_subscribe(fx, "b", "subscription { x { n } }", &sub));
    fq_event *event;
    OK(fixture_event(fx, "x", "{\"n\":1}", &event));
    /* Nothing at all can be had: no payload. */
    fq_alloc_fail_after(0);
    fq_engine_dispatch(fx->engine, event, 0);
    fq_alloc_fail_after(-1);
    /* The line is full and cannot grow: no place for the event. */
    fx->engine->dispatch.slice = 0;
    while (fx->engine->dispatch.waiting.n_items
           < fx->engine->dispatch.waiting.cap)
        fq_engine_dispatch(fx->engine, event, 0);
    size_t n_waiting = fq_engine_n_events_waiting(fx->engine);
    fq_alloc_fail_after(0);
    fq_engine_dispatch(fx->engine, event, 0);
    fq_alloc_fail_after(-1);
    assert_int_equal(fq_engine_n_events_waiting(fx->engine), n_waiting);
    assert_int_equal(FQ_METRIC_GET(&fx->metrics, deliveries_dropped), 4);
    fq_buf_clear(&fx->log);
    fx->engine->dispatch.slice = 3;
    fq_engine_run(fx->engine, 0);
    fixture_assert_log(fx, "next a {\"data\":{\"x\":{\"n\":1}}} dropped 2\n"
                           "next b {\"data\":{\"x\":{\"n\":1}}} dropped 2\n");
    fx->engine->dispatch.slice = 1000;
    while (fq_engine_run(fx->engine, 0))
        ;
    fq_event_unref(event);
    fixture_fini(fx);
}

/* What every subscription met: delivered, told or to be told. */
typedef struct tally {
    uint64_t n_delivered;
    uint64_t n_told;
} tally;

static void
tally_next(fq_sink *sink, fq_sub *sub, fq_rcbuf *payload)
{
    (void)sink;
    (void)payload;
    tally *tally = sub->handle;
    tally->n_delivered++;
    tally->n_told += sub->n_carried;
    sub->n_carried = 0;
}

static void
tally_call(fq_sink *sink, fq_sub *sub, fq_event *event)
{
    (void)event;
    fixture *fx = fixture_of_sink(sink);
    fixture_answer(fx, sub, FQ_ANSWER_VALUE, "{\"n\":2}");
}

/* Everything at once; whatever memory is refused, each subscription that
 * could be made accounts for every event that could be made. */
static fq_status
body_engine(void *arg)
{
    (void)arg;
    static const fq_sink_ops ops = {.next = tally_next, .call = tally_call};
    fixture fx;
    fq_status status = fixture_init(&fx);
    if (status != FQ_OK) {
        fixture_fini(&fx);
        return status;
    }
    fx.sinks[0].sink.ops = &ops;
    const fq_str channels[] = {FQ_STR("x"), FQ_STR("y")};
    const fq_field field = {
        .name = FQ_STR("x"), .channels = channels, .n_channels = 2};
    fq_status first = fq_engine_field_add(fx.engine, &field);
    tally tallies[6] = {{0}};
    fq_sub *subs[6] = {NULL};
    for (int i = 0; i < 6; i++) {
        fq_subscribe_args args = {
            .query = i % 2 == 0 ? FQ_STR_LIT("subscription A { x { n } }")
                                : FQ_STR_LIT("subscription A { x }"),
            .operation_name = FQ_STR("A"),
            .has_override = true,
            .kind = i < 3 ? FQ_FIELD_EVENT : FQ_FIELD_RESOLVER,
            .handle = &tallies[i],
        };
        status = fixture_subscribe_args(&fx, &args, &subs[i]);
        assert_true(status == FQ_OK || status == FQ_ERR_NOMEM);
        assert_int_equal(status == FQ_OK, subs[i] != NULL);
        if (first == FQ_OK)
            first = status;
        fq_engine_check(fx.engine);
    }
    uint64_t n_published = 0;
    for (int i = 0; i < 4; i++) {
        status = fixture_publish(&fx, "x", "{\"n\":1}");
        n_published += status == FQ_OK;
        if (first == FQ_OK)
            first = status;
        fq_engine_check(fx.engine);
    }
    for (int i = 0; i < 6; i++) {
        if (subs[i] == NULL)
            continue;
        assert_int_equal(tallies[i].n_delivered + tallies[i].n_told
                             + subs[i]->n_carried,
                         n_published);
    }
    fixture_fini(&fx);
    return first;
}

static void
test_engine_survives_failing_allocations(void **state)
{
    (void)state;
    fq_test_body(body_engine, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_engine_delivers_the_projection),
        FQ_TEST(test_engine_shares_one_payload),
        FQ_TEST(test_engine_channel_is_the_name_not_the_alias),
        FQ_TEST(test_engine_uses_declared_channels_and_overrides),
        FQ_TEST(test_engine_refuses),
        FQ_TEST(test_engine_finds_and_counts_subscriptions),
        FQ_TEST(test_engine_calls_a_resolver_once_at_a_time),
        FQ_TEST(test_engine_takes_the_whole_data_object),
        FQ_TEST(test_engine_answers_garbage_with_an_error),
        FQ_TEST(test_engine_event_is_done_after_its_resolvers),
        FQ_TEST(test_engine_overflow_drops_the_oldest_waiting),
        FQ_TEST(test_engine_overflow_may_end_the_subscription),
        FQ_TEST(test_engine_answers_from_within_the_call_do_not_nest),
        FQ_TEST(test_engine_asks_a_source_while_there_is_room),
        FQ_TEST(test_engine_source_that_fails_ends),
        FQ_TEST(test_engine_source_may_end_before_subscribe_returns),
        FQ_TEST(test_engine_source_that_answers_at_once_does_not_nest),
        FQ_TEST(test_engine_end_callback_may_unsubscribe),
        FQ_TEST(test_engine_callbacks_may_change_everything),
        FQ_TEST(test_engine_new_subscription_misses_what_waits),
        FQ_TEST(test_engine_done_callback_may_end_subscriptions),
        FQ_TEST(test_engine_dispatches_in_slices),
        FQ_TEST(test_engine_free_lets_waiting_events_go),
        FQ_TEST(test_engine_lost_events_are_counted_and_told),
        FQ_TEST(test_engine_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
