/* SPDX-License-Identifier: MIT */
/* Compiling the policy table: each module reads its own part of the text.
 * Thread: that of the schema. */
#include "engine/security/policy.h"

#include "base/alloc.h"

fq_status
fq_policy_new(yyjson_val *text, fq_schema *schema, fq_policy **ppolicy,
              fq_error *error)
{
    *ppolicy = NULL;
    fq_policy *policy = fq_alloc_zero(sizeof(*policy));
    if (policy == NULL)
        return FQ_ERR_NOMEM;
    fq_arena_init(&policy->arena, 0);
    if (schema != NULL)
        policy->schema = fq_schema_ref(schema);
    fq_status status = fq_tenant_read_policy(text, &policy->tenant, error);
    if (status == FQ_OK)
        status = fq_rbac_read_policy(text, schema, &policy->arena,
                                     &policy->rbac, error);
    if (status == FQ_OK)
        status = fq_federation_read_policy(text, schema, &policy->arena,
                                           &policy->federation, error);
    if (status == FQ_OK)
        status = fq_scope_read_policy(text, schema, &policy->arena,
                                      &policy->scope, error);
    if (status == FQ_OK)
        status = fq_row_read_policy(text, schema, &policy->arena, &policy->row,
                                    error);
    if (status == FQ_OK)
        *ppolicy = policy;
    else
        fq_policy_free(policy);
    return status;
}

void
fq_policy_free(fq_policy *policy)
{
    if (policy == NULL)
        return;
    fq_rbac_fini_policy(&policy->rbac);
    fq_row_fini_policy(&policy->row);
    fq_schema_unref(policy->schema);
    fq_arena_fini(&policy->arena);
    fq_free(policy);
}
