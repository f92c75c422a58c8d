/* SPDX-License-Identifier: MIT */
/* Federation boundaries: what a subgraph owns, types and events, is for
 * contexts that may reach that subgraph. Thread: that of the schema. */
#ifndef FQ_ENGINE_SECURITY_FEDERATION_H
#define FQ_ENGINE_SECURITY_FEDERATION_H

#include <stdbool.h>

#include <yyjson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/status.h"
#include "base/str.h"
#include "engine/security/context.h"
#include "graphql/errors.h"
#include "graphql/plan.h"

/* All zero: no type is owned. */
typedef struct fq_federation_policy {
    const fq_str *owners; /* by index of a type: its subgraph, ptr NULL: none;
                           * NULL: no type has one */
} fq_federation_policy;

/* Reads `boundaries` of |text|, which must outlive |policy|, and checks it
 * against |schema|. Errors: FQ_ERR_INVALID, FQ_ERR_NOMEM. */
fq_status
fq_federation_read_policy(yyjson_val *text, const fq_schema *schema,
                          fq_arena *arena, fq_federation_policy *policy,
                          fq_error *error);

/* Whether |context| may reach every type of which |plan| may return objects,
 * through interfaces and unions too. A refusal adds one error, located at the
 * first field of such a type. Errors: FQ_ERR_NOMEM. */
fq_status
fq_federation_judge(const fq_federation_policy *policy, fq_plan *plan,
                    const fq_security_context *context, bool *pis_allowed,
                    fq_gql_errors *errors);

/* Whether |context| (NULL: nobody) may have what |boundary| (ptr NULL: no
 * subgraph) owns. */
static inline bool
fq_federation_reaches(fq_str boundary, const fq_security_context *context)
{
    return boundary.ptr == NULL
           || (context != NULL
               && fq_name_set_has(&context->boundaries, boundary));
}

#endif
