/* SPDX-License-Identifier: MIT */
/* Sessions and feeds end to end on a running reactor, the test standing where
 * an event loop would: texts in, texts and calls out. */
#include "reactor/session.h"

#include <pthread.h>

#include "protocol/graphql_ws.h"
#include "reactor/feed.h"
#include "session_fixture.h"

/* ── sessions ── */

static void
test_session_delivers_in_order_until_complete(void **state)
{
    (void)state;
    world world;
    client client;
    world_open(&world, &fq_limits_default);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    client_send(&client, "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":"
                         "{\"query\":\"subscription { u: users { id } }\"}}");
    client_send(&client, "{\"type\":\"ping\"}");
    client_expect(&client, "{\"type\":\"pong\"}");
    world_publish(&world, "users", "{\"id\":1,\"x\":true}");
    world_publish(&world, "others", "{\"id\":7}");
    world_publish(&world, "users", "{\"id\":2}");
    client_expect(&client, "{\"id\":\"1\",\"type\":\"next\",\"payload\":"
                           "{\"data\":{\"u\":{\"id\":1}}}}");
    client_expect(&client, "{\"id\":\"1\",\"type\":\"next\",\"payload\":"
                           "{\"data\":{\"u\":{\"id\":2}}}}");
    world_publish(&world, "users", "{\"id\":3}");
    /* What is queued for it goes with it. */
    client_send(&client, "{\"id\":\"1\",\"type\":\"complete\"}");
    client_send(&client, "{\"type\":\"ping\"}");
    world_flush(&world);
    client_expect(&client, "{\"type\":\"pong\"}");
    assert_int_equal(metric(&world, "subscriptions_active"), 0);
    assert_int_equal(metric(&world, "channels_active"), 0);
    client_close(&client);
    assert_int_equal(metric(&world, "connections_active"), 0);
    world_close(&world);
}

static void
test_session_answers_wrong_operations_by_errors(void **state)
{
    (void)state;
    world world;
    client client;
    world_open(&world, &fq_limits_default);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    client_send(&client, "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":"
                         "{\"query\":\"subscription {\"}}");
    client_expect(&client,
                  "{\"id\":\"1\",\"type\":\"error\",\"payload\":[{"
                  "\"message\":\"Syntax Error: Expected Name, found <EOF>."
                  "\",\"locations\":[{\"line\":1,\"column\":15}],"
                  "\"extensions\":{\"code\":\"PARSE_ERROR\"}}]}");
    client_send(&client,
                "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":{\"query\":"
                "\"subscription ($n: Int!) { users(n: $n) { id } }\"}}");
    client_expect(
        &client, "{\"id\":\"1\",\"type\":\"next\",\"payload\":{\"errors\":[{"
                 "\"message\":\"Variable '$n' has invalid value: Expected a "
                 "value of non-null "
                 "type 'Int!' to be "
                 "provided.\",\"locations\":[{\"line\":1,\"column\":15}]}]}}");
    client_expect(&client, "{\"id\":\"1\",\"type\":\"complete\"}");
    assert_int_equal(metric(&world, "subscriptions_refused"), 2);
    client_send(&client, "nonsense");
    client_expect_close(&client, 4400, "Invalid message received");
    client_close(&client);
    world_close(&world);
}

static void
test_session_closes_a_client_that_never_inits(void **state)
{
    (void)state;
    fq_limits limits = fq_limits_default;
    limits.init_timeout_ns = 500 * FQ_NS_PER_MS; /* enough for the early */
    world world;
    client late, early;
    world_open(&world, &limits);
    client_open(&early, &world);
    client_open(&late, &world);
    client_send(&early, INIT);
    client_expect(&early, ACK);
    client_expect_close(&late, 4408, "Connection initialisation timeout");
    client_send(&early, "{\"type\":\"ping\"}");
    client_expect(&early, "{\"type\":\"pong\"}");
    client_close(&late);
    client_close(&early);
    world_close(&world);
}

static void
test_session_closes_a_slow_client_only(void **state)
{
    (void)state;
    fq_limits limits = fq_limits_default;
    limits.queue_max_items = 4;
    world world;
    client slow, quick;
    world_open(&world, &limits);
    client *clients[2] = {&slow, &quick};
    for (int i = 0; i < 2; i++) {
        client_open(clients[i], &world);
        client_send(clients[i], INIT);
        client_expect(clients[i], ACK);
        client_send(clients[i],
                    "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":"
                    "{\"query\":\"subscription { n }\"}}");
        client_send(clients[i], "{\"type\":\"ping\"}");
        client_expect(clients[i], "{\"type\":\"pong\"}");
    }
    for (int i = 0; i < 8; i++) {
        world_publish(&world, "n", "{}");
        client_expect(&quick, "{\"id\":\"1\",\"type\":\"next\",\"payload\":"
                              "{\"data\":{\"n\":{}}}}");
    }
    client_expect_close(&slow, 1013, "Slow client");
    assert_int_equal(metric(&world, "slow_clients_closed"), 1);
    assert_int_equal(metric(&world, "subscriptions_active"), 1);
    client_close(&slow);
    client_close(&quick);
    world_close(&world);
}

static void
test_session_asks_the_resolver_one_event_at_a_time(void **state)
{
    (void)state;
    world world;
    client client;
    world_open(&world, &fq_limits_default);
    world_add_field(&world, "users", FQ_FIELD_RESOLVER, 42);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    client_send(&client, "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":"
                         "{\"query\":\"subscription { users { id } }\"}}");
    client_send(&client, "{\"type\":\"ping\"}");
    client_expect(&client, "{\"type\":\"pong\"}");
    world_publish(&world, "users", "{\"id\":1}");
    world_publish(&world, "users", "{\"id\":2}");
    world_publish(&world, "users", "{\"id\":3}");
    fq_call *call = client_expect_call(&client, FQ_CALL_RESOLVE);
    assert_int_equal(client.n_calls, 0);
    assert_int_equal(call->token, 42);
    fq_test_assert_str(fq_rcbuf_str(call->data), "{\"id\":1}");
    answer(call, FQ_ANSWER_VALUE, "{\"id\":10}");
    client_expect(&client, "{\"id\":\"1\",\"type\":\"next\",\"payload\":"
                           "{\"data\":{\"users\":{\"id\":10}}}}");
    answer(client_expect_call(&client, FQ_CALL_RESOLVE), FQ_ANSWER_SKIP, NULL);
    answer(client_expect_call(&client, FQ_CALL_RESOLVE), FQ_ANSWER_ERROR,
           "no luck");
    client_expect(&client,
                  "{\"id\":\"1\",\"type\":\"next\",\"payload\":{\"data\":"
                  "{\"users\":null},\"errors\":[{\"message\":\"no luck\","
                  "\"locations\":[{\"line\":1,\"column\":16}],\"path\":["
                  "\"users\"],\"extensions\":{\"code\":\"RESOLVER_ERROR\"}}]"
                  "}}");
    client_send(&client, "{\"id\":\"1\",\"type\":\"complete\"}");
    client_close(&client);
    world_close(&world);
}

static void
test_session_pulls_a_source_until_it_ends(void **state)
{
    (void)state;
    world world;
    client client;
    world_open(&world, &fq_limits_default);
    world_add_field(&world, "tick", FQ_FIELD_SOURCE, 7);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    client_send(&client, "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":"
                         "{\"query\":\"subscription { tick }\"}}");
    /* Nobody reads: the source is asked only while there is room. */
    int n_values = 0;
    for (; n_values < FQ_PORT_ROOM; n_values++)
        answer(client_expect_call(&client, FQ_CALL_NEXT), FQ_ANSWER_VALUE,
               "1");
    client_send(&client, "{\"type\":\"ping\"}");
    for (int i = 0; i < n_values; i++)
        client_expect(&client, "{\"id\":\"1\",\"type\":\"next\",\"payload\":"
                               "{\"data\":{\"tick\":1}}}");
    client_expect(&client, "{\"type\":\"pong\"}");
    answer(client_expect_call(&client, FQ_CALL_NEXT), FQ_ANSWER_END, NULL);
    client_expect(&client, "{\"id\":\"1\",\"type\":\"complete\"}");
    assert_int_equal(client.n_calls, 0);
    client_close(&client);
    world_close(&world);
}

static void
test_session_pauses_a_client_that_floods(void **state)
{
    (void)state;
    world world;
    client client;
    world_open(&world, &fq_limits_default);
    client_open(&client, &world);
    bool paused = false;
    client_send(&client, INIT);
    for (int i = 0; i < 100000 && !paused; i++) {
        fq_rcbuf *rcbuf;
        assert_int_equal(
            fq_rcbuf_new(FQ_STR_LIT("{\"type\":\"pong\"}"), &rcbuf), FQ_OK);
        assert_int_equal(fq_port_receive(client.port, rcbuf, &paused), FQ_OK);
    }
    while (!fq_port_may_receive(client.port))
        client_wait(&client);
    client_expect(&client, ACK);
    client_close(&client);
    world_close(&world);
}

/* With an interval that a test can wait for. */
static void
test_session_tells_that_it_is_alive(void **state)
{
    (void)state;
    world world;
    client client;
    fq_limits limits = fq_limits_default;
    limits.keep_alive_ns = FQ_NS_PER_MS;
    world_open(&world, &limits);
    client_open_as(&client, &world, &fq_graphql_ws);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    for (int i = 0; i < 4; i++)
        client_expect(&client, "{\"type\":\"ka\"}");
    client_close(&client);
    world_close(&world);
}

static void
test_session_closes_when_the_service_does(void **state)
{
    (void)state;
    world world;
    client before, after;
    world_open(&world, &fq_limits_default);
    world_add_field(&world, "tick", FQ_FIELD_SOURCE, 7);
    client_open(&before, &world);
    client_send(&before, INIT);
    client_send(&before, "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":"
                         "{\"query\":\"subscription { tick }\"}}");
    client_expect(&before, ACK);
    fq_call *call = client_expect_call(&before, FQ_CALL_NEXT);
    world_end_service(&world);
    client_expect_close(&before, 1012, "Service restart");
    fq_call_free(client_expect_call(&before, FQ_CALL_CANCEL));
    answer(call, FQ_ANSWER_VALUE, "1");
    client_open(&after, &world);
    client_expect_close(&after, 1012, "Service restart");
    client_close(&after);
    client_close(&before);
    world_close(&world);
}

/* ── feeds ── */

static void
feed_open(client *self, world *world, const char *query, fq_field_kind kind,
          const char *channel, fq_status want)
{
    memset(self, 0, sizeof(*self));
    fq_str channels[1] = {fq_str_of(channel)};
    fq_feed_args args = {
        .subscription_id = FQ_STR_LIT("sub1"),
        .query = fq_str_of(query),
        .operation_name = FQ_STR_LIT("OnUser"),
        .kind = kind,
        .token = 3,
        .channels = channels,
        .n_channels = 1,
    };
    fq_ticket *done;
    assert_int_equal(fq_mailbox_new(&self->mailbox), FQ_OK);
    assert_int_equal(fq_ticket_new(NULL, NULL, &done), FQ_OK);
    assert_int_equal(fq_feed_open(world->service, &args, self->mailbox, self,
                                  done, &self->port),
                     FQ_OK);
    assert_int_equal(fq_ticket_wait(done, DEADLINE_MS * FQ_NS_PER_MS), FQ_OK);
    assert_int_equal(done->status, want);
    assert_true((want == FQ_OK) == (done->text == NULL));
    fq_ticket_unref(done);
}

static void
test_feed_has_the_message_after_publish(void **state)
{
    (void)state;
    world world;
    client feed, wrong;
    world_open(&world, &fq_limits_default);
    feed_open(&feed, &world, "subscription { users { id } }", FQ_FIELD_EVENT,
              "users", FQ_OK);
    feed_open(&wrong, &world, "subscription { users {", FQ_FIELD_EVENT,
              "users", FQ_ERR_SYNTAX);
    world_publish(&world, "users", "{\"id\":\"123\",\"name\":\"Alice\"}");
    client_expect(&feed, "{\"type\":\"next\",\"id\":\"sub1\",\"payload\":"
                         "{\"data\":{\"users\":{\"id\":\"123\"}}}}");
    client_close(&wrong);
    client_close(&feed);
    assert_int_equal(metric(&world, "subscriptions_active"), 0);
    world_close(&world);
}

static void
test_feed_drops_the_oldest_and_tells(void **state)
{
    (void)state;
    fq_limits limits = fq_limits_default;
    limits.queue_max_items = 2;
    world world;
    client feed;
    world_open(&world, &limits);
    feed_open(&feed, &world, "subscription { n { i } }", FQ_FIELD_EVENT, "n",
              FQ_OK);
    for (int i = 0; i < 5; i++) {
        char data[32];
        snprintf(data, sizeof(data), "{\"i\":%d}", i);
        world_publish(&world, "n", data);
    }
    client_expect(&feed, "{\"type\":\"next\",\"id\":\"sub1\",\"payload\":"
                         "{\"data\":{\"n\":{\"i\":3}},"
                         "\"extensions\":{\"dropped\":3}}}");
    client_expect(&feed, "{\"type\":\"next\",\"id\":\"sub1\",\"payload\":"
                         "{\"data\":{\"n\":{\"i\":4}}}}");
    assert_int_equal(metric(&world, "deliveries_dropped"), 3);
    client_close(&feed);
    world_close(&world);
}

static void
test_publish_done_waits_for_the_resolver(void **state)
{
    (void)state;
    world world;
    client feed;
    world_open(&world, &fq_limits_default);
    feed_open(&feed, &world, "subscription { n }", FQ_FIELD_RESOLVER, "n",
              FQ_OK);
    fq_ticket *done = world_publish_as(&world, "n", "{}", FQ_PUBLISH_DONE);
    fq_call *call = client_expect_call(&feed, FQ_CALL_RESOLVE);
    assert_int_equal(fq_ticket_wait(done, 20 * FQ_NS_PER_MS), FQ_ERR_TIMEOUT);
    answer(call, FQ_ANSWER_VALUE, "1");
    assert_int_equal(fq_ticket_wait(done, DEADLINE_MS * FQ_NS_PER_MS), FQ_OK);
    fq_ticket_unref(done);
    /* The message was there before the publisher was told. */
    assert_true(fq_port_is_ready(feed.port));
    /* A subscription that ends waits for nobody, and nobody for it. */
    done = world_publish_as(&world, "n", "{}", FQ_PUBLISH_DONE);
    call = client_expect_call(&feed, FQ_CALL_RESOLVE);
    fq_port_disconnect(feed.port, NULL);
    assert_int_equal(fq_ticket_wait(done, DEADLINE_MS * FQ_NS_PER_MS), FQ_OK);
    fq_ticket_unref(done);
    answer(call, FQ_ANSWER_VALUE, "1");
    client_close(&feed);
    world_close(&world);
}

/* ── threads ── */

#define N_PUBLISHERS 4
#define N_EVENTS 500 /* of each publisher */
#define N_CLIENTS 3

typedef struct publisher_arg {
    world *world;
    int thread;
} publisher_arg;

static void *
publish_many(void *arg)
{
    publisher_arg *self = arg;
    for (int i = 0; i < N_EVENTS; i++) {
        char data[64];
        snprintf(data, sizeof(data), "{\"t\":%d,\"i\":%d}", self->thread, i);
        fq_event *event;
        char id[FQ_EVENT_ID_MAX];
        if (fq_event_new(FQ_STR_LIT("n"), FQ_STR_LIT("test"), fq_str_of(data),
                         1, 0, &event, NULL)
                != FQ_OK
            || fq_publisher_publish(self->world->publisher, event,
                                    FQ_PUBLISH_ACCEPTED, UINT64_MAX, NULL,
                                    NULL, id)
                   != FQ_OK)
            abort();
    }
    return NULL;
}

static void
test_session_loses_nothing_of_several_publishers(void **state)
{
    (void)state;
    world world;
    client clients[N_CLIENTS];
    world_open(&world, &fq_limits_default);
    for (int i = 0; i < N_CLIENTS; i++) {
        client_open(&clients[i], &world);
        client_send(&clients[i], INIT);
        client_expect(&clients[i], ACK);
        client_send(&clients[i],
                    "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":"
                    "{\"query\":\"subscription { n { t i } }\"}}");
        client_send(&clients[i], "{\"type\":\"ping\"}");
        client_expect(&clients[i], "{\"type\":\"pong\"}");
    }
    pthread_t threads[N_PUBLISHERS];
    publisher_arg args[N_PUBLISHERS];
    for (int i = 0; i < N_PUBLISHERS; i++) {
        args[i] = (publisher_arg){&world, i};
        pthread_create(&threads[i], NULL, publish_many, &args[i]);
    }
    for (int c = 0; c < N_CLIENTS; c++) {
        int next[N_PUBLISHERS] = {0};
        for (int n = 0; n < N_PUBLISHERS * N_EVENTS; n++) {
            fq_queue_item item;
            fq_close close;
            while (fq_port_take(clients[c].port, &item, 1, &close) == 0) {
                assert_int_equal(close.code, 0);
                client_wait(&clients[c]);
            }
            int t, i;
            assert_int_equal(sscanf(item.body->bytes,
                                    "{\"data\":{\"n\":{\"t\":%d,\"i\":%d", &t,
                                    &i),
                             2);
            assert_int_equal(i, next[t]++);
            fq_queue_item_fini(&item);
            /* What has been read is counted. */
            assert_true(metric(&world, "deliveries")
                        > (uint64_t)c * N_PUBLISHERS * N_EVENTS + n);
        }
    }
    for (int i = 0; i < N_PUBLISHERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < N_CLIENTS; i++)
        client_close(&clients[i]);
    world_close(&world);
}

/* ── queries and mutations ── */

#define EXECUTE_TOKEN 77
#define EXECUTE_QUERY                                                         \
    "{\"id\":\"q\",\"type\":\"subscribe\",\"payload\":{\"query\":\"{ a }\","  \
    "\"variables\":{\"n\":1}}}"

static void
test_session_hands_queries_to_a_handler(void **state)
{
    (void)state;
    world world;
    client client;
    world_open(&world, &fq_limits_default);
    fq_service_set_execute(world.service, EXECUTE_TOKEN);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    client_send(&client, EXECUTE_QUERY);
    client_send(&client,
                "{\"id\":\"m\",\"type\":\"subscribe\",\"payload\":{\"query\":"
                "\"mutation A { a } query B { b }\",\"operationName\":\"A\","
                "\"extensions\":{\"x\":[]}}}");
    fq_call *query = client_expect_call(&client, FQ_CALL_EXECUTE);
    assert_int_equal(query->token, EXECUTE_TOKEN);
    fq_test_assert_str(fq_rcbuf_str(query->subscription_id), "q");
    fq_test_assert_str(fq_rcbuf_str(query->data),
                       "{\"query\":\"{ a }\",\"operationName\":null,"
                       "\"variables\":{\"n\":1},\"extensions\":null}");
    fq_call *mutation = client_expect_call(&client, FQ_CALL_EXECUTE);
    fq_test_assert_str(fq_rcbuf_str(mutation->operation_name), "A");
    fq_test_assert_str(fq_rcbuf_str(mutation->data),
                       "{\"query\":\"mutation A { a } query B { b }\","
                       "\"operationName\":\"A\",\"variables\":null,"
                       "\"extensions\":{\"x\":[]}}");
    assert_true(query->sub_id != mutation->sub_id);
    answer(mutation, FQ_ANSWER_VALUE, "{\"data\":{\"a\":2}}");
    client_expect(&client, "{\"id\":\"m\",\"type\":\"next\",\"payload\":"
                           "{\"data\":{\"a\":2}}}");
    client_expect(&client, "{\"id\":\"m\",\"type\":\"complete\"}");
    answer(query, FQ_ANSWER_ERROR, "no \"luck\"");
    client_expect(&client,
                  "{\"id\":\"q\",\"type\":\"error\",\"payload\":[{\"message\":"
                  "\"no \\\"luck\\\"\",\"extensions\":{\"code\":"
                  "\"RESOLVER_ERROR\"}}]}");
    assert_int_equal(metric(&world, "execute_calls"), 2);
    assert_int_equal(metric(&world, "execute_errors"), 1);
    assert_int_equal(metric(&world, "subscriptions_refused"), 0);
    client_close(&client);
    world_close(&world);
}

/* The answer to a query that was completed is nobody's, even when the client
 * has started another under its id. */
static void
test_session_cancels_an_execution(void **state)
{
    (void)state;
    world world;
    client client;
    world_open(&world, &fq_limits_default);
    fq_service_set_execute(world.service, EXECUTE_TOKEN);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    client_send(&client, EXECUTE_QUERY);
    fq_call *first = client_expect_call(&client, FQ_CALL_EXECUTE);
    client_send(&client, "{\"id\":\"q\",\"type\":\"complete\"}");
    fq_call *cancel = client_expect_call(&client, FQ_CALL_CANCEL);
    assert_true(cancel->sub_id == first->sub_id);
    fq_call_free(cancel);
    client_send(&client, EXECUTE_QUERY);
    fq_call *second = client_expect_call(&client, FQ_CALL_EXECUTE);
    answer(first, FQ_ANSWER_VALUE, "{\"data\":1}");
    answer(second, FQ_ANSWER_VALUE, "{\"data\":2}");
    client_expect(&client, "{\"id\":\"q\",\"type\":\"next\",\"payload\":"
                           "{\"data\":2}}");
    client_expect(&client, "{\"id\":\"q\",\"type\":\"complete\"}");
    /* Leaving cancels what runs. */
    client_send(&client, EXECUTE_QUERY);
    first = client_expect_call(&client, FQ_CALL_EXECUTE);
    world_end_service(&world);
    client_expect_close(&client, 1012, "Service restart");
    cancel = client_expect_call(&client, FQ_CALL_CANCEL);
    assert_true(cancel->sub_id == first->sub_id);
    fq_call_free(cancel);
    answer(first, FQ_ANSWER_VALUE, "{\"data\":1}");
    client_close(&client);
    world_close(&world);
}

static void
test_session_validates_before_it_executes(void **state)
{
    (void)state;
    world world;
    client client;
    fq_limits limits = fq_limits_default;
    limits.max_subscriptions_per_connection = 1;
    world_open(&world, &limits);
    fq_service_set_execute(world.service, EXECUTE_TOKEN);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    client_send(&client, "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":"
                         "{\"query\":\"{ a(\"}}");
    client_expect(&client,
                  "{\"id\":\"1\",\"type\":\"error\",\"payload\":[{\"message\":"
                  "\"Syntax Error: Expected Name, found <EOF>.\","
                  "\"locations\":[{\"line\":1,\"column\":5}],"
                  "\"extensions\":{\"code\":\"PARSE_ERROR\"}}]}");
    client_send(&client, EXECUTE_QUERY);
    fq_call *call = client_expect_call(&client, FQ_CALL_EXECUTE);
    client_send(&client, "{\"id\":\"2\",\"type\":\"subscribe\",\"payload\":"
                         "{\"query\":\"{ a }\"}}");
    client_expect(&client,
                  "{\"id\":\"2\",\"type\":\"error\",\"payload\":[{\"message\":"
                  "\"A connection may hold 1 subscriptions; complete one "
                  "first.\",\"extensions\":{\"code\":\"LIMIT_REACHED\"}}]}");
    assert_int_equal(metric(&world, "refused_syntax"), 1);
    assert_int_equal(metric(&world, "refused_subscriptions"), 1);
    assert_int_equal(metric(&world, "subscriptions_refused"), 2);
    fq_call_free(call);
    client_close(&client);
    world_close(&world);
}

#define INTROSPECT_QUERY                                                      \
    "{\"id\":\"i\",\"type\":\"subscribe\",\"payload\":{\"query\":"            \
    "\"{ __schema { types { name } } }\"}}"

static void
test_session_knows_who_tells_the_schema(void **state)
{
    (void)state;
    world world;
    client client;
    world_open(&world, &fq_limits_default);
    fq_service_set_introspect(world.service, FQ_INTROSPECT_BY, 5);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    client_send(&client, INTROSPECT_QUERY);
    fq_call *call = client_expect_call(&client, FQ_CALL_EXECUTE);
    assert_int_equal(call->token, 5);
    answer(call, FQ_ANSWER_VALUE, "{\"data\":1}");
    client_expect(&client, "{\"id\":\"i\",\"type\":\"next\",\"payload\":"
                           "{\"data\":1}}");
    client_expect(&client, "{\"id\":\"i\",\"type\":\"complete\"}");
    client_close(&client);
    world_close(&world);

    world_open(&world, &fq_limits_default);
    fq_service_set_execute(world.service, EXECUTE_TOKEN);
    fq_service_set_introspect(world.service, FQ_INTROSPECT_REFUSE, 0);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    client_send(&client, INTROSPECT_QUERY);
    client_expect(&client,
                  "{\"id\":\"i\",\"type\":\"error\",\"payload\":[{\"message\":"
                  "\"Introspection is not allowed here.\",\"extensions\":"
                  "{\"code\":\"FORBIDDEN\"}}]}");
    assert_int_equal(metric(&world, "refused_introspection"), 1);
    client_close(&client);
    world_close(&world);
}

static void
test_session_tells_once_that_nothing_executes(void **state)
{
    (void)state;
    world world;
    client client;
    world_open(&world, &fq_limits_default);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    for (int i = 0; i < 2; i++) {
        client_send(&client, EXECUTE_QUERY);
        client_expect(&client,
                      "{\"id\":\"q\",\"type\":\"error\",\"payload\":[{"
                      "\"message\":\"Only subscriptions are served here, but "
                      "the operation is a query.\",\"extensions\":{\"code\":"
                      "\"VALIDATION_ERROR\"}}]}");
    }
    fq_call_answer(client_expect_call(&client, FQ_CALL_UNHANDLED),
                   FQ_ANSWER_VALUE, NULL);
    assert_int_equal(client.n_calls, 0);
    assert_int_equal(metric(&world, "refused_unhandled"), 2);
    client_close(&client);
    world_close(&world);
}

static void
test_session_knows_persisted_operations(void **state)
{
    (void)state;
    world world;
    client client;
    fq_persisted *persisted;
    assert_int_equal(fq_persisted_new(true, &persisted), FQ_OK);
    assert_int_equal(
        fq_persisted_add(persisted,
                         FQ_STR_LIT("0123456789abcdef0123456789abcdef"
                                    "0123456789abcdef0123456789abcdef"),
                         FQ_STR_LIT("subscription { users { id } }")),
        FQ_OK);
    world_open(&world, &fq_limits_default);
    fq_service_steal_persisted(world.service, persisted);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    client_send(&client, "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":"
                         "{\"query\":\"\",\"extensions\":{\"persistedQuery\":"
                         "{\"version\":1,\"sha256Hash\":"
                         "\"0123456789abcdef0123456789abcdef"
                         "0123456789abcdef0123456789abcdef\"}}}}");
    client_send(&client, "{\"id\":\"2\",\"type\":\"subscribe\",\"payload\":"
                         "{\"query\":\"subscription { users { id } }\"}}");
    client_expect(&client,
                  "{\"id\":\"2\",\"type\":\"error\",\"payload\":[{\"message\":"
                  "\"Only persisted operations are served here.\","
                  "\"extensions\":{\"code\":\"FORBIDDEN\"}}]}");
    world_publish(&world, "users", "{\"id\":1}");
    client_expect(&client, "{\"id\":\"1\",\"type\":\"next\",\"payload\":"
                           "{\"data\":{\"users\":{\"id\":1}}}}");
    assert_int_equal(metric(&world, "refused_persisted"), 1);
    client_close(&client);
    world_close(&world);
}

/* ── without memory ── */

/* As client_send, for which memory may be out. */
static void
try_send(client *self, const char *text)
{
    fq_rcbuf *rcbuf;
    bool pause;
    if (fq_rcbuf_new(fq_str_of(text), &rcbuf) == FQ_OK)
        (void)fq_port_receive(self->port, rcbuf, &pause);
}

static void
try_publish(world *self, const char *channel)
{
    fq_event *event;
    char id[FQ_EVENT_ID_MAX];
    if (fq_event_new(fq_str_of(channel), FQ_STR_LIT("test"),
                     FQ_STR_LIT("{\"id\":1}"), 1, 0, &event, NULL)
        != FQ_OK)
        return;
    if (fq_publisher_publish(self->publisher, event, FQ_PUBLISH_ACCEPTED,
                             UINT64_MAX, NULL, NULL, id)
        != FQ_OK)
        fq_event_unref(event);
}

/* A client with a plain field, a resolver, a source and a query, the |n|-th request for
 * memory and all after it refused; true when none was. */
static bool
run_without_memory(long n)
{
    world world;
    client client;
    world_open(&world, &fq_limits_default);
    world_add_field(&world, "users", FQ_FIELD_EVENT, 0);
    world_add_field(&world, "named", FQ_FIELD_RESOLVER, 1);
    world_add_field(&world, "tick", FQ_FIELD_SOURCE, 2);
    fq_service_set_execute(world.service, EXECUTE_TOKEN);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    fq_alloc_fail_after(n);
    try_send(&client, "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":"
                      "{\"query\":\"subscription { users { id } }\"}}");
    try_send(&client, "{\"id\":\"2\",\"type\":\"subscribe\",\"payload\":"
                      "{\"query\":\"subscription { named { id } }\"}}");
    try_send(&client, "{\"id\":\"3\",\"type\":\"subscribe\",\"payload\":"
                      "{\"query\":\"subscription { tick }\"}}");
    try_send(&client, EXECUTE_QUERY);
    try_publish(&world, "users");
    try_publish(&world, "named");
    try_send(&client, "{\"id\":\"2\",\"type\":\"complete\"}");
    /* Posted before memory comes back, so it is run before that too, unless
     * the ticket itself could not be had. */
    fq_ticket *done;
    if (fq_ticket_new(NULL, NULL, &done) == FQ_OK) {
        if (fq_service_count(world.service, FQ_STR_LIT("x"), done) == FQ_OK)
            assert_int_equal(fq_ticket_wait(done, DEADLINE_MS * FQ_NS_PER_MS),
                             FQ_OK);
        fq_ticket_unref(done);
    }
    long n_refused = fq_alloc_n_refused();
    fq_alloc_fail_after(-1);
    client_close(&client);
    assert_int_equal(metric(&world, "subscriptions_active"), 0);
    assert_int_equal(metric(&world, "channels_active"), 0);
    world_close(&world);
    return n_refused == 0;
}

static void
test_session_survives_without_memory(void **state)
{
    (void)state;
    if (!fq_test_is_failing_alloc()) {
        assert_true(run_without_memory(-1));
        return;
    }
    long n = 0;
    while (!run_without_memory(n)) {
        n++;
        assert_true(n < FQ_TEST_REQUESTS_MAX);
    }
    assert_true(n > 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_session_delivers_in_order_until_complete),
        FQ_TEST(test_session_answers_wrong_operations_by_errors),
        FQ_TEST(test_session_closes_a_client_that_never_inits),
        FQ_TEST(test_session_closes_a_slow_client_only),
        FQ_TEST(test_session_asks_the_resolver_one_event_at_a_time),
        FQ_TEST(test_session_pulls_a_source_until_it_ends),
        FQ_TEST(test_session_pauses_a_client_that_floods),
        FQ_TEST(test_session_tells_that_it_is_alive),
        FQ_TEST(test_session_closes_when_the_service_does),
        FQ_TEST(test_feed_has_the_message_after_publish),
        FQ_TEST(test_feed_drops_the_oldest_and_tells),
        FQ_TEST(test_publish_done_waits_for_the_resolver),
        FQ_TEST(test_session_loses_nothing_of_several_publishers),
        FQ_TEST(test_session_hands_queries_to_a_handler),
        FQ_TEST(test_session_cancels_an_execution),
        FQ_TEST(test_session_validates_before_it_executes),
        FQ_TEST(test_session_knows_who_tells_the_schema),
        FQ_TEST(test_session_tells_once_that_nothing_executes),
        FQ_TEST(test_session_knows_persisted_operations),
        FQ_TEST(test_session_survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
