/* SPDX-License-Identifier: MIT */
/* A session on the loop: a poll handle on libpq's socket, a timer for the
 * silence of a server that owes an answer, and one to go on with what libpq
 * has read already, of which the socket says nothing. */
#include "bus/postgres_link.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"
#include "bus/postgres_open.h"

struct fq_postgres_link {
    uv_poll_t poll;
    uv_timer_t silence;
    uv_timer_t again; /* looks at once */
    unsigned n_open;  /* handles that have not closed yet */
    PGconn *conn;
    const fq_postgres_link_ops *ops;
    void *arg;
    bool is_busy; /* a statement is under way */
    bool is_paused;
    bool is_closed; /* or has failed: nothing is read any more */
    int events;     /* that |poll| waits for */
    fq_error words; /* the server's, before it ended the connection */
};

bool
fq_postgres_link_is_busy(const fq_postgres_link *self)
{
    return self->is_busy;
}

static void
fail(fq_postgres_link *self, const fq_error *error)
{
    if (self->is_closed)
        return;
    self->is_closed = true;
    uv_poll_stop(&self->poll);
    uv_timer_stop(&self->silence);
    uv_timer_stop(&self->again);
    self->ops->failed_cb(self->arg, error);
}

static void
fail_by_libpq(fq_postgres_link *self)
{
    fq_error error = self->words;
    if (error.message[0] == '\0')
        fq_postgres_error(&error, FQ_ERR_SYSTEM, PQerrorMessage(self->conn));
    if (error.message[0] == '\0')
        fq_error_set(&error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
                     "the connection to the PostgreSQL server was lost");
    fail(self, &error);
}

static void
on_silence(uv_timer_t *timer)
{
    fq_postgres_link *self = FQ_CONTAINER_OF(timer, fq_postgres_link, silence);
    fq_error error;
    fq_error_set(&error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
                 "the PostgreSQL server has sent nothing for %d seconds",
                 FQ_POSTGRES_SILENCE_MS / 1000);
    fail(self, &error);
}

/* The server owes an answer, or has just given a part of it. */
static void
watch_silence(fq_postgres_link *self)
{
    if (self->is_busy && !self->is_paused)
        uv_timer_start(&self->silence, on_silence, FQ_POSTGRES_SILENCE_MS, 0);
    else
        uv_timer_stop(&self->silence);
}

static void
on_ready(uv_poll_t *poll, int status, int events);

/* Waits for what libpq is waiting for. */
static void
wait_for(fq_postgres_link *self, bool is_flushed)
{
    int events = (self->is_paused ? 0 : UV_READABLE)
                 | (is_flushed ? 0 : UV_WRITABLE);
    if (events == self->events)
        return;
    self->events = events;
    if (events == 0)
        uv_poll_stop(&self->poll);
    else
        uv_poll_start(&self->poll, events, on_ready);
}

static void
on_again(uv_timer_t *timer);

/* Hands on what libpq has read. */
static void
take_results(fq_postgres_link *self)
{
    int n_left = FQ_POSTGRES_ROWS_AT_ONCE;
    while (self->is_busy && !self->is_paused && !self->is_closed
           && !PQisBusy(self->conn)) {
        if (n_left-- == 0) {
            uv_timer_start(&self->again, on_again, 0, 0);
            return;
        }
        PGresult *result = PQgetResult(self->conn);
        if (result == NULL) {
            self->is_busy = false;
            watch_silence(self);
            self->ops->done_cb(self->arg);
        } else {
            self->ops->result_cb(self->arg, result);
            PQclear(result);
        }
    }
    if (!self->is_closed && PQstatus(self->conn) == CONNECTION_BAD)
        fail_by_libpq(self);
}

static void
take_notifications(fq_postgres_link *self)
{
    bool is_notified = false;
    PGnotify *notify;
    while ((notify = PQnotifies(self->conn)) != NULL) {
        is_notified = true;
        PQfreemem(notify);
    }
    if (is_notified && self->ops->notified_cb != NULL && !self->is_closed)
        self->ops->notified_cb(self->arg);
}

static void
on_again(uv_timer_t *timer)
{
    fq_postgres_link *self = FQ_CONTAINER_OF(timer, fq_postgres_link, again);
    take_results(self);
}

static void
on_ready(uv_poll_t *poll, int status, int events)
{
    fq_postgres_link *self = FQ_CONTAINER_OF(poll, fq_postgres_link, poll);
    int flushed = 0;
    if (status < 0 || ((events & UV_READABLE) && !PQconsumeInput(self->conn))
        || (flushed = PQflush(self->conn)) < 0) {
        /* What the server said before it went is still to be read. */
        take_results(self);
        if (!self->is_closed)
            fail_by_libpq(self);
        return;
    }
    wait_for(self, flushed == 0);
    watch_silence(self);
    take_results(self);
    take_notifications(self);
}

/* A server that ends an idle connection says why in a notice. */
static void
take_notice(void *arg, const PGresult *notice)
{
    fq_postgres_link *self = arg;
    const char *severity = PQresultErrorField(notice,
                                              PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    if (severity != NULL && text != NULL && strcmp(severity, "FATAL") == 0)
        fq_postgres_error(&self->words, FQ_ERR_SYSTEM, text);
}

fq_status
fq_postgres_link_new(uv_loop_t *loop, PGconn *conn,
                     const fq_postgres_link_ops *ops, void *arg,
                     fq_postgres_link **plink)
{
    *plink = NULL;
    fq_postgres_link *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    if (uv_poll_init(loop, &self->poll, PQsocket(conn)) != 0) {
        fq_free(self);
        return FQ_ERR_SYSTEM;
    }
    uv_timer_init(loop, &self->silence);
    uv_timer_init(loop, &self->again);
    self->n_open = 3;
    self->conn = conn;
    self->ops = ops;
    self->arg = arg;
    PQsetNoticeReceiver(conn, take_notice, self);
    wait_for(self, true);
    *plink = self;
    return FQ_OK;
}

static fq_status
after_send(fq_postgres_link *self, bool is_sent, fq_error *error)
{
    int flushed = is_sent ? PQflush(self->conn) : -1;
    if (flushed < 0)
        return fq_postgres_error(error, FQ_ERR_SYSTEM,
                                 PQerrorMessage(self->conn));
    self->is_busy = true;
    wait_for(self, flushed == 0);
    watch_silence(self);
    return FQ_OK;
}

fq_status
fq_postgres_link_read(fq_postgres_link *self, const char *name, int n_values,
                      const char *const *values, fq_error *error)
{
    FQ_CHECK(!self->is_busy);
    bool is_sent = PQsendQueryPrepared(self->conn, name, n_values, values,
                                       NULL, NULL, 0)
                   && PQsetSingleRowMode(self->conn);
    return after_send(self, is_sent, error);
}

fq_status
fq_postgres_link_write(fq_postgres_link *self, const char *sql, int n_values,
                       const char *const *values, const int *lengths,
                       fq_error *error)
{
    FQ_CHECK(!self->is_busy && n_values <= 8);
    static const int formats[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    bool is_sent = PQsendQueryParams(self->conn, sql, n_values, NULL, values,
                                     lengths, formats, 0);
    return after_send(self, is_sent, error);
}

void
fq_postgres_link_pause(fq_postgres_link *self)
{
    if (self->is_closed || self->is_paused)
        return;
    self->is_paused = true;
    wait_for(self, (self->events & UV_WRITABLE) == 0);
    uv_timer_stop(&self->again);
    watch_silence(self);
}

void
fq_postgres_link_resume(fq_postgres_link *self)
{
    if (self->is_closed || !self->is_paused)
        return;
    self->is_paused = false;
    wait_for(self, (self->events & UV_WRITABLE) == 0);
    watch_silence(self);
    uv_timer_start(&self->again, on_again, 0, 0);
}

static void
on_handle_closed(uv_handle_t *handle)
{
    fq_postgres_link *self = handle->data;
    if (--self->n_open > 0)
        return;
    void (*closed_cb)(void *arg) = self->ops->closed_cb;
    void *arg = self->arg;
    fq_free(self);
    closed_cb(arg);
}

/* libuv lets go of the descriptor at once, so libpq may close it. */
void
fq_postgres_link_close(fq_postgres_link *self)
{
    self->is_closed = true;
    uv_handle_t *handles[] = {(uv_handle_t *)&self->poll,
                              (uv_handle_t *)&self->silence,
                              (uv_handle_t *)&self->again};
    for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++) {
        handles[i]->data = self;
        uv_close(handles[i], on_handle_closed);
    }
    PQfinish(self->conn);
    self->conn = NULL;
}
