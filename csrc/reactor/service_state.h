/* SPDX-License-Identifier: MIT */
/* The inside of a service, for the reactor's own files: what a session or a
 * feed of it needs to reach. Thread: reactor, but for the counts. */
#ifndef FQ_REACTOR_SERVICE_STATE_H
#define FQ_REACTOR_SERVICE_STATE_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/timers.h"
#include "bus/bus.h"
#include "reactor/memory_guard.h"
#include "reactor/service.h"

/* Whoever belongs to the service and must end with it. Embedded in sessions
 * and feeds. */
typedef struct fq_service_client {
    fq_list node; /* in service->clients */
    /* Ends and frees the client; its port closes |code| |reason|. NULL: no
     * client, but the place of a walk. */
    void (*end)(struct fq_service_client *client, uint16_t code, fq_str reason,
                fq_end_reason why);
    /* Who it is; NULL: it has ended, and is there still. */
    const fq_security_context *(*who)(struct fq_service_client *client);
    const fq_rcbuf *connection_id; /* the port's */
} fq_service_client;

/* Something to be done at a time: a client that has not said who it is, an
 * authentication that takes too long, one that has run out. */
typedef struct fq_service_deadline {
    fq_timer timer; /* in service->deadlines; fq_timer_init() it first */
    void (*expire)(struct fq_service_deadline *deadline, uint64_t now_ns);
} fq_service_deadline;

struct fq_service {
    _Atomic uint32_t n_refs;
    fq_reactor *reactor;     /* one memory reference */
    fq_publisher *publisher; /* one reference */
    fq_limits limits;
    fq_auth_settings auth;
    bool has_init_hook;
    uint64_t
        subscribe_token; /* of who is asked about subscriptions; 0: none */
    void *owner;         /* loop: the Python side; NULL before and after */
    fq_security_context *anonymous; /* who clients are that nobody
                                     * authenticates; one reference */
    uint64_t execute_token;         /* of queries and mutations; 0: nobody's */
    uint64_t introspect_token; /* of queries for the schema, if |introspect|
                                * says so */
    fq_introspect introspect;
    fq_persisted *persisted;      /* or NULL */
    fq_metrics metrics;           /* any thread reads */
    fq_backlog *backlog;          /* of all its ports; one reference */
    _Atomic size_t n_connections; /* let in and not freed yet; any thread */
    /* reactor only from here */
    fq_memory_guard memory;
    bool is_closed;
    bool has_told_unhandled; /* FQ_CALL_UNHANDLED was sent */
    fq_engine *engine;       /* NULL once closed */
    fq_bus_listener listener;
    fq_list clients;
    fq_timers deadlines;
    uv_timer_t timer;       /* for the first of deadlines; one reference */
    uint64_t timer_at_ns;   /* when it fires; UINT64_MAX: it does not */
    fq_job open_job;        /* one reference while on its way */
    fq_job run_job;         /* continues a dispatch; likewise */
    bool is_running;        /* run_job is on its way, the publisher is held */
    uint64_t event_came_ns; /* when the event came that is dispatched */
};

void
fq_service_add_client(fq_service *service, fq_service_client *client);

/* FQ_OK, or FQ_ERR_LIMIT with what the client reads added to |errors|: the
 * process has no memory for another subscription. Counted. */
fq_status
fq_service_admit_memory(fq_service *service, fq_gql_errors *errors);

/* Calls |deadline| once at |at_ns| or soon after, instead of when it was asked
 * for before. UINT64_MAX: never. O(log n). */
void
fq_service_set_deadline(fq_service *service, fq_service_deadline *deadline,
                        uint64_t at_ns);

#endif
