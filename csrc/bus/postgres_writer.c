/* SPDX-License-Identifier: MIT */
/* Writing into the outbox. The arrays go in binary form, as their text would
 * have to be escaped; what is in them is text. */
#include "bus/postgres_writer.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"

/* Of the type text, in the arrays. */
#define TEXT_OID 25
#define N_ARRAYS 6
/* Of control messages only these: the event type and the data. */
#define CONTROL_FIRST 1
#define N_CONTROL_ARRAYS 2

static const char publish_sql[]
    = "SELECT * FROM fraiseql.publish_batch($1::text[], $2::text[], "
      "$3::text[], "
      "$4::text[], $5::text[], $6::text[])";
static const char control_sql[]
    = "SELECT * FROM fraiseql.control($1::text[], $2::text[])";

static void
go_on(fq_postgres_writer *self);
static void
connect_soon(fq_postgres_writer *self);

static fq_bus_publication *
publication_of(fq_list *node)
{
    return FQ_CONTAINER_OF(node, fq_bus_publication, node);
}

/* ── answers ── */

static void
answer_all(fq_list *list, fq_status status, const fq_error *error)
{
    fq_list todo;
    fq_list_init(&todo);
    fq_list_splice(&todo, list);
    fq_list *node;
    while ((node = fq_list_pop_front(&todo)) != NULL) {
        fq_bus_publication *publication = publication_of(node);
        publication->done_cb(publication, status, error);
    }
}

/* Puts what was sent before what waits, to be sent again. */
static void
take_back(fq_postgres_writer *self)
{
    fq_list_splice(&self->sent, &self->waiting);
    fq_list_splice(&self->waiting, &self->sent);
    self->n_sent = 0;
}

/* ── stopping ── */

static void
on_handle_closed(fq_postgres_writer *self)
{
    if (--self->n_handles == 0 && self->is_closing)
        self->stopped_cb(self->stopped_arg);
}

static void
on_link_closed(void *arg)
{
    on_handle_closed(arg);
}

static void
on_timer_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

static void
close_link(fq_postgres_writer *self)
{
    if (self->link == NULL)
        return;
    atomic_store_explicit(&self->fd, -1, memory_order_relaxed);
    fq_postgres_link_close(self->link);
    self->link = NULL;
}

static void
close_all(fq_postgres_writer *self)
{
    if (self->is_closing)
        return;
    self->is_closing = true;
    fq_postgres_open_cancel(self->open);
    self->open = NULL;
    close_link(self);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
    fq_error error;
    fq_error_set(&error, FQ_ERR_CLOSED, FQ_ERROR_NO_POS,
                 "the bus was closed before PostgreSQL had answered; whether "
                 "it has taken the event is not known");
    answer_all(&self->sent, FQ_ERR_CLOSED, &error);
    fq_error_set(&error, FQ_ERR_CLOSED, FQ_ERROR_NO_POS,
                 "the bus was closed before PostgreSQL could be given the "
                 "event");
    answer_all(&self->waiting, FQ_ERR_CLOSED, &error);
}

/* ── the end of a connection ── */

/* There is no connection: tells why, gives back what was not taken, to be
 * given again when there is one, and tries to connect. */
static void
be_down(fq_postgres_writer *self, const fq_error *error)
{
    self->health->has_writer = false;
    fq_postgres_health_tell(self->health, error);
    self->n_single = 0;
    if (self->is_stopping) {
        close_all(self);
        return;
    }
    connect_soon(self);
    answer_all(&self->waiting, FQ_ERR_AGAIN, NULL);
}

/* |error|: why. What is on its way may have been taken or not. */
static void
lose(fq_postgres_writer *self, const fq_error *error)
{
    close_link(self);
    if (self->is_retried) {
        take_back(self);
    } else if (self->n_sent > 0) {
        fq_error unknown;
        fq_error_set(&unknown, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
                     "the connection was lost before PostgreSQL had answered; "
                     "whether it has taken the event is not known: %s",
                     error->message);
        self->n_sent = 0;
        answer_all(&self->sent, FQ_ERR_SYSTEM, &unknown);
    }
    be_down(self, error);
}

static void
on_failed(void *arg, const fq_error *error)
{
    lose(arg, error);
}

/* ── the statement's answer ── */

/* What a failure with |sqlstate| says about trying again. */
static bool
is_passing(const char *sqlstate)
{
    /* A connection, an operator or a replica in the way; a serialisation
     * failure or a deadlock; no room. */
    static const char *const classes[] = {"08", "57", "25006",
                                          "40", "53", "55P03"};
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strncmp(sqlstate, classes[i], strlen(classes[i])) == 0)
            return true;
    }
    return false;
}

static void
take_ids(fq_postgres_writer *self, const PGresult *result)
{
    self->status = FQ_OK;
    self->n_ids = 0;
    size_t n = (size_t)PQntuples(result);
    FQ_LIST_FOREACH(node, &self->sent)
    {
        if (self->n_ids == n)
            break;
        fq_bus_publication *publication = publication_of(node);
        const char *id = PQgetvalue(result, (int)self->n_ids++, 0);
        size_t len = strlen(id);
        if (len >= sizeof(publication->id))
            len = sizeof(publication->id) - 1;
        memcpy(publication->id, id, len);
        publication->id[len] = '\0';
    }
}

static void
on_result(void *arg, const PGresult *result)
{
    fq_postgres_writer *self = arg;
    if (PQresultStatus(result) == PGRES_TUPLES_OK) {
        take_ids(self, result);
        return;
    }
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    self->status = fq_postgres_error(&self->error, FQ_ERR_SYSTEM,
                                     PQresultErrorMessage(result));
    /* An error of the server's ends the transaction without effect; one of
     * libpq's, which has no code, is the end of the connection. */
    self->is_refused = sqlstate != NULL;
    self->is_retried = sqlstate != NULL && is_passing(sqlstate);
}

/* The server is ready again: what it said is true now. */
static void
on_done(void *arg)
{
    fq_postgres_writer *self = arg;
    if (self->status == FQ_OK && self->n_ids != self->n_sent)
        self->status = fq_error_set(&self->error, FQ_ERR_SYSTEM,
                                    FQ_ERROR_NO_POS,
                                    "PostgreSQL gave %zu ids for %zu events",
                                    self->n_ids, self->n_sent);
    if (self->status == FQ_OK) {
        fq_backoff_note_up(&self->backoff, fq_clock_now_ns());
        self->n_sent = 0;
        answer_all(&self->sent, FQ_OK, NULL);
    } else if (self->is_retried || !self->is_refused) {
        lose(self, &self->error);
        return;
    } else if (self->n_sent > 1) {
        /* One of them is at fault: the others shall not suffer. */
        self->n_single = self->n_sent;
        take_back(self);
    } else {
        self->n_sent = 0;
        answer_all(&self->sent, FQ_ERR_SYSTEM, &self->error);
    }
    go_on(self);
}

/* ── sending ── */

static void
append_int(fq_buf *buf, uint32_t value)
{
    const unsigned char bytes[] = {
        (unsigned char)(value >> 24), (unsigned char)(value >> 16),
        (unsigned char)(value >> 8), (unsigned char)value};
    fq_buf_append(buf, bytes, sizeof(bytes));
}

static fq_rcbuf *
value_of(const fq_event *event, int array)
{
    fq_rcbuf *const values[N_ARRAYS] = {event->channel,  event->event_type,
                                        event->data,     event->tenant_id,
                                        event->boundary, event->meta};
    return values[array];
}

/* One dimension from 1 to n_sent, with NULLs (src/backend/utils/adt/
 * arrayfuncs.c, array_recv). */
static void
write_array(const fq_postgres_writer *self, int array, fq_buf *buf)
{
    append_int(buf, 1);
    append_int(buf, 1);
    append_int(buf, TEXT_OID);
    append_int(buf, (uint32_t)self->n_sent);
    append_int(buf, 1);
    FQ_LIST_FOREACH(node, &self->sent)
    {
        const fq_rcbuf *value = value_of(publication_of(node)->event, array);
        append_int(buf, value == NULL ? UINT32_MAX : (uint32_t)value->len);
        if (value != NULL)
            fq_buf_append(buf, value->bytes, value->len);
    }
}

/* Moves what goes with the next statement to |sent|. */
static void
choose(fq_postgres_writer *self)
{
    size_t n_bytes = 0;
    size_t max = self->n_single > 0 ? 1 : FQ_POSTGRES_BATCH_EVENTS;
    self->n_sent = 0;
    while (!fq_list_is_empty(&self->waiting) && self->n_sent < max) {
        fq_list *node = self->waiting.next;
        bool is_control = publication_of(node)->event->is_reserved;
        if (self->n_sent > 0 && is_control != self->is_control)
            break;
        self->is_control = is_control;
        n_bytes += publication_of(node)->event->data->len;
        if (self->n_sent > 0 && n_bytes > FQ_POSTGRES_BATCH_BYTES)
            break;
        fq_list_remove(node);
        fq_list_push_back(&self->sent, node);
        self->n_sent++;
    }
    if (self->n_single > 0)
        self->n_single--;
}

static void
send_batch(fq_postgres_writer *self)
{
    fq_buf bufs[N_ARRAYS];
    const char *values[N_ARRAYS];
    int lengths[N_ARRAYS];
    fq_status status = FQ_OK;
    choose(self);
    int n_arrays = self->is_control ? N_CONTROL_ARRAYS : N_ARRAYS;
    int first = self->is_control ? CONTROL_FIRST : 0;
    for (int i = 0; i < n_arrays; i++) {
        fq_buf_init(&bufs[i]);
        write_array(self, first + i, &bufs[i]);
        values[i] = bufs[i].ptr;
        lengths[i] = (int)bufs[i].len;
        if (fq_buf_status(&bufs[i]) != FQ_OK)
            status = fq_buf_status(&bufs[i]);
    }
    self->status = FQ_ERR_SYSTEM;
    self->is_refused = self->is_retried = false;
    self->error = (fq_error){.status = FQ_ERR_SYSTEM};
    fq_error error;
    bool is_lost = false;
    bool is_short = status != FQ_OK;
    if (is_short) {
        fq_error_set(&error, status, FQ_ERROR_NO_POS, "out of memory");
    } else if (fq_postgres_link_write(
                   self->link, self->is_control ? control_sql : publish_sql,
                   n_arrays, values, lengths, &error)
               != FQ_OK) {
        is_lost = true;
    }
    for (int i = 0; i < n_arrays; i++)
        fq_buf_fini(&bufs[i]);
    if (is_lost)
        lose(self, &error);
    if (!is_short)
        return;
    self->n_sent = 0;
    answer_all(&self->sent, status, &error);
    go_on(self);
}

/* Sends what waits, unless somebody who was answered has seen to it. */
static void
go_on(fq_postgres_writer *self)
{
    if (self->link == NULL || fq_postgres_link_is_busy(self->link))
        return;
    if (!fq_list_is_empty(&self->waiting))
        send_batch(self);
    else if (self->is_stopping)
        close_all(self);
}

/* ── connecting ── */

static const fq_postgres_link_ops link_ops = {
    .result_cb = on_result,
    .done_cb = on_done,
    .failed_cb = on_failed,
    .closed_cb = on_link_closed,
};

static void
on_open(void *arg, fq_status status, PGconn *conn,
        const fq_postgres_origin *origin, const fq_error *error)
{
    fq_postgres_writer *self = arg;
    (void)origin;
    self->open = NULL;
    if (status == FQ_OK) {
        status = fq_postgres_link_new(self->loop, conn, &link_ops, self,
                                      &self->link);
        if (status != FQ_OK) {
            atomic_store_explicit(&self->fd, -1, memory_order_relaxed);
            PQfinish(conn);
        }
    }
    if (status == FQ_ERR_FORBIDDEN && !self->is_stopping) {
        /* Waiting does not change that, but somebody who is told. Reading
         * goes on, for which this role may be all that is needed. */
        self->health->has_writer = true;
        fq_postgres_health_tell(self->health, NULL);
        answer_all(&self->waiting, FQ_ERR_SYSTEM, error);
        return;
    }
    if (status != FQ_OK) {
        be_down(self, error);
        return;
    }
    self->n_handles++;
    self->health->has_writer = true;
    fq_postgres_health_tell(self->health, NULL);
    go_on(self);
}

static void
on_connect_timer(uv_timer_t *timer)
{
    fq_postgres_writer *self = timer->data;
    fq_status status = fq_postgres_open_start(self->loop, self->dsn,
                                              FQ_POSTGRES_WRITE, &self->fd,
                                              on_open, self, &self->open);
    fq_error error;
    if (status != FQ_OK) {
        fq_error_set(&error, status, FQ_ERROR_NO_POS,
                     "out of memory while connecting to PostgreSQL");
        be_down(self, &error);
    }
}

static void
connect_soon(fq_postgres_writer *self)
{
    uint64_t ms = fq_backoff_next_ms(&self->backoff, fq_clock_now_ns());
    uv_timer_start(&self->timer, on_connect_timer, ms, 0);
}

void
fq_postgres_writer_start(fq_postgres_writer *self, fq_postgres_health *health,
                         uv_loop_t *loop, const char *dsn)
{
    self->health = health;
    health->has_writer = true;
    self->loop = loop;
    self->dsn = dsn;
    fq_list_init(&self->waiting);
    fq_list_init(&self->sent);
    fq_backoff_init(&self->backoff, fq_clock_now_ns() ^ (uintptr_t)self);
    uv_timer_init(loop, &self->timer);
    self->timer.data = self;
    self->n_handles = 1;
}

/* PostgreSQL's texts have no NUL, and what it would cut must not be sent. */
static bool
has_nul(const fq_rcbuf *value)
{
    return value != NULL && memchr(value->bytes, '\0', value->len) != NULL;
}

void
fq_postgres_writer_publish(fq_postgres_writer *self,
                           fq_bus_publication *publication)
{
    for (int i = 0; i < N_ARRAYS; i++) {
        if (!has_nul(value_of(publication->event, i)))
            continue;
        fq_error error;
        fq_error_set(&error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                     "PostgreSQL cannot hold the character U+0000 in a name");
        publication->done_cb(publication, FQ_ERR_INVALID, &error);
        return;
    }
    fq_list_push_back(&self->waiting, &publication->node);
    if (self->link != NULL)
        go_on(self);
    else if (self->open == NULL && !uv_is_active((uv_handle_t *)&self->timer))
        on_connect_timer(&self->timer);
}

static void
on_stop_timer(uv_timer_t *timer)
{
    close_all(timer->data);
}

void
fq_postgres_writer_stop(fq_postgres_writer *self,
                        void (*stopped_cb)(void *arg), void *arg)
{
    self->is_stopping = true;
    self->stopped_cb = stopped_cb;
    self->stopped_arg = arg;
    bool has_work = self->n_sent > 0 || !fq_list_is_empty(&self->waiting);
    if (has_work && (self->link != NULL || self->open != NULL))
        uv_timer_start(&self->timer, on_stop_timer, FQ_POSTGRES_STOP_MS, 0);
    else
        close_all(self);
}
