/* SPDX-License-Identifier: MIT */
/* Compiling the policy table: each module reads its own part of the text. */
#include "engine/security/policy.h"

#include "base/alloc.h"

fq_status
fq_policy_new(yyjson_val *text, fq_schema *schema, fq_policy **ppolicy,
              fq_error *error)
{
    *ppolicy = NULL;
    (void)schema;
    fq_policy *policy = fq_alloc_zero(sizeof(*policy));
    if (policy == NULL)
        return FQ_ERR_NOMEM;
    fq_status status = fq_tenant_read_policy(text, &policy->tenant, error);
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
    fq_free(policy);
}
