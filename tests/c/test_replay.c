/* SPDX-License-Identifier: MIT */
/* Catching up: from the history to live events without a gap, over a bus that
 * answers at once and over one that takes its time. */
#include <stdio.h>

#include "bus/bus.h"
#include "engine/queue.h"
#include "engine/replay.h"

#include "engine_fixture.h"
#include "random.h"

#define TICK "subscription { tick { n } }"

/* An engine on a memory bus, behind a bus that holds back answers until it is
 * told to give them. */
typedef struct world {
    fixture fx;
    fq_bus slow;
    fq_bus *bus;
    fq_bus_listener ear;
    bool is_slow;
    bool is_shared;    /* positions may come from elsewhere */
    fq_bus_read *held; /* not answered yet */
    size_t n_reads;
    bool is_woken;
} world;

static world *the_world;

static void
hear(fq_bus_listener *listener, fq_event *event)
{
    world *self = FQ_CONTAINER_OF(listener, world, ear);
    fq_engine_dispatch(self->fx.engine, event, 11);
}

static void
wake(void *ctx)
{
    world *self = ctx;
    assert_false(self->is_woken);
    self->is_woken = true;
}

static void
slow_read(fq_bus *bus, fq_bus_read *read)
{
    world *self = FQ_CONTAINER_OF(bus, world, slow);
    self->n_reads++;
    assert_null(self->held);
    if (self->is_slow)
        self->held = read;
    else
        self->bus->ops->read(self->bus, read);
}

static void
slow_cancel(fq_bus *bus, fq_bus_read *read)
{
    world *self = FQ_CONTAINER_OF(bus, world, slow);
    assert_ptr_equal(self->held, read);
    self->held = NULL;
}

static fq_status
slow_position(fq_bus *bus, fq_rcbuf **pposition)
{
    world *self = FQ_CONTAINER_OF(bus, world, slow);
    return self->bus->ops->position(self->bus, pposition);
}

static bool
slow_is_position(fq_bus *bus, fq_str text)
{
    world *self = FQ_CONTAINER_OF(bus, world, slow);
    return self->is_shared || self->bus->ops->is_position(self->bus, text);
}

static int
slow_compare(fq_bus *bus, fq_str a, fq_str b)
{
    world *self = FQ_CONTAINER_OF(bus, world, slow);
    return self->bus->ops->compare(self->bus, a, b);
}

static size_t
slow_count_before(fq_bus *bus, fq_event *const *events, size_t n_events,
                  fq_str position)
{
    world *self = FQ_CONTAINER_OF(bus, world, slow);
    /* It has had more than this one. */
    if (!self->bus->ops->is_position(self->bus, position))
        return SIZE_MAX;
    return self->bus->ops->count_before(self->bus, events, n_events, position);
}

static const fq_bus_ops slow_ops = {
    .bus_type = "slow",
    .position = slow_position,
    .is_position = slow_is_position,
    .compare = slow_compare,
    .count_before = slow_count_before,
    .read = slow_read,
    .cancel = slow_cancel,
};

/* A bus that knows no order of positions. */
static int
partial_compare(fq_bus *bus, fq_str a, fq_str b)
{
    (void)bus;
    return fq_str_eq(a, b) ? 0 : -1;
}

static size_t
partial_count_before(fq_bus *bus, fq_event *const *events, size_t n_events,
                     fq_str position)
{
    (void)bus;
    (void)events;
    (void)n_events;
    (void)position;
    return 0;
}

static const fq_bus_ops partial_ops = {
    .bus_type = "partial",
    .position = slow_position,
    .is_position = slow_is_position,
    .compare = partial_compare,
    .is_partial = true,
    .count_before = partial_count_before,
    .read = slow_read,
    .cancel = slow_cancel,
};

static fq_status
world_init(world *self, size_t max_events)
{
    memset(self, 0, sizeof(*self));
    the_world = self;
    fq_history_limits limits = fq_history_limits_default;
    limits.max_events = max_events;
    fq_bus_init(&self->slow, &slow_ops);
    self->ear.event_cb = hear;
    fq_list_init(&self->ear.node);
    fq_status status = fq_bus_memory_new(&limits, &self->bus);
    if (status != FQ_OK)
        return status;
    status = fixture_init(&self->fx);
    if (status != FQ_OK)
        return status;
    fq_bus_listen(self->bus, &self->ear);
    fq_engine_set_bus(self->fx.engine, &self->slow, wake, self);
    return FQ_OK;
}

static void
world_fini(world *self)
{
    fixture_fini(&self->fx);
    fq_bus_unlisten(&self->ear);
    if (self->bus != NULL)
        fq_bus_free(self->bus);
}

static world *
world_start(size_t max_events)
{
    static world world;
    assert_int_equal(world_init(&world, max_events), FQ_OK);
    return &world;
}

static void
note_done(fq_bus_publication *publication, fq_status status,
          const fq_error *error)
{
    (void)publication;
    (void)error;
    assert_int_equal(status, FQ_OK);
}

/* Below 0: one that is unreadable. */
static fq_status
publish(world *self, const char *channel, int n)
{
    char data[32];
    snprintf(data, sizeof(data), "{\"n\":%d}", n);
    fq_event *event;
    fq_status status = fixture_event(&self->fx, channel, n < 0 ? NULL : data,
                                     &event);
    if (status != FQ_OK)
        return status;
    self->bus->ops->stamp(self->bus, event);
    fq_bus_publication publication = {.event = event, .done_cb = note_done};
    self->bus->ops->publish(self->bus, &publication);
    fq_event_unref(event);
    return FQ_OK;
}

static void
publish_many(world *self, const char *channel, int first, int last)
{
    for (int n = first; n <= last; n++)
        assert_int_equal(publish(self, channel, n), FQ_OK);
}

/* The position behind event |offset|. */
static fq_rcbuf *
position(world *self, uint64_t offset)
{
    fq_event event = {.offset = offset};
    fq_rcbuf *text;
    if (self->bus->ops->position_of(self->bus, &event, &text) != FQ_OK)
        return NULL;
    return text;
}

static fq_status
resume_args(world *self, fq_subscribe_args *args, const char *name,
            const char *query, uint64_t offset, fq_sub **psub)
{
    fq_rcbuf *after = position(self, offset);
    if (after == NULL)
        return FQ_ERR_NOMEM;
    args->query = fq_str_of(query);
    args->handle = (void *)name;
    args->now_ns = 5;
    args->position_as = FQ_POSITION_EXTENSION;
    args->after = fq_rcbuf_str(after);
    fq_status status = fixture_subscribe_args(&self->fx, args, psub);
    fq_rcbuf_unref(after);
    return status;
}

static fq_status
resume(world *self, const char *name, const char *query, uint64_t offset,
       fq_sub **psub)
{
    fq_subscribe_args args = {0};
    return resume_args(self, &args, name, query, offset, psub);
}

static fq_sub *
resumed(world *self, const char *name, const char *query, uint64_t offset)
{
    fq_sub *sub;
    assert_int_equal(resume(self, name, query, offset, &sub), FQ_OK);
    return sub;
}

/* Lets those go on who catch up, as long as they ask for it. */
static void
run(world *self)
{
    while (self->is_woken) {
        self->is_woken = false;
        while (fq_engine_replay(self->fx.engine, 12)) {
        }
        fq_engine_check(self->fx.engine);
    }
}

static void
answer(world *self)
{
    fq_bus_read *held = self->held;
    assert_non_null(held);
    self->held = NULL;
    self->bus->ops->read(self->bus, held);
}

static void
test_replay_gives_what_was_missed_and_goes_live(void **state)
{
    (void)state;
    world *w = world_start(100);
    publish_many(w, "tick", 1, 2);
    publish_many(w, "other", 3, 3);
    publish_many(w, "tick", 4, 4);
    fq_sub *sub = resumed(w, "a", TICK, 1);
    assert_non_null(sub->replay);
    /* Before it reads: it comes as history, once. */
    publish_many(w, "tick", 5, 5);
    fixture_assert_log(&w->fx, "");
    run(w);
    assert_null(sub->replay);
    publish_many(w, "tick", 6, 6);
    fixture_assert_log(&w->fx,
                       "next a {\"data\":{\"tick\":{\"n\":2}}} at 2\n"
                       "next a {\"data\":{\"tick\":{\"n\":4}}} at 4\n"
                       "next a {\"data\":{\"tick\":{\"n\":5}}} at 5\n"
                       "next a {\"data\":{\"tick\":{\"n\":6}}} at 6\n");
    assert_int_equal(w->n_reads, 1);
    fq_metrics *metrics = &w->fx.metrics;
    assert_int_equal(FQ_METRIC_GET(metrics, subscriptions_resumed), 1);
    assert_int_equal(FQ_METRIC_GET(metrics, subscriptions_replaying), 0);
    assert_int_equal(FQ_METRIC_GET(metrics, events_replayed), 3);
    assert_int_equal(FQ_METRIC_GET(metrics, events_matched), 4);
    world_fini(w);
}

static void
test_replay_of_nothing(void **state)
{
    (void)state;
    world *w = world_start(2);
    fq_sub *a = resumed(w, "a", TICK, 0);
    run(w);
    assert_null(a->replay);
    publish_many(w, "other", 1, 5);
    /* The last event is gone from the history of two, its position is not. */
    fq_sub *b = resumed(w, "b", TICK, 5);
    run(w);
    assert_null(b->replay);
    publish_many(w, "tick", 6, 6);
    fixture_assert_log(&w->fx,
                       "next a {\"data\":{\"tick\":{\"n\":6}}} at 6\n"
                       "next b {\"data\":{\"tick\":{\"n\":6}}} at 6\n");
    world_fini(w);
}

static void
test_replay_waits_for_an_answer(void **state)
{
    (void)state;
    world *w = world_start(1000);
    w->is_slow = true;
    publish_many(w, "tick", 1, 2);
    fq_sub *sub = resumed(w, "a", TICK, 0);
    run(w);
    publish_many(w, "tick", 3, 3);
    answer(w);
    /* After the answer, before it is handed out: one more look. */
    publish_many(w, "tick", 4, 4);
    run(w);
    fixture_assert_log(&w->fx,
                       "next a {\"data\":{\"tick\":{\"n\":1}}} at 1\n"
                       "next a {\"data\":{\"tick\":{\"n\":2}}} at 2\n"
                       "next a {\"data\":{\"tick\":{\"n\":3}}} at 3\n");
    assert_non_null(sub->replay);
    answer(w);
    run(w);
    assert_null(sub->replay);
    publish_many(w, "tick", 5, 5);
    fixture_assert_log(&w->fx,
                       "next a {\"data\":{\"tick\":{\"n\":4}}} at 4\n"
                       "next a {\"data\":{\"tick\":{\"n\":5}}} at 5\n");
    /* Whoever leaves meanwhile is not missed; nor is the answer. */
    fq_sub *b = resumed(w, "b", TICK, 0);
    run(w);
    fq_engine_unsubscribe(w->fx.engine, b, FQ_END_COMPLETE);
    answer(w);
    run(w);
    resumed(w, "c", TICK, 0);
    run(w);
    fixture_end_all(&w->fx, &w->fx.sinks[0].sink);
    fixture_assert_log(&w->fx, "");
    world_fini(w);
    assert_null(w->held);
}

static void
test_replay_waits_for_who_is_ahead(void **state)
{
    (void)state;
    world *w = world_start(1000);
    w->is_slow = w->is_shared = true;
    publish_many(w, "tick", 1, 2);
    /* Another process is quicker: one of its clients comes here. */
    fq_sub *behind = resumed(w, "a", TICK, 0);
    fq_sub *ahead = resumed(w, "b", TICK, 4);
    fq_sub *there = resumed(w, "c", TICK, 2);
    run(w);
    answer(w);
    run(w);
    assert_null(behind->replay);
    assert_null(there->replay);
    assert_non_null(ahead->replay);
    fixture_assert_log(&w->fx,
                       "next a {\"data\":{\"tick\":{\"n\":1}}} at 1\n"
                       "next a {\"data\":{\"tick\":{\"n\":2}}} at 2\n");
    fq_engine_unsubscribe(w->fx.engine, behind, FQ_END_COMPLETE);
    fq_engine_unsubscribe(w->fx.engine, there, FQ_END_COMPLETE);
    publish_many(w, "tick", 3, 4);
    answer(w);
    run(w);
    assert_null(ahead->replay);
    publish_many(w, "tick", 5, 5);
    fixture_assert_log(&w->fx,
                       "next b {\"data\":{\"tick\":{\"n\":5}}} at 5\n");
    world_fini(w);
}

static void
test_replay_ends_at_a_gap(void **state)
{
    (void)state;
    world *w = world_start(1000);
    w->is_slow = true;
    publish_many(w, "tick", 1, 2);
    fq_sub *sub = resumed(w, "a", TICK, 0);
    run(w);
    /* What is missing may have been the end of the history, which that does
     * not know. */
    assert_true(fq_engine_tell_gap(w->fx.engine, sub));
    fixture_assert_log(&w->fx, "refuse a POSITION_LOST\n");
    answer(w);
    run(w);
    assert_int_equal(FQ_METRIC_GET(&w->fx.metrics, subscriptions_replaying),
                     0);
    fixture_assert_log(&w->fx, "");
    world_fini(w);
}

static void
test_replay_longer_than_a_batch_and_a_slice(void **state)
{
    (void)state;
    world *w = world_start(5000);
    w->fx.engine->dispatch.slice = 7;
    publish_many(w, "tick", 1, 3 * FQ_REPLAY_BATCH + 5);
    w->fx.is_quiet = true;
    fq_sub *sub = resumed(w, "a", TICK, 3);
    int n = 3 * FQ_REPLAY_BATCH + 5;
    w->is_woken = false;
    /* Live events come between the slices. */
    while (fq_engine_replay(w->fx.engine, 12)) {
        if (n < 4 * FQ_REPLAY_BATCH) {
            n++;
            publish_many(w, "tick", n, n);
        }
    }
    assert_null(sub->replay);
    assert_int_equal(w->fx.n_next, n - 3);
    fq_engine_check(w->fx.engine);
    world_fini(w);
}

static void
test_replay_tells_what_is_lost(void **state)
{
    (void)state;
    world *w = world_start(3);
    publish_many(w, "tick", 1, 6);
    for (uint64_t offset = 0; offset < 3; offset++)
        resumed(w, "a", TICK, offset);
    resumed(w, "ok", TICK, 3);
    run(w);
    fixture_assert_log(&w->fx,
                       "refuse a POSITION_LOST\n"
                       "refuse a POSITION_LOST\n"
                       "refuse a POSITION_LOST\n"
                       "next ok {\"data\":{\"tick\":{\"n\":4}}} at 4\n"
                       "next ok {\"data\":{\"tick\":{\"n\":5}}} at 5\n"
                       "next ok {\"data\":{\"tick\":{\"n\":6}}} at 6\n");
    assert_int_equal(FQ_METRIC_GET(&w->fx.metrics, ended_position_lost), 3);
    world_fini(w);
}

static void
count_end(fixture *fx, fq_sub *sub, fq_end_reason reason)
{
    (void)sub;
    (void)reason;
    fq_buf_clear(&fx->log);
}

/* Those who were away too long, all at different positions, are told without
 * a look into the history for each. */
static void
test_replay_tells_many_at_a_time(void **state)
{
    (void)state;
    world *w = world_start(100);
    publish_many(w, "tick", 1, 3000);
    w->fx.refuse_hook = count_end;
    w->fx.is_quiet = true;
    for (uint64_t i = 0; i < 3000; i++)
        resumed(w, "a", TICK, i * 7 % 3000);
    run(w);
    fq_metrics *metrics = &w->fx.metrics;
    assert_int_equal(FQ_METRIC_GET(metrics, ended_position_lost), 2900);
    assert_int_equal(w->fx.n_next, 100 * 101 / 2);
    assert_true(w->n_reads < 60);
    world_fini(w);
}

static void
test_replay_refuses_what_is_no_position(void **state)
{
    (void)state;
    world *w = world_start(3);
    publish_many(w, "tick", 1, 3);
    fq_rcbuf *real = position(w, 1);
    char texts[13][64] = {"", "x", "m1.", "m1..1"};
    const char *p = real->bytes;
    size_t n = 4;
    snprintf(texts[n++], 64, "%.20s", p);
    snprintf(texts[n++], 64, "%.20s01", p);
    snprintf(texts[n++], 64, "%.20s-1", p);
    snprintf(texts[n++], 64, "%.20s1x", p);
    snprintf(texts[n++], 64, "%.20s4", p); /* still to come */
    snprintf(texts[n++], 64, "%.20s18446744073709551616", p);
    snprintf(texts[n++], 64, "%.20s99999999999999999999999", p);
    snprintf(texts[n++], 64, "m2%s", p + 2);
    snprintf(texts[n++], 64, "m1.%c%s", p[3] == '0' ? '1' : '0', p + 4);
    for (size_t i = 0; i < n; i++) {
        fq_sub *sub;
        fq_subscribe_args args = {
            .query = FQ_STR_LIT(TICK),
            .handle = "a",
            .after = fq_str_of(texts[i]),
        };
        assert_int_equal(fixture_subscribe_args(&w->fx, &args, &sub),
                         FQ_ERR_LOST);
    }
    char *long_text = calloc(1, 1 << 20);
    memset(long_text, '1', (1 << 20) - 1);
    fq_sub *sub;
    fq_subscribe_args args = {.query = FQ_STR_LIT(TICK), .handle = "a"};
    args.after = fq_str_of(long_text);
    assert_int_equal(fixture_subscribe_args(&w->fx, &args, &sub), FQ_ERR_LOST);
    free(long_text);
    /* A source has none. */
    fq_field field = {
        .name = FQ_STR("tick"), .kind = FQ_FIELD_SOURCE, .token = 1};
    assert_int_equal(fq_engine_field_add(w->fx.engine, &field), FQ_OK);
    assert_int_equal(resume(w, "a", TICK, 1, &sub), FQ_ERR_LOST);
    assert_int_equal(FQ_METRIC_GET(&w->fx.metrics, refused_positions), n + 2);
    fq_rcbuf_unref(real);
    fixture_assert_log(&w->fx, "");
    world_fini(w);
}

static void
test_replay_goes_on_when_there_is_room(void **state)
{
    (void)state;
    world *w = world_start(5);
    publish_many(w, "tick", 1, 3);
    fq_sub *slow = resumed(w, "slow", TICK, 0);
    fq_sub *gone = resumed(w, "gone", TICK, 0);
    w->fx.has_room = false;
    run(w);
    assert_true(slow->is_stalled && gone->is_stalled);
    publish_many(w, "tick", 4, 4);
    fixture_assert_log(&w->fx, "");
    w->fx.has_room = true;
    fq_engine_resume(w->fx.engine, slow->id);
    run(w);
    publish_many(w, "tick", 5, 5);
    fixture_assert_log(&w->fx,
                       "next slow {\"data\":{\"tick\":{\"n\":1}}} at 1\n"
                       "next slow {\"data\":{\"tick\":{\"n\":2}}} at 2\n"
                       "next slow {\"data\":{\"tick\":{\"n\":3}}} at 3\n"
                       "next slow {\"data\":{\"tick\":{\"n\":4}}} at 4\n"
                       "next slow {\"data\":{\"tick\":{\"n\":5}}} at 5\n");
    /* The history does not wait for anybody. */
    publish_many(w, "other", 6, 6);
    fq_engine_resume(w->fx.engine, gone->id);
    run(w);
    fixture_assert_log(&w->fx, "refuse gone POSITION_LOST\n");
    world_fini(w);
}

static void
stop_room(fixture *fx, fq_sub *sub)
{
    (void)sub;
    fx->has_room = false;
}

/* In the middle of a batch: what was handed out does not come again. */
static void
test_replay_stalls_anywhere(void **state)
{
    (void)state;
    world *w = world_start(100);
    publish_many(w, "tick", 1, 4);
    fq_sub *sub = resumed(w, "a", TICK, 0);
    w->fx.next_hook = stop_room;
    w->fx.n_hooks_left = 100;
    for (int i = 0; i < 4; i++) {
        w->fx.has_room = true;
        fq_engine_resume(w->fx.engine, sub->id);
        w->is_woken = true;
        run(w);
    }
    fixture_assert_log(&w->fx,
                       "next a {\"data\":{\"tick\":{\"n\":1}}} at 1\n"
                       "next a {\"data\":{\"tick\":{\"n\":2}}} at 2\n"
                       "next a {\"data\":{\"tick\":{\"n\":3}}} at 3\n"
                       "next a {\"data\":{\"tick\":{\"n\":4}}} at 4\n");
    assert_null(sub->replay);
    world_fini(w);
}

/* Whatever their positions and channels are. */
static void
test_replay_reads_once_for_all(void **state)
{
    (void)state;
    world *w = world_start(1000);
    for (int i = 0; i < 100; i++)
        publish_many(w, i % 2 == 0 ? "tick" : "tock", i, i);
    w->fx.is_quiet = true;
    for (uint64_t offset = 0; offset < 100; offset++) {
        resumed(w, "a", TICK, 99 - offset);
        resumed(w, "b", "subscription { tock { n } }", offset);
    }
    run(w);
    assert_int_equal(w->n_reads, 1);
    assert_int_equal(FQ_METRIC_GET(&w->fx.metrics, history_reads), 1);
    assert_int_equal(FQ_METRIC_GET(&w->fx.metrics, subscriptions_replaying),
                     0);
    /* Each event was projected once for everybody who missed it. */
    assert_int_equal(FQ_METRIC_GET(&w->fx.metrics, projections), 100);
    assert_int_equal(w->fx.n_next, 100 * 101 / 2);
    world_fini(w);
}

/* Where positions have no order everybody has a turn, whoever came last. */
static void
test_replay_takes_turns(void **state)
{
    (void)state;
    world *w = world_start(10000);
    w->slow.ops = &partial_ops;
    w->is_slow = true;
    publish_many(w, "tick", 1, 3 * FQ_REPLAY_BATCH);
    const fq_sub *subs[3];
    for (uint64_t i = 0; i < 3; i++)
        subs[i] = resumed(w, "a", TICK, i);
    for (uint64_t n = 0; n < 9; n++) {
        run(w);
        fq_rcbuf *expected = position(w, n / 3 * FQ_REPLAY_BATCH + n % 3);
        assert_non_null(w->held);
        assert_true(
            fq_str_eq(fq_rcbuf_str(w->held->after), fq_rcbuf_str(expected)));
        fq_rcbuf_unref(expected);
        answer(w);
    }
    w->is_slow = false;
    if (w->held != NULL)
        answer(w);
    run(w);
    for (size_t i = 0; i < 3; i++)
        assert_null(subs[i]->replay);
    world_fini(w);
}

static void
test_replay_listens_on_several_channels(void **state)
{
    (void)state;
    world *w = world_start(100);
    publish_many(w, "tick", 1, 5);
    publish_many(w, "tick", 3, 3);
    fq_sub *sub;
    fq_subscribe_args args = {
        .channels = (fq_str[]){FQ_STR("tick"), FQ_STR("tock")},
        .n_channels = 2,
        .has_override = true};
    publish_many(w, "tock", 9, 9);
    assert_int_equal(resume_args(w, &args, "a", TICK, 4, &sub), FQ_OK);
    run(w);
    fixture_assert_log(&w->fx,
                       "next a {\"data\":{\"tick\":{\"n\":5}}} at 5\n"
                       "next a {\"data\":{\"tick\":{\"n\":3}}} at 6\n"
                       "next a {\"data\":{\"tick\":{\"n\":9}}} at 7\n");
    world_fini(w);
}

static void
test_replay_over_what_nobody_can_read(void **state)
{
    (void)state;
    world *w = world_start(100);
    publish_many(w, "tick", 1, 1);
    publish_many(w, "tick", -1, -1);
    publish_many(w, "tock", 2, 2);
    fq_sub *sub = resumed(w, "a", TICK, 0);
    (void)resumed(w, "b", "subscription { tock { n } }", 0);
    (void)resumed(w, "c", TICK, 2);
    fq_sub_id id = sub->id;
    run(w);
    assert_null(fq_engine_find(w->fx.engine, id));
    fixture_assert_log(&w->fx,
                       "next a {\"data\":{\"tick\":{\"n\":1}}} at 1\n"
                       "refuse a POSITION_LOST\n"
                       "next b {\"data\":{\"tock\":{\"n\":2}}} at 3\n");
    /* Who was behind it has lost nothing. */
    publish_many(w, "tick", 4, 4);
    fixture_assert_log(&w->fx,
                       "next c {\"data\":{\"tick\":{\"n\":4}}} at 4\n");
    world_fini(w);
}

static void
declare_resolver(world *w, bool is_shared, uint64_t initial_token)
{
    fq_field field = {
        .name = FQ_STR("tick"),
        .kind = FQ_FIELD_RESOLVER,
        .token = 3,
        .is_shared = is_shared,
        .initial_token = initial_token,
    };
    assert_int_equal(fq_engine_field_add(w->fx.engine, &field), FQ_OK);
}

static void
test_replay_waits_for_resolvers(void **state)
{
    (void)state;
    world *w = world_start(100);
    declare_resolver(w, false, 0);
    publish_many(w, "tick", 1, 6);
    fq_sub *sub = resumed(w, "a", TICK, 2);
    run(w);
    /* max_pending is 3: there is never an overflow. */
    fixture_assert_log(&w->fx, "call a 3\n");
    for (int n = 3; n <= 6; n++) {
        fq_answer_kind kind = n == 4 ? FQ_ANSWER_SKIP : FQ_ANSWER_VALUE;
        fixture_answer(&w->fx, sub, kind, "{\"n\":0}");
        run(w);
    }
    fixture_assert_log(&w->fx,
                       "next a {\"data\":{\"tick\":{\"n\":0}}} at 3\n"
                       "call a 4\ncall a 5\n"
                       "next a {\"data\":{\"tick\":{\"n\":0}}} at 5\n"
                       "call a 6\n"
                       "next a {\"data\":{\"tick\":{\"n\":0}}} at 6\n");
    assert_null(sub->replay);
    world_fini(w);
}

static void
test_replay_shares_calls(void **state)
{
    (void)state;
    world *w = world_start(100);
    fixture_share(&w->fx);
    declare_resolver(w, true, 0);
    publish_many(w, "tick", 1, 4);
    fq_sub *live;
    assert_int_equal(fixture_subscribe(&w->fx, "live", TICK, &live), FQ_OK);
    resumed(w, "a", TICK, 1);
    resumed(w, "b", TICK, 2);
    run(w);
    publish_many(w, "tick", 5, 5);
    for (int n = 2; n <= 5; n++) {
        char text[32];
        snprintf(text, sizeof(text), "{\"n\":%d}", n);
        fixture_answer_shared(&w->fx, 1, FQ_ANSWER_VALUE, text);
        run(w);
    }
    fixture_answer_shared(&w->fx, 1, FQ_ANSWER_VALUE, "{\"n\":6}");
    /* The live event is called for twice: for whom it is live, and behind what
     * the others missed. */
    fixture_assert_log(&w->fx,
                       "shared 1 2\n"
                       "next a {\"data\":{\"tick\":{\"n\":2}}} at 2\n"
                       "shared 1 5\n"
                       "next live {\"data\":{\"tick\":{\"n\":3}}}\n"
                       "shared 1 3\n"
                       "next a {\"data\":{\"tick\":{\"n\":4}}} at 3\n"
                       "next b {\"data\":{\"tick\":{\"n\":4}}} at 3\n"
                       "shared 1 4\n"
                       "next a {\"data\":{\"tick\":{\"n\":5}}} at 4\n"
                       "next b {\"data\":{\"tick\":{\"n\":5}}} at 4\n"
                       "shared 1 5\n"
                       "next a {\"data\":{\"tick\":{\"n\":6}}} at 5\n"
                       "next b {\"data\":{\"tick\":{\"n\":6}}} at 5\n");
    world_fini(w);
}

static void
test_replay_calls_for_no_initial_value(void **state)
{
    (void)state;
    world *w = world_start(100);
    declare_resolver(w, false, 4);
    publish_many(w, "tick", 1, 2);
    fq_sub *a = resumed(w, "a", TICK, 1);
    run(w);
    assert_null(a->start);
    fixture_answer(&w->fx, a, FQ_ANSWER_VALUE, "{\"n\":2}");
    /* One that is called for comes with the position before the call. */
    fq_sub *b;
    fq_subscribe_args args = {.query = FQ_STR_LIT(TICK),
                              .handle = "b",
                              .position_as = FQ_POSITION_EXTENSION};
    assert_int_equal(fixture_subscribe_args(&w->fx, &args, &b), FQ_OK);
    publish_many(w, "tick", 3, 3);
    fixture_answer(&w->fx, b, FQ_ANSWER_VALUE, "{\"n\":-1}");
    fixture_assert_log(&w->fx, "call a 2\n"
                               "next a {\"data\":{\"tick\":{\"n\":2}}} at 2\n"
                               "call b -\ncall a 3\n"
                               "next b {\"data\":{\"tick\":{\"n\":-1}}} at 2\n"
                               "call b 3\n");
    world_fini(w);
}

static void
end_another(fixture *fx, fq_sub *sub)
{
    fq_list *node = sub->sink_node.next;
    if (node != &sub->sink->subs)
        fq_engine_unsubscribe(fx->engine,
                              FQ_CONTAINER_OF(node, fq_sub, sink_node),
                              FQ_END_COMPLETE);
    publish_many(the_world, "tick", 100, 100);
    if (fx->n_hooks_left == 0)
        fq_engine_unsubscribe(fx->engine, sub, FQ_END_COMPLETE);
}

/* Callbacks end the neighbour, publish, and end the subscription itself. */
static void
test_replay_survives_its_callbacks(void **state)
{
    (void)state;
    for (int n_hooks = 1; n_hooks < 12; n_hooks++) {
        world *w = world_start(100);
        publish_many(w, "tick", 1, 3);
        for (int i = 0; i < 5; i++)
            resumed(w, "a", TICK, (uint64_t)i % 3);
        w->fx.is_quiet = true;
        w->fx.next_hook = end_another;
        w->fx.n_hooks_left = n_hooks;
        w->is_woken = true;
        while (w->is_woken) {
            w->is_woken = false;
            while (fq_engine_replay(w->fx.engine, 12))
                fq_engine_run(w->fx.engine, 12);
        }
        fq_engine_check(w->fx.engine);
        assert_int_equal(
            FQ_METRIC_GET(&w->fx.metrics, subscriptions_replaying), 0);
        world_fini(w);
    }
}

/* ── at random ── */

#define N_CLIENTS 6

/* One client that reads now and then, leaves, and comes back with the last
 * position it was told. */
typedef struct client {
    char name[16]; /* for the log */
    fq_sub_id id;  /* 0: it is away */
    uint64_t last; /* number of the event it had last */
    bool is_even;  /* it listens to one of the channels */
} client;

static struct {
    fq_random random;
    client clients[N_CLIENTS];
    uint64_t n_events;
} game;

/* Each event of its channel, in order, once. */
static void
note_next(fixture *fx, fq_sub *sub)
{
    client *self = sub->handle;
    unsigned long long n;
    fq_buf_clear(&fx->log);
    assert_int_equal(
        sscanf(fx->last_payload->bytes, "{\"data\":{\"tick\":{\"n\":%llu", &n),
        1);
    assert_int_equal(n, self->last + 2);
    self->last = n;
    if (fq_random_chance(&game.random, 20))
        fx->has_room = false;
    if (fq_random_chance(&game.random, 2)) {
        fq_engine_unsubscribe(fx->engine, sub, FQ_END_COMPLETE);
        self->id = 0;
    }
}

static void
game_publish(world *w)
{
    uint64_t n = ++game.n_events;
    publish_many(w, n % 2 == 0 ? "even" : "odd", (int)n, (int)n);
}

static void
game_visit(world *w, client *self)
{
    fq_sub *sub = fq_engine_find(w->fx.engine, self->id);
    if (sub == NULL) {
        fq_str channel = FQ_STR("odd");
        if (self->is_even)
            channel = FQ_STR_LIT("even");
        fq_subscribe_args args = {
            .channels = &channel, .n_channels = 1, .has_override = true};
        assert_int_equal(
            resume_args(w, &args, (char *)self, TICK, self->last, &sub),
            FQ_OK);
        self->id = sub->id;
    } else if (sub->is_stalled) {
        w->fx.has_room = true;
        fq_engine_resume(w->fx.engine, self->id);
    } else if (fq_random_chance(&game.random, 20)) {
        fq_engine_unsubscribe(w->fx.engine, sub, FQ_END_COMPLETE);
        self->id = 0;
    }
}

static void
game_step(world *w)
{
    uint32_t what = fq_random_below(&game.random, 100);
    if (what < 40) {
        game_publish(w);
    } else if (what < 70) {
        game_visit(w, &game.clients[fq_random_below(&game.random, N_CLIENTS)]);
    } else if (what < 85 && w->held != NULL) {
        answer(w);
    } else if (what < 92) {
        fq_engine_run(w->fx.engine, 12);
    } else if (w->is_woken) {
        w->is_woken = fq_engine_replay(w->fx.engine, 12);
    }
    fq_engine_check(w->fx.engine);
}

static void
run_game(uint64_t seed)
{
    world *w = world_start(100000);
    memset(&game, 0, sizeof(game));
    game.random.state = seed;
    w->is_slow = seed % 2 == 0;
    w->fx.engine->dispatch.slice = 1 + seed % 9;
    w->fx.next_hook = note_next;
    w->fx.n_hooks_left = 1 << 30;
    for (int i = 0; i < N_CLIENTS; i++) {
        client *self = &game.clients[i];
        snprintf(self->name, sizeof(self->name), "%d", i);
        self->is_even = i % 2 == 0;
        self->last = self->is_even ? 0 : 1;
    }
    game_publish(w);
    for (int step = 0; step < 600; step++)
        game_step(w);
    /* In the end all come back, have room and get the rest. */
    w->fx.next_hook = NULL;
    for (int i = 0; i < N_CLIENTS; i++) {
        fq_sub *sub = fq_engine_find(w->fx.engine, game.clients[i].id);
        if (sub != NULL)
            fq_engine_unsubscribe(w->fx.engine, sub, FQ_END_COMPLETE);
        game.clients[i].id = 0;
    }
    w->fx.next_hook = note_next;
    game.random.state = 0;
    for (int round = 0; round < 100000; round++) {
        bool is_done = true;
        for (int i = 0; i < N_CLIENTS; i++) {
            client *self = &game.clients[i];
            uint64_t newest = game.n_events
                              - (game.n_events + !self->is_even) % 2;
            is_done = is_done && self->last == newest;
            fq_sub *sub = fq_engine_find(w->fx.engine, self->id);
            if (self->last != newest && (sub == NULL || sub->is_stalled))
                game_visit(w, self);
        }
        if (is_done)
            break;
        assert_true(round < 99999);
        if (w->held != NULL)
            answer(w);
        fq_engine_run(w->fx.engine, 12);
        w->is_woken = fq_engine_replay(w->fx.engine, 12);
    }
    world_fini(w);
}

static void
test_replay_gives_each_event_once(void **state)
{
    (void)state;
    fq_random_runs(run_game, 300);
}

/* ── without memory ── */

static fq_status
body_replay(void *arg)
{
    (void)arg;
    static world w;
    fq_status status = world_init(&w, 100);
    w.fx.is_quiet = true;
    for (int n = 1; n <= 3 && status == FQ_OK; n++)
        status = publish(&w, "tick", n);
    fq_sub *sub;
    for (uint64_t i = 0; i < 3 && status == FQ_OK; i++)
        status = resume(&w, "a", TICK, i, &sub);
    if (status == FQ_OK) {
        run(&w);
        (void)publish(&w, "tick", 4);
        /* Each delivery was made, is told as lost, or ended with an error. */
        uint64_t n_told = w.fx.n_next
                          + FQ_METRIC_GET(&w.fx.metrics, deliveries_dropped);
        uint64_t n_ended = FQ_METRIC_GET(&w.fx.metrics, ended_error)
                           + FQ_METRIC_GET(&w.fx.metrics, ended_position_lost);
        if (fq_alloc_n_refused() == 0)
            assert_int_equal(n_told, 6 + 3);
        else
            assert_true(n_ended > 0 || n_told >= 6);
    }
    if (w.fx.engine != NULL || w.bus != NULL)
        world_fini(&w);
    return status;
}

static void
test_replay_survives_without_memory(void **state)
{
    (void)state;
    fq_test_body(body_replay, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_replay_gives_what_was_missed_and_goes_live),
        FQ_TEST(test_replay_of_nothing),
        FQ_TEST(test_replay_waits_for_an_answer),
        FQ_TEST(test_replay_waits_for_who_is_ahead),
        FQ_TEST(test_replay_ends_at_a_gap),
        FQ_TEST(test_replay_longer_than_a_batch_and_a_slice),
        FQ_TEST(test_replay_tells_what_is_lost),
        FQ_TEST(test_replay_tells_many_at_a_time),
        FQ_TEST(test_replay_refuses_what_is_no_position),
        FQ_TEST(test_replay_goes_on_when_there_is_room),
        FQ_TEST(test_replay_stalls_anywhere),
        FQ_TEST(test_replay_reads_once_for_all),
        FQ_TEST(test_replay_takes_turns),
        FQ_TEST(test_replay_listens_on_several_channels),
        FQ_TEST(test_replay_over_what_nobody_can_read),
        FQ_TEST(test_replay_waits_for_resolvers),
        FQ_TEST(test_replay_shares_calls),
        FQ_TEST(test_replay_calls_for_no_initial_value),
        FQ_TEST(test_replay_survives_its_callbacks),
        FQ_TEST_RANDOM(test_replay_gives_each_event_once),
        FQ_TEST(test_replay_survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
