/* SPDX-License-Identifier: MIT */
/* Events per second: beyond the rate they are dropped, counted and told; a
 * user's subscriptions share one bucket, strangers none. */
#include "engine/event_rate.h"

#include "base/clock.h"
#include "engine_fixture.h"

static fq_security_context *
context_new(const char *user)
{
    const fq_security_context_args args = {.user_id = fq_str_of(user)};
    fq_security_context *context;
    assert_int_equal(fq_security_context_new(&args, &context), FQ_OK);
    return context;
}

static fq_status
subscribe_as(fixture *f, const char *name, const char *user, bool is_client,
             fq_sub **psub)
{
    fq_security_context *context = context_new(user);
    fq_subscribe_args args = {
        .query = FQ_STR("subscription { a }"),
        .context = context,
        .is_client = is_client,
        .handle = (void *)name,
    };
    fq_status status = fixture_subscribe_args(f, &args, psub);
    fq_security_context_unref(context);
    return status;
}

static void
set_rates(fixture *f, double per_sub, double per_user)
{
    f->engine->events_per_subscription = fq_rate_make(per_sub, 0);
    f->engine->events_per_user = fq_rate_make(per_user, 0);
    f->engine->has_event_rates = true;
}

static void
publish_at(fixture *f, const char *data, uint64_t now_ns)
{
    fq_event *event;
    assert_int_equal(fixture_event(f, "a", data, &event), FQ_OK);
    fq_engine_dispatch(f->engine, event, now_ns);
    fq_event_unref(event);
}

static void
test_event_rate_of_a_subscription_drops_and_tells(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(fixture_init(&f), FQ_OK);
    set_rates(&f, 2, 0);
    fq_sub *sub;
    assert_int_equal(fixture_subscribe(&f, "s", "subscription { a }", &sub),
                     FQ_OK);
    for (int i = 0; i < 5; i++)
        publish_at(&f, "{\"a\":1}", FQ_NS_PER_S);
    fixture_assert_log(&f, "next s {\"data\":{\"a\":{\"a\":1}}}\n"
                           "next s {\"data\":{\"a\":{\"a\":1}}}\n");
    assert_int_equal(FQ_METRIC_GET(&f.metrics, events_limited_by_subscription),
                     3);
    assert_int_equal(FQ_METRIC_GET(&f.metrics, deliveries_dropped), 3);
    publish_at(&f, "{\"a\":2}", FQ_NS_PER_S + FQ_NS_PER_S / 2);
    fixture_assert_log(&f, "next s {\"data\":{\"a\":{\"a\":2}}} dropped 3\n");
    fixture_fini(&f);
}

static void
test_event_rate_of_a_user_is_shared(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(fixture_init(&f), FQ_OK);
    set_rates(&f, 0, 3);
    fq_sub *sub;
    assert_int_equal(subscribe_as(&f, "ada1", "ada", true, &sub), FQ_OK);
    assert_int_equal(subscribe_as(&f, "ada2", "ada", true, &sub), FQ_OK);
    assert_int_equal(subscribe_as(&f, "bob", "bob", true, &sub), FQ_OK);
    assert_int_equal(subscribe_as(&f, "x", "anonymous", true, &sub), FQ_OK);
    publish_at(&f, "{}", 1);
    fixture_assert_log(&f, "next ada1 {\"data\":{\"a\":{}}}\n"
                           "next ada2 {\"data\":{\"a\":{}}}\n"
                           "next bob {\"data\":{\"a\":{}}}\n"
                           "next x {\"data\":{\"a\":{}}}\n");
    publish_at(&f, "{}", 1);
    fixture_assert_log(&f, "next ada1 {\"data\":{\"a\":{}}}\n"
                           "next bob {\"data\":{\"a\":{}}}\n"
                           "next x {\"data\":{\"a\":{}}}\n");
    assert_int_equal(FQ_METRIC_GET(&f.metrics, events_limited_by_user), 1);
    assert_int_equal(fq_user_table_n_users(&f.engine->users), 2);
    fixture_fini(&f);
}

static void
test_event_rate_takes_from_both_buckets_or_none(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(fixture_init(&f), FQ_OK);
    set_rates(&f, 1, 2);
    fq_sub *one, *two;
    assert_int_equal(subscribe_as(&f, "1", "ada", true, &one), FQ_OK);
    assert_int_equal(subscribe_as(&f, "2", "ada", true, &two), FQ_OK);
    assert_true(fq_event_rate_allows(f.engine, one, 1));
    for (int i = 0; i < 5; i++)
        assert_false(fq_event_rate_allows(f.engine, one, 1));
    /* What |one| was refused did not cost its user anything. */
    assert_true(fq_event_rate_allows(f.engine, two, 1));
    assert_int_equal(one->n_carried, 5);
    fixture_fini(&f);
}

static fq_status
body_user_cap(void *arg)
{
    (void)arg;
    fixture f;
    fq_status status = fixture_init(&f);
    if (status == FQ_OK) {
        f.engine->limits.max_subs_per_user = 1;
        fq_sub *sub;
        status = fixture_subscribe(&f, "x", "subscription { a }", &sub);
    }
    fixture_fini(&f);
    return status;
}

static void
test_event_rate_user_cap_holds_for_clients_only(void **state)
{
    (void)state;
    fq_test_body(body_user_cap, NULL);
    fixture f;
    assert_int_equal(fixture_init(&f), FQ_OK);
    f.engine->limits.max_subs_per_user = 1;
    fq_sub *sub, *own;
    assert_int_equal(subscribe_as(&f, "1", "ada", true, &sub), FQ_OK);
    assert_int_equal(subscribe_as(&f, "2", "ada", true, &own), FQ_ERR_LIMIT);
    assert_int_equal(subscribe_as(&f, "3", "bob", true, &own), FQ_OK);
    assert_int_equal(subscribe_as(&f, "4", "ada", false, &own), FQ_OK);
    assert_int_equal(FQ_METRIC_GET(&f.metrics, refused_user_subscriptions), 1);
    assert_int_equal(FQ_METRIC_GET(&f.metrics, refused_other_limits), 0);
    fq_engine_unsubscribe(f.engine, sub, FQ_END_COMPLETE);
    assert_int_equal(subscribe_as(&f, "5", "ada", true, &sub), FQ_ERR_LIMIT);
    fq_engine_unsubscribe(f.engine, own, FQ_END_COMPLETE);
    assert_int_equal(subscribe_as(&f, "6", "ada", true, &sub), FQ_OK);
    fixture_fini(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_event_rate_of_a_subscription_drops_and_tells),
        FQ_TEST(test_event_rate_of_a_user_is_shared),
        FQ_TEST(test_event_rate_takes_from_both_buckets_or_none),
        FQ_TEST(test_event_rate_user_cap_holds_for_clients_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
