/* SPDX-License-Identifier: MIT */
/* What all buses share: who listens, who watches, and the walks over them.
 * Thread: reactor. */
#include "bus/bus.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

void
fq_bus_init(fq_bus *bus, const fq_bus_ops *ops)
{
    bus->ops = ops;
    fq_list_init(&bus->listeners);
    fq_list_init(&bus->watchers);
    bus->is_delivering = false;
    bus->state = ops->start == NULL ? FQ_BUS_UP : FQ_BUS_IDLE;
    bus->was_up = false;
    bus->n_attempts = 0;
    bus->error = (fq_error){.status = FQ_OK};
    atomic_init(&bus->n_reconnects, 0);
    atomic_init(&bus->n_gaps, 0);
    atomic_init(&bus->n_unreadable, 0);
    atomic_init(&bus->lag_ns, 0);
    atomic_init(&bus->is_up, bus->state == FQ_BUS_UP);
    atomic_init(&bus->history_events, 0);
    atomic_init(&bus->history_bytes, 0);
}

void
fq_bus_listen(fq_bus *bus, fq_bus_listener *listener)
{
    fq_list_push_back(&bus->listeners, &listener->node);
}

void
fq_bus_unlisten(fq_bus_listener *listener)
{
    fq_list_remove(&listener->node);
}

/* Any listener may leave while another one is called, so nobody remembers
 * which one comes next: the list is moved out, and each listener goes back
 * before it is called. One that joins meanwhile is not met. */
void
fq_bus_deliver(fq_bus *bus, fq_event *event)
{
    FQ_CHECK(!bus->is_delivering);
    FQ_CHECK(event->id[0] != '\0');
    event->bus = bus;
    fq_list todo;
    fq_list_init(&todo);
    fq_list_splice(&todo, &bus->listeners);
    bus->is_delivering = true;
    fq_list *node;
    while ((node = fq_list_pop_front(&todo)) != NULL) {
        fq_list_push_back(&bus->listeners, node);
        fq_bus_listener *listener = FQ_CONTAINER_OF(node, fq_bus_listener,
                                                    node);
        listener->event_cb(listener, event);
    }
    bus->is_delivering = false;
}

/* ── how it does ── */

void
fq_bus_watch(fq_bus *bus, fq_bus_watcher *watcher)
{
    fq_list_push_back(&bus->watchers, &watcher->node);
}

void
fq_bus_unwatch(fq_bus_watcher *watcher)
{
    fq_list_remove(&watcher->node);
}

/* Calls |tell| for each watcher; any may come or go meanwhile. */
static void
tell_watchers(fq_bus *bus, void (*tell)(fq_bus_watcher *watcher, fq_str text),
              fq_str text)
{
    fq_list todo;
    fq_list_init(&todo);
    fq_list_splice(&todo, &bus->watchers);
    fq_list *node;
    while ((node = fq_list_pop_front(&todo)) != NULL) {
        fq_list_push_back(&bus->watchers, node);
        tell(FQ_CONTAINER_OF(node, fq_bus_watcher, node), text);
    }
}

static void
tell_state(fq_bus_watcher *watcher, fq_str text)
{
    (void)text;
    if (watcher->state_cb != NULL)
        watcher->state_cb(watcher);
}

static void
tell_error(fq_bus_watcher *watcher, fq_str text)
{
    (void)text;
    if (watcher->error_cb != NULL)
        watcher->error_cb(watcher);
}

static void
tell_gap(fq_bus_watcher *watcher, fq_str text)
{
    if (watcher->gap_cb != NULL)
        watcher->gap_cb(watcher, text);
}

void
fq_bus_set_state(fq_bus *bus, fq_bus_state state, const fq_error *error)
{
    if (error != NULL)
        bus->error = *error;
    if (bus->state == state) {
        if (error != NULL)
            tell_watchers(bus, tell_error, FQ_STR_LIT(""));
        return;
    }
    if (bus->state == FQ_BUS_UP)
        bus->n_attempts = 0;
    bus->state = state;
    if (state == FQ_BUS_UP) {
        if (bus->was_up)
            atomic_fetch_add_explicit(&bus->n_reconnects, 1,
                                      memory_order_relaxed);
        bus->was_up = true;
    }
    atomic_store_explicit(&bus->is_up, state == FQ_BUS_UP,
                          memory_order_relaxed);
    tell_watchers(bus, tell_state, FQ_STR_LIT(""));
}

void
fq_bus_tell_gap(fq_bus *bus, fq_str reason)
{
    FQ_CHECK(!bus->is_delivering);
    atomic_fetch_add_explicit(&bus->n_gaps, 1, memory_order_relaxed);
    tell_watchers(bus, tell_gap, reason);
}

static void
tell_unreadable(fq_bus_watcher *watcher, fq_str text)
{
    if (watcher->unreadable_cb != NULL)
        watcher->unreadable_cb(watcher, text);
}

void
fq_bus_note_unreadable(fq_bus *bus, const char *entry, const fq_error *error)
{
    char text[FQ_ERROR_MESSAGE_MAX + FQ_EVENT_ID_MAX + 32];
    snprintf(text, sizeof(text), "entry %.*s of the bus is no event: %s",
             FQ_EVENT_ID_MAX, entry, error->message);
    atomic_fetch_add_explicit(&bus->n_unreadable, 1, memory_order_relaxed);
    tell_watchers(bus, tell_unreadable, fq_str_of(text));
}

/* ── history ── */

fq_rcbuf *
fq_bus_position_of(fq_event *event)
{
    if (event->position == NULL && event->bus != NULL
        && event->bus->ops->position_of != NULL)
        (void)event->bus->ops->position_of(event->bus, event,
                                           &event->position);
    return event->position;
}

void
fq_bus_free(fq_bus *bus)
{
    FQ_CHECK(!bus->is_delivering);
    FQ_CHECK(fq_list_is_empty(&bus->listeners));
    FQ_CHECK(bus->state == FQ_BUS_IDLE || bus->state == FQ_BUS_CLOSED
             || bus->ops->start == NULL);
    bus->ops->free(bus);
}
