/* SPDX-License-Identifier: MIT */
/* GraphQL over HTTP as a conversation: one request, one answer, which is one
 * result, an event stream (graphql-sse, distinct connections) or the parts of
 * Apollo's multipart subscription protocol. Who knows http (python/) makes two
 * texts of the request and an http response of what comes out; nothing of http
 * itself is here.
 *
 * In: first the opening, fq_graphql_http_write_opening(), then the request:
 * the body of a POST, or the query string of a GET.
 *
 * Out: a result in JSON is one text, the status in three digits before it.
 * Everything else is a stream: its first text, which may be empty, opens it,
 * and all of them are its content behind fq_graphql_http_preamble(). A close
 * before the first text is an answer too: 4400 to 4499 is the status
 * and 4000, others as fq_graphql_http_status() has it. 1000 is the end.
 * Sources: the GraphQL over HTTP draft; PROTOCOL.md of graphql-sse;
 * apollographql.com, "HTTP multipart protocol for GraphQL subscriptions".
 * One thread at a time. */
#ifndef FQ_PROTOCOL_GRAPHQL_HTTP_H
#define FQ_PROTOCOL_GRAPHQL_HTTP_H

#include "protocol/media_type.h"
#include "protocol/protocol.h"

/* The kind by which an answer of |type| begins; NULL for NONE. It becomes that
 * of a stream when the operation turns out to want one. */
const fq_protocol_kind *
fq_graphql_http_kind(fq_media_type type);

typedef struct fq_graphql_http_opening {
    bool is_get;
    fq_media_type stream; /* what a subscription is answered with */
    fq_str payload;       /* JSON: what stands for connection_init's */
    fq_str last_event_id; /* ptr NULL: none */
} fq_graphql_http_opening;

void
fq_graphql_http_write_opening(fq_buf *buf,
                              const fq_graphql_http_opening *opening);

/* A part is known to be whole when the next boundary has come; so each ends
 * with it, and the first one stands before all (the preamble). */
#define FQ_GRAPHQL_HTTP_PART_HEAD "\r\nContent-Type: application/json\r\n\r\n"
#define FQ_GRAPHQL_HTTP_PART_TAIL "\r\n--graphql"

/* ── for graphql_sse.c ── */

/* Reads |body|, what a request asks for; NULL, or what is wrong with it, a
 * static text. */
const char *
fq_graphql_http_read_body(yyjson_val *body, fq_protocol_request *request);

/* Introduces the client of |opening|. */
void
fq_graphql_http_introduce(fq_protocol *self, fq_str opening);

/* ── for who makes the response: graphql_http_response.c ── */

/* What stands before the first text of a stream. */
fq_str
fq_graphql_http_preamble(fq_media_type type);

/* The last content of a stream that ends by |code|, appended to |buf|: why, as
 * far as the protocol can say it. Nothing for 1000, whose stream has said so,
 * and where the client is to come back as after a lost connection. */
void
fq_graphql_http_write_farewell(fq_buf *buf, fq_media_type type, uint16_t code,
                               fq_str reason);

/* The status that a close before the first text stands for. */
int
fq_graphql_http_status(uint16_t code);

/* `{"errors":[{"message":"<message>"}]}`, an answer with a status that is no
 * result. */
void
fq_graphql_http_write_errors(fq_buf *buf, fq_str message);

#endif
