/* SPDX-License-Identifier: MIT */
/* Query strings, decoded as browsers do. */
#include "protocol/form.h"

#include "support.h"

static const struct {
    const char *form;
    const char *name;
    const char *value; /* NULL: there is none */
} cases[] = {
    {"", "a", NULL},
    {"a", "a", ""},
    {"a=", "a", ""},
    {"a=b", "a", "b"},
    {"a=b", "A", NULL},
    {"a=b", "", NULL},
    {"=b", "", "b"},
    {"aa=b", "a", NULL},
    {"a=b", "aa", NULL},
    {"x=y&a=b&a=c", "a", "b"},
    {"&&a=b&", "a", "b"},
    {"a=b=c", "a", "b=c"},
    {"a=b+c%20d%2Be", "a", "b c d+e"},
    {"%61=b", "a", "b"},
    {"q%75ery=%7Ba%7D", "query", "{a}"},
    {"a=%", "a", "%"},
    {"a=%4", "a", "%4"},
    {"a=%zz%4", "a", "%zz%4"},
    {"a=%C3%a9", "a", "\xc3\xa9"},
    {"a=%ff", "a", "\xff"},
};

static fq_status
body_decode(void *arg)
{
    (void)arg;
    fq_status status = FQ_OK;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fq_buf buf = FQ_BUF_INIT;
        bool found = fq_form_get(fq_str_of(cases[i].form),
                                 fq_str_of(cases[i].name), &buf);
        assert_int_equal(found, cases[i].value != NULL);
        if (fq_buf_status(&buf) != FQ_OK)
            status = fq_buf_status(&buf);
        else if (found
                 && !fq_str_eq(fq_buf_str(&buf), fq_str_of(cases[i].value)))
            fail_msg("%s: %.*s", cases[i].form, FQ_STR_FMT(fq_buf_str(&buf)));
        fq_buf_fini(&buf);
    }
    return status;
}

static void
test_form_get(void **state)
{
    (void)state;
    fq_test_body(body_decode, NULL);
}

static void
test_form_get_null_bytes(void **state)
{
    (void)state;
    fq_buf buf = FQ_BUF_INIT;
    assert_true(fq_form_get(FQ_STR_LIT("a=%00b"), FQ_STR_LIT("a"), &buf));
    assert_true(fq_str_eq(fq_buf_str(&buf), FQ_STR_LIT("\0b")));
    fq_buf_fini(&buf);
    assert_false(fq_form_get(fq_str_make(NULL, 0), FQ_STR_LIT("a"), &buf));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_form_get),
        FQ_TEST(test_form_get_null_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
