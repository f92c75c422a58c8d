/* SPDX-License-Identifier: MIT */
/* One call in flight per subscription. Thread: reactor.
 *
 * A subscription is calling (its answer is awaited) or not. Events that come
 * while it is calling wait in |pending|; an answer is delivered, then the
 * oldest of them is called for. A source has no events: it is called again
 * after each answer, unless its queue is full; then it is stalled until the
 * owner says there is room.
 *
 * An answer may come from within the call, even before ops->call returns, and
 * would then make the next call, and so on: as deep as there are events. So
 * calls are made by one loop per subscription, caller_pump(), and an answer
 * that finds the loop running (|is_pumping|) leaves the next call to it.
 *
 * Every callback may end the subscription. It is looked up by its id after
 * each: ids are never used again, addresses are.
 *
 * The reference on an event is dropped after its delivery: when the last one
 * goes, a publisher may be told that all is done, and what it asks for then
 * must be in the queue. */
#include "engine/caller.h"

#include "base/check.h"
#include "engine/internal.h"
#include "engine/payload.h"
#include "json/reader.h"

/* What a client reads when a value could not be read or projected. */
static const char text_no_value[]
    = "The value of this field could not be made.";

static void
caller_call(fq_engine *engine, fq_sub *sub)
{
    FQ_CHECK(!sub->is_calling);
    sub->is_calling = true;
    sub->is_stalled = false;
    FQ_METRIC_ADD(engine->metrics, resolver_calls, 1);
    sub->sink->ops->call(sub->sink, sub, sub->called_for);
}

/* True when a call is to be made now. *psub is NULL afterwards if the
 * subscription has ended. */
static bool
caller_is_due(fq_engine *engine, fq_sub **psub)
{
    fq_sub *sub = *psub;
    if (sub->is_calling)
        return false;
    if (sub->kind != FQ_FIELD_SOURCE) {
        sub->called_for = fq_event_fifo_take(&sub->pending);
        return sub->called_for != NULL;
    }
    fq_sub_id id = sub->id;
    bool has_room = sub->sink->ops->has_room(sub->sink, sub);
    *psub = sub = fq_registry_find(&engine->registry, id);
    if (sub == NULL)
        return false;
    sub->is_stalled = !has_room;
    return has_room;
}

/* Makes calls as long as they are due: the first one unasked when |is_due|. */
static void
caller_pump(fq_engine *engine, fq_sub *sub, bool is_due)
{
    if (sub->is_pumping)
        return;
    sub->is_pumping = true;
    fq_sub_id id = sub->id;
    while (sub != NULL && (is_due || caller_is_due(engine, &sub))) {
        is_due = false;
        caller_call(engine, sub);
        sub = fq_registry_find(&engine->registry, id);
    }
    if (sub != NULL)
        sub->is_pumping = false;
}

/* Makes room among the waiting events of |sub|; false when it has ended, or
 * is about to. */
static bool
caller_make_room(fq_engine *engine, fq_sub *sub)
{
    size_t max = engine->limits.max_pending;
    if (max == 0 || sub->pending.n_items < max)
        return true;
    fq_sub_id id = sub->id;
    if (!sub->sink->ops->overflow(sub->sink, sub)
        || fq_registry_find(&engine->registry, id) == NULL)
        return false;
    fq_event *oldest = fq_event_fifo_take(&sub->pending);
    if (oldest == NULL)
        return true;
    fq_engine_lose(engine, sub);
    fq_event_unref(oldest);
    return fq_registry_find(&engine->registry, id) != NULL;
}

void
fq_caller_event(fq_engine *engine, fq_sub *sub, fq_event *event)
{
    bool is_free = !sub->is_calling && !sub->is_pumping
                   && sub->pending.n_items == 0;
    if (is_free) {
        sub->called_for = fq_event_ref(event);
        caller_pump(engine, sub, true);
        return;
    }
    if (!caller_make_room(engine, sub))
        return;
    if (fq_event_fifo_push(&sub->pending, event) != FQ_OK)
        fq_engine_lose(engine, sub);
    /* Nothing is due while an answer is awaited, which is the rule; but
     * overflow() may have given it. */
    caller_pump(engine, sub, false);
}

void
fq_caller_start(fq_engine *engine, fq_sub *sub)
{
    FQ_CHECK(sub->kind == FQ_FIELD_SOURCE);
    caller_pump(engine, sub, true);
}

/* The payload of a value given as JSON text, or of the error it earns; NULL
 * without memory for either. */
static fq_rcbuf *
caller_payload(fq_engine *engine, fq_sub *sub, fq_str text)
{
    yyjson_doc *doc;
    fq_rcbuf *payload = NULL;
    if (fq_json_read(text, FQ_JSON_STRICT, &doc, NULL) == FQ_OK) {
        payload = fq_payload_of_value(sub, yyjson_doc_get_root(doc),
                                      &engine->scratch);
        fq_json_free(doc);
        FQ_METRIC_ADD(engine->metrics, projections, 1);
    }
    if (payload == NULL) {
        FQ_METRIC_ADD(engine->metrics, resolver_errors, 1);
        payload = fq_payload_of_error(sub, fq_str_of(text_no_value),
                                      &engine->scratch);
    }
    return payload;
}

/* Delivers an answer that has something to deliver. May end |sub|. */
static void
caller_deliver(fq_engine *engine, fq_sub *sub, fq_answer_kind kind,
               fq_str text)
{
    fq_rcbuf *payload;
    if (kind == FQ_ANSWER_VALUE) {
        payload = caller_payload(engine, sub, text);
    } else if (kind == FQ_ANSWER_ERROR || kind == FQ_ANSWER_FAIL) {
        FQ_METRIC_ADD(engine->metrics, resolver_errors, 1);
        payload = fq_payload_of_error(sub, text, &engine->scratch);
    } else {
        return;
    }
    if (payload == NULL) {
        fq_engine_lose(engine, sub);
        return;
    }
    sub->sink->ops->next(sub->sink, sub, payload);
    fq_rcbuf_unref(payload);
}

/* The source is exhausted or has raised: tells the owner and frees the
 * subscription. */
static void
caller_end(fq_engine *engine, fq_sub *sub, fq_end_reason reason)
{
    fq_sub_id id = sub->id;
    sub->sink->ops->end(sub->sink, sub);
    sub = fq_registry_find(&engine->registry, id);
    if (sub != NULL)
        fq_engine_unsubscribe(engine, sub, reason);
}

void
fq_caller_answer(fq_engine *engine, fq_sub_id id, fq_answer_kind kind,
                 fq_str text, uint64_t now_ns)
{
    fq_sub *sub = fq_registry_find(&engine->registry, id);
    if (sub == NULL || !sub->is_calling)
        return;
    fq_event *event = sub->called_for;
    sub->called_for = NULL;
    sub->is_calling = false;
    if (sub->kind == FQ_FIELD_SOURCE) {
        sub->last_event_at_ns = now_ns;
        /* What has raised has ended; called again, it would raise for ever. */
        if (kind == FQ_ANSWER_ERROR)
            kind = FQ_ANSWER_FAIL;
    }
    if (now_ns < sub->security.expires_at_ns)
        caller_deliver(engine, sub, kind, text);
    else
        FQ_METRIC_ADD(engine->metrics, security_expired_denied, 1);
    sub = fq_registry_find(&engine->registry, id);
    if (sub != NULL && (kind == FQ_ANSWER_END || kind == FQ_ANSWER_FAIL))
        caller_end(engine, sub,
                   kind == FQ_ANSWER_END ? FQ_END_SOURCE : FQ_END_ERROR);
    else if (sub != NULL)
        caller_pump(engine, sub, false);
    if (event != NULL)
        fq_event_unref(event);
}

void
fq_caller_resume(fq_engine *engine, fq_sub_id id)
{
    fq_sub *sub = fq_registry_find(&engine->registry, id);
    if (sub != NULL && sub->is_stalled)
        caller_pump(engine, sub, true);
}

void
fq_caller_check(const fq_sub *sub)
{
#ifndef NDEBUG
    FQ_CHECK(!sub->is_pumping);
    FQ_CHECK(sub->kind != FQ_FIELD_EVENT || !sub->is_calling);
    FQ_CHECK(sub->kind == FQ_FIELD_RESOLVER || sub->called_for == NULL);
    FQ_CHECK(sub->kind == FQ_FIELD_SOURCE || !sub->is_stalled);
    FQ_CHECK(!(sub->is_calling && sub->is_stalled));
    FQ_CHECK(sub->kind != FQ_FIELD_RESOLVER
             || sub->is_calling == (sub->called_for != NULL));
    FQ_CHECK(sub->pending.n_items == 0 || sub->is_calling);
    FQ_CHECK(sub->kind != FQ_FIELD_SOURCE || sub->is_calling
             || sub->is_stalled);
#else
    (void)sub;
#endif
}
