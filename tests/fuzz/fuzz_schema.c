/* SPDX-License-Identifier: MIT */
/* Any bytes as SDL: a schema whose parts find each other, or errors. */
#include "fuzz.h"

#include "graphql/errors.h"
#include "graphql/schema.h"

static void
check_fields(const fq_type *type)
{
    for (uint32_t i = 0; i < type->n_members; i++) {
        const fq_field_def *field = &type->fields[i];
        FUZZ_REQUIRE(fq_type_field(type, field->name) == field);
        FUZZ_REQUIRE(fq_type_is_output(field->type));
        for (uint32_t j = 0; j < field->n_args; j++)
            FUZZ_REQUIRE(fq_field_arg(field, field->args[j].name)
                         == &field->args[j]);
    }
}

static void
check_type(const fq_schema *schema, const fq_type *type)
{
    FUZZ_REQUIRE(fq_schema_type(schema, type->name) == type);
    FUZZ_REQUIRE(type->named == type);
    if (type->kind == FQ_TYPE_OBJECT || type->kind == FQ_TYPE_INTERFACE)
        check_fields(type);
    for (uint32_t i = 0; i < type->n_interfaces; i++)
        FUZZ_REQUIRE(fq_type_has_subtype(type->interfaces[i], type));
    if (!fq_type_is_abstract(type))
        return;
    for (uint32_t i = 0; i < type->n_possible_types; i++) {
        FUZZ_REQUIRE(fq_type_has_subtype(type, type->possible_types[i]));
        FUZZ_REQUIRE(fq_type_overlaps(type, type->possible_types[i]));
    }
}

static void
fuzz_start(void)
{
}

static void
fuzz_input(fq_str input)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_schema *schema;
    fq_status status = fq_schema_build(input, &schema, &errors);
    if (status == FQ_OK) {
        FUZZ_REQUIRE(errors.n_items == 0);
        for (uint32_t i = 0; i < schema->n_types; i++)
            check_type(schema, schema->types[i]);
    } else {
        FUZZ_REQUIRE(status != FQ_ERR_NOMEM);
        FUZZ_REQUIRE(schema == NULL);
        FUZZ_REQUIRE(errors.n_items > 0);
    }
    fq_schema_unref(schema);
    fq_gql_errors_fini(&errors);
}
