/* SPDX-License-Identifier: MIT */
/* The engine put together. How subscriptions come and go is in subscribe.c,
 * what events and answers mean for them in dispatch.c and caller.c. Thread:
 * reactor. */
#include "engine/engine.h"

#include "base/alloc.h"
#include "base/check.h"
#include "engine/caller.h"
#include "engine/dispatch.h"
#include "engine/gap.h"
#include "engine/internal.h"
#include "json/reader.h"

fq_status
fq_engine_new(const fq_engine_limits *limits, fq_metrics *metrics,
              fq_engine **pengine)
{
    *pengine = NULL;
    fq_engine *engine = fq_alloc_zero(sizeof(*engine));
    if (engine == NULL)
        return FQ_ERR_NOMEM;
    engine->limits = *limits;
    engine->metrics = metrics;
    fq_map_init(&engine->fields);
    fq_registry_init(&engine->registry);
    fq_user_table_init(&engine->users);
    engine->events_per_subscription = fq_rate_make(
        limits->events_per_s_per_subscription, 0);
    engine->events_per_user = fq_rate_make(limits->events_per_s_per_user, 0);
    engine->has_event_rates = fq_rate_is_limited(
                                  &engine->events_per_subscription)
                              || fq_rate_is_limited(&engine->events_per_user);
    fq_predicate_index_init(&engine->predicates);
    fq_buf_init(&engine->scratch);
    fq_shared_table_init(&engine->shared);
    fq_replay_table_init(&engine->replays);
    fq_status status = fq_dispatch_init(&engine->dispatch);
    if (status == FQ_OK)
        status = fq_gap_init(engine);
    if (status == FQ_OK)
        status = fq_plan_cache_new(limits->max_plans, limits->max_plan_bytes,
                                   &engine->plans);
    if (status != FQ_OK)
        fq_engine_free(engine);
    else
        *pengine = engine;
    return status;
}

static void
engine_free_fields(fq_engine *engine)
{
    size_t iter = 0;
    fq_str name;
    void *field;
    while (fq_map_next(&engine->fields, &iter, &name, &field))
        fq_field_free(field);
    fq_map_fini(&engine->fields);
}

void
fq_engine_free(fq_engine *engine)
{
    if (engine == NULL)
        return;
    fq_dispatch_fini(engine);
    fq_shared_table_fini(&engine->shared);
    fq_replay_table_fini(&engine->replays);
    fq_rcbuf_unref(engine->gap);
    fq_buf_fini(&engine->scratch);
    fq_predicate_index_fini(&engine->predicates);
    fq_registry_fini(&engine->registry);
    fq_user_table_fini(&engine->users);
    engine_free_fields(engine);
    if (engine->plans != NULL)
        fq_plan_cache_free(engine->plans);
    fq_policy_free(engine->policy);
    fq_json_free(engine->policy_text);
    fq_schema_unref(engine->schema);
    fq_free(engine);
}

fq_status
fq_engine_steal_policy(fq_engine *engine, yyjson_doc *text, fq_error *error)
{
    fq_policy *policy = NULL;
    fq_status status = FQ_OK;
    if (text != NULL)
        status = fq_policy_new(yyjson_doc_get_root(text), engine->schema,
                               &policy, error);
    if (status != FQ_OK) {
        fq_json_free(text);
        return status;
    }
    fq_policy_free(engine->policy);
    fq_json_free(engine->policy_text);
    engine->policy = policy;
    engine->policy_text = text;
    return FQ_OK;
}

fq_status
fq_engine_steal_schema(fq_engine *engine, fq_schema *schema,
                       bool serve_undeclared, fq_error *error)
{
    fq_policy *policy = NULL;
    fq_status status = FQ_OK;
    if (engine->policy_text != NULL)
        status = fq_policy_new(yyjson_doc_get_root(engine->policy_text),
                               schema, &policy, error);
    if (status != FQ_OK) {
        fq_schema_unref(schema);
        return status;
    }
    fq_policy_free(engine->policy);
    engine->policy = policy;
    fq_schema_unref(engine->schema);
    engine->schema = schema;
    FQ_METRIC_SET(engine->metrics, schema_bytes,
                  schema != NULL ? fq_schema_n_bytes(schema) : 0);
    engine->serve_undeclared = serve_undeclared;
    return FQ_OK;
}

fq_status
fq_engine_field_add(fq_engine *engine, const fq_field *field)
{
    fq_field *copy;
    fq_status status = fq_field_new(field, &copy);
    if (status != FQ_OK)
        return status;
    status = fq_map_add(&engine->fields, copy->name, copy);
    if (status != FQ_OK)
        fq_field_free(copy);
    return status;
}

bool
fq_engine_dispatch(fq_engine *engine, fq_event *event, uint64_t now_ns)
{
    return fq_dispatch_accept(engine, event, now_ns);
}

bool
fq_engine_run(fq_engine *engine, uint64_t now_ns)
{
    return fq_dispatch_run(engine, now_ns);
}

size_t
fq_engine_n_events_waiting(const fq_engine *engine)
{
    return fq_dispatch_n_waiting(&engine->dispatch);
}

void
fq_engine_answer(fq_engine *engine, fq_sub_id id, fq_answer_kind kind,
                 fq_str text, uint64_t now_ns)
{
    fq_caller_answer(engine, id, kind, text, now_ns);
}

void
fq_engine_set_shared(fq_engine *engine, const fq_shared_ops *ops, void *ctx)
{
    FQ_CHECK(engine->registry.n_subs == 0);
    engine->shared.ops = ops;
    engine->shared.ctx = ctx;
}

void
fq_engine_answer_shared(fq_engine *engine, uint64_t id, fq_answer_kind kind,
                        fq_str text, uint64_t now_ns)
{
    fq_shared_answer(engine, id, kind, text, now_ns);
}

void
fq_engine_set_bus(fq_engine *engine, fq_bus *bus, void (*wake)(void *ctx),
                  void *ctx)
{
    FQ_CHECK(engine->registry.n_subs == 0);
    engine->replays.bus = bus;
    engine->replays.wake = wake;
    engine->replays.ctx = ctx;
}

bool
fq_engine_replay(fq_engine *engine, uint64_t now_ns)
{
    return fq_replay_run(engine, now_ns);
}

void
fq_engine_resume(fq_engine *engine, fq_sub_id id)
{
    fq_sub *sub = fq_registry_find(&engine->registry, id);
    if (sub != NULL && sub->replay != NULL)
        fq_replay_resume(engine, sub);
    else
        fq_caller_resume(engine, id);
}

fq_user_table *
fq_engine_users(fq_engine *engine)
{
    return &engine->users;
}

fq_sub *
fq_engine_find(const fq_engine *engine, fq_sub_id id)
{
    return fq_registry_find(&engine->registry, id);
}

fq_sub *
fq_engine_next_sub(const fq_engine *engine, size_t *piter)
{
    return fq_registry_next(&engine->registry, piter);
}

size_t
fq_engine_n_listening(const fq_engine *engine, fq_str channel)
{
    return fq_predicate_index_n_subs(&engine->predicates, channel);
}

#ifndef NDEBUG
/* Every subscription that ended has one reason. */
static void
engine_check_ends(const fq_metrics *metrics)
{
    uint64_t n_ended = 0;
#define ADD_ENDED(reason, name) n_ended += FQ_METRIC_GET(metrics, name);
    FQ_END_REASONS(ADD_ENDED)
#undef ADD_ENDED
    FQ_CHECK(n_ended == FQ_METRIC_GET(metrics, subscriptions_completed));
    FQ_CHECK(FQ_METRIC_GET(metrics, subscriptions_total)
             == n_ended + FQ_METRIC_GET(metrics, subscriptions_active));
}

static void
engine_check_sub(const fq_engine *engine, const fq_sub *sub)
{
    FQ_CHECK(fq_registry_find(&engine->registry, sub->id) == sub);
    FQ_CHECK(sub->conflate_path == NULL
             || sub->overflow == FQ_OVERFLOW_CONFLATE);
    FQ_CHECK(sub->replay != NULL
             || sub->since_seq <= engine->dispatch.accepted_seq);
    FQ_CHECK(sub->binding.variant != NULL);
    FQ_CHECK(!fq_list_is_empty(&sub->sink_node));
    for (size_t i = 0; i < sub->n_listeners; i++) {
        FQ_CHECK(sub->listeners[i].sub == sub);
        FQ_CHECK(sub->listeners[i].channel != NULL);
    }
    fq_caller_check(sub);
    fq_shared_check(engine, sub);
    fq_replay_check(engine, sub);
}
#endif

void
fq_engine_check(const fq_engine *engine)
{
#ifndef NDEBUG
    fq_registry_check(&engine->registry);
    fq_predicate_index_check(&engine->predicates);
    engine_check_ends(engine->metrics);
    size_t n_bytes = 0;
    size_t n_listening = 0;
    size_t iter = 0;
    const fq_sub *sub;
    while ((sub = fq_registry_next(&engine->registry, &iter)) != NULL) {
        engine_check_sub(engine, sub);
        n_listening += sub->n_listeners;
        n_bytes += sub->n_bytes;
    }
    FQ_CHECK(n_bytes == FQ_METRIC_GET(engine->metrics, subscriptions_bytes));
    FQ_CHECK(n_listening
             == fq_predicate_index_n_listeners(&engine->predicates));
    FQ_CHECK(!engine->dispatch.is_running);
    FQ_CHECK(engine->dispatch.event != NULL
             || engine->dispatch.n_variants == 0);
    FQ_CHECK(FQ_METRIC_GET(engine->metrics, subscriptions_active)
             == engine->registry.n_subs);
    FQ_CHECK(FQ_METRIC_GET(engine->metrics, channels_active)
             == fq_predicate_index_n_channels(&engine->predicates));
#else
    (void)engine;
#endif
}
