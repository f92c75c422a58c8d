/* SPDX-License-Identifier: MIT */
/* What all protocols have in common. One thread at a time; the owner brings
 * the bytes, the time and the answers, the kind brings the words.
 *
 * Callbacks may re-enter. So the machine is complete before it calls one (the
 * state is set, the operation is in the table or out of it), and it touches
 * neither its state nor an operation after that. */
#include "protocol/protocol.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "json/utf8.h"

/* Codes and reasons of the reference implementation of graphql-transport-ws,
 * byte by byte; 1011 is RFC 6455 7.4.1. */
static const struct {
    uint16_t code;
    fq_str reason;
} closings[] = {
    [FQ_PROTOCOL_NO_MEMORY] = {1011, FQ_STR("Internal server error")},
    [FQ_PROTOCOL_INVALID] = {4400, FQ_STR("Invalid message received")},
    [FQ_PROTOCOL_UNAUTHORIZED] = {4401, FQ_STR("Unauthorized")},
    [FQ_PROTOCOL_FORBIDDEN] = {4403, FQ_STR("Forbidden")},
    [FQ_PROTOCOL_LATE] = {4408, FQ_STR("Connection initialisation timeout")},
    [FQ_PROTOCOL_AGAIN] = {4429, FQ_STR("Too many initialisation requests")},
    /* The reason goes on, see fq_protocol_close_exists. */
    [FQ_PROTOCOL_EXISTS] = {4409, FQ_STR("Subscriber for ")},
};

/* RFC 6455 7.4.1 */
#define CLOSE_NORMAL 1000

/* An operation and the copy of its id in one block. */
typedef struct op_block {
    fq_protocol_op op; /* first, so that it and the block have one address */
    char id[];
} op_block;

/* ── the table of operations ── */

/* Adds a new operation to the table; it is in it on FQ_OK only. */
static fq_status
op_add(fq_protocol *self, fq_str id, fq_protocol_op **pop)
{
    *pop = NULL;
    op_block *block = fq_alloc(sizeof(*block) + id.len);
    if (block == NULL)
        return FQ_ERR_NOMEM;
    memcpy(block->id, id.ptr, id.len);
    block->op.id = fq_str_make(block->id, id.len);
    block->op.handle = NULL;
    fq_status status = fq_map_add(&self->ops_by_id, block->op.id, &block->op);
    if (status != FQ_OK) {
        fq_free(block);
        return status;
    }
    *pop = &block->op;
    return FQ_OK;
}

/* Takes |op| out of the table; its memory stays. */
static void
op_remove(fq_protocol *self, fq_protocol_op *op)
{
    void *removed = fq_map_remove(&self->ops_by_id, op->id);
    FQ_CHECK(removed == op);
    (void)removed;
}

static void
op_free(fq_protocol_op *op)
{
    fq_free((op_block *)(void *)op);
}

/* Ends |op| with the message in |buf|. The operation is gone before anyone is
 * called, so that an owner whose close callback walks the operations does not
 * meet the one it is just ending. */
static void
op_end_with(fq_protocol *self, fq_protocol_op *op, fq_buf *buf)
{
    op_remove(self, op);
    op_free(op);
    bool is_silent = fq_buf_status(buf) == FQ_OK && buf->len == 0;
    if (self->state == FQ_PROTOCOL_CLOSED || is_silent)
        fq_buf_fini(buf);
    else
        fq_protocol_send(self, buf);
    if (self->kind->is_single)
        fq_protocol_close(self, CLOSE_NORMAL, FQ_STR_LIT(""));
}

/* ── life ── */

void
fq_protocol_init(fq_protocol *self, const fq_protocol_kind *kind,
                 const fq_protocol_owner *owner, void *ctx,
                 uint64_t init_deadline_ns, uint64_t keep_alive_ns)
{
    self->kind = kind;
    self->owner = owner;
    self->ctx = ctx;
    self->state = FQ_PROTOCOL_AWAITING_INIT;
    self->deadline_ns = init_deadline_ns;
    self->keep_alive_ns = keep_alive_ns;
    fq_map_init(&self->ops_by_id);
    self->own = NULL;
}

void
fq_protocol_fini(fq_protocol *self)
{
    size_t iter = 0;
    fq_protocol_op *op;
    while ((op = fq_protocol_each_op(self, &iter)) != NULL)
        op_free(op);
    fq_map_fini(&self->ops_by_id);
    if (self->kind->fini != NULL)
        self->kind->fini(self);
    self->own = NULL;
    self->state = FQ_PROTOCOL_CLOSED;
}

/* ── for the owner ── */

/* The next sign of life, if this kind gives any. */
static void
await_keep_alive(fq_protocol *self, uint64_t now_ns)
{
    if (self->kind->write_keep_alive != NULL && self->keep_alive_ns > 0)
        self->deadline_ns = now_ns + self->keep_alive_ns;
}

void
fq_protocol_receive(fq_protocol *self, fq_str text)
{
    if (self->state != FQ_PROTOCOL_CLOSED)
        self->kind->receive(self, text);
}

void
fq_protocol_ack(fq_protocol *self, fq_str payload, uint64_t now_ns)
{
    if (self->state != FQ_PROTOCOL_AWAITING_ACK)
        return;
    self->state = FQ_PROTOCOL_READY;
    await_keep_alive(self, now_ns);
    self->kind->ack(self, payload);
}

void
fq_protocol_refuse(fq_protocol *self, uint16_t code, fq_str reason)
{
    if (self->state == FQ_PROTOCOL_AWAITING_INIT)
        return;
    if (code == 0) {
        code = closings[FQ_PROTOCOL_FORBIDDEN].code;
        reason = closings[FQ_PROTOCOL_FORBIDDEN].reason;
    }
    if (self->state == FQ_PROTOCOL_AWAITING_ACK
        && self->kind->write_refusal != NULL) {
        fq_buf buf = FQ_BUF_INIT;
        self->kind->write_refusal(&buf, reason);
        fq_protocol_send(self, &buf);
    }
    fq_protocol_close(self, code, reason);
}

bool
fq_protocol_admits(fq_protocol *self, fq_protocol_operation what,
                   uint64_t now_ns)
{
    if (self->kind->admits == NULL)
        return true;
    if (!self->kind->admits(self, what))
        return false;
    await_keep_alive(self, now_ns);
    return true;
}

fq_status
fq_protocol_next(fq_protocol *self, const fq_protocol_op *op, fq_str payload)
{
    const fq_protocol_kind *kind = self->kind;
    fq_buf buf = FQ_BUF_INIT;
    fq_rcbuf *text;
    if (kind->write_result != NULL) {
        kind->write_result(&buf, op->id, payload);
    } else {
        kind->write_next_head(&buf, op->id);
        fq_buf_append_str(&buf, payload);
        fq_buf_append_str(&buf, kind->next_tail);
    }
    fq_status status = fq_buf_to_rcbuf(&buf, &text);
    fq_buf_fini(&buf);
    if (status == FQ_OK)
        self->owner->send(self->ctx, text);
    return status;
}

void
fq_protocol_error(fq_protocol *self, fq_protocol_op *op, fq_str errors)
{
    fq_buf buf = FQ_BUF_INIT;
    self->kind->write_error(&buf, op->id, errors);
    op_end_with(self, op, &buf);
}

void
fq_protocol_end(fq_protocol *self, fq_protocol_op *op)
{
    fq_buf buf = FQ_BUF_INIT;
    self->kind->write_end(&buf, op->id);
    op_end_with(self, op, &buf);
}

/* A payload that many share has no closing brace (engine/payload.h), which the
 * tail therefore begins with. */
fq_status
fq_protocol_next_head(const fq_protocol *self, const fq_protocol_op *op,
                      fq_rcbuf **phead, uint8_t *ptail_len)
{
    fq_buf buf = FQ_BUF_INIT;
    self->kind->write_next_head(&buf, op->id);
    fq_buf_append_char(&buf, '}');
    fq_buf_append_str(&buf, self->kind->next_tail);
    *ptail_len = (uint8_t)(1 + self->kind->next_tail.len);
    fq_status status = fq_buf_to_rcbuf(&buf, phead);
    fq_buf_fini(&buf);
    return status;
}

uint64_t
fq_protocol_deadline_ns(const fq_protocol *self)
{
    return self->deadline_ns;
}

void
fq_protocol_tick(fq_protocol *self, uint64_t now_ns)
{
    if (now_ns < self->deadline_ns)
        return;
    if (self->state == FQ_PROTOCOL_AWAITING_INIT) {
        fq_protocol_close_as(self, FQ_PROTOCOL_LATE);
    } else if (self->state == FQ_PROTOCOL_READY) {
        await_keep_alive(self, now_ns);
        fq_buf buf = FQ_BUF_INIT;
        self->kind->write_keep_alive(&buf);
        fq_protocol_send(self, &buf);
    }
}

void
fq_protocol_close(fq_protocol *self, uint16_t code, fq_str reason)
{
    if (self->state == FQ_PROTOCOL_CLOSED)
        return;
    self->state = FQ_PROTOCOL_CLOSED;
    self->deadline_ns = UINT64_MAX;
    self->owner->close(self->ctx, code,
                       fq_utf8_truncate(reason, FQ_PROTOCOL_REASON_MAX));
}

size_t
fq_protocol_n_ops(const fq_protocol *self)
{
    return self->ops_by_id.n_items;
}

fq_protocol_op *
fq_protocol_find(const fq_protocol *self, fq_str id)
{
    return fq_map_get(&self->ops_by_id, id);
}

fq_protocol_op *
fq_protocol_each_op(const fq_protocol *self, size_t *piter)
{
    fq_str id;
    void *op;
    (void)fq_map_next(&self->ops_by_id, piter, &id, &op);
    return op;
}

/* ── for the kinds ── */

void
fq_protocol_close_as(fq_protocol *self, fq_protocol_closing closing)
{
    fq_protocol_close(self, closings[closing].code, closings[closing].reason);
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
 * length first, which leaves fq_protocol_close the last word on what fits. */
void
fq_protocol_close_exists(fq_protocol *self, fq_str id)
{
    const fq_str before = closings[FQ_PROTOCOL_EXISTS].reason;
    const fq_str after = FQ_STR(" already exists");
    char reason[2 * FQ_PROTOCOL_REASON_MAX];
    size_t len = before.len;
    id = fq_utf8_truncate(id, FQ_PROTOCOL_REASON_MAX);
    memcpy(reason, before.ptr, len);
    memcpy(reason + len, id.ptr, id.len);
    reason_replace_surrogates(reason + len, id.len);
    len += id.len;
    memcpy(reason + len, after.ptr, after.len);
    fq_protocol_close(self, closings[FQ_PROTOCOL_EXISTS].code,
                      fq_str_make(reason, len + after.len));
}

void
fq_protocol_send(fq_protocol *self, fq_buf *buf)
{
    fq_rcbuf *text = NULL;
    fq_status status = fq_buf_to_rcbuf(buf, &text);
    fq_buf_fini(buf);
    if (status == FQ_OK)
        self->owner->send(self->ctx, text);
    else
        fq_protocol_close_as(self, FQ_PROTOCOL_NO_MEMORY);
}

void
fq_protocol_introduce(fq_protocol *self, yyjson_val *payload)
{
    if (self->state != FQ_PROTOCOL_AWAITING_INIT) {
        fq_protocol_close_as(self, FQ_PROTOCOL_AGAIN);
        return;
    }
    self->state = FQ_PROTOCOL_AWAITING_ACK;
    self->deadline_ns = UINT64_MAX;
    self->owner->init(self->ctx, payload);
}

void
fq_protocol_start(fq_protocol *self, fq_str id,
                  const fq_protocol_request *request)
{
    fq_protocol_op *op;
    fq_status status = op_add(self, id, &op);
    if (status == FQ_ERR_EXISTS)
        fq_protocol_close_exists(self, id);
    else if (status != FQ_OK)
        fq_protocol_close_as(self, FQ_PROTOCOL_NO_MEMORY);
    else
        self->owner->subscribe(self->ctx, op, request);
}

bool
fq_protocol_stop(fq_protocol *self, fq_str id)
{
    fq_protocol_op *op = fq_map_remove(&self->ops_by_id, id);
    if (op == NULL)
        return false;
    self->owner->complete(self->ctx, op);
    op_free(op);
    return true;
}
