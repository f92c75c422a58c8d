/* SPDX-License-Identifier: MIT */
/* Binding the filters of a subscription. Thread: reactor. */
#include "engine/sub_filter.h"

#include "json/reader.h"

static fq_status
refuse_size(fq_gql_errors *errors)
{
    fq_gql_error *error = fq_gql_errors_add(
        errors, "LIMIT_REACHED",
        "The arguments that the filter of this subscription compares with "
        "take more than %d bytes.",
        FQ_FILTER_BOUND_BYTES_MAX);
    return error != NULL ? FQ_ERR_LIMIT : FQ_ERR_NOMEM;
}

fq_status
fq_sub_filter_init(fq_sub_filter *filter, const fq_field *field,
                   const fq_binding *binding,
                   const fq_security_context *context, fq_gql_errors *errors)
{
    *filter = (fq_sub_filter){0};
    if (field->where == NULL)
        return FQ_OK;
    yyjson_doc *args = NULL;
    fq_status status = FQ_OK;
    if (binding->args != NULL)
        status = fq_json_read(fq_rcbuf_str(binding->args),
                              FQ_JSON_LONE_SURROGATES, &args, NULL);
    if (status == FQ_OK)
        status = fq_filter_bind(field->where, yyjson_doc_get_root(args),
                                context, &filter->where);
    fq_json_free(args);
    return status == FQ_ERR_LIMIT ? refuse_size(errors) : status;
}

void
fq_sub_filter_fini(fq_sub_filter *filter)
{
    fq_filter_bound_unref(filter->where);
    fq_filter_bound_unref(filter->client);
    *filter = (fq_sub_filter){0};
}

size_t
fq_sub_filter_n_bytes(const fq_sub_filter *filter)
{
    size_t n_bytes = 0;
    if (filter->where != NULL)
        n_bytes += fq_filter_bound_n_bytes(filter->where);
    if (filter->client != NULL)
        n_bytes += fq_filter_bound_n_bytes(filter->client);
    return n_bytes;
}
