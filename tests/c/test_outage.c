/* SPDX-License-Identifier: MIT */
/* What clients are told of a bus that is away, and of events it has lost. */
#include "remote_bus.h"
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_outage_refuses_who_subscribes),
        FQ_TEST(test_outage_tells_of_a_gap_before_what_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
