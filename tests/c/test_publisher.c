/* SPDX-License-Identifier: MIT */
/* The publishers' door: ids in the order accepted, the bound, the pause an
 * engine asks for, and the close. */
#include "reactor/publisher.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

#include "base/clock.h"
#include "support.h"

#define DEADLINE_NS (10ull * FQ_NS_PER_S)

/* Writes down the ids it hears. */
typedef struct ear {
    fq_bus_listener listener;
    unsigned long last_id;
    unsigned n_heard;
} ear;

/* Runs |act| on the reactor and waits for it. */
typedef struct errand {
    fq_job job;
    void (*act)(fq_publisher *publisher, ear *ear);
    fq_publisher *publisher;
    ear *ear;
    sem_t done;
} errand;

static void
hear(fq_bus_listener *listener, fq_event *event)
{
    ear *self = (ear *)listener;
    unsigned long id = strtoul(event->id, NULL, 10);
    if (id != self->last_id + 1)
        abort();
    self->last_id = id;
    self->n_heard++;
}

static void
run_errand(fq_job *job)
{
    errand *self = (errand *)job;
    self->act(self->publisher, self->ear);
    sem_post(&self->done);
}

static void
on_reactor(fq_reactor *reactor, void (*act)(fq_publisher *, ear *),
           fq_publisher *publisher, ear *ear)
{
    errand self = {
        .job.run = run_errand, .act = act, .publisher = publisher, .ear = ear};
    sem_init(&self.done, 0, 0);
    assert_int_equal(fq_reactor_post(reactor, &self.job), FQ_OK);
    sem_wait(&self.done);
    sem_destroy(&self.done);
}

static void
listen_now(fq_publisher *publisher, ear *ear)
{
    fq_list_init(&ear->listener.node);
    ear->listener.event_cb = hear;
    fq_bus_listen(fq_publisher_bus(publisher), &ear->listener);
}

static void
unlisten_now(fq_publisher *publisher, ear *ear)
{
    (void)publisher;
    fq_bus_unlisten(&ear->listener);
}

static void
hold_now(fq_publisher *publisher, ear *ear)
{
    (void)ear;
    fq_publisher_hold(publisher);
}

static void
resume_now(fq_publisher *publisher, ear *ear)
{
    (void)ear;
    fq_publisher_resume(publisher);
}

static void
do_nothing(fq_publisher *publisher, ear *ear)
{
    (void)publisher;
    (void)ear;
}

static fq_status
publish(fq_publisher *publisher, fq_ticket *ticket, fq_ticket *room)
{
    fq_event *event;
    char id[FQ_EVENT_ID_MAX];
    assert_int_equal(fq_event_new(FQ_STR_LIT("c"), FQ_STR_LIT("t"),
                                  FQ_STR_LIT("{}"), 1, 0, &event, NULL),
                     FQ_OK);
    fq_status status = fq_publisher_publish(
        publisher, event, FQ_PUBLISH_ACCEPTED, UINT64_MAX, ticket, room, id);
    assert_true((status == FQ_OK) == (id[0] != '\0'));
    if (status != FQ_OK)
        fq_event_unref(event);
    return status;
}

static void
open_door(fq_reactor **preactor, fq_publisher **ppublisher)
{
    fq_bus *bus;
    assert_int_equal(fq_reactor_new(preactor), FQ_OK);
    assert_int_equal(fq_bus_memory_new(&fq_history_limits_default, &bus),
                     FQ_OK);
    assert_int_equal(fq_publisher_new(*preactor, bus, ppublisher), FQ_OK);
}

static void *
publish_many(void *arg)
{
    for (int i = 0; i < 1000; i++)
        if (publish(arg, NULL, NULL) != FQ_OK)
            abort();
    return NULL;
}

static void
test_publisher_keeps_the_order_of_ids(void **state)
{
    (void)state;
    fq_reactor *reactor;
    fq_publisher *publisher;
    ear ear = {.n_heard = 0};
    open_door(&reactor, &publisher);
    on_reactor(reactor, listen_now, publisher, &ear);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, publish_many, publisher);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    on_reactor(reactor, unlisten_now, publisher, &ear);
    assert_int_equal(ear.n_heard, 4000);
    assert_int_equal(fq_publisher_n_waiting(publisher), 0);
    fq_publisher_close(publisher);
    fq_publisher_unref(publisher);
    fq_reactor_release(reactor);
}

static void
test_publisher_pushes_back_and_tells_of_room(void **state)
{
    (void)state;
    fq_reactor *reactor;
    fq_publisher *publisher;
    fq_ticket *room;
    ear ear = {.n_heard = 0};
    open_door(&reactor, &publisher);
    on_reactor(reactor, listen_now, publisher, &ear);
    on_reactor(reactor, hold_now, publisher, &ear);
    for (int i = 0; i < FQ_PUBLISHER_EVENTS_MAX; i++)
        assert_int_equal(publish(publisher, NULL, NULL), FQ_OK);
    assert_int_equal(fq_ticket_new(NULL, NULL, &room), FQ_OK);
    assert_int_equal(publish(publisher, NULL, NULL), FQ_ERR_FULL);
    assert_int_equal(publish(publisher, NULL, room), FQ_ERR_FULL);
    on_reactor(reactor, do_nothing, publisher, &ear);
    assert_int_equal(ear.n_heard, 0);
    assert_int_equal(fq_ticket_wait(room, 0), FQ_ERR_TIMEOUT);
    on_reactor(reactor, resume_now, publisher, &ear);
    assert_int_equal(fq_ticket_wait(room, DEADLINE_NS), FQ_OK);
    assert_int_equal(room->status, FQ_OK);
    assert_int_equal(ear.n_heard, FQ_PUBLISHER_EVENTS_MAX);
    fq_ticket_unref(room);
    on_reactor(reactor, unlisten_now, publisher, &ear);
    fq_publisher_close(publisher);
    fq_publisher_unref(publisher);
    fq_reactor_release(reactor);
}

/* As many of |n| events as there is room for; the others are let go of. */
static fq_status
publish_all(fq_publisher *publisher, size_t n, fq_ticket *ticket,
            fq_ticket *room, size_t *pn_taken)
{
    fq_event *events[FQ_PUBLISHER_BATCH_MAX] = {NULL};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(fq_event_new(FQ_STR_LIT("c"), FQ_STR_LIT("t"),
                                      FQ_STR_LIT("{}"), 1, 0, &events[i],
                                      NULL),
                         FQ_OK);
    fq_status status = fq_publisher_publish_all(
        publisher, events, n, UINT64_MAX, ticket, room, pn_taken);
    assert_true((status == FQ_OK) == (*pn_taken > 0));
    for (size_t i = *pn_taken; i < n; i++)
        fq_event_unref(events[i]);
    return status;
}

static void
test_publisher_takes_as_many_as_it_has_room_for(void **state)
{
    (void)state;
    fq_reactor *reactor;
    fq_publisher *publisher;
    fq_ticket *done, *room;
    size_t n_taken;
    ear ear = {.n_heard = 0};
    open_door(&reactor, &publisher);
    on_reactor(reactor, listen_now, publisher, &ear);
    on_reactor(reactor, hold_now, publisher, &ear);
    for (int i = 2; i < FQ_PUBLISHER_EVENTS_MAX; i++)
        assert_int_equal(publish(publisher, NULL, NULL), FQ_OK);
    assert_int_equal(fq_ticket_new(NULL, NULL, &done), FQ_OK);
    assert_int_equal(fq_ticket_new(NULL, NULL, &room), FQ_OK);
    assert_int_equal(publish_all(publisher, 5, done, room, &n_taken), FQ_OK);
    assert_int_equal(n_taken, 2);
    assert_int_equal(publish_all(publisher, 3, done, room, &n_taken),
                     FQ_ERR_FULL);
    assert_int_equal(fq_ticket_wait(room, 0), FQ_ERR_TIMEOUT);
    on_reactor(reactor, resume_now, publisher, &ear);
    assert_int_equal(fq_ticket_wait(room, DEADLINE_NS), FQ_OK);
    assert_int_equal(fq_ticket_wait(done, DEADLINE_NS), FQ_OK);
    assert_int_equal(done->status, FQ_OK);
    assert_int_equal(done->text->len, 1 + 2 * sizeof("16384"));
    assert_memory_equal(done->text->bytes,
                        "\0"
                        "16383\0"
                        "16384",
                        done->text->len);
    assert_int_equal(ear.n_heard, FQ_PUBLISHER_EVENTS_MAX);
    fq_publisher_close(publisher);
    assert_int_equal(publish_all(publisher, 1, done, NULL, &n_taken),
                     FQ_ERR_CLOSED);
    fq_ticket_unref(done);
    fq_ticket_unref(room);
    on_reactor(reactor, unlisten_now, publisher, &ear);
    fq_publisher_unref(publisher);
    fq_reactor_release(reactor);
}

static void
test_publisher_refuses_after_close(void **state)
{
    (void)state;
    fq_reactor *reactor;
    fq_publisher *publisher;
    fq_ticket *done, *room;
    ear ear = {.n_heard = 0};
    open_door(&reactor, &publisher);
    assert_int_equal(fq_ticket_new(NULL, NULL, &done), FQ_OK);
    assert_int_equal(fq_ticket_new(NULL, NULL, &room), FQ_OK);
    on_reactor(reactor, listen_now, publisher, &ear);
    on_reactor(reactor, hold_now, publisher, &ear);
    assert_int_equal(publish(publisher, done, NULL), FQ_OK);
    for (int i = 1; i < FQ_PUBLISHER_EVENTS_MAX; i++)
        assert_int_equal(publish(publisher, NULL, NULL), FQ_OK);
    assert_int_equal(publish(publisher, NULL, room), FQ_ERR_FULL);
    fq_publisher_close(publisher);
    assert_int_equal(fq_ticket_wait(room, DEADLINE_NS), FQ_OK);
    assert_int_equal(room->status, FQ_ERR_CLOSED);
    assert_int_equal(publish(publisher, NULL, NULL), FQ_ERR_CLOSED);
    /* What was accepted still arrives. */
    on_reactor(reactor, resume_now, publisher, &ear);
    assert_int_equal(fq_ticket_wait(done, DEADLINE_NS), FQ_OK);
    assert_int_equal(ear.n_heard, FQ_PUBLISHER_EVENTS_MAX);
    on_reactor(reactor, unlisten_now, publisher, &ear);
    fq_ticket_unref(done);
    fq_ticket_unref(room);
    fq_publisher_unref(publisher);
    fq_reactor_release(reactor);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_publisher_keeps_the_order_of_ids),
        FQ_TEST(test_publisher_pushes_back_and_tells_of_room),
        FQ_TEST(test_publisher_takes_as_many_as_it_has_room_for),
        FQ_TEST(test_publisher_refuses_after_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
