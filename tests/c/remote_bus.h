/* SPDX-License-Identifier: MIT */
/* A bus with a server that is the test: it says when the bus is up and what
 * becomes of each event. Everything here runs on the reactor, through
 * remote_bus_do(). Header only. */
#ifndef FQ_TESTS_REMOTE_BUS_H
#define FQ_TESTS_REMOTE_BUS_H

#include <semaphore.h>
#include <stdio.h>

#include "base/check.h"
#include "bus/bus.h"
#include "reactor/publisher.h"
#include "support.h"

typedef struct remote_bus {
    fq_bus bus;
    uv_timer_t timer; /* something to close */
    fq_list given;    /* not answered, oldest first */
    char log[2048];   /* the channels in the order given */
    unsigned n_answered;
    bool is_held;
    void (*stopped_cb)(void *arg);
    void *stopped_arg;
} remote_bus;

static inline remote_bus *
remote_bus_of(fq_bus *bus)
{
    return FQ_CONTAINER_OF(bus, remote_bus, bus);
}

static inline void
remote_bus_start(fq_bus *bus, uv_loop_t *loop)
{
    uv_timer_init(loop, &remote_bus_of(bus)->timer);
    fq_bus_set_state(bus, FQ_BUS_CONNECTING, NULL);
}

static inline void
remote_bus_publish(fq_bus *bus, fq_bus_publication *publication)
{
    remote_bus *self = remote_bus_of(bus);
    FQ_CHECK(bus->state == FQ_BUS_UP);
    fq_list_push_back(&self->given, &publication->node);
    strcat(self->log, publication->event->channel->bytes);
}

/* Answers the oldest. */
static inline void
remote_bus_answer(remote_bus *self, fq_status status, const char *message)
{
    fq_list *node = fq_list_pop_front(&self->given);
    FQ_CHECK(node != NULL);
    fq_bus_publication *publication = FQ_CONTAINER_OF(node, fq_bus_publication,
                                                      node);
    if (status == FQ_OK)
        snprintf(publication->id, sizeof(publication->id), "id-%u",
                 ++self->n_answered);
    fq_error error;
    if (message != NULL)
        (void)fq_error_set(&error, status, FQ_ERROR_NO_POS, "%s", message);
    publication->done_cb(publication, status, message != NULL ? &error : NULL);
}

static inline void
remote_bus_say(remote_bus *self, fq_bus_state state, const char *message)
{
    fq_error error;
    if (message != NULL)
        (void)fq_error_set(&error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS, "%s",
                           message);
    fq_bus_set_state(&self->bus, state, message != NULL ? &error : NULL);
}

static inline void
remote_bus_closed(uv_handle_t *handle)
{
    remote_bus *self = FQ_CONTAINER_OF((uv_timer_t *)handle, remote_bus,
                                       timer);
    self->stopped_cb(self->stopped_arg);
}

static inline void
remote_bus_stop(fq_bus *bus, void (*stopped_cb)(void *arg), void *arg)
{
    remote_bus *self = remote_bus_of(bus);
    self->stopped_cb = stopped_cb;
    self->stopped_arg = arg;
    fq_bus_set_state(bus, FQ_BUS_CLOSED, NULL);
    while (!fq_list_is_empty(&self->given))
        remote_bus_answer(self, FQ_ERR_CLOSED, "closed");
    uv_close((uv_handle_t *)&self->timer, remote_bus_closed);
}

static inline void
remote_bus_hold(fq_bus *bus)
{
    remote_bus_of(bus)->is_held = true;
}

static inline void
remote_bus_resume(fq_bus *bus)
{
    remote_bus_of(bus)->is_held = false;
}

static inline void
remote_bus_free(fq_bus *bus)
{
    fq_free(remote_bus_of(bus));
}

static const fq_bus_ops remote_bus_ops = {
    .bus_type = "remote",
    .publish = remote_bus_publish,
    .start = remote_bus_start,
    .stop = remote_bus_stop,
    .hold = remote_bus_hold,
    .resume = remote_bus_resume,
    .free = remote_bus_free,
};

static inline remote_bus *
remote_bus_new(void)
{
    remote_bus *self = fq_alloc_zero(sizeof(*self));
    assert_non_null(self);
    fq_bus_init(&self->bus, &remote_bus_ops);
    fq_list_init(&self->given);
    return self;
}

typedef struct remote_bus_errand {
    fq_job job;
    void (*act)(remote_bus *bus, void *arg);
    remote_bus *bus;
    void *arg;
    sem_t done;
} remote_bus_errand;

static inline void
remote_bus_run(fq_job *job)
{
    remote_bus_errand *self = FQ_CONTAINER_OF(job, remote_bus_errand, job);
    if (self->act != NULL)
        self->act(self->bus, self->arg);
    sem_post(&self->done);
}

/* Runs |act| (NULL: nothing) on the reactor, behind what was posted before,
 * and waits for it. */
static inline void
remote_bus_do(fq_reactor *reactor, remote_bus *bus,
              void (*act)(remote_bus *bus, void *arg), void *arg)
{
    remote_bus_errand self = {
        .job.run = remote_bus_run, .act = act, .bus = bus, .arg = arg};
    sem_init(&self.done, 0, 0);
    assert_int_equal(fq_reactor_post(reactor, &self.job), FQ_OK);
    while (sem_wait(&self.done) != 0)
        ;
    sem_destroy(&self.done);
}

#endif
