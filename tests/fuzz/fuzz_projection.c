/* SPDX-License-Identifier: MIT */
/* A document, a NUL byte, and the JSON of an event's data: the response is
 * JSON with data or with errors. */
#include "execution.h"

static void
fuzz_input(fq_str input)
{
    fq_str json;
    fq_execution execution = {.document = fuzz_split(input, &json)};
    yyjson_doc *data;
    if (fq_json_read(json, FQ_JSON_STRICT, &data, NULL) != FQ_OK)
        return;
    execution.data = yyjson_doc_get_root(data);
    execute_both_ways(execution);
    fq_json_free(data);
}
