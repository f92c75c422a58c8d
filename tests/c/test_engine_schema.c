/* SPDX-License-Identifier: MIT */
/* The engine with a schema: what is served, what an event gives, and what
 * becomes of running subscriptions when the schema is replaced. */
#include "engine_fixture.h"

#include "graphql_fixture.h"

#define OK(expression) assert_int_equal((expression), FQ_OK)

static const char first_sdl[]
    = "type Query { a: Int } type Subscription { tick(by: Int! = 1): Tick "
      "sure: Tick! other: Any } type Tick { n: Int! note: String } "
      "scalar Any";
static const char second_sdl[]
    = "type Query { a: Int } type Subscription { tick: Tick } "
      "type Tick { n: String }";

static void
test_engine_schema_decides_what_is_served(void **state)
{
    (void)state;
    fixture fx;
    OK(fixture_init(&fx));
    static const fq_field tick = {.name = FQ_STR("tick")};
    OK(fq_engine_field_add(fx.engine, &tick));
    fq_engine_steal_schema(fx.engine, build_schema(first_sdl), false, NULL);
    fq_sub *sub;
    OK(fixture_subscribe(&fx, "a", "subscription { tick { n } }", &sub));
    assert_int_equal(
        fixture_subscribe(&fx, "b", "subscription { tick { x } }", &sub),
        FQ_ERR_INVALID);
    assert_int_equal(
        fixture_subscribe(&fx, "b", "subscription { other }", &sub),
        FQ_ERR_INVALID);
    OK(fixture_subscribe_kind(&fx, "c", "subscription { other }",
                              FQ_FIELD_EVENT, FQ_RETURNS_FIELD, &sub));
    fq_engine_steal_schema(fx.engine, build_schema(first_sdl), true, NULL);
    OK(fixture_subscribe(&fx, "b", "subscription { other }", &sub));
    OK(fixture_publish(&fx, "other", "{\"x\":7}"));
    fixture_assert_log(&fx, "next c {\"data\":{\"other\":{\"x\":7}}}\n"
                            "next b {\"data\":{\"other\":{\"x\":7}}}\n");
    fixture_fini(&fx);
}

static void
test_engine_schema_completes_events(void **state)
{
    (void)state;
    fixture fx;
    OK(fixture_init(&fx));
    fq_engine_steal_schema(fx.engine, build_schema(first_sdl), true, NULL);
    fq_sub *sub;
    OK(fixture_subscribe(&fx, "a", "subscription { t: tick { n note } }",
                         &sub));
    OK(fixture_subscribe(&fx, "b", "subscription { sure { n } }", &sub));
    OK(fixture_publish(&fx, "tick", "{\"n\":\"5\",\"note\":1}"));
    OK(fixture_publish(&fx, "tick", "{\"n\":null}"));
    OK(fixture_publish(&fx, "sure", "{}"));
    fixture_assert_log(
        &fx,
        "next a {\"data\":{\"t\":{\"n\":5,\"note\":\"1\"}}}\n"
        "next a {\"data\":{\"t\":null},\"errors\":[{\"message\":\"Cannot "
        "return null for non-nullable field Tick.n.\",\"locations\":[{"
        "\"line\":1,\"column\":26}],\"path\":[\"t\",\"n\"]}]}\n"
        "next b {\"data\":null,\"errors\":[{\"message\":\"Cannot return null "
        "for non-nullable field Tick.n.\",\"locations\":[{\"line\":1,"
        "\"column\":23}],\"path\":[\"sure\",\"n\"]}]}\n");
    fixture_fini(&fx);
}

/* Bad arguments of the root field are the request's fault, like variables. */
static void
test_engine_schema_refuses_bad_arguments(void **state)
{
    (void)state;
    fixture fx;
    OK(fixture_init(&fx));
    fq_engine_steal_schema(fx.engine, build_schema(first_sdl), true, NULL);
    yyjson_doc *doc;
    OK(fq_json_read(FQ_STR_LIT("{\"by\":null}"), FQ_JSON_STRICT, &doc, NULL));
    fq_subscribe_args args = {
        .query = FQ_STR("subscription ($by: Int = 2) { tick(by: $by) { n } }"),
        .variables = yyjson_doc_get_root(doc),
        .handle = "a",
    };
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_sub *sub;
    bool is_request_error;
    assert_int_equal(fq_engine_subscribe(fx.engine, &fx.sinks[0].sink, &args,
                                         &sub, &errors, &is_request_error),
                     FQ_ERR_INVALID);
    assert_true(is_request_error);
    OK(assert_errors(
        &errors, "[{\"message\":\"Argument 'by' has invalid value: Expected "
                 "variable '$by' provided to non-null type 'Int!' not to be "
                 "None.\",\"locations\":[{\"line\":1,\"column\":40}],\"path\":"
                 "[\"tick\"]}]"));
    fq_gql_errors_fini(&errors);
    fq_json_free(doc);
    fixture_fini(&fx);
}

/* Whoever runs keeps the schema it was started with. */
static void
test_engine_schema_can_be_replaced(void **state)
{
    (void)state;
    fixture fx;
    OK(fixture_init(&fx));
    fq_sub *sub;
    static const char query[] = "subscription { tick { n } }";
    OK(fixture_subscribe(&fx, "none", query, &sub));
    fq_engine_steal_schema(fx.engine, build_schema(first_sdl), true, NULL);
    OK(fixture_subscribe(&fx, "first", query, &sub));
    fq_engine_steal_schema(fx.engine, build_schema(second_sdl), true, NULL);
    OK(fixture_subscribe(&fx, "second", query, &sub));
    OK(fixture_publish(&fx, "tick", "{\"n\":5.0}"));
    fixture_assert_log(&fx, "next none {\"data\":{\"tick\":{\"n\":5.0}}}\n"
                            "next first {\"data\":{\"tick\":{\"n\":5}}}\n"
                            "next second {\"data\":{\"tick\":{\"n\":\"5.0\"}}"
                            "}\n");
    fq_engine_steal_schema(fx.engine, NULL, false, NULL);
    OK(fixture_subscribe(&fx, "none again", "subscription { anything }",
                         &sub));
    fixture_fini(&fx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_engine_schema_decides_what_is_served),
        FQ_TEST(test_engine_schema_completes_events),
        FQ_TEST(test_engine_schema_refuses_bad_arguments),
        FQ_TEST(test_engine_schema_can_be_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
