/* SPDX-License-Identifier: MIT */
/* Calls: made and sent on the reactor, answered from any thread. */
#include "reactor/call.h"

#include "base/alloc.h"
#include "base/list.h"
#include "reactor/service.h"

static void
run_answer(fq_job *job)
{
    fq_call *call = FQ_CONTAINER_OF(job, fq_call, job);
    if (call->port == NULL)
        fq_service_answer_shared(call->service, call);
    else if (call->port->peer != NULL)
        call->port->peer->ops->answer(call->port->peer, call);
    fq_call_free(call);
}

static fq_call *
call_new(fq_call_kind kind, uint64_t id)
{
    fq_call *call = fq_alloc_zero(sizeof(*call));
    if (call == NULL)
        return NULL;
    call->mail.kind = FQ_MAIL_CALL;
    call->job.run = run_answer;
    call->kind = kind;
    call->sub_id = id;
    return call;
}

fq_status
fq_call_new(fq_call_kind kind, fq_port *port, fq_sub_id sub_id,
            fq_call **pcall)
{
    fq_call *call = *pcall = call_new(kind, sub_id);
    if (call == NULL)
        return FQ_ERR_NOMEM;
    call->port = fq_port_ref(port);
    return FQ_OK;
}

fq_status
fq_call_new_shared(fq_call_kind kind, fq_service *service, fq_mailbox *mailbox,
                   uint64_t id, fq_call **pcall)
{
    fq_call *call = *pcall = call_new(kind, id);
    if (call == NULL)
        return FQ_ERR_NOMEM;
    call->service = fq_service_ref(service);
    call->mailbox = fq_mailbox_ref(mailbox);
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
    fq_service_unref(call->service);
    fq_mailbox_unref(call->mailbox);
    fq_free(call);
}

static fq_reactor *
call_reactor(const fq_call *call)
{
    return call->port != NULL ? call->port->reactor
                              : fq_service_reactor(call->service);
}

fq_status
fq_call_send(fq_call *call)
{
    FQ_ON_REACTOR(call_reactor(call));
    fq_mailbox *mailbox = call->port != NULL ? call->port->mailbox
                                             : call->mailbox;
    if (mailbox == NULL)
        return FQ_ERR_CLOSED;
    return fq_mailbox_post(mailbox, &call->mail);
}

void
fq_call_answer(fq_call *call, fq_answer_kind answer, fq_rcbuf *text)
{
    call->answer = answer;
    call->answer_text = text;
    if (call->kind == FQ_CALL_CANCEL || call->kind == FQ_CALL_UNHANDLED
        || fq_reactor_post(call_reactor(call), &call->job) != FQ_OK)
        fq_call_free(call);
}
