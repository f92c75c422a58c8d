/* SPDX-License-Identifier: MIT */
/* Two instances on a real Redis, published to by threads, while connections
 * are lost: for ThreadSanitizer, which sees the reactor, the door, hiredis and
 * the threads that look names up. */
#include <semaphore.h>
#include <stdatomic.h>

#include <uv.h>

#include "base/clock.h"
#include "bus/redis.h"
#include "reactor/publisher.h"
#include "reactor/reactor.h"
#include "redis_server.h"
#include "support.h"

#define DEADLINE_NS (30ull * FQ_NS_PER_S)
#define N_INSTANCES 2
#define N_THREADS 4
#define N_EVENTS 200

typedef struct instance {
    fq_publisher *publisher;
    fq_bus_listener listener;
    _Atomic unsigned n_heard;
} instance;

static fq_reactor *reactor;
static instance instances[N_INSTANCES];
static _Atomic unsigned n_acknowledged;

static void
hear(fq_bus_listener *listener, fq_event *event)
{
    (void)event;
    instance *self = FQ_CONTAINER_OF(listener, instance, listener);
    atomic_fetch_add(&self->n_heard, 1);
}

/* ── what is done on the reactor ── */

typedef struct errand {
    fq_job job;
    void (*act)(instance *self);
    instance *self;
    sem_t done;
} errand;

static void
run(fq_job *job)
{
    errand *self = FQ_CONTAINER_OF(job, errand, job);
    self->act(self->self);
    sem_post(&self->done);
}

static void
do_on_reactor(instance *self, void (*act)(instance *self))
{
    errand errand = {.job.run = run, .act = act, .self = self};
    sem_init(&errand.done, 0, 0);
    assert_int_equal(fq_reactor_post(reactor, &errand.job), FQ_OK);
    while (sem_wait(&errand.done) != 0)
        ;
    sem_destroy(&errand.done);
}

static void
listen_on(instance *self)
{
    self->listener.event_cb = hear;
    fq_bus_listen(fq_publisher_bus(self->publisher), &self->listener);
}

static void
unlisten_on(instance *self)
{
    fq_bus_unlisten(&self->listener);
}

/* ── what threads do ── */

static fq_ticket *
new_ticket(void)
{
    fq_ticket *ticket;
    assert_int_equal(fq_ticket_new(NULL, NULL, &ticket), FQ_OK);
    return ticket;
}

static void
publish(instance *self, unsigned number)
{
    fq_event *event;
    char channel[16], id[FQ_EVENT_ID_MAX];
    snprintf(channel, sizeof(channel), "c%u", number % 16);
    assert_int_equal(fq_event_new(fq_str_of(channel), FQ_STR_LIT("t"),
                                  FQ_STR_LIT("{}"), 1, 0, &event, NULL),
                     FQ_OK);
    fq_ticket *ticket = new_ticket();
    assert_int_equal(fq_publisher_publish(
                         self->publisher, event, FQ_PUBLISH_ACCEPTED,
                         fq_clock_now_ns() + DEADLINE_NS, ticket, NULL, id),
                     FQ_OK);
    assert_int_equal(fq_ticket_wait(ticket, DEADLINE_NS), FQ_OK);
    /* A connection was lost under it. */
    assert_true(ticket->status == FQ_OK || ticket->status == FQ_ERR_SYSTEM);
    if (ticket->status == FQ_OK)
        atomic_fetch_add(&n_acknowledged, 1);
    fq_ticket_unref(ticket);
}

static void
publish_many(void *arg)
{
    unsigned first = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < N_EVENTS; i++) {
        instance *self = &instances[(first + i) % N_INSTANCES];
        publish(self, first + i);
        (void)fq_publisher_n_waiting(self->publisher);
        (void)fq_publisher_bus(self->publisher)->lag_ns;
    }
}

static void
publish_by_threads(void)
{
    uv_thread_t threads[N_THREADS];
    for (uintptr_t i = 0; i < N_THREADS; i++)
        assert_int_equal(
            uv_thread_create(&threads[i], publish_many, (void *)i), 0);
    for (size_t i = 0; i < N_THREADS; i++)
        uv_thread_join(&threads[i]);
}

/* ── the test ── */

static void
start(instance *self)
{
    const fq_redis_settings settings = {
        .host = "localhost",
        .port = redis_server_port,
        .group = "threads",
        .max_events = 100000,
        .n_shards = 3,
        .keep_alive_ms = 5000,
        .max_age_ms = 60000,
    };
    fq_bus *bus;
    assert_int_equal(fq_bus_redis_new(&settings, &bus, NULL), FQ_OK);
    assert_int_equal(fq_publisher_new(reactor, bus, &self->publisher), FQ_OK);
    fq_ticket *up = new_ticket();
    assert_int_equal(fq_publisher_await_up(
                         self->publisher, fq_clock_now_ns() + DEADLINE_NS, up),
                     FQ_OK);
    assert_int_equal(fq_ticket_wait(up, DEADLINE_NS), FQ_OK);
    assert_int_equal(up->status, FQ_OK);
    fq_ticket_unref(up);
    do_on_reactor(self, listen_on);
}

/* All has come that was acknowledged, at every instance. */
static void
await_all(void)
{
    uint64_t until_ns = fq_clock_now_ns() + DEADLINE_NS;
    for (size_t i = 0; i < N_INSTANCES; i++) {
        while (atomic_load(&instances[i].n_heard)
               < atomic_load(&n_acknowledged)) {
            assert_true(fq_clock_now_ns() < until_ns);
            usleep(1000);
        }
    }
}

static void
test_redis_threads_publish_to_two_instances(void **state)
{
    (void)state;
    long n_blocks = fq_alloc_n_live();
    assert_int_equal(fq_reactor_new(&reactor), FQ_OK);
    for (size_t i = 0; i < N_INSTANCES; i++)
        start(&instances[i]);
    publish_by_threads();
    await_all();
    assert_int_equal(n_acknowledged, N_THREADS * N_EVENTS);
    for (size_t i = 0; i < N_INSTANCES; i++)
        assert_int_equal(instances[i].n_heard, n_acknowledged);
    /* Now with connections that are lost. */
    for (int i = 0; i < 3; i++) {
        redis_server_command("CLIENT KILL TYPE normal");
        publish_by_threads();
    }
    await_all();
    for (size_t i = 0; i < N_INSTANCES; i++) {
        instance *self = &instances[i];
        do_on_reactor(self, unlisten_on);
        assert_int_equal(fq_publisher_bus(self->publisher)->n_gaps, 0);
        fq_publisher_close(self->publisher);
        fq_publisher_unref(self->publisher);
    }
    fq_reactor_release(reactor);
    fq_test_await_errands(n_blocks);
}

int
main(void)
{
    redis_server_start();
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_redis_threads_publish_to_two_instances)};
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    redis_server_stop();
    return result;
}
