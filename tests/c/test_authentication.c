/* SPDX-License-Identifier: MIT */
/* Who a client is, from connection_init to the end of what it may. */
#include "reactor/authentication.h"

#include "session_fixture.h"

#define TOKEN 9
#define SUBSCRIBE                                                             \
    "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":{\"query\":"            \
    "\"subscription { users }\"}}"
#define NEXT(value)                                                           \
    "{\"id\":\"1\",\"type\":\"next\",\"payload\":{\"data\":{\"users\":" value \
    "}}}"
#define PING(token)                                                           \
    "{\"type\":\"ping\",\"payload\":{\"authorization\":\"" token "\"}}"
#define PONG(token)                                                           \
    "{\"type\":\"pong\",\"payload\":{\"authorization\":\"" token "\"}}"

static void
open_with_handler(world *world, client *client, uint64_t timeout_ms,
                  uint64_t grace_ms)
{
    fq_auth_settings auth = {
        .token = TOKEN,
        .timeout_ns = timeout_ms * FQ_NS_PER_MS,
        .expiry_grace_ns = grace_ms * FQ_NS_PER_MS,
        .expiry_code = 4403,
    };
    world_open(world, &fq_limits_default);
    fq_service_set_auth(world->service, &auth);
    client_open(client, world);
}

static void
close_all(world *world, client *client)
{
    client_close(client);
    world_close(world);
}

/* Accepts as |user|, who may do what he may for |life_ms|, which have to be
 * enough for all that comes before their end; 0: for ever. */
static void
let_in_as(fq_call *call, const char *user, int64_t life_ms, const char *ack)
{
    fq_security_context_args args = {.user_id = fq_str_of(user)};
    if (life_ms != 0)
        args.expires_at_ms = (int64_t)(fq_clock_wall_ns() / FQ_NS_PER_MS)
                             + life_ms;
    assert_int_equal(fq_security_context_new(&args, &call->context), FQ_OK);
    answer(call, FQ_ANSWER_VALUE, ack);
}

static void
let_in(client *client, int64_t life_ms)
{
    client_send(client, INIT);
    let_in_as(client_expect_call(client, FQ_CALL_INIT), "user", life_ms, NULL);
    client_expect(client, ACK);
}

static void
test_authentication_waits_for_the_answer(void **state)
{
    (void)state;
    world world;
    client client;
    open_with_handler(&world, &client, DEADLINE_MS, 0);
    client_send(&client,
                "{\"type\":\"connection_init\",\"payload\":{\"a\":1}}");
    fq_call *call = client_expect_call(&client, FQ_CALL_INIT);
    assert_int_equal(call->token, TOKEN);
    fq_test_assert_str(fq_rcbuf_str(call->data), "{\"a\":1}");
    client_send(&client, "{\"type\":\"ping\"}");
    client_expect(&client, "{\"type\":\"pong\"}");
    let_in_as(call, "user", 0, "{\"hello\":true}");
    client_expect(
        &client, "{\"type\":\"connection_ack\",\"payload\":{\"hello\":true}}");
    client_send(&client, SUBSCRIBE);
    world_flush(&world);
    world_publish(&world, "users", "{\"id\":1}");
    client_expect(&client, NEXT("{\"id\":1}"));
    close_all(&world, &client);
}

static void
test_authentication_refuses(void **state)
{
    (void)state;
    world world;
    client client;
    open_with_handler(&world, &client, DEADLINE_MS, 0);
    client_send(&client, INIT);
    answer(client_expect_call(&client, FQ_CALL_INIT), FQ_ANSWER_ERROR, NULL);
    client_expect_close(&client, 4403, "Forbidden");
    client_close(&client);

    client_open(&client, &world);
    client_send(&client, INIT);
    fq_call *call = client_expect_call(&client, FQ_CALL_INIT);
    call->close_code = 4999;
    answer(call, FQ_ANSWER_ERROR, "not today");
    client_expect_close(&client, 4999, "not today");
    assert_int_equal(metric(&world, "refused_authentications"), 2);
    close_all(&world, &client);
}

static void
test_authentication_does_not_wait_for_ever(void **state)
{
    (void)state;
    world world;
    client client;
    open_with_handler(&world, &client, 30, 0);
    client_send(&client, INIT);
    fq_call *call = client_expect_call(&client, FQ_CALL_INIT);
    client_expect_close(&client, 4403, "Forbidden");
    let_in_as(call, "user", 0, NULL);
    world_flush(&world);
    assert_int_equal(metric(&world, "refused_auth_timeouts"), 1);
    close_all(&world, &client);
}

static void
test_authentication_ends_with_the_client(void **state)
{
    (void)state;
    world world;
    client client;
    open_with_handler(&world, &client, DEADLINE_MS, 0);
    client_send(&client, INIT);
    fq_call *call = client_expect_call(&client, FQ_CALL_INIT);
    client_close(&client);
    let_in_as(call, "user", 0, NULL);
    world_flush(&world);
    world_close(&world);
}

static void
test_authentication_expires(void **state)
{
    (void)state;
    world world;
    client client;
    open_with_handler(&world, &client, DEADLINE_MS, 0);
    let_in(&client, 500);
    client_send(&client, SUBSCRIBE);
    client_expect_close(&client, 4403, "Token expired");
    assert_int_equal(metric(&world, "connections_expired"), 1);
    assert_int_equal(metric(&world, "subscriptions_active"), 0);
    close_all(&world, &client);
}

static void
test_authentication_refuses_what_has_expired(void **state)
{
    (void)state;
    world world;
    client client;
    open_with_handler(&world, &client, DEADLINE_MS, DEADLINE_MS);
    client_send(&client, INIT);
    let_in_as(client_expect_call(&client, FQ_CALL_INIT), "user", -1, NULL);
    client_expect_close(&client, 4403, "Forbidden");
    close_all(&world, &client);
}

/* Returns when the reactor has noticed the end of what |client| may: what it
 * waits for then is the end of the grace, DEADLINE_MS ahead. */
static void
await_expiry(client *client)
{
    uint64_t life_ns = 2 * FQ_NS_PER_S;
    uint64_t until_ns = fq_clock_now_ns() + DEADLINE_MS * FQ_NS_PER_MS;
    while (atomic_load(&client->port->deadline_ns)
           < fq_clock_now_ns() + life_ns) {
        assert_true(fq_clock_now_ns() < until_ns);
        poll(NULL, 0, 1);
    }
}

/* Between its end and the close nothing is delivered and nothing started; a
 * new authorization brings the client back. */
static void
test_authentication_is_renewed_in_its_grace(void **state)
{
    (void)state;
    world world;
    client client;
    open_with_handler(&world, &client, DEADLINE_MS, DEADLINE_MS);
    let_in(&client, 1000);
    client_send(&client, SUBSCRIBE);
    world_flush(&world);
    world_publish(&world, "users", "{\"id\":1}");
    client_expect(&client, NEXT("{\"id\":1}"));
    await_expiry(&client);
    world_publish(&world, "users", "{\"id\":2}");
    client_send(&client, "{\"id\":\"2\",\"type\":\"subscribe\",\"payload\":{"
                         "\"query\":\"subscription { users }\"}}");
    client_expect(&client,
                  "{\"id\":\"2\",\"type\":\"error\",\"payload\":[{\"message\":"
                  "\"The authorization has expired.\",\"extensions\":{"
                  "\"code\":\"FORBIDDEN\"}}]}");
    client_send(&client, PING("new"));
    client_expect(&client, PONG("new"));
    fq_call *call = client_expect_call(&client, FQ_CALL_RENEW);
    assert_int_equal(call->token, TOKEN);
    fq_test_assert_str(fq_rcbuf_str(call->data),
                       "{\"authorization\":\"new\"}");
    let_in_as(call, "user", 0, NULL);
    world_flush(&world);
    world_publish(&world, "users", "{\"id\":3}");
    client_expect(&client, NEXT("{\"id\":3}"));
    assert_int_equal(metric(&world, "reauthentications"), 1);
    close_all(&world, &client);
}

static void
test_authentication_refuses_a_renewal(void **state)
{
    (void)state;
    world world;
    client client;
    open_with_handler(&world, &client, DEADLINE_MS, 0);
    let_in(&client, 0);
    client_send(&client, PING("bad"));
    answer(client_expect_call(&client, FQ_CALL_RENEW), FQ_ANSWER_ERROR, NULL);
    client_expect(&client, PONG("bad"));
    client_expect_close(&client, 4403, "Forbidden");
    close_all(&world, &client);
}

static void
test_authentication_asks_one_renewal_at_a_time(void **state)
{
    (void)state;
    world world;
    client client;
    open_with_handler(&world, &client, DEADLINE_MS, 0);
    client_send(&client, PING("early"));
    client_expect(&client, PONG("early"));
    let_in(&client, 0);
    client_send(&client, PING("1"));
    client_send(&client, PING("2"));
    client_send(&client, PING("3"));
    client_send(&client, "{\"type\":\"ping\",\"payload\":{\"a\":1}}");
    client_send(&client,
                "{\"type\":\"ping\",\"payload\":{\"authorization\":1}}");
    fq_call *call = client_expect_call(&client, FQ_CALL_RENEW);
    world_flush(&world);
    let_in_as(call, "user", 0, NULL);
    call = client_expect_call(&client, FQ_CALL_RENEW);
    fq_test_assert_str(fq_rcbuf_str(call->data), "{\"authorization\":\"3\"}");
    let_in_as(call, "user", 0, NULL);
    world_flush(&world);
    assert_int_equal(client.n_calls, 0);
    assert_int_equal(metric(&world, "reauthentications"), 2);
    close_all(&world, &client);
}

static void
test_authentication_pings_without_a_handler(void **state)
{
    (void)state;
    world world;
    client client;
    world_open(&world, &fq_limits_default);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    client_send(&client, PING("x"));
    client_expect(&client, PONG("x"));
    world_flush(&world);
    assert_int_equal(client.n_calls, 0);
    close_all(&world, &client);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_authentication_waits_for_the_answer),
        FQ_TEST(test_authentication_refuses),
        FQ_TEST(test_authentication_does_not_wait_for_ever),
        FQ_TEST(test_authentication_ends_with_the_client),
        FQ_TEST(test_authentication_expires),
        FQ_TEST(test_authentication_refuses_what_has_expired),
        FQ_TEST(test_authentication_is_renewed_in_its_grace),
        FQ_TEST(test_authentication_refuses_a_renewal),
        FQ_TEST(test_authentication_asks_one_renewal_at_a_time),
        FQ_TEST(test_authentication_pings_without_a_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
