/* SPDX-License-Identifier: MIT */
/* Blocks of an arena: apart, aligned, limited. */
#include "base/arena.h"

#include <stdalign.h>

#include "support.h"

static fq_status
body_arena_alloc(void *arg)
{
    (void)arg;
    fq_arena arena;
    fq_arena_init(&arena, 0);
    fq_status status = FQ_OK;
    unsigned char *blocks[500];
    for (size_t i = 0; i < 500 && status == FQ_OK; i++) {
        blocks[i] = fq_arena_alloc(&arena, i);
        if (blocks[i] == NULL) {
            status = FQ_ERR_NOMEM;
            break;
        }
        assert_int_equal((uintptr_t)blocks[i] % alignof(uint64_t), 0);
        memset(blocks[i], (int)(i & 0xff), i);
    }
    if (status == FQ_OK) {
        for (size_t i = 0; i < 500; i++)
            for (size_t j = 0; j < i; j++)
                assert_int_equal(blocks[i][j], i & 0xff);
    }
    fq_arena_fini(&arena);
    return status;
}

static void
test_arena_blocks_are_aligned_and_apart(void **state)
{
    (void)state;
    fq_test_body(body_arena_alloc, NULL);
}

static void
test_arena_takes_nothing_before_the_first_request(void **state)
{
    (void)state;
    fq_arena arena;
    fq_arena_init(&arena, 100);
    assert_int_equal(arena.n_bytes, 0);
    assert_null(arena.chunks);
    fq_arena_fini(&arena);
}

static void
test_arena_zeroes_on_demand(void **state)
{
    (void)state;
    const unsigned char zeros[300] = {0};
    fq_arena arena;
    fq_arena_init(&arena, 0);
    for (int i = 0; i < 20; i++) {
        unsigned char *block = fq_arena_alloc_zero(&arena, sizeof(zeros));
        assert_memory_equal(block, zeros, sizeof(zeros));
        memset(block, 0xff, sizeof(zeros));
    }
    int *one = FQ_ARENA_NEW(&arena, int);
    int *many = FQ_ARENA_NEW_N(&arena, int, 10);
    assert_int_equal(*one, 0);
    assert_memory_equal(many, zeros, 10 * sizeof(int));
    fq_arena_fini(&arena);
}

static fq_status
body_arena_copy(void *arg)
{
    (void)arg;
    fq_arena arena;
    fq_arena_init(&arena, 0);
    char text[] = "text";
    fq_str copy = fq_arena_copy(&arena, fq_str_of(text));
    fq_status status = copy.ptr != NULL ? FQ_OK : FQ_ERR_NOMEM;
    text[0] = 'X';
    if (status == FQ_OK)
        assert_string_equal(copy.ptr, "text");
    else
        assert_int_equal(copy.len, 0);
    fq_arena_fini(&arena);
    return status;
}

static void
test_arena_copy_is_terminated(void **state)
{
    (void)state;
    fq_test_body(body_arena_copy, NULL);
    fq_arena arena;
    fq_arena_init(&arena, 0);
    fq_str empty = fq_arena_copy(&arena, fq_str_make(NULL, 0));
    assert_non_null(empty.ptr);
    assert_string_equal(empty.ptr, "");
    fq_arena_fini(&arena);
}

__attribute__((format(printf, 2, 3))) static fq_str
format_in(fq_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fq_str text = fq_arena_format_va(arena, format, args);
    va_end(args);
    return text;
}

static void
test_arena_format_is_terminated(void **state)
{
    (void)state;
    fq_arena arena;
    fq_arena_init(&arena, 0);
    fq_str text = format_in(&arena, "%s of %d", "one", 12);
    assert_int_equal(text.len, 9);
    assert_string_equal(text.ptr, "one of 12");
    assert_string_equal(format_in(&arena, "%s", "").ptr, "");
    fq_arena_fini(&arena);
}

static void
test_arena_format_beyond_its_maximum_has_no_text(void **state)
{
    (void)state;
    fq_arena arena;
    fq_arena_init(&arena, 1000);
    assert_null(format_in(&arena, "%2000d", 1).ptr);
    fq_arena_fini(&arena);
}

static void
test_arena_holds_a_request_larger_than_any_chunk(void **state)
{
    (void)state;
    fq_arena arena;
    fq_arena_init(&arena, 0);
    char *small = fq_arena_alloc(&arena, 10);
    char *large = fq_arena_alloc(&arena, 1000000);
    assert_non_null(large);
    memset(large, 1, 1000000);
    memset(small, 2, 10);
    assert_int_equal(large[0], 1);
    assert_true(arena.n_bytes >= 1000010);
    fq_arena_fini(&arena);
}

static void
test_arena_takes_few_chunks(void **state)
{
    (void)state;
    long n_before = fq_alloc_n_live();
    fq_arena arena;
    fq_arena_init(&arena, 0);
    for (int i = 0; i < 10000; i++)
        assert_non_null(fq_arena_alloc(&arena, 32));
    assert_true(fq_alloc_n_live() - n_before <= 12);
    assert_true(arena.n_bytes < 2 * 10000 * 32);
    fq_arena_fini(&arena);
}

static void
test_arena_refuses_beyond_its_maximum(void **state)
{
    (void)state;
    fq_arena arena;
    fq_arena_init(&arena, 10000);
    size_t n_blocks = 0;
    char *first = fq_arena_alloc(&arena, 100);
    first[0] = 'k';
    while (fq_arena_alloc(&arena, 100) != NULL)
        n_blocks++;
    assert_true(arena.n_bytes <= 10000);
    assert_in_range(n_blocks, 75, 95);
    assert_int_equal(first[0], 'k');
    assert_null(fq_arena_alloc(&arena, 10001));
    assert_int_equal(fq_alloc_n_refused(), 0);
    fq_arena_fini(&arena);
    assert_non_null(fq_arena_alloc(&arena, 100));
    fq_arena_fini(&arena);
}

static void
test_arena_size_overflow_is_refused(void **state)
{
    (void)state;
    fq_arena arena;
    fq_arena_init(&arena, 0);
    assert_null(fq_arena_alloc(&arena, SIZE_MAX));
    assert_null(fq_arena_alloc(&arena, SIZE_MAX - 30));
    assert_null(fq_arena_alloc_array(&arena, 16, SIZE_MAX / 16 + 2));
    assert_null(fq_arena_alloc_array(&arena, SIZE_MAX, 2));
    assert_null(fq_arena_copy(&arena, fq_str_make("", SIZE_MAX)).ptr);
    assert_non_null(fq_arena_alloc_array(&arena, 0, SIZE_MAX));
    fq_arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_arena_blocks_are_aligned_and_apart),
        FQ_TEST(test_arena_takes_nothing_before_the_first_request),
        FQ_TEST(test_arena_zeroes_on_demand),
        FQ_TEST(test_arena_copy_is_terminated),
        FQ_TEST(test_arena_format_is_terminated),
        FQ_TEST(test_arena_format_beyond_its_maximum_has_no_text),
        FQ_TEST(test_arena_holds_a_request_larger_than_any_chunk),
        FQ_TEST(test_arena_takes_few_chunks),
        FQ_TEST(test_arena_refuses_beyond_its_maximum),
        FQ_TEST(test_arena_size_overflow_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
