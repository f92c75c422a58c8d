/* SPDX-License-Identifier: MIT */
/* Gaps. Thread: reactor.
 *
 * What a subscription was given before the gap may still wait for a resolver,
 * and its answer must not come behind the word that the rest is lost: who
 * loads its state anew at that word would then have an older one. So the word
 * waits for as many answers as were owed when the gap came (|gap_left|); what
 * comes later stands behind it, as calls are answered in order. Members of a
 * shared class wait until the class has done with the events accepted by then.
 *
 * Who catches up ends with POSITION_LOST, like who has asked for positions. Its
 * own may well be in the history still; but what is missing may be the end of
 * that, of which the history itself knows nothing: a server that took over has
 * not got what the bus, which took it there, knows to be gone.
 *
 * A gap that comes while one waits in the same place is the same to who is
 * told. Where events have come in between, the first one is told at once. */
#include "engine/gap.h"

#include "engine/internal.h"

/* A result like that of a resolver that failed: it ends nothing. How many
 * events are missing is not known, so there is no number. */
static const fq_str lost_text = FQ_STR(
    "{\"data\":null,\"errors\":[{\"message\":\"Events were lost: there is a "
    "gap before what comes next.\",\"extensions\":{\"code\":\"EVENTS_LOST\"}}"
    "]");

/* Who asked for positions knows what to do: what it has is worth nothing. */
static const fq_str lost_errors = FQ_STR(
    "[{\"message\":\"Events were lost; subscribe afresh.\",\"extensions\":"
    "{\"code\":\"POSITION_LOST\"}}]");

fq_status
fq_gap_init(fq_engine *engine)
{
    return fq_rcbuf_new(lost_text, &engine->gap);
}

static void
deliver(fq_engine *engine, fq_sub *sub)
{
    sub->gap_left = 0;
    sub->is_gap_due = false;
    FQ_METRIC_ADD(engine->metrics, subscriptions_with_gaps, 1);
    fq_engine_deliver(engine, sub, engine->gap);
}

/* Answers that are owed for what |sub| was given so far. */
static size_t
count_owed(const fq_sub *sub)
{
    if (sub->shared != NULL && sub->start == NULL)
        return sub->shared->called != NULL ? 1 : 0;
    if (sub->kind != FQ_FIELD_RESOLVER)
        return 0;
    return sub->n_calls + sub->pending.n_items;
}

/* The number of the event that came last before the gap, or stands for it. */
static uint64_t
seq_of_gap(const fq_engine *engine)
{
    const fq_dispatch *dispatch = &engine->dispatch;
    return dispatch->event != NULL ? dispatch->event_seq
                                   : dispatch->accepted_seq;
}

/* Ends |sub|, which the sink may have done. */
static void
end(fq_engine *engine, fq_sub *sub)
{
    fq_sub_id id = sub->id;
    FQ_METRIC_ADD(engine->metrics, subscriptions_with_gaps, 1);
    sub->sink->ops->refuse(sub->sink, sub, FQ_END_POSITION_LOST, lost_errors);
    sub = fq_registry_find(&engine->registry, id);
    if (sub != NULL)
        fq_engine_unsubscribe(engine, sub, FQ_END_POSITION_LOST);
}

bool
fq_engine_tell_gap(fq_engine *engine, fq_sub *sub)
{
    if (sub->kind == FQ_FIELD_SOURCE)
        return false;
    if (sub->ends_at_gap || sub->replay != NULL) {
        end(engine, sub);
        return true;
    }
    fq_sub_id id = sub->id;
    size_t n_owed = count_owed(sub);
    uint64_t seq = seq_of_gap(engine);
    bool is_same = sub->shared == NULL
                       ? n_owed == sub->gap_left
                       : n_owed > 0 && sub->shared->gap_seq == seq;
    if (sub->gap_left > 0 && !is_same) {
        deliver(engine, sub);
        sub = fq_registry_find(&engine->registry, id);
        if (sub == NULL)
            return true;
        n_owed = count_owed(sub);
    }
    if (n_owed == 0) {
        deliver(engine, sub);
        return true;
    }
    sub->gap_left = n_owed < UINT32_MAX ? (uint32_t)n_owed : UINT32_MAX;
    if (sub->shared != NULL)
        sub->shared->gap_seq = seq;
    return true;
}

/* ── what is called for one ── */

static void
note(fq_sub *sub)
{
    if (--sub->gap_left == 0)
        sub->is_gap_due = true;
}

void
fq_gap_note_answer(fq_sub *sub)
{
    if (sub->gap_left > 0)
        note(sub);
}

/* The calls come first: what waits is before the gap if more than these are. */
void
fq_gap_note_waiting(fq_sub *sub)
{
    if (sub->gap_left > sub->n_calls)
        note(sub);
}

void
fq_gap_note_newest(fq_sub *sub)
{
    if (sub->gap_left > 0 && sub->gap_left >= sub->n_calls)
        note(sub);
}

fq_sub *
fq_gap_tell_due(fq_engine *engine, fq_sub *sub)
{
    if (sub == NULL || !sub->is_gap_due)
        return sub;
    fq_sub_id id = sub->id;
    deliver(engine, sub);
    return fq_registry_find(&engine->registry, id);
}

/* ── what is called for many ── */

void
fq_gap_note_shared(fq_engine *engine, uint64_t id)
{
    size_t iter = 0;
    fq_sub *sub;
    while ((sub = fq_registry_next(&engine->registry, &iter)) != NULL) {
        if (sub->gap_left > 0 && sub->shared != NULL && sub->shared->id == id)
            deliver(engine, sub);
    }
}

void
fq_gap_leave_shared(fq_engine *engine, fq_sub *sub)
{
    if (sub->gap_left == 0)
        return;
    sub->gap_left = 0;
    fq_engine_lose(engine, sub);
}
