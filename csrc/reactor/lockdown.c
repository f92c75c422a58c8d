/* SPDX-License-Identifier: MIT */
/* Lockdown: a walk over all clients, as those of management.c, whose job and
 * place are the service's own. What it has closed is an empty shell in the
 * list, and not met again. Thread: reactor. */
#include "reactor/lockdown.h"

#include "base/clock.h"
#include "reactor/service_state.h"

/* Looked at before everybody else gets a turn, see management.c. */
#define SLICE 512

static const fq_str reason = FQ_STR("Connect again");

static void
stop(fq_service *service)
{
    fq_lockdown *self = &service->lockdown;
    if (!self->is_on)
        return;
    self->is_on = false;
    fq_list_remove(&service->lockdown_place.node);
    fq_publisher_resume(service->publisher);
}

static void
close_one(fq_service *service, fq_service_client *client)
{
    /* What the application made itself has no connection to come back by. */
    if (client->close == NULL || client->who(client) == NULL)
        return;
    service->lockdown.n_closed++;
    client->close(client, 1012, reason, FQ_END_CLOSED);
}

static void
run(fq_job *job)
{
    fq_service *service = FQ_CONTAINER_OF(job, fq_service, lockdown.job);
    fq_service_client *client = NULL;
    while (service->lockdown.is_on) {
        for (size_t n = 0; n < SLICE; n++) {
            client = fq_service_next_client(service, &service->lockdown_place);
            if (client == NULL)
                break;
            close_one(service, client);
        }
        if (client == NULL)
            break;
        if (fq_reactor_post(service->reactor, job) == FQ_OK)
            return;
    }
    if (service->lockdown.is_on)
        fq_notices_add(fq_publisher_notices(service->publisher),
                       fq_clock_now_ns(),
                       "orders to disconnect clients may have been lost: %zu "
                       "connections were closed, for their clients to "
                       "authenticate again",
                       service->lockdown.n_closed);
    stop(service);
    fq_service_unref(service);
}

void
fq_lockdown_init(fq_service *service)
{
    service->lockdown.job.run = run;
    fq_list_init(&service->lockdown_place.node);
}

void
fq_lockdown_begin(fq_service *service)
{
    fq_lockdown *self = &service->lockdown;
    if (service->is_closed)
        return;
    FQ_METRIC_ADD(&service->metrics, control_lockdowns, 1);
    fq_list_remove(&service->lockdown_place.node);
    fq_list_push_back(service->clients.next, &service->lockdown_place.node);
    if (self->is_on)
        return;
    self->is_on = true;
    self->n_closed = 0;
    fq_publisher_hold(service->publisher);
    fq_service_ref(service);
    if (fq_reactor_post(service->reactor, &self->job) != FQ_OK)
        self->job.run(&self->job);
}

void
fq_lockdown_end(fq_service *service)
{
    stop(service);
}
