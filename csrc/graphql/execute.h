/* SPDX-License-Identifier: MIT */
/* One operation, executed once: what one event gives, and what
 * fraiseql_asgi.graphql.execute() answers. The engine does the same in steps,
 * with plans it keeps (plan.h). One thread at a time. */
#ifndef FQ_GRAPHQL_EXECUTE_H
#define FQ_GRAPHQL_EXECUTE_H

#include <yyjson.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"
#include "graphql/errors.h"
#include "graphql/schema.h"

typedef struct fq_execution {
    fq_schema *schema;     /* borrowed; NULL: schemaless */
    fq_str document;       /* the text; with a schema it is not validated */
    fq_str operation_name; /* ptr NULL: the document's only operation */
    yyjson_val *variables; /* an object; NULL: none */
    yyjson_val *data;      /* the value of every root field; NULL: null */
} fq_execution;

/* Appends the whole response, `{"data":…,"errors":[…]}`; `errors` is left out
 * when there are none, and `data` when the request itself is at fault: its
 * operation name, its variables. Operations of all kinds are executed alike.
 * Errors: FQ_ERR_SYNTAX (the document cannot be read; one entry in |errors|,
 * PARSE_ERROR), FQ_ERR_NOMEM, FQ_ERR_LIMIT (|buf| is full); nothing is
 * promised about the content of |buf| then. */
fq_status
fq_execute(const fq_execution *execution, fq_buf *buf, fq_gql_errors *errors);

#endif
