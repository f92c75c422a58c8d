/* SPDX-License-Identifier: MIT */
/* Looking at what is live in a service, and ending it: walks over all of its
 * subscriptions or clients, in slices, so that events go on being dispatched
 * in between. What comes or goes meanwhile may be seen or not. Doors: any
 * thread. */
#ifndef FQ_REACTOR_MANAGEMENT_H
#define FQ_REACTOR_MANAGEMENT_H

#include "engine/filter/filter.h"
#include "engine/security/context.h"
#include "reactor/service.h"

/* Whom a walk is about: all that is given must be so; ptr NULL: not given.
 * Copied. */
typedef struct fq_live_query {
    fq_str user_id;
    fq_str tenant_id;
    fq_str connection_id;
    fq_str channel; /* for subscriptions only */
} fq_live_query;

/* Whether |query| is about who is |context| (NULL: nobody), whatever the
 * channel. Thread: any. */
bool
fq_live_query_matches(const fq_live_query *query,
                      const fq_security_context *context,
                      fq_str connection_id);

/* |done| (one more reference is taken) is completed with a JSON array of at
 * most |limit| objects: subscription_id, connection_id, query, operation_name,
 * variables, user_id, tenant_id, channels, created_at, last_event_at; the
 * times are nanoseconds since 1970, texts that are not there null. Errors, here
 * and of |done|: FQ_ERR_CLOSED, FQ_ERR_NOMEM. */
fq_status
fq_service_list_subs(fq_service *service, const fq_live_query *query,
                     size_t limit, fq_ticket *done);

/* Closes clients with |code| and |reason| (cut to what a close may carry);
 * what is queued for them goes, feeds end as well. |done| is completed with
 * their number, in decimal. Errors as above. */
fq_status
fq_service_disconnect(fq_service *service, const fq_live_query *query,
                      uint16_t code, fq_str reason, fq_ticket *done);

/* Ends the subscriptions that |where| is true of, whatever the event, with an
 * error FORBIDDEN; what is queued of them goes. |done| is completed with their
 * number. Errors as above; a subscription for which |where| cannot be decided
 * for want of memory is ended. */
fq_status
fq_service_invalidate(fq_service *service, fq_filter *where, fq_ticket *done);

/* ── for orders of other instances; thread: reactor ──
 * While these two walk, nothing is delivered: what was published behind an
 * order reaches nobody it is about. Errors: FQ_ERR_CLOSED, FQ_ERR_NOMEM:
 * nothing is done. */
fq_status
fq_management_disconnect(fq_service *service, const fq_live_query *query,
                         uint16_t code, fq_str reason);
fq_status
fq_management_invalidate(fq_service *service, fq_filter *where);

/* Called once with what fq_service_list_subs() completes its ticket with;
 * |text| is the callee's, or NULL. */
typedef void (*fq_management_cb)(fq_service *service, void *arg,
                                 fq_status status, fq_rcbuf *text,
                                 bool is_whole);

/* The same for who cannot wait. The array ends, and is not whole, where the
 * next object would make it longer than |max_bytes|. |arg| stays until the
 * callback, which comes unless this fails. */
fq_status
fq_management_list(fq_service *service, const fq_live_query *query,
                   size_t limit, size_t max_bytes, fq_management_cb done_cb,
                   void *arg);

#endif
