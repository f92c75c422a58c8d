/* SPDX-License-Identifier: MIT */
/* What is said of a bus in the log, and the ring it waits in. */
#include "reactor/bus_log.h"

#include <pthread.h>

#include "base/clock.h"
#include "remote_bus.h"
#include "support.h"

#define S UINT64_C(1000000000)

static void
expect(fq_notices *notices, const char *expected)
{
    fq_notice notice;
    assert_int_equal(fq_notices_take(notices, &notice), FQ_OK);
    assert_string_equal(notice.text, expected);
}

/* One of which the numbers are those of the clock. */
static void
expect_like(fq_notices *notices, const char *start, const char *end)
{
    fq_notice notice;
    assert_int_equal(fq_notices_take(notices, &notice), FQ_OK);
    size_t len = strlen(notice.text), end_len = strlen(end);
    assert_memory_equal(notice.text, start, strlen(start));
    assert_true(len >= end_len);
    assert_string_equal(notice.text + len - end_len, end);
}

static void
expect_no_more(fq_notices *notices)
{
    fq_notice notice;
    fq_notices_close(notices);
    assert_int_equal(fq_notices_take(notices, &notice), FQ_ERR_CLOSED);
    fq_notices_unref(notices);
}

/* A bus that connects for the first time, and the log of it. */
static remote_bus *
begin_log(fq_bus_log *log, fq_notices **pnotices)
{
    remote_bus *bus = remote_bus_new();
    assert_int_equal(fq_notices_new(pnotices), FQ_OK);
    fq_bus_log_begin(log, &bus->bus, *pnotices);
    fq_bus_set_state(&bus->bus, FQ_BUS_CONNECTING, NULL);
    bus->bus.n_attempts++;
    return bus;
}

/* Nothing more was told. */
static void
end_log(fq_bus_log *log, remote_bus *bus, fq_notices *notices)
{
    fq_bus_log_end(log);
    fq_bus_set_state(&bus->bus, FQ_BUS_CLOSED, NULL);
    fq_bus_free(&bus->bus);
    expect_no_more(notices);
}

static void
test_bus_log_tells_of_an_outage_once(void **state)
{
    (void)state;
    fq_notices *notices;
    fq_bus_log log;
    remote_bus *bus = begin_log(&log, &notices);
    remote_bus_say(bus, FQ_BUS_UP, NULL);
    remote_bus_say(bus, FQ_BUS_DOWN, "READONLY a replica");
    expect(notices, "the connection to the bus (remote) was lost: READONLY a "
                    "replica");
    for (int i = 0; i < 1000; i++) {
        bus->bus.n_attempts++;
        remote_bus_say(bus, FQ_BUS_DOWN, i % 2 ? "LOADING" : "refused");
    }
    /* As if a while had passed. */
    log.said_ns -= FQ_BUS_LOG_CHANGED_NS;
    remote_bus_say(bus, FQ_BUS_DOWN, "READONLY a replica");
    remote_bus_say(bus, FQ_BUS_DOWN, "LOADING");
    expect_like(notices, "the bus (remote) is away since ",
                " s, after 1000 attempts to connect: LOADING");
    log.said_ns -= FQ_BUS_LOG_AGAIN_NS;
    remote_bus_say(bus, FQ_BUS_DOWN, "LOADING");
    expect_like(notices, "the bus (remote) is away since ", ": LOADING");
    remote_bus_say(bus, FQ_BUS_UP, NULL);
    expect_like(notices, "the bus (remote) is connected after ",
                " s and 1000 attempts");
    end_log(&log, bus, notices);
}

static void
test_bus_log_leaves_a_first_failure_to_who_starts_it(void **state)
{
    (void)state;
    fq_notices *notices;
    fq_bus_log log;
    remote_bus *bus = begin_log(&log, &notices);
    remote_bus_say(bus, FQ_BUS_DOWN, "Connection refused");
    remote_bus_say(bus, FQ_BUS_UP, NULL);
    expect_like(notices, "the bus (remote) is connected after ",
                " s and 1 attempt");
    end_log(&log, bus, notices);
}

static void
test_notices_are_bounded(void **state)
{
    (void)state;
    fq_notices *notices;
    assert_int_equal(fq_notices_new(&notices), FQ_OK);
    for (int i = 0; i < 100; i++)
        fq_notices_add(notices, S, "number %d", i);
    for (int i = 0; i < FQ_NOTICES_BURST; i++) {
        char text[32];
        snprintf(text, sizeof(text), "number %d", i);
        expect(notices, text);
    }
    fq_notices_add(notices, 100 * S, "later");
    expect(notices, "(80 more not shown) later");
    /* A long one is cut between characters. */
    char text[FQ_NOTICE_TEXT_MAX + 100];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memcpy(text + FQ_NOTICE_TEXT_MAX - 2, "\xc3\xa4", 2);
    fq_notices_add(notices, 200 * S, "%s", text);
    text[FQ_NOTICE_TEXT_MAX - 2] = '\0';
    expect(notices, text);
    fq_notices_close(notices);
    fq_notices_add(notices, 300 * S, "after the end");
    expect_no_more(notices);
}

static void *
take_all(void *arg)
{
    fq_notice notice;
    uintptr_t n = 0;
    while (fq_notices_take(arg, &notice) == FQ_OK)
        n++;
    return (void *)n;
}

static void
test_notices_wake_who_waits(void **state)
{
    (void)state;
    fq_notices *notices;
    pthread_t thread;
    void *n;
    assert_int_equal(fq_notices_new(&notices), FQ_OK);
    assert_int_equal(pthread_create(&thread, NULL, take_all, notices), 0);
    for (uint64_t i = 0; i < 10; i++)
        fq_notices_add(notices, i * S, "text");
    fq_notices_close(notices);
    assert_int_equal(pthread_join(thread, &n), 0);
    assert_int_equal((uintptr_t)n, 10);
    fq_notices_unref(notices);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_bus_log_tells_of_an_outage_once),
        FQ_TEST(test_bus_log_leaves_a_first_failure_to_who_starts_it),
        FQ_TEST(test_notices_are_bounded),
        FQ_TEST(test_notices_wake_who_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
