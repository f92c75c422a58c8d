/* SPDX-License-Identifier: MIT */
/* What a client wants to be answered with, by its headers. */
#include "protocol/media_type.h"

#include "support.h"

#define NONE FQ_MEDIA_NONE
#define JSON FQ_MEDIA_JSON
#define RESPONSE FQ_MEDIA_RESPONSE_JSON
#define EVENTS FQ_MEDIA_EVENT_STREAM
#define PARTS FQ_MEDIA_MULTIPART

static const struct {
    const char *header; /* NULL: there is none */
    fq_media_type result;
    fq_media_type stream;
} accepts[] = {
    {NULL, JSON, NONE},
    {"", NONE, NONE},
    {"*/*", JSON, NONE},
    {"application/*", JSON, NONE},
    {"application/json", JSON, NONE},
    {"APPLICATION/JSON", JSON, NONE},
    {" application/json ; charset=UTF-8", JSON, NONE},
    {"application/json;charset=\"utf-8\"", JSON, NONE},
    {"application/json;charset=latin1", NONE, NONE},
    {"application/graphql-response+json", RESPONSE, NONE},
    {"application/graphql-response+json, application/json;q=0.9", RESPONSE,
     NONE},
    {"application/json, application/graphql-response+json", JSON, NONE},
    {"application/graphql-response+json, application/json", RESPONSE, NONE},
    {"application/json;q=0.9, application/graphql-response+json", RESPONSE,
     NONE},
    {"*/*, application/graphql-response+json", RESPONSE, NONE},
    {"application/json;q=0, */*", RESPONSE, NONE},
    {"application/json;q=0.000", NONE, NONE},
    {"*/*;q=0", NONE, NONE},
    {"application/json;q=0.5, */*;q=0.8", RESPONSE, NONE},
    {"application/json;q=nonsense", JSON, NONE},
    {"application/json;q=7", JSON, NONE},
    {"application/json;q=0.1x", JSON, NONE},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON,
     NONE},
    {"text/html", NONE, NONE},
    {"text/*", NONE, NONE},
    {"application/jsonx", NONE, NONE},
    {"application/jso", NONE, NONE},
    {"text/event-stream", EVENTS, EVENTS},
    {"Text/Event-Stream; charset=utf-8", EVENTS, EVENTS},
    {"text/event-stream;q=0", NONE, NONE},
    {"application/json, text/event-stream", JSON, EVENTS},
    {"text/event-stream, application/json;q=0.1", JSON, EVENTS},
    {"multipart/mixed", NONE, NONE},
    {"multipart/mixed;deferSpec=20220824", NONE, NONE},
    {"multipart/mixed;subscriptionSpec=2.0", NONE, NONE},
    {"multipart/mixed;subscriptionSpec=1.0", PARTS, PARTS},
    /* What @apollo/client sends. */
    {"multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json",
     JSON, PARTS},
    {"multipart/mixed;boundary=\"graphql\";subscriptionSpec=\"1.0\", "
     "application/graphql-response+json, application/json;q=0.9",
     RESPONSE, PARTS},
    /* What urql sends. */
    {"text/event-stream, multipart/mixed", EVENTS, EVENTS},
    {"text/event-stream;q=0.5, multipart/mixed;subscriptionSpec=1.0", PARTS,
     PARTS},
    {"multipart/mixed;subscriptionSpec=1.0, text/event-stream", PARTS, PARTS},
    /* Quotes hide separators; what is never closed goes to the end. */
    {"x/y;z=\",application/json,\"", NONE, NONE},
    {"x/y;z=\"\\\",application/json\", application/json", JSON, NONE},
    {"x/y;z=\",application/json", NONE, NONE},
    {"x/y;z=\"\\", NONE, NONE},
    {",,;;,=,application/json", JSON, NONE},
};

static void
test_media_type_accept(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(accepts) / sizeof(*accepts); i++) {
        const char *header = accepts[i].header;
        fq_media_accept accept = fq_media_accept_read(
            header == NULL ? fq_str_make(NULL, 0) : fq_str_of(header));
        if (accept.result != accepts[i].result
            || accept.stream != accepts[i].stream)
            fail_msg("%s: result %d, stream %d", header, (int)accept.result,
                     (int)accept.stream);
    }
}

static void
test_media_type_is_json(void **state)
{
    (void)state;
    static const char *const are[] = {
        "application/json",
        "application/json;charset=utf-8",
        "Application/JSON; Charset=\"UTF-8\"",
        "application/json; x=y",
    };
    static const char *const are_not[] = {
        "",
        "text/plain",
        "application/json; charset=utf-16",
        "application/graphql",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "multipart/form-data; boundary=application/json",
    };
    for (size_t i = 0; i < sizeof(are) / sizeof(*are); i++)
        assert_true(fq_media_is_json(fq_str_of(are[i])));
    for (size_t i = 0; i < sizeof(are_not) / sizeof(*are_not); i++)
        assert_false(fq_media_is_json(fq_str_of(are_not[i])));
    assert_false(fq_media_is_json(fq_str_make(NULL, 0)));
}

/* What it gives is what it takes. */
static void
test_media_type_names_what_it_reads(void **state)
{
    (void)state;
    for (int type = JSON; type <= PARTS; type++) {
        fq_str name = fq_media_content_type((fq_media_type)type);
        assert_int_equal(fq_media_accept_read(name).result, type);
    }
    assert_int_equal(fq_media_content_type(NONE).len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_media_type_accept),
        FQ_TEST(test_media_type_is_json),
        FQ_TEST(test_media_type_names_what_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
