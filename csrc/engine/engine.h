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
#include "bus/bus.h"
#include "engine/event_fifo.h"
#include "engine/field.h"
#include "engine/metrics.h"
#include "engine/rate_limit.h"
#include "engine/security/context.h"
#include "engine/security/security.h"
#include "engine/sub_filter.h"
#include "engine/user_table.h"
#include "engine/waiting.h"
#include "graphql/errors.h"
#include "graphql/plan.h"

typedef struct fq_engine fq_engine;
typedef struct fq_sub fq_sub;
typedef struct fq_sink fq_sink;
typedef struct fq_shared fq_shared;
struct fq_replay;

/* Names a subscription across the door: slot and generation, never used a
 * second time by the same engine. 0 names none. */
typedef uint64_t fq_sub_id;

/* Matches dispatched before the engine lets the reactor do something else. */
#define FQ_DISPATCH_SLICE 4096

typedef struct fq_engine_limits {
    fq_document_limits document;
    size_t max_plans;          /* in the plan cache */
    size_t max_plan_bytes;     /* likewise */
    size_t max_pending;        /* events waiting for the resolvers of one
                                * sink's subscriptions; beyond it the policies
                                * of these rule. 0: no maximum */
    size_t max_pending_bytes;  /* likewise, of their data; but one event
                                * may always wait */
    size_t max_events_waiting; /* events accepted and not yet dispatched; for
                                * the door, which asks how many there are: the
                                * engine itself refuses none */
    double events_per_s_per_subscription; /* beyond it events are dropped,
                                           * and told; 0: no maximum */
    double events_per_s_per_user; /* likewise, over all they subscribe */
    size_t max_subs_per_user;     /* of clients; 0: no maximum */
} fq_engine_limits;

/* Calls that may be out for one subscription; see caller.c. */
#define FQ_CALLS_MAX 16

/* What a subscription's owner is asked to do. Every callback may end this or
 * other subscriptions, free their sinks, start subscriptions, answer calls
 * and dispatch events (which then wait their turn); none may free the
 * engine. */
typedef struct fq_sink_ops {
    /* Queue a `next` for |sub|: |payload| (borrowed) is without its closing
     * brace; sub->n_carried and sub->next_position are to be told with it. The
     * sink counts deliveries and what its queue drops. */
    void (*next)(fq_sink *sink, fq_sub *sub, fq_rcbuf *payload);
    /* Ask for the value of |event| (a resolver), for the initial value (|event|
     * NULL, sub->start not) or for the source's next value (both NULL).
     * Answered once by fq_engine_answer with the id of |sub|, now or later. Up
     * to FQ_CALLS_MAX may be out for events; answers come in their order, and
     * where another is awaited none comes from within the call but a failure
     * to make it. */
    void (*call)(fq_sink *sink, fq_sub *sub, fq_event *event);
    /* More than max_pending events would wait, and |sub|, for whose resolver
     * one more is to, must not lose any: true: the engine drops its oldest all
     * the same (that one, where none waits) and goes on; false: the sink has ended the subscription, or
     * will at once. */
    bool (*overflow)(fq_sink *sink, fq_sub *sub);
    /* True while the queue of |sub| has room for |n_items| more deliveries, of
     * some |n_bytes| together (0: unknown); when it has room again, the owner
     * calls fq_engine_resume. */
    bool (*has_room)(fq_sink *sink, fq_sub *sub, size_t n_items,
                     size_t n_bytes);
    /* The source of |sub| has ended: send `complete`. The subscription is
     * freed when this returns, unless that has been done here. */
    void (*end)(fq_sink *sink, fq_sub *sub);
    /* What the client calls |sub|; lives as long as |sub|. */
    fq_str (*name)(fq_sink *sink, const fq_sub *sub);
    /* It cannot go on with |sub|: end it, for |reason|, with |errors|, the
     * payload of an `error` message. The subscription is freed when this
     * returns, unless that has been done here. */
    void (*refuse)(fq_sink *sink, fq_sub *sub, fq_end_reason reason,
                   fq_str errors);
} fq_sink_ops;

struct fq_sink {
    const fq_sink_ops *ops;
    fq_list subs;           /* of this sink, by fq_sub.sink_node */
    size_t n_waiting;       /* events, over all subs; private to engine/ */
    size_t n_waiting_bytes; /* of these; likewise */
    fq_str connection_id;   /* whose it is */
    void *route; /* where its calls go, opaque: subscriptions of one route can
                   * share the calls of a shared field. NULL: none can */
};

/* Who makes the calls of shared fields, for all sinks: see shared.h. */
typedef struct fq_shared_ops {
    /* A class comes to be, with |shared| complete but for its handle: makes
     * ready for its end, which must not fail. Errors: FQ_ERR_NOMEM. */
    fq_status (*open)(void *ctx, fq_shared *shared);
    /* Ask for the value of |event|. Answered once by fq_engine_answer_shared
     * with the id of |shared|, now or later; the next call comes after it. */
    void (*call)(void *ctx, fq_shared *shared, fq_event *event);
    /* The class is gone: an answer that is awaited is not wanted any more. */
    void (*close)(void *ctx, fq_shared *shared);
} fq_shared_ops;

/* One subscription. Members are read by sinks, written by the engine, except
 * |handle|, |n_carried| and what the sink takes. What every delivery looks at comes first, in one
 * or two cache lines. */
struct fq_sub {
    fq_sub_id id;
    fq_sink *sink;
    void *handle; /* the sink's own */
    fq_field_kind kind;
    fq_returns returns;
    fq_binding binding;        /* variant (and plan), variables, args */
    uint64_t since_seq;        /* events up to this number came before it;
                                * private to engine/ */
    uint64_t last_event_at_ns; /* 0: none yet */
    uint32_t n_carried; /* deliveries lost and not yet told: added to by the
                         * engine, told and set to 0 by the sink */
    uint8_t n_calls;    /* answers that are awaited */
    uint8_t n_outdated; /* so many of them, the next to come, are for what was
                           * asked in the name of another context; without
                           * n_calls: an initial value that is to be asked for
                           * again */
    bool is_quick;      /* the last answers came soon; see caller.c */
    bool is_stalled;    /* a source, or a replay, without room */
    bool is_pumping;    /* calls are being made below; private to engine/ */
    bool is_gap_due;    /* it is to be told of a gap; private to engine/ */
    bool was_renewed;   /* events that waited for it are judged again */
    uint64_t token;     /* of the resolver or source */
    fq_overflow overflow; /* what becomes of its messages, if the sink asks */
    fq_rcbuf *conflate_path; /* of the field; NULL: it does not conflate */
    fq_rcbuf *next_key; /* what the delivery that is being made conflates by,
                         * or NULL; the sink takes it */
    fq_rcbuf *next_position; /* its position, likewise */
    bool is_marked;          /* its deliveries have one of these two */
    uint8_t position_as; /* how its client hears of positions, see queue.h; 0:
                          * not at all */
    bool ends_at_gap;    /* its client asked for positions: a gap is told by
                          * POSITION_LOST */
    fq_rate_limit event_limit; /* see event_rate.h */
    fq_user *user;             /* whose it counts as; NULL: nobody's */
    struct fq_replay *replay;  /* while it catches up; else NULL */
    struct fq_start *start; /* while its initial value is due; NULL before the
                             * first event of all others */
    fq_shared *shared;      /* the class that is called for it; NULL: none */
    uint64_t joined_seq;    /* events up to this number it met before it was of
                             * that class; private to engine/ */
    fq_list sink_node;      /* in sink->subs */
    fq_rcbuf *operation_name;     /* NULL: none */
    fq_sub_filter filter;         /* the events it wants */
    fq_security_context *context; /* one reference; NULL: nobody's, to which
                                   * no policy gives anything */
    uint64_t created_at_ns;
    fq_sub_security security; /* of the policy, for |context| */
    /* private to engine/ */
    size_t n_bytes;       /* counted for it in subscriptions_bytes */
    fq_waiting pending;   /* events that wait for the resolver */
    fq_event *called_for; /* the event whose answer comes next, one ref */
    fq_event_fifo ahead;  /* those whose answers come after it */
    uint32_t gap_left; /* answers after which it is told of a gap, see gap.c;
                        * of a shared class: not 0 while it waits for that */
    uint64_t called_at_ns; /* when the first of n_calls was made; 0: nobody
                            * has looked at a clock */
    struct fq_listener *listeners; /* see listening.h: behind the struct, or a
                                    * block of their own */
    size_t n_listeners;
};

typedef struct fq_subscribe_args {
    fq_plan *plan; /* of what follows, borrowed; NULL: not compiled yet */
    fq_str query;
    fq_str operation_name; /* ptr NULL: none */
    bool operation_label;  /* see fq_plan_compile */
    yyjson_val *variables; /* an object or NULL */
    /* Overrides of the field's declaration; the executor's own. With them the
     * field need not be declared: */
    bool has_override;
    fq_field_kind kind;
    fq_returns returns;
    uint64_t token;
    const fq_str *channels;       /* NULL: the declared field's, else the root
                             * field's name; none for a source. One named
                             * twice counts once */
    size_t n_channels;            /* at most FQ_FIELD_CHANNELS_MAX */
    fq_security_context *context; /* who subscribes; the subscription takes a
                                   * reference. NULL: nobody */
    bool is_client;               /* a client asks, and max_subs_per_user
                                   * holds; the application's own are not
                                   * refused by it */
    bool is_polled;               /* there is no connection to be closed:
                                   * where nothing may be lost, the oldest
                                   * is */
    uint8_t position_as; /* deliveries of events have positions, see queue.h;
                          * 0: none */
    fq_str after; /* a client's text: catch up from that position on, and call
                   * for no initial value; ptr NULL: live events only */
    void *handle;
    uint64_t now_ns;
    uint64_t wall_ns; /* since 1970, at now_ns: a context that expires has
                       * expired without it */
} fq_subscribe_args;

/* |limits| is copied, |metrics| used until fq_engine_free. Errors:
 * FQ_ERR_NOMEM. */
fq_status
fq_engine_new(const fq_engine_limits *limits, fq_metrics *metrics,
              fq_engine **pengine);

/* Frees the engine; events that still wait are let go. No subscription may be
 * left, and no callback be under way. NULL is allowed. */
void
fq_engine_free(fq_engine *engine);

/* From now on documents are checked against |schema|, which is stolen in any
 * case; NULL: none. Subscriptions keep the one they were started with. Its
 * fields that nobody declared are served with the defaults if
 * |serve_undeclared|, else refused. Errors, and nothing has changed: those of
 * fq_policy_new() (the policy is compiled anew), FQ_ERR_NOMEM. */
fq_status
fq_engine_steal_schema(fq_engine *engine, fq_schema *schema,
                       bool serve_undeclared, fq_error *error);

/* From now on who subscribes is judged by the policy |text|, which is stolen
 * in any case; NULL: by none. Live subscriptions keep what they were judged
 * by. Errors, and nothing has changed: those of fq_policy_new(). */
fq_status
fq_engine_steal_policy(fq_engine *engine, yyjson_doc *text, fq_error *error);

/* Declares a field; *field is copied. It holds for subscriptions made later.
 * Errors: FQ_ERR_EXISTS, FQ_ERR_LIMIT (channels), FQ_ERR_NOMEM. */
fq_status
fq_engine_field_add(fq_engine *engine, const fq_field *field);

/* Parses, validates and compiles the document of |args|, or finds it done:
 * *pplan holds one reference. For who must know what kind of operation it is
 * before it can start; of |args| the document, the name and the label count. Errors: those
 * of fq_plan_compile. */
fq_status
fq_engine_plan(fq_engine *engine, const fq_subscribe_args *args,
               fq_plan **pplan, fq_gql_errors *errors);

/* Starts a subscription for |sink|. From its return on it gets every event
 * accepted later, and none accepted before, even if that still waits. A
 * source is asked for its first value before the return (through
 * sink->ops->call, after *psub is set); should that end the subscription,
 * *psub is NULL with FQ_OK. With |after| it first gets what came behind that,
 * see replay.h, or is refused through its sink, later; FQ_ERR_LOST: at once, as
 * that is no position of the bus, or a source has none. Errors: FQ_ERR_SYNTAX,
 * FQ_ERR_INVALID (also: not a subscription; unknown field while fields are
 * declared), FQ_ERR_FORBIDDEN, FQ_ERR_LIMIT, FQ_ERR_LOST:
 * |errors| is the payload of an `error` message. *prequest_error is true when
 * the variables or the root field's arguments were refused: then |errors| belongs in a `next` without data,
 * followed by `complete`. With FQ_ERR_NOMEM |errors| may be empty. */
fq_status
fq_engine_subscribe(fq_engine *engine, fq_sink *sink,
                    const fq_subscribe_args *args, fq_sub **psub,
                    fq_gql_errors *errors, bool *prequest_error);

/* Counts |n_bytes| more as held for |sub|, until it ends: what its owner
 * keeps. What is waiting for it is counted elsewhere. */
void
fq_engine_hold_bytes(fq_engine *engine, fq_sub *sub, size_t n_bytes);

/* Ends |sub| and frees it: nothing of it is left in any table, an answer that
 * still comes is ignored. |reason| is counted. No callback of a sink is called; the events it
 * waited for are let go at the very end. O(own channels + waiting events). */
void
fq_engine_unsubscribe(fq_engine *engine, fq_sub *sub, fq_end_reason reason);

/* Lets |sub|, which has no overrides, in again, with |context| in place of its
 * own: its channels and filters are filled in anew; |wall_ns| as in
 * fq_subscribe_args. Whatever refuses a
 * new subscription refuses it too, and then |errors| is the payload of an
 * `error` message, and |sub| is to be ended. What waits for it is judged again,
 * see renewal.h. Errors: FQ_ERR_INVALID, FQ_ERR_NOMEM (|errors| may be empty). */
fq_status
fq_engine_renew(fq_engine *engine, fq_sub *sub, fq_security_context *context,
                uint64_t now_ns, uint64_t wall_ns, fq_gql_errors *errors);

/* Takes |event| (borrowed; the engine keeps references while it works on it)
 * and dispatches as much as fits a slice. True when work is left: call
 * fq_engine_run soon. Events are dispatched strictly in the order accepted.
 * From within a callback both only queue, and say true. Never fails: what
 * cannot be delivered for want of memory is counted in n_carried. Cost:
 * O(1) + what the sinks of its channel do, and one allocation per distinct
 * (plan variant, returns) among them. */
bool
fq_engine_dispatch(fq_engine *engine, fq_event *event, uint64_t now_ns);
bool
fq_engine_run(fq_engine *engine, uint64_t now_ns);

/* Events accepted and not yet dispatched to the end: what a door with
 * max_events_waiting looks at. */
size_t
fq_engine_n_events_waiting(const fq_engine *engine);

typedef enum fq_answer_kind {
    FQ_ANSWER_VALUE, /* |text| is the JSON of the value */
    FQ_ANSWER_SKIP,  /* nothing for this event */
    FQ_ANSWER_ERROR, /* |text| is the message for the client; from a source it
                      * is a FAIL */
    FQ_ANSWER_END,   /* the source is exhausted */
    FQ_ANSWER_FAIL,  /* the source raised: |text| as `next`, then complete */
} fq_answer_kind;

/* The answer to sink->ops->call; |text| is borrowed. An unknown |id| (the
 * subscription ended meanwhile) and an answer nobody awaits are ignored.
 * Delivers, then makes the next call if one waits. A value that is no JSON is
 * delivered as an error. */
void
fq_engine_answer(fq_engine *engine, fq_sub_id id, fq_answer_kind kind,
                 fq_str text, uint64_t now_ns);

/* Calls of shared fields are made through |ops|, which must live as long as
 * the engine; without them such fields are called for each subscription. To be
 * called before there are subscriptions. */
void
fq_engine_set_shared(fq_engine *engine, const fq_shared_ops *ops, void *ctx);

/* The answer to shared_ops->call: VALUE, SKIP or ERROR for every subscription
 * that the event matched, has not ended and still is of the class |id|. Else as
 * fq_engine_answer. */
void
fq_engine_answer_shared(fq_engine *engine, uint64_t id, fq_answer_kind kind,
                        fq_str text, uint64_t now_ns);

/* Positions and history are those of |bus|, which must live as long as the
 * engine; without one nobody can resume. |wake| asks for a call of
 * fq_engine_replay(), soon and not from within itself. To be called before
 * there are subscriptions. */
void
fq_engine_set_bus(fq_engine *engine, fq_bus *bus, void (*wake)(void *ctx),
                  void *ctx);

/* Goes on with those who catch up, as much as fits a slice; true: call again
 * soon. Not from within a callback. */
bool
fq_engine_replay(fq_engine *engine, uint64_t now_ns);

/* There is room again for |id|: asks a stalled source for its next value, lets
 * a stalled replay read on. Ignored for anything else. */
void
fq_engine_resume(fq_engine *engine, fq_sub_id id);

/* The table of users, whose connections the owner counts. */
fq_user_table *
fq_engine_users(fq_engine *engine);

/* Events were lost, nobody can say which, between those accepted before and
 * those that come: tells |sub| by a result without data, behind what it was
 * given and still waits for a resolver; who asked for positions, or catches up,
 * ends with POSITION_LOST. A source hears nothing: false. Counted. Only while no
 * accepted event waits, or in place of the one that is being dispatched. May
 * end any subscription. */
bool
fq_engine_tell_gap(fq_engine *engine, fq_sub *sub);

/* The subscription |id| names, or NULL when it has ended. O(1). */
fq_sub *
fq_engine_find(const fq_engine *engine, fq_sub_id id);

/* Walks all subscriptions: start with *piter = 0; NULL at the end. None may
 * be started or ended meanwhile. */
fq_sub *
fq_engine_next_sub(const fq_engine *engine, size_t *piter);

/* Subscriptions listening on |channel|. */
size_t
fq_engine_n_listening(const fq_engine *engine, fq_str channel);

/* Debug builds: asserts every invariant of the engine. Not from within a
 * callback. Cost: O(everything). */
void
fq_engine_check(const fq_engine *engine);

#endif
