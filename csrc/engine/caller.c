/* SPDX-License-Identifier: MIT */
/* Calls, and what waits for them. Thread: reactor.
 *
 * A subscription is calling (answers are awaited) or not. Events that come
 * while it is calling wait in |pending|; an answer is delivered, and after the
 * last one that is awaited the oldest of them is called for. A source has no
 * events: it is called again after each answer, unless its queue is full; then
 * it is stalled until the owner says there is room.
 *
 * A call crosses to another thread and its answer comes back, which takes
 * longer than most resolvers do. So where the last answers came soon, up to
 * FQ_CALLS_MAX of the events that wait are called for at once, and are
 * resolved there one after the other. What waits is what may be dropped,
 * conflated and judged again; so a resolver that takes its time has one call
 * out, and so has a subscription that conflates.
 *
 * An answer may come from within the call, even before ops->call returns, and
 * would then make the next call, and so on: as deep as there are events. So
 * calls are made by one loop per subscription, caller_pump(), and an answer
 * that finds the loop running (|is_pumping|) leaves the next call to it.
 *
 * Every callback may end the subscription. It is looked up by its id after
 * each: ids are never used again, addresses are.
 *
 * A subscription with an initial value begins by calling for that, whatever
 * its kind. Events for its resolver wait in |pending| as behind any call; what
 * needs no call of its own is held as payloads (start.c).
 *
 * The reference on an event is dropped after its delivery: when the last one
 * goes, a publisher may be told that all is done, and what it asks for then
 * must be in the queue. */
#include "engine/caller.h"

#include "base/check.h"
#include "engine/conflate_key.h"
#include "engine/dispatch.h"
#include "engine/gap.h"
#include "engine/internal.h"
#include "engine/payload.h"
#include "engine/renewal.h"

/* Answers that came within this time, counted from the first of their calls,
 * came soon: what may be ahead then delays nobody much. */
#define QUICK_NS (2 * UINT64_C(1000000))

/* Makes a call for |event|, which |sub| holds, or for what has none. */
static void
caller_call(fq_engine *engine, fq_sub *sub, fq_event *event, uint64_t now_ns)
{
    FQ_CHECK(sub->n_calls < FQ_CALLS_MAX);
    if (sub->n_calls++ == 0)
        sub->called_at_ns = now_ns;
    if (sub->replay == NULL)
        sub->is_stalled = false;
    FQ_METRIC_ADD(engine->metrics, resolver_calls, 1);
    sub->sink->ops->call(sub->sink, sub, event);
}

/* ── what waits ── */

/* The oldest event that waits for |sub|; its reference is the caller's. */
static fq_event *
caller_take_waiting(fq_sub *sub)
{
    size_t n_bytes = sub->pending.n_bytes;
    fq_event *event = fq_waiting_take(&sub->pending);
    if (event != NULL)
        sub->sink->n_waiting--;
    sub->sink->n_waiting_bytes -= n_bytes - sub->pending.n_bytes;
    return event;
}

static bool
caller_has_room(const fq_engine *engine, const fq_sink *sink, size_t n_bytes)
{
    const fq_engine_limits *limits = &engine->limits;
    if (sink->n_waiting == 0)
        return true;
    if (limits->max_pending != 0 && sink->n_waiting >= limits->max_pending)
        return false;
    return limits->max_pending_bytes == 0
           || (sink->n_waiting_bytes <= limits->max_pending_bytes
               && n_bytes
                      <= limits->max_pending_bytes - sink->n_waiting_bytes);
}

/* Which of its sink's subscriptions loses its oldest waiting event for one
 * more of |sub|; NULL: |sub| loses that. The rule of queue.h: one yields by
 * itself, unless another holds more than twice as much. */
static fq_sub *
caller_find_victim(fq_sub *sub)
{
    fq_sub *greedy = NULL;
    FQ_LIST_FOREACH(node, &sub->sink->subs)
    {
        fq_sub *other = FQ_CONTAINER_OF(node, fq_sub, sink_node);
        bool yields = other->overflow == FQ_OVERFLOW_DROP_OLDEST
                      || other->overflow == FQ_OVERFLOW_CONFLATE;
        if (yields && other->pending.n_items > 0
            && (greedy == NULL
                || other->pending.n_items > greedy->pending.n_items))
            greedy = other;
    }
    if (greedy != NULL && greedy->pending.n_items > 2 * sub->pending.n_items)
        return greedy;
    if (sub->overflow == FQ_OVERFLOW_DISCONNECT)
        return greedy;
    return sub->overflow == FQ_OVERFLOW_DROP_NEWEST
                   || sub->pending.n_items == 0
               ? NULL
               : sub;
}

/* Drops the oldest waiting event of |sub|, if there is one. Letting go of it
 * may end subscriptions. */
static void
caller_drop_oldest(fq_engine *engine, fq_sub *sub)
{
    fq_event *oldest = caller_take_waiting(sub);
    if (oldest == NULL)
        return;
    fq_gap_note_waiting(sub);
    fq_engine_lose(engine, sub);
    FQ_METRIC_ADD(engine->metrics, dropped_oldest, 1);
    fq_event_unref(oldest);
}

/* Whether the context of |sub| may have |event| at |now_ns|, of which 0 tells
 * nothing: it is asked again when there is an answer. */
static bool
caller_may_have(fq_engine *engine, fq_sub *sub, const fq_event *event,
                uint64_t now_ns)
{
    if (now_ns >= sub->security.expires_at_ns) {
        FQ_METRIC_ADD(engine->metrics, security_expired_denied, 1);
        return false;
    }
    return fq_renewal_allows(engine, sub, event, now_ns);
}

/* The oldest event that waits for *psub and that its context may have, as
 * above; *psub is NULL afterwards if the subscription has ended. */
static fq_event *
caller_take_allowed(fq_engine *engine, fq_sub **psub, uint64_t now_ns)
{
    fq_sub_id id = (*psub)->id;
    while (*psub != NULL) {
        fq_event *event = caller_take_waiting(*psub);
        if (event == NULL || caller_may_have(engine, *psub, event, now_ns))
            return event;
        fq_gap_note_waiting(*psub);
        fq_event_unref(event);
        *psub = fq_registry_find(&engine->registry, id);
    }
    return NULL;
}

/* Makes |event| (one reference, given away) the next that |sub| awaits an
 * answer for; false: it is lost for want of memory. */
static bool
caller_hold(fq_engine *engine, fq_sub *sub, fq_event *event)
{
    if (sub->n_calls == 0) {
        sub->called_for = event;
        return true;
    }
    bool is_held = fq_event_fifo_push(&sub->ahead, event) == FQ_OK;
    if (!is_held) {
        fq_gap_note_waiting(sub);
        fq_engine_lose(engine, sub);
    }
    fq_event_unref(event);
    return is_held;
}

/* True when a call is to be made now, for *pevent or, where that is NULL, for
 * what has no event. *psub is NULL afterwards if the subscription has ended. */
static bool
caller_is_due(fq_engine *engine, fq_sub **psub, uint64_t now_ns,
              fq_event **pevent)
{
    fq_sub *sub = *psub;
    *pevent = NULL;
    if (sub->kind != FQ_FIELD_SOURCE && sub->n_outdated == 0) {
        fq_event *event = caller_take_allowed(engine, psub, now_ns);
        if (event == NULL || !caller_hold(engine, *psub, event))
            return false;
        *pevent = event;
        return true;
    }
    if (sub->n_calls > 0)
        return false;
    if (sub->n_outdated > 0) {
        sub->n_outdated = 0;
        return true;
    }
    fq_sub_id id = sub->id;
    bool has_room = sub->sink->ops->has_room(sub->sink, sub, 1, 0);
    *psub = sub = fq_registry_find(&engine->registry, id);
    if (sub == NULL)
        return false;
    sub->is_stalled = !has_room;
    return has_room;
}

/* Makes calls as long as they are due: the first one unasked when |is_due|.
 * |now_ns| is 0 where nobody has looked at a clock. */
static void
caller_pump(fq_engine *engine, fq_sub *sub, bool is_due, uint64_t now_ns)
{
    if (sub->is_pumping)
        return;
    bool goes_ahead = sub->n_calls == 0 && sub->is_quick
                      && sub->kind == FQ_FIELD_RESOLVER && sub->start == NULL
                      && sub->conflate_path == NULL;
    uint8_t max = goes_ahead ? FQ_CALLS_MAX : 1;
    sub->is_pumping = true;
    fq_sub_id id = sub->id;
    fq_event *event = sub->called_for;
    while (sub != NULL && sub->n_calls < max
           && (is_due || caller_is_due(engine, &sub, now_ns, &event))) {
        is_due = false;
        caller_call(engine, sub, event, now_ns);
        sub = fq_registry_find(&engine->registry, id);
    }
    if (sub != NULL)
        sub->is_pumping = false;
}

/* Makes room for |event| to wait for |sub|; false when that is lost, or |sub|
 * has ended, or is about to. */
static bool
caller_make_room(fq_engine *engine, fq_sub *sub, const fq_event *event)
{
    fq_sub_id id = sub->id;
    while (!caller_has_room(engine, sub->sink, event->data->len)) {
        fq_sub *victim = caller_find_victim(sub);
        if (victim == NULL && sub->overflow == FQ_OVERFLOW_DISCONNECT) {
            if (!sub->sink->ops->overflow(sub->sink, sub)
                || fq_registry_find(&engine->registry, id) == NULL)
                return false;
            victim = sub->pending.n_items > 0 ? sub : NULL;
        }
        if (victim == NULL) {
            fq_engine_lose(engine, sub);
            FQ_METRIC_ADD(engine->metrics, dropped_newest, 1);
            return false;
        }
        caller_drop_oldest(engine, victim);
        if (fq_registry_find(&engine->registry, id) == NULL)
            return false;
    }
    return true;
}

/* Lets |event| wait for |sub|; false when it is lost for want of memory. */
static bool
caller_wait(fq_engine *engine, fq_sub *sub, fq_event *event)
{
    fq_sink *sink = sub->sink;
    fq_event *replaced = NULL;
    size_t n_items = sub->pending.n_items;
    size_t n_bytes = sub->pending.n_bytes;
    fq_status status;
    if (sub->conflate_path == NULL)
        status = fq_waiting_push(&sub->pending, event);
    else
        status = fq_waiting_push_keyed(
            &sub->pending, event,
            fq_dispatch_key(engine, sub->conflate_path, event), &replaced);
    sink->n_waiting += sub->pending.n_items - n_items;
    sink->n_waiting_bytes += sub->pending.n_bytes - n_bytes;
    if (replaced != NULL) {
        fq_engine_lose(engine, sub);
        FQ_METRIC_ADD(engine->metrics, conflated, 1);
        fq_event_unref(replaced);
    }
    return status == FQ_OK;
}

void
fq_caller_event(fq_engine *engine, fq_sub *sub, fq_event *event)
{
    bool is_free = sub->n_calls == 0 && !sub->is_pumping
                   && sub->pending.n_items == 0;
    if (is_free) {
        sub->pending.is_ahead = false;
        sub->called_for = fq_event_ref(event);
        caller_pump(engine, sub, true, 0);
        return;
    }
    if (!caller_make_room(engine, sub, event))
        return;
    fq_sub_id id = sub->id;
    if (!caller_wait(engine, sub, event))
        fq_engine_lose(engine, sub);
    /* Nothing is due while an answer is awaited, which is the rule; but
     * overflow() may have given it. */
    sub = fq_registry_find(&engine->registry, id);
    if (sub != NULL)
        caller_pump(engine, sub, false, 0);
}

void
fq_caller_start(fq_engine *engine, fq_sub *sub)
{
    FQ_CHECK(sub->kind == FQ_FIELD_SOURCE || sub->start != NULL);
    caller_pump(engine, sub, true, 0);
}

/* Delivers an answer, to |event| or NULL, that has something to deliver: a
 * value is what |returns| says. May end |sub|. */
static void
caller_deliver(fq_engine *engine, fq_sub *sub, fq_event *event,
               fq_returns returns, fq_answer_kind kind, fq_str text)
{
    bool is_lost;
    fq_rcbuf *payload = fq_payload_of_answer(engine, sub->binding.variant,
                                             returns, kind, text, &is_lost);
    if (is_lost)
        fq_engine_lose(engine, sub);
    if (payload == NULL)
        return;
    /* One that is ahead of others that wait would cover them, too. */
    if (event != NULL && !sub->pending.is_ahead)
        fq_engine_set_position(sub, event);
    else if (event == NULL && sub->start != NULL)
        fq_start_set_position(sub);
    if (sub->conflate_path != NULL && event != NULL) {
        fq_rcbuf_unref(sub->next_key);
        /* Without memory for a key it is not conflated, that is all. */
        (void)fq_conflate_key_new(fq_rcbuf_str(sub->conflate_path),
                                  yyjson_doc_get_root(event->doc),
                                  &engine->scratch, &sub->next_key);
    }
    sub->sink->ops->next(sub->sink, sub, payload);
    fq_rcbuf_unref(payload);
}

/* The same, if the context of |sub| may have it. */
static void
caller_take_answer(fq_engine *engine, fq_sub *sub, fq_event *event,
                   fq_returns returns, fq_answer_kind kind, fq_str text,
                   uint64_t now_ns)
{
    bool is_outdated = sub->n_outdated > 0;
    if (is_outdated)
        sub->n_outdated--;
    if (now_ns >= sub->security.expires_at_ns) {
        FQ_METRIC_ADD(engine->metrics, security_expired_denied, 1);
        return;
    }
    if (event != NULL && !fq_renewal_allows(engine, sub, event, now_ns))
        return;
    if (is_outdated)
        fq_engine_lose(engine, sub);
    else
        caller_deliver(engine, sub, event, returns, kind, text);
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

/* The newest call could not be made. Its answer would come before others', so
 * there is none. */
static void
caller_fail_ahead(fq_engine *engine, fq_sub *sub)
{
    fq_event *event = fq_event_fifo_take_newest(&sub->ahead);
    fq_gap_note_newest(sub);
    sub->n_calls--;
    fq_engine_lose(engine, sub);
    fq_event_unref(event);
}

/* Takes the event that the next answer is to; NULL: it is to none. */
static fq_event *
caller_take_called(fq_sub *sub, uint64_t now_ns)
{
    fq_event *event = sub->called_for;
    sub->called_for = fq_event_fifo_take(&sub->ahead);
    sub->n_calls--;
    if (sub->n_calls == 0)
        sub->is_quick = sub->called_at_ns != 0
                        && now_ns < sub->called_at_ns + QUICK_NS;
    return event;
}

void
fq_caller_answer(fq_engine *engine, fq_sub_id id, fq_answer_kind kind,
                 fq_str text, uint64_t now_ns)
{
    fq_sub *sub = fq_registry_find(&engine->registry, id);
    if (sub == NULL || sub->n_calls == 0)
        return;
    if (sub->is_pumping && sub->n_calls > 1) {
        caller_fail_ahead(engine, sub);
        return;
    }
    sub = fq_gap_tell_due(engine, sub);
    if (sub == NULL)
        return;
    fq_event *event = caller_take_called(sub, now_ns);
    bool is_initial = sub->start != NULL && event == NULL;
    if (sub->kind == FQ_FIELD_SOURCE) {
        sub->last_event_at_ns = now_ns;
        /* What has raised has ended; called again, it would raise for ever. */
        if (kind == FQ_ANSWER_ERROR)
            kind = FQ_ANSWER_FAIL;
    }
    if (is_initial && sub->n_outdated > 0) {
        caller_pump(engine, sub, false, now_ns);
        return;
    }
    /* An initial value is the root field's, whatever the resolver returns. */
    caller_take_answer(engine, sub, event,
                       is_initial ? FQ_RETURNS_FIELD : sub->returns, kind,
                       text, now_ns);
    sub = fq_registry_find(&engine->registry, id);
    if (sub != NULL && is_initial)
        sub = fq_start_finish(engine, sub, now_ns);
    if (sub != NULL)
        fq_gap_note_answer(sub);
    sub = fq_gap_tell_due(engine, sub);
    if (sub != NULL && (kind == FQ_ANSWER_END || kind == FQ_ANSWER_FAIL))
        caller_end(engine, sub,
                   kind == FQ_ANSWER_END ? FQ_END_SOURCE : FQ_END_ERROR);
    else if (sub != NULL)
        caller_pump(engine, sub, false, now_ns);
    sub = fq_gap_tell_due(engine, fq_registry_find(&engine->registry, id));
    if (sub != NULL)
        fq_replay_note_answer(engine, sub);
    if (event != NULL)
        fq_event_unref(event);
}

void
fq_caller_resume(fq_engine *engine, fq_sub_id id)
{
    fq_sub *sub = fq_registry_find(&engine->registry, id);
    if (sub != NULL && sub->is_stalled)
        caller_pump(engine, sub, true, 0);
}

void
fq_caller_check(const fq_sub *sub)
{
#ifndef NDEBUG
    FQ_CHECK(!sub->is_pumping);
    bool is_calling = sub->n_calls > 0;
    FQ_CHECK(sub->kind != FQ_FIELD_EVENT || !is_calling || sub->start != NULL);
    FQ_CHECK(sub->start == NULL || sub->n_calls == 1);
    FQ_CHECK(sub->kind == FQ_FIELD_RESOLVER || sub->called_for == NULL);
    FQ_CHECK(sub->kind == FQ_FIELD_SOURCE || !sub->is_stalled
             || sub->replay != NULL);
    FQ_CHECK(!(is_calling && sub->is_stalled) || sub->replay != NULL);
    FQ_CHECK(sub->n_outdated <= sub->n_calls);
    FQ_CHECK(!sub->is_gap_due);
    FQ_CHECK(sub->shared != NULL
             || sub->gap_left <= sub->n_calls + sub->pending.n_items);
    FQ_CHECK(sub->kind != FQ_FIELD_RESOLVER || sub->start != NULL
             || is_calling == (sub->called_for != NULL));
    FQ_CHECK(sub->called_for == NULL
             || sub->n_calls == 1 + sub->ahead.n_items);
    FQ_CHECK(sub->called_for != NULL || sub->ahead.n_items == 0);
    FQ_CHECK(sub->pending.n_items == 0 || is_calling);
    FQ_CHECK(sub->kind != FQ_FIELD_SOURCE || is_calling || sub->is_stalled);
#else
    (void)sub;
#endif
}
