/* SPDX-License-Identifier: MIT */
/* One event: what was published, parsed once. It is made by the publishing
 * thread, given away with the publication, and from then on belongs to the
 * reactor, whose count is therefore not atomic. */
#ifndef FQ_BUS_EVENT_H
#define FQ_BUS_EVENT_H

#include <stdbool.h>
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
/* The largest data that is taken from a server, which others may have given
 * more; publishers of ours have limits below. */
#define FQ_EVENT_DATA_MAX (64 * 1024 * 1024)
/* The largest meta: some headers that travel along, not another payload. */
#define FQ_EVENT_META_MAX (64 * 1024)
/* Channels whose names begin so are for what instances say to each other, not
 * for events: nobody subscribes to them, and no publisher is let through. */
#define FQ_EVENT_RESERVED "$fraiseql:"
/* The one there is, see reactor/control.h. */
#define FQ_EVENT_CONTROL FQ_EVENT_RESERVED "control"

struct fq_bus;

typedef struct fq_event fq_event;

struct fq_event {
    uint32_t n_refs;
    uint32_t n_kept;          /* of histories, see fq_event_keep() */
    char id[FQ_EVENT_ID_MAX]; /* given by the bus; empty until then */
    fq_rcbuf *channel;
    fq_rcbuf *event_type;
    fq_rcbuf *data;         /* the JSON text of an object */
    yyjson_doc *doc;        /* the same, parsed */
    fq_rcbuf *tenant_id;    /* whose it is; NULL: not said; never empty */
    fq_rcbuf *boundary;     /* the subgraph that owns it; likewise */
    fq_rcbuf *meta;         /* the JSON text of an object; NULL: none */
    bool is_reserved;       /* its channel is: it is no event for anybody */
    bool is_unreadable;     /* it stands for one that nobody can read: it has
                             * an id, a place and a channel, all of whose
                             * listeners are told of a gap; |data| is {} */
    uint64_t created_at_ns; /* wall clock, since 1970 */
    uint64_t offset;        /* its number, where the bus gives them one */
    fq_rcbuf *span;         /* what the bus has to say of where it is besides
                             * the offset, shared with others; or NULL */
    struct fq_bus *bus;     /* that has delivered it; NULL until then */
    fq_rcbuf *position;     /* see fq_bus_position_of(); NULL: nobody asked */
    /* Called once, on the thread that drops the last reference, while the
     * event is still there: every engine has dispatched it and every resolver
     * it called has answered. May be NULL. */
    void (*done_cb)(fq_event *event, void *arg);
    void *done_arg;
};

/* Whether |channel| is not for events. */
bool
fq_event_is_reserved(fq_str channel);

/* Makes an event with one reference. |data| is the text of a JSON object, in
 * which half a surrogate pair may be escaped: others put such into a bus.
 * Errors: FQ_ERR_SYNTAX or FQ_ERR_INVALID (no object; a name empty or over
 * FQ_EVENT_NAME_MAX or not UTF-8), FQ_ERR_LIMIT (|max_bytes| of data, 0:
 * none), FQ_ERR_NOMEM; |error| says which, in words for users. */
fq_status
fq_event_new(fq_str channel, fq_str event_type, fq_str data,
             uint64_t created_at_ns, size_t max_bytes, fq_event **pevent,
             fq_error *error);

/* Makes one that stands for an entry on |channel| that is no event. Errors:
 * FQ_ERR_INVALID: |channel| is none, so nobody can have waited for it;
 * FQ_ERR_NOMEM. */
fq_status
fq_event_new_unreadable(fq_str channel, uint64_t created_at_ns,
                        fq_event **pevent);

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

/* A history keeps |event|, and does so no longer: it stays while somebody does
 * either, but nobody who waits for its last reference waits for a history. One
 * that is only kept may be referred to again. */
void
fq_event_keep(fq_event *event);
void
fq_event_unkeep(fq_event *event);

/* Bytes held for |event|, its parsed data included, its position not; always
 * the same. */
size_t
fq_event_n_bytes(const fq_event *event);

#endif
