/* SPDX-License-Identifier: MIT */
/* The end of a service as its clients see it: nobody new is let in, and those
 * that are there are closed one after the other, so that they do not all come
 * back at the same moment. What has queued up for a client goes out before its
 * close. The service itself goes on: events are dispatched to whoever is
 * left. */
#ifndef FQ_REACTOR_DRAIN_H
#define FQ_REACTOR_DRAIN_H

#include "reactor/service.h"

/* Clients are closed at least this fast, and as much faster as it takes to
 * have closed all when three quarters of the window have passed. */
#define FQ_DRAIN_CLOSES_PER_S 1000

/* Refuses sessions from this call on, and closes those there are with |code|
 * and |reason| (at most FQ_CLOSE_REASON_MAX bytes). |done| (one more reference
 * is taken) is completed when all have gone, or |window_ns| after the first
 * call, with the number of those left in decimal as its text. A second call
 * joins the first one; after its end it is completed at once. Errors:
 * FQ_ERR_CLOSED, FQ_ERR_NOMEM; |done| is not completed then. Thread: any. */
fq_status
fq_service_drain(fq_service *service, uint16_t code, fq_str reason,
                 uint64_t window_ns, fq_ticket *done);

/* True from the first fq_service_drain() on. Thread: any. */
bool
fq_service_is_draining(const fq_service *service);

#endif
