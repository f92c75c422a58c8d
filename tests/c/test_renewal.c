/* SPDX-License-Identifier: MIT */
/* Contexts replaced while something waits: nothing that one was let through
 * for reaches the next. */
#include "engine/renewal.h"

#include "engine_fixture.h"
#include "json/reader.h"

#define QUERY "subscription { users { id } }"
#define NEXT(name, n) "next " name " {\"data\":{\"users\":{\"id\":" #n "}}}"

/* Events name their tenant as `t`. */
static const char policy_text[]
    = "{\"tenant_path\":[\"t\"],\"multi_tenant\":true}";

static fq_security_context *
context_of(const char *user_id, const char *tenant_id, const char *role)
{
    fq_security_context *context;
    fq_str roles[] = {fq_str_of(role)};
    fq_security_context_args args = {
        .user_id = fq_str_of(user_id),
        .tenant_id = fq_str_of(tenant_id),
        .roles = roles,
        .n_roles = 1,
    };
    assert_int_equal(fq_security_context_new(&args, &context), FQ_OK);
    return context;
}

static fixture *
fixture_start(fq_field_kind kind, bool has_initial, bool is_shared)
{
    static fixture fixture;
    assert_int_equal(fixture_init(&fixture), FQ_OK);
    fixture_share(&fixture);
    yyjson_doc *doc;
    assert_int_equal(
        fq_json_read(fq_str_of(policy_text), FQ_JSON_STRICT, &doc, NULL),
        FQ_OK);
    assert_int_equal(fq_engine_steal_policy(fixture.engine, doc, NULL), FQ_OK);
    fq_field field = {
        .name = FQ_STR("users"),
        .kind = kind,
        .token = kind == FQ_FIELD_EVENT ? 0 : 3,
        .initial_token = has_initial ? 4 : 0,
        .is_shared = is_shared,
    };
    assert_int_equal(fq_engine_field_add(fixture.engine, &field), FQ_OK);
    return &fixture;
}

static fq_sub *
subscribe(fixture *fx)
{
    fq_sub *sub;
    fq_security_context *context = context_of("ada", "t1", "r");
    fq_subscribe_args args = {
        .query = FQ_STR(QUERY),
        .handle = (void *)"a",
        .context = context,
        .now_ns = 5,
    };
    assert_int_equal(fixture_subscribe_args(fx, &args, &sub), FQ_OK);
    fq_security_context_unref(context);
    return sub;
}

static void
renew(fixture *fx, fq_sub *sub, const char *user_id, const char *tenant_id,
      const char *role)
{
    fq_security_context *context = context_of(user_id, tenant_id, role);
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    assert_int_equal(fq_engine_renew(fx->engine, sub, context, 5, 0, &errors),
                     FQ_OK);
    fq_gql_errors_fini(&errors);
    fq_security_context_unref(context);
}

static void
publish(fixture *fx, const char *data)
{
    assert_int_equal(fixture_publish(fx, "users", data), FQ_OK);
}

/* Three events, the first being called for. */
static fq_sub *
subscribe_and_wait(fixture *fx)
{
    fq_sub *sub = subscribe(fx);
    publish(fx, "{\"id\":1,\"t\":\"t1\"}");
    publish(fx, "{\"id\":2,\"t\":\"t1\"}");
    publish(fx, "{\"id\":3,\"t\":\"t1\"}");
    return sub;
}

static void
test_renewal_of_the_same_changes_nothing(void **state)
{
    (void)state;
    fixture *fx = fixture_start(FQ_FIELD_RESOLVER, false, false);
    fq_sub *sub = subscribe_and_wait(fx);
    renew(fx, sub, "ada", "t1", "r");
    for (int i = 1; i <= 3; i++)
        fixture_answer(fx, sub, FQ_ANSWER_VALUE, "{\"id\":10}");
    fixture_assert_log(fx, "call a 1\n" NEXT("a", 10) "\ncall a 2\n" NEXT(
                               "a", 10) "\ncall a 3\n" NEXT("a", 10) "\n");
    fq_engine_check(fx->engine);
    fixture_fini(fx);
}

static void
test_renewal_loses_the_answer_for_another(void **state)
{
    (void)state;
    fixture *fx = fixture_start(FQ_FIELD_RESOLVER, false, false);
    fq_sub *sub = subscribe_and_wait(fx);
    renew(fx, sub, "ada", "t1", "q");
    fq_engine_check(fx->engine);
    fixture_answer(fx, sub, FQ_ANSWER_VALUE, "{\"id\":10}");
    fixture_answer(fx, sub, FQ_ANSWER_VALUE, "{\"id\":20}");
    fixture_assert_log(
        fx, "call a 1\ncall a 2\n" NEXT("a", 20) " dropped 1\ncall a 3\n");
    fq_engine_check(fx->engine);
    fixture_fini(fx);
}

static void
test_renewal_leaves_no_trace_of_what_is_another_tenants(void **state)
{
    (void)state;
    fixture *fx = fixture_start(FQ_FIELD_RESOLVER, false, false);
    fq_sub *sub = subscribe_and_wait(fx);
    publish(fx, "{\"id\":4,\"t\":\"t2\"}");
    renew(fx, sub, "ada", "t2", "r");
    fixture_answer(fx, sub, FQ_ANSWER_VALUE, "{\"id\":10}");
    assert_null(sub->called_for);
    publish(fx, "{\"id\":5,\"t\":\"t2\"}");
    fixture_answer(fx, sub, FQ_ANSWER_VALUE, "{\"id\":50}");
    fixture_assert_log(fx, "call a 1\ncall a 5\n" NEXT("a", 50) "\n");
    fq_engine_check(fx->engine);
    fixture_fini(fx);
}

static void
test_renewal_judges_shared_answers_again(void **state)
{
    (void)state;
    fixture *fx = fixture_start(FQ_FIELD_RESOLVER, false, true);
    fq_sub *sub = subscribe_and_wait(fx);
    renew(fx, sub, "bob", "t1", "r");
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":10}");
    /* The class stays, because another is of it. */
    subscribe(fx);
    renew(fx, sub, "ada", "t2", "r");
    fixture_answer_shared(fx, 1, FQ_ANSWER_VALUE, "{\"id\":20}");
    fixture_assert_log(
        fx, "shared 1 1\n" NEXT("a", 10) "\nshared 1 2\nshared 1 3\n");
    fq_engine_check(fx->engine);
    fixture_fini(fx);
}

static void
test_renewal_asks_for_the_initial_value_again(void **state)
{
    (void)state;
    fixture *fx = fixture_start(FQ_FIELD_EVENT, true, false);
    fq_sub *sub = subscribe_and_wait(fx);
    renew(fx, sub, "bob", "t1", "r");
    publish(fx, "{\"id\":4,\"t\":\"t1\"}");
    fixture_answer(fx, sub, FQ_ANSWER_VALUE, "{\"id\":10}");
    fq_engine_check(fx->engine);
    fixture_answer(fx, sub, FQ_ANSWER_VALUE, "{\"id\":20}");
    fixture_assert_log(fx, "call a -\ncall a -\n" NEXT(
                               "a", 20) " dropped 3\n" NEXT("a", 4) "\n");
    fq_engine_check(fx->engine);
    fixture_fini(fx);
}

static void
test_renewal_lets_a_source_go_on(void **state)
{
    (void)state;
    fixture *fx = fixture_start(FQ_FIELD_SOURCE, false, false);
    fq_sub *sub = subscribe(fx);
    renew(fx, sub, "bob", "t2", "q");
    fixture_answer(fx, sub, FQ_ANSWER_VALUE, "{\"id\":10}");
    fixture_assert_log(fx, "call a -\n" NEXT("a", 10) "\ncall a -\n");
    fq_engine_check(fx->engine);
    fixture_fini(fx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_renewal_of_the_same_changes_nothing),
        FQ_TEST(test_renewal_loses_the_answer_for_another),
        FQ_TEST(test_renewal_leaves_no_trace_of_what_is_another_tenants),
        FQ_TEST(test_renewal_judges_shared_answers_again),
        FQ_TEST(test_renewal_asks_for_the_initial_value_again),
        FQ_TEST(test_renewal_lets_a_source_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
