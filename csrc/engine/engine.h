/* SPDX-License-Identifier: MIT */
/* The engine: which subscriptions exist, on which channels, and what each
 * event means for them. It owns the registry, the channel index, the fields
 * and the plan cache; it knows no socket, no clock and no Python. Whoever
 * receives deliveries embeds an fq_sink. Thread: reactor, every function. */
#ifndef FQ_ENGINE_ENGINE_H
#define FQ_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/list.h"
#include "base/rcbuf.h"
#include "base/status.h"
#include "base/str.h"
#include "bus/event.h"
#include "engine/field.h"
#include "engine/metrics.h"
#include "graphql/errors.h"
#include "graphql/plan.h"

typedef struct fq_engine fq_engine;
typedef struct fq_sub fq_sub;
typedef struct fq_sink fq_sink;

/* Names a subscription across the door: slot and generation, never reused
 * within a process's life. 0 names none. */
typedef uint64_t fq_sub_id;

/* Matches dispatched before the engine lets the reactor do something else. */
#define FQ_DISPATCH_SLICE 4096

typedef struct fq_engine_limits {
    fq_document_limits document;
    size_t max_plans;        /* in the plan cache */
    size_t max_plan_bytes;   /* likewise */
    size_t max_pending;      /* events waiting for one subscription's
                              * resolver; beyond it the sink's policy rules */
    size_t max_events_waiting; /* events accepted and not yet dispatched */
} fq_engine_limits;

/* What a subscription's owner is asked to do. Every callback may end this or
 * other subscriptions and free their sinks. */
typedef struct fq_sink_ops {
    /* Queue `next` number |seq| for |sub|: |payload| (borrowed) without its
     * closing brace. */
    void (*next)(fq_sink *sink, fq_sub *sub, fq_rcbuf *payload);
    /* Ask for the value of |event| (a resolver) or for the source's next
     * value (|event| NULL). Answered once by fq_engine_answer with the id of
     * |sub|, now or later; the next call comes after the answer. */
    void (*call)(fq_sink *sink, fq_sub *sub, fq_event *event);
    /* More than max_pending events wait for the resolver of |sub|: true: the
     * engine drops the oldest waiting one and goes on; false: the sink has
     * ended the subscription, or will at once. */
    bool (*overflow)(fq_sink *sink, fq_sub *sub);
    /* True while the queue of |sub| has room for another source value; when
     * it has room again, the owner calls fq_engine_resume. */
    bool (*has_room)(fq_sink *sink, fq_sub *sub);
    /* The source of |sub| has ended: send `complete`. The subscription is
     * freed when this returns. */
    void (*end)(fq_sink *sink, fq_sub *sub);
} fq_sink_ops;

struct fq_sink {
    const fq_sink_ops *ops;
    fq_list subs; /* of this sink, by fq_sub.sink_node */
};

/* One subscription. Members are read by sinks, written by the engine. */
struct fq_sub {
    fq_sub_id id;
    fq_sink *sink;
    fq_list sink_node; /* in sink->subs */
    void *handle;      /* the sink's own */
    fq_field_kind kind;
    fq_returns returns;
    uint64_t token;     /* of the resolver or source */
    fq_binding binding; /* variant, variables, args */
    fq_rcbuf *query;
    fq_rcbuf *operation_name; /* NULL: none */
    uint64_t created_at_ns;
    uint64_t last_event_at_ns; /* 0: none yet */
    bool is_calling;           /* an answer is awaited */
    bool is_stalled;           /* a source without room */
    uint32_t n_carried; /* deliveries dropped, not yet told; the sink's */
    /* private to engine/ */
    struct fq_listener *listeners; /* one per channel */
    size_t n_listeners;
    uint64_t since_seq; /* events up to this number came before it */
    fq_list pending;    /* events that wait for the resolver, oldest first */
    size_t n_pending;
    fq_event *called_for; /* the event whose answer is awaited, one ref */
};

typedef struct fq_subscribe_args {
    fq_str query;
    fq_str operation_name; /* ptr NULL: none */
    bool operation_label;  /* see fq_plan_compile */
    yyjson_val *variables; /* an object or NULL */
    /* Overrides of the field's declaration; the executor's own: */
    bool has_override;
    fq_field_kind kind;
    fq_returns returns;
    uint64_t token;
    const fq_str *channels; /* NULL: the root field's name */
    size_t n_channels;
    void *handle;
    uint64_t now_ns;
} fq_subscribe_args;

fq_status
fq_engine_new(const fq_engine_limits *limits, fq_metrics *metrics,
              fq_engine **pengine);

/* No subscription may be left. */
void
fq_engine_free(fq_engine *engine);

/* Declares a field. Errors: FQ_ERR_EXISTS, FQ_ERR_NOMEM. */
fq_status
fq_engine_field_add(fq_engine *engine, const fq_field *field);

/* Starts a subscription for |sink|. From its return on it gets every event
 * accepted later. A source is asked for its first value before the return
 * (through sink->ops->call, after *psub is set). Errors: FQ_ERR_SYNTAX,
 * FQ_ERR_INVALID (also: not a subscription; unknown field while fields are
 * declared), FQ_ERR_LIMIT: |errors| is the payload of an `error` message;
 * FQ_ERR_NOT_FOUND is not used. *prequest_error is true when the variables
 * were refused: then |errors| belongs in a `next` without data, followed by
 * `complete`. FQ_ERR_NOMEM leaves |errors| empty. */
fq_status
fq_engine_subscribe(fq_engine *engine, fq_sink *sink,
                    const fq_subscribe_args *args, fq_sub **psub,
                    fq_gql_errors *errors, bool *prequest_error);

/* Ends |sub| and frees it: nothing of it is left in any table, an answer that
 * still comes is ignored. No callback is called. O(own channels + waiting
 * events). */
void
fq_engine_unsubscribe(fq_engine *engine, fq_sub *sub);

/* Takes |event| (borrowed; the engine keeps references while it works on it)
 * and dispatches as much as fits a slice. True when work is left: call
 * fq_engine_run soon. Events are dispatched strictly in the order accepted. */
bool
fq_engine_dispatch(fq_engine *engine, fq_event *event, uint64_t now_ns);
bool
fq_engine_run(fq_engine *engine, uint64_t now_ns);

typedef enum fq_answer_kind {
    FQ_ANSWER_VALUE, /* |text| is the JSON of the value */
    FQ_ANSWER_SKIP,  /* nothing for this event */
    FQ_ANSWER_ERROR, /* |text| is the message for the client */
    FQ_ANSWER_END,   /* the source is exhausted */
    FQ_ANSWER_FAIL,  /* the source raised: |text| as `next`, then complete */
} fq_answer_kind;

/* The answer to sink->ops->call. An unknown |id| (the subscription ended
 * meanwhile) is ignored. Delivers, then makes the next call if one waits. */
void
fq_engine_answer(fq_engine *engine, fq_sub_id id, fq_answer_kind kind,
                 fq_str text, uint64_t now_ns);

/* There is room again for |id|: asks a stalled source for its next value. */
void
fq_engine_resume(fq_engine *engine, fq_sub_id id);

fq_sub *
fq_engine_find(fq_engine *engine, fq_sub_id id);

/* Subscriptions listening on |channel|. */
size_t
fq_engine_n_listening(const fq_engine *engine, fq_str channel);

#endif
