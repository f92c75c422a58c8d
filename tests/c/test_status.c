/* SPDX-License-Identifier: MIT */
/* Phrases of status codes. */
#include "base/status.h"

#include "support.h"

static const fq_status all_statuses[] = {
    FQ_OK,          FQ_ERR_AGAIN,     FQ_ERR_SYNTAX,
    FQ_ERR_INVALID, FQ_ERR_NOT_FOUND, FQ_ERR_EXISTS,
    FQ_ERR_LIMIT,   FQ_ERR_FULL,      FQ_ERR_TIMEOUT,
    FQ_ERR_CLOSED,  FQ_ERR_FORBIDDEN, FQ_ERR_SYSTEM,
    FQ_ERR_FATAL,   FQ_ERR_NOMEM,
};
#define N_STATUSES (sizeof(all_statuses) / sizeof(all_statuses[0]))

static void
test_status_has_a_phrase_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STATUSES; i++) {
        const char *phrase = fq_status_str(all_statuses[i]);
        assert_non_null(phrase);
        assert_string_not_equal(phrase, "unknown status");
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(phrase, fq_status_str(all_statuses[j]));
    }
}

static void
test_status_phrase_of_unknown_code(void **state)
{
    (void)state;
    assert_string_equal(fq_status_str((fq_status)-12345), "unknown status");
    assert_string_equal(fq_status_str((fq_status)7), "unknown status");
}

static void
test_status_nomem_is_fatal_and_others_not(void **state)
{
    (void)state;
    assert_true(FQ_ERR_NOMEM <= FQ_ERR_FATAL);
    assert_true(FQ_ERR_FORBIDDEN > FQ_ERR_FATAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_status_has_a_phrase_of_its_own),
        FQ_TEST(test_status_phrase_of_unknown_code),
        FQ_TEST(test_status_nomem_is_fatal_and_others_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
