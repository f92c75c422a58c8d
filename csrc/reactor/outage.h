/* SPDX-License-Identifier: MIT */
/* What clients are told of a bus that fails them: that it cannot be reached
 * now, to who subscribes, and that events were lost, to who is subscribed.
 * Thread: reactor, but for init. */
#ifndef FQ_REACTOR_OUTAGE_H
#define FQ_REACTOR_OUTAGE_H

#include <stdbool.h>

#include "base/status.h"
#include "bus/bus.h"
#include "graphql/errors.h"
#include "reactor/reactor.h"

/* Part of the service. */
typedef struct fq_outage {
    fq_bus_watcher watcher;
    fq_job job;      /* tells the next slice; one reference on its way */
    size_t iter;     /* as fq_engine_next_sub has it */
    bool is_telling; /* the publisher is held meanwhile */
    size_t n_told;   /* subscriptions, since it began */
    char reason[FQ_ERROR_MESSAGE_MAX]; /* of the gap, for the log */
} fq_outage;

/* Thread: any. */
void
fq_outage_init(fq_outage *self);

struct fq_service;

/* FQ_OK, or FQ_ERR_SYSTEM with what who subscribes reads added to |errors|: the
 * bus is not up. Counted. */
fq_status
fq_outage_admit(struct fq_service *service, fq_gql_errors *errors);

/* The service ends: nobody is told any more. */
void
fq_outage_end(struct fq_service *service);

#endif
