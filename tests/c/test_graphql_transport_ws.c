/* SPDX-License-Identifier: MIT */
/* The graphql-transport-ws machine against the table of messages that the
 * reference shares (tests/data), conversations written as scripts, owners
 * that call back at the worst moment, and mutated input. */
#include "protocol/graphql_transport_ws.h"

#include "base/buf.h"
#include "json/reader.h"
#include "protocol_fuzz.h"

#define KIND &fq_graphql_transport_ws
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
    {"a late refusal is a close",
     {READY, "! refuse 0", "closed 4403 Forbidden"}},
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
      "head {'id':'1','type':'next','payload':...}}",
      SUBSCRIBE("\\\\\\u0001/\\ud800\xe2\x82\xac"),
      "subscribe \\\x01/\xed\xa0\x80\xe2\x82\xac {a} - - -", "! head",
      "head "
      "{'id':'\\\\\\u0001/\\ud800\xe2\x82\xac','type':'next','payload':...}}",
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
    converse(KIND, conversations,
             sizeof(conversations) / sizeof(*conversations));
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
peer_init_in(peer *p, fq_protocol_state state)
{
    peer_init(p, KIND);
    p->is_silent = true;
    if (state >= FQ_PROTOCOL_AWAITING_ACK)
        peer_run(p, "> {\"type\":\"connection_init\"}");
    if (state >= FQ_PROTOCOL_READY)
        peer_run(p, "ack");
    p->is_silent = false;
}

static void
check_message(const message_case *c, fq_str text, fq_protocol_state state)
{
    peer p;
    peer_init_in(&p, state);
    fq_protocol_receive(&p.protocol, text);
    static const char closed[] = "closed 4400 Invalid message received\n";
    if (c->is_ok == (strcmp(p.log, closed) == 0))
        fail_msg("in state %d, %s: %s", (int)state, c->text, p.log);
    fq_protocol_fini(&p.protocol);
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
        for (fq_protocol_state in = FQ_PROTOCOL_AWAITING_INIT;
             in <= FQ_PROTOCOL_READY; in++)
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
        check_message(&c, texts[i], FQ_PROTOCOL_READY);
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
        check_message(&c, fq_buf_str(&buf), FQ_PROTOCOL_READY);
        fq_buf_fini(&buf);
    }
}

/* -- ids ------------------------------------------------------------------ */

/* The reason is as much of the text as fits whole characters. */
static void
check_exists_reason(const char *character, int n_times)
{
    peer p;
    peer_init_in(&p, FQ_PROTOCOL_READY);
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
    fq_protocol_fini(&p.protocol);
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
        peer_init_in(&p, FQ_PROTOCOL_READY);
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
        fq_rcbuf *text;
        assert_int_equal(peer_frame(&p, p.last_op, "{", &text), FQ_OK);
        check_id_of(fq_rcbuf_str(text), expected);
        fq_rcbuf_unref(text);
        fq_protocol_fini(&p.protocol);
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
    peer_init_in(&p, FQ_PROTOCOL_READY);
    p.is_silent = true;
    peer_run_many(&p, subscribe);
    assert_int_equal(fq_protocol_n_ops(&p.protocol), MANY);
    size_t iter = 0, n_ops = 0;
    while (fq_protocol_each_op(&p.protocol, &iter) != NULL)
        n_ops++;
    assert_int_equal(n_ops, MANY);
    peer_run_many(&p, "> {\"type\":\"complete\",\"id\":\"%d\"}");
    assert_int_equal(fq_protocol_n_ops(&p.protocol), 0);
    peer_run_many(&p, subscribe);
    assert_false(p.is_closed);
    fq_protocol_fini(&p.protocol); /* with all of them */
}

static void
test_graphql_transport_ws_has_one_deadline(void **state)
{
    (void)state;
    peer p;
    peer_init_in(&p, FQ_PROTOCOL_AWAITING_INIT);
    assert_int_equal(fq_protocol_deadline_ns(&p.protocol), DEADLINE_NS);
    fq_protocol_fini(&p.protocol);
    peer_init_in(&p, FQ_PROTOCOL_AWAITING_ACK);
    assert_int_equal(fq_protocol_deadline_ns(&p.protocol), UINT64_MAX);
    peer_run(&p, "close 1012 Away");
    assert_int_equal(fq_protocol_deadline_ns(&p.protocol), UINT64_MAX);
    fq_protocol_fini(&p.protocol);
}

/* -- mutations ------------------------------------------------------------ */

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

static void
test_graphql_transport_ws_survives_mutations(void **state)
{
    (void)state;
    fuzz_survives(KIND, fuzz_messages,
                  sizeof(fuzz_messages) / sizeof(*fuzz_messages));
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
