/* SPDX-License-Identifier: MIT */
/* The payload of a `subscribe`, put together again for Python. */
#include "reactor/execute_call.h"

#include "json/writer.h"

/* `{"query":…,"operationName":…,"variables":…,"extensions":…}`, always with
 * all four, so that handlers need not ask which there are. */
static fq_status
write_payload(const fq_execute_request *request, fq_rcbuf **pdata)
{
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_str(&buf, FQ_STR_LIT("{\"query\":"));
    fq_json_write_str(&buf, request->query);
    fq_buf_append_str(&buf, FQ_STR_LIT(",\"operationName\":"));
    if (request->operation_name.ptr != NULL)
        fq_json_write_str(&buf, request->operation_name);
    else
        fq_json_write_val(&buf, NULL);
    fq_buf_append_str(&buf, FQ_STR_LIT(",\"variables\":"));
    fq_json_write_val(&buf, request->variables);
    fq_buf_append_str(&buf, FQ_STR_LIT(",\"extensions\":"));
    fq_json_write_val(&buf, request->extensions);
    fq_buf_append_char(&buf, '}');
    fq_status status = fq_buf_to_rcbuf(&buf, pdata);
    fq_buf_fini(&buf);
    return status;
}

fq_status
fq_execute_call_send(fq_port *port, fq_call_kind kind,
                     const fq_execute_request *request, uint64_t token,
                     uint64_t execution_id)
{
    fq_call *call;
    fq_status status = fq_call_new(kind, port, execution_id, &call);
    if (status != FQ_OK)
        return status;
    call->token = token;
    if (request->context != NULL)
        call->context = fq_security_context_ref(request->context);
    status = fq_rcbuf_new(request->id, &call->subscription_id);
    if (status == FQ_OK && request->operation_name.ptr != NULL)
        status = fq_rcbuf_new(request->operation_name, &call->operation_name);
    if (status == FQ_OK)
        status = write_payload(request, &call->data);
    if (status != FQ_OK || fq_call_send(call) != FQ_OK)
        fq_call_free(call);
    return status;
}
