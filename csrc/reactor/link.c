/* SPDX-License-Identifier: MIT */
/* Links: who waits for a bus to be up, and its end. Thread: reactor. */
#include "reactor/link.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/check.h"

fq_rcbuf *
fq_link_explain(const fq_bus *bus, const char *what)
{
    char text[FQ_ERROR_MESSAGE_MAX + 128];
    bool has_reason = bus->state != FQ_BUS_UP && bus->error.message[0] != '\0';
    int len = snprintf(text, sizeof(text), "%s%s%s", what,
                       has_reason ? ": " : "",
                       has_reason ? bus->error.message : "");
    fq_rcbuf *result;
    (void)fq_rcbuf_new(fq_str_make(text, (size_t)len), &result);
    return result;
}

/* ── waiting ── */

static void
finish_wait(fq_link_wait *self, fq_status status, const char *what)
{
    fq_link *link = self->link;
    fq_list_remove(&self->node);
    fq_deadlines_set(&link->deadlines, &self->deadline, UINT64_MAX);
    fq_ticket_complete(self->ticket, status,
                       what == NULL ? NULL : fq_link_explain(link->bus, what));
    fq_ticket_unref(self->ticket);
    fq_free(self);
}

/* Whether the state says that there is nothing to wait for. */
static bool
try_finish(fq_link_wait *self)
{
    switch (self->link->bus->state) {
    case FQ_BUS_UP:
        finish_wait(self, FQ_OK, NULL);
        return true;
    case FQ_BUS_DOWN:
        finish_wait(self, FQ_ERR_SYSTEM, "cannot connect to the bus");
        return true;
    case FQ_BUS_CLOSED:
        finish_wait(self, FQ_ERR_CLOSED, "the bus is closed");
        return true;
    default:
        return false;
    }
}

static void
on_deadline(fq_deadline *deadline, uint64_t now_ns)
{
    (void)now_ns;
    finish_wait(FQ_CONTAINER_OF(deadline, fq_link_wait, deadline),
                FQ_ERR_SYSTEM, "cannot connect to the bus in time");
}

void
fq_link_await(fq_link *self, uint64_t at_ns, fq_ticket *ticket)
{
    fq_link_wait *wait = fq_alloc_zero(sizeof(*wait));
    if (wait == NULL) {
        fq_ticket_complete(ticket, FQ_ERR_NOMEM, NULL);
        return;
    }
    wait->link = self;
    wait->ticket = fq_ticket_ref(ticket);
    wait->deadline.expire = on_deadline;
    fq_list_init(&wait->node);
    fq_timer_init(&wait->deadline.timer);
    if (try_finish(wait))
        return;
    fq_list_push_back(&self->waits, &wait->node);
    fq_deadlines_set(&self->deadlines, &wait->deadline, at_ns);
}

/* ── life ── */

static void
on_state(fq_bus_watcher *watcher)
{
    fq_link *self = FQ_CONTAINER_OF(watcher, fq_link, watcher);
    FQ_LIST_FOREACH(node, &self->waits)
    {
        (void)try_finish(FQ_CONTAINER_OF(node, fq_link_wait, node));
    }
    self->state_cb(self);
}

void
fq_link_start(fq_link *self, fq_bus *bus, uv_loop_t *loop)
{
    self->bus = bus;
    fq_list_init(&self->waits);
    fq_deadlines_open(&self->deadlines, loop);
    self->watcher = (fq_bus_watcher){.state_cb = on_state};
    fq_bus_watch(bus, &self->watcher);
    bus->ops->start(bus, loop);
}

static void
on_closed(fq_deadlines *deadlines)
{
    fq_link *self = FQ_CONTAINER_OF(deadlines, fq_link, deadlines);
    self->stopped_cb(self);
}

static void
on_stopped(void *arg)
{
    fq_link *self = arg;
    fq_bus_unwatch(&self->watcher);
    fq_deadlines_close(&self->deadlines, on_closed);
}

void
fq_link_stop(fq_link *self)
{
    self->bus->ops->stop(self->bus, on_stopped, self);
}
