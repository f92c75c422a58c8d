/* SPDX-License-Identifier: MIT */
/* UniqueOperationNames (Sep 2025 5.2.2.1). */
#include "base/map.h"
#include "graphql/rules/rules.h"

typedef struct fq_operation_names {
    fq_map known; /* the first operation of each name */
} fq_operation_names;

static void
enter_operation(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)parent;
    fq_operation_names *names = state;
    fq_str name = ((const fq_ast_operation *)node)->name;
    if (name.ptr == NULL || validation->n_operations < 2)
        return;
    fq_status status = fq_map_add(&names->known, name, (void *)node);
    if (status == FQ_ERR_NOMEM) {
        fq_validation_fail(validation);
    } else if (status == FQ_ERR_EXISTS) {
        const fq_ast_operation *first = fq_map_get(&names->known, name);
        fq_gql_error *error = fq_validation_report(
            validation, "There can be only one operation named '%.*s'.",
            FQ_STR_FMT(name));
        fq_validation_locate_name(validation, error, first->name);
        fq_validation_locate_name(validation, error, name);
    }
}

static void
fini(void *state)
{
    fq_map_fini(&((fq_operation_names *)state)->known);
}

const fq_rule fq_rule_unique_operation_names = {
    .name = "UniqueOperationNames",
    .state_size = sizeof(fq_operation_names),
    .handlers = {
        {FQ_AST_OPERATION, .enter = enter_operation},
    },
    .fini = fini,
};
