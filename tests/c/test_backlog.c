/* SPDX-License-Identifier: MIT */
/* What went in less what came out, from several threads. */
#include "reactor/backlog.h"

#include <pthread.h>

#include "support.h"

static fq_status
body_backlog(void *arg)
{
    (void)arg;
    fq_backlog *backlog;
    fq_status status = fq_backlog_new(&backlog);
    if (status != FQ_OK) {
        assert_null(backlog);
        return status;
    }
    uint64_t n_items, n_bytes;
    fq_backlog_add(backlog, 1, 100);
    fq_backlog_add(backlog, 1, 50);
    fq_backlog_read(backlog, &n_items, &n_bytes);
    assert_int_equal(n_items, 2);
    assert_int_equal(n_bytes, 150);
    fq_backlog_take(backlog, 1, 100);
    fq_backlog_add(backlog, -1, -50);
    fq_backlog_read(backlog, &n_items, &n_bytes);
    assert_int_equal(n_items, 0);
    assert_int_equal(n_bytes, 0);
    fq_backlog_unref(fq_backlog_ref(backlog));
    fq_backlog_unref(backlog);
    fq_backlog_unref(NULL);
    return FQ_OK;
}

static void
test_backlog_counts(void **state)
{
    (void)state;
    fq_test_body(body_backlog, NULL);
}

#define N_TAKERS 3
#define N_ITEMS 30000

static void *
take_items(void *arg)
{
    for (size_t i = 0; i < N_ITEMS; i++)
        fq_backlog_take(arg, 1, 10);
    fq_backlog_unref(arg);
    return NULL;
}

/* Takers run ahead here, as no queue holds them back: that is never told as
 * a huge number. */
static void
test_backlog_is_shared_by_takers(void **state)
{
    (void)state;
    fq_backlog *backlog;
    assert_int_equal(fq_backlog_new(&backlog), FQ_OK);
    pthread_t takers[N_TAKERS];
    for (size_t i = 0; i < N_TAKERS; i++)
        assert_int_equal(pthread_create(&takers[i], NULL, take_items,
                                        fq_backlog_ref(backlog)),
                         0);
    uint64_t n_items, n_bytes;
    for (size_t i = 0; i < N_TAKERS * N_ITEMS; i++) {
        fq_backlog_add(backlog, 1, 10);
        fq_backlog_read(backlog, &n_items, &n_bytes);
        assert_true(n_items <= i + 1);
    }
    for (size_t i = 0; i < N_TAKERS; i++)
        assert_int_equal(pthread_join(takers[i], NULL), 0);
    fq_backlog_read(backlog, &n_items, &n_bytes);
    assert_int_equal(n_items, 0);
    assert_int_equal(n_bytes, 0);
    fq_backlog_unref(backlog);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_backlog_counts),
        FQ_TEST(test_backlog_is_shared_by_takers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
