/* SPDX-License-Identifier: MIT */
/* One manager or executor as the reactor sees it: an engine on a bus, the
 * sessions and feeds that belong to it, its limits and metrics. Functions are
 * doors: any thread, unless they say reactor. */
#ifndef FQ_REACTOR_SERVICE_H
#define FQ_REACTOR_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/engine.h"
#include "engine/field.h"
#include "engine/metrics.h"
#include "engine/persisted.h"
#include "reactor/admission.h"
#include "reactor/mailbox.h"
#include "reactor/port.h"
#include "reactor/publisher.h"
#include "reactor/reactor.h"
#include "reactor/ticket.h"

typedef struct fq_service fq_service;

/* What a client or a subscription may use; every number can be set. */
typedef struct fq_limits {
    size_t queue_max_items;   /* messages waiting in one session's queue */
    size_t queue_max_bytes;   /* their bytes */
    size_t message_max_bytes; /* one message of a client */
    size_t event_max_bytes;   /* one event's data */
    size_t max_subscriptions_per_connection;
    uint64_t init_timeout_ns; /* for connection_init */
    uint64_t
        keep_alive_ns; /* between two signs of life; and of silence, before
                             * a client is asked whether it is there. 0: there
                             * are none, and nobody is asked or given up */
    uint64_t keep_alive_timeout_ns; /* for its answer, and for a close */
    fq_admission_limits admission;  /* of connections, in all and by address */
    size_t max_connections_per_user;
    double messages_per_s; /* of one client; reading pauses beyond it. 0: no
                            * maximum */
    size_t messages_burst; /* at once; ten times it in excess is a 1008 */
    size_t memory_limit;   /* resident bytes of the process beyond which
                            * nobody may subscribe; 0: 80 % of what there
                            * is */
    fq_engine_limits engine;
} fq_limits;

/* The defaults of DESIGN section 5. */
extern const fq_limits fq_limits_default;

/* How clients say who they are. */
typedef struct fq_auth_settings {
    uint64_t token;           /* of the handler; 0: nobody asks */
    uint64_t timeout_ns;      /* for its answer */
    uint64_t expiry_grace_ns; /* between the end of a context and the close */
    uint16_t expiry_code;     /* of that close */
} fq_auth_settings;

/* Makes a service on |publisher|'s bus. |has_init_hook|: connection_init goes
 * to Python as a FQ_CALL_INIT. One reference. The caller keeps |reactor| in
 * use (fq_reactor_use) until fq_service_close is done. Errors:
 * FQ_ERR_CLOSED, FQ_ERR_NOMEM. */
fq_status
fq_service_new(fq_reactor *reactor, fq_publisher *publisher,
               const fq_limits *limits, bool has_init_hook,
               fq_service **pservice);
fq_service *
fq_service_ref(fq_service *service);
void
fq_service_unref(fq_service *service);

/* Who executes queries and mutations: they go to Python as a FQ_CALL_EXECUTE
 * with |token|, which is not 0. To be called before the first session is
 * opened. */
void
fq_service_set_execute(fq_service *service, uint64_t token);

/* Who decides about clients. With a token the service has an init hook. To be
 * called before the first session is opened. */
void
fq_service_set_auth(fq_service *service, const fq_auth_settings *auth);

/* Tells Python of connections, by a FQ_CALL_INIT, and, with a token, asks it
 * about subscriptions, by a FQ_CALL_SUBSCRIBE with that. To be called before
 * the first session is opened. */
void
fq_service_set_hooks(fq_service *service, uint64_t subscribe_token);

/* What becomes of queries that ask for the schema. FQ_INTROSPECT_BY: those
 * that ask for nothing else go to Python with |token|, not to who executes. To
 * be called before the first session is opened. */
typedef enum fq_introspect {
    FQ_INTROSPECT_EXECUTE, /* queries like others; before any call */
    FQ_INTROSPECT_BY,
    FQ_INTROSPECT_REFUSE,
} fq_introspect;

void
fq_service_set_introspect(fq_service *service, fq_introspect introspect,
                          uint64_t token);

/* What clients may name by hash; stolen. To be called before the first
 * session is opened, once. */
void
fq_service_steal_persisted(fq_service *service, fq_persisted *persisted);

/* Serves |schema| (stolen, on every path; NULL: none) from now on, see
 * fq_engine_steal_schema(). Whoever calls must hold its only reference, as
 * the count is not atomic. Errors: FQ_ERR_CLOSED, FQ_ERR_NOMEM. */
fq_status
fq_service_steal_schema(fq_service *service, fq_schema *schema,
                        bool serve_undeclared);

/* Judges all who subscribe from now on by the policy |text| (stolen, on every
 * path), see fq_engine_steal_policy(). |done| (one more reference is taken) is
 * completed with what that returns. Errors: FQ_ERR_CLOSED, FQ_ERR_NOMEM. */
fq_status
fq_service_steal_policy(fq_service *service, yyjson_doc *text,
                        fq_ticket *done);

/* Declares a field; it holds for all who subscribe later. |done| (one more
 * reference is taken; may be NULL) is completed with FQ_OK, FQ_ERR_EXISTS or
 * FQ_ERR_NOMEM. Errors: FQ_ERR_CLOSED, FQ_ERR_NOMEM. */
fq_status
fq_service_field_add(fq_service *service, const fq_field *field,
                     fq_ticket *done);

/* Ends everything: sessions close |code| |reason| behind what is queued,
 * feeds end, the bus is left, the engine freed. |done| (one more reference is
 * taken; may be NULL) is completed then. Harmless twice. Errors:
 * FQ_ERR_CLOSED (the reactor has stopped or was left behind by a fork),
 * FQ_ERR_NOMEM; |done| is not completed then. */
fq_status
fq_service_close(fq_service *service, uint16_t code, fq_str reason,
                 fq_ticket *done);

/* The Python side, or NULL; guarded by the GIL. Thread: loop. */
void
fq_service_set_owner(fq_service *service, void *owner);
void *
fq_service_owner(const fq_service *service);

/* The answer to a call for a class of subscriptions; |call| is borrowed.
 * Thread: reactor. */
struct fq_call;
void
fq_service_answer_shared(fq_service *service, struct fq_call *call);

const fq_metrics *
fq_service_metrics(const fq_service *service);
/* What waits in the queues of all clients: messages, and the bytes of their
 * texts, a shared one as often as it waits. */
void
fq_service_n_queued(const fq_service *service, uint64_t *pn_items,
                    uint64_t *pn_bytes);
/* Who may come in; lives as long as the service. */
fq_admission *
fq_service_admission(fq_service *service);
/* Counts a request of a page that may not connect. */
void
fq_service_count_origin(fq_service *service);
const fq_limits *
fq_service_limits(const fq_service *service);
fq_reactor *
fq_service_reactor(const fq_service *service);
fq_publisher *
fq_service_publisher(const fq_service *service);

/* How many listen on |channel|: |done| (one more reference is taken) is
 * completed with the number in decimal as its text. Errors: FQ_ERR_CLOSED,
 * FQ_ERR_NOMEM. */
fq_status
fq_service_count(fq_service *service, fq_str channel, fq_ticket *done);

#endif
