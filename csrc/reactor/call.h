/* SPDX-License-Identifier: MIT */
/* A request from the reactor to Python on an event loop, and its answer: one
 * block of memory that travels there as mail and back as a job. Sending gives
 * it away in both directions. */
#ifndef FQ_REACTOR_CALL_H
#define FQ_REACTOR_CALL_H

#include <stdint.h>

#include "base/rcbuf.h"
#include "bus/event.h"
#include "engine/engine.h"
#include "reactor/mailbox.h"
#include "reactor/port.h"
#include "reactor/reactor.h"

typedef enum fq_call_kind {
    FQ_CALL_INIT,    /* connection_init: data is its payload or NULL, token
                      * that of the auth handler or 0 */
    FQ_CALL_RENEW,   /* a ping with an authorization: data is its payload */
    FQ_CALL_RESOLVE, /* the value of an event */
    FQ_CALL_SHARED,  /* the same for a class of subscriptions */
    FQ_CALL_INITIAL, /* the first value of a subscription that will have events */
    FQ_CALL_NEXT,    /* the next value of a source, started when first asked */
    FQ_CALL_CANCEL,    /* the subscription ended: cancel what runs for it and
                      * close its source. Not answered: free it */
    FQ_CALL_EXECUTE,   /* a query or mutation: data is the request's payload */
    FQ_CALL_SUBSCRIBE, /* may a subscription start? data is the request's
                        * payload */
    FQ_CALL_ENDED,     /* one that SUBSCRIBE let in, of the same sub_id, has
                        * ended. Not answered: free it */
    FQ_CALL_UNHANDLED, /* one came and nothing executes it: for the log, once
                        * per service. Not answered: free it */
} fq_call_kind;

typedef struct fq_call {
    fq_mail mail; /* kind FQ_MAIL_CALL */
    fq_job job;   /* the way back */
    fq_call_kind kind;
    fq_port *port;                /* one reference; port->owner finds Python.
                                * NULL for SHARED and its CANCEL, which are
                                * nobody's in particular: */
    struct fq_service *service;   /* one reference; fq_service_owner() finds
                                 * Python. NULL where there is a port */
    fq_mailbox *mailbox;          /* one reference; likewise */
    fq_sub_id sub_id;             /* 0 for INIT; for EXECUTE, and the CANCEL of
                                * one, what the session names it by: no
                                * subscription has that id; for SHARED, and
                                * the CANCEL of one, the class's id */
    uint64_t called_ns;           /* RESOLVE and SHARED, in the answer: when
                                   * the resolver was; 0: it was not */
    uint64_t token;               /* of the resolver, source or handler */
    fq_rcbuf *data;               /* JSON: the event's data, a payload */
    fq_rcbuf *variables;          /* JSON: coerced variables */
    fq_rcbuf *args;               /* JSON: the root field's arguments */
    fq_rcbuf *operation_name;     /* NULL: none */
    fq_rcbuf *subscription_id;    /* the client's id of the operation */
    fq_security_context *context; /* whose call it is, or one of the class, one
                                   * reference; NULL: nobody's. In the answer
                                   * to INIT and RENEW: accepted, who it is;
                                   * NULL: as before */
    /* RESOLVE and SHARED: the rest of the event */
    fq_rcbuf *channel;
    fq_rcbuf *event_type;
    fq_rcbuf *tenant_id; /* these three may be NULL */
    fq_rcbuf *boundary;
    fq_rcbuf *meta;
    char event_id[FQ_EVENT_ID_MAX];
    uint64_t created_at_ns;
    /* the answer */
    fq_answer_kind answer; /* INIT, RENEW: VALUE accepts (text: ack payload or
                            * NULL), ERROR refuses (text: reason, if there is
                            * a close_code). EXECUTE:
                            * VALUE (text: the response, a JSON object) or
                            * ERROR (text: the message for the client) */
    uint16_t close_code;   /* refused: 0 means 4403 */
    fq_rcbuf *answer_text;
} fq_call;

/* A call with nothing set but kind, port (one reference is taken) and sub.
 * Thread: reactor. */
fq_status
fq_call_new(fq_call_kind kind, fq_port *port, fq_sub_id sub_id,
            fq_call **pcall);
/* The same for a call of |service|, to |mailbox| (one reference of each is
 * taken), about the class |id|. */
fq_status
fq_call_new_shared(fq_call_kind kind, struct fq_service *service,
                   fq_mailbox *mailbox, uint64_t id, fq_call **pcall);
/* Thread: any. */
void
fq_call_free(fq_call *call);

/* Sends it to its mailbox. Errors: FQ_ERR_CLOSED: the loop is gone (the
 * call stays the caller's). Thread: reactor. */
fq_status
fq_call_send(fq_call *call);

/* Sends the answer back, whoever waits for it; |text| is stolen and may be
 * NULL. Frees the call where nobody does. Thread: any. */
void
fq_call_answer(fq_call *call, fq_answer_kind answer, fq_rcbuf *text);

#endif
