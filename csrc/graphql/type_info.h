/* SPDX-License-Identifier: MIT */
/* Which definitions of a schema the nodes of a document mean. One thread at a
 * time. */
#ifndef FQ_GRAPHQL_TYPE_INFO_H
#define FQ_GRAPHQL_TYPE_INFO_H

#include <stdbool.h>

#include "base/status.h"
#include "graphql/ast.h"
#include "graphql/schema.h"

/* Distinct types of variables that the schema itself does not have, as
 * `[[Int!]]`. Far more than any honest document uses. */
#define FQ_TYPE_INFO_WRAPPERS_MAX 1000

/* What a schema says about the place where a variable is used. */
typedef struct fq_variable_position {
    const fq_type *type;   /* expected there */
    const fq_type *one_of; /* the input object with @oneOf whose field it is
                            * given for; NULL: none */
    bool has_default;      /* the argument or input field has one */
} fq_variable_position;

/* Enters into every node of |document|, linked or not, what it means in
 * |schema|: selection sets their parent type, fields, arguments and input
 * fields their definition, directives likewise, type conditions and types of
 * variables their type, uses of variables their position; NULL where the
 * schema knows of none. What is added lies in the document's arena; |schema|
 * must live as long. Errors: FQ_ERR_LIMIT (types of variables), FQ_ERR_NOMEM.
 * Cost: O(nodes). */
fq_status
fq_type_info_enter(fq_document *document, const fq_schema *schema);

#endif
