/* SPDX-License-Identifier: MIT */
/* Payloads held behind an initial value. Thread: reactor.
 *
 * What is held are payloads, not events: they are shared by all subscriptions
 * of a variant, so that a thousand that start at a time still have an event
 * projected once. They are handed over one by one, each callback may do
 * anything, and what it brings for this subscription joins the end; so the
 * start is over only when nothing is held any more. */
#include "engine/start.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/internal.h"

/* Slots of the first array. */
#define START_CAP_FIRST 8

fq_status
fq_start_new(uint64_t token, fq_start **pstart)
{
    fq_start *start = *pstart = fq_alloc_zero(sizeof(*start));
    if (start == NULL)
        return FQ_ERR_NOMEM;
    start->token = token;
    return FQ_OK;
}

static void
held_fini(fq_held *held)
{
    fq_rcbuf_unref(held->payload);
    fq_rcbuf_unref(held->key);
    fq_rcbuf_unref(held->position);
}

void
fq_start_free(fq_start *start)
{
    if (start == NULL)
        return;
    for (uint32_t i = 0; i < start->n_held; i++)
        held_fini(&start->held[start->head + i]);
    fq_rcbuf_unref(start->position);
    fq_free(start->held);
    fq_free(start);
}

/* Moves the oldest to *held, whose references are the caller's then; false:
 * none. */
static bool
start_take(fq_start *start, fq_held *held)
{
    if (start->n_held == 0)
        return false;
    start->n_held--;
    *held = start->held[start->head++];
    start->n_bytes -= held->payload->len;
    return true;
}

/* Makes room for one more behind the others. */
static fq_status
start_reserve(fq_start *start)
{
    size_t end = (size_t)start->head + start->n_held;
    if (end < start->cap)
        return FQ_OK;
    if (start->head > start->cap / 2) {
        memmove(start->held, start->held + start->head,
                start->n_held * sizeof(*start->held));
        start->head = 0;
        return FQ_OK;
    }
    if (end >= UINT32_MAX)
        return FQ_ERR_NOMEM;
    fq_held *held = fq_alloc_grow(start->held, sizeof(*held), end + 1,
                                  START_CAP_FIRST, &start->cap);
    if (held == NULL)
        return FQ_ERR_NOMEM;
    start->held = held;
    return FQ_OK;
}

static bool
start_has_room(const fq_engine *engine, const fq_start *start, size_t n_bytes)
{
    const fq_engine_limits *limits = &engine->limits;
    if (start->n_held == 0)
        return true;
    if (limits->max_pending != 0 && start->n_held >= limits->max_pending)
        return false;
    return limits->max_pending_bytes == 0
           || (start->n_bytes <= limits->max_pending_bytes
               && n_bytes <= limits->max_pending_bytes - start->n_bytes);
}

/* Makes room for |n_bytes| more; false when they are lost, or |sub| has ended
 * or is about to. */
static bool
start_make_room(fq_engine *engine, fq_sub *sub, size_t n_bytes)
{
    fq_sub_id id = sub->id;
    while (sub->start != NULL
           && !start_has_room(engine, sub->start, n_bytes)) {
        if (sub->overflow == FQ_OVERFLOW_DROP_NEWEST) {
            fq_engine_lose(engine, sub);
            FQ_METRIC_ADD(engine->metrics, dropped_newest, 1);
            return false;
        }
        if (sub->overflow == FQ_OVERFLOW_DISCONNECT) {
            bool goes_on = sub->sink->ops->overflow(sub->sink, sub);
            sub = fq_registry_find(&engine->registry, id);
            if (!goes_on || sub == NULL)
                return false;
        }
        fq_held oldest;
        if (sub->start != NULL && start_take(sub->start, &oldest)) {
            held_fini(&oldest);
            fq_engine_lose(engine, sub);
            FQ_METRIC_ADD(engine->metrics, dropped_oldest, 1);
        }
    }
    return true;
}

void
fq_start_set_position(fq_sub *sub)
{
    fq_rcbuf *position = sub->start->position;
    fq_rcbuf_unref(sub->next_position);
    sub->next_position = position != NULL ? fq_rcbuf_ref(position) : NULL;
}

void
fq_start_hold(fq_engine *engine, fq_sub *sub, fq_rcbuf *payload)
{
    fq_sub_id id = sub->id;
    /* The callback may end whoever shares the payload. */
    fq_held held = {fq_rcbuf_ref(payload), sub->next_key, sub->next_position};
    sub->next_key = NULL;
    sub->next_position = NULL;
    if (!start_make_room(engine, sub, payload->len))
        goto lost;
    sub = fq_registry_find(&engine->registry, id);
    fq_start *start = sub->start;
    if (start == NULL) {
        sub->next_key = held.key;
        sub->next_position = held.position;
        sub->sink->ops->next(sub->sink, sub, payload);
        fq_rcbuf_unref(payload);
        return;
    }
    if (start_reserve(start) == FQ_OK) {
        start->held[start->head + start->n_held++] = held;
        start->n_bytes += payload->len;
        return;
    }
    fq_engine_lose(engine, sub);
lost:
    held_fini(&held);
}

void
fq_start_drop(fq_engine *engine, fq_sub *sub)
{
    fq_held held;
    while (start_take(sub->start, &held)) {
        held_fini(&held);
        fq_engine_lose(engine, sub);
    }
}

fq_sub *
fq_start_finish(fq_engine *engine, fq_sub *sub, uint64_t now_ns)
{
    fq_sub_id id = sub->id;
    while (sub != NULL && sub->start != NULL) {
        fq_held held;
        if (!start_take(sub->start, &held)) {
            fq_start_free(sub->start);
            sub->start = NULL;
            return sub;
        }
        if (now_ns < sub->security.expires_at_ns) {
            fq_rcbuf_unref(sub->next_key);
            sub->next_key = held.key;
            held.key = NULL;
            fq_rcbuf_unref(sub->next_position);
            sub->next_position = held.position;
            held.position = NULL;
            sub->sink->ops->next(sub->sink, sub, held.payload);
        } else {
            FQ_METRIC_ADD(engine->metrics, security_expired_denied, 1);
        }
        held_fini(&held);
        sub = fq_registry_find(&engine->registry, id);
    }
    return sub;
}
