/* SPDX-License-Identifier: MIT */
/* Mutated messages for a protocol's machine, and an owner that answers it
 * somehow. Header only. */
#ifndef FQ_TESTS_PROTOCOL_FUZZ_H
#define FQ_TESTS_PROTOCOL_FUZZ_H

#include "json/reader.h"
#include "protocol_fixture.h"

#define MUTATION_ROUNDS 20000
#define MUTATION_SEED 20240229u
#define MUTATION_TEXT_MAX 1024

static uint64_t mutation_state;

/* xorshift64* (Vigna): the same numbers on every machine. */
static inline uint32_t
mutation_below(uint32_t n)
{
    mutation_state ^= mutation_state >> 12;
    mutation_state ^= mutation_state << 25;
    mutation_state ^= mutation_state >> 27;
    return (uint32_t)(mutation_state * UINT64_C(2685821657736338717) >> 33)
           % n;
}

/* Fragments that are near to something. */
static const char *const mutation_pieces[] = {
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "0",
    "-0",
    "1e999",
    "\\",
    "\\ud800",
    "\\udc00",
    "\xed\xa0\x80",
    "\xff",
    "\xef\xbb\xbf",
    "\"id\":\"1\",",
    "\"type\":\"ping\",",
    "\"payload\":{},",
    "\"payload\":0,",
    "subscribe",
    "complete",
};

/* Puts |n_bytes| at |at|; the text stays as it is where there is no room. */
static inline size_t
mutation_insert(char *text, size_t len, size_t max, size_t at,
                const char *bytes, size_t n_bytes)
{
    char copy[MUTATION_TEXT_MAX];
    if (n_bytes > max - len)
        return len;
    memcpy(copy, bytes, n_bytes);
    memmove(text + at + n_bytes, text + at, len - at);
    memcpy(text + at, copy, n_bytes);
    return len + n_bytes;
}

/* One edit: a byte changed, a stretch dropped or doubled, a piece put in.
 * Returns the new length. */
static inline size_t
mutation_edit(char *text, size_t len, size_t max)
{
    const char *piece = mutation_pieces[mutation_below(
        sizeof(mutation_pieces) / sizeof(*mutation_pieces))];
    size_t at = mutation_below((uint32_t)len + 1);
    size_t n_bytes = mutation_below((uint32_t)(len - at) + 1);
    switch (mutation_below(4)) {
    case 0:
        if (at < len)
            text[at] = (char)mutation_below(256);
        return len;
    case 1:
        memmove(text + at, text + at + n_bytes, len - at - n_bytes);
        return len - n_bytes;
    case 2:
        return mutation_insert(text, len, max, at, text + at, n_bytes);
    default:
        return mutation_insert(text, len, max, at, piece, strlen(piece));
    }
}

#define MUTATION_SENT_MAX 64

/* An owner with no plan: what it is asked, it answers somehow. */
typedef struct fuzz_peer {
    fq_protocol protocol;
    size_t n_ops; /* begun and not ended, by its own count */
    bool is_closed;
    size_t n_sent;
    fq_rcbuf *sent[MUTATION_SENT_MAX]; /* looked at after the round */
} fuzz_peer;

static inline void
fuzz_send_cb(void *ctx, fq_rcbuf *text)
{
    fuzz_peer *p = ctx;
    assert_false(p->is_closed);
    assert_true(p->n_sent < MUTATION_SENT_MAX);
    p->sent[p->n_sent++] = text;
    if (mutation_below(50) == 0)
        fq_protocol_close(&p->protocol, 1012, FQ_STR_LIT("Service restart"));
}

static inline void
fuzz_close_cb(void *ctx, uint16_t code, fq_str reason)
{
    fuzz_peer *p = ctx;
    assert_false(p->is_closed);
    assert_true(code > 1000 && code < 5000);
    assert_true(reason.len > 0 && reason.len <= 123);
    assert_true(fq_utf8_is_valid(reason));
    p->is_closed = true;
}

static inline void
fuzz_init_cb(void *ctx, yyjson_val *payload)
{
    fuzz_peer *p = ctx;
    assert_false(p->is_closed);
    assert_true(payload == NULL || yyjson_is_obj(payload));
    if (mutation_below(2) == 0)
        fq_protocol_ack(&p->protocol, FQ_STR_LIT("{}"), 0);
}

static inline void
fuzz_end(fuzz_peer *p, fq_protocol_op *op)
{
    p->n_ops--;
    if (mutation_below(2) == 0)
        fq_protocol_error(&p->protocol, op,
                          FQ_STR_LIT("[{\"message\":\"\"}]"));
    else
        fq_protocol_end(&p->protocol, op);
}

static inline void
fuzz_subscribe_cb(void *ctx, fq_protocol_op *op,
                  const fq_protocol_request *request)
{
    fuzz_peer *p = ctx;
    assert_false(p->is_closed);
    assert_true(op->id.len > 0);
    assert_non_null(request->query.ptr);
    assert_true(request->operation_name.ptr != NULL
                || request->operation_name.len == 0);
    assert_true(request->variables == NULL
                || yyjson_is_obj(request->variables));
    assert_true(request->extensions == NULL
                || yyjson_is_obj(request->extensions));
    p->n_ops++;
    if (mutation_below(4) == 0)
        fuzz_end(p, op);
}

static inline void
fuzz_complete_cb(void *ctx, fq_protocol_op *op)
{
    fuzz_peer *p = ctx;
    assert_false(p->is_closed);
    assert_true(op->id.len > 0);
    p->n_ops--;
}

static const fq_protocol_owner fuzz_owner = {
    .send = fuzz_send_cb,
    .close = fuzz_close_cb,
    .init = fuzz_init_cb,
    .subscribe = fuzz_subscribe_cb,
    .complete = fuzz_complete_cb,
};

/* What the machine sent is JSON in UTF-8 with a type. */
static inline void
fuzz_check_sent(fuzz_peer *p)
{
    for (size_t i = 0; i < p->n_sent; i++) {
        yyjson_doc *doc;
        fq_str text = fq_rcbuf_str(p->sent[i]);
        assert_true(fq_utf8_is_valid(text));
        assert_int_equal(
            fq_json_read(text, FQ_JSON_LONE_SURROGATES, &doc, NULL), FQ_OK);
        yyjson_val *type = fq_json_get(yyjson_doc_get_root(doc),
                                       FQ_STR_LIT("type"));
        assert_true(yyjson_is_str(type));
        fq_json_free(doc);
        fq_rcbuf_unref(p->sent[i]);
    }
    p->n_sent = 0;
}

/* One step of an owner: a message, every third of them with up to three
 * edits, or an operation's end. */
static inline void
fuzz_step(fuzz_peer *p, const char *const *messages, size_t n_messages)
{
    size_t iter = mutation_below(8);
    fq_protocol_op *op = fq_protocol_each_op(&p->protocol, &iter);
    if (op != NULL && mutation_below(4) == 0) {
        fuzz_end(p, op);
        return;
    }
    const char *message = messages[mutation_below((uint32_t)n_messages)];
    char text[MUTATION_TEXT_MAX];
    size_t len = strlen(message);
    memcpy(text, message, len + 1);
    quotes_replace(text);
    uint32_t n_edits = mutation_below(3) == 0 ? 1 + mutation_below(3) : 0;
    for (; n_edits > 0; n_edits--)
        len = mutation_edit(text, len, sizeof(text));
    /* A block of its own, so that a read behind the text is seen. */
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, text, len);
    fq_protocol_receive(&p->protocol, fq_str_make(copy, len));
    free(copy);
}

static inline void
fuzz_round(const fq_protocol_kind *kind, const char *const *messages,
           size_t n_messages)
{
    fuzz_peer p = {0};
    fq_protocol_init(&p.protocol, kind, &fuzz_owner, &p, DEADLINE_NS,
                     KEEP_ALIVE_NS);
    if (mutation_below(4) > 0)
        fq_protocol_receive(&p.protocol,
                            FQ_STR_LIT("{\"type\":\"connection_init\"}"));
    if (mutation_below(4) > 0)
        fq_protocol_ack(&p.protocol, fq_str_make(NULL, 0), 0);
    if (mutation_below(4) == 0)
        fq_alloc_fail_after((long)mutation_below(30));
    for (uint32_t n = mutation_below(30); n > 0; n--)
        fuzz_step(&p, messages, n_messages);
    fq_alloc_fail_after(-1);
    assert_int_equal(fq_protocol_n_ops(&p.protocol), p.n_ops);
    assert_int_equal(p.is_closed, p.protocol.state == FQ_PROTOCOL_CLOSED);
    fuzz_check_sent(&p);
    fq_protocol_fini(&p.protocol);
}

/* Conversations made of |messages| (' stands for "), what a client of |kind|
 * sends, some of them spoilt. */
static inline void
fuzz_survives(const fq_protocol_kind *kind, const char *const *messages,
              size_t n_messages)
{
    mutation_state = MUTATION_SEED;
    for (int i = 0; i < MUTATION_ROUNDS; i++)
        fuzz_round(kind, messages, n_messages);
}

#endif
