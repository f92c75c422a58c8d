/* SPDX-License-Identifier: MIT */
/* Which subgraph owns which type. Thread: that of the schema. */
#include "engine/security/federation.h"

#include "json/reader.h"

/* Enters one rule. */
static fq_status
read_owner(yyjson_val *item, const fq_schema *schema, fq_str *owners,
           fq_error *error)
{
    fq_str name = fq_json_str(fq_json_get(item, FQ_STR_LIT("type")));
    fq_str owner = fq_json_str(fq_json_get(item, FQ_STR_LIT("boundary")));
    if (name.len == 0 || owner.len == 0)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "boundaries: not the text of a rule");
    const fq_type *type = fq_schema_type(schema, name);
    if (type == NULL || !fq_type_is_composite(type) || type->is_builtin)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "boundaries: the schema has no object, interface "
                            "or union %.*s",
                            FQ_STR_FMT(name));
    if (type == schema->roots[FQ_OPERATION_SUBSCRIPTION])
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "boundaries: %.*s is the type of all "
                            "subscriptions; give its fields roles instead",
                            FQ_STR_FMT(name));
    owners[type->index] = owner;
    return FQ_OK;
}

fq_status
fq_federation_read_policy(yyjson_val *text, const fq_schema *schema,
                          fq_arena *arena, fq_federation_policy *policy,
                          fq_error *error)
{
    *policy = (fq_federation_policy){0};
    yyjson_val *list = fq_json_get(text, FQ_STR_LIT("boundaries"));
    size_t n_rules = yyjson_arr_size(list);
    if (n_rules == 0)
        return FQ_OK;
    if (schema == NULL)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "boundaries: without a schema types are not "
                            "known");
    fq_str *owners = FQ_ARENA_NEW_N(arena, fq_str, schema->n_types);
    if (owners == NULL)
        return FQ_ERR_NOMEM;
    fq_status status = FQ_OK;
    for (size_t i = 0; i < n_rules && status == FQ_OK; i++)
        status = read_owner(yyjson_arr_get(list, i), schema, owners, error);
    policy->owners = owners;
    return status;
}

fq_status
fq_federation_judge(const fq_federation_policy *policy, fq_plan *plan,
                    const fq_security_context *context, bool *pis_allowed,
                    fq_gql_errors *errors)
{
    *pis_allowed = true;
    if (policy->owners == NULL)
        return FQ_OK;
    const fq_plan_type *types;
    size_t n_types;
    fq_status status = fq_plan_types(plan, &types, &n_types);
    for (size_t i = 0; i < n_types && status == FQ_OK; i++) {
        const fq_type *type = types[i].type;
        if (fq_federation_reaches(policy->owners[type->index], context))
            continue;
        *pis_allowed = false;
        fq_gql_error *error = fq_gql_errors_add(
            errors, "FORBIDDEN", "Not allowed to reach type \"%.*s\".",
            FQ_STR_FMT(type->name));
        fq_gql_error_locate(errors, error, fq_plan_source(plan),
                            types[i].start);
        return errors->status;
    }
    return status;
}
