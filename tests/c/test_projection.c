/* SPDX-License-Identifier: MIT */
/* Projection: an event's data through a selection. The cases are data. */
#include "graphql_fixture.h"

#include "graphql/projection.h"

typedef struct fq_projection_case {
    const char *query;
    const char *variables; /* JSON; NULL: none */
    const char *data;      /* JSON; NULL: no value */
    const char *payload;   /* without its closing brace */
} fq_projection_case;

/* Compiles, binds and projects |data| twice: the first event makes shapes,
 * the second uses them. */
static fq_status
project(const fq_projection_case *it, yyjson_val *variables, yyjson_val *data)
{
    fq_plan *plan = NULL;
    fq_binding binding = {NULL, NULL, NULL};
    fq_gql_errors errors;
    fq_buf buf;
    fq_gql_errors_init(&errors);
    fq_buf_init(&buf);
    fq_status status = compile_plan(fq_str_of(it->query), no_name(), false,
                                    NULL, &plan, &errors);
    if (status == FQ_OK)
        status = fq_plan_bind(plan, variables, NULL, &binding, &errors);
    for (int i = 0; i < 2 && status == FQ_OK; i++) {
        fq_buf_clear(&buf);
        status = fq_plan_variant_project(binding.variant, data, &buf);
        if (status == FQ_OK)
            fq_test_assert_str(fq_buf_str(&buf), it->payload);
    }
    if (status != FQ_OK && status != FQ_ERR_NOMEM)
        fail_msg("%s: %s", it->query, fq_status_str(status));
    fq_binding_fini(&binding);
    fq_plan_unref(plan);
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
    return status;
}

static fq_status
body_case(void *arg)
{
    const fq_projection_case *it = arg;
    yyjson_doc *variables = NULL;
    yyjson_doc *data = NULL;
    fq_status status = FQ_OK;
    if (it->variables != NULL)
        status = fq_json_read(fq_str_of(it->variables), FQ_JSON_STRICT,
                              &variables, NULL);
    if (status == FQ_OK && it->data != NULL)
        status = fq_json_read(fq_str_of(it->data), FQ_JSON_STRICT, &data,
                              NULL);
    if (status == FQ_OK)
        status = project(it, yyjson_doc_get_root(variables),
                         yyjson_doc_get_root(data));
    fq_json_free(variables);
    fq_json_free(data);
    return status;
}

static void
run(const fq_projection_case *cases, size_t n_cases)
{
    for (size_t i = 0; i < n_cases; i++)
        fq_test_body(body_case, (void *)&cases[i]);
}

#define RUN(cases) run((cases), sizeof(cases) / sizeof((cases)[0]))
#define S(text) "subscription " text
#define A(json) "{\"data\":{\"a\":" json "}"

static void
test_projection_selects(void **state)
{
    (void)state;
    static const fq_projection_case cases[] = {
        {S("{a}"), NULL, "{\"x\":[1,{\"y\":2.50}]}",
         A("{\"x\":[1,{\"y\":2.5}]}")},
        {S("{a}"), NULL, NULL, A("null")},
        {S("{a{b}}"), NULL, NULL, A("null")},
        {S("{a{b}}"), NULL, "{\"b\":1,\"c\":2}", A("{\"b\":1}")},
        {S("{a{c b}}"), NULL, "{\"b\":1,\"c\":2}", A("{\"c\":2,\"b\":1}")},
        {S("{k:a{x:b y:b z:nope}}"), NULL, "{\"b\":1}",
         "{\"data\":{\"k\":{\"x\":1,\"y\":1,\"z\":null}}"},
        {S("{a{b{c{d}}}}"), NULL, "{\"b\":{\"c\":{\"d\":[{}],\"e\":1}}}",
         A("{\"b\":{\"c\":{\"d\":[{}]}}}")},
        {S("{a{b}}"), NULL, "[{\"b\":1},null,[{\"b\":2}],3,{}]",
         A("[{\"b\":1},null,[{\"b\":2}],null,{\"b\":null}]")},
        {S("{a{b{c}}}"), NULL, "{\"b\":\"text\"}", A("{\"b\":null}")},
        {S("{a{b}}"), NULL, "[]", A("[]")},
    };
    RUN(cases);
}

static void
test_projection_merges_fields(void **state)
{
    (void)state;
    static const fq_projection_case cases[] = {
        {S("{a{b{x} c b{y x}} a{b{z}}}"), NULL,
         "{\"b\":{\"x\":1,\"y\":2,\"z\":3},\"c\":4}",
         A("{\"b\":{\"x\":1,\"y\":2,\"z\":3},\"c\":4}")},
        {S("{a{...F b ...F}} fragment F on T{c b d{e}}"), NULL,
         "{\"b\":1,\"c\":2,\"d\":{\"e\":3}}",
         A("{\"c\":2,\"b\":1,\"d\":{\"e\":3}}")},
        {S("{...R} fragment R on Subscription{a{b} ...on X{a{c}}}"), NULL,
         "{\"b\":1,\"c\":2}", A("{\"b\":1,\"c\":2}")},
        {S("{a a{b}}"), NULL, "{\"b\":1,\"c\":2}", A("{\"b\":1}")},
    };
    RUN(cases);
}

static void
test_projection_lets_the_last_duplicate_count(void **state)
{
    (void)state;
    static const fq_projection_case cases[] = {
        {S("{a{b c}}"), NULL, "{\"b\":1,\"c\":2,\"b\":{\"x\":3}}",
         A("{\"b\":{\"x\":3},\"c\":2}")},
        {S("{a}"), NULL, "{\"b\":1,\"b\":2}", A("{\"b\":2}")},
        {S("{a{...on T{x}...on U{y}}}"), NULL,
         "{\"__typename\":\"T\",\"x\":1,\"y\":2,\"__typename\":\"U\"}",
         A("{\"y\":2}")},
    };
    RUN(cases);
}

static void
test_projection_applies_type_conditions(void **state)
{
    (void)state;
    static const char query[] = S("{a{id ...on T{x} ...F ...{w}}} fragment F "
                                  "on U{y ...on T{z}}");
    static const fq_projection_case cases[] = {
        {query, NULL, "{\"__typename\":\"T\",\"id\":1,\"x\":2,\"y\":3}",
         A("{\"id\":1,\"x\":2,\"w\":null}")},
        {query, NULL, "{\"__typename\":\"U\",\"id\":1,\"x\":2,\"y\":3}",
         A("{\"id\":1,\"y\":3,\"w\":null}")},
        {query, NULL, "{\"__typename\":\"V\",\"id\":1,\"x\":2}",
         A("{\"id\":1,\"w\":null}")},
        {query, NULL, "{\"id\":1,\"x\":2,\"y\":3}",
         A("{\"id\":1,\"x\":2,\"y\":3,\"z\":null,\"w\":null}")},
        {query, NULL, "{\"__typename\":5,\"id\":1,\"x\":2,\"y\":3}",
         A("{\"id\":1,\"x\":2,\"y\":3,\"z\":null,\"w\":null}")},
        {S("{a{...on T{x}}}"), NULL, "{\"__typename\":\"U\"}", A("{}")},
        {S("{a{...on T{b{x}}...on U{b{y}}}}"), NULL,
         "[{\"__typename\":\"T\",\"b\":{\"x\":1,\"y\":2}},"
         "{\"__typename\":\"U\",\"b\":{\"x\":1,\"y\":2}},"
         "{\"b\":{\"x\":1,\"y\":2}}]",
         A("[{\"b\":{\"x\":1}},{\"b\":{\"y\":2}},{\"b\":{\"x\":1,"
           "\"y\":2}}]")},
    };
    RUN(cases);
}

static void
test_projection_gives_typename(void **state)
{
    (void)state;
    static const fq_projection_case cases[] = {
        {S("{a{__typename b t:__typename}}"), NULL,
         "{\"__typename\":\"T\",\"b\":1}",
         A("{\"__typename\":\"T\",\"b\":1,\"t\":\"T\"}")},
        {S("{a{__typename}}"), NULL, "{}", A("{\"__typename\":null}")},
        {S("{a{__typename}}"), NULL, "{\"__typename\":{\"x\":1}}",
         A("{\"__typename\":null}")},
    };
    RUN(cases);
}

static void
test_projection_decides_conditions(void **state)
{
    (void)state;
    static const char query[] = S(
        "($x:Boolean!$y:Boolean=true){a{b@skip(if:$x)c@include(if:$y)"
        "...F@skip(if:$y) d@include(if:true)@skip(if:false)"
        "e@skip(if:true)@include(if:true)...@include(if:$x){g}}} "
        "fragment F on T{f}");
    static const fq_projection_case cases[] = {
        {query, "{\"x\":true}", "{}", A("{\"c\":null,\"d\":null,\"g\":null}")},
        {query, "{\"x\":false}", "{}",
         A("{\"b\":null,\"c\":null,\"d\":null}")},
        {query, "{\"x\":true,\"y\":false}", "{}",
         A("{\"f\":null,\"d\":null,\"g\":null}")},
        {S("($x:Boolean!){a{b@skip(if:$x)}}"), "{\"x\":true}", "{\"b\":1}",
         A("{}")},
    };
    RUN(cases);
}

/* Many fields go through the hash of a shape, in any order of members. */
static fq_status
body_wide(void *arg)
{
    bool is_reversed = *(bool *)arg;
    enum { N = 100 };
    fq_buf query, data, payload;
    fq_status status = repeat(&query, S("{a{"), "f%d ", N, "}}");
    fq_buf_append_char(&query, '\0');
    fq_buf_init(&data);
    fq_buf_init(&payload);
    fq_buf_append_str(&payload, FQ_STR_LIT("{\"data\":{\"a\":{"));
    for (int i = 0; i < 2 * N; i++) {
        int k = is_reversed ? 2 * N - 1 - i : i;
        fq_buf_append_format(&data, "%c\"f%d\":%d", i > 0 ? ',' : '{', k, k);
        if (i < N)
            fq_buf_append_format(&payload, "%s\"f%d\":%d", i > 0 ? "," : "", i,
                                 i);
    }
    fq_buf_append(&data, "}", 2);
    fq_buf_append(&payload, "}}", 3);
    if (status == FQ_OK)
        status = fq_buf_status(&query);
    if (status == FQ_OK)
        status = fq_buf_status(&data);
    if (status == FQ_OK)
        status = fq_buf_status(&payload);
    if (status == FQ_OK) {
        fq_projection_case it = {query.ptr, NULL, data.ptr, payload.ptr};
        status = body_case(&it);
    }
    fq_buf_fini(&query);
    fq_buf_fini(&data);
    fq_buf_fini(&payload);
    return status;
}

static void
test_projection_finds_members_in_any_order(void **state)
{
    (void)state;
    bool is_reversed = false;
    fq_test_body(body_wide, &is_reversed);
    is_reversed = true;
    fq_test_body(body_wide, &is_reversed);
}

/* Data that shows a new combination of types in every event: what is
 * remembered stays bounded, and the answers right. */
static fq_status
body_memo(void *arg)
{
    (void)arg;
    fq_plan *plan = NULL;
    fq_binding binding = {NULL, NULL, NULL};
    fq_gql_errors errors;
    fq_buf query, buf;
    fq_gql_errors_init(&errors);
    fq_buf_init(&buf);
    fq_status status = repeat(&query, S("{a{"), "...on T%d{b{c d e f}}", 60,
                              "}}");
    if (status == FQ_OK)
        status = compile_plan(fq_buf_str(&query), no_name(), false, NULL,
                              &plan, &errors);
    if (status == FQ_OK)
        status = fq_plan_bind(plan, NULL, NULL, &binding, &errors);
    for (int i = 0; i < 300 && status == FQ_OK; i++) {
        char data[200];
        snprintf(data, sizeof(data),
                 "[{\"__typename\":\"T%d\",\"b\":{\"__typename\":\"U%d\","
                 "\"d\":%d}}]",
                 i % 60, i, i);
        yyjson_doc *doc = NULL;
        status = fq_json_read(fq_str_of(data), FQ_JSON_STRICT, &doc, NULL);
        fq_buf_clear(&buf);
        if (status == FQ_OK)
            status = fq_plan_variant_project(binding.variant,
                                             yyjson_doc_get_root(doc), &buf);
        fq_json_free(doc);
        snprintf(data, sizeof(data),
                 A("[{\"b\":{\"c\":null,\"d\":%d,\"e\":null,\"f\":null}}]"),
                 i);
        if (status == FQ_OK)
            fq_test_assert_str(fq_buf_str(&buf), data);
    }
    if (status == FQ_OK)
        assert_true(fq_plan_n_bytes(plan)
                    < FQ_PROJECTION_MEMO_MAX * 2 + 64 * 1024);
    fq_binding_fini(&binding);
    fq_plan_unref(plan);
    fq_buf_fini(&buf);
    fq_buf_fini(&query);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_projection_bounds_its_memory(void **state)
{
    (void)state;
    fq_test_body(body_memo, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_projection_selects),
        FQ_TEST(test_projection_merges_fields),
        FQ_TEST(test_projection_lets_the_last_duplicate_count),
        FQ_TEST(test_projection_applies_type_conditions),
        FQ_TEST(test_projection_gives_typename),
        FQ_TEST(test_projection_decides_conditions),
        FQ_TEST(test_projection_finds_members_in_any_order),
        FQ_TEST(test_projection_bounds_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
