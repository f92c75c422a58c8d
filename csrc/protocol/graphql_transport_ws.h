/* SPDX-License-Identifier: MIT */
/* The server's side of graphql-transport-ws as a state machine without a
 * socket: texts and decisions in, texts and requests out. It knows nothing of
 * GraphQL beyond the envelope; who owns it (the session) answers its
 * callbacks, at once or later. Source: PROTOCOL.md of graphql-ws, close codes
 * and reasons as its reference implementation gives them.
 * One thread at a time. */
#ifndef FQ_PROTOCOL_GRAPHQL_TRANSPORT_WS_H
#define FQ_PROTOCOL_GRAPHQL_TRANSPORT_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/map.h"
#include "base/rcbuf.h"
#include "base/status.h"
#include "base/str.h"

/* The subprotocol's name, compared byte by byte. */
#define FQ_GTWS_SUBPROTOCOL "graphql-transport-ws"

typedef struct fq_gtws fq_gtws;

/* One operation that a client has started and that has not ended: the entry
 * of its id. It lives from the subscribe callback until fq_gtws_error,
 * fq_gtws_end, the complete callback or fq_gtws_fini. */
typedef struct fq_gtws_op {
    fq_str id;    /* the client's, copied */
    void *handle; /* the owner's; NULL at first */
} fq_gtws_op;

/* What the machine asks of its owner. |ctx| is fq_gtws_init's. Callbacks may
 * call back into the machine, except fq_gtws_fini: it is complete before it
 * calls one and touches neither itself nor the operation afterwards. Each
 * function below may therefore call |close| (always when memory is out) and,
 * where it says so, |send| before it returns. */
typedef struct fq_gtws_ops {
    /* Send |text| (one reference, given away). */
    void (*send)(void *ctx, fq_rcbuf *text);
    /* Close the socket behind what was sent. Called once; the machine ignores
     * all input afterwards. |reason| is at most 123 bytes. */
    void (*close)(void *ctx, uint16_t code, fq_str reason);
    /* connection_init came; answer with fq_gtws_ack or fq_gtws_refuse, now or
     * later. |payload| is an object or NULL, borrowed. */
    void (*init)(void *ctx, yyjson_val *payload);
    /* A ping was answered that came with |payload|, borrowed. NULL: nobody
     * wants to know. */
    void (*ping)(void *ctx, yyjson_val *payload);
    /* A new operation. |query| and |operation_name| (ptr NULL: none) and the
     * objects |variables| and |extensions| (NULL: none) are borrowed. */
    void (*subscribe)(void *ctx, fq_gtws_op *op, fq_str query,
                      fq_str operation_name, yyjson_val *variables,
                      yyjson_val *extensions);
    /* The client completed |op|: release its source and drop what is queued
     * for it. Its id is free already, |op| is freed on return. */
    void (*complete)(void *ctx, fq_gtws_op *op);
} fq_gtws_ops;

typedef enum fq_gtws_state {
    FQ_GTWS_AWAITING_INIT,
    FQ_GTWS_AWAITING_ACK, /* init is with the owner */
    FQ_GTWS_READY,
    FQ_GTWS_CLOSED,
} fq_gtws_state;

struct fq_gtws {
    const fq_gtws_ops *ops;
    void *ctx;
    fq_gtws_state state;
    uint64_t init_deadline_ns; /* for connection_init; meaningless later */
    fq_map ops_by_id;          /* id -> fq_gtws_op */
};

/* Starts in FQ_GTWS_AWAITING_INIT. The machine is embedded in its owner. */
void
fq_gtws_init(fq_gtws *gtws, const fq_gtws_ops *ops, void *ctx,
             uint64_t init_deadline_ns);

/* Frees what operations are left, without a callback: the owner releases
 * their handles first (fq_gtws_each_op). */
void
fq_gtws_fini(fq_gtws *gtws);

/* One complete text (or binary, read as text) message, borrowed. Everything
 * wrong with it is answered by a close with the reference's code and reason;
 * without memory for it the socket closes 1011 `Internal server error`, which
 * itself needs none. Ignored once closed. */
void
fq_gtws_receive(fq_gtws *gtws, fq_str text);

/* Answers init: connection_ack with |payload| (JSON text of an object; ptr
 * NULL: no payload member). Ignored in any other state than AWAITING_ACK. */
void
fq_gtws_ack(fq_gtws *gtws, fq_str payload);

/* Answers init with a close; code 0 means 4403 `Forbidden`. Ignored in any
 * other state than AWAITING_ACK; |reason| as in fq_gtws_close. */
void
fq_gtws_refuse(fq_gtws *gtws, uint16_t code, fq_str reason);

/* Ends |op| with an `error` message; |errors| is the JSON array. The id is
 * free and |op| freed before anything is sent; once closed nothing is sent,
 * but |op| goes all the same. */
void
fq_gtws_error(fq_gtws *gtws, fq_gtws_op *op, fq_str errors);

/* Ends |op| with `complete`, otherwise as fq_gtws_error. */
void
fq_gtws_end(fq_gtws *gtws, fq_gtws_op *op);

/* `{"id":"<id>","type":"next","payload":` for |op|: made once per operation,
 * shared by all its deliveries. Errors: FQ_ERR_NOMEM (*phead is NULL). */
fq_status
fq_gtws_next_head(const fq_gtws_op *op, fq_rcbuf **phead);

/* When fq_gtws_tick has something to do, or UINT64_MAX. */
uint64_t
fq_gtws_deadline_ns(const fq_gtws *gtws);

/* Closes 4408 when connection_init did not come in time. */
void
fq_gtws_tick(fq_gtws *gtws, uint64_t now_ns);

/* Closes the socket from the server's side (drain: 1012; slow client: 1013).
 * |reason| is UTF-8 and cut to 123 bytes on a character. Ignored once closed;
 * never asks for memory. The operations stay until fq_gtws_fini. */
void
fq_gtws_close(fq_gtws *gtws, uint16_t code, fq_str reason);

size_t
fq_gtws_n_ops(const fq_gtws *gtws);

/* The operation of |id|, or NULL. */
fq_gtws_op *
fq_gtws_find(const fq_gtws *gtws, fq_str id);

/* Walks the operations: start with *piter = 0, NULL at the end. None may be
 * added or removed meanwhile. */
fq_gtws_op *
fq_gtws_each_op(const fq_gtws *gtws, size_t *piter);

#endif
