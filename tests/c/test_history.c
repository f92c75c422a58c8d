/* SPDX-License-Identifier: MIT */
/* The ring of kept events: its three bounds, what is found, what is lost. */
#include "bus/history.h"

#include <stdio.h>

#include "support.h"

#define SECOND UINT64_C(1000000000)

/* Pushes an event of |offset| that only the history keeps. */
static fq_status
push(fq_history *history, uint64_t offset, size_t len, uint64_t now_ns)
{
    char data[256];
    snprintf(data, sizeof(data), "{\"x\":\"%0*d\"}", (int)len, 0);
    fq_event *event;
    fq_status status = fq_event_new(FQ_STR_LIT("c"), FQ_STR_LIT("t"),
                                    fq_str_of(data), 0, 0, &event, NULL);
    if (status != FQ_OK)
        return status;
    event->offset = offset;
    fq_history_push(history, event, now_ns);
    fq_event_unref(event);
    fq_history_check(history);
    return FQ_OK;
}

/* What is found behind |offset| begins at |first| (0: nothing is behind it). */
static void
assert_behind(const fq_history *history, uint64_t offset, uint64_t first)
{
    size_t index;
    assert_int_equal(fq_history_find(history, offset, &index), FQ_OK);
    if (first == 0)
        assert_int_equal(index, history->n_events);
    else
        assert_int_equal(fq_history_at(history, index)->offset, first);
}

static void
assert_lost(const fq_history *history, uint64_t offset)
{
    size_t index;
    assert_int_equal(fq_history_find(history, offset, &index), FQ_ERR_LOST);
}

static void
test_history_is_bounded_in_events(void **state)
{
    (void)state;
    fq_history history;
    fq_history_init(&history, &(fq_history_limits){3, 1 << 20, SECOND});
    assert_behind(&history, 0, 0);
    for (uint64_t i = 1; i <= 200; i++)
        assert_int_equal(push(&history, i, 1, 5), FQ_OK);
    assert_int_equal(history.n_events, 3);
    assert_lost(&history, 0);
    assert_lost(&history, 196);
    /* Its own event is gone, those behind it are not. */
    assert_behind(&history, 197, 198);
    assert_behind(&history, 199, 200);
    assert_behind(&history, 200, 0);
    assert_behind(&history, 5000, 0);
    fq_history_fini(&history);
}

static void
test_history_finds_between_offsets(void **state)
{
    (void)state;
    fq_history history;
    fq_history_init(&history, &(fq_history_limits){100, 1 << 20, SECOND});
    for (uint64_t i = 10; i <= 50; i += 10)
        assert_int_equal(push(&history, i, 1, 5), FQ_OK);
    assert_behind(&history, 0, 10);
    assert_behind(&history, 10, 20);
    assert_behind(&history, 35, 40);
    assert_behind(&history, 50, 0);
    fq_history_fini(&history);
}

static void
test_history_is_bounded_in_bytes(void **state)
{
    (void)state;
    fq_history history;
    fq_history_init(&history, &(fq_history_limits){1000, 1 << 20, SECOND});
    assert_int_equal(push(&history, 1, 100, 5), FQ_OK);
    size_t n_bytes = history.n_bytes;
    assert_true(n_bytes > sizeof(fq_event) + 200);
    fq_history_fini(&history);
    fq_history_init(&history, &(fq_history_limits){1000, 2 * n_bytes, SECOND});
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(push(&history, i, 100, 5), FQ_OK);
    assert_int_equal(history.n_events, 2);
    assert_int_equal(history.n_bytes, 2 * n_bytes);
    assert_lost(&history, 1);
    assert_behind(&history, 2, 3);
    /* One that is larger than all of it takes all with it. */
    history.limits.max_bytes = n_bytes;
    assert_int_equal(push(&history, 5, 101, 5), FQ_OK);
    assert_int_equal(history.n_events, 0);
    assert_int_equal(history.n_bytes, 0);
    assert_lost(&history, 4);
    assert_behind(&history, 5, 0);
    fq_history_fini(&history);
}

static void
test_history_is_bounded_in_age(void **state)
{
    (void)state;
    fq_history history;
    fq_history_init(&history, &(fq_history_limits){100, 1 << 20, 5 * SECOND});
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(push(&history, i, 1, i * SECOND), FQ_OK);
    fq_history_expire(&history, 7 * SECOND);
    assert_int_equal(history.n_events, 3);
    assert_lost(&history, 0);
    assert_behind(&history, 1, 2);
    /* A push lets go of the old, too; a clock that goes back of nothing. */
    assert_int_equal(push(&history, 5, 1, 8 * SECOND + 1), FQ_OK);
    assert_int_equal(history.n_events, 2);
    fq_history_expire(&history, 0);
    assert_int_equal(history.n_events, 2);
    /* Who has had the last one has missed nothing, however long ago it was. */
    fq_history_expire(&history, 1000 * SECOND);
    assert_int_equal(history.n_events, 0);
    assert_behind(&history, 5, 0);
    assert_lost(&history, 4);
    fq_history_fini(&history);
}

static void
test_history_may_be_none(void **state)
{
    (void)state;
    fq_history history;
    fq_history_init(&history, &(fq_history_limits){0, 1 << 20, SECOND});
    assert_int_equal(push(&history, 1, 1, 5), FQ_OK);
    assert_int_equal(history.n_events, 0);
    assert_lost(&history, 0);
    assert_behind(&history, 1, 0);
    fq_history_fini(&history);
}

/* Without memory for the ring nothing is kept, and nothing is said to be. */
static fq_status
body_history(void *arg)
{
    (void)arg;
    fq_history history;
    fq_history_init(&history, &(fq_history_limits){1000, 1 << 20, SECOND});
    fq_status status = FQ_OK;
    for (uint64_t i = 1; i <= 150 && status == FQ_OK; i++) {
        status = push(&history, i, 1, 5);
        if (status != FQ_OK)
            break;
        size_t index;
        assert_int_equal(fq_history_find(&history, i, &index), FQ_OK);
        if (fq_history_find(&history, i - 1, &index) == FQ_OK)
            assert_int_equal(fq_history_at(&history, index)->offset, i);
    }
    fq_history_fini(&history);
    return status;
}

static void
test_history_without_memory_loses_and_says_so(void **state)
{
    (void)state;
    fq_test_body(body_history, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_history_is_bounded_in_events),
        FQ_TEST(test_history_finds_between_offsets),
        FQ_TEST(test_history_is_bounded_in_bytes),
        FQ_TEST(test_history_is_bounded_in_age),
        FQ_TEST(test_history_may_be_none),
        FQ_TEST(test_history_without_memory_loses_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
