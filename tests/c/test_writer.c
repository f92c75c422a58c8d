/* SPDX-License-Identifier: MIT */
/* Writing JSON: strings, numbers, duplicate keys, hostile sizes. */
#include "json/writer.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "json/reader.h"
#include "json/utf8.h"
#include "support.h"

static uint64_t random_state = 1;

/* Steele and Vigna's SplitMix64; the same numbers in each run. */
static uint64_t
random_next(void)
{
    uint64_t x = random_state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static void
assert_str_written(fq_str s, const char *expected)
{
    fq_buf buf = FQ_BUF_INIT;
    fq_json_write_str(&buf, s);
    assert_int_equal(fq_buf_status(&buf), FQ_OK);
    fq_test_assert_str(fq_buf_str(&buf), expected);
    fq_buf_fini(&buf);
}

/* Reads |text| as from a client and writes it. Any failure is returned. */
static fq_status
rewrite(fq_str text, fq_buf *buf)
{
    yyjson_doc *doc;
    fq_status status = fq_json_read(text, FQ_JSON_LONE_SURROGATES, &doc, NULL);
    if (status != FQ_OK)
        return status;
    fq_json_write_val(buf, yyjson_doc_get_root(doc));
    fq_json_free(doc);
    return fq_buf_status(buf);
}

static void
assert_rewritten(const char *text, const char *expected)
{
    fq_buf buf = FQ_BUF_INIT;
    assert_int_equal(rewrite(fq_str_of(text), &buf), FQ_OK);
    fq_test_assert_str(fq_buf_str(&buf), expected);
    fq_buf_fini(&buf);
}

static void
test_writer_escapes_what_rfc_8259_demands(void **state)
{
    (void)state;
    assert_str_written(fq_str_make(NULL, 0), "\"\"");
    assert_str_written(FQ_STR_LIT("plain text"), "\"plain text\"");
    assert_str_written(FQ_STR_LIT("\"\\/"), "\"\\\"\\\\/\"");
    assert_str_written(FQ_STR_LIT("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
    assert_str_written(FQ_STR_LIT("\0\x01\x0b\x1f"),
                       "\"\\u0000\\u0001\\u000b\\u001f\"");
}

static void
test_writer_leaves_the_rest_verbatim(void **state)
{
    (void)state;
    const char *texts[] = {"\x7f",   "\u2028\u2029", "\u00e9\u20ac\U0001f600",
                           "\ud000", "\ud7ff",       "\ue000\ufeff\uffff"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char expected[64];
        snprintf(expected, sizeof(expected), "\"%s\"", texts[i]);
        assert_str_written(fq_str_of(texts[i]), expected);
    }
}

static void
test_writer_lone_surrogates_leave_as_escapes(void **state)
{
    (void)state;
    assert_str_written(FQ_STR_LIT("\xed\xa0\x80"), "\"\\ud800\"");
    assert_str_written(FQ_STR_LIT("\xed\xbf\xbf"), "\"\\udfff\"");
    assert_str_written(FQ_STR_LIT("a\xed\xae\xbb\xed\x9f\xbf"),
                       "\"a\\udbbb\ud7ff\"");
    assert_rewritten("[\"x\\uDABC\",{\"\\udead\":\"\\ud83d\\ude00\"}]",
                     "[\"x\\udabc\",{\"\\udead\":\"\U0001f600\"}]");
}

/* The definition, byte by byte, to compare with. */
static void
write_str_plainly(fq_buf *buf, fq_str s)
{
    fq_buf_append_char(buf, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        const char *letter = c ? strchr("\bb\ff\nn\rr\tt", c) : NULL;
        if (c == '"' || c == '\\')
            fq_buf_append_format(buf, "\\%c", c);
        else if (letter != NULL && c < 0x20)
            fq_buf_append_format(buf, "\\%c", letter[1]);
        else if (c < 0x20)
            fq_buf_append_format(buf, "\\u%04x", c);
        else
            fq_buf_append_char(buf, (char)c);
    }
    fq_buf_append_char(buf, '"');
}

/* One byte of each value at each place of strings of each length around the
 * steps of the search, on the heap, so that a read beyond is noticed. */
static void
test_writer_finds_escapes_anywhere(void **state)
{
    (void)state;
    fq_buf got = FQ_BUF_INIT, expected = FQ_BUF_INIT;
    for (size_t len = 1; len <= 26; len++) {
        char *text = fq_alloc(len);
        for (size_t i = 0; i < len; i++) {
            for (unsigned c = 0; c < 0x80; c++) {
                memset(text, 0x80 - (int)(c & 1) * 0x60, len);
                text[i] = (char)c;
                fq_buf_clear(&got);
                fq_buf_clear(&expected);
                fq_json_write_str(&got, fq_str_make(text, len));
                write_str_plainly(&expected, fq_str_make(text, len));
                if (!fq_str_eq(fq_buf_str(&got), fq_buf_str(&expected)))
                    fail_msg("byte %02x at %zu of %zu", c, i, len);
            }
        }
        fq_free(text);
    }
    fq_buf_fini(&got);
    fq_buf_fini(&expected);
}

/* A character from all over Unicode, those of special meaning often. */
static uint32_t
random_code_point(void)
{
    static const uint32_t specials[] = {
        0x00, 0x0A, 0x1F, '"', '\\', 0x7F, 0xD7FF, 0xD000, 0xFFFF, 0x10FFFF};
    uint64_t random = random_next();
    if (random % 4 == 0)
        return specials[(random >> 8) % 10];
    if (random % 4 <= 2)
        return 0x20 + (random >> 8) % 0x5F;
    uint32_t code_point = (uint32_t)((random >> 8) % 0x110000);
    return code_point >= 0xD800 && code_point < 0xE000 ? 'x' : code_point;
}

static void
test_writer_strings_read_back_equal(void **state)
{
    (void)state;
    fq_buf buf = FQ_BUF_INIT, expected = FQ_BUF_INIT;
    for (int round = 0; round < 20000; round++) {
        char text[160];
        size_t len = 0;
        size_t max_len = random_next() % (sizeof(text) - 4);
        while (len < max_len)
            len += fq_utf8_encode(random_code_point(), text + len);
        fq_str s = fq_str_make(text, len);
        fq_buf_clear(&buf);
        fq_buf_clear(&expected);
        fq_json_write_str(&buf, s);
        write_str_plainly(&expected, s);
        assert_true(fq_str_eq(fq_buf_str(&buf), fq_buf_str(&expected)));
        yyjson_doc *doc;
        assert_int_equal(
            fq_json_read(fq_buf_str(&buf), FQ_JSON_STRICT, &doc, NULL), FQ_OK);
        assert_true(fq_str_eq(fq_json_str(yyjson_doc_get_root(doc)), s));
        fq_json_free(doc);
    }
    fq_buf_fini(&buf);
    fq_buf_fini(&expected);
}

static void
test_writer_doubles_have_their_form(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {4.35, "4.35"},
        {1e30, "1e30"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {NAN, "null"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fq_buf buf = FQ_BUF_INIT;
        fq_json_write_double(&buf, cases[i].value);
        fq_test_assert_str(fq_buf_str(&buf), cases[i].text);
        fq_buf_fini(&buf);
    }
}

static void
test_writer_doubles_read_back_equal(void **state)
{
    (void)state;
    fq_buf buf = FQ_BUF_INIT;
    for (int round = 0; round < 200000; round++) {
        uint64_t bits = random_next();
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        fq_buf_clear(&buf);
        fq_json_write_double(&buf, value);
        fq_buf_append_char(&buf, '\0');
        char *end;
        double again = strtod(buf.ptr, &end);
        assert_int_equal(*end, '\0');
        assert_memory_equal(&again, &value, sizeof(value));
        assert_true(strpbrk(buf.ptr, ".e") != NULL);
    }
    fq_buf_fini(&buf);
}

static void
test_writer_writes_each_type(void **state)
{
    (void)state;
    const char *texts[] = {
        "null",
        "true",
        "false",
        "\"s\"",
        "[]",
        "{}",
        "[[],{},[{}],{\"a\":[]}]",
        "{\"a\":1,\"b\":[true,false,null],\"c\":{\"d\":\"e\"}}",
        "18446744073709551615",
        "-9223372036854775808",
        "123456789012345678901234567890",
        "1e999",
        "[1.5,2.0,-3]",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_rewritten(texts[i], texts[i]);
    assert_rewritten(" { \"a\" : [ 1 , 2 ] } ", "{\"a\":[1,2]}");
    fq_buf buf = FQ_BUF_INIT;
    fq_json_write_val(&buf, NULL);
    fq_test_assert_str(fq_buf_str(&buf), "null");
    fq_buf_fini(&buf);
}

static void
test_writer_last_duplicate_takes_the_place_of_the_first(void **state)
{
    (void)state;
    assert_rewritten("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}");
    assert_rewritten("{\"a\":1,\"a\":2,\"a\":{\"x\":1,\"x\":2}}",
                     "{\"a\":{\"x\":2}}");
    assert_rewritten("{\"\":1,\"\":2}", "{\"\":2}");
    assert_rewritten("{\"a\":1,\"\\u0061\":2}", "{\"a\":2}");
    /* Names with the same end, length or beginning are not the same. */
    assert_rewritten("{\"a12345678\":1,\"b12345678\":2,\"12345678\":3}",
                     "{\"a12345678\":1,\"b12345678\":2,\"12345678\":3}");
    assert_rewritten("[{\"a\":[{\"b\":1,\"b\":2}],\"a\":[{\"b\":3,\"b\":4}]}]",
                     "[{\"a\":[{\"b\":4}]}]");
}

/* Objects of |n| members whose names repeat after |n_names|. */
static void
assert_duplicates_resolved(size_t n, size_t n_names)
{
    fq_buf text = FQ_BUF_INIT, expected = FQ_BUF_INIT, got = FQ_BUF_INIT;
    fq_buf_append_char(&text, '{');
    for (size_t i = 0; i < n; i++)
        fq_buf_append_format(&text, "%s\"key%zu\":%zu", i > 0 ? "," : "",
                             i % n_names, i);
    fq_buf_append_char(&text, '}');
    fq_buf_append_char(&expected, '{');
    for (size_t i = 0; i < n_names && i < n; i++) {
        size_t last = i + (n - 1 - i) / n_names * n_names;
        fq_buf_append_format(&expected, "%s\"key%zu\":%zu", i > 0 ? "," : "",
                             i, last);
    }
    fq_buf_append_char(&expected, '}');
    assert_int_equal(rewrite(fq_buf_str(&text), &got), FQ_OK);
    assert_true(fq_str_eq(fq_buf_str(&got), fq_buf_str(&expected)));
    fq_buf_fini(&text);
    fq_buf_fini(&expected);
    fq_buf_fini(&got);
}

static void
test_writer_resolves_duplicates_at_every_size(void **state)
{
    (void)state;
    for (size_t n = 1; n < 80; n++)
        for (size_t n_names = 1; n_names <= n; n_names++)
            assert_duplicates_resolved(n, n_names);
}

/* Quadratic work would take minutes here. */
static void
test_writer_hostile_objects_are_linear(void **state)
{
    (void)state;
    uint64_t start_ns = fq_clock_now_ns();
    assert_duplicates_resolved(100000, 1);
    assert_duplicates_resolved(100000, 50000);
    assert_duplicates_resolved(100000, 100000);
    uint64_t n_elapsed = fq_clock_now_ns() - start_ns;
    assert_true(n_elapsed < 30u * (uint64_t)FQ_NS_PER_S);
}

static void
test_writer_writes_the_deepest_tree(void **state)
{
    (void)state;
    fq_buf text = FQ_BUF_INIT, got = FQ_BUF_INIT;
    for (int i = 1; i < FQ_JSON_DEPTH_MAX; i++)
        fq_buf_append_str(&text,
                          i % 2 ? FQ_STR_LIT("[") : FQ_STR_LIT("{\"k\":"));
    fq_buf_append_char(&text, '1');
    for (int i = FQ_JSON_DEPTH_MAX - 1; i > 0; i--)
        fq_buf_append_char(&text, i % 2 ? ']' : '}');
    assert_int_equal(rewrite(fq_buf_str(&text), &got), FQ_OK);
    assert_true(fq_str_eq(fq_buf_str(&got), fq_buf_str(&text)));
    fq_buf_fini(&text);
    fq_buf_fini(&got);
}

static void
test_writer_stops_at_the_maximum(void **state)
{
    (void)state;
    const char *text = "{\"a\":[\"b\\n\",1.5,true]}";
    fq_buf buf = FQ_BUF_INIT;
    for (buf.max = 1; buf.max < strlen(text); buf.max++) {
        fq_buf_clear(&buf);
        assert_int_equal(rewrite(fq_str_of(text), &buf), FQ_ERR_LIMIT);
        assert_true(buf.len <= buf.max);
    }
    fq_buf_clear(&buf);
    assert_int_equal(rewrite(fq_str_of(text), &buf), FQ_OK);
    fq_test_assert_str(fq_buf_str(&buf), text);
    fq_buf_fini(&buf);
}

static void
test_writer_huge_string_is_out_of_memory(void **state)
{
    (void)state;
    fq_buf buf = FQ_BUF_INIT;
    fq_json_write_str(&buf, fq_str_make("x", SIZE_MAX));
    assert_int_equal(fq_buf_status(&buf), FQ_ERR_NOMEM);
    fq_buf_fini(&buf);
}

static fq_status
body_writer_rewrite(void *arg)
{
    const fq_buf *text = arg;
    fq_buf buf = FQ_BUF_INIT;
    fq_status status = rewrite(fq_buf_str(text), &buf);
    if (status == FQ_OK)
        assert_int_equal(buf.ptr[buf.len - 1], '}');
    fq_buf_fini(&buf);
    return status;
}

static void
test_writer_survives_without_memory(void **state)
{
    (void)state;
    fq_buf text = FQ_BUF_INIT;
    /* Beyond the small objects, so that a map is needed; with duplicates. */
    fq_buf_append_str(&text, FQ_STR_LIT("{\"k\":\"\\ud800\""));
    for (int i = 0; i < 150; i++)
        fq_buf_append_format(&text, ",\"k%d\":{\"n\":[\"a\\tb\",%d.5]}",
                             i % 140, i);
    fq_buf_append_char(&text, '}');
    fq_test_body(body_writer_rewrite, &text);
    fq_buf_fini(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_writer_escapes_what_rfc_8259_demands),
        FQ_TEST(test_writer_leaves_the_rest_verbatim),
        FQ_TEST(test_writer_lone_surrogates_leave_as_escapes),
        FQ_TEST(test_writer_finds_escapes_anywhere),
        FQ_TEST(test_writer_strings_read_back_equal),
        FQ_TEST(test_writer_doubles_have_their_form),
        FQ_TEST(test_writer_doubles_read_back_equal),
        FQ_TEST(test_writer_writes_each_type),
        FQ_TEST(test_writer_last_duplicate_takes_the_place_of_the_first),
        FQ_TEST(test_writer_resolves_duplicates_at_every_size),
        FQ_TEST(test_writer_hostile_objects_are_linear),
        FQ_TEST(test_writer_writes_the_deepest_tree),
        FQ_TEST(test_writer_stops_at_the_maximum),
        FQ_TEST(test_writer_huge_string_is_out_of_memory),
        FQ_TEST(test_writer_survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
