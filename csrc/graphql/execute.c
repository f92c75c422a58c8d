/* SPDX-License-Identifier: MIT */
/* Compile, bind, project and forget. One thread at a time. */
#include "graphql/execute.h"

#include "graphql/plan.h"

/* `{"errors":[…]}` */
static fq_status
write_request_errors(const fq_gql_errors *errors, fq_buf *buf)
{
    fq_buf_append_str(buf, FQ_STR_LIT("{\"errors\":"));
    fq_gql_errors_write(errors, buf);
    fq_buf_append_char(buf, '}');
    return fq_buf_status(buf);
}

fq_status
fq_execute(const fq_execution *execution, fq_buf *buf, fq_gql_errors *errors)
{
    fq_plan *plan = NULL;
    fq_plan_variant *variant = NULL;
    fq_plan_request request = {
        .schema = execution->schema,
        .query = execution->document,
        .operation_name = execution->operation_name,
    };
    fq_status status;
    if (execution->schema != NULL)
        status = fq_plan_compile_unchecked(&request, &plan, errors);
    else
        status = fq_plan_compile(&request, NULL, &plan, errors);
    if (status == FQ_ERR_SYNTAX)
        return status;
    if (status == FQ_OK)
        status = fq_plan_bind_variant(plan, execution->variables, &variant,
                                      errors);
    if (status == FQ_OK) {
        status = fq_plan_variant_project(variant, execution->data, buf);
        fq_buf_append_char(buf, '}');
        if (status == FQ_OK)
            status = fq_buf_status(buf);
    } else if (errors->status == FQ_OK && status != FQ_ERR_NOMEM) {
        status = write_request_errors(errors, buf);
    }
    fq_plan_variant_unref(variant);
    fq_plan_unref(plan);
    return status;
}
