/* SPDX-License-Identifier: MIT */
/* The engine against a naive model, at random. The model knows one thing per
 * subscription: the numbers of the events it must meet, in order, written
 * down for all subscriptions at the moment an event is handed to the engine.
 * Which these are follows from channels, some of them filled in with an
 * argument, and from filters, written a second time in plain C.
 * Each delivery and each call must be for the first of them. Whatever may be
 * done is also done from within callbacks. */
#include <stdio.h>

#include "engine/engine.h"
#include "engine/internal.h"
#include "json/reader.h"

#include "random.h"
#include "support.h"

#define N_CHANNELS 4
#define N_SINKS 3
#define SUBS_MAX 24
/* Events a subscription has still to meet. */
#define DUE_MAX 4096
/* Callbacks below callbacks that still act. */
#define DEPTH_MAX 2
#define MAX_PENDING 3

typedef struct model model;

/* What is published, and the argument x of a subscription. */
typedef struct model_event {
    unsigned type, k, j;
} model_event;

/* A field with a filter, in both notations. */
typedef struct model_field {
    const char *name;
    const char *where; /* NULL: it is not declared */
    bool (*matches)(const model_event *event, unsigned x);
    bool by_template; /* on channel c{x}, otherwise on c0 */
} model_field;

typedef struct model_sub {
    bool is_live;
    const model_field *field;
    unsigned x;
    fq_sub *sub;
    fq_sub_id id;
    fq_field_kind kind;
    fq_returns returns;
    bool is_aliased;
    unsigned channels; /* bit set */
    uint64_t due[DUE_MAX];
    size_t n_due;
    size_t n_calls;  /* for the first of due, or a source's value */
    bool is_in_call; /* one of them is being made */
    bool is_stalled;
    uint64_t n_values; /* a source's, so far */
    uint32_t n_carried;
    const char *expected; /* the payload an answer must bring; NULL: none */
} model_sub;

typedef struct model_sink {
    fq_sink sink;
    model *model;
} model_sink;

struct model {
    fq_random random;
    fq_engine *engine;
    fq_metrics metrics;
    model_sink sinks[N_SINKS];
    model_sub subs[SUBS_MAX];
    uint64_t now_ns;
    uint64_t n_ahead; /* calls made while an answer was awaited */
    uint64_t n_events;
    uint64_t n_done;
    uint64_t n_matched;
    uint64_t n_dropped;
    int depth;
};

static const char *const channel_names[N_CHANNELS] = {"c0", "c1", "c2", "c3"};

static bool
match_all(const model_event *event, unsigned x)
{
    (void)event, (void)x;
    return true;
}

static bool
match_k(const model_event *event, unsigned x)
{
    return event->k == x;
}

static bool
match_some(const model_event *event, unsigned x)
{
    (void)x;
    return event->k == 0 || event->k == 2;
}

static bool
match_either(const model_event *event, unsigned x)
{
    return event->k == x || event->j == 1;
}

static bool
match_both(const model_event *event, unsigned x)
{
    return event->j == 1 && event->k == x;
}

static bool
match_type(const model_event *event, unsigned x)
{
    (void)x;
    return event->type == 1 && event->k > 0;
}

static bool
match_j(const model_event *event, unsigned x)
{
    return event->j == x;
}

static bool
match_none(const model_event *event, unsigned x)
{
    (void)event, (void)x;
    return false;
}

#define EVENT_K "{\"event\":[\"k\"]}"
#define EVENT_J "{\"event\":[\"o\",\"j\"]}"
#define ARG_X "{\"arg\":[\"x\"]}"

static const model_field fields[] = {
    {"c0", NULL, match_all, false},
    {"all", "true", match_all, true},
    {"k", "[\"==\"," EVENT_K "," ARG_X "]", match_k, false},
    {"some", "[\"in\"," EVENT_K ",{\"const\":[0,2.0,\"2\"]}]", match_some,
     false},
    {"either",
     "[\"or\",[\"==\"," EVENT_K "," ARG_X "],[\"==\"," EVENT_J
     ",{\"const\":1}]]",
     match_either, false},
    {"both",
     "[\"and\",[\"==\"," EVENT_J ",{\"const\":1}],[\"==\"," ARG_X "," EVENT_K
     "]]",
     match_both, false},
    {"type",
     "[\"and\",[\"==\",{\"envelope\":\"type\"},{\"const\":\"t1\"}],"
     "[\">\"," EVENT_K ",{\"const\":0}]]",
     match_type, false},
    {"j", "[\"==\"," EVENT_J "," ARG_X "]", match_j, true},
    {"none", "[\"==\"," EVENT_J ",{\"ctx\":[\"user_id\"]}]", match_none,
     false},
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static void
declare_fields(fq_engine *engine)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (fields[i].where == NULL)
            continue;
        yyjson_doc *doc;
        fq_filter *where;
        assert_int_equal(fq_json_read(fq_str_of(fields[i].where),
                                      FQ_JSON_STRICT, &doc, NULL),
                         FQ_OK);
        assert_int_equal(
            fq_filter_compile(yyjson_doc_get_root(doc), &where, NULL), FQ_OK);
        fq_str channel = fields[i].by_template ? FQ_STR_LIT("c{x}")
                                               : FQ_STR_LIT("c0");
        fq_field field = {
            .name = fq_str_of(fields[i].name),
            .channels = &channel,
            .n_channels = 1,
            .has_templates = true,
            .where = where,
        };
        assert_int_equal(fq_engine_field_add(engine, &field), FQ_OK);
        fq_filter_unref(where);
        fq_json_free(doc);
    }
}

static void
act(model *model);

static model_sub *
model_of(fq_sink *sink, fq_sub *sub)
{
    (void)sink;
    model_sub *self = sub->handle;
    assert_true(self->is_live);
    /* Before subscribe returns it is not known yet. */
    if (self->sub == NULL) {
        self->sub = sub;
        self->id = sub->id;
    }
    assert_ptr_equal(self->sub, sub);
    assert_true(self->id == sub->id);
    return self;
}

static model *
model_of_sink(fq_sink *sink)
{
    return FQ_CONTAINER_OF(sink, model_sink, sink)->model;
}

/* Perhaps does something from within a callback. */
static void
act_inside(model *model)
{
    if (model->depth >= DEPTH_MAX)
        return;
    model->depth++;
    while (fq_random_chance(&model->random, 12))
        act(model);
    model->depth--;
}

static void
due_remove(model_sub *self, size_t i)
{
    assert_true(i < self->n_due);
    self->n_due--;
    memmove(&self->due[i], &self->due[i + 1],
            (self->n_due - i) * sizeof(self->due[0]));
}

/* The payload for the object {"n":|n|}. */
static void
payload_of(const model_sub *self, uint64_t n, char *text)
{
    sprintf(text, "{\"data\":{\"%s\":{\"n\":%llu}}",
            self->is_aliased ? "alias" : self->field->name,
            (unsigned long long)n);
}

static void
on_next(fq_sink *sink, fq_sub *sub, fq_rcbuf *payload)
{
    model *model = model_of_sink(sink);
    model_sub *self = model_of(sink, sub);
    assert_int_equal(sub->n_carried, self->n_carried);
    sub->n_carried = self->n_carried = 0;
    char expected[64];
    if (self->kind == FQ_FIELD_EVENT) {
        assert_true(self->n_due > 0);
        payload_of(self, self->due[0], expected);
        fq_test_assert_str(fq_rcbuf_str(payload), expected);
        due_remove(self, 0);
    } else {
        assert_non_null(self->expected);
        if (self->expected[0] == 'E')
            assert_non_null(strstr(payload->bytes, "RESOLVER_ERROR"));
        else
            fq_test_assert_str(fq_rcbuf_str(payload), self->expected);
        snprintf(expected, sizeof(expected), "%s", self->expected);
        self->expected = NULL;
    }
    act_inside(model);
    /* Ours until we return, whatever has ended. */
    if (expected[0] != 'E')
        fq_test_assert_str(fq_rcbuf_str(payload), expected);
}

static void
sub_ended(model_sub *self)
{
    self->is_live = false;
    self->sub = NULL;
    self->n_due = 0;
}

static void
sub_end(model *model, model_sub *self)
{
    fq_sub *sub = self->sub;
    sub_ended(self);
    fq_engine_unsubscribe(model->engine, sub, FQ_END_COMPLETE);
}

/* Answers a call of |self| with something random. */
static void
answer(model *model, model_sub *self)
{
    if (self->is_in_call && self->n_calls > 1) {
        /* The one that is being made has failed, others are awaited. */
        due_remove(self, --self->n_calls);
        self->n_carried++;
        model->n_dropped++;
        fq_engine_answer(model->engine, self->id, FQ_ANSWER_ERROR,
                         FQ_STR_LIT(""), model->now_ns);
        return;
    }
    fq_answer_kind kind = (fq_answer_kind)fq_random_below(&model->random, 12);
    char text[64] = "", expected[64];
    uint64_t n = self->n_values++;
    if (self->kind == FQ_FIELD_RESOLVER) {
        n = self->due[0];
        due_remove(self, 0);
        /* A resolver has no end. */
        if (kind > FQ_ANSWER_ERROR)
            kind = FQ_ANSWER_VALUE;
    } else if (kind > FQ_ANSWER_FAIL) {
        kind = FQ_ANSWER_VALUE;
    }
    self->n_calls--;
    fq_sub_id id = self->id;
    if (kind == FQ_ANSWER_VALUE) {
        bool is_garbage = fq_random_chance(&model->random, 10);
        if (is_garbage)
            sprintf(text, "{\"n\":");
        else if (self->returns == FQ_RETURNS_DATA)
            sprintf(text, "{\"%s\":{\"n\":%llu}}", self->field->name,
                    (unsigned long long)n);
        else
            sprintf(text, "{\"n\":%llu}", (unsigned long long)n);
        payload_of(self, n, expected);
        self->expected = is_garbage ? "E" : expected;
    } else if (kind == FQ_ANSWER_ERROR || kind == FQ_ANSWER_FAIL) {
        self->expected = "E";
    }
    fq_engine_answer(model->engine, id, kind, fq_str_of(text), model->now_ns);
    /* Delivered before the return, whatever else has happened. */
    if (self->is_live && self->id == id)
        assert_null(self->expected);
    self->expected = NULL;
}

static void
on_call(fq_sink *sink, fq_sub *sub, fq_event *event)
{
    model *model = model_of_sink(sink);
    model_sub *self = model_of(sink, sub);
    assert_true(self->n_calls < FQ_CALLS_MAX);
    self->is_stalled = false;
    assert_int_equal(event != NULL, self->kind == FQ_FIELD_RESOLVER);
    if (event != NULL) {
        yyjson_val *root = yyjson_doc_get_root(event->doc);
        uint64_t n = yyjson_get_uint(yyjson_obj_get(root, "n"));
        assert_true(self->n_due > self->n_calls);
        assert_true(self->due[self->n_calls] == n);
    } else {
        assert_int_equal(self->n_calls, 0);
    }
    model->n_ahead += self->n_calls > 0;
    self->n_calls++;
    self->is_in_call = true;
    fq_sub_id id = self->id;
    if (fq_random_chance(&model->random, self->n_calls > 1 ? 5 : 30))
        answer(model, self);
    else
        act_inside(model);
    if (self->id == id)
        self->is_in_call = false;
}

static bool
on_overflow(fq_sink *sink, fq_sub *sub)
{
    model *model = model_of_sink(sink);
    model_sub *self = model_of(sink, sub);
    assert_int_equal(self->kind, FQ_FIELD_RESOLVER);
    if (fq_random_chance(&model->random, 30)) {
        sub_end(model, self);
        return false;
    }
    /* What is called for is no longer waiting. */
    due_remove(self, self->n_calls);
    self->n_carried++;
    model->n_dropped++;
    return true;
}

static bool
on_has_room(fq_sink *sink, fq_sub *sub, size_t n_items, size_t n_bytes)
{
    (void)n_items;
    (void)n_bytes;
    model *model = model_of_sink(sink);
    model_sub *self = model_of(sink, sub);
    self->is_stalled = fq_random_chance(&model->random, 40);
    return !self->is_stalled;
}

static void
on_end(fq_sink *sink, fq_sub *sub)
{
    model *model = model_of_sink(sink);
    model_sub *self = model_of(sink, sub);
    assert_int_equal(self->kind, FQ_FIELD_SOURCE);
    fq_sub_id id = self->id;
    act_inside(model);
    if (!self->is_live || self->id != id)
        return;
    /* The engine ends what is still there. */
    if (fq_random_chance(&model->random, 50))
        sub_end(model, self);
    else
        sub_ended(self);
}

static void
act_subscribe(model *model)
{
    fq_random *random = &model->random;
    model_sub *self = &model->subs[fq_random_below(random, SUBS_MAX)];
    if (self->is_live)
        return;
    memset(self, 0, sizeof(*self));
    uint32_t kind = fq_random_below(random, 100);
    self->kind = kind < 55   ? FQ_FIELD_EVENT
                 : kind < 85 ? FQ_FIELD_RESOLVER
                             : FQ_FIELD_SOURCE;
    self->is_aliased = fq_random_chance(random, 30);
    self->field = &fields[fq_random_below(random, N_FIELDS)];
    self->x = fq_random_below(random, N_CHANNELS);
    char query[64];
    snprintf(query, sizeof(query), "subscription { %s%s(x: %u) { n } }",
             self->is_aliased ? "alias: " : "", self->field->name, self->x);
    if (self->kind != FQ_FIELD_EVENT && fq_random_chance(random, 30))
        self->returns = FQ_RETURNS_DATA;
    fq_str channels[6];
    size_t n_channels = 1 + fq_random_below(random, 6);
    for (size_t i = 0; i < n_channels; i++) {
        uint32_t channel = fq_random_below(random, N_CHANNELS);
        channels[i] = fq_str_of(channel_names[channel]);
        if (self->kind != FQ_FIELD_SOURCE)
            self->channels |= 1u << channel;
    }
    fq_subscribe_args args = {
        .query = fq_str_of(query),
        .has_override = true,
        .kind = self->kind,
        .returns = self->returns,
        .channels = channels,
        .n_channels = n_channels,
        .handle = self,
    };
    if (fq_random_chance(random, 20)) {
        args.channels = NULL;
        self->channels = self->field->by_template ? 1u << self->x : 1;
        if (self->kind == FQ_FIELD_SOURCE)
            self->channels = 0;
    }
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    bool is_request_error;
    fq_sub *sub;
    self->is_live = true;
    assert_int_equal(fq_engine_subscribe(
                         model->engine,
                         &model->sinks[fq_random_below(random, N_SINKS)].sink,
                         &args, &sub, &errors, &is_request_error),
                     FQ_OK);
    fq_gql_errors_fini(&errors);
    /* The first call of a source may have ended it, and the place may have
     * been taken since; otherwise it is in the model. */
    if (sub != NULL) {
        self = sub->handle;
        self->sub = sub;
        self->id = sub->id;
        assert_true(self->is_live);
    }
}

static void
count_done(fq_event *event, void *arg)
{
    (void)event;
    ((model *)arg)->n_done++;
}

static void
act_publish(model *model)
{
    uint32_t channel = fq_random_below(&model->random, N_CHANNELS);
    uint64_t n = ++model->n_events;
    model_event what = {
        .type = fq_random_below(&model->random, 3),
        .k = fq_random_below(&model->random, N_CHANNELS),
        .j = fq_random_below(&model->random, N_CHANNELS),
    };
    char data[64], type[4];
    sprintf(data, "{\"n\":%llu,\"k\":%u,\"o\":{\"j\":%u}}",
            (unsigned long long)n, what.k, what.j);
    snprintf(type, sizeof(type), "t%u", what.type);
    fq_event *event;
    assert_int_equal(fq_event_new(fq_str_of(channel_names[channel]),
                                  fq_str_of(type), fq_str_of(data), 0, 0,
                                  &event, NULL),
                     FQ_OK);
    event->done_cb = count_done;
    event->done_arg = model;
    for (size_t i = 0; i < SUBS_MAX; i++) {
        model_sub *self = &model->subs[i];
        if (!self->is_live || !(self->channels & 1u << channel)
            || !self->field->matches(&what, self->x))
            continue;
        assert_true(self->n_due < DUE_MAX);
        self->due[self->n_due++] = n;
    }
    fq_engine_dispatch(model->engine, event, 0);
    fq_event_unref(event);
}

/* A random living subscription, or NULL. */
static model_sub *
pick(model *model)
{
    model_sub *self = &model->subs[fq_random_below(&model->random, SUBS_MAX)];
    return self->is_live && self->sub != NULL ? self : NULL;
}

static void
act_end_sink(model *model)
{
    fq_sink *sink
        = &model->sinks[fq_random_below(&model->random, N_SINKS)].sink;
    while (!fq_list_is_empty(&sink->subs))
        sub_end(model,
                FQ_CONTAINER_OF(sink->subs.next, fq_sub, sink_node)->handle);
}

static void
act(model *model)
{
    uint32_t what = fq_random_below(&model->random, 100);
    model_sub *self = pick(model);
    /* From nothing to the time after which an answer comes late. */
    model->now_ns += fq_random_below(&model->random, 10) == 0 ? 2000000 : 1000;
    if (what < 25)
        act_subscribe(model);
    else if (what < 55)
        act_publish(model);
    else if (what < 65 && self != NULL)
        sub_end(model, self);
    else if (what < 67)
        act_end_sink(model);
    else if (what < 80 && self != NULL && self->n_calls > 0)
        answer(model, self);
    else if (what < 88 && self != NULL)
        fq_engine_resume(model->engine, self->id);
    else if (what < 90)
        fq_engine_answer(model->engine, fq_random_next(&model->random),
                         FQ_ANSWER_VALUE, FQ_STR_LIT("1"), 0);
    else
        fq_engine_run(model->engine, 0);
}

static void
check(model *model)
{
    fq_engine_check(model->engine);
    size_t n_live = 0, n_listening[N_CHANNELS] = {0};
    for (size_t i = 0; i < SUBS_MAX; i++) {
        model_sub *self = &model->subs[i];
        if (!self->is_live)
            continue;
        n_live++;
        for (size_t c = 0; c < N_CHANNELS; c++)
            n_listening[c] += self->channels >> c & 1;
        assert_ptr_equal(fq_engine_find(model->engine, self->id), self->sub);
        assert_int_equal(self->sub->n_calls, self->n_calls);
        assert_int_equal(self->sub->is_stalled, self->is_stalled);
        assert_int_equal(self->sub->n_carried, self->n_carried);
    }
    size_t n_channels = 0;
    for (size_t c = 0; c < N_CHANNELS; c++) {
        assert_int_equal(
            fq_engine_n_listening(model->engine, fq_str_of(channel_names[c])),
            n_listening[c]);
        n_channels += n_listening[c] > 0;
    }
    assert_int_equal(FQ_METRIC_GET(&model->metrics, subscriptions_active),
                     n_live);
    assert_int_equal(FQ_METRIC_GET(&model->metrics, channels_active),
                     n_channels);
    assert_int_equal(FQ_METRIC_GET(&model->metrics, deliveries_dropped),
                     model->n_dropped);
}

/* Dispatches and answers until nothing is left to do. */
static void
settle(model *model)
{
    model->depth = DEPTH_MAX;
    bool is_busy = true;
    while (is_busy) {
        is_busy = fq_engine_run(model->engine, 0);
        for (size_t i = 0; i < SUBS_MAX; i++) {
            model_sub *self = &model->subs[i];
            if (self->is_live && self->n_calls > 0
                && self->kind == FQ_FIELD_RESOLVER) {
                answer(model, self);
                is_busy = true;
            }
        }
    }
    check(model);
    for (size_t i = 0; i < SUBS_MAX; i++)
        assert_int_equal(model->subs[i].n_due, 0);
    assert_true(model->n_done == model->n_events);
    model->depth = 0;
}

/* Over all runs. */
static uint64_t n_ahead;

static void
run(uint64_t seed)
{
    static const fq_sink_ops ops = {
        .next = on_next,
        .call = on_call,
        .overflow = on_overflow,
        .has_room = on_has_room,
        .end = on_end,
    };
    static model model;
    memset(&model, 0, sizeof(model));
    model.random.state = seed;
    fq_engine_limits limits = {
        .max_plans = seed % 3, /* few, so that plans leave the cache */
        .max_plan_bytes = 1 << 20,
        .max_pending = seed % 2 == 0 ? MAX_PENDING : 0,
    };
    assert_int_equal(fq_engine_new(&limits, &model.metrics, &model.engine),
                     FQ_OK);
    declare_fields(model.engine);
    model.engine->dispatch.slice = 1 + fq_random_below(&model.random, 8);
    for (size_t i = 0; i < N_SINKS; i++) {
        model.sinks[i].model = &model;
        model.sinks[i].sink.ops = &ops;
        fq_list_init(&model.sinks[i].sink.subs);
    }
    for (int i = 0; i < 300; i++) {
        act(&model);
        check(&model);
        if (i % 100 == 99)
            settle(&model);
    }
    for (size_t i = 0; i < SUBS_MAX; i++) {
        if (model.subs[i].is_live)
            sub_end(&model, &model.subs[i]);
    }
    check(&model);
    n_ahead += model.n_ahead;
    fq_engine_free(model.engine);
}

static void
test_engine_behaves_as_the_model(void **state)
{
    (void)state;
    n_ahead = 0;
    fq_random_runs(run, 250);
    assert_true(n_ahead > 250);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST_RANDOM(test_engine_behaves_as_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
