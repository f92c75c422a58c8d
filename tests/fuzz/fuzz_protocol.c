/* SPDX-License-Identifier: MIT */
/* A conversation of a WebSocket protocol: texts of a client and actions of the
 * owner, a NUL byte between each two. The first byte of the first chooses the
 * protocol (`t`: graphql-transport-ws, else the older graphql-ws); what begins
 * with `!` is an action, a letter and maybe a text. Whatever is said, the
 * machine closes once and is silent then, keeps count of its operations, and
 * sends nothing but messages that a JSON parser takes. */
#include "fuzz.h"
#include "json/reader.h"
#include "json/utf8.h"
#include "protocol/graphql_transport_ws.h"
#include "protocol/graphql_ws.h"

#define INIT_NS 1000
#define KEEP_ALIVE_NS 100

/* The owner. */
typedef struct conversation {
    fq_protocol protocol;
    size_t n_ops; /* begun and not ended */
    uint64_t now_ns;
    bool is_closed;
    bool is_eager; /* answers inside of callbacks */
} conversation;

static void
fuzz_start(void)
{
}

static void
check_message(fq_str text)
{
    yyjson_doc *doc;
    FUZZ_REQUIRE(fq_utf8_is_valid(text));
    FUZZ_REQUIRE(fq_json_read(text, FQ_JSON_LONE_SURROGATES, &doc, NULL)
                 == FQ_OK);
    FUZZ_REQUIRE(yyjson_is_str(
        fq_json_get(yyjson_doc_get_root(doc), FQ_STR_LIT("type"))));
    fq_json_free(doc);
}

static void
on_send(void *ctx, fq_rcbuf *text)
{
    conversation *self = ctx;
    FUZZ_REQUIRE(!self->is_closed);
    check_message(fq_rcbuf_str(text));
    fq_rcbuf_unref(text);
}

static void
on_close(void *ctx, uint16_t code, fq_str reason)
{
    conversation *self = ctx;
    FUZZ_REQUIRE(!self->is_closed);
    FUZZ_REQUIRE(code >= 1000 && code < 5000);
    FUZZ_REQUIRE(reason.len <= FQ_PROTOCOL_REASON_MAX);
    FUZZ_REQUIRE(fq_utf8_is_valid(reason));
    self->is_closed = true;
}

static void
on_init(void *ctx, yyjson_val *payload)
{
    conversation *self = ctx;
    FUZZ_REQUIRE(!self->is_closed);
    FUZZ_REQUIRE(payload == NULL || yyjson_is_obj(payload));
    if (self->is_eager)
        fq_protocol_ack(&self->protocol, FQ_STR_LIT("{}"), self->now_ns);
}

static void
on_ping(void *ctx, yyjson_val *payload)
{
    conversation *self = ctx;
    FUZZ_REQUIRE(!self->is_closed && yyjson_is_obj(payload));
}

static void
end_op(conversation *self, fq_protocol_op *op, bool is_error)
{
    self->n_ops--;
    if (is_error)
        fq_protocol_error(&self->protocol, op,
                          FQ_STR_LIT("[{\"message\":\"no\"}]"));
    else
        fq_protocol_end(&self->protocol, op);
}

static void
on_subscribe(void *ctx, fq_protocol_op *op, const fq_protocol_request *request)
{
    conversation *self = ctx;
    FUZZ_REQUIRE(!self->is_closed);
    FUZZ_REQUIRE(fq_protocol_find(&self->protocol, op->id) == op);
    FUZZ_REQUIRE(request->query.ptr != NULL);
    FUZZ_REQUIRE(request->variables == NULL
                 || yyjson_is_obj(request->variables));
    FUZZ_REQUIRE(request->extensions == NULL
                 || yyjson_is_obj(request->extensions));
    self->n_ops++;
    if (self->is_eager && request->operation_name.ptr != NULL)
        end_op(self, op, request->operation_name.len % 2 == 0);
}

static void
on_complete(void *ctx, fq_protocol_op *op)
{
    conversation *self = ctx;
    FUZZ_REQUIRE(!self->is_closed);
    FUZZ_REQUIRE(fq_protocol_find(&self->protocol, op->id) == NULL);
    self->n_ops--;
}

static const fq_protocol_owner owner = {
    .send = on_send,
    .close = on_close,
    .init = on_init,
    .ping = on_ping,
    .subscribe = on_subscribe,
    .complete = on_complete,
};

/* A result of |op|, as the queue puts it together: its closing brace is in
 * the tail. */
static void
deliver(conversation *self, const fq_protocol_op *op)
{
    fq_rcbuf *head;
    uint8_t tail_len;
    FUZZ_REQUIRE(fq_protocol_next_head(&self->protocol, op, &head, &tail_len)
                 == FQ_OK);
    fq_str around = fq_rcbuf_str(head);
    FUZZ_REQUIRE(tail_len <= around.len);
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append(&buf, around.ptr, around.len - tail_len);
    fq_buf_append_str(&buf, FQ_STR_LIT("{\"data\":null"));
    fq_buf_append(&buf, around.ptr + around.len - tail_len, tail_len);
    check_message(fq_buf_str(&buf));
    fq_buf_fini(&buf);
    fq_rcbuf_unref(head);
    if (!self->is_closed)
        FUZZ_REQUIRE(fq_protocol_next(&self->protocol, op,
                                      FQ_STR_LIT("{\"data\":null}"))
                     == FQ_OK);
}

static void
act(conversation *self, char what, fq_str text)
{
    fq_protocol *protocol = &self->protocol;
    size_t iter = 0;
    fq_protocol_op *op = fq_protocol_each_op(protocol, &iter);
    if (what == 'a') {
        fq_protocol_ack(protocol, fq_str_make(NULL, 0), self->now_ns);
    } else if (what == 'r' && fq_utf8_is_valid(text)) {
        fq_protocol_refuse(protocol, text.len > 0 ? 4999 : 0, text);
    } else if (what == 'x' && fq_utf8_is_valid(text)) {
        fq_protocol_close(protocol, 1012, text);
    } else if (what == 't') {
        self->now_ns += text.len * 64;
        if (self->now_ns >= fq_protocol_deadline_ns(protocol))
            fq_protocol_tick(protocol, self->now_ns);
    } else if (what == 'g') {
        self->is_eager = !self->is_eager;
    } else if (op != NULL && what == 'n') {
        deliver(self, op);
    } else if (op != NULL && (what == 'e' || what == 'c')) {
        end_op(self, op, what == 'e');
    }
}

static void
fuzz_input(fq_str input)
{
    bool is_newer = input.len > 0 && input.ptr[0] == 't';
    conversation self = {.now_ns = 1};
    fq_protocol_init(&self.protocol,
                     is_newer ? &fq_graphql_transport_ws : &fq_graphql_ws,
                     &owner, &self, INIT_NS, KEEP_ALIVE_NS);
    fq_str rest;
    (void)fuzz_split(input, &rest);
    while (rest.len > 0) {
        fq_str text = fuzz_split(rest, &rest);
        if (text.len > 1 && text.ptr[0] == '!')
            act(&self, text.ptr[1], fq_str_make(text.ptr + 2, text.len - 2));
        else
            fq_protocol_receive(&self.protocol, text);
        FUZZ_REQUIRE(fq_protocol_n_ops(&self.protocol) == self.n_ops);
        FUZZ_REQUIRE(self.is_closed
                     == (self.protocol.state == FQ_PROTOCOL_CLOSED));
    }
    fq_protocol_fini(&self.protocol);
}
