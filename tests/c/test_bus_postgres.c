/* SPDX-License-Identifier: MIT */
/* The bus over PostgreSQL without one: what it says, and that it stops at any
 * time. With a server: tests/integration/test_postgres_bus.py. */
#include "bus/postgres.h"

#include <uv.h>

#include "base/clock.h"
#include "support.h"

/* Nobody listens there. */
#define NOWHERE "host=127.0.0.1 port=1 user=nobody dbname=none"

typedef struct fixture {
    uv_loop_t loop;
    fq_bus *bus;
    fq_bus_watcher watcher;
    unsigned n_states;
    bool is_stopped;
} fixture;

static void
on_state(fq_bus_watcher *watcher)
{
    FQ_CONTAINER_OF(watcher, fixture, watcher)->n_states++;
}

static void
on_stopped(void *arg)
{
    ((fixture *)arg)->is_stopped = true;
}

static fq_status
start(fixture *self, const char *dsn)
{
    memset(self, 0, sizeof(*self));
    fq_status status = fq_bus_postgres_new(dsn, NULL, &self->bus);
    if (status != FQ_OK)
        return status;
    uv_loop_init(&self->loop);
    self->watcher.state_cb = on_state;
    fq_list_init(&self->watcher.node);
    fq_bus_watch(self->bus, &self->watcher);
    self->bus->ops->start(self->bus, &self->loop);
    return FQ_OK;
}

static void
await_down(fixture *self)
{
    uint64_t until_ns = fq_clock_now_ns() + 60 * FQ_NS_PER_S;
    while (self->bus->state != FQ_BUS_DOWN && fq_clock_now_ns() < until_ns)
        uv_run(&self->loop, UV_RUN_ONCE);
    assert_int_equal(self->bus->state, FQ_BUS_DOWN);
}

static void
stop(fixture *self)
{
    self->bus->ops->stop(self->bus, on_stopped, self);
    assert_false(self->is_stopped);
    uv_run(&self->loop, UV_RUN_DEFAULT);
    assert_true(self->is_stopped);
    assert_int_equal(uv_loop_close(&self->loop), 0);
    fq_bus_unwatch(&self->watcher);
    fq_bus_free(self->bus);
}

static fq_status
body_down(void *arg)
{
    (void)arg;
    long n_blocks = fq_alloc_n_live();
    fixture fixture;
    fq_status status = start(&fixture, NOWHERE);
    if (status == FQ_OK) {
        await_down(&fixture);
        status = fixture.bus->error.status == FQ_ERR_NOMEM ? FQ_ERR_NOMEM
                                                           : FQ_OK;
        if (status == FQ_OK)
            assert_non_null(
                strstr(fixture.bus->error.message, "port 1 failed"));
        assert_in_range(fixture.n_states, 1, 2);
        stop(&fixture);
    }
    fq_test_await_errands(n_blocks);
    return status;
}

static void
test_bus_postgres_says_why_it_is_down(void **state)
{
    (void)state;
    fq_test_body(body_down, NULL);
}

static void
test_bus_postgres_stops_while_it_connects(void **state)
{
    (void)state;
    long n_blocks = fq_alloc_n_live();
    for (int i = 0; i < 20; i++) {
        fixture fixture;
        assert_int_equal(start(&fixture, NOWHERE), FQ_OK);
        if (i % 2 == 0)
            uv_run(&fixture.loop, UV_RUN_NOWAIT);
        if (i % 3 == 0)
            fixture.bus->ops->hold(fixture.bus);
        stop(&fixture);
    }
    fq_test_await_errands(n_blocks);
}

static void
test_bus_postgres_names_what_is_wrong_with_a_dsn(void **state)
{
    (void)state;
    long n_blocks = fq_alloc_n_live();
    fixture fixture;
    assert_int_equal(start(&fixture, "host=127.0.0.1 nonsense=1"), FQ_OK);
    await_down(&fixture);
    assert_non_null(strstr(fixture.bus->error.message, "nonsense"));
    stop(&fixture);
    fq_test_await_errands(n_blocks);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_bus_postgres_says_why_it_is_down),
        FQ_TEST(test_bus_postgres_stops_while_it_connects),
        FQ_TEST(test_bus_postgres_names_what_is_wrong_with_a_dsn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
