/* SPDX-License-Identifier: MIT */
/* The publishers' door. Accepting runs on any thread under one lock, which
 * makes the order of ids the order of the inbox; giving to the bus runs on
 * the reactor, one event after the other. */
#include "reactor/publisher.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"

/* One event between the door and the bus. */
typedef struct publication {
    fq_job job;
    fq_list node;            /* in publisher->accepted */
    fq_publisher *publisher; /* one reference */
    fq_event *event;         /* one reference */
    fq_ticket *ticket;       /* one reference, or NULL */
    fq_publish_wait wait;
    size_t n_bytes;
    uint64_t came_ns; /* at the door */
} publication;

/* Somebody who waits for room. */
typedef struct waiter {
    fq_list node;
    fq_ticket *ticket; /* one reference */
} waiter;

struct fq_publisher {
    _Atomic uint32_t n_refs;
    fq_reactor *reactor; /* one memory reference */
    fq_bus *bus;
    pthread_mutex_t lock; /* guards the next five; held while posting */
    bool is_closed;
    size_t n_waiting; /* accepted and not yet given to the bus */
    size_t n_waiting_bytes;
    uint64_t n_published; /* ever accepted */
    fq_list waiters;
    fq_list accepted;     /* reactor: publications held back, oldest first */
    unsigned n_holds;     /* reactor */
    bool is_pumping;      /* reactor: guards against re-entry */
    fq_histogram latency; /* any thread */
};

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
free_publication(publication *self)
{
    if (self->event != NULL)
        fq_event_unref(self->event);
    fq_ticket_unref(self->ticket);
    fq_publisher_unref(self->publisher);
    fq_free(self);
}

static void
give_to_bus(publication *self)
{
    fq_publisher *publisher = self->publisher;
    if (self->ticket != NULL && self->wait == FQ_PUBLISH_DONE) {
        self->event->done_cb = complete_done;
        self->event->done_arg = fq_ticket_ref(self->ticket);
    }
    fq_status status = publisher->bus->ops->publish(publisher->bus,
                                                    self->event, NULL);
    if (status == FQ_OK)
        fq_histogram_add(&publisher->latency,
                         fq_clock_now_ns() - self->came_ns);
    if (self->ticket != NULL
        && (status != FQ_OK || self->wait == FQ_PUBLISH_ACCEPTED))
        fq_ticket_complete(self->ticket, status, NULL);
    note_given(publisher, self->n_bytes);
    free_publication(self);
}

/* Gives what was accepted to the bus until an engine asks for a pause. */
static void
pump(fq_publisher *publisher)
{
    if (publisher->is_pumping)
        return;
    publisher->is_pumping = true;
    fq_publisher_ref(publisher);
    while (publisher->n_holds == 0) {
        fq_list *node = fq_list_pop_front(&publisher->accepted);
        if (node == NULL)
            break;
        give_to_bus(FQ_CONTAINER_OF(node, publication, node));
    }
    publisher->is_pumping = false;
    fq_publisher_unref(publisher);
}

static void
run_publication(fq_job *job)
{
    publication *self = FQ_CONTAINER_OF(job, publication, job);
    fq_list_push_back(&self->publisher->accepted, &self->node);
    pump(self->publisher);
}

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

fq_status
fq_publisher_publish(fq_publisher *publisher, fq_event *event,
                     fq_publish_wait wait, fq_ticket *ticket, fq_ticket *room,
                     char *id)
{
    id[0] = '\0';
    if (fq_reactor_is_forked(publisher->reactor))
        return FQ_ERR_CLOSED;
    publication *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    self->job.run = run_publication;
    fq_list_init(&self->node);
    self->publisher = fq_publisher_ref(publisher);
    self->event = event;
    self->ticket = ticket == NULL ? NULL : fq_ticket_ref(ticket);
    self->wait = wait;
    self->n_bytes = event->data->len;
    self->came_ns = fq_clock_now_ns();

    pthread_mutex_lock(&publisher->lock);
    fq_status status = FQ_OK;
    if (publisher->is_closed) {
        status = FQ_ERR_CLOSED;
    } else if (is_full_locked(publisher, self->n_bytes)) {
        status = FQ_ERR_FULL;
        if (room != NULL && wait_for_room_locked(publisher, room) != FQ_OK)
            status = FQ_ERR_NOMEM;
    } else {
        publisher->n_waiting++;
        publisher->n_waiting_bytes += self->n_bytes;
        if (publisher->bus->ops->stamp != NULL)
            publisher->bus->ops->stamp(publisher->bus, event);
        /* The event is the reactor's once posted: read its id before. */
        memcpy(id, event->id, FQ_EVENT_ID_MAX);
        status = fq_reactor_post(publisher->reactor, &self->job);
        if (status == FQ_OK) {
            publisher->n_published++;
        } else {
            publisher->n_waiting--;
            publisher->n_waiting_bytes -= self->n_bytes;
            id[0] = '\0';
        }
    }
    pthread_mutex_unlock(&publisher->lock);
    if (status != FQ_OK) {
        self->event = NULL; /* stays the caller's */
        free_publication(self);
    }
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
    publisher->is_closed = true;
    fq_list_splice(&waiters, &publisher->waiters);
    pthread_mutex_unlock(&publisher->lock);
    tell_waiters(&waiters, FQ_ERR_CLOSED);
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

const fq_histogram *
fq_publisher_latency(const fq_publisher *publisher)
{
    return &publisher->latency;
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
    publisher->n_holds++;
}

void
fq_publisher_resume(fq_publisher *publisher)
{
    FQ_ON_REACTOR(publisher->reactor);
    FQ_CHECK(publisher->n_holds > 0);
    if (--publisher->n_holds == 0)
        pump(publisher);
}
