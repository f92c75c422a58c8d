/* SPDX-License-Identifier: MIT */
/* Draining a service: who is closed, when, and who is told. */
#include "reactor/drain.h"

#include <pthread.h>

#include "session_fixture.h"

#define N_MANY 300
#define LONG_NS (60 * FQ_NS_PER_S)

static fq_ticket *
drain(world *world, uint64_t window_ns)
{
    fq_ticket *done;
    assert_int_equal(fq_ticket_new(NULL, NULL, &done), FQ_OK);
    assert_int_equal(fq_service_drain(world->service, 1012,
                                      FQ_STR_LIT("Service restart"), window_ns,
                                      done),
                     FQ_OK);
    return done;
}

/* The number of those left; |done| is let go. */
static size_t
n_left(fq_ticket *done)
{
    assert_int_equal(fq_ticket_wait(done, DEADLINE_MS * FQ_NS_PER_MS), FQ_OK);
    assert_int_equal(done->status, FQ_OK);
    size_t n = strtoul(done->text->bytes, NULL, 10);
    fq_ticket_unref(done);
    return n;
}

static bool
is_done(fq_ticket *done)
{
    return fq_ticket_wait(done, 0) == FQ_OK;
}

static void
open_ready(client *client, world *world)
{
    client_open(client, world);
    client_send(client, INIT);
    client_expect(client, ACK);
}

/* Many clients on one mailbox, as descriptors are few. */
typedef struct crowd {
    client clients[N_MANY];
} crowd;

static void
crowd_open(crowd *self, world *world)
{
    memset(self, 0, sizeof(*self));
    assert_int_equal(fq_mailbox_new(&self->clients[0].mailbox), FQ_OK);
    for (size_t i = 0; i < N_MANY; i++)
        assert_int_equal(
            fq_session_open(world->service, &fq_graphql_transport_ws,
                            self->clients[0].mailbox, &self->clients[i],
                            world_visitor(world), &self->clients[i].port),
            FQ_OK);
}

/* How many have been told to close. */
static size_t
crowd_n_closed(crowd *self)
{
    size_t n = 0;
    fq_queue_item item;
    fq_close close;
    for (size_t i = 0; i < N_MANY; i++) {
        assert_int_equal(fq_port_take(self->clients[i].port, &item, 1, &close),
                         0);
        n += close.code == 1012;
    }
    return n;
}

static void
crowd_close(crowd *self, world *world)
{
    for (size_t i = 0; i < N_MANY; i++) {
        fq_port_disconnect(self->clients[i].port, NULL);
        fq_port_unref(self->clients[i].port);
    }
    world_flush(world);
    client_take_mail(&self->clients[0],
                     fq_mailbox_close(self->clients[0].mailbox));
    fq_mailbox_unref(self->clients[0].mailbox);
}

static void
test_drain_closes_behind_what_is_queued(void **state)
{
    (void)state;
    world world;
    client client;
    world_open(&world, &fq_limits_default);
    open_ready(&client, &world);
    client_send(&client, "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":"
                         "{\"query\":\"subscription { users }\"}}");
    world_flush(&world);
    world_publish(&world, "users", "{}");
    fq_ticket *done = drain(&world, LONG_NS);
    client_expect(&client, "{\"id\":\"1\",\"type\":\"next\",\"payload\":"
                           "{\"data\":{\"users\":{}}}}");
    client_expect_close(&client, 1012, "Service restart");
    assert_false(is_done(done));
    assert_int_equal(metric(&world, "connections_active"), 1);
    assert_int_equal(metric(&world, "subscriptions_active"), 0);
    assert_int_equal(metric(&world, "ended_shutdown"), 1);
    client_close(&client);
    assert_int_equal(n_left(done), 0);
    assert_int_equal(metric(&world, "connections_active"), 0);
    assert_int_equal(metric(&world, "closed_1012"), 1);
    assert_int_equal(metric(&world, "drain_left"), 0);
    world_close(&world);
}

static void
test_drain_lets_nobody_in(void **state)
{
    (void)state;
    world world;
    client client;
    fq_port *port;
    world_open(&world, &fq_limits_default);
    open_ready(&client, &world);
    assert_false(fq_service_is_draining(world.service));
    fq_ticket *done = drain(&world, LONG_NS);
    assert_true(fq_service_is_draining(world.service));
    assert_int_equal(fq_session_open(world.service, &fq_graphql_transport_ws,
                                     client.mailbox, NULL,
                                     world_visitor(&world), &port),
                     FQ_ERR_CLOSED);
    assert_int_equal(metric(&world, "refused_stopping"), 1);
    client_close(&client);
    assert_int_equal(n_left(done), 0);
    assert_int_equal(fq_session_open(world.service, &fq_graphql_transport_ws,
                                     client.mailbox, NULL,
                                     world_visitor(&world), &port),
                     FQ_ERR_CLOSED);
    world_close(&world);
}

static void
test_drain_of_nobody_is_done_at_once(void **state)
{
    (void)state;
    world world;
    world_open(&world, &fq_limits_default);
    assert_int_equal(n_left(drain(&world, LONG_NS)), 0);
    assert_int_equal(n_left(drain(&world, LONG_NS)), 0);
    world_close(&world);
}

/* A client that does not go keeps nobody longer than the window. */
static void
test_drain_ends_with_its_window(void **state)
{
    (void)state;
    world world;
    client stays, goes;
    world_open(&world, &fq_limits_default);
    open_ready(&stays, &world);
    open_ready(&goes, &world);
    /* Long enough for the one that goes. */
    fq_ticket *first = drain(&world, FQ_NS_PER_S);
    fq_ticket *second = drain(&world, LONG_NS);
    client_close(&goes);
    assert_int_equal(n_left(first), 1);
    assert_int_equal(n_left(second), 1);
    assert_int_equal(n_left(drain(&world, LONG_NS)), 1);
    assert_int_equal(metric(&world, "drain_left"), 1);
    client_expect_close(&stays, 1012, "Service restart");
    client_close(&stays);
    assert_int_equal(n_left(drain(&world, LONG_NS)), 0);
    world_close(&world);
}

static void
test_drain_takes_its_time(void **state)
{
    (void)state;
    static crowd crowd;
    world world;
    world_open(&world, &fq_limits_default);
    crowd_open(&crowd, &world);
    uint64_t began_ns = fq_clock_now_ns();
    fq_ticket *done = drain(&world, LONG_NS);
    size_t n = 0;
    size_t n_steps = 0;
    while (n < N_MANY) {
        size_t n_before = n;
        client_wait(&crowd.clients[0]);
        n = crowd_n_closed(&crowd);
        n_steps += n > n_before;
        /* Not ahead of its time: 1,000 in a second. */
        uint64_t passed_ms = (fq_clock_now_ns() - began_ns) / FQ_NS_PER_MS;
        assert_true(n <= passed_ms * FQ_DRAIN_CLOSES_PER_S / 1000 + 1);
    }
    assert_true(n_steps > 3);
    assert_true(fq_clock_now_ns() - began_ns < 5 * FQ_NS_PER_S);
    assert_false(is_done(done));
    crowd_close(&crowd, &world);
    assert_int_equal(n_left(done), 0);
    world_close(&world);
}

/* A short window is kept whatever the rate. */
static void
test_drain_hurries_for_a_short_window(void **state)
{
    (void)state;
    static crowd crowd;
    world world;
    world_open(&world, &fq_limits_default);
    crowd_open(&crowd, &world);
    assert_int_equal(n_left(drain(&world, 20 * FQ_NS_PER_MS)), N_MANY);
    assert_int_equal(crowd_n_closed(&crowd), N_MANY);
    crowd_close(&crowd, &world);
    world_close(&world);
}

static void
test_drain_ends_with_the_service(void **state)
{
    (void)state;
    world world;
    client client;
    world_open(&world, &fq_limits_default);
    open_ready(&client, &world);
    fq_ticket *done = drain(&world, LONG_NS);
    world_end_service(&world);
    assert_int_equal(n_left(done), 1);
    client_expect_close(&client, 1012, "Service restart");
    client_close(&client);
    /* Nobody is asked any more. */
    assert_int_equal(n_left(drain(&world, LONG_NS)), 0);
    world_close(&world);
}

static void
test_drain_without_memory_changes_nothing(void **state)
{
    (void)state;
    world world;
    client client;
    fq_ticket *done;
    world_open(&world, &fq_limits_default);
    world_flush(&world);
    assert_int_equal(fq_ticket_new(NULL, NULL, &done), FQ_OK);
    fq_alloc_fail_after(0);
    fq_status status = fq_service_drain(world.service, 1012, FQ_STR_LIT("x"),
                                        LONG_NS, done);
    fq_alloc_fail_after(-1);
    assert_int_equal(status, FQ_ERR_NOMEM);
    assert_false(fq_service_is_draining(world.service));
    fq_ticket_unref(done);
    open_ready(&client, &world);
    client_close(&client);
    world_close(&world);
}

typedef struct opening {
    world *world;
    crowd *crowd;
    size_t n_opened;
} opening;

static void *
open_until_refused(void *arg)
{
    opening *self = arg;
    for (size_t i = 0; i < N_MANY; i++) {
        client *client = &self->crowd->clients[i];
        if (fq_session_open(self->world->service, &fq_graphql_transport_ws,
                            self->crowd->clients[0].mailbox, client,
                            world_visitor(self->world), &client->port)
            != FQ_OK)
            break;
        self->n_opened++;
    }
    return NULL;
}

/* Whoever gets in while it begins is closed as well. */
static void
test_drain_finds_those_that_come_meanwhile(void **state)
{
    (void)state;
    static crowd crowd;
    world world;
    opening opening = {.world = &world, .crowd = &crowd};
    pthread_t thread;
    world_open(&world, &fq_limits_default);
    memset(&crowd, 0, sizeof(crowd));
    assert_int_equal(fq_mailbox_new(&crowd.clients[0].mailbox), FQ_OK);
    assert_int_equal(
        pthread_create(&thread, NULL, open_until_refused, &opening), 0);
    fq_ticket *done = drain(&world, 20 * FQ_NS_PER_MS);
    pthread_join(thread, NULL);
    n_left(done);
    world_flush(&world);
    fq_queue_item item;
    fq_close close;
    for (size_t i = 0; i < opening.n_opened; i++) {
        assert_int_equal(fq_port_take(crowd.clients[i].port, &item, 1, &close),
                         0);
        assert_int_equal(close.code, 1012);
        fq_port_disconnect(crowd.clients[i].port, NULL);
        fq_port_unref(crowd.clients[i].port);
    }
    world_flush(&world);
    client_take_mail(&crowd.clients[0],
                     fq_mailbox_close(crowd.clients[0].mailbox));
    fq_mailbox_unref(crowd.clients[0].mailbox);
    assert_int_equal(metric(&world, "connections_active"), 0);
    world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_drain_closes_behind_what_is_queued),
        FQ_TEST(test_drain_lets_nobody_in),
        FQ_TEST(test_drain_of_nobody_is_done_at_once),
        FQ_TEST(test_drain_ends_with_its_window),
        FQ_TEST(test_drain_takes_its_time),
        FQ_TEST(test_drain_hurries_for_a_short_window),
        FQ_TEST(test_drain_ends_with_the_service),
        FQ_TEST(test_drain_without_memory_changes_nothing),
        FQ_TEST(test_drain_finds_those_that_come_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
