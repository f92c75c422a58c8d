/* SPDX-License-Identifier: MIT */
/* A security context is a copy of its own, with its names in order. */
#include "engine/security/context.h"

#include "support.h"

static fq_status
body_context_new(void *arg)
{
    (void)arg;
    char user[] = "ada";
    fq_str roles[] = {FQ_STR("sales"), FQ_STR("admin"), FQ_STR("sales")};
    const fq_security_context_args args = {
        .user_id = fq_str_of(user),
        .tenant_id = FQ_STR("t1"),
        .roles = roles,
        .n_roles = 3,
        .has_fields = true,
        .claims = FQ_STR("{\"level\":3}"),
        .expires_at_ms = 12,
    };
    fq_security_context *context;
    fq_status status = fq_security_context_new(&args, &context);
    if (status != FQ_OK) {
        assert_null(context);
        return status;
    }
    user[0] = 'X';
    fq_test_assert_str(context->user_id, "ada");
    fq_test_assert_str(context->tenant_id, "t1");
    assert_int_equal(context->roles.n_names, 2);
    fq_test_assert_str(context->roles.names[0], "admin");
    assert_true(fq_name_set_has(&context->roles, FQ_STR_LIT("sales")));
    assert_false(fq_name_set_has(&context->roles, FQ_STR_LIT("sale")));
    assert_false(fq_name_set_has(&context->boundaries, FQ_STR_LIT("")));
    assert_true(context->has_fields);
    assert_int_equal(context->fields.n_names, 0);
    fq_test_assert_str(context->claims_text, "{\"level\":3}");
    assert_int_equal(context->expires_at_ms, 12);
    assert_ptr_equal(fq_security_context_ref(context), context);
    fq_security_context_unref(context);
    fq_security_context_unref(context);
    return FQ_OK;
}

static void
test_context_is_a_deep_copy(void **state)
{
    (void)state;
    fq_test_body(body_context_new, NULL);
}

static void
test_context_refuses_claims_that_are_no_object(void **state)
{
    (void)state;
    static const char *const texts[] = {"[]", "3", "{", ""};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        const fq_security_context_args args = {.claims = fq_str_of(texts[i])};
        fq_security_context *context;
        assert_int_equal(fq_security_context_new(&args, &context),
                         FQ_ERR_INVALID);
        assert_null(context);
    }
}

static void
test_context_takes_an_empty_tenant_for_none(void **state)
{
    (void)state;
    const fq_security_context_args args = {.tenant_id = FQ_STR("")};
    fq_security_context *context;
    assert_int_equal(fq_security_context_new(&args, &context), FQ_OK);
    assert_null(context->tenant_id.ptr);
    assert_null(context->user_id.ptr);
    fq_security_context_unref(context);
    fq_security_context_unref(NULL);
}

static void
test_name_sets_compare_by_content(void **state)
{
    (void)state;
    fq_str a[] = {FQ_STR("a"), FQ_STR("b")};
    fq_str b[] = {FQ_STR("b"), FQ_STR("a"), FQ_STR("a")};
    const fq_security_context_args first = {.roles = a, .n_roles = 2};
    const fq_security_context_args second = {.roles = b, .n_roles = 3};
    fq_security_context *one, *two;
    assert_int_equal(fq_security_context_new(&first, &one), FQ_OK);
    assert_int_equal(fq_security_context_new(&second, &two), FQ_OK);
    assert_true(fq_name_set_eq(&one->roles, &two->roles));
    assert_false(fq_name_set_eq(&one->roles, &two->boundaries));
    fq_security_context_unref(one);
    fq_security_context_unref(two);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_context_is_a_deep_copy),
        FQ_TEST(test_context_refuses_claims_that_are_no_object),
        FQ_TEST(test_context_takes_an_empty_tenant_for_none),
        FQ_TEST(test_name_sets_compare_by_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
