/* SPDX-License-Identifier: MIT */
/* Asking the policy table about one step of a client's filter. Types are looked
 * up by name: the table may be that of an earlier schema. */
#include "engine/security/filterable.h"

/* Whether an object can be of both types; types that are not known count as
 * related. */
static bool
is_related(const fq_type *a, const fq_type *b)
{
    return a == b || a == NULL || b == NULL || !fq_type_is_composite(a)
           || !fq_type_is_composite(b) || fq_type_overlaps(a, b);
}

static bool
has_role(const fq_rbac_rule *rule, const fq_security_context *context)
{
    for (size_t i = 0; context != NULL && i < rule->n_roles; i++) {
        if (fq_name_set_has(&context->roles, rule->roles[i]))
            return true;
    }
    return false;
}

/* Whether a rule keeps |context| from |field| of |type|. */
static bool
is_kept(const fq_policy *policy, const fq_security_context *context,
        const fq_type *type, const fq_field_def *field)
{
    for (size_t i = 0; i < policy->rbac.n_rules; i++) {
        const fq_rbac_rule *rule = &policy->rbac.rules[i];
        if (fq_str_eq(rule->at.field_name, field->name)
            && is_related(type,
                          fq_schema_type(policy->schema, rule->at.type_name))
            && !has_role(rule, context))
            return true;
    }
    return false;
}

/* Whether |context| reaches every object that can be of |type|. */
static bool
reaches(const fq_policy *policy, const fq_security_context *context,
        const fq_type *type)
{
    const fq_str *owners = policy->federation.owners;
    for (uint32_t i = 0; owners != NULL && i < policy->schema->n_types; i++) {
        const fq_type *other = policy->schema->types[i];
        if (owners[other->index].ptr != NULL && is_related(type, other)
            && !fq_federation_reaches(owners[other->index], context))
            return false;
    }
    return true;
}

bool
fq_security_is_filterable(const fq_policy *policy,
                          const fq_security_context *context,
                          const fq_type *type, const fq_field_def *field)
{
    if (context != NULL && context->has_fields
        && !fq_name_set_has(&context->fields, type->name))
        return false;
    if (policy == NULL)
        return true;
    if (policy->schema == NULL)
        return policy->rbac.n_rules == 0 && policy->federation.owners == NULL;
    const fq_type *known = fq_schema_type(policy->schema, type->name);
    if (known == NULL)
        return false;
    const fq_type *result = field->type->named;
    return !is_kept(policy, context, known, field)
           && reaches(policy, context, known)
           && (!fq_type_is_composite(result)
               || reaches(policy, context,
                          fq_schema_type(policy->schema, result->name)));
}
