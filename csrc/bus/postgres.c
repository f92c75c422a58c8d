/* SPDX-License-Identifier: MIT */
/* The bus over PostgreSQL: a reader, whose connection is the bus's state, and
 * a writer. */
#include "bus/postgres.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "bus/postgres_reader.h"
#include "bus/postgres_writer.h"

typedef struct fq_bus_postgres {
    fq_bus bus;
    char *dsn;
    char *listen_dsn; /* the same as |dsn|, or a text of its own */
    fq_postgres_health health;
    fq_postgres_reader reader;
    fq_postgres_writer writer;
    unsigned n_running; /* of the two, when stopping */
    void (*stopped_cb)(void *arg);
    void *stopped_arg;
} fq_bus_postgres;

static fq_bus_postgres *
postgres_of(fq_bus *bus)
{
    return FQ_CONTAINER_OF(bus, fq_bus_postgres, bus);
}

static void
postgres_publish(fq_bus *bus, fq_bus_publication *publication)
{
    fq_postgres_writer_publish(&postgres_of(bus)->writer, publication);
}

static void
postgres_start(fq_bus *bus, uv_loop_t *loop)
{
    fq_bus_postgres *self = postgres_of(bus);
    fq_bus_set_state(bus, FQ_BUS_CONNECTING, NULL);
    self->health.bus = bus;
    fq_postgres_writer_start(&self->writer, &self->health, loop, self->dsn);
    fq_postgres_reader_start(&self->reader, &self->health, loop,
                             self->listen_dsn);
}

static void
on_part_stopped(void *arg)
{
    fq_bus_postgres *self = arg;
    if (--self->n_running == 0)
        self->stopped_cb(self->stopped_arg);
}

static void
postgres_stop(fq_bus *bus, void (*stopped_cb)(void *arg), void *arg)
{
    fq_bus_postgres *self = postgres_of(bus);
    self->stopped_cb = stopped_cb;
    self->stopped_arg = arg;
    self->n_running = 2;
    fq_bus_set_state(bus, FQ_BUS_CLOSED, NULL);
    fq_postgres_reader_stop(&self->reader, on_part_stopped, self);
    fq_postgres_writer_stop(&self->writer, on_part_stopped, self);
}

static void
postgres_hold(fq_bus *bus)
{
    fq_postgres_reader_hold(&postgres_of(bus)->reader);
}

static void
postgres_resume(fq_bus *bus)
{
    fq_postgres_reader_resume(&postgres_of(bus)->reader);
}

/* ── history ── */

static fq_status
postgres_position(fq_bus *bus, fq_rcbuf **pposition)
{
    return fq_postgres_reader_position(&postgres_of(bus)->reader, pposition);
}

static fq_status
postgres_position_of(fq_bus *bus, const fq_event *event, fq_rcbuf **pposition)
{
    (void)bus;
    if (event->span == NULL) {
        *pposition = NULL;
        return FQ_ERR_LIMIT;
    }
    return fq_postgres_position_make(fq_rcbuf_str(event->span), event->offset,
                                     pposition);
}

static bool
postgres_is_position(fq_bus *bus, fq_str text)
{
    const fq_postgres_reader *reader = &postgres_of(bus)->reader;
    fq_postgres_position position;
    if (!reader->has_seen
        || fq_postgres_position_read(&position, reader->tag, text) != FQ_OK)
        return false;
    fq_postgres_position_fini(&position);
    return true;
}

/* Overlapping transactions have no order that all servers share, so what one
 * client has had need not be the beginning of what another one misses. They
 * meet at a snapshot that both have come to. */
static int
postgres_compare(fq_bus *bus, fq_str a, fq_str b)
{
    (void)bus;
    return fq_postgres_position_compare(a, b);
}

/* Whether this server has delivered all that |text| stands behind. */
static bool
has_delivered(const fq_postgres_reader *reader, fq_str text)
{
    fq_postgres_position position;
    if (fq_postgres_position_read(&position, reader->tag, text) != FQ_OK)
        return false;
    bool has = fq_postgres_snapshot_includes(
        &reader->seen, position.is_between ? &position.next : &position.seen);
    fq_postgres_position_fini(&position);
    return has;
}

/* An answer holds the rest of one look, and what comes after it up to a
 * snapshot: where |position| is in either, it has had what comes before. */
static size_t
postgres_count_before(fq_bus *bus, fq_event *const *events, size_t n_events,
                      fq_str position)
{
    /* Nothing is behind what was asked for, so nothing behind this. */
    if (n_events == 0)
        return has_delivered(&postgres_of(bus)->reader, position) ? 0
                                                                  : SIZE_MAX;
    const fq_rcbuf *last = NULL;
    uint64_t id = 0;
    bool is_in = false;
    for (size_t i = 0; i < n_events; i++) {
        if (events[i]->span != last) {
            if (is_in)
                return i;
            last = events[i]->span;
            is_in = fq_postgres_position_is_in(position, fq_rcbuf_str(last),
                                               &id);
        }
        if (is_in && events[i]->offset > id)
            return i;
    }
    return is_in ? n_events : SIZE_MAX;
}

static void
postgres_read(fq_bus *bus, fq_bus_read *read)
{
    fq_postgres_reader_read(&postgres_of(bus)->reader, read);
}

static void
postgres_cancel(fq_bus *bus, fq_bus_read *read)
{
    fq_postgres_history_cancel(&postgres_of(bus)->reader.history, read);
}

/* Only the copies of the descriptors go: a farewell by libpq or TLS would end
 * the parent's sessions. */
static void
postgres_abandon(fq_bus *bus)
{
    fq_bus_postgres *self = postgres_of(bus);
    int fds[] = {
        atomic_load_explicit(&self->reader.fd, memory_order_relaxed),
        atomic_load_explicit(&self->writer.fd, memory_order_relaxed),
    };
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

static void
postgres_free(fq_bus *bus)
{
    fq_bus_postgres *self = postgres_of(bus);
    fq_postgres_reader_fini(&self->reader);
    if (self->listen_dsn != self->dsn)
        fq_free(self->listen_dsn);
    fq_free(self->dsn);
    fq_free(self);
}

static const fq_bus_ops postgres_ops = {
    .bus_type = "postgresql",
    .publish = postgres_publish,
    .start = postgres_start,
    .stop = postgres_stop,
    .hold = postgres_hold,
    .resume = postgres_resume,
    .position = postgres_position,
    .position_of = postgres_position_of,
    .is_position = postgres_is_position,
    .compare = postgres_compare,
    .loses_alone = true,
    .count_before = postgres_count_before,
    .read = postgres_read,
    .cancel = postgres_cancel,
    .abandon = postgres_abandon,
    .free = postgres_free,
};

static char *
copy_text(const char *text)
{
    size_t n_bytes = strlen(text) + 1;
    char *copy = fq_alloc(n_bytes);
    if (copy != NULL)
        memcpy(copy, text, n_bytes);
    return copy;
}

fq_status
fq_bus_postgres_new(const char *dsn, const char *listen_dsn, fq_bus **pbus)
{
    *pbus = NULL;
    fq_bus_postgres *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    fq_bus_init(&self->bus, &postgres_ops);
    atomic_init(&self->reader.fd, -1);
    atomic_init(&self->writer.fd, -1);
    self->dsn = copy_text(dsn);
    self->listen_dsn = listen_dsn == NULL ? self->dsn : copy_text(listen_dsn);
    if (self->dsn == NULL || self->listen_dsn == NULL) {
        postgres_free(&self->bus);
        return FQ_ERR_NOMEM;
    }
    *pbus = &self->bus;
    return FQ_OK;
}
