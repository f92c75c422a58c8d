/* SPDX-License-Identifier: MIT */
/* The graphql-transport-ws machine against the table of messages that the
 * reference shares (tests/data), conversations written as scripts, owners
 * that call back at the worst moment, and mutated input. */
#include "support.h"

#include <stdio.h>

#include "base/buf.h"
#include "json/reader.h"
#include "json/utf8.h"
#include "json/writer.h"
#include "protocol/graphql_transport_ws.h"

#define LOG_MAX 4096
#define LINE_MAX_BYTES 2048

/* An owner of a machine. Whatever the machine asks is a line in its log;
 * what it does then is up to the script. */
typedef struct peer {
    fq_gtws gtws;
    fq_gtws_op *last_op; /* of the latest subscribe */
    char log[LOG_MAX];   /* lines that no script line has matched yet */
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

static void
peer_run(peer *p, const char *command);

static void
peer_append(peer *p, const char *bytes, size_t len)
{
    if (p->is_silent)
        return;
    assert_true(len < LOG_MAX - p->len);
    memcpy(p->log + p->len, bytes, len);
    p->len += len;
    p->log[p->len] = '\0';
}

static void
peer_append_str(peer *p, fq_str s)
{
    peer_append(p, s.ptr != NULL ? s.ptr : "-", s.ptr != NULL ? s.len : 1);
}

/* Not through the core's writer: it would ask the core's allocator. */
static void
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
static void
peer_react(peer *p, const char **preaction)
{
    peer_append_str(p, FQ_STR_LIT("\n"));
    const char *action = *preaction;
    *preaction = NULL;
    if (action != NULL)
        peer_run(p, action);
}

static void
peer_send_cb(void *ctx, fq_rcbuf *text)
{
    peer *p = ctx;
    assert_false(p->is_closed);
    peer_append_str(p, FQ_STR_LIT("< "));
    peer_append_str(p, fq_rcbuf_str(text));
    fq_rcbuf_unref(text);
    peer_react(p, &p->on_send);
}

static void
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

static void
peer_init_cb(void *ctx, yyjson_val *payload)
{
    peer *p = ctx;
    assert_false(p->is_closed);
    peer_append_str(p, FQ_STR_LIT("init "));
    peer_append_val(p, payload);
    peer_react(p, &p->on_init);
}

static void
peer_subscribe_cb(void *ctx, fq_gtws_op *op, fq_str query,
                  fq_str operation_name, yyjson_val *variables,
                  yyjson_val *extensions)
{
    peer *p = ctx;
    assert_false(p->is_closed);
    assert_null(op->handle);
    assert_non_null(query.ptr);
    op->handle = p;
    p->last_op = op;
    peer_append_str(p, FQ_STR_LIT("subscribe "));
    peer_append_str(p, op->id);
    peer_append_str(p, FQ_STR_LIT(" "));
    peer_append_str(p, query);
    peer_append_str(p, FQ_STR_LIT(" "));
    peer_append_str(p, operation_name);
    peer_append_str(p, FQ_STR_LIT(" "));
    peer_append_val(p, variables);
    peer_append_str(p, FQ_STR_LIT(" "));
    peer_append_val(p, extensions);
    peer_react(p, &p->on_subscribe);
}

static void
peer_complete_cb(void *ctx, fq_gtws_op *op)
{
    peer *p = ctx;
    assert_false(p->is_closed);
    assert_ptr_equal(op->handle, p);
    peer_append_str(p, FQ_STR_LIT("complete "));
    peer_append_str(p, op->id);
    peer_react(p, &p->on_complete);
}

static const fq_gtws_ops peer_ops = {
    .send = peer_send_cb,
    .close = peer_close_cb,
    .init = peer_init_cb,
    .subscribe = peer_subscribe_cb,
    .complete = peer_complete_cb,
};

#define DEADLINE_NS 1000

static void
peer_init(peer *p)
{
    memset(p, 0, sizeof(*p));
    fq_gtws_init(&p->gtws, &peer_ops, p, DEADLINE_NS);
}

static fq_gtws_op *
peer_op(peer *p, fq_str id)
{
    size_t iter = 0;
    fq_gtws_op *op;
    while ((op = fq_gtws_each_op(&p->gtws, &iter)) != NULL) {
        if (fq_str_eq(op->id, id))
            return op;
    }
    return NULL;
}

/* Cuts the next word off |*prest|. */
static fq_str
word_take(fq_str *prest)
{
    const char *space = memchr(prest->ptr, ' ', prest->len);
    size_t len = space != NULL ? (size_t)(space - prest->ptr) : prest->len;
    fq_str word = fq_str_make(prest->ptr, len);
    size_t n_used = len < prest->len ? len + 1 : len;
    *prest = fq_str_make(prest->ptr + n_used, prest->len - n_used);
    return word;
}

static bool
word_is(fq_str word, const char *name)
{
    return fq_str_eq(word, fq_str_of(name));
}

/* An operation by its id, or the latest one where the script names none. */
static fq_gtws_op *
peer_op_of(peer *p, fq_str id)
{
    fq_gtws_op *op = id.len > 0 ? peer_op(p, id) : p->last_op;
    assert_non_null(op);
    return op;
}

static void
peer_log_head(peer *p, fq_str id)
{
    fq_rcbuf *head;
    if (fq_gtws_next_head(peer_op_of(p, id), &head) != FQ_OK) {
        p->is_out_of_memory = true;
        return;
    }
    peer_append_str(p, FQ_STR_LIT("head "));
    peer_append_str(p, fq_rcbuf_str(head));
    peer_append_str(p, FQ_STR_LIT("\n"));
    fq_rcbuf_unref(head);
}

static void
peer_run(peer *p, const char *command)
{
    fq_str rest = fq_str_of(command);
    fq_str verb = word_take(&rest);
    if (word_is(verb, ">")) {
        fq_gtws_receive(&p->gtws, rest);
    } else if (word_is(verb, "ack")) {
        fq_gtws_ack(&p->gtws, rest.len > 0 ? rest : fq_str_make(NULL, 0));
    } else if (word_is(verb, "refuse")) {
        uint16_t code = (uint16_t)atoi(word_take(&rest).ptr);
        fq_gtws_refuse(&p->gtws, code, rest);
    } else if (word_is(verb, "error")) {
        fq_gtws_op *op = peer_op_of(p, word_take(&rest));
        fq_gtws_error(&p->gtws, op, FQ_STR_LIT("[{\"message\":\"no\"}]"));
    } else if (word_is(verb, "end")) {
        fq_gtws_end(&p->gtws, peer_op_of(p, rest));
    } else if (word_is(verb, "head")) {
        peer_log_head(p, rest);
    } else if (word_is(verb, "tick")) {
        fq_gtws_tick(&p->gtws, (uint64_t)atoi(rest.ptr));
    } else if (word_is(verb, "close")) {
        uint16_t code = (uint16_t)atoi(word_take(&rest).ptr);
        fq_gtws_close(&p->gtws, code, rest);
    } else {
        fail_msg("unknown command: %s", command);
    }
}

/* Arms `on <event> <command>`; |line| must outlive the peer. */
static void
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

static void
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

static void
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

static void
quotes_replace(char *line)
{
    for (; *line != '\0'; line++) {
        if (*line == '\'')
            *line = '"';
    }
}

/* Every script ends with the machine as the script says: nothing unmatched
 * may be left. */
static fq_status
body_conversation(void *arg)
{
    const conversation *c = arg;
    static char lines[SCRIPT_LINES_MAX][LINE_MAX_BYTES];
    peer p;
    peer_init(&p);
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
    fq_gtws_fini(&p.gtws);
    return p.is_out_of_memory ? FQ_ERR_NOMEM : FQ_OK;
}

#define INIT "> {'type':'connection_init'}", "init -"
#define READY INIT, "! ack", "< {'type':'connection_ack'}"
#define SUBSCRIBE(id)                                                         \
    "> {'type':'subscribe','id':'" id "','payload':{'query':'{a}'}}"
#define COMPLETE(id) "> {'type':'complete','id':'" id "'}"
#define SUBSCRIBED(id) SUBSCRIBE(id), "subscribe " id " {a} - - -"
#define ERROR(id)                                                             \
    "< {'id':'" id "','type':'error','payload':[{'message':'no'}]}"
#define ENDED(id) "< {'id':'" id "','type':'complete'}"

static const conversation conversations[] = {
    /* init */
    {"ack without payload", {READY}},
    {"ack with payload",
     {"> {'type':'connection_init','payload':{'token':'t'}}",
      "init {'token':'t'}", "! ack {'user':1}",
      "< {'type':'connection_ack','payload':{'user':1}}"}},
    {"a null payload of init is none",
     {"> {'type':'connection_init','payload':null}", "init -"}},
    {"a second init before the ack",
     {INIT, "> {'type':'connection_init'}",
      "closed 4429 Too many initialisation requests", "! ack"}},
    {"a second init after the ack",
     {READY, "> {'type':'connection_init'}",
      "closed 4429 Too many initialisation requests"}},
    {"an invalid second init is invalid first",
     {READY, "> {'type':'connection_init','payload':0}",
      "closed 4400 Invalid message received"}},
    {"a refused init",
     {INIT, "! refuse 0", "closed 4403 Forbidden", "! ack", "! refuse 0"}},
    {"an init refused with a code of the owner's",
     {INIT, "! refuse 4499 Come back tomorrow",
      "closed 4499 Come back tomorrow"}},
    {"a late refusal is ignored", {READY, "! refuse 0"}},
    {"a second ack is ignored", {READY, "! ack {'a':1}"}},
    {"an ack before the init is ignored", {"! ack", "! refuse 0", READY}},
    {"no init in time",
     {"! tick 999", "! tick 1000",
      "closed 4408 Connection initialisation timeout", "! tick 2000"}},
    {"pings do not postpone the timeout",
     {"> {'type':'ping'}", "< {'type':'pong'}", "! tick 1000",
      "closed 4408 Connection initialisation timeout"}},
    {"the timer stops on receipt, not at the ack", {INIT, "! tick 5000"}},
    /* ping, pong */
    {"ping in any state",
     {"> {'type':'ping','payload':{}}", "< {'type':'pong','payload':{}}", INIT,
      "> {'type':'ping','payload':null}", "< {'type':'pong'}", "! ack",
      "< {'type':'connection_ack'}",
      "> {'payload':{'b':[1,-2.5,1e400,18446744073709551617],'a':null,"
      "'s':'\\ud83d\\ude00\\ud800'},'type':'ping'}",
      "< {'type':'pong','payload':{'b':[1,-2.5,1e400,18446744073709551617],"
      "'a':null,'s':'\xf0\x9f\x98\x80\\ud800'}}"}},
    {"of duplicate keys the last is echoed",
     {"> {'type':'ping','payload':0,'payload':{'a':1,'b':2,'a':3}}",
      "< {'type':'pong','payload':{'a':3,'b':2}}"}},
    {"unsolicited pong in any state",
     {"> {'type':'pong'}", INIT, "> {'type':'pong','payload':{}}", "! ack",
      "< {'type':'connection_ack'}", "> {'type':'pong','payload':null}"}},
    /* subscribe */
    {"subscribe before the init",
     {SUBSCRIBE("1"), "closed 4401 Unauthorized"}},
    {"subscribe before the ack",
     {INIT, SUBSCRIBE("1"), "closed 4401 Unauthorized", "! ack"}},
    {"an invalid subscribe before the ack is invalid first",
     {INIT, "> {'type':'subscribe','id':'1','payload':{}}",
      "closed 4400 Invalid message received"}},
    {"subscribe hands all over",
     {READY,
      "> {'type':'subscribe','id':'a b','payload':{'query':'query "
      "Q','variables'"
      ":{'v':[1]},'operationName':'Q','extensions':{'e':{}},'x':0},'x':0}",
      "subscribe a b query Q Q {'v':[1]} {'e':{}}"}},
    {"null members are none, an empty name is one",
     {READY,
      "> {'type':'subscribe','id':'1','payload':{'query':'','variables':null,"
      "'operationName':'','extensions':null}}",
      "subscribe 1   - -",
      "> {'type':'subscribe','id':'2','payload':{'query':'','variables':{},"
      "'operationName':null,'extensions':{}}}",
      "subscribe 2  - {} {}"}},
    {"an id in use",
     {READY, SUBSCRIBED("1"), SUBSCRIBED("2"), SUBSCRIBE("1"),
      "closed 4409 Subscriber for 1 already exists"}},
    {"an id in use wins over a bad query",
     {READY, SUBSCRIBED("1"),
      "> {'type':'subscribe','id':'1','payload':{'query':'}'}}",
      "closed 4409 Subscriber for 1 already exists"}},
    {"ids differ by bytes",
     {READY, SUBSCRIBED("a"), SUBSCRIBED("A"), SUBSCRIBED("a "),
      SUBSCRIBED("\xc3\xa4"), SUBSCRIBED("a\xcc\x88"), SUBSCRIBE("\\u0061"),
      "closed 4409 Subscriber for a already exists"}},
    {"the last character before the surrogates stays",
     {READY, SUBSCRIBED("\xed\x9f\xbf"), SUBSCRIBE("\\ud7ff"),
      "closed 4409 Subscriber for \xed\x9f\xbf already exists"}},
    {"a lone surrogate in a reason becomes U+FFFD",
     {READY, SUBSCRIBE("x\\udfff\\ud800"),
      "subscribe x\xed\xbf\xbf\xed\xa0\x80 {a} - - -",
      SUBSCRIBE("x\\uDFFF\\uD800"),
      "closed 4409 Subscriber for x\xef\xbf\xbd\xef\xbf\xbd already exists"}},
    /* the end of an operation */
    {"complete ends it without an echo and frees the id",
     {READY, SUBSCRIBED("1"), COMPLETE("1"), "complete 1", SUBSCRIBED("1"),
      COMPLETE("1"), "complete 1", COMPLETE("1")}},
    {"complete of an unknown id in any state",
     {COMPLETE("1"), INIT, COMPLETE("1"), "! ack",
      "< {'type':'connection_ack'}", COMPLETE("1"), SUBSCRIBED("1")}},
    {"an error ends it and frees the id",
     {READY, SUBSCRIBED("1"), "! error 1", ERROR("1"), COMPLETE("1"),
      SUBSCRIBED("1")}},
    {"the source's end frees the id; crossing completes are ignored",
     {READY, SUBSCRIBED("1"), SUBSCRIBED("2"), "! end 1", ENDED("1"),
      COMPLETE("1"), SUBSCRIBED("1"), COMPLETE("2"), "complete 2"}},
    {"next heads",
     {READY, SUBSCRIBED("1"), "! head 1",
      "head {'id':'1','type':'next','payload':",
      SUBSCRIBE("\\\\\\u0001/\\ud800\xe2\x82\xac"),
      "subscribe \\\x01/\xed\xa0\x80\xe2\x82\xac {a} - - -", "! head",
      "head {'id':'\\\\\\u0001/\\ud800\xe2\x82\xac','type':'next','payload':",
      "! end", ENDED("\\\\\\u0001/\\ud800\xe2\x82\xac")}},
    /* closing */
    {"a close from the owner's side",
     {READY, SUBSCRIBED("1"), "! close 1012 Service restart",
      "closed 1012 Service restart", SUBSCRIBE("1"), COMPLETE("1"),
      "> {'type':'ping'}", "> nonsense", "! close 1013 Slow", "! tick 5000",
      "! error 1"}},
    {"an operation ends silently after a close",
     {READY, SUBSCRIBED("1"), SUBSCRIBED("2"), "> [",
      "closed 4400 Invalid message received", "! end 1", "! error 2"}},
    /* owners that call back at once */
    {"ack inside init",
     {"on init ack", "> {'type':'connection_init'}", "init -",
      "< {'type':'connection_ack'}", SUBSCRIBED("1")}},
    {"refuse inside init",
     {"on init refuse 0", "> {'type':'connection_init'}", "init -",
      "closed 4403 Forbidden"}},
    {"close inside init",
     {"on init close 1012 Away", "> {'type':'connection_init'}", "init -",
      "closed 1012 Away"}},
    {"close inside the send of an ack",
     {INIT, "on send close 1012 Away", "! ack", "< {'type':'connection_ack'}",
      "closed 1012 Away"}},
    {"close inside the send of a pong",
     {"on send close 1012 Away", "> {'type':'ping'}", "< {'type':'pong'}",
      "closed 1012 Away"}},
    {"error inside subscribe",
     {READY, "on subscribe error", SUBSCRIBED("1"), ERROR("1"),
      SUBSCRIBED("1")}},
    {"end inside subscribe",
     {READY, "on subscribe end", SUBSCRIBED("1"), ENDED("1"),
      SUBSCRIBED("1")}},
    {"close inside subscribe",
     {READY, "on subscribe close 1013 x", SUBSCRIBED("1"), "closed 1013 x"}},
    {"the client's complete inside subscribe",
     {READY, "on subscribe > {'type':'complete','id':'1'}", SUBSCRIBED("1"),
      "complete 1", SUBSCRIBED("1")}},
    {"the same id inside subscribe",
     {READY, "on subscribe " SUBSCRIBE("1"), SUBSCRIBED("1"),
      "closed 4409 Subscriber for 1 already exists"}},
    {"the same id inside complete",
     {READY, SUBSCRIBED("1"), "on complete " SUBSCRIBE("1"), COMPLETE("1"),
      "complete 1", "subscribe 1 {a} - - -", "! end", ENDED("1")}},
    {"close inside complete",
     {READY, SUBSCRIBED("1"), "on complete close 1012 Away", COMPLETE("1"),
      "complete 1", "closed 1012 Away"}},
    {"the same id inside the send of its error",
     {READY, SUBSCRIBED("1"), "on send " SUBSCRIBE("1"), "! error 1",
      ERROR("1"), "subscribe 1 {a} - - -", "! end 1", ENDED("1")}},
    {"another end inside the send of an end",
     {READY, SUBSCRIBED("1"), SUBSCRIBED("2"), "on send end 1", "! end 2",
      ENDED("2"), ENDED("1")}},
    {"input inside close is ignored",
     {"on close > {'type':'ping'}", "> 1",
      "closed 4400 Invalid message received"}},
    {"an operation ends inside close",
     {READY, SUBSCRIBED("1"), "on close end", "! close 1012 Away",
      "closed 1012 Away"}},
};

static void
test_graphql_transport_ws_converses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(conversations) / sizeof(*conversations); i++)
        fq_test_body(body_conversation, (void *)&conversations[i]);
}

/* -- the table that the reference shares ---------------------------------- */

typedef struct message_case {
    bool is_ok; /* else 4400 */
    const char *text;
} message_case;

#define MESSAGE_ok true
#define MESSAGE_invalid false
#define MESSAGE_server false
#define MESSAGE(verdict, text) {MESSAGE_##verdict, text},
static const message_case messages[] = {
#include "../data/graphql_transport_ws_messages.inc"
};

/* Brings a new peer into |state|. */
static void
peer_init_in(peer *p, fq_gtws_state state)
{
    peer_init(p);
    p->is_silent = true;
    if (state >= FQ_GTWS_AWAITING_ACK)
        peer_run(p, "> {\"type\":\"connection_init\"}");
    if (state >= FQ_GTWS_READY)
        peer_run(p, "ack");
    p->is_silent = false;
}

static void
check_message(const message_case *c, fq_str text, fq_gtws_state state)
{
    peer p;
    peer_init_in(&p, state);
    fq_gtws_receive(&p.gtws, text);
    static const char closed[] = "closed 4400 Invalid message received\n";
    if (c->is_ok == (strcmp(p.log, closed) == 0))
        fail_msg("in state %d, %s: %s", (int)state, c->text, p.log);
    fq_gtws_fini(&p.gtws);
}

static void
test_graphql_transport_ws_accepts_what_the_reference_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
        char text[LINE_MAX_BYTES];
        assert_true(strlen(messages[i].text) < sizeof(text));
        strcpy(text, messages[i].text);
        quotes_replace(text);
        for (fq_gtws_state in = FQ_GTWS_AWAITING_INIT; in <= FQ_GTWS_READY;
             in++)
            check_message(&messages[i], fq_str_of(text), in);
    }
}

/* Bytes that a C string of the table cannot show. */
static void
test_graphql_transport_ws_refuses_bytes_that_are_no_json(void **state)
{
    (void)state;
    static const fq_str texts[] = {
        FQ_STR("\xef\xbb\xbf{\"type\":\"ping\"}"), /* a BOM */
        FQ_STR("\xc2\xa0{\"type\":\"ping\"}"),     /* U+00A0 */
        FQ_STR("\x0b{\"type\":\"ping\"}"),         /* vertical tab */
        FQ_STR("{\"type\":\"ping\"}\0"),           /* NUL */
        FQ_STR("{\"type\":\"ping\",\"a\":\"\xff\"}"),
        FQ_STR("{\"type\":\"ping\",\"a\":\"\xc3\"}"),
        FQ_STR("{\"type\":\"ping\",\"a\":\"\xed\xa0\x80\"}"),
        FQ_STR("\xff\xfe{\0}\0"),
        {NULL, 0},
    };
    const message_case c = {false, "bytes"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        check_message(&c, texts[i], FQ_GTWS_READY);
}

/* Deeper than the reader goes is invalid, whatever the type. */
static void
test_graphql_transport_ws_refuses_depth(void **state)
{
    (void)state;
    static const int depths[] = {FQ_JSON_DEPTH_MAX, 10000, 100000};
    for (size_t i = 0; i < sizeof(depths) / sizeof(*depths); i++) {
        fq_buf buf = FQ_BUF_INIT;
        fq_buf_append_format(&buf, "{\"type\":\"ping\",\"payload\":");
        for (int n = 0; n < depths[i]; n++)
            fq_buf_append_format(&buf, "{\"a\":");
        fq_buf_append_format(&buf, "1");
        for (int n = 0; n <= depths[i]; n++)
            fq_buf_append_format(&buf, "}");
        assert_int_equal(fq_buf_status(&buf), FQ_OK);
        const message_case c = {false, "deep"};
        check_message(&c, fq_buf_str(&buf), FQ_GTWS_READY);
        fq_buf_fini(&buf);
    }
}

/* -- ids ------------------------------------------------------------------ */

/* The reason is as much of the text as fits whole characters. */
static void
check_exists_reason(const char *character, int n_times)
{
    peer p;
    peer_init_in(&p, FQ_GTWS_READY);
    char id[1024] = "";
    for (int i = 0; i < n_times; i++)
        strcat(id, character);
    char message[1200], expected[1200];
    snprintf(message, sizeof(message),
             "> {\"type\":\"subscribe\",\"id\":\"%s\","
             "\"payload\":{\"query\":\"\"}}",
             id);
    peer_run(&p, message);
    p.len = 0;
    peer_run(&p, message);
    int len = snprintf(expected, sizeof(expected),
                       "closed 4409 Subscriber for %s already exists", id);
    size_t head_len = strlen("closed 4409 ");
    size_t cut = p.len - 1 - head_len; /* bytes of the reason */
    assert_int_equal(p.log[p.len - 1], '\n');
    assert_memory_equal(p.log, expected, p.len - 1);
    if (cut < (size_t)len - head_len)
        assert_true(cut > 123 - strlen(character) && cut <= 123);
    fq_gtws_fini(&p.gtws);
}

static void
test_graphql_transport_ws_cuts_the_reason_on_a_character(void **state)
{
    (void)state;
    for (int n = 1; n < 200; n++) {
        check_exists_reason("x", n);
        check_exists_reason("\xc3\xa9", n);
        check_exists_reason("\xe2\x82\xac", n);
        check_exists_reason("\xf0\x9f\x98\x80", n);
    }
}

/* Reads |text| back and compares its id with |id|. */
static void
check_id_of(fq_str text, fq_str id)
{
    yyjson_doc *doc;
    assert_true(fq_utf8_is_valid(text));
    assert_int_equal(fq_json_read(text, FQ_JSON_LONE_SURROGATES, &doc, NULL),
                     FQ_OK);
    yyjson_val *root = yyjson_doc_get_root(doc);
    fq_str got = fq_json_str(fq_json_get(root, FQ_STR_LIT("id")));
    assert_true(fq_str_eq(got, id));
    fq_json_free(doc);
}

static void
test_graphql_transport_ws_brings_back_every_id(void **state)
{
    (void)state;
    for (uint32_t unit = 0; unit <= 0xffff; unit += unit < 0x100 ? 1 : 61) {
        peer p;
        peer_init_in(&p, FQ_GTWS_READY);
        p.is_silent = true;
        char message[128];
        snprintf(message, sizeof(message),
                 "> {\"type\":\"subscribe\",\"id\":\"\\u%04x\","
                 "\"payload\":{\"query\":\"\"}}",
                 (unsigned)unit);
        peer_run(&p, message);
        char id[4];
        fq_str expected = fq_str_make(id, fq_utf8_encode(unit, id));
        assert_true(fq_str_eq(p.last_op->id, expected));
        fq_rcbuf *head, *text;
        assert_int_equal(fq_gtws_next_head(p.last_op, &head), FQ_OK);
        const fq_str parts[] = {fq_rcbuf_str(head), FQ_STR("{}}")};
        assert_int_equal(fq_rcbuf_concat(parts, 2, &text), FQ_OK);
        check_id_of(fq_rcbuf_str(text), expected);
        fq_rcbuf_unref(text);
        fq_rcbuf_unref(head);
        fq_gtws_fini(&p.gtws);
    }
}

#define MANY 5000

static void
peer_run_many(peer *p, const char *format)
{
    for (int i = 0; i < MANY; i++) {
        char line[128];
        snprintf(line, sizeof(line), format, i);
        peer_run(p, line);
    }
}

static void
test_graphql_transport_ws_keeps_many_operations(void **state)
{
    (void)state;
    static const char subscribe[] = "> {\"type\":\"subscribe\",\"id\":\"%d\","
                                    "\"payload\":{\"query\":\"\"}}";
    peer p;
    peer_init_in(&p, FQ_GTWS_READY);
    p.is_silent = true;
    peer_run_many(&p, subscribe);
    assert_int_equal(fq_gtws_n_ops(&p.gtws), MANY);
    size_t iter = 0, n_ops = 0;
    while (fq_gtws_each_op(&p.gtws, &iter) != NULL)
        n_ops++;
    assert_int_equal(n_ops, MANY);
    peer_run_many(&p, "> {\"type\":\"complete\",\"id\":\"%d\"}");
    assert_int_equal(fq_gtws_n_ops(&p.gtws), 0);
    peer_run_many(&p, subscribe);
    assert_false(p.is_closed);
    fq_gtws_fini(&p.gtws); /* with all of them */
}

static void
test_graphql_transport_ws_has_one_deadline(void **state)
{
    (void)state;
    peer p;
    peer_init_in(&p, FQ_GTWS_AWAITING_INIT);
    assert_int_equal(fq_gtws_deadline_ns(&p.gtws), DEADLINE_NS);
    fq_gtws_fini(&p.gtws);
    peer_init_in(&p, FQ_GTWS_AWAITING_ACK);
    assert_int_equal(fq_gtws_deadline_ns(&p.gtws), UINT64_MAX);
    peer_run(&p, "close 1012 Away");
    assert_int_equal(fq_gtws_deadline_ns(&p.gtws), UINT64_MAX);
    fq_gtws_fini(&p.gtws);
}

/* -- mutations ------------------------------------------------------------ */

#define MUTATION_ROUNDS 20000
#define MUTATION_SEED 20240229u
#define MUTATION_TEXT_MAX 1024

static uint64_t mutation_state;

/* xorshift64* (Vigna): the same numbers on every machine. */
static uint32_t
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
static size_t
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
static size_t
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
    fq_gtws gtws;
    size_t n_ops; /* begun and not ended, by its own count */
    bool is_closed;
    size_t n_sent;
    fq_rcbuf *sent[MUTATION_SENT_MAX]; /* looked at after the round */
} fuzz_peer;

static void
fuzz_send_cb(void *ctx, fq_rcbuf *text)
{
    fuzz_peer *p = ctx;
    assert_false(p->is_closed);
    assert_true(p->n_sent < MUTATION_SENT_MAX);
    p->sent[p->n_sent++] = text;
    if (mutation_below(50) == 0)
        fq_gtws_close(&p->gtws, 1012, FQ_STR_LIT("Service restart"));
}

static void
fuzz_close_cb(void *ctx, uint16_t code, fq_str reason)
{
    fuzz_peer *p = ctx;
    assert_false(p->is_closed);
    assert_true(code > 1000 && code < 5000);
    assert_true(reason.len > 0 && reason.len <= 123);
    assert_true(fq_utf8_is_valid(reason));
    p->is_closed = true;
}

static void
fuzz_init_cb(void *ctx, yyjson_val *payload)
{
    fuzz_peer *p = ctx;
    assert_false(p->is_closed);
    assert_true(payload == NULL || yyjson_is_obj(payload));
    if (mutation_below(2) == 0)
        fq_gtws_ack(&p->gtws, FQ_STR_LIT("{}"));
}

static void
fuzz_end(fuzz_peer *p, fq_gtws_op *op)
{
    p->n_ops--;
    if (mutation_below(2) == 0)
        fq_gtws_error(&p->gtws, op, FQ_STR_LIT("[{\"message\":\"\"}]"));
    else
        fq_gtws_end(&p->gtws, op);
}

static void
fuzz_subscribe_cb(void *ctx, fq_gtws_op *op, fq_str query,
                  fq_str operation_name, yyjson_val *variables,
                  yyjson_val *extensions)
{
    fuzz_peer *p = ctx;
    assert_false(p->is_closed);
    assert_true(op->id.len > 0);
    assert_non_null(query.ptr);
    assert_true(operation_name.ptr != NULL || operation_name.len == 0);
    assert_true(variables == NULL || yyjson_is_obj(variables));
    assert_true(extensions == NULL || yyjson_is_obj(extensions));
    p->n_ops++;
    if (mutation_below(4) == 0)
        fuzz_end(p, op);
}

static void
fuzz_complete_cb(void *ctx, fq_gtws_op *op)
{
    fuzz_peer *p = ctx;
    assert_false(p->is_closed);
    assert_true(op->id.len > 0);
    p->n_ops--;
}

static const fq_gtws_ops fuzz_ops = {
    .send = fuzz_send_cb,
    .close = fuzz_close_cb,
    .init = fuzz_init_cb,
    .subscribe = fuzz_subscribe_cb,
    .complete = fuzz_complete_cb,
};

/* What the machine sent is JSON in UTF-8 with a type. */
static void
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

/* What is mutated: mostly what keeps a connection going, for a few ids. */
static const char *const fuzz_messages[] = {
    "{'type':'subscribe','id':'1','payload':{'query':'{a}'}}",
    "{'type':'subscribe','id':'2','payload':{'query':'{a}'}}",
    "{'type':'subscribe','id':'\\ud800','payload':{'query':'','variables':"
    "{'a':[1,2.5,{}]},'operationName':'Q','extensions':null}}",
    "{'type':'complete','id':'1'}",
    "{'type':'complete','id':'2'}",
    "{'type':'complete','id':'\\ud800'}",
    "{'type':'ping'}",
    "{'type':'ping','payload':{'a':'\\udfff','b':[null,true,-1e300]}}",
    "{'type':'pong','payload':{}}",
};

/* One step of an owner: a message, every third of them with up to three
 * edits, or an operation's end. */
static void
fuzz_step(fuzz_peer *p)
{
    size_t iter = mutation_below(8);
    fq_gtws_op *op = fq_gtws_each_op(&p->gtws, &iter);
    if (op != NULL && mutation_below(4) == 0) {
        fuzz_end(p, op);
        return;
    }
    const char *message = fuzz_messages[mutation_below(
        sizeof(fuzz_messages) / sizeof(*fuzz_messages))];
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
    fq_gtws_receive(&p->gtws, fq_str_make(copy, len));
    free(copy);
}

static void
fuzz_round(void)
{
    fuzz_peer p = {0};
    fq_gtws_init(&p.gtws, &fuzz_ops, &p, DEADLINE_NS);
    if (mutation_below(4) > 0)
        fq_gtws_receive(&p.gtws, FQ_STR_LIT("{\"type\":\"connection_init\"}"));
    if (mutation_below(4) > 0)
        fq_gtws_ack(&p.gtws, fq_str_make(NULL, 0));
    if (mutation_below(4) == 0)
        fq_alloc_fail_after((long)mutation_below(30));
    for (uint32_t n = mutation_below(30); n > 0; n--)
        fuzz_step(&p);
    fq_alloc_fail_after(-1);
    assert_int_equal(fq_gtws_n_ops(&p.gtws), p.n_ops);
    assert_int_equal(p.is_closed, p.gtws.state == FQ_GTWS_CLOSED);
    fuzz_check_sent(&p);
    fq_gtws_fini(&p.gtws);
}

static void
test_graphql_transport_ws_survives_mutations(void **state)
{
    (void)state;
    mutation_state = MUTATION_SEED;
    for (int i = 0; i < MUTATION_ROUNDS; i++)
        fuzz_round();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_graphql_transport_ws_converses),
        FQ_TEST(test_graphql_transport_ws_accepts_what_the_reference_does),
        FQ_TEST(test_graphql_transport_ws_refuses_bytes_that_are_no_json),
        FQ_TEST(test_graphql_transport_ws_refuses_depth),
        FQ_TEST(test_graphql_transport_ws_cuts_the_reason_on_a_character),
        FQ_TEST(test_graphql_transport_ws_brings_back_every_id),
        FQ_TEST(test_graphql_transport_ws_keeps_many_operations),
        FQ_TEST(test_graphql_transport_ws_has_one_deadline),
        FQ_TEST(test_graphql_transport_ws_survives_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
