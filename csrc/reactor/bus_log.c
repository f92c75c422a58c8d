/* SPDX-License-Identifier: MIT */
/* The bus in the log. An adapter tells of each failure, and of each event that
 * fails with it: what is said is the first, and then what is new. Thread:
 * reactor. */
#include "reactor/bus_log.h"

#include <string.h>

#include "base/clock.h"

static double
seconds(uint64_t ns)
{
    return (double)ns / FQ_NS_PER_S;
}

static void
note_said(fq_bus_log *self, uint64_t now_ns)
{
    self->said = self->bus->error;
    self->said_ns = now_ns;
}

static void
go_away(fq_bus_log *self, uint64_t now_ns)
{
    self->away_ns = now_ns;
    note_said(self, now_ns);
    /* Who starts it is told of a first connection that fails. */
    if (self->bus->was_up)
        fq_notices_add(self->notices, now_ns,
                       "the connection to the bus (%s) was lost: %s",
                       self->bus->ops->bus_type, self->bus->error.message);
}

static void
stay_away(fq_bus_log *self, uint64_t now_ns)
{
    bool is_new = strcmp(self->said.message, self->bus->error.message) != 0;
    uint64_t since_ns = now_ns - self->said_ns;
    if (since_ns < (is_new ? FQ_BUS_LOG_CHANGED_NS : FQ_BUS_LOG_AGAIN_NS))
        return;
    note_said(self, now_ns);
    fq_notices_add(
        self->notices, now_ns,
        "the bus (%s) is away since %.1f s, after %u attempts to connect: %s",
        self->bus->ops->bus_type, seconds(now_ns - self->away_ns),
        self->bus->n_attempts, self->bus->error.message);
}

static void
on_error(fq_bus_watcher *watcher)
{
    fq_bus_log *self = FQ_CONTAINER_OF(watcher, fq_bus_log, watcher);
    uint64_t now_ns = fq_clock_now_ns();
    if (self->away_ns == 0)
        go_away(self, now_ns);
    else
        stay_away(self, now_ns);
}

static void
on_state(fq_bus_watcher *watcher)
{
    fq_bus_log *self = FQ_CONTAINER_OF(watcher, fq_bus_log, watcher);
    if (self->bus->state == FQ_BUS_DOWN) {
        on_error(watcher);
        return;
    }
    if (self->bus->state != FQ_BUS_UP || self->away_ns == 0)
        return;
    uint64_t now_ns = fq_clock_now_ns();
    fq_notices_add(self->notices, now_ns,
                   "the bus (%s) is connected after %.2f s and %u attempt%s",
                   self->bus->ops->bus_type, seconds(now_ns - self->away_ns),
                   self->bus->n_attempts,
                   self->bus->n_attempts == 1 ? "" : "s");
    self->away_ns = 0;
}

static void
on_unreadable(fq_bus_watcher *watcher, fq_str reason)
{
    fq_bus_log *self = FQ_CONTAINER_OF(watcher, fq_bus_log, watcher);
    fq_notices_add(self->notices, fq_clock_now_ns(), "%.*s", (int)reason.len,
                   reason.ptr);
}

void
fq_bus_log_begin(fq_bus_log *self, fq_bus *bus, fq_notices *notices)
{
    *self = (fq_bus_log){.bus = bus, .notices = notices};
    self->watcher.state_cb = on_state;
    self->watcher.error_cb = on_error;
    self->watcher.unreadable_cb = on_unreadable;
    fq_bus_watch(bus, &self->watcher);
}

void
fq_bus_log_end(fq_bus_log *self)
{
    fq_bus_unwatch(&self->watcher);
}
