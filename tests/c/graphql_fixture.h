/* SPDX-License-Identifier: MIT */
/* What the tests of csrc/graphql share: reading JSON, compiling a document,
 * and comparing errors and JSON as text. Every function returns FQ_ERR_NOMEM
 * when a request for memory was refused, and asserts everything else. */
#ifndef FQ_TESTS_GRAPHQL_FIXTURE_H
#define FQ_TESTS_GRAPHQL_FIXTURE_H

#include "support.h"

#include "base/buf.h"
#include "graphql/errors.h"
#include "graphql/plan.h"
#include "json/reader.h"

#define TRY(expression)                                                       \
    do {                                                                      \
        fq_status try_status = (expression);                                  \
        if (try_status != FQ_OK)                                              \
            return try_status;                                                \
    } while (0)

static inline fq_str
no_name(void)
{
    return fq_str_make(NULL, 0);
}

/* |errors| are |expected|, as fq_gql_errors_write() writes them. */
static inline fq_status
assert_errors(const fq_gql_errors *errors, const char *expected)
{
    if (errors->status != FQ_OK)
        return errors->status;
    fq_buf buf;
    fq_buf_init(&buf);
    fq_gql_errors_write(errors, &buf);
    fq_status status = fq_buf_status(&buf);
    if (status == FQ_OK)
        fq_test_assert_str(fq_buf_str(&buf), expected);
    fq_buf_fini(&buf);
    return status;
}

/* Repeats |item|, with its number where it has a %d, between |head| and
 * |tail|. */
static inline fq_status
repeat(fq_buf *buf, const char *head, const char *item, int n,
       const char *tail)
{
    fq_buf_init(buf);
    fq_buf_append_str(buf, fq_str_of(head));
    for (int i = 0; i < n; i++) {
        const char *mark = strstr(item, "%d");
        if (mark == NULL) {
            fq_buf_append_str(buf, fq_str_of(item));
            continue;
        }
        fq_buf_append(buf, item, (size_t)(mark - item));
        fq_buf_append_int(buf, i);
        fq_buf_append_str(buf, fq_str_of(mark + 2));
    }
    fq_buf_append_str(buf, fq_str_of(tail));
    return fq_buf_status(buf);
}

/* Compiles without a schema. */
static inline fq_status
compile_plan(fq_str query, fq_str operation_name, bool label,
             const fq_document_limits *limits, fq_plan **pplan,
             fq_gql_errors *errors)
{
    fq_plan_request request = {
        .query = query,
        .operation_name = operation_name,
        .label = label,
    };
    return fq_plan_compile(&request, limits, pplan, errors);
}

/* The schema |sdl| says; outside of bodies that may run out of memory. */
static inline fq_schema *
build_schema(const char *sdl)
{
    fq_schema *schema;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    if (fq_schema_build(fq_str_of(sdl), &schema, &errors) != FQ_OK)
        fail_msg("%.*s", FQ_STR_FMT(errors.head->message));
    fq_gql_errors_fini(&errors);
    return schema;
}

#endif
