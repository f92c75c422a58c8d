/* SPDX-License-Identifier: MIT */
/* Whether a document may be executed (GraphQL Sep 2025, section 5): one walk
 * over the tree that shows every node to all rules, in the reference's order,
 * so that errors come in its order too. One thread at a time. */
#ifndef FQ_GRAPHQL_VALIDATOR_H
#define FQ_GRAPHQL_VALIDATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"
#include "graphql/ast.h"
#include "graphql/errors.h"
#include "graphql/schema.h"

/* Some of the rules: a bit for each, in their order. */
typedef uint32_t fq_rule_set;
#define FQ_RULES_ALL UINT32_MAX

/* Adds the rule of that name, the reference's without `Rule`
 * (`FieldsOnCorrectType`), to |*prules|; false when there is none. */
bool
fq_rule_set_add(fq_rule_set *prules, fq_str name);

/* Checks |document|, which is linked and was not checked before, against
 * |rules|; without a |schema| (NULL) against those of them that need none, as
 * far as types are known then. On the way every node gets what it means in the
 * schema, see type_info.h, for which that must live as long as |document|.
 * Errors: FQ_ERR_INVALID (entries with code VALIDATION_ERROR, at most
 * FQ_GQL_ERRORS_MAX), FQ_ERR_LIMIT (the document's memory is used up: the last
 * entry is LIMIT_REACHED), FQ_ERR_NOMEM. Cost: O(nodes) times what a rule's own
 * comment adds. */
fq_status
fq_validate(fq_document *document, const fq_schema *schema, fq_rule_set rules,
            fq_gql_errors *errors);

#endif
