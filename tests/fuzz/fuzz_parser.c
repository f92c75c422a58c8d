/* SPDX-License-Identifier: MIT */
/* Any bytes to lexer and parser: a document or exactly one error, whose place
 * lies within the text. */
#include "fuzz.h"

#include "graphql/errors.h"
#include "graphql/parser.h"

static void
fuzz_start(void)
{
}

static void
fuzz_input(fq_str input)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_document document;
    fq_status status = fq_parse(input, NULL, &document, &errors);
    if (status == FQ_OK) {
        FUZZ_REQUIRE(errors.n_items == 0);
        FUZZ_REQUIRE(document.definitions.n_items > 0);
        status = fq_document_link(&document, &errors);
        FUZZ_REQUIRE(status == FQ_OK || status == FQ_ERR_LIMIT);
    } else if (status == FQ_ERR_LIMIT) {
        FUZZ_REQUIRE(errors.n_items == 1);
    } else {
        FUZZ_REQUIRE(status == FQ_ERR_SYNTAX);
        FUZZ_REQUIRE(errors.n_items == 1);
        FUZZ_REQUIRE(errors.head->n_locations == 1);
        FUZZ_REQUIRE(errors.head->locations[0].line <= input.len + 1);
        FUZZ_REQUIRE(errors.head->locations[0].column <= input.len + 1);
    }
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
}
