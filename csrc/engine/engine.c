/* SPDX-License-Identifier: MIT */
/* The engine put together, and the life of subscriptions: how one is made
 * from a document, what it listens on, how it ends. What events and answers
 * mean for it is in dispatch.c and caller.c. Thread: reactor. */
#include "engine/engine.h"

#include <stddef.h>

#include "base/alloc.h"
#include "base/check.h"
#include "engine/caller.h"
#include "engine/dispatch.h"
#include "engine/internal.h"

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
    fq_channel_index_init(&engine->channels);
    fq_buf_init(&engine->scratch);
    fq_status status = fq_dispatch_init(&engine->dispatch);
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
    fq_dispatch_fini(&engine->dispatch);
    fq_buf_fini(&engine->scratch);
    fq_channel_index_fini(&engine->channels);
    fq_registry_fini(&engine->registry);
    engine_free_fields(engine);
    if (engine->plans != NULL)
        fq_plan_cache_free(engine->plans);
    fq_schema_unref(engine->schema);
    fq_free(engine);
}

void
fq_engine_steal_schema(fq_engine *engine, fq_schema *schema,
                       bool serve_undeclared)
{
    fq_schema_unref(engine->schema);
    engine->schema = schema;
    engine->serve_undeclared = serve_undeclared;
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

/* Adds an error to what the client is told. */
#define ENGINE_REFUSE(errors, status, code, ...)                              \
    (fq_gql_errors_add((errors), (code), __VA_ARGS__) != NULL ? (status)      \
                                                              : FQ_ERR_NOMEM)

/* Counts why an operation is refused; memory has no counter. */
static void
engine_count_refusal(fq_engine *engine, fq_status status,
                     fq_document_limit limit, bool is_request_error)
{
    static const size_t by_limit[] = {
        [FQ_LIMIT_NONE] = offsetof(fq_metrics, refused_other_limits),
        [FQ_LIMIT_BYTES] = offsetof(fq_metrics, refused_document_bytes),
        [FQ_LIMIT_TOKENS] = offsetof(fq_metrics, refused_document_tokens),
        [FQ_LIMIT_DEPTH] = offsetof(fq_metrics, refused_document_depth),
        [FQ_LIMIT_FIELDS] = offsetof(fq_metrics, refused_document_fields),
        [FQ_LIMIT_ALIASES] = offsetof(fq_metrics, refused_document_aliases),
        [FQ_LIMIT_DIRECTIVES] = offsetof(fq_metrics,
                                         refused_document_directives),
    };
    size_t offset;
    if (status == FQ_ERR_LIMIT)
        offset = by_limit[limit];
    else if (status == FQ_ERR_SYNTAX)
        offset = offsetof(fq_metrics, refused_syntax);
    else if (status != FQ_ERR_INVALID)
        return;
    else if (is_request_error)
        offset = offsetof(fq_metrics, refused_variables);
    else
        offset = offsetof(fq_metrics, refused_validation);
    _Atomic uint64_t *counter = (_Atomic uint64_t *)((char *)engine->metrics
                                                     + offset);
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static fq_status
engine_refuse_type(fq_operation_type type, fq_gql_errors *errors)
{
    return ENGINE_REFUSE(errors, FQ_ERR_INVALID, "VALIDATION_ERROR",
                         "Only subscriptions are served here, but the "
                         "operation is a %s.",
                         type == FQ_OPERATION_QUERY ? "query" : "mutation");
}

/* Works out what the subscription to |plan|'s root field is: as declared, as
 * |args| override it, or by default the event's data from the channel of the
 * field's name. spec->channels may point to spec->name. */
static fq_status
engine_specify(const fq_engine *engine, const fq_plan *plan,
               const fq_subscribe_args *args, fq_field *spec,
               fq_gql_errors *errors)
{
    fq_str name = fq_plan_root_name(plan);
    const fq_field *declared = fq_map_get(&engine->fields, name);
    bool serves_all = engine->schema != NULL ? engine->serve_undeclared
                                             : engine->fields.n_items == 0;
    if (declared != NULL)
        *spec = *declared;
    else if (serves_all || args->has_override)
        *spec = (fq_field){.kind = FQ_FIELD_EVENT};
    else
        return ENGINE_REFUSE(errors, FQ_ERR_INVALID, "VALIDATION_ERROR",
                             "Cannot query field \"%.*s\" on type "
                             "\"Subscription\".",
                             FQ_STR_FMT(name));
    spec->name = name;
    if (args->has_override) {
        spec->kind = args->kind;
        spec->returns = args->returns;
        spec->token = args->token;
    }
    if (spec->kind == FQ_FIELD_SOURCE) {
        spec->n_channels = 0;
    } else if (args->has_override && args->channels != NULL) {
        spec->channels = args->channels;
        spec->n_channels = args->n_channels;
    } else if (spec->n_channels == 0) {
        spec->channels = &spec->name;
        spec->n_channels = 1;
    }
    if (spec->n_channels > FQ_FIELD_CHANNELS_MAX)
        return ENGINE_REFUSE(errors, FQ_ERR_LIMIT, "LIMIT_REACHED",
                             "A subscription can listen on at most %d "
                             "channels.",
                             FQ_FIELD_CHANNELS_MAX);
    return FQ_OK;
}

static bool
is_listed_before(const fq_str *channels, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (fq_str_eq(channels[j], channels[i]))
            return true;
    }
    return false;
}

/* Puts |sub| on every channel of |spec|, once. On failure those it is on are
 * in sub->listeners. */
static fq_status
engine_listen(fq_engine *engine, fq_sub *sub, const fq_field *spec)
{
    for (size_t i = 0; i < spec->n_channels; i++) {
        if (is_listed_before(spec->channels, i))
            continue;
        fq_status status = fq_channel_index_add(
            &engine->channels, spec->channels[i], sub,
            &sub->listeners[sub->n_listeners]);
        if (status != FQ_OK)
            return status;
        sub->n_listeners++;
    }
    return FQ_OK;
}

/* Frees what |sub| holds but for its place in registry and sink, and lets its
 * events go last: whoever waits for them may do anything. */
static void
engine_free_sub(fq_engine *engine, fq_sub *sub)
{
    for (size_t i = 0; i < sub->n_listeners; i++)
        fq_channel_index_remove(&engine->channels, &sub->listeners[i]);
    FQ_METRIC_SET(engine->metrics, channels_active,
                  fq_channel_index_n_channels(&engine->channels));
    fq_event_fifo pending = sub->pending;
    fq_event *called_for = sub->called_for;
    fq_binding_fini(&sub->binding);
    fq_rcbuf_unref(sub->operation_name);
    fq_free(sub);
    if (called_for != NULL)
        fq_event_unref(called_for);
    fq_event_fifo_fini(&pending);
}

/* Makes a subscription and enters it everywhere. |binding| is stolen on FQ_OK
 * only. */
static fq_status
engine_add_sub(fq_engine *engine, fq_sink *sink, const fq_subscribe_args *args,
               const fq_field *spec, fq_binding *binding, fq_sub **psub)
{
    *psub = NULL;
    fq_sub *sub = fq_alloc_zero(sizeof(*sub)
                                + spec->n_channels * sizeof(fq_listener));
    if (sub == NULL)
        return FQ_ERR_NOMEM;
    sub->listeners = (fq_listener *)(sub + 1);
    fq_event_fifo_init(&sub->pending);
    sub->since_seq = engine->dispatch.accepted_seq;
    sub->kind = spec->kind;
    sub->returns = spec->returns;
    sub->token = spec->token;
    sub->sink = sink;
    sub->handle = args->handle;
    sub->created_at_ns = args->now_ns;
    fq_status status = FQ_OK;
    if (args->operation_name.ptr != NULL)
        status = fq_rcbuf_new(args->operation_name, &sub->operation_name);
    if (status == FQ_OK)
        status = engine_listen(engine, sub, spec);
    if (status == FQ_OK)
        status = fq_registry_add(&engine->registry, sub, &sub->id);
    if (status != FQ_OK) {
        engine_free_sub(engine, sub);
        return status;
    }
    sub->binding = *binding;
    *binding = (fq_binding){0};
    fq_list_push_back(&sink->subs, &sub->sink_node);
    *psub = sub;
    return FQ_OK;
}

fq_status
fq_engine_plan(fq_engine *engine, const fq_subscribe_args *args,
               fq_plan **pplan, fq_gql_errors *errors)
{
    fq_plan_request request = {
        .schema = engine->schema,
        .query = args->query,
        .operation_name = args->operation_name,
        .label = args->operation_label,
    };
    fq_status status = fq_plan_cache_get(
        engine->plans, &request, &engine->limits.document, pplan, errors);
    FQ_METRIC_SET(engine->metrics, plans_cached,
                  fq_plan_cache_n_plans(engine->plans));
    if (status != FQ_OK)
        engine_count_refusal(engine, status, errors->limit, false);
    return status;
}

/* From the document to a subscription that hears events. */
static fq_status
engine_subscribe(fq_engine *engine, fq_sink *sink,
                 const fq_subscribe_args *args, fq_sub **psub,
                 fq_gql_errors *errors, bool *prequest_error)
{
    fq_binding binding = {0};
    fq_field spec = {0};
    fq_plan *plan = args->plan;
    fq_status status = FQ_OK;
    if (plan != NULL)
        fq_plan_ref(plan);
    else
        status = fq_engine_plan(engine, args, &plan, errors);
    if (status != FQ_OK)
        return status;
    fq_operation_type type = fq_plan_operation_type(plan);
    if (type != FQ_OPERATION_SUBSCRIPTION) {
        FQ_METRIC_ADD(engine->metrics, refused_unhandled, 1);
        status = engine_refuse_type(type, errors);
        goto out;
    }
    status = engine_specify(engine, plan, args, &spec, errors);
    if (status == FQ_OK) {
        status = fq_plan_bind(plan, args->variables, &binding, errors);
        *prequest_error = status == FQ_ERR_INVALID;
    }
    if (status == FQ_OK)
        status = engine_add_sub(engine, sink, args, &spec, &binding, psub);
    if (status != FQ_OK)
        engine_count_refusal(engine, status, FQ_LIMIT_NONE, *prequest_error);
out:
    fq_binding_fini(&binding);
    fq_plan_unref(plan);
    return status;
}

fq_status
fq_engine_subscribe(fq_engine *engine, fq_sink *sink,
                    const fq_subscribe_args *args, fq_sub **psub,
                    fq_gql_errors *errors, bool *prequest_error)
{
    *psub = NULL;
    *prequest_error = false;
    fq_status status = engine_subscribe(engine, sink, args, psub, errors,
                                        prequest_error);
    if (status != FQ_OK)
        return status;
    FQ_METRIC_ADD(engine->metrics, subscriptions_total, 1);
    FQ_METRIC_ADD(engine->metrics, subscriptions_active, 1);
    FQ_METRIC_SET(engine->metrics, channels_active,
                  fq_channel_index_n_channels(&engine->channels));
    fq_sub *sub = *psub;
    if (sub->kind == FQ_FIELD_SOURCE) {
        fq_sub_id id = sub->id;
        fq_caller_start(engine, sub);
        *psub = fq_registry_find(&engine->registry, id);
    }
    return FQ_OK;
}

void
fq_engine_unsubscribe(fq_engine *engine, fq_sub *sub)
{
    FQ_CHECK(fq_registry_find(&engine->registry, sub->id) == sub);
    fq_registry_remove(&engine->registry, sub->id);
    fq_list_remove(&sub->sink_node);
    FQ_METRIC_SUB(engine->metrics, subscriptions_active, 1);
    FQ_METRIC_ADD(engine->metrics, subscriptions_completed, 1);
    engine_free_sub(engine, sub);
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
fq_engine_resume(fq_engine *engine, fq_sub_id id)
{
    fq_caller_resume(engine, id);
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
    const fq_channel *found = fq_channel_index_find(&engine->channels,
                                                    channel);
    return found != NULL ? found->n_listeners : 0;
}

#ifndef NDEBUG
static void
engine_check_sub(const fq_engine *engine, const fq_sub *sub)
{
    FQ_CHECK(fq_registry_find(&engine->registry, sub->id) == sub);
    FQ_CHECK(sub->since_seq <= engine->dispatch.accepted_seq);
    FQ_CHECK(sub->binding.variant != NULL);
    FQ_CHECK(!fq_list_is_empty(&sub->sink_node));
    for (size_t i = 0; i < sub->n_listeners; i++) {
        FQ_CHECK(sub->listeners[i].sub == sub);
        FQ_CHECK(sub->listeners[i].channel != NULL);
    }
    fq_caller_check(sub);
}
#endif

void
fq_engine_check(const fq_engine *engine)
{
#ifndef NDEBUG
    fq_registry_check(&engine->registry);
    fq_channel_index_check(&engine->channels);
    size_t n_listening = 0;
    size_t iter = 0;
    const fq_sub *sub;
    while ((sub = fq_registry_next(&engine->registry, &iter)) != NULL) {
        engine_check_sub(engine, sub);
        n_listening += sub->n_listeners;
    }
    FQ_CHECK(n_listening == engine->channels.n_listeners);
    FQ_CHECK(!engine->dispatch.is_running);
    FQ_CHECK(engine->dispatch.event != NULL
             || engine->dispatch.n_variants == 0);
    FQ_CHECK(FQ_METRIC_GET(engine->metrics, subscriptions_active)
             == engine->registry.n_subs);
    FQ_CHECK(FQ_METRIC_GET(engine->metrics, channels_active)
             == fq_channel_index_n_channels(&engine->channels));
#else
    (void)engine;
#endif
}
