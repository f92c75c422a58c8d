/* SPDX-License-Identifier: MIT */
/* Subscriptions that catch up. Thread: reactor.
 *
 * The seam. A live event is in the history before anybody meets it, and history
 * is read and handed out only while the engine has no live event at hand. So
 * when the batch ends where the history does, and no event was accepted since
 * the answer, the subscription has had everything: from here on it goes with
 * the others. Until then live events pass it by, because its |since_seq| is
 * above every number: it meets them as history.
 *
 * One read for many. Whoever wants to read on is |ready|. The one that lags
 * most says where the next batch begins, and all whose position lies in it
 * are served with it, wherever they stand: an event is projected once for all
 * of them, exactly as if it were live (fq_dispatch_open). What the bus thinks
 * of positions is its own affair, it compares and counts, and says who cannot
 * be served with it.
 *
 * Room. A client is given no more than its queue holds: who has no room leaves
 * the batch with the position it has come to, and is ready again when its owner
 * (or the resolver's answer) says so. The history may have left it behind by
 * then, and it is told so.
 *
 * Order of numbers. A replayed event takes the next number as if it had been
 * accepted, which is why none may be waiting: the numbers of those are counted
 * backwards from the last.
 *
 * Callbacks may end any subscription: it is looked up by its id after each, and
 * nobody holds a place in a list, each being moved out whole first. */
#include "engine/replay.h"

#include "base/alloc.h"
#include "base/check.h"
#include "engine/internal.h"
#include "engine/listening.h"

static const fq_str errors_lost = FQ_STR(
    "[{\"message\":\"The events behind this position are no longer known; "
    "subscribe without it.\",\"extensions\":{\"code\":\"POSITION_LOST\"}}]");
static const fq_str errors_unavailable = FQ_STR(
    "[{\"message\":\"The history of events cannot be read now.\","
    "\"extensions\":{\"code\":\"BUS_UNAVAILABLE\"}}]");
static const fq_str errors_no_memory = FQ_STR(
    "[{\"message\":\"Out of memory\"}]");

static void
on_read(fq_bus_read *read, fq_status status, size_t n_events, bool is_end);

void
fq_replay_table_init(fq_replay_table *table)
{
    fq_list_init(&table->ready);
    fq_list_init(&table->serving);
    fq_list_init(&table->stalled);
    table->read.events = table->events;
    table->read.max_events = FQ_REPLAY_BATCH;
    table->read.done_cb = on_read;
}

static void
drop_batch(fq_replay_table *table)
{
    for (size_t i = 0; i < table->n_events; i++)
        fq_event_unref(table->events[i]);
    table->n_events = 0;
    table->at = 0;
    table->has_batch = false;
}

void
fq_replay_table_fini(fq_replay_table *table)
{
    FQ_CHECK(fq_list_is_empty(&table->ready)
             && fq_list_is_empty(&table->serving)
             && fq_list_is_empty(&table->stalled));
    if (table->is_reading)
        table->bus->ops->cancel(table->bus, &table->read);
    table->is_reading = false;
    fq_rcbuf_unref(table->read.after);
    table->read.after = NULL;
    drop_batch(table);
}

static fq_replay *
replay_of(fq_list *node)
{
    return FQ_CONTAINER_OF(node, fq_replay, node);
}

/* The number of the live event accepted last, replayed ones not counted. */
static uint64_t
live_seq(const fq_engine *engine)
{
    return engine->dispatch.accepted_seq - engine->replays.n_replayed;
}

/* ── who catches up ── */

/* Sees that fq_replay_run() is called, soon and not from here. */
static void
wake(fq_replay_table *table)
{
    if (table->is_woken)
        return;
    table->is_woken = true;
    table->wake(table->ctx);
}

static void
make_ready(fq_replay_table *table, fq_replay *self)
{
    self->sub->is_stalled = false;
    fq_list_remove(&self->node);
    fq_list_push_back(&table->ready, &self->node);
    wake(table);
}

fq_status
fq_replay_begin(fq_engine *engine, fq_sub *sub, fq_rcbuf *after)
{
    fq_replay *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    fq_list_init(&self->node);
    self->sub = sub;
    self->after = fq_rcbuf_ref(after);
    sub->replay = self;
    sub->since_seq = UINT64_MAX;
    FQ_METRIC_ADD(engine->metrics, subscriptions_resumed, 1);
    FQ_METRIC_ADD(engine->metrics, subscriptions_replaying, 1);
    make_ready(&engine->replays, self);
    return FQ_OK;
}

void
fq_replay_free(fq_engine *engine, fq_sub *sub)
{
    fq_replay *self = sub->replay;
    if (self == NULL)
        return;
    sub->replay = NULL;
    fq_list_remove(&self->node);
    fq_rcbuf_unref(self->after);
    fq_free(self);
    FQ_METRIC_SUB(engine->metrics, subscriptions_replaying, 1);
}

/* It has had everything: live events are for it from the next one on. */
static void
go_live(fq_engine *engine, fq_replay *self)
{
    fq_sub *sub = self->sub;
    sub->since_seq = engine->dispatch.accepted_seq;
    sub->is_stalled = false;
    fq_replay_free(engine, sub);
}

/* Ends |sub| with |errors|. */
static void
refuse(fq_engine *engine, fq_replay *self, fq_end_reason reason, fq_str errors)
{
    fq_sub *sub = self->sub;
    fq_sub_id id = sub->id;
    fq_list_remove(&self->node);
    sub->sink->ops->refuse(sub->sink, sub, reason, errors);
    sub = fq_registry_find(&engine->registry, id);
    if (sub != NULL)
        fq_engine_unsubscribe(engine, sub, reason);
}

void
fq_replay_resume(fq_engine *engine, fq_sub *sub)
{
    if (sub->is_stalled)
        make_ready(&engine->replays, sub->replay);
}

/* ── room ── */

/* The events that wait for the resolver of |sub|, and their bytes. */
static size_t
count_pending(const fq_sub *sub, size_t *pn_bytes)
{
    *pn_bytes = sub->pending.n_bytes;
    if (sub->shared != NULL)
        return sub->shared->n_waiting + (sub->shared->called != NULL);
    return sub->pending.n_items + sub->n_calls;
}

/* Whether |sub| can have |event| without anything being lost. */
static bool
has_room(const fq_engine *engine, fq_sub *sub, const fq_event *event)
{
    size_t n_bytes;
    size_t n_pending = count_pending(sub, &n_bytes);
    if (n_pending > 0) {
        const fq_engine_limits *limits = &engine->limits;
        const fq_sink *sink = sub->sink;
        size_t n_sink = sub->shared != NULL ? n_pending : sink->n_waiting;
        if (n_pending >= FQ_REPLAY_PENDING
            || (limits->max_pending != 0
                && n_sink + 1 > limits->max_pending / 2)
            || (limits->max_pending_bytes != 0
                && sink->n_waiting_bytes + event->data->len
                       > limits->max_pending_bytes / 2))
            return false;
    }
    return sub->sink->ops->has_room(sub->sink, sub, n_pending + 1,
                                    n_bytes + event->data->len);
}

/* |sub| is called for nothing more, or for little. */
static bool
is_idle(const fq_sub *sub)
{
    size_t n_bytes;
    return count_pending(sub, &n_bytes) <= FQ_REPLAY_PENDING / 4;
}

void
fq_replay_note_answer(fq_engine *engine, fq_sub *sub)
{
    if (sub->replay != NULL && sub->is_stalled && is_idle(sub))
        make_ready(&engine->replays, sub->replay);
}

void
fq_replay_note_shared(fq_engine *engine, const fq_shared *shared)
{
    FQ_LIST_FOREACH(node, &engine->replays.stalled)
    {
        fq_replay *self = replay_of(node);
        if (self->sub->shared == shared && is_idle(self->sub))
            make_ready(&engine->replays, self);
    }
}

void
fq_replay_note_lost(fq_engine *engine)
{
    engine->replays.is_end = false;
}

/* ── the batch ── */

/* Says that |self| has had the first |n| events of the batch. */
static fq_status
move_to(const fq_replay_table *table, fq_replay *self, size_t n)
{
    if (n <= self->from)
        return FQ_OK;
    fq_rcbuf *after = fq_bus_position_of(table->events[n - 1]);
    if (after == NULL)
        return FQ_ERR_NOMEM;
    fq_rcbuf_unref(self->after);
    self->after = fq_rcbuf_ref(after);
    self->from = n;
    return FQ_OK;
}

/* Takes |self|, which has had |n| events, out of the batch and puts it into
 * |list|. May end it. */
static void
leave_batch(fq_engine *engine, fq_replay *self, size_t n, fq_list *list)
{
    fq_list_remove(&self->node);
    if (move_to(&engine->replays, self, n) == FQ_OK) {
        fq_list_push_back(list, &self->node);
        return;
    }
    refuse(engine, self, FQ_END_ERROR, errors_no_memory);
}

/* Hands |event|, which is number |table->at| of the batch and the current one,
 * to |self| if it is for it; false: it is not, and nothing happened. Asked
 * before the sink's room is, which takes a lock. */
static bool
serve(fq_engine *engine, fq_replay *self, fq_event *event,
      const fq_channel *channel, uint64_t now_ns)
{
    fq_replay_table *table = &engine->replays;
    fq_sub *sub = self->sub;
    if (self->from > table->at || !fq_sub_is_on(sub, channel))
        return false;
    if (event->is_unreadable) {
        /* Whatever it asked for: what it misses cannot be had. */
        refuse(engine, self, FQ_END_POSITION_LOST, errors_lost);
        return true;
    }
    if (!fq_dispatch_is_for(engine, sub, now_ns))
        return false;
    fq_sub_id id = sub->id;
    bool has = has_room(engine, sub, event);
    sub = fq_registry_find(&engine->registry, id);
    if (sub == NULL)
        return true;
    if (has) {
        fq_dispatch_meet(engine, sub, now_ns);
    } else {
        sub->is_stalled = true;
        leave_batch(engine, self, table->at, &table->stalled);
    }
    return true;
}

/* Hands the next event of the batch to all who want it; returns how many were
 * asked. */
static size_t
replay_event(fq_engine *engine, uint64_t now_ns)
{
    fq_replay_table *table = &engine->replays;
    fq_event *event = table->events[table->at];
    const fq_channel *channel = event->is_reserved
                                    ? NULL
                                    : fq_predicate_index_find(
                                          &engine->predicates, event);
    size_t n_steps = 1;
    if (channel != NULL) {
        table->n_replayed++;
        fq_dispatch_open(engine, event);
        fq_list todo;
        fq_list_init(&todo);
        fq_list_splice(&todo, &table->serving);
        fq_list *node;
        while ((node = fq_list_pop_front(&todo)) != NULL) {
            fq_list_push_back(&table->serving, node);
            n_steps++;
            /* A callback may have ended the last that listened. */
            if (serve(engine, replay_of(node), event, channel, now_ns))
                channel = fq_predicate_index_find(&engine->predicates, event);
        }
        fq_dispatch_close(engine);
    }
    table->at++;
    return n_steps;
}

/* All events of the batch are handed out: who has had the last that there is
 * goes live, the others read on. */
static void
finish_batch(fq_engine *engine)
{
    fq_replay_table *table = &engine->replays;
    bool is_end = table->is_end && live_seq(engine) == table->end_seq;
    fq_list todo;
    fq_list_init(&todo);
    fq_list_splice(&todo, &table->serving);
    fq_list *node;
    while ((node = fq_list_pop_front(&todo)) != NULL) {
        fq_replay *self = replay_of(node);
        if (is_end)
            go_live(engine, self);
        else
            leave_batch(engine, self, table->n_events, &table->ready);
    }
    drop_batch(table);
}

/* ── reading ── */

static int
compare(const fq_replay_table *table, const fq_rcbuf *a, const fq_rcbuf *b)
{
    return table->bus->ops->compare(table->bus, fq_rcbuf_str(a),
                                    fq_rcbuf_str(b));
}

/* Where the bus cannot tell, the one that has waited longest. */
static fq_replay *
find_oldest(const fq_replay_table *table, size_t *pn_steps)
{
    fq_replay *oldest = replay_of(table->ready.next);
    if (table->bus->ops->is_partial)
        return oldest;
    FQ_LIST_FOREACH(node, &table->ready)
    {
        fq_replay *self = replay_of(node);
        *pn_steps += 1;
        if (compare(table, self->after, oldest->after) < 0)
            oldest = self;
    }
    return oldest;
}

/* One from the middle of the list, that is, at no position in particular. */
static fq_replay *
find_any(const fq_replay_table *table, size_t *pn_steps)
{
    const fq_list *half = table->ready.next;
    FQ_LIST_FOREACH(node, &table->ready)
    {
        if (++*pn_steps % 2 == 0)
            half = half->next;
    }
    return FQ_CONTAINER_OF(half, fq_replay, node);
}

/* What the answer means for those who asked from |after|: where that is lost,
 * so is what comes before it, if the bus can tell; anything else is true for everybody. */
static void
refuse_all(fq_engine *engine, const fq_rcbuf *after, fq_status status)
{
    fq_replay_table *table = &engine->replays;
    bool is_lost = status == FQ_ERR_LOST;
    const fq_bus_ops *ops = table->bus->ops;
    bool loses_alone = ops->is_partial || ops->loses_alone;
    fq_str errors = status == FQ_ERR_NOMEM ? errors_no_memory
                                           : errors_unavailable;
    fq_list todo;
    fq_list_init(&todo);
    fq_list_splice(&todo, &table->ready);
    fq_list *node;
    while ((node = fq_list_pop_front(&todo)) != NULL) {
        fq_replay *self = replay_of(node);
        fq_list_push_back(&table->ready, node);
        int order = compare(table, self->after, after);
        if (!is_lost)
            refuse(engine, self, FQ_END_ERROR, errors);
        else if (order == 0 || (order < 0 && !loses_alone))
            refuse(engine, self, FQ_END_POSITION_LOST, errors_lost);
    }
}

static size_t
count_before(const fq_replay_table *table, const fq_replay *self)
{
    return table->bus->ops->count_before(
        table->bus, table->events, table->n_events, fq_rcbuf_str(self->after));
}

/* Chooses whom the batch is for. */
static void
take_batch(fq_engine *engine, const fq_rcbuf *after, size_t n_events,
           bool is_end)
{
    fq_replay_table *table = &engine->replays;
    FQ_CHECK(n_events > 0 || is_end);
    table->n_events = n_events;
    table->at = 0;
    table->has_batch = true;
    table->is_end = is_end;
    table->end_seq = live_seq(engine);
    FQ_LIST_FOREACH(node, &table->ready)
    {
        fq_replay *self = replay_of(node);
        int order = compare(table, self->after, after);
        if (order < 0)
            continue;
        self->from = order == 0 ? 0 : count_before(table, self);
        if (self->from > n_events || (self->from == n_events && !is_end))
            continue;
        fq_list_remove(node);
        fq_list_push_back(&table->serving, node);
    }
}

static void
on_read(fq_bus_read *read, fq_status status, size_t n_events, bool is_end)
{
    fq_replay_table *table = FQ_CONTAINER_OF(read, fq_replay_table, read);
    fq_engine *engine = FQ_CONTAINER_OF(table, fq_engine, replays);
    fq_rcbuf *after = read->after;
    read->after = NULL;
    table->is_reading = false;
    table->picks_any = status == FQ_ERR_LOST;
    FQ_METRIC_ADD(engine->metrics, history_reads, 1);
    if (status == FQ_OK)
        take_batch(engine, after, n_events, is_end);
    else
        refuse_all(engine, after, status);
    fq_rcbuf_unref(after);
    wake(table);
}

/* Reads for those who are ready; returns how many were looked at. Where the
 * oldest is lost, many may be: asked in the middle, half of them are let go
 * at a time. */
static size_t
start_read(fq_replay_table *table)
{
    size_t n_steps = 0;
    const fq_replay *from = table->picks_any ? find_any(table, &n_steps)
                                             : find_oldest(table, &n_steps);
    table->read.after = fq_rcbuf_ref(from->after);
    table->is_reading = true;
    table->bus->ops->read(table->bus, &table->read);
    return n_steps;
}

bool
fq_replay_run(fq_engine *engine, uint64_t now_ns)
{
    fq_replay_table *table = &engine->replays;
    size_t n_left = engine->dispatch.slice;
    table->is_woken = true; /* no need to, while this runs */
    while (n_left > 0 && fq_dispatch_is_idle(&engine->dispatch)) {
        size_t n_steps = 1;
        if (table->has_batch && table->at < table->n_events
            && !fq_list_is_empty(&table->serving)) {
            n_steps = replay_event(engine, now_ns);
        } else if (table->has_batch) {
            finish_batch(engine);
        } else if (!table->is_reading && !fq_list_is_empty(&table->ready)) {
            n_steps = start_read(table);
        } else {
            table->is_woken = false;
            return false;
        }
        n_left -= n_steps < n_left ? n_steps : n_left;
    }
    return true;
}

void
fq_replay_check(const fq_engine *engine, const fq_sub *sub)
{
#ifndef NDEBUG
    const fq_replay *self = sub->replay;
    if (self == NULL)
        return;
    FQ_CHECK(self->sub == sub && self->after != NULL);
    FQ_CHECK(sub->since_seq == UINT64_MAX && sub->start == NULL);
    FQ_CHECK(!fq_list_is_empty(&self->node));
    FQ_CHECK(engine->replays.bus != NULL);
#else
    (void)engine;
    (void)sub;
#endif
}
