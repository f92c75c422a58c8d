/* SPDX-License-Identifier: MIT */
/* The calls a live subscription makes, for sessions and feeds alike.
 * Thread: reactor. */
#ifndef FQ_REACTOR_SUB_CALL_H
#define FQ_REACTOR_SUB_CALL_H

#include "engine/engine.h"
#include "reactor/call.h"
#include "reactor/port.h"
#include "reactor/service.h"

/* Fills |call| with what a function is shown: references of |binding|, of the
 * name (NULL: none), the context (likewise) and of |event| (likewise). */
void
fq_sub_call_fill(fq_call *call, const fq_binding *binding,
                 fq_rcbuf *operation_name, fq_security_context *context,
                 fq_event *event);

/* Asks Python for the value of |event| for |sub|, which its client calls |id|
 * (NULL event: for its initial value, or the next one of its source). Where
 * that cannot be done the engine is answered with an error at once, so that the
 * subscription goes on. */
void
fq_sub_call_send(fq_engine *engine, fq_port *port, fq_sub *sub, fq_str id,
                 fq_event *event);

/* Gives the engine of |service| the answer to a RESOLVE or NEXT. */
void
fq_sub_call_answer(fq_service *service, const fq_call *call);

/* Tells Python, by |cancel| (stolen), that |sub| has ended; nothing is said
 * where nothing can be running. The call is made before the subscription is,
 * because ending must not fail; it may be NULL for one that
 * fq_sub_call_spare() was asked about. */
void
fq_sub_call_cancel(fq_call *cancel, const fq_sub *sub);

/* Frees *pcancel, then NULL, where |sub| is live and will never need it: most
 * never touch Python, and it is a quarter of what they hold. */
void
fq_sub_call_spare(fq_call **pcancel, const fq_sub *sub);

#endif
