/* SPDX-License-Identifier: MIT */
/* Operations: from a `subscribe` to the engine or to Python, and their end.
 * Thread: reactor. */
#include "reactor/operation.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "json/reader.h"
#include "json/writer.h"
#include "reactor/authentication.h"
#include "reactor/call.h"
#include "reactor/resume.h"
#include "reactor/sub_call.h"

/* Executions are numbered in the upper half of an id whose lower half is the
 * one slot that no subscription has (registry.c). */
#define EXECUTION_SLOT UINT32_MAX

static const fq_str errors_out_of_memory = FQ_STR(
    "[{\"message\":\"Out of memory\"}]");

/* ── one operation ── */

void
fq_operation_free(fq_operation *self)
{
    fq_rcbuf_unref(self->head);
    fq_call_free(self->cancel);
    if (self->ended != NULL && fq_call_send(self->ended) != FQ_OK)
        fq_call_free(self->ended);
    fq_free(self);
}

/* Frees one that was not let in: nobody is told of its end. */
static void
free_refused(fq_operation *self)
{
    fq_call_free(self->ended);
    self->ended = NULL;
    fq_operation_free(self);
}

static fq_status
new_operation(fq_session *session, fq_protocol_op *op, fq_operation **pself)
{
    *pself = NULL;
    fq_operation *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    self->op = op;
    fq_status status = fq_call_new(FQ_CALL_CANCEL, session->port, 0,
                                   &self->cancel);
    if (status != FQ_OK) {
        fq_operation_free(self);
        return status;
    }
    *pself = self;
    return FQ_OK;
}

static void
cancel_execution(fq_operation *self)
{
    fq_call *cancel = self->cancel;
    self->cancel = NULL;
    cancel->sub_id = self->execution_id;
    if (fq_call_send(cancel) != FQ_OK)
        fq_call_free(cancel);
}

void
fq_operation_release(fq_session *session, fq_operation *self,
                     fq_end_reason reason)
{
    if (self->execution_id != 0)
        cancel_execution(self);
    if (self->sub != NULL) {
        fq_sub_call_cancel(self->cancel, self->sub);
        self->cancel = NULL;
        if (reason == FQ_END_COMPLETE || reason == FQ_END_EXPIRED
            || reason == FQ_END_MANAGED)
            fq_port_purge(session->port, self->sub->id);
        fq_engine_unsubscribe(session->service->engine, self->sub, reason);
    }
    fq_operation_free(self);
}

void
fq_operation_refuse(fq_session *session, fq_operation *self,
                    fq_end_reason reason, fq_str errors)
{
    fq_protocol_op *op = self->op;
    op->handle = NULL;
    fq_operation_release(session, self, reason);
    fq_protocol_error(&session->protocol, op, errors);
}

/* ── the start ── */

/* The one result of |op| and its end. Errors: FQ_ERR_NOMEM (nothing was
 * sent, |op| goes on). */
static fq_status
send_only(fq_session *session, fq_protocol_op *op, fq_str result)
{
    fq_status status = fq_protocol_next(&session->protocol, op, result);
    if (status == FQ_OK && session->protocol.state != FQ_PROTOCOL_CLOSED)
        fq_protocol_end(&session->protocol, op);
    return status;
}

/* Answers a subscribe that came to nothing. Variables that do not fit are a
 * request error: a result without data, then the end (GraphQL Sep 2025 7.1).
 * Everything else is an `error` message. */
static void
refuse_operation(fq_session *session, fq_protocol_op *op,
                 fq_gql_errors *errors, bool is_request_error)
{
    FQ_METRIC_ADD(&session->service->metrics, subscriptions_refused, 1);
    fq_buf buf = FQ_BUF_INIT;
    if (is_request_error) {
        fq_buf_append_str(&buf, FQ_STR_LIT("{\"errors\":"));
        fq_gql_errors_write(errors, &buf);
        fq_buf_append_char(&buf, '}');
        if (fq_buf_status(&buf) == FQ_OK
            && send_only(session, op, fq_buf_str(&buf)) == FQ_OK)
            goto out;
    } else if (errors->n_items > 0) {
        fq_gql_errors_write(errors, &buf);
    }
    fq_str text = fq_buf_str(&buf);
    if (fq_buf_status(&buf) != FQ_OK || is_request_error || text.len == 0)
        text = errors_out_of_memory;
    fq_protocol_error(&session->protocol, op, text);
out:
    fq_buf_fini(&buf);
}

/* Asks Python to log, once, that there is nothing to execute with. */
static void
tell_unhandled(fq_session *session)
{
    fq_service *service = session->service;
    fq_call *call;
    if (service->has_told_unhandled
        || fq_call_new(FQ_CALL_UNHANDLED, session->port, 0, &call) != FQ_OK)
        return;
    service->has_told_unhandled = true;
    if (fq_call_send(call) != FQ_OK)
        fq_call_free(call);
}

/* Finds who executes |plan|, a query or mutation; *ptoken is 0 for nobody. */
static fq_status
find_executor(fq_service *service, const fq_plan *plan, uint64_t *ptoken,
              fq_gql_errors *errors)
{
    *ptoken = service->execute_token;
    if (fq_plan_operation_type(plan) != FQ_OPERATION_QUERY)
        return FQ_OK;
    if (service->introspect == FQ_INTROSPECT_REFUSE
        && fq_plan_asks_schema(plan)) {
        FQ_METRIC_ADD(&service->metrics, refused_introspection, 1);
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
start_execution(fq_session *session, fq_operation *operation, uint64_t token,
                const fq_execute_request *request)
{
    fq_sub_id id = (fq_sub_id)++session->n_executions << 32 | EXECUTION_SLOT;
    fq_execute_request asked = *request;
    asked.context = session->context;
    fq_status status = fq_execute_call_send(session->port, FQ_CALL_EXECUTE,
                                            &asked, token, id);
    if (status != FQ_OK)
        return status;
    operation->execution_id = id;
    FQ_METRIC_ADD(&session->service->metrics, execute_calls, 1);
    return FQ_OK;
}

static size_t
operation_n_bytes(const fq_operation *self)
{
    return sizeof(*self) + sizeof(fq_protocol_op) + self->op->id.len
           + sizeof(fq_rcbuf) + self->head->len
           + (self->cancel != NULL ? sizeof(fq_call) : 0);
}

/* Asks the application whether it may start; it does when Python says so. */
static fq_status
ask_hook(fq_session *session, fq_operation *operation,
         const fq_execute_request *request)
{
    fq_sub_id id = (fq_sub_id)++session->n_executions << 32 | EXECUTION_SLOT;
    fq_status status = fq_call_new(FQ_CALL_ENDED, session->port, id,
                                   &operation->ended);
    if (status == FQ_OK)
        status = fq_execute_call_send(session->port, FQ_CALL_SUBSCRIBE,
                                      request,
                                      session->service->subscribe_token, id);
    if (status == FQ_OK)
        operation->execution_id = id;
    return status;
}

/* Starts a subscription, which |args| is complete for but the plan. */
static fq_status
start_subscription(fq_session *session, fq_operation *operation,
                   const fq_subscribe_args *args, fq_gql_errors *errors,
                   bool *pis_request_error)
{
    fq_sub *sub = NULL;
    fq_status status = fq_outage_admit(session->service, errors);
    if (status == FQ_OK)
        status = fq_engine_subscribe(session->service->engine, &session->sink,
                                     args, &sub, errors, pis_request_error);
    /* A source may have ended in its first call; all of it is gone then. */
    if (status == FQ_OK && sub != NULL) {
        operation->sub = sub;
        fq_sub_call_spare(&operation->cancel, sub);
        fq_engine_hold_bytes(session->service->engine, sub,
                             operation_n_bytes(operation));
    }
    return status;
}

static fq_protocol_operation
operation_type(const fq_plan *plan)
{
    switch (fq_plan_operation_type(plan)) {
    case FQ_OPERATION_SUBSCRIPTION:
        return FQ_PROTOCOL_SUBSCRIPTION;
    case FQ_OPERATION_MUTATION:
        return FQ_PROTOCOL_MUTATION;
    default:
        return FQ_PROTOCOL_QUERY;
    }
}

/* Asks the protocol, once, whether it can answer |plan|, and by which words.
 * FQ_ERR_CLOSED: it cannot, and has closed. */
static fq_status
settle_answer(fq_session *session, fq_operation *operation,
              const fq_plan *plan)
{
    if (operation->head != NULL)
        return FQ_OK;
    /* Who starts it releases it, not the close. */
    operation->op->handle = NULL;
    bool is_admitted = fq_protocol_admits(
        &session->protocol, operation_type(plan), fq_clock_now_ns());
    operation->op->handle = operation;
    if (!is_admitted)
        return FQ_ERR_CLOSED;
    fq_authentication_arm(session);
    return fq_protocol_next_head(&session->protocol, operation->op,
                                 &operation->head, &operation->tail_len);
}

/* How the client hears of positions: as it asks, and where its protocol has a
 * place for them of its own, always. */
static uint8_t
position_as(const fq_session *session, const fq_resume *resume)
{
    unsigned as = 0;
    if (resume->wants_position)
        as |= FQ_POSITION_EXTENSION;
    if (session->protocol.kind->has_event_ids)
        as |= FQ_POSITION_EVENT_ID;
    return (uint8_t)as;
}

static fq_status
start_operation(fq_session *session, fq_operation *operation,
                const fq_execute_request *request, bool asks_hook,
                fq_gql_errors *errors, bool *pis_request_error)
{
    fq_service *service = session->service;
    fq_resume resume;
    if (fq_resume_read(request->extensions, &resume, errors) != FQ_OK) {
        FQ_METRIC_ADD(&service->metrics, refused_positions, 1);
        return FQ_ERR_INVALID;
    }
    fq_subscribe_args args = {
        .query = request->query,
        .operation_name = request->operation_name,
        .variables = request->variables,
        .context = session->context,
        .is_client = true,
        .after = resume.after,
        .handle = operation,
        .now_ns = fq_clock_now_ns(),
        .wall_ns = fq_clock_wall_ns(),
    };
    fq_plan *plan;
    fq_status status = fq_engine_plan(service->engine, &args, &plan, errors);
    if (status != FQ_OK)
        return status;
    args.plan = plan;
    uint64_t token = 0;
    bool is_subscription = fq_plan_operation_type(plan)
                           == FQ_OPERATION_SUBSCRIPTION;
    status = settle_answer(session, operation, plan);
    args.position_as = position_as(session, &resume);
    if (status == FQ_OK && !is_subscription)
        status = find_executor(service, plan, &token, errors);
    if (status != FQ_OK) {
        /* Refused. */
    } else if (token != 0) {
        status = start_execution(session, operation, token, request);
    } else if (is_subscription && asks_hook && service->subscribe_token != 0) {
        status = ask_hook(session, operation, request);
    } else {
        if (!is_subscription)
            tell_unhandled(session);
        status = start_subscription(session, operation, &args, errors,
                                    pis_request_error);
    }
    fq_plan_unref(plan);
    return status;
}

/* Is there room for one more, and a document? */
static fq_status
admit_operation(fq_session *session, fq_execute_request *request,
                fq_gql_errors *errors)
{
    fq_service *service = session->service;
    if (session->is_expired) {
        FQ_METRIC_ADD(&service->metrics, refused_expired, 1);
        fq_gql_errors_add(errors, "FORBIDDEN",
                          "The authorization has expired.");
        return FQ_ERR_INVALID;
    }
    size_t max = service->limits.max_subscriptions_per_connection;
    if (max != 0 && fq_protocol_n_ops(&session->protocol) > max) {
        FQ_METRIC_ADD(&service->metrics, refused_subscriptions, 1);
        fq_gql_errors_add(errors, "LIMIT_REACHED",
                          "A connection may hold %zu subscriptions; complete "
                          "one first.",
                          max);
        return FQ_ERR_LIMIT;
    }
    if (fq_service_admit_memory(service, errors) != FQ_OK)
        return FQ_ERR_LIMIT;
    fq_status status = fq_persisted_resolve(service->persisted, request->query,
                                            request->extensions,
                                            &request->query, errors);
    if (status == FQ_ERR_INVALID)
        FQ_METRIC_ADD(&service->metrics, refused_persisted, 1);
    return status;
}

void
fq_operation_start(fq_session *session, fq_protocol_op *op,
                   const fq_execute_request *request)
{
    bool is_request_error = false;
    fq_operation *operation = NULL;
    fq_execute_request admitted = *request;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    FQ_METRIC_ADD(&session->service->metrics, subscriptions_pending, 1);
    fq_status status = admit_operation(session, &admitted, &errors);
    if (status == FQ_OK)
        status = new_operation(session, op, &operation);
    if (status == FQ_OK) {
        op->handle = operation;
        status = start_operation(session, operation, &admitted, true, &errors,
                                 &is_request_error);
    }
    if (status != FQ_OK) {
        /* The machine frees op when it is refused; the handle goes first. */
        op->handle = NULL;
        refuse_operation(session, op, &errors, is_request_error);
        if (operation != NULL)
            free_refused(operation);
    }
    FQ_METRIC_SUB(&session->service->metrics, subscriptions_pending, 1);
    fq_gql_errors_fini(&errors);
}

/* ── another context ── */

void
fq_operation_renew(fq_session *session, fq_sub *sub)
{
    fq_buf buf = FQ_BUF_INIT;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    if (fq_engine_renew(session->service->engine, sub, session->context,
                        fq_clock_now_ns(), fq_clock_wall_ns(), &errors)
        != FQ_OK) {
        fq_gql_errors_write(&errors, &buf);
        fq_str text = fq_buf_str(&buf);
        if (errors.n_items == 0 || fq_buf_status(&buf) != FQ_OK)
            text = errors_out_of_memory;
        fq_operation_refuse(session, sub->handle, FQ_END_EXPIRED, text);
    }
    fq_gql_errors_fini(&errors);
    fq_buf_fini(&buf);
}

/* ── answers from Python ── */

static void
fail_execution(fq_session *session, fq_protocol_op *op, fq_str message)
{
    fq_buf buf = FQ_BUF_INIT;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_gql_errors_add_str(&errors, "RESOLVER_ERROR", message);
    fq_gql_errors_write(&errors, &buf);
    fq_str text = fq_buf_str(&buf);
    if (errors.n_items == 0 || fq_buf_status(&buf) != FQ_OK)
        text = errors_out_of_memory;
    fq_protocol_error(&session->protocol, op, text);
    fq_gql_errors_fini(&errors);
    fq_buf_fini(&buf);
}

/* The request as the hook was asked about it, which |doc| holds. */
static void
read_request(yyjson_doc *doc, fq_str id, fq_execute_request *request)
{
    yyjson_val *root = yyjson_doc_get_root(doc);
    yyjson_val *name = fq_json_get(root, FQ_STR_LIT("operationName"));
    yyjson_val *variables = fq_json_get(root, FQ_STR_LIT("variables"));
    yyjson_val *extensions = fq_json_get(root, FQ_STR_LIT("extensions"));
    *request = (fq_execute_request){
        .id = id,
        .query = fq_json_str(fq_json_get(root, FQ_STR_LIT("query"))),
        .variables = yyjson_is_obj(variables) ? variables : NULL,
        .extensions = yyjson_is_obj(extensions) ? extensions : NULL,
    };
    if (yyjson_is_str(name))
        request->operation_name = fq_json_str(name);
}

/* The hook lets it in: starts it, or answers why not. */
static void
resume_operation(fq_session *session, fq_protocol_op *op,
                 fq_operation *operation, const fq_call *call)
{
    yyjson_doc *doc;
    fq_execute_request request;
    bool is_request_error = false;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_status status = fq_json_read(fq_rcbuf_str(call->data),
                                    FQ_JSON_LONE_SURROGATES, &doc, NULL);
    if (status == FQ_OK) {
        read_request(doc, op->id, &request);
        op->handle = operation;
        status = start_operation(session, operation, &request, false, &errors,
                                 &is_request_error);
    }
    if (status != FQ_OK) {
        op->handle = NULL;
        refuse_operation(session, op, &errors, is_request_error);
        fq_operation_free(operation);
    }
    fq_json_free(doc);
    fq_gql_errors_fini(&errors);
}

/* |text| is the JSON of what the hook gave: null, or errors. */
static void
answer_hook(fq_session *session, fq_protocol_op *op, fq_operation *operation,
            const fq_call *call, fq_str text)
{
    operation->execution_id = 0;
    if (call->answer == FQ_ANSWER_VALUE
        && fq_str_eq(text, FQ_STR_LIT("null"))) {
        resume_operation(session, op, operation, call);
        return;
    }
    FQ_METRIC_ADD(&session->service->metrics, subscriptions_refused, 1);
    if (call->answer == FQ_ANSWER_VALUE)
        fq_protocol_error(&session->protocol, op, text);
    else
        fail_execution(session, op, text);
    free_refused(operation);
}

/* An answer to an operation that has ended, even if its id is in use again,
 * is nobody's. */
void
fq_operation_answer(fq_session *session, const fq_call *call, fq_str text)
{
    fq_protocol_op *op = fq_protocol_find(&session->protocol,
                                          fq_rcbuf_str(call->subscription_id));
    fq_operation *operation = op != NULL ? op->handle : NULL;
    if (operation == NULL || operation->execution_id != call->sub_id)
        return;
    op->handle = NULL;
    if (call->kind == FQ_CALL_SUBSCRIBE) {
        answer_hook(session, op, operation, call, text);
        return;
    }
    if (call->answer == FQ_ANSWER_VALUE) {
        if (send_only(session, op, text) != FQ_OK)
            fq_protocol_error(&session->protocol, op, errors_out_of_memory);
    } else {
        FQ_METRIC_ADD(&session->service->metrics, execute_errors, 1);
        fail_execution(session, op, text);
    }
    fq_operation_free(operation);
}
