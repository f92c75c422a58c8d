/* SPDX-License-Identifier: MIT */
/* Ports. The taker's functions run on the loop or the polling thread, the
 * peer's on the reactor; the lock is held for a few stores, never across a
 * callback. */
#include "reactor/port.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "reactor/ticket.h"

/* One text on its way to the peer. */
typedef struct receive_job {
    fq_job job;
    fq_port *port;    /* one reference */
    fq_rcbuf *text;   /* one reference */
    uint64_t hold_ns; /* the port is held from it on, until then; 0: it is
                       * not, or was already */
    bool is_flood;    /* see fq_message_rate_is_flood */
} receive_job;

static void
run_room(fq_job *job);
static void
run_disconnect(fq_job *job);

fq_status
fq_port_new(fq_reactor *reactor, fq_mailbox *mailbox, bool is_polled,
            void *owner, size_t max_items, size_t max_bytes,
            fq_backlog *backlog, fq_port **pport)
{
    *pport = NULL;
    fq_port *port = fq_alloc_zero(sizeof(*port));
    if (port == NULL)
        return FQ_ERR_NOMEM;
    if (pthread_mutex_init(&port->lock, NULL) != 0) {
        fq_free(port);
        return FQ_ERR_NOMEM;
    }
    port->mail.kind = FQ_MAIL_PORT;
    atomic_init(&port->n_refs, 2);
    port->reactor = fq_reactor_ref(reactor);
    port->mailbox = mailbox == NULL ? NULL : fq_mailbox_ref(mailbox);
    atomic_init(&port->deadline_ns, UINT64_MAX);
    port->is_polled = is_polled || mailbox == NULL;
    port->owner = owner;
    fq_queue_init(&port->out, max_items, max_bytes);
    port->backlog = fq_backlog_ref(backlog);
    port->room_job.run = run_room;
    port->disconnect_job.run = run_disconnect;
    *pport = port;
    return FQ_OK;
}

void
fq_port_limit_messages(fq_port *port, double per_s, uint32_t burst)
{
    fq_message_rate_init(&port->message_rate, per_s, burst);
}

fq_port *
fq_port_ref(fq_port *port)
{
    atomic_fetch_add_explicit(&port->n_refs, 1, memory_order_relaxed);
    return port;
}

/* Drops what is queued, on whatever thread. */
static void
clear_out(fq_port *port)
{
    size_t n_bytes = port->out.n_bytes;
    size_t n_items = fq_queue_clear(&port->out);
    fq_backlog_take(port->backlog, n_items, n_bytes);
}

void
fq_port_unref(fq_port *port)
{
    if (port == NULL)
        return;
    /* acq_rel: the last one sees what every other reference did. */
    if (atomic_fetch_sub_explicit(&port->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    clear_out(port);
    fq_queue_fini(&port->out);
    fq_backlog_unref(port->backlog);
    fq_rcbuf_unref(port->connection_id);
    pthread_mutex_destroy(&port->lock);
    fq_ticket_unref(port->done);
    fq_mailbox_unref(port->mailbox);
    fq_reactor_unref(port->reactor);
    fq_free(port);
}

/* Marks the mail as on its way; true when the caller must post it. */
static bool
mark_posted_locked(fq_port *port)
{
    if (port->is_polled || port->is_posted || port->is_dead)
        return false;
    port->is_posted = true;
    return true;
}

static void
post_mail(fq_port *port)
{
    fq_port_ref(port);
    if (fq_mailbox_post(port->mailbox, &port->mail) == FQ_OK)
        return;
    pthread_mutex_lock(&port->lock);
    port->is_posted = false;
    pthread_mutex_unlock(&port->lock);
    fq_port_unref(port);
}

/* ── the taker's side ── */

static void
run_receive(fq_job *job)
{
    receive_job *self = FQ_CONTAINER_OF(job, receive_job, job);
    fq_port *port = self->port;
    if (self->is_flood && port->peer != NULL)
        port->peer->ops->flooded(port->peer);
    if (port->peer != NULL)
        port->peer->ops->receive(port->peer, fq_rcbuf_str(self->text));
    if (self->hold_ns != 0 && port->peer != NULL)
        port->peer->ops->held(port->peer, self->hold_ns);
    pthread_mutex_lock(&port->lock);
    port->n_unread--;
    port->n_unread_bytes -= self->text->len;
    bool post = false;
    if (port->is_paused && port->n_unread <= FQ_PORT_UNREAD_LOW
        && port->n_unread_bytes < FQ_PORT_UNREAD_BYTES_MAX) {
        port->is_paused = false;
        post = mark_posted_locked(port);
    }
    pthread_mutex_unlock(&port->lock);
    if (post)
        post_mail(port);
    fq_rcbuf_unref(self->text);
    fq_port_unref(port);
    fq_free(self);
}

/* Counts a message; the peer is told what follows with it. */
static void
note_message_locked(fq_port *port, receive_job *job)
{
    uint64_t now_ns = fq_clock_now_ns();
    bool holds = fq_message_rate_note(&port->message_rate, now_ns);
    job->is_flood = fq_message_rate_is_flood(&port->message_rate);
    if (!holds || port->is_held)
        return;
    port->is_held = true;
    job->hold_ns = fq_message_rate_go_on_ns(&port->message_rate, now_ns);
}

fq_status
fq_port_receive(fq_port *port, fq_rcbuf *text, bool *ppause)
{
    *ppause = false;
    receive_job *job = fq_alloc_zero(sizeof(*job));
    if (job == NULL) {
        fq_rcbuf_unref(text);
        return FQ_ERR_NOMEM;
    }
    job->job.run = run_receive;
    job->port = fq_port_ref(port);
    job->text = text;
    pthread_mutex_lock(&port->lock);
    port->n_unread++;
    port->n_unread_bytes += text->len;
    if (port->n_unread >= FQ_PORT_UNREAD_MAX
        || port->n_unread_bytes >= FQ_PORT_UNREAD_BYTES_MAX)
        port->is_paused = true;
    note_message_locked(port, job);
    *ppause = port->is_paused || port->is_held;
    pthread_mutex_unlock(&port->lock);
    fq_status status = fq_reactor_post(port->reactor, &job->job);
    if (status == FQ_OK)
        return FQ_OK;
    fq_rcbuf_unref(text);
    fq_port_unref(port);
    fq_free(job);
    return status;
}

bool
fq_port_may_receive(fq_port *port)
{
    pthread_mutex_lock(&port->lock);
    bool may = !port->is_paused && !port->is_held;
    pthread_mutex_unlock(&port->lock);
    return may;
}

void
fq_port_mail_taken(fq_port *port)
{
    pthread_mutex_lock(&port->lock);
    port->is_posted = false;
    pthread_mutex_unlock(&port->lock);
    fq_port_unref(port);
}

static void
run_room(fq_job *job)
{
    fq_port *port = FQ_CONTAINER_OF(job, fq_port, room_job);
    pthread_mutex_lock(&port->lock);
    port->is_room_posted = false;
    pthread_mutex_unlock(&port->lock);
    if (port->peer != NULL)
        port->peer->ops->room(port->peer);
    fq_port_unref(port);
}

/* Less than 1/|part| of what may wait for a source is in the queue. */
static bool
is_short_locked(const fq_port *port, size_t part)
{
    const fq_queue *out = &port->out;
    size_t max_items = out->max_items < FQ_PORT_ROOM ? out->max_items
                                                     : FQ_PORT_ROOM;
    return out->n_items == 0
           || (out->n_items < max_items / part
               && out->n_bytes <= out->max_bytes / (2 * part));
}

size_t
fq_port_take(fq_port *port, fq_queue_item *items, size_t max, fq_close *pclose)
{
    pclose->code = 0;
    pthread_mutex_lock(&port->lock);
    size_t n_bytes = port->out.n_bytes;
    size_t n = fq_queue_take(&port->out, items, max);
    n_bytes -= port->out.n_bytes;
    if (port->out.n_items == 0)
        *pclose = port->close;
    bool tell_room = port->wants_room && !port->is_room_posted
                     && is_short_locked(port, 2);
    if (tell_room) {
        port->wants_room = false;
        port->is_room_posted = true;
    }
    pthread_mutex_unlock(&port->lock);
    if (n > 0)
        fq_backlog_take(port->backlog, n, n_bytes);
    if (tell_room) {
        fq_port_ref(port);
        if (fq_reactor_post(port->reactor, &port->room_job) != FQ_OK)
            fq_port_unref(port);
    }
    return n;
}

typedef struct flush_job {
    fq_job job;
    fq_ticket *done; /* one reference */
} flush_job;

static void
run_flush(fq_job *job)
{
    flush_job *self = FQ_CONTAINER_OF(job, flush_job, job);
    fq_ticket_complete(self->done, FQ_OK, NULL);
    fq_ticket_unref(self->done);
    fq_free(self);
}

fq_status
fq_port_flush(fq_port *port, fq_ticket *done)
{
    flush_job *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    self->job.run = run_flush;
    self->done = fq_ticket_ref(done);
    fq_status status = fq_reactor_post(port->reactor, &self->job);
    if (status != FQ_OK) {
        fq_ticket_unref(done);
        fq_free(self);
    }
    return status;
}

bool
fq_port_is_ready(fq_port *port)
{
    pthread_mutex_lock(&port->lock);
    bool is_ready = port->out.n_items > 0 || port->close.code != 0;
    pthread_mutex_unlock(&port->lock);
    return is_ready;
}

bool
fq_port_is_lost(fq_port *port)
{
    pthread_mutex_lock(&port->lock);
    bool is_lost = port->is_lost;
    pthread_mutex_unlock(&port->lock);
    return is_lost;
}

static void
run_disconnect(fq_job *job)
{
    fq_port *port = FQ_CONTAINER_OF(job, fq_port, disconnect_job);
    if (port->peer != NULL)
        port->peer->ops->disconnect(port->peer);
    FQ_CHECK(port->peer == NULL);
    if (port->done != NULL)
        fq_ticket_complete(port->done, FQ_OK, NULL);
    fq_port_unref(port);
}

void
fq_port_disconnect(fq_port *port, fq_ticket *done)
{
    if (fq_reactor_is_forked(port->reactor)) {
        if (done != NULL)
            fq_ticket_complete(done, FQ_ERR_CLOSED, NULL);
        fq_ticket_unref(done);
        return;
    }
    pthread_mutex_lock(&port->lock);
    bool is_first = !port->is_dead;
    port->is_dead = true;
    clear_out(port);
    pthread_mutex_unlock(&port->lock);
    if (is_first) {
        port->done = done;
        fq_port_ref(port);
        if (fq_reactor_post(port->reactor, &port->disconnect_job) == FQ_OK)
            return;
        port->done = NULL;
        fq_port_unref(port);
    }
    if (done != NULL)
        fq_ticket_complete(done, FQ_OK, NULL);
    fq_ticket_unref(done);
}

/* ── the peer's side ── */

static void
count_losses(fq_metrics *metrics, const fq_queue_losses *losses)
{
    uint32_t n = losses->n_oldest + losses->n_newest + losses->n_conflated;
    if (n == 0)
        return;
    FQ_METRIC_ADD(metrics, deliveries_dropped, n);
    FQ_METRIC_ADD(metrics, dropped_oldest, losses->n_oldest);
    FQ_METRIC_ADD(metrics, dropped_newest, losses->n_newest);
    FQ_METRIC_ADD(metrics, conflated, losses->n_conflated);
}

fq_status
fq_port_offer(fq_port *port, const fq_queue_item *item, fq_rcbuf *key,
              fq_metrics *metrics, bool is_delivery)
{
    FQ_ON_REACTOR(port->reactor);
    fq_queue_losses losses = {0};
    pthread_mutex_lock(&port->lock);
    fq_status status = FQ_ERR_CLOSED;
    bool post = false;
    if (!port->is_dead && port->close.code == 0) {
        int64_t n_items = port->out.n_items;
        size_t n_bytes = port->out.n_bytes;
        status = fq_queue_offer(&port->out, item, key, &losses);
        if (status == FQ_OK)
            post = mark_posted_locked(port);
        /* Under the lock, which whoever takes it has to have. */
        count_losses(metrics, &losses);
        if (status == FQ_OK && is_delivery)
            FQ_METRIC_ADD(metrics, deliveries, 1);
        fq_backlog_add(port->backlog, port->out.n_items - n_items,
                       (int64_t)(port->out.n_bytes - n_bytes));
    }
    pthread_mutex_unlock(&port->lock);
    if (post)
        post_mail(port);
    return status;
}

size_t
fq_port_purge(fq_port *port, uint64_t sub_id)
{
    pthread_mutex_lock(&port->lock);
    size_t n_bytes = port->out.n_bytes;
    size_t n = fq_queue_purge(&port->out, sub_id);
    if (n > 0)
        fq_backlog_add(port->backlog, -(int64_t)n,
                       (int64_t)(port->out.n_bytes - n_bytes));
    pthread_mutex_unlock(&port->lock);
    return n;
}

void
fq_port_close(fq_port *port, uint16_t code, fq_str reason, bool discard)
{
    FQ_CHECK(code != 0 && reason.len <= FQ_CLOSE_REASON_MAX);
    pthread_mutex_lock(&port->lock);
    bool post = false;
    if (!port->is_dead && port->close.code == 0) {
        port->close.code = code;
        port->close.reason_len = (uint8_t)reason.len;
        if (reason.len > 0)
            memcpy(port->close.reason, reason.ptr, reason.len);
        if (discard)
            clear_out(port);
        post = mark_posted_locked(port);
    }
    pthread_mutex_unlock(&port->lock);
    if (post)
        post_mail(port);
}

void
fq_port_lose(fq_port *port)
{
    pthread_mutex_lock(&port->lock);
    port->is_lost = true;
    bool post = mark_posted_locked(port);
    pthread_mutex_unlock(&port->lock);
    if (post)
        post_mail(port);
}

uint64_t
fq_port_let_go(fq_port *port, uint64_t now_ns)
{
    pthread_mutex_lock(&port->lock);
    uint64_t at_ns = fq_message_rate_go_on_ns(&port->message_rate, now_ns);
    bool post = false;
    if (at_ns <= now_ns) {
        at_ns = 0;
        port->is_held = false;
        post = !port->is_paused && mark_posted_locked(port);
    }
    pthread_mutex_unlock(&port->lock);
    if (post)
        post_mail(port);
    return at_ns;
}

bool
fq_port_has_room(fq_port *port, size_t n_items, size_t n_bytes)
{
    pthread_mutex_lock(&port->lock);
    const fq_queue *out = &port->out;
    bool is_one = n_items <= 1 && out->n_items == 0;
    bool fits = out->n_items + n_items <= out->max_items
                && n_bytes <= out->max_bytes / 4;
    bool has_room = is_one || (fits && is_short_locked(port, 1));
    if (!has_room)
        port->wants_room = true;
    pthread_mutex_unlock(&port->lock);
    return has_room;
}

void
fq_port_peer_gone(fq_port *port)
{
    port->peer = NULL;
    fq_port_unref(port);
}
