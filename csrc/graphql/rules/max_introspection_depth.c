/* SPDX-License-Identifier: MIT */
/* MaxIntrospectionDepth: not of the specification, but of the reference's
 * default set. Lists of introspection nest at most so deep, because answers
 * grow with the power of it. Fragments are searched once for each depth they
 * are met at, so the cost is O(selections) for each `__schema` and `__type`
 * within another. */
#include "graphql/rules/rules.h"

/* Lists within lists at which a field is refused. */
#define LIST_DEPTH_MAX 3

/* What is known of a fragment. Depths are those of lists around a spread of
 * it, plus one; 0: none. */
typedef struct fq_depth_fragment {
    uint8_t visited; /* the deepest it was met at by this search */
    uint8_t checked; /* the deepest it was found in order at */
    uint8_t refused; /* the least deep it was refused at */
    uint32_t search; /* |visited| holds for it */
} fq_depth_fragment;

typedef struct fq_depth_search {
    fq_depth_fragment *fragments; /* by index */
    uint32_t search;              /* their number */
    size_t nesting;               /* of recursion */
    const fq_ast_node *skipped;   /* a refused field, while within it */
} fq_depth_search;

static bool
is_too_deep(fq_validation *validation, fq_depth_search *search,
            const fq_ast_selection_set *set, unsigned depth);

static bool
is_list_field(fq_str name)
{
    return fq_str_eq(name, FQ_STR_LIT("fields"))
           || fq_str_eq(name, FQ_STR_LIT("interfaces"))
           || fq_str_eq(name, FQ_STR_LIT("possibleTypes"))
           || fq_str_eq(name, FQ_STR_LIT("inputFields"));
}

static bool
is_fragment_too_deep(fq_validation *validation, fq_depth_search *search,
                     const fq_ast_fragment *fragment, unsigned depth)
{
    fq_depth_fragment *known = &search->fragments[fragment->index];
    if (known->search != search->search) {
        known->search = search->search;
        known->visited = 0;
    }
    if (known->refused > 0 && known->refused <= depth + 1)
        return true;
    if (known->visited >= depth + 1 || known->checked >= depth + 1)
        return false;
    known->visited = (uint8_t)(depth + 1);
    bool result = is_too_deep(validation, search, fragment->selection_set,
                              depth);
    if (result)
        known->refused = (uint8_t)(depth + 1);
    else
        known->checked = (uint8_t)(depth + 1);
    return result;
}

static bool
is_field_too_deep(fq_validation *validation, fq_depth_search *search,
                  const fq_ast_field *field, unsigned depth)
{
    if (is_list_field(field->name) && ++depth >= LIST_DEPTH_MAX)
        return true;
    return field->selection_set != NULL
           && is_too_deep(validation, search, field->selection_set, depth);
}

/* Recursion through fragments is bounded but for cycles, which are not
 * followed for ever, but may be long. */
static bool
is_too_deep(fq_validation *validation, fq_depth_search *search,
            const fq_ast_selection_set *set, unsigned depth)
{
    bool result = false;
    if (search->nesting >= FQ_RULE_DEPTH_MAX) {
        fq_validation_abort(validation);
        return false;
    }
    search->nesting++;
    FQ_AST_FOREACH(node, &set->selections)
    {
        if (node->kind == FQ_AST_FIELD)
            result = is_field_too_deep(validation, search,
                                       (const fq_ast_field *)node, depth);
        else if (node->kind == FQ_AST_INLINE_FRAGMENT)
            result = is_too_deep(
                validation, search,
                ((const fq_ast_inline_fragment *)node)->selection_set, depth);
        else if (((const fq_ast_spread *)node)->fragment != NULL)
            result = is_fragment_too_deep(
                validation, search, ((const fq_ast_spread *)node)->fragment,
                depth);
        if (result || validation->is_aborted)
            break;
    }
    search->nesting--;
    return result;
}

static void
enter_field(fq_validation *validation, void *state, const fq_ast_node *node,
            const fq_ast_node *parent)
{
    (void)parent;
    fq_depth_search *search = state;
    const fq_ast_field *field = (const fq_ast_field *)node;
    if (search->skipped != NULL
        || (!fq_str_eq(field->name, FQ_STR_LIT("__schema"))
            && !fq_str_eq(field->name, FQ_STR_LIT("__type"))))
        return;
    if (search->fragments == NULL)
        search->fragments = fq_validation_alloc(
            validation,
            validation->document->n_fragments * sizeof(*search->fragments));
    if (search->fragments == NULL)
        return;
    search->search++;
    if (!is_field_too_deep(validation, search, field, 0)
        || validation->is_aborted)
        return;
    fq_gql_error *error = fq_validation_report(
        validation, "Maximum introspection depth exceeded");
    fq_validation_locate(validation, error, node);
    search->skipped = node;
}

static void
leave_field(fq_validation *validation, void *state, const fq_ast_node *node,
            const fq_ast_node *parent)
{
    (void)validation, (void)parent;
    fq_depth_search *search = state;
    if (search->skipped == node)
        search->skipped = NULL;
}

const fq_rule fq_rule_max_introspection_depth = {
    .name = "MaxIntrospectionDepth",
    .needs_schema = true,
    .state_size = sizeof(fq_depth_search),
    .handlers = {
        {FQ_AST_FIELD, .enter = enter_field},
        {FQ_AST_FIELD, .leave = leave_field},
    },
};
