/* SPDX-License-Identifier: MIT */
/* Clients that say nothing. Times are short, and only ever waited for. */
#include "reactor/liveness.h"

#include "session_fixture.h"

#define PING "{\"type\":\"ping\"}"
#define PONG "{\"type\":\"pong\"}"

static void
open_and_init(client *client, world *world, uint64_t keep_alive_ns,
              uint64_t timeout_ns)
{
    fq_limits limits = fq_limits_default;
    limits.keep_alive_ns = keep_alive_ns;
    limits.keep_alive_timeout_ns = timeout_ns;
    world_open(world, &limits);
    client_open(client, world);
    client_send(client, INIT);
}

static void
open_ready(client *client, world *world, uint64_t keep_alive_ns,
           uint64_t timeout_ns)
{
    open_and_init(client, world, keep_alive_ns, timeout_ns);
    client_expect(client, ACK);
}

static void
test_liveness_asks_again_after_each_answer(void **state)
{
    (void)state;
    world world;
    client client;
    open_ready(&client, &world, FQ_NS_PER_MS, 60 * FQ_NS_PER_S);
    for (int i = 0; i < 3; i++) {
        client_expect(&client, PING);
        client_send(&client, PONG);
    }
    assert_in_range(metric(&world, "pings_sent"), 3, 4);
    assert_int_equal(metric(&world, "dead_peers"), 0);
    client_close(&client);
    world_close(&world);
}

static void
test_liveness_loses_who_does_not_answer(void **state)
{
    (void)state;
    world world;
    client client;
    /* After 2 ms even the acknowledgement is thrown away, if it waits. */
    open_and_init(&client, &world, FQ_NS_PER_MS, FQ_NS_PER_MS);
    client_expect_close(&client, 4408, "Keep-alive timeout");
    assert_int_equal(metric(&world, "dead_peers"), 1);
    assert_int_equal(metric(&world, "closed_by_client"), 1);
    /* The close is not carried out either. */
    while (!fq_port_is_lost(client.port))
        client_wait(&client);
    assert_int_equal(metric(&world, "connections_given_up"), 1);
    client_close(&client);
    world_close(&world);
}

static void
test_liveness_gives_up_any_close(void **state)
{
    (void)state;
    world world;
    client client;
    open_ready(&client, &world, 60 * FQ_NS_PER_S, FQ_NS_PER_MS);
    client_send(&client, "no message");
    client_expect_close(&client, 4400, "Invalid message received");
    while (!fq_port_is_lost(client.port))
        client_wait(&client);
    assert_int_equal(metric(&world, "dead_peers"), 0);
    client_close(&client);
    world_close(&world);
}

static void
test_liveness_can_be_off(void **state)
{
    (void)state;
    world world;
    client client;
    open_ready(&client, &world, 0, FQ_NS_PER_MS);
    client_send(&client, "no message");
    client_expect_close(&client, 4400, "Invalid message received");
    assert_int_equal(atomic_load(&client.port->deadline_ns), UINT64_MAX);
    assert_false(fq_port_is_lost(client.port));
    client_close(&client);
    assert_int_equal(metric(&world, "pings_sent"), 0);
    world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_liveness_asks_again_after_each_answer),
        FQ_TEST(test_liveness_loses_who_does_not_answer),
        FQ_TEST(test_liveness_gives_up_any_close),
        FQ_TEST(test_liveness_can_be_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
