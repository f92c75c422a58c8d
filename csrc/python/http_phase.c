/* SPDX-License-Identifier: MIT */
/* What a message received and a message sent lead to, phase by phase.
 * Thread: loop.
 *
 *   NEW > BEGINNING > STARTING > READING > OPEN > ANSWERING > ENDING > ENDED
 *             |                    |                  ^
 *             +--------------------+--- refused: -----+
 *
 * The session is opened before the body is read: so its limits hold for clients
 * that send none, or slowly, and its timer for the first text, which follows
 * the body. The status of the response is
 * that of the session's first text, or of its close where there was none. */
#include "python/http_stream.h"

#include "protocol/graphql_http.h"
#include "protocol/graphql_sse.h"
#include "python/entrance.h"
#include "python/http_message.h"
#include "python/service_object.h"

typedef enum http_phase {
    HTTP_BEGINNING = FQ_SERVING_FIRST, /* looks at the head */
    HTTP_STARTING,                     /* awaits start() */
    HTTP_READING,                      /* reads the body */
    HTTP_OPEN,                         /* streams */
    HTTP_ANSWERING, /* sends the head of an answer, or what is last */
} http_phase;

static fq_http_stream *
http_of(fq_serving *serving)
{
    return (fq_http_stream *)serving;
}

/* ── an answer in one piece ── */

/* Answers |status| with |bytes| (stolen; NULL: an exception is set). */
static int
answer_bytes(fq_serving *self, int status, fq_media_type type, PyObject *bytes)
{
    if (bytes == NULL)
        return -1;
    size_t len = (size_t)PyBytes_GET_SIZE(bytes);
    self->farewell = fq_http_message_body(self->state, bytes, false);
    if (self->farewell == NULL)
        return -1;
    self->phase = HTTP_ANSWERING;
    return fq_serving_send(self,
                           fq_http_message_answer(self->state, status, type,
                                                  len, http_of(self)->cors));
}

/* Answers |status| with an error that is |message|. */
static int
answer_error(fq_serving *self, int status, fq_str message)
{
    fq_media_type accepted = http_of(self)->request.accept.result;
    fq_media_type type = accepted == FQ_MEDIA_RESPONSE_JSON ? accepted
                                                            : FQ_MEDIA_JSON;
    fq_buf buf = FQ_BUF_INIT;
    fq_graphql_http_write_errors(&buf, message);
    fq_str text = fq_buf_str(&buf);
    PyObject *bytes = fq_buf_status(&buf) != FQ_OK
                          ? PyErr_NoMemory()
                          : PyBytes_FromStringAndSize(text.ptr,
                                                      (Py_ssize_t)text.len);
    fq_buf_fini(&buf);
    return answer_bytes(self, status, type, bytes);
}

static int
answer_unavailable(fq_serving *self)
{
    return answer_error(self, 503,
                        FQ_STR_LIT("The service is not available; try again "
                                   "later."));
}

/* The session was closed before it said anything. */
static int
answer_close(fq_serving *self, const fq_close *close)
{
    int status = fq_graphql_http_status(close->code);
    fq_str reason = fq_str_make(close->reason, close->reason_len);
    if (status == 403 && !http_of(self)->request.has_credentials)
        status = 401;
    if (reason.len == 0)
        reason = FQ_STR_LIT("The request was refused.");
    return answer_error(self, status, reason);
}

static int
answering_sent(fq_serving *self, PyObject *Py_UNUSED(result))
{
    return self->farewell == NULL ? fq_serving_end_clean(self)
                                  : fq_serving_send_farewell(self);
}

/* ── the stream ── */

/* Everything of |items| in one piece, between |before| and |after|. */
static PyObject *
join_items(fq_str before, const fq_queue_item *items, size_t n, fq_str after)
{
    size_t len = before.len + after.len;
    for (size_t i = 0; i < n; i++)
        len += fq_queue_item_n_bytes(&items[i]);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)len);
    if (bytes == NULL)
        return NULL;
    char *out = PyBytes_AS_STRING(bytes);
    memcpy(out, before.ptr, before.len);
    out += before.len;
    for (size_t i = 0; i < n; i++) {
        char scratch[FQ_QUEUE_SCRATCH_MAX];
        fq_str parts[FQ_QUEUE_PARTS_MAX];
        size_t n_parts = fq_queue_item_parts(&items[i], scratch, parts);
        for (size_t k = 0; k < n_parts; k++) {
            if (parts[k].len > 0)
                memcpy(out, parts[k].ptr, parts[k].len);
            out += parts[k].len;
        }
    }
    if (after.len > 0)
        memcpy(out, after.ptr, after.len);
    return bytes;
}

/* The last chunk: |items|, and why it ends. */
static int
send_last(fq_serving *self, const fq_queue_item *items, size_t n,
          const fq_close *close)
{
    fq_buf buf = FQ_BUF_INIT;
    fq_graphql_http_write_farewell(
        &buf, http_of(self)->media, close->code,
        fq_str_make(close->reason, close->reason_len));
    PyObject *bytes = fq_buf_status(&buf) != FQ_OK
                          ? PyErr_NoMemory()
                          : join_items(FQ_STR_LIT(""), items, n,
                                       fq_buf_str(&buf));
    fq_buf_fini(&buf);
    self->phase = HTTP_ANSWERING;
    return fq_serving_send(self,
                           fq_http_message_body(self->state, bytes, false));
}

/* What waits goes out as one chunk. */
static int
send_chunk(fq_serving *self)
{
    fq_queue_item items[FQ_HTTP_CHUNK_MAX];
    fq_close close;
    size_t n = fq_port_take(self->base.port, items, FQ_HTTP_CHUNK_MAX, &close);
    int status = 0;
    if (close.code != 0)
        status = send_last(self, items, n, &close);
    else if (n > 0)
        status = fq_serving_send(
            self,
            fq_http_message_body(
                self->state,
                join_items(FQ_STR_LIT(""), items, n, FQ_STR_LIT("")), true));
    else
        self->has_news = false;
    for (size_t i = 0; i < n; i++)
        fq_queue_item_fini(&items[i]);
    return status;
}

/* Whether the text is a result in JSON: its status stands before it. */
static bool
is_result(const fq_queue_item *item)
{
    return item->body == NULL && item->head->len > 3
           && item->head->bytes[0] >= '1' && item->head->bytes[0] <= '9';
}

static int
send_result(fq_serving *self, const fq_queue_item *item)
{
    const char *text = item->head->bytes;
    int status = (text[0] - '0') * 100 + (text[1] - '0') * 10 + text[2] - '0';
    return answer_bytes(
        self, status, http_of(self)->request.accept.result,
        PyBytes_FromStringAndSize(text + 3, (Py_ssize_t)item->head->len - 3));
}

/* The first text says what the response is. */
static int
send_head(fq_serving *self)
{
    fq_http_stream *http = http_of(self);
    fq_queue_item item;
    fq_close close;
    if (fq_port_take(self->base.port, &item, 1, &close) == 0) {
        self->has_news = false;
        return close.code == 0 ? 0 : answer_close(self, &close);
    }
    int status;
    if (is_result(&item)) {
        status = send_result(self, &item);
    } else {
        http->media = http->request.accept.stream;
        http->chunk = join_items(fq_graphql_http_preamble(http->media), &item,
                                 1, FQ_STR_LIT(""));
        status = http->chunk == NULL
                     ? -1
                     : fq_serving_send(
                           self, fq_http_message_stream(
                                     self->state, http->media, http->cors));
        self->phase = HTTP_OPEN;
    }
    fq_queue_item_fini(&item);
    return status;
}

static int
open_send_next(fq_serving *self)
{
    fq_http_stream *http = http_of(self);
    PyObject *chunk = http->chunk;
    http->chunk = NULL;
    if (chunk != NULL)
        return fq_serving_send(self,
                               fq_http_message_body(self->state, chunk, true));
    if (!self->has_news)
        return 0;
    return http->media == FQ_MEDIA_NONE ? send_head(self) : send_chunk(self);
}

/* ── the request ── */

/* Gives |text| (one reference, stolen) to the session. */
static int
give_text(fq_serving *self, fq_rcbuf *text)
{
    bool pause; /* nothing more is to come */
    return fq_serving_give(self, text, &pause);
}

/* Who asks. */
static int
give_opening(fq_serving *self)
{
    fq_rcbuf *opening = http_of(self)->request.opening;
    http_of(self)->request.opening = NULL;
    self->phase = HTTP_OPEN;
    return give_text(self, opening);
}

/* Who asks, and then what: |text| (one reference, stolen). */
static int
give_request(fq_serving *self, fq_rcbuf *text)
{
    int status = give_opening(self);
    if (status == 0 && self->phase == HTTP_OPEN)
        return give_text(self, text);
    fq_rcbuf_unref(text);
    return status;
}

static int
give_body(fq_serving *self)
{
    fq_http_stream *http = http_of(self);
    fq_rcbuf *text;
    fq_status status = fq_buf_to_rcbuf(&http->body, &text);
    fq_buf_fini(&http->body);
    if (status != FQ_OK) {
        PyErr_NoMemory();
        return -1;
    }
    return give_request(self, text);
}

static int
answer_too_big(fq_serving *self)
{
    return answer_error(self, 413, FQ_STR_LIT("The body is too big."));
}

static int
reading_received(fq_serving *self, PyObject *message)
{
    fq_http_stream *http = http_of(self);
    fq_http_message_kind kind;
    bool has_more;
    if (fq_http_message_read(self->state, message, &kind, &has_more,
                             &http->body)
        < 0)
        return -1;
    if (kind == FQ_HTTP_DISCONNECT)
        return fq_serving_end_clean(self);
    if (http->body.len > http->body_max)
        return answer_too_big(self);
    return has_more ? 0 : give_body(self);
}

/* Opens the session of |visitor| (given away); a GET has its request in its
 * head. */
static int
open_session(fq_serving *self, fq_service *service, fq_visitor *visitor)
{
    fq_http_stream *http = http_of(self);
    fq_http_request *request = &http->request;
    int opened = fq_serving_open_session(
        self, service,
        http->is_shared ? &fq_graphql_sse
                        : fq_graphql_http_kind(request->accept.result),
        visitor);
    if (opened <= 0)
        return opened;
    self->phase = HTTP_READING;
    self->has_news = true;
    fq_rcbuf *form = request->form;
    request->form = NULL;
    if (http->is_shared) {
        fq_rcbuf_unref(form);
        return give_opening(self);
    }
    return form == NULL ? 0 : give_request(self, form);
}

static int
enter(fq_serving *self)
{
    fq_http_stream *http = http_of(self);
    fq_service *service = fq_service_object_peek(self->base.service);
    if (service == NULL) {
        if (!PyErr_ExceptionMatches(self->state->ClosedError))
            return -1;
        PyErr_Clear();
        return answer_unavailable(self);
    }
    http->body_max = fq_service_limits(service)->message_max_bytes;
    const fq_http_request *request = &http->request;
    if (request->form != NULL && request->form->len > http->body_max)
        return answer_error(self, 414,
                            FQ_STR_LIT("The query string is too long."));
    if (request->form == NULL && request->body_len > 0
        && (uint64_t)request->body_len > http->body_max)
        return answer_too_big(self);
    http->cors = fq_entrance_cors(self->base.service, self->base.scope);
    fq_verdict verdict;
    if (http->cors == NULL
        || fq_entrance_ask(self->base.service, self->base.scope, true,
                           &verdict)
               < 0)
        return -1;
    if (verdict.http_status != 0)
        return answer_error(self, verdict.http_status,
                            fq_str_of(verdict.text));
    return open_session(self, service, verdict.visitor);
}

static int
beginning_send_next(fq_serving *self)
{
    fq_http_stream *http = http_of(self);
    fq_http_request *request = &http->request;
    if (fq_http_request_read(self->state, self->base.scope,
                             http->authorization, request)
        < 0)
        return -1;
    if (http->is_shared && request->accept.stream != FQ_MEDIA_EVENT_STREAM) {
        request->status = 406;
        request->fault = "Only text/event-stream can be shared.";
    }
    if (request->status != 0)
        return answer_error(self, request->status, fq_str_of(request->fault));
    if (self->base.service != Py_None)
        return enter(self);
    if (self->start == NULL)
        return answer_unavailable(self);
    self->phase = HTTP_STARTING;
    return fq_serving_start(self);
}

/* ── the table ── */

static int
is_disconnect(fq_serving *self, PyObject *message)
{
    fq_http_message_kind kind;
    bool has_more;
    if (fq_http_message_read(self->state, message, &kind, &has_more, NULL) < 0)
        return -1;
    return kind == FQ_HTTP_DISCONNECT;
}

/* The client leaves; the body of a GET is of no interest. */
static int
open_received(fq_serving *self, PyObject *message)
{
    int is_gone = is_disconnect(self, message);
    if (is_gone < 0)
        return -1;
    return is_gone ? fq_serving_end_clean(self) : 0;
}

static void
release(fq_serving *self)
{
    fq_http_stream *http = http_of(self);
    Py_CLEAR(http->chunk);
    Py_CLEAR(http->cors);
    Py_CLEAR(http->authorization);
    fq_buf_fini(&http->body);
    fq_http_request_fini(&http->request);
}

/* In the phases that every kind has nothing is of interest. */
static const fq_serving_phase_ops phases[] = {
    [HTTP_BEGINNING] = {.send_next = beginning_send_next},
    [HTTP_STARTING] = {.is_starting = true, .sent = fq_serving_started},
    [HTTP_READING] = {.receives = true,
                      .takes_news = true,
                      .received = reading_received,
                      .send_next = open_send_next},
    [HTTP_OPEN] = {.receives = true,
                   .takes_news = true,
                   .received = open_received,
                   .send_next = open_send_next},
    [HTTP_ANSWERING] = {.is_leaving = true,
                        .received = open_received,
                        .sent = answering_sent},
};

const fq_serving_kind fq_http_stream_kind = {
    .phases = phases,
    .is_disconnect = is_disconnect,
    .enter = enter,
    .unavailable = answer_unavailable,
    .release = release,
};
