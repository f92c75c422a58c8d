/* SPDX-License-Identifier: MIT */
/* Comparing slices, the empty ones included. */
#include "base/str.h"

#include "support.h"

static void
test_str_eq_compares_bytes(void **state)
{
    (void)state;
    assert_true(fq_str_eq(FQ_STR_LIT("abc"), fq_str_of("abc")));
    assert_false(fq_str_eq(FQ_STR_LIT("abc"), FQ_STR_LIT("abd")));
    assert_false(fq_str_eq(FQ_STR_LIT("abc"), FQ_STR_LIT("ab")));
    assert_false(fq_str_eq(FQ_STR_LIT("a\0b"), FQ_STR_LIT("a\0c")));
}

static void
test_str_null_is_the_empty_string(void **state)
{
    (void)state;
    fq_str none = fq_str_make(NULL, 0);
    assert_true(fq_str_eq(none, FQ_STR_LIT("")));
    assert_int_equal(fq_str_cmp(none, FQ_STR_LIT("")), 0);
    assert_true(fq_str_cmp(none, FQ_STR_LIT("a")) < 0);
    assert_true(fq_str_cmp(FQ_STR_LIT("a"), none) > 0);
}

static void
test_str_cmp_orders_by_bytes_then_length(void **state)
{
    (void)state;
    const fq_str sorted[] = {
        FQ_STR(""),     FQ_STR("\0"),   FQ_STR("a"),
        FQ_STR("a\0"),  FQ_STR("aa"),   FQ_STR("b"),
        FQ_STR("\x7f"), FQ_STR("\x80"), FQ_STR("\xff"),
    };
    const size_t n = sizeof(sorted) / sizeof(sorted[0]);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            int order = fq_str_cmp(sorted[i], sorted[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_str_eq_compares_bytes),
        FQ_TEST(test_str_null_is_the_empty_string),
        FQ_TEST(test_str_cmp_orders_by_bytes_then_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
