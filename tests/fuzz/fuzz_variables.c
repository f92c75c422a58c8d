/* SPDX-License-Identifier: MIT */
/* A document, a NUL byte, and the JSON of variables: coercing these and the
 * arguments they go into gives errors or values, never anything else. */
#include "execution.h"

static void
fuzz_input(fq_str input)
{
    fq_str json;
    fq_execution execution = {.document = fuzz_split(input, &json)};
    yyjson_doc *variables;
    if (fq_json_read(json, FQ_JSON_LONE_SURROGATES, &variables, NULL) != FQ_OK)
        return;
    execution.variables = yyjson_doc_get_root(variables);
    if (yyjson_is_obj(execution.variables))
        execute_both_ways(execution);
    fq_json_free(variables);
}
