/* SPDX-License-Identifier: MIT */
/* What the functions of graphql.c and graphql_probe.c share: Python values in,
 * errors out. Thread: loop (holds the GIL). */
#ifndef FQ_PYTHON_GRAPHQL_COMMON_H
#define FQ_PYTHON_GRAPHQL_COMMON_H

#include "python/state.h"

#include <yyjson.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"
#include "graphql/ast.h"
#include "graphql/errors.h"
#include "graphql/schema.h"

/* The errors as a list of dicts, |status| being what looking for them came to;
 * NULL with an exception: MemoryError where it was FQ_ERR_NOMEM. */
PyObject *
fq_graphql_errors_list(fq_state *state, fq_status status,
                       const fq_gql_errors *errors);

/* Raises what |status| means for a request, with all of |errors|. */
void
fq_graphql_raise(fq_state *state, fq_status status,
                 const fq_gql_errors *errors);

/* As fq_parse, a long text without the GIL. Both |document| and |errors| are
 * the caller's to free, on every path. */
fq_status
fq_graphql_read(fq_str text, fq_document *document, fq_gql_errors *errors);

/* The schema of |sdl| with one reference, or NULL with an exception: a
 * ConfigError says all that is wrong with it, a line each. */
fq_schema *
fq_graphql_schema(fq_state *state, PyObject *sdl);

/* What is in |response|, which is freed, as bytes; |status| is what writing it
 * came to. NULL with an exception. */
PyObject *
fq_graphql_take_bytes(fq_state *state, fq_status status, fq_buf *response);

/* Reads |value|, |name| in errors, as a JSON tree: bytes are JSON, anything
 * else is converted. 0, or -1 with an exception and *pdoc NULL. */
int
fq_graphql_read_json(fq_state *state, PyObject *value, const char *name,
                     yyjson_doc **pdoc);

#endif
