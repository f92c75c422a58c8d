/* SPDX-License-Identifier: MIT */
/* Row filters, compiled per policy and bound per subscription. Thread: any. */
#include "engine/security/row.h"

#include "json/reader.h"

static fq_status
check_field(fq_str name, const fq_schema *schema, fq_error *error)
{
    const fq_type *root = schema == NULL
                              ? NULL
                              : schema->roots[FQ_OPERATION_SUBSCRIPTION];
    if (name.len > 0
        && (schema == NULL
            || (root != NULL && fq_type_field(root, name) != NULL)))
        return FQ_OK;
    return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                        "rows: the schema has no subscription field %.*s",
                        FQ_STR_FMT(name));
}

fq_status
fq_row_read_policy(yyjson_val *text, const fq_schema *schema, fq_arena *arena,
                   fq_row_policy *policy, fq_error *error)
{
    *policy = (fq_row_policy){0};
    yyjson_val *list = fq_json_get(text, FQ_STR_LIT("rows"));
    size_t n_rules = yyjson_arr_size(list);
    policy->rules = FQ_ARENA_NEW_N(arena, struct fq_row_rule, n_rules + 1);
    if (policy->rules == NULL)
        return FQ_ERR_NOMEM;
    for (size_t i = 0; i < n_rules; i++) {
        yyjson_val *item = yyjson_arr_get(list, i);
        fq_str name = fq_json_str(fq_json_get(item, FQ_STR_LIT("field")));
        fq_status status = check_field(name, schema, error);
        fq_filter *filter = NULL;
        if (status == FQ_OK)
            status = fq_filter_compile(fq_json_get(item, FQ_STR_LIT("filter")),
                                       &filter, error);
        if (status != FQ_OK)
            return status;
        policy->rules[policy->n_rules++] = (struct fq_row_rule){name, filter};
    }
    return FQ_OK;
}

void
fq_row_fini_policy(fq_row_policy *policy)
{
    for (size_t i = 0; i < policy->n_rules; i++)
        fq_filter_unref(policy->rules[i].filter);
    *policy = (fq_row_policy){0};
}

fq_status
fq_row_bind(const fq_row_policy *policy, fq_str name, fq_str args,
            const fq_security_context *context, fq_filter_bound **pbound)
{
    *pbound = NULL;
    size_t i = 0;
    while (i < policy->n_rules && !fq_str_eq(policy->rules[i].field, name))
        i++;
    if (i == policy->n_rules)
        return FQ_OK;
    yyjson_doc *doc;
    fq_status status = fq_json_read(args, FQ_JSON_LONE_SURROGATES, &doc, NULL);
    if (status == FQ_OK)
        status = fq_filter_bind(policy->rules[i].filter,
                                yyjson_doc_get_root(doc), context, pbound);
    fq_json_free(doc);
    return status;
}
