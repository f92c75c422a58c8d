/* SPDX-License-Identifier: MIT */
/* The names of the locations. Any thread. */
#include "graphql/location.h"

#include "base/check.h"

/* The name, and how a sentence says it. */
static const struct {
    fq_str name;
    fq_str phrase;
} locations[FQ_LOCATION_N_KINDS] = {
    [FQ_LOCATION_QUERY] = {FQ_STR("QUERY"), FQ_STR("query")},
    [FQ_LOCATION_MUTATION] = {FQ_STR("MUTATION"), FQ_STR("mutation")},
    [FQ_LOCATION_SUBSCRIPTION] = {FQ_STR("SUBSCRIPTION"),
                                  FQ_STR("subscription")},
    [FQ_LOCATION_FIELD] = {FQ_STR("FIELD"), FQ_STR("field")},
    [FQ_LOCATION_FRAGMENT_DEFINITION] = {FQ_STR("FRAGMENT_DEFINITION"),
                                         FQ_STR("fragment definition")},
    [FQ_LOCATION_FRAGMENT_SPREAD] = {FQ_STR("FRAGMENT_SPREAD"),
                                     FQ_STR("fragment spread")},
    [FQ_LOCATION_INLINE_FRAGMENT] = {FQ_STR("INLINE_FRAGMENT"),
                                     FQ_STR("inline fragment")},
    [FQ_LOCATION_VARIABLE_DEFINITION] = {FQ_STR("VARIABLE_DEFINITION"),
                                         FQ_STR("variable definition")},
    [FQ_LOCATION_FRAGMENT_VARIABLE_DEFINITION]
    = {FQ_STR("FRAGMENT_VARIABLE_DEFINITION"),
       FQ_STR("fragment variable definition")},
    [FQ_LOCATION_SCHEMA] = {FQ_STR("SCHEMA"), FQ_STR("schema")},
    [FQ_LOCATION_SCALAR] = {FQ_STR("SCALAR"), FQ_STR("scalar")},
    [FQ_LOCATION_OBJECT] = {FQ_STR("OBJECT"), FQ_STR("object")},
    [FQ_LOCATION_FIELD_DEFINITION] = {FQ_STR("FIELD_DEFINITION"),
                                      FQ_STR("field definition")},
    [FQ_LOCATION_ARGUMENT_DEFINITION] = {FQ_STR("ARGUMENT_DEFINITION"),
                                         FQ_STR("argument definition")},
    [FQ_LOCATION_INTERFACE] = {FQ_STR("INTERFACE"), FQ_STR("interface")},
    [FQ_LOCATION_UNION] = {FQ_STR("UNION"), FQ_STR("union")},
    [FQ_LOCATION_ENUM] = {FQ_STR("ENUM"), FQ_STR("enum")},
    [FQ_LOCATION_ENUM_VALUE] = {FQ_STR("ENUM_VALUE"), FQ_STR("enum value")},
    [FQ_LOCATION_INPUT_OBJECT] = {FQ_STR("INPUT_OBJECT"),
                                  FQ_STR("input object")},
    [FQ_LOCATION_INPUT_FIELD_DEFINITION] = {FQ_STR("INPUT_FIELD_DEFINITION"),
                                            FQ_STR("input field definition")},
    [FQ_LOCATION_DIRECTIVE_DEFINITION] = {FQ_STR("DIRECTIVE_DEFINITION"),
                                          FQ_STR("directive definition")},
};

fq_str
fq_location_str(fq_location location)
{
    FQ_CHECK(location < FQ_LOCATION_N_KINDS);
    return locations[location].name;
}

fq_str
fq_location_phrase(fq_location location)
{
    FQ_CHECK(location < FQ_LOCATION_N_KINDS);
    return locations[location].phrase;
}

bool
fq_location_find(fq_str name, fq_location *plocation)
{
    for (size_t i = 0; i < FQ_LOCATION_N_KINDS; i++) {
        if (!fq_str_eq(name, locations[i].name))
            continue;
        *plocation = (fq_location)i;
        return true;
    }
    *plocation = FQ_LOCATION_N_KINDS;
    return false;
}
