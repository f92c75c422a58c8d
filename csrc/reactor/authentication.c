/* SPDX-License-Identifier: MIT */
/* Authentication: asking, answers, expiry. Thread: reactor.
 *
 * A context is never changed, only replaced: the session's and, one by one,
 * that of each subscription, which is let in again as if it came now. Where
 * anything is in doubt the client loses: an answer that is late, a context
 * that has expired on arrival, a subscription that the new one may not have.
 *
 * Time: expires_at is a time of the wall clock, timers run on the monotonic
 * one. The wall clock is asked again when the timer fires, so that one set
 * back in between does not end a client early. */
#include "reactor/authentication.h"

#include "base/clock.h"
#include "json/reader.h"
#include "json/writer.h"
#include "reactor/liveness.h"
#include "reactor/operation.h"

#define CLOSE_TRY_AGAIN 1013

static const fq_str reason_none = {NULL, 0};
static const fq_str reason_too_many = FQ_STR("Too many connections");
static const fq_str reason_expired = FQ_STR("Token expired");

/* ── time ── */

static uint64_t
expiry_of(const fq_security_context *context, uint64_t now_ns)
{
    return fq_security_expires_at_ns(context, now_ns, fq_clock_wall_ns());
}

void
fq_authentication_arm(fq_session *session)
{
    bool is_closed = session->protocol.state == FQ_PROTOCOL_CLOSED;
    uint64_t at_ns = fq_liveness_deadline_ns(session);
    if (!is_closed) {
        uint64_t protocol_ns = fq_protocol_deadline_ns(&session->protocol);
        if (protocol_ns < at_ns)
            at_ns = protocol_ns;
        if (session->asked_until_ns < at_ns)
            at_ns = session->asked_until_ns;
        if (session->expires_ns < at_ns)
            at_ns = session->expires_ns;
    }
    fq_deadlines_set(&session->service->deadlines, &session->deadline, at_ns);
    atomic_store_explicit(&session->port->deadline_ns,
                          is_closed ? UINT64_MAX : at_ns,
                          memory_order_relaxed);
}

/* What the client may has ended; it has the grace to bring something new. */
static void
expire_context(fq_session *session, uint64_t now_ns)
{
    const fq_auth_settings *auth = &session->service->auth;
    if (!session->is_expired) {
        uint64_t at_ns = expiry_of(session->context, now_ns);
        if (at_ns > now_ns) {
            session->expires_ns = at_ns;
            return;
        }
        session->is_expired = true;
        session->expires_ns = now_ns + auth->expiry_grace_ns;
        if (auth->expiry_grace_ns > 0)
            return;
    }
    FQ_METRIC_ADD(&session->service->metrics, connections_expired, 1);
    session->end_reason = FQ_END_EXPIRED;
    fq_protocol_close(&session->protocol, auth->expiry_code, reason_expired);
}

static void
on_deadline(fq_deadline *deadline, uint64_t now_ns)
{
    fq_session *session = FQ_CONTAINER_OF(deadline, fq_session, deadline);
    fq_protocol_tick(&session->protocol, now_ns);
    if (session->asked_until_ns <= now_ns) {
        FQ_METRIC_ADD(&session->service->metrics, refused_auth_timeouts, 1);
        fq_protocol_refuse(&session->protocol, 0, reason_none);
    }
    if (session->protocol.state != FQ_PROTOCOL_CLOSED
        && session->expires_ns <= now_ns)
        expire_context(session, now_ns);
    fq_liveness_tick(session, now_ns);
    fq_authentication_arm(session);
}

/* ── life ── */

void
fq_authentication_init(fq_session *session)
{
    session->asked_until_ns = UINT64_MAX;
    session->expires_ns = UINT64_MAX;
    session->deadline.expire = on_deadline;
    fq_timer_init(&session->deadline.timer);
}

void
fq_authentication_fini(fq_session *session)
{
    fq_deadlines_set(&session->service->deadlines, &session->deadline,
                     UINT64_MAX);
    session->asked_until_ns = UINT64_MAX;
    session->expires_ns = UINT64_MAX;
    fq_rcbuf_unref(session->next_ping);
    session->next_ping = NULL;
}

/* ── asking ── */

/* Sends a call with |payload| (one reference, given away; may be NULL). */
static fq_status
ask(fq_session *session, fq_call_kind kind, fq_rcbuf *payload)
{
    const fq_auth_settings *auth = &session->service->auth;
    fq_call *call;
    fq_status status = fq_call_new(kind, session->port, 0, &call);
    if (status != FQ_OK) {
        fq_rcbuf_unref(payload);
        return status;
    }
    call->token = auth->token;
    call->data = payload;
    status = fq_call_send(call);
    if (status != FQ_OK) {
        fq_call_free(call);
        return status;
    }
    session->asked_orders = session->service->orders.n_ever;
    if (auth->token != 0)
        session->asked_until_ns = fq_clock_now_ns() + auth->timeout_ns;
    return FQ_OK;
}

static fq_status
payload_text(yyjson_val *payload, fq_rcbuf **ptext)
{
    *ptext = NULL;
    if (payload == NULL)
        return FQ_OK;
    fq_buf buf = FQ_BUF_INIT;
    fq_json_write_val(&buf, payload);
    fq_status status = fq_buf_to_rcbuf(&buf, ptext);
    fq_buf_fini(&buf);
    return status;
}

static void
refuse(fq_session *session, uint16_t code, fq_str reason)
{
    FQ_METRIC_ADD(&session->service->metrics, refused_authentications, 1);
    fq_protocol_refuse(&session->protocol, code, reason);
}

void
fq_authentication_start(fq_session *session, yyjson_val *payload)
{
    fq_rcbuf *text;
    fq_status status = FQ_OK;
    if (!session->service->has_init_hook) {
        fq_protocol_ack(&session->protocol, fq_str_make(NULL, 0),
                        fq_clock_now_ns());
    } else {
        status = payload_text(payload, &text);
        if (status == FQ_OK)
            status = ask(session, FQ_CALL_INIT, text);
    }
    if (status != FQ_OK)
        refuse(session, 0, reason_none);
    fq_authentication_arm(session);
}

void
fq_authentication_ping(fq_session *session, yyjson_val *payload)
{
    if (session->service->auth.token == 0
        || session->protocol.state != FQ_PROTOCOL_READY
        || !yyjson_is_str(fq_json_get(payload, FQ_STR_LIT("authorization"))))
        return;
    fq_rcbuf *text;
    fq_status status = payload_text(payload, &text);
    if (status == FQ_OK && session->asked_until_ns != UINT64_MAX) {
        fq_rcbuf_unref(session->next_ping);
        session->next_ping = text;
    } else if (status == FQ_OK) {
        status = ask(session, FQ_CALL_RENEW, text);
    }
    if (status != FQ_OK)
        refuse(session, 0, reason_none);
    fq_authentication_arm(session);
}

/* ── answers ── */

/* Counts the connection for its user; false: there are too many of that one,
 * and the session is closed. */
static bool
enter_user(fq_session *session)
{
    fq_service *service = session->service;
    fq_status status = fq_user_table_move(
        fq_engine_users(service->engine), session->context,
        FQ_USER_CONNECTIONS, service->limits.max_connections_per_user,
        &session->user);
    if (status == FQ_OK)
        return true;
    FQ_METRIC_ADD(&service->metrics, refused_user_connections, 1);
    fq_protocol_close(&session->protocol, CLOSE_TRY_AGAIN, reason_too_many);
    return false;
}

/* Makes |context| the session's; false: it has expired already. */
static bool
set_context(fq_session *session, fq_security_context *context)
{
    uint64_t now_ns = fq_clock_now_ns();
    uint64_t expires_ns = expiry_of(context, now_ns);
    if (expires_ns <= now_ns)
        return false;
    fq_security_context_ref(context);
    fq_security_context_unref(session->context);
    session->context = context;
    session->expires_ns = expires_ns;
    session->is_expired = false;
    return true;
}

static void
answer_init(fq_session *session, const fq_call *call, fq_str text)
{
    if (call->answer != FQ_ANSWER_VALUE)
        refuse(session, call->close_code, text);
    else if (call->context != NULL && !set_context(session, call->context))
        refuse(session, 0, reason_none);
    else if (enter_user(session))
        fq_protocol_ack(&session->protocol, text, fq_clock_now_ns());
}

/* Every subscription is looked at once: those seen go to the end of the list.
 * Ending one may close the session, which empties it. */
static void
renew_subscriptions(fq_session *session)
{
    size_t n = 0;
    FQ_LIST_FOREACH(node, &session->sink.subs)
    n++;
    while (n-- > 0 && !fq_list_is_empty(&session->sink.subs)) {
        fq_list *node = fq_list_pop_front(&session->sink.subs);
        fq_list_push_back(&session->sink.subs, node);
        fq_operation_renew(session, FQ_CONTAINER_OF(node, fq_sub, sink_node));
    }
}

static void
answer_renewal(fq_session *session, const fq_call *call, fq_str text)
{
    if (call->answer != FQ_ANSWER_VALUE || call->context == NULL) {
        refuse(session, call->close_code, text);
        return;
    }
    bool was_expired = session->is_expired;
    if (!set_context(session, call->context)) {
        refuse(session, 0, reason_none);
        return;
    }
    if (!enter_user(session))
        return;
    FQ_METRIC_ADD(&session->service->metrics, reauthentications, 1);
    renew_subscriptions(session);
    /* Sources were held while nothing could be delivered. */
    if (was_expired && session->protocol.state != FQ_PROTOCOL_CLOSED)
        session->peer.ops->room(&session->peer);
    fq_rcbuf *next = session->next_ping;
    session->next_ping = NULL;
    if (next == NULL)
        return;
    if (session->protocol.state == FQ_PROTOCOL_CLOSED)
        fq_rcbuf_unref(next);
    else if (ask(session, FQ_CALL_RENEW, next) != FQ_OK)
        refuse(session, 0, reason_none);
}

/* Whether somebody has had the client that |call| lets in disconnected since
 * its handler was asked; then it is. */
static bool
is_disconnected(fq_session *session, const fq_call *call)
{
    fq_close close;
    if (call->answer != FQ_ANSWER_VALUE || call->context == NULL
        || !fq_orders_find(&session->service->orders, session->asked_orders,
                           call->context,
                           fq_rcbuf_str(session->port->connection_id), &close))
        return false;
    session->end_reason = FQ_END_MANAGED;
    fq_protocol_close(&session->protocol, close.code,
                      fq_str_make(close.reason, close.reason_len));
    return true;
}

void
fq_authentication_answer(fq_session *session, const fq_call *call)
{
    if (session->protocol.state == FQ_PROTOCOL_CLOSED)
        return;
    fq_str text = call->answer_text == NULL ? fq_str_make(NULL, 0)
                                            : fq_rcbuf_str(call->answer_text);
    session->asked_until_ns = UINT64_MAX;
    bool is_gone = is_disconnected(session, call);
    if (!is_gone && call->kind == FQ_CALL_INIT)
        answer_init(session, call, text);
    else if (!is_gone)
        answer_renewal(session, call, text);
    fq_authentication_arm(session);
}
