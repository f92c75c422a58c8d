/* SPDX-License-Identifier: MIT */
/* Reading the outbox.
 *
 * Ids are drawn while transactions run and become visible when they commit, in
 * another order, so "behind the last id" would lose events; and "all below the
 * oldest transaction that runs" would stand still while one does. What a
 * reader remembers is therefore a snapshot. A look takes the rows that are
 * visible now and were not then, which are those whose transaction was in
 * progress then, or had not started. Both are found in the index by the
 * transaction, so that a look costs what it finds, however large the table is
 * and however long others stay open. Each row is in exactly one of these
 * differences, which is what makes delivery exact.
 *
 * A look that is cut short, because the connection goes or the engine asks for
 * a pause, leaves the reader between two snapshots, with the id it had come
 * to; the rest is asked for by the same two snapshots. */
#include "bus/postgres_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "bus/postgres_row.h"

static void
look(fq_postgres_reader *self);
static void
connect_soon(fq_postgres_reader *self);

/* ── the end of a connection ── */

static void
finish_stop(fq_postgres_reader *self)
{
    if (self->is_stopping && self->n_links == 0)
        self->stopped_cb(self->stopped_arg);
}

static void
on_timer_closed(uv_handle_t *handle)
{
    fq_postgres_reader *self = handle->data;
    self->n_links--;
    finish_stop(self);
}

static void
on_link_closed(void *arg)
{
    fq_postgres_reader *self = arg;
    self->n_links--;
    finish_stop(self);
}

static void
close_link(fq_postgres_reader *self)
{
    if (self->link == NULL)
        return;
    atomic_store_explicit(&self->fd, -1, memory_order_relaxed);
    fq_postgres_link_close(self->link);
    self->link = NULL;
}

/* The connection is of no use: says so, and tries again. */
static void
lose(fq_postgres_reader *self, const fq_error *error)
{
    close_link(self);
    self->health->is_reading = false;
    fq_postgres_health_tell(self->health, error);
    fq_postgres_history_lose(&self->history);
    if (!self->is_stopping)
        connect_soon(self);
}

static void
lose_without_memory(fq_postgres_reader *self)
{
    fq_error error;
    fq_error_set(&error, FQ_ERR_NOMEM, FQ_ERROR_NO_POS,
                 "out of memory while reading from PostgreSQL");
    lose(self, &error);
}

/* ── events ── */

static void
deliver_row(fq_postgres_reader *self, const PGresult *row)
{
    fq_event *event;
    fq_error error;
    uint64_t id = fq_postgres_row_number(row, FQ_POSTGRES_ROW_ID);
    uint64_t created_at_us = fq_postgres_row_number(
        row, FQ_POSTGRES_ROW_CREATED_AT);
    if (fq_postgres_failover_has(&self->failover, id, created_at_us)) {
        self->id = id;
        return;
    }
    fq_status status = fq_postgres_row_event(row, self->span, &event, &error);
    if (status == FQ_ERR_NOMEM) {
        /* It will be asked for again. */
        self->has_failed = true;
        lose_without_memory(self);
        return;
    }
    self->id = id;
    self->n_rows++;
    fq_postgres_failover_note_event(&self->failover, id, created_at_us);
    /* Somebody has written what our functions would have refused. */
    if (status != FQ_OK || event->is_unreadable)
        fq_bus_note_unreadable(self->bus,
                               PQgetvalue(row, 0, FQ_POSTGRES_ROW_ID), &error);
    if (status != FQ_OK)
        return;
    uint64_t now_ns = fq_clock_wall_ns();
    uint64_t lag_ns = now_ns > event->created_at_ns
                          ? now_ns - event->created_at_ns
                          : 0;
    atomic_store_explicit(&self->bus->lag_ns, lag_ns, memory_order_relaxed);
    fq_bus_deliver(self->bus, event);
    fq_event_unref(event);
}

/* ── one look ── */

static void
tell_gap(fq_postgres_reader *self, const char *reason)
{
    fq_bus_tell_gap(self->bus, fq_str_of(reason));
}

/* Whether some of what |seen| does not see was pruned. */
static bool
is_pruned(const fq_postgres_reader *self, const char *pruned_below)
{
    return fq_postgres_snapshot_xmin(&self->seen)
           < strtoull(pruned_below, NULL, 10);
}

/* What the positions of the next look's events have in common. */
static fq_status
make_span(fq_postgres_reader *self)
{
    fq_rcbuf_unref(self->span);
    self->span = NULL;
    if (fq_postgres_failover_is_back(&self->failover))
        return FQ_OK;
    return fq_postgres_position_span(self->tag, &self->seen, &self->next,
                                     &self->span);
}

/* The row that comes first says which snapshot the rows are of. */
static void
take_head(fq_postgres_reader *self, const PGresult *head)
{
    if (!fq_postgres_row_is_of(head, self->epoch)) {
        /* What is there is told as a gap when it is looked at from afresh. */
        fq_error error;
        fq_error_set(&error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
                     "the schema fraiseql was installed anew");
        self->has_failed = true;
        lose(self, &error);
        return;
    }
    fq_status status = fq_postgres_snapshot_read(
        &self->next, fq_postgres_row_text(head, FQ_POSTGRES_HEAD_SNAPSHOT));
    self->has_head = true;
    fq_postgres_bell_take(&self->bell, head, fq_clock_now_ns());
    if (status == FQ_OK)
        status = make_span(self);
    if (status != FQ_OK) {
        self->has_failed = true;
        lose_without_memory(self);
        return;
    }
    self->is_between = true;
    self->id = 0;
    self->lsn = fq_postgres_row_number(head, FQ_POSTGRES_HEAD_LSN);
    self->history.pruned_below = fq_postgres_row_number(
        head, FQ_POSTGRES_HEAD_PRUNED_BELOW);
    if (is_pruned(self, PQgetvalue(head, 0, FQ_POSTGRES_HEAD_PRUNED_BELOW)))
        tell_gap(self, "events were pruned from the outbox before this server "
                       "had read them");
}

static void
on_result(void *arg, const PGresult *result)
{
    fq_postgres_reader *self = arg;
    switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
        if (PQnfields(result) != FQ_POSTGRES_ROW_COLUMNS)
            break;
        if (self->history.is_busy)
            fq_postgres_history_take(&self->history, result, self->epoch);
        else if (!self->has_head)
            take_head(self, result);
        else if (!self->has_failed)
            deliver_row(self, result);
        break;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        break;
    default: {
        fq_error error;
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        self->has_failed = true;
        /* Only a pooler can have mislaid what we had prepared. */
        bool is_pooled = sqlstate != NULL && strcmp(sqlstate, "26000") == 0;
        fq_postgres_error(&error, FQ_ERR_SYSTEM,
                          is_pooled ? FQ_POSTGRES_POOLER_TEXT
                                    : PQresultErrorMessage(result));
        lose(self, &error);
    }
    }
}

static void
on_look_timer(uv_timer_t *timer)
{
    look(timer->data);
}

static void
look_soon(fq_postgres_reader *self)
{
    uint64_t ms = fq_postgres_bell_next_ms(&self->bell, self->n_rows,
                                           fq_clock_now_ns());
    if (!fq_list_is_empty(&self->history.reads))
        ms = 0; /* somebody may wait for what others have seen */
    uv_timer_start(&self->timer, on_look_timer, ms, 0);
}

/* Sends a look into the history, if somebody waits for one; true: nothing else
 * may be sent now. */
static bool
look_back(fq_postgres_reader *self)
{
    fq_error error;
    if (fq_postgres_history_send(&self->history, self->link, self->tag,
                                 &self->seen, self->look_ns, &error)
        != FQ_OK) {
        lose(self, &error);
        return true;
    }
    return self->history.is_busy;
}

static void
on_done(void *arg)
{
    fq_postgres_reader *self = arg;
    if (self->history.is_busy) {
        /* Each time a live look comes between. */
        fq_postgres_history_done(&self->history, &self->seen);
        look(self);
        return;
    }
    if (self->has_failed || !self->has_head) {
        fq_error error;
        fq_error_set(&error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
                     "the table fraiseql.install is empty");
        if (!self->has_failed)
            lose(self, &error);
        return;
    }
    if (self->is_between)
        fq_postgres_snapshot_swap(&self->seen, &self->next);
    self->is_between = false;
    fq_postgres_marks_note(&self->history.marks, self->n_rows, &self->seen);
    if (fq_postgres_failover_is_back(&self->failover))
        fq_postgres_failover_end(&self->failover);
    fq_postgres_failover_note_look(&self->failover, &self->seen, self->lsn,
                                   fq_clock_now_ns());
    if (!look_back(self))
        look_soon(self);
}

static void
on_notified(void *arg)
{
    fq_postgres_reader *self = arg;
    self->bell.is_rung = true;
    look(self);
}

/* Asks for what has become visible since |seen|, or, when it is between two
 * snapshots, for the rest of that. */
static fq_status
send_look(fq_postgres_reader *self, uint64_t now_ns, fq_error *error)
{
    char xmax[24], id[24];
    fq_buf xip = FQ_BUF_INIT;
    fq_buf upto = FQ_BUF_INIT;
    snprintf(xmax, sizeof(xmax), "%" PRIu64, self->seen.xmax);
    snprintf(id, sizeof(id), "%" PRIu64, self->id);
    fq_postgres_snapshot_write_xip(&self->seen, &xip);
    fq_buf_append_char(&xip, '\0');
    if (self->is_between)
        fq_postgres_snapshot_write(&self->next, &upto);
    fq_buf_append_char(&upto, '\0');
    fq_status status = fq_buf_status(&xip);
    if (status == FQ_OK)
        status = fq_buf_status(&upto);
    if (status == FQ_OK && self->is_between) {
        const char *values[] = {xmax, xip.ptr, upto.ptr, id};
        status = fq_postgres_link_read(self->link, "fq_rest", 4, values,
                                       error);
    } else if (status == FQ_OK) {
        const char *values[] = {xmax, xip.ptr, NULL, NULL};
        fq_postgres_bell_ask(&self->bell, now_ns, &values[2], &values[3]);
        status = fq_postgres_link_read(self->link, "fq_read", 4, values,
                                       error);
    } else {
        fq_error_set(error, status, FQ_ERROR_NO_POS, "out of memory");
    }
    fq_buf_fini(&xip);
    fq_buf_fini(&upto);
    return status;
}

static void
look(fq_postgres_reader *self)
{
    if (self->link == NULL || self->is_held
        || fq_postgres_link_is_busy(self->link))
        return;
    self->bell.is_rung = false;
    self->has_head = self->is_between;
    self->has_failed = false;
    self->n_rows = 0;
    uint64_t now_ns = fq_clock_now_ns();
    /* The rest of a look sees what that saw. */
    if (!self->is_between)
        self->look_ns = now_ns;
    fq_error error;
    if (send_look(self, now_ns, &error) != FQ_OK)
        lose(self, &error);
}

/* ── connecting ── */

static void
on_failed(void *arg, const fq_error *error)
{
    lose(arg, error);
}

static const fq_postgres_link_ops link_ops = {
    .result_cb = on_result,
    .done_cb = on_done,
    .notified_cb = on_notified,
    .failed_cb = on_failed,
    .closed_cb = on_link_closed,
};

/* Why what |origin| has may not be all that came since |seen|; NULL: it is. */
static const char *
find_gap(const fq_postgres_reader *self, const fq_postgres_origin *origin,
         const fq_postgres_snapshot *now)
{
    if (strcmp(self->epoch, origin->epoch) != 0)
        return "the PostgreSQL server has another history than the one that "
               "was read before: it was replaced, restored or installed anew";
    if (!fq_postgres_snapshot_includes(now, &self->seen)
        || (self->is_between
            && !fq_postgres_snapshot_includes(now, &self->next)))
        return "the PostgreSQL server has gone back in time: it lost what it "
               "had committed last";
    if (is_pruned(self, origin->pruned_below))
        return "events were pruned from the outbox while this server was not "
               "connected";
    return NULL;
}

/* The timeline that |epoch| ends with, eight hexadecimal digits; *plen: what is
 * before it. */
static uint64_t
timeline_of(const char *epoch, size_t *plen)
{
    size_t len = strlen(epoch);
    *plen = len < 8 ? 0 : len - 8;
    return strtoull(epoch + *plen, NULL, 16);
}

/* Whether a replica of the server with |epoch| has become the primary with
 * |next|, itself and not a replica of one that had. */
static bool
is_successor(const char *epoch, const char *next)
{
    size_t len, next_len;
    uint64_t timeline = timeline_of(epoch, &len);
    return timeline_of(next, &next_len) == timeline + 1 && len == next_len
           && memcmp(epoch, next, len) == 0;
}

/* Goes back to what |origin|, a successor, has of what was read. */
static bool
follow(fq_postgres_reader *self, const fq_postgres_origin *origin,
       const fq_postgres_snapshot *now)
{
    return origin->replayed[0] != '\0'
           && fq_postgres_failover_go_back(
               &self->failover, strtoull(origin->replayed, NULL, 10),
               &self->seen)
           && fq_postgres_snapshot_includes(now, &self->seen)
           && !is_pruned(self, origin->pruned_below);
}

/* Goes on from where it was, or from now on if that cannot be. */
static fq_status
take_origin(fq_postgres_reader *self, const fq_postgres_origin *origin)
{
    fq_postgres_snapshot now;
    fq_postgres_snapshot_init(&now);
    fq_status status = fq_postgres_snapshot_read(&now,
                                                 fq_str_of(origin->snapshot));
    if (status != FQ_OK)
        return status;
    const char *gap = NULL;
    bool is_back = false;
    if (self->has_seen && is_successor(self->epoch, origin->epoch)) {
        gap = "the PostgreSQL server has failed over: what the old one had "
              "committed last may be lost";
        is_back = follow(self, origin, &now);
    } else if (self->has_seen) {
        gap = find_gap(self, origin, &now);
    }
    if (!self->has_seen || gap != NULL) {
        self->is_between = false;
        self->id = 0;
    }
    if (!self->has_seen || (gap != NULL && !is_back)) {
        fq_postgres_snapshot_swap(&self->seen, &now);
        self->lsn = strtoull(origin->lsn, NULL, 10);
        fq_postgres_failover_end(&self->failover);
    }
    if (!self->has_seen || gap != NULL)
        fq_postgres_marks_begin(&self->history.marks, &self->seen);
    self->history.pruned_below = strtoull(origin->pruned_below, NULL, 10);
    fq_postgres_snapshot_fini(&now);
    self->has_seen = true;
    snprintf(self->epoch, sizeof(self->epoch), "%s", origin->epoch);
    self->tag = fq_postgres_position_tag(self->epoch);
    if (gap != NULL)
        tell_gap(self, gap);
    return FQ_OK;
}

static void
on_open(void *arg, fq_status status, PGconn *conn,
        const fq_postgres_origin *origin, const fq_error *error)
{
    fq_postgres_reader *self = arg;
    self->open = NULL;
    if (status != FQ_OK) {
        lose(self, error);
        return;
    }
    status = fq_postgres_link_new(self->loop, conn, &link_ops, self,
                                  &self->link);
    if (status != FQ_OK) {
        atomic_store_explicit(&self->fd, -1, memory_order_relaxed);
        PQfinish(conn);
        lose_without_memory(self);
        return;
    }
    self->n_links++;
    if (self->is_held)
        fq_postgres_link_pause(self->link);
    if (take_origin(self, origin) != FQ_OK) {
        lose_without_memory(self);
        return;
    }
    fq_backoff_note_up(&self->backoff, fq_clock_now_ns());
    fq_postgres_bell_begin(&self->bell, fq_clock_now_ns());
    self->health->is_reading = true;
    fq_postgres_health_tell(self->health, NULL);
    uv_timer_start(&self->timer, on_look_timer, 0, 0);
}

static void
on_connect_timer(uv_timer_t *timer)
{
    fq_postgres_reader *self = timer->data;
    self->bus->n_attempts++;
    fq_status status = fq_postgres_open_start(self->loop, self->dsn,
                                              FQ_POSTGRES_READ, &self->fd,
                                              on_open, self, &self->open);
    if (status != FQ_OK)
        lose_without_memory(self);
}

static void
connect_soon(fq_postgres_reader *self)
{
    uint64_t ms = fq_backoff_next_ms(&self->backoff, fq_clock_now_ns());
    uv_timer_start(&self->timer, on_connect_timer, ms, 0);
}

void
fq_postgres_reader_start(fq_postgres_reader *self, fq_postgres_health *health,
                         uv_loop_t *loop, const char *dsn)
{
    self->bus = health->bus;
    self->health = health;
    fq_postgres_history_init(&self->history, self->bus);
    self->loop = loop;
    self->dsn = dsn;
    fq_backoff_init(&self->backoff, fq_clock_now_ns() ^ (uintptr_t)self);
    uv_timer_init(loop, &self->timer);
    self->timer.data = self;
    self->n_links = 1;
    on_connect_timer(&self->timer);
}

void
fq_postgres_reader_stop(fq_postgres_reader *self,
                        void (*stopped_cb)(void *arg), void *arg)
{
    self->is_stopping = true;
    self->stopped_cb = stopped_cb;
    self->stopped_arg = arg;
    fq_postgres_open_cancel(self->open);
    self->open = NULL;
    close_link(self);
    fq_postgres_history_refuse(&self->history, FQ_ERR_CLOSED);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
}

void
fq_postgres_reader_fini(fq_postgres_reader *self)
{
    fq_postgres_snapshot_fini(&self->seen);
    fq_postgres_snapshot_fini(&self->next);
    fq_postgres_history_fini(&self->history);
    fq_postgres_failover_fini(&self->failover);
    fq_rcbuf_unref(self->span);
}

void
fq_postgres_reader_hold(fq_postgres_reader *self)
{
    self->is_held = true;
    if (self->link != NULL)
        fq_postgres_link_pause(self->link);
}

void
fq_postgres_reader_resume(fq_postgres_reader *self)
{
    self->is_held = false;
    if (self->link == NULL)
        return;
    fq_postgres_link_resume(self->link);
    if (!fq_postgres_link_is_busy(self->link))
        uv_timer_start(&self->timer, on_look_timer, 0, 0);
}

fq_status
fq_postgres_reader_position(const fq_postgres_reader *self,
                            fq_rcbuf **pposition)
{
    *pposition = NULL;
    if (!self->has_seen)
        return FQ_ERR_SYSTEM;
    /* Behind |seen| are events that were delivered before the failover. */
    if (fq_postgres_failover_is_back(&self->failover))
        return FQ_ERR_LIMIT;
    if (self->is_between)
        return fq_postgres_position_make(fq_rcbuf_str(self->span), self->id,
                                         pposition);
    return fq_postgres_position_span(self->tag, &self->seen, NULL, pposition);
}

void
fq_postgres_reader_read(fq_postgres_reader *self, fq_bus_read *read)
{
    fq_postgres_history_add(&self->history, read, fq_clock_now_ns());
    /* Without a session it waits for the next one. */
    if (self->link != NULL && !fq_postgres_link_is_busy(self->link)
        && !self->is_held)
        uv_timer_start(&self->timer, on_look_timer, 0, 0);
}
