/* SPDX-License-Identifier: MIT */
/* An event meets who may want it, once, and nobody else; nothing is left of
 * who has gone. */
#include "engine/predicate_index.h"

#include <stdio.h>

#include "engine/engine.h"
#include "json/reader.h"

#include "random.h"
#include "support.h"

#define N_SUBS 24
#define N_CHANNELS 3
#define LISTENERS_MAX 8

/* |ir| as a filter that asks for neither arguments nor context. */
static fq_status
bind(const char *ir, fq_filter_bound **pbound)
{
    *pbound = NULL;
    yyjson_doc *doc;
    fq_filter *filter = NULL;
    fq_status status = fq_json_read(fq_str_of(ir), FQ_JSON_STRICT, &doc, NULL);
    if (status != FQ_OK)
        return status;
    status = fq_filter_compile(yyjson_doc_get_root(doc), &filter, NULL);
    if (status == FQ_OK)
        status = fq_filter_bind(filter, NULL, NULL, pbound);
    fq_filter_unref(filter);
    fq_json_free(doc);
    return status;
}

/* The first key of |bound|. */
static fq_filter_key
key_of(const fq_filter_bound *bound)
{
    fq_filter_key key;
    assert_int_equal(fq_filter_index_keys(bound, &key, 1), 1);
    return key;
}

static fq_event *
event_new(const char *channel, const char *type, const char *data)
{
    fq_event *event;
    assert_int_equal(fq_event_new(fq_str_of(channel), fq_str_of(type),
                                  fq_str_of(data), 0, 0, &event, NULL),
                     FQ_OK);
    return event;
}

/* The subscriptions that an event meets, as bits. */
static unsigned
meet(fq_predicate_index *index, const fq_sub *subs, const char *channel,
     const char *data)
{
    fq_event *event = event_new(channel, "t", data);
    fq_predicate_cursor cursor;
    fq_predicate_cursor_init(&cursor);
    fq_predicate_cursor_open(&cursor, index, event);
    unsigned met = 0;
    fq_sub *sub;
    while ((sub = fq_predicate_cursor_next(&cursor)) != NULL) {
        unsigned bit = 1u << (sub - subs);
        assert_int_equal(met & bit, 0);
        met |= bit;
    }
    fq_event_unref(event);
    return met;
}

static fq_status
body_predicate_index(void *arg)
{
    (void)arg;
    static fq_sub subs[3];
    fq_listener listeners[3][3];
    fq_predicate_index index;
    fq_predicate_index_init(&index);
    fq_filter_bound *one = NULL, *some = NULL;
    fq_status status = bind("[\"==\",{\"event\":[\"a\",\"b\"]},{\"const\":1}]",
                            &one);
    if (status == FQ_OK)
        status = bind("[\"in\",{\"event\":[\"a\",\"b\"]},"
                      "{\"const\":[2,\"x\",2.0]}]",
                      &some);
    size_t n_in = 0;
    if (status == FQ_OK) {
        fq_filter_key keys[2] = {key_of(one), key_of(some)};
        bool is_never;
        n_in = fq_predicate_n_listeners(&keys[1], &is_never);
        assert_int_equal(n_in, 2);
        assert_int_equal(fq_predicate_n_listeners(NULL, &is_never), 1);
        fq_filter_key *by[3] = {NULL, &keys[0], &keys[1]};
        size_t n_on = 0;
        while (n_on < 3 && status == FQ_OK) {
            status = fq_predicate_index_add(&index, FQ_STR_LIT("c"), by[n_on],
                                            &subs[n_on], listeners[n_on]);
            n_on += status == FQ_OK;
            fq_predicate_index_check(&index);
            assert_int_equal(
                fq_predicate_index_n_subs(&index, FQ_STR_LIT("c")), n_on);
            assert_int_equal(fq_predicate_index_n_channels(&index), n_on > 0);
        }
        for (size_t i = 0; i < n_on; i++)
            fq_predicate_index_remove(&index, listeners[i], i == 2 ? n_in : 1);
    }
    fq_predicate_index_check(&index);
    assert_int_equal(fq_predicate_index_n_listeners(&index), 0);
    fq_predicate_index_fini(&index);
    fq_filter_bound_unref(one);
    fq_filter_bound_unref(some);
    return status;
}

static void
test_predicate_index_leaves_nothing(void **state)
{
    (void)state;
    fq_test_body(body_predicate_index, NULL);
}

static void
test_predicate_index_meets_by_value(void **state)
{
    (void)state;
    static fq_sub subs[5];
    fq_listener listeners[5][4];
    static const char *const filters[4] = {
        "[\"==\",{\"event\":[\"id\"]},{\"const\":1}]",
        "[\"in\",{\"event\":[\"id\"]},{\"const\":[1.0,\"1\",null]}]",
        "[\"==\",{\"event\":[\"o\",\"id\"]},{\"const\":true}]",
        "[\"==\",{\"event\":[\"id\"]},{\"const\":\"\"}]",
    };
    static const size_t n_listeners[5] = {1, 3, 1, 1, 1};
    fq_predicate_index index;
    fq_predicate_index_init(&index);
    for (size_t i = 0; i < 5; i++) {
        fq_filter_bound *bound = NULL;
        fq_filter_key key = fq_predicate_never;
        if (i < 4) {
            assert_int_equal(bind(filters[i], &bound), FQ_OK);
            key = key_of(bound);
        }
        assert_int_equal(fq_predicate_index_add(&index, FQ_STR_LIT("c"), &key,
                                                &subs[i], listeners[i]),
                         FQ_OK);
        fq_filter_bound_unref(bound);
    }
    fq_predicate_index_check(&index);
    assert_int_equal(fq_predicate_index_n_subs(&index, FQ_STR_LIT("c")), 5);
    assert_int_equal(meet(&index, subs, "c", "{\"id\":1}"), 3);
    assert_int_equal(meet(&index, subs, "c", "{\"id\":1e0,\"o\":{\"id\":1}}"),
                     3);
    assert_int_equal(meet(&index, subs, "c", "{\"id\":\"1\"}"), 2);
    assert_int_equal(
        meet(&index, subs, "c", "{\"id\":null,\"o\":{\"id\":true}}"), 6);
    assert_int_equal(meet(&index, subs, "c", "{\"id\":\"\"}"), 8);
    assert_int_equal(meet(&index, subs, "c", "{\"id\":[1]}"), 0);
    assert_int_equal(meet(&index, subs, "c", "{}"), 0);
    assert_int_equal(meet(&index, subs, "d", "{\"id\":1}"), 0);
    for (size_t i = 0; i < 5; i++)
        fq_predicate_index_remove(&index, listeners[i], n_listeners[i]);
    fq_predicate_index_check(&index);
    fq_predicate_index_fini(&index);
}

static void
test_predicate_index_bounds_keys_and_selectors(void **state)
{
    (void)state;
    static fq_sub sub;
    fq_listener listeners[FQ_PREDICATE_SELECTORS_MAX + 1];
    fq_predicate_index index;
    fq_predicate_index_init(&index);
    fq_filter_bound *bound;
    char text[2 * FQ_PREDICATE_KEY_MAX];
    bool is_never;
    for (int extra = 0; extra < 2; extra++) {
        snprintf(text, sizeof(text),
                 "[\"==\",{\"event\":[\"id\"]},{\"const\":\"%0*d\"}]",
                 FQ_PREDICATE_KEY_MAX + extra, 0);
        assert_int_equal(bind(text, &bound), FQ_OK);
        fq_filter_key key = key_of(bound);
        assert_int_equal(fq_predicate_n_listeners(&key, &is_never),
                         extra == 0);
        assert_false(is_never);
        fq_filter_bound_unref(bound);
    }
    for (int i = 0; i <= FQ_PREDICATE_SELECTORS_MAX; i++) {
        snprintf(text, sizeof(text),
                 "[\"==\",{\"event\":[\"f%d\"]},{\"const\":1}]", i);
        assert_int_equal(bind(text, &bound), FQ_OK);
        fq_filter_key key = key_of(bound);
        bool takes = fq_predicate_index_takes(&index, FQ_STR_LIT("c"), &key);
        assert_int_equal(takes, i < FQ_PREDICATE_SELECTORS_MAX);
        if (takes)
            assert_int_equal(fq_predicate_index_add(&index, FQ_STR_LIT("c"),
                                                    &key, &sub, &listeners[i]),
                             FQ_OK);
        fq_filter_bound_unref(bound);
    }
    assert_true(fq_predicate_index_takes(&index, FQ_STR_LIT("c"),
                                         &fq_predicate_never));
    assert_int_equal(
        fq_predicate_index_add(&index, FQ_STR_LIT("c"), &fq_predicate_never,
                               &sub, &listeners[FQ_PREDICATE_SELECTORS_MAX]),
        FQ_OK);
    fq_predicate_index_check(&index);
    for (int i = 0; i <= FQ_PREDICATE_SELECTORS_MAX; i++)
        fq_predicate_index_remove(&index, &listeners[i], 1);
    fq_predicate_index_fini(&index);
}

/* -- at random ------------------------------------------------------------ */

static const char *const channel_names[N_CHANNELS] = {"c0", "c1", "c2"};

static const char *const random_filters[] = {
    NULL,
    "[\"==\",{\"event\":[\"a\"]},{\"const\":0}]",
    "[\"==\",{\"event\":[\"a\"]},{\"const\":1}]",
    "[\"in\",{\"event\":[\"a\"]},{\"const\":[0,1,2]}]",
    "[\"==\",{\"event\":[\"b\"]},{\"const\":0}]",
    "[\"in\",{\"event\":[\"b\"]},{\"const\":[1,2,1]}]",
    "[\"==\",{\"envelope\":\"type\"},{\"const\":\"t0\"}]",
    "[\"==\",{\"envelope\":\"type\"},{\"const\":\"t1\"}]",
};
#define N_FILTERS (sizeof(random_filters) / sizeof(random_filters[0]))

typedef struct random_sub {
    bool is_on;
    unsigned channels; /* bit set */
    size_t filter;
    size_t n_listeners;
    fq_listener listeners[LISTENERS_MAX * N_CHANNELS];
    bool is_due; /* in the walk under way */
} random_sub;

typedef struct random_state {
    fq_random random;
    fq_predicate_index index;
    fq_filter_bound *filters[N_FILTERS];
    fq_sub subs[N_SUBS];
    random_sub of[N_SUBS];
} random_state;

static void
random_come(random_state *self, size_t i)
{
    random_sub *of = &self->of[i];
    *of = (random_sub){.is_on = true};
    of->filter = fq_random_below(&self->random, N_FILTERS);
    of->channels = 1 + fq_random_below(&self->random, (1 << N_CHANNELS) - 1);
    for (size_t c = 0; c < N_CHANNELS; c++) {
        if (!(of->channels >> c & 1))
            continue;
        fq_filter_key key, *used = NULL;
        if (self->filters[of->filter] != NULL) {
            key = key_of(self->filters[of->filter]);
            used = &key;
        }
        bool is_never;
        assert_int_equal(fq_predicate_index_add(
                             &self->index, fq_str_of(channel_names[c]), used,
                             &self->subs[i], &of->listeners[of->n_listeners]),
                         FQ_OK);
        of->n_listeners += fq_predicate_n_listeners(used, &is_never);
    }
}

static void
random_go(random_state *self, size_t i)
{
    random_sub *of = &self->of[i];
    fq_predicate_index_remove(&self->index, of->listeners, of->n_listeners);
    of->is_on = of->is_due = false;
}

static void
random_change(random_state *self)
{
    size_t i = fq_random_below(&self->random, N_SUBS);
    if (self->of[i].is_on)
        random_go(self, i);
    else
        random_come(self, i);
}

static void
random_check(random_state *self)
{
    fq_predicate_index_check(&self->index);
    size_t n_channels = 0;
    for (size_t c = 0; c < N_CHANNELS; c++) {
        size_t n = 0;
        for (size_t i = 0; i < N_SUBS; i++)
            n += self->of[i].is_on && self->of[i].channels >> c & 1;
        assert_int_equal(fq_predicate_index_n_subs(
                             &self->index, fq_str_of(channel_names[c])),
                         n);
        n_channels += n > 0;
    }
    assert_int_equal(fq_predicate_index_n_channels(&self->index), n_channels);
}

/* An event past everybody, who come and go meanwhile: who was there all the
 * time and wants it meets it once; who does not want it never does. */
static void
random_walk(random_state *self)
{
    uint32_t channel = fq_random_below(&self->random, N_CHANNELS);
    char data[64], type[3] = "t0";
    snprintf(data, sizeof(data), "{\"a\":%u,\"b\":%u}",
             fq_random_below(&self->random, 4),
             fq_random_below(&self->random, 4));
    type[1] = (char)('0' + fq_random_below(&self->random, 3));
    fq_event *event = event_new(channel_names[channel], type, data);
    for (size_t i = 0; i < N_SUBS; i++) {
        random_sub *of = &self->of[i];
        of->is_due = of->is_on && of->channels >> channel & 1
                     && (self->filters[of->filter] == NULL
                         || fq_filter_eval(self->filters[of->filter], event));
    }
    fq_predicate_cursor cursor;
    fq_predicate_cursor_init(&cursor);
    fq_predicate_cursor_open(&cursor, &self->index, event);
    fq_sub *sub;
    while ((sub = fq_predicate_cursor_next(&cursor)) != NULL) {
        random_sub *of = &self->of[sub - self->subs];
        assert_true(of->is_on);
        /* One that came meanwhile may be met, too; the engine tells it by its
         * age. Whoever is met has the value. */
        assert_true(self->filters[of->filter] == NULL
                    || fq_filter_eval(self->filters[of->filter], event));
        of->is_due = false;
        while (fq_random_chance(&self->random, 40))
            random_change(self);
        random_check(self);
        if (fq_random_chance(&self->random, 5)) {
            fq_predicate_cursor_close(&cursor);
            fq_event_unref(event);
            return;
        }
    }
    for (size_t i = 0; i < N_SUBS; i++)
        assert_false(self->of[i].is_due);
    fq_event_unref(event);
}

static void
run(uint64_t seed)
{
    static random_state self;
    memset(&self, 0, sizeof(self));
    self.random.state = seed;
    fq_predicate_index_init(&self.index);
    for (size_t i = 1; i < N_FILTERS; i++)
        assert_int_equal(bind(random_filters[i], &self.filters[i]), FQ_OK);
    for (int i = 0; i < 40; i++) {
        random_change(&self);
        random_check(&self);
        if (fq_random_chance(&self.random, 50))
            random_walk(&self);
    }
    for (size_t i = 0; i < N_SUBS; i++) {
        if (self.of[i].is_on)
            random_go(&self, i);
    }
    random_check(&self);
    fq_predicate_index_fini(&self.index);
    for (size_t i = 1; i < N_FILTERS; i++)
        fq_filter_bound_unref(self.filters[i]);
}

static void
test_predicate_cursor_bears_change(void **state)
{
    (void)state;
    fq_random_runs(run, 500);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_predicate_index_leaves_nothing),
        FQ_TEST(test_predicate_index_meets_by_value),
        FQ_TEST(test_predicate_index_bounds_keys_and_selectors),
        FQ_TEST_RANDOM(test_predicate_cursor_bears_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
