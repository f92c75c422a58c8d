/* SPDX-License-Identifier: MIT */
/* The schema of those who have none, as constants. Any thread. */
#include "graphql/schemaless.h"

#define N_ITEMS(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

#define BUILTIN_SCALAR(is, i, is_name)                                        \
    {                                                                         \
        .kind = FQ_TYPE_SCALAR,                                               \
        .index = (i),                                                         \
        .name = FQ_STR(is_name),                                              \
        .named = &scalars[i],                                                 \
        .is_builtin = true,                                                   \
        .scalar = (is),                                                       \
    }

static const fq_type scalars[] = {
    BUILTIN_SCALAR(FQ_SCALAR_INT, 0, "Int"),
    BUILTIN_SCALAR(FQ_SCALAR_FLOAT, 1, "Float"),
    BUILTIN_SCALAR(FQ_SCALAR_STRING, 2, "String"),
    BUILTIN_SCALAR(FQ_SCALAR_BOOLEAN, 3, "Boolean"),
    BUILTIN_SCALAR(FQ_SCALAR_ID, 4, "ID"),
};

static const fq_type *const types[] = {
    &scalars[0], &scalars[1], &scalars[2], &scalars[3], &scalars[4],
};

static const fq_type string_required = {
    .kind = FQ_TYPE_NON_NULL,
    .name = FQ_STR("String!"),
    .of = &scalars[2],
    .named = &scalars[2],
};

static const fq_type boolean_required = {
    .kind = FQ_TYPE_NON_NULL,
    .name = FQ_STR("Boolean!"),
    .of = &scalars[3],
    .named = &scalars[3],
};

static const fq_input_def if_arg = {
    .name = FQ_STR("if"),
    .type = &boolean_required,
};

static const fq_ast_value no_longer_supported = {
    .node = {.kind = FQ_AST_STRING},
    .text = FQ_STR("No longer supported"),
};

static const fq_input_def reason_arg = {
    .name = FQ_STR("reason"),
    .type = &string_required,
    .default_value = &no_longer_supported,
    .default_json = FQ_STR("\"No longer supported\""),
};

static const fq_input_def url_arg = {
    .name = FQ_STR("url"),
    .type = &string_required,
};

#define AT(location) (UINT32_C(1) << FQ_LOCATION_##location)

/* Sep 2025 3.13. */
static const fq_directive_def directives[] = {
    {
        .name = FQ_STR("include"),
        .args = &if_arg,
        .n_args = 1,
        .location_mask = AT(FIELD) | AT(FRAGMENT_SPREAD) | AT(INLINE_FRAGMENT),
    },
    {
        .name = FQ_STR("skip"),
        .args = &if_arg,
        .n_args = 1,
        .location_mask = AT(FIELD) | AT(FRAGMENT_SPREAD) | AT(INLINE_FRAGMENT),
    },
    {
        .name = FQ_STR("deprecated"),
        .args = &reason_arg,
        .n_args = 1,
        .location_mask = AT(FIELD_DEFINITION) | AT(ARGUMENT_DEFINITION)
                         | AT(INPUT_FIELD_DEFINITION) | AT(ENUM_VALUE),
    },
    {
        .name = FQ_STR("specifiedBy"),
        .args = &url_arg,
        .n_args = 1,
        .location_mask = AT(SCALAR),
    },
    {
        .name = FQ_STR("oneOf"),
        .location_mask = AT(INPUT_OBJECT),
    },
};

const fq_schema fq_schemaless = {
    .n_refs = 1,
    .types = types,
    .n_types = N_ITEMS(types),
    .directives = directives,
    .n_directives = N_ITEMS(directives),
};
