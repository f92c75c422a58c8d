/* SPDX-License-Identifier: MIT */
/* What a plan can return, for policies to judge before anybody subscribes.
 * Conditions are not asked: what @skip leaves out today counts. One thread at
 * a time. */
#include "graphql/plan.h"

#include "base/alloc.h"
#include "base/check.h"
#include "graphql/arguments.h"
#include "graphql/plan_internal.h"
#include "graphql/variables.h"
#include "json/reader.h"

/* The fields of |set|, outer ones first, without those of spreads. Validation
 * has bounded the recursion. */
static bool
visit_set(const fq_ast_selection_set *set, fq_plan_field_cb cb, void *arg)
{
    FQ_AST_FOREACH(node, &set->selections)
    {
        const fq_ast_selection_set *inner = NULL;
        if (node->kind == FQ_AST_FIELD) {
            const fq_ast_field *field = (const fq_ast_field *)node;
            fq_plan_visit visit = cb(arg, set->parent_type, field);
            if (visit == FQ_VISIT_STOP)
                return true;
            if (visit == FQ_VISIT_ON)
                inner = field->selection_set;
        } else if (node->kind == FQ_AST_INLINE_FRAGMENT) {
            inner = ((const fq_ast_inline_fragment *)node)->selection_set;
        }
        if (inner != NULL && visit_set(inner, cb, arg))
            return true;
    }
    return false;
}

bool
fq_plan_each_field(const fq_plan *plan, fq_plan_field_cb cb, void *arg)
{
    FQ_CHECK(plan->root != NULL);
    if (visit_set(plan->operation->selection_set, cb, arg))
        return true;
    for (const fq_ast_fragment *fragment = plan->document.fragments;
         fragment != NULL; fragment = fragment->next_def)
        if (plan->fragments[fragment->index].is_known
            && visit_set(fragment->selection_set, cb, arg))
            return true;
    return false;
}

typedef struct fq_select_search {
    const fq_field_mask *mask;
    fq_plan_selection *found;
} fq_select_search;

static void
set_selection(fq_plan_selection *selection, const fq_ast_field *field,
              fq_field_coordinate coordinate)
{
    *selection = (fq_plan_selection){
        .name = field->name,
        .key = fq_ast_field_key(field),
        .start = field->node.start,
        .coordinate = coordinate,
    };
}

static fq_plan_visit
select_visit(void *arg, const fq_type *parent, const fq_ast_field *field)
{
    const fq_select_search *search = arg;
    fq_field_coordinate coordinate;
    if (!fq_field_mask_meets(search->mask, parent, field->name, &coordinate))
        return FQ_VISIT_ON;
    set_selection(search->found, field, coordinate);
    return FQ_VISIT_STOP;
}

bool
fq_plan_selects(const fq_plan *plan, const fq_field_mask *mask,
                fq_plan_selection *pselection)
{
    *pselection = (fq_plan_selection){.start = 0};
    FQ_CHECK(fq_field_mask_suits(mask, plan->schema));
    if (mask == NULL || fq_field_mask_n_fields(mask) == 0)
        return false;
    if (plan->schema == NULL) {
        if (!fq_field_mask_has_root(mask, plan->root->name))
            return false;
        set_selection(
            pselection, plan->root,
            (fq_field_coordinate){FQ_STR("Subscription"), plan->root->name});
        return true;
    }
    fq_select_search search = {.mask = mask, .found = pselection};
    return fq_plan_each_field(plan, select_visit, &search);
}

/* Types while they are being collected. */
typedef struct fq_type_list {
    fq_plan_type *items;
    size_t n_items;
    size_t cap;
    uint32_t *places; /* by index of a type: its place + 1; 0: not there */
    bool failed;      /* memory is out */
} fq_type_list;

static void
list_type(fq_type_list *list, const fq_type *type, size_t start,
          bool is_certain)
{
    uint32_t *place = &list->places[type->index];
    if (*place > 0) {
        fq_plan_type *known = &list->items[*place - 1];
        if (is_certain && !known->is_certain) {
            known->start = start;
            known->is_certain = true;
        }
        return;
    }
    fq_plan_type *items = fq_alloc_grow(list->items, sizeof(*items),
                                        list->n_items + 1, 8, &list->cap);
    if (items == NULL) {
        list->failed = true;
        return;
    }
    list->items = items;
    items[list->n_items++] = (fq_plan_type){type, start, is_certain};
    *place = (uint32_t)list->n_items;
}

static fq_plan_visit
type_visit(void *arg, const fq_type *parent, const fq_ast_field *field)
{
    fq_type_list *list = arg;
    (void)parent;
    const fq_type *type = field->def->type->named;
    if (!fq_type_is_composite(type) || type->is_builtin)
        return FQ_VISIT_ON;
    bool is_object = type->kind == FQ_TYPE_OBJECT;
    list_type(list, type, field->node.start, is_object);
    for (uint32_t i = 0; i < type->n_possible_types && !list->failed; i++)
        list_type(list, type->possible_types[i], field->node.start, false);
    return list->failed ? FQ_VISIT_STOP : FQ_VISIT_ON;
}

/* Moves |list| to the plan, in its exact size. */
static fq_status
keep_types(fq_plan *plan, const fq_type_list *list)
{
    fq_plan_type *types = FQ_ARENA_NEW_N(&plan->document.arena, fq_plan_type,
                                         list->n_items);
    if (types == NULL)
        return FQ_ERR_NOMEM;
    if (list->n_items > 0)
        memcpy(types, list->items, list->n_items * sizeof(*types));
    plan->types = types;
    plan->n_types = list->n_items;
    return FQ_OK;
}

fq_status
fq_plan_types(fq_plan *plan, const fq_plan_type **ptypes, size_t *pn_types)
{
    fq_status status = FQ_OK;
    if (plan->types == NULL && plan->schema != NULL) {
        fq_type_list list = {
            .places = fq_alloc_zero(plan->schema->n_types * sizeof(uint32_t)),
        };
        if (list.places == NULL || fq_plan_each_field(plan, type_visit, &list))
            status = FQ_ERR_NOMEM;
        else
            status = keep_types(plan, &list);
        fq_free(list.items);
        fq_free(list.places);
    }
    *ptypes = plan->types;
    *pn_types = plan->n_types;
    return status;
}

fq_schema *
fq_plan_schema(const fq_plan *plan)
{
    return plan->schema;
}

const fq_ast_operation *
fq_plan_operation(const fq_plan *plan)
{
    return plan->operation;
}

const fq_ast_field *
fq_plan_root(const fq_plan *plan)
{
    return plan->root;
}

/* Arguments on their way to a callback. */
typedef struct fq_args_walk {
    const fq_plan *plan;
    const fq_variable_values *values;
    fq_variable_states states;
    fq_plan_args_cb cb;
    void *arg;
    fq_buf buf; /* for the JSON of one field's */
    fq_status status;
} fq_args_walk;

/* The coerced arguments of |field| into walk->buf. Errors: FQ_ERR_INVALID,
 * FQ_ERR_LIMIT, FQ_ERR_NOMEM. */
static fq_status
write_args(fq_args_walk *walk, const fq_ast_field *field)
{
    const fq_plan *plan = walk->plan;
    fq_buf_clear(&walk->buf);
    if (field->def == NULL) {
        fq_variables_fold(&plan->variables, walk->values, &field->arguments,
                          &walk->buf);
        return fq_buf_status(&walk->buf);
    }
    fq_argument_fault fault;
    fq_status status = fq_arguments_check(field->def->args, field->def->n_args,
                                          &field->arguments, &field->node,
                                          &walk->states, &fault);
    fq_buf_fini(&fault.message);
    if (status != FQ_OK)
        return status;
    fq_arguments_write(field->def->args, field->def->n_args, &field->arguments,
                       &plan->variables, walk->values, &walk->buf);
    return fq_buf_status(&walk->buf);
}

static fq_plan_visit
args_visit(void *arg, const fq_type *parent, const fq_ast_field *field)
{
    fq_args_walk *walk = arg;
    (void)parent;
    bool has_args = field->arguments.n_items > 0
                    || (field->def != NULL && field->def->n_args > 0);
    if (!has_args && field != walk->plan->root)
        return FQ_VISIT_ON;
    yyjson_doc *doc = NULL;
    walk->status = write_args(walk, field);
    if (walk->status == FQ_OK)
        walk->status = fq_json_read(fq_buf_str(&walk->buf),
                                    FQ_JSON_LONE_SURROGATES, &doc, NULL);
    if (walk->status != FQ_ERR_NOMEM)
        walk->status = walk->cb(walk->arg, field, yyjson_doc_get_root(doc));
    fq_json_free(doc);
    return walk->status == FQ_OK ? FQ_VISIT_ON : FQ_VISIT_STOP;
}

/* The states of all variables, of |values|. */
static fq_status
take_states(const fq_plan *plan, const fq_variable_values *values,
            fq_variable_states *states)
{
    size_t n_words = fq_variable_states_n_words(&plan->variables);
    states->table = &plan->variables;
    states->words = fq_alloc_zero((n_words + 1) * sizeof(uint64_t));
    if (states->words == NULL)
        return FQ_ERR_NOMEM;
    for (uint32_t i = 0; i < plan->variables.n_items; i++)
        states->words[i / 32] |= (uint64_t)fq_variable_values_state(values, i)
                                 << (i % 32 * 2);
    return FQ_OK;
}

fq_status
fq_plan_each_args(fq_plan *plan, yyjson_val *variables, fq_plan_args_cb cb,
                  void *arg)
{
    fq_variable_values values;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_args_walk walk = {
        .plan = plan, .values = &values, .cb = cb, .arg = arg};
    fq_buf_init(&walk.buf);
    walk.buf.max = FQ_VARIABLES_MAX;
    walk.status = fq_variables_coerce(&plan->variables, variables, &values,
                                      &errors);
    if (walk.status == FQ_OK)
        walk.status = take_states(plan, &values, &walk.states);
    if (walk.status == FQ_OK)
        fq_plan_each_field(plan, args_visit, &walk);
    fq_free(walk.states.words);
    fq_buf_fini(&walk.buf);
    fq_variable_values_fini(&values);
    fq_gql_errors_fini(&errors);
    return walk.status;
}
