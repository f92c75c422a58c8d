/* SPDX-License-Identifier: MIT */
/* What a plan can return, for policies to judge before anybody subscribes.
 * Conditions are not asked: what @skip leaves out today counts. One thread at
 * a time. */
#include "graphql/plan.h"

#include "base/alloc.h"
#include "base/check.h"
#include "graphql/plan_internal.h"

/* Called for |field| of a set on |parent|; true ends the walk. */
typedef bool (*fq_visit_cb)(void *arg, const fq_type *parent,
                            const fq_ast_field *field);

/* The fields of |set|, outer ones first, without those of spreads. Validation
 * has bounded the recursion. */
static bool
visit_set(const fq_ast_selection_set *set, fq_visit_cb visit_cb, void *arg)
{
    FQ_AST_FOREACH(node, &set->selections)
    {
        const fq_ast_selection_set *inner = NULL;
        if (node->kind == FQ_AST_FIELD) {
            const fq_ast_field *field = (const fq_ast_field *)node;
            if (visit_cb(arg, set->parent_type, field))
                return true;
            inner = field->selection_set;
        } else if (node->kind == FQ_AST_INLINE_FRAGMENT) {
            inner = ((const fq_ast_inline_fragment *)node)->selection_set;
        }
        if (inner != NULL && visit_set(inner, visit_cb, arg))
            return true;
    }
    return false;
}

/* The fields of the operation, then of each fragment it reaches. */
static bool
visit_plan(const fq_plan *plan, fq_visit_cb visit_cb, void *arg)
{
    FQ_CHECK(plan->root != NULL && plan->schema != NULL);
    if (visit_set(plan->operation->selection_set, visit_cb, arg))
        return true;
    for (const fq_ast_fragment *fragment = plan->document.fragments;
         fragment != NULL; fragment = fragment->next_def)
        if (plan->fragments[fragment->index].is_known
            && visit_set(fragment->selection_set, visit_cb, arg))
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

static bool
select_visit(void *arg, const fq_type *parent, const fq_ast_field *field)
{
    const fq_select_search *search = arg;
    fq_field_coordinate coordinate;
    if (!fq_field_mask_meets(search->mask, parent, field->name, &coordinate))
        return false;
    set_selection(search->found, field, coordinate);
    return true;
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
    return visit_plan(plan, select_visit, &search);
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

static bool
type_visit(void *arg, const fq_type *parent, const fq_ast_field *field)
{
    fq_type_list *list = arg;
    (void)parent;
    const fq_type *type = field->def->type->named;
    if (!fq_type_is_composite(type) || type->is_builtin)
        return false;
    bool is_object = type->kind == FQ_TYPE_OBJECT;
    list_type(list, type, field->node.start, is_object);
    for (uint32_t i = 0; i < type->n_possible_types && !list->failed; i++)
        list_type(list, type->possible_types[i], field->node.start, false);
    return list->failed;
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
        if (list.places == NULL || visit_plan(plan, type_visit, &list))
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
