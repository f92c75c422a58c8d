/* SPDX-License-Identifier: MIT */
/* The older graphql-ws. One thread at a time.
 *
 * Its clients do not wait for the ack: the reference client sends `start`
 * right behind `connection_init`, and even before it while connectionParams
 * are being made. The reference server starts what comes early; here nothing
 * does, so `start` and `stop` are held, in order, until the client was let
 * in. What is held is bounded, as is the time for it.
 *
 * Otherwise it is strict where the reference is not: what is no message closes
 * 4400 instead of being answered by an error of no operation, and an id in use
 * closes 4409 instead of replacing its operation. No client known does
 * either. */
#include "protocol/graphql_ws.h"

#include "base/alloc.h"
#include "base/list.h"
#include "json/reader.h"
#include "json/writer.h"
#include "protocol/envelope.h"

#define CLOSE_NORMAL 1000 /* RFC 6455 7.4.1 */
#define CLOSE_POLICY 1008

static const fq_str reason_too_many = FQ_STR("Too many messages");

/* ── what waits for the ack ── */

typedef struct held_message {
    fq_list node; /* in held.messages */
    fq_rcbuf *text;
} held_message;

/* fq_protocol.own, from the first message held to the ack. */
typedef struct held {
    fq_list messages;
    size_t n_items;
    size_t n_bytes;
} held;

static void
free_held(fq_protocol *self)
{
    held *held = self->own;
    self->own = NULL;
    if (held == NULL)
        return;
    fq_list *node;
    while ((node = fq_list_pop_front(&held->messages)) != NULL) {
        held_message *message = FQ_CONTAINER_OF(node, held_message, node);
        fq_rcbuf_unref(message->text);
        fq_free(message);
    }
    fq_free(held);
}

static fq_status
hold_text(fq_protocol *self, fq_rcbuf *text)
{
    held *held = self->own;
    if (held == NULL) {
        held = self->own = fq_alloc_zero(sizeof(*held));
        if (held == NULL)
            return FQ_ERR_NOMEM;
        fq_list_init(&held->messages);
    }
    if (held->n_items >= FQ_GRAPHQL_WS_HELD_MAX
        || text->len > FQ_GRAPHQL_WS_HELD_BYTES_MAX - held->n_bytes)
        return FQ_ERR_LIMIT;
    held_message *message = fq_alloc(sizeof(*message));
    if (message == NULL)
        return FQ_ERR_NOMEM;
    message->text = fq_rcbuf_ref(text);
    fq_list_push_back(&held->messages, &message->node);
    held->n_items++;
    held->n_bytes += text->len;
    return FQ_OK;
}

/* Keeps a well-formed |message| until the ack. */
static void
hold(fq_protocol *self, yyjson_val *message)
{
    fq_buf buf = FQ_BUF_INIT;
    fq_rcbuf *text = NULL;
    fq_json_write_val(&buf, message);
    fq_status status = fq_buf_to_rcbuf(&buf, &text);
    if (status == FQ_OK)
        status = hold_text(self, text);
    if (status == FQ_ERR_LIMIT)
        fq_protocol_close(self, CLOSE_POLICY, reason_too_many);
    else if (status != FQ_OK)
        fq_protocol_close_as(self, FQ_PROTOCOL_NO_MEMORY);
    fq_rcbuf_unref(text);
    fq_buf_fini(&buf);
}

/* Hears what was held, once the client is let in. */
static void
release_held(fq_protocol *self)
{
    held *held = self->own;
    while (held != NULL && self->state == FQ_PROTOCOL_READY) {
        fq_list *node = fq_list_pop_front(&held->messages);
        if (node == NULL)
            break;
        held_message *message = FQ_CONTAINER_OF(node, held_message, node);
        fq_protocol_receive(self, fq_rcbuf_str(message->text));
        fq_rcbuf_unref(message->text);
        fq_free(message);
    }
    free_held(self);
}

/* ── what it is sent ── */

static void
write_keep_alive(fq_buf *buf)
{
    fq_buf_append_str(buf, FQ_STR_LIT("{\"type\":\"ka\"}"));
}

static void
ack(fq_protocol *self, fq_str payload)
{
    fq_envelope_send_ack(self, payload);
    /* The reference client gives a connection up that brought none for 30
     * seconds, once it has seen the first. */
    if (self->state == FQ_PROTOCOL_READY && self->keep_alive_ns > 0) {
        fq_buf buf = FQ_BUF_INIT;
        write_keep_alive(&buf);
        fq_protocol_send(self, &buf);
    }
    release_held(self);
}

static void
write_refusal(fq_buf *buf, fq_str reason)
{
    fq_buf_append_str(buf, FQ_STR_LIT("{\"type\":\"connection_error\","
                                      "\"payload\":{\"message\":"));
    fq_json_write_str(buf, reason);
    fq_buf_append_str(buf, FQ_STR_LIT("}}"));
}

/* The payload is one error, which is all that the reference client hands on:
 * the first. */
static void
write_error(fq_buf *buf, fq_str id, fq_str errors)
{
    yyjson_doc *doc;
    (void)fq_json_read(errors, FQ_JSON_LONE_SURROGATES, &doc, NULL);
    yyjson_val *error = yyjson_arr_get_first(yyjson_doc_get_root(doc));
    fq_envelope_write_head(buf, id, FQ_STR_LIT("error"));
    if (error != NULL)
        fq_json_write_val(buf, error);
    else
        fq_buf_append_str(buf, FQ_STR_LIT("{\"message\":\"Out of memory\"}"));
    fq_buf_append_char(buf, '}');
    fq_json_free(doc);
}

static void
write_next_head(fq_buf *buf, fq_str id)
{
    fq_envelope_write_head(buf, id, FQ_STR_LIT("data"));
}

/* ── what a client sends ── */

static void
receive_start(fq_protocol *self, yyjson_val *message)
{
    fq_str id;
    fq_protocol_request request;
    if (!fq_envelope_request(message, &id, &request))
        fq_protocol_close_as(self, FQ_PROTOCOL_INVALID);
    else if (self->state != FQ_PROTOCOL_READY)
        hold(self, message);
    else
        fq_protocol_start(self, id, &request);
}

/* A `complete` answers it: PROTOCOL.md has it so, and clients wait for it. */
static void
receive_stop(fq_protocol *self, yyjson_val *message)
{
    fq_str id;
    if (!fq_envelope_id(message, &id)) {
        fq_protocol_close_as(self, FQ_PROTOCOL_INVALID);
    } else if (self->state != FQ_PROTOCOL_READY) {
        hold(self, message);
    } else if (fq_protocol_stop(self, id)
               && self->state == FQ_PROTOCOL_READY) {
        fq_buf buf = FQ_BUF_INIT;
        fq_envelope_write_end(&buf, id);
        fq_protocol_send(self, &buf);
    }
}

static void
receive_connection_terminate(fq_protocol *self, yyjson_val *message)
{
    (void)message;
    fq_protocol_close(self, CLOSE_NORMAL, fq_str_make(NULL, 0));
}

static const fq_envelope_type types[] = {
    {FQ_STR("start"), receive_start},
    {FQ_STR("stop"), receive_stop},
    {FQ_STR("connection_init"), fq_envelope_receive_init},
    {FQ_STR("connection_terminate"), receive_connection_terminate},
};

static void
receive(fq_protocol *self, fq_str text)
{
    fq_envelope_receive(self, text, types, sizeof(types) / sizeof(*types));
}

const fq_protocol_kind fq_graphql_ws = {
    .name = FQ_STR("graphql-ws"),
    .receive = receive,
    .ack = ack,
    .write_refusal = write_refusal,
    .write_error = write_error,
    .write_end = fq_envelope_write_end,
    .write_next_head = write_next_head,
    .next_tail = FQ_STR("}"),
    .write_keep_alive = write_keep_alive,
    .fini = free_held,
};
