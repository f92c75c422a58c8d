/* SPDX-License-Identifier: MIT */
/* Outages. A gap is told slice by slice; until all know of it no event is
 * delivered, so that each subscription hears of the gap where it is. Thread:
 * reactor. */
#include "reactor/outage.h"

#include <string.h>

#include "base/clock.h"
#include "json/utf8.h"
#include "reactor/service_state.h"

/* Told before everybody else gets a turn, see management.c. */
#define SLICE 512

fq_status
fq_outage_admit(fq_service *service, fq_gql_errors *errors)
{
    if (fq_publisher_bus(service->publisher)->state == FQ_BUS_UP)
        return FQ_OK;
    FQ_METRIC_ADD(&service->metrics, refused_bus_unavailable, 1);
    fq_gql_errors_add(errors, "BUS_UNAVAILABLE",
                      "The event bus cannot be reached; try again later.");
    return FQ_ERR_SYSTEM;
}

/* ── gaps ── */

static void
stop_telling(fq_service *service)
{
    if (!service->outage.is_telling)
        return;
    service->outage.is_telling = false;
    fq_publisher_resume(service->publisher);
}

static void
run_tell(fq_job *job)
{
    fq_service *service = FQ_CONTAINER_OF(job, fq_service, outage.job);
    fq_outage *self = &service->outage;
    while (!service->is_closed) {
        /* What was delivered before is before the gap. */
        if (fq_engine_n_events_waiting(service->engine) > 0
            && fq_reactor_post(service->reactor, job) == FQ_OK)
            return;
        fq_sub *sub = NULL;
        for (size_t n = 0; n < SLICE; n++) {
            sub = fq_engine_next_sub(service->engine, &self->iter);
            if (sub == NULL)
                break;
            self->n_told += fq_engine_tell_gap(service->engine, sub);
        }
        if (sub == NULL)
            break;
        if (fq_reactor_post(service->reactor, job) == FQ_OK)
            return;
    }
    if (!service->is_closed) {
        fq_notices_add(fq_publisher_notices(service->publisher),
                       fq_clock_now_ns(),
                       "events were lost (%s); %zu subscriptions were told",
                       self->reason, self->n_told);
        fq_control_note_gap(service);
    }
    stop_telling(service);
    fq_service_unref(service);
}

/* One that comes while another is being told begins anew: who has heard of
 * that one hears of this one as well. */
static void
on_gap(fq_bus_watcher *watcher, fq_str reason)
{
    fq_service *service = FQ_CONTAINER_OF(watcher, fq_service, outage.watcher);
    fq_outage *self = &service->outage;
    reason = fq_utf8_truncate(reason, sizeof(self->reason) - 1);
    memcpy(self->reason, reason.ptr, reason.len);
    self->reason[reason.len] = '\0';
    self->iter = 0;
    if (self->is_telling)
        return;
    self->is_telling = true;
    self->n_told = 0;
    fq_publisher_hold(service->publisher);
    fq_service_ref(service);
    if (fq_reactor_post(service->reactor, &self->job) != FQ_OK)
        self->job.run(&self->job);
}

/* ── life ── */

void
fq_outage_init(fq_outage *self)
{
    fq_list_init(&self->watcher.node);
    self->watcher.gap_cb = on_gap;
    self->job.run = run_tell;
}

void
fq_outage_end(fq_service *service)
{
    fq_bus_unwatch(&service->outage.watcher);
    stop_telling(service);
}
