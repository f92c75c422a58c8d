/* SPDX-License-Identifier: MIT */
/* Events past their listeners. Thread: reactor.
 *
 * Order. Events get a number when they are accepted and are dispatched one
 * after the other, however many slices one takes; so every subscription meets
 * them in the order of the bus. A subscription keeps the number that was last
 * when it was made and ignores events up to that one: an event that still
 * waits, or is being dispatched, came before it. From then on the number is
 * that of the event it met last, so that it meets none twice, in however many
 * places it may be listening.
 *
 * Checks. The predicate index passes by those who cannot want an event; whoever
 * is met is asked, cheapest first and before anything is called or made for
 * it: what the subscription wants (filters), what its context may have
 * (security), how much of it (rates). The first two leave no trace of a
 * refused event, the third is a loss, to be told. A step of a slice is one
 * that is met, refused or not.
 *
 * Callbacks. A sink's callback may end any subscription, start new ones, free
 * its sink, answer a call, or accept another event, while the walk is on its
 * way. So the walk holds nothing across a callback but the cursor, which
 * stays right (predicate_index.c), and the event, by a reference:
 * - the subscription and its sink are not looked at after the callback;
 * - new subscriptions join the list's end, in front of the cursor, and are
 *   passed by for their number;
 * - an event accepted inside is queued, and the walk that is under way gets
 *   to it: fq_dispatch_run does nothing while it runs already.
 *
 * Sharing. The first subscription of a (plan variant, returns) that an event
 * meets has the payload made, and leaves it in the variant's share under a
 * key of the event's number and |returns|; the others find it there. So a
 * further subscriber costs a comparison and the sink's own work. The engine
 * holds the variants in a list until the event is done and then empties their
 * shares: a callback may end all subscriptions of a variant while the sink
 * still reads the payload, and no payload outlives its event by more than its
 * deliveries.
 *
 * Unreadable. An event of which nothing but the channel is known comes by the
 * same way, and each who listens there is told of a gap in its place: whether
 * it would have wanted the event, or may have it, nobody can say.
 *
 * Without memory. The FIFO takes an event without memory when it is empty,
 * which is the rule. Otherwise the event is lost, and so is a payload that
 * cannot be made: each subscription concerned counts it, and its next
 * delivery says so. */
#include "engine/dispatch.h"

#include "base/alloc.h"
#include "base/check.h"
#include "engine/caller.h"
#include "engine/conflate_key.h"
#include "engine/engine.h"
#include "engine/event_rate.h"
#include "engine/internal.h"
#include "engine/listening.h"
#include "engine/payload.h"

/* Room for variants that is kept between events: 8 KiB. */
#define DISPATCH_VARIANTS_KEPT 1024

fq_status
fq_dispatch_init(fq_dispatch *dispatch)
{
    *dispatch = (fq_dispatch){.slice = FQ_DISPATCH_SLICE};
    fq_event_fifo_init(&dispatch->waiting);
    fq_predicate_cursor_init(&dispatch->cursor);
    return fq_event_fifo_reserve(&dispatch->waiting);
}

/* The variant's share for the current event and |returns|. */
static uint64_t
share_key(const fq_dispatch *dispatch, fq_returns returns)
{
    return dispatch->event_seq << 1 | (returns == FQ_RETURNS_DATA);
}

/* Remembers a variant that is about to share something, so that its share is
 * emptied at the end of the event. */
static fq_status
dispatch_add_variant(fq_dispatch *dispatch, fq_plan_variant *variant)
{
    fq_plan_variant **variants = fq_alloc_grow(
        dispatch->variants, sizeof(fq_plan_variant *),
        dispatch->n_variants + 1, 16, &dispatch->variants_cap);
    if (variants == NULL)
        return FQ_ERR_NOMEM;
    dispatch->variants = variants;
    variants[dispatch->n_variants++] = fq_plan_variant_ref(variant);
    return FQ_OK;
}

static void
dispatch_drop_variants(fq_dispatch *dispatch)
{
    for (size_t i = 0; i < dispatch->n_variants; i++) {
        fq_plan_share *share = fq_plan_variant_share(dispatch->variants[i]);
        fq_rcbuf_unref(share->payload);
        *share = (fq_plan_share){0};
        fq_plan_variant_unref(dispatch->variants[i]);
    }
    dispatch->n_variants = 0;
    if (dispatch->variants_cap > DISPATCH_VARIANTS_KEPT) {
        fq_free(dispatch->variants);
        dispatch->variants = NULL;
        dispatch->variants_cap = 0;
    }
}

/* The payload of the current event for |sub|, made or shared; borrowed from
 * the share. NULL without memory; that is shared too. */
static fq_rcbuf *
dispatch_payload(fq_engine *engine, fq_sub *sub)
{
    fq_dispatch *dispatch = &engine->dispatch;
    fq_plan_share *share = fq_plan_variant_share(sub->binding.variant);
    uint64_t key = share_key(dispatch, sub->returns);
    if (share->event_seq == key)
        return share->payload;
    bool is_listed = share->event_seq >> 1 == dispatch->event_seq;
    if (!is_listed
        && dispatch_add_variant(dispatch, sub->binding.variant) != FQ_OK)
        return NULL;
    yyjson_val *value = yyjson_doc_get_root(dispatch->event->doc);
    fq_rcbuf_unref(share->payload);
    share->event_seq = key;
    share->payload = fq_payload_of_value(sub->binding.variant, sub->returns,
                                         value, &engine->scratch);
    FQ_METRIC_ADD(engine->metrics, projections, 1);
    return share->payload;
}

/* Whether |sub| asked for |event| and may have it. If not, nothing of it may
 * show there, not even as lost. */
static bool
is_for(fq_engine *engine, const fq_sub *sub, const fq_event *event,
       const fq_event_security *facts, uint64_t now_ns)
{
    return fq_sub_filter_allows(&sub->filter, event)
           && fq_security_allows_event(&sub->security, sub->context, event,
                                       facts, now_ns, engine->metrics);
}

static void
dispatch_drop_key(fq_dispatch *dispatch)
{
    fq_rcbuf_unref(dispatch->key);
    fq_rcbuf_unref(dispatch->key_path);
    dispatch->key = NULL;
    dispatch->key_path = NULL;
}

fq_rcbuf *
fq_dispatch_key(fq_engine *engine, fq_rcbuf *path, const fq_event *event)
{
    fq_dispatch *dispatch = &engine->dispatch;
    FQ_CHECK(event == dispatch->event);
    if (dispatch->key_path == path)
        return dispatch->key;
    dispatch_drop_key(dispatch);
    fq_status status = fq_conflate_key_new(fq_rcbuf_str(path),
                                           yyjson_doc_get_root(event->doc),
                                           &engine->scratch, &dispatch->key);
    if (status == FQ_OK)
        dispatch->key_path = fq_rcbuf_ref(path);
    return dispatch->key;
}

/* Says what the delivery of the current event to |sub| conflates by, and what
 * its position is. */
static void
dispatch_mark(fq_engine *engine, fq_sub *sub)
{
    fq_event *event = engine->dispatch.event;
    fq_engine_set_position(sub, event);
    if (sub->conflate_path == NULL)
        return;
    fq_rcbuf *key = fq_dispatch_key(engine, sub->conflate_path, event);
    fq_rcbuf_unref(sub->next_key);
    sub->next_key = key != NULL ? fq_rcbuf_ref(key) : NULL;
}

/* The current event meets |sub|: true if it is for it, and not too much. */
static bool
dispatch_admit(fq_engine *engine, fq_sub *sub, uint64_t now_ns)
{
    fq_dispatch *dispatch = &engine->dispatch;
    if (sub->since_seq >= dispatch->event_seq)
        return false;
    sub->since_seq = dispatch->event_seq;
    return is_for(engine, sub, dispatch->event, &dispatch->facts, now_ns)
           && fq_event_rate_allows(engine, sub, now_ns);
}

/* The current event concerns |sub|. */
static void
dispatch_match(fq_engine *engine, fq_sub *sub, uint64_t now_ns)
{
    sub->last_event_at_ns = now_ns;
    if (sub->shared != NULL) {
        fq_shared_match(engine, sub);
        return;
    }
    if (sub->kind != FQ_FIELD_EVENT) {
        fq_caller_event(engine, sub, engine->dispatch.event);
        return;
    }
    fq_rcbuf *payload = dispatch_payload(engine, sub);
    if (payload == NULL) {
        fq_engine_lose(engine, sub);
        return;
    }
    if (sub->is_marked)
        dispatch_mark(engine, sub);
    fq_engine_deliver(engine, sub, payload);
}

/* Sees that there is a current event; false when none waits. */
static bool
dispatch_begin(fq_engine *engine)
{
    fq_dispatch *dispatch = &engine->dispatch;
    if (dispatch->event != NULL)
        return true;
    uint32_t n_waiting = dispatch->waiting.n_items;
    dispatch->event = fq_event_fifo_take(&dispatch->waiting);
    if (dispatch->event == NULL)
        return false;
    dispatch->event_seq = dispatch->accepted_seq - n_waiting + 1;
    dispatch->iter = 0;
    fq_security_read_event(engine->policy, dispatch->event, &dispatch->facts);
    fq_predicate_cursor_open(&dispatch->cursor, &engine->predicates,
                             dispatch->event);
    return true;
}

/* Who meets the current event next. One that is unreadable has no value that
 * anybody could be found by: it is walked past all subscriptions, where some of
 * its channel are found so. */
static fq_sub *
next_met(fq_engine *engine)
{
    fq_dispatch *dispatch = &engine->dispatch;
    fq_sub *sub = fq_predicate_cursor_next(&dispatch->cursor);
    if (sub != NULL || !dispatch->event->is_unreadable)
        return sub;
    const fq_channel *channel = fq_predicate_index_find(&engine->predicates,
                                                        dispatch->event);
    if (channel == NULL || channel->data == NULL)
        return NULL;
    return fq_registry_next(&engine->registry, &dispatch->iter);
}

/* |sub| meets the current event, which is unreadable: it might have wanted it.
 */
static void
dispatch_tell(fq_engine *engine, fq_sub *sub)
{
    fq_dispatch *dispatch = &engine->dispatch;
    if (sub->since_seq >= dispatch->event_seq
        || !fq_sub_is_on(sub, fq_predicate_index_find(&engine->predicates,
                                                      dispatch->event)))
        return;
    sub->since_seq = dispatch->event_seq;
    (void)fq_engine_tell_gap(engine, sub);
}

/* Everybody has met the current event. */
static void
dispatch_end(fq_engine *engine)
{
    fq_dispatch *dispatch = &engine->dispatch;
    fq_event *event = dispatch->event;
    fq_shared_call_matched(engine, event);
    dispatch->event = NULL;
    dispatch_drop_variants(dispatch);
    dispatch_drop_key(dispatch);
    fq_event_unref(event);
}

void
fq_dispatch_fini(fq_engine *engine)
{
    fq_dispatch *dispatch = &engine->dispatch;
    FQ_CHECK(!dispatch->is_running);
    fq_predicate_cursor_close(&dispatch->cursor);
    if (dispatch->event != NULL)
        dispatch_end(engine);
    fq_event_fifo_fini(&dispatch->waiting);
    fq_free(dispatch->variants);
    dispatch->variants = NULL;
}

bool
fq_dispatch_is_idle(const fq_dispatch *dispatch)
{
    return !dispatch->is_running && fq_dispatch_n_waiting(dispatch) == 0;
}

void
fq_dispatch_open(fq_engine *engine, fq_event *event)
{
    fq_dispatch *dispatch = &engine->dispatch;
    FQ_CHECK(fq_dispatch_is_idle(dispatch));
    dispatch->is_running = true;
    dispatch->event = fq_event_ref(event);
    dispatch->event_seq = ++dispatch->accepted_seq;
    fq_security_read_event(engine->policy, event, &dispatch->facts);
}

bool
fq_dispatch_is_for(fq_engine *engine, const fq_sub *sub, uint64_t now_ns)
{
    return is_for(engine, sub, engine->dispatch.event, &engine->dispatch.facts,
                  now_ns);
}

void
fq_dispatch_meet(fq_engine *engine, fq_sub *sub, uint64_t now_ns)
{
    if (!fq_event_rate_allows(engine, sub, now_ns))
        return;
    FQ_METRIC_ADD(engine->metrics, events_matched, 1);
    FQ_METRIC_ADD(engine->metrics, events_replayed, 1);
    dispatch_match(engine, sub, now_ns);
}

void
fq_dispatch_close(fq_engine *engine)
{
    dispatch_end(engine);
    engine->dispatch.is_running = false;
}

/* Without memory: whoever listens to the channel of |event|, which is
 * unreadable, counts it as lost. */
static void
dispatch_lose_unreadable(fq_engine *engine, fq_event *event)
{
    const fq_channel *channel = fq_predicate_index_find(&engine->predicates,
                                                        event);
    size_t iter = 0;
    fq_sub *sub;
    while ((sub = fq_registry_next(&engine->registry, &iter)) != NULL) {
        if (sub->replay == NULL && fq_sub_is_on(sub, channel))
            fq_engine_lose(engine, sub);
    }
}

/* There is no memory to queue |event|: whoever would have got it, counts, but
 * for those who get it from the history. */
static void
dispatch_lose(fq_engine *engine, fq_event *event, uint64_t now_ns)
{
    fq_replay_note_lost(engine);
    if (event->is_unreadable) {
        dispatch_lose_unreadable(engine, event);
        return;
    }
    fq_event_security facts;
    fq_security_read_event(engine->policy, event, &facts);
    fq_predicate_cursor cursor;
    fq_predicate_cursor_init(&cursor);
    fq_predicate_cursor_open(&cursor, &engine->predicates, event);
    fq_sub *sub;
    while ((sub = fq_predicate_cursor_next(&cursor)) != NULL) {
        if (sub->replay != NULL || !is_for(engine, sub, event, &facts, now_ns))
            continue;
        FQ_METRIC_ADD(engine->metrics, events_matched, 1);
        fq_engine_lose(engine, sub);
    }
}

bool
fq_dispatch_accept(fq_engine *engine, fq_event *event, uint64_t now_ns)
{
    fq_dispatch *dispatch = &engine->dispatch;
    if (fq_event_fifo_push(&dispatch->waiting, event) == FQ_OK)
        dispatch->accepted_seq++;
    else
        dispatch_lose(engine, event, now_ns);
    return fq_dispatch_run(engine, now_ns);
}

bool
fq_dispatch_run(fq_engine *engine, uint64_t now_ns)
{
    fq_dispatch *dispatch = &engine->dispatch;
    if (dispatch->is_running)
        return true;
    dispatch->is_running = true;
    uint64_t n_matched = 0;
    /* A step is one listener, or the end of an event: one that nobody listens
     * to costs something, too. */
    size_t n_left = dispatch->slice;
    for (; n_left > 0 && dispatch_begin(engine); n_left--) {
        fq_sub *sub = next_met(engine);
        if (sub == NULL) {
            dispatch_end(engine);
        } else if (dispatch->event->is_unreadable) {
            dispatch_tell(engine, sub);
        } else if (dispatch_admit(engine, sub, now_ns)) {
            n_matched++;
            dispatch_match(engine, sub, now_ns);
        }
    }
    FQ_METRIC_ADD(engine->metrics, events_matched, n_matched);
    dispatch->is_running = false;
    return fq_dispatch_n_waiting(dispatch) > 0;
}

size_t
fq_dispatch_n_waiting(const fq_dispatch *dispatch)
{
    return dispatch->waiting.n_items + (dispatch->event != NULL);
}
