/* SPDX-License-Identifier: MIT */
/* The older graphql-ws: conversations written as scripts, what may wait for
 * the ack, and mutated input. What it shares with graphql-transport-ws is
 * tested there. */
#include "protocol/graphql_ws.h"

#include "base/buf.h"
#include "json/reader.h"
#include "protocol_fuzz.h"

#define KIND &fq_graphql_ws
#define INIT "> {'type':'connection_init'}", "init -"
#define KA "< {'type':'ka'}"
#define ACKED "< {'type':'connection_ack'}", KA
#define READY INIT, "! ack", ACKED
#define START(id) "> {'type':'start','id':'" id "','payload':{'query':'{a}'}}"
#define STOP(id) "> {'type':'stop','id':'" id "'}"
#define SUBSCRIBED(id) "subscribe " id " {a} - - -"
#define STARTED(id) START(id), SUBSCRIBED(id)
#define ERROR(id) "< {'id':'" id "','type':'error','payload':{'message':'no'}}"
#define ENDED(id) "< {'id':'" id "','type':'complete'}"
#define INVALID "closed 4400 Invalid message received"

static const conversation conversations[] = {
    /* init */
    {"ack without payload", {READY}},
    {"ack with payload",
     {"> {'type':'connection_init','payload':{'token':'t'}}",
      "init {'token':'t'}", "! ack {'user':1}",
      "< {'type':'connection_ack','payload':{'user':1}}", KA}},
    {"a null payload of init is none",
     {"> {'type':'connection_init','payload':null}", "init -"}},
    {"a second init",
     {INIT, "> {'type':'connection_init'}",
      "closed 4429 Too many initialisation requests"}},
    {"a refused init is told, then closed",
     {INIT, "! refuse 0",
      "< {'type':'connection_error','payload':{'message':'Forbidden'}}",
      "closed 4403 Forbidden", "! ack"}},
    {"an init refused with a code of the owner's",
     {INIT, "! refuse 4499 Say \\ please",
      "< {'type':'connection_error','payload':{'message':'Say \\\\ please'}}",
      "closed 4499 Say \\ please"}},
    {"a refusal after the ack is a close",
     {READY, "! refuse 0", "closed 4403 Forbidden"}},
    {"closing inside the refusal",
     {INIT, "on send close 1013 Slow client", "! refuse 0",
      "< {'type':'connection_error','payload':{'message':'Forbidden'}}",
      "closed 1013 Slow client"}},
    {"closing inside the ack",
     {INIT, START("1"), "on send close 1013 Slow client", "! ack",
      "< {'type':'connection_ack'}", "closed 1013 Slow client"}},
    {"no init in time",
     {"! tick 999", "! tick 1000",
      "closed 4408 Connection initialisation timeout"}},
    {"a start does not postpone the timeout",
     {START("1"), "! tick 1000",
      "closed 4408 Connection initialisation timeout"}},
    {"the timer stops on receipt", {INIT, "! tick 5000"}},
    {"terminate closes in any state",
     {"> {'type':'connection_terminate'}", "closed 1000 -"}},
    {"terminate ends what runs",
     {READY, STARTED("1"), "> {'type':'connection_terminate','payload':null}",
      "closed 1000 -", STOP("1")}},
    /* ka */
    {"ka again and again",
     {READY, "! tick 11999", "! tick 12000", KA, "! tick 23999",
      "! tick 24001", KA, "! tick 36000", "! tick 36000000001", KA}},
    {"no ka before the ack", {INIT, "! tick 99000"}},
    {"no ka once closed",
     {READY, "! close 1012 Away", "closed 1012 Away", "! tick 99000"}},
    /* before the ack */
    {"what comes before the ack waits for it",
     {INIT, START("1"), START("2"), STOP("1"), "! ack", ACKED, SUBSCRIBED("1"),
      SUBSCRIBED("2"), "complete 1", ENDED("1"), STARTED("1")}},
    {"what comes before the init waits as well",
     {START("1"), "> {'type':'connection_init','payload':{}}", "init {}",
      START("2"), "! ack", ACKED, SUBSCRIBED("1"), SUBSCRIBED("2")}},
    {"ack inside init",
     {START("1"), "on init ack", "> {'type':'connection_init'}", "init -",
      ACKED, SUBSCRIBED("1")}},
    {"nothing starts for who is refused",
     {START("1"), INIT, START("2"), "! refuse 0",
      "< {'type':'connection_error','payload':{'message':'Forbidden'}}",
      "closed 4403 Forbidden"}},
    {"what waits is looked at when it comes",
     {INIT, "> {'type':'start','id':'1','payload':{}}", INVALID}},
    {"a stop that waits is looked at as well",
     {INIT, "> {'type':'stop','id':''}", INVALID}},
    {"closing inside what waited",
     {INIT, START("1"), START("2"), "on subscribe close 1012 Away", "! ack",
      ACKED, SUBSCRIBED("1"), "closed 1012 Away"}},
    {"an id twice in what waited",
     {INIT, START("1"), START("1"), START("2"), "! ack", ACKED,
      SUBSCRIBED("1"), "closed 4409 Subscriber for 1 already exists"}},
    {"what waits keeps every text",
     {INIT,
      "> {'type':'start','id':'\\ud800','payload':{'query':'\\u0001','vari"
      "ables':{'n':18446744073709551617,'e':1e400,'s':'\\udfff'}}}",
      "! ack", ACKED,
      "subscribe \xed\xa0\x80 \x01 - "
      "{'n':18446744073709551617,'e':1e400,'s':'\xed\xbf\xbf'} -"}},
    /* start */
    {"start hands all over",
     {READY,
      "> {'type':'start','id':'a b','payload':{'query':'query Q','variables'"
      ":{'v':[1]},'operationName':'Q','extensions':{'e':{}},'x':0},'x':0}",
      "subscribe a b query Q Q {'v':[1]} {'e':{}}"}},
    {"null members are none",
     {READY,
      "> {'type':'start','id':'1','payload':{'query':'','variables':null,"
      "'operationName':null,'extensions':null}}",
      "subscribe 1  - - -"}},
    {"an id in use",
     {READY, STARTED("1"), START("1"),
      "closed 4409 Subscriber for 1 already exists"}},
    {"a document that is no text",
     {READY, "> {'type':'start','id':'1','payload':{'query':{}}}", INVALID}},
    /* results and ends */
    {"a result is data",
     {READY, STARTED("1"), "! head 1",
      "head {'id':'1','type':'data','payload':...}}", "! next 1 {'data':null}",
      "< {'id':'1','type':'data','payload':{'data':null}}"}},
    {"an error is one",
     {READY, STARTED("1"), "! error 1", ERROR("1"), STARTED("1")}},
    {"of several errors the first is told",
     {READY, STARTED("1"),
      "! error 1 [{'message':'a','path':['\\ud800']},{'message':'b'}]",
      "< {'id':'1','type':'error','payload':{'message':'a','path':['\\ud800']"
      "}}"}},
    {"the end of a source is complete",
     {READY, STARTED("1"), "! end 1", ENDED("1"), STARTED("1")}},
    /* stop */
    {"stop is answered",
     {READY, STARTED("1"), STARTED("2"), STOP("1"), "complete 1", ENDED("1"),
      STARTED("1"), STOP("2"), "complete 2", ENDED("2")}},
    {"a stop of nothing is ignored",
     {READY, STOP("1"), STARTED("1"), STOP("1"), "complete 1", ENDED("1"),
      STOP("1")}},
    {"closing inside complete",
     {READY, STARTED("1"), "on complete close 1012 Away", STOP("1"),
      "complete 1", "closed 1012 Away"}},
    {"the id is free inside complete",
     {READY, STARTED("1"), "on complete " START("1"), STOP("1"), "complete 1",
      SUBSCRIBED("1"), ENDED("1")}},
    /* once closed */
    {"everything is ignored once closed",
     {READY, STARTED("1"), "! close 1012 Away", "closed 1012 Away", START("2"),
      STOP("1"), "> {'type':'connection_init'}", "> 1", "! end 1"}},
};

static void
test_graphql_ws_converses(void **state)
{
    (void)state;
    converse(KIND, conversations,
             sizeof(conversations) / sizeof(*conversations));
}

/* Everything else a client may say closes, in whatever state. */
static void
test_graphql_ws_refuses_what_is_no_message(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "> ",
        "> 1",
        "> {}",
        "> {'type':0}",
        "> {'type':'ping'}",
        "> {'type':'subscribe','id':'1','payload':{'query':''}}",
        "> {'type':'complete','id':'1'}",
        "> {'type':'connection_ack'}",
        "> {'type':'connection_error','payload':{'message':'m'}}",
        "> {'type':'ka'}",
        "> {'type':'data','id':'1','payload':{}}",
        "> {'type':'error','id':'1','payload':{}}",
        "> {'type':'connection_init','payload':0}",
        "> {'type':'connection_init','payload':''}",
        "> {'type':'start','payload':{'query':''}}",
        "> {'type':'start','id':1,'payload':{'query':''}}",
        "> {'type':'start','id':'','payload':{'query':''}}",
        "> {'type':'start','id':'1'}",
        "> {'type':'start','id':'1','payload':null}",
        "> {'type':'start','id':'1','payload':{'query':null}}",
        "> {'type':'start','id':'1','payload':{'query':'','variables':[]}}",
        "> {'type':'start','id':'1','payload':{'query':'','extensions':0}}",
        "> {'type':'start','id':'1','payload':{'query':'','operationName':0}}",
        "> {'type':'stop'}",
        "> {'type':'stop','id':0}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        const conversation c[] = {
            {texts[i], {texts[i], INVALID}},
            {texts[i], {INIT, texts[i], INVALID}},
            {texts[i], {READY, texts[i], INVALID}},
        };
        converse(KIND, c, sizeof(c) / sizeof(*c));
    }
}

/* Sends |n| starts of |n_bytes| before the ack; true: they may wait. */
static bool
may_wait(int n, int n_bytes)
{
    peer p;
    peer_init(&p, KIND);
    p.is_silent = true;
    for (int i = 0; i < n && !p.is_closed; i++) {
        fq_buf buf = FQ_BUF_INIT;
        fq_buf_append_format(&buf,
                             "{\"type\":\"start\",\"id\":\"%d\",\"payload\":"
                             "{\"query\":\"%*s\"}}",
                             i, n_bytes, "");
        fq_protocol_receive(&p.protocol, fq_buf_str(&buf));
        fq_buf_fini(&buf);
    }
    bool may = !p.is_closed;
    if (may) {
        peer_run(&p, "> {\"type\":\"connection_init\"}");
        peer_run(&p, "ack");
        assert_int_equal(fq_protocol_n_ops(&p.protocol), n);
    }
    fq_protocol_fini(&p.protocol);
    return may;
}

static void
test_graphql_ws_bounds_what_waits(void **state)
{
    (void)state;
    assert_true(may_wait(FQ_GRAPHQL_WS_HELD_MAX, 1));
    assert_false(may_wait(FQ_GRAPHQL_WS_HELD_MAX + 1, 1));
    assert_true(may_wait(1, FQ_GRAPHQL_WS_HELD_BYTES_MAX - 100));
    assert_false(may_wait(1, FQ_GRAPHQL_WS_HELD_BYTES_MAX));
    assert_true(may_wait(16, FQ_GRAPHQL_WS_HELD_BYTES_MAX / 17));
    assert_false(may_wait(17, FQ_GRAPHQL_WS_HELD_BYTES_MAX / 17));
    /* Beyond it the close says why. */
    peer p;
    peer_init(&p, KIND);
    char text[128];
    for (int i = 0; i <= FQ_GRAPHQL_WS_HELD_MAX; i++) {
        snprintf(text, sizeof(text), "> {\"type\":\"stop\",\"id\":\"%d\"}", i);
        peer_run(&p, text);
    }
    assert_string_equal(p.log, "closed 1008 Too many messages\n");
    fq_protocol_fini(&p.protocol);
}

static void
test_graphql_ws_has_one_deadline(void **state)
{
    (void)state;
    peer p;
    peer_init(&p, KIND);
    p.is_silent = true;
    assert_int_equal(fq_protocol_deadline_ns(&p.protocol), DEADLINE_NS);
    peer_run(&p, "> {\"type\":\"connection_init\"}");
    assert_int_equal(fq_protocol_deadline_ns(&p.protocol), UINT64_MAX);
    p.now_ns = 500;
    peer_run(&p, "ack");
    assert_int_equal(fq_protocol_deadline_ns(&p.protocol),
                     500 + KEEP_ALIVE_NS);
    peer_run(&p, "close 1012 Away");
    assert_int_equal(fq_protocol_deadline_ns(&p.protocol), UINT64_MAX);
    fq_protocol_fini(&p.protocol);
}

static const char *const fuzz_messages[] = {
    "{'type':'start','id':'1','payload':{'query':'{a}'}}",
    "{'type':'start','id':'2','payload':{'query':'{a}'}}",
    "{'type':'start','id':'\\ud800','payload':{'query':'','variables':"
    "{'a':[1,2.5,{}]},'operationName':'Q','extensions':null}}",
    "{'type':'stop','id':'1'}",
    "{'type':'stop','id':'2'}",
    "{'type':'stop','id':'\\ud800'}",
    "{'type':'connection_init','payload':{}}",
};

static void
test_graphql_ws_survives_mutations(void **state)
{
    (void)state;
    fuzz_survives(KIND, fuzz_messages,
                  sizeof(fuzz_messages) / sizeof(*fuzz_messages));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_graphql_ws_converses),
        FQ_TEST(test_graphql_ws_refuses_what_is_no_message),
        FQ_TEST(test_graphql_ws_bounds_what_waits),
        FQ_TEST(test_graphql_ws_has_one_deadline),
        FQ_TEST(test_graphql_ws_survives_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
