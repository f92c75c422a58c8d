/* SPDX-License-Identifier: MIT */
/* Executes a document with a schema and without, and looks at the response:
 * it must be JSON of the right shape. */
#ifndef FQ_TESTS_FUZZ_EXECUTION_H
#define FQ_TESTS_FUZZ_EXECUTION_H

#include "shop.h"

#include "base/buf.h"
#include "graphql/errors.h"
#include "graphql/execute.h"
#include "json/reader.h"

static inline void
check_response(fq_str response)
{
    /* A lone surrogate in a variable's text may come back in a message. */
    yyjson_doc *doc;
    FUZZ_REQUIRE(fq_json_read(response, FQ_JSON_LONE_SURROGATES, &doc, NULL)
                 == FQ_OK);
    yyjson_val *root = yyjson_doc_get_root(doc);
    yyjson_val *errors = fq_json_get(root, FQ_STR_LIT("errors"));
    FUZZ_REQUIRE(yyjson_is_obj(root));
    FUZZ_REQUIRE(errors == NULL || yyjson_arr_size(errors) > 0);
    FUZZ_REQUIRE(errors != NULL
                 || yyjson_is_obj(fq_json_get(root, FQ_STR_LIT("data"))));
    fq_json_free(doc);
}

static inline void
execute(fq_execution execution)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_buf buf = FQ_BUF_INIT;
    /* Some documents ask for each member again and again. */
    buf.max = 16 * 1024 * 1024;
    fq_status status = fq_execute(&execution, &buf, &errors);
    if (status == FQ_OK)
        check_response(fq_buf_str(&buf));
    else
        FUZZ_REQUIRE(status == FQ_ERR_LIMIT
                     || (status == FQ_ERR_SYNTAX && errors.n_items == 1));
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
}

static inline void
execute_both_ways(fq_execution execution)
{
    execution.schema = shop_schema();
    execute(execution);
    execution.schema = NULL;
    execute(execution);
}

#endif
