/* SPDX-License-Identifier: MIT */
/* One event: what was published, parsed once. It is made by the publishing
 * thread, given away with the publication, and from then on belongs to the
 * reactor, whose count is therefore not atomic. */
#ifndef FQ_BUS_EVENT_H
#define FQ_BUS_EVENT_H

#include <stdint.h>

#include <yyjson.h>

#include "base/error.h"
#include "base/rcbuf.h"
#include "base/status.h"
#include "base/str.h"

/* The longest id a bus gives: a Redis entry id has at most 41 bytes. */
#define FQ_EVENT_ID_MAX 48
/* The longest channel and event type: names, not payloads. */
#define FQ_EVENT_NAME_MAX 1024
/* The largest meta: some headers that travel along, not another payload. */
#define FQ_EVENT_META_MAX (64 * 1024)

typedef struct fq_event fq_event;

struct fq_event {
    uint32_t n_refs;
    char id[FQ_EVENT_ID_MAX]; /* given by the bus; empty until then */
    fq_rcbuf *channel;
    fq_rcbuf *event_type;
    fq_rcbuf *data;         /* the JSON text of an object */
    yyjson_doc *doc;        /* the same, parsed */
    fq_rcbuf *tenant_id;    /* whose it is; NULL: not said; never empty */
    fq_rcbuf *boundary;     /* the subgraph that owns it; likewise */
    fq_rcbuf *meta;         /* the JSON text of an object; NULL: none */
    uint64_t created_at_ns; /* wall clock, since 1970 */
    /* Called once, on the thread that drops the last reference, before the
     * event is freed: every engine has dispatched it and every resolver it
     * called has answered. May be NULL. */
    void (*done_cb)(fq_event *event, void *arg);
    void *done_arg;
};

/* Makes an event with one reference. |data| is the text of a JSON object.
 * Errors: FQ_ERR_SYNTAX or FQ_ERR_INVALID (no object; a name empty or over
 * FQ_EVENT_NAME_MAX or not UTF-8), FQ_ERR_LIMIT (|max_bytes| of data, 0:
 * none), FQ_ERR_NOMEM; |error| says which, in words for users. */
fq_status
fq_event_new(fq_str channel, fq_str event_type, fq_str data,
             uint64_t created_at_ns, size_t max_bytes, fq_event **pevent,
             fq_error *error);

/* Says whose |event| is, before it is published, once. ptr NULL or empty: not
 * said. Errors: FQ_ERR_INVALID (a name over FQ_EVENT_NAME_MAX or not UTF-8,
 * |meta| not the text of a JSON object), FQ_ERR_SYNTAX, FQ_ERR_LIMIT (|meta|
 * over FQ_EVENT_META_MAX), FQ_ERR_NOMEM. */
fq_status
fq_event_label(fq_event *event, fq_str tenant_id, fq_str boundary, fq_str meta,
               fq_error *error);

fq_event *
fq_event_ref(fq_event *event);
void
fq_event_unref(fq_event *event);

#endif
