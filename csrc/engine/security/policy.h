/* SPDX-License-Identifier: MIT */
/* The policy table: what an application says about who may see what, compiled
 * against one schema. Each of the five modules has its part. One table drives
 * every transport. Made where the schema is (its masks count references like
 * the schema's, not atomically). Thread: that of the schema. */
#ifndef FQ_ENGINE_SECURITY_POLICY_H
#define FQ_ENGINE_SECURITY_POLICY_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/status.h"
#include "engine/security/federation.h"
#include "engine/security/rbac.h"
#include "engine/security/row.h"
#include "engine/security/scope.h"
#include "engine/security/tenant.h"
#include "graphql/schema.h"

typedef struct fq_policy {
    fq_arena arena;    /* holds what the parts point to */
    fq_schema *schema; /* one reference; NULL: none */
    fq_tenant_policy tenant;
    fq_rbac_policy rbac;
    fq_federation_policy federation;
    fq_scope_policy scope;
    fq_row_policy row;
} fq_policy;

/* Compiles |text|, a JSON object as fraiseql_asgi/security.py writes it, for
 * |schema| (NULL: none). |text| is borrowed until fq_policy_free(). Errors:
 * FQ_ERR_INVALID, FQ_ERR_LIMIT (|error| has a sentence for users),
 * FQ_ERR_NOMEM. */
fq_status
fq_policy_new(yyjson_val *text, fq_schema *schema, fq_policy **ppolicy,
              fq_error *error);
/* NULL is allowed. */
void
fq_policy_free(fq_policy *policy);

#endif
