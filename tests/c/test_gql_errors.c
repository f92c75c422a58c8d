/* SPDX-License-Identifier: MIT */
/* The list of errors: places in the text, its bound, and its JSON. */
#include "graphql_fixture.h"

static fq_status
body_write(void *arg)
{
    (void)arg;
    static const fq_str source = FQ_STR(
        "a\r\nb\rc\n\xC3\xA9\xF0\x9F\x98\x80x\n\n");
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_gql_error *error = fq_gql_errors_add(&errors, "X", "one %d", 1);
    for (size_t i = 0; i < 3; i++)
        fq_gql_error_locate(&errors, error, source, i * 3);
    error = fq_gql_errors_add_str(&errors, NULL, FQ_STR_LIT("two\0\""));
    fq_gql_error_locate(&errors, error, source, 13);
    fq_gql_error_locate(&errors, error, source, source.len);
    fq_gql_error_locate(&errors, NULL, source, 0);
    fq_gql_errors_add(&errors, NULL, "three");
    fq_status status = assert_errors(
        &errors,
        "[{\"message\":\"one 1\",\"locations\":[{\"line\":1,\"column\":1},"
        "{\"line\":2,\"column\":1},{\"line\":3,\"column\":2}],"
        "\"extensions\":{\"code\":\"X\"}},"
        "{\"message\":\"two\\u0000\\\"\",\"locations\":[{\"line\":4,"
        "\"column\":3},{\"line\":6,\"column\":1}]},"
        "{\"message\":\"three\"}]");
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_gql_errors_write(void **state)
{
    (void)state;
    fq_test_body(body_write, NULL);
}

static fq_status
body_bound(void *arg)
{
    (void)arg;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    for (int i = 0; i < 2 * FQ_GQL_ERRORS_MAX; i++)
        fq_gql_errors_add(&errors, NULL, "%d", i);
    fq_status status = errors.status;
    assert_true(errors.n_items <= FQ_GQL_ERRORS_MAX);
    if (status == FQ_OK)
        assert_int_equal(errors.n_items, FQ_GQL_ERRORS_MAX);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_gql_errors_are_bounded(void **state)
{
    (void)state;
    fq_test_body(body_bound, NULL);
}

/* Places found through the marks are those of a walk from the start. */
static fq_status
body_locate(void *arg)
{
    (void)arg;
    fq_buf text;
    fq_status status = repeat(&text, "", "ab\xC3\xA9\r\n%d\r\r\n\n", 99, "");
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_gql_error *error = fq_gql_errors_add(&errors, NULL, "e");
    for (size_t i = 0; status == FQ_OK && i <= text.len; i += 7) {
        size_t offset = text.len - i;
        fq_gql_error_locate(&errors, error, fq_buf_str(&text), offset);
        status = errors.status;
        if (status != FQ_OK || error == NULL)
            break;
        fq_gql_location expected = fq_gql_locate(fq_buf_str(&text), offset);
        fq_gql_location found = error->locations[error->n_locations - 1];
        assert_int_equal(found.line, expected.line);
        assert_int_equal(found.column, expected.column);
    }
    if (status == FQ_OK)
        status = errors.status;
    fq_gql_errors_fini(&errors);
    fq_buf_fini(&text);
    return status;
}

static void
test_gql_errors_locate_anywhere(void **state)
{
    (void)state;
    fq_test_body(body_locate, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_gql_errors_write),
        FQ_TEST(test_gql_errors_are_bounded),
        FQ_TEST(test_gql_errors_locate_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
