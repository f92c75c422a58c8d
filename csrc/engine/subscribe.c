/* SPDX-License-Identifier: MIT */
/* The life of a subscription: how one is made from a document, what it listens
 * on, how it ends. Thread: reactor.
 *
 * The steps, in order: the document becomes a plan, the plan's root field is
 * looked up (what is declared of it, or overridden), variables and arguments
 * are bound, the names of its channels filled in with them (listening.c), and
 * only then is anything entered into a table. Whatever refuses
 * a subscription does it before. */
#include <stddef.h>

#include "base/alloc.h"
#include "base/check.h"
#include "engine/caller.h"
#include "engine/engine.h"
#include "engine/internal.h"
#include "engine/listening.h"
#include "engine/queue.h"
#include "engine/renewal.h"
#include "engine/security/security.h"
#include "json/reader.h"

/* Adds an error to what the client is told. */
#define SUBSCRIBE_REFUSE(errors, status, code, ...)                           \
    (fq_gql_errors_add((errors), (code), __VA_ARGS__) != NULL ? (status)      \
                                                              : FQ_ERR_NOMEM)

/* Counts why an operation is refused; memory has no counter. */
static void
subscribe_count_refusal(fq_engine *engine, fq_status status,
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
    else if (status == FQ_ERR_FORBIDDEN)
        offset = offsetof(fq_metrics, refused_forbidden);
    else if (status == FQ_ERR_LOST)
        offset = offsetof(fq_metrics, refused_positions);
    else if (status != FQ_ERR_INVALID)
        return;
    else if (is_request_error)
        offset = offsetof(fq_metrics, refused_variables);
    else
        offset = offsetof(fq_metrics, refused_validation);
    fq_metrics_count_at(engine->metrics, offset);
}

static fq_status
subscribe_refuse_type(fq_operation_type type, fq_gql_errors *errors)
{
    return SUBSCRIBE_REFUSE(errors, FQ_ERR_INVALID, "VALIDATION_ERROR",
                            "Only subscriptions are served here, but the "
                            "operation is a %s.",
                            type == FQ_OPERATION_QUERY ? "query" : "mutation");
}

/* The reference's words for a field the schema does not have. */
static fq_status
subscribe_refuse_field(const fq_plan *plan, fq_gql_errors *errors)
{
    fq_gql_error *error = fq_gql_errors_add(
        errors, "VALIDATION_ERROR",
        "Cannot query field '%.*s' on type 'Subscription'.",
        FQ_STR_FMT(fq_plan_root_name(plan)));
    fq_gql_error_locate(errors, error, fq_plan_source(plan),
                        fq_plan_root_start(plan));
    return errors->status != FQ_OK ? errors->status : FQ_ERR_INVALID;
}

/* Works out what the subscription to |plan|'s root field is: as declared, as
 * |args| override it, or by default the event's data from the channel of the
 * field's name. spec->channels may point to spec->name. */
static fq_status
subscribe_specify(const fq_engine *engine, const fq_plan *plan,
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
        return subscribe_refuse_field(plan, errors);
    spec->name = name;
    if (args->has_override) {
        spec->kind = args->kind;
        spec->returns = args->returns;
        spec->token = args->token;
        spec->initial_token = 0;
        spec->is_shared = false;
    }
    if (args->is_polled && spec->overflow == FQ_OVERFLOW_DISCONNECT)
        spec->overflow = FQ_OVERFLOW_DROP_OLDEST;
    if (spec->kind == FQ_FIELD_SOURCE) {
        spec->n_channels = 0;
        spec->templates = NULL;
    } else if (args->has_override && args->channels != NULL) {
        spec->channels = args->channels;
        spec->n_channels = args->n_channels;
        spec->templates = NULL;
    } else if (spec->n_channels == 0) {
        spec->channels = &spec->name;
        spec->n_channels = 1;
    }
    if (spec->n_channels > FQ_FIELD_CHANNELS_MAX)
        return SUBSCRIBE_REFUSE(errors, FQ_ERR_LIMIT, "LIMIT_REACHED",
                                "A subscription can listen on at most %d "
                                "channels.",
                                FQ_FIELD_CHANNELS_MAX);
    return FQ_OK;
}

/* What was worked out of a request that is let in, on its way into the
 * subscription. */
typedef struct fq_admission {
    fq_binding binding;
    fq_sub_security security;
    fq_sub_filter filter;
} fq_admission;

static void
admission_fini(fq_admission *admission)
{
    fq_binding_fini(&admission->binding);
    fq_sub_security_fini(&admission->security);
    fq_sub_filter_fini(&admission->filter);
}

/* Frees what |sub| holds but for its place in registry and sink, and lets its
 * events go last: whoever waits for them may do anything. */
static void
subscribe_free(fq_engine *engine, fq_sub *sub)
{
    fq_listening_leave(engine, sub);
    FQ_METRIC_SET(engine->metrics, channels_active,
                  fq_predicate_index_n_channels(&engine->predicates));
    fq_waiting pending = sub->pending;
    sub->sink->n_waiting -= pending.n_items;
    sub->sink->n_waiting_bytes -= pending.n_bytes;
    fq_event *called_for = sub->called_for;
    fq_event_fifo ahead = sub->ahead;
    fq_shared *shared = sub->shared;
    fq_replay_free(engine, sub);
    fq_start_free(sub->start);
    fq_binding_fini(&sub->binding);
    fq_sub_filter_fini(&sub->filter);
    fq_rcbuf_unref(sub->operation_name);
    fq_rcbuf_unref(sub->conflate_path);
    fq_rcbuf_unref(sub->next_key);
    fq_rcbuf_unref(sub->next_position);
    fq_security_context_unref(sub->context);
    fq_sub_security_fini(&sub->security);
    fq_user_table_leave(&engine->users, sub->user, FQ_USER_SUBS);
    fq_free(sub);
    if (called_for != NULL)
        fq_event_unref(called_for);
    fq_event_fifo_fini(&ahead);
    fq_waiting_fini(&pending);
    if (shared != NULL)
        fq_shared_leave(engine, shared);
}

/* Counts one more subscription of the user of |args|, if there may be one;
 * *puser is NULL for nobody in particular. */
static fq_status
subscribe_enter_user(fq_engine *engine, const fq_subscribe_args *args,
                     fq_user **puser, fq_gql_errors *errors)
{
    size_t max = args->is_client ? engine->limits.max_subs_per_user : 0;
    fq_status status = fq_user_table_enter(&engine->users, args->context,
                                           FQ_USER_SUBS, max, puser);
    if (status != FQ_ERR_LIMIT)
        return status;
    FQ_METRIC_ADD(engine->metrics, refused_user_subscriptions, 1);
    return SUBSCRIBE_REFUSE(errors, FQ_ERR_LIMIT, "LIMIT_REACHED",
                            "A user may hold %zu subscriptions; complete one "
                            "first.",
                            max);
}

/* Whether |spec| can be resumed from the position of |args|, if it has one. */
static fq_status
subscribe_check_position(const fq_engine *engine,
                         const fq_subscribe_args *args, const fq_field *spec,
                         fq_gql_errors *errors)
{
    fq_bus *bus = engine->replays.bus;
    if (args->after.ptr == NULL)
        return FQ_OK;
    if (spec->kind == FQ_FIELD_SOURCE)
        return SUBSCRIBE_REFUSE(errors, FQ_ERR_LOST, "POSITION_LOST",
                                "This field has no positions; subscribe "
                                "without one.");
    if (bus != NULL && args->after.len <= FQ_BUS_POSITION_MAX
        && bus->ops->is_position(bus, args->after))
        return FQ_OK;
    return SUBSCRIBE_REFUSE(errors, FQ_ERR_LOST, "POSITION_LOST",
                            "This position is not known, or no longer; "
                            "subscribe without it.");
}

static fq_status
subscribe_catch_up(fq_engine *engine, fq_sub *sub, fq_str text)
{
    fq_rcbuf *after;
    fq_status status = fq_rcbuf_new(text, &after);
    if (status == FQ_OK)
        status = fq_replay_begin(engine, sub, after);
    fq_rcbuf_unref(after);
    return status;
}

/* |sub| will begin with an initial value. */
static fq_status
subscribe_start(fq_engine *engine, fq_sub *sub, uint64_t token)
{
    fq_bus *bus = engine->replays.bus;
    fq_status status = fq_start_new(token, &sub->start);
    if (status != FQ_OK || sub->position_as == 0)
        return status;
    status = bus->ops->position(bus, &sub->start->position);
    return status == FQ_ERR_NOMEM ? status : FQ_OK;
}

/* Makes a subscription and enters it everywhere. |into| is emptied on FQ_OK
 * only, |user| stolen in any case. */
static fq_status
subscribe_add(fq_engine *engine, fq_sink *sink, const fq_subscribe_args *args,
              const fq_field *spec, const fq_listening *listening,
              fq_user *user, fq_admission *into, fq_sub **psub)
{
    *psub = NULL;
    fq_sub *sub = fq_alloc_zero(
        sizeof(*sub) + listening->n_listeners * sizeof(fq_listener));
    if (sub == NULL) {
        fq_user_table_leave(&engine->users, user, FQ_USER_SUBS);
        return FQ_ERR_NOMEM;
    }
    sub->user = user;
    sub->listeners = (fq_listener *)(sub + 1);
    fq_waiting_init(&sub->pending);
    fq_event_fifo_init(&sub->ahead);
    sub->since_seq = engine->dispatch.accepted_seq;
    sub->kind = spec->kind;
    sub->returns = spec->returns;
    sub->token = spec->token;
    sub->overflow = spec->overflow;
    if (spec->conflate_path != NULL)
        sub->conflate_path = fq_rcbuf_ref(spec->conflate_path);
    sub->sink = sink;
    sub->handle = args->handle;
    sub->created_at_ns = args->now_ns;
    if (args->context != NULL)
        sub->context = fq_security_context_ref(args->context);
    fq_status status = FQ_OK;
    if (args->operation_name.ptr != NULL)
        status = fq_rcbuf_new(args->operation_name, &sub->operation_name);
    if (status == FQ_OK)
        status = fq_listening_enter(listening, engine, sub);
    bool has_positions = engine->replays.bus != NULL
                         && sub->kind != FQ_FIELD_SOURCE;
    if (has_positions)
        sub->position_as = args->position_as;
    sub->ends_at_gap = args->is_client
                       && (sub->position_as & FQ_POSITION_EXTENSION) != 0;
    sub->is_marked = sub->position_as != 0 || sub->conflate_path != NULL;
    if (status == FQ_OK && args->after.ptr != NULL)
        status = subscribe_catch_up(engine, sub, args->after);
    else if (status == FQ_OK && spec->initial_token != 0)
        status = subscribe_start(engine, sub, spec->initial_token);
    if (status == FQ_OK && spec->is_shared && sink->route != NULL)
        status = fq_shared_join(engine, sub, &into->binding);
    if (status == FQ_OK)
        status = fq_registry_add(&engine->registry, sub, &sub->id);
    if (status != FQ_OK) {
        subscribe_free(engine, sub);
        return status;
    }
    sub->binding = into->binding;
    sub->filter = into->filter;
    sub->security = into->security;
    *into = (fq_admission){0};
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
    FQ_METRIC_SET(engine->metrics, plans_bytes,
                  fq_plan_cache_n_bytes(engine->plans));
    if (status != FQ_OK)
        subscribe_count_refusal(engine, status, errors->limit, false);
    return status;
}

static fq_status
subscribe_find_listening(fq_engine *engine, const fq_subscribe_args *args,
                         const fq_field *spec, const fq_admission *admission,
                         fq_listening *listening, fq_gql_errors *errors)
{
    fq_listening_request request = {
        .plan = fq_plan_variant_plan(admission->binding.variant),
        .spec = spec,
        .binding = &admission->binding,
        .context = args->context,
        .filters = {admission->filter.where, admission->filter.client},
    };
    return fq_listening_init(listening, engine, &request, errors);
}

/* Judges and binds: what is hidden is no part of the variant, and only values
 * that were coerced can be judged. */
static fq_status
subscribe_authorise(const fq_security_request *request, fq_admission *into,
                    fq_gql_errors *errors, bool *prequest_error)
{
    const fq_field_mask *hidden;
    fq_status status = fq_security_admit(request, &hidden, errors);
    if (status != FQ_OK)
        return status;
    /* A mask that hides nothing of the plan would only keep it from being
     * shared. */
    fq_plan_selection selection;
    bool is_masked = fq_plan_selects(request->plan, hidden, &selection);
    status = fq_plan_bind(request->plan, request->variables,
                          is_masked ? hidden : NULL, &into->binding, errors);
    fq_field_mask_unref(hidden);
    *prequest_error = status == FQ_ERR_INVALID;
    if (status == FQ_OK)
        status = fq_security_bind(request, &into->binding, &into->security,
                                  errors);
    if (status == FQ_OK && is_masked)
        FQ_METRIC_ADD(request->metrics, security_rbac_masked, 1);
    return status;
}

static fq_status
subscribe_find_filter(fq_engine *engine, const fq_subscribe_args *args,
                      const fq_field *spec, const fq_binding *binding,
                      fq_sub_filter *filter, fq_gql_errors *errors)
{
    fq_sub_filter_request request = {
        .field = spec,
        .binding = binding,
        .context = args->context,
        .schema = engine->schema,
        .policy = engine->policy,
    };
    return fq_sub_filter_init(filter, &request, errors);
}

/* Whether and how |args| are let in to |plan|, and where they listen then.
 * *spec gets what their root field is. */
static fq_status
subscribe_admit(fq_engine *engine, fq_plan *plan,
                const fq_subscribe_args *args, fq_field *spec,
                fq_admission *into, fq_listening *listening,
                fq_gql_errors *errors, bool *prequest_error)
{
    fq_status status = subscribe_specify(engine, plan, args, spec, errors);
    if (status != FQ_OK)
        return status;
    fq_security_request request = {
        .policy = engine->policy,
        .plan = plan,
        .context = args->context,
        .variables = args->variables,
        .is_public = spec->is_public,
        .now_ns = args->now_ns,
        .wall_ns = args->wall_ns,
        .metrics = engine->metrics,
    };
    status = subscribe_authorise(&request, into, errors, prequest_error);
    if (status == FQ_OK) {
        status = subscribe_find_filter(engine, args, spec, &into->binding,
                                       &into->filter, errors);
        *prequest_error = status == FQ_ERR_INVALID;
    }
    if (status == FQ_OK)
        status = subscribe_find_listening(engine, args, spec, into, listening,
                                          errors);
    return status;
}

/* From the document to a subscription that hears events. */
static fq_status
subscribe_run(fq_engine *engine, fq_sink *sink, const fq_subscribe_args *args,
              fq_sub **psub, fq_gql_errors *errors, bool *prequest_error)
{
    fq_admission admission = {0};
    fq_listening listening = {.n_names = 0};
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
        status = subscribe_refuse_type(type, errors);
        goto out;
    }
    status = subscribe_admit(engine, plan, args, &spec, &admission, &listening,
                             errors, prequest_error);
    if (status != FQ_OK) {
        subscribe_count_refusal(engine, status, FQ_LIMIT_NONE,
                                *prequest_error);
        goto out;
    }
    status = subscribe_check_position(engine, args, &spec, errors);
    if (status != FQ_OK) {
        subscribe_count_refusal(engine, status, FQ_LIMIT_NONE, false);
        goto out;
    }
    fq_user *user;
    status = subscribe_enter_user(engine, args, &user, errors);
    if (status == FQ_OK)
        status = subscribe_add(engine, sink, args, &spec, &listening, user,
                               &admission, psub);
out:
    admission_fini(&admission);
    fq_listening_fini(&listening);
    fq_plan_unref(plan);
    return status;
}

static size_t
rcbuf_n_bytes(const fq_rcbuf *rcbuf)
{
    return rcbuf != NULL ? sizeof(*rcbuf) + rcbuf->len : 0;
}

/* What the engine keeps for |sub|; the plan is counted with the others, the
 * security context is its connection's. */
static size_t
subscribe_n_bytes(const fq_sub *sub)
{
    return sizeof(*sub) + sub->n_listeners * sizeof(fq_listener)
           + sizeof(fq_registry_slot) + rcbuf_n_bytes(sub->operation_name)
           + rcbuf_n_bytes(sub->binding.variables)
           + rcbuf_n_bytes(sub->binding.args)
           + fq_sub_filter_n_bytes(&sub->filter)
           + (sub->security.row != NULL
                  ? fq_filter_bound_n_bytes(sub->security.row)
                  : 0);
}

fq_status
fq_engine_subscribe(fq_engine *engine, fq_sink *sink,
                    const fq_subscribe_args *args, fq_sub **psub,
                    fq_gql_errors *errors, bool *prequest_error)
{
    *psub = NULL;
    *prequest_error = false;
    fq_status status = subscribe_run(engine, sink, args, psub, errors,
                                     prequest_error);
    if (status != FQ_OK)
        return status;
    FQ_METRIC_ADD(engine->metrics, subscriptions_total, 1);
    FQ_METRIC_ADD(engine->metrics, subscriptions_active, 1);
    FQ_METRIC_SET(engine->metrics, channels_active,
                  fq_predicate_index_n_channels(&engine->predicates));
    fq_sub *sub = *psub;
    fq_engine_hold_bytes(engine, sub, subscribe_n_bytes(sub));
    if (sub->kind == FQ_FIELD_SOURCE || sub->start != NULL) {
        fq_sub_id id = sub->id;
        fq_caller_start(engine, sub);
        *psub = fq_registry_find(&engine->registry, id);
    }
    return FQ_OK;
}

void
fq_engine_hold_bytes(fq_engine *engine, fq_sub *sub, size_t n_bytes)
{
    sub->n_bytes += n_bytes;
    FQ_METRIC_ADD(engine->metrics, subscriptions_bytes, n_bytes);
}

/* Puts |sub| where |listening| says and |from| into it. */
static fq_status
renew_take(fq_engine *engine, fq_sub *sub, fq_admission *from,
           const fq_listening *listening, fq_security_context *context)
{
    size_t n_bytes = subscribe_n_bytes(sub);
    fq_status status = fq_listening_move(listening, engine, sub);
    if (status != FQ_OK)
        return status;
    fq_security_context *before = sub->context;
    sub->context = context;
    status = fq_shared_rejoin(engine, sub, &from->binding);
    if (status != FQ_OK) {
        sub->context = before;
        return status;
    }
    fq_security_context_ref(context);
    /* Not over the cap: it was let in. Without memory it stays the old one's,
     * where it does no harm. */
    (void)fq_user_table_move(&engine->users, context, FQ_USER_SUBS, 0,
                             &sub->user);
    fq_admission old = {
        .binding = sub->binding,
        .security = sub->security,
        .filter = sub->filter,
    };
    sub->binding = from->binding;
    sub->security = from->security;
    sub->filter = from->filter;
    *from = old;
    fq_renewal_mark(engine, sub, before);
    fq_security_context_unref(before);
    /* It may be less, and the sum is right even so. */
    fq_engine_hold_bytes(engine, sub, subscribe_n_bytes(sub) - n_bytes);
    FQ_METRIC_SET(engine->metrics, channels_active,
                  fq_predicate_index_n_channels(&engine->predicates));
    return FQ_OK;
}

fq_status
fq_engine_renew(fq_engine *engine, fq_sub *sub, fq_security_context *context,
                uint64_t now_ns, uint64_t wall_ns, fq_gql_errors *errors)
{
    yyjson_doc *variables;
    fq_status status = fq_json_read(fq_rcbuf_str(sub->binding.variables),
                                    FQ_JSON_LONE_SURROGATES, &variables, NULL);
    if (status != FQ_OK)
        return status;
    fq_subscribe_args args = {
        .variables = yyjson_doc_get_root(variables),
        .context = context,
        .now_ns = now_ns,
        .wall_ns = wall_ns,
    };
    fq_admission admission = {0};
    fq_listening listening = {.n_names = 0};
    fq_field spec = {0};
    bool is_request_error;
    status = subscribe_admit(
        engine, fq_plan_variant_plan(sub->binding.variant), &args, &spec,
        &admission, &listening, errors, &is_request_error);
    if (status == FQ_OK)
        status = renew_take(engine, sub, &admission, &listening, context);
    fq_json_free(variables);
    fq_listening_fini(&listening);
    admission_fini(&admission);
    return status;
}

void
fq_engine_unsubscribe(fq_engine *engine, fq_sub *sub, fq_end_reason reason)
{
    FQ_CHECK(fq_registry_find(&engine->registry, sub->id) == sub);
    fq_registry_remove(&engine->registry, sub->id);
    fq_list_remove(&sub->sink_node);
    FQ_METRIC_SUB(engine->metrics, subscriptions_active, 1);
    FQ_METRIC_ADD(engine->metrics, subscriptions_completed, 1);
    FQ_METRIC_SUB(engine->metrics, subscriptions_bytes, sub->n_bytes);
    fq_metrics_count_end(engine->metrics, reason);
    subscribe_free(engine, sub);
}
