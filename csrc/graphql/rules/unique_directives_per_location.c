/* SPDX-License-Identifier: MIT */
/* UniqueDirectivesPerLocation (Sep 2025 5.7.3) for directives that are not
 * repeatable; unknown ones are told elsewhere. Definitions of the type system
 * are no reason to be silent: those of one type share a place. */
#include "base/map.h"
#include "graphql/rules/rules.h"

/* Of as many directives or fewer all pairs are compared. */
#define FEW_DIRECTIVES 8

static void
report(fq_validation *validation, const fq_ast_directive *first,
       const fq_ast_directive *directive)
{
    fq_gql_error *error = fq_validation_report(
        validation,
        "The directive '@%.*s' can only be used once at this location.",
        FQ_STR_FMT(directive->name));
    fq_validation_locate(validation, error, &first->node);
    fq_validation_locate(validation, error, &directive->node);
}

static bool
is_unique(const fq_ast_directive *directive)
{
    return directive->def != NULL && !directive->def->is_repeatable;
}

/* Reports those of |list| that are in |seen| and enters the others. */
static void
check_seen(fq_validation *validation, fq_map *seen, const fq_ast_list *list)
{
    FQ_AST_FOREACH(node, list)
    {
        fq_ast_directive *directive = (fq_ast_directive *)node;
        if (validation->is_aborted)
            return;
        if (!is_unique(directive))
            continue;
        fq_status status = fq_map_add(seen, directive->name, directive);
        if (status == FQ_ERR_NOMEM)
            fq_validation_fail(validation);
        else if (status == FQ_ERR_EXISTS)
            report(validation, fq_map_get(seen, directive->name), directive);
    }
}

static void
check_few(fq_validation *validation, const fq_ast_list *list)
{
    FQ_AST_FOREACH(node, list)
    {
        const fq_ast_directive *directive = (const fq_ast_directive *)node;
        const fq_ast_directive *first = (const fq_ast_directive *)list->first;
        if (!is_unique(directive))
            continue;
        while (!fq_str_eq(first->name, directive->name))
            first = (const fq_ast_directive *)first->node.next;
        if (first != directive)
            report(validation, first, directive);
    }
}

static void
enter_any(fq_validation *validation, void *state, const fq_ast_node *node,
          const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_list *list = fq_ast_directives(node);
    if (list->n_items < 2)
        return;
    if (list->n_items <= FEW_DIRECTIVES) {
        check_few(validation, list);
        return;
    }
    fq_map seen;
    fq_map_init(&seen);
    check_seen(validation, &seen, list);
    fq_map_fini(&seen);
}

/* True when the directives of both stand in one place. */
static bool
is_same_place(const fq_ast_type_system *a, const fq_ast_type_system *b)
{
    bool is_type = fq_ast_defines_type(a);
    if (is_type != fq_ast_defines_type(b) || (!is_type && a->what != b->what))
        return false;
    return a->what == FQ_DEFINITION_SCHEMA || fq_str_eq(a->name, b->name);
}

/* Goes through the definitions again for those of the same place before this
 * one, as only documents in error come here. */
static void
enter_type_system(fq_validation *validation, void *state,
                  const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_type_system *definition = (const fq_ast_type_system *)node;
    if (definition->directives.n_items == 0
        || !fq_validation_spend(
            validation, validation->document->definitions.n_items / 16))
        return;
    fq_map seen;
    fq_map_init(&seen);
    FQ_AST_FOREACH(item, &validation->document->definitions)
    {
        const fq_ast_type_system *earlier = (const fq_ast_type_system *)item;
        if (item == node)
            break;
        if (item->kind != FQ_AST_TYPE_SYSTEM
            || !is_same_place(earlier, definition))
            continue;
        FQ_AST_FOREACH(it, &earlier->directives)
        {
            fq_ast_directive *directive = (fq_ast_directive *)it;
            if (is_unique(directive)
                && fq_map_add(&seen, directive->name, directive)
                       == FQ_ERR_NOMEM)
                fq_validation_fail(validation);
        }
    }
    check_seen(validation, &seen, &definition->directives);
    fq_map_fini(&seen);
}

const fq_rule fq_rule_unique_directives_per_location = {
    .name = "UniqueDirectivesPerLocation",
    .handlers = {
        {FQ_AST_OPERATION, .enter = enter_any},
        {FQ_AST_FRAGMENT, .enter = enter_any},
        {FQ_AST_VARIABLE_DEFINITION, .enter = enter_any},
        {FQ_AST_FIELD, .enter = enter_any},
        {FQ_AST_FRAGMENT_SPREAD, .enter = enter_any},
        {FQ_AST_INLINE_FRAGMENT, .enter = enter_any},
        {FQ_AST_FIELD_DEFINITION, .enter = enter_any},
        {FQ_AST_INPUT_DEFINITION, .enter = enter_any},
        {FQ_AST_ENUM_DEFINITION, .enter = enter_any},
        {FQ_AST_TYPE_SYSTEM, .enter = enter_type_system},
    },
};
