/* SPDX-License-Identifier: MIT */
/* Calls for queries and mutations: what the user's handler is asked. */
#ifndef FQ_REACTOR_EXECUTE_CALL_H
#define FQ_REACTOR_EXECUTE_CALL_H

#include <stdint.h>

#include <yyjson.h>

#include "base/str.h"
#include "reactor/call.h"

/* A request as the client made it, all borrowed. */
typedef struct fq_execute_request {
    fq_str id; /* the client's, of the operation */
    fq_str query;
    fq_str operation_name;        /* ptr NULL: none */
    yyjson_val *variables;        /* an object, or NULL */
    yyjson_val *extensions;       /* likewise */
    fq_security_context *context; /* who asks; NULL: nobody in particular */
} fq_execute_request;

/* Sends |request| to |port|'s loop as a call of |kind|, EXECUTE or SUBSCRIBE,
 * for the handler of |token|; answer and cancel name it by |execution_id|. Errors: FQ_ERR_NOMEM.
 * A loop that is gone is none: the client's disconnect is on its way.
 * Thread: reactor. */
fq_status
fq_execute_call_send(fq_port *port, fq_call_kind kind,
                     const fq_execute_request *request, uint64_t token,
                     uint64_t execution_id);

#endif
