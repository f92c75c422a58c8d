/* SPDX-License-Identifier: MIT */
/* Row filters find their field and are bound to whoever subscribes. */
#include "engine/security/row.h"

#include "security_fixture.h"

#define ROWS                                                                  \
    "{\"rows\":[{\"field\":\"order\",\"filter\":"                             \
    "[\"==\",{\"event\":[\"owner\"]},{\"ctx\":[\"user_id\"]}]}]}"

static fq_status
body_bind(void *arg)
{
    (void)arg;
    security_fixture fx;
    fq_filter_bound *bound = NULL;
    fq_event *event = NULL;
    fq_status status = security_init(&fx, security_sdl, ROWS);
    const fq_security_context_args args = {.user_id = FQ_STR("ada")};
    if (status == FQ_OK)
        status = fq_security_context_new(&args, &fx.context);
    if (status == FQ_OK)
        status = fq_row_bind(&fx.policy->row, FQ_STR_LIT("item"),
                             FQ_STR_LIT("{}"), fx.context, &bound);
    if (status == FQ_OK) {
        assert_null(bound);
        status = fq_row_bind(&fx.policy->row, FQ_STR_LIT("order"),
                             FQ_STR_LIT("{}"), fx.context, &bound);
    }
    if (status == FQ_OK)
        status = fq_event_new(FQ_STR_LIT("c"), FQ_STR_LIT("t"),
                              FQ_STR_LIT("{\"owner\":\"ada\"}"), 0, 0, &event,
                              NULL);
    if (status == FQ_OK) {
        assert_true(fq_filter_eval(bound, event));
        fq_event_unref(event);
    }
    fq_filter_bound_unref(bound);
    security_fini(&fx);
    return status;
}

static void
test_row_filter_is_bound_to_its_field(void **state)
{
    (void)state;
    fq_test_body(body_bind, NULL);
}

static void
test_row_filter_lets_nobody_through_without_a_context(void **state)
{
    (void)state;
    security_fixture fx;
    fq_filter_bound *bound;
    assert_int_equal(security_init(&fx, NULL, ROWS), FQ_OK);
    assert_int_equal(fq_row_bind(&fx.policy->row, FQ_STR_LIT("order"),
                                 FQ_STR_LIT("{}"), NULL, &bound),
                     FQ_OK);
    assert_true(fq_filter_bound_is_never(bound));
    fq_filter_bound_unref(bound);
    security_fini(&fx);
}

static void
test_row_checks_rules(void **state)
{
    (void)state;
    security_assert_bad(security_sdl,
                        "{\"rows\":[{\"field\":\"none\",\"filter\":true}]}",
                        "rows: the schema has no subscription field none");
    security_fixture fx;
    assert_int_equal(
        security_init(&fx, NULL, "{\"rows\":[{\"field\":\"order\"}]}"),
        FQ_ERR_INVALID);
    security_fini(&fx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_row_filter_is_bound_to_its_field),
        FQ_TEST(test_row_filter_lets_nobody_through_without_a_context),
        FQ_TEST(test_row_checks_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
