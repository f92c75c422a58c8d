/* SPDX-License-Identifier: MIT */
/* Many operations on one event stream: conversations written as scripts. */
#include "protocol/graphql_sse.h"

#include "protocol_fuzz.h"

#define INIT                                                                  \
    "> {'isGet':true,'stream':3,'payload':{'authorization':'a'}}",            \
        "init {'authorization':'a'}"
#define READY INIT, "! ack", "< "
#define START(id) "> S{'query':'{a}','extensions':{'operationId':'" id "'}}"
#define STARTED(id)                                                           \
    START(id), "subscribe " id " {a} - - {'operationId':'" id "'}"
#define ENDED(id) "< event: complete\ndata: {'id':'" id "'}\n\n"

static const conversation conversations[] = {
    {"the stream begins when the client was let in", {READY}},
    {"or does not", {INIT, "! refuse 0", "closed 4403 Forbidden"}},
    {"nothing comes",
     {"! tick 1000", "closed 4408 Connection initialisation timeout"}},
    {"operations share it",
     {READY, STARTED("1"), STARTED("b"), "! head 1",
      "head event: next\ndata: {'id':'1','payload':...}}\n\n", "! end 1",
      ENDED("1"), STARTED("1"), "! next b {'data':2}",
      "< event: next\ndata: {'id':'b','payload':{'data':2}}\n\n", "! end b",
      ENDED("b")}},
    {"one that is wrong ends alone",
     {READY, STARTED("1"), STARTED("2"), "! error 1",
      "< event: next\ndata: {'id':'1','payload':{'errors':[{'message':'no'}]}}"
      "\n\nevent: complete\ndata: {'id':'1'}\n\n",
      STARTED("1"), "> D2", "complete 2"}},
    {"a client stops one",
     {READY, STARTED("1"), "> D1", "complete 1", "> D1", "> Dx",
      STARTED("1")}},
    {"an id in use",
     {READY, STARTED("1"), START("1"),
      "closed 4409 Subscriber for 1 already exists"}},
    {"what is checked before it comes is checked again",
     {READY, "> S{'query':'{a}'}", "closed 4400 Invalid message received"}},
    {"what is nothing",
     {READY, "> X", "closed 4400 Invalid message received"}},
    {"what is even less",
     {READY, "> ", "closed 4400 Invalid message received"}},
    {"an operation before the client was let in",
     {INIT, START("1"), "closed 4400 Invalid message received"}},
    {"an opening that is none",
     {"> {}", "closed 4400 Invalid message received"}},
    {"it says that it is alive",
     {READY, "! tick 11999", "! tick 12000", "< :\n\n"}},
};

static void
test_graphql_sse_conversations(void **state)
{
    (void)state;
    converse(&fq_graphql_sse, conversations,
             sizeof(conversations) / sizeof(*conversations));
}

static fq_status
body_check(void *arg)
{
    (void)arg;
    static const struct {
        const char *body;
        bool is_good;
    } cases[] = {
        {"{\"query\":\"{a}\",\"extensions\":{\"operationId\":\"1\"}}", true},
        {"{\"query\":\"{a}\",\"extensions\":{\"operationId\":\"\"}}", false},
        {"{\"query\":\"{a}\",\"extensions\":{\"operationId\":1}}", false},
        {"{\"query\":\"{a}\"}", false},
        {"{\"extensions\":{\"operationId\":\"1\"}}", false},
        {"[]", false},
        {"1", false},
        {"", false},
        {"{\"query\":1,\"extensions\":{\"operationId\":\"1\"}}", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int status;
        const char *fault = fq_graphql_sse_check(fq_str_of(cases[i].body),
                                                 &status);
        if (status == 500)
            return FQ_ERR_NOMEM;
        assert_int_equal(fault == NULL, cases[i].is_good);
        assert_int_equal(status, cases[i].is_good ? 0 : 400);
    }
    return FQ_OK;
}

static void
test_graphql_sse_check(void **state)
{
    (void)state;
    fq_test_body(body_check, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_graphql_sse_conversations),
        FQ_TEST(test_graphql_sse_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
