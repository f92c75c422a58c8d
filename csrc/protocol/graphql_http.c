/* SPDX-License-Identifier: MIT */
/* One request and its answer. One thread at a time.
 *
 * The opening asks the owner who the client is; the request waits for the
 * answer, so that a client that is not let in learns nothing about it. Then
 * the operation decides what the answer is: a result goes out as JSON where
 * that is accepted, a subscription as a stream, and until the owner has said
 * which it is, errors are JSON where they can be. */
#include "protocol/graphql_http.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/check.h"
#include "json/reader.h"
#include "json/utf8.h"
#include "json/writer.h"
#include "protocol/envelope.h"
#include "protocol/form.h"

/* The operation's id, of which there is one. */
static const fq_str only_id = FQ_STR("1");

/* What fq_protocol.own is. */
typedef struct exchange {
    bool is_get;
    bool has_request; /* it came */
    fq_media_type stream;
    fq_rcbuf *waiting; /* the request, until the client was let in; or NULL */
    fq_rcbuf *last_event_id; /* NULL: none */
} exchange;

/* Closes with |status|, the reason made of |format|. */
static void __attribute__((format(printf, 3, 4)))
refuse(fq_protocol *self, int status, const char *format, ...)
{
    /* Longer than any: only fq_protocol_close cuts it. */
    char reason[FQ_ERROR_MESSAGE_MAX + FQ_PROTOCOL_REASON_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    fq_protocol_close(self, (uint16_t)(4000 + status), fq_str_of(reason));
}

/* ── the request ── */

/* One without a query may name a document by its hash (persisted.h). */
static bool
names_document(yyjson_val *extensions)
{
    return yyjson_is_obj(
        fq_json_get(extensions, FQ_STR_LIT("persistedQuery")));
}

/* Reads |extensions| again with the id of the last event that the client has
 * seen as the position to go on behind. EventSource sends the URL of before
 * with it, so it counts, whatever the extensions say. */
static fq_status
resume_after(yyjson_val *extensions, fq_str last_event_id, yyjson_doc **pdoc)
{
    fq_buf buf = FQ_BUF_INIT;
    size_t i, n;
    yyjson_val *key, *val;
    fq_buf_append_char(&buf, '{');
    yyjson_obj_foreach(extensions, i, n, key, val)
    {
        fq_json_write_str(&buf, fq_json_str(key));
        fq_buf_append_char(&buf, ':');
        fq_json_write_val(&buf, val);
        fq_buf_append_char(&buf, ',');
    }
    fq_buf_append_str(&buf, FQ_STR_LIT("\"resume\":{\"after\":"));
    fq_json_write_str(&buf, last_event_id);
    fq_buf_append_str(&buf, FQ_STR_LIT("}}"));
    fq_status status = fq_buf_status(&buf);
    *pdoc = NULL;
    if (status == FQ_OK)
        status = fq_json_read(fq_buf_str(&buf), FQ_JSON_LONE_SURROGATES, pdoc,
                              NULL);
    fq_buf_fini(&buf);
    return status;
}

/* Sees to the query of |request|; NULL, or that there is none. */
static const char *
complete_query(fq_protocol_request *request)
{
    if (request->query.ptr == NULL && names_document(request->extensions))
        request->query = FQ_STR_LIT("");
    return request->query.ptr != NULL ? NULL : "The request has no \"query\".";
}

static void
start(fq_protocol *self, fq_protocol_request *request)
{
    const exchange *own = self->own;
    yyjson_doc *extended = NULL;
    fq_status status = FQ_OK;
    if (own->last_event_id != NULL)
        status = resume_after(request->extensions,
                              fq_rcbuf_str(own->last_event_id), &extended);
    if (extended != NULL)
        request->extensions = yyjson_doc_get_root(extended);
    if (status <= FQ_ERR_FATAL)
        fq_protocol_close_as(self, FQ_PROTOCOL_NO_MEMORY);
    else if (status != FQ_OK)
        refuse(self, 400, "\"extensions\" are nested too deeply.");
    else
        fq_protocol_start(self, only_id, request);
    fq_json_free(extended);
}

/* Reads the members of |body|; NULL, or what is wrong with them. */
static const char *
read_members(yyjson_val *body, fq_protocol_request *request)
{
    if (!fq_envelope_str(body, FQ_STR_LIT("query"), &request->query))
        return "\"query\" must be a string.";
    if (!fq_envelope_str(body, FQ_STR_LIT("operationName"),
                         &request->operation_name))
        return "\"operationName\" must be a string or null.";
    if (!fq_envelope_object(body, FQ_STR_LIT("variables"),
                            &request->variables))
        return "\"variables\" must be an object or null.";
    if (!fq_envelope_object(body, FQ_STR_LIT("extensions"),
                            &request->extensions))
        return "\"extensions\" must be an object or null.";
    return NULL;
}

const char *
fq_graphql_http_read_body(yyjson_val *body, fq_protocol_request *request)
{
    if (yyjson_is_arr(body))
        return "Requests come one at a time, not in an array.";
    if (!yyjson_is_obj(body))
        return "The body must be a JSON object.";
    const char *fault = read_members(body, request);
    return fault != NULL ? fault : complete_query(request);
}

static void
receive_post(fq_protocol *self, fq_str text)
{
    yyjson_doc *doc;
    fq_error error;
    fq_status status = fq_json_read(text, FQ_JSON_LONE_SURROGATES, &doc,
                                    &error);
    if (status <= FQ_ERR_FATAL) {
        fq_protocol_close_as(self, FQ_PROTOCOL_NO_MEMORY);
        return;
    }
    if (status != FQ_OK) {
        refuse(self, 400, "The body is no JSON: %s (at byte %zu).",
               error.message, error.pos);
        return;
    }
    fq_protocol_request request;
    const char *fault = fq_graphql_http_read_body(yyjson_doc_get_root(doc),
                                                  &request);
    if (fault != NULL)
        refuse(self, 400, "%s", fault);
    else
        start(self, &request);
    fq_json_free(doc);
}

/* The parameters of a GET, decoded. */
typedef struct parameters {
    fq_buf query;
    fq_buf operation_name;
    fq_buf variables;
    fq_buf extensions;
    yyjson_doc *variables_doc;
    yyjson_doc *extensions_doc;
} parameters;

static void
parameters_fini(parameters *self)
{
    fq_buf_fini(&self->query);
    fq_buf_fini(&self->operation_name);
    fq_buf_fini(&self->variables);
    fq_buf_fini(&self->extensions);
    fq_json_free(self->variables_doc);
    fq_json_free(self->extensions_doc);
}

/* Decodes the text |name|; *ptext has ptr NULL where there is none. False: the
 * machine has closed. */
static bool
get_text(fq_protocol *self, fq_str form, const char *name, fq_buf *buf,
         fq_str *ptext)
{
    *ptext = fq_str_make(NULL, 0);
    if (!fq_form_get(form, fq_str_of(name), buf))
        return true;
    *ptext = buf->len == 0 ? FQ_STR_LIT("") : fq_buf_str(buf);
    if (fq_buf_status(buf) != FQ_OK)
        fq_protocol_close_as(self, FQ_PROTOCOL_NO_MEMORY);
    else if (!fq_utf8_is_valid(*ptext))
        refuse(self, 400, "The parameter \"%s\" is no UTF-8.", name);
    else
        return true;
    return false;
}

/* The same for a JSON object; null and an empty text are none. */
static bool
get_object(fq_protocol *self, fq_str form, const char *name, fq_buf *buf,
           yyjson_doc **pdoc, yyjson_val **pval)
{
    fq_str text;
    *pval = NULL;
    if (!get_text(self, form, name, buf, &text))
        return false;
    if (text.len == 0)
        return true;
    fq_status status = fq_json_read(text, FQ_JSON_LONE_SURROGATES, pdoc, NULL);
    yyjson_val *root = yyjson_doc_get_root(*pdoc);
    if (status <= FQ_ERR_FATAL) {
        fq_protocol_close_as(self, FQ_PROTOCOL_NO_MEMORY);
        return false;
    }
    if (yyjson_is_obj(root))
        *pval = root;
    if (yyjson_is_obj(root) || yyjson_is_null(root))
        return true;
    refuse(self, 400, "The parameter \"%s\" must be a JSON object.", name);
    return false;
}

static void
receive_get(fq_protocol *self, fq_str form)
{
    parameters given = {.query = FQ_BUF_INIT,
                        .operation_name = FQ_BUF_INIT,
                        .variables = FQ_BUF_INIT,
                        .extensions = FQ_BUF_INIT};
    fq_protocol_request request;
    if (get_text(self, form, "query", &given.query, &request.query)
        && get_text(self, form, "operationName", &given.operation_name,
                    &request.operation_name)
        && get_object(self, form, "variables", &given.variables,
                      &given.variables_doc, &request.variables)
        && get_object(self, form, "extensions", &given.extensions,
                      &given.extensions_doc, &request.extensions)) {
        /* A form has no null. */
        if (request.operation_name.len == 0)
            request.operation_name = fq_str_make(NULL, 0);
        const char *fault = complete_query(&request);
        if (fault != NULL)
            refuse(self, 400, "%s", fault);
        else
            start(self, &request);
    }
    parameters_fini(&given);
}

static void
receive_request(fq_protocol *self, fq_str text)
{
    exchange *own = self->own;
    if (own->is_get)
        receive_get(self, text);
    else
        receive_post(self, text);
}

/* ── the opening ── */

void
fq_graphql_http_write_opening(fq_buf *buf,
                              const fq_graphql_http_opening *opening)
{
    fq_buf_append_format(buf, "{\"isGet\":%s,\"stream\":%d,\"lastEventId\":",
                         opening->is_get ? "true" : "false",
                         (int)opening->stream);
    if (opening->last_event_id.ptr != NULL)
        fq_json_write_str(buf, opening->last_event_id);
    else
        fq_json_write_val(buf, NULL);
    fq_buf_append_str(buf, FQ_STR_LIT(",\"payload\":"));
    fq_buf_append_str(buf, opening->payload);
    fq_buf_append_char(buf, '}');
}

static void
receive_opening(fq_protocol *self, fq_str text)
{
    yyjson_doc *doc;
    fq_status status = fq_json_read(text, FQ_JSON_LONE_SURROGATES, &doc, NULL);
    exchange *own = fq_alloc_zero(sizeof(*own));
    if (status <= FQ_ERR_FATAL || own == NULL) {
        fq_free(own);
        fq_json_free(doc);
        fq_protocol_close_as(self, FQ_PROTOCOL_NO_MEMORY);
        return;
    }
    yyjson_val *root = yyjson_doc_get_root(doc);
    yyjson_val *payload;
    fq_str last_event_id = fq_json_str(
        fq_json_get(root, FQ_STR_LIT("lastEventId")));
    self->own = own;
    own->is_get = yyjson_is_true(fq_json_get(root, FQ_STR_LIT("isGet")));
    own->stream = (fq_media_type)yyjson_get_int(
        fq_json_get(root, FQ_STR_LIT("stream")));
    if (last_event_id.len > 0 && own->stream == FQ_MEDIA_EVENT_STREAM)
        status = fq_rcbuf_new(last_event_id, &own->last_event_id);
    if (status <= FQ_ERR_FATAL)
        fq_protocol_close_as(self, FQ_PROTOCOL_NO_MEMORY);
    else if (fq_envelope_object(root, FQ_STR_LIT("payload"), &payload)
             && payload != NULL)
        fq_protocol_introduce(self, payload);
    else
        fq_protocol_close_as(self, FQ_PROTOCOL_INVALID);
    fq_json_free(doc);
}

void
fq_graphql_http_introduce(fq_protocol *self, fq_str opening)
{
    yyjson_doc *doc;
    yyjson_val *payload;
    fq_status status = fq_json_read(opening, FQ_JSON_LONE_SURROGATES, &doc,
                                    NULL);
    if (status <= FQ_ERR_FATAL)
        fq_protocol_close_as(self, FQ_PROTOCOL_NO_MEMORY);
    else if (fq_envelope_object(yyjson_doc_get_root(doc),
                                FQ_STR_LIT("payload"), &payload)
             && payload != NULL)
        fq_protocol_introduce(self, payload);
    else
        fq_protocol_close_as(self, FQ_PROTOCOL_INVALID);
    fq_json_free(doc);
}

static void
receive(fq_protocol *self, fq_str text)
{
    exchange *own = self->own;
    if (own == NULL) {
        receive_opening(self, text);
        return;
    }
    if (own->has_request) {
        fq_protocol_close_as(self, FQ_PROTOCOL_INVALID);
        return;
    }
    own->has_request = true;
    if (self->state == FQ_PROTOCOL_READY)
        receive_request(self, text);
    else if (fq_rcbuf_new(text, &own->waiting) != FQ_OK)
        fq_protocol_close_as(self, FQ_PROTOCOL_NO_MEMORY);
}

/* What the handler wants the client to know has no place here. */
static void
ack(fq_protocol *self, fq_str payload)
{
    (void)payload;
    exchange *own = self->own;
    fq_rcbuf *waiting = own->waiting;
    own->waiting = NULL;
    if (waiting != NULL)
        receive_request(self, fq_rcbuf_str(waiting));
    fq_rcbuf_unref(waiting);
}

static void
fini(fq_protocol *self)
{
    exchange *own = self->own;
    if (own != NULL) {
        fq_rcbuf_unref(own->waiting);
        fq_rcbuf_unref(own->last_event_id);
    }
    fq_free(own);
}

static bool
admits(fq_protocol *self, fq_protocol_operation what)
{
    const exchange *own = self->own;
    if (what == FQ_PROTOCOL_MUTATION && own->is_get) {
        refuse(self, 405, "A mutation must be sent by POST.");
        return false;
    }
    if (what == FQ_PROTOCOL_SUBSCRIPTION) {
        if (own->stream == FQ_MEDIA_NONE) {
            refuse(self, 406,
                   "A subscription needs \"Accept: text/event-stream\" or "
                   "\"multipart/mixed;subscriptionSpec=1.0\", or a "
                   "WebSocket.");
            return false;
        }
        self->kind = fq_graphql_http_kind(own->stream);
    }
    if (self->kind->write_keep_alive != NULL) {
        /* The response begins now, not with the first event. */
        fq_buf nothing = FQ_BUF_INIT;
        fq_protocol_send(self, &nothing);
    }
    return self->state != FQ_PROTOCOL_CLOSED;
}

/* ── JSON ── */

static void
write_json_errors(fq_buf *buf, const char *status, fq_str errors)
{
    fq_buf_append(buf, status, 3);
    fq_buf_append_str(buf, FQ_STR_LIT("{\"errors\":"));
    fq_buf_append_str(buf, errors);
    fq_buf_append_char(buf, '}');
}

/* application/json: what is wrong with the request is 200 all the same. */
static void
json_write_error(fq_buf *buf, fq_str id, fq_str errors)
{
    (void)id;
    write_json_errors(buf, "200", errors);
}

static void
json_write_result(fq_buf *buf, fq_str id, fq_str result)
{
    (void)id;
    fq_buf_append_str(buf, FQ_STR_LIT("200"));
    fq_buf_append_str(buf, result);
}

static void
response_write_error(fq_buf *buf, fq_str id, fq_str errors)
{
    (void)id;
    write_json_errors(buf, "400", errors);
}

/* A result without `data`: execution has not begun. */
static bool
has_data(fq_str result)
{
    const fq_str usual = FQ_STR("{\"data\":");
    if (result.len >= usual.len
        && memcmp(result.ptr, usual.ptr, usual.len) == 0)
        return true;
    yyjson_doc *doc;
    if (fq_json_read(result, FQ_JSON_LONE_SURROGATES, &doc, NULL) != FQ_OK)
        return false;
    bool has = fq_json_get(yyjson_doc_get_root(doc), FQ_STR_LIT("data"))
               != NULL;
    fq_json_free(doc);
    return has;
}

static void
response_write_result(fq_buf *buf, fq_str id, fq_str result)
{
    (void)id;
    fq_buf_append_str(buf, has_data(result) ? FQ_STR_LIT("200")
                                            : FQ_STR_LIT("400"));
    fq_buf_append_str(buf, result);
}

/* The result was the end. */
static void
json_write_end(fq_buf *buf, fq_str id)
{
    (void)buf;
    (void)id;
}

static void
json_write_next_head(fq_buf *buf, fq_str id)
{
    (void)buf;
    (void)id;
}

static const fq_protocol_kind json_kind = {
    .receive = receive,
    .ack = ack,
    .write_error = json_write_error,
    .write_end = json_write_end,
    .write_next_head = json_write_next_head,
    .admits = admits,
    .write_result = json_write_result,
    .is_single = true,
    .is_measured = true,
    .fini = fini,
};

static const fq_protocol_kind response_kind = {
    .receive = receive,
    .ack = ack,
    .write_error = response_write_error,
    .write_end = json_write_end,
    .write_next_head = json_write_next_head,
    .admits = admits,
    .write_result = response_write_result,
    .is_single = true,
    .is_measured = true,
    .fini = fini,
};

/* ── events ── */

static void
events_write_end(fq_buf *buf, fq_str id)
{
    (void)id;
    /* EventSource knows no event without data. */
    fq_buf_append_str(buf, FQ_STR_LIT("event: complete\ndata: \n\n"));
}

static void
events_write_next_head(fq_buf *buf, fq_str id)
{
    (void)id;
    fq_buf_append_str(buf, FQ_STR_LIT("event: next\ndata: "));
}

/* What is wrong with the operation is told in the stream: who asked for one
 * reads nothing else (PROTOCOL.md, "Distinct connections mode"). It may be the
 * position that an EventSource has kept: it forgets it. */
static void
events_write_error(fq_buf *buf, fq_str id, fq_str errors)
{
    fq_buf_append_str(buf, FQ_STR_LIT("id:\n"));
    events_write_next_head(buf, id);
    fq_buf_append_str(buf, FQ_STR_LIT("{\"errors\":"));
    fq_buf_append_str(buf, errors);
    fq_buf_append_str(buf, FQ_STR_LIT("}\n\n"));
    events_write_end(buf, id);
}

static void
events_write_keep_alive(fq_buf *buf)
{
    fq_buf_append_str(buf, FQ_STR_LIT(":\n\n"));
}

static const fq_protocol_kind events_kind = {
    .receive = receive,
    .ack = ack,
    .write_error = events_write_error,
    .write_end = events_write_end,
    .write_next_head = events_write_next_head,
    .next_tail = FQ_STR("\n\n"),
    .has_event_ids = true,
    .admits = admits,
    .is_single = true,
    .is_measured = true,
    .write_keep_alive = events_write_keep_alive,
    .fini = fini,
};

/* ── parts ── */

static void
parts_write_end(fq_buf *buf, fq_str id)
{
    (void)id;
    fq_buf_append_str(buf, FQ_STR_LIT("--\r\n"));
}

static void
parts_write_next_head(fq_buf *buf, fq_str id)
{
    (void)id;
    fq_buf_append_str(buf,
                      FQ_STR_LIT(FQ_GRAPHQL_HTTP_PART_HEAD "{\"payload\":"));
}

static void
parts_write_error(fq_buf *buf, fq_str id, fq_str errors)
{
    parts_write_next_head(buf, id);
    fq_buf_append_str(buf, FQ_STR_LIT("{\"errors\":"));
    fq_buf_append_str(buf, errors);
    fq_buf_append_str(buf, FQ_STR_LIT("}}" FQ_GRAPHQL_HTTP_PART_TAIL));
    parts_write_end(buf, id);
}

static void
parts_write_keep_alive(fq_buf *buf)
{
    fq_buf_append_str(buf, FQ_STR_LIT(FQ_GRAPHQL_HTTP_PART_HEAD
                                      "{}" FQ_GRAPHQL_HTTP_PART_TAIL));
}

static const fq_protocol_kind parts_kind = {
    .receive = receive,
    .ack = ack,
    .write_error = parts_write_error,
    .write_end = parts_write_end,
    .write_next_head = parts_write_next_head,
    .next_tail = FQ_STR("}" FQ_GRAPHQL_HTTP_PART_TAIL),
    .admits = admits,
    .is_single = true,
    .is_measured = true,
    .write_keep_alive = parts_write_keep_alive,
    .fini = fini,
};

/* ── for who makes the response ── */

const fq_protocol_kind *
fq_graphql_http_kind(fq_media_type type)
{
    static const fq_protocol_kind *const kinds[] = {
        [FQ_MEDIA_NONE] = NULL,
        [FQ_MEDIA_JSON] = &json_kind,
        [FQ_MEDIA_RESPONSE_JSON] = &response_kind,
        [FQ_MEDIA_EVENT_STREAM] = &events_kind,
        [FQ_MEDIA_MULTIPART] = &parts_kind,
    };
    return kinds[type];
}
