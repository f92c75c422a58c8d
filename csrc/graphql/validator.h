/* SPDX-License-Identifier: MIT */
/* Whether a document may be executed (GraphQL Sep 2025, section 5): one walk
 * over the tree that shows every node to all rules, in the reference's order,
 * so that errors come in its order too. One thread at a time. */
#ifndef FQ_GRAPHQL_VALIDATOR_H
#define FQ_GRAPHQL_VALIDATOR_H

#include "base/status.h"
#include "graphql/ast.h"
#include "graphql/errors.h"

/* Checks |document|, which is linked, against every rule that needs no
 * schema. Errors: FQ_ERR_INVALID (entries with code VALIDATION_ERROR, at most
 * FQ_GQL_ERRORS_MAX), FQ_ERR_NOMEM. Cost: O(nodes) times what a rule's own
 * comment adds. */
fq_status
fq_validate(fq_document *document, fq_gql_errors *errors);

#endif
