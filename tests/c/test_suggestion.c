/* SPDX-License-Identifier: MIT */
/* Suggestions: which names are near, in which order, and how they are told. */
#include "graphql/suggestion.h"

#include "support.h"

/* The sentence for |input| and the |options|, a list that ends with NULL. */
static fq_status
suggest(const char *input, const char *const *options, const char *what,
        fq_buf *buf)
{
    fq_suggestion suggestion;
    fq_suggestion_init(&suggestion, fq_str_of(input));
    for (; *options != NULL; options++)
        fq_suggestion_offer(&suggestion, fq_str_of(*options));
    fq_suggestion_write(&suggestion, what, buf);
    fq_suggestion_fini(&suggestion);
    return fq_buf_status(buf);
}

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
test_suggestion_chooses_by_distance(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    const struct {
        const char *input;
        const char *const *options;
        const char *sentence;
    } cases[] = {
        {"name", none, ""},
        {"", OPTIONS("a"), " Did you mean 'a'?"},
        {"", OPTIONS("ab"), ""},
        {"name", OPTIONS("name"), " Did you mean 'name'?"},
        {"NAME", OPTIONS("name"), " Did you mean 'name'?"},
        {"nmae", OPTIONS("name"), " Did you mean 'name'?"},
        {"nam", OPTIONS("name", "names"), " Did you mean 'name' or 'names'?"},
        {"nam", OPTIONS("named", "names", "nam1"),
         " Did you mean 'nam1', 'named', or 'names'?"},
        {"wxyz", OPTIONS("name"), ""},
        {"name", OPTIONS("completelyDifferent"), ""},
        /* Two swaps are two edits. */
        {"verfication", OPTIONS("evrficatino"),
         " Did you mean 'evrficatino'?"},
        /* A name that comes twice is told once. */
        {"ab", OPTIONS("abc", "abc"), " Did you mean 'abc'?"},
        /* Five are told; those as near stand in natural order. */
        {"a", OPTIONS("a10", "a9", "a1", "b", "a2", "a01", "a3"),
         " Did you mean 'a1', 'a2', 'a3', 'a9', or 'b'?"},
        /* One letter beyond ASCII is one letter. */
        {"n\xc3\xa4me", OPTIONS("name"), " Did you mean 'name'?"},
        {"\xe2\x84\xaa", OPTIONS("k"), " Did you mean 'k'?"},
        {"\xc3", OPTIONS("k"), " Did you mean 'k'?"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fq_buf buf;
        fq_buf_init(&buf);
        assert_int_equal(suggest(cases[i].input, cases[i].options, NULL, &buf),
                         FQ_OK);
        fq_test_assert_str(fq_buf_str(&buf), cases[i].sentence);
        fq_buf_fini(&buf);
    }
}

static void
test_suggestion_says_what_it_names(void **state)
{
    (void)state;
    fq_buf buf;
    fq_buf_init(&buf);
    assert_int_equal(
        suggest("RE", OPTIONS("RED", "GREEN"), "the enum value", &buf), FQ_OK);
    fq_test_assert_str(fq_buf_str(&buf),
                       " Did you mean the enum value 'RED'?");
    fq_buf_clear(&buf);
    const fq_str names[] = {FQ_STR("a"), FQ_STR("b"), FQ_STR("c"),
                            FQ_STR("d"), FQ_STR("e"), FQ_STR("f")};
    fq_suggestion_write_names(&buf, NULL, names, 0);
    fq_test_assert_str(fq_buf_str(&buf), "");
    fq_suggestion_write_names(&buf, NULL, names, 6);
    fq_test_assert_str(fq_buf_str(&buf),
                       " Did you mean 'a', 'b', 'c', 'd', or 'e'?");
    fq_buf_fini(&buf);
}

static void
test_suggestion_natural_order_counts_digits(void **state)
{
    (void)state;
    static const char *const sorted[] = {
        "",
        "01x",
        "1",
        "2",
        "10",
        "A",
        "a",
        "a0",
        "a00",
        "a01",
        "a1",
        "a1b",
        "a1b2",
        "a2",
        "a10",
        "a10b",
        "ab",
        "b",
        "b99999999999999999999",
        "b100000000000000000000",
    };
    size_t n = sizeof(sorted) / sizeof(sorted[0]);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            int cmp = fq_suggestion_natural_cmp(fq_str_of(sorted[i]),
                                                fq_str_of(sorted[j]));
            if ((cmp > 0) - (cmp < 0) != (i > j) - (i < j))
                fail_msg("%s and %s: %d", sorted[i], sorted[j], cmp);
        }
}

static fq_status
suggest_body(void *arg)
{
    (void)arg;
    fq_buf buf;
    fq_buf_init(&buf);
    fq_status status = suggest("colour", OPTIONS("color", "colours"), NULL,
                               &buf);
    if (status == FQ_OK)
        fq_test_assert_str(fq_buf_str(&buf),
                           " Did you mean 'color' or 'colours'?");
    fq_buf_fini(&buf);
    return status;
}

static void
test_suggestion_survives_failing_allocations(void **state)
{
    (void)state;
    fq_test_body(suggest_body, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_suggestion_chooses_by_distance),
        FQ_TEST(test_suggestion_says_what_it_names),
        FQ_TEST(test_suggestion_natural_order_counts_digits),
        FQ_TEST(test_suggestion_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
