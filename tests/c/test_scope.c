/* SPDX-License-Identifier: MIT */
/* Values that must be the context's own, however they come in. */
#include "engine/security/scope.h"

#include "security_fixture.h"

#define OWN "{\"name\":\"userId\",\"own\":[\"user_id\"]}"
#define SCOPE(rules) "{\"variable_scope\":[" rules "]}"

typedef struct scope_case {
    const char *query, *variables;
    fq_scope_verdict verdict;
} scope_case;

#define FOREIGN FQ_SCOPE_FOREIGN
#define MISSING FQ_SCOPE_MISSING
#define ALLOWED FQ_SCOPE_ALLOWED

/* Ada's cases under |policy|. */
static fq_status
run_cases(const char *sdl, const char *policy, const scope_case *cases,
          size_t n_cases)
{
    security_fixture fx;
    fq_status status = security_init(&fx, sdl, policy);
    const fq_security_context_args args = {
        .user_id = FQ_STR("ada"),
        .claims = FQ_STR("{\"org\":{\"id\":7,\"open\":true}}"),
    };
    for (size_t i = 0; i < n_cases && status == FQ_OK; i++) {
        fq_scope_verdict verdict;
        status = security_ask(&fx, &args, cases[i].query, cases[i].variables);
        if (status == FQ_OK)
            status = fq_scope_judge(&fx.policy->scope, fx.plan,
                                    yyjson_doc_get_root(fx.variables),
                                    fq_rcbuf_str(fx.binding.variables),
                                    fx.context, &verdict, &fx.errors);
        if (status != FQ_OK)
            break;
        if (verdict != cases[i].verdict)
            print_error("%s\n", cases[i].query);
        assert_int_equal(verdict, cases[i].verdict);
        assert_int_equal(fx.errors.n_items, verdict == ALLOWED ? 0 : 1);
    }
    security_fini(&fx);
    return status;
}

#define N_OF(cases) (sizeof(cases) / sizeof((cases)[0]))

static fq_status
body_schema(void *arg)
{
    (void)arg;
    static const scope_case cases[] = {
        /* The default is ada's; the filter may not be left out. */
        {"subscription { order { id } }", NULL, MISSING},
        {"subscription { order(filter: {userId: \"ada\", range: {userId: "
         "\"ada\"}}) { id } }",
         NULL, ALLOWED},
        {"subscription { order(filter: {userId: \"ada\"}) { id } }", NULL,
         MISSING},
        {"subscription { order(userId: \"bob\", filter: {userId: \"ada\", "
         "range: {userId: \"ada\"}}) { id } }",
         NULL, FOREIGN},
        {"subscription { order(filter: {userId: \"ada\", and: [{userId: "
         "\"bob\", range: {userId: \"ada\"}}], range: {userId: \"ada\"}}) { "
         "id } }",
         NULL, FOREIGN},
        {"subscription($f: Filter) { order(filter: $f) { id } }",
         "{\"f\":{\"userId\":\"ada\",\"range\":{\"userId\":\"ada\"}}}",
         ALLOWED},
        {"subscription($f: Filter) { order(filter: $f) { id } }",
         "{\"f\":{\"userId\":\"ada\",\"range\":{\"userId\":null}}}", MISSING},
        {"subscription($f: Filter) { order(filter: $f) { id } }", "{}",
         MISSING},
        {"subscription($userId: ID) { order(userId: \"ada\", filter: {userId: "
         "$userId, range: {userId: \"ada\"}}) { id } }",
         "{\"userId\":\"bob\"}", FOREIGN},
        {"subscription($userId: ID = \"bob\") { order(filter: {userId: "
         "$userId, range: {userId: \"ada\"}}) { id } }",
         NULL, FOREIGN},
        {"subscription { item { ... on Order { customer(userId: \"bob\") { id "
         "} } } }",
         NULL, FOREIGN},
        {"subscription { item { ... on Order { customer { id } } } }", NULL,
         MISSING},
        {"subscription { item { id } }", NULL, ALLOWED},
    };
    return run_cases(security_sdl, SCOPE(OWN), cases, N_OF(cases));
}

static void
test_scope_with_a_schema(void **state)
{
    (void)state;
    fq_test_body(body_schema, NULL);
}

static fq_status
body_schemaless(void *arg)
{
    (void)arg;
    static const scope_case cases[] = {
        {"subscription { prices }", NULL, ALLOWED},
        {"subscription { prices(userId: \"ada\") }", NULL, ALLOWED},
        {"subscription { prices(userId: \"bob\") }", NULL, FOREIGN},
        {"subscription { prices(a: {userId: \"bob\"}) }", NULL, FOREIGN},
        {"subscription { prices(a: [{userId: null}]) }", NULL, MISSING},
        {"subscription($userId: ID) { prices(a: $userId) }", NULL, MISSING},
        {"subscription($a: X) { prices(a: $a) }",
         "{\"a\":[{\"b\":{\"userId\":\"bob\"}}]}", FOREIGN},
        /* A rule for the field itself asks for the value. */
        {"subscription { orders }", NULL, MISSING},
        {"subscription { orders(a: {userId: \"ada\"}) }", NULL, FOREIGN},
        {"subscription { orders(a: {userId: 7}) }", NULL, MISSING},
        {"subscription { orders(userId: 7) }", NULL, ALLOWED},
        {"subscription { orders(userId: \"7\") }", NULL, ALLOWED},
        {"subscription { orders(userId: 7.0) }", NULL, FOREIGN},
        {"subscription { orders(userId: [7]) }", NULL, FOREIGN},
        {"subscription { open(is: true) }", NULL, ALLOWED},
        {"subscription { open(is: false) }", NULL, FOREIGN},
        {"subscription { open(is: \"true\") }", NULL, FOREIGN},
        {"subscription { open }", NULL, ALLOWED},
        {"subscription { shut(is: \"x\") }", NULL, FOREIGN},
    };
    return run_cases(
        NULL,
        SCOPE(OWN ",{\"field\":\"orders\",\"name\":\"userId\","
                  "\"own\":[\"claims\",\"org\",\"id\"]},"
                  "{\"field\":\"open\",\"name\":\"is\",\"optional\":true,"
                  "\"own\":[\"claims\",\"org\",\"open\"]},"
                  "{\"field\":\"shut\",\"name\":\"is\","
                  "\"own\":[\"tenant_id\"]}"),
        cases, N_OF(cases));
}

static void
test_scope_without_a_schema(void **state)
{
    (void)state;
    fq_test_body(body_schemaless, NULL);
}

static void
test_scope_checks_rules(void **state)
{
    (void)state;
    security_assert_bad(security_sdl,
                        SCOPE("{\"field\":\"none\",\"name\":\"userId\","
                              "\"own\":[\"user_id\"]}"),
                        "variable_scope: the schema has no subscription field "
                        "none");
    security_assert_bad(security_sdl,
                        SCOPE("{\"field\":\"item\",\"name\":\"userId\","
                              "\"own\":[\"user_id\"]}"),
                        "variable_scope: the subscription field item has no "
                        "argument userId");
    security_assert_bad(NULL, SCOPE("{\"own\":[\"user_id\"]}"),
                        "variable_scope: not the text of a rule");
    security_assert_bad(NULL, SCOPE("{\"name\":\"a\",\"own\":[\"claims\"]}"),
                        "variable_scope: a value is user_id, tenant_id or one "
                        "of the claims");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_scope_with_a_schema),
        FQ_TEST(test_scope_without_a_schema),
        FQ_TEST(test_scope_checks_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
