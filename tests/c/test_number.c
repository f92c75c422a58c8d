/* SPDX-License-Identifier: MIT */
/* JSON numbers as scalars look at them. */
#include "graphql_fixture.h"

#include <stdio.h>

#include "graphql/number.h"

/* Digits of whole doubles are those printf() finds. */
static void
test_number_writes_digits(void **state)
{
    (void)state;
    static const double values[] = {
        0.0,
        -0.0,
        1.0,
        -7.0,
        9007199254740991.0,
        9007199254740992.0,
        -9007199254740994.0,
        1e16,
        1e17,
        1e18,
        1e21,
        123456789e12,
        -1e27,
        1e100,
        1e300,
        1.7976931348623157e308,
        0x1p62,
        0x1p64,
        0x1p1023,
        -0x1.fffffffffffffp1023,
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        fq_buf buf;
        fq_buf_init(&buf);
        fq_number number = {.value = values[i]};
        fq_number_write_integral(&number, NULL, &buf);
        char expected[400];
        snprintf(expected, sizeof(expected), "%.0f", values[i] + 0.0);
        fq_test_assert_str(fq_buf_str(&buf), expected);
        fq_buf_fini(&buf);
    }
}

static void
test_number_reads_every_notation(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool is_number, is_integer, is_integral, is_exact;
    } cases[] = {
        {"1", true, true, true, true},
        {"-1", true, true, true, true},
        {"9007199254740993", true, true, true, false},
        {"18446744073709551615", true, true, true, false},
        {"18446744073709551616", true, true, true, true},
        {"18446744073709551617", true, true, true, false},
        {"1.0", true, false, true, true},
        {"1.5", true, false, false, true},
        {"1e400", true, false, false, true},
        {"true", false, false, false, true},
        {"\"1\"", false, false, false, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        yyjson_doc *doc;
        assert_int_equal(
            fq_json_read(fq_str_of(cases[i].json), FQ_JSON_STRICT, &doc, NULL),
            FQ_OK);
        yyjson_val *value = yyjson_doc_get_root(doc);
        fq_number number;
        if (fq_number_read(value, &number) != cases[i].is_number
            || number.is_integer != cases[i].is_integer
            || (cases[i].is_number
                && fq_number_is_integral(&number) != cases[i].is_integral)
            || (cases[i].is_integer
                && fq_number_is_exact(&number, value) != cases[i].is_exact))
            fail_msg("%s", cases[i].json);
        fq_json_free(doc);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_number_writes_digits),
        FQ_TEST(test_number_reads_every_notation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
