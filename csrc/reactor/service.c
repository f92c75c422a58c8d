/* SPDX-License-Identifier: MIT */
/* Services: the doors any thread may use, and what they come to on the
 * reactor. Closing is one function, end_service, read from top to bottom. */
#include "reactor/service.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "json/reader.h"
#include "reactor/service_state.h"
#include "reactor/shared_call.h"

static const fq_str text_anonymous = FQ_STR("anonymous");

const fq_limits fq_limits_default = {
    .queue_max_items = 16384,
    .queue_max_bytes = 4u << 20,
    .message_max_bytes = 1u << 20,
    .event_max_bytes = 16u << 20,
    .admission =
        {
            .max_connections = 65536,
            .max_connections_per_address = 4096,
            .handshakes_per_s = 20000,
            .handshakes_per_s_per_address = 1000,
        },
    .max_connections_per_user = 100,
    .max_subscriptions_per_connection = 100,
    .messages_per_s = 100,
    .messages_burst = 200,
    .memory_limit = 0,
    .init_timeout_ns = 5ull * FQ_NS_PER_S,
    .keep_alive_ns = 12ull * FQ_NS_PER_S,
    .keep_alive_timeout_ns = 20ull * FQ_NS_PER_S,
    .engine =
        {
            .document =
                {
                    .max_bytes = 64u << 10,
                    .max_tokens = 5000,
                    .max_depth = 15,
                    .max_fields = 500,
                    .max_aliases = 100,
                    .max_directives = 20,
                },
            .max_plans = 1024,
            .max_plan_bytes = 32u << 20,
            .max_pending = 16384,
            .max_events_waiting = FQ_PUBLISHER_EVENTS_MAX,
            .events_per_s_per_subscription = 0,
            .events_per_s_per_user = 0,
            .max_subs_per_user = 1000,
        },
};

static const fq_auth_settings auth_default = {
    .timeout_ns = 10ull * FQ_NS_PER_S,
    .expiry_code = 4403,
};

/* A message with a receipt: what to do is in run(), for whom in service. */
typedef struct service_job {
    fq_job job;
    fq_service *service; /* one reference */
    fq_ticket *done;     /* one reference, or NULL */
    union {
        fq_field *field; /* add */
        struct {
            fq_schema *schema; /* one reference, or NULL */
            bool serve_undeclared;
        } schema;           /* set */
        yyjson_doc *policy; /* its text: policy */
        fq_rcbuf *channel;  /* count */
        fq_close close;     /* close */
    } u;
} service_job;

/* ── dispatch ── */

/* The event that came last has met everybody. One clock is read for it, as a
 * second one per delivery would cost more than a delivery does. */
static void
note_dispatched(fq_service *service)
{
    fq_histogram_add(&service->metrics.dispatch_seconds,
                     fq_clock_now_ns() - service->event_came_ns);
}

static void
on_event(fq_bus_listener *listener, fq_event *event)
{
    fq_service *service = FQ_CONTAINER_OF(listener, fq_service, listener);
    if (event->is_reserved && event->is_unreadable) {
        fq_control_note_gap(service);
        return;
    }
    if (event->is_reserved) {
        fq_control_take(service, event);
        return;
    }
    if (!event->is_unreadable)
        FQ_METRIC_ADD(&service->metrics, events_received, 1);
    service->event_came_ns = fq_clock_now_ns();
    bool has_more = fq_engine_dispatch(service->engine, event,
                                       service->event_came_ns);
    if (!has_more)
        note_dispatched(service);
    if (!has_more || service->is_running || service->is_closed)
        return;
    service->is_running = true;
    fq_publisher_hold(service->publisher);
    fq_service_ref(service);
    if (fq_reactor_post(service->reactor, &service->run_job) != FQ_OK)
        service->run_job.run(&service->run_job);
}

/* The next slice of an event that matched more than one slice holds; between
 * two of them everybody else's jobs get their turn. */
static void
run_slice(fq_job *job)
{
    fq_service *service = FQ_CONTAINER_OF(job, fq_service, run_job);
    while (!service->is_closed
           && fq_engine_run(service->engine, fq_clock_now_ns())) {
        if (fq_reactor_post(service->reactor, job) == FQ_OK)
            return;
    }
    if (service->is_running) {
        note_dispatched(service);
        service->is_running = false;
        fq_publisher_resume(service->publisher);
    }
    fq_service_unref(service);
}

/* ── what clients missed ── */

/* Asked for by the engine; one that cannot be posted is not needed any more,
 * as the reactor has stopped. */
static void
wake_replay(void *ctx)
{
    fq_service *service = ctx;
    fq_service_ref(service);
    if (fq_reactor_post(service->reactor, &service->replay_job) != FQ_OK)
        fq_service_unref(service);
}

/* Unlike the slices of a live event these hold nobody up: publishers go on,
 * and what they publish is met between two of them. */
static void
run_replay(fq_job *job)
{
    fq_service *service = FQ_CONTAINER_OF(job, fq_service, replay_job);
    if (!service->is_closed
        && fq_engine_replay(service->engine, fq_clock_now_ns())
        && fq_reactor_post(service->reactor, job) == FQ_OK)
        return;
    fq_service_unref(service);
}

void
fq_service_add_client(fq_service *service, fq_service_client *client)
{
    fq_list_push_back(&service->clients, &client->node);
    fq_control_note_client(service);
}

fq_service_client *
fq_service_next_client(fq_service *service, fq_service_client *place)
{
    fq_list *next = place->node.next;
    if (next == &service->clients)
        return NULL;
    fq_list_remove(&place->node);
    fq_list_push_back(next->next, &place->node);
    return FQ_CONTAINER_OF(next, fq_service_client, node);
}

fq_status
fq_service_admit_memory(fq_service *service, fq_gql_errors *errors)
{
    if (fq_memory_guard_allows(&service->memory, fq_clock_now_ns()))
        return FQ_OK;
    FQ_METRIC_ADD(&service->metrics, refused_memory, 1);
    fq_gql_errors_add(errors, "LIMIT_REACHED",
                      "The server is short of memory; try again later.");
    return FQ_ERR_LIMIT;
}

/* ── life ── */

static void
run_open(fq_job *job)
{
    fq_service *service = FQ_CONTAINER_OF(job, fq_service, open_job);
    fq_deadlines_open(&service->deadlines, fq_reactor_loop(service->reactor));
    fq_service_ref(service); /* until the deadlines are closed */
    fq_bus *bus = fq_publisher_bus(service->publisher);
    fq_bus_listen(bus, &service->listener);
    fq_bus_watch(bus, &service->outage.watcher);
    fq_control_begin(service);
    fq_service_unref(service);
}

/* All but the engine. */
static void
free_service(fq_service *service)
{
    fq_persisted_free(service->persisted);
    fq_security_context_unref(service->anonymous);
    fq_control_fini(&service->control);
    fq_orders_fini(&service->orders);
    fq_backlog_unref(service->backlog);
    fq_publisher_unref(service->publisher);
    fq_reactor_unref(service->reactor);
    fq_admission_fini(&service->admission);
    fq_free(service);
}

fq_status
fq_service_new(fq_reactor *reactor, fq_publisher *publisher,
               const fq_limits *limits, bool has_init_hook,
               fq_service **pservice)
{
    *pservice = NULL;
    fq_service *service = fq_alloc_zero(sizeof(*service));
    if (service == NULL)
        return FQ_ERR_NOMEM;
    fq_status status = fq_admission_init(
        &service->admission, &limits->admission, &service->metrics);
    if (status != FQ_OK) {
        fq_free(service);
        return status;
    }
    const fq_security_context_args anonymous = {.user_id = text_anonymous};
    status = fq_security_context_new(&anonymous, &service->anonymous);
    fq_outage_init(&service->outage);
    if (status == FQ_OK)
        status = fq_control_init(&service->control);
    if (status == FQ_OK)
        status = fq_backlog_new(&service->backlog);
    /* What waits for resolvers is bounded as what waits for the client. */
    fq_engine_limits engine_limits = limits->engine;
    engine_limits.max_pending_bytes = limits->queue_max_bytes;
    if (status == FQ_OK)
        status = fq_engine_new(&engine_limits, &service->metrics,
                               &service->engine);
    if (status != FQ_OK)
        goto fail;
    atomic_init(&service->n_refs, 2);
    service->reactor = fq_reactor_ref(reactor);
    service->publisher = fq_publisher_ref(publisher);
    service->limits = *limits;
    atomic_init(&service->n_sessions, 0);
    fq_memory_guard_init(&service->memory, limits->memory_limit);
    service->auth = auth_default;
    service->has_init_hook = has_init_hook;
    fq_engine_set_shared(service->engine, &fq_shared_call_ops, service);
    if (fq_publisher_bus(publisher)->ops->read != NULL)
        fq_engine_set_bus(service->engine, fq_publisher_bus(publisher),
                          wake_replay, service);
    service->listener.event_cb = on_event;
    fq_list_init(&service->listener.node);
    fq_list_init(&service->clients);
    fq_drain_init(service);
    fq_lockdown_init(service);
    service->open_job.run = run_open;
    service->run_job.run = run_slice;
    service->replay_job.run = run_replay;
    status = fq_reactor_post(reactor, &service->open_job);
    if (status != FQ_OK)
        goto fail;
    *pservice = service;
    return FQ_OK;

fail:
    if (service->engine != NULL)
        fq_engine_free(service->engine);
    free_service(service);
    return status;
}

fq_service *
fq_service_ref(fq_service *service)
{
    atomic_fetch_add_explicit(&service->n_refs, 1, memory_order_relaxed);
    return service;
}

void
fq_service_unref(fq_service *service)
{
    if (service == NULL)
        return;
    /* acq_rel: the last one sees what every other reference did. */
    if (atomic_fetch_sub_explicit(&service->n_refs, 1, memory_order_acq_rel)
        != 1)
        return;
    FQ_CHECK(service->is_closed || fq_reactor_is_forked(service->reactor));
    free_service(service);
}

void
fq_service_set_execute(fq_service *service, uint64_t token)
{
    service->execute_token = token;
}

void
fq_service_set_auth(fq_service *service, const fq_auth_settings *auth)
{
    service->auth = *auth;
    if (auth->token != 0)
        service->has_init_hook = true;
}

void
fq_service_set_hooks(fq_service *service, uint64_t subscribe_token)
{
    service->has_init_hook = true;
    service->subscribe_token = subscribe_token;
}

void
fq_service_set_introspect(fq_service *service, fq_introspect introspect,
                          uint64_t token)
{
    service->introspect = introspect;
    service->introspect_token = token;
}

void
fq_service_steal_persisted(fq_service *service, fq_persisted *persisted)
{
    FQ_CHECK(service->persisted == NULL);
    service->persisted = persisted;
}

static void
on_deadlines_closed(fq_deadlines *deadlines)
{
    fq_service_unref(FQ_CONTAINER_OF(deadlines, fq_service, deadlines));
}

/* Refuse, leave the bus, end the clients, free the engine, let go. */
static void
end_service(fq_service *service, uint16_t code, fq_str reason)
{
    if (service->is_closed)
        return;
    service->is_closed = true;
    fq_deadlines_close(&service->deadlines, on_deadlines_closed);
    fq_bus_unlisten(&service->listener);
    fq_drain_end(service);
    fq_list *node;
    while ((node = fq_list_pop_front(&service->clients)) != NULL) {
        fq_service_client *client = FQ_CONTAINER_OF(node, fq_service_client,
                                                    node);
        if (client->end != NULL)
            client->end(client, code, reason, FQ_END_SHUTDOWN);
    }
    fq_engine_free(service->engine);
    service->engine = NULL;
    fq_control_end(service);
    if (service->is_running) {
        service->is_running = false;
        fq_publisher_resume(service->publisher);
    }
    fq_outage_end(service);
}

/* ── doors ── */

/* Posts |template| with references taken; on failure |u| stays the caller's. */
static fq_status
post_service_job(const service_job *template)
{
    service_job *self = fq_alloc(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    *self = *template;
    fq_service_ref(self->service);
    if (self->done != NULL)
        fq_ticket_ref(self->done);
    fq_status status = fq_reactor_post(self->service->reactor, &self->job);
    if (status != FQ_OK) {
        fq_ticket_unref(self->done);
        fq_service_unref(self->service);
        fq_free(self);
    }
    return status;
}

static void
finish_service_job(service_job *self, fq_status status, fq_rcbuf *text)
{
    if (self->done != NULL)
        fq_ticket_complete(self->done, status, text);
    else
        fq_rcbuf_unref(text);
    fq_ticket_unref(self->done);
    fq_service_unref(self->service);
    fq_free(self);
}

static void
run_close(fq_job *job)
{
    service_job *self = FQ_CONTAINER_OF(job, service_job, job);
    const fq_close *close = &self->u.close;
    end_service(self->service, close->code,
                fq_str_make(close->reason, close->reason_len));
    finish_service_job(self, FQ_OK, NULL);
}

fq_status
fq_service_close(fq_service *service, uint16_t code, fq_str reason,
                 fq_ticket *done)
{
    FQ_CHECK(reason.len <= FQ_CLOSE_REASON_MAX);
    service_job job = {.job.run = run_close, .service = service, .done = done};
    job.u.close.code = code;
    job.u.close.reason_len = (uint8_t)reason.len;
    if (reason.len > 0)
        memcpy(job.u.close.reason, reason.ptr, reason.len);
    return post_service_job(&job);
}

static void
run_field_add(fq_job *job)
{
    service_job *self = FQ_CONTAINER_OF(job, service_job, job);
    fq_status status = FQ_ERR_CLOSED;
    if (!self->service->is_closed)
        status = fq_engine_field_add(self->service->engine, self->u.field);
    fq_field_free(self->u.field);
    finish_service_job(self, status, NULL);
}

fq_status
fq_service_field_add(fq_service *service, const fq_field *field,
                     fq_ticket *done)
{
    service_job job = {
        .job.run = run_field_add, .service = service, .done = done};
    fq_status status = fq_field_new(field, &job.u.field);
    if (status != FQ_OK)
        return status;
    status = post_service_job(&job);
    if (status != FQ_OK)
        fq_field_free(job.u.field);
    return status;
}

static void
run_schema(fq_job *job)
{
    service_job *self = FQ_CONTAINER_OF(job, service_job, job);
    fq_status status = FQ_OK;
    if (!self->service->is_closed)
        status = fq_engine_steal_schema(self->service->engine,
                                        self->u.schema.schema,
                                        self->u.schema.serve_undeclared, NULL);
    else
        fq_schema_unref(self->u.schema.schema);
    finish_service_job(self, status, NULL);
}

static void
run_policy(fq_job *job)
{
    service_job *self = FQ_CONTAINER_OF(job, service_job, job);
    fq_status status = FQ_ERR_CLOSED;
    if (!self->service->is_closed)
        status = fq_engine_steal_policy(self->service->engine, self->u.policy,
                                        NULL);
    else
        fq_json_free(self->u.policy);
    finish_service_job(self, status, NULL);
}

fq_status
fq_service_steal_policy(fq_service *service, yyjson_doc *text, fq_ticket *done)
{
    service_job job = {
        .job.run = run_policy, .service = service, .done = done};
    job.u.policy = text;
    fq_status status = post_service_job(&job);
    if (status != FQ_OK)
        fq_json_free(text);
    return status;
}

fq_status
fq_service_steal_schema(fq_service *service, fq_schema *schema,
                        bool serve_undeclared)
{
    service_job job = {.job.run = run_schema, .service = service};
    job.u.schema.schema = schema;
    job.u.schema.serve_undeclared = serve_undeclared;
    fq_status status = post_service_job(&job);
    if (status != FQ_OK)
        fq_schema_unref(schema);
    return status;
}

static void
run_count(fq_job *job)
{
    service_job *self = FQ_CONTAINER_OF(job, service_job, job);
    size_t n = 0;
    if (!self->service->is_closed)
        n = fq_engine_n_listening(self->service->engine,
                                  fq_rcbuf_str(self->u.channel));
    fq_rcbuf_unref(self->u.channel);
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%zu", n);
    fq_rcbuf *text;
    fq_status status = fq_rcbuf_new(fq_str_make(digits, (size_t)len), &text);
    finish_service_job(self, status, text);
}

fq_status
fq_service_count(fq_service *service, fq_str channel, fq_ticket *done)
{
    service_job job = {.job.run = run_count, .service = service, .done = done};
    fq_status status = fq_rcbuf_new(channel, &job.u.channel);
    if (status != FQ_OK)
        return status;
    status = post_service_job(&job);
    if (status != FQ_OK)
        fq_rcbuf_unref(job.u.channel);
    return status;
}

void
fq_service_set_owner(fq_service *service, void *owner)
{
    service->owner = owner;
}

void *
fq_service_owner(const fq_service *service)
{
    return service->owner;
}

const fq_metrics *
fq_service_metrics(const fq_service *service)
{
    return &service->metrics;
}

void
fq_service_n_queued(const fq_service *service, uint64_t *pn_items,
                    uint64_t *pn_bytes)
{
    fq_backlog_read(service->backlog, pn_items, pn_bytes);
}

fq_admission *
fq_service_admission(fq_service *service)
{
    return &service->admission;
}

void
fq_service_count_origin(fq_service *service)
{
    FQ_METRIC_ADD(&service->metrics, refused_origins, 1);
}

const fq_limits *
fq_service_limits(const fq_service *service)
{
    return &service->limits;
}

fq_reactor *
fq_service_reactor(const fq_service *service)
{
    return service->reactor;
}

fq_publisher *
fq_service_publisher(const fq_service *service)
{
    return service->publisher;
}
