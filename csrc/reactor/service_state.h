/* SPDX-License-Identifier: MIT */
/* The inside of a service, for the reactor's own files: what a session or a
 * feed of it needs to reach. Thread: reactor, but for the counts. */
#ifndef FQ_REACTOR_SERVICE_STATE_H
#define FQ_REACTOR_SERVICE_STATE_H

#include <stdatomic.h>

#include "base/list.h"
#include "bus/bus.h"
#include "reactor/control.h"
#include "reactor/deadlines.h"
#include "reactor/lockdown.h"
#include "reactor/memory_guard.h"
#include "reactor/orders.h"
#include "reactor/outage.h"
#include "reactor/service.h"

/* Whoever belongs to the service and must end with it. Embedded in sessions
 * and feeds. */
typedef struct fq_service_client {
    fq_list node; /* in service->clients */
    /* Ends and frees the client; its port closes |code| |reason|. NULL: no
     * client, but the place of a walk. */
    void (*end)(struct fq_service_client *client, uint16_t code, fq_str reason,
                fq_end_reason why);
    /* Closes it, to be freed when its port is disconnected, as it must be.
     * NULL: it is no connection, and ends with the service. */
    void (*close)(struct fq_service_client *client, uint16_t code,
                  fq_str reason, fq_end_reason why);
    /* Who it is; NULL: it has ended, and is there still. */
    const fq_security_context *(*who)(struct fq_service_client *client);
    const fq_rcbuf *connection_id; /* the port's */
} fq_service_client;

typedef enum fq_drain_state {
    FQ_DRAIN_NONE,
    FQ_DRAIN_CLOSING, /* one client after the other */
    FQ_DRAIN_CLOSED,  /* all, of which some have not gone */
    FQ_DRAIN_OVER,
} fq_drain_state;

/* The inside of drain.c. */
typedef struct fq_drain {
    _Atomic bool is_on; /* any thread: asked for */
    fq_drain_state state;
    fq_deadline pace;        /* when to go on, or the end of the window */
    fq_service_client place; /* of the walk, CLOSING only */
    fq_list waiting;         /* who is told of the end */
    fq_close close;
    uint64_t began_ns;
    uint64_t closed_by_ns; /* when the last one is to be closed */
    uint64_t until_ns;     /* the end of the window */
    size_t n_found;        /* connections when it began */
    size_t n_closed;
    uint64_t random; /* never 0 */
} fq_drain;

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
    fq_persisted *persisted;   /* or NULL */
    fq_metrics metrics;        /* any thread reads */
    fq_backlog *backlog;       /* of all its ports; one reference */
    _Atomic size_t n_sessions; /* opened and not freed yet; any thread */
    fq_admission admission;    /* counts who is in; any thread */
    /* reactor only from here */
    fq_memory_guard memory;
    bool is_closed;
    bool has_told_unhandled; /* FQ_CALL_UNHANDLED was sent */
    fq_engine *engine;       /* NULL once closed */
    fq_bus_listener listener;
    fq_outage outage;
    fq_control control;
    fq_orders orders; /* to disconnect clients */
    fq_lockdown lockdown;
    fq_service_client lockdown_place; /* of its walk */
    fq_list clients;
    fq_drain drain;
    fq_deadlines deadlines; /* of its clients; one reference while open */
    fq_job open_job;        /* one reference while on its way */
    fq_job run_job;         /* continues a dispatch; likewise */
    fq_job replay_job;      /* lets those go on who catch up; likewise */
    bool is_running;        /* run_job is on its way, the publisher is held */
    uint64_t event_came_ns; /* when the event came that is dispatched */
};

void
fq_service_add_client(fq_service *service, fq_service_client *client);

/* The client behind |place|, a client without functions in the list of the
 * service, which moves on; NULL at the end. */
fq_service_client *
fq_service_next_client(fq_service *service, fq_service_client *place);

/* FQ_OK, or FQ_ERR_LIMIT with what the client reads added to |errors|: the
 * process has no memory for another subscription. Counted. */
fq_status
fq_service_admit_memory(fq_service *service, fq_gql_errors *errors);

/* ── in drain.c ── */

void
fq_drain_init(fq_service *service);

/* Closes |client|, which came too late for the walk. */
void
fq_drain_close_late(fq_service *service, fq_service_client *client);

/* A client has gone. */
void
fq_drain_note_gone(fq_service *service);

/* The service ends: nobody is waited for any more. */
void
fq_drain_end(fq_service *service);

#endif
