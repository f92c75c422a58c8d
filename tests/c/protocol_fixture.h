/* SPDX-License-Identifier: MIT */
/* An owner of a protocol's machine that follows a script, for the tests of
 * every kind. Header only. */
#ifndef FQ_TESTS_PROTOCOL_FIXTURE_H
#define FQ_TESTS_PROTOCOL_FIXTURE_H

#include <stdio.h>

#include "json/utf8.h"
#include "protocol/protocol.h"
#include "support.h"

#define LOG_MAX 4096
#define LINE_MAX_BYTES 2048

/* An owner of a machine. Whatever the machine asks is a line in its log;
 * what it does then is up to the script. */
typedef struct peer {
    fq_protocol protocol;
    fq_protocol_op *last_op; /* of the latest subscribe */
    uint64_t now_ns;         /* of the latest tick */
    char log[LOG_MAX];       /* lines that no script line has matched yet */
    size_t len;
    const char *on_send; /* a command to run once at that callback, or NULL */
    const char *on_close;
    const char *on_init;
    const char *on_subscribe;
    const char *on_complete;
    bool is_silent; /* keeps no log */
    bool is_closed;
    bool is_out_of_memory; /* it closed with 1011 */
} peer;

static inline void
peer_run(peer *p, const char *command);

static inline void
peer_append(peer *p, const char *bytes, size_t len)
{
    if (p->is_silent)
        return;
    assert_true(len < LOG_MAX - p->len);
    memcpy(p->log + p->len, bytes, len);
    p->len += len;
    p->log[p->len] = '\0';
}

static inline void
peer_append_str(peer *p, fq_str s)
{
    peer_append(p, s.ptr != NULL ? s.ptr : "-", s.ptr != NULL ? s.len : 1);
}

/* Not through the core's writer: it would ask the core's allocator. */
static inline void
peer_append_val(peer *p, yyjson_val *val)
{
    if (val == NULL || p->is_silent) {
        peer_append_str(p, FQ_STR_LIT("-"));
        return;
    }
    size_t len = 0;
    char *text = yyjson_val_write(val, YYJSON_WRITE_ALLOW_INVALID_UNICODE,
                                  &len);
    assert_non_null(text);
    peer_append(p, text, len);
    free(text);
}

/* Ends a line of the log and lets the script's reaction, if any, follow. */
static inline void
peer_react(peer *p, const char **preaction)
{
    peer_append_str(p, FQ_STR_LIT("\n"));
    const char *action = *preaction;
    *preaction = NULL;
    if (action != NULL)
        peer_run(p, action);
}

static inline void
peer_send_cb(void *ctx, fq_rcbuf *text)
{
    peer *p = ctx;
    assert_false(p->is_closed);
    peer_append_str(p, FQ_STR_LIT("< "));
    peer_append_str(p, fq_rcbuf_str(text));
    fq_rcbuf_unref(text);
    peer_react(p, &p->on_send);
}

static inline void
peer_close_cb(void *ctx, uint16_t code, fq_str reason)
{
    peer *p = ctx;
    assert_false(p->is_closed);
    assert_true(reason.len <= 123);
    assert_true(fq_utf8_is_valid(reason));
    p->is_closed = true;
    p->is_out_of_memory = code == 1011;
    char head[32];
    int len = snprintf(head, sizeof(head), "closed %u ", (unsigned)code);
    peer_append(p, head, (size_t)len);
    peer_append_str(p, reason);
    peer_react(p, &p->on_close);
}

static inline void
peer_init_cb(void *ctx, yyjson_val *payload)
{
    peer *p = ctx;
    assert_false(p->is_closed);
    peer_append_str(p, FQ_STR_LIT("init "));
    peer_append_val(p, payload);
    peer_react(p, &p->on_init);
}

static inline void
peer_subscribe_cb(void *ctx, fq_protocol_op *op,
                  const fq_protocol_request *request)
{
    peer *p = ctx;
    assert_false(p->is_closed);
    assert_null(op->handle);
    assert_non_null(request->query.ptr);
    op->handle = p;
    p->last_op = op;
    peer_append_str(p, FQ_STR_LIT("subscribe "));
    peer_append_str(p, op->id);
    peer_append_str(p, FQ_STR_LIT(" "));
    peer_append_str(p, request->query);
    peer_append_str(p, FQ_STR_LIT(" "));
    peer_append_str(p, request->operation_name);
    peer_append_str(p, FQ_STR_LIT(" "));
    peer_append_val(p, request->variables);
    peer_append_str(p, FQ_STR_LIT(" "));
    peer_append_val(p, request->extensions);
    peer_react(p, &p->on_subscribe);
}

static inline void
peer_complete_cb(void *ctx, fq_protocol_op *op)
{
    peer *p = ctx;
    assert_false(p->is_closed);
    assert_ptr_equal(op->handle, p);
    peer_append_str(p, FQ_STR_LIT("complete "));
    peer_append_str(p, op->id);
    peer_react(p, &p->on_complete);
}

static const fq_protocol_owner peer_owner = {
    .send = peer_send_cb,
    .close = peer_close_cb,
    .init = peer_init_cb,
    .subscribe = peer_subscribe_cb,
    .complete = peer_complete_cb,
};

#define DEADLINE_NS 1000
#define KEEP_ALIVE_NS 12000

static inline void
peer_init(peer *p, const fq_protocol_kind *kind)
{
    memset(p, 0, sizeof(*p));
    fq_protocol_init(&p->protocol, kind, &peer_owner, p, DEADLINE_NS,
                     KEEP_ALIVE_NS);
}

static inline fq_protocol_op *
peer_op(peer *p, fq_str id)
{
    size_t iter = 0;
    fq_protocol_op *op;
    while ((op = fq_protocol_each_op(&p->protocol, &iter)) != NULL) {
        if (fq_str_eq(op->id, id))
            return op;
    }
    return NULL;
}

/* Cuts the next word off |*prest|. */
static inline fq_str
word_take(fq_str *prest)
{
    const char *space = memchr(prest->ptr, ' ', prest->len);
    size_t len = space != NULL ? (size_t)(space - prest->ptr) : prest->len;
    fq_str word = fq_str_make(prest->ptr, len);
    size_t n_used = len < prest->len ? len + 1 : len;
    *prest = fq_str_make(prest->ptr + n_used, prest->len - n_used);
    return word;
}

static inline bool
word_is(fq_str word, const char *name)
{
    return fq_str_eq(word, fq_str_of(name));
}

/* An operation by its id, or the latest one where the script names none. */
static inline fq_protocol_op *
peer_op_of(peer *p, fq_str id)
{
    fq_protocol_op *op = id.len > 0 ? peer_op(p, id) : p->last_op;
    assert_non_null(op);
    return op;
}

/* A message of |op| as a queue puts it together. */
static inline fq_status
peer_frame(peer *p, const fq_protocol_op *op, const char *payload,
           fq_rcbuf **ptext)
{
    fq_rcbuf *head;
    uint8_t tail_len;
    *ptext = NULL;
    fq_status status = fq_protocol_next_head(&p->protocol, op, &head,
                                             &tail_len);
    if (status != FQ_OK)
        return status;
    size_t head_len = head->len - tail_len;
    fq_str parts[] = {fq_str_make(head->bytes, head_len), fq_str_of(payload),
                      fq_str_make(head->bytes + head_len, tail_len)};
    status = fq_rcbuf_concat(parts, 3, ptext);
    fq_rcbuf_unref(head);
    return status;
}

static inline void
peer_log_head(peer *p, fq_str id)
{
    fq_rcbuf *head;
    if (peer_frame(p, peer_op_of(p, id), "...", &head) != FQ_OK) {
        p->is_out_of_memory = true;
        return;
    }
    peer_append_str(p, FQ_STR_LIT("head "));
    peer_append_str(p, fq_rcbuf_str(head));
    peer_append_str(p, FQ_STR_LIT("\n"));
    fq_rcbuf_unref(head);
}

static inline void
peer_run(peer *p, const char *command)
{
    fq_str rest = fq_str_of(command);
    fq_str verb = word_take(&rest);
    if (word_is(verb, ">")) {
        fq_protocol_receive(&p->protocol, rest);
    } else if (word_is(verb, "ack")) {
        fq_protocol_ack(&p->protocol,
                        rest.len > 0 ? rest : fq_str_make(NULL, 0), p->now_ns);
    } else if (word_is(verb, "refuse")) {
        uint16_t code = (uint16_t)atoi(word_take(&rest).ptr);
        fq_protocol_refuse(&p->protocol, code, rest);
    } else if (word_is(verb, "error")) {
        fq_protocol_op *op = peer_op_of(p, word_take(&rest));
        const fq_str errors = FQ_STR("[{\"message\":\"no\"}]");
        fq_protocol_error(&p->protocol, op, rest.len > 0 ? rest : errors);
    } else if (word_is(verb, "end")) {
        fq_protocol_end(&p->protocol, peer_op_of(p, rest));
    } else if (word_is(verb, "next")) {
        fq_protocol_op *op = peer_op_of(p, word_take(&rest));
        if (fq_protocol_next(&p->protocol, op, rest) != FQ_OK)
            p->is_out_of_memory = true;
    } else if (word_is(verb, "admits")) {
        fq_protocol_operation what = word_is(rest, "mutation")
                                         ? FQ_PROTOCOL_MUTATION
                                     : word_is(rest, "subscription")
                                         ? FQ_PROTOCOL_SUBSCRIPTION
                                         : FQ_PROTOCOL_QUERY;
        bool admits = fq_protocol_admits(&p->protocol, what, p->now_ns);
        assert_int_equal(admits, !p->is_closed);
    } else if (word_is(verb, "head")) {
        peer_log_head(p, rest);
    } else if (word_is(verb, "tick")) {
        p->now_ns = (uint64_t)atoll(rest.ptr);
        fq_protocol_tick(&p->protocol, p->now_ns);
    } else if (word_is(verb, "close")) {
        uint16_t code = (uint16_t)atoi(word_take(&rest).ptr);
        fq_protocol_close(&p->protocol, code, rest);
    } else {
        fail_msg("unknown command: %s", command);
    }
}

/* Arms `on <event> <command>`; |line| must outlive the peer. */
static inline void
peer_arm(peer *p, const char *line)
{
    fq_str rest = fq_str_of(line);
    fq_str event = word_take(&rest);
    const char **preaction = word_is(event, "send")        ? &p->on_send
                             : word_is(event, "close")     ? &p->on_close
                             : word_is(event, "init")      ? &p->on_init
                             : word_is(event, "subscribe") ? &p->on_subscribe
                             : word_is(event, "complete")  ? &p->on_complete
                                                           : NULL;
    assert_non_null(preaction);
    *preaction = rest.ptr;
}

/* A conversation: `> text` is received, `! command` is run, `on event command`
 * is run once at the next such callback, and any other line is what the
 * machine asked meanwhile, in order and in full. ' stands for ". A script
 * ends at the first NULL. */
#define SCRIPT_LINES_MAX 24
typedef struct conversation {
    const char *name;
    const char *lines[SCRIPT_LINES_MAX];
} conversation;

static inline void
conversation_expect(const conversation *c, peer *p, const char *line)
{
    size_t len = strlen(line);
    if (p->len > len && memcmp(p->log, line, len) == 0
        && p->log[len] == '\n') {
        memmove(p->log, p->log + len + 1, p->len - len);
        p->len -= len + 1;
        return;
    }
    fail_msg("%s: expected: %s\ngot: %s", c->name, line, p->log);
}

static inline void
conversation_line(const conversation *c, peer *p, const char *line)
{
    bool is_step = strchr(">!", line[0]) != NULL;
    if (is_step && p->len > 0)
        fail_msg("%s: before: %s\ngot: %s", c->name, line, p->log);
    if (strncmp(line, "on ", 3) == 0)
        peer_arm(p, line + 3);
    else if (is_step)
        peer_run(p, line[0] == '!' ? line + 2 : line);
    else
        conversation_expect(c, p, line);
}

static inline void
quotes_replace(char *line)
{
    for (; *line != '\0'; line++) {
        if (*line == '\'')
            *line = '"';
    }
}

typedef struct script {
    const fq_protocol_kind *kind;
    const conversation *conversation;
} script;

/* Every script ends with the machine as the script says: nothing unmatched
 * may be left. */
static inline fq_status
body_conversation(void *arg)
{
    const script *s = arg;
    const conversation *c = s->conversation;
    static char lines[SCRIPT_LINES_MAX][LINE_MAX_BYTES];
    peer p;
    peer_init(&p, s->kind);
    for (size_t i = 0; i < SCRIPT_LINES_MAX && c->lines[i] != NULL; i++) {
        assert_true(strlen(c->lines[i]) < LINE_MAX_BYTES);
        strcpy(lines[i], c->lines[i]);
        quotes_replace(lines[i]);
        conversation_line(c, &p, lines[i]);
        if (p.is_out_of_memory)
            break;
    }
    if (!p.is_out_of_memory && p.len > 0)
        fail_msg("%s: at the end: %s", c->name, p.log);
    fq_protocol_fini(&p.protocol);
    return p.is_out_of_memory ? FQ_ERR_NOMEM : FQ_OK;
}


static inline void
converse(const fq_protocol_kind *kind, const conversation *conversations,
         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        script s = {kind, &conversations[i]};
        fq_test_body(body_conversation, &s);
    }
}

#endif
