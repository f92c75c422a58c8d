/* SPDX-License-Identifier: MIT */
/* What one event costs in the engine, by the number of subscriptions it
 * matches: each has a sink and a bounded queue of its own, as a session has,
 * and queues head and payload. Draining the queues is not timed. Prints a line
 * of JSON for each measurement: medians and 99th percentiles over the samples
 * in nanoseconds, how often malloc was called, how much a subscription holds.
 * benches/bench_engine.py builds and runs it and makes tables of the lines. */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/channel_index.h"
#include "engine/engine.h"
#include "engine/queue.h"
#include "engine/registry.h"

/* ── counting requests for memory ── */

extern void *
__libc_malloc(size_t n_bytes);
extern void *
__libc_calloc(size_t n, size_t size);
extern void *
__libc_realloc(void *block, size_t n_bytes);
extern void
__libc_free(void *block);

static uint64_t n_mallocs;
/* Held from the allocator, its own eight bytes per block included. */
static size_t n_bytes_live;

#define BLOCK_HEADER 8

static void *
note_block(void *block)
{
    n_mallocs++;
    if (block != NULL)
        n_bytes_live += malloc_usable_size(block) + BLOCK_HEADER;
    return block;
}

static void
forget_block(void *block)
{
    if (block != NULL)
        n_bytes_live -= malloc_usable_size(block) + BLOCK_HEADER;
}

void *
malloc(size_t n_bytes)
{
    return note_block(__libc_malloc(n_bytes));
}

void *
calloc(size_t n, size_t size)
{
    return note_block(__libc_calloc(n, size));
}

void *
realloc(void *block, size_t n_bytes)
{
    forget_block(block);
    return note_block(__libc_realloc(block, n_bytes));
}

void
free(void *block)
{
    forget_block(block);
    __libc_free(block);
}

/* ── subscribers ── */

typedef struct subscriber {
    fq_sink sink;
    fq_queue queue;
    fq_rcbuf *head;
} subscriber;

static uint64_t n_delivered;

static void
on_next(fq_sink *sink, fq_sub *sub, fq_rcbuf *payload)
{
    subscriber *self = (subscriber *)sink;
    fq_queue_item item = {
        .head = fq_rcbuf_ref(self->head),
        .body = fq_rcbuf_ref(payload),
        .sub_id = sub->id,
        .n_dropped = sub->n_carried,
    };
    if (fq_queue_push(&self->queue, &item) != FQ_OK)
        abort();
    sub->n_carried = 0;
    n_delivered++;
}

/* Answered after the dispatch. */
static void
on_call(fq_sink *sink, fq_sub *sub, fq_event *event)
{
    (void)sink;
    (void)sub;
    (void)event;
}

static const fq_sink_ops ops = {.next = on_next, .call = on_call};

static void
drain(subscriber *subscribers, size_t n)
{
    fq_queue_item item;
    for (size_t i = 0; i < n; i++) {
        while (fq_queue_take(&subscribers[i].queue, &item, 1) > 0)
            fq_queue_item_fini(&item);
    }
}

/* ── measuring ── */

static void
must(fq_status status)
{
    if (status == FQ_OK)
        return;
    fprintf(stderr, "bench_engine: %s\n", fq_status_str(status));
    exit(1);
}

static uint64_t
now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

#define SAMPLES_MAX 20000

static const char selection[]
    = "orderUpdated { id status total currency updatedAt "
      "customer { id name region } } }";
static const char data[]
    = "{\"id\":\"ord_8f14e45fceea167a\",\"tenant_id\":\"acme\",\"status\":"
      "\"shipped\",\"total\":1299.5,\"currency\":\"EUR\",\"updatedAt\":"
      "\"2026-03-01T12:34:56.789Z\",\"customer\":{\"id\":\"cus_91\",\"name\":"
      "\"Anna Schmidt\",\"region\":\"eu-west\",\"segment\":\"b2b\"},"
      "\"internal\":[1,2,3,4],\"note\":\"none\"}";

/* Per event. */
typedef struct result {
    double median_ns;
    double p99_ns;
    double n_mallocs;
    double n_projections;
} result;

typedef struct bench {
    fq_engine *engine;
    fq_metrics metrics;
    subscriber *subscribers;
    size_t n;
    fq_event *event;
} bench;

static fq_sub *
subscribe(bench *self, fq_sink *sink, const char *text, fq_field_kind kind)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    bool is_request_error;
    fq_sub *sub;
    fq_subscribe_args args = {
        .query = fq_str_of(text),
        .has_override = true,
        .kind = kind,
    };
    must(fq_engine_subscribe(self->engine, sink, &args, &sub, &errors,
                             &is_request_error));
    fq_gql_errors_fini(&errors);
    return sub;
}

/* |n| subscribers of |kind| with |n_plans| plans among them, which differ by
 * an alias. */
static void
bench_init(bench *self, size_t n, size_t n_plans, fq_field_kind kind)
{
    const fq_engine_limits limits = {
        .max_plans = 1000,
        .max_plan_bytes = 64 << 20,
    };
    memset(self, 0, sizeof(*self));
    must(fq_engine_new(&limits, &self->metrics, &self->engine));
    self->n = n;
    self->subscribers = calloc(n, sizeof(subscriber));
    for (size_t i = 0; i < n; i++) {
        subscriber *subscriber = &self->subscribers[i];
        subscriber->sink.ops = &ops;
        fq_list_init(&subscriber->sink.subs);
        fq_queue_init(&subscriber->queue, 16384, 4 << 20);
        must(fq_rcbuf_new(
            FQ_STR_LIT("{\"id\":\"1\",\"type\":\"next\",\"payload\":"),
            &subscriber->head));
        char text[256];
        snprintf(text, sizeof(text), "subscription { a%zu: %s", i % n_plans,
                 selection);
        subscribe(self, &subscriber->sink, text, kind);
    }
    must(fq_event_new(FQ_STR_LIT("orderUpdated"), FQ_STR_LIT("orderUpdated"),
                      fq_str_of(data), 0, 0, &self->event, NULL));
}

static void
bench_fini(bench *self)
{
    for (size_t i = 0; i < self->n; i++) {
        subscriber *subscriber = &self->subscribers[i];
        fq_engine_unsubscribe(
            self->engine,
            FQ_CONTAINER_OF(subscriber->sink.subs.next, fq_sub, sink_node),
            FQ_END_COMPLETE);
        fq_queue_fini(&subscriber->queue);
        fq_rcbuf_unref(subscriber->head);
    }
    fq_event_unref(self->event);
    fq_engine_free(self->engine);
    free(self->subscribers);
}

/* One event to everybody, and for resolvers the answers. */
static void
bench_event(bench *self, fq_field_kind kind)
{
    bool has_more = fq_engine_dispatch(self->engine, self->event, 1);
    while (has_more)
        has_more = fq_engine_run(self->engine, 1);
    if (kind != FQ_FIELD_RESOLVER)
        return;
    for (size_t i = 0; i < self->n; i++) {
        fq_list *node = self->subscribers[i].sink.subs.next;
        fq_engine_answer(self->engine,
                         FQ_CONTAINER_OF(node, fq_sub, sink_node)->id,
                         FQ_ANSWER_VALUE, fq_str_of(data), 1);
    }
}

/* Times |n_samples| events, after a tenth of that to warm up. */
static result
measure(size_t n, size_t n_plans, fq_field_kind kind, size_t n_samples)
{
    static uint64_t samples[SAMPLES_MAX];
    static bench bench;
    bench_init(&bench, n, n_plans, kind);
    for (size_t i = 0; i < n_samples / 10; i++) {
        bench_event(&bench, kind);
        drain(bench.subscribers, n);
    }
    uint64_t n_mallocs_all = 0;
    for (size_t i = 0; i < n_samples; i++) {
        uint64_t n_mallocs_before = n_mallocs;
        uint64_t start = now_ns();
        bench_event(&bench, kind);
        samples[i] = now_ns() - start;
        n_mallocs_all += n_mallocs - n_mallocs_before;
        drain(bench.subscribers, n);
    }
    double n_projections = (double)FQ_METRIC_GET(&bench.metrics, projections)
                           / (double)(n_samples + n_samples / 10);
    bench_fini(&bench);
    qsort(samples, n_samples, sizeof(samples[0]), compare);
    return (result){
        .median_ns = (double)samples[n_samples / 2],
        .p99_ns = (double)samples[n_samples * 99 / 100],
        .n_mallocs = (double)n_mallocs_all / (double)n_samples,
        .n_projections = n_projections,
    };
}

/* Starting and ending |n| subscriptions whose plan is cached, and what each
 * holds from the allocator. */
static void
measure_life(size_t n)
{
    static bench bench;
    bench_init(&bench, 1, 1, FQ_FIELD_EVENT);
    fq_sink sink = {.ops = &ops};
    fq_list_init(&sink.subs);
    fq_sub **subs = calloc(n, sizeof(fq_sub *));
    char text[256];
    snprintf(text, sizeof(text), "subscription { %s", selection);
    size_t n_bytes = n_bytes_live;
    uint64_t start = now_ns();
    for (size_t i = 0; i < n; i++)
        subs[i] = subscribe(&bench, &sink, text, FQ_FIELD_EVENT);
    uint64_t middle = now_ns();
    n_bytes = n_bytes_live - n_bytes;
    uint64_t middle_again = now_ns();
    for (size_t i = 0; i < n; i++)
        fq_engine_unsubscribe(bench.engine, subs[i], FQ_END_COMPLETE);
    uint64_t end = now_ns();
    printf("{\"name\": \"life\", \"n\": %zu, \"subscribe_ns\": %.1f, "
           "\"unsubscribe_ns\": %.1f, \"bytes\": %.1f}\n",
           n, (double)(middle - start) / (double)n,
           (double)(end - middle_again) / (double)n,
           (double)n_bytes / (double)n);
    free(subs);
    bench_fini(&bench);
}

/* One line: |name| tells what |n| subscribers with |n_plans| plans are. */
static void
report(const char *name, size_t n, size_t n_plans, fq_field_kind kind)
{
    size_t n_samples = n * n_plans > 1000 ? 5000000 / n : SAMPLES_MAX;
    if (n_samples > SAMPLES_MAX)
        n_samples = SAMPLES_MAX;
    if (n_plans > 1 || kind == FQ_FIELD_RESOLVER)
        n_samples /= 4;
    result result = measure(n, n_plans, kind, n_samples);
    printf("{\"name\": \"%s\", \"n\": %zu, \"plans\": %zu, \"samples\": %zu, "
           "\"median_ns\": %.0f, \"p99_ns\": %.0f, \"mallocs\": %.2f, "
           "\"projections\": %.2f}\n",
           name, n, n_plans, n_samples, result.median_ns, result.p99_ns,
           result.n_mallocs, result.n_projections);
    fflush(stdout);
}

int
main(void)
{
    const size_t counts[] = {0, 1, 10, 100, 1000, 10000};
    for (size_t i = 0; i < 6; i++)
        report("dispatch", counts[i], 1, FQ_FIELD_EVENT);
    report("plans", 100, 10, FQ_FIELD_EVENT);
    report("plans", 100, 100, FQ_FIELD_EVENT);
    report("resolver", 100, 1, FQ_FIELD_RESOLVER);
    measure_life(100000);
    fprintf(stderr, "%" PRIu64 " deliveries in all\n", n_delivered);
    return 0;
}
