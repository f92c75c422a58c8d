/* SPDX-License-Identifier: MIT */
/* One operation of a session, between its id in the protocol and the engine,
 * or, for a query or mutation, the call to Python. Thread: reactor. */
#ifndef FQ_REACTOR_OPERATION_H
#define FQ_REACTOR_OPERATION_H

#include "reactor/execute_call.h"
#include "reactor/session_state.h"

typedef struct fq_operation {
    fq_protocol_op *op;
    fq_sub *sub;            /* NULL until the engine has it */
    fq_sub_id execution_id; /* of the call; 0: a subscription */
    fq_rcbuf *head;         /* around every payload, */
    uint8_t tail_len;       /* so many bytes of it behind */
    fq_call *cancel;        /* sent or freed with the operation */
    fq_call *ended;         /* sent when it is freed; NULL: nobody wants to
                             * know */
} fq_operation;

/* Starts what the client asks for as |op|, or answers why not; then |op| is
 * gone. |request| is borrowed. */
void
fq_operation_start(fq_session *session, fq_protocol_op *op,
                   const fq_execute_request *request);

/* Ends the operation in the engine, tells Python and frees it; what is queued
 * of it stays, unless its client completed it. */
void
fq_operation_release(fq_session *session, fq_operation *self,
                     fq_end_reason reason);

/* Lets the operation of |sub| in again with the session's context, which is
 * new, or ends it with an error. */
void
fq_operation_renew(fq_session *session, fq_sub *sub);

/* Ends it with |errors|, the payload of an `error` message, and drops what is
 * queued of it. May close the session. */
void
fq_operation_refuse(fq_session *session, fq_operation *self,
                    fq_end_reason reason, fq_str errors);

/* Frees it and tells nobody: it has ended by itself. */
void
fq_operation_free(fq_operation *self);

/* Hands the answer of an EXECUTE to the client, and ends its operation. */
void
fq_operation_answer(fq_session *session, const fq_call *call, fq_str text);

#endif
