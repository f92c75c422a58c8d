/* SPDX-License-Identifier: MIT */
/* Channels come and go with their listeners, and a cursor bears it. */
#include "engine/channel_index.h"

#include <stdio.h>

#include "engine/engine.h"

#include "random.h"
#include "support.h"

#define N_LISTENERS 40

/* Subscription i listens by listener i. */
static fq_sub subs[N_LISTENERS];
static fq_listener listeners[N_LISTENERS];

static fq_status
body_channel_index(void *arg)
{
    (void)arg;
    fq_channel_index index;
    fq_channel_index_init(&index);
    fq_status status = FQ_OK;
    size_t n = 0;
    while (n < N_LISTENERS && status == FQ_OK) {
        char name[8];
        snprintf(name, sizeof(name), "c%zu", n / 2);
        status = fq_channel_index_add(&index, fq_str_of(name), &subs[n],
                                      &listeners[n]);
        if (status == FQ_OK)
            n++;
        else
            assert_null(listeners[n].channel);
        fq_channel_index_check(&index);
    }
    assert_int_equal(fq_channel_index_n_channels(&index), (n + 1) / 2);
    if (n >= 2) {
        fq_channel *channel = fq_channel_index_find(&index, FQ_STR_LIT("c0"));
        assert_int_equal(channel->n_listeners, 2);
    }
    for (size_t i = 0; i < n; i++) {
        fq_channel_index_remove(&index, &listeners[i]);
        fq_channel_index_remove(&index, &listeners[i]);
        assert_int_equal(fq_channel_index_n_channels(&index),
                         (n + 1) / 2 - (i + 1 == n ? n + 1 : i + 1) / 2);
    }
    fq_channel_index_check(&index);
    assert_null(fq_channel_index_find(&index, FQ_STR_LIT("c0")));
    fq_channel_index_fini(&index);
    return status;
}

static void
test_channel_index_has_no_empty_channel(void **state)
{
    (void)state;
    fq_test_body(body_channel_index, NULL);
}

static void
test_channel_name_may_be_empty(void **state)
{
    (void)state;
    fq_channel_index index;
    fq_channel_index_init(&index);
    assert_int_equal(
        fq_channel_index_add(&index, FQ_STR_LIT(""), &subs[0], &listeners[0]),
        FQ_OK);
    assert_non_null(fq_channel_index_find(&index, FQ_STR_LIT("")));
    fq_channel_index_remove(&index, &listeners[0]);
    fq_channel_index_fini(&index);
}

static void
test_channel_cursor_closes_with_its_channel(void **state)
{
    (void)state;
    fq_channel_index index;
    fq_channel_index_init(&index);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fq_channel_index_add(&index, FQ_STR_LIT("c"),
                                              &subs[i], &listeners[i]),
                         FQ_OK);
    fq_channel *channel = fq_channel_index_find(&index, FQ_STR_LIT("c"));
    fq_channel_cursor cursors[2];
    for (int i = 0; i < 2; i++) {
        fq_channel_cursor_init(&cursors[i]);
        assert_null(fq_channel_cursor_next(&cursors[i]));
        fq_channel_cursor_open(&cursors[i], channel);
        assert_ptr_equal(fq_channel_cursor_next(&cursors[i]), &subs[0]);
    }
    fq_channel_index_check(&index);
    fq_channel_index_remove(&index, &listeners[1]);
    fq_channel_index_remove(&index, &listeners[0]);
    /* One of the same name is another channel. */
    assert_int_equal(
        fq_channel_index_add(&index, FQ_STR_LIT("c"), &subs[2], &listeners[2]),
        FQ_OK);
    for (int i = 0; i < 2; i++) {
        assert_false(fq_channel_cursor_is_open(&cursors[i]));
        assert_null(fq_channel_cursor_next(&cursors[i]));
        fq_channel_cursor_close(&cursors[i]);
    }
    fq_channel_index_remove(&index, &listeners[2]);
    fq_channel_index_fini(&index);
}

/* A walk during which listeners come and go: all who were there from its
 * start to its end are met once, in order; nobody is met twice or after he
 * left. */
static void
random_walk(uint64_t seed)
{
    fq_random random = {seed};
    fq_channel_index index;
    fq_channel_index_init(&index);
    enum { GONE, NEW, OLD, MET } is[N_LISTENERS] = {GONE};
    size_t n = 1 + fq_random_below(&random, N_LISTENERS / 2);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(fq_channel_index_add(&index, FQ_STR_LIT("c"),
                                              &subs[i], &listeners[i]),
                         FQ_OK);
        is[i] = OLD;
    }
    fq_channel_cursor cursor;
    fq_channel_cursor_init(&cursor);
    fq_channel_cursor_open(&cursor,
                           fq_channel_index_find(&index, FQ_STR_LIT("c")));
    struct fq_sub *sub;
    size_t last = 0;
    while ((sub = fq_channel_cursor_next(&cursor)) != NULL) {
        size_t i = (size_t)(sub - subs);
        assert_true(is[i] == OLD || is[i] == NEW);
        assert_true(i >= last);
        for (size_t j = 0; j < i; j++)
            assert_true(is[j] != OLD);
        is[i] = MET;
        last = i;
        while (fq_random_chance(&random, 60)) {
            size_t j = fq_random_below(&random, N_LISTENERS);
            if (j < n && is[j] != GONE) {
                fq_channel_index_remove(&index, &listeners[j]);
                is[j] = GONE;
            } else if (n < N_LISTENERS && fq_random_chance(&random, 50)) {
                assert_int_equal(fq_channel_index_add(&index, FQ_STR_LIT("c"),
                                                      &subs[n], &listeners[n]),
                                 FQ_OK);
                is[n++] = NEW;
            }
            fq_channel_index_check(&index);
        }
        if (!fq_channel_cursor_is_open(&cursor))
            break;
    }
    for (size_t i = 0; i < n; i++) {
        assert_true(is[i] != OLD);
        fq_channel_index_remove(&index, &listeners[i]);
    }
    fq_channel_index_fini(&index);
}

static void
test_channel_cursor_bears_change(void **state)
{
    (void)state;
    fq_random_runs(random_walk, 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_channel_index_has_no_empty_channel),
        FQ_TEST(test_channel_name_may_be_empty),
        FQ_TEST(test_channel_cursor_closes_with_its_channel),
        FQ_TEST_RANDOM(test_channel_cursor_bears_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
