/* SPDX-License-Identifier: MIT */
/* Who may select which fields: rules by role, and limits of a context. */
#include "engine/security/rbac.h"

#include "security_fixture.h"

#define RULES                                                                 \
    "{\"field_roles\":["                                                      \
    "{\"type\":\"Order\",\"field\":\"margin\",\"roles\":[\"finance\"],"       \
    "\"mode\":\"mask\"},"                                                     \
    "{\"type\":\"Item\",\"field\":\"note\",\"roles\":[\"staff\",\"admin\"],"  \
    "\"mode\":\"reject\"},"                                                   \
    "{\"type\":\"Order\",\"field\":\"customer\",\"roles\":[\"sales\"],"       \
    "\"mode\":\"mask\"}]}"

static const fq_str roles[] = {
    FQ_STR("admin"),
    FQ_STR("finance"),
    FQ_STR("sales"),
};

/* Asks as one with the first |n_roles| of roles; returns what is hidden. */
static fq_status
judge(security_fixture *fx, const fq_security_context_args *args,
      const char *query, fq_rbac_verdict *pverdict,
      const fq_field_mask **phidden)
{
    *phidden = NULL;
    fq_status status = security_ask(fx, args, query, NULL);
    if (status == FQ_OK)
        status = fq_rbac_judge(&fx->policy->rbac, fx->plan, fx->context,
                               phidden, pverdict, &fx->errors);
    return status;
}

static fq_status
body_rules(void *arg)
{
    (void)arg;
    static const struct {
        const char *query;
        size_t n_roles, n_hidden;
        fq_rbac_verdict verdict;
        const char *message;
        uint32_t column;
    } cases[] = {
        {"subscription { order { id margin } }", 0, 2, FQ_RBAC_ALLOWED, NULL,
         0},
        {"subscription { order { id margin } }", 2, 1, FQ_RBAC_ALLOWED, NULL,
         0},
        {"subscription { order { id } }", 3, 0, FQ_RBAC_ALLOWED, NULL, 0},
        {"subscription { item { id note } }", 0, 0, FQ_RBAC_REFUSED_ROLE,
         "Not allowed to select field \"Order.note\".", 26},
        {"subscription { item { ...f } } fragment f on Order { note }", 0, 0,
         FQ_RBAC_REFUSED_ROLE, "Not allowed to select field \"Order.note\".",
         54},
        {"subscription { item { id note } }", 1, 2, FQ_RBAC_ALLOWED, NULL, 0},
    };
    security_fixture fx;
    fq_status status = security_init(&fx, security_sdl, RULES);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) && status == FQ_OK;
         i++) {
        fq_security_context_args args = {
            .roles = roles,
            .n_roles = cases[i].n_roles,
        };
        fq_rbac_verdict verdict;
        const fq_field_mask *hidden;
        status = judge(&fx, &args, cases[i].query, &verdict, &hidden);
        if (status == FQ_OK) {
            assert_int_equal(verdict, cases[i].verdict);
            assert_int_equal(hidden == NULL ? 0
                                            : fq_field_mask_n_fields(hidden),
                             cases[i].n_hidden);
            security_assert_told(&fx, cases[i].message, cases[i].column);
        }
        fq_field_mask_unref(hidden);
    }
    security_fini(&fx);
    return status;
}

static void
test_rbac_rejects_and_masks(void **state)
{
    (void)state;
    fq_test_body(body_rules, NULL);
}

static void
test_rbac_contexts_of_a_class_have_one_mask(void **state)
{
    (void)state;
    security_fixture fx;
    assert_int_equal(security_init(&fx, security_sdl, RULES), FQ_OK);
    fq_security_context_args none = {.user_id = FQ_STR("a")};
    fq_security_context_args other = {
        .user_id = FQ_STR("b"), .roles = roles, .n_roles = 1};
    fq_security_context_args finance = {.roles = roles, .n_roles = 2};
    const fq_field_mask *masks[4];
    const fq_security_context_args *contexts[] = {&none, &none, &other,
                                                  &finance};
    for (size_t i = 0; i < 4; i++) {
        fq_rbac_verdict verdict;
        assert_int_equal(judge(&fx, contexts[i],
                               "subscription { order { id } }", &verdict,
                               &masks[i]),
                         FQ_OK);
    }
    assert_ptr_equal(masks[0], masks[1]);
    /* Another class, as something else is refused, that hides the same. */
    assert_true(fq_field_mask_eq(masks[0], masks[2]));
    assert_false(fq_field_mask_eq(masks[0], masks[3]));
    assert_int_equal(fx.policy->rbac.n_classes, 3);
    for (size_t i = 0; i < 4; i++)
        fq_field_mask_unref(masks[i]);
    security_fini(&fx);
}

static void
test_rbac_limits_a_context_to_what_it_names(void **state)
{
    (void)state;
    static const fq_str fields[] = {
        FQ_STR("Order"),
        FQ_STR("item"),
        FQ_STR("order"),
    };
    static const struct {
        const char *query;
        const char *message;
        uint32_t column;
    } cases[] = {
        {"subscription { order { id } }", NULL, 0},
        {"subscription { found { __typename } }",
         "Not allowed to select field \"Subscription.found\".", 16},
        {"subscription { item { id } }",
         "Not allowed to select field \"Item.id\".", 23},
        {"subscription { item { ... on Order { id } } }", NULL, 0},
        /* What a rule can hide is hidden instead of refused. */
        {"subscription { order { customer { id } } }", NULL, 0},
    };
    security_fixture fx;
    assert_int_equal(security_init(&fx, security_sdl, RULES), FQ_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fq_security_context_args args = {
            .has_fields = true,
            .fields = fields,
            .n_fields = 3,
            .roles = roles,
            .n_roles = 3,
        };
        fq_rbac_verdict verdict;
        const fq_field_mask *hidden;
        assert_int_equal(judge(&fx, &args, cases[i].query, &verdict, &hidden),
                         FQ_OK);
        assert_int_equal(verdict, cases[i].message == NULL
                                      ? FQ_RBAC_ALLOWED
                                      : FQ_RBAC_REFUSED_FIELD);
        security_assert_told(&fx, cases[i].message, cases[i].column);
        fq_field_mask_unref(hidden);
    }
    security_fini(&fx);
}

#define RULE(type, field, mode)                                               \
    "{\"field_roles\":[{\"type\":\"" type "\",\"field\":\"" field             \
    "\",\"roles\":[],\"mode\":\"" mode "\"}]}"

static void
test_rbac_checks_rules(void **state)
{
    (void)state;
    security_assert_bad(security_sdl, RULE("Order", "profit", "mask"),
                        "field_roles: the schema has no field Order.profit");
    security_assert_bad(security_sdl, RULE("Nobody", "id", "reject"),
                        "field_roles: the schema has no field Nobody.id");
    security_assert_bad(security_sdl, RULE("Customer", "id", "mask"),
                        "field_roles: Customer.id cannot be masked: its type "
                        "is not nullable; use mode \"reject\"");
    security_assert_bad(security_sdl, RULE("Order", "id", "hide"),
                        "field_roles: not the text of a rule");
    security_assert_bad(NULL, RULE("Order", "id", "mask"),
                        "field_roles: Order.id: without a schema types are "
                        "not known; only fields of Subscription can have "
                        "roles");
    security_fixture fx;
    assert_int_equal(
        security_init(&fx, security_sdl, RULE("Customer", "id", "reject")),
        FQ_OK);
    security_fini(&fx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_rbac_rejects_and_masks),
        FQ_TEST(test_rbac_contexts_of_a_class_have_one_mask),
        FQ_TEST(test_rbac_limits_a_context_to_what_it_names),
        FQ_TEST(test_rbac_checks_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
