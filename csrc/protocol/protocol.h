/* SPDX-License-Identifier: MIT */
/* One client's conversation as a state machine without a socket: texts and
 * decisions in, texts and requests out. What every protocol has is here: the
 * operations by their id, the states, the deadline, closing. What a protocol
 * says in its own words is its kind, one constant table per protocol. It knows
 * nothing of GraphQL beyond the envelope; who owns it (the session) answers
 * its callbacks, at once or later.
 * One thread at a time. */
#ifndef FQ_PROTOCOL_PROTOCOL_H
#define FQ_PROTOCOL_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/rcbuf.h"
#include "base/status.h"
#include "base/str.h"

typedef struct fq_protocol fq_protocol;

/* One operation that a client has started and that has not ended: the entry
 * of its id. It lives from the subscribe callback until fq_protocol_error,
 * fq_protocol_end, the complete callback or fq_protocol_fini. */
typedef struct fq_protocol_op {
    fq_str id;    /* the client's, copied */
    void *handle; /* the owner's; NULL at first */
} fq_protocol_op;

/* What a client asks for in one operation; borrowed. */
typedef struct fq_protocol_request {
    fq_str query;
    fq_str operation_name;  /* ptr NULL: none */
    yyjson_val *variables;  /* an object; NULL: none */
    yyjson_val *extensions; /* the same */
} fq_protocol_request;

/* What an operation is, as far as a protocol cares. */
typedef enum fq_protocol_operation {
    FQ_PROTOCOL_QUERY,
    FQ_PROTOCOL_MUTATION,
    FQ_PROTOCOL_SUBSCRIPTION,
} fq_protocol_operation;

/* What the machine asks of its owner. |ctx| is fq_protocol_init's. Callbacks
 * may call back into the machine, except fq_protocol_fini: it is complete
 * before it calls one and touches neither itself nor the operation afterwards.
 * Each function below may therefore call |close| (always when memory is out)
 * and, where it says so, |send| before it returns. */
typedef struct fq_protocol_owner {
    /* Send |text| (one reference, given away). */
    void (*send)(void *ctx, fq_rcbuf *text);
    /* Close the socket behind what was sent. Called once; the machine ignores
     * all input afterwards. |reason| is at most FQ_PROTOCOL_REASON_MAX bytes
     * of UTF-8. */
    void (*close)(void *ctx, uint16_t code, fq_str reason);
    /* The client introduced itself; answer with fq_protocol_ack or
     * fq_protocol_refuse, now or later. |payload| is an object or NULL,
     * borrowed. */
    void (*init)(void *ctx, yyjson_val *payload);
    /* A ping was answered that came with |payload|, borrowed. NULL: nobody
     * wants to know. */
    void (*ping)(void *ctx, yyjson_val *payload);
    /* A new operation. */
    void (*subscribe)(void *ctx, fq_protocol_op *op,
                      const fq_protocol_request *request);
    /* The client completed |op|: release its source and drop what is queued
     * for it. Its id is free already, |op| is freed on return. */
    void (*complete)(void *ctx, fq_protocol_op *op);
} fq_protocol_owner;

/* What differs from protocol to protocol. The write functions append one
 * whole message to |buf|, which keeps its own failures. */
typedef struct fq_protocol_kind {
    /* As a WebSocket subprotocol, compared byte by byte. */
    fq_str name;
    /* One message of the client, borrowed; never called once closed. */
    void (*receive)(fq_protocol *self, fq_str text);
    /* The client was let in, the state is FQ_PROTOCOL_READY already: says so.
     * |payload| is fq_protocol_ack's. */
    void (*ack)(fq_protocol *self, fq_str payload);
    /* Says, before the close, why the client was not let in. NULL: the close
     * says it. */
    void (*write_refusal)(fq_buf *buf, fq_str reason);
    /* What ends the operation of |id|. |errors|: the JSON array of GraphQL
     * errors. */
    void (*write_error)(fq_buf *buf, fq_str id, fq_str errors);
    void (*write_end)(fq_buf *buf, fq_str id);
    /* What stands before the payload of a result, `{"data":...}`. */
    void (*write_next_head)(fq_buf *buf, fq_str id);
    /* And what behind it. */
    fq_str next_tail;
    bool has_event_ids; /* a line `id: …` may stand between the two */
    /* May an operation of this sort be answered? If not, it has closed. It may
     * become another kind, by which the answer is written then. NULL: any
     * may. */
    bool (*admits)(fq_protocol *self, fq_protocol_operation what);
    /* Writes a result that is the only one. NULL: head, result and tail. */
    void (*write_result)(fq_buf *buf, fq_str id, fq_str result);
    /* There is one operation, with whose end it closes (1000). */
    bool is_single;
    /* The texts are made by who brings them, and checked for their length. */
    bool is_measured;
    /* Says that the connection is alive, every so often, of silence or not.
     * NULL: it does not. */
    void (*write_keep_alive)(fq_buf *buf);
    /* Asks a client to say something. NULL: it cannot be asked. */
    void (*write_ping)(fq_buf *buf);
    /* Frees fq_protocol.own. NULL: there is nothing. */
    void (*fini)(fq_protocol *self);
} fq_protocol_kind;

typedef enum fq_protocol_state {
    FQ_PROTOCOL_AWAITING_INIT,
    FQ_PROTOCOL_AWAITING_ACK, /* init is with the owner */
    FQ_PROTOCOL_READY,
    FQ_PROTOCOL_CLOSED,
} fq_protocol_state;

struct fq_protocol {
    const fq_protocol_kind *kind;
    const fq_protocol_owner *owner;
    void *ctx; /* the owner's */
    fq_protocol_state state;
    uint64_t deadline_ns; /* awaiting init: for it; ready: the next keep-alive;
                           * UINT64_MAX: none */
    uint64_t keep_alive_ns; /* between two of them; 0: there is none */
    fq_map ops_by_id;       /* id -> fq_protocol_op */
    void *own;              /* the kind's, NULL at first */
};

/* A close reason's maximum: a control frame carries 125 bytes, two of which
 * are the code (RFC 6455 5.5). */
#define FQ_PROTOCOL_REASON_MAX 123

/* Starts in FQ_PROTOCOL_AWAITING_INIT. Every |keep_alive_ns| it says that the
 * connection is alive, where its kind can; 0: never. The machine is embedded
 * in its owner. */
void
fq_protocol_init(fq_protocol *self, const fq_protocol_kind *kind,
                 const fq_protocol_owner *owner, void *ctx,
                 uint64_t init_deadline_ns, uint64_t keep_alive_ns);

/* Frees what operations are left, without a callback: the owner releases
 * their handles first (fq_protocol_each_op). */
void
fq_protocol_fini(fq_protocol *self);

/* ── for the owner ── */

/* One complete text (or binary, read as text) message, borrowed. Everything
 * wrong with it is answered as the protocol says; without memory for it the
 * socket closes 1011 `Internal server error`, which itself needs none. Ignored
 * once closed. */
void
fq_protocol_receive(fq_protocol *self, fq_str text);

/* Answers init: the client is let in, and told so with |payload| (JSON text
 * of an object; ptr NULL: none). Ignored in any other state than
 * AWAITING_ACK. May call every callback: a protocol may have held messages
 * back until now. */
void
fq_protocol_ack(fq_protocol *self, fq_str payload, uint64_t now_ns);

/* Answers init with a close; code 0 means 4403 `Forbidden`. After the ack it
 * is a close alone, before the init and once closed it is ignored. |reason| as
 * in fq_protocol_close. */
void
fq_protocol_refuse(fq_protocol *self, uint16_t code, fq_str reason);

/* The owner knows what |op| is, and asks before it is answered with anything
 * but an error. False: it may not be, and the machine has closed. Whoever has
 * asked sets the deadline anew and makes the head of its deliveries. */
bool
fq_protocol_admits(fq_protocol *self, fq_protocol_operation what,
                   uint64_t now_ns);

/* Sends the only result, |payload| (JSON text of an object), of |op|; what
 * many get is queued behind a head. Errors: FQ_ERR_NOMEM (nothing was sent).
 * May close. */
fq_status
fq_protocol_next(fq_protocol *self, const fq_protocol_op *op, fq_str payload);

/* Ends |op| with what is wrong; |errors| is a JSON array. The id is free and
 * |op| freed before anything is sent; once closed nothing is sent, but |op|
 * goes all the same. */
void
fq_protocol_error(fq_protocol *self, fq_protocol_op *op, fq_str errors);

/* Ends |op| because its source has, otherwise as fq_protocol_error. */
void
fq_protocol_end(fq_protocol *self, fq_protocol_op *op);

/* What stands around every result of |op|, made once and shared by all its
 * deliveries, as fq_queue_item.head has it: the last *ptail_len bytes belong
 * behind the payload, the others before. Errors: FQ_ERR_NOMEM (*phead is
 * NULL). */
fq_status
fq_protocol_next_head(const fq_protocol *self, const fq_protocol_op *op,
                      fq_rcbuf **phead, uint8_t *ptail_len);

/* When fq_protocol_tick has something to do, or UINT64_MAX. */
uint64_t
fq_protocol_deadline_ns(const fq_protocol *self);

/* Closes 4408 when the client did not introduce itself in time; says that the
 * connection is alive. */
void
fq_protocol_tick(fq_protocol *self, uint64_t now_ns);

/* Closes the socket from the server's side (drain: 1012; slow client: 1013).
 * |reason| is UTF-8 and cut to FQ_PROTOCOL_REASON_MAX on a character. Ignored
 * once closed; never asks for memory. The operations stay until
 * fq_protocol_fini. */
void
fq_protocol_close(fq_protocol *self, uint16_t code, fq_str reason);

size_t
fq_protocol_n_ops(const fq_protocol *self);

/* The operation of |id|, or NULL. */
fq_protocol_op *
fq_protocol_find(const fq_protocol *self, fq_str id);

/* Walks the operations: start with *piter = 0, NULL at the end. None may be
 * added or removed meanwhile. */
fq_protocol_op *
fq_protocol_each_op(const fq_protocol *self, size_t *piter);

/* ── for the kinds ── */

typedef enum fq_protocol_closing {
    FQ_PROTOCOL_NO_MEMORY,
    FQ_PROTOCOL_INVALID,
    FQ_PROTOCOL_UNAUTHORIZED,
    FQ_PROTOCOL_FORBIDDEN,
    FQ_PROTOCOL_LATE,   /* connection_init did not come */
    FQ_PROTOCOL_AGAIN,  /* connection_init came twice */
    FQ_PROTOCOL_EXISTS, /* the id is taken: fq_protocol_close_exists */
} fq_protocol_closing;

/* Closes with the code and the reason that stand for |closing|. */
void
fq_protocol_close_as(fq_protocol *self, fq_protocol_closing closing);

/* Closes 4409, `Subscriber for <id> already exists`. */
void
fq_protocol_close_exists(fq_protocol *self, fq_str id);

/* Sends what |buf| holds and frees it; closes when it could not be built. */
void
fq_protocol_send(fq_protocol *self, fq_buf *buf);

/* connection_init, or what stands for it: asks the owner, or closes 4429 when
 * it came before. */
void
fq_protocol_introduce(fq_protocol *self, yyjson_val *payload);

/* Starts the operation of |id| with the owner; closes where the id is taken.
 */
void
fq_protocol_start(fq_protocol *self, fq_str id,
                  const fq_protocol_request *request);

/* Ends the operation of |id| because its client says so; false: there is
 * none. */
bool
fq_protocol_stop(fq_protocol *self, fq_str id);

#endif
