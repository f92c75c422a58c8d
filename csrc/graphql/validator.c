/* SPDX-License-Identifier: MIT */
/* The walk, and what rules share. One thread at a time.
 *
 * The parser bounds nesting within a definition, so the walk recurses. Before
 * it enters a definition it checks that nesting through fragments is bounded
 * as well (FQ_GRAPHQL_NESTING_MAX): rules, limits and projection rely on it.
 * What hostile documents can still make expensive is metered: a validation
 * that spends more than its budget ends with `Validation aborted.`, as the
 * reference's does. */
#include "graphql/validator.h"

#include <stdarg.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "graphql/parser.h"
#include "graphql/rules/rules.h"
#include "graphql/schemaless.h"

/* Of as many arguments or fewer all pairs are compared. */
#define SMALL_LIST_MAX 8

/* What a map may take for each of its items while it grows. */
#define MAP_ITEM_BYTES (4 * sizeof(fq_map_slot))

/* In the reference's order, which is the order of errors at one node. */
static const fq_rule *const rules[] = {
    &fq_rule_executable_definitions,
    &fq_rule_known_operation_types,
    &fq_rule_unique_operation_names,
    &fq_rule_lone_anonymous_operation,
    &fq_rule_single_field_subscriptions,
    &fq_rule_known_type_names,
    &fq_rule_fragments_on_composite_types,
    &fq_rule_variables_are_input_types,
    &fq_rule_scalar_leafs,
    &fq_rule_fields_on_correct_type,
    &fq_rule_unique_fragment_names,
    &fq_rule_known_fragment_names,
    &fq_rule_no_unused_fragments,
    &fq_rule_possible_fragment_spreads,
    &fq_rule_no_fragment_cycles,
    &fq_rule_unique_variable_names,
    &fq_rule_no_undefined_variables,
    &fq_rule_no_unused_variables,
    &fq_rule_known_directives,
    &fq_rule_unique_directives_per_location,
    &fq_rule_known_argument_names,
    &fq_rule_unique_argument_names,
    &fq_rule_values_of_correct_type,
    &fq_rule_provided_required_arguments,
    &fq_rule_variables_in_allowed_position,
    &fq_rule_overlapping_fields_can_be_merged,
    &fq_rule_unique_input_field_names,
    &fq_rule_max_introspection_depth,
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))

/* A callback of a rule that takes part. */
typedef struct fq_rule_call {
    fq_rule_cb cb;
    void *state;
    struct fq_rule_call *next; /* at the same kind of node */
} fq_rule_call;

/* Those at one kind of node, in the order of the rules. */
typedef struct fq_rule_calls {
    fq_rule_call *first;
    fq_rule_call *last;
} fq_rule_calls;

/* The walk's own state. */
typedef struct fq_rule_walk {
    fq_validation *validation;
    fq_rule_calls enter[FQ_AST_N_KINDS];
    fq_rule_calls leave[FQ_AST_N_KINDS];
    void *states[N_RULES]; /* NULL: the rule does not take part */
    size_t *depths; /* by index of a fragment: selection sets nested in it,
                     * through fragments too */
} fq_rule_walk;

fq_gql_error *
fq_validation_report_str(fq_validation *validation, fq_str message)
{
    if (validation->is_aborted)
        return NULL;
    fq_gql_error *error;
    if (validation->n_errors++ < FQ_VALIDATION_ERRORS_MAX) {
        error = fq_gql_errors_add_str(validation->errors, "VALIDATION_ERROR",
                                      message);
    } else {
        fq_gql_errors_add(validation->errors, "VALIDATION_ERROR",
                          "Too many validation errors, error limit reached. "
                          "Validation aborted.");
        validation->is_aborted = true;
        error = NULL;
    }
    if (validation->errors->status != FQ_OK)
        fq_validation_fail(validation);
    return error;
}

fq_gql_error *
fq_validation_report(fq_validation *validation, const char *format, ...)
{
    if (validation->is_aborted)
        return NULL;
    va_list args;
    va_start(args, format);
    fq_str text = fq_arena_format_va(&validation->arena, format, args);
    va_end(args);
    if (text.ptr == NULL) {
        fq_validation_fail(validation);
        return NULL;
    }
    return fq_validation_report_str(validation, text);
}

fq_gql_error *
fq_validation_report_buf(fq_validation *validation, fq_buf *message)
{
    fq_gql_error *error = NULL;
    if (fq_buf_status(message) == FQ_OK)
        error = fq_validation_report_str(validation, fq_buf_str(message));
    else
        fq_validation_fail(validation);
    fq_buf_fini(message);
    return error;
}

static void
validation_locate_at(fq_validation *validation, fq_gql_error *error,
                     size_t offset)
{
    fq_gql_error_locate(validation->errors, error,
                        validation->document->source, offset);
    if (validation->errors->status != FQ_OK)
        fq_validation_fail(validation);
}

void
fq_validation_locate(fq_validation *validation, fq_gql_error *error,
                     const fq_ast_node *node)
{
    validation_locate_at(validation, error, node->start);
}

void
fq_validation_locate_name(fq_validation *validation, fq_gql_error *error,
                          fq_str name)
{
    validation_locate_at(validation, error,
                         fq_document_offset(validation->document, name));
}

void
fq_validation_abort(fq_validation *validation)
{
    if (validation->is_aborted)
        return;
    validation->is_aborted = true;
    validation->n_errors++;
    fq_gql_errors_add(validation->errors, "VALIDATION_ERROR",
                      "Validation aborted.");
    if (validation->errors->status != FQ_OK)
        fq_validation_fail(validation);
}

void
fq_validation_fail(fq_validation *validation)
{
    if (validation->status != FQ_OK)
        return;
    validation->is_aborted = true;
    validation->document->arena.is_over |= validation->arena.is_over;
    validation->status = FQ_ERR_NOMEM;
    if (validation->errors->status == FQ_OK)
        validation->status = fq_document_check(
            validation->document, FQ_ERR_NOMEM, validation->errors);
}

bool
fq_validation_has_room(fq_validation *validation, size_t n_bytes)
{
    if (n_bytes <= fq_arena_room(&validation->arena))
        return true;
    validation->arena.is_over = true;
    fq_validation_fail(validation);
    return false;
}

bool
fq_validation_spend(fq_validation *validation, size_t n)
{
    if (n > validation->n_work_left) {
        validation->n_work_left = 0;
        fq_validation_abort(validation);
        return false;
    }
    validation->n_work_left -= n;
    return !validation->is_aborted;
}

void *
fq_validation_alloc(fq_validation *validation, size_t n_bytes)
{
    void *block = fq_arena_alloc_zero(&validation->arena, n_bytes);
    if (block == NULL)
        fq_validation_fail(validation);
    return block;
}

/* Makes all marks stale and counts the distinct names that |definition|
 * spreads; *pkey is the same for the same set of names. */
static uint32_t
count_spread_names(fq_validation *validation, const fq_definition *definition,
                   uint64_t *pkey)
{
    uint32_t n_names = 0;
    *pkey = 0;
    validation->reach_generation++;
    for (uint32_t i = 0; i < definition->n_spreads; i++) {
        const fq_ast_spread *spread = definition->spreads[i];
        uint32_t *mark = &validation->reach_marks[spread->name_id];
        if (*mark == validation->reach_generation)
            continue;
        *mark = validation->reach_generation;
        *pkey += fq_hash_bytes(spread->name.ptr, spread->name.len);
        n_names++;
    }
    return n_names;
}

/* Puts the fragments that |definition| spreads at the end of |reach|, those
 * that are not there yet. */
static void
reach_add(fq_validation *validation, fq_reach *reach,
          const fq_definition *definition)
{
    for (uint32_t i = 0; i < definition->n_spreads; i++) {
        const fq_ast_fragment *fragment = definition->spreads[i]->fragment;
        if (fragment == NULL
            || validation->reach_marks[fragment->index]
                   == validation->reach_generation)
            continue;
        validation->reach_marks[fragment->index]
            = validation->reach_generation;
        reach->fragments[reach->n_fragments++] = fragment;
    }
}

/* The reach of an operation, |definition|, that spreads |n_names| names. */
static fq_reach *
reach_new(fq_validation *validation, const fq_definition *definition,
          uint32_t n_names)
{
    uint32_t n_max = validation->document->n_fragments;
    fq_reach *reach = fq_validation_alloc(validation, sizeof(*reach));
    if (reach == NULL || !fq_validation_spend(validation, n_names))
        return NULL;
    const fq_ast_fragment **found = validation->reach_scratch;
    reach->fragments = found;
    validation->reach_generation++;
    reach_add(validation, reach, definition);
    /* The list grows while it is walked. */
    for (uint32_t i = 0; i < reach->n_fragments; i++) {
        definition = &validation->fragments[found[i]->index];
        if (!fq_validation_spend(validation, definition->n_spreads))
            return NULL;
        reach_add(validation, reach, definition);
    }
    FQ_CHECK(reach->n_fragments <= n_max);
    (void)n_max;
    size_t n_bytes = reach->n_fragments * sizeof(found[0]);
    reach->fragments = fq_validation_alloc(validation, n_bytes);
    if (reach->fragments == NULL)
        return NULL;
    if (n_bytes > 0)
        memcpy(reach->fragments, found, n_bytes);
    return reach;
}

void
fq_validation_reach(fq_validation *validation,
                    const fq_ast_operation *operation)
{
    if (validation->reach_of == operation)
        return;
    const fq_definition *definition
        = &validation->operations[operation->index];
    uint64_t key;
    uint32_t n_names = count_spread_names(validation, definition, &key);
    fq_reach *reach = validation->reaches;
    while (reach != NULL && reach->key != key)
        reach = reach->next;
    if (reach == NULL) {
        reach = reach_new(validation, definition, n_names);
        if (reach == NULL)
            return;
        reach->key = key;
        reach->next = validation->reaches;
        validation->reaches = reach;
    }
    validation->reach = reach;
    validation->reach_of = operation;
}

/* Calls |use_cb| for the uses from |variable| on that lie in |node|; returns
 * how many. */
static size_t
each_use_in(fq_validation *validation, const fq_ast_node *node,
            const fq_ast_value *variable,
            void (*use_cb)(fq_validation *, void *, const fq_ast_value *),
            void *arg)
{
    size_t n_uses = 0;
    for (; variable != NULL && variable->node.start < node->end
           && !validation->is_aborted;
         variable = variable->next_variable) {
        use_cb(validation, arg, variable);
        n_uses++;
    }
    return n_uses;
}

static void
count_use(fq_validation *validation, void *arg, const fq_ast_value *variable)
{
    (void)validation, (void)arg, (void)variable;
}

/* Pays for the uses in the fragments |operation| reaches, once. */
static bool
charge_uses(fq_validation *validation, const fq_ast_operation *operation)
{
    if (validation->charged_to == operation)
        return true;
    const fq_reach *reach = validation->reach;
    validation->charged_to = operation;
    if (!fq_validation_spend(validation, 1))
        return false;
    for (uint32_t i = 0; i < reach->n_fragments; i++) {
        const fq_ast_fragment *fragment = reach->fragments[i];
        size_t n_uses = each_use_in(validation, &fragment->node,
                                    fragment->first_variable, count_use, NULL);
        if (!fq_validation_spend(validation, n_uses))
            return false;
    }
    return true;
}

void
fq_validation_each_use(fq_validation *validation,
                       const fq_ast_operation *operation,
                       void (*use_cb)(fq_validation *validation, void *arg,
                                      const fq_ast_value *variable),
                       void *arg)
{
    fq_validation_reach(validation, operation);
    if (validation->is_aborted || !charge_uses(validation, operation))
        return;
    each_use_in(validation, &operation->node, operation->first_variable,
                use_cb, arg);
    for (uint32_t i = 0; i < validation->reach->n_fragments; i++) {
        const fq_ast_fragment *fragment = validation->reach->fragments[i];
        each_use_in(validation, &fragment->node, fragment->first_variable,
                    use_cb, arg);
    }
}

void
fq_validation_link_same(fq_validation *validation, const fq_ast_list *list)
{
    if (list->n_items > SMALL_LIST_MAX
        && !fq_validation_has_room(validation, list->n_items * MAP_ITEM_BYTES))
        return;
    fq_map seen;
    fq_map_init(&seen);
    FQ_AST_FOREACH(node, list)
    {
        fq_ast_argument *item = (fq_ast_argument *)node;
        item->first_same = item;
        if (list->n_items > SMALL_LIST_MAX) {
            fq_status status = fq_map_add(&seen, item->name, item);
            if (status == FQ_ERR_NOMEM) {
                fq_validation_fail(validation);
                break;
            }
            if (status == FQ_ERR_EXISTS)
                item->first_same = fq_map_get(&seen, item->name);
            continue;
        }
        fq_ast_node *earlier = list->first;
        while (!fq_str_eq(((fq_ast_argument *)earlier)->name, item->name))
            earlier = earlier->next;
        item->first_same = (fq_ast_argument *)earlier;
    }
    fq_map_fini(&seen);
}

/* The selection set of |node|, or NULL. */
static fq_ast_selection_set *
selection_set_of(const fq_ast_node *node)
{
    switch (node->kind) {
    case FQ_AST_OPERATION:
        return ((const fq_ast_operation *)node)->selection_set;
    case FQ_AST_FRAGMENT:
        return ((const fq_ast_fragment *)node)->selection_set;
    case FQ_AST_FIELD:
        return ((const fq_ast_field *)node)->selection_set;
    case FQ_AST_INLINE_FRAGMENT:
        return ((const fq_ast_inline_fragment *)node)->selection_set;
    default:
        return NULL;
    }
}

/* Writes the spreads in |set| to |spreads|; returns how many. The order is
 * that of the reference's walk, which takes the set found last first. */
static uint32_t
list_spreads(fq_ast_selection_set *set, fq_ast_spread **spreads)
{
    uint32_t n = 0;
    fq_ast_selection_set *stack = set;
    set->pending = NULL;
    while (stack != NULL) {
        set = stack;
        stack = set->pending;
        FQ_AST_FOREACH(node, &set->selections)
        {
            fq_ast_selection_set *inner = selection_set_of(node);
            if (node->kind == FQ_AST_FRAGMENT_SPREAD) {
                spreads[n++] = (fq_ast_spread *)node;
            } else if (inner != NULL) {
                inner->pending = stack;
                stack = inner;
            }
        }
    }
    return n;
}

/* Lists the definitions and their spreads. */
static void
validation_prepare(fq_validation *validation)
{
    const fq_document *document = validation->document;
    fq_arena *arena = &validation->arena;
    uint32_t n_fragments = document->n_fragments;
    fq_ast_spread **spreads = FQ_ARENA_NEW_N(arena, fq_ast_spread *,
                                             document->n_spreads);
    validation->fragments = FQ_ARENA_NEW_N(arena, fq_definition, n_fragments);
    validation->operations = FQ_ARENA_NEW_N(arena, fq_definition,
                                            document->n_operations);
    validation->reach_scratch = FQ_ARENA_NEW_N(arena, const fq_ast_fragment *,
                                               n_fragments);
    validation->reach_marks = FQ_ARENA_NEW_N(
        arena, uint32_t, (size_t)n_fragments + document->n_spread_names);
    if (spreads == NULL || validation->fragments == NULL
        || validation->operations == NULL || validation->reach_scratch == NULL
        || validation->reach_marks == NULL) {
        fq_validation_fail(validation);
        return;
    }
    FQ_AST_FOREACH(node, &document->definitions)
    {
        fq_definition *definition;
        if (node->kind == FQ_AST_FRAGMENT)
            definition
                = &validation->fragments[((fq_ast_fragment *)node)->index];
        else if (node->kind == FQ_AST_OPERATION)
            definition = &validation->operations[validation->n_operations++];
        else
            continue;
        definition->node = node;
        definition->selection_set = selection_set_of(node);
        definition->spreads = spreads;
        definition->n_spreads = list_spreads(selection_set_of(node), spreads);
        spreads += definition->n_spreads;
    }
}

/* The selection sets nested in |set|, itself included. Fragments count with
 * what is known of them. Bounded by the parser. */
static size_t
nesting_of(const fq_rule_walk *walk, const fq_ast_selection_set *set)
{
    size_t deepest = 0;
    FQ_AST_FOREACH(node, &set->selections)
    {
        size_t depth = 0;
        const fq_ast_selection_set *inner = selection_set_of(node);
        if (node->kind == FQ_AST_FRAGMENT_SPREAD) {
            const fq_ast_fragment *fragment
                = ((const fq_ast_spread *)node)->fragment;
            depth = fragment != NULL ? walk->depths[fragment->index] : 0;
        } else if (inner != NULL) {
            depth = nesting_of(walk, inner);
        }
        if (depth > deepest)
            deepest = depth;
    }
    return deepest + 1;
}

/* A fragment whose spreads are being walked. */
typedef struct fq_nesting_frame {
    const fq_ast_fragment *fragment;
    uint32_t i; /* of its next spread */
} fq_nesting_frame;

/* Fills walk->depths without recursion, as a chain of fragments may be long;
 * a spread that closes a cycle adds nothing. */
static void
measure_nesting(fq_rule_walk *walk)
{
    fq_validation *validation = walk->validation;
    uint32_t n_fragments = validation->document->n_fragments;
    fq_arena *arena = &validation->arena;
    walk->depths = FQ_ARENA_NEW_N(arena, size_t, n_fragments);
    bool *on_path = FQ_ARENA_NEW_N(arena, bool, n_fragments);
    fq_nesting_frame *path = FQ_ARENA_NEW_N(arena, fq_nesting_frame,
                                            n_fragments);
    if (walk->depths == NULL || on_path == NULL || path == NULL) {
        fq_validation_fail(validation);
        return;
    }
    for (const fq_ast_fragment *root = validation->document->fragments;
         root != NULL; root = root->next_def) {
        const fq_ast_fragment *fragment = root->effective;
        if (walk->depths[fragment->index] > 0)
            continue;
        size_t n_path = 0;
        path[n_path++] = (fq_nesting_frame){fragment, 0};
        on_path[fragment->index] = true;
        while (n_path > 0) {
            fq_nesting_frame *top = &path[n_path - 1];
            uint32_t index = top->fragment->index;
            const fq_definition *definition = &validation->fragments[index];
            if (top->i == definition->n_spreads) {
                walk->depths[index] = nesting_of(walk,
                                                 definition->selection_set);
                on_path[index] = false;
                n_path--;
                continue;
            }
            fragment = definition->spreads[top->i++]->fragment;
            if (fragment != NULL && walk->depths[fragment->index] == 0
                && !on_path[fragment->index]) {
                path[n_path++] = (fq_nesting_frame){fragment, 0};
                on_path[fragment->index] = true;
            }
        }
    }
}

/* Gives up at a definition that nests too deeply through its fragments. */
static void
check_nesting(fq_rule_walk *walk, const fq_ast_node *node)
{
    if (walk->validation->document->n_fragments == 0)
        return;
    size_t depth = 0;
    if (node->kind == FQ_AST_FRAGMENT)
        depth
            = walk->depths[((const fq_ast_fragment *)node)->effective->index];
    else if (node->kind == FQ_AST_OPERATION)
        depth = nesting_of(walk, selection_set_of(node));
    if (depth > FQ_GRAPHQL_NESTING_MAX)
        fq_validation_abort(walk->validation);
}

static void
walk_node(fq_rule_walk *walk, const fq_ast_node *node,
          const fq_ast_node *parent);

static void
walk_list(fq_rule_walk *walk, const fq_ast_list *list,
          const fq_ast_node *parent)
{
    FQ_AST_FOREACH(node, list)
    walk_node(walk, node, parent);
}

/* Shows the children of |node| in the reference's order. */
static void
walk_children(fq_rule_walk *walk, const fq_ast_node *node)
{
    switch (node->kind) {
    case FQ_AST_DOCUMENT:
        walk_list(walk, &walk->validation->document->definitions, node);
        break;
    case FQ_AST_OPERATION: {
        const fq_ast_operation *operation = (const fq_ast_operation *)node;
        walk_list(walk, &operation->variable_definitions, node);
        walk_list(walk, &operation->directives, node);
        walk_node(walk, &operation->selection_set->node, node);
        break;
    }
    case FQ_AST_FRAGMENT: {
        const fq_ast_fragment *fragment = (const fq_ast_fragment *)node;
        walk_node(walk, &fragment->type_condition->node, node);
        walk_list(walk, &fragment->directives, node);
        walk_node(walk, &fragment->selection_set->node, node);
        break;
    }
    case FQ_AST_VARIABLE_DEFINITION: {
        const fq_ast_variable_definition *definition
            = (const fq_ast_variable_definition *)node;
        walk_node(walk, &definition->type->node, node);
        if (definition->default_value != NULL)
            walk_node(walk, &definition->default_value->node, node);
        walk_list(walk, &definition->directives, node);
        break;
    }
    case FQ_AST_SELECTION_SET: {
        fq_validation *validation = walk->validation;
        const fq_ast_selection_set *set = (const fq_ast_selection_set *)node;
        const fq_type *outer = validation->parent_type;
        validation->parent_type = set->parent_type;
        walk_list(walk, &set->selections, node);
        validation->parent_type = outer;
        break;
    }
    case FQ_AST_FIELD: {
        const fq_ast_field *field = (const fq_ast_field *)node;
        walk_list(walk, &field->arguments, node);
        walk_list(walk, &field->directives, node);
        if (field->selection_set != NULL)
            walk_node(walk, &field->selection_set->node, node);
        break;
    }
    case FQ_AST_FRAGMENT_SPREAD:
        walk_list(walk, &((const fq_ast_spread *)node)->directives, node);
        break;
    case FQ_AST_INLINE_FRAGMENT: {
        const fq_ast_inline_fragment *fragment
            = (const fq_ast_inline_fragment *)node;
        if (fragment->type_condition != NULL)
            walk_node(walk, &fragment->type_condition->node, node);
        walk_list(walk, &fragment->directives, node);
        walk_node(walk, &fragment->selection_set->node, node);
        break;
    }
    case FQ_AST_ARGUMENT:
    case FQ_AST_OBJECT_FIELD:
        walk_node(walk, &((const fq_ast_argument *)node)->value->node, node);
        break;
    case FQ_AST_DIRECTIVE:
        walk_list(walk, &((const fq_ast_directive *)node)->arguments, node);
        break;
    case FQ_AST_LIST_TYPE:
    case FQ_AST_NON_NULL_TYPE:
        walk_node(walk, &((const fq_ast_type *)node)->of->node, node);
        break;
    case FQ_AST_LIST:
    case FQ_AST_OBJECT:
        walk_list(walk, &((const fq_ast_value *)node)->items, node);
        break;
    case FQ_AST_TYPE_SYSTEM: {
        const fq_ast_type_system *definition = (const fq_ast_type_system *)
            node;
        walk_list(walk, &definition->interfaces, node);
        walk_list(walk, &definition->arguments, node);
        walk_list(walk, &definition->directives, node);
        walk_list(walk, &definition->members, node);
        break;
    }
    case FQ_AST_FIELD_DEFINITION: {
        const fq_ast_field_definition *field
            = (const fq_ast_field_definition *)node;
        walk_list(walk, &field->arguments, node);
        walk_node(walk, &field->type->node, node);
        walk_list(walk, &field->directives, node);
        break;
    }
    case FQ_AST_INPUT_DEFINITION: {
        const fq_ast_input_definition *input
            = (const fq_ast_input_definition *)node;
        walk_node(walk, &input->type->node, node);
        if (input->default_value != NULL)
            walk_node(walk, &input->default_value->node, node);
        walk_list(walk, &input->directives, node);
        break;
    }
    case FQ_AST_ENUM_DEFINITION:
        walk_list(walk, &((const fq_ast_enum_definition *)node)->directives,
                  node);
        break;
    case FQ_AST_ROOT_DEFINITION:
        walk_node(walk, &((const fq_ast_root_definition *)node)->type->node,
                  node);
        break;
    default:
        break;
    }
}

static void
make_calls(const fq_rule_walk *walk, const fq_rule_calls *calls,
           const fq_ast_node *node, const fq_ast_node *parent)
{
    fq_validation *validation = walk->validation;
    for (const fq_rule_call *call = calls->first;
         call != NULL && !validation->is_aborted; call = call->next)
        call->cb(validation, call->state, node, parent);
}

static void
walk_node(fq_rule_walk *walk, const fq_ast_node *node,
          const fq_ast_node *parent)
{
    fq_validation *validation = walk->validation;
    if (parent != NULL && parent->kind == FQ_AST_DOCUMENT) {
        validation->definition = node;
        check_nesting(walk, node);
    }
    make_calls(walk, &walk->enter[node->kind], node, parent);
    if (validation->is_aborted)
        return;
    walk_children(walk, node);
    make_calls(walk, &walk->leave[node->kind], node, parent);
}

static bool
has_type_system(const fq_document *document)
{
    FQ_AST_FOREACH(node, &document->definitions)
    {
        if (node->kind == FQ_AST_TYPE_SYSTEM)
            return true;
    }
    return false;
}

bool
fq_rule_set_add(fq_rule_set *prules, fq_str name)
{
    for (size_t i = 0; i < N_RULES; i++) {
        if (!fq_str_eq(name, fq_str_of(rules[i]->name)))
            continue;
        *prules |= UINT32_C(1) << i;
        return true;
    }
    return false;
}

static void
add_call(fq_validation *validation, fq_rule_calls *calls, fq_rule_cb cb,
         void *state)
{
    if (cb == NULL)
        return;
    fq_rule_call *call = fq_validation_alloc(validation, sizeof(*call));
    if (call == NULL)
        return;
    call->cb = cb;
    call->state = state;
    if (calls->first == NULL)
        calls->first = call;
    else
        calls->last->next = call;
    calls->last = call;
}

static void
add_rule(fq_rule_walk *walk, const fq_rule *rule, void *state)
{
    for (size_t i = 0; i < FQ_RULE_HANDLERS_MAX; i++) {
        const fq_rule_handler *handler = &rule->handlers[i];
        add_call(walk->validation, &walk->enter[handler->kind], handler->enter,
                 state);
        add_call(walk->validation, &walk->leave[handler->kind], handler->leave,
                 state);
    }
}

/* Chooses the rules and makes their states. */
static void
walk_prepare(fq_rule_walk *walk, const fq_schema *schema, fq_rule_set chosen)
{
    fq_validation *validation = walk->validation;
    for (size_t i = 0; i < N_RULES; i++) {
        const fq_rule *rule = rules[i];
        if ((chosen >> i & 1) == 0 || (rule->needs_schema && schema == NULL))
            continue;
        /* Of a document with type system definitions nothing else is worth
         * saying where the types it defines are not known. */
        if (schema == NULL && validation->has_type_system
            && rule != &fq_rule_executable_definitions)
            continue;
        void *state = fq_validation_alloc(validation, rule->state_size);
        if (state == NULL)
            return;
        walk->states[i] = state;
        add_rule(walk, rule, state);
    }
}

fq_status
fq_validate(fq_document *document, const fq_schema *schema, fq_rule_set chosen,
            fq_gql_errors *errors)
{
    fq_validation validation = {
        .document = document,
        .schema = schema != NULL ? schema : &fq_schemaless,
        .is_schemaless = schema == NULL,
        .errors = errors,
        .has_type_system = has_type_system(document),
        .n_work_left = FQ_FRAGMENT_WORK_MAX,
    };
    fq_rule_walk walk = {.validation = &validation};
    fq_status status = fq_type_info_enter(document, validation.schema);
    /* The tree is complete; what is left of its memory is the rules'. */
    size_t room = fq_arena_room(&document->arena);
    fq_arena_init(&validation.arena, room > 0 ? room : 1);
    if (status == FQ_ERR_LIMIT)
        fq_validation_abort(&validation);
    else if (status != FQ_OK)
        fq_validation_fail(&validation);
    fq_validation_link_directives(&validation);
    validation_prepare(&validation);
    if (!validation.is_aborted)
        measure_nesting(&walk);
    walk_prepare(&walk, schema, chosen);
    if (!validation.is_aborted)
        walk_node(&walk, &document->node, NULL);
    for (size_t i = 0; i < N_RULES; i++)
        if (walk.states[i] != NULL && rules[i]->fini != NULL)
            rules[i]->fini(walk.states[i]);
    fq_arena_fini(&validation.arena);
    if (validation.status != FQ_OK)
        return validation.status;
    return validation.n_errors == 0 ? FQ_OK : FQ_ERR_INVALID;
}
