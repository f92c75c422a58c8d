/* SPDX-License-Identifier: MIT */
/* Calls filled from a subscription and an event. */
#include "reactor/sub_call.h"

#include <string.h>

#include "base/clock.h"
#include "engine/start.h"
#include "reactor/service_state.h"

static const fq_str out_of_memory = FQ_STR("out of memory");

static fq_rcbuf *
ref_or_null(fq_rcbuf *rcbuf)
{
    return rcbuf == NULL ? NULL : fq_rcbuf_ref(rcbuf);
}

void
fq_sub_call_fill(fq_call *call, const fq_binding *binding,
                 fq_rcbuf *operation_name, fq_security_context *context,
                 fq_event *event)
{
    call->variables = ref_or_null(binding->variables);
    call->args = ref_or_null(binding->args);
    call->operation_name = ref_or_null(operation_name);
    if (context != NULL)
        call->context = fq_security_context_ref(context);
    if (event == NULL)
        return;
    call->data = fq_rcbuf_ref(event->data);
    call->channel = fq_rcbuf_ref(event->channel);
    call->event_type = fq_rcbuf_ref(event->event_type);
    call->tenant_id = ref_or_null(event->tenant_id);
    call->boundary = ref_or_null(event->boundary);
    call->meta = ref_or_null(event->meta);
    memcpy(call->event_id, event->id, FQ_EVENT_ID_MAX);
    call->created_at_ns = event->created_at_ns;
}

void
fq_sub_call_send(fq_engine *engine, fq_port *port, fq_sub *sub, fq_str id,
                 fq_event *event)
{
    fq_call *call;
    fq_call_kind kind = event != NULL        ? FQ_CALL_RESOLVE
                        : sub->start != NULL ? FQ_CALL_INITIAL
                                             : FQ_CALL_NEXT;
    fq_status status = fq_call_new(kind, port, sub->id, &call);
    if (status == FQ_OK)
        status = fq_rcbuf_new(id, &call->subscription_id);
    if (status != FQ_OK) {
        fq_call_free(call);
        fq_engine_answer(engine, sub->id, FQ_ANSWER_ERROR, out_of_memory,
                         fq_clock_now_ns());
        return;
    }
    call->token = kind == FQ_CALL_INITIAL ? sub->start->token : sub->token;
    fq_sub_call_fill(call, &sub->binding, sub->operation_name, sub->context,
                     event);
    /* A closed mailbox: the loop is gone and the client with it; the
     * disconnect that ends this subscription is on its way. */
    if (fq_call_send(call) != FQ_OK)
        fq_call_free(call);
}

void
fq_sub_call_answer(fq_service *service, const fq_call *call)
{
    uint64_t now_ns = fq_clock_now_ns();
    if (call->called_ns != 0)
        fq_histogram_add(&service->metrics.resolver_seconds,
                         now_ns - call->called_ns);
    fq_str text = call->answer_text == NULL ? fq_str_make(NULL, 0)
                                            : fq_rcbuf_str(call->answer_text);
    fq_engine_answer(service->engine, call->sub_id, call->answer, text,
                     now_ns);
}

void
fq_sub_call_cancel(fq_call *cancel, const fq_sub *sub)
{
    if (cancel == NULL)
        return;
    cancel->sub_id = sub->id;
    bool runs = sub->kind == FQ_FIELD_SOURCE || sub->n_calls > 0;
    if (!runs || fq_call_send(cancel) != FQ_OK)
        fq_call_free(cancel);
}

void
fq_sub_call_spare(fq_call **pcancel, const fq_sub *sub)
{
    bool calls = sub->kind != FQ_FIELD_EVENT && sub->shared == NULL;
    if (calls || sub->n_calls > 0)
        return;
    fq_call_free(*pcancel);
    *pcancel = NULL;
}
