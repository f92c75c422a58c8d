/* SPDX-License-Identifier: MIT */
/* What the instances of one deployment say to each other, an instance being a
 * service on a bus with a server: orders to end connections or subscriptions,
 * questions about what is live and answers to them, and who is there.
 *
 * All of it are events of the bus, on a channel that is reserved for it: so
 * they come to every instance, in one order with everything else, and to one
 * that was cut off when it is back. What they say is JSON:
 *
 *     event type      data, besides "from": the instance's id
 *     disconnect      user_id, tenant_id, connection_id, code, reason
 *     invalidate      where: a filter's notation
 *     subscriptions   question: a number; user_id, tenant_id, connection_id,
 *                     channel, limit
 *     answer          to: an instance; question; is_whole; rows
 *     here            is_asking: whether others shall say so, too
 *     bye             –
 *
 * Orders may lack a "from": those of SQL and of operators. docs/internals/
 * control.md tells why. Thread: reactor, where nothing else is said. */
#ifndef FQ_REACTOR_CONTROL_H
#define FQ_REACTOR_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "bus/bus.h"
#include "reactor/deadlines.h"
#include "reactor/management.h"
#include "reactor/reactor.h"
#include "reactor/ticket.h"

/* An instance's id as text: hex digits. */
#define FQ_CONTROL_ID_LEN 16
/* Instances that are known at most; of more, some are not waited for. */
#define FQ_CONTROL_PEERS_MAX 1024
/* Bytes of one answer's rows, and of all to one question. */
#define FQ_CONTROL_ANSWER_MAX ((size_t)1 << 20)
#define FQ_CONTROL_ANSWERS_MAX ((size_t)64 << 20)
/* Questions of others that are worked on at a time; more are not answered. */
#define FQ_CONTROL_ANSWERING_MAX 16
/* One that has left a question unanswered for so long, and said nothing since,
 * is taken for dead. */
#define FQ_CONTROL_FORGET_NS (60 * UINT64_C(1000000000))
/* How long others have to say that they are there. */
#define FQ_CONTROL_SETTLE_NS (1 * UINT64_C(1000000000))

/* Another instance. */
typedef struct fq_control_peer {
    uint64_t id;        /* 0: nobody, the place is free */
    uint64_t missed_ns; /* since when it owes an answer; 0: it does not */
} fq_control_peer;

/* Part of the service. */
typedef struct fq_control {
    uint64_t id;                  /* of this instance, never 0; constant */
    _Atomic uint64_t n_questions; /* ever asked; any thread */
    fq_bus_watcher watcher;
    fq_deadline announce; /* when to say that it is here */
    bool is_wanted;       /* others should know of it, from its first client,
                           * question or answer on */
    bool is_asking;       /* when it says so it asks who else is */
    uint64_t asked_ns;    /* when it last did that; 0: never */
    fq_control_peer *peers;
    size_t peers_cap;     /* at most FQ_CONTROL_PEERS_MAX */
    fq_list questions;    /* not answered yet */
    unsigned n_answering; /* questions of others */
    uint64_t random;      /* never 0 */
} fq_control;

/* Draws the id. Errors: FQ_ERR_SYSTEM (no random numbers). Thread: any. */
fq_status
fq_control_init(fq_control *self);
void
fq_control_fini(fq_control *self);

/* The service listens to its bus; it ends, and says so. */
void
fq_control_begin(fq_service *service);
void
fq_control_end(fq_service *service);

/* There is a client: others should know of this instance. */
void
fq_control_note_client(fq_service *service);

/* Does what |event|, one on a reserved channel, asks for. What cannot be done
 * for want of memory ends all connections that it might be about; what it does
 * not understand is counted and told. */
void
fq_control_take(fq_service *service, fq_event *event);

/* Events were lost, and what others say among them; all subscriptions were
 * told. */
void
fq_control_note_gap(fq_service *service);

/* ── doors: any thread ── */

/* Whether there can be other instances. */
bool
fq_control_has_others(const fq_service *service);

/* Its id as text. */
void
fq_control_write_id(const fq_service *service,
                    char text[FQ_CONTROL_ID_LEN + 1]);

/* Events for the bus, one reference each. |where|: the JSON of the notation.
 * Errors: FQ_ERR_NOMEM. */
fq_status
fq_control_new_disconnect(fq_service *service, const fq_live_query *query,
                          uint16_t code, fq_str reason, fq_event **pevent);
fq_status
fq_control_new_invalidate(fq_service *service, fq_str where,
                          fq_event **pevent);
fq_status
fq_control_new_question(fq_service *service, uint64_t question,
                        const fq_live_query *query, size_t limit,
                        fq_event **pevent);

/* Collects the answers to *pquestion, which is to be published then, until all
 * instances that are known have answered or |timeout_ns| is over; where it is
 * not known yet who is there, FQ_CONTROL_SETTLE_NS is waited for at least. |done| (one more reference is
 * taken) is completed with
 *     {"answers": [{"instance_id", "is_whole", "rows": [...]}],
 *      "missing": [instance ids]}.
 * Errors, here and of |done|: FQ_ERR_CLOSED, FQ_ERR_NOMEM. */
fq_status
fq_control_ask(fq_service *service, uint64_t timeout_ns, fq_ticket *done,
               uint64_t *pquestion);

#endif
