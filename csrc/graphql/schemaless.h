/* SPDX-License-Identifier: MIT */
/* What is known of types where there is no schema: the built-in scalars and
 * the directives of the specification. Constant: any thread. */
#ifndef FQ_GRAPHQL_SCHEMALESS_H
#define FQ_GRAPHQL_SCHEMALESS_H

#include "graphql/schema.h"

/* A schema without root types. A name it does not know may mean anything. */
extern const fq_schema fq_schemaless;

#endif
