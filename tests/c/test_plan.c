/* SPDX-License-Identifier: MIT */
/* Plans: which operation, which limits, which variants; and their cache. */
#include "graphql_fixture.h"

typedef struct fq_choice_case {
    const char *query;
    const char *name; /* NULL: none */
    bool label;
    fq_status status;
    const char *result; /* root key and name, or the errors */
} fq_choice_case;

static fq_str
str_or_none(const char *text)
{
    return text != NULL ? fq_str_of(text) : no_name();
}

static fq_status
body_choice(void *arg)
{
    const fq_choice_case *it = arg;
    fq_plan *plan = NULL;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_status status = compile_plan(fq_str_of(it->query),
                                    str_or_none(it->name), it->label, NULL,
                                    &plan, &errors);
    if (status == FQ_ERR_NOMEM)
        goto out;
    assert_int_equal(status, it->status);
    if (status == FQ_OK) {
        char text[64];
        snprintf(text, sizeof(text), "%.*s:%.*s",
                 FQ_STR_FMT(fq_plan_root_key(plan)),
                 FQ_STR_FMT(fq_plan_root_name(plan)));
        assert_string_equal(text, it->result);
    } else {
        assert_null(plan);
        status = assert_errors(&errors, it->result);
    }
out:
    fq_plan_unref(plan);
    fq_gql_errors_fini(&errors);
    return status;
}

#define INVALID(text)                                                         \
    FQ_ERR_INVALID, "[{\"message\":\"" text                                   \
                    "\",\"extensions\":{\"code\":\"VALIDATION_ERROR\"}}]"

static void
test_plan_chooses_the_operation(void **state)
{
    (void)state;
    static const char two[] = "subscription A{a} subscription B{x:b}";
    static const fq_choice_case cases[] = {
        {"subscription{a}", NULL, false, FQ_OK, "a:a"},
        {"subscription{...F}fragment F on T{...{x:a}}", NULL, false, FQ_OK,
         "x:a"},
        {"subscription S{a}", NULL, false, FQ_OK, "a:a"},
        {"subscription S{a}", "S", false, FQ_OK, "a:a"},
        {two, "B", false, FQ_OK, "x:b"},
        {two, NULL, false,
         INVALID("Must provide operation name if query contains multiple "
                 "operations.")},
        {two, "C", false, INVALID("Unknown operation named 'C'.")},
        {two, "C", true, INVALID("Unknown operation named 'C'.")},
        {"subscription{a}", "L", false,
         INVALID("Unknown operation named 'L'.")},
        {"subscription{a}", "L", true, FQ_OK, "a:a"},
        {"subscription{a}", "", false, INVALID("Unknown operation named ''.")},
        {"subscription S{a}", "L", true,
         INVALID("Unknown operation named 'L'.")},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fq_test_body(body_choice, (void *)&cases[i]);
}

static fq_status
body_types(void *arg)
{
    (void)arg;
    static const struct {
        const char *query;
        fq_operation_type type;
    } cases[] = {
        {"{a}", FQ_OPERATION_QUERY},
        {"query Q{a b}", FQ_OPERATION_QUERY},
        {"mutation{a}", FQ_OPERATION_MUTATION},
        {"subscription{a}", FQ_OPERATION_SUBSCRIPTION},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fq_plan *plan = NULL;
        fq_gql_errors errors;
        fq_gql_errors_init(&errors);
        fq_status status = compile_plan(fq_str_of(cases[i].query), no_name(),
                                        false, NULL, &plan, &errors);
        if (status == FQ_OK)
            assert_int_equal(fq_plan_operation_type(plan), cases[i].type);
        fq_plan_unref(plan);
        fq_gql_errors_fini(&errors);
        TRY(status);
    }
    return FQ_OK;
}

static void
test_plan_knows_its_type(void **state)
{
    (void)state;
    fq_test_body(body_types, NULL);
}

typedef struct fq_limits_case {
    const char *query;
    fq_document_limits limits;
    const char *errors; /* NULL: within the limits */
} fq_limits_case;

static fq_status
body_limits(void *arg)
{
    const fq_limits_case *it = arg;
    fq_plan *plan = NULL;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_status status = compile_plan(fq_str_of(it->query), no_name(), false,
                                    &it->limits, &plan, &errors);
    if (status == FQ_OK)
        assert_null(it->errors);
    if (status == FQ_ERR_LIMIT) {
        assert_non_null(it->errors);
        status = assert_errors(&errors, it->errors);
    }
    fq_plan_unref(plan);
    fq_gql_errors_fini(&errors);
    return status;
}

#define LIMIT(text)                                                           \
    "[{\"message\":\"" text                                                   \
    "\",\"locations\":[{\"line\":1,\"column\":1}],\"extensions\":{\"code\":"  \
    "\"LIMIT_REACHED\"}}]"

static void
test_plan_keeps_limits_after_fragments(void **state)
{
    (void)state;
    static const fq_limits_case cases[] = {
        {"{a{...F}}fragment F on T{b{c}...{d}}", {.max_depth = 3}, NULL},
        {"{a{...F}}fragment F on T{b{c}}",
         {.max_depth = 2},
         LIMIT("Operation nests fields deeper than 2.")},
        {"{a{...F} b{...F}}fragment F on T{c d}", {.max_fields = 6}, NULL},
        {"{a{...F} b{...F}}fragment F on T{c d}",
         {.max_fields = 5},
         LIMIT("Operation selects more than 5 fields.")},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fq_test_body(body_limits, (void *)&cases[i]);
}

/* 2^60 fields, counted in no time. */
static fq_status
body_bomb(void *arg)
{
    (void)arg;
    fq_document_limits limits = {.max_fields = 500};
    fq_plan *plan = NULL;
    fq_gql_errors errors;
    fq_buf query;
    fq_gql_errors_init(&errors);
    fq_buf_init(&query);
    fq_buf_append_str(&query, FQ_STR_LIT("{...F0}"));
    for (int i = 0; i < 60; i++)
        fq_buf_append_format(&query, "fragment F%d on T{a{...F%d} b{...F%d}}",
                             i, i + 1, i + 1);
    fq_buf_append_str(&query, FQ_STR_LIT("fragment F60 on T{x}"));
    fq_status status = fq_buf_status(&query);
    if (status == FQ_OK)
        status = compile_plan(fq_buf_str(&query), no_name(), false, &limits,
                              &plan, &errors);
    assert_true(status != FQ_OK);
    if (status == FQ_ERR_LIMIT)
        status = assert_errors(
            &errors, LIMIT("Operation selects more than 500 fields."));
    fq_gql_errors_fini(&errors);
    fq_buf_fini(&query);
    return status;
}

static void
test_plan_counts_fragment_bombs(void **state)
{
    (void)state;
    fq_test_body(body_bomb, NULL);
}

static fq_status
bind(fq_plan *plan, const char *variables, fq_binding *binding,
     fq_gql_errors *errors)
{
    yyjson_doc *doc = NULL;
    fq_status status = fq_json_read(fq_str_of(variables), FQ_JSON_STRICT, &doc,
                                    NULL);
    if (status == FQ_OK)
        status = fq_plan_bind(plan, yyjson_doc_get_root(doc), NULL, binding,
                              errors);
    fq_json_free(doc);
    return status;
}

/* Equal conditions share a variant, whatever else the variables say. */
static fq_status
body_variants(void *arg)
{
    (void)arg;
    static const char *const variables[] = {
        "{\"x\":true,\"y\":1}",
        "{\"x\":true,\"y\":2}",
        "{\"x\":false,\"y\":1}",
    };
    fq_plan *plan = NULL;
    fq_binding bindings[3] = {{NULL, NULL, NULL}};
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_status status = compile_plan(
        FQ_STR_LIT("subscription($x:Boolean!$y:Int){a(y:$y){b@skip(if:$x)}}"),
        no_name(), false, NULL, &plan, &errors);
    for (int i = 0; i < 3 && status == FQ_OK; i++)
        status = bind(plan, variables[i], &bindings[i], &errors);
    /* The variants hold the plan. */
    fq_plan_unref(plan);
    if (status == FQ_OK) {
        assert_ptr_equal(bindings[0].variant, bindings[1].variant);
        assert_ptr_not_equal(bindings[0].variant, bindings[2].variant);
        assert_ptr_equal(fq_plan_variant_plan(bindings[2].variant), plan);
        fq_plan_share *share = fq_plan_variant_share(bindings[0].variant);
        assert_int_equal(share->event_seq, 0);
        assert_null(share->payload);
        share->event_seq = 7;
        status = fq_rcbuf_new(FQ_STR_LIT("payload"), &share->payload);
        assert_int_equal(fq_plan_variant_share(bindings[1].variant)->event_seq,
                         7);
        assert_int_equal(fq_plan_variant_share(bindings[2].variant)->event_seq,
                         0);
    }
    for (int i = 0; i < 3; i++)
        fq_binding_fini(&bindings[i]);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_plan_shares_variants(void **state)
{
    (void)state;
    fq_test_body(body_variants, NULL);
}

/* More combinations than are shared: each still answers rightly. */
static fq_status
body_many_variants(void *arg)
{
    (void)arg;
    enum { N_BITS = 7, N = 1 << N_BITS };
    static fq_binding bindings[N];
    fq_plan *plan = NULL;
    fq_gql_errors errors;
    fq_buf query, buf;
    fq_gql_errors_init(&errors);
    fq_buf_init(&buf);
    memset(bindings, 0, sizeof(bindings));
    fq_status status = repeat(&query, "subscription(", "$v%d:Boolean! ",
                              N_BITS, "){a{z ");
    for (int i = 0; i < N_BITS; i++)
        fq_buf_append_format(&query, "f%d@include(if:$v%d)", i, i);
    fq_buf_append_str(&query, FQ_STR_LIT("}}"));
    if (status == FQ_OK)
        status = fq_buf_status(&query);
    if (status == FQ_OK)
        status = compile_plan(fq_buf_str(&query), no_name(), false, NULL,
                              &plan, &errors);
    for (int i = 0; i < N && status == FQ_OK; i++) {
        char variables[256] = "";
        for (int bit = 0; bit < N_BITS; bit++)
            snprintf(variables + strlen(variables),
                     sizeof(variables) - strlen(variables), "%c\"v%d\":%s",
                     bit == 0 ? '{' : ',', bit,
                     (i >> bit & 1) != 0 ? "true" : "false");
        strcat(variables, "}");
        status = bind(plan, variables, &bindings[i], &errors);
    }
    for (int i = 0; i < N && status == FQ_OK; i++) {
        yyjson_doc *doc = NULL;
        status = fq_json_read(FQ_STR_LIT("{}"), FQ_JSON_STRICT, &doc, NULL);
        fq_buf_clear(&buf);
        if (status == FQ_OK)
            status = fq_plan_variant_project(bindings[i].variant,
                                             yyjson_doc_get_root(doc), &buf);
        fq_json_free(doc);
        char expected[256] = "{\"data\":{\"a\":{\"z\":null";
        for (int bit = 0; bit < N_BITS; bit++)
            if ((i >> bit & 1) != 0)
                snprintf(expected + strlen(expected),
                         sizeof(expected) - strlen(expected), ",\"f%d\":null",
                         bit);
        strcat(expected, "}}");
        if (status == FQ_OK)
            fq_test_assert_str(fq_buf_str(&buf), expected);
    }
    for (int i = 0; i < N; i++)
        fq_binding_fini(&bindings[i]);
    fq_plan_unref(plan);
    fq_buf_fini(&query);
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_plan_bounds_shared_variants(void **state)
{
    (void)state;
    fq_test_body(body_many_variants, NULL);
}

/* A condition without a Boolean is an error of the request. */
static fq_status
body_condition(void *arg)
{
    (void)arg;
    static const struct {
        const char *query, *variables, *errors;
    } cases[] = {
        {"subscription($x:Foo){a{b@skip(if:$x)}}", "{}",
         "[{\"message\":\"Argument 'if' has invalid value: Expected variable "
         "'$x' provided to type 'Boolean!' to provide a runtime value.\","
         "\"locations\":[{\"line\":1,\"column\":34}]}]"},
        {"subscription($x:Boolean=true){a{b@skip(if:$x)}}", "{\"x\":null}",
         "[{\"message\":\"Argument 'if' has invalid value: Expected variable "
         "'$x' provided to non-null type 'Boolean!' not to be None.\","
         "\"locations\":[{\"line\":1,\"column\":43}]}]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fq_plan *plan = NULL;
        fq_binding binding = {NULL, NULL, NULL};
        fq_gql_errors errors;
        fq_gql_errors_init(&errors);
        fq_status status = compile_plan(fq_str_of(cases[i].query), no_name(),
                                        false, NULL, &plan, &errors);
        if (status == FQ_OK)
            status = bind(plan, cases[i].variables, &binding, &errors);
        assert_true(status != FQ_OK);
        if (status == FQ_ERR_INVALID)
            status = assert_errors(&errors, cases[i].errors);
        fq_plan_unref(plan);
        fq_gql_errors_fini(&errors);
        TRY(status);
    }
    return FQ_OK;
}

static void
test_plan_refuses_undecided_conditions(void **state)
{
    (void)state;
    fq_test_body(body_condition, NULL);
}

static fq_status
body_root_error(void *arg)
{
    (void)arg;
    fq_plan *plan = NULL;
    fq_binding binding = {NULL, NULL, NULL};
    fq_gql_errors errors;
    fq_buf buf;
    fq_gql_errors_init(&errors);
    fq_buf_init(&buf);
    fq_status status = compile_plan(
        FQ_STR_LIT("subscription {\n  k: a { b }\n}"), no_name(), false, NULL,
        &plan, &errors);
    if (status == FQ_OK)
        status = fq_plan_bind(plan, NULL, NULL, &binding, &errors);
    if (status == FQ_OK) {
        fq_plan_variant_write_root_error(binding.variant,
                                         FQ_STR_LIT("It \"failed\""),
                                         "RESOLVER_ERROR", &buf);
        fq_buf_append_char(&buf, '\n');
        fq_plan_variant_write_root_error(binding.variant, FQ_STR_LIT("x"),
                                         NULL, &buf);
        status = fq_buf_status(&buf);
    }
    if (status == FQ_OK)
        fq_test_assert_str(
            fq_buf_str(&buf),
            "{\"data\":{\"k\":null},\"errors\":[{\"message\":\"It "
            "\\\"failed\\\"\",\"locations\":[{\"line\":2,\"column\":3}],"
            "\"path\":[\"k\"],\"extensions\":{\"code\":\"RESOLVER_ERROR\"}}]"
            "\n{\"data\":{\"k\":null},\"errors\":[{\"message\":\"x\","
            "\"locations\":[{\"line\":2,\"column\":3}],\"path\":[\"k\"]}]");
    fq_binding_fini(&binding);
    fq_plan_unref(plan);
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_plan_writes_root_errors(void **state)
{
    (void)state;
    fq_test_body(body_root_error, NULL);
}

/* Gets from the cache and drops at once; *pplan is for comparison only. */
static fq_status
get(fq_plan_cache *cache, const char *query, const char *name, bool label,
    fq_plan **pplan)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_plan_request request = {
        .query = fq_str_of(query),
        .operation_name = str_or_none(name),
        .label = label,
    };
    fq_status status = fq_plan_cache_get(cache, &request, NULL, pplan,
                                         &errors);
    fq_plan_unref(*pplan);
    fq_gql_errors_fini(&errors);
    return status;
}

static fq_status
body_cache(void *arg)
{
    (void)arg;
    fq_plan_cache *cache = NULL;
    fq_plan *a, *b, *c, *again;
    fq_status status = fq_plan_cache_new(2, 1 << 20, &cache);
    if (status == FQ_OK)
        status = get(cache, "subscription{a}", NULL, false, &a);
    if (status == FQ_OK)
        status = get(cache, "subscription{b}", NULL, false, &b);
    if (status == FQ_OK)
        status = get(cache, "subscription{a}", NULL, false, &again);
    /* Nothing was refused so far: both are kept. */
    if (status == FQ_OK && fq_plan_cache_n_plans(cache) == 2) {
        assert_ptr_equal(a, again);
        /* A label is another key; b was used least recently. */
        status = get(cache, "subscription{a}", "L", true, &c);
        if (status == FQ_OK && fq_plan_cache_n_plans(cache) == 2) {
            status = get(cache, "subscription{a}", NULL, false, &again);
            assert_true(status != FQ_OK || again == a);
        }
    }
    if (status == FQ_OK) {
        /* Failures are not kept. */
        fq_gql_errors errors;
        fq_gql_errors_init(&errors);
        fq_plan_request request = {.query = FQ_STR_LIT("{")};
        status = fq_plan_cache_get(cache, &request, NULL, &again, &errors);
        assert_null(again);
        if (status == FQ_ERR_SYNTAX) {
            assert_true(fq_plan_cache_n_plans(cache) <= 2);
            status = errors.status;
        }
        fq_gql_errors_fini(&errors);
    }
    fq_plan_cache_free(cache);
    return status;
}

static void
test_plan_cache_keeps_the_recent(void **state)
{
    (void)state;
    fq_test_body(body_cache, NULL);
}

static fq_status
body_cache_bytes(void *arg)
{
    (void)arg;
    fq_plan_cache *cache = NULL;
    fq_plan *plan;
    fq_status status = fq_plan_cache_new(1000, 16 * 1024, &cache);
    for (int i = 0; i < 50 && status == FQ_OK; i++) {
        char query[64];
        snprintf(query, sizeof(query), "subscription{a%d}", i);
        status = get(cache, query, NULL, false, &plan);
        assert_true(fq_plan_cache_n_plans(cache) < 16);
    }
    /* One too large for the cache is compiled and not kept. */
    fq_buf query;
    fq_buf_init(&query);
    if (status == FQ_OK) {
        fq_buf_fini(&query);
        status = repeat(&query, "subscription{a{", "b%d ", 1000, "}}");
        fq_buf_append_char(&query, '\0');
    }
    if (status == FQ_OK)
        status = fq_buf_status(&query);
    if (status == FQ_OK) {
        size_t n_plans = fq_plan_cache_n_plans(cache);
        status = get(cache, query.ptr, NULL, false, &plan);
        assert_int_equal(fq_plan_cache_n_plans(cache), n_plans);
    }
    fq_buf_fini(&query);
    fq_plan_cache_free(cache);
    return status;
}

static void
test_plan_cache_bounds_its_bytes(void **state)
{
    (void)state;
    fq_test_body(body_cache_bytes, NULL);
}

/* ── what is asked ── */

static const struct {
    const char *query;
    bool asks_schema;
    bool asks_data;
} asking[] = {
    {"{__typename}", false, false},
    {"{__schema{types{name}}}", true, false},
    {"{x:__type(name:\"T\"){a}}", true, false},
    {"{a}", false, true},
    {"{a{__schema}}", false, true},
    {"{__schema{a} b}", true, true},
    {"{...F}fragment F on T{...{__type}}", true, false},
    {"{__schema{a}...F}fragment F on T{...G}fragment G on T{__type b}", true,
     true},
    {"mutation{a}", false, true},
};

static fq_status
body_asking(void *arg)
{
    (void)arg;
    fq_status status = FQ_OK;
    for (size_t i = 0; i < sizeof(asking) / sizeof(*asking) && status == FQ_OK;
         i++) {
        fq_plan *plan = NULL;
        fq_gql_errors errors;
        fq_gql_errors_init(&errors);
        status = compile_plan(fq_str_of(asking[i].query), no_name(), false,
                              NULL, &plan, &errors);
        if (status == FQ_OK) {
            assert_int_equal(fq_plan_asks_schema(plan), asking[i].asks_schema);
            assert_int_equal(fq_plan_asks_data(plan), asking[i].asks_data);
        }
        fq_plan_unref(plan);
        fq_gql_errors_fini(&errors);
    }
    return status;
}

static void
test_plan_knows_whether_it_asks_for_the_schema(void **state)
{
    (void)state;
    fq_test_body(body_asking, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_plan_chooses_the_operation),
        FQ_TEST(test_plan_knows_its_type),
        FQ_TEST(test_plan_keeps_limits_after_fragments),
        FQ_TEST(test_plan_counts_fragment_bombs),
        FQ_TEST(test_plan_shares_variants),
        FQ_TEST(test_plan_bounds_shared_variants),
        FQ_TEST(test_plan_refuses_undecided_conditions),
        FQ_TEST(test_plan_writes_root_errors),
        FQ_TEST(test_plan_knows_whether_it_asks_for_the_schema),
        FQ_TEST(test_plan_cache_keeps_the_recent),
        FQ_TEST(test_plan_cache_bounds_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
