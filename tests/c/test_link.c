/* SPDX-License-Identifier: MIT */
/* A bus that answers later: who waits for it to be up, what waits at the door
 * meanwhile, in which order it goes, and what becomes of it in the end. */
#include "reactor/link.h"

#include "base/clock.h"
#include "remote_bus.h"

#define DEADLINE_NS (10ull * FQ_NS_PER_S)

static fq_reactor *reactor;
static fq_publisher *publisher;
static remote_bus *bus;

static void
open_door(void)
{
    bus = remote_bus_new();
    assert_int_equal(fq_reactor_new(&reactor), FQ_OK);
    assert_int_equal(fq_publisher_new(reactor, &bus->bus, &publisher), FQ_OK);
    assert_true(fq_publisher_answers_later(publisher));
}

static void
close_door(void)
{
    fq_publisher_close(publisher);
    fq_publisher_close(publisher);
    fq_publisher_unref(publisher);
    fq_reactor_release(reactor);
}

static fq_ticket *
new_ticket(void)
{
    fq_ticket *ticket;
    assert_int_equal(fq_ticket_new(NULL, NULL, &ticket), FQ_OK);
    return ticket;
}

static fq_ticket *
publish_until(const char *channel, uint64_t until_ns)
{
    fq_event *event;
    char id[FQ_EVENT_ID_MAX];
    fq_ticket *ticket = new_ticket();
    assert_int_equal(fq_event_new(fq_str_of(channel), FQ_STR_LIT("t"),
                                  FQ_STR_LIT("{}"), 1, 0, &event, NULL),
                     FQ_OK);
    assert_int_equal(fq_publisher_publish(publisher, event, FQ_PUBLISH_DONE,
                                          until_ns, ticket, NULL, id),
                     FQ_OK);
    assert_string_equal(id, "");
    return ticket;
}

static fq_ticket *
publish(const char *channel)
{
    return publish_until(channel, UINT64_MAX);
}

/* An event for each letter of |channels|, all at once. */
static fq_ticket *
publish_all_until(const char *channels, uint64_t until_ns)
{
    fq_event *events[FQ_PUBLISHER_BATCH_MAX] = {NULL};
    fq_ticket *ticket = new_ticket();
    size_t n = strlen(channels), n_taken;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(fq_event_new(fq_str_make(channels + i, 1),
                                      FQ_STR_LIT("t"), FQ_STR_LIT("{}"), 1, 0,
                                      &events[i], NULL),
                         FQ_OK);
    assert_int_equal(fq_publisher_publish_all(publisher, events, n, until_ns,
                                              ticket, NULL, &n_taken),
                     FQ_OK);
    assert_int_equal(n_taken, n);
    return ticket;
}

static fq_ticket *
await_up(uint64_t timeout_ns)
{
    fq_ticket *ticket = new_ticket();
    assert_int_equal(fq_publisher_await_up(
                         publisher, fq_clock_now_ns() + timeout_ns, ticket),
                     FQ_OK);
    return ticket;
}

/* |ticket| gets |status| and |text| (NULL: none), in time. */
static void
expect(fq_ticket *ticket, fq_status status, const char *text)
{
    assert_int_equal(fq_ticket_wait(ticket, DEADLINE_NS), FQ_OK);
    assert_int_equal(ticket->status, status);
    if (text == NULL)
        assert_null(ticket->text);
    else
        fq_test_assert_str(fq_rcbuf_str(ticket->text), text);
    fq_ticket_unref(ticket);
}

/* The same of events that came at once, |text| with `,` for its NULs. */
static void
expect_all(fq_ticket *ticket, fq_status status, const char *text)
{
    assert_int_equal(fq_ticket_wait(ticket, DEADLINE_NS), FQ_OK);
    assert_int_equal(ticket->status, status);
    assert_non_null(ticket->text);
    for (size_t i = 0; i < ticket->text->len; i++) {
        if (ticket->text->bytes[i] == '\0')
            ticket->text->bytes[i] = ',';
    }
    fq_test_assert_str(fq_rcbuf_str(ticket->text), text);
    fq_ticket_unref(ticket);
}

static void
go_up(remote_bus *self, void *arg)
{
    (void)arg;
    remote_bus_say(self, FQ_BUS_UP, NULL);
}

static void
go_down(remote_bus *self, void *message)
{
    remote_bus_say(self, FQ_BUS_DOWN, message);
}

static void
answer_ok(remote_bus *self, void *arg)
{
    (void)arg;
    remote_bus_answer(self, FQ_OK, NULL);
}

static void
refuse(remote_bus *self, void *message)
{
    remote_bus_answer(self, FQ_ERR_SYSTEM, message);
}

/* The server takes none of them and the bus notices. */
static void
return_all(remote_bus *self, void *arg)
{
    (void)arg;
    remote_bus_say(self, FQ_BUS_DOWN, "READONLY");
    while (!fq_list_is_empty(&self->given))
        remote_bus_answer(self, FQ_ERR_AGAIN, NULL);
}

static void
expect_log(remote_bus *self, void *log)
{
    assert_string_equal(self->log, log);
}

static void
test_link_gives_in_order_once_it_is_up(void **state)
{
    (void)state;
    open_door();
    fq_ticket *a = publish("a"), *b = publish("b");
    remote_bus_do(reactor, bus, expect_log, "");
    remote_bus_do(reactor, bus, go_up, NULL);
    fq_ticket *c = publish("c");
    remote_bus_do(reactor, bus, expect_log, "abc");
    assert_int_equal(fq_publisher_n_waiting(publisher), 3);
    assert_int_equal(fq_ticket_wait(a, 0), FQ_ERR_TIMEOUT);
    remote_bus_do(reactor, bus, answer_ok, NULL);
    expect(a, FQ_OK, "id-1");
    remote_bus_do(reactor, bus, refuse, "OOM command not allowed");
    expect(b, FQ_ERR_SYSTEM, "OOM command not allowed");
    remote_bus_do(reactor, bus, answer_ok, NULL);
    expect(c, FQ_OK, "id-2");
    assert_int_equal(fq_publisher_n_waiting(publisher), 0);
    assert_int_equal(fq_publisher_n_failed(publisher), 1);
    close_door();
}

static void
test_link_gives_again_what_came_back(void **state)
{
    (void)state;
    open_door();
    remote_bus_do(reactor, bus, go_up, NULL);
    fq_ticket *a = publish("a"), *b = publish("b");
    remote_bus_do(reactor, bus, return_all, NULL);
    fq_ticket *c = publish("c");
    remote_bus_do(reactor, bus, expect_log, "ab");
    remote_bus_do(reactor, bus, go_up, NULL);
    remote_bus_do(reactor, bus, expect_log, "ababc");
    for (int i = 0; i < 3; i++)
        remote_bus_do(reactor, bus, answer_ok, NULL);
    expect(a, FQ_OK, "id-1");
    expect(b, FQ_OK, "id-2");
    expect(c, FQ_OK, "id-3");
    close_door();
}

static void
test_link_tells_of_many_when_all_are_answered(void **state)
{
    (void)state;
    open_door();
    fq_ticket *all = publish_all_until("abc", UINT64_MAX);
    remote_bus_do(reactor, bus, expect_log, "");
    assert_int_equal(fq_publisher_n_waiting(publisher), 3);
    remote_bus_do(reactor, bus, go_up, NULL);
    fq_ticket *d = publish("d");
    remote_bus_do(reactor, bus, expect_log, "abcd");
    remote_bus_do(reactor, bus, answer_ok, NULL);
    remote_bus_do(reactor, bus, refuse, "OOM command not allowed");
    assert_int_equal(fq_ticket_wait(all, 0), FQ_ERR_TIMEOUT);
    remote_bus_do(reactor, bus, answer_ok, NULL);
    expect_all(all, FQ_ERR_SYSTEM, "OOM command not allowed,id-1,,id-2,");
    remote_bus_do(reactor, bus, answer_ok, NULL);
    expect(d, FQ_OK, "id-3");
    assert_int_equal(fq_publisher_n_published(publisher), 4);
    assert_int_equal(fq_publisher_n_failed(publisher), 1);
    assert_int_equal(fq_publisher_n_waiting(publisher), 0);
    all = publish_all_until("ef", UINT64_MAX);
    remote_bus_do(reactor, bus, answer_ok, NULL);
    remote_bus_do(reactor, bus, answer_ok, NULL);
    expect_all(all, FQ_OK, ",id-4,id-5,");
    close_door();
}

static void
test_link_gives_many_again_and_tells_those_that_are_late(void **state)
{
    (void)state;
    open_door();
    remote_bus_do(reactor, bus, go_up, NULL);
    fq_ticket *all = publish_all_until("abc", UINT64_MAX);
    remote_bus_do(reactor, bus, answer_ok, NULL);
    remote_bus_do(reactor, bus, return_all, NULL);
    remote_bus_do(reactor, bus, go_up, NULL);
    remote_bus_do(reactor, bus, expect_log, "abcbc");
    remote_bus_do(reactor, bus, answer_ok, NULL);
    remote_bus_do(reactor, bus, answer_ok, NULL);
    expect_all(all, FQ_OK, ",id-1,id-2,id-3,");
    /* Those that are under way when time is up are told of, and stay until
     * the answer. */
    uint64_t soon_ns = fq_clock_now_ns() + 50 * FQ_NS_PER_MS;
    all = publish_all_until("de", soon_ns);
    expect_all(
        all, FQ_ERR_TIMEOUT,
        "the bus did not answer in time; whether it has taken the event "
        "is not known,,,");
    assert_int_equal(fq_publisher_n_waiting(publisher), 2);
    remote_bus_do(reactor, bus, answer_ok, NULL);
    remote_bus_do(reactor, bus, go_down, "gone");
    all = publish_all_until("fg", fq_clock_now_ns() + 20 * FQ_NS_PER_MS);
    expect_all(all, FQ_ERR_TIMEOUT,
               "the bus did not take the event in time: gone,,,");
    assert_int_equal(fq_publisher_n_waiting(publisher), 1);
    all = publish_all_until("hi", UINT64_MAX);
    close_door();
    expect_all(all, FQ_ERR_CLOSED, "the bus was closed: gone,,,");
}

static void
test_link_does_not_give_what_is_late(void **state)
{
    (void)state;
    open_door();
    remote_bus_do(reactor, bus, go_down, "Connection refused");
    expect(publish_until("a", fq_clock_now_ns() + 20 * FQ_NS_PER_MS),
           FQ_ERR_TIMEOUT,
           "the bus did not take the event in time: Connection refused");
    remote_bus_do(reactor, bus, go_up, NULL);
    remote_bus_do(reactor, bus, expect_log, "");
    expect(publish_until("b", fq_clock_now_ns() + 20 * FQ_NS_PER_MS),
           FQ_ERR_TIMEOUT,
           "the bus did not answer in time; whether it has taken the event is "
           "not known");
    assert_int_equal(fq_publisher_n_waiting(publisher), 1);
    /* The answer comes all the same; and one that comes back is too late. */
    remote_bus_do(reactor, bus, answer_ok, NULL);
    assert_int_equal(fq_publisher_n_waiting(publisher), 0);
    fq_ticket *c = publish_until("c", fq_clock_now_ns());
    assert_int_equal(fq_ticket_wait(c, DEADLINE_NS), FQ_OK);
    fq_ticket_unref(c);
    remote_bus_do(reactor, bus, return_all, NULL);
    assert_int_equal(fq_publisher_n_waiting(publisher), 0);
    assert_int_equal(fq_publisher_n_failed(publisher), 3);
    close_door();
}

static void
test_link_tells_who_waits_for_it(void **state)
{
    (void)state;
    open_door();
    fq_ticket *a = await_up(DEADLINE_NS);
    expect(await_up(FQ_NS_PER_MS), FQ_ERR_SYSTEM,
           "cannot connect to the bus in time");
    remote_bus_do(reactor, bus, go_down, "NOAUTH Authentication required.");
    expect(a, FQ_ERR_SYSTEM,
           "cannot connect to the bus: NOAUTH Authentication required.");
    expect(await_up(DEADLINE_NS), FQ_ERR_SYSTEM,
           "cannot connect to the bus: NOAUTH Authentication required.");
    remote_bus_do(reactor, bus, go_up, NULL);
    expect(await_up(DEADLINE_NS), FQ_OK, NULL);
    remote_bus_do(reactor, bus, go_down, "lost");
    remote_bus_do(reactor, bus, go_up, NULL);
    assert_int_equal(bus->bus.n_reconnects, 1);
    close_door();
}

static void
test_link_waits_for_the_first_connection_before_it_closes(void **state)
{
    (void)state;
    open_door();
    fq_ticket *a = publish("a");
    fq_ticket *up = await_up(DEADLINE_NS);
    fq_publisher_close(publisher);
    remote_bus_do(reactor, bus, go_up, NULL);
    expect(up, FQ_OK, NULL);
    expect(a, FQ_ERR_CLOSED, "closed"); /* it was given, and not answered */
    close_door();
}

static void
test_link_refuses_what_waits_when_it_closes(void **state)
{
    (void)state;
    open_door();
    remote_bus_do(reactor, bus, go_down, "gone");
    fq_ticket *a = publish("a");
    fq_publisher_close(publisher);
    expect(a, FQ_ERR_CLOSED, "the bus was closed: gone");
    close_door();
}

static void
hold(remote_bus *self, void *arg)
{
    (void)arg;
    fq_publisher_hold(publisher);
    fq_publisher_hold(publisher);
    assert_true(self->is_held);
}

static void
resume_once(remote_bus *self, void *is_held)
{
    fq_publisher_resume(publisher);
    assert_int_equal(self->is_held, is_held != NULL);
}

static void
test_link_publishes_while_deliveries_are_held(void **state)
{
    (void)state;
    open_door();
    remote_bus_do(reactor, bus, go_up, NULL);
    remote_bus_do(reactor, bus, hold, NULL);
    fq_ticket *a = publish("a");
    remote_bus_do(reactor, bus, expect_log, "a");
    remote_bus_do(reactor, bus, answer_ok, NULL);
    expect(a, FQ_OK, "id-1");
    remote_bus_do(reactor, bus, resume_once, "still");
    remote_bus_do(reactor, bus, resume_once, NULL);
    close_door();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_link_gives_in_order_once_it_is_up),
        FQ_TEST(test_link_gives_again_what_came_back),
        FQ_TEST(test_link_tells_of_many_when_all_are_answered),
        FQ_TEST(test_link_gives_many_again_and_tells_those_that_are_late),
        FQ_TEST(test_link_does_not_give_what_is_late),
        FQ_TEST(test_link_tells_who_waits_for_it),
        FQ_TEST(test_link_waits_for_the_first_connection_before_it_closes),
        FQ_TEST(test_link_refuses_what_waits_when_it_closes),
        FQ_TEST(test_link_publishes_while_deliveries_are_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
