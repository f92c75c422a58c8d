/* SPDX-License-Identifier: MIT */
/* The inside of a session, for the files that make it up: session.c (its
 * callbacks and its life), operation.c (what clients start), authentication.c
 * (who they are) and liveness.c (whether they are there). Thread: reactor. */
#ifndef FQ_REACTOR_SESSION_STATE_H
#define FQ_REACTOR_SESSION_STATE_H

#include "protocol/protocol.h"
#include "reactor/service_state.h"
#include "reactor/session.h"

typedef struct fq_session {
    fq_port_peer peer;
    fq_sink sink;
    fq_protocol protocol;
    fq_service_client client;
    fq_deadline deadline;         /* set by fq_authentication_arm */
    fq_service *service;          /* one reference */
    fq_port *port;                /* the peer's reference */
    fq_security_context *context; /* who the client is; one reference */
    uint64_t asked_until_ns; /* an authentication is with Python, which has
                              * until then; UINT64_MAX: none is */
    uint64_t asked_orders;   /* orders to disconnect clients by then */
    uint64_t expires_ns;     /* when |context| ends or, once is_expired, the
                              * session; UINT64_MAX: never */
    bool is_expired;         /* nothing is delivered */
    uint64_t heard_ns;   /* when the client spoke last; liveness.c's, as are */
    uint64_t look_at_ns; /* when to look again; UINT64_MAX: never */
    bool is_pinged;      /* and has said nothing since */
    fq_user *user;     /* of |context|, counted there until the session closes;
                    * NULL: nobody in particular */
    fq_deadline go_on; /* reading was paused until then */
    fq_visitor *visitor; /* counted in the service's admission; may be NULL */
    fq_rcbuf *next_ping; /* authorization that waits for the answer to the
                              * one before, JSON; NULL: none */
    fq_job open_job;
    uint32_t n_executions; /* ever; 2^32 calls are not under way at a time */
    uint64_t opened_at_ns;
    fq_end_reason end_reason; /* of its subscriptions, when it is closed */
} fq_session;

/* Queues |text| (one reference, given away) for the client; one that does not
 * read is closed for it, so look at protocol.state afterwards. */
void
fq_session_send(fq_session *session, fq_rcbuf *text);

#endif
