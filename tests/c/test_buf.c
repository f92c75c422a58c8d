/* SPDX-License-Identifier: MIT */
/* Appending, limits, and failures that stick. */
#include "base/buf.h"

#include "support.h"

static fq_status
body_buf_append(void *arg)
{
    (void)arg;
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_str(&buf, FQ_STR_LIT("id "));
    fq_buf_append_int(&buf, -42);
    fq_buf_append_char(&buf, ' ');
    fq_buf_append_uint(&buf, 42);
    fq_buf_append_format(&buf, " %s%c", "format", '!');
    fq_buf_append(&buf, "\0", 1);
    fq_buf_append(&buf, NULL, 0);
    fq_status status = fq_buf_status(&buf);
    if (status == FQ_OK) {
        assert_int_equal(buf.len, 18);
        assert_memory_equal(buf.ptr, "id -42 42 format!\0", 18);
    }
    fq_buf_fini(&buf);
    return status;
}

static void
test_buf_append_builds_a_text(void **state)
{
    (void)state;
    fq_test_body(body_buf_append, NULL);
}

static fq_status
body_buf_grow(void *arg)
{
    (void)arg;
    fq_buf buf;
    fq_buf_init(&buf);
    for (int i = 0; i < 10000; i++)
        fq_buf_append_char(&buf, (char)('a' + i % 26));
    fq_status status = fq_buf_status(&buf);
    if (status == FQ_OK) {
        assert_int_equal(buf.len, 10000);
        for (int i = 0; i < 10000; i++)
            assert_int_equal(buf.ptr[i], 'a' + i % 26);
    }
    fq_buf_fini(&buf);
    return status;
}

static void
test_buf_grows_and_keeps_its_content(void **state)
{
    (void)state;
    fq_test_body(body_buf_grow, NULL);
}

static void
test_buf_numbers_at_their_edges(void **state)
{
    (void)state;
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_int(&buf, INT64_MIN);
    fq_buf_append_char(&buf, ' ');
    fq_buf_append_int(&buf, INT64_MAX);
    fq_buf_append_char(&buf, ' ');
    fq_buf_append_uint(&buf, UINT64_MAX);
    fq_buf_append_char(&buf, ' ');
    fq_buf_append_int(&buf, 0);
    fq_test_assert_str(fq_buf_str(&buf), "-9223372036854775808 "
                                         "9223372036854775807 "
                                         "18446744073709551615 0");
    fq_buf_fini(&buf);
}

static void
test_buf_failure_sticks_until_clear(void **state)
{
    (void)state;
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_str(&buf, FQ_STR_LIT("kept"));
    fq_alloc_fail_after(0);
    assert_null(fq_buf_reserve(&buf, 100000));
    fq_alloc_fail_after(-1);
    assert_int_equal(fq_buf_status(&buf), FQ_ERR_NOMEM);
    fq_buf_append_char(&buf, 'x');
    fq_buf_append_int(&buf, 1);
    fq_buf_append_format(&buf, "%d", 1);
    assert_null(fq_buf_reserve(&buf, 1));
    fq_test_assert_str(fq_buf_str(&buf), "kept");
    fq_rcbuf *rcbuf;
    assert_int_equal(fq_buf_to_rcbuf(&buf, &rcbuf), FQ_ERR_NOMEM);
    assert_null(rcbuf);

    fq_buf_clear(&buf);
    fq_buf_append_str(&buf, FQ_STR_LIT("new"));
    assert_int_equal(fq_buf_status(&buf), FQ_OK);
    fq_test_assert_str(fq_buf_str(&buf), "new");
    fq_buf_fini(&buf);
}

static void
test_buf_clear_keeps_the_memory(void **state)
{
    (void)state;
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_str(&buf, FQ_STR_LIT("text"));
    const char *ptr = buf.ptr;
    fq_buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    fq_buf_append_str(&buf, FQ_STR_LIT("more"));
    assert_ptr_equal(buf.ptr, ptr);
    fq_buf_fini(&buf);
    assert_int_equal(buf.cap, 0);
}

static void
test_buf_max_is_exact(void **state)
{
    (void)state;
    fq_buf buf = FQ_BUF_INIT;
    buf.max = 5;
    fq_buf_append_str(&buf, FQ_STR_LIT("12345"));
    assert_int_equal(fq_buf_status(&buf), FQ_OK);
    fq_buf_append(&buf, NULL, 0);
    assert_int_equal(fq_buf_status(&buf), FQ_OK);
    fq_buf_append_char(&buf, '6');
    assert_int_equal(fq_buf_status(&buf), FQ_ERR_LIMIT);

    fq_buf_clear(&buf);
    fq_buf_append_format(&buf, "%s", "12345");
    assert_int_equal(fq_buf_status(&buf), FQ_OK);
    fq_test_assert_str(fq_buf_str(&buf), "12345");
    fq_buf_clear(&buf);
    fq_buf_append_format(&buf, "%s", "123456");
    assert_int_equal(fq_buf_status(&buf), FQ_ERR_LIMIT);
    assert_int_equal(buf.len, 0);
    fq_buf_fini(&buf);
}

static void
test_buf_size_overflow_is_out_of_memory(void **state)
{
    (void)state;
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_char(&buf, 'x');
    assert_null(fq_buf_reserve(&buf, SIZE_MAX));
    assert_int_equal(fq_buf_status(&buf), FQ_ERR_NOMEM);
    fq_test_assert_str(fq_buf_str(&buf), "x");
    fq_buf_fini(&buf);
}

static void
test_buf_reserve_gives_room_to_write(void **state)
{
    (void)state;
    fq_buf buf = FQ_BUF_INIT;
    char *out = fq_buf_reserve(&buf, 1000);
    memset(out, 'z', 1000);
    buf.len += 1000;
    fq_buf_append_char(&buf, '.');
    assert_int_equal(buf.len, 1001);
    assert_int_equal(buf.ptr[999], 'z');
    fq_buf_fini(&buf);
}

static fq_status
body_buf_to_rcbuf(void *arg)
{
    (void)arg;
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_str(&buf, FQ_STR_LIT("payload"));
    fq_rcbuf *rcbuf;
    fq_status status = fq_buf_to_rcbuf(&buf, &rcbuf);
    assert_true((status == FQ_OK) == (rcbuf != NULL));
    if (status == FQ_OK)
        fq_test_assert_str(fq_rcbuf_str(rcbuf), "payload");
    fq_rcbuf_unref(rcbuf);
    fq_buf_fini(&buf);
    return status;
}

static void
test_buf_to_rcbuf_copies_the_content(void **state)
{
    (void)state;
    fq_test_body(body_buf_to_rcbuf, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_buf_append_builds_a_text),
        FQ_TEST(test_buf_grows_and_keeps_its_content),
        FQ_TEST(test_buf_numbers_at_their_edges),
        FQ_TEST(test_buf_failure_sticks_until_clear),
        FQ_TEST(test_buf_clear_keeps_the_memory),
        FQ_TEST(test_buf_max_is_exact),
        FQ_TEST(test_buf_size_overflow_is_out_of_memory),
        FQ_TEST(test_buf_reserve_gives_room_to_write),
        FQ_TEST(test_buf_to_rcbuf_copies_the_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
