/* SPDX-License-Identifier: MIT */
/* Operations that share a stream. One thread at a time. */
#include "protocol/graphql_sse.h"

#include "json/reader.h"
#include "json/writer.h"
#include "protocol/envelope.h"
#include "protocol/graphql_http.h"

/* ── what a client asks ── */

/* Reads |root|; NULL, or what is wrong with it. */
static const char *
read_start(yyjson_val *root, fq_str *pid, fq_protocol_request *request)
{
    const char *fault = fq_graphql_http_read_body(root, request);
    if (fault != NULL)
        return fault;
    yyjson_val *id = fq_json_get(request->extensions,
                                 FQ_STR_LIT("operationId"));
    *pid = fq_json_str(id);
    return pid->len > 0 ? NULL
                        : "\"extensions.operationId\" must be a string: the "
                          "id of the operation.";
}

const char *
fq_graphql_sse_check(fq_str body, int *pstatus)
{
    yyjson_doc *doc;
    fq_str id;
    fq_protocol_request request;
    fq_status status = fq_json_read(body, FQ_JSON_LONE_SURROGATES, &doc, NULL);
    const char *fault = NULL;
    if (status <= FQ_ERR_FATAL)
        fault = "Internal server error";
    else if (status != FQ_OK)
        fault = "The body is no JSON.";
    else
        fault = read_start(yyjson_doc_get_root(doc), &id, &request);
    *pstatus = fault == NULL ? 0 : status <= FQ_ERR_FATAL ? 500 : 400;
    fq_json_free(doc);
    return fault;
}

static void
receive_start(fq_protocol *self, fq_str body)
{
    yyjson_doc *doc;
    fq_str id;
    fq_protocol_request request;
    fq_status status = fq_json_read(body, FQ_JSON_LONE_SURROGATES, &doc, NULL);
    if (status <= FQ_ERR_FATAL)
        fq_protocol_close_as(self, FQ_PROTOCOL_NO_MEMORY);
    else if (read_start(yyjson_doc_get_root(doc), &id, &request) != NULL)
        fq_protocol_close_as(self, FQ_PROTOCOL_INVALID);
    else
        fq_protocol_start(self, id, &request);
    fq_json_free(doc);
}

static void
receive(fq_protocol *self, fq_str text)
{
    fq_str rest = text.len == 0 ? text
                                : fq_str_make(text.ptr + 1, text.len - 1);
    if (self->state == FQ_PROTOCOL_AWAITING_INIT)
        fq_graphql_http_introduce(self, text);
    else if (self->state == FQ_PROTOCOL_READY && text.len > 0
             && text.ptr[0] == FQ_GRAPHQL_SSE_START)
        receive_start(self, rest);
    else if (self->state == FQ_PROTOCOL_READY && text.len > 0
             && text.ptr[0] == FQ_GRAPHQL_SSE_STOP)
        (void)fq_protocol_stop(self, rest);
    else
        fq_protocol_close_as(self, FQ_PROTOCOL_INVALID);
}

/* ── what it is sent ── */

/* The response begins. */
static void
ack(fq_protocol *self, fq_str payload)
{
    (void)payload;
    fq_buf nothing = FQ_BUF_INIT;
    fq_protocol_send(self, &nothing);
}

static void
write_id(fq_buf *buf, const char *event, fq_str id)
{
    fq_buf_append_format(buf, "event: %s\ndata: {\"id\":", event);
    fq_json_write_str(buf, id);
}

static void
write_end(fq_buf *buf, fq_str id)
{
    write_id(buf, "complete", id);
    fq_buf_append_str(buf, FQ_STR_LIT("}\n\n"));
}

static void
write_next_head(fq_buf *buf, fq_str id)
{
    write_id(buf, "next", id);
    fq_buf_append_str(buf, FQ_STR_LIT(",\"payload\":"));
}

static void
write_error(fq_buf *buf, fq_str id, fq_str errors)
{
    write_next_head(buf, id);
    fq_buf_append_str(buf, FQ_STR_LIT("{\"errors\":"));
    fq_buf_append_str(buf, errors);
    fq_buf_append_str(buf, FQ_STR_LIT("}}\n\n"));
    write_end(buf, id);
}

static void
write_keep_alive(fq_buf *buf)
{
    fq_buf_append_str(buf, FQ_STR_LIT(":\n\n"));
}

const fq_protocol_kind fq_graphql_sse = {
    .name = FQ_STR("graphql-sse"),
    .receive = receive,
    .ack = ack,
    .write_error = write_error,
    .write_end = write_end,
    .write_next_head = write_next_head,
    .next_tail = FQ_STR("}\n\n"),
    .is_measured = true,
    .write_keep_alive = write_keep_alive,
};
