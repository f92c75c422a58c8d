/* SPDX-License-Identifier: MIT */
/* Looking at what is live, and ending it from outside. */
#include "reactor/management.h"

#include <stdlib.h>

#include "json/reader.h"
#include "reactor/orders.h"
#include "session_fixture.h"

#define N_MANY 1500

static void
open_as(world *world, client *client, const char *user, const char *tenant)
{
    client_open(client, world);
    client_send(client, INIT);
    fq_call *call = client_expect_call(client, FQ_CALL_INIT);
    fq_security_context_args args = {.user_id = fq_str_of(user),
                                     .tenant_id = fq_str_of(tenant)};
    assert_int_equal(fq_security_context_new(&args, &call->context), FQ_OK);
    answer(call, FQ_ANSWER_VALUE, NULL);
    client_expect(client, ACK);
}

static void
subscribe(client *client, const char *id, const char *field)
{
    char text[256];
    snprintf(text, sizeof(text),
             "{\"id\":\"%s\",\"type\":\"subscribe\",\"payload\":{\"query\":"
             "\"subscription S { %s }\",\"operationName\":\"S\"}}",
             id, field);
    client_send(client, text);
}

static void
open_world(world *world)
{
    fq_auth_settings auth = {.token = 1,
                             .timeout_ns = DEADLINE_MS * FQ_NS_PER_MS};
    world_open(world, &fq_limits_default);
    fq_service_set_auth(world->service, &auth);
}

/* The text that a walk ends with, to be unreferenced with the ticket. */
static fq_ticket *
finish(fq_status status, fq_ticket *done)
{
    assert_int_equal(status, FQ_OK);
    assert_int_equal(fq_ticket_wait(done, DEADLINE_MS * FQ_NS_PER_MS), FQ_OK);
    assert_int_equal(done->status, FQ_OK);
    return done;
}

static size_t
count(fq_status status, fq_ticket *done)
{
    finish(status, done);
    size_t n = strtoul(done->text->bytes, NULL, 10);
    fq_ticket_unref(done);
    return n;
}

static fq_ticket *
ticket(void)
{
    fq_ticket *done;
    assert_int_equal(fq_ticket_new(NULL, NULL, &done), FQ_OK);
    return done;
}

/* How many subscriptions there are; *pfirst gets the id of the first. */
static size_t
list(world *world, const fq_live_query *query, size_t limit, char *first)
{
    fq_ticket *done = ticket();
    finish(fq_service_list_subs(world->service, query, limit, done), done);
    yyjson_doc *doc;
    assert_int_equal(
        fq_json_read(fq_rcbuf_str(done->text), FQ_JSON_STRICT, &doc, NULL),
        FQ_OK);
    yyjson_val *array = yyjson_doc_get_root(doc);
    size_t n = yyjson_arr_size(array);
    first[0] = '\0';
    if (n > 0) {
        yyjson_val *record = yyjson_arr_get_first(array);
        assert_int_equal(yyjson_obj_size(record), 10);
        fq_str id = fq_json_str(
            fq_json_get(record, FQ_STR_LIT("subscription_id")));
        snprintf(first, 8, "%.*s", FQ_STR_FMT(id));
    }
    fq_json_free(doc);
    fq_ticket_unref(done);
    return n;
}

static void
test_management_lists_what_is_asked_for(void **state)
{
    (void)state;
    world world;
    client ann, bob;
    char id[8];
    open_world(&world);
    open_as(&world, &ann, "ann", "t1");
    open_as(&world, &bob, "bob", "t1");
    subscribe(&ann, "a1", "users");
    subscribe(&ann, "a2", "orders");
    subscribe(&bob, "b1", "orders");
    fq_live_query query = {.user_id = {NULL, 0}};
    assert_int_equal(list(&world, &query, 10, id), 3);
    assert_string_equal(id, "a1");
    assert_int_equal(list(&world, &query, 2, id), 2);
    query.user_id = FQ_STR_LIT("bob");
    assert_int_equal(list(&world, &query, 10, id), 1);
    assert_string_equal(id, "b1");
    query.tenant_id = FQ_STR_LIT("t2");
    assert_int_equal(list(&world, &query, 10, id), 0);
    query = (fq_live_query){.channel = FQ_STR_LIT("orders"),
                            .tenant_id = FQ_STR_LIT("t1")};
    assert_int_equal(list(&world, &query, 10, id), 2);
    assert_string_equal(id, "a2");
    query = (fq_live_query){
        .connection_id = fq_rcbuf_str(bob.port->connection_id)};
    assert_int_equal(list(&world, &query, 10, id), 1);
    assert_string_equal(id, "b1");
    client_close(&ann);
    client_close(&bob);
    world_close(&world);
}

static void
test_management_disconnects(void **state)
{
    (void)state;
    world world;
    client ann, bob;
    open_world(&world);
    open_as(&world, &ann, "ann", "t1");
    open_as(&world, &bob, "bob", "t1");
    subscribe(&ann, "a1", "users");
    fq_live_query query = {.user_id = FQ_STR_LIT("ann")};
    fq_ticket *done = ticket();
    assert_int_equal(count(fq_service_disconnect(world.service, &query, 4403,
                                                 FQ_STR_LIT("Away"), done),
                           done),
                     1);
    client_expect_close(&ann, 4403, "Away");
    client_send(&ann, "{\"type\":\"ping\"}");
    done = ticket();
    assert_int_equal(count(fq_service_disconnect(world.service, &query, 4403,
                                                 FQ_STR_LIT("Away"), done),
                           done),
                     0);
    assert_int_equal(metric(&world, "ended_managed"), 1);
    client_send(&bob, "{\"type\":\"ping\"}");
    client_expect(&bob, "{\"type\":\"pong\"}");
    client_close(&ann);
    client_close(&bob);
    world_close(&world);
}

/* More clients than a slice has; one goes by itself meanwhile. */
/* Who is being authenticated is nobody yet. */
static void
test_management_disconnects_who_comes_meanwhile(void **state)
{
    (void)state;
    world world;
    client ann, bob, late, many;
    fq_live_query query = {.user_id = FQ_STR("ann")};
    fq_live_query other = {.user_id = FQ_STR("other")};
    open_world(&world);
    fq_call *calls[4];
    client *clients[] = {&ann, &bob, &many, &late};
    for (size_t i = 0; i < 4; i++) {
        if (clients[i] == &late) {
            fq_ticket *done = ticket();
            assert_int_equal(
                count(fq_service_disconnect(world.service, &query, 4999,
                                            FQ_STR_LIT("Moved"), done),
                      done),
                0);
        }
        client_open(clients[i], &world);
        client_send(clients[i], INIT);
        calls[i] = client_expect_call(clients[i], FQ_CALL_INIT);
        fq_security_context_args args = {.user_id = clients[i] == &bob
                                                        ? FQ_STR_LIT("bob")
                                                        : FQ_STR_LIT("ann")};
        assert_int_equal(fq_security_context_new(&args, &calls[i]->context),
                         FQ_OK);
    }
    answer(calls[0], FQ_ANSWER_VALUE, NULL);
    client_expect_close(&ann, 4999, "Moved");
    answer(calls[1], FQ_ANSWER_VALUE, NULL);
    client_expect(&bob, ACK);
    /* More than are remembered. */
    for (size_t i = 0; i < FQ_ORDERS_MAX; i++) {
        fq_ticket *done = ticket();
        assert_int_equal(
            count(fq_service_disconnect(world.service, &other, 4403,
                                        FQ_STR_LIT("Forbidden"), done),
                  done),
            0);
    }
    answer(calls[2], FQ_ANSWER_VALUE, NULL);
    client_expect_close(&many, 1012, "Connect again");
    /* Asked after the order: the handler knew. */
    answer(calls[3], FQ_ANSWER_VALUE, NULL);
    client_expect(&late, ACK);
    for (size_t i = 0; i < 4; i++)
        client_close(clients[i]);
    world_close(&world);
}

static void
test_management_disconnects_many(void **state)
{
    (void)state;
    world world;
    static client clients[N_MANY];
    world_open(&world, &fq_limits_default);
    for (size_t i = 0; i < N_MANY; i++) {
        /* One mailbox for all: descriptors are few. */
        memset(&clients[i], 0, sizeof(client));
        if (i == 0)
            assert_int_equal(fq_mailbox_new(&clients[0].mailbox), FQ_OK);
        assert_int_equal(
            fq_session_open(world.service, &fq_graphql_transport_ws,
                            clients[0].mailbox, &clients[i],
                            world_visitor(&world), &clients[i].port),
            FQ_OK);
    }
    fq_live_query query = {.user_id = FQ_STR_LIT("anonymous")};
    fq_ticket *done = ticket();
    fq_status status = fq_service_disconnect(world.service, &query, 1000,
                                             FQ_STR_LIT(""), done);
    for (size_t i = 0; i < N_MANY; i += 100)
        fq_port_disconnect(clients[i].port, NULL);
    size_t n = count(status, done);
    assert_in_range(n, N_MANY - N_MANY / 100, N_MANY);
    assert_int_equal(metric(&world, "connections_active"), 0);
    for (size_t i = 0; i < N_MANY; i++) {
        fq_port_disconnect(clients[i].port, NULL);
        fq_port_unref(clients[i].port);
    }
    world_flush(&world);
    client_take_mail(&clients[0], fq_mailbox_close(clients[0].mailbox));
    fq_mailbox_unref(clients[0].mailbox);
    world_close(&world);
}

static fq_filter *
filter(const char *ir)
{
    yyjson_doc *doc;
    fq_filter *where;
    assert_int_equal(fq_json_read(fq_str_of(ir), FQ_JSON_STRICT, &doc, NULL),
                     FQ_OK);
    assert_int_equal(fq_filter_compile(yyjson_doc_get_root(doc), &where, NULL),
                     FQ_OK);
    fq_json_free(doc);
    return where;
}

static void
test_management_invalidates(void **state)
{
    (void)state;
    world world;
    client ann, bob;
    open_world(&world);
    open_as(&world, &ann, "ann", "t1");
    open_as(&world, &bob, "bob", "t2");
    subscribe(&ann, "a1", "users");
    subscribe(&ann, "a2", "users");
    subscribe(&bob, "b1", "users");
    fq_filter *where = filter(
        "[\"==\",{\"ctx\":[\"tenant_id\"]},{\"const\":\"t1\"}]");
    fq_ticket *done = ticket();
    assert_int_equal(
        count(fq_service_invalidate(world.service, where, done), done), 2);
    client_expect(&ann,
                  "{\"id\":\"a1\",\"type\":\"error\",\"payload\":[{"
                  "\"message\":\"The subscription is no longer allowed.\","
                  "\"extensions\":{\"code\":\"FORBIDDEN\"}}]}");
    world_publish(&world, "users", "{}");
    client_expect(&bob, "{\"id\":\"b1\",\"type\":\"next\",\"payload\":"
                        "{\"data\":{\"users\":{}}}}");
    assert_int_equal(metric(&world, "subscriptions_active"), 1);
    fq_filter_unref(where);
    client_close(&ann);
    client_close(&bob);
    world_close(&world);
}

static void
test_management_knows_a_closed_service(void **state)
{
    (void)state;
    world world;
    fq_live_query query = {.user_id = {NULL, 0}};
    open_world(&world);
    world_end_service(&world);
    fq_ticket *done = ticket();
    fq_status status = fq_service_list_subs(world.service, &query, 1, done);
    assert_int_equal(status, FQ_OK);
    assert_int_equal(fq_ticket_wait(done, DEADLINE_MS * FQ_NS_PER_MS), FQ_OK);
    assert_int_equal(done->status, FQ_ERR_CLOSED);
    fq_ticket_unref(done);
    world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_management_lists_what_is_asked_for),
        FQ_TEST(test_management_disconnects),
        FQ_TEST(test_management_disconnects_who_comes_meanwhile),
        FQ_TEST(test_management_disconnects_many),
        FQ_TEST(test_management_invalidates),
        FQ_TEST(test_management_knows_a_closed_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
