/* SPDX-License-Identifier: MIT */
/* Liveness. Thread: reactor.
 *
 * What was heard is a time and no more: a message of the client costs a store,
 * and the deadline, set for the moment when silence would have lasted long
 * enough, is moved on when it comes and finds that it has not. */
#include "reactor/liveness.h"

#include "reactor/authentication.h"
#include "reactor/session_state.h"

#define CLOSE_DEAD 4408 /* as a client that does not introduce itself */

static const fq_str reason_dead = FQ_STR("Keep-alive timeout");

void
fq_liveness_init(fq_session *session, uint64_t now_ns)
{
    session->heard_ns = now_ns;
    session->look_at_ns = UINT64_MAX;
    session->is_pinged = false;
    uint64_t keep_alive_ns = session->service->limits.keep_alive_ns;
    if (keep_alive_ns != 0)
        session->look_at_ns = now_ns + keep_alive_ns;
}

void
fq_liveness_hear(fq_session *session, uint64_t at_ns)
{
    session->heard_ns = at_ns;
    if (!session->is_pinged || session->protocol.state == FQ_PROTOCOL_CLOSED)
        return;
    /* The deadline is that of the answer. */
    session->is_pinged = false;
    session->look_at_ns = at_ns + session->service->limits.keep_alive_ns;
    fq_authentication_arm(session);
}

void
fq_liveness_note_closed(fq_session *session, uint64_t now_ns)
{
    const fq_limits *limits = &session->service->limits;
    session->look_at_ns = UINT64_MAX;
    if (limits->keep_alive_ns != 0)
        session->look_at_ns = now_ns + limits->keep_alive_timeout_ns;
    fq_authentication_arm(session);
}

uint64_t
fq_liveness_deadline_ns(const fq_session *session)
{
    const fq_protocol *protocol = &session->protocol;
    bool can_ask = protocol->state == FQ_PROTOCOL_READY
                   && protocol->kind->write_ping != NULL;
    return can_ask || protocol->state == FQ_PROTOCOL_CLOSED
               ? session->look_at_ns
               : UINT64_MAX;
}

/* Nobody reads: what is being sent ends, and with it the connection. */
static void
give_up(fq_session *session)
{
    session->look_at_ns = UINT64_MAX;
    FQ_METRIC_ADD(&session->service->metrics, connections_given_up, 1);
    fq_port_lose(session->port);
}

static void
ping(fq_session *session, uint64_t now_ns)
{
    const fq_limits *limits = &session->service->limits;
    session->is_pinged = true;
    session->look_at_ns = now_ns + limits->keep_alive_timeout_ns;
    fq_buf buf = FQ_BUF_INIT;
    session->protocol.kind->write_ping(&buf);
    FQ_METRIC_ADD(&session->service->metrics, pings_sent, 1);
    fq_protocol_send(&session->protocol, &buf);
}

void
fq_liveness_tick(fq_session *session, uint64_t now_ns)
{
    if (now_ns < fq_liveness_deadline_ns(session))
        return;
    uint64_t silent_at_ns = session->heard_ns
                            + session->service->limits.keep_alive_ns;
    if (session->protocol.state == FQ_PROTOCOL_CLOSED) {
        give_up(session);
    } else if (session->is_pinged) {
        FQ_METRIC_ADD(&session->service->metrics, dead_peers, 1);
        session->end_reason = FQ_END_DISCONNECT;
        fq_protocol_close(&session->protocol, CLOSE_DEAD, reason_dead);
    } else if (silent_at_ns > now_ns) {
        session->look_at_ns = silent_at_ns;
    } else {
        ping(session, now_ns);
    }
}
