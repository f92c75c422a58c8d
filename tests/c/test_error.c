/* SPDX-License-Identifier: MIT */
/* Messages are kept whole or cut between characters. */
#include "base/error.h"

#include "json/utf8.h"
#include "support.h"

static void
test_error_set_fills_and_returns_the_status(void **state)
{
    (void)state;
    fq_error error;
    assert_int_equal(
        fq_error_set(&error, FQ_ERR_INVALID, 7, "no field \"%s\"", "x"),
        FQ_ERR_INVALID);
    assert_int_equal(error.status, FQ_ERR_INVALID);
    assert_int_equal(error.pos, 7);
    assert_string_equal(error.message, "no field \"x\"");
}

static void
test_error_may_be_null(void **state)
{
    (void)state;
    assert_int_equal(
        fq_error_set(NULL, FQ_ERR_LIMIT, FQ_ERROR_NO_POS, "%d", 1),
        FQ_ERR_LIMIT);
}

static void
test_error_keeps_a_message_that_just_fits(void **state)
{
    (void)state;
    char text[FQ_ERROR_MESSAGE_MAX] = "";
    memset(text, 'x', sizeof(text) - 1);
    fq_error error;
    fq_error_set(&error, FQ_ERR_INVALID, 0, "%s", text);
    assert_string_equal(error.message, text);
}

/* Characters of every length, shifted by each offset, so that the cut falls
 * on each of their bytes. */
static void
test_error_cuts_between_characters(void **state)
{
    (void)state;
    const char *characters[] = {"x", "\u00e9", "\u20ac", "\U0001f600"};
    for (size_t i = 0; i < 4; i++) {
        size_t len = strlen(characters[i]);
        for (size_t n_before = 0; n_before < 4; n_before++) {
            char text[2 * FQ_ERROR_MESSAGE_MAX] = "";
            memset(text, '.', n_before);
            while (strlen(text) + len < sizeof(text))
                strcat(text, characters[i]);
            fq_error error;
            fq_error_set(&error, FQ_ERR_INVALID, 0, "%s", text);
            fq_str message = fq_str_of(error.message);
            assert_true(message.len < FQ_ERROR_MESSAGE_MAX);
            assert_true(message.len + len >= FQ_ERROR_MESSAGE_MAX);
            assert_true(fq_utf8_is_valid(message));
            assert_memory_equal(message.ptr, text, message.len);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_error_set_fills_and_returns_the_status),
        FQ_TEST(test_error_may_be_null),
        FQ_TEST(test_error_keeps_a_message_that_just_fits),
        FQ_TEST(test_error_cuts_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
