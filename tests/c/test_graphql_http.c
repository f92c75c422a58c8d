/* SPDX-License-Identifier: MIT */
/* GraphQL over HTTP as a machine: conversations written as scripts, one list
 * per kind of answer, and mutated requests. */
#include "protocol/graphql_http.h"

#include "protocol_fuzz.h"

#define OPENING(is_get, stream)                                               \
    "> {'isGet':" is_get ",'stream':" stream                                  \
    ",'lastEventId':null,'payload':{'authorization':'a'}}",                   \
        "init {'authorization':'a'}"
/* POST, event streams taken; and what else there is. */
#define POST OPENING("false", "3")
#define POST_RESULT OPENING("false", "0")
#define POST_PARTS OPENING("false", "4")
#define GET OPENING("true", "3")
#define GET_RESULT OPENING("true", "0")
#define QUERY "> {'query':'{a}'}"
#define ASKED "subscribe 1 {a} - - -"
#define SUBSCRIPTION "> {'query':'subscription {a}'}"
#define SUBSCRIBED "subscribe 1 subscription {a} - - -"
#define BAD(reason) "closed 4400 " reason

/* What every kind reads, here by application/json. */
static const conversation requests[] = {
    {"the request waits until the client was let in",
     {POST, QUERY, "! ack", ASKED}},
    {"or comes later", {POST, "! ack {'ack':1}", QUERY, ASKED}},
    {"a request is never read where nobody was let in",
     {POST, "> nonsense", "! refuse 0", "closed 4403 Forbidden"}},
    {"the handler's own code",
     {POST, "! refuse 4499 Tomorrow", "closed 4499 Tomorrow"}},
    {"nothing comes",
     {"! tick 999", "! tick 1000",
      "closed 4408 Connection initialisation timeout"}},
    {"an opening that is none",
     {"> {'isGet':false}", "closed 4400 Invalid message received"}},
    {"nor this", {"> [", "closed 4400 Invalid message received"}},
    {"one request and no more",
     {POST, "! ack", QUERY, ASKED, QUERY,
      "closed 4400 Invalid message received"}},
    {"nor while the first one waits",
     {POST, QUERY, QUERY, "closed 4400 Invalid message received", "! ack"}},
    {"all members",
     {POST, "! ack",
      "> {'query':'query Q {a}','operationName':'Q','variables':{'v':[1]},"
      "'extensions':{'e':{}},'x':0}",
      "subscribe 1 query Q {a} Q {'v':[1]} {'e':{}}"}},
    {"null is none",
     {POST, "! ack",
      "> {'query':'{a}','operationName':null,'variables':null,'extensions':"
      "null}",
      ASKED}},
    {"a document by its hash",
     {POST, "! ack", "> {'extensions':{'persistedQuery':{'sha256Hash':'00'}}}",
      "subscribe 1  - - {'persistedQuery':{'sha256Hash':'00'}}"}},
    {"no query", {POST, "! ack", "> {}", BAD("The request has no 'query'.")}},
    {"a null query",
     {POST, "! ack", "> {'query':null}", BAD("The request has no 'query'.")}},
    {"a query of another type",
     {POST, "! ack", "> {'query':0}", BAD("'query' must be a string.")}},
    {"a name of another type",
     {POST, "! ack", "> {'query':'{a}','operationName':0}",
      BAD("'operationName' must be a string or null.")}},
    {"variables of another type",
     {POST, "! ack", "> {'query':'{a}','variables':[]}",
      BAD("'variables' must be an object or null.")}},
    {"extensions of another type",
     {POST, "! ack", "> {'query':'{a}','extensions':''}",
      BAD("'extensions' must be an object or null.")}},
    {"an array",
     {POST, "! ack", "> [{'query':'{a}'}]",
      BAD("Requests come one at a time, not in an array.")}},
    {"a scalar",
     {POST, "! ack", "> 1", BAD("The body must be a JSON object.")}},
    {"an empty body",
     {POST, "! ack", "> ",
      BAD("The body is no JSON: input data is empty "
          "(at byte 0).")}},
    {"the query string of a GET",
     {GET, "! ack",
      "> query=%7Ba%7D&operationName=Q&variables=%7B%22v%22:1%7D&extensions="
      "%7B%7D&x",
      "subscribe 1 {a} Q {'v':1} {}"}},
    {"empty parameters are none",
     {GET, "! ack", "> query={a}&operationName=&variables=&extensions=null",
      ASKED}},
    {"an event stream goes on behind the last event",
     {"> {'isGet':true,'stream':3,'lastEventId':'m1\\'2','payload':{}}",
      "init {}", "! ack", "> query={a}",
      "subscribe 1 {a} - - {'resume':{'after':'m1\\'2'}}"}},
    {"whatever else the extensions say",
     {"> {'isGet':false,'stream':3,'lastEventId':'7','payload':{}}", "init {}",
      "! ack",
      "> {'query':'{a}','extensions':{'x':[1],'resume':{'after':'6'},'x':2}}",
      "subscribe 1 {a} - - {'x':[1],'resume':{'after':'6'},'x':2,'resume':{"
      "'after':'7'}}"}},
    {"parts have no events",
     {"> {'isGet':false,'stream':4,'lastEventId':'7','payload':{}}", "init {}",
      "! ack", QUERY, ASKED}},
    {"an empty query is one",
     {GET, "! ack", "> query=", "subscribe 1  - - -"}},
    {"a GET without a query",
     {GET, "! ack", "> x=y", BAD("The request has no 'query'.")}},
    {"a query string that is no UTF-8",
     {GET, "! ack", "> query=%ff", BAD("The parameter 'query' is no UTF-8.")}},
    {"variables that are no JSON",
     {GET, "! ack", "> query={a}&variables={",
      BAD("The parameter 'variables' must be a JSON object.")}},
    {"variables that are no object",
     {GET, "! ack", "> query={a}&variables=%5B%5D",
      BAD("The parameter 'variables' must be a JSON object.")}},
    {"a mutation by GET",
     {GET, "! ack", "> query=mutation", "subscribe 1 mutation - - -",
      "! admits mutation", "closed 4405 A mutation must be sent by POST."}},
    {"a mutation by POST", {POST, "! ack", QUERY, ASKED, "! admits mutation"}},
    {"a subscription and no stream",
     {POST_RESULT, "! ack", SUBSCRIPTION, SUBSCRIBED, "! admits subscription",
      "closed 4406 A subscription needs 'Accept: text/event-stream' or "
      "'multipart/mixed;subscriptionSpec=1.0', or a WebSocket."}},
};

/* application/json */
static const conversation results[] = {
    {"a result is the answer and the end",
     {POST, "! ack", QUERY, ASKED, "! admits query",
      "! next 1 {'data':{'a':1}}", "< 200{'data':{'a':1}}", "! end 1",
      "closed 1000 "}},
    {"one without data",
     {POST, "! ack", QUERY, ASKED, "! admits query", "! next 1 {'errors':[]}",
      "< 200{'errors':[]}"}},
    {"an error",
     {POST, "! ack", QUERY, ASKED, "! error 1",
      "< 200{'errors':[{'message':'no'}]}", "closed 1000 "}},
    {"no sign of life before a result",
     {POST, "! ack", QUERY, ASKED, "! admits query",
      "! tick 900000000000000"}},
    {"a subscription becomes a stream",
     {POST, "! ack", SUBSCRIPTION, SUBSCRIBED, "! admits subscription", "< ",
      "! head 1", "head event: next\ndata: ...}\n\n", "! end 1",
      "< event: complete\ndata: \n\n", "closed 1000 "}},
    {"or one of parts",
     {POST_PARTS, "! ack", SUBSCRIPTION, SUBSCRIBED, "! admits subscription",
      "< ", "! head 1",
      "head \r\nContent-Type: application/json\r\n\r\n"
      "{'payload':...}}\r\n--graphql"}},
};

/* application/graphql-response+json */
static const conversation responses[] = {
    {"a result",
     {POST, "! ack", QUERY, ASKED, "! admits query",
      "! next 1 {'data':null,'errors':[]}", "< 200{'data':null,'errors':[]}",
      "! end 1", "closed 1000 "}},
    {"a result in another order",
     {POST, "! ack", QUERY, ASKED, "! admits query",
      "! next 1 {'errors':[],'data':null}", "< 200{'errors':[],'data':null}"}},
    {"one without data",
     {POST, "! ack", QUERY, ASKED, "! admits query",
      "! next 1 {'errors':[{'data':1}]}", "< 400{'errors':[{'data':1}]}"}},
    {"an error",
     {POST, "! ack", QUERY, ASKED, "! error 1",
      "< 400{'errors':[{'message':'no'}]}", "closed 1000 "}},
};

/* text/event-stream */
static const conversation events[] = {
    {"a subscription",
     {POST, "! ack", SUBSCRIPTION, SUBSCRIBED, "! admits subscription", "< ",
      "! head 1", "head event: next\ndata: ...}\n\n", "! end 1",
      "< event: complete\ndata: \n\n", "closed 1000 "}},
    {"a query",
     {POST, "! ack", QUERY, ASKED, "! admits query", "< ",
      "! next 1 {'data':1}", "< event: next\ndata: {'data':1}\n\n", "! end 1",
      "< event: complete\ndata: \n\n", "closed 1000 "}},
    {"an error is told in the stream",
     {POST, "! ack", SUBSCRIPTION, SUBSCRIBED, "! error 1",
      "< id:\nevent: next\ndata: {'errors':[{'message':'no'}]}\n\n"
      "event: complete\ndata: \n\n",
      "closed 1000 "}},
    {"a mutation by GET is refused before the stream",
     {GET, "! ack", "> query=m", "subscribe 1 m - - -", "! admits mutation",
      "closed 4405 A mutation must be sent by POST."}},
    {"it says that it is alive",
     {POST, "! tick 0", "! ack", SUBSCRIPTION, SUBSCRIBED,
      "! admits subscription", "< ", "! tick 11999", "! tick 12000", "< :\n\n",
      "! tick 23999", "! tick 24000", "< :\n\n"}},
    {"a stream that the server ends says nothing",
     {POST, "! ack", SUBSCRIPTION, SUBSCRIBED, "! admits subscription", "< ",
      "! close 1012 Service restart", "closed 1012 Service restart",
      "! end 1"}},
};

/* multipart/mixed */
static const conversation parts[] = {
    {"a subscription",
     {POST_PARTS, "! ack", SUBSCRIPTION, SUBSCRIBED, "! admits subscription",
      "< ", "! head 1",
      "head \r\nContent-Type: application/json\r\n\r\n"
      "{'payload':...}}\r\n--graphql",
      "! end 1", "< --\r\n", "closed 1000 "}},
    {"a query",
     {POST_PARTS, "! ack", QUERY, ASKED, "! admits query", "< ",
      "! next 1 {'data':1}",
      "< \r\nContent-Type: application/json\r\n\r\n"
      "{'payload':{'data':1}}\r\n--graphql",
      "! end 1", "< --\r\n", "closed 1000 "}},
    {"an error",
     {POST_PARTS, "! ack", SUBSCRIPTION, SUBSCRIBED, "! error 1",
      "< \r\nContent-Type: application/json\r\n\r\n"
      "{'payload':{'errors':[{'message':'no'}]}}\r\n--graphql--\r\n",
      "closed 1000 "}},
    {"it says that it is alive",
     {POST_PARTS, "! ack", SUBSCRIPTION, SUBSCRIBED, "! admits subscription",
      "< ", "! tick 12000",
      "< \r\nContent-Type: application/json\r\n\r\n{}\r\n--graphql"}},
};

#define CONVERSE(type, list)                                                  \
    converse(fq_graphql_http_kind(type), list, sizeof(list) / sizeof(*list))

static void
test_graphql_http_conversations(void **state)
{
    (void)state;
    CONVERSE(FQ_MEDIA_JSON, requests);
    CONVERSE(FQ_MEDIA_JSON, results);
    CONVERSE(FQ_MEDIA_RESPONSE_JSON, responses);
    CONVERSE(FQ_MEDIA_EVENT_STREAM, events);
    CONVERSE(FQ_MEDIA_MULTIPART, parts);
}

/* ── what the response is made of ── */

static fq_status
body_opening(void *arg)
{
    (void)arg;
    fq_graphql_http_opening opening = {
        .is_get = true,
        .stream = FQ_MEDIA_MULTIPART,
        .payload = FQ_STR("{}"),
        .last_event_id = FQ_STR("a\"b"),
    };
    fq_buf buf = FQ_BUF_INIT;
    fq_graphql_http_write_opening(&buf, &opening);
    fq_status status = fq_buf_status(&buf);
    if (status == FQ_OK)
        fq_test_assert_str(fq_buf_str(&buf),
                           "{\"isGet\":true,\"stream\":4,"
                           "\"lastEventId\":\"a\\\"b\",\"payload\":{}}");
    fq_buf_fini(&buf);
    return status;
}

static void
test_graphql_http_opening(void **state)
{
    (void)state;
    fq_test_body(body_opening, NULL);
}

static fq_status
farewell(fq_media_type type, uint16_t code, const char *expected)
{
    fq_buf buf = FQ_BUF_INIT;
    fq_graphql_http_write_farewell(&buf, type, code,
                                   FQ_STR_LIT("Token \"x\" expired"));
    fq_status status = fq_buf_status(&buf);
    if (status == FQ_OK)
        fq_test_assert_str(fq_buf_str(&buf), expected);
    fq_buf_fini(&buf);
    return status;
}

static fq_status
body_farewell(void *arg)
{
    (void)arg;
    const fq_media_type types[] = {FQ_MEDIA_EVENT_STREAM, FQ_MEDIA_MULTIPART};
    fq_status status = FQ_OK;
    for (size_t i = 0; i < 2 && status == FQ_OK; i++) {
        status = farewell(types[i], 1000, "");
        if (status == FQ_OK)
            status = farewell(types[i], 1012, "");
    }
    if (status == FQ_OK)
        status = farewell(FQ_MEDIA_EVENT_STREAM, 4403,
                          ": 4403 Token \"x\" expired\n\n");
    if (status == FQ_OK)
        status = farewell(FQ_MEDIA_MULTIPART, 4403,
                          "\r\nContent-Type: application/json\r\n\r\n"
                          "{\"payload\":null,\"errors\":[{\"message\":"
                          "\"Token \\\"x\\\" expired\"}]}\r\n--graphql--\r\n");
    return status;
}

static void
test_graphql_http_farewell(void **state)
{
    (void)state;
    fq_test_body(body_farewell, NULL);
    /* A reason is one line, whatever a handler makes it. */
    fq_buf buf = FQ_BUF_INIT;
    fq_graphql_http_write_farewell(&buf, FQ_MEDIA_EVENT_STREAM, 4000,
                                   FQ_STR_LIT("a\nevent: next\r\ndata: b"));
    assert_null(memchr(buf.ptr + 2, '\r', buf.len - 2));
    assert_ptr_equal(memchr(buf.ptr, '\n', buf.len), buf.ptr + buf.len - 2);
    fq_buf_fini(&buf);
}

static void
test_graphql_http_status(void **state)
{
    (void)state;
    static const struct {
        uint16_t code;
        int status;
    } cases[] = {{4400, 400}, {4403, 403}, {4499, 499}, {4500, 403},
                 {3000, 403}, {1008, 429}, {1009, 413}, {1011, 500},
                 {1012, 503}, {1013, 429}, {1000, 500}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(fq_graphql_http_status(cases[i].code),
                         cases[i].status);
}

/* ── hostile requests ── */

static void
test_graphql_http_mutations(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        "{\"query\":\"subscription {a}\",\"operationName\":\"Q\","
        "\"variables\":{\"v\":[1,2]},\"extensions\":{\"persistedQuery\":{}}}",
        "query=%7Ba%7D&operationName=Q&variables=%7B%22v%22:1%7D&extensions="
        "{}",
    };
    static char text[MUTATION_TEXT_MAX];
    mutation_state = MUTATION_SEED;
    for (int round = 0; round < MUTATION_ROUNDS; round++) {
        bool is_get = round % 2 == 1;
        size_t len = strlen(seeds[is_get]);
        memcpy(text, seeds[is_get], len);
        for (uint32_t n = mutation_below(6); n > 0; n--)
            len = mutation_edit(text, len, sizeof(text));
        peer p;
        peer_init(&p, fq_graphql_http_kind(FQ_MEDIA_EVENT_STREAM));
        p.is_silent = true;
        peer_run(&p, is_get ? "> {\"isGet\":true,\"stream\":3,\"payload\":{}}"
                            : "> {\"isGet\":false,\"stream\":3,"
                              "\"payload\":{}}");
        fq_protocol_receive(&p.protocol, fq_str_make(text, len));
        peer_run(&p, "ack");
        /* It was handed over, or refused with a reason. */
        assert_true(p.is_closed || p.last_op != NULL);
        fq_protocol_fini(&p.protocol);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_graphql_http_conversations),
        FQ_TEST(test_graphql_http_opening),
        FQ_TEST(test_graphql_http_farewell),
        FQ_TEST(test_graphql_http_status),
        FQ_TEST(test_graphql_http_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
