/* SPDX-License-Identifier: MIT */
/* Reading JSON: what is refused and where, what is kept, how deep. */
#include "json/reader.h"

#include <stdio.h>

#include "json/utf8.h"
#include "support.h"

static void
assert_refused_at(fq_str text, fq_json_mode mode, fq_status status, size_t pos)
{
    yyjson_doc *doc = (yyjson_doc *)&doc;
    fq_error error = {.status = FQ_OK};
    fq_status got = fq_json_read(text, mode, &doc, &error);
    if (got != status || error.pos != pos || error.message[0] == '\0')
        fail_msg("%.*s: status %d, pos %zu, \"%s\"", FQ_STR_FMT(text), got,
                 error.pos, error.message);
    assert_null(doc);
    assert_int_equal(error.status, status);
    assert_int_equal(fq_json_read(text, mode, &doc, NULL), status);
}

/* Refused in both modes, in the same place. */
static void
assert_syntax_error(fq_str text, size_t pos)
{
    assert_refused_at(text, FQ_JSON_STRICT, FQ_ERR_SYNTAX, pos);
    assert_refused_at(text, FQ_JSON_LONE_SURROGATES, FQ_ERR_SYNTAX, pos);
}

static yyjson_doc *
read_ok(fq_str text, fq_json_mode mode)
{
    yyjson_doc *doc;
    fq_error error;
    if (fq_json_read(text, mode, &doc, &error) != FQ_OK)
        fail_msg("%.*s: %s", FQ_STR_FMT(text), error.message);
    return doc;
}

/* |text|, a JSON string, holds |expected| in both modes. */
static void
assert_string_is(const char *text, fq_str expected)
{
    for (int mode = FQ_JSON_STRICT; mode <= FQ_JSON_LONE_SURROGATES; mode++) {
        yyjson_doc *doc = read_ok(fq_str_of(text), (fq_json_mode)mode);
        fq_str got = fq_json_str(yyjson_doc_get_root(doc));
        assert_true(fq_str_eq(got, expected));
        fq_json_free(doc);
    }
}

/* |text|, a JSON string with lone surrogates, holds |expected| in WTF-8 if
 * these are allowed, and is a syntax error if not. */
static void
assert_lone_is(const char *text, fq_str expected)
{
    yyjson_doc *doc;
    assert_int_equal(fq_json_read(fq_str_of(text), FQ_JSON_STRICT, &doc, NULL),
                     FQ_ERR_SYNTAX);
    doc = read_ok(fq_str_of(text), FQ_JSON_LONE_SURROGATES);
    fq_str got = fq_json_str(yyjson_doc_get_root(doc));
    if (!fq_str_eq(got, expected))
        fail_msg("%s became %.*s", text, FQ_STR_FMT(got));
    fq_json_free(doc);
}

static void
test_reader_reads_each_type(void **state)
{
    (void)state;
    yyjson_doc *doc = read_ok(
        FQ_STR_LIT(" {\"a\":[1,-2,3.5,\"s\",true,false,null,{}]}\r\n\t"),
        FQ_JSON_STRICT);
    yyjson_val *array = fq_json_get(yyjson_doc_get_root(doc), FQ_STR_LIT("a"));
    assert_int_equal(yyjson_arr_size(array), 8);
    assert_int_equal(yyjson_get_uint(yyjson_arr_get(array, 0)), 1);
    assert_int_equal(yyjson_get_sint(yyjson_arr_get(array, 1)), -2);
    assert_true(yyjson_get_real(yyjson_arr_get(array, 2)) == 3.5);
    fq_test_assert_str(fq_json_str(yyjson_arr_get(array, 3)), "s");
    assert_true(yyjson_is_true(yyjson_arr_get(array, 4)));
    assert_true(yyjson_is_false(yyjson_arr_get(array, 5)));
    assert_true(yyjson_is_null(yyjson_arr_get(array, 6)));
    assert_true(yyjson_is_obj(yyjson_arr_get(array, 7)));
    fq_json_free(doc);
    fq_json_free(NULL);
}

static void
test_reader_needs_no_terminator(void **state)
{
    (void)state;
    const char digits[] = "123456";
    yyjson_doc *doc = read_ok(fq_str_make(digits, 3), FQ_JSON_STRICT);
    assert_int_equal(yyjson_get_uint(yyjson_doc_get_root(doc)), 123);
    fq_json_free(doc);
    assert_syntax_error(fq_str_make("[1]]", 2), 2);
    /* On the heap, so that a read beyond the end is noticed. */
    char *exact = fq_alloc(5);
    memcpy(exact, "\"\\u00", 5);
    assert_syntax_error(fq_str_make(exact, 5), 5);
    memcpy(exact, "\"abc\\", 5);
    assert_syntax_error(fq_str_make(exact, 5), 5);
    fq_free(exact);
}

static void
test_reader_refuses_what_is_not_rfc_8259(void **state)
{
    (void)state;
    static const struct {
        fq_str text;
        size_t pos;
    } cases[] = {
        {{NULL, 0}, 0},
        {FQ_STR(""), 0},
        {FQ_STR(" \t\r\n"), 0},
        {FQ_STR("\xef\xbb\xbf{}"), 0}, /* a byte order mark */
        {FQ_STR("{} x"), 3},
        {FQ_STR("{}{}"), 2},
        {FQ_STR("{}\0"), 2},
        {FQ_STR("[1,]"), 2},
        {FQ_STR("{\"a\":1,}"), 6},
        {FQ_STR("{a:1}"), 1},
        {FQ_STR("{'a':1}"), 1},
        {FQ_STR("{\"a\" 1}"), 5},
        {FQ_STR("[1 2]"), 3},
        {FQ_STR("NaN"), 0},
        {FQ_STR("Infinity"), 0},
        {FQ_STR("-Infinity"), 1},
        {FQ_STR("[nan]"), 1},
        {FQ_STR("01"), 0},
        {FQ_STR("[+1]"), 1},
        {FQ_STR("[.5]"), 1},
        {FQ_STR("[1.]"), 3},
        {FQ_STR("0x10"), 1},
        {FQ_STR("tru"), 3},
        {FQ_STR("[/**/1]"), 1},
        {FQ_STR("\"a\nb\""), 2},
        {FQ_STR("\"a\0b\""), 2},
        {FQ_STR("\"\\x41\""), 2},
        {FQ_STR("\"\\u12g4\""), 1},
        {FQ_STR("[\"abc"), 5},
        {FQ_STR("\x0b[]"), 0},
        {FQ_STR("[\xc2\xa0]"), 1}, /* no white space of JSON */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_syntax_error(cases[i].text, cases[i].pos);
}

static void
test_reader_refuses_malformed_utf_8(void **state)
{
    (void)state;
    assert_syntax_error(FQ_STR_LIT("\"ab\xff\""), 3);
    assert_syntax_error(FQ_STR_LIT("\"\xc3\""), 1);
    assert_syntax_error(FQ_STR_LIT("\"\xc0\xaf\""), 1);
    assert_syntax_error(FQ_STR_LIT("\"\xed\xa0\x80\""), 1);
    assert_syntax_error(FQ_STR_LIT("\"\xf4\x90\x80\x80\""), 1);
    assert_syntax_error(FQ_STR_LIT("{\"\xff\":1}"), 2);
    /* Also in text that is read a second time for its lone surrogates. */
    fq_str raw = FQ_STR_LIT("[\"\\ud800\",\"\xff\"]");
    assert_refused_at(raw, FQ_JSON_LONE_SURROGATES, FQ_ERR_SYNTAX, 11);
    raw = FQ_STR_LIT("[\"\\ud800\",\"\xed\xa0\x80\"]");
    assert_refused_at(raw, FQ_JSON_LONE_SURROGATES, FQ_ERR_SYNTAX, 11);
    raw = FQ_STR_LIT("[\"\\ud800\",\xff]");
    assert_refused_at(raw, FQ_JSON_LONE_SURROGATES, FQ_ERR_SYNTAX, 10);
}

static void
test_reader_understands_escapes(void **state)
{
    (void)state;
    assert_string_is("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                     FQ_STR_LIT("\"\\/\b\f\n\r\t"));
    assert_string_is("\"\\u0000\\u001F\\u00e9\\u20AC\"",
                     FQ_STR_LIT("\0\x1f\u00e9\u20ac"));
    assert_string_is("\"\\ud83d\\ude00\"", FQ_STR_LIT("\U0001f600"));
    assert_string_is("\"\\uD800\\uDC00\\uDBFF\\uDFFF\"",
                     FQ_STR_LIT("\U00010000\U0010ffff"));
    assert_string_is("\"\x7f\xe2\x80\xa8\"", FQ_STR_LIT("\x7f\xe2\x80\xa8"));
    /* The backslash is escaped, so this is no surrogate. */
    assert_string_is("\"\\\\ud800\"", FQ_STR_LIT("\\ud800"));
}

static void
test_reader_keeps_lone_surrogates_of_clients(void **state)
{
    (void)state;
    assert_lone_is("\"\\ud800\"", FQ_STR_LIT("\xed\xa0\x80"));
    assert_lone_is("\"\\uDFFF\"", FQ_STR_LIT("\xed\xbf\xbf"));
    assert_lone_is("\"a\\udc00b\"", FQ_STR_LIT("a\xed\xb0\x80"
                                               "b"));
    assert_lone_is("\"\\ud83dx\"", FQ_STR_LIT("\xed\xa0\xbdx"));
    assert_lone_is("\"\\ud83d\\u0041\"", FQ_STR_LIT("\xed\xa0\xbd"
                                                    "A"));
    assert_lone_is("\"\\ude00\\ud83d\"",
                   FQ_STR_LIT("\xed\xb8\x80\xed\xa0\xbd"));
    /* Just below and above what completes a pair. */
    assert_lone_is("\"\\ud83d\\udbff\"",
                   FQ_STR_LIT("\xed\xa0\xbd\xed\xaf\xbf"));
    assert_lone_is("\"\\udbff\\ue000\"", FQ_STR_LIT("\xed\xaf\xbf\ue000"));
    /* The second of three makes a pair with the third. */
    assert_lone_is("\"\\ud800\\ud83d\\ude00\"",
                   FQ_STR_LIT("\xed\xa0\x80\U0001f600"));
    assert_lone_is("\"\\ud83d\\ude00\\ude00\"",
                   FQ_STR_LIT("\U0001f600\xed\xb8\x80"));
    /* An escaped backslash, then a surrogate; and the other way round. */
    assert_lone_is("\"\\\\\\ud800\"", FQ_STR_LIT("\\\xed\xa0\x80"));
    assert_lone_is("\"\\ud800\\\\ud800\"", FQ_STR_LIT("\xed\xa0\x80\\ud800"));
    assert_lone_is("\"\\ud800\\n\\u00e9\u20ac\"",
                   FQ_STR_LIT("\xed\xa0\x80\n\u00e9\u20ac"));
}

static void
test_reader_keeps_lone_surrogates_in_keys(void **state)
{
    (void)state;
    yyjson_doc *doc = read_ok(FQ_STR_LIT("{\"\\ud800\":{\"k\":\"\\udc00\"}}"),
                              FQ_JSON_LONE_SURROGATES);
    yyjson_val *inner = fq_json_get(yyjson_doc_get_root(doc),
                                    FQ_STR_LIT("\xed\xa0\x80"));
    fq_test_assert_str(fq_json_str(fq_json_get(inner, FQ_STR_LIT("k"))),
                       "\xed\xb0\x80");
    fq_json_free(doc);
}

static void
test_reader_lone_surrogates_hide_no_other_fault(void **state)
{
    (void)state;
    static const struct {
        fq_str text;
        size_t pos;
    } cases[] = {
        {FQ_STR("[\"\\ud800\",]"), 9},
        {FQ_STR("[\"\\ud800\" 1]"), 10},
        {FQ_STR("[\"\\ud800\",\"\\udc00\",]"), 18},
        {FQ_STR("{\"\\ud800\":\"\\q\"}"), 12},
        {FQ_STR("[\"\\ud800\",\"a\tb\"]"), 12},
        {FQ_STR("[\"\\ud800\",\"a\\\"\tb\"]"), 14},
        {FQ_STR("\"\\ud800\n\""), 7},
        {FQ_STR("\"\\ud800"), 7},
        {FQ_STR("\"\\ud800\\ud8"), 11},
        {FQ_STR("\"\\ud800\\ud8\""), 7},
        {FQ_STR("\"\\ud800\" x"), 9},
        {FQ_STR("[NaN,\"\\ud800\"]"), 1},
        {FQ_STR("\\ud800"), 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused_at(cases[i].text, FQ_JSON_LONE_SURROGATES,
                          FQ_ERR_SYNTAX, cases[i].pos);
}

/* Every code unit by itself, as an escape. */
static void
test_reader_reads_every_code_unit(void **state)
{
    (void)state;
    static const char *formats[] = {"\"\\u%04x\"", "\"\\u%04X\""};
    for (unsigned unit = 0; unit <= 0xFFFF; unit++) {
        char text[16];
        char expected[4];
        snprintf(text, sizeof(text), formats[unit & 1], unit);
        size_t len = fq_utf8_encode(unit, expected);
        yyjson_doc *doc = read_ok(fq_str_of(text), FQ_JSON_LONE_SURROGATES);
        fq_str got = fq_json_str(yyjson_doc_get_root(doc));
        assert_true(fq_str_eq(got, fq_str_make(expected, len)));
        fq_json_free(doc);
    }
}

static void
test_reader_big_numbers_stay_text(void **state)
{
    (void)state;
    const char *big[] = {"18446744073709551616", "-9223372036854775809",
                         "123456789012345678901234567890", "1e999", "-1e400"};
    for (size_t i = 0; i < sizeof(big) / sizeof(big[0]); i++) {
        yyjson_doc *doc = read_ok(fq_str_of(big[i]), FQ_JSON_STRICT);
        yyjson_val *root = yyjson_doc_get_root(doc);
        assert_true(yyjson_is_raw(root));
        assert_string_equal(yyjson_get_raw(root), big[i]);
        fq_json_free(doc);
    }
    yyjson_doc *doc = read_ok(FQ_STR_LIT("18446744073709551615"),
                              FQ_JSON_STRICT);
    assert_true(yyjson_get_uint(yyjson_doc_get_root(doc)) == UINT64_MAX);
    fq_json_free(doc);
    doc = read_ok(FQ_STR_LIT("-9223372036854775808"), FQ_JSON_STRICT);
    assert_true(yyjson_get_sint(yyjson_doc_get_root(doc)) == INT64_MIN);
    fq_json_free(doc);
}

/* |n| times |open|, |middle|, |n| times |close|; to be freed. */
static fq_str
nested(size_t n, const char *open, const char *middle, const char *close)
{
    size_t n_open = strlen(open), n_close = strlen(close);
    size_t len = n * (n_open + n_close) + strlen(middle);
    char *text = fq_alloc(len + 1);
    char *out = text;
    for (size_t i = 0; i < n; i++, out += n_open)
        memcpy(out, open, n_open + 1);
    memcpy(out, middle, strlen(middle));
    out += strlen(middle);
    for (size_t i = 0; i < n; i++, out += n_close)
        memcpy(out, close, n_close);
    return fq_str_make(text, len);
}

static void
assert_depth(fq_str text, bool is_accepted)
{
    yyjson_doc *doc;
    fq_error error = {.pos = 0};
    fq_status status = fq_json_read(text, FQ_JSON_STRICT, &doc, &error);
    fq_json_free(doc);
    fq_free((char *)text.ptr);
    assert_int_equal(status, is_accepted ? FQ_OK : FQ_ERR_LIMIT);
    if (!is_accepted)
        assert_int_equal(error.pos, FQ_ERROR_NO_POS);
}

static void
test_reader_limits_depth_exactly(void **state)
{
    (void)state;
    const size_t max = FQ_JSON_DEPTH_MAX;
    assert_depth(nested(max, "[", "", "]"), true);
    assert_depth(nested(max + 1, "[", "", "]"), false);
    assert_depth(nested(max - 1, "[", "1", "]"), true);
    assert_depth(nested(max, "[", "1", "]"), false);
    assert_depth(nested(max - 1, "{\"a\":", "{}", "}"), true);
    assert_depth(nested(max, "{\"a\":", "{}", "}"), false);
    assert_depth(nested(max / 2, "[{\"a\":", "[]", "}]"), false);
    assert_depth(nested(max / 2 - 1, "[{\"a\":", "[1]", "}]"), true);
    /* Siblings before and after, each two deeper than what holds them. */
    assert_depth(nested(max - 2, "[[1,[]],{},", "1", "]"), true);
    assert_depth(nested(max - 1, "[[1,[]],{},", "1", "]"), false);
    assert_depth(nested(max - 2, "[", "1", ",[2],{}]"), true);
    assert_depth(nested(max - 1, "[", "1", ",[2],{}]"), false);
    assert_depth(nested(1000000, "[", "", "]"), false);
}

static void
test_reader_wide_is_not_deep(void **state)
{
    (void)state;
    fq_str text = nested(100000, "", "[[0]", ",[1,[]]");
    char *with_end = (char *)text.ptr;
    with_end = fq_realloc(with_end, text.len + 1);
    with_end[text.len] = ']';
    assert_depth(fq_str_make(with_end, text.len + 1), true);
}

static void
test_reader_get_returns_the_last_of_duplicates(void **state)
{
    (void)state;
    yyjson_doc *doc = read_ok(
        FQ_STR_LIT("{\"a\":1,\"b\":2,\"a\":3,\"\":4,\"a\\u0000\":5}"),
        FQ_JSON_STRICT);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_int_equal(yyjson_get_uint(fq_json_get(root, FQ_STR_LIT("a"))), 3);
    assert_int_equal(yyjson_get_uint(fq_json_get(root, FQ_STR_LIT(""))), 4);
    assert_int_equal(yyjson_get_uint(fq_json_get(root, FQ_STR_LIT("a\0"))), 5);
    assert_null(fq_json_get(root, FQ_STR_LIT("c")));
    assert_null(
        fq_json_get(fq_json_get(root, FQ_STR_LIT("a")), FQ_STR_LIT("a")));
    assert_null(fq_json_get(NULL, FQ_STR_LIT("a")));
    assert_int_equal(fq_json_str(root).len, 0);
    assert_int_equal(fq_json_str(NULL).len, 0);
    fq_json_free(doc);
}

static void
test_reader_huge_length_is_out_of_memory(void **state)
{
    (void)state;
    yyjson_doc *doc;
    fq_error error;
    assert_int_equal(
        fq_json_read(fq_str_make("1", SIZE_MAX), FQ_JSON_STRICT, &doc, &error),
        FQ_ERR_NOMEM);
    assert_null(doc);
    assert_int_equal(error.status, FQ_ERR_NOMEM);
    assert_int_equal(fq_json_read(fq_str_make("1", SIZE_MAX / 16),
                                  FQ_JSON_LONE_SURROGATES, &doc, NULL),
                     FQ_ERR_NOMEM);
}

static fq_status
body_reader_read(void *arg)
{
    yyjson_doc *doc;
    fq_error error;
    fq_status status = fq_json_read(fq_str_of(arg), FQ_JSON_LONE_SURROGATES,
                                    &doc, &error);
    assert_true((status == FQ_OK) == (doc != NULL));
    if (status != FQ_OK)
        assert_int_equal(error.status, status);
    fq_json_free(doc);
    return status;
}

static void
test_reader_survives_without_memory(void **state)
{
    (void)state;
    fq_test_body(body_reader_read, "{\"a\":[1,2,{\"b\":\"c\"}]}");
    fq_test_body(body_reader_read, "[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9]");
    fq_test_body(body_reader_read, "42");
    fq_test_body(body_reader_read, "{\"a\":\"\\ud800\",\"\\ud801\":1}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_reader_reads_each_type),
        FQ_TEST(test_reader_needs_no_terminator),
        FQ_TEST(test_reader_refuses_what_is_not_rfc_8259),
        FQ_TEST(test_reader_refuses_malformed_utf_8),
        FQ_TEST(test_reader_understands_escapes),
        FQ_TEST(test_reader_keeps_lone_surrogates_of_clients),
        FQ_TEST(test_reader_keeps_lone_surrogates_in_keys),
        FQ_TEST(test_reader_lone_surrogates_hide_no_other_fault),
        FQ_TEST(test_reader_reads_every_code_unit),
        FQ_TEST(test_reader_big_numbers_stay_text),
        FQ_TEST(test_reader_limits_depth_exactly),
        FQ_TEST(test_reader_wide_is_not_deep),
        FQ_TEST(test_reader_get_returns_the_last_of_duplicates),
        FQ_TEST(test_reader_huge_length_is_out_of_memory),
        FQ_TEST(test_reader_survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
