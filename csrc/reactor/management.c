/* SPDX-License-Identifier: MIT */
/* Walks. Each is one job that posts itself again until it has seen all; the
 * place of a walk over clients is a node of its own in their list, that of one
 * over subscriptions the number of a slot. */
#include "reactor/management.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/channel_index.h"
#include "json/reader.h"
#include "json/utf8.h"
#include "json/writer.h"
#include "reactor/service_state.h"

/* Looked at before everybody else gets a turn: 20 to 200 us. */
#define SLICE 512

static const fq_str forbidden = FQ_STR(
    "[{\"message\":\"The subscription is no longer allowed.\","
    "\"extensions\":{\"code\":\"FORBIDDEN\"}}]");

typedef struct walk {
    fq_job job;
    fq_service *service;      /* one reference */
    fq_ticket *done;          /* one reference, or NULL */
    fq_management_cb done_cb; /* or NULL */
    void *arg;                /* of done_cb */
    bool is_holding;          /* the publisher, until it ends */
    fq_live_query query;
    fq_rcbuf *texts; /* what the query points into */
    size_t n_found;
    size_t iter; /* list, invalidate: as fq_engine_next_sub has it */
    /* list */
    size_t limit;
    size_t max_bytes;
    bool is_cut;
    fq_buf buf;
    /* disconnect */
    fq_service_client place; /* end is NULL: nobody's */
    fq_close close;
    /* invalidate */
    fq_filter *where; /* one reference */
} walk;

/* ── the walk ── */

static void
walk_free(walk *self)
{
    fq_ticket_unref(self->done);
    fq_service_unref(self->service);
    fq_rcbuf_unref(self->texts);
    fq_filter_unref(self->where);
    fq_buf_fini(&self->buf);
    fq_free(self);
}

static void
finish(walk *self, fq_status status, fq_rcbuf *text)
{
    if (self->is_holding)
        fq_publisher_resume(self->service->publisher);
    if (self->done_cb != NULL)
        self->done_cb(self->service, self->arg, status, text, !self->is_cut);
    else if (self->done != NULL)
        fq_ticket_complete(self->done, status, text);
    else
        fq_rcbuf_unref(text);
    fq_list_remove(&self->place.node);
    walk_free(self);
}

static void
finish_with_count(walk *self)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%zu", self->n_found);
    fq_rcbuf *text;
    fq_status status = fq_rcbuf_new(fq_str_make(digits, (size_t)len), &text);
    finish(self, status, text);
}

/* The next slice, later. */
static void
go_on(walk *self)
{
    if (fq_reactor_post(self->service->reactor, &self->job) != FQ_OK)
        finish(self, FQ_ERR_CLOSED, NULL);
}

/* Copies the texts of |query| into one block. */
static fq_status
copy_query(walk *self, const fq_live_query *query)
{
    const fq_str from[] = {query->user_id, query->tenant_id,
                           query->connection_id, query->channel};
    fq_str *into[] = {&self->query.user_id, &self->query.tenant_id,
                      &self->query.connection_id, &self->query.channel};
    fq_status status = fq_rcbuf_concat(from, 4, &self->texts);
    if (status != FQ_OK)
        return status;
    size_t pos = 0;
    for (size_t i = 0; i < 4; i++) {
        *into[i] = from[i];
        if (from[i].ptr != NULL)
            into[i]->ptr = self->texts->bytes + pos;
        pos += from[i].len;
    }
    return FQ_OK;
}

static fq_status
walk_new(fq_service *service, const fq_live_query *query, fq_ticket *done,
         void (*run)(fq_job *job), walk **pself)
{
    *pself = NULL;
    walk *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    fq_status status = copy_query(self, query);
    if (status != FQ_OK) {
        fq_free(self);
        return status;
    }
    self->job.run = run;
    self->service = fq_service_ref(service);
    self->done = done == NULL ? NULL : fq_ticket_ref(done);
    fq_buf_init(&self->buf);
    fq_list_init(&self->place.node);
    *pself = self;
    return FQ_OK;
}

static fq_status
walk_start(walk *self)
{
    fq_status status = fq_reactor_post(self->service->reactor, &self->job);
    if (status != FQ_OK)
        walk_free(self);
    return status;
}

/* The same for a walk during which nothing is delivered. */
static fq_status
walk_start_holding(walk *self)
{
    fq_publisher *publisher = self->service->publisher;
    self->is_holding = true;
    fq_publisher_hold(publisher);
    fq_status status = walk_start(self);
    if (status != FQ_OK)
        fq_publisher_resume(publisher);
    return status;
}

/* ── matching ── */

static bool
is_text(fq_str wanted, fq_str text)
{
    return wanted.ptr == NULL || (text.ptr != NULL && fq_str_eq(wanted, text));
}

bool
fq_live_query_matches(const fq_live_query *query,
                      const fq_security_context *context, fq_str connection_id)
{
    static const fq_security_context nobody;
    if (context == NULL)
        context = &nobody;
    return is_text(query->connection_id, connection_id)
           && is_text(query->user_id, context->user_id)
           && is_text(query->tenant_id, context->tenant_id);
}

static bool
listens_on(const fq_sub *sub, fq_str channel)
{
    for (size_t i = 0; i < sub->n_listeners; i++) {
        if (fq_str_eq(fq_listener_channel_name(&sub->listeners[i]), channel))
            return true;
    }
    return false;
}

/* ── list ── */

static void
write_key(fq_buf *buf, const char *key)
{
    fq_buf_append_char(buf, ',');
    fq_json_write_str(buf, fq_str_of(key));
    fq_buf_append_char(buf, ':');
}

static void
write_text(fq_buf *buf, const char *key, fq_str text)
{
    write_key(buf, key);
    if (text.ptr != NULL)
        fq_json_write_str(buf, text);
    else
        fq_json_write_val(buf, NULL);
}

/* A time of the monotonic clock as one of the wall's; 0: null. */
static void
write_time(fq_buf *buf, const char *key, uint64_t at_ns, uint64_t now_ns,
           uint64_t wall_ns)
{
    write_key(buf, key);
    if (at_ns == 0)
        fq_json_write_val(buf, NULL);
    else
        fq_buf_append_format(buf, "%llu",
                             (unsigned long long)(wall_ns - (now_ns - at_ns)));
}

static void
write_sub(const fq_sub *sub, fq_buf *buf)
{
    static const fq_security_context nobody;
    const fq_security_context *context = sub->context != NULL ? sub->context
                                                              : &nobody;
    uint64_t now_ns = fq_clock_now_ns();
    uint64_t wall_ns = fq_clock_wall_ns();
    fq_str name = {NULL, 0};
    if (sub->operation_name != NULL)
        name = fq_rcbuf_str(sub->operation_name);
    fq_buf_append_str(buf, FQ_STR_LIT("{\"subscription_id\":"));
    fq_json_write_str(buf, sub->sink->ops->name(sub->sink, sub));
    write_text(buf, "connection_id", sub->sink->connection_id);
    write_text(buf, "query",
               fq_plan_source(fq_plan_variant_plan(sub->binding.variant)));
    write_text(buf, "operation_name", name);
    write_key(buf, "variables");
    fq_buf_append_str(buf, sub->binding.variables != NULL
                               ? fq_rcbuf_str(sub->binding.variables)
                               : FQ_STR_LIT("{}"));
    write_text(buf, "user_id", context->user_id);
    write_text(buf, "tenant_id", context->tenant_id);
    write_key(buf, "channels");
    fq_buf_append_char(buf, '[');
    for (size_t i = 0; i < sub->n_listeners; i++) {
        if (i > 0)
            fq_buf_append_char(buf, ',');
        fq_json_write_str(buf, fq_listener_channel_name(&sub->listeners[i]));
    }
    fq_buf_append_char(buf, ']');
    write_time(buf, "created_at", sub->created_at_ns, now_ns, wall_ns);
    write_time(buf, "last_event_at", sub->last_event_at_ns, now_ns, wall_ns);
    fq_buf_append_char(buf, '}');
}

static void
finish_list(walk *self)
{
    fq_buf_append_str(&self->buf,
                      self->n_found == 0 ? FQ_STR_LIT("[]") : FQ_STR_LIT("]"));
    fq_rcbuf *text;
    fq_status status = fq_buf_to_rcbuf(&self->buf, &text);
    finish(self, status, text);
}

/* False: there is no room for it. */
static bool
add_sub(walk *self, const fq_sub *sub)
{
    size_t len = self->buf.len;
    fq_buf_append_char(&self->buf, self->n_found == 0 ? '[' : ',');
    write_sub(sub, &self->buf);
    if (self->max_bytes != 0 && self->buf.len >= self->max_bytes) {
        self->buf.len = len;
        self->is_cut = true;
        return false;
    }
    self->n_found++;
    return true;
}

static void
run_list(fq_job *job)
{
    walk *self = FQ_CONTAINER_OF(job, walk, job);
    if (self->service->is_closed) {
        finish(self, FQ_ERR_CLOSED, NULL);
        return;
    }
    for (size_t n = 0; n < SLICE; n++) {
        const fq_sub *sub = NULL;
        if (self->n_found < self->limit)
            sub = fq_engine_next_sub(self->service->engine, &self->iter);
        if (sub == NULL) {
            finish_list(self);
            return;
        }
        if (!fq_live_query_matches(&self->query, sub->context,
                                   sub->sink->connection_id)
            || (self->query.channel.ptr != NULL
                && !listens_on(sub, self->query.channel)))
            continue;
        if (!add_sub(self, sub)) {
            finish_list(self);
            return;
        }
    }
    go_on(self);
}

fq_status
fq_service_list_subs(fq_service *service, const fq_live_query *query,
                     size_t limit, fq_ticket *done)
{
    walk *self;
    fq_status status = walk_new(service, query, done, run_list, &self);
    if (status != FQ_OK)
        return status;
    self->limit = limit;
    return walk_start(self);
}

fq_status
fq_management_list(fq_service *service, const fq_live_query *query,
                   size_t limit, size_t max_bytes, fq_management_cb done_cb,
                   void *arg)
{
    walk *self;
    fq_status status = walk_new(service, query, NULL, run_list, &self);
    if (status != FQ_OK)
        return status;
    self->limit = limit;
    self->max_bytes = max_bytes;
    self->done_cb = done_cb;
    self->arg = arg;
    return walk_start(self);
}

/* ── disconnect ── */

static void
run_disconnect(fq_job *job)
{
    walk *self = FQ_CONTAINER_OF(job, walk, job);
    fq_service *service = self->service;
    if (service->is_closed) {
        finish(self, FQ_ERR_CLOSED, NULL);
        return;
    }
    if (fq_list_is_empty(&self->place.node)) {
        fq_list_push_back(service->clients.next, &self->place.node);
        fq_orders_add(&service->orders, &self->query, self->texts,
                      &self->close);
    }
    fq_str reason = fq_str_make(self->close.reason, self->close.reason_len);
    for (size_t n = 0; n < SLICE; n++) {
        fq_service_client *client = fq_service_next_client(service,
                                                           &self->place);
        if (client == NULL) {
            finish_with_count(self);
            return;
        }
        if (client->end == NULL)
            continue;
        const fq_security_context *context = client->who(client);
        if (context == NULL
            || !fq_live_query_matches(&self->query, context,
                                      fq_rcbuf_str(client->connection_id)))
            continue;
        self->n_found++;
        client->end(client, self->close.code, reason, FQ_END_MANAGED);
    }
    go_on(self);
}

static fq_status
new_disconnect(fq_service *service, const fq_live_query *query, uint16_t code,
               fq_str reason, fq_ticket *done, walk **pself)
{
    walk *self;
    fq_status status = walk_new(service, query, done, run_disconnect, pself);
    if (status != FQ_OK)
        return status;
    self = *pself;
    reason = fq_utf8_truncate(reason, FQ_CLOSE_REASON_MAX);
    self->close.code = code;
    self->close.reason_len = (uint8_t)reason.len;
    if (reason.len > 0)
        memcpy(self->close.reason, reason.ptr, reason.len);
    return FQ_OK;
}

fq_status
fq_service_disconnect(fq_service *service, const fq_live_query *query,
                      uint16_t code, fq_str reason, fq_ticket *done)
{
    walk *self;
    fq_status status = new_disconnect(service, query, code, reason, done,
                                      &self);
    return status == FQ_OK ? walk_start(self) : status;
}

fq_status
fq_management_disconnect(fq_service *service, const fq_live_query *query,
                         uint16_t code, fq_str reason)
{
    walk *self;
    fq_status status = new_disconnect(service, query, code, reason, NULL,
                                      &self);
    return status == FQ_OK ? walk_start_holding(self) : status;
}

/* ── invalidate ── */

static bool
is_meant(fq_filter *where, const fq_sub *sub)
{
    yyjson_doc *args = NULL;
    fq_filter_bound *bound = NULL;
    bool is_meant = true;
    if (sub->binding.args == NULL
        || fq_json_read(fq_rcbuf_str(sub->binding.args),
                        FQ_JSON_LONE_SURROGATES, &args, NULL)
               == FQ_OK) {
        fq_status status = fq_filter_bind(where, yyjson_doc_get_root(args),
                                          sub->context, &bound);
        if (status == FQ_OK)
            is_meant = fq_filter_bound_is_always(bound);
    }
    fq_filter_bound_unref(bound);
    fq_json_free(args);
    return is_meant;
}

static void
run_invalidate(fq_job *job)
{
    walk *self = FQ_CONTAINER_OF(job, walk, job);
    if (self->service->is_closed) {
        finish(self, FQ_ERR_CLOSED, NULL);
        return;
    }
    for (size_t n = 0; n < SLICE; n++) {
        fq_sub *sub = fq_engine_next_sub(self->service->engine, &self->iter);
        if (sub == NULL) {
            finish_with_count(self);
            return;
        }
        if (!is_meant(self->where, sub))
            continue;
        self->n_found++;
        sub->sink->ops->refuse(sub->sink, sub, FQ_END_MANAGED, forbidden);
    }
    go_on(self);
}

static fq_status
new_invalidate(fq_service *service, fq_filter *where, fq_ticket *done,
               walk **pself)
{
    static const fq_live_query all;
    fq_status status = walk_new(service, &all, done, run_invalidate, pself);
    if (status == FQ_OK)
        (*pself)->where = fq_filter_ref(where);
    return status;
}

fq_status
fq_service_invalidate(fq_service *service, fq_filter *where, fq_ticket *done)
{
    walk *self;
    fq_status status = new_invalidate(service, where, done, &self);
    return status == FQ_OK ? walk_start(self) : status;
}

fq_status
fq_management_invalidate(fq_service *service, fq_filter *where)
{
    walk *self;
    fq_status status = new_invalidate(service, where, NULL, &self);
    return status == FQ_OK ? walk_start_holding(self) : status;
}
