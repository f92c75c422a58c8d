/* SPDX-License-Identifier: MIT */
/* The publishers' door. Accepting runs on any thread under one lock, which
 * makes the order of ids the order of the inbox; giving to the bus runs on
 * the reactor, one event after the other.
 *
 * The embedded bus answers at once. Of others, many events are under way at a
 * time and stay at the door until the answer; one that comes back because the
 * connection was not what it seemed waits in |returned|, before all others, so
 * that the order is kept. */
#include "reactor/publisher.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "reactor/bus_log.h"
#include "reactor/link.h"

struct batch;

/* One event between the door and the bus. */
typedef struct publication {
    fq_job job;
    fq_bus_publication sent; /* with one reference on the event; its node is in
                              * publisher->accepted or ->returned while the bus
                              * does not have it */
    struct batch *batch;     /* that it is part of, or NULL */
    fq_publisher *publisher; /* one reference, or the batch's */
    fq_ticket *ticket;       /* one reference, or NULL */
    fq_deadline deadline;    /* set if the bus answers later */
    uint64_t until_ns;
    fq_publish_wait wait;
    bool is_given;    /* the bus has it */
    bool is_told;     /* of a batch: what became of it is known */
    bool has_failed;  /* who waited was told, and it was counted */
    bool is_reserved; /* it is no event of a publisher, and not counted */
    size_t n_bytes;
    uint64_t came_ns; /* at the door */
} publication;

/* Events that came together, with one job and one ticket for all of them, which
 * is what makes many of them cheap. */
typedef struct batch {
    fq_job job;
    fq_publisher *publisher; /* one reference */
    fq_ticket *ticket;       /* one reference; NULL once it is completed */
    size_t n_items;
    size_t n_untold; /* of these */
    size_t n_held; /* likewise, by the door or the bus; freed with the last */
    fq_status status; /* of the first that failed */
    fq_rcbuf *reason; /* likewise; NULL: none given */
    publication items[];
} batch;

/* Somebody who wants to know when the bus is up. */
typedef struct up_request {
    fq_job job;
    fq_publisher *publisher; /* one reference */
    fq_ticket *ticket;       /* one reference */
    uint64_t until_ns;
} up_request;

/* Somebody who waits for room. */
typedef struct waiter {
    fq_list node;
    fq_ticket *ticket; /* one reference */
} waiter;

struct fq_publisher {
    _Atomic uint32_t n_refs;
    fq_reactor *reactor; /* one memory reference */
    fq_bus *bus;
    fq_notices *notices;  /* one reference; NULL: the bus has no server */
    pthread_mutex_t lock; /* guards the next five; held while posting */
    bool is_closed;
    size_t n_waiting; /* accepted and not yet given to the bus */
    size_t n_waiting_bytes;
    uint64_t n_published; /* ever accepted */
    fq_list waiters;
    fq_histogram latency;      /* any thread */
    _Atomic uint64_t n_failed; /* relaxed: a number */
    fq_job start_job;          /* one reference while it is on its way */
    fq_job stop_job;           /* likewise */
    /* reactor only from here */
    fq_list accepted; /* publications held back, oldest first */
    fq_list returned; /* likewise, older than these */
    unsigned n_holds;
    bool is_pumping;  /* guards against re-entry */
    bool is_stopping; /* once what waits is gone, the bus is stopped */
    fq_link link;     /* to a bus that connects; one reference meanwhile */
    fq_bus_log log;   /* of one */
};

/* A bus that has to be connected, delivers what comes from its server and says
 * later that an event is there. */
static bool
is_remote(const fq_publisher *publisher)
{
    return publisher->bus->ops->start != NULL;
}

static void
run_start(fq_job *job);
static void
run_stop(fq_job *job);

fq_status
fq_publisher_new(fq_reactor *reactor, fq_bus *bus, fq_publisher **ppublisher)
{
    *ppublisher = NULL;
    fq_publisher *publisher = fq_alloc_zero(sizeof(*publisher));
    if (publisher == NULL)
        return FQ_ERR_NOMEM;
    if (pthread_mutex_init(&publisher->lock, NULL) != 0) {
        fq_free(publisher);
        return FQ_ERR_NOMEM;
    }
    atomic_init(&publisher->n_refs, 1);
    publisher->reactor = fq_reactor_ref(reactor);
    publisher->bus = bus;
    fq_list_init(&publisher->waiters);
    fq_list_init(&publisher->accepted);
    fq_list_init(&publisher->returned);
    atomic_init(&publisher->n_failed, 0);
    publisher->start_job.run = run_start;
    publisher->stop_job.run = run_stop;
    if (is_remote(publisher)) {
        fq_publisher_ref(publisher); /* until the link has stopped */
        fq_status status = fq_notices_new(&publisher->notices);
        if (status == FQ_OK)
            status = fq_reactor_post(reactor, &publisher->start_job);
        if (status != FQ_OK) {
            fq_notices_unref(publisher->notices);
            pthread_mutex_destroy(&publisher->lock);
            fq_reactor_unref(reactor);
            fq_free(publisher);
            return status;
        }
    }
    *ppublisher = publisher;
    return FQ_OK;
}

fq_publisher *
fq_publisher_ref(fq_publisher *publisher)
{
    atomic_fetch_add_explicit(&publisher->n_refs, 1, memory_order_relaxed);
    return publisher;
}

/* Tells everybody in |waiters| (taken out of the publisher) to try again. */
static void
tell_waiters(fq_list *waiters, fq_status status)
{
    FQ_LIST_FOREACH(node, waiters)
    {
        waiter *self = FQ_CONTAINER_OF(node, waiter, node);
        fq_list_remove(node);
        fq_ticket_complete(self->ticket, status, NULL);
        fq_ticket_unref(self->ticket);
        fq_free(self);
    }
}

void
fq_publisher_unref(fq_publisher *publisher)
{
    if (publisher == NULL)
        return;
    /* acq_rel: the last one sees what every other reference did. */
    if (atomic_fetch_sub_explicit(&publisher->n_refs, 1, memory_order_acq_rel)
        != 1)
        return;
    tell_waiters(&publisher->waiters, FQ_ERR_CLOSED);
    fq_bus_free(publisher->bus);
    fq_notices_close(publisher->notices);
    fq_notices_unref(publisher->notices);
    pthread_mutex_destroy(&publisher->lock);
    fq_reactor_unref(publisher->reactor);
    fq_free(publisher);
}

static bool
is_full_locked(const fq_publisher *publisher, size_t n_bytes)
{
    if (publisher->n_waiting == 0)
        return false;
    return publisher->n_waiting >= FQ_PUBLISHER_EVENTS_MAX
           || publisher->n_waiting_bytes + n_bytes > FQ_PUBLISHER_BYTES_MAX;
}

/* An event has left the door; wakes those who wait once half is free. */
static void
note_given(fq_publisher *publisher, size_t n_bytes)
{
    fq_list waiters;
    fq_list_init(&waiters);
    pthread_mutex_lock(&publisher->lock);
    publisher->n_waiting--;
    publisher->n_waiting_bytes -= n_bytes;
    if (publisher->n_waiting <= FQ_PUBLISHER_EVENTS_MAX / 2
        && publisher->n_waiting_bytes <= FQ_PUBLISHER_BYTES_MAX / 2)
        fq_list_splice(&waiters, &publisher->waiters);
    pthread_mutex_unlock(&publisher->lock);
    tell_waiters(&waiters, FQ_OK);
}

static void
complete_done(fq_event *event, void *arg)
{
    (void)event;
    fq_ticket *ticket = arg;
    fq_ticket_complete(ticket, FQ_OK, NULL);
    fq_ticket_unref(ticket);
}

static void
free_batch(batch *self)
{
    fq_ticket_unref(self->ticket);
    fq_rcbuf_unref(self->reason);
    fq_publisher_unref(self->publisher);
    fq_free(self);
}

static void
free_publication(publication *self)
{
    if (self->sent.event != NULL)
        fq_event_unref(self->sent.event);
    if (self->batch != NULL) {
        if (--self->batch->n_held == 0)
            free_batch(self->batch);
        return;
    }
    fq_ticket_unref(self->ticket);
    fq_publisher_unref(self->publisher);
    fq_free(self);
}

static publication *
publication_of(fq_list *node)
{
    return FQ_CONTAINER_OF(FQ_CONTAINER_OF(node, fq_bus_publication, node),
                           publication, sent);
}

/* ── the answer ── */

/* `<reason>\0<id>\0<id>\0`; NULL without memory. */
static fq_rcbuf *
batch_text(const batch *self)
{
    fq_buf buf = FQ_BUF_INIT;
    fq_rcbuf *text = NULL;
    if (self->reason != NULL)
        fq_buf_append_str(&buf, fq_rcbuf_str(self->reason));
    fq_buf_append_char(&buf, '\0');
    for (size_t i = 0; i < self->n_items; i++) {
        const publication *item = &self->items[i];
        if (!item->has_failed)
            fq_buf_append_str(&buf, fq_str_of(item->sent.id));
        fq_buf_append_char(&buf, '\0');
    }
    (void)fq_buf_to_rcbuf(&buf, &text);
    fq_buf_fini(&buf);
    return text;
}

/* What became of |item| is known; |reason| is stolen. With the last of them
 * who waits is told, while one whose time was up may still be under way. */
static void
tell_batch(publication *item, fq_status status, fq_rcbuf *reason)
{
    batch *self = item->batch;
    if (status != FQ_OK && self->status == FQ_OK) {
        self->status = status;
        self->reason = reason;
        reason = NULL;
    }
    fq_rcbuf_unref(reason);
    if (item->is_told)
        return;
    item->is_told = true;
    if (--self->n_untold > 0)
        return;
    fq_rcbuf *text = batch_text(self);
    fq_ticket_complete(self->ticket,
                       self->status == FQ_OK && text == NULL ? FQ_ERR_NOMEM
                                                             : self->status,
                       text);
    fq_ticket_unref(self->ticket);
    self->ticket = NULL;
}

/* Tells who waits, once; |text| is stolen. */
static void
tell(publication *self, fq_status status, fq_rcbuf *text)
{
    if (status != FQ_OK && !self->has_failed && !self->is_reserved)
        atomic_fetch_add_explicit(&self->publisher->n_failed, 1,
                                  memory_order_relaxed);
    self->has_failed = status != FQ_OK;
    if (self->batch != NULL) {
        tell_batch(self, status, text);
        return;
    }
    if (self->ticket != NULL)
        fq_ticket_complete(self->ticket, status, text);
    else
        fq_rcbuf_unref(text);
    fq_ticket_unref(self->ticket);
    self->ticket = NULL;
}

/* The bus does not have it, or not any more. Comes before who waits is told,
 * who finds its room free. */
static void
leave_door(publication *self)
{
    fq_publisher *publisher = self->publisher;
    fq_list_remove(&self->sent.node);
    if (is_remote(publisher))
        fq_deadlines_set(&publisher->link.deadlines, &self->deadline,
                         UINT64_MAX);
    note_given(publisher, self->n_bytes);
}

static fq_rcbuf *
copy_text(const char *text)
{
    fq_rcbuf *copy;
    (void)fq_rcbuf_new(fq_str_of(text), &copy);
    return copy;
}

static void
stop_if_done(fq_publisher *publisher);

static void
on_answer(fq_bus_publication *sent, fq_status status, const fq_error *error)
{
    publication *self = FQ_CONTAINER_OF(sent, publication, sent);
    fq_publisher *publisher = self->publisher;
    self->is_given = false;
    if (status == FQ_ERR_AGAIN && self->until_ns <= fq_clock_now_ns())
        status = FQ_ERR_TIMEOUT;
    if (status == FQ_ERR_AGAIN) {
        fq_list_push_back(&publisher->returned, &sent->node);
        return;
    }
    leave_door(self);
    if (status == FQ_OK) {
        if (!self->is_reserved)
            fq_histogram_add(&publisher->latency,
                             fq_clock_now_ns() - self->came_ns);
        if (self->batch != NULL) {
            if (!is_remote(publisher))
                memcpy(sent->id, sent->event->id, FQ_EVENT_ID_MAX);
            tell(self, FQ_OK, NULL);
        } else if (self->ticket != NULL && self->wait == FQ_PUBLISH_ACCEPTED) {
            tell(self, FQ_OK,
                 is_remote(publisher) ? copy_text(sent->id) : NULL);
        }
    } else {
        tell(self, status, error == NULL ? NULL : copy_text(error->message));
    }
    free_publication(self);
}

static void
on_deadline(fq_deadline *deadline, uint64_t now_ns)
{
    publication *self = FQ_CONTAINER_OF(deadline, publication, deadline);
    fq_publisher *publisher = self->publisher;
    (void)now_ns;
    if (self->is_given) {
        tell(self, FQ_ERR_TIMEOUT,
             copy_text("the bus did not answer in time; whether it has taken "
                       "the event is not known"));
        return;
    }
    fq_publisher_ref(publisher);
    leave_door(self);
    tell(self, FQ_ERR_TIMEOUT,
         fq_link_explain(publisher->bus,
                         "the bus did not take the event in time"));
    free_publication(self);
    stop_if_done(publisher);
    fq_publisher_unref(publisher);
}

/* ── to the bus ── */

static void
give_to_bus(publication *self)
{
    fq_publisher *publisher = self->publisher;
    if (self->ticket != NULL && self->wait == FQ_PUBLISH_DONE) {
        self->sent.event->done_cb = complete_done;
        self->sent.event->done_arg = fq_ticket_ref(self->ticket);
    }
    self->is_given = true;
    publisher->bus->ops->publish(publisher->bus, &self->sent);
}

/* Whether the bus takes events now: while an engine holds the embedded one,
 * which delivers what it is given, it does not. */
static bool
may_give(const fq_publisher *publisher)
{
    if (is_remote(publisher))
        return publisher->bus->state == FQ_BUS_UP;
    return publisher->n_holds == 0;
}

/* Gives what was accepted to the bus as long as it takes it. */
static void
pump(fq_publisher *publisher)
{
    if (publisher->is_pumping)
        return;
    publisher->is_pumping = true;
    fq_publisher_ref(publisher);
    while (may_give(publisher)) {
        fq_list *node = fq_list_pop_front(&publisher->returned);
        if (node == NULL)
            node = fq_list_pop_front(&publisher->accepted);
        if (node == NULL)
            break;
        give_to_bus(publication_of(node));
    }
    publisher->is_pumping = false;
    fq_publisher_unref(publisher);
}

/* It is in the hands of the reactor. */
static void
accept_now(publication *self)
{
    fq_publisher *publisher = self->publisher;
    fq_list_push_back(&publisher->accepted, &self->sent.node);
    if (is_remote(publisher))
        fq_deadlines_set(&publisher->link.deadlines, &self->deadline,
                         self->until_ns);
}

static void
run_publication(fq_job *job)
{
    publication *self = FQ_CONTAINER_OF(job, publication, job);
    fq_publisher *publisher = self->publisher;
    accept_now(self);
    pump(publisher);
}

static void
run_batch(fq_job *job)
{
    batch *self = FQ_CONTAINER_OF(job, batch, job);
    fq_publisher *publisher = self->publisher;
    for (size_t i = 0; i < self->n_items; i++)
        accept_now(&self->items[i]);
    pump(publisher);
}

/* ── a bus that connects ── */

/* Ends |list|, which the bus does not have. */
static void
refuse_all(fq_publisher *publisher, fq_list *list)
{
    fq_list *node;
    while ((node = fq_list_pop_front(list)) != NULL) {
        publication *self = publication_of(node);
        leave_door(self);
        tell(self, FQ_ERR_CLOSED,
             fq_link_explain(publisher->bus, "the bus was closed"));
        free_publication(self);
    }
}

/* Stops the bus, if that was asked for and nobody waits for it to come up. */
static void
stop_if_done(fq_publisher *publisher)
{
    bool is_waiting = !fq_list_is_empty(&publisher->accepted)
                      || !fq_list_is_empty(&publisher->returned);
    if (!publisher->is_stopping
        || (publisher->bus->state == FQ_BUS_CONNECTING && is_waiting))
        return;
    publisher->is_stopping = false;
    fq_publisher_ref(publisher);
    refuse_all(publisher, &publisher->returned);
    refuse_all(publisher, &publisher->accepted);
    fq_link_stop(&publisher->link);
    fq_publisher_unref(publisher);
}

static void
on_link_state(fq_link *link)
{
    fq_publisher *publisher = FQ_CONTAINER_OF(link, fq_publisher, link);
    pump(publisher);
    stop_if_done(publisher);
}

static void
on_link_stopped(fq_link *link)
{
    fq_publisher *publisher = FQ_CONTAINER_OF(link, fq_publisher, link);
    fq_bus_log_end(&publisher->log);
    fq_notices_close(publisher->notices);
    fq_publisher_unref(publisher);
}

static void
run_start(fq_job *job)
{
    fq_publisher *publisher = FQ_CONTAINER_OF(job, fq_publisher, start_job);
    publisher->link.state_cb = on_link_state;
    publisher->link.stopped_cb = on_link_stopped;
    fq_bus_log_begin(&publisher->log, publisher->bus, publisher->notices);
    fq_link_start(&publisher->link, publisher->bus,
                  fq_reactor_loop(publisher->reactor));
}

static void
run_stop(fq_job *job)
{
    fq_publisher *publisher = FQ_CONTAINER_OF(job, fq_publisher, stop_job);
    publisher->is_stopping = true;
    stop_if_done(publisher);
    fq_publisher_unref(publisher);
}

static void
run_await_up(fq_job *job)
{
    up_request *self = FQ_CONTAINER_OF(job, up_request, job);
    if (is_remote(self->publisher))
        fq_link_await(&self->publisher->link, self->until_ns, self->ticket);
    else
        fq_ticket_complete(self->ticket, FQ_OK, NULL);
    fq_ticket_unref(self->ticket);
    fq_publisher_unref(self->publisher);
    fq_free(self);
}

fq_status
fq_publisher_await_up(fq_publisher *publisher, uint64_t until_ns,
                      fq_ticket *ticket)
{
    up_request *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    self->job.run = run_await_up;
    self->publisher = fq_publisher_ref(publisher);
    self->ticket = fq_ticket_ref(ticket);
    self->until_ns = until_ns;
    fq_status status = fq_reactor_post(publisher->reactor, &self->job);
    if (status != FQ_OK) {
        fq_ticket_unref(ticket);
        fq_publisher_unref(publisher);
        fq_free(self);
    }
    return status;
}

bool
fq_publisher_answers_later(const fq_publisher *publisher)
{
    return is_remote(publisher);
}

/* ── the door ── */

/* Puts |room| among those told when there is room. */
static fq_status
wait_for_room_locked(fq_publisher *publisher, fq_ticket *room)
{
    waiter *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    self->ticket = fq_ticket_ref(room);
    fq_list_push_back(&publisher->waiters, &self->node);
    return FQ_OK;
}

static void
init_publication(publication *self, fq_publisher *publisher, fq_event *event,
                 uint64_t until_ns, uint64_t now_ns)
{
    fq_list_init(&self->sent.node);
    self->sent.event = event;
    self->sent.done_cb = on_answer;
    self->publisher = publisher;
    fq_timer_init(&self->deadline.timer);
    self->deadline.expire = on_deadline;
    self->until_ns = until_ns;
    self->n_bytes = event->data->len;
    self->is_reserved = event->is_reserved;
    self->came_ns = now_ns;
}

/* Lets |self| in. FQ_ERR_FULL, FQ_ERR_CLOSED. */
static fq_status
enter_locked(fq_publisher *publisher, const publication *self)
{
    if (publisher->is_closed)
        return FQ_ERR_CLOSED;
    if (is_full_locked(publisher, self->n_bytes))
        return FQ_ERR_FULL;
    publisher->n_waiting++;
    publisher->n_waiting_bytes += self->n_bytes;
    if (publisher->bus->ops->stamp != NULL)
        publisher->bus->ops->stamp(publisher->bus, self->sent.event);
    return FQ_OK;
}

/* What entered did not get to the reactor. */
static void
go_back_locked(fq_publisher *publisher, const publication *self)
{
    publisher->n_waiting--;
    publisher->n_waiting_bytes -= self->n_bytes;
}

fq_status
fq_publisher_publish(fq_publisher *publisher, fq_event *event,
                     fq_publish_wait wait, uint64_t until_ns,
                     fq_ticket *ticket, fq_ticket *room, char *id)
{
    id[0] = '\0';
    if (fq_reactor_is_forked(publisher->reactor))
        return FQ_ERR_CLOSED;
    publication *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    init_publication(self, fq_publisher_ref(publisher), event, until_ns,
                     fq_clock_now_ns());
    self->job.run = run_publication;
    self->ticket = ticket == NULL ? NULL : fq_ticket_ref(ticket);
    /* What an event causes elsewhere is not waited for. */
    self->wait = is_remote(publisher) ? FQ_PUBLISH_ACCEPTED : wait;
    bool is_reserved = event->is_reserved;

    pthread_mutex_lock(&publisher->lock);
    fq_status status = enter_locked(publisher, self);
    if (status == FQ_OK) {
        /* The event is the reactor's once posted: read its id before. */
        memcpy(id, event->id, FQ_EVENT_ID_MAX);
        status = fq_reactor_post(publisher->reactor, &self->job);
        if (status == FQ_OK) {
            publisher->n_published += !is_reserved;
        } else {
            go_back_locked(publisher, self);
            id[0] = '\0';
        }
    } else if (status == FQ_ERR_FULL && room != NULL
               && wait_for_room_locked(publisher, room) != FQ_OK) {
        status = FQ_ERR_NOMEM;
    }
    pthread_mutex_unlock(&publisher->lock);
    if (status != FQ_OK) {
        self->sent.event = NULL; /* stays the caller's */
        free_publication(self);
    }
    return status;
}

/* Lets in as many as there is room for, in their order, and sends them on: on
 * FQ_OK |self| is the reactor's. */
static fq_status
enter_all_locked(fq_publisher *publisher, batch *self, fq_ticket *room,
                 size_t *pn_taken)
{
    fq_status status = FQ_OK;
    size_t n = 0;
    while (n < self->n_items && status == FQ_OK) {
        status = enter_locked(publisher, &self->items[n]);
        n += status == FQ_OK;
    }
    if (n == 0) {
        if (status == FQ_ERR_FULL && room != NULL
            && wait_for_room_locked(publisher, room) != FQ_OK)
            status = FQ_ERR_NOMEM;
        return status;
    }
    self->n_items = self->n_untold = self->n_held = n;
    status = fq_reactor_post(publisher->reactor, &self->job);
    if (status == FQ_OK) {
        publisher->n_published += n;
        *pn_taken = n;
        return FQ_OK;
    }
    for (size_t i = 0; i < n; i++)
        go_back_locked(publisher, &self->items[i]);
    return status;
}

fq_status
fq_publisher_publish_all(fq_publisher *publisher, fq_event *const *events,
                         size_t n_events, uint64_t until_ns, fq_ticket *ticket,
                         fq_ticket *room, size_t *pn_taken)
{
    *pn_taken = 0;
    FQ_CHECK(n_events > 0 && n_events <= FQ_PUBLISHER_BATCH_MAX);
    if (fq_reactor_is_forked(publisher->reactor))
        return FQ_ERR_CLOSED;
    batch *self = fq_alloc_zero(sizeof(*self)
                                + n_events * sizeof(self->items[0]));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    self->job.run = run_batch;
    self->publisher = fq_publisher_ref(publisher);
    self->ticket = fq_ticket_ref(ticket);
    self->n_items = n_events;
    self->status = FQ_OK;
    uint64_t now_ns = fq_clock_now_ns();
    for (size_t i = 0; i < n_events; i++) {
        init_publication(&self->items[i], publisher, events[i], until_ns,
                         now_ns);
        self->items[i].batch = self;
        self->items[i].wait = FQ_PUBLISH_ACCEPTED;
    }
    pthread_mutex_lock(&publisher->lock);
    fq_status status = enter_all_locked(publisher, self, room, pn_taken);
    pthread_mutex_unlock(&publisher->lock);
    if (status != FQ_OK)
        free_batch(self);
    return status;
}

void
fq_publisher_close(fq_publisher *publisher)
{
    if (fq_reactor_is_forked(publisher->reactor))
        return;
    fq_list waiters;
    fq_list_init(&waiters);
    pthread_mutex_lock(&publisher->lock);
    bool was_closed = publisher->is_closed;
    publisher->is_closed = true;
    fq_list_splice(&waiters, &publisher->waiters);
    pthread_mutex_unlock(&publisher->lock);
    tell_waiters(&waiters, FQ_ERR_CLOSED);
    if (was_closed || !is_remote(publisher))
        return;
    fq_publisher_ref(publisher);
    if (fq_reactor_post(publisher->reactor, &publisher->stop_job) != FQ_OK)
        fq_publisher_unref(publisher);
}

typedef struct position_job {
    fq_job job;
    fq_publisher *publisher; /* one reference */
    fq_ticket *done;         /* likewise */
} position_job;

static void
run_position(fq_job *job)
{
    position_job *self = FQ_CONTAINER_OF(job, position_job, job);
    fq_bus *bus = self->publisher->bus;
    fq_rcbuf *position = NULL;
    fq_status status = FQ_ERR_SYSTEM;
    if (bus->ops->position != NULL)
        status = bus->ops->position(bus, &position);
    fq_ticket_complete(self->done, status, position);
    fq_ticket_unref(self->done);
    fq_publisher_unref(self->publisher);
    fq_free(self);
}

fq_status
fq_publisher_position(fq_publisher *publisher, fq_ticket *done)
{
    if (fq_reactor_is_forked(publisher->reactor))
        return FQ_ERR_CLOSED;
    position_job *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    self->job.run = run_position;
    self->publisher = fq_publisher_ref(publisher);
    self->done = fq_ticket_ref(done);
    fq_status status = fq_reactor_post(publisher->reactor, &self->job);
    if (status == FQ_OK)
        return FQ_OK;
    fq_ticket_unref(done);
    fq_publisher_unref(publisher);
    fq_free(self);
    return status;
}

void
fq_publisher_n_history(const fq_publisher *publisher, uint64_t *pn_events,
                       uint64_t *pn_bytes)
{
    const fq_bus *bus = publisher->bus;
    *pn_events = atomic_load_explicit(&bus->history_events,
                                      memory_order_relaxed);
    *pn_bytes = atomic_load_explicit(&bus->history_bytes,
                                     memory_order_relaxed);
}

void
fq_publisher_abandon(fq_publisher *publisher)
{
    FQ_CHECK(fq_reactor_is_forked(publisher->reactor));
    if (publisher->bus->ops->abandon != NULL)
        publisher->bus->ops->abandon(publisher->bus);
}

size_t
fq_publisher_n_waiting(fq_publisher *publisher)
{
    pthread_mutex_lock(&publisher->lock);
    size_t n = publisher->n_waiting;
    pthread_mutex_unlock(&publisher->lock);
    return n;
}

uint64_t
fq_publisher_n_published(fq_publisher *publisher)
{
    pthread_mutex_lock(&publisher->lock);
    uint64_t n = publisher->n_published;
    pthread_mutex_unlock(&publisher->lock);
    return n;
}

uint64_t
fq_publisher_n_failed(const fq_publisher *publisher)
{
    return atomic_load_explicit(&publisher->n_failed, memory_order_relaxed);
}

const fq_histogram *
fq_publisher_latency(const fq_publisher *publisher)
{
    return &publisher->latency;
}

fq_notices *
fq_publisher_notices(const fq_publisher *publisher)
{
    return publisher->notices;
}

fq_bus *
fq_publisher_bus(fq_publisher *publisher)
{
    return publisher->bus;
}

void
fq_publisher_hold(fq_publisher *publisher)
{
    FQ_ON_REACTOR(publisher->reactor);
    if (publisher->n_holds++ == 0 && is_remote(publisher))
        publisher->bus->ops->hold(publisher->bus);
}

void
fq_publisher_resume(fq_publisher *publisher)
{
    FQ_ON_REACTOR(publisher->reactor);
    FQ_CHECK(publisher->n_holds > 0);
    if (--publisher->n_holds > 0)
        return;
    if (is_remote(publisher))
        publisher->bus->ops->resume(publisher->bus);
    else
        pump(publisher);
}
