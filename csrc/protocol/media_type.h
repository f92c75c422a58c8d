/* SPDX-License-Identifier: MIT */
/* What a request over http wants to be answered with, and what it is itself:
 * its Accept and Content-Type headers, read (RFC 9110 12.5.1 and 8.3). Plain
 * functions: any thread. */
#ifndef FQ_PROTOCOL_MEDIA_TYPE_H
#define FQ_PROTOCOL_MEDIA_TYPE_H

#include <stdbool.h>

#include "base/str.h"

/* What an answer can be. */
typedef enum fq_media_type {
    FQ_MEDIA_NONE,          /* nothing that was asked for */
    FQ_MEDIA_JSON,          /* one result: application/json */
    FQ_MEDIA_RESPONSE_JSON, /* application/graphql-response+json */
    FQ_MEDIA_EVENT_STREAM,  /* many: text/event-stream */
    FQ_MEDIA_MULTIPART,     /* multipart/mixed;subscriptionSpec="1.0" */
} fq_media_type;

/* What a client accepts. */
typedef struct fq_media_accept {
    fq_media_type result; /* for one result: a kind of JSON, or else the same
                           * as |stream| */
    fq_media_type stream; /* for a subscription; NONE: it takes no stream */
} fq_media_accept;

/* Reads an Accept header; ptr NULL: there is none. Wildcards and no header
 * mean application/json, never a stream: who asked for nothing in particular
 * would wait for the end of it. Of two that are equally welcome the more exactly
 * named, then the one named first is taken. A multipart/mixed without
 * subscriptionSpec is another protocol. */
fq_media_accept
fq_media_accept_read(fq_str header);

/* True for a Content-Type of JSON as clients send it: application/json, in
 * UTF-8 if it says so. */
bool
fq_media_is_json(fq_str content_type);

static inline bool
fq_media_is_stream(fq_media_type type)
{
    return type == FQ_MEDIA_EVENT_STREAM || type == FQ_MEDIA_MULTIPART;
}

/* The Content-Type of an answer; empty for NONE. */
fq_str
fq_media_content_type(fq_media_type type);

#endif
