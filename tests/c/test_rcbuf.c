/* SPDX-License-Identifier: MIT */
/* Shared bytes, by one thread and by several. */
#include "base/rcbuf.h"

#include <pthread.h>

#include "support.h"

static fq_status
body_rcbuf_new(void *arg)
{
    (void)arg;
    fq_rcbuf *rcbuf;
    fq_status status = fq_rcbuf_new(FQ_STR_LIT("a\0b"), &rcbuf);
    if (status == FQ_OK) {
        assert_int_equal(rcbuf->len, 3);
        assert_memory_equal(rcbuf->bytes, "a\0b", 4);
        assert_true(rcbuf->is_ascii);
    } else {
        assert_null(rcbuf);
    }
    fq_rcbuf_unref(rcbuf);
    return status;
}

static void
test_rcbuf_new_copies_and_terminates(void **state)
{
    (void)state;
    fq_test_body(body_rcbuf_new, NULL);
}

static fq_status
body_rcbuf_concat(void *arg)
{
    (void)arg;
    const fq_str parts[] = {
        FQ_STR("{\"id\":"),
        {NULL, 0},
        FQ_STR("\"\xc3\xa9\""),
        FQ_STR("}"),
    };
    fq_rcbuf *rcbuf;
    fq_status status = fq_rcbuf_concat(parts, 4, &rcbuf);
    if (status == FQ_OK) {
        fq_test_assert_str(fq_rcbuf_str(rcbuf), "{\"id\":\"\xc3\xa9\"}");
        assert_false(rcbuf->is_ascii);
        assert_int_equal(rcbuf->bytes[rcbuf->len], '\0');
    } else {
        assert_null(rcbuf);
    }
    fq_rcbuf_unref(rcbuf);
    return status;
}

static void
test_rcbuf_concat_joins_the_parts(void **state)
{
    (void)state;
    fq_test_body(body_rcbuf_concat, NULL);
}

static void
test_rcbuf_may_be_empty(void **state)
{
    (void)state;
    fq_rcbuf *rcbuf;
    assert_int_equal(fq_rcbuf_concat(NULL, 0, &rcbuf), FQ_OK);
    assert_int_equal(rcbuf->len, 0);
    assert_true(rcbuf->is_ascii);
    fq_rcbuf_unref(rcbuf);
    assert_int_equal(fq_rcbuf_new(fq_str_make(NULL, 0), &rcbuf), FQ_OK);
    assert_int_equal(rcbuf->bytes[0], '\0');
    fq_rcbuf_unref(rcbuf);
    fq_rcbuf_unref(NULL);
}

static void
test_rcbuf_size_overflow_is_out_of_memory(void **state)
{
    (void)state;
    fq_rcbuf *rcbuf;
    const fq_str huge[] = {{"", SIZE_MAX - 1}, {"", 5}};
    assert_int_equal(fq_rcbuf_concat(huge, 2, &rcbuf), FQ_ERR_NOMEM);
    assert_null(rcbuf);
    assert_int_equal(fq_rcbuf_concat(huge, 1, &rcbuf), FQ_ERR_NOMEM);
    assert_null(rcbuf);
}

static void
test_rcbuf_lives_until_the_last_unref(void **state)
{
    (void)state;
    long n_before = fq_alloc_n_live();
    fq_rcbuf *rcbuf;
    fq_rcbuf_new(FQ_STR_LIT("x"), &rcbuf);
    assert_ptr_equal(fq_rcbuf_ref(rcbuf), rcbuf);
    fq_rcbuf_unref(rcbuf);
    assert_int_equal(fq_alloc_n_live(), n_before + 1);
    fq_rcbuf_unref(rcbuf);
    assert_int_equal(fq_alloc_n_live(), n_before);
}

/* One byte above 0x7F at each place of texts of each length. */
static void
test_rcbuf_is_ascii_sees_every_byte(void **state)
{
    (void)state;
    char text[100];
    for (size_t len = 0; len <= sizeof(text); len++) {
        memset(text, 0x7f, sizeof(text));
        assert_true(fq_str_is_ascii(fq_str_make(text, len)));
        for (size_t i = 0; i < len; i++) {
            text[i] = (char)0x80;
            assert_false(fq_str_is_ascii(fq_str_make(text, len)));
            text[i] = 0;
        }
    }
    assert_true(fq_str_is_ascii(fq_str_make(NULL, 0)));
}

/* Takes and drops references, reads in between, and drops its own at last:
 * whoever is the last frees. */
static void *
share(void *arg)
{
    fq_rcbuf *rcbuf = arg;
    size_t sum = 0;
    for (int i = 0; i < 20000; i++) {
        fq_rcbuf *mine = fq_rcbuf_ref(rcbuf);
        sum += (unsigned char)mine->bytes[i % (int)mine->len];
        fq_rcbuf_unref(mine);
    }
    fq_rcbuf_unref(rcbuf);
    return (void *)sum;
}

static void
test_rcbuf_is_shared_by_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (int round = 0; round < 20; round++) {
        fq_rcbuf *rcbuf;
        assert_int_equal(fq_rcbuf_new(FQ_STR_LIT("shared"), &rcbuf), FQ_OK);
        for (int i = 0; i < 4; i++)
            assert_int_equal(
                pthread_create(&threads[i], NULL, share, fq_rcbuf_ref(rcbuf)),
                0);
        fq_rcbuf_unref(rcbuf);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_rcbuf_new_copies_and_terminates),
        FQ_TEST(test_rcbuf_concat_joins_the_parts),
        FQ_TEST(test_rcbuf_may_be_empty),
        FQ_TEST(test_rcbuf_size_overflow_is_out_of_memory),
        FQ_TEST(test_rcbuf_lives_until_the_last_unref),
        FQ_TEST(test_rcbuf_is_ascii_sees_every_byte),
        FQ_TEST(test_rcbuf_is_shared_by_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
