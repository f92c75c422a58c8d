/* SPDX-License-Identifier: MIT */
/* What of a response no operation says: how a stream begins and why it ends,
 * the status of a close, errors without an operation. Any thread. */
#include "protocol/graphql_http.h"

#include "json/writer.h"

fq_str
fq_graphql_http_preamble(fq_media_type type)
{
    /* Browsers tell that the response has begun when its first byte came. */
    return type == FQ_MEDIA_EVENT_STREAM ? FQ_STR_LIT(":\n\n")
                                         : FQ_STR_LIT("--graphql");
}

/* A reason is a handler's, and may have lines. */
static void
append_line(fq_buf *buf, fq_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool is_end = text.ptr[i] == '\n' || text.ptr[i] == '\r';
        fq_buf_append_char(buf, is_end ? ' ' : text.ptr[i]);
    }
}

void
fq_graphql_http_write_farewell(fq_buf *buf, fq_media_type type, uint16_t code,
                               fq_str reason)
{
    if (code == 1000 || code == 1012)
        return;
    if (type == FQ_MEDIA_EVENT_STREAM) {
        /* No event says it: a comment, for who looks. */
        fq_buf_append_format(buf, ": %u ", code);
        append_line(buf, reason);
        fq_buf_append_str(buf, FQ_STR_LIT("\n\n"));
        return;
    }
    fq_buf_append_str(buf, FQ_STR_LIT(FQ_GRAPHQL_HTTP_PART_HEAD
                                      "{\"payload\":null,"
                                      "\"errors\":[{\"message\":"));
    fq_json_write_str(buf, reason);
    fq_buf_append_str(buf,
                      FQ_STR_LIT("}]}" FQ_GRAPHQL_HTTP_PART_TAIL "--\r\n"));
}

int
fq_graphql_http_status(uint16_t code)
{
    if (code >= 4400 && code < 4500)
        return code - 4000;
    switch (code) {
    case 1008: /* too many messages, */
    case 1013: /* or connections of one user */
        return 429;
    case 1009:
        return 413;
    case 1012:
        return 503;
    default:
        return code < 2000 ? 500 : 403;
    }
}

void
fq_graphql_http_write_errors(fq_buf *buf, fq_str message)
{
    fq_buf_append_str(buf, FQ_STR_LIT("{\"errors\":[{\"message\":"));
    fq_json_write_str(buf, message);
    fq_buf_append_str(buf, FQ_STR_LIT("}]}"));
}
