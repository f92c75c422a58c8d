/* SPDX-License-Identifier: MIT */
/* Sessions: three parts speak to each other here. The protocol machine says
 * what the client wants (gtws callbacks), the engine what the client gets
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
#include "protocol/graphql_transport_ws.h"
#include "reactor/call.h"
#include "reactor/execute_call.h"
#include "reactor/service_state.h"
#include "reactor/sub_call.h"

#define CLOSE_TOO_BIG 1009 /* RFC 6455 7.4.1 */
#define CLOSE_TRY_AGAIN 1013

static const fq_str reason_too_big = FQ_STR("Message too big");
static const fq_str reason_slow = FQ_STR("Slow client");
/* Executions are numbered in the upper half of an id whose lower half is the
 * one slot that no subscription has (registry.c). */
#define EXECUTION_SLOT UINT32_MAX

static const fq_str errors_out_of_memory = FQ_STR(
    "[{\"message\":\"Out of memory\"}]");

/* One operation between its id in the protocol and the engine, or, for a
 * query or mutation, the call to Python. */
typedef struct operation {
    fq_gtws_op *op;
    fq_sub *sub;            /* NULL until the engine has it */
    fq_sub_id execution_id; /* of the call; 0: a subscription */
    fq_rcbuf *head;         /* in front of every payload */
    fq_call *cancel;        /* sent or freed with the operation */
} operation;

typedef struct session {
    fq_port_peer peer;
    fq_sink sink;
    fq_gtws gtws;
    fq_service_client client;
    fq_service_deadline deadline; /* for connection_init */
    fq_service *service;          /* one reference */
    fq_port *port;                /* the peer's reference */
    fq_security_context *context; /* who the client is; one reference */
    fq_job open_job;
    uint32_t n_executions; /* ever; 2^32 calls are not under way at a time */
} session;

/* ── one operation ── */

static void
free_operation(operation *self)
{
    fq_rcbuf_unref(self->head);
    fq_call_free(self->cancel);
    fq_free(self);
}

static fq_status
new_operation(session *session, fq_gtws_op *op, operation **pself)
{
    *pself = NULL;
    operation *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    self->op = op;
    fq_status status = fq_gtws_next_head(op, &self->head);
    if (status == FQ_OK)
        status = fq_call_new(FQ_CALL_CANCEL, session->port, 0, &self->cancel);
    if (status != FQ_OK) {
        free_operation(self);
        return status;
    }
    *pself = self;
    return FQ_OK;
}

static void
cancel_execution(operation *self)
{
    fq_call *cancel = self->cancel;
    self->cancel = NULL;
    cancel->sub_id = self->execution_id;
    if (fq_call_send(cancel) != FQ_OK)
        fq_call_free(cancel);
}

/* Ends the operation in the engine and tells Python; what is queued of it
 * stays, unless |purge|. */
static void
release_operation(session *session, operation *self, bool purge)
{
    if (self->execution_id != 0)
        cancel_execution(self);
    if (self->sub != NULL) {
        fq_sub_call_cancel(self->cancel, self->sub);
        self->cancel = NULL;
        if (purge)
            fq_port_purge(session->port, self->sub->id);
        fq_engine_unsubscribe(session->service->engine, self->sub);
    }
    free_operation(self);
}

/* ── protocol machine → session ── */

static void
on_send(void *ctx, fq_rcbuf *text)
{
    session *self = ctx;
    fq_queue_item item = {.head = text};
    fq_status status = fq_port_push(self->port, &item);
    if (status == FQ_OK)
        return;
    fq_rcbuf_unref(text);
    /* A client that sends and does not read; a message that is lost for want
     * of memory would leave it waiting. */
    if (status == FQ_ERR_FULL || status == FQ_ERR_NOMEM)
        fq_gtws_close(&self->gtws, CLOSE_TRY_AGAIN, reason_slow);
}

static void
on_close(void *ctx, uint16_t code, fq_str reason)
{
    session *self = ctx;
    bool is_slow = code == CLOSE_TRY_AGAIN;
    size_t iter = 0;
    fq_gtws_op *op;
    while ((op = fq_gtws_each_op(&self->gtws, &iter)) != NULL) {
        if (op->handle != NULL)
            release_operation(self, op->handle, false);
        op->handle = NULL;
    }
    if (is_slow)
        FQ_METRIC_ADD(&self->service->metrics, slow_clients_closed, 1);
    fq_port_close(self->port, code, reason, is_slow);
}

static void
on_init(void *ctx, yyjson_val *payload)
{
    session *self = ctx;
    if (!self->service->has_init_hook) {
        fq_gtws_ack(&self->gtws, fq_str_make(NULL, 0));
        return;
    }
    fq_buf buf = FQ_BUF_INIT;
    fq_call *call = NULL;
    fq_status status = fq_call_new(FQ_CALL_INIT, self->port, 0, &call);
    if (status == FQ_OK && payload != NULL) {
        fq_json_write_val(&buf, payload);
        status = fq_buf_to_rcbuf(&buf, &call->data);
    }
    fq_buf_fini(&buf);
    if (status == FQ_OK)
        status = fq_call_send(call);
    if (status == FQ_OK)
        return;
    fq_call_free(call);
    fq_gtws_refuse(&self->gtws, 0, fq_str_make(NULL, 0));
}

/* Answers a subscribe that came to nothing. Variables that do not fit are a
 * request error: a result without data, then the end (GraphQL Sep 2025 7.1).
 * Everything else is an `error` message. */
static void
refuse_operation(session *self, fq_gtws_op *op, const operation *operation,
                 fq_gql_errors *errors, bool is_request_error)
{
    FQ_METRIC_ADD(&self->service->metrics, subscriptions_refused, 1);
    fq_buf buf = FQ_BUF_INIT;
    if (is_request_error && operation != NULL) {
        fq_buf_append_str(&buf, fq_rcbuf_str(operation->head));
        fq_buf_append_str(&buf, FQ_STR_LIT("{\"errors\":"));
        fq_gql_errors_write(errors, &buf);
        fq_buf_append_str(&buf, FQ_STR_LIT("}}"));
        fq_rcbuf *text;
        if (fq_buf_to_rcbuf(&buf, &text) == FQ_OK) {
            on_send(self, text);
            if (self->gtws.state != FQ_GTWS_CLOSED)
                fq_gtws_end(&self->gtws, op);
            goto out;
        }
    } else if (errors->n_items > 0) {
        fq_gql_errors_write(errors, &buf);
    }
    fq_str text = fq_buf_str(&buf);
    if (fq_buf_status(&buf) != FQ_OK || is_request_error || text.len == 0)
        text = errors_out_of_memory;
    fq_gtws_error(&self->gtws, op, text);
out:
    fq_buf_fini(&buf);
}

/* Asks Python to log, once, that there is nothing to execute with. */
static void
tell_unhandled(session *self)
{
    fq_service *service = self->service;
    fq_call *call;
    if (service->has_told_unhandled
        || fq_call_new(FQ_CALL_UNHANDLED, self->port, 0, &call) != FQ_OK)
        return;
    service->has_told_unhandled = true;
    if (fq_call_send(call) != FQ_OK)
        fq_call_free(call);
}

/* Finds who executes |plan|, a query or mutation; *ptoken is 0 for nobody. */
static fq_status
find_executor(const fq_service *service, const fq_plan *plan, uint64_t *ptoken,
              fq_gql_errors *errors)
{
    *ptoken = service->execute_token;
    if (fq_plan_operation_type(plan) != FQ_OPERATION_QUERY)
        return FQ_OK;
    if (service->introspect == FQ_INTROSPECT_REFUSE
        && fq_plan_asks_schema(plan)) {
        fq_gql_errors_add(errors, "FORBIDDEN",
                          "Introspection is not allowed here.");
        return FQ_ERR_INVALID;
    }
    if (service->introspect == FQ_INTROSPECT_BY && !fq_plan_asks_data(plan))
        *ptoken = service->introspect_token;
    return FQ_OK;
}

/* Hands a query or mutation to Python. */
static fq_status
start_execution(session *self, operation *operation, uint64_t token,
                const fq_execute_request *request)
{
    fq_sub_id id = (fq_sub_id)++self->n_executions << 32 | EXECUTION_SLOT;
    fq_status status = fq_execute_call_send(self->port, request, token, id);
    if (status != FQ_OK)
        return status;
    operation->execution_id = id;
    FQ_METRIC_ADD(&self->service->metrics, execute_calls, 1);
    return FQ_OK;
}

/* Starts a subscription, which |args| is complete for but the plan. */
static fq_status
start_subscription(session *self, operation *operation,
                   const fq_subscribe_args *args, fq_gql_errors *errors,
                   bool *pis_request_error)
{
    fq_sub *sub;
    fq_status status = fq_engine_subscribe(self->service->engine, &self->sink,
                                           args, &sub, errors,
                                           pis_request_error);
    /* A source may have ended in its first call; all of it is gone then. */
    if (status == FQ_OK && sub != NULL)
        operation->sub = sub;
    return status;
}

static fq_status
start_operation(session *self, operation *operation,
                const fq_execute_request *request, fq_gql_errors *errors,
                bool *pis_request_error)
{
    fq_service *service = self->service;
    fq_subscribe_args args = {
        .query = request->query,
        .operation_name = request->operation_name,
        .variables = request->variables,
        .context = self->context,
        .handle = operation,
        .now_ns = fq_clock_now_ns(),
    };
    fq_plan *plan;
    fq_status status = fq_engine_plan(service->engine, &args, &plan, errors);
    if (status != FQ_OK)
        return status;
    args.plan = plan;
    uint64_t token = 0;
    bool is_subscription = fq_plan_operation_type(plan)
                           == FQ_OPERATION_SUBSCRIPTION;
    if (!is_subscription)
        status = find_executor(service, plan, &token, errors);
    if (status != FQ_OK) {
        FQ_METRIC_ADD(&service->metrics, refused_introspection, 1);
    } else if (token != 0) {
        status = start_execution(self, operation, token, request);
    } else {
        if (!is_subscription)
            tell_unhandled(self);
        status = start_subscription(self, operation, &args, errors,
                                    pis_request_error);
    }
    fq_plan_unref(plan);
    return status;
}

/* Is there room for one more, and a document? */
static fq_status
admit_operation(session *self, fq_execute_request *request,
                fq_gql_errors *errors)
{
    fq_service *service = self->service;
    size_t max = service->limits.max_subscriptions_per_connection;
    if (max != 0 && fq_gtws_n_ops(&self->gtws) > max) {
        FQ_METRIC_ADD(&service->metrics, refused_subscriptions, 1);
        fq_gql_errors_add(errors, "LIMIT_REACHED",
                          "A connection may hold %zu subscriptions; complete "
                          "one first.",
                          max);
        return FQ_ERR_LIMIT;
    }
    fq_status status = fq_persisted_resolve(service->persisted, request->query,
                                            request->extensions,
                                            &request->query, errors);
    if (status == FQ_ERR_INVALID)
        FQ_METRIC_ADD(&service->metrics, refused_persisted, 1);
    return status;
}

static void
on_subscribe(void *ctx, fq_gtws_op *op, fq_str query, fq_str operation_name,
             yyjson_val *variables, yyjson_val *extensions)
{
    session *self = ctx;
    bool is_request_error = false;
    operation *operation = NULL;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_execute_request request = {
        .id = op->id,
        .query = query,
        .operation_name = operation_name,
        .variables = variables,
        .extensions = extensions,
    };
    fq_status status = admit_operation(self, &request, &errors);
    if (status == FQ_OK)
        status = new_operation(self, op, &operation);
    if (status == FQ_OK) {
        op->handle = operation;
        status = start_operation(self, operation, &request, &errors,
                                 &is_request_error);
    }
    if (status != FQ_OK) {
        /* The machine frees op when it is refused; the handle goes first. */
        op->handle = NULL;
        refuse_operation(self, op, operation, &errors, is_request_error);
        if (operation != NULL)
            free_operation(operation);
    }
    fq_gql_errors_fini(&errors);
}

static void
on_complete(void *ctx, fq_gtws_op *op)
{
    session *self = ctx;
    if (op->handle != NULL)
        release_operation(self, op->handle, true);
    op->handle = NULL;
}

static const fq_gtws_ops gtws_ops = {
    .send = on_send,
    .close = on_close,
    .init = on_init,
    .subscribe = on_subscribe,
    .complete = on_complete,
};

/* ── engine → session ── */

static session *
session_of_sink(fq_sink *sink)
{
    return FQ_CONTAINER_OF(sink, session, sink);
}

static void
sink_next(fq_sink *sink, fq_sub *sub, fq_rcbuf *payload)
{
    session *self = session_of_sink(sink);
    operation *operation = sub->handle;
    fq_queue_item item = {
        .head = fq_rcbuf_ref(operation->head),
        .body = fq_rcbuf_ref(payload),
        .sub_id = sub->id,
        .n_dropped = sub->n_carried,
    };
    fq_status status = fq_port_push(self->port, &item);
    if (status == FQ_OK) {
        sub->n_carried = 0;
        FQ_METRIC_ADD(&self->service->metrics, deliveries, 1);
        return;
    }
    fq_queue_item_fini(&item);
    FQ_METRIC_ADD(&self->service->metrics, deliveries_dropped, 1);
    if (status == FQ_ERR_NOMEM)
        sub->n_carried++;
    else if (status == FQ_ERR_FULL)
        fq_gtws_close(&self->gtws, CLOSE_TRY_AGAIN, reason_slow);
}

static void
sink_call(fq_sink *sink, fq_sub *sub, fq_event *event)
{
    session *self = session_of_sink(sink);
    operation *operation = sub->handle;
    operation->sub = sub; /* a source calls before its subscribe returns */
    fq_sub_call_send(self->service->engine, self->port, sub, operation->op->id,
                     event);
}

static bool
sink_overflow(fq_sink *sink, fq_sub *sub)
{
    (void)sub;
    session *self = session_of_sink(sink);
    fq_gtws_close(&self->gtws, CLOSE_TRY_AGAIN, reason_slow);
    return false;
}

static bool
sink_has_room(fq_sink *sink, fq_sub *sub)
{
    (void)sub;
    return fq_port_has_room(session_of_sink(sink)->port);
}

static void
sink_end(fq_sink *sink, fq_sub *sub)
{
    session *self = session_of_sink(sink);
    operation *operation = sub->handle;
    fq_gtws_op *op = operation->op;
    op->handle = NULL;
    /* Python ended the source itself and expects no cancel. */
    free_operation(operation);
    fq_gtws_end(&self->gtws, op);
}

static const fq_sink_ops sink_ops = {
    .next = sink_next,
    .call = sink_call,
    .overflow = sink_overflow,
    .has_room = sink_has_room,
    .end = sink_end,
};

/* ── port → session ── */

static session *
session_of_peer(fq_port_peer *peer)
{
    return FQ_CONTAINER_OF(peer, session, peer);
}

/* Frees the shell: nothing is calling it, its operations are released. */
static void
free_session(session *self)
{
    fq_list_remove(&self->client.node);
    fq_list_remove(&self->deadline.node);
    FQ_CHECK(fq_list_is_empty(&self->sink.subs));
    FQ_METRIC_SUB(&self->service->metrics, connections_active, 1);
    fq_gtws_fini(&self->gtws);
    fq_port_peer_gone(self->port);
    fq_security_context_unref(self->context);
    fq_service_unref(self->service);
    fq_free(self);
}

static void
peer_receive(fq_port_peer *peer, fq_str text)
{
    session *self = session_of_peer(peer);
    size_t max = self->service->limits.message_max_bytes;
    if (max != 0 && text.len > max)
        fq_gtws_close(&self->gtws, CLOSE_TOO_BIG, reason_too_big);
    else
        fq_gtws_receive(&self->gtws, text);
}

/* The response |text| as `next`, then `complete`. */
static void
finish_execution(session *self, fq_gtws_op *op, const operation *operation,
                 fq_str text)
{
    fq_str parts[] = {fq_rcbuf_str(operation->head), text, FQ_STR("}")};
    fq_rcbuf *message;
    if (fq_rcbuf_concat(parts, 3, &message) != FQ_OK) {
        fq_gtws_error(&self->gtws, op, errors_out_of_memory);
        return;
    }
    on_send(self, message);
    if (self->gtws.state != FQ_GTWS_CLOSED)
        fq_gtws_end(&self->gtws, op);
}

static void
fail_execution(session *self, fq_gtws_op *op, fq_str message)
{
    FQ_METRIC_ADD(&self->service->metrics, execute_errors, 1);
    fq_buf buf = FQ_BUF_INIT;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_gql_errors_add_str(&errors, "RESOLVER_ERROR", message);
    fq_gql_errors_write(&errors, &buf);
    fq_str text = fq_buf_str(&buf);
    if (errors.n_items == 0 || fq_buf_status(&buf) != FQ_OK)
        text = errors_out_of_memory;
    fq_gtws_error(&self->gtws, op, text);
    fq_gql_errors_fini(&errors);
    fq_buf_fini(&buf);
}

/* An answer to an operation that has ended, even if its id is in use again,
 * is nobody's. */
static void
answer_execution(session *self, const fq_call *call, fq_str text)
{
    fq_gtws_op *op = fq_gtws_find(&self->gtws,
                                  fq_rcbuf_str(call->subscription_id));
    operation *operation = op != NULL ? op->handle : NULL;
    if (operation == NULL || operation->execution_id != call->sub_id)
        return;
    op->handle = NULL;
    if (call->answer == FQ_ANSWER_VALUE)
        finish_execution(self, op, operation, text);
    else
        fail_execution(self, op, text);
    free_operation(operation);
}

static void
peer_answer(fq_port_peer *peer, fq_call *call)
{
    session *self = session_of_peer(peer);
    fq_str text = call->answer_text == NULL ? fq_str_make(NULL, 0)
                                            : fq_rcbuf_str(call->answer_text);
    if (call->kind == FQ_CALL_EXECUTE)
        answer_execution(self, call, text);
    else if (call->kind != FQ_CALL_INIT)
        fq_engine_answer(self->service->engine, call->sub_id, call->answer,
                         text, fq_clock_now_ns());
    else if (call->answer == FQ_ANSWER_VALUE)
        fq_gtws_ack(&self->gtws, text);
    else
        fq_gtws_refuse(&self->gtws, call->close_code, text);
}

static void
peer_room(fq_port_peer *peer)
{
    session *self = session_of_peer(peer);
    /* Resuming may change the list in any way: look from its start again. */
    bool found;
    do {
        found = false;
        FQ_LIST_FOREACH(node, &self->sink.subs)
        {
            fq_sub *sub = FQ_CONTAINER_OF(node, fq_sub, sink_node);
            if (sub->is_stalled && fq_port_has_room(self->port)) {
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
    session *self = session_of_peer(peer);
    if (self->gtws.state != FQ_GTWS_CLOSED)
        fq_gtws_close(&self->gtws, 1000, fq_str_make(NULL, 0));
    free_session(self);
}

static const fq_port_peer_ops peer_ops = {
    .receive = peer_receive,
    .answer = peer_answer,
    .room = peer_room,
    .disconnect = peer_disconnect,
};

/* ── service → session ── */

static void
client_end(fq_service_client *client, uint16_t code, fq_str reason)
{
    session *self = FQ_CONTAINER_OF(client, session, client);
    if (self->gtws.state != FQ_GTWS_CLOSED)
        fq_gtws_close(&self->gtws, code, reason);
    free_session(self);
}

static void
init_expired(fq_service_deadline *deadline, uint64_t now_ns)
{
    session *self = FQ_CONTAINER_OF(deadline, session, deadline);
    fq_gtws_tick(&self->gtws, now_ns);
}

/* ── life ── */

static void
run_open(fq_job *job)
{
    session *self = FQ_CONTAINER_OF(job, session, open_job);
    fq_service *service = self->service;
    FQ_METRIC_ADD(&service->metrics, connections_total, 1);
    FQ_METRIC_ADD(&service->metrics, connections_active, 1);
    fq_list_init(&self->deadline.node);
    self->deadline.expire = init_expired;
    fq_list_init(&self->client.node);
    self->client.end = client_end;
    if (!service->is_closed) {
        fq_service_add_deadline(service, &self->deadline);
        fq_service_add_client(service, &self->client);
    }
    fq_gtws_init(&self->gtws, &gtws_ops, self, self->deadline.at_ns);
    self->port->peer = &self->peer;
    if (service->is_closed)
        client_end(&self->client, 1012, FQ_STR_LIT("Service restart"));
}

fq_status
fq_session_open(fq_service *service, fq_mailbox *mailbox, void *owner,
                fq_port **pport)
{
    *pport = NULL;
    session *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    fq_port *port = NULL;
    fq_status status = fq_port_new(service->reactor, mailbox, false, owner,
                                   service->limits.queue_max_items,
                                   service->limits.queue_max_bytes, &port);
    if (status != FQ_OK)
        goto fail;
    self->peer.ops = &peer_ops;
    self->sink.ops = &sink_ops;
    fq_list_init(&self->sink.subs);
    self->service = fq_service_ref(service);
    self->context = fq_security_context_ref(service->anonymous);
    self->port = port;
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
    fq_free(self);
    return status;
}
