/* SPDX-License-Identifier: MIT */
/* The embedded bus, and the walk over listeners that all buses share. */
#include <stdio.h>

#include "bus/bus.h"

#include "support.h"

/* Writes its name and the event's id to a log, then does what it is told. */
typedef struct ear {
    fq_bus_listener listener;
    char name;
    char *log;
    fq_bus_listener *leaving; /* leaves when this one is called */
    fq_bus *bus;
    fq_bus_listener *joining; /* joins bus then */
} ear;

static void
ear_hear(fq_bus_listener *listener, fq_event *event)
{
    ear *self = FQ_CONTAINER_OF(listener, ear, listener);
    sprintf(self->log + strlen(self->log), "%c%s ", self->name, event->id);
    if (self->leaving != NULL)
        fq_bus_unlisten(self->leaving);
    if (self->joining != NULL)
        fq_bus_listen(self->bus, self->joining);
    self->leaving = self->joining = NULL;
}

static void
ear_init(ear *self, char name, char *log)
{
    *self = (ear){.name = name, .log = log};
    self->listener.event_cb = ear_hear;
    fq_list_init(&self->listener.node);
}

static void
check_answer(fq_bus_publication *self, fq_status status, const fq_error *error)
{
    assert_int_equal(status, FQ_OK);
    assert_null(error);
    self->done_cb = NULL;
}

static fq_status
publish(fq_bus *bus)
{
    fq_event *event;
    fq_status status = fq_event_new(FQ_STR_LIT("c"), FQ_STR_LIT("t"),
                                    FQ_STR_LIT("{}"), 0, 0, &event, NULL);
    if (status != FQ_OK)
        return status;
    bus->ops->stamp(bus, event);
    fq_bus_publication publication = {.event = event, .done_cb = check_answer};
    bus->ops->publish(bus, &publication);
    assert_null(publication.done_cb);
    assert_int_equal(event->n_refs, 1);
    fq_event_unref(event);
    return FQ_OK;
}

static fq_status
body_bus_memory(void *arg)
{
    (void)arg;
    char log[64] = "";
    ear a, b;
    ear_init(&a, 'a', log);
    ear_init(&b, 'b', log);
    fq_bus *bus;
    fq_status status = fq_bus_memory_new(&fq_history_limits_default, &bus);
    if (status != FQ_OK) {
        assert_null(bus);
        return status;
    }
    assert_string_equal(bus->ops->bus_type, "memory");
    fq_bus_listen(bus, &a.listener);
    status = publish(bus);
    fq_bus_listen(bus, &b.listener);
    if (status == FQ_OK)
        status = publish(bus);
    if (status == FQ_OK)
        assert_string_equal(log, "a1 a2 b2 ");
    fq_bus_unlisten(&a.listener);
    fq_bus_unlisten(&a.listener);
    fq_bus_unlisten(&b.listener);
    fq_bus_free(bus);
    return status;
}

static void
test_bus_memory_reaches_every_listener_in_order(void **state)
{
    (void)state;
    fq_test_body(body_bus_memory, NULL);
}

/* Three ears; 'b' does something while it is called. */
static void
with_three_ears(void (*set_up)(ear *ears), const char *expected)
{
    char log[64] = "";
    ear ears[4];
    fq_bus *bus;
    assert_int_equal(fq_bus_memory_new(&fq_history_limits_default, &bus),
                     FQ_OK);
    for (int i = 0; i < 4; i++) {
        ear_init(&ears[i], (char)('a' + i), log);
        ears[i].bus = bus;
        if (i < 3)
            fq_bus_listen(bus, &ears[i].listener);
    }
    set_up(ears);
    assert_int_equal(publish(bus), FQ_OK);
    assert_int_equal(publish(bus), FQ_OK);
    assert_string_equal(log, expected);
    for (int i = 0; i < 4; i++)
        fq_bus_unlisten(&ears[i].listener);
    fq_bus_free(bus);
}

static void
leave_self(ear *ears)
{
    ears[1].leaving = &ears[1].listener;
}

static void
leave_next(ear *ears)
{
    ears[1].leaving = &ears[2].listener;
}

static void
leave_previous(ear *ears)
{
    ears[1].leaving = &ears[0].listener;
}

static void
join_new(ear *ears)
{
    ears[1].joining = &ears[3].listener;
}

static void
test_bus_listeners_may_leave_and_join_meanwhile(void **state)
{
    (void)state;
    with_three_ears(leave_self, "a1 b1 c1 a2 c2 ");
    with_three_ears(leave_next, "a1 b1 a2 b2 ");
    with_three_ears(leave_previous, "a1 b1 c1 b2 c2 ");
    with_three_ears(join_new, "a1 b1 c1 a2 b2 d2 c2 ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_bus_memory_reaches_every_listener_in_order),
        FQ_TEST(test_bus_listeners_may_leave_and_join_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
