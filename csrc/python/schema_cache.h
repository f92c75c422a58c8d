/* SPDX-License-Identifier: MIT */
/* The schemas last built from SDL by the functions of graphql.c, so that
 * calls that repeat an SDL do not build it again. Thread: loop (the GIL is
 * held whenever a schema of the cache is used). */
#ifndef FQ_PYTHON_SCHEMA_CACHE_H
#define FQ_PYTHON_SCHEMA_CACHE_H

#include "python/state.h"

#include "graphql/errors.h"
#include "graphql/schema.h"

/* Schemas kept: a program has one or two, tests a few more. */
#define FQ_SCHEMA_CACHE_MAX 8

/* The schema of |sdl|, a str, with one reference for the caller, as
 * fq_schema_build gives it: from the cache or new. A failure is not kept. On
 * FQ_ERR_INVALID with an empty |errors| a Python exception is set: |sdl| is no
 * str, or has lone surrogates. Cost of a hit: comparing the text, nothing for
 * the same object. */
fq_status
fq_schema_cache_get(fq_state *state, PyObject *sdl, fq_schema **pschema,
                    fq_gql_errors *errors);

#endif
