/* SPDX-License-Identifier: MIT */
/* Binding the filters of a subscription. Thread: reactor. */
#include "engine/sub_filter.h"

#include "engine/filter/client.h"
#include "engine/security/filterable.h"
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

static bool
may_filter_by(const fq_type *type, const fq_field_def *field, void *arg)
{
    const fq_sub_filter_request *request = arg;
    return fq_security_is_filterable(request->policy, request->context, type,
                                     field);
}

/* What the root field gives, by whose fields clients filter; NULL without a
 * schema. */
static const fq_type *
result_type(const fq_sub_filter_request *request)
{
    if (request->schema == NULL)
        return NULL;
    const fq_type *root = request->schema->roots[FQ_OPERATION_SUBSCRIPTION];
    const fq_field_def *field = root == NULL ? NULL
                                             : fq_type_field(
                                                   root, request->field->name);
    return field == NULL ? NULL : field->type->named;
}

/* Compiles the argument |value|. */
static fq_status
compile_client(const fq_sub_filter_request *request, yyjson_val *value,
               fq_filter_bound **pbound, fq_gql_errors *errors)
{
    const fq_client_filter_scope scope = {
        .has_schema = request->schema != NULL,
        .type = result_type(request),
        .allows = may_filter_by,
        .arg = (void *)request,
    };
    fq_filter *filter;
    fq_error error;
    fq_status status = fq_client_filter_compile(value, &scope, &filter,
                                                &error);
    if (status == FQ_OK) {
        status = fq_filter_bind(filter, NULL, NULL, pbound);
        fq_filter_unref(filter);
        return status;
    }
    if (status == FQ_ERR_NOMEM)
        return status;
    const char *code = status == FQ_ERR_LIMIT ? "LIMIT_REACHED"
                                              : "VALIDATION_ERROR";
    if (fq_gql_errors_add(errors, code, "Argument \"%.*s\": %s",
                          FQ_STR_FMT(request->field->client_filter),
                          error.message)
        == NULL)
        return FQ_ERR_NOMEM;
    return status;
}

fq_status
fq_sub_filter_init(fq_sub_filter *filter, const fq_sub_filter_request *request,
                   fq_gql_errors *errors)
{
    *filter = (fq_sub_filter){0};
    const fq_field *field = request->field;
    if (field->where == NULL && field->client_filter.ptr == NULL)
        return FQ_OK;
    yyjson_doc *args = NULL;
    fq_status status = FQ_OK;
    if (request->binding->args != NULL)
        status = fq_json_read(fq_rcbuf_str(request->binding->args),
                              FQ_JSON_LONE_SURROGATES, &args, NULL);
    yyjson_val *root = yyjson_doc_get_root(args);
    if (status == FQ_OK && field->where != NULL) {
        status = fq_filter_bind(field->where, root, request->context,
                                &filter->where);
        if (status == FQ_ERR_LIMIT)
            status = refuse_size(errors);
    }
    yyjson_val *value = NULL;
    if (field->client_filter.ptr != NULL)
        value = fq_json_get(root, field->client_filter);
    if (status == FQ_OK && value != NULL && !yyjson_is_null(value))
        status = compile_client(request, value, &filter->client, errors);
    fq_json_free(args);
    return status;
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
