/* SPDX-License-Identifier: MIT */
/* An engine with sinks that write down what they are asked to do, for the
 * tests of the engine. A subscription's handle is its name in the log; one
 * line per callback:
 *
 *     next NAME {"data":{"x":1}}    (the payload, closed; ` dropped 2` and
 *                                    ` at 7`, its position, behind it)
 *     call NAME 7                   (the event's id; - for a source)
 *     shared CLASS 7                (a class is asked for its value)
 *     close CLASS called            (a class is gone; its answer was awaited)
 *     overflow NAME
 *     end NAME
 *     refuse NAME POSITION_LOST     (the code of its error)
 *
 * A hook may do more in a callback. Header only. */
#ifndef FQ_TESTS_ENGINE_FIXTURE_H
#define FQ_TESTS_ENGINE_FIXTURE_H

#include <stdio.h>

#include "engine/engine.h"
#include "engine/internal.h"

#include "support.h"

typedef struct fixture fixture;

typedef struct fixture_sink {
    fq_sink sink;
    fixture *owner;
} fixture_sink;

struct fixture {
    fq_engine *engine;
    fq_metrics metrics;
    fixture_sink sinks[2];
    fq_buf log;
    bool is_quiet; /* keep no log */
    bool has_room; /* the answers of has_room(), for at most */
    size_t n_room; /* so many, and of overflow() */
    bool overflow_drops;
    fq_rcbuf *last_payload; /* of the last next; one reference */
    size_t n_next;
    uint64_t n_events; /* published; also the id of the last one */
    int n_done;        /* events that nobody refers to any more */
    /* Called after the line is written; may be NULL. */
    void (*next_hook)(fixture *self, fq_sub *sub);
    void (*call_hook)(fixture *self, fq_sub *sub, fq_event *event);
    void (*end_hook)(fixture *self, fq_sub *sub);
    void (*shared_hook)(fixture *self, fq_shared *shared);
    void (*refuse_hook)(fixture *self, fq_sub *sub, fq_end_reason reason);
    void *hook_arg;
    int n_hooks_left; /* next_hook is called while > 0 */
};

static inline fixture *
fixture_of_sink(fq_sink *sink)
{
    return FQ_CONTAINER_OF(sink, fixture_sink, sink)->owner;
}

/* The last part of a position. */
static inline const char *
fixture_offset(const fq_rcbuf *position)
{
    const char *dot = strrchr(position->bytes, '.');
    return dot != NULL ? dot + 1 : position->bytes;
}

static inline void
fixture_next(fq_sink *sink, fq_sub *sub, fq_rcbuf *payload)
{
    fixture *self = fixture_of_sink(sink);
    self->n_next++;
    if (!self->is_quiet) {
        bool is_gap = payload == self->engine->gap;
        fq_buf_append_format(&self->log, "next %s %s}",
                             (const char *)sub->handle,
                             is_gap ? "{\"gap\":1" : payload->bytes);
        if (sub->n_carried > 0)
            fq_buf_append_format(&self->log, " dropped %u", sub->n_carried);
        if (sub->next_position != NULL)
            fq_buf_append_format(&self->log, " at %s",
                                 fixture_offset(sub->next_position));
        fq_buf_append_char(&self->log, '\n');
        fq_rcbuf_unref(self->last_payload);
        self->last_payload = fq_rcbuf_ref(payload);
    }
    sub->n_carried = 0;
    fq_rcbuf_unref(sub->next_position);
    sub->next_position = NULL;
    if (self->next_hook != NULL && self->n_hooks_left > 0) {
        self->n_hooks_left--;
        self->next_hook(self, sub);
    }
}

static inline void
fixture_call(fq_sink *sink, fq_sub *sub, fq_event *event)
{
    fixture *self = fixture_of_sink(sink);
    assert_true(sub->n_calls > 0);
    if (!self->is_quiet)
        fq_buf_append_format(&self->log, "call %s %s\n",
                             (const char *)sub->handle,
                             event != NULL ? event->id : "-");
    if (self->call_hook != NULL)
        self->call_hook(self, sub, event);
}

static inline bool
fixture_overflow(fq_sink *sink, fq_sub *sub)
{
    fixture *self = fixture_of_sink(sink);
    fq_buf_append_format(&self->log, "overflow %s\n",
                         (const char *)sub->handle);
    if (!self->overflow_drops)
        fq_engine_unsubscribe(self->engine, sub, FQ_END_COMPLETE);
    return self->overflow_drops;
}

static inline bool
fixture_has_room(fq_sink *sink, fq_sub *sub, size_t n_items, size_t n_bytes)
{
    (void)sub;
    (void)n_bytes;
    fixture *self = fixture_of_sink(sink);
    return self->has_room && n_items <= self->n_room;
}

static inline void
fixture_refuse(fq_sink *sink, fq_sub *sub, fq_end_reason reason, fq_str errors)
{
    fixture *self = fixture_of_sink(sink);
    static const char key[] = "\"code\":\"";
    const char *code = strstr(errors.ptr, key);
    int len = 0;
    if (code != NULL) {
        code += sizeof(key) - 1;
        len = (int)strcspn(code, "\"");
    }
    fq_buf_append_format(&self->log, "refuse %s %.*s\n",
                         (const char *)sub->handle, len, code);
    if (self->refuse_hook != NULL)
        self->refuse_hook(self, sub, reason);
}

static inline void
fixture_end(fq_sink *sink, fq_sub *sub)
{
    fixture *self = fixture_of_sink(sink);
    fq_buf_append_format(&self->log, "end %s\n", (const char *)sub->handle);
    if (self->end_hook != NULL)
        self->end_hook(self, sub);
}

/* Classes are named by their id; |handle| says that they were opened. */
static inline fq_status
fixture_shared_open(void *ctx, fq_shared *shared)
{
    shared->handle = fq_alloc(1);
    (void)ctx;
    return shared->handle == NULL ? FQ_ERR_NOMEM : FQ_OK;
}

static inline void
fixture_shared_call(void *ctx, fq_shared *shared, fq_event *event)
{
    fixture *self = ctx;
    fq_buf_append_format(&self->log, "shared %d %s\n", (int)shared->id,
                         event->id);
    if (self->shared_hook != NULL)
        self->shared_hook(self, shared);
}

static inline void
fixture_shared_close(void *ctx, fq_shared *shared)
{
    fixture *self = ctx;
    fq_free(shared->handle);
    fq_buf_append_format(&self->log, "close %d%s\n", (int)shared->id,
                         shared->called != NULL ? " called" : "");
}

/* Fields that are shared are, from now on, on both sinks. */
static inline void
fixture_share(fixture *self)
{
    static const fq_shared_ops ops = {
        .open = fixture_shared_open,
        .call = fixture_shared_call,
        .close = fixture_shared_close,
    };
    fq_engine_set_shared(self->engine, &ops, self);
    for (size_t i = 0; i < 2; i++)
        self->sinks[i].sink.route = self;
}

static inline fq_status
fixture_init(fixture *self)
{
    static const fq_sink_ops ops = {
        .next = fixture_next,
        .call = fixture_call,
        .overflow = fixture_overflow,
        .has_room = fixture_has_room,
        .end = fixture_end,
        .refuse = fixture_refuse,
    };
    static const fq_engine_limits limits = {
        .max_plans = 100,
        .max_plan_bytes = 1 << 20,
        .max_pending = 3,
        .max_events_waiting = 1000,
    };
    memset(self, 0, sizeof(*self));
    fq_buf_init(&self->log);
    self->has_room = true;
    self->n_room = SIZE_MAX;
    for (size_t i = 0; i < 2; i++) {
        self->sinks[i].owner = self;
        self->sinks[i].sink.ops = &ops;
        fq_list_init(&self->sinks[i].sink.subs);
    }
    return fq_engine_new(&limits, &self->metrics, &self->engine);
}

static inline void
fixture_end_all(fixture *self, fq_sink *sink)
{
    while (!fq_list_is_empty(&sink->subs))
        fq_engine_unsubscribe(
            self->engine, FQ_CONTAINER_OF(sink->subs.next, fq_sub, sink_node),
            FQ_END_COMPLETE);
}

static inline void
fixture_fini(fixture *self)
{
    if (self->engine != NULL) {
        for (size_t i = 0; i < 2; i++)
            fixture_end_all(self, &self->sinks[i].sink);
        fq_engine_check(self->engine);
        assert_int_equal(FQ_METRIC_GET(&self->metrics, channels_active), 0);
        assert_int_equal(FQ_METRIC_GET(&self->metrics, subscriptions_active),
                         0);
        fq_engine_free(self->engine);
    }
    fq_rcbuf_unref(self->last_payload);
    fq_buf_fini(&self->log);
}

/* Subscribes |args| for the first sink; errors are thrown away. */
static inline fq_status
fixture_subscribe_args(fixture *self, const fq_subscribe_args *args,
                       fq_sub **psub)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    bool is_request_error;
    fq_status status = fq_engine_subscribe(self->engine, &self->sinks[0].sink,
                                           args, psub, &errors,
                                           &is_request_error);
    fq_gql_errors_fini(&errors);
    return status;
}

/* A subscription named |name| as the fields are declared. */
static inline fq_status
fixture_subscribe(fixture *self, const char *name, const char *query,
                  fq_sub **psub)
{
    fq_subscribe_args args = {
        .query = fq_str_of(query),
        .handle = (void *)name,
        .now_ns = 5,
    };
    return fixture_subscribe_args(self, &args, psub);
}

/* The same, of |kind|. */
static inline fq_status
fixture_subscribe_kind(fixture *self, const char *name, const char *query,
                       fq_field_kind kind, fq_returns returns, fq_sub **psub)
{
    fq_subscribe_args args = {
        .query = fq_str_of(query),
        .has_override = true,
        .kind = kind,
        .returns = returns,
        .token = 9,
        .handle = (void *)name,
        .now_ns = 5,
    };
    return fixture_subscribe_args(self, &args, psub);
}

static inline void
fixture_done(fq_event *event, void *arg)
{
    (void)event;
    ((fixture *)arg)->n_done++;
}

/* Makes an event whose id is its number; one that is unreadable if |data| is
 * NULL. */
static inline fq_status
fixture_event(fixture *self, const char *channel, const char *data,
              fq_event **pevent)
{
    fq_status status = data == NULL
                           ? fq_event_new_unreadable(fq_str_of(channel), 0,
                                                     pevent)
                           : fq_event_new(fq_str_of(channel), FQ_STR_LIT("t"),
                                          fq_str_of(data), 0, 0, pevent, NULL);
    if (status != FQ_OK)
        return status;
    snprintf((*pevent)->id, FQ_EVENT_ID_MAX, "%llu",
             (unsigned long long)++self->n_events);
    (*pevent)->done_cb = fixture_done;
    (*pevent)->done_arg = self;
    return FQ_OK;
}

/* Makes an event, dispatches it and lets it go. */
static inline fq_status
fixture_publish(fixture *self, const char *channel, const char *data)
{
    fq_event *event;
    fq_status status = fixture_event(self, channel, data, &event);
    if (status != FQ_OK)
        return status;
    fq_engine_dispatch(self->engine, event, 11);
    fq_event_unref(event);
    return FQ_OK;
}

static inline void
fixture_answer_shared(fixture *self, uint64_t id, fq_answer_kind kind,
                      const char *text)
{
    fq_engine_answer_shared(self->engine, id, kind, fq_str_of(text), 12);
}

static inline void
fixture_answer(fixture *self, fq_sub *sub, fq_answer_kind kind,
               const char *text)
{
    fq_engine_answer(self->engine, sub->id, kind, fq_str_of(text), 12);
}

/* The log since the last time is |expected|; forgets it. */
static inline void
fixture_assert_log(fixture *self, const char *expected)
{
    fq_test_assert_str(fq_buf_str(&self->log), expected);
    fq_buf_clear(&self->log);
}

#endif
