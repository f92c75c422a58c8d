/* SPDX-License-Identifier: MIT */
/* Each reason and each code has its counter; a table is read while the
 * reactor, here a thread, writes it. */
#include "engine/metrics.h"

#include <pthread.h>

#include "support.h"

/* All counters of |metrics| together. */
static uint64_t
sum(const fq_metrics *metrics)
{
    uint64_t n = 0;
#define ADD(name, help) n += FQ_METRIC_GET(metrics, name);
    FQ_METRICS(ADD)
#undef ADD
    return n;
}

static void
test_metrics_count_each_reason(void **state)
{
    (void)state;
    static fq_metrics metrics;
#define COUNT(reason, name)                                                   \
    fq_metrics_count_end(&metrics, reason);                                   \
    assert_int_equal(FQ_METRIC_GET(&metrics, name), 1);
    FQ_END_REASONS(COUNT)
#undef COUNT
    assert_int_equal(sum(&metrics), FQ_END_SHUTDOWN + 1);
}

static void
test_metrics_count_each_code(void **state)
{
    (void)state;
    static fq_metrics metrics;
    uint64_t n = 0;
#define COUNT(code)                                                           \
    fq_metrics_count_close(&metrics, code);                                   \
    assert_int_equal(FQ_METRIC_GET(&metrics, closed_##code), 1);              \
    n++;
    FQ_CLOSE_CODES(COUNT)
#undef COUNT
    fq_metrics_count_close(&metrics, 4999);
    assert_int_equal(FQ_METRIC_GET(&metrics, closed_other), 1);
    assert_int_equal(sum(&metrics), n + 1);
}

#define N_EVENTS 50000

/* What the reactor does for an event. */
static void *
write_metrics(void *arg)
{
    fq_metrics *metrics = arg;
    for (uint64_t n = 0; n < N_EVENTS; n++) {
        FQ_METRIC_ADD(metrics, events_received, 1);
        FQ_METRIC_ADD(metrics, subscriptions_active, 1);
        fq_histogram_add(&metrics->dispatch_seconds, n);
        FQ_METRIC_SUB(metrics, subscriptions_active, 1);
        fq_metrics_count_end(metrics, FQ_END_COMPLETE);
    }
    return NULL;
}

static void
test_metrics_are_read_while_they_are_written(void **state)
{
    (void)state;
    static fq_metrics metrics;
    pthread_t reactor;
    assert_int_equal(pthread_create(&reactor, NULL, write_metrics, &metrics),
                     0);
    uint64_t n_received;
    do {
        fq_histogram_snapshot snapshot;
        fq_histogram_read(&metrics.dispatch_seconds, &snapshot);
        n_received = FQ_METRIC_GET(&metrics, events_received);
        assert_true(FQ_METRIC_GET(&metrics, subscriptions_active) <= 1);
        assert_true(snapshot.count <= N_EVENTS);
    } while (n_received < N_EVENTS);
    assert_int_equal(pthread_join(reactor, NULL), 0);
    assert_int_equal(FQ_METRIC_GET(&metrics, ended_complete), N_EVENTS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_metrics_count_each_reason),
        FQ_TEST(test_metrics_count_each_code),
        FQ_TEST(test_metrics_are_read_while_they_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
