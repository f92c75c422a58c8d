/* SPDX-License-Identifier: MIT */
/* Which types a context may reach. */
#include "engine/security/federation.h"

#include "security_fixture.h"

#define OWNERS                                                                \
    "{\"boundaries\":[{\"type\":\"Customer\",\"boundary\":\"crm\"},"          \
    "{\"type\":\"Gift\",\"boundary\":\"shop\"}]}"

static fq_status
body_judge(void *arg)
{
    (void)arg;
    static const fq_str boundaries[] = {FQ_STR("crm"), FQ_STR("shop")};
    static const struct {
        const char *query;
        size_t n_boundaries;
        const char *message;
        uint32_t column;
    } cases[] = {
        {"subscription { order { id } }", 0, NULL, 0},
        {"subscription { order { customer { id } } }", 0,
         "Not allowed to reach type \"Customer\".", 24},
        {"subscription { order { customer { id } } }", 1, NULL, 0},
        /* What may come, not what is asked of it. */
        {"subscription { found { __typename } }", 0,
         "Not allowed to reach type \"Customer\".", 16},
        {"subscription { found { ... on Order { id } } }", 0,
         "Not allowed to reach type \"Customer\".", 16},
        {"subscription { item { id } }", 1,
         "Not allowed to reach type \"Gift\".", 16},
        {"subscription { item { id } }", 2, NULL, 0},
    };
    security_fixture fx;
    fq_status status = security_init(&fx, security_sdl, OWNERS);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) && status == FQ_OK;
         i++) {
        fq_security_context_args args = {
            .boundaries = boundaries,
            .n_boundaries = cases[i].n_boundaries,
        };
        bool is_allowed;
        status = security_ask(&fx, &args, cases[i].query, NULL);
        if (status == FQ_OK)
            status = fq_federation_judge(&fx.policy->federation, fx.plan,
                                         fx.context, &is_allowed, &fx.errors);
        if (status != FQ_OK)
            break;
        assert_int_equal(is_allowed, cases[i].message == NULL);
        security_assert_told(&fx, cases[i].message, cases[i].column);
    }
    security_fini(&fx);
    return status;
}

static void
test_federation_judges_every_type_that_may_come(void **state)
{
    (void)state;
    fq_test_body(body_judge, NULL);
}

static void
test_federation_checks_rules(void **state)
{
    (void)state;
    security_assert_bad(
        security_sdl,
        "{\"boundaries\":[{\"type\":\"No\",\"boundary\":\"crm\"}]}",
        "boundaries: the schema has no object, interface or union No");
    security_assert_bad(
        security_sdl,
        "{\"boundaries\":[{\"type\":\"Filter\",\"boundary\":\"crm\"}]}",
        "boundaries: the schema has no object, interface or union Filter");
    security_assert_bad(
        security_sdl,
        "{\"boundaries\":[{\"type\":\"Subscription\",\"boundary\":\"x\"}]}",
        "boundaries: Subscription is the type of all subscriptions; give its "
        "fields roles instead");
    security_assert_bad(security_sdl, "{\"boundaries\":[{}]}",
                        "boundaries: not the text of a rule");
    security_assert_bad(NULL, OWNERS,
                        "boundaries: without a schema types are not known");
}

static void
test_federation_reaches(void **state)
{
    (void)state;
    static const fq_str names[] = {FQ_STR("crm")};
    fq_security_context context = {.boundaries = {names, 1}};
    fq_str none = {NULL, 0};
    assert_true(fq_federation_reaches(none, NULL));
    assert_true(fq_federation_reaches(FQ_STR_LIT("crm"), &context));
    assert_false(fq_federation_reaches(FQ_STR_LIT("crm"), NULL));
    assert_false(fq_federation_reaches(FQ_STR_LIT("cr"), &context));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_federation_judges_every_type_that_may_come),
        FQ_TEST(test_federation_checks_rules),
        FQ_TEST(test_federation_reaches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
