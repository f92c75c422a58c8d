/* SPDX-License-Identifier: MIT */
/* What the auth handler's answers and exceptions mean for a client. Calling it
 * is resolver_call.c's. Thread: loop. */
#ifndef FQ_PYTHON_AUTH_H
#define FQ_PYTHON_AUTH_H

#include "python/resolver.h"
#include "reactor/call.h"

/* True for the calls that ask who a client is. */
static inline bool
fq_auth_is_call(const fq_call *call)
{
    return call->kind == FQ_CALL_INIT || call->kind == FQ_CALL_RENEW;
}

/* Answers |call| with |value|, what the handler returned: a SecurityContext or
 * a mapping that makes one, either of them with the payload of the ack in a
 * tuple, None or False to refuse. The connection remembers it. Returns 0 (the
 * call is given away), or -1 with an exception when it is nothing of that (the
 * call stays the caller's). */
int
fq_auth_answer(fq_state *state, fq_call *call, PyObject *value);

/* Refuses |call| (given away) for the current exception, which is cleared (but
 * KeyboardInterrupt and SystemExit stay set): a CloseConnection is carried
 * out, everything else is logged. */
void
fq_auth_fail(fq_state *state, const fq_service_object *service,
             const fq_resolver *resolver, fq_call *call);

#endif
