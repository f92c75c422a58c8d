/* SPDX-License-Identifier: MIT */
/* Where a directive may stand (GraphQL Sep 2025 3.13). Any thread. */
#ifndef FQ_GRAPHQL_LOCATION_H
#define FQ_GRAPHQL_LOCATION_H

#include <stdbool.h>

#include "base/str.h"

/* In the order of the introspection type __DirectiveLocation. */
typedef enum fq_location {
    FQ_LOCATION_QUERY,
    FQ_LOCATION_MUTATION,
    FQ_LOCATION_SUBSCRIPTION,
    FQ_LOCATION_FIELD,
    FQ_LOCATION_FRAGMENT_DEFINITION,
    FQ_LOCATION_FRAGMENT_SPREAD,
    FQ_LOCATION_INLINE_FRAGMENT,
    FQ_LOCATION_VARIABLE_DEFINITION,
    FQ_LOCATION_FRAGMENT_VARIABLE_DEFINITION, /* known, but nowhere yet */
    FQ_LOCATION_SCHEMA,
    FQ_LOCATION_SCALAR,
    FQ_LOCATION_OBJECT,
    FQ_LOCATION_FIELD_DEFINITION,
    FQ_LOCATION_ARGUMENT_DEFINITION,
    FQ_LOCATION_INTERFACE,
    FQ_LOCATION_UNION,
    FQ_LOCATION_ENUM,
    FQ_LOCATION_ENUM_VALUE,
    FQ_LOCATION_INPUT_OBJECT,
    FQ_LOCATION_INPUT_FIELD_DEFINITION,
    FQ_LOCATION_DIRECTIVE_DEFINITION,
    FQ_LOCATION_N_KINDS,
} fq_location;

/* The name of |location| as SDL has it, `FIELD_DEFINITION`, and as messages
 * have it, `field definition`. */
fq_str
fq_location_str(fq_location location);
fq_str
fq_location_phrase(fq_location location);

/* The location of that name; false when there is none. */
bool
fq_location_find(fq_str name, fq_location *plocation);

#endif
