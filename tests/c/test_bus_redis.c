/* SPDX-License-Identifier: MIT */
/* The Redis bus on a loop with a real server, which this program starts: an
 * event there and back, a flush, the end, each with memory refused. */
#include "bus/redis.h"

#include <stdio.h>

#include <uv.h>

#include "base/clock.h"
#include "base/list.h"
#include "redis_server.h"
#include "support.h"

#define DEADLINE_NS (30ull * FQ_NS_PER_S)

typedef struct world {
    uv_loop_t loop;
    fq_bus *bus;
    fq_bus_listener listener;
    fq_bus_watcher watcher;
    fq_bus_publication publication;
    unsigned n_heard;
    unsigned n_gaps;
    unsigned n_answers;
    fq_status status; /* of the last */
    fq_bus_read read;
    fq_event *events[4];
    unsigned n_looks; /* answered */
    size_t n_found;
    bool is_end;
    fq_rcbuf *position; /* behind the last event heard */
    bool is_stopped;
} world;

static void
hear(fq_bus_listener *listener, fq_event *event)
{
    world *self = FQ_CONTAINER_OF(listener, world, listener);
    fq_test_assert_str(fq_rcbuf_str(event->data), "{\"n\":1}");
    self->n_heard++;
    fq_rcbuf_unref(self->position);
    self->position = fq_bus_position_of(event);
    if (self->position != NULL)
        fq_rcbuf_ref(self->position);
}

static void
note_look(fq_bus_read *read, fq_status status, size_t n_events, bool is_end)
{
    world *self = FQ_CONTAINER_OF(read, world, read);
    self->n_looks++;
    self->status = status;
    self->n_found = n_events;
    self->is_end = is_end;
}

/* Looks at what is behind |after|; false: not in time. */
static fq_status
look(world *self, fq_rcbuf *after, size_t n_wanted)
{
    self->read = (fq_bus_read){.after = after,
                               .events = self->events,
                               .max_events = 4,
                               .done_cb = note_look};
    self->n_looks = 0;
    self->bus->ops->read(self->bus, &self->read);
    while (self->n_looks == 0 && self->bus->state == FQ_BUS_UP)
        uv_run(&self->loop, UV_RUN_ONCE);
    if (self->n_looks == 0) {
        self->bus->ops->cancel(self->bus, &self->read);
        return FQ_ERR_NOMEM;
    }
    if (self->status != FQ_OK)
        return self->status;
    assert_int_equal(self->n_found, n_wanted);
    assert_true(self->is_end);
    for (size_t i = 0; i < self->n_found; i++) {
        assert_ptr_equal(self->events[i]->bus, self->bus);
        fq_test_assert_str(fq_rcbuf_str(self->events[i]->data), "{\"n\":1}");
        fq_event_unref(self->events[i]);
    }
    return FQ_OK;
}

/* From the beginning, from the end, from nowhere. */
static fq_status
look_around(world *self, fq_rcbuf *start)
{
    const fq_bus_ops *ops = self->bus->ops;
    if (self->position == NULL)
        return FQ_ERR_NOMEM;
    fq_str from = fq_rcbuf_str(start), to = fq_rcbuf_str(self->position);
    assert_true(ops->is_position(self->bus, from));
    assert_true(ops->compare(self->bus, from, to) < 0);
    assert_int_equal(ops->compare(self->bus, to, to), 0);
    assert_false(ops->is_position(self->bus, FQ_STR_LIT("r1.x.1-1")));
    assert_false(ops->is_position(self->bus, FQ_STR_LIT("r1.")));
    assert_false(ops->is_position(self->bus, fq_str_make(to.ptr, to.len - 2)));
    fq_status status = look(self, start, 1);
    if (status == FQ_OK)
        status = look(self, self->position, 0);
    if (status != FQ_OK)
        return status;
    char nowhere[80];
    snprintf(
        nowhere, sizeof(nowhere), "%.*s1-1",
        (int)(strrchr(self->position->bytes, '.') - self->position->bytes + 1),
        self->position->bytes);
    fq_rcbuf *lost;
    status = fq_rcbuf_new(fq_str_of(nowhere), &lost);
    if (status == FQ_OK)
        status = look(self, lost, 0);
    fq_rcbuf_unref(lost);
    assert_true(status == FQ_ERR_LOST || status == FQ_ERR_NOMEM);
    return status == FQ_ERR_LOST ? FQ_OK : status;
}

static void
note_gap(fq_bus_watcher *watcher, fq_str reason)
{
    (void)reason;
    FQ_CONTAINER_OF(watcher, world, watcher)->n_gaps++;
}

static void
note_answer(fq_bus_publication *publication, fq_status status,
            const fq_error *error)
{
    world *self = FQ_CONTAINER_OF(publication, world, publication);
    assert_true((status == FQ_OK) == (publication->id[0] != '\0'));
    assert_true(status == FQ_OK || status == FQ_ERR_AGAIN
                || error->message[0] != '\0');
    self->n_answers++;
    self->status = status;
}

static void
note_stopped(void *arg)
{
    ((world *)arg)->is_stopped = true;
}

/* Runs the loop until |*flag| is not 0, which is true, or the bus is DOWN or
 * has told of a gap, as it must where memory for an event is out. */
static bool
run_until(world *self, const unsigned *flag)
{
    uint64_t until_ns = fq_clock_now_ns() + DEADLINE_NS;
    while (*flag == 0) {
        if (fq_clock_now_ns() > until_ns)
            fail_msg("nothing came: %s", self->bus->error.message);
        if (self->bus->state == FQ_BUS_DOWN || self->n_gaps > 0)
            return false;
        uv_run(&self->loop, UV_RUN_ONCE);
    }
    return true;
}

static bool
run_until_up(world *self)
{
    uint64_t until_ns = fq_clock_now_ns() + DEADLINE_NS;
    while (self->bus->state == FQ_BUS_CONNECTING) {
        if (fq_clock_now_ns() > until_ns)
            fail_msg("not up: %s", self->bus->error.message);
        uv_run(&self->loop, UV_RUN_ONCE);
    }
    return self->bus->state == FQ_BUS_UP;
}

/* One event to the server and back. */
static fq_status
publish(world *self)
{
    fq_status status = fq_event_new(FQ_STR_LIT("items"), FQ_STR_LIT("item"),
                                    FQ_STR_LIT("{\"n\":1}"), 1, 0,
                                    &self->publication.event, NULL);
    if (status != FQ_OK)
        return status;
    self->publication.id[0] = '\0';
    self->n_answers = self->n_heard = self->n_gaps = 0;
    self->bus->ops->publish(self->bus, &self->publication);
    bool is_heard = run_until(self, &self->n_answers) && self->status == FQ_OK
                    && run_until(self, &self->n_heard);
    /* The bus may have its answer still. */
    while (self->n_answers == 0)
        uv_run(&self->loop, UV_RUN_ONCE);
    fq_event_unref(self->publication.event);
    return is_heard ? FQ_OK : FQ_ERR_NOMEM;
}

typedef struct plan {
    unsigned n_shards;
    bool with_flush;
    uint16_t sentinel_port; /* 0: the server is known */
} plan;

static fq_status
body_bus(void *arg)
{
    const plan *plan = arg;
    bool has_sentinel = plan->sentinel_port != 0;
    const fq_redis_settings settings = {
        .path = has_sentinel ? NULL : redis_server_socket,
        .sentinels = {{"localhost", plan->sentinel_port}},
        .n_sentinels = has_sentinel ? 1 : 0,
        .primary = "mymaster",
        .group = plan->n_shards == 1 ? "test" : "sharded",
        .max_events = 100,
        .n_shards = plan->n_shards,
        .keep_alive_ms = 5000,
        .max_age_ms = 60000,
    };
    world self = {.n_heard = 0};
    long n_blocks = fq_alloc_n_live();
    fq_status status = fq_bus_redis_new(&settings, &self.bus, NULL);
    if (status != FQ_OK)
        return status;
    uv_loop_init(&self.loop);
    self.listener.event_cb = hear;
    self.watcher.gap_cb = note_gap;
    self.publication.done_cb = note_answer;
    fq_list_init(&self.publication.node);
    fq_bus_listen(self.bus, &self.listener);
    fq_bus_watch(self.bus, &self.watcher);
    self.bus->ops->start(self.bus, &self.loop);
    fq_rcbuf *start = NULL;
    assert_int_equal(self.bus->ops->position(self.bus, &start), FQ_ERR_SYSTEM);
    status = run_until_up(&self) ? FQ_OK : FQ_ERR_NOMEM;
    if (status == FQ_OK)
        status = self.bus->ops->position(self.bus, &start);
    if (status == FQ_OK)
        status = publish(&self);
    if (status == FQ_OK)
        status = look_around(&self, start);
    if (status == FQ_OK && plan->with_flush) {
        redis_server_command("FLUSHALL");
        if (!run_until(&self, &self.n_gaps))
            status = FQ_ERR_NOMEM;
        assert_int_equal(self.n_gaps, 1);
        if (status == FQ_OK)
            status = publish(&self);
        assert_int_equal(self.bus->n_gaps, 1);
    }
    fq_rcbuf_unref(start);
    fq_rcbuf_unref(self.position);
    fq_bus_unlisten(&self.listener);
    fq_bus_unwatch(&self.watcher);
    self.bus->ops->stop(self.bus, note_stopped, &self);
    assert_false(self.is_stopped);
    uv_run(&self.loop, UV_RUN_DEFAULT);
    assert_true(self.is_stopped);
    assert_int_equal(uv_loop_close(&self.loop), 0);
    fq_bus_free(self.bus);
    fq_test_await_errands(n_blocks);
    return status;
}

static void
test_bus_redis_carries_an_event(void **state)
{
    (void)state;
    fq_test_body(body_bus, &(plan){.n_shards = 1});
}

static void
test_bus_redis_carries_an_event_in_shards(void **state)
{
    (void)state;
    fq_test_body(body_bus, &(plan){.n_shards = 3});
}

static void
test_bus_redis_is_found_by_sentinel(void **state)
{
    (void)state;
    char folder[] = "/tmp/fq-sentinel-XXXXXX", path[64], port[8];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/conf", folder);
    plan plan = {.n_shards = 1, .sentinel_port = redis_server_free_port()};
    snprintf(port, sizeof(port), "%u", (unsigned)plan.sentinel_port);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "bind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 %u 1\n",
            (unsigned)redis_server_port);
    fclose(file);
    pid_t pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL
            || freopen("/dev/null", "w", stderr) == NULL)
            _exit(126);
        execlp("redis-server", "redis-server", path, "--sentinel", "--port",
               port, NULL);
        _exit(127);
    }
    for (int i = 0; i < 3000 && !redis_server_is_there(plan.sentinel_port);
         i++)
        usleep(10000);
    fq_test_body(body_bus, &plan);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(path);
    rmdir(folder);
}

static void
test_bus_redis_notices_a_flush(void **state)
{
    (void)state;
    for (unsigned n_shards = 1; n_shards <= 3; n_shards += 2) {
        plan plan = {.n_shards = n_shards, .with_flush = true};
        assert_int_equal(body_bus(&plan), FQ_OK);
    }
}

static void
test_bus_redis_knows_wrong_files(void **state)
{
    (void)state;
    fq_bus *bus;
    fq_error error;
    const fq_redis_settings settings = {.host = "localhost",
                                        .group = "test",
                                        .n_shards = 1,
                                        .keep_alive_ms = 5000,
                                        .has_tls = true,
                                        .ca_file = redis_server_socket};
    assert_int_equal(fq_bus_redis_new(&settings, &bus, &error), FQ_ERR_SYSTEM);
    assert_null(bus);
    assert_non_null(strstr(error.message, "cannot use the CA file"));
}

int
main(void)
{
    redis_server_start();
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_bus_redis_carries_an_event),
        FQ_TEST(test_bus_redis_carries_an_event_in_shards),
        FQ_TEST(test_bus_redis_is_found_by_sentinel),
        FQ_TEST(test_bus_redis_notices_a_flush),
        FQ_TEST(test_bus_redis_knows_wrong_files),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    redis_server_stop();
    return result;
}
