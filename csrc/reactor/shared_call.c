/* SPDX-License-Identifier: MIT */
/* Calls for classes. A class holds the call that will cancel it, so that ending
 * needs no memory. Thread: reactor. */
#include "reactor/shared_call.h"

#include "base/clock.h"
#include "engine/shared.h"
#include "reactor/call.h"
#include "reactor/service_state.h"
#include "reactor/sub_call.h"

static const fq_str out_of_memory = FQ_STR("out of memory");

static fq_status
shared_open(void *ctx, fq_shared *shared)
{
    fq_call *cancel;
    fq_status status = fq_call_new_shared(FQ_CALL_CANCEL, ctx, shared->route,
                                          shared->id, &cancel);
    shared->handle = cancel;
    return status;
}

static void
shared_call(void *ctx, fq_shared *shared, fq_event *event)
{
    fq_service *service = ctx;
    fq_call *call;
    if (fq_call_new_shared(FQ_CALL_SHARED, service, shared->route, shared->id,
                           &call)
        != FQ_OK) {
        fq_engine_answer_shared(service->engine, shared->id, FQ_ANSWER_ERROR,
                                out_of_memory, fq_clock_now_ns());
        return;
    }
    call->token = shared->token;
    fq_sub_call_fill(call, &shared->binding, shared->operation_name,
                     shared->context, event);
    /* A closed mailbox: its clients are on their way out, and with the last of
     * them the class ends. */
    if (fq_call_send(call) != FQ_OK)
        fq_call_free(call);
}

static void
shared_close(void *ctx, fq_shared *shared)
{
    (void)ctx;
    fq_call *cancel = shared->handle;
    shared->handle = NULL;
    if (shared->called == NULL || fq_call_send(cancel) != FQ_OK)
        fq_call_free(cancel);
}

const fq_shared_ops fq_shared_call_ops = {
    .open = shared_open,
    .call = shared_call,
    .close = shared_close,
};

void
fq_service_answer_shared(fq_service *service, fq_call *call)
{
    if (service->engine == NULL)
        return;
    uint64_t now_ns = fq_clock_now_ns();
    if (call->called_ns != 0)
        fq_histogram_add(&service->metrics.resolver_seconds,
                         now_ns - call->called_ns);
    fq_str text = call->answer_text == NULL ? fq_str_make(NULL, 0)
                                            : fq_rcbuf_str(call->answer_text);
    fq_engine_answer_shared(service->engine, call->sub_id, call->answer, text,
                            now_ns);
}
