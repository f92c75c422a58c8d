/* SPDX-License-Identifier: MIT */
/* Compiling and binding. One thread at a time.
 *
 * All a plan knows is in its document's arena. What may differ between two
 * subscribers of one plan is which @skip and @include hold and which arguments
 * are bad. That depends on some of the variables, and of each only on whether
 * it is true, false, null or not there: its state, two bits. A combination of
 * states is one variant; variables that decide nothing are in one state for
 * all. The plan keeps weak links to the variants somebody holds, so that
 * subscribers with equal states and equal masks share one; a variant holds the
 * plan. */
#include "graphql/plan.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"
#include "graphql/arguments.h"
#include "graphql/completion.h"
#include "graphql/parser.h"
#include "graphql/plan_internal.h"
#include "graphql/projection.h"
#include "graphql/type_info.h"
#include "graphql/validator.h"
#include "graphql/variables.h"
#include "json/writer.h"

/* A client can send 2^n combinations of n conditions, and finding one costs a
 * look at all: beyond this many a variant serves its one subscription and is
 * not shared. */
#define PLAN_VARIANTS_MAX 32

struct fq_plan_variant {
    uint32_t n_refs;
    fq_plan *plan;             /* one reference */
    fq_list node;              /* in plan->variants, or alone */
    const fq_field_mask *mask; /* one reference, or NULL */
    bool masks_root;           /* the root field is in it */
    fq_plan_share share;
    fq_projection projection;
    uint64_t states[]; /* of the plan's variables */
};

static size_t
add_saturating(size_t a, size_t b)
{
    return a <= SIZE_MAX - b ? a + b : SIZE_MAX;
}

/* Notes the variable that |directive| depends on. */
static void
note_condition(fq_plan *plan, const fq_ast_directive *directive)
{
    /* Validation leaves @skip and @include their one argument; a directive of
     * another name that makes variants of its own does no harm. */
    const fq_ast_argument *argument = (const fq_ast_argument *)
                                          directive->arguments.first;
    if (argument == NULL || argument->value->node.kind != FQ_AST_VARIABLE
        || (!fq_str_eq(directive->name, FQ_STR_LIT("skip"))
            && !fq_str_eq(directive->name, FQ_STR_LIT("include"))))
        return;
    uint32_t place = fq_variable_table_find(&plan->variables,
                                            argument->value->text);
    if (place == UINT32_MAX || plan->decides[place])
        return;
    plan->decides[place] = true;
    plan->conditions[plan->n_conditions++] = (fq_plan_condition){
        .variable = place,
        .use = argument->value,
    };
}

static void
walk_directives(fq_plan *plan, const fq_ast_list *directives)
{
    FQ_AST_FOREACH(node, directives)
    note_condition(plan, (const fq_ast_directive *)node);
}

/* Notes what kind of field |name| is in the set that |cost| is of. */
static void
note_kind(fq_str name, fq_cost *cost)
{
    cost->has_schema = fq_str_eq(name, FQ_STR_LIT("__schema"))
                       || fq_str_eq(name, FQ_STR_LIT("__type"));
    cost->has_data = !cost->has_schema
                     && !fq_str_eq(name, FQ_STR_LIT("__typename"));
}

static fq_cost
walk_set(fq_plan *plan, const fq_ast_selection_set *set);

static fq_cost
walk_fragment(fq_plan *plan, const fq_ast_fragment *fragment)
{
    fq_cost *cost = &plan->fragments[fragment->index];
    if (!cost->is_known) {
        *cost = walk_set(plan, fragment->selection_set);
        cost->is_known = true;
    }
    return *cost;
}

/* The cost of |set|; gives conditions their bits on the way. Validation has
 * bounded the recursion. */
static fq_cost
walk_set(fq_plan *plan, const fq_ast_selection_set *set)
{
    fq_cost total = {0};
    FQ_AST_FOREACH(node, &set->selections)
    {
        fq_cost cost = {0};
        if (node->kind == FQ_AST_FIELD) {
            const fq_ast_field *field = (const fq_ast_field *)node;
            walk_directives(plan, &field->directives);
            if (field->selection_set != NULL)
                cost = walk_set(plan, field->selection_set);
            cost.n_fields = add_saturating(cost.n_fields, 1);
            cost.depth++;
            note_kind(field->name, &cost);
        } else if (node->kind == FQ_AST_INLINE_FRAGMENT) {
            const fq_ast_inline_fragment *fragment
                = (const fq_ast_inline_fragment *)node;
            walk_directives(plan, &fragment->directives);
            cost = walk_set(plan, fragment->selection_set);
        } else {
            const fq_ast_spread *spread = (const fq_ast_spread *)node;
            walk_directives(plan, &spread->directives);
            cost = walk_fragment(plan, spread->fragment);
        }
        total.n_fields = add_saturating(total.n_fields, cost.n_fields);
        if (cost.depth > total.depth)
            total.depth = cost.depth;
        total.has_schema |= cost.has_schema;
        total.has_data |= cost.has_data;
    }
    return total;
}

static fq_status
fail_limit(fq_plan *plan, fq_gql_errors *errors, fq_document_limit limit,
           const char *format, size_t max)
{
    errors->limit = limit;
    fq_gql_error *error = fq_gql_errors_add(errors, "LIMIT_REACHED", format,
                                            max);
    fq_gql_error_locate(errors, error, plan->document.source,
                        plan->operation->node.start);
    return errors->status == FQ_OK ? FQ_ERR_LIMIT : FQ_ERR_NOMEM;
}

/* Checks depth and fields, and finds the conditions. */
static fq_status
plan_walk(fq_plan *plan, const fq_document_limits *limits,
          fq_gql_errors *errors)
{
    plan->fragments = FQ_ARENA_NEW_N(&plan->document.arena, fq_cost,
                                     plan->document.n_fragments);
    if (plan->fragments == NULL)
        return FQ_ERR_NOMEM;
    fq_cost cost = walk_set(plan, plan->operation->selection_set);
    plan->asks_schema = cost.has_schema;
    plan->asks_data = cost.has_data;
    if (limits == NULL)
        return FQ_OK;
    if (limits->max_depth > 0 && cost.depth > limits->max_depth)
        return fail_limit(plan, errors, FQ_LIMIT_DEPTH,
                          "Operation nests fields deeper than %zu.",
                          limits->max_depth);
    if (limits->max_fields > 0 && cost.n_fields > limits->max_fields)
        return fail_limit(plan, errors, FQ_LIMIT_FIELDS,
                          "Operation selects more than %zu fields.",
                          limits->max_fields);
    return FQ_OK;
}

/* Notes the variables in |value| that are bad where |type| (NULL: unknown) is
 * expected when they are null or have no value. */
static void
note_value(fq_plan *plan, const fq_ast_value *value, const fq_type *type)
{
    if (value->node.kind == FQ_AST_VARIABLE) {
        uint32_t place = fq_variable_table_find(&plan->variables, value->text);
        if (place != UINT32_MAX
            && (type == NULL || type->kind == FQ_TYPE_NON_NULL))
            plan->decides[place] = true;
        return;
    }
    if (type != NULL)
        type = fq_type_nullable(type);
    if (value->node.kind == FQ_AST_LIST) {
        const fq_type *item = type;
        if (type != NULL && type->kind == FQ_TYPE_LIST)
            item = type->of;
        FQ_AST_FOREACH(node, &value->items)
        note_value(plan, (const fq_ast_value *)node, item);
    } else if (value->node.kind == FQ_AST_OBJECT) {
        bool is_input = type != NULL
                        && type->named->kind == FQ_TYPE_INPUT_OBJECT;
        FQ_AST_FOREACH(node, &value->items)
        {
            const fq_ast_argument *field = (const fq_ast_argument *)node;
            const fq_type *expected = type;
            if (is_input)
                expected = type->named->is_one_of || field->def == NULL
                               ? NULL
                               : field->def->type;
            note_value(plan, field->value, expected);
        }
    }
}

/* With a schema: notes the variables that can make arguments bad. */
static void
plan_note_arguments(fq_plan *plan)
{
    for (const fq_ast_field *field = plan->document.fields; field != NULL;
         field = field->next_field)
        FQ_AST_FOREACH(node, &field->arguments)
        {
            const fq_ast_argument *argument = (const fq_ast_argument *)node;
            note_value(plan, argument->value,
                       argument->def != NULL ? argument->def->type : NULL);
        }
}

/* Finds the operation to run (Sep 2025 6.1, GetOperation), with the
 * reference's words. */
static fq_status
plan_choose(fq_plan *plan, fq_str name, bool label, fq_gql_errors *errors)
{
    const fq_ast_operation *found = NULL;
    const fq_ast_operation *only = NULL;
    FQ_AST_FOREACH(node, &plan->document.definitions)
    {
        if (node->kind != FQ_AST_OPERATION)
            continue;
        only = (const fq_ast_operation *)node;
        if (name.ptr != NULL && only->name.ptr != NULL
            && fq_str_eq(only->name, name) && found == NULL)
            found = only;
    }
    uint32_t n_operations = plan->document.n_operations;
    if (name.ptr == NULL
        || (label && n_operations == 1 && only->name.ptr == NULL))
        found = n_operations == 1 ? only : NULL;
    plan->operation = found;
    if (found != NULL)
        return FQ_OK;
    if (name.ptr != NULL) {
        fq_buf message;
        fq_buf_init(&message);
        fq_buf_append_str(&message, FQ_STR_LIT("Unknown operation named '"));
        fq_buf_append_str(&message, name);
        fq_buf_append_str(&message, FQ_STR_LIT("'."));
        if (fq_buf_status(&message) == FQ_OK)
            fq_gql_errors_add_str(errors, "VALIDATION_ERROR",
                                  fq_buf_str(&message));
        else
            errors->status = FQ_ERR_NOMEM;
        fq_buf_fini(&message);
    } else {
        fq_gql_errors_add(errors, "VALIDATION_ERROR",
                          n_operations == 0
                              ? "Must provide an operation."
                              : "Must provide operation name if query "
                                "contains multiple operations.");
    }
    return errors->status == FQ_OK ? FQ_ERR_INVALID : FQ_ERR_NOMEM;
}

/* The field that stands first in |set|, fragments expanded. There is one:
 * no selection set is empty, no spread unknown, none in a cycle. */
static const fq_ast_field *
first_field(const fq_ast_selection_set *set)
{
    const fq_ast_node *node = set->selections.first;
    while (node->kind != FQ_AST_FIELD) {
        const fq_ast_selection_set *inner
            = node->kind == FQ_AST_INLINE_FRAGMENT
                  ? ((const fq_ast_inline_fragment *)node)->selection_set
                  : ((const fq_ast_spread *)node)->fragment->selection_set;
        node = inner->selections.first;
    }
    return (const fq_ast_field *)node;
}

static void
plan_free(fq_plan *plan)
{
    FQ_CHECK(fq_list_is_empty(&plan->variants));
    fq_schema_unref(plan->schema);
    fq_variable_table_fini(&plan->variables);
    fq_document_fini(&plan->document);
    fq_free(plan);
}

static fq_status
plan_new(const fq_plan_request *request, fq_plan **pplan)
{
    fq_plan *plan = *pplan = fq_alloc_zero(sizeof(*plan));
    if (plan == NULL)
        return FQ_ERR_NOMEM;
    plan->n_refs = 1;
    fq_list_init(&plan->variants);
    if (request->schema != NULL)
        plan->schema = fq_schema_ref(request->schema);
    return FQ_OK;
}

/* Chooses the operation and makes what depends on it alone. */
static fq_status
plan_prepare(fq_plan *plan, const fq_plan_request *request,
             fq_gql_errors *errors)
{
    fq_status status = plan_choose(plan, request->operation_name,
                                   request->label, errors);
    if (status == FQ_OK)
        status = fq_variable_table_init(&plan->variables, &plan->document,
                                        plan->operation, plan->schema);
    if (status != FQ_OK)
        return status;
    plan->source = (fq_projection_source){
        .document = &plan->document,
        .operation = plan->operation,
        .schema = plan->schema,
        .variables = &plan->variables,
    };
    uint32_t n_variables = plan->variables.n_items;
    plan->decides = FQ_ARENA_NEW_N(&plan->document.arena, bool, n_variables);
    plan->conditions = FQ_ARENA_NEW_N(&plan->document.arena, fq_plan_condition,
                                      n_variables);
    return plan->decides != NULL && plan->conditions != NULL ? FQ_OK
                                                             : FQ_ERR_NOMEM;
}

/* Hands |plan| out if |status| is FQ_OK, else frees it. */
static fq_status
plan_finish(fq_plan *plan, fq_status status, fq_plan **pplan,
            fq_gql_errors *errors)
{
    if (status == FQ_ERR_NOMEM && errors->status == FQ_OK)
        status = fq_document_check(&plan->document, status, errors);
    *pplan = status == FQ_OK ? plan : NULL;
    if (status != FQ_OK)
        plan_free(plan);
    else
        plan->document.arena.max_bytes = 0; /* the plan's own additions */
    return status;
}

fq_status
fq_plan_compile(const fq_plan_request *request,
                const fq_document_limits *limits, fq_plan **pplan,
                fq_gql_errors *errors)
{
    fq_plan *plan;
    *pplan = NULL;
    fq_status status = plan_new(request, &plan);
    if (status != FQ_OK)
        return status;
    status = fq_parse(request->query, limits, &plan->document, errors);
    if (status == FQ_OK)
        status = fq_document_link(&plan->document, errors);
    if (status == FQ_OK)
        status = fq_validate(&plan->document, plan->schema, FQ_RULES_ALL,
                             errors);
    if (status == FQ_OK)
        status = plan_prepare(plan, request, errors);
    if (status == FQ_OK)
        status = plan_walk(plan, limits, errors);
    if (status == FQ_OK)
        status = fq_collect_scratch_init(&plan->source.scratch,
                                         &plan->document);
    if (status == FQ_OK) {
        plan->root = first_field(plan->operation->selection_set);
        if (plan->schema != NULL) {
            plan->root_def = plan->root->def;
            plan_note_arguments(plan);
        }
    }
    return plan_finish(plan, status, pplan, errors);
}

fq_status
fq_plan_compile_unchecked(const fq_plan_request *request, fq_plan **pplan,
                          fq_gql_errors *errors)
{
    FQ_CHECK(request->schema != NULL);
    fq_plan *plan;
    *pplan = NULL;
    fq_status status = plan_new(request, &plan);
    if (status != FQ_OK)
        return status;
    status = fq_parse(request->query, NULL, &plan->document, errors);
    if (status == FQ_OK)
        status = fq_document_link(&plan->document, errors);
    if (status == FQ_OK)
        status = fq_type_info_enter(&plan->document, plan->schema);
    if (status == FQ_ERR_LIMIT && errors->n_items == 0)
        fq_gql_errors_add(errors, "LIMIT_REACHED",
                          "Variables have too many types.");
    if (status == FQ_OK)
        status = plan_prepare(plan, request, errors);
    if (status == FQ_OK)
        status = fq_collect_scratch_init(&plan->source.scratch,
                                         &plan->document);
    for (uint32_t i = 0; status == FQ_OK && i < plan->variables.n_items; i++)
        plan->decides[i] = true;
    return plan_finish(plan, status, pplan, errors);
}

fq_plan *
fq_plan_ref(fq_plan *plan)
{
    plan->n_refs++;
    return plan;
}

void
fq_plan_unref(fq_plan *plan)
{
    if (plan != NULL && --plan->n_refs == 0)
        plan_free(plan);
}

fq_operation_type
fq_plan_operation_type(const fq_plan *plan)
{
    return plan->operation->type;
}

bool
fq_plan_asks_schema(const fq_plan *plan)
{
    return plan->asks_schema;
}

bool
fq_plan_asks_data(const fq_plan *plan)
{
    return plan->asks_data;
}

fq_str
fq_plan_root_name(const fq_plan *plan)
{
    return plan->root->name;
}

fq_str
fq_plan_root_key(const fq_plan *plan)
{
    return fq_ast_field_key(plan->root);
}

fq_str
fq_plan_source(const fq_plan *plan)
{
    return plan->document.source;
}

size_t
fq_plan_root_start(const fq_plan *plan)
{
    return plan->root->node.start;
}

/* Bytes of a variant's states. */
static size_t
states_size(const fq_plan *plan)
{
    return fq_variable_states_n_words(&plan->variables) * sizeof(uint64_t);
}

size_t
fq_plan_n_bytes(const fq_plan *plan)
{
    size_t n_bytes = sizeof(*plan) + plan->document.arena.n_bytes;
    FQ_LIST_FOREACH(node, (fq_list *)&plan->variants)
    {
        const fq_plan_variant *variant = FQ_CONTAINER_OF(node, fq_plan_variant,
                                                         node);
        n_bytes += sizeof(*variant) + states_size(plan)
                   + variant->projection.memo.n_bytes;
    }
    return n_bytes;
}

/* Adds the error for a @skip or @include whose variable is no Boolean: the
 * reference's text for an argument's value at run time. */
static void
fail_condition(const fq_plan *plan, const fq_plan_condition *condition,
               bool is_null, fq_gql_errors *errors)
{
    fq_str name = condition->use->text;
    fq_gql_error *error = fq_gql_errors_add(
        errors, NULL,
        is_null ? "Argument 'if' has invalid value: Expected variable '$%.*s' "
                  "provided to non-null type 'Boolean!' not to be None."
                : "Argument 'if' has invalid value: Expected variable '$%.*s' "
                  "provided to type 'Boolean!' to provide a runtime value.",
        FQ_STR_FMT(name));
    fq_gql_error_locate(errors, error, plan->document.source,
                        condition->use->node.start);
}

/* Without a schema: every condition must be true or false. With one that is a
 * matter of what is around it, see shape.h. */
static fq_status
check_conditions(const fq_plan *plan, const fq_variable_values *values,
                 fq_gql_errors *errors)
{
    size_t n_before = errors->n_items;
    for (uint32_t i = 0; i < plan->n_conditions; i++) {
        const fq_plan_condition *condition = &plan->conditions[i];
        struct fq_variable_span span = values->spans[condition->variable];
        fq_str text = fq_str_make(values->json.ptr + span.start, span.len);
        if (!fq_str_eq(text, FQ_STR_LIT("true"))
            && !fq_str_eq(text, FQ_STR_LIT("false")))
            fail_condition(plan, condition,
                           fq_str_eq(text, FQ_STR_LIT("null")), errors);
    }
    if (errors->status != FQ_OK)
        return errors->status;
    return errors->n_items == n_before ? FQ_OK : FQ_ERR_INVALID;
}

/* Whether |mask| holds the root field. */
static bool
is_root_masked(const fq_plan *plan, const fq_field_mask *mask)
{
    if (plan->root == NULL || mask == NULL)
        return false;
    if (plan->schema == NULL)
        return fq_field_mask_has_root(mask, plan->root->name);
    const fq_type *type = plan->schema->roots[plan->operation->type];
    return fq_field_mask_has(mask, type, plan->root_def);
}

/* A variant of these values that is in no list. */
static fq_plan_variant *
variant_new(fq_plan *plan, const fq_variable_values *values,
            const fq_field_mask *mask)
{
    fq_plan_variant *variant = fq_alloc_zero(sizeof(*variant)
                                             + states_size(plan));
    if (variant == NULL)
        return NULL;
    variant->n_refs = 1;
    variant->plan = fq_plan_ref(plan);
    variant->mask = mask != NULL ? fq_field_mask_ref(mask) : NULL;
    variant->masks_root = is_root_masked(plan, mask);
    fq_list_init(&variant->node);
    for (uint32_t i = 0; i < plan->variables.n_items; i++)
        if (plan->decides[i])
            variant->states[i / 32]
                |= (uint64_t)fq_variable_values_state(values, i)
                   << (i % 32 * 2);
    fq_projection_init(&variant->projection, &plan->source, variant->states,
                       mask);
    return variant;
}

/* The plan's variant in the states and under the mask of |variant|, which it
 * consumes. */
static fq_plan_variant *
variant_share(fq_plan *plan, fq_plan_variant *variant)
{
    size_t n_bytes = states_size(plan);
    FQ_LIST_FOREACH(node, &plan->variants)
    {
        fq_plan_variant *known = FQ_CONTAINER_OF(node, fq_plan_variant, node);
        if ((n_bytes > 0
             && memcmp(known->states, variant->states, n_bytes) != 0)
            || !fq_field_mask_eq(known->mask, variant->mask))
            continue;
        fq_plan_variant_unref(variant);
        return fq_plan_variant_ref(known);
    }
    if (plan->n_variants < PLAN_VARIANTS_MAX) {
        fq_list_push_back(&plan->variants, &variant->node);
        plan->n_variants++;
    }
    return variant;
}

/* The path of the root field, `["key"]`, for |error|. */
static void
set_root_path(const fq_plan *plan, fq_gql_errors *errors, fq_gql_error *error)
{
    if (error == NULL)
        return;
    fq_str key = fq_plan_root_key(plan);
    char *path = fq_arena_alloc(&errors->arena, key.len + 4);
    if (path == NULL) {
        errors->status = FQ_ERR_NOMEM;
        return;
    }
    memcpy(path, "[\"", 2);
    memcpy(path + 2, key.ptr, key.len);
    memcpy(path + 2 + key.len, "\"]", 2);
    error->path = fq_str_make(path, key.len + 4);
}

/* With a schema: checks the arguments of the root field. */
static fq_status
check_args(const fq_plan_variant *variant, fq_gql_errors *errors)
{
    const fq_plan *plan = variant->plan;
    fq_argument_fault fault;
    fq_status status = fq_arguments_check(
        plan->root_def->args, plan->root_def->n_args, &plan->root->arguments,
        &plan->root->node, &variant->projection.variables, &fault);
    if (status == FQ_ERR_INVALID) {
        fq_gql_error *error = fq_gql_errors_add_str(
            errors, NULL, fq_buf_str(&fault.message));
        if (fault.node != NULL)
            fq_gql_error_locate(errors, error, plan->document.source,
                                fault.node->start);
        set_root_path(plan, errors, error);
    }
    fq_buf_fini(&fault.message);
    return errors->status != FQ_OK ? errors->status : status;
}

static fq_status
bind_args(const fq_plan_variant *variant, const fq_variable_values *values,
          fq_rcbuf **pargs, fq_gql_errors *errors)
{
    const fq_plan *plan = variant->plan;
    const fq_field_def *def = plan->root_def;
    fq_status status = FQ_OK;
    if (def != NULL)
        status = check_args(variant, errors);
    if (status != FQ_OK)
        return status;
    fq_buf buf;
    fq_buf_init(&buf);
    buf.max = FQ_VARIABLES_MAX;
    if (def != NULL)
        fq_arguments_write(def->args, def->n_args, &plan->root->arguments,
                           &plan->variables, values, &buf);
    else
        fq_variables_fold(&plan->variables, values, &plan->root->arguments,
                          &buf);
    status = fq_buf_to_rcbuf(&buf, pargs);
    fq_buf_fini(&buf);
    if (status != FQ_ERR_LIMIT)
        return status;
    fq_gql_error *error = fq_gql_errors_add(
        errors, "LIMIT_REACHED",
        "Arguments of field '%.*s' are larger than %d bytes.",
        FQ_STR_FMT(plan->root->name), FQ_VARIABLES_MAX);
    fq_gql_error_locate(errors, error, plan->document.source,
                        plan->root->node.start);
    return errors->status == FQ_OK ? FQ_ERR_LIMIT : FQ_ERR_NOMEM;
}

/* With a schema: checks what keeps the operation as a whole from being
 * executed. Of one that was validated that is not possible for a
 * subscription. */
static fq_status
check_operation(fq_plan_variant *variant, fq_gql_errors *errors)
{
    const fq_plan *plan = variant->plan;
    const fq_ast_operation *operation = plan->operation;
    if (plan->root != NULL && operation->type == FQ_OPERATION_SUBSCRIPTION)
        return FQ_OK;
    fq_str message;
    size_t start = operation->node.start;
    bool has_place = true;
    if (plan->schema->roots[operation->type] == NULL) {
        static const fq_str texts[] = {
            FQ_STR("Schema is not configured to execute query operation."),
            FQ_STR("Schema is not configured to execute mutation operation."),
            FQ_STR("Schema is not configured to execute subscription "
                   "operation."),
        };
        message = texts[operation->type];
    } else {
        const fq_shape_error *fault;
        fq_status status = fq_completion_check(&variant->projection, &fault);
        if (status != FQ_OK || fault == NULL)
            return status;
        message = fault->message;
        start = fault->start;
        has_place = fault->location.line > 0;
    }
    fq_gql_error *error = fq_gql_errors_add_str(errors, NULL, message);
    if (has_place)
        fq_gql_error_locate(errors, error, plan->document.source, start);
    return errors->status != FQ_OK ? errors->status : FQ_ERR_INVALID;
}

/* Coerces the variables and makes the variant of their states, not yet
 * shared. fq_variable_values_fini() is due on every path. */
static fq_status
plan_bind(fq_plan *plan, yyjson_val *variables, const fq_field_mask *mask,
          fq_variable_values *values, fq_plan_variant **pvariant,
          fq_gql_errors *errors)
{
    *pvariant = NULL;
    fq_status status = fq_variables_coerce(&plan->variables, variables, values,
                                           errors);
    if (status == FQ_OK && plan->schema == NULL)
        status = check_conditions(plan, values, errors);
    if (status != FQ_OK)
        return status;
    fq_plan_variant *variant = variant_new(plan, values, mask);
    if (variant == NULL)
        return FQ_ERR_NOMEM;
    if (plan->schema != NULL)
        status = check_operation(variant, errors);
    if (status == FQ_OK)
        *pvariant = variant;
    else
        fq_plan_variant_unref(variant);
    return status;
}

fq_status
fq_plan_bind_variant(fq_plan *plan, yyjson_val *variables,
                     fq_plan_variant **pvariant, fq_gql_errors *errors)
{
    fq_variable_values values;
    fq_status status = plan_bind(plan, variables, NULL, &values, pvariant,
                                 errors);
    fq_variable_values_fini(&values);
    return status;
}

/* Whether |mask| can be put on |plan|; else an error is added. */
static bool
check_mask(const fq_plan *plan, const fq_field_mask *mask,
           fq_gql_errors *errors)
{
    fq_field_coordinate at;
    if (!fq_field_mask_suits(mask, plan->schema)) {
        fq_gql_errors_add(errors, "FORBIDDEN",
                          "The policy is one for another schema.");
        return false;
    }
    if (mask != NULL && fq_field_mask_find_non_null(mask, &at)) {
        fq_gql_errors_add(errors, "FORBIDDEN",
                          "Field '%.*s.%.*s' must not be null and cannot be "
                          "masked.",
                          FQ_STR_FMT(at.type_name), FQ_STR_FMT(at.field_name));
        return false;
    }
    return true;
}

fq_status
fq_plan_bind(fq_plan *plan, yyjson_val *variables, const fq_field_mask *mask,
             fq_binding *pbinding, fq_gql_errors *errors)
{
    *pbinding = (fq_binding){NULL, NULL, NULL};
    if (!check_mask(plan, mask, errors))
        return errors->status != FQ_OK ? errors->status : FQ_ERR_INVALID;
    fq_plan_variant *variant;
    fq_variable_values values;
    fq_status status = plan_bind(plan, variables, mask, &values, &variant,
                                 errors);
    if (status == FQ_OK)
        status = fq_buf_to_rcbuf(&values.json, &pbinding->variables);
    if (status == FQ_OK)
        status = bind_args(variant, &values, &pbinding->args, errors);
    if (status == FQ_OK) {
        pbinding->variant = variant_share(plan, variant);
    } else {
        fq_binding_fini(pbinding);
        fq_plan_variant_unref(variant);
    }
    fq_variable_values_fini(&values);
    return status;
}

void
fq_binding_fini(fq_binding *binding)
{
    fq_plan_variant_unref(binding->variant);
    fq_rcbuf_unref(binding->variables);
    fq_rcbuf_unref(binding->args);
    *binding = (fq_binding){NULL, NULL, NULL};
}

fq_plan_variant *
fq_plan_variant_ref(fq_plan_variant *variant)
{
    variant->n_refs++;
    return variant;
}

void
fq_plan_variant_unref(fq_plan_variant *variant)
{
    if (variant == NULL || --variant->n_refs > 0)
        return;
    fq_plan *plan = variant->plan;
    if (!fq_list_is_empty(&variant->node)) {
        fq_list_remove(&variant->node);
        plan->n_variants--;
    }
    fq_projection_fini(&variant->projection);
    fq_field_mask_unref(variant->mask);
    fq_rcbuf_unref(variant->share.payload);
    fq_free(variant);
    fq_plan_unref(plan);
}

fq_plan *
fq_plan_variant_plan(const fq_plan_variant *variant)
{
    return variant->plan;
}

fq_plan_share *
fq_plan_variant_share(fq_plan_variant *variant)
{
    return &variant->share;
}

/* `{"data":{"<root key>":` */
static void
write_head(const fq_plan *plan, fq_buf *buf)
{
    fq_buf_append_str(buf, FQ_STR_LIT("{\"data\":{\""));
    fq_buf_append_str(buf, fq_plan_root_key(plan));
    fq_buf_append_str(buf, FQ_STR_LIT("\":"));
}

fq_status
fq_plan_variant_project(fq_plan_variant *variant, yyjson_val *value,
                        fq_buf *buf)
{
    if (variant->plan->schema != NULL)
        return fq_completion_write(&variant->projection, value, buf);
    write_head(variant->plan, buf);
    fq_status status = FQ_OK;
    if (variant->masks_root)
        fq_buf_append_str(buf, FQ_STR_LIT("null"));
    else
        status = fq_projection_write(&variant->projection, value, buf);
    fq_buf_append_char(buf, '}');
    return status != FQ_OK ? status : fq_buf_status(buf);
}

void
fq_plan_variant_write_root_error(fq_plan_variant *variant, fq_str message,
                                 const char *code, fq_buf *buf)
{
    const fq_plan *plan = variant->plan;
    if (plan->root_def != NULL
        && plan->root_def->type->kind == FQ_TYPE_NON_NULL) {
        fq_buf_append_str(buf, FQ_STR_LIT("{\"data\":null"));
    } else {
        write_head(plan, buf);
        fq_buf_append_str(buf, FQ_STR_LIT("null}"));
    }
    if (variant->masks_root)
        return;
    fq_buf_append_str(buf, FQ_STR_LIT(",\"errors\":[{\"message\":"));
    fq_json_write_str(buf, message);
    fq_gql_location at = fq_gql_locate(plan->document.source,
                                       plan->root->node.start);
    fq_buf_append_format(buf,
                         ",\"locations\":[{\"line\":%u,\"column\":%u}],"
                         "\"path\":[\"",
                         (unsigned)at.line, (unsigned)at.column);
    fq_buf_append_str(buf, fq_plan_root_key(plan));
    fq_buf_append_str(buf, FQ_STR_LIT("\"]"));
    if (code != NULL) {
        fq_buf_append_str(buf, FQ_STR_LIT(",\"extensions\":{\"code\":"));
        fq_json_write_str(buf, fq_str_of(code));
        fq_buf_append_char(buf, '}');
    }
    fq_buf_append_str(buf, FQ_STR_LIT("}]"));
}
