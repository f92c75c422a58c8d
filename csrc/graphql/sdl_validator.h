/* SPDX-License-Identifier: MIT */
/* Whether an SDL document is fit to make a schema of: the rules that need
 * none yet. What is left is checked on the schema itself, see
 * schema_validate.h. One thread at a time. */
#ifndef FQ_GRAPHQL_SDL_VALIDATOR_H
#define FQ_GRAPHQL_SDL_VALIDATOR_H

#include "base/status.h"
#include "graphql/ast.h"
#include "graphql/errors.h"

/* Checks |document| against every rule for SDL; |standard| is the document of
 * the built-in types and directives. Errors, in the reference's order:
 * FQ_ERR_INVALID (entries with code VALIDATION_ERROR, at most
 * FQ_GQL_ERRORS_MAX), FQ_ERR_NOMEM. Cost: O(nodes), for each error and for
 * arguments of directives O(names it is compared with). */
fq_status
fq_sdl_validate(const fq_document *document, const fq_document *standard,
                fq_gql_errors *errors);

#endif
