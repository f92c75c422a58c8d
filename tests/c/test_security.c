/* SPDX-License-Identifier: MIT */
/* Security in the engine: what it refuses is told and counted, what it keeps
 * back later leaves nothing but a count. */
#include "engine/security/security.h"

#include "engine_fixture.h"
#include "json/reader.h"

/* 2020-01-01, in ns and ms since 1970. */
#define WALL_MS INT64_C(1577836800000)
#define WALL_NS (WALL_MS * 1000000)

static const fq_str subgraphs[] = {FQ_STR("orders")};

static const fq_security_context_args ada = {
    .user_id = FQ_STR("ada"),
    .tenant_id = FQ_STR("t1"),
    .boundaries = subgraphs,
    .n_boundaries = 1,
    .expires_at_ms = WALL_MS + 1000,
};

static fq_status
set_policy(fixture *fx, const char *text)
{
    yyjson_doc *doc;
    fq_status status = fq_json_read(fq_str_of(text), FQ_JSON_STRICT, &doc,
                                    NULL);
    if (status == FQ_OK)
        status = fq_engine_steal_policy(fx->engine, doc, NULL);
    return status;
}

/* Subscribes as |who| (NULL: nobody) on channel `n`. */
static fq_status
subscribe(fixture *fx, const char *name, const fq_security_context_args *who,
          fq_sub **psub)
{
    *psub = NULL;
    fq_security_context *context = NULL;
    fq_status status = FQ_OK;
    if (who != NULL)
        status = fq_security_context_new(who, &context);
    if (status != FQ_OK)
        return status;
    fq_subscribe_args args = {
        .query = FQ_STR("subscription { n }"),
        .handle = (void *)name,
        .context = context,
        .now_ns = 5,
        .wall_ns = WALL_NS,
    };
    status = fixture_subscribe_args(fx, &args, psub);
    fq_security_context_unref(context);
    return status;
}

/* Publishes on channel `n` what |tenant_id| and |boundary| own. */
static fq_status
publish(fixture *fx, const char *tenant_id, const char *boundary,
        uint64_t now_ns)
{
    fq_event *event;
    fq_status status = fixture_event(fx, "n", "{\"owner\":\"ada\"}", &event);
    if (status != FQ_OK)
        return status;
    status = fq_event_label(event, fq_str_of(tenant_id), fq_str_of(boundary),
                            FQ_STR_LIT(""), NULL);
    if (status == FQ_OK)
        fq_engine_dispatch(fx->engine, event, now_ns);
    fq_event_unref(event);
    return status;
}

#define COUNT(fx, name) FQ_METRIC_GET(&(fx)->metrics, name)

static fq_status
body_events(void *arg)
{
    (void)arg;
    static const struct {
        const char *tenant_id, *boundary;
        uint64_t now_ns;
    } events[] = {
        {"t1", "", 11}, {"t1", "orders", 11}, {"t2", "", 11},
        {"", "", 11},   {"t1", "crm", 11},    {"t1", "", 1000000005u},
    };
    fixture fx;
    fq_sub *sub;
    fq_status status = fixture_init(&fx);
    if (status == FQ_OK)
        status = set_policy(&fx, "{\"multi_tenant\":true,\"rows\":[{"
                                 "\"field\":\"n\",\"filter\":[\"==\",{"
                                 "\"event\":[\"owner\"]},{\"ctx\":["
                                 "\"user_id\"]}]}]}");
    if (status == FQ_OK)
        status = subscribe(&fx, "a", &ada, &sub);
    for (size_t i = 0;
         i < sizeof(events) / sizeof(events[0]) && status == FQ_OK; i++)
        status = publish(&fx, events[i].tenant_id, events[i].boundary,
                         events[i].now_ns);
    if (status == FQ_OK && fq_alloc_n_refused() == 0) {
        assert_int_equal(COUNT(&fx, events_matched), 2);
        assert_int_equal(COUNT(&fx, security_tenant_denied_foreign), 1);
        assert_int_equal(COUNT(&fx, security_tenant_denied_unnamed), 1);
        assert_int_equal(COUNT(&fx, security_federation_denied), 1);
        assert_int_equal(COUNT(&fx, security_expired_denied), 1);
        assert_int_equal(sub->n_carried, 0);
        assert_int_equal(sub->last_event_at_ns, 11);
    }
    fixture_fini(&fx);
    return status;
}

static void
test_security_keeps_events_back(void **state)
{
    (void)state;
    fq_test_body(body_events, NULL);
}

static void
test_security_refuses_nobody_and_the_late(void **state)
{
    (void)state;
    fixture fx;
    fq_sub *sub;
    assert_int_equal(fixture_init(&fx), FQ_OK);
    assert_int_equal(subscribe(&fx, "a", NULL, &sub), FQ_OK);
    assert_int_equal(set_policy(&fx, "{}"), FQ_OK);
    assert_int_equal(subscribe(&fx, "b", NULL, &sub), FQ_ERR_FORBIDDEN);
    fq_security_context_args late = ada;
    late.expires_at_ms = WALL_MS;
    assert_int_equal(subscribe(&fx, "c", &late, &sub), FQ_ERR_FORBIDDEN);
    late.expires_at_ms = -1;
    assert_int_equal(subscribe(&fx, "d", &late, &sub), FQ_ERR_FORBIDDEN);
    assert_int_equal(COUNT(&fx, refused_forbidden), 3);
    assert_int_equal(COUNT(&fx, security_expired_refused), 2);
    late.expires_at_ms = INT64_MAX;
    assert_int_equal(subscribe(&fx, "e", &late, &sub), FQ_OK);
    assert_true(sub->security.expires_at_ns == UINT64_MAX);
    fixture_fini(&fx);
}

static void
test_security_policy_that_cannot_work_changes_nothing(void **state)
{
    (void)state;
    fixture fx;
    fq_sub *sub;
    assert_int_equal(fixture_init(&fx), FQ_OK);
    assert_int_equal(set_policy(&fx, "{\"multi_tenant\":true}"), FQ_OK);
    assert_int_equal(set_policy(&fx, "{\"tenant_path\":[]}"), FQ_ERR_INVALID);
    assert_int_equal(subscribe(&fx, "a", &ada, &sub), FQ_OK);
    assert_true(sub->security.must_be_named);
    assert_int_equal(fq_engine_steal_policy(fx.engine, NULL, NULL), FQ_OK);
    assert_int_equal(subscribe(&fx, "b", NULL, &sub), FQ_OK);
    fixture_fini(&fx);
}

static fq_status
body_renew(void *arg)
{
    (void)arg;
    fixture fx;
    fq_sub *sub;
    fq_security_context *context = NULL;
    fq_security_context_args later = ada;
    later.expires_at_ms += 5000;
    later.tenant_id = FQ_STR_LIT("t2");
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_status status = fixture_init(&fx);
    if (status == FQ_OK)
        status = set_policy(&fx, "{\"multi_tenant\":true}");
    if (status == FQ_OK)
        status = subscribe(&fx, "a", &ada, &sub);
    if (status == FQ_OK)
        status = fq_security_context_new(&later, &context);
    if (status == FQ_OK)
        status = fq_engine_renew(fx.engine, sub, context, 5, WALL_NS, &errors);
    if (status == FQ_OK) {
        assert_ptr_equal(sub->context, context);
        assert_int_equal(sub->security.expires_at_ns, 5 + 6000000000u);
        status = fq_engine_renew(fx.engine, sub, context, 5,
                                 WALL_NS + 7000000000, &errors);
        assert_true(status == FQ_ERR_FORBIDDEN || status == FQ_ERR_NOMEM);
        if (status == FQ_ERR_FORBIDDEN)
            status = FQ_OK;
    }
    fq_gql_errors_fini(&errors);
    fq_security_context_unref(context);
    fixture_fini(&fx);
    return status;
}

static void
test_security_judges_a_renewed_context(void **state)
{
    (void)state;
    fq_test_body(body_renew, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_security_keeps_events_back),
        FQ_TEST(test_security_refuses_nobody_and_the_late),
        FQ_TEST(test_security_policy_that_cannot_work_changes_nothing),
        FQ_TEST(test_security_judges_a_renewed_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
