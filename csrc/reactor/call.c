/* SPDX-License-Identifier: MIT */
/* Calls: made and sent on the reactor, answered from any thread. */
#include "reactor/call.h"

#include "base/alloc.h"
#include "base/list.h"

static void
run_answer(fq_job *job)
{
    fq_call *call = FQ_CONTAINER_OF(job, fq_call, job);
    fq_port_peer *peer = call->port->peer;
    if (peer != NULL)
        peer->ops->answer(peer, call);
    fq_call_free(call);
}

fq_status
fq_call_new(fq_call_kind kind, fq_port *port, fq_sub_id sub_id,
            fq_call **pcall)
{
    *pcall = NULL;
    fq_call *call = fq_alloc_zero(sizeof(*call));
    if (call == NULL)
        return FQ_ERR_NOMEM;
    call->mail.kind = FQ_MAIL_CALL;
    call->job.run = run_answer;
    call->kind = kind;
    call->port = fq_port_ref(port);
    call->sub_id = sub_id;
    *pcall = call;
    return FQ_OK;
}

void
fq_call_free(fq_call *call)
{
    if (call == NULL)
        return;
    fq_rcbuf_unref(call->data);
    fq_rcbuf_unref(call->variables);
    fq_rcbuf_unref(call->args);
    fq_rcbuf_unref(call->operation_name);
    fq_rcbuf_unref(call->subscription_id);
    fq_rcbuf_unref(call->channel);
    fq_rcbuf_unref(call->event_type);
    fq_rcbuf_unref(call->tenant_id);
    fq_rcbuf_unref(call->boundary);
    fq_rcbuf_unref(call->meta);
    fq_rcbuf_unref(call->answer_text);
    fq_security_context_unref(call->context);
    fq_port_unref(call->port);
    fq_free(call);
}

fq_status
fq_call_send(fq_call *call)
{
    FQ_ON_REACTOR(call->port->reactor);
    if (call->port->mailbox == NULL)
        return FQ_ERR_CLOSED;
    return fq_mailbox_post(call->port->mailbox, &call->mail);
}

void
fq_call_answer(fq_call *call, fq_answer_kind answer, fq_rcbuf *text)
{
    call->answer = answer;
    call->answer_text = text;
    if (call->kind == FQ_CALL_CANCEL || call->kind == FQ_CALL_UNHANDLED
        || fq_reactor_post(call->port->reactor, &call->job) != FQ_OK)
        fq_call_free(call);
}
