/* SPDX-License-Identifier: MIT */
/* What all buses share: the list of listeners and the walk over it. Thread:
 * reactor. */
#include "bus/bus.h"

#include "base/check.h"

void
fq_bus_init(fq_bus *bus, const fq_bus_ops *ops)
{
    bus->ops = ops;
    fq_list_init(&bus->listeners);
    bus->is_delivering = false;
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

void
fq_bus_free(fq_bus *bus)
{
    FQ_CHECK(!bus->is_delivering);
    FQ_CHECK(fq_list_is_empty(&bus->listeners));
    bus->ops->free(bus);
}
