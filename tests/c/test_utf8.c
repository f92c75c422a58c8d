/* SPDX-License-Identifier: MIT */
/* UTF-8: what is well-formed, and where to cut. */
#include "json/utf8.h"

#include "support.h"

/* The |len| bytes at |p|, at most four, are one character: the definition of
 * RFC 3629 put plainly, to compare with. Decodes, and sees whether encoding
 * gives the same bytes. */
static bool
is_one_character(const unsigned char *p, size_t len)
{
    static const unsigned char lead_bits[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    static const unsigned char lead_mask[5] = {0, 0x80, 0xE0, 0xF0, 0xF8};
    if ((p[0] & lead_mask[len]) != lead_bits[len])
        return false;
    uint32_t code_point = p[0] & (unsigned char)~lead_mask[len];
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return false;
        code_point = code_point << 6 | (p[i] & 0x3F);
    }
    if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point < 0xE000))
        return false;
    char again[4];
    return fq_utf8_encode(code_point, again) == len
           && memcmp(again, p, len) == 0;
}

/* The |len| bytes at |p|, at most three, are characters. */
static bool
is_text(const unsigned char *p, size_t len)
{
    for (size_t n = 1; n <= len; n++) {
        if (is_one_character(p, n))
            return is_text(p + n, len - n);
    }
    return len == 0;
}

static void
test_utf8_knows_every_sequence_of_up_to_three_bytes(void **state)
{
    (void)state;
    for (uint32_t bytes = 0x80; bytes < 0x1000000; bytes++) {
        /* Past the sequences of two bytes, go on where a lead byte is first:
         * what begins with ASCII would only repeat them. */
        if (bytes == 0x10000)
            bytes = 0x800000;
        size_t len = bytes < 0x100 ? 1 : bytes < 0x10000 ? 2 : 3;
        unsigned char p[3];
        for (size_t i = 0; i < len; i++)
            p[i] = (unsigned char)(bytes >> 8 * (len - 1 - i));
        bool is_valid = is_text(p, len);
        if (fq_utf8_is_valid(fq_str_make((char *)p, len)) != is_valid)
            fail_msg("%06x", bytes);
    }
}

static void
test_utf8_knows_four_byte_sequences(void **state)
{
    (void)state;
    /* All first and second bytes, with third and fourth ones from the edges
     * of what may continue. */
    static const unsigned char tails[] = {0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xFF};
    unsigned char p[4];
    for (unsigned head = 0xF000; head <= 0xFFFF; head++) {
        for (unsigned tail = 0; tail < 36; tail++) {
            p[0] = (unsigned char)(head >> 8);
            p[1] = (unsigned char)head;
            p[2] = tails[tail / 6];
            p[3] = tails[tail % 6];
            bool is_valid = is_one_character(p, 4);
            fq_str s = fq_str_make((char *)p, 4);
            assert_int_equal(fq_utf8_is_valid(s), is_valid);
            assert_int_equal(fq_utf8_find_invalid(s), is_valid ? 4 : 0);
        }
    }
}

static void
test_utf8_sequences_may_not_be_cut_short(void **state)
{
    (void)state;
    const fq_str whole = FQ_STR("\U0001f600\u20ac\u00e9");
    for (size_t len = 0; len <= whole.len; len++) {
        bool is_whole = len == 0 || len == 4 || len == 7 || len == 9;
        /* On the heap, so that a read beyond the end is noticed. */
        char *copy = fq_alloc(len);
        memcpy(copy, whole.ptr, len);
        assert_int_equal(fq_utf8_is_valid(fq_str_make(copy, len)), is_whole);
        fq_free(copy);
    }
}

static void
test_utf8_finds_the_first_bad_byte(void **state)
{
    (void)state;
    char text[64];
    for (size_t i = 0; i < sizeof(text); i++) {
        memset(text, 'a', sizeof(text));
        text[i] = (char)0xFF;
        fq_str s = fq_str_make(text, sizeof(text));
        assert_int_equal(fq_utf8_find_invalid(s), i);
        assert_false(fq_utf8_is_valid(s));
    }
    assert_int_equal(fq_utf8_find_invalid(FQ_STR_LIT("\u00e9\xed\xa0\x80")),
                     2);
    assert_true(fq_utf8_is_valid(fq_str_make(NULL, 0)));
}

static void
test_utf8_truncate_keeps_characters_whole(void **state)
{
    (void)state;
    const fq_str text = FQ_STR("a\u00e9\u20ac\U0001f600");
    const size_t cuts[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    for (size_t max_len = 0; max_len < 12; max_len++) {
        fq_str cut = fq_utf8_truncate(text, max_len);
        assert_ptr_equal(cut.ptr, text.ptr);
        assert_int_equal(cut.len, cuts[max_len]);
    }
    assert_int_equal(fq_utf8_truncate(fq_str_make(NULL, 0), 5).len, 0);
}

static void
test_utf8_encode_at_the_edges(void **state)
{
    (void)state;
    static const struct {
        uint32_t code_point;
        const char *bytes;
        size_t len;
    } cases[] = {
        {0x00, "\0", 1},
        {0x7F, "\x7f", 1},
        {0x80, "\xc2\x80", 2},
        {0x7FF, "\xdf\xbf", 2},
        {0x800, "\xe0\xa0\x80", 3},
        {0xD800, "\xed\xa0\x80", 3},
        {0xDFFF, "\xed\xbf\xbf", 3},
        {0xFFFF, "\xef\xbf\xbf", 3},
        {0x10000, "\xf0\x90\x80\x80", 4},
        {0x10FFFF, "\xf4\x8f\xbf\xbf", 4},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[4];
        assert_int_equal(fq_utf8_encode(cases[i].code_point, out),
                         cases[i].len);
        assert_memory_equal(out, cases[i].bytes, cases[i].len);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_utf8_knows_every_sequence_of_up_to_three_bytes),
        FQ_TEST(test_utf8_knows_four_byte_sequences),
        FQ_TEST(test_utf8_sequences_may_not_be_cut_short),
        FQ_TEST(test_utf8_finds_the_first_bad_byte),
        FQ_TEST(test_utf8_truncate_keeps_characters_whole),
        FQ_TEST(test_utf8_encode_at_the_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
