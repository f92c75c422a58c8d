/* SPDX-License-Identifier: MIT */
/* Persisted operations: what a hash, a text and a list come to. */
#include "engine/persisted.h"

#include "base/buf.h"
#include "json/reader.h"
#include "support.h"

#define HASH_A                                                                \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01"
#define HASH_B                                                                \
    "ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
#define HASH_B_LOWER                                                          \
    "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
#define WANTS(hash)                                                           \
    "{\"persistedQuery\":{\"version\":1,\"sha256Hash\":\"" hash "\"}}"

static fq_status
fill(bool is_only, fq_persisted **ppersisted)
{
    fq_status status = fq_persisted_new(is_only, ppersisted);
    if (status == FQ_OK)
        status = fq_persisted_add(*ppersisted, FQ_STR_LIT(HASH_A),
                                  FQ_STR_LIT("{ a }"));
    if (status == FQ_OK)
        status = fq_persisted_add(*ppersisted, FQ_STR_LIT(HASH_B),
                                  FQ_STR_LIT("{ b }"));
    return status;
}

/* What |query| with |extensions| becomes: a document, or `code: message`. */
static fq_status
resolve(const fq_persisted *persisted, const char *query,
        const char *extensions, fq_buf *result)
{
    yyjson_doc *doc = NULL;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_status status = FQ_OK;
    if (extensions != NULL)
        status = fq_json_read(fq_str_of(extensions), FQ_JSON_STRICT, &doc,
                              NULL);
    if (status == FQ_OK) {
        fq_str document;
        status = fq_persisted_resolve(persisted, fq_str_of(query),
                                      yyjson_doc_get_root(doc), &document,
                                      &errors);
        if (status == FQ_OK) {
            fq_buf_append_str(result, document);
        } else if (status == FQ_ERR_INVALID) {
            assert_int_equal(errors.n_items, 1);
            fq_buf_append_str(result, fq_str_of(errors.head->code));
            fq_buf_append_str(result, FQ_STR_LIT(": "));
            fq_buf_append_str(result, errors.head->message);
            status = FQ_OK;
        }
    }
    fq_json_free(doc);
    fq_gql_errors_fini(&errors);
    return status == FQ_OK ? fq_buf_status(result) : status;
}

typedef enum { NONE, OPEN, ONLY } list_kind;

static const struct {
    list_kind list;
    const char *query;
    const char *extensions;
    const char *expected;
} cases[] = {
    {NONE, "{ x }", NULL, "{ x }"},
    {NONE, "{ x }", WANTS(HASH_A), "{ x }"},
    {NONE, "", WANTS(HASH_A),
     "PERSISTED_QUERY_NOT_SUPPORTED: PersistedQueryNotSupported"},
    {OPEN, "{ x }", NULL, "{ x }"},
    {OPEN, "{ x }", "{}", "{ x }"},
    {OPEN, "", NULL, ""},
    {OPEN, "{ x }", "{\"persistedQuery\":null}", "{ x }"},
    {OPEN, "", WANTS(HASH_A), "{ a }"},
    {OPEN, "{ a }", WANTS(HASH_A), "{ a }"},
    {OPEN, "", WANTS(HASH_B), "{ b }"},
    {OPEN, "", WANTS(HASH_B_LOWER), "{ b }"},
    {OPEN, "{ b }", WANTS(HASH_A),
     "VALIDATION_ERROR: provided sha does not match query"},
    {OPEN, "", WANTS("00" HASH_A), /* 66 digits */
     "VALIDATION_ERROR: extensions.persistedQuery.sha256Hash must be 64 "
     "hexadecimal digits."},
    {OPEN, "", "{\"persistedQuery\":{\"version\":1,\"sha256Hash\":7}}",
     "VALIDATION_ERROR: extensions.persistedQuery.sha256Hash must be 64 "
     "hexadecimal digits."},
    {OPEN, "", "{\"persistedQuery\":{\"version\":2,\"sha256Hash\":\"\"}}",
     "VALIDATION_ERROR: Unsupported persisted query version"},
    {OPEN, "", "{\"persistedQuery\":true}",
     "VALIDATION_ERROR: Unsupported persisted query version"},
    {ONLY, "{ x }", NULL,
     "FORBIDDEN: Only persisted operations are served here."},
    {ONLY, "{ a }", NULL,
     "FORBIDDEN: Only persisted operations are served here."},
    {ONLY, "", WANTS(HASH_A), "{ a }"},
};

static fq_status
body_cases(void *arg)
{
    (void)arg;
    fq_persisted *lists[3] = {NULL};
    fq_buf result = FQ_BUF_INIT;
    fq_status status = fill(false, &lists[OPEN]);
    if (status == FQ_OK)
        status = fill(true, &lists[ONLY]);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases) && status == FQ_OK;
         i++) {
        fq_buf_fini(&result);
        status = resolve(lists[cases[i].list], cases[i].query,
                         cases[i].extensions, &result);
        if (status == FQ_OK)
            fq_test_assert_str(fq_buf_str(&result), cases[i].expected);
    }
    fq_buf_fini(&result);
    fq_persisted_free(lists[OPEN]);
    fq_persisted_free(lists[ONLY]);
    return status;
}

static void
test_persisted_resolves_what_is_sent(void **state)
{
    (void)state;
    fq_test_body(body_cases, NULL);
}

/* An unknown hash is told by the words that make clients send the text; the
 * text is then served, unless nothing but the list is. */
static void
test_persisted_does_not_find_what_it_does_not_have(void **state)
{
    (void)state;
    static const struct {
        bool is_only;
        const char *query;
        const char *expected;
    } unknown[] = {
        {false, "", "PERSISTED_QUERY_NOT_FOUND: PersistedQueryNotFound"},
        {false, "{ x }", "{ x }"},
        {true, "", "PERSISTED_QUERY_NOT_FOUND: PersistedQueryNotFound"},
        {true, "{ x }", "PERSISTED_QUERY_NOT_FOUND: PersistedQueryNotFound"},
    };
    for (size_t i = 0; i < 4; i++) {
        fq_persisted *empty;
        fq_buf result = FQ_BUF_INIT;
        assert_int_equal(fq_persisted_new(unknown[i].is_only, &empty), FQ_OK);
        assert_int_equal(
            resolve(empty, unknown[i].query, WANTS(HASH_A), &result), FQ_OK);
        fq_test_assert_str(fq_buf_str(&result), unknown[i].expected);
        fq_buf_fini(&result);
        fq_persisted_free(empty);
    }
}

static void
test_persisted_refuses_wrong_entries(void **state)
{
    (void)state;
    fq_persisted *persisted;
    assert_int_equal(fill(false, &persisted), FQ_OK);
    const fq_str document = FQ_STR("{ c }");
    assert_int_equal(
        fq_persisted_add(persisted, FQ_STR_LIT(HASH_B_LOWER), document),
        FQ_ERR_EXISTS);
    assert_int_equal(fq_persisted_add(persisted, FQ_STR_LIT("abc"), document),
                     FQ_ERR_INVALID);
    char hash[] = HASH_A;
    hash[10] = 'g';
    assert_int_equal(fq_persisted_add(persisted, fq_str_of(hash), document),
                     FQ_ERR_INVALID);
    fq_persisted_free(persisted);
    fq_persisted_free(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_persisted_resolves_what_is_sent),
        FQ_TEST(test_persisted_does_not_find_what_it_does_not_have),
        FQ_TEST(test_persisted_refuses_wrong_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
