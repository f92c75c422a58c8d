/* SPDX-License-Identifier: MIT */
/* Plans with a schema: what binding gives, which subscribers share a variant,
 * and what an event costs. What responses look like: test_execute.c. */
#include "graphql_fixture.h"

#include "graphql/projection.h"

static const char schema_sdl[]
    = "type Query { a: Int } "
      "type Subscription { "
      "  order(id: ID! min: Float = 1 kind: Kind tags: [String!] = \"x\" "
      "        of: Filter any: JSON n: Int! = 5): Order "
      "  strict(n: Int! = 1): Order! } "
      "type Order { id: ID! total(in: Currency! = EUR): Float "
      "  lines(first: Int! = 1): [Line!]! note: String customer: Customer } "
      "type Line { sku: String! count: Int } "
      "type Customer { name: String age: Int } "
      "enum Currency { EUR USD } enum Kind { OPEN PAID } scalar JSON "
      "input Filter { text: String! limit: Int = 10 inner: Filter }";

/* Compiles |query| with |schema| and binds |variables|, JSON or NULL. */
static fq_status
bind(fq_schema *schema, const char *query, const char *variables,
     fq_plan **pplan, fq_binding *pbinding, fq_gql_errors *errors)
{
    *pplan = NULL;
    *pbinding = (fq_binding){NULL, NULL, NULL};
    fq_plan_request request = {
        .schema = schema,
        .query = fq_str_of(query),
    };
    yyjson_doc *doc = NULL;
    fq_status status = FQ_OK;
    if (variables != NULL)
        status = fq_json_read(fq_str_of(variables), FQ_JSON_STRICT, &doc,
                              NULL);
    if (status == FQ_OK)
        status = fq_plan_compile(&request, NULL, pplan, errors);
    if (status == FQ_OK)
        status = fq_plan_bind(*pplan, yyjson_doc_get_root(doc), NULL, pbinding,
                              errors);
    fq_json_free(doc);
    return status;
}

typedef struct fq_bind_case {
    const char *query;
    const char *variables; /* JSON; NULL: none */
    const char *coerced;   /* NULL: refused */
    const char *args;      /* or else the errors */
} fq_bind_case;

typedef struct fq_bind_arg {
    fq_schema *schema;
    const fq_bind_case *it;
} fq_bind_arg;

static fq_status
body_bind(void *arg)
{
    const fq_bind_case *it = ((fq_bind_arg *)arg)->it;
    fq_plan *plan;
    fq_binding binding;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_status status = bind(((fq_bind_arg *)arg)->schema, it->query,
                            it->variables, &plan, &binding, &errors);
    if (status == FQ_OK) {
        if (it->coerced == NULL)
            fail_msg("accepted: %s %s", it->query, it->variables);
        fq_test_assert_str(fq_rcbuf_str(binding.variables), it->coerced);
        fq_test_assert_str(fq_rcbuf_str(binding.args), it->args);
    } else if (status == FQ_ERR_INVALID) {
        if (it->coerced != NULL)
            fail_msg("refused: %s: %.*s", it->query,
                     FQ_STR_FMT(errors.head->message));
        assert_null(binding.variant);
        status = assert_errors(&errors, it->args);
    }
    fq_binding_fini(&binding);
    fq_plan_unref(plan);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
run(const fq_bind_case *cases, size_t n_cases)
{
    fq_schema *schema = build_schema(schema_sdl);
    for (size_t i = 0; i < n_cases; i++) {
        fq_bind_arg arg = {schema, &cases[i]};
        fq_test_body(body_bind, &arg);
    }
    fq_schema_unref(schema);
}

#define RUN(cases) run((cases), sizeof(cases) / sizeof((cases)[0]))

/* Arguments come in the order of their definition, with defaults, values of
 * variables in their places. */
static void
test_completion_binds_arguments(void **state)
{
    (void)state;
    static const fq_bind_case cases[] = {
        {"subscription { order(id: 5) { id } }", NULL, "{}",
         "{\"id\":\"5\",\"min\":1.0,\"tags\":[\"x\"],\"n\":5}"},
        {"subscription { order(n: 1, tags: [\"a\", \"b\"], kind: PAID, "
         "min: null, id: \"k\", any: {z: 1.50, a: [E, null]}) { id } }",
         NULL, "{}",
         "{\"id\":\"k\",\"min\":null,\"kind\":\"PAID\",\"tags\":[\"a\",\"b\"],"
         "\"any\":{\"z\":1.50,\"a\":[\"E\",null]},\"n\":1}"},
        {"subscription ($i: ID!, $m: Float, $k: Kind = OPEN, $t: [String!], "
         "$f: Filter, $j: JSON) { order(id: $i, min: $m, kind: $k, tags: $t, "
         "of: $f, any: {v: [$j]}) { id } }",
         "{\"i\":7,\"f\":{\"text\":\"t\",\"inner\":{\"limit\":null,"
         "\"text\":\"u\"}},\"j\":123456789012345678901234567890}",
         "{\"i\":\"7\",\"k\":\"OPEN\",\"f\":{\"text\":\"t\",\"limit\":10,"
         "\"inner\":{\"text\":\"u\",\"limit\":null}},"
         "\"j\":123456789012345678901234567890}",
         "{\"id\":\"7\",\"min\":1.0,\"kind\":\"OPEN\",\"tags\":[\"x\"],\"of\":"
         "{\"text\":\"t\",\"limit\":10,\"inner\":{\"text\":\"u\",\"limit\":"
         "null}},\"any\":{\"v\":[123456789012345678901234567890]},\"n\":5}"},
        {"subscription ($t: String!, $l: Int) { order(id: 1, tags: [$t], of: "
         "{text: $t, limit: $l, inner: {text: \"x\"}}) { id } }",
         "{\"t\":\"T\"}", "{\"t\":\"T\"}",
         "{\"id\":\"1\",\"min\":1.0,\"tags\":[\"T\"],\"of\":{\"text\":\"T\","
         "\"limit\":10,\"inner\":{\"text\":\"x\",\"limit\":10}},\"n\":5}"},
    };
    RUN(cases);
}

/* Bad arguments of the root field refuse the subscription; the error says
 * whose they are. */
static void
test_completion_refuses_root_arguments(void **state)
{
    (void)state;
    static const fq_bind_case cases[] = {
        {"subscription ($n: Int = 3) { o: order(id: 1, n: $n) { id } }",
         "{\"n\":null}", NULL,
         "[{\"message\":\"Argument 'n' has invalid value: Expected variable "
         "'$n' provided to non-null type 'Int!' not to be None.\","
         "\"locations\":[{\"line\":1,\"column\":49}],\"path\":[\"o\"]}]"},
        {"subscription ($n: Int = 3) { o: order(id: 1, n: $n) { id } }", "{}",
         "{\"n\":3}", "{\"id\":\"1\",\"min\":1.0,\"tags\":[\"x\"],\"n\":3}"},
    };
    RUN(cases);
}

/* Fifty errors of variables are told, then that there are more. */
static void
test_completion_bounds_errors_of_variables(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    fq_buf variables;
    assert_int_equal(repeat(&variables, "{\"t\":[0", ",%d", 1000, "]}"),
                     FQ_OK);
    fq_buf_append_char(&variables, '\0');
    fq_plan *plan;
    fq_binding binding;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    assert_int_equal(
        bind(schema,
             "subscription ($t: [String!]) { order(id: 1, tags: $t) { id } }",
             variables.ptr, &plan, &binding, &errors),
        FQ_ERR_INVALID);
    assert_int_equal(errors.n_items, 51);
    const fq_gql_error *last = errors.head;
    while (last->next != NULL)
        last = last->next;
    fq_test_assert_str(last->message,
                       "Too many errors processing variables, error limit "
                       "reached. Execution aborted.");
    assert_int_equal(last->n_locations, 0);
    fq_plan_unref(plan);
    fq_gql_errors_fini(&errors);
    fq_buf_fini(&variables);
    fq_schema_unref(schema);
}

typedef struct fq_share_arg {
    fq_schema *schema;
    const char *query;
    const char *variables[5];
    int group[5]; /* bindings of one group share a variant */
} fq_share_arg;

static fq_status
body_share(void *arg)
{
    const fq_share_arg *it = arg;
    fq_plan *plan = NULL;
    fq_binding bindings[5] = {{NULL, NULL, NULL}};
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_plan_request request = {
        .schema = it->schema,
        .query = fq_str_of(it->query),
    };
    fq_status status = fq_plan_compile(&request, NULL, &plan, &errors);
    for (int i = 0; i < 5 && status == FQ_OK; i++) {
        yyjson_doc *doc;
        status = fq_json_read(fq_str_of(it->variables[i]), FQ_JSON_STRICT,
                              &doc, NULL);
        if (status != FQ_OK)
            break;
        status = fq_plan_bind(plan, yyjson_doc_get_root(doc), NULL,
                              &bindings[i], &errors);
        fq_json_free(doc);
    }
    for (int i = 0; i < 5 && status == FQ_OK; i++)
        for (int j = 0; j < i; j++)
            if ((bindings[i].variant == bindings[j].variant)
                != (it->group[i] == it->group[j]))
                fail_msg("%s: %s and %s", it->query, it->variables[i],
                         it->variables[j]);
    for (int i = 0; i < 5; i++)
        fq_binding_fini(&bindings[i]);
    fq_plan_unref(plan);
    fq_gql_errors_fini(&errors);
    return status;
}

/* Only what decides an answer tells variants apart. */
static void
test_completion_shares_variants(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    fq_share_arg cases[] = {
        {schema,
         "subscription ($k: Kind, $f: Float) { order(id: 1, kind: $k, min: "
         "$f) { id } }",
         {"{}", "{\"k\":null}", "{\"k\":\"OPEN\"}", "{\"f\":1}",
          "{\"f\":2,\"k\":\"PAID\"}"},
         {0, 0, 0, 0, 0}},
        {schema,
         "subscription ($c: Currency = EUR, $s: Boolean = false) { order(id: "
         "1) { total(in: $c) id @skip(if: $s) } }",
         {"{}", "{\"c\":\"USD\"}", "{\"c\":null}", "{\"s\":true}",
          "{\"c\":null,\"s\":false}"},
         {0, 0, 1, 2, 1}},
        {schema,
         "subscription ($s: Boolean = true) { order(id: 1) { note customer { "
         "name @include(if: $s) } } }",
         {"{}", "{\"s\":true}", "{\"s\":false}", "{\"s\":null}",
          "{\"s\":null}"},
         {0, 0, 1, 2, 2}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fq_test_body(body_share, &cases[i]);
    fq_schema_unref(schema);
}

/* Projects |data|, JSON, and compares. */
static fq_status
assert_payload(fq_plan_variant *variant, const char *data, const char *payload)
{
    yyjson_doc *doc;
    TRY(fq_json_read(fq_str_of(data), FQ_JSON_STRICT, &doc, NULL));
    fq_buf buf;
    fq_buf_init(&buf);
    fq_status status = fq_plan_variant_project(variant,
                                               yyjson_doc_get_root(doc), &buf);
    if (status == FQ_OK)
        fq_test_assert_str(fq_buf_str(&buf), payload);
    fq_buf_fini(&buf);
    fq_json_free(doc);
    return status;
}

static fq_status
body_nested(void *arg)
{
    fq_plan *plan;
    fq_binding binding;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_status status = bind(
        arg,
        "subscription ($c: Currency = EUR, $n: Int = 1) { order(id: 1) { id "
        "total(in: $c) lines(first: $n) { sku } } }",
        "{\"c\":null,\"n\":2}", &plan, &binding, &errors);
    for (int i = 0; i < 2 && status == FQ_OK; i++)
        status = assert_payload(
            binding.variant,
            "{\"id\":1,\"total\":2,\"lines\":[{\"sku\":\"s\"}]}",
            "{\"data\":{\"order\":{\"id\":\"1\",\"total\":null,\"lines\":[{"
            "\"sku\":\"s\"}]}},\"errors\":[{\"message\":\"Argument 'in' has "
            "invalid value: Expected variable '$c' provided to non-null type "
            "'Currency!' not to be None.\",\"locations\":[{\"line\":1,"
            "\"column\":78}],\"path\":[\"order\",\"total\"]}]");
    /* The plan keeps the schema, the variant the plan. */
    fq_binding_fini(&binding);
    fq_plan_unref(plan);
    fq_gql_errors_fini(&errors);
    return status;
}

/* Bad arguments of other fields are errors of every event. */
static void
test_completion_tells_of_nested_arguments(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    fq_test_body(body_nested, schema);
    fq_schema_unref(schema);
}

/* An error of the resolver at a root that must not be null. */
static void
test_completion_writes_root_errors(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    static const struct {
        const char *query, *payload;
    } cases[] = {
        {"subscription { strict { id } }",
         "{\"data\":null,\"errors\":[{\"message\":\"no\",\"locations\":[{"
         "\"line\":1,\"column\":16}],\"path\":[\"strict\"]}]"},
        {"subscription { o: order(id: 1) { id } }",
         "{\"data\":{\"o\":null},\"errors\":[{\"message\":\"no\",\"locations\""
         ":[{\"line\":1,\"column\":16}],\"path\":[\"o\"]}]"},
    };
    for (int i = 0; i < 2; i++) {
        fq_plan *plan;
        fq_binding binding;
        fq_gql_errors errors;
        fq_gql_errors_init(&errors);
        assert_int_equal(
            bind(schema, cases[i].query, NULL, &plan, &binding, &errors),
            FQ_OK);
        fq_buf buf;
        fq_buf_init(&buf);
        fq_plan_variant_write_root_error(binding.variant, FQ_STR_LIT("no"),
                                         NULL, &buf);
        fq_test_assert_str(fq_buf_str(&buf), cases[i].payload);
        fq_buf_fini(&buf);
        fq_binding_fini(&binding);
        fq_plan_unref(plan);
        fq_gql_errors_fini(&errors);
    }
    fq_schema_unref(schema);
}

/* After the first event of a kind no event without errors takes memory but
 * for its text. */
static void
test_completion_allocates_nothing_per_event(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    fq_plan *plan;
    fq_binding binding;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    assert_int_equal(bind(schema,
                          "subscription { order(id: 1) { id total note lines "
                          "{ sku count } customer { name age __typename } } }",
                          NULL, &plan, &binding, &errors),
                     FQ_OK);
    /* The plan's reference is enough. */
    fq_schema_unref(schema);
    yyjson_doc *doc;
    assert_int_equal(
        fq_json_read(FQ_STR_LIT("{\"id\":\"o-1\",\"total\":12.5,\"note\":null,"
                                "\"lines\":[{\"sku\":\"a\",\"count\":1},"
                                "{\"sku\":\"b\"}],\"customer\":"
                                "{\"name\":\"N\",\"age\":40}}"),
                     FQ_JSON_STRICT, &doc, NULL),
        FQ_OK);
    fq_buf buf;
    fq_buf_init(&buf);
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            fq_alloc_fail_after(0);
        fq_buf_clear(&buf);
        fq_status status = fq_plan_variant_project(
            binding.variant, yyjson_doc_get_root(doc), &buf);
        long n_refused = fq_alloc_n_refused();
        fq_alloc_fail_after(-1);
        assert_int_equal(status, FQ_OK);
        assert_int_equal(n_refused, 0);
        fq_test_assert_str(
            fq_buf_str(&buf),
            "{\"data\":{\"order\":{\"id\":\"o-1\",\"total\":12.5,\"note\":"
            "null,\"lines\":[{\"sku\":\"a\",\"count\":1},{\"sku\":\"b\","
            "\"count\":null}],\"customer\":{\"name\":\"N\",\"age\":40,"
            "\"__typename\":\"Customer\"}}}");
    }
    fq_json_free(doc);
    fq_buf_fini(&buf);
    fq_binding_fini(&binding);
    fq_plan_unref(plan);
    fq_gql_errors_fini(&errors);
}

/* A plan serves the schema it was made with and no other. */
static void
test_completion_keeps_schemas_apart(void **state)
{
    (void)state;
    fq_schema *first = build_schema(schema_sdl);
    fq_schema *second = build_schema(schema_sdl);
    fq_plan_cache *cache;
    assert_int_equal(fq_plan_cache_new(8, 1 << 20, &cache), FQ_OK);
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_schema *const schemas[] = {first, second, NULL, first, second, NULL};
    fq_plan *plans[6];
    for (int i = 0; i < 6; i++) {
        fq_plan_request request = {
            .schema = schemas[i],
            .query = FQ_STR_LIT("subscription { strict { id } }"),
        };
        assert_int_equal(
            fq_plan_cache_get(cache, &request, NULL, &plans[i], &errors),
            FQ_OK);
    }
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < i; j++)
            assert_true((plans[i] == plans[j]) == (i == j + 3));
    }
    for (int i = 0; i < 6; i++)
        fq_plan_unref(plans[i]);
    fq_gql_errors_fini(&errors);
    fq_plan_cache_free(cache);
    fq_schema_unref(first);
    fq_schema_unref(second);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_completion_binds_arguments),
        FQ_TEST(test_completion_refuses_root_arguments),
        FQ_TEST(test_completion_bounds_errors_of_variables),
        FQ_TEST(test_completion_shares_variants),
        FQ_TEST(test_completion_tells_of_nested_arguments),
        FQ_TEST(test_completion_writes_root_errors),
        FQ_TEST(test_completion_allocates_nothing_per_event),
        FQ_TEST(test_completion_keeps_schemas_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
