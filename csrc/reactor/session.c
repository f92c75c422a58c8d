/* SPDX-License-Identifier: MIT */
/* Sessions: three parts speak to each other here. The protocol machine says
 * what the client wants (owner callbacks), the engine what the client gets
 * (sink callbacks), the port brings texts and answers in (peer callbacks).
 *
 * Life: opened by the loop, it ends in one of two ways. When the socket is to
 * be closed from here, everything it holds is released at once and the session
 * stays as an empty shell, because the machine or the engine may be calling
 * it; the loop's disconnect, which always follows, frees the shell. When the
 * service closes, no callback is running and the shell is freed right away. */
#include "reactor/session.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "json/writer.h"
#include "protocol/graphql_ws.h"
#include "reactor/authentication.h"
#include "reactor/call.h"
#include "reactor/connection_id.h"
#include "reactor/delivery.h"
#include "reactor/drain.h"
#include "reactor/liveness.h"
#include "reactor/operation.h"
#include "reactor/service_state.h"
#include "reactor/session_state.h"
#include "reactor/sub_call.h"

#define CLOSE_POLICY 1008  /* RFC 6455 7.4.1 */
#define CLOSE_TOO_BIG 1009 /* RFC 6455 7.4.1 */
#define CLOSE_TRY_AGAIN 1013

static const fq_str reason_too_big = FQ_STR("Message too big");
static const fq_str reason_too_many = FQ_STR("Too many messages");
static const fq_str reason_slow = FQ_STR("Slow client");

/* Closes the connection from here, or, for FQ_END_DISCONNECT, sees that its
 * client has. The first one counts. */
static void
close_session(fq_session *self, uint16_t code, fq_str text,
              fq_end_reason reason)
{
    if (self->protocol.state == FQ_PROTOCOL_CLOSED)
        return;
    self->end_reason = reason;
    fq_protocol_close(&self->protocol, code, text);
}

/* ── protocol machine → session ── */

void
fq_session_send(fq_session *self, fq_rcbuf *text)
{
    fq_status status = fq_delivery_queue_text(self->port,
                                              &self->service->metrics, text);
    /* A client that sends and does not read; a message that is lost for want
     * of memory would leave it waiting. */
    if (status == FQ_ERR_FULL || status == FQ_ERR_NOMEM)
        close_session(self, CLOSE_TRY_AGAIN, reason_slow, FQ_END_SLOW_CLIENT);
}

static void
on_send(void *ctx, fq_rcbuf *text)
{
    fq_session_send(ctx, text);
}

static void
on_close(void *ctx, uint16_t code, fq_str reason)
{
    fq_session *self = ctx;
    bool is_slow = self->end_reason == FQ_END_SLOW_CLIENT;
    size_t iter = 0;
    fq_protocol_op *op;
    while ((op = fq_protocol_each_op(&self->protocol, &iter)) != NULL) {
        if (op->handle != NULL)
            fq_operation_release(self, op->handle, self->end_reason);
        op->handle = NULL;
    }
    if (self->user != NULL)
        fq_user_table_leave(fq_engine_users(self->service->engine), self->user,
                            FQ_USER_CONNECTIONS);
    self->user = NULL;
    if (is_slow)
        FQ_METRIC_ADD(&self->service->metrics, slow_clients_closed, 1);
    if (self->end_reason == FQ_END_DISCONNECT)
        FQ_METRIC_ADD(&self->service->metrics, closed_by_client, 1);
    else
        fq_metrics_count_close(&self->service->metrics, code);
    bool discard = is_slow || self->end_reason == FQ_END_EXPIRED
                   || self->end_reason == FQ_END_MANAGED
                   || self->end_reason == FQ_END_DISCONNECT;
    fq_port_close(self->port, code, reason, discard);
    fq_liveness_note_closed(self, fq_clock_now_ns());
}

static void
on_init(void *ctx, yyjson_val *payload)
{
    fq_authentication_start(ctx, payload);
}

static void
on_ping(void *ctx, yyjson_val *payload)
{
    fq_authentication_ping(ctx, payload);
}

static void
on_subscribe(void *ctx, fq_protocol_op *op, const fq_protocol_request *asked)
{
    fq_execute_request request = {
        .id = op->id,
        .query = asked->query,
        .operation_name = asked->operation_name,
        .variables = asked->variables,
        .extensions = asked->extensions,
    };
    fq_operation_start(ctx, op, &request);
}

static void
on_complete(void *ctx, fq_protocol_op *op)
{
    fq_session *self = ctx;
    if (op->handle != NULL)
        fq_operation_release(self, op->handle, FQ_END_COMPLETE);
    op->handle = NULL;
}

static const fq_protocol_owner protocol_owner = {
    .send = on_send,
    .close = on_close,
    .init = on_init,
    .ping = on_ping,
    .subscribe = on_subscribe,
    .complete = on_complete,
};

/* ── engine → session ── */

static fq_session *
session_of_sink(fq_sink *sink)
{
    return FQ_CONTAINER_OF(sink, fq_session, sink);
}

static void
sink_next(fq_sink *sink, fq_sub *sub, fq_rcbuf *payload)
{
    fq_session *self = session_of_sink(sink);
    fq_operation *operation = sub->handle;
    if (self->is_expired)
        return;
    fq_status status = fq_delivery_queue(self->port, &self->service->metrics,
                                         sub, operation->head,
                                         operation->tail_len, payload);
    if (status == FQ_ERR_FULL)
        close_session(self, CLOSE_TRY_AGAIN, reason_slow, FQ_END_SLOW_CLIENT);
}

static void
sink_call(fq_sink *sink, fq_sub *sub, fq_event *event)
{
    fq_session *self = session_of_sink(sink);
    fq_operation *operation = sub->handle;
    operation->sub = sub; /* a source calls before its subscribe returns */
    fq_sub_call_send(self->service->engine, self->port, sub, operation->op->id,
                     event);
}

static bool
sink_overflow(fq_sink *sink, fq_sub *sub)
{
    (void)sub;
    fq_session *self = session_of_sink(sink);
    close_session(self, CLOSE_TRY_AGAIN, reason_slow, FQ_END_SLOW_CLIENT);
    return false;
}

static bool
sink_has_room(fq_sink *sink, fq_sub *sub, size_t n_items, size_t n_bytes)
{
    (void)sub;
    fq_session *self = session_of_sink(sink);
    return !self->is_expired && fq_port_has_room(self->port, n_items, n_bytes);
}

static void
sink_end(fq_sink *sink, fq_sub *sub)
{
    fq_session *self = session_of_sink(sink);
    fq_operation *operation = sub->handle;
    fq_protocol_op *op = operation->op;
    op->handle = NULL;
    /* Python ended the source itself and expects no cancel. */
    fq_operation_free(operation);
    fq_protocol_end(&self->protocol, op);
}

static fq_str
sink_name(fq_sink *sink, const fq_sub *sub)
{
    (void)sink;
    fq_operation *operation = sub->handle;
    return operation->op->id;
}

static void
sink_refuse(fq_sink *sink, fq_sub *sub, fq_end_reason reason, fq_str errors)
{
    fq_operation_refuse(session_of_sink(sink), sub->handle, reason, errors);
}

static const fq_sink_ops sink_ops = {
    .next = sink_next,
    .call = sink_call,
    .overflow = sink_overflow,
    .has_room = sink_has_room,
    .end = sink_end,
    .name = sink_name,
    .refuse = sink_refuse,
};

/* ── port → session ── */

static fq_session *
session_of_peer(fq_port_peer *peer)
{
    return FQ_CONTAINER_OF(peer, fq_session, peer);
}

/* Counts a session that is to be. Relaxed: it is a number, nothing is read
 * after it. Thread: any. */
static void
enter_service(fq_service *service)
{
    atomic_fetch_add_explicit(&service->n_sessions, 1, memory_order_relaxed);
}

/* It is gone, and its visitor. */
static void
leave_service(fq_service *service, fq_visitor *visitor)
{
    fq_admission_leave(&service->admission, visitor);
    atomic_fetch_sub_explicit(&service->n_sessions, 1, memory_order_relaxed);
}

/* Frees the shell: nothing is calling it, its operations are released. */
static void
free_session(fq_session *self)
{
    fq_list_remove(&self->client.node);
    fq_authentication_fini(self);
    FQ_CHECK(fq_list_is_empty(&self->sink.subs));
    FQ_METRIC_SUB(&self->service->metrics, connections_active, 1);
    fq_histogram_add(&self->service->metrics.connection_seconds,
                     fq_clock_now_ns() - self->opened_at_ns);
    fq_protocol_fini(&self->protocol);
    fq_deadlines_set(&self->service->deadlines, &self->go_on, UINT64_MAX);
    fq_port_peer_gone(self->port);
    fq_security_context_unref(self->context);
    leave_service(self->service, self->visitor);
    fq_drain_note_gone(self->service);
    fq_service_unref(self->service);
    fq_free(self);
}

static void
peer_receive(fq_port_peer *peer, fq_str text)
{
    fq_session *self = session_of_peer(peer);
    fq_liveness_hear(self, fq_clock_now_ns());
    size_t max = self->protocol.kind->is_measured
                     ? 0
                     : self->service->limits.message_max_bytes;
    if (max != 0 && text.len > max)
        fq_protocol_close(&self->protocol, CLOSE_TOO_BIG, reason_too_big);
    else
        fq_protocol_receive(&self->protocol, text);
}

/* Reads on, or waits for more of the bucket. */
static void
on_go_on(fq_deadline *deadline, uint64_t now_ns)
{
    fq_session *self = FQ_CONTAINER_OF(deadline, fq_session, go_on);
    uint64_t at_ns = fq_port_let_go(self->port, now_ns);
    if (at_ns != 0)
        fq_deadlines_set(&self->service->deadlines, &self->go_on, at_ns);
}

static void
peer_held(fq_port_peer *peer, uint64_t at_ns)
{
    fq_session *self = session_of_peer(peer);
    FQ_METRIC_ADD(&self->service->metrics, reading_paused, 1);
    fq_liveness_hear(self, at_ns);
    fq_deadlines_set(&self->service->deadlines, &self->go_on, at_ns);
}

static void
peer_flooded(fq_port_peer *peer)
{
    fq_session *self = session_of_peer(peer);
    if (self->protocol.state == FQ_PROTOCOL_CLOSED)
        return;
    FQ_METRIC_ADD(&self->service->metrics, refused_messages, 1);
    fq_protocol_close(&self->protocol, CLOSE_POLICY, reason_too_many);
}

static void
peer_answer(fq_port_peer *peer, fq_call *call)
{
    fq_session *self = session_of_peer(peer);
    fq_str text = call->answer_text == NULL ? fq_str_make(NULL, 0)
                                            : fq_rcbuf_str(call->answer_text);
    if (call->kind == FQ_CALL_INIT || call->kind == FQ_CALL_RENEW)
        fq_authentication_answer(self, call);
    else if (call->kind == FQ_CALL_EXECUTE || call->kind == FQ_CALL_SUBSCRIBE)
        fq_operation_answer(self, call, text);
    else
        fq_sub_call_answer(self->service, call);
}

static void
peer_room(fq_port_peer *peer)
{
    fq_session *self = session_of_peer(peer);
    /* Resuming may change the list in any way: look from its start again. */
    bool found;
    do {
        found = false;
        FQ_LIST_FOREACH(node, &self->sink.subs)
        {
            fq_sub *sub = FQ_CONTAINER_OF(node, fq_sub, sink_node);
            if (sub->is_stalled && fq_port_has_room(self->port, 1, 0)) {
                found = true;
                fq_engine_resume(self->service->engine, sub->id);
                break;
            }
        }
    } while (found);
}

static void
peer_disconnect(fq_port_peer *peer)
{
    fq_session *self = session_of_peer(peer);
    close_session(self, 1000, fq_str_make(NULL, 0), FQ_END_DISCONNECT);
    free_session(self);
}

static const fq_port_peer_ops peer_ops = {
    .receive = peer_receive,
    .held = peer_held,
    .flooded = peer_flooded,
    .answer = peer_answer,
    .room = peer_room,
    .disconnect = peer_disconnect,
};

/* ── service → session ── */

static void
client_end(fq_service_client *client, uint16_t code, fq_str reason,
           fq_end_reason why)
{
    fq_session *self = FQ_CONTAINER_OF(client, fq_session, client);
    close_session(self, code, reason, why);
    free_session(self);
}

static void
client_close(fq_service_client *client, uint16_t code, fq_str reason,
             fq_end_reason why)
{
    close_session(FQ_CONTAINER_OF(client, fq_session, client), code, reason,
                  why);
}

static const fq_security_context *
client_who(fq_service_client *client)
{
    fq_session *self = FQ_CONTAINER_OF(client, fq_session, client);
    return self->protocol.state != FQ_PROTOCOL_CLOSED ? self->context : NULL;
}

/* ── life ── */

static void
run_open(fq_job *job)
{
    fq_session *self = FQ_CONTAINER_OF(job, fq_session, open_job);
    fq_service *service = self->service;
    FQ_METRIC_ADD(&service->metrics, connections_total, 1);
    if (self->protocol.kind == &fq_graphql_ws)
        FQ_METRIC_ADD(&service->metrics, connections_legacy, 1);
    FQ_METRIC_ADD(&service->metrics, connections_active, 1);
    self->opened_at_ns = fq_clock_now_ns();
    fq_authentication_init(self);
    fq_liveness_init(self, self->opened_at_ns);
    self->go_on.expire = on_go_on;
    fq_timer_init(&self->go_on.timer);
    fq_list_init(&self->client.node);
    self->client.end = client_end;
    self->client.close = client_close;
    self->client.who = client_who;
    self->client.connection_id = self->port->connection_id;
    self->sink.connection_id = fq_rcbuf_str(self->port->connection_id);
    if (!service->is_closed) {
        fq_service_add_client(service, &self->client);
    }
    fq_authentication_arm(self);
    self->port->peer = &self->peer;
    if (service->is_closed)
        client_end(&self->client, 1012, FQ_STR_LIT("Service restart"),
                   FQ_END_SHUTDOWN);
    else if (fq_service_is_draining(service))
        fq_drain_close_late(service, &self->client);
}

fq_status
fq_session_open(fq_service *service, const fq_protocol_kind *kind,
                fq_mailbox *mailbox, void *owner, fq_visitor *visitor,
                fq_port **pport)
{
    *pport = NULL;
    if (fq_service_is_draining(service)) {
        FQ_METRIC_ADD(&service->metrics, refused_stopping, 1);
        fq_admission_leave(&service->admission, visitor);
        return FQ_ERR_CLOSED;
    }
    enter_service(service);
    fq_session *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL) {
        leave_service(service, visitor);
        return FQ_ERR_NOMEM;
    }
    self->visitor = visitor;
    fq_port *port = NULL;
    fq_status status = fq_port_new(service->reactor, mailbox, false, owner,
                                   service->limits.queue_max_items,
                                   service->limits.queue_max_bytes,
                                   service->backlog, &port);
    if (status != FQ_OK)
        goto fail;
    status = fq_connection_id_new(&port->connection_id);
    if (status != FQ_OK) {
        fq_port_unref(port);
        fq_port_unref(port);
        goto fail;
    }
    fq_port_limit_messages(port, service->limits.messages_per_s,
                           (uint32_t)service->limits.messages_burst);
    self->peer.ops = &peer_ops;
    self->sink.ops = &sink_ops;
    fq_list_init(&self->sink.subs);
    /* For what the protocol machine closes it. */
    self->end_reason = FQ_END_CLOSED;
    self->service = fq_service_ref(service);
    self->context = fq_security_context_ref(service->anonymous);
    self->port = port;
    self->sink.route = mailbox;
    fq_protocol_init(&self->protocol, kind, &protocol_owner, self,
                     fq_clock_now_ns() + service->limits.init_timeout_ns,
                     service->limits.keep_alive_ns);
    self->open_job.run = run_open;
    status = fq_reactor_post(service->reactor, &self->open_job);
    if (status != FQ_OK) {
        fq_port_unref(port);
        fq_port_unref(port);
        fq_security_context_unref(self->context);
        fq_service_unref(service);
        goto fail;
    }
    *pport = port;
    return FQ_OK;

fail:
    leave_service(service, visitor);
    fq_free(self);
    return status;
}
