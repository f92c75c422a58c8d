/* SPDX-License-Identifier: MIT */
/* The graphql-transport-ws machine: one handler per message a client may
 * send, and a close code for everything else. One thread at a time; the owner
 * brings the bytes, the time and the answers.
 *
 * Every handler first looks at the whole message and only then at the state,
 * as the reference does: what is malformed closes 4400 even where a
 * well-formed message of its type would close 4401 or 4429.
 *
 * Callbacks may re-enter. So the machine is complete before it calls one (the
 * state is set, the operation is in the table or out of it), and it touches
 * neither its state nor an operation after that; only the document of the
 * message outlives the callback, on the stack of fq_gtws_receive. */
#include "protocol/graphql_transport_ws.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "json/reader.h"
#include "json/utf8.h"
#include "json/writer.h"

/* A control frame carries 125 bytes, two of which are the code (RFC 6455
 * 5.5). */
#define GTWS_REASON_MAX 123

typedef enum gtws_closing {
    CLOSING_NO_MEMORY,
    CLOSING_INVALID,
    CLOSING_UNAUTHORIZED,
    CLOSING_FORBIDDEN,
    CLOSING_INIT_TIMEOUT,
    CLOSING_EXISTS,
    CLOSING_TOO_MANY_INITS,
} gtws_closing;

/* Codes and reasons of the reference implementation, byte by byte; 1011 is
 * RFC 6455 7.4.1. */
static const struct {
    uint16_t code;
    fq_str reason;
} closings[] = {
    [CLOSING_NO_MEMORY] = {1011, FQ_STR("Internal server error")},
    [CLOSING_INVALID] = {4400, FQ_STR("Invalid message received")},
    [CLOSING_UNAUTHORIZED] = {4401, FQ_STR("Unauthorized")},
    [CLOSING_FORBIDDEN] = {4403, FQ_STR("Forbidden")},
    [CLOSING_INIT_TIMEOUT] = {4408,
                              FQ_STR("Connection initialisation timeout")},
    /* The reason goes on, see gtws_close_exists. */
    [CLOSING_EXISTS] = {4409, FQ_STR("Subscriber for ")},
    [CLOSING_TOO_MANY_INITS] = {4429,
                                FQ_STR("Too many initialisation requests")},
};

/* An operation and the copy of its id in one block. */
typedef struct gtws_op_block {
    fq_gtws_op op; /* first, so that it and the block have one address */
    char id[];
} gtws_op_block;

static void
gtws_close(fq_gtws *gtws, gtws_closing closing)
{
    fq_gtws_close(gtws, closings[closing].code, closings[closing].reason);
}

/* The one table from a status to a close code. */
static void
gtws_close_for(fq_gtws *gtws, fq_status status)
{
    gtws_close(gtws,
               status <= FQ_ERR_FATAL ? CLOSING_NO_MEMORY : CLOSING_INVALID);
}

/* Sends what |buf| holds and frees it; closes when it could not be built. */
static void
gtws_send(fq_gtws *gtws, fq_buf *buf)
{
    fq_rcbuf *text = NULL;
    fq_status status = fq_buf_to_rcbuf(buf, &text);
    fq_buf_fini(buf);
    if (status == FQ_OK)
        gtws->ops->send(gtws->ctx, text);
    else
        gtws_close(gtws, CLOSING_NO_MEMORY);
}

/* Starts a message about |op|: `{"id":"<id>","type":"<type>"`. */
static void
op_write_head(const fq_gtws_op *op, fq_str type, fq_buf *buf)
{
    fq_buf_append_str(buf, FQ_STR_LIT("{\"id\":"));
    fq_json_write_str(buf, op->id);
    fq_buf_append_str(buf, FQ_STR_LIT(",\"type\":\""));
    fq_buf_append_str(buf, type);
    fq_buf_append_char(buf, '"');
}

/* Adds a new operation to the table; it is in it on FQ_OK only. */
static fq_status
op_add(fq_gtws *gtws, fq_str id, fq_gtws_op **pop)
{
    *pop = NULL;
    gtws_op_block *block = fq_alloc(sizeof(*block) + id.len);
    if (block == NULL)
        return FQ_ERR_NOMEM;
    memcpy(block->id, id.ptr, id.len);
    block->op.id = fq_str_make(block->id, id.len);
    block->op.handle = NULL;
    fq_status status = fq_map_add(&gtws->ops_by_id, block->op.id, &block->op);
    if (status != FQ_OK) {
        fq_free(block);
        return status;
    }
    *pop = &block->op;
    return FQ_OK;
}

/* Takes |op| out of the table; its memory stays. */
static void
op_remove(fq_gtws *gtws, fq_gtws_op *op)
{
    void *removed = fq_map_remove(&gtws->ops_by_id, op->id);
    FQ_CHECK(removed == op);
    (void)removed;
}

static void
op_free(fq_gtws_op *op)
{
    fq_free((gtws_op_block *)(void *)op);
}

/* Ends |op| with the message in |buf|. The operation is gone before anyone is
 * called, so that an owner whose close callback walks the operations does not
 * meet the one it is just ending. */
static void
op_end_with(fq_gtws *gtws, fq_gtws_op *op, fq_buf *buf)
{
    op_remove(gtws, op);
    op_free(op);
    if (gtws->state == FQ_GTWS_CLOSED)
        fq_buf_fini(buf);
    else
        gtws_send(gtws, buf);
}

/* The reference asks `payload != null && !isObject(payload)`: absent and null
 * are none (*pval NULL), an object is one, all else is refused, `0`, `false`
 * and `""` included. */
static bool
member_object(yyjson_val *object, fq_str key, yyjson_val **pval)
{
    yyjson_val *val = fq_json_get(object, key);
    *pval = yyjson_is_obj(val) ? val : NULL;
    return *pval != NULL || val == NULL || yyjson_is_null(val);
}

/* The same for a string; none has ptr NULL. */
static bool
member_str(yyjson_val *object, fq_str key, fq_str *pstr)
{
    yyjson_val *val = fq_json_get(object, key);
    *pstr = yyjson_is_str(val) ? fq_json_str(val) : fq_str_make(NULL, 0);
    return yyjson_is_str(val) || val == NULL || yyjson_is_null(val);
}

/* The id of an operation: a string that is not empty. */
static bool
member_id(yyjson_val *object, fq_str *pid)
{
    return member_str(object, FQ_STR_LIT("id"), pid) && pid->len > 0;
}

static void
receive_connection_init(fq_gtws *gtws, yyjson_val *message)
{
    yyjson_val *payload;
    if (!member_object(message, FQ_STR_LIT("payload"), &payload)) {
        gtws_close(gtws, CLOSING_INVALID);
    } else if (gtws->state != FQ_GTWS_AWAITING_INIT) {
        gtws_close(gtws, CLOSING_TOO_MANY_INITS);
    } else {
        gtws->state = FQ_GTWS_AWAITING_ACK;
        gtws->ops->init(gtws->ctx, payload);
    }
}

static void
receive_ping(fq_gtws *gtws, yyjson_val *message)
{
    yyjson_val *payload;
    if (!member_object(message, FQ_STR_LIT("payload"), &payload)) {
        gtws_close(gtws, CLOSING_INVALID);
        return;
    }
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_str(&buf, FQ_STR_LIT("{\"type\":\"pong\""));
    if (payload != NULL) {
        fq_buf_append_str(&buf, FQ_STR_LIT(",\"payload\":"));
        fq_json_write_val(&buf, payload);
    }
    fq_buf_append_char(&buf, '}');
    gtws_send(gtws, &buf);
    if (payload != NULL && gtws->ops->ping != NULL
        && gtws->state != FQ_GTWS_CLOSED)
        gtws->ops->ping(gtws->ctx, payload);
}

/* An answer to a ping of ours, or a heartbeat nobody asked for: both are
 * fine and need nothing. */
static void
receive_pong(fq_gtws *gtws, yyjson_val *message)
{
    yyjson_val *payload;
    if (!member_object(message, FQ_STR_LIT("payload"), &payload))
        gtws_close(gtws, CLOSING_INVALID);
}

/* A close reason is UTF-8 (RFC 6455 5.5.1). A lone surrogate, ED A0..BF xx in
 * the id, becomes U+FFFD, as in any JavaScript encoder; that has three bytes
 * as well. */
static void
reason_replace_surrogates(char *reason, size_t len)
{
    for (size_t i = 0; i + 2 < len; i++) {
        if ((unsigned char)reason[i] == 0xed
            && (unsigned char)reason[i + 1] >= 0xa0)
            memcpy(reason + i, "\xef\xbf\xbd", 3);
    }
}

/* On the stack: a close needs no memory. The id is cut to a whole reason's
 * length first, which leaves fq_gtws_close the last word on what fits. */
static void
gtws_close_exists(fq_gtws *gtws, fq_str id)
{
    const fq_str before = closings[CLOSING_EXISTS].reason;
    const fq_str after = FQ_STR(" already exists");
    char reason[2 * GTWS_REASON_MAX];
    id = fq_utf8_truncate(id, GTWS_REASON_MAX);
    memcpy(reason, before.ptr, before.len);
    memcpy(reason + before.len, id.ptr, id.len);
    reason_replace_surrogates(reason + before.len, id.len);
    memcpy(reason + before.len + id.len, after.ptr, after.len);
    fq_gtws_close(gtws, closings[CLOSING_EXISTS].code,
                  fq_str_make(reason, before.len + id.len + after.len));
}

/* What a `subscribe` carries; borrowed from its document. */
typedef struct gtws_subscribe {
    fq_str id;
    fq_str query;
    fq_str operation_name; /* ptr NULL: none */
    yyjson_val *variables; /* NULL: none */
    yyjson_val *extensions;
} gtws_subscribe;

static bool
subscribe_read(yyjson_val *message, gtws_subscribe *subscribe)
{
    yyjson_val *payload;
    return member_id(message, &subscribe->id)
           && member_object(message, FQ_STR_LIT("payload"), &payload)
           && payload != NULL
           && member_str(payload, FQ_STR_LIT("query"), &subscribe->query)
           && subscribe->query.ptr != NULL
           && member_str(payload, FQ_STR_LIT("operationName"),
                         &subscribe->operation_name)
           && member_object(payload, FQ_STR_LIT("variables"),
                            &subscribe->variables)
           && member_object(payload, FQ_STR_LIT("extensions"),
                            &subscribe->extensions);
}

static void
receive_subscribe(fq_gtws *gtws, yyjson_val *message)
{
    gtws_subscribe subscribe;
    if (!subscribe_read(message, &subscribe)) {
        gtws_close(gtws, CLOSING_INVALID);
        return;
    }
    if (gtws->state != FQ_GTWS_READY) {
        gtws_close(gtws, CLOSING_UNAUTHORIZED);
        return;
    }
    fq_gtws_op *op;
    fq_status status = op_add(gtws, subscribe.id, &op);
    if (status == FQ_ERR_EXISTS)
        gtws_close_exists(gtws, subscribe.id);
    else if (status != FQ_OK)
        gtws_close(gtws, CLOSING_NO_MEMORY);
    else
        gtws->ops->subscribe(gtws->ctx, op, subscribe.query,
                             subscribe.operation_name, subscribe.variables,
                             subscribe.extensions);
}

/* In any state: an id that nobody knows, or no longer, is no error. */
static void
receive_complete(fq_gtws *gtws, yyjson_val *message)
{
    fq_str id;
    if (!member_id(message, &id)) {
        gtws_close(gtws, CLOSING_INVALID);
        return;
    }
    fq_gtws_op *op = fq_map_remove(&gtws->ops_by_id, id);
    if (op == NULL)
        return;
    gtws->ops->complete(gtws->ctx, op);
    op_free(op);
}

/* What a client may send. Types of the server alone are as unknown here as
 * any other word. */
typedef struct gtws_message_type {
    fq_str name;
    void (*receive)(fq_gtws *gtws, yyjson_val *message);
} gtws_message_type;

static const gtws_message_type message_types[] = {
    {FQ_STR("subscribe"), receive_subscribe},
    {FQ_STR("complete"), receive_complete},
    {FQ_STR("ping"), receive_ping},
    {FQ_STR("pong"), receive_pong},
    {FQ_STR("connection_init"), receive_connection_init},
};

/* The entry of |message|'s type, or NULL for anything that has none. */
static const gtws_message_type *
message_type_of(yyjson_val *message)
{
    fq_str name = fq_json_str(fq_json_get(message, FQ_STR_LIT("type")));
    for (size_t i = 0; i < sizeof(message_types) / sizeof(*message_types);
         i++) {
        if (fq_str_eq(message_types[i].name, name))
            return &message_types[i];
    }
    return NULL;
}

void
fq_gtws_init(fq_gtws *gtws, const fq_gtws_ops *ops, void *ctx,
             uint64_t init_deadline_ns)
{
    gtws->ops = ops;
    gtws->ctx = ctx;
    gtws->state = FQ_GTWS_AWAITING_INIT;
    gtws->init_deadline_ns = init_deadline_ns;
    fq_map_init(&gtws->ops_by_id);
}

void
fq_gtws_fini(fq_gtws *gtws)
{
    size_t iter = 0;
    fq_gtws_op *op;
    while ((op = fq_gtws_each_op(gtws, &iter)) != NULL)
        op_free(op);
    fq_map_fini(&gtws->ops_by_id);
    gtws->state = FQ_GTWS_CLOSED;
}

void
fq_gtws_receive(fq_gtws *gtws, fq_str text)
{
    if (gtws->state == FQ_GTWS_CLOSED)
        return;
    yyjson_doc *doc;
    fq_status status = fq_json_read(text, FQ_JSON_LONE_SURROGATES, &doc, NULL);
    if (status != FQ_OK) {
        gtws_close_for(gtws, status);
        return;
    }
    yyjson_val *message = yyjson_doc_get_root(doc);
    const gtws_message_type *type = message_type_of(message);
    if (type != NULL)
        type->receive(gtws, message);
    else
        gtws_close(gtws, CLOSING_INVALID);
    fq_json_free(doc);
}

void
fq_gtws_ack(fq_gtws *gtws, fq_str payload)
{
    if (gtws->state != FQ_GTWS_AWAITING_ACK)
        return;
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_str(&buf, FQ_STR_LIT("{\"type\":\"connection_ack\""));
    if (payload.ptr != NULL) {
        fq_buf_append_str(&buf, FQ_STR_LIT(",\"payload\":"));
        fq_buf_append_str(&buf, payload);
    }
    fq_buf_append_char(&buf, '}');
    gtws->state = FQ_GTWS_READY;
    gtws_send(gtws, &buf);
}

void
fq_gtws_refuse(fq_gtws *gtws, uint16_t code, fq_str reason)
{
    if (gtws->state != FQ_GTWS_AWAITING_ACK)
        return;
    if (code == 0)
        gtws_close(gtws, CLOSING_FORBIDDEN);
    else
        fq_gtws_close(gtws, code, reason);
}

void
fq_gtws_error(fq_gtws *gtws, fq_gtws_op *op, fq_str errors)
{
    fq_buf buf = FQ_BUF_INIT;
    op_write_head(op, FQ_STR_LIT("error"), &buf);
    fq_buf_append_str(&buf, FQ_STR_LIT(",\"payload\":"));
    fq_buf_append_str(&buf, errors);
    fq_buf_append_char(&buf, '}');
    op_end_with(gtws, op, &buf);
}

void
fq_gtws_end(fq_gtws *gtws, fq_gtws_op *op)
{
    fq_buf buf = FQ_BUF_INIT;
    op_write_head(op, FQ_STR_LIT("complete"), &buf);
    fq_buf_append_char(&buf, '}');
    op_end_with(gtws, op, &buf);
}

fq_status
fq_gtws_next_head(const fq_gtws_op *op, fq_rcbuf **phead)
{
    fq_buf buf = FQ_BUF_INIT;
    op_write_head(op, FQ_STR_LIT("next"), &buf);
    fq_buf_append_str(&buf, FQ_STR_LIT(",\"payload\":"));
    fq_status status = fq_buf_to_rcbuf(&buf, phead);
    fq_buf_fini(&buf);
    return status;
}

uint64_t
fq_gtws_deadline_ns(const fq_gtws *gtws)
{
    return gtws->state == FQ_GTWS_AWAITING_INIT ? gtws->init_deadline_ns
                                                : UINT64_MAX;
}

void
fq_gtws_tick(fq_gtws *gtws, uint64_t now_ns)
{
    if (gtws->state == FQ_GTWS_AWAITING_INIT
        && now_ns >= gtws->init_deadline_ns)
        gtws_close(gtws, CLOSING_INIT_TIMEOUT);
}

void
fq_gtws_close(fq_gtws *gtws, uint16_t code, fq_str reason)
{
    if (gtws->state == FQ_GTWS_CLOSED)
        return;
    gtws->state = FQ_GTWS_CLOSED;
    gtws->ops->close(gtws->ctx, code,
                     fq_utf8_truncate(reason, GTWS_REASON_MAX));
}

size_t
fq_gtws_n_ops(const fq_gtws *gtws)
{
    return gtws->ops_by_id.n_items;
}

fq_gtws_op *
fq_gtws_find(const fq_gtws *gtws, fq_str id)
{
    return fq_map_get(&gtws->ops_by_id, id);
}

fq_gtws_op *
fq_gtws_each_op(const fq_gtws *gtws, size_t *piter)
{
    fq_str id;
    void *op;
    (void)fq_map_next(&gtws->ops_by_id, piter, &id, &op);
    return op;
}
