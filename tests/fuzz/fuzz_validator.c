/* SPDX-License-Identifier: MIT */
/* Any document, validated with a schema and without: no errors, or some, each
 * with a text. */
#include "shop.h"

#include "graphql/errors.h"
#include "graphql/parser.h"
#include "graphql/validator.h"

static void
validate(fq_str input, const fq_schema *schema)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_document document;
    fq_status status = fq_parse(input, NULL, &document, &errors);
    if (status == FQ_OK)
        status = fq_document_link(&document, &errors);
    if (status == FQ_OK) {
        status = fq_validate(&document, schema, FQ_RULES_ALL, &errors);
        FUZZ_REQUIRE(status == FQ_OK || status == FQ_ERR_INVALID
                     || status == FQ_ERR_LIMIT);
        FUZZ_REQUIRE((status == FQ_OK) == (errors.n_items == 0));
        for (const fq_gql_error *error = errors.head; error != NULL;
             error = error->next)
            FUZZ_REQUIRE(error->message.len > 0);
    }
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
}

static void
fuzz_input(fq_str input)
{
    validate(input, shop_schema());
    validate(input, NULL);
}
