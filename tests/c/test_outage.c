/* SPDX-License-Identifier: MIT */
/* What clients are told of a bus that is away, and of events it has lost. */
#include "remote_bus.h"
#include "reactor/feed.h"
#include "session_fixture.h"

#define SUBSCRIBE(id)                                                         \
    "{\"id\":\"" id "\",\"type\":\"subscribe\",\"payload\":{\"query\":"       \
    "\"subscription { users { id } }\"}}"

static void
go_up(remote_bus *self, void *arg)
{
    (void)arg;
    remote_bus_say(self, FQ_BUS_UP, NULL);
}

static void
go_down(remote_bus *self, void *arg)
{
    (void)arg;
    remote_bus_say(self, FQ_BUS_DOWN, "Connection refused");
}

static void
tell_gap(remote_bus *self, void *arg)
{
    (void)arg;
    fq_bus_tell_gap(&self->bus, FQ_STR_LIT("trimmed"));
    assert_true(self->is_held);
    /* A second one on its heels. */
    fq_bus_tell_gap(&self->bus, FQ_STR_LIT("trimmed"));
}

static void
deliver(remote_bus *self, void *arg)
{
    (void)arg;
    fq_event *event;
    assert_false(self->is_held);
    assert_int_equal(fq_event_new(FQ_STR_LIT("users"), FQ_STR_LIT("t"),
                                  FQ_STR_LIT("{\"id\":\"7\"}"), 1, 0, &event,
                                  NULL),
                     FQ_OK);
    strcpy(event->id, "1");
    fq_bus_deliver(&self->bus, event);
    fq_event_unref(event);
}

static void
test_outage_refuses_who_subscribes(void **state)
{
    (void)state;
    remote_bus *bus = remote_bus_new();
    world world;
    client client;
    world_open_on(&world, &bus->bus, &fq_limits_default);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    client_send(&client, SUBSCRIBE("a"));
    client_expect(&client,
                  "{\"id\":\"a\",\"type\":\"error\",\"payload\":[{\"message\":"
                  "\"The event bus cannot be reached; try again later.\","
                  "\"extensions\":{\"code\":\"BUS_UNAVAILABLE\"}}]}");
    remote_bus_do(world.reactor, bus, go_up, NULL);
    client_send(&client, SUBSCRIBE("a"));
    world_flush(&world);
    remote_bus_do(world.reactor, bus, go_down, NULL);
    client_send(&client, SUBSCRIBE("b"));
    client_expect(&client,
                  "{\"id\":\"b\",\"type\":\"error\",\"payload\":[{\"message\":"
                  "\"The event bus cannot be reached; try again later.\","
                  "\"extensions\":{\"code\":\"BUS_UNAVAILABLE\"}}]}");
    /* Who was there before waits for what comes. */
    remote_bus_do(world.reactor, bus, go_up, NULL);
    remote_bus_do(world.reactor, bus, deliver, NULL);
    client_expect(&client, "{\"id\":\"a\",\"type\":\"next\",\"payload\":"
                           "{\"data\":{\"users\":{\"id\":\"7\"}}}}");
    assert_int_equal(metric(&world, "refused_bus_unavailable"), 2);
    client_close(&client);
    world_close(&world);
}

static void
test_outage_tells_of_a_gap_before_what_follows(void **state)
{
    (void)state;
    remote_bus *bus = remote_bus_new();
    world world;
    client client;
    world_open_on(&world, &bus->bus, &fq_limits_default);
    world_add_field(&world, "source", FQ_FIELD_SOURCE, 1);
    remote_bus_do(world.reactor, bus, go_up, NULL);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    world_add_field(&world, "users", FQ_FIELD_EVENT, 0);
    client_send(&client, SUBSCRIBE("a"));
    client_send(&client,
                "{\"id\":\"s\",\"type\":\"subscribe\",\"payload\":{\"query\":"
                "\"subscription { source }\"}}");
    fq_call *call = client_expect_call(&client, FQ_CALL_NEXT);
    remote_bus_do(world.reactor, bus, tell_gap, NULL);
    world_flush(&world);
    remote_bus_do(world.reactor, bus, deliver, NULL);
    client_expect(
        &client, "{\"id\":\"a\",\"type\":\"next\",\"payload\":{\"data\":null,"
                 "\"errors\":[{\"message\":\"Events were lost: there is a gap "
                 "before what comes next.\",\"extensions\":{\"code\":"
                 "\"EVENTS_LOST\"}}]}}");
    client_expect(&client, "{\"id\":\"a\",\"type\":\"next\",\"payload\":"
                           "{\"data\":{\"users\":{\"id\":\"7\"}}}}");
    assert_int_equal(metric(&world, "subscriptions_with_gaps"), 1);
    assert_int_equal(bus->bus.n_gaps, 2);
    fq_call_free(call);
    client_close(&client);
    world_close(&world);
}

/* ── before the bus is there for the first time ── */

static fq_ticket *
feed_open(client *self, world *world)
{
    memset(self, 0, sizeof(*self));
    fq_feed_args args = {
        .is_stream = true,
        .subscription_id = FQ_STR_LIT("1"),
        .query = FQ_STR_LIT("subscription { users { id } }"),
    };
    fq_ticket *done;
    assert_int_equal(fq_mailbox_new(&self->mailbox), FQ_OK);
    assert_int_equal(fq_ticket_new(NULL, NULL, &done), FQ_OK);
    assert_int_equal(fq_feed_open(world->service, &args, self->mailbox, self,
                                  done, &self->port),
                     FQ_OK);
    return done;
}

static void
expect_done(fq_ticket *done, fq_status status)
{
    assert_int_equal(fq_ticket_wait(done, DEADLINE_MS * FQ_NS_PER_MS), FQ_OK);
    assert_int_equal(done->status, status);
    fq_ticket_unref(done);
}

static void
test_outage_lets_feeds_wait_for_the_first_connection(void **state)
{
    (void)state;
    remote_bus *bus = remote_bus_new();
    world world;
    client early, gone;
    world_open_on(&world, &bus->bus, &fq_limits_default);
    world_add_field(&world, "users", FQ_FIELD_EVENT, 0);
    fq_ticket *early_done = feed_open(&early, &world);
    fq_ticket *gone_done = feed_open(&gone, &world);
    world_flush(&world);
    assert_int_equal(metric(&world, "subscriptions_pending"), 2);
    client_close(&gone);
    expect_done(gone_done, FQ_ERR_CLOSED);
    remote_bus_do(world.reactor, bus, go_up, NULL);
    expect_done(early_done, FQ_OK);
    remote_bus_do(world.reactor, bus, deliver, NULL);
    client_expect(&early, "{\"payload\":{\"data\":{\"users\":{\"id\":"
                          "\"7\"}}}}");
    assert_int_equal(metric(&world, "subscriptions_pending"), 0);
    assert_int_equal(metric(&world, "subscriptions_refused"), 1);
    client_close(&early);
    world_close(&world);
}

static void
test_outage_tells_feeds_that_waited_in_vain(void **state)
{
    (void)state;
    remote_bus *bus = remote_bus_new();
    world world;
    client late;
    world_open_on(&world, &bus->bus, &fq_limits_default);
    world_add_field(&world, "users", FQ_FIELD_EVENT, 0);
    fq_ticket *done = feed_open(&late, &world);
    remote_bus_do(world.reactor, bus, go_down, NULL);
    expect_done(done, FQ_ERR_SYSTEM);
    assert_int_equal(metric(&world, "refused_bus_unavailable"), 1);
    client_close(&late);
    world_close(&world);

    bus = remote_bus_new();
    world_open_on(&world, &bus->bus, &fq_limits_default);
    done = feed_open(&late, &world);
    world_close(&world);
    expect_done(done, FQ_ERR_CLOSED);
    client_close(&late);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_outage_refuses_who_subscribes),
        FQ_TEST(test_outage_tells_of_a_gap_before_what_follows),
        FQ_TEST(test_outage_lets_feeds_wait_for_the_first_connection),
        FQ_TEST(test_outage_tells_feeds_that_waited_in_vain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
