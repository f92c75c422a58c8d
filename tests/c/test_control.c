/* SPDX-License-Identifier: MIT */
/* What instances say to each other: the test is the bus, and all the others. */
#include "reactor/control.h"

#include "json/reader.h"
#include "remote_bus.h"
#include "session_fixture.h"

/* Another instance. */
#define PEER "00000000000000aa"
#define FROM "{\"from\":\"" PEER "\""

typedef struct say_args {
    const char *channel;
    const char *kind;
    const char *data;
    bool was_held; /* right behind the delivery */
} say_args;

static void
go_up(remote_bus *self, void *arg)
{
    (void)arg;
    remote_bus_say(self, FQ_BUS_UP, NULL);
}

static void
deliver_said(remote_bus *self, void *arg)
{
    say_args *args = arg;
    fq_event *event;
    assert_int_equal(fq_event_new(fq_str_of(args->channel),
                                  fq_str_of(args->kind), fq_str_of(args->data),
                                  1, 0, &event, NULL),
                     FQ_OK);
    strcpy(event->id, "1");
    fq_bus_deliver(&self->bus, event);
    fq_event_unref(event);
    args->was_held = self->is_held;
}

/* Somebody else says something; returns whether deliveries are held then. */
static bool
say(world *world, remote_bus *bus, const char *kind, const char *data)
{
    say_args args = {.channel = FQ_EVENT_CONTROL, .kind = kind, .data = data};
    remote_bus_do(world->reactor, bus, deliver_said, &args);
    return args.was_held;
}

typedef struct heard {
    char kind[32]; /* "": nothing */
    char data[1024];
} heard;

static void
take_given(remote_bus *self, void *arg)
{
    heard *heard = arg;
    heard->kind[0] = '\0';
    if (fq_list_is_empty(&self->given))
        return;
    fq_bus_publication *publication = FQ_CONTAINER_OF(
        self->given.next, fq_bus_publication, node);
    assert_string_equal(publication->event->channel->bytes, FQ_EVENT_CONTROL);
    snprintf(heard->kind, sizeof(heard->kind), "%s",
             publication->event->event_type->bytes);
    snprintf(heard->data, sizeof(heard->data), "%s",
             publication->event->data->bytes);
    remote_bus_answer(self, FQ_OK, NULL);
}

/* What this instance says next, waited for. */
static void
hear(world *world, remote_bus *bus, heard *heard, const char *kind)
{
    uint64_t until_ns = fq_clock_now_ns() + DEADLINE_MS * FQ_NS_PER_MS;
    do {
        remote_bus_do(world->reactor, bus, take_given, heard);
        if (heard->kind[0] != '\0') {
            assert_string_equal(heard->kind, kind);
            return;
        }
        usleep(1000);
    } while (fq_clock_now_ns() < until_ns);
    fail_msg("nothing was said, not even %s", kind);
}

static void
hear_nothing(world *world, remote_bus *bus)
{
    heard heard;
    world_flush(world);
    remote_bus_do(world->reactor, bus, take_given, &heard);
    assert_string_equal(heard.kind, "");
}

static remote_bus *
open_world(world *world, bool is_authenticating)
{
    fq_auth_settings auth = {.token = 1,
                             .timeout_ns = DEADLINE_MS * FQ_NS_PER_MS};
    remote_bus *bus = remote_bus_new();
    world_open_on(world, &bus->bus, &fq_limits_default);
    if (is_authenticating)
        fq_service_set_auth(world->service, &auth);
    remote_bus_do(world->reactor, bus, go_up, NULL);
    return bus;
}

static void
open_as(world *world, client *client, const char *user)
{
    client_open(client, world);
    client_send(client, INIT);
    fq_call *call = client_expect_call(client, FQ_CALL_INIT);
    fq_security_context_args args = {.user_id = fq_str_of(user)};
    assert_int_equal(fq_security_context_new(&args, &call->context), FQ_OK);
    answer(call, FQ_ANSWER_VALUE, NULL);
    client_expect(client, ACK);
    client_send(client, "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":"
                        "{\"query\":\"subscription { users }\"}}");
    world_flush(world);
}

static bool
is_asking(const heard *heard)
{
    return strstr(heard->data, "\"is_asking\":true") != NULL;
}

static void
test_control_says_who_is_here(void **state)
{
    (void)state;
    world world;
    client client;
    heard heard;
    remote_bus *bus = open_world(&world, false);
    char id[FQ_CONTROL_ID_LEN + 1], from[64];
    hear_nothing(&world, bus);
    /* Who has no client has nothing to be asked about. */
    say(&world, bus, "here", FROM ",\"is_asking\":true}");
    assert_int_equal(metric(&world, "control_instances"), 1);
    hear_nothing(&world, bus);
    client_open(&client, &world);
    hear(&world, bus, &heard, "here");
    assert_true(is_asking(&heard));
    fq_control_write_id(world.service, id);
    snprintf(from, sizeof(from), "{\"from\":\"%s\"", id);
    assert_memory_equal(heard.data, from, strlen(from));
    /* Its own comes back, and is not another's. */
    say(&world, bus, "here", heard.data);
    hear_nothing(&world, bus);
    assert_int_equal(metric(&world, "control_instances"), 1);
    say(&world, bus, "here", FROM ",\"is_asking\":true}");
    hear(&world, bus, &heard, "here");
    assert_false(is_asking(&heard));
    say(&world, bus, "bye", FROM "}");
    assert_int_equal(metric(&world, "control_instances"), 0);
    assert_int_equal(metric(&world, "control_refused"), 0);
    assert_int_equal(metric(&world, "events_received"), 0);
    assert_int_equal(fq_publisher_n_published(world.publisher), 0);
    client_close(&client);
    world_end_service(&world);
    hear(&world, bus, &heard, "bye");
    world_close(&world);
}

static void
go_down_and_up(remote_bus *self, void *arg)
{
    remote_bus_say(self, FQ_BUS_DOWN, "Connection refused");
    go_up(self, arg);
}

static void
test_control_says_so_again_when_the_bus_is_back(void **state)
{
    (void)state;
    world world;
    client client;
    heard heard;
    remote_bus *bus = open_world(&world, false);
    client_open(&client, &world);
    hear(&world, bus, &heard, "here");
    remote_bus_do(world.reactor, bus, go_down_and_up, NULL);
    hear(&world, bus, &heard, "here");
    assert_false(is_asking(&heard));
    client_close(&client);
    world_close(&world);
}

static void
test_control_obeys_orders(void **state)
{
    (void)state;
    world world;
    client ann, bob, cat;
    heard heard;
    remote_bus *bus = open_world(&world, true);
    open_as(&world, &ann, "ann");
    open_as(&world, &bob, "bob");
    open_as(&world, &cat, "cat");
    hear(&world, bus, &heard, "here");
    /* Nothing is delivered until it is done. */
    assert_true(say(&world, bus, "disconnect",
                    FROM ",\"user_id\":\"ann\",\"code\":4999,"
                         "\"reason\":\"Moved\"}"));
    client_expect_close(&ann, 4999, "Moved");
    /* From SQL there is no instance, and null is nothing. */
    say(&world, bus, "disconnect", "{\"user_id\":\"bob\",\"tenant_id\":null}");
    client_expect_close(&bob, 4403, "Forbidden");
    assert_true(say(&world, bus, "invalidate",
                    FROM ",\"where\":[\"==\",{\"ctx\":[\"user_id\"]},"
                         "{\"const\":\"cat\"}]}"));
    client_expect(&cat,
                  "{\"id\":\"1\",\"type\":\"error\",\"payload\":[{"
                  "\"message\":\"The subscription is no longer allowed.\","
                  "\"extensions\":{\"code\":\"FORBIDDEN\"}}]}");
    world_flush(&world);
    assert_false(bus->is_held);
    assert_int_equal(metric(&world, "control_refused"), 0);
    assert_int_equal(metric(&world, "control_received"), 3);
    client_close(&ann);
    client_close(&bob);
    client_close(&cat);
    world_close(&world);
}

static void
test_control_refuses_nonsense(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        const char *data;
    } said[] = {
        {"disconnect", FROM "}"},
        {"disconnect", FROM ",\"userid\":\"ann\"}"},
        {"disconnect", FROM ",\"user_id\":7}"},
        {"disconnect", FROM ",\"user_id\":\"ann\",\"code\":1002}"},
        {"disconnect", FROM ",\"user_id\":\"ann\",\"code\":\"4403\"}"},
        {"disconnect", FROM ",\"user_id\":\"ann\",\"reason\":[]}"},
        {"invalidate", FROM "}"},
        {"invalidate", FROM ",\"where\":7}"},
        {"invalidate", FROM ",\"where\":[\"==\",{\"event\":[\"id\"]},"
                            "{\"const\":1}]}"},
        {"subscriptions", "{\"question\":1,\"limit\":1}"},
        {"subscriptions", FROM ",\"limit\":1}"},
        {"subscriptions", FROM ",\"question\":-1,\"limit\":1}"},
        {"answer", FROM ",\"rows\":7}"},
        {"answer", "{\"rows\":[]}"},
        {"here", "{}"},
        {"bye", "{\"from\":\"00000000000000AA\"}"},
        {"unheard", FROM "}"},
    };
    world world;
    client ann;
    heard heard;
    remote_bus *bus = open_world(&world, true);
    open_as(&world, &ann, "ann");
    hear(&world, bus, &heard, "here");
    size_t n = sizeof(said) / sizeof(said[0]);
    for (size_t i = 0; i < n; i++) {
        say(&world, bus, said[i].kind, said[i].data);
        if (metric(&world, "control_refused") != i + 1)
            fail_msg("%s %s was taken", said[i].kind, said[i].data);
    }
    say_args args = {.channel = FQ_EVENT_RESERVED "other",
                     .kind = "disconnect",
                     .data = FROM ",\"user_id\":\"ann\"}"};
    remote_bus_do(world.reactor, bus, deliver_said, &args);
    assert_int_equal(metric(&world, "control_refused"), n + 1);
    world_flush(&world);
    assert_int_equal(metric(&world, "subscriptions_active"), 1);
    client_close(&ann);
    world_close(&world);
}

/* ── questions ── */

static void
test_control_answers(void **state)
{
    (void)state;
    world world;
    client ann;
    heard heard;
    remote_bus *bus = open_world(&world, true);
    open_as(&world, &ann, "ann");
    hear(&world, bus, &heard, "here");
    say(&world, bus, "subscriptions",
        FROM ",\"question\":7,\"limit\":10,\"user_id\":\"ann\"}");
    hear(&world, bus, &heard, "answer");
    assert_non_null(strstr(heard.data, ",\"to\":\"" PEER "\",\"question\":7,"
                                       "\"is_whole\":true,\"rows\":[{"
                                       "\"subscription_id\":\"1\""));
    say(&world, bus, "subscriptions",
        FROM ",\"question\":8,\"limit\":10,\"user_id\":\"bob\"}");
    hear(&world, bus, &heard, "answer");
    assert_non_null(strstr(heard.data, "\"rows\":[]}"));
    client_close(&ann);
    world_close(&world);
}

static fq_ticket *
ask(world *world, uint64_t timeout_ns, uint64_t *pquestion)
{
    fq_ticket *done;
    assert_int_equal(fq_ticket_new(NULL, NULL, &done), FQ_OK);
    assert_int_equal(
        fq_control_ask(world->service, timeout_ns, done, pquestion), FQ_OK);
    return done;
}

static void
expect_answers(fq_ticket *done, const char *expected)
{
    assert_int_equal(fq_ticket_wait(done, DEADLINE_MS * FQ_NS_PER_MS), FQ_OK);
    assert_int_equal(done->status, FQ_OK);
    fq_test_assert_str(fq_rcbuf_str(done->text), expected);
    fq_ticket_unref(done);
}

static void
reply(world *world, remote_bus *bus, const char *from, uint64_t question,
      const char *rows)
{
    char id[FQ_CONTROL_ID_LEN + 1], data[256];
    fq_control_write_id(world->service, id);
    snprintf(data, sizeof(data),
             "{\"from\":\"%s\",\"to\":\"%s\",\"question\":%llu,"
             "\"is_whole\":true,\"rows\":%s}",
             from, id, (unsigned long long)question, rows);
    say(world, bus, "answer", data);
}

#define OTHER "00000000000000bb"
#define LONG_NS (DEADLINE_MS * (uint64_t)FQ_NS_PER_MS)

static void
test_control_collects_answers(void **state)
{
    (void)state;
    world world;
    heard heard;
    uint64_t question;
    remote_bus *bus = open_world(&world, false);
    /* Nobody is known yet: whoever is there has the whole time. */
    fq_ticket *done = ask(&world, FQ_NS_PER_S, &question);
    hear(&world, bus, &heard, "here");
    assert_true(is_asking(&heard));
    reply(&world, bus, PEER, question, "[{\"n\":1}]");
    expect_answers(done, "{\"answers\":[{\"instance_id\":\"" PEER
                         "\",\"is_whole\":true,\"rows\":[{\"n\":1}]}],"
                         "\"missing\":[]}");
    /* Behind FQ_CONTROL_SETTLE_NS, with the second above. */
    usleep(100 * 1000);
    /* Now it is, and nobody else. */
    done = ask(&world, LONG_NS, &question);
    reply(&world, bus, PEER, question - 1, "[]");
    reply(&world, bus, PEER, question, "[]");
    reply(&world, bus, PEER, question, "[{\"twice\":1}]");
    expect_answers(done, "{\"answers\":[{\"instance_id\":\"" PEER
                         "\",\"is_whole\":true,\"rows\":[]}],"
                         "\"missing\":[]}");
    say(&world, bus, "here", "{\"from\":\"" OTHER "\"}");
    done = ask(&world, FQ_NS_PER_S, &question);
    reply(&world, bus, OTHER, question, "[]");
    expect_answers(done, "{\"answers\":[{\"instance_id\":\"" OTHER
                         "\",\"is_whole\":true,\"rows\":[]}],"
                         "\"missing\":[\"" PEER "\"]}");
    /* One that goes is not waited for any longer. */
    done = ask(&world, LONG_NS, &question);
    world_flush(&world);
    say(&world, bus, "bye", FROM "}");
    say(&world, bus, "bye", "{\"from\":\"" OTHER "\"}");
    expect_answers(done, "{\"answers\":[],\"missing\":[]}");
    world_close(&world);
}

static void
test_control_ends_questions_with_the_service(void **state)
{
    (void)state;
    world world;
    uint64_t question;
    remote_bus *bus = open_world(&world, false);
    (void)bus;
    fq_ticket *done = ask(&world, LONG_NS, &question);
    world_flush(&world);
    world_end_service(&world);
    assert_int_equal(fq_ticket_wait(done, LONG_NS), FQ_OK);
    assert_int_equal(done->status, FQ_ERR_CLOSED);
    fq_ticket_unref(done);
    world_close(&world);
}

static void
test_control_knows_so_many_and_no_more(void **state)
{
    (void)state;
    world world;
    char data[64];
    remote_bus *bus = open_world(&world, false);
    for (int i = 1; i <= FQ_CONTROL_PEERS_MAX + 10; i++) {
        snprintf(data, sizeof(data), "{\"from\":\"%016x\"}", (unsigned)i);
        say(&world, bus, "here", data);
    }
    assert_int_equal(metric(&world, "control_instances"),
                     FQ_CONTROL_PEERS_MAX);
    assert_int_equal(metric(&world, "control_refused"), 0);
    world_close(&world);
}

/* ── what may be lost ── */

static void
tell_gap(remote_bus *self, void *arg)
{
    (void)arg;
    fq_bus_tell_gap(&self->bus, FQ_STR_LIT("trimmed"));
}

static void
test_control_has_all_authenticate_again_after_a_gap(void **state)
{
    (void)state;
    world world;
    client ann;
    heard heard;
    fq_notice notice;
    remote_bus *bus = open_world(&world, true);
    open_as(&world, &ann, "ann");
    hear(&world, bus, &heard, "here");
    remote_bus_do(world.reactor, bus, tell_gap, NULL);
    client_expect_close(&ann, 1012, "Connect again");
    /* Who is there may have been said in it. */
    hear(&world, bus, &heard, "here");
    assert_true(is_asking(&heard));
    assert_int_equal(metric(&world, "control_lockdowns"), 1);
    assert_int_equal(metric(&world, "subscriptions_with_gaps"), 1);
    world_flush(&world);
    assert_false(bus->is_held);
    fq_notices *notices = fq_publisher_notices(world.publisher);
    assert_int_equal(fq_notices_take(notices, &notice), FQ_OK);
    assert_string_equal(
        notice.text, "events were lost (trimmed); 1 subscriptions were told");
    assert_int_equal(fq_notices_take(notices, &notice), FQ_OK);
    assert_string_equal(notice.text,
                        "orders to disconnect clients may have been lost: 1 "
                        "connections were closed, for their clients to "
                        "authenticate again");
    client_close(&ann);
    world_close(&world);
}

static void
test_control_leaves_who_is_anonymous_where_it_is(void **state)
{
    (void)state;
    world world;
    client client;
    remote_bus *bus = open_world(&world, false);
    client_open(&client, &world);
    client_send(&client, INIT);
    client_expect(&client, ACK);
    remote_bus_do(world.reactor, bus, tell_gap, NULL);
    world_flush(&world);
    client_send(&client, "{\"type\":\"ping\"}");
    client_expect(&client, "{\"type\":\"pong\"}");
    assert_int_equal(metric(&world, "control_lockdowns"), 0);
    client_close(&client);
    world_close(&world);
}

static void
deliver_event(remote_bus *self, void *arg)
{
    fq_bus_deliver(&self->bus, arg);
}

/* An order, the |n|-th request for memory and all after it refused; true when
 * none was. However that goes, the client is not there any more. */
static bool
obey_without_memory(long n, const char *kind, const char *data)
{
    world world;
    client ann;
    heard heard;
    fq_event *event;
    remote_bus *bus = open_world(&world, true);
    open_as(&world, &ann, "ann");
    hear(&world, bus, &heard, "here");
    assert_int_equal(fq_event_new(FQ_STR_LIT(FQ_EVENT_CONTROL),
                                  fq_str_of(kind), fq_str_of(data), 1, 0,
                                  &event, NULL),
                     FQ_OK);
    strcpy(event->id, "1");
    fq_alloc_fail_after(n);
    remote_bus_do(world.reactor, bus, deliver_event, event);
    remote_bus_do(world.reactor, bus, NULL, NULL);
    remote_bus_do(world.reactor, bus, NULL, NULL);
    long n_refused = fq_alloc_n_refused();
    fq_alloc_fail_after(-1);
    fq_event_unref(event);
    world_flush(&world);
    assert_int_equal(metric(&world, "subscriptions_active"), 0);
    assert_false(bus->is_held);
    client_close(&ann);
    world_close(&world);
    return n_refused == 0;
}

static void
test_control_fails_closed_without_memory(void **state)
{
    (void)state;
    static const char *const orders[][2] = {
        {"disconnect", FROM ",\"user_id\":\"ann\"}"},
        {"invalidate", FROM ",\"where\":[\"==\",{\"ctx\":[\"user_id\"]},"
                            "{\"const\":\"ann\"}]}"},
    };
    if (!fq_test_is_failing_alloc())
        return;
    for (size_t i = 0; i < 2; i++) {
        long n = 0;
        while (!obey_without_memory(n, orders[i][0], orders[i][1])) {
            n++;
            assert_true(n < FQ_TEST_REQUESTS_MAX);
        }
    }
}

/* All that is said and asked, likewise. */
static bool
talk_without_memory(long n)
{
    world world;
    uint64_t question;
    char rows[] = "[1]";
    remote_bus *bus = open_world(&world, false);
    fq_ticket *done;
    assert_int_equal(fq_ticket_new(NULL, NULL, &done), FQ_OK);
    static const char *const said[][2] = {
        {"here", FROM ",\"is_asking\":true}"},
        {"subscriptions", FROM ",\"question\":7,\"limit\":10}"},
    };
    fq_event *events[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(
            fq_event_new(FQ_STR_LIT(FQ_EVENT_CONTROL), fq_str_of(said[i][0]),
                         fq_str_of(said[i][1]), 1, 0, &events[i], NULL),
            FQ_OK);
        strcpy(events[i]->id, "1");
    }
    fq_alloc_fail_after(n);
    fq_status status = fq_control_ask(world.service, 20 * FQ_NS_PER_MS, done,
                                      &question);
    for (size_t i = 0; i < 2; i++)
        remote_bus_do(world.reactor, bus, deliver_event, events[i]);
    for (size_t i = 0; i < 4; i++)
        remote_bus_do(world.reactor, bus, NULL, NULL);
    long n_refused = fq_alloc_n_refused();
    fq_alloc_fail_after(-1);
    for (size_t i = 0; i < 2; i++)
        fq_event_unref(events[i]);
    if (status == FQ_OK) {
        reply(&world, bus, PEER, question, rows);
        assert_int_equal(fq_ticket_wait(done, LONG_NS), FQ_OK);
    }
    fq_ticket_unref(done);
    world_close(&world);
    return n_refused == 0;
}

static void
test_control_survives_without_memory(void **state)
{
    (void)state;
    if (!fq_test_is_failing_alloc())
        return;
    long n = 0;
    while (!talk_without_memory(n)) {
        n++;
        assert_true(n < FQ_TEST_REQUESTS_MAX);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_control_says_who_is_here),
        FQ_TEST(test_control_says_so_again_when_the_bus_is_back),
        FQ_TEST(test_control_obeys_orders),
        FQ_TEST(test_control_refuses_nonsense),
        FQ_TEST(test_control_answers),
        FQ_TEST(test_control_collects_answers),
        FQ_TEST(test_control_ends_questions_with_the_service),
        FQ_TEST(test_control_knows_so_many_and_no_more),
        FQ_TEST(test_control_has_all_authenticate_again_after_a_gap),
        FQ_TEST(test_control_leaves_who_is_anonymous_where_it_is),
        FQ_TEST(test_control_fails_closed_without_memory),
        FQ_TEST(test_control_survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
