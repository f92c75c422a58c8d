/* SPDX-License-Identifier: MIT */
/* Resolvers of shared fields: called once for all subscriptions of a class,
 * whose answer is projected and serialised once for all of them. Thread:
 * reactor. */
#ifndef FQ_ENGINE_SHARED_H
#define FQ_ENGINE_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/status.h"
#include "base/str.h"
#include "bus/event.h"
#include "engine/engine.h"

/* A class: subscriptions that a resolver cannot tell apart, because all that
 * it is shown is equal: the field, the plan variant, variables and arguments,
 * tenant, roles, boundaries and fields of the security context, and where it
 * runs. */
struct fq_shared {
    uint64_t id;    /* never used again by the same engine; never 0 */
    void *route;    /* the sinks' */
    uint64_t token; /* of the resolver */
    fq_returns returns;
    fq_binding binding;           /* references of its own */
    fq_security_context *context; /* of the first of them, one reference: what
                                   * the class has in common may be shown;
                                   * NULL: nobody's */
    fq_rcbuf *operation_name;     /* NULL: none */
    void *handle;                 /* shared_ops' own */
    /* private to engine/ */
    fq_str key;                   /* behind the struct */
    size_t n_members;             /* subscriptions */
    struct fq_shared_job *called; /* whose answer is awaited, or NULL */
    fq_list waiting;              /* fq_shared_job by node, oldest first */
    size_t n_waiting;
    uint64_t gap_seq; /* members wait for the event of this number, to be told
                       * of a gap behind it; 0: none does */
    fq_list matched_node; /* in table->matched while the current event has
                           * matched a member */
    fq_sub_id *matched;   /* those it has, in order */
    size_t n_matched;
    size_t matched_cap;
    struct fq_shared_targets *last; /* of the last job, one reference, to be
                                     * used again when they are the same */
    bool is_pumping;                /* calls are being made below */
};

/* Part of the engine. */
typedef struct fq_shared_table {
    const fq_shared_ops *ops; /* NULL: nothing is shared */
    void *ctx;
    fq_map by_key;   /* fq_shared, its key inside */
    fq_map by_id;    /* the same by the bytes of its id */
    fq_list matched; /* classes that the current event concerns */
    uint64_t last_id;
} fq_shared_table;

void
fq_shared_table_init(fq_shared_table *table);
/* No class may be left. */
void
fq_shared_table_fini(fq_shared_table *table);

/* Finds or makes the class of |sub|, which will have |binding|. Errors:
 * FQ_ERR_NOMEM. Without ops it does nothing. */
fq_status
fq_shared_join(fq_engine *engine, fq_sub *sub, const fq_binding *binding);
/* The security context of |sub| is another, and its binding will be |binding|:
 * moves it to the class it is of now, if it is of one. What waits for it in the
 * old one is lost and told, also if it comes back. Errors: FQ_ERR_NOMEM
 * (nothing has changed). Cost: O(events in line · subscriptions they match). */
fq_status
fq_shared_rejoin(fq_engine *engine, fq_sub *sub, const fq_binding *binding);
/* One member less; the last one frees the class. Never fails. */
void
fq_shared_leave(fq_engine *engine, fq_shared *shared);

/* The current event has matched |sub|, a member of a class. */
void
fq_shared_match(fq_engine *engine, fq_sub *sub);
/* Everybody has met |event|: calls for it, once for each class that it
 * matched, or lets it wait behind those that came before. May end any
 * subscription. */
void
fq_shared_call_matched(fq_engine *engine, fq_event *event);

/* See fq_engine_answer_shared. */
void
fq_shared_answer(fq_engine *engine, uint64_t id, fq_answer_kind kind,
                 fq_str text, uint64_t now_ns);

/* Debug builds: asserts what holds for the class of |sub|, if any, between
 * callbacks. */
void
fq_shared_check(const fq_engine *engine, const fq_sub *sub);

#endif
