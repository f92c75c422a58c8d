/* SPDX-License-Identifier: MIT */
/* Draining. Thread: reactor, but for the two doors.
 *
 * One deadline of the service paces it: each time it comes, as many clients
 * are closed as should be by then, and it is set anew some milliseconds ahead,
 * by chance, so that the moments are not those of other processes that were
 * told to stop together. When the walk has seen all, the same deadline is the
 * end of the window. Closing leaves a session as a shell, which the loop's
 * disconnect frees: the clients that have not gone are those shells. */
#include "reactor/drain.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "reactor/service_state.h"

/* Between two times that the deadline comes: this, and up to twice as much
 * more. */
#define PACE_NS (5 * FQ_NS_PER_MS)
/* Closed at a time, so that everybody else's jobs get their turn. */
#define SLICE 512

typedef struct drain_job {
    fq_job job;
    fq_list node;        /* in drain.waiting, once run */
    fq_service *service; /* one reference */
    fq_ticket *done;     /* one reference */
    uint64_t window_ns;
    fq_close close;
} drain_job;

static size_t
n_left(const fq_service *service)
{
    return atomic_load_explicit(&service->n_sessions, memory_order_relaxed);
}

static void
finish_job(drain_job *job, size_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%zu", n);
    fq_rcbuf *text;
    fq_status status = fq_rcbuf_new(fq_str_make(digits, (size_t)len), &text);
    fq_ticket_complete(job->done, status, text);
    fq_ticket_unref(job->done);
    fq_service_unref(job->service);
    fq_free(job);
}

/* Tells all who wait; may free the service, so the caller holds it. */
static void
finish(fq_service *service)
{
    fq_drain *drain = &service->drain;
    drain->state = FQ_DRAIN_OVER;
    fq_list_remove(&drain->place.node);
    fq_deadlines_set(&service->deadlines, &drain->pace, UINT64_MAX);
    size_t n = n_left(service);
    FQ_METRIC_ADD(&service->metrics, drain_left, n);
    fq_list *node;
    while ((node = fq_list_pop_front(&drain->waiting)) != NULL)
        finish_job(FQ_CONTAINER_OF(node, drain_job, node), n);
}

/* xorshift64: spreads, and need not be hard to guess. */
static uint64_t
next_random(fq_drain *drain)
{
    drain->random ^= drain->random << 13;
    drain->random ^= drain->random >> 7;
    drain->random ^= drain->random << 17;
    return drain->random;
}

static void
close_client(fq_drain *drain, fq_service_client *client)
{
    client->close(client, drain->close.code,
                  fq_str_make(drain->close.reason, drain->close.reason_len),
                  FQ_END_SHUTDOWN);
}

/* How many should be closed at |now_ns|. */
static size_t
n_due(const fq_drain *drain, uint64_t now_ns)
{
    if (now_ns >= drain->closed_by_ns)
        return SIZE_MAX;
    double share = (double)(now_ns - drain->began_ns)
                   / (double)(drain->closed_by_ns - drain->began_ns);
    return (size_t)(share * (double)drain->n_found);
}

/* Closes a slice of those that are due; *pis_behind: there are more. False
 * when all have been seen. */
static bool
close_due(fq_service *service, uint64_t now_ns, bool *pis_behind)
{
    fq_drain *drain = &service->drain;
    size_t due = n_due(drain, now_ns);
    *pis_behind = false;
    for (size_t n = 0; drain->n_closed < due; n++) {
        if (n == SLICE) {
            *pis_behind = true;
            return true;
        }
        fq_service_client *client = fq_service_next_client(service,
                                                           &drain->place);
        if (client == NULL)
            return false;
        if (client->close == NULL || client->who(client) == NULL)
            continue;
        drain->n_closed++;
        close_client(drain, client);
    }
    return true;
}

static void
on_pace(fq_deadline *deadline, uint64_t now_ns)
{
    fq_service *service = FQ_CONTAINER_OF(deadline, fq_service, drain.pace);
    fq_drain *drain = &service->drain;
    bool is_behind;
    if (drain->state == FQ_DRAIN_CLOSING
        && close_due(service, now_ns, &is_behind)) {
        uint64_t wait_ns = PACE_NS + next_random(drain) % (2 * PACE_NS);
        fq_deadlines_set(&service->deadlines, deadline,
                         is_behind ? now_ns : now_ns + wait_ns);
        return;
    }
    drain->state = FQ_DRAIN_CLOSED;
    if (now_ns >= drain->until_ns)
        finish(service);
    else
        fq_deadlines_set(&service->deadlines, deadline, drain->until_ns);
}

static void
begin(fq_service *service, const drain_job *job)
{
    fq_drain *drain = &service->drain;
    uint64_t now_ns = fq_clock_now_ns();
    uint64_t spread_ns = job->window_ns / 4 * 3;
    drain->n_found = n_left(service);
    uint64_t enough_ns = drain->n_found
                         * (FQ_NS_PER_S / FQ_DRAIN_CLOSES_PER_S);
    drain->state = FQ_DRAIN_CLOSING;
    drain->close = job->close;
    drain->began_ns = now_ns;
    drain->closed_by_ns = now_ns
                          + (enough_ns < spread_ns ? enough_ns : spread_ns);
    drain->until_ns = now_ns + job->window_ns;
    /* The address tells processes apart that began in the same moment. */
    drain->random = (now_ns ^ (uintptr_t)service) | 1;
    fq_list_push_back(service->clients.next, &drain->place.node);
    on_pace(&drain->pace, now_ns);
}

static void
run_drain(fq_job *job)
{
    drain_job *self = FQ_CONTAINER_OF(job, drain_job, job);
    fq_service *service = fq_service_ref(self->service);
    fq_drain *drain = &service->drain;
    if (service->is_closed || drain->state == FQ_DRAIN_OVER) {
        finish_job(self, n_left(service));
    } else {
        fq_list_push_back(&drain->waiting, &self->node);
        if (drain->state == FQ_DRAIN_NONE)
            begin(service, self);
        fq_drain_note_gone(service);
    }
    fq_service_unref(service);
}

/* ── for the service's own files ── */

void
fq_drain_init(fq_service *service)
{
    fq_drain *drain = &service->drain;
    atomic_init(&drain->is_on, false);
    drain->pace.expire = on_pace;
    fq_timer_init(&drain->pace.timer);
    fq_list_init(&drain->place.node);
    fq_list_init(&drain->waiting);
}

void
fq_drain_close_late(fq_service *service, fq_service_client *client)
{
    /* Between the door and its job there is no close to be had yet; the walk
     * will come by. */
    if (service->drain.state != FQ_DRAIN_NONE)
        close_client(&service->drain, client);
}

void
fq_drain_note_gone(fq_service *service)
{
    fq_drain *drain = &service->drain;
    if (drain->state == FQ_DRAIN_NONE || drain->state == FQ_DRAIN_OVER
        || n_left(service) > 0)
        return;
    fq_service_ref(service);
    finish(service);
    fq_service_unref(service);
}

void
fq_drain_end(fq_service *service)
{
    if (service->drain.state != FQ_DRAIN_NONE
        && service->drain.state != FQ_DRAIN_OVER)
        finish(service);
}

/* ── doors ── */

fq_status
fq_service_drain(fq_service *service, uint16_t code, fq_str reason,
                 uint64_t window_ns, fq_ticket *done)
{
    FQ_CHECK(code != 0 && reason.len <= FQ_CLOSE_REASON_MAX);
    drain_job *job = fq_alloc_zero(sizeof(*job));
    if (job == NULL)
        return FQ_ERR_NOMEM;
    job->job.run = run_drain;
    fq_list_init(&job->node);
    job->service = fq_service_ref(service);
    job->done = fq_ticket_ref(done);
    job->window_ns = window_ns;
    job->close.code = code;
    job->close.reason_len = (uint8_t)reason.len;
    if (reason.len > 0)
        memcpy(job->close.reason, reason.ptr, reason.len);
    /* Relaxed: whoever is let in all the same is found by the walk, or looks
     * again on the reactor. */
    atomic_store_explicit(&service->drain.is_on, true, memory_order_relaxed);
    fq_status status = fq_reactor_post(service->reactor, &job->job);
    if (status == FQ_OK)
        return FQ_OK;
    fq_ticket_unref(done);
    fq_service_unref(service);
    fq_free(job);
    return status;
}

bool
fq_service_is_draining(const fq_service *service)
{
    return atomic_load_explicit(&service->drain.is_on, memory_order_relaxed);
}
